/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stackful coroutines for the block layer: code that waits for I/O and still
 * reads top to bottom. Functions that may yield are marked coroutine_fn and
 * are only called in a coroutine.
 *
 * A coroutine is entered by one thread at a time and continues on the event
 * loop where it is woken. Stacks are pooled per thread.
 */
#ifndef UTIL_COROUTINE_H
#define UTIL_COROUTINE_H

#include <stdbool.h>
#include <stdint.h>
#include "util/event-loop.h"

#define coroutine_fn

typedef struct Coroutine Coroutine;
typedef void CoroutineEntry(void *opaque);

Coroutine *coroutine_create(CoroutineEntry *entry, void *opaque);
/*
 * Run @co until it yields or ends, on this thread. Not for the running
 * coroutine or an entered one. A coroutine frees itself when @entry returns.
 */
void coroutine_enter(Coroutine *co);
/* Back to whoever entered the running coroutine. */
void coroutine_fn coroutine_yield(void);
Coroutine *coroutine_self(void);
bool coroutine_running(void);       /* the caller is in a coroutine */
/* Wake @co on @loop soon, from any thread. */
void coroutine_schedule(EventLoop *loop, Coroutine *co);
/* Wake @co on the loop where it last ran; directly when that is the current one and we are not in a coroutine. */
void coroutine_wake(Coroutine *co);
/* The loop on which @co last ran. */
EventLoop *coroutine_loop(Coroutine *co);
/* Move the running coroutine to @loop's thread. */
void coroutine_fn coroutine_move(EventLoop *loop);
void coroutine_fn coroutine_sleep_ns(ClockType clock, int64_t ns);

/* FIFO of waiting coroutines, guarded by the caller's CoMutex (or a single thread). */
typedef struct CoWaiter CoWaiter;
typedef struct CoQueue {
    CoWaiter *first;
    CoWaiter **last;
} CoQueue;

/* A mutex that yields instead of blocking the thread; FIFO; any thread may hold it. */
typedef struct CoMutex {
    unsigned locked;
    Coroutine *holder;
    uint32_t guard;             /* spin lock for the queue */
    CoQueue waiters;
} CoMutex;

void co_mutex_init(CoMutex *m);
void coroutine_fn co_mutex_lock(CoMutex *m);
void coroutine_fn co_mutex_unlock(CoMutex *m);

void co_queue_init(CoQueue *q);
bool co_queue_empty(const CoQueue *q);
/* Wait in @q; @m (may be NULL) is released while waiting and held again after. */
void coroutine_fn co_queue_wait(CoQueue *q, CoMutex *m);
/* Wake the first waiter, or all; returns whether there was one. Also from outside coroutines. */
bool co_queue_wake_one(CoQueue *q);
void co_queue_wake_all(CoQueue *q);

/* Many readers or one writer. */
typedef struct CoRwLock {
    CoMutex mutex;
    CoQueue queue;
    int readers;                /* -1: a writer */
} CoRwLock;

void co_rwlock_init(CoRwLock *l);
void coroutine_fn co_rwlock_rdlock(CoRwLock *l);
void coroutine_fn co_rwlock_wrlock(CoRwLock *l);
void coroutine_fn co_rwlock_unlock(CoRwLock *l);

#endif
