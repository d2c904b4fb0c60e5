/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The x86_64 `virt` machine as the guest sees it: addresses, ports and
 * interrupt lines (docs/system/machines/virt-x86.md).
 */
#ifndef HW_I386_VIRT_H
#define HW_I386_VIRT_H

#include "util/compiler.h"

/* ---- memory ---- */

#define VIRT_LOW_RAM_END        (2 * GIB)
#define VIRT_EBDA_START         UINT64_C(0x9fc00)       /* reserved from here to 1 MiB */
#define VIRT_ACPI_BASE          UINT64_C(0xe0000)       /* RSDP, then the tables */
#define VIRT_ACPI_END           VIRT_SMBIOS_BASE
#define VIRT_VMGENID_PAGE       UINT64_C(0xef000)       /* with that device, the last one before SMBIOS */
#define VIRT_SMBIOS_BASE        UINT64_C(0xf0000)       /* entry point, where Linux looks; then the tables */
#define VIRT_SMBIOS_END         VIRT_RESET_VECTOR
#define VIRT_RESET_VECTOR       UINT64_C(0xffff0)       /* real-mode F000:FFF0 */
#define VIRT_ECAM_BASE          UINT64_C(0x80000000)
#define VIRT_ECAM_SIZE          (256 * MIB)
#define VIRT_MMIO32_BASE        UINT64_C(0x90000000)
#define VIRT_MMIO32_END         UINT64_C(0xfec00000)
#define VIRT_IOAPIC_BASE        UINT64_C(0xfec00000)
#define VIRT_NVDIMM_PAGE        UINT64_C(0xfec10000)    /* with nvdimm=on */
#define VIRT_LAPIC_BASE         UINT64_C(0xfee00000)
#define VIRT_KVM_PAGES_BASE     UINT64_C(0xfeffc000)    /* KVM's own: identity map, TSS */
#define VIRT_KVM_PAGES_SIZE     UINT64_C(0x4000)
#define VIRT_HIGH_RAM_BASE      (4 * GIB)
#define VIRT_MMIO64_ALIGN       GIB
#define VIRT_MMIO64_SIZE        (32 * GIB)
#define VIRT_MAX_ADDRESS_BITS   52

/* ---- ports ---- */

#define VIRT_PORT_SLEEP_CONTROL 0x3b0
#define VIRT_PORT_RESET         0x3c0
#define VIRT_PORT_SLEEP_STATUS  0x3d0
#define VIRT_PORT_PM_TIMER      0x3e0
#define VIRT_PORT_FW_CFG        0x510
#define VIRT_PORT_FW_CFG_LEN    12
#define VIRT_PORT_MEMORY_SLOTS  0xa00
#define VIRT_PORT_NVDIMM        0xa18
#define VIRT_PORT_CPU_SLOTS     0xcd8
#define VIRT_PORT_GED           0xb000
/* Only with firmware. */
#define VIRT_PORT_KEYBOARD      0x64
#define VIRT_PORT_RTC           0x70
#define VIRT_PORT_PM1_CONTROL   0x604
#define VIRT_PORT_PM1_TIMER     0x608
/* What bridges may hand out: all but the machine's own blocks. */
#define VIRT_PCI_IO1_BASE       0x1000
#define VIRT_PCI_IO1_SIZE       0x9e00
#define VIRT_PCI_IO2_BASE       0xb100
#define VIRT_PCI_IO2_SIZE       0x4f00

#define VIRT_SLEEP_TYPE_S5      5
#define VIRT_RESET_VALUE        4

/* ---- interrupt lines (GSIs) ---- */

#define VIRT_GSI_GED            16
#define VIRT_GSI_INTX           20      /* to 23 */
#define VIRT_INTX_LINES         4
#define VIRT_GSI_COUNT          24

#endif
