/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From guest offsets to host offsets: the L1 table in memory, slices of L2
 * tables in a cache (specification, "Cluster mapping" and "Extended L2
 * Entries"). Also the making of L2 tables and the size of the L1 table.
 *
 * Coroutines under the driver's lock, but qcow2_map_cached(). Entries are
 * checked each time they are used: they come from the image.
 */
#include "util/osdep.h"
#include "qcow2.h"

/* ---- entries ---- */

Qcow2Type qcow2_cluster_type(const Qcow2State *s, uint64_t entry)
{
    if (entry & QCOW2_OFLAG_COMPRESSED) {
        return QCOW2_COMPRESSED;
    }
    if (entry & QCOW2_OFLAG_ZERO && !qcow2_has_subclusters(s)) {
        return entry & QCOW2_OFFSET_MASK ? QCOW2_ZERO_ALLOC : QCOW2_ZERO_PLAIN;
    }
    if (!(entry & QCOW2_OFFSET_MASK)) {
        /* In an external data file even offset 0 is a place for data. */
        return qcow2_has_data_file(s) && entry & QCOW2_OFLAG_COPIED ? QCOW2_NORMAL :
                                                                      QCOW2_UNALLOCATED_PLAIN;
    }
    return QCOW2_NORMAL;
}

Qcow2Type qcow2_subcluster_type(const Qcow2State *s, uint64_t entry, uint64_t bitmap, unsigned sc)
{
    Qcow2Type type = qcow2_cluster_type(s, entry);
    bool alloc, zero;

    if (!qcow2_has_subclusters(s) || type == QCOW2_COMPRESSED) {
        return type;
    }
    alloc = bitmap & BIT(sc);
    zero = bitmap & BIT(sc + 32);
    if (alloc && zero) {
        return QCOW2_INVALID;
    }
    if (type == QCOW2_NORMAL) {
        return alloc ? QCOW2_NORMAL : zero ? QCOW2_ZERO_ALLOC : QCOW2_UNALLOCATED_ALLOC;
    }
    return alloc ? QCOW2_INVALID : zero ? QCOW2_ZERO_PLAIN : QCOW2_UNALLOCATED_PLAIN;
}

bool qcow2_type_is_allocated(Qcow2Type type)
{
    return type == QCOW2_NORMAL || type == QCOW2_COMPRESSED || type == QCOW2_ZERO_ALLOC;
}

void qcow2_compressed_range(const Qcow2State *s, uint64_t entry, uint64_t *offset, uint32_t *bytes)
{
    uint64_t sectors = ((entry >> s->csize_shift) & s->csize_mask) + 1;

    *offset = entry & s->coffset_mask;
    *bytes = sectors * QCOW2_COMPRESSED_SECTOR - (*offset & (QCOW2_COMPRESSED_SECTOR - 1));
}

void qcow2_l2_set(BlockNode *bn, Qcow2Table *t, unsigned i, uint64_t entry, uint64_t bitmap)
{
    Qcow2State *s = qcow2_state(bn);
    uint8_t *p = t->data + (size_t)i * s->l2_entry_size;

    store_be64(p, entry);
    if (qcow2_has_subclusters(s)) {
        store_be64(p + 8, bitmap);
    }
    qcow2_cache_dirty(s->l2_cache, t, i * s->l2_entry_size, s->l2_entry_size);
}

/* ---- tables ---- */

static unsigned l2_index(const Qcow2State *s, uint64_t guest)
{
    return (guest >> s->cluster_bits) & (BIT(s->l2_bits) - 1);
}

unsigned qcow2_slice_index(const Qcow2State *s, uint64_t guest)
{
    return (guest >> s->cluster_bits) & (s->l2_slice_entries - 1);
}

static uint64_t slice_offset(const Qcow2State *s, uint64_t table, uint64_t guest)
{
    return table + (uint64_t)(l2_index(s, guest) & ~(s->l2_slice_entries - 1)) * s->l2_entry_size;
}

static int coroutine_fn check_table_offset(BlockNode *bn, uint64_t table, uint64_t l1_index)
{
    if (qcow2_in_cluster(qcow2_state(bn), table)) {
        qcow2_signal_corruption(bn, true, -1, -1, "L2 table offset %#" PRIx64
                                " unaligned (L1 index: %#" PRIx64 ")", table, l1_index);
        return -EIO;
    }
    return 0;
}

int coroutine_fn qcow2_slice_get(BlockNode *bn, uint64_t guest, Qcow2Table **t)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t l1_index = guest >> qcow2_l1_shift(s), table;
    int ret;

    *t = NULL;
    table = l1_index < s->header.l1_size ? s->l1[l1_index] & QCOW2_OFFSET_MASK : 0;
    if (!table) {
        return 0;
    }
    ret = check_table_offset(bn, table, l1_index);
    return ret < 0 ? ret : qcow2_cache_get(s->l2_cache, slice_offset(s, table, guest), t);
}

