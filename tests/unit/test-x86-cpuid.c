/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unit tests of target/i386: APIC ids from the topology, and the CPUID leaves
 * that a guest gets, from a made-up host.
 */
#include "util/osdep.h"
#include "target/i386/hyperv.h"
#include "target/i386/models.h"

static void test_apic_ids(void)
{
    CpuTopology t = { .cpus = 24, .max_cpus = 24, .sockets = 2, .dies = 2, .clusters = 1, .cores = 3, .threads = 2 };

    g_assert_cmpuint(x86_apic_core_shift(&t), ==, 1);
    g_assert_cmpuint(x86_apic_die_shift(&t), ==, 3);
    g_assert_cmpuint(x86_apic_socket_shift(&t), ==, 4);
    g_assert_cmpuint(x86_apic_id(&t, 0), ==, 0);
    g_assert_cmpuint(x86_apic_id(&t, 5), ==, 5);
    g_assert_cmpuint(x86_apic_id(&t, 6), ==, 8);        /* second die: the gap for a fourth core */
    g_assert_cmpuint(x86_apic_id(&t, 12), ==, 16);      /* second socket */
    g_assert_cmpuint(x86_apic_id_max(&t), ==, 16 + 8 + 5);
    for (unsigned i = 1; i < t.max_cpus; i++) {
        X86CpuIds ids = x86_cpu_ids(&t, i);
        g_assert_cmpuint(x86_apic_id(&t, i), >, x86_apic_id(&t, i - 1));
        g_assert_cmpuint(((ids.socket * t.dies + ids.die) * t.cores + ids.core) * t.threads + ids.thread, ==, i);
    }
    /* A machine that says nothing has one of each. */
    g_assert_cmpuint(x86_apic_id(&(CpuTopology){ .max_cpus = 1 }, 0), ==, 0);
}

static const X86CpuidEntry host[] = {
    { .function = 0, .eax = 0xd, .ebx = 0x756e6547, .edx = 0x49656e69, .ecx = 0x6c65746e },
    { .function = 1, .eax = 0x000806f8, .ebx = 0x07400800, .ecx = 0xffffffff, .edx = 0xffffffff },
    { .function = 4, .index = 0, .indexed = true, .eax = 0xfc004121, .ebx = 0x02c0003f, .ecx = 63 },
    { .function = 4, .index = 3, .indexed = true, .eax = 0xfc1fc163, .ebx = 0x0380003f, .ecx = 0xffff },
    { .function = 4, .index = 4, .indexed = true },
    { .function = 7, .index = 0, .indexed = true, .eax = 1, .ebx = 0xffffffff },
    { .function = 0xa, .eax = 0x08300805 },
    { .function = 0xb, .index = 0, .indexed = true, .eax = 77, .edx = 77 },
    { .function = 0xd, .index = 0, .indexed = true, .eax = 0x2e7, .ebx = 0x2400, .ecx = 0x2b00 },
    { .function = 0xd, .index = 1, .indexed = true, .eax = 0xf },
    { .function = 0xd, .index = 2, .indexed = true, .eax = 256, .ebx = 576 },
    { .function = 0xd, .index = 5, .indexed = true, .eax = 64, .ebx = 1088 },
    { .function = 0xd, .index = 6, .indexed = true, .eax = 512, .ebx = 1152 },
    { .function = 0xd, .index = 7, .indexed = true, .eax = 1024, .ebx = 1664 },
    { .function = 0xd, .index = 9, .indexed = true, .eax = 8, .ebx = 2688 },
    { .function = 0x40000000, .eax = 0x40000001, .ebx = 0x4b4d564b },
    { .function = 0x40000001, .eax = 0xffffffff },
    { .function = 0x80000000, .eax = 0x80000008 },
    { .function = 0x80000002, .eax = 0x41414141 },
    { .function = 0x80000008, .eax = 0x3034 },
    { .function = 0x8000000a, .edx = 0xffffffff },
};

