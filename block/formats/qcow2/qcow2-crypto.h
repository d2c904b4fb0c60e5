/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Encrypted guest data of qcow2: what io.c and compress.c need from crypto.c. */
#ifndef BLOCK_FORMATS_QCOW2_CRYPTO_H
#define BLOCK_FORMATS_QCOW2_CRYPTO_H

#include "qcow2.h"

/* From the option "encrypt"; nothing for images that are not encrypted. Main thread. */
bool qcow2_crypto_open(BlockNode *bn, JsonValue *options, Error **errp);
void qcow2_crypto_close(Qcow2State *s);
uint32_t qcow2_crypto_sector(const Qcow2State *s);
ImageInfoSpecificQCow2Encryption *qcow2_crypto_info(BlockNode *bn);
/* Take what concerns encryption out of flat options; *@create or *@amend NULL: nothing. */
bool qcow2_crypto_take_create(JsonValue *options, QCryptoBlockCreateOptions **create, Error **errp);
bool qcow2_crypto_take_amend(BlockNode *bn, JsonValue *options, QCryptoBlockAmendOptions **amend,
                             Error **errp);
bool coroutine_fn qcow2_crypto_create(BlockNode *bn, const QCryptoBlockCreateOptions *options,
                                      Error **errp);
bool coroutine_fn qcow2_crypto_amend(BlockNode *bn, const QCryptoBlockAmendOptions *options,
                                     bool force, Error **errp);
/* Both offsets of the first byte; the image's format says which one the cipher takes. */
int coroutine_fn qcow2_read_encrypted(BlockNode *bn, uint64_t host, uint64_t guest, int64_t bytes,
                                      IoVector *v, size_t v_offset);
int coroutine_fn qcow2_write_encrypted(BlockNode *bn, uint64_t host, uint64_t guest, int64_t bytes,
                                       IoVector *v, size_t v_offset);

#endif
