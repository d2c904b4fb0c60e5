/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * x86_64 CPUs: the QOM types "MODEL-x86_64-cpu", their features, topology and
 * registers. The registers are our copy (see cpu_state_load()); what moves
 * them to and from the accelerator is target/i386/kvm.
 */
#ifndef TARGET_I386_CPU_H
#define TARGET_I386_CPU_H

#include "hw/core/machine.h"
#include "system/cpus.h"

#define X86_CPU_TYPE_SUFFIX "x86_64-cpu"

/* ---- topology ---- */

/* APIC ids are bit fields; a level's width is that of its largest count. */
uint32_t x86_apic_id(const CpuTopology *t, unsigned index);
/* The largest possible id, for tables. */
uint32_t x86_apic_id_max(const CpuTopology *t);
typedef struct X86CpuIds {
    unsigned socket, die, core, thread;
} X86CpuIds;
X86CpuIds x86_cpu_ids(const CpuTopology *t, unsigned index);
/* Bits below the field of a level. */
unsigned x86_apic_core_shift(const CpuTopology *t);
unsigned x86_apic_die_shift(const CpuTopology *t);
unsigned x86_apic_socket_shift(const CpuTopology *t);

/* ---- features: bits of CPUID leaves and of MSRs that say what the CPU can do ---- */

typedef enum X86FeatureWord {
    X86_FEATURE_1_EDX, X86_FEATURE_1_ECX,
    X86_FEATURE_7_0_EBX, X86_FEATURE_7_0_ECX, X86_FEATURE_7_0_EDX, X86_FEATURE_7_1_EAX,
    X86_FEATURE_80000001_EDX, X86_FEATURE_80000001_ECX,
    X86_FEATURE_80000007_EDX, X86_FEATURE_80000008_EBX, X86_FEATURE_8000000A_EDX,
    X86_FEATURE_KVM_EAX, X86_FEATURE_KVM_EDX,
    X86_FEATURE_D_1_EAX, X86_FEATURE_6_EAX, X86_FEATURE_C0000001_EDX,
    X86_FEATURE_12_0_EAX, X86_FEATURE_12_0_EBX, X86_FEATURE_12_1_EAX, X86_FEATURE_14_0_ECX,
    /* Of MSRs. */
    X86_FEATURE_ARCH_CAPABILITIES, X86_FEATURE_CORE_CAPABILITY, X86_FEATURE_PERF_CAPABILITIES,
    X86_FEATURE_VMX_BASIC, X86_FEATURE_VMX_PIN, X86_FEATURE_VMX_PROC, X86_FEATURE_VMX_PROC2,
    X86_FEATURE_VMX_EXIT, X86_FEATURE_VMX_ENTRY, X86_FEATURE_VMX_MISC,
    X86_FEATURE_VMX_EPT_VPID, X86_FEATURE_VMX_VMFUNC,
    X86_FEATURE_WORDS
} X86FeatureWord;

typedef struct X86CpuidEntry {
    uint32_t function, index;
    bool indexed;
    uint32_t eax, ebx, ecx, edx;
} X86CpuidEntry;

/* ---- registers ---- */

enum { X86_RAX, X86_RCX, X86_RDX, X86_RBX, X86_RSP, X86_RBP, X86_RSI, X86_RDI,
       X86_R8, X86_R15 = 15, X86_GPR_COUNT };
enum { X86_ES, X86_CS, X86_SS, X86_DS, X86_FS, X86_GS, X86_LDT, X86_TR, X86_SEGMENT_COUNT };

/* Access rights as in the second word of a descriptor, shifted down by 8. */
#define X86_AR_TYPE 0x000f
#define X86_AR_S 0x0010
#define X86_AR_DPL_SHIFT 5
#define X86_AR_P 0x0080
#define X86_AR_AVL 0x1000
#define X86_AR_L 0x2000
#define X86_AR_DB 0x4000
#define X86_AR_G 0x8000
#define X86_AR_UNUSABLE 0x10000

typedef struct X86Segment {
    uint64_t base;
    uint32_t limit;
    uint32_t rights;
    uint16_t selector;
} X86Segment;

typedef struct X86Table {
    uint64_t base;
    uint16_t limit;
} X86Table;

typedef struct X86Msr {
    uint32_t index;
    uint64_t value;
} X86Msr;

#define X86_MSR_MAX 256
#define X86_XSAVE_MAX (64 * 1024)
#define X86_LAPIC_SIZE 1024
#define X86_EVENTS_SIZE 64      /* of the kernel's struct kvm_vcpu_events */

/* What a CPU does; the kernel's numbers. */
typedef enum X86MpState {
    X86_MP_RUNNABLE, X86_MP_WAIT_FOR_INIT, X86_MP_INIT_RECEIVED, X86_MP_HALTED, X86_MP_SIPI_RECEIVED,
} X86MpState;

