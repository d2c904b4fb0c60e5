/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NBD server: transmission. One coroutine reads requests and starts one for
 * each, which answers; answers may overtake each other.
 *
 * Thread: the export's loop.
 * Trust: nothing of what the client sends. At most NBD_MAX_IN_FLIGHT requests of
 * NBD_MAX_REQUEST bytes are in memory for one client.
 */
#include "util/osdep.h"
#include "block/export/export-internal.h"
#include "block/image.h"
#include "block/nbd-protocol.h"
#include "trace-block-export.h"

/* Extents of one block status answer. */
#define STATUS_EXTENTS_MAX 4096
/* CACHE reads this much at a time. */
#define CACHE_CHUNK (1024 * 1024)

typedef struct Request {
    NbdClient *c;
    uint16_t flags, type;
    uint64_t cookie, offset;
    uint32_t len;
    uint8_t *payload;           /* writes: from block_buffer_alloc() */
} Request;

static BlockBackend *request_blk(const Request *r)
{
    return r->c->exp->common.blk;
}

/* ---- answers ---- */

static void coroutine_fn send_parts(NbdClient *c, const struct iovec *iov, unsigned count)
{
    co_mutex_lock(&c->send_lock);
    /* After a failure the stream is cut somewhere: nothing more fits. */
    if (!c->broken && !io_channel_writev_all(c->ch, iov, count, NULL)) {
        c->broken = true;
        io_channel_shutdown(c->sock, true, true, NULL);
    }
    co_mutex_unlock(&c->send_lock);
}

static void coroutine_fn send_chunk(Request *r, uint16_t flags, uint16_t type, const struct iovec *parts,
                                    unsigned count)
{
    uint8_t head[NBD_STRUCTURED_REPLY_LEN];
    struct iovec iov[4] = { { head, sizeof(head) } };
    uint32_t len = 0;

    assert(count < ARRAY_SIZE(iov));
    for (unsigned i = 0; i < count; i++) {
        iov[i + 1] = parts[i];
        len += parts[i].iov_len;
    }
    store_be32(head, NBD_STRUCTURED_REPLY_MAGIC);
    store_be16(head + 4, flags);
    store_be16(head + 6, type);
    store_be64(head + 8, r->cookie);
    store_be32(head + 16, len);
    send_parts(r->c, iov, count + 1);
}

static void coroutine_fn send_simple(Request *r, uint32_t error, const void *data, size_t len)
{
    uint8_t head[NBD_SIMPLE_REPLY_LEN];
    struct iovec iov[] = { { head, sizeof(head) }, { (void *)data, len } };

    store_be32(head, NBD_SIMPLE_REPLY_MAGIC);
    store_be32(head + 4, error);
    store_be64(head + 8, r->cookie);
    send_parts(r->c, iov, len ? 2 : 1);
}

/* @ret is 0 or -errno, @why (may be NULL) a text for the client. */
static void coroutine_fn send_result(Request *r, int ret, const char *why)
{
    uint8_t head[6];
    struct iovec iov[] = { { head, sizeof(head) }, { NULL, 0 } };
    uint32_t error = nbd_errno_to_wire(-ret);

    if (ret < 0) {
        why = why ? why : g_strerror(-ret);
        trace_nbd_request_failed(r->c, r->type, why);
    }
    if (ret == 0 || !r->c->structured) {
        send_simple(r, error, NULL, 0);
        return;
    }
    store_be32(head, error);
    store_be16(head + 4, strlen(why));
    iov[1] = (struct iovec) { (void *)why, strlen(why) };
    send_chunk(r, NBD_REPLY_FLAG_DONE, NBD_REPLY_ERROR, iov, 2);
}

/* ---- read ---- */

static int coroutine_fn read_at(Request *r, uint64_t offset, size_t len, void *buf)
{
    IoVector v;

    io_vector_init_buf(&v, buf, len);
    return blk_co_preadv(request_blk(r), offset, len, &v, 0);
}

