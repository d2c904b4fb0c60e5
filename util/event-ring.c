/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Waiting with io_uring (IORING_OP_POLL_ADD) for a loop that one thread alone
 * polls: what changed in the table of watches goes to the kernel in the same
 * system call that waits. A level-triggered watch is a one-shot poll that is
 * armed anew before the next wait; an eventfd notifier is a multi-shot poll, which
 * fires once for each write.
 *
 * Threads: the kernel ties a poll to the thread that submits it, so that only the
 * loop's thread touches the ring; others note what to do, under EventLoop.lock,
 * and wake it.
 */
#include "util/osdep.h"
#include <sys/epoll.h>
#include "event-loop-int.h"
#include "util/uring.h"

enum { RING_ENTRIES = 128, CANCEL_TAG = 1 };

/* A poll in the kernel. Lives until its own last completion and that of its cancellation have come. */
struct RingPoll {
    FdWatch *watch;             /* NULL: cancelled, or the loop's wake_fd */
    unsigned outstanding;
    RingPoll *next, **link;
};

struct EventRing {
    Uring uring;
    RingPoll *polls;
    RingPoll *wake;             /* NULL: to be armed */
    GArray *arm;                /* descriptors whose watches may want a poll */
    GPtrArray *cancel;          /* RingPolls that nobody wants any more */
};

static RingPoll *poll_new(EventRing *ring, FdWatch *watch)
{
    RingPoll *p = g_new(RingPoll, 1);

    *p = (RingPoll) { .watch = watch, .outstanding = 1, .next = ring->polls, .link = &ring->polls };
    if (p->next) {
        p->next->link = &p->next;
    }
    ring->polls = p;
    return p;
}

static void poll_free(RingPoll *p)
{
    *p->link = p->next;
    if (p->next) {
        p->next->link = p->link;
    }
    g_free(p);
}

static void poll_completed(RingPoll *p)
{
    if (--p->outstanding == 0) {
        poll_free(p);
    }
}

/* ---- what the next system call takes along; the lock is held ---- */

static struct io_uring_sqe *sqe_get(EventRing *ring)
{
    struct io_uring_sqe *sqe = uring_next_sqe(&ring->uring);

    if (!sqe && uring_enter(&ring->uring, 0, 0, NULL)) {
        sqe = uring_next_sqe(&ring->uring);
    }
    return sqe;
}

static bool push_poll(EventRing *ring, RingPoll *p, int fd, uint32_t events)
{
    struct io_uring_sqe *sqe = sqe_get(ring);

    if (!sqe) {
        return false;
    }
    sqe->opcode = IORING_OP_POLL_ADD;
    sqe->fd = fd;
    sqe->poll32_events = events & ~EPOLLET;
#if __BYTE_ORDER == __BIG_ENDIAN
    sqe->poll32_events = sqe->poll32_events << 16 | sqe->poll32_events >> 16;
#endif
    sqe->len = events & EPOLLET ? IORING_POLL_ADD_MULTI : 0;
    sqe->user_data = (uintptr_t)p;
    return true;
}

static void push_cancellations(EventRing *ring)
{
    while (ring->cancel->len) {
        struct io_uring_sqe *sqe = sqe_get(ring);

        if (!sqe) {
            return;
        }
        sqe->opcode = IORING_OP_POLL_REMOVE;
        sqe->fd = -1;
        sqe->addr = (uintptr_t)g_ptr_array_steal_index_fast(ring->cancel, ring->cancel->len - 1);
        sqe->user_data = sqe->addr | CANCEL_TAG;
    }
}

static bool push_watch(EventLoop *loop, int fd)
{
    FdWatch *w = fd < loop->by_fd_len ? loop->by_fd[fd] : NULL;

    if (!w || !w->armed || w->always_ready || w->ring_poll) {
        return true;
    }
    w->ring_poll = poll_new(loop->ring, w);
    if (!push_poll(loop->ring, w->ring_poll, fd, w->armed)) {
        poll_free(w->ring_poll);
        w->ring_poll = NULL;
        return false;
    }
    return true;
}

static void push_all(EventLoop *loop)
{
    EventRing *ring = loop->ring;

    push_cancellations(ring);
    while (ring->arm->len && push_watch(loop, g_array_index(ring->arm, int, ring->arm->len - 1))) {
        g_array_set_size(ring->arm, ring->arm->len - 1);
    }
    if (!ring->wake) {
        ring->wake = poll_new(ring, NULL);
        if (!push_poll(ring, ring->wake, loop->wake_fd, EPOLLIN | EPOLLET)) {
            g_clear_pointer(&ring->wake, poll_free);
        }
    }
}

