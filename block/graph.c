/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nodes and edges: names, references, attaching and detaching, length,
 * limits, and moves between event loops. Main thread.
 */
#include "util/osdep.h"
#include "block/block-int.h"
#include "block/export.h"
#include "block/dirty-bitmap.h"
#include "block/job.h"
#include "trace-block.h"
#include "util/cutils.h"

static BlockNode *all_nodes;
static unsigned next_generated_name;

void block_node_foreach(void (*fn)(BlockNode *bn, void *opaque), void *opaque)
{
    BlockNode *bn, *next;

    for (bn = all_nodes; bn; bn = next) {
        next = bn->next;
        fn(bn, opaque);
    }
}

BlockNode *block_node_find(const char *node_name)
{
    BlockNode *bn;

    for (bn = all_nodes; bn; bn = bn->next) {
        if (!strcmp(bn->node_name, node_name)) {
            return bn;
        }
    }
    return NULL;
}

BlockNode *block_lookup(const char *device, const char *node_name, Error **errp)
{
    BlockBackend *blk = device ? blk_find(device) : NULL;
    BlockNode *bn;

    if (blk) {
        if (!blk_node(blk)) {
            error_setg(errp, "Device '%s' has no medium", device);
        }
        return blk_node(blk);
    }
    bn = node_name ? block_node_find(node_name) : NULL;
    if (!bn) {
        error_setg(errp, "Cannot find device='%s' nor node-name='%s'",
                   device ? device : "", node_name ? node_name : "");
    }
    return bn;
}

static bool check_node_name(const char *name, Error **errp)
{
    if (!id_wellformed(name)) {
        error_setg(errp, "Invalid node-name: '%s'", name);
        return false;
    }
    if (blk_find(name)) {
        error_setg(errp, "node-name=%s is conflicting with a device id", name);
        return false;
    }
    if (block_node_find(name)) {
        error_setg(errp, "Duplicate nodes with node-name='%s'", name);
        return false;
    }
    if (strlen(name) >= sizeof(((BlockNode *)0)->node_name)) {
        error_setg(errp, "Node name too long");
        return false;
    }
    return true;
}

BlockNode *block_node_new(const BlockDriver *drv, const char *node_name, Error **errp)
{
    BlockNode *bn;

    if (node_name && !check_node_name(node_name, errp)) {
        return NULL;
    }
    bn = g_new0(BlockNode, 1);
    bn->drv = drv;
    bn->opaque = g_malloc0(MAX(drv->instance_size, 1));
    if (node_name) {
        g_strlcpy(bn->node_name, node_name, sizeof(bn->node_name));
    } else {
        snprintf(bn->node_name, sizeof(bn->node_name), "#block%03u", next_generated_name++);
    }
    bn->refs = 1;
    bn->loop = event_loop_main();
    event_loop_ref(bn->loop);
    bn->shared_perm = BLOCK_PERM_ALL;
    bn->limits.request_alignment = 1;
    bn->limits.min_mem_alignment = 1;
    co_queue_init(&bn->fast_wait);
    co_queue_init(&bn->flush_queue);
    bn->next = all_nodes;
    all_nodes = bn;
    return bn;
}

void block_node_ref(BlockNode *bn)
{
    bn->refs++;
}

static void node_free(BlockNode *bn)
{
    BlockNode **p;

    for (p = &all_nodes; *p != bn; p = &(*p)->next) {
    }
    *p = bn->next;
    assert(!bn->blockers);
    event_loop_unref(bn->loop);
    json_unref(bn->options);
    g_free(bn->filename);
    g_free(bn->exact_filename);
    g_free(bn->backing_file);
    g_free(bn->backing_format);
    g_free(bn->opaque);
    g_free(bn);
}

void block_node_unref(BlockNode *bn)
{
    if (!bn || --bn->refs > 0) {
        return;
    }
    assert(!bn->parents);
    trace_block_node_close(bn, bn->node_name);
    bn->refs = 1;       /* the flush below may take and drop references */
    block_drain_begin(bn);
    if (bn->write_gen != bn->flushed_gen) {
        block_flush(bn);
    }
    if (bn->drv->close) {
        bn->drv->close(bn);
    }
    dirty_bitmap_free_node(bn);
    while (bn->children) {
        block_child_detach(bn->children);
    }
    block_drain_end(bn);
    node_free(bn);
}

/* ---- edges ---- */

BlockChild *block_primary_child(BlockNode *bn)
{
    BlockChild *c;

    for (c = bn->children; c; c = c->next_child) {
        if (c->role & BLOCK_ROLE_PRIMARY) {
            return c;
        }
    }
    return NULL;
}

static void edge_link(BlockChild *c)
{
    BlockChild **p;

    /* At the end: conflicts name the older user first. */
    for (p = &c->node->parents; *p; p = &(*p)->next_parent) {
    }
    *p = c;
    if (c->ops->parent_is_node) {
        BlockNode *parent = c->opaque;

        for (p = &parent->children; *p; p = &(*p)->next_child) {
        }
        *p = c;
    }
}

