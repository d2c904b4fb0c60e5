/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NUMA nodes as -numa and set-numa-node describe them, one after the other.
 * Main thread with the machine lock, before the machine is made.
 */
#include "util/osdep.h"
#include "backends/memory-backend.h"
#include "hw/acpi/numa.h"
#include "qapi-commands.h"
#include "system/cpus.h"
#include "util/cutils.h"

#define MAX_HMAT_ENTRY 65534    /* of 16 bits; 65535 is "out of reach" */

static NumaState *get_state(MachineState *m)
{
    if (!m->numa) {
        m->numa = g_new0(NumaState, 1);
        m->numa->cpu_node = g_new(int16_t, m->smp.max_cpus);
        memset(m->numa->cpu_node, 0xff, m->smp.max_cpus * sizeof(int16_t));
    }
    return m->numa;
}

static bool check_hmat(const MachineState *m, Error **errp)
{
    if (!m->hmat) {
        error_setg(errp, "ACPI Heterogeneous Memory Attribute Table (HMAT) is disabled, enable it "
                   "with -machine hmat=on before using any of hmat specific options");
    }
    return m->hmat;
}

/* ---- the nodes of CPUs ---- */

bool numa_node_set_has_cpu(const MachineState *m, unsigned node, Error **errp)
{
    NumaNode *n = &m->numa->nodes[node];

    if (m->hmat) {
        if (n->initiator != NUMA_NO_INITIATOR && n->initiator != node) {
            error_setg(errp, "The initiator of CPU NUMA node %u should be itself (got %u)", node,
                       n->initiator);
            return false;
        }
        n->initiator = node;
    }
    n->has_cpu = true;
    return true;
}

static bool check_cpu_free(const NumaState *s, unsigned cpu, unsigned node, Error **errp)
{
    if (s->cpu_node[cpu] >= 0 && s->cpu_node[cpu] != (int)node) {
        error_setg(errp, "CPU is already assigned to node-id: %d", s->cpu_node[cpu]);
        return false;
    }
    return true;
}

static bool differs(bool has, int64_t given, int64_t its)
{
    return has && given != its;
}

/* Whether possible CPU @index has the places in the topology that @o gives. */
static bool is_meant(const MachineState *m, unsigned index, const NumaCpuOptions *o)
{
    g_autoptr(CpuInstanceProperties) p = machine_cpu_props(m, index);

    return !differs(o->has_socket_id, o->socket_id, p->socket_id) &&
           !differs(o->has_die_id, o->die_id, p->die_id) &&
           !differs(o->has_cluster_id, o->cluster_id, p->cluster_id) &&
           !differs(o->has_core_id, o->core_id, p->core_id) &&
           !differs(o->has_thread_id, o->thread_id, p->thread_id);
}

static bool set_cpus(MachineState *m, const NumaCpuOptions *o, Error **errp)
{
    g_autoptr(CpuInstanceProperties) any = machine_cpu_props(m, 0);
    bool found = false;

    if (!o->has_node_id) {
        error_setg(errp, "Missing mandatory node-id property");
        return false;
    }
    if (o->node_id < 0 || o->node_id >= NUMA_MAX_NODES || !m->numa->nodes[o->node_id].present) {
        error_setg(errp, "Invalid node-id=%" PRId64 ", NUMA node must be defined with -numa "
                   "node,nodeid=ID before it's used with -numa cpu,node-id=ID", o->node_id);
        return false;
    }
    if (o->has_die_id && !any->has_die_id) {
        error_setg(errp, "die-id is not supported");
        return false;
    }
    if (o->has_cluster_id && !any->has_cluster_id) {
        error_setg(errp, "cluster-id is not supported");
        return false;
    }
    for (unsigned i = 0; i < m->smp.max_cpus; i++) {
        if (is_meant(m, i, o)) {
            found = true;
            if (!check_cpu_free(m->numa, i, o->node_id, errp)) {
                return false;
            }
        }
    }
    if (!found) {
        error_setg(errp, "no match found");
        return false;
    }
    if (!numa_node_set_has_cpu(m, o->node_id, errp)) {
        return false;
    }
    for (unsigned i = 0; i < m->smp.max_cpus; i++) {
        if (is_meant(m, i, o)) {
            m->numa->cpu_node[i] = o->node_id;
        }
    }
    return true;
}

/* ---- nodes and distances ---- */

static bool set_memory(NumaState *s, NumaNode *n, const MachineState *m, const NumaNodeOptions *o,
                       Error **errp)
{
    MemoryBackend *backend;

    if ((o->has_mem && (s->has_memdev || o->memdev)) || (o->memdev && s->has_mem)) {
        error_setg(errp, "numa configuration should use either mem= or memdev=,mixing both is not "
                   "allowed");
        return false;
    }
    if (o->has_mem) {
        if (!machine_ops(m)->numa_mem_supported) {
            error_setg(errp, "Parameter -numa node,mem is not supported by this machine type");
            error_append_hint(errp, "Use -numa node,memdev instead\n");
            return false;
        }
        warn_report("Parameter -numa node,mem is deprecated, use -numa node,memdev instead");
        s->has_mem = true;
        n->size = o->mem;
    }
    if (o->memdev) {
        backend = object_cast_or_null(object_child(object_objects_root(), o->memdev),
                                      &memory_backend_type);
        if (!backend) {
            error_setg(errp, "memdev=%s is ambiguous", o->memdev);
            return false;
        }
        s->has_memdev = true;
        n->size = memory_backend_size(backend);
        n->memdev = object_ref(backend);
    }
    return true;
}

