/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Filters that jobs put on top of a node for their time: they pass everything
 * on, and are the place where a job hears of the guest's writes or relaxes
 * permissions below. Main thread, except the I/O functions.
 */
#ifndef BLOCK_JOBS_TOP_FILTER_H
#define BLOCK_JOBS_TOP_FILTER_H

#include "block/filters/filter.h"

/*
 * A node of @drv (a filter) above @bn, which takes over all users of @bn. One reference.
 * @name NULL: generated.
 */
BlockNode *top_filter_insert(const BlockDriver *drv, const char *name, BlockNode *bn, Error **errp);
/* The filter's users go to @to (NULL: what it filters); drops the reference. */
bool top_filter_remove(BlockNode *filter, BlockNode *to, Error **errp);

#define TOP_FILTER_HOOKS                                                    \
    .is_filter = true, .co_preadv = filter_preadv

#endif
