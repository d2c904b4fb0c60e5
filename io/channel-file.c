/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Channels on plain descriptors: files, pipes, terminals, and the standard
 * input or output of a shell command.
 *
 * Thread: see include/io/channel.h.
 */
#include "util/osdep.h"

#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "io/channel-internal.h"
#include "util/cutils.h"

extern char **environ;

typedef struct FileChannel {
    IoChannel ch;
    int in, out;                /* the same one for a file; -1: closed or no such direction */
    pid_t pid;                  /* of the command; 0: none */
} FileChannel;

static ssize_t file_readv(IoChannel *ch, const struct iovec *iov, unsigned cnt, int **fds, size_t *nfds,
                          Error **errp)
{
    FileChannel *f = container_of(ch, FileChannel, ch);
    ssize_t n = TEMP_FAILURE_RETRY(readv(f->in, iov, MIN(cnt, IOV_MAX)));

    if (n < 0 && errno == EAGAIN) {
        return IO_CHANNEL_BLOCK;
    }
    /* The other side of a pseudo-terminal that is gone: the end, not a fault. */
    if (n < 0 && errno == EIO && isatty(f->in)) {
        return 0;
    }
    if (n < 0) {
        error_setg_errno(errp, errno, "Unable to read from '%s'", ch->name);
        return IO_CHANNEL_ERR;
    }
    return n;
}

static ssize_t file_writev(IoChannel *ch, const struct iovec *iov, unsigned cnt, const int *fds, size_t nfds,
                           Error **errp)
{
    FileChannel *f = container_of(ch, FileChannel, ch);
    ssize_t n = TEMP_FAILURE_RETRY(writev(f->out, iov, MIN(cnt, IOV_MAX)));

    if (n < 0 && errno == EAGAIN) {
        return IO_CHANNEL_BLOCK;
    }
    if (n < 0) {
        error_setg_errno(errp, errno, "Unable to write to '%s'", ch->name);
        return IO_CHANNEL_ERR;
    }
    return n;
}

static bool set_fd_blocking(int fd, bool blocking)
{
    int flags = fcntl(fd, F_GETFL);
    int wanted = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;

    return flags >= 0 && (flags == wanted || fcntl(fd, F_SETFL, wanted) == 0);
}

static bool file_set_blocking(IoChannel *ch, bool blocking, Error **errp)
{
    FileChannel *f = container_of(ch, FileChannel, ch);

    if ((f->in >= 0 && !set_fd_blocking(f->in, blocking)) || (f->out >= 0 && !set_fd_blocking(f->out, blocking))) {
        error_setg_errno(errp, errno, "Unable to set the blocking mode of '%s'", ch->name);
        return false;
    }
    return true;
}

static int64_t file_seek(IoChannel *ch, int64_t offset, int whence, Error **errp)
{
    FileChannel *f = container_of(ch, FileChannel, ch);
    off_t pos = lseek(f->in >= 0 ? f->in : f->out, offset, whence);

    if (pos < 0) {
        error_setg_errno(errp, errno, "Unable to seek in '%s'", ch->name);
    }
    return pos;
}

static void file_set_handlers(IoChannel *ch, EventLoop *loop, EventFdHandler *on_read, EventFdHandler *on_write,
                              void *opaque)
{
    FileChannel *f = container_of(ch, FileChannel, ch);

    if (f->in == f->out) {
        if (f->in >= 0) {
            event_loop_set_fd(loop, f->in, on_read, on_write, opaque);
        }
        return;
    }
    if (f->in >= 0) {
        event_loop_set_fd(loop, f->in, on_read, NULL, opaque);
    }
    if (f->out >= 0) {
        event_loop_set_fd(loop, f->out, NULL, on_write, opaque);
    }
}

static int file_poll_fd(IoChannel *ch, bool for_write)
{
    FileChannel *f = container_of(ch, FileChannel, ch);

    return for_write ? f->out : f->in;
}

static bool reap_command(FileChannel *f, Error **errp)
{
    int status;

    if (TEMP_FAILURE_RETRY(waitpid(f->pid, &status, 0)) < 0) {
        error_setg_errno(errp, errno, "Cannot wait for command '%s'", f->ch.name);
    } else if (WIFSIGNALED(status)) {
        error_setg(errp, "Command '%s' was ended by signal %d", f->ch.name, WTERMSIG(status));
    } else if (WEXITSTATUS(status)) {
        error_setg(errp, "Command '%s' failed with exit status %d", f->ch.name, WEXITSTATUS(status));
    } else {
        f->pid = 0;
        return true;
    }
    f->pid = 0;
    return false;
}

