/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When queue handlers run: kicks by eventfd or register write, bounded runs,
 * start and stop.
 *
 * A run hands out at most as many buffers as the ring has room for; a driver
 * that keeps on adding gets its next run from a bottom half, after everything
 * else that waits on the loop.
 *
 * Thread: handlers on the queue's loop. Start and stop under the machine lock;
 * they do their work on the queue's loop and wait for it. A queue on the main
 * loop is guarded by the machine lock itself.
 */
#include "util/osdep.h"
#include "trace-hw-virtio.h"
#include "virtqueue-internal.h"

static void run_once(VirtQueue *vq)
{
    if (vq->manual_kicks) {
        vq->handler(vq->vdev, vq);
        return;
    }
    do {
        virtqueue_enable_kicks(vq, false);
        vq->popped = false;
        vq->handler(vq->vdev, vq);
        if (vq->rerun) {
            return;
        }
        virtqueue_enable_kicks(vq, true);
    } while (vq->popped && !virtqueue_empty(vq));
}

static void run_handler(VirtQueue *vq)
{
    if (!atomic_load_acquire(&vq->running) || vq->in_handler || !vq->live) {
        return;
    }
    vq->budget = vq->size;
    vq->rerun = false;
    vq->in_handler = true;
    run_once(vq);
    vq->in_handler = false;
    if (vq->rerun) {
        bh_schedule(vq->bh);
    }
}

static void on_bh(void *opaque)
{
    run_handler(opaque);
}

static void on_notifier(void *opaque)
{
    VirtQueue *vq = opaque;

    /* The loop is told of each signal once, so the count needs no reading. */
    trace_virtio_queue_kicked(vq->vdev, vq->index);
    run_handler(vq);
}

static bool on_poll(void *opaque)
{
    VirtQueue *vq = opaque;

    return vq->running && !virtqueue_empty(vq);
}

/* ---- work on the queue's thread ---- */

static void run_on_loop(VirtQueue *vq, EventLoopFunc *fn)
{
    if (vq->loop == event_loop_main()) {
        /* The machine lock, which we hold, keeps the handlers away. */
        fn(vq);
    } else {
        event_loop_run_wait(vq->loop, fn, vq);
    }
}

static void start_on_loop(void *opaque)
{
    VirtQueue *vq = opaque;

    if (vq->notifier_used) {
        event_loop_set_notifier(vq->loop, &vq->notifier, on_notifier, vq);
        event_loop_set_fd_poll(vq->loop, vq->notifier.fd, on_poll);
    }
    atomic_store_release(&vq->running, true);
    /* Kicks may have come while nobody listened. */
    bh_schedule(vq->bh);
}

static void stop_on_loop(void *opaque)
{
    VirtQueue *vq = opaque;

    atomic_store(&vq->running, false);
    bh_cancel(vq->bh);
    if (vq->notifier_used) {
        event_loop_set_notifier(vq->loop, &vq->notifier, NULL, NULL);
    }
}

void virtqueue_run_start(VirtQueue *vq)
{
    if (vq->running || !vq->live || vq->external) {
        return;
    }
    if (!vq->bh) {
        vq->bh = bh_new(vq->loop, on_bh, vq);
    }
    run_on_loop(vq, start_on_loop);
}

void virtqueue_run_stop(VirtQueue *vq)
{
    if (vq->running) {
        run_on_loop(vq, stop_on_loop);
    }
}

/* ---- kicks ---- */

void virtqueue_notifier_assign(VirtQueue *vq)
{
    VirtioDevice *vdev = vq->vdev;

    if (vdev->ops->rare_kicks || vq->notifier_used) {
        return;
    }
    if (vq->notifier.fd < 0 && !event_notifier_init(&vq->notifier, false, NULL)) {
        return;
    }
    vq->notifier_used = vdev->transport_ops->assign_host_notifier(vdev->transport, vq->index,
                                                                  &vq->notifier, true);
}

void virtqueue_notifier_release(VirtQueue *vq)
{
    VirtioDevice *vdev = vq->vdev;

    if (vq->notifier_used) {
        vdev->transport_ops->assign_host_notifier(vdev->transport, vq->index, &vq->notifier,
                                                  false);
        /* The eventfd stays open: a vCPU may be about to write to it. */
        vq->notifier_used = false;
    }
}

void virtio_queue_rerun(VirtQueue *vq)
{
    if (atomic_load_acquire(&vq->running)) {
        bh_schedule(vq->bh);
    }
}

void virtio_queue_kick(VirtioDevice *vdev, uint16_t index)
{
    if (index < vdev->queue_count) {
        trace_virtio_queue_kicked(vdev, index);
        virtio_queue_rerun(vdev->queues[index]);
    }
}

void virtio_queue_set_loop(VirtQueue *vq, EventLoop *loop)
{
    assert(!vq->running);
    if (vq->loop != loop && vq->bh) {
        bh_delete(vq->bh);
        vq->bh = NULL;
    }
    vq->loop = loop;
}

EventLoop *virtio_queue_loop(const VirtQueue *vq)
{
    return vq->loop;
}

void virtio_queue_set_manual_kicks(VirtQueue *vq)
{
    vq->manual_kicks = true;
}
