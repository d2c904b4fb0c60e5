/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The backup job: copies the moment of its creation. A copy-before-write filter
 * above the source keeps that moment while the guest writes; the job copies
 * whatever the guest does not touch, with several coroutines, and may be told by a
 * dirty bitmap what is worth copying.
 *
 * The bitmap goes on recording while the job runs. What was written since the start
 * is also recorded on the side, so that a success can leave just that.
 *
 * run() is a coroutine on the job's loop, the rest runs on the main thread.
 */
#include "util/osdep.h"
#include "block/filters/copy-before-write.h"
#include "block/image.h"
#include "block/jobs/backup.h"

#define DEFAULT_WORKERS 64
#define DEFAULT_CHUNK (1024 * 1024)

typedef struct BackupJob {
    BlockJob common;
    BlockNode *source, *target, *filter;
    BlockCopy *copy;
    MirrorSyncMode sync;
    DirtyBitmap *bitmap, *since;
    BitmapSyncMode bitmap_mode;
    BlockdevOnError on_source_error, on_target_error;
    int64_t max_chunk;
    unsigned max_workers;

    /* The loop's thread. */
    unsigned workers;
    CoQueue worker_done;
    int64_t pos;
    int ret;
} BackupJob;

/* ---- the work ---- */

typedef struct Worker {
    BackupJob *s;
    int64_t offset, bytes;
} Worker;

static void coroutine_fn worker_entry(void *opaque)
{
    Worker *w = opaque;
    BackupJob *s = w->s;
    bool is_read;
    int ret = block_copy(s->copy, w->offset, w->bytes, &is_read);

    if (ret < 0) {
        BlockErrorAction action = block_job_error(
            &s->common, is_read ? s->on_source_error : s->on_target_error, is_read, -ret);

        if (action == BLOCK_ERROR_ACTION_REPORT && s->ret == 0) {
            s->ret = ret;
        }
    }
    s->workers--;
    g_free(w);
    co_queue_wake_all(&s->worker_done);
}

static void coroutine_fn wait_for_workers(BackupJob *s)
{
    while (s->workers > 0) {
        co_queue_wait(&s->worker_done, NULL);
    }
}

static void update_progress(BackupJob *s)
{
    int64_t current, total;
    int64_t left = dirty_bitmap_count(block_copy_todo(s->copy));

    job_progress_get(&s->common.job, &current, &total);
    if (total - left > current) {
        job_progress_add(&s->common.job, total - left - current);
    }
}

/* Start copying the next piece; false: there is none. */
static bool coroutine_fn copy_next(BackupJob *s)
{
    int64_t len = s->source->total_bytes, offset, bytes;
    DirtyBitmap *todo = block_copy_todo(s->copy);
    Worker *w;

    if (!dirty_bitmap_next_area(todo, s->pos, len, s->max_chunk, &offset, &bytes) &&
        !dirty_bitmap_next_area(todo, 0, len, s->max_chunk, &offset, &bytes)) {
        return false;
    }
    s->pos = offset + bytes;
    w = g_new(Worker, 1);
    *w = (Worker) { s, offset, bytes };
    s->workers++;
    coroutine_enter(coroutine_create(worker_entry, w));
    block_job_throttle(&s->common, bytes);
    return true;
}

static void coroutine_fn copy_all(BackupJob *s)
{
    Job *job = &s->common.job;

    while (s->ret == 0 && !job_is_cancelled(job)) {
        if (s->workers >= s->max_workers) {
            co_queue_wait(&s->worker_done, NULL);
        } else if (!copy_next(s)) {
            if (s->workers == 0) {
                break;
            }
            co_queue_wait(&s->worker_done, NULL);
        }
        update_progress(s);
        block_job_throttle(&s->common, 0);
    }
}

