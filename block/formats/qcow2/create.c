/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Making new qcow2 images. The first clusters are header, refcount table,
 * refcount block and L1 table; everything after the first three is done by the
 * driver itself on the opened image.
 *
 * The work runs as a coroutine; nodes are opened and closed on the main thread.
 */
#include "util/osdep.h"
#include "create.h"
#include "qcow2-crypto.h"

const BlockImageOption qcow2_create_options[] = {
    { "encryption", BLOCK_IMAGE_OPT_BOOL,
      "Encrypt the image with format 'aes'. (Deprecated in favor of encrypt.format=aes)" },
    { "encrypt.format", BLOCK_IMAGE_OPT_STRING,
      "Encrypt the image, format choices: 'aes', 'luks'" },
    { "encrypt.key-secret", BLOCK_IMAGE_OPT_STRING,
      "ID of secret providing qcow AES key or LUKS passphrase" },
    { "encrypt.cipher-alg", BLOCK_IMAGE_OPT_STRING, "Name of encryption cipher algorithm" },
    { "encrypt.cipher-mode", BLOCK_IMAGE_OPT_STRING, "Name of encryption cipher mode" },
    { "encrypt.ivgen-alg", BLOCK_IMAGE_OPT_STRING, "Name of IV generator algorithm" },
    { "encrypt.ivgen-hash-alg", BLOCK_IMAGE_OPT_STRING, "Name of IV generator hash algorithm" },
    { "encrypt.hash-alg", BLOCK_IMAGE_OPT_STRING, "Name of encryption hash algorithm" },
    { "encrypt.iter-time", BLOCK_IMAGE_OPT_NUMBER, "Time to spend in PBKDF in milliseconds" },
    { "cluster_size", BLOCK_IMAGE_OPT_SIZE, "qcow2 cluster size", "65536" },
    { "extended_l2", BLOCK_IMAGE_OPT_BOOL, "Extended L2 tables", "off" },
    { "preallocation", BLOCK_IMAGE_OPT_STRING,
      "Preallocation mode (allowed values: off, metadata, falloc, full)" },
    { "compression_type", BLOCK_IMAGE_OPT_STRING,
      "Compression method used for image cluster compression", "zlib" },
    { "size", BLOCK_IMAGE_OPT_SIZE, "Virtual disk size" },
    { "compat", BLOCK_IMAGE_OPT_STRING, "Compatibility level (v2 [0.10] or v3 [1.1])" },
    { "backing_file", BLOCK_IMAGE_OPT_STRING, "File name of a base image" },
    { "backing_fmt", BLOCK_IMAGE_OPT_STRING, "Image format of the base image" },
    { "data_file", BLOCK_IMAGE_OPT_STRING, "File name of an external data file" },
    { "data_file_raw", BLOCK_IMAGE_OPT_BOOL, "The external data file must stay valid as a raw image" },
    { "lazy_refcounts", BLOCK_IMAGE_OPT_BOOL, "Postpone refcount updates", "off" },
    { "refcount_bits", BLOCK_IMAGE_OPT_NUMBER, "Width of a reference count entry in bits", "16" },
    { NULL }
};

/* ---- what is asked for ---- */

bool qcow2_valid_cluster_size(uint64_t bytes, bool extended_l2, Error **errp)
{
    if (bytes < BIT(QCOW2_MIN_CLUSTER_BITS) || bytes > BIT(QCOW2_MAX_CLUSTER_BITS) ||
        !IS_POWER_OF_2(bytes)) {
        error_setg(errp, "Cluster size must be a power of two between %d and %dk",
                   1 << QCOW2_MIN_CLUSTER_BITS, 1 << (QCOW2_MAX_CLUSTER_BITS - 10));
        return false;
    }
    if (extended_l2 && bytes < 16 * KIB) {
        error_setg(errp, "Extended L2 entries are only supported with cluster sizes of at least "
                   "16384 bytes");
        return false;
    }
    return true;
}

