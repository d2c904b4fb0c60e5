/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The snapshot table of qcow2 (specification, "Snapshots"): reading, writing to
 * a new place, repairing what a table in a damaged image holds.
 *
 * Coroutines under the driver's lock. Every length in the table is checked.
 */
#include "util/osdep.h"
#include "qcow2.h"

#define ENTRY_FIXED_BYTES 40
#define EXTRA_KNOWN_BYTES 24

void qcow2_free_snapshots(Qcow2State *s)
{
    unsigned i;

    for (i = 0; i < s->snapshot_count; i++) {
        g_free(s->snapshots[i].id);
        g_free(s->snapshots[i].name);
        g_free(s->snapshots[i].unknown_extra);
    }
    g_clear_pointer(&s->snapshots, g_free);
    s->snapshot_count = 0;
}

typedef struct TableReader {
    BlockNode *bn;
    uint64_t at;                /* in the file */
    bool repair;
    unsigned extra_dropped;
} TableReader;

static int coroutine_fn read_extra(TableReader *r, Qcow2Snapshot *sn, uint32_t size)
{
    Qcow2State *s = qcow2_state(r->bn);
    uint8_t known[EXTRA_KNOWN_BYTES] = { 0 };
    uint32_t n = MIN(size, sizeof(known)), kept;
    int ret;

    ret = qcow2_meta_read(r->bn, r->at, known, n);
    if (ret < 0) {
        return ret;
    }
    if (n >= 8) {
        sn->vm_state_size = load_be64(known);
    }
    sn->disk_size = n >= 16 ? load_be64(known + 8) : s->header.size;
    sn->icount = n >= 24 ? load_be64(known + 16) : UINT64_MAX;
    sn->extra_size = size;
    kept = MIN(size, QCOW2_MAX_SNAPSHOT_EXTRA);
    if (kept > sizeof(known)) {
        sn->unknown_extra_size = kept - sizeof(known);
        sn->unknown_extra = g_malloc(sn->unknown_extra_size);
        ret = qcow2_meta_read(r->bn, r->at + sizeof(known), sn->unknown_extra,
                              sn->unknown_extra_size);
    }
    r->at += size;
    return ret;
}

static int coroutine_fn read_text(TableReader *r, uint32_t len, char **text)
{
    int ret;

    *text = g_malloc0(len + 1);
    ret = qcow2_meta_read(r->bn, r->at, *text, len);
    r->at += len;
    return ret;
}

static int coroutine_fn read_entry(TableReader *r, Qcow2Snapshot *sn, unsigned index, Error **errp)
{
    uint8_t p[ENTRY_FIXED_BYTES];
    uint32_t extra;
    int ret;

    memset(sn, 0, sizeof(*sn));
    r->at = ROUND_UP(r->at, 8);
    ret = qcow2_meta_read(r->bn, r->at, p, sizeof(p));
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Failed to read snapshot table");
        return ret;
    }
    r->at += sizeof(p);
    sn->l1_offset = load_be64(p);
    sn->l1_size = load_be32(p + 8);
    sn->date_sec = load_be32(p + 16);
    sn->date_nsec = load_be32(p + 20);
    sn->vm_clock_nsec = load_be64(p + 24);
    sn->vm_state_size = load_be32(p + 32);
    extra = load_be32(p + 36);
    if (extra > QCOW2_MAX_SNAPSHOT_EXTRA && !r->repair) {
        error_setg(errp, "Too much extra metadata in snapshot table entry %u", index);
        error_append_hint(errp, "You can force-remove this extra metadata by updating the image "
                          "via:\n");
        error_append_hint(errp, "  qemu-img check -r all %s\n", r->bn->filename ? r->bn->filename :
                          "");
        return -EINVAL;
    }
    if (extra > QCOW2_MAX_SNAPSHOT_EXTRA) {
        fprintf(stderr, "Discarding too much extra metadata in snapshot table entry %u (%" PRIu32
                " > %d)\n", index, extra, QCOW2_MAX_SNAPSHOT_EXTRA);
        r->extra_dropped++;
    }
    ret = read_extra(r, sn, extra);
    if (ret == 0) {
        ret = read_text(r, load_be16(p + 12), &sn->id);
    }
    if (ret == 0) {
        ret = read_text(r, load_be16(p + 14), &sn->name);
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Failed to read snapshot table");
    }
    return ret;
}

