/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-rng, the entropy device (virtio 1.2, 5.4): one queue of buffers that
 * we fill with random bytes from an entropy back end.
 *
 * One buffer is served at a time. max-bytes and period (milliseconds) bound
 * how much a guest takes: when a period's bytes are used up, the queue waits
 * for the next one.
 *
 * Thread: main loop. Trust: the guest chooses number and size of buffers, of
 * each of which at most CHUNK_MAX bytes are filled.
 */
#include "util/osdep.h"
#include <linux/virtio_ids.h>
#include "backends/rng.h"
#include "hw/pci/pci_regs.h"
#include "hw/virtio/virtio.h"
#include "trace-hw-rng.h"
#include "util/iov.h"

#define QUEUE_SIZE 8
#define CHUNK_MAX (64 * KIB)
#define NS_PER_MS INT64_C(1000000)

typedef struct VirtioRng {
    VirtioDevice vdev;
    Object *rng;                /* property; an RngBackend */
    uint64_t max_bytes;
    uint32_t period;
    Object *own_rng;            /* the back end that we made because none was given */
    VirtQueue *vq;
    VirtQueueElement *elem;     /* being filled, or NULL */
    uint64_t quota;             /* bytes left until period_end */
    int64_t period_end;
    Timer timer;                /* armed while a request waits for the next period */
} VirtioRng;

extern const TypeInfo virtio_rng_type;

static void rng_serve(VirtioRng *s);

static void rng_receive(void *opaque, const void *data, size_t len)
{
    VirtioRng *s = opaque;
    VirtQueueElement *elem = s->elem;

    trace_virtio_rng_filled(s, len);
    s->elem = NULL;
    s->quota -= MIN(s->quota, len);
    virtqueue_push(elem, iov_from_buf(elem->in, elem->in_count, 0, data, len));
    virtqueue_element_free(elem);
    virtqueue_notify(s->vq);
    /* From the loop, not from here: the back end may answer at once. */
    virtio_queue_rerun(s->vq);
}

/* True when bytes may be given out now; otherwise the timer comes back to the queue. */
static bool rng_check_quota(VirtioRng *s)
{
    int64_t now = clock_now_ns(CLOCK_TYPE_VIRTUAL);

    if (now >= s->period_end) {
        s->quota = s->max_bytes;
        s->period_end = now + s->period * NS_PER_MS;
    }
    if (!s->quota) {
        timer_arm_ns(&s->timer, s->period_end);
    }
    return s->quota;
}

static void rng_ask(VirtioRng *s)
{
    uint64_t len = MIN(MIN(s->elem->in_size, CHUNK_MAX), s->quota);

    rng_backend_request((RngBackend *)s->rng, len, rng_receive, s);
}

static void rng_serve(VirtioRng *s)
{
    while (!s->elem && rng_check_quota(s)) {
        s->elem = virtqueue_pop(s->vq, sizeof(*s->elem));
        if (!s->elem) {
            return;
        }
        trace_virtio_rng_request(s, s->elem->in_size);
        if (s->elem->in_size) {
            rng_ask(s);
        } else {
            virtqueue_push(s->elem, 0);
            virtqueue_element_free(s->elem);
            s->elem = NULL;
        }
    }
}

static void rng_handler(VirtioDevice *vdev, VirtQueue *vq)
{
    rng_serve((VirtioRng *)vdev);
}

static void rng_timer(void *opaque)
{
    VirtioRng *s = opaque;

    virtio_queue_rerun(s->vq);
}

static void rng_start(VirtioDevice *vdev)
{
    VirtioRng *s = (VirtioRng *)vdev;

    if (s->elem) {
        rng_check_quota(s);
        s->quota = MAX(s->quota, 1);
        rng_ask(s);
    }
}

static void rng_stop(VirtioDevice *vdev)
{
    VirtioRng *s = (VirtioRng *)vdev;

    rng_backend_cancel((RngBackend *)s->rng, s);
    timer_disarm(&s->timer);
}

static void rng_drop(VirtioRng *s)
{
    rng_backend_cancel((RngBackend *)s->rng, s);
    if (s->elem) {
        virtqueue_detach(s->elem);
        virtqueue_element_free(s->elem);
        s->elem = NULL;
    }
}