static bool file_close(IoChannel *ch, Error **errp)
{
    FileChannel *f = container_of(ch, FileChannel, ch);
    bool ok = true;

    if (f->out >= 0 && f->out != f->in && close(f->out) < 0) {
        error_setg_errno(errp, errno, "Unable to close '%s'", ch->name);
        ok = false;
    }
    if (f->in >= 0 && close(f->in) < 0 && ok) {
        error_setg_errno(errp, errno, "Unable to close '%s'", ch->name);
        ok = false;
    }
    f->in = f->out = -1;
    if (f->pid) {
        ok = reap_command(f, ok ? errp : NULL) && ok;
    }
    return ok;
}

static void file_free(IoChannel *ch)
{
    g_free(container_of(ch, FileChannel, ch));
}

static const IoChannelOps file_ops = {
    .name = "file",
    .readv = file_readv,
    .writev = file_writev,
    .set_blocking = file_set_blocking,
    .seek = file_seek,
    .set_handlers = file_set_handlers,
    .poll_fd = file_poll_fd,
    .close = file_close,
    .free = file_free,
};

static FileChannel *file_channel_new(int in, int out, const char *name)
{
    FileChannel *f = g_new0(FileChannel, 1);

    io_channel_init(&f->ch, &file_ops, name);
    f->in = in;
    f->out = out;
    return f;
}

IoChannel *io_channel_new_fd(int fd, const char *name, Error **errp)
{
    struct stat st;

    if (fstat(fd, &st) < 0) {
        error_setg_errno(errp, errno, "Descriptor %d for '%s' cannot be used", fd, name);
        return NULL;
    }
    if (S_ISSOCK(st.st_mode)) {
        return io_channel_new_socket(fd, name);
    }
    return &file_channel_new(fd, fd, name)->ch;
}

IoChannel *io_channel_new_fd_pair(int in, int out, const char *name)
{
    return &file_channel_new(in, out, name)->ch;
}

IoChannel *io_channel_open_file(const char *path, int flags, int mode, Error **errp)
{
    int fd = open_cloexec(path, flags, mode);

    if (fd < 0) {
        error_setg_errno(errp, errno, "Unable to open '%s'", path);
        return NULL;
    }
    return &file_channel_new(fd, fd, path)->ch;
}

static bool make_pipe(int fds[2], Error **errp)
{
    if (pipe2(fds, O_CLOEXEC) < 0) {
        error_setg_errno(errp, errno, "Unable to make a pipe");
        return false;
    }
    return true;
}

static void close_pair(int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

IoChannel *io_channel_new_command(const char *command, bool read, bool write, Error **errp)
{
    char *argv[] = { (char *)"/bin/sh", (char *)"-c", (char *)command, NULL };
    int from_child[2] = { -1, -1 }, to_child[2] = { -1, -1 };
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    FileChannel *f;
    sigset_t none;
    pid_t pid;
    int ret;

    if (read && !make_pipe(from_child, errp)) {
        return NULL;
    }
    if (write && !make_pipe(to_child, errp)) {
        goto undo_from_child;
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attr);
    if (write) {
        posix_spawn_file_actions_adddup2(&actions, to_child[0], STDIN_FILENO);
    } else {
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    }
    if (read) {
        posix_spawn_file_actions_adddup2(&actions, from_child[1], STDOUT_FILENO);
    }
    /* Our threads block signals; the command must not inherit that. */
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
    ret = posix_spawn(&pid, argv[0], &actions, &attr, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    if (ret) {
        error_setg_errno(errp, ret, "Unable to run command '%s'", command);
        goto undo_to_child;
    }
    if (read) {
        close(from_child[1]);
    }
    if (write) {
        close(to_child[0]);
    }
    f = file_channel_new(from_child[0], to_child[1], command);
    f->pid = pid;
    return &f->ch;

undo_to_child:
    if (write) {
        close_pair(to_child);
    }
undo_from_child:
    if (read) {
        close_pair(from_child);
    }
    return NULL;
}
