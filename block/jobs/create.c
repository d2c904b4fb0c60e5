/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The create job (blockdev-create): an image is written by its driver. run() is a
 * coroutine on the main loop, the rest runs on the main thread.
 */
#include "util/osdep.h"
#include "block/block-int.h"
#include "block/image.h"
#include "block/job.h"
#include "qapi-commands.h"

typedef struct CreateJob {
    Job job;
    BlockdevCreateOptions *options;
} CreateJob;

static int coroutine_fn create_run(Job *job, Error **errp)
{
    CreateJob *s = container_of(job, CreateJob, job);
    int ret;

    job_progress_set_remaining(job, 1);
    ret = block_co_create(s->options, errp);
    job_progress_add(job, 1);
    return ret;
}

static void create_free(Job *job)
{
    qapi_free_BlockdevCreateOptions(container_of(job, CreateJob, job)->options);
}

static const JobDriver create_driver = {
    .type = JOB_TYPE_CREATE,
    .instance_size = sizeof(CreateJob),
    .run = create_run,
    .free = create_free,
};

bool qmp_blockdev_create(const QmpBlockdevCreateArgs *args, Error **errp)
{
    const BlockDriver *drv = block_driver_find(BlockdevDriver_str(args->options->driver));
    CreateJob *s;

    if (!drv || !drv->co_create) {
        error_setg(errp, "Driver does not support blockdev-create");
        return false;
    }
    s = job_new(args->job_id, &create_driver, NULL, event_loop_main(), JOB_MANUAL_DISMISS, errp);
    if (!s) {
        return false;
    }
    s->options = qapi_clone(&qapi_type_BlockdevCreateOptions, args->options);
    job_start(&s->job);
    return true;
}
