/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QMP queries of the block layer. Main thread; counters of iothreads are read as they are. */
#include "util/osdep.h"
#include "block/block-int.h"
#include "block/dirty-bitmap.h"
#include "block/image.h"
#include "qapi-commands.h"

/* ---- nodes ---- */

static unsigned chain_depth(BlockNode *bn)
{
    unsigned depth = 0;

    while ((bn = block_backing(bn)) != NULL) {
        depth++;
    }
    return depth;
}

static BlockDeviceInfo *node_info(BlockNode *bn, BlockBackend *blk, bool chain, Error **errp)
{
    BlockDeviceInfo *info;
    ImageInfo *image = block_query_image(bn, chain, errp);
    BlockNode *backing = bn->backing ? bn->backing->node : NULL;

    if (!image) {
        return NULL;
    }
    info = g_new0(BlockDeviceInfo, 1);
    info->file = g_strdup(bn->filename);
    info->node_name = g_strdup(bn->node_name);
    info->ro = bn->read_only;
    info->drv = g_strdup(bn->drv->name);
    info->detect_zeroes = bn->detect_zeroes;
    info->image = image;
    info->encrypted = bn->encrypted;
    info->backing_file = backing ? g_strdup(backing->filename) : NULL;
    info->backing_file_depth = chain ? chain_depth(bn) : 0;
    info->dirty_bitmaps = dirty_bitmap_query(bn);
    info->cache = g_new0(BlockdevCacheInfo, 1);
    info->cache->writeback = blk ? blk->write_cache : true;
    info->cache->direct = bn->open_flags & BLOCK_OPEN_NOCACHE;
    info->cache->no_flush = bn->open_flags & BLOCK_OPEN_NO_FLUSH;
    info->write_threshold = atomic_load(&bn->write_threshold);
    return info;
}

typedef struct NodeList {
    BlockDeviceInfoList *first, **tail;
    bool flat;
    Error *err;
} NodeList;

static void add_node_info(BlockNode *bn, void *opaque)
{
    NodeList *l = opaque;
    BlockDeviceInfo *info = l->err ? NULL : node_info(bn, NULL, !l->flat, &l->err);

    if (info) {
        QAPI_LIST_APPEND(l->tail, info);
    }
}

BlockDeviceInfoList *qmp_query_named_block_nodes(const QmpQueryNamedBlockNodesArgs *args,
                                                 Error **errp)
{
    NodeList l = { .tail = &l.first, .flat = args->has_flat && args->flat };

    block_node_foreach(add_node_info, &l);
    if (l.err) {
        qapi_free_BlockDeviceInfoList(l.first);
        error_propagate(errp, l.err);
        return NULL;
    }
    return l.first;
}

/* ---- devices ---- */

static char *device_path(BlockBackend *blk)
{
    return blk->dev ? object_path(blk->dev) : NULL;
}

static BlockInfo *device_info(BlockBackend *blk, Error **errp)
{
    BlockInfo *info = g_new0(BlockInfo, 1);

    info->device = g_strdup(blk->name ? blk->name : "");
    info->qdev = device_path(blk);
    info->type = g_strdup("unknown");
    /* A drive that no device holds can be taken out. */
    info->removable = !blk->dev;
    if (blk->io_status_enabled) {
        info->has_io_status = true;
        info->io_status = blk->io_status;
    }
    if (blk_node(blk)) {
        info->inserted = node_info(block_skip_implicit(blk_node(blk)), blk, true, errp);
        if (!info->inserted) {
            qapi_free_BlockInfo(info);
            return NULL;
        }
    }
    return info;
}

BlockInfoList *qmp_query_block(Error **errp)
{
    BlockInfoList *list = NULL, **tail = &list;
    BlockBackend *blk;

    for (blk = blk_next(NULL); blk; blk = blk_next(blk)) {
        BlockInfo *info;

        if (!blk->name && !blk->dev) {
            continue;
        }
        info = device_info(blk, errp);
        if (!info) {
            qapi_free_BlockInfoList(list);
            return NULL;
        }
        QAPI_LIST_APPEND(tail, info);
    }
    return list;
}

/* ---- counters ---- */

static BlockDeviceStats *device_stats(BlockBackend *blk, BlockNode *bn)
{
    static const BlockAcctStats none;
    const BlockAcctStats *s = blk ? &blk->stats : &none;
    BlockDeviceStats *d = g_new0(BlockDeviceStats, 1);

#define COPY(prefix, type)                                                  \
    do {                                                                    \
        d->prefix##_operations = atomic_load(&s->ops[type]);                \
        d->prefix##_total_time_ns = atomic_load(&s->total_ns[type]);        \
        d->failed_##prefix##_operations = atomic_load(&s->failed[type]);    \
        d->invalid_##prefix##_operations = atomic_load(&s->invalid[type]);  \
    } while (0)
    COPY(rd, BLOCK_ACCT_READ);
    COPY(wr, BLOCK_ACCT_WRITE);
    COPY(flush, BLOCK_ACCT_FLUSH);
    COPY(unmap, BLOCK_ACCT_UNMAP);
#undef COPY
    d->rd_bytes = atomic_load(&s->bytes[BLOCK_ACCT_READ]);
    d->wr_bytes = atomic_load(&s->bytes[BLOCK_ACCT_WRITE]);
    d->unmap_bytes = atomic_load(&s->bytes[BLOCK_ACCT_UNMAP]);
    d->rd_merged = atomic_load(&s->merged[BLOCK_ACCT_READ]);
    d->wr_merged = atomic_load(&s->merged[BLOCK_ACCT_WRITE]);
    d->wr_highest_offset = bn ? atomic_load(&bn->wr_highest_offset) : 0;
    d->account_invalid = blk != NULL;
    d->account_failed = blk != NULL;
    if (atomic_load(&s->last_access_ns)) {
        d->has_idle_time_ns = true;
        d->idle_time_ns = clock_now_ns(CLOCK_TYPE_REALTIME) - atomic_load(&s->last_access_ns);
    }
    return d;
}

