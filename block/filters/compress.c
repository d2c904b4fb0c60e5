/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The filter "compress": every write becomes a compressed one. Requests are
 * made whole clusters (the block layer reads what is missing). Node's loop.
 */
#include "util/osdep.h"
#include "block/filters/filter.h"
#include "block/image.h"

static bool compress_open(BlockNode *bn, JsonValue *options, Error **errp)
{
    BlockImageInfo info;

    if (!filter_open_child(bn, NULL, options, NULL, errp)) {
        return false;
    }
    if (!block_skip_filters(bn->file->node)->drv->co_pwritev_compressed ||
        block_image_info(bn->file->node, &info) < 0) {
        error_setg(errp, "Compression is not supported for underlying format: %s",
                   bn->file->node->drv->name);
        return false;
    }
    bn->supported_write_flags = 0;
    return true;
}

static int coroutine_fn compress_pwritev(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                         size_t v_offset, unsigned flags)
{
    return block_co_pwritev(bn->file, offset, bytes, v, v_offset,
                            flags | BLOCK_REQ_WRITE_COMPRESSED);
}

static void compress_limits(BlockNode *bn)
{
    BlockImageInfo info;

    bn->limits.request_alignment = bn->file->node->limits.request_alignment;
    if (block_image_info(bn->file->node, &info) >= 0 && info.cluster_size) {
        bn->limits.request_alignment = info.cluster_size;
    }
}

BLOCK_DRIVER(compress_driver) = {
    .name = "compress",
    .is_filter = true,
    .open = compress_open,
    .co_preadv = filter_preadv,
    .co_pwritev = compress_pwritev,
    .co_pwrite_zeroes = filter_pwrite_zeroes,
    .co_pdiscard = filter_pdiscard,
    .refresh_limits = compress_limits,
};
