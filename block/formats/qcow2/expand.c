/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Version 2 of qcow2 has no zero clusters: before an image becomes that, each gets
 * data that is zero, in the disk and in all snapshots. Coroutines under the
 * driver's lock, with the node drained.
 */
#include "util/osdep.h"
#include "qcow2.h"

/* A new cluster of zeroes that @refs tables refer to. */
static int coroutine_fn new_zero_cluster(BlockNode *bn, uint64_t refs, uint64_t *entry)
{
    Qcow2State *s = qcow2_state(bn);
    int64_t offset = qcow2_alloc_clusters(bn, s->cluster_size);
    int ret;

    if (offset < 0) {
        return offset;
    }
    ret = block_co_pwrite_zeroes(bn->file, offset, s->cluster_size, 0);
    if (ret == 0 && refs > 1) {
        ret = qcow2_refcount_update(bn, offset, s->cluster_size, refs - 1, false,
                                    QCOW2_DISCARD_NEVER);
    }
    if (ret < 0) {
        qcow2_free_clusters(bn, offset, s->cluster_size, QCOW2_DISCARD_ALWAYS);
        return ret;
    }
    *entry = offset | (refs == 1 ? QCOW2_OFLAG_COPIED : 0);
    return 0;
}

static int coroutine_fn expand_entry(BlockNode *bn, Qcow2Table *t, unsigned i, uint64_t refs)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t old = qcow2_l2_entry(s, t, i), entry = 0, host = old & QCOW2_OFFSET_MASK;
    Qcow2Type type = qcow2_cluster_type(s, old);
    int ret;

    if (type != QCOW2_ZERO_PLAIN && type != QCOW2_ZERO_ALLOC) {
        return 0;
    }
    if (host && qcow2_in_cluster(s, host)) {
        qcow2_signal_corruption(bn, true, -1, -1, "Cluster allocation offset %#" PRIx64
                                " unaligned", host);
        return -EIO;
    }
    if (type == QCOW2_ZERO_ALLOC && old & QCOW2_OFLAG_COPIED && refs == 1) {
        ret = block_co_pwrite_zeroes(bn->file, host, s->cluster_size, 0);
        entry = old & ~QCOW2_OFLAG_ZERO;
    } else if (!bn->backing) {
        ret = 0;                /* unallocated reads as zeroes too */
    } else {
        ret = new_zero_cluster(bn, refs, &entry);
    }
    if (ret == 0) {
        ret = qcow2_cache_depend(s->l2_cache, s->refcount_cache);
    }
    if (ret < 0) {
        return ret;
    }
    qcow2_cache_depend_flush(s->l2_cache);
    qcow2_l2_set(bn, t, i, entry, 0);
    if (host && (entry & QCOW2_OFFSET_MASK) != host) {
        ret = qcow2_refcount_update(bn, host, s->cluster_size, refs, true, QCOW2_DISCARD_OTHER);
    }
    return ret;
}

static int coroutine_fn expand_table(BlockNode *bn, uint64_t table)
{
    Qcow2State *s = qcow2_state(bn);
    uint32_t slice_bytes = s->l2_slice_entries * s->l2_entry_size, at;
    uint64_t refs;
    int ret;

    ret = qcow2_refcount_get(bn, table >> s->cluster_bits, &refs);
    for (at = 0; at < s->cluster_size && ret == 0; at += slice_bytes) {
        Qcow2Table *t;
        unsigned i;

        ret = qcow2_cache_get(s->l2_cache, table + at, &t);
        if (ret < 0) {
            break;
        }
        for (i = 0; i < s->l2_slice_entries && ret == 0; i++) {
            ret = expand_entry(bn, t, i, MAX(refs, 1));
        }
        qcow2_cache_put(s->l2_cache, t);
    }
    return ret;
}

int coroutine_fn qcow2_expand_zeroes(BlockNode *bn, BlockProgress *progress, void *opaque)
{
    Qcow2State *s = qcow2_state(bn);
    unsigned sn;
    uint32_t i;
    int ret = 0;

    for (i = 0; i < s->header.l1_size && ret == 0; i++) {
        uint64_t table = s->l1[i] & QCOW2_OFFSET_MASK;

        if (table && !qcow2_in_cluster(s, table)) {
            ret = expand_table(bn, table);
        }
        if (progress) {
            progress(opaque, i + 1, s->header.l1_size);
        }
    }
    for (sn = 0; sn < s->snapshot_count && ret == 0; sn++) {
        g_autofree uint64_t *l1 = NULL;

        if (s->snapshots[sn].l1_size > QCOW2_MAX_L1_BYTES / 8) {
            return -EFBIG;
        }
        ret = qcow2_load_l1(bn, s->snapshots[sn].l1_offset, s->snapshots[sn].l1_size, &l1);
        for (i = 0; ret == 0 && i < s->snapshots[sn].l1_size; i++) {
            uint64_t table = l1[i] & QCOW2_OFFSET_MASK;

            if (table && !qcow2_in_cluster(s, table)) {
                ret = expand_table(bn, table);
            }
        }
    }
    return ret;
}
