/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What filters share: they show the disk of their child bn->file. Opening on the main
 * thread, I/O on the node's loop.
 */
#ifndef BLOCK_FILTERS_FILTER_H
#define BLOCK_FILTERS_FILTER_H

#include "block/block-int.h"

/* Take the child @name (NULL: "file") out of @options as bn->file. */
bool filter_open_child(BlockNode *bn, const char *filename, JsonValue *options, const char *name,
                       Error **errp);
/* What the child can do with a request's flags, this node can. */
void filter_set_flags(BlockNode *bn);
/* Requests are aligned as the child wants them; a driver's refresh_limits. */
void filter_refresh_limits(BlockNode *bn);

/* Pass on. */
int coroutine_fn filter_preadv(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                               size_t v_offset, unsigned flags);
int coroutine_fn filter_pwritev(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                size_t v_offset, unsigned flags);
int coroutine_fn filter_pwrite_zeroes(BlockNode *bn, int64_t offset, int64_t bytes, unsigned flags);
int coroutine_fn filter_pdiscard(BlockNode *bn, int64_t offset, int64_t bytes);

#endif
