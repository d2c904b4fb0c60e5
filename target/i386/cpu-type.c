/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * x86_64 CPU objects: properties, what follows from them, realize; the types
 * "host" and "max".
 *
 * Main thread with the machine lock.
 */
#include "util/osdep.h"
#include "accel/kvm.h"
#include "hw/core/numa.h"
#include "hyperv.h"
#include "kvm/kvm-x86.h"
#include "models.h"

/* CPU state of the machine before there is one: a single CPU. */
static const CpuTopology single = { .cpus = 1, .max_cpus = 1, .sockets = 1, .dies = 1,
                                    .clusters = 1, .cores = 1, .threads = 1 };

static const CpuTopology *topology(void)
{
    MachineState *m = machine_current();

    return m && m->smp.cpus ? &m->smp : &single;
}

/* ---- what follows from the properties ---- */

static bool check_vendor(const X86Cpu *cpu, Error **errp)
{
    if (cpu->vendor && strlen(cpu->vendor) != 12) {
        error_setg(errp, "value of property 'vendor' must consist of exactly 12 characters,"
                   " not '%s'", cpu->vendor);
        return false;
    }
    return true;
}

static bool check_hv(const X86Cpu *cpu, Error **errp)
{
    unsigned count = 0;
    const X86CpuidEntry *list = NULL;

    if (!x86_on_kvm() || !x86_hv_enabled(cpu)) {
        return true;
    }
    list = kvm_x86_hv_cpuid(&count);
    return x86_hv_check(cpu, list, count, errp);
}

static bool choose_phys_bits(X86Cpu *cpu, Error **errp)
{
    unsigned host = 40;

    if (x86_on_kvm()) {
        unsigned count;
        const X86CpuidEntry *list = kvm_x86_supported_cpuid(&count);
        const X86CpuidEntry *e = x86_cpuid_find(list, count, 0x80000008, 0);
        host = e && (e->eax & 0xff) ? e->eax & 0xff : 36;
    }
    if (cpu->phys_bits) {
        if (cpu->phys_bits < 32 || cpu->phys_bits > 52) {
            error_setg(errp, "phys-bits should be between 32 and 52 (but is %u)", cpu->phys_bits);
            return false;
        }
        if (cpu->phys_bits > host && x86_on_kvm()) {
            warn_report("Host physical bits (%u) is less than phys-bits property (%u)", host,
                        cpu->phys_bits);
        }
        return true;
    }
    cpu->phys_bits = cpu->host_phys_bits ? host : 40;
    if (cpu->host_phys_bits_limit && cpu->phys_bits > cpu->host_phys_bits_limit) {
        cpu->phys_bits = cpu->host_phys_bits_limit;
    }
    return true;
}

/* Ids that no property gave, from the index. */
static void choose_ids(X86Cpu *cpu, const CpuTopology *t)
{
    X86CpuIds ids;

    if (cpu->cpu.index < 0) {
        cpu->cpu.index = cpu_count();
    }
    ids = x86_cpu_ids(t, cpu->cpu.index);
    if (cpu->apic_id == UINT32_MAX) {
        cpu->apic_id = x86_apic_id(t, cpu->cpu.index);
    }
    cpu->socket_id = cpu->socket_id < 0 ? (int32_t)ids.socket : cpu->socket_id;
    cpu->die_id = cpu->die_id < 0 ? (int32_t)ids.die : cpu->die_id;
    cpu->core_id = cpu->core_id < 0 ? (int32_t)ids.core : cpu->core_id;
    cpu->thread_id = cpu->thread_id < 0 ? (int32_t)ids.thread : cpu->thread_id;
}

