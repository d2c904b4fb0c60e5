/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Snapshots by QMP: overlays (blockdev-snapshot, -sync), snapshots inside of an
 * image, and what an image says its backing file is. Main thread; the steps of
 * transactions run drained.
 */
#include "util/osdep.h"
#include "block/block-int.h"
#include "block/image.h"
#include "block/transaction.h"
#include "qapi-commands.h"

typedef struct SnapshotAction {
    BlockAction common;
    BlockNode *old, *overlay;
    bool made;                  /* the overlay is ours to drop */
} SnapshotAction;

/* ---- overlays ---- */

static bool check_overlay(BlockNode *overlay, Error **errp)
{
    BlockChild *c;

    for (c = overlay->parents; c; c = c->next_parent) {
        if (!c->ops->parent_is_node) {
            error_setg(errp, "The overlay is already in use");
            return false;
        }
    }
    if (!block_node_check_unblocked(overlay, errp)) {
        return false;
    }
    if (block_backing(overlay)) {
        error_setg(errp, "The overlay already has a backing image");
        return false;
    }
    if (!overlay->drv->supports_backing) {
        error_setg(errp, "The overlay does not support backing images");
        return false;
    }
    return true;
}

/* The node keeps still from now on. */
static bool put_overlay(SnapshotAction *a, Error **errp)
{
    if (!block_set_backing(a->overlay, a->old, errp)) {
        return false;
    }
    if (!block_replace_node(a->old, a->overlay, errp)) {
        block_set_backing(a->overlay, NULL, NULL);
        return false;
    }
    block_node_ref(a->old);
    block_node_ref(a->overlay);
    return true;
}

static bool check_old(BlockNode *old, Error **errp)
{
    BlockChild *c;

    for (c = old->parents; c; c = c->next_parent) {
        if (c->ops->parent_is_node && (c->role & BLOCK_ROLE_COW)) {
            error_setg(errp, "Node '%s' is busy: node is used as backing hd of '%s'",
                       old->node_name, ((BlockNode *)c->opaque)->node_name);
            return false;
        }
    }
    return block_node_check_unblocked(old, errp);
}

static bool snapshot_prepare(BlockAction *common, Error **errp)
{
    SnapshotAction *a = container_of(common, SnapshotAction, common);
    const BlockdevSnapshot *args = common->args->u.blockdev_snapshot.data;

    a->old = block_lookup(args->node, args->node, errp);
    if (!a->old || !check_old(a->old, errp)) {
        return false;
    }
    a->overlay = block_lookup(args->overlay, args->overlay, errp);
    return a->overlay && check_overlay(a->overlay, errp) && put_overlay(a, errp);
}

static void snapshot_abort(BlockAction *common)
{
    SnapshotAction *a = container_of(common, SnapshotAction, common);

    /*
     * First the users, who may not see the overlay lose its backing. Where they came from they
     * may be again.
     */
    block_set_backing(a->overlay, NULL, NULL);
    block_replace_node(a->overlay, a->old, NULL);
}

static void snapshot_clean(BlockAction *common)
{
    SnapshotAction *a = container_of(common, SnapshotAction, common);

    block_node_unref(a->old);
    block_node_unref(a->overlay);
    if (a->made) {
        block_node_unref(a->overlay);
    }
}

const BlockActionOps block_action_snapshot = {
    .instance_size = sizeof(SnapshotAction),
    .prepare = snapshot_prepare,
    .abort = snapshot_abort,
    .clean = snapshot_clean,
};

/* ---- overlays that are made for it ---- */

static BlockNode *open_overlay(const BlockdevSnapshotSync *args, BlockNode *old,
                               const char *format, Error **errp)
{
    JsonValue *options = json_object();

    json_object_set_string(options, "driver", format);
    if (args->snapshot_node_name) {
        json_object_set_string(options, "node-name", args->snapshot_node_name);
    }
    json_object_set_take(options, "backing", json_null());
    return block_open(args->snapshot_file, options,
                      BLOCK_OPEN_RDWR | (old->open_flags & (BLOCK_OPEN_NOCACHE |
                                                            BLOCK_OPEN_NO_FLUSH |
                                                            BLOCK_OPEN_UNMAP)), errp);
}

