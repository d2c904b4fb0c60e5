/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The main thread's loop (include/util/event-loop.h): its EventLoop is one
 * source of glib's default context, with the epoll descriptor as the only thing
 * to poll. main_loop_poll() drives that context itself, to release the machine
 * lock around the wait and to wait in nanoseconds. Main thread.
 */
#include "util/osdep.h"
#include <poll.h>
#include "event-loop-int.h"

G_STATIC_ASSERT(sizeof(GPollFD) == sizeof(struct pollfd));
G_STATIC_ASSERT(offsetof(GPollFD, revents) == offsetof(struct pollfd, revents));

typedef struct LoopSource {
    GSource source;
    EventLoop *loop;
    GPollFD epoll;
} LoopSource;

static void (*lock_release)(void);
static void (*lock_acquire)(void);
static GPollFD *poll_fds;
static int poll_fds_alloc;

static gboolean source_prepare(GSource *source, gint *timeout_ms)
{
    EventLoop *loop = ((LoopSource *)source)->loop;
    int64_t ns;

    atomic_store_seq(&loop->context_sleeps, true);
    ns = event_loop_timeout(loop);
    if (ns == 0) {
        atomic_store(&loop->context_sleeps, false);
    }
    *timeout_ms = ns < 0 ? -1 : (gint)MIN(DIV_ROUND_UP(ns, 1000000), INT_MAX);
    return ns == 0;
}

static gboolean source_check(GSource *source)
{
    LoopSource *s = (LoopSource *)source;

    atomic_store(&s->loop->context_sleeps, false);
    return s->epoll.revents || event_loop_timeout(s->loop) == 0;
}

static gboolean source_dispatch(GSource *source, GSourceFunc callback, gpointer opaque)
{
    LoopSource *s = (LoopSource *)source;

    event_loop_dispatch(s->loop, s->epoll.revents != 0);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = {
    .prepare = source_prepare,
    .check = source_check,
    .dispatch = source_dispatch,
};

bool main_loop_init(Error **errp)
{
    EventLoop *loop;
    LoopSource *s;

    if (event_loop_main()) {
        return true;
    }
    loop = event_loop_new(errp);
    if (!loop) {
        return false;
    }
    loop->context = g_main_context_default();
    event_loop_set_main(loop);
    event_loop_set_current(loop);

    s = (LoopSource *)g_source_new(&source_funcs, sizeof(*s));
    s->loop = loop;
    s->epoll = (GPollFD) { .fd = loop->epoll_fd, .events = G_IO_IN };
    g_source_add_poll(&s->source, &s->epoll);
    g_source_set_can_recurse(&s->source, TRUE);
    g_source_attach(&s->source, loop->context);
    g_source_unref(&s->source);
    return true;
}

void main_loop_set_lock_hooks(void (*release)(void), void (*acquire)(void))
{
    lock_release = release;
    lock_acquire = acquire;
}

/* Nanoseconds: glib knows of the loop's timers in milliseconds, rounded up. */
static int64_t wait_limit(gint glib_ms, bool blocking)
{
    int64_t loop_ns;

    if (!blocking || glib_ms == 0) {
        return 0;
    }
    loop_ns = event_loop_timeout(event_loop_main());
    if (glib_ms < 0) {
        return loop_ns;
    }
    return loop_ns < 0 ? glib_ms * INT64_C(1000000) : MIN(loop_ns, glib_ms * INT64_C(1000000));
}

void main_loop_poll(bool blocking)
{
    GMainContext *context = event_loop_main()->context;
    int64_t ns;
    struct timespec ts;
    gint priority, glib_ms;
    int n, ready;

    g_main_context_acquire(context);
    g_main_context_prepare(context, &priority);
    while ((n = g_main_context_query(context, priority, &glib_ms, poll_fds, poll_fds_alloc)) >
           poll_fds_alloc) {
        poll_fds_alloc = n + 8;
        poll_fds = g_renew(GPollFD, poll_fds, poll_fds_alloc);
    }
    ns = wait_limit(glib_ms, blocking);
    ts = (struct timespec) { ns / 1000000000, ns % 1000000000 };

    /* Also for a wait of nothing: a busy main loop must let vCPU threads in. */
    if (lock_release) {
        lock_release();
    }
    ready = ppoll((struct pollfd *)poll_fds, n, ns < 0 ? NULL : &ts, NULL);
    /* Here, not only in source_check(): glib leaves that out when a more urgent source is ready. */
    atomic_store(&event_loop_main()->context_sleeps, false);
    if (lock_acquire) {
        lock_acquire();
    }
    if (ready <= 0) {
        for (int i = 0; i < n; i++) {
            poll_fds[i].revents = 0;
        }
    }
    if (g_main_context_check(context, priority, poll_fds, n)) {
        g_main_context_dispatch(context);
    }
    g_main_context_release(context);
}
