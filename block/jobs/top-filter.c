/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Filters that jobs put on top of a node; see top-filter.h. */
#include "util/osdep.h"
#include "block/image.h"
#include "block/jobs/top-filter.h"

BlockNode *top_filter_insert(const BlockDriver *drv, const char *name, BlockNode *bn, Error **errp)
{
    BlockNode *filter = block_node_new(drv, name, errp);

    if (!filter) {
        return NULL;
    }
    filter->implicit = !name;
    filter->open_flags = bn->open_flags;
    filter->read_only = bn->read_only;
    filter->total_bytes = bn->total_bytes;
    filter->options = json_object();
    filter->file = block_child_attach(filter, bn, "file",
                                      BLOCK_ROLE_FILTERED | BLOCK_ROLE_PRIMARY, errp);
    if (!filter->file) {
        goto undo;
    }
    filter_set_flags(filter);
    block_node_refresh_limits(filter);
    block_node_refresh_filename(filter);
    if (!block_replace_node(bn, filter, errp)) {
        goto undo;
    }
    return filter;

undo:
    block_node_unref(filter);
    return NULL;
}

bool top_filter_remove(BlockNode *filter, BlockNode *to, Error **errp)
{
    bool ok = block_replace_node(filter, to ? to : filter->file->node, errp);

    block_node_unref(filter);
    return ok;
}
