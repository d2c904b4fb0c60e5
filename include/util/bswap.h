/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads and stores of unaligned little- and big-endian integers:
 * load_le32(p), store_be16(p, v), and the same with a run-time width.
 */
#ifndef UTIL_BSWAP_H
#define UTIL_BSWAP_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define BSWAP_ACCESSORS(bits, order)                                        \
    static inline uint##bits##_t load_##order##bits(const void *p)          \
    {                                                                       \
        uint##bits##_t v;                                                   \
        memcpy(&v, p, sizeof(v));                                           \
        return order##bits##toh(v);                                         \
    }                                                                       \
    static inline void store_##order##bits(void *p, uint##bits##_t v)       \
    {                                                                       \
        v = hto##order##bits(v);                                            \
        memcpy(p, &v, sizeof(v));                                           \
    }

BSWAP_ACCESSORS(16, le)
BSWAP_ACCESSORS(32, le)
BSWAP_ACCESSORS(64, le)
BSWAP_ACCESSORS(16, be)
BSWAP_ACCESSORS(32, be)
BSWAP_ACCESSORS(64, be)
#undef BSWAP_ACCESSORS

/* @size is 1 to 8 bytes, little-endian. */
static inline uint64_t load_le(const void *p, unsigned size)
{
    uint64_t v = 0;
    memcpy(&v, p, size);
    return le64toh(v);
}

static inline void store_le(void *p, uint64_t v, unsigned size)
{
    v = htole64(v);
    memcpy(p, &v, size);
}

#endif
