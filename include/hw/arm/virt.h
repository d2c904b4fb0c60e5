/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The AArch64 machine `virt`: addresses and interrupts that guests, firmware
 * and KVM's part of the machine agree on (docs/system/machines/virt-arm.md).
 */
#ifndef HW_ARM_VIRT_H
#define HW_ARM_VIRT_H

#include "hw/core/machine.h"

/* Below RAM. */
#define ARM_VIRT_FLASH_BASE 0x00000000u
#define ARM_VIRT_FLASH_SIZE (64 * MIB)              /* of each bank; the second follows the first */
#define ARM_VIRT_FLASH_BANKS 2
#define ARM_VIRT_FLASH_SECTOR (256 * KIB)
#define ARM_VIRT_FLASH_WIDTH 4                     /* bytes: two chips of 16 bits */
#define ARM_VIRT_GIC_DIST 0x08000000u
#define ARM_VIRT_GIC_CPU 0x08010000u                /* GICv2 */
#define ARM_VIRT_GIC_V2M 0x08020000u                /* GICv2 */
#define ARM_VIRT_GIC_ITS 0x08080000u                /* GICv3 */
#define ARM_VIRT_GIC_REDIST 0x080a0000u             /* GICv3 */
#define ARM_VIRT_GIC_REDIST_SIZE 0x00f60000u
#define ARM_VIRT_UART 0x09000000u
#define ARM_VIRT_RTC 0x09010000u
#define ARM_VIRT_FW_CFG 0x09020000u
#define ARM_VIRT_GPIO 0x09030000u
#define ARM_VIRT_MEMORY_SLOTS 0x09070000u
#define ARM_VIRT_GED 0x09080000u
#define ARM_VIRT_NVDIMM 0x09090000u                 /* doorbell */
#define ARM_VIRT_NVDIMM_PAGE 0x090d0000u
#define ARM_VIRT_VIRTIO 0x0a000000u
#define ARM_VIRT_VIRTIO_STRIDE 0x200u
#define ARM_VIRT_VIRTIO_COUNT 32u
#define ARM_VIRT_PCIE_MMIO 0x10000000u
#define ARM_VIRT_PCIE_MMIO_SIZE 0x2eff0000u
#define ARM_VIRT_PCIE_PIO 0x3eff0000u
#define ARM_VIRT_PCIE_PIO_SIZE 0x10000u
#define ARM_VIRT_PCIE_ECAM 0x3f000000u
#define ARM_VIRT_PCIE_ECAM_SIZE (16 * MIB)
#define ARM_VIRT_RAM UINT64_C(0x40000000)
/* Above RAM, in this order, from here or from the end of RAM on, each at a multiple of its size. */
#define ARM_VIRT_HIGH_START (256 * GIB)
#define ARM_VIRT_HIGH_REDIST_SIZE (64 * MIB)
#define ARM_VIRT_HIGH_ECAM_SIZE (256 * MIB)
#define ARM_VIRT_HIGH_MMIO_SIZE (512 * GIB)

#define ARM_GIC_REDIST_STRIDE 0x20000u

/* Interrupts: numbers of SPIs, which the controller calls 32 more, and PPIs (16 more). */
#define ARM_VIRT_SPIS 256u
#define ARM_GIC_SPI_FIRST 32u
#define ARM_GIC_PPI_FIRST 16u
#define ARM_VIRT_SPI_UART 1u
#define ARM_VIRT_SPI_RTC 2u
#define ARM_VIRT_SPI_INTX 3u
#define ARM_VIRT_SPI_GPIO 7u
#define ARM_VIRT_SPI_GED 9u
#define ARM_VIRT_SPI_VIRTIO 16u
#define ARM_VIRT_SPI_V2M 48u
#define ARM_VIRT_V2M_SPIS 64u
#define ARM_VIRT_PPI_PMU 7u
#define ARM_VIRT_PPI_MAINTENANCE 9u
#define ARM_VIRT_PPI_TIMER_HYP 10u
#define ARM_VIRT_PPI_TIMER_VIRT 11u
#define ARM_VIRT_PPI_TIMER_SECURE 13u
#define ARM_VIRT_PPI_TIMER_NONSECURE 14u

typedef struct ArmVirtRange {
    uint64_t base, size;        /* size 0: not there */
} ArmVirtRange;

/* What depends on the size of memory and on the highmem options. */
typedef struct ArmVirtLayout {
    ArmVirtRange device_memory;         /* hot-plug */
    ArmVirtRange high_redist, high_ecam, high_mmio;
    uint64_t end;               /* of the highest range */
} ArmVirtLayout;

/* All ranges, as if nothing were switched off. */
void arm_virt_layout(const MachineState *m, ArmVirtLayout *layout);
/* Guest physical address bits that the whole map needs; 32 without highmem, 40 for another machine. */
unsigned arm_virt_address_bits(MachineState *m);

#endif
