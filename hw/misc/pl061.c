/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PL061, a GPIO block (ARM DDI 0190): eight pins, each input or output,
 * interrupts on levels or edges. A key for one of its pins. vCPU threads and
 * the main loop, with the machine lock.
 */
#include "util/osdep.h"

#include "hw/misc/pl061.h"
#include "hw/misc/primecell.h"
#include "trace-hw-misc.h"

enum {
    REG_DATA_END = 0x400,       /* below: bits 9:2 of the address select pins */
    REG_DIR = 0x400, REG_IS = 0x404, REG_IBE = 0x408, REG_IEV = 0x40c, REG_IE = 0x410,
    REG_RIS = 0x414, REG_MIS = 0x418, REG_IC = 0x41c, REG_AFSEL = 0x420,
};

static const uint8_t id[8] = { 0x61, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };

/* Outputs show what was written, inputs what is driven from outside. */
static uint8_t pins(const Pl061State *s)
{
    return (s->data & s->dir) | (s->input & ~s->dir);
}

/* Pins or settings changed: outputs, latched edges, levels, the interrupt. */
static void update(Pl061State *s)
{
    uint8_t level = pins(s), changed = level ^ s->level;
    uint8_t edges = changed & (s->both | ~(level ^ s->event)) & ~s->sense & ~s->dir;

    for (unsigned i = 0; i < PL061_PINS; i++) {
        if (s->dir & 1 << i) {
            irq_set(&s->out[i], level >> i & 1);
        }
    }
    s->level = level;
    s->ris |= edges;
    /* Level-triggered ones follow their pin. */
    s->ris = (s->ris & ~s->sense) | (~(level ^ s->event) & s->sense & ~s->dir);
    irq_set(&s->irq, (s->ris & s->mask) != 0);
}

static void set_input(void *opaque, int n, int level)
{
    Pl061State *s = opaque;

    s->input = (s->input & ~(1 << n)) | (level ? 1 << n : 0);
    update(s);
}

static uint8_t *setting(Pl061State *s, GuestAddr reg)
{
    switch (reg) {
    case REG_DIR:
        return &s->dir;
    case REG_IS:
        return &s->sense;
    case REG_IBE:
        return &s->both;
    case REG_IEV:
        return &s->event;
    case REG_IE:
        return &s->mask;
    case REG_AFSEL:
        return &s->afsel;
    default:
        return NULL;
    }
}

static uint32_t read_register(Pl061State *s, GuestAddr reg)
{
    const uint8_t *field = setting(s, reg);

    if (reg < REG_DATA_END) {
        return pins(s) & reg >> 2;
    }
    if (field) {
        return *field;
    }
    return reg == REG_RIS ? s->ris : reg == REG_MIS ? s->ris & s->mask : primecell_id(id, reg);
}

static void write_register(Pl061State *s, GuestAddr reg, uint8_t value)
{
    uint8_t *field = setting(s, reg);

    if (reg < REG_DATA_END) {
        uint8_t chosen = reg >> 2 & s->dir;
        s->data = (s->data & ~chosen) | (value & chosen);
    } else if (field) {
        *field = value;
    } else if (reg == REG_IC) {
        s->ris &= ~value;
    }
    update(s);
}

static uint64_t pl061_read(void *opaque, GuestAddr addr, unsigned size)
{
    return primecell_part(read_register(opaque, ROUND_DOWN(addr, 4)), addr, size);
}

static void pl061_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    if (addr % 4 == 0) {
        write_register(opaque, addr, value);
    }
}

static const MemoryRegionOps pl061_region_ops = PRIMECELL_REGION_OPS(pl061_read, pl061_write);

static void pl061_reset(DeviceState *dev)
{
    Pl061State *s = PL061(dev);

    s->data = s->dir = s->sense = s->both = s->event = s->mask = s->ris = s->afsel = 0;
    s->level = pins(s);
    update(s);
}

static bool pl061_realize(DeviceState *dev, Error **errp)
{
    Pl061State *s = PL061(dev);

    memory_region_init_io(&s->io, OBJECT(s), &pl061_region_ops, s, "pl061", PRIMECELL_SIZE);
    return true;
}

