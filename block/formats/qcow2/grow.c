/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Refcount blocks and the refcount table: made when clusters beyond them come
 * into use, given back when an image shrinks.
 *
 * A block is complete on disk before the table points to it, a new table before
 * the header does. Coroutines under the driver's lock.
 */
#include "util/osdep.h"
#include "qcow2.h"

uint64_t qcow2_refcount_metadata_size(uint64_t clusters, uint32_t cluster_size,
                                      unsigned refcount_order, bool generous, uint64_t *refblocks)
{
    uint64_t per_block = (uint64_t)cluster_size * 8 >> refcount_order;
    uint64_t per_table_cluster = cluster_size / 8;
    uint64_t blocks = 0, table = 0, sum = 0, last;

    /* Blocks and table count themselves too. */
    for (;;) {
        last = sum;
        blocks = DIV_ROUND_UP(clusters + blocks + table, per_block);
        table = DIV_ROUND_UP(blocks, per_table_cluster);
        sum = clusters + blocks + table;
        if (sum != last) {
            continue;
        }
        if (!generous) {
            break;
        }
        clusters += DIV_ROUND_UP(table, 2);
        sum = 0;
        generous = false;
    }
    if (refblocks) {
        *refblocks = blocks;
    }
    return (blocks + table) * cluster_size;
}

/* ---- a new table, with the blocks that cover it ---- */

typedef struct NewArea {
    BlockNode *bn;
    uint64_t start, end;        /* bytes; blocks, then the table */
    uint64_t first_block, block_count;  /* indices in the table that the area brings or touches */
    uint64_t table_size, table_offset;
    uint64_t *table;
} NewArea;

/* Set the counts of the part of the area that block @index describes. */
static void count_area(const NewArea *a, Qcow2Table *t, uint64_t index)
{
    Qcow2State *s = qcow2_state(a->bn);
    uint64_t first = index << s->refblock_bits, c;
    uint64_t from = MAX(first, a->start >> s->cluster_bits);
    uint64_t to = MIN(first + BIT(s->refblock_bits), a->end >> s->cluster_bits);

    for (c = from; c < to; c++) {
        qcow2_refcount_set_in(t->data, c - first, s->refcount_order, 1);
    }
}

static int coroutine_fn write_area_blocks(NewArea *a)
{
    BlockNode *bn = a->bn;
    Qcow2State *s = qcow2_state(bn);
    uint64_t at = a->start, i;
    Qcow2Table *t;
    int ret = 0;

    block_co_debug_event(bn->file, BLKDEBUG_EVENT_REFBLOCK_ALLOC_WRITE_BLOCKS);
    for (i = a->first_block; i < a->first_block + a->block_count && ret == 0; i++) {
        bool fresh = !(a->table[i] & QCOW2_REFTABLE_MASK);

        if (fresh) {
            a->table[i] = at;
            at += s->cluster_size;
            qcow2_cache_discard(s->refcount_cache, a->table[i], s->cluster_size);
            ret = qcow2_cache_get_empty(s->refcount_cache, a->table[i], &t);
        } else {
            ret = qcow2_cache_get(s->refcount_cache, a->table[i] & QCOW2_REFTABLE_MASK, &t);
        }
        if (ret < 0) {
            return ret;
        }
        if (fresh) {
            memset(t->data, 0, s->cluster_size);
        }
        count_area(a, t, i);
        qcow2_cache_dirty(s->refcount_cache, t, 0, s->cluster_size);
        qcow2_cache_put(s->refcount_cache, t);
    }
    return qcow2_cache_flush(s->refcount_cache);
}