static X86Cpu *new_cpu(void)
{
    X86Cpu *cpu = g_new0(X86Cpu, 1);

    cpu->is_host = cpu->kvm = cpu->pmu = cpu->host_cache_info = cpu->l3_cache = true;
    cpu->level = cpu->xlevel = cpu->hv_spinlocks = UINT32_MAX;
    cpu->family = cpu->model = cpu->stepping = -1;
    cpu->phys_bits = 46;
    cpu->apic_id = 5;
    cpu->cpu.index = 5;
    cpu->features[X86_FEATURE_1_ECX] = BIT(26) | BIT(28) | BIT(31);     /* xsave, avx, hypervisor */
    cpu->features[X86_FEATURE_1_EDX] = BIT(0);
    cpu->features[X86_FEATURE_7_0_EBX] = BIT(5);
    cpu->features[X86_FEATURE_KVM_EAX] = BIT(3);
    return cpu;
}

static void free_cpu(X86Cpu *cpu)
{
    g_free(cpu->cpuid);
    g_free(cpu);
}

static const X86CpuidEntry *leaf(const X86Cpu *cpu, uint32_t function, uint32_t index)
{
    return x86_cpuid_find(cpu->cpuid, cpu->cpuid_count, function, index);
}

static void test_leaves(void)
{
    CpuTopology t = { .cpus = 8, .max_cpus = 8, .sockets = 1, .dies = 1, .clusters = 1, .cores = 4, .threads = 2 };
    X86Cpu *cpu = new_cpu();

    x86_cpuid_build(cpu, &t, host, ARRAY_SIZE(host));
    g_assert_cmphex(leaf(cpu, 1, 0)->eax, ==, 0x806f8);
    g_assert_cmphex(leaf(cpu, 1, 0)->ebx, ==, 0x05080800);
    g_assert_cmphex(leaf(cpu, 1, 0)->ecx, ==, BIT(26) | BIT(28) | BIT(31));
    g_assert_cmphex(leaf(cpu, 1, 0)->edx, ==, BIT(0) | BIT(28));
    /* The first level is shared by a core's threads, the third by all; four cores. */
    g_assert_cmphex(leaf(cpu, 4, 0)->eax, ==, 3u << 26 | 1 << 14 | 0x121);
    g_assert_cmphex(leaf(cpu, 4, 3)->eax, ==, 3u << 26 | 7 << 14 | 0x163);
    g_assert_cmphex(leaf(cpu, 7, 0)->ebx, ==, BIT(5));
    g_assert_cmpuint(leaf(cpu, 0xb, 0)->eax, ==, 1);
    g_assert_cmpuint(leaf(cpu, 0xb, 0)->ebx, ==, 2);
    g_assert_cmpuint(leaf(cpu, 0xb, 0)->edx, ==, 5);
    g_assert_cmpuint(leaf(cpu, 0xb, 1)->eax, ==, 3);
    g_assert_cmpuint(leaf(cpu, 0xb, 1)->ebx, ==, 8);
    g_assert_null(leaf(cpu, 0x1f, 0));
    /* No AVX-512, no protection keys: neither their state, nor room for it. */
    g_assert_cmphex(leaf(cpu, 0xd, 0)->eax, ==, 7);
    g_assert_cmpuint(leaf(cpu, 0xd, 0)->ecx, ==, 832);
    g_assert_nonnull(leaf(cpu, 0xd, 2));
    g_assert_null(leaf(cpu, 0xd, 5));
    g_assert_null(leaf(cpu, 0xd, 9));
    g_assert_cmphex(leaf(cpu, 0x40000001, 0)->eax, ==, BIT(3));
    g_assert_cmphex(leaf(cpu, 0x80000008, 0)->eax, ==, 0x302e);
    g_assert_null(leaf(cpu, 0x8000000a, 0));
    free_cpu(cpu);
}

