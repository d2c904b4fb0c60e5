/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Model of a GICv2 (ARM IHI 0048B) without Security Extensions, for machines
 * that no CPU runs in: distributor and CPU interfaces. Accesses come from CPU 0
 * unless a vCPU makes them.
 *
 * Machine lock. Every register value is a test's.
 */
#include "util/osdep.h"

#include "arm-gic-model.h"
#include "system/cpus.h"

#define DIST_SIZE 0x1000u
#define CPU_SIZE 0x2000u
#define IIDR 0x0200143bu        /* GICv2, Arm */

enum { GICD_CTLR = 0x000, GICD_TYPER = 0x004, GICD_IIDR = 0x008, GICD_SGIR = 0xf00,
       GICD_CPENDSGIR = 0xf10, GICD_SPENDSGIR = 0xf20, GICD_ID = 0xfd0 };
enum { GICC_CTLR = 0x00, GICC_PMR = 0x04, GICC_BPR = 0x08, GICC_IAR = 0x0c, GICC_EOIR = 0x10,
       GICC_RPR = 0x14, GICC_HPPIR = 0x18, GICC_ABPR = 0x1c, GICC_APR0 = 0xd0, GICC_IIDR = 0xfc,
       GICC_DIR = 0x1000 };

typedef struct ArmGicV2 {
    ArmGicModel m;
    MemoryRegion cpu_interface;
    struct {
        uint32_t ctlr, pmr, bpr, abpr;
    } cpu[ARM_GIC_V2_MAX_CPUS];
} ArmGicV2;

static const TypeInfo gicv2_type;
#define ARM_GICV2(p) ((ArmGicV2 *)object_cast(p, &gicv2_type))

static unsigned accessing_cpu(const ArmGicV2 *s)
{
    unsigned n = current_cpu ? current_cpu->index : 0;

    return n < s->m.gic.cfg.cpus ? n : 0;
}

/* ---- what is due ---- */

static bool reaches(const ArmGicV2 *s, const GicLine *l, unsigned cpu, unsigned id)
{
    return id < 32 || s->m.gic.cfg.cpus == 1 || (l->targets >> cpu & 1);
}

/* Priority of the highest active interrupt of @cpu. */
static unsigned running_priority(ArmGicV2 *s, unsigned cpu)
{
    unsigned best = GIC_IDLE_PRIORITY;

    for (unsigned id = 0; id < gic_id_count(&s->m); id++) {
        const GicLine *l = gic_line(&s->m, cpu, id);

        if (l->active && reaches(s, l, cpu, id)) {
            best = MIN(best, l->priority);
        }
    }
    return best;
}

/* The interrupt that @cpu would take, whatever its mask says. */
static unsigned highest_pending(ArmGicV2 *s, unsigned cpu)
{
    unsigned best = GIC_IDLE_PRIORITY, found = GIC_NO_INTERRUPT;

    for (unsigned id = 0; (s->m.ctlr & 1) && id < gic_id_count(&s->m); id++) {
        const GicLine *l = gic_line(&s->m, cpu, id);

        if (l->enabled && !l->active && gic_line_pending(l) && l->priority < best &&
            reaches(s, l, cpu, id)) {
            best = l->priority;
            found = id;
        }
    }
    return found;
}

static unsigned due(ArmGicV2 *s, unsigned cpu)
{
    unsigned id = highest_pending(s, cpu);
    unsigned priority;

    if (id == GIC_NO_INTERRUPT || !(s->cpu[cpu].ctlr & 1)) {
        return GIC_NO_INTERRUPT;
    }
    priority = gic_line(&s->m, cpu, id)->priority;
    return priority < s->cpu[cpu].pmr && priority < running_priority(s, cpu) ? id
                                                                             : GIC_NO_INTERRUPT;
}

static void update(ArmGicModel *m)
{
    ArmGicV2 *s = ARM_GICV2(m);

    for (unsigned cpu = 0; cpu < m->gic.cfg.cpus; cpu++) {
        irq_set(&m->out[cpu], due(s, cpu) != GIC_NO_INTERRUPT);
    }
}

/* ---- CPU interface ---- */

