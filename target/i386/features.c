/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which features an x86 CPU gets: those of its model, or for "host" and "max"
 * what the accelerator offers, as properties change them, less what depends on
 * features that are off, less what this host cannot give (Intel SDM volume 2A,
 * CPUID, and volume 3D, appendix A; Linux Documentation/virt/kvm/x86/cpuid.rst).
 *
 * Main thread.
 */
#include "util/osdep.h"
#include "accel/accel.h"
#include "accel/kvm.h"
#include "hyperv.h"
#include "kvm/kvm-x86.h"

#define ALL UINT64_MAX

/* Not part of "all that the host has": they change what the guest relies on. */
static const uint64_t not_by_default[X86_FEATURE_WORDS] = {
    [X86_FEATURE_1_EDX] = BIT(28),              /* ht: follows from the topology */
    [X86_FEATURE_KVM_EAX] = BIT(15),            /* needs interrupt controllers in user space */
    [X86_FEATURE_KVM_EDX] = BIT(0),             /* a promise about the host's scheduling */
};

/* A guest with these cannot be moved to another host. */
static const uint64_t not_migratable[X86_FEATURE_WORDS] = {
    [X86_FEATURE_80000007_EDX] = BIT(8),        /* invtsc */
};

/* What every named model gets on KVM, and what it does not get although the processor has it. */
static const uint64_t kvm_on[X86_FEATURE_WORDS] = {
    /* kvmclock, no I/O delay, asynchronous page faults, steal time, EOI, stable clock */
    [X86_FEATURE_KVM_EAX] = BIT(0) | BIT(3) | BIT(1) | BIT(4) | BIT(5) | BIT(6) | BIT(24),
    [X86_FEATURE_1_ECX] = BIT(21),              /* x2apic */
};
static const uint64_t kvm_off[X86_FEATURE_WORDS] = {
    [X86_FEATURE_1_ECX] = BIT(3),               /* monitor */
    [X86_FEATURE_1_EDX] = BIT(22),              /* acpi: thermal throttling */
    [X86_FEATURE_80000001_ECX] = BIT(2),        /* svm */
};

/* Features that mean nothing without another one; those that are depended on come first. */
static const struct {
    X86FeatureWord from;
    uint8_t from_bit;
    X86FeatureWord to;
    uint64_t bits;
} dependencies[] = {
    { X86_FEATURE_7_0_EDX, 29, X86_FEATURE_ARCH_CAPABILITIES, ALL },
    { X86_FEATURE_7_0_EDX, 30, X86_FEATURE_CORE_CAPABILITY, ALL },
    { X86_FEATURE_1_ECX, 15, X86_FEATURE_PERF_CAPABILITIES, ALL },
    { X86_FEATURE_7_0_EBX, 25, X86_FEATURE_14_0_ECX, ALL },
    { X86_FEATURE_80000001_ECX, 2, X86_FEATURE_8000000A_EDX, ALL },
    { X86_FEATURE_1_ECX, 5, X86_FEATURE_VMX_BASIC, ALL },
    { X86_FEATURE_1_ECX, 5, X86_FEATURE_VMX_PIN, ALL },
    { X86_FEATURE_1_ECX, 5, X86_FEATURE_VMX_PROC, ALL },
    { X86_FEATURE_1_ECX, 5, X86_FEATURE_VMX_EXIT, ALL },
    { X86_FEATURE_1_ECX, 5, X86_FEATURE_VMX_ENTRY, ALL },
    { X86_FEATURE_1_ECX, 5, X86_FEATURE_VMX_MISC, ALL },
    { X86_FEATURE_VMX_PROC, 31, X86_FEATURE_VMX_PROC2, ALL },
    { X86_FEATURE_80000001_EDX, 27, X86_FEATURE_VMX_PROC2, BIT(3) },    /* rdtscp */
    { X86_FEATURE_1_ECX, 30, X86_FEATURE_VMX_PROC2, BIT(11) },          /* rdrand */
    { X86_FEATURE_7_0_EBX, 10, X86_FEATURE_VMX_PROC2, BIT(12) },        /* invpcid */
    { X86_FEATURE_7_0_EBX, 18, X86_FEATURE_VMX_PROC2, BIT(16) },        /* rdseed */
    { X86_FEATURE_D_1_EAX, 3, X86_FEATURE_VMX_PROC2, BIT(20) },         /* xsaves */
    { X86_FEATURE_VMX_PROC2, 1, X86_FEATURE_VMX_PROC2, BIT(7) },    /* EPT: unrestricted */
    { X86_FEATURE_VMX_PROC2, 1, X86_FEATURE_VMX_EPT_VPID, UINT32_MAX },
    { X86_FEATURE_VMX_PROC2, 5, X86_FEATURE_VMX_EPT_VPID, ALL << 32 },
    { X86_FEATURE_VMX_PROC2, 5, X86_FEATURE_VMX_EPT_VPID, BIT(41) },
    { X86_FEATURE_VMX_PROC2, 13, X86_FEATURE_VMX_VMFUNC, ALL },
    { X86_FEATURE_80000001_EDX, 29, X86_FEATURE_VMX_ENTRY, BIT(9) },    /* lm */
    { X86_FEATURE_7_0_EBX, 14, X86_FEATURE_VMX_ENTRY, BIT(16) },        /* mpx */
    { X86_FEATURE_7_0_EBX, 14, X86_FEATURE_VMX_EXIT, BIT(23) },
};

