/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's NUMA nodes: which memory and which CPUs each has, how far they are
 * from each other, and what ACPI's HMAT tells of bandwidth, latency and caches.
 * Main thread with the machine lock; nothing but the nodes' plugged memory
 * changes after machine_numa_finish().
 */
#ifndef HW_CORE_NUMA_H
#define HW_CORE_NUMA_H

#include "hw/core/machine.h"

#define NUMA_MAX_NODES 128
#define NUMA_LOCAL_DISTANCE 10
#define NUMA_REMOTE_DISTANCE 20
#define NUMA_NO_DISTANCE 0
#define NUMA_NO_INITIATOR NUMA_MAX_NODES
#define NUMA_CACHE_LEVELS 3

typedef struct NumaNode {
    bool present;
    bool has_cpu;
    uint64_t size;              /* of the memory that it starts with */
    uint64_t plugged;           /* bytes of memory devices in it now: theirs to keep */
    Object *memdev;             /* its memory back end, or NULL */
    unsigned initiator;         /* the node with CPUs that is next to it, or NUMA_NO_INITIATOR */
    uint8_t distance[NUMA_MAX_NODES];   /* NUMA_NO_DISTANCE: not given */
} NumaNode;

/* A value of the HMAT, in ns or bytes per second. */
typedef struct NumaLbEntry {
    uint16_t initiator, target;
    uint64_t value;
} NumaLbEntry;

typedef struct NumaState {
    unsigned count;
    unsigned max_id;            /* 1 + the highest node number */
    bool have_distance, has_memdev, has_mem;
    NumaNode nodes[NUMA_MAX_NODES];
    int16_t *cpu_node;          /* of each possible CPU; -1: not given */
    GArray *lb[HMAT_LB_MEMORY_HIERARCHY__MAX][HMAT_LB_DATA_TYPE__MAX];  /* NumaLbEntry; NULL: none */
    NumaHmatCacheOptions *cache[NUMA_MAX_NODES][NUMA_CACHE_LEVELS];
    MemoryRegion ram;           /* the nodes' back ends, one after the other */
} NumaState;

/* 0: the guest is not told of nodes. */
static inline unsigned numa_count(const MachineState *m)
{
    return m->numa ? m->numa->count : 0;
}

/* The node of possible CPU @index; 0 when there are no nodes. */
static inline unsigned numa_cpu_node(const MachineState *m, unsigned index)
{
    return numa_count(m) && m->numa->cpu_node[index] >= 0 ? m->numa->cpu_node[index] : 0;
}

/* One -numa or set-numa-node, after -smp is known. */
bool machine_numa_set(MachineState *m, const NumaOptions *o, Error **errp);
/* Between the two: node @node has CPUs; its initiator is itself then. */
bool numa_node_set_has_cpu(const MachineState *m, unsigned node, Error **errp);
/* Check what was given, fill in the rest: sizes, distances, nodes of CPUs. */
bool machine_numa_finish(MachineState *m, Error **errp);
/* m->ram of the nodes' memory back ends; only with has_memdev. */
bool machine_numa_claim_memory(MachineState *m, Error **errp);

static inline bool numa_lb_is_latency(HmatLBDataType type)
{
    return type <= HMAT_LB_DATA_TYPE_WRITE_LATENCY;
}

/* The nodes and what is in them, as "info numa" shows it. */
void machine_numa_print(const MachineState *m, GString *out);

#endif
