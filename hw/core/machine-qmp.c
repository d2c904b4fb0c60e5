/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QMP commands on machines and CPUs. Main thread with the machine lock.
 */
#include "util/osdep.h"
#include "accel/accel.h"
#include "hw/core/numa.h"
#include "qapi-commands.h"
#include "system/cpus.h"
#include "system/target.h"

/* ---- machine types ---- */

static void list_machine(const TypeInfo *type, void *opaque)
{
    const MachineOps *ops = type_ops(type, &machine_type);
    MachineInfoList ***end = opaque;
    MachineInfo *info = g_new0(MachineInfo, 1);

    info->name = g_strdup(ops->name);
    info->alias = g_strdup(ops->alias);
    info->has_is_default = info->is_default = ops->is_default;
    info->cpu_max = ops->max_cpus ? ops->max_cpus : 1;
    info->hotpluggable_cpus = ops->hotpluggable_cpus;
    info->numa_mem_supported = ops->numa_mem_supported;
    info->deprecated = ops->deprecation != NULL;
    info->default_cpu_type = g_strdup(ops->default_cpu_type);
    info->default_ram_id = g_strdup(ops->default_ram_id);
    **end = g_new0(MachineInfoList, 1);
    (**end)->value = info;
    *end = &(**end)->next;
}

MachineInfoList *qmp_query_machines(Error **errp)
{
    MachineInfoList *list = NULL, **end = &list;

    type_foreach(&machine_type, false, list_machine, &end);
    return list;
}

CurrentMachineParams *qmp_query_current_machine(Error **errp)
{
    /* Nothing here sleeps: wakeup-suspend-support is false. */
    return g_new0(CurrentMachineParams, 1);
}

TargetInfo *qmp_query_target(Error **errp)
{
    TargetInfo *info = g_new0(TargetInfo, 1);

    info->arch = system_target.arch;
    return info;
}

UuidInfo *qmp_query_uuid(Error **errp)
{
    MachineState *m = machine_current();
    UuidInfo *info = g_new0(UuidInfo, 1);

    info->UUID = g_strdup(m && m->uuid ? m->uuid : "00000000-0000-0000-0000-000000000000");
    return info;
}

KvmInfo *qmp_query_kvm(Error **errp)
{
    KvmInfo *info = g_new0(KvmInfo, 1);

    info->enabled = accel_is_chosen("kvm");
    info->present = system_target.has_kvm;
    return info;
}

/* ---- CPUs ---- */

CpuInstanceProperties *machine_cpu_props(const MachineState *m, unsigned number)
{
    const MachineOps *ops = machine_ops(m);
    const CpuTopology *t = &m->smp;
    unsigned index = number;
    CpuInstanceProperties *props = g_new0(CpuInstanceProperties, 1);

    props->has_thread_id = true;
    props->thread_id = index % t->threads;
    index /= t->threads;
    props->has_core_id = true;
    props->core_id = index % t->cores;
    index /= t->cores;
    if (ops->cpu_clusters) {
        props->has_cluster_id = true;
        props->cluster_id = index % t->clusters;
    }
    index /= t->clusters;
    if (ops->cpu_dies && t->dies > 1) {
        props->has_die_id = true;
        props->die_id = index % t->dies;
    }
    props->has_socket_id = true;
    props->socket_id = index / t->dies;
    if (numa_count(m) && m->numa->cpu_node[number] >= 0) {
        props->has_node_id = true;
        props->node_id = m->numa->cpu_node[number];
    }
    return props;
}

CpuInfoFastList *qmp_query_cpus_fast(Error **errp)
{
    CpuInfoFastList *list = NULL, **end = &list;

    CPU_FOREACH(cpu) {
        CpuInfoFast *info = g_new0(CpuInfoFast, 1);

        info->cpu_index = cpu->index;
        info->qom_path = object_path(cpu);
        info->thread_id = cpu_thread_id(cpu);
        info->props = machine_cpu_props(machine_current(), cpu->index);
        info->target = system_target.arch;
        *end = g_new0(CpuInfoFastList, 1);
        (*end)->value = info;
        end = &(*end)->next;
    }
    return list;
}

HotpluggableCPUList *qmp_query_hotpluggable_cpus(Error **errp)
{
    MachineState *m = machine_current();
    HotpluggableCPUList *list = NULL, **end = &list;

    if (!machine_ops(m)->hotpluggable_cpus) {
        error_setg(errp, "The feature 'query-hotpluggable-cpus' is not enabled");
        return NULL;
    }
    for (unsigned i = 0; i < m->smp.max_cpus; i++) {
        HotpluggableCPU *place = g_new0(HotpluggableCPU, 1);
        CpuState *cpu = cpu_by_index(i);

        place->type = g_strdup(m->cpu_type);
        place->vcpus_count = 1;
        place->props = machine_cpu_props(m, i);
        place->qom_path = cpu ? object_path(cpu) : NULL;
        *end = g_new0(HotpluggableCPUList, 1);
        (*end)->value = place;
        end = &(*end)->next;
    }
    return list;
}

/* ---- CPU models ---- */

static void list_cpu_model(const TypeInfo *type, void *opaque)
{
    const CpuOps *ops = type_ops(type, &cpu_type);
    g_autofree char *suffix = g_strdup_printf("-%s", system_target.cpu_suffix);
    g_autoptr(CpuDefinitionInfo) info = NULL;
    JsonValue *unavailable = NULL, *value;

    if (!g_str_has_suffix(type->name, suffix)) {
        return;
    }
    info = g_new0(CpuDefinitionInfo, 1);
    info->name = g_strndup(type->name, strlen(type->name) - strlen(suffix));
    info->typename = g_strdup(type->name);
    info->has_migration_safe = true;
    if (ops->describe_model) {
        ops->describe_model(type, info, &unavailable);
    }
    value = qapi_encode(&qapi_type_CpuDefinitionInfo, info);
    if (unavailable) {
        /* An empty array says that nothing is missing; without it, nobody knows. */
        json_object_set_take(value, "unavailable-features", unavailable);
    }
    json_array_add_take(opaque, value);
}

JsonValue *qmp_query_cpu_definitions(const JsonValue *args, Error **errp)
{
    JsonValue *list;

    if (!qapi_decode_no_args(args, errp)) {
        return NULL;
    }
    list = json_array();
    type_foreach(&cpu_type, false, list_cpu_model, list);
    return list;
}
