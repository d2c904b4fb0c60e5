/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opening, closing, reopening and handing over qcow2 images.
 *
 * Main thread; what reads the image runs as a coroutine on the node's loop. The
 * image is not trusted: what the header says is checked here, what tables say
 * when it is used.
 */
#include "util/osdep.h"
#include "qcow2.h"
#include "qcow2-crypto.h"

/* ---- checks of the header ---- */

static bool check_table(const Qcow2State *s, uint64_t offset, uint64_t entries, size_t entry_len,
                        uint64_t max_bytes, const char *name, Error **errp)
{
    if (entries > max_bytes / entry_len) {
        error_setg(errp, "%s too large", name);
        return false;
    }
    if (offset & (s->cluster_size - 1) || offset > INT64_MAX - entries * entry_len) {
        error_setg(errp, "%s offset invalid", name);
        return false;
    }
    return true;
}

static bool check_incompat(BlockNode *bn, const uint8_t *buf, uint64_t ext_end, Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    Qcow2Header *h = &s->header;

    if (h->incompat & ~(uint64_t)QCOW2_INCOMPAT_ALL) {
        g_autoptr(GString) names = g_string_new(NULL);

        qcow2_read_extensions(bn, buf, h->header_length, ext_end, names, NULL);
        return qcow2_report_features(names, h->incompat & ~(uint64_t)QCOW2_INCOMPAT_ALL, errp);
    }
    if (h->incompat & QCOW2_INCOMPAT_CORRUPT && !bn->read_only &&
        !(bn->open_flags & BLOCK_OPEN_CHECK)) {
        error_setg(errp, "qcow2: Image is corrupt; cannot be opened read/write");
        return false;
    }
    if (h->incompat & QCOW2_INCOMPAT_EXTL2 && h->cluster_bits < 14) {
        error_setg(errp, "qcow2: Extended L2 entries need clusters of at least 16 kB");
        return false;
    }
    return true;
}

static bool check_compression(const Qcow2Header *h, Error **errp)
{
    if (h->incompat & QCOW2_INCOMPAT_COMPRESSION) {
        if (h->compression == QCOW2_COMPRESSION_TYPE_ZLIB) {
            error_setg(errp, "qcow2: Compression type incompatible feature bit must not be set");
            return false;
        }
    } else if (h->compression != QCOW2_COMPRESSION_TYPE_ZLIB) {
        error_setg(errp, "qcow2: Compression type incompatible feature bit must be set");
        return false;
    }
    return qcow2_compression_usable(h->compression, errp);
}

static bool check_header(BlockNode *bn, const uint8_t *buf, Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    Qcow2Header *h = &s->header;
    uint64_t ext_end = h->backing_offset ? h->backing_offset : BIT(h->cluster_bits);
    bool check = bn->open_flags & BLOCK_OPEN_CHECK;

    if (!check_incompat(bn, buf, ext_end, errp)) {
        return false;
    }
    if (h->refcount_order > 6) {
        error_setg(errp, "Reference count entry width too large; may not exceed 64 bits");
        return false;
    }
    if (h->version >= 3 && !check_compression(h, errp)) {
        return false;
    }
    if (h->crypt_method > QCOW2_CRYPT_LUKS) {
        error_setg(errp, "Unsupported encryption method %" PRIu32, h->crypt_method);
        return false;
    }
    bn->encrypted = h->crypt_method != QCOW2_CRYPT_NONE;
    qcow2_apply_header(s);
    if (h->reftable_clusters == 0 && !check) {
        error_setg(errp, "Image does not contain a reference count table");
        return false;
    }
    if (!check_table(s, h->reftable_offset, (uint64_t)h->reftable_clusters << (h->cluster_bits - 3),
                     8, QCOW2_MAX_REFTABLE_BYTES, "Reference count table", errp)) {
        return false;
    }
    if (!check && !check_table(s, h->snapshots_offset, h->snapshots, 40,
                               40 * (uint64_t)QCOW2_MAX_SNAPSHOTS, "Snapshot table", errp)) {
        return false;
    }
    return check_table(s, h->l1_offset, h->l1_size, 8, QCOW2_MAX_L1_BYTES, "Active L1 table", errp);
}

static bool check_size(const Qcow2State *s, Error **errp)
{
    uint64_t needed = qcow2_l1_entries_for(s, s->header.size);

    if (needed > INT32_MAX || s->header.size > BLOCK_MAX_LENGTH) {
        error_setg(errp, "Image is too big");
        return false;
    }
    if (s->header.l1_size < needed) {
        error_setg(errp, "L1 table is too small");
        return false;
    }
    return true;
}

