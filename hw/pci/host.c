/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Generic PCI Express host bridge: root bus, ECAM (PCIe Base 4.0, 7.2.2) and
 * configuration mechanism 1 (PCI Local Bus 3.0, 3.2.2.3.2).
 *
 * BARs live in a memory space of their own. The machine's windows are aliases
 * of its parts, at a lower priority than anything else in system memory, so that
 * a BAR on top of RAM or of a machine's registers stays invisible.
 *
 * Thread: main thread or a vCPU thread, with the machine lock.
 */
#include "util/osdep.h"

#include "hw/pci/host.h"

#define CONFIG_ADDRESS_PORT 0xcf8
#define CONFIG_DATA_PORT 0xcfc
#define CONFIG_ADDRESS_ENABLE (UINT32_C(1) << 31)
#define WINDOW_PRIORITY (-1)
#define ECAM_PRIORITY 1

/* ---- 00:00.0 ---- */

static void function0_written(PciDevice *pci, uint32_t addr, uint32_t value, int len)
{
    PciHost *host = PCI_HOST(pci->bus->bus.parent);

    if (host->cfg.config_written) {
        host->cfg.config_written(host->cfg.config_opaque, pci, addr, value, len);
    }
}

static const StateTable function0_state = {
    .name = "gpex-root",
    .version = 1,
    .minimum_version = 1,
    .fields = (const StateField[]) {
        { .name = "pci", .kind = STATE_STRUCT, .count = 1, .size = sizeof(PciDevice),
          .table = &pci_device_state },
        STATE_F_END
    },
};

static const PciDeviceOps function0_pci_ops = {
    .vendor_id = PCI_VENDOR_ID_VIRTUAL,
    .device_id = PCI_DEVICE_ID_VIRTUAL_HOST,
    .class_id = PCI_CLASS_BRIDGE_HOST,
    .config_written = function0_written,
};

static const DeviceOps function0_ops = {
    PCI_DEVICE_OPS,
    .state = &function0_state,
    .category = DEVICE_CATEGORY_BRIDGE,
};

OBJECT_TYPE_STATIC(function0_type) = {
    .name = "gpex-root",
    .parent = &pci_device_type,
    .instance_size = sizeof(PciDevice),
    .description = "function 0 of the PCI Express host bridge",
    .impls = TYPE_IMPLS({ &device_type, &function0_ops }, { &pci_device_type, &function0_pci_ops }),
};

/* ---- configuration accesses ---- */

static uint64_t ecam_read(void *opaque, GuestAddr addr, unsigned size)
{
    return pci_ecam_read(&PCI_HOST(opaque)->bus, addr, size);
}

static void ecam_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    pci_ecam_write(&PCI_HOST(opaque)->bus, addr, value, size);
}

static const MemoryRegionOps ecam_ops = {
    .read = ecam_read, .write = ecam_write,
    .valid_min = 1, .valid_max = 8, .impl_min = 1, .impl_max = 4,
};

static uint64_t address_port_read(void *opaque, GuestAddr addr, unsigned size)
{
    return PCI_HOST(opaque)->config_address;
}

/* Only a whole double word is meant for this register. */
static void address_port_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    PCI_HOST(opaque)->config_address = value;
}

static const MemoryRegionOps address_port_ops = {
    .read = address_port_read, .write = address_port_write,
    .valid_min = 4, .valid_max = 4, .impl_min = 4, .impl_max = 4,
};

/* Bus, device, function and register of the address port as an ECAM offset. */
static uint32_t selected(const PciHost *host, GuestAddr addr)
{
    uint32_t a = host->config_address;

    return (a >> 16 & 0xff) << 20 | (a >> 8 & 0xff) << 12 | (a & 0xfc) | addr;
}

static uint64_t data_port_read(void *opaque, GuestAddr addr, unsigned size)
{
    PciHost *host = PCI_HOST(opaque);

    if (!(host->config_address & CONFIG_ADDRESS_ENABLE)) {
        return UINT32_MAX;
    }
    return pci_ecam_read(&host->bus, selected(host, addr), size);
}

static void data_port_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    PciHost *host = PCI_HOST(opaque);

    if (host->config_address & CONFIG_ADDRESS_ENABLE) {
        pci_ecam_write(&host->bus, selected(host, addr), value, size);
    }
}

static const MemoryRegionOps data_port_ops = {
    .read = data_port_read, .write = data_port_write,
    .valid_min = 1, .valid_max = 4, .impl_min = 1, .impl_max = 4,
};

void pci_host_set_ecam(PciHost *host, uint64_t base, bool enabled)
{
    if (enabled == host->ecam_enabled && (!enabled || base == host->ecam.addr)) {
        return;
    }
    memory_transaction_begin();
    if (host->ecam_enabled) {
        memory_region_del(system_memory(), &host->ecam);
    }
    host->ecam_enabled = enabled;
    if (enabled) {
        memory_region_add_overlap(system_memory(), base, &host->ecam, ECAM_PRIORITY);
    }
    memory_transaction_commit();
}

/* ---- life ---- */

