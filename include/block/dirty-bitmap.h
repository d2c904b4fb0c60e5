/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dirty bitmaps: which parts of a node were written since some point. Named
 * ones belong to management (block-dirty-bitmap-*, persistent in qcow2), nameless
 * ones to jobs. Marking happens on the node's loop in the write path, reading
 * anywhere: each bitmap has a lock of its own. Granularity is a power of two,
 * 512 bytes to 2 GiB.
 */
#ifndef BLOCK_DIRTY_BITMAP_H
#define BLOCK_DIRTY_BITMAP_H

#include "block/block.h"

typedef struct DirtyBitmap DirtyBitmap;

enum { DIRTY_BITMAP_BUSY = 1, DIRTY_BITMAP_READONLY = 2, DIRTY_BITMAP_INCONSISTENT = 4,
       DIRTY_BITMAP_ALLOW_READONLY = DIRTY_BITMAP_BUSY | DIRTY_BITMAP_INCONSISTENT,
       DIRTY_BITMAP_ANY_STATE = 7 };

/* Main thread. @name NULL: for a job. All bits clear, enabled. */
DirtyBitmap *dirty_bitmap_new(BlockNode *bn, uint32_t granularity, const char *name, Error **errp);
void dirty_bitmap_free(DirtyBitmap *b);
DirtyBitmap *dirty_bitmap_find(BlockNode *bn, const char *name);
DirtyBitmap *dirty_bitmap_next(BlockNode *bn, DirtyBitmap *b);  /* NULL: the first */
/* Refuse states in @refuse with the error that management knows. */
bool dirty_bitmap_check(DirtyBitmap *b, unsigned refuse, Error **errp);
uint32_t dirty_bitmap_default_granularity(BlockNode *bn);

const char *dirty_bitmap_name(const DirtyBitmap *b);
BlockNode *dirty_bitmap_node(const DirtyBitmap *b);
uint32_t dirty_bitmap_granularity(const DirtyBitmap *b);
int64_t dirty_bitmap_size(const DirtyBitmap *b);        /* bytes of disk that it covers */
bool dirty_bitmap_enabled(const DirtyBitmap *b);
void dirty_bitmap_set_enabled(DirtyBitmap *b, bool on);
bool dirty_bitmap_persistent(const DirtyBitmap *b);
void dirty_bitmap_set_persistent(DirtyBitmap *b, bool on);
bool dirty_bitmap_busy(const DirtyBitmap *b);
void dirty_bitmap_set_busy(DirtyBitmap *b, bool on);
bool dirty_bitmap_readonly(const DirtyBitmap *b);
void dirty_bitmap_set_readonly(DirtyBitmap *b, bool on);
bool dirty_bitmap_inconsistent(const DirtyBitmap *b);
void dirty_bitmap_set_inconsistent(DirtyBitmap *b);     /* content is void from here on */

/* Any thread. */
bool dirty_bitmap_get(DirtyBitmap *b, int64_t offset);
int64_t dirty_bitmap_count(DirtyBitmap *b);             /* dirty bytes */
void dirty_bitmap_set(DirtyBitmap *b, int64_t offset, int64_t bytes);
void dirty_bitmap_reset(DirtyBitmap *b, int64_t offset, int64_t bytes); /* whole granules inside */
/* First dirty (clear) byte at or after @offset and before @offset + @bytes; -1: none. */
int64_t dirty_bitmap_next_dirty(DirtyBitmap *b, int64_t offset, int64_t bytes);
int64_t dirty_bitmap_next_clear(DirtyBitmap *b, int64_t offset, int64_t bytes);
/* The first dirty area within [start, end), at most @max bytes. */
bool dirty_bitmap_next_area(DirtyBitmap *b, int64_t start, int64_t end, int64_t max,
                            int64_t *area_start, int64_t *area_bytes);
/*
 * Clear all; what was set goes to *@backup (may be NULL), which dirty_bitmap_restore() takes
 * back (adds) and dirty_bitmap_backup_free() drops.
 */
typedef struct DirtyBitmapBackup DirtyBitmapBackup;
void dirty_bitmap_clear(DirtyBitmap *b, DirtyBitmapBackup **backup);
void dirty_bitmap_restore(DirtyBitmap *b, DirtyBitmapBackup *backup);
void dirty_bitmap_backup_free(DirtyBitmapBackup *backup);
/* Granularities may differ. */
bool dirty_bitmap_merge(DirtyBitmap *dst, const DirtyBitmap *src, Error **errp);
/* One bit a granule, little endian, for storing: bytes for a range, and both directions. */
uint64_t dirty_bitmap_serial_size(const DirtyBitmap *b, int64_t offset, int64_t bytes);
void dirty_bitmap_serialize(DirtyBitmap *b, uint8_t *buf, int64_t offset, int64_t bytes);
void dirty_bitmap_deserialize(DirtyBitmap *b, const uint8_t *buf, int64_t offset, int64_t bytes);

/* For the write path and for resizes, on the node's loop or drained. */
void dirty_bitmap_mark_node(BlockNode *bn, int64_t offset, int64_t bytes);
void dirty_bitmap_resize_node(BlockNode *bn, int64_t bytes);
/* The node goes away; named bitmaps that were to be stored are stored before. */
void dirty_bitmap_free_node(BlockNode *bn);
BlockDirtyInfoList *dirty_bitmap_query(BlockNode *bn);

#endif
