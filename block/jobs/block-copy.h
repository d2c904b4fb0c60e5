/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copying a frozen moment of one node to another, in clusters: backup's engine,
 * shared between the job and the filter that saves what the guest is about to
 * overwrite. A bitmap says what is still to be copied; each cluster is copied once.
 * Coroutines on the nodes' loop, except new and free.
 */
#ifndef BLOCK_JOBS_BLOCK_COPY_H
#define BLOCK_JOBS_BLOCK_COPY_H

#include "block/dirty-bitmap.h"

typedef struct BlockCopy BlockCopy;

/* Edges stay the caller's; everything is to be copied. Main thread. */
BlockCopy *block_copy_new(BlockChild *source, BlockChild *target, Error **errp);
void block_copy_free(BlockCopy *bc);
int64_t block_copy_cluster_size(const BlockCopy *bc);
void block_copy_set_compress(BlockCopy *bc, bool compress);
/* What is still to be copied; for setting up and looking. */
DirtyBitmap *block_copy_todo(BlockCopy *bc);

/*
 * Return when nothing of the range is left to copy or under way: 0, or the first error and whose
 * it was (*@is_read); what failed is still to be copied.
 */
int coroutine_fn block_copy(BlockCopy *bc, int64_t offset, int64_t bytes, bool *is_read);
/* Wait until no copying of the range is under way. */
void coroutine_fn block_copy_wait(BlockCopy *bc, int64_t offset, int64_t bytes);

#endif
