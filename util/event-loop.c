/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * EventLoop: watched descriptors, waiting and waking (include/util/event-loop.h).
 *
 * Descriptors are waited for with epoll, level-triggered but for eventfd
 * notifiers, or with io_uring (event-ring.c) once a thread has claimed the loop
 * for itself. The main loop stays with epoll: glib and vCPU threads poll it too.
 *
 * Threads: one thread polls a loop; others hand it work (bottom halves, timers,
 * watches) and wake it. The table of watches has a lock that is never held while
 * a handler runs. The main loop is also polled by a vCPU thread that must wait
 * for the block layer with the machine lock held, which is why sleepers are counted.
 */
#include "util/osdep.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include "event-loop-int.h"
#include "trace-util.h"

enum { EVENTS_PER_ROUND = 64, POLL_STREAK_MAX = 16 };

#define POLL_START_NS 4000

static __thread EventLoop *current_loop;
static EventLoop *main_loop;

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static EventLoop *all_loops;

EventLoop *event_loop_new(Error **errp)
{
    EventLoop *loop = g_new0(EventLoop, 1);
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = NULL };
    pthread_mutexattr_t attr;

    loop->refs = 1;
    loop->wake_fd = -1;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd >= 0) {
        loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
    if (loop->wake_fd < 0 || epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &ev) < 0) {
        error_setg_errno(errp, errno, "cannot create an event loop");
        goto undo_fds;
    }
    pthread_mutex_init(&loop->lock, NULL);
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&loop->submit_lock, &attr);
    pthread_mutexattr_destroy(&attr);
    event_loop_timers_init(loop);

    pthread_mutex_lock(&all_lock);
    loop->next = all_loops;
    all_loops = loop;
    pthread_mutex_unlock(&all_lock);
    return loop;

undo_fds:
    if (loop->wake_fd >= 0) {
        close(loop->wake_fd);
    }
    if (loop->epoll_fd >= 0) {
        close(loop->epoll_fd);
    }
    g_free(loop);
    return NULL;
}

static void bury(EventLoop *loop)
{
    while (loop->graveyard) {
        FdWatch *w = loop->graveyard;

        loop->graveyard = w->next_dead;
        g_free(w);
    }
}

static void event_loop_free(EventLoop *loop)
{
    EventLoop **link;

    pthread_mutex_lock(&all_lock);
    for (link = &all_loops; *link != loop; link = &(*link)->next) {
    }
    *link = loop->next;
    pthread_mutex_unlock(&all_lock);

    if (loop->thread_pool) {
        thread_pool_free(loop->thread_pool);
    }
    event_loop_free_bhs(loop);
    event_loop_timers_cleanup(loop);
    for (int i = 0; i < loop->by_fd_len; i++) {
        g_free(loop->by_fd[i]);
    }
    bury(loop);
    if (loop->ring) {
        event_ring_free(loop->ring);
    }
    g_free(loop->by_fd);
    g_free(loop->pollables);
    pthread_mutex_destroy(&loop->lock);
    pthread_mutex_destroy(&loop->submit_lock);
    close(loop->wake_fd);
    close(loop->epoll_fd);
    g_free(loop);
}

void event_loop_ref(EventLoop *loop)
{
    atomic_fetch_add(&loop->refs, 1);
}

void event_loop_unref(EventLoop *loop)
{
    if (loop && atomic_fetch_sub(&loop->refs, 1) == 1) {
        event_loop_free(loop);
    }
}

EventLoop *event_loop_main(void)
{
    return main_loop;
}

void event_loop_set_main(EventLoop *loop)
{
    main_loop = loop;
}

EventLoop *event_loop_current(void)
{
    return current_loop ? current_loop : main_loop;
}

void event_loop_set_current(EventLoop *loop)
{
    current_loop = loop;
}

bool event_loop_is_current(EventLoop *loop)
{
    return current_loop == loop;
}