bool x86_cpu_prepare(X86Cpu *cpu, Error **errp)
{
    const CpuTopology *t = topology();

    choose_ids(cpu, t);
    x86_cpu_expand_features(cpu);
    if (!check_vendor(cpu, errp) || !x86_cpu_filter_features(cpu, errp) ||
        !choose_phys_bits(cpu, errp) || !check_hv(cpu, errp)) {
        return false;
    }
    if (x86_on_kvm()) {
        unsigned count;
        const X86CpuidEntry *host = kvm_x86_supported_cpuid(&count);
        x86_cpuid_build(cpu, t, host, count);
    }
    return true;
}

/* ---- who it says it is ---- */

static const X86CpuidEntry *host_list(unsigned *count)
{
    *count = 0;
    return x86_on_kvm() ? kvm_x86_supported_cpuid(count) : NULL;
}

static uint32_t host_eax(const X86Cpu *cpu, uint32_t function)
{
    unsigned count;
    const X86CpuidEntry *list = host_list(&count);
    const X86CpuidEntry *e = cpu->is_host ? x86_cpuid_find(list, count, function, 0) : NULL;

    return e ? e->eax : 0;
}

static bool get_vendor(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    unsigned count;
    const X86CpuidEntry *list = host_list(&count);
    char text[13];

    x86_cpu_vendor(X86_CPU(obj), list, count, text);
    *value = json_string(text);
    return true;
}

static bool get_model_id(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    const X86Cpu *cpu = X86_CPU(obj);
    const char *text = cpu->model_id ? cpu->model_id : cpu->base.model_id;
    char brand[49] = { 0 };
    unsigned count;
    const X86CpuidEntry *list = host_list(&count);

    for (uint32_t i = 0; cpu->is_host && i < 3; i++) {
        const X86CpuidEntry *e = x86_cpuid_find(list, count, 0x80000002 + i, 0);
        const uint32_t regs[] = { e ? e->eax : 0, e ? e->ebx : 0, e ? e->ecx : 0, e ? e->edx : 0 };
        memcpy(brand + 16 * i, regs, sizeof(regs));
    }
    *value = json_string(text ? text : brand);
    return true;
}

static bool get_family(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    const X86Cpu *cpu = X86_CPU(obj);

    *value = json_int(cpu->family >= 0 ? cpu->family
                      : cpu->is_host ? x86_cpuid_family(host_eax(cpu, 1)) : cpu->base.family);
    return true;
}

static bool get_model(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    const X86Cpu *cpu = X86_CPU(obj);

    *value = json_int(cpu->model >= 0 ? cpu->model
                      : cpu->is_host ? x86_cpuid_model(host_eax(cpu, 1)) : cpu->base.model);
    return true;
}

static bool get_stepping(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    const X86Cpu *cpu = X86_CPU(obj);

    *value = json_int(cpu->stepping >= 0 ? cpu->stepping
                      : cpu->is_host ? host_eax(cpu, 1) & 0xf : cpu->base.stepping);
    return true;
}

static bool get_min_level(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    const X86Cpu *cpu = X86_CPU(obj);

    *value = json_int(MAX(x86_cpu_min_level(cpu), host_eax(cpu, 0)));
    return true;
}

static bool get_min_xlevel(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    const X86Cpu *cpu = X86_CPU(obj);

    *value = json_int(MAX(x86_cpu_min_xlevel(cpu), host_eax(cpu, 0x80000000)));
    return true;
}

static bool get_level(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    const X86Cpu *cpu = X86_CPU(obj);

    *value = json_int(MAX(x86_cpu_level(cpu), cpu->level == UINT32_MAX ? host_eax(cpu, 0) : 0));
    return true;
}

static bool get_xlevel(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    const X86Cpu *cpu = X86_CPU(obj);

    *value = json_int(MAX(x86_cpu_xlevel(cpu),
                          cpu->xlevel == UINT32_MAX ? host_eax(cpu, 0x80000000) : 0));
    return true;
}

static bool get_unavailable(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    *value = x86_cpu_unavailable(X86_CPU(obj));
    return true;
}

/* ---- what cannot be switched on, or only by name ---- */

