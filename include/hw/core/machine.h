/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Machine types. A versioned machine is a type that derives from the newest
 * one and lists the property values that differ (compat table): data only.
 */
#ifndef HW_CORE_MACHINE_H
#define HW_CORE_MACHINE_H

#include "hw/core/device.h"
#include "qapi-types.h"
#include "system/memory.h"

typedef struct MachineState MachineState;

extern const TypeInfo machine_type;     /* "machine", abstract; concrete ones are "virt-1.0-machine", "none-machine" */

typedef struct CompatProperty {
    const char *driver, *property, *value;
} CompatProperty;

typedef struct MachineOps {
    const char *name;           /* "virt-1.0" */
    const char *alias;          /* "virt", or NULL */
    const char *description;
    bool is_default;
    const char *deprecation;    /* NULL: not deprecated */
    int max_cpus;               /* 0: takes 1, and makes none (machine none) */
    const char *default_cpu_type;       /* QOM type name, or NULL */
    const char *default_ram_id;         /* "mach-virt.ram", or NULL */
    uint64_t default_ram_size;
    bool hotpluggable_cpus;
    bool numa;                          /* takes -numa */
    bool numa_mem_supported;            /* also its mem= */
    bool cpu_dies, cpu_clusters;        /* topology levels that -smp takes */
    const char *default_nic_model, *default_display;
    bool (*init)(MachineState *m, Error **errp);        /* build everything; RAM is ready in m->ram */
    /* After all -device: tables, boot. May be NULL. */
    bool (*ready)(MachineState *m, Error **errp);
    void (*reset)(MachineState *m);     /* NULL: reset_all() and CPUs */
    const CompatProperty *compat;       /* NULL-terminated, applied to new devices */
} MachineOps;

typedef struct CpuTopology {
    unsigned cpus, max_cpus, sockets, dies, clusters, cores, threads;
} CpuTopology;

struct MachineState {
    Object obj;
    CpuTopology smp;
    uint64_t ram_size, max_ram_size;
    unsigned ram_slots;
    MemoryRegion *ram;          /* main RAM, or NULL (machine none) */
    Object *memory_backend;     /* -machine memory-backend=, or NULL */
    char *memory_backend_id;
    char *cpu_type;             /* QOM type name */
    JsonValue *cpu_options;     /* from -cpu MODEL,k=v */
    char *kernel, *initrd, *append, *dtb, *firmware;
    bool acpi;                  /* -no-acpi and the machines' "acpi" property */
    bool graphics, dump_guest_core, mem_merge, usb, suppress_vmdesc;
    bool hmat;                  /* the "hmat" property, of those that have it */
    struct NumaState *numa;     /* hw/core/numa.h; NULL: no nodes */
    char *uuid;
};

/* For the machines that take -numa. */
#define MACHINE_NUMA_PROPERTIES                                                         \
    PROP_BOOL("hmat", MachineState, hmat, false, "ACPI table of memory attributes (HMAT)")

#define MACHINE(p) ((MachineState *)object_cast(p, &machine_type))

/* The object at /machine, or NULL before there is one. */
MachineState *machine_current(void);
/* Create it: /machine with its containers. */
MachineState *machine_new(const TypeInfo *type);
const MachineOps *machine_ops(const MachineState *m);
/* By name or alias, with an error that suggests -machine help. */
const TypeInfo *machine_find(const char *name, Error **errp);
/* The default machine of this program, or NULL. */
const TypeInfo *machine_default(void);
/* "-machine help". */
void machine_print_list(void);

/* What -smp gave; a has_ member is false where it gave nothing. */
typedef struct CpuTopologyOptions {
    bool has_cpus, has_maxcpus, has_sockets, has_dies, has_clusters, has_cores, has_threads;
    uint64_t cpus, maxcpus, sockets, dies, clusters, cores, threads;
} CpuTopologyOptions;

/* Place of CPU @index in the topology, for management. Caller frees. */
CpuInstanceProperties *machine_cpu_props(const MachineState *m, unsigned index);

/* The CPUs that the machine starts with, of the type and with the options of -cpu. */
bool machine_create_cpus(const MachineState *m, Error **errp);

/* The options of -cpu for a CPU that is about to be realized. */
bool machine_apply_cpu_options(const MachineState *m, Object *cpu, Error **errp);

/* Complete and check the topology as users of -smp expect: cores before sockets before threads. */
bool machine_set_topology(MachineState *m, const CpuTopologyOptions *opts, Error **errp);

#endif
