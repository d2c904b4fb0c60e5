/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MC146818: registers of time are computed from the clock that -rtc chose plus
 * what the guest has set it off by. While the guest sets it (bit SET) they are
 * plain memory, as all others are: alarm, control, battery-backed bytes. vCPU
 * threads with the machine lock; all values are the guest's.
 */
#include "util/osdep.h"

#include <time.h>
#include "hw/misc/mc146818.h"
#include "migration/state.h"
#include "system/memory.h"
#include "system/rtc.h"

enum {
    REG_SECONDS = 0, REG_MINUTES = 2, REG_HOURS = 4, REG_WEEKDAY = 6, REG_DAY = 7, REG_MONTH = 8,
    REG_YEAR = 9, REG_A = 0xa, REG_B = 0xb, REG_C = 0xc, REG_D = 0xd, REG_CENTURY = 0x32,
};
enum { A_UPDATE = 0x80, A_DEFAULT = 0x26 };
enum { B_SET = 0x80, B_BINARY = 0x04, B_24_HOURS = 0x02, B_INTERRUPTS = 0x70 };
enum { D_VALID = 0x80, HOUR_PM = 0x80 };
#define SECOND INT64_C(1000000000)
#define UPDATE_NS 244000        /* before the second changes */
#define OFFSET_MAX (INT64_C(1) << 40)

typedef struct Mc146818 {
    DeviceState dev;
    MemoryRegion io;
    uint16_t port;
    uint8_t index;
    uint8_t bytes[MC146818_SIZE];
    int64_t offset;             /* seconds that the guest has added */
} Mc146818;

static const TypeInfo mc146818_type;
#define MC146818(p) ((Mc146818 *)object_cast(p, &mc146818_type))

/* ---- formats ---- */

static uint8_t encode(const Mc146818 *s, unsigned v)
{
    return (s->bytes[REG_B] & B_BINARY) ? v : v / 10 % 10 << 4 | v % 10;
}

static unsigned decode(const Mc146818 *s, uint8_t v)
{
    return (s->bytes[REG_B] & B_BINARY) ? v : (v >> 4) * 10u + (v & 0xf);
}

static uint8_t encode_hour(const Mc146818 *s, unsigned hour)
{
    if (s->bytes[REG_B] & B_24_HOURS) {
        return encode(s, hour);
    }
    return encode(s, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? HOUR_PM : 0);
}

static unsigned decode_hour(const Mc146818 *s)
{
    uint8_t v = s->bytes[REG_HOURS];

    if (s->bytes[REG_B] & B_24_HOURS) {
        return decode(s, v);
    }
    return decode(s, v & ~HOUR_PM) % 12 + ((v & HOUR_PM) ? 12 : 0);
}

/* ---- time ---- */

static bool is_time(unsigned reg)
{
    return reg == REG_SECONDS || reg == REG_MINUTES || reg == REG_HOURS ||
           (reg >= REG_WEEKDAY && reg <= REG_YEAR) || reg == REG_CENTURY;
}

static void time_to_registers(Mc146818 *s)
{
    time_t t = rtc_now_ns() / SECOND + s->offset;
    struct tm tm = { 0 };
    unsigned year;

    gmtime_r(&t, &tm);
    year = tm.tm_year + 1900;
    s->bytes[REG_SECONDS] = encode(s, tm.tm_sec);
    s->bytes[REG_MINUTES] = encode(s, tm.tm_min);
    s->bytes[REG_HOURS] = encode_hour(s, tm.tm_hour);
    s->bytes[REG_WEEKDAY] = encode(s, tm.tm_wday + 1);
    s->bytes[REG_DAY] = encode(s, tm.tm_mday);
    s->bytes[REG_MONTH] = encode(s, tm.tm_mon + 1);
    s->bytes[REG_YEAR] = encode(s, year % 100);
    s->bytes[REG_CENTURY] = encode(s, year / 100 % 100);
}

static void registers_to_time(Mc146818 *s)
{
    struct tm tm = {
        .tm_sec = decode(s, s->bytes[REG_SECONDS]), .tm_min = decode(s, s->bytes[REG_MINUTES]),
        .tm_hour = decode_hour(s), .tm_mday = decode(s, s->bytes[REG_DAY]),
        .tm_mon = (int)decode(s, s->bytes[REG_MONTH]) - 1,
        .tm_year = (int)(decode(s, s->bytes[REG_CENTURY]) * 100 + decode(s, s->bytes[REG_YEAR])) - 1900,
    };
    int64_t offset = timegm(&tm) - rtc_now_ns() / SECOND;

    if (offset != s->offset) {
        s->offset = offset;
        rtc_guest_set(s, offset);
    }
}