int coroutine_fn qcow2_write_l1_entry(BlockNode *bn, uint64_t index)
{
    Qcow2State *s = qcow2_state(bn);
    uint8_t buf[8];
    int ret;

    store_be64(buf, s->l1[index]);
    ret = qcow2_check_overlap(bn, QCOW2_OL_ACTIVE_L1, s->header.l1_offset + index * 8, sizeof(buf),
                              false);
    if (ret < 0) {
        return ret;
    }
    block_co_debug_event(bn->file, BLKDEBUG_EVENT_L1_UPDATE);
    return block_co_pwrite(bn->file, s->header.l1_offset + index * 8, sizeof(buf), buf, 0);
}

/* Fill the new table at @table, which nothing refers to yet, from the one at @old (0: empty). */
static int coroutine_fn fill_table(BlockNode *bn, uint64_t table, uint64_t old)
{
    Qcow2State *s = qcow2_state(bn);
    uint32_t slice_bytes = s->l2_slice_entries * s->l2_entry_size, at;
    int ret = 0;

    for (at = 0; at < s->cluster_size && ret == 0; at += slice_bytes) {
        Qcow2Table *t, *from;

        ret = qcow2_cache_get_empty(s->l2_cache, table + at, &t);
        if (ret < 0) {
            break;
        }
        if (old) {
            block_co_debug_event(bn->file, BLKDEBUG_EVENT_L2_ALLOC_COW_READ);
            ret = qcow2_cache_get(s->l2_cache, old + at, &from);
            if (ret == 0) {
                memcpy(t->data, from->data, slice_bytes);
                qcow2_cache_put(s->l2_cache, from);
            }
        } else {
            memset(t->data, 0, slice_bytes);
        }
        if (ret == 0) {
            block_co_debug_event(bn->file, BLKDEBUG_EVENT_L2_ALLOC_WRITE);
            qcow2_cache_dirty(s->l2_cache, t, 0, slice_bytes);
        }
        qcow2_cache_put(s->l2_cache, t);
    }
    return ret;
}

/* A table of our own for the L1 entry @l1_index: empty, or a copy of a shared one. */
static int coroutine_fn make_table(BlockNode *bn, uint64_t l1_index)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t old_entry = s->l1[l1_index], old = old_entry & QCOW2_OFFSET_MASK;
    int64_t table;
    int ret;

    table = qcow2_alloc_clusters(bn, s->cluster_size);
    if (table < 0) {
        return table;
    }
    if (table == 0) {
        qcow2_signal_corruption(bn, true, -1, -1,
                                "Preventing invalid allocation of L2 table at offset 0");
        return -EIO;
    }
    ret = fill_table(bn, table, old);
    /* Counted and complete on disk, before anything refers to it. */
    if (ret == 0) {
        ret = qcow2_write_caches(bn);
    }
    if (ret == 0) {
        ret = block_co_flush(bn->file->node);
    }
    if (ret < 0) {
        goto undo_table;
    }
    s->l1[l1_index] = table | QCOW2_OFLAG_COPIED;
    ret = qcow2_write_l1_entry(bn, l1_index);
    if (ret < 0) {
        s->l1[l1_index] = old_entry;
        goto undo_table;
    }
    qcow2_note_table(s, table, QCOW2_OL_ACTIVE_L2);
    if (old) {
        qcow2_cache_depend_flush(s->refcount_cache);
        qcow2_free_clusters(bn, old, s->cluster_size, QCOW2_DISCARD_OTHER);
    }
    return 0;

undo_table:
    qcow2_cache_discard(s->l2_cache, table, s->cluster_size);
    qcow2_free_clusters(bn, table, s->cluster_size, QCOW2_DISCARD_ALWAYS);
    return ret;
}

