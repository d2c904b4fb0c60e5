/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The server's end of the WebSocket protocol, RFC 6455, as a channel: bytes
 * written go out as binary messages, the payload of the client's binary
 * messages is what is read; where one ends and the next begins does not matter.
 *
 * Thread: as channel.h, but one thread may write while another reads (lock:
 * the answer to a ping goes out between the writer's frames).
 * Trust: nothing of the client. Memory is bounded by the two buffers; a breach
 * of the protocol ends the connection with a status that says why.
 */
#include "util/osdep.h"

#include "io/channel-internal.h"
#include "io/channel-websock.h"
#include "util/bswap.h"
#include "util/iov.h"

#define REQUEST_MAX 4096        /* the client's first message, RFC 7230 */
#define PAYLOAD_MAX 16384       /* of a frame that we send */
#define CONTROL_MAX 125         /* section 5.5 */
#define OUT_SIZE (PAYLOAD_MAX + 2 * (CONTROL_MAX + 4))
#define KEY_LENGTH 24           /* 16 bytes in base64 */
#define ACCEPT_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

enum { OP_CONTINUE = 0, OP_BINARY = 2, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };
enum { CLOSE_NORMAL = 1000, CLOSE_PROTOCOL = 1002, CLOSE_UNSUPPORTED = 1003, CLOSE_POLICY = 1008 };

typedef struct WebSockChannel {
    IoChannel ch;
    IoChannel *below;
    bool ready;                 /* the handshake has ended well */
    /* the reader's */
    uint8_t in[REQUEST_MAX];
    size_t in_start, in_end;
    uint64_t left;              /* payload of the current frame that was not read yet */
    uint8_t opcode, mask[4];
    unsigned mask_pos;
    bool in_message;            /* its last fragment is still to come */
    bool ended;                 /* by either side */
    bool more;                  /* payload waits here, about which the channel below knows nothing */
    pthread_mutex_t lock;       /* for what follows */
    uint8_t out[OUT_SIZE];
    size_t out_start, out_end;
    uint8_t pong[CONTROL_MAX];
    size_t pong_len;
    bool pong_wanted;           /* the last ping's answer found no room yet */
    bool closing;               /* our close frame was made; nothing may follow */
    /* the owner's handlers */
    EventFdHandler *on_read, *on_write;
    void *opaque;
    BottomHalf *again;
} WebSockChannel;

static WebSockChannel *websock_channel(IoChannel *ch)
{
    return container_of(ch, WebSockChannel, ch);
}

/* ---- output; lock held ---- */

/* The header of one whole frame, and room for @len bytes behind it. */
static uint8_t *add_frame(WebSockChannel *s, uint8_t opcode, size_t len)
{
    uint8_t *p = s->out + s->out_end;

    *p++ = 0x80 | opcode;
    if (len > CONTROL_MAX) {
        *p++ = 126;
        store_be16(p, (uint16_t)len);
        p += 2;
    } else {
        *p++ = (uint8_t)len;
    }
    s->out_end = (size_t)(p - s->out) + len;
    assert(s->out_end <= OUT_SIZE);
    return p;
}

/* Bytes that were sent to the last one: 1; or IO_CHANNEL_BLOCK or _ERR. */
static ssize_t flush(WebSockChannel *s, Error **errp)
{
    for (;;) {
        while (s->out_start < s->out_end) {
            ssize_t n = io_channel_write(s->below, s->out + s->out_start, s->out_end - s->out_start, errp);

            if (n < 0) {
                return n;
            }
            s->out_start += (size_t)n;
        }
        s->out_start = s->out_end = 0;
        if (!s->pong_wanted || s->closing) {
            return 1;
        }
        s->pong_wanted = false;
        memcpy(add_frame(s, OP_PONG, s->pong_len), s->pong, s->pong_len);
    }
}

/* The last frame; best effort, as the connection ends anyway. */
static void send_close(WebSockChannel *s, uint16_t status, const char *why)
{
    size_t len = strlen(why);
    uint8_t *p;

    pthread_mutex_lock(&s->lock);
    if (!s->closing && s->out_end + CONTROL_MAX + 4 <= OUT_SIZE) {
        p = add_frame(s, OP_CLOSE, len + 2);
        store_be16(p, status);
        memcpy(p + 2, why, len);
    }
    s->closing = true;
    flush(s, NULL);
    pthread_mutex_unlock(&s->lock);
}

static ssize_t websock_writev(IoChannel *ch, const struct iovec *iov, unsigned cnt, const int *fds, size_t nfds,
                              Error **errp)
{
    WebSockChannel *s = websock_channel(ch);
    size_t len = MIN(iov_size(iov, cnt), PAYLOAD_MAX);
    ssize_t ret;

    pthread_mutex_lock(&s->lock);
    if (s->closing) {
        error_setg(errp, "The WebSocket connection '%s' was closed", ch->name);
        ret = IO_CHANNEL_ERR;
    } else {
        ret = flush(s, errp);
    }
    if (ret > 0) {
        if (len) {
            iov_to_buf(iov, cnt, 0, add_frame(s, OP_BINARY, len), len);
        }
        ret = flush(s, errp) == IO_CHANNEL_ERR ? IO_CHANNEL_ERR : (ssize_t)len;
    }
    pthread_mutex_unlock(&s->lock);
    return ret;
}

static bool websock_unsent(IoChannel *ch)
{
    WebSockChannel *s = websock_channel(ch);
    bool unsent;

    pthread_mutex_lock(&s->lock);
    unsent = s->out_start < s->out_end;
    pthread_mutex_unlock(&s->lock);
    return unsent;
}

/* ---- input ---- */

static bool fail(WebSockChannel *s, uint16_t status, const char *why)
{
    s->ended = true;
    send_close(s, status, why);
    return false;
}

/* Section 5.2. False: more bytes are needed, or the connection ended. */
static bool parse_header(WebSockChannel *s)
{
    const uint8_t *p = s->in + s->in_start;
    size_t avail = s->in_end - s->in_start, length_size;
    uint8_t opcode, len;
    bool fin;

    if (avail < 2) {
        return false;
    }
    fin = p[0] & 0x80;
    opcode = p[0] & 0xf;
    len = p[1] & 0x7f;
    length_size = len == 126 ? 2 : len == 127 ? 8 : 0;
    if (!(p[1] & 0x80)) {
        return fail(s, CLOSE_PROTOCOL, "client frames must be masked");
    }
    if (p[0] & 0x70) {
        return fail(s, CLOSE_PROTOCOL, "reserved bits must be zero");
    }
    if (opcode != OP_BINARY && opcode != OP_CONTINUE && (opcode < OP_CLOSE || opcode > OP_PONG)) {
        return fail(s, CLOSE_UNSUPPORTED, "only binary, close, ping, and pong frames are supported");
    }
    if (opcode >= OP_CLOSE && !fin) {
        return fail(s, CLOSE_POLICY, "only binary frames may be fragmented");
    }
    if (opcode >= OP_CLOSE && len > CONTROL_MAX) {
        return fail(s, CLOSE_PROTOCOL, "control frame is too large");
    }
    if (opcode < OP_CLOSE && (opcode == OP_CONTINUE) != s->in_message) {
        return fail(s, CLOSE_PROTOCOL, "fragments are out of order");
    }
    if (avail < 2 + length_size + sizeof(s->mask)) {
        return false;
    }
    s->left = length_size == 8 ? load_be64(p + 2) : length_size == 2 ? load_be16(p + 2) : len;
    if (s->left >> 63) {
        return fail(s, CLOSE_PROTOCOL, "frame length is out of range");
    }
    memcpy(s->mask, p + 2 + length_size, sizeof(s->mask));
    s->mask_pos = 0;
    s->opcode = opcode;
    if (opcode < OP_CLOSE) {
        s->in_message = !fin;
    }
    s->in_start += 2 + length_size + sizeof(s->mask);
    return true;
}

/* At most @max bytes of the current frame's payload, from the buffer. */
static size_t take_payload(WebSockChannel *s, uint8_t *dst, size_t max)
{
    size_t n = MIN(MIN(max, s->in_end - s->in_start), s->left);

    for (size_t i = 0; i < n; i++) {
        dst[i] = s->in[s->in_start + i] ^ s->mask[s->mask_pos++ % sizeof(s->mask)];
    }
    s->in_start += n;
    s->left -= n;
    return n;
}

/* A control frame that is in the buffer completely. */
static void control_frame(WebSockChannel *s)
{
    uint8_t payload[CONTROL_MAX];
    size_t len = take_payload(s, payload, sizeof(payload));

    if (s->opcode == OP_CLOSE) {
        fail(s, CLOSE_NORMAL, "peer requested close");
    } else if (s->opcode == OP_PING) {
        pthread_mutex_lock(&s->lock);
        memcpy(s->pong, payload, len);
        s->pong_len = len;
        s->pong_wanted = true;
        flush(s, NULL);         /* what fails here fails for the next writer, too */
        pthread_mutex_unlock(&s->lock);
    }
    s->opcode = OP_CONTINUE;
}

/* What the buffer has for the reader; 0: nothing more before new bytes come. */
static size_t decode(WebSockChannel *s, const struct iovec *iov, unsigned cnt)
{
    size_t total = 0;

    while (!s->ended) {
        if (s->opcode >= OP_CLOSE) {
            if (s->in_end - s->in_start < s->left) {
                break;
            }
            control_frame(s);
        } else if (s->left == 0) {
            if (total || !parse_header(s)) {
                break;
            }
        } else {
            for (unsigned i = 0; i < cnt; i++) {
                total += take_payload(s, iov[i].iov_base, iov[i].iov_len);
            }
            if (total || s->in_start == s->in_end) {
                break;
            }
        }
    }
    s->more = total && s->in_start < s->in_end;
    return total;
}

static ssize_t fill(WebSockChannel *s, Error **errp)
{
    ssize_t n;

    memmove(s->in, s->in + s->in_start, s->in_end - s->in_start);
    s->in_end -= s->in_start;
    s->in_start = 0;
    n = io_channel_read(s->below, s->in + s->in_end, sizeof(s->in) - s->in_end, errp);
    if (n > 0) {
        s->in_end += (size_t)n;
    }
    return n;
}

static ssize_t websock_readv(IoChannel *ch, const struct iovec *iov, unsigned cnt, int **fds, size_t *nfds,
                             Error **errp)
{
    WebSockChannel *s = websock_channel(ch);
    size_t total;
    ssize_t n;

    if (!iov_size(iov, cnt)) {
        return 0;
    }
    total = decode(s, iov, cnt);
    if (!total && !s->ended) {
        /* Once: a peer that only pings must not keep the loop. */
        n = fill(s, errp);
        if (n <= 0) {
            return n;
        }
        total = decode(s, iov, cnt);
    }
    return total || s->ended ? (ssize_t)total : IO_CHANNEL_BLOCK;
}

/* ---- handshake, section 4.2 ---- */

enum { H_HOST, H_UPGRADE, H_CONNECTION, H_KEY, H_VERSION, H_PROTOCOL, H__MAX };

static const char *const header_names[H__MAX] = {
    [H_HOST] = "Host", [H_UPGRADE] = "Upgrade", [H_CONNECTION] = "Connection", [H_KEY] = "Sec-WebSocket-Key",
    [H_VERSION] = "Sec-WebSocket-Version", [H_PROTOCOL] = "Sec-WebSocket-Protocol",
};

/* Is @word in the comma-separated @list? */
static bool has_token(const char *list, const char *word)
{
    g_auto(GStrv) words = g_strsplit(list ?: "", ",", -1);

    for (char **w = words; *w; w++) {
        if (!g_ascii_strcasecmp(g_strstrip(*w), word)) {
            return true;
        }
    }
    return false;
}

/* The headers that matter, a repeated one as a list. False: no HTTP. */
static bool parse_headers(char **lines, char *headers[H__MAX])
{
    for (; *lines; lines++) {
        char *colon = strchr(*lines, ':'), *old;

        if (!colon) {
            return false;
        }
        *colon = '\0';
        for (int i = 0; i < H__MAX; i++) {
            if (!g_ascii_strcasecmp(*lines, header_names[i])) {
                old = headers[i];
                headers[i] = old ? g_strconcat(old, ",", colon + 1, NULL) : g_strdup(colon + 1);
                g_strstrip(headers[i]);
                g_free(old);
            }
        }
    }
    return true;
}

static char *accept_key(const char *key)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA1);
    uint8_t digest[20];
    gsize len = sizeof(digest);

    g_checksum_update(sum, (const guchar *)key, -1);
    g_checksum_update(sum, (const guchar *)ACCEPT_GUID, -1);
    g_checksum_get_digest(sum, digest, &len);
    return g_base64_encode(digest, len);
}