static bool in_update(const Mc146818 *s)
{
    return !(s->bytes[REG_B] & B_SET) && rtc_now_ns() % SECOND >= SECOND - UPDATE_NS;
}

/* ---- registers ---- */

static uint8_t read_register(Mc146818 *s)
{
    switch (s->index) {
    case REG_A:
        return s->bytes[REG_A] | (in_update(s) ? A_UPDATE : 0);
    case REG_C:
        return 0;               /* nothing has happened */
    case REG_D:
        return D_VALID;
    default:
        if (is_time(s->index) && !(s->bytes[REG_B] & B_SET)) {
            time_to_registers(s);
        }
        return s->bytes[s->index];
    }
}

/* The time stands while SET is set; afterwards it goes on from what the registers say. */
static void write_control(Mc146818 *s, uint8_t value)
{
    bool was_set = s->bytes[REG_B] & B_SET;

    if (!was_set && (value & B_SET)) {
        time_to_registers(s);
    }
    s->bytes[REG_B] = value & ~B_INTERRUPTS;
    if (was_set && !(value & B_SET)) {
        registers_to_time(s);
    }
}

static void write_register(Mc146818 *s, uint8_t value)
{
    switch (s->index) {
    case REG_A:
        s->bytes[REG_A] = value & ~A_UPDATE;
        break;
    case REG_B:
        write_control(s, value);
        break;
    case REG_C:
    case REG_D:
        break;
    default:
        if (is_time(s->index) && !(s->bytes[REG_B] & B_SET)) {
            time_to_registers(s);
            s->bytes[s->index] = value;
            registers_to_time(s);
        } else {
            s->bytes[s->index] = value;
        }
        break;
    }
}

static uint64_t mc146818_read(void *opaque, GuestAddr addr, unsigned size)
{
    return addr ? read_register(opaque) : UINT8_MAX;    /* the index can only be written */
}

static void mc146818_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    Mc146818 *s = opaque;

    if (addr) {
        write_register(s, value);
    } else {
        s->index = value % MC146818_SIZE;       /* the upper bit masks NMI, of which there is none */
    }
}

static const MemoryRegionOps mc146818_region_ops = {
    .read = mc146818_read, .write = mc146818_write, .valid_min = 1, .valid_max = 1,
};

/* ---- life ---- */

static bool mc146818_realize(DeviceState *dev, Error **errp)
{
    Mc146818 *s = MC146818(dev);

    s->bytes[REG_A] = A_DEFAULT;
    s->bytes[REG_B] = B_24_HOURS;
    memory_region_init_io(&s->io, OBJECT(s), &mc146818_region_ops, s, "rtc", 2);
    memory_region_add(system_io(), s->port, &s->io);
    return true;
}

static void mc146818_unrealize(DeviceState *dev)
{
    memory_region_cleanup(&MC146818(dev)->io);
}

/* The battery keeps it all. */
static void mc146818_reset(DeviceState *dev)
{
    write_control(MC146818(dev), MC146818(dev)->bytes[REG_B] & ~B_SET);
}

static bool mc146818_post_load(void *opaque, int version)
{
    const Mc146818 *s = opaque;

    /* What registers can say is within some ten thousand years. */
    return s->index < MC146818_SIZE && s->offset < OFFSET_MAX && s->offset > -OFFSET_MAX;
}

static const StateTable mc146818_state = {
    .name = "mc146818rtc", .version = 1, .minimum_version = 1, .post_load = mc146818_post_load,
    .fields = (const StateField[]) {
        STATE_F_UINT8(Mc146818, index),
        STATE_F_BYTES(Mc146818, bytes),
        STATE_F_INT64(Mc146818, offset),
        STATE_F_END
    },
};

static const DeviceOps mc146818_ops = {
    .realize = mc146818_realize, .unrealize = mc146818_unrealize, .reset = mc146818_reset,
    .state = &mc146818_state,
};

OBJECT_TYPE_STATIC(mc146818_type) = {
    .name = "mc146818rtc",
    .parent = &device_type,
    .description = "Battery clock",
    .instance_size = sizeof(Mc146818),
    .impls = TYPE_IMPLS({ &device_type, &mc146818_ops }),
};

bool mc146818_create(Object *parent, uint16_t port, Error **errp)
{
    DeviceState *dev = device_new(&mc146818_type);

    MC146818(dev)->port = port;
    object_add_child(parent, "rtc", dev, &error_abort);
    return device_realize_and_unref(dev, NULL, errp);
}
