/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * query-cpu-model-expansion: what "host" or "max" with some properties would
 * be here. Main thread.
 */
#include "util/osdep.h"
#include "features.h"
#include "kvm/kvm-x86.h"
#include "qapi-commands.h"

static const TypeInfo *find_model(const char *name, Error **errp)
{
    g_autofree char *type_name = g_strdup_printf("%s-" X86_CPU_TYPE_SUFFIX, name);
    const TypeInfo *type = type_find(type_name);

    if (!type || type->abstract || !type_is_a(type, &x86_cpu_type)) {
        error_setg(errp, "CPU model '%s' not found", name);
        return NULL;
    }
    return type;
}

static void add_features(JsonValue *props, const X86Cpu *cpu, bool other_spellings)
{
    for (const ObjectProperty *p = x86_feature_properties; p->name; p++) {
        if (other_spellings || !(p->flags & PROP_HIDDEN)) {
            json_object_set_bool(props, p->name, x86_has_feature(cpu, p->offset, p->bit));
        }
    }
}

typedef struct AddState {
    X86Cpu *cpu;
    JsonValue *props;
} AddState;

static void add_property(const TypeInfo *owner, const ObjectProperty *p, void *opaque)
{
    AddState *s = opaque;
    JsonValue *value;

    if (owner == &x86_cpu_type) {
        value = object_property_get(s->cpu, p->name, NULL);
        if (value) {
            json_object_set_take(s->props, p->name, value);
        }
    }
}

/* "AuthenticAMD" and the like, in EBX, EDX, ECX. */
static void add_vendor(JsonValue *props, const X86CpuidEntry *e)
{
    char text[13] = { 0 };

    memcpy(text, &e->ebx, 4);
    memcpy(text + 4, &e->edx, 4);
    memcpy(text + 8, &e->ecx, 4);
    json_object_set_string(props, "vendor", text);
}

static void add_brand(JsonValue *props, const X86Cpu *cpu)
{
    char text[49] = { 0 };

    for (uint32_t i = 0; i < 3; i++) {
        const X86CpuidEntry *e = x86_cpuid_find(cpu->cpuid, cpu->cpuid_count, 0x80000002 + i, 0);
        if (e) {
            const uint32_t regs[] = { e->eax, e->ebx, e->ecx, e->edx };
            memcpy(text + 16 * i, regs, sizeof(regs));
        }
    }
    json_object_set_string(props, "model-id", text);
}

static void add_identification(JsonValue *props, const X86Cpu *cpu)
{
    const X86CpuidEntry *vendor = x86_cpuid_find(cpu->cpuid, cpu->cpuid_count, 0, 0);
    const X86CpuidEntry *version = x86_cpuid_find(cpu->cpuid, cpu->cpuid_count, 1, 0);

    if (!vendor || !version) {
        return;
    }
    add_vendor(props, vendor);
    json_object_set_int(props, "family", x86_cpuid_family(version->eax));
    json_object_set_int(props, "model", x86_cpuid_model(version->eax));
    json_object_set_int(props, "stepping", version->eax & 0xf);
    add_brand(props, cpu);
}

CpuModelExpansionInfo *qmp_query_cpu_model_expansion(const QmpQueryCpuModelExpansionArgs *args,
                                                     Error **errp)
{
    const TypeInfo *type = find_model(args->model->name, errp);
    g_autoptr(Object) obj = NULL;
    g_autoptr(JsonValue) props = json_object();
    X86Cpu *cpu;
    CpuModelExpansionInfo *info;

    if (!type) {
        return NULL;
    }
    if (args->model->props && json_kind(args->model->props) != JSON_OBJECT) {
        error_setg(errp, "Invalid parameter type for 'model.props', expected: object");
        return NULL;
    }
    obj = object_new(type);
    cpu = X86_CPU(obj);
    cpu->check = false;
    if ((args->model->props && !object_set_properties(obj, args->model->props, NULL, errp)) ||
        !x86_cpu_prepare(cpu, errp)) {
        return NULL;
    }
    if (args->type == CPU_MODEL_EXPANSION_TYPE_FULL) {
        type_foreach_property(type, add_property, &(AddState){ cpu, props });
    }
    add_features(props, cpu, args->type == CPU_MODEL_EXPANSION_TYPE_FULL);
    add_identification(props, cpu);
    info = g_new0(CpuModelExpansionInfo, 1);
    info->model = g_new0(CpuModelInfo, 1);
    info->model->name = g_strdup(args->model->name);
    info->model->props = g_steal_pointer(&props);
    return info;
}