static void coroutine_fn send_data(Request *r, uint16_t flags, uint64_t offset, void *buf, size_t len)
{
    uint8_t place[8];
    struct iovec iov[] = { { place, sizeof(place) }, { buf, len } };

    store_be64(place, offset);
    send_chunk(r, flags, NBD_REPLY_OFFSET_DATA, iov, 2);
}

static void coroutine_fn send_hole(Request *r, uint16_t flags, uint64_t offset, uint32_t len)
{
    uint8_t hole[12];
    struct iovec iov = { hole, sizeof(hole) };

    store_be64(hole, offset);
    store_be32(hole + 8, len);
    send_chunk(r, flags, NBD_REPLY_OFFSET_HOLE, &iov, 1);
}

/* Data and holes in separate chunks, so that zeroes need not travel. */
static void coroutine_fn read_sparse(Request *r, uint8_t *buf)
{
    uint32_t done = 0;

    while (done < r->len) {
        uint64_t offset = r->offset + done;
        int64_t n = 0;
        int status = block_co_status_above(blk_node(request_blk(r)), NULL, true, offset, r->len - done, &n, NULL,
                                           NULL, NULL);
        bool last;

        if (status < 0 || n <= 0) {
            send_result(r, status < 0 ? status : -EIO, "unable to check for holes");
            return;
        }
        n = MIN(n, r->len - done);
        last = done + n == r->len;
        if (status & BLOCK_STATUS_ZERO) {
            send_hole(r, last ? NBD_REPLY_FLAG_DONE : 0, offset, n);
        } else {
            int ret = read_at(r, offset, n, buf);

            if (ret < 0) {
                send_result(r, ret, NULL);
                return;
            }
            send_data(r, last ? NBD_REPLY_FLAG_DONE : 0, offset, buf, n);
        }
        done += n;
    }
}

static void coroutine_fn do_read(Request *r)
{
    BlockNode *bn = blk_node(request_blk(r));
    uint8_t *buf;
    int ret;

    if ((r->flags & NBD_CMD_FLAG_FUA)) {
        ret = blk_co_flush(request_blk(r));
        if (ret < 0) {
            send_result(r, ret, "flush failed");
            return;
        }
    }
    if (!r->len) {
        if (r->c->structured) {
            send_chunk(r, NBD_REPLY_FLAG_DONE, NBD_REPLY_NONE, NULL, 0);
        } else {
            send_simple(r, 0, NULL, 0);
        }
        return;
    }
    buf = block_buffer_alloc(bn, r->len);
    if (!buf) {
        send_result(r, -ENOMEM, NULL);
        return;
    }
    if (r->c->structured && !(r->flags & NBD_CMD_FLAG_DF)) {
        read_sparse(r, buf);
    } else {
        ret = read_at(r, r->offset, r->len, buf);
        if (ret < 0) {
            send_result(r, ret, "reading from file failed");
        } else if (r->c->structured) {
            send_data(r, NBD_REPLY_FLAG_DONE, r->offset, buf, r->len);
        } else {
            send_simple(r, 0, buf, r->len);
        }
    }
    block_buffer_free(buf);
}

/* Reading fills whatever caches there are. */
static int coroutine_fn do_cache(Request *r)
{
    size_t chunk = MIN(r->len, CACHE_CHUNK);
    void *buf = r->len ? block_buffer_alloc(blk_node(request_blk(r)), chunk) : NULL;
    int ret = buf || !r->len ? 0 : -ENOMEM;

    for (uint32_t done = 0; ret == 0 && done < r->len; done += chunk) {
        chunk = MIN(chunk, r->len - done);
        ret = read_at(r, r->offset + done, chunk, buf);
    }
    block_buffer_free(buf);
    return ret;
}

/* ---- write ---- */

