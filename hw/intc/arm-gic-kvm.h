/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's interrupt controllers, between arm-gic-kvm.c (set-up) and arm-gic-kvm-state.c (registers). */
#ifndef HW_INTC_ARM_GIC_KVM_H
#define HW_INTC_ARM_GIC_KVM_H

#include "hw/intc/arm-gic.h"
#include "qapi-types.h"

typedef struct ArmGicKvm {
    ArmGic gic;
    int fd, its_fd;             /* -1: none */
    GArray *list;               /* struct GicReg: what there is, in the order of writing */
    uint64_t *initial;          /* their power-on values */
    bool used;                  /* the values may no longer be those */
    /* A saved one. */
    uint32_t values_size;       /* bytes */
    uint8_t *values;
} ArmGicKvm;

extern const TypeInfo arm_gic_kvm_type;         /* "arm-gic-kvm-common", abstract */
#define ARM_GIC_KVM(p) ((ArmGicKvm *)object_cast(p, &arm_gic_kvm_type))

extern const StateTable arm_gic_kvm_state;
/* The kernel's part is complete and new: learn what registers there are. */
void arm_gic_kvm_list(ArmGicKvm *s);
void arm_gic_kvm_reset(DeviceState *dev);
/* A RunStateHandler: the machine has stopped. */
void arm_gic_kvm_run_state(void *opaque, bool running, RunState state);

#endif
