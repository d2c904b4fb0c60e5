/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hot-plug of DIMMs: 24 bytes of registers, which the DSDT's methods use
 * (memory-hotplug-aml.c; docs/system/hotplug.md).
 *
 * Main thread and vCPU threads, with the machine lock. See hotplug.c for trust.
 */
#include "util/osdep.h"

#include "hw/acpi/hotplug.h"
#include "hw/mem/memory-device.h"

static uint64_t memory_read(void *opaque, GuestAddr addr, unsigned size)
{
    AcpiSlots *s = opaque;
    const AcpiSlot *slot = acpi_slots_selected(s);
    const MemoryDevice *d = slot && slot->dev ? &PC_DIMM(slot->dev)->mem : NULL;

    if (addr == MEMORY_SLOTS_FLAGS) {
        return acpi_slots_flags(s);
    }
    if (!d) {
        return 0;
    }
    switch (addr) {
    case MEMORY_SLOTS_ADDRESS:
        return (uint32_t)d->addr;
    case MEMORY_SLOTS_ADDRESS + 4:
        return d->addr >> 32;
    case MEMORY_SLOTS_LENGTH:
        return (uint32_t)d->size;
    case MEMORY_SLOTS_LENGTH + 4:
        return d->size >> 32;
    case MEMORY_SLOTS_NODE:
        return d->node;
    default:
        return 0;
    }
}

static void memory_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    AcpiSlots *s = opaque;

    switch (addr) {
    case MEMORY_SLOTS_SELECTOR:
        s->selector = value;
        break;
    case MEMORY_SLOTS_OST_EVENT:
        acpi_slots_set_ost_event(s, value);
        break;
    case MEMORY_SLOTS_OST_STATUS:
        acpi_slots_set_ost_status(s, value);
        break;
    case MEMORY_SLOTS_FLAGS:
        acpi_slots_write_flags(s, value);
        break;
    default:
        break;
    }
}

static const AcpiSlotsOps memory_slots_ops = {
    .registers = { .read = memory_read, .write = memory_write, .valid_min = 1, .valid_max = 4 },
    .size = ACPI_MEMORY_SLOTS_SIZE, .event = GED_EVENT_MEMORY, .type = ACPI_SLOT_TYPE_DIMM,
};

OBJECT_TYPE(acpi_memory_slots_type) = {
    .name = "acpi-memory-hotplug", .parent = &acpi_slots_type,
    .description = "Registers for hot-plug of DIMMs",
    .instance_size = sizeof(AcpiSlots),
    .impls = TYPE_IMPLS({ &acpi_slots_type, &memory_slots_ops }),
};
