/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Encryption of images: sectors, initialisation vectors, keys in use by several
 * threads; and the AES scheme of old qcow images. LUKS is in block-luks.c.
 * See include/crypto/block.h.
 */
#include "util/osdep.h"
#include "crypto/block-internal.h"
#include "crypto/secret.h"
#include "util/bswap.h"

#define QCOW_KEY_LEN 16

/* ---- sectors ---- */

struct SectorKey {
    const SectorCipher *sc;
    CryptoCipher *cipher;
    CryptoCipher *essiv;        /* encrypts sector numbers; NULL: other vectors */
    size_t iv_len, essiv_block;
};

size_t sector_cipher_key_len(const SectorCipher *sc)
{
    return crypto_cipher_key_len(sc->alg) * (sc->mode == Q_CRYPTO_CIPHER_MODE_XTS ? 2 : 1);
}

/* The cipher of @alg's family whose key is as long as a digest, or -1. */
static int essiv_alg(QCryptoCipherAlgorithm alg, size_t key_len)
{
    static const QCryptoCipherAlgorithm families[][2] = {
        { Q_CRYPTO_CIPHER_ALGORITHM_AES_128, Q_CRYPTO_CIPHER_ALGORITHM_AES_256 },
        { Q_CRYPTO_CIPHER_ALGORITHM_SERPENT_128, Q_CRYPTO_CIPHER_ALGORITHM_SERPENT_256 },
        { Q_CRYPTO_CIPHER_ALGORITHM_TWOFISH_128, Q_CRYPTO_CIPHER_ALGORITHM_TWOFISH_256 },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(families); i++) {
        if (alg < families[i][0] || alg > families[i][1]) {
            continue;
        }
        for (int a = families[i][0]; a <= (int)families[i][1]; a++) {
            if (crypto_cipher_key_len(a) == key_len) {
                return a;
            }
        }
        return -1;
    }
    return crypto_cipher_key_len(alg) == key_len ? (int)alg : -1;
}

static bool make_essiv(SectorKey *k, const uint8_t *key, size_t key_len, Error **errp)
{
    QCryptoHashAlgorithm hash = k->sc->ivgen_hash;
    struct iovec iov = { .iov_base = (void *)key, .iov_len = key_len };
    int alg = essiv_alg(k->sc->alg, crypto_hash_len(hash));
    uint8_t salt[CRYPTO_HASH_MAX];

    if (alg < 0) {
        error_setg(errp, "No cipher like '%s' has a key of %zu bytes, as hash '%s' needs it for essiv",
                   QCryptoCipherAlgorithm_str(k->sc->alg), crypto_hash_len(hash), QCryptoHashAlgorithm_str(hash));
        return false;
    }
    if (!crypto_hash(hash, &iov, 1, salt, errp)) {
        return false;
    }
    k->essiv = crypto_cipher_new(alg, Q_CRYPTO_CIPHER_MODE_ECB, salt, crypto_hash_len(hash), errp);
    k->essiv_block = crypto_cipher_block_len(alg);
    crypto_wipe(salt, sizeof(salt));
    return k->essiv != NULL;
}

SectorKey *sector_key_new(const SectorCipher *sc, const uint8_t *key, size_t key_len, Error **errp)
{
    SectorKey *k = g_new0(SectorKey, 1);

    k->sc = sc;
    k->iv_len = crypto_cipher_iv_len(sc->alg, sc->mode);
    k->cipher = crypto_cipher_new(sc->alg, sc->mode, key, key_len, errp);
    if (!k->cipher || (sc->ivgen == Q_CRYPTO_IV_GEN_ALGORITHM_ESSIV && !make_essiv(k, key, key_len, errp))) {
        sector_key_free(k);
        return NULL;
    }
    return k;
}

void sector_key_free(SectorKey *k)
{
    if (k) {
        crypto_cipher_free(k->cipher);
        crypto_cipher_free(k->essiv);
        g_free(k);
    }
}

