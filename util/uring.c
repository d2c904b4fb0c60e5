/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rings of an io_uring instance (include/util/uring.h). The kernel is trusted.
 */
#include "util/osdep.h"
#include <sys/mman.h>
#include <sys/syscall.h>
#include "util/uring.h"

static bool map_queue(Uring *u, UringQueue *q, off_t which, size_t size, Error **errp)
{
    q->map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, u->fd, which);
    if (q->map == MAP_FAILED) {
        q->map = NULL;
        error_setg_errno(errp, errno, "failed to map linux io_uring ring");
        return false;
    }
    q->map_size = size;
    return true;
}

static bool map_all(Uring *u, const struct io_uring_params *p, Error **errp)
{
    uint8_t *sq, *cq;

    if (!map_queue(u, &u->sq, IORING_OFF_SQ_RING, p->sq_off.array + p->sq_entries * sizeof(unsigned),
                   errp) ||
        !map_queue(u, &u->cq, IORING_OFF_CQ_RING,
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
    return true;
}

bool uring_init(Uring *u, unsigned entries, Error **errp)
{
    struct io_uring_params params = { 0 };

    *u = (Uring) { .fd = syscall(SYS_io_uring_setup, entries, &params) };
    if (u->fd < 0) {
        error_setg_errno(errp, errno, "failed to init linux io_uring ring");
        return false;
    }
    fcntl(u->fd, F_SETFD, FD_CLOEXEC);
    u->sq_entries = params.sq_entries;
    u->cq_entries = params.cq_entries;
    u->features = params.features;
    if (!map_all(u, &params, errp)) {
        uring_cleanup(u);
        return false;
    }
    return true;
}

void uring_cleanup(Uring *u)
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

struct io_uring_sqe *uring_next_sqe(Uring *u)
{
    unsigned tail = *u->sq.tail, index = tail & *u->sq.mask;

    if (u->unsubmitted == u->sq_entries) {
        return NULL;
    }
    u->sqes[index] = (struct io_uring_sqe) { 0 };
    u->sq_array[index] = index;
    /* The kernel looks at entries only in uring_enter(): the caller fills this one before. */
    atomic_store_release(u->sq.tail, tail + 1);
    u->unsubmitted++;
    return &u->sqes[index];
}

bool uring_enter(Uring *u, unsigned wait_for, unsigned flags, const struct timespec *timeout)
{
    struct __kernel_timespec ts;
    struct io_uring_getevents_arg arg = { 0 };
    int n;

    if (timeout) {
        ts = (struct __kernel_timespec) { timeout->tv_sec, timeout->tv_nsec };
        arg.ts = (uintptr_t)&ts;
        n = syscall(SYS_io_uring_enter, u->fd, u->unsubmitted, wait_for,
                    flags | IORING_ENTER_EXT_ARG, &arg, sizeof(arg));
    } else {
        n = syscall(SYS_io_uring_enter, u->fd, u->unsubmitted, wait_for, flags, NULL, 0);
    }
    u->unsubmitted -= MAX(n, 0);
    return n >= 0;
}

bool uring_has_completion(const Uring *u)
{
    return atomic_load_acquire(u->cq.tail) != *u->cq.head;
}

bool uring_take_completion(Uring *u, struct io_uring_cqe *cqe)
{
    unsigned head = *u->cq.head;

    if (!uring_has_completion(u)) {
        return false;
    }
    *cqe = u->cqes[head & *u->cq.mask];
    atomic_store_release(u->cq.head, head + 1);
    return true;
}