/* The answer to @request; *@ok: the protocol begins. */
static char *answer(const char *request, bool *ok)
{
    static const char refused[] = "HTTP/1.1 %s\r\nDate: %s\r\nConnection: close\r\n%s\r\n";
    static const char version[] = "Sec-WebSocket-Version: 13\r\n";
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    g_autofree char *date = g_date_time_format(now, "%a, %d %b %Y %H:%M:%S GMT");
    g_auto(GStrv) lines = g_strsplit(request, "\r\n", -1);
    g_auto(GStrv) words = g_strsplit(lines[0] ?: "", " ", -1);
    char *headers[H__MAX] = { NULL };
    g_autofree char *accept = NULL;
    char *text = NULL;

    *ok = false;
    if (g_strv_length(words) != 3 || strcmp(words[0], "GET") != 0 || strcmp(words[2], "HTTP/1.1") != 0 ||
        !parse_headers(lines + 1, headers) || !headers[H_HOST] || !headers[H_KEY] || strlen(headers[H_KEY]) != KEY_LENGTH ||
        !has_token(headers[H_UPGRADE], "websocket") || !has_token(headers[H_CONNECTION], "upgrade") ||
        g_strcmp0(headers[H_VERSION], "13") != 0 || (headers[H_PROTOCOL] && !has_token(headers[H_PROTOCOL], "binary"))) {
        text = g_strdup_printf(refused, "400 Bad Request", date, version);
    } else if (strcmp(words[1], "/") != 0) {
        text = g_strdup_printf(refused, "404 Not Found", date, "");
    } else {
        *ok = true;
        accept = accept_key(headers[H_KEY]);
        text = g_strdup_printf("HTTP/1.1 101 Switching Protocols\r\nDate: %s\r\nUpgrade: websocket\r\n"
                               "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s\r\n", date, accept,
                               headers[H_PROTOCOL] ? "Sec-WebSocket-Protocol: binary\r\n" : "");
    }
    for (int i = 0; i < H__MAX; i++) {
        g_free(headers[i]);
    }
    return text;
}