static int coroutine_fn do_write(Request *r)
{
    IoVector v;

    io_vector_init_buf(&v, r->payload, r->len);
    return blk_co_pwritev(request_blk(r), r->offset, r->len, &v,
                          r->flags & NBD_CMD_FLAG_FUA ? BLOCK_REQ_FUA : 0);
}

static int coroutine_fn do_write_zeroes(Request *r)
{
    unsigned flags = r->flags & NBD_CMD_FLAG_FUA ? BLOCK_REQ_FUA : 0;

    flags |= r->flags & NBD_CMD_FLAG_NO_HOLE ? 0 : BLOCK_REQ_MAY_UNMAP;
    flags |= r->flags & NBD_CMD_FLAG_FAST_ZERO ? BLOCK_REQ_NO_FALLBACK : 0;
    return blk_co_pwrite_zeroes(request_blk(r), r->offset, r->len, flags);
}

static int coroutine_fn do_trim(Request *r)
{
    int ret = blk_co_pdiscard(request_blk(r), r->offset, r->len);

    if (ret == 0 && (r->flags & NBD_CMD_FLAG_FUA)) {
        ret = blk_co_flush(request_blk(r));
    }
    return ret;
}

/* ---- block status ---- */

/* Extents on their way to the client: pairs of length and flags, neighbours with equal flags merged. */
typedef struct Extents {
    uint8_t *bytes;             /* a context id, then 8 bytes for each */
    unsigned count, max;
    uint32_t last_flags;
    uint64_t total;
} Extents;

static uint8_t *extent_at(Extents *e, unsigned i)
{
    return e->bytes + 4 + 8 * i;
}

/* False: no room for this one. */
static bool extents_add(Extents *e, uint64_t len, uint32_t flags)
{
    assert(len <= UINT32_MAX);
    if (e->count && flags == e->last_flags) {
        uint64_t sum = load_be32(extent_at(e, e->count - 1)) + len;

        if (sum <= UINT32_MAX) {
            store_be32(extent_at(e, e->count - 1), sum);
            e->total += len;
            return true;
        }
    }
    if (e->count == e->max) {
        return false;
    }
    store_be32(extent_at(e, e->count), len);
    store_be32(extent_at(e, e->count) + 4, flags);
    e->count++;
    e->last_flags = flags;
    e->total += len;
    return true;
}

static int coroutine_fn fill_allocation(Request *r, Extents *e, bool depth)
{
    BlockNode *bn = blk_node(request_blk(r));
    uint64_t at = r->offset, end = r->offset + r->len;

    while (at < end) {
        int64_t n = 0;
        int layer = 0, status;
        uint32_t flags;

        status = block_co_status_above(bn, NULL, !depth, at, end - at, &n, NULL, NULL, &layer);
        if (status < 0 || n <= 0) {
            return status < 0 ? status : -EIO;
        }
        n = MIN((uint64_t)n, end - at);
        if (depth) {
            flags = !(status & BLOCK_STATUS_ALLOCATED) ? 0 : layer == 0 ? 1 : 2;
        } else {
            flags = (status & BLOCK_STATUS_DATA ? 0 : NBD_STATE_HOLE) |
                    (status & BLOCK_STATUS_ZERO ? NBD_STATE_ZERO : 0);
        }
        if (!extents_add(e, n, flags)) {
            break;
        }
        at += n;
    }
    return 0;
}

static int fill_bitmap(Request *r, Extents *e, DirtyBitmap *b)
{
    uint64_t at = r->offset, end = r->offset + r->len;

    while (at < end) {
        bool dirty = dirty_bitmap_get(b, at);
        int64_t next = dirty ? dirty_bitmap_next_clear(b, at, end - at) : dirty_bitmap_next_dirty(b, at, end - at);
        uint64_t n = (next < 0 ? end : (uint64_t)next) - at;

        if (!n || !extents_add(e, n, dirty ? NBD_STATE_DIRTY : 0)) {
            break;
        }
        at += n;
    }
    return 0;
}

