/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state of an AArch64 `virt` machine, and what its parts offer each other. */
#ifndef HW_ARM_VIRT_MACHINE_H
#define HW_ARM_VIRT_MACHINE_H

#include "hw/acpi/dimms.h"
#include "hw/acpi/tables.h"
#include "hw/arm/virt.h"
#include "hw/block/pflash.h"
#include "hw/boot/fw-cfg.h"
#include "hw/boot/plan.h"
#include "hw/intc/arm-gic.h"
#include "hw/misc/pl061.h"
#include "hw/pci/host.h"

typedef struct ArmVirtMachine {
    MachineState machine;
    /* Options. */
    int acpi;                   /* OnOffAuto */
    bool highmem, its, ras, secure, virtualization, mte, dtb_randomness;
    char *gic_version_option, *iommu, *dumpdtb, *dt_compatible, *oem_id, *oem_table_id;
    char *flash_node[ARM_VIRT_FLASH_BANKS];
    /* Memory. */
    ArmVirtLayout layout;       /* ranges that are switched off have size 0 */
    ArmVirtRange ecam;
    Memmap *memmap;
    Pflash *flash[ARM_VIRT_FLASH_BANKS];
    bool has_firmware;
    /* Devices that are always there. */
    unsigned gic_version;
    bool has_its;
    ArmGic *gic;
    PciHost *pci;
    FwCfgState *fw_cfg;
    /* One of these takes the power button: the event device with firmware and ACPI, else the key. */
    GedState *ged;
    GpioKeyState *key;
    AcpiDimms dimms;            /* with the event device only */
    /* Boot. */
    BootPlan *boot;             /* NULL: firmware, or nothing */
    void *tree;                 /* the device tree when there is no plan, at the start of RAM */
    size_t tree_size;
    bool boot_applied;          /* guest memory is as it should be already */
} ArmVirtMachine;

extern const TypeInfo arm_virt_machine_type;    /* "arm-virt-machine", abstract */
#define ARM_VIRT_MACHINE(p) ((ArmVirtMachine *)object_cast(p, &arm_virt_machine_type))

/* ---- virt.c: MachineOps, and the end of the type's instances ---- */

bool arm_virt_init(MachineState *m, Error **errp);
bool arm_virt_ready(MachineState *m, Error **errp);
void arm_virt_reset(MachineState *m);
void arm_virt_finalize(Object *obj);

/* ---- hotplug.c ---- */

/* The rules for DIMMs and, where there is an event device, what tells the guest of them. */
bool arm_virt_hotplug_create(ArmVirtMachine *v, Error **errp);

/* ---- types.c ---- */

/* Refuse what is not possible; choose the interrupt controller. After the memory plan. */
bool arm_virt_check_options(ArmVirtMachine *v, Error **errp);

/* ---- fdt.c ---- */

/*
 * The device tree of the complete machine, or the user's with memory and boot
 * options filled in; g_malloc'ed, its size in *@size. NULL with @errp.
 */
void *arm_virt_fdt_build(const ArmVirtMachine *v, size_t *size, Error **errp);
/* New random seeds. */
void arm_virt_fdt_randomize(const ArmVirtMachine *v, void *fdt);

/* ---- boot.c ---- */

/* All devices are there: device tree, images in guest memory, fw_cfg items. */
bool arm_virt_boot_prepare(ArmVirtMachine *v, Error **errp);
/* Devices and CPUs were reset: guest memory and the boot CPU as at power-on. */
void arm_virt_boot_reset(ArmVirtMachine *v);

#endif
