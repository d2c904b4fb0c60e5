/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads and writes of a node: range checks, tracking, padding of misaligned
 * requests (writes by read-modify-write), splitting by the driver's limits,
 * zero detection, FUA by flush. Coroutines on the node's loop; requests that
 * need none of this go through fast.c.
 *
 * Offsets and lengths may come from a guest by way of a BlockBackend, which
 * has checked them against the size; here they only must not overflow.
 */
#include "util/osdep.h"
#include "block/block-int.h"
#include "block/dirty-bitmap.h"
#include "qapi-events.h"
#include "trace-block.h"

int block_check_range(int64_t offset, int64_t bytes)
{
    if (offset < 0 || bytes < 0 || offset > BLOCK_MAX_LENGTH || bytes > BLOCK_MAX_LENGTH - offset) {
        return -EIO;
    }
    return 0;
}

void *block_buffer_alloc(BlockNode *bn, size_t len)
{
    size_t align = MAX(bn->limits.min_mem_alignment, sizeof(void *));
    void *p;

    return posix_memalign(&p, align, MAX(len, 1)) ? NULL : p;
}

void block_buffer_free(void *buf)
{
    free(buf);
}

bool block_iov_aligned(const BlockNode *bn, const struct iovec *iov, unsigned count)
{
    uintptr_t align = bn->limits.min_mem_alignment;
    unsigned i;

    if (align <= 1) {
        return true;
    }
    for (i = 0; i < count; i++) {
        if ((uintptr_t)iov[i].iov_base % align || iov[i].iov_len % align) {
            return false;
        }
    }
    return true;
}

/* ---- padding of misaligned requests ---- */

typedef struct Padding {
    size_t head, tail;          /* bytes before and after the request */
    uint8_t *buf;               /* one or two blocks of alignment size */
    size_t buf_len;
    uint8_t *tail_buf;
    IoVector v;                 /* head, payload, tail */
} Padding;

/* @payload may be NULL (zeroes come from elsewhere). False: out of memory. */
static bool padding_init(Padding *pad, BlockNode *bn, int64_t offset, int64_t bytes)
{
    uint32_t align = bn->limits.request_alignment;
    int64_t sum;

    memset(pad, 0, sizeof(*pad));
    pad->head = offset & (align - 1);
    pad->tail = (align - ((offset + bytes) & (align - 1))) & (align - 1);
    if (!pad->head && !pad->tail) {
        return true;
    }
    sum = pad->head + bytes + pad->tail;
    pad->buf_len = sum > align && pad->head && pad->tail ? 2 * align : align;
    pad->buf = block_buffer_alloc(bn, pad->buf_len);
    if (!pad->buf) {
        return false;
    }
    /* Where the request ends inside the buffer's last block. */
    pad->tail_buf = pad->buf + pad->buf_len - pad->tail;
    return true;
}

static void padding_build(Padding *pad, IoVector *v, size_t v_offset, int64_t bytes)
{
    io_vector_init(&pad->v, v->cnt + 2);
    if (pad->head) {
        io_vector_add(&pad->v, pad->buf, pad->head);
    }
    io_vector_concat(&pad->v, v, v_offset, bytes);
    if (pad->tail) {
        io_vector_add(&pad->v, pad->tail_buf, pad->tail);
    }
}

static void padding_destroy(Padding *pad)
{
    if (pad->buf) {
        io_vector_destroy(&pad->v);
        block_buffer_free(pad->buf);
    }
}

/* ---- reads ---- */

static int coroutine_fn driver_preadv(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                      size_t v_offset)
{
    int64_t max = bn->limits.max_transfer;
    int ret;

    if (!bn->drv->co_preadv) {
        return -ENOTSUP;
    }
    if (max) {
        max = MAX(ROUND_DOWN(max, (int64_t)bn->limits.request_alignment),
                  bn->limits.request_alignment);
    }
    while (bytes > 0) {
        int64_t n = max ? MIN(bytes, max) : bytes;

        ret = bn->drv->co_preadv(bn, offset, n, v, v_offset, 0);
        if (ret < 0) {
            return ret;
        }
        offset += n;
        v_offset += n;
        bytes -= n;
    }
    return 0;
}

/* An aligned read, which gives zeroes beyond the end of the node. */
static int coroutine_fn aligned_preadv(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                       size_t v_offset)
{
    int64_t end = ROUND_UP(bn->total_bytes, (int64_t)bn->limits.request_alignment);
    int64_t inside = offset >= end ? 0 : MIN(bytes, end - offset);
    int ret;

    ret = driver_preadv(bn, offset, inside, v, v_offset);
    if (ret == 0 && inside < bytes) {
        iov_memset(v->iov, v->cnt, v_offset + inside, 0, bytes - inside);
    }
    return ret;
}

