/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The luks format: a disk encrypted with LUKS version 1. The encryption itself is
 * in crypto/; here are the node, its options, and the way of the header to the
 * file, or to a file of its own (detached header).
 *
 * Opens on the main thread, runs on the node's loop. The header is not trusted.
 */
#include "util/osdep.h"
#include "block/block-int.h"
#include "block/image.h"
#include "block/options.h"
#include "crypto/block.h"

/* Requests are done in pieces, so that memory does not grow with them. */
#define BOUNCE_MAX (1024 * 1024)

typedef struct LuksState {
    CryptoBlock *crypto;
    BlockChild *header;         /* a detached one, or NULL */
    bool updating_keys;
} LuksState;

/* ---- the header, on the main thread and outside coroutines ---- */

static bool header_read(void *opaque, uint64_t offset, void *buf, size_t len, Error **errp)
{
    BlockChild *c = opaque;
    int ret = offset + len > (uint64_t)c->node->total_bytes ? -EIO : block_pread(c, offset, len, buf, 0);

    if (ret < 0) {
        error_setg_errno(errp, -ret, "Unable to read encryption header");
    }
    return ret >= 0;
}

static bool header_write(void *opaque, uint64_t offset, const void *buf, size_t len, Error **errp)
{
    BlockChild *c = opaque;
    int ret = block_pwrite(c, offset, len, buf, 0);

    if (ret >= 0) {
        /* The order of writes matters when key slots change. */
        ret = block_flush(c->node);
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Unable to write encryption header");
    }
    return ret >= 0;
}

static const CryptoBlockHeaderIo header_io = { .read = header_read, .write = header_write };

/* ---- open ---- */

static bool luks_node_open(BlockNode *bn, JsonValue *options, Error **errp)
{
    LuksState *s = bn->opaque;
    g_autofree char *secret = NULL;
    QCryptoBlockOpenOptions o = { .format = Q_CRYPTO_BLOCK_FORMAT_LUKS };

    if (!block_option_take_string(options, "key-secret", &secret, errp)) {
        return false;
    }
    if (!block_child_open(bn, NULL, options, "file", BLOCK_ROLE_DATA | BLOCK_ROLE_METADATA | BLOCK_ROLE_PRIMARY,
                          false, errp)) {
        return false;
    }
    if (json_object_has(options, "header")) {
        s->header = block_child_open(bn, NULL, options, "header", BLOCK_ROLE_METADATA, false, errp);
        if (!s->header) {
            return false;
        }
    }
    o.u.luks.key_secret = secret;
    s->crypto = crypto_block_open(&o, "", &header_io, s->header ? s->header : bn->file,
                                  bn->open_flags & BLOCK_OPEN_NO_IO ? CRYPTO_BLOCK_NO_IO : 0, errp);
    if (!s->crypto) {
        return false;
    }
    bn->encrypted = true;
    bn->supported_write_flags = BLOCK_REQ_FUA & bn->file->node->supported_write_flags;
    return true;
}

static void luks_close(BlockNode *bn)
{
    LuksState *s = bn->opaque;

    g_clear_pointer(&s->crypto, crypto_block_free);
}

/* Like raw, but for changes of keys. */
static void luks_child_perm(BlockNode *bn, BlockChild *c, unsigned role, uint64_t perm, uint64_t shared,
                            uint64_t *nperm, uint64_t *nshared)
{
    LuksState *s = bn->opaque;
    bool is_header = s->header ? c == s->header : c == bn->file;

    *nperm = perm;
    *nshared = shared & ~(uint64_t)BLOCK_PERM_RESIZE;
    if (perm & (BLOCK_PERM_WRITE | BLOCK_PERM_WRITE_UNCHANGED)) {
        *nperm |= BLOCK_PERM_WRITE;
    }
    if (!(bn->open_flags & BLOCK_OPEN_NO_IO)) {
        *nperm |= BLOCK_PERM_CONSISTENT_READ;
    }
    if (c == s->header) {
        *nperm &= ~(uint64_t)(BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE);
    }
    if (is_header && s->updating_keys) {
        *nperm |= BLOCK_PERM_WRITE;
        *nshared &= ~(uint64_t)BLOCK_PERM_WRITE;
    }
}

static int64_t luks_length(BlockNode *bn)
{
    LuksState *s = bn->opaque;
    int64_t len = bn->file->node->total_bytes;
    int64_t payload = crypto_block_payload_offset(s->crypto);

    return len >= payload ? len - payload : -EIO;
}

static void luks_refresh_limits(BlockNode *bn)
{
    LuksState *s = bn->opaque;
    uint32_t sector = crypto_block_sector_size(s->crypto);

    bn->limits.request_alignment = MAX(bn->limits.request_alignment, sector);
    /* Zeroes are not zeroes below. */
    bn->limits.max_write_zeroes = 0;
    bn->limits.write_zeroes_alignment = 0;
}

