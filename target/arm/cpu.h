/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * AArch64 CPUs: the QOM types "MODEL-arm-cpu" and their registers. Under KVM
 * the kernel names its registers itself; our copy is its list of ids and their
 * values, beside the few registers that a reset or a person needs by name.
 */
#ifndef TARGET_ARM_CPU_H
#define TARGET_ARM_CPU_H

#include "hw/core/machine.h"
#include "system/cpus.h"

#define ARM_CPU_TYPE_SUFFIX "arm-cpu"

#define ARM_GPR_COUNT 31
#define ARM_REG_LIST_MAX (16 * 1024)    /* bytes of ids */
#define ARM_REG_VALUES_MAX (256 * 1024)
#define ARM_EVENTS_SIZE 64              /* of the kernel's struct kvm_vcpu_events */

/* PSTATE of a CPU that enters a kernel: EL1 with its own stack pointer, all exceptions masked. */
#define ARM_PSTATE_EL1H 0x5
#define ARM_PSTATE_DAIF 0x3c0

typedef struct ArmRegisters {
    uint64_t x[ARM_GPR_COUNT], sp, pc, pstate;
    bool powered_off;
    /* The kernel's registers: @ids_size / 8 ids, and their values one behind the other. */
    uint32_t ids_size, values_size;     /* bytes; 0: not read yet */
    uint8_t *ids, *values;
    uint8_t events[ARM_EVENTS_SIZE];
} ArmRegisters;

typedef struct ArmCpu {
    CpuState cpu;
    /* Properties. */
    uint64_t mp_affinity;       /* MPIDR_EL1 without its flag bits; UINT64_MAX: from the index */
    int32_t socket_id, cluster_id, core_id, thread_id;  /* -1: from the index */
    int pmu, sve, pauth;        /* OnOffAuto */
    bool aarch64, no_adjvtime;
    /* After realize. */
    bool has_pmu;
    ArmRegisters regs;
} ArmCpu;

/* What a model is beside its name. */
typedef struct ArmModel {
    const char *compatible;     /* of the device tree's node */
    uint64_t midr;
} ArmModel;

extern const TypeInfo arm_cpu_type;     /* "arm-cpu", abstract */
extern const StateTable arm_cpu_state;

#define ARM_CPU(p) ((ArmCpu *)object_cast(p, &arm_cpu_type))

/* MPIDR_EL1 affinity of CPU @index: 16 CPUs at level 0, as the GICv3's software interrupts want it. */
uint64_t arm_cpu_affinity(unsigned index);
const char *arm_cpu_compatible(const ArmCpu *cpu);

/* The state in which the boot CPU enters what was loaded. After a reset, machine lock held. */
void arm_cpu_set_boot_state(CpuState *cpu, uint64_t pc, uint64_t x0);

/* ---- between the files of this folder ---- */

void arm_cpu_reset(CpuState *cpu);
void arm_cpu_print_state(CpuState *cpu, GString *out);

#endif
