/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hot-plug that the guest's ACPI methods drive: a block of registers over a
 * number of slots (of CPUs, of memory), and the generic event device that makes
 * the guest look. docs/system/hotplug.md has the registers.
 *
 * Thread: machine lock.
 */
#ifndef HW_ACPI_HOTPLUG_H
#define HW_ACPI_HOTPLUG_H

#include "hw/acpi/ged.h"
#include "qapi-types.h"
#include "util/event-loop.h"

/* Bits of a slot's flags as the guest reads them; the events are cleared by writing them. */
enum {
    ACPI_SLOT_ENABLED = 1 << 0, ACPI_SLOT_INSERTED = 1 << 1, ACPI_SLOT_REMOVE = 1 << 2,
    ACPI_SLOT_EJECT = 1 << 3,   /* written only */
};

typedef struct AcpiSlot {
    DeviceState *dev;           /* borrowed; NULL: empty */
    bool inserted, remove;      /* events that the guest has not seen */
    bool eject;                 /* the guest let go, the main thread has not removed it yet */
    uint32_t ost_event, ost_status;     /* the guest's last report */
} AcpiSlot;

typedef struct AcpiSlots {
    DeviceState dev;
    MemoryRegion io;
    GedState *ged;
    GedEvent event;
    ACPISlotType type;
    uint32_t count;
    AcpiSlot *slots;
    uint32_t selector;          /* may be out of range */
    uint32_t command;
    const uint64_t *arch_ids;   /* CPUs: of each slot, borrowed; else NULL */
    BottomHalf *eject;
    struct AcpiSlots *next;
} AcpiSlots;

/* What a kind of slots is: TYPE_IMPLS({ &acpi_slots_type, &ops }). */
typedef struct AcpiSlotsOps {
    MemoryRegionOps registers;
    uint32_t size;              /* of them */
    GedEvent event;
    ACPISlotType type;
} AcpiSlotsOps;

extern const TypeInfo acpi_slots_type;          /* abstract */
extern const TypeInfo acpi_cpu_slots_type;      /* "acpi-cpu-hotplug" */
extern const TypeInfo acpi_memory_slots_type;   /* "acpi-memory-hotplug" */
#define ACPI_SLOTS(p) ((AcpiSlots *)object_cast(p, &acpi_slots_type))

/* Registers for CPUs: selector and data have four bytes, the others one. */
enum { CPU_SLOTS_SELECTOR = 0, CPU_SLOTS_FLAGS = 4, CPU_SLOTS_COMMAND = 5, CPU_SLOTS_DATA = 8 };
enum {
    CPU_COMMAND_NEXT_EVENT, CPU_COMMAND_OST_EVENT, CPU_COMMAND_OST_STATUS, CPU_COMMAND_ARCH_ID,
};
#define ACPI_CPU_SLOTS_SIZE 12
/* Registers for memory, four bytes each: what writes do, what reads give. */
enum { MEMORY_SLOTS_SELECTOR = 0, MEMORY_SLOTS_OST_EVENT = 4, MEMORY_SLOTS_OST_STATUS = 8 };
enum {
    MEMORY_SLOTS_ADDRESS = 0, MEMORY_SLOTS_LENGTH = 8, MEMORY_SLOTS_NODE = 0x10,
    MEMORY_SLOTS_FLAGS = 0x14,
};
#define ACPI_MEMORY_SLOTS_SIZE 24

/* @count slots as @parent/@name, realized; its region is for the caller to map. Borrowed, or NULL. */
AcpiSlots *acpi_slots_create(Object *parent, const TypeInfo *type, uint32_t count, GedState *ged,
                             Error **errp);
/* @dev is in slot @n now; the guest is told when it is hot-plugged. */
void acpi_slots_plug(AcpiSlots *s, unsigned n, DeviceState *dev);
/* Ask the guest; when it lets go, the device ends by device_unplug_finish(). */
void acpi_slots_request(AcpiSlots *s, unsigned n);
/* The device is leaving. */
void acpi_slots_unplug(AcpiSlots *s, unsigned n);

/* ---- for the kinds of slots ---- */

/* The selected slot, or NULL. */
AcpiSlot *acpi_slots_selected(AcpiSlots *s);
uint8_t acpi_slots_flags(AcpiSlots *s);
void acpi_slots_write_flags(AcpiSlots *s, uint8_t value);
void acpi_slots_set_ost_event(AcpiSlots *s, uint32_t event);
/* Tells management. */
void acpi_slots_set_ost_status(AcpiSlots *s, uint32_t status);

/* ---- in the DSDT ---- */

/* @method(slot, code): Notify(the slot's device, code). @name gives a device's name. */
void acpi_slots_build_notify(Aml *a, const char *method, unsigned count, void (*name)(unsigned n, char name[5]));

typedef struct AcpiCpuAml {
    unsigned count;
    const uint32_t *apic_ids;
    const int16_t *nodes;       /* NUMA nodes; NULL: none */
} AcpiCpuAml;

/* \_SB.CPUS with a processor device for each slot; registers in ports from @base on. */
void acpi_cpu_slots_build_aml(Aml *a, uint64_t base, const AcpiCpuAml *c);
/* \_SB.MHPC with a memory device for each slot. */
void acpi_memory_slots_build_aml(Aml *a, AmlRegionSpace space, uint64_t base, unsigned count);

#endif
