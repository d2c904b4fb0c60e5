/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What jobs on block nodes share: edges to the nodes that they use, which pause
 * the job while a node is drained; speed; error policy; the BLOCK_JOB_* events.
 * Threads as in include/block/job.h.
 */
#ifndef BLOCK_JOBS_BLOCKJOB_H
#define BLOCK_JOBS_BLOCKJOB_H

#include "block/block-int.h"
#include "block/job.h"

typedef struct BlockJob {
    Job job;
    GSList *edges;              /* of BlockChild, last added first */
    char *blocker;              /* what others hear who want a node of ours */
    BlockDeviceIoStatus io_status;
    /* Speed: the time when what was dispatched is paid for. Atomics. */
    int64_t speed;              /* bytes a second, 0: no limit */
    int64_t paid_until_ns;
    bool retrying;              /* after an error: not at full speed */
} BlockJob;

/* What most block jobs can be given. */
typedef struct BlockJobOptions {
    const char *id;             /* NULL: the device's name */
    JobTxn *txn;
    int64_t speed;
    bool manual_finalize, manual_dismiss, internal;
} BlockJobOptions;

/* From the arguments of a QMP command that starts a job. */
#define BLOCK_JOB_OPTIONS(args)                                             \
    {                                                                       \
        .id = (args)->job_id, .speed = (args)->has_speed ? (args)->speed : 0, \
        .manual_finalize = (args)->has_auto_finalize && !(args)->auto_finalize, \
        .manual_dismiss = (args)->has_auto_dismiss && !(args)->auto_dismiss, \
    }

/* The node of device or node @name that no other node uses, for jobs on whole chains. */
BlockNode *block_job_root_node(const char *name, Error **errp);

/*
 * A job that uses @bn, with @driver's on_* callbacks left to us (block_job_hooks). Loop: the
 * node's.
 */
void *block_job_new(const JobDriver *driver, const BlockJobOptions *opts, BlockNode *bn,
                    uint64_t perm, uint64_t shared, Error **errp);
/* The part of a JobDriver's table that is the same for all. */
#define BLOCK_JOB_HOOKS                                                     \
    .is_block_job = true, .user_resume = block_job_user_resume, .free = block_job_free, \
    .on_ready = block_job_on_ready, .on_pending = block_job_on_pending,     \
    .on_concluded = block_job_on_concluded
void block_job_user_resume(Job *job);
void block_job_free(Job *job);
void block_job_on_ready(Job *job);
void block_job_on_pending(Job *job);
void block_job_on_concluded(Job *job);

/* One more node; the edge is the job's until block_job_drop_nodes(). */
BlockChild *block_job_add_node(BlockJob *job, const char *name, BlockNode *bn, uint64_t perm,
                               uint64_t shared, Error **errp);
void block_job_drop_nodes(BlockJob *job);

bool block_job_set_speed(BlockJob *job, int64_t speed, Error **errp);
/*
 * Coroutine: account @bytes, and sleep when the job is ahead of its speed or tries again after an
 * error. Has a pause point.
 */
void coroutine_fn block_job_throttle(BlockJob *job, int64_t bytes);
/* What to do about @error (positive errno); a stop is arranged at the next pause point. */
BlockErrorAction block_job_error(BlockJob *job, BlockdevOnError policy, bool is_read, int error);

/* NULL with the error that QMP clients know. */
BlockJob *block_job_find(const char *id, Error **errp);
BlockJobInfo *block_job_query(BlockJob *job);

#endif
