/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Generic PCI Express host bridge: root bus "pcie.0" with function 00:00.0, the
 * memory-mapped configuration window (ECAM) and, for x86, ports 0xCF8/0xCFC.
 * A machine makes one with its own windows and interrupt wiring.
 *
 * Thread: main thread, or a vCPU thread with the machine lock.
 */
#ifndef HW_PCI_HOST_H
#define HW_PCI_HOST_H

#include "hw/pci/pci.h"

extern const TypeInfo pci_host_type;            /* "gpex-pcihost" */

#define PCI_HOST_MAX_WINDOWS 4
#define PCI_ECAM_BUS_SIZE (UINT64_C(1) << 20)

typedef struct PciHostWindow {
    uint64_t base, size;
} PciHostWindow;

/* A register of a function that is not there: reads as @value, writes are dropped. */
typedef struct PciHostHidden {
    uint32_t offset;            /* in the configuration window; a multiple of 4 */
    uint32_t value;
} PciHostHidden;

typedef struct PciHostConfig {
    uint64_t ecam_base;
    uint64_t ecam_size;         /* 1 MiB a bus, at most 256 MiB */
    bool config_ports;          /* 0xCF8/0xCFC in the I/O space */
    /* Where BARs decode in system memory, at equal addresses; all else there comes first. */
    PciHostWindow windows[PCI_HOST_MAX_WINDOWS];
    /* I/O BARs: x86 has system_io(); otherwise a window of system memory. */
    bool io_ports;
    PciHostWindow io_window;    /* when !io_ports; size 0: no I/O space */
    uint16_t vendor_id, device_id;              /* of 00:00.0; 0: 1b36:0008 */
    uint32_t reserved_slots;    /* bit mask of slots where no device may be placed */
    /*
     * Where 00:00.0 has a PCIEXBAR (Intel 3 Series chipset, 316966, section 5.1.18), which moves the
     * configuration window; its value at reset is @ecam_base. 0: none.
     */
    uint8_t pciexbar;
    const PciHostHidden *hidden;                /* @hidden_count of them */
    unsigned hidden_count;
    /* Byte writes to port 0xCF9, in the middle of the address port; may be NULL. */
    void (*reset_control)(void *opaque, uint8_t value);
    void (*set_intx)(void *opaque, int line, int level);
    void *opaque;
} PciHostConfig;

typedef struct PciHost {
    DeviceState dev;
    PciHostConfig cfg;
    PciBus bus;
    PciDevice *function0;       /* 00:00.0 */
    MemoryRegion mem, io, ecam, io_window, config_address_port, config_data_port;
    MemoryRegion windows[PCI_HOST_MAX_WINDOWS];
    uint32_t config_address;    /* what 0xCF8 holds */
    bool ecam_enabled;
} PciHost;

#define PCI_HOST(p) ((PciHost *)object_cast(p, &pci_host_type))

/* Make and realize the host bridge as @parent/@name. Borrowed result. */
PciHost *pci_host_create(Object *parent, const char *name, const PciHostConfig *cfg, Error **errp);
/* Where the configuration window is now; size 0: nowhere. */
PciHostWindow pci_host_ecam(const PciHost *host);

#endif