/* ---- reading it ---- */

typedef struct OpenWork {
    BlockNode *bn;
    Error **errp;
    bool ok;
} OpenWork;

/* Header and extensions, so that it is known which other files there are. */
static bool coroutine_fn read_header(BlockNode *bn, Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    g_autofree uint8_t *buf = NULL;
    uint8_t start[QCOW2_V3_HEADER_SIZE];
    int64_t file_bytes = bn->file->node->total_bytes;
    uint64_t ext_end, cluster_size;
    Qcow2Header *h = &s->header;
    int ret;

    ret = qcow2_meta_read(bn, 0, start, sizeof(start));
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not read qcow2 header");
        return false;
    }
    h->cluster_bits = load_be32(start + 20);
    /* Only to know how much to read; the checks come with the parsing. */
    cluster_size = h->cluster_bits >= QCOW2_MIN_CLUSTER_BITS &&
                   h->cluster_bits <= QCOW2_MAX_CLUSTER_BITS ? BIT(h->cluster_bits) : 512;
    buf = g_malloc0(cluster_size);
    ret = qcow2_meta_read(bn, 0, buf, cluster_size);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not read qcow2 header");
        return false;
    }
    if (!qcow2_header_parse(h, buf, MIN((int64_t)cluster_size, MAX(file_bytes, 0)), errp) ||
        !check_header(bn, buf, errp) || !check_size(s, errp)) {
        return false;
    }
    if (h->backing_offset && h->backing_len > MIN(QCOW2_MAX_BACKING_NAME,
                                                  s->cluster_size - h->backing_offset)) {
        error_setg(errp, "Backing file name too long");
        return false;
    }
    if (h->backing_offset) {
        bn->backing_file = g_strndup((char *)buf + h->backing_offset, h->backing_len);
    }
    if (h->header_length > QCOW2_V3_HEADER_SIZE) {
        s->extra_header_size = h->header_length - QCOW2_V3_HEADER_SIZE;
        s->extra_header = g_memdup2(buf + QCOW2_V3_HEADER_SIZE, s->extra_header_size);
    }
    ext_end = h->backing_offset ? h->backing_offset : s->cluster_size;
    return qcow2_read_extensions(bn, buf, h->header_length, ext_end, NULL, errp);
}

static bool coroutine_fn load_tables(BlockNode *bn, Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    int ret;

    ret = qcow2_load_l1(bn, s->header.l1_offset, s->header.l1_size, &s->l1);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not read L1 table");
        return false;
    }
    if (qcow2_make_caches(bn, errp) < 0 || qcow2_refcount_load(bn, errp) < 0) {
        return false;
    }
    if (!(bn->open_flags & BLOCK_OPEN_CHECK) && !qcow2_read_snapshots(bn, false, NULL, errp)) {
        return false;
    }
    qcow2_note_tables(bn);
    return true;
}

/* What a writer does before anything else. */
static bool coroutine_fn prepare_writing(BlockNode *bn, Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t unknown = s->header.autoclear & ~(uint64_t)QCOW2_AUTOCLEAR_ALL;
    bool rewrite = unknown && s->header.version >= 3, bitmaps_changed = false;
    BlockCheckResult res = { 0 };
    int ret;

    if (!qcow2_load_bitmaps(bn, &bitmaps_changed, errp)) {
        return false;
    }
    if (bn->read_only || bn->inactive || bn->open_flags & BLOCK_OPEN_CHECK) {
        return true;
    }
    if (rewrite || bitmaps_changed) {
        s->header.autoclear &= QCOW2_AUTOCLEAR_ALL;
        ret = qcow2_write_header(bn);
        if (ret < 0) {
            error_setg_errno(errp, -ret, "Could not update qcow2 header");
            return false;
        }
    }
    if (s->header.incompat & QCOW2_INCOMPAT_DIRTY) {
        /* Refcounts were left behind. */
        ret = qcow2_check_locked(bn, &res, BLOCK_FIX_ERRORS | BLOCK_FIX_LEAKS);
        if (ret == 0 && !res.check_errors) {
            ret = qcow2_mark_clean(bn);
        }
        if (ret < 0 || res.check_errors) {
            error_setg_errno(errp, ret < 0 ? -ret : EIO, "Could not repair dirty image");
            return false;
        }
    }
    return true;
}

static void coroutine_fn header_entry(void *opaque)
{
    OpenWork *w = opaque;

    w->ok = read_header(w->bn, w->errp);
}