static int coroutine_fn switch_table(NewArea *a)
{
    BlockNode *bn = a->bn;
    Qcow2State *s = qcow2_state(bn);
    size_t bytes = a->table_size * 8, i;
    g_autofree uint64_t *be = g_try_malloc(bytes);
    uint8_t header[12];
    int ret;

    if (!be) {
        return -ENOMEM;
    }
    for (i = 0; i < a->table_size; i++) {
        be[i] = htobe64(a->table[i]);
    }
    block_co_debug_event(bn->file, BLKDEBUG_EVENT_REFBLOCK_ALLOC_WRITE_TABLE);
    ret = qcow2_meta_write(bn, 0, a->table_offset, be, bytes);
    if (ret == 0) {
        ret = block_co_flush(bn->file->node);
    }
    if (ret < 0) {
        return ret;
    }
    store_be64(header, a->table_offset);
    store_be32(header + 8, bytes >> s->cluster_bits);
    block_co_debug_event(bn->file, BLKDEBUG_EVENT_REFBLOCK_ALLOC_SWITCH_TABLE);
    ret = block_co_pwrite(bn->file, 48, sizeof(header), header, 0);
    return ret < 0 ? ret : block_co_flush(bn->file->node);
}

/*
 * A new table at or after @start, where nothing is yet, for @extra clusters behind it too; with
 * @generous for more. @block (0: none) is to be number @index in it. All blocks that the table,
 * and these blocks themselves, need come with it. *@end: behind the table.
 */
static int coroutine_fn new_table(BlockNode *bn, uint64_t start, uint64_t extra, bool generous,
                                  uint64_t index, uint64_t block, uint64_t *end)
{
    Qcow2State *s = qcow2_state(bn);
    NewArea a = { .bn = bn, .start = start };
    uint64_t total, i, old_offset = s->header.reftable_offset, fresh = 0;
    uint32_t old_size = s->reftable_size;
    int ret;

    qcow2_refcount_metadata_size((start >> s->cluster_bits) + extra, s->cluster_size,
                                 s->refcount_order, generous, &total);
    total = MAX(total, s->reftable_used);
    if (total > QCOW2_MAX_REFTABLE_BYTES / 8) {
        return -EFBIG;
    }
    a.first_block = (start >> s->cluster_bits) >> s->refblock_bits;
    a.block_count = total - a.first_block;
    a.table_size = ROUND_UP(total + (generous ? DIV_ROUND_UP(total, 2) : 0),
                            (uint64_t)s->cluster_size / 8);
    a.table = g_try_new0(uint64_t, a.table_size);
    if (!a.table) {
        return -ENOMEM;
    }
    memcpy(a.table, s->reftable, MIN((uint64_t)s->reftable_size, a.table_size) * 8);
    if (block) {
        a.table[index] = block;
    }
    for (i = 0; i < a.block_count; i++) {
        fresh += !(a.table[a.first_block + i] & QCOW2_REFTABLE_MASK);
    }
    a.table_offset = start + (fresh << s->cluster_bits);
    a.end = a.table_offset + a.table_size * 8;
    ret = write_area_blocks(&a);
    if (ret == 0) {
        ret = switch_table(&a);
    }
    if (ret < 0) {
        for (i = 0; i < a.block_count; i++) {
            if (a.table[a.first_block + i] >= start) {
                qcow2_cache_discard(s->refcount_cache, a.table[a.first_block + i],
                                    s->cluster_size);
            }
        }
        g_free(a.table);
        return ret;
    }
    g_free(s->reftable);
    s->reftable = a.table;
    s->reftable_size = a.table_size;
    s->reftable_used = a.first_block + a.block_count;
    s->header.reftable_offset = a.table_offset;
    s->header.reftable_clusters = a.table_size * 8 >> s->cluster_bits;
    qcow2_note_tables(bn);
    qcow2_cache_depend_flush(s->refcount_cache);
    qcow2_free_clusters(bn, old_offset, (uint64_t)old_size * 8, QCOW2_DISCARD_OTHER);
    *end = a.end;
    return 0;
}

