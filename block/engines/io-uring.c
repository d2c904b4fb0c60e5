/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * io_uring (util/uring.h). Completions raise an eventfd on the loop, and are seen
 * without it while the loop polls. On the loop's thread; the kernel is trusted.
 */
#include "util/osdep.h"
#include <sys/syscall.h>
#include "engine.h"
#include "util/uring.h"

#define URING_ENTRIES 128

typedef struct UringEngine {
    Engine engine;
    Uring ring;
    EventNotifier notifier;
    EngineRequest *queue, **queue_last;
    unsigned queued, in_flight;
    bool submitting;
} UringEngine;

static bool engine_pending(void *opaque)
{
    UringEngine *u = opaque;

    return uring_has_completion(&u->ring);
}

static void complete(UringEngine *u)
{
    struct io_uring_cqe cqe;

    while (uring_take_completion(&u->ring, &cqe)) {
        u->in_flight--;
        engine_transferred((EngineRequest *)(uintptr_t)cqe.user_data, cqe.res);
    }
}

static void push(UringEngine *u, EngineRequest *req)
{
    struct io_uring_sqe *sqe = uring_next_sqe(&u->ring);
    unsigned count;
    const struct iovec *iov = engine_request_iov(req, &count);

    sqe->opcode = req->is_write ? IORING_OP_WRITEV : IORING_OP_READV;
    sqe->fd = req->fd;
    sqe->addr = (uintptr_t)iov;
    sqe->len = count;
    sqe->off = engine_request_offset(req);
    sqe->user_data = (uintptr_t)req;
    u->in_flight++;
}

static void kick(Engine *e)
{
    UringEngine *u = container_of(e, UringEngine, engine);

    if (u->submitting) {
        return;
    }
    u->submitting = true;
    while (u->queue || u->ring.unsubmitted) {
        while (u->queue && u->ring.unsubmitted < u->ring.sq_entries && u->in_flight < u->ring.cq_entries) {
            EngineRequest *req = u->queue;

            u->queue = req->next;
            if (!u->queue) {
                u->queue_last = &u->queue;
            }
            u->queued--;
            push(u, req);
        }
        if (!u->ring.unsubmitted) {
            break;
        }
        if (!uring_enter(&u->ring, 0, 0, NULL) && errno != EINTR) {
            /*
             * EAGAIN, EBUSY: the next completion tries again, or when there will be none, the loop.
             */
            if (u->in_flight == u->ring.unsubmitted) {
                event_notifier_set(&u->notifier);
            }
            break;
        }
    }
    u->submitting = false;
}

static void ring_event(void *opaque)
{
    UringEngine *u = opaque;

    event_notifier_test_and_clear(&u->notifier);
    complete(u);
    if ((u->queue || u->ring.unsubmitted) && !u->engine.plugged) {
        kick(&u->engine);
    }
}

static void submit(Engine *e, EngineRequest *req)
{
    UringEngine *u = container_of(e, UringEngine, engine);
    unsigned batch = e->max_batch ? MIN(e->max_batch, URING_ENTRIES) : URING_ENTRIES;

    req->next = NULL;
    *u->queue_last = req;
    u->queue_last = &req->next;
    u->queued++;
    if (!e->plugged || u->queued >= batch) {
        kick(e);
    }
}

static bool init(Engine *e, Error **errp)
{
    UringEngine *u = container_of(e, UringEngine, engine);

    u->queue_last = &u->queue;
    if (!event_notifier_init(&u->notifier, false, errp)) {
        return false;
    }
    if (!uring_init(&u->ring, URING_ENTRIES, errp)) {
        goto undo_notifier;
    }
    if (syscall(SYS_io_uring_register, u->ring.fd, IORING_REGISTER_EVENTFD, &u->notifier.fd, 1) < 0) {
        error_setg_errno(errp, errno, "failed to register the eventfd of linux io_uring");
        goto undo_ring;
    }
    event_loop_set_notifier(e->loop, &u->notifier, ring_event, u);
    event_loop_set_fd_poll(e->loop, u->notifier.fd, engine_pending);
    return true;

undo_ring:
    uring_cleanup(&u->ring);
undo_notifier:
    event_notifier_cleanup(&u->notifier);
    return false;
}

static void cleanup(Engine *e)
{
    UringEngine *u = container_of(e, UringEngine, engine);

    event_loop_set_notifier(e->loop, &u->notifier, NULL, NULL);
    uring_cleanup(&u->ring);
    event_notifier_cleanup(&u->notifier);
}

const EngineOps engine_io_uring_ops = {
    .kind = BLOCKDEV_AIO_OPTIONS_IO_URING,
    .size = sizeof(UringEngine),
    .init = init,
    .cleanup = cleanup,
    .submit = submit,
    .kick = kick,
};
