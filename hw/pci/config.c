/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Configuration space (PCI Local Bus 3.0 chapter 6, PCI Express Base 4.0
 * chapter 7): masked accesses, BARs, and the list of capabilities.
 *
 * Each byte has a mask of bits that the guest can write and one of bits that it
 * clears by writing 1; everything else is read-only. So an access of any width
 * at any offset is harmless by construction, and what remains is to follow the
 * registers: BARs, command, bridge windows, message interrupts.
 *
 * Thread: main thread or a vCPU thread, with the machine lock.
 * Trust: addresses and values are the guest's. BARs go wherever it says; the
 * tree of regions decides what is visible.
 */
#include "util/osdep.h"

#include "internal.h"
#include "trace-hw-pci.h"

#define COMMAND_WRITABLE                                                    \
    (PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |             \
     PCI_COMMAND_PARITY | PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE)

uint32_t pci_config_size(const PciDevice *pci)
{
    return pci->cap_exp ? PCI_CONFIG_SIZE : 256;
}

/* ---- BARs ---- */

static unsigned bar_count(const PciDevice *pci)
{
    return (pci->config[PCI_HEADER_TYPE] & 0x7f) == PCI_HEADER_TYPE_BRIDGE ? 2 : PCI_NUM_BARS;
}

static bool bar_is_io(const PciBar *bar)
{
    return bar->type & PCI_BASE_ADDRESS_SPACE_IO;
}

static bool bar_is_64(const PciBar *bar)
{
    return !bar_is_io(bar) && (bar->type & PCI_BASE_ADDRESS_MEM_TYPE_64);
}

/*
 * Where the registers put BAR @n now. The last address of the space is never
 * decoded: this is what a driver writes to learn the size.
 */
static uint64_t bar_wanted_address(const PciDevice *pci, unsigned n)
{
    const PciBar *bar = &pci->bars[n];
    const uint8_t *reg = pci->config + PCI_BASE_ADDRESS_0 + 4 * n;
    uint16_t command = pci_get_word(pci->config + PCI_COMMAND);
    uint64_t addr = pci_get_long(reg);
    uint64_t last, space_end;

    if (!bar->region || pci->bus->powered_off) {
        return PCI_BAR_UNMAPPED;
    }
    if (bar_is_io(bar)) {
        if (!(command & PCI_COMMAND_IO) || !pci->bus->io) {
            return PCI_BAR_UNMAPPED;
        }
        space_end = UINT16_MAX + UINT64_C(1);
    } else {
        if (!(command & PCI_COMMAND_MEMORY)) {
            return PCI_BAR_UNMAPPED;
        }
        space_end = UINT32_MAX;
        if (bar_is_64(bar)) {
            addr |= (uint64_t)pci_get_long(reg + 4) << 32;
            space_end = UINT64_MAX;
        }
    }
    addr &= ~(bar->size - 1);
    last = addr + bar->size - 1;
    if (addr == 0 || last < addr || last >= space_end) {
        return PCI_BAR_UNMAPPED;
    }
    return addr;
}

static void bar_move(PciDevice *pci, unsigned n, uint64_t addr)
{
    PciBar *bar = &pci->bars[n];
    MemoryRegion *space = bar_is_io(bar) ? pci->bus->io : pci->bus->mem;

    if (bar->address != PCI_BAR_UNMAPPED) {
        trace_pci_bar_unmap(pci->dev.obj.type->name, n, bar->address);
        memory_region_del(space, bar->region);
    }
    bar->address = addr;
    if (addr != PCI_BAR_UNMAPPED) {
        trace_pci_bar_map(pci->dev.obj.type->name, n, addr, bar->size);
        memory_region_add_overlap(space, addr, bar->region, 1);
    }
}

