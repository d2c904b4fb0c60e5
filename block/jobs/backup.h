/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The backup job. Main thread. */
#ifndef BLOCK_JOBS_BACKUP_H
#define BLOCK_JOBS_BACKUP_H

#include "block/dirty-bitmap.h"
#include "block/jobs/blockjob.h"

typedef struct BackupOptions {
    BlockJobOptions job;
    BlockNode *source, *target;
    MirrorSyncMode sync;
    DirtyBitmap *bitmap;        /* NULL: none */
    BitmapSyncMode bitmap_mode;
    bool compress;
    BlockdevOnError on_source_error, on_target_error;
    const char *filter_name;    /* NULL: generated */
    int64_t max_workers, max_chunk;     /* 0: default, no limit */
} BackupOptions;

/* The job in state "created", with the moment that it copies fixed from now on; NULL: error. */
BlockJob *backup_job_new(const BackupOptions *opts, Error **errp);

#endif
