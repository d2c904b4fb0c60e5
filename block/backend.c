/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * BlockBackend: life cycle, names, medium, permissions, attached device,
 * error policy. The I/O functions are in backend-io.c. Main thread, except
 * blk_error_*(), which belong to the loop's thread.
 */
#include "util/osdep.h"
#include "block/block-int.h"
#include "qapi-events.h"
#include "util/cutils.h"

static BlockBackend *all_backends;

BlockBackend *blk_new(EventLoop *loop, uint64_t perm, uint64_t shared)
{
    BlockBackend *blk = g_new0(BlockBackend, 1);
    BlockBackend **p;

    blk->refs = 1;
    blk->loop = loop;
    event_loop_ref(loop);
    blk->perm = perm;
    blk->shared_perm = shared;
    blk->write_cache = true;
    blk->on_read_error = BLOCKDEV_ON_ERROR_REPORT;
    blk->on_write_error = BLOCKDEV_ON_ERROR_ENOSPC;
    pthread_mutex_init(&blk->queue_lock, NULL);
    blk->queued_last = &blk->queued;
    for (p = &all_backends; *p; p = &(*p)->next) {
    }
    *p = blk;
    return blk;
}

BlockBackend *blk_open(const char *filename, JsonValue *options, unsigned flags, Error **errp)
{
    uint64_t perm = BLOCK_PERM_CONSISTENT_READ;
    BlockBackend *blk;
    BlockNode *bn;

    bn = block_open(filename, options, flags, errp);
    if (!bn) {
        return NULL;
    }
    if (!bn->read_only) {
        perm |= BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE;
    }
    blk = blk_new(bn->loop, perm, BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE_UNCHANGED);
    blk->fixed_size = true;
    if (!blk_insert(blk, bn, errp)) {
        blk_unref(blk);
        blk = NULL;
    }
    block_node_unref(bn);
    return blk;
}

void blk_ref(BlockBackend *blk)
{
    blk->refs++;
}

void blk_unref(BlockBackend *blk)
{
    BlockBackend **p;

    if (!blk || --blk->refs > 0) {
        return;
    }
    assert(!blk->dev);
    blk->refs = 1;
    blk_remove(blk);
    for (p = &all_backends; *p != blk; p = &(*p)->next) {
    }
    *p = blk->next;
    blk_free_requests(blk);
    pthread_mutex_destroy(&blk->queue_lock);
    event_loop_unref(blk->loop);
    g_free(blk->name);
    g_free(blk);
}

BlockBackend *blk_next(BlockBackend *blk)
{
    return blk ? blk->next : all_backends;
}

/* ---- names ---- */

const char *blk_name(const BlockBackend *blk)
{
    return blk->name;
}

BlockBackend *blk_find(const char *name)
{
    BlockBackend *blk;

    for (blk = all_backends; blk; blk = blk->next) {
        if (blk->name && !strcmp(blk->name, name)) {
            return blk;
        }
    }
    return NULL;
}

bool blk_set_name(BlockBackend *blk, const char *name, Error **errp)
{
    if (!id_wellformed(name)) {
        error_setg(errp, "Invalid device name");
        return false;
    }
    if (blk_find(name)) {
        error_setg(errp, "Device with id '%s' already exists", name);
        return false;
    }
    if (block_node_find(name)) {
        error_setg(errp, "Device name '%s' conflicts with an existing node name", name);
        return false;
    }
    g_free(blk->name);
    blk->name = g_strdup(name);
    return true;
}

/* ---- the edge to the medium ---- */

static void root_drained_begin(BlockChild *c)
{
    BlockBackend *blk = c->opaque;

    if (atomic_fetch_add(&blk->quiesce, 1) == 0 && blk->dev_ops && blk->dev_ops->drained_begin) {
        blk->dev_ops->drained_begin(blk->dev_opaque);
    }
}

static bool root_drained_poll(BlockChild *c)
{
    BlockBackend *blk = c->opaque;

    return atomic_load_acquire(&blk->in_flight) || (blk->dev_ops && blk->dev_ops->drained_poll &&
                                                    blk->dev_ops->drained_poll(blk->dev_opaque));
}

