/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupt wires between devices: named or unnamed lists of inputs and
 * outputs. Wiring is done on the main thread with the machine lock; a wire
 * changes level in whatever thread its device runs.
 */
#include "util/osdep.h"
#include "hw/core/device.h"
#include "hw/core/internal.h"

struct GpioList {
    char *name;                 /* NULL: the unnamed list */
    IrqLine *in;                /* what others drive */
    IrqLine *sink;              /* the device's own handler of each input */
    int in_count;
    IrqLine *out;               /* in the device's state */
    int out_count;
    IrqObserver *observer;      /* of the inputs */
    void *observer_opaque;
    GpioList *next;
};

static GpioList *find_list(DeviceState *dev, const char *name)
{
    for (GpioList *l = dev->gpios; l; l = l->next) {
        if (g_strcmp0(l->name, name) == 0) {
            return l;
        }
    }
    return NULL;
}

static GpioList *get_list(DeviceState *dev, const char *name)
{
    GpioList *l = find_list(dev, name);

    if (!l) {
        l = g_new0(GpioList, 1);
        l->name = g_strdup(name);
        l->next = dev->gpios;
        dev->gpios = l;
    }
    return l;
}

void gpio_lists_free(DeviceState *dev)
{
    while (dev->gpios) {
        GpioList *l = dev->gpios;

        dev->gpios = l->next;
        g_free(l->name);
        g_free(l->in);
        g_free(l->sink);
        g_free(l);
    }
}

void device_init_gpio_in(DeviceState *dev, const char *name, IrqHandler *handler, int count)
{
    GpioList *l = get_list(dev, name);

    /* Wires point into the array, so it never grows. */
    assert(!l->in);
    l->in = g_new(IrqLine, count);
    l->in_count = count;
    for (int i = 0; i < count; i++) {
        l->in[i] = (IrqLine){ .handler = handler, .opaque = dev, .n = i };
    }
}

IrqLine *device_gpio_in(DeviceState *dev, const char *name, int n)
{
    GpioList *l = find_list(dev, name);

    return l && n >= 0 && n < l->in_count ? &l->in[n] : NULL;
}

void device_init_gpio_out(DeviceState *dev, const char *name, IrqLine *lines, int count)
{
    GpioList *l = get_list(dev, name);

    assert(!l->out);
    l->out = lines;
    l->out_count = count;
}

/* A wire to an input that may get an observer later, so it is not copied. */
static void forward(void *opaque, int n, int level)
{
    irq_set(opaque, level);
}

void device_connect_gpio_out(DeviceState *dev, const char *name, int n, IrqLine *to)
{
    GpioList *l = find_list(dev, name);

    assert(l && n >= 0 && n < l->out_count);
    l->out[n] = to ? (IrqLine){ .handler = forward, .opaque = to, .n = n } : (IrqLine){ 0 };
}

static void observe_in(void *opaque, int n, int level)
{
    GpioList *l = opaque;

    l->observer(l->observer_opaque, n, level);
    irq_set(&l->sink[n], level);
}

bool device_intercept_gpio(DeviceState *dev, const char *name, bool out, IrqObserver *observer,
                           void *opaque)
{
    GpioList *l = find_list(dev, name);

    if (!l || (out ? l->out_count : l->in_count) == 0) {
        return false;
    }
    if (out) {
        for (int i = 0; i < l->out_count; i++) {
            l->out[i] = (IrqLine){ .handler = observer, .opaque = opaque, .n = i };
        }
        return true;
    }
    if (!l->sink) {
        l->sink = g_memdup2(l->in, l->in_count * sizeof(*l->in));
    }
    l->observer = observer;
    l->observer_opaque = opaque;
    for (int i = 0; i < l->in_count; i++) {
        l->in[i].handler = observe_in;
        l->in[i].opaque = l;
    }
    return true;
}
