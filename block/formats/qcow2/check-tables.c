/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The part of the qcow2 check that walks mapping tables: those of the disk and
 * of all snapshots, and what else refers to clusters. See check.c.
 */
#include "util/osdep.h"
#include "check.h"
#include "util/iov.h"

/* ---- one L2 table ---- */

typedef struct TableWalk {
    Qcow2Check *c;
    bool active;
    uint64_t table;             /* offset */
    uint8_t *buf;
    bool changed;
} TableWalk;

static int coroutine_fn refer_compressed(TableWalk *w, unsigned i, uint64_t entry)
{
    Qcow2State *s = qcow2_state(w->c->bn);
    uint64_t offset;
    uint32_t bytes;

    if (entry & QCOW2_OFLAG_COPIED) {
        fprintf(stderr, "ERROR: coffset=0x%" PRIx64 ": copied flag must never be set for "
                "compressed clusters\n", entry & s->coffset_mask);
        entry &= ~QCOW2_OFLAG_COPIED;
        w->c->res->corruptions++;
    }
    if (qcow2_has_data_file(s)) {
        fprintf(stderr, "ERROR compressed cluster %u with data file, entry=0x%" PRIx64 "\n", i,
                entry);
        w->c->res->corruptions++;
        return 0;
    }
    qcow2_compressed_range(s, entry, &offset, &bytes);
    if (w->active) {
        w->c->res->allocated_clusters++;
        w->c->res->compressed_clusters++;
        /* In the middle of others by nature. */
        w->c->res->fragmented_clusters++;
    }
    return qcow2_check_refer(w->c, offset, bytes);
}

static void note_place(TableWalk *w, uint64_t offset)
{
    Qcow2Check *c = w->c;

    if (!w->active) {
        return;
    }
    c->res->allocated_clusters++;
    if (c->next_contiguous && offset != c->next_contiguous) {
        c->res->fragmented_clusters++;
    }
    c->next_contiguous = offset + qcow2_state(c->bn)->cluster_size;
}

static void set_entry(TableWalk *w, unsigned i, uint64_t entry, uint64_t bitmap)
{
    Qcow2State *s = qcow2_state(w->c->bn);
    uint8_t *p = w->buf + (size_t)i * s->l2_entry_size;

    store_be64(p, entry);
    if (qcow2_has_subclusters(s)) {
        store_be64(p + 8, bitmap);
    }
    w->changed = true;
}

/* A place that cannot be; a zero cluster does without one. True: so it does now. */
static bool misaligned(TableWalk *w, unsigned i, uint64_t entry, uint64_t bitmap, Qcow2Type type)
{
    Qcow2State *s = qcow2_state(w->c->bn);
    bool zero = type == QCOW2_ZERO_ALLOC ||
                (qcow2_has_subclusters(s) && !(bitmap & QCOW2_BITMAP_ALL_ALLOC));

    fprintf(stderr, "%s offset=%" PRIx64 ": %s cluster is not properly aligned; L2 entry "
            "corrupted.\n", zero && w->c->fix & BLOCK_FIX_ERRORS ? "Repairing" : "ERROR",
            entry & QCOW2_OFFSET_MASK, zero ? "Preallocated" : "Data");
    w->c->res->corruptions++;
    if (!zero || !(w->c->fix & BLOCK_FIX_ERRORS)) {
        return false;
    }
    set_entry(w, i, qcow2_has_subclusters(s) ? 0 : QCOW2_OFLAG_ZERO, bitmap);
    w->c->res->corruptions--;
    w->c->res->corruptions_fixed++;
    return true;
}

static int coroutine_fn refer_entry(TableWalk *w, unsigned i)
{
    Qcow2State *s = qcow2_state(w->c->bn);
    const uint8_t *p = w->buf + (size_t)i * s->l2_entry_size;
    uint64_t entry = load_be64(p), bitmap = qcow2_has_subclusters(s) ? load_be64(p + 8) : 0;
    uint64_t offset = entry & QCOW2_OFFSET_MASK;
    Qcow2Type type = qcow2_cluster_type(s, entry);

    if (type != QCOW2_COMPRESSED && entry & QCOW2_L2_RESERVED) {
        fprintf(stderr, "ERROR found l2 entry with reserved bits set: %" PRIx64 "\n", entry);
        w->c->res->corruptions++;
    }
    if (qcow2_has_subclusters(s) && type != QCOW2_COMPRESSED &&
        (bitmap & bitmap >> 32 & QCOW2_BITMAP_ALL_ALLOC ||
         (type == QCOW2_UNALLOCATED_PLAIN && bitmap & QCOW2_BITMAP_ALL_ALLOC))) {
        fprintf(stderr, "ERROR l2 entry with an invalid subcluster bitmap: entry %" PRIx64
                " bitmap %" PRIx64 "\n", entry, bitmap);
        w->c->res->corruptions++;
    }
    switch (type) {
    case QCOW2_COMPRESSED:
        return refer_compressed(w, i, entry);
    case QCOW2_NORMAL:
    case QCOW2_ZERO_ALLOC:
        if (qcow2_in_cluster(s, offset) && misaligned(w, i, entry, bitmap, type)) {
            return 0;
        }
        note_place(w, offset);
        return qcow2_has_data_file(s) ? 0 : qcow2_check_refer(w->c, offset, s->cluster_size);
    default:
        return 0;
    }
}

