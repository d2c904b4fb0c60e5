/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QMP commands for jobs that are there: job-*, block-job-*. Main thread. */
#include "util/osdep.h"
#include "block/jobs/blockjob.h"
#include "qapi-commands.h"

static Job *find_job(const char *id, Error **errp)
{
    Job *job = job_find(id);

    if (!job) {
        error_setg(errp, "Job not found");
    }
    return job;
}

bool qmp_job_pause(const QmpJobPauseArgs *args, Error **errp)
{
    Job *job = find_job(args->id, errp);

    return job && job_user_pause(job, errp);
}

bool qmp_job_resume(const QmpJobResumeArgs *args, Error **errp)
{
    Job *job = find_job(args->id, errp);

    return job && job_user_resume(job, errp);
}

bool qmp_job_cancel(const QmpJobCancelArgs *args, Error **errp)
{
    Job *job = find_job(args->id, errp);

    return job && job_user_cancel(job, true, errp);
}

bool qmp_job_complete(const QmpJobCompleteArgs *args, Error **errp)
{
    Job *job = find_job(args->id, errp);

    return job && job_complete(job, errp);
}

bool qmp_job_dismiss(const QmpJobDismissArgs *args, Error **errp)
{
    Job *job = find_job(args->id, errp);

    return job && job_dismiss(&job, errp);
}

bool qmp_job_finalize(const QmpJobFinalizeArgs *args, Error **errp)
{
    Job *job = find_job(args->id, errp);

    return job && job_finalize(job, errp);
}

JobInfoList *qmp_query_jobs(Error **errp)
{
    JobInfoList *list = NULL, **tail = &list;
    Job *job;

    for (job = job_next(NULL); job; job = job_next(job)) {
        if (job->id) {
            QAPI_LIST_APPEND(tail, job_query(job));
        }
    }
    return list;
}

/* ---- block jobs ---- */

BlockJobInfoList *qmp_query_block_jobs(Error **errp)
{
    BlockJobInfoList *list = NULL, **tail = &list;
    Job *job;

    for (job = job_next(NULL); job; job = job_next(job)) {
        if (job->id && job->driver->is_block_job) {
            QAPI_LIST_APPEND(tail, block_job_query(container_of(job, BlockJob, job)));
        }
    }
    return list;
}

bool qmp_block_job_set_speed(const QmpBlockJobSetSpeedArgs *args, Error **errp)
{
    BlockJob *job = block_job_find(args->device, errp);

    return job && block_job_set_speed(job, args->speed, errp);
}

bool qmp_block_job_cancel(const QmpBlockJobCancelArgs *args, Error **errp)
{
    BlockJob *job = block_job_find(args->device, errp);
    bool force = args->has_force && args->force;

    if (job && job->job.user_paused && !force) {
        error_setg(errp, "The block job for device '%s' is currently paused", args->device);
        return false;
    }
    return job && job_user_cancel(&job->job, force, errp);
}

bool qmp_block_job_pause(const QmpBlockJobPauseArgs *args, Error **errp)
{
    BlockJob *job = block_job_find(args->device, errp);

    return job && job_user_pause(&job->job, errp);
}

bool qmp_block_job_resume(const QmpBlockJobResumeArgs *args, Error **errp)
{
    BlockJob *job = block_job_find(args->device, errp);

    return job && job_user_resume(&job->job, errp);
}

bool qmp_block_job_complete(const QmpBlockJobCompleteArgs *args, Error **errp)
{
    BlockJob *job = block_job_find(args->device, errp);

    return job && job_complete(&job->job, errp);
}

bool qmp_block_job_dismiss(const QmpBlockJobDismissArgs *args, Error **errp)
{
    BlockJob *b = block_job_find(args->id, errp);
    Job *job = b ? &b->job : NULL;

    return job && job_dismiss(&job, errp);
}

bool qmp_block_job_finalize(const QmpBlockJobFinalizeArgs *args, Error **errp)
{
    BlockJob *job = block_job_find(args->id, errp);

    return job && job_finalize(&job->job, errp);
}