typedef struct X86Registers {
    uint64_t gpr[X86_GPR_COUNT];
    uint64_t rip, rflags;
    X86Segment segment[X86_SEGMENT_COUNT];
    X86Table gdt, idt;
    uint64_t cr0, cr2, cr3, cr4, cr8, efer, apic_base;
    uint64_t dr[4], dr6, dr7;
    uint64_t xcr0;
    uint32_t mp_state;          /* X86MpState */
    bool firmware_absent;       /* a reset sets what firmware would: memory types */
    uint32_t msr_count;
    X86Msr msr[X86_MSR_MAX];
    uint8_t lapic[X86_LAPIC_SIZE];
    uint8_t events[X86_EVENTS_SIZE];
    uint32_t xsave_size;
    uint8_t *xsave;             /* standard format, allocated */
} X86Registers;

/* Parts of Hyper-V's interface: bits of X86Cpu.hv. */
enum {
    X86_HV_RELAXED, X86_HV_VAPIC, X86_HV_VPINDEX, X86_HV_RUNTIME, X86_HV_CRASH, X86_HV_TIME,
    X86_HV_SYNIC, X86_HV_STIMER, X86_HV_STIMER_DIRECT, X86_HV_RESET, X86_HV_FREQUENCIES,
    X86_HV_REENLIGHTENMENT, X86_HV_TLBFLUSH, X86_HV_IPI, X86_HV_AVIC, X86_HV_XMM_INPUT,
};

/* Which Hyper-V it says it is. */
typedef struct X86HvVersion {
    uint32_t build, spack, snumber;
    uint16_t major, minor;
    uint8_t sbranch;
} X86HvVersion;

/* What a named model says; all zero for host and max. Texts are constants. */
typedef struct X86CpuBase {
    const char *vendor, *model_id;
    uint32_t family, model, stepping;
    uint32_t level, xlevel;
    const struct X86CacheModel *caches;         /* NULL: the host's */
} X86CpuBase;

typedef struct X86Cpu {
    CpuState cpu;
    X86CpuBase base;
    bool is_host;               /* "host" or "max": what the accelerator offers */
    /* Properties. */
    uint32_t apic_id;           /* UINT32_MAX: from the index */
    int32_t socket_id, die_id, core_id, thread_id;      /* -1: from the index */
    int32_t node_id;            /* NUMA node; -1: what -numa says */
    uint64_t features[X86_FEATURE_WORDS];
    uint64_t user_features[X86_FEATURE_WORDS];  /* bits that a property set, either way */
    uint32_t phys_bits;         /* 0: by host_phys_bits */
    bool host_phys_bits;
    uint8_t host_phys_bits_limit;
    bool migratable, kvm, pmu, check, enforce, host_cache_info, l3_cache, legacy_cache, lmce;
    bool pv_enforce_cpuid;
    uint64_t hv;
    uint32_t hv_spinlocks;      /* tries before telling the hypervisor; UINT32_MAX: never tell */
    bool hv_passthrough, hv_enforce_cpuid;
    char *hv_vendor_id;
    X86HvVersion hv_version;
    uint64_t ucode_rev;         /* microcode revision; 0: the host's, or KVM's */
    uint32_t level, xlevel, min_level, min_xlevel;      /* UINT32_MAX, 0: from the features */
    int64_t tsc_frequency;      /* Hz; 0: the host's */
    char *vendor, *model_id;
    int64_t family, model, stepping;            /* -1: the model's, or the host's */
    /* After realize. */
    X86CpuidEntry *cpuid;
    unsigned cpuid_count;
    uint64_t filtered[X86_FEATURE_WORDS];       /* asked for but not supported */
    X86Registers regs;
} X86Cpu;

extern const StateTable x86_cpu_state;
extern const TypeInfo x86_cpu_type;     /* "x86_64-cpu", abstract */
extern const TypeInfo x86_host_cpu_type;

#define X86_CPU(p) ((X86Cpu *)object_cast(p, &x86_cpu_type))

/* For a CPU that users add: check its ids, or complain of those that are missing, and give it its index. */
bool x86_cpu_place(X86Cpu *cpu, Error **errp);
/* Power-on values in @cpu's copy. The boot CPU starts at the reset vector, the others wait for SIPI. */
void x86_cpu_reset(CpuState *cpu);
/* The XSAVE area, if it is allocated, to its power-on contents. */
void x86_reset_xsave(X86Registers *r);
bool x86_cpu_is_boot_cpu(const X86Cpu *cpu);
void x86_cpu_print_state(CpuState *cpu, GString *out);
void x86_cpu_dump_notes(CpuState *cpu, GByteArray *out);
bool x86_cpu_get_register(CpuState *cpu, const char *name, int64_t *value);
/* Through the guest's page tables; registers loaded. */
bool x86_cpu_translate(CpuState *cpu, uint64_t address, uint64_t *physical);
void x86_cpu_print_mappings(CpuState *cpu, bool ranges, GString *out);

#endif
