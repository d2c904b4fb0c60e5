/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Changing what kind of qcow2 image an image is: version, refcount width, lazy
 * refcounts, keys, names of other files. Coroutines; the node is drained.
 */
#include "util/osdep.h"
#include "create.h"
#include "qcow2-crypto.h"

const BlockImageOption qcow2_amend_options[] = {
    { "backing_file", BLOCK_IMAGE_OPT_STRING, "File name of a base image" },
    { "backing_fmt", BLOCK_IMAGE_OPT_STRING, "Image format of the base image" },
    { "compat", BLOCK_IMAGE_OPT_STRING, "Compatibility level (v2 [0.10] or v3 [1.1])" },
    { "data_file", BLOCK_IMAGE_OPT_STRING, "File name of an external data file" },
    { "data_file_raw", BLOCK_IMAGE_OPT_BOOL, "The external data file must stay valid as a raw image" },
    { "encrypt.iter-time", BLOCK_IMAGE_OPT_NUMBER, "Time to spend in PBKDF in milliseconds" },
    { "encrypt.keyslot", BLOCK_IMAGE_OPT_NUMBER, "Select a single keyslot to modify explicitly" },
    { "encrypt.new-secret", BLOCK_IMAGE_OPT_STRING,
      "New secret to set in the matching keyslots. Empty string to erase" },
    { "encrypt.old-secret", BLOCK_IMAGE_OPT_STRING,
      "Select all keyslots that match this password" },
    { "encrypt.state", BLOCK_IMAGE_OPT_STRING,
      "Select new state of affected keyslots (active/inactive)" },
    { "lazy_refcounts", BLOCK_IMAGE_OPT_BOOL, "Postpone refcount updates" },
    { "refcount_bits", BLOCK_IMAGE_OPT_NUMBER, "Width of a reference count entry in bits" },
    { "size", BLOCK_IMAGE_OPT_SIZE, "Virtual disk size" },
    { NULL }
};

typedef struct Amend {
    BlockNode *bn;
    uint32_t version;
    uint64_t size, refcount_bits;
    bool has_size, lazy_refcounts, data_file_raw;
    char *data_file;
    QCryptoBlockAmendOptions *encrypt;
    BlockProgress *progress;
    void *opaque;
    bool force;
} Amend;

/* ---- options ---- */

static bool take_version(JsonValue *o, uint32_t *version, Error **errp)
{
    g_autofree char *text = NULL;

    if (!block_option_take_string(o, "compat", &text, errp)) {
        return false;
    }
    if (!text || !*text) {
        return true;
    }
    if (!strcmp(text, "0.10") || !strcmp(text, "v2")) {
        *version = 2;
    } else if (!strcmp(text, "1.1") || !strcmp(text, "v3")) {
        *version = 3;
    } else {
        error_setg(errp, "Unknown compatibility level %s", text);
        return false;
    }
    return true;
}

static bool take_options(Amend *a, JsonValue *o, Error **errp)
{
    g_autofree char *backing = NULL, *format = NULL;
    Qcow2State *s = qcow2_state(a->bn);
    bool raw = s->data_file_raw;

    if (!take_version(o, &a->version, errp) ||
        !block_option_take_size(o, "size", &a->size, &a->has_size, errp) ||
        !block_option_take_size(o, "refcount_bits", &a->refcount_bits, NULL, errp) ||
        !block_option_take_bool(o, "lazy_refcounts", &a->lazy_refcounts, errp) ||
        !block_option_take_bool(o, "data_file_raw", &raw, errp) ||
        !block_option_take_string(o, "backing_file", &backing, errp) ||
        !block_option_take_string(o, "backing_fmt", &format, errp) ||
        !block_option_take_string(o, "data_file", &a->data_file, errp) ||
        !qcow2_crypto_take_amend(a->bn, o, &a->encrypt, errp)) {
        return false;
    }
    if (backing || format) {
        error_setg(errp, "Cannot amend the backing file");
        error_append_hint(errp, "You can use 'qemu-img rebase' instead.\n");
        return false;
    }
    if (a->refcount_bits > 64 || !IS_POWER_OF_2(a->refcount_bits)) {
        error_setg(errp, "Refcount width must be a power of two and may not exceed 64 bits");
        return false;
    }
    if (a->data_file && !qcow2_has_data_file(s)) {
        error_setg(errp, "data-file can only be set for images that use an external data file");
        return false;
    }
    if (raw && !s->data_file_raw) {
        error_setg(errp, "data-file-raw cannot be set on existing images");
        return false;
    }
    a->data_file_raw = raw;
    return true;
}