static void test_choices(void)
{
    CpuTopology t = { .cpus = 8, .max_cpus = 8, .sockets = 1, .dies = 2, .clusters = 1, .cores = 2, .threads = 2 };
    X86Cpu *cpu = new_cpu();

    cpu->kvm = cpu->pmu = cpu->host_cache_info = false;
    cpu->features[X86_FEATURE_1_ECX] &= ~BIT(26);
    cpu->family = 0x17;
    cpu->model = 0x31;
    cpu->stepping = 2;
    cpu->vendor = (char *)"AuthenticAMD";
    cpu->model_id = (char *)"A processor of many words";
    x86_cpuid_build(cpu, &t, host, ARRAY_SIZE(host));
    g_assert_null(leaf(cpu, 0x40000000, 0));
    g_assert_null(leaf(cpu, 0x40000001, 0));
    g_assert_null(leaf(cpu, 0xa, 0));
    g_assert_null(leaf(cpu, 0xd, 0));
    g_assert_cmphex(leaf(cpu, 4, 0)->eax, ==, 0);
    g_assert_cmpint(memcmp(&leaf(cpu, 0, 0)->ebx, "Auth", 4), ==, 0);
    g_assert_cmpint(memcmp(&leaf(cpu, 0x80000002, 0)->eax, "A pr", 4), ==, 0);
    g_assert_cmpuint(x86_cpuid_family(leaf(cpu, 1, 0)->eax), ==, 0x17);
    g_assert_cmpuint(x86_cpuid_model(leaf(cpu, 1, 0)->eax), ==, 0x31);
    g_assert_cmpuint(leaf(cpu, 1, 0)->eax & 0xf, ==, 2);
    /* Dies need the newer leaf. */
    g_assert_cmpuint(leaf(cpu, 0, 0)->eax, ==, 0x1f);
    g_assert_cmphex(leaf(cpu, 0x1f, 1)->eax, ==, 2);
    g_assert_cmphex(leaf(cpu, 0x1f, 2)->ecx, ==, 0x502);
    g_assert_cmpuint(leaf(cpu, 0x1f, 2)->ebx, ==, 8);
    free_cpu(cpu);
}

/* ---- a named model: its own leaves, whatever the host has ---- */

static const X86CacheModel caches = {
    .leaf = { { 0x121, 0x1c0003f, 0x3f, 1 }, { 0x122, 0x1c0003f, 0x3f, 1 },
              { 0x143, 0x3c0003f, 0xfff, 1 }, { 0x163, 0x3c0003f, 0x3fff, 6 } },
    .leaf_2_ecx = 0x4d, .leaf_2_edx = 0x2c307d,
    .amd_l1d = 0x40020140, .amd_l1i = 0x40020140, .amd_l2 = 0x02008140, .amd_l3 = 0x808140,
};

static X86Cpu *new_model(const char *vendor)
{
    X86Cpu *cpu = new_cpu();

    cpu->is_host = cpu->host_cache_info = cpu->pmu = false;
    cpu->base = (X86CpuBase){
        .vendor = vendor, .model_id = "A model", .family = 0x19, .model = 0x61, .stepping = 4,
        .level = 0xd, .xlevel = 0x8000001e, .caches = &caches,
    };
    cpu->vendor = (char *)vendor;
    cpu->features[X86_FEATURE_80000001_ECX] = BIT(22);
    cpu->features[X86_FEATURE_80000001_EDX] = BIT(29);
    return cpu;
}

static void test_model(void)
{
    CpuTopology t = { .cpus = 8, .max_cpus = 8, .sockets = 1, .dies = 1, .clusters = 1, .cores = 4, .threads = 2 };
    X86Cpu *cpu = new_model("AuthenticAMD");

    cpu->features[X86_FEATURE_1_EDX] |= BIT(8);
    x86_cpuid_build(cpu, &t, host, ARRAY_SIZE(host));
    g_assert_cmpuint(leaf(cpu, 0, 0)->eax, ==, 0xd);
    g_assert_cmphex(leaf(cpu, 1, 0)->eax, ==, 0x00a60f14);
    g_assert_cmphex(leaf(cpu, 1, 0)->ebx, ==, 0x05080800);
    g_assert_cmphex(leaf(cpu, 0x80000000, 0)->eax, ==, 0x8000001e);
    g_assert_cmphex(leaf(cpu, 0x80000001, 0)->eax, ==, 0x00a60f14);
    /* On AMD these bits are there twice. */
    g_assert_cmphex(leaf(cpu, 0x80000001, 0)->edx, ==, BIT(29) | BIT(8) | BIT(0));
    g_assert_cmpint(memcmp(&leaf(cpu, 0x80000002, 0)->eax, "A model", 8), ==, 0);
    /* AMD's caches are in leaves of their own. */
    g_assert_null(leaf(cpu, 4, 0));
    g_assert_cmphex(leaf(cpu, 2, 0)->edx, ==, 0);
    g_assert_cmphex(leaf(cpu, 0x80000006, 0)->edx, ==, 0x808140);
    g_assert_cmphex(leaf(cpu, 0x8000001d, 0)->eax, ==, 0x4121);
    g_assert_cmphex(leaf(cpu, 0x8000001d, 3)->eax, ==, 0x1c163);
    g_assert_cmphex(leaf(cpu, 0x8000001e, 0)->ebx, ==, 0x102);  /* core 2, two threads a core */
    g_assert_cmphex(leaf(cpu, 0x80000008, 0)->eax, ==, 0x302e);
    g_assert_cmphex(leaf(cpu, 0x80000008, 0)->ecx, ==, 0x3007);
    g_assert_null(leaf(cpu, 0x8000000a, 0));
    g_assert_null(leaf(cpu, 0xa, 0));
    g_assert_cmphex(leaf(cpu, 0xd, 0)->eax, ==, 7);
    g_assert_cmphex(leaf(cpu, 0x40000000, 0)->eax, ==, 0x40000001);
    free_cpu(cpu);
}

