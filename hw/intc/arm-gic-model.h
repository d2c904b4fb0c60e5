/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Models of Arm's interrupt controllers for machines that no CPU runs in: what
 * both versions share. Interrupt lines are numbered as the inputs are: SPIs
 * from 0, then 32 private ones for each CPU.
 *
 * Thread: machine lock.
 */
#ifndef HW_INTC_ARM_GIC_MODEL_H
#define HW_INTC_ARM_GIC_MODEL_H

#include "hw/intc/arm-gic.h"

/* What a line is made of; bytes, because that is how it is saved. */
typedef struct GicLine {
    uint8_t group, enabled, pending, active, level, edge, priority;
    uint8_t targets;            /* version 2: CPUs, a bit each */
    uint8_t sources;            /* version 2: CPUs that sent this software interrupt */
    uint8_t route[8];           /* version 3: IROUTER, little-endian */
} GicLine;

typedef struct ArmGicModel {
    ArmGic gic;
    MemoryRegion dist;
    IrqLine *out;               /* unnamed outputs: the interrupt request of each CPU */
    uint32_t lines_size;        /* bytes */
    uint8_t *lines;             /* GicLine of each line */
    uint32_t ctlr;
} ArmGicModel;

extern const TypeInfo arm_gic_model_type;       /* "arm-gic-model", abstract */
#define ARM_GIC_MODEL(p) ((ArmGicModel *)object_cast(p, &arm_gic_model_type))

/* What a version adds to the model; found by object_ops(gic, &arm_gic_model_type). */
typedef struct ArmGicModelOps {
    /* The CPU's interrupt request follows from the lines again. */
    void (*update)(ArmGicModel *s);
} ArmGicModelOps;

enum { GIC_NO_INTERRUPT = 1023, GIC_IDLE_PRIORITY = 0x100 };

/* Interrupt @id (0 to 31: of @cpu). NULL: there is none. */
GicLine *gic_line(ArmGicModel *s, unsigned cpu, unsigned id);
unsigned gic_id_count(const ArmGicModel *s);
/* Pending, by its latch or by its level. */
bool gic_line_pending(const GicLine *l);
void gic_update(ArmGicModel *s);

/*
 * The registers with a field for each interrupt (0x080 to 0xbff, 0xc00 to
 * 0xcff) in any width; @from and @to: the interrupts that this block has.
 * False when @addr is another register.
 */
bool gic_fields_read(ArmGicModel *s, unsigned cpu, uint32_t addr, unsigned size, unsigned from,
                     unsigned to, uint64_t *value);
bool gic_fields_write(ArmGicModel *s, unsigned cpu, uint32_t addr, unsigned size, unsigned from,
                      unsigned to, uint64_t value);
/* The part of a 32- or 64-bit register that an access reads; a partial write merged into it. */
uint64_t gic_part(uint64_t reg, uint32_t addr, unsigned size, unsigned width);
uint64_t gic_merge(uint64_t reg, uint32_t addr, unsigned size, unsigned width, uint64_t value);

/* For the types' DeviceOps. */
void arm_gic_model_realize(ArmGicModel *s);
void arm_gic_model_reset(ArmGicModel *s);
void arm_gic_model_unrealize(ArmGicModel *s);
extern const StateTable arm_gic_model_state;

#endif
