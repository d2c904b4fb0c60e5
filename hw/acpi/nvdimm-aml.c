/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NVDIMMs in the guest's tables: NFIT, and \_SB.NVDR with a device for each slot,
 * whose methods leave requests in the page and ring the doorbell (nvdimm.c).
 * Built from plain data.
 */
#include "util/osdep.h"

#include "hw/acpi/dimms.h"

#define UUID_ROOT "2f10e7a4-9e91-11e4-89d3-123b93f75cba"
#define UUID_NVDIMM "4309ac30-0d11-11e4-9191-0800200c9a66"
enum { TYPE_PACKAGE = 4 };

void acpi_build_nfit(AcpiTables *t, const uint8_t *structures, size_t size)
{
    acpi_table_begin(t, "NFIT", 1);
    acpi_put_zeros(t, 4);
    g_byte_array_append(t->blob, structures, size);
    acpi_table_end(t);
}

static void build_registers(Aml *a, const AcpiNvdimmAml *n)
{
    aml_region(a, "NPAG", AML_SYSTEM_MEMORY, n->page, ACPI_NVDIMM_PAGE_SIZE);
    aml_begin_field(a, "NPAG", AML_ACCESS_DWORD);
    aml_field_unit(a, "HDLE", 32);
    aml_field_unit(a, "REVS", 32);
    aml_field_unit(a, "FUNC", 32);
    aml_field_unit(a, "FARG", 8 * (ACPI_NVDIMM_PAGE_SIZE - NVDIMM_REQ_ARGUMENT));
    aml_end(a);
    aml_begin_field(a, "NPAG", AML_ACCESS_DWORD);
    aml_field_unit(a, "RLEN", 32);
    aml_field_unit(a, "ODAT", 8 * (ACPI_NVDIMM_PAGE_SIZE - NVDIMM_RESP_DATA));
    aml_end(a);
    aml_region(a, "NBEL", n->doorbell_space, n->doorbell, ACPI_NVDIMM_DOORBELL_SIZE);
    aml_begin_field(a, "NBEL", AML_ACCESS_DWORD);
    aml_field_unit(a, "NDBL", 32);
    aml_end(a);
}

/* NCAL(handle, revision, function, argument): the answer as a buffer. */
static void build_call(Aml *a)
{
    aml_begin_method(a, "NCAL", 4, true);
    aml_store_arg(a, 0, "HDLE");
    aml_store_arg(a, 1, "REVS");
    aml_store_arg(a, 2, "FUNC");
    aml_store_arg(a, 3, "FARG");
    aml_op(a, AML_STORE);
    aml_int(a, 0);
    aml_path(a, "NDBL");
    aml_op(a, AML_STORE);
    aml_path(a, "ODAT");
    aml_local(a, 0);
    aml_op(a, AML_RETURN);
    aml_op(a, AML_MID);
    aml_local(a, 0);
    aml_int(a, 0);
    aml_path(a, "RLEN");
    aml_no_target(a);
    aml_end(a);
}

/* NDSM(uuid, revision, function, arguments, handle): as _DSM, whose argument is a package of one buffer. */
static void build_dsm(Aml *a)
{
    static const uint8_t nothing[1];

    aml_begin_method(a, "NDSM", 5, true);
    aml_op(a, AML_STORE);
    aml_buffer(a, nothing, sizeof(nothing));
    aml_local(a, 0);
    aml_begin_if(a);
    aml_op(a, AML_LAND);
    aml_op(a, AML_LEQUAL);
    aml_op(a, AML_OBJECT_TYPE);
    aml_arg(a, 3);
    aml_int(a, TYPE_PACKAGE);
    aml_op(a, AML_LEQUAL);
    aml_op(a, AML_SIZE_OF);
    aml_arg(a, 3);
    aml_int(a, 1);
    aml_op(a, AML_STORE);
    aml_op(a, AML_DEREF_OF);
    aml_op(a, AML_INDEX);
    aml_arg(a, 3);
    aml_int(a, 0);
    aml_no_target(a);
    aml_local(a, 0);
    aml_end(a);
    aml_begin_if(a);
    aml_op(a, AML_LEQUAL);
    aml_arg(a, 0);
    aml_path(a, "NUID");
    aml_op(a, AML_RETURN);
    aml_path(a, "NCAL");
    aml_arg(a, 4);
    aml_arg(a, 1);
    aml_arg(a, 2);
    aml_local(a, 0);
    aml_end(a);
    aml_op(a, AML_RETURN);
    aml_buffer(a, nothing, sizeof(nothing));
    aml_end(a);
}

