/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The end of NUMA configuration: checks of the whole, defaults, the memory of
 * the nodes; and what people are shown. Main thread with the machine lock.
 */
#include "util/osdep.h"
#include "backends/memory-backend.h"
#include "hw/core/numa.h"
#include "qapi-commands.h"
#include "system/cpus.h"

/* ---- distances ---- */

/* Nodes without any distance are as far as usual; with some, each pair has at least one. */
static bool check_distances(const NumaState *s, Error **errp)
{
    bool asymmetric = false, one_way = false;

    for (unsigned a = 0; a < s->count; a++) {
        for (unsigned b = a + 1; b < s->count; b++) {
            uint8_t there = s->nodes[a].distance[b], back = s->nodes[b].distance[a];

            if (!there && !back) {
                error_setg(errp, "The distance between node %u and %u is missing, at least one "
                           "distance value between each nodes should be provided.", a, b);
                return false;
            }
            asymmetric |= there && back && there != back;
            one_way |= !there || !back;
        }
    }
    if (asymmetric && one_way) {
        error_setg(errp, "At least one asymmetrical pair of distances is given, please provide "
                   "distances for both directions of all node pairs.");
        return false;
    }
    return true;
}

static void complete_distances(NumaState *s)
{
    for (unsigned a = 0; a < s->count; a++) {
        s->nodes[a].distance[a] = NUMA_LOCAL_DISTANCE;
        for (unsigned b = 0; b < s->count; b++) {
            if (s->nodes[a].distance[b] == NUMA_NO_DISTANCE) {
                s->nodes[a].distance[b] = s->nodes[b].distance[a];
            }
        }
    }
}

/* ---- CPUs ---- */

static void describe_cpu(const MachineState *m, unsigned cpu, GString *out)
{
    g_autoptr(CpuInstanceProperties) p = machine_cpu_props(m, cpu);
    const struct { bool has; const char *name; int64_t value; } all[] = {
        { p->has_socket_id, "socket-id", p->socket_id }, { p->has_die_id, "die-id", p->die_id },
        { p->has_cluster_id, "cluster-id", p->cluster_id },
        { p->has_core_id, "core-id", p->core_id }, { p->has_thread_id, "thread-id", p->thread_id },
    };
    const char *separator = "";

    g_string_append_printf(out, "%sCPU %u [", out->len ? ", " : "", cpu);
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        if (all[i].has) {
            g_string_append_printf(out, "%s%s: %" PRId64, separator, all[i].name, all[i].value);
            separator = ", ";
        }
    }
    g_string_append_c(out, ']');
}

/* Sockets take turns when no CPU was given a node; else what is left goes to node 0. */
static bool complete_cpus(MachineState *m, Error **errp)
{
    NumaState *s = m->numa;
    g_autoptr(GString) left = g_string_new(NULL);
    bool given = false;

    for (unsigned i = 0; i < m->smp.max_cpus; i++) {
        given |= s->cpu_node[i] >= 0;
    }
    for (unsigned i = 0; i < m->smp.max_cpus; i++) {
        if (s->cpu_node[i] >= 0) {
            continue;
        }
        if (given) {
            describe_cpu(m, i, left);
            s->cpu_node[i] = 0;
        } else {
            g_autoptr(CpuInstanceProperties) p = machine_cpu_props(m, i);

            s->cpu_node[i] = p->socket_id % s->count;
        }
        if (!numa_node_set_has_cpu(m, s->cpu_node[i], errp)) {
            return false;
        }
    }
    if (left->len) {
        warn_report("CPU(s) not present in any NUMA nodes: %s", left->str);
        warn_report("All CPU(s) up to maxcpus should be described in NUMA config, ability to start "
                    "up with partial NUMA mappings is obsoleted and will be removed in future");
    }
    return true;
}

