/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QMP commands that start mirrors and backups: arguments, and targets that are
 * made for the job. Main thread.
 */
#include "util/osdep.h"
#include "block/image.h"
#include "block/jobs/backup.h"
#include "block/jobs/mirror.h"
#include "block/transaction.h"
#include "qapi-commands.h"

#define ON_ERROR(args, field)                                               \
    ((args)->has_##field ? (args)->field : BLOCKDEV_ON_ERROR_REPORT)

/* ---- mirror ---- */

bool qmp_blockdev_mirror(const QmpBlockdevMirrorArgs *args, Error **errp)
{
    MirrorOptions o = {
        .job = BLOCK_JOB_OPTIONS(args),
        .sync = args->sync,
        .copy_mode = args->has_copy_mode ? args->copy_mode : MIRROR_COPY_MODE_BACKGROUND,
        .backing = MIRROR_BACKING_LEAVE,
        .granularity = args->has_granularity ? args->granularity : 0,
        .buf_size = args->has_buf_size ? args->buf_size : 0,
        .on_source_error = ON_ERROR(args, on_source_error),
        .on_target_error = ON_ERROR(args, on_target_error),
        .unmap = true,
        .replaces = args->replaces,
        .filter_name = args->filter_node_name,
    };

    o.source = block_lookup(args->device, args->device, errp);
    o.target = o.source ? block_lookup(args->target, args->target, errp) : NULL;
    if (!o.target) {
        return false;
    }
    o.source = block_skip_filters(o.source);
    return mirror_start(&o, errp);
}

/* ---- targets that are files ---- */

typedef struct TargetFile {
    const char *filename, *format, *node_name;
    bool existing;
    BlockNode *source;
    BlockNode *backing;         /* what a new image names as its backing file, or NULL */
} TargetFile;

/* The target's node, with its backing file closed. */
static BlockNode *open_target(const TargetFile *t, Error **errp)
{
    const char *format = t->format ? t->format : t->existing ? NULL : t->source->drv->name;
    JsonValue *options;

    if (!t->existing &&
        !block_image_create_like(format, t->filename, t->source, t->backing, errp)) {
        return NULL;
    }
    options = json_object();
    if (t->node_name) {
        json_object_set_string(options, "node-name", t->node_name);
    }
    if (format) {
        json_object_set_string(options, "driver", format);
    }
    return block_open(t->filename, options,
                      BLOCK_OPEN_RDWR | BLOCK_OPEN_NO_BACKING |
                          (t->source->open_flags & (BLOCK_OPEN_NOCACHE | BLOCK_OPEN_NO_FLUSH |
                                                    BLOCK_OPEN_UNMAP)), errp);
}

bool qmp_drive_mirror(const QmpDriveMirrorArgs *args, Error **errp)
{
    MirrorOptions o = {
        .job = BLOCK_JOB_OPTIONS(args),
        .sync = args->sync,
        .copy_mode = args->has_copy_mode ? args->copy_mode : MIRROR_COPY_MODE_BACKGROUND,
        .granularity = args->has_granularity ? args->granularity : 0,
        .buf_size = args->has_buf_size ? args->buf_size : 0,
        .on_source_error = ON_ERROR(args, on_source_error),
        .on_target_error = ON_ERROR(args, on_target_error),
        .unmap = !args->has_unmap || args->unmap,
        .replaces = args->replaces,
    };
    TargetFile t = {
        .filename = args->target,
        .format = args->format,
        .node_name = args->node_name,
        .existing = args->has_mode && args->mode == NEW_IMAGE_MODE_EXISTING,
    };
    bool ok;

    o.source = block_job_root_node(args->device, errp);
    if (!o.source) {
        return false;
    }
    o.source = block_skip_filters(o.source);
    if (args->replaces && !args->node_name) {
        error_setg(errp, "a node-name must be provided when replacing a named node of the graph");
        return false;
    }
    if (o.sync == MIRROR_SYNC_MODE_TOP && !block_backing(o.source)) {
        o.sync = MIRROR_SYNC_MODE_FULL;
    }
    t.source = o.source;
    if (o.sync == MIRROR_SYNC_MODE_NONE) {
        t.backing = o.source;
    } else if (o.sync == MIRROR_SYNC_MODE_TOP) {
        t.backing = block_backing(o.source);
    }
    o.backing = t.existing ? MIRROR_BACKING_OPEN : MIRROR_BACKING_SOURCE;
    o.target = open_target(&t, errp);
    if (!o.target) {
        return false;
    }
    ok = mirror_start(&o, errp);
    block_node_unref(o.target);
    return ok;
}

/* ---- backup ---- */

typedef struct BackupAction {
    BlockAction common;
    BlockJob *job;
} BackupAction;

static bool check_bitmap(BackupOptions *o, const BackupCommon *args, Error **errp)
{
    bool has_mode = args->has_bitmap_mode;

    o->bitmap_mode = args->bitmap_mode;
    if (o->sync == MIRROR_SYNC_MODE_INCREMENTAL) {
        if (has_mode && args->bitmap_mode != BITMAP_SYNC_MODE_ON_SUCCESS) {
            error_setg(errp, "Bitmap sync mode must be '%s' when using sync mode '%s'",
                       BitmapSyncMode_str(BITMAP_SYNC_MODE_ON_SUCCESS),
                       MirrorSyncMode_str(o->sync));
            return false;
        }
        o->bitmap_mode = BITMAP_SYNC_MODE_ON_SUCCESS;
        has_mode = true;
    }
    if (!args->bitmap) {
        if (o->sync == MIRROR_SYNC_MODE_BITMAP || o->sync == MIRROR_SYNC_MODE_INCREMENTAL) {
            error_setg(errp, "must provide a valid bitmap name for '%s' sync mode",
                       MirrorSyncMode_str(o->sync));
            return false;
        }
        if (has_mode) {
            error_setg(errp, "Cannot specify bitmap sync mode without a bitmap");
            return false;
        }
        return true;
    }
    o->bitmap = dirty_bitmap_find(o->source, args->bitmap);
    if (!o->bitmap) {
        error_setg(errp, "Bitmap '%s' could not be found", args->bitmap);
        return false;
    }
    if (!has_mode) {
        error_setg(errp, "Bitmap sync mode must be given when providing a bitmap");
        return false;
    }
    if (o->bitmap_mode != BITMAP_SYNC_MODE_NEVER ?
            !dirty_bitmap_check(o->bitmap, DIRTY_BITMAP_ANY_STATE, errp) :
            !dirty_bitmap_check(o->bitmap, DIRTY_BITMAP_ALLOW_READONLY, errp)) {
        return false;
    }
    if (o->sync == MIRROR_SYNC_MODE_NONE) {
        error_setg(errp, "sync mode '%s' does not produce meaningful bitmap outputs",
                   MirrorSyncMode_str(o->sync));
        return false;
    }
    if (o->bitmap_mode == BITMAP_SYNC_MODE_NEVER && o->sync != MIRROR_SYNC_MODE_BITMAP) {
        error_setg(errp, "Bitmap sync mode '%s' has no meaningful effect when combined with sync "
                         "mode '%s'", BitmapSyncMode_str(o->bitmap_mode),
                   MirrorSyncMode_str(o->sync));
        return false;
    }
    if (o->sync == MIRROR_SYNC_MODE_INCREMENTAL) {
        o->sync = MIRROR_SYNC_MODE_BITMAP;
    }
    return true;
}

/* Everything but the target. */
static bool backup_options(BackupOptions *o, const BackupCommon *args, JobTxn *txn, Error **errp)
{
    *o = (BackupOptions) {
        .job = BLOCK_JOB_OPTIONS(args),
        .sync = args->sync,
        .compress = args->has_compress && args->compress,
        .on_source_error = ON_ERROR(args, on_source_error),
        .on_target_error = ON_ERROR(args, on_target_error),
        .filter_name = args->filter_node_name,
    };
    o->job.txn = txn;
    if (args->x_perf) {
        if (args->x_perf->has_max_workers && args->x_perf->max_workers < 1) {
            error_setg(errp, "max-workers must be between 1 and %d", INT_MAX);
            return false;
        }
        o->max_workers = args->x_perf->has_max_workers ? args->x_perf->max_workers : 0;
        o->max_chunk = args->x_perf->has_max_chunk ? args->x_perf->max_chunk : 0;
    }
    o->source = block_lookup(args->device, args->device, errp);
    return o->source != NULL;
}

static bool start_backup(BackupAction *a, BackupOptions *o, const BackupCommon *args, Error **errp)
{
    o->source = block_skip_filters(o->source);
    if (o->sync == MIRROR_SYNC_MODE_TOP && !block_backing(o->source)) {
        o->sync = MIRROR_SYNC_MODE_FULL;
    }
    a->job = check_bitmap(o, args, errp) ? backup_job_new(o, errp) : NULL;
    return a->job != NULL;
}

static bool blockdev_backup_prepare(BlockAction *common, Error **errp)
{
    BackupAction *a = container_of(common, BackupAction, common);
    const BlockdevBackup *args = common->args->u.blockdev_backup.data;
    BackupOptions o;

    if (!backup_options(&o, (const BackupCommon *)args, common->txn, errp)) {
        return false;
    }
    o.target = block_lookup(args->target, args->target, errp);
    return o.target && start_backup(a, &o, (const BackupCommon *)args, errp);
}

static bool drive_backup_prepare(BlockAction *common, Error **errp)
{
    BackupAction *a = container_of(common, BackupAction, common);
    const DriveBackup *args = common->args->u.drive_backup.data;
    TargetFile t = {
        .filename = args->target,
        .format = args->format,
        .existing = args->has_mode && args->mode == NEW_IMAGE_MODE_EXISTING,
    };
    BackupOptions o;
    bool ok;

    if (!backup_options(&o, (const BackupCommon *)args, common->txn, errp)) {
        return false;
    }
    t.source = block_skip_filters(o.source);
    if (o.sync == MIRROR_SYNC_MODE_NONE) {
        t.backing = t.source;
    } else if (o.sync == MIRROR_SYNC_MODE_TOP) {
        t.backing = block_backing(t.source);
    }
    o.target = open_target(&t, errp);
    if (!o.target) {
        return false;
    }
    /* So that what the guest leaves alone reads as it did then. */
    ok = (o.sync != MIRROR_SYNC_MODE_NONE || t.existing ||
          block_set_backing(o.target, t.source, errp)) &&
         start_backup(a, &o, (const BackupCommon *)args, errp);
    block_node_unref(o.target);
    return ok;
}

static void backup_commit(BlockAction *common)
{
    job_start(&container_of(common, BackupAction, common)->job->job);
}

static void backup_abort(BlockAction *common)
{
    job_cancel_sync(&container_of(common, BackupAction, common)->job->job, true);
}

const BlockActionOps block_action_blockdev_backup = {
    .instance_size = sizeof(BackupAction),
    .prepare = blockdev_backup_prepare,
    .commit = backup_commit,
    .abort = backup_abort,
};

const BlockActionOps block_action_drive_backup = {
    .instance_size = sizeof(BackupAction),
    .prepare = drive_backup_prepare,
    .commit = backup_commit,
    .abort = backup_abort,
};

bool qmp_blockdev_backup(const BlockdevBackup *args, Error **errp)
{
    TransactionAction action = {
        .type = TRANSACTION_ACTION_KIND_BLOCKDEV_BACKUP,
        .u.blockdev_backup.data = (BlockdevBackup *)args,
    };

    return block_action_run(&action, errp);
}

bool qmp_drive_backup(const DriveBackup *args, Error **errp)
{
    TransactionAction action = {
        .type = TRANSACTION_ACTION_KIND_DRIVE_BACKUP,
        .u.drive_backup.data = (DriveBackup *)args,
    };

    return block_action_run(&action, errp);
}
