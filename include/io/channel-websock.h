/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * WebSocket (RFC 6455) as a channel on top of a channel: the server's end.
 *
 * Thread: as channel.h; one thread may write while another reads.
 */
#ifndef IO_CHANNEL_WEBSOCK_H
#define IO_CHANNEL_WEBSOCK_H

#include "io/channel.h"

/*
 * @below is referenced. io_channel_handshake() must come before anything else; it does that of
 * @below first. Bytes travel in binary messages, in both directions; their borders mean nothing.
 */
IoChannel *io_channel_new_websock_server(IoChannel *below);

#endif
