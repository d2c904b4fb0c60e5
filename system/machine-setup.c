/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From options to a machine: its object, accelerator, memory and board. Main
 * thread, at start-up.
 */
#include "util/osdep.h"
#include <sys/mman.h>
#include "accel/accel.h"
#include "backends/memory-backend.h"
#include "hw/core/numa.h"
#include "system/cpus.h"
#include "system/runstate.h"
#include "system/startup.h"
#include "system/target.h"

/* A machine without CPUs has nothing to run: "none". */
static bool has_cpus(const MachineState *m)
{
    return machine_ops(m)->max_cpus > 0;
}

/* Old scripts write some names with '_'. */
static bool set_property(MachineState *m, const char *key, const JsonValue *value, Error **errp)
{
    g_autofree char *dashed = NULL;

    if (!object_property_find(m, key) && strchr(key, '_')) {
        dashed = g_strdelimit(g_strdup(key), "_", '-');
        if (object_property_find(m, dashed)) {
            key = dashed;
        }
    }
    return object_property_set(m, key, value, errp);
}

static bool set_properties(MachineState *m, Error **errp)
{
    size_t n = startup.machine_options ? json_object_len(startup.machine_options) : 0;

    for (size_t i = 0; i < n; i++) {
        const char *key;
        JsonValue *value;

        json_object_at(startup.machine_options, i, &key, &value);
        if (!set_property(m, key, value, errp)) {
            return false;
        }
    }
    if (startup.no_acpi) {
        m->acpi = false;
        if (object_property_find(m, "acpi")) {
            return object_property_set_string(m, "acpi", "off", errp);
        }
    }
    return true;
}

static bool set_memory(MachineState *m, Error **errp)
{
    if (startup.has_ram_size && startup.ram_size) {
        /* Whole pages of any host. */
        m->ram_size = ROUND_UP(startup.ram_size, 8 * KIB);
    }
    m->max_ram_size = m->ram_size;
    if (startup.has_ram_slots && startup.ram_slots && !startup.has_ram_max) {
        error_setg(errp, "slots specified but no max-size");
        return false;
    }
    if (startup.has_ram_max) {
        if (startup.ram_max < m->ram_size) {
            error_setg(errp, "invalid value of maxmem: maximum memory size (0x%" PRIx64 ") must "
                       "be at least the initial memory size (0x%" PRIx64 ")",
                       startup.ram_max, m->ram_size);
            return false;
        }
        m->max_ram_size = startup.ram_max;
    }
    if (startup.ram_slots > 256) {
        error_setg(errp, "invalid value of slots: %" PRIu64 "; at most 256 are possible",
                   startup.ram_slots);
        return false;
    }
    m->ram_slots = startup.ram_slots;
    return true;
}

bool machine_setup_create(Error **errp)
{
    const TypeInfo *type = startup.machine_name ? machine_find(startup.machine_name, errp)
                                                : machine_default();
    MachineState *m;

    if (!type) {
        if (!startup.machine_name) {
            error_setg(errp, "No machine specified, and there is no default");
            error_append_hint(errp, "Use -machine help to list supported machines\n");
        }
        return false;
    }
    m = machine_new(type);
    if (machine_ops(m)->deprecation) {
        warn_report("Machine type '%s' is deprecated: %s", machine_ops(m)->name,
                    machine_ops(m)->deprecation);
    }
    m->uuid = g_strdup(startup.uuid);
    return set_properties(m, errp) && set_memory(m, errp) &&
           machine_set_topology(m, &startup.smp, errp);
}

/* ---- accelerator ---- */

/* "a:b" with the options that -machine gives for it. */
static JsonValue *choices_from_names(const char *names)
{
    g_auto(GStrv) list = g_strsplit(names, ":", -1);
    JsonValue *choices = json_array();

    for (char **name = list; *name; name++) {
        JsonValue *choice = json_object();

        json_object_set_string(choice, "accel", *name);
        json_array_add_take(choices, choice);
    }
    return choices;
}

/* -machine kernel_irqchip= and the like belong to the accelerator, where it has such a property. */
static void add_machine_options(JsonValue *choices)
{
    size_t n = startup.accel_options ? json_object_len(startup.accel_options) : 0;

    for (size_t c = 0; c < json_array_len(choices); c++) {
        JsonValue *choice = json_array_at(choices, c);

        if (g_strcmp0(json_object_get_string(choice, "accel"), "kvm") != 0) {
            continue;
        }
        for (size_t i = 0; i < n; i++) {
            const char *key;
            JsonValue *value;

            json_object_at(startup.accel_options, i, &key, &value);
            if (!json_object_has(choice, key)) {
                json_object_set_take(choice, key, json_ref(value));
            }
        }
    }
}

