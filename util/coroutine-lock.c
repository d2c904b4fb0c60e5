/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Locks and queues that yield (include/util/coroutine.h). A lock is handed over:
 * who unlocks makes the first waiter its owner and wakes it, so nobody overtakes
 * and a woken coroutine never looks again. A waiter lies on its coroutine's
 * stack and is off the list before that coroutine is woken.
 */
#include "util/osdep.h"
#include <sched.h>
#include "util/coroutine.h"

struct CoWaiter {
    Coroutine *co;
    CoWaiter *next;
    bool write;                 /* CoRwLock: wants it alone */
};

/* ---- the list ---- */

void co_queue_init(CoQueue *q)
{
    q->first = NULL;
    q->last = &q->first;
}

bool co_queue_empty(const CoQueue *q)
{
    return !q->first;
}

static void queue_add(CoQueue *q, CoWaiter *w)
{
    w->co = coroutine_self();
    w->next = NULL;
    *q->last = w;
    q->last = &w->next;
}

static Coroutine *queue_take(CoQueue *q)
{
    CoWaiter *w = q->first;

    if (!w) {
        return NULL;
    }
    q->first = w->next;
    if (!q->first) {
        q->last = &q->first;
    }
    return w->co;
}

/* ---- mutex ---- */

/* Held for a few instructions; the thread that has it may lose its CPU, so give way. */
static void guard_lock(CoMutex *m)
{
    unsigned tries = 0;

    while (__atomic_exchange_n(&m->guard, 1, __ATOMIC_ACQUIRE)) {
        if (++tries > 100) {
            sched_yield();
        }
    }
}

static void guard_unlock(CoMutex *m)
{
    atomic_store_release(&m->guard, 0);
}

void co_mutex_init(CoMutex *m)
{
    *m = (CoMutex) { 0 };
    co_queue_init(&m->waiters);
}

void coroutine_fn co_mutex_lock(CoMutex *m)
{
    Coroutine *co = coroutine_self();
    CoWaiter w = { 0 };

    guard_lock(m);
    assert(m->holder != co);
    if (!m->locked) {
        m->locked = 1;
        m->holder = co;
        guard_unlock(m);
        return;
    }
    queue_add(&m->waiters, &w);
    guard_unlock(m);
    coroutine_yield();
}

void coroutine_fn co_mutex_unlock(CoMutex *m)
{
    Coroutine *next;

    guard_lock(m);
    assert(m->holder == coroutine_self());
    next = queue_take(&m->waiters);
    m->holder = next;
    m->locked = next != NULL;
    guard_unlock(m);
    if (next) {
        coroutine_wake(next);
    }
}

/* ---- queue ---- */

void coroutine_fn co_queue_wait(CoQueue *q, CoMutex *m)
{
    CoWaiter w = { 0 };

    queue_add(q, &w);
    if (m) {
        co_mutex_unlock(m);
    }
    coroutine_yield();
    if (m) {
        co_mutex_lock(m);
    }
}

bool co_queue_wake_one(CoQueue *q)
{
    Coroutine *co = queue_take(q);

    if (co) {
        coroutine_wake(co);
    }
    return co != NULL;
}

/* Those that wait now; one that waits again at once is not woken again. */
void co_queue_wake_all(CoQueue *q)
{
    CoQueue now = *q;

    if (!q->first) {
        return;
    }
    co_queue_init(q);
    while (co_queue_wake_one(&now)) {
    }
}

/* ---- readers and writers ---- */

void co_rwlock_init(CoRwLock *l)
{
    co_mutex_init(&l->mutex);
    co_queue_init(&l->queue);
    l->readers = 0;
}

static void coroutine_fn rwlock_wait(CoRwLock *l, bool write)
{
    CoWaiter w = { .write = write };

    queue_add(&l->queue, &w);
    co_mutex_unlock(&l->mutex);
    coroutine_yield();          /* woken as an owner */
}

/* A reader waits behind a waiting writer, or writers would starve. */
void coroutine_fn co_rwlock_rdlock(CoRwLock *l)
{
    co_mutex_lock(&l->mutex);
    if (l->readers < 0 || !co_queue_empty(&l->queue)) {
        rwlock_wait(l, false);
        return;
    }
    l->readers++;
    co_mutex_unlock(&l->mutex);
}

void coroutine_fn co_rwlock_wrlock(CoRwLock *l)
{
    co_mutex_lock(&l->mutex);
    if (l->readers) {
        rwlock_wait(l, true);
        return;
    }
    l->readers = -1;
    co_mutex_unlock(&l->mutex);
}

void coroutine_fn co_rwlock_unlock(CoRwLock *l)
{
    CoQueue wake;

    co_queue_init(&wake);
    co_mutex_lock(&l->mutex);
    assert(l->readers);
    l->readers = l->readers < 0 ? 0 : l->readers - 1;
    while (l->queue.first && (l->queue.first->write ? l->readers == 0 : l->readers >= 0)) {
        CoWaiter *w = l->queue.first;

        l->readers = w->write ? -1 : l->readers + 1;
        queue_take(&l->queue);
        w->next = NULL;
        *wake.last = w;
        wake.last = &w->next;
    }
    co_mutex_unlock(&l->mutex);
    while (co_queue_wake_one(&wake)) {
    }
}