static bool set_lmce(Object *obj, const ObjectProperty *p, const JsonValue *value, Error **errp)
{
    X86Cpu *cpu = X86_CPU(obj);

    if (!prop_kind_bool.set(obj, p, value, errp)) {
        return false;
    }
    if (cpu->lmce) {
        cpu->lmce = false;
        error_setg(errp, "lmce=on is not supported: machine checks go to all CPUs");
        return false;
    }
    return true;
}

static bool set_legacy_cache(Object *obj, const ObjectProperty *p, const JsonValue *value,
                             Error **errp)
{
    X86Cpu *cpu = X86_CPU(obj);
    const X86CpuModelOps *ops = x86_cpu_model_ops(obj->type);

    if (!prop_kind_bool.set(obj, p, value, errp)) {
        return false;
    }
    if (!cpu->legacy_cache && !cpu->is_host && !ops->model->caches) {
        error_setg(errp, "legacy-cache=off: the CPU model has no caches of its own");
        return false;
    }
    cpu->base.caches = cpu->legacy_cache ? &x86_caches_common
                                         : ops ? ops->model->caches : NULL;
    return true;
}

static bool get_legacy_cache(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    const X86Cpu *cpu = X86_CPU(obj);

    *value = json_bool(cpu->is_host || cpu->base.caches == &x86_caches_common);
    return true;
}

/* ---- a place in the topology ---- */

static bool check_id(const char *name, int32_t id, unsigned count, Error **errp)
{
    if (id < 0) {
        error_setg(errp, "CPU %s is not set", name);
        return false;
    }
    if ((unsigned)id >= count) {
        error_setg(errp, "Invalid CPU %s: %d must be in range 0:%u", name, id, count - 1);
        return false;
    }
    return true;
}

/* By the APIC id, or by the ids of the levels; the index in *@index. */
static bool find_place(X86Cpu *cpu, const CpuTopology *t, unsigned *index, Error **errp)
{
    unsigned threads = MAX(t->threads, 1u), dies = MAX(t->dies, 1u);
    unsigned cores = MAX(t->cores, 1u) * MAX(t->clusters, 1u);

    if (cpu->apic_id != UINT32_MAX) {
        for (*index = 0; *index < t->max_cpus; (*index)++) {
            if (x86_apic_id(t, *index) == cpu->apic_id) {
                return true;
            }
        }
        error_setg(errp, "Invalid CPU with APIC ID %u, valid index range 0:%u", cpu->apic_id,
                   t->max_cpus - 1);
        return false;
    }
    /* Who does not know of dies need not name the only one. */
    cpu->die_id = cpu->die_id < 0 && dies == 1 ? 0 : cpu->die_id;
    if (!check_id("socket-id", cpu->socket_id, MAX(t->sockets, 1u), errp) ||
        !check_id("die-id", cpu->die_id, dies, errp) ||
        !check_id("core-id", cpu->core_id, cores, errp) ||
        !check_id("thread-id", cpu->thread_id, threads, errp)) {
        return false;
    }
    *index = ((cpu->socket_id * dies + cpu->die_id) * cores + cpu->core_id) * threads +
             cpu->thread_id;
    return true;
}

static bool ids_agree(const X86Cpu *cpu, const X86CpuIds *ids, Error **errp)
{
    const struct { const char *name; int32_t given; unsigned is; } all[] = {
        { "socket-id", cpu->socket_id, ids->socket }, { "die-id", cpu->die_id, ids->die },
        { "core-id", cpu->core_id, ids->core }, { "thread-id", cpu->thread_id, ids->thread },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
        if (all[i].given >= 0 && (unsigned)all[i].given != all[i].is) {
            error_setg(errp, "property %s: %d doesn't match set apic-id: 0x%x (%s: %u)",
                       all[i].name, all[i].given, cpu->apic_id, all[i].name, all[i].is);
            return false;
        }
    }
    return true;
}

