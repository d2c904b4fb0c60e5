/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * EventLoop: file descriptors, timers, bottom halves and coroutines of one
 * thread. The main thread's loop is a source of glib's default main context;
 * an iothread's runs by itself. linux_aio and io_uring completions of the block
 * layer arrive through fd handlers of its engines (block/engines).
 *
 * Thread: functions are for the loop's own thread (or, before it runs, its
 * creator) except those marked "any thread". The main loop's functions may
 * also be called by any thread that holds the machine lock.
 */
#ifndef UTIL_EVENT_LOOP_H
#define UTIL_EVENT_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include "util/error.h"

typedef struct EventLoop EventLoop;
typedef struct ThreadPool ThreadPool;

/* Returns a loop with one reference, or NULL with @errp set (out of fds). */
EventLoop *event_loop_new(Error **errp);
void event_loop_ref(EventLoop *loop);
void event_loop_unref(EventLoop *loop);

/* The main thread's loop. Created by main_loop_init(). */
MODULE_API EventLoop *event_loop_main(void);
/* The loop that the calling thread runs; the main loop in a thread without one (vCPU thread with the machine lock). */
EventLoop *event_loop_current(void);
void event_loop_set_current(EventLoop *loop);
/* True when the caller is on the thread that runs @loop. Any thread. */
bool event_loop_is_current(EventLoop *loop);

/*
 * The calling thread, whose current loop @loop is, alone polls it from now on,
 * so that it may wait with io_uring. False with @errp set when the host allows
 * none: the loop goes on with epoll.
 */
bool event_loop_claim(EventLoop *loop, Error **errp);

/*
 * Run what is due, waiting for it when @blocking. Returns true when a handler
 * made progress; a wake may end the wait without any. May be called in a
 * handler (it can then run that same handler again).
 */
bool event_loop_poll(EventLoop *loop, bool blocking);
/* Make a blocked event_loop_poll() return. Any thread, async-signal-safe. */
void event_loop_wake(EventLoop *loop);

/* Call fn(@opaque) on @loop's thread and wait until it returned; directly when that is the caller's. Any thread. */
typedef void EventLoopFunc(void *opaque);
void event_loop_run_wait(EventLoop *loop, EventLoopFunc *fn, void *opaque);

/* Serialises threads that submit work for one loop from outside (migration, vCPU slow path). Recursive. Any thread. */
void event_loop_lock(EventLoop *loop);
void event_loop_unlock(EventLoop *loop);

/*
 * Watch @fd: @on_read when readable or hung up, @on_write when writable; NULL
 * for no interest; both NULL forgets @fd, and then neither runs again. Not to
 * be called with a closed fd. A handler copes with being called once too often.
 * Any thread; from another one than the loop's, a handler that is already
 * running finishes (event_loop_run_wait() waits for that).
 */
typedef void EventFdHandler(void *opaque);
void event_loop_set_fd(EventLoop *loop, int fd, EventFdHandler *on_read,
                       EventFdHandler *on_write, void *opaque);

/*
 * An optional busy-poll hook for @fd: called while the loop polls adaptively
 * (iothread poll-max-ns); returns true when on_read has work to do without
 * waiting for the fd. It may not change the loop. Set after event_loop_set_fd(),
 * which forgets it; any thread.
 */
typedef bool EventPollHandler(void *opaque);
void event_loop_set_fd_poll(EventLoop *loop, int fd, EventPollHandler *poll);
/* Upper bound of busy polling in ns (0: off), growth and shrink factors (0: default). */
void event_loop_set_poll(EventLoop *loop, int64_t max_ns, int64_t grow, int64_t shrink);

/* While disabled (nested calls count), "external" fd handlers do not run: drain of a block node. Any thread. */
void event_loop_set_fd_external(EventLoop *loop, int fd, bool external);
void event_loop_disable_external(EventLoop *loop);
void event_loop_enable_external(EventLoop *loop);

/* ---- eventfd notifiers ---- */

