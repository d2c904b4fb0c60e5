/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QMP commands on CPU models: which there are, what a model with some
 * properties would be here. Main thread.
 */
#include "util/osdep.h"
#include "models.h"
#include "kvm/kvm-x86.h"
#include "qapi-commands.h"

/* ---- query-cpu-definitions ---- */

static JsonValue *unavailable_here(const TypeInfo *type)
{
    g_autoptr(Object) obj = object_new(type);
    X86Cpu *cpu = X86_CPU(obj);

    if (type == &x86_host_cpu_type && !x86_on_kvm()) {
        JsonValue *list = json_array();

        json_array_add_take(list, json_string("kvm"));
        return list;
    }
    cpu->check = false;
    x86_cpu_expand_features(cpu);
    x86_cpu_filter_features(cpu, NULL);
    return x86_cpu_unavailable(cpu);
}

void x86_cpu_describe_model(const TypeInfo *type, CpuDefinitionInfo *info, JsonValue **unavailable)
{
    const X86CpuModelOps *ops = x86_cpu_model_ops(type);

    info->migration_safe = ops != NULL;
    info->q_static = ops && !ops->model->versions;
    info->alias_of = x86_cpu_model_alias_of(type);
    *unavailable = unavailable_here(type);
}

/* ---- query-cpu-model-expansion ---- */

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

typedef struct AddState {
    X86Cpu *cpu;
    JsonValue *props;
} AddState;

static void add(AddState *s, const char *name)
{
    JsonValue *value = object_property_get(s->cpu, name, NULL);

    if (value) {
        json_object_set_take(s->props, name, value);
    }
}

static void add_property(const TypeInfo *owner, const ObjectProperty *p, void *opaque)
{
    /* QOM's own are no settings of a CPU. */
    if (!(p->flags & (PROP_CLASS_ONLY | PROP_READ_ONLY))) {
        add(opaque, p->name);
    }
}

/* What makes a model with nothing else set the same CPU: features and identification. */
static void add_static(AddState *s)
{
    static const char *const others[] = {
        "vendor", "family", "model", "stepping", "model-id", "min-level", "min-xlevel", "lmce",
    };

    for (const ObjectProperty *p = x86_feature_properties; p->name; p++) {
        if (!(p->flags & PROP_HIDDEN)) {
            add(s, p->name);
        }
    }
    for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
        add(s, others[i]);
    }
}

CpuModelExpansionInfo *qmp_query_cpu_model_expansion(const QmpQueryCpuModelExpansionArgs *args,
                                                     Error **errp)
{
    const TypeInfo *type = find_model(args->model->name, errp);
    bool full = args->type == CPU_MODEL_EXPANSION_TYPE_FULL;
    g_autoptr(Object) obj = NULL;
    AddState s = { .props = NULL };
    CpuModelExpansionInfo *info;

    if (!type) {
        return NULL;
    }
    if (args->model->props && json_kind(args->model->props) != JSON_OBJECT) {
        error_setg(errp, "Invalid parameter type for 'model.props', expected: object");
        return NULL;
    }
    obj = object_new(type);
    if (args->model->props && !object_set_properties(obj, args->model->props, NULL, errp)) {
        return NULL;
    }
    s.cpu = X86_CPU(obj);
    s.props = json_object();
    x86_cpu_expand_features(s.cpu);
    if (full) {
        type_foreach_property(type, add_property, &s);
    } else {
        add_static(&s);
    }
    info = g_new0(CpuModelExpansionInfo, 1);
    info->model = g_new0(CpuModelInfo, 1);
    info->model->name = g_strdup(full ? args->model->name : "base");
    info->model->props = s.props;
    return info;
}
