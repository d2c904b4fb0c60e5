/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory-mapped transport of virtio devices (virtio 1.2, 4.2): 0x200 bytes
 * of registers, a bus for one device, an interrupt line (unnamed output). The
 * owner maps @io.
 *
 * Thread: machine lock.
 */
#ifndef HW_VIRTIO_VIRTIO_MMIO_H
#define HW_VIRTIO_VIRTIO_MMIO_H

#include "hw/virtio/virtio.h"

#define VIRTIO_MMIO_SIZE 0x200u

typedef struct VirtioMmio {
    DeviceState dev;
    MemoryRegion io;
    BusState bus;               /* "virtio-mmio-bus.N" */
    IrqLine irq;
    BottomHalf *irq_bh;         /* moves the line from other threads */
    bool force_legacy, ioeventfd;
    uint32_t device_feature_select, driver_feature_select;
    uint32_t queue_select;
} VirtioMmio;

extern const TypeInfo virtio_mmio_type;         /* "virtio-mmio" */
#define VIRTIO_MMIO(p) ((VirtioMmio *)object_cast(p, &virtio_mmio_type))

/* As @parent/virtio-mmio[*], realized; its bus gets the number @n. Borrowed. */
VirtioMmio *virtio_mmio_create(Object *parent, unsigned n, Error **errp);
/* The device on it, or NULL. */
VirtioDevice *virtio_mmio_device(VirtioMmio *s);

#endif
