/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the backup job and snapshot-access use of the copy-before-write filter. */
#ifndef BLOCK_FILTERS_COPY_BEFORE_WRITE_H
#define BLOCK_FILTERS_COPY_BEFORE_WRITE_H

#include "block/block-int.h"
#include "block/jobs/block-copy.h"

bool cbw_is_filter(const BlockNode *bn);
BlockCopy *cbw_block_copy(BlockNode *bn);
/* The content of the moment when the filter was made; -EACCES where it is not known (any more). */
int coroutine_fn cbw_snapshot_preadv(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                     size_t v_offset);
int coroutine_fn cbw_snapshot_status(BlockNode *bn, bool want_zero, int64_t offset, int64_t bytes,
                                     int64_t *pnum, int64_t *map, BlockNode **file);

#endif