int64_t coroutine_fn qcow2_refcount_area(BlockNode *bn, uint64_t start, uint64_t clusters)
{
    uint64_t end;
    int ret = new_table(bn, start, clusters, false, 0, 0, &end);

    return ret < 0 ? ret : (int64_t)end;
}

/* ---- a new block ---- */

/* A place for it, with its refcount; *@t is pinned and zero otherwise. */
static int coroutine_fn place_block(BlockNode *bn, uint64_t cluster, uint64_t *offset,
                                    Qcow2Table **t)
{
    Qcow2State *s = qcow2_state(bn);
    int64_t place = qcow2_find_free(bn, s->cluster_size, BLOCK_MAX_LENGTH);
    uint64_t own;
    bool itself;
    int ret;

    if (place < 0) {
        return place;
    }
    if (place == 0) {
        qcow2_signal_corruption(bn, true, -1, -1,
                                "Preventing invalid allocation of refcount block at offset 0");
        return -EIO;
    }
    own = (uint64_t)place >> s->cluster_bits;
    itself = own >> s->refblock_bits == cluster >> s->refblock_bits;
    if (!itself) {
        /* Counted elsewhere, and that is on disk first. */
        ret = qcow2_refcount_update(bn, place, s->cluster_size, 1, false, QCOW2_DISCARD_NEVER);
        if (ret == 0) {
            ret = qcow2_cache_flush(s->refcount_cache);
        }
        if (ret < 0) {
            return ret;
        }
    }
    ret = qcow2_cache_get_empty(s->refcount_cache, place, t);
    if (ret < 0) {
        return ret;
    }
    memset((*t)->data, 0, s->cluster_size);
    if (itself) {
        qcow2_refcount_set_in((*t)->data, own & (BIT(s->refblock_bits) - 1), s->refcount_order, 1);
    }
    *offset = place;
    return 0;
}

static int coroutine_fn new_block(BlockNode *bn, uint64_t cluster)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t index = cluster >> s->refblock_bits, offset = 0, blocks_used, end;
    Qcow2Table *t;
    int ret;

    block_co_debug_event(bn->file, BLKDEBUG_EVENT_REFBLOCK_ALLOC);
    /* Tables that count on clusters in the new block's range go to disk before it. */
    ret = qcow2_cache_flush(s->l2_cache);
    if (ret == 0) {
        ret = place_block(bn, cluster, &offset, &t);
    }
    if (ret < 0) {
        return ret;
    }
    block_co_debug_event(bn->file, BLKDEBUG_EVENT_REFBLOCK_ALLOC_WRITE);
    qcow2_cache_dirty(s->refcount_cache, t, 0, s->cluster_size);
    ret = qcow2_cache_flush(s->refcount_cache);
    qcow2_cache_put(s->refcount_cache, t);
    if (ret < 0) {
        goto undo_block;
    }
    if (index < s->reftable_size) {
        block_co_debug_event(bn->file, BLKDEBUG_EVENT_REFBLOCK_ALLOC_HOOKUP);
        ret = qcow2_update_reftable_entry(bn, index, offset);
    } else {
        block_co_debug_event(bn->file, BLKDEBUG_EVENT_REFTABLE_GROW);
        blocks_used = DIV_ROUND_UP(MAX(cluster + 1, offset >> s->cluster_bits),
                                   BIT(s->refblock_bits));
        ret = new_table(bn, blocks_used << s->refblock_bits << s->cluster_bits, 0, true, index,
                        offset, &end);
    }
    if (ret < 0) {
        goto undo_block;
    }
    return -EAGAIN;

undo_block:
    qcow2_cache_discard(s->refcount_cache, offset, s->cluster_size);
    if (offset >> s->cluster_bits >> s->refblock_bits != index) {
        qcow2_refcount_update(bn, offset, s->cluster_size, 1, true, QCOW2_DISCARD_OTHER);
    }
    s->free_cluster = MIN(s->free_cluster, offset >> s->cluster_bits);
    return ret;
}

