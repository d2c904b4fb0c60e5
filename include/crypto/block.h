/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Encryption of disk images, for the luks format driver and for qcow2: LUKS
 * version 1 (its On-Disk Format Specification 1.2.3), and the AES scheme of old
 * qcow images, which has no header. Where the header lies is the caller's
 * affair: it is read and written through callbacks.
 *
 * Thread: open, create, amend and info on the main thread (they may run the
 * callbacks, which may poll; key derivation takes seconds of CPU time);
 * crypto_block_encrypt() and _decrypt() on any, several at once.
 * Trust: a LUKS header comes from whoever made the image, and every field is
 * checked before use.
 */
#ifndef CRYPTO_BLOCK_H
#define CRYPTO_BLOCK_H

#include "crypto/crypto.h"

typedef struct CryptoBlock CryptoBlock;

/* Offsets are from the start of the header. Each returns false with @errp on failure. */
typedef struct CryptoBlockHeaderIo {
    bool (*read)(void *opaque, uint64_t offset, void *buf, size_t len, Error **errp);
    bool (*write)(void *opaque, uint64_t offset, const void *buf, size_t len, Error **errp);    /* create, amend */
    bool (*make_room)(void *opaque, uint64_t header_len, Error **errp);     /* create: before the first write */
} CryptoBlockHeaderIo;

typedef enum CryptoBlockFlags {
    CRYPTO_BLOCK_NO_IO = 1,     /* open: for information only, no key needed */
    CRYPTO_BLOCK_DETACHED = 2,  /* create: the header is in a file of its own, the payload starts at 0 */
} CryptoBlockFlags;

/* Does @buf start like a header of this format? */
bool crypto_block_has_format(QCryptoBlockFormat format, const void *buf, size_t len);

/* @prefix goes before option names in messages ("encrypt." or ""). */
CryptoBlock *crypto_block_open(const QCryptoBlockOpenOptions *options, const char *prefix,
                               const CryptoBlockHeaderIo *io, void *opaque, unsigned flags, Error **errp);
CryptoBlock *crypto_block_create(const QCryptoBlockCreateOptions *options, const char *prefix,
                                 const CryptoBlockHeaderIo *io, void *opaque, unsigned flags, Error **errp);
/* How many bytes of header crypto_block_create() would make; no key or image is needed. */
bool crypto_block_header_len(const QCryptoBlockCreateOptions *options, const char *prefix, uint64_t *len,
                             Error **errp);
/* Change key slots. @force also where it loses the last key. */
bool crypto_block_amend(CryptoBlock *b, const QCryptoBlockAmendOptions *options, const CryptoBlockHeaderIo *io,
                        void *opaque, bool force, Error **errp);
/* Caller frees. */
QCryptoBlockInfo *crypto_block_info(CryptoBlock *b);
void crypto_block_free(CryptoBlock *b);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CryptoBlock, crypto_block_free)

/* Where the payload starts, counted from the start of the header; bytes. */
uint64_t crypto_block_payload_offset(const CryptoBlock *b);
/* What @offset and @len below are multiples of. */
uint64_t crypto_block_sector_size(const CryptoBlock *b);
/*
 * In place. @offset is what initialisation vectors count: for luks and qcow2
 * with LUKS the place in the payload. False: the library failed, and @buf has garbage.
 */
bool crypto_block_encrypt(CryptoBlock *b, uint64_t offset, void *buf, size_t len, Error **errp);
bool crypto_block_decrypt(CryptoBlock *b, uint64_t offset, void *buf, size_t len, Error **errp);

#endif
