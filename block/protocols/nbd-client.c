/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NBD client: transmission. Each request is a coroutine that sends, then
 * waits; while any waits, one coroutine of our own reads replies. A
 * connection that breaks is made again by the next request that needs it.
 *
 * Thread: the node's loop.
 * Trust: nothing of what the server sends: a reply must be for a request in
 * flight, and data must fit into it.
 */
#include "util/osdep.h"
#include "block/nbd-protocol.h"
#include "block/protocols/nbd-internal.h"
#include "trace-block-protocols.h"

#define ERROR_CHUNK_MAX (6 + NBD_MAX_STRING + 8)
/* After reconnect-delay a request tries this long, and not more often than this. */
#define LATE_TRY_NS INT64_C(1000000000)

/* ---- replies ---- */

static NbdRequest *find_request(NbdState *s, uint64_t cookie)
{
    NbdRequest *r = s->requests[cookie % NBD_CLIENT_REQUESTS];

    return r && r->cookie == cookie && !r->done ? r : NULL;
}

static void finish(NbdRequest *r)
{
    r->done = true;
    if (r->co) {
        coroutine_wake(g_steal_pointer(&r->co));
    }
}

static bool coroutine_fn broken(const char *why)
{
    trace_nbd_client_protocol_error(why);
    return false;
}

/* @len bytes of the stream to place @at of a read's buffer. */
static bool coroutine_fn read_data(NbdState *s, NbdRequest *r, uint64_t at, uint64_t len)
{
    for (unsigned i = 0; len && i < r->v->cnt; i++) {
        size_t skip = r->v_offset + at, n;

        for (i = 0; i < r->v->cnt && skip >= r->v->iov[i].iov_len; i++) {
            skip -= r->v->iov[i].iov_len;
        }
        if (i == r->v->cnt) {
            break;
        }
        n = MIN(len, r->v->iov[i].iov_len - skip);
        if (!io_channel_read_all(s->ch, (char *)r->v->iov[i].iov_base + skip, n, NULL)) {
            return false;
        }
        at += n;
        len -= n;
    }
    return len == 0;
}

/* A part of a read begins; parts that never come must not show old memory. */
static bool account(NbdRequest *r, uint64_t offset, uint64_t len)
{
    if (r->type != NBD_CMD_READ || !len || offset < r->offset || len > r->len ||
        offset - r->offset > r->len - len || len > r->len - r->received) {
        return false;
    }
    if (!r->filled && len < r->len) {
        iov_memset(r->v->iov, r->v->cnt, r->v_offset, 0, r->len);
    }
    r->filled = true;
    r->received += len;
    return true;
}

static bool coroutine_fn chunk_data(NbdState *s, NbdRequest *r, uint32_t len)
{
    uint8_t place[8];
    uint64_t offset;

    if (len <= sizeof(place) || len - sizeof(place) > r->len ||
        !io_channel_read_all(s->ch, place, sizeof(place), NULL)) {
        return broken("data chunk of impossible length");
    }
    offset = load_be64(place);
    if (!account(r, offset, len - sizeof(place))) {
        return broken("data chunk outside of the request");
    }
    return read_data(s, r, offset - r->offset, len - sizeof(place));
}

static bool coroutine_fn chunk_hole(NbdState *s, NbdRequest *r, uint32_t len)
{
    uint8_t hole[12];
    uint64_t offset;

    if (len != sizeof(hole) || !io_channel_read_all(s->ch, hole, sizeof(hole), NULL)) {
        return broken("malformed hole chunk");
    }
    offset = load_be64(hole);
    if (!account(r, offset, load_be32(hole + 8))) {
        return broken("hole outside of the request");
    }
    iov_memset(r->v->iov, r->v->cnt, r->v_offset + (offset - r->offset), 0, load_be32(hole + 8));
    return true;
}

static bool coroutine_fn chunk_status(NbdState *s, NbdRequest *r, uint32_t len)
{
    uint8_t extent[12], more[512];

    if (r->type != NBD_CMD_BLOCK_STATUS || !s->info.has_context || len < sizeof(extent) || (len - 4) % 8 ||
        len > NBD_MAX_REQUEST || !io_channel_read_all(s->ch, extent, sizeof(extent), NULL)) {
        return broken("malformed block status");
    }
    for (uint32_t left = len - sizeof(extent), n; left; left -= n) {
        n = MIN(left, sizeof(more));
        if (!io_channel_read_all(s->ch, more, n, NULL)) {
            return false;
        }
    }
    if (load_be32(extent) != s->info.context_id || !load_be32(extent + 4) || r->have_extent) {
        return broken("block status of another context, empty, or twice");
    }
    r->have_extent = true;
    r->extent_len = load_be32(extent + 4);
    r->extent_flags = load_be32(extent + 8);
    return true;
}

