/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Images as a whole: creating, checking, amending, measuring and describing
 * them through the hooks of their drivers. Main thread; the hooks themselves
 * run as coroutines.
 */
#include "util/osdep.h"
#include "block/block-int.h"
#include "block/image.h"
#include "block/options.h"

/* ---- running a coroutine without a node ---- */

typedef struct CreateWork {
    const BlockDriver *drv;
    const char *filename;
    JsonValue *options;
    const BlockdevCreateOptions *typed;
    Error **errp;
    int ret;
    bool done;
} CreateWork;

static bool work_done(void *opaque)
{
    CreateWork *w = opaque;

    return atomic_load_acquire(&w->done);
}

static void run_without_node(CoroutineEntry *entry, CreateWork *w)
{
    assert(!coroutine_running());
    coroutine_enter(coroutine_create(entry, w));
    block_wait(work_done, w);
}

static void work_finish(CreateWork *w, int ret)
{
    w->ret = ret;
    atomic_store_release(&w->done, true);
    block_wait_kick();
}

/* ---- creation ---- */

static bool unknown_option(JsonValue *options, Error **errp)
{
    const char *key;
    JsonValue *v;

    if (json_object_len(options) == 0) {
        return false;
    }
    json_object_at(options, 0, &key, &v);
    error_setg(errp, "Invalid parameter '%s'", key);
    return true;
}

static void coroutine_fn create_entry(void *opaque)
{
    CreateWork *w = opaque;
    Error *err = NULL;
    int ret = w->drv->co_create_opts(w->drv, w->filename, w->options, &err);

    if (ret >= 0 && unknown_option(w->options, &err)) {
        ret = -EINVAL;
    }
    if (ret < 0 && !err) {
        error_setg_errno(&err, -ret, "Could not create image");
    }
    error_propagate(w->errp, err);
    work_finish(w, ret);
}

bool block_image_create(const char *format, const char *filename, JsonValue *given, Error **errp)
{
    g_autoptr(JsonValue) options = json_copy(given);
    const BlockDriver *drv = block_driver_find(format);
    CreateWork w = { .drv = drv, .filename = filename, .options = options, .errp = errp };

    if (!drv) {
        error_setg(errp, "Unknown file format '%s'", format);
        return false;
    }
    if (!drv->co_create_opts) {
        error_setg(errp, "Format driver '%s' does not support image creation", format);
        return false;
    }
    run_without_node(create_entry, &w);
    return w.ret >= 0;
}

bool block_image_create_like(const char *format, const char *filename, BlockNode *source,
                             BlockNode *backing, Error **errp)
{
    BlockImageCreate c = {
        .format = format ? format : source->drv->name,
        .filename = filename,
        .has_size = true,
        .size = source->total_bytes,
        .backing = backing ? backing->filename : NULL,
        .backing_format = backing ? backing->drv->name : NULL,
        .unsafe = true,         /* it is open, so it is there */
    };

    return block_image_create_checked(&c, errp);
}

/* Takes what @drv's table knows out of @options. */
static JsonValue *take_known(const BlockDriver *drv, JsonValue *options)
{
    JsonValue *known = json_object();
    const BlockImageOption *o;

    for (o = drv->create_options; o && o->name; o++) {
        JsonValue *v = json_object_get(options, o->name);

        if (v) {
            json_object_set_take(known, o->name, json_ref(v));
            json_object_remove(options, o->name);
        }
    }
    return known;
}

/* ---- files for images ---- */

typedef struct OpenWork {
    const char *filename;
    const BlockdevRef *ref;     /* instead */
    Coroutine *co;
    BlockNode *bn;
    Error **errp;
} OpenWork;

/* Opening waits, which a coroutine may not. */
static void open_created(void *opaque)
{
    OpenWork *w = opaque;
    JsonValue *options = json_object();
    const BlockDriver *drv = block_protocol_for(w->filename, w->errp);

    if (drv) {
        json_object_set_string(options, "driver", drv->name);
        w->bn = block_open(w->filename, options,
                           BLOCK_OPEN_RDWR | BLOCK_OPEN_PROTOCOL | BLOCK_OPEN_UNMAP, w->errp);
    } else {
        json_unref(options);
    }
    coroutine_wake(w->co);
}

BlockNode *coroutine_fn block_co_open_file(const char *filename, Error **errp)
{
    OpenWork w = { .filename = filename, .co = coroutine_self(), .errp = errp };

    event_loop_run_soon(event_loop_main(), open_created, &w);
    coroutine_yield();
    return w.bn;
}

static void open_ref(void *opaque)
{
    OpenWork *w = opaque;

    if (w->ref->type != QAPI_ALT_STR) {
        w->bn = block_open(NULL, qapi_encode(&qapi_type_BlockdevOptions, w->ref->u.definition),
                           BLOCK_OPEN_RDWR, w->errp);
    } else {
        w->bn = block_lookup(w->ref->u.reference, w->ref->u.reference, w->errp);
        if (w->bn) {
            block_node_ref(w->bn);
        }
    }
    coroutine_wake(w->co);
}

