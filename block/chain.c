/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Backing chains: walking them, finding which layer a range comes from, and
 * changing them while they are open. The status functions run on the node's
 * loop, the others on the main thread. Names in images are not trusted: they are
 * only opened as the user allowed.
 */
#include "util/osdep.h"
#include "block/block-int.h"
#include "block/image.h"

/* ---- walking ---- */

static BlockNode *filtered_node(BlockNode *bn)
{
    BlockChild *c = bn->drv->is_filter ? block_primary_child(bn) : NULL;

    return c ? c->node : NULL;
}

BlockNode *block_skip_filters(BlockNode *bn)
{
    BlockNode *below;

    while (bn && (below = filtered_node(bn)) != NULL) {
        bn = below;
    }
    return bn;
}

BlockNode *block_backing(BlockNode *bn)
{
    bn = block_skip_filters(bn);
    return bn && bn->backing ? block_skip_filters(bn->backing->node) : NULL;
}

/* One step down: through a filter, or to the backing node. */
static BlockNode *below_in_chain(BlockNode *bn)
{
    BlockNode *filtered = filtered_node(bn);

    return filtered ? filtered : bn->backing ? bn->backing->node : NULL;
}

bool block_chain_contains(BlockNode *top, BlockNode *base)
{
    while (top && top != base) {
        top = below_in_chain(top);
    }
    return top != NULL;
}

char *block_backing_path(const char *image, const char *backing, Error **errp)
{
    const char *start = image, *slash, *end;

    if (block_path_has_protocol(backing) || g_path_is_absolute(backing)) {
        return g_strdup(backing);
    }
    if (!image || !*image || g_str_has_prefix(image, "json:")) {
        error_setg(errp, "Cannot use relative backing file names for '%s'", image ? image : "");
        return NULL;
    }
    if (block_path_has_protocol(image)) {
        start = strchr(image, ':') + 1;
    }
    slash = strrchr(start, '/');
    end = slash ? slash + 1 : start;
    return g_strdup_printf("%.*s%s", (int)(end - image), image, backing);
}

/* ---- where content comes from ---- */

static int coroutine_fn status_above(BlockNode *top, BlockNode *base, bool include_base,
                                     bool want_zero, int64_t offset, int64_t bytes, int64_t *pnum,
                                     int64_t *map, BlockNode **file, int *depth)
{
    int64_t end_of_top = top->total_bytes;
    BlockNode *p = block_skip_filters(top);
    bool first = true;
    int ret = 0, layer = 0;

    base = block_skip_filters(base);
    *pnum = bytes;
    if (!include_base && p == base) {
        return 0;
    }
    for (; p && (include_base || p != base); p = block_backing(p)) {
        ret = block_co_block_status(p, want_zero, offset, bytes, pnum, map, file);
        if (ret < 0) {
            return ret;
        }
        if (!first && *pnum == 0) {
            /*
             * The layer above left it to this one, which is too short: the zeroes that it gives
             * beyond its end are its own.
             */
            *pnum = bytes;
            ret = BLOCK_STATUS_ZERO | BLOCK_STATUS_ALLOCATED;
            if (file) {
                *file = p;
            }
            break;
        }
        if ((ret & BLOCK_STATUS_ALLOCATED) || *pnum == 0) {
            break;
        }
        /* It is not allocated here: what the layer below says can only be about this part. */
        bytes = *pnum;
        first = false;
        if (p == base || !block_backing(p) || (!include_base && block_backing(p) == base)) {
            break;
        }
        layer++;
    }
    if (*pnum && offset + *pnum == end_of_top) {
        ret |= BLOCK_STATUS_EOF;
    } else if (*pnum) {
        ret &= ~BLOCK_STATUS_EOF;
    }
    if (depth) {
        *depth = layer;
    }
    return ret;
}

int coroutine_fn block_co_status_above(BlockNode *top, BlockNode *base, bool want_zero,
                                       int64_t offset, int64_t bytes, int64_t *pnum, int64_t *map,
                                       BlockNode **file, int *depth)
{
    return status_above(top, base, false, want_zero, offset, bytes, pnum, map, file, depth);
}

