/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The KVM accelerator: opening the module, checking what it can do, and
 * creating the VM (Linux Documentation/virt/kvm/api.rst).
 *
 * Main thread; the ioctl wrappers on any thread. The kernel is trusted.
 */
#include "util/osdep.h"
#include <sys/ioctl.h>
#include "util/cutils.h"
#include "kvm-int.h"

#define KVM_EXPECTED_API 12

KvmState *kvm;

/* What would be missed too late, or silently. */
static const KvmCap required_caps[] = {
    KVM_CAP_ENTRY(USER_MEMORY), KVM_CAP_ENTRY(READONLY_MEM), KVM_CAP_ENTRY(IMMEDIATE_EXIT), KVM_CAP_ENTRY(MP_STATE),
    KVM_CAP_ENTRY(IRQ_ROUTING), KVM_CAP_ENTRY(IRQFD), KVM_CAP_ENTRY(IRQFD_RESAMPLE),
    KVM_CAP_ENTRY(SIGNAL_MSI), KVM_CAP_ENTRY(IOEVENTFD), KVM_CAP_ENTRY(IOEVENTFD_ANY_LENGTH),
    { 0, NULL }
};

bool kvm_enabled(void)
{
    return kvm != NULL;
}

static int repeat_ioctl(int fd, unsigned long request, void *arg)
{
    int ret;

    do {
        ret = ioctl(fd, request, arg);
    } while (ret < 0 && errno == EINTR);
    return ret < 0 ? -errno : ret;
}

static int open_device(Error **errp)
{
    int fd = open_cloexec("/dev/kvm", O_RDWR);
    int version;

    if (fd < 0) {
        int err = errno;
        if (errp) {
            /* A line of its own: management software looks for either. */
            error_report("Could not access KVM kernel module: %s", strerror(err));
        }
        error_setg(errp, "%s", strerror(err));
        return -1;
    }
    version = repeat_ioctl(fd, KVM_GET_API_VERSION, NULL);
    if (version != KVM_EXPECTED_API) {
        if (version < 0) {
            error_setg_errno(errp, -version, "/dev/kvm does not tell its version");
        } else {
            error_setg(errp, "its API has version %d, expected %d", version, KVM_EXPECTED_API);
        }
        close(fd);
        return -1;
    }
    return fd;
}

int kvm_ioctl(unsigned long request, void *arg)
{
    int fd, ret;

    if (kvm) {
        return repeat_ioctl(kvm->fd, request, arg);
    }
    fd = open_device(NULL);
    if (fd < 0) {
        return -ENODEV;
    }
    ret = repeat_ioctl(fd, request, arg);
    close(fd);
    return ret;
}

int kvm_vm_ioctl(unsigned long request, void *arg)
{
    return repeat_ioctl(kvm->vm_fd, request, arg);
}

int kvm_vcpu_ioctl(CpuState *cpu, unsigned long request, void *arg)
{
    return repeat_ioctl(kvm_vcpu(cpu)->fd, request, arg);
}

int kvm_check_extension(int cap)
{
    void *arg = (void *)(uintptr_t)cap;
    int ret = kvm ? kvm_vm_ioctl(KVM_CHECK_EXTENSION, arg) : kvm_ioctl(KVM_CHECK_EXTENSION, arg);

    return MAX(ret, 0);
}

static void add_missing(const KvmState *s, const KvmCap *caps, GString *missing)
{
    for (; caps->name; caps++) {
        if (repeat_ioctl(s->vm_fd, KVM_CHECK_EXTENSION, (void *)(uintptr_t)caps->cap) <= 0) {
            g_string_append_printf(missing, "%s%s", missing->len ? ", " : "", caps->name);
        }
    }
}

static bool check_caps(const KvmState *s, Error **errp)
{
    g_autoptr(GString) missing = g_string_new(NULL);

    add_missing(s, required_caps, missing);
    add_missing(s, kvm_arch_required, missing);
    if (missing->len) {
        error_setg(errp, "the host's KVM lacks what this machine needs (KVM_CAP_...): %s", missing->str);
        return false;
    }
    return true;
}

static bool kvm_probe(Error **errp)
{
    int fd = open_device(errp);

    if (fd < 0) {
        return false;
    }
    close(fd);
    return true;
}

static bool create_vm(KvmState *s, Error **errp)
{
    int size;

    s->vm_fd = repeat_ioctl(s->fd, KVM_CREATE_VM, (void *)kvm_arch_vm_type());
    if (s->vm_fd < 0) {
        error_setg_errno(errp, -s->vm_fd, "cannot create a VM");
        return false;
    }
    if (!check_caps(s, errp)) {
        goto undo_vm;
    }
    size = repeat_ioctl(s->fd, KVM_GET_VCPU_MMAP_SIZE, NULL);
    if (size < (int)sizeof(struct kvm_run)) {
        error_setg(errp, "vCPU area of %d bytes", size);
        goto undo_vm;
    }
    s->run_size = size;
    return true;

undo_vm:
    close(s->vm_fd);
    return false;
}

static bool kvm_init(AccelState *accel, Object *machine, Error **errp)
{
    KvmState *s = (KvmState *)accel;

    if (s->irqchip && strcmp(s->irqchip, "on")) {
        error_setg(errp, "kernel-irqchip=%s is not supported: the machine needs the interrupt"
                   " controllers in the kernel (kernel-irqchip=on)", s->irqchip);
        return false;
    }
    s->fd = open_device(errp);
    if (s->fd < 0) {
        return false;
    }
    if (!create_vm(s, errp)) {
        goto undo_open;
    }
    kvm = s;
    if (!kvm_arch_vm_init(s, errp)) {
        goto undo_vm;
    }
    kvm_irq_init();
    kvm_vcpus_init();
    kvm_memory_init();
    return true;

undo_vm:
    kvm = NULL;
    close(s->vm_fd);
undo_open:
    close(s->fd);
    return false;
}

static const AccelOps kvm_ops = {
    .title = "KVM",
    .probe = kvm_probe, .init = kvm_init,
    .runs_code = true,
    .cpu_init = kvm_cpu_init, .cpu_destroy = kvm_cpu_destroy,
    .cpu_thread = kvm_cpu_thread, .cpu_kick = kvm_cpu_kick,
    .cpu_get_state = kvm_arch_get_state, .cpu_put_state = kvm_arch_put_state,
    .send_msi = kvm_send_msi,
    .msi_route_add = kvm_msi_route_add, .msi_route_update = kvm_msi_route_update,
    .msi_route_del = kvm_msi_route_del, .msi_commit = kvm_msi_commit,
    .irqfd_attach = kvm_irqfd_attach, .irqfd_detach = kvm_irqfd_detach,
    .set_gsi = kvm_set_gsi,
    .inject_nmi = kvm_inject_nmi,
    .query_stats_of = kvm_query_stats_of,
    .query_stats_schemas = kvm_query_stats_schemas,
};

static const ObjectProperty kvm_properties[] = {
    PROP_STRING("kernel-irqchip", KvmState, irqchip,
                "interrupt controllers in the kernel: only \"on\""),
    PROP_END
};

OBJECT_TYPE_STATIC(kvm_accel_type) = {
    .name = "kvm-accel", .parent = &accel_type,
    .instance_size = sizeof(KvmState),
    .description = "KVM: hardware virtualisation of the Linux kernel",
    .properties = kvm_properties,
    .impls = TYPE_IMPLS({ &accel_type, &kvm_ops }),
};
