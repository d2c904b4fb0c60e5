/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Migratable state of every virtio device: what the driver negotiated and set
 * up, and where each ring stands. Buffers in flight are saved by the device
 * that holds them (virtqueue_element_save()), after this.
 *
 * Thread: machine lock, VM stopped. Trust: an incoming stream is checked like
 * guest input.
 */
#include "util/osdep.h"
#include "migration/state.h"
#include "virtqueue-internal.h"

enum { QUEUE_ENABLED = 1, QUEUE_AVAIL_WRAP = 2, QUEUE_USED_WRAP = 4 };

static void save_queues(StateStream *s, const void *field, const void *opaque)
{
    const VirtioDevice *vdev = opaque;

    state_put_u16(s, vdev->queue_count);
    for (unsigned i = 0; i < vdev->queue_count; i++) {
        const VirtQueue *vq = vdev->queues[i];

        state_put_u8(s, (vq->enabled ? QUEUE_ENABLED : 0) |
                        (vq->avail_wrap ? QUEUE_AVAIL_WRAP : 0) |
                        (vq->used_wrap ? QUEUE_USED_WRAP : 0));
        state_put_u16(s, vq->size);
        state_put_u16(s, vq->vector);
        for (int p = 0; p < VIRTQUEUE_PARTS; p++) {
            state_put_u64(s, vq->addr[p]);
        }
        state_put_u16(s, vq->next_avail);
        state_put_u16(s, vq->next_used);
    }
}

static void load_queue(StateStream *s, VirtQueue *vq)
{
    uint8_t flags = state_get_u8(s);

    virtqueue_init_indices(vq);
    vq->size = state_get_u16(s);
    vq->vector = state_get_u16(s);
    for (int p = 0; p < VIRTQUEUE_PARTS; p++) {
        vq->addr[p] = state_get_u64(s);
    }
    vq->next_avail = vq->avail_seen = state_get_u16(s);
    vq->next_used = state_get_u16(s);
    vq->enabled = flags & QUEUE_ENABLED;
    vq->avail_wrap = flags & QUEUE_AVAIL_WRAP;
    vq->used_wrap = flags & QUEUE_USED_WRAP;
    /* What the driver was last told to do is not known: say it again. */
    vq->kicks_enabled = false;
}

static bool load_queues(StateStream *s, void *field, void *opaque)
{
    VirtioDevice *vdev = opaque;
    unsigned count = state_get_u16(s);

    if (count != vdev->queue_count) {
        state_fail(s, "%s: the source has %u queues, we have %u", vdev->ops->name, count,
                   vdev->queue_count);
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        load_queue(s, vdev->queues[i]);
    }
    return state_ok(s);
}

static bool post_load(void *opaque, int version)
{
    VirtioDevice *vdev = opaque;

    vdev->broken = vdev->status & VIRTIO_CONFIG_S_NEEDS_RESET;
    if (vdev->guest_features & ~vdev->host_features) {
        return false;
    }
    return virtio_device_resume(vdev);
}

static const StateField virtio_device_fields[] = {
    STATE_F_UINT8(VirtioDevice, status),
    STATE_F_UINT8(VirtioDevice, isr),
    STATE_F_UINT64(VirtioDevice, guest_features),
    STATE_F_UINT8(VirtioDevice, config_generation),
    STATE_F_UINT16(VirtioDevice, config_vector),
    STATE_F_CUSTOM(VirtioDevice, queues, save_queues, load_queues),
    STATE_F_END
};

const StateTable virtio_device_state = {
    .name = "virtio",
    .version = 1,
    .minimum_version = 1,
    .fields = virtio_device_fields,
    .post_load = post_load,
};
