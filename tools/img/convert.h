/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The copying engine behind qemu-img convert. Main thread; its work is coroutines of the main loop. */
#ifndef TOOLS_IMG_CONVERT_H
#define TOOLS_IMG_CONVERT_H

#include "img.h"

#define COPY_MAX_COROUTINES 16

typedef struct CopySource {
    BlockBackend *blk;
    int64_t start, size;            /* place in the concatenation */
} CopySource;

typedef enum CopyKind { COPY_DATA, COPY_ZERO, COPY_BACKING } CopyKind;

typedef struct Copy {
    /* What to do. */
    CopySource *sources;
    unsigned source_count;
    BlockBackend *target;
    int64_t total;                  /* bytes, the sum of the sources */
    int64_t min_sparse;             /* 0: write zeroes as data too */
    int64_t sparse_unit;            /* power of two */
    int64_t cluster;                /* compressed: bytes of one write */
    int64_t rate;                   /* bytes a second, 0: no limit */
    bool compressed, in_order, copy_range, salvage;
    bool zero_target;               /* what is not written reads as zero */
    bool target_has_backing;
    int64_t target_backing_size;    /* -1: not known */
    unsigned coroutines;

    /* The state of it. */
    CoMutex lock;                   /* of the next extent */
    int64_t at, extent_end;
    CopyKind extent;
    int64_t write_at;               /* in order: whose turn it is */
    CoQueue turn;
    int64_t work, done;             /* for the progress */
    int64_t start_ns, copied;
    unsigned running;
    bool finished;
    int ret;
} Copy;

/* 0 or -errno, after a message. */
int copy_run(Copy *c);

#endif
