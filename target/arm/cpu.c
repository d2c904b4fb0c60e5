/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * AArch64 CPU objects: models, properties, realize, power-on and boot state
 * (Arm ARM DDI 0487, D1.6 and D13.2.102 MPIDR_EL1; Linux arm64 boot protocol).
 *
 * Main thread with the machine lock.
 */
#include "util/osdep.h"

#include <elf.h>
#include "system/dump.h"
#include "util/bswap.h"
#include "accel/accel.h"
#include "accel/kvm.h"
#include "cpu.h"

uint64_t arm_cpu_affinity(unsigned index)
{
    return (index % 16) | (uint64_t)(index / 16 % 256) << 8 | (uint64_t)(index / 4096) << 16;
}

static const ArmModel *model_of(const ArmCpu *cpu)
{
    return type_ops(cpu->cpu.dev.obj.type, &arm_cpu_type);
}

const char *arm_cpu_compatible(const ArmCpu *cpu)
{
    const ArmModel *m = model_of(cpu);

    return m ? m->compatible : "arm,armv8";
}

/* ---- power-on and boot ---- */

void arm_cpu_reset(CpuState *cs)
{
    ArmRegisters *r = &ARM_CPU(cs)->regs;
    uint8_t *ids = r->ids, *values = r->values;

    g_free(ids);
    g_free(values);
    *r = (ArmRegisters){
        .pstate = ARM_PSTATE_DAIF | ARM_PSTATE_EL1H, .powered_off = cs->index != 0,
    };
}

void arm_cpu_set_boot_state(CpuState *cs, uint64_t pc, uint64_t x0)
{
    ArmRegisters *r = &ARM_CPU(cs)->regs;

    r->pc = pc;
    r->x[0] = x0;
    cpu_state_changed(cs, CPU_STATE_RESET);
}

void arm_cpu_print_state(CpuState *cs, GString *out)
{
    const ArmRegisters *r = &ARM_CPU(cs)->regs;

    g_string_append_printf(out, " PC=%016" PRIx64, r->pc);
    for (int i = 0; i < ARM_GPR_COUNT; i++) {
        g_string_append_printf(out, "%sX%02d=%016" PRIx64, i % 4 == 0 ? "\n" : " ", i, r->x[i]);
    }
    g_string_append_printf(out, " SP=%016" PRIx64 "\nPSTATE=%08" PRIx64 " EL%u%s%s\n", r->sp,
                           r->pstate, (unsigned)(r->pstate >> 2 & 3), r->pstate & 1 ? "h" : "t",
                           r->powered_off ? " (powered off)" : "");
}

/* ---- realize ---- */

static bool check_properties(const ArmCpu *cpu, Error **errp)
{
    const char *name = cpu->cpu.dev.obj.type->name;
    const ArmModel *m = model_of(cpu);

    if (!cpu->aarch64) {
        error_setg(errp, "'aarch64' feature cannot be disabled: there are no 32-bit guests");
        return false;
    }
    if (m && kvm_enabled()) {
        error_setg(errp, "CPU model '%.*s' is not possible with KVM, which gives the host's own CPU:"
                   " use 'host' or 'max'", (int)(strlen(name) - strlen("-" ARM_CPU_TYPE_SUFFIX)),
                   name);
        return false;
    }
    return true;
}

static void choose_ids(ArmCpu *cpu)
{
    MachineState *m = machine_current();
    static const CpuTopology single = { .clusters = 1, .cores = 1, .threads = 1 };
    const CpuTopology *t = m && m->smp.cpus ? &m->smp : &single;
    unsigned n;

    if (cpu->cpu.index < 0) {
        cpu->cpu.index = cpu_count();
    }
    n = cpu->cpu.index;
    if (cpu->mp_affinity == UINT64_MAX) {
        cpu->mp_affinity = arm_cpu_affinity(n);
    }
    cpu->thread_id = cpu->thread_id < 0 ? (int32_t)(n % t->threads) : cpu->thread_id;
    n /= t->threads;
    cpu->core_id = cpu->core_id < 0 ? (int32_t)(n % t->cores) : cpu->core_id;
    n /= t->cores;
    cpu->cluster_id = cpu->cluster_id < 0 ? (int32_t)(n % t->clusters) : cpu->cluster_id;
    n /= t->clusters;
    cpu->socket_id = cpu->socket_id < 0 ? (int32_t)n : cpu->socket_id;
}

static bool arm_cpu_realize(DeviceState *dev, Error **errp)
{
    ArmCpu *cpu = ARM_CPU(dev);

    if (!check_properties(cpu, errp)) {
        return false;
    }
    choose_ids(cpu);
    cpu->has_pmu = cpu->pmu != ON_OFF_AUTO_OFF && !accel_ops()->runs_code;
    arm_cpu_reset(&cpu->cpu);
    if (!cpu_start_thread(&cpu->cpu, errp)) {
        return false;
    }
    cpu->cpu.state_loaded = true;
    cpu_state_changed(&cpu->cpu, CPU_STATE_RESET);
    return true;
}

static void arm_cpu_unrealize(DeviceState *dev)
{
    cpu_end_thread(&ARM_CPU(dev)->cpu);
}