typedef struct EventNotifier {
    int fd;             /* -1 when not initialised */
} EventNotifier;

bool event_notifier_init(EventNotifier *n, bool set, Error **errp);
void event_notifier_cleanup(EventNotifier *n);
/* Any thread. */
void event_notifier_set(EventNotifier *n);
/* Returns whether it was set, and clears it. Any thread. */
bool event_notifier_test_and_clear(EventNotifier *n);
/*
 * Run @handler after each set; NULL forgets the notifier. The handler need not
 * clear it. Any thread, as event_loop_set_fd().
 */
void event_loop_set_notifier(EventLoop *loop, EventNotifier *n,
                             EventFdHandler *handler, void *opaque);

/* ---- bottom halves ---- */

typedef struct BottomHalf BottomHalf;
typedef void BottomHalfFunc(void *opaque);

/* A callback that runs soon on @loop's thread, once per scheduling. */
BottomHalf *bh_new(EventLoop *loop, BottomHalfFunc *cb, void *opaque);
void bh_schedule(BottomHalf *bh);               /* any thread */
void bh_cancel(BottomHalf *bh);                 /* any thread; may still run if about to */
void bh_delete(BottomHalf *bh);                 /* any thread; does not run after this, on the loop's thread */
/* A one-shot without a handle. Any thread. */
void event_loop_run_soon(EventLoop *loop, BottomHalfFunc *cb, void *opaque);

/* ---- clocks and timers ---- */

#define NS_PER_SEC INT64_C(1000000000)

typedef enum ClockType {
    CLOCK_TYPE_REALTIME,    /* monotonic, always runs */
    CLOCK_TYPE_VIRTUAL,     /* stands still while the guest is stopped; under qtest only moved by the test */
    CLOCK_TYPE_HOST,        /* wall-clock time of the host */
    CLOCK_TYPE_COUNT,
} ClockType;

/* Nanoseconds. Any thread. */
MODULE_API int64_t clock_now_ns(ClockType type);
/* Start or stop the virtual clock (run state changes); it is stopped, at 0, when the program starts. Machine lock held. */
void clock_virtual_enable(bool enable);
/* qtest: the virtual clock is only moved by clock_virtual_warp(), from 0. Before any timer exists. */
void clock_virtual_set_manual(void);
/* Move the manual clock to @ns, running every due timer in order on the way. Main thread. */
void clock_virtual_warp(int64_t ns);
/* Set the virtual clock's value (load of a snapshot). Clock disabled. */
void clock_virtual_set(int64_t ns);
/* The earliest deadline of a virtual-clock timer on any loop, or -1. */
int64_t clock_virtual_next_deadline(void);

typedef void TimerFunc(void *opaque);
typedef struct Timer {
    EventLoop *loop;
    ClockType clock;
    int64_t deadline_ns;    /* -1 when not armed */
    TimerFunc *cb;
    void *opaque;
    /* private to the event loop: place among the armed, or in the list of the due */
    uint64_t order;
    unsigned slot;
    struct Timer *next;
} Timer;

MODULE_API void timer_init(Timer *t, EventLoop *loop, ClockType clock, TimerFunc *cb, void *opaque);
/* Arm (or re-arm) for an absolute time; a negative one counts as 0. Any thread. */
MODULE_API void timer_arm_ns(Timer *t, int64_t deadline_ns);
/* Disarm; idempotent, also on a zeroed Timer. Any thread; a callback that already runs finishes. */
MODULE_API void timer_disarm(Timer *t);
bool timer_armed(const Timer *t);

/* ---- the main loop ---- */

/* Creates the main loop on the calling thread. A second call does nothing. */
bool main_loop_init(Error **errp);
/* How main_loop_poll() lets go of the machine lock and takes it back; NULL: there is none. */
void main_loop_set_lock_hooks(void (*release)(void), void (*acquire)(void));
/*
 * One round of glib's default context, with the machine lock released while
 * it waits. Main thread.
 */
void main_loop_poll(bool blocking);

#endif