static bool websock_handshake(IoChannel *ch, Error **errp)
{
    static const char too_large[] = "HTTP/1.1 403 Request Entity Too Large\r\nConnection: close\r\n\r\n";
    WebSockChannel *s = websock_channel(ch);
    g_autofree char *request = NULL, *reply = NULL;
    const uint8_t *end;
    bool ok;

    if (!io_channel_handshake(s->below, errp)) {
        return false;
    }
    while (!(end = memmem(s->in, s->in_end, "\r\n\r\n", 4))) {
        ssize_t n = s->in_end < sizeof(s->in) ? fill(s, errp) : 0;

        if (n == IO_CHANNEL_BLOCK) {
            io_channel_wait(s->below, false);
        } else if (n == 0) {
            if (s->in_end == sizeof(s->in)) {
                io_channel_write_all(s->below, too_large, strlen(too_large), NULL);
            }
            error_setg(errp, "WebSocket handshake failed: no request came");
            return false;
        } else if (n < 0) {
            return false;
        }
    }
    request = g_strndup((char *)s->in, (gsize)(end - s->in));
    s->in_start = (size_t)(end - s->in) + 4;
    reply = answer(request, &ok);
    if (!io_channel_write_all(s->below, reply, strlen(reply), errp)) {
        return false;
    }
    if (!ok) {
        error_setg(errp, "WebSocket handshake failed: the request was refused");
        return false;
    }
    s->ready = true;
    s->more = s->in_start < s->in_end;
    return true;
}

