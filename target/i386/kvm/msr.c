/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Model-specific registers of a vCPU under KVM. Which ones exist is asked of
 * the kernel when they are first needed, which a plain start never does.
 *
 * The vCPU's thread with the machine lock.
 */
#include "util/osdep.h"
#include "accel/kvm/kvm-int.h"
#include "../hyperv.h"
#include "kvm-x86.h"

#define MSR_MISC_ENABLE 0x1a0
#define MSR_MTRR_DEF_TYPE 0x2ff
#define MSR_TSC 0x10
#define HYPERV_MSRS 0x40000000u
#define MSR_TSC_DEADLINE 0x6e0

#define MISC_ENABLE_FAST_STRING 1
/* MTRRs and fixed ranges on, everything write-back. */
#define MTRR_ALL_WRITE_BACK 0xc06

/* The kernel's list; only those that it could read. */
static uint32_t *saved;
static unsigned saved_count;

typedef struct MsrBuffer {
    struct kvm_msrs head;
    struct kvm_msr_entry entries[X86_MSR_MAX];
} MsrBuffer;

/* What a reset makes of registers that it does not leave alone. */
static const X86Msr reset_values[] = {
    { 0x3a, 0 },                        /* FEATURE_CONTROL */
    { 0x48, 0 },                        /* SPEC_CTRL */
    { 0x174, 0 }, { 0x175, 0 }, { 0x176, 0 },   /* SYSENTER_* */
    { 0x17a, 0 },                       /* MCG_STATUS */
    { 0x1c4, 0 }, { 0x1c5, 0 },         /* XFD */
    { 0x277, 0x0007040600070406 },      /* PAT */
    { 0x6e1, 0 },                       /* PKRS */
    { 0xd90, 0 },                       /* BNDCFGS */
    { 0xda0, 0 },                       /* XSS */
    { 0xc0000081, 0 }, { 0xc0000082, 0 }, { 0xc0000083, 0 }, { 0xc0000084, 0 },
    { 0xc0000102, 0 }, { 0xc0000103, 0 },       /* KERNEL_GS_BASE, TSC_AUX */
    { 0xc0010117, 0 },                  /* VM_HSAVE_PA */
    /* Through these the kernel writes to guest memory: off. */
    { 0x11, 0 }, { 0x12, 0 }, { 0x4b564d00, 0 }, { 0x4b564d01, 0 },
    { 0x4b564d02, 0 }, { 0x4b564d03, 0 }, { 0x4b564d04, 0 }, { 0x4b564d06, 0 },
    { 0x4b564d05, 1 },                  /* polling before HLT */
    /* So do these of Hyper-V; and its timers stop. */
    { 0x40000001, 0 }, { 0x40000000, 0 }, { 0x40000021, 0 }, { 0x40000073, 0 },
    { 0x40000080, 0 }, { 0x40000082, 0 }, { 0x40000083, 0 },
    { 0x400000b0, 0 }, { 0x400000b2, 0 }, { 0x400000b4, 0 }, { 0x400000b6, 0 },
    { 0x40000106, 0 }, { 0x40000107, 0 },
};

/* Hyper-V's registers that are state: identification and hypercall page first, as KVM wants it. */
static const struct {
    uint16_t first, last;
} hyperv_msrs[] = {
    { 0x00, 0x01 }, { 0x10, 0x10 }, { 0x21, 0x21 }, { 0x73, 0x73 }, { 0x106, 0x108 },
    { 0x80, 0x80 }, { 0x82, 0x83 }, { 0x90, 0x9f }, { 0xb0, 0xb7 },
};

static void add_hyperv(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(hyperv_msrs); i++) {
        for (uint32_t n = hyperv_msrs[i].first; n <= hyperv_msrs[i].last; n++) {
            if (saved_count < X86_MSR_MAX) {
                saved[saved_count++] = HYPERV_MSRS + n;
            }
        }
    }
}

/* All CPUs of a machine are alike: @cpu is any of them. */
static void load_list(const X86Cpu *cpu)
{
    struct kvm_msr_list probe = { .nmsrs = 0 };
    struct kvm_msr_list *list;

    if (saved) {
        return;
    }
    kvm_ioctl(KVM_GET_MSR_INDEX_LIST, &probe);
    list = g_malloc0(sizeof(*list) + probe.nmsrs * sizeof(list->indices[0]));
    list->nmsrs = probe.nmsrs;
    saved = g_new(uint32_t, MAX(probe.nmsrs + 1, (uint32_t)X86_MSR_MAX));
    if (kvm_ioctl(KVM_GET_MSR_INDEX_LIST, list) >= 0) {
        for (unsigned i = 0; i < list->nmsrs && saved_count < X86_MSR_MAX; i++) {
            uint32_t index = list->indices[i];
            if (index >> 8 != HYPERV_MSRS >> 8 && index >> 8 != (HYPERV_MSRS >> 8) + 1) {
                saved[saved_count++] = index;
            }
        }
    }
    g_free(list);
    if (x86_hv_enabled(cpu)) {
        add_hyperv();
    }
}