static void root_drained_end(BlockChild *c)
{
    BlockBackend *blk = c->opaque;

    if (atomic_fetch_sub(&blk->quiesce, 1) == 1) {
        if (blk->dev_ops && blk->dev_ops->drained_end) {
            blk->dev_ops->drained_end(blk->dev_opaque);
        }
        blk_run_queued(blk);
    }
}

static void root_resized(BlockChild *c)
{
    BlockBackend *blk = c->opaque;

    if (blk->dev_ops && blk->dev_ops->resized) {
        blk->dev_ops->resized(blk->dev_opaque);
    }
}

static char *root_describe(BlockChild *c)
{
    BlockBackend *blk = c->opaque;
    g_autofree char *path = NULL;

    if (blk->name) {
        return g_strdup_printf("block device '%s'", blk->name);
    }
    path = blk->dev ? object_path(blk->dev) : NULL;
    return path ? g_strdup_printf("block device '%s'", path) : g_strdup("an unnamed block device");
}

static bool root_can_set_loop(BlockChild *c, EventLoop *loop, Error **errp)
{
    BlockBackend *blk = c->opaque;

    /* A device chose its loop with blk_set_loop(); others follow wherever the node goes unless pinned. */
    if ((blk->dev || blk->loop_pins) && blk->loop != loop) {
        g_autofree char *who = root_describe(c);

        error_setg(errp, "Cannot change iothread of active block backend (%s)", who);
        return false;
    }
    return true;
}

static void take_loop(BlockBackend *blk, EventLoop *loop)
{
    event_loop_ref(loop);
    event_loop_unref(blk->loop);
    blk->loop = loop;
}

static void root_set_loop(BlockChild *c, EventLoop *loop)
{
    take_loop(c->opaque, loop);
}

static const BlockChildOps root_ops = {
    .drained_begin = root_drained_begin,
    .drained_poll = root_drained_poll,
    .drained_end = root_drained_end,
    .resized = root_resized,
    .can_set_loop = root_can_set_loop,
    .set_loop = root_set_loop,
    .describe = root_describe,
};

BlockNode *blk_node(BlockBackend *blk)
{
    return blk->root ? blk->root->node : NULL;
}

bool blk_insert(BlockBackend *blk, BlockNode *bn, Error **errp)
{
    assert(!blk->root);
    if (bn->loop != blk->loop && !block_node_set_loop(bn, blk->loop, blk->dev ? errp : NULL)) {
        if (blk->dev) {
            return false;
        }
        take_loop(blk, bn->loop);
    }
    blk->root = block_root_attach(bn, "root", &root_ops, BLOCK_ROLE_FILTERED | BLOCK_ROLE_PRIMARY,
                                  block_images_inactive() ? 0 : blk->perm,
                                  block_images_inactive() ? BLOCK_PERM_ALL : blk->shared_perm,
                                  blk, errp);
    return blk->root != NULL;
}

void blk_remove(BlockBackend *blk)
{
    BlockChild *c = blk->root;
    BlockNode *bn = blk_node(blk);

    if (!bn) {
        return;
    }
    block_node_ref(bn);
    block_drain_begin(bn);
    blk->root = NULL;
    block_child_detach(c);
    block_drain_end(bn);
    block_node_unref(bn);
}

bool blk_set_perm(BlockBackend *blk, uint64_t perm, uint64_t shared, Error **errp)
{
    if (blk->root && !block_images_inactive() &&
        !block_child_set_perm(blk->root, perm, shared, errp)) {
        return false;
    }
    blk->perm = perm;
    blk->shared_perm = shared;
    return true;
}

bool blk_update_claims(Error **errp)
{
    bool none = block_images_inactive();

    for (BlockBackend *blk = all_backends; blk; blk = blk->next) {
        if (blk->root && !block_child_set_perm(blk->root, none ? 0 : blk->perm,
                                               none ? BLOCK_PERM_ALL : blk->shared_perm, errp)) {
            return false;
        }
    }
    return true;
}

