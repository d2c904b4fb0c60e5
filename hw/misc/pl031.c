/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PL031, a real time clock (ARM DDI 0224): what -rtc says plus what the
 * guest has set it off by. The alarm fires in the second that the match
 * register names. vCPU threads and the main loop, with the machine lock.
 */
#include "util/osdep.h"

#include "hw/misc/pl031.h"
#include "hw/misc/primecell.h"
#include "system/rtc.h"
#include "trace-hw-misc.h"

enum {
    REG_DR = 0x00, REG_MR = 0x04, REG_LR = 0x08, REG_CR = 0x0c, REG_IMSC = 0x10, REG_RIS = 0x14,
    REG_MIS = 0x18, REG_ICR = 0x1c,
};
#define SECOND INT64_C(1000000000)

static const uint8_t id[8] = { 0x31, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };

static uint32_t now(const Pl031State *s)
{
    return rtc_now_ns() / SECOND + s->offset;
}

static void update_irq(Pl031State *s)
{
    irq_set(&s->irq, s->imsc && s->ris);
}

static void ring(void *opaque)
{
    Pl031State *s = opaque;

    s->ris = true;
    trace_pl031_alarm(s->match);
    update_irq(s);
}

/* In up to 136 years. A match of this very second comes when the counter has wrapped, unless just set. */
static void arm_alarm(Pl031State *s)
{
    uint32_t left = s->match - now(s);

    if (!left) {
        timer_disarm(&s->alarm);
        ring(s);
        return;
    }
    timer_arm_ns(&s->alarm, (clock_now_ns(CLOCK_TYPE_HOST) / SECOND + left) * SECOND);
}

static uint32_t read_register(Pl031State *s, GuestAddr reg)
{
    switch (reg) {
    case REG_DR:
        return now(s);
    case REG_MR:
        return s->match;
    case REG_LR:
        return s->load;
    case REG_CR:
        return 1;               /* it always runs */
    case REG_IMSC:
        return s->imsc;
    case REG_RIS:
        return s->ris;
    case REG_MIS:
        return s->imsc && s->ris;
    default:
        return primecell_id(id, reg);
    }
}

static void write_register(Pl031State *s, GuestAddr reg, uint32_t value)
{
    switch (reg) {
    case REG_MR:
        s->match = value;
        arm_alarm(s);
        break;
    case REG_LR:
        s->load = value;
        s->offset += value - now(s);
        rtc_guest_set(s, (int32_t)s->offset);
        arm_alarm(s);
        break;
    case REG_IMSC:
        s->imsc = value & 1;
        break;
    case REG_ICR:
        s->ris &= !(value & 1);
        break;
    }
    update_irq(s);
}

static uint64_t pl031_read(void *opaque, GuestAddr addr, unsigned size)
{
    return primecell_part(read_register(opaque, ROUND_DOWN(addr, 4)), addr, size);
}

static void pl031_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    if (addr % 4 == 0) {
        write_register(opaque, addr, value);
    }
}

static const MemoryRegionOps pl031_region_ops = PRIMECELL_REGION_OPS(pl031_read, pl031_write);

/* The clock itself goes on over a reset, as one with a battery does. */
static void pl031_reset(DeviceState *dev)
{
    Pl031State *s = PL031(dev);

    timer_disarm(&s->alarm);
    s->match = s->load = 0;
    s->imsc = s->ris = false;
    update_irq(s);
}

static bool pl031_realize(DeviceState *dev, Error **errp)
{
    Pl031State *s = PL031(dev);

    memory_region_init_io(&s->io, OBJECT(s), &pl031_region_ops, s, "pl031", PRIMECELL_SIZE);
    timer_init(&s->alarm, event_loop_main(), CLOCK_TYPE_HOST, ring, s);
    return true;
}

static void pl031_unrealize(DeviceState *dev)
{
    Pl031State *s = PL031(dev);

    timer_disarm(&s->alarm);
    memory_region_cleanup(&s->io);
}

static void pl031_init(Object *obj)
{
    Pl031State *s = (Pl031State *)obj;

    device_init_gpio_out(&s->dev, NULL, &s->irq, 1);
}

static bool pl031_post_load(void *opaque, int version)
{
    Pl031State *s = opaque;

    if (s->match && !s->ris && s->match != now(s)) {
        arm_alarm(s);
    }
    update_irq(s);
    return true;
}

static const StateField pl031_fields[] = {
    STATE_F_UINT32(Pl031State, offset),
    STATE_F_UINT32(Pl031State, match),
    STATE_F_UINT32(Pl031State, load),
    STATE_F_BOOL(Pl031State, imsc),
    STATE_F_BOOL(Pl031State, ris),
    STATE_F_END
};

static const StateTable pl031_state = {
    .name = "pl031", .version = 1, .minimum_version = 1, .fields = pl031_fields,
    .post_load = pl031_post_load,
};

static const DeviceOps pl031_ops = {
    .realize = pl031_realize, .unrealize = pl031_unrealize, .reset = pl031_reset,
    .state = &pl031_state,
};

OBJECT_TYPE(pl031_type) = {
    .name = "pl031",
    .parent = &device_type,
    .description = "Arm PrimeCell real time clock",
    .instance_size = sizeof(Pl031State),
    .instance_init = pl031_init,
    .impls = TYPE_IMPLS({ &device_type, &pl031_ops }),
};
