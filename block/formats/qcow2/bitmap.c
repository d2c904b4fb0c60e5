/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Persistent dirty bitmaps (specification, "Bitmaps"). While an image is open for
 * writing its bitmaps are marked as in use on disk; one that is found so when it
 * is opened was not saved, and its content is void.
 *
 * Coroutines under the driver's lock. All of the directory and the tables is
 * checked: it comes from the image.
 */
#include "util/osdep.h"
#include "bitmap.h"

#define FLAGS_KNOWN (QCOW2_BITMAP_IN_USE | QCOW2_BITMAP_AUTO)
#define FLAG_EXTRA_COMPATIBLE 4

/* ---- entries ---- */

static void entry_free(void *p)
{
    Qcow2BitmapEntry *e = p;

    g_free(e->name);
    g_free(e);
}

uint64_t qcow2_bitmap_table_entries(uint32_t cluster_size, uint64_t size, unsigned gran_bits)
{
    uint64_t bits = (size >> gran_bits) + !!(size & (BIT(gran_bits) - 1));

    return DIV_ROUND_UP(bits, (uint64_t)cluster_size * 8);
}

static bool check_entry(BlockNode *bn, const Qcow2BitmapEntry *e, uint32_t flags, uint8_t type,
                        uint32_t extra)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t table_bytes = (uint64_t)e->table_size * 8;

    if (type != 1 || flags & ~(uint32_t)(FLAGS_KNOWN | FLAG_EXTRA_COMPATIBLE) || extra ||
        e->granularity_bits > QCOW2_BITMAP_MAX_GRANULARITY ||
        e->granularity_bits < QCOW2_BITMAP_MIN_GRANULARITY) {
        return false;
    }
    if (e->table_size == 0 || e->table_size > QCOW2_BITMAP_MAX_TABLE_ENTRIES ||
        !e->table_offset || qcow2_in_cluster(s, e->table_offset) ||
        e->table_offset > INT64_MAX - table_bytes) {
        return false;
    }
    /* A bitmap in use may be of the size before a resize. */
    return (flags & QCOW2_BITMAP_IN_USE) ||
           qcow2_bitmap_table_entries(s->cluster_size, s->header.size, e->granularity_bits) ==
               e->table_size;
}

static bool parse_directory(BlockNode *bn, const uint8_t *buf, GPtrArray *list, Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t at = 0, end = s->bitmap_directory_bytes;

    while (at < end) {
        Qcow2BitmapEntry *e;
        uint32_t extra, name, flags;
        const uint8_t *p = buf + at;
        guint i;

        if (end - at < 24 || list->len >= s->bitmap_count) {
            goto broken;
        }
        name = load_be16(p + 18);
        extra = load_be32(p + 20);
        if (extra > end - at - 24 || name > end - at - 24 - extra || name == 0 || name > 1023) {
            goto broken;
        }
        flags = load_be32(p + 12);
        e = g_new0(Qcow2BitmapEntry, 1);
        e->table_offset = load_be64(p);
        e->table_size = load_be32(p + 8);
        e->flags = flags & FLAGS_KNOWN;
        e->granularity_bits = p[17];
        e->name = g_strndup((const char *)p + 24 + extra, name);
        if (!check_entry(bn, e, flags, p[16], extra)) {
            error_setg(errp, "Bitmap '%s' doesn't satisfy the constraints", e->name);
            entry_free(e);
            return false;
        }
        for (i = 0; i < list->len; i++) {
            if (!strcmp(((Qcow2BitmapEntry *)list->pdata[i])->name, e->name)) {
                entry_free(e);
                goto broken;
            }
        }
        g_ptr_array_add(list, e);
        at += ROUND_UP(24 + (uint64_t)extra + name, 8);
    }
    if (list->len == s->bitmap_count) {
        return true;
    }
    error_setg(errp, "Less bitmaps found than specified in header extension");
    return false;

broken:
    error_setg(errp, "Broken bitmap directory");
    return false;
}

GPtrArray *coroutine_fn qcow2_bitmap_directory(BlockNode *bn, Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(entry_free);
    g_autofree uint8_t *buf = NULL;
    int ret;

    if (!s->bitmap_count) {
        return g_steal_pointer(&list);
    }
    if (s->bitmap_directory_bytes == 0 ||
        s->bitmap_directory_bytes > QCOW2_BITMAP_MAX_DIRECTORY_BYTES) {
        error_setg(errp, "Requested bitmap_directory_size is %s",
                   s->bitmap_directory_bytes ? "too big" : "zero");
        return NULL;
    }
    buf = g_try_malloc(s->bitmap_directory_bytes);
    if (!buf) {
        error_setg(errp, "Failed to allocate space for bitmap directory");
        return NULL;
    }
    ret = qcow2_meta_read(bn, s->bitmap_directory_offset, buf, s->bitmap_directory_bytes);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Failed to read bitmap directory");
        return NULL;
    }
    return parse_directory(bn, buf, list, errp) ? g_steal_pointer(&list) : NULL;
}