/* One context's answer; @left of them follow. */
static bool coroutine_fn send_status(Request *r, uint32_t id, unsigned left)
{
    Extents e = { .max = r->flags & NBD_CMD_FLAG_REQ_ONE ? 1 : STATUS_EXTENTS_MAX };
    struct iovec iov;
    int ret;

    e.bytes = g_malloc(4 + 8 * e.max);
    if (id >= NBD_BITMAP_ID) {
        ret = fill_bitmap(r, &e, r->c->exp->bitmaps[id - NBD_BITMAP_ID]);
    } else {
        ret = fill_allocation(r, &e, id == NBD_ALLOCATION_DEPTH_ID);
    }
    if (ret == 0 && !e.count) {
        ret = -EIO;
    }
    if (ret < 0) {
        send_result(r, ret, "can't get block status");
    } else {
        store_be32(e.bytes, id);
        iov = (struct iovec) { e.bytes, 4 + 8 * e.count };
        send_chunk(r, left ? 0 : NBD_REPLY_FLAG_DONE, NBD_REPLY_BLOCK_STATUS, &iov, 1);
    }
    g_free(e.bytes);
    return ret == 0;
}

static void coroutine_fn do_block_status(Request *r)
{
    const NbdContexts *ctx = &r->c->contexts;
    unsigned left = ctx->count;

    if (ctx->base_allocation && !send_status(r, NBD_BASE_ALLOCATION_ID, --left)) {
        return;
    }
    if (ctx->allocation_depth && !send_status(r, NBD_ALLOCATION_DEPTH_ID, --left)) {
        return;
    }
    for (size_t i = 0; i < r->c->exp->bitmap_count; i++) {
        if (ctx->bitmaps && ctx->bitmaps[i] && !send_status(r, NBD_BITMAP_ID + i, --left)) {
            return;
        }
    }
}

/* ---- requests ---- */

static const struct {
    uint16_t flags;             /* allowed */
    uint16_t needs;             /* NBD_EXPORT_* flag of the export, 0: none */
    bool writes, ranged;
} commands[] = {
    [NBD_CMD_READ] = { NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_DF, 0, false, true },
    [NBD_CMD_WRITE] = { NBD_CMD_FLAG_FUA, 0, true, true },
    [NBD_CMD_DISC] = { 0 },
    [NBD_CMD_FLUSH] = { NBD_CMD_FLAG_FUA, NBD_EXPORT_FLUSH, false, false },
    [NBD_CMD_TRIM] = { NBD_CMD_FLAG_FUA, 0, true, true },
    [NBD_CMD_CACHE] = { NBD_CMD_FLAG_FUA, NBD_EXPORT_CACHE, false, true },
    [NBD_CMD_WRITE_ZEROES] = { NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_NO_HOLE | NBD_CMD_FLAG_FAST_ZERO, 0, true, true },
    [NBD_CMD_BLOCK_STATUS] = { NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_REQ_ONE, 0, false, true },
};

/* 0, or -errno with a text: this request cannot be. */
static int check_request(const Request *r, const char **why)
{
    const NbdExport *exp = r->c->exp;

    if (r->type >= ARRAY_SIZE(commands)) {
        *why = "unsupported request type";
        return -EINVAL;
    }
    if ((r->flags & ~commands[r->type].flags) ||
        ((r->flags & NBD_CMD_FLAG_DF) && r->type == NBD_CMD_READ && !r->c->structured)) {
        *why = "unsupported flags";
        return -EINVAL;
    }
    if (commands[r->type].writes && (exp->flags & NBD_EXPORT_READ_ONLY)) {
        *why = "Export is read-only";
        return -EPERM;
    }
    if (commands[r->type].ranged && (r->offset > exp->size || r->len > exp->size - r->offset)) {
        *why = "operation past EOF";
        return r->type == NBD_CMD_WRITE || r->type == NBD_CMD_WRITE_ZEROES ? -ENOSPC : -EINVAL;
    }
    if ((r->type == NBD_CMD_READ || r->type == NBD_CMD_WRITE) && r->len > NBD_MAX_REQUEST) {
        *why = "request is too long";
        return -EINVAL;
    }
    if (r->type == NBD_CMD_BLOCK_STATUS && (!r->c->contexts.count || !r->len)) {
        *why = r->len ? "CMD_BLOCK_STATUS not negotiated" : "need non-zero length";
        return -EINVAL;
    }
    return 0;
}

