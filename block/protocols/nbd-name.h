/* SPDX-License-Identifier: GPL-2.0-or-later */
/* NBD servers by name and by option. Main thread. */
#ifndef BLOCK_PROTOCOLS_NBD_NAME_H
#define BLOCK_PROTOCOLS_NBD_NAME_H

#include "block/block.h"

/* "nbd://host/export", "nbd+unix:///export?socket=path", "nbd:host:port:exportname=e", "nbd:unix:path". */
bool nbd_parse_name(const char *filename, JsonValue *options, Error **errp);
/* "server", or the flat "path", "host" and "port". */
bool nbd_take_address(JsonValue *options, SocketAddress **addr, Error **errp);
/* A URI; NULL: there is none for such an address. Caller frees. */
char *nbd_format_name(const SocketAddress *addr, const char *export);

#endif
