/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Filters that jobs put on top of a node; see top-filter.h. */
#include "util/osdep.h"
#include "block/image.h"
#include "block/jobs/top-filter.h"

BlockNode *top_filter_insert(const BlockDriver *drv, const char *name, BlockNode *bn, Error **errp)
{
    BlockNode *filter = block_node_new(drv, name, errp);

    if (!filter) {
        return NULL;
    }
    filter->implicit = !name;
    filter->open_flags = bn->open_flags;
    filter->read_only = bn->read_only;
    filter->total_bytes = bn->total_bytes;
    filter->options = json_object();
    filter->file = block_child_attach(filter, bn, "file",
                                      BLOCK_ROLE_FILTERED | BLOCK_ROLE_PRIMARY, errp);
    if (!filter->file) {
        goto undo;
    }
    filter->supported_write_flags = BLOCK_REQ_FUA & bn->supported_write_flags;
    filter->supported_zero_flags =
        (BLOCK_REQ_FUA | BLOCK_REQ_MAY_UNMAP | BLOCK_REQ_NO_FALLBACK) & bn->supported_zero_flags;
    block_node_refresh_limits(filter);
    block_node_refresh_filename(filter);
    if (!block_replace_node(bn, filter, errp)) {
        goto undo;
    }
    return filter;

undo:
    block_node_unref(filter);
    return NULL;
}

bool top_filter_remove(BlockNode *filter, BlockNode *to, Error **errp)
{
    bool ok = block_replace_node(filter, to ? to : filter->file->node, errp);

    block_node_unref(filter);
    return ok;
}

int coroutine_fn top_filter_preadv(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                   size_t v_offset, unsigned flags)
{
    return block_co_preadv(bn->file, offset, bytes, v, v_offset, flags);
}

int coroutine_fn top_filter_pwritev(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                    size_t v_offset, unsigned flags)
{
    return block_co_pwritev(bn->file, offset, bytes, v, v_offset, flags);
}

int coroutine_fn top_filter_pwrite_zeroes(BlockNode *bn, int64_t offset, int64_t bytes,
                                          unsigned flags)
{
    return block_co_pwrite_zeroes(bn->file, offset, bytes, flags);
}

int coroutine_fn top_filter_pdiscard(BlockNode *bn, int64_t offset, int64_t bytes)
{
    return block_co_pdiscard(bn->file, offset, bytes);
}

int coroutine_fn top_filter_block_status(BlockNode *bn, bool want_zero, int64_t offset,
                                         int64_t bytes, int64_t *pnum, int64_t *map,
                                         BlockNode **file)
{
    *pnum = bytes;
    *map = offset;
    *file = bn->file->node;
    return BLOCK_STATUS_OFFSET_VALID | BLOCK_STATUS_RAW;
}
