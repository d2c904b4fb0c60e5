/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Channels: byte streams over sockets, files, pipes and commands, with file
 * descriptor passing where the transport has it. TLS is a channel on top of a
 * channel. Used by character devices, network back ends, migration, NBD.
 *
 * Thread: one at a time; handlers run on the loop that they were set on.
 */
#ifndef IO_CHANNEL_H
#define IO_CHANNEL_H

#include "qapi-types.h"
#include "util/event-loop.h"

typedef struct IoChannel IoChannel;

#define IO_CHANNEL_ERR (-1)     /* errp is set */
#define IO_CHANNEL_BLOCK (-2)   /* would block */

typedef struct IoChannelOps {
    const char *name;
    /* Bytes moved, 0 at end of file, or one of the two above. @fds/@nfds may be NULL. */
    ssize_t (*readv)(IoChannel *ch, const struct iovec *iov, unsigned cnt, int **fds, size_t *nfds, Error **errp);
    ssize_t (*writev)(IoChannel *ch, const struct iovec *iov, unsigned cnt, const int *fds, size_t nfds, Error **errp);
    bool (*set_blocking)(IoChannel *ch, bool blocking, Error **errp);
    bool (*shutdown)(IoChannel *ch, bool read, bool write, Error **errp);
    int64_t (*seek)(IoChannel *ch, int64_t offset, int whence, Error **errp);    /* NULL: no */
    void (*set_handlers)(IoChannel *ch, EventLoop *loop, EventFdHandler *on_read, EventFdHandler *on_write, void *opaque);
    int (*poll_fd)(IoChannel *ch, bool for_write);      /* to wait on outside loops and coroutines */
    bool (*close)(IoChannel *ch, Error **errp);         /* idempotent */
    void (*free)(IoChannel *ch);
    /* Of a channel on top of another; each may be NULL. */
    bool (*handshake)(IoChannel *ch, Error **errp);
    bool (*unsent)(IoChannel *ch);
    IoChannel *(*below)(IoChannel *ch);
    bool can_pass_fds;
} IoChannelOps;

struct IoChannel {
    const IoChannelOps *ops;
    unsigned refs;              /* atomics */
    char *name;                 /* for traces and messages */
    /* private to channel.c: handlers, and coroutines that wait in io_channel_read_all() and write_all() */
    EventLoop *loop;
    EventFdHandler *on_read, *on_write;
    void *opaque;
    struct Coroutine *reader, *writer;
};

IoChannel *io_channel_ref(IoChannel *ch);
/* Closes when the last one goes. */
void io_channel_unref(IoChannel *ch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IoChannel, io_channel_unref)

ssize_t io_channel_readv(IoChannel *ch, const struct iovec *iov, unsigned cnt, int **fds, size_t *nfds, Error **errp);
ssize_t io_channel_writev(IoChannel *ch, const struct iovec *iov, unsigned cnt, const int *fds, size_t nfds, Error **errp);
ssize_t io_channel_read(IoChannel *ch, void *buf, size_t len, Error **errp);
ssize_t io_channel_write(IoChannel *ch, const void *buf, size_t len, Error **errp);
/*
 * All or nothing, waiting (yielding in a coroutine) as needed; a short read is
 * an error. One coroutine may read while another writes, on the same loop;
 * on_read and on_write rest while a coroutine waits for the same.
 */
bool io_channel_read_all(IoChannel *ch, void *buf, size_t len, Error **errp);
bool io_channel_write_all(IoChannel *ch, const void *buf, size_t len, Error **errp);
bool io_channel_writev_all(IoChannel *ch, const struct iovec *iov, unsigned cnt, Error **errp);
/* Until @ch may be ready to read or write: yielding in a coroutine, else blocking the thread. */
void io_channel_wait(IoChannel *ch, bool for_write);
bool io_channel_set_blocking(IoChannel *ch, bool blocking, Error **errp);
bool io_channel_shutdown(IoChannel *ch, bool read, bool write, Error **errp);
int64_t io_channel_seek(IoChannel *ch, int64_t offset, int whence, Error **errp);
bool io_channel_close(IoChannel *ch, Error **errp);
bool io_channel_can_pass_fds(const IoChannel *ch);
/*
 * What must come before anything else on a channel on top of another (TLS: agree on keys, check the
 * peer); of those below, too. Waits, or yields in a coroutine (then the lowest must be non-blocking).
 * After a failure the channel is only good for closing. Kinds that have none succeed at once.
 */