static void edge_unlink(BlockChild *c)
{
    BlockChild **p;

    for (p = &c->node->parents; *p != c; p = &(*p)->next_parent) {
    }
    *p = c->next_parent;
    if (c->ops->parent_is_node) {
        BlockNode *parent = c->opaque;

        for (p = &parent->children; *p != c; p = &(*p)->next_child) {
        }
        *p = c->next_child;
        if (parent->file == c) {
            parent->file = NULL;
        }
        if (parent->backing == c) {
            parent->backing = NULL;
        }
    }
}

static BlockChild *edge_new(BlockNode *bn, const char *name, const BlockChildOps *ops,
                            unsigned role, uint64_t perm, uint64_t shared, void *opaque)
{
    BlockChild *c = g_new0(BlockChild, 1);

    c->node = bn;
    c->name = g_strdup(name);
    c->ops = ops;
    c->role = role;
    c->perm = perm;
    c->shared_perm = shared;
    c->opaque = opaque;
    block_node_ref(bn);
    edge_link(c);
    return c;
}

static void edge_free(BlockChild *c)
{
    BlockNode *bn = c->node;

    edge_unlink(c);
    block_child_unquiesce_parent(c);
    g_free(c->name);
    g_free(c);
    block_node_unref(bn);
}

BlockChild *block_root_attach(BlockNode *bn, const char *name, const BlockChildOps *ops,
                              unsigned role, uint64_t perm, uint64_t shared, void *opaque,
                              Error **errp)
{
    BlockChild *c = edge_new(bn, name, ops, role, perm, shared, opaque);

    if (!block_perm_refresh(bn, errp)) {
        edge_free(c);
        return NULL;
    }
    if (atomic_load(&bn->quiesce)) {
        block_child_quiesce_parent(c);
    }
    return c;
}

BlockChild *block_child_attach(BlockNode *parent, BlockNode *child, const char *name, unsigned role,
                               Error **errp)
{
    BlockChild *c;

    if (child->loop != parent->loop && !block_node_set_loop(child, parent->loop, NULL) &&
        !block_node_set_loop(parent, child->loop, errp)) {
        return NULL;
    }
    c = edge_new(child, name, &block_node_child_ops, role, 0, BLOCK_PERM_ALL, parent);
    if (!block_perm_refresh(parent, errp)) {
        edge_free(c);
        return NULL;
    }
    if (atomic_load(&child->quiesce)) {
        block_child_quiesce_parent(c);
    }
    return c;
}

void block_child_move(BlockChild *c, BlockNode *to)
{
    BlockNode *from = c->node;
    BlockChild **p;

    for (p = &from->parents; *p != c; p = &(*p)->next_parent) {
    }
    *p = c->next_parent;
    for (p = &to->parents; *p; p = &(*p)->next_parent) {
    }
    c->next_parent = NULL;
    *p = c;
    c->node = to;
    block_node_ref(to);
    block_node_unref(from);
}

void block_child_detach(BlockChild *c)
{
    BlockNode *bn = c->node;

    block_node_ref(bn);
    edge_free(c);
    if (bn->refs > 1) {
        block_perm_relax(bn);
    }
    block_node_unref(bn);
}

/* ---- users ---- */

void block_node_block(BlockNode *bn, const char *why)
{
    bn->blockers = g_slist_append(bn->blockers, (char *)why);
}

void block_node_unblock(BlockNode *bn, const char *why)
{
    bn->blockers = g_slist_remove(bn->blockers, why);
}

bool block_node_check_unblocked(BlockNode *bn, Error **errp)
{
    if (!bn->blockers) {
        return true;
    }
    error_setg(errp, "Node '%s' is busy: %s", bn->node_name, (char *)bn->blockers->data);
    return false;
}

BlockBackend *block_node_backend(BlockNode *bn)
{
    BlockBackend *blk;
    BlockChild *c;

    for (blk = blk_next(NULL); blk; blk = blk_next(blk)) {
        if (blk_node(blk) == bn) {
            return blk;
        }
    }
    for (c = bn->parents; c; c = c->next_parent) {
        BlockNode *parent = c->ops->parent_is_node ? c->opaque : NULL;

        if (parent && parent->drv->is_filter && (c->role & BLOCK_ROLE_PRIMARY)) {
            return block_node_backend(parent);
        }
    }
    return NULL;
}

BlockNode *block_skip_implicit(BlockNode *bn)
{
    while (bn && bn->implicit) {
        bn = block_primary_child(bn)->node;
    }
    return bn;
}

/* ---- length and limits ---- */

void block_node_set_length(BlockNode *bn, int64_t bytes)
{
    BlockChild *c;

    if (bytes == bn->total_bytes) {
        return;
    }
    bn->total_bytes = bytes;
    dirty_bitmap_resize_node(bn, bytes);
    for (c = bn->parents; c; c = c->next_parent) {
        if (c->ops->resized) {
            c->ops->resized(c);
        }
    }
}

