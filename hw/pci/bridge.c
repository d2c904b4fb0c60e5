/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI-to-PCI bridges (PCI-to-PCI Bridge Architecture 1.2, chapter 3): bus
 * numbers, the secondary bus, and the windows through which its BARs are seen.
 *
 * BARs of the secondary bus are mapped in spaces of its own; the upper bus gets
 * aliases of the parts that the windows let through.
 *
 * Thread: main thread or a vCPU thread, with the machine lock.
 * Trust: window registers are the guest's: any base and limit, also overlapping.
 */
#include "util/osdep.h"

#include "internal.h"
#include "trace-hw-pci.h"

#define BRIDGE_CONTROL_WRITABLE                                             \
    (PCI_BRIDGE_CTL_PARITY | PCI_BRIDGE_CTL_SERR | PCI_BRIDGE_CTL_BUS_RESET)

bool pci_bridge_window(const PciDevice *pci, PciBridgeWindow which,
                       uint64_t *base, uint64_t *limit)
{
    const uint8_t *c = pci->config;
    uint16_t command = pci_get_word(c + PCI_COMMAND);

    switch (which) {
    case PCI_BRIDGE_IO:
        *base = (uint64_t)(c[PCI_IO_BASE] & 0xf0) << 8;
        *limit = (uint64_t)(c[PCI_IO_LIMIT] & 0xf0) << 8 | 0xfff;
        return (command & PCI_COMMAND_IO) && *base <= *limit;
    case PCI_BRIDGE_MEM:
        *base = (uint64_t)(pci_get_word(c + PCI_MEMORY_BASE) & 0xfff0) << 16;
        *limit = (uint64_t)(pci_get_word(c + PCI_MEMORY_LIMIT) & 0xfff0) << 16 | 0xfffff;
        break;
    case PCI_BRIDGE_PREF:
        *base = (uint64_t)pci_get_long(c + PCI_PREF_BASE_UPPER32) << 32 |
                (uint64_t)(pci_get_word(c + PCI_PREF_MEMORY_BASE) & 0xfff0) << 16;
        *limit = (uint64_t)pci_get_long(c + PCI_PREF_LIMIT_UPPER32) << 32 |
                 (uint64_t)(pci_get_word(c + PCI_PREF_MEMORY_LIMIT) & 0xfff0) << 16 | 0xfffff;
        break;
    }
    return (command & PCI_COMMAND_MEMORY) && *base <= *limit;
}

static void update_window(PciBridge *b, PciBridgeWindow which, MemoryRegion *alias,
                          MemoryRegion *space, MemoryRegion *upper, const char *name)
{
    uint64_t base = 0, limit = 0, size;
    bool open = upper && !b->pci.bus->powered_off &&
                pci_bridge_window(&b->pci, which, &base, &limit);

    if (!open) {
        memory_region_cleanup(alias);
        return;
    }
    size = limit - base + 1;        /* 0 means everything, as regions have it */
    if (alias->name && alias->addr == base && alias->size == size) {
        return;
    }
    trace_pci_bridge_window(name, base, limit);
    memory_region_cleanup(alias);
    memory_region_init_alias(alias, OBJECT(b), name, space, base, size);
    memory_region_add_overlap(upper, base, alias, 1);
}

void pci_bridge_update_windows(PciBridge *b)
{
    PciBus *upper = b->pci.bus;

    memory_transaction_begin();
    update_window(b, PCI_BRIDGE_IO, &b->win_io, &b->sec_io, upper->io, "bridge-io");
    update_window(b, PCI_BRIDGE_MEM, &b->win_mem, &b->sec_mem, upper->mem, "bridge-mem");
    update_window(b, PCI_BRIDGE_PREF, &b->win_pref, &b->sec_mem, upper->mem, "bridge-pref");
    memory_transaction_commit();
}

/* Secondary Bus Reset takes effect when the bit is set (3.2.5.18). */
void pci_bridge_control_written(PciBridge *b)
{
    bool in_reset = pci_get_word(b->pci.config + PCI_BRIDGE_CONTROL) & PCI_BRIDGE_CTL_BUS_RESET;

    if (in_reset && !b->in_reset) {
        bus_reset_tree(&b->sec.bus);
    }
    b->in_reset = in_reset;
}

static int apply_power(DeviceState *dev, void *opaque)
{
    PciDevice *pci = object_cast_or_null(dev, &pci_device_type);

    /* A function's own buses hold other kinds of devices. */
    if (pci) {
        pci_apply_command(pci);
    }
    return 0;
}

void pci_bus_set_power(PciBus *bus, bool on)
{
    if (bus->powered_off == !on) {
        return;
    }
    memory_transaction_begin();
    bus->powered_off = !on;
    if (on) {
        bus_reset_tree(&bus->bus);
    }
    bus_walk(&bus->bus, apply_power, NULL);
    memory_transaction_commit();
}

void pci_bridge_init(PciBridge *b)
{
    static unsigned anonymous;
    PciDevice *pci = &b->pci;
    uint8_t *wmask = pci->wmask;
    g_autofree char *name = pci->dev.id ? g_strdup(pci->dev.id)
                                        : g_strdup_printf("pcie.%u", ++anonymous);

    wmask[PCI_PRIMARY_BUS] = wmask[PCI_SECONDARY_BUS] = wmask[PCI_SUBORDINATE_BUS] = 0xff;
    wmask[PCI_SEC_LATENCY_TIMER] = 0xff;
    wmask[PCI_IO_BASE] = wmask[PCI_IO_LIMIT] = 0xf0;
    pci_set_long(wmask + PCI_MEMORY_BASE, 0xfff0fff0);
    pci_set_long(wmask + PCI_PREF_MEMORY_BASE, 0xfff0fff0);
    pci_set_long(wmask + PCI_PREF_BASE_UPPER32, UINT32_MAX);
    pci_set_long(wmask + PCI_PREF_LIMIT_UPPER32, UINT32_MAX);
    pci_set_word(wmask + PCI_BRIDGE_CONTROL, BRIDGE_CONTROL_WRITABLE);
    pci_set_word(pci->config + PCI_PREF_MEMORY_BASE, PCI_PREF_RANGE_TYPE_64);
    pci_set_word(pci->config + PCI_PREF_MEMORY_LIMIT, PCI_PREF_RANGE_TYPE_64);

    memory_region_init_container(&b->sec_mem, OBJECT(b), "bridge-memory-space", 0);
    memory_region_init_container(&b->sec_io, OBJECT(b), "bridge-io-space", 0x10000);
    bus_init(&b->sec.bus, &pci_bus_type, &pci->dev, name);
    b->sec.parent = pci;
    b->sec.mem = &b->sec_mem;
    b->sec.io = &b->sec_io;
    b->sec.dma = pci->bus->dma;
    b->next = pci->bus->bridges;
    pci->bus->bridges = b;
}

void pci_bridge_cleanup(PciBridge *b)
{
    PciBridge **p = &b->pci.bus->bridges;

    bus_cleanup(&b->sec.bus);
    while (*p != b) {
        p = &(*p)->next;
    }
    *p = b->next;
    memory_region_cleanup(&b->win_io);
    memory_region_cleanup(&b->win_mem);
    memory_region_cleanup(&b->win_pref);
    memory_region_cleanup(&b->sec_io);
    memory_region_cleanup(&b->sec_mem);
}
