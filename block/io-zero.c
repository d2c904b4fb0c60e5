/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writing zeroes and discarding: split by the driver's limits and alignment,
 * with a fallback to writing buffers of zeroes. Coroutines on the node's loop.
 */
#include "util/osdep.h"
#include "block/block-int.h"
#include "block/dirty-bitmap.h"

#define ZERO_BUFFER_SIZE (1 * MIB)

/* Bytes of the next piece: up to the next boundary of @align, then whole units of at most @max. */
static int64_t next_piece(int64_t offset, int64_t bytes, int64_t align, int64_t max)
{
    int64_t head = offset % align;

    if (head) {
        bytes = MIN(bytes, align - head);
    } else if (bytes > align) {
        bytes -= bytes % align;
    }
    max = max ? MAX(max - max % align, align) : 0;
    return max ? MIN(bytes, max) : bytes;
}

static int coroutine_fn write_zero_buffers(BlockNode *bn, int64_t offset, int64_t bytes,
                                           unsigned flags)
{
    int64_t max = MIN(bytes, (int64_t)ZERO_BUFFER_SIZE);
    IoVector v;
    void *buf;
    int ret = 0;

    if (bn->limits.max_transfer) {
        max = MIN(max, bn->limits.max_transfer);
    }
    max = MAX(ROUND_DOWN(max, (int64_t)bn->limits.request_alignment), bn->limits.request_alignment);
    buf = block_buffer_alloc(bn, max);
    if (!buf) {
        return -ENOMEM;
    }
    memset(buf, 0, max);
    while (bytes > 0 && ret == 0) {
        int64_t n = MIN(bytes, max);

        io_vector_init_buf(&v, buf, n);
        ret = bn->drv->co_pwritev(bn, offset, n, &v, 0, flags & bn->supported_write_flags);
        offset += n;
        bytes -= n;
    }
    block_buffer_free(buf);
    if (ret == 0 && (flags & BLOCK_REQ_FUA) && (bn->supported_zero_flags & BLOCK_REQ_FUA) &&
        !(bn->supported_write_flags & BLOCK_REQ_FUA)) {
        ret = block_co_flush(bn);
    }
    return ret;
}

/* Aligned to the request alignment, range checked, tracked by the caller. */
int coroutine_fn block_do_pwrite_zeroes(BlockNode *bn, int64_t offset, int64_t bytes,
                                        unsigned flags)
{
    int64_t align = MAX(bn->limits.write_zeroes_alignment, bn->limits.request_alignment);
    int ret = 0;

    if ((flags & BLOCK_REQ_MAY_UNMAP) && !(bn->open_flags & BLOCK_OPEN_UNMAP)) {
        flags &= ~BLOCK_REQ_MAY_UNMAP;
    }
    while (bytes > 0 && ret == 0) {
        int64_t n = next_piece(offset, bytes, align, bn->limits.max_write_zeroes);

        ret = bn->drv->co_pwrite_zeroes ?
            bn->drv->co_pwrite_zeroes(bn, offset, n, flags & bn->supported_zero_flags) : -ENOTSUP;
        if (ret == -ENOTSUP && !(flags & BLOCK_REQ_NO_FALLBACK)) {
            ret = write_zero_buffers(bn, offset, n, flags);
        }
        offset += n;
        bytes -= n;
    }
    return ret;
}

/* Zero part of one alignment unit: an ordinary small write. */
static int coroutine_fn zero_part(BlockChild *c, int64_t offset, int64_t bytes, unsigned flags)
{
    g_autofree uint8_t *buf = g_try_malloc0(bytes);

    return buf ? block_co_pwrite(c, offset, bytes, buf, flags & BLOCK_REQ_FUA) : -ENOMEM;
}

static int coroutine_fn zero_aligned(BlockNode *bn, int64_t offset, int64_t bytes, unsigned flags)
{
    BlockRequest req;
    int ret;

    block_node_inc_in_flight(bn);
    block_request_begin(&req, bn, offset, bytes, BLOCK_TRACK_WRITE);
    if (flags & BLOCK_REQ_SERIALISING) {
        block_request_serialise(&req, bn->limits.request_alignment);
    }
    block_request_wait(&req);
    block_write_prepare(bn, offset, bytes);
    block_co_own_debug_event(bn, BLKDEBUG_EVENT_PWRITEV_ZERO);
    ret = block_do_pwrite_zeroes(bn, offset, bytes, flags);
    block_co_own_debug_event(bn, BLKDEBUG_EVENT_PWRITEV_DONE);
    block_write_finish(bn, offset, bytes, ret);
    if (ret == 0 && (flags & BLOCK_REQ_FUA & ~bn->supported_zero_flags)) {
        ret = block_co_flush(bn);
    }
    block_request_end(&req);
    block_node_dec_in_flight(bn);
    return ret;
}

int coroutine_fn block_co_pwrite_zeroes(BlockChild *c, int64_t offset, int64_t bytes,
                                        unsigned flags)
{
    BlockNode *bn = c->node;
    int64_t align = bn->limits.request_alignment;
    int64_t head, body;
    int ret;

    ret = block_check_range(offset, bytes);
    if (ret < 0 || bytes == 0) {
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
    head = MIN(bytes, (align - offset % align) % align);
    if (head) {
        ret = zero_part(c, offset, head, flags);
    }
    offset += head;
    bytes -= head;
    body = bytes - bytes % align;
    if (ret == 0 && body) {
        ret = zero_aligned(bn, offset, body, flags);
    }
    if (ret == 0 && bytes > body) {
        ret = zero_part(c, offset + body, bytes - body, flags);
    }
    return ret;
}

/* ---- discard ---- */

static int coroutine_fn do_discard(BlockNode *bn, int64_t offset, int64_t bytes)
{
    int64_t align = MAX(bn->limits.discard_alignment, bn->limits.request_alignment);
    int64_t head = (align - offset % align) % align;
    int64_t end = offset + bytes;
    int ret = 0;

    /* It is only advice: what is smaller than a unit stays as it is. */
    offset += head;
    end -= end % align;
    while (offset < end && ret == 0) {
        int64_t n = next_piece(offset, end - offset, align, bn->limits.max_discard);

        ret = bn->drv->co_pdiscard(bn, offset, n);
        offset += n;
    }
    return ret == -ENOTSUP ? 0 : ret;
}

int coroutine_fn block_co_pdiscard(BlockChild *c, int64_t offset, int64_t bytes)
{
    BlockNode *bn = c->node;
    BlockRequest req;
    int ret;

    ret = block_check_range(offset, bytes);
    if (ret < 0 || bytes == 0) {
        return ret;
    }
    if (bn->read_only || bn->inactive || !(c->perm & (BLOCK_PERM_WRITE | BLOCK_PERM_WRITE_UNCHANGED))) {
        return -EPERM;
    }
    if (!(bn->open_flags & BLOCK_OPEN_UNMAP) || !bn->drv->co_pdiscard) {
        return 0;
    }
    block_node_inc_in_flight(bn);
    block_request_begin(&req, bn, offset, bytes, BLOCK_TRACK_DISCARD);
    block_request_wait(&req);
    ret = do_discard(bn, offset, bytes);
    bn->write_gen++;
    if (bn->dirty_bitmaps) {
        dirty_bitmap_mark_node(bn, offset, bytes);
    }
    block_request_end(&req);
    block_node_dec_in_flight(bn);
    return ret;
}
