/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hyper-V's interface for guests. Lists of leaves are what KVM offers of it;
 * an empty one: nothing.
 */
#ifndef TARGET_I386_HYPERV_H
#define TARGET_I386_HYPERV_H

#include "features.h"

#define X86_HV_LEAVES 6

/* The guest sees Hyper-V. */
bool x86_hv_enabled(const X86Cpu *cpu);
/* hv-passthrough: everything that is offered. */
void x86_hv_take_all(X86Cpu *cpu, const X86CpuidEntry *list, unsigned count);
/* What is asked for is there, with what it needs. */
bool x86_hv_check(const X86Cpu *cpu, const X86CpuidEntry *list, unsigned count, Error **errp);
unsigned x86_hv_leaves(const X86Cpu *cpu, unsigned max_cpus, X86CpuidEntry out[X86_HV_LEAVES]);

#endif
