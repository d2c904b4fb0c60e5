/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between the bitmaps of an open node and those that its qcow2 image stores: see
 * bitmap.c for the disk.
 *
 * Coroutines under the driver's lock, on a node that is being opened, closed or
 * drained.
 */
#include "util/osdep.h"
#include "bitmap.h"

static Qcow2BitmapEntry *find(const GPtrArray *list, const char *name)
{
    guint i;

    for (i = 0; i < list->len; i++) {
        Qcow2BitmapEntry *e = list->pdata[i];

        if (!strcmp(e->name, name)) {
            return e;
        }
    }
    return NULL;
}

/* Bytes of disk that one cluster of bits covers. */
static int64_t chunk_bytes(const Qcow2State *s, const DirtyBitmap *b)
{
    return (int64_t)s->cluster_size * 8 * dirty_bitmap_granularity(b);
}

/* ---- loading ---- */

static int coroutine_fn load_bits(BlockNode *bn, const Qcow2BitmapEntry *e, DirtyBitmap *b)
{
    Qcow2State *s = qcow2_state(bn);
    g_autofree uint64_t *table = NULL;
    g_autofree uint8_t *buf = g_malloc(s->cluster_size);
    int64_t size = dirty_bitmap_size(b), chunk = chunk_bytes(s, b), at = 0;
    uint32_t i;
    int ret;

    ret = qcow2_bitmap_load_table(bn, e, &table);
    for (i = 0; i < e->table_size && at < size && ret == 0; i++, at += chunk) {
        int64_t n = MIN(chunk, size - at);
        uint64_t offset = table[i] & QCOW2_BITMAP_OFFSET_MASK;

        if (offset) {
            ret = qcow2_meta_read(bn, offset, buf, s->cluster_size);
            if (ret == 0) {
                dirty_bitmap_deserialize(b, buf, at, n);
            }
        } else if (table[i] & QCOW2_BITMAP_ALL_ONES) {
            dirty_bitmap_set(b, at, n);
        }
        if (chunk > size - at) {
            break;              /* the next sum could overflow */
        }
    }
    return ret;
}

static bool coroutine_fn load_one(BlockNode *bn, Qcow2BitmapEntry *e, Error **errp)
{
    DirtyBitmap *b = dirty_bitmap_new(bn, 1u << e->granularity_bits, e->name, errp);
    int ret;

    if (!b) {
        return false;
    }
    dirty_bitmap_set_persistent(b, true);
    if (e->flags & QCOW2_BITMAP_IN_USE) {
        dirty_bitmap_set_inconsistent(b);
        return true;
    }
    ret = load_bits(bn, e, b);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not read bitmap '%s' from image", e->name);
        dirty_bitmap_free(b);
        return false;
    }
    dirty_bitmap_set_enabled(b, e->flags & QCOW2_BITMAP_AUTO);
    dirty_bitmap_set_readonly(b, bn->read_only);
    return true;
}

bool coroutine_fn qcow2_load_bitmaps(BlockNode *bn, bool *header_changed, Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    GPtrArray *list;
    bool ok = true, change = false;
    guint i;
    int ret;

    *header_changed = false;
    if (!s->bitmap_count || bn->inactive ||
        bn->open_flags & (BLOCK_OPEN_CHECK | BLOCK_OPEN_NO_IO)) {
        return true;
    }
    list = qcow2_bitmap_directory(bn, errp);
    if (!list) {
        return false;
    }
    bn->total_bytes = s->header.size;
    for (i = 0; i < list->len && ok; i++) {
        Qcow2BitmapEntry *e = list->pdata[i];

        if (dirty_bitmap_find(bn, e->name)) {
            continue;           /* came with a migration */
        }
        ok = load_one(bn, e, errp);
        change = change || !(e->flags & QCOW2_BITMAP_IN_USE);
        e->flags |= QCOW2_BITMAP_IN_USE;
    }
    if (ok && change && !bn->read_only) {
        ret = qcow2_bitmap_update_in_place(bn, list);
        if (ret < 0) {
            error_setg_errno(errp, -ret, "Can't update bitmap directory");
            ok = false;
        }
    }
    g_ptr_array_unref(list);
    if (!ok) {
        dirty_bitmap_free_node(bn);
    }
    return ok;
}

