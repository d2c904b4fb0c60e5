/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commit job: what the layers from @top down to above @base hold is
 * written into @base, then @top's overlay gets @base as its backing image. When
 * @top is the active layer the guest goes on writing to it, so that is a mirror
 * onto @base (mirror.c) and this file only starts it.
 *
 * A filter above @top tells the permission system that nobody relies on @base
 * standing still. run() is a coroutine on the job's loop, the rest runs on
 * the main thread.
 */
#include "util/osdep.h"
#include "block/image.h"
#include "block/jobs/blockjob.h"
#include "block/jobs/mirror.h"
#include "block/jobs/top-filter.h"
#include "qapi-commands.h"

#define COMMIT_CHUNK (512 * 1024)

typedef struct CommitJob {
    BlockJob common;
    BlockNode *filter, *top, *base, *overlay;
    BlockChild *top_edge, *base_edge;
    BlockdevOnError on_error;
    char *backing_file;
    bool base_was_read_only;
} CommitJob;

/* ---- the filter ---- */

static void commit_top_perm(BlockNode *bn, BlockChild *c, unsigned role, uint64_t perm,
                            uint64_t shared, uint64_t *nperm, uint64_t *nshared)
{
    *nperm = 0;
    *nshared = BLOCK_PERM_ALL;
}

BLOCK_DRIVER(commit_top_driver) = {
    .name = "commit_top",
    .internal = true,
    .child_perm = commit_top_perm,
    TOP_FILTER_HOOKS,
};

/* ---- the work ---- */

static int coroutine_fn copy_chunk(CommitJob *s, int64_t offset, int64_t n, int status, void *buf,
                                   bool *is_read)
{
    int ret;

    *is_read = false;
    if (status & BLOCK_STATUS_ZERO) {
        return block_co_pwrite_zeroes(s->base_edge, offset, n, 0);
    }
    ret = block_co_pread(s->top_edge, offset, n, buf, 0);
    *is_read = ret < 0;
    return ret < 0 ? ret : block_co_pwrite(s->base_edge, offset, n, buf, 0);
}

static int coroutine_fn copy_all(CommitJob *s, int64_t len, void *buf)
{
    Job *job = &s->common.job;
    int64_t offset, n;

    for (offset = 0; offset < len && !job_is_cancelled(job); offset += n) {
        bool is_read = true, copy;
        int ret = block_co_status_above(s->top, s->base, true, offset,
                                        MIN(COMMIT_CHUNK, len - offset), &n, NULL, NULL, NULL);

        copy = ret >= 0 && (ret & BLOCK_STATUS_ALLOCATED);
        if (copy) {
            ret = copy_chunk(s, offset, n, ret, buf, &is_read);
        }
        if (ret < 0) {
            BlockErrorAction action = block_job_error(&s->common, s->on_error, is_read, -ret);

            if (action == BLOCK_ERROR_ACTION_REPORT) {
                return ret;
            }
            n = 0;
            block_job_throttle(&s->common, 0);
            continue;
        }
        job_progress_add(job, n);
        block_job_throttle(&s->common, copy ? n : 0);
    }
    return 0;
}

static int coroutine_fn commit_run(Job *job, Error **errp)
{
    CommitJob *s = container_of(job, CommitJob, common.job);
    int64_t len = s->top->total_bytes;
    void *buf;
    int ret;

    job_progress_set_remaining(job, len);
    if (s->base->total_bytes < len) {
        ret = block_co_truncate(s->base_edge, len, false, PREALLOC_MODE_OFF, 0, errp);
        if (ret < 0) {
            return ret;
        }
    }
    buf = block_buffer_alloc(s->base, COMMIT_CHUNK);
    if (!buf) {
        return -ENOMEM;
    }
    ret = copy_all(s, len, buf);
    block_buffer_free(buf);
    return ret == 0 && !job_is_cancelled(job) ? block_co_flush(s->base) : ret;
}

/* ---- the end ---- */

static int commit_prepare(Job *job)
{
    CommitJob *s = container_of(job, CommitJob, common.job);
    const char *name = s->backing_file ? s->backing_file : s->base->filename;
    int ret;

    block_job_drop_nodes(&s->common);
    if (!block_set_backing(s->overlay, s->base, &job->err)) {
        return -EPERM;
    }
    ret = block_change_backing_file(s->overlay, name, s->base->drv->name, false);
    if (ret < 0) {
        error_setg_errno(&job->err, -ret, "Cannot change the backing file of node '%s'",
                         s->overlay->node_name);
        /* The image still names @top, whose content is all there: so must we. */
        block_set_backing(s->overlay, s->filter, NULL);
    }
    return ret;
}

static void commit_clean(Job *job)
{
    CommitJob *s = container_of(job, CommitJob, common.job);

    block_job_drop_nodes(&s->common);
    if (s->filter) {
        top_filter_remove(g_steal_pointer(&s->filter), NULL, NULL);
    }
    if (s->base_was_read_only) {
        block_reopen_set_read_only(s->base, true, NULL);
    }
    g_clear_pointer(&s->top, block_node_unref);
    g_clear_pointer(&s->base, block_node_unref);
    g_clear_pointer(&s->overlay, block_node_unref);
    g_clear_pointer(&s->backing_file, g_free);
}

static const JobDriver commit_driver = {
    .type = JOB_TYPE_COMMIT,
    .instance_size = sizeof(CommitJob),
    .run = commit_run,
    .prepare = commit_prepare,
    .clean = commit_clean,
    BLOCK_JOB_HOOKS,
};

