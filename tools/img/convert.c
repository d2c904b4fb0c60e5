/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The copying engine behind qemu-img convert: several coroutines take one
 * extent's piece after the other, read it, look for zeroes in it and write what is
 * there, in order unless the user lets them overtake. Main thread.
 */
#include "util/osdep.h"
#include "convert.h"

/* Of each coroutine. Formats that are only read have their data in small pieces. */
#define BUFFER_SIZE ((int64_t)(2 * MIB))
#define IMPORT_BUFFER_SIZE ((int64_t)(256 * KIB))

/* ---- what comes next ---- */

static CopySource *source_at(Copy *c, int64_t offset)
{
    unsigned i = 0;

    while (i + 1 < c->source_count && offset >= c->sources[i].start + c->sources[i].size) {
        i++;
    }
    return &c->sources[i];
}

/* Ask about the extent at c->at. */
static int coroutine_fn next_extent(Copy *c)
{
    CopySource *s = source_at(c, c->at);
    BlockNode *bn = blk_node(s->blk);
    int64_t offset = c->at - s->start, pnum = 0;
    bool past_backing = c->target_backing_size >= 0 && c->at >= c->target_backing_size;
    int64_t bytes = s->size - offset;
    int ret;

    if (!past_backing && c->target_backing_size >= 0) {
        bytes = MIN(bytes, c->target_backing_size - c->at);
    }
    if (c->target_has_backing) {
        ret = block_co_block_status(bn, true, offset, bytes, &pnum, NULL, NULL);
    } else {
        ret = block_co_status_above(bn, NULL, true, offset, bytes, &pnum, NULL, NULL, NULL);
    }
    if (ret < 0 && c->salvage) {
        pnum = MIN(bytes, 512);
        ret = BLOCK_STATUS_DATA;
    }
    if (ret < 0) {
        error_report("error while reading block status at offset %" PRId64 ": %s", offset,
                     strerror(-ret));
        return ret;
    }
    c->extent = ret & BLOCK_STATUS_ZERO ? (past_backing ? COPY_BACKING : COPY_ZERO) :
                ret & BLOCK_STATUS_DATA ? COPY_DATA :
                c->target_has_backing   ? COPY_BACKING : COPY_DATA;
    if (c->extent == COPY_ZERO && !c->min_sparse) {
        c->extent = COPY_DATA;
    }
    c->extent_end = c->at + MAX(pnum, 1);
    return 0;
}

/*
 * Compressed clusters are written whole: the next piece ends at a cluster's end, and one that is
 * partly zero is data.
 */
static int64_t cluster_piece(Copy *c, CopyKind *kind)
{
    int64_t bytes = c->extent_end - c->at;

    if (bytes >= c->cluster || c->extent_end == c->total) {
        return c->extent_end == c->total ? bytes : bytes - bytes % c->cluster;
    }
    if (*kind == COPY_ZERO || *kind == COPY_BACKING) {
        *kind = COPY_DATA;
    }
    return MIN(c->cluster, c->total - c->at);
}

/* Compressed clusters go one by one, so that several coroutines have some to do. */
static int64_t buffer_size(const Copy *c)
{
    bool import = !blk_node(c->sources[0].blk)->drv->co_pwritev;

    return c->compressed ? c->cluster : MAX(import ? IMPORT_BUFFER_SIZE : BUFFER_SIZE, c->cluster);
}

/* Take the next piece: 1, 0 at the end, or -errno. */
static int coroutine_fn take_piece(Copy *c, int64_t *offset, int64_t *bytes, CopyKind *kind)
{
    int ret = 0;

    co_mutex_lock(&c->lock);
    if (c->ret >= 0 && c->at < c->total) {
        ret = c->at >= c->extent_end ? next_extent(c) : 0;
        if (ret >= 0) {
            *kind = c->extent;
            *offset = c->at;
            *bytes = c->compressed ? cluster_piece(c, kind) : c->extent_end - c->at;
            if (*kind == COPY_DATA) {
                *bytes = MIN(*bytes, buffer_size(c));
            }
            c->at += *bytes;
            ret = 1;
        }
    }
    co_mutex_unlock(&c->lock);
    return ret;
}

/* ---- reading ---- */

