/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The base class of network filters, and the way of a frame through them.
 *
 * Thread: main thread with the machine lock.
 * Trust: frames come from the guest or the network; nothing here looks into them.
 */
#include "util/osdep.h"

#include "net/filter.h"

/* ---- the way of a frame ---- */

static bool wants(const NetFilter *f, bool tx)
{
    return f->on && (f->queue == NET_FILTER_DIRECTION_ALL ||
                     f->queue == (tx ? NET_FILTER_DIRECTION_TX : NET_FILTER_DIRECTION_RX));
}

static NetFilter *before(NetFilter *first, const NetFilter *f)
{
    while (first && first->next != f) {
        first = first->next;
    }
    return first;
}

/* Filters of @nc from @from on (NULL: all); what the back end receives meets them in the opposite order. */
static bool run(NetClient *nc, NetFilter *from, bool tx, NetClient *sender, const struct iovec *iov, unsigned cnt)
{
    NetFilter *f;

    if (tx) {
        f = from ? from->next : nc->filters;
    } else {
        f = before(nc->filters, from);
    }
    while (f) {
        const NetFilterOps *ops = object_ops(f, &net_filter_type);

        if (wants(f, tx) && ops->receive(f, sender, iov, cnt) == NET_FILTER_TAKEN) {
            return true;
        }
        f = tx ? f->next : before(nc->filters, f);
    }
    return false;
}

bool net_filters_receive(NetClient *sender, const struct iovec *iov, unsigned cnt)
{
    return (sender->filters && run(sender, NULL, true, sender, iov, cnt)) ||
           (sender->peer && sender->peer->filters && run(sender->peer, NULL, false, sender, iov, cnt));
}

void net_filter_pass_on(NetFilter *f, NetClient *sender, const struct iovec *iov, unsigned cnt)
{
    bool tx = sender == f->netdev;

    if (!f->netdev || !sender->peer || run(f->netdev, f, tx, sender, iov, cnt)) {
        return;
    }
    if (tx && sender->peer->filters && run(sender->peer, NULL, false, sender, iov, cnt)) {
        return;
    }
    net_send_unfiltered(sender, iov, cnt, NULL);
}

void net_filters_forget(NetClient *nc)
{
    while (nc->filters) {
        NetFilter *f = nc->filters;

        nc->filters = f->next;
        f->netdev = NULL;
        f->next = NULL;
    }
}

void net_filters_describe(NetClient *nc, GString *out)
{
    if (nc->filters) {
        g_string_append(out, "filters:\n");
    }
    for (NetFilter *f = nc->filters; f; f = f->next) {
        g_string_append_printf(out, "  - %s: type=%s", f->obj.name, f->obj.type->name);
        g_string_append_printf(out, ",queue=%s,status=%s\n", NetFilterDirection_str(f->queue), f->on ? "on" : "off");
    }
}

/* ---- place ---- */

/* "head", "tail", or "id=ID" of another filter of the same back end. */
static bool find_place(NetFilter *f, NetFilter ***link, Error **errp)
{
    const char *place = f->position ? f->position : "tail";
    NetFilter **p = &f->netdev->filters;

    if (strcmp(place, "head") == 0) {
        *link = p;
        return true;
    }
    if (strcmp(place, "tail") == 0) {
        while (*p) {
            p = &(*p)->next;
        }
        *link = p;
        return true;
    }
    if (g_str_has_prefix(place, "id=")) {
        for (; *p; p = &(*p)->next) {
            if (strcmp((*p)->obj.name, place + 3) == 0) {
                *link = f->insert == NETFILTER_INSERT_BEHIND ? &(*p)->next : p;
                return true;
            }
        }
    }
    error_setg(errp, "filter '%s' not found", g_str_has_prefix(place, "id=") ? place + 3 : place);
    return false;
}

