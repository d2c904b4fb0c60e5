/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory devices of the DSDT and their methods on the registers for
 * hot-plug of DIMMs (memory-hotplug.c). Built from plain data.
 */
#include "util/osdep.h"

#include "hw/acpi/hotplug.h"

/* In a QWORD address space descriptor. */
enum { QWORD_MIN = 14, QWORD_MAX = 22, QWORD_LENGTH = 38 };

static void store_path(Aml *a, const char *from, unsigned local)
{
    aml_op(a, AML_STORE);
    aml_path(a, from);
    aml_local(a, local);
}

/* Methods whose first argument is a slot; they use the registers alone. */
static void begin_locked(Aml *a, const char *name, unsigned args)
{
    aml_begin_method(a, name, args, true);
    aml_acquire(a, "MLCK");
    if (args) {
        aml_store_arg(a, 0, "MSEL");
    }
}

static void end_locked(Aml *a)
{
    aml_release(a, "MLCK");
    aml_end(a);
}

static void end_returning_local0(Aml *a)
{
    aml_release(a, "MLCK");
    aml_op(a, AML_RETURN);
    aml_local(a, 0);
    aml_end(a);
}

static void if_local1_has(Aml *a, uint8_t flag)
{
    aml_begin_if(a);
    aml_op(a, AML_AND);
    aml_local(a, 1);
    aml_int(a, flag);
    aml_no_target(a);
}

static void build_status(Aml *a)
{
    begin_locked(a, "MSTA", 1);
    aml_op(a, AML_STORE);
    aml_int(a, 0);
    aml_local(a, 0);
    store_path(a, "MFLG", 1);
    if_local1_has(a, ACPI_SLOT_ENABLED);
    aml_op(a, AML_STORE);
    aml_int(a, 0xf);
    aml_local(a, 0);
    aml_end(a);
    end_returning_local0(a);
}

/* @name = high << 32 | low */
static void store_pair(Aml *a, const char *high, const char *low, const char *name)
{
    aml_op(a, AML_OR);
    aml_op(a, AML_SHIFT_LEFT);
    aml_path(a, high);
    aml_int(a, 32);
    aml_no_target(a);
    aml_path(a, low);
    aml_path(a, name);
}

static void field_of_template(Aml *a, unsigned offset, const char *name)
{
    aml_op(a, AML_CREATE_QWORD_FIELD);
    aml_path(a, "MR64");
    aml_int(a, offset);
    aml_path(a, name);
}

static void build_resources(Aml *a)
{
    aml_begin_method(a, "MCRS", 1, true);
    aml_name(a, "MR64");
    aml_begin_resources(a);
    aml_res_window_memory64(a, 0, 1, true);
    aml_end(a);
    field_of_template(a, QWORD_MIN, "MINA");
    field_of_template(a, QWORD_MAX, "MAXA");
    field_of_template(a, QWORD_LENGTH, "LENA");
    aml_acquire(a, "MLCK");
    aml_store_arg(a, 0, "MSEL");
    store_pair(a, "MRBH", "MRBL", "MINA");
    store_pair(a, "MRLH", "MRLL", "LENA");
    aml_release(a, "MLCK");
    aml_op(a, AML_SUBTRACT);
    aml_op(a, AML_ADD);
    aml_path(a, "MINA");
    aml_path(a, "LENA");
    aml_no_target(a);
    aml_int(a, 1);
    aml_path(a, "MAXA");
    aml_op(a, AML_RETURN);
    aml_path(a, "MR64");
    aml_end(a);
}

static void build_event(Aml *a, uint8_t flag, unsigned notification)
{
    if_local1_has(a, flag);
    aml_path(a, "MTFY");
    aml_local(a, 0);
    aml_int(a, notification);
    aml_store_int(a, flag, "MFLG");
    aml_end(a);
}

static void build_scan(Aml *a, unsigned count)
{
    begin_locked(a, "MSCN", 0);
    aml_op(a, AML_STORE);
    aml_int(a, 0);
    aml_local(a, 0);
    aml_begin_while(a);
    aml_op(a, AML_LLESS);
    aml_local(a, 0);
    aml_int(a, count);
    aml_op(a, AML_STORE);
    aml_local(a, 0);
    aml_path(a, "MSEL");
    store_path(a, "MFLG", 1);
    build_event(a, ACPI_SLOT_INSERTED, 1);
    build_event(a, ACPI_SLOT_REMOVE, 3);
    aml_op(a, AML_INCREMENT);
    aml_local(a, 0);
    aml_end(a);
    end_locked(a);
}

