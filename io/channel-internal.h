/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Private to io/: for the kinds of channels.
 */
#ifndef IO_CHANNEL_INTERNAL_H
#define IO_CHANNEL_INTERNAL_H

#include "io/channel.h"

/* One reference; @name is copied. */
void io_channel_init(IoChannel *ch, const IoChannelOps *ops, const char *name);

/* A socket channel on @fd, which it owns from now on. */
IoChannel *io_channel_new_socket(int fd, const char *name);

/* A connected or listening socket for @addr, close-on-exec; -1 with @errp. */
int socket_connect(const SocketAddress *addr, Error **errp);
int socket_listen(const SocketAddress *addr, int backlog, Error **errp);

#endif