/* ---- storing ---- */

static int coroutine_fn store_chunk(BlockNode *bn, DirtyBitmap *b, int64_t at, int64_t bytes,
                                    uint8_t *buf, uint64_t *place)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t used = dirty_bitmap_serial_size(b, at, bytes);
    int64_t offset;

    *place = 0;
    if (dirty_bitmap_next_dirty(b, at, bytes) < 0) {
        return 0;
    }
    memset(buf, 0, s->cluster_size);
    if (used > s->cluster_size) {
        return -EINVAL;
    }
    dirty_bitmap_serialize(b, buf, at, bytes);
    offset = qcow2_alloc_clusters(bn, s->cluster_size);
    if (offset < 0) {
        return offset;
    }
    *place = offset;
    return qcow2_meta_write(bn, 0, offset, buf, s->cluster_size);
}

/* Bits and table to new places. */
static int coroutine_fn store_bits(BlockNode *bn, DirtyBitmap *b, Qcow2BitmapEntry *e)
{
    Qcow2State *s = qcow2_state(bn);
    int64_t size = dirty_bitmap_size(b), chunk = chunk_bytes(s, b), at = 0, offset;
    g_autofree uint8_t *buf = g_malloc(s->cluster_size);
    g_autofree uint64_t *table = NULL;
    uint64_t n = qcow2_bitmap_table_entries(s->cluster_size, size, e->granularity_bits);
    uint32_t i;
    int ret = 0;

    if (n > QCOW2_BITMAP_MAX_TABLE_ENTRIES || n << s->cluster_bits > QCOW2_BITMAP_MAX_PHYS_BYTES) {
        return -EFBIG;
    }
    e->table_size = n;
    table = g_try_new0(uint64_t, MAX(n, 1));
    if (!table) {
        return -ENOMEM;
    }
    for (i = 0; i < n && ret == 0; i++, at += chunk) {
        ret = store_chunk(bn, b, at, MIN(chunk, size - at), buf, &table[i]);
        table[i] = htobe64(table[i]);
    }
    offset = ret < 0 ? ret : qcow2_alloc_clusters(bn, n * 8);
    if (offset >= 0) {
        e->table_offset = offset;
        ret = qcow2_meta_write(bn, 0, offset, table, n * 8);
    }
    if (offset >= 0 && ret == 0) {
        return 0;
    }
    ret = offset < 0 ? offset : ret;
    if (offset >= 0) {
        qcow2_free_clusters(bn, offset, n * 8, QCOW2_DISCARD_OTHER);
    }
    for (i = 0; i < n; i++) {
        if (table[i]) {
            qcow2_free_clusters(bn, be64toh(table[i]), s->cluster_size, QCOW2_DISCARD_OTHER);
        }
    }
    return ret;
}

static bool to_be_stored(const DirtyBitmap *b)
{
    return dirty_bitmap_name(b) && dirty_bitmap_persistent(b) && !dirty_bitmap_inconsistent(b) &&
           !dirty_bitmap_readonly(b);
}

static Qcow2BitmapEntry *entry_for(GPtrArray *list, DirtyBitmap *b, GArray *old)
{
    Qcow2BitmapEntry *e = find(list, dirty_bitmap_name(b));

    if (e) {
        Qcow2BitmapEntry copy = *e;

        g_array_append_val(old, copy);
    } else {
        e = g_new0(Qcow2BitmapEntry, 1);
        e->name = g_strdup(dirty_bitmap_name(b));
        g_ptr_array_add(list, e);
    }
    e->granularity_bits = __builtin_ctz(dirty_bitmap_granularity(b));
    e->flags = dirty_bitmap_enabled(b) ? QCOW2_BITMAP_AUTO : 0;
    return e;
}