static void pl061_unrealize(DeviceState *dev)
{
    memory_region_cleanup(&PL061(dev)->io);
}

static void pl061_init(Object *obj)
{
    Pl061State *s = (Pl061State *)obj;

    device_init_gpio_in(&s->dev, NULL, set_input, PL061_PINS);
    device_init_gpio_out(&s->dev, NULL, s->out, PL061_PINS);
    device_init_gpio_out(&s->dev, "irq", &s->irq, 1);
}

static bool pl061_post_load(void *opaque, int version)
{
    update(opaque);
    return true;
}

static const StateField pl061_fields[] = {
    STATE_F_UINT8(Pl061State, input),
    STATE_F_UINT8(Pl061State, data),
    STATE_F_UINT8(Pl061State, dir),
    STATE_F_UINT8(Pl061State, sense),
    STATE_F_UINT8(Pl061State, both),
    STATE_F_UINT8(Pl061State, event),
    STATE_F_UINT8(Pl061State, mask),
    STATE_F_UINT8(Pl061State, ris),
    STATE_F_UINT8(Pl061State, afsel),
    STATE_F_UINT8(Pl061State, level),
    STATE_F_END
};

static const StateTable pl061_state = {
    .name = "pl061", .version = 1, .minimum_version = 1, .fields = pl061_fields,
    .post_load = pl061_post_load,
};

static const DeviceOps pl061_ops = {
    .realize = pl061_realize, .unrealize = pl061_unrealize, .reset = pl061_reset,
    .state = &pl061_state,
};

OBJECT_TYPE(pl061_type) = {
    .name = "pl061",
    .parent = &device_type,
    .description = "Arm PrimeCell GPIO",
    .instance_size = sizeof(Pl061State),
    .instance_init = pl061_init,
    .impls = TYPE_IMPLS({ &device_type, &pl061_ops }),
};

/* ---- a key ---- */

#define PRESS_NS INT64_C(100000000)

static void set_key(GpioKeyState *s, bool down)
{
    s->down = down;
    irq_set(&s->out, down);
}

static void release(void *opaque)
{
    set_key(opaque, false);
}

void gpio_key_press(GpioKeyState *s)
{
    trace_gpio_key_press();
    set_key(s, true);
    timer_arm_ns(&s->release, clock_now_ns(CLOCK_TYPE_VIRTUAL) + PRESS_NS);
}

static void gpio_key_reset(DeviceState *dev)
{
    GpioKeyState *s = GPIO_KEY(dev);

    timer_disarm(&s->release);
    set_key(s, false);
}

static bool gpio_key_realize(DeviceState *dev, Error **errp)
{
    GpioKeyState *s = GPIO_KEY(dev);

    timer_init(&s->release, event_loop_main(), CLOCK_TYPE_VIRTUAL, release, s);
    return true;
}

static void gpio_key_unrealize(DeviceState *dev)
{
    timer_disarm(&GPIO_KEY(dev)->release);
}

static void gpio_key_init(Object *obj)
{
    GpioKeyState *s = (GpioKeyState *)obj;

    device_init_gpio_out(&s->dev, NULL, &s->out, 1);
}

/* A key that was down when the machine was saved is let go of after as long again. */
static bool gpio_key_post_load(void *opaque, int version)
{
    GpioKeyState *s = opaque;

    if (s->down) {
        gpio_key_press(s);
    }
    return true;
}

static const StateField gpio_key_fields[] = {
    STATE_F_BOOL(GpioKeyState, down),
    STATE_F_END
};

static const StateTable gpio_key_state = {
    .name = "gpio-key", .version = 1, .minimum_version = 1, .fields = gpio_key_fields,
    .post_load = gpio_key_post_load,
};

static const DeviceOps gpio_key_ops = {
    .realize = gpio_key_realize, .unrealize = gpio_key_unrealize, .reset = gpio_key_reset,
    .state = &gpio_key_state,
};

OBJECT_TYPE(gpio_key_type) = {
    .name = "gpio-key",
    .parent = &device_type,
    .description = "A key on a GPIO pin",
    .instance_size = sizeof(GpioKeyState),
    .instance_init = gpio_key_init,
    .impls = TYPE_IMPLS({ &device_type, &gpio_key_ops }),
};