static int coroutine_fn read_piece(Copy *c, int64_t offset, int64_t bytes, uint8_t *buf)
{
    while (bytes > 0) {
        CopySource *s = source_at(c, offset);
        int64_t n = MIN(bytes, s->start + s->size - offset);
        IoVector v;
        int ret;

        io_vector_init_buf(&v, buf, n);
        ret = blk_co_preadv(s->blk, offset - s->start, n, &v, 0);
        if (ret < 0 && c->salvage && n > 512) {
            /* Sector by sector, so that only the bad ones are lost. */
            n = 512;
            io_vector_init_buf(&v, buf, n);
            ret = blk_co_preadv(s->blk, offset - s->start, n, &v, 0);
        }
        if (ret < 0 && c->salvage) {
            warn_report("error while reading offset %" PRId64 ": %s", offset - s->start,
                        strerror(-ret));
            memset(buf, 0, n);
        } else if (ret < 0) {
            return ret;
        }
        offset += n;
        bytes -= n;
        buf += n;
    }
    return 0;
}

/* ---- writing ---- */

/*
 * The first run of zeroes or of data in @buf: its length; *@zero tells which. Zeroes count from
 * min_sparse bytes on, in whole units.
 */
static int64_t next_run(const Copy *c, int64_t offset, const uint8_t *buf, int64_t bytes, bool *zero)
{
    int64_t run = 0, zeroes = 0;

    *zero = false;
    if (!c->min_sparse) {
        return bytes;
    }
    while (run < bytes) {
        int64_t n = MIN(bytes - run, c->sparse_unit - (offset + run) % c->sparse_unit);
        bool is_zero = buffer_is_zero(buf + run, n);

        if (!is_zero && zeroes >= c->min_sparse) {
            break;
        }
        zeroes = is_zero ? zeroes + n : 0;
        run += n;
    }
    *zero = zeroes == run;
    return *zero || zeroes < c->min_sparse ? run : run - zeroes;
}

static int coroutine_fn write_buffer(Copy *c, int64_t offset, int64_t bytes, uint8_t *buf)
{
    unsigned flags = c->compressed ? BLOCK_REQ_WRITE_COMPRESSED : 0;
    IoVector v;

    if (c->compressed && c->zero_target && buffer_is_zero(buf, bytes)) {
        return 0;
    }
    if (c->compressed) {
        int ret = 0;

        while (bytes > 0 && ret >= 0) {
            int64_t n = MIN(bytes, c->cluster);

            if (!c->zero_target || !buffer_is_zero(buf, n)) {
                io_vector_init_buf(&v, buf, n);
                ret = blk_co_pwritev(c->target, offset, n, &v, flags);
            }
            offset += n;
            bytes -= n;
            buf += n;
        }
        return ret;
    }
    while (bytes > 0) {
        bool zero;
        int64_t n = next_run(c, offset, buf, bytes, &zero);
        int ret = 0;

        if (!zero) {
            io_vector_init_buf(&v, buf, n);
            ret = blk_co_pwritev(c->target, offset, n, &v, 0);
        } else if (!c->zero_target || c->target_has_backing) {
            ret = blk_co_pwrite_zeroes(c->target, offset, n, BLOCK_REQ_MAY_UNMAP);
        }
        if (ret < 0) {
            return ret;
        }
        offset += n;
        bytes -= n;
        buf += n;
    }
    return 0;
}

static int coroutine_fn write_zeroes(Copy *c, int64_t offset, int64_t bytes)
{
    if (c->zero_target && !c->target_has_backing) {
        return 0;
    }
    return blk_co_pwrite_zeroes(c->target, offset, bytes, BLOCK_REQ_MAY_UNMAP);
}

static int coroutine_fn copy_inside_kernel(Copy *c, int64_t offset, int64_t bytes)
{
    CopySource *s = source_at(c, offset);

    if (offset + bytes > s->start + s->size) {
        return -ENOTSUP;
    }
    return blk_co_copy_range(s->blk, offset - s->start, c->target, offset, bytes, 0, 0);
}

/* ---- the coroutines ---- */

static void coroutine_fn wait_turn(Copy *c, int64_t offset)
{
    while (c->in_order && c->ret >= 0 && c->write_at != offset) {
        co_queue_wait(&c->turn, NULL);
    }
}

