/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Going to the background, and the pidfile, see process.h. Main thread. */
#include "util/osdep.h"
#include <signal.h>
#include <sys/stat.h>
#include "util/cutils.h"
#include "util/process.h"

/* ---- -daemonize ---- */

static int ready_fd = -1;       /* the child writes one byte here when it can be used */

/* The parent's part: leave as the child says, or as it ended. */
static G_GNUC_NORETURN void wait_for_child(int fd)
{
    uint8_t byte;

    exit(read_full(fd, &byte, 1) ? EXIT_SUCCESS : EXIT_FAILURE);
}

bool process_daemonize(Error **errp)
{
    int fds[2];
    pid_t pid;

    if (pipe2(fds, O_CLOEXEC) < 0) {
        error_setg_errno(errp, errno, "cannot create a pipe");
        return false;
    }
    pid = fork();
    if (pid < 0) {
        error_setg_errno(errp, errno, "cannot fork");
        close(fds[0]);
        close(fds[1]);
        return false;
    }
    if (pid > 0) {
        close(fds[1]);
        wait_for_child(fds[0]);
    }
    close(fds[0]);
    ready_fd = fds[1];
    setsid();
    /* A second fork: never the leader of a session, so no terminal becomes ours. */
    pid = fork();
    if (pid != 0) {
        _exit(pid < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
    }
    umask(027);
    signal(SIGTSTP, SIG_IGN);
    signal(SIGTTOU, SIG_IGN);
    signal(SIGTTIN, SIG_IGN);
    return true;
}

bool process_is_daemon(void)
{
    return ready_fd >= 0;
}

bool process_finish_daemonize(Error **errp)
{
    uint8_t byte = 0;
    int null;

    if (ready_fd < 0) {
        return true;
    }
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || chdir("/") < 0) {
        error_setg_errno(errp, errno, "cannot leave the terminal");
        return false;
    }
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    if (null > STDERR_FILENO) {
        close(null);
    }
    write_full(ready_fd, &byte, 1);
    close(ready_fd);
    ready_fd = -1;
    return true;
}

/* ---- -pidfile ---- */

static char *pidfile_path;      /* absolute: the working folder changes */

static bool lock_pidfile(int fd, const char *path, Error **errp)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    if (fcntl(fd, F_SETLK, &lock) == 0) {
        return true;
    }
    error_setg_errno(errp, errno, "cannot create PID file: Could not lock '%s'", path);
    return false;
}

bool process_write_pidfile(const char *path, Error **errp)
{
    struct stat by_fd, by_path;
    char text[24];
    int len = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    int fd;

    /* Another process may remove the file between open and lock; then try again. */
    for (;;) {
        fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        if (fd < 0) {
            error_setg_errno(errp, errno, "cannot create PID file: Could not create '%s'", path);
            return false;
        }
        if (!lock_pidfile(fd, path, errp)) {
            close(fd);
            return false;
        }
        if (fstat(fd, &by_fd) == 0 && stat(path, &by_path) == 0 &&
            by_fd.st_ino == by_path.st_ino && by_fd.st_dev == by_path.st_dev) {
            break;
        }
        close(fd);
    }
    if (ftruncate(fd, 0) < 0 || !write_full(fd, text, len)) {
        error_setg_errno(errp, errno, "cannot create PID file: Could not write '%s'", path);
        close(fd);
        return false;
    }
    /* The descriptor stays open: the lock lasts as long as the process. */
    pidfile_path = g_canonicalize_filename(path, NULL);
    return true;
}

void process_cleanup(void)
{
    if (pidfile_path) {
        unlink_type(pidfile_path, S_IFREG);
        g_clear_pointer(&pidfile_path, g_free);
    }
}