bool x86_cpu_place(X86Cpu *cpu, Error **errp)
{
    const CpuTopology *t = topology();
    unsigned index;
    X86CpuIds ids;

    if (!find_place(cpu, t, &index, errp)) {
        return false;
    }
    ids = x86_cpu_ids(t, index);
    if (!ids_agree(cpu, &ids, errp)) {
        return false;
    }
    if (cpu_by_index(index)) {
        error_setg(errp, "CPU[%u] with APIC ID %u exists", index, x86_apic_id(t, index));
        return false;
    }
    if (cpu->node_id >= 0 && (unsigned)cpu->node_id != numa_cpu_node(machine_current(), index)) {
        error_setg(errp, "node-id=%d must match numa node specified with -numa option", cpu->node_id);
        return false;
    }
    cpu->cpu.index = index;
    return true;
}

/* ---- realize ---- */

static bool x86_cpu_realize(DeviceState *dev, Error **errp)
{
    X86Cpu *cpu = X86_CPU(dev);

    if (!x86_cpu_prepare(cpu, errp)) {
        return false;
    }
    x86_cpu_reset(&cpu->cpu);
    /* As the others: see x86_cpu_set_boot_state(). */
    cpu->regs.firmware_absent = cpu_first() && X86_CPU(cpu_first())->regs.firmware_absent;
    if (!cpu_start_thread(&cpu->cpu, errp)) {
        return false;
    }
    cpu->cpu.state_loaded = true;
    cpu_state_changed(&cpu->cpu, CPU_STATE_RESET);
    return true;
}

static void x86_cpu_unrealize(DeviceState *dev)
{
    cpu_end_thread(&X86_CPU(dev)->cpu);
}

static void x86_cpu_finalize(Object *obj)
{
    X86Cpu *cpu = (X86Cpu *)obj;

    g_free(cpu->cpuid);
    g_free(cpu->regs.xsave);
}

static uint64_t x86_cpu_arch_id(CpuState *cs)
{
    return X86_CPU(cs)->apic_id;
}

static const CpuOps x86_cpu_ops = {
    .print_state = x86_cpu_print_state,
    .dump_notes = x86_cpu_dump_notes,
    .get_register = x86_cpu_get_register,
    .translate = x86_cpu_translate,
    .print_mappings = x86_cpu_print_mappings,
    .arch_id = x86_cpu_arch_id,
    .reset = x86_cpu_reset,
    .describe_model = x86_cpu_describe_model,
    .print_models = x86_cpu_print_models,
};

static const DeviceOps x86_device_ops = {
    .realize = x86_cpu_realize, .unrealize = x86_cpu_unrealize,
    .state = &x86_cpu_state, .state_place = cpu_state_place, .category = DEVICE_CATEGORY_CPU,
    .user_creatable = CONFIG_CPU_HOTPLUG, .hotpluggable = CONFIG_CPU_HOTPLUG,
};

/* ---- properties and types ---- */