EventLoop *blk_loop(BlockBackend *blk)
{
    return blk->loop;
}

void blk_pin_loop(BlockBackend *blk, bool pin)
{
    blk->loop_pins += pin ? 1 : -1;
}

bool blk_set_loop(BlockBackend *blk, EventLoop *loop, Error **errp)
{
    EventLoop *old = blk->loop;
    bool ok;

    if (loop == old) {
        return true;
    }
    /* First, so that our own root edge agrees. */
    event_loop_ref(old);
    take_loop(blk, loop);
    ok = !blk->root || block_node_set_loop(blk->root->node, loop, errp);
    if (!ok) {
        take_loop(blk, old);
    }
    event_loop_unref(old);
    return ok;
}

/* ---- the device ---- */

bool blk_attach_device(BlockBackend *blk, Object *dev, const BlockDevOps *ops, void *opaque,
                       Error **errp)
{
    if (blk->dev) {
        error_setg(errp, "Block device is already in use by another device");
        return false;
    }
    blk->dev = object_ref(dev);
    blk->dev_ops = ops;
    blk->dev_opaque = opaque;
    blk->io_status_enabled = false;
    blk->io_status = BLOCK_DEVICE_IO_STATUS_OK;
    blk_ref(blk);
    return true;
}

void blk_detach_device(BlockBackend *blk)
{
    Object *dev = blk->dev;

    assert(dev);
    blk_drain(blk);
    blk->dev = NULL;
    blk->dev_ops = NULL;
    blk->dev_opaque = NULL;
    blk->io_status_enabled = false;
    blk_set_perm(blk, 0, BLOCK_PERM_ALL, NULL);
    blk_set_loop(blk, event_loop_main(), NULL);
    object_unref(dev);
    blk_unref(blk);
}

Object *blk_device(BlockBackend *blk)
{
    return blk->dev;
}

/* ---- errors ---- */

void blk_set_on_error(BlockBackend *blk, BlockdevOnError on_read, BlockdevOnError on_write)
{
    if (on_read != BLOCKDEV_ON_ERROR_AUTO) {
        blk->on_read_error = on_read;
    }
    if (on_write != BLOCKDEV_ON_ERROR_AUTO) {
        blk->on_write_error = on_write;
    }
    blk->io_status_enabled = true;
}

BlockdevOnError blk_on_error(const BlockBackend *blk, bool is_read)
{
    return is_read ? blk->on_read_error : blk->on_write_error;
}

BlockErrorAction blk_error_action(BlockBackend *blk, bool is_read, int error)
{
    switch (blk_on_error(blk, is_read)) {
    case BLOCKDEV_ON_ERROR_ENOSPC:
        return error == ENOSPC ? BLOCK_ERROR_ACTION_STOP : BLOCK_ERROR_ACTION_REPORT;
    case BLOCKDEV_ON_ERROR_STOP:
        return BLOCK_ERROR_ACTION_STOP;
    case BLOCKDEV_ON_ERROR_IGNORE:
        return BLOCK_ERROR_ACTION_IGNORE;
    default:
        return BLOCK_ERROR_ACTION_REPORT;
    }
}

void blk_error_apply(BlockBackend *blk, BlockErrorAction action, bool is_read, int error)
{
    BlockNode *bn = blk_node(blk);

    if (action == BLOCK_ERROR_ACTION_STOP && blk->io_status == BLOCK_DEVICE_IO_STATUS_OK) {
        blk->io_status =
            error == ENOSPC ? BLOCK_DEVICE_IO_STATUS_NOSPACE : BLOCK_DEVICE_IO_STATUS_FAILED;
    }
    qapi_event_send_BLOCK_IO_ERROR(blk->name ? blk->name : "", bn ? bn->node_name : NULL,
                                   is_read ? IO_OPERATION_TYPE_READ : IO_OPERATION_TYPE_WRITE,
                                   action, blk->io_status_enabled, error == ENOSPC,
                                   g_strerror(error));
}

void blk_io_status_reset(BlockBackend *blk)
{
    blk->io_status = BLOCK_DEVICE_IO_STATUS_OK;
}