int coroutine_fn qcow2_bitmap_load_table(BlockNode *bn, const Qcow2BitmapEntry *e, uint64_t **table)
{
    Qcow2State *s = qcow2_state(bn);
    uint32_t i;
    int ret;

    *table = g_try_new(uint64_t, e->table_size);
    if (!*table) {
        return -ENOMEM;
    }
    ret = qcow2_meta_read(bn, e->table_offset, *table, (uint64_t)e->table_size * 8);
    for (i = 0; i < e->table_size && ret == 0; i++) {
        uint64_t v = (*table)[i] = be64toh((*table)[i]), offset = v & QCOW2_BITMAP_OFFSET_MASK;

        /* Either a cluster, or a value for all its bits. */
        if (v & QCOW2_BITMAP_TABLE_RESERVED || qcow2_in_cluster(s, offset) || (offset && v & 1)) {
            ret = -EINVAL;
        }
    }
    if (ret < 0) {
        g_clear_pointer(table, g_free);
    }
    return ret;
}

/* ---- the directory on disk ---- */

static uint64_t entry_bytes(const Qcow2BitmapEntry *e)
{
    return ROUND_UP(24 + (uint64_t)strlen(e->name), 8);
}

static uint8_t *make_directory(const GPtrArray *list, uint64_t *bytes)
{
    uint64_t at = 0;
    uint8_t *buf;
    guint i;

    *bytes = 0;
    for (i = 0; i < list->len; i++) {
        *bytes += entry_bytes(list->pdata[i]);
    }
    buf = g_malloc0(MAX(*bytes, 1));
    for (i = 0; i < list->len; i++) {
        const Qcow2BitmapEntry *e = list->pdata[i];
        uint8_t *p = buf + at;

        store_be64(p, e->table_offset);
        store_be32(p + 8, e->table_size);
        store_be32(p + 12, e->flags);
        p[16] = 1;
        p[17] = e->granularity_bits;
        store_be16(p + 18, strlen(e->name));
        memcpy(p + 24, e->name, strlen(e->name));
        at += entry_bytes(e);
    }
    return buf;
}

/*
 * The same entries with other flags or tables, where they are. Meanwhile the header does not refer to
 * them, so that nobody takes half of it for whole.
 */
int coroutine_fn qcow2_bitmap_update_in_place(BlockNode *bn, const GPtrArray *list)
{
    Qcow2State *s = qcow2_state(bn);
    g_autofree uint8_t *buf = NULL;
    uint64_t bytes, autoclear = s->header.autoclear;
    int ret;

    buf = make_directory(list, &bytes);
    if (bytes != s->bitmap_directory_bytes) {
        return -EINVAL;
    }
    ret = qcow2_write_features(bn, s->header.incompat, autoclear &
                               ~(uint64_t)QCOW2_AUTOCLEAR_BITMAPS, true);
    if (ret == 0) {
        ret = qcow2_meta_write(bn, QCOW2_OL_BITMAP_DIRECTORY, s->bitmap_directory_offset, buf,
                               bytes);
    }
    if (ret == 0) {
        ret = block_co_flush(bn->file->node);
    }
    return ret < 0 ? ret : qcow2_write_features(bn, s->header.incompat, autoclear |
                                                QCOW2_AUTOCLEAR_BITMAPS, true);
}

/* A new directory in a new place (none for an empty list); the old one is freed. */
int coroutine_fn qcow2_bitmap_replace_directory(BlockNode *bn, const GPtrArray *list)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t old_offset = s->bitmap_directory_offset, old_bytes = s->bitmap_directory_bytes;
    uint32_t old_count = s->bitmap_count;
    uint64_t old_autoclear = s->header.autoclear, bytes;
    g_autofree uint8_t *buf = make_directory(list, &bytes);
    int64_t offset = 0;
    int ret = 0;

    if (list->len) {
        offset = qcow2_alloc_clusters(bn, bytes);
        if (offset < 0) {
            return offset;
        }
        ret = qcow2_meta_write(bn, 0, offset, buf, bytes);
    }
    if (ret == 0) {
        ret = qcow2_write_caches(bn);
    }
    if (ret == 0) {
        ret = block_co_flush(bn->file->node);
    }
    if (ret == 0) {
        s->bitmap_directory_offset = offset;
        s->bitmap_directory_bytes = bytes;
        s->bitmap_count = list->len;
        s->header.autoclear = list->len ? old_autoclear | QCOW2_AUTOCLEAR_BITMAPS :
                                          old_autoclear & ~(uint64_t)QCOW2_AUTOCLEAR_BITMAPS;
        ret = qcow2_write_header(bn);
        if (ret == 0) {
            ret = block_co_flush(bn->file->node);
        }
    }
    if (ret < 0) {
        s->bitmap_directory_offset = old_offset;
        s->bitmap_directory_bytes = old_bytes;
        s->bitmap_count = old_count;
        s->header.autoclear = old_autoclear;
        if (offset > 0) {
            qcow2_free_clusters(bn, offset, bytes, QCOW2_DISCARD_OTHER);
        }
        return ret;
    }
    if (old_bytes) {
        qcow2_free_clusters(bn, old_offset, old_bytes, QCOW2_DISCARD_OTHER);
    }
    return 0;
}