/* ---- the rest ---- */

static void below_readable(void *opaque)
{
    WebSockChannel *s = opaque;

    if (!s->on_read) {
        return;
    }
    io_channel_ref(&s->ch);
    s->on_read(s->opaque);
    if (s->on_read && s->more) {
        bh_schedule(s->again);
    }
    io_channel_unref(&s->ch);
}

static void below_writable(void *opaque)
{
    WebSockChannel *s = opaque;
    ssize_t ret;

    pthread_mutex_lock(&s->lock);
    ret = flush(s, NULL);
    pthread_mutex_unlock(&s->lock);
    if (ret != IO_CHANNEL_BLOCK && s->on_write) {
        s->on_write(s->opaque);
    }
}

static void drop_again(WebSockChannel *s)
{
    if (s->again) {
        bh_delete(s->again);
        s->again = NULL;
    }
}

static void websock_set_handlers(IoChannel *ch, EventLoop *loop, EventFdHandler *on_read, EventFdHandler *on_write,
                                 void *opaque)
{
    WebSockChannel *s = websock_channel(ch);

    s->on_read = on_read;
    s->on_write = on_write;
    s->opaque = opaque;
    drop_again(s);
    if (on_read) {
        s->again = bh_new(loop, below_readable, s);
        if (s->more) {
            bh_schedule(s->again);
        }
    }
    s->below->ops->set_handlers(s->below, loop, on_read ? below_readable : NULL, on_write ? below_writable : NULL, s);
}

