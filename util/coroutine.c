/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Coroutines: creation, entering, yielding, waking (include/util/coroutine.h).
 *
 * A thread's own stack is its "leader", a Coroutine that is never in a pool.
 * Everything that must happen after a coroutine stopped (handing it to another
 * loop, recycling it) is done by the one that entered it, from coroutine_enter().
 *
 * A coroutine continues on other threads than it began, so nothing may keep the
 * address of a thread-local variable across a switch: those are only touched
 * by functions that are never inlined.
 */
#include "util/osdep.h"
#include <pthread.h>
#include "coroutine-int.h"
#include "trace-util.h"

enum { POOL_MAX = 64 };

static __thread Coroutine leader;
static __thread Coroutine *current;     /* NULL: the leader */
static __thread Coroutine *pool;
static __thread unsigned pool_count;

static pthread_once_t pool_once = PTHREAD_ONCE_INIT;
static pthread_key_t pool_key;

static Coroutine *__attribute__((noinline)) get_current(void)
{
    __asm__ volatile("");
    return current ? current : &leader;
}

static void __attribute__((noinline)) set_current(Coroutine *co)
{
    current = co;
    __asm__ volatile("");
}

Coroutine *coroutine_self(void)
{
    return get_current();
}

bool __attribute__((noinline)) coroutine_running(void)
{
    __asm__ volatile("");
    return current && current->caller;
}

/* ---- the pool of this thread ---- */

static void coroutine_free(Coroutine *co)
{
    co_stack_free(&co->stack);
    g_free(co);
}

static void pool_drop(void *opaque)
{
    while (pool) {
        Coroutine *co = pool;

        pool = co->pool_next;
        coroutine_free(co);
    }
    pool_count = 0;
}

static void pool_make_key(void)
{
    if (pthread_key_create(&pool_key, pool_drop) != 0) {
        abort();
    }
}

static void coroutine_recycle(Coroutine *co)
{
    assert(!atomic_load(&co->scheduled));
    if (pool_count == POOL_MAX) {
        coroutine_free(co);
        return;
    }
    if (!pool_count) {
        pthread_once(&pool_once, pool_make_key);
        pthread_setspecific(pool_key, &pool);
    }
    co->pool_next = pool;
    pool = co;
    pool_count++;
}

static void wake_bh(void *opaque)
{
    Coroutine *co = opaque;

    atomic_store(&co->scheduled, false);
    coroutine_enter(co);
}

Coroutine *coroutine_create(CoroutineEntry *entry, void *opaque)
{
    Coroutine *co = pool;

    if (co) {
        pool = co->pool_next;
        pool_count--;
    } else {
        co = g_new0(Coroutine, 1);
        bh_init(&co->wake_bh, NULL, wake_bh, co);
        co_stack_init(&co->stack);
    }
    co->entry = entry;
    co->opaque = opaque;
    co->ended = false;
    co->loop = event_loop_current();
    trace_coroutine_create(co);
    return co;
}

/* ---- running ---- */

void coroutine_main(void)
{
    Coroutine *co = get_current();

    co_stack_entered(&co->stack, &co->caller->stack);
    for (;;) {
        Coroutine *to;

        co->entry(co->opaque);
        to = co->caller;
        co->caller = NULL;
        co->ended = true;
        set_current(to);
        co_stack_switch(&co->stack, &to->stack);
    }
}

void coroutine_enter(Coroutine *co)
{
    Coroutine *self = get_current();

    assert(!co->caller && !co->ended);
    trace_coroutine_enter(self, co);
    co->caller = self;
    co->loop = event_loop_current();
    set_current(co);
    co_stack_switch(&self->stack, &co->stack);

    /* @co has stopped. If it waits somewhere it may already be on its way again, unless it ended or moves. */
    if (co->ended) {
        coroutine_recycle(co);
    } else if (co->move_to) {
        EventLoop *loop = co->move_to;

        co->move_to = NULL;
        coroutine_schedule(loop, co);
    }
}

void coroutine_fn coroutine_yield(void)
{
    Coroutine *co = get_current();
    Coroutine *to = co->caller;

    assert(to);
    trace_coroutine_yield(co, to);
    co->caller = NULL;
    set_current(to);
    co_stack_switch(&co->stack, &to->stack);
}

/* ---- waking ---- */

EventLoop *coroutine_loop(Coroutine *co)
{
    return co->loop;
}

void coroutine_schedule(EventLoop *loop, Coroutine *co)
{
    bool was = atomic_xchg(&co->scheduled, true);

    assert(!was);
    co->wake_bh.loop = loop;
    bh_schedule(&co->wake_bh);
}

/*
 * A coroutine that is about to yield may be woken from another thread at once:
 * its loop's thread takes up bottom halves only after that yield.
 */
void coroutine_wake(Coroutine *co)
{
    if (event_loop_is_current(co->loop) && !coroutine_running()) {
        coroutine_enter(co);
    } else {
        coroutine_schedule(co->loop, co);
    }
}

void coroutine_fn coroutine_move(EventLoop *loop)
{
    Coroutine *co = get_current();

    if (event_loop_is_current(loop)) {
        return;
    }
    co->move_to = loop;
    coroutine_yield();
}

static void sleep_over(void *opaque)
{
    coroutine_wake(opaque);
}

void coroutine_fn coroutine_sleep_ns(ClockType clock, int64_t ns)
{
    Coroutine *co = get_current();
    Timer t;

    timer_init(&t, co->loop, clock, sleep_over, co);
    timer_arm_ns(&t, clock_now_ns(clock) + MAX(ns, 0));
    coroutine_yield();
}
