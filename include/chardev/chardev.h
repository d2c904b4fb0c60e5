/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Character devices: host ends (socket, pty, file, stdio, ...) of guest serial
 * ports, consoles and monitors. A Chardev is a QOM object in /chardevs; a
 * front end (device or monitor) attaches with a ChardevFrontend.
 *
 * Thread: main loop, or the loop given by chardev_frontend_set_loop();
 * chardev_write() from any thread. Attach and detach on the main thread with
 * the loop being the main loop.
 */
#ifndef CHARDEV_CHARDEV_H
#define CHARDEV_CHARDEV_H

#include "io/channel.h"
#include "qom/object.h"

typedef struct Chardev Chardev;
typedef struct ChardevFrontend ChardevFrontend;

extern const TypeInfo chardev_type;     /* "chardev", abstract; "chardev-socket", ... */
extern const TypeInfo chardev_mux_type; /* "chardev-mux" */

typedef enum ChardevEvent {
    CHARDEV_OPENED, CHARDEV_CLOSED, CHARDEV_BREAK, CHARDEV_MUX_IN, CHARDEV_MUX_OUT,
} ChardevEvent;

typedef struct ChardevOps {
    /* Open as @backend says; calls chardev_emit(CHARDEV_OPENED) now or later. On failure close is not called. */
    bool (*open)(Chardev *chr, const ChardevBackend *backend, Error **errp);
    void (*close)(Chardev *chr);
    /* Bytes taken, or -1 with errno (EAGAIN: calls chardev_writable() when there is room). write_lock is held. */
    ssize_t (*write)(Chardev *chr, const uint8_t *buf, size_t len);
    /*
     * Watch (on chr->loop) what should be watched now: input only while
     * chardev_can_receive() is not 0. Runs on the loop's thread, as does unwatch:
     * watch nothing, because the loop is about to change. NULL: nothing to watch.
     */
    void (*watch)(Chardev *chr);
    void (*unwatch)(Chardev *chr);
    int (*get_fds)(Chardev *chr, int *fds, int max);            /* SCM_RIGHTS received with the last input */
    bool (*set_fds)(Chardev *chr, const int *fds, int n);       /* to send with the next write; write_lock is held */
    bool (*wait_connected)(Chardev *chr, Error **errp);
    void (*disconnect)(Chardev *chr);
    void (*frontend_open)(Chardev *chr, bool open);             /* guest opened its port */
    /*
     * A back end with several users (mux): takes one more; it keeps chr->fe, the
     * one that gets input. NULL: there is one user.
     */
    bool (*attach)(Chardev *chr, ChardevFrontend *fe, Error **errp);
    void (*detach)(Chardev *chr, ChardevFrontend *fe);
    /* Serial line parameters, or -ENOTSUP. */
    int (*ioctl)(Chardev *chr, int cmd, void *arg);
} ChardevOps;

struct Chardev {
    Object obj;
    char *label;
    char *filename;             /* as query-chardev shows: "pty:/dev/pts/3", "disconnected:unix:..." */
    ChardevFrontend *fe;
    EventLoop *loop;
    bool be_open;
    bool opened, closed;        /* ops->open succeeded; ops->close has run */
    int log_fd;                 /* logfile=, -1: none */
    pthread_mutex_t write_lock;
};

#define CHARDEV(p) ((Chardev *)object_cast(p, &chardev_type))

Chardev *chardev_new(const char *id, const ChardevBackend *backend, Error **errp);
/* From -chardev text: key=value, or the arguments of chardev-add as JSON. Borrowed, like the others. */
Chardev *chardev_new_from_options(const char *keyval_or_json, Error **errp);
/* chardev-change with -chardev text without an id. */
bool chardev_change_from_options(const char *id, const char *text, Error **errp);
/* From "stdio", "unix:PATH,server=on,wait=off", "tcp:HOST:PORT", "pty", "file:PATH", "null", "chardev:ID" ...; "mon:..." makes a mux. */
Chardev *chardev_new_from_shorthand(const char *id, const char *text, Error **errp);
/* Whether several users share it. */
bool chardev_is_mux(const Chardev *chr);
/* The key that switches between users of a mux; Ctrl-A at first. */
void chardev_mux_set_escape(uint8_t key);
/* What "x" and "s" after that key do; may be NULL. */
void chardev_mux_set_actions(void (*quit)(void), void (*flush)(void));
/* "-chardev help": the kinds, on standard output. */
void chardev_print_kinds(void);
Chardev *chardev_find(const char *id);
bool chardev_remove(const char *id, Error **errp);      /* fails while in use */
void chardev_cleanup_all(void);
/* The path of a pty back end, or NULL. */
const char *chardev_pty_path(const Chardev *chr);

/* ---- front ends ---- */

struct ChardevFrontend {
    Chardev *chr;               /* NULL: not connected, writes vanish */
    bool open;                  /* the guest side is open */
    bool started;               /* chardev_frontend_start() was called */
    size_t (*can_receive)(void *opaque);        /* how many bytes now */
    void (*receive)(void *opaque, const uint8_t *buf, size_t len);
    void (*event)(void *opaque, ChardevEvent event);
    void (*writable)(void *opaque);             /* after a short write; may be NULL */
    bool (*backend_changed)(void *opaque, Error **errp);        /* chardev-change; NULL: refuses */
    void *opaque;
};

/* One front end per chardev (mux: several). */
bool chardev_frontend_attach(ChardevFrontend *fe, Chardev *chr, Error **errp);
void chardev_frontend_detach(ChardevFrontend *fe);
/* Callbacks in @fe are filled in; deliver OPENED at once if the back end is open. */
void chardev_frontend_start(ChardevFrontend *fe);
void chardev_frontend_set_open(ChardevFrontend *fe, bool open);
/* Deliver input on @loop's thread from now on. On the thread of the present loop. */
void chardev_frontend_set_loop(ChardevFrontend *fe, EventLoop *loop);
/* Cut the connection to the peer, soon. Any thread. */
void chardev_frontend_disconnect(ChardevFrontend *fe);
/* The front end can take input again. Any thread. */
void chardev_frontend_accept_input(ChardevFrontend *fe);
/* Bytes taken (short when the peer is slow), -1 with errno. Any thread. */
ssize_t chardev_write(ChardevFrontend *fe, const uint8_t *buf, size_t len);
/* All of it, waiting for a slow peer. Any thread. */
bool chardev_write_all(ChardevFrontend *fe, const uint8_t *buf, size_t len);
/* Descriptors that came with the input being received; the caller owns them. */
int chardev_frontend_get_fds(ChardevFrontend *fe, int *fds, int max);
/* Send @fds with the next chardev_write(); duplicated. */
bool chardev_frontend_set_fds(ChardevFrontend *fe, const int *fds, int n);
/* A serial line parameter (see ops->ioctl), or -ENOTSUP. */
int chardev_frontend_ioctl(ChardevFrontend *fe, int cmd, void *arg);

/* For back ends, on the loop's thread: input arrived / state changed / room again. */
size_t chardev_can_receive(Chardev *chr);
void chardev_receive(Chardev *chr, const uint8_t *buf, size_t len);
void chardev_emit(Chardev *chr, ChardevEvent event);
void chardev_writable(Chardev *chr);
/* Have ops->watch run on the loop's thread, at once if this is it. Any thread. */
void chardev_update_watch(Chardev *chr);

/* Property kind for "chardev=ID" fields of type ChardevFrontend. */
extern const PropertyKind prop_kind_chardev;
#define PROP_CHARDEV(n, st, f, desc) PROP_FIELD_(n, chardev, st, f, .description = (desc))

#endif
