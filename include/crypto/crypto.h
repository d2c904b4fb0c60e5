/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hashes, HMAC, PBKDF2, ciphers and random bytes. The algorithms come from
 * libgcrypt, in the module "crypto-gcrypt" that the first use loads: call
 * crypto_load() once on the main thread before anything else of this header
 * but crypto_random() and the functions of lengths.
 *
 * Thread: any, after crypto_load(); a CryptoCipher serves one thread at a time.
 */
#ifndef CRYPTO_CRYPTO_H
#define CRYPTO_CRYPTO_H

#include "qapi-types.h"
#include "util/error.h"

#define CRYPTO_HASH_MAX 64      /* bytes of the longest digest */

/* Main thread. */
bool crypto_load(Error **errp);

/* Bytes of a digest. */
MODULE_API size_t crypto_hash_len(QCryptoHashAlgorithm alg);
/* @out has crypto_hash_len() bytes. */
bool crypto_hash(QCryptoHashAlgorithm alg, const struct iovec *iov, unsigned cnt, uint8_t *out, Error **errp);
bool crypto_hmac(QCryptoHashAlgorithm alg, const void *key, size_t key_len, const void *data, size_t len,
                 uint8_t *out, Error **errp);
bool crypto_pbkdf2(QCryptoHashAlgorithm alg, const void *pass, size_t pass_len, const void *salt, size_t salt_len,
                   uint64_t iterations, uint8_t *out, size_t out_len, Error **errp);
/* How many iterations take one second of this thread's CPU time for a key of @key_len bytes; 0 with an error. */
uint64_t crypto_pbkdf2_per_second(QCryptoHashAlgorithm alg, size_t key_len, Error **errp);

/* Bytes. Of a key: XTS takes two of them. */
size_t crypto_cipher_key_len(QCryptoCipherAlgorithm alg);
size_t crypto_cipher_block_len(QCryptoCipherAlgorithm alg);
/* Of an initialisation vector; 0 for ECB. */
MODULE_API size_t crypto_cipher_iv_len(QCryptoCipherAlgorithm alg, QCryptoCipherMode mode);

typedef struct CryptoCipher CryptoCipher;
CryptoCipher *crypto_cipher_new(QCryptoCipherAlgorithm alg, QCryptoCipherMode mode, const void *key, size_t key_len,
                                Error **errp);
void crypto_cipher_free(CryptoCipher *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CryptoCipher, crypto_cipher_free)
/* In place: whole blocks, starting from @iv (NULL for ECB). False: a fault of the library. */
bool crypto_cipher_encrypt(CryptoCipher *c, const void *iv, void *buf, size_t len, Error **errp);
bool crypto_cipher_decrypt(CryptoCipher *c, const void *iv, void *buf, size_t len, Error **errp);

/* From the kernel. */
bool crypto_random(void *buf, size_t len, Error **errp);
/* Overwrite secrets; not optimised away. NULL is fine. */
void crypto_wipe(void *buf, size_t len);

#endif
