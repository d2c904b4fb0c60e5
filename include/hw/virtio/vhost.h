/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Queues that the host's kernel serves (vhost, linux/vhost.h). The kernel reads and writes
 * split rings and buffers by itself: kicks go to it from the vCPU, its interrupts to the guest,
 * and no thread of ours is on the way.
 *
 * Memory that it writes is not seen by dirty logging, so while writes are logged (migration)
 * the device serves its queues itself; so it does wherever the kernel cannot (no eventfds for
 * kicks, rings of another format, an IOMMU in between).
 *
 * Thread: main thread with the machine lock.
 */
#ifndef HW_VIRTIO_VHOST_H
#define HW_VIRTIO_VHOST_H

#include "hw/virtio/virtio.h"

typedef struct VhostDevice VhostDevice;

/* What serves @n_queues queues from @first_queue on. */
typedef struct VhostUnit {
    int fd;                     /* of the vhost device, owned by this process already; borrowed */
    uint16_t first_queue;
    uint16_t n_queues;
    void *opaque;               /* for VhostOps */
} VhostUnit;

typedef struct VhostOps {
    /* Features that the unit is to be told of besides those that the driver negotiated. */
    uint64_t extra_features;
    /* The kernel is to begin or to end with queue @index of the unit (counted in the unit); false with errno. */
    bool (*set_backend)(const VhostUnit *u, unsigned index, bool on);
    /* Before the kernel begins and after it has ended: the owner serves the unit's queues while @on is false. */
    void (*serving)(const VhostUnit *u, bool on);
} VhostOps;

/* The ring features of @features that the kernel behind @fd can handle. */
uint64_t vhost_filter_features(int fd, uint64_t features);

/* For the units of a device; @units is copied. They serve whenever they can between the two calls that follow. */
VhostDevice *vhost_new(VirtioDevice *vdev, const VhostOps *ops, const VhostUnit *units, unsigned n_units);
/* From the device's start() and stop(). */
void vhost_start(VhostDevice *v);
void vhost_stop(VhostDevice *v);
/* The kernel is not to serve while @blocked, for a reason of the device's own. */
void vhost_block(VhostDevice *v, bool blocked);
/* Any time; the device goes on by itself. */
void vhost_free(VhostDevice *v);

#endif