bool io_channel_handshake(IoChannel *ch, Error **errp);
/* The same from a callback of the current loop: @done runs on it later, @err (NULL: fine) is its to free. */
typedef void IoHandshakeDone(void *opaque, Error *err);
void io_channel_handshake_async(IoChannel *ch, IoHandshakeDone *done, void *opaque);
/* Written bytes wait in the channel for the one below; they go out while there is an on_write handler. Any thread. */
bool io_channel_unsent(IoChannel *ch);
/* Readiness handlers; NULL for none, both NULL to stop. Closing stops them. */
void io_channel_set_handlers(IoChannel *ch, EventLoop *loop, EventFdHandler *on_read, EventFdHandler *on_write, void *opaque);

/* ---- kinds ---- */

/* Takes over @fd. A socket fd gives a socket channel, anything else a file channel. */
IoChannel *io_channel_new_fd(int fd, const char *name, Error **errp);
/* Takes over both; read from @in, write to @out; -1 for none. */
IoChannel *io_channel_new_fd_pair(int in, int out, const char *name);
IoChannel *io_channel_open_file(const char *path, int flags, int mode, Error **errp);
/* The standard output/input of a shell command; close waits for it, a non-zero status is an error. */
IoChannel *io_channel_new_command(const char *command, bool read, bool write, Error **errp);

/* ---- sockets ---- */

/* "unix:PATH", "tcp:HOST:PORT", "HOST:PORT", "fd:N", "vsock:CID:PORT", "[v6]:PORT". */
SocketAddress *socket_address_parse(const char *text, Error **errp);
/* "unix:PATH", "tcp:HOST:PORT" ... as info chardev shows it; caller frees. */
char *socket_address_format(const SocketAddress *addr);
SocketAddress *socket_address_local(int fd, Error **errp);
SocketAddress *socket_address_remote(int fd, Error **errp);
/* The descriptor of a socket channel (also one below TLS), for socket options; -1 for other kinds. Borrowed. */
int io_channel_socket_fd(IoChannel *ch);
/* Blocking connect. */
IoChannel *io_channel_connect(const SocketAddress *addr, Error **errp);
/* Connect on a worker thread; @done on the current loop with a channel or an error (both consumed by the callee). Returns a handle to cancel. */
typedef void IoConnectDone(void *opaque, IoChannel *ch, Error *err);
struct IoConnect *io_channel_connect_async(const SocketAddress *addr, IoConnectDone *done, void *opaque);
void io_connect_cancel(struct IoConnect *c);

/* A listening socket. An "fd" address adopts an inherited, already listening fd. */
typedef struct IoListener IoListener;
typedef void IoListenerAccept(void *opaque, IoChannel *ch /* borrowed */);
IoListener *io_listener_new(const SocketAddress *addr, int backlog, Error **errp);
void io_listener_set_handler(IoListener *l, EventLoop *loop, IoListenerAccept *accept, void *opaque);   /* NULL: stop accepting */
/* Wait for one client. */
IoChannel *io_listener_accept_wait(IoListener *l, Error **errp);
SocketAddress *io_listener_address(IoListener *l, Error **errp);
/* Closes; a unix socket file that we made is removed. */
void io_listener_free(IoListener *l);

/*
 * A descriptor by number, or by the name that the running monitor command's
 * client gave it with getfd. Ownership passes to the caller. -1 with @errp.
 */
int fd_param(const char *text, Error **errp);
/* How the monitor resolves names: -1 with @errp for an unknown one, or when no monitor command runs. */
void fd_param_set_lookup(int (*lookup)(const char *name, Error **errp));

#endif