int64_t block_node_refresh_length(BlockNode *bn, bool notify)
{
    BlockChild *primary = block_primary_child(bn);
    int64_t len = bn->drv->length ? bn->drv->length(bn) : primary ? primary->node->total_bytes : 0;

    if (len < 0) {
        return len;
    }
    if (len > BLOCK_MAX_LENGTH) {
        return -EFBIG;
    }
    /* The last sector of an odd-sized file reads as zeroes beyond the end. */
    len = ROUND_UP(len, 512);
    if (notify) {
        block_node_set_length(bn, len);
    } else {
        bn->total_bytes = len;
    }
    return len;
}

int64_t block_length(BlockNode *bn)
{
    return bn->total_bytes;
}

int64_t block_allocated_size(BlockNode *bn)
{
    BlockChild *c = block_primary_child(bn);

    if (bn->drv->allocated_size) {
        return bn->drv->allocated_size(bn);
    }
    return c ? block_allocated_size(c->node) : -ENOTSUP;
}

void block_node_refresh_limits(BlockNode *bn)
{
    BlockChild *c = block_primary_child(bn);

    if (c) {
        bn->limits = c->node->limits;
        /* A format or filter maps any alignment onto its file. */
        bn->limits.request_alignment = 1;
    } else {
        memset(&bn->limits, 0, sizeof(bn->limits));
        bn->limits.request_alignment = 1;
        bn->limits.min_mem_alignment = 1;
    }
    if (bn->drv->refresh_limits) {
        bn->drv->refresh_limits(bn);
    }
    for (c = bn->parents; c; c = c->next_parent) {
        if (c->ops->parent_is_node) {
            block_node_refresh_limits(c->opaque);
        }
    }
}

/* ---- moves between loops ---- */

static bool array_has(GPtrArray *a, void *p)
{
    return g_ptr_array_find(a, p, NULL);
}

/* All nodes that must share a loop with @bn, and whether the other users agree. */
static bool collect_connected(BlockNode *bn, EventLoop *loop, GPtrArray *nodes, Error **errp)
{
    BlockChild *c;

    if (array_has(nodes, bn)) {
        return true;
    }
    g_ptr_array_add(nodes, bn);
    for (c = bn->children; c; c = c->next_child) {
        if (!collect_connected(c->node, loop, nodes, errp)) {
            return false;
        }
    }
    for (c = bn->parents; c; c = c->next_parent) {
        if (c->ops->parent_is_node) {
            if (!collect_connected(c->opaque, loop, nodes, errp)) {
                return false;
            }
        } else if (!c->ops->can_set_loop) {
            g_autofree char *who = c->ops->describe(c);

            error_setg(errp, "%s%s cannot change to another iothread",
                       g_ascii_toupper(*who) == *who ? "" : "The ", who);
            return false;
        } else if (!c->ops->can_set_loop(c, loop, errp)) {
            return false;
        }
    }
    return true;
}

static void move_node(BlockNode *bn, EventLoop *loop)
{
    BlockChild *c;

    trace_block_node_set_loop(bn, bn->node_name, loop);
    if (bn->drv->detach_loop) {
        bn->drv->detach_loop(bn);
    }
    event_loop_ref(loop);
    event_loop_unref(bn->loop);
    bn->loop = loop;
    if (bn->drv->attach_loop) {
        bn->drv->attach_loop(bn, loop);
    }
    for (c = bn->parents; c; c = c->next_parent) {
        if (!c->ops->parent_is_node) {
            c->ops->set_loop(c, loop);
        }
    }
}

bool block_node_set_loop(BlockNode *bn, EventLoop *loop, Error **errp)
{
    g_autoptr(GPtrArray) nodes = g_ptr_array_new();
    guint i;

    if (bn->loop == loop) {
        return true;
    }
    if (!collect_connected(bn, loop, nodes, errp)) {
        return false;
    }
    for (i = 0; i < nodes->len; i++) {
        block_drain_begin(nodes->pdata[i]);
    }
    for (i = 0; i < nodes->len; i++) {
        move_node(nodes->pdata[i], loop);
    }
    for (i = 0; i < nodes->len; i++) {
        block_drain_end(nodes->pdata[i]);
    }
    return true;
}

/* ---- removal of everything ---- */

void block_close_all(void)
{
    BlockBackend *blk, *next;
    BlockNode *bn;

    block_export_shutdown();
    job_cancel_all();
    for (blk = blk_next(NULL); blk; blk = next) {
        next = blk_next(blk);
        /* Requests of a device that is still there wait for ever. */
        atomic_fetch_add(&blk->quiesce, 1);
        blk_remove(blk);
        if (blk->drive) {
            blk->drive = false;
            blk_unref(blk);
        }
    }
    do {
        for (bn = all_nodes; bn && !bn->monitor_owned; bn = bn->next) {
        }
        if (bn) {
            bn->monitor_owned = false;
            block_node_unref(bn);
        }
    } while (bn);
}
