/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel serves queues: linux/vhost.h. See hw/virtio/vhost.h.
 *
 * Thread: main thread with the machine lock; memory changes come with it, too.
 * Trust: the kernel. It checks rings and descriptors against the memory table,
 * which has nothing but the guest's RAM.
 */
#include "util/osdep.h"

#include <linux/vhost.h>
#include <sys/ioctl.h>

#include "hw/virtio/vhost.h"
#include "trace-hw-virtio.h"
#include "virtqueue-internal.h"

/* Without these the rings look different, or the driver does what the kernel does not expect. */
#define RING_FEATURES                                                       \
    (BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_F_RING_PACKED) | BIT(VIRTIO_F_VERSION_1))

struct VhostDevice {
    VirtioDevice *vdev;
    const VhostOps *ops;
    VhostUnit *units;
    unsigned n_units;
    MemoryListener listener;
    struct vhost_memory *memory;        /* RAM by guest address */
    bool memory_changed;
    bool started;               /* the device's data path runs */
    bool logging;               /* writes must be seen by us */
    bool blocked;
    bool serving;
    EventNotifier error;        /* the kernel found a broken ring */
};

uint64_t vhost_filter_features(int fd, uint64_t features)
{
    uint64_t known = 0;

    if (ioctl(fd, VHOST_GET_FEATURES, &known) < 0) {
        known = 0;
    }
    /* One queue at a time cannot be taken back from the kernel. */
    return features & (known | ~RING_FEATURES) & ~BIT(VIRTIO_F_RING_RESET);
}

/* ---- one ring ---- */

static VirtQueue *unit_queue(VhostDevice *v, const VhostUnit *u, unsigned i)
{
    return v->vdev->queues[u->first_queue + i];
}

static bool ring_usable(const VirtQueue *vq)
{
    return vq->live && !vq->packed && vq->notifier_used && !vq->in_flight;
}

/* Ring @i of @u to the kernel, as it stands. */
static bool ring_give(VhostDevice *v, const VhostUnit *u, unsigned i)
{
    VirtQueue *vq = unit_queue(v, u, i);
    EventNotifier *call = v->vdev->transport_ops->queue_external(v->vdev->transport, vq->index, true);
    struct vhost_vring_state num = { .index = i, .num = vq->size };
    struct vhost_vring_state base = { .index = i, .num = vq->next_avail };
    struct vhost_vring_addr addr = {
        .index = i,
        .desc_user_addr = (uintptr_t)vq->part[VIRTQUEUE_DESC].host,
        .avail_user_addr = (uintptr_t)vq->part[VIRTQUEUE_DRIVER].host,
        .used_user_addr = (uintptr_t)vq->part[VIRTQUEUE_DEVICE].host,
    };
    struct vhost_vring_file kick = { .index = i, .fd = vq->notifier.fd };
    struct vhost_vring_file err = { .index = i, .fd = v->error.fd };
    struct vhost_vring_file irq = { .index = i, .fd = call ? call->fd : -1 };

    vq->external = true;
    if (!call || ioctl(u->fd, VHOST_SET_VRING_NUM, &num) < 0 || ioctl(u->fd, VHOST_SET_VRING_BASE, &base) < 0 ||
        ioctl(u->fd, VHOST_SET_VRING_ADDR, &addr) < 0 || ioctl(u->fd, VHOST_SET_VRING_KICK, &kick) < 0 ||
        ioctl(u->fd, VHOST_SET_VRING_CALL, &irq) < 0 || ioctl(u->fd, VHOST_SET_VRING_ERR, &err) < 0 ||
        !v->ops->set_backend(u, i, true)) {
        return false;
    }
    /* Kicks may have come while nobody listened. */
    event_notifier_set(&vq->notifier);
    return true;
}

