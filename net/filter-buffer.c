/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "filter-buffer": holds frames and lets all of them go every @interval
 * microseconds.
 *
 * Thread: main thread with the machine lock.
 * Trust: a sender fills at most @BUFFER_MAX; what comes then is dropped.
 */
#include "util/osdep.h"

#include "net/filter.h"
#include "util/event-loop.h"
#include "util/iov.h"

#define BUFFER_MAX (64 * 1024 * 1024)

typedef struct HeldFrame {
    struct HeldFrame *next;
    NetClient *sender;
    size_t len;
    uint8_t data[];
} HeldFrame;

typedef struct FilterBuffer {
    NetFilter parent;
    uint32_t interval_us;
    Timer timer;
    HeldFrame *first, **last;
    size_t bytes;
} FilterBuffer;

static void release(FilterBuffer *s, bool deliver)
{
    HeldFrame *list = s->first;

    s->first = NULL;
    s->last = &s->first;
    s->bytes = 0;
    while (list) {
        HeldFrame *h = list;
        struct iovec iov = { h->data, h->len };

        list = h->next;
        /* A NIC that went in the meantime is no longer the back end's peer. */
        if (deliver && s->parent.netdev && (h->sender == s->parent.netdev || h->sender == s->parent.netdev->peer)) {
            net_filter_pass_on(&s->parent, h->sender, &iov, 1);
        }
        g_free(h);
    }
}

static void arm(FilterBuffer *s)
{
    timer_arm_ns(&s->timer, clock_now_ns(CLOCK_TYPE_VIRTUAL) + s->interval_us * INT64_C(1000));
}

static void interval_ends(void *opaque)
{
    FilterBuffer *s = opaque;

    release(s, true);
    arm(s);
}

static NetFilterVerdict buffer_receive(NetFilter *f, NetClient *sender, const struct iovec *iov, unsigned cnt)
{
    FilterBuffer *s = (FilterBuffer *)f;
    size_t len = iov_size(iov, cnt);
    HeldFrame *h;

    if (s->bytes + len > BUFFER_MAX) {
        return NET_FILTER_TAKEN;
    }
    h = g_malloc(sizeof(*h) + len);
    *h = (HeldFrame){ .sender = sender, .len = len };
    iov_to_buf(iov, cnt, 0, h->data, len);
    *s->last = h;
    s->last = &h->next;
    s->bytes += len;
    return NET_FILTER_TAKEN;
}

static void buffer_switched(NetFilter *f)
{
    FilterBuffer *s = (FilterBuffer *)f;

    if (f->on) {
        arm(s);
    } else {
        timer_disarm(&s->timer);
        release(s, true);
    }
}

static bool buffer_setup(NetFilter *f, Error **errp)
{
    FilterBuffer *s = (FilterBuffer *)f;

    if (!s->interval_us) {
        error_setg(errp, "Parameter 'interval' expects a non-zero interval");
        return false;
    }
    s->last = &s->first;
    timer_init(&s->timer, event_loop_main(), CLOCK_TYPE_VIRTUAL, interval_ends, s);
    if (f->on) {
        arm(s);
    }
    return true;
}

static void buffer_cleanup(NetFilter *f)
{
    FilterBuffer *s = (FilterBuffer *)f;

    timer_disarm(&s->timer);
    release(s, true);
}

static const ObjectProperty buffer_properties[] = {
    { .name = "interval", .kind = &prop_kind_uint32, .offset = offsetof(FilterBuffer, interval_us),
      .type_name = "uint32", .flags = PROP_RUNTIME, .description = "microseconds between two releases" },
    PROP_END
};

static const NetFilterOps buffer_ops = {
    .setup = buffer_setup, .cleanup = buffer_cleanup, .receive = buffer_receive, .switched = buffer_switched,
};

OBJECT_TYPE_STATIC(filter_buffer_type) = {
    .name = "filter-buffer", .parent = &net_filter_type,
    .description = "holds frames for a time",
    .instance_size = sizeof(FilterBuffer),
    .properties = buffer_properties,
    .impls = TYPE_IMPLS({ &net_filter_type, &buffer_ops }),
};
