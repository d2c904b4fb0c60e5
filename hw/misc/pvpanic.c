/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pvpanic: one byte, a port or (pvpanic-pci) in a BAR; the guest reads which
 * events it may report and writes those that happened
 * (docs/system/devices/pvpanic.md). vCPU threads with the machine lock. A guest
 * can report as often as it likes; each report is one event to management.
 */
#include "util/osdep.h"

#include "hw/misc/isa.h"
#include "hw/misc/pvpanic.h"
#include "hw/pci/pci.h"
#include "system/runstate.h"
#include "trace-hw-misc.h"

enum { EVENT_PANICKED = 1 << 0, EVENT_CRASH_LOADED = 1 << 1 };

#define EVENTS_DEFAULT (EVENT_PANICKED | EVENT_CRASH_LOADED)
#define EVENTS_HELP "events that the guest may report: 1 panic, 2 crash kernel loaded"
#define BAR_SIZE 16             /* the smallest there is */

/* @opaque: the mask of events. */
static uint64_t pvpanic_read(void *opaque, GuestAddr addr, unsigned size)
{
    const uint8_t *events = opaque;
    return addr == 0 ? *events : 0;
}

static void pvpanic_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    const uint8_t *events = opaque;
    value &= addr == 0 ? *events : 0;
    trace_pvpanic_write(value);
    if (value & EVENT_PANICKED) {
        system_guest_panicked(NULL);
    } else if (value & EVENT_CRASH_LOADED) {
        system_guest_crash_loaded(NULL);
    }
}

static const MemoryRegionOps pvpanic_region_ops = {
    .read = pvpanic_read, .write = pvpanic_write, .valid_min = 1, .valid_max = 1,
};

/* ---- on the ISA bus ---- */

static bool pvpanic_realize(DeviceState *dev, Error **errp)
{
    PvpanicState *s = PVPANIC(dev);
    memory_region_init_io(&s->io, OBJECT(s), &pvpanic_region_ops, &s->events, "pvpanic", 1);
    if (!isa_add_ports(dev, &s->io, s->port, errp)) {
        memory_region_cleanup(&s->io);
        return false;
    }
    return true;
}

static void pvpanic_unrealize(DeviceState *dev)
{
    memory_region_cleanup(&PVPANIC(dev)->io);
}

static const ObjectProperty pvpanic_properties[] = {
    PROP_UINT16("ioport", PvpanicState, port, 0x505, "port"),
    PROP_UINT8("events", PvpanicState, events, EVENTS_DEFAULT, EVENTS_HELP),
    PROP_END
};

static const DeviceOps pvpanic_ops = {
    .realize = pvpanic_realize,
    .unrealize = pvpanic_unrealize,
    .state = &state_table_none,
    .bus = &isa_bus_type,
    .user_creatable = true,
};

OBJECT_TYPE(pvpanic_type) = {
    .name = "pvpanic",
    .parent = &device_type,
    .description = "Reports panics of the guest",
    .instance_size = sizeof(PvpanicState),
    .properties = pvpanic_properties,
    .impls = TYPE_IMPLS({ &device_type, &pvpanic_ops }),
};

/* ---- on PCI ---- */

typedef struct PvpanicPci {
    PciDevice pci;
    MemoryRegion io;
    uint8_t events;
} PvpanicPci;

static const TypeInfo pvpanic_pci_type;
#define PVPANIC_PCI(p) ((PvpanicPci *)object_cast(p, &pvpanic_pci_type))

static bool pvpanic_pci_realize(PciDevice *pci, Error **errp)
{
    PvpanicPci *s = PVPANIC_PCI(pci);
    memory_region_init_io(&s->io, OBJECT(s), &pvpanic_region_ops, &s->events, "pvpanic", BAR_SIZE);
    pci_register_bar(pci, 0, 0, &s->io);
    return true;
}

static void pvpanic_pci_unrealize(PciDevice *pci)
{
    memory_region_cleanup(&PVPANIC_PCI(pci)->io);
}

static const ObjectProperty pvpanic_pci_properties[] = {
    PROP_UINT8("events", PvpanicPci, events, EVENTS_DEFAULT, EVENTS_HELP),
    PROP_END
};

static const StateField pvpanic_pci_fields[] = {
    STATE_F_STRUCT(PvpanicPci, pci, &pci_device_state),
    STATE_F_END
};

static const StateTable pvpanic_pci_state = {
    .name = "pvpanic-pci", .version = 1, .minimum_version = 1, .fields = pvpanic_pci_fields,
};

static const PciDeviceOps pvpanic_pci_pci_ops = {
    .realize = pvpanic_pci_realize,
    .unrealize = pvpanic_pci_unrealize,
    .vendor_id = 0x1b36,
    .device_id = 0x0011,
    .class_id = 0x0880,         /* system peripheral, other */
    .revision = 1,
};

static const DeviceOps pvpanic_pci_ops = {
    PCI_DEVICE_OPS,
    .state = &pvpanic_pci_state,
    .user_creatable = true,
};

OBJECT_TYPE_STATIC(pvpanic_pci_type) = {
    .name = "pvpanic-pci",
    .parent = &pci_device_type,
    .description = "Reports panics of the guest (PCI)",
    .instance_size = sizeof(PvpanicPci),
    .properties = pvpanic_pci_properties,
    .impls = TYPE_IMPLS({ &device_type, &pvpanic_pci_ops },
                        { &pci_device_type, &pvpanic_pci_pci_ops }),
};