bool machine_setup_accel(Error **errp)
{
    MachineState *m = machine_current();
    g_autoptr(JsonValue) choices = NULL;

    /* An accelerator listens to what is mapped from the start. */
    system_memory_init();
    if (startup.accels && startup.machine_accels) {
        error_setg(errp, "The -accel and \"-machine accel=\" options are incompatible");
        return false;
    }
    if (startup.accels) {
        choices = json_ref(startup.accels);
    } else if (startup.machine_accels) {
        choices = choices_from_names(startup.machine_accels);
    } else if (has_cpus(m)) {
        choices = choices_from_names("kvm");
    } else {
        choices = json_array();
    }
    add_machine_options(choices);
    return accel_init(choices, !has_cpus(m), OBJECT(m), errp);
}

/* ---- memory, CPU model, board ---- */

static bool use_backend(MachineState *m, MemoryBackend *backend, Error **errp)
{
    if (!memory_backend_claim(backend, errp)) {
        return false;
    }
    m->memory_backend = OBJECT(backend);
    m->ram = memory_backend_region(backend);
    return true;
}

static bool setup_memory(MachineState *m, Error **errp)
{
    const MachineOps *ops = machine_ops(m);
    const DefaultMemoryOptions defaults = {
        .merge = m->mem_merge, .dump = m->dump_guest_core, .prealloc = startup.mem_prealloc,
        .path = startup.mem_path,
    };
    MemoryBackend *backend;
    Object *obj;

    if (m->numa && m->numa->has_memdev) {
        return machine_numa_claim_memory(m, errp);
    }
    if (m->memory_backend_id) {
        obj = object_child(object_objects_root(), m->memory_backend_id);
        backend = object_cast_or_null(obj, &memory_backend_type);
        if (!backend) {
            error_setg(errp, "Memory backend '%s' not found", m->memory_backend_id);
            return false;
        }
        if (startup.has_ram_size && memory_backend_size(backend) != m->ram_size) {
            error_setg(errp, "Machine memory size does not match the size of the memory backend");
            return false;
        }
        m->ram_size = memory_backend_size(backend);
        m->max_ram_size = MAX(m->max_ram_size, m->ram_size);
        return use_backend(m, backend, errp);
    }
    if (!ops->default_ram_id || !m->ram_size) {
        return true;
    }
    if (object_child(object_objects_root(), ops->default_ram_id)) {
        error_setg(errp, "object name '%s' is reserved for the default RAM backend, it can't be "
                   "used for any other purposes; change the object's 'id' to something else",
                   ops->default_ram_id);
        return false;
    }
    backend = memory_backend_new_default(ops->default_ram_id, m->ram_size, &defaults, errp);
    return backend && use_backend(m, backend, errp);
}

bool machine_setup_cpu_model(Error **errp)
{
    MachineState *m = machine_current();
    const TypeInfo *type;
    char *name = NULL;

    if (!startup.cpu) {
        return true;
    }
    if (!cpu_parse_model(startup.cpu, system_target.cpu_suffix, &name, &m->cpu_options, errp)) {
        return false;
    }
    g_free(m->cpu_type);
    m->cpu_type = name;
    type = type_find(name);
    if (!type || !type_is_a(type, &cpu_type) || type->abstract) {
        error_setg(errp, "unable to find CPU model '%.*s'", (int)strcspn(startup.cpu, ","),
                   startup.cpu);
        return false;
    }
    return true;
}

bool machine_setup_init(Error **errp)
{
    MachineState *m = machine_current();

    if (!machine_numa_finish(m, errp) || !setup_memory(m, errp)) {
        return false;
    }
    if (startup.mem_lock && mlockall(MCL_CURRENT | MCL_FUTURE) < 0) {
        error_setg_errno(errp, errno, "locking memory failed");
        return false;
    }
    if (!machine_ops(m)->init(m, errp)) {
        return false;
    }
    OBJECT(m)->frozen = true;
    return true;
}

bool machine_setup_ready(Error **errp)
{
    MachineState *m = machine_current();
    const MachineOps *ops = machine_ops(m);

    device_global_check();
    if (!options_check_set(errp)) {
        return false;
    }
    device_set_machine_ready();
    if (ops->ready && !ops->ready(m, errp)) {
        return false;
    }
    system_reset(SHUTDOWN_CAUSE_NONE);
    return true;
}