/* sync=top: what comes from the backing image need not be copied. */
static int coroutine_fn skip_unallocated(BackupJob *s)
{
    Job *job = &s->common.job;
    int64_t len = s->source->total_bytes, cluster = block_copy_cluster_size(s->copy), offset, n;
    int ret;

    for (offset = 0; offset < len && !job_is_cancelled(job); offset += n) {
        ret = block_co_is_allocated_above(s->source, s->source, true, offset, len - offset, &n);
        if (ret < 0) {
            return ret;
        }
        if (ret == 0 && offset + n < len) {
            n = ROUND_DOWN(n, cluster);
        } else if (ret > 0) {
            n = MIN(ROUND_UP(n, cluster), len - offset);
        }
        if (ret == 0 && n > 0) {
            dirty_bitmap_reset(block_copy_todo(s->copy), offset, n);
        } else if (n == 0) {
            n = MIN(cluster, len - offset);
        }
        job_pause_point(job);
    }
    return 0;
}

static int coroutine_fn backup_run(Job *job, Error **errp)
{
    BackupJob *s = container_of(job, BackupJob, common.job);

    if (s->sync == MIRROR_SYNC_MODE_TOP) {
        s->ret = skip_unallocated(s);
    }
    job_progress_set_remaining(job, dirty_bitmap_count(block_copy_todo(s->copy)));
    if (s->sync == MIRROR_SYNC_MODE_NONE) {
        /* The guest's writes are all that there is to do, until somebody ends it. */
        while (!job_is_cancelled(job)) {
            job_yield(job);
        }
    } else if (s->ret == 0) {
        copy_all(s);
    }
    wait_for_workers(s);
    update_progress(s);
    return s->ret < 0 || job_is_cancelled(job) ? s->ret : block_co_flush(s->target);
}

static void coroutine_fn backup_pause(Job *job)
{
    wait_for_workers(container_of(job, BackupJob, common.job));
}

/* ---- the end ---- */

static void settle_bitmap(BackupJob *s, bool ok)
{
    if (!s->bitmap) {
        return;
    }
    if (ok ? s->bitmap_mode != BITMAP_SYNC_MODE_NEVER : s->bitmap_mode == BITMAP_SYNC_MODE_ALWAYS) {
        /* What is left to copy, if anything, and what came since. Sizes are the same. */
        dirty_bitmap_clear(s->bitmap, NULL);
        dirty_bitmap_merge(s->bitmap, block_copy_todo(s->copy), NULL);
        if (s->since) {
            dirty_bitmap_merge(s->bitmap, s->since, NULL);
        }
    }
    dirty_bitmap_set_busy(s->bitmap, false);
    s->bitmap = NULL;
}

static void backup_commit(Job *job)
{
    BackupJob *s = container_of(job, BackupJob, common.job);

    block_drain_begin(s->source);
    settle_bitmap(s, true);
    block_drain_end(s->source);
}

static void backup_abort(Job *job)
{
    BackupJob *s = container_of(job, BackupJob, common.job);

    block_drain_begin(s->source);
    settle_bitmap(s, false);
    block_drain_end(s->source);
}

static void backup_clean(Job *job)
{
    BackupJob *s = container_of(job, BackupJob, common.job);

    block_job_drop_nodes(&s->common);
    g_clear_pointer(&s->since, dirty_bitmap_free);
    if (s->filter) {
        block_replace_node(s->filter, s->source, NULL);
        g_clear_pointer(&s->filter, block_node_unref);
    }
    g_clear_pointer(&s->source, block_node_unref);
    g_clear_pointer(&s->target, block_node_unref);
}

static const JobDriver backup_driver = {
    .type = JOB_TYPE_BACKUP,
    .instance_size = sizeof(BackupJob),
    .run = backup_run,
    .pause = backup_pause,
    .commit = backup_commit,
    .abort = backup_abort,
    .clean = backup_clean,
    BLOCK_JOB_HOOKS,
};

/* ---- the start ---- */