static void open_window(PciHost *host, MemoryRegion *alias, MemoryRegion *space, uint64_t offset,
                        const char *name, const PciHostWindow *w)
{
    if (w->size) {
        memory_region_init_alias(alias, OBJECT(host), name, space, offset, w->size);
        memory_region_add_overlap(system_memory(), w->base, alias, WINDOW_PRIORITY);
    }
}

static void open_windows(PciHost *host)
{
    const PciHostConfig *cfg = &host->cfg;

    memory_transaction_begin();
    for (unsigned i = 0; i < ARRAY_SIZE(host->windows); i++) {
        open_window(host, &host->windows[i], &host->mem, cfg->windows[i].base, "pci-window",
                    &cfg->windows[i]);
    }
    if (!cfg->io_ports) {
        open_window(host, &host->io_window, &host->io, 0, "pci-io-window", &cfg->io_window);
    }
    pci_host_set_ecam(host, cfg->ecam_base, true);
    if (cfg->config_ports) {
        memory_region_add(system_io(), CONFIG_ADDRESS_PORT, &host->config_address_port);
        memory_region_add(system_io(), CONFIG_DATA_PORT, &host->config_data_port);
    }
    memory_transaction_commit();
}

static bool add_function0(PciHost *host, Error **errp)
{
    DeviceState *dev = device_new(&function0_type);

    host->function0 = PCI_DEVICE(dev);
    host->function0->devfn = 0;
    if (!object_add_child(OBJECT(host), "gpex_root", dev, errp)) {
        object_unref(dev);
        return false;
    }
    if (!device_realize_and_unref(dev, &host->bus.bus, errp)) {
        return false;
    }
    if (host->cfg.vendor_id) {
        pci_set_word(host->function0->config + PCI_VENDOR_ID, host->cfg.vendor_id);
        pci_set_word(host->function0->config + PCI_DEVICE_ID, host->cfg.device_id);
    }
    return true;
}

static void host_unrealize(DeviceState *dev)
{
    PciHost *host = PCI_HOST(dev);

    pci_host_set_ecam(host, 0, false);
    pci_root_bus_cleanup(&host->bus);
    for (unsigned i = 0; i < ARRAY_SIZE(host->windows); i++) {
        memory_region_cleanup(&host->windows[i]);
    }
    memory_region_cleanup(&host->io_window);
    memory_region_cleanup(&host->config_address_port);
    memory_region_cleanup(&host->config_data_port);
    memory_region_cleanup(&host->ecam);
    memory_region_cleanup(&host->mem);
    memory_region_cleanup(&host->io);
}

static bool host_realize(DeviceState *dev, Error **errp)
{
    PciHost *host = PCI_HOST(dev);
    const PciHostConfig *cfg = &host->cfg;
    MemoryRegion *io = cfg->io_ports ? system_io() : cfg->io_window.size ? &host->io : NULL;

    memory_region_init_container(&host->mem, OBJECT(host), "pci-memory-space", 0);
    memory_region_init_container(&host->io, OBJECT(host), "pci-io-space", 0x10000);
    memory_region_init_io(&host->ecam, OBJECT(host), &ecam_ops, host, "pcie-ecam", cfg->ecam_size);
    memory_region_init_io(&host->config_address_port, OBJECT(host), &address_port_ops, host,
                          "pci-config-address", 4);
    memory_region_init_io(&host->config_data_port, OBJECT(host), &data_port_ops, host,
                          "pci-config-data", 4);
    pci_root_bus_init(&host->bus, dev, "pcie.0", &host->mem, io);
    host->bus.reserved_slots = cfg->reserved_slots;
    host->bus.set_intx = cfg->set_intx;
    host->bus.intx_opaque = cfg->intx_opaque;
    open_windows(host);
    if (!add_function0(host, errp)) {
        host_unrealize(dev);
        return false;
    }
    return true;
}

static void host_reset(DeviceState *dev)
{
    PciHost *host = PCI_HOST(dev);

    host->config_address = 0;
    pci_host_set_ecam(host, host->cfg.ecam_base, true);
}

PciHost *pci_host_create(Object *parent, const char *name, const PciHostConfig *cfg, Error **errp)
{
    DeviceState *dev = device_new(&pci_host_type);

    PCI_HOST(dev)->cfg = *cfg;
    if (!object_add_child(parent, name, dev, errp)) {
        object_unref(dev);
        return NULL;
    }
    if (!device_realize(dev, NULL, errp)) {
        object_unparent(dev);
        object_unref(dev);
        return NULL;
    }
    object_unref(dev);
    return PCI_HOST(dev);
}

/* Where the window is, the machine knows that may move it. */
static const StateTable host_state = {
    .name = "gpex-pcihost",
    .version = 1,
    .minimum_version = 1,
    .priority = 20,
    .fields = (const StateField[]) {
        STATE_F_UINT32(PciHost, config_address),
        STATE_F_END
    },
};

static const DeviceOps host_ops = {
    .realize = host_realize,
    .unrealize = host_unrealize,
    .reset = host_reset,
    .state = &host_state,
    .category = DEVICE_CATEGORY_BRIDGE,
};

OBJECT_TYPE(pci_host_type) = {
    .name = "gpex-pcihost",
    .parent = &device_type,
    .instance_size = sizeof(PciHost),
    .description = "PCI Express host bridge",
    .impls = TYPE_IMPLS({ &device_type, &host_ops }),
};
