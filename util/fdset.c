/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets of passed file descriptors (include/util/fdset.h). One list under one
 * mutex: a handful of entries, touched when images are opened. Any thread;
 * the descriptors come from management and are trusted like paths from it.
 */
#include "util/osdep.h"
#include "util/cutils.h"
#include "util/fdset.h"

typedef struct FdSetMember {
    int64_t id;
    int fd;
    char *opaque_text;
} FdSetMember;

static GMutex lock;
static GSList *members;         /* of FdSetMember, sorted by set, then descriptor */

static gint member_compare(gconstpointer pa, gconstpointer pb)
{
    const FdSetMember *a = pa, *b = pb;

    if (a->id != b->id) {
        return a->id < b->id ? -1 : 1;
    }
    return a->fd - b->fd;
}

static void member_free(FdSetMember *m)
{
    close(m->fd);
    g_free(m->opaque_text);
    g_free(m);
}

static int64_t unused_id(void)
{
    int64_t id = 0;

    for (GSList *l = members; l; l = l->next) {
        FdSetMember *m = l->data;

        if (m->id > id) {
            break;
        }
        id = m->id + 1;
    }
    return id;
}

bool fdset_add_fd(int64_t *id, int fd, const char *opaque_text, Error **errp)
{
    FdSetMember *m;

    if (fcntl(fd, F_GETFD) < 0) {
        error_setg_errno(errp, errno, "cannot add descriptor %d to an fd set", fd);
        return false;
    }
    g_mutex_lock(&lock);
    if (*id < 0) {
        *id = unused_id();
    }
    m = g_new0(FdSetMember, 1);
    m->id = *id;
    m->fd = fd;
    m->opaque_text = g_strdup(opaque_text);
    members = g_slist_insert_sorted(members, m, member_compare);
    g_mutex_unlock(&lock);
    return true;
}

bool fdset_remove_fd(int64_t id, int fd, Error **errp)
{
    bool found = false;
    GSList *next;

    g_mutex_lock(&lock);
    for (GSList *l = members; l; l = next) {
        FdSetMember *m = l->data;

        next = l->next;
        if (m->id == id && (fd < 0 || m->fd == fd)) {
            found = true;
            members = g_slist_delete_link(members, l);
            member_free(m);
        }
    }
    g_mutex_unlock(&lock);
    if (!found) {
        if (fd < 0) {
            error_setg(errp, "File descriptor named 'fdset-id:%" PRId64 "' not found", id);
        } else {
            error_setg(errp, "File descriptor named 'fdset-id:%" PRId64 ", fd:%d' not found",
                       id, fd);
        }
    }
    return found;
}

void fdset_for_each(FdSetVisit *fn, void *opaque)
{
    g_mutex_lock(&lock);
    for (GSList *l = members; l; l = l->next) {
        FdSetMember *m = l->data;

        fn(m->id, m->fd, m->opaque_text, opaque);
    }
    g_mutex_unlock(&lock);
}

int fdset_open(const char *path, int flags)
{
    bool set_found = false;
    int64_t id;
    int fd = -1, err = 0;

    if (parse_int64(path + strlen(FDSET_PREFIX), 10, &id) < 0 || id < 0) {
        errno = EINVAL;
        return -1;
    }
    g_mutex_lock(&lock);
    for (GSList *l = members; l && fd < 0 && !err; l = l->next) {
        FdSetMember *m = l->data;
        int mode;

        if (m->id != id) {
            continue;
        }
        set_found = true;
        mode = fcntl(m->fd, F_GETFL);
        if (mode >= 0 && (mode & O_ACCMODE) == (flags & O_ACCMODE)) {
            fd = fcntl(m->fd, F_DUPFD_CLOEXEC, 0);
            err = fd < 0 ? errno : 0;
        }
    }
    g_mutex_unlock(&lock);
    if (fd < 0) {
        errno = err ? err : set_found ? EACCES : ENOENT;
    }
    return fd;
}