bool qcow2_valid_refcount_bits(int64_t bits, uint32_t version, Error **errp)
{
    if (bits < 1 || bits > 64 || !IS_POWER_OF_2(bits)) {
        error_setg(errp, "Refcount width must be a power of two and may not exceed 64 bits");
        return false;
    }
    if (version < 3 && bits != 16) {
        error_setg(errp, "Different refcount widths than 16 bits require compatibility level 1.1 "
                   "or above (use version=v3 or greater)");
        return false;
    }
    return true;
}

static bool check_version(const Qcow2CreateParams *p, Error **errp)
{
    const char *what = NULL;

    if (p->version >= 3) {
        return true;
    }
    if (p->extended_l2) {
        what = "Extended L2 entries are";
    } else if (p->lazy_refcounts) {
        what = "Lazy refcounts";
    } else if (p->data_file) {
        what = "External data files are";
    } else if (p->compression != QCOW2_COMPRESSION_TYPE_ZLIB) {
        what = "Non-zlib compression type is";
    }
    if (what) {
        error_setg(errp, "%s only supported with compatibility level 1.1 and above (use "
                   "version=v3 or greater)", what);
    }
    return !what;
}

static bool check_params(const Qcow2CreateParams *p, Error **errp)
{
    uint64_t entries;
    unsigned shift;

    if (p->size % 512) {
        error_setg(errp, "Image size must be a multiple of 512 bytes");
        return false;
    }
    if (!qcow2_valid_cluster_size(p->cluster_size, p->extended_l2, errp)) {
        return false;
    }
    if (p->backing_file && p->preallocation != PREALLOC_MODE_OFF && !p->extended_l2) {
        error_setg(errp, "Backing file and preallocation can only be used at the same time if "
                   "extended_l2 is on");
        return false;
    }
    if (p->backing_fmt && !p->backing_file) {
        error_setg(errp, "Backing format cannot be used without backing file");
        return false;
    }
    if (!check_version(p, errp) || !qcow2_valid_refcount_bits(p->refcount_bits, p->version, errp)) {
        return false;
    }
    if (p->data_file_raw && !p->data_file) {
        error_setg(errp, "data-file-raw requires data-file");
        return false;
    }
    if (p->data_file_raw && p->backing_file) {
        error_setg(errp, "Backing file and data-file-raw cannot be used at the same time");
        return false;
    }
    shift = __builtin_ctzll(p->cluster_size) * 2 - (p->extended_l2 ? 4 : 3);
    entries = (p->size >> shift) + !!(p->size & (BIT(shift) - 1));
    if (entries > QCOW2_MAX_L1_BYTES / 8) {
        error_setg(errp, "The image size is too large for file format 'qcow2' (try using a larger "
                   "cluster size)");
        return false;
    }
    return true;
}

/* ---- steps on the main thread ---- */

typedef struct MainWork {
    void (*fn)(void *opaque);
    void *opaque;
    Coroutine *co;
} MainWork;

static void main_entry(void *opaque)
{
    MainWork *w = opaque;

    w->fn(w->opaque);
    coroutine_wake(w->co);
}

void coroutine_fn qcow2_co_on_main(void (*fn)(void *opaque), void *opaque)
{
    MainWork w = { .fn = fn, .opaque = opaque, .co = coroutine_self() };

    event_loop_run_soon(event_loop_main(), main_entry, &w);
    coroutine_yield();
}

typedef struct Creation {
    const Qcow2CreateParams *p;
    BlockNode *file, *data_file;
    BlockNode *bn;              /* the image */
    BlockBackend *blk;          /* its user */
    Error *err;
} Creation;

