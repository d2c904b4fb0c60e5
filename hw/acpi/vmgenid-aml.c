/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ACPI description of the VM generation ID. Any thread. */
#include "util/osdep.h"

#include "hw/acpi/vmgenid.h"

void vmgenid_build_aml(AcpiTables *t, Aml *a, uint64_t page)
{
    /* Outside of everything: what is in a scope moves when the scope's length is known. */
    g_assert(a->depth == 0);
    if (page) {
        aml_name_int(a, "VGIA", page);
    } else {
        aml_name(a, "VGIA");
        acpi_put(t, 0x0c, 1);   /* DWordPrefix (20.2.3) */
        acpi_put_file_pointer(t, &(AcpiExtraFile){
            .name = VMGENID_GUID_FILE, .align = VMGENID_PAGE_SIZE, .address_file = VMGENID_ADDRESS_FILE,
            .address_offset = VMGENID_OFFSET,
        }, 4);
    }
    aml_begin_scope(a, "\\_SB");
    aml_begin_device(a, "VGEN");
    aml_name_string(a, "_HID", "NEMU0001");
    aml_name_string(a, "_CID", "VM_Gen_Counter");
    aml_name_string(a, "_DDN", "VM_Gen_Counter");
    aml_begin_method(a, "_STA", 0, false);
    aml_begin_if(a);
    aml_op(a, AML_LEQUAL);
    aml_path(a, "VGIA");
    aml_int(a, 0);
    aml_op(a, AML_RETURN);
    aml_int(a, 0);
    aml_end(a);
    aml_op(a, AML_RETURN);
    aml_int(a, 0xf);
    aml_end(a);
    /* The id's address, in two halves. */
    aml_begin_method(a, "ADDR", 0, false);
    aml_op(a, AML_STORE);
    aml_begin_package(a, 2);
    aml_int(a, 0);
    aml_int(a, 0);
    aml_end(a);
    aml_local(a, 0);
    aml_op(a, AML_ADD);
    aml_path(a, "VGIA");
    aml_int(a, VMGENID_OFFSET);
    aml_op(a, AML_INDEX);
    aml_local(a, 0);
    aml_int(a, 0);
    aml_no_target(a);
    aml_op(a, AML_RETURN);
    aml_local(a, 0);
    aml_end(a);
    aml_end(a);
    aml_end(a);
}
