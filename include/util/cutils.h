/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers, sizes and paths as users write them. Any thread.
 */
#ifndef UTIL_CUTILS_H
#define UTIL_CUTILS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "util/error.h"

/*
 * Whole-string conversions in C notation, as strtoll() and strtoull() read it: white space in front is skipped, with
 * @base 0 a leading 0x means hex and a leading 0 octal, a negative uint64 wraps. Return 0, -EINVAL or -ERANGE.
 */
int parse_int64(const char *s, int base, int64_t *value);
MODULE_API int parse_uint64(const char *s, int base, uint64_t *value);
/*
 * A size: decimal or 0x hex, optional suffix b k K m M g G t T p P e E (powers
 * of 1024), fraction allowed before a suffix; without suffix the unit is
 * @default_unit ('B' for bytes, 'M' for MiB). Whole string; a part of a byte
 * is rounded to nearest, but not accepted when the unit is the byte.
 * Returns 0, -EINVAL or -ERANGE.
 */
int parse_size(const char *s, char default_unit, uint64_t *bytes);
/* "on", "off", "yes", "no", "true", "false", "y", "n". */
bool parse_bool(const char *name, const char *value, bool *out, Error **errp);
/* "1.5 GiB": three significant digits, binary units. Caller frees. */
char *format_size(uint64_t bytes);
/* A well-formed identifier for -device id= and friends: a letter, then letters, digits, '-', '.', '_'. */
bool id_wellformed(const char *id);

/* Open with O_CLOEXEC; "/dev/fdset/N" gives a duplicate of a matching member (see fdset.h). -1 with errno. */
int open_cloexec(const char *path, int flags, ...);
/* Read or write all, through EINTR and short transfers; false with errno (ENODATA: the file ended). */
bool read_full(int fd, void *buf, size_t len);
bool write_full(int fd, const void *buf, size_t len);

/*
 * Remove @path if it is of @type (S_IFSOCK, S_IFREG). Users name paths that are to be replaced or
 * go at the end: whatever else they hit by mistake must stay.
 */
void unlink_type(const char *path, mode_t type);

#endif
