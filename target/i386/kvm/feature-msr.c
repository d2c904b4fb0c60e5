/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MSRs that say what a CPU can do: architectural capabilities and the VMX
 * capabilities (Intel SDM volume 3D, appendix A; volume 4). KVM lists which of
 * them it can give a guest, and with which bits.
 *
 * Main thread.
 */
#include "util/osdep.h"
#include "accel/kvm/kvm-int.h"
#include "../features.h"
#include "kvm-x86.h"

#define MSR_UCODE_REV 0x8b
#define LIST_MAX 256

typedef struct FeatureMsrs {
    struct kvm_msrs head;
    struct kvm_msr_entry entries[X86_FEATURE_WORDS + 1];
} FeatureMsrs;

/* What KVM offers, by feature word, as the MSR reads. */
static uint64_t offered[X86_FEATURE_WORDS];
static uint64_t offered_ucode;
static bool is_offered[X86_FEATURE_WORDS], ucode_is_offered, asked;

/*
 * VMX control words say in the upper half which bits may be 1 and in the lower
 * half which must be. The bits that always read 1 there unless the "true" MSRs
 * say otherwise: appendix A.3 to A.5.
 */
static uint32_t default1(X86FeatureWord w)
{
    switch (w) {
    case X86_FEATURE_VMX_PIN:
        return 0x00000016;
    case X86_FEATURE_VMX_PROC:
        return 0x0401e172;
    case X86_FEATURE_VMX_EXIT:
        return 0x00036dff;
    case X86_FEATURE_VMX_ENTRY:
        return 0x000011ff;
    default:
        return 0;
    }
}

static bool is_control(X86FeatureWord w)
{
    return w == X86_FEATURE_VMX_PROC2 || default1(w);
}

static bool listed(const struct kvm_msr_list *list, uint32_t msr)
{
    for (uint32_t i = 0; i < list->nmsrs; i++) {
        if (list->indices[i] == msr) {
            return true;
        }
    }
    return false;
}

static void ask(void)
{
    g_autofree struct kvm_msr_list *list = g_malloc0(sizeof(*list) + LIST_MAX * sizeof(uint32_t));
    FeatureMsrs b = { .head.nmsrs = 0 };

    asked = true;
    list->nmsrs = LIST_MAX;
    if (!kvm_check_extension(KVM_CAP_GET_MSR_FEATURES) ||
        kvm_ioctl(KVM_GET_MSR_FEATURE_INDEX_LIST, list) < 0) {
        return;
    }
    for (X86FeatureWord w = 0; w < X86_FEATURE_WORDS; w++) {
        if (x86_feature_leaves[w].msr && listed(list, x86_feature_leaves[w].msr)) {
            b.entries[b.head.nmsrs++].index = x86_feature_leaves[w].msr;
            is_offered[w] = true;
        }
    }
    if (listed(list, MSR_UCODE_REV)) {
        b.entries[b.head.nmsrs++].index = MSR_UCODE_REV;
        ucode_is_offered = true;
    }
    if (kvm_ioctl(KVM_GET_MSRS, &b) != (int)b.head.nmsrs) {
        memset(is_offered, 0, sizeof(is_offered));
        ucode_is_offered = false;
        return;
    }
    for (X86FeatureWord w = 0, i = 0; w < X86_FEATURE_WORDS; w++) {
        if (is_offered[w]) {
            offered[w] = b.entries[i++].data;
        }
    }
    if (ucode_is_offered) {
        offered_ucode = b.entries[b.head.nmsrs - 1].data;
    }
}

uint64_t kvm_x86_supported_msr(X86FeatureWord w)
{
    if (!asked) {
        ask();
    }
    return is_control(w) ? (offered[w] >> 32) & ~offered[w] & UINT32_MAX : offered[w];
}

/* The MSR for the features that @cpu has of word @w. */
static uint64_t msr_value(const X86Cpu *cpu, X86FeatureWord w)
{
    uint64_t features = cpu->features[w];

    if (is_control(w)) {
        /* Without its feature, a bit that reads 1 by default must be 1. */
        uint32_t must = (default1(w) & ~(uint32_t)features) | (uint32_t)offered[w];
        uint32_t may = (uint32_t)features | default1(w) | must;
        return (uint64_t)may << 32 | must;
    }
    if (w == X86_FEATURE_VMX_BASIC || w == X86_FEATURE_VMX_MISC) {
        /* The rest is no choice: revision, sizes, limits. */
        uint64_t choice = 0;
        for (unsigned bit = 0; bit < 64; bit++) {
            choice |= x86_feature_name(w, bit) ? BIT(bit) : 0;
        }
        return (offered[w] & ~choice) | (features & choice);
    }
    return features;
}

/* The guest can see word @w. */
static bool is_visible(const X86Cpu *cpu, X86FeatureWord w)
{
    switch (w) {
    case X86_FEATURE_ARCH_CAPABILITIES:
        return x86_has_feature(cpu, X86_FEATURE_7_0_EDX, 29);
    case X86_FEATURE_CORE_CAPABILITY:
        return x86_has_feature(cpu, X86_FEATURE_7_0_EDX, 30);
    case X86_FEATURE_PERF_CAPABILITIES:
        return cpu->pmu && x86_has_feature(cpu, X86_FEATURE_1_ECX, 15);
    default:
        return x86_has_feature(cpu, X86_FEATURE_1_ECX, 5);      /* vmx */
    }
}

/* A KVM may refuse what it offers; then the guest sees KVM's own value, unless the user insists. */
static bool set_all(CpuState *cs, FeatureMsrs *b, Error **errp)
{
    const X86Cpu *cpu = X86_CPU(cs);

    while (b->head.nmsrs) {
        uint32_t n = b->head.nmsrs;
        int ret = MAX(kvm_vcpu_ioctl(cs, KVM_SET_MSRS, b), 0);

        if (ret >= (int)n) {
            break;
        }
        if (cpu->enforce) {
            error_setg(errp, "KVM does not take the value 0x%" PRIx64 " of feature MSR 0x%x",
                       (uint64_t)b->entries[ret].data, b->entries[ret].index);
            return false;
        }
        if (cpu->check && cs->index == 0) {
            warn_report("KVM does not take the value 0x%" PRIx64 " of feature MSR 0x%x",
                        (uint64_t)b->entries[ret].data, b->entries[ret].index);
        }
        b->head.nmsrs = n - ret - 1;
        memmove(&b->entries[0], &b->entries[ret + 1], b->head.nmsrs * sizeof(b->entries[0]));
    }
    return true;
}

bool kvm_x86_put_feature_msrs(CpuState *cs, Error **errp)
{
    const X86Cpu *cpu = X86_CPU(cs);
    FeatureMsrs b = { .head.nmsrs = 0 };
    uint64_t ucode = cpu->ucode_rev ? cpu->ucode_rev
                                    : cpu->is_host && ucode_is_offered ? offered_ucode : 0;

    for (X86FeatureWord w = 0; w < X86_FEATURE_WORDS; w++) {
        if (is_offered[w] && is_visible(cpu, w) && msr_value(cpu, w) != offered[w]) {
            b.entries[b.head.nmsrs++] = (struct kvm_msr_entry){
                .index = x86_feature_leaves[w].msr, .data = msr_value(cpu, w),
            };
        }
    }
    if (ucode) {
        b.entries[b.head.nmsrs++] = (struct kvm_msr_entry){ .index = MSR_UCODE_REV, .data = ucode };
    }
    return set_all(cs, &b, errp);
}