/* ---- refcount width ---- */

typedef struct NewRefcounts {
    BlockNode *bn;
    unsigned order, bits;       /* log2: of the width, of entries per block */
    GArray *table;              /* uint64_t offsets */
    uint64_t table_offset, table_clusters;
} NewRefcounts;

static int coroutine_fn range_used(BlockNode *bn, uint64_t first, uint64_t count, bool *used)
{
    uint64_t i, refcount = 0;

    for (i = 0; i < count && !refcount; i++) {
        int ret = qcow2_refcount_get(bn, first + i, &refcount);

        if (ret < 0) {
            return ret;
        }
    }
    *used = refcount;
    return 0;
}

static uint64_t counted_clusters(const Qcow2State *s)
{
    return (uint64_t)s->reftable_used << s->refblock_bits;
}

/* Blocks for all that is counted, which grows by them; again until nothing is added. */
static int coroutine_fn place_blocks(NewRefcounts *n, bool *added)
{
    Qcow2State *s = qcow2_state(n->bn);
    uint64_t i, zero = 0;
    int ret;

    *added = false;
    for (i = 0; i << n->bits < counted_clusters(s); i++) {
        bool used;
        int64_t offset;

        if (i >= n->table->len) {
            g_array_append_val(n->table, zero);
        }
        if (g_array_index(n->table, uint64_t, i)) {
            continue;
        }
        ret = range_used(n->bn, i << n->bits, BIT(n->bits), &used);
        if (ret < 0) {
            return ret;
        }
        if (used) {
            offset = qcow2_alloc_clusters(n->bn, s->cluster_size);
            if (offset < 0) {
                return offset;
            }
            g_array_index(n->table, uint64_t, i) = offset;
            *added = true;
        }
    }
    return 0;
}

static int coroutine_fn place_all(NewRefcounts *n)
{
    Qcow2State *s = qcow2_state(n->bn);
    bool added = true;
    int ret;

    while (added) {
        uint64_t needed;
        int64_t offset;

        ret = place_blocks(n, &added);
        if (ret < 0) {
            return ret;
        }
        needed = qcow2_clusters(s, (uint64_t)n->table->len * 8);
        if (needed << s->cluster_bits > QCOW2_MAX_REFTABLE_BYTES) {
            return -ENOTSUP;
        }
        if (needed > n->table_clusters) {
            if (n->table_clusters) {
                qcow2_free_clusters(n->bn, n->table_offset, n->table_clusters << s->cluster_bits,
                                    QCOW2_DISCARD_NEVER);
                n->table_clusters = 0;
            }
            offset = qcow2_alloc_clusters(n->bn, needed << s->cluster_bits);
            if (offset < 0) {
                return offset;
            }
            n->table_offset = offset;
            n->table_clusters = needed;
            added = true;
        }
    }
    return 0;
}

static int coroutine_fn write_block(NewRefcounts *n, uint64_t index, uint8_t *buf, Error **errp)
{
    Qcow2State *s = qcow2_state(n->bn);
    uint64_t first = index << n->bits, i, refcount;
    uint64_t max = n->order == 6 ? INT64_MAX : BIT(1u << n->order) - 1;
    int ret;

    memset(buf, 0, s->cluster_size);
    for (i = 0; i < BIT(n->bits); i++) {
        ret = qcow2_refcount_get(n->bn, first + i, &refcount);
        if (ret < 0) {
            error_setg_errno(errp, -ret, "Failed to read the refcount of a cluster");
            return ret;
        }
        if (refcount > max) {
            error_setg(errp, "Cannot decrease refcount entry width to %i bits: Cluster at offset "
                       "%#" PRIx64 " has a refcount of %" PRIu64, 1 << n->order,
                       (first + i) << s->cluster_bits, refcount);
            return -EINVAL;
        }
        qcow2_refcount_set_in(buf, i, n->order, refcount);
    }
    ret = qcow2_meta_write(n->bn, 0, g_array_index(n->table, uint64_t, index), buf,
                           s->cluster_size);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Failed to write refblock");
    }
    return ret;
}

