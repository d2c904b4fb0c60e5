/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Filters that jobs put on top of a node for their time: they pass everything
 * on, and are the place where a job hears of the guest's writes or relaxes
 * permissions below. Main thread, except the I/O functions.
 */
#ifndef BLOCK_JOBS_TOP_FILTER_H
#define BLOCK_JOBS_TOP_FILTER_H

#include "block/block-int.h"

/*
 * A node of @drv (a filter) above @bn, which takes over all users of @bn. One reference.
 * @name NULL: generated.
 */
BlockNode *top_filter_insert(const BlockDriver *drv, const char *name, BlockNode *bn, Error **errp);
/* The filter's users go to @to (NULL: what it filters); drops the reference. */
bool top_filter_remove(BlockNode *filter, BlockNode *to, Error **errp);

/* The hooks of a filter that only passes on to its child "file". */
int coroutine_fn top_filter_preadv(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                   size_t v_offset, unsigned flags);
int coroutine_fn top_filter_pwritev(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                    size_t v_offset, unsigned flags);
int coroutine_fn top_filter_pwrite_zeroes(BlockNode *bn, int64_t offset, int64_t bytes,
                                          unsigned flags);
int coroutine_fn top_filter_pdiscard(BlockNode *bn, int64_t offset, int64_t bytes);
int coroutine_fn top_filter_block_status(BlockNode *bn, bool want_zero, int64_t offset,
                                         int64_t bytes, int64_t *pnum, int64_t *map,
                                         BlockNode **file);

#define TOP_FILTER_HOOKS                                                    \
    .is_filter = true, .co_preadv = top_filter_preadv,                      \
    .co_block_status = top_filter_block_status

#endif
