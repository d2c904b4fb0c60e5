/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI devices and buses as objects: types, the "addr" property, who may sit
 * where, the way from a bus number to a function, and interrupt wires.
 *
 * Spec: PCI Local Bus 3.0; interrupt wiring through bridges from the
 * PCI-to-PCI Bridge Architecture 1.2, chapter 9.
 * Thread: main thread or a vCPU thread, with the machine lock.
 */
#include "util/osdep.h"

#include "internal.h"
#include "trace-hw-pci.h"

static PciBus *the_root_bus;

/* ---- property "addr" ---- */

/* One or more hex digits, with or without 0x; at most @max. */
static bool parse_hex(const char **text, unsigned max, unsigned *value)
{
    const char *p = *text;

    if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
        p += 2;
    }
    if (!g_ascii_isxdigit(*p)) {
        return false;
    }
    for (*value = 0; g_ascii_isxdigit(*p); p++) {
        *value = *value * 16 + g_ascii_xdigit_value(*p);
        if (*value > max) {
            return false;
        }
    }
    *text = p;
    return true;
}

/* "SLOT" or "SLOT.FUNCTION", both hexadecimal. */
static bool parse_address(const char *text, int32_t *devfn)
{
    unsigned slot, fn = 0;

    if (!parse_hex(&text, 31, &slot)) {
        return false;
    }
    if (*text == '.') {
        text++;
        if (!parse_hex(&text, 7, &fn)) {
            return false;
        }
    }
    *devfn = PCI_DEVFN(slot, fn);
    return *text == '\0';
}

/* A text, or the number slot * 8 + function. */
static bool set_addr(Object *obj, const ObjectProperty *p, const JsonValue *value, Error **errp)
{
    int32_t *devfn = property_field(obj, p);
    const char *text = json_get_string(value);
    g_autofree char *number = NULL;
    int64_t n;
    bool on;

    if (text ? parse_address(text, devfn) : json_get_int(value, &n) && n >= 0 && n < 256) {
        if (!text) {
            *devfn = n;
        }
        return true;
    }
    if (!text && json_get_int(value, &n)) {
        text = number = g_strdup_printf("%" PRId64, n);
    } else if (!text && json_get_bool(value, &on)) {
        text = on ? "on" : "off";
    }
    error_setg(errp, "Property '%s.%s' doesn't take value '%s'", obj->type->name, p->name,
               text ?: json_kind_name(json_kind(value)));
    return false;
}

static const ObjectProperty pci_device_properties[] = {
    { .name = "addr", .kind = &prop_kind_int32, .offset = offsetof(PciDevice, devfn),
      .set = set_addr, .def.i = PCI_ANY_DEVFN,
      .description = "Slot and optional function number, example: 06.0 or 06" },
    PROP_BOOL("multifunction", PciDevice, multifunction, false, "on/off"),
    PROP_STRING("romfile", PciDevice, romfile, "option ROM; only an empty name is taken"),
    PROP_UINT32("rombar", PciDevice, rombar, 1, "accepted; there are no option ROMs"),
    PROP_END
};

/* ---- placement ---- */

static const char *name_of(const PciDevice *pci)
{
    return pci->dev.obj.type->name;
}

/* A slot without any function, or -1. */
static int find_free_slot(const PciBus *bus)
{
    for (int slot = 0; slot < (bus->single_slot ? 1 : 32); slot++) {
        bool taken = bus->reserved_slots & BIT(slot);

        for (int fn = 0; fn < 8; fn++) {
            taken |= bus->devices[PCI_DEVFN(slot, fn)] != NULL;
        }
        if (!taken) {
            return slot;
        }
    }
    return -1;
}

/* Function 0 says whether the slot has others, and a driver looks for it first. */
static bool check_functions(const PciBus *bus, const PciDevice *pci, Error **errp)
{
    int slot = PCI_SLOT(pci->devfn), fn = PCI_FUNC(pci->devfn);
    const PciDevice *first = bus->devices[PCI_DEVFN(slot, 0)];

    if (fn > 0) {
        if (first && !first->multifunction) {
            error_setg(errp, "PCI: single function device can't be populated in function %x.%x",
                       slot, fn);
            return false;
        }
        if (first && first != pci && device_machine_ready()) {
            error_setg(errp, "PCI: slot %d function 0 already occupied by %s, new func %s "
                       "cannot be exposed to guest.", slot, name_of(first), name_of(pci));
            return false;
        }
        return true;
    }
    for (fn = 1; fn < 8 && !pci->multifunction; fn++) {
        if (bus->devices[PCI_DEVFN(slot, fn)]) {
            error_setg(errp, "PCI: %x.0 indicates single function, but %x.%x is already "
                       "populated.", slot, slot, fn);
            return false;
        }
    }
    return true;
}

