/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPUID feature bits and their names.
 */
#ifndef TARGET_I386_FEATURES_H
#define TARGET_I386_FEATURES_H

#include "cpu.h"

/* Where a feature word is found. */
typedef struct X86FeatureLeaf {
    uint32_t function, index;
    uint8_t reg;                /* 0 to 3: EAX, EBX, ECX, EDX */
    uint32_t msr;               /* not 0: this MSR, no leaf */
} X86FeatureLeaf;

extern const X86FeatureLeaf x86_feature_leaves[X86_FEATURE_WORDS];
extern const ObjectProperty x86_feature_properties[];

/* KVM runs the guest, or would run it if the machine had CPUs. */
bool x86_on_kvm(void);
/* What the accelerator can give a guest; without one, everything. */
uint64_t x86_supported_features(X86FeatureWord w);
/*
 * Fill in what no property decided and take out what depends on absent
 * features: what the CPU is to be, on whatever host.
 */
void x86_cpu_expand_features(X86Cpu *cpu);
/* Take out what is not supported here; warnings with "check", an error with "enforce". */
bool x86_cpu_filter_features(X86Cpu *cpu, Error **errp);
/* The names of what x86_cpu_filter_features() took out, a JSON array. */
JsonValue *x86_cpu_unavailable(const X86Cpu *cpu);
/* "avx512f", or NULL for a bit without a name. */
const char *x86_feature_name(X86FeatureWord w, unsigned bit);
/* By name, other spellings too; NULL when there is none. */
const ObjectProperty *x86_feature_find(const char *name);
void x86_feature_switch(X86Cpu *cpu, const ObjectProperty *p, bool on);
/* Leaves that the features need. */
uint32_t x86_cpu_min_level(const X86Cpu *cpu);
uint32_t x86_cpu_min_xlevel(const X86Cpu *cpu);
/* The highest leaves: as properties say, or the least that will do. */
uint32_t x86_cpu_level(const X86Cpu *cpu);
uint32_t x86_cpu_xlevel(const X86Cpu *cpu);
/* 12 characters: as the property says, or the host's (it decides how some instructions work), or the model's. */
void x86_cpu_vendor(const X86Cpu *cpu, const X86CpuidEntry *host, unsigned count, char out[13]);

static inline bool x86_has_feature(const X86Cpu *cpu, X86FeatureWord w, unsigned bit)
{
    return cpu->features[w] & BIT(bit);
}

/* All that depends on properties and the host: ids, features, address width, CPUID. */
bool x86_cpu_prepare(X86Cpu *cpu, Error **errp);
/* Family and model in leaf 1's EAX, the extended parts added. */
unsigned x86_cpuid_family(uint32_t eax);
unsigned x86_cpuid_model(uint32_t eax);
uint32_t x86_cpuid_signature(unsigned family, unsigned model, unsigned stepping);
/* Assemble cpu->cpuid from @host, what the accelerator supports. */
void x86_cpuid_build(X86Cpu *cpu, const CpuTopology *t, const X86CpuidEntry *host, unsigned count);
const X86CpuidEntry *x86_cpuid_find(const X86CpuidEntry *list, unsigned count, uint32_t function, uint32_t index);
uint32_t x86_cpuid_reg(const X86CpuidEntry *e, unsigned reg);

#endif
