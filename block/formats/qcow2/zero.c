/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writing zeroes, discarding, emptying: changes of the tables that move no data.
 *
 * Coroutines; the entry points take the driver's lock.
 */
#include "util/osdep.h"
#include "qcow2.h"

/* ---- discard ---- */

/* What the entry becomes when its content is dropped; false: it stays. */
static bool discarded_entry(BlockNode *bn, uint64_t entry, uint64_t bitmap, bool full,
                            uint64_t *new_entry, uint64_t *new_bitmap)
{
    Qcow2State *s = qcow2_state(bn);
    Qcow2Type type = qcow2_cluster_type(s, entry);

    *new_entry = entry;
    *new_bitmap = bitmap;
    if (full) {
        *new_entry = *new_bitmap = 0;
    } else if (bn->backing || qcow2_type_is_allocated(type)) {
        /* What is dropped must not show what the backing file has there. */
        *new_entry = qcow2_has_subclusters(s) || s->header.version < 3 ? 0 : QCOW2_OFLAG_ZERO;
        *new_bitmap = qcow2_has_subclusters(s) ? QCOW2_BITMAP_ALL_ZERO : 0;
    }
    return *new_entry != entry || (qcow2_has_subclusters(s) && *new_bitmap != bitmap);
}

/* Within one slice: @n clusters from @guest on. */
static int coroutine_fn discard_slice(BlockNode *bn, uint64_t guest, unsigned n, Qcow2Discard type,
                                      bool full)
{
    Qcow2State *s = qcow2_state(bn);
    unsigned first = qcow2_slice_index(s, guest), i;
    Qcow2Table *t;
    int ret;

    if (full || !bn->backing) {
        /* Where there is no table, there is nothing to drop. */
        ret = qcow2_slice_get(bn, guest, &t);
        if (ret < 0 || !t) {
            return ret;
        }
        qcow2_cache_put(s->l2_cache, t);
    }
    ret = qcow2_slice_get_writable(bn, guest, &t);
    if (ret < 0) {
        return ret;
    }
    for (i = first; i < first + n; i++) {
        uint64_t old = qcow2_l2_entry(s, t, i), entry, bitmap;

        if (!discarded_entry(bn, old, qcow2_l2_bitmap(s, t, i), full, &entry, &bitmap)) {
            continue;
        }
        qcow2_l2_set(bn, t, i, entry, bitmap);
        qcow2_free_any_cluster(bn, old, type);
    }
    qcow2_cache_put(s->l2_cache, t);
    return 0;
}

static unsigned clusters_in_slice(const Qcow2State *s, uint64_t guest, uint64_t bytes)
{
    return MIN(qcow2_clusters(s, bytes), s->l2_slice_entries - qcow2_slice_index(s, guest));
}

int coroutine_fn qcow2_discard_clusters(BlockNode *bn, uint64_t guest, uint64_t bytes,
                                        Qcow2Discard type, bool full)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t end = guest + bytes;
    int ret = 0;

    while (guest < end && ret == 0) {
        unsigned n = clusters_in_slice(s, guest, end - guest);

        ret = discard_slice(bn, guest, n, type, full);
        guest += (uint64_t)n << s->cluster_bits;
    }
    qcow2_process_discards(bn, ret);
    return ret;
}

int coroutine_fn qcow2_co_pdiscard(BlockNode *bn, int64_t offset, int64_t bytes)
{
    Qcow2State *s = qcow2_state(bn);
    int ret;

    if (s->header.version < 3 && bn->backing) {
        return -ENOTSUP;
    }
    if (qcow2_in_cluster(s, offset) ||
        (qcow2_in_cluster(s, bytes) && offset + bytes != bn->total_bytes)) {
        return -ENOTSUP;
    }
    co_mutex_lock(&s->lock);
    qcow2_wait_allocs(bn, offset, bytes);
    ret = s->dead ? -ENOMEDIUM :
                    qcow2_discard_clusters(bn, offset, bytes, QCOW2_DISCARD_REQUEST, false);
    co_mutex_unlock(&s->lock);
    return ret;
}

/* ---- zeroes ---- */

