/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all channels share: reference counts, argument passing to the kind's
 * operations, and "all or nothing" transfers.
 *
 * Thread: see include/io/channel.h.
 */
#include "util/osdep.h"

#include <poll.h>

#include "io/channel.h"
#include "io/channel-internal.h"
#include "util/coroutine.h"

IoChannel *io_channel_ref(IoChannel *ch)
{
    atomic_fetch_add(&ch->refs, 1);
    return ch;
}

void io_channel_unref(IoChannel *ch)
{
    if (ch && atomic_fetch_sub(&ch->refs, 1) == 1) {
        io_channel_close(ch, NULL);
        g_free(ch->name);
        ch->ops->free(ch);
    }
}

void io_channel_init(IoChannel *ch, const IoChannelOps *ops, const char *name)
{
    ch->ops = ops;
    ch->refs = 1;
    ch->name = g_strdup(name);
}

ssize_t io_channel_readv(IoChannel *ch, const struct iovec *iov, unsigned cnt, int **fds, size_t *nfds, Error **errp)
{
    if (fds) {
        *fds = NULL;
        *nfds = 0;
    }
    return ch->ops->readv(ch, iov, cnt, fds, nfds, errp);
}

ssize_t io_channel_writev(IoChannel *ch, const struct iovec *iov, unsigned cnt, const int *fds, size_t nfds,
                          Error **errp)
{
    if (nfds && !ch->ops->can_pass_fds) {
        error_setg(errp, "Channel '%s' cannot pass file descriptors", ch->name);
        return IO_CHANNEL_ERR;
    }
    return ch->ops->writev(ch, iov, cnt, fds, nfds, errp);
}

ssize_t io_channel_read(IoChannel *ch, void *buf, size_t len, Error **errp)
{
    struct iovec iov = { .iov_base = buf, .iov_len = len };

    return io_channel_readv(ch, &iov, 1, NULL, NULL, errp);
}

ssize_t io_channel_write(IoChannel *ch, const void *buf, size_t len, Error **errp)
{
    struct iovec iov = { .iov_base = (void *)buf, .iov_len = len };

    return io_channel_writev(ch, &iov, 1, NULL, 0, errp);
}

/* ---- readiness ---- */

static void update_handlers(IoChannel *ch);

static void readable(void *opaque)
{
    IoChannel *ch = opaque;
    Coroutine *co = ch->reader;

    if (!co) {
        ch->on_read(ch->opaque);
        return;
    }
    ch->reader = NULL;
    update_handlers(ch);
    coroutine_enter(co);        /* may free @ch */
}

static void writable(void *opaque)
{
    IoChannel *ch = opaque;
    Coroutine *co = ch->writer;

    if (!co) {
        ch->on_write(ch->opaque);
        return;
    }
    ch->writer = NULL;
    update_handlers(ch);
    coroutine_enter(co);
}

/* The owner's handlers as they are, or our own while a coroutine waits. */
static void update_handlers(IoChannel *ch)
{
    if (ch->reader || ch->writer) {
        ch->ops->set_handlers(ch, ch->loop, ch->reader || ch->on_read ? readable : NULL,
                              ch->writer || ch->on_write ? writable : NULL, ch);
    } else {
        ch->ops->set_handlers(ch, ch->loop, ch->on_read, ch->on_write, ch->opaque);
    }
}

void io_channel_wait(IoChannel *ch, bool for_write)
{
    struct pollfd p;

    if (coroutine_running()) {
        Coroutine **waiter = for_write ? &ch->writer : &ch->reader;

        assert(!*waiter);
        *waiter = coroutine_self();
        ch->loop = event_loop_current();
        update_handlers(ch);
        coroutine_yield();
        return;
    }
    p = (struct pollfd) { .fd = ch->ops->poll_fd(ch, for_write), .events = for_write ? POLLOUT : POLLIN };
    TEMP_FAILURE_RETRY(poll(&p, 1, -1));
}

bool io_channel_read_all(IoChannel *ch, void *buf, size_t len, Error **errp)
{
    while (len) {
        ssize_t n = io_channel_read(ch, buf, len, errp);

        if (n == IO_CHANNEL_BLOCK) {
            io_channel_wait(ch, false);
            continue;
        }
        if (n == 0) {
            error_setg(errp, "Unexpected end of file on '%s'", ch->name);
        }
        if (n <= 0) {
            return false;
        }
        buf = (char *)buf + n;
        len -= n;
    }
    return true;
}

