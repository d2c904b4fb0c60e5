/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stored bitmaps: what bitmap.c (the disk) offers to bitmap-node.c (the open node). */
#ifndef BLOCK_FORMATS_QCOW2_BITMAP_H
#define BLOCK_FORMATS_QCOW2_BITMAP_H

#include "qcow2.h"

#define QCOW2_BITMAP_MIN_GRANULARITY 9
#define QCOW2_BITMAP_MAX_GRANULARITY 31
#define QCOW2_BITMAP_MAX_COUNT 65535
#define QCOW2_BITMAP_MAX_TABLE_ENTRIES 0x8000000
#define QCOW2_BITMAP_MAX_PHYS_BYTES 0x20000000
#define QCOW2_BITMAP_MAX_DIRECTORY_BYTES (QCOW2_BITMAP_MAX_COUNT * (uint64_t)(24 + 1024 + 8))
#define QCOW2_BITMAP_OFFSET_MASK UINT64_C(0x00fffffffffffe00)
#define QCOW2_BITMAP_TABLE_RESERVED UINT64_C(0xff000000000001fe)
#define QCOW2_BITMAP_ALL_ONES UINT64_C(1)

int coroutine_fn qcow2_bitmap_load_table(BlockNode *bn, const Qcow2BitmapEntry *e,
                                         uint64_t **table);
void coroutine_fn qcow2_bitmap_free_table(BlockNode *bn, const Qcow2BitmapEntry *e);
int coroutine_fn qcow2_bitmap_update_in_place(BlockNode *bn, const GPtrArray *list);
int coroutine_fn qcow2_bitmap_replace_directory(BlockNode *bn, const GPtrArray *list);

#endif
