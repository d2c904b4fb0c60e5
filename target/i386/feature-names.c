/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of x86 CPU features, as properties of CPU objects: bits of CPUID leaves
 * and of feature MSRs (Intel SDM volume 2A, CPUID, and volume 3D, appendix A;
 * AMD APM volume 3, appendix E; Linux Documentation/virt/kvm/x86/cpuid.rst).
 *
 * Main thread.
 */
#include "util/osdep.h"
#include "features.h"
#include "util/cutils.h"

enum { EAX, EBX, ECX, EDX };

const X86FeatureLeaf x86_feature_leaves[X86_FEATURE_WORDS] = {
    [X86_FEATURE_1_EDX] = { 1, 0, EDX }, [X86_FEATURE_1_ECX] = { 1, 0, ECX },
    [X86_FEATURE_7_0_EBX] = { 7, 0, EBX }, [X86_FEATURE_7_0_ECX] = { 7, 0, ECX },
    [X86_FEATURE_7_0_EDX] = { 7, 0, EDX }, [X86_FEATURE_7_1_EAX] = { 7, 1, EAX },
    [X86_FEATURE_80000001_EDX] = { 0x80000001, 0, EDX },
    [X86_FEATURE_80000001_ECX] = { 0x80000001, 0, ECX },
    [X86_FEATURE_80000007_EDX] = { 0x80000007, 0, EDX },
    [X86_FEATURE_80000008_EBX] = { 0x80000008, 0, EBX },
    [X86_FEATURE_8000000A_EDX] = { 0x8000000a, 0, EDX },
    [X86_FEATURE_KVM_EAX] = { 0x40000001, 0, EAX }, [X86_FEATURE_KVM_EDX] = { 0x40000001, 0, EDX },
    [X86_FEATURE_D_1_EAX] = { 0xd, 1, EAX }, [X86_FEATURE_6_EAX] = { 6, 0, EAX },
    [X86_FEATURE_C0000001_EDX] = { 0xc0000001, 0, EDX },
    [X86_FEATURE_12_0_EAX] = { 0x12, 0, EAX }, [X86_FEATURE_12_0_EBX] = { 0x12, 0, EBX },
    [X86_FEATURE_12_1_EAX] = { 0x12, 1, EAX }, [X86_FEATURE_14_0_ECX] = { 0x14, 0, ECX },
    [X86_FEATURE_ARCH_CAPABILITIES] = { .msr = 0x10a },
    [X86_FEATURE_CORE_CAPABILITY] = { .msr = 0xcf },
    [X86_FEATURE_PERF_CAPABILITIES] = { .msr = 0x345 },
    [X86_FEATURE_VMX_BASIC] = { .msr = 0x480 }, [X86_FEATURE_VMX_PIN] = { .msr = 0x48d },
    [X86_FEATURE_VMX_PROC] = { .msr = 0x48e }, [X86_FEATURE_VMX_PROC2] = { .msr = 0x48b },
    [X86_FEATURE_VMX_EXIT] = { .msr = 0x48f }, [X86_FEATURE_VMX_ENTRY] = { .msr = 0x490 },
    [X86_FEATURE_VMX_MISC] = { .msr = 0x485 }, [X86_FEATURE_VMX_EPT_VPID] = { .msr = 0x48c },
    [X86_FEATURE_VMX_VMFUNC] = { .msr = 0x491 },
};

/* ---- properties ---- */

/* Two names stand for two bits: kvmclock, old and new, and a kind of INVEPT and of INVVPID. */
static uint64_t property_bits(const ObjectProperty *p)
{
    uint64_t bits = BIT(p->bit);

    if (p->offset == X86_FEATURE_KVM_EAX && p->bit == 3) {
        bits |= BIT(0);
    } else if (p->offset == X86_FEATURE_VMX_EPT_VPID && p->bit == 25) {
        bits |= BIT(41);
    }
    return bits;
}

void x86_feature_switch(X86Cpu *cpu, const ObjectProperty *p, bool on)
{
    if (on) {
        cpu->features[p->offset] |= property_bits(p);
    } else {
        cpu->features[p->offset] &= ~property_bits(p);
    }
}