/* And back, to be served by us where the kernel stopped. */
static void ring_take(VhostDevice *v, const VhostUnit *u, unsigned i)
{
    VirtQueue *vq = unit_queue(v, u, i);
    struct vhost_vring_file none = { .index = i, .fd = -1 };
    struct vhost_vring_state base = { .index = i };

    if (!vq->external) {
        return;
    }
    v->ops->set_backend(u, i, false);
    if (ioctl(u->fd, VHOST_GET_VRING_BASE, &base) == 0 && vq->live) {
        vq->next_avail = vq->avail_seen = (uint16_t)base.num;
        vq->next_used = ring_load16(&vq->part[VIRTQUEUE_DEVICE], offsetof(struct vring_used, idx));
        vq->unsignalled = RING_UNSIGNALLED_ALL;
        vq->kicks_enabled = false;
    }
    ioctl(u->fd, VHOST_SET_VRING_KICK, &none);
    ioctl(u->fd, VHOST_SET_VRING_CALL, &none);
    ioctl(u->fd, VHOST_SET_VRING_ERR, &none);
    vq->external = false;
    v->vdev->transport_ops->queue_external(v->vdev->transport, vq->index, false);
}

/* ---- all rings ---- */

static void on_error(void *opaque)
{
    VhostDevice *v = opaque;

    if (event_notifier_test_and_clear(&v->error)) {
        virtio_device_broken(v->vdev, "vhost: the kernel cannot use a ring");
    }
}

static bool unit_start(VhostDevice *v, const VhostUnit *u)
{
    uint64_t features = v->vdev->guest_features, known = 0;

    /* The kernel must not be told of what it does not know: that is between driver and device. */
    if (ioctl(u->fd, VHOST_GET_FEATURES, &known) < 0) {
        return false;
    }
    features = (features | v->ops->extra_features) & known;
    v->ops->serving(u, true);
    if (ioctl(u->fd, VHOST_SET_FEATURES, &features) < 0 || ioctl(u->fd, VHOST_SET_MEM_TABLE, v->memory) < 0) {
        return false;
    }
    for (unsigned i = 0; i < u->n_queues; i++) {
        if (!ring_give(v, u, i)) {
            return false;
        }
    }
    return true;
}

static void unit_stop(VhostDevice *v, const VhostUnit *u)
{
    for (unsigned i = 0; i < u->n_queues; i++) {
        ring_take(v, u, i);
    }
    v->ops->serving(u, false);
}

static bool usable(VhostDevice *v)
{
    VirtioDevice *vdev = v->vdev;

    if (!vdev->transport_ops->queue_external || vdev->dma != &address_space_memory || atomic_load(&vdev->broken) ||
        !atomic_load(vdev->dma_enabled) || v->logging || v->blocked || !v->memory->nregions) {
        return false;
    }
    for (unsigned u = 0; u < v->n_units; u++) {
        for (unsigned i = 0; i < v->units[u].n_queues; i++) {
            if (!ring_usable(unit_queue(v, &v->units[u], i))) {
                return false;
            }
        }
    }
    return true;
}

/* The kernel takes over from us, if it can. The queues' handlers are stopped. */
static void begin(VhostDevice *v)
{
    unsigned done = 0;

    if (v->serving || !v->started || !usable(v)) {
        return;
    }
    for (unsigned u = 0; u < v->n_units; u++) {
        for (unsigned i = 0; i < v->units[u].n_queues; i++) {
            /* The memory map may have changed since. */
            if (!virtqueue_map(unit_queue(v, &v->units[u], i))) {
                return;
            }
        }
    }
    while (done < v->n_units && unit_start(v, &v->units[done])) {
        done++;
    }
    v->serving = done == v->n_units;
    trace_vhost_serving(v->vdev, v->serving, errno);
    for (unsigned u = 0; !v->serving && u < v->n_units; u++) {
        unit_stop(v, &v->units[u]);
    }
}

static void end(VhostDevice *v)
{
    if (v->serving) {
        v->serving = false;
        trace_vhost_serving(v->vdev, false, 0);
        for (unsigned u = 0; u < v->n_units; u++) {
            unit_stop(v, &v->units[u]);
        }
    }
}