/* Header, refcount table and one block, so that the driver can open the image. */
static bool write_start(Creation *c)
{
    const Qcow2CreateParams *p = c->p;
    BlockBackend *blk = blk_new(c->file->loop, BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE,
                                BLOCK_PERM_ALL);
    g_autofree uint8_t *buf = g_malloc0(p->cluster_size * 3);
    int ret = 0;

    if (!blk_insert(blk, c->file, &c->err)) {
        blk_unref(blk);
        return false;
    }
    store_be32(buf, QCOW2_MAGIC);
    store_be32(buf + 4, p->version);
    store_be32(buf + 20, __builtin_ctzll(p->cluster_size));
    store_be64(buf + 48, p->cluster_size);
    store_be32(buf + 56, 1);
    store_be64(buf + 72, (p->data_file ? QCOW2_INCOMPAT_DATA_FILE : 0) |
                         (p->compression ? QCOW2_INCOMPAT_COMPRESSION : 0) |
                         (p->extended_l2 ? QCOW2_INCOMPAT_EXTL2 : 0));
    store_be64(buf + 80, p->lazy_refcounts ? QCOW2_COMPAT_LAZY_REFCOUNTS : 0);
    store_be64(buf + 88, p->data_file_raw ? QCOW2_AUTOCLEAR_DATA_FILE_RAW : 0);
    store_be32(buf + 96, __builtin_ctz(p->refcount_bits));
    store_be32(buf + 100, p->version >= 3 ? QCOW2_V3_HEADER_SIZE : QCOW2_V2_HEADER_SIZE);
    buf[104] = p->compression;
    if (p->version < 3) {
        memset(buf + 72, 0, 40);
    }
    store_be64(buf + p->cluster_size, 2 * p->cluster_size);
    if (!blk_make_room(blk, 0, PREALLOC_MODE_OFF, &c->err)) {
        ret = -EIO;
    } else {
        ret = blk_pwrite(blk, 0, p->cluster_size * 3, buf, 0);
        if (ret < 0) {
            error_setg_errno(&c->err, -ret, "Could not write qcow2 header");
        }
    }
    blk_unref(blk);
    return ret == 0;
}

static void open_step(void *opaque)
{
    Creation *c = opaque;
    JsonValue *o;

    if (!write_start(c)) {
        return;
    }
    o = json_object();
    json_object_set_string(o, "driver", "qcow2");
    json_object_set_string(o, "file", c->file->node_name);
    if (c->data_file) {
        json_object_set_string(o, "data-file", c->data_file->node_name);
    }
    c->bn = block_open(NULL, o, BLOCK_OPEN_RDWR | BLOCK_OPEN_NO_FLUSH | BLOCK_OPEN_NO_BACKING,
                       &c->err);
    if (!c->bn) {
        return;
    }
    c->blk = blk_new(c->bn->loop, BLOCK_PERM_ALL, BLOCK_PERM_ALL);
    if (!blk_insert(c->blk, c->bn, &c->err)) {
        return;
    }
}

static void close_step(void *opaque)
{
    Creation *c = opaque;

    if (c->blk) {
        blk_unref(c->blk);
    }
    block_node_unref(c->bn);
}

/* ---- on the opened image ---- */

static int coroutine_fn fill_image(Creation *c, Error **errp)
{
    const Qcow2CreateParams *p = c->p;
    BlockNode *bn = c->bn;
    Qcow2State *s = qcow2_state(bn);
    int64_t offset;
    int ret = 0;

    co_mutex_lock(&s->lock);
    offset = qcow2_alloc_clusters(bn, 3 * p->cluster_size);
    if (offset != 0) {
        ret = offset < 0 ? offset : -EIO;
        error_setg_errno(errp, -ret, "Could not allocate clusters for qcow2 header and refcount "
                         "table");
        goto out;
    }
    if (p->data_file) {
        s->data_file_name = g_strdup(p->data_file_name);
    }
    ret = qcow2_write_header(bn);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not update qcow2 header");
        goto out;
    }
    ret = qcow2_truncate(bn, p->size, false, p->preallocation, errp);
    if (ret < 0) {
        error_prepend(errp, "Could not resize image: ");
        goto out;
    }
    if (p->backing_file) {
        g_free(bn->backing_file);
        g_free(bn->backing_format);
        bn->backing_file = g_strdup(p->backing_file);
        bn->backing_format = g_strdup(p->backing_fmt);
        ret = qcow2_write_header(bn);
        if (ret < 0) {
            error_setg_errno(errp, -ret, "Could not assign backing file '%s' with format '%s'",
                             p->backing_file, p->backing_fmt ? p->backing_fmt : "");
        }
    }