static bool feature_get(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    const X86Cpu *cpu = X86_CPU(obj);

    *value = json_bool(cpu->features[p->offset] & BIT(p->bit));
    return true;
}

static bool feature_set(Object *obj, const ObjectProperty *p, const JsonValue *value, Error **errp)
{
    X86Cpu *cpu = X86_CPU(obj);
    bool on;

    if (json_is_keyval(value)) {
        if (!parse_bool(p->name, json_get_string(value), &on, errp)) {
            return false;
        }
    } else if (!json_get_bool(value, &on)) {
        error_setg(errp, "Invalid parameter type for '%s', expected: boolean", p->name);
        return false;
    }
    cpu->user_features[p->offset] |= property_bits(p);
    x86_feature_switch(cpu, p, on);
    return true;
}

static const PropertyKind feature_kind = {
    .type_name = "bool", .get = feature_get, .set = feature_set,
};

/* The offset is the word's number. */
#define FEATURE(n, w, b) \
    { .name = (n), .kind = &feature_kind, .offset = X86_FEATURE_##w, .bit = (b) }
#define ALIAS(n, w, b) \
    { .name = (n), .kind = &feature_kind, .offset = X86_FEATURE_##w, .bit = (b), \
      .flags = PROP_HIDDEN }

const ObjectProperty x86_feature_properties[] = {
    FEATURE("fpu", 1_EDX, 0), FEATURE("vme", 1_EDX, 1), FEATURE("de", 1_EDX, 2),
    FEATURE("pse", 1_EDX, 3), FEATURE("tsc", 1_EDX, 4), FEATURE("msr", 1_EDX, 5),
    FEATURE("pae", 1_EDX, 6), FEATURE("mce", 1_EDX, 7), FEATURE("cx8", 1_EDX, 8),
    FEATURE("apic", 1_EDX, 9), FEATURE("sep", 1_EDX, 11), FEATURE("mtrr", 1_EDX, 12),
    FEATURE("pge", 1_EDX, 13), FEATURE("mca", 1_EDX, 14), FEATURE("cmov", 1_EDX, 15),
    FEATURE("pat", 1_EDX, 16), FEATURE("pse36", 1_EDX, 17), FEATURE("pn", 1_EDX, 18),
    FEATURE("clflush", 1_EDX, 19), FEATURE("ds", 1_EDX, 21), FEATURE("acpi", 1_EDX, 22),
    FEATURE("mmx", 1_EDX, 23), FEATURE("fxsr", 1_EDX, 24), FEATURE("sse", 1_EDX, 25),
    FEATURE("sse2", 1_EDX, 26), FEATURE("ss", 1_EDX, 27), FEATURE("ht", 1_EDX, 28),
    FEATURE("tm", 1_EDX, 29), FEATURE("ia64", 1_EDX, 30), FEATURE("pbe", 1_EDX, 31),
    FEATURE("pni", 1_ECX, 0), FEATURE("pclmulqdq", 1_ECX, 1), FEATURE("dtes64", 1_ECX, 2),
    FEATURE("monitor", 1_ECX, 3), FEATURE("ds-cpl", 1_ECX, 4), FEATURE("vmx", 1_ECX, 5),
    FEATURE("smx", 1_ECX, 6), FEATURE("est", 1_ECX, 7), FEATURE("tm2", 1_ECX, 8),
    FEATURE("ssse3", 1_ECX, 9), FEATURE("cid", 1_ECX, 10), FEATURE("fma", 1_ECX, 12),
    FEATURE("cx16", 1_ECX, 13), FEATURE("xtpr", 1_ECX, 14), FEATURE("pdcm", 1_ECX, 15),
    FEATURE("pcid", 1_ECX, 17), FEATURE("dca", 1_ECX, 18), FEATURE("sse4.1", 1_ECX, 19),
    FEATURE("sse4.2", 1_ECX, 20), FEATURE("x2apic", 1_ECX, 21), FEATURE("movbe", 1_ECX, 22),
    FEATURE("popcnt", 1_ECX, 23), FEATURE("tsc-deadline", 1_ECX, 24), FEATURE("aes", 1_ECX, 25),
    FEATURE("xsave", 1_ECX, 26), FEATURE("avx", 1_ECX, 28), FEATURE("f16c", 1_ECX, 29),
    FEATURE("rdrand", 1_ECX, 30), FEATURE("hypervisor", 1_ECX, 31),
    FEATURE("fsgsbase", 7_0_EBX, 0), FEATURE("tsc-adjust", 7_0_EBX, 1),
    FEATURE("sgx", 7_0_EBX, 2), FEATURE("bmi1", 7_0_EBX, 3), FEATURE("hle", 7_0_EBX, 4),
    FEATURE("avx2", 7_0_EBX, 5), FEATURE("smep", 7_0_EBX, 7), FEATURE("bmi2", 7_0_EBX, 8),
    FEATURE("erms", 7_0_EBX, 9), FEATURE("invpcid", 7_0_EBX, 10), FEATURE("rtm", 7_0_EBX, 11),
    FEATURE("mpx", 7_0_EBX, 14), FEATURE("avx512f", 7_0_EBX, 16),
    FEATURE("avx512dq", 7_0_EBX, 17), FEATURE("rdseed", 7_0_EBX, 18),
    FEATURE("adx", 7_0_EBX, 19), FEATURE("smap", 7_0_EBX, 20),
    FEATURE("avx512ifma", 7_0_EBX, 21), FEATURE("pcommit", 7_0_EBX, 22),
    FEATURE("clflushopt", 7_0_EBX, 23), FEATURE("clwb", 7_0_EBX, 24),
    FEATURE("intel-pt", 7_0_EBX, 25), FEATURE("avx512pf", 7_0_EBX, 26),
    FEATURE("avx512er", 7_0_EBX, 27), FEATURE("avx512cd", 7_0_EBX, 28),
    FEATURE("sha-ni", 7_0_EBX, 29), FEATURE("avx512bw", 7_0_EBX, 30),
    FEATURE("avx512vl", 7_0_EBX, 31),
    FEATURE("avx512vbmi", 7_0_ECX, 1), FEATURE("umip", 7_0_ECX, 2), FEATURE("pku", 7_0_ECX, 3),
    FEATURE("waitpkg", 7_0_ECX, 5), FEATURE("avx512vbmi2", 7_0_ECX, 6),
    FEATURE("gfni", 7_0_ECX, 8), FEATURE("vaes", 7_0_ECX, 9),
    FEATURE("vpclmulqdq", 7_0_ECX, 10), FEATURE("avx512vnni", 7_0_ECX, 11),
    FEATURE("avx512bitalg", 7_0_ECX, 12), FEATURE("avx512-vpopcntdq", 7_0_ECX, 14),
    FEATURE("la57", 7_0_ECX, 16), FEATURE("rdpid", 7_0_ECX, 22),
    FEATURE("bus-lock-detect", 7_0_ECX, 24), FEATURE("cldemote", 7_0_ECX, 25),
    FEATURE("movdiri", 7_0_ECX, 27), FEATURE("movdir64b", 7_0_ECX, 28),
    FEATURE("sgxlc", 7_0_ECX, 30), FEATURE("pks", 7_0_ECX, 31),
    FEATURE("avx512-4vnniw", 7_0_EDX, 2), FEATURE("avx512-4fmaps", 7_0_EDX, 3),
    FEATURE("fsrm", 7_0_EDX, 4), FEATURE("avx512-vp2intersect", 7_0_EDX, 8),
    FEATURE("md-clear", 7_0_EDX, 10), FEATURE("serialize", 7_0_EDX, 14),
    FEATURE("tsx-ldtrk", 7_0_EDX, 16), FEATURE("arch-lbr", 7_0_EDX, 19),
    FEATURE("amx-bf16", 7_0_EDX, 22), FEATURE("avx512-fp16", 7_0_EDX, 23),
    FEATURE("amx-tile", 7_0_EDX, 24), FEATURE("amx-int8", 7_0_EDX, 25),
    FEATURE("spec-ctrl", 7_0_EDX, 26), FEATURE("stibp", 7_0_EDX, 27),
    FEATURE("arch-capabilities", 7_0_EDX, 29), FEATURE("core-capability", 7_0_EDX, 30),
    FEATURE("ssbd", 7_0_EDX, 31),
    FEATURE("avx-vnni", 7_1_EAX, 4), FEATURE("avx512-bf16", 7_1_EAX, 5),
    FEATURE("syscall", 80000001_EDX, 11), FEATURE("nx", 80000001_EDX, 20),
    FEATURE("mmxext", 80000001_EDX, 22), FEATURE("fxsr-opt", 80000001_EDX, 25),
    FEATURE("pdpe1gb", 80000001_EDX, 26), FEATURE("rdtscp", 80000001_EDX, 27),
    FEATURE("lm", 80000001_EDX, 29), FEATURE("3dnowext", 80000001_EDX, 30),
    FEATURE("3dnow", 80000001_EDX, 31),
    FEATURE("lahf-lm", 80000001_ECX, 0), FEATURE("cmp-legacy", 80000001_ECX, 1),
    FEATURE("svm", 80000001_ECX, 2), FEATURE("extapic", 80000001_ECX, 3),
    FEATURE("cr8legacy", 80000001_ECX, 4), FEATURE("abm", 80000001_ECX, 5),
    FEATURE("sse4a", 80000001_ECX, 6), FEATURE("misalignsse", 80000001_ECX, 7),
    FEATURE("3dnowprefetch", 80000001_ECX, 8), FEATURE("osvw", 80000001_ECX, 9),
    FEATURE("ibs", 80000001_ECX, 10), FEATURE("xop", 80000001_ECX, 11),
    FEATURE("skinit", 80000001_ECX, 12), FEATURE("wdt", 80000001_ECX, 13),
    FEATURE("lwp", 80000001_ECX, 15), FEATURE("fma4", 80000001_ECX, 16),
    FEATURE("tce", 80000001_ECX, 17), FEATURE("nodeid-msr", 80000001_ECX, 19),
    FEATURE("tbm", 80000001_ECX, 21), FEATURE("topoext", 80000001_ECX, 22),
    FEATURE("perfctr-core", 80000001_ECX, 23), FEATURE("perfctr-nb", 80000001_ECX, 24),
    FEATURE("invtsc", 80000007_EDX, 8),
    FEATURE("clzero", 80000008_EBX, 0), FEATURE("xsaveerptr", 80000008_EBX, 2),
    FEATURE("wbnoinvd", 80000008_EBX, 9), FEATURE("ibpb", 80000008_EBX, 12),
    FEATURE("ibrs", 80000008_EBX, 14), FEATURE("amd-stibp", 80000008_EBX, 15),
    FEATURE("amd-ssbd", 80000008_EBX, 24), FEATURE("virt-ssbd", 80000008_EBX, 25),
    FEATURE("amd-no-ssb", 80000008_EBX, 26),
    FEATURE("npt", 8000000A_EDX, 0), FEATURE("lbrv", 8000000A_EDX, 1),
    FEATURE("svm-lock", 8000000A_EDX, 2), FEATURE("nrip-save", 8000000A_EDX, 3),
    FEATURE("tsc-scale", 8000000A_EDX, 4), FEATURE("vmcb-clean", 8000000A_EDX, 5),
    FEATURE("flushbyasid", 8000000A_EDX, 6), FEATURE("decodeassists", 8000000A_EDX, 7),
    FEATURE("pause-filter", 8000000A_EDX, 10), FEATURE("pfthreshold", 8000000A_EDX, 12),
    FEATURE("avic", 8000000A_EDX, 13), FEATURE("v-vmsave-vmload", 8000000A_EDX, 15),
    FEATURE("vgif", 8000000A_EDX, 16), FEATURE("svme-addr-chk", 8000000A_EDX, 28),
    FEATURE("kvmclock", KVM_EAX, 3), FEATURE("kvm-nopiodelay", KVM_EAX, 1),
    FEATURE("kvm-mmu", KVM_EAX, 2), FEATURE("kvm-asyncpf", KVM_EAX, 4),
    FEATURE("kvm-steal-time", KVM_EAX, 5), FEATURE("kvm-pv-eoi", KVM_EAX, 6),
    FEATURE("kvm-pv-unhalt", KVM_EAX, 7), FEATURE("kvm-pv-tlb-flush", KVM_EAX, 9),
    FEATURE("kvm-pv-ipi", KVM_EAX, 11), FEATURE("kvm-poll-control", KVM_EAX, 12),
    FEATURE("kvm-pv-sched-yield", KVM_EAX, 13), FEATURE("kvm-asyncpf-int", KVM_EAX, 14),
    FEATURE("kvm-msi-ext-dest-id", KVM_EAX, 15), FEATURE("kvmclock-stable-bit", KVM_EAX, 24),
    FEATURE("kvm-hint-dedicated", KVM_EDX, 0),
    FEATURE("xsaveopt", D_1_EAX, 0), FEATURE("xsavec", D_1_EAX, 1),
    FEATURE("xgetbv1", D_1_EAX, 2), FEATURE("xsaves", D_1_EAX, 3), FEATURE("xfd", D_1_EAX, 4),
    FEATURE("arat", 6_EAX, 2),
    FEATURE("xstore", C0000001_EDX, 2), FEATURE("xstore-en", C0000001_EDX, 3),
    FEATURE("xcrypt", C0000001_EDX, 6), FEATURE("xcrypt-en", C0000001_EDX, 7),
    FEATURE("ace2", C0000001_EDX, 8), FEATURE("ace2-en", C0000001_EDX, 9),
    FEATURE("phe", C0000001_EDX, 10), FEATURE("phe-en", C0000001_EDX, 11),
    FEATURE("pmm", C0000001_EDX, 12), FEATURE("pmm-en", C0000001_EDX, 13),
    FEATURE("sgx1", 12_0_EAX, 0), FEATURE("sgx2", 12_0_EAX, 1),
    FEATURE("sgx-exinfo", 12_0_EBX, 0),
    FEATURE("sgx-debug", 12_1_EAX, 1), FEATURE("sgx-mode64", 12_1_EAX, 2),
    FEATURE("sgx-provisionkey", 12_1_EAX, 4), FEATURE("sgx-tokenkey", 12_1_EAX, 5),
    FEATURE("sgx-kss", 12_1_EAX, 7),
    FEATURE("intel-pt-lip", 14_0_ECX, 31),
    FEATURE("rdctl-no", ARCH_CAPABILITIES, 0), FEATURE("ibrs-all", ARCH_CAPABILITIES, 1),
    FEATURE("rsba", ARCH_CAPABILITIES, 2), FEATURE("skip-l1dfl-vmentry", ARCH_CAPABILITIES, 3),
    FEATURE("ssb-no", ARCH_CAPABILITIES, 4), FEATURE("mds-no", ARCH_CAPABILITIES, 5),
    FEATURE("pschange-mc-no", ARCH_CAPABILITIES, 6), FEATURE("tsx-ctrl", ARCH_CAPABILITIES, 7),
    FEATURE("taa-no", ARCH_CAPABILITIES, 8),
    FEATURE("split-lock-detect", CORE_CAPABILITY, 5),
    FEATURE("full-width-write", PERF_CAPABILITIES, 13),
    FEATURE("vmx-ins-outs", VMX_BASIC, 54), FEATURE("vmx-true-ctls", VMX_BASIC, 55),
    FEATURE("vmx-intr-exit", VMX_PIN, 0), FEATURE("vmx-nmi-exit", VMX_PIN, 3),
    FEATURE("vmx-vnmi", VMX_PIN, 5), FEATURE("vmx-preemption-timer", VMX_PIN, 6),
    FEATURE("vmx-posted-intr", VMX_PIN, 7),
    FEATURE("vmx-vintr-pending", VMX_PROC, 2), FEATURE("vmx-tsc-offset", VMX_PROC, 3),
    FEATURE("vmx-hlt-exit", VMX_PROC, 7), FEATURE("vmx-invlpg-exit", VMX_PROC, 9),
    FEATURE("vmx-mwait-exit", VMX_PROC, 10), FEATURE("vmx-rdpmc-exit", VMX_PROC, 11),
    FEATURE("vmx-rdtsc-exit", VMX_PROC, 12), FEATURE("vmx-cr3-load-noexit", VMX_PROC, 15),
    FEATURE("vmx-cr3-store-noexit", VMX_PROC, 16), FEATURE("vmx-cr8-load-exit", VMX_PROC, 19),
    FEATURE("vmx-cr8-store-exit", VMX_PROC, 20), FEATURE("vmx-flexpriority", VMX_PROC, 21),
    FEATURE("vmx-vnmi-pending", VMX_PROC, 22), FEATURE("vmx-movdr-exit", VMX_PROC, 23),
    FEATURE("vmx-io-exit", VMX_PROC, 24), FEATURE("vmx-io-bitmap", VMX_PROC, 25),
    FEATURE("vmx-mtf", VMX_PROC, 27), FEATURE("vmx-msr-bitmap", VMX_PROC, 28),
    FEATURE("vmx-monitor-exit", VMX_PROC, 29), FEATURE("vmx-pause-exit", VMX_PROC, 30),
    FEATURE("vmx-secondary-ctls", VMX_PROC, 31),
    FEATURE("vmx-apicv-xapic", VMX_PROC2, 0), FEATURE("vmx-ept", VMX_PROC2, 1),
    FEATURE("vmx-desc-exit", VMX_PROC2, 2), FEATURE("vmx-rdtscp-exit", VMX_PROC2, 3),
    FEATURE("vmx-apicv-x2apic", VMX_PROC2, 4), FEATURE("vmx-vpid", VMX_PROC2, 5),
    FEATURE("vmx-wbinvd-exit", VMX_PROC2, 6), FEATURE("vmx-unrestricted-guest", VMX_PROC2, 7),
    FEATURE("vmx-apicv-register", VMX_PROC2, 8), FEATURE("vmx-apicv-vid", VMX_PROC2, 9),
    FEATURE("vmx-ple", VMX_PROC2, 10), FEATURE("vmx-rdrand-exit", VMX_PROC2, 11),
    FEATURE("vmx-invpcid-exit", VMX_PROC2, 12), FEATURE("vmx-vmfunc", VMX_PROC2, 13),
    FEATURE("vmx-shadow-vmcs", VMX_PROC2, 14), FEATURE("vmx-encls-exit", VMX_PROC2, 15),
    FEATURE("vmx-rdseed-exit", VMX_PROC2, 16), FEATURE("vmx-pml", VMX_PROC2, 17),
    FEATURE("vmx-xsaves", VMX_PROC2, 20), FEATURE("vmx-tsc-scaling", VMX_PROC2, 25),
    FEATURE("vmx-exit-nosave-debugctl", VMX_EXIT, 2),
    FEATURE("vmx-exit-load-perf-global-ctrl", VMX_EXIT, 12),
    FEATURE("vmx-exit-ack-intr", VMX_EXIT, 15), FEATURE("vmx-exit-save-pat", VMX_EXIT, 18),
    FEATURE("vmx-exit-load-pat", VMX_EXIT, 19), FEATURE("vmx-exit-save-efer", VMX_EXIT, 20),
    FEATURE("vmx-exit-load-efer", VMX_EXIT, 21),
    FEATURE("vmx-exit-save-preemption-timer", VMX_EXIT, 22),
    FEATURE("vmx-exit-clear-bndcfgs", VMX_EXIT, 23),
    FEATURE("vmx-exit-clear-rtit-ctl", VMX_EXIT, 25), FEATURE("vmx-exit-load-pkrs", VMX_EXIT, 29),
    FEATURE("vmx-entry-noload-debugctl", VMX_ENTRY, 2),
    FEATURE("vmx-entry-ia32e-mode", VMX_ENTRY, 9),
    FEATURE("vmx-entry-load-perf-global-ctrl", VMX_ENTRY, 13),
    FEATURE("vmx-entry-load-pat", VMX_ENTRY, 14), FEATURE("vmx-entry-load-efer", VMX_ENTRY, 15),
    FEATURE("vmx-entry-load-bndcfgs", VMX_ENTRY, 16),
    FEATURE("vmx-entry-load-rtit-ctl", VMX_ENTRY, 18),
    FEATURE("vmx-entry-load-pkrs", VMX_ENTRY, 22),
    FEATURE("vmx-store-lma", VMX_MISC, 5), FEATURE("vmx-activity-hlt", VMX_MISC, 6),
    FEATURE("vmx-activity-shutdown", VMX_MISC, 7), FEATURE("vmx-activity-wait-sipi", VMX_MISC, 8),
    FEATURE("vmx-vmwrite-vmexit-fields", VMX_MISC, 29),
    FEATURE("vmx-zero-len-inject", VMX_MISC, 30),
    FEATURE("vmx-ept-execonly", VMX_EPT_VPID, 0), FEATURE("vmx-page-walk-4", VMX_EPT_VPID, 6),
    FEATURE("vmx-page-walk-5", VMX_EPT_VPID, 7), FEATURE("vmx-ept-2mb", VMX_EPT_VPID, 16),
    FEATURE("vmx-ept-1gb", VMX_EPT_VPID, 17), FEATURE("vmx-invept", VMX_EPT_VPID, 20),
    FEATURE("vmx-eptad", VMX_EPT_VPID, 21),
    FEATURE("vmx-ept-advanced-exitinfo", VMX_EPT_VPID, 22),
    FEATURE("vmx-invept-single-context", VMX_EPT_VPID, 25),
    FEATURE("vmx-invept-all-context", VMX_EPT_VPID, 26), FEATURE("vmx-invvpid", VMX_EPT_VPID, 32),
    FEATURE("vmx-invvpid-single-addr", VMX_EPT_VPID, 40),
    FEATURE("vmx-invvpid-all-context", VMX_EPT_VPID, 42),
    FEATURE("vmx-invept-single-context-noglobals", VMX_EPT_VPID, 43),
    FEATURE("vmx-eptp-switching", VMX_VMFUNC, 0),
    /* Other spellings. */
    ALIAS("sse3", 1_ECX, 0), ALIAS("pclmuldq", 1_ECX, 1), ALIAS("ds_cpl", 1_ECX, 4),
    ALIAS("sse4-1", 1_ECX, 19), ALIAS("sse4_1", 1_ECX, 19), ALIAS("sse4-2", 1_ECX, 20),
    ALIAS("sse4_2", 1_ECX, 20),
    ALIAS("tsc_adjust", 7_0_EBX, 1),
    ALIAS("xd", 80000001_EDX, 20), ALIAS("ffxsr", 80000001_EDX, 25),
    ALIAS("fxsr_opt", 80000001_EDX, 25), ALIAS("i64", 80000001_EDX, 29),
    ALIAS("lahf_lm", 80000001_ECX, 0), ALIAS("cmp_legacy", 80000001_ECX, 1),
    ALIAS("nodeid_msr", 80000001_ECX, 19), ALIAS("perfctr_core", 80000001_ECX, 23),
    ALIAS("perfctr_nb", 80000001_ECX, 24),
    ALIAS("svm_lock", 8000000A_EDX, 2), ALIAS("nrip_save", 8000000A_EDX, 3),
    ALIAS("tsc_scale", 8000000A_EDX, 4), ALIAS("vmcb_clean", 8000000A_EDX, 5),
    ALIAS("pause_filter", 8000000A_EDX, 10),
    ALIAS("kvm_nopiodelay", KVM_EAX, 1), ALIAS("kvm_mmu", KVM_EAX, 2),
    ALIAS("kvm_asyncpf", KVM_EAX, 4), ALIAS("kvm_steal_time", KVM_EAX, 5),
    ALIAS("kvm_pv_eoi", KVM_EAX, 6), ALIAS("kvm_pv_unhalt", KVM_EAX, 7),
    ALIAS("kvm_poll_control", KVM_EAX, 12), ALIAS("kvm_asyncpf_int", KVM_EAX, 14),
    PROP_END
};

const char *x86_feature_name(X86FeatureWord w, unsigned bit)
{
    for (const ObjectProperty *p = x86_feature_properties; p->name; p++) {
        if (p->offset == w && (property_bits(p) & BIT(bit))) {
            return p->name;
        }
    }
    return NULL;
}

const ObjectProperty *x86_feature_find(const char *name)
{
    for (const ObjectProperty *p = x86_feature_properties; p->name; p++) {
        if (strcmp(p->name, name) == 0) {
            return p;
        }
    }
    return NULL;
}