bool io_channel_write_all(IoChannel *ch, const void *buf, size_t len, Error **errp)
{
    while (len) {
        ssize_t n = io_channel_write(ch, buf, len, errp);

        if (n == IO_CHANNEL_BLOCK) {
            io_channel_wait(ch, true);
            continue;
        }
        if (n < 0) {
            return false;
        }
        buf = (const char *)buf + n;
        len -= n;
    }
    return true;
}

bool io_channel_writev_all(IoChannel *ch, const struct iovec *iov, unsigned cnt, Error **errp)
{
    struct iovec few[8], *left = few;
    g_autofree struct iovec *many = NULL;

    if (cnt > ARRAY_SIZE(few)) {
        left = many = g_new(struct iovec, cnt);
    }
    memcpy(left, iov, cnt * sizeof(*iov));
    for (unsigned i = 0; i < cnt;) {
        ssize_t n;

        if (!left[i].iov_len) {
            i++;
            continue;
        }
        n = io_channel_writev(ch, left + i, cnt - i, NULL, 0, errp);
        if (n == IO_CHANNEL_BLOCK) {
            io_channel_wait(ch, true);
            continue;
        }
        if (n < 0) {
            return false;
        }
        for (; n; ) {
            size_t part = MIN((size_t)n, left[i].iov_len);

            left[i].iov_base = (char *)left[i].iov_base + part;
            left[i].iov_len -= part;
            n -= part;
            i += !left[i].iov_len;
        }
    }
    return true;
}

bool io_channel_set_blocking(IoChannel *ch, bool blocking, Error **errp)
{
    return ch->ops->set_blocking(ch, blocking, errp);
}

bool io_channel_shutdown(IoChannel *ch, bool read, bool write, Error **errp)
{
    if (!ch->ops->shutdown) {
        error_setg(errp, "Channel '%s' cannot be shut down in one direction", ch->name);
        return false;
    }
    return ch->ops->shutdown(ch, read, write, errp);
}

int64_t io_channel_seek(IoChannel *ch, int64_t offset, int whence, Error **errp)
{
    if (!ch->ops->seek) {
        error_setg(errp, "Channel '%s' does not support random access", ch->name);
        return -1;
    }
    return ch->ops->seek(ch, offset, whence, errp);
}

static void stop_handlers(IoChannel *ch)
{
    assert(!ch->reader && !ch->writer);
    if (ch->on_read || ch->on_write) {
        io_channel_set_handlers(ch, ch->loop, NULL, NULL, NULL);
    }
}

bool io_channel_close(IoChannel *ch, Error **errp)
{
    stop_handlers(ch);
    return ch->ops->close(ch, errp);
}

bool io_channel_can_pass_fds(const IoChannel *ch)
{
    return ch->ops->can_pass_fds;
}

void io_channel_set_handlers(IoChannel *ch, EventLoop *loop, EventFdHandler *on_read, EventFdHandler *on_write,
                             void *opaque)
{
    ch->loop = loop;
    ch->on_read = on_read;
    ch->on_write = on_write;
    ch->opaque = opaque;
    update_handlers(ch);
}

/* ---- channels on top of others ---- */

bool io_channel_handshake(IoChannel *ch, Error **errp)
{
    return !ch->ops->handshake || ch->ops->handshake(ch, errp);
}

bool io_channel_unsent(IoChannel *ch)
{
    return ch->ops->unsent && ch->ops->unsent(ch);
}

typedef struct AsyncHandshake {
    IoChannel *ch;
    IoHandshakeDone *done;
    void *opaque;
    Error *err;
} AsyncHandshake;

static void handshake_done(void *opaque)
{
    AsyncHandshake *a = opaque;

    a->done(a->opaque, a->err);
    io_channel_unref(a->ch);
    g_free(a);
}

static void coroutine_fn handshake_coroutine(void *opaque)
{
    AsyncHandshake *a = opaque;

    if (!io_channel_handshake(a->ch, &a->err)) {
        assert(a->err);
    }
    event_loop_run_soon(event_loop_current(), handshake_done, a);
}

void io_channel_handshake_async(IoChannel *ch, IoHandshakeDone *done, void *opaque)
{
    AsyncHandshake *a = g_new0(AsyncHandshake, 1);

    *a = (AsyncHandshake) { .ch = io_channel_ref(ch), .done = done, .opaque = opaque };
    coroutine_enter(coroutine_create(handshake_coroutine, a));
}
