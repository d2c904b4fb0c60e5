/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The mirror job: a copy of a node that follows what the guest writes until
 * management completes the job (the target takes the source's place) or ends it
 * (the target is a copy of that moment). Also active commit, where the target is
 * in the source's own backing chain.
 *
 * run() is a coroutine on the job's loop; copying is in mirror-copy.c, the
 * filter above the source in mirror-filter.c. The last bit is copied on the main
 * thread with the source drained, so what becomes the target is exact.
 */
#include "util/osdep.h"
#include "block/jobs/mirror-int.h"

#define DEFAULT_BUF_SIZE (10 * 1024 * 1024)
#define IDLE_NS (100 * 1000 * 1000)

/* ---- the work ---- */

/* Nothing is dirty or under way: what is on the target must be on its disk. */
static void coroutine_fn flush_target(MirrorJob *s)
{
    int ret = block_co_flush(s->target);

    if (ret < 0 && block_job_error(&s->common, s->on_target_error, false, -ret) ==
                       BLOCK_ERROR_ACTION_REPORT) {
        s->ret = ret;
    }
}

static int coroutine_fn prepare_target(MirrorJob *s, Error **errp)
{
    int64_t len = s->source->total_bytes;

    if (s->target->total_bytes == len) {
        return 0;
    }
    if (s->is_commit && s->target->total_bytes < len) {
        return block_co_truncate(s->target_edge, len, false, PREALLOC_MODE_OFF, 0, errp);
    }
    if (!s->is_commit) {
        error_setg(errp, "Source and target image have different sizes");
        return -EINVAL;
    }
    return 0;
}

static bool wants_to_end(MirrorJob *s)
{
    return atomic_load(&s->should_complete) || job_cancel_requested(&s->common.job);
}

static void coroutine_fn follow_source(MirrorJob *s)
{
    Job *job = &s->common.job;

    while (s->ret == 0 && !job_is_cancelled(job)) {
        int64_t dirty = dirty_bitmap_count(s->dirty);

        job_progress_set_remaining(job, dirty + s->bytes_in_flight);
        if (dirty > 0) {
            mirror_copy_next(s);
        } else if (s->background_ops > 0) {
            mirror_wait_for_op(s);
        } else {
            flush_target(s);
            if (s->ret < 0 || dirty_bitmap_count(s->dirty) > 0) {
                continue;
            }
            if (!job_is_ready(job)) {
                job_ready(job);
            }
            if (wants_to_end(s)) {
                break;
            }
            job_sleep_ns(job, IDLE_NS);
        }
        block_job_throttle(&s->common, 0);
    }
}

static int coroutine_fn mirror_run(Job *job, Error **errp)
{
    MirrorJob *s = container_of(job, MirrorJob, common.job);

    s->ret = prepare_target(s, errp);
    if (s->ret == 0) {
        s->ret = mirror_mark_all(s);
    }
    if (s->ret == 0) {
        follow_source(s);
    }
    mirror_wait_for_all(s);
    return s->ret;
}

static void coroutine_fn mirror_pause(Job *job)
{
    mirror_wait_for_all(container_of(job, MirrorJob, common.job));
}

static bool mirror_cancel(Job *job, bool force)
{
    return force || !job_is_ready(job);
}

/* ---- the end; main thread ---- */

typedef struct Finish {
    MirrorJob *s;
    int ret;
} Finish;

static void coroutine_fn finish_entry(void *opaque)
{
    Finish *f = opaque;

    f->ret = mirror_copy_rest(f->s);
    if (f->ret == 0) {
        f->ret = block_co_flush(f->s->target);
    }
}

static bool fix_backing(MirrorJob *s, Error **errp)
{
    BlockNode *backing = s->sync == MIRROR_SYNC_MODE_NONE ? s->source : s->base;

    switch (s->backing) {
    case MIRROR_BACKING_SOURCE:
        return block_backing(s->target) == backing ||
               block_set_backing(s->target, backing, errp);
    case MIRROR_BACKING_OPEN:
        return block_open_backing(s->target, errp);
    default:
        return true;
    }
}

/* The target takes over: users of the source, or of the node that "replaces" names. */
static bool pivot(MirrorJob *s, Error **errp)
{
    BlockNode *replaced;

    if (!fix_backing(s, errp)) {
        return false;
    }
    if (!s->replaces) {
        return top_filter_remove(g_steal_pointer(&s->filter), s->target, errp);
    }
    replaced = block_node_find(s->replaces);
    if (!replaced) {
        error_setg(errp, "Failed to find node with node-name='%s'", s->replaces);
        return false;
    }
    return block_replace_node(replaced, s->target, errp);
}

static void let_go(MirrorJob *s)
{
    if (s->filter) {
        block_drain_begin(s->filter);
        mirror_filter_stop(s->filter);
        block_drain_end(s->filter);
    }
    block_job_drop_nodes(&s->common);
}

static int mirror_prepare(Job *job)
{
    MirrorJob *s = container_of(job, MirrorJob, common.job);
    Finish f = { .s = s };

    block_drain_begin(s->source);
    block_run_coroutine(s->source, finish_entry, &f);
    if (f.ret == 0) {
        let_go(s);
        if (atomic_load(&s->should_complete) && !pivot(s, &job->err)) {
            f.ret = -EPERM;
        } else if (atomic_load(&s->should_complete)) {
            s->base_was_read_only = false;
        }
    }
    block_drain_end(s->source);
    return f.ret;
}

static void mirror_clean(Job *job)
{
    MirrorJob *s = container_of(job, MirrorJob, common.job);

    let_go(s);
    if (s->filter) {
        top_filter_remove(g_steal_pointer(&s->filter), NULL, NULL);
    }
    if (s->base_was_read_only) {
        block_reopen_set_read_only(s->target, true, NULL);
    }
    g_clear_pointer(&s->dirty, dirty_bitmap_free);
    g_clear_pointer(&s->source, block_node_unref);
    g_clear_pointer(&s->target, block_node_unref);
    g_clear_pointer(&s->base, block_node_unref);
    g_clear_pointer(&s->replaces, g_free);
}

static void mirror_complete(Job *job, Error **errp)
{
    MirrorJob *s = container_of(job, MirrorJob, common.job);

    if (s->replaces && !block_node_find(s->replaces)) {
        error_setg(errp, "Failed to find node with node-name='%s'", s->replaces);
        return;
    }
    atomic_store(&s->should_complete, true);
    job_kick(job);
}

static const JobDriver mirror_driver = {
    .type = JOB_TYPE_MIRROR,
    .instance_size = sizeof(MirrorJob),
    .run = mirror_run,
    .pause = mirror_pause,
    .complete = mirror_complete,
    .prepare = mirror_prepare,
    .clean = mirror_clean,
    .cancel = mirror_cancel,
    BLOCK_JOB_HOOKS,
};

static const JobDriver active_commit_driver = {
    .type = JOB_TYPE_COMMIT,
    .instance_size = sizeof(MirrorJob),
    .run = mirror_run,
    .pause = mirror_pause,
    .complete = mirror_complete,
    .prepare = mirror_prepare,
    .clean = mirror_clean,
    .cancel = mirror_cancel,
    BLOCK_JOB_HOOKS,
};

/* ---- the start ---- */

static uint32_t target_cluster(BlockNode *target)
{
    BlockImageInfo info = { 0 };

    return block_image_info(target, &info) == 0 ? info.cluster_size : 0;
}

static bool make_bitmap(MirrorJob *s, const MirrorOptions *o, Error **errp)
{
    uint32_t cluster = target_cluster(s->target);
    uint32_t granularity =
        o->granularity ? o->granularity : dirty_bitmap_default_granularity(s->target);

    s->dirty = dirty_bitmap_new(s->source, granularity, NULL, errp);
    s->align = MAX(granularity, cluster);
    s->buf_size = MAX(o->buf_size ? o->buf_size : DEFAULT_BUF_SIZE, s->align);
    return s->dirty != NULL;
}

static bool hold_nodes(MirrorJob *s, Error **errp)
{
    uint64_t perm = BLOCK_PERM_WRITE, shared = BLOCK_PERM_WRITE_UNCHANGED;
    BlockNode *p;

    if (s->is_commit) {
        perm |= s->target->total_bytes < s->source->total_bytes ? BLOCK_PERM_RESIZE : 0;
        shared |= BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE;
        for (p = block_backing(s->source); p && p != s->target; p = block_backing(p)) {
            if (!block_job_add_node(&s->common, "intermediate node", p, 0,
                                    BLOCK_PERM_WRITE_UNCHANGED | BLOCK_PERM_WRITE, errp)) {
                return false;
            }
        }
    } else {
        shared |= BLOCK_PERM_CONSISTENT_READ;
    }
    if (s->copy_mode == MIRROR_COPY_MODE_WRITE_BLOCKING) {
        shared |= BLOCK_PERM_WRITE;     /* the filter */
    }
    s->target_edge = block_job_add_node(&s->common, "target", s->target, perm, shared, errp);
    return s->target_edge != NULL;
}

static MirrorJob *create(const JobDriver *driver, const MirrorOptions *o, Error **errp)
{
    bool is_commit = driver == &active_commit_driver;
    MirrorJob *s;

    s = block_job_new(driver, &o->job, o->source, is_commit ? 0 : BLOCK_PERM_CONSISTENT_READ,
                      BLOCK_PERM_ALL & ~(is_commit ? 0 : (uint64_t)BLOCK_PERM_RESIZE), errp);
    if (!s) {
        return NULL;
    }
    s->source_edge = s->common.edges->data;
    s->source = o->source;
    s->target = o->target;
    block_node_ref(s->source);
    block_node_ref(s->target);
    if (is_commit || o->sync == MIRROR_SYNC_MODE_TOP) {
        s->base = is_commit ? s->target : block_backing(s->source);
    }
    if (s->base) {
        block_node_ref(s->base);
    }
    s->is_commit = is_commit;
    s->sync = o->sync;
    s->copy_mode = o->copy_mode;
    s->backing = o->backing;
    s->on_source_error = o->on_source_error;
    s->on_target_error = o->on_target_error;
    s->unmap = o->unmap;
    s->replaces = g_strdup(o->replaces);
    co_queue_init(&s->op_done);
    return s;
}

static bool start(const JobDriver *driver, const MirrorOptions *o, Error **errp)
{
    MirrorJob *s = create(driver, o, errp);

    if (!s) {
        return false;
    }
    if (s->is_commit && s->target->read_only) {
        if (!block_reopen_set_read_only(s->target, false, errp)) {
            goto undo;
        }
        s->base_was_read_only = true;
    }
    if (!make_bitmap(s, o, errp)) {
        goto undo;
    }
    s->filter = mirror_filter_insert(s, o->filter_name, errp);
    if (!s->filter || !hold_nodes(s, errp)) {
        goto undo;
    }
    job_start(&s->common.job);
    return true;

undo:
    mirror_clean(&s->common.job);
    job_abandon(&s->common.job);
    return false;
}

static bool check_granularity(int64_t granularity, Error **errp)
{
    if (granularity && (granularity < 512 || granularity > 64 * 1024 * 1024)) {
        error_setg(errp, "Parameter 'granularity' expects a value in range [512B, 64MB]");
        return false;
    }
    if (granularity & (granularity - 1)) {
        error_setg(errp, "Parameter 'granularity' expects a power of 2");
        return false;
    }
    return true;
}

static bool check_replaces(const MirrorOptions *o, Error **errp)
{
    BlockNode *replaced;

    if (!o->replaces) {
        return true;
    }
    replaced = block_node_find(o->replaces);
    if (!replaced) {
        error_setg(errp, "Failed to find node with node-name='%s'", o->replaces);
        return false;
    }
    if (!block_chain_contains(replaced, o->source) || block_skip_filters(replaced) != o->source) {
        error_setg(errp, "Cannot replace '%s' by a node mirrored from '%s', because it cannot be "
                         "guaranteed that doing so would not lead to an abrupt change of visible "
                         "data", o->replaces, o->source->node_name);
        return false;
    }
    return true;
}

bool mirror_start(const MirrorOptions *opts, Error **errp)
{
    MirrorOptions o = *opts;

    if (!check_granularity(o.granularity, errp)) {
        return false;
    }
    if (o.sync == MIRROR_SYNC_MODE_INCREMENTAL || o.sync == MIRROR_SYNC_MODE_BITMAP) {
        error_setg(errp, "Sync mode '%s' not supported", MirrorSyncMode_str(o.sync));
        return false;
    }
    if (o.buf_size < 0) {
        error_setg(errp, "Invalid parameter 'buf-size'");
        return false;
    }
    if (o.source == o.target) {
        error_setg(errp, "Can't mirror node into itself");
        return false;
    }
    if (o.sync == MIRROR_SYNC_MODE_TOP && !block_backing(o.source)) {
        o.sync = MIRROR_SYNC_MODE_FULL;
    }
    return check_replaces(&o, errp) && block_node_check_unblocked(o.source, errp) &&
           block_node_check_unblocked(o.target, errp) && start(&mirror_driver, &o, errp);
}

bool mirror_start_active_commit(const BlockJobOptions *opts, BlockNode *active, BlockNode *base,
                                BlockdevOnError on_error, const char *filter_name, Error **errp)
{
    MirrorOptions o = {
        .job = *opts,
        .source = active,
        .target = base,
        .sync = MIRROR_SYNC_MODE_TOP,
        .copy_mode = MIRROR_COPY_MODE_BACKGROUND,
        .backing = MIRROR_BACKING_LEAVE,
        .on_source_error = on_error,
        .on_target_error = on_error,
        .unmap = true,
        .filter_name = filter_name,
    };

    return start(&active_commit_driver, &o, errp);
}