static int coroutine_fn zero_slice(BlockNode *bn, uint64_t guest, unsigned n, unsigned flags)
{
    Qcow2State *s = qcow2_state(bn);
    unsigned first = qcow2_slice_index(s, guest), i;
    Qcow2Table *t;
    int ret;

    ret = qcow2_slice_get_writable(bn, guest, &t);
    if (ret < 0) {
        return ret;
    }
    for (i = first; i < first + n; i++) {
        uint64_t old = qcow2_l2_entry(s, t, i), bitmap = qcow2_l2_bitmap(s, t, i);
        Qcow2Type type = qcow2_cluster_type(s, old);
        bool unmap = type == QCOW2_COMPRESSED ||
                     (flags & BLOCK_REQ_MAY_UNMAP && qcow2_type_is_allocated(type));
        uint64_t entry = unmap ? 0 : old, new_bitmap = bitmap;

        if (qcow2_has_subclusters(s)) {
            new_bitmap = QCOW2_BITMAP_ALL_ZERO;
        } else {
            entry |= QCOW2_OFLAG_ZERO;
        }
        if (entry == old && new_bitmap == bitmap) {
            continue;
        }
        qcow2_l2_set(bn, t, i, entry, new_bitmap);
        if (unmap) {
            qcow2_free_any_cluster(bn, old, QCOW2_DISCARD_REQUEST);
        }
    }
    qcow2_cache_put(s->l2_cache, t);
    return 0;
}

/* @n subclusters of one cluster. */
static int coroutine_fn zero_subclusters(BlockNode *bn, uint64_t guest, unsigned n)
{
    Qcow2State *s = qcow2_state(bn);
    unsigned i = qcow2_slice_index(s, guest);
    unsigned sc = qcow2_in_cluster(s, guest) >> s->subcluster_bits;
    uint64_t bitmap, mask = (BIT(n) - 1) << sc, entry;
    Qcow2Table *t;
    int ret;

    ret = qcow2_slice_get_writable(bn, guest, &t);
    if (ret < 0) {
        return ret;
    }
    entry = qcow2_l2_entry(s, t, i);
    bitmap = qcow2_l2_bitmap(s, t, i);
    if (qcow2_cluster_type(s, entry) == QCOW2_COMPRESSED) {
        ret = -ENOTSUP;         /* then as data */
    } else if (((bitmap | mask << 32) & ~mask) != bitmap) {
        qcow2_l2_set(bn, t, i, entry, (bitmap | mask << 32) & ~mask);
    }
    qcow2_cache_put(s->l2_cache, t);
    return ret;
}

int coroutine_fn qcow2_zeroize(BlockNode *bn, uint64_t guest, uint64_t bytes, unsigned flags)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t end = guest + bytes;
    int ret = 0;

    if (s->data_file_raw) {
        /* The file has to say the same. */
        ret = block_co_pwrite_zeroes(s->data_file, guest, bytes, flags);
        if (ret < 0) {
            return ret;
        }
    }
    if (s->header.version < 3) {
        /* No zero clusters; but what is not there reads as zeroes, without a backing file. */
        return bn->backing ? -ENOTSUP :
                             qcow2_discard_clusters(bn, guest, bytes, QCOW2_DISCARD_REQUEST, false);
    }
    while (guest < end && ret == 0) {
        uint64_t in_cluster = qcow2_in_cluster(s, guest), n = end - guest;
        unsigned clusters;

        if (qcow2_has_subclusters(s) && (in_cluster || n < s->cluster_size)) {
            n = MIN(n, s->cluster_size - in_cluster);
            ret = zero_subclusters(bn, guest,
                                   (n + s->subcluster_size - 1) >> s->subcluster_bits);
        } else {
            /* A part of a cluster only at the end of the disk. */
            n = n < s->cluster_size || !qcow2_has_subclusters(s) ?
                    n : n & ~(uint64_t)(s->cluster_size - 1);
            clusters = clusters_in_slice(s, guest, n);
            n = (uint64_t)clusters << s->cluster_bits;
            ret = zero_slice(bn, guest, clusters, flags);
        }
        guest += n;
    }
    qcow2_process_discards(bn, ret);
    return ret;
}

