/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * io_uring (io_uring_setup(2), io_uring_enter(2), the rings mapped and driven
 * here: it is less code than a library's start-up cost is worth). Completions
 * raise an eventfd on the loop, and are seen without it while the loop polls. On
 * the loop's thread; the kernel is trusted.
 */
#include "util/osdep.h"
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "engine.h"

#define URING_ENTRIES 128

typedef struct Ring {
    unsigned *head, *tail, *mask;
    void *map;
    size_t map_size;
} Ring;

typedef struct Uring {
    Engine engine;
    int fd;
    Ring sq, cq;
    unsigned *sq_array;
    struct io_uring_sqe *sqes;
    size_t sqes_size;
    struct io_uring_cqe *cqes;
    unsigned cq_entries;
    EventNotifier notifier;
    EngineRequest *queue, **queue_last;
    unsigned queued, in_flight;
    unsigned unsubmitted;       /* entries in the ring that the kernel has not taken */
    bool submitting;
} Uring;

static bool uring_pending(void *opaque)
{
    Uring *u = opaque;

    return atomic_load_acquire(u->cq.tail) != *u->cq.head;
}

static void complete(Uring *u)
{
    while (uring_pending(u)) {
        unsigned head = *u->cq.head;
        struct io_uring_cqe cqe = u->cqes[head & *u->cq.mask];

        atomic_store_release(u->cq.head, head + 1);
        u->in_flight--;
        engine_transferred((EngineRequest *)(uintptr_t)cqe.user_data, cqe.res);
    }
}

static void push(Uring *u, EngineRequest *req)
{
    unsigned tail = *u->sq.tail, index = tail & *u->sq.mask, count;
    const struct iovec *iov = engine_request_iov(req, &count);

    u->sqes[index] = (struct io_uring_sqe) {
        .opcode = req->is_write ? IORING_OP_WRITEV : IORING_OP_READV,
        .fd = req->fd,
        .addr = (uintptr_t)iov,
        .len = count,
        .off = engine_request_offset(req),
        .user_data = (uintptr_t)req,
    };
    u->sq_array[index] = index;
    atomic_store_release(u->sq.tail, tail + 1);
    u->unsubmitted++;
    u->in_flight++;
}

static void uring_kick(Engine *e)
{
    Uring *u = container_of(e, Uring, engine);

    if (u->submitting) {
        return;
    }
    u->submitting = true;
    while (u->queue || u->unsubmitted) {
        int n;

        while (u->queue && u->unsubmitted < URING_ENTRIES && u->in_flight < u->cq_entries) {
            EngineRequest *req = u->queue;

            u->queue = req->next;
            if (!u->queue) {
                u->queue_last = &u->queue;
            }
            u->queued--;
            push(u, req);
        }
        if (!u->unsubmitted) {
            break;
        }
        n = syscall(SYS_io_uring_enter, u->fd, u->unsubmitted, 0, 0, NULL, 0);
        if (n < 0 && errno != EINTR) {
            /*
             * EAGAIN, EBUSY: the next completion tries again, or when there will be none, the loop.
             */
            if (u->in_flight == u->unsubmitted) {
                event_notifier_set(&u->notifier);
            }
            break;
        }
        u->unsubmitted -= MAX(n, 0);
    }
    u->submitting = false;
}

static void uring_event(void *opaque)
{
    Uring *u = opaque;

    event_notifier_test_and_clear(&u->notifier);
    complete(u);
    if ((u->queue || u->unsubmitted) && !u->engine.plugged) {
        uring_kick(&u->engine);
    }
}

static void uring_submit(Engine *e, EngineRequest *req)
{
    Uring *u = container_of(e, Uring, engine);
    unsigned batch = e->max_batch ? MIN(e->max_batch, URING_ENTRIES) : URING_ENTRIES;

    req->next = NULL;
    *u->queue_last = req;
    u->queue_last = &req->next;
    u->queued++;
    if (!e->plugged || u->queued >= batch) {
        uring_kick(e);
    }
}

static bool map_ring(Uring *u, Ring *r, off_t which, size_t size, Error **errp)
{
    r->map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, u->fd, which);
    if (r->map == MAP_FAILED) {
        r->map = NULL;
        error_setg_errno(errp, errno, "failed to map linux io_uring ring");
        return false;
    }
    r->map_size = size;
    return true;
}

