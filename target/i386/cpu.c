/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * x86_64 CPU objects: properties, realize, power-on state, direct-boot state
 * (Intel SDM volume 3A, 10.1.1; Xen PVH start-up; Linux boot protocol).
 *
 * Main thread with the machine lock.
 */
#include "util/osdep.h"
#include "accel/kvm.h"
#include "boot.h"
#include "features.h"
#include "kvm/kvm-x86.h"
#include "system/machine-lock.h"

#define APIC_DEFAULT_BASE 0xfee00000u
#define APIC_BASE_BSP BIT(8)
#define APIC_BASE_ENABLE BIT(11)

#define CR0_PE BIT(0)
#define CR0_ET BIT(4)
#define CR0_PG BIT(31)
#define CR4_PAE BIT(5)
#define EFER_LME BIT(8)
#define EFER_LMA BIT(10)

/* CPU state of the machine before there is one: a single CPU. */
static const CpuTopology single = { .cpus = 1, .max_cpus = 1, .sockets = 1, .dies = 1,
                                    .clusters = 1, .cores = 1, .threads = 1 };

static const CpuTopology *topology(void)
{
    MachineState *m = machine_current();

    return m && m->smp.cpus ? &m->smp : &single;
}

bool x86_cpu_is_boot_cpu(const X86Cpu *cpu)
{
    return cpu->cpu.index == 0;
}

/* ---- power-on ---- */

static X86Segment real_mode_segment(unsigned type_and_s)
{
    return (X86Segment){ .limit = 0xffff, .rights = X86_AR_P | type_and_s };
}

static void reset_lapic(uint8_t *lapic, const X86Cpu *cpu)
{
    static const struct {
        uint16_t offset;
        uint32_t value;
    } values[] = {
        { 0x30, 0x00050014 },   /* version: 6 local vectors */
        { 0xe0, 0xffffffff },   /* destination format: flat */
        { 0xf0, 0xff },         /* spurious vector, software-disabled */
        { 0x320, 0x10000 }, { 0x330, 0x10000 }, { 0x340, 0x10000 },     /* local vectors: masked */
        { 0x350, 0x10000 }, { 0x360, 0x10000 }, { 0x370, 0x10000 },
    };
    uint32_t id = cpu->apic_id << 24;

    memset(lapic, 0, X86_LAPIC_SIZE);
    memcpy(lapic + 0x20, &id, 4);
    for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
        memcpy(lapic + values[i].offset, &values[i].value, 4);
    }
}

void x86_reset_xsave(X86Registers *r)
{
    uint16_t fcw = 0x37f;
    uint32_t mxcsr = 0x1f80;

    if (r->xsave) {
        memset(r->xsave, 0, r->xsave_size);
        memcpy(r->xsave, &fcw, sizeof(fcw));
        memcpy(r->xsave + 24, &mxcsr, sizeof(mxcsr));
    }
}

void x86_cpu_reset(CpuState *cs)
{
    X86Cpu *cpu = X86_CPU(cs);
    X86Registers *r = &cpu->regs;
    const X86CpuidEntry *leaf = x86_cpuid_find(cpu->cpuid, cpu->cpuid_count, 1, 0);
    bool boot = x86_cpu_is_boot_cpu(cpu);
    uint8_t *xsave = r->xsave;
    uint32_t xsave_size = r->xsave_size;

    *r = (X86Registers){
        .rip = 0xfff0, .rflags = 2, .cr0 = 0x60000010,
        .dr6 = 0xffff0ff0, .dr7 = 0x400, .xcr0 = 1,
        .apic_base = APIC_DEFAULT_BASE | APIC_BASE_ENABLE | (boot ? APIC_BASE_BSP : 0),
        .gdt = { .limit = 0xffff }, .idt = { .limit = 0xffff },
        .mp_state = boot ? X86_MP_RUNNABLE : X86_MP_WAIT_FOR_INIT,
        .xsave = xsave, .xsave_size = xsave_size,
    };
    for (int i = X86_ES; i <= X86_GS; i++) {
        r->segment[i] = real_mode_segment(X86_AR_S | 3);
    }
    r->segment[X86_CS] = real_mode_segment(X86_AR_S | 0xb);
    r->segment[X86_CS].selector = 0xf000;
    r->segment[X86_CS].base = 0xffff0000;
    r->segment[X86_LDT] = real_mode_segment(2);
    r->segment[X86_TR] = real_mode_segment(0xb);
    r->gpr[X86_RDX] = leaf ? leaf->eax : 0x600;
    reset_lapic(r->lapic, cpu);
    x86_reset_xsave(r);
}

/* ---- direct boot ---- */

static X86Segment flat_segment(uint16_t selector, uint32_t rights)
{
    return (X86Segment){
        .limit = 0xffffffff, .selector = selector,
        .rights = rights | X86_AR_S | X86_AR_P | X86_AR_G,
    };
}

