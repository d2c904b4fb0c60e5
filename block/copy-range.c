/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copying between nodes without buffers of ours. First the source's drivers,
 * from top to bottom, find the file where the data lies; then the destination's
 * find theirs; at the bottom the protocol driver does it. Node's loop.
 */
#include "util/osdep.h"
#include "block/block-int.h"
#include "block/dirty-bitmap.h"

static int check(BlockChild *src, int64_t src_offset, BlockChild *dst, int64_t dst_offset,
                 int64_t bytes)
{
    if (block_check_range(src_offset, bytes) < 0 || block_check_range(dst_offset, bytes) < 0) {
        return -EIO;
    }
    if (dst->node->read_only || dst->node->inactive ||
        !(dst->perm & (BLOCK_PERM_WRITE | BLOCK_PERM_WRITE_UNCHANGED))) {
        return -EPERM;
    }
    if (src_offset + bytes > src->node->total_bytes ||
        dst_offset + bytes > dst->node->total_bytes) {
        return -ENOTSUP;
    }
    return 0;
}

static bool aligned(const BlockNode *bn, int64_t offset, int64_t bytes)
{
    return !((offset | bytes) & (bn->limits.request_alignment - 1));
}

int coroutine_fn block_co_copy_range_from(BlockChild *src, int64_t src_offset, BlockChild *dst,
                                          int64_t dst_offset, int64_t bytes, unsigned read_flags,
                                          unsigned write_flags)
{
    BlockNode *bn = src->node;
    BlockRequest req;
    int ret;

    if (!bn->drv->co_copy_range_from || !aligned(bn, src_offset, bytes)) {
        return -ENOTSUP;
    }
    ret = check(src, src_offset, dst, dst_offset, bytes);
    if (ret < 0 || bytes == 0) {
        return ret;
    }
    block_node_inc_in_flight(bn);
    block_request_begin(&req, bn, src_offset, bytes, BLOCK_TRACK_READ);
    block_request_wait(&req);
    ret = bn->drv->co_copy_range_from(bn, src, src_offset, dst, dst_offset, bytes, read_flags,
                                      write_flags);
    block_request_end(&req);
    block_node_dec_in_flight(bn);
    return ret;
}

int coroutine_fn block_co_copy_range_to(BlockChild *src, int64_t src_offset, BlockChild *dst,
                                        int64_t dst_offset, int64_t bytes, unsigned read_flags,
                                        unsigned write_flags)
{
    BlockNode *bn = dst->node;
    BlockRequest req;
    int ret;

    if (!bn->drv->co_copy_range_to || !aligned(bn, dst_offset, bytes)) {
        return -ENOTSUP;
    }
    ret = check(src, src_offset, dst, dst_offset, bytes);
    if (ret < 0 || bytes == 0) {
        return ret;
    }
    block_node_inc_in_flight(bn);
    block_request_begin(&req, bn, dst_offset, bytes, BLOCK_TRACK_WRITE);
    if (write_flags & BLOCK_REQ_SERIALISING) {
        block_request_serialise(&req, bn->limits.request_alignment);
    }
    block_request_wait(&req);
    block_write_prepare(bn, dst_offset, bytes);
    ret = bn->drv->co_copy_range_to(bn, src, src_offset, dst, dst_offset, bytes, read_flags,
                                    write_flags);
    if (ret != -ENOTSUP) {
        block_write_finish(bn, dst_offset, bytes, ret);
    }
    if (ret == 0 && (write_flags & BLOCK_REQ_FUA)) {
        ret = block_co_flush(bn);
    }
    block_request_end(&req);
    block_node_dec_in_flight(bn);
    return ret;
}

int coroutine_fn block_co_copy_range(BlockChild *src, int64_t src_offset, BlockChild *dst,
                                     int64_t dst_offset, int64_t bytes, unsigned read_flags,
                                     unsigned write_flags)
{
    return block_co_copy_range_from(src, src_offset, dst, dst_offset, bytes, read_flags,
                                    write_flags);
}
