/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "stdio": standard input and output, of which there is one. A terminal is put
 * into raw mode, and both descriptors into non-blocking mode; they are shared
 * with the shell, so everything is put back when the device closes.
 *
 * Thread: main thread; handlers on the device's loop.
 */
#include "util/osdep.h"
#include <termios.h>
#include "chardev/chardev-internal.h"
#include "qapi-types.h"
#include "util/process.h"

static struct {
    bool in_use;
    bool is_tty;
    struct termios tty;
    int flags[2];
} saved;

static void restore(void)
{
    if (!saved.in_use) {
        return;
    }
    saved.in_use = false;
    if (saved.is_tty) {
        tcsetattr(0, TCSANOW, &saved.tty);
    }
    for (int fd = 0; fd < 2; fd++) {
        if (saved.flags[fd] >= 0) {
            fcntl(fd, F_SETFL, saved.flags[fd]);
        }
    }
}

static void set_raw(bool signals)
{
    struct termios t = saved.tty;

    t.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    t.c_oflag |= OPOST;
    t.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN);
    if (!signals) {
        t.c_lflag &= ~(tcflag_t)ISIG;
    }
    t.c_cflag &= ~(tcflag_t)(CSIZE | PARENB);
    t.c_cflag |= CS8;
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
    tcsetattr(0, TCSANOW, &t);
}

static bool stdio_open(Chardev *chr, const ChardevBackend *backend, Error **errp)
{
    FdChardev *s = (FdChardev *)chr;
    const ChardevStdio *o = backend->u.stdio.data;

    if (process_is_daemon()) {
        error_setg(errp, "cannot use stdio with -daemonize");
        return false;
    }
    if (saved.in_use) {
        error_setg(errp, "cannot use stdio by multiple character devices");
        return false;
    }
    saved.in_use = true;
    saved.is_tty = tcgetattr(0, &saved.tty) == 0;
    for (int fd = 0; fd < 2; fd++) {
        saved.flags[fd] = fcntl(fd, F_GETFL);
        chardev_set_nonblocking(fd);
    }
    if (saved.is_tty) {
        set_raw(!o->has_signal || o->signal);
    }
    /* A crash that still runs exit handlers must not leave a raw terminal. */
    static bool registered;
    if (!registered) {
        registered = true;
        atexit(restore);
    }
    s->in_fd = 0;
    s->out_fd = 1;
    s->keep_fds = true;
    chardev_emit(chr, CHARDEV_OPENED);
    return true;
}

static void stdio_close(Chardev *chr)
{
    chardev_fd_close(chr);
    restore();
}

static const ChardevOps stdio_ops = {
    .open = stdio_open, .close = stdio_close, .write = chardev_fd_write,
    .watch = chardev_fd_watch, .unwatch = chardev_fd_unwatch,
};

OBJECT_TYPE_STATIC(chardev_stdio_type) = {
    .name = "chardev-stdio", .parent = &chardev_fd_type,
    .impls = TYPE_IMPLS({ &chardev_type, &stdio_ops }),
};