void event_loop_for_each(void (*fn)(EventLoop *loop, void *opaque), void *opaque)
{
    pthread_mutex_lock(&all_lock);
    for (EventLoop *loop = all_loops; loop; loop = loop->next) {
        fn(loop, opaque);
    }
    pthread_mutex_unlock(&all_lock);
}

void event_loop_lock(EventLoop *loop)
{
    pthread_mutex_lock(&loop->submit_lock);
}

void event_loop_unlock(EventLoop *loop)
{
    pthread_mutex_unlock(&loop->submit_lock);
}

/* ---- waking ---- */

/*
 * Who sleeps says so first and looks at wake_pending and the bottom halves
 * after; who wakes sets wake_pending (or pushes) first and looks for sleepers
 * after. All sequentially consistent, so one of the two sees the other. The
 * main thread, which sleeps in glib, is woken through its context: the eventfd
 * could be emptied by a vCPU thread that polls the main loop at that moment.
 */
void event_loop_wake(EventLoop *loop)
{
    static const uint64_t one = 1;
    int saved_errno = errno;

    atomic_store_seq(&loop->wake_pending, true);
    if (atomic_load_seq(&loop->sleepers) &&
        !atomic_xchg(&loop->wake_written, true)) {
        /* Only a full counter makes this fail, and then the loop wakes anyway. */
        (void)!write(loop->wake_fd, &one, sizeof(one));
    }
    if (atomic_load_seq(&loop->context_sleeps) &&
        atomic_xchg(&loop->context_sleeps, false)) {
        g_main_context_wakeup(loop->context);
    }
    errno = saved_errno;
}

static void wake_acknowledge(EventLoop *loop)
{
    uint64_t count;

    (void)!read(loop->wake_fd, &count, sizeof(count));
    atomic_store_seq(&loop->wake_written, false);
}

typedef struct RunWait {
    EventLoopFunc *fn;
    void *opaque;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
} RunWait;

static void run_wait_bh(void *opaque)
{
    RunWait *r = opaque;

    r->fn(r->opaque);
    pthread_mutex_lock(&r->lock);
    r->done = true;
    pthread_cond_signal(&r->cond);
    pthread_mutex_unlock(&r->lock);
}

void event_loop_run_wait(EventLoop *loop, EventLoopFunc *fn, void *opaque)
{
    RunWait r = { fn, opaque, PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false };

    if (event_loop_is_current(loop)) {
        fn(opaque);
        return;
    }
    event_loop_run_soon(loop, run_wait_bh, &r);
    pthread_mutex_lock(&r.lock);
    while (!r.done) {
        pthread_cond_wait(&r.cond, &r.lock);
    }
    pthread_mutex_unlock(&r.lock);
    pthread_cond_destroy(&r.cond);
    pthread_mutex_destroy(&r.lock);
}

/* ---- the table of watches; the lock is held ---- */

static FdWatch *watch_find(EventLoop *loop, int fd)
{
    return fd < loop->by_fd_len ? loop->by_fd[fd] : NULL;
}

static FdWatch *watch_get(EventLoop *loop, int fd)
{
    FdWatch *w = watch_find(loop, fd);

    if (w) {
        return w;
    }
    if (fd >= loop->by_fd_len) {
        int len = MAX(32, (fd + 1) * 2);

        loop->by_fd = g_renew(FdWatch *, loop->by_fd, len);
        memset(loop->by_fd + loop->by_fd_len, 0, (len - loop->by_fd_len) * sizeof(FdWatch *));
        atomic_store(&loop->by_fd_len, len);
    }
    w = loop->by_fd[fd] = g_new0(FdWatch, 1);
    w->fd = fd;
    return w;
}

static uint32_t watch_interest(EventLoop *loop, const FdWatch *w)
{
    uint32_t events = (w->on_read ? EPOLLIN : 0) | (w->on_write ? EPOLLOUT : 0);

    if (!events || (w->external && loop->external_disabled)) {
        return 0;
    }
    return events | (w->edge ? EPOLLET : 0);
}

