/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices and buses. A device is created (properties settable), realized
 * (usable by the guest; properties frozen except PROP_RUNTIME ones), reset any
 * number of times, unrealized, freed. unrealize is the exact inverse of
 * realize.
 *
 * Thread: main thread with the machine lock, except where said.
 */
#ifndef HW_CORE_DEVICE_H
#define HW_CORE_DEVICE_H

#include "qom/object.h"
#include "migration/state.h"

typedef struct DeviceState DeviceState;
typedef struct BusState BusState;
typedef struct IrqLine IrqLine;
typedef struct GpioList GpioList;

extern const TypeInfo device_type;      /* "device", abstract */
extern const TypeInfo bus_type;         /* "bus", abstract */

typedef enum DeviceCategory {
    DEVICE_CATEGORY_MISC, DEVICE_CATEGORY_BRIDGE, DEVICE_CATEGORY_STORAGE,
    DEVICE_CATEGORY_NETWORK, DEVICE_CATEGORY_INPUT, DEVICE_CATEGORY_CPU,
    DEVICE_CATEGORY_WATCHDOG, DEVICE_CATEGORY_NONE,
} DeviceCategory;

typedef struct DeviceOps {
    bool (*realize)(DeviceState *dev, Error **errp);
    void (*unrealize)(DeviceState *dev);        /* may be NULL when realize has nothing to undo */
    void (*reset)(DeviceState *dev);            /* to power-on state; may be NULL */
    const StateTable *state;                    /* &state_table_none when there is nothing to keep */
    /* The table of what a family's member adds to @state; loads after it. May be NULL, may give NULL. */
    const StateTable *(*member_state)(DeviceState *dev);
    /* Where its state is, for devices whose bus does not tell: the same on both sides. Caller frees. May be NULL. */
    char *(*state_place)(DeviceState *dev);
    const TypeInfo *bus;                        /* kind of bus that it sits on; NULL: none (system device) */
    /* A system device that others hang on: its part of firmware's paths ("virtio-mmio@...", caller frees). May be NULL. */
    char *(*firmware_node)(DeviceState *dev);
    DeviceCategory category;
    bool user_creatable;                        /* by -device */
    bool hotpluggable;
    bool bus_optional;                          /* realizes without a bus too */
    const char *stays;                          /* why it cannot be removed though it can be added; else NULL */
} DeviceOps;

struct DeviceState {
    Object obj;
    char *id;                   /* the user's, or NULL */
    BusState *bus;              /* that it sits on, reference held; NULL for system devices */
    DeviceState *next_on_bus;   /* private to hw/core */
    BusState *child_buses;      /* private list */
    GpioList *gpios;            /* private list */
    bool realized;
    bool hotplugged;            /* added after the machine was complete */
    bool unplug_pending;        /* device_del seen, guest not done yet */
    bool user_added;            /* by -device or device_add */
    Error *init_error;          /* a -global that could not be applied: realize fails with it */
    JsonValue *options;         /* what -device gave, for failover and introspection; may be NULL */
};

#define DEVICE(p) ((DeviceState *)object_cast(p, &device_type))

typedef struct BusOps {
    /* Check and complete the address of a device (may set properties) before realize. May be NULL. */
    bool (*check_address)(BusState *bus, DeviceState *dev, Error **errp);
    /* "0000:00:01.0"-like path of a device for firmware and migration ids; caller frees; may be NULL. */
    char *(*device_path)(DeviceState *dev);
    void (*reset)(BusState *bus);       /* after the devices on it; may be NULL */
    bool full_when_one;         /* holds at most one device */
    const char *kind_name;      /* for messages: "PCIE"; NULL: the type's name */
} BusOps;

struct BusState {
    Object obj;
    DeviceState *parent;        /* the bridge or controller; NULL for a main bus */
    char *name;                 /* "pcie.0", "virtio-serial0.0" */
    DeviceState *devices;       /* private list, newest first */
    BusState *next_sibling;     /* private */
    const struct HotplugOps *hotplug;   /* NULL: nothing can be hot-plugged here */
    void *hotplug_opaque;
    bool realized;
};

#define BUS(p) ((BusState *)object_cast(p, &bus_type))

/*
 * How a bus takes and gives up devices; pre_plug and plug also run for devices
 * of the command line (dev->hotplugged tells). Each may be NULL.
 */
typedef struct HotplugOps {
    bool (*pre_plug)(void *opaque, DeviceState *dev, Error **errp);     /* before realize */
    bool (*plug)(void *opaque, DeviceState *dev, Error **errp);         /* after realize; failure unrealizes */
    /* Ask the guest to let go; the device is removed when it does (device_unplug_finish). NULL: removed at once. */
    bool (*unplug_request)(void *opaque, DeviceState *dev, Error **errp);
    /* The removal itself; NULL: just unrealize. */
    void (*unplug)(void *opaque, DeviceState *dev);
} HotplugOps;