/* ---- I/O ---- */

static int coroutine_fn luks_co_preadv(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v, size_t v_offset,
                                       unsigned flags)
{
    LuksState *s = bn->opaque;
    int64_t payload = crypto_block_payload_offset(s->crypto);
    size_t chunk = MIN(bytes, BOUNCE_MAX);
    uint8_t *bounce = block_buffer_alloc(bn->file->node, chunk);
    int ret = bounce ? 0 : -ENOMEM;

    for (int64_t done = 0; ret >= 0 && done < bytes; done += chunk) {
        chunk = MIN(bytes - done, (int64_t)chunk);
        ret = block_co_pread(bn->file, payload + offset + done, chunk, bounce, 0);
        if (ret >= 0 && !crypto_block_decrypt(s->crypto, offset + done, bounce, chunk, NULL)) {
            ret = -EIO;
        }
        if (ret >= 0) {
            iov_from_buf(v->iov, v->cnt, v_offset + done, bounce, chunk);
        }
    }
    block_buffer_free(bounce);
    return ret < 0 ? ret : 0;
}

static int coroutine_fn luks_co_pwritev(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v, size_t v_offset,
                                        unsigned flags)
{
    LuksState *s = bn->opaque;
    int64_t payload = crypto_block_payload_offset(s->crypto);
    size_t chunk = MIN(bytes, BOUNCE_MAX);
    uint8_t *bounce = block_buffer_alloc(bn->file->node, chunk);
    int ret = bounce ? 0 : -ENOMEM;

    for (int64_t done = 0; ret >= 0 && done < bytes; done += chunk) {
        chunk = MIN(bytes - done, (int64_t)chunk);
        iov_to_buf(v->iov, v->cnt, v_offset + done, bounce, chunk);
        if (!crypto_block_encrypt(s->crypto, offset + done, bounce, chunk, NULL)) {
            ret = -EIO;
        } else {
            ret = block_co_pwrite(bn->file, payload + offset + done, chunk, bounce, flags);
        }
    }
    block_buffer_free(bounce);
    return ret < 0 ? ret : 0;
}

static int coroutine_fn luks_co_truncate(BlockNode *bn, int64_t size, bool exact, PreallocMode prealloc,
                                         unsigned flags, Error **errp)
{
    LuksState *s = bn->opaque;
    int64_t payload = crypto_block_payload_offset(s->crypto);

    if (size > BLOCK_MAX_LENGTH - payload) {
        error_setg(errp, "The requested file size is too large");
        return -EFBIG;
    }
    return block_co_truncate(bn->file, size + payload, exact, prealloc, 0, errp);
}

/* ---- what must not run in a coroutine ---- */

typedef struct MainStep {
    EventLoopFunc *fn;
    void *opaque;
    Coroutine *co;
} MainStep;

static void run_step(void *opaque)
{
    MainStep *step = opaque;

    step->fn(step->opaque);
    coroutine_wake(step->co);
}

/* Key derivation asks for secrets and waits for the header, on the main thread. */
static void coroutine_fn co_on_main(EventLoopFunc *fn, void *opaque)
{
    MainStep step = { fn, opaque, coroutine_self() };

    event_loop_run_soon(event_loop_main(), run_step, &step);
    coroutine_yield();
}

/* ---- create ---- */

typedef struct CreateWork {
    BlockNode *bn;
    BlockBackend *blk;
    QCryptoBlockCreateOptions options;
    uint64_t size;
    PreallocMode prealloc;
    bool ok;
    Error *err;
} CreateWork;

static bool create_read(void *opaque, uint64_t offset, void *buf, size_t len, Error **errp)
{
    return header_read(((CreateWork *)opaque)->blk->root, offset, buf, len, errp);
}

static bool create_write(void *opaque, uint64_t offset, const void *buf, size_t len, Error **errp)
{
    CreateWork *w = opaque;
    int ret = blk_pwrite(w->blk, offset, len, buf, 0);

    if (ret < 0) {
        error_setg_errno(errp, -ret, "Unable to write encryption header");
    }
    return ret >= 0;
}

static bool create_make_room(void *opaque, uint64_t header_len, Error **errp)
{
    CreateWork *w = opaque;

    if (w->size > BLOCK_MAX_LENGTH - header_len) {
        error_setg(errp, "The requested file size is too large");
        return false;
    }
    return blk_make_room(w->blk, header_len + w->size, w->prealloc, errp);
}

static const CryptoBlockHeaderIo create_io = {
    .read = create_read,
    .write = create_write,
    .make_room = create_make_room,
};

