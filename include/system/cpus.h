/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vCPUs: the common part of every CPU object, its thread, and work queued to it.
 */
#ifndef SYSTEM_CPUS_H
#define SYSTEM_CPUS_H

#include <pthread.h>
#include "hw/core/device.h"
#include "qapi-types.h"

typedef struct CpuState CpuState;
typedef void CpuWork(CpuState *cpu, void *opaque);

/* How much of our copy of the registers the accelerator must take over. */
typedef enum CpuStateLevel {
    CPU_STATE_CLEAN,
    CPU_STATE_RUNTIME,          /* what a running CPU changes */
    CPU_STATE_RESET,            /* and what a reset sets */
    CPU_STATE_FULL,             /* and what only comes with a saved CPU: time stamps, pending events */
} CpuStateLevel;

extern const TypeInfo cpu_type;         /* "cpu", abstract, a device */

/* What an architecture gives (target/<arch>); found by object_ops(cpu, &cpu_type). */
typedef struct CpuOps {
    /* "info registers" text. */
    void (*print_state)(CpuState *cpu, GString *out);
    /* "$name" in the human monitor; false when there is none. Any of these may be NULL. */
    bool (*get_register)(CpuState *cpu, const char *name, int64_t *value);
    /* A virtual address of the guest; false where nothing is mapped. */
    bool (*translate)(CpuState *cpu, uint64_t address, uint64_t *physical);
    /* "info mem" (@ranges) and "info tlb" text. */
    void (*print_mappings)(CpuState *cpu, bool ranges, GString *out);
    /* Registers as ELF notes for dumps of guest memory. */
    void (*dump_notes)(CpuState *cpu, GByteArray *out);
    /* The architecture's id: APIC id, MPIDR. */
    uint64_t (*arch_id)(CpuState *cpu);
    /* Values to power-on state; the accelerator is told before the CPU runs. */
    void (*reset)(CpuState *cpu);
    /*
     * Complete what query-cpu-definitions says of a concrete type; *@unavailable
     * gets the array of feature names that this host lacks for it. May be NULL.
     */
    void (*describe_model)(const TypeInfo *type, CpuDefinitionInfo *info, JsonValue **unavailable);
    /* The text of "-cpu help"; NULL: names and descriptions. */
    void (*print_models)(void);
} CpuOps;

struct CpuState {
    DeviceState dev;
    int index;                  /* cpu-index */
    pthread_t thread;
    int thread_tid;             /* see cpu_thread_id() */
    bool thread_started;
    /* Requests to the thread and its answer; atomics. */
    bool stop_requested;
    bool stopped;
    bool exit_requested;
    bool kicked;                /* look at the requests before guest code */
    bool in_guest;              /* the accelerator must be told of a kick */
    bool state_loaded;          /* our copy of the registers is valid */
    uint8_t dirty_level;        /* CpuStateLevel: our copy is newer than the accelerator's */
    void *accel;                /* the accelerator's part */
    struct CpuWorkItem *work, **work_tail;      /* private to system/cpus, as the next two */
    pthread_mutex_t work_lock;
    pthread_cond_t halt_cond;
    CpuState *next;
};

#define CPU(p) ((CpuState *)object_cast(p, &cpu_type))

extern __thread CpuState *current_cpu;  /* NULL outside vCPU threads */

/* For an architecture's DeviceOps: CPUs come in any order, so their state goes by index. */
char *cpu_state_place(DeviceState *dev);

CpuState *cpu_first(void);
#define CPU_FOREACH(cpu) for (CpuState *cpu = cpu_first(); cpu; cpu = cpu->next)
CpuState *cpu_by_index(int index);
int cpu_count(void);

/*
 * For an architecture's realize, machine lock held: give @cpu a free index
 * where it has none (-1), list it, and start its thread, stopped. Under an
 * accelerator that runs no code there is no thread; the main thread does its work.
 */
bool cpu_start_thread(CpuState *cpu, Error **errp);
/* The inverse. */
void cpu_end_thread(CpuState *cpu);
/* The host's id of the thread that runs it; 0 before cpu_start_thread(). */
int cpu_thread_id(CpuState *cpu);
/* A new vCPU of a machine that runs. */
void cpu_resume(CpuState *cpu);
/* All vCPUs run / are outside guest code. Main thread with the machine lock. */
void cpus_resume_all(void);
void cpus_pause_all(void);
/* A vCPU's own thread: do not run guest code again until cpus_resume_all(). */
void cpu_park(CpuState *cpu);
/* Leave guest mode and look at requests. Any thread. */
void cpu_kick(CpuState *cpu);
/* Run @fn on the vCPU's thread and wait (machine lock released meanwhile), or not wait. */
void cpu_run_on(CpuState *cpu, CpuWork *fn, void *opaque);
void cpu_run_on_async(CpuState *cpu, CpuWork *fn, void *opaque);
/* Make our copy of the registers current. Machine lock held. */
void cpu_state_load(CpuState *cpu);
/* Our copy was changed: the accelerator takes it over, to this level at least, before the CPU runs. */
void cpu_state_changed(CpuState *cpu, CpuStateLevel level);
/* Let the accelerator take it over now, to find out whether it can. False with @errp. */
bool cpu_state_flush(CpuState *cpu, Error **errp);
/* Reset all: after devices, before the machine runs again; all are paused. */
void cpus_reset_all(void);
/*
 * "MODEL[,+feat][,-feat][,prop=value...]" of -cpu: the QOM type "MODEL-@suffix"
 * and an object of keyval strings (one reference, NULL when there is none).
 */
bool cpu_parse_model(const char *text, const char *suffix, char **type, JsonValue **options, Error **errp);
/* For accelerators' thread loops: work, stop, exit. Returns false when the thread should end. Machine lock held. */
bool cpu_thread_wait(CpuState *cpu);
/*
 * Around guest code. After cpu_guest_enter() each kick reaches the
 * accelerator's cpu_kick; it returns false, and nothing is to be left, when
 * one came before.
 */
bool cpu_guest_enter(CpuState *cpu);
void cpu_guest_leave(CpuState *cpu);

#endif
