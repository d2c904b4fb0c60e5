/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The KVM side of Arm CPUs, for the interrupt controller and the machine; only
 * where kvm_enabled().
 */
#ifndef TARGET_ARM_KVM_ARM_H
#define TARGET_ARM_KVM_ARM_H

#include "accel/accel.h"
#include "target/arm/cpu.h"

/* Guest physical address bits that the host can give. */
unsigned kvm_arm_ipa_bits(void);
/*
 * Messages for which @translate is true raise a line (GICv2m); all others are
 * the ITS's. NULL: there is no such frame.
 */
void kvm_arm_set_msi_frame(bool (*translate)(MsiMessage msg, unsigned *spi));
/* Versions of the interrupt controller that KVM has: a mask of 1 << version. Needs no machine. */
unsigned kvm_arm_gic_versions(void);
/* The interrupt controller is complete: performance counters of @cpu can be. */
bool kvm_arm_vcpu_finish(ArmCpu *cpu, Error **errp);

/* ---- between the files of this folder ---- */

/* The registers hold the counter of a saved machine. */
void kvm_arm_counter_restored(void);

#endif
