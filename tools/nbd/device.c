/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qemu-nbd -c and -d: the kernel's NBD client (linux/nbd.h). The kernel works
 * while a thread of ours is in an ioctl.
 */
#include "util/osdep.h"
#include <linux/fs.h>
#include <linux/nbd.h>
#include <sys/ioctl.h>
#include "nbd.h"
#include "util/thread.h"

#define KERNEL_BLOCK 512

struct NbdDevice {
    char *name;
    char *socket_path;
    int fd;
    bool verbose;
    void (*ended)(int status);
    int status;
};

NbdDevice *nbd_device_open(const char *device)
{
    int fd = open(device, O_RDWR | O_CLOEXEC);
    NbdDevice *d;

    if (fd < 0) {
        error_report("Failed to open %s: %s", device, g_strerror(errno));
        return NULL;
    }
    d = g_new0(NbdDevice, 1);
    d->name = g_strdup(device);
    d->fd = fd;
    return d;
}

static void device_ended(void *opaque)
{
    NbdDevice *d = opaque;

    d->ended(d->status);
}

/* What the kernel must know before it starts. */
static bool configure(NbdDevice *d, const NbdExportInfo *info, IoChannel *ch)
{
    int read_only = !!(info->flags & NBD_FLAG_READ_ONLY);
    unsigned long flags = info->flags;

    if (ioctl(d->fd, NBD_SET_SOCK, (unsigned long)io_channel_socket_fd(ch)) < 0) {
        error_report("Failed to set NBD socket of %s: %s", d->name, g_strerror(errno));
        return false;
    }
    if (ioctl(d->fd, NBD_SET_BLKSIZE, (unsigned long)KERNEL_BLOCK) < 0 ||
        ioctl(d->fd, NBD_SET_SIZE_BLOCKS, (unsigned long)(info->size / KERNEL_BLOCK)) < 0) {
        error_report("Failed to set the size of %s: %s", d->name, g_strerror(errno));
        return false;
    }
    if (info->size % KERNEL_BLOCK) {
        warn_report("Export size %" PRIu64 " is no multiple of %d, the rest is lost", info->size, KERNEL_BLOCK);
    }
    if (ioctl(d->fd, NBD_SET_FLAGS, flags) < 0) {
        if (errno != ENOTTY || (read_only && ioctl(d->fd, BLKROSET, &read_only) < 0)) {
            error_report("Failed to set flags of %s: %s", d->name, g_strerror(errno));
            return false;
        }
    }
    return true;
}

static bool run_device(NbdDevice *d)
{
    SocketAddress addr = { .type = SOCKET_ADDRESS_TYPE_UNIX, .u.q_unix.path = d->socket_path };
    NbdExportInfo info = { .name = g_strdup("") };
    NbdClientTls tls = { 0 };
    Error *err = NULL;
    IoChannel *ch = io_channel_connect(&addr, &err);
    bool ok = ch && nbd_client_negotiate(&ch, &tls, "base:allocation", &info, &err);

    if (!ok) {
        error_report_err(err);
    } else {
        /* The kernel knows no structured replies. */
        ok = configure(d, &info, ch);
    }
    if (ok) {
        if (d->verbose) {
            fprintf(stderr, "NBD device %s is now connected to %s\n", d->name, d->socket_path);
        }
        if (ioctl(d->fd, NBD_DO_IT) < 0 && errno != EPIPE) {
            error_report("%s: %s", d->name, g_strerror(errno));
        }
        ioctl(d->fd, NBD_CLEAR_QUE);
        ioctl(d->fd, NBD_CLEAR_SOCK);
    }
    io_channel_unref(ch);
    nbd_export_info_clear(&info);
    return ok;
}

static void *device_thread(void *opaque)
{
    NbdDevice *d = opaque;

    d->status = run_device(d) ? EXIT_SUCCESS : EXIT_FAILURE;
    event_loop_run_soon(event_loop_main(), device_ended, d);
    return NULL;
}

bool nbd_device_start(NbdDevice *d, const char *socket_path, bool verbose, void (*ended)(int status))
{
    pthread_t thread;
    Error *err = NULL;

    d->socket_path = g_strdup(socket_path);
    d->verbose = verbose;
    d->ended = ended;
    if (!thread_create(&thread, "nbd-device", device_thread, d, &err)) {
        error_report_err(err);
        return false;
    }
    pthread_detach(thread);
    return true;
}

void nbd_device_stop(NbdDevice *d)
{
    ioctl(d->fd, NBD_CLEAR_QUE);
    ioctl(d->fd, NBD_DISCONNECT);
}

int nbd_device_disconnect(const char *device)
{
    int fd = open(device, O_RDWR | O_CLOEXEC);

    if (fd < 0) {
        error_report("Cannot open %s: %s", device, g_strerror(errno));
        return EXIT_FAILURE;
    }
    if (ioctl(fd, NBD_CLEAR_QUE) < 0 || ioctl(fd, NBD_DISCONNECT) < 0 || ioctl(fd, NBD_CLEAR_SOCK) < 0) {
        error_report("Cannot disconnect %s: %s", device, g_strerror(errno));
        close(fd);
        return EXIT_FAILURE;
    }
    close(fd);
    printf("%s disconnected\n", device);
    return EXIT_SUCCESS;
}
