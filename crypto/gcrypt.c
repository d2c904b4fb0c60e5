/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The module "crypto-gcrypt": hashes, HMAC, PBKDF2 (RFC 8018) and ciphers
 * through libgcrypt.
 *
 * Thread: any; a CryptoCipher serves one thread at a time.
 */
#include "util/osdep.h"
#include <gcrypt.h>
#include "crypto/gcrypt-module.h"
#include "util/module.h"

static const int hash_ids[Q_CRYPTO_HASH_ALGORITHM__MAX] = {
    [Q_CRYPTO_HASH_ALGORITHM_MD5] = GCRY_MD_MD5,
    [Q_CRYPTO_HASH_ALGORITHM_SHA1] = GCRY_MD_SHA1,
    [Q_CRYPTO_HASH_ALGORITHM_SHA224] = GCRY_MD_SHA224,
    [Q_CRYPTO_HASH_ALGORITHM_SHA256] = GCRY_MD_SHA256,
    [Q_CRYPTO_HASH_ALGORITHM_SHA384] = GCRY_MD_SHA384,
    [Q_CRYPTO_HASH_ALGORITHM_SHA512] = GCRY_MD_SHA512,
    [Q_CRYPTO_HASH_ALGORITHM_RIPEMD160] = GCRY_MD_RMD160,
};

static const int cipher_ids[Q_CRYPTO_CIPHER_ALGORITHM__MAX] = {
    [Q_CRYPTO_CIPHER_ALGORITHM_AES_128] = GCRY_CIPHER_AES128,
    [Q_CRYPTO_CIPHER_ALGORITHM_AES_192] = GCRY_CIPHER_AES192,
    [Q_CRYPTO_CIPHER_ALGORITHM_AES_256] = GCRY_CIPHER_AES256,
    [Q_CRYPTO_CIPHER_ALGORITHM_DES] = GCRY_CIPHER_DES,
    [Q_CRYPTO_CIPHER_ALGORITHM_3DES] = GCRY_CIPHER_3DES,
    [Q_CRYPTO_CIPHER_ALGORITHM_CAST5_128] = GCRY_CIPHER_CAST5,
    [Q_CRYPTO_CIPHER_ALGORITHM_SERPENT_128] = GCRY_CIPHER_SERPENT128,
    [Q_CRYPTO_CIPHER_ALGORITHM_SERPENT_192] = GCRY_CIPHER_SERPENT192,
    [Q_CRYPTO_CIPHER_ALGORITHM_SERPENT_256] = GCRY_CIPHER_SERPENT256,
    [Q_CRYPTO_CIPHER_ALGORITHM_TWOFISH_128] = GCRY_CIPHER_TWOFISH128,
    /* libgcrypt has no Twofish with 192 bits */
    [Q_CRYPTO_CIPHER_ALGORITHM_TWOFISH_256] = GCRY_CIPHER_TWOFISH,
};

static const int mode_ids[Q_CRYPTO_CIPHER_MODE__MAX] = {
    [Q_CRYPTO_CIPHER_MODE_ECB] = GCRY_CIPHER_MODE_ECB,
    [Q_CRYPTO_CIPHER_MODE_CBC] = GCRY_CIPHER_MODE_CBC,
    [Q_CRYPTO_CIPHER_MODE_XTS] = GCRY_CIPHER_MODE_XTS,
    [Q_CRYPTO_CIPHER_MODE_CTR] = GCRY_CIPHER_MODE_CTR,
};

struct CryptoCipher {
    gcry_cipher_hd_t handle;
    size_t iv_len;
    bool is_ctr;
};

/* The library wants to hear once that it may start. */
static void init_library(void)
{
    static gsize done;

    if (g_once_init_enter(&done)) {
        if (!gcry_control(GCRYCTL_INITIALIZATION_FINISHED_P)) {
            gcry_check_version(NULL);
            gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
            gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
        }
        g_once_init_leave(&done, 1);
    }
}

static bool failed(Error **errp, const char *what, gcry_error_t e)
{
    error_setg(errp, "%s: %s", what, gcry_strerror(e));
    return false;
}

