/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clocks and timers (include/util/event-loop.h).
 *
 * Each loop keeps a binary heap of armed timers per clock, under its timer
 * lock. A round moves what is due to a list and runs that: a callback that arms
 * its timer for the past waits for the next round and starves nobody.
 *
 * The virtual clock is a pair of numbers behind a sequence count: written under
 * the machine lock, read by any thread.
 */
#include "util/osdep.h"
#include "event-loop-int.h"
#include "trace-util.h"

#define SLOT_DUE UINT_MAX       /* Timer.slot of one in the list of the due */

/* ---- clocks ---- */

static struct {
    unsigned seq;               /* odd while being written */
    bool enabled;
    bool manual;
    int64_t base_ns;            /* the value when stopped; else what to add to the host's clock */
} virtual_clock;

static int64_t host_clock_ns(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static int64_t virtual_now_ns(void)
{
    unsigned seq;
    bool enabled;
    int64_t base;

    do {
        seq = atomic_load_acquire(&virtual_clock.seq);
        enabled = atomic_load(&virtual_clock.enabled);
        base = atomic_load(&virtual_clock.base_ns);
        smp_rmb();
    } while ((seq & 1) || seq != atomic_load(&virtual_clock.seq));
    return enabled ? base + host_clock_ns(CLOCK_MONOTONIC) : base;
}

int64_t clock_now_ns(ClockType type)
{
    switch (type) {
    case CLOCK_TYPE_VIRTUAL:
        return virtual_now_ns();
    case CLOCK_TYPE_HOST:
        return host_clock_ns(CLOCK_REALTIME);
    default:
        return host_clock_ns(CLOCK_MONOTONIC);
    }
}

static void virtual_write(bool enabled, int64_t base)
{
    atomic_store(&virtual_clock.seq, virtual_clock.seq + 1);
    smp_wmb();
    atomic_store(&virtual_clock.enabled, enabled);
    atomic_store(&virtual_clock.base_ns, base);
    atomic_store_release(&virtual_clock.seq, virtual_clock.seq + 1);
}

static void wake_if_timers(EventLoop *loop, void *opaque)
{
    bool any;

    pthread_mutex_lock(&loop->timer_lock);
    any = loop->timers[CLOCK_TYPE_VIRTUAL].count != 0;
    pthread_mutex_unlock(&loop->timer_lock);
    if (any) {
        event_loop_wake(loop);
    }
}

void clock_virtual_enable(bool enable)
{
    int64_t now = virtual_now_ns();

    if (virtual_clock.manual || enable == virtual_clock.enabled) {
        return;
    }
    virtual_write(enable, enable ? now - host_clock_ns(CLOCK_MONOTONIC) : now);
    if (enable) {
        event_loop_for_each(wake_if_timers, NULL);
    }
}

void clock_virtual_set_manual(void)
{
    virtual_clock.manual = true;
    virtual_write(false, 0);
}

void clock_virtual_set(int64_t ns)
{
    assert(!virtual_clock.enabled);
    virtual_write(false, ns);
    event_loop_for_each(wake_if_timers, NULL);
}

/* ---- the heap; the timer lock is held ---- */

static bool timer_before(const Timer *a, const Timer *b)
{
    return a->deadline_ns < b->deadline_ns ||
           (a->deadline_ns == b->deadline_ns && a->order < b->order);
}

static void heap_put(TimerHeap *h, unsigned slot, Timer *t)
{
    h->slots[slot] = t;
    t->slot = slot;
}

static void heap_up(TimerHeap *h, unsigned slot, Timer *t)
{
    while (slot && timer_before(t, h->slots[(slot - 1) / 2])) {
        heap_put(h, slot, h->slots[(slot - 1) / 2]);
        slot = (slot - 1) / 2;
    }
    heap_put(h, slot, t);
}

static void heap_down(TimerHeap *h, unsigned slot, Timer *t)
{
    for (;;) {
        unsigned child = slot * 2 + 1;

        if (child + 1 < h->count && timer_before(h->slots[child + 1], h->slots[child])) {
            child++;
        }
        if (child >= h->count || !timer_before(h->slots[child], t)) {
            break;
        }
        heap_put(h, slot, h->slots[child]);
        slot = child;
    }
    heap_put(h, slot, t);
}

static void heap_insert(TimerHeap *h, Timer *t)
{
    if (h->count == h->alloc) {
        h->alloc = h->alloc ? h->alloc * 2 : 8;
        h->slots = g_renew(Timer *, h->slots, h->alloc);
    }
    heap_up(h, h->count++, t);
}

static void heap_remove(TimerHeap *h, unsigned slot)
{
    Timer *last = h->slots[--h->count];

    if (slot == h->count) {
        return;
    }
    if (slot && timer_before(last, h->slots[(slot - 1) / 2])) {
        heap_up(h, slot, last);
    } else {
        heap_down(h, slot, last);
    }
}

/* ---- timers ---- */

void event_loop_timers_init(EventLoop *loop)
{
    pthread_mutex_init(&loop->timer_lock, NULL);
    for (int i = 0; i < CLOCK_TYPE_COUNT; i++) {
        loop->timers[i].due_last = &loop->timers[i].due;
    }
}

void event_loop_timers_cleanup(EventLoop *loop)
{
    for (int i = 0; i < CLOCK_TYPE_COUNT; i++) {
        g_free(loop->timers[i].slots);
    }
    pthread_mutex_destroy(&loop->timer_lock);
}

void timer_init(Timer *t, EventLoop *loop, ClockType clock, TimerFunc *cb, void *opaque)
{
    *t = (Timer) { .loop = loop, .clock = clock, .deadline_ns = -1, .cb = cb, .opaque = opaque };
}

bool timer_armed(const Timer *t)
{
    return t->loop && atomic_load(&t->deadline_ns) >= 0;
}

static void timer_remove(TimerHeap *h, Timer *t)
{
    if (t->deadline_ns < 0) {
        return;
    }
    if (t->slot == SLOT_DUE) {
        Timer **link = &h->due;

        while (*link != t) {
            link = &(*link)->next;
        }
        *link = t->next;
        if (!*link) {
            h->due_last = link;
        }
    } else {
        heap_remove(h, t->slot);
    }
    atomic_store(&t->deadline_ns, -1);
}

void timer_arm_ns(Timer *t, int64_t deadline_ns)
{
    static uint64_t orders;
    EventLoop *loop = t->loop;
    TimerHeap *h = &loop->timers[t->clock];
    bool earliest;

    pthread_mutex_lock(&loop->timer_lock);
    timer_remove(h, t);
    atomic_store(&t->deadline_ns, MAX(deadline_ns, 0));
    t->order = __atomic_fetch_add(&orders, 1, __ATOMIC_RELAXED);
    heap_insert(h, t);
    earliest = t->slot == 0;
    pthread_mutex_unlock(&loop->timer_lock);
    if (earliest && !event_loop_is_current(loop)) {
        event_loop_wake(loop);
    }
}

void timer_disarm(Timer *t)
{
    if (!t->loop) {
        return;
    }
    pthread_mutex_lock(&t->loop->timer_lock);
    timer_remove(&t->loop->timers[t->clock], t);
    pthread_mutex_unlock(&t->loop->timer_lock);
}

int64_t event_loop_timer_timeout(EventLoop *loop)
{
    int64_t timeout = -1;

    pthread_mutex_lock(&loop->timer_lock);
    for (int i = 0; i < CLOCK_TYPE_COUNT; i++) {
        TimerHeap *h = &loop->timers[i];
        int64_t left;

        if (h->due) {
            timeout = 0;
        }
        if (!h->count) {
            continue;
        }
        left = h->slots[0]->deadline_ns - clock_now_ns(i);
        left = MAX(left, 0);
        /* A clock that stands still does not come nearer to its deadlines. */
        if (left && i == CLOCK_TYPE_VIRTUAL && !atomic_load(&virtual_clock.enabled)) {
            continue;
        }
        timeout = timeout < 0 ? left : MIN(timeout, left);
    }
    pthread_mutex_unlock(&loop->timer_lock);
    return timeout;
}

static bool run_clock(EventLoop *loop, ClockType clock)
{
    TimerHeap *h = &loop->timers[clock];
    bool progress = false;
    int64_t now;

    pthread_mutex_lock(&loop->timer_lock);
    now = h->count ? clock_now_ns(clock) : 0;
    while (h->count && h->slots[0]->deadline_ns <= now) {
        Timer *t = h->slots[0];

        heap_remove(h, 0);
        t->slot = SLOT_DUE;
        t->next = NULL;
        *h->due_last = t;
        h->due_last = &t->next;
    }
    while (h->due) {
        Timer *t = h->due;
        TimerFunc *cb = t->cb;
        void *opaque = t->opaque;

        timer_remove(h, t);
        pthread_mutex_unlock(&loop->timer_lock);
        trace_timer_run(t, clock, now);
        cb(opaque);             /* may free @t */
        progress = true;
        pthread_mutex_lock(&loop->timer_lock);
    }
    pthread_mutex_unlock(&loop->timer_lock);
    return progress;
}

bool event_loop_run_timers(EventLoop *loop)
{
    bool progress = false;

    for (int i = 0; i < CLOCK_TYPE_COUNT; i++) {
        progress |= run_clock(loop, i);
    }
    return progress;
}

static int64_t virtual_deadline(EventLoop *loop)
{
    TimerHeap *h = &loop->timers[CLOCK_TYPE_VIRTUAL];
    int64_t deadline;

    pthread_mutex_lock(&loop->timer_lock);
    deadline = h->count ? h->slots[0]->deadline_ns : -1;
    pthread_mutex_unlock(&loop->timer_lock);
    return deadline;
}

static void earliest_virtual(EventLoop *loop, void *opaque)
{
    int64_t *earliest = opaque, deadline = virtual_deadline(loop);

    if (deadline >= 0 && (*earliest < 0 || deadline < *earliest)) {
        *earliest = deadline;
    }
}

int64_t clock_virtual_next_deadline(void)
{
    int64_t earliest = -1;

    event_loop_for_each(earliest_virtual, &earliest);
    return earliest;
}

/*
 * Only the main loop's timers are stepped through; other loops are woken and
 * see the clock where it ends.
 */
void clock_virtual_warp(int64_t ns)
{
    EventLoop *loop = event_loop_main();
    int64_t deadline;

    assert(virtual_clock.manual);
    while ((deadline = virtual_deadline(loop)) >= 0 && deadline <= ns) {
        virtual_write(false, MAX(deadline, virtual_now_ns()));
        run_clock(loop, CLOCK_TYPE_VIRTUAL);
    }
    virtual_write(false, MAX(ns, virtual_now_ns()));
    event_loop_for_each(wake_if_timers, NULL);
}
