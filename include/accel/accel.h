/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The accelerator: what runs vCPUs. One per process, chosen by -accel or
 * -machine accel=. A list of names is tried in order.
 */
#ifndef ACCEL_ACCEL_H
#define ACCEL_ACCEL_H

#include "qapi-types.h"
#include "system/cpus.h"
#include "system/memory.h"
#include "util/event-loop.h"

extern const TypeInfo accel_type;       /* "accel", abstract; concrete ones are "kvm-accel", "qtest-accel" */

typedef struct AccelState {
    Object obj;
} AccelState;

typedef struct MsiMessage {
    uint64_t address;
    uint32_t data;
} MsiMessage;

typedef struct AccelOps {
    const char *title;          /* "KVM": how messages call it */
    /* Whether init would find what it needs; cheap, leaves nothing open. NULL: always. */
    bool (*probe)(Error **errp);
    /* Open the accelerator and create the VM; @machine's properties are set. */
    bool (*init)(AccelState *accel, Object *machine, Error **errp);
    /* The body of a vCPU thread; machine lock held on entry; returns when cpu_thread_wait() says so. */
    void (*cpu_thread)(CpuState *cpu);
    /* Make it leave guest code, or not enter it; between cpu_guest_enter() and cpu_guest_leave(). Any thread. */
    void (*cpu_kick)(CpuState *cpu);
    /* Create / destroy the accelerator's vCPU; before its thread starts, and after it ended. */
    bool (*cpu_init)(CpuState *cpu, Error **errp);
    void (*cpu_destroy)(CpuState *cpu);
    /* Move registers; on the vCPU's thread. */
    void (*cpu_get_state)(CpuState *cpu);
    bool (*cpu_put_state)(CpuState *cpu, CpuStateLevel level, Error **errp);
    /* A non-maskable interrupt; NULL: there is none. Machine lock held. */
    bool (*inject_nmi)(CpuState *cpu, Error **errp);
    /* Counters of @cpu (NULL: of the VM), those with one of @names (NULL: all); both NULL: nothing counts. */
    StatsResult *(*query_stats_of)(CpuState *cpu, const StrList *names);
    StatsSchemaList *(*query_stats_schemas)(void);
    bool runs_code;             /* false: qtest, there are no vCPU threads */
    /* Interrupts, see below; each may be NULL. */
    void (*send_msi)(MsiMessage msg, uint16_t requester_id);
    int (*msi_route_add)(MsiMessage msg, uint16_t requester_id, Error **errp);
    void (*msi_route_update)(int gsi, MsiMessage msg, uint16_t requester_id);
    void (*msi_route_del)(int gsi);
    void (*msi_commit)(void);           /* let changed routes take effect */
    bool (*irqfd_attach)(int gsi, EventNotifier *n, EventNotifier *resample, Error **errp);
    void (*irqfd_detach)(int gsi, EventNotifier *n);
    void (*set_gsi)(int gsi, int level);
} AccelOps;

AccelState *accel_current(void);
const AccelOps *accel_ops(void);
/*
 * Use the first of @choices (an array of {"accel": NAME, PROPERTY: VALUE...})
 * that works; the others are reported. With @lazy (a machine without CPUs)
 * nothing is opened; only a single choice is probed.
 */
bool accel_init(const JsonValue *choices, bool lazy, Object *machine, Error **errp);
/* Whether accelerator @name runs the guest, or would run it if the machine had CPUs. */
bool accel_is_chosen(const char *name);
/* Interned short name, "kvm" or "qtest"; NULL before accel_init. */
const char *accel_name(void);

/* ---- interrupts and MSI (accel/irq.c dispatches to the accelerator) ---- */

/*
 * Deliver @msg now. Any thread. @requester_id is the PCI requester id (used on
 * Arm). Without an accelerator that takes messages (qtest) it is what it is on
 * the bus: a 32-bit store to memory.
 */
void accel_send_msi(MsiMessage msg, uint16_t requester_id);

/*
 * A route from a GSI to an MSI message, so that an eventfd can raise it from
 * any thread without the machine lock. -1 with @errp when there is no room or
 * the accelerator has no irqfd (then use accel_send_msi from a handler).
 * A new route takes effect when an irqfd is attached to it, a changed one at
 * once; inside accel_irq_begin() .. accel_irq_commit() (they nest) all of them
 * at the end, together. Machine lock held.
 */
void accel_irq_begin(void);
void accel_irq_commit(void);
int accel_msi_route_add(MsiMessage msg, uint16_t requester_id, Error **errp);
void accel_msi_route_update(int gsi, MsiMessage msg, uint16_t requester_id);
void accel_msi_route_del(int gsi);
/* Attach @n (and @resample, may be NULL, for level-triggered lines) to @gsi. */
bool accel_irqfd_attach(int gsi, EventNotifier *n, EventNotifier *resample, Error **errp);
void accel_irqfd_detach(int gsi, EventNotifier *n);
bool accel_has_irqfd(void);
/* A wire into the in-kernel interrupt controller. */
void accel_set_gsi(int gsi, int level);
#endif
