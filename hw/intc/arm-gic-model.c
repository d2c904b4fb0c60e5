/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the models of GICv2 (ARM IHI 0048) and GICv3 (ARM IHI 0069) share: the
 * state of each interrupt and the registers with a field for each.
 *
 * Machine lock. Every register value is a test's, or what a fuzzer makes of it.
 */
#include "util/osdep.h"

#include "arm-gic-model.h"
#include "hw/arm/virt.h"

/* ---- lines ---- */

unsigned gic_id_count(const ArmGicModel *s)
{
    return s->gic.cfg.spis + ARM_GIC_SPI_FIRST;
}

static GicLine *line_at(ArmGicModel *s, unsigned n)
{
    return (GicLine *)s->lines + n;
}

static unsigned line_count(const ArmGicModel *s)
{
    return s->gic.cfg.spis + 32 * s->gic.cfg.cpus;
}

GicLine *gic_line(ArmGicModel *s, unsigned cpu, unsigned id)
{
    if (id >= gic_id_count(s)) {
        return NULL;
    }
    return line_at(s, id >= 32 ? id - 32 : s->gic.cfg.spis + 32 * cpu + id);
}

bool gic_line_pending(const GicLine *l)
{
    return l->pending || l->sources || (!l->edge && l->level);
}

void gic_update(ArmGicModel *s)
{
    const ArmGicModelOps *ops = object_ops(s, &arm_gic_model_type);

    ops->update(s);
}

static void set_line(void *opaque, int n, int level)
{
    ArmGicModel *s = opaque;
    GicLine *l = line_at(s, n);

    if (l->level == (level != 0)) {
        return;
    }
    l->level = level != 0;
    if (l->edge && level) {
        l->pending = 1;
    }
    gic_update(s);
}

/* ---- registers with a field for each interrupt ---- */

typedef enum FieldKind {
    FIELD_GROUP, FIELD_SET_ENABLE, FIELD_CLEAR_ENABLE, FIELD_SET_PENDING, FIELD_CLEAR_PENDING,
    FIELD_SET_ACTIVE, FIELD_CLEAR_ACTIVE, FIELD_PRIORITY, FIELD_TARGETS, FIELD_CONFIG,
} FieldKind;

static const struct {
    uint16_t start, end;
    uint8_t bits;
} fields[] = {
    [FIELD_GROUP] = { 0x080, 0x100, 1 },
    [FIELD_SET_ENABLE] = { 0x100, 0x180, 1 }, [FIELD_CLEAR_ENABLE] = { 0x180, 0x200, 1 },
    [FIELD_SET_PENDING] = { 0x200, 0x280, 1 }, [FIELD_CLEAR_PENDING] = { 0x280, 0x300, 1 },
    [FIELD_SET_ACTIVE] = { 0x300, 0x380, 1 }, [FIELD_CLEAR_ACTIVE] = { 0x380, 0x400, 1 },
    [FIELD_PRIORITY] = { 0x400, 0x800, 8 }, [FIELD_TARGETS] = { 0x800, 0xc00, 8 },
    [FIELD_CONFIG] = { 0xc00, 0xd00, 2 },
};

static int find_field(uint32_t addr)
{
    for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
        if (addr >= fields[i].start && addr < fields[i].end) {
            return i;
        }
    }
    return -1;
}

static unsigned get_field(ArmGicModel *s, FieldKind kind, const GicLine *l, unsigned cpu,
                          unsigned id)
{
    switch (kind) {
    case FIELD_GROUP:
        return l->group;
    case FIELD_SET_ENABLE:
    case FIELD_CLEAR_ENABLE:
        return l->enabled;
    case FIELD_SET_PENDING:
    case FIELD_CLEAR_PENDING:
        return gic_line_pending(l);
    case FIELD_SET_ACTIVE:
    case FIELD_CLEAR_ACTIVE:
        return l->active;
    case FIELD_PRIORITY:
        return l->priority;
    case FIELD_TARGETS:
        /* Of a private one: the CPU that asks. A single CPU's are not implemented. */
        return s->gic.cfg.version != 2 || s->gic.cfg.cpus == 1 ? 0
               : id < 32 ? 1u << cpu : l->targets;
    case FIELD_CONFIG:
        return l->edge ? 2 : 0;
    }
    return 0;
}

static void set_field(ArmGicModel *s, FieldKind kind, GicLine *l, unsigned id, unsigned value)
{
    bool one = value & 1;

    switch (kind) {
    case FIELD_GROUP:
        l->group = one;
        break;
    case FIELD_SET_ENABLE:
        l->enabled |= one;
        break;
    case FIELD_CLEAR_ENABLE:
        l->enabled &= !one;
        break;
    case FIELD_SET_PENDING:
        /* Software interrupts have registers of their own in version 2. */
        if (id >= 16 || s->gic.cfg.version != 2) {
            l->pending |= one;
        }
        break;
    case FIELD_CLEAR_PENDING:
        l->pending &= !one;
        break;
    case FIELD_SET_ACTIVE:
        l->active |= one;
        break;
    case FIELD_CLEAR_ACTIVE:
        l->active &= !one;
        break;
    case FIELD_PRIORITY:
        l->priority = value & 0xf8;     /* 32 levels */
        break;
    case FIELD_TARGETS:
        if (id >= 32 && s->gic.cfg.version == 2) {
            l->targets = value & ((1u << s->gic.cfg.cpus) - 1);
        }
        break;
    case FIELD_CONFIG:
        if (id >= 16) {
            l->edge = value >> 1 & 1;
        }
        break;
    }
}