static void coroutine_fn piece_done(Copy *c, int64_t offset, int64_t bytes, CopyKind kind, int ret)
{
    if (ret < 0 && c->ret >= 0) {
        c->ret = ret;
    }
    if (c->in_order) {
        c->write_at = offset + bytes;
        co_queue_wake_all(&c->turn);
    }
    if (kind == COPY_DATA || (kind == COPY_ZERO && !c->zero_target)) {
        c->done += bytes;
        tool_progress(100.0 * c->done / MAX(c->work, 1));
    }
}

static void coroutine_fn keep_rate(Copy *c, int64_t bytes)
{
    int64_t ahead;

    c->copied += bytes;
    ahead = c->start_ns + (int64_t)((double)c->copied / c->rate * 1e9) -
            clock_now_ns(CLOCK_TYPE_REALTIME);
    if (ahead > 0) {
        coroutine_sleep_ns(CLOCK_TYPE_REALTIME, ahead);
    }
}

static int coroutine_fn copy_piece(Copy *c, int64_t offset, int64_t bytes, CopyKind kind,
                                   uint8_t **buf)
{
    bool by_kernel = kind == COPY_DATA && c->copy_range;
    int ret = 0;

    if (kind == COPY_DATA && !by_kernel) {
        *buf = *buf ? *buf : block_buffer_alloc(blk_node(c->target), buffer_size(c));
        ret = *buf ? read_piece(c, offset, bytes, *buf) : -ENOMEM;
        if (ret < 0) {
            error_report("error while reading at byte %" PRId64 ": %s", offset, strerror(-ret));
            return ret;
        }
    }
    wait_turn(c, offset);
    if (c->ret < 0) {
        return 0;
    }
    if (by_kernel) {
        ret = copy_inside_kernel(c, offset, bytes);
        if (ret < 0) {
            /* Not for these two: from here on by buffers. */
            c->copy_range = false;
            return copy_piece(c, offset, bytes, kind, buf);
        }
    } else if (kind == COPY_DATA) {
        ret = write_buffer(c, offset, bytes, *buf);
    } else if (kind == COPY_ZERO) {
        ret = write_zeroes(c, offset, bytes);
    }
    if (ret < 0) {
        error_report("error while writing at byte %" PRId64 ": %s", offset, strerror(-ret));
    }
    return ret;
}

static void coroutine_fn copy_entry(void *opaque)
{
    Copy *c = opaque;
    uint8_t *buf = NULL;
    int64_t offset, bytes;
    CopyKind kind;
    int ret;

    while ((ret = take_piece(c, &offset, &bytes, &kind)) > 0) {
        ret = copy_piece(c, offset, bytes, kind, &buf);
        piece_done(c, offset, bytes, kind, ret);
        if (c->rate && kind == COPY_DATA) {
            keep_rate(c, bytes);
        }
    }
    if (ret < 0 && c->ret >= 0) {
        c->ret = ret;
    }
    block_buffer_free(buf);
    if (--c->running == 0) {
        c->finished = true;
        event_loop_wake(event_loop_main());
    }
}

/* The bytes that count for the progress. */
static void coroutine_fn count_work(void *opaque)
{
    Copy *c = opaque;

    for (c->at = 0; c->at < c->total; c->at = c->extent_end) {
        c->ret = next_extent(c);
        if (c->ret < 0) {
            return;
        }
        if (c->extent == COPY_DATA || (c->extent == COPY_ZERO && !c->zero_target)) {
            c->work += c->extent_end - c->at;
        }
    }
    c->at = c->extent_end = 0;
}

int copy_run(Copy *c)
{
    unsigned i;

    co_mutex_init(&c->lock);
    co_queue_init(&c->turn);
    c->start_ns = clock_now_ns(CLOCK_TYPE_REALTIME);
    tool_run(count_work, c);
    if (c->ret < 0) {
        return c->ret;
    }
    c->running = c->coroutines;
    for (i = 0; i < c->coroutines; i++) {
        coroutine_enter(coroutine_create(copy_entry, c));
    }
    tool_wait(&c->finished);
    return c->ret;
}