int coroutine_fn block_co_preadv(BlockChild *c, int64_t offset, int64_t bytes, IoVector *v,
                                 size_t v_offset, unsigned flags)
{
    BlockNode *bn = c->node;
    BlockRequest req;
    Padding pad;
    int ret;

    ret = block_check_range(offset, bytes);
    if (ret < 0 || bytes == 0) {
        return ret;
    }
    block_node_inc_in_flight(bn);
    if (!padding_init(&pad, bn, offset, bytes)) {
        block_node_dec_in_flight(bn);
        return -ENOMEM;
    }
    block_request_begin(&req, bn, offset - pad.head, pad.head + bytes + pad.tail, BLOCK_TRACK_READ);
    if (flags & BLOCK_REQ_COPY_ON_READ) {
        block_request_serialise(&req, block_copy_on_read_align(bn));
    } else if (bn->serialise_reads) {
        block_request_serialise(&req, bn->serialise_reads);
    }
    block_request_wait(&req);
    if (flags & BLOCK_REQ_COPY_ON_READ) {
        ret = block_co_copy_on_read(bn, offset, bytes, v, v_offset, flags);
    } else if (pad.buf) {
        padding_build(&pad, v, v_offset, bytes);
        ret = aligned_preadv(bn, req.offset, req.bytes, &pad.v, 0);
    } else {
        ret = aligned_preadv(bn, offset, bytes, v, v_offset);
    }
    block_request_end(&req);
    padding_destroy(&pad);
    block_node_dec_in_flight(bn);
    return ret;
}

int coroutine_fn block_co_pread(BlockChild *c, int64_t offset, int64_t bytes, void *buf,
                                unsigned flags)
{
    IoVector v;

    io_vector_init_buf(&v, buf, bytes);
    return block_co_preadv(c, offset, bytes, &v, 0, flags);
}

/* ---- writes ---- */

void block_write_prepare(BlockNode *bn, int64_t offset, int64_t bytes)
{
    uint64_t threshold = atomic_load(&bn->write_threshold);
    uint64_t end = offset + bytes;

    if (UNLIKELY(threshold && end > threshold)) {
        qapi_event_send_BLOCK_WRITE_THRESHOLD(bn->node_name, end - threshold, threshold);
        atomic_store(&bn->write_threshold, 0);
    }
}

void block_write_finish(BlockNode *bn, int64_t offset, int64_t bytes, int ret)
{
    uint64_t end = offset + bytes;

    /* Also after an error: part of it may have reached the disk. */
    bn->write_gen++;
    if (UNLIKELY(bn->dirty_bitmaps != NULL)) {
        dirty_bitmap_mark_node(bn, offset, bytes);
    }
    if (ret < 0) {
        return;
    }
    if (end > bn->wr_highest_offset) {
        atomic_store(&bn->wr_highest_offset, end);
    }
    if ((int64_t)end > bn->total_bytes) {
        block_node_set_length(bn, ROUND_UP(end, 512));
    }
}

static int coroutine_fn driver_pwritev(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                       size_t v_offset, unsigned flags)
{
    int64_t max = bn->limits.max_transfer;
    unsigned drv_flags = flags & bn->supported_write_flags;
    int ret = 0;

    if (max) {
        max = MAX(ROUND_DOWN(max, (int64_t)bn->limits.request_alignment),
                  bn->limits.request_alignment);
    }
    while (bytes > 0 && ret == 0) {
        int64_t n = max ? MIN(bytes, max) : bytes;

        ret = bn->drv->co_pwritev(bn, offset, n, v, v_offset, drv_flags);
        offset += n;
        v_offset += n;
        bytes -= n;
    }
    return ret;
}

static int coroutine_fn driver_pwritev_compressed(BlockNode *bn, int64_t offset, int64_t bytes,
                                                  IoVector *v, size_t v_offset)
{
    BlockChild *c = block_primary_child(bn);

    if (bn->drv->co_pwritev_compressed) {
        return bn->drv->co_pwritev_compressed(bn, offset, bytes, v, v_offset);
    }
    if (bn->drv->is_filter && c) {
        return block_co_pwritev(c, offset, bytes, v, v_offset, BLOCK_REQ_WRITE_COMPRESSED);
    }
    return -ENOTSUP;
}

/* Flush when the request wanted FUA and the driver has no such thing. */
static int coroutine_fn finish_fua(BlockNode *bn, int ret, unsigned flags, unsigned supported)
{
    if (ret == 0 && (flags & BLOCK_REQ_FUA & ~supported)) {
        ret = block_co_flush(bn);
    }
    return ret;
}

static int coroutine_fn aligned_pwritev(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                        size_t v_offset, unsigned flags)
{
    int ret;

    block_write_prepare(bn, offset, bytes);
    if (flags & BLOCK_REQ_WRITE_COMPRESSED) {
        ret = driver_pwritev_compressed(bn, offset, bytes, v, v_offset);
        block_write_finish(bn, offset, bytes, ret);
        return finish_fua(bn, ret, flags, 0);
    }
    if (bn->detect_zeroes != BLOCKDEV_DETECT_ZEROES_OPTIONS_OFF &&
        io_vector_is_zero(v, v_offset, bytes)) {
        if (bn->detect_zeroes == BLOCKDEV_DETECT_ZEROES_OPTIONS_UNMAP) {
            flags |= BLOCK_REQ_MAY_UNMAP;
        }
        block_co_own_debug_event(bn, BLKDEBUG_EVENT_PWRITEV_ZERO);
        ret = block_do_pwrite_zeroes(bn, offset, bytes, flags);
        block_co_own_debug_event(bn, BLKDEBUG_EVENT_PWRITEV_DONE);
        block_write_finish(bn, offset, bytes, ret);
        return finish_fua(bn, ret, flags, bn->supported_zero_flags);
    }
    block_co_own_debug_event(bn, BLKDEBUG_EVENT_PWRITEV);
    ret = driver_pwritev(bn, offset, bytes, v, v_offset, flags);
    block_co_own_debug_event(bn, BLKDEBUG_EVENT_PWRITEV_DONE);
    block_write_finish(bn, offset, bytes, ret);
    return finish_fua(bn, ret, flags, bn->supported_write_flags);
}

