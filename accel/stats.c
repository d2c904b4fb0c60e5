/* SPDX-License-Identifier: GPL-2.0-or-later */
/* query-stats and query-stats-schemas: what the accelerator counts. Main thread with the machine lock. */
#include "util/osdep.h"
#include "accel/accel.h"
#include "qapi-commands.h"

static const AccelOps *counting_accel(void)
{
    return accel_current() && accel_ops()->query_stats_of ? accel_ops() : NULL;
}

/* Which names are wanted of the one provider that there is; false: it was not asked. */
static bool find_names(const StatsRequestList *providers, const StrList **names)
{
    *names = NULL;
    for (const StatsRequestList *l = providers; l; l = l->next) {
        if (l->value->provider == STATS_PROVIDER_KVM) {
            *names = l->value->names;
            return true;
        }
    }
    return !providers;
}

static bool cpu_is_wanted(CpuState *cpu, const StrList *paths)
{
    g_autofree char *path = object_path(cpu);

    for (const StrList *l = paths; l; l = l->next) {
        if (strcmp(l->value, path) == 0) {
            return true;
        }
    }
    return !paths;
}

static StatsResultList **append(StatsResultList **end, StatsResult *result)
{
    if (!result) {
        return end;
    }
    *end = g_new0(StatsResultList, 1);
    (*end)->value = result;
    return &(*end)->next;
}

StatsResultList *qmp_query_stats(const StatsFilter *filter, Error **errp)
{
    const AccelOps *ops = counting_accel();
    StatsResultList *list = NULL, **end = &list;
    const StrList *names;

    if (!ops || !find_names(filter->providers, &names)) {
        return NULL;
    }
    if (filter->target == STATS_TARGET_VM) {
        append(end, ops->query_stats_of(NULL, names));
        return list;
    }
    CPU_FOREACH(cpu) {
        if (cpu_is_wanted(cpu, filter->u.vcpu.vcpus)) {
            end = append(end, ops->query_stats_of(cpu, names));
        }
    }
    return list;
}

StatsSchemaList *qmp_query_stats_schemas(const QmpQueryStatsSchemasArgs *args, Error **errp)
{
    const AccelOps *ops = counting_accel();

    return ops ? ops->query_stats_schemas() : NULL;
}