static int websock_poll_fd(IoChannel *ch, bool for_write)
{
    IoChannel *below = websock_channel(ch)->below;

    return below->ops->poll_fd(below, for_write);
}

static bool websock_set_blocking(IoChannel *ch, bool blocking, Error **errp)
{
    return io_channel_set_blocking(websock_channel(ch)->below, blocking, errp);
}

static bool websock_shutdown(IoChannel *ch, bool read, bool write, Error **errp)
{
    return io_channel_shutdown(websock_channel(ch)->below, read, write, errp);
}

static bool websock_close(IoChannel *ch, Error **errp)
{
    WebSockChannel *s = websock_channel(ch);

    if (s->ready) {
        s->ready = false;
        send_close(s, CLOSE_NORMAL, "");
    }
    drop_again(s);
    return io_channel_close(s->below, errp);
}

static void websock_free(IoChannel *ch)
{
    WebSockChannel *s = websock_channel(ch);

    io_channel_unref(s->below);
    pthread_mutex_destroy(&s->lock);
    g_free(s);
}

static IoChannel *websock_below(IoChannel *ch)
{
    return websock_channel(ch)->below;
}

static const IoChannelOps websock_ops = {
    .name = "websock",
    .readv = websock_readv,
    .writev = websock_writev,
    .unsent = websock_unsent,
    .handshake = websock_handshake,
    .set_blocking = websock_set_blocking,
    .shutdown = websock_shutdown,
    .set_handlers = websock_set_handlers,
    .poll_fd = websock_poll_fd,
    .close = websock_close,
    .free = websock_free,
    .below = websock_below,
};

IoChannel *io_channel_new_websock_server(IoChannel *below)
{
    WebSockChannel *s = g_new0(WebSockChannel, 1);

    io_channel_init(&s->ch, &websock_ops, below->name);
    s->below = io_channel_ref(below);
    pthread_mutex_init(&s->lock, NULL);
    return &s->ch;
}