static void release_stored(BlockNode *bn)
{
    DirtyBitmap *b, *next;

    for (b = dirty_bitmap_next(bn, NULL); b; b = next) {
        next = dirty_bitmap_next(bn, b);
        if (dirty_bitmap_name(b) && dirty_bitmap_persistent(b)) {
            dirty_bitmap_set_persistent(b, false);
            dirty_bitmap_free(b);
        }
    }
}

bool coroutine_fn qcow2_store_bitmaps(BlockNode *bn, bool release, Error **errp)
{
    GPtrArray *list;
    GArray *old;
    DirtyBitmap *b;
    unsigned stored = 0;
    int ret = 0;
    guint i;

    for (b = dirty_bitmap_next(bn, NULL); b && !to_be_stored(b); b = dirty_bitmap_next(bn, b)) {
    }
    if (!b) {
        if (release) {
            release_stored(bn);
        }
        return true;
    }
    list = qcow2_bitmap_directory(bn, errp);
    if (!list) {
        return false;
    }
    old = g_array_new(false, false, sizeof(Qcow2BitmapEntry));
    for (; b && ret == 0; b = dirty_bitmap_next(bn, b)) {
        if (to_be_stored(b)) {
            ret = store_bits(bn, b, entry_for(list, b, old));
            if (ret < 0) {
                error_setg_errno(errp, -ret, "Failed to store bitmap '%s'", dirty_bitmap_name(b));
            }
            stored++;
        }
    }
    if (ret == 0) {
        ret = qcow2_bitmap_replace_directory(bn, list);
        if (ret < 0) {
            error_setg_errno(errp, -ret, "Failed to update bitmap extension");
        }
    }
    for (i = 0; i < old->len && ret == 0; i++) {
        qcow2_bitmap_free_table(bn, &g_array_index(old, Qcow2BitmapEntry, i));
    }
    if (ret == 0 && release) {
        release_stored(bn);
    }
    g_array_free(old, true);
    g_ptr_array_unref(list);
    return ret == 0;
}

/* ---- changes of an open node ---- */

static bool coroutine_fn mark_in_use(BlockNode *bn, Error **errp)
{
    GPtrArray *list = qcow2_bitmap_directory(bn, errp);
    bool change = false;
    int ret = 0;
    guint i;

    if (!list) {
        return false;
    }
    for (i = 0; i < list->len; i++) {
        Qcow2BitmapEntry *e = list->pdata[i];

        change = change || !(e->flags & QCOW2_BITMAP_IN_USE);
        e->flags |= QCOW2_BITMAP_IN_USE;
    }
    if (change) {
        ret = qcow2_bitmap_update_in_place(bn, list);
        if (ret < 0) {
            error_setg_errno(errp, -ret, "Cannot update bitmap directory");
        }
    }
    g_ptr_array_unref(list);
    return ret == 0;
}

static void set_all_readonly(BlockNode *bn, bool on)
{
    DirtyBitmap *b;

    for (b = dirty_bitmap_next(bn, NULL); b; b = dirty_bitmap_next(bn, b)) {
        if (dirty_bitmap_name(b) && dirty_bitmap_persistent(b) && !dirty_bitmap_inconsistent(b)) {
            dirty_bitmap_set_readonly(b, on);
        }
    }
}

bool coroutine_fn qcow2_reopen_bitmaps_rw(BlockNode *bn, Error **errp)
{
    if (!qcow2_state(bn)->bitmap_count) {
        return true;
    }
    if (!mark_in_use(bn, errp)) {
        return false;
    }
    set_all_readonly(bn, false);
    return true;
}

bool coroutine_fn qcow2_reopen_bitmaps_ro(BlockNode *bn, Error **errp)
{
    if (!qcow2_store_bitmaps(bn, false, errp)) {
        return false;
    }
    set_all_readonly(bn, true);
    return true;
}