bool x86_on_kvm(void)
{
#ifdef CONFIG_KVM
    return kvm_enabled() || accel_is_chosen("kvm");
#else
    return false;
#endif
}

uint64_t x86_supported_features(X86FeatureWord w)
{
    return x86_on_kvm() ? kvm_x86_supported_features(w) : ALL;
}

static void take_all(X86Cpu *cpu, X86FeatureWord w)
{
    uint64_t all = x86_on_kvm() ? x86_supported_features(w) & ~not_by_default[w] : 0;

    if (cpu->migratable) {
        all &= ~not_migratable[w];
    }
    cpu->features[w] |= all & ~cpu->user_features[w];
}

void x86_cpu_expand_features(X86Cpu *cpu)
{
    bool named = !cpu->is_host && cpu->base.level, on_kvm = x86_on_kvm();

    for (X86FeatureWord w = 0; w < X86_FEATURE_WORDS; w++) {
        if (cpu->is_host) {
            take_all(cpu, w);
        } else if (named && on_kvm) {
            cpu->features[w] |= kvm_on[w] & ~cpu->user_features[w];
            cpu->features[w] &= ~(kvm_off[w] & ~cpu->user_features[w]);
        }
    }
    if (on_kvm && cpu->hv_passthrough) {
        unsigned count;
        const X86CpuidEntry *list = kvm_x86_hv_cpuid(&count);
        x86_hv_take_all(cpu, list, count);
    }
    if (!on_kvm || !cpu->kvm) {
        cpu->features[X86_FEATURE_KVM_EAX] = 0;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(dependencies); i++) {
        if (!x86_has_feature(cpu, dependencies[i].from, dependencies[i].from_bit)) {
            cpu->features[dependencies[i].to] &= ~dependencies[i].bits;
        }
    }
}

/* ---- what the host lacks ---- */

static char *describe_bit(X86FeatureWord w, unsigned bit)
{
    static const char *const regs[] = { "EAX", "EBX", "ECX", "EDX" };
    const X86FeatureLeaf *leaf = &x86_feature_leaves[w];
    const char *name = x86_feature_name(w, bit);
    g_autofree char *where = leaf->msr ? g_strdup_printf("MSR(%XH)", leaf->msr)
                                       : g_strdup_printf("CPUID.%02XH:%s", leaf->function,
                                                         regs[leaf->reg]);

    return g_strdup_printf("%s%s%s [bit %u]", where, name ? "." : "", name ? name : "", bit);
}

static void warn_filtered(const X86Cpu *cpu)
{
    for (X86FeatureWord w = 0; w < X86_FEATURE_WORDS; w++) {
        for (unsigned bit = 0; bit < 64; bit++) {
            if (cpu->filtered[w] & BIT(bit)) {
                g_autofree char *text = describe_bit(w, bit);
                warn_report("host doesn't support requested feature: %s", text);
            }
        }
    }
}

bool x86_cpu_filter_features(X86Cpu *cpu, Error **errp)
{
    bool any = false;

    for (X86FeatureWord w = 0; w < X86_FEATURE_WORDS; w++) {
        cpu->filtered[w] = cpu->features[w] & ~x86_supported_features(w);
        cpu->features[w] &= ~cpu->filtered[w];
        any |= cpu->filtered[w] != 0;
    }
    /* One CPU's warnings stand for all. */
    if (any && (cpu->check || cpu->enforce) && cpu->cpu.index <= 0) {
        warn_filtered(cpu);
    }
    if (any && cpu->enforce) {
        error_setg(errp, "Host doesn't support requested features");
        return false;
    }
    return true;
}

JsonValue *x86_cpu_unavailable(const X86Cpu *cpu)
{
    JsonValue *list = json_array();

    for (X86FeatureWord w = 0; w < X86_FEATURE_WORDS; w++) {
        for (unsigned bit = 0; bit < 64; bit++) {
            const char *name = cpu->filtered[w] & BIT(bit) ? x86_feature_name(w, bit) : NULL;
            if (name) {
                json_array_add_take(list, json_string(name));
            }
        }
    }
    return list;
}
