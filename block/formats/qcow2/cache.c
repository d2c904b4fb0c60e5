/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Write-back caches of metadata: slices of L2 tables, and refcount blocks.
 *
 * One cache can depend on the other: what it holds may only be written when the
 * other's changes are on disk (refcounts before the references that they count,
 * references before the refcounts that are dropped with them). A cache can also
 * depend on a flush: guest data reaches the disk before the table that makes it
 * visible.
 *
 * Runs on the node's loop, under the driver's lock. Tables get memory when they
 * are first used, only what was changed in a table is written, in 4 KiB units.
 */
#include "util/osdep.h"
#include "qcow2.h"
#include "trace-block-formats.h"

#define WRITE_UNIT 4096

struct Qcow2Cache {
    BlockNode *bn;
    bool is_l2;
    uint32_t max_tables, tables, table_size;
    uint32_t hash_mask;
    Qcow2Table **hash;
    Qcow2Table *newest, *oldest;
    unsigned dirty;
    Qcow2Cache *depends;
    bool depends_flush;
};

static uint32_t hash_of(const Qcow2Cache *c, uint64_t offset)
{
    return (offset / c->table_size * UINT64_C(0x9e3779b97f4a7c15)) >> 40 & c->hash_mask;
}

Qcow2Cache *qcow2_cache_new(BlockNode *bn, uint32_t tables, uint32_t table_size, bool is_l2)
{
    Qcow2Cache *c = g_new0(Qcow2Cache, 1);
    uint32_t buckets = 16;

    while (buckets < tables && buckets < 65536) {
        buckets *= 2;
    }
    c->bn = bn;
    c->is_l2 = is_l2;
    c->max_tables = MAX(tables, 2);
    c->table_size = table_size;
    c->hash_mask = buckets - 1;
    c->hash = g_new0(Qcow2Table *, buckets);
    return c;
}

static void unlink_table(Qcow2Cache *c, Qcow2Table *t)
{
    *(t->prev ? &t->prev->next : &c->newest) = t->next;
    *(t->next ? &t->next->prev : &c->oldest) = t->prev;
}

static void link_newest(Qcow2Cache *c, Qcow2Table *t)
{
    t->prev = NULL;
    t->next = c->newest;
    *(t->next ? &t->next->prev : &c->oldest) = t;
    c->newest = t;
}

static void hash_remove(Qcow2Cache *c, Qcow2Table *t)
{
    Qcow2Table **p;

    if (!t->offset) {
        return;
    }
    for (p = &c->hash[hash_of(c, t->offset)]; *p != t; p = &(*p)->hash_next) {
    }
    *p = t->hash_next;
    t->offset = 0;
}

static void hash_add(Qcow2Cache *c, Qcow2Table *t, uint64_t offset)
{
    Qcow2Table **p = &c->hash[hash_of(c, offset)];

    t->offset = offset;
    t->hash_next = *p;
    *p = t;
}

static void set_clean(Qcow2Cache *c, Qcow2Table *t)
{
    if (t->dirty) {
        t->dirty = false;
        c->dirty--;
    }
}

static void free_table(Qcow2Cache *c, Qcow2Table *t)
{
    assert(!t->ref);
    set_clean(c, t);
    hash_remove(c, t);
    unlink_table(c, t);
    block_buffer_free(t->data);
    g_free(t);
    c->tables--;
}

void qcow2_cache_drop_all(Qcow2Cache *c)
{
    while (c->newest) {
        free_table(c, c->newest);
    }
    c->depends = NULL;
    c->depends_flush = false;
}

void qcow2_cache_free(Qcow2Cache *c)
{
    if (c) {
        qcow2_cache_drop_all(c);
        g_free(c->hash);
        g_free(c);
    }
}

Qcow2Table *qcow2_cache_peek(Qcow2Cache *c, uint64_t offset)
{
    Qcow2Table *t;

    for (t = c->hash[hash_of(c, offset)]; t; t = t->hash_next) {
        if (t->offset == offset) {
            t->used = true;
            return t;
        }
    }
    return NULL;
}

