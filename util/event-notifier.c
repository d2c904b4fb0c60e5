/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Notifiers: an eventfd (include/util/event-loop.h). Any thread. */
#include "util/osdep.h"
#include <sys/eventfd.h>
#include "util/event-loop.h"

bool event_notifier_init(EventNotifier *n, bool set, Error **errp)
{
    n->fd = eventfd(set, EFD_CLOEXEC | EFD_NONBLOCK);
    if (n->fd < 0) {
        error_setg_errno(errp, errno, "cannot create an event notifier");
        return false;
    }
    return true;
}

void event_notifier_cleanup(EventNotifier *n)
{
    if (n->fd >= 0) {
        close(n->fd);
        n->fd = -1;
    }
}

void event_notifier_set(EventNotifier *n)
{
    static const uint64_t one = 1;
    int saved_errno = errno;

    /* EAGAIN says that the counter is full: then it is set. */
    (void)!write(n->fd, &one, sizeof(one));
    errno = saved_errno;
}

bool event_notifier_test_and_clear(EventNotifier *n)
{
    uint64_t count;

    return read(n->fd, &count, sizeof(count)) == sizeof(count);
}