out:
    co_mutex_unlock(&s->lock);
    return ret;
}

int coroutine_fn qcow2_create_image(const Qcow2CreateParams *p, BlockNode *file,
                                    BlockNode *data_file, Error **errp)
{
    Creation c = { .p = p, .file = file, .data_file = data_file };
    int ret = -EINVAL;

    qcow2_co_on_main(open_step, &c);
    if (!c.err) {
        ret = fill_image(&c, &c.err);
        if (ret == 0 && p->encrypt) {
            ret = qcow2_crypto_create(c.bn, p->encrypt, &c.err) ? 0 : -EIO;
        }
        if (ret == 0) {
            ret = block_co_flush(c.bn);
            if (ret < 0) {
                error_setg_errno(&c.err, -ret, "Could not flush the new image");
            }
        }
    }
    qcow2_co_on_main(close_step, &c);
    if (ret == 0) {
        ret = block_co_flush(file);
        if (ret < 0) {
            error_setg_errno(&c.err, -ret, "Could not flush the new image");
        }
    }
    error_propagate(errp, c.err);
    return ret;
}

/* ---- files that were opened for it ---- */

typedef struct DropWork {
    BlockNode *file, *data_file;
    bool failed;
} DropWork;

static void drop_step(void *opaque)
{
    DropWork *w = opaque;
    g_autofree char *name = w->file ? g_strdup(w->file->exact_filename) : NULL;
    bool is_file = w->file && !strcmp(w->file->drv->name, "file");

    block_node_unref(w->data_file);
    block_node_unref(w->file);
    if (w->failed && is_file && name) {
        /* Nothing half-made stays. */
        unlink(name);
    }
}

/* ---- from blockdev-create ---- */

int coroutine_fn qcow2_co_create(const BlockdevCreateOptions *options, Error **errp)
{
    const BlockdevCreateOptionsQcow2 *o = &options->u.qcow2;
    DropWork w = { .file = block_co_open_ref(o->file, errp) };
    int ret = -EINVAL;
    Qcow2CreateParams p = {
        .size = o->size,
        .version = o->has_version && o->version == BLOCKDEV_QCOW2_VERSION_V2 ? 2 : 3,
        .cluster_size = o->has_cluster_size ? o->cluster_size : 65536,
        .refcount_bits = o->has_refcount_bits ? o->refcount_bits : 16,
        .extended_l2 = o->has_extended_l2 && o->extended_l2,
        .lazy_refcounts = o->has_lazy_refcounts && o->lazy_refcounts,
        .data_file_raw = o->has_data_file_raw && o->data_file_raw,
        .data_file = o->data_file,
        .compression = o->has_compression_type ? o->compression_type : 0,
        .preallocation = o->has_preallocation ? o->preallocation : PREALLOC_MODE_OFF,
        .backing_file = o->backing_file,
        .backing_fmt = o->has_backing_fmt ? BlockdevDriver_str(o->backing_fmt) : NULL,
        .encrypt = o->encrypt,
    };

    if (w.file && o->data_file) {
        w.data_file = block_co_open_ref(o->data_file, errp);
        p.data_file_name = w.data_file ? w.data_file->filename : NULL;
    }
    if (w.file && !w.data_file == !o->data_file && check_params(&p, errp) &&
        qcow2_compression_usable(p.compression, errp)) {
        ret = qcow2_create_image(&p, w.file, w.data_file, errp);
    }
    qcow2_co_on_main(drop_step, &w);
    return ret;
}

/* ---- from "-o" ---- */

static bool take_text(JsonValue *o, const char *name, char **value, Error **errp)
{
    return block_option_take_string(o, name, value, errp);
}

/* Enumerations have one name as options and another one in messages. */
static bool take_word(JsonValue *o, const char *name, const char *told, const QapiEnum *e,
                      int *value, Error **errp)
{
    g_autofree char *text = NULL;

    if (!take_text(o, name, &text, errp)) {
        return false;
    }
    if (text) {
        *value = qapi_enum_parse(e, text, told, errp);
    }
    return !text || *value >= 0;
}

