/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Arm's interrupt controllers in the kernel: GICv2, GICv3, and the GICv3's
 * interrupt translation service (Linux Documentation/virt/kvm/devices,
 * arm-vgic*.rst). The kernel handles every access of the guest; here they are
 * set up, fed with lines, reset.
 *
 * Main thread with the machine lock; lines in any thread.
 */
#include "util/osdep.h"

#include <asm/kvm.h>
#include <linux/kvm.h>
#include "accel/accel.h"
#include "accel/kvm.h"
#include "arm-gic-kvm.h"
#include "hw/arm/virt.h"
#include "system/runstate.h"
#include "target/arm/kvm/kvm-arm.h"

static void set_line(void *opaque, int n, int level)
{
    ArmGicKvm *s = opaque;

    if (n < (int)s->gic.cfg.spis) {
        accel_set_gsi(n, level);
    }
}

static bool set(int fd, uint32_t group, uint64_t attr, const void *value, const char *what,
                Error **errp)
{
    int ret = kvm_device_set(fd, group, attr, value);

    if (ret < 0) {
        error_setg_errno(errp, -ret, "KVM's interrupt controller does not take %s", what);
    }
    return ret >= 0;
}

static bool set_address(int fd, uint64_t attr, uint64_t address, const char *what, Error **errp)
{
    return set(fd, KVM_DEV_ARM_VGIC_GRP_ADDR, attr, &address, what, errp);
}

static bool create(uint32_t type, int *fd, const char *what, Error **errp)
{
    *fd = kvm_device_create(type, false);
    if (*fd < 0) {
        error_setg_errno(errp, -*fd, "KVM cannot create a %s", what);
        *fd = -1;
        return false;
    }
    return true;
}

/* One region in the way of kernels that know no other, or several. */
static bool set_redistributors(ArmGicKvm *s, Error **errp)
{
    const ArmGicConfig *c = &s->gic.cfg;

    if (!c->redist[1].cpus) {
        return set_address(s->fd, KVM_VGIC_V3_ADDR_TYPE_REDIST, c->redist[0].base,
                           "the place of its redistributors", errp);
    }
    for (uint64_t i = 0; i < ARM_GIC_REDIST_REGIONS; i++) {
        /* Bits 63:52 count, 51:16 address, 11:0 index. */
        uint64_t region = (uint64_t)c->redist[i].cpus << 52 | c->redist[i].base | i;

        if (!set_address(s->fd, KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION, region,
                         "a second region of redistributors", errp)) {
            return false;
        }
    }
    return true;
}

static bool create_v3(ArmGicKvm *s, Error **errp)
{
    const ArmGicConfig *c = &s->gic.cfg;

    return create(KVM_DEV_TYPE_ARM_VGIC_V3, &s->fd, "GICv3", errp) &&
           set_address(s->fd, KVM_VGIC_V3_ADDR_TYPE_DIST, c->dist, "its place", errp) &&
           set_redistributors(s, errp) &&
           (!c->its ||
            (create(KVM_DEV_TYPE_ARM_VGIC_ITS, &s->its_fd, "interrupt translation service", errp) &&
             set_address(s->its_fd, KVM_VGIC_ITS_ADDR_TYPE, c->its, "the place of the ITS", errp)));
}

static bool create_v2(ArmGicKvm *s, Error **errp)
{
    const ArmGicConfig *c = &s->gic.cfg;

    return create(KVM_DEV_TYPE_ARM_VGIC_V2, &s->fd, "GICv2", errp) &&
           set_address(s->fd, KVM_VGIC_V2_ADDR_TYPE_DIST, c->dist, "its place", errp) &&
           set_address(s->fd, KVM_VGIC_V2_ADDR_TYPE_CPU, c->cpu_interface,
                       "the place of its CPU interface", errp);
}

static void gic_kvm_unrealize(DeviceState *dev)
{
    ArmGicKvm *s = ARM_GIC_KVM(dev);

    /* The kernel keeps them as long as the VM exists. */
    if (s->its_fd >= 0) {
        close(s->its_fd);
    }
    if (s->fd >= 0) {
        close(s->fd);
    }
}

static bool gic_kvm_realize(DeviceState *dev, Error **errp)
{
    ArmGicKvm *s = ARM_GIC_KVM(dev);
    uint32_t lines = s->gic.cfg.spis + ARM_GIC_SPI_FIRST;

    if (!(s->gic.cfg.version == 2 ? create_v2 : create_v3)(s, errp) ||
        !set(s->fd, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &lines, "the number of interrupts", errp)) {
        gic_kvm_unrealize(dev);
        return false;
    }
    arm_gic_init_lines(&s->gic, set_line);
    return true;
}

static bool gic_kvm_finish(ArmGic *gic, Error **errp)
{
    ArmGicKvm *s = ARM_GIC_KVM(gic);

    if (!set(s->fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL,
             "its initialisation", errp) ||
        (s->its_fd >= 0 && !set(s->its_fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT,
                                NULL, "the initialisation of the ITS", errp))) {
        return false;
    }
    CPU_FOREACH(cpu) {
        if (!kvm_arm_vcpu_finish(ARM_CPU(cpu), errp)) {
            return false;
        }
    }
    arm_gic_kvm_list(s);
    run_state_notify(arm_gic_kvm_run_state, s, INT_MIN);
    return true;
}

static void gic_kvm_init(Object *obj)
{
    ArmGicKvm *s = (ArmGicKvm *)obj;

    s->fd = s->its_fd = -1;
}

static void gic_kvm_finalize(Object *obj)
{
    ArmGicKvm *s = (ArmGicKvm *)obj;

    if (s->list) {
        g_array_unref(s->list);
    }
    g_free(s->initial);
    g_free(s->values);
}

static bool available_v2(void)
{
    return kvm_device_create(KVM_DEV_TYPE_ARM_VGIC_V2, true) == 0;
}

static bool available_v3(void)
{
    return kvm_device_create(KVM_DEV_TYPE_ARM_VGIC_V3, true) == 0;
}

static const ArmGicOps gicv2_kvm_ops = { .available = available_v2, .finish = gic_kvm_finish };
static const ArmGicOps gicv3_kvm_ops = { .available = available_v3, .finish = gic_kvm_finish };

static const DeviceOps gic_kvm_dev_ops = {
    .realize = gic_kvm_realize, .unrealize = gic_kvm_unrealize, .reset = arm_gic_kvm_reset,
    .state = &arm_gic_kvm_state,
};

OBJECT_TYPE(arm_gic_kvm_type) = {
    .name = "arm-gic-kvm-common",
    .parent = &arm_gic_type,
    .abstract = true,
    .instance_size = sizeof(ArmGicKvm),
    .instance_init = gic_kvm_init, .instance_finalize = gic_kvm_finalize,
    .impls = TYPE_IMPLS({ &device_type, &gic_kvm_dev_ops }),
};

OBJECT_TYPE_STATIC(gicv2_kvm_type) = {
    .name = "arm-gic-kvm",
    .parent = &arm_gic_kvm_type,
    .description = "GICv2 in the kernel",
    .impls = TYPE_IMPLS({ &arm_gic_type, &gicv2_kvm_ops }),
};

OBJECT_TYPE_STATIC(gicv3_kvm_type) = {
    .name = "arm-gicv3-kvm",
    .parent = &arm_gic_kvm_type,
    .description = "GICv3 in the kernel",
    .impls = TYPE_IMPLS({ &arm_gic_type, &gicv3_kvm_ops }),
};
