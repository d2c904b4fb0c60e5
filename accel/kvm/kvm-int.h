/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of accel/kvm and of target/<arch>/kvm share.
 */
#ifndef ACCEL_KVM_INT_H
#define ACCEL_KVM_INT_H

#include <linux/kvm.h>
#include "accel/accel.h"
#include "accel/kvm.h"

typedef struct KvmState {
    AccelState accel;
    char *irqchip;              /* property kernel-irqchip */
    bool irqchip_created;
    int fd, vm_fd;
    size_t run_size;            /* of a vCPU's shared page(s) */
    bool clear_dirty_log;       /* dirty bits stay set until we clear them */
} KvmState;

/* A vCPU's part; CpuState.accel. */
typedef struct KvmVcpu {
    int fd;
    struct kvm_run *run;
    bool fresh;                 /* has the kernel's own power-on state */
} KvmVcpu;

extern KvmState *kvm;           /* NULL before init */

typedef struct KvmCap {
    int cap;
    const char *name;
} KvmCap;
#define KVM_CAP_ENTRY(c) { KVM_CAP_##c, #c }

static inline KvmVcpu *kvm_vcpu(CpuState *cpu)
{
    return cpu->accel;
}

/* ---- slots.c ---- */
void kvm_memory_init(void);

/* ---- irq.c ---- */
void kvm_irq_init(void);
void kvm_send_msi(MsiMessage msg, uint16_t requester_id);
int kvm_msi_route_add(MsiMessage msg, uint16_t requester_id, Error **errp);
void kvm_msi_route_update(int gsi, MsiMessage msg, uint16_t requester_id);
void kvm_msi_route_del(int gsi);
void kvm_msi_commit(void);
bool kvm_irqfd_attach(int gsi, EventNotifier *n, EventNotifier *resample, Error **errp);
void kvm_irqfd_detach(int gsi, EventNotifier *n);
void kvm_set_gsi(int gsi, int level);

/* ---- stats.c ---- */
StatsResult *kvm_query_stats_of(CpuState *cpu, const StrList *names);
StatsSchemaList *kvm_query_stats_schemas(void);

/* ---- vcpu.c ---- */
void kvm_vcpus_init(void);
bool kvm_cpu_init(CpuState *cpu, Error **errp);
void kvm_cpu_destroy(CpuState *cpu);
void kvm_cpu_thread(CpuState *cpu);
void kvm_cpu_kick(CpuState *cpu);
bool kvm_inject_nmi(CpuState *cpu, Error **errp);

/* ---- target/<arch>/kvm ---- */

/* Capabilities without which there is no point; ended by an entry without name. */
extern const KvmCap kvm_arch_required[];
/* The argument of KVM_CREATE_VM. */
unsigned long kvm_arch_vm_type(void);
bool kvm_arch_vm_init(KvmState *s, Error **errp);
/*
 * Before the first vCPU, and not earlier: a memory slot that comes after the
 * interrupt controllers costs a grace period of the kernel, several ms.
 */
bool kvm_arch_irqchip_create(Error **errp);
/* Entries for the pins of the interrupt controllers, as the kernel has them after kvm_arch_irqchip_create(); returns how many. */
unsigned kvm_arch_irq_pins(struct kvm_irq_routing_entry *entries, unsigned max);
/* Complete a route to a message beyond its address and data. Any thread, as the next two. */
void kvm_arch_msi_entry(struct kvm_irq_routing_entry *entry, MsiMessage msg, uint16_t requester_id);
/* Complete @msi; true when the message has been delivered in another way. */
bool kvm_arch_send_msi(struct kvm_msi *msi, MsiMessage msg, uint16_t requester_id);
/* The kernel's number of the line @gsi. */
uint32_t kvm_arch_irq_line(int gsi);
/* The argument of KVM_CREATE_VCPU. */
unsigned long kvm_arch_vcpu_id(const CpuState *cpu);
bool kvm_arch_vcpu_init(CpuState *cpu, Error **errp);
void kvm_arch_get_state(CpuState *cpu);
bool kvm_arch_put_state(CpuState *cpu, CpuStateLevel level, Error **errp);
/* An exit that is the architecture's; false: unknown. */
bool kvm_arch_handle_exit(CpuState *cpu, struct kvm_run *run);

#endif
