/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The TLS channel: records go to and come from the channel below; the protocol
 * itself is in the module "crypto-gnutls".
 *
 * Trust: nothing of the peer before its handshake has ended; then as far as the
 * credentials and the authorisation object say.
 */
#include "util/osdep.h"

#include "authz/authz.h"
#include "crypto/tls-module.h"
#include "io/channel-internal.h"
#include "io/channel-tls.h"
#include "util/coroutine.h"
#include "util/iov.h"

/* A record carries at most this. */
#define TLS_RECORD_MAX 16384

typedef struct TlsChannel {
    IoChannel ch;
    IoChannel *below;
    TlsCreds *creds;
    TlsSession *session;
    char *authz;
    bool ready;                 /* the handshake has ended well */
    bool read_shut;             /* by us: the end of the stream is no attack */
    Error *below_error;         /* what the library only knows as a number */
    uint8_t *gather;            /* small pieces to one record */
    EventFdHandler *on_read, *on_write;
    void *opaque;
    BottomHalf *again;          /* data wait here, about which the channel below knows nothing */
} TlsChannel;

static TlsChannel *tls_channel(IoChannel *ch)
{
    return container_of(ch, TlsChannel, ch);
}

/* ---- below ---- */

static ssize_t below_result(TlsChannel *s, ssize_t n)
{
    return n == IO_CHANNEL_BLOCK ? -EAGAIN : n < 0 ? -EIO : n;
}

static ssize_t pull(void *opaque, void *buf, size_t len)
{
    TlsChannel *s = opaque;

    g_clear_pointer(&s->below_error, error_free);
    return below_result(s, io_channel_read(s->below, buf, len, &s->below_error));
}

static ssize_t push(void *opaque, const void *buf, size_t len)
{
    TlsChannel *s = opaque;

    g_clear_pointer(&s->below_error, error_free);
    return below_result(s, io_channel_write(s->below, buf, len, &s->below_error));
}

static const TlsTransport transport = { .pull = pull, .push = push };

/* The reason from below is better than the library's. */
static void explain(TlsChannel *s, Error *err, Error **errp)
{
    if (s->below_error) {
        error_free(err);
        err = g_steal_pointer(&s->below_error);
    }
    error_propagate(errp, err);
}

/* ---- operations ---- */

static ssize_t tls_readv(IoChannel *ch, const struct iovec *iov, unsigned cnt, int **fds, size_t *nfds, Error **errp)
{
    TlsChannel *s = tls_channel(ch);
    Error *err = NULL;
    ssize_t total = 0;

    if (s->read_shut) {
        return 0;
    }
    for (unsigned i = 0; i < cnt; i++) {
        ssize_t n = iov[i].iov_len ? tls_ops()->read(s->session, iov[i].iov_base, iov[i].iov_len, &err) : 0;

        if (n < 0) {
            if (total) {        /* an error will come again */
                error_free(err);
                return total;
            }
            if (n == TLS_ERROR) {
                explain(s, err, errp);
                return IO_CHANNEL_ERR;
            }
            return IO_CHANNEL_BLOCK;
        }
        total += n;
        if (n < (ssize_t)iov[i].iov_len) {
            break;
        }
    }
    return total;
}

static ssize_t tls_writev(IoChannel *ch, const struct iovec *iov, unsigned cnt, const int *fds, size_t nfds,
                          Error **errp)
{
    TlsChannel *s = tls_channel(ch);
    Error *err = NULL;
    const void *buf;
    size_t len;
    ssize_t n;

    while (cnt && !iov->iov_len) {
        iov++;
        cnt--;
    }
    if (!cnt) {
        return 0;
    }
    buf = iov->iov_base;
    len = MIN(iov->iov_len, TLS_RECORD_MAX);
    if (cnt > 1 && len < TLS_RECORD_MAX) {
        if (!s->gather) {
            s->gather = g_malloc(TLS_RECORD_MAX);
        }
        len = iov_to_buf(iov, cnt, 0, s->gather, MIN(iov_size(iov, cnt), TLS_RECORD_MAX));
        buf = s->gather;
    }
    n = tls_ops()->write(s->session, buf, len, &err);
    if (n == TLS_ERROR) {
        explain(s, err, errp);
        return IO_CHANNEL_ERR;
    }
    return n < 0 ? IO_CHANNEL_BLOCK : n;
}

static bool tls_set_blocking(IoChannel *ch, bool blocking, Error **errp)
{
    return io_channel_set_blocking(tls_channel(ch)->below, blocking, errp);
}

static bool tls_shutdown(IoChannel *ch, bool read, bool write, Error **errp)
{
    TlsChannel *s = tls_channel(ch);

    s->read_shut |= read;
    return io_channel_shutdown(s->below, read, write, errp);
}

