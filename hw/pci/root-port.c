/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "pcie-root-port": a PCI Express root port with one hot-plug slot (PCIe Base
 * 4.0, 7.5.3.9 to 7.5.3.11 for the slot registers, 6.7 for hot-plug).
 *
 * The slot has an attention button, both indicators and a power controller.
 * Adding a device presses the button of an unpowered slot, and presence changes;
 * the guest then powers it on. Removing a device presses the button; the guest
 * quiesces the driver and switches power and the power indicator off, and then
 * the device goes. A slot without power has no guest that could object, so the
 * device goes at once. Functions other than 0 wait for function 0, which is the
 * one that the guest looks for.
 *
 * Thread: main thread or a vCPU thread, with the machine lock.
 * Trust: the guest may write the slot registers in any order; the worst it gets
 * is its own devices removed.
 */
#include "util/osdep.h"

#include "internal.h"
#include "trace-hw-pci.h"
#include "util/event-loop.h"

/* As long may the guest take before device_del can be tried again. */
#define UNPLUG_PATIENCE_NS (5 * INT64_C(1000000000))

#define INDICATORS_OFF (PCI_EXP_SLTCTL_ATTN_IND_OFF | PCI_EXP_SLTCTL_PWR_IND_OFF)
#define SLOT_POWERED_OFF (PCI_EXP_SLTCTL_PWR_OFF | INDICATORS_OFF)
#define SLOT_POWERED_ON (PCI_EXP_SLTCTL_ATTN_IND_OFF | PCI_EXP_SLTCTL_PWR_IND_ON)
#define SLOT_EVENTS                                                         \
    (PCI_EXP_SLTSTA_ABP | PCI_EXP_SLTSTA_PFD | PCI_EXP_SLTSTA_MRLSC |       \
     PCI_EXP_SLTSTA_PDC | PCI_EXP_SLTSTA_CC | PCI_EXP_SLTSTA_DLLSC)

typedef struct RootPort {
    PciBridge bridge;
    uint8_t port;
    uint8_t chassis;
    uint16_t slot;
    bool hotplug;
    uint32_t bus_reserve;       /* what firmware is asked to keep free behind the port; all ones: as it likes */
    uint64_t io_reserve, mem_reserve, pref32_reserve, pref64_reserve;
    uint16_t slot_control;      /* before the write that is being handled */
    bool event_raised;          /* an enabled event is pending: the interrupt was sent */
    Timer patience;
    struct RootPort *next;
} RootPort;

static const TypeInfo root_port_type;
static RootPort *all_ports;

static RootPort *root_port(PciDevice *pci)
{
    return container_of(pci, RootPort, bridge.pci);
}

static uint8_t *exp_reg(RootPort *rp, unsigned reg)
{
    return rp->bridge.pci.config + rp->bridge.pci.cap_exp + reg;
}

static uint16_t slot_control(RootPort *rp)
{
    return pci_get_word(exp_reg(rp, PCI_EXP_SLTCTL));
}

static bool occupied(RootPort *rp)
{
    return rp->bridge.sec.devices[0] != NULL;
}

/* ---- interrupts ---- */

/* An event is set and enabled: each enable is where its status bit is, but for the last. */
static bool event_pending(RootPort *rp)
{
    uint16_t control = slot_control(rp);
    uint16_t enabled = control & SLOT_EVENTS & ~PCI_EXP_SLTSTA_DLLSC;

    if (control & PCI_EXP_SLTCTL_DLLSCE) {
        enabled |= PCI_EXP_SLTSTA_DLLSC;
    }
    return (control & PCI_EXP_SLTCTL_HPIE) &&
           (pci_get_word(exp_reg(rp, PCI_EXP_SLTSTA)) & enabled);
}

/* A message for each time that there is something new to see; a wire for as long. */
static void update_interrupt(RootPort *rp)
{
    PciDevice *pci = &rp->bridge.pci;
    bool pending = event_pending(rp);
    bool rises = pending && !rp->event_raised;

    rp->event_raised = pending;
    if (msix_enabled(pci)) {
        pci_set_intx(pci, 0);
        if (rises) {
            msix_notify(pci, 0);
        }
    } else {
        pci_set_intx(pci, pending);
    }
}

