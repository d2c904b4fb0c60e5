/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stream job: what a node shows from its backing chain above @base is
 * copied into the node itself by copy-on-read, then the node's backing image
 * becomes @base (or none). The guest goes on reading and writing meanwhile.
 *
 * run() is a coroutine on the job's loop, the rest runs on the main thread.
 */
#include "util/osdep.h"
#include "block/image.h"
#include "block/jobs/blockjob.h"
#include "qapi-commands.h"

#define STREAM_CHUNK (512 * 1024)

typedef struct StreamJob {
    BlockJob common;
    BlockNode *bn;              /* the image to fill */
    BlockChild *edge;           /* to it */
    BlockNode *above_base;      /* the last layer that is copied from */
    BlockdevOnError on_error;
    char *backing_file;         /* what the image is to say; NULL: the name of the base */
    bool was_read_only;
} StreamJob;

/* 1: the backing chain has data for it that the image lacks; *@n bytes have the same answer. */
static int coroutine_fn must_copy(StreamJob *s, int64_t offset, int64_t bytes, int64_t *n)
{
    BlockNode *backing = block_backing(s->bn);
    int ret;

    if (s->above_base == s->bn) {
        *n = bytes;
        return 0;
    }
    ret = block_co_is_allocated_above(s->bn, s->bn, true, offset, bytes, n);
    if (ret != 0) {
        return MIN(ret, 0);
    }
    ret = block_co_is_allocated_above(backing, s->above_base, true, offset, *n, n);
    if (ret == 0 && *n == 0) {
        /* Past the end of the backing image. */
        *n = bytes;
    }
    return ret;
}

static int coroutine_fn stream_run(Job *job, Error **errp)
{
    StreamJob *s = container_of(job, StreamJob, common.job);
    int64_t len = s->bn->total_bytes, offset, n;
    int error = 0;

    if (!block_backing(s->bn)) {
        return 0;
    }
    job_progress_set_remaining(job, len);
    for (offset = 0; offset < len && !job_is_cancelled(job); offset += n) {
        int ret = must_copy(s, offset, MIN(STREAM_CHUNK, len - offset), &n);
        bool copy = ret > 0;

        if (copy) {
            ret = block_co_preadv(s->edge, offset, n, NULL, 0,
                                  BLOCK_REQ_COPY_ON_READ | BLOCK_REQ_PREFETCH);
        }
        if (ret < 0) {
            BlockErrorAction action = block_job_error(&s->common, s->on_error, true, -ret);

            if (action == BLOCK_ERROR_ACTION_STOP) {
                n = 0;
                block_job_throttle(&s->common, 0);
                continue;
            }
            error = error ? error : ret;
            if (action == BLOCK_ERROR_ACTION_REPORT) {
                break;
            }
            n = MIN(STREAM_CHUNK, len - offset);
        }
        job_progress_add(job, n);
        block_job_throttle(&s->common, copy ? n : 0);
    }
    return error;
}

/* Everything is in the image: let go of the layers. */
static int stream_prepare(Job *job)
{
    StreamJob *s = container_of(job, StreamJob, common.job);
    BlockNode *bn = s->bn, *base;
    const char *name = s->backing_file, *format = NULL;
    int ret = 0;

    if (!block_backing(bn)) {
        return 0;
    }
    block_node_ref(bn);
    base = block_backing(s->above_base);
    if (base) {
        block_node_ref(base);
    }
    block_job_drop_nodes(&s->common);
    if (base) {
        name = name ? name : base->filename;
        format = base->drv->is_protocol ? NULL : base->drv->name;
    }
    if (!block_set_backing(bn, base, &job->err)) {
        ret = -EPERM;
    } else {
        ret = block_change_backing_file(bn, name, format, false);
    }
    block_node_unref(base);
    block_node_unref(bn);
    return ret;
}

static void stream_clean(Job *job)
{
    StreamJob *s = container_of(job, StreamJob, common.job);

    block_job_drop_nodes(&s->common);
    if (s->was_read_only) {
        /* It was fine like that before; if not now, it stays writable and nothing is lost. */
        block_reopen_set_read_only(s->bn, true, NULL);
    }
    g_clear_pointer(&s->bn, block_node_unref);
    g_clear_pointer(&s->above_base, block_node_unref);
    g_clear_pointer(&s->backing_file, g_free);
}

static const JobDriver stream_driver = {
    .type = JOB_TYPE_STREAM,
    .instance_size = sizeof(StreamJob),
    .run = stream_run,
    .prepare = stream_prepare,
    .clean = stream_clean,
    BLOCK_JOB_HOOKS,
};