static void unmap_all(Uring *u)
{
    if (u->sqes) {
        munmap(u->sqes, u->sqes_size);
    }
    if (u->cq.map) {
        munmap(u->cq.map, u->cq.map_size);
    }
    if (u->sq.map) {
        munmap(u->sq.map, u->sq.map_size);
    }
    close(u->fd);
}

static bool map_all(Uring *u, const struct io_uring_params *p, Error **errp)
{
    uint8_t *sq, *cq;

    if (!map_ring(u, &u->sq, IORING_OFF_SQ_RING, p->sq_off.array + p->sq_entries * sizeof(unsigned),
                  errp) ||
        !map_ring(u, &u->cq, IORING_OFF_CQ_RING,
                  p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe), errp)) {
        return false;
    }
    u->sqes_size = p->sq_entries * sizeof(struct io_uring_sqe);
    u->sqes = mmap(NULL, u->sqes_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, u->fd,
                   IORING_OFF_SQES);
    if (u->sqes == MAP_FAILED) {
        u->sqes = NULL;
        error_setg_errno(errp, errno, "failed to map linux io_uring entries");
        return false;
    }
    sq = u->sq.map;
    cq = u->cq.map;
    u->sq.head = (unsigned *)(sq + p->sq_off.head);
    u->sq.tail = (unsigned *)(sq + p->sq_off.tail);
    u->sq.mask = (unsigned *)(sq + p->sq_off.ring_mask);
    u->sq_array = (unsigned *)(sq + p->sq_off.array);
    u->cq.head = (unsigned *)(cq + p->cq_off.head);
    u->cq.tail = (unsigned *)(cq + p->cq_off.tail);
    u->cq.mask = (unsigned *)(cq + p->cq_off.ring_mask);
    u->cqes = (struct io_uring_cqe *)(cq + p->cq_off.cqes);
    u->cq_entries = p->cq_entries;
    return true;
}

static bool uring_init(Engine *e, Error **errp)
{
    Uring *u = container_of(e, Uring, engine);
    struct io_uring_params params = { 0 };

    u->queue_last = &u->queue;
    if (!event_notifier_init(&u->notifier, false, errp)) {
        return false;
    }
    u->fd = syscall(SYS_io_uring_setup, URING_ENTRIES, &params);
    if (u->fd < 0) {
        error_setg_errno(errp, errno, "failed to init linux io_uring ring");
        goto undo_notifier;
    }
    fcntl(u->fd, F_SETFD, FD_CLOEXEC);
    if (!map_all(u, &params, errp)) {
        goto undo_maps;
    }
    if (syscall(SYS_io_uring_register, u->fd, IORING_REGISTER_EVENTFD, &u->notifier.fd, 1) < 0) {
        error_setg_errno(errp, errno, "failed to register the eventfd of linux io_uring");
        goto undo_maps;
    }
    event_loop_set_notifier(e->loop, &u->notifier, uring_event, u);
    event_loop_set_fd_poll(e->loop, u->notifier.fd, uring_pending);
    return true;

undo_maps:
    unmap_all(u);
undo_notifier:
    event_notifier_cleanup(&u->notifier);
    return false;
}

static void uring_cleanup(Engine *e)
{
    Uring *u = container_of(e, Uring, engine);

    event_loop_set_notifier(e->loop, &u->notifier, NULL, NULL);
    unmap_all(u);
    event_notifier_cleanup(&u->notifier);
}

const EngineOps engine_io_uring_ops = {
    .kind = BLOCKDEV_AIO_OPTIONS_IO_URING,
    .size = sizeof(Uring),
    .init = uring_init,
    .cleanup = uring_cleanup,
    .submit = uring_submit,
    .kick = uring_kick,
};
