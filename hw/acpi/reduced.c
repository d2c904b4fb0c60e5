/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sleep control and status, reset register, PM timer. vCPU threads; the timer
 * needs no lock. Values that mean nothing are ignored.
 */
#include "util/osdep.h"

#include "hw/acpi/reduced.h"
#include "system/runstate.h"
#include "trace-hw-acpi.h"
#include "util/event-loop.h"

enum { SLEEP_ENABLE = 1 << 5, SLEEP_TYPE_SHIFT = 2, SLEEP_TYPE_MASK = 7, SLEEP_TYPE_S5 = 5 };
enum { RESET_BIT = 1 << 2 };

static uint64_t zero_read(void *opaque, GuestAddr addr, unsigned size)
{
    return 0;
}

static void ignore_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
}

static void sleep_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    unsigned type = value >> SLEEP_TYPE_SHIFT & SLEEP_TYPE_MASK;
    trace_acpi_sleep(value);
    if ((value & SLEEP_ENABLE) && type == SLEEP_TYPE_S5) {
        system_shutdown_request(SHUTDOWN_CAUSE_GUEST_SHUTDOWN);
    }
}

static void reset_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    trace_acpi_reset(value);
    if (value & RESET_BIT) {
        system_reset_request(SHUTDOWN_CAUSE_GUEST_RESET);
    }
}

static uint64_t timer_read(void *opaque, GuestAddr addr, unsigned size)
{
    unsigned __int128 ns = clock_now_ns(CLOCK_TYPE_VIRTUAL);
    uint64_t ticks = ns * ACPI_PM_TIMER_HZ / 1000000000;
    return (ticks & ACPI_PM_TIMER_MASK) >> (8 * addr);
}

static const MemoryRegionOps sleep_control_ops = {
    .read = zero_read, .write = sleep_write, .valid_min = 1, .valid_max = 1,
};
static const MemoryRegionOps sleep_status_ops = {
    .read = zero_read, .write = ignore_write, .valid_min = 1, .valid_max = 1,
};
static const MemoryRegionOps reset_ops = {
    .read = zero_read, .write = reset_write, .valid_min = 1, .valid_max = 1,
};
static const MemoryRegionOps timer_ops = {
    .read = timer_read, .write = ignore_write, .valid_min = 1, .valid_max = 4, .lockless = true,
};

static void add(AcpiReducedState *s, MemoryRegion *mr, const MemoryRegionOps *ops,
                const char *name, uint16_t port, unsigned size)
{
    memory_region_init_io(mr, OBJECT(s), ops, s, name, size);
    memory_region_add(system_io(), port, mr);
}

static bool reduced_realize(DeviceState *dev, Error **errp)
{
    AcpiReducedState *s = ACPI_REDUCED(dev);
    add(s, &s->sleep_control, &sleep_control_ops, "acpi-sleep-control", s->ports.sleep_control, 1);
    add(s, &s->sleep_status, &sleep_status_ops, "acpi-sleep-status", s->ports.sleep_status, 1);
    add(s, &s->reset, &reset_ops, "acpi-reset", s->ports.reset, 1);
    add(s, &s->pm_timer, &timer_ops, "acpi-pm-timer", s->ports.pm_timer, 4);
    return true;
}

static void reduced_unrealize(DeviceState *dev)
{
    AcpiReducedState *s = ACPI_REDUCED(dev);
    memory_region_cleanup(&s->pm_timer);
    memory_region_cleanup(&s->reset);
    memory_region_cleanup(&s->sleep_status);
    memory_region_cleanup(&s->sleep_control);
}

static const DeviceOps reduced_ops = {
    .realize = reduced_realize,
    .unrealize = reduced_unrealize,
    .state = &state_table_none,
};

OBJECT_TYPE(acpi_reduced_type) = {
    .name = "acpi-reduced",
    .parent = &device_type,
    .description = "Registers of hardware-reduced ACPI",
    .instance_size = sizeof(AcpiReducedState),
    .impls = TYPE_IMPLS({ &device_type, &reduced_ops }),
};

bool acpi_reduced_create(Object *parent, const AcpiReducedPorts *ports, Error **errp)
{
    DeviceState *dev = device_new(&acpi_reduced_type);
    ACPI_REDUCED(dev)->ports = *ports;
    object_add_child(parent, "acpi-ports", dev, &error_abort);
    return device_realize_and_unref(dev, NULL, errp);
}
