/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The DSDT and the set of ACPI tables of the AArch64 `virt`. Tables that only
 * Arm machines have are in acpi-tables.c. Built from plain data; reads nothing
 * that the guest wrote.
 */
#include "util/osdep.h"

#include "acpi-tables.h"
#include "hw/acpi/pci.h"
#include "hw/acpi/vmgenid.h"
#include "hw/boot/fw-cfg.h"

const AcpiDimmsPlaces arm_virt_dimms_places = {
    .space = AML_SYSTEM_MEMORY, .slots = ARM_VIRT_MEMORY_SLOTS, .doorbell = ARM_VIRT_NVDIMM,
    .page = ARM_VIRT_NVDIMM_PAGE,
};

static void build_cpus(Aml *a, const ArmVirtAcpiConfig *c)
{
    for (unsigned i = 0; i < c->cpus; i++) {
        g_autofree char *name = g_strdup_printf("C%03X", i);

        aml_begin_device(a, name);
        aml_name_string(a, "_HID", "ACPI0007");
        aml_name_int(a, "_UID", i);
        aml_end(a);
    }
}

/* @size bytes of registers and, when @spi is given, one interrupt. */
static void build_resources(Aml *a, uint32_t base, uint32_t size, const unsigned *spi, bool edge)
{
    aml_name(a, "_CRS");
    aml_begin_resources(a);
    aml_res_memory32_fixed(a, base, size, true);
    if (spi) {
        aml_res_interrupt(a, ARM_GIC_SPI_FIRST + *spi, edge, false);
    }
    aml_end(a);
}

static void build_uart(Aml *a)
{
    const unsigned spi = ARM_VIRT_SPI_UART;

    aml_begin_device(a, "COM0");
    aml_name_string(a, "_HID", "ARMH0011");
    aml_name_int(a, "_UID", 0);
    build_resources(a, ARM_VIRT_UART, 0x1000, &spi, false);
    aml_end(a);
}

static void build_fw_cfg(Aml *a)
{
    aml_begin_device(a, "FWCF");
    aml_name_string(a, "_HID", "QEMU0002");
    /* Present and working, not shown in a user interface. */
    aml_name_int(a, "_STA", 0xb);
    aml_name_int(a, "_CCA", 1);
    build_resources(a, ARM_VIRT_FW_CFG, FW_CFG_MEMORY_SIZE, NULL, false);
    aml_end(a);
}

static void build_virtio(Aml *a)
{
    for (unsigned i = 0; i < ARM_VIRT_VIRTIO_COUNT; i++) {
        g_autofree char *name = g_strdup_printf("VR%02u", i);
        const unsigned spi = ARM_VIRT_SPI_VIRTIO + i;

        aml_begin_device(a, name);
        aml_name_string(a, "_HID", "LNRO0005");
        aml_name_int(a, "_UID", i);
        aml_name_int(a, "_CCA", 1);
        build_resources(a, ARM_VIRT_VIRTIO + i * ARM_VIRT_VIRTIO_STRIDE, ARM_VIRT_VIRTIO_STRIDE,
                        &spi, true);
        aml_end(a);
    }
}

/* What no driver claims but no one else may use: the configuration window. */
static void build_motherboard(Aml *a, const ArmVirtAcpiConfig *c)
{
    aml_begin_device(a, "MRES");
    aml_name_eisa_id(a, "_HID", "PNP0C02");
    aml_name_int(a, "_UID", 0);
    aml_name(a, "_CRS");
    aml_begin_resources(a);
    aml_res_window_memory64(a, c->ecam.base, c->ecam.size, false);
    aml_end(a);
    aml_end(a);
}

static void build_dsdt(AcpiTables *t, const ArmVirtAcpiConfig *c)
{
    uint32_t events = GED_EVENT_POWER_BUTTON;
    const AcpiPciHost host = {
        .ecam_base = c->ecam.base, .buses = c->ecam.size / MIB, .coherent = true,
        .io = { { 0, ARM_VIRT_PCIE_PIO_SIZE, ARM_VIRT_PCIE_PIO } },
        .mmio32 = { { ARM_VIRT_PCIE_MMIO, ARM_VIRT_PCIE_MMIO_SIZE } },
        .mmio64_base = c->high_mmio.base, .mmio64_size = c->high_mmio.size,
        .intx_gsi = ARM_GIC_SPI_FIRST + ARM_VIRT_SPI_INTX,
    };
    Aml aml, *a = &aml;

    acpi_table_begin(t, "DSDT", 2);
    aml_init(a, t->blob);
    aml_begin_scope(a, "\\_SB");
    build_cpus(a, c);
    build_uart(a);
    build_fw_cfg(a);
    build_virtio(a);
    acpi_build_pci_host(a, &host);
    build_motherboard(a, c);
    aml_end(a);
    events |= acpi_dimms_build_aml(a, &arm_virt_dimms_places, c->memory_slots, c->nfit != NULL);
    if (vmgenid_find()) {
        vmgenid_build_aml(t, a, 0);
        events |= GED_EVENT_VMGENID;
    }
    ged_build_aml(a, AML_SYSTEM_MEMORY, ARM_VIRT_GED, ARM_GIC_SPI_FIRST + ARM_VIRT_SPI_GED, events);
    g_assert(a->depth == 0);
    acpi_table_end(t);
}

AcpiTables *arm_virt_acpi_build(const ArmVirtAcpiConfig *c)
{
    /* PSCI is there, and called by HVC. */
    const AcpiFadt fadt = { .arm_boot_arch = 3 };
    AcpiTables *t = acpi_tables_new(c->oem_id ? c->oem_id : "NEMU",
                                    c->oem_table_id ? c->oem_table_id : "NEMUVIRT");

    build_dsdt(t, c);
    acpi_build_fadt(t, &fadt);
    arm_acpi_build_madt(t, c);
    arm_acpi_build_pptt(t, c);
    arm_acpi_build_gtdt(t);
    acpi_build_mcfg(t, c->ecam.base, 0, c->ecam.size / MIB - 1);
    arm_acpi_build_spcr(t);
    arm_acpi_build_dbg2(t);
    if (c->its) {
        arm_acpi_build_iort(t);
    }
    if (c->numa) {
        arm_acpi_build_srat(t, c);
        acpi_build_numa_attributes(t, c->numa, c->hmat);
    }
    if (c->nfit) {
        acpi_build_nfit(t, c->nfit->data, c->nfit->len);
    }
    acpi_tables_finish(t);
    return t;
}
