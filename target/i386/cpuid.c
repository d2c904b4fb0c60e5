/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The CPUID leaves of one vCPU: the host's as the accelerator offers them,
 * with the chosen features, the guest's topology and the accelerator's own
 * leaves (Intel SDM volume 2A; AMD APM volume 3, appendix E).
 *
 * Main thread, at realize.
 */
#include "util/osdep.h"
#include "features.h"

typedef struct Builder {
    X86Cpu *cpu;
    const CpuTopology *t;
    const X86CpuidEntry *host;
    unsigned host_count;
    unsigned alloc;
    unsigned threads_per_die, threads_per_socket;
} Builder;

const X86CpuidEntry *x86_cpuid_find(const X86CpuidEntry *list, unsigned count, uint32_t function, uint32_t index)
{
    for (unsigned i = 0; i < count; i++) {
        if (list[i].function == function && (!list[i].indexed || list[i].index == index)) {
            return &list[i];
        }
    }
    return NULL;
}

uint32_t x86_cpuid_reg(const X86CpuidEntry *e, unsigned reg)
{
    const uint32_t regs[] = { e->eax, e->ebx, e->ecx, e->edx };

    return regs[reg];
}

static X86CpuidEntry *add(Builder *b, const X86CpuidEntry *e)
{
    X86Cpu *cpu = b->cpu;

    if (cpu->cpuid_count == b->alloc) {
        b->alloc = b->alloc ? b->alloc * 2 : 64;
        cpu->cpuid = g_renew(X86CpuidEntry, cpu->cpuid, b->alloc);
    }
    cpu->cpuid[cpu->cpuid_count] = *e;
    return &cpu->cpuid[cpu->cpuid_count++];
}

/* ---- topology ---- */

static unsigned round_up_pow2(unsigned n)
{
    return n > 1 ? 1u << (32 - __builtin_clz(n - 1)) : 1;
}

unsigned x86_cpuid_family(uint32_t eax)
{
    unsigned family = eax >> 8 & 0xf;

    return family == 0xf ? family + (eax >> 20 & 0xff) : family;
}

unsigned x86_cpuid_model(uint32_t eax)
{
    return (eax >> 4 & 0xf) | (eax >> 12 & 0xf0);
}

static void set_leaf_1(Builder *b, X86CpuidEntry *e)
{
    unsigned count = round_up_pow2(b->threads_per_socket);

    e->ebx = (e->ebx & 0xff00) | (b->cpu->apic_id & 0xff) << 24 | MIN(count, 255u) << 16;
    e->ecx = b->cpu->features[X86_FEATURE_1_ECX];
    e->edx = b->cpu->features[X86_FEATURE_1_EDX] & ~BIT(28);
    if (count > 1) {
        e->edx |= BIT(28);      /* HTT: the count above is valid */
    }
    if (b->cpu->family >= 0 || b->cpu->model >= 0 || b->cpu->stepping >= 0) {
        unsigned family = x86_cpuid_family(e->eax), model = x86_cpuid_model(e->eax);
        unsigned stepping = e->eax & 0xf;

        family = b->cpu->family >= 0 ? b->cpu->family : family;
        model = b->cpu->model >= 0 ? b->cpu->model : model;
        stepping = b->cpu->stepping >= 0 ? b->cpu->stepping : stepping;
        e->eax = MIN(family, 15u) << 8 | (family > 15 ? family - 15 : 0) << 20 |
                 (model & 0xf) << 4 | (model >> 4) << 16 | stepping;
    }
}

/* Who shares a cache: threads of a core up to level 2, of a die beyond. */
static unsigned cache_sharing(const Builder *b, unsigned level)
{
    return round_up_pow2(level <= 2 ? MAX(b->t->threads, 1u) : b->threads_per_die);
}

static void set_cache_leaf(Builder *b, X86CpuidEntry *e)
{
    unsigned type = e->eax & 0x1f, level = e->eax >> 5 & 7;
    unsigned cores = round_up_pow2(b->threads_per_socket / MAX(b->t->threads, 1u));

    if (!b->cpu->host_cache_info || !type) {
        e->eax = e->ebx = e->ecx = e->edx = 0;
        return;
    }
    e->eax &= 0x3fff;
    e->eax |= (cache_sharing(b, level) - 1) << 14;
    if (e->function == 4) {
        e->eax |= MIN(cores - 1, 63u) << 26;
    }
}