static bool check_address(BusState *b, DeviceState *dev, Error **errp)
{
    PciBus *bus = PCI_BUS(b);
    PciDevice *pci = PCI_DEVICE(dev);
    const PciDevice *there;
    int slot;

    if (pci->devfn == PCI_ANY_DEVFN) {
        slot = find_free_slot(bus);
        if (slot < 0) {
            error_setg(errp, "PCI: no slot/function available for %s, all in use or reserved",
                       name_of(pci));
            return false;
        }
        pci->devfn = PCI_DEVFN(slot, 0);
        return true;
    }
    slot = PCI_SLOT(pci->devfn);
    if (bus->single_slot && slot != 0) {
        error_setg(errp, "PCI: slot %d is not valid for %s, parent device only allows plugging "
                   "into slot 0.", slot, name_of(pci));
        return false;
    }
    if (bus->reserved_slots & BIT(slot)) {
        error_setg(errp, "PCI: slot %d function %d not available for %s, reserved",
                   slot, PCI_FUNC(pci->devfn), name_of(pci));
        return false;
    }
    there = bus->devices[pci->devfn];
    if (there) {
        error_setg(errp, "PCI: slot %d function %d not available for %s, in use by %s,id=%s",
                   slot, PCI_FUNC(pci->devfn), name_of(pci), name_of(there),
                   there->dev.id ?: "(null)");
        return false;
    }
    return check_functions(bus, pci, errp);
}

/* ---- device life ---- */

bool pci_device_realize(DeviceState *dev, Error **errp)
{
    PciDevice *pci = PCI_DEVICE(dev);
    const PciDeviceOps *ops = object_ops(pci, &pci_device_type);

    if (pci->romfile && *pci->romfile) {
        error_setg(errp, "option ROMs are not supported: romfile takes only an empty name, "
                   "not '%s'", pci->romfile);
        return false;
    }
    pci->bus = PCI_BUS(dev->bus);
    pci->dma = pci->bus->dma;
    pci->is_bridge = ops->is_bridge;
    pci_config_init(pci);
    if (ops->realize && !ops->realize(pci, errp)) {
        msix_cleanup(pci);
        pci_unmap_bars(pci);
        pci->bus = NULL;
        return false;
    }
    pci->bus->devices[pci->devfn] = pci;
    return true;
}

void pci_device_unrealize(DeviceState *dev)
{
    PciDevice *pci = PCI_DEVICE(dev);
    const PciDeviceOps *ops = object_ops(pci, &pci_device_type);

    pci->bus->devices[pci->devfn] = NULL;
    atomic_store(&pci->bus_master, false);
    pci_unmap_bars(pci);
    if (ops->unrealize) {
        ops->unrealize(pci);
    }
    pci_set_intx(pci, 0);
    msix_cleanup(pci);
    pci->bus = NULL;
}

void pci_device_reset(DeviceState *dev)
{
    PciDevice *pci = PCI_DEVICE(dev);
    const PciDeviceOps *ops = object_ops(pci, &pci_device_type);

    memory_transaction_begin();
    pci_set_intx(pci, 0);
    pci_config_reset(pci);
    msix_reset(pci);
    pci_apply_command(pci);
    if (ops->reset) {
        ops->reset(pci);
    }
    memory_transaction_commit();
}

static void finalize(Object *obj)
{
    msix_free((PciDevice *)obj);
}

static char *device_path(DeviceState *dev)
{
    PciDevice *pci = PCI_DEVICE(dev);
    g_autofree char *upper = NULL;

    if (!pci->bus->parent) {
        return g_strdup_printf("0000:00:%02x.%x", PCI_SLOT(pci->devfn), PCI_FUNC(pci->devfn));
    }
    upper = device_path(&pci->bus->parent->dev);
    return g_strdup_printf("%s/%02x.%x", upper, PCI_SLOT(pci->devfn), PCI_FUNC(pci->devfn));
}

/* ---- buses ---- */

void pci_root_bus_init(PciBus *bus, DeviceState *host, const char *name,
                       MemoryRegion *mem, MemoryRegion *io)
{
    assert(!the_root_bus);
    bus_init(&bus->bus, &pci_bus_type, host, name);
    bus->is_root = true;
    bus->mem = mem;
    bus->io = io;
    bus->dma = &address_space_memory;
    the_root_bus = bus;
}

void pci_root_bus_cleanup(PciBus *bus)
{
    bus_cleanup(&bus->bus);
    the_root_bus = NULL;
}

PciBus *pci_root_bus(void)
{
    return the_root_bus;
}

uint8_t pci_bus_number(const PciBus *bus)
{
    return bus->parent ? bus->parent->config[PCI_SECONDARY_BUS] : 0;
}

uint16_t pci_requester_id(const PciDevice *pci)
{
    return pci_bus_number(pci->bus) << 8 | pci->devfn;
}

/*
 * The recursion follows the bridges that exist, so its depth does not depend on
 * the numbers that the guest has written into them.
 */
