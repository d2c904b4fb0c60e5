/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Encrypted qcow2 images: LUKS, whose header lies in clusters of its own and
 * whose initialisation vectors count host offsets, and the AES scheme of old
 * images, which counts guest offsets.
 *
 * Keys and headers: main thread. Data: coroutines on the node's loop; large pieces go
 * to the thread pool.
 */
#include "util/osdep.h"
#include "create.h"
#include "qcow2-crypto.h"
#include "crypto/block.h"
#include "util/thread.h"

#define INLINE_BYTES (16 * KIB)

/* ---- header I/O, from the main thread ---- */

typedef struct HeaderWork {
    BlockNode *bn;
    uint64_t offset;
    void *buf;
    size_t len;
    int ret;
} HeaderWork;

static void coroutine_fn header_read_entry(void *opaque)
{
    HeaderWork *w = opaque;

    w->ret = qcow2_meta_read(w->bn, w->offset, w->buf, w->len);
}

static void coroutine_fn header_write_entry(void *opaque)
{
    HeaderWork *w = opaque;

    w->ret = block_co_pwrite(w->bn->file, w->offset, w->len, w->buf, 0);
}

static void coroutine_fn make_room_entry(void *opaque)
{
    HeaderWork *w = opaque;
    Qcow2State *s = qcow2_state(w->bn);
    uint64_t bytes = ROUND_UP((uint64_t)w->len, (uint64_t)s->cluster_size);
    int64_t offset;

    co_mutex_lock(&s->lock);
    offset = qcow2_alloc_clusters(w->bn, w->len);
    w->ret = offset < 0 ? offset : qcow2_check_overlap(w->bn, 0, offset, bytes, false);
    if (w->ret == 0) {
        w->ret = block_co_pwrite_zeroes(w->bn->file, offset, bytes, 0);
    }
    if (w->ret == 0) {
        s->crypto_header_offset = offset;
        s->crypto_header_bytes = w->len;
    }
    co_mutex_unlock(&s->lock);
}

static bool in_header(const Qcow2State *s, uint64_t offset, size_t len, Error **errp)
{
    if (offset > s->crypto_header_bytes || len > s->crypto_header_bytes - offset) {
        error_setg(errp, "Request for data outside of extension header");
        return false;
    }
    return true;
}

static bool read_luks(void *opaque, uint64_t offset, void *buf, size_t len, Error **errp)
{
    BlockNode *bn = opaque;
    Qcow2State *s = qcow2_state(bn);
    HeaderWork w = { .bn = bn, .offset = s->crypto_header_offset + offset, .buf = buf, .len = len };

    if (!in_header(s, offset, len, errp)) {
        return false;
    }
    block_run_coroutine(bn, header_read_entry, &w);
    if (w.ret < 0) {
        error_setg_errno(errp, -w.ret, "Unable to read encryption header");
    }
    return w.ret == 0;
}

static bool write_luks(void *opaque, uint64_t offset, const void *buf, size_t len, Error **errp)
{
    BlockNode *bn = opaque;
    Qcow2State *s = qcow2_state(bn);
    HeaderWork w = {
        .bn = bn, .offset = s->crypto_header_offset + offset, .buf = (void *)buf, .len = len,
    };

    if (!in_header(s, offset, len, errp)) {
        return false;
    }
    block_run_coroutine(bn, header_write_entry, &w);
    if (w.ret < 0) {
        error_setg_errno(errp, -w.ret, "Unable to write encryption header");
    }
    return w.ret == 0;
}

static bool make_room(void *opaque, uint64_t header_len, Error **errp)
{
    BlockNode *bn = opaque;
    HeaderWork w = { .bn = bn, .len = header_len };

    block_run_coroutine(bn, make_room_entry, &w);
    if (w.ret < 0) {
        error_setg_errno(errp, -w.ret, "Cannot allocate cluster for LUKS header size %" PRIu64,
                         header_len);
    }
    return w.ret == 0;
}

static const CryptoBlockHeaderIo header_io = {
    .read = read_luks,
    .write = write_luks,
    .make_room = make_room,
};

/* ---- open ---- */

/* Takes "encrypt" out of @options. */
static QCryptoBlockOpenOptions *take_open_options(Qcow2State *s, JsonValue *options, Error **errp)
{
    bool luks = s->header.crypt_method == QCOW2_CRYPT_LUKS;
    JsonValue *v = json_object_get(options, "encrypt");
    g_autoptr(JsonValue) o = v ? json_copy(v) : json_object();
    const char *format;

    if (v && json_kind(v) != JSON_OBJECT) {
        error_setg(errp, "Invalid parameter type for 'encrypt', expected: object");
        return NULL;
    }
    json_object_remove(options, "encrypt");
    format = json_object_get_string(o, "format");
    if (format && strcmp(format, luks ? "luks" : "aes")) {
        error_setg(errp, "Header reported '%s' encryption format but options specify '%s'",
                   luks ? "luks" : "aes", format);
        return NULL;
    }
    json_object_set_string(o, "format", luks ? "luks" : "qcow");
    return qapi_decode(&qapi_type_QCryptoBlockOpenOptions, o, errp);
}

