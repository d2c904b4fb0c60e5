/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What filters share; see filter.h. */
#include "util/osdep.h"
#include "block/filters/filter.h"

bool filter_open_child(BlockNode *bn, const char *filename, JsonValue *options, const char *name,
                       Error **errp)
{
    BlockChild *c = block_child_open(bn, filename, options, name ? name : "file",
                                     BLOCK_ROLE_FILTERED | BLOCK_ROLE_PRIMARY, false, errp);

    if (!c) {
        return false;
    }
    bn->file = c;
    filter_set_flags(bn);
    return true;
}

void filter_set_flags(BlockNode *bn)
{
    const BlockNode *below = bn->file->node;

    bn->supported_write_flags = BLOCK_REQ_FUA & below->supported_write_flags;
    bn->supported_zero_flags = (BLOCK_REQ_FUA | BLOCK_REQ_MAY_UNMAP | BLOCK_REQ_NO_FALLBACK) &
                               below->supported_zero_flags;
}

void filter_refresh_limits(BlockNode *bn)
{
    bn->limits.request_alignment = bn->file->node->limits.request_alignment;
}

int coroutine_fn filter_preadv(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                               size_t v_offset, unsigned flags)
{
    return block_co_preadv(bn->file, offset, bytes, v, v_offset, flags);
}

int coroutine_fn filter_pwritev(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                size_t v_offset, unsigned flags)
{
    return block_co_pwritev(bn->file, offset, bytes, v, v_offset, flags);
}

int coroutine_fn filter_pwrite_zeroes(BlockNode *bn, int64_t offset, int64_t bytes, unsigned flags)
{
    return block_co_pwrite_zeroes(bn->file, offset, bytes, flags);
}

int coroutine_fn filter_pdiscard(BlockNode *bn, int64_t offset, int64_t bytes)
{
    return block_co_pdiscard(bn->file, offset, bytes);
}