bool sector_key_run(SectorKey *k, bool encrypt, uint64_t sector, uint8_t *buf, size_t len, Error **errp)
{
    uint8_t iv[16];

    for (; len; sector++, buf += CRYPTO_SECTOR, len -= CRYPTO_SECTOR) {
        memset(iv, 0, sizeof(iv));
        if (k->sc->ivgen == Q_CRYPTO_IV_GEN_ALGORITHM_PLAIN) {
            store_le32(iv, sector);
        } else {
            store_le64(iv, sector);
        }
        if (k->essiv && !crypto_cipher_encrypt(k->essiv, NULL, iv, k->essiv_block, errp)) {
            return false;
        }
        if (!(encrypt ? crypto_cipher_encrypt : crypto_cipher_decrypt)(k->cipher, k->iv_len ? iv : NULL, buf,
                                                                        CRYPTO_SECTOR, errp)) {
            return false;
        }
    }
    return true;
}

/* ---- keys in use ---- */

static void free_key(gpointer k)
{
    sector_key_free(k);
}

bool crypto_block_set_key(CryptoBlock *b, const uint8_t *key, size_t len, Error **errp)
{
    SectorKey *k = sector_key_new(&b->cipher, key, len, errp);

    if (!k) {
        return false;
    }
    memcpy(b->key, key, len);
    b->key_len = len;
    g_ptr_array_add(b->idle, k);
    return true;
}

static bool run(CryptoBlock *b, bool encrypt, uint64_t offset, void *buf, size_t len, Error **errp)
{
    SectorKey *k = NULL;
    bool ok;

    assert(b->key_len && IS_ALIGNED(offset, CRYPTO_SECTOR) && IS_ALIGNED(len, CRYPTO_SECTOR));
    pthread_mutex_lock(&b->lock);
    if (b->idle->len) {
        k = g_ptr_array_steal_index_fast(b->idle, b->idle->len - 1);
    }
    pthread_mutex_unlock(&b->lock);
    if (!k) {
        k = sector_key_new(&b->cipher, b->key, b->key_len, errp);
        if (!k) {
            return false;
        }
    }
    ok = sector_key_run(k, encrypt, offset / CRYPTO_SECTOR, buf, len, errp);
    pthread_mutex_lock(&b->lock);
    g_ptr_array_add(b->idle, k);
    pthread_mutex_unlock(&b->lock);
    return ok;
}

bool crypto_block_encrypt(CryptoBlock *b, uint64_t offset, void *buf, size_t len, Error **errp)
{
    return run(b, true, offset, buf, len, errp);
}

bool crypto_block_decrypt(CryptoBlock *b, uint64_t offset, void *buf, size_t len, Error **errp)
{
    return run(b, false, offset, buf, len, errp);
}

/* ---- qcow ---- */

static bool qcow_open(CryptoBlock *b, const char *secret, const char *prefix, unsigned flags, Error **errp)
{
    uint8_t key[QCOW_KEY_LEN] = { 0 };
    char *password;
    bool ok;

    b->cipher = (SectorCipher) { Q_CRYPTO_CIPHER_ALGORITHM_AES_128, Q_CRYPTO_CIPHER_MODE_CBC,
                                 Q_CRYPTO_IV_GEN_ALGORITHM_PLAIN64, 0 };
    if (flags & CRYPTO_BLOCK_NO_IO) {
        return true;
    }
    if (!secret) {
        error_setg(errp, "Parameter '%skey-secret' is required for cipher", prefix);
        return false;
    }
    password = secret_lookup_utf8(secret, errp);
    if (!password) {
        return false;
    }
    memcpy(key, password, MIN(strlen(password), sizeof(key)));
    secret_free(password, strlen(password));
    ok = crypto_block_set_key(b, key, sizeof(key), errp);
    crypto_wipe(key, sizeof(key));
    return ok;
}