static void rng_reset(VirtioDevice *vdev)
{
    rng_drop((VirtioRng *)vdev);
}

static void rng_queue_reset(VirtioDevice *vdev, uint16_t index)
{
    rng_drop((VirtioRng *)vdev);
}

static bool rng_make_backend(VirtioRng *s, Error **errp)
{
    const UserCreatableOps *ops;
    Object *rng = object_new_by_name("rng-builtin", errp);

    if (!rng) {
        return false;
    }
    ops = object_ops(rng, &user_creatable_type);
    if ((ops && ops->complete && !ops->complete(rng, errp)) ||
        !object_add_child(OBJECT(s), "default-backend", rng, errp)) {
        object_unref(rng);
        return false;
    }
    s->own_rng = rng;
    s->rng = object_ref(rng);
    return true;
}

static void rng_drop_backend(VirtioRng *s)
{
    if (s->own_rng) {
        object_unparent(s->own_rng);
        object_unref(s->own_rng);
        g_clear_pointer(&s->rng, object_unref);
        s->own_rng = NULL;
    }
}

static bool rng_realize(VirtioDevice *vdev, Error **errp)
{
    VirtioRng *s = (VirtioRng *)vdev;

    if (!s->period) {
        error_setg(errp, "'period' parameter expects a positive integer");
        return false;
    }
    if (s->max_bytes > INT64_MAX) {
        error_setg(errp, "'max-bytes' parameter must be non-negative, and less than 2^63");
        return false;
    }
    if (!s->rng && !rng_make_backend(s, errp)) {
        return false;
    }
    s->vq = virtio_queue_add(vdev, QUEUE_SIZE, rng_handler);
    s->period_end = INT64_MIN;
    timer_init(&s->timer, event_loop_main(), CLOCK_TYPE_VIRTUAL, rng_timer, s);
    return true;
}

static void rng_unrealize(VirtioDevice *vdev)
{
    VirtioRng *s = (VirtioRng *)vdev;

    timer_disarm(&s->timer);
    rng_drop_backend(s);
}

static const ObjectProperty rng_properties[] = {
    PROP_LINK("rng", VirtioRng, rng, &rng_backend_type, "entropy back end; default: a new rng-builtin"),
    PROP_UINT64("max-bytes", VirtioRng, max_bytes, INT64_MAX, "most bytes in a period"),
    PROP_UINT32("period", VirtioRng, period, 1 << 16, "length of a period in milliseconds"),
    PROP_END
};

static void rng_save_elem(StateStream *stream, const void *field, const void *opaque)
{
    const VirtioRng *s = opaque;

    state_put_u8(stream, s->elem != NULL);
    if (s->elem) {
        virtqueue_element_save(stream, s->elem);
    }
}

static bool rng_load_elem(StateStream *stream, void *field, void *opaque)
{
    VirtioRng *s = opaque;

    if (state_get_u8(stream)) {
        s->elem = virtqueue_element_load(stream, s->vq, sizeof(*s->elem));
        return s->elem;
    }
    return state_ok(stream);
}

static const StateField rng_fields[] = {
    STATE_F_CUSTOM(VirtioRng, elem, rng_save_elem, rng_load_elem),
    STATE_F_END
};

static const StateTable rng_state = {
    .name = "virtio-rng",
    .version = 1,
    .minimum_version = 1,
    .fields = rng_fields,
};

static const VirtioDeviceOps rng_ops = {
    .name = "virtio-rng",
    .device_id = VIRTIO_ID_RNG,
    .pci_class = PCI_CLASS_OTHERS,
    .rare_kicks = true,
    .realize = rng_realize,
    .unrealize = rng_unrealize,
    .reset = rng_reset,
    .start = rng_start,
    .stop = rng_stop,
    .queue_reset = rng_queue_reset,
    .state = &rng_state,
};

OBJECT_TYPE(virtio_rng_type) = {
    .name = "virtio-rng-device",
    .parent = &virtio_device_type,
    .instance_size = sizeof(VirtioRng),
    .description = "virtio entropy device",
    .properties = rng_properties,
    .impls = TYPE_IMPLS({ &virtio_device_type, &rng_ops }),
};
