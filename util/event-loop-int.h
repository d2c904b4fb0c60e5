/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of an EventLoop, shared by the files that implement it:
 * event-loop.c (descriptors, waiting with epoll), event-ring.c (waiting with
 * io_uring), bottom-half.c, timer.c, main-loop.c, thread-pool.c and coroutine.c.
 */
#ifndef UTIL_EVENT_LOOP_INT_H
#define UTIL_EVENT_LOOP_INT_H

#include <pthread.h>
#include "util/event-loop.h"

/* A watched descriptor. Fields are guarded by EventLoop.lock. */
typedef struct FdWatch FdWatch;
typedef struct RingPoll RingPoll;
typedef struct EventRing EventRing;
struct epoll_event;
struct FdWatch {
    int fd;
    EventFdHandler *on_read;
    EventFdHandler *on_write;
    EventPollHandler *poll;
    void *opaque;
    uint32_t armed;             /* EPOLL* events that are watched for; 0: none */
    RingPoll *ring_poll;        /* the poll in the kernel, when the loop waits with io_uring */
    bool external;
    bool edge;                  /* an eventfd: every write is an edge, nobody needs to read it */
    bool always_ready;          /* a kind that epoll refuses (regular file, /dev/null) */
    bool dead;                  /* forgotten; memory goes when no dispatch is under way */
    unsigned poll_slot;         /* place in EventLoop.pollables when there is a poll hook */
    FdWatch *next_dead;
};

struct BottomHalf {
    EventLoop *loop;
    BottomHalfFunc *cb;
    void *opaque;
    BottomHalf *next;
    uint32_t flags;             /* atomic */
};

/* Binary heap of armed timers of one clock, and those that are due but did not run yet. */
typedef struct TimerHeap {
    Timer **slots;
    unsigned count, alloc;
    Timer *due, **due_last;
} TimerHeap;

struct EventLoop {
    unsigned refs;
    int epoll_fd;
    int wake_fd;
    EventRing *ring;            /* NULL: the loop waits with epoll */

    /* Waking: see event_loop_wake(). */
    bool wake_pending;
    bool wake_written;
    unsigned sleepers;
    GMainContext *context;      /* main loop: what its thread waits in */
    bool context_sleeps;

    pthread_mutex_t submit_lock;        /* event_loop_lock() */

    pthread_mutex_t lock;       /* the table of watches */
    FdWatch **by_fd;
    int by_fd_len;
    FdWatch *graveyard;
    unsigned dispatching;       /* depth, over all threads */
    unsigned always_ready;      /* watches that are ready without waiting */
    FdWatch **pollables;        /* watches with a poll hook */
    unsigned pollable, pollable_alloc;
    unsigned external_disabled;

    int64_t poll_max_ns, poll_grow, poll_shrink;
    int64_t poll_ns;
    unsigned poll_streak;

    BottomHalf *bh_pushed;      /* atomic stack, newest first */
    BottomHalf *bh_run;         /* taken over, oldest first; the loop's thread */

    pthread_mutex_t timer_lock;
    TimerHeap timers[CLOCK_TYPE_COUNT];

    ThreadPool *thread_pool;    /* made on first use; thread-pool.c */
    EventLoop *next;            /* all loops */
};

void event_loop_set_main(EventLoop *loop);

/* The kind of @w turned out to be one that is not for polling. The lock is held. */
void event_loop_watch_always_ready(EventLoop *loop, FdWatch *w);

#ifdef CONFIG_IO_URING
/* NULL with @errp set when the host has no io_uring that will do. */
EventRing *event_ring_new(Error **errp);
void event_ring_free(EventRing *ring);
/* FdWatch.armed changed, or the file behind the descriptor. The lock is held; any thread. */
void event_ring_update(EventLoop *loop, FdWatch *w);
/* As epoll_wait(); a wake has no watch. The loop's thread. */
int event_ring_wait(EventLoop *loop, struct epoll_event *events, int max, int64_t timeout_ns);
bool event_ring_pending(EventLoop *loop);
#else
static inline EventRing *event_ring_new(Error **errp)
{
    error_setg(errp, "built without io_uring");
    return NULL;
}

static inline void event_ring_free(EventRing *ring)
{
}

static inline void event_ring_update(EventLoop *loop, FdWatch *w)
{
}

static inline int event_ring_wait(EventLoop *loop, struct epoll_event *events, int max,
                                  int64_t timeout_ns)
{
    return 0;
}

static inline bool event_ring_pending(EventLoop *loop)
{
    return false;
}
#endif

/* Whether a bottom half waits; runs those that were there at the call. */
bool event_loop_bh_pending(EventLoop *loop);
bool event_loop_run_bhs(EventLoop *loop);
void event_loop_free_bhs(EventLoop *loop);

/* For a bottom half inside another object: never freed here, @loop may change while it is not scheduled. */
void bh_init(BottomHalf *bh, EventLoop *loop, BottomHalfFunc *cb, void *opaque);

void event_loop_timers_init(EventLoop *loop);
void event_loop_timers_cleanup(EventLoop *loop);
/* Nanoseconds to the next deadline: 0 when due, -1 when there is none. */
int64_t event_loop_timer_timeout(EventLoop *loop);
bool event_loop_run_timers(EventLoop *loop);

/* Nanoseconds that a wait may take: 0 when there is something to do, -1 without limit. */
int64_t event_loop_timeout(EventLoop *loop);
/* Run what is ready, without waiting; @look_at_fds: ask epoll too. */
bool event_loop_dispatch(EventLoop *loop, bool look_at_fds);
/* Calls @fn for each loop, under the lock of the list. */
void event_loop_for_each(void (*fn)(EventLoop *loop, void *opaque), void *opaque);

void thread_pool_free(ThreadPool *pool);

#endif
