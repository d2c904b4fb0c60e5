/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of hw/pci share among themselves. */
#ifndef HW_PCI_INTERNAL_H
#define HW_PCI_INTERNAL_H

#include "hw/pci/pci.h"

typedef struct PciBridge {
    PciDevice pci;
    PciBus sec;
    bool in_reset;              /* Bridge Control holds the secondary bus in reset */
    struct PciBridge *next;     /* on the same bus */
    MemoryRegion sec_mem, sec_io;
    MemoryRegion win_mem, win_pref, win_io;     /* the parts of them that the upper bus sees */
} PciBridge;

/* Secondary bus (named after the device's id) and windows; in the realize of an is_bridge type. */
void pci_bridge_init(PciBridge *bridge);
void pci_bridge_cleanup(PciBridge *bridge);
/* The window registers or the command register changed. */
void pci_bridge_update_windows(PciBridge *bridge);
void pci_bridge_control_written(PciBridge *bridge);
/* The range that a window lets through; false when it is closed. */
typedef enum PciBridgeWindow { PCI_BRIDGE_IO, PCI_BRIDGE_MEM, PCI_BRIDGE_PREF } PciBridgeWindow;
bool pci_bridge_window(const PciDevice *pci, PciBridgeWindow which,
                       uint64_t *base, uint64_t *limit);
/* Slot power: while off, nothing on the bus answers; switching it back on resets what is there. */
void pci_bus_set_power(PciBus *bus, bool on);

static inline PciBridge *pci_bridge(PciDevice *pci)
{
    return container_of(pci, PciBridge, pci);
}

static inline bool pci_range_hits(uint32_t addr, int len, uint32_t start, uint32_t size)
{
    return addr < start + size && start < addr + len;
}

/* Fill in the header from the type's ops. */
void pci_config_init(PciDevice *pci);
uint32_t pci_config_size(const PciDevice *pci);
/* Take over what configuration space says about decoding, bus mastering and interrupts. */
void pci_apply_command(PciDevice *pci);
void pci_update_mappings(PciDevice *pci);
void pci_unmap_bars(PciDevice *pci);
/* Every writable bit to zero. */
void pci_config_reset(PciDevice *pci);

/* Enable, mask or bus mastering may have changed. */
void msix_update(PciDevice *pci);
void msix_reset(PciDevice *pci);
/* When nobody can be in its handlers any more. */
void msix_free(PciDevice *pci);
void msix_save(StateStream *s, const void *field, const void *opaque);
bool msix_load(StateStream *s, void *field, void *opaque);
void msi_update(PciDevice *pci);

#endif
