/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registers of a vCPU between our copy and KVM. The kernel lists what it has
 * (KVM_GET_REG_LIST), so nothing here needs to know what a register means,
 * but for those that a reset sets and that people look at.
 *
 * The vCPU's thread with the machine lock.
 */
#include "util/osdep.h"
#include <asm/kvm.h>
#include "accel/kvm/kvm-int.h"
#include "kvm-arm.h"

G_STATIC_ASSERT(sizeof(struct kvm_vcpu_events) == ARM_EVENTS_SIZE);

#define CORE_REG(member) \
    (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(member))
/* The interrupts of the performance counters, of the virtual and the physical timer: PPIs. */
#define PMU_INTID 23
#define LARGEST_REG 256         /* bytes: a whole SVE register */

static uint32_t features[7];    /* what every vCPU was made with */
static uint32_t target_type;

static bool one_reg(CpuState *cs, unsigned long request, uint64_t id, void *value)
{
    struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)value };

    return kvm_vcpu_ioctl(cs, request, &reg) >= 0;
}

static size_t reg_size(uint64_t id)
{
    return (size_t)1 << ((id & KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT);
}

/* ---- making one ---- */

/* Off, or on where the host can; asking for what it cannot is an error. */
static bool choose_feature(int choice, int cap, const char *name, bool *use, Error **errp)
{
    bool possible = kvm_check_extension(cap) > 0;

    *use = possible && choice != ON_OFF_AUTO_OFF;
    if (choice == ON_OFF_AUTO_ON && !possible) {
        error_setg(errp, "'%s' feature is not supported by KVM on this host", name);
        return false;
    }
    return true;
}

static void set_feature(struct kvm_vcpu_init *init, unsigned bit)
{
    init->features[bit / 32] |= UINT32_C(1) << (bit % 32);
}

static bool choose_features(ArmCpu *cpu, struct kvm_vcpu_init *init, Error **errp)
{
    bool sve, address, generic;

    if (!choose_feature(cpu->pmu, KVM_CAP_ARM_PMU_V3, "pmu", &cpu->has_pmu, errp) ||
        !choose_feature(cpu->sve, KVM_CAP_ARM_SVE, "sve", &sve, errp) ||
        !choose_feature(cpu->pauth, KVM_CAP_ARM_PTRAUTH_ADDRESS, "pauth", &address, errp) ||
        !choose_feature(cpu->pauth, KVM_CAP_ARM_PTRAUTH_GENERIC, "pauth", &generic, errp)) {
        return false;
    }
    set_feature(init, KVM_ARM_VCPU_PSCI_0_2);
    if (cpu->has_pmu) {
        set_feature(init, KVM_ARM_VCPU_PMU_V3);
    }
    if (sve) {
        set_feature(init, KVM_ARM_VCPU_SVE);
    }
    if (address && generic) {
        set_feature(init, KVM_ARM_VCPU_PTRAUTH_ADDRESS);
        set_feature(init, KVM_ARM_VCPU_PTRAUTH_GENERIC);
    }
    return true;
}

static int init_vcpu(CpuState *cs)
{
    struct kvm_vcpu_init init = { .target = target_type };

    memcpy(init.features, features, sizeof(init.features));
    if (ARM_CPU(cs)->regs.powered_off) {
        set_feature(&init, KVM_ARM_VCPU_POWER_OFF);
    }
    return kvm_vcpu_ioctl(cs, KVM_ARM_VCPU_INIT, &init);
}

unsigned long kvm_arch_vcpu_id(const CpuState *cs)
{
    return cs->index;
}

bool kvm_arch_vcpu_init(CpuState *cs, Error **errp)
{
    ArmCpu *cpu = ARM_CPU(cs);
    struct kvm_vcpu_init init = { 0 };
    uint64_t mpidr = 0;
    int finalize = KVM_ARM_VCPU_SVE, ret;

    ret = kvm_vm_ioctl(KVM_ARM_PREFERRED_TARGET, &init);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "KVM does not name a CPU type");
        return false;
    }
    if (!choose_features(cpu, &init, errp)) {
        return false;
    }
    target_type = init.target;
    memcpy(features, init.features, sizeof(features));
    ret = init_vcpu(cs);
    if (ret >= 0 && (features[0] & BIT(KVM_ARM_VCPU_SVE))) {
        ret = kvm_vcpu_ioctl(cs, KVM_ARM_VCPU_FINALIZE, &finalize);
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "KVM cannot initialise CPU %d", cs->index);
        return false;
    }
    if (one_reg(cs, KVM_GET_ONE_REG, ARM64_SYS_REG(3, 0, 0, 0, 5), &mpidr)) {
        cpu->mp_affinity = mpidr & UINT64_C(0xff00ffffff);
    }
    return true;
}

