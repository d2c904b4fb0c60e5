/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The snapshot-access driver: a read-only view of the moment that a
 * copy-before-write filter below it keeps. I/O on the node's loop.
 */
#include "util/osdep.h"
#include "block/filters/copy-before-write.h"
#include "block/options.h"

static bool snapshot_access_open(BlockNode *bn, JsonValue *options, Error **errp)
{
    if (!block_child_open(bn, NULL, options, "file", BLOCK_ROLE_DATA | BLOCK_ROLE_PRIMARY, false,
                          errp)) {
        return false;
    }
    if (!cbw_is_filter(bn->file->node)) {
        error_setg(errp, "snapshot-access needs a copy-before-write node as its file, not '%s'",
                   bn->file->node->node_name);
        return false;
    }
    bn->read_only = true;
    return true;
}

static int coroutine_fn snapshot_access_preadv(BlockNode *bn, int64_t offset, int64_t bytes,
                                               IoVector *v, size_t v_offset, unsigned flags)
{
    return cbw_snapshot_preadv(bn->file->node, offset, bytes, v, v_offset);
}

static int coroutine_fn snapshot_access_status(BlockNode *bn, bool want_zero, int64_t offset,
                                               int64_t bytes, int64_t *pnum, int64_t *map,
                                               BlockNode **file)
{
    return cbw_snapshot_status(bn->file->node, want_zero, offset, bytes, pnum, map, file);
}

static void snapshot_access_perm(BlockNode *bn, BlockChild *c, unsigned role, uint64_t perm,
                                 uint64_t shared, uint64_t *nperm, uint64_t *nshared)
{
    /* The moment stays whatever is written above: everything is fine. */
    *nperm = BLOCK_PERM_CONSISTENT_READ;
    *nshared = BLOCK_PERM_ALL;
}

BLOCK_DRIVER(snapshot_access_driver) = {
    .name = "snapshot-access",
    .open = snapshot_access_open,
    .child_perm = snapshot_access_perm,
    .co_preadv = snapshot_access_preadv,
    .co_block_status = snapshot_access_status,
};