void coroutine_fn qcow2_bitmap_free_table(BlockNode *bn, const Qcow2BitmapEntry *e)
{
    Qcow2State *s = qcow2_state(bn);
    g_autofree uint64_t *table = NULL;
    uint32_t i;

    if (qcow2_bitmap_load_table(bn, e, &table) < 0) {
        return;                 /* leaked */
    }
    for (i = 0; i < e->table_size; i++) {
        uint64_t offset = table[i] & QCOW2_BITMAP_OFFSET_MASK;

        if (offset) {
            qcow2_free_clusters(bn, offset, s->cluster_size, QCOW2_DISCARD_ALWAYS);
        }
    }
    qcow2_free_clusters(bn, e->table_offset, (uint64_t)e->table_size * 8, QCOW2_DISCARD_OTHER);
}

/* ---- for others ---- */

int coroutine_fn qcow2_check_bitmaps(BlockNode *bn, BlockCheckResult *res,
                                     int coroutine_fn (*use)(void *opaque, uint64_t offset,
                                                             uint64_t bytes),
                                     void *opaque)
{
    Qcow2State *s = qcow2_state(bn);
    GPtrArray *list;
    Error *err = NULL;
    guint i;
    int ret;

    if (!s->bitmap_count) {
        return 0;
    }
    ret = use(opaque, s->bitmap_directory_offset, s->bitmap_directory_bytes);
    list = ret < 0 ? NULL : qcow2_bitmap_directory(bn, &err);
    if (!list) {
        error_free(err);
        res->corruptions += ret == 0;
        return ret;
    }
    for (i = 0; i < list->len && ret == 0; i++) {
        const Qcow2BitmapEntry *e = list->pdata[i];
        g_autofree uint64_t *table = NULL;
        uint32_t j;

        ret = use(opaque, e->table_offset, (uint64_t)e->table_size * 8);
        if (ret < 0) {
            break;
        }
        if (qcow2_bitmap_load_table(bn, e, &table) < 0) {
            fprintf(stderr, "ERROR: bitmap table of bitmap '%s' is corrupted\n", e->name);
            res->corruptions++;
            continue;
        }
        for (j = 0; j < e->table_size && ret == 0; j++) {
            uint64_t offset = table[j] & QCOW2_BITMAP_OFFSET_MASK;

            if (offset) {
                ret = use(opaque, offset, s->cluster_size);
            }
        }
    }
    g_ptr_array_unref(list);
    return ret;
}

Qcow2BitmapInfoList *coroutine_fn qcow2_bitmap_info(BlockNode *bn, Error **errp)
{
    Qcow2BitmapInfoList *head = NULL, **tail = &head;
    GPtrArray *list = qcow2_bitmap_directory(bn, errp);
    guint i;

    for (i = 0; list && i < list->len; i++) {
        const Qcow2BitmapEntry *e = list->pdata[i];
        Qcow2BitmapInfo *info = g_new0(Qcow2BitmapInfo, 1);
        Qcow2BitmapInfoFlagsList **flag = &info->flags;

        info->name = g_strdup(e->name);
        info->granularity = 1u << e->granularity_bits;
        if (e->flags & QCOW2_BITMAP_IN_USE) {
            *flag = g_new0(Qcow2BitmapInfoFlagsList, 1);
            (*flag)->value = QCOW2_BITMAP_INFO_FLAGS_IN_USE;
            flag = &(*flag)->next;
        }
        if (e->flags & QCOW2_BITMAP_AUTO) {
            *flag = g_new0(Qcow2BitmapInfoFlagsList, 1);
            (*flag)->value = QCOW2_BITMAP_INFO_FLAGS_AUTO;
        }
        *tail = g_new0(Qcow2BitmapInfoList, 1);
        (*tail)->value = info;
        tail = &(*tail)->next;
    }
    if (list) {
        g_ptr_array_unref(list);
    }
    return head;
}

uint64_t qcow2_measure_bitmaps(BlockNode *in, uint32_t cluster_size)
{
    uint64_t total = 0, directory = 0;
    DirtyBitmap *b;

    for (b = dirty_bitmap_next(in, NULL); b; b = dirty_bitmap_next(in, b)) {
        uint64_t bits, data;

        if (!dirty_bitmap_persistent(b) || dirty_bitmap_inconsistent(b)) {
            continue;
        }
        bits = DIV_ROUND_UP((uint64_t)in->total_bytes, dirty_bitmap_granularity(b));
        data = DIV_ROUND_UP(DIV_ROUND_UP(bits, 8), cluster_size);
        /* Data as if all were dirty, and the table that refers to it. */
        total += (data + DIV_ROUND_UP(data * 8, cluster_size)) * cluster_size;
        directory += ROUND_UP(24 + (uint64_t)strlen(dirty_bitmap_name(b)), 8);
    }
    return total + ROUND_UP(directory, cluster_size);
}
