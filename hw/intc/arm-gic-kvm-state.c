/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registers of the kernel's interrupt controllers, for reset and for saving: a
 * list of them, made once, with one value each (Linux
 * Documentation/virt/kvm/devices, arm-vgic.rst, arm-vgic-v3.rst,
 * arm-vgic-its.rst).
 *
 * Main thread with the machine lock, CPUs stopped. A saved state is checked by
 * the kernel.
 */
#include "util/osdep.h"

#include <asm/kvm.h>
#include <linux/kvm.h>
#include "accel/kvm.h"
#include "arm-gic-kvm.h"
#include "hw/arm/virt.h"
#include "system/runstate.h"
#include "target/arm/cpu.h"

typedef struct GicReg {
    uint32_t group;
    bool wide;                  /* 64 bits */
    bool its;                   /* of the translation service */
    bool clear;                 /* never read; all ones take back what the next ones set */
    uint64_t attr;
} GicReg;

static void add(ArmGicKvm *s, GicReg reg)
{
    g_array_append_val(s->list, reg);
}

/* A field of @bits for each of the interrupts @from to @to, in words of 32 bits. */
static void add_run(ArmGicKvm *s, uint64_t cpu, uint32_t offset, unsigned bits, unsigned from,
                    unsigned to, bool clear)
{
    for (unsigned o = from * bits / 8; o < to * bits / 8; o += 4) {
        add(s, (GicReg){ .group = KVM_DEV_ARM_VGIC_GRP_DIST_REGS, .clear = clear,
                         .attr = cpu | (offset + o) });
    }
}

/* What both versions' distributors have for the interrupts @from to @to. */
static void add_interrupts(ArmGicKvm *s, uint64_t cpu, unsigned from, unsigned to)
{
    static const struct {
        uint16_t offset;
        uint8_t bits;
        bool clear;
    } runs[] = {
        { 0x080, 1 },                           /* group */
        { 0xc00, 2 },                           /* edge or level */
        { 0x400, 8 },                           /* priority */
        { 0x180, 1, true }, { 0x100, 1 },       /* enabled */
        { 0x280, 1, true }, { 0x200, 1 },       /* pending */
        { 0x380, 1, true }, { 0x300, 1 },       /* active */
    };

    for (unsigned i = 0; i < ARRAY_SIZE(runs); i++) {
        add_run(s, cpu, runs[i].offset, runs[i].bits, from, to, runs[i].clear);
    }
}

static void add_levels(ArmGicKvm *s, uint64_t cpu, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i += 32) {
        add(s, (GicReg){ .group = KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO,
                         .attr = cpu | (uint64_t)VGIC_LEVEL_INFO_LINE_LEVEL
                                     << KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_SHIFT | i });
    }
}

/* ---- version 2 ---- */

static void list_v2(ArmGicKvm *s)
{
    static const uint16_t cpu_regs[] = { 0x00, 0x04, 0x08, 0x1c, 0xd0, 0xd4, 0xd8, 0xdc };
    unsigned lines = s->gic.cfg.spis + ARM_GIC_SPI_FIRST;

    for (uint64_t n = 0; n < s->gic.cfg.cpus; n++) {
        uint64_t cpu = n << KVM_DEV_ARM_VGIC_CPUID_SHIFT;

        add_interrupts(s, cpu, 0, 32);
        add_run(s, cpu, 0xf10, 8, 0, 16, true);         /* pending software interrupts */
        add_run(s, cpu, 0xf20, 8, 0, 16, false);
    }
    add_interrupts(s, 0, 32, lines);
    add_run(s, 0, 0x800, 8, 32, lines, false);          /* targets */
    add(s, (GicReg){ .group = KVM_DEV_ARM_VGIC_GRP_DIST_REGS, .attr = 0 });
    for (uint64_t n = 0; n < s->gic.cfg.cpus; n++) {
        for (unsigned i = 0; i < ARRAY_SIZE(cpu_regs); i++) {
            add(s, (GicReg){ .group = KVM_DEV_ARM_VGIC_GRP_CPU_REGS,
                             .attr = n << KVM_DEV_ARM_VGIC_CPUID_SHIFT | cpu_regs[i] });
        }
    }
}

/* ---- version 3 ---- */

#define SYSREG(op0, op1, crn, crm, op2) \
    ((op0) << 14 | (op1) << 11 | (crn) << 7 | (crm) << 3 | (op2))

/* A CPU's place in the attributes: Aff3 to Aff0 in the upper half. */
static uint64_t cpu_attr(const ArmCpu *cpu)
{
    uint64_t a = cpu->mp_affinity;

    return ((a >> 32 & 0xff) << 24 | (a & 0xffffff)) << 32;
}

