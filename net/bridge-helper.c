/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bridge helper: a privileged program that makes a TAP interface, puts it
 * on a bridge if its own configuration allows that, and sends the descriptor
 * over a socket. It is called with --use-vnet --fd=N --br=BRIDGE.
 *
 * Thread: main thread. Trust: the helper.
 */
#include "util/osdep.h"

#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "io/channel.h"
#include "net/tap.h"
#include "util/cutils.h"

extern char **environ;

/* Starts @helper with @fd open; -1 with errno. A text with spaces is for the shell. */
static pid_t start_helper(const char *helper, const char *br, int fd)
{
    g_autofree char *fd_arg = g_strdup_printf("--fd=%d", fd), *br_arg = g_strdup_printf("--br=%s", br);
    g_autofree char *command = g_strdup_printf("%s --use-vnet %s %s", helper, fd_arg, strstr(helper, "--br=") ? "" : br_arg);
    const char *plain[] = { helper, "--use-vnet", fd_arg, br_arg, NULL };
    const char *shell[] = { "/bin/sh", "-c", command, NULL };
    const char **argv = strpbrk(helper, " \t") ? shell : plain;
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int ret;

    posix_spawn_file_actions_init(&actions);
    /* On itself: that makes it stay open in the child. */
    posix_spawn_file_actions_adddup2(&actions, fd, fd);
    ret = posix_spawn(&pid, argv[0], &actions, NULL, (char **)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    errno = ret;
    return ret ? -1 : pid;
}

/* The first descriptor that comes; -1 at the end of the stream. */
static int receive_fd(IoChannel *ch)
{
    char byte;
    struct iovec iov = { &byte, 1 };
    int *fds = NULL, fd = -1;
    size_t n_fds = 0;

    if (io_channel_readv(ch, &iov, 1, &fds, &n_fds, NULL) > 0 && n_fds) {
        fd = fds[0];
    }
    for (size_t i = 1; i < n_fds; i++) {
        close(fds[i]);
    }
    if (fd < 0 && n_fds) {
        close(fds[0]);
    }
    g_free(fds);
    return fd;
}

int tap_open_bridge(const char *br, const char *helper, Error **errp)
{
    g_autoptr(IoChannel) ch = NULL;
    int sv[2], fd, status = -1;
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0) {
        error_setg_errno(errp, errno, "socketpair() failed");
        return -1;
    }
    pid = start_helper(helper ?: TAP_DEFAULT_BRIDGE_HELPER, br ?: TAP_DEFAULT_BRIDGE, sv[1]);
    close(sv[1]);
    if (pid < 0) {
        error_setg_errno(errp, errno, "bridge helper failed: cannot start '%s'", helper ?: TAP_DEFAULT_BRIDGE_HELPER);
        close(sv[0]);
        return -1;
    }
    ch = io_channel_new_fd(sv[0], "bridge-helper", errp);
    if (!ch) {
        return -1;
    }
    fd = receive_fd(ch);
    TEMP_FAILURE_RETRY(waitpid(pid, &status, 0));
    if (fd < 0 || !WIFEXITED(status) || WEXITSTATUS(status)) {
        error_setg(errp, "bridge helper failed");
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}
