/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ACPI tables of `virt`: DSDT, FADT (hardware-reduced), MADT, MCFG. Built
 * from plain data; runs on the main thread; reads nothing that the guest wrote.
 */
#include "util/osdep.h"

#include "acpi.h"
#include "hw/acpi/pci.h"
#include "hw/acpi/vmgenid.h"
#include "hw/i386/virt.h"

const AcpiDimmsPlaces virt_dimms_places = {
    .space = AML_SYSTEM_IO, .slots = VIRT_PORT_MEMORY_SLOTS, .doorbell = VIRT_PORT_NVDIMM,
    .page = VIRT_NVDIMM_PAGE,
};

static AcpiPciHost pci_host(const VirtAcpiConfig *c)
{
    uint64_t before = c->mmio32_end, after = c->mmio32_end;

    if (c->ecam_size && c->ecam_base + c->ecam_size > c->mmio32_base && c->ecam_base < c->mmio32_end) {
        before = MAX(c->ecam_base, c->mmio32_base);
        after = MIN(c->ecam_base + c->ecam_size, c->mmio32_end);
    }
    return (AcpiPciHost){
        .buses = c->ecam_size ? c->ecam_size / MIB : 256, .config_ports = true,
        .io = { { VIRT_PCI_IO1_BASE, VIRT_PCI_IO1_SIZE }, { VIRT_PCI_IO2_BASE, VIRT_PCI_IO2_SIZE } },
        .mmio32 = { { c->mmio32_base, before - c->mmio32_base }, { after, c->mmio32_end - after } },
        .mmio64_base = c->mmio64_base, .mmio64_size = c->mmio64_size, .mmio64_prefetchable = true,
        .intx_gsi = VIRT_GSI_INTX,
    };
}

/* What no driver claims but no one else may use. */
static void build_motherboard(Aml *a, const VirtAcpiConfig *c)
{
    aml_begin_device(a, "MRES");
    aml_name_eisa_id(a, "_HID", "PNP0C02");
    aml_name_int(a, "_UID", 0);
    aml_name(a, "_CRS");
    aml_begin_resources(a);
    aml_res_memory32_fixed(a, c->ecam_base, c->ecam_size, false);
    if (c->nfit) {
        aml_res_memory32_fixed(a, VIRT_NVDIMM_PAGE, ACPI_NVDIMM_REGION_SIZE, true);
    }
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

/* What can be plugged in, and the event device that tells of it. */
static void build_hotplug(AcpiTables *t, Aml *a, const VirtAcpiConfig *c)
{
    uint32_t events = GED_EVENT_POWER_BUTTON;

    if (c->cpu_hotplug) {
        const AcpiCpuAml cpus = {
            .count = c->max_cpus, .apic_ids = c->apic_ids, .nodes = c->numa ? c->numa->cpu_node : NULL,
        };

        acpi_cpu_slots_build_aml(a, VIRT_PORT_CPU_SLOTS, &cpus);
        events |= GED_EVENT_CPU;
    }
    events |= acpi_dimms_build_aml(a, &virt_dimms_places, c->memory_slots, c->nfit != NULL);
    if (c->vmgenid) {
        vmgenid_build_aml(t, a, c->vmgenid_page);
        events |= GED_EVENT_VMGENID;
    }
    ged_build_aml(a, AML_SYSTEM_IO, VIRT_PORT_GED, VIRT_GSI_GED, events);
}

static void build_dsdt(AcpiTables *t, const VirtAcpiConfig *c)
{
    Aml aml, *a = &aml;
    AcpiPciHost host = pci_host(c);
    acpi_table_begin(t, "DSDT", 2);
    aml_init(a, t->blob);
    aml_begin_scope(a, "\\_SB");
    acpi_build_pci_host(a, &host);
    if (c->ecam_size) {
        build_motherboard(a, c);
    }
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
    build_hotplug(t, a, c);

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

static void build_numa(AcpiTables *t, const VirtAcpiConfig *c)
{
    acpi_srat_begin(t);
    for (unsigned i = 0; i < c->max_cpus; i++) {
        acpi_srat_lapic(t, c->numa->cpu_node[i], c->apic_ids[i]);
    }
    acpi_srat_ram(t, c->numa, c->ram, ARRAY_SIZE(c->ram));
    if (c->device_memory.size) {
        /* A device's own description says where it really is. */
        acpi_srat_memory(t, c->numa->count - 1, c->device_memory.base, c->device_memory.size,
                         ACPI_SRAT_ENABLED | ACPI_SRAT_HOTPLUGGABLE);
    }
    acpi_table_end(t);
    acpi_build_numa_attributes(t, c->numa, c->hmat);
}

AcpiTables *virt_acpi_build(const VirtAcpiConfig *c)
{
    AcpiTables *t = acpi_tables_new("NEMU", "NEMUVIRT");
    build_dsdt(t, c);
    build_fadt(t);
    build_madt(t, c);
    if (c->ecam_size) {
        acpi_build_mcfg(t, c->ecam_base, 0, c->ecam_size / MIB - 1);
    if (c->numa) {
        build_numa(t, c);
    }
    }
    if (c->nfit) {
        acpi_build_nfit(t, c->nfit->data, c->nfit->len);
    }
    acpi_tables_finish(t);
    return t;
}