int coroutine_fn qcow2_slice_get_writable(BlockNode *bn, uint64_t guest, Qcow2Table **t)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t l1_index = guest >> qcow2_l1_shift(s), table;
    int ret;

    *t = NULL;
    if (l1_index >= s->header.l1_size) {
        ret = qcow2_grow_l1(bn, l1_index + 1, false);
        if (ret < 0) {
            return ret;
        }
    }
    table = s->l1[l1_index] & QCOW2_OFFSET_MASK;
    ret = check_table_offset(bn, table, l1_index);
    if (ret < 0) {
        return ret;
    }
    if (!(s->l1[l1_index] & QCOW2_OFLAG_COPIED)) {
        ret = make_table(bn, l1_index);
        if (ret < 0) {
            return ret;
        }
        table = s->l1[l1_index] & QCOW2_OFFSET_MASK;
    }
    return qcow2_cache_get(s->l2_cache, slice_offset(s, table, guest), t);
}

/* ---- lookup ---- */

static bool same_place(const Qcow2State *s, Qcow2Type type, uint64_t first, uint64_t entry,
                       uint64_t distance)
{
    return type == QCOW2_UNALLOCATED_PLAIN || type == QCOW2_ZERO_PLAIN ||
           (entry & QCOW2_OFFSET_MASK) == (first & QCOW2_OFFSET_MASK) + distance;
}

/* The run at @guest in slice @t; false: an entry that cannot be. */
static bool find_run(const Qcow2State *s, const Qcow2Table *t, uint64_t guest, int64_t bytes,
                     Qcow2Extent *x)
{
    unsigned i = qcow2_slice_index(s, guest), first = i;
    uint64_t in_cluster = qcow2_in_cluster(s, guest);
    unsigned sc = in_cluster >> s->subcluster_bits;
    uint64_t entry = qcow2_l2_entry(s, t, i), e = entry, bitmap = qcow2_l2_bitmap(s, t, i);
    int64_t n;

    x->type = qcow2_subcluster_type(s, entry, bitmap, sc);
    x->copied = entry & QCOW2_OFLAG_COPIED;
    if (x->type == QCOW2_COMPRESSED) {
        x->host = entry;
        x->bytes = MIN(bytes, (int64_t)(s->cluster_size - in_cluster));
        return true;
    }
    if (x->type == QCOW2_INVALID || (entry & QCOW2_OFFSET_MASK & (s->cluster_size - 1))) {
        return false;
    }
    x->host = (entry & QCOW2_OFFSET_MASK) + in_cluster;
    n = ((sc + 1) << s->subcluster_bits) - in_cluster;
    while (n < bytes) {
        if (++sc >= s->subclusters) {
            sc = 0;
            if (++i >= s->l2_slice_entries) {
                break;
            }
            e = qcow2_l2_entry(s, t, i);
            bitmap = qcow2_l2_bitmap(s, t, i);
        }
        if (qcow2_subcluster_type(s, e, bitmap, sc) != x->type ||
            !same_place(s, x->type, entry, e, (uint64_t)(i - first) << s->cluster_bits)) {
            break;
        }
        x->copied = x->copied && e & QCOW2_OFLAG_COPIED;
        n += s->subcluster_size;
    }
    x->bytes = MIN(n, bytes);
    return true;
}

/* What @t NULL means: nothing up to the end of the slice. */
static void find_nothing(const Qcow2State *s, uint64_t guest, int64_t bytes, Qcow2Extent *x)
{
    uint64_t covered = (uint64_t)s->l2_slice_entries << s->cluster_bits;

    x->type = QCOW2_UNALLOCATED_PLAIN;
    x->copied = false;
    x->host = 0;
    x->bytes = MIN(bytes, (int64_t)(covered - (guest & (covered - 1))));
}

