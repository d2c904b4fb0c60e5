/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A PCI Express host bridge in the DSDT (PCI Firmware 3.2, section 4): windows,
 * interrupt routing, what the operating system may control. Built from plain
 * data.
 */
#include "util/osdep.h"

#include "hw/acpi/pci.h"

/* INTA-INTD of every slot, rotated over the four lines; sources are GSIs themselves. */
static void build_prt(Aml *a, uint32_t gsi)
{
    aml_name(a, "_PRT");
    aml_begin_package(a, 32 * ACPI_PCI_INTX_LINES);
    for (unsigned slot = 0; slot < 32; slot++) {
        for (unsigned pin = 0; pin < ACPI_PCI_INTX_LINES; pin++) {
            aml_begin_package(a, 4);
            aml_int(a, slot << 16 | 0xffff);
            aml_int(a, pin);
            aml_int(a, 0);
            aml_int(a, gsi + (slot + pin) % ACPI_PCI_INTX_LINES);
            aml_end(a);
        }
    }
    aml_end(a);
}

/*
 * _OSC (PCI Firmware 3.2, section 4.5): the OS may have native hot-plug, PME,
 * AER and the capability structure; SHPC (bit 1) does not exist here.
 */
static void build_osc(Aml *a)
{
    enum { GRANT = 0x1d, STATUS_REVISION = 0x08, STATUS_MASKED = 0x10, STATUS_UUID = 0x04 };

    aml_begin_method(a, "_OSC", 4, false);
    aml_op(a, AML_CREATE_DWORD_FIELD);
    aml_arg(a, 3);
    aml_int(a, 0);
    aml_path(a, "CDW1");
    aml_begin_if(a);
    aml_op(a, AML_LEQUAL);
    aml_arg(a, 0);
    aml_uuid(a, "33db4d5b-1ff7-401c-9657-7441c03dd766");
    aml_op(a, AML_CREATE_DWORD_FIELD);
    aml_arg(a, 3);
    aml_int(a, 8);
    aml_path(a, "CDW3");
    aml_op(a, AML_AND);
    aml_path(a, "CDW3");
    aml_int(a, GRANT);
    aml_local(a, 0);
    aml_begin_if(a);
    aml_op(a, AML_LNOT);
    aml_op(a, AML_LEQUAL);
    aml_arg(a, 1);
    aml_int(a, 1);
    aml_op(a, AML_OR);
    aml_path(a, "CDW1");
    aml_int(a, STATUS_REVISION);
    aml_path(a, "CDW1");
    aml_end(a);
    aml_begin_if(a);
    aml_op(a, AML_LNOT);
    aml_op(a, AML_LEQUAL);
    aml_path(a, "CDW3");
    aml_local(a, 0);
    aml_op(a, AML_OR);
    aml_path(a, "CDW1");
    aml_int(a, STATUS_MASKED);
    aml_path(a, "CDW1");
    aml_end(a);
    aml_op(a, AML_STORE);
    aml_local(a, 0);
    aml_path(a, "CDW3");
    aml_end(a);
    aml_begin_else(a);
    aml_op(a, AML_OR);
    aml_path(a, "CDW1");
    aml_int(a, STATUS_UUID);
    aml_path(a, "CDW1");
    aml_end(a);
    aml_op(a, AML_RETURN);
    aml_arg(a, 3);
    aml_end(a);
}

static void build_windows(Aml *a, const AcpiPciHost *h)
{
    aml_name(a, "_CRS");
    aml_begin_resources(a);
    aml_res_window_bus(a, 0, h->buses);
    if (h->config_ports) {
        aml_res_io(a, 0xcf8, 8);
    }
    for (unsigned i = 0; i < ACPI_PCI_IO_WINDOWS; i++) {
        if (h->io[i].translation) {
            aml_res_window_io_at(a, h->io[i].base, h->io[i].size, h->io[i].translation);
        } else if (h->io[i].size) {
            aml_res_window_io(a, h->io[i].base, h->io[i].size);
        }
    }
    for (unsigned i = 0; i < ACPI_PCI_MMIO32_WINDOWS; i++) {
        if (h->mmio32[i].size) {
            aml_res_window_memory32(a, h->mmio32[i].base, h->mmio32[i].size);
        }
    }
    if (h->mmio64_size) {
        aml_res_window_memory64(a, h->mmio64_base, h->mmio64_size, h->mmio64_prefetchable);
    }
    aml_end(a);
}

void acpi_build_pci_host(Aml *a, const AcpiPciHost *h)
{
    aml_begin_device(a, "PCI0");
    aml_name_eisa_id(a, "_HID", "PNP0A08");
    aml_name_eisa_id(a, "_CID", "PNP0A03");
    aml_name_int(a, "_SEG", 0);
    aml_name_int(a, "_BBN", 0);
    aml_name_int(a, "_UID", 0);
    if (h->coherent) {
        aml_name_int(a, "_CCA", 1);
    }
    if (h->ecam_base) {
        aml_name_int(a, "_CBA", h->ecam_base);
    }
    build_windows(a, h);
    build_prt(a, h->intx_gsi);
    build_osc(a);
    aml_end(a);
}