bool qcow2_crypto_open(BlockNode *bn, JsonValue *options, Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    QCryptoBlockOpenOptions *o;

    if (s->header.crypt_method == QCOW2_CRYPT_NONE) {
        if (json_object_has(options, "encrypt")) {
            JsonValue *v = json_object_get(options, "encrypt");
            const char *format = json_kind(v) == JSON_OBJECT ? json_object_get_string(v, "format") :
                                                               NULL;

            error_setg(errp, "No encryption in image header, but options specified format '%s'",
                       format ? format : "");
            return false;
        }
        return true;
    }
    o = take_open_options(s, options, errp);
    if (!o) {
        return false;
    }
    s->crypt_physical_offset = s->header.crypt_method == QCOW2_CRYPT_LUKS;
    s->crypto = crypto_block_open(o, "encrypt.", &header_io, bn,
                                  bn->open_flags & BLOCK_OPEN_NO_IO ? CRYPTO_BLOCK_NO_IO : 0, errp);
    qapi_free_QCryptoBlockOpenOptions(o);
    return s->crypto != NULL;
}

void qcow2_crypto_close(Qcow2State *s)
{
    crypto_block_free(s->crypto);
    s->crypto = NULL;
}

uint32_t qcow2_crypto_sector(const Qcow2State *s)
{
    return MAX(crypto_block_sector_size(s->crypto), 512u);
}

ImageInfoSpecificQCow2Encryption *qcow2_crypto_info(BlockNode *bn)
{
    Qcow2State *s = qcow2_state(bn);
    ImageInfoSpecificQCow2Encryption *e;
    QCryptoBlockInfo *info;

    if (s->header.crypt_method == QCOW2_CRYPT_NONE || !s->crypto) {
        return NULL;
    }
    e = g_new0(ImageInfoSpecificQCow2Encryption, 1);
    if (s->header.crypt_method == QCOW2_CRYPT_AES) {
        e->format = BLOCKDEV_QCOW2_ENCRYPTION_FORMAT_AES;
        return e;
    }
    e->format = BLOCKDEV_QCOW2_ENCRYPTION_FORMAT_LUKS;
    info = crypto_block_info(s->crypto);
    if (info) {
        e->u.luks = info->u.luks;
        memset(&info->u.luks, 0, sizeof(info->u.luks));
        qapi_free_QCryptoBlockInfo(info);
    }
    return e;
}

/* ---- create and amend ---- */

/* All "encrypt.*" of flat @options, as one object; NULL: there are none. */
static JsonValue *take_prefixed(JsonValue *options)
{
    JsonValue *o = NULL;
    size_t i = 0;

    while (i < json_object_len(options)) {
        g_autofree char *name = NULL;
        const char *key;
        JsonValue *v;

        json_object_at(options, i, &key, &v);
        if (!g_str_has_prefix(key, "encrypt.")) {
            i++;
            continue;
        }
        o = o ? o : json_object();
        json_object_set_take(o, key + strlen("encrypt."), json_ref(v));
        name = g_strdup(key);
        json_object_remove(options, name);
    }
    return o;
}

bool qcow2_crypto_take_create(JsonValue *options, QCryptoBlockCreateOptions **create, Error **errp)
{
    g_autoptr(JsonValue) o = NULL;
    const char *format;
    bool old_name = false;

    if (!block_option_take_bool(options, "encryption", &old_name, errp)) {
        return false;
    }
    o = take_prefixed(options);
    if (!o && !old_name) {
        return true;
    }
    o = o ? o : json_object();
    format = json_object_get_string(o, "format");
    if (old_name && format) {
        error_setg(errp, "Options encryption and encrypt.format are mutually exclusive");
        return false;
    }
    if (!format && !old_name) {
        error_setg(errp, "Parameter 'encrypt.format' is missing");
        return false;
    }
    /* Its name in the schema is another one. */
    if (old_name || !strcmp(format, "aes")) {
        json_object_set_string(o, "format", "qcow");
    } else if (!strcmp(format, "qcow")) {
        error_setg(errp, "Parameter 'format' does not accept value 'qcow'");
        return false;
    }
    *create = qapi_decode(&qapi_type_QCryptoBlockCreateOptions, o, errp);
    return *create != NULL;
}

typedef struct CreateWork {
    BlockNode *bn;
    const QCryptoBlockCreateOptions *options;
    CryptoBlock *crypto;
    Error *err;
} CreateWork;

static void create_step(void *opaque)
{
    CreateWork *w = opaque;

    w->crypto = crypto_block_create(w->options, "encrypt.", &header_io, w->bn, 0, &w->err);
}

