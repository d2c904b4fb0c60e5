/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See pci-fixture.h. */
#include "util/osdep.h"

#include "hw/core/machine.h"
#include "pci-fixture.h"
#include "system/machine-lock.h"

/* ---- the fake accelerator ---- */

FakeAccel fake_accel;

void accel_send_msi(MsiMessage msg, uint16_t requester_id)
{
    fake_accel.last = msg;
    fake_accel.sent++;
}

int accel_msi_route_add(MsiMessage msg, uint16_t requester_id, Error **errp)
{
    fake_accel.routed[fake_accel.routes] = msg;
    return fake_accel.routes++;
}

void accel_msi_route_update(int gsi, MsiMessage msg, uint16_t requester_id)
{
    fake_accel.routed[gsi] = msg;
}

void accel_msi_route_del(int gsi)
{
    fake_accel.routes--;
}

bool accel_irqfd_attach(int gsi, EventNotifier *n, EventNotifier *resample, Error **errp)
{
    fake_accel.attached++;
    return true;
}

void accel_irqfd_detach(int gsi, EventNotifier *n)
{
    fake_accel.attached--;
}

void accel_irq_begin(void)
{
}

void accel_irq_commit(void)
{
}

bool accel_has_irqfd(void)
{
    return fake_accel.have_irqfd;
}

/* ---- no machine, so no compatibility table ---- */

MachineState *machine_current(void)
{
    return NULL;
}

const MachineOps *machine_ops(const MachineState *m)
{
    return NULL;
}

/* ---- a device with every kind of BAR ---- */

static uint64_t test_read(void *opaque, GuestAddr addr, unsigned size)
{
    return 0x5a000000 | addr;
}

static void test_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    ((TestDevice *)opaque)->written = value;
}

static const MemoryRegionOps test_ops = { .read = test_read, .write = test_write };

static bool test_realize(PciDevice *pci, Error **errp)
{
    TestDevice *t = (TestDevice *)pci;

    pci->config[PCI_INTERRUPT_PIN] = 1;
    memory_region_init_io(&t->mem, OBJECT(t), &test_ops, t, "test-mem", 0x1000);
    memory_region_init_io(&t->mem64, OBJECT(t), &test_ops, t, "test-mem64", 0x4000);
    memory_region_init_io(&t->io, OBJECT(t), &test_ops, t, "test-io", 32);
    pci_register_bar(pci, 0, PCI_BASE_ADDRESS_SPACE_MEMORY, &t->mem);
    pci_register_bar(pci, 2, PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH,
                     &t->mem64);
    pci_register_bar(pci, 4, PCI_BASE_ADDRESS_SPACE_IO, &t->io);
    return msix_init_exclusive(pci, VECTORS, 1, errp) && pci_pm_init(pci, errp) &&
           pcie_cap_init(pci, PCI_EXP_TYPE_ENDPOINT, errp);
}

static void test_unrealize(PciDevice *pci)
{
    TestDevice *t = (TestDevice *)pci;

    memory_region_cleanup(&t->mem);
    memory_region_cleanup(&t->mem64);
    memory_region_cleanup(&t->io);
}

static void test_reset(PciDevice *pci)
{
    ((TestDevice *)pci)->resets++;
}

static const PciDeviceOps test_pci_ops = {
    .realize = test_realize,
    .unrealize = test_unrealize,
    .reset = test_reset,
    .vendor_id = 0x1234,
    .device_id = 0x5678,
    .class_id = 0x0200,
};

static const DeviceOps test_device_ops = {
    PCI_DEVICE_OPS,
    .state = &state_table_none,
    .user_creatable = true,
    .hotpluggable = true,
};

OBJECT_TYPE_STATIC(test_device_type) = {
    .name = "test-pci",
    .parent = &pci_device_type,
    .instance_size = sizeof(TestDevice),
    .impls = TYPE_IMPLS({ &device_type, &test_device_ops }, { &pci_device_type, &test_pci_ops }),
};

/* ---- set-up ---- */

PciHost *fixture_host;
int fixture_wires[4];

static void set_wire(void *opaque, int line, int level)
{
    fixture_wires[line] = level;
}

void fixture_init(void)
{
    static MemoryRegion ram;
    PciHostConfig config = {
        .ecam_base = ECAM, .ecam_size = 256 * MIB, .config_ports = true, .io_ports = true,
        .windows = { { WINDOW, 0x30000000 }, { WINDOW64, GIB }, { 0, 0x80000000 } },
        .reserved_slots = BIT(RESERVED_SLOT), .set_intx = set_wire,
    };

    main_loop_init(&error_abort);
    machine_lock();
    system_memory_init();
    memory_region_init_ram(&ram, NULL, "ram", 16 * MIB, &error_abort);
    memory_region_add(system_memory(), 0, &ram);
    fixture_host = pci_host_create(object_container(object_root(), "/machine"), "pcihost", &config,
                                   &error_abort);
}

DeviceState *fixture_add(const char *options, Error **errp)
{
    g_autoptr(JsonValue) v = keyval_parse(options, "driver", NULL, &error_abort);

    return device_add(v, errp);
}

/* ---- accesses ---- */

uint64_t bus_load(AddressSpace *as, uint64_t addr, unsigned size)
{
    uint64_t v = 0;

    guest_access_read(as, addr, size, &v);
    return v;
}

void bus_store(AddressSpace *as, uint64_t addr, uint64_t value, unsigned size)
{
    guest_access_write(as, addr, size, value);
}

static uint64_t ecam_address(PciDevice *pci, unsigned reg)
{
    return ECAM + ((uint64_t)pci_bus_number(pci->bus) << 20 | (uint32_t)pci->devfn << 12 | reg);
}

uint32_t cfg_read(PciDevice *pci, unsigned reg, unsigned size)
{
    return bus_load(&address_space_memory, ecam_address(pci, reg), size);
}

void cfg_write(PciDevice *pci, unsigned reg, uint32_t value, unsigned size)
{
    bus_store(&address_space_memory, ecam_address(pci, reg), value, size);
}

/* ---- state ---- */

uint8_t *state_take_bytes(StateStream *writer, size_t *len)
{
    const uint8_t *data = state_writer_data(writer, len);
    uint8_t *copy = g_memdup2(data, *len);

    state_stream_free(writer);
    return copy;
}