static bool sync_prepare(BlockAction *common, Error **errp)
{
    SnapshotAction *a = container_of(common, SnapshotAction, common);
    const BlockdevSnapshotSync *args = common->args->u.blockdev_snapshot_sync.data;
    const char *format = args->format ? args->format : "qcow2";
    const BlockDriver *drv = block_driver_find(format);

    a->old = block_lookup(args->device, args->node_name, errp);
    if (!a->old || !check_old(a->old, errp)) {
        return false;
    }
    if (args->node_name && !args->snapshot_node_name) {
        error_setg(errp, "New overlay node-name missing");
        return false;
    }
    if (args->snapshot_node_name && block_node_find(args->snapshot_node_name)) {
        error_setg(errp, "New overlay node-name already in use");
        return false;
    }
    if (!drv || drv->is_protocol || drv->internal) {
        error_setg(errp, "Unknown file format '%s'", format);
        return false;
    }
    if (!args->has_mode || args->mode != NEW_IMAGE_MODE_EXISTING) {
        if (!block_image_create_like(format, args->snapshot_file, a->old, a->old, errp)) {
            return false;
        }
    }
    a->overlay = open_overlay(args, a->old, format, errp);
    if (!a->overlay) {
        return false;
    }
    a->made = true;
    if (!check_overlay(a->overlay, errp) || !put_overlay(a, errp)) {
        block_node_unref(a->overlay);
        return false;
    }
    return true;
}

const BlockActionOps block_action_snapshot_sync = {
    .instance_size = sizeof(SnapshotAction),
    .prepare = sync_prepare,
    .abort = snapshot_abort,
    .clean = snapshot_clean,
};

bool qmp_blockdev_snapshot(const BlockdevSnapshot *args, Error **errp)
{
    TransactionAction action = {
        .type = TRANSACTION_ACTION_KIND_BLOCKDEV_SNAPSHOT,
        .u.blockdev_snapshot.data = (BlockdevSnapshot *)args,
    };

    return block_action_run(&action, errp);
}

bool qmp_blockdev_snapshot_sync(const BlockdevSnapshotSync *args, Error **errp)
{
    TransactionAction action = {
        .type = TRANSACTION_ACTION_KIND_BLOCKDEV_SNAPSHOT_SYNC,
        .u.blockdev_snapshot_sync.data = (BlockdevSnapshotSync *)args,
    };

    return block_action_run(&action, errp);
}

/* ---- inside of the image ---- */

typedef struct InternalAction {
    BlockAction common;
    BlockNode *bn;
    BlockSnapshot snapshot;
} InternalAction;

static BlockNode *internal_node(const char *device, Error **errp)
{
    BlockNode *bn = block_lookup(device, device, errp);

    return bn && block_node_check_unblocked(bn, errp) ? block_skip_filters(bn) : NULL;
}

static bool internal_prepare(BlockAction *common, Error **errp)
{
    InternalAction *a = container_of(common, InternalAction, common);
    const BlockdevSnapshotInternal *args = common->args->u.blockdev_snapshot_internal_sync.data;
    BlockSnapshot *s = &a->snapshot;
    BlockSnapshot other;
    int64_t now = clock_now_ns(CLOCK_TYPE_HOST);
    int ret;

    a->bn = internal_node(args->device, errp);
    if (!a->bn) {
        return false;
    }
    if (a->bn->read_only) {
        error_setg(errp, "Device '%s' is read only", args->device);
        return false;
    }
    if (!a->bn->drv->co_snapshot_create) {
        error_setg(errp, "Block format '%s' used by device '%s' does not support internal "
                         "snapshots", a->bn->drv->name, args->device);
        return false;
    }
    if (!*args->name) {
        error_setg(errp, "Name is empty");
        return false;
    }
    ret = block_snapshot_find(a->bn, NULL, args->name, &other);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Cannot read the snapshots of device '%s'", args->device);
        return false;
    }
    if (ret > 0) {
        error_setg(errp, "Snapshot with name '%s' already exists on device '%s'", args->name,
                   args->device);
        return false;
    }
    g_strlcpy(s->name, args->name, sizeof(s->name));
    s->date_sec = now / NS_PER_SEC;
    s->date_nsec = now % NS_PER_SEC;
    s->vm_clock_nsec = clock_now_ns(CLOCK_TYPE_VIRTUAL);
    s->icount = UINT64_MAX;
    return block_snapshot_create(a->bn, s, errp);
}