/* ---- the start ---- */

static bool hold_nodes(CommitJob *s, Error **errp)
{
    BlockNode *p;

    for (p = block_backing(s->top); p && p != s->base; p = block_backing(p)) {
        if (!block_job_add_node(&s->common, "intermediate node", p, 0,
                                BLOCK_PERM_WRITE_UNCHANGED | BLOCK_PERM_WRITE, errp)) {
            return false;
        }
    }
    s->base_edge = block_job_add_node(
        &s->common, "base", s->base,
        BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE,
        BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE_UNCHANGED, errp);
    return s->base_edge != NULL;
}

static bool start(const BlockJobOptions *opts, BlockNode *active, BlockNode *top, BlockNode *base,
                  BlockdevOnError on_error, const char *backing_file, const char *filter_name,
                  Error **errp)
{
    CommitJob *s;

    s = block_job_new(&commit_driver, opts, top, 0, BLOCK_PERM_ALL, errp);
    if (!s) {
        return false;
    }
    s->top_edge = s->common.edges->data;
    s->on_error = on_error;
    s->backing_file = g_strdup(backing_file);
    for (s->overlay = active; block_backing(s->overlay) != top;) {
        s->overlay = block_backing(s->overlay);
    }
    s->top = top;
    s->base = base;
    block_node_ref(s->top);
    block_node_ref(s->base);
    block_node_ref(s->overlay);
    if (base->read_only) {
        if (!block_reopen_set_read_only(base, false, errp)) {
            goto undo;
        }
        s->base_was_read_only = true;
    }
    s->filter = top_filter_insert(&commit_top_driver, filter_name, top, errp);
    if (!s->filter || !hold_nodes(s, errp)) {
        goto undo;
    }
    job_start(&s->common.job);
    return true;

undo:
    commit_clean(&s->common.job);
    job_abandon(&s->common.job);
    return false;
}

/* ---- QMP ---- */

static BlockNode *find_layer(BlockNode *top, const char *filename)
{
    BlockNode *p;

    for (p = block_skip_filters(top); p; p = block_backing(p)) {
        BlockNode *below = block_backing(p);
        g_autofree char *full = block_backing_path(p->filename, filename, NULL);

        if (below && (!strcmp(below->filename, filename) ||
                      (full && !strcmp(below->filename, full)) ||
                      !g_strcmp0(p->backing_file, filename))) {
            return below;
        }
    }
    return NULL;
}

static bool choose_top(const QmpBlockCommitArgs *args, BlockNode *active, BlockNode **top,
                       Error **errp)
{
    *top = active;
    if (args->top_node && args->top) {
        error_setg(errp, "'top-node' and 'top' are mutually exclusive");
        return false;
    }
    if (args->top_node) {
        *top = block_lookup(NULL, args->top_node, errp);
        if (!*top) {
            return false;
        }
        if (!block_chain_contains(active, *top)) {
            error_setg(errp, "'%s' is not in this backing file chain", args->top_node);
            return false;
        }
    } else if (args->top && strcmp(active->filename, args->top)) {
        *top = find_layer(active, args->top);
        if (!*top) {
            error_setg(errp, "Top image file %s not found", args->top);
            return false;
        }
    }
    *top = block_skip_filters(*top);
    return true;
}

static bool choose_base(const QmpBlockCommitArgs *args, BlockNode *active, BlockNode *top,
                        BlockNode **base, Error **errp)
{
    BlockNode *p;

    *base = NULL;
    if (args->base_node && args->base) {
        error_setg(errp, "'base-node' and 'base' are mutually exclusive");
        return false;
    }
    if (args->base_node) {
        *base = block_lookup(NULL, args->base_node, errp);
        if (!*base) {
            return false;
        }
        if (!block_chain_contains(top, *base)) {
            error_setg(errp, "'%s' is not in this backing file chain", args->base_node);
            return false;
        }
        *base = block_skip_filters(*base);
    } else if (args->base) {
        *base = find_layer(top, args->base);
        if (!*base) {
            error_setg(errp, "Can't find '%s' in the backing chain", args->base);
            return false;
        }
    } else {
        for (p = block_backing(top); p; p = block_backing(p)) {
            *base = p;
        }
        if (!*base) {
            *base = top;
        }
    }
    if (*base == top) {
        error_setg(errp, "cannot commit an image into itself");
        return false;
    }
    return true;
}

bool qmp_block_commit(const QmpBlockCommitArgs *args, Error **errp)
{
    BlockJobOptions opts = BLOCK_JOB_OPTIONS(args);
    BlockdevOnError on_error = args->has_on_error ? args->on_error : BLOCKDEV_ON_ERROR_REPORT;
    BlockNode *active = block_job_root_node(args->device, errp), *top, *base, *p;

    active = active ? block_skip_filters(active) : NULL;
    if (!active || !choose_top(args, active, &top, errp) ||
        !choose_base(args, active, top, &base, errp)) {
        return false;
    }
    for (p = top; p; p = p == base ? NULL : block_backing(p)) {
        if (!block_node_check_unblocked(p, errp)) {
            return false;
        }
    }
    if (top == active) {
        if (args->backing_file) {
            error_setg(errp, "'backing-file' specified, but 'top' is the active layer");
            return false;
        }
        return mirror_start_active_commit(&opts, active, base, on_error, args->filter_node_name,
                                          errp);
    }
    return start(&opts, active, top, base, on_error, args->backing_file, args->filter_node_name,
                 errp);
}
