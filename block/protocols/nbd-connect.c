/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NBD client: making a connection, again if need be, within a time limit. Runs
 * in a coroutine on the node's loop.
 */
#include "util/osdep.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include "block/nbd-protocol.h"
#include "block/protocols/nbd-internal.h"
#include "trace-block-protocols.h"

#define RETRY_NS INT64_C(200000000)

typedef struct Attempt {
    NbdState *s;
    Coroutine *co;
    struct IoConnect *connect;  /* NULL: past that */
    IoChannel *ch;
    Error *err;
    bool timed_out;
    Timer timer;
} Attempt;

static void connected(void *opaque, IoChannel *ch, Error *err)
{
    Attempt *a = opaque;

    a->connect = NULL;
    a->ch = ch;
    a->err = err;
    coroutine_wake(a->co);
}

/* Break whatever the attempt waits for. */
static void attempt_timeout(void *opaque)
{
    Attempt *a = opaque;

    a->timed_out = true;
    if (a->connect) {
        io_connect_cancel(a->connect);
        a->connect = NULL;
        coroutine_wake(a->co);
    } else if (a->s->sock) {
        io_channel_shutdown(a->s->sock, true, true, NULL);
    }
}

/* What a reconnected export must still be. */
static bool same_export(const NbdExportInfo *old, const NbdExportInfo *new, Error **errp)
{
    if (old->size != new->size) {
        error_setg(errp, "NBD export size changed from %" PRIu64 " to %" PRIu64, old->size, new->size);
        return false;
    }
    if ((new->flags & NBD_EXPORT_READ_ONLY) && !(old->flags & NBD_EXPORT_READ_ONLY)) {
        error_setg(errp, "NBD export has become read-only");
        return false;
    }
    if (MAX(new->min_block, 1) > MAX(old->min_block, 1) || (old->flags & ~new->flags) ||
        (old->has_context && !new->has_context) || old->structured != new->structured) {
        error_setg(errp, "NBD export can do less than before");
        return false;
    }
    return true;
}

static bool coroutine_fn negotiate(NbdState *s, Error **errp)
{
    NbdClientTls tls = { s->creds, s->tls_hostname };
    NbdExportInfo info = { .name = g_strdup(s->export) };
    bool ok = nbd_client_negotiate(&s->ch, &tls, s->context, &info, errp);

    if (ok && s->info.name) {
        ok = same_export(&s->info, &info, errp);
    }
    if (!ok) {
        nbd_export_info_clear(&info);
        return false;
    }
    nbd_export_info_clear(&s->info);
    s->info = info;
    return true;
}

static bool coroutine_fn try_once(NbdState *s, Attempt *a, Error **errp)
{
    int on = 1;

    a->connect = io_channel_connect_async(s->addr, connected, a);
    coroutine_yield();
    if (!a->ch) {
        error_propagate(errp, g_steal_pointer(&a->err));
        return false;
    }
    s->sock = a->ch;
    s->ch = io_channel_ref(a->ch);
    a->ch = NULL;
    setsockopt(io_channel_socket_fd(s->sock), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (!io_channel_set_blocking(s->sock, false, errp) || !negotiate(s, errp)) {
        nbd_disconnect(s);
        return false;
    }
    return true;
}

bool coroutine_fn nbd_connect(NbdState *s, uint64_t timeout_ns, bool retry, Error **errp)
{
    int64_t deadline = clock_now_ns(CLOCK_TYPE_REALTIME) + timeout_ns;
    Attempt a = { .s = s, .co = coroutine_self() };
    Error *err = NULL;
    bool ok;

    if (timeout_ns) {
        timer_init(&a.timer, event_loop_current(), CLOCK_TYPE_REALTIME, attempt_timeout, &a);
        timer_arm_ns(&a.timer, deadline);
    }
    for (;;) {
        ok = try_once(s, &a, &err);
        trace_nbd_client_connect(s, ok, ok ? "" : err ? error_message(err) : "timeout");
        if (ok || !retry || a.timed_out ||
            clock_now_ns(CLOCK_TYPE_REALTIME) + RETRY_NS >= deadline) {
            break;
        }
        error_free(err);
        err = NULL;
        coroutine_sleep_ns(CLOCK_TYPE_REALTIME, RETRY_NS);
    }
    if (timeout_ns) {
        timer_disarm(&a.timer);
    }
    if (!ok && !err) {
        error_setg(&err, "Timed out connecting to the NBD server");
    }
    error_propagate(errp, err);
    return ok;
}

void nbd_disconnect(NbdState *s)
{
    if (s->ch) {
        io_channel_close(s->ch, NULL);
        io_channel_unref(g_steal_pointer(&s->ch));
    }
    if (s->sock) {
        io_channel_unref(g_steal_pointer(&s->sock));
    }
}
