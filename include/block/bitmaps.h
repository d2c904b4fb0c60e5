/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dirty bitmaps as management changes them (block-dirty-bitmap-*, qemu-img
 * bitmap): with all checks, and with what the image stores. Main thread, outside
 * coroutines.
 */
#ifndef BLOCK_BITMAPS_H
#define BLOCK_BITMAPS_H

#include "block/dirty-bitmap.h"

/* @granularity 0: the node's default. */
DirtyBitmap *block_bitmap_add(BlockNode *bn, const char *name, uint32_t granularity,
                              bool persistent, bool disabled, Error **errp);
/* Also from the image. */
bool block_bitmap_remove(BlockNode *bn, const char *name, Error **errp);
/* What it held goes to *@backup, which may be NULL. */
bool block_bitmap_clear(BlockNode *bn, const char *name, DirtyBitmapBackup **backup, Error **errp);
bool block_bitmap_set_enabled(BlockNode *bn, const char *name, bool on, Error **errp);
bool block_bitmap_merge(BlockNode *bn, const char *name, BlockNode *from, const char *source,
                        Error **errp);

#endif