/* Why @x cannot be, if so. */
static int coroutine_fn check_run(BlockNode *bn, const Qcow2Table *t, uint64_t guest,
                                  const Qcow2Extent *x, bool found)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t table = s->l1[guest >> qcow2_l1_shift(s)] & QCOW2_OFFSET_MASK;
    unsigned index = l2_index(s, guest);
    uint64_t entry = qcow2_l2_entry(s, t, qcow2_slice_index(s, guest));

    if (!found && x->type == QCOW2_INVALID) {
        qcow2_signal_corruption(bn, true, -1, -1, "Invalid cluster entry found "
                                " (L2 offset: %#" PRIx64 ", L2 index: %#x)", table, index);
        return -EIO;
    }
    if (!found) {
        qcow2_signal_corruption(bn, true, -1, -1, x->type == QCOW2_NORMAL ?
                                "Cluster allocation offset %#" PRIx64 " unaligned (L2 offset: %#"
                                PRIx64 ", L2 index: %#x)" :
                                "Preallocated zero cluster offset %#" PRIx64 " unaligned (L2 "
                                "offset: %#" PRIx64 ", L2 index: %#x)",
                                entry & QCOW2_OFFSET_MASK, table, index);
        return -EIO;
    }
    if ((x->type == QCOW2_ZERO_PLAIN || x->type == QCOW2_ZERO_ALLOC) && s->header.version < 3) {
        qcow2_signal_corruption(bn, true, -1, -1, "Zero cluster entry found in pre-v3 image (L2 "
                                "offset: %#" PRIx64 ", L2 index: %#x)", table, index);
        return -EIO;
    }
    if (!qcow2_has_data_file(s)) {
        return 0;
    }
    if (x->type == QCOW2_COMPRESSED) {
        qcow2_signal_corruption(bn, true, -1, -1, "Compressed cluster entry found in image with "
                                "external data file (L2 offset: %#" PRIx64 ", L2 index: %#x)",
                                table, index);
        return -EIO;
    }
    if ((x->type == QCOW2_NORMAL || x->type == QCOW2_ZERO_ALLOC ||
         x->type == QCOW2_UNALLOCATED_ALLOC) && x->host != guest) {
        qcow2_signal_corruption(bn, true, -1, -1, "External data file host cluster offset %#"
                                PRIx64 " does not match guest cluster offset: %#" PRIx64
                                ", L2 index: %#x)", qcow2_cluster_start(s, x->host),
                                qcow2_cluster_start(s, guest), index);
        return -EIO;
    }
    return 0;
}

int coroutine_fn qcow2_map(BlockNode *bn, uint64_t guest, int64_t bytes, Qcow2Extent *x)
{
    Qcow2State *s = qcow2_state(bn);
    Qcow2Table *t;
    bool found;
    int ret;

    ret = qcow2_slice_get(bn, guest, &t);
    if (ret < 0) {
        return ret;
    }
    if (!t) {
        find_nothing(s, guest, bytes, x);
        return 0;
    }
    found = find_run(s, t, guest, bytes, x);
    ret = check_run(bn, t, guest, x, found);
    qcow2_cache_put(s->l2_cache, t);
    return ret;
}

bool qcow2_map_cached(BlockNode *bn, uint64_t guest, int64_t bytes, Qcow2Extent *x)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t l1_index = guest >> qcow2_l1_shift(s), table;
    Qcow2Table *t;

    table = l1_index < s->header.l1_size ? s->l1[l1_index] & QCOW2_OFFSET_MASK : 0;
    if (!table) {
        find_nothing(s, guest, bytes, x);
        return true;
    }
    if (qcow2_in_cluster(s, table)) {
        return false;
    }
    t = qcow2_cache_peek(s->l2_cache, slice_offset(s, table, guest));
    /* Anything odd is looked at, and told, by qcow2_map(). */
    return t && find_run(s, t, guest, bytes, x) && !qcow2_has_data_file(s) &&
           (s->header.version >= 3 ||
            (x->type != QCOW2_ZERO_PLAIN && x->type != QCOW2_ZERO_ALLOC));
}

/* ---- the L1 table ---- */

int coroutine_fn qcow2_load_l1(BlockNode *bn, uint64_t offset, uint32_t entries, uint64_t **l1)
{
    uint32_t i;
    int ret;

    *l1 = g_try_new0(uint64_t, MAX(entries, 1));
    if (!*l1) {
        return -ENOMEM;
    }
    ret = qcow2_meta_read(bn, offset, *l1, (uint64_t)entries * 8);
    if (ret < 0) {
        g_clear_pointer(l1, g_free);
        return ret;
    }
    for (i = 0; i < entries; i++) {
        (*l1)[i] = be64toh((*l1)[i]);
    }
    return 0;
}