static bool too_long(const TableReader *r, uint64_t start)
{
    return r->at - start > QCOW2_MAX_SNAPSHOT_TABLE_BYTES || r->at > INT64_MAX / 2;
}

bool coroutine_fn qcow2_read_snapshots(BlockNode *bn, bool repair, unsigned *dropped, Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    TableReader r = { .bn = bn, .at = s->header.snapshots_offset, .repair = repair };
    unsigned count = s->header.snapshots, i;

    qcow2_free_snapshots(s);
    s->snapshot_table_bytes = 0;
    if (!count) {
        return true;
    }
    if (count > QCOW2_MAX_SNAPSHOTS) {
        if (!repair) {
            error_setg(errp, "Snapshot table too large");
            return false;
        }
        fprintf(stderr, "Discarding %u overhanging snapshots (snapshot table is too big)\n",
                count - QCOW2_MAX_SNAPSHOTS);
        count = QCOW2_MAX_SNAPSHOTS;
    }
    s->snapshots = g_new0(Qcow2Snapshot, count);
    for (i = 0; i < count; i++) {
        s->snapshot_count = i + 1;      /* so that it is freed */
        if (read_entry(&r, &s->snapshots[i], i, errp) < 0) {
            qcow2_free_snapshots(s);
            return false;
        }
        if (too_long(&r, s->header.snapshots_offset)) {
            if (!repair) {
                error_setg(errp, "Snapshot table is too big");
                qcow2_free_snapshots(s);
                return false;
            }
            fprintf(stderr, "Discarding %u overhanging snapshots (snapshot table is too big)\n",
                    s->header.snapshots - i);
            g_free(s->snapshots[i].id);
            g_free(s->snapshots[i].name);
            g_free(s->snapshots[i].unknown_extra);
            s->snapshot_count = i;
            break;
        }
    }
    s->snapshot_table_bytes = r.at - s->header.snapshots_offset;
    if (dropped) {
        *dropped = s->header.snapshots - s->snapshot_count + r.extra_dropped;
    }
    return true;
}

/* ---- writing ---- */

static uint64_t entry_bytes(const Qcow2Snapshot *sn)
{
    return ROUND_UP(ENTRY_FIXED_BYTES + MAX(sn->unknown_extra_size ? 24 + sn->unknown_extra_size : 0,
                                            EXTRA_KNOWN_BYTES) +
                    strlen(sn->id) + strlen(sn->name), 8);
}

static size_t put_entry(uint8_t *p, const Qcow2Snapshot *sn)
{
    uint32_t extra = EXTRA_KNOWN_BYTES + sn->unknown_extra_size;
    size_t id = strlen(sn->id), name = strlen(sn->name), at;

    store_be64(p, sn->l1_offset);
    store_be32(p + 8, sn->l1_size);
    store_be16(p + 12, id);
    store_be16(p + 14, name);
    store_be32(p + 16, sn->date_sec);
    store_be32(p + 20, sn->date_nsec);
    store_be64(p + 24, sn->vm_clock_nsec);
    store_be32(p + 32, sn->vm_state_size <= UINT32_MAX ? sn->vm_state_size : 0);
    store_be32(p + 36, extra);
    store_be64(p + 40, sn->vm_state_size);
    store_be64(p + 48, sn->disk_size);
    store_be64(p + 56, sn->icount);
    at = ENTRY_FIXED_BYTES + EXTRA_KNOWN_BYTES;
    if (sn->unknown_extra_size) {
        memcpy(p + at, sn->unknown_extra, sn->unknown_extra_size);
        at += sn->unknown_extra_size;
    }
    memcpy(p + at, sn->id, id);
    memcpy(p + at + id, sn->name, name);
    return entry_bytes(sn);
}