static bool coroutine_fn chunk_error(NbdState *s, NbdRequest *r, uint16_t type, uint32_t len)
{
    uint8_t data[ERROR_CHUNK_MAX];

    if (len < 6 || len > sizeof(data) || !io_channel_read_all(s->ch, data, len, NULL) ||
        load_be16(data + 4) > len - 6 || !load_be32(data)) {
        return broken("malformed error chunk");
    }
    trace_nbd_client_request_failed(r->type, r->offset, r->len, load_be32(data), load_be16(data + 4),
                                    (const char *)data + 6);
    r->ret = r->ret ? r->ret : -nbd_errno_from_wire(load_be32(data));
    return true;
}

/* The rest of a structured reply whose first 16 bytes are @head. */
static bool coroutine_fn structured_reply(NbdState *s, NbdRequest *r, const uint8_t *head)
{
    uint16_t flags = load_be16(head + 4), type = load_be16(head + 6);
    uint8_t length[4];
    uint32_t len;
    bool ok;

    if (!s->info.structured) {
        return broken("structured reply without agreement");
    }
    if (!io_channel_read_all(s->ch, length, sizeof(length), NULL)) {
        return false;
    }
    len = load_be32(length);
    if (type & 0x8000) {
        ok = chunk_error(s, r, type, len);
    } else if (type == NBD_REPLY_NONE) {
        ok = len == 0 && (flags & NBD_REPLY_FLAG_DONE);
    } else if (type == NBD_REPLY_OFFSET_DATA) {
        ok = chunk_data(s, r, len);
    } else if (type == NBD_REPLY_OFFSET_HOLE) {
        ok = chunk_hole(s, r, len);
    } else if (type == NBD_REPLY_BLOCK_STATUS) {
        ok = chunk_status(s, r, len);
    } else {
        ok = broken("unknown chunk type");
    }
    if (!ok || !(flags & NBD_REPLY_FLAG_DONE)) {
        return ok;
    }
    if (r->ret == 0 && ((r->type == NBD_CMD_READ && r->received != r->len) ||
                        (r->type == NBD_CMD_BLOCK_STATUS && !r->have_extent))) {
        return broken("reply ends before all has come");
    }
    finish(r);
    return true;
}

static bool coroutine_fn simple_reply(NbdState *s, NbdRequest *r, const uint8_t *head)
{
    r->ret = -nbd_errno_from_wire(load_be32(head + 4));
    if (s->info.structured && (r->type == NBD_CMD_READ || r->type == NBD_CMD_BLOCK_STATUS) && r->ret == 0) {
        return broken("simple reply where structured ones are agreed on");
    }
    if (r->type == NBD_CMD_READ && r->ret == 0 && !read_data(s, r, 0, r->len)) {
        return false;
    }
    finish(r);
    return true;
}

static bool coroutine_fn receive_reply(NbdState *s)
{
    uint8_t head[NBD_SIMPLE_REPLY_LEN];
    NbdRequest *r;

    if (!io_channel_read_all(s->ch, head, sizeof(head), NULL)) {
        return false;
    }
    r = find_request(s, load_be64(head + 8));
    if (!r) {
        return broken("reply to nothing");
    }
    switch (load_be32(head)) {
    case NBD_SIMPLE_REPLY_MAGIC:
        return simple_reply(s, r, head);
    case NBD_STRUCTURED_REPLY_MAGIC:
        return structured_reply(s, r, head);
    default:
        return broken("bad magic of a reply");
    }
}

static unsigned count_waiting(const NbdState *s)
{
    unsigned n = 0;

    for (unsigned i = 0; i < NBD_CLIENT_REQUESTS; i++) {
        n += s->requests[i] && !s->requests[i]->done;
    }
    return n;
}

/* All that wait for replies have lost theirs. */
static void lose_connection(NbdState *s)
{
    if (!s->lost_at_ns) {
        s->lost_at_ns = clock_now_ns(CLOCK_TYPE_REALTIME);
    }
    for (unsigned i = 0; i < NBD_CLIENT_REQUESTS; i++) {
        NbdRequest *r = s->requests[i];

        if (r && !r->done) {
            r->lost = true;
            r->ret = -EIO;
            finish(r);
        }
    }
}

