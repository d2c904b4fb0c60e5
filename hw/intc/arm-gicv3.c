/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Model of a GICv3 (ARM IHI 0069) with a single security state, for machines
 * that no CPU runs in: distributor and redistributors. There is no CPU
 * interface, as that is in a CPU's system registers: a CPU's interrupt request
 * shows what would reach one that masks nothing and has nothing active.
 *
 * Machine lock. Every register value is a test's.
 */
#include "util/osdep.h"

#include "arm-gic-model.h"
#include "hw/arm/virt.h"
#include "target/arm/cpu.h"
#include "util/bswap.h"

#define DIST_SIZE 0x10000u
#define FRAME_SIZE 0x10000u     /* of the two that a redistributor has */
#define IIDR 0x0400043bu
#define ID_BITS 16u

enum { GICD_CTLR = 0x000, GICD_TYPER = 0x004, GICD_IIDR = 0x008, GICD_SETSPI = 0x040,
       GICD_CLRSPI = 0x048, GICD_IROUTER = 0x6000, GICD_IROUTER_END = 0x8000, ID_REGS = 0xffd0 };
enum { CTLR_GROUPS = 3, CTLR_ARE = 1 << 4, CTLR_DS = 1 << 6 };
enum { GICR_CTLR = 0x00, GICR_IIDR = 0x04, GICR_TYPER = 0x08, GICR_WAKER = 0x14,
       GICR_PROPBASER = 0x70, GICR_PENDBASER = 0x78 };
enum { WAKER_SLEEP = 1 << 1, WAKER_ASLEEP = 1 << 2 };
enum { TYPER_LPIS = 1 << 0, TYPER_LAST = 1 << 4 };

typedef struct Redistributor {
    uint32_t ctlr, waker;
    uint64_t propbaser, pendbaser;
} Redistributor;

typedef struct ArmGicV3 ArmGicV3;

typedef struct RedistRegion {
    MemoryRegion io;
    ArmGicV3 *gic;
    unsigned first_cpu;
} RedistRegion;

struct ArmGicV3 {
    ArmGicModel m;
    RedistRegion regions[ARM_GIC_REDIST_REGIONS];
    uint32_t redist_size;       /* bytes */
    uint8_t *redist;            /* Redistributor of each CPU */
};

static const TypeInfo gicv3_type;
#define ARM_GICV3(p) ((ArmGicV3 *)object_cast(p, &gicv3_type))

static Redistributor *redist(ArmGicV3 *s, unsigned cpu)
{
    return (Redistributor *)s->redist + cpu;
}

/* ---- what is due ---- */

/* The CPU that an SPI goes to; @cpus when there is no such CPU. Bit 31: any, we take the first. */
static unsigned target_of(const ArmGicV3 *s, const GicLine *l)
{
    uint64_t route = load_le64(l->route);
    unsigned cpus = s->m.gic.cfg.cpus;

    if (route & BIT(31)) {
        return 0;
    }
    for (unsigned cpu = 0; cpu < cpus; cpu++) {
        if (arm_cpu_affinity(cpu) == (route & UINT64_C(0xff00ffffff))) {
            return cpu;
        }
    }
    return cpus;
}

static bool due(const ArmGicV3 *s, const GicLine *l)
{
    return l->enabled && !l->active && gic_line_pending(l) && (s->m.ctlr & 1u << l->group);
}

static void update(ArmGicModel *m)
{
    ArmGicV3 *s = ARM_GICV3(m);
    unsigned cpus = m->gic.cfg.cpus;
    g_autofree bool *wanted = g_new0(bool, cpus + 1);

    for (unsigned cpu = 0; cpu < cpus; cpu++) {
        for (unsigned id = 0; id < 32; id++) {
            wanted[cpu] |= due(s, gic_line(m, cpu, id));
        }
    }
    for (unsigned id = 32; id < gic_id_count(m); id++) {
        const GicLine *l = gic_line(m, 0, id);

        if (due(s, l)) {
            wanted[target_of(s, l)] = true;
        }
    }
    for (unsigned cpu = 0; cpu < cpus; cpu++) {
        irq_set(&m->out[cpu], wanted[cpu]);
    }
}

/* ---- distributor ---- */

/* Identification: a distributor or redistributor of architecture version 3. */
static uint32_t identification(uint32_t reg, uint8_t part)
{
    const uint8_t id[] = { 0x44, 0, 0, 0, part, 0xb4, 0x3b, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };

    return reg >= ID_REGS ? id[(reg - ID_REGS) / 4] : 0;
}

static uint32_t dist_register(ArmGicV3 *s, uint32_t reg)
{
    switch (reg) {
    case GICD_CTLR:
        return s->m.ctlr | CTLR_ARE | CTLR_DS;
    case GICD_TYPER:
        return (gic_id_count(&s->m) / 32 - 1) | 1 << 16 /* message-based SPIs */ |
               (ID_BITS - 1) << 19 | 1 << 24 /* Aff3 */;
    case GICD_IIDR:
        return IIDR;
    default:
        return identification(reg, 0x92);
    }
}

