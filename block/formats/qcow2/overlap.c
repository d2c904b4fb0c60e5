/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guarding metadata: before anything is written its place is compared with
 * where tables are known to be. A hit means that the image is damaged; it is
 * then marked as corrupt and not used any more, before more harm is done.
 *
 * Coroutines; the lists that are looked at change only under the driver's lock.
 */
#include "util/osdep.h"
#include "qcow2.h"
#include "qapi-events.h"

static const char *const structure_names[QCOW2_OL_COUNT] = {
    "qcow2_header", "active L1 table", "active L2 table", "refcount table", "refcount block",
    "snapshot table", "inactive L1 table", "inactive L2 table", "bitmap directory",
};

static const char *const option_names[QCOW2_OL_COUNT] = {
    "main-header", "active-l1", "active-l2", "refcount-table", "refcount-block",
    "snapshot-table", "inactive-l1", "inactive-l2", "bitmap-directory",
};

/* ---- corruption ---- */

static const char *device_name(BlockNode *bn)
{
    BlockBackend *blk;

    for (blk = blk_next(NULL); blk; blk = blk_next(blk)) {
        if (blk_node(blk) == bn && blk_name(blk)) {
            return blk_name(blk);
        }
    }
    return "";
}

void coroutine_fn qcow2_signal_corruption(BlockNode *bn, bool fatal, int64_t offset, int64_t size,
                                          const char *fmt, ...)
{
    Qcow2State *s = qcow2_state(bn);
    g_autofree char *text = NULL;
    va_list ap;

    fatal = fatal && !bn->read_only;
    if (s->dead || (s->corruption_told && (!fatal || s->header.incompat & QCOW2_INCOMPAT_CORRUPT))) {
        return;
    }
    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    fprintf(stderr,
            fatal ? "qcow2: Marking image as corrupt: %s; further corruption events will be "
                    "suppressed\n" :
                    "qcow2: Image is corrupt: %s; further non-fatal corruption events will be "
                    "suppressed\n", text);
    qapi_event_send_BLOCK_IMAGE_CORRUPTED(device_name(bn), bn->node_name, text, offset >= 0,
                                          offset, size >= 0, size, fatal);
    s->corruption_told = true;
    if (fatal) {
        /* The data on disk is what counts; a failure here changes nothing. */
        qcow2_mark_corrupt(bn);
        s->dead = true;
    }
}

/* ---- the check ---- */

void qcow2_note_table(Qcow2State *s, uint64_t offset, unsigned kind)
{
    if (offset) {
        g_hash_table_insert(s->meta_clusters, GSIZE_TO_POINTER(offset >> s->cluster_bits),
                            GUINT_TO_POINTER(kind));
    }
}

void qcow2_note_tables(BlockNode *bn)
{
    Qcow2State *s = qcow2_state(bn);
    uint32_t i;

    g_hash_table_remove_all(s->meta_clusters);
    for (i = 0; i < s->header.l1_size && s->l1; i++) {
        qcow2_note_table(s, s->l1[i] & QCOW2_OFFSET_MASK, QCOW2_OL_ACTIVE_L2);
    }
    for (i = 0; i < s->reftable_used; i++) {
        qcow2_note_table(s, s->reftable[i] & QCOW2_REFTABLE_MASK, QCOW2_OL_REFCOUNT_BLOCK);
    }
}

typedef struct Range {
    uint64_t start, end;
} Range;

static bool hits(const Range *r, uint64_t offset, uint64_t bytes)
{
    return bytes && offset < r->end && r->start < offset + bytes;
}

static unsigned hit_fixed(const Qcow2State *s, unsigned check, const Range *r)
{
    const Qcow2Header *h = &s->header;
    unsigned i;

    if (check & QCOW2_OL_MAIN_HEADER && r->start < s->cluster_size) {
        return QCOW2_OL_MAIN_HEADER;
    }
    if (check & QCOW2_OL_ACTIVE_L1 && hits(r, h->l1_offset, (uint64_t)h->l1_size * 8)) {
        return QCOW2_OL_ACTIVE_L1;
    }
    if (check & QCOW2_OL_REFCOUNT_TABLE &&
        hits(r, h->reftable_offset, (uint64_t)s->reftable_size * 8)) {
        return QCOW2_OL_REFCOUNT_TABLE;
    }
    if (check & QCOW2_OL_SNAPSHOT_TABLE && hits(r, h->snapshots_offset, s->snapshot_table_bytes)) {
        return QCOW2_OL_SNAPSHOT_TABLE;
    }
    for (i = 0; check & QCOW2_OL_INACTIVE_L1 && i < s->snapshot_count; i++) {
        if (hits(r, s->snapshots[i].l1_offset, (uint64_t)s->snapshots[i].l1_size * 8)) {
            return QCOW2_OL_INACTIVE_L1;
        }
    }
    if (check & QCOW2_OL_BITMAP_DIRECTORY && h->autoclear & QCOW2_AUTOCLEAR_BITMAPS &&
        hits(r, s->bitmap_directory_offset, s->bitmap_directory_bytes)) {
        return QCOW2_OL_BITMAP_DIRECTORY;
    }
    return 0;
}