void pci_update_mappings(PciDevice *pci)
{
    memory_transaction_begin();
    for (unsigned n = 0; n < PCI_NUM_BARS; n++) {
        uint64_t addr = bar_wanted_address(pci, n);

        if (pci->bars[n].region && addr != pci->bars[n].address) {
            bar_move(pci, n, addr);
        }
    }
    memory_transaction_commit();
}

void pci_unmap_bars(PciDevice *pci)
{
    memory_transaction_begin();
    for (unsigned n = 0; n < PCI_NUM_BARS; n++) {
        if (pci->bars[n].region && pci->bars[n].address != PCI_BAR_UNMAPPED) {
            bar_move(pci, n, PCI_BAR_UNMAPPED);
        }
        pci->bars[n].region = NULL;
    }
    memory_transaction_commit();
}

void pci_register_bar(PciDevice *pci, int n, uint8_t type, MemoryRegion *region)
{
    PciBar *bar = &pci->bars[n];
    uint8_t *reg = pci->config + PCI_BASE_ADDRESS_0 + 4 * n;
    uint8_t *wmask = pci->wmask + PCI_BASE_ADDRESS_0 + 4 * n;
    uint64_t mask = ~(region->size - 1);

    assert(n >= 0 && n < bar_count(pci) && !bar->region);
    assert(IS_POWER_OF_2(region->size));
    assert(region->size >= (type & PCI_BASE_ADDRESS_SPACE_IO ? 4 : 16));
    *bar = (PciBar){
        .region = region, .address = PCI_BAR_UNMAPPED, .size = region->size, .type = type,
    };
    pci_set_long(reg, type);
    pci_set_long(wmask, mask);
    if (bar_is_64(bar)) {
        assert(n + 1 < bar_count(pci) && !pci->bars[n + 1].region);
        pci_set_long(reg + 4, 0);
        pci_set_long(wmask + 4, mask >> 32);
    } else {
        assert(region->size <= (type & PCI_BASE_ADDRESS_SPACE_IO ? 256 : 2 * GIB));
    }
}

/* ---- the command register ---- */

void pci_apply_command(PciDevice *pci)
{
    uint16_t command = pci_get_word(pci->config + PCI_COMMAND);
    bool powered = !pci->bus->powered_off;

    atomic_store(&pci->bus_master, powered && (command & PCI_COMMAND_MASTER));
    pci_update_mappings(pci);
    if (pci->is_bridge) {
        pci_bridge_update_windows(pci_bridge(pci));
    }
    pci_set_intx(pci, pci->intx_level);
    msix_update(pci);
    msi_update(pci);
}

/* ---- accesses ---- */

static uint32_t read_bytes(const PciDevice *pci, uint32_t addr, int len)
{
    uint32_t value = 0;

    for (int i = 0; i < len; i++) {
        value |= (uint32_t)pci->config[addr + i] << (8 * i);
    }
    return value;
}

static bool access_valid(const PciDevice *pci, uint32_t addr, int len)
{
    uint32_t size = pci_config_size(pci);

    return (len == 1 || len == 2 || len == 4) && addr < size && len <= size - addr;
}

uint32_t pci_config_read(PciDevice *pci, uint32_t addr, int len)
{
    const PciDeviceOps *ops = object_ops(pci, &pci_device_type);
    uint32_t value = UINT32_MAX >> (32 - 8 * CLAMP(len, 1, 4));

    if (access_valid(pci, addr, len)) {
        value = ops->config_read ? ops->config_read(pci, addr, len) : read_bytes(pci, addr, len);
    }
    trace_pci_config_read(pci->dev.obj.type->name, pci->devfn, addr, len, value);
    return value;
}

static void write_masked(PciDevice *pci, uint32_t addr, uint32_t value, int len)
{
    for (int i = 0; i < len; i++, value >>= 8) {
        uint8_t *byte = &pci->config[addr + i];
        uint8_t wmask = pci->wmask[addr + i];

        *byte = (*byte & ~wmask) | (value & wmask);
        *byte &= ~(value & pci->w1cmask[addr + i]);
    }
}