int coroutine_fn block_co_is_allocated_above(BlockNode *top, BlockNode *base, bool include_base,
                                             int64_t offset, int64_t bytes, int64_t *pnum)
{
    int ret = status_above(top, base, include_base, false, offset, bytes, pnum, NULL, NULL, NULL);

    return ret < 0 ? ret : !!(ret & BLOCK_STATUS_ALLOCATED);
}

/* ---- changing chains ---- */

bool block_set_backing(BlockNode *bn, BlockNode *backing, Error **errp)
{
    BlockNode *old = bn->backing ? bn->backing->node : NULL;
    bool ok = true;

    if (old == backing) {
        return true;
    }
    if (backing && block_chain_contains(backing, bn)) {
        error_setg(errp, "Making '%s' a backing child of '%s' would create a cycle",
                   backing->node_name, bn->node_name);
        return false;
    }
    block_drain_begin(bn);
    if (old) {
        block_node_ref(old);
        block_child_detach(bn->backing);
    }
    if (backing) {
        bn->backing = block_child_attach(bn, backing, "backing", BLOCK_ROLE_COW, errp);
        ok = bn->backing != NULL;
    }
    if (!ok && old) {
        /* It was there before, so it may be there again. */
        bn->backing = block_child_attach(bn, old, "backing", BLOCK_ROLE_COW, NULL);
    }
    block_node_refresh_limits(bn);
    block_drain_end(bn);
    block_node_unref(old);
    return ok;
}

typedef struct ChangeBacking {
    BlockNode *bn;
    const char *backing, *format;
    int ret;
} ChangeBacking;

static void coroutine_fn change_backing_entry(void *opaque)
{
    ChangeBacking *c = opaque;

    c->ret = c->bn->drv->co_change_backing_file(c->bn, c->backing, c->format);
}

int block_change_backing_file(BlockNode *bn, const char *backing, const char *backing_format,
                              bool require_format)
{
    ChangeBacking c = { .bn = bn, .backing = backing, .format = backing_format };

    if (!bn->drv->co_change_backing_file) {
        return -ENOTSUP;
    }
    if (backing_format && !backing) {
        return -EINVAL;
    }
    if (require_format && backing && *backing && !backing_format) {
        return -EINVAL;
    }
    block_run_coroutine(bn, change_backing_entry, &c);
    return c.ret;
}

bool block_reaches(BlockNode *top, BlockNode *bn)
{
    BlockChild *c;

    if (top == bn) {
        return true;
    }
    for (c = top->children; c; c = c->next_child) {
        if (block_reaches(c->node, bn)) {
            return true;
        }
    }
    return false;
}

/* The edges of @from that are to move to @to. */
static GPtrArray *movable_edges(BlockNode *from, BlockNode *to)
{
    GPtrArray *edges = g_ptr_array_new();
    BlockChild *c;

    for (c = from->parents; c; c = c->next_parent) {
        /* A parent that is below @to would close a circle. */
        if (c->ops->stays) {
            continue;
        }
        if (!c->ops->parent_is_node || !block_reaches(to, c->opaque)) {
            g_ptr_array_add(edges, c);
        }
    }
    return edges;
}

bool block_replace_node(BlockNode *from, BlockNode *to, Error **errp)
{
    g_autoptr(GPtrArray) edges = NULL;
    BlockNode *both[] = { from, to };
    bool ok;
    guint i;

    if (to->loop != from->loop && !block_node_set_loop(to, from->loop, errp)) {
        return false;
    }
    block_node_ref(from);
    block_node_ref(to);
    block_drain_begin(from);
    block_drain_begin(to);
    edges = movable_edges(from, to);
    for (i = 0; i < edges->len; i++) {
        block_child_move(edges->pdata[i], to);
    }
    ok = block_perm_refresh_nodes(both, ARRAY_SIZE(both), errp);
    if (!ok) {
        for (i = 0; i < edges->len; i++) {
            block_child_move(edges->pdata[i], from);
        }
    } else {
        for (i = 0; i < edges->len; i++) {
            BlockChild *c = edges->pdata[i];

            if (c->ops->parent_is_node) {
                block_node_refresh_limits(c->opaque);
            }
            if (from->total_bytes != to->total_bytes && c->ops->resized) {
                c->ops->resized(c);
            }
        }
    }
    block_drain_end(to);
    block_drain_end(from);
    block_node_unref(to);
    block_node_unref(from);
    return ok;
}