/* A new device of @type, not realized, loose (one reference). */
DeviceState *device_new(const TypeInfo *type);
/*
 * Realize on @bus (NULL for system devices). A loose device gets a place below
 * /machine/unattached. Failure leaves it unrealized where it was.
 */
bool device_realize(DeviceState *dev, BusState *bus, Error **errp);
/* device_realize() and drop the caller's reference, on failure too. */
bool device_realize_and_unref(DeviceState *dev, BusState *bus, Error **errp);
void device_unrealize(DeviceState *dev);
/* -device / device_add: {"driver": T, "id": I, "bus": B, ...}. Borrowed result; it lives in /machine/peripheral[-anon]. */
DeviceState *device_add(const JsonValue *options, Error **errp);
/* device_del: starts removal. */
bool device_del(const char *id, Error **errp);
/* device_add and device_del fail: "device_add not allowed @when"; NULL: allowed again. */
void device_forbid_changes(const char *when);
/* The guest (or nobody) has let go: unrealize, unparent, DEVICE_DELETED. */
void device_unplug_finish(DeviceState *dev);
/* By id or QOM path. */
DeviceState *device_find(const char *id_or_path, Error **errp);
/* The non-abstract device type that users may create, with the errors of -device. */
const TypeInfo *device_find_type(const char *driver, Error **errp);
/* -global: applied to every later device that is a @driver. */
void device_global_add(const char *driver, const char *property, const char *value);
/* Say which globals name no type. */
void device_global_check(void);
/* True from the moment the machine is complete: later devices are hot-plugged. */
bool device_machine_ready(void);
void device_set_machine_ready(void);

/* Stops and returns non-zero when a callback does; parents before children. */
int bus_walk(BusState *bus, int (*fn)(DeviceState *dev, void *opaque), void *opaque);

/*
 * Init @bus inside its parent's state, as a child object of it; @name NULL:
 * "<parent id>.<n>" or "<type>.<n>".
 */
void bus_init(BusState *bus, const TypeInfo *type, DeviceState *parent, const char *name);
/* Removes all devices on it, then the bus from its parent; also happens when the parent is freed. */
void bus_cleanup(BusState *bus);
/* By name ("pcie.0"), by id of a device with a bus, or by path. */
BusState *bus_find(const char *name, Error **errp);
/* The family of buses that devices for @type fit, as users know it: "PCI" for PCI Express. */
const char *bus_family_name(const TypeInfo *type);
/* The first bus of @type with room, breadth first from the machine. */
BusState *bus_find_free(const TypeInfo *type);
BusState *machine_main_bus(void);       /* the bus of system devices */

/* ---- reset ---- */

/* Reset order: registered functions in order, then the device tree, children before parents. */
typedef void ResetFunc(void *opaque);
void reset_register(ResetFunc *fn, void *opaque);
void reset_unregister(ResetFunc *fn, void *opaque);
void device_reset_tree(DeviceState *dev);
void bus_reset_tree(BusState *bus);
/* Everything: what a system reset does to devices. */
void reset_all(void);

/* ---- interrupt lines (GPIO) ---- */

/* A level-triggered wire; the handler runs in the caller's thread. */
typedef void IrqHandler(void *opaque, int n, int level);

struct IrqLine {
    IrqHandler *handler;        /* NULL: not connected */
    void *opaque;
    int n;
};

static inline void irq_set(const IrqLine *line, int level)
{
    if (line && line->handler) {
        line->handler(line->opaque, line->n, level);
    }
}
#define irq_raise(line) irq_set(line, 1)
#define irq_lower(line) irq_set(line, 0)

/* Inputs of @dev: @count lines, unnamed when @name is NULL. */
void device_init_gpio_in(DeviceState *dev, const char *name, IrqHandler *handler, int count);
IrqLine *device_gpio_in(DeviceState *dev, const char *name, int n);
/* Outputs: @lines is an array inside the device, driven with irq_set(). */
void device_init_gpio_out(DeviceState *dev, const char *name, IrqLine *lines, int count);
void device_connect_gpio_out(DeviceState *dev, const char *name, int n, IrqLine *to);
/* qtest: call @observer in place of (out) or besides (in) each change. */
typedef void IrqObserver(void *opaque, int n, int level);
bool device_intercept_gpio(DeviceState *dev, const char *name, bool out, IrqObserver *observer, void *opaque);

#endif