static void internal_abort(BlockAction *common)
{
    InternalAction *a = container_of(common, InternalAction, common);
    g_autoptr(Error) err = NULL;

    if (!block_snapshot_delete(a->bn, a->snapshot.id, a->snapshot.name, &err)) {
        error_prepend(&err, "Cannot take back snapshot '%s' of node '%s': ", a->snapshot.name,
                      a->bn->node_name);
        error_report_err(g_steal_pointer(&err));
    }
}

const BlockActionOps block_action_snapshot_internal_sync = {
    .instance_size = sizeof(InternalAction),
    .prepare = internal_prepare,
    .abort = internal_abort,
};

bool qmp_blockdev_snapshot_internal_sync(const BlockdevSnapshotInternal *args, Error **errp)
{
    TransactionAction action = {
        .type = TRANSACTION_ACTION_KIND_BLOCKDEV_SNAPSHOT_INTERNAL_SYNC,
        .u.blockdev_snapshot_internal_sync.data = (BlockdevSnapshotInternal *)args,
    };

    return block_action_run(&action, errp);
}

SnapshotInfo *qmp_blockdev_snapshot_delete_internal_sync(
    const QmpBlockdevSnapshotDeleteInternalSyncArgs *args, Error **errp)
{
    BlockNode *bn = internal_node(args->device, errp);
    BlockSnapshot found;
    SnapshotInfo *info;
    int ret;

    if (!bn) {
        return NULL;
    }
    if (!args->id && !args->name) {
        error_setg(errp, "Name or id must be provided");
        return NULL;
    }
    ret = block_snapshot_find(bn, args->id, args->name, &found);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Cannot read the snapshots of device '%s'", args->device);
        return NULL;
    }
    if (ret == 0) {
        error_setg(errp, "Snapshot with id '%s' and name '%s' does not exist on device '%s'",
                   args->id ? args->id : "(null)", args->name ? args->name : "(null)",
                   args->device);
        return NULL;
    }
    if (!block_snapshot_delete(bn, found.id, found.name, errp)) {
        return NULL;
    }
    info = g_new0(SnapshotInfo, 1);
    info->id = g_strdup(found.id);
    info->name = g_strdup(found.name);
    info->date_nsec = found.date_nsec;
    info->date_sec = found.date_sec;
    info->vm_state_size = found.vm_state_size;
    info->vm_clock_nsec = found.vm_clock_nsec % NS_PER_SEC;
    info->vm_clock_sec = found.vm_clock_nsec / NS_PER_SEC;
    info->has_icount = found.icount != UINT64_MAX;
    info->icount = info->has_icount ? found.icount : 0;
    return info;
}

/* ---- what an image says ---- */

bool qmp_change_backing_file(const QmpChangeBackingFileArgs *args, Error **errp)
{
    BlockNode *top = block_lookup(args->device, args->device, errp);
    BlockNode *bn = top ? block_lookup(NULL, args->image_node_name, errp) : NULL;
    BlockNode *backing;
    bool was_read_only;
    int ret;

    if (!bn) {
        return false;
    }
    if (!block_chain_contains(top, bn)) {
        error_setg(errp, "'%s' and image file are not in the same chain", args->device);
        return false;
    }
    backing = block_backing(bn);
    if (!backing) {
        error_setg(errp, "not allowing backing file change on an image without a backing file");
        return false;
    }
    if (!block_node_check_unblocked(top, errp)) {
        return false;
    }
    was_read_only = bn->read_only;
    if (was_read_only && !block_reopen_set_read_only(bn, false, errp)) {
        return false;
    }
    ret = block_change_backing_file(bn, args->backing_file, backing->drv->name, false);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not change backing file to '%s'", args->backing_file);
    }
    if (was_read_only && !block_reopen_set_read_only(bn, true, ret < 0 ? NULL : errp)) {
        ret = ret < 0 ? ret : -EIO;
    }
    return ret >= 0;
}