static void slot_events(RootPort *rp, uint16_t events)
{
    uint8_t *status = exp_reg(rp, PCI_EXP_SLTSTA);

    trace_pci_slot_event(rp->bridge.sec.bus.name, events);
    pci_set_word(status, pci_get_word(status) | events);
    update_interrupt(rp);
}

/* ---- the slot ---- */

static void show_presence(RootPort *rp, bool present)
{
    uint8_t *status = exp_reg(rp, PCI_EXP_SLTSTA);
    uint8_t *link = exp_reg(rp, PCI_EXP_LNKSTA);

    if (present) {
        pci_set_word(status, pci_get_word(status) | PCI_EXP_SLTSTA_PDS);
        pci_set_word(link, pci_get_word(link) | PCI_EXP_LNKSTA_DLLLA);
    } else {
        pci_set_word(status, pci_get_word(status) & ~PCI_EXP_SLTSTA_PDS);
        pci_set_word(link, pci_get_word(link) & ~PCI_EXP_LNKSTA_DLLLA);
    }
}

/*
 * Function 0 goes last: it stands for the slot. What cannot be removed while the
 * machine runs (another port) stays, without power.
 */
static void remove_devices(RootPort *rp)
{
    for (int devfn = ARRAY_SIZE(rp->bridge.sec.devices) - 1; devfn >= 0; devfn--) {
        PciDevice *pci = rp->bridge.sec.devices[devfn];
        const DeviceOps *ops = pci ? object_ops(pci, &device_type) : NULL;

        if (ops && ops->hotpluggable && !ops->stays) {
            device_unplug_finish(&pci->dev);
        }
    }
}

static void forget_unplug(RootPort *rp)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rp->bridge.sec.devices); i++) {
        if (rp->bridge.sec.devices[i]) {
            rp->bridge.sec.devices[i]->dev.unplug_pending = false;
        }
    }
}

static void patience_over(void *opaque)
{
    forget_unplug(opaque);
}

static bool power_and_indicator_off(uint16_t control)
{
    return (control & PCI_EXP_SLTCTL_PCC) &&
           (control & PCI_EXP_SLTCTL_PIC) == PCI_EXP_SLTCTL_PWR_IND_OFF;
}

static void slot_control_written(RootPort *rp)
{
    uint16_t old = rp->slot_control, now = slot_control(rp);

    rp->slot_control = now;
    trace_pci_slot_control(rp->bridge.sec.bus.name, old, now);
    if (power_and_indicator_off(now) && !power_and_indicator_off(old)) {
        remove_devices(rp);
    }
    pci_bus_set_power(&rp->bridge.sec, !(now & PCI_EXP_SLTCTL_PCC));
    slot_events(rp, PCI_EXP_SLTSTA_CC);
}

static void config_written(PciDevice *pci, uint32_t addr, uint32_t value, int len)
{
    RootPort *rp = root_port(pci);

    if (rp->hotplug && pci_range_hits(addr, len, pci->cap_exp + PCI_EXP_SLTCTL, 2)) {
        slot_control_written(rp);
    } else {
        update_interrupt(rp);
    }
}

/* ---- devices come and go ---- */

static bool pre_plug(void *opaque, DeviceState *dev, Error **errp)
{
    RootPort *rp = opaque;

    if (dev->hotplugged && !rp->hotplug) {
        error_setg(errp, "Hot-plug failed: unsupported by the port device '%s'",
                   rp->bridge.pci.dev.id ?: rp->bridge.sec.bus.name);
        return false;
    }
    return true;
}

static bool plug(void *opaque, DeviceState *dev, Error **errp)
{
    RootPort *rp = opaque;

    if (!dev->hotplugged) {
        return true;            /* the reset before the start shows it */
    }
    device_reset_tree(dev);
    if (PCI_FUNC(PCI_DEVICE(dev)->devfn) == 0) {
        show_presence(rp, true);
        slot_events(rp, PCI_EXP_SLTSTA_PDC | PCI_EXP_SLTSTA_ABP);
    }
    return true;
}

