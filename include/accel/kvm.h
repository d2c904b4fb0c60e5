/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * KVM for those who need more of it than accel/accel.h offers: target/<arch>
 * and vfio. Only compiled into an emulator of the host's architecture;
 * elsewhere kvm_enabled() is constantly false.
 */
#ifndef ACCEL_KVM_H
#define ACCEL_KVM_H

#include "system/cpus.h"

#ifdef CONFIG_KVM
/* KVM is the accelerator and its VM exists. */
bool kvm_enabled(void);
#else
static inline bool kvm_enabled(void)
{
    return false;
}
#endif

/*
 * On the module (which also works before the accelerator is initialised), the
 * VM, a vCPU (on its thread). -errno or the kernel's result; not for KVM_RUN.
 */
int kvm_ioctl(unsigned long request, void *arg);
int kvm_vm_ioctl(unsigned long request, void *arg);
int kvm_vcpu_ioctl(CpuState *cpu, unsigned long request, void *arg);
/* What the VM, or the module before there is one, offers for KVM_CAP_@cap: 0, or 1, or a number. */
int kvm_check_extension(int cap);

/* A device of KVM_DEV_TYPE_@type in the kernel: its descriptor, or -errno; @test: only whether it is possible. */
int kvm_device_create(uint32_t type, bool test);
bool kvm_device_has(int fd, uint32_t group, uint64_t attr);
/* 0 or -errno. */
int kvm_device_get(int fd, uint32_t group, uint64_t attr, void *value);
int kvm_device_set(int fd, uint32_t group, uint64_t attr, const void *value);

#endif