static unsigned acknowledge(ArmGicV2 *s, unsigned cpu)
{
    unsigned id = due(s, cpu), source = 0;
    GicLine *l;

    if (id == GIC_NO_INTERRUPT) {
        return id;
    }
    l = gic_line(&s->m, cpu, id);
    if (l->sources) {
        source = __builtin_ctz(l->sources);
        l->sources &= l->sources - 1;
    }
    l->pending = 0;
    l->active = 1;
    update(&s->m);
    return source << 10 | id;
}

static void end_interrupt(ArmGicV2 *s, unsigned cpu, uint32_t value)
{
    GicLine *l = gic_line(&s->m, cpu, value & 0x3ff);

    if (l) {
        l->active = 0;
        update(&s->m);
    }
}

static uint64_t cpu_read(void *opaque, GuestAddr addr, unsigned size)
{
    ArmGicV2 *s = opaque;
    unsigned cpu = accessing_cpu(s);

    switch (addr) {
    case GICC_CTLR:
        return s->cpu[cpu].ctlr;
    case GICC_PMR:
        return s->cpu[cpu].pmr;
    case GICC_BPR:
        return s->cpu[cpu].bpr;
    case GICC_IAR:
        return acknowledge(s, cpu);
    case GICC_RPR:
        return MIN(running_priority(s, cpu), 0xff);
    case GICC_HPPIR:
        return highest_pending(s, cpu);
    case GICC_ABPR:
        return s->cpu[cpu].abpr;
    case GICC_IIDR:
        return IIDR;
    default:
        return 0;
    }
}

static void cpu_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    ArmGicV2 *s = opaque;
    unsigned cpu = accessing_cpu(s);

    switch (addr) {
    case GICC_CTLR:
        s->cpu[cpu].ctlr = value & 1;
        break;
    case GICC_PMR:
        s->cpu[cpu].pmr = value & 0xf8;
        break;
    case GICC_BPR:
        s->cpu[cpu].bpr = value & 7;
        break;
    case GICC_ABPR:
        s->cpu[cpu].abpr = value & 7;
        break;
    case GICC_EOIR:
    case GICC_DIR:
        end_interrupt(s, cpu, value);
        break;
    }
    update(&s->m);
}

static const MemoryRegionOps cpu_ops = {
    .read = cpu_read, .write = cpu_write, .valid_min = 4, .valid_max = 4,
};

/* ---- distributor ---- */

/* A bit of @l->sources is a CPU that sent the interrupt to @cpu. */
static void send_software_interrupt(ArmGicV2 *s, uint32_t value)
{
    unsigned self = accessing_cpu(s), all = (1u << s->m.gic.cfg.cpus) - 1, targets;

    switch (value >> 24 & 3) {
    case 0:
        targets = value >> 16 & 0xff;
        break;
    case 1:
        targets = all & ~(1u << self);
        break;
    default:
        targets = 1u << self;
        break;
    }
    for (unsigned cpu = 0; cpu < s->m.gic.cfg.cpus; cpu++) {
        if (targets & 1u << cpu) {
            gic_line(&s->m, cpu, value & 15)->sources |= 1u << self;
        }
    }
    update(&s->m);
}

static bool is_software(uint32_t addr)
{
    return addr >= GICD_CPENDSGIR && addr < GICD_SPENDSGIR + 16;
}

static uint32_t dist_register(ArmGicV2 *s, uint32_t reg)
{
    static const uint8_t id[] = {
        0x04, 0, 0, 0, 0x90, 0xb4, 0x2b, 0x00, 0x0d, 0xf0, 0x05, 0xb1,
    };

    switch (reg) {
    case GICD_CTLR:
        return s->m.ctlr;
    case GICD_TYPER:
        return (gic_id_count(&s->m) / 32 - 1) | (s->m.gic.cfg.cpus - 1) << 5;
    case GICD_IIDR:
        return IIDR;
    default:
        return reg >= GICD_ID ? id[(reg - GICD_ID) / 4] : 0;
    }
}

