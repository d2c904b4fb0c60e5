/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vCPUs under KVM: creation, the loop that runs guest code, its exits.
 *
 * Creation on the main thread, the rest on each vCPU's own. The loop holds no lock; an access takes the machine
 * lock only for a region that needs it. Everything in the shared kvm_run area
 * that comes from the guest (addresses, sizes, data) is untrusted.
 *
 * Leaving the loop is only possible where KVM_RUN returned EINTR or reported
 * something final: before that the kernel has finished the instruction that
 * caused the last exit, so that the registers are whole.
 */
#include "util/osdep.h"
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "kvm-int.h"
#include "system/machine-lock.h"
#include "system/runstate.h"
#include "trace-accel-kvm.h"

/* Makes KVM_RUN return; does nothing itself. */
#define SIG_IPI SIGUSR1

static void ipi_handler(int sig)
{
}

void kvm_vcpus_init(void)
{
    struct sigaction sa = { .sa_handler = ipi_handler, .sa_flags = SA_RESTART };

    sigaction(SIG_IPI, &sa, NULL);
}

/* The kernel keeps a vCPU as long as the VM: what was unplugged waits for its place to be taken again. */
typedef struct ParkedVcpu {
    unsigned long id;
    int fd;
    struct ParkedVcpu *next;
} ParkedVcpu;

static ParkedVcpu *parked;

/* The vCPU's file descriptor, new or parked, or a negative errno value. */
static int get_vcpu(unsigned long id, bool *fresh)
{
    for (ParkedVcpu **p = &parked; *p; p = &(*p)->next) {
        if ((*p)->id == id) {
            g_autofree ParkedVcpu *found = *p;

            *p = found->next;
            *fresh = false;
            return found->fd;
        }
    }
    *fresh = true;
    return kvm_vm_ioctl(KVM_CREATE_VCPU, (void *)id);
}

static void park_vcpu(unsigned long id, int fd)
{
    ParkedVcpu *p = g_new(ParkedVcpu, 1);

    *p = (ParkedVcpu){ .id = id, .fd = fd, .next = parked };
    parked = p;
}