void qcow2_cache_dirty(Qcow2Cache *c, Qcow2Table *t, uint32_t from, uint32_t bytes)
{
    if (!t->dirty) {
        t->dirty = true;
        t->dirty_from = from;
        t->dirty_to = from + bytes;
        c->dirty++;
        return;
    }
    t->dirty_from = MIN(t->dirty_from, from);
    t->dirty_to = MAX(t->dirty_to, from + bytes);
}

bool qcow2_cache_is_dirty(const Qcow2Cache *c)
{
    return c->dirty > 0;
}

/* ---- writing ---- */

static int coroutine_fn flush_dependency(Qcow2Cache *c)
{
    Qcow2State *s = qcow2_state(c->bn);
    int ret = 0;

    if (c->depends) {
        ret = qcow2_cache_write(c->depends);
    }
    if (ret == 0 && (c->depends || c->depends_flush)) {
        if (c->depends_flush && s->data_file != c->bn->file) {
            ret = block_co_flush(s->data_file->node);
        }
        if (ret == 0) {
            ret = block_co_flush(c->bn->file->node);
        }
    }
    if (ret == 0) {
        c->depends = NULL;
        c->depends_flush = false;
    }
    return ret;
}

static int coroutine_fn write_table(Qcow2Cache *c, Qcow2Table *t)
{
    unsigned ignore =
        c->is_l2 ? QCOW2_OL_ACTIVE_L2 | QCOW2_OL_INACTIVE_L2 : QCOW2_OL_REFCOUNT_BLOCK;
    uint32_t from, to;
    int ret;

    ret = flush_dependency(c);
    if (ret < 0) {
        return ret;
    }
    from = ROUND_DOWN(t->dirty_from, WRITE_UNIT);
    to = MIN(ROUND_UP(t->dirty_to, WRITE_UNIT), c->table_size);
    ret = qcow2_check_overlap(c->bn, ignore, t->offset + from, to - from, false);
    if (ret < 0) {
        return ret;
    }
    block_co_debug_event(c->bn->file, c->is_l2 ? BLKDEBUG_EVENT_L2_UPDATE :
                                                 BLKDEBUG_EVENT_REFBLOCK_UPDATE_PART);
    ret = block_co_pwrite(c->bn->file, t->offset + from, to - from, t->data + from, 0);
    if (ret == 0) {
        set_clean(c, t);
    }
    return ret;
}

