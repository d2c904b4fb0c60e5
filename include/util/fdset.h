/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets of file descriptors that management passed to us (QMP add-fd, -add-fd)
 * and that "/dev/fdset/N" stands for wherever a path is expected. A set goes
 * when its last member goes. Any thread.
 */
#ifndef UTIL_FDSET_H
#define UTIL_FDSET_H

#include <stdbool.h>
#include <stdint.h>
#include "util/error.h"

#define FDSET_PREFIX "/dev/fdset/"

/*
 * Put @fd (taken over on success) into set *@id, or with *@id < 0 into a new
 * one, whose number comes back. @opaque_text (may be NULL) is management's note.
 */
bool fdset_add_fd(int64_t *id, int fd, const char *opaque_text, Error **errp);
/* Close member @fd of set @id, or with @fd < 0 every member. */
bool fdset_remove_fd(int64_t id, int fd, Error **errp);

/* Calls @fn for every member, in order of set and descriptor. */
typedef void FdSetVisit(int64_t id, int fd, const char *opaque_text, void *opaque);
void fdset_for_each(FdSetVisit *fn, void *opaque);

/*
 * A duplicate of the member of the set named by @path whose access mode is
 * that of @flags; -1 with errno (EACCES: no member has that mode).
 */
int fdset_open(const char *path, int flags);

#endif