static bool filter_complete(Object *obj, Error **errp)
{
    NetFilter *f = NET_FILTER(obj);
    const NetFilterOps *ops = object_ops(f, &net_filter_type);
    NetFilter **link;

    if (!f->netdev_id) {
        error_setg(errp, "Parameter 'netdev' is missing");
        return false;
    }
    f->netdev = net_client_find(f->netdev_id, 0);
    if (!f->netdev || f->netdev->is_nic) {
        f->netdev = NULL;
        error_setg(errp, "Parameter 'netdev' expects a network backend id");
        return false;
    }
    if (net_client_find(f->netdev_id, 1)) {
        f->netdev = NULL;
        error_setg(errp, "multiqueue is not supported");
        return false;
    }
    if (f->netdev->ops->vhost && f->netdev->ops->vhost(f->netdev)) {
        f->netdev = NULL;
        error_setg(errp, "Vhost is not supported");
        return false;
    }
    if (!find_place(f, &link, errp) || !ops->setup(f, errp)) {
        f->netdev = NULL;
        return false;
    }
    f->attached = true;
    f->next = *link;
    *link = f;
    return true;
}

static void filter_unparent(Object *obj)
{
    NetFilter *f = NET_FILTER(obj);
    const NetFilterOps *ops = object_ops(f, &net_filter_type);

    if (!f->attached) {
        return;
    }
    f->attached = false;
    f->on = false;
    ops->cleanup(f);
    for (NetFilter **p = f->netdev ? &f->netdev->filters : NULL; p && *p; p = &(*p)->next) {
        if (*p == f) {
            *p = f->next;
            break;
        }
    }
    f->netdev = NULL;
}

/* ---- properties ---- */

static bool get_status(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    *value = json_string(NET_FILTER(obj)->on ? "on" : "off");
    return true;
}

static bool set_status(Object *obj, const ObjectProperty *p, const JsonValue *value, Error **errp)
{
    NetFilter *f = NET_FILTER(obj);
    const NetFilterOps *ops = object_ops(f, &net_filter_type);
    const char *text = json_get_string(value);
    bool on = text && strcmp(text, "on") == 0;

    if (!on && (!text || strcmp(text, "off") != 0)) {
        error_setg(errp, "Invalid value for netfilter status, should be 'on' or 'off'");
        return false;
    }
    if (f->on != on) {
        f->on = on;
        if (f->attached && ops->switched) {
            ops->switched(f);
        }
    }
    return true;
}

static bool set_position(Object *obj, const ObjectProperty *p, const JsonValue *value, Error **errp)
{
    const char *text = json_get_string(value);

    if (text && strcmp(text, "head") != 0 && strcmp(text, "tail") != 0 && !g_str_has_prefix(text, "id=")) {
        error_setg(errp, "Invalid value for netfilter position, should be 'head', 'tail', or 'id=<id>'");
        return false;
    }
    return prop_kind_string.set(obj, p, value, errp);
}

static const ObjectProperty filter_properties[] = {
    { .name = "netdev", .kind = &prop_kind_string, .offset = offsetof(NetFilter, netdev_id), .type_name = "string",
      .description = "ID of the network back end" },
    PROP_ENUM("queue", NetFilter, queue, &qapi_enum_NetFilterDirection, NET_FILTER_DIRECTION_ALL,
              "frames that it receives, sends, or both"),
    PROP_CUSTOM("status", "string", get_status, set_status, PROP_RUNTIME, "on or off"),
    { .name = "position", .kind = &prop_kind_string, .offset = offsetof(NetFilter, position), .type_name = "string",
      .set = set_position, .description = "head, tail, or id=ID of another filter" },
    { .name = "insert", .kind = &prop_kind_enum, .offset = offsetof(NetFilter, insert), .type_name = "string",
      .arg = &qapi_enum_NetfilterInsert, .def.i = NETFILTER_INSERT_BEHIND, .description = "before or behind that one" },
    PROP_END
};

static void filter_init(Object *obj)
{
    ((NetFilter *)obj)->on = true;
}

static const UserCreatableOps filter_creatable_ops = { .complete = filter_complete };
static const ObjectOps filter_object_ops = { .unparent = filter_unparent };

OBJECT_TYPE(net_filter_type) = {
    .name = "netfilter", .parent = &object_type, .abstract = true,
    .instance_size = sizeof(NetFilter),
    .instance_init = filter_init,
    .properties = filter_properties,
    .impls = TYPE_IMPLS({ &user_creatable_type, &filter_creatable_ops }, { &object_type, &filter_object_ops }),
};
