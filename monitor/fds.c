/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Descriptors that clients pass: those that just arrived, those with a name
 * (getfd), and sets (add-fd).
 *
 * Thread: arrival on the character device's loop, commands on the main thread.
 * Trust: a client may pass what nobody asked for; it is closed when the next
 * descriptor arrives with nothing left to do.
 */
#include "util/osdep.h"
#include "monitor/monitor-internal.h"
#include "qapi-commands.h"
#include "util/fdset.h"

#define FDS_AT_ONCE 16

static void close_passed_locked(Monitor *mon)
{
    for (unsigned i = 0; i < mon->passed_fds->len; i++) {
        close(g_array_index(mon->passed_fds, int, i));
    }
    g_array_set_size(mon->passed_fds, 0);
}

void monitor_close_passed_fds(Monitor *mon)
{
    pthread_mutex_lock(&mon->lock);
    close_passed_locked(mon);
    pthread_mutex_unlock(&mon->lock);
}

void monitor_take_passed_fds(Monitor *mon, bool idle)
{
    int fds[FDS_AT_ONCE];
    int n = chardev_frontend_get_fds(&mon->fe, fds, FDS_AT_ONCE);

    if (n > 0) {
        pthread_mutex_lock(&mon->lock);
        if (idle || mon->passed_fds->len > FDS_AT_ONCE * QUEUE_MAX) {
            close_passed_locked(mon);
        }
        g_array_append_vals(mon->passed_fds, fds, (guint)n);
        pthread_mutex_unlock(&mon->lock);
    }
}

/* The oldest that nobody took; -1 with an error. */
static int next_passed_fd(Error **errp)
{
    Monitor *mon = monitor_current();
    int fd = -1;

    if (mon == NULL) {          /* a human monitor: a terminal passes none */
        error_setg(errp, "No file descriptor supplied via SCM_RIGHTS");
        return -1;
    }
    pthread_mutex_lock(&mon->lock);
    if (mon->passed_fds->len > 0) {
        fd = g_array_index(mon->passed_fds, int, 0);
        g_array_remove_index(mon->passed_fds, 0);
    }
    pthread_mutex_unlock(&mon->lock);
    if (fd < 0) {
        error_setg(errp, "No file descriptor supplied via SCM_RIGHTS");
    }
    return fd;
}

/* ---- descriptors with a name ---- */

/* Takes it out of the list; -1 when there is none. */
static int steal_named(Monitor *mon, const char *name)
{
    int fd = -1;

    pthread_mutex_lock(&mon->lock);
    for (unsigned i = 0; i < mon->named_fds->len; i++) {
        NamedFd *n = &g_array_index(mon->named_fds, NamedFd, i);

        if (strcmp(n->name, name) == 0) {
            fd = n->fd;
            g_free(n->name);
            g_array_remove_index(mon->named_fds, i);
            break;
        }
    }
    pthread_mutex_unlock(&mon->lock);
    return fd;
}

int monitor_take_fd(Monitor *mon, const char *name, Error **errp)
{
    int fd = steal_named(mon, name);

    if (fd < 0) {
        error_setg(errp, "File descriptor named '%s' has not been found", name);
    }
    return fd;
}

/* For fd_param(): a name in a command's argument. */
static int lookup_name(const char *name, Error **errp)
{
    if (monitor_current() == NULL) {
        error_setg(errp, "Invalid file descriptor number '%s'", name);
        return -1;
    }
    return monitor_take_fd(monitor_current(), name, errp);
}

void monitor_fds_init(void)
{
    fd_param_set_lookup(lookup_name);
}

bool qmp_getfd(const QmpGetfdArgs *args, Error **errp)
{
    Monitor *mon = monitor_current();
    NamedFd named;
    int old, fd = next_passed_fd(errp);

    if (fd < 0) {
        return false;
    }
    if (g_ascii_isdigit(args->fdname[0])) {
        close(fd);
        error_setg(errp, "Parameter 'fdname' expects a name not starting with a digit");
        return false;
    }
    old = steal_named(mon, args->fdname);
    if (old >= 0) {
        close(old);
    }
    named.name = g_strdup(args->fdname);
    named.fd = fd;
    pthread_mutex_lock(&mon->lock);
    g_array_append_val(mon->named_fds, named);
    pthread_mutex_unlock(&mon->lock);
    return true;
}

bool qmp_closefd(const QmpClosefdArgs *args, Error **errp)
{
    int fd = monitor_current() != NULL ? steal_named(monitor_current(), args->fdname) : -1;

    if (fd < 0) {
        error_setg(errp, "File descriptor named '%s' not found", args->fdname);
        return false;
    }
    close(fd);
    return true;
}

/* ---- sets ---- */

AddfdInfo *qmp_add_fd(const QmpAddFdArgs *args, Error **errp)
{
    int64_t id = args->has_fdset_id ? args->fdset_id : -1;
    int fd = next_passed_fd(errp);
    AddfdInfo *info;

    if (fd < 0) {
        return NULL;
    }
    if (args->has_fdset_id && id < 0) {
        error_setg(errp, "Parameter 'fdset-id' expects a non-negative value");
        goto undo_fd;
    }
    if (!fdset_add_fd(&id, fd, args->opaque, errp)) {
        goto undo_fd;
    }
    info = g_new0(AddfdInfo, 1);
    info->fdset_id = id;
    info->fd = fd;
    return info;

undo_fd:
    close(fd);
    return NULL;
}

bool qmp_remove_fd(const QmpRemoveFdArgs *args, Error **errp)
{
    if (args->has_fd && (args->fd < 0 || args->fd > INT_MAX)) {
        error_setg(errp, "File descriptor named 'fdset-id:%" PRId64 ", fd:%" PRId64 "' not found",
                   args->fdset_id, args->fd);
        return false;
    }
    return fdset_remove_fd(args->fdset_id, args->has_fd ? (int)args->fd : -1, errp);
}

typedef struct SetLists {
    FdsetInfoList *head, **tail;
    FdsetInfo *set;             /* the last one */
    FdsetFdInfoList **fds_tail;
} SetLists;

static void list_member(int64_t id, int fd, const char *opaque_text, void *opaque)
{
    SetLists *lists = opaque;
    FdsetFdInfoList *cell = g_new0(FdsetFdInfoList, 1);

    if (lists->set == NULL || lists->set->fdset_id != id) {
        lists->set = g_new0(FdsetInfo, 1);
        lists->set->fdset_id = id;
        lists->fds_tail = &lists->set->fds;
        *lists->tail = g_new0(FdsetInfoList, 1);
        (*lists->tail)->value = lists->set;
        lists->tail = &(*lists->tail)->next;
    }
    cell->value = g_new0(FdsetFdInfo, 1);
    cell->value->fd = fd;
    cell->value->opaque = g_strdup(opaque_text);
    *lists->fds_tail = cell;
    lists->fds_tail = &cell->next;
}

FdsetInfoList *qmp_query_fdsets(Error **errp)
{
    SetLists lists = { .head = NULL };

    lists.tail = &lists.head;
    fdset_for_each(list_member, &lists);
    return lists.head;
}