/* ---- all formats ---- */

bool crypto_block_has_format(QCryptoBlockFormat format, const void *buf, size_t len)
{
    return format == Q_CRYPTO_BLOCK_FORMAT_LUKS && luks_has_magic(buf, len);
}

static CryptoBlock *new_block(QCryptoBlockFormat format)
{
    CryptoBlock *b = g_new0(CryptoBlock, 1);

    b->format = format;
    b->idle = g_ptr_array_new_with_free_func(free_key);
    pthread_mutex_init(&b->lock, NULL);
    return b;
}

CryptoBlock *crypto_block_open(const QCryptoBlockOpenOptions *options, const char *prefix,
                               const CryptoBlockHeaderIo *io, void *opaque, unsigned flags, Error **errp)
{
    g_autoptr(CryptoBlock) b = new_block(options->format);
    bool ok;

    if (!(flags & CRYPTO_BLOCK_NO_IO) && !crypto_load(errp)) {
        return NULL;
    }
    if (options->format == Q_CRYPTO_BLOCK_FORMAT_LUKS) {
        ok = luks_open(b, options->u.luks.key_secret, prefix, io, opaque, flags, errp);
    } else {
        ok = qcow_open(b, options->u.qcow.key_secret, prefix, flags, errp);
    }
    return ok ? g_steal_pointer(&b) : NULL;
}

CryptoBlock *crypto_block_create(const QCryptoBlockCreateOptions *options, const char *prefix,
                                 const CryptoBlockHeaderIo *io, void *opaque, unsigned flags, Error **errp)
{
    g_autoptr(CryptoBlock) b = new_block(options->format);
    bool ok;

    if (!crypto_load(errp)) {
        return NULL;
    }
    if (options->format == Q_CRYPTO_BLOCK_FORMAT_LUKS) {
        ok = luks_create(b, &options->u.luks, prefix, io, opaque, flags, errp);
    } else {
        ok = qcow_open(b, options->u.qcow.key_secret, prefix, 0, errp);
    }
    return ok ? g_steal_pointer(&b) : NULL;
}

bool crypto_block_header_len(const QCryptoBlockCreateOptions *options, const char *prefix, uint64_t *len,
                             Error **errp)
{
    *len = 0;
    return options->format != Q_CRYPTO_BLOCK_FORMAT_LUKS || luks_header_len(&options->u.luks, len, errp);
}

bool crypto_block_amend(CryptoBlock *b, const QCryptoBlockAmendOptions *options, const CryptoBlockHeaderIo *io,
                        void *opaque, bool force, Error **errp)
{
    if (options->format != b->format || b->format != Q_CRYPTO_BLOCK_FORMAT_LUKS) {
        error_setg(errp, "Cannot amend encryption format '%s' of an image that has '%s'",
                   QCryptoBlockFormat_str(options->format), QCryptoBlockFormat_str(b->format));
        return false;
    }
    return luks_amend(b, &options->u.luks, io, opaque, force, errp);
}

QCryptoBlockInfo *crypto_block_info(CryptoBlock *b)
{
    QCryptoBlockInfo *info = g_new0(QCryptoBlockInfo, 1);

    info->format = b->format;
    if (b->format == Q_CRYPTO_BLOCK_FORMAT_LUKS) {
        luks_info(b, &info->u.luks);
    }
    return info;
}

void crypto_block_free(CryptoBlock *b)
{
    if (b) {
        g_ptr_array_free(b->idle, TRUE);
        pthread_mutex_destroy(&b->lock);
        crypto_wipe(b->key, sizeof(b->key));
        g_free(b->luks);
        g_free(b->secret);
        g_free(b);
    }
}

uint64_t crypto_block_payload_offset(const CryptoBlock *b)
{
    return b->payload_offset;
}

uint64_t crypto_block_sector_size(const CryptoBlock *b)
{
    return CRYPTO_SECTOR;
}
