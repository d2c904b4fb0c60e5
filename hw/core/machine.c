/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The base class of machines: its properties and CPU topology. Main thread
 * with the machine lock; values come from the command line.
 */
#include "util/osdep.h"
#include "hw/core/numa.h"

static const ObjectProperty machine_properties[] = {
    PROP_STRING("kernel", MachineState, kernel, "Linux kernel image file"),
    PROP_STRING("initrd", MachineState, initrd, "Linux initial ramdisk file"),
    PROP_STRING("append", MachineState, append, "Linux kernel command line"),
    PROP_STRING("dtb", MachineState, dtb, "Linux kernel device tree file"),
    PROP_STRING("firmware", MachineState, firmware, "Firmware image"),
    PROP_STRING("memory-backend", MachineState, memory_backend_id,
                "Main memory: the ID of a memory-backend object"),
    PROP_BOOL("graphics", MachineState, graphics, true, "Graphics emulation (there is none)"),
    PROP_BOOL("usb", MachineState, usb, false, "USB controller (there is none)"),
    PROP_BOOL("dump-guest-core", MachineState, dump_guest_core, true,
              "Include guest memory in a core dump"),
    PROP_BOOL("mem-merge", MachineState, mem_merge, true,
              "Let the host merge equal memory pages"),
    PROP_BOOL("suppress-vmdesc", MachineState, suppress_vmdesc, false,
              "Leave the self-description out of the migration stream"),
    PROP_END
};

static void machine_init_instance(Object *obj)
{
    MachineState *m = (MachineState *)obj;
    const MachineOps *ops = machine_ops(m);

    m->acpi = true;
    m->ram_size = ops->default_ram_size;
    m->max_ram_size = m->ram_size;
    m->smp = (CpuTopology){ 1, 1, 1, 1, 1, 1, 1 };
    m->cpu_type = g_strdup(ops->default_cpu_type);
}

static void free_numa(NumaState *s)
{
    if (!s) {
        return;
    }
    for (unsigned h = 0; h < HMAT_LB_MEMORY_HIERARCHY__MAX; h++) {
        for (unsigned d = 0; d < HMAT_LB_DATA_TYPE__MAX; d++) {
            g_clear_pointer(&s->lb[h][d], g_array_unref);
        }
    }
    for (unsigned i = 0; i < NUMA_MAX_NODES * NUMA_CACHE_LEVELS; i++) {
        qapi_free_NumaHmatCacheOptions(s->cache[i / NUMA_CACHE_LEVELS][i % NUMA_CACHE_LEVELS]);
    }
    for (unsigned i = 0; i < s->max_id; i++) {
        object_unref(s->nodes[i].memdev);
    }
    g_free(s->cpu_node);
    g_free(s);
}

static void machine_finalize(Object *obj)
{
    MachineState *m = MACHINE(obj);

    g_free(m->cpu_type);
    json_unref(m->cpu_options);
    free_numa(m->numa);
    g_free(m->uuid);
}

OBJECT_TYPE(machine_type) = {
    .name = "machine",
    .parent = &object_type,
    .instance_size = sizeof(MachineState),
    .abstract = true,
    .properties = machine_properties,
    .instance_init = machine_init_instance,
    .instance_finalize = machine_finalize,
};

MachineState *machine_current(void)
{
    return object_cast_or_null(object_machine(), &machine_type);
}

MachineState *machine_new(const TypeInfo *type)
{
    Object *m = object_new(type);

    object_add_child(object_root(), "machine", m, &error_abort);
    object_unref(m);
    object_container(m, "unattached");
    object_container(m, "peripheral");
    object_container(m, "peripheral-anon");
    return MACHINE(m);
}

const MachineOps *machine_ops(const MachineState *m)
{
    return object_ops(m, &machine_type);
}

typedef struct MachineSearch {
    const char *name;           /* NULL: the default one */
    const TypeInfo *found;
} MachineSearch;

static void match_machine(const TypeInfo *type, void *opaque)
{
    MachineSearch *s = opaque;
    const MachineOps *ops = type_ops(type, &machine_type);

    if (s->name ? strcmp(ops->name, s->name) == 0 || g_strcmp0(ops->alias, s->name) == 0
                : ops->is_default) {
        s->found = type;
    }
}

const TypeInfo *machine_find(const char *name, Error **errp)
{
    MachineSearch s = { .name = name };

    type_foreach(&machine_type, false, match_machine, &s);
    if (!s.found) {
        error_setg(errp, "unsupported machine type");
        error_append_hint(errp, "Use -machine help to list supported machines\n");
    }
    return s.found;
}

const TypeInfo *machine_default(void)
{
    MachineSearch s = { .name = NULL };

    type_foreach(&machine_type, false, match_machine, &s);
    return s.found;
}

static void collect(const TypeInfo *type, void *opaque)
{
    g_ptr_array_add(opaque, (void *)type_ops(type, &machine_type));
}

static int compare_names(const void *a, const void *b)
{
    const MachineOps *x = *(const MachineOps *const *)a, *y = *(const MachineOps *const *)b;

    return strcmp(x->name, y->name);
}

void machine_print_list(void)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new();

    type_foreach(&machine_type, false, collect, list);
    g_ptr_array_sort(list, compare_names);
    printf("Supported machines are:\n");
    for (guint i = 0; i < list->len; i++) {
        const MachineOps *ops = list->pdata[i];

        if (ops->alias) {
            printf("%-20s %s (alias of %s)\n", ops->alias, ops->description, ops->name);
        }
        printf("%-20s %s%s%s\n", ops->name, ops->description,
               ops->is_default ? " (default)" : "", ops->deprecation ? " (deprecated)" : "");
    }
}