typedef struct FinishPmu {
    int ret;
} FinishPmu;

static void finish_pmu(CpuState *cs, void *opaque)
{
    FinishPmu *f = opaque;
    int irq = PMU_INTID;
    struct kvm_device_attr attr = {
        .group = KVM_ARM_VCPU_PMU_V3_CTRL, .attr = KVM_ARM_VCPU_PMU_V3_IRQ,
        .addr = (uintptr_t)&irq,
    };

    f->ret = kvm_vcpu_ioctl(cs, KVM_SET_DEVICE_ATTR, &attr);
    if (f->ret >= 0) {
        attr.attr = KVM_ARM_VCPU_PMU_V3_INIT;
        attr.addr = 0;
        f->ret = kvm_vcpu_ioctl(cs, KVM_SET_DEVICE_ATTR, &attr);
    }
}

bool kvm_arm_vcpu_finish(ArmCpu *cpu, Error **errp)
{
    FinishPmu f = { 0 };

    if (cpu->has_pmu) {
        cpu_run_on(&cpu->cpu, finish_pmu, &f);
        if (f.ret < 0) {
            error_setg_errno(errp, -f.ret, "KVM cannot give CPU %d performance counters (pmu=off"
                             " does without)", cpu->cpu.index);
            return false;
        }
    }
    return true;
}

/* ---- get ---- */

/* Which registers there are never changes after the first look. */
static bool read_list(CpuState *cs, ArmRegisters *r)
{
    struct kvm_reg_list probe = { .n = 0 };
    g_autofree struct kvm_reg_list *list = NULL;
    uint64_t bytes = 0;

    kvm_vcpu_ioctl(cs, KVM_GET_REG_LIST, &probe);
    if (!probe.n || probe.n * sizeof(uint64_t) > ARM_REG_LIST_MAX) {
        return false;
    }
    list = g_malloc0(sizeof(*list) + probe.n * sizeof(uint64_t));
    list->n = probe.n;
    if (kvm_vcpu_ioctl(cs, KVM_GET_REG_LIST, list) < 0) {
        return false;
    }
    for (uint64_t i = 0; i < list->n; i++) {
        bytes += reg_size(list->reg[i]);
    }
    if (bytes > ARM_REG_VALUES_MAX) {
        return false;
    }
    g_free(r->ids);
    g_free(r->values);
    r->ids_size = list->n * sizeof(uint64_t);
    r->ids = g_memdup2(list->reg, r->ids_size);
    r->values_size = bytes;
    r->values = g_malloc0(bytes);
    return true;
}

static void get_named(CpuState *cs, ArmRegisters *r)
{
    for (unsigned i = 0; i < ARM_GPR_COUNT; i++) {
        one_reg(cs, KVM_GET_ONE_REG, CORE_REG(regs.regs[0]) + 2 * i, &r->x[i]);
    }
    one_reg(cs, KVM_GET_ONE_REG, CORE_REG(regs.pc), &r->pc);
    one_reg(cs, KVM_GET_ONE_REG, CORE_REG(regs.pstate), &r->pstate);
    one_reg(cs, KVM_GET_ONE_REG, r->pstate & 1 ? CORE_REG(sp_el1) : CORE_REG(regs.sp), &r->sp);
}

void kvm_arch_get_state(CpuState *cs)
{
    ArmRegisters *r = &ARM_CPU(cs)->regs;
    struct kvm_mp_state mp = { 0 };
    uint8_t *value;

    if (!r->ids && !read_list(cs, r)) {
        return;
    }
    value = r->values;
    for (uint32_t i = 0; i < r->ids_size / sizeof(uint64_t); i++) {
        uint64_t id;

        memcpy(&id, r->ids + i * sizeof(id), sizeof(id));
        one_reg(cs, KVM_GET_ONE_REG, id, value);
        value += reg_size(id);
    }
    get_named(cs, r);
    kvm_vcpu_ioctl(cs, KVM_GET_MP_STATE, &mp);
    r->powered_off = mp.mp_state == KVM_MP_STATE_STOPPED;
    kvm_vcpu_ioctl(cs, KVM_GET_VCPU_EVENTS, r->events);
}