bool coroutine_fn qcow2_crypto_create(BlockNode *bn, const QCryptoBlockCreateOptions *options,
                                      Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    CreateWork w = { .bn = bn, .options = options };
    int ret;

    qcow2_co_on_main(create_step, &w);
    if (!w.crypto) {
        error_propagate(errp, w.err);
        return false;
    }
    co_mutex_lock(&s->lock);
    s->header.crypt_method = options->format == Q_CRYPTO_BLOCK_FORMAT_LUKS ? QCOW2_CRYPT_LUKS :
                                                                            QCOW2_CRYPT_AES;
    s->crypt_physical_offset = s->header.crypt_method == QCOW2_CRYPT_LUKS;
    s->crypto = w.crypto;
    ret = qcow2_write_header(bn);
    co_mutex_unlock(&s->lock);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Cannot write encryption header");
    }
    return ret == 0;
}

bool qcow2_crypto_take_amend(BlockNode *bn, JsonValue *options, QCryptoBlockAmendOptions **amend,
                             Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    g_autoptr(JsonValue) o = take_prefixed(options);

    if (!o) {
        return true;
    }
    if (!s->crypto) {
        error_setg(errp, "Can't amend encryption options - encryption not present");
        return false;
    }
    if (s->header.crypt_method != QCOW2_CRYPT_LUKS) {
        error_setg(errp, "Only LUKS encryption options can be amended for qcow2 with LUKS "
                   "encryption");
        return false;
    }
    json_object_set_string(o, "format", "luks");
    *amend = qapi_decode(&qapi_type_QCryptoBlockAmendOptions, o, errp);
    return *amend != NULL;
}

typedef struct AmendWork {
    BlockNode *bn;
    const QCryptoBlockAmendOptions *options;
    bool force, ok;
    Error *err;
} AmendWork;

static void amend_step(void *opaque)
{
    AmendWork *w = opaque;

    w->ok = crypto_block_amend(qcow2_state(w->bn)->crypto, w->options, &header_io, w->bn, w->force,
                               &w->err);
}

bool coroutine_fn qcow2_crypto_amend(BlockNode *bn, const QCryptoBlockAmendOptions *options,
                                     bool force, Error **errp)
{
    AmendWork w = { .bn = bn, .options = options, .force = force };

    qcow2_co_on_main(amend_step, &w);
    error_propagate(errp, w.err);
    return w.ok;
}

/* ---- data ---- */

typedef struct CryptJob {
    CryptoBlock *crypto;
    uint64_t offset;
    void *buf;
    size_t len;
    bool encrypt;
} CryptJob;

static int crypt_job(void *opaque)
{
    CryptJob *j = opaque;
    bool ok = j->encrypt ? crypto_block_encrypt(j->crypto, j->offset, j->buf, j->len, NULL) :
                           crypto_block_decrypt(j->crypto, j->offset, j->buf, j->len, NULL);

    return ok ? 0 : -EIO;
}

static int coroutine_fn crypt_data(Qcow2State *s, uint64_t host, uint64_t guest, void *buf, size_t len,
                              bool encrypt)
{
    CryptJob j = {
        .crypto = s->crypto, .offset = s->crypt_physical_offset ? host : guest, .buf = buf,
        .len = len, .encrypt = encrypt,
    };

    return len <= INLINE_BYTES ? crypt_job(&j) : thread_pool_co_run(crypt_job, &j);
}

int coroutine_fn qcow2_read_encrypted(BlockNode *bn, uint64_t host, uint64_t guest, int64_t bytes,
                                      IoVector *v, size_t v_offset)
{
    Qcow2State *s = qcow2_state(bn);
    uint8_t *buf = block_buffer_alloc(s->data_file->node, bytes);
    int ret;

    if (!buf) {
        return -ENOMEM;
    }
    block_co_debug_event(bn->file, BLKDEBUG_EVENT_READ_AIO);
    ret = block_co_pread(s->data_file, host, bytes, buf, 0);
    if (ret == 0) {
        ret = crypt_data(s, host, guest, buf, bytes, false);
    }
    if (ret == 0) {
        iov_from_buf(v->iov, v->cnt, v_offset, buf, bytes);
    }
    block_buffer_free(buf);
    return ret;
}

int coroutine_fn qcow2_write_encrypted(BlockNode *bn, uint64_t host, uint64_t guest, int64_t bytes,
                                       IoVector *v, size_t v_offset)
{
    Qcow2State *s = qcow2_state(bn);
    uint8_t *buf = block_buffer_alloc(s->data_file->node, bytes);
    int ret;

    if (!buf) {
        return -ENOMEM;
    }
    iov_to_buf(v->iov, v->cnt, v_offset, buf, bytes);
    ret = crypt_data(s, host, guest, buf, bytes, true);
    if (ret == 0) {
        ret = block_co_pwrite(s->data_file, host, bytes, buf, 0);
    }
    block_buffer_free(buf);
    return ret;
}
