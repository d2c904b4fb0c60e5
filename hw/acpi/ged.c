/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The generic event device: its selector register and its interrupt line,
 * which is high while the register holds an event (level-triggered, so that no
 * event is lost before the guest's driver is there). vCPU threads with the
 * machine lock, and the main thread.
 */
#include "util/osdep.h"

#include "hw/acpi/ged.h"
#include "migration/state.h"
#include "trace-hw-acpi.h"

static void update_irq(GedState *s)
{
    irq_set(&s->irq, s->selector != 0);
}

void ged_raise(GedState *s, uint32_t events)
{
    s->selector |= events;
    trace_ged_raise(events, s->selector);
    update_irq(s);
}

static uint64_t ged_read(void *opaque, GuestAddr addr, unsigned size)
{
    GedState *s = opaque;
    uint32_t value = s->selector;
    s->selector = 0;
    trace_ged_read(value);
    update_irq(s);
    return value;
}

static void ged_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
}

/* Only whole reads: a part of it would lose the other events. */
static const MemoryRegionOps ged_region_ops = {
    .read = ged_read, .write = ged_write, .valid_min = 4, .valid_max = 4,
};

static bool ged_realize(DeviceState *dev, Error **errp)
{
    GedState *s = GED(dev);
    memory_region_init_io(&s->io, OBJECT(s), &ged_region_ops, s, "acpi-ged", GED_REGISTER_SIZE);
    return true;
}

static void ged_unrealize(DeviceState *dev)
{
    memory_region_cleanup(&GED(dev)->io);
}

static void ged_init(Object *obj)
{
    GedState *s = (GedState *)obj;
    device_init_gpio_out(&s->dev, NULL, &s->irq, 1);
}

static void ged_reset(DeviceState *dev)
{
    GedState *s = GED(dev);
    s->selector = 0;
    update_irq(s);
}

static const StateField ged_fields[] = {
    STATE_F_UINT32(GedState, selector),
    STATE_F_END
};

static bool ged_post_load(void *opaque, int version)
{
    update_irq(opaque);
    return true;
}

static const StateTable ged_state = {
    .name = "acpi-ged", .version = 1, .minimum_version = 1, .fields = ged_fields,
    .post_load = ged_post_load,
};

static const DeviceOps ged_ops = {
    .realize = ged_realize,
    .unrealize = ged_unrealize,
    .reset = ged_reset,
    .state = &ged_state,
};

OBJECT_TYPE(ged_type) = {
    .name = "acpi-ged",
    .parent = &device_type,
    .description = "ACPI generic event device",
    .instance_size = sizeof(GedState),
    .instance_init = ged_init,
    .impls = TYPE_IMPLS({ &device_type, &ged_ops }),
};
