/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Publication without locks for readers (include/util/rcu.h).
 *
 * Every reading thread has a counter: 0 outside of a read section, else the
 * number of the grace period in which it entered. A writer starts a new period
 * and waits until no counter holds an older number. The full barrier at the
 * start of a section makes sure that either the writer sees the counter, or
 * the reader sees the new pointer.
 *
 * Waiting is polling with growing sleeps: maps change rarely, sections are
 * short, and leaving one then costs a plain store. Callbacks run as a bottom
 * half of the main loop while the main thread is the only reader (start-up,
 * tools); otherwise on a helper thread, which is started then.
 */
#include "util/osdep.h"
#include <pthread.h>
#include <sched.h>
#include "util/event-loop.h"
#include "util/rcu.h"
#include "util/thread.h"
#include "trace-util.h"

typedef struct RcuReader RcuReader;
struct RcuReader {
    uint64_t period;            /* atomic; 0: not reading */
    unsigned depth;
    bool registered;
    RcuReader *next;
};

typedef struct RcuCallback RcuCallback;
struct RcuCallback {
    RcuFunc *fn;
    void *p;
    RcuCallback *next;
};

static __thread RcuReader self;

static uint64_t period = 1;     /* atomic */

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static RcuReader *readers;
static pthread_key_t exit_key;
static bool exit_key_made;

static pthread_mutex_t callback_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t callback_cond = PTHREAD_COND_INITIALIZER;
static RcuCallback *callbacks, **callbacks_last = &callbacks;
static bool run_planned;        /* a bottom half or the helper will look at the list */
static bool helper_started, helper_wanted;
static unsigned running;        /* threads that run callbacks now */

/* ---- readers ---- */

static void reader_exit(void *opaque)
{
    pthread_mutex_lock(&registry_lock);
    for (RcuReader **link = &readers; *link; link = &(*link)->next) {
        if (*link == opaque) {
            *link = (*link)->next;
            break;
        }
    }
    self.registered = false;
    pthread_mutex_unlock(&registry_lock);
}

static void __attribute__((noinline)) reader_register(void)
{
    pthread_mutex_lock(&registry_lock);
    if (!exit_key_made) {
        exit_key_made = pthread_key_create(&exit_key, reader_exit) == 0;
        assert(exit_key_made);
    }
    self.next = readers;
    readers = &self;
    self.registered = true;
    pthread_mutex_unlock(&registry_lock);
    pthread_setspecific(exit_key, &self);
}

void rcu_read_lock(void)
{
    if (self.depth++) {
        return;
    }
    if (UNLIKELY(!self.registered)) {
        reader_register();
    }
    atomic_store(&self.period, atomic_load(&period));
    smp_mb();
}

void rcu_read_unlock(void)
{
    assert(self.depth);
    if (--self.depth == 0) {
        atomic_store_release(&self.period, 0);
    }
}

/* ---- grace periods ---- */

static bool still_reading(RcuReader *r, uint64_t now)
{
    uint64_t seen = atomic_load_acquire(&r->period);

    return seen && seen < now;
}

void rcu_synchronize(void)
{
    uint64_t now;
    unsigned tries = 0;

    assert(!self.depth);
    smp_mb();
    now = atomic_fetch_add(&period, 1) + 1;
    smp_mb();
    pthread_mutex_lock(&registry_lock);
    for (RcuReader *r = readers; r;) {
        if (!still_reading(r, now)) {
            r = r->next;
            continue;
        }
        /* The thread may end meanwhile: begin again, the others stay done. */
        pthread_mutex_unlock(&registry_lock);
        if (tries++ < 8) {
            sched_yield();
        } else {
            g_usleep(MIN(10u << MIN(tries - 8, 7), 1000));
        }
        pthread_mutex_lock(&registry_lock);
        r = readers;
    }
    pthread_mutex_unlock(&registry_lock);
    trace_rcu_synchronize(now, tries);
}

/* True when nobody but the caller could be in a section that began before now, and it is not. */
static bool no_other_reader(void)
{
    bool none;

    pthread_mutex_lock(&registry_lock);
    none = !readers || (readers == &self && !self.next);
    pthread_mutex_unlock(&registry_lock);
    return none && !self.depth;
}

/* ---- callbacks ---- */

static RcuCallback *take_callbacks(void)
{
    RcuCallback *list = callbacks;

    callbacks = NULL;
    callbacks_last = &callbacks;
    run_planned = false;
    running++;
    return list;
}

/* Callback lock held; dropped while the callbacks run. */
static void run_callbacks(bool wait)
{
    RcuCallback *list = take_callbacks();

    pthread_mutex_unlock(&callback_lock);
    if (wait && list) {
        rcu_synchronize();
    }
    while (list) {
        RcuCallback *c = list;

        list = c->next;
        c->fn(c->p);
        g_free(c);
    }
    pthread_mutex_lock(&callback_lock);
    running--;
    pthread_cond_broadcast(&callback_cond);
}

static void *helper(void *opaque)
{
    pthread_mutex_lock(&callback_lock);
    for (;;) {
        while (!helper_wanted) {
            pthread_cond_wait(&callback_cond, &callback_lock);
        }
        helper_wanted = false;
        run_callbacks(true);
    }
    return NULL;
}

/* Callback lock held. */
static void want_helper(void)
{
    pthread_t thread;

    helper_wanted = true;
    if (helper_started) {
        pthread_cond_broadcast(&callback_cond);
        return;
    }
    helper_started = thread_create(&thread, "rcu", helper, NULL, NULL);
    if (helper_started) {
        pthread_detach(thread);
    } else {
        run_planned = false;    /* tried again with the next callback */
    }
}

static void run_on_main(void *opaque)
{
    bool alone = no_other_reader();

    pthread_mutex_lock(&callback_lock);
    if (alone) {
        run_callbacks(false);
    } else {
        want_helper();
    }
    pthread_mutex_unlock(&callback_lock);
}

void rcu_free_later(void *p, RcuFunc *fn)
{
    RcuCallback *c = g_new(RcuCallback, 1);
    bool plan;

    *c = (RcuCallback) { .fn = fn, .p = p };
    pthread_mutex_lock(&callback_lock);
    *callbacks_last = c;
    callbacks_last = &c->next;
    plan = !run_planned;
    run_planned = true;
    if (plan && !event_loop_main()) {
        want_helper();
        plan = false;
    }
    pthread_mutex_unlock(&callback_lock);
    if (plan) {
        event_loop_run_soon(event_loop_main(), run_on_main, NULL);
    }
}

void rcu_drain(void)
{
    pthread_mutex_lock(&callback_lock);
    while (callbacks || running) {
        if (callbacks) {
            run_callbacks(true);
        } else {
            pthread_cond_wait(&callback_cond, &callback_lock);
        }
    }
    pthread_mutex_unlock(&callback_lock);
}