static void test_model_choices(void)
{
    CpuTopology t = { .cpus = 8, .max_cpus = 8, .sockets = 1, .dies = 2, .clusters = 1, .cores = 2, .threads = 2 };
    X86Cpu *cpu = new_model("GenuineIntel");

    cpu->l3_cache = false;
    cpu->tsc_frequency = 2000000000;
    cpu->features[X86_FEATURE_7_0_EBX] |= BIT(25);      /* intel-pt needs a higher leaf */
    cpu->features[X86_FEATURE_7_1_EAX] = BIT(4);
    x86_cpuid_build(cpu, &t, host, ARRAY_SIZE(host));
    g_assert_cmpuint(leaf(cpu, 0, 0)->eax, ==, 0x1f);   /* and dies a higher one still */
    g_assert_cmphex(leaf(cpu, 2, 0)->ecx, ==, 0);
    g_assert_cmphex(leaf(cpu, 2, 0)->edx, ==, 0x2c307d);
    g_assert_cmphex(leaf(cpu, 4, 2)->eax, ==, 3 << 26 | 0x4143);
    g_assert_cmphex(leaf(cpu, 4, 3)->eax, ==, 0);
    g_assert_cmphex(leaf(cpu, 0x80000006, 0)->edx, ==, 0);
    g_assert_cmphex(leaf(cpu, 0x80000001, 0)->edx, ==, BIT(29));
    g_assert_cmpuint(leaf(cpu, 7, 0)->eax, ==, 1);
    g_assert_cmphex(leaf(cpu, 7, 1)->eax, ==, BIT(4));
    g_assert_cmphex(leaf(cpu, 0x40000000, 0)->eax, ==, 0x40000010);
    g_assert_cmpuint(leaf(cpu, 0x40000010, 0)->eax, ==, 2000000);
    /* CPU 5: second die, core 0, thread 1. */
    g_assert_cmphex(leaf(cpu, 0x8000001e, 0)->ebx, ==, 0x102);
    g_assert_cmphex(leaf(cpu, 0x8000001e, 0)->ecx, ==, 0x101);
    free_cpu(cpu);
    /* A low level hides what lies above it. */
    cpu = new_model("GenuineIntel");
    cpu->level = 4;
    t.dies = 1;
    x86_cpuid_build(cpu, &t, host, ARRAY_SIZE(host));
    g_assert_cmpuint(leaf(cpu, 0, 0)->eax, ==, 4);
    g_assert_null(leaf(cpu, 7, 0));
    free_cpu(cpu);
}

/* ---- Hyper-V ---- */

static const X86CpuidEntry hv_host[] = {
    { .function = 0x40000000, .eax = 0x40000006 },
    { .function = 0x40000003, .eax = 0x0fff, .edx = 1 << 8 },
    { .function = 0x40000004, .eax = 0xffff },
};

