/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Jobs: long operations that management starts, watches, pauses and ends
 * (JobStatus and JobVerb in qapi/job.json say which state accepts what). A
 * job's work is a coroutine on the job's event loop; everything else of its life
 * happens on the main thread. Several jobs may share a transaction: they all
 * succeed or all are undone.
 *
 * Functions are for the main thread (machine lock held) unless they say
 * "coroutine" (the job's own) or "any thread".
 */
#ifndef BLOCK_JOB_H
#define BLOCK_JOB_H

#include "qapi-types.h"
#include "util/coroutine.h"

typedef struct Job Job;
typedef struct JobTxn JobTxn;

typedef struct JobDriver {
    JobType type;
    size_t instance_size;       /* of the structure that begins with a Job */
    bool is_block_job;          /* it begins with a BlockJob */
    /* The work, as a coroutine. 0 or -errno; @errp may say more. */
    int coroutine_fn (*run)(Job *job, Error **errp);
    /* Coroutine: come to rest before the job counts as paused. */
    void coroutine_fn (*pause)(Job *job);
    /* The user lets a job run on that stopped for an error. */
    void (*user_resume)(Job *job);
    /* job-complete of a job that is ready. */
    void (*complete)(Job *job, Error **errp);
    /* All jobs of the transaction have done their work: the last chance to fail, 0 or -errno. */
    int (*prepare)(Job *job);
    /* Exactly one of commit and abort, then clean. */
    void (*commit)(Job *job);
    void (*abort)(Job *job);
    void (*clean)(Job *job);
    /*
     * Hear of a cancellation. Returns whether the job will really give up (@force), or ends
     * with success at the point that it has reached. NULL: gives up.
     */
    bool (*cancel)(Job *job, bool force);
    void (*free)(Job *job);
    /* What else to tell when a state is reached; for block jobs. */
    void (*on_ready)(Job *job);
    void (*on_pending)(Job *job);
    void (*on_concluded)(Job *job); /* before JOB_STATUS_CHANGE says so */
} JobDriver;

typedef enum JobFlags {
    JOB_MANUAL_FINALIZE = 1,
    JOB_MANUAL_DISMISS = 2,
    JOB_INTERNAL = 4,           /* no events, no name that management sees */
} JobFlags;

struct Job {
    const JobDriver *driver;
    char *id;                   /* NULL: internal */
    unsigned flags;
    EventLoop *loop;
    Coroutine *co;
    JobTxn *txn;
    Job *next_in_txn;
    unsigned refs;
    int ret;
    Error *err;

    /* Guarded by the lock of job.c. */
    JobStatus status;
    bool busy;                  /* the coroutine runs, or waits for something other than us */
    bool paused;                /* it waits in a pause point */
    bool user_paused;
    unsigned pause_count;
    bool cancelled, force_cancel;
    bool work_done;             /* run() has returned */
    int64_t progress_current, progress_total;

    Timer sleep_timer;
    Job *next_exit;
    Job *next;
};

/* ---- creation ---- */

/*
 * A job in state "created", one reference for the list of jobs, which goes when the job is
 * dismissed. @txn (NULL: one of its own) is referenced.
 */
void *job_new(const char *id, const JobDriver *driver, JobTxn *txn, EventLoop *loop,
              unsigned flags, Error **errp);
void job_start(Job *job);
/* The job was created but not started, and will not be. */
void job_abandon(Job *job);
void job_ref(Job *job);
void job_unref(Job *job);

JobTxn *job_txn_new(void);
void job_txn_unref(JobTxn *txn);

/* ---- lookup ---- */

Job *job_find(const char *id);
Job *job_next(Job *job);                /* NULL: the first; iteration in order of creation */

/* ---- what management says; false with an error for a verb that the state does not accept ---- */

bool job_accepts(Job *job, JobVerb verb, Error **errp);
bool job_user_pause(Job *job, Error **errp);
bool job_user_resume(Job *job, Error **errp);
bool job_user_cancel(Job *job, bool force, Error **errp);
bool job_complete(Job *job, Error **errp);
bool job_finalize(Job *job, Error **errp);
/* Sets *@job to NULL. */
bool job_dismiss(Job **job, Error **errp);

/* Wait until @job has ended; its result. The reference stays the caller's. */
int job_finish_sync(Job *job, Error **errp);
int job_cancel_sync(Job *job, bool force);
/* The program ends. */
void job_cancel_all(void);

/* ---- for the owners of a job: internal pauses (a drained node) ---- */

void job_pause(Job *job);
void job_resume(Job *job);
/* Whether the coroutine may still touch anything while pauses are asked for. Any thread. */
bool job_is_active(Job *job);
/* Make a sleeping coroutine look again. Any thread. */
void job_kick(Job *job);
void job_set_loop(Job *job, EventLoop *loop);

/* ---- for the work; coroutine ---- */

/* Wait here while the job is paused. */
void coroutine_fn job_pause_point(Job *job);
/* Sleep; a kick ends it early. Has a pause point. */
void coroutine_fn job_sleep_ns(Job *job, int64_t ns);
/* Wait for a kick. Has a pause point. */
void coroutine_fn job_yield(Job *job);
void coroutine_fn job_ready(Job *job);
/* The job stops for an error, as if the user had paused it. */
void coroutine_fn job_stop_for_error(Job *job);

/* Any thread. */
bool job_is_cancelled(Job *job);                /* it will be undone */
bool job_cancel_requested(Job *job);            /* also when a ready job ends as it is */
bool job_is_ready(Job *job);
void job_progress_add(Job *job, int64_t done);
void job_progress_set_remaining(Job *job, int64_t remaining);
void job_progress_grow(Job *job, int64_t more);
void job_progress_get(Job *job, int64_t *current, int64_t *total);

/* For query-jobs. */
JobInfo *job_query(Job *job);

#endif