static bool in_list(uint32_t index)
{
    for (unsigned i = 0; i < saved_count; i++) {
        if (saved[i] == index) {
            return true;
        }
    }
    return false;
}

void kvm_x86_get_msrs(CpuState *cs)
{
    X86Registers *r = &X86_CPU(cs)->regs;
    MsrBuffer b = { .head.nmsrs = 0 };

    load_list(X86_CPU(cs));
    r->msr_count = 0;
    for (unsigned from = 0; from < saved_count; ) {
        unsigned n = saved_count - from;
        int ret;

        b.head.nmsrs = n;
        for (unsigned i = 0; i < n; i++) {
            b.entries[i] = (struct kvm_msr_entry){ .index = saved[from + i] };
        }
        ret = kvm_vcpu_ioctl(cs, KVM_GET_MSRS, &b);
        if (ret < 0) {
            return;
        }
        for (int i = 0; i < ret; i++) {
            r->msr[r->msr_count++] = (X86Msr){ b.entries[i].index, b.entries[i].data };
        }
        from += ret;
        if (ret < (int)n) {
            /* Listed, but this CPU has not got it. */
            memmove(&saved[from], &saved[from + 1], (saved_count - from - 1) * sizeof(saved[0]));
            saved_count--;
        }
    }
}

static void add(MsrBuffer *b, uint32_t index, uint64_t value)
{
    if (b->head.nmsrs < X86_MSR_MAX) {
        b->entries[b->head.nmsrs++] = (struct kvm_msr_entry){ .index = index, .data = value };
    }
}

/* @strict: every one must be taken. */
static bool put(CpuState *cs, MsrBuffer *b, bool strict, Error **errp)
{
    while (b->head.nmsrs) {
        unsigned n = b->head.nmsrs;
        int ret = kvm_vcpu_ioctl(cs, KVM_SET_MSRS, b);

        if (ret < 0 || (strict && ret < (int)n)) {
            uint32_t index = b->entries[MAX(ret, 0)].index;
            error_setg(errp, "KVM does not take the value of MSR 0x%x of CPU %d", index, cs->index);
            return false;
        }
        if (ret >= (int)n) {
            break;
        }
        b->head.nmsrs = n - ret - 1;
        memmove(&b->entries[0], &b->entries[ret + 1], b->head.nmsrs * sizeof(b->entries[0]));
    }
    return true;
}

static bool put_reset_values(CpuState *cs, Error **errp)
{
    const X86Registers *r = &X86_CPU(cs)->regs;
    MsrBuffer b = { .head.nmsrs = 0 };

    if (!kvm_vcpu(cs)->fresh) {
        load_list(X86_CPU(cs));
        for (unsigned i = 0; i < ARRAY_SIZE(reset_values); i++) {
            if (in_list(reset_values[i].index)) {
                add(&b, reset_values[i].index, reset_values[i].value);
            }
        }
        for (uint32_t i = 0x200; i < 0x210; i++) {
            add(&b, i, 0);      /* variable MTRRs */
        }
        add(&b, MSR_TSC_DEADLINE, 0);
    }
    add(&b, MSR_MISC_ENABLE, MISC_ENABLE_FAST_STRING);
    add(&b, MSR_MTRR_DEF_TYPE, r->firmware_absent ? MTRR_ALL_WRITE_BACK : 0);
    return put(cs, &b, false, errp);
}

bool kvm_x86_put_msrs(CpuState *cs, CpuStateLevel level, Error **errp)
{
    const X86Registers *r = &X86_CPU(cs)->regs;
    MsrBuffer b = { .head.nmsrs = 0 };

    if (level == CPU_STATE_RESET) {
        return put_reset_values(cs, errp);
    }
    for (unsigned i = 0; i < r->msr_count; i++) {
        if (r->msr[i].index != MSR_TSC_DEADLINE) {
            add(&b, r->msr[i].index, r->msr[i].value);
        }
    }
    return put(cs, &b, true, errp);
}

bool kvm_x86_put_tsc_deadline(CpuState *cs, Error **errp)
{
    const X86Registers *r = &X86_CPU(cs)->regs;
    MsrBuffer b = { .head.nmsrs = 0 };

    for (unsigned i = 0; i < r->msr_count; i++) {
        if (r->msr[i].index == MSR_TSC_DEADLINE) {
            add(&b, MSR_TSC_DEADLINE, r->msr[i].value);
        }
    }
    return put(cs, &b, true, errp);
}