static void build_methods(Aml *a)
{
    build_status(a);
    build_resources(a);

    begin_locked(a, "MPXM", 1);
    store_path(a, "MNOD", 0);
    end_returning_local0(a);

    begin_locked(a, "MEJ0", 1);
    aml_store_int(a, ACPI_SLOT_EJECT, "MFLG");
    end_locked(a);

    begin_locked(a, "MOST", 3);
    aml_store_arg(a, 1, "MOEV");
    aml_store_arg(a, 2, "MOSC");
    end_locked(a);
}

static void slot_name(unsigned n, char name[5])
{
    g_snprintf(name, 5, "MP%02X", n & 0xff);
}

void acpi_slots_build_notify(Aml *a, const char *method, unsigned count, void (*name)(unsigned n, char name[5]))
{
    aml_begin_method(a, method, 2, false);
    for (unsigned n = 0; n < count; n++) {
        char device[5];

        name(n, device);
        aml_begin_if(a);
        aml_op(a, AML_LEQUAL);
        aml_arg(a, 0);
        aml_int(a, n);
        aml_op(a, AML_NOTIFY);
        aml_path(a, device);
        aml_arg(a, 1);
        aml_end(a);
    }
    aml_end(a);
}

static void build_getter(Aml *a, const char *method, const char *common, unsigned n, bool serialized)
{
    aml_begin_method(a, method, 0, serialized);
    aml_op(a, AML_RETURN);
    aml_path(a, common);
    aml_int(a, n);
    aml_end(a);
}

static void build_slot(Aml *a, unsigned n)
{
    char name[5];

    slot_name(n, name);
    aml_begin_device(a, name);
    aml_name_eisa_id(a, "_HID", "PNP0C80");
    aml_name_int(a, "_UID", n);
    build_getter(a, "_STA", "MSTA", n, false);
    build_getter(a, "_CRS", "MCRS", n, true);
    build_getter(a, "_PXM", "MPXM", n, false);
    aml_begin_method(a, "_EJ0", 1, false);
    aml_path(a, "MEJ0");
    aml_int(a, n);
    aml_end(a);
    aml_begin_method(a, "_OST", 3, false);
    aml_path(a, "MOST");
    aml_int(a, n);
    aml_arg(a, 0);
    aml_arg(a, 1);
    aml_end(a);
    aml_end(a);
}

void acpi_memory_slots_build_aml(Aml *a, AmlRegionSpace space, uint64_t base, unsigned count)
{
    static const char *const read[] = { "MRBL", "MRBH", "MRLL", "MRLH", "MNOD" };
    static const char *const write[] = { "MSEL", "MOEV", "MOSC" };

    aml_begin_device(a, "\\_SB.MHPC");
    aml_name_eisa_id(a, "_HID", "PNP0A06");
    aml_name_string(a, "_UID", "Memory slots");
    aml_mutex(a, "MLCK");
    aml_region(a, "MREG", space, base, ACPI_MEMORY_SLOTS_SIZE);
    aml_begin_field(a, "MREG", AML_ACCESS_DWORD);
    for (unsigned i = 0; i < ARRAY_SIZE(read); i++) {
        aml_field_unit(a, read[i], 32);
    }
    aml_end(a);
    aml_begin_field(a, "MREG", AML_ACCESS_DWORD);
    for (unsigned i = 0; i < ARRAY_SIZE(write); i++) {
        aml_field_unit(a, write[i], 32);
    }
    aml_end(a);
    aml_begin_field(a, "MREG", AML_ACCESS_BYTE);
    aml_field_skip(a, 8 * MEMORY_SLOTS_FLAGS);
    aml_field_unit(a, "MFLG", 8);
    aml_end(a);
    build_methods(a);
    acpi_slots_build_notify(a, "MTFY", count, slot_name);
    build_scan(a, count);
    for (unsigned n = 0; n < count; n++) {
        build_slot(a, n);
    }
    aml_end(a);
}
