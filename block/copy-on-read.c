/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copy on read: a read that comes from the backing chain leaves its data in
 * the node, in whole clusters. The caller (io.c) serialises the request over
 * those clusters, so that no write of a guest gets lost in between. On the node's
 * loop, as part of a tracked request.
 */
#include "util/osdep.h"
#include "block/block-int.h"
#include "block/image.h"

/* So that one bounce buffer serves any request. */
#define COPY_MAX_BYTES (2 * 1024 * 1024)

uint64_t block_copy_on_read_align(BlockNode *bn)
{
    BlockImageInfo info = { 0 };
    uint64_t align = bn->limits.request_alignment;

    if (block_image_info(bn, &info) == 0 && info.cluster_size) {
        align = MAX(align, info.subcluster_size ? info.subcluster_size : info.cluster_size);
    }
    return align;
}

static int coroutine_fn store(BlockNode *bn, int64_t offset, int64_t bytes, void *buf)
{
    IoVector v;

    block_co_own_debug_event(bn, BLKDEBUG_EVENT_COR_WRITE);
    if (buffer_is_zero(buf, bytes)) {
        return block_do_pwrite_zeroes(bn, offset, bytes, BLOCK_REQ_WRITE_UNCHANGED);
    }
    io_vector_init_buf(&v, buf, bytes);
    return bn->drv->co_pwritev(bn, offset, bytes, &v, 0, 0);
}

int coroutine_fn block_co_copy_on_read(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                       size_t v_offset, unsigned flags)
{
    int64_t align = block_copy_on_read_align(bn);
    int64_t pos = ROUND_DOWN(offset, align);
    int64_t end = MIN(ROUND_UP(offset + bytes, align), bn->total_bytes);
    uint8_t *bounce = NULL;
    int ret = 0;

    while (pos < end && ret >= 0) {
        int64_t from = MAX(pos, offset), n;
        IoVector piece;

        ret = block_co_is_allocated_above(bn, bn, true, pos, MIN(end - pos, COPY_MAX_BYTES), &n);
        if (ret < 0) {
            break;
        }
        assert(n > 0);
        if (!bounce) {
            bounce = block_buffer_alloc(bn, MIN(end - pos, COPY_MAX_BYTES));
            if (!bounce) {
                return -ENOMEM;
            }
        }
        if (ret == 0 || !(flags & BLOCK_REQ_PREFETCH)) {
            bool copy = ret == 0;

            io_vector_init_buf(&piece, bounce, n);
            ret = bn->drv->co_preadv(bn, pos, n, &piece, 0, 0);
            if (ret >= 0 && copy) {
                ret = store(bn, pos, n, bounce);
                bn->write_gen++;
            }
        }
        if (ret >= 0 && !(flags & BLOCK_REQ_PREFETCH) && pos + n > offset) {
            int64_t len = MIN(pos + n, offset + bytes) - from;

            if (len > 0) {
                iov_from_buf(v->iov, v->cnt, v_offset + (from - offset), bounce + (from - pos),
                             len);
            }
        }
        pos += n;
    }
    block_buffer_free(bounce);
    if (ret >= 0 && !(flags & BLOCK_REQ_PREFETCH) && offset + bytes > end) {
        int64_t inside = MAX(end - offset, 0);

        iov_memset(v->iov, v->cnt, v_offset + inside, 0, bytes - inside);
    }
    return MIN(ret, 0);
}
