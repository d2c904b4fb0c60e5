/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI Express devices and buses (PCI Local Bus 3.0, PCIe Base 4.0):
 * configuration space with per-bit write masks, BARs, capabilities, MSI,
 * MSI-X, INTx, root ports. Configuration accesses hold the machine lock.
 */
#ifndef HW_PCI_PCI_H
#define HW_PCI_PCI_H

#include "accel/accel.h"
#include "hw/core/device.h"
#include "hw/pci/pci_regs.h"
#include "system/memory.h"

typedef struct PciDevice PciDevice;
typedef struct PciBus PciBus;

extern const TypeInfo pci_device_type;  /* "pci-device", abstract */
extern const TypeInfo pci_bus_type;     /* "PCIE" */

#define PCI_NUM_BARS 6
#define PCI_DEVFN(slot, fn) ((((slot) & 0x1f) << 3) | ((fn) & 7))
#define PCI_SLOT(devfn) (((devfn) >> 3) & 0x1f)
#define PCI_FUNC(devfn) ((devfn) & 7)
#define PCI_CONFIG_SIZE 4096
#define PCI_ANY_DEVFN (-1)

typedef struct PciDeviceOps {
    bool (*realize)(PciDevice *pci, Error **errp);
    void (*unrealize)(PciDevice *pci);
    void (*reset)(PciDevice *pci);      /* configuration space has been reset; may be NULL */
    uint16_t vendor_id, device_id;
    uint16_t subsystem_vendor_id, subsystem_id; /* 0: 1af4:1100 */
    uint16_t class_id;
    uint8_t revision, prog_if;
    bool is_bridge;
    /* After the masked write is done; may be NULL. @len 1, 2 or 4. */
    void (*config_written)(PciDevice *pci, uint32_t addr, uint32_t value, int len);
    /* Replace the default read; may be NULL. */
    uint32_t (*config_read)(PciDevice *pci, uint32_t addr, int len);
} PciDeviceOps;

typedef struct PciBar {
    MemoryRegion *region;
    uint64_t address;           /* PCI_BAR_UNMAPPED when not decoded */
    uint64_t size;
    uint8_t type;               /* PCI_BASE_ADDRESS_* bits */
} PciBar;
#define PCI_BAR_UNMAPPED UINT64_MAX

struct PciDevice {
    DeviceState dev;
    int32_t devfn;              /* property "addr"; PCI_ANY_DEVFN: first free slot */
    bool multifunction;
    char *romfile;              /* accepted for compatibility; only "" and absent do anything */
    uint32_t rombar;
    PciBus *bus;
    uint8_t config[PCI_CONFIG_SIZE];
    uint8_t wmask[PCI_CONFIG_SIZE];     /* bits that the guest can write */
    uint8_t w1cmask[PCI_CONFIG_SIZE];   /* bits that are cleared by writing 1 */
    uint8_t cmask[PCI_CONFIG_SIZE];     /* bits that must match on incoming state */
    uint8_t used[256];                  /* allocation of capability space */
    uint16_t ext_cap_next;
    PciBar bars[PCI_NUM_BARS];
    AddressSpace *dma;          /* the device's view of memory; from realize on */
    bool is_bridge;
    bool bus_master;            /* may the device access memory now? atomics */
    uint8_t intx_level;         /* driven by the device; disabled, the wire does not follow */
    bool intx_asserted;         /* what the wire has */
    uint8_t cap_msi, cap_msix, cap_exp, cap_pm;         /* offsets, 0: absent */
    struct PciMsix *msix;       /* private to hw/pci/msix.c */
};

#define PCI_DEVICE(p) ((PciDevice *)object_cast(p, &pci_device_type))

/*
 * What each PCI device type has in its DeviceOps beside its state table and
 * flags; its own work goes into PciDeviceOps:
 *     static const DeviceOps foo_device_ops = { PCI_DEVICE_OPS, .state = &foo_state, ... };
 */
#define PCI_DEVICE_OPS                                                      \
    .realize = pci_device_realize, .unrealize = pci_device_unrealize,       \
    .reset = pci_device_reset, .bus = &pci_bus_type
bool pci_device_realize(DeviceState *dev, Error **errp);
void pci_device_unrealize(DeviceState *dev);
/* Every writable bit goes to zero, BARs are unmapped, then the device's own reset. */
void pci_device_reset(DeviceState *dev);

struct PciBus {
    BusState bus;
    PciDevice *parent;          /* bridge; NULL for a root bus */
    PciDevice *devices[256];
    uint8_t number;             /* root: 0; else from the bridge's secondary bus register at use */
    bool is_root;
    uint32_t reserved_slots;    /* bit mask: nothing may be placed there */
    bool single_slot;           /* below a root port: only slot 0 */
    bool conventional;          /* not Express: devices have no such capability */
    bool powered_off;           /* slot power is off: nothing on it answers */
    MemoryRegion *mem;          /* where BARs of this bus are mapped */
    MemoryRegion *io;
    AddressSpace *dma;
    struct PciBridge *bridges;  /* on this bus; private list */
    /* Root only: raise or lower INTx line 0..3; the line is (pin + slot) % 4. */
    void (*set_intx)(void *opaque, int line, int level);
    void *intx_opaque;
    uint16_t intx_count[4];     /* devices that assert the line */
};

#define PCI_BUS(p) ((PciBus *)object_cast(p, &pci_bus_type))

