/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Named CPU models: from the tables to an object. Main thread.
 */
#include "util/osdep.h"
#include "models.h"
#include "util/cutils.h"

/* ---- caches (Intel SDM volume 2A, CPUID leaves 2 and 4; AMD APM volume 3, E.4) ---- */

#define L1D(ebx_, ecx_, edx_) { 0x121, ebx_, ecx_, edx_ }
#define L1I(ebx_, ecx_, edx_) { 0x122, ebx_, ecx_, edx_ }
#define L3(ecx_) { 0x163, 0x3c0003f, ecx_, 6 }
#define EPYC_L2 { 0x043, 0x1c0003f, 0x3ff, 0 }

const X86CacheModel x86_caches_common = {
    .leaf = { L1D(0x1c0003f, 0x3f, 1), L1I(0x1c0003f, 0x3f, 1), { 0x143, 0x3c0003f, 0xfff, 1 },
              L3(0x3fff) },
    .leaf_2_ecx = 0x4d, .leaf_2_edx = 0x2c307d,
    .amd_l1d = 0x40020140, .amd_l1i = 0x40020140, .amd_l2 = 0x02008140, .amd_l3 = 0x808140,
};

const X86CacheModel x86_caches_epyc = {
    .leaf = { L1D(0x1c0003f, 0x3f, 1), L1I(0x0c0003f, 0xff, 1), EPYC_L2, L3(0x1fff) },
    .amd_l1d = 0x20080140, .amd_l1i = 0x40040140, .amd_l2 = 0x02006140, .amd_l3 = 0x408140,
};

const X86CacheModel x86_caches_dhyana = {
    .leaf = { L1D(0x1c0003f, 0x3f, 1), L1I(0x0c0003f, 0xff, 1), EPYC_L2, L3(0x1fff) },
    .leaf_2_ecx = 0x4b, .leaf_2_edx = 0x2cff80,
    .amd_l1d = 0x20080140, .amd_l1i = 0x40040140, .amd_l2 = 0x02006140, .amd_l3 = 0x408140,
};

const X86CacheModel x86_caches_epyc_rome = {
    .leaf = { L1D(0x1c0003f, 0x3f, 1), L1I(0x1c0003f, 0x3f, 1), EPYC_L2, L3(0x3fff) },
    .amd_l1d = 0x20080140, .amd_l1i = 0x20080140, .amd_l2 = 0x02006140, .amd_l3 = 0x808140,
};

const X86CacheModel x86_caches_epyc_milan = {
    .leaf = { L1D(0x1c0003f, 0x3f, 1), L1I(0x1c0003f, 0x3f, 1), EPYC_L2, L3(0x7fff) },
    .amd_l1d = 0x20080140, .amd_l1i = 0x20080140, .amd_l2 = 0x02006140, .amd_l3 = 0x1008140,
};

/* ---- objects ---- */

const X86CpuModelOps *x86_cpu_model_ops(const TypeInfo *type)
{
    return type_ops(type, &x86_cpu_type);
}

static unsigned model_version(const X86CpuModelOps *ops)
{
    return ops->version ? ops->version : 1;
}

char *x86_cpu_model_alias_of(const TypeInfo *type)
{
    const X86CpuModelOps *ops = x86_cpu_model_ops(type);
    g_autofree char *name = NULL, *type_name = NULL;

    if (!ops || !ops->model->versions) {
        return NULL;
    }
    name = g_strdup_printf("%s-v%u", ops->model->name, model_version(ops));
    type_name = g_strdup_printf("%s-" X86_CPU_TYPE_SUFFIX, name);
    return strcmp(type_name, type->name) == 0 ? NULL : g_steal_pointer(&name);
}

static void apply_change(X86Cpu *cpu, const char *change)
{
    const char *eq = strchr(change, '=');
    g_autofree char *name = g_strndup(change, eq - change);
    const ObjectProperty *p;

    if (strcmp(name, "stepping") == 0) {
        cpu->base.stepping = atoi(eq + 1);
        return;
    }
    if (strcmp(name, "model") == 0) {
        cpu->base.model = atoi(eq + 1);
        return;
    }
    p = x86_feature_find(name);
    assert(p);
    x86_feature_switch(cpu, p, strcmp(eq + 1, "on") == 0);
}

static void named_cpu_init(Object *obj)
{
    X86Cpu *cpu = (X86Cpu *)obj;
    const X86CpuModelOps *ops = x86_cpu_model_ops(obj->type);
    const X86CpuModel *m = ops->model;

    cpu->base = (X86CpuBase){
        .vendor = m->vendor, .model_id = m->model_id, .family = m->family, .model = m->model,
        .stepping = m->stepping, .level = m->level, .xlevel = m->xlevel,
        .caches = m->caches ? m->caches : &x86_caches_common,
    };
    memcpy(cpu->features, m->features, sizeof(cpu->features));
    for (unsigned v = 0; m->versions && v < model_version(ops); v++) {
        g_auto(GStrv) changes = g_strsplit(m->versions[v].changes, ",", -1);

        cpu->base.model_id = m->versions[v].model_id ? m->versions[v].model_id
                                                     : cpu->base.model_id;
        for (char **c = changes; *c; c++) {
            apply_change(cpu, *c);
        }
    }
}

/* The same on every host unless somebody asks: these defaults differ from those of host and max. */
static const ObjectProperty named_cpu_properties[] = {
    PROP_BOOL("pmu", X86Cpu, pmu, false, "performance counters"),
    PROP_BOOL("host-cache-info", X86Cpu, host_cache_info, false, "describe the host's caches"),
    PROP_BOOL("host-phys-bits", X86Cpu, host_phys_bits, false,
              "as many physical address bits as the host"),
    PROP_END
};

OBJECT_TYPE(x86_named_cpu_type) = {
    .name = "x86-named-cpu", .parent = &x86_cpu_type, .abstract = true,
    .instance_size = sizeof(X86Cpu),
    .properties = named_cpu_properties,
    .instance_init = named_cpu_init,
};

static const X86CpuModel base_model = { .name = "base" };

MODEL_TYPE(base_cpu_type, "base", base_model, 1, "base CPU model type with no features enabled");
