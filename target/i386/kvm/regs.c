/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registers of a vCPU between our copy and KVM. The order matters to the
 * kernel: paging and modes before what they change, LAPIC before the MSRs that
 * arm its timer, pending events after everything that could raise one.
 *
 * The vCPU's thread with the machine lock.
 */
#include "util/osdep.h"
#include "accel/kvm/kvm-int.h"
#include "kvm-x86.h"

G_STATIC_ASSERT(sizeof(struct kvm_vcpu_events) == X86_EVENTS_SIZE);
G_STATIC_ASSERT(sizeof(struct kvm_lapic_state) == X86_LAPIC_SIZE);
G_STATIC_ASSERT(KVM_MP_STATE_RUNNABLE == (int)X86_MP_RUNNABLE &&
                KVM_MP_STATE_UNINITIALIZED == (int)X86_MP_WAIT_FOR_INIT &&
                KVM_MP_STATE_HALTED == (int)X86_MP_HALTED);

static bool has_xcrs;
static uint32_t xsave_size;     /* 0: not asked yet */

unsigned long kvm_arch_vcpu_id(const CpuState *cs)
{
    return ((const X86Cpu *)cs)->apic_id;
}

/* Capabilities that a vCPU has only when asked. */
static bool enable_caps(CpuState *cs, Error **errp)
{
    const X86Cpu *cpu = X86_CPU(cs);
    const struct {
        bool wanted;
        uint32_t cap;
        uint64_t arg;
        const char *name;
    } caps[] = {
        { cpu->pv_enforce_cpuid, KVM_CAP_ENFORCE_PV_FEATURE_CPUID, 1, "kvm-pv-enforce-cpuid" },
        { cpu->hv & BIT(X86_HV_SYNIC), KVM_CAP_HYPERV_SYNIC2, 0, "hv-synic" },
        { cpu->hv_enforce_cpuid, KVM_CAP_HYPERV_ENFORCE_CPUID, 1, "hv-enforce-cpuid" },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(caps); i++) {
        struct kvm_enable_cap cap = { .cap = caps[i].cap, .args = { caps[i].arg } };

        if (caps[i].wanted && kvm_vcpu_ioctl(cs, KVM_ENABLE_CAP, &cap) < 0) {
            error_setg(errp, "%s=on is not possible on this host", caps[i].name);
            return false;
        }
    }
    return true;
}

bool kvm_arch_vcpu_init(CpuState *cs, Error **errp)
{
    X86Cpu *cpu = X86_CPU(cs);

    if (cpu->tsc_frequency) {
        long khz = cpu->tsc_frequency / 1000;
        if (kvm_vcpu_ioctl(cs, KVM_GET_TSC_KHZ, NULL) != khz &&
            kvm_vcpu_ioctl(cs, KVM_SET_TSC_KHZ, (void *)khz) < 0) {
            error_setg(errp, "tsc-frequency=%" PRId64 " cannot be set on this host",
                       cpu->tsc_frequency);
            return false;
        }
    }
    return enable_caps(cs, errp) && kvm_x86_set_cpuid(cs, errp) && kvm_x86_put_feature_msrs(cs, errp);
}

/* ---- general and system registers ---- */

static void regs_to_kvm(const X86Registers *r, struct kvm_regs *k)
{
    *k = (struct kvm_regs){
        .rax = r->gpr[X86_RAX], .rbx = r->gpr[X86_RBX], .rcx = r->gpr[X86_RCX],
        .rdx = r->gpr[X86_RDX], .rsi = r->gpr[X86_RSI], .rdi = r->gpr[X86_RDI],
        .rsp = r->gpr[X86_RSP], .rbp = r->gpr[X86_RBP],
        .rip = r->rip, .rflags = r->rflags,
    };
    memcpy(&k->r8, &r->gpr[X86_R8], 8 * sizeof(uint64_t));
}

static void regs_from_kvm(X86Registers *r, const struct kvm_regs *k)
{
    r->gpr[X86_RAX] = k->rax;
    r->gpr[X86_RBX] = k->rbx;
    r->gpr[X86_RCX] = k->rcx;
    r->gpr[X86_RDX] = k->rdx;
    r->gpr[X86_RSI] = k->rsi;
    r->gpr[X86_RDI] = k->rdi;
    r->gpr[X86_RSP] = k->rsp;
    r->gpr[X86_RBP] = k->rbp;
    memcpy(&r->gpr[X86_R8], &k->r8, 8 * sizeof(uint64_t));
    r->rip = k->rip;
    r->rflags = k->rflags;
}