static void watch_set_always_ready(EventLoop *loop, FdWatch *w, bool ready)
{
    if (ready != w->always_ready) {
        w->always_ready = ready;
        atomic_store(&loop->always_ready, loop->always_ready + (ready ? 1 : -1));
    }
}

void event_loop_watch_always_ready(EventLoop *loop, FdWatch *w)
{
    watch_set_always_ready(loop, w, true);
}

/*
 * Bring the kernel in line with the watch; @anew: even if nothing seems to change. An
 * unwanted descriptor is taken out rather than left with no events, for epoll
 * reports hang-ups regardless.
 */
static void watch_update(EventLoop *loop, FdWatch *w, bool anew)
{
    uint32_t want = watch_interest(loop, w);
    struct epoll_event ev = { .events = want, .data.ptr = w };
    int op = !want ? EPOLL_CTL_DEL : w->armed ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    int ret;

    if (want == w->armed && !(want && anew)) {
        return;
    }
    if (w->always_ready && want) {
        w->armed = want;
        return;
    }
    if (w->always_ready) {
        watch_set_always_ready(loop, w, false);
        w->armed = 0;
        return;
    }
    if (loop->ring) {
        w->armed = want;
        event_ring_update(loop, w);
        return;
    }
    ret = epoll_ctl(loop->epoll_fd, op, w->fd, &ev);
    if (ret < 0 && errno == EPERM && want) {
        watch_set_always_ready(loop, w, true);
        ret = 0;
    } else if (ret < 0 && op == EPOLL_CTL_MOD && errno == ENOENT) {
        /* Closed and opened again behind our back: the kernel dropped the old one. */
        ret = epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, w->fd, &ev);
    } else if (op == EPOLL_CTL_DEL) {
        ret = 0;
    }
    if (ret < 0) {
        error_report("cannot watch file descriptor %d: %s", w->fd, g_strerror(errno));
        abort();
    }
    w->armed = want;
}

static void watch_set_poll(EventLoop *loop, FdWatch *w, EventPollHandler *poll)
{
    if (poll && !w->poll) {
        if (loop->pollable == loop->pollable_alloc) {
            loop->pollable_alloc = MAX(8, loop->pollable_alloc * 2);
            loop->pollables = g_renew(FdWatch *, loop->pollables, loop->pollable_alloc);
        }
        w->poll_slot = loop->pollable;
        loop->pollables[w->poll_slot] = w;
        atomic_store(&loop->pollable, loop->pollable + 1);
    } else if (!poll && w->poll) {
        FdWatch *last = loop->pollables[loop->pollable - 1];

        loop->pollables[w->poll_slot] = last;
        last->poll_slot = w->poll_slot;
        atomic_store(&loop->pollable, loop->pollable - 1);
    }
    w->poll = poll;
}

static void watch_forget(EventLoop *loop, FdWatch *w)
{
    w->on_read = w->on_write = NULL;
    watch_set_poll(loop, w, NULL);
    watch_update(loop, w, false);
    loop->by_fd[w->fd] = NULL;
    w->dead = true;
    if (loop->dispatching) {
        w->next_dead = loop->graveyard;
        loop->graveyard = w;
    } else {
        g_free(w);
    }
}

static void set_fd(EventLoop *loop, int fd, EventFdHandler *on_read, EventFdHandler *on_write,
                   void *opaque, bool edge)
{
    bool wake = false, anew;
    FdWatch *w;

    assert(fd >= 0);
    trace_event_loop_set_fd(loop, fd, on_read != NULL, on_write != NULL);
    pthread_mutex_lock(&loop->lock);
    if (!on_read && !on_write) {
        w = watch_find(loop, fd);
        if (w) {
            watch_forget(loop, w);
        }
    } else {
        w = watch_get(loop, fd);
        /* A new owner: the old one may have closed the descriptor without a word, and epoll forgot it. */
        anew = w->opaque != opaque;
        w->on_read = on_read;
        w->on_write = on_write;
        w->opaque = opaque;
        w->edge = edge;
        watch_set_poll(loop, w, NULL);
        watch_update(loop, w, anew);
        wake = w->always_ready;
    }
    pthread_mutex_unlock(&loop->lock);
    if (wake && !event_loop_is_current(loop)) {
        event_loop_wake(loop);
    }
}

