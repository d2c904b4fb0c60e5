/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The mirror job, which active commit uses too. Main thread. */
#ifndef BLOCK_JOBS_MIRROR_H
#define BLOCK_JOBS_MIRROR_H

#include "block/jobs/blockjob.h"

/* What becomes of the target's backing chain when it takes the source's place. */
typedef enum MirrorBacking {
    MIRROR_BACKING_LEAVE,
    MIRROR_BACKING_SOURCE,      /* gets the source's (sync=none: the source itself) */
    MIRROR_BACKING_OPEN,        /* opens what its image says */
} MirrorBacking;

typedef struct MirrorOptions {
    BlockJobOptions job;
    BlockNode *source, *target;
    MirrorSyncMode sync;
    MirrorCopyMode copy_mode;
    MirrorBacking backing;
    int64_t granularity, buf_size;      /* 0: default */
    BlockdevOnError on_source_error, on_target_error;
    bool unmap;
    const char *replaces, *filter_name; /* NULL: none, generated */
} MirrorOptions;

bool mirror_start(const MirrorOptions *opts, Error **errp);
/* Write what is above @base into it, and let it take @active's place. */
bool mirror_start_active_commit(const BlockJobOptions *opts, BlockNode *active, BlockNode *base,
                                BlockdevOnError on_error, const char *filter_name, Error **errp);

#endif