static void coroutine_fn tables_entry(void *opaque)
{
    OpenWork *w = opaque;
    Qcow2State *s = qcow2_state(w->bn);

    co_mutex_lock(&s->lock);
    w->ok = load_tables(w->bn, w->errp) && prepare_writing(w->bn, w->errp);
    co_mutex_unlock(&s->lock);
}

static bool run(BlockNode *bn, CoroutineEntry *entry, Error **errp)
{
    OpenWork w = { .bn = bn, .errp = errp };

    block_run_coroutine(bn, entry, &w);
    return w.ok;
}

/* ---- the external data file ---- */

static bool open_data_file(BlockNode *bn, JsonValue *options, Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    BlockChild *c = NULL;
    Error *err = NULL;

    s->data_file = bn->file;
    if (bn->open_flags & BLOCK_OPEN_NO_IO) {
        /* Nothing of it is read. */
        json_object_remove(options, "data-file");
        return true;
    }
    c = block_child_open(bn, NULL, options, "data-file", BLOCK_ROLE_DATA, true, &err);
    if (err) {
        error_propagate(errp, err);
        return false;
    }
    if (!qcow2_has_data_file(s)) {
        if (c) {
            error_setg(errp, "'data-file' can only be set for images with an external data file");
        }
        return !c;
    }
    if (!c && s->data_file_name) {
        c = block_child_open(bn, s->data_file_name, options, "data-file", BLOCK_ROLE_DATA, false,
                             errp);
        if (!c) {
            return false;
        }
    }
    if (!c) {
        error_setg(errp, "'data-file' is required for this image");
        return false;
    }
    s->data_file = c;
    s->data_file_raw = s->header.autoclear & QCOW2_AUTOCLEAR_DATA_FILE_RAW;
    return true;
}

/* ---- open and close ---- */

static void free_tables(Qcow2State *s)
{
    timer_disarm(&s->clean_timer);
    qcow2_cache_free(s->l2_cache);
    qcow2_cache_free(s->refcount_cache);
    s->l2_cache = s->refcount_cache = NULL;
    g_clear_pointer(&s->l1, g_free);
    g_clear_pointer(&s->reftable, g_free);
    s->reftable_size = s->reftable_used = 0;
    qcow2_free_snapshots(s);
    qcow2_free_extensions(s);
    if (s->meta_clusters) {
        g_hash_table_remove_all(s->meta_clusters);
        g_array_set_size(s->quarantine, 0);
        g_array_set_size(s->discards, 0);
    }
    s->free_cluster = s->free_byte = 0;
}

static void free_all(Qcow2State *s)
{
    free_tables(s);
    qcow2_crypto_close(s);
    g_hash_table_unref(s->meta_clusters);
    g_array_free(s->quarantine, true);
    g_array_free(s->discards, true);
    s->meta_clusters = NULL;
}

static bool read_image(BlockNode *bn, JsonValue *options, Error **errp)
{
    Qcow2State *s = qcow2_state(bn);

    if (!run(bn, header_entry, errp) || !open_data_file(bn, options, errp) ||
        !qcow2_parse_options(bn, options, bn->open_flags, &s->opt, errp) ||
        !qcow2_crypto_open(bn, options, errp)) {
        return false;
    }
    s->lazy_refcounts = s->opt.lazy_refcounts;
    return true;
}

static bool qcow2_open(BlockNode *bn, JsonValue *options, Error **errp)
{
    Qcow2State *s = qcow2_state(bn);

    co_mutex_init(&s->lock);
    co_queue_init(&s->io_wait);
    s->quarantine = g_array_new(false, false, sizeof(Qcow2Run));
    s->discards = g_array_new(false, false, sizeof(Qcow2Run));
    s->meta_clusters = g_hash_table_new(NULL, NULL);
    if (!block_child_open(bn, NULL, options, "file",
                          BLOCK_ROLE_METADATA | BLOCK_ROLE_DATA | BLOCK_ROLE_PRIMARY, false,
                          errp) ||
        !read_image(bn, options, errp) || !run(bn, tables_entry, errp)) {
        free_all(s);
        return false;
    }
    bn->supported_zero_flags =
        s->header.version >= 3 ? BLOCK_REQ_MAY_UNMAP | BLOCK_REQ_NO_FALLBACK : 0;
    qcow2_start_cleaning(bn);
    return true;
}

