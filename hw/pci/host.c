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

/* PCIEXBAR: 256, 128 or 64 MiB at a multiple of that, below 64 GiB. */
enum { PCIEXBAR_ENABLE = 1 << 0, PCIEXBAR_SIZE_SHIFT = 1, PCIEXBAR_SIZE_MASK = 3 };
#define PCIEXBAR_ADDRESS UINT64_C(0xffc000000)

/* ---- the configuration window ---- */

static void set_ecam(PciHost *host, uint64_t base, uint64_t size, bool enabled)
{
    if (enabled == host->ecam_enabled &&
        (!enabled || (base == host->ecam.addr && size == host->ecam.size))) {
        return;
    }
    memory_transaction_begin();
    if (host->ecam_enabled) {
        memory_region_del(system_memory(), &host->ecam);
    }
    host->ecam_enabled = enabled;
    if (enabled) {
        memory_region_set_size(&host->ecam, size);
        memory_region_add_overlap(system_memory(), base, &host->ecam, ECAM_PRIORITY);
    }
    memory_transaction_commit();
}

PciHostWindow pci_host_ecam(const PciHost *host)
{
    return host->ecam_enabled ? (PciHostWindow){ host->ecam.addr, host->ecam.size }
                              : (PciHostWindow){ 0 };
}

/* ---- 00:00.0 ---- */

static void apply_pciexbar(PciHost *host)
{
    uint64_t v = pci_get_quad(host->function0->config + host->cfg.pciexbar);
    unsigned size = v >> PCIEXBAR_SIZE_SHIFT & PCIEXBAR_SIZE_MASK;
    uint64_t bytes = 256 * MIB >> size;

    /* The fourth size is none. */
    set_ecam(host, v & PCIEXBAR_ADDRESS & ~(bytes - 1), bytes,
             (v & PCIEXBAR_ENABLE) && size < PCIEXBAR_SIZE_MASK);
}

static PciHost *host_of_function0(PciDevice *pci)
{
    return PCI_HOST(pci->bus->bus.parent);
}

static void function0_written(PciDevice *pci, uint32_t addr, uint32_t value, int len)
{
    PciHost *host = host_of_function0(pci);

    if (host->cfg.pciexbar && addr < host->cfg.pciexbar + 8u && addr + len > host->cfg.pciexbar) {
        apply_pciexbar(host);
    }
}

static void function0_reset(PciDevice *pci)
{
    PciHost *host = host_of_function0(pci);

    if (host->cfg.pciexbar) {
        pci_set_quad(pci->config + host->cfg.pciexbar, host->cfg.ecam_base | PCIEXBAR_ENABLE);
        apply_pciexbar(host);
    }
}

static bool function0_post_load(void *opaque, int version)
{
    PciHost *host = host_of_function0(opaque);

    if (host->cfg.pciexbar) {
        apply_pciexbar(host);
    }
    return true;
}

static const StateTable function0_state = {
    .name = "gpex-root",
    .version = 1,
    .minimum_version = 1,
    .post_load = function0_post_load,
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
    .reset = function0_reset,
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

static uint64_t config_read(PciHost *host, uint32_t offset, unsigned size)
{
    for (unsigned i = 0; i < host->cfg.hidden_count; i++) {
        const PciHostHidden *h = &host->cfg.hidden[i];

        if (ROUND_DOWN(offset, 4) == h->offset) {
            return (uint64_t)h->value >> 8 * (offset & 3) & (BIT(8 * size) - 1);
        }
    }
    return pci_ecam_read(&host->bus, offset, size);
}

static uint64_t ecam_read(void *opaque, GuestAddr addr, unsigned size)
{
    return config_read(PCI_HOST(opaque), addr, size);
}

static void ecam_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    pci_ecam_write(&PCI_HOST(opaque)->bus, addr, value, size);
}

static const MemoryRegionOps ecam_ops = {
    .read = ecam_read, .write = ecam_write,
    .valid_min = 1, .valid_max = 8, .impl_min = 1, .impl_max = 4,
};

/* Only a whole double word is meant for this register; the byte at 1 may be another one. */
static uint64_t address_port_read(void *opaque, GuestAddr addr, unsigned size)
{
    return size == 4 ? PCI_HOST(opaque)->config_address : UINT32_MAX;
}

static void address_port_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    PciHost *host = PCI_HOST(opaque);

    if (size == 4) {
        host->config_address = value;
    } else if (size == 1 && addr == 1 && host->cfg.reset_control) {
        host->cfg.reset_control(host->cfg.opaque, value);
    }
}

static const MemoryRegionOps address_port_ops = {
    .read = address_port_read, .write = address_port_write, .valid_min = 1, .valid_max = 4,
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
    return config_read(host, selected(host, addr), size);
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
    set_ecam(host, cfg->ecam_base, cfg->ecam_size, true);
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
    if (host->cfg.pciexbar) {
        pci_set_quad(host->function0->wmask + host->cfg.pciexbar,
                     PCIEXBAR_ADDRESS | PCIEXBAR_SIZE_MASK << PCIEXBAR_SIZE_SHIFT | PCIEXBAR_ENABLE);
        function0_reset(host->function0);
    }
    return true;
}

static void host_unrealize(DeviceState *dev)
{
    PciHost *host = PCI_HOST(dev);

    set_ecam(host, 0, 0, false);
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
    host->bus.intx_opaque = cfg->opaque;
    open_windows(host);
    if (!add_function0(host, errp)) {
        host_unrealize(dev);
        return false;
    }
    return true;
}

static void host_reset(DeviceState *dev)
{
    PCI_HOST(dev)->config_address = 0;
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
