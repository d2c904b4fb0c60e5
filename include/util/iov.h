/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scatter-gather lists. All offsets and lengths in bytes; copies stop at the
 * end of the list and return what was copied. Any thread.
 */
#ifndef UTIL_IOV_H
#define UTIL_IOV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include "util/compiler.h"

MODULE_API size_t iov_size(const struct iovec *iov, unsigned cnt);
size_t iov_from_buf(const struct iovec *iov, unsigned cnt, size_t offset, const void *buf, size_t len);
MODULE_API size_t iov_to_buf(const struct iovec *iov, unsigned cnt, size_t offset, void *buf, size_t len);
size_t iov_memset(const struct iovec *iov, unsigned cnt, size_t offset, int byte, size_t len);
/* Fill @dst with up to @dst_max entries that cover [offset, offset+len) of @src; returns how many. */
unsigned iov_slice(struct iovec *dst, unsigned dst_max, const struct iovec *src, unsigned cnt, size_t offset, size_t len);
/* Drop bytes at the front or back in place; *@iov and *@cnt move. Returns what was dropped. */
size_t iov_discard_front(struct iovec **iov, unsigned *cnt, size_t len);
size_t iov_discard_back(struct iovec *iov, unsigned *cnt, size_t len);

/* A growable list for the block layer. */
typedef struct IoVector {
    struct iovec *iov;
    unsigned cnt;
    unsigned alloc;
    size_t size;                /* sum of the lengths */
    struct iovec local;         /* for the one-buffer case */
} IoVector;

void io_vector_init(IoVector *v, unsigned alloc_hint);
/* Wrap one buffer, without allocation; no destroy needed. */
void io_vector_init_buf(IoVector *v, void *buf, size_t len);
/* Wrap the caller's array (kept alive by the caller); no destroy needed. */
void io_vector_init_external(IoVector *v, const struct iovec *iov, unsigned cnt);
void io_vector_add(IoVector *v, void *base, size_t len);
/* Append [offset, offset+len) of @src. */
void io_vector_concat(IoVector *v, const IoVector *src, size_t offset, size_t len);
void io_vector_reset(IoVector *v);
void io_vector_destroy(IoVector *v);
bool io_vector_is_zero(const IoVector *v, size_t offset, size_t len);

/* True when the @len bytes at @buf are all zero; as fast as the host reads. */
bool buffer_is_zero(const void *buf, size_t len);

#endif