/* Does all of [offset, offset + bytes) read as zeroes already, so that a whole cluster may? */
static bool coroutine_fn rest_is_zero(BlockNode *bn, int64_t offset, int64_t bytes)
{
    int64_t end = MIN(offset + bytes, bn->total_bytes);

    while (offset < end) {
        int64_t pnum;
        int status = block_co_status_above(bn, NULL, true, offset, end - offset, &pnum, NULL, NULL,
                                           NULL);

        if (status < 0 || !(status & BLOCK_STATUS_ZERO) || pnum <= 0) {
            return false;
        }
        offset += pnum;
    }
    return true;
}

int coroutine_fn qcow2_co_pwrite_zeroes(BlockNode *bn, int64_t offset, int64_t bytes,
                                        unsigned flags)
{
    Qcow2State *s = qcow2_state(bn);
    int64_t unit = s->subcluster_size, head = offset & (unit - 1);
    int64_t end = offset + bytes, tail = end & (unit - 1);
    Qcow2Extent x;
    int ret;

    if (s->dead) {
        return -ENOMEDIUM;
    }
    if (end == bn->total_bytes) {
        tail = 0;
    }
    if (head || tail) {
        /* Less than a unit, the rest of which has to be zero too. */
        int64_t start = offset - head, full_end = ROUND_UP(end, unit);

        if (full_end - start > unit || !rest_is_zero(bn, start, head) ||
            !rest_is_zero(bn, end, full_end - end)) {
            return -ENOTSUP;
        }
        co_mutex_lock(&s->lock);
        qcow2_wait_allocs(bn, start, full_end - start);
        ret = qcow2_map(bn, start, unit, &x);
        /* It may have changed meanwhile. */
        if (ret < 0 || x.bytes < unit || (x.type == QCOW2_NORMAL || x.type == QCOW2_COMPRESSED)) {
            co_mutex_unlock(&s->lock);
            return ret < 0 ? ret : -ENOTSUP;
        }
        offset = start;
        bytes = unit;
    } else {
        co_mutex_lock(&s->lock);
        qcow2_wait_allocs(bn, offset, bytes);
    }
    ret = qcow2_zeroize(bn, offset, bytes, flags);
    co_mutex_unlock(&s->lock);
    return ret;
}

/* ---- emptying ---- */

/* Nothing but the tables that every image has is in use, once the mapping is gone. */
static bool can_start_afresh(const Qcow2State *s)
{
    uint64_t l1 = qcow2_clusters(s, (uint64_t)s->header.l1_size * 8);

    return s->header.version >= 3 && !s->snapshot_count && !s->bitmap_count &&
           s->header.crypt_method != QCOW2_CRYPT_LUKS && !qcow2_has_data_file(s) &&
           3 + l1 <= BIT(s->refblock_bits);
}

/* The header's fields from l1_size to refcount_table_clusters. */
static int coroutine_fn point_to_fresh(BlockNode *bn)
{
    Qcow2State *s = qcow2_state(bn);
    uint8_t p[24];
    int ret;

    store_be32(p, s->header.l1_size);
    store_be64(p + 4, (uint64_t)3 << s->cluster_bits);
    store_be64(p + 12, (uint64_t)1 << s->cluster_bits);
    store_be32(p + 20, 1);
    ret = block_co_pwrite(bn->file, 36, sizeof(p), p, 0);
    return ret < 0 ? ret : block_co_flush(bn->file->node);
}

/* The counts of header, table, block and L1 table, in a block that is zero on disk. */
static int coroutine_fn count_fresh(BlockNode *bn, unsigned clusters)
{
    Qcow2State *s = qcow2_state(bn);
    g_autofree uint8_t *block = g_try_malloc0(s->cluster_size);
    uint8_t entry[8];
    unsigned i;
    int ret;

    if (!block) {
        return -ENOMEM;
    }
    for (i = 0; i < clusters; i++) {
        qcow2_refcount_set_in(block, i, s->refcount_order, 1);
    }
    ret = block_co_pwrite(bn->file, (uint64_t)2 << s->cluster_bits, s->cluster_size, block, 0);
    if (ret == 0) {
        ret = block_co_flush(bn->file->node);
    }
    store_be64(entry, (uint64_t)2 << s->cluster_bits);
    return ret < 0 ? ret : block_co_pwrite(bn->file, s->cluster_size, sizeof(entry), entry, 0);
}