static BlockNode *make_filter(const BackupOptions *o, Error **errp)
{
    JsonValue *options = json_object();
    BlockNode *filter;

    json_object_set_string(options, "driver", "copy-before-write");
    if (o->filter_name) {
        json_object_set_string(options, "node-name", o->filter_name);
    }
    json_object_set_string(options, "file", o->source->node_name);
    json_object_set_string(options, "target", o->target->node_name);
    filter = block_open(NULL, options,
                        o->source->read_only ? 0 : BLOCK_OPEN_RDWR, errp);
    if (filter) {
        filter->implicit = !o->filter_name;
    }
    if (filter && !block_replace_node(o->source, filter, errp)) {
        block_node_unref(filter);
        filter = NULL;
    }
    return filter;
}

/* Which clusters are to be copied; drained. */
static bool set_up_bitmaps(BackupJob *s, DirtyBitmap *bitmap, Error **errp)
{
    DirtyBitmap *todo = block_copy_todo(s->copy);

    if (s->sync == MIRROR_SYNC_MODE_BITMAP) {
        dirty_bitmap_clear(todo, NULL);
        if (!dirty_bitmap_merge(todo, bitmap, errp)) {
            return false;
        }
    }
    if (!bitmap) {
        return true;
    }
    if (dirty_bitmap_enabled(bitmap)) {
        s->since = dirty_bitmap_new(s->source, dirty_bitmap_granularity(bitmap), NULL, errp);
        if (!s->since) {
            return false;
        }
    }
    s->bitmap = bitmap;
    dirty_bitmap_set_busy(bitmap, true);
    return true;
}

static bool check_options(const BackupOptions *o, Error **errp)
{
    int64_t len = o->source->total_bytes, target_len = o->target->total_bytes;

    if (o->source == o->target) {
        error_setg(errp, "Source and target cannot be the same");
        return false;
    }
    if (!block_node_check_unblocked(o->source, errp) ||
        !block_node_check_unblocked(o->target, errp)) {
        return false;
    }
    if (o->compress && !o->target->drv->co_pwritev_compressed) {
        error_setg(errp, "Compression is not supported for this drive %s", o->target->node_name);
        return false;
    }
    if (o->max_workers < 0 || o->max_workers > INT_MAX) {
        error_setg(errp, "max-workers must be between 1 and %d", INT_MAX);
        return false;
    }
    if (o->max_chunk < 0) {
        error_setg(errp, "max-chunk must be zero (which means no limit) or positive");
        return false;
    }
    if (len != target_len) {
        error_setg(errp, "Source and target image have different sizes");
        return false;
    }
    return true;
}

BlockJob *backup_job_new(const BackupOptions *o, Error **errp)
{
    BackupJob *s;
    int64_t cluster;

    if (!check_options(o, errp)) {
        return NULL;
    }
    s = block_job_new(&backup_driver, &o->job, o->source, 0, BLOCK_PERM_ALL, errp);
    if (!s) {
        return NULL;
    }
    s->source = o->source;
    s->target = o->target;
    block_node_ref(s->source);
    block_node_ref(s->target);
    s->sync = o->sync;
    s->bitmap_mode = o->bitmap_mode;
    s->on_source_error = o->on_source_error;
    s->on_target_error = o->on_target_error;
    s->max_workers = o->max_workers ? o->max_workers : DEFAULT_WORKERS;
    co_queue_init(&s->worker_done);
    block_drain_begin(s->source);
    s->filter = make_filter(o, errp);
    if (!s->filter) {
        goto undo;
    }
    s->copy = cbw_block_copy(s->filter);
    block_copy_set_compress(s->copy, o->compress);
    cluster = block_copy_cluster_size(s->copy);
    s->max_chunk = ROUND_DOWN(MAX(o->max_chunk ? o->max_chunk : DEFAULT_CHUNK, cluster), cluster);
    if (!set_up_bitmaps(s, o->bitmap, errp) ||
        !block_job_add_node(&s->common, "target", s->target, 0, BLOCK_PERM_ALL, errp)) {
        goto undo;
    }
    block_drain_end(s->source);
    return &s->common;

undo:
    block_drain_end(s->source);
    if (s->bitmap) {
        dirty_bitmap_set_busy(s->bitmap, false);
    }
    backup_clean(&s->common.job);
    job_abandon(&s->common.job);
    return NULL;
}
