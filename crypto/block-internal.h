/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the formats of image encryption share among themselves.
 */
#ifndef CRYPTO_BLOCK_INTERNAL_H
#define CRYPTO_BLOCK_INTERNAL_H

#include "crypto/block.h"
#include "util/thread.h"

#define CRYPTO_SECTOR 512
#define CRYPTO_KEY_MAX 64       /* bytes: two keys of 256 bits for XTS */

/* How sectors are encrypted, without the key. */
typedef struct SectorCipher {
    QCryptoCipherAlgorithm alg;
    QCryptoCipherMode mode;
    QCryptoIVGenAlgorithm ivgen;
    QCryptoHashAlgorithm ivgen_hash;    /* essiv */
} SectorCipher;

/* Bytes of the key for @sc. */
size_t sector_cipher_key_len(const SectorCipher *sc);

/* A key in use: a cipher, and one that makes initialisation vectors. One thread at a time. */
typedef struct SectorKey SectorKey;
SectorKey *sector_key_new(const SectorCipher *sc, const uint8_t *key, size_t key_len, Error **errp);
void sector_key_free(SectorKey *k);
bool sector_key_run(SectorKey *k, bool encrypt, uint64_t sector, uint8_t *buf, size_t len, Error **errp);

struct CryptoBlock {
    QCryptoBlockFormat format;
    uint64_t payload_offset;
    SectorCipher cipher;
    uint8_t key[CRYPTO_KEY_MAX];
    size_t key_len;             /* 0: no key, opened for information */
    pthread_mutex_t lock;
    GPtrArray *idle;            /* of SectorKey *, which are not in use just now; under @lock */
    struct LuksHeader *luks;
    char *secret;               /* luks: the password's secret */
};

/* @b may encrypt from now on; checks that cipher and key fit. */
bool crypto_block_set_key(CryptoBlock *b, const uint8_t *key, size_t len, Error **errp);

/* ---- block-luks.c ---- */

bool luks_open(CryptoBlock *b, const char *secret, const char *prefix, const CryptoBlockHeaderIo *io, void *opaque,
               unsigned flags, Error **errp);
bool luks_create(CryptoBlock *b, const QCryptoBlockCreateOptionsLUKS *o, const char *prefix,
                 const CryptoBlockHeaderIo *io, void *opaque, unsigned flags, Error **errp);
bool luks_header_len(const QCryptoBlockCreateOptionsLUKS *o, uint64_t *len, Error **errp);
bool luks_amend(CryptoBlock *b, const QCryptoBlockAmendOptionsLUKS *o, const CryptoBlockHeaderIo *io, void *opaque,
                bool force, Error **errp);
void luks_info(CryptoBlock *b, QCryptoBlockInfoLUKS *info);
bool luks_has_magic(const void *buf, size_t len);

/* ---- afsplit.c: anti-forensic information splitter of LUKS ---- */

/* @len bytes of key to @len * @stripes bytes, and back. */
bool af_split(QCryptoHashAlgorithm hash, const uint8_t *key, size_t len, unsigned stripes, uint8_t *out,
              Error **errp);
bool af_merge(QCryptoHashAlgorithm hash, const uint8_t *in, size_t len, unsigned stripes, uint8_t *key,
              Error **errp);

#endif
