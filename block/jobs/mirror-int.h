/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the mirror job share: the job, its copying (loop's thread), its filter. */
#ifndef BLOCK_JOBS_MIRROR_INT_H
#define BLOCK_JOBS_MIRROR_INT_H

#include "block/dirty-bitmap.h"
#include "block/image.h"
#include "block/jobs/mirror.h"
#include "block/jobs/top-filter.h"

typedef struct MirrorJob MirrorJob;
typedef struct MirrorOp MirrorOp;

/* A range that is being copied, or written by the guest to both sides. */
struct MirrorOp {
    MirrorJob *job;
    int64_t offset, bytes;
    bool zero;
    CoQueue waiters;
    MirrorOp *prev, *next;
};

struct MirrorJob {
    BlockJob common;
    BlockNode *source, *target, *filter;
    BlockNode *base;            /* its content is not copied; NULL: all is */
    BlockChild *source_edge, *target_edge;
    bool is_commit, base_was_read_only;
    MirrorSyncMode sync;
    MirrorCopyMode copy_mode;
    MirrorBacking backing;
    BlockdevOnError on_source_error, on_target_error;
    bool unmap;
    char *replaces;
    bool should_complete;       /* atomics */

    /* The loop's thread. */
    DirtyBitmap *dirty;
    int64_t align;              /* of what is copied at a time: granularity or target cluster */
    int64_t buf_size;
    int64_t pos;                /* where to look next */
    int ret;                    /* an error that ends the job */
    MirrorOp *ops;
    unsigned background_ops;
    int64_t bytes_in_flight;
    CoQueue op_done;
};

/* ---- mirror-copy.c: coroutines on the loop ---- */

/* Mark what must be copied to begin with. */
int coroutine_fn mirror_mark_all(MirrorJob *s);
/* Start copying the next dirty piece. */
void coroutine_fn mirror_copy_next(MirrorJob *s);
void coroutine_fn mirror_wait_for_op(MirrorJob *s);
void coroutine_fn mirror_wait_for_all(MirrorJob *s);
/* Nobody else writes: copy what is still dirty, one piece after the other. */
int coroutine_fn mirror_copy_rest(MirrorJob *s);
/* Note a failure of either side: 0, or the job ends with the error. */
void mirror_note_error(MirrorJob *s, int64_t offset, int64_t bytes, bool is_read, int ret);
void coroutine_fn mirror_op_begin(MirrorJob *s, MirrorOp *op, int64_t offset, int64_t bytes);
void mirror_op_end(MirrorOp *op);

/* ---- mirror-filter.c ---- */

/* The filter above the source, with @s to tell about writes; with write-blocking, the target too. */
BlockNode *mirror_filter_insert(MirrorJob *s, const char *name, Error **errp);
/* The job is over: the filter only passes on. Drained. */
void mirror_filter_stop(BlockNode *filter);

#endif