static struct kvm_segment segment_to_kvm(const X86Segment *s)
{
    uint32_t ar = s->rights;

    return (struct kvm_segment){
        .base = s->base, .limit = s->limit, .selector = s->selector,
        .type = ar & X86_AR_TYPE, .s = !!(ar & X86_AR_S), .dpl = ar >> X86_AR_DPL_SHIFT & 3,
        .present = !!(ar & X86_AR_P), .avl = !!(ar & X86_AR_AVL), .l = !!(ar & X86_AR_L),
        .db = !!(ar & X86_AR_DB), .g = !!(ar & X86_AR_G), .unusable = !!(ar & X86_AR_UNUSABLE),
    };
}

static X86Segment segment_from_kvm(const struct kvm_segment *k)
{
    uint32_t ar = (k->type & X86_AR_TYPE) | (k->dpl & 3) << X86_AR_DPL_SHIFT;

    ar |= (k->s ? X86_AR_S : 0) | (k->present ? X86_AR_P : 0) | (k->avl ? X86_AR_AVL : 0) |
          (k->l ? X86_AR_L : 0) | (k->db ? X86_AR_DB : 0) | (k->g ? X86_AR_G : 0) |
          (k->unusable ? X86_AR_UNUSABLE : 0);
    return (X86Segment){ .base = k->base, .limit = k->limit, .selector = k->selector, .rights = ar };
}

/* The members of struct kvm_sregs in the order of X86_ES, ... */
static struct kvm_segment *sregs_segment(struct kvm_sregs *k, int i)
{
    struct kvm_segment *const segments[X86_SEGMENT_COUNT] = {
        [X86_ES] = &k->es, [X86_CS] = &k->cs, [X86_SS] = &k->ss, [X86_DS] = &k->ds,
        [X86_FS] = &k->fs, [X86_GS] = &k->gs, [X86_LDT] = &k->ldt, [X86_TR] = &k->tr,
    };

    return segments[i];
}

static void sregs_to_kvm(const X86Registers *r, struct kvm_sregs *k)
{
    *k = (struct kvm_sregs){
        .gdt = { .base = r->gdt.base, .limit = r->gdt.limit },
        .idt = { .base = r->idt.base, .limit = r->idt.limit },
        .cr0 = r->cr0, .cr2 = r->cr2, .cr3 = r->cr3, .cr4 = r->cr4, .cr8 = r->cr8,
        .efer = r->efer, .apic_base = r->apic_base,
    };
    for (int i = 0; i < X86_SEGMENT_COUNT; i++) {
        *sregs_segment(k, i) = segment_to_kvm(&r->segment[i]);
    }
}

static void sregs_from_kvm(X86Registers *r, struct kvm_sregs *k)
{
    for (int i = 0; i < X86_SEGMENT_COUNT; i++) {
        r->segment[i] = segment_from_kvm(sregs_segment(k, i));
    }
    r->gdt = (X86Table){ k->gdt.base, k->gdt.limit };
    r->idt = (X86Table){ k->idt.base, k->idt.limit };
    r->cr0 = k->cr0;
    r->cr2 = k->cr2;
    r->cr3 = k->cr3;
    r->cr4 = k->cr4;
    r->cr8 = k->cr8;
    r->efer = k->efer;
    r->apic_base = k->apic_base;
}

/* ---- get ---- */

static void alloc_xsave(X86Registers *r)
{
    if (!xsave_size) {
        xsave_size = MAX(kvm_check_extension(KVM_CAP_XSAVE2), (int)sizeof(struct kvm_xsave));
        has_xcrs = kvm_check_extension(KVM_CAP_XCRS);
    }
    if (r->xsave_size < xsave_size) {
        r->xsave = g_realloc(r->xsave, xsave_size);
        memset(r->xsave + r->xsave_size, 0, xsave_size - r->xsave_size);
        r->xsave_size = xsave_size;
    }
}

static void get_extended(CpuState *cs, X86Registers *r)
{
    struct kvm_xcrs xcrs = { 0 };

    alloc_xsave(r);
    kvm_vcpu_ioctl(cs, xsave_size > sizeof(struct kvm_xsave) ? KVM_GET_XSAVE2 : KVM_GET_XSAVE, r->xsave);
    r->xcr0 = 1;
    if (has_xcrs && kvm_vcpu_ioctl(cs, KVM_GET_XCRS, &xcrs) >= 0) {
        for (unsigned i = 0; i < MIN(xcrs.nr_xcrs, (unsigned)KVM_MAX_XCRS); i++) {
            if (xcrs.xcrs[i].xcr == 0) {
                r->xcr0 = xcrs.xcrs[i].value;
            }
        }
    }
}