static void coroutine_fn receiver(void *opaque)
{
    NbdState *s = opaque;

    while (count_waiting(s)) {
        if (!receive_reply(s)) {
            /* A sender may be in the middle of its data: this wakes it. */
            io_channel_shutdown(s->sock, true, true, NULL);
            lose_connection(s);
            break;
        }
    }
    s->receiving = false;
    co_queue_wake_all(&s->receiver_gone);
}

/* ---- requests ---- */

static bool coroutine_fn send_request(NbdState *s, NbdRequest *r)
{
    uint8_t head[NBD_REQUEST_LEN];
    g_autofree struct iovec *many = NULL;
    struct iovec few[8], *iov = few;
    unsigned count = 1;
    bool ok;

    store_be32(head, NBD_REQUEST_MAGIC);
    store_be16(head + 4, r->flags);
    store_be16(head + 6, r->type);
    store_be64(head + 8, r->cookie);
    store_be64(head + 16, r->offset);
    store_be32(head + 24, r->len);
    if (r->type == NBD_CMD_WRITE) {
        if (r->v->cnt + 1 > ARRAY_SIZE(few)) {
            iov = many = g_new(struct iovec, r->v->cnt + 1);
        }
        count += iov_slice(iov + 1, r->v->cnt, r->v->iov, r->v->cnt, r->v_offset, r->len);
    }
    iov[0] = (struct iovec) { head, sizeof(head) };
    co_mutex_lock(&s->send_lock);
    ok = !s->lost_at_ns && s->ch && io_channel_writev_all(s->ch, iov, count, NULL);
    co_mutex_unlock(&s->send_lock);
    return ok;
}

static void coroutine_fn run_once(NbdState *s, NbdRequest *r)
{
    unsigned slot = 0;

    while (s->requests[slot]) {
        slot++;
    }
    r->cookie = s->next_cookie++ * NBD_CLIENT_REQUESTS + slot;
    r->done = r->lost = r->filled = r->have_extent = false;
    r->ret = 0;
    r->received = 0;
    s->requests[slot] = r;
    trace_nbd_client_request(r->type, r->flags, r->offset, r->len, r->cookie);
    if (!send_request(s, r)) {
        if (s->sock) {
            io_channel_shutdown(s->sock, true, true, NULL);
        }
        /* Whoever reads may be filling somebody's buffer: then it notices, and tells all. */
        if (!s->receiving) {
            lose_connection(s);
        } else if (!s->lost_at_ns) {
            s->lost_at_ns = clock_now_ns(CLOCK_TYPE_REALTIME);
        }
    }
    if (!r->done && !s->receiving) {
        s->receiving = true;
        coroutine_enter(coroutine_create(receiver, s));
    }
    if (!r->done) {
        r->co = coroutine_self();
        coroutine_yield();
    }
    s->requests[slot] = NULL;
}

/* A connection, or not: 0 or -EIO. */
static int coroutine_fn reconnect(NbdState *s)
{
    int64_t now, left;
    Error *err = NULL;
    bool ok;

    co_mutex_lock(&s->connect_lock);
    while (s->lost_at_ns && s->receiving) {
        co_queue_wait(&s->receiver_gone, &s->connect_lock);
    }
    now = clock_now_ns(CLOCK_TYPE_REALTIME);
    if (s->lost_at_ns) {
        left = s->lost_at_ns + s->reconnect_delay_ns - now;
        ok = false;
        if (left > 0 || !s->last_try_ns || now - s->last_try_ns >= LATE_TRY_NS) {
            /* Those who still send on the old one have to see that it is closed first. */
            co_mutex_lock(&s->send_lock);
            nbd_disconnect(s);
            co_mutex_unlock(&s->send_lock);
            s->last_try_ns = now;
            ok = nbd_connect(s, left > 0 ? left : LATE_TRY_NS / 2, left > 0, &err);
        }
        if (ok) {
            s->lost_at_ns = s->last_try_ns = 0;
        }
        error_free(err);
    }
    now = s->lost_at_ns;
    co_mutex_unlock(&s->connect_lock);
    return now ? -EIO : 0;
}

int coroutine_fn nbd_request(NbdState *s, NbdRequest *r)
{
    int ret;

    while (s->in_flight == NBD_CLIENT_REQUESTS) {
        co_queue_wait(&s->free_slots, NULL);
    }
    s->in_flight++;
    do {
        ret = s->lost_at_ns ? reconnect(s) : 0;
        if (ret == 0) {
            run_once(s, r);
            ret = r->ret;
        }
    } while (r->lost && ret < 0 &&
             clock_now_ns(CLOCK_TYPE_REALTIME) < s->lost_at_ns + (int64_t)s->reconnect_delay_ns);
    s->in_flight--;
    co_queue_wake_one(&s->free_slots);
    return ret;
}
