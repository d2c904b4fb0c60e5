/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the back ends of this folder share. */
#ifndef CHARDEV_INTERNAL_H
#define CHARDEV_INTERNAL_H

#include "chardev/chardev.h"

/* "chardev-fd", abstract: back ends on plain file descriptors. */
extern const TypeInfo chardev_fd_type;

typedef struct FdChardev {
    Chardev parent;
    int in_fd, out_fd;          /* may be the same; -1: none */
    bool keep_fds;              /* not ours to close */
    bool eof;                   /* input has ended */
    bool want_write;            /* under write_lock */
    void (*hangup)(Chardev *chr);   /* input ended; NULL: final */
} FdChardev;

/* For ChardevOps. */
ssize_t chardev_fd_write(Chardev *chr, const uint8_t *buf, size_t len);
void chardev_fd_watch(Chardev *chr);
void chardev_fd_unwatch(Chardev *chr);
void chardev_fd_close(Chardev *chr);

/* As chardev_update_watch(), but never at once: for ops->write, which holds write_lock. */
void chardev_watch_soon(Chardev *chr);

/* A mandatory path; -1 with "Could not open '...'". */
int chardev_open_path(const char *path, int flags, Error **errp);
bool chardev_set_nonblocking(int fd);

/* -chardev key=value text as a chardev-add argument; *@mux: several users are to share it. */
bool chardev_parse_options(const char *text, char **id, ChardevBackend **backend, bool *mux, Error **errp);
/* "stdio", "tcp:..."; NULL with an error. */
ChardevBackend *chardev_parse_shorthand(const char *text, Error **errp);

const char *chardev_kind_type(ChardevBackendKind kind);

/* chardev-change: @chr's place and front end go to a new device. */
bool chardev_replace(Chardev *chr, const ChardevBackend *backend, Error **errp);

#endif