static int coroutine_fn put_away(BlockNode *bn)
{
    Qcow2State *s = qcow2_state(bn);
    Error *err = NULL;
    int ret;

    if (s->dead) {
        return 0;
    }
    if (!qcow2_store_bitmaps(bn, true, &err)) {
        error_prepend(&err, "Lost persistent bitmaps during inactivation of node '%s': ",
                      bn->node_name);
        error_report_err(err);
    }
    ret = qcow2_write_caches(bn);
    if (ret < 0) {
        error_report("Failed to flush the metadata caches: %s", strerror(-ret));
        return ret;
    }
    return qcow2_mark_clean(bn);
}

static void coroutine_fn close_entry(void *opaque)
{
    OpenWork *w = opaque;
    Qcow2State *s = qcow2_state(w->bn);

    co_mutex_lock(&s->lock);
    put_away(w->bn);
    co_mutex_unlock(&s->lock);
}

static void qcow2_close(BlockNode *bn)
{
    if (!bn->read_only && !bn->inactive) {
        run(bn, close_entry, NULL);
    }
    free_all(qcow2_state(bn));
}

/* ---- another process takes over ---- */

static int coroutine_fn qcow2_co_inactivate(BlockNode *bn)
{
    Qcow2State *s = qcow2_state(bn);
    int ret = 0;

    if (bn->read_only) {
        return 0;
    }
    co_mutex_lock(&s->lock);
    ret = put_away(bn);
    if (ret == 0) {
        qcow2_cache_drop_all(s->l2_cache);
        qcow2_cache_drop_all(s->refcount_cache);
    }
    co_mutex_unlock(&s->lock);
    return ret;
}

static int coroutine_fn qcow2_co_activate(BlockNode *bn, Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    bool ok;

    co_mutex_lock(&s->lock);
    free_tables(s);
    g_clear_pointer(&bn->backing_format, g_free);
    g_clear_pointer(&bn->backing_file, g_free);
    ok = read_header(bn, errp) && load_tables(bn, errp) && prepare_writing(bn, errp);
    co_mutex_unlock(&s->lock);
    if (!ok) {
        error_prepend(errp, "Could not reopen qcow2 layer: ");
        s->dead = true;
        return -EIO;
    }
    qcow2_start_cleaning(bn);
    return 0;
}

/* ---- reopen ---- */

typedef struct ReopenState {
    Qcow2Options opt;
    bool to_read_only, to_writable;
} ReopenState;

typedef struct ReopenWork {
    BlockNode *bn;
    ReopenState *r;
    Error **errp;
    bool ok;
} ReopenWork;

static void coroutine_fn reopen_ro_entry(void *opaque)
{
    ReopenWork *w = opaque;
    Qcow2State *s = qcow2_state(w->bn);
    int ret;

    co_mutex_lock(&s->lock);
    w->ok = qcow2_reopen_bitmaps_ro(w->bn, w->errp);
    if (w->ok) {
        ret = qcow2_write_caches(w->bn);
        if (ret == 0) {
            ret = block_co_flush(w->bn->file->node);
        }
        if (ret == 0) {
            ret = qcow2_mark_clean(w->bn);
        }
        if (ret < 0) {
            error_setg_errno(w->errp, -ret, "Could not write the image back");
            w->ok = false;
        }
    }
    co_mutex_unlock(&s->lock);
}

static bool qcow2_reopen_prepare(BlockNode *bn, BlockReopen *reopen, Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    g_autofree ReopenState *r = g_new0(ReopenState, 1);
    ReopenWork w = { .bn = bn, .r = r, .errp = errp };

    if (!qcow2_parse_options(bn, reopen->options, reopen->flags, &r->opt, errp)) {
        return false;
    }
    r->to_read_only = !bn->read_only && !(reopen->flags & BLOCK_OPEN_RDWR);
    r->to_writable = bn->read_only && reopen->flags & BLOCK_OPEN_RDWR;
    if (r->to_writable && s->header.incompat & QCOW2_INCOMPAT_CORRUPT) {
        error_setg(errp, "qcow2: Image is corrupt; cannot be opened read/write");
        return false;
    }
    if (r->to_read_only) {
        block_run_coroutine(bn, reopen_ro_entry, &w);
        if (!w.ok) {
            return false;
        }
    }
    reopen->driver_state = g_steal_pointer(&r);
    return true;
}

static void coroutine_fn reopen_commit_entry(void *opaque)
{
    ReopenWork *w = opaque;
    Qcow2State *s = qcow2_state(w->bn);
    Error *err = NULL;

    co_mutex_lock(&s->lock);
    if (qcow2_apply_options(w->bn, &w->r->opt, &err) < 0 ||
        (w->r->to_writable && !qcow2_reopen_bitmaps_rw(w->bn, &err))) {
        error_report_err(err);
    }
    co_mutex_unlock(&s->lock);
}