/* -EAGAIN: made, but free clusters that the caller knew of may be taken now. */
int coroutine_fn qcow2_get_refblock(BlockNode *bn, uint64_t cluster, Qcow2Table **t)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t index = cluster >> s->refblock_bits;
    uint64_t offset = index < s->reftable_size ? s->reftable[index] & QCOW2_REFTABLE_MASK : 0;

    if (!offset) {
        return new_block(bn, cluster);
    }
    if (qcow2_in_cluster(s, offset)) {
        qcow2_signal_corruption(bn, true, -1, -1, "Refblock offset %#" PRIx64
                                " unaligned (reftable index: %#" PRIx64 ")", offset, index);
        return -EIO;
    }
    return qcow2_cache_get(s->refcount_cache, offset, t);
}

/* ---- shrinking ---- */

/* Does the block at @offset for @index count nothing but itself? */
static int coroutine_fn block_unused(BlockNode *bn, uint64_t index, uint64_t offset, bool *unused)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t own = offset >> s->cluster_bits, at = own & (BIT(s->refblock_bits) - 1), count = 0;
    bool itself = own >> s->refblock_bits == index;
    Qcow2Table *t;
    int ret;

    ret = qcow2_cache_get(s->refcount_cache, offset, &t);
    if (ret < 0) {
        return ret;
    }
    if (itself) {
        count = qcow2_refcount_in(t->data, at, s->refcount_order);
        qcow2_refcount_set_in(t->data, at, s->refcount_order, 0);
    }
    *unused = buffer_is_zero(t->data, s->cluster_size);
    if (itself) {
        qcow2_refcount_set_in(t->data, at, s->refcount_order, count);
    }
    qcow2_cache_put(s->refcount_cache, t);
    return 0;
}

static void coroutine_fn drop_block(BlockNode *bn, uint64_t index)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t offset = s->reftable[index] & QCOW2_REFTABLE_MASK;

    s->reftable[index] = 0;
    if (offset >> s->cluster_bits >> s->refblock_bits == index) {
        /* Its count goes with it. */
        qcow2_cache_discard(s->refcount_cache, offset, s->cluster_size);
        s->free_cluster = MIN(s->free_cluster, offset >> s->cluster_bits);
    } else {
        qcow2_free_clusters(bn, offset, s->cluster_size, QCOW2_DISCARD_ALWAYS);
    }
}

int coroutine_fn qcow2_shrink_reftable(BlockNode *bn)
{
    Qcow2State *s = qcow2_state(bn);
    size_t bytes = (size_t)s->reftable_size * 8;
    g_autofree uint64_t *be = g_try_malloc(bytes);
    uint32_t i;
    int ret;

    if (!be) {
        return -ENOMEM;
    }
    for (i = 0; i < s->reftable_size; i++) {
        uint64_t offset = s->reftable[i] & QCOW2_REFTABLE_MASK;
        bool unused = false;

        if (offset) {
            ret = block_unused(bn, i, offset, &unused);
            if (ret < 0) {
                return ret;
            }
        }
        be[i] = unused ? 0 : htobe64(s->reftable[i]);
    }
    ret = qcow2_write_caches(bn);
    if (ret == 0) {
        ret = block_co_flush(bn->file->node);
    }
    if (ret == 0) {
        ret = qcow2_meta_write(bn, QCOW2_OL_REFCOUNT_TABLE, s->header.reftable_offset, be, bytes);
    }
    if (ret == 0) {
        ret = block_co_flush(bn->file->node);
    }
    /* After an error nobody knows what is on disk: keep all in memory, which leaks at most. */
    for (i = 0; ret == 0 && i < s->reftable_size; i++) {
        if (s->reftable[i] && !be[i]) {
            drop_block(bn, i);
        }
    }
    while (s->reftable_used > 0 && !s->reftable[s->reftable_used - 1]) {
        s->reftable_used--;
    }
    qcow2_note_tables(bn);
    return ret;
}