#define IDENTITY(n, type, k, field_, ...)                                                \
    { .name = (n), .kind = &prop_kind_##k, .offset = offsetof(X86Cpu, field_),          \
      .type_name = (type), .get = get_##field_, __VA_ARGS__ }

#define HV(n, part, desc) PROP_BIT64(n, X86Cpu, hv, X86_HV_##part, false, "Hyper-V: " desc)

static const ObjectProperty x86_cpu_properties[] = {
    PROP_UINT32("apic-id", X86Cpu, apic_id, UINT32_MAX, "APIC id; by default from the topology"),
    PROP_INT32("socket-id", X86Cpu, socket_id, -1, "its socket"),
    PROP_INT32("die-id", X86Cpu, die_id, -1, "its die in the socket"),
    PROP_INT32("core-id", X86Cpu, core_id, -1, "its core in the die"),
    PROP_INT32("thread-id", X86Cpu, thread_id, -1, "its thread in the core"),
    PROP_INT32("node-id", X86Cpu, node_id, -1, "its NUMA node, as -numa has it"),
    PROP_BOOL("kvm", X86Cpu, kvm, true, "show the guest that it runs on KVM"),
    PROP_BOOL("pmu", X86Cpu, pmu, true, "performance counters"),
    PROP_BOOL("check", X86Cpu, check, true, "warn of features that the host lacks"),
    PROP_BOOL("enforce", X86Cpu, enforce, false, "refuse to start without a requested feature"),
    PROP_BOOL("host-cache-info", X86Cpu, host_cache_info, true, "describe the host's caches"),
    PROP_UINT32("phys-bits", X86Cpu, phys_bits, 0, "physical address bits; 0: see host-phys-bits"),
    PROP_BOOL("host-phys-bits", X86Cpu, host_phys_bits, true,
              "as many physical address bits as the host"),
    PROP_UINT8("host-phys-bits-limit", X86Cpu, host_phys_bits_limit, 0,
               "but at most so many; 0: no limit"),
    PROP_INT64("tsc-frequency", X86Cpu, tsc_frequency, 0, "Hz; 0: the host's"),
    IDENTITY("vendor", "string", string, vendor, .description = "CPUID vendor text, 12 characters"),
    IDENTITY("model-id", "string", string, model_id, .description = "CPUID brand text"),
    IDENTITY("family", "int", int64, family, .def.i = -1, .description = "CPUID family"),
    IDENTITY("model", "int", int64, model, .def.i = -1, .description = "CPUID model"),
    IDENTITY("stepping", "int", int64, stepping, .def.i = -1, .description = "CPUID stepping"),
    IDENTITY("level", "uint32", uint32, level, .def.u = UINT32_MAX,
             .description = "highest standard CPUID leaf"),
    IDENTITY("xlevel", "uint32", uint32, xlevel, .def.u = UINT32_MAX,
             .description = "highest extended CPUID leaf"),
    IDENTITY("min-level", "uint32", uint32, min_level,
             .description = "highest standard leaf that the features need"),
    IDENTITY("min-xlevel", "uint32", uint32, min_xlevel,
             .description = "highest extended leaf that the features need"),
    PROP_UINT64("ucode-rev", X86Cpu, ucode_rev, 0, "microcode revision; 0: the host's"),
    PROP_BOOL("l3-cache", X86Cpu, l3_cache, true, "a model's caches include a third level"),
    { .name = "legacy-cache", .kind = &prop_kind_bool, .offset = offsetof(X86Cpu, legacy_cache),
      .get = get_legacy_cache, .set = set_legacy_cache,
      .description = "caches that all models have in common, not the model's own" },
    { .name = "lmce", .kind = &prop_kind_bool, .offset = offsetof(X86Cpu, lmce), .set = set_lmce,
      .description = "machine checks of one CPU only (not supported: must be off)" },
    PROP_BOOL("kvm-pv-enforce-cpuid", X86Cpu, pv_enforce_cpuid, false,
              "KVM features that CPUID does not show do not work"),
    HV("hv-relaxed", RELAXED, "no watchdogs that a busy host would trip"),
    HV("hv-vapic", VAPIC, "APIC registers as MSRs"),
    HV("hv-vpindex", VPINDEX, "each CPU knows its number"),
    HV("hv-runtime", RUNTIME, "how long a CPU has run"),
    HV("hv-crash", CRASH, "the guest can tell of its crash"),
    HV("hv-time", TIME, "reference time counter and page"),
    HV("hv-synic", SYNIC, "synthetic interrupt controller"),
    HV("hv-stimer", STIMER, "synthetic timers"),
    HV("hv-stimer-direct", STIMER_DIRECT, "synthetic timers that interrupt directly"),
    HV("hv-reset", RESET, "the guest can reset itself"),
    HV("hv-frequencies", FREQUENCIES, "TSC and APIC frequencies as MSRs"),
    HV("hv-reenlightenment", REENLIGHTENMENT, "news of a changed TSC frequency"),
    HV("hv-tlbflush", TLBFLUSH, "flush the TLBs of other CPUs"),
    HV("hv-ipi", IPI, "interrupt other CPUs"),
    HV("hv-avic", AVIC, "recommend what leaves the hardware's APIC alone"),
    { .name = "hv-apicv", .kind = &prop_kind_bit64, .offset = offsetof(X86Cpu, hv),
      .bit = X86_HV_AVIC, .flags = PROP_HIDDEN },
    HV("hv-xmm-input", XMM_INPUT, "hypercalls with arguments in XMM registers"),
    PROP_UINT32("hv-spinlocks", X86Cpu, hv_spinlocks, UINT32_MAX,
                "tries at a lock before telling the hypervisor"),
    PROP_BOOL("hv-passthrough", X86Cpu, hv_passthrough, false, "all of Hyper-V that KVM has"),
    PROP_BOOL("hv-enforce-cpuid", X86Cpu, hv_enforce_cpuid, false,
              "Hyper-V features that CPUID does not show do not work"),
    PROP_STRING("hv-vendor-id", X86Cpu, hv_vendor_id, "Hyper-V's name, at most 12 characters"),
    PROP_UINT32("hv-version-id-build", X86Cpu, hv_version.build, 14393, "its build number"),
    PROP_UINT16("hv-version-id-major", X86Cpu, hv_version.major, 10, "its major version"),
    PROP_UINT16("hv-version-id-minor", X86Cpu, hv_version.minor, 0, "its minor version"),
    PROP_UINT32("hv-version-id-spack", X86Cpu, hv_version.spack, 0, "its service pack"),
    PROP_UINT8("hv-version-id-sbranch", X86Cpu, hv_version.sbranch, 0, "its service branch"),
    PROP_UINT32("hv-version-id-snumber", X86Cpu, hv_version.snumber, 0, "its service number"),
    PROP_CUSTOM("unavailable-features", "strList", get_unavailable, NULL, PROP_READ_ONLY,
                "features that were asked for and this host lacks"),
    PROP_END
};

/* The features are a table of their own, in a parent. */
OBJECT_TYPE_STATIC(x86_feature_type) = {
    .name = "x86-cpu-features", .parent = &cpu_type, .abstract = true,
    .instance_size = sizeof(X86Cpu),
    .properties = x86_feature_properties,
};

OBJECT_TYPE(x86_cpu_type) = {
    .name = X86_CPU_TYPE_SUFFIX, .parent = &x86_feature_type, .abstract = true,
    .instance_size = sizeof(X86Cpu),
    .description = "x86_64 CPU",
    .properties = x86_cpu_properties,
    .impls = TYPE_IMPLS({ &device_type, &x86_device_ops }, { &cpu_type, &x86_cpu_ops }),
    .instance_finalize = x86_cpu_finalize,
};

static void host_cpu_init(Object *obj)
{
    ((X86Cpu *)obj)->is_host = true;
}

static const ObjectProperty host_cpu_properties[] = {
    PROP_BOOL("migratable", X86Cpu, migratable, true, "leave out what ties the guest to this host"),
    PROP_END
};

OBJECT_TYPE(x86_host_cpu_type) = {
    .name = "host-" X86_CPU_TYPE_SUFFIX, .parent = &x86_cpu_type,
    .description = "processor with all supported host features",
    .properties = host_cpu_properties, .instance_init = host_cpu_init,
};

OBJECT_TYPE_STATIC(max_cpu_type) = {
    .name = "max-" X86_CPU_TYPE_SUFFIX, .parent = &x86_cpu_type,
    .description = "Enables all features supported by the accelerator in the current host",
    .properties = host_cpu_properties, .instance_init = host_cpu_init,
};