static bool check_cpus(const MachineState *m, const Uint16List *cpus, unsigned node, Error **errp)
{
    for (const Uint16List *c = cpus; c; c = c->next) {
        if (c->value >= m->smp.max_cpus) {
            error_setg(errp, "CPU index (%u) should be smaller than maxcpus (%u)", c->value,
                       m->smp.max_cpus);
            return false;
        }
        if (!check_cpu_free(m->numa, c->value, node, errp)) {
            return false;
        }
    }
    return true;
}

static bool set_node(MachineState *m, const NumaNodeOptions *o, Error **errp)
{
    NumaState *s = m->numa;
    unsigned id = o->has_nodeid ? o->nodeid : s->count;
    NumaNode *n;

    if (id >= NUMA_MAX_NODES) {
        error_setg(errp, "Max number of NUMA nodes reached: %u", id);
        return false;
    }
    n = &s->nodes[id];
    if (n->present) {
        error_setg(errp, "Duplicate NUMA nodeid: %u", id);
        return false;
    }
    n->initiator = NUMA_NO_INITIATOR;
    if (o->has_initiator) {
        if (!check_hmat(m, errp)) {
            return false;
        }
        if (o->initiator >= NUMA_MAX_NODES) {
            error_setg(errp, "The initiator id %u expects an integer between 0 and %d", o->initiator,
                       NUMA_MAX_NODES - 1);
            return false;
        }
        n->initiator = o->initiator;
    }
    if (!check_cpus(m, o->cpus, id, errp) || (o->cpus && !numa_node_set_has_cpu(m, id, errp)) ||
        !set_memory(s, n, m, o, errp)) {
        memset(n, 0, sizeof(*n));
        return false;
    }
    for (const Uint16List *c = o->cpus; c; c = c->next) {
        s->cpu_node[c->value] = id;
    }
    n->present = true;
    s->max_id = MAX(s->max_id, id + 1);
    s->count++;
    return true;
}

static bool set_distance(NumaState *s, const NumaDistOptions *o, Error **errp)
{
    if (o->src >= NUMA_MAX_NODES || o->dst >= NUMA_MAX_NODES) {
        error_setg(errp, "Parameter '%s' expects an integer between 0 and %d",
                   o->src >= NUMA_MAX_NODES ? "src" : "dst", NUMA_MAX_NODES - 1);
        return false;
    }
    if (!s->nodes[o->src].present || !s->nodes[o->dst].present) {
        error_setg(errp, "Source/Destination NUMA node is missing. Please use '-numa node' option "
                   "to declare it first.");
        return false;
    }
    if (o->val < NUMA_LOCAL_DISTANCE) {
        error_setg(errp, "NUMA distance (%u) is invalid, it shouldn't be less than %d.", o->val,
                   NUMA_LOCAL_DISTANCE);
        return false;
    }
    if (o->src == o->dst && o->val != NUMA_LOCAL_DISTANCE) {
        error_setg(errp, "Local distance of node %u should be %d.", o->src, NUMA_LOCAL_DISTANCE);
        return false;
    }
    s->nodes[o->src].distance[o->dst] = o->val;
    s->have_distance = true;
    return true;
}

/* ---- HMAT ---- */

/* The values, in their unit, must fit into the table. */
static bool check_range(const GArray *lb, const NumaHmatLBOptions *o, Error **errp)
{
    bool latency = numa_lb_is_latency(o->data_type);
    uint64_t unit = acpi_hmat_unit(lb, o->data_type);

    for (guint i = 0; i < lb->len; i++) {
        if (g_array_index(lb, NumaLbEntry, i).value / unit > MAX_HMAT_ENTRY) {
            error_setg(errp, "%s %" PRIu64 " between initiator=%u and target=%u should not differ "
                       "from previously entered %svalues on more than %d",
                       latency ? "Latency" : "Bandwidth", latency ? o->latency : o->bandwidth,
                       o->initiator, o->target, latency ? "min or max " : "", MAX_HMAT_ENTRY);
            return false;
        }
    }
    return true;
}

static bool check_lb(const NumaState *s, const NumaHmatLBOptions *o, Error **errp)
{
    bool latency = numa_lb_is_latency(o->data_type);

    if (o->initiator >= s->count) {
        error_setg(errp, "Invalid initiator=%u, it should be less than %u", o->initiator, s->count);
    } else if (o->target >= s->count) {
        error_setg(errp, "Invalid target=%u, it should be less than %u", o->target, s->count);
    } else if (!s->nodes[o->initiator].has_cpu) {
        error_setg(errp, "Invalid initiator=%u, it isn't an initiator proximity domain",
                   o->initiator);
    } else if (latency ? !o->has_latency : !o->has_bandwidth) {
        error_setg(errp, "Missing '%s' option", latency ? "latency" : "bandwidth");
    } else if (!latency && !IS_ALIGNED(o->bandwidth, MIB)) {
        error_setg(errp, "Bandwidth %" PRIu64 " between initiator=%u and target=%u should be 1MB "
                   "aligned", o->bandwidth, o->initiator, o->target);
    } else {
        return true;
    }
    return false;
}