static int coroutine_fn write_all(NewRefcounts *n, BlockProgress *progress, void *opaque,
                                  Error **errp)
{
    Qcow2State *s = qcow2_state(n->bn);
    uint64_t bytes = n->table_clusters << s->cluster_bits, i;
    g_autofree uint8_t *buf = g_malloc0(MAX(bytes, s->cluster_size));
    int ret = 0;

    for (i = 0; i < n->table->len && ret == 0; i++) {
        if (g_array_index(n->table, uint64_t, i)) {
            ret = write_block(n, i, buf, errp);
        }
        if (progress) {
            progress(opaque, i + 1, n->table->len);
        }
    }
    if (ret < 0) {
        return ret;
    }
    memset(buf, 0, bytes);
    for (i = 0; i < n->table->len; i++) {
        store_be64(buf + i * 8, g_array_index(n->table, uint64_t, i));
    }
    ret = qcow2_meta_write(n->bn, 0, n->table_offset, buf, bytes);
    if (ret == 0) {
        ret = qcow2_write_caches(n->bn);
    }
    if (ret == 0) {
        ret = block_co_flush(n->bn->file->node);
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Failed to write the new refcount table");
    }
    return ret;
}

/* The header, then memory. */
static int coroutine_fn switch_refcounts(NewRefcounts *n, Error **errp)
{
    Qcow2State *s = qcow2_state(n->bn);
    Qcow2Header old = s->header;
    g_autofree uint64_t *old_table = NULL;
    uint32_t old_size = s->reftable_size, i;
    int ret;

    s->header.reftable_offset = n->table_offset;
    s->header.reftable_clusters = n->table_clusters;
    s->header.refcount_order = n->order;
    ret = qcow2_write_header(n->bn);
    if (ret == 0) {
        ret = block_co_flush(n->bn->file->node);
    }
    if (ret < 0) {
        s->header = old;
        error_setg_errno(errp, -ret, "Failed to update the qcow2 header");
        return ret;
    }
    old_table = s->reftable;
    s->reftable = NULL;
    qcow2_cache_drop_all(s->refcount_cache);
    qcow2_apply_header(s);
    ret = qcow2_refcount_load(n->bn, errp);
    if (ret < 0) {
        s->dead = true;
        return ret;
    }
    qcow2_note_tables(n->bn);
    for (i = 0; i < old_size; i++) {
        uint64_t block = old_table[i] & QCOW2_REFTABLE_MASK;

        if (block && !qcow2_in_cluster(s, block)) {
            qcow2_free_clusters(n->bn, block, s->cluster_size, QCOW2_DISCARD_OTHER);
        }
    }
    qcow2_free_clusters(n->bn, old.reftable_offset,
                        (uint64_t)old.reftable_clusters << s->cluster_bits, QCOW2_DISCARD_OTHER);
    return 0;
}

int coroutine_fn qcow2_change_refcount_order(BlockNode *bn, unsigned order, BlockProgress *progress,
                                             void *opaque, Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    NewRefcounts n = {
        .bn = bn, .order = order, .bits = s->cluster_bits + 3 - order,
        .table = g_array_new(false, false, sizeof(uint64_t)),
    };
    int ret;
    guint i;

    ret = place_all(&n);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Failed to allocate the new refcount structures");
    } else {
        ret = write_all(&n, progress, opaque, errp);
        if (ret == 0) {
            ret = switch_refcounts(&n, errp);
            goto out;
        }
    }
    for (i = 0; i < n.table->len; i++) {
        if (g_array_index(n.table, uint64_t, i)) {
            qcow2_free_clusters(bn, g_array_index(n.table, uint64_t, i), s->cluster_size,
                                QCOW2_DISCARD_OTHER);
        }
    }
    if (n.table_clusters) {
        qcow2_free_clusters(bn, n.table_offset, n.table_clusters << s->cluster_bits,
                            QCOW2_DISCARD_OTHER);
    }