static bool digest(QCryptoHashAlgorithm alg, const void *key, size_t key_len, const struct iovec *iov, unsigned cnt,
                   uint8_t *out, Error **errp)
{
    gcry_md_hd_t md;
    gcry_error_t e;

    init_library();
    e = gcry_md_open(&md, hash_ids[alg], key ? GCRY_MD_FLAG_HMAC : 0);
    if (e) {
        return failed(errp, "Unable to start a hash", e);
    }
    if (key) {
        e = gcry_md_setkey(md, key, key_len);
        if (e) {
            gcry_md_close(md);
            return failed(errp, "Unable to set the key of a hash", e);
        }
    }
    for (unsigned i = 0; i < cnt; i++) {
        gcry_md_write(md, iov[i].iov_base, iov[i].iov_len);
    }
    memcpy(out, gcry_md_read(md, hash_ids[alg]), crypto_hash_len(alg));
    gcry_md_close(md);
    return true;
}

static bool gcrypt_hash(QCryptoHashAlgorithm alg, const struct iovec *iov, unsigned cnt, uint8_t *out, Error **errp)
{
    return digest(alg, NULL, 0, iov, cnt, out, errp);
}

static bool gcrypt_hmac(QCryptoHashAlgorithm alg, const void *key, size_t key_len, const void *data, size_t len,
                        uint8_t *out, Error **errp)
{
    struct iovec iov = { .iov_base = (void *)data, .iov_len = len };

    return digest(alg, key ? key : "", key_len, &iov, 1, out, errp);
}

static bool gcrypt_pbkdf2(QCryptoHashAlgorithm alg, const void *pass, size_t pass_len, const void *salt,
                          size_t salt_len, uint64_t iterations, uint8_t *out, size_t out_len, Error **errp)
{
    gcry_error_t e;

    init_library();
    if (iterations > ULONG_MAX) {
        error_setg(errp, "PBKDF iterations %" PRIu64 " must be less than %lu", iterations, ULONG_MAX);
        return false;
    }
    e = gcry_kdf_derive(pass, pass_len, GCRY_KDF_PBKDF2, hash_ids[alg], salt, salt_len, iterations, out_len, out);
    return e ? failed(errp, "Cannot derive a key from a password", e) : true;
}

static CryptoCipher *gcrypt_cipher_new(QCryptoCipherAlgorithm alg, QCryptoCipherMode mode, const void *key,
                                       size_t key_len, Error **errp)
{
    CryptoCipher *c;
    gcry_cipher_hd_t handle;
    gcry_error_t e;

    init_library();
    e = cipher_ids[alg] ? gcry_cipher_open(&handle, cipher_ids[alg], mode_ids[mode], 0) :
                          gcry_error(GPG_ERR_CIPHER_ALGO);
    if (e) {
        failed(errp, "not supported", e);
        return NULL;
    }
    e = gcry_cipher_setkey(handle, key, key_len);
    if (e) {
        gcry_cipher_close(handle);
        failed(errp, "Cannot set the key of a cipher", e);
        return NULL;
    }
    c = g_new0(CryptoCipher, 1);
    c->handle = handle;
    c->iv_len = crypto_cipher_iv_len(alg, mode);
    c->is_ctr = mode == Q_CRYPTO_CIPHER_MODE_CTR;
    return c;
}

static void gcrypt_cipher_free(CryptoCipher *c)
{
    gcry_cipher_close(c->handle);
    g_free(c);
}

static bool gcrypt_cipher_run(CryptoCipher *c, bool encrypt, const void *iv, void *buf, size_t len, Error **errp)
{
    gcry_error_t e = 0;

    if (c->is_ctr) {
        e = gcry_cipher_setctr(c->handle, iv, c->iv_len);
    } else if (c->iv_len) {
        e = gcry_cipher_setiv(c->handle, iv, c->iv_len);
    }
    if (!e) {
        e = encrypt ? gcry_cipher_encrypt(c->handle, buf, len, NULL, 0) :
                      gcry_cipher_decrypt(c->handle, buf, len, NULL, 0);
    }
    return e ? failed(errp, encrypt ? "Cannot encrypt data" : "Cannot decrypt data", e) : true;
}

static const CryptoGcryptOps module_ops = {
    .hash = gcrypt_hash,
    .hmac = gcrypt_hmac,
    .pbkdf2 = gcrypt_pbkdf2,
    .cipher_new = gcrypt_cipher_new,
    .cipher_free = gcrypt_cipher_free,
    .cipher_run = gcrypt_cipher_run,
};

NEMU_MODULE("crypto-gcrypt", &module_ops);
