/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The anti-forensic information splitter of LUKS (On-Disk Format
 * Specification, section 2.4): a key is spread over so many bytes that
 * destroying some of them destroys it. Any thread.
 */
#include "util/osdep.h"
#include "crypto/block-internal.h"
#include "util/bswap.h"

static void xor_into(uint8_t *to, const uint8_t *from, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        to[i] ^= from[i];
    }
}

/* Each piece of a digest's length becomes the hash of its number and itself. */
static bool diffuse(QCryptoHashAlgorithm hash, uint8_t *block, size_t len, Error **errp)
{
    size_t digest_len = crypto_hash_len(hash);
    uint8_t digest[CRYPTO_HASH_MAX];

    for (size_t done = 0, i = 0; done < len; done += digest_len, i++) {
        size_t n = MIN(digest_len, len - done);
        uint8_t number[4];
        struct iovec iov[] = { { number, sizeof(number) }, { block + done, n } };

        store_be32(number, i);
        if (!crypto_hash(hash, iov, ARRAY_SIZE(iov), digest, errp)) {
            return false;
        }
        memcpy(block + done, digest, n);
    }
    return true;
}

bool af_split(QCryptoHashAlgorithm hash, const uint8_t *key, size_t len, unsigned stripes, uint8_t *out,
              Error **errp)
{
    uint8_t block[CRYPTO_KEY_MAX] = { 0 };
    bool ok = crypto_random(out, len * (stripes - 1), errp);

    assert(len <= sizeof(block));
    for (unsigned i = 0; ok && i < stripes - 1; i++) {
        xor_into(block, out + i * len, len);
        ok = diffuse(hash, block, len, errp);
    }
    xor_into(block, key, len);
    memcpy(out + (stripes - 1) * len, block, len);
    crypto_wipe(block, sizeof(block));
    return ok;
}

bool af_merge(QCryptoHashAlgorithm hash, const uint8_t *in, size_t len, unsigned stripes, uint8_t *key,
              Error **errp)
{
    memset(key, 0, len);
    for (unsigned i = 0; i < stripes - 1; i++) {
        xor_into(key, in + i * len, len);
        if (!diffuse(hash, key, len, errp)) {
            return false;
        }
    }
    xor_into(key, in + (stripes - 1) * len, len);
    return true;
}
