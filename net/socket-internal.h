/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What opening and moving frames over sockets share. Main thread with the machine lock. */
#ifndef NET_SOCKET_INTERNAL_H
#define NET_SOCKET_INTERNAL_H

#include <sys/socket.h>

#include "io/channel.h"
#include "net/net.h"

#define SOCKET_FRAME_MAX (65536 + 64)
#define SOCKET_LENGTH_SIZE 4

typedef struct SocketNet {
    NetClient nc;
    /* Stream: the connection, or NULL while there is none. */
    IoChannel *channel;
    IoListener *listener;
    bool sends_events;          /* NETDEV_STREAM_CONNECTED and its opposite */
    uint8_t in[SOCKET_LENGTH_SIZE + SOCKET_FRAME_MAX];
    size_t in_len;
    uint8_t out[SOCKET_LENGTH_SIZE + SOCKET_FRAME_MAX];
    size_t out_len, out_done;   /* a frame that the socket took in part */
    /* Datagrams. */
    int dgram_fd;               /* -1: a stream */
    struct sockaddr_storage dest;
    char *unlink_path;          /* of our own unix socket; NULL: none */
    socklen_t dest_len;         /* 0: the socket is connected */
    bool read_blocked, write_blocked;
} SocketNet;

/* Not connected, listening or open yet. */
SocketNet *socket_net_new(const char *id, NetClientDriver kind);
void socket_net_set_info(SocketNet *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The stream @ch is the connection from now on. */
bool socket_net_connected(SocketNet *s, IoChannel *ch, Error **errp);
/* For io_listener_set_handler(). */
void socket_net_accept(void *opaque, IoChannel *ch);
/* s->dgram_fd is open. */
void socket_net_watch_dgram(SocketNet *s);

#endif
