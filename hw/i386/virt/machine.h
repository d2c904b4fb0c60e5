/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state of a `virt` machine, and what its parts offer each other. */
#ifndef HW_I386_VIRT_MACHINE_H
#define HW_I386_VIRT_MACHINE_H

#include "hw/acpi/dimms.h"
#include "hw/acpi/tables.h"
#include "hw/block/pflash.h"
#include "hw/boot/fw-cfg.h"
#include "hw/boot/plan.h"
#include "hw/core/machine.h"
#include "hw/i386/virt.h"
#include "hw/misc/isa.h"
#include "hw/pci/host.h"

typedef struct VirtMachine {
    MachineState machine;
    /* Memory. */
    MemoryRegion low_ram, high_ram;
    uint64_t low_size, high_size;
    uint64_t device_memory_base, device_memory_size;    /* hot-plug of memory; size 0: none */
    uint64_t mmio64_base, mmio64_size;
    Memmap *memmap;
    /* Devices that are always there. */
    DeviceState *gsi;
    PciHost *pci;
    GedState *ged;
    AcpiSlots *cpu_slots;       /* NULL: not built */
    AcpiDimms dimms;
    uint64_t *apic_ids;         /* of each possible CPU */
    FwCfgState *fw_cfg;
    IsaBridge *isa;
    /* Firmware. */
    bool has_firmware;
    char *flash_node[2];
    Pflash *flash[2];
    MemoryRegion rom, rom_alias;
    BootFile *kernel, *initrd;  /* what firmware is given of them */
    /* Direct boot. */
    BootPlan *boot;             /* NULL: no kernel given */
    GByteArray *acpi;           /* placed tables, RSDP first; NULL: none */
    GByteArray *smbios;         /* structures, without the entry point */
    bool boot_applied;          /* guest memory is as the plan says already */
    /* Settings (names.c): OnOffAuto, and bool for what can only be off. */
    int acpi_choice;
    struct {
        int smm, vmport;
        bool hpet, pit, i8042, sata, smbus;
    } absent;
} VirtMachine;

#define VIRT_MAX_CPUS 288

extern const TypeInfo virt_machine_type;        /* "virt-machine", abstract */
#define VIRT_MACHINE(p) ((VirtMachine *)object_cast(p, &virt_machine_type))

/* For every name of the machine. */
bool virt_machine_init(MachineState *m, Error **errp);
bool virt_machine_ready(MachineState *m, Error **errp);
void virt_machine_reset(MachineState *m);

/* ---- names.c ---- */

extern const ObjectProperty virt_machine_properties[];

/* ---- gsi.c ---- */

/* Realized, with one unnamed input for each line of the interrupt controller. Borrowed. */
DeviceState *virt_gsi_create(Object *parent, Error **errp);

/* ---- hotplug.c ---- */

/* Registers for hot-plug, and the rules for devices that sit on no bus. Before CPUs are made. */
bool virt_hotplug_create(VirtMachine *v, Error **errp);

/* ---- firmware.c ---- */

/* Map the image that the options name, if any (has_firmware). */
bool virt_firmware_load(VirtMachine *v, Error **errp);
/* The registers that it needs; after those of ACPI. */
bool virt_firmware_create_ports(VirtMachine *v, Error **errp);
/* Port 0xCF9. */
void virt_firmware_reset_control(void *opaque, uint8_t value);
void virt_firmware_cleanup(VirtMachine *v);

/* ---- boot.c ---- */

/* All devices are there: tables, fw_cfg items, images in guest memory. */
bool virt_boot_prepare(VirtMachine *v, Error **errp);
/* Devices and CPUs were reset: guest memory and the boot CPU as at power-on. */
void virt_boot_reset(VirtMachine *v);
void virt_boot_cleanup(VirtMachine *v);

#endif
