/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPUID between KVM and the CPU objects. Main thread; setting on the vCPU's.
 */
#include "util/osdep.h"
#include <cpuid.h>
#include "accel/kvm/kvm-int.h"
#include "../features.h"
#include "kvm-x86.h"

#define ENTRIES_MAX 512

static X86CpuidEntry *supported;
static unsigned supported_count;
static bool has_tsc_deadline;

static struct kvm_cpuid2 *get_leaves(unsigned long request)
{
    for (unsigned n = 128; n <= ENTRIES_MAX; n *= 2) {
        struct kvm_cpuid2 *c = g_malloc0(sizeof(*c) + n * sizeof(c->entries[0]));
        int ret;

        c->nent = n;
        ret = kvm_ioctl(request, c);
        if (ret >= 0) {
            return c;
        }
        g_free(c);
        if (ret != -E2BIG) {
            break;
        }
    }
    return NULL;
}

static X86CpuidEntry *entries(const struct kvm_cpuid2 *c)
{
    X86CpuidEntry *list = g_new(X86CpuidEntry, MAX(c->nent, 1u));

    for (unsigned i = 0; i < c->nent; i++) {
        const struct kvm_cpuid_entry2 *e = &c->entries[i];
        list[i] = (X86CpuidEntry){
            .function = e->function, .index = e->index,
            .indexed = e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
            .eax = e->eax, .ebx = e->ebx, .ecx = e->ecx, .edx = e->edx,
        };
    }
    return list;
}

const X86CpuidEntry *kvm_x86_hv_cpuid(unsigned *count)
{
    static X86CpuidEntry *list;
    static unsigned n;
    static bool asked;

    if (!asked) {
        g_autofree struct kvm_cpuid2 *c = NULL;

        asked = true;
        c = kvm_check_extension(KVM_CAP_SYS_HYPERV_CPUID) ? get_leaves(KVM_GET_SUPPORTED_HV_CPUID)
                                                          : NULL;
        if (c) {
            list = entries(c);
            n = c->nent;
        }
    }
    *count = n;
    return list;
}

/* KVM need not list the name that the processor has; it is harmless and users expect it. */
static void add_brand(void)
{
    for (uint32_t f = 0x80000002; f <= 0x80000004; f++) {
        X86CpuidEntry e = { .function = f }, *have = NULL;

        for (unsigned i = 0; i < supported_count; i++) {
            have = supported[i].function == f ? &supported[i] : have;
        }
        if (have && (have->eax | have->ebx | have->ecx | have->edx)) {
            continue;
        }
        if (!__get_cpuid(f, &e.eax, &e.ebx, &e.ecx, &e.edx)) {
            return;
        }
        if (!have) {
            supported = g_renew(X86CpuidEntry, supported, supported_count + 1);
            have = &supported[supported_count++];
        }
        *have = e;
    }
}

const X86CpuidEntry *kvm_x86_supported_cpuid(unsigned *count)
{
    g_autofree struct kvm_cpuid2 *c = supported ? NULL : get_leaves(KVM_GET_SUPPORTED_CPUID);

    if (c) {
        has_tsc_deadline = kvm_check_extension(KVM_CAP_TSC_DEADLINE_TIMER);
        supported_count = c->nent;
        supported = entries(c);
        add_brand();
    }
    *count = supported_count;
    return supported;
}

static uint32_t supported_leaf(X86FeatureWord w)
{
    const X86FeatureLeaf *leaf = &x86_feature_leaves[w];
    unsigned count;
    const X86CpuidEntry *list = kvm_x86_supported_cpuid(&count);
    const X86CpuidEntry *e = x86_cpuid_find(list, count, leaf->function, leaf->index);
    uint32_t bits = e ? x86_cpuid_reg(e, leaf->reg) : 0;

    switch (w) {
    case X86_FEATURE_1_EDX:
        bits |= BIT(7) | BIT(12) | BIT(14) | BIT(16) | BIT(28);  /* MCE, MTRR, MCA, PAT, HTT */
        break;
    case X86_FEATURE_1_ECX:
        /* The hypervisor is there, and the interrupt controllers are the kernel's. */
        bits |= BIT(31) | BIT(21);
        if (has_tsc_deadline) {
            bits |= BIT(24);
        }
        bits &= ~BIT(27);       /* OSXSAVE: the guest's doing */
        break;
    case X86_FEATURE_7_0_EBX:
        bits &= ~BIT(2);        /* SGX: there is no enclave memory to give */
        break;
    case X86_FEATURE_7_0_ECX:
        bits &= ~(BIT(4) | BIT(30));    /* OSPKE: the guest's doing; SGX_LC: as SGX */
        break;
    case X86_FEATURE_6_EAX:
        bits = BIT(2);          /* the LAPIC timer always runs */
        break;
    case X86_FEATURE_KVM_EDX:
        bits |= BIT(0);         /* a promise that the user makes */
        break;
    case X86_FEATURE_12_0_EAX:
    case X86_FEATURE_12_0_EBX:
    case X86_FEATURE_12_1_EAX:
        bits = 0;
        break;
    default:
        break;
    }
    return bits;
}

uint64_t kvm_x86_supported_features(X86FeatureWord w)
{
    return x86_feature_leaves[w].msr ? kvm_x86_supported_msr(w) : supported_leaf(w);
}

bool kvm_x86_set_cpuid(CpuState *cs, Error **errp)
{
    const X86Cpu *cpu = X86_CPU(cs);
    unsigned n = cpu->cpuid_count;
    g_autofree struct kvm_cpuid2 *c = g_malloc0(sizeof(*c) + n * sizeof(c->entries[0]));
    int ret;

    c->nent = n;
    for (unsigned i = 0; i < n; i++) {
        const X86CpuidEntry *e = &cpu->cpuid[i];
        c->entries[i] = (struct kvm_cpuid_entry2){
            .function = e->function, .index = e->index,
            .flags = e->indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
            .eax = e->eax, .ebx = e->ebx, .ecx = e->ecx, .edx = e->edx,
        };
    }
    ret = kvm_vcpu_ioctl(cs, KVM_SET_CPUID2, c);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "KVM does not take the features of CPU %d", cs->index);
        return false;
    }
    return true;
}