bool gic_fields_read(ArmGicModel *s, unsigned cpu, uint32_t addr, unsigned size, unsigned from,
                     unsigned to, uint64_t *value)
{
    int kind = find_field(addr);
    unsigned bits, id, count;

    if (kind < 0) {
        return false;
    }
    bits = fields[kind].bits;
    id = (addr - fields[kind].start) * 8 / bits;
    count = size * 8 / bits;
    *value = 0;
    for (unsigned i = 0; i < count; i++, id++) {
        if (id >= from && id < to) {
            uint64_t v = get_field(s, kind, gic_line(s, cpu, id), cpu, id);
            *value |= v << (i * bits);
        }
    }
    return true;
}

bool gic_fields_write(ArmGicModel *s, unsigned cpu, uint32_t addr, unsigned size, unsigned from,
                      unsigned to, uint64_t value)
{
    int kind = find_field(addr);
    unsigned bits, id, count;

    if (kind < 0) {
        return false;
    }
    bits = fields[kind].bits;
    id = (addr - fields[kind].start) * 8 / bits;
    count = size * 8 / bits;
    for (unsigned i = 0; i < count; i++, id++) {
        if (id >= from && id < to) {
            set_field(s, kind, gic_line(s, cpu, id), id,
                      value >> (i * bits) & ((1u << bits) - 1));
        }
    }
    gic_update(s);
    return true;
}

uint64_t gic_part(uint64_t reg, uint32_t addr, unsigned size, unsigned width)
{
    uint64_t part = reg >> (8 * (addr & (width - 1)));

    return size < 8 ? part & (BIT(8 * size) - 1) : part;
}

uint64_t gic_merge(uint64_t reg, uint32_t addr, unsigned size, unsigned width, uint64_t value)
{
    unsigned shift = 8 * (addr & (width - 1));
    uint64_t mask = (size < 8 ? BIT(8 * size) - 1 : UINT64_MAX) << shift;

    return (reg & ~mask) | (value << shift & mask);
}

/* ---- life ---- */

void arm_gic_model_realize(ArmGicModel *s)
{
    s->lines_size = line_count(s) * sizeof(GicLine);
    s->lines = g_malloc0(s->lines_size);
    s->out = g_new0(IrqLine, s->gic.cfg.cpus);
    arm_gic_init_lines(&s->gic, set_line);
    device_init_gpio_out(&s->gic.dev, NULL, s->out, s->gic.cfg.cpus);
    arm_gic_model_reset(s);
}

/* Levels are what devices drive, and stay. */
void arm_gic_model_reset(ArmGicModel *s)
{
    for (unsigned i = 0; i < line_count(s); i++) {
        GicLine *l = line_at(s, i);
        bool software = i >= s->gic.cfg.spis && (i - s->gic.cfg.spis) % 32 < 16;

        *l = (GicLine){ .level = l->level, .edge = software, .enabled = software &&
                        s->gic.cfg.version == 2 };
    }
    s->ctlr = 0;
}

void arm_gic_model_unrealize(ArmGicModel *s)
{
    memory_region_cleanup(&s->dist);
}

static void gic_model_finalize(Object *obj)
{
    ArmGicModel *s = (ArmGicModel *)obj;

    g_free(s->lines);
    g_free(s->out);
}

/* Any byte would be taken for true or false; but there must be as many. */
static bool gic_model_post_load(void *opaque, int version)
{
    ArmGicModel *s = opaque;

    return s->lines_size == line_count(s) * sizeof(GicLine);
}

static const StateField gic_model_fields[] = {
    { .name = "lines", .kind = STATE_BUFFER, .offset = offsetof(ArmGicModel, lines), .count = 1,
      .count_offset = offsetof(ArmGicModel, lines_size), .max = MIB },
    STATE_F_UINT32(ArmGicModel, ctlr),
    STATE_F_END
};

const StateTable arm_gic_model_state = {
    .name = "arm-gic-model", .version = 1, .minimum_version = 1, .fields = gic_model_fields,
    .post_load = gic_model_post_load,
};

OBJECT_TYPE(arm_gic_model_type) = {
    .name = "arm-gic-model",
    .parent = &arm_gic_type,
    .abstract = true,
    .instance_size = sizeof(ArmGicModel),
    .instance_finalize = gic_model_finalize,
};