bool kvm_cpu_init(CpuState *cpu, Error **errp)
{
    KvmVcpu *v;

    if (!kvm->irqchip_created && !kvm_arch_irqchip_create(errp)) {
        return false;
    }
    kvm->irqchip_created = true;
    v = g_new0(KvmVcpu, 1);
    v->fd = get_vcpu(kvm_arch_vcpu_id(cpu), &v->fresh);
    /* The kernel does not see a new local APIC as a destination until its registers are set or some other's are. */
    v->fresh &= !cpu->dev.hotplugged;
    if (v->fd < 0) {
        error_setg_errno(errp, -v->fd, "KVM cannot create CPU %d", cpu->index);
        goto undo_alloc;
    }
    v->run = mmap(NULL, kvm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
    if (v->run == MAP_FAILED) {
        error_setg_errno(errp, errno, "KVM cannot share the state of CPU %d", cpu->index);
        goto undo_vcpu;
    }
    cpu->accel = v;
    if (!kvm_arch_vcpu_init(cpu, errp)) {
        goto undo_map;
    }
    return true;

undo_map:
    cpu->accel = NULL;
    munmap(v->run, kvm->run_size);
undo_vcpu:
    park_vcpu(kvm_arch_vcpu_id(cpu), v->fd);
undo_alloc:
    g_free(v);
    return false;
}

void kvm_cpu_destroy(CpuState *cpu)
{
    KvmVcpu *v = kvm_vcpu(cpu);

    cpu->accel = NULL;
    munmap(v->run, kvm->run_size);
    park_vcpu(kvm_arch_vcpu_id(cpu), v->fd);
    g_free(v);
}

void kvm_cpu_kick(CpuState *cpu)
{
    /* Before it enters the kernel the flag stops it, inside the signal does. */
    atomic_store(&kvm_vcpu(cpu)->run->immediate_exit, 1);
    if (cpu != current_cpu) {
        pthread_kill(cpu->thread, SIG_IPI);
    }
}

/* ---- exits ---- */

static void handle_io(struct kvm_run *run)
{
    uint8_t *p = (uint8_t *)run + run->io.data_offset;
    unsigned size = run->io.size;
    uint64_t value;

    for (unsigned i = 0; i < run->io.count; i++, p += size) {
        if (run->io.direction == KVM_EXIT_IO_OUT) {
            value = 0;
            memcpy(&value, p, size);
            guest_access_write(&address_space_io, run->io.port, size, value);
        } else {
            guest_access_read(&address_space_io, run->io.port, size, &value);
            memcpy(p, &value, size);
        }
    }
}

static void handle_mmio(struct kvm_run *run)
{
    GuestAddr addr = run->mmio.phys_addr;
    unsigned len = MIN(run->mmio.len, sizeof(run->mmio.data));
    uint64_t value = 0;

    if (!IS_POWER_OF_2(len)) {
        /* A piece of an access that crosses a page. */
        if (run->mmio.is_write) {
            guest_write(&address_space_memory, addr, run->mmio.data, len);
        } else {
            guest_read(&address_space_memory, addr, run->mmio.data, len);
        }
    } else if (run->mmio.is_write) {
        memcpy(&value, run->mmio.data, len);
        guest_access_write(&address_space_memory, addr, len, value);
    } else {
        guest_access_read(&address_space_memory, addr, len, &value);
        memcpy(run->mmio.data, &value, len);
    }
}

static void report_state(CpuState *cpu)
{
    const CpuOps *ops = object_ops(cpu, &cpu_type);
    g_autoptr(GString) text = g_string_new(NULL);

    cpu_state_load(cpu);
    ops->print_state(cpu, text);
    fputs(text->str, stderr);
}

/* The guest cannot go on: say what is known, and leave the machine stopped for whoever wants to look. */
static void __attribute__((format(printf, 2, 3))) stop_broken(CpuState *cpu, const char *fmt, ...)
{
    g_autofree char *what = NULL;
    va_list ap;

    va_start(ap, fmt);
    what = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    machine_lock();
    error_report("KVM: CPU %d: %s", cpu->index, what);
    report_state(cpu);
    cpu_park(cpu);
    vm_stop_request(RUN_STATE_INTERNAL_ERROR);
    machine_unlock();
}

static void handle_internal_error(CpuState *cpu, const struct kvm_run *run)
{
    g_autoptr(GString) data = g_string_new(NULL);
    static const char *const names[] = {
        [KVM_INTERNAL_ERROR_EMULATION] = "an instruction that KVM cannot emulate",
        [KVM_INTERNAL_ERROR_SIMUL_EX] = "an exception during an exception",
        [KVM_INTERNAL_ERROR_DELIVERY_EV] = "an exit during event delivery",
        [KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON] = "an unexpected exit",
    };
    unsigned sub = run->internal.suberror;

    for (unsigned i = 0; i < MIN(run->internal.ndata, 16u); i++) {
        g_string_append_printf(data, "%s0x%" PRIx64, i ? " " : ", data ", (uint64_t)run->internal.data[i]);
    }
    stop_broken(cpu, "internal error, suberror %u (%s)%s", sub,
                sub < ARRAY_SIZE(names) && names[sub] ? names[sub] : "unknown", data->str);
}

static void request_reset(CpuState *cpu)
{
    machine_lock();
    cpu_park(cpu);
    system_reset_request(SHUTDOWN_CAUSE_GUEST_RESET);
    machine_unlock();
}

static void handle_system_event(CpuState *cpu, const struct kvm_run *run)
{
    switch (run->system_event.type) {
    case KVM_SYSTEM_EVENT_SHUTDOWN:
        machine_lock();
        cpu_park(cpu);
        system_shutdown_request(SHUTDOWN_CAUSE_GUEST_SHUTDOWN);
        machine_unlock();
        break;
    case KVM_SYSTEM_EVENT_RESET:
        request_reset(cpu);
        break;
    case KVM_SYSTEM_EVENT_CRASH:
        machine_lock();
        cpu_park(cpu);
        system_guest_panicked(NULL);
        machine_unlock();
        break;
    default:
        stop_broken(cpu, "unknown system event %u", run->system_event.type);
        break;
    }
}

/* Everything but register accesses. Returns whether the loop goes on. */
static bool handle_rare_exit(CpuState *cpu, struct kvm_run *run)
{
    switch (run->exit_reason) {
    case KVM_EXIT_INTR:
    case KVM_EXIT_IRQ_WINDOW_OPEN:
        return true;
    case KVM_EXIT_SHUTDOWN:
        trace_kvm_triple_fault(cpu->index);
        request_reset(cpu);
        return false;
    case KVM_EXIT_INTERNAL_ERROR:
        handle_internal_error(cpu, run);
        return false;
    case KVM_EXIT_FAIL_ENTRY:
        stop_broken(cpu, "the processor refuses the guest's state, reason 0x%" PRIx64,
                    (uint64_t)run->fail_entry.hardware_entry_failure_reason);
        return false;
    case KVM_EXIT_UNKNOWN:
        stop_broken(cpu, "unknown hardware exit 0x%" PRIx64, (uint64_t)run->hw.hardware_exit_reason);
        return false;
    case KVM_EXIT_SYSTEM_EVENT:
        handle_system_event(cpu, run);
        return false;
    default:
        if (kvm_arch_handle_exit(cpu, run)) {
            return true;
        }
        stop_broken(cpu, "unexpected exit %u", run->exit_reason);
        return false;
    }
}

static void run_guest(CpuState *cpu)
{
    KvmVcpu *v = kvm_vcpu(cpu);
    struct kvm_run *run = v->run;

    for (;;) {
        if (UNLIKELY(ioctl(v->fd, KVM_RUN, 0) < 0)) {
            if (errno != EINTR && errno != EAGAIN) {
                stop_broken(cpu, "running guest code failed: %s", strerror(errno));
            }
            return;
        }
        trace_kvm_exit(cpu->index, run->exit_reason);
        switch (run->exit_reason) {
        case KVM_EXIT_IO:
            handle_io(run);
            break;
        case KVM_EXIT_MMIO:
            handle_mmio(run);
            break;
        default:
            if (!handle_rare_exit(cpu, run)) {
                return;
            }
            break;
        }
    }
}

static void put_state(CpuState *cpu, CpuStateLevel level)
{
    Error *err = NULL;

    if (!kvm_arch_put_state(cpu, level, &err)) {
        error_report_err(err);
        cpu_park(cpu);
        vm_stop_request(RUN_STATE_INTERNAL_ERROR);
    }
}

void kvm_cpu_thread(CpuState *cpu)
{
    KvmVcpu *v = kvm_vcpu(cpu);
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIG_IPI);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    for (;;) {
        /* First the flag, then the requests: see cpu_kick(). */
        atomic_store(&v->run->immediate_exit, 0);
        if (!cpu_thread_wait(cpu)) {
            return;
        }
        if (cpu->dirty_level) {
            CpuStateLevel level = cpu->dirty_level;
            cpu->dirty_level = CPU_STATE_CLEAN;
            put_state(cpu, level);
            if (cpu->stop_requested) {
                continue;
            }
        }
        cpu->state_loaded = false;
        machine_unlock();
        if (cpu_guest_enter(cpu)) {
            run_guest(cpu);
            cpu_guest_leave(cpu);
        }
        machine_lock();
    }
}

static void send_nmi(CpuState *cpu, void *opaque)
{
    int *err = opaque;

    *err = ioctl(kvm_vcpu(cpu)->fd, KVM_NMI) < 0 ? errno : 0;
}

/* On its own thread: the kernel lets only one thread at a time into a vCPU. */
bool kvm_inject_nmi(CpuState *cpu, Error **errp)
{
    int err = 0;

    cpu_run_on(cpu, send_nmi, &err);
    if (err) {
        error_setg_errno(errp, err, "KVM_NMI failed");
    }
    return !err;
}