/* The layers between the image and its new backing image keep still. */
static bool hold_layers(StreamJob *s, Error **errp)
{
    BlockNode *p;

    for (p = s->bn; p != s->above_base;) {
        p = block_backing(p);
        if (!block_job_add_node(&s->common, "intermediate node", p, 0,
                                BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE_UNCHANGED, errp)) {
            return false;
        }
    }
    return true;
}

static bool start(BlockNode *bn, BlockNode *above_base, const QmpBlockStreamArgs *args,
                  Error **errp)
{
    BlockJobOptions opts = BLOCK_JOB_OPTIONS(args);
    bool read_only = bn->read_only;
    StreamJob *s;

    if (read_only && !block_reopen_set_read_only(bn, false, errp)) {
        return false;
    }
    s = block_job_new(&stream_driver, &opts, bn,
                      BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE_UNCHANGED,
                      BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE_UNCHANGED | BLOCK_PERM_WRITE,
                      errp);
    if (!s) {
        if (read_only) {
            block_reopen_set_read_only(bn, true, NULL);
        }
        return false;
    }
    s->edge = s->common.edges->data;
    s->bn = bn;
    block_node_ref(bn);
    s->above_base = above_base;
    block_node_ref(above_base);
    s->backing_file = g_strdup(args->backing_file);
    s->on_error = args->has_on_error ? args->on_error : BLOCKDEV_ON_ERROR_REPORT;
    s->was_read_only = read_only;
    if (!hold_layers(s, errp)) {
        stream_clean(&s->common.job);
        job_abandon(&s->common.job);
        return false;
    }
    job_start(&s->common.job);
    return true;
}

/* A layer by the file name that its overlay, or the user, knows. */
static BlockNode *find_by_filename(BlockNode *top, const char *name)
{
    BlockNode *p;

    for (p = block_backing(top); p; p = block_backing(p)) {
        g_autofree char *full = block_backing_path(top->filename, name, NULL);

        if (!strcmp(p->filename, name) || (full && !strcmp(p->filename, full))) {
            return p;
        }
    }
    return NULL;
}

/* The node right above @base. */
static BlockNode *find_overlay(BlockNode *top, BlockNode *base)
{
    BlockNode *p;

    for (p = block_skip_filters(top); p && block_backing(p) != base; p = block_backing(p)) {
    }
    return p;
}

/* The last layer to copy from: above base, or "bottom", or the end of the chain. */
static BlockNode *find_above_base(BlockNode *bn, const QmpBlockStreamArgs *args, Error **errp)
{
    BlockNode *base = NULL, *bottom = NULL;

    if (args->base && args->base_node) {
        error_setg(errp, "'base' and 'base-node' cannot be specified at the same time");
        return NULL;
    }
    if ((args->base || args->base_node) && args->bottom) {
        error_setg(errp, "'%s' and 'bottom' cannot be specified at the same time",
                   args->base ? "base" : "base-node");
        return NULL;
    }
    if (args->base) {
        base = find_by_filename(bn, args->base);
        if (!base) {
            error_setg(errp, "Can't find '%s' in the backing chain", args->base);
            return NULL;
        }
    } else if (args->base_node) {
        base = block_lookup(NULL, args->base_node, errp);
        if (!base) {
            return NULL;
        }
        if (base == bn || !block_chain_contains(bn, base)) {
            error_setg(errp, "Node '%s' is not a backing image of '%s'", args->base_node,
                       args->device);
            return NULL;
        }
    } else if (args->bottom) {
        bottom = block_lookup(NULL, args->bottom, errp);
        if (!bottom) {
            return NULL;
        }
        if (bottom->drv->is_filter) {
            error_setg(errp,
                       "Node '%s' is a filter, use a non-filter node as 'bottom'", args->bottom);
            return NULL;
        }
        if (bottom == bn || !block_chain_contains(bn, bottom)) {
            error_setg(errp, "Node '%s' is not in a chain starting from '%s'", args->bottom,
                       args->device);
            return NULL;
        }
        return bottom;
    }
    if (!base && args->backing_file) {
        error_setg(errp, "backing file specified, but streaming the entire chain");
        return NULL;
    }
    return find_overlay(bn, base ? block_skip_filters(base) : NULL);
}

bool qmp_block_stream(const QmpBlockStreamArgs *args, Error **errp)
{
    BlockNode *bn = block_lookup(args->device, args->device, errp);
    BlockNode *above_base, *p;

    bn = bn ? block_skip_filters(bn) : NULL;
    if (!bn) {
        return false;
    }
    above_base = find_above_base(bn, args, errp);
    if (!above_base) {
        return false;
    }
    for (p = bn; p; p = p == above_base ? NULL : block_backing(p)) {
        if (!block_node_check_unblocked(p, errp)) {
            return false;
        }
    }
    return start(bn, above_base, args, errp);
}
