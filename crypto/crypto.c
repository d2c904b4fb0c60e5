/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known about hashes and ciphers without the library that has them,
 * and the way to that library's module. See include/crypto/crypto.h.
 */
#include "util/osdep.h"
#include <sys/random.h>
#include "crypto/gcrypt-module.h"
#include "util/module.h"

static const uint8_t hash_lens[Q_CRYPTO_HASH_ALGORITHM__MAX] = {
    [Q_CRYPTO_HASH_ALGORITHM_MD5] = 16,
    [Q_CRYPTO_HASH_ALGORITHM_SHA1] = 20,
    [Q_CRYPTO_HASH_ALGORITHM_SHA224] = 28,
    [Q_CRYPTO_HASH_ALGORITHM_SHA256] = 32,
    [Q_CRYPTO_HASH_ALGORITHM_SHA384] = 48,
    [Q_CRYPTO_HASH_ALGORITHM_SHA512] = 64,
    [Q_CRYPTO_HASH_ALGORITHM_RIPEMD160] = 20,
};

static const struct {
    uint8_t key, block;
} cipher_lens[Q_CRYPTO_CIPHER_ALGORITHM__MAX] = {
    [Q_CRYPTO_CIPHER_ALGORITHM_AES_128] = { 16, 16 },
    [Q_CRYPTO_CIPHER_ALGORITHM_AES_192] = { 24, 16 },
    [Q_CRYPTO_CIPHER_ALGORITHM_AES_256] = { 32, 16 },
    [Q_CRYPTO_CIPHER_ALGORITHM_DES] = { 8, 8 },
    [Q_CRYPTO_CIPHER_ALGORITHM_3DES] = { 24, 8 },
    [Q_CRYPTO_CIPHER_ALGORITHM_CAST5_128] = { 16, 8 },
    [Q_CRYPTO_CIPHER_ALGORITHM_SERPENT_128] = { 16, 16 },
    [Q_CRYPTO_CIPHER_ALGORITHM_SERPENT_192] = { 24, 16 },
    [Q_CRYPTO_CIPHER_ALGORITHM_SERPENT_256] = { 32, 16 },
    [Q_CRYPTO_CIPHER_ALGORITHM_TWOFISH_128] = { 16, 16 },
    [Q_CRYPTO_CIPHER_ALGORITHM_TWOFISH_192] = { 24, 16 },
    [Q_CRYPTO_CIPHER_ALGORITHM_TWOFISH_256] = { 32, 16 },
};

static const CryptoGcryptOps *ops;

bool crypto_load(Error **errp)
{
    if (!ops) {
        ops = module_load("crypto-gcrypt", errp);
    }
    return ops != NULL;
}

size_t crypto_hash_len(QCryptoHashAlgorithm alg)
{
    return hash_lens[alg];
}

bool crypto_hash(QCryptoHashAlgorithm alg, const struct iovec *iov, unsigned cnt, uint8_t *out, Error **errp)
{
    return ops->hash(alg, iov, cnt, out, errp);
}

bool crypto_hmac(QCryptoHashAlgorithm alg, const void *key, size_t key_len, const void *data, size_t len,
                 uint8_t *out, Error **errp)
{
    return ops->hmac(alg, key, key_len, data, len, out, errp);
}

bool crypto_pbkdf2(QCryptoHashAlgorithm alg, const void *pass, size_t pass_len, const void *salt, size_t salt_len,
                   uint64_t iterations, uint8_t *out, size_t out_len, Error **errp)
{
    return ops->pbkdf2(alg, pass, pass_len, salt, salt_len, iterations, out, out_len, errp);
}

static int64_t thread_cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

uint64_t crypto_pbkdf2_per_second(QCryptoHashAlgorithm alg, size_t key_len, Error **errp)
{
    static const int64_t enough_ns = 100 * 1000000;
    g_autofree uint8_t *out = g_malloc0(key_len);
    uint64_t iterations = 1 << 13;

    /* Double the work until it is long enough to be measured. */
    for (;;) {
        int64_t start = thread_cpu_ns(), took;

        if (!crypto_pbkdf2(alg, "password", 8, "0123456789abcdef0123456789abcdef", 32, iterations, out, key_len,
                           errp)) {
            return 0;
        }
        took = MAX(thread_cpu_ns() - start, 1);
        if (took >= enough_ns || iterations >= UINT32_MAX) {
            return MAX(iterations * 1000 / MAX(took / 1000000, 1), 1);
        }
        iterations *= 2;
    }
}

size_t crypto_cipher_key_len(QCryptoCipherAlgorithm alg)
{
    return cipher_lens[alg].key;
}

size_t crypto_cipher_block_len(QCryptoCipherAlgorithm alg)
{
    return cipher_lens[alg].block;
}

size_t crypto_cipher_iv_len(QCryptoCipherAlgorithm alg, QCryptoCipherMode mode)
{
    return mode == Q_CRYPTO_CIPHER_MODE_ECB ? 0 : cipher_lens[alg].block;
}

CryptoCipher *crypto_cipher_new(QCryptoCipherAlgorithm alg, QCryptoCipherMode mode, const void *key, size_t key_len,
                                Error **errp)
{
    size_t expected = cipher_lens[alg].key * (mode == Q_CRYPTO_CIPHER_MODE_XTS ? 2 : 1);
    CryptoCipher *c;

    if (mode == Q_CRYPTO_CIPHER_MODE_XTS && cipher_lens[alg].block != 16) {
        error_setg(errp, "XTS mode needs a cipher with blocks of 16 bytes, not '%s'",
                   QCryptoCipherAlgorithm_str(alg));
        return NULL;
    }
    if (key_len != expected) {
        error_setg(errp, "Cipher key length %zu should be %zu", key_len, expected);
        return NULL;
    }
    c = ops->cipher_new(alg, mode, key, key_len, errp);
    if (!c) {
        error_prepend(errp, "Algorithm '%s' with mode '%s': ", QCryptoCipherAlgorithm_str(alg),
                      QCryptoCipherMode_str(mode));
    }
    return c;
}

void crypto_cipher_free(CryptoCipher *c)
{
    if (c) {
        ops->cipher_free(c);
    }
}

bool crypto_cipher_encrypt(CryptoCipher *c, const void *iv, void *buf, size_t len, Error **errp)
{
    return ops->cipher_run(c, true, iv, buf, len, errp);
}

bool crypto_cipher_decrypt(CryptoCipher *c, const void *iv, void *buf, size_t len, Error **errp)
{
    return ops->cipher_run(c, false, iv, buf, len, errp);
}

bool crypto_random(void *buf, size_t len, Error **errp)
{
    while (len) {
        ssize_t n = TEMP_FAILURE_RETRY(getrandom(buf, len, 0));

        if (n < 0) {
            error_setg_errno(errp, errno, "Unable to get random bytes");
            return false;
        }
        buf = (char *)buf + n;
        len -= n;
    }
    return true;
}

void crypto_wipe(void *buf, size_t len)
{
    if (buf) {
        explicit_bzero(buf, len);
    }
}