void event_ring_update(EventLoop *loop, FdWatch *w)
{
    EventRing *ring = loop->ring;

    if (w->ring_poll) {
        w->ring_poll->watch = NULL;
        w->ring_poll->outstanding++;
        g_ptr_array_add(ring->cancel, w->ring_poll);
        w->ring_poll = NULL;
    }
    if (w->armed) {
        g_array_append_val(ring->arm, w->fd);
    }
    if (!event_loop_is_current(loop)) {
        event_loop_wake(loop);
    } else if (!w->armed) {
        /* At once: a poll keeps the file open, and its owner is about to close it. */
        push_cancellations(ring);
        uring_enter(&ring->uring, 0, 0, NULL);
    }
}

/* ---- waiting ---- */

/* Fills in @event and returns true when @cqe is news for a watch or a wake; the lock is held. */
static bool harvest(EventLoop *loop, const struct io_uring_cqe *cqe, struct epoll_event *event)
{
    EventRing *ring = loop->ring;
    RingPoll *p = (RingPoll *)(uintptr_t)(cqe->user_data & ~(uint64_t)CANCEL_TAG);
    FdWatch *w = p->watch;
    bool last = !(cqe->flags & IORING_CQE_F_MORE), is_wake = p == ring->wake;

    if (cqe->user_data & CANCEL_TAG) {
        poll_completed(p);
        return false;
    }
    *event = (struct epoll_event) { .events = MAX(cqe->res, 0), .data.ptr = w };
    if (last && is_wake) {
        ring->wake = NULL;
    } else if (last && w) {
        w->ring_poll = NULL;
        if (cqe->res == -EINVAL) {
            event_loop_watch_always_ready(loop, w);
        } else if (cqe->res >= 0 || cqe->res == -ECANCELED) {
            g_array_append_val(ring->arm, w->fd);
        } else {
            error_report("cannot watch file descriptor %d: %s", w->fd, g_strerror(-cqe->res));
        }
    }
    if (last) {
        poll_completed(p);
    }
    return cqe->res > 0 && (w || is_wake);
}

int event_ring_wait(EventLoop *loop, struct epoll_event *events, int max, int64_t timeout_ns)
{
    Uring *u = &loop->ring->uring;
    struct timespec ts = { timeout_ns / NS_PER_SEC, timeout_ns % NS_PER_SEC };
    struct io_uring_cqe cqe;
    bool wait;
    int n = 0;

    pthread_mutex_lock(&loop->lock);
    push_all(loop);
    pthread_mutex_unlock(&loop->lock);
    wait = timeout_ns != 0 && !uring_has_completion(u);
    uring_enter(u, wait, IORING_ENTER_GETEVENTS, wait && timeout_ns > 0 ? &ts : NULL);

    pthread_mutex_lock(&loop->lock);
    while (n < max && uring_take_completion(u, &cqe)) {
        n += harvest(loop, &cqe, &events[n]);
    }
    pthread_mutex_unlock(&loop->lock);
    return n;
}

bool event_ring_pending(EventLoop *loop)
{
    return uring_has_completion(&loop->ring->uring);
}

/* ---- life ---- */

EventRing *event_ring_new(Error **errp)
{
    g_autofree EventRing *ring = g_new0(EventRing, 1);

    if (!uring_init(&ring->uring, RING_ENTRIES, errp)) {
        return NULL;
    }
    /* The latter came with kernel 5.13, as multi-shot polls did, which announce themselves by no flag. */
    if (!(ring->uring.features & IORING_FEAT_EXT_ARG) ||
        !(ring->uring.features & IORING_FEAT_RSRC_TAGS)) {
        error_setg(errp, "the host's io_uring has no multi-shot polls");
        uring_cleanup(&ring->uring);
        return NULL;
    }
    ring->arm = g_array_new(false, false, sizeof(int));
    ring->cancel = g_ptr_array_new();
    return g_steal_pointer(&ring);
}

void event_ring_free(EventRing *ring)
{
    uring_cleanup(&ring->uring);
    while (ring->polls) {
        poll_free(ring->polls);
    }
    g_array_free(ring->arm, true);
    g_ptr_array_free(ring->cancel, true);
    g_free(ring);
}