static int by_offset(const void *a, const void *b)
{
    const Qcow2Table *x = *(Qcow2Table *const *)a, *y = *(Qcow2Table *const *)b;

    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

int coroutine_fn qcow2_cache_write(Qcow2Cache *c)
{
    g_autofree Qcow2Table **list = NULL;
    unsigned n = 0, count = c->dirty, i;
    Qcow2Table *t;
    int ret = 0;

    if (!count) {
        return 0;
    }
    list = g_new(Qcow2Table *, count);
    for (t = c->newest; t && n < count; t = t->next) {
        if (t->dirty) {
            list[n++] = t;
        }
    }
    qsort(list, n, sizeof(*list), by_offset);
    trace_qcow2_cache_write(c->bn, c->is_l2, n);
    for (i = 0; i < n; i++) {
        int r = write_table(c, list[i]);

        /* A full disk is told before anything that follows from it. */
        if (r < 0 && ret != -ENOSPC) {
            ret = r;
        }
    }
    return ret;
}

int coroutine_fn qcow2_cache_flush(Qcow2Cache *c)
{
    int ret = qcow2_cache_write(c);
    int r = block_co_flush(c->bn->file->node);

    return ret < 0 ? ret : r;
}

int coroutine_fn qcow2_cache_depend(Qcow2Cache *c, Qcow2Cache *on)
{
    int ret;

    if (on->depends || on->depends_flush) {
        ret = flush_dependency(on);
        if (ret < 0) {
            return ret;
        }
    }
    if (c->depends && c->depends != on) {
        ret = flush_dependency(c);
        if (ret < 0) {
            return ret;
        }
    }
    c->depends = on;
    return 0;
}

void qcow2_cache_depend_flush(Qcow2Cache *c)
{
    c->depends_flush = true;
}

/* ---- getting tables ---- */

/* Memory for one more table: new, or that of the oldest one without a user. */
static int coroutine_fn get_room(Qcow2Cache *c, Qcow2Table **out)
{
    Qcow2Table *t;
    int ret;

    if (c->tables < c->max_tables) {
        t = g_new0(Qcow2Table, 1);
        t->data = block_buffer_alloc(c->bn->file->node, c->table_size);
        if (!t->data) {
            g_free(t);
            return -ENOMEM;
        }
        c->tables++;
        link_newest(c, t);
        *out = t;
        return 0;
    }
    for (t = c->oldest; t && t->ref; t = t->prev) {
    }
    if (!t) {
        return -ENOMEM;         /* as many in use as there may be: only with absurd cache sizes */
    }
    if (t->dirty) {
        ret = write_table(c, t);
        if (ret < 0) {
            return ret;
        }
    }
    hash_remove(c, t);
    unlink_table(c, t);
    link_newest(c, t);
    *out = t;
    return 0;
}

static int coroutine_fn do_get(Qcow2Cache *c, uint64_t offset, bool read, Qcow2Table **out)
{
    Qcow2Table *t;
    int ret;

    if (!IS_ALIGNED(offset, (uint64_t)c->table_size)) {
        qcow2_signal_corruption(c->bn, true, -1, -1,
                                "Cannot get entry from %s cache: Offset %#" PRIx64 " is unaligned",
                                c->is_l2 ? "L2 table" : "refcount block", offset);
        return -EIO;
    }
    t = qcow2_cache_peek(c, offset);
    if (!t) {
        ret = get_room(c, &t);
        if (ret < 0) {
            return ret;
        }
        if (read) {
            /* Not found by its offset until it is read, but kept by the reference. */
            t->ref++;
            block_co_debug_event(c->bn->file, c->is_l2 ? BLKDEBUG_EVENT_L2_LOAD :
                                                         BLKDEBUG_EVENT_REFBLOCK_LOAD);
            ret = block_co_pread(c->bn->file, offset, c->table_size, t->data, 0);
            t->ref--;
            if (ret < 0) {
                return ret;
            }
        }
        hash_add(c, t, offset);
    } else if (c->newest != t) {
        unlink_table(c, t);
        link_newest(c, t);
    }
    t->ref++;
    t->used = true;
    *out = t;
    return 0;
}

int coroutine_fn qcow2_cache_get(Qcow2Cache *c, uint64_t offset, Qcow2Table **t)
{
    return do_get(c, offset, true, t);
}

int coroutine_fn qcow2_cache_get_empty(Qcow2Cache *c, uint64_t offset, Qcow2Table **t)
{
    return do_get(c, offset, false, t);
}

void qcow2_cache_put(Qcow2Cache *c, Qcow2Table *t)
{
    if (t) {
        assert(t->ref > 0);
        t->ref--;
    }
}

void qcow2_cache_discard(Qcow2Cache *c, uint64_t offset, uint64_t bytes)
{
    uint64_t at;
    Qcow2Table *t;

    for (at = ROUND_DOWN(offset, (uint64_t)c->table_size); at < offset + bytes;
         at += c->table_size) {
        t = qcow2_cache_peek(c, at);
        if (t && !t->ref) {
            free_table(c, t);
        }
    }
}

int coroutine_fn qcow2_cache_empty(Qcow2Cache *c)
{
    int ret = qcow2_cache_flush(c);

    if (ret == 0) {
        qcow2_cache_drop_all(c);
    }
    return ret;
}

void qcow2_cache_clean_unused(Qcow2Cache *c)
{
    Qcow2Table *t, *next;

    for (t = c->newest; t; t = next) {
        next = t->next;
        if (!t->ref && !t->dirty && !t->used) {
            free_table(c, t);
        } else {
            t->used = false;
        }
    }
}