static bool unplug_request(void *opaque, DeviceState *dev, Error **errp)
{
    RootPort *rp = opaque;
    uint8_t *status = exp_reg(rp, PCI_EXP_SLTSTA);

    if (!rp->hotplug) {
        error_setg(errp, "Hot-unplug failed: unsupported by the port device '%s'",
                   rp->bridge.pci.dev.id ?: rp->bridge.sec.bus.name);
        return false;
    }
    if ((slot_control(rp) & PCI_EXP_SLTCTL_PIC) == PCI_EXP_SLTCTL_PWR_IND_BLINK) {
        error_setg(errp, "Hot-unplug failed: guest is busy (power indicator blinking)");
        return false;
    }
    if (!occupied(rp)) {
        /* The guest has never seen this function. */
        device_unplug_finish(dev);
        return true;
    }
    if (slot_control(rp) & PCI_EXP_SLTCTL_PCC) {
        /* Nor has it taken notice of this device: take the request for it back. */
        pci_set_word(status, pci_get_word(status) & ~PCI_EXP_SLTSTA_ABP);
        remove_devices(rp);
        return true;
    }
    timer_arm_ns(&rp->patience, clock_now_ns(CLOCK_TYPE_VIRTUAL) + UNPLUG_PATIENCE_NS);
    slot_events(rp, PCI_EXP_SLTSTA_ABP);
    return true;
}

static void unplug(void *opaque, DeviceState *dev)
{
    RootPort *rp = opaque;

    if (PCI_DEVICE(dev)->devfn == 0) {
        show_presence(rp, false);
        slot_events(rp, PCI_EXP_SLTSTA_PDC);
    }
}

static const HotplugOps hotplug_ops = {
    .pre_plug = pre_plug,
    .plug = plug,
    .unplug_request = unplug_request,
    .unplug = unplug,
};

/* ---- life ---- */

static void reset(PciDevice *pci)
{
    RootPort *rp = root_port(pci);
    uint16_t control = occupied(rp) ? SLOT_POWERED_ON : SLOT_POWERED_OFF;

    forget_unplug(rp);
    if (rp->hotplug) {
        pci_set_word(exp_reg(rp, PCI_EXP_SLTCTL), control);
    }
    rp->slot_control = control;
    rp->event_raised = false;
    rp->bridge.in_reset = false;
    show_presence(rp, occupied(rp));
    pci_bus_set_power(&rp->bridge.sec, !(rp->hotplug && (control & PCI_EXP_SLTCTL_PCC)));
    update_interrupt(rp);
}

static void init_slot(RootPort *rp)
{
    uint32_t cap = (uint32_t)rp->slot << 19;
    uint8_t *wmask = rp->bridge.pci.wmask + rp->bridge.pci.cap_exp;
    uint8_t *w1cmask = rp->bridge.pci.w1cmask + rp->bridge.pci.cap_exp;

    pci_set_word(exp_reg(rp, PCI_EXP_FLAGS),
                 pci_get_word(exp_reg(rp, PCI_EXP_FLAGS)) | PCI_EXP_FLAGS_SLOT);
    pci_set_long(exp_reg(rp, PCI_EXP_LNKCAP), pci_get_long(exp_reg(rp, PCI_EXP_LNKCAP)) |
                 PCI_EXP_LNKCAP_DLLLARC | (uint32_t)rp->port << 24);
    if (rp->hotplug) {
        cap |= PCI_EXP_SLTCAP_ABP | PCI_EXP_SLTCAP_PCP | PCI_EXP_SLTCAP_AIP |
               PCI_EXP_SLTCAP_PIP | PCI_EXP_SLTCAP_HPS | PCI_EXP_SLTCAP_HPC;
        pci_set_word(wmask + PCI_EXP_SLTCTL,
                     PCI_EXP_SLTCTL_ABPE | PCI_EXP_SLTCTL_PDCE | PCI_EXP_SLTCTL_CCIE |
                     PCI_EXP_SLTCTL_HPIE | PCI_EXP_SLTCTL_AIC | PCI_EXP_SLTCTL_PIC |
                     PCI_EXP_SLTCTL_PCC | PCI_EXP_SLTCTL_DLLSCE);
        pci_set_word(w1cmask + PCI_EXP_SLTSTA, SLOT_EVENTS);
    }
    pci_set_long(exp_reg(rp, PCI_EXP_SLTCAP), cap);
    pci_set_word(wmask + PCI_EXP_RTCTL,
                 PCI_EXP_RTCTL_SECEE | PCI_EXP_RTCTL_SENFEE | PCI_EXP_RTCTL_SEFEE);
}