/* On the main thread: nodes are attached, drained and closed here. Drops the reference to w->bn. */
static void create_step(void *opaque)
{
    CreateWork *w = opaque;
    CryptoBlock *crypto = NULL;
    int ret;

    w->blk = blk_new(w->bn->loop, BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE | BLOCK_PERM_CONSISTENT_READ, BLOCK_PERM_ALL);
    if (blk_insert(w->blk, w->bn, &w->err)) {
        crypto = crypto_block_create(&w->options, "", &create_io, w, 0, &w->err);
    }
    if (crypto) {
        ret = blk_flush(w->blk);
        w->ok = ret >= 0;
        if (ret < 0) {
            error_setg_errno(&w->err, -ret, "Unable to write the image");
        }
    }
    crypto_block_free(crypto);
    blk_unref(w->blk);
    block_node_unref(w->bn);
}

/* Takes over the reference to @bn. */
static int coroutine_fn create_on(BlockNode *bn, CreateWork *w, Error **errp)
{
    w->bn = bn;
    co_on_main(create_step, w);
    error_propagate(errp, w->err);
    return w->ok ? 0 : -EIO;
}

static const BlockImageOption luks_create_options[] = {
    { "size", BLOCK_IMAGE_OPT_SIZE, "Virtual disk size", NULL },
    { "key-secret", BLOCK_IMAGE_OPT_STRING, "ID of the secret that provides the keyslot passphrase", NULL },
    { "cipher-alg", BLOCK_IMAGE_OPT_STRING, "Name of encryption cipher algorithm", NULL },
    { "cipher-mode", BLOCK_IMAGE_OPT_STRING, "Name of encryption cipher mode", NULL },
    { "ivgen-alg", BLOCK_IMAGE_OPT_STRING, "Name of IV generator algorithm", NULL },
    { "ivgen-hash-alg", BLOCK_IMAGE_OPT_STRING, "Name of IV generator hash algorithm", NULL },
    { "hash-alg", BLOCK_IMAGE_OPT_STRING, "Name of encryption hash algorithm", NULL },
    { "iter-time", BLOCK_IMAGE_OPT_NUMBER, "Time to spend in PBKDF in milliseconds", NULL },
    { NULL },
};

static const BlockImageOption luks_amend_options[] = {
    { "state", BLOCK_IMAGE_OPT_STRING, "Select new state of affected keyslots (active/inactive)", NULL },
    { "keyslot", BLOCK_IMAGE_OPT_NUMBER, "Select a single keyslot to modify explicitly", NULL },
    { "old-secret", BLOCK_IMAGE_OPT_STRING, "Select all keyslots that match this password", NULL },
    { "new-secret", BLOCK_IMAGE_OPT_STRING, "New secret to set in the matching keyslots. Empty string to erase", NULL },
    { "iter-time", BLOCK_IMAGE_OPT_NUMBER, "Time to spend in PBKDF in milliseconds", NULL },
    { NULL },
};

/* What the table knows (but not "size") out of @options, as a member of a union with "format". */
static JsonValue *take_table(JsonValue *options, const BlockImageOption *table)
{
    JsonValue *o = json_object();

    json_object_set_string(o, "format", "luks");
    for (; table->name; table++) {
        JsonValue *v = json_object_get(options, table->name);

        if (v && strcmp(table->name, "size") != 0) {
            json_object_set_take(o, table->name, json_ref(v));
            json_object_remove(options, table->name);
        }
    }
    return o;
}

static int coroutine_fn luks_co_create_opts(const BlockDriver *drv, const char *filename, JsonValue *options,
                                            Error **errp)
{
    g_autoptr(JsonValue) own = take_table(options, luks_create_options);
    g_autoptr(QCryptoBlockCreateOptions) o = qapi_decode(&qapi_type_QCryptoBlockCreateOptions, own, errp);
    int prealloc = PREALLOC_MODE_OFF;
    CreateWork w = { 0 };
    BlockNode *bn;

    if (!o || !block_option_take_size(options, "size", &w.size, NULL, errp) ||
        !block_option_take_enum(options, "preallocation", &qapi_enum_PreallocMode, &prealloc, errp)) {
        return -EINVAL;
    }
    w.size = ROUND_UP(MIN(w.size, BLOCK_MAX_LENGTH), 512);
    bn = block_co_create_file(filename, options, errp);
    if (!bn) {
        return -EIO;
    }
    w.options = *o;
    w.prealloc = prealloc;
    return create_on(bn, &w, errp);
}