static bool check_initiators(const NumaState *s, Error **errp)
{
    for (unsigned i = 0; i < s->count; i++) {
        unsigned initiator = s->nodes[i].initiator;

        if (initiator == NUMA_NO_INITIATOR) {
            continue;
        }
        if (!s->nodes[initiator].present) {
            error_setg(errp, "NUMA node %u is missing, use '-numa node' option to declare it first",
                       initiator);
            return false;
        }
        if (!s->nodes[initiator].has_cpu) {
            error_setg(errp, "The initiator of NUMA node %u is invalid", i);
            return false;
        }
    }
    return true;
}

/* ---- the whole ---- */

/* Memory that is plugged in later has a node, too. */
static bool add_node_for_plugging(MachineState *m, Error **errp)
{
    NumaOptions o = { .type = NUMA_OPTIONS_TYPE_NODE };

    if (numa_count(m) || !m->ram_slots || !machine_ops(m)->numa) {
        return true;
    }
    if (!machine_numa_set(m, &o, errp)) {
        return false;
    }
    m->numa->nodes[0].size = m->ram_size;
    return true;
}

bool machine_numa_finish(MachineState *m, Error **errp)
{
    NumaState *s;
    uint64_t total = 0;

    if (!add_node_for_plugging(m, errp)) {
        return false;
    }
    s = m->numa;
    if (!numa_count(m)) {
        return true;
    }
    for (unsigned i = 0; i < s->max_id; i++) {
        if (!s->nodes[i].present) {
            error_setg(errp, "numa: Node ID missing: %u", i);
            return false;
        }
        total += s->nodes[i].size;
    }
    if (total != m->ram_size) {
        error_setg(errp, "total memory for NUMA nodes (0x%" PRIx64 ") should equal RAM size (0x%"
                   PRIx64 ")", total, m->ram_size);
        return false;
    }
    if (s->has_memdev && m->memory_backend_id) {
        error_setg(errp, "'-machine memory-backend' and '-numa memdev' properties are mutually "
                   "exclusive");
        return false;
    }
    if (s->have_distance) {
        if (!check_distances(s, errp)) {
            return false;
        }
        complete_distances(s);
    }
    return complete_cpus(m, errp) && (!m->hmat || check_initiators(s, errp));
}

bool machine_numa_claim_memory(MachineState *m, Error **errp)
{
    NumaState *s = m->numa;
    uint64_t at = 0;

    memory_region_init_container(&s->ram, OBJECT(m), machine_ops(m)->default_ram_id, m->ram_size);
    for (unsigned i = 0; i < s->count; i++) {
        MemoryBackend *backend;

        if (!s->nodes[i].memdev) {
            continue;
        }
        backend = MEMORY_BACKEND(s->nodes[i].memdev);
        if (!memory_backend_claim(backend, NULL)) {
            error_setg(errp, "memory backend %s can't be used multiple times.", OBJECT(backend)->name);
            return false;
        }
        memory_region_add(&s->ram, at, memory_backend_region(backend));
        at += s->nodes[i].size;
    }
    m->ram = &s->ram;
    return true;
}

/* ---- for people and QMP ---- */

void machine_numa_print(const MachineState *m, GString *out)
{
    g_string_append_printf(out, "%u nodes\n", numa_count(m));
    for (unsigned i = 0; i < numa_count(m); i++) {
        const NumaNode *n = &m->numa->nodes[i];

        g_string_append_printf(out, "node %u cpus:", i);
        CPU_FOREACH(cpu) {
            if (numa_cpu_node(m, cpu->index) == i) {
                g_string_append_printf(out, " %d", cpu->index);
            }
        }
        g_string_append_printf(out, "\nnode %u size: %" PRIu64 " MB\nnode %u plugged: %" PRIu64
                               " MB\n", i, (n->size + n->plugged) / MIB, i, n->plugged / MIB);
    }
}

HumanReadableText *qmp_x_query_numa(Error **errp)
{
    g_autoptr(GString) text = g_string_new(NULL);
    HumanReadableText *ret = g_new0(HumanReadableText, 1);

    machine_numa_print(machine_current(), text);
    ret->human_readable_text = g_strdup(text->str);
    return ret;
}