/* Root bus set-up by a host bridge (hw/pci/host.h). */
void pci_root_bus_init(PciBus *bus, DeviceState *host, const char *name,
                       MemoryRegion *mem, MemoryRegion *io);
void pci_root_bus_cleanup(PciBus *bus);
/* The machine's root bus 0, or NULL. */
PciBus *pci_root_bus(void);
/* The device that answers bus number/devfn, through bridges; NULL: none (reads all ones). */
PciDevice *pci_find_device(PciBus *root, uint8_t bus_num, uint8_t devfn);
uint8_t pci_bus_number(const PciBus *bus);
/* Bus number << 8 | devfn, as of now. */
uint16_t pci_requester_id(const PciDevice *pci);

/* Configuration accesses of 1, 2 or 4 bytes; beyond the end, or absent: all ones / ignored. */
uint32_t pci_config_read(PciDevice *pci, uint32_t addr, int len);
void pci_config_write(PciDevice *pci, uint32_t addr, uint32_t value, int len);
/* By bus/devfn/register in one number: ECAM offset. */
uint32_t pci_ecam_read(PciBus *root, uint32_t offset, int len);
void pci_ecam_write(PciBus *root, uint32_t offset, uint32_t value, int len);

/*
 * BAR @n backed by @region (power-of-two size; at least 16 bytes of memory or
 * 4 ports). For a 64-bit one, n + 1 is used up too. @region stays the device's:
 * it cleans it up in its unrealize, which runs when BARs are unmapped.
 */
void pci_register_bar(PciDevice *pci, int n, uint8_t type, MemoryRegion *region);
/* Standard capability (offset 0: first free); returns the offset or 0 with @errp. */
uint8_t pci_add_capability(PciDevice *pci, uint8_t id, uint8_t offset, uint8_t size, Error **errp);
/* Extended capability, zeroed after its header; 0 when there is no room. */
uint16_t pci_add_ext_capability(PciDevice *pci, uint16_t id, uint8_t version, uint16_t size);
/*
 * Express capability for a PCI_EXP_TYPE_*; an endpoint on the root bus becomes
 * an integrated one. Endpoints get function level reset.
 */
bool pcie_cap_init(PciDevice *pci, uint8_t port_type, Error **errp);
/* Power management capability: D0 and D3hot, which keeps the state. */
bool pci_pm_init(PciDevice *pci, Error **errp);

/* Little-endian fields of configuration space and of its masks. */
static inline uint16_t pci_get_word(const uint8_t *p)
{
    return p[0] | p[1] << 8;
}

static inline uint32_t pci_get_long(const uint8_t *p)
{
    return pci_get_word(p) | (uint32_t)pci_get_word(p + 2) << 16;
}

static inline uint64_t pci_get_quad(const uint8_t *p)
{
    return pci_get_long(p) | (uint64_t)pci_get_long(p + 4) << 32;
}

static inline void pci_set_word(uint8_t *p, uint16_t v)
{
    p[0] = v;
    p[1] = v >> 8;
}

static inline void pci_set_long(uint8_t *p, uint32_t v)
{
    pci_set_word(p, v);
    pci_set_word(p + 2, v >> 16);
}

static inline void pci_set_quad(uint8_t *p, uint64_t v)
{
    pci_set_long(p, v);
    pci_set_long(p + 4, v >> 32);
}

/* Drive the device's interrupt wire (pin in the Interrupt Pin register). Machine lock held. */
void pci_set_intx(PciDevice *pci, int level);

/*
 * MSI-X: @n vectors, table and PBA inside @region (BAR @bar, a container or a
 * region whose own registers lie elsewhere) at the offsets, multiples of 8.
 * Masking, pending bits and irqfd attachment are handled here. Cleaned up with
 * the device.
 */
bool msix_init(PciDevice *pci, unsigned n, MemoryRegion *region, uint8_t bar,
               uint32_t table_offset, uint32_t pba_offset, Error **errp);
/* BAR @bar of its own, for the table and, in its upper half, the PBA. */
bool msix_init_exclusive(PciDevice *pci, unsigned n, uint8_t bar, Error **errp);
void msix_cleanup(PciDevice *pci);
bool msix_enabled(const PciDevice *pci);        /* any thread */
unsigned msix_vectors(const PciDevice *pci);
/* Deliver (or mark pending) vector @n; out of range is ignored. Any thread. */
void msix_notify(PciDevice *pci, unsigned n);
/*
 * Let @notifier raise vector @n directly (irqfd when the accelerator can; a
 * handler on the main loop otherwise). Several notifiers may share a vector.
 * Survives mask, unmask and message changes. Undone before the notifier is
 * closed. False only when @n is out of range. Machine lock held.
 */
bool msix_attach_notifier(PciDevice *pci, unsigned n, EventNotifier *notifier, Error **errp);
void msix_detach_notifier(PciDevice *pci, unsigned n, EventNotifier *notifier);

/* MSI with 1, 2, 4 ... 32 vectors. Machine lock held in msi_notify(). */
bool msi_init(PciDevice *pci, unsigned vectors, bool address64, bool mask, Error **errp);
bool msi_enabled(const PciDevice *pci);
void msi_notify(PciDevice *pci, unsigned vector);

/* Configuration space and MSI-X, to embed as STATE_F_STRUCT of the field "pci". */
extern const StateTable pci_device_state;

#endif