/* Initiate Function Level Reset (PCIe 4.0, 6.6.2): the bit reads as zero. */
static void check_function_reset(PciDevice *pci, uint32_t addr, int len)
{
    uint8_t *control = pci->config + pci->cap_exp + PCI_EXP_DEVCTL;

    if (!pci->cap_exp || !pci_range_hits(addr, len, pci->cap_exp + PCI_EXP_DEVCTL, 2) ||
        !(pci_get_word(control) & PCI_EXP_DEVCTL_BCR_FLR)) {
        return;
    }
    if (pci_get_long(pci->config + pci->cap_exp + PCI_EXP_DEVCAP) & PCI_EXP_DEVCAP_FLR) {
        trace_pci_function_reset(pci->dev.obj.type->name, pci->devfn);
        device_reset_tree(&pci->dev);
    }
    pci_set_word(control, pci_get_word(control) & ~PCI_EXP_DEVCTL_BCR_FLR);
}

void pci_config_write(PciDevice *pci, uint32_t addr, uint32_t value, int len)
{
    const PciDeviceOps *ops = object_ops(pci, &pci_device_type);

    trace_pci_config_write(pci->dev.obj.type->name, pci->devfn, addr, len, value);
    if (!access_valid(pci, addr, len)) {
        return;
    }
    write_masked(pci, addr, value, len);

    if (pci_range_hits(addr, len, PCI_COMMAND, 2)) {
        pci_apply_command(pci);
    } else if (pci_range_hits(addr, len, PCI_BASE_ADDRESS_0, 4 * bar_count(pci))) {
        pci_update_mappings(pci);
    }
    if (pci->is_bridge &&
        pci_range_hits(addr, len, PCI_IO_BASE, PCI_CAPABILITY_LIST - PCI_IO_BASE)) {
        pci_bridge_update_windows(pci_bridge(pci));
    }
    if (pci->is_bridge && pci_range_hits(addr, len, PCI_BRIDGE_CONTROL, 2)) {
        pci_bridge_control_written(pci_bridge(pci));
    }
    if (pci->cap_msix && pci_range_hits(addr, len, pci->cap_msix + PCI_MSIX_FLAGS, 2)) {
        msix_update(pci);
    }
    if (pci->cap_msi && pci_range_hits(addr, len, pci->cap_msi, 0x18)) {
        msi_update(pci);
    }
    if (ops->config_written) {
        ops->config_written(pci, addr, value, len);
    }
    check_function_reset(pci, addr, len);
}

/* ---- power-on values ---- */

void pci_config_reset(PciDevice *pci)
{
    uint32_t end = pci->cap_exp ? MAX(pci->ext_cap_next, 256) : 256;

    for (uint32_t i = 0; i < end; i++) {
        pci->config[i] &= ~(pci->wmask[i] | pci->w1cmask[i]);
    }
}

/* The header that every function has. */
static void init_header(PciDevice *pci, const PciDeviceOps *ops)
{
    uint8_t *c = pci->config;

    pci_set_word(c + PCI_VENDOR_ID, ops->vendor_id);
    pci_set_word(c + PCI_DEVICE_ID, ops->device_id);
    c[PCI_REVISION_ID] = ops->revision;
    c[PCI_CLASS_PROG] = ops->prog_if;
    pci_set_word(c + PCI_CLASS_DEVICE, ops->class_id);
    c[PCI_HEADER_TYPE] = (ops->is_bridge ? PCI_HEADER_TYPE_BRIDGE : PCI_HEADER_TYPE_NORMAL) |
                         (pci->multifunction ? 0x80 : 0);
    if (!ops->is_bridge) {
        pci_set_word(c + PCI_SUBSYSTEM_VENDOR_ID,
                     ops->subsystem_vendor_id ?: PCI_VENDOR_ID_VIRTIO);
        pci_set_word(c + PCI_SUBSYSTEM_ID, ops->subsystem_id ?: PCI_SUBSYSTEM_ID_DEFAULT);
    }
    memset(pci->cmask + PCI_VENDOR_ID, 0xff, 4);
    memset(pci->cmask + PCI_REVISION_ID, 0xff, 4);
    pci->cmask[PCI_HEADER_TYPE] = 0xff;
    pci->cmask[PCI_CAPABILITY_LIST] = 0xff;
    pci->cmask[PCI_INTERRUPT_PIN] = 0xff;

    pci_set_word(pci->wmask + PCI_COMMAND, COMMAND_WRITABLE);
    pci->wmask[PCI_CACHE_LINE_SIZE] = 0xff;
    pci->wmask[PCI_INTERRUPT_LINE] = 0xff;
    memset(pci->used, 1, PCI_STD_HEADER_SIZEOF);
    pci->ext_cap_next = 256;
}

