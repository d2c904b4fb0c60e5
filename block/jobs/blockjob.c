/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What jobs on block nodes share; see blockjob.h. Main thread, except where
 * the header says coroutine.
 */
#include "util/osdep.h"
#include "block/jobs/blockjob.h"
#include "qapi-events.h"

/* How far a job may run ahead of its speed. */
#define SPEED_SLICE_NS (100 * 1000 * 1000)

/* ---- edges ---- */

static void edge_drained_begin(BlockChild *c)
{
    BlockJob *job = c->opaque;

    job_pause(&job->job);
}

static bool edge_drained_poll(BlockChild *c)
{
    BlockJob *job = c->opaque;

    return job_is_active(&job->job);
}

static void edge_drained_end(BlockChild *c)
{
    BlockJob *job = c->opaque;

    job_resume(&job->job);
}

static bool edge_can_set_loop(BlockChild *c, EventLoop *loop, Error **errp)
{
    return true;
}

/* Another node of ours may follow later; the graph moves as a whole. */
static void edge_set_loop(BlockChild *c, EventLoop *loop)
{
    BlockJob *job = c->opaque;

    job_set_loop(&job->job, loop);
}

static char *edge_describe(BlockChild *c)
{
    BlockJob *job = c->opaque;

    return g_strdup_printf("%s job '%s'", JobType_str(job->job.driver->type),
                           job->job.id ? job->job.id : "");
}

static const BlockChildOps edge_ops = {
    .drained_begin = edge_drained_begin,
    .drained_poll = edge_drained_poll,
    .drained_end = edge_drained_end,
    .can_set_loop = edge_can_set_loop,
    .set_loop = edge_set_loop,
    .describe = edge_describe,
    .stays = true,
};

BlockChild *block_job_add_node(BlockJob *job, const char *name, BlockNode *bn, uint64_t perm,
                               uint64_t shared, Error **errp)
{
    BlockChild *c;

    if (bn->loop != job->job.loop && !block_node_set_loop(bn, job->job.loop, errp)) {
        return NULL;
    }
    c = block_root_attach(bn, name, &edge_ops, 0, perm, shared, job, errp);
    if (!c) {
        return NULL;
    }
    job->edges = g_slist_prepend(job->edges, c);
    block_node_block(bn, job->blocker);
    return c;
}

void block_job_drop_nodes(BlockJob *job)
{
    while (job->edges) {
        BlockChild *c = job->edges->data;

        /* First, for the detaching may come back to us. */
        job->edges = g_slist_delete_link(job->edges, job->edges);
        block_node_unblock(c->node, job->blocker);
        block_child_detach(c);
    }
}

/* ---- life ---- */

BlockNode *block_job_root_node(const char *name, Error **errp)
{
    BlockNode *bn = block_lookup(name, name, NULL);
    BlockChild *c;

    if (!bn) {
        error_set(errp, ERROR_CLASS_DEVICE_NOT_FOUND, "Device '%s' not found", name);
        return NULL;
    }
    for (c = bn->parents; c; c = c->next_parent) {
        if (c->ops->parent_is_node) {
            error_setg(errp, "Need a root block node");
            return NULL;
        }
    }
    return bn;
}

void *block_job_new(const JobDriver *driver, const BlockJobOptions *opts, BlockNode *bn,
                    uint64_t perm, uint64_t shared, Error **errp)
{
    const char *id = opts->id;
    unsigned flags = (opts->manual_finalize ? JOB_MANUAL_FINALIZE : 0) |
                     (opts->manual_dismiss ? JOB_MANUAL_DISMISS : 0) |
                     (opts->internal ? JOB_INTERNAL : 0);
    BlockJob *job;

    if (!id && !opts->internal) {
        BlockBackend *blk = block_node_backend(bn);

        id = blk && blk_name(blk) ? blk_name(blk) : "";
    }
    job = job_new(id, driver, opts->txn, bn->loop, flags, errp);
    if (!job) {
        return NULL;
    }
    job->blocker =
        g_strdup_printf("block device is in use by block job: %s", JobType_str(driver->type));
    if (!block_job_add_node(job, "main node", bn, perm, shared, errp) ||
        !block_job_set_speed(job, opts->speed, errp)) {
        block_job_drop_nodes(job);
        job_abandon(&job->job);
        return NULL;
    }
    return job;
}

void block_job_free(Job *job)
{
    BlockJob *b = container_of(job, BlockJob, job);

    block_job_drop_nodes(b);
    g_free(b->blocker);
}

void block_job_user_resume(Job *job)
{
    container_of(job, BlockJob, job)->io_status = BLOCK_DEVICE_IO_STATUS_OK;
}

/* ---- events ---- */

void block_job_on_ready(Job *job)
{
    BlockJob *b = container_of(job, BlockJob, job);
    int64_t current, total;

    if (job->id) {
        job_progress_get(job, &current, &total);
        qapi_event_send_BLOCK_JOB_READY(job->driver->type, job->id, total, current,
                                        atomic_load(&b->speed));
    }
}

void block_job_on_pending(Job *job)
{
    if (job->id) {
        qapi_event_send_BLOCK_JOB_PENDING(job->driver->type, job->id);
    }
}