static int coroutine_fn refer_table(Qcow2Check *c, uint64_t table, bool active)
{
    Qcow2State *s = qcow2_state(c->bn);
    TableWalk w = { .c = c, .active = active, .table = table };
    unsigned i;
    int ret;

    c->next_contiguous = 0;     /* what one table maps counts as a piece */
    w.buf = g_try_malloc(s->cluster_size);
    if (!w.buf) {
        return -ENOMEM;
    }
    ret = qcow2_meta_read(c->bn, table, w.buf, s->cluster_size);
    if (ret < 0) {
        fprintf(stderr, "ERROR: I/O error in check_refcounts_l2\n");
        c->res->check_errors++;
        goto out;
    }
    if (!buffer_is_zero(w.buf, s->cluster_size)) {
        for (i = 0; i < BIT(s->l2_bits) && ret == 0; i++) {
            ret = refer_entry(&w, i);
        }
    }
    if (ret == 0 && w.changed) {
        qcow2_cache_discard(s->l2_cache, table, s->cluster_size);
        ret = qcow2_meta_write(c->bn, QCOW2_OL_ACTIVE_L2 | QCOW2_OL_INACTIVE_L2, table, w.buf,
                               s->cluster_size);
        if (ret < 0) {
            fprintf(stderr, "ERROR: Failed to overwrite L2 table entry: %s\n", strerror(-ret));
            c->res->check_errors++;
        }
    }
out:
    g_free(w.buf);
    return ret;
}

/* ---- L1 tables ---- */

static int coroutine_fn refer_l1(Qcow2Check *c, uint64_t l1_offset, uint32_t entries, bool active)
{
    Qcow2State *s = qcow2_state(c->bn);
    g_autofree uint64_t *l1 = NULL;
    uint32_t i;
    int ret;

    if (entries > QCOW2_MAX_L1_BYTES / 8 || qcow2_in_cluster(s, l1_offset)) {
        fprintf(stderr, "ERROR L1 table at 0x%" PRIx64 " is not valid\n", l1_offset);
        c->res->corruptions++;
        return 0;
    }
    if (!entries) {
        return 0;
    }
    ret = qcow2_check_refer(c, l1_offset, (uint64_t)entries * 8);
    if (ret == 0) {
        ret = qcow2_load_l1(c->bn, l1_offset, entries, &l1);
    }
    if (ret < 0) {
        fprintf(stderr, "ERROR: I/O error in check_refcounts_l1\n");
        c->res->check_errors++;
        return ret;
    }
    for (i = 0; i < entries; i++) {
        uint64_t table = l1[i] & QCOW2_OFFSET_MASK;

        if (!l1[i]) {
            continue;
        }
        if (l1[i] & QCOW2_L1_RESERVED) {
            fprintf(stderr, "ERROR found L1 entry with reserved bits set: %" PRIx64 "\n", l1[i]);
            c->res->corruptions++;
        }
        if (!table) {
            continue;
        }
        if (qcow2_in_cluster(s, table)) {
            fprintf(stderr, "ERROR l2_offset=%" PRIx64 ": Table is not cluster aligned; L1 entry "
                    "corrupted\n", table);
            c->res->corruptions++;
            continue;
        }
        ret = qcow2_check_refer(c, table, s->cluster_size);
        if (ret == 0 && (int64_t)table < c->file_bytes) {
            ret = refer_table(c, table, active);
        }
        if (ret < 0) {
            return ret;
        }
    }
    return 0;
}

int coroutine_fn qcow2_check_tables(Qcow2Check *c)
{
    Qcow2State *s = qcow2_state(c->bn);
    unsigned i;
    int ret;

    ret = qcow2_check_refer(c, 0, s->cluster_size);
    if (ret == 0) {
        ret = refer_l1(c, s->header.l1_offset, s->header.l1_size, true);
    }
    for (i = 0; i < s->snapshot_count && ret == 0; i++) {
        const Qcow2Snapshot *sn = &s->snapshots[i];

        if (qcow2_in_cluster(s, sn->l1_offset)) {
            fprintf(stderr, "ERROR snapshot %s (%s) l1_offset=%#" PRIx64 ": L1 table is not "
                    "cluster aligned; snapshot table entry corrupted\n", sn->id, sn->name,
                    sn->l1_offset);
            c->res->corruptions++;
            continue;
        }
        if (sn->l1_size > QCOW2_MAX_L1_BYTES / 8) {
            fprintf(stderr, "ERROR snapshot %s (%s) l1_size=%#" PRIx32 ": L1 table is too large; "
                    "snapshot table entry corrupted\n", sn->id, sn->name, sn->l1_size);
            c->res->corruptions++;
            continue;
        }
        ret = refer_l1(c, sn->l1_offset, sn->l1_size, false);
    }
    if (ret == 0) {
        ret = qcow2_check_refer(c, s->header.snapshots_offset, s->snapshot_table_bytes);
    }
    if (ret == 0 && s->crypto_header_bytes) {
        ret = qcow2_check_refer(c, s->crypto_header_offset, s->crypto_header_bytes);
    }
    return ret < 0 ? ret : qcow2_check_bitmaps(c->bn, c->res, qcow2_check_refer, c);
}

