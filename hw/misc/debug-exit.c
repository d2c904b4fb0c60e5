/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * isa-debug-exit: a write of V ends the program with status V * 2 + 1, so that
 * a test payload can report a result. vCPU threads with the machine lock.
 */
#include "util/osdep.h"

#include "hw/misc/isa.h"
#include "system/runstate.h"

typedef struct DebugExitState {
    DeviceState dev;
    MemoryRegion io;
    uint32_t port, size;
} DebugExitState;

static const TypeInfo debug_exit_type;
#define DEBUG_EXIT(p) ((DebugExitState *)object_cast(p, &debug_exit_type))

static uint64_t debug_exit_read(void *opaque, GuestAddr addr, unsigned size)
{
    return 0;
}

static void debug_exit_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    system_exit_request((value << 1 | 1) & 0xff);
}

static const MemoryRegionOps debug_exit_region_ops = {
    .read = debug_exit_read, .write = debug_exit_write, .valid_min = 1, .valid_max = 4,
};

static bool debug_exit_realize(DeviceState *dev, Error **errp)
{
    DebugExitState *s = DEBUG_EXIT(dev);
    if (s->size == 0 || s->size > 8) {
        error_setg(errp, "iosize %u is out of range; 1 to 8 are possible", s->size);
        return false;
    }
    memory_region_init_io(&s->io, OBJECT(s), &debug_exit_region_ops, s, "isa-debug-exit", s->size);
    if (!isa_add_ports(dev, &s->io, s->port, errp)) {
        memory_region_cleanup(&s->io);
        return false;
    }
    return true;
}

static void debug_exit_unrealize(DeviceState *dev)
{
    memory_region_cleanup(&DEBUG_EXIT(dev)->io);
}

static const ObjectProperty debug_exit_properties[] = {
    PROP_UINT32("iobase", DebugExitState, port, 0x501, "first port"),
    PROP_UINT32("iosize", DebugExitState, size, 2, "number of ports"),
    PROP_END
};

static const DeviceOps debug_exit_ops = {
    .realize = debug_exit_realize,
    .unrealize = debug_exit_unrealize,
    .state = &state_table_none,
    .bus = &isa_bus_type,
    .user_creatable = true,
};

OBJECT_TYPE_STATIC(debug_exit_type) = {
    .name = "isa-debug-exit",
    .parent = &device_type,
    .description = "Ends the program when the guest writes to it (for tests)",
    .instance_size = sizeof(DebugExitState),
    .properties = debug_exit_properties,
    .impls = TYPE_IMPLS({ &device_type, &debug_exit_ops }),
};
