/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of a vCPU as it is saved: the kernel's registers by their ids, so
 * that a newer kernel's further ones travel too. Main thread, CPUs stopped.
 */
#include "util/osdep.h"
#include "accel/accel.h"
#include "cpu.h"

#define ARRAY(st, f, k, n) \
    { .name = #f, .kind = (k), .offset = offsetof(st, f), .size = sizeof(((st *)0)->f[0]), .count = (n) }
#define BUFFER(st, f, len, limit) \
    { .name = #f, .kind = STATE_BUFFER, .offset = offsetof(st, f), .count = 1, \
      .count_offset = offsetof(st, len), .max = (limit) }

static const StateField register_fields[] = {
    ARRAY(ArmRegisters, x, STATE_UINT64, ARM_GPR_COUNT),
    STATE_F_UINT64(ArmRegisters, sp),
    STATE_F_UINT64(ArmRegisters, pc),
    STATE_F_UINT64(ArmRegisters, pstate),
    STATE_F_BOOL(ArmRegisters, powered_off),
    BUFFER(ArmRegisters, ids, ids_size, ARM_REG_LIST_MAX),
    BUFFER(ArmRegisters, values, values_size, ARM_REG_VALUES_MAX),
    STATE_F_BYTES(ArmRegisters, events),
    STATE_F_END
};

static const StateTable register_state = {
    .name = "registers", .version = 1, .minimum_version = 1, .fields = register_fields,
};

/* After a reset only the kernel can tell what the other registers are. */
static void apply_reset(CpuState *cs, void *opaque)
{
    const AccelOps *ops = accel_ops();
    Error *err = NULL;

    if (!ops->cpu_put_state(cs, cs->dirty_level, &err)) {
        error_report_err(err);
        return;
    }
    cs->dirty_level = CPU_STATE_CLEAN;
    cs->state_loaded = false;
}

static void pre_save(void *opaque)
{
    CpuState *cs = &ARM_CPU(opaque)->cpu;
    const AccelOps *ops = accel_ops();

    if (cs->dirty_level == CPU_STATE_RESET && ops && ops->cpu_put_state) {
        cpu_run_on(cs, apply_reset, NULL);
    }
    cpu_state_load(cs);
}

/* The ids are checked against the kernel's list when it gets the values. */
static bool post_load(void *opaque, int version)
{
    ArmCpu *cpu = ARM_CPU(opaque);

    if (cpu->regs.ids_size % sizeof(uint64_t)) {
        return false;
    }
    cpu->cpu.state_loaded = true;
    cpu_state_changed(&cpu->cpu, CPU_STATE_FULL);
    return true;
}

static const StateField cpu_fields[] = {
    STATE_F_UINT64(ArmCpu, mp_affinity),
    STATE_F_STRUCT(ArmCpu, regs, &register_state),
    STATE_F_END
};

const StateTable arm_cpu_state = {
    .name = "cpu", .version = 1, .minimum_version = 1, .fields = cpu_fields,
    .pre_save = pre_save, .post_load = post_load,
};