/* ---- flags ---- */

typedef struct CopiedCheck {
    BlockNode *bn;
    BlockCheckResult *res;
    bool repair;
} CopiedCheck;

static void told(CopiedCheck *k, unsigned found)
{
    if (k->repair) {
        k->res->corruptions_fixed += found;
    } else {
        k->res->corruptions += found;
    }
}

/* Whether the flag of @entry fits the refcount of @cluster. */
static int coroutine_fn flag_wrong(BlockNode *bn, uint64_t entry, uint64_t offset,
                                   uint64_t *refcount)
{
    int ret = qcow2_refcount_get(bn, offset >> qcow2_state(bn)->cluster_bits, refcount);

    return ret < 0 ? ret : (*refcount == 1) != !!(entry & QCOW2_OFLAG_COPIED);
}

static int coroutine_fn check_table_flags(CopiedCheck *k, uint64_t table)
{
    BlockNode *bn = k->bn;
    Qcow2State *s = qcow2_state(bn);
    g_autofree uint8_t *buf = g_try_malloc(s->cluster_size);
    unsigned i, wrong = 0;
    uint64_t refcount;
    int ret;

    if (!buf) {
        return -ENOMEM;
    }
    ret = qcow2_meta_read(bn, table, buf, s->cluster_size);
    if (ret < 0) {
        fprintf(stderr, "ERROR: I/O error in check_oflag_copied(): %s\n", strerror(-ret));
        k->res->check_errors++;
        return ret;
    }
    for (i = 0; i < BIT(s->l2_bits); i++) {
        uint8_t *p = buf + (size_t)i * s->l2_entry_size;
        uint64_t entry = load_be64(p), offset = entry & QCOW2_OFFSET_MASK;
        Qcow2Type type = entry ? qcow2_cluster_type(s, entry) : QCOW2_UNALLOCATED_PLAIN;

        if ((type != QCOW2_NORMAL && type != QCOW2_ZERO_ALLOC) || qcow2_in_cluster(s, offset)) {
            continue;
        }
        ret = flag_wrong(bn, entry, offset, &refcount);
        if (ret > 0) {
            fprintf(stderr, "%s OFLAG_COPIED data cluster: l2_entry=%" PRIx64 " refcount=%" PRIu64
                    "\n", k->repair ? "Repairing" : "ERROR", entry, refcount);
            store_be64(p, entry ^ QCOW2_OFLAG_COPIED);
            wrong++;
        }
    }
    if (wrong && k->repair) {
        qcow2_cache_discard(s->l2_cache, table, s->cluster_size);
        ret = qcow2_meta_write(bn, QCOW2_OL_ACTIVE_L2, table, buf, s->cluster_size);
        if (ret < 0) {
            fprintf(stderr, "ERROR: Could not write L2 table: %s\n", strerror(-ret));
            k->res->check_errors++;
            return ret;
        }
    }
    told(k, wrong);
    return 0;
}

int coroutine_fn qcow2_check_copied(BlockNode *bn, BlockCheckResult *res, unsigned fix)
{
    Qcow2State *s = qcow2_state(bn);
    /* With wrong refcounts, flags would be made wrong by them. */
    CopiedCheck k = {
        .bn = bn, .res = res,
        .repair = fix && !res->check_errors && !res->corruptions && !res->leaks,
    };
    uint64_t refcount;
    uint32_t i;
    int ret;

    if (qcow2_has_data_file(s)) {
        return 0;
    }
    ret = qcow2_write_caches(bn);
    if (ret < 0) {
        res->check_errors++;
        return ret;
    }
    for (i = 0; i < s->header.l1_size; i++) {
        uint64_t table = s->l1[i] & QCOW2_OFFSET_MASK;

        if (!table || qcow2_in_cluster(s, table) ||
            (int64_t)table >= bn->file->node->total_bytes) {
            continue;
        }
        ret = flag_wrong(bn, s->l1[i], table, &refcount);
        if (ret > 0) {
            fprintf(stderr, "%s OFLAG_COPIED L2 cluster: l1_index=%u l1_entry=%" PRIx64
                    " refcount=%" PRIu64 "\n", k.repair ? "Repairing" : "ERROR", i, s->l1[i],
                    refcount);
            if (k.repair) {
                s->l1[i] ^= QCOW2_OFLAG_COPIED;
                ret = qcow2_write_l1_entry(bn, i);
                if (ret < 0) {
                    res->check_errors++;
                    return ret;
                }
            }
            told(&k, 1);
        }
        ret = check_table_flags(&k, table);
        if (ret < 0) {
            return ret;
        }
    }
    return 0;
}
