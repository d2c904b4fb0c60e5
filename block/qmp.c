/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QMP commands that change block nodes. Main thread. */
#include "util/osdep.h"
#include "block/block-int.h"
#include "qapi-commands.h"

bool qmp_blockdev_add(const JsonValue *args, Error **errp)
{
    return block_node_add(args, errp) != NULL;
}

bool qmp_blockdev_del(const QmpBlockdevDelArgs *args, Error **errp)
{
    return block_node_del(args->node_name, errp);
}

/* A user of @bn for the time of one change, which owns the right to resize. */
bool qmp_block_resize(const QmpBlockResizeArgs *args, Error **errp)
{
    BlockNode *bn = block_lookup(args->device, args->node_name, errp);
    BlockBackend *blk;
    bool ok;

    if (!bn) {
        return false;
    }
    if (args->size < 0) {
        error_setg(errp, "Parameter 'size' expects a >0 size");
        return false;
    }
    if (bn->read_only) {
        error_setg(errp, "Image is read-only");
        return false;
    }
    blk = blk_new(bn->loop, BLOCK_PERM_RESIZE, BLOCK_PERM_ALL);
    ok = blk_insert(blk, bn, errp);
    if (ok) {
        block_drain_begin(bn);
        ok = block_truncate(blk->root, args->size, PREALLOC_MODE_OFF, errp);
        block_drain_end(bn);
    }
    blk_unref(blk);
    return ok;
}

void block_set_write_threshold(BlockNode *bn, uint64_t bytes)
{
    atomic_store(&bn->write_threshold, bytes);
}

bool qmp_block_set_write_threshold(const QmpBlockSetWriteThresholdArgs *args, Error **errp)
{
    BlockNode *bn = block_node_find(args->node_name);

    if (!bn) {
        error_setg(errp, "Device '%s' not found", args->node_name);
        return false;
    }
    /* Requests on their way do not look at it again: start with none. */
    block_drain_begin(bn);
    block_set_write_threshold(bn, args->write_threshold);
    block_drain_end(bn);
    return true;
}
