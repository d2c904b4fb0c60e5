/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copying between images without buffers: qcow2 as source and as destination of
 * a copy that ends in the files below. Coroutines on the node's loop.
 */
#include "util/osdep.h"
#include "qcow2.h"

/* One extent of the source. */
static int coroutine_fn copy_extent(BlockNode *bn, const Qcow2Extent *x, int64_t src_offset,
                                    BlockChild *dst, int64_t dst_offset, unsigned read_flags,
                                    unsigned write_flags)
{
    Qcow2State *s = qcow2_state(bn);
    int64_t inside;
    int ret;

    switch (x->type) {
    case QCOW2_NORMAL:
        return block_co_copy_range_from(s->data_file, x->host, dst, dst_offset, x->bytes,
                                        read_flags, write_flags);
    case QCOW2_COMPRESSED:
        return -ENOTSUP;
    case QCOW2_UNALLOCATED_PLAIN:
    case QCOW2_UNALLOCATED_ALLOC:
        inside = bn->backing && src_offset < bn->backing->node->total_bytes ?
                     MIN(x->bytes, bn->backing->node->total_bytes - src_offset) : 0;
        if (inside) {
            ret = block_co_copy_range_from(bn->backing, src_offset, dst, dst_offset, inside,
                                           read_flags, write_flags);
            if (ret < 0 || inside == x->bytes) {
                return ret;
            }
        }
        return block_co_pwrite_zeroes(dst, dst_offset + inside, x->bytes - inside, write_flags);
    default:
        return block_co_pwrite_zeroes(dst, dst_offset, x->bytes, write_flags);
    }
}

int coroutine_fn qcow2_co_copy_range_from(BlockNode *bn, BlockChild *src, int64_t src_offset,
                                          BlockChild *dst, int64_t dst_offset, int64_t bytes,
                                          unsigned read_flags, unsigned write_flags)
{
    Qcow2State *s = qcow2_state(bn);
    int ret = 0;

    if (s->crypto) {
        return -ENOTSUP;
    }
    while (bytes > 0 && ret == 0) {
        Qcow2Extent x;
        unsigned group;

        co_mutex_lock(&s->lock);
        ret = s->dead ? -ENOMEDIUM : qcow2_map(bn, src_offset, bytes, &x);
        qcow2_io_begin(s, &group);
        co_mutex_unlock(&s->lock);
        if (ret == 0) {
            ret = copy_extent(bn, &x, src_offset, dst, dst_offset, read_flags, write_flags);
        }
        qcow2_io_end(s, group);
        src_offset += x.bytes;
        dst_offset += x.bytes;
        bytes -= x.bytes;
    }
    return ret;
}

/* A place at @dst_offset for @*bytes, copied to and made visible. */
static int coroutine_fn copy_to_part(BlockNode *bn, BlockChild *src, int64_t src_offset,
                                     int64_t dst_offset, int64_t *bytes, unsigned read_flags,
                                     unsigned write_flags)
{
    Qcow2State *s = qcow2_state(bn);
    Qcow2Alloc *a = NULL;
    uint64_t host;
    unsigned group;
    int ret;

    co_mutex_lock(&s->lock);
    ret = s->dead ? -ENOMEDIUM : qcow2_alloc_write(bn, dst_offset, bytes, &host, &a);
    if (ret == 0) {
        ret = qcow2_check_overlap(bn, 0, host, *bytes, true);
    }
    qcow2_io_begin(s, &group);
    co_mutex_unlock(&s->lock);
    if (ret == 0 && a && (a->cow_start < a->data_start || a->cow_end > a->data_end)) {
        ret = -ENOTSUP;         /* parts of clusters go by way of buffers */
    }
    if (ret == 0) {
        ret = block_co_copy_range_to(src, src_offset, s->data_file, host, *bytes, read_flags,
                                     write_flags);
    }
    qcow2_io_end(s, group);
    if (a) {
        co_mutex_lock(&s->lock);
        if (ret == 0) {
            ret = qcow2_alloc_link(bn, a);
        } else {
            qcow2_alloc_abort(bn, a);
        }
        co_mutex_unlock(&s->lock);
    }
    return ret;
}

int coroutine_fn qcow2_co_copy_range_to(BlockNode *bn, BlockChild *src, int64_t src_offset,
                                        BlockChild *dst, int64_t dst_offset, int64_t bytes,
                                        unsigned read_flags, unsigned write_flags)
{
    int ret = 0;

    if (qcow2_state(bn)->crypto) {
        return -ENOTSUP;
    }
    while (bytes > 0 && ret == 0) {
        int64_t n = bytes;

        ret = copy_to_part(bn, src, src_offset, dst_offset, &n, read_flags, write_flags);
        src_offset += n;
        dst_offset += n;
        bytes -= n;
    }
    return ret;
}