/* ---- CPUs ---- */

/* What device_add said of this CPU comes before what -cpu said of all. */
bool machine_apply_cpu_options(const MachineState *m, Object *cpu, Error **errp)
{
    const JsonValue *own = DEVICE(cpu)->options;
    size_t n = own ? json_object_len(own) : 0;
    g_autofree const char **except = g_new0(const char *, n + 1);

    for (size_t i = 0; i < n; i++) {
        JsonValue *value;

        json_object_at(own, i, &except[i], &value);
    }
    return !m->cpu_options || object_set_properties(cpu, m->cpu_options, except, errp);
}

bool machine_create_cpus(const MachineState *m, Error **errp)
{
    for (unsigned i = 0; i < m->smp.cpus; i++) {
        Object *cpu = object_new_by_name(m->cpu_type, errp);

        if (!cpu) {
            return false;
        }
        if (!machine_apply_cpu_options(m, cpu, errp)) {
            object_unref(cpu);
            return false;
        }
        if (!device_realize_and_unref(DEVICE(cpu), NULL, errp)) {
            return false;
        }
    }
    return true;
}


/* "sockets (1) * dies (1) * cores (2) * threads (1)" */
static char *describe_topology(const MachineOps *ops, const CpuTopology *t)
{
    GString *s = g_string_new(NULL);

    g_string_append_printf(s, "sockets (%u)", t->sockets);
    if (ops->cpu_dies) {
        g_string_append_printf(s, " * dies (%u)", t->dies);
    }
    if (ops->cpu_clusters) {
        g_string_append_printf(s, " * clusters (%u)", t->clusters);
    }
    g_string_append_printf(s, " * cores (%u) * threads (%u)", t->cores, t->threads);
    return g_string_free(s, FALSE);
}

static bool check_range(const CpuTopologyOptions *o, Error **errp)
{
    const struct { bool has; uint64_t value; } all[] = {
        { o->has_cpus, o->cpus }, { o->has_maxcpus, o->maxcpus },
        { o->has_sockets, o->sockets }, { o->has_dies, o->dies },
        { o->has_clusters, o->clusters }, { o->has_cores, o->cores },
        { o->has_threads, o->threads },
    };

    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        /* The product of five such numbers must not wrap in 64 bits. */
        if (all[i].has && (all[i].value == 0 || all[i].value > 4096)) {
            error_setg(errp, "Invalid CPU topology: CPU topology parameters must be "
                       "greater than zero and at most 4096");
            return false;
        }
    }
    return true;
}

/* Fill in what was not given; 0 stands for that. */
static void complete_topology(CpuTopology *t)
{
    uint64_t fixed;

    t->dies = t->dies ? t->dies : 1;
    t->clusters = t->clusters ? t->clusters : 1;
    if (!t->cpus && !t->max_cpus) {
        t->sockets = t->sockets ? t->sockets : 1;
        t->cores = t->cores ? t->cores : 1;
        t->threads = t->threads ? t->threads : 1;
    } else {
        t->max_cpus = t->max_cpus ? t->max_cpus : t->cpus;
        if (!t->cores) {
            t->sockets = t->sockets ? t->sockets : 1;
            t->threads = t->threads ? t->threads : 1;
            fixed = (uint64_t)t->sockets * t->dies * t->clusters * t->threads;
            t->cores = t->max_cpus / fixed;
        } else if (!t->sockets) {
            t->threads = t->threads ? t->threads : 1;
            fixed = (uint64_t)t->dies * t->clusters * t->cores * t->threads;
            t->sockets = t->max_cpus / fixed;
        }
        if (!t->threads) {
            fixed = (uint64_t)t->sockets * t->dies * t->clusters * t->cores;
            t->threads = fixed ? t->max_cpus / fixed : 0;
        }
    }
}

bool machine_set_topology(MachineState *m, const CpuTopologyOptions *o, Error **errp)
{
    const MachineOps *ops = machine_ops(m);
    unsigned limit = ops->max_cpus ? ops->max_cpus : 1;
    CpuTopology t = {
        .cpus = o->cpus, .max_cpus = o->maxcpus, .sockets = o->sockets, .dies = o->dies,
        .clusters = o->clusters, .cores = o->cores, .threads = o->threads,
    };
    g_autofree char *text = NULL;
    uint64_t total;

    if (!check_range(o, errp)) {
        return false;
    }
    if ((t.dies > 1 && !ops->cpu_dies) || (t.clusters > 1 && !ops->cpu_clusters)) {
        error_setg(errp, "%s not supported by this machine's CPU topology",
                   t.dies > 1 && !ops->cpu_dies ? "dies" : "clusters");
        return false;
    }
    complete_topology(&t);
    total = (uint64_t)t.sockets * t.dies * t.clusters * t.cores * t.threads;
    t.max_cpus = t.max_cpus ? t.max_cpus : total;
    t.cpus = t.cpus ? t.cpus : t.max_cpus;
    text = describe_topology(ops, &t);
    if (total != t.max_cpus) {
        error_setg(errp, "Invalid CPU topology: product of the hierarchy must match maxcpus: "
                   "%s != maxcpus (%u)", text, t.max_cpus);
        return false;
    }
    if (t.max_cpus < t.cpus) {
        error_setg(errp, "Invalid CPU topology: maxcpus must be equal to or greater than smp: "
                   "%s == maxcpus (%u) < smp_cpus (%u)", text, t.max_cpus, t.cpus);
        return false;
    }
    if (t.max_cpus > limit) {
        error_setg(errp, "Invalid SMP CPUs %u. The max CPUs supported by machine '%s' is %u",
                   t.max_cpus, ops->name, limit);
        return false;
    }
    m->smp = t;
    return true;
}