static void arm_cpu_finalize(Object *obj)
{
    ArmRegisters *r = &((ArmCpu *)obj)->regs;

    g_free(r->ids);
    g_free(r->values);
}

static uint64_t arm_cpu_arch_id(CpuState *cs)
{
    return ARM_CPU(cs)->mp_affinity;
}

/* NT_PRSTATUS of arm64: struct elf_prstatus with X0 to X30, SP, PC, PSTATE. */
static void arm_cpu_dump_notes(CpuState *cs, GByteArray *out)
{
    enum { SIZE = 392, PID = 32, REGS = 112 };
    const ArmRegisters *r = &ARM_CPU(cs)->regs;
    uint8_t b[SIZE] = { 0 };

    store_le32(b + PID, cs->index + 1);
    for (unsigned i = 0; i < ARM_GPR_COUNT; i++) {
        store_le64(b + REGS + i * 8, r->x[i]);
    }
    store_le64(b + REGS + 31 * 8, r->sp);
    store_le64(b + REGS + 32 * 8, r->pc);
    store_le64(b + REGS + 33 * 8, r->pstate);
    dump_append_note(out, "CORE", NT_PRSTATUS, b, sizeof(b));
}

static const CpuOps arm_cpu_ops = {
    .dump_notes = arm_cpu_dump_notes,
    .print_state = arm_cpu_print_state,
    .arch_id = arm_cpu_arch_id,
    .reset = arm_cpu_reset,
};

static const DeviceOps arm_device_ops = {
    .realize = arm_cpu_realize, .unrealize = arm_cpu_unrealize,
    .state = &arm_cpu_state, .state_place = cpu_state_place, .category = DEVICE_CATEGORY_CPU,
};

static const ObjectProperty arm_cpu_properties[] = {
    PROP_UINT64("mp-affinity", ArmCpu, mp_affinity, UINT64_MAX,
                "MPIDR affinity; by default from the index"),
    PROP_INT32("socket-id", ArmCpu, socket_id, -1, "its socket"),
    PROP_INT32("cluster-id", ArmCpu, cluster_id, -1, "its cluster in the socket"),
    PROP_INT32("core-id", ArmCpu, core_id, -1, "its core in the cluster"),
    PROP_INT32("thread-id", ArmCpu, thread_id, -1, "its thread in the core"),
    PROP_BOOL("aarch64", ArmCpu, aarch64, true, "64-bit execution state; must be on"),
    PROP_ON_OFF_AUTO("pmu", ArmCpu, pmu, ON_OFF_AUTO_AUTO, "performance counters"),
    PROP_ON_OFF_AUTO("sve", ArmCpu, sve, ON_OFF_AUTO_AUTO, "scalable vectors"),
    PROP_ON_OFF_AUTO("pauth", ArmCpu, pauth, ON_OFF_AUTO_AUTO, "pointer authentication"),
    PROP_BOOL("kvm-no-adjvtime", ArmCpu, no_adjvtime, false,
              "let the guest's clock run while the machine is stopped"),
    PROP_END
};

OBJECT_TYPE(arm_cpu_type) = {
    .name = ARM_CPU_TYPE_SUFFIX, .parent = &cpu_type, .abstract = true,
    .instance_size = sizeof(ArmCpu),
    .description = "AArch64 CPU",
    .properties = arm_cpu_properties,
    .impls = TYPE_IMPLS({ &device_type, &arm_device_ops }, { &cpu_type, &arm_cpu_ops }),
    .instance_finalize = arm_cpu_finalize,
};

/* ---- models ---- */

OBJECT_TYPE_STATIC(host_cpu_type) = {
    .name = "host-" ARM_CPU_TYPE_SUFFIX, .parent = &arm_cpu_type,
    .description = "the host's processor",
};

OBJECT_TYPE_STATIC(max_cpu_type) = {
    .name = "max-" ARM_CPU_TYPE_SUFFIX, .parent = &arm_cpu_type,
    .description = "all that the accelerator offers on this host",
};

/* Nothing runs their code: names for tests and for tools that insist on one. */
#define ARM_MODEL(ident, model_name, id)                                    \
    static const ArmModel ident##_model = {                                 \
        .compatible = "arm," model_name, .midr = id,                        \
    };                                                                      \
    OBJECT_TYPE_STATIC(ident##_type) = {                                    \
        .name = model_name "-" ARM_CPU_TYPE_SUFFIX, .parent = &arm_cpu_type,\
        .description = "ARM " model_name " (only without an accelerator that runs code)", \
        .impls = TYPE_IMPLS({ &arm_cpu_type, &ident##_model }),             \
    }

ARM_MODEL(cortex_a35, "cortex-a35", 0x411fd040);
ARM_MODEL(cortex_a53, "cortex-a53", 0x410fd034);
ARM_MODEL(cortex_a57, "cortex-a57", 0x411fd070);
ARM_MODEL(cortex_a72, "cortex-a72", 0x410fd083);
ARM_MODEL(cortex_a76, "cortex-a76", 0x414fd0b1);
ARM_MODEL(neoverse_n1, "neoverse-n1", 0x414fd0c1);
