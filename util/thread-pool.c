/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Worker threads for work that blocks (include/util/thread.h). One pool per
 * loop, made on first use. A worker is started when a request finds none idle,
 * and ends after ten idle seconds; results go back in batches, by one bottom
 * half. A pool's callers run on its loop's thread.
 */
#include "util/osdep.h"
#include "event-loop-int.h"
#include "trace-util.h"
#include "util/thread.h"

enum { DEFAULT_MAX = 64, IDLE_SECONDS = 10 };

typedef struct Request Request;
struct Request {
    ThreadPoolFunc *fn;
    void *arg;
    int ret;
    void (*done)(void *opaque, int ret);
    void *opaque;
    Request *next;
};

typedef struct RequestList {
    Request *first, **last;
} RequestList;

struct ThreadPool {
    BottomHalf *done_bh;
    pthread_mutex_t lock;       /* all below */
    pthread_cond_t work;        /* requests, or stop */
    pthread_cond_t ended;
    RequestList pending, done;
    int64_t min, max;
    int64_t threads, idle;
    int64_t queued;             /* length of pending */
    unsigned done_count;
    bool stop;
};

static void list_init(RequestList *l)
{
    l->first = NULL;
    l->last = &l->first;
}

static void list_add(RequestList *l, Request *r)
{
    r->next = NULL;
    *l->last = r;
    l->last = &r->next;
}

static Request *list_take(RequestList *l)
{
    Request *r = l->first;

    l->first = r->next;
    if (!l->first) {
        l->last = &l->first;
    }
    return r;
}

/* Lock held. False: time to end. */
static bool worker_wait(ThreadPool *pool)
{
    struct timespec until;
    int err = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += IDLE_SECONDS;
    pool->idle++;
    while (!pool->pending.first && !pool->stop && !err && pool->threads <= pool->max) {
        err = pthread_cond_timedwait(&pool->work, &pool->lock, &until);
        if (err && pool->threads <= pool->min) {
            clock_gettime(CLOCK_MONOTONIC, &until);
            until.tv_sec += IDLE_SECONDS;
            err = 0;
        }
    }
    pool->idle--;
    return pool->pending.first != NULL;
}

/* Lock held. */
static void add_done(ThreadPool *pool, Request *r)
{
    list_add(&pool->done, r);
    pool->done_count++;
    bh_schedule(pool->done_bh);
}

static void *worker(void *opaque)
{
    ThreadPool *pool = opaque;

    pthread_mutex_lock(&pool->lock);
    while (pool->pending.first || worker_wait(pool)) {
        Request *r = list_take(&pool->pending);

        pool->queued--;
        pthread_mutex_unlock(&pool->lock);
        r->ret = r->fn(r->arg);
        pthread_mutex_lock(&pool->lock);
        add_done(pool, r);
    }
    pool->threads--;
    pthread_cond_signal(&pool->ended);
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/*
 * A callback may poll the loop and wait there for a later one of the list:
 * the bottom half is scheduled again first, so that the inner poll finds it.
 */
static void complete(void *opaque)
{
    ThreadPool *pool = opaque;
    unsigned n;

    pthread_mutex_lock(&pool->lock);
    n = pool->done_count;
    if (n > 1) {
        bh_schedule(pool->done_bh);
    }
    while (n-- > 0 && pool->done.first) {
        Request *r = list_take(&pool->done);

        pool->done_count--;
        pthread_mutex_unlock(&pool->lock);
        r->done(r->opaque, r->ret);
        g_free(r);
        pthread_mutex_lock(&pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
}

/* Lock held. */
static bool start_worker(ThreadPool *pool)
{
    pthread_t thread;

    if (!thread_create(&thread, "worker", worker, pool, NULL)) {
        return false;
    }
    pthread_detach(thread);
    pool->threads++;
    return true;
}

ThreadPool *thread_pool_for_loop(EventLoop *loop)
{
    ThreadPool *pool = loop->thread_pool;
    pthread_condattr_t attr;

    if (pool) {
        return pool;
    }
    pool = g_new0(ThreadPool, 1);
    pool->max = DEFAULT_MAX;
    pool->done_bh = bh_new(loop, complete, pool);
    list_init(&pool->pending);
    list_init(&pool->done);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->work, &attr);
    pthread_cond_init(&pool->ended, NULL);
    pthread_condattr_destroy(&attr);
    loop->thread_pool = pool;
    return pool;
}

void thread_pool_free(ThreadPool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    pthread_cond_broadcast(&pool->work);
    while (pool->threads) {
        pthread_cond_wait(&pool->ended, &pool->lock);
    }
    while (pool->done.first) {
        g_free(list_take(&pool->done));
    }
    pthread_mutex_unlock(&pool->lock);
    bh_delete(pool->done_bh);
    pthread_cond_destroy(&pool->work);
    pthread_cond_destroy(&pool->ended);
    pthread_mutex_destroy(&pool->lock);
    g_free(pool);
}

void thread_pool_set_limits(EventLoop *loop, int64_t min, int64_t max)
{
    ThreadPool *pool = thread_pool_for_loop(loop);

    pthread_mutex_lock(&pool->lock);
    pool->min = min;
    pool->max = max;
    while (pool->threads < min && start_worker(pool)) {
    }
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
}

void thread_pool_run(ThreadPoolFunc *fn, void *arg, void (*done)(void *opaque, int ret),
                     void *opaque)
{
    ThreadPool *pool = thread_pool_for_loop(event_loop_current());
    Request *r = g_new(Request, 1);
    bool alone, wake;

    *r = (Request) { .fn = fn, .arg = arg, .done = done, .opaque = opaque };
    pthread_mutex_lock(&pool->lock);
    list_add(&pool->pending, r);
    pool->queued++;
    trace_thread_pool_run(pool, r, pool->threads, pool->queued);
    if (pool->idle < pool->queued && pool->threads < pool->max) {
        start_worker(pool);
    }
    wake = pool->idle > 0;
    alone = !pool->threads;
    if (alone) {
        /* The host has no thread left for us: slow beats never. */
        list_take(&pool->pending);
        pool->queued--;
    }
    pthread_mutex_unlock(&pool->lock);
    if (wake) {
        /* Without the lock, which the worker needs first. */
        pthread_cond_signal(&pool->work);
    }
    if (alone) {
        r->ret = fn(arg);
        pthread_mutex_lock(&pool->lock);
        add_done(pool, r);
        pthread_mutex_unlock(&pool->lock);
    }
}

typedef struct CoRun {
    Coroutine *co;
    int ret;
} CoRun;

static void co_run_done(void *opaque, int ret)
{
    CoRun *run = opaque;

    run->ret = ret;
    coroutine_wake(run->co);
}

int coroutine_fn thread_pool_co_run(ThreadPoolFunc *fn, void *arg)
{
    CoRun run = { .co = coroutine_self() };

    thread_pool_run(fn, arg, co_run_done, &run);
    coroutine_yield();
    return run.ret;
}