static void add_topology_level(Builder *b, uint32_t function, unsigned index, unsigned type,
                               unsigned shift, unsigned count)
{
    add(b, &(X86CpuidEntry){
        .function = function, .index = index, .indexed = true,
        .eax = type ? shift : 0, .ebx = type ? count : 0, .ecx = type << 8 | index,
        .edx = b->cpu->apic_id,
    });
}

enum { LEVEL_INVALID, LEVEL_SMT, LEVEL_CORE, LEVEL_DIE = 5 };

static void add_topology(Builder *b)
{
    const CpuTopology *t = b->t;
    unsigned threads = MAX(t->threads, 1u);

    add_topology_level(b, 0xb, 0, LEVEL_SMT, x86_apic_core_shift(t), threads);
    add_topology_level(b, 0xb, 1, LEVEL_CORE, x86_apic_socket_shift(t), b->threads_per_socket);
    add_topology_level(b, 0xb, 2, LEVEL_INVALID, 0, 0);
    if (t->dies <= 1) {
        return;
    }
    add_topology_level(b, 0x1f, 0, LEVEL_SMT, x86_apic_core_shift(t), threads);
    add_topology_level(b, 0x1f, 1, LEVEL_CORE, x86_apic_die_shift(t), b->threads_per_die);
    add_topology_level(b, 0x1f, 2, LEVEL_DIE, x86_apic_socket_shift(t), b->threads_per_socket);
    add_topology_level(b, 0x1f, 3, LEVEL_INVALID, 0, 0);
}

static void set_amd_topology(Builder *b, X86CpuidEntry *e)
{
    X86CpuIds ids = x86_cpu_ids(b->t, b->cpu->cpu.index);
    unsigned threads = MAX(b->t->threads, 1u);

    e->eax = b->cpu->apic_id;
    e->ebx = (ids.core & 0xff) | (threads - 1) << 8;
    e->ecx = ids.socket & 0xff;
    e->edx = 0;
}

/* ---- extended state ---- */

/* The state components that the chosen features may use, as in XCR0 and IA32_XSS. */
static uint64_t allowed_components(const X86Cpu *cpu)
{
    uint64_t m = BIT(0) | BIT(1);

    if (x86_has_feature(cpu, X86_FEATURE_1_ECX, 28)) {
        m |= BIT(2);            /* AVX */
    }
    if (x86_has_feature(cpu, X86_FEATURE_7_0_EBX, 14)) {
        m |= BIT(3) | BIT(4);   /* MPX */
    }
    if (x86_has_feature(cpu, X86_FEATURE_7_0_EBX, 16)) {
        m |= BIT(5) | BIT(6) | BIT(7);  /* AVX-512 */
    }
    if (x86_has_feature(cpu, X86_FEATURE_7_0_ECX, 3)) {
        m |= BIT(9);            /* PKRU */
    }
    if (x86_has_feature(cpu, X86_FEATURE_7_0_EDX, 24)) {
        m |= BIT(17) | BIT(18); /* AMX */
    }
    if (x86_has_feature(cpu, X86_FEATURE_D_1_EAX, 3)) {
        m |= BIT(11) | BIT(12) | BIT(15);       /* supervisor states: CET, LBR */
    }
    return m;
}

/* Returns false when the leaf has nothing for this CPU. */
static bool set_xsave_leaf(Builder *b, X86CpuidEntry *e)
{
    uint64_t allowed = allowed_components(b->cpu);

    if (!x86_has_feature(b->cpu, X86_FEATURE_1_ECX, 26)) {
        return false;
    }
    if (e->index == 0) {
        unsigned size = 576;    /* legacy area and header */

        e->eax &= allowed;
        e->edx &= allowed >> 32;
        for (unsigned i = 2; i < 63; i++) {
            const X86CpuidEntry *c = x86_cpuid_find(b->host, b->host_count, 0xd, i);
            if (c && ((uint64_t)e->edx << 32 | e->eax) & BIT(i)) {
                size = MAX(size, c->ebx + c->eax);
            }
        }
        e->ecx = size;
        e->ebx = 576;           /* for what XCR0 enables: the kernel keeps it current */
        return true;
    }
    if (e->index == 1) {
        e->eax = b->cpu->features[X86_FEATURE_D_1_EAX];
        e->ecx &= allowed;
        e->edx &= allowed >> 32;
        return true;
    }
    return e->index < 63 && (allowed & BIT(e->index));
}

/* ---- texts ---- */

