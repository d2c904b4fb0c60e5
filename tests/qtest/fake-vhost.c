/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Preloaded into an emulator, this library makes a sequenced-packet socket look like an open
 * /dev/vhost-net: vhost requests on it go to the test at the other end as messages (request,
 * argument, descriptor), whose answers (result, argument) are what ioctl() gives. Everything
 * else is the kernel's.
 */
#include <errno.h>
#include <linux/vhost.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef struct Message {
    int64_t head;               /* request; result */
    uint8_t arg[4096];
} Message;

static size_t arg_size(unsigned long request, const void *arg)
{
    if (request == VHOST_SET_MEM_TABLE) {
        const struct vhost_memory *m = arg;

        return sizeof(*m) + m->nregions * sizeof(m->regions[0]);
    }
    return request == VHOST_SET_OWNER ? 0 : _IOC_SIZE(request);
}

static int ask(int fd, unsigned long request, void *arg)
{
    Message m = { .head = (int64_t)request };
    size_t size = arg_size(request, arg);
    struct iovec iov = { &m, sizeof(m.head) + size };
    union { char buf[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control = { { 0 } };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
    const struct vhost_vring_file *file = arg;

    memcpy(m.arg, arg, size);
    if ((request == VHOST_SET_VRING_KICK || request == VHOST_SET_VRING_CALL) && file->fd >= 0) {
        struct cmsghdr *c = &control.align;

        *c = (struct cmsghdr) { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
        memcpy(CMSG_DATA(c), &file->fd, sizeof(int));
        msg.msg_control = &control;
        msg.msg_controllen = sizeof(control);
    }
    if (sendmsg(fd, &msg, MSG_NOSIGNAL) < 0 || recv(fd, &m, sizeof(m), 0) < (ssize_t)sizeof(m.head)) {
        errno = EIO;
        return -1;
    }
    if (_IOC_DIR(request) & _IOC_READ) {
        memcpy(arg, m.arg, size);
    }
    errno = m.head < 0 ? (int)-m.head : 0;
    return m.head < 0 ? -1 : 0;
}

__attribute__((visibility("default"))) int ioctl(int fd, unsigned long request, ...)
{
    int type = 0;
    socklen_t len = sizeof(type);
    va_list ap;
    void *arg;

    va_start(ap, request);
    arg = va_arg(ap, void *);
    va_end(ap);
    if (_IOC_TYPE(request) == VHOST_VIRTIO && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_SEQPACKET) {
        return ask(fd, request, arg);
    }
    return (int)syscall(SYS_ioctl, fd, request, arg);
}
