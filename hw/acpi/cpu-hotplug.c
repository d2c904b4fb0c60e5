/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hot-plug of CPUs: twelve bytes of registers, which the DSDT's methods use
 * (cpu-hotplug-aml.c; docs/system/hotplug.md).
 *
 * Main thread and vCPU threads, with the machine lock. See hotplug.c for trust.
 */
#include "util/osdep.h"

#include "hw/acpi/hotplug.h"

/* ---- registers ---- */

/* The first slot with an event, from the selected one on, gets selected. */
static void select_next_event(AcpiSlots *s)
{
    for (uint32_t i = 0; i < s->count && s->selector < s->count; i++) {
        uint32_t n = (s->selector + i) % s->count;

        if (s->slots[n].inserted || s->slots[n].remove) {
            s->selector = n;
            return;
        }
    }
}

static uint64_t cpu_read(void *opaque, GuestAddr addr, unsigned size)
{
    AcpiSlots *s = opaque;
    uint64_t id = acpi_slots_selected(s) && s->arch_ids ? s->arch_ids[s->selector] : 0;

    switch (addr) {
    case CPU_SLOTS_SELECTOR:
        return s->command == CPU_COMMAND_ARCH_ID ? id >> 32 : 0;
    case CPU_SLOTS_FLAGS:
        return acpi_slots_flags(s);
    case CPU_SLOTS_DATA:
        return !acpi_slots_selected(s) ? 0
               : s->command == CPU_COMMAND_NEXT_EVENT ? s->selector
               : s->command == CPU_COMMAND_ARCH_ID ? (uint32_t)id : 0;
    default:
        return 0;
    }
}

static void cpu_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    AcpiSlots *s = opaque;

    switch (addr) {
    case CPU_SLOTS_SELECTOR:
        s->selector = value;
        break;
    case CPU_SLOTS_FLAGS:
        acpi_slots_write_flags(s, value);
        break;
    case CPU_SLOTS_COMMAND:
        if (acpi_slots_selected(s) && (value & 0xff) <= CPU_COMMAND_ARCH_ID) {
            s->command = value & 0xff;
            if (s->command == CPU_COMMAND_NEXT_EVENT) {
                select_next_event(s);
            }
        }
        break;
    case CPU_SLOTS_DATA:
        if (s->command == CPU_COMMAND_OST_EVENT) {
            acpi_slots_set_ost_event(s, value);
        } else if (s->command == CPU_COMMAND_OST_STATUS) {
            acpi_slots_set_ost_status(s, value);
        }
        break;
    default:
        break;
    }
}

static const AcpiSlotsOps cpu_slots_ops = {
    .registers = { .read = cpu_read, .write = cpu_write, .valid_min = 1, .valid_max = 4 },
    .size = ACPI_CPU_SLOTS_SIZE, .event = GED_EVENT_CPU, .type = ACPI_SLOT_TYPE_CPU,
};

OBJECT_TYPE(acpi_cpu_slots_type) = {
    .name = "acpi-cpu-hotplug", .parent = &acpi_slots_type,
    .description = "Registers for hot-plug of CPUs",
    .instance_size = sizeof(AcpiSlots),
    .impls = TYPE_IMPLS({ &acpi_slots_type, &cpu_slots_ops }),
};