out:
    g_array_free(n.table, true);
    return ret;
}

/* ---- version ---- */

static int coroutine_fn upgrade(BlockNode *bn, Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    int ret = 0;
    unsigned i;

    s->header.version = 3;
    s->header.header_length = QCOW2_V3_HEADER_SIZE;
    for (i = 0; i < s->snapshot_count; i++) {
        /* v3 wants the disk size in each entry. */
        if (s->snapshots[i].extra_size < 24) {
            s->snapshots[i].extra_size = 24;
            ret = 1;
        }
    }
    if (ret) {
        ret = qcow2_write_snapshots(bn);
        if (ret < 0) {
            error_setg_errno(errp, -ret, "Failed to update the snapshot table");
        }
    }
    if (ret == 0) {
        ret = qcow2_write_header(bn);
        if (ret < 0) {
            error_setg_errno(errp, -ret, "Failed to update the image header");
        }
    }
    if (ret < 0) {
        s->header.version = 2;
    }
    return ret;
}

static bool can_downgrade(BlockNode *bn, Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    unsigned i;

    if (qcow2_has_data_file(s)) {
        error_setg(errp, "Cannot downgrade an image with a data file");
        return false;
    }
    if (s->refcount_order != 4) {
        error_setg(errp, "Cannot downgrade an image with refcount_bits != 16");
        error_append_hint(errp, "refcount_bits=16 is required for compat=0.10\n");
        return false;
    }
    for (i = 0; i < s->snapshot_count; i++) {
        if (s->snapshots[i].vm_state_size > UINT32_MAX ||
            s->snapshots[i].disk_size != s->header.size) {
            error_setg(errp, "Internal snapshots prevent downgrade of image");
            return false;
        }
    }
    if (s->header.incompat & ~(uint64_t)QCOW2_INCOMPAT_DIRTY) {
        error_setg(errp, "Cannot downgrade an image with incompatible features set");
        return false;
    }
    return true;
}

static int coroutine_fn downgrade(Amend *a, Error **errp)
{
    BlockNode *bn = a->bn;
    Qcow2State *s = qcow2_state(bn);
    int ret;

    if (!can_downgrade(bn, errp)) {
        return -ENOTSUP;
    }
    ret = qcow2_mark_clean(bn);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Failed to make the image clean");
        return ret;
    }
    ret = qcow2_expand_zeroes(bn, a->progress, a->opaque);
    if (ret == 0) {
        ret = qcow2_write_caches(bn);
    }
    if (ret == 0) {
        ret = block_co_flush(bn->file->node);
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Failed to turn zero into data clusters");
        return ret;
    }
    s->header.compat = s->header.autoclear = s->header.incompat = 0;
    s->header.version = 2;
    s->lazy_refcounts = false;
    ret = qcow2_write_header(bn);
    if (ret < 0) {
        s->header.version = 3;
        error_setg_errno(errp, -ret, "Failed to update the image header");
    }
    return ret;
}

/* ---- the whole ---- */

static int coroutine_fn set_names(Amend *a, Error **errp)
{
    BlockNode *bn = a->bn;
    Qcow2State *s = qcow2_state(bn);
    int ret;

    if (a->data_file) {
        g_free(s->data_file_name);
        s->data_file_name = *a->data_file ? g_strdup(a->data_file) : NULL;
    }
    if (s->data_file_raw && !a->data_file_raw) {
        s->data_file_raw = false;
        s->header.autoclear &= ~(uint64_t)QCOW2_AUTOCLEAR_DATA_FILE_RAW;
    }
    ret = qcow2_write_header(bn);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Failed to update the image header");
    }
    return ret;
}