/* ---- put ---- */

/* The kernel makes the power-on values; where to start is ours. */
static bool put_reset(CpuState *cs, Error **errp)
{
    ArmRegisters *r = &ARM_CPU(cs)->regs;
    struct kvm_mp_state mp = {
        .mp_state = r->powered_off ? KVM_MP_STATE_STOPPED : KVM_MP_STATE_RUNNABLE,
    };

    if ((!kvm_vcpu(cs)->fresh && init_vcpu(cs) < 0) ||
        !one_reg(cs, KVM_SET_ONE_REG, CORE_REG(regs.regs[0]), &r->x[0]) ||
        !one_reg(cs, KVM_SET_ONE_REG, CORE_REG(regs.pc), &r->pc) ||
        !one_reg(cs, KVM_SET_ONE_REG, CORE_REG(regs.pstate), &r->pstate) ||
        kvm_vcpu_ioctl(cs, KVM_SET_MP_STATE, &mp) < 0) {
        error_setg(errp, "KVM does not reset CPU %d", cs->index);
        return false;
    }
    return true;
}

/* Ids that this kernel has; an incoming list may hold anything. */
static bool known_id(const ArmRegisters *list, uint64_t id)
{
    for (uint32_t i = 0; i < list->ids_size / sizeof(uint64_t); i++) {
        uint64_t known;

        memcpy(&known, list->ids + i * sizeof(known), sizeof(known));
        if (known == id) {
            return true;
        }
    }
    return false;
}

/*
 * A register that cannot be set must have the value already: identification
 * registers of another kind of CPU.
 */
static bool put_register(CpuState *cs, uint64_t id, uint8_t *value, Error **errp)
{
    uint8_t now[LARGEST_REG];
    size_t size = reg_size(id);

    if (one_reg(cs, KVM_SET_ONE_REG, id, value)) {
        return true;
    }
    if (size <= sizeof(now) && one_reg(cs, KVM_GET_ONE_REG, id, now) && !memcmp(now, value, size)) {
        return true;
    }
    error_setg(errp, "KVM does not take the saved value of register 0x%" PRIx64 " of CPU %d:"
               " the host's CPU is another one", id, cs->index);
    return false;
}

static bool put_all(CpuState *cs, Error **errp)
{
    ArmRegisters *r = &ARM_CPU(cs)->regs;
    ArmRegisters list = { 0 };
    uint32_t done = 0;
    bool ok = read_list(cs, &list);

    for (uint32_t i = 0; ok && i < r->ids_size / sizeof(uint64_t); i++) {
        uint64_t id;

        memcpy(&id, r->ids + i * sizeof(id), sizeof(id));
        if (reg_size(id) > r->values_size - done || !known_id(&list, id)) {
            error_setg(errp, "the saved state of CPU %d has a register 0x%" PRIx64 ", which this"
                       " host does not have", cs->index, id);
            ok = false;
            break;
        }
        ok = put_register(cs, id, r->values + done, errp);
        done += reg_size(id);
    }
    g_free(list.ids);
    g_free(list.values);
    return ok;
}

bool kvm_arch_put_state(CpuState *cs, CpuStateLevel level, Error **errp)
{
    ArmRegisters *r = &ARM_CPU(cs)->regs;
    struct kvm_mp_state mp = {
        .mp_state = r->powered_off ? KVM_MP_STATE_STOPPED : KVM_MP_STATE_RUNNABLE,
    };
    bool ok;

    if (level == CPU_STATE_RESET) {
        ok = put_reset(cs, errp);
    } else {
        ok = put_all(cs, errp) && kvm_vcpu_ioctl(cs, KVM_SET_VCPU_EVENTS, r->events) >= 0 &&
             kvm_vcpu_ioctl(cs, KVM_SET_MP_STATE, &mp) >= 0;
        if (level == CPU_STATE_FULL) {
            kvm_arm_counter_restored();
        }
        if (!ok && errp && !*errp) {
            error_setg(errp, "KVM does not take the state of CPU %d", cs->index);
        }
    }
    kvm_vcpu(cs)->fresh = false;
    return ok;
}

/* An access that the kernel cannot decode is the guest's own fault: device memory needs plain loads and stores. */
bool kvm_arch_handle_exit(CpuState *cpu, struct kvm_run *run)
{
    return false;
}