static bool hv_ok(uint64_t parts)
{
    X86Cpu cpu = { .hv = parts, .hv_spinlocks = UINT32_MAX };
    Error *err = NULL;
    bool ok = x86_hv_check(&cpu, hv_host, ARRAY_SIZE(hv_host), &err);

    g_assert(ok == !err);
    error_free(err);
    return ok;
}

static void test_hyperv(void)
{
    CpuTopology t = { .cpus = 2, .max_cpus = 6, .sockets = 6, .dies = 1, .clusters = 1, .cores = 1, .threads = 1 };
    X86Cpu *cpu = new_model("GenuineIntel");

    g_assert_true(hv_ok(BIT(X86_HV_RELAXED) | BIT(X86_HV_TIME) | BIT(X86_HV_VPINDEX) | BIT(X86_HV_SYNIC)));
    g_assert_false(hv_ok(BIT(X86_HV_SYNIC)));                   /* without VP index */
    g_assert_false(hv_ok(BIT(X86_HV_REENLIGHTENMENT)));         /* KVM has not got it */
    g_assert_false(hv_ok(BIT(X86_HV_XMM_INPUT)));

    cpu->hv_spinlocks = UINT32_MAX;
    g_assert_false(x86_hv_enabled(cpu));
    g_assert_false(x86_hv_check(&(X86Cpu){ .hv = 1 }, NULL, 0, NULL));
    x86_hv_take_all(cpu, hv_host, ARRAY_SIZE(hv_host));
    g_assert_true(cpu->hv & BIT(X86_HV_STIMER));
    g_assert_false(cpu->hv & BIT(X86_HV_STIMER_DIRECT));
    cpu->hv = BIT(X86_HV_RELAXED) | BIT(X86_HV_VAPIC) | BIT(X86_HV_TIME);
    cpu->hv_spinlocks = 8191;
    cpu->hv_version = (X86HvVersion){ .build = 14393, .major = 10, .minor = 1, .sbranch = 2, .snumber = 3 };
    x86_cpuid_build(cpu, &t, host, ARRAY_SIZE(host));
    g_assert_cmphex(leaf(cpu, 0x40000000, 0)->eax, ==, 0x40000005);
    g_assert_cmpint(memcmp(&leaf(cpu, 0x40000000, 0)->ebx, "Micr", 4), ==, 0);
    g_assert_cmpint(memcmp(&leaf(cpu, 0x40000000, 0)->ecx, "osof", 4), ==, 0);
    g_assert_cmpint(memcmp(&leaf(cpu, 0x40000000, 0)->edx, "t Hv", 4), ==, 0);
    g_assert_cmpint(memcmp(&leaf(cpu, 0x40000001, 0)->eax, "Hv#1", 4), ==, 0);
    g_assert_cmpuint(leaf(cpu, 0x40000002, 0)->eax, ==, 14393);
    g_assert_cmphex(leaf(cpu, 0x40000002, 0)->ebx, ==, 0x000a0001);
    g_assert_cmphex(leaf(cpu, 0x40000002, 0)->edx, ==, 0x02000003);
    g_assert_cmphex(leaf(cpu, 0x40000003, 0)->eax, ==, 0x232);
    g_assert_cmphex(leaf(cpu, 0x40000004, 0)->eax, ==, 0x28);
    g_assert_cmpuint(leaf(cpu, 0x40000004, 0)->ebx, ==, 8191);
    g_assert_cmpuint(leaf(cpu, 0x40000005, 0)->eax, ==, 6);
    /* KVM stands behind it. */
    g_assert_cmphex(leaf(cpu, 0x40000100, 0)->eax, ==, 0x40000101);
    g_assert_cmphex(leaf(cpu, 0x40000100, 0)->ebx, ==, 0x4b4d564b);
    g_assert_cmphex(leaf(cpu, 0x40000101, 0)->eax, ==, BIT(3));
    free_cpu(cpu);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/x86-cpuid/apic-ids", test_apic_ids);
    g_test_add_func("/x86-cpuid/leaves", test_leaves);
    g_test_add_func("/x86-cpuid/choices", test_choices);
    g_test_add_func("/x86-cpuid/model", test_model);
    g_test_add_func("/x86-cpuid/model-choices", test_model_choices);
    g_test_add_func("/x86-cpuid/hyperv", test_hyperv);
    return g_test_run();
}