/* The header's two fields, which lie side by side. */
static int coroutine_fn point_header(BlockNode *bn, uint32_t count, uint64_t offset)
{
    uint8_t p[12];
    int ret;

    store_be32(p, count);
    store_be64(p + 4, offset);
    ret = block_co_pwrite(bn->file, 60, sizeof(p), p, 0);
    return ret < 0 ? ret : block_co_flush(bn->file->node);
}

int coroutine_fn qcow2_write_snapshots(BlockNode *bn)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t bytes = 0, old_offset = s->header.snapshots_offset, old_bytes;
    g_autofree uint8_t *table = NULL;
    int64_t offset = 0;
    size_t at = 0;
    unsigned i;
    int ret;

    for (i = 0; i < s->snapshot_count; i++) {
        bytes += entry_bytes(&s->snapshots[i]);
        if (bytes > QCOW2_MAX_SNAPSHOT_TABLE_BYTES) {
            return -EFBIG;
        }
    }
    if (bytes) {
        table = g_try_malloc0(bytes);
        if (!table) {
            return -ENOMEM;
        }
        offset = qcow2_alloc_clusters(bn, bytes);
        if (offset < 0) {
            return offset;
        }
        for (i = 0; i < s->snapshot_count; i++) {
            at += put_entry(table + at, &s->snapshots[i]);
        }
        ret = qcow2_meta_write(bn, 0, offset, table, bytes);
        if (ret < 0) {
            goto undo_clusters;
        }
    }
    /* Table, its refcounts, and those of what it refers to, before the header. */
    ret = qcow2_write_caches(bn);
    if (ret == 0) {
        ret = block_co_flush(bn->file->node);
    }
    if (ret < 0) {
        goto undo_clusters;
    }
    ret = point_header(bn, s->snapshot_count, offset);
    if (ret < 0) {
        return ret;             /* either table may be the one: leak both */
    }
    old_bytes = s->snapshot_table_bytes;
    s->snapshot_table_bytes = bytes;
    s->header.snapshots_offset = offset;
    s->header.snapshots = s->snapshot_count;
    if (old_bytes) {
        qcow2_free_clusters(bn, old_offset, old_bytes, QCOW2_DISCARD_SNAPSHOT);
    }
    return 0;

undo_clusters:
    if (offset > 0) {
        qcow2_free_clusters(bn, offset, bytes, QCOW2_DISCARD_ALWAYS);
    }
    return ret;
}

/* ---- checking ---- */

int coroutine_fn qcow2_check_fix_snapshot_table(BlockNode *bn, BlockCheckResult *res, unsigned fix)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t max = 40 * (uint64_t)QCOW2_MAX_SNAPSHOTS;
    unsigned dropped = 0, i;
    Error *err = NULL;

    if (qcow2_in_cluster(s, s->header.snapshots_offset) ||
        s->header.snapshots_offset > INT64_MAX - max) {
        res->check_errors++;
        fprintf(stderr, "ERROR snapshot table offset invalid\n");
        s->header.snapshots = 0;
        return -EINVAL;
    }
    if (!qcow2_read_snapshots(bn, fix & BLOCK_FIX_ERRORS, &dropped, &err)) {
        res->check_errors++;
        error_prepend(&err, "ERROR ");
        fprintf(stderr, "%s\n", error_message(err));
        if (error_hint(err)) {
            fprintf(stderr, "%s", error_hint(err));
        }
        error_free(err);
        return -EINVAL;
    }
    if (dropped) {
        res->corruptions += dropped;
    }
    for (i = 0; i < s->snapshot_count; i++) {
        /* v3 requires the fields that v2 did not have. */
        if (s->header.version >= 3 && s->snapshots[i].extra_size < 16) {
            res->corruptions++;
            fprintf(stderr, "%s snapshot table entry %u is incomplete\n",
                    fix & BLOCK_FIX_ERRORS ? "Repairing" : "ERROR", i);
            dropped++;
        }
    }
    if (!dropped || !(fix & BLOCK_FIX_ERRORS)) {
        return 0;
    }
    /* Written when the refcounts are right. */
    return 1;
}
