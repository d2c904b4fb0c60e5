/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices in the kernel and their attributes (Linux
 * Documentation/virt/kvm/devices). Main thread with the machine lock.
 */
#include "util/osdep.h"
#include <sys/ioctl.h>
#include "kvm-int.h"

static int attribute(int fd, unsigned long request, uint32_t group, uint64_t attr, void *value)
{
    struct kvm_device_attr a = { .group = group, .attr = attr, .addr = (uintptr_t)value };

    return ioctl(fd, request, &a) < 0 ? -errno : 0;
}

int kvm_device_create(uint32_t type, bool test)
{
    struct kvm_create_device d = { .type = type, .flags = test ? KVM_CREATE_DEVICE_TEST : 0 };
    int ret = kvm_vm_ioctl(KVM_CREATE_DEVICE, &d);

    return ret < 0 ? ret : test ? 0 : (int)d.fd;
}

bool kvm_device_has(int fd, uint32_t group, uint64_t attr)
{
    return attribute(fd, KVM_HAS_DEVICE_ATTR, group, attr, NULL) == 0;
}

int kvm_device_get(int fd, uint32_t group, uint64_t attr, void *value)
{
    return attribute(fd, KVM_GET_DEVICE_ATTR, group, attr, value);
}

int kvm_device_set(int fd, uint32_t group, uint64_t attr, const void *value)
{
    return attribute(fd, KVM_SET_DEVICE_ATTR, group, attr, (void *)value);
}