bool coroutine_fn qcow2_resize_bitmaps_ok(BlockNode *bn, Error **errp)
{
    DirtyBitmap *b;

    for (b = dirty_bitmap_next(bn, NULL); b; b = dirty_bitmap_next(bn, b)) {
        if (dirty_bitmap_name(b) && dirty_bitmap_persistent(b) &&
            !dirty_bitmap_check(b, DIRTY_BITMAP_ANY_STATE, errp)) {
            return false;
        }
    }
    return true;
}

bool coroutine_fn qcow2_co_can_store_bitmap(BlockNode *bn, const char *name, uint32_t granularity,
                                            Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t entries, bytes = s->bitmap_directory_bytes;
    unsigned bits = __builtin_ctz(granularity), more = 0;
    DirtyBitmap *b;

    if (s->header.version < 3) {
        error_setg(errp, "Cannot store dirty bitmaps in qcow2 v2 files");
        goto fail;
    }
    if (bits < QCOW2_BITMAP_MIN_GRANULARITY || bits > QCOW2_BITMAP_MAX_GRANULARITY) {
        error_setg(errp, "Granularity %s %s (%u)", bits < QCOW2_BITMAP_MIN_GRANULARITY ?
                   "is under" : "exceeds", bits < QCOW2_BITMAP_MIN_GRANULARITY ?
                   "minimum" : "maximum", bits < QCOW2_BITMAP_MIN_GRANULARITY ?
                   1u << QCOW2_BITMAP_MIN_GRANULARITY : 1u << QCOW2_BITMAP_MAX_GRANULARITY);
        goto fail;
    }
    if (strlen(name) > 1023) {
        error_setg(errp, "Name length exceeds maximum (%u characters)", 1023);
        goto fail;
    }
    entries = qcow2_bitmap_table_entries(s->cluster_size, s->header.size, bits);
    if (entries > QCOW2_BITMAP_MAX_TABLE_ENTRIES ||
        entries << s->cluster_bits > QCOW2_BITMAP_MAX_PHYS_BYTES) {
        error_setg(errp, "Too much space will be occupied by the bitmap. Use larger granularity");
        goto fail;
    }
    /* Those that will be stored for the first time. */
    for (b = dirty_bitmap_next(bn, NULL); b; b = dirty_bitmap_next(bn, b)) {
        if (dirty_bitmap_name(b) && dirty_bitmap_persistent(b)) {
            more++;
            bytes += ROUND_UP(24 + (uint64_t)strlen(dirty_bitmap_name(b)), 8);
        }
    }
    if (s->bitmap_count + more >= QCOW2_BITMAP_MAX_COUNT) {
        error_setg(errp, "Maximum number of persistent bitmaps is already reached");
        goto fail;
    }
    if (bytes + ROUND_UP(24 + (uint64_t)strlen(name), 8) > QCOW2_BITMAP_MAX_DIRECTORY_BYTES) {
        error_setg(errp, "Not enough space in the bitmap directory");
        goto fail;
    }
    return true;

fail:
    error_prepend(errp, "Can't make bitmap '%s' persistent in '%s': ", name,
                  bn->filename ? bn->filename : bn->node_name);
    return false;
}

bool coroutine_fn qcow2_co_remove_stored_bitmap(BlockNode *bn, const char *name, Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    GPtrArray *list;
    Qcow2BitmapEntry *e;
    int ret = 0;

    if (!s->bitmap_count) {
        return true;            /* was never stored */
    }
    co_mutex_lock(&s->lock);
    list = qcow2_bitmap_directory(bn, errp);
    if (!list) {
        co_mutex_unlock(&s->lock);
        return false;
    }
    e = find(list, name);
    if (e) {
        guint i;

        g_ptr_array_find(list, e, &i);
        g_ptr_array_steal_index(list, i);
        ret = qcow2_bitmap_replace_directory(bn, list);
        if (ret < 0) {
            error_setg_errno(errp, -ret, "Failed to update bitmap extension");
        } else {
            qcow2_bitmap_free_table(bn, e);
        }
        g_free(e->name);
        g_free(e);
    }
    g_ptr_array_unref(list);
    co_mutex_unlock(&s->lock);
    return ret == 0;
}
