/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bus of fixed-port devices. Main thread for set-up; lines change under
 * the machine lock.
 */
#include "util/osdep.h"

#include "hw/misc/isa.h"

/* By the ports, which are its address. */
static char *isa_device_path(DeviceState *dev)
{
    g_autoptr(JsonValue) port = object_property_find(dev, "iobase")
                                ? object_property_get(dev, "iobase", NULL) : NULL;
    int64_t n = 0;

    return port && json_get_int(port, &n) ? g_strdup_printf("isa/%" PRIx64, n) : g_strdup("isa");
}

static const BusOps isa_bus_ops = { .kind_name = "ISA", .device_path = isa_device_path };

OBJECT_TYPE(isa_bus_type) = {
    .name = "ISA",
    .parent = &bus_type,
    .impls = TYPE_IMPLS({ &bus_type, &isa_bus_ops }),
};

static void isa_bridge_init(Object *obj)
{
    IsaBridge *b = (IsaBridge *)obj;
    bus_init(&b->bus, &isa_bus_type, &b->dev, "isa.0");
}

static const DeviceOps isa_bridge_ops = { .state = &state_table_none, .category = DEVICE_CATEGORY_BRIDGE };

OBJECT_TYPE(isa_bridge_type) = {
    .name = "isa-host",
    .parent = &device_type,
    .description = "Bus of devices with fixed ports",
    .instance_size = sizeof(IsaBridge),
    .instance_init = isa_bridge_init,
    .impls = TYPE_IMPLS({ &device_type, &isa_bridge_ops }),
};

IsaBridge *isa_bridge_create(Object *parent, IrqLine *const lines[ISA_IRQ_COUNT], Error **errp)
{
    DeviceState *dev = device_new(&isa_bridge_type);
    memcpy(ISA_BRIDGE(dev)->lines, lines, sizeof(ISA_BRIDGE(dev)->lines));
    object_add_child(parent, "isa", dev, &error_abort);
    return device_realize_and_unref(dev, NULL, errp) ? ISA_BRIDGE(dev) : NULL;
}

IsaBridge *isa_bridge_of(DeviceState *dev)
{
    return ISA_BRIDGE(dev->bus->parent);
}

bool isa_irq_init(IsaIrq *irq, DeviceState *dev, uint32_t n, Error **errp)
{
    IsaBridge *b = isa_bridge_of(dev);
    if (n >= ISA_IRQ_COUNT || !b->lines[n]) {
        error_setg(errp, "irq %u does not exist; 0 to %d do", n, ISA_IRQ_COUNT - 1);
        return false;
    }
    *irq = (IsaIrq){ .bridge = b, .n = n };
    return true;
}

void isa_irq_set(IsaIrq *irq, bool level)
{
    IsaBridge *b = irq->bridge;
    if (!b || irq->level == level) {
        return;
    }
    irq->level = level;
    b->raised[irq->n] += level ? 1 : -1;
    if (b->raised[irq->n] == level) {
        irq_set(b->lines[irq->n], level);
    }
}

bool isa_add_ports(DeviceState *dev, MemoryRegion *mr, uint32_t port, Error **errp)
{
    const MemoryRegion *other;
    if (port + mr->size > 64 * KIB) {
        error_setg(errp, "port 0x%x is out of range", port);
        return false;
    }
    for (other = system_io()->subregions; other; other = other->next_sibling) {
        if (other->addr < port + mr->size && port < other->addr + other->size &&
            other->kind == MEMORY_REGION_IO) {
            error_setg(errp, "ports 0x%x to 0x%x are taken by %s", port,
                       (unsigned)(port + mr->size - 1), other->name);
            return false;
        }
    }
    memory_region_add(system_io(), port, mr);
    return true;
}