static uint64_t dist_read(void *opaque, GuestAddr addr, unsigned size)
{
    ArmGicV2 *s = opaque;
    unsigned cpu = accessing_cpu(s);
    uint64_t value = 0;

    if (gic_fields_read(&s->m, cpu, addr, size, 0, gic_id_count(&s->m), &value)) {
        return value;
    }
    if (is_software(addr)) {
        for (unsigned i = 0; i < size; i++) {
            value |= (uint64_t)gic_line(&s->m, cpu, (addr + i) % 16)->sources << (8 * i);
        }
        return value;
    }
    return gic_part(dist_register(s, ROUND_DOWN(addr, 4)), addr, size, 4);
}

static void dist_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    ArmGicV2 *s = opaque;
    unsigned cpu = accessing_cpu(s);

    if (gic_fields_write(&s->m, cpu, addr, size, 0, gic_id_count(&s->m), value)) {
        return;
    }
    if (is_software(addr)) {
        for (unsigned i = 0; i < size; i++) {
            GicLine *l = gic_line(&s->m, cpu, (addr + i) % 16);
            uint8_t bits = value >> (8 * i);

            l->sources = addr >= GICD_SPENDSGIR ? l->sources | bits : l->sources & ~bits;
        }
    } else if (addr == GICD_CTLR) {
        s->m.ctlr = value & 1;
    } else if (addr == GICD_SGIR && size == 4) {
        send_software_interrupt(s, value);
    }
    update(&s->m);
}

static const MemoryRegionOps dist_ops = {
    .read = dist_read, .write = dist_write, .valid_min = 1, .valid_max = 4,
};

/* ---- life ---- */

static void gicv2_reset(DeviceState *dev)
{
    ArmGicV2 *s = ARM_GICV2(dev);

    memset(s->cpu, 0, sizeof(s->cpu));
    arm_gic_model_reset(&s->m);
    update(&s->m);
}

static bool gicv2_realize(DeviceState *dev, Error **errp)
{
    ArmGicV2 *s = ARM_GICV2(dev);

    arm_gic_model_realize(&s->m);
    memory_region_init_io(&s->m.dist, OBJECT(s), &dist_ops, s, "gic-dist", DIST_SIZE);
    memory_region_init_io(&s->cpu_interface, OBJECT(s), &cpu_ops, s, "gic-cpu", CPU_SIZE);
    memory_region_add(system_memory(), s->m.gic.cfg.dist, &s->m.dist);
    memory_region_add(system_memory(), s->m.gic.cfg.cpu_interface, &s->cpu_interface);
    return true;
}

static void gicv2_unrealize(DeviceState *dev)
{
    ArmGicV2 *s = ARM_GICV2(dev);

    memory_region_cleanup(&s->cpu_interface);
    arm_gic_model_unrealize(&s->m);
}

static bool gicv2_post_load(void *opaque, int version)
{
    update(&ARM_GICV2(opaque)->m);
    return true;
}

static const StateField gicv2_fields[] = {
    STATE_F_STRUCT(ArmGicV2, m, &arm_gic_model_state),
    { .name = "cpu", .kind = STATE_UINT32, .offset = offsetof(ArmGicV2, cpu),
      .size = sizeof(uint32_t), .count = 4 * ARM_GIC_V2_MAX_CPUS },
    STATE_F_END
};

static const StateTable gicv2_state = {
    .name = "arm-gic", .version = 1, .minimum_version = 1, .fields = gicv2_fields,
    .post_load = gicv2_post_load,
};

static const DeviceOps gicv2_dev_ops = {
    .realize = gicv2_realize, .unrealize = gicv2_unrealize, .reset = gicv2_reset,
    .state = &gicv2_state,
};

static const ArmGicOps gicv2_ops = { .finish = NULL };
static const ArmGicModelOps gicv2_model_ops = { .update = update };

OBJECT_TYPE_STATIC(gicv2_type) = {
    .name = "arm-gic",
    .parent = &arm_gic_model_type,
    .description = "Model of a GICv2",
    .instance_size = sizeof(ArmGicV2),
    .impls = TYPE_IMPLS({ &device_type, &gicv2_dev_ops }, { &arm_gic_type, &gicv2_ops },
                        { &arm_gic_model_type, &gicv2_model_ops }),
};