static void qcow2_reopen_commit(BlockNode *bn, BlockReopen *reopen)
{
    ReopenWork w = { .bn = bn, .r = reopen->driver_state };

    block_run_coroutine(bn, reopen_commit_entry, &w);
    qcow2_start_cleaning(bn);
    g_free(w.r);
}

static void coroutine_fn reopen_abort_entry(void *opaque)
{
    ReopenWork *w = opaque;
    Qcow2State *s = qcow2_state(w->bn);
    Error *err = NULL;

    co_mutex_lock(&s->lock);
    if (!qcow2_reopen_bitmaps_rw(w->bn, &err)) {
        error_report_err(err);
    }
    co_mutex_unlock(&s->lock);
}

static void qcow2_reopen_abort(BlockNode *bn, BlockReopen *reopen)
{
    ReopenWork w = { .bn = bn, .r = reopen->driver_state };

    if (w.r->to_read_only) {
        /* It stays writable, and so do its bitmaps. */
        block_run_coroutine(bn, reopen_abort_entry, &w);
    }
    g_free(w.r);
}

/* ---- the rest ---- */

static int64_t qcow2_length(BlockNode *bn)
{
    return qcow2_state(bn)->header.size;
}

static void qcow2_refresh_limits(BlockNode *bn)
{
    Qcow2State *s = qcow2_state(bn);

    if (s->crypto) {
        bn->limits.request_alignment = qcow2_crypto_sector(s);
    }
    bn->limits.write_zeroes_alignment = s->subcluster_size;
    bn->limits.discard_alignment = s->cluster_size;
    bn->limits.max_discard = bn->limits.max_write_zeroes = 0;
}

static void qcow2_attach_loop(BlockNode *bn, EventLoop *loop)
{
    qcow2_start_cleaning(bn);
}

static void qcow2_detach_loop(BlockNode *bn)
{
    timer_disarm(&qcow2_state(bn)->clean_timer);
}

static const char *const qcow2_strong_options[] = { "encrypt", NULL };

BLOCK_DRIVER(qcow2_driver) = {
    .name = "qcow2",
    .instance_size = sizeof(Qcow2State),
    .has_image = true,
    .supports_backing = true,
    .open = qcow2_open,
    .close = qcow2_close,
    .length = qcow2_length,
    .refresh_limits = qcow2_refresh_limits,
    .attach_loop = qcow2_attach_loop,
    .detach_loop = qcow2_detach_loop,
    .strong_options = qcow2_strong_options,
    .co_preadv = qcow2_co_preadv,
    .co_pwritev = qcow2_co_pwritev,
    .co_pwrite_zeroes = qcow2_co_pwrite_zeroes,
    .co_pdiscard = qcow2_co_pdiscard,
    .co_flush_to_os = qcow2_co_flush_to_os,
    .co_block_status = qcow2_co_block_status,
    .co_truncate = qcow2_co_truncate,
    .co_pwritev_compressed = qcow2_co_pwritev_compressed,
    .co_copy_range_from = qcow2_co_copy_range_from,
    .co_copy_range_to = qcow2_co_copy_range_to,
    .create_options = qcow2_create_options,
    .amend_options = qcow2_amend_options,
    .co_create = qcow2_co_create,
    .co_create_opts = qcow2_co_create_opts,
    .co_amend = qcow2_co_amend,
    .co_check = qcow2_co_check,
    .image_info = qcow2_image_info,
    .specific_info = qcow2_specific_info,
    .measure = qcow2_measure,
    .co_change_backing_file = qcow2_co_change_backing_file,
    .co_make_empty = qcow2_co_make_empty,
    .co_snapshot_create = qcow2_co_snapshot_create,
    .co_snapshot_goto = qcow2_co_snapshot_goto,
    .co_snapshot_delete = qcow2_co_snapshot_delete,
    .snapshot_list = qcow2_snapshot_list,
    .co_snapshot_load_tmp = qcow2_co_snapshot_load_tmp,
    .co_vmstate_read = qcow2_co_vmstate_read,
    .co_vmstate_write = qcow2_co_vmstate_write,
    .co_can_store_bitmap = qcow2_co_can_store_bitmap,
    .co_remove_stored_bitmap = qcow2_co_remove_stored_bitmap,
    .reopen_prepare = qcow2_reopen_prepare,
    .reopen_commit = qcow2_reopen_commit,
    .reopen_abort = qcow2_reopen_abort,
    .co_inactivate = qcow2_co_inactivate,
    .co_activate = qcow2_co_activate,
};