static void set_vendor(const X86Cpu *cpu, X86CpuidEntry *e)
{
    if (cpu->vendor) {
        memcpy(&e->ebx, cpu->vendor, 4);
        memcpy(&e->edx, cpu->vendor + 4, 4);
        memcpy(&e->ecx, cpu->vendor + 8, 4);
    }
}

static void set_brand(const X86Cpu *cpu, X86CpuidEntry *e)
{
    char text[48] = { 0 };
    const char *part = text + 16 * (e->function - 0x80000002);

    if (cpu->model_id) {
        memcpy(text, cpu->model_id, MIN(strlen(cpu->model_id), sizeof(text) - 1));
        memcpy(&e->eax, part, 4);
        memcpy(&e->ebx, part + 4, 4);
        memcpy(&e->ecx, part + 8, 4);
        memcpy(&e->edx, part + 12, 4);
    }
}

static void set_address_sizes(Builder *b, X86CpuidEntry *e)
{
    unsigned n = b->threads_per_socket;
    unsigned bits = x86_apic_socket_shift(b->t);

    e->eax = (e->eax & 0xff00) | b->cpu->phys_bits;
    e->ebx = b->cpu->features[X86_FEATURE_80000008_EBX];
    e->ecx = n > 1 ? MIN(n - 1, 255u) | bits << 12 : 0;
}

/* ---- all of it ---- */

/* False: the guest does not get this leaf. */
static bool adapt(Builder *b, X86CpuidEntry *e)
{
    const X86Cpu *cpu = b->cpu;

    switch (e->function) {
    case 0:
        set_vendor(cpu, e);
        e->eax = MAX(e->eax, b->t->dies > 1 ? 0x1fu : 0xbu);
        break;
    case 1:
        set_leaf_1(b, e);
        break;
    case 4:
    case 0x8000001d:
        set_cache_leaf(b, e);
        break;
    case 6:
        e->eax = cpu->features[X86_FEATURE_6_EAX];
        e->ebx = e->ecx = e->edx = 0;
        break;
    case 7:
        if (e->index == 0) {
            e->ebx = cpu->features[X86_FEATURE_7_0_EBX];
            e->ecx = cpu->features[X86_FEATURE_7_0_ECX];
            e->edx = cpu->features[X86_FEATURE_7_0_EDX];
        } else if (e->index == 1) {
            e->eax = cpu->features[X86_FEATURE_7_1_EAX];
        }
        break;
    case 0xa:
        return cpu->pmu;
    case 0xb:
    case 0x1f:
        return false;           /* made for this guest */
    case 0xd:
        return set_xsave_leaf(b, e);
    case 0x40000000:
        e->eax = 0x40000001;
        return cpu->kvm;
    case 0x40000001:
        e->eax = cpu->features[X86_FEATURE_KVM_EAX];
        e->edx = cpu->features[X86_FEATURE_KVM_EDX];
        return cpu->kvm;
    case 0x80000000:
        set_vendor(cpu, e);
        break;
    case 0x80000001:
        e->ecx = cpu->features[X86_FEATURE_80000001_ECX];
        e->edx = cpu->features[X86_FEATURE_80000001_EDX];
        break;
    case 0x80000002:
    case 0x80000003:
    case 0x80000004:
        set_brand(cpu, e);
        break;
    case 0x80000007:
        e->edx = cpu->features[X86_FEATURE_80000007_EDX];
        break;
    case 0x80000008:
        set_address_sizes(b, e);
        break;
    case 0x8000000a:
        e->edx = cpu->features[X86_FEATURE_8000000A_EDX];
        return x86_has_feature(cpu, X86_FEATURE_80000001_ECX, 2);
    case 0x8000001e:
        set_amd_topology(b, e);
        return x86_has_feature(cpu, X86_FEATURE_80000001_ECX, 22);
    }
    return true;
}

void x86_cpuid_build(X86Cpu *cpu, const CpuTopology *t, const X86CpuidEntry *host, unsigned count)
{
    Builder b = { .cpu = cpu, .t = t, .host = host, .host_count = count };

    b.threads_per_die = MAX(t->threads, 1u) * MAX(t->cores, 1u) * MAX(t->clusters, 1u);
    b.threads_per_socket = b.threads_per_die * MAX(t->dies, 1u);
    cpu->cpuid_count = 0;
    for (unsigned i = 0; i < count; i++) {
        X86CpuidEntry e = host[i];
        if (adapt(&b, &e)) {
            add(&b, &e);
        }
    }
    add_topology(&b);
}
