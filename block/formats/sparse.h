/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What read-only formats share that map the disk to a file in units of one
 * size: the driver says where a unit is, and reads and block status follow from
 * that.
 */
#ifndef BLOCK_FORMATS_SPARSE_H
#define BLOCK_FORMATS_SPARSE_H

#include "../block-int.h"
#include "block/image.h"

typedef enum SparseKind {
    SPARSE_NONE,        /* the backing node's content, or zeroes */
    SPARSE_ZERO,
    SPARSE_DATA,        /* at @offset of @child */
    SPARSE_PACKED,      /* @packed_bytes at @offset of @child, which the driver unpacks */
} SparseKind;

typedef struct SparseUnit {
    SparseKind kind;
    BlockChild *child;
    int64_t offset;
    uint32_t packed_bytes;
    bool may_be_hole;   /* the data, in the file */
} SparseUnit;

/* What a driver's state begins with. */
typedef struct SparseState {
    uint32_t unit_size;             /* power of two */
    int64_t disk_bytes;
    bool none_is_zero;              /* without a backing file: SPARSE_NONE is shown as allocated */
    /* Where unit @index is; 0 or -errno. Node's loop. */
    int coroutine_fn (*lookup)(BlockNode *bn, uint64_t index, SparseUnit *unit);
    /* One packed unit to unit_size bytes; on a worker thread. 0 or -errno. */
    int (*unpack)(const uint8_t *in, size_t in_bytes, uint8_t *out, size_t out_bytes);
    CoMutex lock;                   /* of the driver's table cache */
    uint8_t *unpacked;              /* the last one */
    uint64_t unpacked_index;
} SparseState;

/* Sets the driver's common parts up; checks the sizes. */
bool sparse_init(BlockNode *bn, uint32_t unit_size, uint64_t disk_bytes, Error **errp);
void sparse_close(BlockNode *bn);
/* The file as the format's only child, for reading; refuses to be opened for writing. */
bool sparse_open_file(BlockNode *bn, JsonValue *options, Error **errp);
/* A table of @bytes at @offset, limited to @max; NULL with an error. */
void *sparse_read_table(BlockNode *bn, int64_t offset, uint64_t bytes, uint64_t max,
                        const char *what, Error **errp);
/* A backing file's name of @bytes at @offset; NULL with an error. */
char *sparse_read_name(BlockNode *bn, int64_t offset, uint64_t bytes, Error **errp);
/* A unit's data must lie in the file, at least its first byte. */
int sparse_data(BlockNode *bn, int64_t offset, SparseUnit *unit);

int coroutine_fn sparse_co_preadv(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                  size_t v_offset, unsigned flags);
int coroutine_fn sparse_co_block_status(BlockNode *bn, bool want_zero, int64_t offset,
                                        int64_t bytes, int64_t *pnum, int64_t *map,
                                        BlockNode **file);
int64_t sparse_length(BlockNode *bn);
int sparse_image_info(BlockNode *bn, BlockImageInfo *info);
void sparse_refresh_limits(BlockNode *bn);

/* Raw deflate of @window_bits, for unpack functions; all of @out must come. */
int sparse_inflate(const uint8_t *in, size_t in_bytes, uint8_t *out, size_t out_bytes,
                   int window_bits);

/* Members of a driver that are these functions. */
#define SPARSE_DRIVER_MEMBERS                                               \
    .length = sparse_length,                                                \
    .co_preadv = sparse_co_preadv,                                          \
    .co_block_status = sparse_co_block_status,                              \
    .refresh_limits = sparse_refresh_limits

#endif