void pci_config_init(PciDevice *pci)
{
    init_header(pci, object_ops(pci, &pci_device_type));
    for (unsigned n = 0; n < PCI_NUM_BARS; n++) {
        pci->bars[n].address = PCI_BAR_UNMAPPED;
    }
}

/* ---- capabilities ---- */

/* First gap of @size bytes after the header; 0 when there is none. */
static uint8_t find_gap(const PciDevice *pci, uint8_t size)
{
    for (unsigned start = PCI_STD_HEADER_SIZEOF; start + size <= 256; start += 4) {
        if (!memchr(pci->used + start, 1, size)) {
            return start;
        }
    }
    return 0;
}

uint8_t pci_add_capability(PciDevice *pci, uint8_t id, uint8_t offset, uint8_t size, Error **errp)
{
    uint8_t *c;

    if (!offset) {
        offset = find_gap(pci, size);
    }
    if (!offset || offset + size > 256 || memchr(pci->used + offset, 1, size)) {
        error_setg(errp, "PCI: no room for capability 0x%02x in %s", id, pci->dev.obj.type->name);
        return 0;
    }
    c = pci->config + offset;
    memset(pci->used + offset, 1, ROUND_UP(size, 4));
    memset(c, 0, size);
    c[PCI_CAP_LIST_ID] = id;
    c[PCI_CAP_LIST_NEXT] = pci->config[PCI_CAPABILITY_LIST];
    memset(pci->cmask + offset, 0xff, 2);
    pci->config[PCI_CAPABILITY_LIST] = offset;
    pci->config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
    return offset;
}

uint16_t pci_add_ext_capability(PciDevice *pci, uint16_t id, uint8_t version, uint16_t size)
{
    uint16_t offset = pci->ext_cap_next;

    if (size > PCI_CONFIG_SIZE - offset) {
        return 0;
    }
    if (offset > 256) {
        /* Link it behind the last one: each starts where the one before ended. */
        uint16_t last = 256;
        uint32_t head;

        while ((head = pci_get_long(pci->config + last)) >> 20) {
            last = head >> 20;
        }
        pci_set_long(pci->config + last, head | (uint32_t)offset << 20);
    }
    pci_set_long(pci->config + offset, id | (uint32_t)version << 16);
    memset(pci->cmask + offset, 0xff, 4);
    pci->ext_cap_next = ROUND_UP(offset + size, 4);
    return offset;
}

bool pci_pm_init(PciDevice *pci, Error **errp)
{
    pci->cap_pm = pci_add_capability(pci, PCI_CAP_ID_PM, 0, PCI_PM_SIZEOF, errp);
    if (!pci->cap_pm) {
        return false;
    }
    pci_set_word(pci->config + pci->cap_pm + PCI_PM_PMC, 3);     /* PM 1.2 */
    pci_set_word(pci->config + pci->cap_pm + PCI_PM_CTRL, PCI_PM_CTRL_NO_SOFT_RESET);
    pci_set_word(pci->wmask + pci->cap_pm + PCI_PM_CTRL, PCI_PM_CTRL_STATE_MASK);
    return true;
}
