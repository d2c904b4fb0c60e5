/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The processor devices of the DSDT and their methods on the registers for
 * hot-plug of CPUs (cpu-hotplug.c). Built from plain data.
 */
#include "util/osdep.h"

#include "hw/acpi/hotplug.h"
#include "hw/acpi/tables.h"

/* Methods that take the number of a slot and use the registers alone. */
static void begin_locked(Aml *a, const char *name, unsigned args)
{
    aml_begin_method(a, name, args, true);
    aml_acquire(a, "CPLK");
    if (args) {
        aml_store_arg(a, 0, "CSEL");
    }
}

static void end_locked(Aml *a)
{
    aml_release(a, "CPLK");
    aml_end(a);
}

/* If a flag is in Local0: notify, and clear the event. */
static void build_event(Aml *a, uint8_t flag, unsigned notification)
{
    aml_begin_if(a);
    aml_op(a, AML_AND);
    aml_local(a, 0);
    aml_int(a, flag);
    aml_no_target(a);
    aml_path(a, "CTFY");
    aml_path(a, "CDAT");
    aml_int(a, notification);
    aml_store_int(a, flag, "CFLG");
    aml_op(a, AML_STORE);
    aml_int(a, 1);
    aml_local(a, 1);
    aml_end(a);
}

static void build_scan(Aml *a)
{
    begin_locked(a, "CSCN", 0);
    aml_store_int(a, 0, "CSEL");
    aml_op(a, AML_STORE);
    aml_int(a, 1);
    aml_local(a, 1);
    aml_begin_while(a);
    aml_local(a, 1);
    aml_op(a, AML_STORE);
    aml_int(a, 0);
    aml_local(a, 1);
    aml_store_int(a, CPU_COMMAND_NEXT_EVENT, "CCMD");
    aml_op(a, AML_STORE);
    aml_path(a, "CFLG");
    aml_local(a, 0);
    build_event(a, ACPI_SLOT_INSERTED, 1);
    build_event(a, ACPI_SLOT_REMOVE, 3);
    aml_end(a);
    end_locked(a);
}

static void build_methods(Aml *a)
{
    begin_locked(a, "CSTA", 1);
    aml_op(a, AML_STORE);
    aml_int(a, 0);
    aml_local(a, 0);
    aml_begin_if(a);
    aml_op(a, AML_AND);
    aml_path(a, "CFLG");
    aml_int(a, ACPI_SLOT_ENABLED);
    aml_no_target(a);
    aml_op(a, AML_STORE);
    aml_int(a, 0xf);
    aml_local(a, 0);
    aml_end(a);
    aml_release(a, "CPLK");
    aml_op(a, AML_RETURN);
    aml_local(a, 0);
    aml_end(a);

    begin_locked(a, "CEJ0", 1);
    aml_store_int(a, ACPI_SLOT_EJECT, "CFLG");
    end_locked(a);

    begin_locked(a, "COST", 3);
    aml_store_int(a, CPU_COMMAND_OST_EVENT, "CCMD");
    aml_store_arg(a, 1, "CDAT");
    aml_store_int(a, CPU_COMMAND_OST_STATUS, "CCMD");
    aml_store_arg(a, 2, "CDAT");
    end_locked(a);
}

static void cpu_name(unsigned n, char name[5])
{
    g_snprintf(name, 5, "C%03X", n & 0xfff);
}

static void build_cpu(Aml *a, unsigned n, const AcpiCpuAml *c)
{
    uint8_t entry[ACPI_MADT_LAPIC_MAX];
    char name[5];

    cpu_name(n, name);
    aml_begin_device(a, name);
    aml_name_string(a, "_HID", "ACPI0007");
    aml_name_int(a, "_UID", n);
    aml_begin_method(a, "_STA", 0, false);
    aml_op(a, AML_RETURN);
    aml_path(a, "CSTA");
    aml_int(a, n);
    aml_end(a);
    aml_name(a, "_MAT");
    aml_buffer(a, entry, acpi_madt_lapic_entry(entry, n, c->apic_ids[n], true));
    if (n) {
        /* The first CPU starts the machine: it stays. */
        aml_begin_method(a, "_EJ0", 1, false);
        aml_path(a, "CEJ0");
        aml_int(a, n);
        aml_end(a);
    }
    aml_begin_method(a, "_OST", 3, false);
    aml_path(a, "COST");
    aml_int(a, n);
    aml_arg(a, 0);
    aml_arg(a, 1);
    aml_end(a);
    if (c->nodes) {
        aml_name_int(a, "_PXM", c->nodes[n]);
    }
    aml_end(a);
}

void acpi_cpu_slots_build_aml(Aml *a, uint64_t base, const AcpiCpuAml *c)
{
    aml_begin_device(a, "\\_SB.CPUS");
    aml_name_string(a, "_HID", "ACPI0010");
    aml_name_eisa_id(a, "_CID", "PNP0A05");
    aml_mutex(a, "CPLK");
    aml_region(a, "PRST", AML_SYSTEM_IO, base, ACPI_CPU_SLOTS_SIZE);
    aml_begin_field(a, "PRST", AML_ACCESS_DWORD);
    aml_field_unit(a, "CSEL", 32);
    aml_field_skip(a, 32);
    aml_field_unit(a, "CDAT", 32);
    aml_end(a);
    aml_begin_field(a, "PRST", AML_ACCESS_BYTE);
    aml_field_skip(a, 8 * CPU_SLOTS_FLAGS);
    aml_field_unit(a, "CFLG", 8);
    aml_field_unit(a, "CCMD", 8);
    aml_end(a);
    build_methods(a);
    acpi_slots_build_notify(a, "CTFY", c->count, cpu_name);
    build_scan(a);
    for (unsigned n = 0; n < c->count; n++) {
        build_cpu(a, n, c);
    }
    aml_end(a);
}