static void list_redistributor(ArmGicKvm *s, uint64_t cpu)
{
    /* LPIs are off while their tables are set; a second write switches them on again. */
    static const struct {
        uint32_t offset;
        bool clear;
    } regs[] = {
        { 0x14 }, { 0x70 }, { 0x74 }, { 0x78 }, { 0x7c },
        { 0x10080 }, { 0x10c04 }, { 0x10400 }, { 0x10404 }, { 0x10408 }, { 0x1040c }, { 0x10410 },
        { 0x10414 }, { 0x10418 }, { 0x1041c }, { 0x10180, true }, { 0x10100 }, { 0x10200 },
        { 0x10380, true }, { 0x10300 }, { 0x0 },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(regs); i++) {
        add(s, (GicReg){ .group = KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, .clear = regs[i].clear,
                         .attr = cpu | regs[i].offset });
    }
    add_levels(s, cpu, 0, 32);
}

static void list_cpu_interface(ArmGicKvm *s, uint64_t cpu)
{
    static const uint16_t regs[] = {
        SYSREG(3, 0, 12, 12, 5),        /* SRE */
        SYSREG(3, 0, 12, 12, 4),        /* CTLR */
        SYSREG(3, 0, 4, 6, 0),          /* PMR */
        SYSREG(3, 0, 12, 8, 3), SYSREG(3, 0, 12, 12, 3),                /* BPR0, BPR1 */
        SYSREG(3, 0, 12, 8, 4), SYSREG(3, 0, 12, 8, 5), SYSREG(3, 0, 12, 8, 6),
        SYSREG(3, 0, 12, 8, 7),         /* AP0R0 to AP0R3; how many depends on the host */
        SYSREG(3, 0, 12, 9, 0), SYSREG(3, 0, 12, 9, 1), SYSREG(3, 0, 12, 9, 2),
        SYSREG(3, 0, 12, 9, 3),         /* AP1R0 to AP1R3 */
        SYSREG(3, 0, 12, 12, 6), SYSREG(3, 0, 12, 12, 7),               /* IGRPEN0, IGRPEN1 */
    };

    for (unsigned i = 0; i < ARRAY_SIZE(regs); i++) {
        add(s, (GicReg){ .group = KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS, .wide = true,
                         .attr = cpu | regs[i] });
    }
}

/* In the order that the tables need: they are read when everything else is set (see write_all). */
static void list_its(ArmGicKvm *s)
{
    static const uint16_t regs[] = {
        0x80, 0x88, 0x90, 0x100, 0x108, 0x110, 0x118, 0x120, 0x128, 0x130, 0x138,
    };

    for (unsigned i = 0; i < ARRAY_SIZE(regs); i++) {
        add(s, (GicReg){ .group = KVM_DEV_ARM_VGIC_GRP_ITS_REGS, .wide = true, .its = true,
                         .attr = regs[i] });
    }
}

static void list_v3(ArmGicKvm *s)
{
    unsigned lines = s->gic.cfg.spis + ARM_GIC_SPI_FIRST;

    CPU_FOREACH(cpu) {
        list_redistributor(s, cpu_attr(ARM_CPU(cpu)));
    }
    add_interrupts(s, 0, 32, lines);
    add_run(s, 0, 0x6000, 64, 32, lines, false);        /* routing */
    add_levels(s, 0, 32, lines);
    add(s, (GicReg){ .group = KVM_DEV_ARM_VGIC_GRP_DIST_REGS, .attr = 0 });
    CPU_FOREACH(cpu) {
        list_cpu_interface(s, cpu_attr(ARM_CPU(cpu)));
    }
    if (s->its_fd >= 0) {
        list_its(s);
    }
}

/* ---- access ---- */

static int get_reg(const ArmGicKvm *s, const GicReg *r, uint64_t *value)
{
    uint32_t narrow = 0;
    int ret;

    if (r->wide) {
        return kvm_device_get(r->its ? s->its_fd : s->fd, r->group, r->attr, value);
    }
    ret = kvm_device_get(s->fd, r->group, r->attr, &narrow);
    *value = narrow;
    return ret;
}

static int set_reg(const ArmGicKvm *s, const GicReg *r, uint64_t value)
{
    uint32_t narrow = r->clear ? UINT32_MAX : value;

    if (r->wide) {
        return kvm_device_set(r->its ? s->its_fd : s->fd, r->group, r->attr, &value);
    }
    return kvm_device_set(s->fd, r->group, r->attr, &narrow);
}

static uint64_t *read_all(const ArmGicKvm *s)
{
    uint64_t *values = g_new0(uint64_t, s->list->len);

    for (guint i = 0; i < s->list->len; i++) {
        const GicReg *r = &g_array_index(s->list, GicReg, i);

        if (!r->clear) {
            get_reg(s, r, &values[i]);
        }
    }
    return values;
}