void block_job_on_concluded(Job *job)
{
    BlockJob *b = container_of(job, BlockJob, job);
    int64_t current, total;

    if (job->id) {
        job_progress_get(job, &current, &total);
        if (job_is_cancelled(job)) {
            qapi_event_send_BLOCK_JOB_CANCELLED(job->driver->type, job->id, total, current,
                                                atomic_load(&b->speed));
        } else {
            qapi_event_send_BLOCK_JOB_COMPLETED(job->driver->type, job->id, total, current,
                                                atomic_load(&b->speed),
                                                job->ret ? error_message(job->err) : NULL);
        }
    }
    /* Also what a job without a clean-up of its own still holds. */
    block_job_drop_nodes(b);
}

/* ---- speed ---- */

bool block_job_set_speed(BlockJob *job, int64_t speed, Error **errp)
{
    if (!job_accepts(&job->job, JOB_VERB_SET_SPEED, errp)) {
        return false;
    }
    if (speed < 0) {
        error_setg(errp, "Parameter 'speed' expects a non-negative value");
        return false;
    }
    atomic_store(&job->speed, speed);
    atomic_store(&job->paid_until_ns, 0);
    job_kick(&job->job);
    return true;
}

void coroutine_fn block_job_throttle(BlockJob *job, int64_t bytes)
{
    int64_t speed = atomic_load(&job->speed);
    int64_t now, ahead;

    if (speed > 0 && bytes > 0) {
        now = clock_now_ns(CLOCK_TYPE_REALTIME);
        ahead = MAX(atomic_load(&job->paid_until_ns), now) - now;
        /* No single request keeps the job asleep for years. */
        ahead += MIN((double)bytes * NS_PER_SEC / speed, 3600.0 * NS_PER_SEC);
        atomic_store(&job->paid_until_ns, now + ahead);
        while (ahead > SPEED_SLICE_NS && !job_is_cancelled(&job->job)) {
            job_sleep_ns(&job->job, ahead - SPEED_SLICE_NS);
            ahead = atomic_load(&job->paid_until_ns) - clock_now_ns(CLOCK_TYPE_REALTIME);
        }
    }
    if (job->retrying) {
        job->retrying = false;
        job_sleep_ns(&job->job, SPEED_SLICE_NS);
    }
    job_pause_point(&job->job);
}

/* ---- errors ---- */

static BlockErrorAction policy_action(BlockdevOnError policy, int error)
{
    switch (policy) {
    case BLOCKDEV_ON_ERROR_ENOSPC:
    case BLOCKDEV_ON_ERROR_AUTO:
        return error == ENOSPC ? BLOCK_ERROR_ACTION_STOP : BLOCK_ERROR_ACTION_REPORT;
    case BLOCKDEV_ON_ERROR_STOP:
        return BLOCK_ERROR_ACTION_STOP;
    case BLOCKDEV_ON_ERROR_IGNORE:
        return BLOCK_ERROR_ACTION_IGNORE;
    default:
        return BLOCK_ERROR_ACTION_REPORT;
    }
}

BlockErrorAction block_job_error(BlockJob *job, BlockdevOnError policy, bool is_read, int error)
{
    BlockErrorAction action = policy_action(policy, error);

    if (job->job.id) {
        qapi_event_send_BLOCK_JOB_ERROR(job->job.id,
                                        is_read ? IO_OPERATION_TYPE_READ : IO_OPERATION_TYPE_WRITE,
                                        action);
    }
    job->retrying = action != BLOCK_ERROR_ACTION_REPORT;
    if (action == BLOCK_ERROR_ACTION_STOP) {
        job_stop_for_error(&job->job);
        job->io_status = error == ENOSPC ? BLOCK_DEVICE_IO_STATUS_NOSPACE :
                                           BLOCK_DEVICE_IO_STATUS_FAILED;
    }
    return action;
}

/* ---- questions ---- */

BlockJob *block_job_find(const char *id, Error **errp)
{
    Job *job = job_find(id);

    if (!job || !job->driver->is_block_job) {
        error_set(errp, ERROR_CLASS_DEVICE_NOT_ACTIVE, "Block job '%s' not found", id);
        return NULL;
    }
    return container_of(job, BlockJob, job);
}

BlockJobInfo *block_job_query(BlockJob *b)
{
    BlockJobInfo *info = g_new0(BlockJobInfo, 1);
    Job *job = &b->job;

    info->type = g_strdup(JobType_str(job->driver->type));
    info->device = g_strdup(job->id);
    job_progress_get(job, &info->offset, &info->len);
    info->busy = job->busy;
    info->paused = job->pause_count > 0;
    info->speed = atomic_load(&b->speed);
    info->io_status = b->io_status;
    info->ready = job_is_ready(job);
    info->status = job->status;
    info->auto_finalize = !(job->flags & JOB_MANUAL_FINALIZE);
    info->auto_dismiss = !(job->flags & JOB_MANUAL_DISMISS);
    info->error = job->err ? g_strdup(error_message(job->err)) : NULL;
    return info;
}
