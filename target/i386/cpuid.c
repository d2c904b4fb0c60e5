/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The CPUID leaves of one vCPU: the host's as the accelerator offers them, or
 * those of a model, with the chosen features, the guest's topology and the
 * accelerator's own leaves (Intel SDM volume 2A; AMD APM volume 3, appendix E).
 *
 * Main thread, at realize.
 */
#include "util/osdep.h"
#include "hyperv.h"
#include "models.h"

#define KVM_FREQUENCIES 0x40000010      /* the leaf with clocks, where KVM's own end before it */
#define KVM_BEHIND_HYPERV 0x100         /* guests that know both look there for KVM's leaves */
#define APIC_BUS_KHZ 1000000

typedef struct Builder {
    X86Cpu *cpu;
    const CpuTopology *t;
    const X86CpuidEntry *host;
    unsigned host_count;
    unsigned alloc;
    unsigned threads_per_die, threads_per_socket;
    const X86CacheModel *caches;        /* NULL: the host's */
    bool amd;
    char vendor[13];
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

/* ---- levels and vendor ---- */

#define ALL UINT64_MAX

/* The leaf that must be there for a word's bits to be seen. */
static const struct {
    X86FeatureWord word;
    uint64_t bits;
    uint32_t level;
} levels[] = {
    { X86_FEATURE_1_EDX, ALL, 1 }, { X86_FEATURE_1_ECX, ALL, 1 }, { X86_FEATURE_6_EAX, ALL, 6 },
    { X86_FEATURE_7_0_EBX, ALL, 7 }, { X86_FEATURE_7_0_ECX, ALL, 7 },
    { X86_FEATURE_7_1_EAX, ALL, 7 }, { X86_FEATURE_D_1_EAX, ALL, 0xd },
    { X86_FEATURE_7_0_EBX, BIT(25), 0x14 },     /* intel-pt */
    { X86_FEATURE_7_0_EBX, BIT(2), 0x12 },      /* sgx */
    { X86_FEATURE_80000001_EDX, ALL, 0x80000001 }, { X86_FEATURE_80000001_ECX, ALL, 0x80000001 },
    { X86_FEATURE_80000007_EDX, ALL, 0x80000007 }, { X86_FEATURE_80000008_EBX, ALL, 0x80000008 },
    { X86_FEATURE_80000001_ECX, BIT(2), 0x8000000a },   /* svm */
};

static uint32_t level_for_features(const X86Cpu *cpu, uint32_t level, uint32_t range)
{
    for (unsigned i = 0; i < ARRAY_SIZE(levels); i++) {
        if ((levels[i].level & 0x80000000) == range &&
            (cpu->features[levels[i].word] & levels[i].bits)) {
            level = MAX(level, levels[i].level);
        }
    }
    return level;
}

uint32_t x86_cpu_min_level(const X86Cpu *cpu)
{
    return level_for_features(cpu, MAX(cpu->base.level, cpu->min_level), 0);
}

uint32_t x86_cpu_min_xlevel(const X86Cpu *cpu)
{
    return level_for_features(cpu, MAX(cpu->base.xlevel, cpu->min_xlevel), 0x80000000);
}

uint32_t x86_cpu_level(const X86Cpu *cpu)
{
    return cpu->level != UINT32_MAX ? cpu->level : x86_cpu_min_level(cpu);
}

uint32_t x86_cpu_xlevel(const X86Cpu *cpu)
{
    return cpu->xlevel != UINT32_MAX ? cpu->xlevel : x86_cpu_min_xlevel(cpu);
}

void x86_cpu_vendor(const X86Cpu *cpu, const X86CpuidEntry *host, unsigned count, char out[13])
{
    const X86CpuidEntry *e = x86_cpuid_find(host, count, 0, 0);

    memset(out, 0, 13);
    if (cpu->vendor) {
        memcpy(out, cpu->vendor, MIN(strlen(cpu->vendor), 12u));
    } else if (e && (cpu->is_host || cpu->base.vendor)) {
        memcpy(out, &e->ebx, 4);
        memcpy(out + 4, &e->edx, 4);
        memcpy(out + 8, &e->ecx, 4);
    } else if (cpu->base.vendor) {
        memcpy(out, cpu->base.vendor, 12);
    }
}

/* ---- the list ---- */

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

uint32_t x86_cpuid_signature(unsigned family, unsigned model, unsigned stepping)
{
    return MIN(family, 15u) << 8 | (family > 15 ? family - 15 : 0) << 20 |
           (model & 0xf) << 4 | (model >> 4) << 16 | stepping;
}

/* Family, model and stepping where a property gives them; a model's are in @e. */
static void set_signature(const X86Cpu *cpu, X86CpuidEntry *e)
{
    unsigned family = x86_cpuid_family(e->eax), model = x86_cpuid_model(e->eax);
    unsigned stepping = e->eax & 0xf;

    family = cpu->family >= 0 ? cpu->family : family;
    model = cpu->model >= 0 ? cpu->model : model;
    stepping = cpu->stepping >= 0 ? cpu->stepping : stepping;
    e->eax = x86_cpuid_signature(family, model, stepping);
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
    set_signature(b->cpu, e);
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

    if ((!b->caches && !b->cpu->host_cache_info) || !type || (level == 3 && !b->cpu->l3_cache)) {
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
    unsigned threads = MAX(b->t->threads, 1u), dies = MAX(b->t->dies, 1u);

    e->eax = b->cpu->apic_id;
    e->ebx = ((ids.die * (b->threads_per_die / threads) + ids.core) & 0xff) | (threads - 1) << 8;
    e->ecx = ((ids.socket * dies + ids.die) & 0xff) | (dies - 1) << 8;
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

static void set_vendor(const Builder *b, X86CpuidEntry *e)
{
    memcpy(&e->ebx, b->vendor, 4);
    memcpy(&e->edx, b->vendor + 4, 4);
    memcpy(&e->ecx, b->vendor + 8, 4);
}

static void set_brand(const Builder *b, X86CpuidEntry *e)
{
    const char *text = b->cpu->model_id ? b->cpu->model_id : b->cpu->base.model_id;
    char padded[48] = { 0 };
    const char *part = padded + 16 * (e->function - 0x80000002);

    if (text) {
        memcpy(padded, text, MIN(strlen(text), sizeof(padded) - 1));
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

/* FPU to CX8, APIC, MTRR to PSE36, MMX, FXSR. */
#define AMD_SAME_AS_LEAF_1 0x0183f3ffu

/* These say false when the guest does not get the leaf. */
static bool adapt_standard(Builder *b, X86CpuidEntry *e)
{
    const X86Cpu *cpu = b->cpu;

    switch (e->function) {
    case 0:
        set_vendor(b, e);
        e->eax = MAX(x86_cpu_level(cpu), cpu->is_host && cpu->level == UINT32_MAX ? e->eax : 0);
        if (b->t->dies > 1 || cpu->is_host) {
            e->eax = MAX(e->eax, b->t->dies > 1 ? 0x1fu : 0xbu);
        }
        break;
    case 1:
        set_leaf_1(b, e);
        break;
    case 4:
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
    case 0x12:
        return false;           /* SGX: there is no enclave memory */
    case 0x14:
        return x86_has_feature(cpu, X86_FEATURE_7_0_EBX, 25);
    case 0xd:
        return set_xsave_leaf(b, e);
    }
    return true;
}

static bool adapt_kvm(Builder *b, X86CpuidEntry *e)
{
    const X86Cpu *cpu = b->cpu;
    bool behind = x86_hv_enabled(cpu);

    if (e->function == 0x40000000) {
        e->eax = behind ? 0x40000001 + KVM_BEHIND_HYPERV
                        : cpu->tsc_frequency ? KVM_FREQUENCIES : 0x40000001;
    } else if (e->function == 0x40000001) {
        e->eax = cpu->features[X86_FEATURE_KVM_EAX];
        e->edx = cpu->features[X86_FEATURE_KVM_EDX];
    }
    e->function += behind ? KVM_BEHIND_HYPERV : 0;
    return cpu->kvm;
}

static bool adapt_extended(Builder *b, X86CpuidEntry *e)
{
    const X86Cpu *cpu = b->cpu;

    switch (e->function) {
    case 0x80000000:
        set_vendor(b, e);
        e->eax = MAX(x86_cpu_xlevel(cpu),
                     cpu->is_host && cpu->xlevel == UINT32_MAX ? e->eax : 0);
        break;
    case 0x80000001:
        set_signature(cpu, e);
        e->ecx = cpu->features[X86_FEATURE_80000001_ECX];
        e->edx = cpu->features[X86_FEATURE_80000001_EDX];
        if (b->amd) {
            /* These repeat leaf 1. */
            e->edx &= ~AMD_SAME_AS_LEAF_1;
            e->edx |= cpu->features[X86_FEATURE_1_EDX] & AMD_SAME_AS_LEAF_1;
        }
        break;
    case 0x80000002:
    case 0x80000003:
    case 0x80000004:
        set_brand(b, e);
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
    case 0x8000001d:
        set_cache_leaf(b, e);
        break;
    case 0x8000001e:
        set_amd_topology(b, e);
        return x86_has_feature(cpu, X86_FEATURE_80000001_ECX, 22);
    }
    return true;
}

static bool adapt(Builder *b, X86CpuidEntry *e)
{
    switch (e->function >> 28) {
    case 0:
        return adapt_standard(b, e);
    case 4:
        return adapt_kvm(b, e);
    case 8:
        return adapt_extended(b, e);
    default:
        return true;
    }
}

/* ---- a model's own leaves ---- */

static void add_host_leaf(Builder *b, GArray *out, uint32_t function)
{
    for (unsigned i = 0; i < b->host_count; i++) {
        if (b->host[i].function == function) {
            g_array_append_val(out, b->host[i]);
        }
    }
}

static void add_cache_leaves(Builder *b, GArray *out, uint32_t function)
{
    for (uint32_t i = 0; i < ARRAY_SIZE(b->caches->leaf); i++) {
        X86CpuidEntry e = {
            .function = function, .index = i, .indexed = true,
            .eax = b->caches->leaf[i].eax, .ebx = b->caches->leaf[i].ebx,
            .ecx = b->caches->leaf[i].ecx, .edx = b->caches->leaf[i].edx,
        };
        g_array_append_val(out, e);
    }
}

static uint32_t model_signature(const X86Cpu *cpu)
{
    return x86_cpuid_signature(cpu->base.family, cpu->base.model, cpu->base.stepping);
}

static void add_model_leaf(Builder *b, GArray *out, uint32_t function)
{
    const X86Cpu *cpu = b->cpu;
    X86CpuidEntry e = { .function = function };

    switch (function) {
    case 1:
        e.eax = model_signature(cpu);
        e.ebx = 8 << 8;         /* CLFLUSH flushes 64 bytes */
        break;
    case 2:
        if (!b->caches) {
            add_host_leaf(b, out, function);
            return;
        }
        if (!b->amd) {
            e.eax = 1;
            e.ecx = cpu->l3_cache ? b->caches->leaf_2_ecx : 0;
            e.edx = b->caches->leaf_2_edx;
        }
        break;
    case 4:
        if (!b->caches) {
            add_host_leaf(b, out, function);
        } else if (!b->amd) {
            add_cache_leaves(b, out, function);
        }
        return;
    case 5:
        if (x86_has_feature(cpu, X86_FEATURE_1_ECX, 3)) {
            add_host_leaf(b, out, function);
        }
        return;
    case 7:
        e.indexed = true;
        e.eax = cpu->features[X86_FEATURE_7_1_EAX] != 0;
        g_array_append_val(out, e);
        if (e.eax) {
            e.index = 1;
            g_array_append_val(out, e);
        }
        return;
    case 0xa:
    case 0xd:
    case 0x14:
        add_host_leaf(b, out, function);
        return;
    }
    g_array_append_val(out, e);
}

static void set_amd_caches(const Builder *b, X86CpuidEntry *e)
{
    if (e->function == 0x80000005) {
        e->eax = e->ebx = 0x01ff01ff;   /* TLBs: 255 entries, fully associative */
        e->ecx = b->caches->amd_l1d;
        e->edx = b->caches->amd_l1i;
    } else {
        e->ebx = 0x42004200;    /* 512 entries, 4-way */
        e->ecx = b->caches->amd_l2;
        e->edx = b->cpu->l3_cache ? b->caches->amd_l3 : 0;
    }
}

static void add_model_extended_leaf(Builder *b, GArray *out, uint32_t function)
{
    const X86Cpu *cpu = b->cpu;
    X86CpuidEntry e = { .function = function };

    switch (function) {
    case 0x80000001:
        e.eax = model_signature(cpu);
        break;
    case 0x80000005:
    case 0x80000006:
        if (!b->caches) {
            add_host_leaf(b, out, function);
            return;
        }
        set_amd_caches(b, &e);
        break;
    case 0x80000008:
        e.eax = (x86_has_feature(cpu, X86_FEATURE_7_0_ECX, 16) ? 57 : 48) << 8;    /* la57 */
        break;
    case 0x8000000a:
        e.eax = 1;              /* SVM revision */
        e.ebx = 16;             /* ASIDs */
        break;
    case 0x8000001d:
        if (!b->caches) {
            add_host_leaf(b, out, function);
        } else if (x86_has_feature(cpu, X86_FEATURE_80000001_ECX, 22)) {
            add_cache_leaves(b, out, function);
        }
        return;
    }
    g_array_append_val(out, e);
}

/* What the model shows, before features, topology and the like are filled in. */
static GArray *model_leaves(Builder *b)
{
    GArray *out = g_array_new(FALSE, FALSE, sizeof(X86CpuidEntry));
    uint32_t level = x86_cpu_level(b->cpu), xlevel = x86_cpu_xlevel(b->cpu);

    for (uint32_t f = 0; f <= MIN(level, 0x20u); f++) {
        add_model_leaf(b, out, f);
    }
    add_host_leaf(b, out, 0x40000000);
    add_host_leaf(b, out, 0x40000001);
    for (uint32_t f = 0x80000000; f <= MIN(xlevel, 0x80000020u); f++) {
        add_model_extended_leaf(b, out, f);
    }
    return out;
}

static void adapt_all(Builder *b, const X86CpuidEntry *list, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        X86CpuidEntry e = list[i];
        if (adapt(b, &e)) {
            add(b, &e);
        }
    }
}

void x86_cpuid_build(X86Cpu *cpu, const CpuTopology *t, const X86CpuidEntry *host, unsigned count)
{
    Builder b = { .cpu = cpu, .t = t, .host = host, .host_count = count };

    b.threads_per_die = MAX(t->threads, 1u) * MAX(t->cores, 1u) * MAX(t->clusters, 1u);
    b.threads_per_socket = b.threads_per_die * MAX(t->dies, 1u);
    x86_cpu_vendor(cpu, host, count, b.vendor);
    b.amd = strcmp(b.vendor, "AuthenticAMD") == 0;
    b.caches = cpu->host_cache_info ? NULL : cpu->base.caches;
    cpu->cpuid_count = 0;
    if (cpu->is_host) {
        adapt_all(&b, host, count);
    } else {
        g_autoptr(GArray) own = model_leaves(&b);

        adapt_all(&b, (const X86CpuidEntry *)own->data, own->len);
    }
    if (x86_hv_enabled(cpu)) {
        X86CpuidEntry hv[X86_HV_LEAVES];
        unsigned n = x86_hv_leaves(cpu, MAX(t->max_cpus, 1u), hv);

        for (unsigned i = 0; i < n; i++) {
            add(&b, &hv[i]);
        }
    } else if (cpu->kvm && cpu->tsc_frequency) {
        add(&b, &(X86CpuidEntry){
            .function = KVM_FREQUENCIES, .eax = cpu->tsc_frequency / 1000, .ebx = APIC_BUS_KHZ,
        });
    }
    add_topology(&b);
}
