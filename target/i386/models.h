/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Named CPU models, as data. A model has versions that never change; a name
 * without "-vN" is the version that the machine chooses, today always the first.
 */
#ifndef TARGET_I386_MODELS_H
#define TARGET_I386_MODELS_H

#include "features.h"

/* The caches that a guest is told of. Sharing between CPUs is filled in from the topology. */
typedef struct X86CacheModel {
    struct {
        uint32_t eax, ebx, ecx, edx;
    } leaf[4];                  /* of leaf 4 or 0x8000001d: L1 data, L1 code, L2, L3 */
    uint32_t leaf_2_ecx, leaf_2_edx;    /* descriptors; ECX is that of L3 */
    uint32_t amd_l1d, amd_l1i, amd_l2, amd_l3;  /* of leaves 0x80000005 and 0x80000006 */
} X86CacheModel;

extern const X86CacheModel x86_caches_common, x86_caches_epyc, x86_caches_epyc_rome,
                           x86_caches_epyc_milan, x86_caches_dhyana;

typedef struct X86CpuModelVersion {
    const char *model_id;       /* NULL: as in the version before */
    const char *changes;        /* to the one before: "feature=on|off,...,stepping=N"; NULL ends */
} X86CpuModelVersion;

typedef struct X86CpuModel {
    const char *name, *vendor, *model_id;
    uint8_t family, model, stepping;
    uint32_t level, xlevel;     /* highest standard and extended leaf */
    const X86CacheModel *caches;        /* NULL: common ones */
    uint64_t features[X86_FEATURE_WORDS];
    const X86CpuModelVersion *versions; /* [0] is version 1 */
} X86CpuModel;

/* What a model's type gives; found by object_ops(cpu, &x86_cpu_type). NULL: host, max. */
typedef struct X86CpuModelOps {
    const X86CpuModel *model;
    unsigned version;           /* 0: the machine's choice */
} X86CpuModelOps;

extern const TypeInfo x86_named_cpu_type;       /* abstract */

#define MODEL_TYPE(ident, type_name, m, v, text)                                    \
    OBJECT_TYPE_STATIC(ident) = {                                                   \
        .name = type_name "-" X86_CPU_TYPE_SUFFIX, .parent = &x86_named_cpu_type,   \
        .description = (text),                                                      \
        .impls = TYPE_IMPLS({ &x86_cpu_type, &(const X86CpuModelOps){ &(m), (v) } }), \
    }
#define MODEL_TYPE_ANY(ident, type_name, m)                                         \
    MODEL_TYPE(ident, type_name, m, 0, "(alias configured by machine type)")

/* For "-cpu help". */
void x86_cpu_print_models(void);
/* For query-cpu-definitions. */
void x86_cpu_describe_model(const TypeInfo *type, CpuDefinitionInfo *info, JsonValue **unavailable);
/* NULL for types without a model: host, max. */
const X86CpuModelOps *x86_cpu_model_ops(const TypeInfo *type);
/* "Nehalem-v1" for "Nehalem" and such; NULL for a name of its own. Caller frees. */
char *x86_cpu_model_alias_of(const TypeInfo *type);

#endif