static void set_flat_segments(X86Registers *r, uint16_t code, uint32_t code_rights, uint16_t data)
{
    for (int i = X86_ES; i <= X86_GS; i++) {
        r->segment[i] = flat_segment(data, X86_AR_DB | 3);
    }
    r->segment[X86_CS] = flat_segment(code, code_rights | 0xb);
    r->segment[X86_LDT] = (X86Segment){ .rights = X86_AR_UNUSABLE };
    r->segment[X86_TR] = (X86Segment){
        .selector = data + 8, .limit = 0x67, .rights = X86_AR_P | 0xb,
    };
}

void x86_cpu_set_boot_state(CpuState *cs, const X86BootState *boot)
{
    X86Cpu *cpu = X86_CPU(cs);
    X86Registers *r = &cpu->regs;

    if (boot->mode == X86_BOOT_FLAT32) {
        set_flat_segments(r, 0x8, X86_AR_DB, 0x10);
        r->cr0 = CR0_PE | CR0_ET;
        r->cr4 = 0;
        r->efer = 0;
    } else {
        set_flat_segments(r, 0x10, X86_AR_L, 0x18);
        r->cr0 = CR0_PE | CR0_ET | CR0_PG;
        r->cr3 = boot->cr3;
        r->cr4 = CR4_PAE;
        r->efer = EFER_LME | EFER_LMA;
    }
    r->rip = boot->rip;
    r->rflags = 2;
    r->gpr[X86_RAX] = boot->rax;
    r->gpr[X86_RBX] = boot->rbx;
    r->gpr[X86_RSI] = boot->rsi;
    r->gpr[X86_RSP] = boot->rsp;
    r->gpr[X86_RDX] = 0;
    r->gdt = (X86Table){ boot->gdt_base, boot->gdt_limit };
    r->idt = (X86Table){ 0, 0 };
    cpu_state_changed(cs, CPU_STATE_RESET);
    /* What firmware would have done on every CPU. */
    CPU_FOREACH(other) {
        X86_CPU(other)->regs.firmware_absent = true;
    }
}

/* ---- realize ---- */

static bool check_vendor(const X86Cpu *cpu, Error **errp)
{
    if (cpu->vendor && strlen(cpu->vendor) != 12) {
        error_setg(errp, "Property 'vendor' takes 12 characters, not '%s'", cpu->vendor);
        return false;
    }
    return true;
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
    if (!check_vendor(cpu, errp) || !x86_cpu_expand_features(cpu, errp) ||
        !choose_phys_bits(cpu, errp)) {
        return false;
    }
    if (x86_on_kvm()) {
        unsigned count;
        const X86CpuidEntry *host = kvm_x86_supported_cpuid(&count);
        x86_cpuid_build(cpu, t, host, count);
    }
    return true;
}

static bool x86_cpu_realize(DeviceState *dev, Error **errp)
{
    X86Cpu *cpu = X86_CPU(dev);

    if (!x86_cpu_prepare(cpu, errp)) {
        return false;
    }
    x86_cpu_reset(&cpu->cpu);
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
    .arch_id = x86_cpu_arch_id,
    .reset = x86_cpu_reset,
};

static const DeviceOps x86_device_ops = {
    .realize = x86_cpu_realize, .unrealize = x86_cpu_unrealize,
    .state = &x86_cpu_state, .category = DEVICE_CATEGORY_CPU,
};

static const ObjectProperty x86_cpu_properties[] = {
    PROP_UINT32("apic-id", X86Cpu, apic_id, UINT32_MAX, "APIC id; by default from the topology"),
    PROP_INT32("socket-id", X86Cpu, socket_id, -1, "its socket"),
    PROP_INT32("die-id", X86Cpu, die_id, -1, "its die in the socket"),
    PROP_INT32("core-id", X86Cpu, core_id, -1, "its core in the die"),
    PROP_INT32("thread-id", X86Cpu, thread_id, -1, "its thread in the core"),
    PROP_BOOL("migratable", X86Cpu, migratable, true, "leave out what ties the guest to this host"),
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
    PROP_STRING("vendor", X86Cpu, vendor, "CPUID vendor text, 12 characters"),
    PROP_STRING("model-id", X86Cpu, model_id, "CPUID brand text"),
    PROP_INT64("family", X86Cpu, family, -1, "CPUID family; -1: the host's"),
    PROP_INT64("model", X86Cpu, model, -1, "CPUID model; -1: the host's"),
    PROP_INT64("stepping", X86Cpu, stepping, -1, "CPUID stepping; -1: the host's"),
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

OBJECT_TYPE_STATIC(host_cpu_type) = {
    .name = "host-" X86_CPU_TYPE_SUFFIX, .parent = &x86_cpu_type,
    .description = "processor with all supported host features",
};

OBJECT_TYPE_STATIC(max_cpu_type) = {
    .name = "max-" X86_CPU_TYPE_SUFFIX, .parent = &x86_cpu_type,
    .description = "Enables all features supported by the accelerator in the current host",
};