/* A vendor capability that firmware for virtual machines looks for: length 32, type 1. */
static bool init_reserve(RootPort *rp, Error **errp)
{
    enum { SIZE = 32, TYPE = 1, AT_TYPE = 3, AT_BUS = 4, AT_IO = 8, AT_MEM = 16, AT_PREF32 = 20, AT_PREF64 = 24 };
    const struct { const char *name; uint64_t value; } narrow[] = {
        { "mem-reserve", rp->mem_reserve }, { "pref32-reserve", rp->pref32_reserve },
    };
    PciDevice *pci = &rp->bridge.pci;
    uint8_t *cap, at;

    if (rp->bus_reserve == UINT32_MAX && (rp->io_reserve & rp->mem_reserve & rp->pref32_reserve & rp->pref64_reserve) == UINT64_MAX) {
        return true;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(narrow); i++) {
        if (narrow[i].value != UINT64_MAX && narrow[i].value >= 4 * GIB) {
            error_setg(errp, "PCI resource reserve cap: %s must be less than 4G", narrow[i].name);
            return false;
        }
    }
    if (rp->pref32_reserve != UINT64_MAX && rp->pref64_reserve != UINT64_MAX) {
        error_setg(errp, "PCI resource reserve cap: PREF32 and PREF64 conflict");
        return false;
    }
    at = pci_add_capability(pci, PCI_CAP_ID_VNDR, 0, SIZE, errp);
    if (!at) {
        return false;
    }
    cap = pci->config + at;
    cap[2] = SIZE;
    cap[AT_TYPE] = TYPE;
    pci_set_long(cap + AT_BUS, rp->bus_reserve);
    pci_set_quad(cap + AT_IO, rp->io_reserve);
    pci_set_long(cap + AT_MEM, (uint32_t)rp->mem_reserve);
    pci_set_long(cap + AT_PREF32, (uint32_t)rp->pref32_reserve);
    pci_set_quad(cap + AT_PREF64, rp->pref64_reserve);
    return true;
}

/* The pair of chassis and slot is what a guest names the slot by. */
static bool register_port(RootPort *rp, Error **errp)
{
    for (RootPort *p = all_ports; p; p = p->next) {
        if (p->chassis == rp->chassis && p->slot == rp->slot) {
            error_setg(errp, "Can't add chassis slot, error %d", -EBUSY);
            error_append_hint(errp, "Port '%s' has chassis %u and slot %u too.\n",
                              p->bridge.sec.bus.name, p->chassis, p->slot);
            return false;
        }
    }
    rp->next = all_ports;
    all_ports = rp;
    return true;
}

static void unregister_port(RootPort *rp)
{
    RootPort **p = &all_ports;

    while (*p != rp) {
        p = &(*p)->next;
    }
    *p = rp->next;
}

static bool realize(PciDevice *pci, Error **errp)
{
    RootPort *rp = root_port(pci);

    if (rp->hotplug && !CONFIG_PCI_HOTPLUG) {
        error_setg(errp, "hotplug=on is not possible: PCI hot-plug was left out of this build");
        return false;
    }
    if (!register_port(rp, errp)) {
        return false;
    }
    pci->config[PCI_INTERRUPT_PIN] = 1;
    if (!pcie_cap_init(pci, PCI_EXP_TYPE_ROOT_PORT, errp) || !pci_pm_init(pci, errp) ||
        !msix_init_exclusive(pci, 1, 0, errp) || !init_reserve(rp, errp)) {
        unregister_port(rp);
        return false;
    }
    init_slot(rp);
    timer_init(&rp->patience, event_loop_main(), CLOCK_TYPE_VIRTUAL, patience_over, rp);
    pci_bridge_init(&rp->bridge);
    rp->bridge.sec.single_slot = true;
    rp->bridge.sec.bus.hotplug = &hotplug_ops;
    rp->bridge.sec.bus.hotplug_opaque = rp;
    return true;
}

