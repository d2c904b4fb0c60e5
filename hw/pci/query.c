/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * query-pci. What it shows is read from configuration space, so it is what the
 * guest has made of it. Main thread with the machine lock.
 */
#include "util/osdep.h"

#include "internal.h"
#include "qapi-commands.h"
#include "qapi-types.h"

static const struct {
    uint16_t class_id;
    const char *desc;
} class_names[] = {
    { 0x0100, "SCSI controller" },
    { 0x0101, "IDE controller" },
    { 0x0106, "SATA controller" },
    { 0x0200, "Ethernet controller" },
    { 0x0300, "VGA controller" },
    { 0x0403, "Audio controller" },
    { 0x0600, "Host bridge" },
    { 0x0601, "ISA bridge" },
    { 0x0604, "PCI bridge" },
    { 0x0c03, "USB controller" },
    { 0x0c05, "SMBus" },
};

static PciDeviceInfoList *list_devices(const PciBus *bus);

static PciMemoryRange *range_of(const PciDevice *pci, PciBridgeWindow which)
{
    PciMemoryRange *range = g_new0(PciMemoryRange, 1);
    uint64_t base, limit;

    pci_bridge_window(pci, which, &base, &limit);
    range->base = base;
    range->limit = limit;
    return range;
}

static PciBridgeInfo *bridge_info(PciDevice *pci)
{
    PciBridgeInfo *info = g_new0(PciBridgeInfo, 1);

    info->bus = g_new0(PciBusInfo, 1);
    info->bus->number = pci->config[PCI_PRIMARY_BUS];
    info->bus->secondary = pci->config[PCI_SECONDARY_BUS];
    info->bus->subordinate = pci->config[PCI_SUBORDINATE_BUS];
    info->bus->io_range = range_of(pci, PCI_BRIDGE_IO);
    info->bus->memory_range = range_of(pci, PCI_BRIDGE_MEM);
    info->bus->prefetchable_range = range_of(pci, PCI_BRIDGE_PREF);
    if (info->bus->secondary) {
        info->devices = list_devices(&pci_bridge(pci)->sec);
    }
    return info;
}

static PciMemoryRegionList *list_regions(const PciDevice *pci)
{
    PciMemoryRegionList *head = NULL, **tail = &head;

    for (unsigned n = 0; n < PCI_NUM_BARS; n++) {
        const PciBar *bar = &pci->bars[n];
        PciMemoryRegion *r;

        if (!bar->region) {
            continue;
        }
        r = g_new0(PciMemoryRegion, 1);
        r->bar = n;
        r->address = bar->address;
        r->size = bar->size;
        if (bar->type & PCI_BASE_ADDRESS_SPACE_IO) {
            r->type = g_strdup("io");
        } else {
            r->type = g_strdup("memory");
            r->has_prefetch = r->has_mem_type_64 = true;
            r->prefetch = bar->type & PCI_BASE_ADDRESS_MEM_PREFETCH;
            r->mem_type_64 = bar->type & PCI_BASE_ADDRESS_MEM_TYPE_64;
        }
        *tail = g_new0(PciMemoryRegionList, 1);
        (*tail)->value = r;
        tail = &(*tail)->next;
    }
    return head;
}

static PciDeviceClass *class_of(const PciDevice *pci)
{
    PciDeviceClass *info = g_new0(PciDeviceClass, 1);

    info->class = pci_get_word(pci->config + PCI_CLASS_DEVICE);
    for (unsigned i = 0; i < ARRAY_SIZE(class_names); i++) {
        if (class_names[i].class_id == info->class) {
            info->desc = g_strdup(class_names[i].desc);
        }
    }
    return info;
}

static PciDeviceId *id_of(const PciDevice *pci)
{
    PciDeviceId *id = g_new0(PciDeviceId, 1);

    id->vendor = pci_get_word(pci->config + PCI_VENDOR_ID);
    id->device = pci_get_word(pci->config + PCI_DEVICE_ID);
    if (!pci->is_bridge) {
        id->has_subsystem = id->has_subsystem_vendor = true;
        id->subsystem = pci_get_word(pci->config + PCI_SUBSYSTEM_ID);
        id->subsystem_vendor = pci_get_word(pci->config + PCI_SUBSYSTEM_VENDOR_ID);
    }
    return id;
}

static PciDeviceInfo *device_info(PciDevice *pci)
{
    PciDeviceInfo *info = g_new0(PciDeviceInfo, 1);

    info->bus = pci_bus_number(pci->bus);
    info->slot = PCI_SLOT(pci->devfn);
    info->function = PCI_FUNC(pci->devfn);
    info->class_info = class_of(pci);
    info->id = id_of(pci);
    info->irq_pin = pci->config[PCI_INTERRUPT_PIN];
    if (info->irq_pin) {
        info->has_irq = true;
        info->irq = pci->config[PCI_INTERRUPT_LINE];
    }
    info->qdev_id = g_strdup(pci->dev.id ?: "");
    info->regions = list_regions(pci);
    if (pci->is_bridge) {
        info->pci_bridge = bridge_info(pci);
    }
    return info;
}

static PciDeviceInfoList *list_devices(const PciBus *bus)
{
    PciDeviceInfoList *head = NULL, **tail = &head;

    for (unsigned i = 0; i < ARRAY_SIZE(bus->devices); i++) {
        if (bus->devices[i]) {
            *tail = g_new0(PciDeviceInfoList, 1);
            (*tail)->value = device_info(bus->devices[i]);
            tail = &(*tail)->next;
        }
    }
    return head;
}

/* NULL is the empty list: a machine without PCI. */
PciInfoList *qmp_query_pci(Error **errp)
{
    PciInfoList *list;

    if (!pci_root_bus()) {
        return NULL;
    }
    list = g_new0(PciInfoList, 1);
    list->value = g_new0(PciInfo, 1);
    list->value->devices = list_devices(pci_root_bus());
    return list;
}
