/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * boot-timer: a port whose written bytes are recorded with the time, for
 * measurements of how long a guest takes to get somewhere
 * (docs/system/devices/boot-timer.md). vCPU threads with the machine lock; the
 * number of stamps is limited.
 */
#include "util/osdep.h"

#include "hw/misc/isa.h"
#include "trace-hw-misc.h"

#define MAX_STAMPS 256

typedef struct BootTimerState {
    DeviceState dev;
    MemoryRegion io;
    uint32_t port;
    unsigned count;
    struct {
        uint8_t value;
        int64_t ns;
    } stamps[MAX_STAMPS];
} BootTimerState;

static const TypeInfo boot_timer_type;
#define BOOT_TIMER(p) ((BootTimerState *)object_cast(p, &boot_timer_type))

static uint64_t boot_timer_read(void *opaque, GuestAddr addr, unsigned size)
{
    BootTimerState *s = opaque;
    return MIN(s->count, UINT8_MAX);
}

static void boot_timer_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    BootTimerState *s = opaque;
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    int64_t ns = ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
    trace_boot_timer_stamp(value, ns);
    if (s->count < MAX_STAMPS) {
        s->stamps[s->count].value = value;
        s->stamps[s->count].ns = ns;
        s->count++;
    }
}

static const MemoryRegionOps boot_timer_region_ops = {
    .read = boot_timer_read, .write = boot_timer_write, .valid_min = 1, .valid_max = 1,
};

static bool get_stamps(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    BootTimerState *s = BOOT_TIMER(obj);
    *value = json_array();
    for (unsigned i = 0; i < s->count; i++) {
        JsonValue *stamp = json_object();
        json_object_set_uint(stamp, "value", s->stamps[i].value);
        json_object_set_int(stamp, "monotonic-ns", s->stamps[i].ns);
        json_array_add_take(*value, stamp);
    }
    return true;
}

static bool boot_timer_realize(DeviceState *dev, Error **errp)
{
    BootTimerState *s = BOOT_TIMER(dev);
    memory_region_init_io(&s->io, OBJECT(s), &boot_timer_region_ops, s, "boot-timer", 1);
    if (!isa_add_ports(dev, &s->io, s->port, errp)) {
        memory_region_cleanup(&s->io);
        return false;
    }
    return true;
}

static void boot_timer_unrealize(DeviceState *dev)
{
    memory_region_cleanup(&BOOT_TIMER(dev)->io);
}

static const ObjectProperty boot_timer_properties[] = {
    PROP_UINT32("iobase", BootTimerState, port, 0x508, "port"),
    PROP_CUSTOM("stamps", "any", get_stamps, NULL, 0, "what the guest wrote, and when"),
    PROP_END
};

static const DeviceOps boot_timer_ops = {
    .realize = boot_timer_realize,
    .unrealize = boot_timer_unrealize,
    .state = &state_table_none,
    .bus = &isa_bus_type,
    .user_creatable = true,
};

OBJECT_TYPE_STATIC(boot_timer_type) = {
    .name = "boot-timer",
    .parent = &device_type,
    .description = "Records when the guest writes to it (for measurements)",
    .instance_size = sizeof(BootTimerState),
    .properties = boot_timer_properties,
    .impls = TYPE_IMPLS({ &device_type, &boot_timer_ops }),
};