static void below_readable(void *opaque)
{
    TlsChannel *s = opaque;
    EventFdHandler *handler = s->on_read;

    if (!handler) {
        return;
    }
    io_channel_ref(&s->ch);
    handler(s->opaque);
    if (s->on_read && s->session && tls_ops()->pending(s->session)) {
        bh_schedule(s->again);
    }
    io_channel_unref(&s->ch);
}

static void below_writable(void *opaque)
{
    TlsChannel *s = opaque;

    if (s->on_write) {
        s->on_write(s->opaque);
    }
}

static void tls_set_handlers(IoChannel *ch, EventLoop *loop, EventFdHandler *on_read, EventFdHandler *on_write,
                             void *opaque)
{
    TlsChannel *s = tls_channel(ch);

    s->on_read = on_read;
    s->on_write = on_write;
    s->opaque = opaque;
    if (s->again) {
        bh_delete(s->again);
        s->again = NULL;
    }
    if (on_read) {
        s->again = bh_new(loop, below_readable, s);
        if (s->session && tls_ops()->pending(s->session)) {
            bh_schedule(s->again);
        }
    }
    s->below->ops->set_handlers(s->below, loop, on_read ? below_readable : NULL, on_write ? below_writable : NULL, s);
}

static int tls_poll_fd(IoChannel *ch, bool for_write)
{
    IoChannel *below = tls_channel(ch)->below;

    return below->ops->poll_fd(below, for_write);
}

static bool tls_close(IoChannel *ch, Error **errp)
{
    TlsChannel *s = tls_channel(ch);

    if (s->ready) {
        s->ready = false;
        tls_ops()->bye(s->session);
    }
    if (s->again) {
        bh_delete(s->again);
        s->again = NULL;
    }
    return io_channel_close(s->below, errp);
}

static void tls_free(IoChannel *ch)
{
    TlsChannel *s = tls_channel(ch);

    if (s->session) {
        tls_ops()->session_free(s->session);
    }
    io_channel_unref(s->below);
    object_unref(s->creds);
    error_free(s->below_error);
    g_free(s->gather);
    g_free(s->authz);
    g_free(s);
}

/* ---- handshake ---- */

static bool authorize(TlsChannel *s, Error **errp)
{
    g_autofree char *identity = tls_ops()->peer_identity(s->session);

    if (!identity) {
        error_setg(errp, "Authorisation '%s' is required, but the client has not said who it is", s->authz);
        return false;
    }
    return authz_check(s->authz, identity, errp);
}

static bool tls_handshake(IoChannel *ch, Error **errp)
{
    TlsChannel *s = tls_channel(ch);
    Error *err = NULL;
    int ret;

    while ((ret = tls_ops()->handshake(s->session, &err)) != 0) {
        if (ret == TLS_ERROR) {
            explain(s, err, errp);
            error_prepend(errp, "TLS handshake failed: ");
            return false;
        }
        io_channel_wait(s->below, ret == TLS_WANT_WRITE);
    }
    s->ready = true;
    return !s->authz || authorize(s, errp);
}

/* ---- making one ---- */

static IoChannel *tls_below(IoChannel *ch)
{
    return tls_channel(ch)->below;
}

static const IoChannelOps tls_channel_ops = {
    .name = "tls",
    .readv = tls_readv,
    .writev = tls_writev,
    .set_blocking = tls_set_blocking,
    .shutdown = tls_shutdown,
    .set_handlers = tls_set_handlers,
    .poll_fd = tls_poll_fd,
    .close = tls_close,
    .free = tls_free,
    .handshake = tls_handshake,
    .below = tls_below,
};

static IoChannel *new_channel(IoChannel *below, TlsCreds *creds, const char *hostname, const char *authz,
                              Error **errp)
{
    TlsChannel *s = g_new0(TlsChannel, 1);

    io_channel_init(&s->ch, &tls_channel_ops, below->name);
    s->below = io_channel_ref(below);
    s->creds = (TlsCreds *)object_ref(creds);
    s->authz = g_strdup(authz);
    s->session = tls_ops()->session_new(tls_creds_module_creds(creds), hostname, &transport, s, errp);
    if (!s->session) {
        /* The channel below stays open: it is the caller's. */
        g_free(s->ch.name);
        tls_free(&s->ch);
        return NULL;
    }
    return &s->ch;
}

IoChannel *io_channel_new_tls_server(IoChannel *below, TlsCreds *creds, const char *authz, Error **errp)
{
    return new_channel(below, creds, NULL, authz, errp);
}

IoChannel *io_channel_new_tls_client(IoChannel *below, TlsCreds *creds, const char *hostname, Error **errp)
{
    if (!hostname && tls_creds_need_hostname(creds)) {
        error_setg(errp, "No hostname for certificate validation");
        return NULL;
    }
    return new_channel(below, creds, hostname, NULL, errp);
}
