/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all forms of Arm's interrupt controller share: choice of the form,
 * inputs. Main thread with the machine lock.
 */
#include "util/osdep.h"

#include "accel/accel.h"
#include "hw/intc/arm-gic.h"

OBJECT_TYPE(arm_gic_type) = {
    .name = "arm-gic-common",
    .parent = &device_type,
    .abstract = true,
    .description = "Arm generic interrupt controller",
    .instance_size = sizeof(ArmGic),
};

static const char *type_name(unsigned version)
{
    if (accel_ops()->runs_code) {
        return version == 2 ? "arm-gic-kvm" : "arm-gicv3-kvm";
    }
    return version == 2 ? "arm-gic" : "arm-gicv3";
}

unsigned arm_gic_versions(void)
{
    unsigned mask = 0;

    for (unsigned version = 2; version <= 3; version++) {
        const TypeInfo *type = type_find(type_name(version));
        const ArmGicOps *ops = type ? type_ops(type, &arm_gic_type) : NULL;

        if (ops && (!ops->available || ops->available())) {
            mask |= 1u << version;
        }
    }
    return mask;
}

void arm_gic_init_lines(ArmGic *gic, IrqHandler *handler)
{
    device_init_gpio_in(&gic->dev, NULL, handler, gic->cfg.spis + 32 * gic->cfg.cpus);
}

ArmGic *arm_gic_create(Object *parent, const ArmGicConfig *cfg, Error **errp)
{
    DeviceState *dev = device_new(type_find(type_name(cfg->version)));
    ArmGic *gic = ARM_GIC(dev);

    gic->cfg = *cfg;
    object_add_child(parent, "gic", dev, &error_abort);
    return device_realize_and_unref(dev, NULL, errp) ? gic : NULL;
}

bool arm_gic_finish(ArmGic *gic, Error **errp)
{
    const ArmGicOps *ops = object_ops(gic, &arm_gic_type);

    return !ops->finish || ops->finish(gic, errp);
}
