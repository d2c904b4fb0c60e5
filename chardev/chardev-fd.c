/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Back ends on plain descriptors: reading with flow control and non-blocking
 * writing; and those that need little more: null, file, pipe.
 *
 * Thread: handlers on the device's loop, write from any thread.
 */
#include "util/osdep.h"
#include <sys/stat.h>
#include "chardev/chardev-internal.h"
#include "qapi-types.h"
#include "util/cutils.h"

#define READ_SIZE 4096

static FdChardev *fd_chardev(Chardev *chr)
{
    return (FdChardev *)chr;
}

static void on_readable(void *opaque)
{
    Chardev *chr = opaque;
    FdChardev *s = fd_chardev(chr);
    uint8_t buf[READ_SIZE];
    size_t room = chardev_can_receive(chr);
    ssize_t n;

    if (room == 0) {
        chardev_fd_watch(chr);
        return;
    }
    n = TEMP_FAILURE_RETRY(read(s->in_fd, buf, MIN(room, sizeof(buf))));
    if (n > 0) {
        chardev_receive(chr, buf, (size_t)n);
        chardev_update_watch(chr);
    } else if (n == 0 || errno != EAGAIN) {
        s->eof = true;
        chardev_fd_watch(chr);
        if (s->hangup != NULL) {
            s->hangup(chr);
        } else {
            chardev_emit(chr, CHARDEV_CLOSED);
        }
    }
}

static void on_writable(void *opaque)
{
    Chardev *chr = opaque;

    pthread_mutex_lock(&chr->write_lock);
    fd_chardev(chr)->want_write = false;
    pthread_mutex_unlock(&chr->write_lock);
    chardev_fd_watch(chr);
    chardev_writable(chr);
}

static void set_handlers(Chardev *chr, bool rd, bool wr)
{
    FdChardev *s = fd_chardev(chr);
    EventFdHandler *on_read = rd ? on_readable : NULL, *on_write = wr ? on_writable : NULL;

    if (s->in_fd == s->out_fd) {
        event_loop_set_fd(chr->loop, s->in_fd, on_read, on_write, chr);
        return;
    }
    if (s->in_fd >= 0) {
        event_loop_set_fd(chr->loop, s->in_fd, on_read, NULL, chr);
    }
    if (s->out_fd >= 0) {
        event_loop_set_fd(chr->loop, s->out_fd, NULL, on_write, chr);
    }
}

void chardev_fd_watch(Chardev *chr)
{
    FdChardev *s = fd_chardev(chr);
    bool wr;

    pthread_mutex_lock(&chr->write_lock);
    wr = s->want_write;
    pthread_mutex_unlock(&chr->write_lock);
    set_handlers(chr, s->in_fd >= 0 && !s->eof && chardev_can_receive(chr) > 0, wr);
}

void chardev_fd_unwatch(Chardev *chr)
{
    set_handlers(chr, false, false);
}

ssize_t chardev_fd_write(Chardev *chr, const uint8_t *buf, size_t len)
{
    FdChardev *s = fd_chardev(chr);
    ssize_t n;
    int err;

    if (s->out_fd < 0) {
        return (ssize_t)len;
    }
    n = TEMP_FAILURE_RETRY(write(s->out_fd, buf, len));
    err = errno;
    if (!s->want_write && ((n >= 0 && (size_t)n < len) || (n < 0 && err == EAGAIN))) {
        s->want_write = true;
        chardev_watch_soon(chr);
    }
    errno = err;
    return n;
}

void chardev_fd_close(Chardev *chr)
{
    FdChardev *s = fd_chardev(chr);

    if (s->in_fd >= 0 || s->out_fd >= 0) {
        chardev_fd_unwatch(chr);
    }
    if (!s->keep_fds) {
        if (s->in_fd >= 0) {
            close(s->in_fd);
        }
        if (s->out_fd >= 0 && s->out_fd != s->in_fd) {
            close(s->out_fd);
        }
    }
    s->in_fd = s->out_fd = -1;
}

static void fd_init(Object *obj)
{
    FdChardev *s = (FdChardev *)obj;

    s->in_fd = s->out_fd = -1;
}

OBJECT_TYPE(chardev_fd_type) = {
    .name = "chardev-fd", .parent = &chardev_type, .abstract = true,
    .instance_size = sizeof(FdChardev),
    .instance_init = fd_init,
};

/* ---- null ---- */

static bool null_open(Chardev *chr, const ChardevBackend *backend, Error **errp)
{
    chardev_emit(chr, CHARDEV_OPENED);
    return true;
}

static ssize_t null_write(Chardev *chr, const uint8_t *buf, size_t len)
{
    return (ssize_t)len;
}

static const ChardevOps null_ops = { .open = null_open, .write = null_write };

OBJECT_TYPE_STATIC(chardev_null_type) = {
    .name = "chardev-null", .parent = &chardev_type,
    .impls = TYPE_IMPLS({ &chardev_type, &null_ops }),
};

/* ---- file ---- */

static bool file_open(Chardev *chr, const ChardevBackend *backend, Error **errp)
{
    FdChardev *s = fd_chardev(chr);
    const ChardevFile *f = backend->u.file.data;
    bool append = f->has_append && f->append;
    int out, in = -1;

    out = chardev_open_path(f->out, O_WRONLY | O_CREAT | (append ? O_APPEND : O_TRUNC), errp);
    if (out < 0) {
        return false;
    }
    if (f->in != NULL) {
        in = chardev_open_path(f->in, O_RDONLY | O_NONBLOCK, errp);
        if (in < 0) {
            close(out);
            return false;
        }
    }
    s->in_fd = in;
    s->out_fd = out;
    chardev_emit(chr, CHARDEV_OPENED);
    return true;
}

static const ChardevOps file_ops = {
    .open = file_open, .close = chardev_fd_close, .write = chardev_fd_write,
    .watch = chardev_fd_watch, .unwatch = chardev_fd_unwatch,
};

OBJECT_TYPE_STATIC(chardev_file_type) = {
    .name = "chardev-file", .parent = &chardev_fd_type,
    .impls = TYPE_IMPLS({ &chardev_type, &file_ops }),
};

/* ---- pipe ---- */

static bool pipe_open(Chardev *chr, const ChardevBackend *backend, Error **errp)
{
    FdChardev *s = fd_chardev(chr);
    const char *path = backend->u.pipe.data->device;
    g_autofree char *in_path = g_strdup_printf("%s.in", path);
    g_autofree char *out_path = g_strdup_printf("%s.out", path);
    /* Opened for both directions, so that it neither waits for a peer nor ends with one. */
    int in = open_cloexec(in_path, O_RDWR | O_NONBLOCK);
    int out = open_cloexec(out_path, O_RDWR | O_NONBLOCK);

    if (in < 0 || out < 0) {
        if (in >= 0) {
            close(in);
        }
        if (out >= 0) {
            close(out);
        }
        in = out = chardev_open_path(path, O_RDWR | O_NONBLOCK, errp);
        if (in < 0) {
            return false;
        }
    }
    s->in_fd = in;
    s->out_fd = out;
    chardev_emit(chr, CHARDEV_OPENED);
    return true;
}

static const ChardevOps pipe_ops = {
    .open = pipe_open, .close = chardev_fd_close, .write = chardev_fd_write,
    .watch = chardev_fd_watch, .unwatch = chardev_fd_unwatch,
};

OBJECT_TYPE_STATIC(chardev_pipe_type) = {
    .name = "chardev-pipe", .parent = &chardev_fd_type,
    .impls = TYPE_IMPLS({ &chardev_type, &pipe_ops }),
};