static bool set_lb(MachineState *m, const NumaHmatLBOptions *o, Error **errp)
{
    bool latency = numa_lb_is_latency(o->data_type);
    NumaLbEntry e = { o->initiator, o->target, latency ? o->latency : o->bandwidth };
    GArray **lb = &m->numa->lb[o->hierarchy][o->data_type];

    if (!check_hmat(m, errp) || !check_lb(m->numa, o, errp)) {
        return false;
    }
    if (!*lb) {
        *lb = g_array_new(false, false, sizeof(NumaLbEntry));
    }
    for (guint i = 0; i < (*lb)->len; i++) {
        const NumaLbEntry *old = &g_array_index(*lb, NumaLbEntry, i);

        if (old->initiator == e.initiator && old->target == e.target) {
            error_setg(errp, "Duplicate configuration of the %s for initiator=%u and target=%u",
                       latency ? "latency" : "bandwidth", e.initiator, e.target);
            return false;
        }
    }
    g_array_append_val(*lb, e);
    if (!check_range(*lb, o, errp)) {
        g_array_set_size(*lb, (*lb)->len - 1);
        return false;
    }
    return true;
}

/* Whether latency and bandwidth of the node's own memory were told. */
static bool has_lb(const NumaState *s, unsigned node)
{
    bool found[2] = { false };

    for (unsigned d = 0; d < HMAT_LB_DATA_TYPE__MAX; d++) {
        const GArray *lb = s->lb[HMAT_LB_MEMORY_HIERARCHY_MEMORY][d];

        for (guint i = 0; lb && i < lb->len; i++) {
            found[numa_lb_is_latency(d)] |= g_array_index(lb, NumaLbEntry, i).target == node;
        }
    }
    return found[0] && found[1];
}

static bool set_cache(MachineState *m, const NumaHmatCacheOptions *o, Error **errp)
{
    NumaState *s = m->numa;
    const NumaHmatCacheOptions *below;

    if (!check_hmat(m, errp)) {
        return false;
    }
    if (o->node_id >= s->count) {
        error_setg(errp, "Invalid node-id=%u, it should be less than %u", o->node_id, s->count);
        return false;
    }
    if (!has_lb(s, o->node_id)) {
        error_setg(errp, "The latency and bandwidth information of node-id=%u should be provided "
                   "before memory side cache attributes", o->node_id);
        return false;
    }
    if (o->level < 1 || o->level > NUMA_CACHE_LEVELS) {
        error_setg(errp, "Invalid level=%u, it should be larger than 0 and less than or equal to %d",
                   o->level, NUMA_CACHE_LEVELS);
        return false;
    }
    if (s->cache[o->node_id][o->level - 1]) {
        error_setg(errp, "Duplicate configuration of the side cache for node-id=%u and level=%u",
                   o->node_id, o->level);
        return false;
    }
    below = o->level > 1 ? s->cache[o->node_id][o->level - 2] : NULL;
    if (o->level > 1 && !below) {
        error_setg(errp, "Cache level=%u shall be defined first", o->level - 1);
        return false;
    }
    if (below && o->size <= below->size) {
        error_setg(errp, "Invalid size=%" PRIu64 ", the size of level=%u should be larger than the "
                   "size(%" PRIu64 ") of level=%u", o->size, o->level, below->size, o->level - 1);
        return false;
    }
    s->cache[o->node_id][o->level - 1] = qapi_clone(&qapi_type_NumaHmatCacheOptions, o);
    return true;
}

bool machine_numa_set(MachineState *m, const NumaOptions *o, Error **errp)
{
    NumaState *s;

    if (OBJECT(m)->frozen) {
        error_setg(errp, "The command is permitted only before the machine has been created");
        return false;
    }
    if (!machine_ops(m)->numa) {
        error_setg(errp, "NUMA is not supported by this machine-type");
        return false;
    }
    s = get_state(m);
    switch (o->type) {
    case NUMA_OPTIONS_TYPE_NODE:
        return set_node(m, &o->u.node, errp);
    case NUMA_OPTIONS_TYPE_DIST:
        return set_distance(s, &o->u.dist, errp);
    case NUMA_OPTIONS_TYPE_CPU:
        return set_cpus(m, &o->u.cpu, errp);
    case NUMA_OPTIONS_TYPE_HMAT_LB:
        return set_lb(m, &o->u.hmat_lb, errp);
    case NUMA_OPTIONS_TYPE_HMAT_CACHE:
        return set_cache(m, &o->u.hmat_cache, errp);
    default:
        assert(false);
    }
}

bool qmp_set_numa_node(const NumaOptions *o, Error **errp)
{
    return machine_numa_set(machine_current(), o, errp);
}