/* The routing register's line; NULL: there is none. */
static GicLine *routed_line(ArmGicV3 *s, uint32_t addr)
{
    unsigned id = (addr - GICD_IROUTER) / 8;

    return addr >= GICD_IROUTER && addr < GICD_IROUTER_END && id >= 32 ? gic_line(&s->m, 0, id)
                                                                       : NULL;
}

static uint64_t dist_read(void *opaque, GuestAddr addr, unsigned size)
{
    ArmGicV3 *s = opaque;
    const GicLine *l = routed_line(s, addr);
    uint64_t value;

    if (l) {
        return gic_part(load_le64(l->route), addr, size, 8);
    }
    if (gic_fields_read(&s->m, 0, addr, size, 32, gic_id_count(&s->m), &value)) {
        return value;
    }
    return gic_part(dist_register(s, ROUND_DOWN(addr, 4)), addr, MIN(size, 4), 4);
}

static void set_spi(ArmGicV3 *s, uint32_t id, bool pending)
{
    GicLine *l = id >= 32 ? gic_line(&s->m, 0, id) : NULL;

    if (l) {
        l->pending = pending;
    }
}

static void dist_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    ArmGicV3 *s = opaque;
    GicLine *l = routed_line(s, addr);

    if (l) {
        uint64_t route = gic_merge(load_le64(l->route), addr, size, 8, value);

        store_le64(l->route, route & UINT64_C(0xff80ffffff));
    } else if (gic_fields_write(&s->m, 0, addr, size, 32, gic_id_count(&s->m), value)) {
        return;
    } else if (addr == GICD_CTLR) {
        s->m.ctlr = value & CTLR_GROUPS;
    } else if (addr == GICD_SETSPI || addr == GICD_CLRSPI) {
        set_spi(s, value & 0x3ff, addr == GICD_SETSPI);
    }
    update(&s->m);
}

static const MemoryRegionOps dist_ops = {
    .read = dist_read, .write = dist_write, .valid_min = 1, .valid_max = 8,
};

/* ---- redistributors ---- */

static uint64_t type_of(const ArmGicV3 *s, unsigned cpu, const RedistRegion *r)
{
    uint64_t affinity = arm_cpu_affinity(cpu);
    bool last = cpu + 1 == r->first_cpu + s->m.gic.cfg.redist[r - s->regions].cpus;

    return (affinity >> 32 << 24 | (affinity & 0xffffff)) << 32 | (uint64_t)cpu << 8 |
           TYPER_LPIS | (last ? TYPER_LAST : 0);
}

static uint64_t control_read(ArmGicV3 *s, const RedistRegion *r, unsigned cpu, uint32_t addr,
                             unsigned size)
{
    const Redistributor *d = redist(s, cpu);

    switch (ROUND_DOWN(addr, 8)) {
    case GICR_TYPER:
        return gic_part(type_of(s, cpu, r), addr, size, 8);
    case GICR_PROPBASER:
        return gic_part(d->propbaser, addr, size, 8);
    case GICR_PENDBASER:
        return gic_part(d->pendbaser, addr, size, 8);
    }
    switch (ROUND_DOWN(addr, 4)) {
    case GICR_CTLR:
        return gic_part(d->ctlr, addr, MIN(size, 4), 4);
    case GICR_IIDR:
        return gic_part(IIDR, addr, MIN(size, 4), 4);
    case GICR_WAKER:
        return gic_part(d->waker, addr, MIN(size, 4), 4);
    default:
        return gic_part(identification(ROUND_DOWN(addr, 4), 0x93), addr, MIN(size, 4), 4);
    }
}

static void control_write(ArmGicV3 *s, unsigned cpu, uint32_t addr, unsigned size, uint64_t value)
{
    Redistributor *d = redist(s, cpu);

    switch (ROUND_DOWN(addr, 8)) {
    case GICR_PROPBASER:
        d->propbaser = gic_merge(d->propbaser, addr, size, 8, value) & UINT64_C(0x070ffffffffff79f);
        return;
    case GICR_PENDBASER:
        d->pendbaser = gic_merge(d->pendbaser, addr, size, 8, value) & UINT64_C(0x070fffffffff0f80);
        return;
    }
    if (addr == GICR_CTLR) {
        d->ctlr = value & 1;
    } else if (addr == GICR_WAKER) {
        /* It follows at once. */
        d->waker = value & WAKER_SLEEP ? WAKER_SLEEP | WAKER_ASLEEP : 0;
    }
}

/* Which CPU's redistributor, and where in its two frames; false beyond the last one. */
static bool locate(const RedistRegion *r, GuestAddr *addr, unsigned *cpu)
{
    *cpu = r->first_cpu + *addr / ARM_GIC_REDIST_STRIDE;
    *addr %= ARM_GIC_REDIST_STRIDE;
    return *cpu < r->gic->m.gic.cfg.cpus;
}