/* _FIT: the structures of the table as they are now, piece by piece. */
static void build_fit(Aml *a)
{
    enum { PIECE = 0, ALL = 1, OFFSET = 2 };

    aml_begin_method(a, "_FIT", 0, true);
    aml_op(a, AML_STORE);
    aml_buffer(a, NULL, 0);
    aml_local(a, ALL);
    aml_op(a, AML_STORE);
    aml_int(a, 0);
    aml_local(a, OFFSET);
    aml_begin_while(a);
    aml_int(a, 1);
    aml_op(a, AML_STORE);
    aml_path(a, "NCAL");
    aml_int(a, NVDIMM_HANDLE_TABLE);
    aml_int(a, 1);
    aml_int(a, NVDIMM_TABLE_READ);
    aml_local(a, OFFSET);
    aml_local(a, PIECE);
    /* Nothing but a status: that was all. */
    aml_begin_if(a);
    aml_op(a, AML_LLESS);
    aml_op(a, AML_SIZE_OF);
    aml_local(a, PIECE);
    aml_int(a, 5);
    aml_op(a, AML_RETURN);
    aml_local(a, ALL);
    aml_end(a);
    aml_op(a, AML_SUBTRACT);
    aml_op(a, AML_SIZE_OF);
    aml_local(a, PIECE);
    aml_int(a, 4);
    aml_local(a, 3);
    aml_op(a, AML_CONCATENATE);
    aml_local(a, ALL);
    aml_op(a, AML_MID);
    aml_local(a, PIECE);
    aml_int(a, 4);
    aml_local(a, 3);
    aml_no_target(a);
    aml_local(a, ALL);
    aml_op(a, AML_ADD);
    aml_local(a, OFFSET);
    aml_local(a, 3);
    aml_local(a, OFFSET);
    aml_end(a);
    aml_op(a, AML_RETURN);
    aml_local(a, ALL);
    aml_end(a);
}

static void build_nvdimm(Aml *a, unsigned slot)
{
    char name[5];

    g_snprintf(name, sizeof(name), "NV%02X", slot & 0xff);
    aml_begin_device(a, name);
    aml_name_int(a, "_ADR", slot + 1);
    aml_begin_method(a, "_DSM", 4, true);
    aml_op(a, AML_RETURN);
    aml_path(a, "NDSM");
    for (unsigned i = 0; i < 4; i++) {
        aml_arg(a, i);
    }
    aml_int(a, slot + 1);
    aml_end(a);
    aml_end(a);
}

void acpi_nvdimm_build_aml(Aml *a, const AcpiNvdimmAml *n)
{
    static const uint8_t nothing[1];

    aml_begin_device(a, "\\_SB.NVDR");
    aml_name_string(a, "_HID", "ACPI0012");
    build_registers(a, n);
    aml_name(a, "NUID");
    aml_uuid(a, UUID_NVDIMM);
    build_call(a);
    build_dsm(a);
    build_fit(a);
    aml_begin_method(a, "_DSM", 4, true);
    aml_begin_if(a);
    aml_op(a, AML_LEQUAL);
    aml_arg(a, 0);
    aml_uuid(a, UUID_ROOT);
    aml_op(a, AML_RETURN);
    aml_path(a, "NCAL");
    aml_int(a, NVDIMM_HANDLE_ROOT);
    aml_arg(a, 1);
    aml_arg(a, 2);
    aml_int(a, 0);
    aml_end(a);
    aml_op(a, AML_RETURN);
    aml_buffer(a, nothing, sizeof(nothing));
    aml_end(a);
    for (unsigned slot = 0; slot < n->slots; slot++) {
        build_nvdimm(a, slot);
    }
    aml_end(a);
}

uint32_t acpi_dimms_build_aml(Aml *a, const AcpiDimmsPlaces *p, unsigned slots, bool nvdimm)
{
    const AcpiNvdimmAml n = {
        .page = p->page, .doorbell_space = p->space, .doorbell = p->doorbell, .slots = slots,
    };

    if (slots) {
        acpi_memory_slots_build_aml(a, p->space, p->slots, slots);
    }
    if (nvdimm) {
        acpi_nvdimm_build_aml(a, &n);
    }
    return (slots ? GED_EVENT_MEMORY : 0) | (nvdimm ? GED_EVENT_NVDIMM : 0);
}