PciDevice *pci_find_device(PciBus *bus, uint8_t bus_num, uint8_t devfn)
{
    if (bus->powered_off) {
        return NULL;
    }
    if (pci_bus_number(bus) == bus_num) {
        return bus->devices[devfn];
    }
    for (PciBridge *b = bus->bridges; b; b = b->next) {
        const uint8_t *c = b->pci.config;

        if (c[PCI_SECONDARY_BUS] != 0 && bus_num >= c[PCI_SECONDARY_BUS] &&
            bus_num <= c[PCI_SUBORDINATE_BUS]) {
            return pci_find_device(&b->sec, bus_num, devfn);
        }
    }
    return NULL;
}

/* An ECAM offset: bus, device and function, register. */
uint32_t pci_ecam_read(PciBus *root, uint32_t offset, int len)
{
    PciDevice *pci = pci_find_device(root, offset >> 20, offset >> 12);

    return pci ? pci_config_read(pci, offset & 0xfff, len) : UINT32_MAX >> (32 - 8 * len);
}

void pci_ecam_write(PciBus *root, uint32_t offset, uint32_t value, int len)
{
    PciDevice *pci = pci_find_device(root, offset >> 20, offset >> 12);

    if (pci) {
        pci_config_write(pci, offset & 0xfff, value, len);
    }
}

/* ---- interrupt wires ---- */

/* One more, or one less, function pulls the wire that @pci's pin ends at on the root bus. */
static void drive_wire(PciDevice *pci, bool assert_it)
{
    unsigned line = pci->config[PCI_INTERRUPT_PIN] - 1;
    PciBus *bus = pci->bus;

    line = (line + PCI_SLOT(pci->devfn)) % 4;
    while (bus->parent) {
        line = (line + PCI_SLOT(bus->parent->devfn)) % 4;
        bus = bus->parent->bus;
    }
    if (assert_it ? bus->intx_count[line]++ == 0 : --bus->intx_count[line] == 0) {
        trace_pci_intx(line, assert_it);
        if (bus->set_intx) {
            bus->set_intx(bus->intx_opaque, line, assert_it);
        }
    }
}

void pci_set_intx(PciDevice *pci, int level)
{
    bool wanted;

    pci->intx_level = level != 0;
    if (pci->intx_level) {
        pci->config[PCI_STATUS] |= PCI_STATUS_INTERRUPT;
    } else {
        pci->config[PCI_STATUS] &= ~PCI_STATUS_INTERRUPT;
    }
    wanted = pci->intx_level && pci->config[PCI_INTERRUPT_PIN] && !pci->bus->powered_off &&
             !(pci_get_word(pci->config + PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE);
    if (wanted != pci->intx_asserted) {
        pci->intx_asserted = wanted;
        drive_wire(pci, wanted);
    }
}

/* ---- state ---- */

static void save_config(StateStream *s, const void *field, const void *opaque)
{
    const PciDevice *pci = opaque;
    uint32_t size = pci_config_size(pci);

    state_put_u32(s, size);
    state_put(s, pci->config, size);
}

/* What identifies the device and its layout must be the same on both sides. */
static bool load_config(StateStream *s, void *field, void *opaque)
{
    PciDevice *pci = opaque;
    uint32_t size = pci_config_size(pci);
    uint32_t incoming = state_get_u32(s);
    g_autofree uint8_t *config = g_malloc0(size);

    if (incoming != size) {
        state_fail(s, "PCI configuration space of %u bytes instead of %u", incoming, size);
        return false;
    }
    state_get(s, config, size);
    if (!state_ok(s)) {
        return false;
    }
    for (uint32_t i = 0; i < size; i++) {
        if ((config[i] ^ pci->config[i]) & pci->cmask[i] & ~pci->wmask[i] & ~pci->w1cmask[i]) {
            state_fail(s, "PCI configuration byte 0x%x is 0x%02x, this device has 0x%02x",
                       i, config[i], pci->config[i]);
            return false;
        }
    }
    memcpy(pci->config, config, size);
    return true;
}

static bool post_load(void *opaque, int version)
{
    PciDevice *pci = opaque;

    pci_apply_command(pci);
    return true;
}

const StateTable pci_device_state = {
    .name = "pci-device",
    .version = 1,
    .minimum_version = 1,
    .post_load = post_load,
    .fields = (const StateField[]) {
        STATE_F_CUSTOM(PciDevice, config, save_config, load_config),
        STATE_F_UINT8(PciDevice, intx_level),
        STATE_F_CUSTOM(PciDevice, msix, msix_save, msix_load),
        STATE_F_END
    },
};

/* ---- types ---- */

OBJECT_TYPE(pci_device_type) = {
    .name = "pci-device",
    .parent = &device_type,
    .instance_size = sizeof(PciDevice),
    .abstract = true,
    .instance_finalize = finalize,
    .properties = pci_device_properties,
};

static const BusOps pci_bus_ops = {
    .check_address = check_address,
    .device_path = device_path,
};

OBJECT_TYPE(pci_bus_type) = {
    .name = "PCIE",
    .parent = &bus_type,
    .instance_size = sizeof(PciBus),
    .impls = TYPE_IMPLS({ &bus_type, &pci_bus_ops }),
};