void kvm_arch_get_state(CpuState *cs)
{
    X86Registers *r = &X86_CPU(cs)->regs;
    struct kvm_mp_state mp = { 0 };
    struct kvm_regs regs = { 0 };
    struct kvm_sregs sregs = { 0 };
    struct kvm_debugregs debug = { 0 };

    kvm_vcpu_ioctl(cs, KVM_GET_VCPU_EVENTS, r->events);
    kvm_vcpu_ioctl(cs, KVM_GET_MP_STATE, &mp);
    kvm_vcpu_ioctl(cs, KVM_GET_REGS, &regs);
    get_extended(cs, r);
    kvm_vcpu_ioctl(cs, KVM_GET_SREGS, &sregs);
    kvm_x86_get_msrs(cs);
    kvm_vcpu_ioctl(cs, KVM_GET_LAPIC, r->lapic);
    kvm_vcpu_ioctl(cs, KVM_GET_DEBUGREGS, &debug);
    r->mp_state = mp.mp_state;
    regs_from_kvm(r, &regs);
    sregs_from_kvm(r, &sregs);
    memcpy(r->dr, debug.db, sizeof(r->dr));
    r->dr6 = debug.dr6;
    r->dr7 = debug.dr7;
}

/* ---- put ---- */

static bool put(CpuState *cs, unsigned long request, void *arg, const char *what, Error **errp)
{
    int ret = kvm_vcpu_ioctl(cs, request, arg);

    if (ret < 0) {
        error_setg_errno(errp, -ret, "KVM does not take the %s of CPU %d", what, cs->index);
        return false;
    }
    return true;
}

static bool put_extended(CpuState *cs, X86Registers *r, Error **errp)
{
    struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs[0] = { .xcr = 0, .value = r->xcr0 } };
    bool is_new = !r->xsave;

    alloc_xsave(r);
    if (is_new) {
        x86_reset_xsave(r);
    }
    return put(cs, KVM_SET_XSAVE, r->xsave, "extended state", errp) &&
           (!has_xcrs || put(cs, KVM_SET_XCRS, &xcrs, "extended control register", errp));
}

static bool put_events(CpuState *cs, const X86Registers *r, CpuStateLevel level, Error **errp)
{
    struct kvm_vcpu_events ev;
    const uint32_t racing = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SIPI_VECTOR;

    memcpy(&ev, r->events, sizeof(ev));
    ev.flags = level >= CPU_STATE_RESET ? ev.flags | racing : ev.flags & ~racing;
    return put(cs, KVM_SET_VCPU_EVENTS, &ev, "pending events", errp);
}

static bool put_debug(CpuState *cs, const X86Registers *r, Error **errp)
{
    struct kvm_debugregs debug = { .dr6 = r->dr6, .dr7 = r->dr7 };

    memcpy(debug.db, r->dr, sizeof(r->dr));
    return put(cs, KVM_SET_DEBUGREGS, &debug, "debug registers", errp);
}

bool kvm_arch_put_state(CpuState *cs, CpuStateLevel level, Error **errp)
{
    X86Registers *r = &X86_CPU(cs)->regs;
    /* What the kernel made for a new vCPU is the power-on state. */
    bool all = !(kvm_vcpu(cs)->fresh && level == CPU_STATE_RESET);
    struct kvm_mp_state mp = { .mp_state = r->mp_state };
    struct kvm_regs regs;
    struct kvm_sregs sregs;

    regs_to_kvm(r, &regs);
    sregs_to_kvm(r, &sregs);
    if (!put(cs, KVM_SET_SREGS, &sregs, "system registers", errp) ||
        !put(cs, KVM_SET_REGS, &regs, "registers", errp) ||
        (all && !put_extended(cs, r, errp)) ||
        (all && level >= CPU_STATE_RESET &&
         !put(cs, KVM_SET_LAPIC, r->lapic, "local APIC", errp)) ||
        (level >= CPU_STATE_RESET && !kvm_x86_put_msrs(cs, level, errp)) ||
        (all && !put_events(cs, r, level, errp)) ||
        (all && level >= CPU_STATE_RESET &&
         !put(cs, KVM_SET_MP_STATE, &mp, "activity state", errp)) ||
        (level == CPU_STATE_FULL && !kvm_x86_put_tsc_deadline(cs, errp)) ||
        (all && !put_debug(cs, r, errp))) {
        return false;
    }
    kvm_vcpu(cs)->fresh = false;
    return true;
}

bool kvm_arch_handle_exit(CpuState *cpu, struct kvm_run *run)
{
    return false;
}