void event_loop_set_fd(EventLoop *loop, int fd, EventFdHandler *on_read,
                       EventFdHandler *on_write, void *opaque)
{
    set_fd(loop, fd, on_read, on_write, opaque, false);
}

void event_loop_set_notifier(EventLoop *loop, EventNotifier *n, EventFdHandler *handler,
                             void *opaque)
{
    set_fd(loop, n->fd, handler, NULL, opaque, true);
}

void event_loop_set_fd_poll(EventLoop *loop, int fd, EventPollHandler *poll)
{
    FdWatch *w;

    pthread_mutex_lock(&loop->lock);
    w = watch_find(loop, fd);
    if (w) {
        watch_set_poll(loop, w, poll);
    }
    pthread_mutex_unlock(&loop->lock);
}

void event_loop_set_fd_external(EventLoop *loop, int fd, bool external)
{
    FdWatch *w;

    pthread_mutex_lock(&loop->lock);
    w = watch_find(loop, fd);
    if (w) {
        w->external = external;
        watch_update(loop, w, false);
    }
    pthread_mutex_unlock(&loop->lock);
}

static void external_changed(EventLoop *loop)
{
    for (int i = 0; i < loop->by_fd_len; i++) {
        if (loop->by_fd[i] && loop->by_fd[i]->external) {
            watch_update(loop, loop->by_fd[i], false);
        }
    }
}

void event_loop_disable_external(EventLoop *loop)
{
    pthread_mutex_lock(&loop->lock);
    if (loop->external_disabled++ == 0) {
        external_changed(loop);
    }
    pthread_mutex_unlock(&loop->lock);
}

void event_loop_enable_external(EventLoop *loop)
{
    pthread_mutex_lock(&loop->lock);
    assert(loop->external_disabled);
    if (--loop->external_disabled == 0) {
        external_changed(loop);
    }
    pthread_mutex_unlock(&loop->lock);
    if (!event_loop_is_current(loop)) {
        event_loop_wake(loop);
    }
}

bool event_loop_claim(EventLoop *loop, Error **errp)
{
    EventRing *ring = event_ring_new(errp);

    if (!ring) {
        return false;
    }
    pthread_mutex_lock(&loop->lock);
    for (int i = 0; i < loop->by_fd_len; i++) {
        FdWatch *w = loop->by_fd[i];

        if (w && w->armed && !w->always_ready) {
            epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
            w->armed = 0;
        }
    }
    loop->ring = ring;
    for (int i = 0; i < loop->by_fd_len; i++) {
        if (loop->by_fd[i]) {
            watch_update(loop, loop->by_fd[i], false);
        }
    }
    pthread_mutex_unlock(&loop->lock);
    return true;
}

/* ---- running handlers ---- */