/* Write the table to its new place. */
static int coroutine_fn write_new_l1(BlockNode *bn, uint64_t offset, const uint64_t *l1,
                                     uint32_t entries)
{
    g_autofree uint64_t *be = g_try_new(uint64_t, entries);
    uint32_t i;
    int ret;

    if (!be) {
        return -ENOMEM;
    }
    for (i = 0; i < entries; i++) {
        be[i] = htobe64(l1[i]);
    }
    ret = qcow2_check_overlap(bn, 0, offset, (uint64_t)entries * 8, false);
    if (ret < 0) {
        return ret;
    }
    block_co_debug_event(bn->file, BLKDEBUG_EVENT_L1_GROW_WRITE_TABLE);
    ret = block_co_pwrite(bn->file, offset, (uint64_t)entries * 8, be, 0);
    return ret < 0 ? ret : block_co_flush(bn->file->node);
}

/* Let the header refer to it. */
static int coroutine_fn activate_l1(BlockNode *bn, uint64_t offset, uint32_t entries)
{
    uint8_t header[12];
    int ret;

    store_be32(header, entries);
    store_be64(header + 4, offset);
    block_co_debug_event(bn->file, BLKDEBUG_EVENT_L1_GROW_ACTIVATE_TABLE);
    ret = block_co_pwrite(bn->file, 36, sizeof(header), header, 0);
    return ret < 0 ? ret : block_co_flush(bn->file->node);
}

int coroutine_fn qcow2_grow_l1(BlockNode *bn, uint64_t entries, bool exact)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t old_offset = s->header.l1_offset, n = MAX(s->header.l1_size, 1);
    uint32_t old_size = s->header.l1_size;
    g_autofree uint64_t *l1 = NULL;
    int64_t offset;
    int ret;

    if (entries <= old_size) {
        return 0;
    }
    if (entries > QCOW2_MAX_L1_BYTES / 8) {
        return -EFBIG;
    }
    while (!exact && n < entries) {
        n = DIV_ROUND_UP(n * 3, 2);
    }
    n = exact ? entries : n;
    if (n > QCOW2_MAX_L1_BYTES / 8) {
        return -EFBIG;
    }
    l1 = g_try_new0(uint64_t, n);
    if (!l1) {
        return -ENOMEM;
    }
    if (old_size) {
        memcpy(l1, s->l1, (size_t)old_size * 8);
    }
    block_co_debug_event(bn->file, BLKDEBUG_EVENT_L1_GROW_ALLOC_TABLE);
    offset = qcow2_alloc_clusters(bn, n * 8);
    if (offset < 0) {
        return offset;
    }
    ret = qcow2_cache_flush(s->refcount_cache);
    if (ret == 0) {
        ret = write_new_l1(bn, offset, l1, n);
    }
    if (ret < 0) {
        qcow2_free_clusters(bn, offset, n * 8, QCOW2_DISCARD_OTHER);
        return ret;
    }
    ret = activate_l1(bn, offset, n);
    if (ret < 0) {
        /* The disk may have either: both tables stay in use. */
        return ret;
    }
    g_free(s->l1);
    s->l1 = g_steal_pointer(&l1);
    s->header.l1_offset = offset;
    s->header.l1_size = n;
    qcow2_free_clusters(bn, old_offset, (uint64_t)old_size * 8, QCOW2_DISCARD_OTHER);
    return 0;
}

int coroutine_fn qcow2_shrink_l1(BlockNode *bn, uint64_t entries)
{
    Qcow2State *s = qcow2_state(bn);
    uint32_t i;
    int ret;

    if (entries >= s->header.l1_size) {
        return 0;
    }
    block_co_debug_event(bn->file, BLKDEBUG_EVENT_L1_SHRINK_WRITE_TABLE);
    ret = block_co_pwrite_zeroes(bn->file, s->header.l1_offset + entries * 8,
                                 (s->header.l1_size - entries) * 8, 0);
    if (ret == 0) {
        ret = block_co_flush(bn->file->node);
    }
    block_co_debug_event(bn->file, BLKDEBUG_EVENT_L1_SHRINK_FREE_L2_CLUSTERS);
    for (i = entries; i < s->header.l1_size; i++) {
        uint64_t table = s->l1[i] & QCOW2_OFFSET_MASK;

        /* After an error the disk may have either: leak them. */
        if (table && ret == 0) {
            qcow2_free_clusters(bn, table, s->cluster_size, QCOW2_DISCARD_ALWAYS);
        }
        s->l1[i] = 0;
    }
    return ret;
}