BlockNode *coroutine_fn block_co_open_ref(const BlockdevRef *ref, Error **errp)
{
    OpenWork w = { .ref = ref, .co = coroutine_self(), .errp = errp };

    event_loop_run_soon(event_loop_main(), open_ref, &w);
    coroutine_yield();
    return w.bn;
}

typedef struct CloseWork {
    BlockBackend *blk;
    BlockNode *bn;
    Coroutine *co;
} CloseWork;

static void close_existing(void *opaque)
{
    CloseWork *w = opaque;

    blk_unref(w->blk);
    block_node_unref(w->bn);
    coroutine_wake(w->co);
}

/* Closing drains, which a coroutine may not either. */
static void coroutine_fn co_close_existing(BlockBackend *blk, BlockNode *bn)
{
    CloseWork w = { .blk = blk, .bn = bn, .co = coroutine_self() };

    event_loop_run_soon(event_loop_main(), close_existing, &w);
    coroutine_yield();
}

/*
 * For protocols that cannot create: what is there already is taken, if it is large enough, and its
 * first sector is cleared so that it is not taken for the image that it was.
 */
static int coroutine_fn use_existing(const BlockDriver *drv, const char *filename,
                                     JsonValue *options, Error **errp)
{
    static const uint8_t sector[512];
    uint64_t size = 0;
    BlockBackend *blk;
    BlockNode *bn;
    Error *err = NULL;
    int ret = -EINVAL;

    if (!block_option_take_size(options, "size", &size, NULL, errp)) {
        return -EINVAL;
    }
    bn = block_co_open_file(filename, &err);
    if (!bn) {
        error_setg(errp, "Protocol driver '%s' does not support image creation, and opening the "
                         "image failed: %s", drv->name, error_message(err));
        error_free(err);
        return -EINVAL;
    }
    blk = blk_new(bn->loop, BLOCK_PERM_WRITE | BLOCK_PERM_CONSISTENT_READ, BLOCK_PERM_ALL);
    if (!blk_insert(blk, bn, errp)) {
        goto out;
    }
    if (bn->total_bytes < (int64_t)size) {
        error_setg(errp, "Cannot grow device files");
        goto out;
    }
    ret = 0;
    if (bn->total_bytes > 0) {
        IoVector v;

        io_vector_init_buf(&v, (void *)sector, MIN((int64_t)sizeof(sector), bn->total_bytes));
        ret = blk_co_pwritev(blk, 0, v.size, &v, 0);
        if (ret < 0) {
            error_setg_errno(errp, -ret, "Failed to clear the new image's first sector");
        }
    }
out:
    co_close_existing(blk, bn);
    return ret;
}

static int coroutine_fn create_with_protocol(const char *filename, JsonValue *options, Error **errp)
{
    g_autoptr(JsonValue) known = NULL;
    const BlockDriver *drv = block_protocol_for(filename, errp);
    Error *err = NULL;
    int ret;

    if (!drv) {
        return -ENOENT;
    }
    if (!drv->co_create_opts) {
        return use_existing(drv, filename, options, errp);
    }
    known = take_known(drv, options);
    if (!json_object_has(known, "size")) {
        json_object_set_int(known, "size", 0);
    }
    ret = drv->co_create_opts(drv, filename, known, &err);
    if (ret < 0 && !err) {
        error_setg_errno(&err, -ret, "Could not create image");
    }
    error_propagate(errp, err);
    return ret;
}

int coroutine_fn block_co_create_protocol(const char *filename, JsonValue *options, Error **errp)
{
    return create_with_protocol(filename, options, errp);
}

BlockNode *coroutine_fn block_co_create_file(const char *filename, JsonValue *options, Error **errp)
{
    if (create_with_protocol(filename, options, errp) < 0) {
        return NULL;
    }
    return block_co_open_file(filename, errp);
}

int coroutine_fn block_co_create(const BlockdevCreateOptions *options, Error **errp)
{
    const char *name = BlockdevDriver_str(options->driver);
    const BlockDriver *drv = block_driver_find(name);

    if (!drv) {
        error_setg(errp, "Block driver '%s' not found or not supported", name);
        return -ENOTSUP;
    }
    if (!drv->co_create) {
        error_setg(errp, "Driver does not support blockdev-create");
        return -ENOTSUP;
    }
    return drv->co_create(options, errp);
}

/* ---- check, amend, measure ---- */

typedef struct NodeWork {
    BlockNode *bn;
    BlockCheckResult *result;
    unsigned fix;
    JsonValue *options;
    BlockProgress *progress;
    void *opaque;
    bool force;
    Error **errp;
    int ret;
} NodeWork;

static void coroutine_fn check_entry(void *opaque)
{
    NodeWork *w = opaque;

    w->ret = w->bn->drv->co_check(w->bn, w->result, w->fix);
}

int block_check(BlockNode *bn, BlockCheckResult *result, unsigned fix)
{
    NodeWork w = { .bn = bn, .result = result, .fix = fix };

    memset(result, 0, sizeof(*result));
    if (!bn->drv->co_check) {
        return -ENOTSUP;
    }
    block_run_coroutine(bn, check_entry, &w);
    return w.ret;
}