static BlockStats *node_stats(BlockNode *bn, BlockBackend *blk, bool generated_names)
{
    BlockStats *s = g_new0(BlockStats, 1);
    BlockChild *c = bn ? block_primary_child(bn) : NULL;

    s->stats = device_stats(blk, bn);
    if (!bn) {
        return s;
    }
    if (generated_names || bn->node_name[0] != '#') {
        s->node_name = g_strdup(bn->node_name);
    }
    s->driver_specific = bn->drv->stats ? bn->drv->stats(bn) : NULL;
    s->parent = c ? node_stats(c->node, NULL, generated_names) : NULL;
    s->backing = bn->backing ? node_stats(bn->backing->node, NULL, generated_names) : NULL;
    return s;
}

static void add_node_stats(BlockNode *bn, void *opaque)
{
    BlockStatsList ***tail = opaque;

    QAPI_LIST_APPEND(*tail, node_stats(bn, NULL, true));
}

BlockStatsList *qmp_query_blockstats(const QmpQueryBlockstatsArgs *args, Error **errp)
{
    BlockStatsList *list = NULL, **tail = &list;
    BlockBackend *blk;

    if (args->has_query_nodes && args->query_nodes) {
        block_node_foreach(add_node_stats, &tail);
        return list;
    }
    for (blk = blk_next(NULL); blk; blk = blk_next(blk)) {
        BlockStats *s;

        if (!blk->name && !blk->dev) {
            continue;
        }
        s = node_stats(block_skip_implicit(blk_node(blk)), blk, true);
        s->device = g_strdup(blk->name ? blk->name : "");
        s->qdev = device_path(blk);
        QAPI_LIST_APPEND(tail, s);
    }
    return list;
}

/* ---- the graph ---- */

typedef struct GraphWork {
    XDbgBlockGraph *graph;
    XDbgBlockGraphNodeList **nodes;
    XDbgBlockGraphEdgeList **edges;
    GHashTable *ids;
} GraphWork;

/* Ids are given on first sight, from 1. */
static uint64_t graph_id(GraphWork *w, const void *vertex)
{
    gpointer id = g_hash_table_lookup(w->ids, vertex);

    if (!id) {
        id = GUINT_TO_POINTER(g_hash_table_size(w->ids) + 1);
        g_hash_table_insert(w->ids, (gpointer)vertex, id);
    }
    return GPOINTER_TO_UINT(id);
}

static BlockPermissionList *perm_list(uint64_t perm)
{
    BlockPermissionList *list = NULL, **tail = &list;
    unsigned i;

    /* The bits are in the order of the enumeration. */
    for (i = 0; i < BLOCK_PERM_COUNT; i++) {
        if (perm & BIT(i)) {
            QAPI_LIST_APPEND(tail, (BlockPermission)i);
        }
    }
    return list;
}

static void graph_add_node(GraphWork *w, const void *vertex, XDbgBlockGraphNodeType type,
                           const char *name)
{
    XDbgBlockGraphNode *n = g_new0(XDbgBlockGraphNode, 1);

    n->id = graph_id(w, vertex);
    n->type = type;
    n->name = g_strdup(name);
    QAPI_LIST_APPEND(w->nodes, n);
}

static void graph_add_edge(GraphWork *w, const void *parent, const BlockChild *c)
{
    XDbgBlockGraphEdge *e = g_new0(XDbgBlockGraphEdge, 1);

    e->parent = graph_id(w, parent);
    e->child = graph_id(w, c->node);
    e->name = g_strdup(c->name);
    e->perm = perm_list(c->perm);
    e->shared_perm = perm_list(c->shared_perm);
    QAPI_LIST_APPEND(w->edges, e);
}

static void graph_add_block_node(BlockNode *bn, void *opaque)
{
    GraphWork *w = opaque;
    BlockChild *c;

    graph_add_node(w, bn, X_DBG_BLOCK_GRAPH_NODE_TYPE_BLOCK_DRIVER, bn->node_name);
    for (c = bn->children; c; c = c->next_child) {
        graph_add_edge(w, bn, c);
    }
}

XDbgBlockGraph *qmp_x_debug_query_block_graph(Error **errp)
{
    GraphWork w = { .graph = g_new0(XDbgBlockGraph, 1), .ids = g_hash_table_new(NULL, NULL) };
    BlockBackend *blk;

    w.nodes = &w.graph->nodes;
    w.edges = &w.graph->edges;
    for (blk = blk_next(NULL); blk; blk = blk_next(blk)) {
        g_autofree char *path = blk->name ? g_strdup(blk->name) : device_path(blk);

        graph_add_node(&w, blk, X_DBG_BLOCK_GRAPH_NODE_TYPE_BLOCK_BACKEND, path ? path : "");
        if (blk->root) {
            graph_add_edge(&w, blk, blk->root);
        }
    }
    block_node_foreach(graph_add_block_node, &w);
    g_hash_table_destroy(w.ids);
    return w.graph;
}
