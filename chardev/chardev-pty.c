/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "pty": a new pseudo terminal. The kernel does not tell when somebody opens
 * the other end, only that nobody has it open (POLLHUP), so that is looked at
 * once a second while the device is closed, and when there is output.
 *
 * Thread: handlers on the device's loop, write from any thread.
 */
#include "util/osdep.h"
#include <poll.h>
#include <termios.h>
#include "chardev/chardev-internal.h"
#include "qapi-types.h"

#define LOOK_NS (1000 * 1000 * 1000LL)

typedef struct PtyChardev {
    FdChardev fd;
    Timer timer;
    EventLoop *timer_loop;      /* on which the timer is */
    char *path;
} PtyChardev;

static PtyChardev *pty_chardev(Chardev *chr)
{
    return (PtyChardev *)chr;
}

static bool somebody_there(const PtyChardev *s)
{
    struct pollfd p = { .fd = s->fd.in_fd, .events = POLLOUT };

    return poll(&p, 1, 0) >= 0 && !(p.revents & POLLHUP);
}

/* On the loop's thread: notice that the other end was opened. */
static void look(void *opaque)
{
    Chardev *chr = opaque;
    PtyChardev *s = pty_chardev(chr);

    if (chr->closed || chr->be_open) {
        return;
    }
    if (somebody_there(s)) {
        s->fd.eof = false;
        chardev_emit(chr, CHARDEV_OPENED);
    } else {
        timer_arm_ns(&s->timer, clock_now_ns(CLOCK_TYPE_REALTIME) + LOOK_NS);
    }
}

static void pty_hangup(Chardev *chr)
{
    if (chr->be_open) {
        chardev_emit(chr, CHARDEV_CLOSED);
    }
    chardev_update_watch(chr);
}

static void pty_watch(Chardev *chr)
{
    PtyChardev *s = pty_chardev(chr);

    if (s->timer_loop != chr->loop) {
        timer_init(&s->timer, chr->loop, CLOCK_TYPE_REALTIME, look, chr);
        s->timer_loop = chr->loop;
    }
    if (chr->be_open) {
        chardev_fd_watch(chr);
    } else if (!timer_armed(&s->timer)) {
        chardev_fd_unwatch(chr);
        look(chr);
    }
}

static void pty_unwatch(Chardev *chr)
{
    timer_disarm(&pty_chardev(chr)->timer);
    chardev_fd_unwatch(chr);
}

static ssize_t pty_write(Chardev *chr, const uint8_t *buf, size_t len)
{
    /* Output that nobody reads vanishes; the kernel would keep the first 4 KiB and then block. */
    if (!chr->be_open) {
        if (!somebody_there(pty_chardev(chr))) {
            return (ssize_t)len;
        }
        chardev_watch_soon(chr);
    }
    return chardev_fd_write(chr, buf, len);
}

/* The other end's settings, which stay while the master is open. */
static bool make_raw(const char *path, Error **errp)
{
    int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios t;

    if (fd < 0 || tcgetattr(fd, &t) < 0) {
        error_setg_errno(errp, errno, "Failed to create PTY");
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    cfmakeraw(&t);
    tcsetattr(fd, TCSAFLUSH, &t);
    close(fd);
    return true;
}

static bool pty_open(Chardev *chr, const ChardevBackend *backend, Error **errp)
{
    PtyChardev *s = pty_chardev(chr);
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    char path[64];

    if (fd < 0 || grantpt(fd) < 0 || unlockpt(fd) < 0 || ptsname_r(fd, path, sizeof(path)) != 0) {
        error_setg_errno(errp, errno, "Failed to create PTY");
        goto undo_fd;
    }
    if (!make_raw(path, errp)) {
        goto undo_fd;
    }
    chardev_set_nonblocking(fd);
    s->fd.in_fd = s->fd.out_fd = fd;
    s->fd.hangup = pty_hangup;
    s->path = g_strdup(path);
    chr->filename = g_strdup_printf("pty:%s", path);
    return true;

undo_fd:
    if (fd >= 0) {
        close(fd);
    }
    return false;
}

static void pty_close(Chardev *chr)
{
    timer_disarm(&pty_chardev(chr)->timer);
    chardev_fd_close(chr);
}

static const ChardevOps pty_ops = {
    .open = pty_open, .close = pty_close, .write = pty_write,
    .watch = pty_watch, .unwatch = pty_unwatch,
};

static void pty_finalize(Object *obj)
{
    g_free(pty_chardev((Chardev *)obj)->path);
}

OBJECT_TYPE_STATIC(chardev_pty_type) = {
    .name = "chardev-pty", .parent = &chardev_fd_type,
    .instance_size = sizeof(PtyChardev),
    .instance_finalize = pty_finalize,
    .impls = TYPE_IMPLS({ &chardev_type, &pty_ops }),
};

const char *chardev_pty_path(const Chardev *chr)
{
    return object_is_a(chr, &chardev_pty_type) ? ((const PtyChardev *)chr)->path : NULL;
}