/* Something has changed in the middle of work. */
static void change_hands(VhostDevice *v)
{
    end(v);
    if (!v->started) {
        return;
    }
    for (unsigned u = 0; u < v->n_units; u++) {
        for (unsigned i = 0; i < v->units[u].n_queues; i++) {
            virtqueue_run_stop(unit_queue(v, &v->units[u], i));
        }
        v->ops->serving(&v->units[u], false);
    }
    begin(v);
    for (unsigned u = 0; u < v->n_units; u++) {
        for (unsigned i = 0; i < v->units[u].n_queues; i++) {
            virtqueue_run_start(unit_queue(v, &v->units[u], i));
        }
    }
}

/* ---- memory ---- */

static void section_added(MemoryListener *l, const MemorySection *s)
{
    VhostDevice *v = l->opaque;
    unsigned n = v->memory->nregions;

    if (!s->host || s->readonly) {
        return;
    }
    v->memory = g_realloc(v->memory, sizeof(*v->memory) + (n + 1) * sizeof(v->memory->regions[0]));
    v->memory->regions[n] = (struct vhost_memory_region) {
        .guest_phys_addr = s->addr, .memory_size = s->size, .userspace_addr = (uintptr_t)s->host,
    };
    v->memory->nregions++;
    v->memory_changed = true;
}

static void section_removed(MemoryListener *l, const MemorySection *s)
{
    VhostDevice *v = l->opaque;
    struct vhost_memory *m = v->memory;

    for (unsigned i = 0; i < m->nregions; i++) {
        if (m->regions[i].guest_phys_addr == s->addr) {
            m->regions[i] = m->regions[--m->nregions];
            v->memory_changed = true;
            return;
        }
    }
}

static void memory_commit(MemoryListener *l)
{
    VhostDevice *v = l->opaque;

    if (v->memory_changed) {
        v->memory_changed = false;
        change_hands(v);
    }
}

/* Once for each section, but all of them are logged or none. */
static void log_changed(MemoryListener *l, const MemorySection *s)
{
    VhostDevice *v = l->opaque;
    bool logging = memory_dirty_log_clients() != 0;

    if (v->logging != logging) {
        v->logging = logging;
        change_hands(v);
    }
}

/* ---- life ---- */

void vhost_start(VhostDevice *v)
{
    v->listener = (MemoryListener) {
        .name = "vhost",
        .opaque = v,
        .region_add = section_added,
        .region_del = section_removed,
        .commit = memory_commit,
        .log_start = log_changed,
        .log_stop = log_changed,
    };
    v->memory->nregions = 0;
    v->logging = memory_dirty_log_clients() != 0;
    memory_listener_register(&v->listener, v->vdev->dma);
    v->memory_changed = false;
    v->started = true;
    begin(v);
}

void vhost_stop(VhostDevice *v)
{
    if (v->started) {
        v->started = false;
        end(v);
        memory_listener_unregister(&v->listener);
    }
}

void vhost_block(VhostDevice *v, bool blocked)
{
    if (v->blocked != blocked) {
        v->blocked = blocked;
        change_hands(v);
    }
}

VhostDevice *vhost_new(VirtioDevice *vdev, const VhostOps *ops, const VhostUnit *units, unsigned n_units)
{
    VhostDevice *v = g_new0(VhostDevice, 1);

    v->vdev = vdev;
    v->ops = ops;
    v->units = g_memdup2(units, n_units * sizeof(*units));
    v->n_units = n_units;
    v->memory = g_malloc0(sizeof(*v->memory));
    if (!event_notifier_init(&v->error, false, NULL)) {
        v->error.fd = -1;
    } else {
        event_loop_set_notifier(event_loop_main(), &v->error, on_error, v);
    }
    return v;
}

void vhost_free(VhostDevice *v)
{
    if (!v) {
        return;
    }
    vhost_block(v, true);
    vhost_stop(v);
    if (v->error.fd >= 0) {
        event_loop_set_notifier(event_loop_main(), &v->error, NULL, NULL);
        event_notifier_cleanup(&v->error);
    }
    g_free(v->memory);
    g_free(v->units);
    g_free(v);
}
