/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads with names and blocked signals, and a pool for work that blocks
 * (file I/O without native asynchrony, memory pre-faulting).
 */
#ifndef UTIL_THREAD_H
#define UTIL_THREAD_H

#include <stdbool.h>
#include <pthread.h>
#include "util/coroutine.h"
#include "util/error.h"

/* Start a joinable thread with all signals blocked; @name (15 characters count) shows in /proc when thread_set_naming(true). */
bool thread_create(pthread_t *thread, const char *name, void *(*fn)(void *), void *opaque, Error **errp);
void thread_set_naming(bool on);
/* The kernel's thread id of the caller, as management pins it. */
int thread_tid(void);

/*
 * A pool of worker threads bound to one loop: threads start on demand and end
 * after an idle time.
 */
typedef int ThreadPoolFunc(void *arg);
ThreadPool *thread_pool_for_loop(EventLoop *loop);
/* At least @min threads from now on, at most @max (0 and 64 at first). */
void thread_pool_set_limits(EventLoop *loop, int64_t min, int64_t max);
/* Run fn(@arg) on a worker, yielding until it is done; its result. */
int coroutine_fn thread_pool_co_run(ThreadPoolFunc *fn, void *arg);
/* The same with a completion callback on the current loop; the function runs at once where no thread can be had. */
void thread_pool_run(ThreadPoolFunc *fn, void *arg, void (*done)(void *opaque, int ret), void *opaque);

#endif