/* On disk; while it is marked as dirty, its counts may be anything. */
static int coroutine_fn write_fresh(BlockNode *bn, unsigned clusters)
{
    Qcow2State *s = qcow2_state(bn);
    Error *err = NULL;
    int ret;

    /* The table that is in force: from here on the image is empty. */
    ret = block_co_pwrite_zeroes(bn->file, s->header.l1_offset, (uint64_t)s->header.l1_size * 8, 0);
    if (ret == 0) {
        ret = block_co_flush(bn->file->node);
    }
    if (ret == 0) {
        ret = block_co_pwrite_zeroes(bn->file, s->cluster_size,
                                     (uint64_t)(clusters - 1) << s->cluster_bits, 0);
    }
    if (ret == 0) {
        ret = block_co_flush(bn->file->node);
    }
    if (ret == 0) {
        ret = point_to_fresh(bn);
    }
    if (ret == 0) {
        ret = count_fresh(bn, clusters);
    }
    if (ret == 0) {
        ret = block_co_truncate(bn->file, (uint64_t)clusters << s->cluster_bits, false,
                                PREALLOC_MODE_OFF, 0, &err);
        error_free(err);
    }
    return ret < 0 ? ret : block_co_flush(bn->file->node);
}

/* As it was when it was new, with what belongs to all images alone. */
static int coroutine_fn start_afresh(BlockNode *bn)
{
    Qcow2State *s = qcow2_state(bn);
    unsigned clusters = 3 + qcow2_clusters(s, (uint64_t)s->header.l1_size * 8);
    uint32_t entries = s->cluster_size / 8;
    uint64_t *reftable = g_try_new0(uint64_t, entries);
    int ret;

    if (!reftable) {
        return -ENOMEM;
    }
    ret = qcow2_write_caches(bn);
    if (ret == 0) {
        ret = qcow2_mark_dirty(bn);
    }
    if (ret < 0) {
        g_free(reftable);
        return ret;
    }
    /* What is asked for from now on finds nothing here; what was found before comes to its end. */
    memset(s->l1, 0, (size_t)s->header.l1_size * 8);
    ret = qcow2_barrier(bn);
    if (ret == 0) {
        ret = write_fresh(bn, clusters);
    }
    qcow2_cache_drop_all(s->l2_cache);
    qcow2_cache_drop_all(s->refcount_cache);
    g_free(s->reftable);
    s->reftable = reftable;
    s->reftable[0] = (uint64_t)2 << s->cluster_bits;
    s->reftable_size = entries;
    s->reftable_used = 1;
    s->header.l1_offset = (uint64_t)3 << s->cluster_bits;
    s->header.reftable_offset = s->cluster_size;
    s->header.reftable_clusters = 1;
    s->free_cluster = s->free_byte = 0;
    g_array_set_size(s->quarantine, 0);
    g_array_set_size(s->discards, 0);
    qcow2_note_tables(bn);
    if (ret < 0) {
        s->dead = true;         /* nobody knows which tables hold; the next open repairs it */
        return ret;
    }
    return s->lazy_refcounts ? 0 : qcow2_mark_clean(bn);
}

int coroutine_fn qcow2_co_make_empty(BlockNode *bn)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t step = ROUND_DOWN((uint64_t)INT32_MAX, s->cluster_size), offset;
    int ret = 0;

    co_mutex_lock(&s->lock);
    qcow2_wait_allocs(bn, 0, INT64_MAX);
    if (s->dead) {
        ret = -ENOMEDIUM;
    } else if (can_start_afresh(s)) {
        block_co_debug_event(bn->file, BLKDEBUG_EVENT_EMPTY_IMAGE_PREPARE);
        ret = start_afresh(bn);
    } else {
        /* Cluster by cluster: what is freed may be discarded, and snapshots keep theirs. */
        for (offset = 0; offset < s->header.size && ret == 0; offset += step) {
            ret = qcow2_discard_clusters(bn, offset, MIN(step, s->header.size - offset),
                                         QCOW2_DISCARD_SNAPSHOT, true);
        }
    }
    co_mutex_unlock(&s->lock);
    return ret;
}