static int coroutine_fn set_lazy(Amend *a, Error **errp)
{
    BlockNode *bn = a->bn;
    Qcow2State *s = qcow2_state(bn);
    int ret = 0;

    if (a->lazy_refcounts == !!(s->header.compat & QCOW2_COMPAT_LAZY_REFCOUNTS)) {
        return 0;
    }
    if (a->lazy_refcounts && a->version < 3) {
        error_setg(errp, "Lazy refcounts only supported with compatibility level 1.1 and above "
                   "(use compat=1.1 or greater)");
        return -EINVAL;
    }
    if (!a->lazy_refcounts) {
        ret = qcow2_mark_clean(bn);
        if (ret < 0) {
            error_setg_errno(errp, -ret, "Failed to make the image clean");
            return ret;
        }
    }
    s->header.compat ^= QCOW2_COMPAT_LAZY_REFCOUNTS;
    ret = qcow2_write_header(bn);
    if (ret < 0) {
        s->header.compat ^= QCOW2_COMPAT_LAZY_REFCOUNTS;
        error_setg_errno(errp, -ret, "Failed to update the image header");
        return ret;
    }
    s->lazy_refcounts = a->lazy_refcounts;
    return 0;
}

static int coroutine_fn amend_locked(Amend *a, Error **errp)
{
    BlockNode *bn = a->bn;
    Qcow2State *s = qcow2_state(bn);
    unsigned order = __builtin_ctzll(a->refcount_bits);
    int ret = 0;

    if (a->version > s->header.version) {
        ret = upgrade(bn, errp);
    }
    if (ret == 0 && order != s->refcount_order) {
        if (a->version < 3) {
            error_setg(errp, "Refcount widths other than 16 bits require compatibility level 1.1 "
                       "or above (use compat=1.1 or greater)");
            return -EINVAL;
        }
        ret = qcow2_change_refcount_order(bn, order, a->progress, a->opaque, errp);
    }
    if (ret == 0 && (a->data_file || a->data_file_raw != s->data_file_raw)) {
        ret = set_names(a, errp);
    }
    if (ret == 0) {
        ret = set_lazy(a, errp);
    }
    if (ret == 0 && a->has_size) {
        ret = qcow2_truncate(bn, a->size, false, PREALLOC_MODE_OFF, errp);
    }
    if (ret == 0 && a->version < s->header.version) {
        ret = downgrade(a, errp);
    }
    return ret;
}

int coroutine_fn qcow2_co_amend(BlockNode *bn, JsonValue *options, BlockProgress *progress,
                                void *opaque, bool force, Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    Amend a = {
        .bn = bn, .version = s->header.version, .refcount_bits = 1u << s->refcount_order,
        .lazy_refcounts = s->header.compat & QCOW2_COMPAT_LAZY_REFCOUNTS,
        .progress = progress, .opaque = opaque, .force = force,
    };
    int ret = -EINVAL;

    if (take_options(&a, options, errp)) {
        ret = 0;
        if (a.encrypt && !qcow2_crypto_amend(bn, a.encrypt, force, errp)) {
            ret = -EINVAL;
        }
        if (ret == 0) {
            co_mutex_lock(&s->lock);
            qcow2_wait_allocs(bn, 0, INT64_MAX);
            ret = amend_locked(&a, errp);
            co_mutex_unlock(&s->lock);
        }
        if (ret == 0 && a.has_size) {
            block_node_refresh_length(bn, true);
        }
    }
    g_free(a.data_file);
    qapi_free_QCryptoBlockAmendOptions(a.encrypt);
    return ret;
}

int coroutine_fn qcow2_co_change_backing_file(BlockNode *bn, const char *backing,
                                              const char *backing_format)
{
    Qcow2State *s = qcow2_state(bn);
    char *file = g_strdup(backing), *format = g_strdup(backing_format);
    int ret;

    if (backing && s->data_file_raw) {
        g_free(file);
        g_free(format);
        return -EINVAL;
    }
    co_mutex_lock(&s->lock);
    /* The caller may have passed the strings that are replaced. */
    g_free(bn->backing_file);
    g_free(bn->backing_format);
    bn->backing_file = file;
    bn->backing_format = format;
    ret = qcow2_write_header(bn);
    co_mutex_unlock(&s->lock);
    return ret;
}
