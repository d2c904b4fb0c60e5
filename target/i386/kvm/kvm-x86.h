/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The KVM side of x86 CPUs; only where kvm_enabled().
 */
#ifndef TARGET_I386_KVM_X86_H
#define TARGET_I386_KVM_X86_H

#include "../cpu.h"

/* What KVM can give a guest. */
const X86CpuidEntry *kvm_x86_supported_cpuid(unsigned *count);
/* What KVM has of Hyper-V's leaves; *@count is 0 when it has none. */
const X86CpuidEntry *kvm_x86_hv_cpuid(unsigned *count);
/* The same as feature words, with what KVM does not list itself. */
uint64_t kvm_x86_supported_features(X86FeatureWord w);

/* ---- between the files of this folder ---- */

bool kvm_x86_set_cpuid(CpuState *cpu, Error **errp);
/* Feature words that are MSRs; for VMX controls the bits that may be 0 or 1. */
uint64_t kvm_x86_supported_msr(X86FeatureWord w);
/* Give a new vCPU the feature MSRs of its model, where they differ from KVM's. */
bool kvm_x86_put_feature_msrs(CpuState *cpu, Error **errp);
void kvm_x86_clock_init(void);
/* MSRs of a vCPU to and from regs.msr. */
void kvm_x86_get_msrs(CpuState *cpu);
bool kvm_x86_put_msrs(CpuState *cpu, CpuStateLevel level, Error **errp);
/* After LAPIC and time stamp counter. */
bool kvm_x86_put_tsc_deadline(CpuState *cpu, Error **errp);

#endif
