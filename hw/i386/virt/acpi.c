/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ACPI tables of `virt`: DSDT, FADT (hardware-reduced), MADT, MCFG. Built
 * from plain data; runs on the main thread; reads nothing that the guest wrote.
 */
#include "util/osdep.h"

#include "acpi.h"
#include "hw/acpi/ged.h"
#include "hw/i386/virt.h"

/* INTA-INTD of every slot, rotated over the four lines; sources are GSIs themselves. */
static void build_prt(Aml *a)
{
    aml_name(a, "_PRT");
    aml_begin_package(a, 32 * VIRT_INTX_LINES);
    for (unsigned slot = 0; slot < 32; slot++) {
        for (unsigned pin = 0; pin < VIRT_INTX_LINES; pin++) {
            aml_begin_package(a, 4);
            aml_int(a, slot << 16 | 0xffff);
            aml_int(a, pin);
            aml_int(a, 0);
            aml_int(a, VIRT_GSI_INTX + (slot + pin) % VIRT_INTX_LINES);
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

static void build_host_bridge(Aml *a, const VirtAcpiConfig *c)
{
    aml_begin_device(a, "PCI0");
    aml_name_eisa_id(a, "_HID", "PNP0A08");
    aml_name_eisa_id(a, "_CID", "PNP0A03");
    aml_name_int(a, "_SEG", 0);
    aml_name_int(a, "_BBN", 0);
    aml_name_int(a, "_UID", 0);
    aml_name(a, "_CRS");
    aml_begin_resources(a);
    aml_res_window_bus(a, 0, c->ecam_size / MIB);
    aml_res_io(a, 0xcf8, 8);
    aml_res_window_io(a, VIRT_PCI_IO1_BASE, VIRT_PCI_IO1_SIZE);
    aml_res_window_io(a, VIRT_PCI_IO2_BASE, VIRT_PCI_IO2_SIZE);
    aml_res_window_memory32(a, c->mmio32_base, c->mmio32_end - c->mmio32_base);
    if (c->mmio64_size) {
        aml_res_window_memory64(a, c->mmio64_base, c->mmio64_size, true);
    }
    aml_end(a);
    build_prt(a);
    build_osc(a);
    aml_end(a);
}

/* What no driver claims but no one else may use: the configuration window. */
static void build_motherboard(Aml *a, const VirtAcpiConfig *c)
{
    aml_begin_device(a, "MRES");
    aml_name_eisa_id(a, "_HID", "PNP0C02");
    aml_name_int(a, "_UID", 0);
    aml_name(a, "_CRS");
    aml_begin_resources(a);
    aml_res_memory32_fixed(a, c->ecam_base, c->ecam_size, false);
    aml_end(a);
    aml_end(a);
}

static void build_serial(Aml *a, unsigned index, const VirtAcpiSerial *s)
{
    char name[5] = { 'C', 'O', 'M', '1' + index, 0 };
    aml_begin_device(a, name);
    aml_name_eisa_id(a, "_HID", "PNP0501");
    aml_name_int(a, "_UID", index + 1);
    aml_name_int(a, "_STA", 0xf);
    aml_name(a, "_CRS");
    aml_begin_resources(a);
    aml_res_io(a, s->port, 8);
    aml_res_interrupt(a, s->irq, true, false);
    aml_end(a);
    aml_end(a);
}

static void build_fw_cfg(Aml *a)
{
    aml_begin_device(a, "FWCF");
    aml_name_string(a, "_HID", "QEMU0002");
    /* Present and working, not shown in a user interface. */
    aml_name_int(a, "_STA", 0xb);
    aml_name(a, "_CRS");
    aml_begin_resources(a);
    aml_res_io(a, VIRT_PORT_FW_CFG, VIRT_PORT_FW_CFG_LEN);
    aml_end(a);
    aml_end(a);
}

/* The device that Linux' pvpanic driver binds to, with its two methods. */
static void build_pvpanic(Aml *a, uint16_t port)
{
    aml_begin_device(a, "PEVT");
    aml_name_string(a, "_HID", "QEMU0001");
    aml_name(a, "_CRS");
    aml_begin_resources(a);
    aml_res_io(a, port, 1);
    aml_end(a);
    aml_region(a, "PEOR", AML_SYSTEM_IO, port, 1);
    aml_begin_field(a, "PEOR", AML_ACCESS_BYTE);
    aml_field_unit(a, "PEPT", 8);
    aml_end(a);
    aml_name_int(a, "_STA", 0xf);
    aml_begin_method(a, "RDPT", 0, false);
    aml_op(a, AML_RETURN);
    aml_path(a, "PEPT");
    aml_end(a);
    aml_begin_method(a, "WRPT", 1, false);
    aml_op(a, AML_STORE);
    aml_arg(a, 0);
    aml_path(a, "PEPT");
    aml_end(a);
    aml_end(a);
}

static void build_dsdt(AcpiTables *t, const VirtAcpiConfig *c)
{
    Aml aml, *a = &aml;
    acpi_table_begin(t, "DSDT", 2);
    aml_init(a, t->blob);
    aml_begin_scope(a, "\\_SB");
    build_host_bridge(a, c);
    build_motherboard(a, c);
    for (unsigned i = 0; i < VIRT_MAX_SERIAL; i++) {
        if (c->serial[i].port) {
            build_serial(a, i, &c->serial[i]);
        }
    }
    build_fw_cfg(a);
    if (c->pvpanic_port) {
        build_pvpanic(a, c->pvpanic_port);
    }
    aml_end(a);
    ged_build_aml(a, AML_SYSTEM_IO, VIRT_PORT_GED, VIRT_GSI_GED, GED_EVENT_POWER_BUTTON);

    aml_name(a, "\\_S5");
    aml_begin_package(a, 4);
    aml_int(a, VIRT_SLEEP_TYPE_S5);
    aml_int(a, VIRT_SLEEP_TYPE_S5);
    aml_int(a, 0);
    aml_int(a, 0);
    aml_end(a);
    g_assert(a->depth == 0);
    acpi_table_end(t);
}

static void build_fadt(AcpiTables *t)
{
    const AcpiFadt fadt = {
        /* The buttons' bits say that they are no fixed hardware. */
        .flags = ACPI_FADT_WBINVD | ACPI_FADT_PWR_BUTTON | ACPI_FADT_SLP_BUTTON |
                 ACPI_FADT_RESET_REG_SUP,
        .x86_boot_arch = ACPI_X86_VGA_NOT_PRESENT | ACPI_X86_NO_CMOS_RTC,
        .reset = { .space = 1, .bits = 8, .access = 1, .address = VIRT_PORT_RESET },
        .reset_value = VIRT_RESET_VALUE,
        .sleep_control = { .space = 1, .bits = 8, .access = 1, .address = VIRT_PORT_SLEEP_CONTROL },
        .sleep_status = { .space = 1, .bits = 8, .access = 1, .address = VIRT_PORT_SLEEP_STATUS },
        .pm_timer = { .space = 1, .bits = 32, .access = 3, .address = VIRT_PORT_PM_TIMER },
    };
    acpi_build_fadt(t, &fadt);
}

static void build_madt(AcpiTables *t, const VirtAcpiConfig *c)
{
    bool x2apic = false;
    acpi_madt_begin(t, VIRT_LAPIC_BASE, false);
    for (unsigned i = 0; i < c->max_cpus; i++) {
        acpi_madt_lapic(t, i, c->apic_ids[i], c->present[i]);
        x2apic |= c->apic_ids[i] >= 255;
    }
    acpi_madt_ioapic(t, 0, VIRT_IOAPIC_BASE, 0);
    acpi_madt_lapic_nmi(t, x2apic);
    acpi_table_end(t);
}

AcpiTables *virt_acpi_build(const VirtAcpiConfig *c)
{
    AcpiTables *t = acpi_tables_new("NEMU", "NEMUVIRT");
    build_dsdt(t, c);
    build_fadt(t);
    build_madt(t, c);
    acpi_build_mcfg(t, c->ecam_base, 0, c->ecam_size / MIB - 1);
    acpi_tables_finish(t);
    return t;
}