static unsigned hit_tables(const Qcow2State *s, unsigned check, const Range *r)
{
    uint64_t c, end = (r->end + s->cluster_size - 1) >> s->cluster_bits;

    check &= QCOW2_OL_ACTIVE_L2 | QCOW2_OL_REFCOUNT_BLOCK;
    for (c = r->start >> s->cluster_bits; check && c < end; c++) {
        unsigned kind = GPOINTER_TO_UINT(g_hash_table_lookup(s->meta_clusters,
                                                             GSIZE_TO_POINTER(c)));

        if (kind & check) {
            return kind;
        }
    }
    return 0;
}

/* 1: hit, 0, or -errno. */
static int coroutine_fn hit_inactive_l2(BlockNode *bn, const Range *r)
{
    Qcow2State *s = qcow2_state(bn);
    unsigned i;
    uint32_t j;

    for (i = 0; i < s->snapshot_count; i++) {
        g_autofree uint64_t *l1 = NULL;
        int ret = qcow2_load_l1(bn, s->snapshots[i].l1_offset, s->snapshots[i].l1_size, &l1);

        if (ret < 0) {
            return ret;
        }
        for (j = 0; j < s->snapshots[i].l1_size; j++) {
            uint64_t offset = l1[j] & QCOW2_OFFSET_MASK;

            if (offset && hits(r, offset, s->cluster_size)) {
                return 1;
            }
        }
    }
    return 0;
}

int coroutine_fn qcow2_check_overlap(BlockNode *bn, unsigned ignore, uint64_t offset,
                                     uint64_t bytes, bool is_data)
{
    Qcow2State *s = qcow2_state(bn);
    unsigned check = s->opt.overlap_check & ~ignore, hit;
    Range r = { qcow2_cluster_start(s, offset), offset + bytes };
    int ret;

    if (!check || !bytes || (is_data && qcow2_has_data_file(s))) {
        return 0;
    }
    hit = hit_fixed(s, check, &r);
    if (!hit) {
        hit = hit_tables(s, check, &r);
    }
    if (!hit && check & QCOW2_OL_INACTIVE_L2) {
        ret = hit_inactive_l2(bn, &r);
        if (ret < 0) {
            return ret;
        }
        hit = ret ? QCOW2_OL_INACTIVE_L2 : 0;
    }
    if (!hit) {
        return 0;
    }
    qcow2_signal_corruption(bn, true, offset, bytes,
                            "Preventing invalid write on metadata (overlaps with %s)",
                            structure_names[__builtin_ctz(hit)]);
    return -EIO;
}

/* ---- the option ---- */

static bool template_flags(const char *text, unsigned *flags, Error **errp)
{
    static const unsigned templates[QCOW2_OVERLAP_CHECK_MODE__MAX] = {
        0, QCOW2_OL_CONSTANT, QCOW2_OL_CACHED, QCOW2_OL_ALL,
    };
    int i;

    for (i = 0; i < QCOW2_OVERLAP_CHECK_MODE__MAX; i++) {
        if (!strcmp(text, Qcow2OverlapCheckMode_str(i))) {
            *flags = templates[i];
            return true;
        }
    }
    error_setg(errp, "Unsupported value '%s' for qcow2 option 'overlap-check'. Allowed are any of "
               "the following: none, constant, cached, all", text);
    return false;
}

bool qcow2_parse_overlap(JsonValue *options, unsigned *flags, Error **errp)
{
    JsonValue *v = json_object_get(options, "overlap-check");
    g_autofree char *template = NULL;
    unsigned i;

    *flags = QCOW2_OL_CACHED;
    if (!v) {
        return true;
    }
    if (json_kind(v) != JSON_OBJECT) {
        if (!block_option_take_string(options, "overlap-check", &template, errp)) {
            return false;
        }
        return template_flags(template, flags, errp);
    }
    if (!block_option_take_string(v, "template", &template, errp) ||
        (template && !template_flags(template, flags, errp))) {
        return false;
    }
    for (i = 0; i < QCOW2_OL_COUNT; i++) {
        bool on = *flags & BIT(i);

        if (!block_option_take_bool(v, option_names[i], &on, errp)) {
            return false;
        }
        *flags = on ? *flags | BIT(i) : *flags & ~BIT(i);
    }
    if (json_object_len(v) == 0) {
        json_object_remove(options, "overlap-check");
    }
    return true;
}