static void coroutine_fn amend_entry(void *opaque)
{
    NodeWork *w = opaque;
    Error *err = NULL;

    w->ret = w->bn->drv->co_amend(w->bn, w->options, w->progress, w->opaque, w->force, &err);
    if (w->ret >= 0 && unknown_option(w->options, &err)) {
        w->ret = -EINVAL;
    }
    if (w->ret < 0 && !err) {
        error_setg_errno(&err, -w->ret, "Could not amend the image");
    }
    error_propagate(w->errp, err);
}

bool block_amend(BlockNode *bn, JsonValue *given, BlockProgress *progress, void *opaque, bool force,
                 Error **errp)
{
    g_autoptr(JsonValue) options = NULL;
    NodeWork w = { .bn = bn, .progress = progress, .opaque = opaque, .force = force, .errp = errp };

    if (!bn->drv->co_amend) {
        error_setg(errp, "Block driver '%s' does not support option amendment", bn->drv->name);
        return false;
    }
    w.options = options = json_copy(given);
    block_run_coroutine(bn, amend_entry, &w);
    return w.ret >= 0;
}

BlockMeasureInfo *block_measure(const BlockDriver *drv, JsonValue *options, BlockNode *in,
                                Error **errp)
{
    if (!drv->measure) {
        error_setg(errp, "Block driver '%s' does not support size measurement", drv->name);
        return NULL;
    }
    return drv->measure(options, in, errp);
}

/* ---- description ---- */

int block_image_info(BlockNode *bn, BlockImageInfo *info)
{
    BlockChild *c = block_primary_child(bn);

    memset(info, 0, sizeof(*info));
    if (bn->drv->image_info) {
        return bn->drv->image_info(bn, info);
    }
    return bn->drv->is_filter && c ? block_image_info(c->node, info) : -ENOTSUP;
}

static SnapshotInfo *snapshot_info(const BlockSnapshot *s)
{
    SnapshotInfo *info = g_new0(SnapshotInfo, 1);

    info->id = g_strdup(s->id);
    info->name = g_strdup(s->name);
    info->vm_state_size = s->vm_state_size;
    info->date_sec = s->date_sec;
    info->date_nsec = s->date_nsec;
    info->vm_clock_sec = s->vm_clock_nsec / 1000000000;
    info->vm_clock_nsec = s->vm_clock_nsec % 1000000000;
    info->has_icount = s->icount != UINT64_MAX;
    info->icount = info->has_icount ? s->icount : 0;
    return info;
}

static SnapshotInfoList *snapshot_infos(BlockNode *bn)
{
    g_autofree BlockSnapshot *list = NULL;
    SnapshotInfoList *infos = NULL, **tail = &infos;
    int i, n = block_snapshot_list(bn, &list);

    for (i = 0; i < n; i++) {
        *tail = g_new0(SnapshotInfoList, 1);
        (*tail)->value = snapshot_info(&list[i]);
        tail = &(*tail)->next;
    }
    return infos;
}

static void add_backing_info(BlockNode *bn, ImageInfo *info)
{
    const char *name = bn->backing_file;

    if (!name || !*name) {
        return;
    }
    info->backing_filename = g_strdup(name);
    info->full_backing_filename =
        block_backing_path(bn->exact_filename ? bn->exact_filename : bn->filename, name, NULL);
    if (bn->backing_format && *bn->backing_format) {
        info->backing_filename_format = g_strdup(bn->backing_format);
    }
}

ImageInfo *block_query_image(BlockNode *bn, bool chain, Error **errp)
{
    ImageInfo *info = g_new0(ImageInfo, 1);
    int64_t allocated = block_allocated_size(bn);
    BlockNode *backing = chain ? block_backing(bn) : NULL;
    BlockImageInfo image;
    Error *err = NULL;

    info->filename = g_strdup(bn->filename);
    info->format = g_strdup(bn->drv->name);
    info->virtual_size = bn->total_bytes;
    info->has_actual_size = allocated >= 0;
    info->actual_size = MAX(allocated, 0);
    if (bn->encrypted) {
        info->has_encrypted = info->encrypted = true;
    }
    if (block_image_info(bn, &image) >= 0) {
        if (image.cluster_size) {
            info->has_cluster_size = true;
            info->cluster_size = image.cluster_size;
        }
        info->has_dirty_flag = true;
        info->dirty_flag = image.is_dirty;
    }
    add_backing_info(bn, info);
    if (bn->drv->specific_info) {
        info->format_specific = bn->drv->specific_info(bn, &err);
        if (err) {
            goto undo;
        }
    }
    info->snapshots = snapshot_infos(bn);
    if (backing) {
        info->backing_image = block_query_image(backing, true, &err);
        if (!info->backing_image) {
            goto undo;
        }
    }
    return info;

undo:
    qapi_free_ImageInfo(info);
    error_propagate(errp, err);
    return NULL;
}
