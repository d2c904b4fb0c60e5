/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The header cluster of qcow2 (specification, "Header" and "Header
 * extensions"): parsing with all checks, and writing it back. What we do not
 * know in it is kept.
 *
 * Runs on the node's loop; nothing that is read is trusted.
 */
#include "util/osdep.h"
#include "qcow2.h"

enum { FEATURE_INCOMPAT, FEATURE_COMPAT, FEATURE_AUTOCLEAR };
#define FEATURE_NAME_BYTES 46
#define FEATURE_ENTRY_BYTES 48
/* Clusters up to this size keep the room for names of files. */
#define FEATURE_TABLE_MAX_SMALL 4096

static const struct {
    uint8_t type, bit;
    const char *name;
} features[] = {
    { FEATURE_INCOMPAT, 0, "dirty bit" },
    { FEATURE_INCOMPAT, 1, "corrupt bit" },
    { FEATURE_INCOMPAT, 2, "external data file" },
    { FEATURE_INCOMPAT, 3, "compression type" },
    { FEATURE_INCOMPAT, 4, "extended L2 entries" },
    { FEATURE_COMPAT, 0, "lazy refcounts" },
    { FEATURE_AUTOCLEAR, 0, "bitmaps" },
    { FEATURE_AUTOCLEAR, 1, "raw external data" },
};

/* ---- reading ---- */

static void read_fields(Qcow2Header *h, const uint8_t *p)
{
    *h = (Qcow2Header) {
        .version = load_be32(p + 4),
        .backing_offset = load_be64(p + 8),
        .backing_len = load_be32(p + 16),
        .cluster_bits = load_be32(p + 20),
        .size = load_be64(p + 24),
        .crypt_method = load_be32(p + 32),
        .l1_size = load_be32(p + 36),
        .l1_offset = load_be64(p + 40),
        .reftable_offset = load_be64(p + 48),
        .reftable_clusters = load_be32(p + 56),
        .snapshots = load_be32(p + 60),
        .snapshots_offset = load_be64(p + 64),
        .refcount_order = 4,
        .header_length = QCOW2_V2_HEADER_SIZE,
    };
}

static bool read_v3_fields(Qcow2Header *h, const uint8_t *p, size_t len, Error **errp)
{
    if (len < QCOW2_V3_HEADER_MIN) {
        error_setg(errp, "qcow2 header too short");
        return false;
    }
    h->incompat = load_be64(p + 72);
    h->compat = load_be64(p + 80);
    h->autoclear = load_be64(p + 88);
    h->refcount_order = load_be32(p + 96);
    h->header_length = load_be32(p + 100);
    if (h->header_length < QCOW2_V3_HEADER_MIN) {
        error_setg(errp, "qcow2 header too short");
        return false;
    }
    if (h->header_length > BIT(h->cluster_bits) || h->header_length > len) {
        error_setg(errp, "qcow2 header exceeds cluster size");
        return false;
    }
    h->compression = h->header_length > 104 ? p[104] : 0;
    return true;
}

bool qcow2_header_parse(Qcow2Header *h, const uint8_t *buf, size_t len, Error **errp)
{
    uint64_t cluster_size;

    if (len < QCOW2_V2_HEADER_SIZE) {
        error_setg(errp, "qcow2 header too short");
        return false;
    }
    if (load_be32(buf) != QCOW2_MAGIC) {
        error_setg(errp, "Image is not in qcow2 format");
        return false;
    }
    read_fields(h, buf);
    if (h->version < 2 || h->version > 3) {
        error_setg(errp, "Unsupported qcow2 version %" PRIu32, h->version);
        return false;
    }
    if (h->cluster_bits < QCOW2_MIN_CLUSTER_BITS || h->cluster_bits > QCOW2_MAX_CLUSTER_BITS) {
        error_setg(errp, "Unsupported cluster size: 2^%" PRIu32, h->cluster_bits);
        return false;
    }
    if (h->version == 3 && !read_v3_fields(h, buf, len, errp)) {
        return false;
    }
    cluster_size = BIT(h->cluster_bits);
    if (h->backing_offset > cluster_size) {
        error_setg(errp, "Invalid backing file offset");
        return false;
    }
    return true;
}

void qcow2_apply_header(Qcow2State *s)
{
    const Qcow2Header *h = &s->header;

    s->cluster_bits = h->cluster_bits;
    s->cluster_size = 1u << h->cluster_bits;
    s->subclusters = h->incompat & QCOW2_INCOMPAT_EXTL2 ? QCOW2_EXTL2_SUBCLUSTERS : 1;
    s->subcluster_size = s->cluster_size / s->subclusters;
    s->subcluster_bits = __builtin_ctz(s->subcluster_size);
    s->l2_entry_size = s->subclusters > 1 ? 16 : 8;
    s->l2_bits = s->cluster_bits - (s->subclusters > 1 ? 4 : 3);
    s->refcount_order = h->refcount_order;
    s->refblock_bits = s->cluster_bits + 3 - s->refcount_order;
    s->refcount_max = s->refcount_order == 6 ? INT64_MAX : BIT(1u << s->refcount_order) - 1;
    s->csize_shift = 62 - (s->cluster_bits - 8);
    s->csize_mask = BIT(s->cluster_bits - 8) - 1;
    s->coffset_mask = BIT(s->csize_shift) - 1;
}

/* ---- extensions ---- */

bool qcow2_report_features(const GString *names, uint64_t unknown, Error **errp)
{
    g_autoptr(GString) text = g_string_new(NULL);
    size_t at;

    for (at = 0; names && at + FEATURE_ENTRY_BYTES <= names->len; at += FEATURE_ENTRY_BYTES) {
        const uint8_t *e = (const uint8_t *)names->str + at;
        unsigned bit = e[1];

        if (e[0] == FEATURE_INCOMPAT && bit < 64 && unknown & BIT(bit)) {
            g_string_append_printf(text, "%s%.*s", text->len ? ", " : "", FEATURE_NAME_BYTES,
                                   (const char *)e + 2);
            unknown &= ~BIT(bit);
        }
    }
    if (unknown) {
        g_string_append_printf(text, "%sUnknown incompatible feature: %" PRIx64,
                               text->len ? ", " : "", unknown);
    }
    error_setg(errp, "Unsupported qcow2 feature(s): %s", text->str);
    return false;
}

static bool bitmaps_extension(Qcow2State *s, const uint8_t *p, uint32_t len, bool *ignored,
                              Error **errp)
{
    uint32_t count;
    uint64_t bytes, offset;

    if (len != 24) {
        error_setg(errp, "bitmaps_ext: Invalid extension length");
        return false;
    }
    if (!(s->header.autoclear & QCOW2_AUTOCLEAR_BITMAPS)) {
        if (s->header.version < 3) {
            warn_report("a program lacking bitmap support modified this file, so all bitmaps are "
                        "now considered inconsistent");
        } else {
            warn_report("a program lacking bitmap support modified this file, so all bitmaps are "
                        "now considered inconsistent");
            fprintf(stderr, "Some clusters may be leaked, run 'qemu-img check -r' on the image "
                            "file to fix.");
        }
        *ignored = true;
        return true;
    }
    count = load_be32(p);
    bytes = load_be64(p + 8);
    offset = load_be64(p + 16);
    if (load_be32(p + 4)) {
        error_setg(errp, "bitmaps_ext: Reserved field is not zero");
        return false;
    }
    if (count > 65535) {
        error_setg(errp, "bitmaps_ext: image has %" PRIu32 " bitmaps, exceeding the maximum "
                   "number of supported bitmaps (%d)", count, 65535);
        return false;
    }
    if (count == 0) {
        error_setg(errp, "found bitmaps extension with zero bitmaps");
        return false;
    }
    if (offset & (s->cluster_size - 1)) {
        error_setg(errp, "bitmaps_ext: invalid bitmap directory offset");
        return false;
    }
    if (bytes > 65535 * (uint64_t)(24 + 1024 + 8)) {
        error_setg(errp, "bitmaps_ext: bitmap directory size (%" PRIu64 ") exceeds the maximum "
                   "supported size (%d)", bytes, 65535 * (24 + 1024 + 8));
        return false;
    }
    s->bitmap_count = count;
    s->bitmap_directory_bytes = bytes;
    s->bitmap_directory_offset = offset;
    return true;
}

static void keep_unknown(Qcow2State *s, uint32_t magic, const uint8_t *p, uint32_t len)
{
    Qcow2UnknownExt *e = g_new0(Qcow2UnknownExt, 1), **last;

    e->magic = magic;
    e->len = len;
    e->data = g_memdup2(p, len);
    for (last = &s->unknown_exts; *last; last = &(*last)->next) {
    }
    *last = e;
}

static bool one_extension(BlockNode *bn, uint32_t magic, const uint8_t *p, uint32_t len,
                          GString *feature_names, Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    bool ignored;

    switch (magic) {
    case QCOW2_EXT_BACKING_FORMAT:
        if (len >= 16) {
            error_setg(errp, "ERROR: ext_backing_format: len=%" PRIu32 " too large (>=%zu)", len,
                       (size_t)16);
            return false;
        }
        g_free(bn->backing_format);
        bn->backing_format = g_strndup((const char *)p, len);
        return true;
    case QCOW2_EXT_FEATURE_TABLE:
        if (feature_names) {
            g_string_append_len(feature_names, (const char *)p, len);
        }
        return true;
    case QCOW2_EXT_CRYPTO_HEADER:
        if (s->header.crypt_method != QCOW2_CRYPT_LUKS) {
            error_setg(errp, "CRYPTO header extension only expected with LUKS encryption method");
            return false;
        }
        if (len != 16) {
            error_setg(errp, "CRYPTO header extension size %u, but expected size %zu", len,
                       (size_t)16);
            return false;
        }
        s->crypto_header_offset = load_be64(p);
        s->crypto_header_bytes = load_be64(p + 8);
        if (s->crypto_header_offset % s->cluster_size) {
            error_setg(errp, "Encryption header offset '%" PRIu64 "' is not a multiple of cluster "
                       "size '%u'", s->crypto_header_offset, s->cluster_size);
            return false;
        }
        return true;
    case QCOW2_EXT_BITMAPS:
        return bitmaps_extension(s, p, len, &ignored, errp);
    case QCOW2_EXT_DATA_FILE:
        g_free(s->data_file_name);
        s->data_file_name = g_strndup((const char *)p, len);
        return true;
    default:
        keep_unknown(s, magic, p, len);
        return true;
    }
}

bool coroutine_fn qcow2_read_extensions(BlockNode *bn, const uint8_t *buf, uint64_t from,
                                        uint64_t to, GString *feature_names, Error **errp)
{
    while (from + 8 <= to) {
        uint32_t magic = load_be32(buf + from), len = load_be32(buf + from + 4);

        from += 8;
        if (magic == QCOW2_EXT_END) {
            return true;
        }
        if (len > to - from) {
            error_setg(errp, "Header extension too large");
            return false;
        }
        if (!one_extension(bn, magic, buf + from, len, feature_names, errp)) {
            return false;
        }
        from += ROUND_UP((uint64_t)len, 8);
    }
    return true;
}

void qcow2_free_extensions(Qcow2State *s)
{
    Qcow2UnknownExt *e;

    while ((e = s->unknown_exts) != NULL) {
        s->unknown_exts = e->next;
        g_free(e->data);
        g_free(e);
    }
    g_clear_pointer(&s->extra_header, g_free);
    s->extra_header_size = 0;
    g_clear_pointer(&s->data_file_name, g_free);
    s->bitmap_count = 0;
    s->bitmap_directory_bytes = s->bitmap_directory_offset = 0;
    s->crypto_header_offset = s->crypto_header_bytes = 0;
}

/* ---- writing ---- */

typedef struct HeaderWriter {
    uint8_t *buf;
    size_t used, size;
    bool full;
} HeaderWriter;

static void put_extension(HeaderWriter *w, uint32_t magic, const void *data, size_t len)
{
    size_t padded = ROUND_UP(len, 8);

    if (w->full || w->size - w->used < 8 + padded) {
        w->full = true;
        return;
    }
    store_be32(w->buf + w->used, magic);
    store_be32(w->buf + w->used + 4, len);
    if (len) {
        memcpy(w->buf + w->used + 8, data, len);
    }
    w->used += 8 + padded;
}

static void put_fields(BlockNode *bn, HeaderWriter *w)
{
    Qcow2State *s = qcow2_state(bn);
    const Qcow2Header *h = &s->header;
    uint8_t *p = w->buf;

    store_be32(p, QCOW2_MAGIC);
    store_be32(p + 4, h->version);
    store_be32(p + 20, h->cluster_bits);
    store_be64(p + 24, h->size);
    store_be32(p + 32, h->crypt_method);
    store_be32(p + 36, h->l1_size);
    store_be64(p + 40, h->l1_offset);
    store_be64(p + 48, h->reftable_offset);
    store_be32(p + 56, h->reftable_clusters);
    store_be32(p + 60, h->snapshots);
    store_be64(p + 64, h->snapshots_offset);
    w->used = QCOW2_V2_HEADER_SIZE;
    if (h->version < 3) {
        return;
    }
    store_be64(p + 72, h->incompat);
    store_be64(p + 80, h->compat);
    store_be64(p + 88, h->autoclear);
    store_be32(p + 96, h->refcount_order);
    store_be32(p + 100, QCOW2_V3_HEADER_SIZE + s->extra_header_size);
    p[104] = h->compression;
    w->used = QCOW2_V3_HEADER_SIZE;
    if (s->extra_header_size) {
        memcpy(p + w->used, s->extra_header, s->extra_header_size);
        w->used += s->extra_header_size;
    }
}

static void put_feature_table(HeaderWriter *w)
{
    uint8_t table[ARRAY_SIZE(features) * FEATURE_ENTRY_BYTES] = { 0 };
    size_t i;

    for (i = 0; i < ARRAY_SIZE(features); i++) {
        uint8_t *e = table + i * FEATURE_ENTRY_BYTES;

        e[0] = features[i].type;
        e[1] = features[i].bit;
        memcpy(e + 2, features[i].name, strlen(features[i].name));
    }
    put_extension(w, QCOW2_EXT_FEATURE_TABLE, table, sizeof(table));
}

static void put_extensions(BlockNode *bn, HeaderWriter *w)
{
    Qcow2State *s = qcow2_state(bn);
    Qcow2UnknownExt *e;
    uint8_t buf[24] = { 0 };

    if (bn->backing_format) {
        put_extension(w, QCOW2_EXT_BACKING_FORMAT, bn->backing_format, strlen(bn->backing_format));
    }
    if (qcow2_has_data_file(s) && s->data_file_name) {
        put_extension(w, QCOW2_EXT_DATA_FILE, s->data_file_name, strlen(s->data_file_name));
    }
    if (s->crypto_header_offset) {
        store_be64(buf, s->crypto_header_offset);
        store_be64(buf + 8, s->crypto_header_bytes);
        put_extension(w, QCOW2_EXT_CRYPTO_HEADER, buf, 16);
    }
    if (s->header.version >= 3 && s->cluster_size > FEATURE_TABLE_MAX_SMALL) {
        put_feature_table(w);
    }
    if (s->bitmap_count) {
        store_be32(buf, s->bitmap_count);
        store_be32(buf + 4, 0);
        store_be64(buf + 8, s->bitmap_directory_bytes);
        store_be64(buf + 16, s->bitmap_directory_offset);
        put_extension(w, QCOW2_EXT_BITMAPS, buf, 24);
    }
    for (e = s->unknown_exts; e; e = e->next) {
        put_extension(w, e->magic, e->data, e->len);
    }
    put_extension(w, QCOW2_EXT_END, NULL, 0);
}

int coroutine_fn qcow2_write_header(BlockNode *bn)
{
    Qcow2State *s = qcow2_state(bn);
    HeaderWriter w = { .size = s->cluster_size };
    size_t name_len = bn->backing_file ? strlen(bn->backing_file) : 0;
    int ret;

    w.buf = block_buffer_alloc(bn->file->node, w.size);
    if (!w.buf) {
        return -ENOMEM;
    }
    memset(w.buf, 0, w.size);
    put_fields(bn, &w);
    put_extensions(bn, &w);
    if (name_len && (w.full || w.size - w.used < name_len)) {
        w.full = true;
    } else if (name_len) {
        /* Without a terminating zero. */
        memcpy(w.buf + w.used, bn->backing_file, name_len);
        store_be64(w.buf + 8, w.used);
        store_be32(w.buf + 16, name_len);
    }
    ret = -ENOSPC;
    if (!w.full) {
        ret = qcow2_meta_write(bn, QCOW2_OL_MAIN_HEADER, 0, w.buf, w.size);
    }
    block_buffer_free(w.buf);
    return ret;
}

int coroutine_fn qcow2_write_features(BlockNode *bn, uint64_t incompat, uint64_t autoclear,
                                      bool flush)
{
    Qcow2State *s = qcow2_state(bn);
    uint8_t buf[24];
    int ret;

    if (s->header.version < 3) {
        return -ENOTSUP;
    }
    store_be64(buf, incompat);
    store_be64(buf + 8, s->header.compat);
    store_be64(buf + 16, autoclear);
    ret = block_co_pwrite(bn->file, 72, sizeof(buf), buf, 0);
    if (ret == 0 && flush) {
        ret = block_co_flush(bn->file->node);
    }
    if (ret == 0) {
        s->header.incompat = incompat;
        s->header.autoclear = autoclear;
    }
    return ret;
}

int coroutine_fn qcow2_mark_dirty(BlockNode *bn)
{
    Qcow2State *s = qcow2_state(bn);

    if (s->header.incompat & QCOW2_INCOMPAT_DIRTY) {
        return 0;
    }
    return qcow2_write_features(bn, s->header.incompat | QCOW2_INCOMPAT_DIRTY, s->header.autoclear,
                                true);
}

int coroutine_fn qcow2_mark_clean(BlockNode *bn)
{
    Qcow2State *s = qcow2_state(bn);
    int ret;

    if (!(s->header.incompat & QCOW2_INCOMPAT_DIRTY)) {
        return 0;
    }
    ret = qcow2_write_caches(bn);
    if (ret == 0) {
        ret = block_co_flush(bn->file->node);
    }
    return ret < 0 ? ret : qcow2_write_features(bn, s->header.incompat & ~QCOW2_INCOMPAT_DIRTY,
                                                s->header.autoclear, false);
}

int coroutine_fn qcow2_mark_corrupt(BlockNode *bn)
{
    Qcow2State *s = qcow2_state(bn);

    return qcow2_write_features(bn, s->header.incompat | QCOW2_INCOMPAT_CORRUPT,
                                s->header.autoclear, false);
}

int coroutine_fn qcow2_mark_consistent(BlockNode *bn)
{
    Qcow2State *s = qcow2_state(bn);
    int ret;

    if (!(s->header.incompat & QCOW2_INCOMPAT_CORRUPT)) {
        return 0;
    }
    ret = qcow2_write_caches(bn);
    if (ret == 0) {
        ret = block_co_flush(bn->file->node);
    }
    return ret < 0 ? ret : qcow2_write_features(bn, s->header.incompat & ~QCOW2_INCOMPAT_CORRUPT,
                                                s->header.autoclear, false);
}
