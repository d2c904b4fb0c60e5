/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands on character devices. Thread: main thread. */
#include "util/osdep.h"
#include "chardev/chardev-internal.h"
#include "qapi-commands.h"

static int add_info(Object *child, void *opaque)
{
    ChardevInfoList ***tail = opaque;
    Chardev *chr = CHARDEV(child);
    ChardevInfo *info = g_new0(ChardevInfo, 1);

    info->label = g_strdup(chr->label);
    pthread_mutex_lock(&chr->write_lock);
    info->filename = g_strdup(chr->filename);
    pthread_mutex_unlock(&chr->write_lock);
    info->frontend_open = chr->fe != NULL && chr->fe->open;
    **tail = g_new0(ChardevInfoList, 1);
    (**tail)->value = info;
    *tail = &(**tail)->next;
    return 0;
}

ChardevInfoList *qmp_query_chardev(Error **errp)
{
    ChardevInfoList *list = NULL, **tail = &list;

    object_foreach_child(object_chardevs_root(), add_info, &tail);
    return list;
}

ChardevBackendInfoList *qmp_query_chardev_backends(Error **errp)
{
    ChardevBackendInfoList *list = NULL, **tail = &list;

    for (int i = 0; i < CHARDEV_BACKEND_KIND__MAX; i++) {
        *tail = g_new0(ChardevBackendInfoList, 1);
        (*tail)->value = g_new0(ChardevBackendInfo, 1);
        (*tail)->value->name = g_strdup(ChardevBackendKind_str(i));
        tail = &(*tail)->next;
    }
    return list;
}

static ChardevReturn *describe(const Chardev *chr)
{
    ChardevReturn *ret = g_new0(ChardevReturn, 1);

    ret->pty = g_strdup(chardev_pty_path(chr));
    return ret;
}

ChardevReturn *qmp_chardev_add(const QmpChardevAddArgs *args, Error **errp)
{
    Error *err = NULL;
    Chardev *chr;

    if (chardev_find(args->id) != NULL) {
        error_setg(errp, "Chardev with id '%s' already exists", args->id);
        return NULL;
    }
    chr = chardev_new(args->id, args->backend, &err);
    if (chr == NULL) {
        error_prepend(&err, "Failed to add chardev '%s': ", args->id);
        error_propagate(errp, err);
        return NULL;
    }
    return describe(chr);
}

ChardevReturn *qmp_chardev_change(const QmpChardevChangeArgs *args, Error **errp)
{
    Chardev *chr = chardev_find(args->id);

    if (chr == NULL) {
        error_setg(errp, "Chardev '%s' does not exist", args->id);
        return NULL;
    }
    return chardev_replace(chr, args->backend, errp) ? describe(chardev_find(args->id)) : NULL;
}

bool qmp_chardev_remove(const QmpChardevRemoveArgs *args, Error **errp)
{
    return chardev_remove(args->id, errp);
}

bool qmp_chardev_send_break(const QmpChardevSendBreakArgs *args, Error **errp)
{
    Chardev *chr = chardev_find(args->id);

    if (chr == NULL) {
        error_setg(errp, "Chardev '%s' not found", args->id);
        return false;
    }
    chardev_emit(chr, CHARDEV_BREAK);
    return true;
}
