/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Arm's generic interrupt controller, versions 2 and 3. Three types share this
 * state and these inputs: one is the kernel's (KVM), two are models for
 * machines that no CPU runs in (qtest).
 *
 * Unnamed inputs: all SPIs, then 32 lines for each CPU, of which those of PPIs
 * (16 to 31) do something. They change with the machine lock.
 */
#ifndef HW_INTC_ARM_GIC_H
#define HW_INTC_ARM_GIC_H

#include "hw/core/device.h"
#include "system/memory.h"

#define ARM_GIC_V2_MAX_CPUS 8
#define ARM_GIC_REDIST_REGIONS 2

typedef struct ArmGicConfig {
    unsigned version;           /* 2 or 3 */
    unsigned cpus, spis;        /* @spis: a multiple of 32 */
    uint64_t dist;
    uint64_t cpu_interface;     /* version 2 */
    struct {
        uint64_t base;
        unsigned cpus;          /* 0: not there */
    } redist[ARM_GIC_REDIST_REGIONS];           /* version 3 */
    uint64_t its;               /* version 3; 0: none */
} ArmGicConfig;

typedef struct ArmGic {
    DeviceState dev;
    ArmGicConfig cfg;
} ArmGic;

typedef struct ArmGicOps {
    /* Whether this form is possible here; NULL: always. */
    bool (*available)(void);
    /* All CPUs exist. May be NULL. */
    bool (*finish)(ArmGic *gic, Error **errp);
} ArmGicOps;

extern const TypeInfo arm_gic_type;             /* "arm-gic-common", abstract */
#define ARM_GIC(p) ((ArmGic *)object_cast(p, &arm_gic_type))

/* The one that the accelerator wants, realized, as @parent/gic. Before the CPUs. Borrowed. */
ArmGic *arm_gic_create(Object *parent, const ArmGicConfig *cfg, Error **errp);
bool arm_gic_finish(ArmGic *gic, Error **errp);
/* Versions that the accelerator can give: a mask of 1 << version. */
unsigned arm_gic_versions(void);
/* For the types' realize: the inputs. */
void arm_gic_init_lines(ArmGic *gic, IrqHandler *handler);

/* ---- GICv2m: a register whose stores become edges of SPIs (arm-gicv2m.c) ---- */

typedef struct ArmGicV2m ArmGicV2m;
/* As @parent/gicv2m at @base, for the @count SPIs from @first_spi on. */
ArmGicV2m *arm_gicv2m_create(Object *parent, ArmGic *gic, uint64_t base, unsigned first_spi,
                             unsigned count, Error **errp);

#endif