static bool take_version(JsonValue *o, uint32_t *version, Error **errp)
{
    g_autofree char *text = NULL;

    if (!take_text(o, "compat", &text, errp)) {
        return false;
    }
    if (!text || !strcmp(text, "1.1") || !strcmp(text, "v3")) {
        *version = 3;
        return true;
    }
    *version = 2;
    if (strcmp(text, "0.10") && strcmp(text, "v2")) {
        error_setg(errp, "Parameter 'version' does not accept value '%s'", text);
        return false;
    }
    return true;
}

typedef struct OptionTexts {
    char *backing_file, *backing_fmt, *data_file;
    QCryptoBlockCreateOptions *encrypt;
} OptionTexts;

static bool take_options(JsonValue *o, Qcow2CreateParams *p, OptionTexts *t, Error **errp)
{
    int compression = QCOW2_COMPRESSION_TYPE_ZLIB, prealloc = PREALLOC_MODE_OFF;
    uint64_t bits = 16;

    if (!take_version(o, &p->version, errp) ||
        !block_option_take_size(o, "size", &p->size, NULL, errp) ||
        !block_option_take_size(o, "cluster_size", &p->cluster_size, NULL, errp) ||
        !block_option_take_size(o, "refcount_bits", &bits, NULL, errp) ||
        !block_option_take_bool(o, "extended_l2", &p->extended_l2, errp) ||
        !block_option_take_bool(o, "lazy_refcounts", &p->lazy_refcounts, errp) ||
        !block_option_take_bool(o, "data_file_raw", &p->data_file_raw, errp) ||
        !take_text(o, "backing_file", &t->backing_file, errp) ||
        !take_text(o, "backing_fmt", &t->backing_fmt, errp) ||
        !take_text(o, "data_file", &t->data_file, errp) ||
        !take_word(o, "compression_type", "compression-type", &qapi_enum_Qcow2CompressionType,
                   &compression, errp) ||
        !take_word(o, "preallocation", "preallocation", &qapi_enum_PreallocMode, &prealloc,
                   errp) ||
        !qcow2_crypto_take_create(o, &t->encrypt, errp)) {
        return false;
    }
    p->size = ROUND_UP(p->size, 512);
    p->refcount_bits = MIN(bits, 1u << 30);
    p->compression = compression;
    p->preallocation = prealloc;
    p->backing_file = t->backing_file && *t->backing_file ? t->backing_file : NULL;
    p->backing_fmt = t->backing_fmt;
    p->data_file = t->data_file;
    p->data_file_name = t->data_file;
    p->encrypt = t->encrypt;
    return check_params(p, errp) && qcow2_compression_usable(p->compression, errp);
}

int coroutine_fn qcow2_co_create_opts(const BlockDriver *drv, const char *filename,
                                      JsonValue *options, Error **errp)
{
    Qcow2CreateParams p = { .cluster_size = 65536 };
    OptionTexts t = { 0 };
    DropWork w = { 0 };
    int ret = -EINVAL;

    if (!take_options(options, &p, &t, errp)) {
        goto out;
    }
    w.file = block_co_create_file(filename, options, errp);
    if (!w.file) {
        goto out;
    }
    if (t.data_file) {
        g_autoptr(JsonValue) none = json_object();

        if (block_co_create_protocol(t.data_file, none, errp) < 0) {
            goto out;
        }
        w.data_file = block_co_open_file(t.data_file, errp);
        if (!w.data_file) {
            goto out;
        }
    }
    ret = qcow2_create_image(&p, w.file, w.data_file, errp);
out:
    w.failed = ret < 0;
    qcow2_co_on_main(drop_step, &w);
    g_free(t.backing_file);
    g_free(t.backing_fmt);
    g_free(t.data_file);
    qapi_free_QCryptoBlockCreateOptions(t.encrypt);
    return ret;
}