static uint64_t redist_read(void *opaque, GuestAddr addr, unsigned size)
{
    RedistRegion *r = opaque;
    ArmGicV3 *s = r->gic;
    uint64_t value = 0;
    unsigned cpu;

    if (!locate(r, &addr, &cpu)) {
        return 0;
    }
    if (addr < FRAME_SIZE) {
        return control_read(s, r, cpu, addr, size);
    }
    gic_fields_read(&s->m, cpu, addr - FRAME_SIZE, size, 0, 32, &value);
    return value;
}

static void redist_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    RedistRegion *r = opaque;
    ArmGicV3 *s = r->gic;
    unsigned cpu;

    if (!locate(r, &addr, &cpu)) {
        return;
    }
    if (addr < FRAME_SIZE) {
        control_write(s, cpu, addr, size, value);
    } else {
        gic_fields_write(&s->m, cpu, addr - FRAME_SIZE, size, 0, 32, value);
    }
}

static const MemoryRegionOps redist_ops = {
    .read = redist_read, .write = redist_write, .valid_min = 1, .valid_max = 8,
};

/* ---- life ---- */

static void gicv3_reset(DeviceState *dev)
{
    ArmGicV3 *s = ARM_GICV3(dev);

    for (unsigned cpu = 0; cpu < s->m.gic.cfg.cpus; cpu++) {
        *redist(s, cpu) = (Redistributor){ .waker = WAKER_SLEEP | WAKER_ASLEEP };
    }
    arm_gic_model_reset(&s->m);
    update(&s->m);
}

static bool gicv3_realize(DeviceState *dev, Error **errp)
{
    ArmGicV3 *s = ARM_GICV3(dev);
    const ArmGicConfig *c = &s->m.gic.cfg;
    unsigned cpu = 0;

    arm_gic_model_realize(&s->m);
    s->redist_size = c->cpus * sizeof(Redistributor);
    s->redist = g_malloc0(s->redist_size);
    memory_region_init_io(&s->m.dist, OBJECT(s), &dist_ops, s, "gicv3-dist", DIST_SIZE);
    memory_region_add(system_memory(), c->dist, &s->m.dist);
    for (unsigned i = 0; i < ARM_GIC_REDIST_REGIONS && c->redist[i].cpus; i++) {
        RedistRegion *r = &s->regions[i];

        r->gic = s;
        r->first_cpu = cpu;
        cpu += c->redist[i].cpus;
        memory_region_init_io(&r->io, OBJECT(s), &redist_ops, r, "gicv3-redist",
                              (uint64_t)c->redist[i].cpus * ARM_GIC_REDIST_STRIDE);
        memory_region_add(system_memory(), c->redist[i].base, &r->io);
    }
    return true;
}

static void gicv3_unrealize(DeviceState *dev)
{
    ArmGicV3 *s = ARM_GICV3(dev);

    for (unsigned i = 0; i < ARM_GIC_REDIST_REGIONS; i++) {
        memory_region_cleanup(&s->regions[i].io);
    }
    arm_gic_model_unrealize(&s->m);
}

static void gicv3_finalize(Object *obj)
{
    g_free(((ArmGicV3 *)obj)->redist);
}

static bool gicv3_post_load(void *opaque, int version)
{
    ArmGicV3 *s = ARM_GICV3(opaque);

    if (s->redist_size != s->m.gic.cfg.cpus * sizeof(Redistributor)) {
        return false;
    }
    update(&s->m);
    return true;
}

static const StateField gicv3_fields[] = {
    STATE_F_STRUCT(ArmGicV3, m, &arm_gic_model_state),
    { .name = "redist", .kind = STATE_BUFFER, .offset = offsetof(ArmGicV3, redist), .count = 1,
      .count_offset = offsetof(ArmGicV3, redist_size), .max = 64 * KIB },
    STATE_F_END
};

static const StateTable gicv3_state = {
    .name = "arm-gicv3", .version = 1, .minimum_version = 1, .fields = gicv3_fields,
    .post_load = gicv3_post_load,
};

static const DeviceOps gicv3_dev_ops = {
    .realize = gicv3_realize, .unrealize = gicv3_unrealize, .reset = gicv3_reset,
    .state = &gicv3_state,
};

static const ArmGicOps gicv3_ops = { .finish = NULL };
static const ArmGicModelOps gicv3_model_ops = { .update = update };

OBJECT_TYPE_STATIC(gicv3_type) = {
    .name = "arm-gicv3",
    .parent = &arm_gic_model_type,
    .description = "Model of a GICv3",
    .instance_size = sizeof(ArmGicV3),
    .instance_finalize = gicv3_finalize,
    .impls = TYPE_IMPLS({ &device_type, &gicv3_dev_ops }, { &arm_gic_type, &gicv3_ops },
                        { &arm_gic_model_type, &gicv3_model_ops }),
};