static void coroutine_fn run_request(Request *r)
{
    const char *why = NULL;
    int ret = check_request(r, &why);

    if (ret < 0) {
        send_result(r, ret, why);
        return;
    }
    switch (r->type) {
    case NBD_CMD_READ:
        do_read(r);
        return;
    case NBD_CMD_BLOCK_STATUS:
        do_block_status(r);
        return;
    case NBD_CMD_WRITE:
        ret = do_write(r);
        break;
    case NBD_CMD_FLUSH:
        ret = blk_co_flush(request_blk(r));
        break;
    case NBD_CMD_TRIM:
        ret = do_trim(r);
        break;
    case NBD_CMD_CACHE:
        ret = do_cache(r);
        break;
    default:
        ret = do_write_zeroes(r);
        break;
    }
    send_result(r, ret, NULL);
}

static void coroutine_fn request_coroutine(void *opaque)
{
    Request *r = opaque;
    NbdClient *c = r->c;

    run_request(r);
    block_buffer_free(r->payload);
    g_free(r);
    c->in_flight--;
    if (c->receiver) {
        coroutine_wake(g_steal_pointer(&c->receiver));
    }
}

/* Until at most @count requests are in flight. */
static void coroutine_fn wait_in_flight(NbdClient *c, unsigned count)
{
    while (c->in_flight > count) {
        c->receiver = coroutine_self();
        coroutine_yield();
    }
}

/* The next request with its payload; NULL: there is none, the connection ends. */
static Request *coroutine_fn receive(NbdClient *c)
{
    uint8_t head[NBD_REQUEST_LEN];
    Request *r;

    if (!io_channel_read_all(c->ch, head, sizeof(head), NULL) || load_be32(head) != NBD_REQUEST_MAGIC) {
        return NULL;
    }
    r = g_new0(Request, 1);
    *r = (Request) {
        .c = c,
        .flags = load_be16(head + 4),
        .type = load_be16(head + 6),
        .cookie = load_be64(head + 8),
        .offset = load_be64(head + 16),
        .len = load_be32(head + 24),
    };
    trace_nbd_request(c, r->type, r->flags, r->offset, r->len);
    if (r->type == NBD_CMD_WRITE && r->len) {
        if (r->len <= NBD_MAX_REQUEST) {
            r->payload = block_buffer_alloc(blk_node(request_blk(r)), r->len);
        }
        if (!r->payload) {
            /* Its data cannot be told from the next request. */
            send_result(r, r->len > NBD_MAX_REQUEST ? -EINVAL : -ENOMEM, NULL);
            g_free(r);
            return NULL;
        }
        if (!io_channel_read_all(c->ch, r->payload, r->len, NULL)) {
            block_buffer_free(r->payload);
            g_free(r);
            return NULL;
        }
    }
    return r;
}

void coroutine_fn nbd_serve(NbdClient *c)
{
    for (;;) {
        Request *r;

        wait_in_flight(c, NBD_MAX_IN_FLIGHT - 1);
        r = receive(c);
        if (!r || r->type == NBD_CMD_DISC) {
            if (r) {
                block_buffer_free(r->payload);
            }
            g_free(r);
            break;
        }
        c->in_flight++;
        coroutine_enter(coroutine_create(request_coroutine, r));
    }
    wait_in_flight(c, 0);
}