/* The handlers are copied under the lock and called without it. */
static bool watch_run(EventLoop *loop, FdWatch *w, uint32_t events)
{
    EventFdHandler *on_read = NULL, *on_write = NULL;
    void *opaque;

    pthread_mutex_lock(&loop->lock);
    opaque = w->opaque;
    if (!w->dead && w->armed && (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
        on_read = w->on_read;
    }
    pthread_mutex_unlock(&loop->lock);
    if (on_read) {
        on_read(opaque);
    }
    if (!(events & (EPOLLOUT | EPOLLHUP | EPOLLERR))) {
        return on_read != NULL;
    }
    /* Looked up anew: on_read may have changed or forgotten the watch. */
    pthread_mutex_lock(&loop->lock);
    opaque = w->opaque;
    if (!w->dead && w->armed) {
        on_write = w->on_write;
    }
    pthread_mutex_unlock(&loop->lock);
    if (on_write) {
        on_write(opaque);
    }
    return on_read || on_write;
}

static void dispatch_begin(EventLoop *loop)
{
    pthread_mutex_lock(&loop->lock);
    loop->dispatching++;
    pthread_mutex_unlock(&loop->lock);
}

static void dispatch_end(EventLoop *loop)
{
    pthread_mutex_lock(&loop->lock);
    if (--loop->dispatching == 0) {
        bury(loop);
    }
    pthread_mutex_unlock(&loop->lock);
}

static bool run_events(EventLoop *loop, const struct epoll_event *events, int n)
{
    bool progress = false;

    for (int i = 0; i < n; i++) {
        FdWatch *w = events[i].data.ptr;

        if (w) {
            progress |= watch_run(loop, w, events[i].events);
        } else {
            wake_acknowledge(loop);
        }
    }
    return progress;
}

/* Those that cannot be waited for; few if any. */
static bool run_always_ready(EventLoop *loop)
{
    bool progress = false;

    for (int i = 0; i < atomic_load(&loop->by_fd_len); i++) {
        FdWatch *w;

        pthread_mutex_lock(&loop->lock);
        w = loop->always_ready ? watch_find(loop, i) : NULL;
        if (w && !w->always_ready) {
            w = NULL;
        }
        pthread_mutex_unlock(&loop->lock);
        if (w) {
            progress |= watch_run(loop, w, EPOLLIN | EPOLLOUT);
        }
    }
    return progress;
}

/* ---- waiting ---- */

int64_t event_loop_timeout(EventLoop *loop)
{
    if (event_loop_bh_pending(loop) || atomic_load_seq(&loop->wake_pending) ||
        atomic_load(&loop->always_ready)) {
        return 0;
    }
    return event_loop_timer_timeout(loop);
}

static int wait_events(EventLoop *loop, struct epoll_event *events, int64_t timeout_ns)
{
    static bool no_pwait2;      /* kernels before 5.11 */
    int n;

    if (loop->ring) {
        return event_ring_wait(loop, events, EVENTS_PER_ROUND, timeout_ns);
    }
    if (timeout_ns > 0 && !atomic_load(&no_pwait2)) {
        struct timespec ts = { timeout_ns / 1000000000, timeout_ns % 1000000000 };

        n = epoll_pwait2(loop->epoll_fd, events, EVENTS_PER_ROUND, &ts, NULL);
        if (n >= 0 || errno != ENOSYS) {
            return n;
        }
        atomic_store(&no_pwait2, true);
    }
    n = timeout_ns < 0 ? -1 : (int)MIN(DIV_ROUND_UP(timeout_ns, 1000000), INT_MAX);
    return epoll_wait(loop->epoll_fd, events, EVENTS_PER_ROUND, n);
}

/* Waits at most @timeout_ns; the events fetched are in @events. */
static int wait_round(EventLoop *loop, struct epoll_event *events, bool blocking)
{
    int64_t timeout = 0;
    int n;

    if (blocking) {
        atomic_fetch_add(&loop->sleepers, 1);
        timeout = event_loop_timeout(loop);
    }
    n = wait_events(loop, events, timeout);
    if (blocking) {
        atomic_fetch_sub(&loop->sleepers, 1);
    }
    return MAX(n, 0);
}

/* Calls the poll hooks once; runs the handler of each that has work. */
static bool poll_once(EventLoop *loop)
{
    bool progress = false;
    unsigned i = 0;
    FdWatch *ready;

    do {
        ready = NULL;
        pthread_mutex_lock(&loop->lock);
        for (; i < loop->pollable && !ready; i++) {
            FdWatch *w = loop->pollables[i];

            if (w->armed && w->poll(w->opaque)) {
                ready = w;
            }
        }
        pthread_mutex_unlock(&loop->lock);
        if (ready) {
            progress |= watch_run(loop, ready, EPOLLIN);
        }
    } while (ready);
    return progress;
}

/*
 * Busy polling before a wait: up to poll_ns, which grows while waits turn out
 * short enough to have been polled through, and shrinks when they are not.
 */
static bool busy_poll(EventLoop *loop)
{
    int64_t start = clock_now_ns(CLOCK_TYPE_REALTIME);
    int64_t timeout = event_loop_timeout(loop);
    int64_t limit = timeout < 0 ? loop->poll_ns : MIN(loop->poll_ns, timeout);

    do {
        if (poll_once(loop)) {
            return true;
        }
        if (event_loop_bh_pending(loop) || atomic_load(&loop->wake_pending) ||
            (loop->ring && event_ring_pending(loop))) {
            return false;
        }
    } while (clock_now_ns(CLOCK_TYPE_REALTIME) - start < limit);
    return false;
}

static void adapt_polling(EventLoop *loop, int64_t waited_ns)
{
    if (waited_ns <= loop->poll_ns) {
        return;
    }
    if (waited_ns > loop->poll_max_ns) {
        loop->poll_ns = loop->poll_shrink > 1 ? loop->poll_ns / loop->poll_shrink : 0;
    } else if (!loop->poll_ns) {
        loop->poll_ns = MIN(POLL_START_NS, loop->poll_max_ns);
    } else {
        int64_t grow = loop->poll_grow > 1 ? loop->poll_grow : 2;

        loop->poll_ns = loop->poll_ns > loop->poll_max_ns / grow ? loop->poll_max_ns
                                                                 : loop->poll_ns * grow;
    }
    trace_event_loop_adapt(loop, waited_ns, loop->poll_ns);
}

void event_loop_set_poll(EventLoop *loop, int64_t max_ns, int64_t grow, int64_t shrink)
{
    loop->poll_max_ns = max_ns;
    loop->poll_grow = grow;
    loop->poll_shrink = shrink;
    loop->poll_ns = 0;
}

/* Everything but waiting: the bottom halves first, they are what wakes were for. */
static bool run_round(EventLoop *loop, const struct epoll_event *events, int n)
{
    bool progress;

    if (atomic_load(&loop->wake_pending)) {
        atomic_store_seq(&loop->wake_pending, false);
    }
    progress = event_loop_run_bhs(loop);
    progress |= run_events(loop, events, n);
    if (atomic_load(&loop->always_ready)) {
        progress |= run_always_ready(loop);
    }
    return event_loop_run_timers(loop) || progress;
}

bool event_loop_dispatch(EventLoop *loop, bool look_at_fds)
{
    struct epoll_event events[EVENTS_PER_ROUND];
    bool progress;
    int n;

    dispatch_begin(loop);
    n = look_at_fds ? wait_round(loop, events, false) : 0;
    progress = run_round(loop, events, n);
    dispatch_end(loop);
    return progress;
}

bool event_loop_poll(EventLoop *loop, bool blocking)
{
    struct epoll_event events[EVENTS_PER_ROUND];
    bool adaptive = blocking && loop->poll_max_ns && atomic_load(&loop->pollable);
    bool progress = false;
    int64_t start = 0;
    int n = 0;

    dispatch_begin(loop);
    if (adaptive) {
        start = clock_now_ns(CLOCK_TYPE_REALTIME);
        progress = loop->poll_ns && busy_poll(loop);
    }
    /* A hook that always finds work must not keep the other descriptors waiting. */
    if (progress && ++loop->poll_streak < POLL_STREAK_MAX) {
        blocking = false;
    } else {
        loop->poll_streak = 0;
        n = wait_round(loop, events, blocking && !progress);
        if (adaptive && !progress) {
            adapt_polling(loop, clock_now_ns(CLOCK_TYPE_REALTIME) - start);
        }
    }
    progress |= run_round(loop, events, n);
    dispatch_end(loop);
    return progress;
}
