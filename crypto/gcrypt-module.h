/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the module "crypto-gcrypt" offers; see include/crypto/crypto.h.
 */
#ifndef CRYPTO_GCRYPT_MODULE_H
#define CRYPTO_GCRYPT_MODULE_H

#include "crypto/crypto.h"

typedef struct CryptoGcryptOps {
    bool (*hash)(QCryptoHashAlgorithm alg, const struct iovec *iov, unsigned cnt, uint8_t *out, Error **errp);
    bool (*hmac)(QCryptoHashAlgorithm alg, const void *key, size_t key_len, const void *data, size_t len,
                 uint8_t *out, Error **errp);
    bool (*pbkdf2)(QCryptoHashAlgorithm alg, const void *pass, size_t pass_len, const void *salt, size_t salt_len,
                   uint64_t iterations, uint8_t *out, size_t out_len, Error **errp);
    CryptoCipher *(*cipher_new)(QCryptoCipherAlgorithm alg, QCryptoCipherMode mode, const void *key,
                                size_t key_len, Error **errp);
    void (*cipher_free)(CryptoCipher *c);
    bool (*cipher_run)(CryptoCipher *c, bool encrypt, const void *iv, void *buf, size_t len, Error **errp);
} CryptoGcryptOps;

#endif
