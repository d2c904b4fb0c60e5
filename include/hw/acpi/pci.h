/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ACPI description of a PCI Express host bridge, the same for all machines.
 *
 * Thread: any.
 */
#ifndef HW_ACPI_PCI_H
#define HW_ACPI_PCI_H

#include "hw/acpi/aml.h"

#define ACPI_PCI_IO_WINDOWS 2
#define ACPI_PCI_MMIO32_WINDOWS 2
#define ACPI_PCI_INTX_LINES 4

typedef struct AcpiPciHost {
    uint64_t ecam_base;         /* _CBA; 0: only the MCFG tells */
    unsigned buses;
    bool config_ports;          /* 0xCF8 */
    bool coherent;              /* _CCA, where the architecture wants it said */
    struct {
        uint32_t base, size;    /* size 0: none */
        uint32_t translation;   /* where port 0 is in memory; 0: ports are ports */
    } io[ACPI_PCI_IO_WINDOWS];
    struct {
        uint32_t base, size;    /* size 0: none */
    } mmio32[ACPI_PCI_MMIO32_WINDOWS];
    uint64_t mmio64_base, mmio64_size;  /* size 0: none */
    bool mmio64_prefetchable;
    uint32_t intx_gsi;          /* of the first of four lines that slots and pins rotate over */
} AcpiPciHost;

/* The device PCI0, in the scope \_SB. */
void acpi_build_pci_host(Aml *a, const AcpiPciHost *h);

#endif