static const GicReg its_control = {
    .group = KVM_DEV_ARM_VGIC_GRP_ITS_REGS, .wide = true, .its = true, .attr = 0,
};

void arm_gic_kvm_list(ArmGicKvm *s)
{
    s->list = g_array_new(false, false, sizeof(GicReg));
    (s->gic.cfg.version == 2 ? list_v2 : list_v3)(s);
    /* What this kernel and this CPU do not have is left out. */
    for (guint i = s->list->len; i-- > 0;) {
        const GicReg *r = &g_array_index(s->list, GicReg, i);
        uint64_t value;

        if (!r->clear && get_reg(s, r, &value) < 0) {
            g_array_remove_index(s->list, i);
        }
    }
    s->initial = read_all(s);
}

/* @restore: the ITS finds its tables in guest memory. */
static bool write_all(ArmGicKvm *s, const uint64_t *values, bool restore, uint64_t its_ctlr)
{
    bool ok = true;

    for (guint i = 0; i < s->list->len; i++) {
        const GicReg *r = &g_array_index(s->list, GicReg, i);

        /* Some refuse a value that they have already. */
        if (set_reg(s, r, values[i]) < 0 && !r->clear) {
            uint64_t now = 0;

            ok = get_reg(s, r, &now) >= 0 && now == values[i] && ok;
        }
    }
    if (s->its_fd >= 0 && restore) {
        ok = kvm_device_set(s->its_fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_ITS_RESTORE_TABLES,
                            NULL) >= 0 &&
             set_reg(s, &its_control, its_ctlr) >= 0 && ok;
    }
    return ok;
}

void arm_gic_kvm_reset(DeviceState *dev)
{
    ArmGicKvm *s = ARM_GIC_KVM(dev);

    /* The first reset finds it as the kernel made it, before the CPUs are there. */
    if (!s->list || !s->used) {
        s->used = s->list != NULL;
        return;
    }
    if (s->its_fd >= 0) {
        kvm_device_set(s->its_fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_ITS_CTRL_RESET, NULL);
    }
    CPU_FOREACH(cpu) {
        GicReg control = { .group = KVM_DEV_ARM_VGIC_GRP_REDIST_REGS,
                           .attr = cpu_attr(ARM_CPU(cpu)) };

        if (s->gic.cfg.version == 3) {
            set_reg(s, &control, 0);
        }
    }
    if (!write_all(s, s->initial, false, 0)) {
        warn_report("KVM: the interrupt controller could not be reset completely");
    }
}

/* ---- saving ---- */

/* Pending LPIs and the ITS' tables go to guest memory, whose pages then are dirty. */
static bool flush_tables(ArmGicKvm *s)
{
    return s->its_fd < 0 ||
           (kvm_device_set(s->fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES,
                           NULL) >= 0 &&
            kvm_device_set(s->its_fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_ITS_SAVE_TABLES,
                           NULL) >= 0);
}

void arm_gic_kvm_run_state(void *opaque, bool running, RunState state)
{
    if (!running && !flush_tables(opaque)) {
        warn_report("KVM: the interrupt translation tables could not be written to guest memory");
    }
}

/* The values, and the ITS' control register behind them. */
static void pre_save(void *opaque)
{
    ArmGicKvm *s = ARM_GIC_KVM(opaque);
    uint64_t ctlr = 0, *values = read_all(s);

    if (s->its_fd >= 0) {
        get_reg(s, &its_control, &ctlr);
    }
    g_free(s->values);
    values = g_renew(uint64_t, values, s->list->len + 1);
    values[s->list->len] = ctlr;
    s->values = (uint8_t *)values;
    s->values_size = (s->list->len + 1) * sizeof(uint64_t);
}

static bool post_load(void *opaque, int version)
{
    ArmGicKvm *s = ARM_GIC_KVM(opaque);
    g_autofree uint64_t *values = NULL;

    if (s->values_size != (s->list->len + 1) * sizeof(uint64_t)) {
        return false;
    }
    values = g_memdup2(s->values, s->values_size);
    return write_all(s, values, true, values[s->list->len]);
}

static const StateField arm_gic_kvm_fields[] = {
    { .name = "values", .kind = STATE_BUFFER, .offset = offsetof(ArmGicKvm, values), .count = 1,
      .count_offset = offsetof(ArmGicKvm, values_size), .max = 4 * MIB },
    STATE_F_END
};

/* After the CPUs. */
const StateTable arm_gic_kvm_state = {
    .name = "arm-gic-kvm", .version = 1, .minimum_version = 1, .fields = arm_gic_kvm_fields,
    .pre_save = pre_save, .post_load = post_load, .priority = -10,
};