/* Fill the padding with what is on disk now. */
static int coroutine_fn padding_read(Padding *pad, BlockNode *bn, int64_t offset, int64_t bytes)
{
    uint32_t align = bn->limits.request_alignment;
    bool whole = bytes == pad->buf_len;     /* the blocks are the same, or adjacent */
    IoVector v;
    int ret;

    if (pad->head || whole) {
        size_t n = whole ? pad->buf_len : align;

        if (pad->head) {
            block_co_own_debug_event(bn, BLKDEBUG_EVENT_PWRITEV_RMW_HEAD);
        }
        if (whole && pad->tail) {
            block_co_own_debug_event(bn, BLKDEBUG_EVENT_PWRITEV_RMW_TAIL);
        }
        io_vector_init_buf(&v, pad->buf, n);
        ret = aligned_preadv(bn, offset, n, &v, 0);
        if (ret < 0) {
            return ret;
        }
        if (pad->head) {
            block_co_own_debug_event(bn, BLKDEBUG_EVENT_PWRITEV_RMW_AFTER_HEAD);
        }
        if (whole && pad->tail) {
            block_co_own_debug_event(bn, BLKDEBUG_EVENT_PWRITEV_RMW_AFTER_TAIL);
        }
        if (whole) {
            return 0;
        }
    }
    if (pad->tail) {
        block_co_own_debug_event(bn, BLKDEBUG_EVENT_PWRITEV_RMW_TAIL);
        io_vector_init_buf(&v, pad->buf + pad->buf_len - align, align);
        ret = aligned_preadv(bn, offset + bytes - align, align, &v, 0);
        if (ret < 0) {
            return ret;
        }
        block_co_own_debug_event(bn, BLKDEBUG_EVENT_PWRITEV_RMW_AFTER_TAIL);
    }
    return 0;
}

static int check_write(BlockChild *c, int64_t offset, int64_t bytes)
{
    BlockNode *bn = c->node;
    int ret = block_check_range(offset, bytes);

    if (ret < 0) {
        return ret;
    }
    if (bn->read_only || bn->inactive || !(c->perm & (BLOCK_PERM_WRITE | BLOCK_PERM_WRITE_UNCHANGED))) {
        return -EPERM;
    }
    if (!bn->drv->co_pwritev) {
        return -ENOTSUP;
    }
    if (offset + bytes > bn->total_bytes && !(c->perm & BLOCK_PERM_RESIZE)) {
        return -EIO;
    }
    return 0;
}

int coroutine_fn block_co_pwritev(BlockChild *c, int64_t offset, int64_t bytes, IoVector *v,
                                  size_t v_offset, unsigned flags)
{
    BlockNode *bn = c->node;
    BlockRequest req;
    Padding pad;
    int ret;

    ret = check_write(c, offset, bytes);
    if (ret < 0 || bytes == 0) {
        return ret;
    }
    block_node_inc_in_flight(bn);
    if (!padding_init(&pad, bn, offset, bytes)) {
        block_node_dec_in_flight(bn);
        return -ENOMEM;
    }
    block_request_begin(&req, bn, offset - pad.head, pad.head + bytes + pad.tail,
                        BLOCK_TRACK_WRITE);
    if (pad.buf || (flags & BLOCK_REQ_SERIALISING)) {
        block_request_serialise(&req, bn->limits.request_alignment);
    }
    block_request_wait(&req);
    if (pad.buf) {
        trace_block_padded_write(bn, offset, bytes, pad.head, pad.tail);
        padding_build(&pad, v, v_offset, bytes);
        ret = padding_read(&pad, bn, req.offset, req.bytes);
        if (ret == 0) {
            ret = aligned_pwritev(bn, req.offset, req.bytes, &pad.v, 0, flags);
        }
    } else {
        ret = aligned_pwritev(bn, offset, bytes, v, v_offset, flags);
    }
    block_request_end(&req);
    padding_destroy(&pad);
    block_node_dec_in_flight(bn);
    return ret;
}

int coroutine_fn block_co_pwrite(BlockChild *c, int64_t offset, int64_t bytes, const void *buf,
                                 unsigned flags)
{
    IoVector v;

    io_vector_init_buf(&v, (void *)buf, bytes);
    return block_co_pwritev(c, offset, bytes, &v, 0, flags);
}