static int coroutine_fn luks_co_create(const BlockdevCreateOptions *options, Error **errp)
{
    const BlockdevCreateOptionsLUKS *o = &options->u.luks;
    BlockNode *bn;
    CreateWork w = {
        .size = o->size,
        .prealloc = o->has_preallocation ? o->preallocation : PREALLOC_MODE_OFF,
        .options = {
            .format = Q_CRYPTO_BLOCK_FORMAT_LUKS,
            .u.luks = {
                .key_secret = o->key_secret,
                .has_cipher_alg = o->has_cipher_alg, .cipher_alg = o->cipher_alg,
                .has_cipher_mode = o->has_cipher_mode, .cipher_mode = o->cipher_mode,
                .has_ivgen_alg = o->has_ivgen_alg, .ivgen_alg = o->ivgen_alg,
                .has_ivgen_hash_alg = o->has_ivgen_hash_alg, .ivgen_hash_alg = o->ivgen_hash_alg,
                .has_hash_alg = o->has_hash_alg, .hash_alg = o->hash_alg,
                .has_iter_time = o->has_iter_time, .iter_time = o->iter_time,
            },
        },
    };

    bn = block_co_open_ref(o->file, errp);
    return bn ? create_on(bn, &w, errp) : -EIO;
}

static int luks_image_info(BlockNode *bn, BlockImageInfo *info)
{
    return block_image_info(bn->file->node, info);
}

static BlockMeasureInfo *luks_measure(JsonValue *options, BlockNode *in, Error **errp)
{
    g_autoptr(JsonValue) own = take_table(options, luks_create_options);
    g_autoptr(QCryptoBlockCreateOptions) o = qapi_decode(&qapi_type_QCryptoBlockCreateOptions, own, errp);
    uint64_t size = in ? in->total_bytes : 0, header;
    BlockMeasureInfo *info;

    if (!o || !block_option_take_size(options, "size", &size, NULL, errp) ||
        !crypto_block_header_len(o, "", &header, errp)) {
        return NULL;
    }
    info = g_new0(BlockMeasureInfo, 1);
    info->required = info->fully_allocated = ROUND_UP(MIN(size, BLOCK_MAX_LENGTH - header), 512) + header;
    return info;
}

/* ---- amend, info ---- */

typedef struct AmendWork {
    BlockNode *bn;
    const QCryptoBlockAmendOptions *options;
    bool force, ok;
    Error *err;
} AmendWork;

static void amend_step(void *opaque)
{
    AmendWork *w = opaque;
    LuksState *s = w->bn->opaque;

    if (w->bn->read_only) {
        error_setg(&w->err, "Cannot change the keys of a read-only image");
        return;
    }
    s->updating_keys = true;
    w->ok = block_perm_refresh(w->bn, &w->err) &&
            crypto_block_amend(s->crypto, w->options, &header_io, s->header ? s->header : w->bn->file, w->force,
                               &w->err);
    s->updating_keys = false;
    block_perm_relax(w->bn);
}

static int coroutine_fn luks_co_amend(BlockNode *bn, JsonValue *options, BlockProgress *progress, void *opaque,
                                      bool force, Error **errp)
{
    g_autoptr(JsonValue) own = take_table(options, luks_amend_options);
    g_autoptr(QCryptoBlockAmendOptions) o = qapi_decode(&qapi_type_QCryptoBlockAmendOptions, own, errp);
    AmendWork w = { .bn = bn, .options = o, .force = force };

    if (!o) {
        return -EINVAL;
    }
    co_on_main(amend_step, &w);
    error_propagate(errp, w.err);
    return w.ok ? 0 : -EIO;
}

static ImageInfoSpecific *luks_specific_info(BlockNode *bn, Error **errp)
{
    LuksState *s = bn->opaque;
    ImageInfoSpecific *info = g_new0(ImageInfoSpecific, 1);
    QCryptoBlockInfo *crypto = crypto_block_info(s->crypto);

    info->type = IMAGE_INFO_SPECIFIC_KIND_LUKS;
    info->u.luks.data = qapi_clone(&qapi_type_QCryptoBlockInfoLUKS, &crypto->u.luks);
    qapi_free_QCryptoBlockInfo(crypto);
    return info;
}

static const char *const luks_strong_options[] = { "key-secret", NULL };

BLOCK_DRIVER(luks_driver) = {
    .name = "luks",
    .instance_size = sizeof(LuksState),
    .open = luks_node_open,
    .close = luks_close,
    .child_perm = luks_child_perm,
    .length = luks_length,
    .refresh_limits = luks_refresh_limits,
    .co_preadv = luks_co_preadv,
    .co_pwritev = luks_co_pwritev,
    .co_truncate = luks_co_truncate,
    .create_options = luks_create_options,
    .amend_options = luks_amend_options,
    .co_create = luks_co_create,
    .co_create_opts = luks_co_create_opts,
    .co_amend = luks_co_amend,
    .image_info = luks_image_info,
    .specific_info = luks_specific_info,
    .measure = luks_measure,
    .strong_options = luks_strong_options,
};