static void unrealize(PciDevice *pci)
{
    RootPort *rp = root_port(pci);

    timer_disarm(&rp->patience);
    pci_bridge_cleanup(&rp->bridge);
    unregister_port(rp);
}

static bool post_load(void *opaque, int version)
{
    RootPort *rp = opaque;

    rp->slot_control = slot_control(rp);
    rp->bridge.in_reset = pci_get_word(rp->bridge.pci.config + PCI_BRIDGE_CONTROL) &
                          PCI_BRIDGE_CTL_BUS_RESET;
    pci_bus_set_power(&rp->bridge.sec, !(rp->hotplug && (rp->slot_control & PCI_EXP_SLTCTL_PCC)));
    rp->event_raised = event_pending(rp);
    return true;
}

/* Loads before what is behind it. */
static const StateTable root_port_state = {
    .name = "pcie-root-port",
    .version = 1,
    .minimum_version = 1,
    .post_load = post_load,
    .priority = 10,
    .fields = (const StateField[]) {
        { .name = "pci", .kind = STATE_STRUCT, .offset = offsetof(RootPort, bridge.pci), .count = 1,
          .size = sizeof(PciDevice), .table = &pci_device_state },
        STATE_F_END
    },
};

static const ObjectProperty root_port_properties[] = {
    PROP_UINT8("port", RootPort, port, 0, "port number in the link capabilities"),
    PROP_UINT8("chassis", RootPort, chassis, 0,
               "chassis number; the pair of chassis and slot is unique"),
    PROP_UINT16("slot", RootPort, slot, 0, "physical slot number"),
    PROP_UINT32("bus-reserve", RootPort, bus_reserve, UINT32_MAX, "bus numbers that firmware keeps free behind the port"),
    PROP_SIZE("io-reserve", RootPort, io_reserve, UINT64_MAX, "I/O ports likewise"),
    PROP_SIZE("mem-reserve", RootPort, mem_reserve, UINT64_MAX, "memory below 4 GiB likewise"),
    PROP_SIZE("pref32-reserve", RootPort, pref32_reserve, UINT64_MAX, "prefetchable memory below 4 GiB likewise"),
    PROP_SIZE("pref64-reserve", RootPort, pref64_reserve, UINT64_MAX, "prefetchable memory likewise"),
    PROP_BOOL("hotplug", RootPort, hotplug, CONFIG_PCI_HOTPLUG, "devices can be added and removed at run time"),
    PROP_END
};

static const PciDeviceOps root_port_pci_ops = {
    .realize = realize,
    .unrealize = unrealize,
    .reset = reset,
    .vendor_id = PCI_VENDOR_ID_VIRTUAL,
    .device_id = PCI_DEVICE_ID_VIRTUAL_ROOT_PORT,
    .class_id = PCI_CLASS_BRIDGE_PCI,
    .is_bridge = true,
    .config_written = config_written,
};

static const DeviceOps root_port_ops = {
    PCI_DEVICE_OPS,
    .state = &root_port_state,
    .category = DEVICE_CATEGORY_BRIDGE,
    .user_creatable = true,
};

OBJECT_TYPE_STATIC(root_port_type) = {
    .name = "pcie-root-port",
    .parent = &pci_device_type,
    .instance_size = sizeof(RootPort),
    .description = "PCI Express root port with a hot-plug slot",
    .properties = root_port_properties,
    .impls = TYPE_IMPLS({ &device_type, &root_port_ops }, { &pci_device_type, &root_port_pci_ops }),
};
