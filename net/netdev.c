/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -netdev, -nic, netdev_add, netdev_del, set_link, query-rx-filter.
 *
 * Thread: main thread with the machine lock.
 */
#include "util/osdep.h"

#include "hw/core/device.h"
#include "net/net.h"
#include "qapi-commands.h"
#include "qapi-types.h"
#include "trace-net.h"
#include "util/cutils.h"

#define DEFAULT_NIC_MODEL "virtio-net-pci"

static NetBackendOpen *const backend_open[NET_CLIENT_DRIVER__MAX] = {
#ifdef CONFIG_SLIRP
    [NET_CLIENT_DRIVER_USER] = net_open_user,
#endif
    [NET_CLIENT_DRIVER_TAP] = net_open_tap,
    [NET_CLIENT_DRIVER_BRIDGE] = net_open_bridge,
    [NET_CLIENT_DRIVER_SOCKET] = net_open_socket,
    [NET_CLIENT_DRIVER_STREAM] = net_open_stream,
    [NET_CLIENT_DRIVER_DGRAM] = net_open_dgram,
};

bool net_backend_add(const Netdev *netdev, Error **errp)
{
    if (!id_wellformed(netdev->id)) {
        error_setg(errp, "Parameter 'id' expects an identifier");
        error_append_hint(errp, "Identifiers consist of letters, digits, '-', '.', '_', starting with a letter.\n");
        return false;
    }
    if (net_client_find(netdev->id, 0)) {
        error_setg(errp, "Duplicate ID '%s' for netdev", netdev->id);
        return false;
    }
    if (!backend_open[netdev->type]) {
        error_setg(errp, "Network back end '%s' is not in this build", NetClientDriver_str(netdev->type));
        return false;
    }
    return backend_open[netdev->type](netdev, errp);
}

bool net_backend_del(const char *id, Error **errp)
{
    NetClient *nc = net_client_find(id, 0);

    if (!nc) {
        error_set(errp, ERROR_CLASS_DEVICE_NOT_FOUND, "Device '%s' not found", id);
        return false;
    }
    if (nc->is_nic) {
        error_setg(errp, "Device '%s' is not a netdev", id);
        return false;
    }
    for (unsigned i = 0; (nc = net_client_find(id, i)); i++) {
        net_client_del(nc);
    }
    return true;
}

bool qmp_netdev_add(const Netdev *netdev, Error **errp)
{
    return net_backend_add(netdev, errp);
}

bool qmp_netdev_del(const QmpNetdevDelArgs *args, Error **errp)
{
    return net_backend_del(args->id, errp);
}

bool qmp_set_link(const QmpSetLinkArgs *args, Error **errp)
{
    NetClient *queues[NET_MAX_QUEUES];
    unsigned n = net_client_find_all(args->name, queues, NET_MAX_QUEUES);

    if (!n) {
        error_set(errp, ERROR_CLASS_DEVICE_NOT_FOUND, "Device '%s' not found", args->name);
        return false;
    }
    trace_net_link(args->name, args->up);
    for (unsigned i = 0; i < n; i++) {
        NetClient *nc = queues[i];

        nc->link_down = !args->up;
        if (nc->ops->link_changed) {
            nc->ops->link_changed(nc);
        }
        /* A cable has two ends: the NIC sees what happens to its back end, but not the other way. */
        if (nc->peer && !nc->is_nic && nc->peer->is_nic) {
            nc->peer->link_down = !args->up;
            if (nc->peer->ops->link_changed) {
                nc->peer->ops->link_changed(nc->peer);
            }
        }
        if (args->up) {
            net_flush_queued(nc);
        }
    }
    return true;
}

typedef struct RxFilterQuery {
    const char *name;
    bool found;
    RxFilterInfoList *list, **tail;
    Error *err;
} RxFilterQuery;

static void query_one_rx_filter(NetClient *nc, void *opaque)
{
    RxFilterQuery *q = opaque;
    RxFilterInfo *info;

    if (q->err || nc->queue_index || (q->name && strcmp(nc->name, q->name))) {
        return;
    }
    q->found = true;
    if (!nc->is_nic || !nc->ops->query_rx_filter) {
        if (q->name) {
            error_setg(&q->err, nc->is_nic ? "net client(%s) doesn't support rx-filter querying"
                                           : "net client(%s) isn't a NIC", q->name);
        }
        return;
    }
    info = nc->ops->query_rx_filter(nc);
    *q->tail = g_new0(RxFilterInfoList, 1);
    (*q->tail)->value = info;
    q->tail = &(*q->tail)->next;
}

RxFilterInfoList *qmp_query_rx_filter(const QmpQueryRxFilterArgs *args, Error **errp)
{
    RxFilterQuery q = { .name = args->name };

    q.tail = &q.list;
    net_clients_foreach(query_one_rx_filter, &q);
    if (!q.err && q.name && !q.found) {
        error_setg(&q.err, "invalid net client name: %s", q.name);
    }
    if (q.err) {
        qapi_free_RxFilterInfoList(q.list);
        error_propagate(errp, q.err);
        return NULL;
    }
    return q.list;
}

/* ---- command line ---- */

/* One item of a key=value list up to an unescaped comma; NULL at the end. Caller frees. */
static char *next_item(const char **p)
{
    g_autoptr(GString) item = g_string_new(NULL);

    if (!**p) {
        return NULL;
    }
    while (**p) {
        if (**p == ',') {
            if ((*p)[1] != ',') {
                (*p)++;
                break;
            }
            g_string_append_c(item, *(*p)++);
        }
        g_string_append_c(item, *(*p)++);
    }
    return g_string_free(g_steal_pointer(&item), FALSE);
}

/* @text to JSON, with the keys that may be repeated collected in arrays of {"str": VALUE}. */
static JsonValue *parse_netdev_text(const char *text, const char *implied, bool *help, Error **errp)
{
    static const char *const list_keys[] = { "hostfwd", "guestfwd", "dnssearch" };
    g_autoptr(GString) rest = g_string_new(NULL);
    JsonValue *lists[ARRAY_SIZE(list_keys)] = { NULL };
    JsonValue *options;
    const char *p = text;
    char *item;

    if (*text == '{') {
        return json_parse(text, strlen(text), errp);
    }
    while ((item = next_item(&p))) {
        unsigned i;

        for (i = 0; i < ARRAY_SIZE(list_keys); i++) {
            size_t len = strlen(list_keys[i]);

            if (!strncmp(item, list_keys[i], len) && item[len] == '=') {
                g_autofree char *value = NULL;
                g_auto(GStrv) parts = g_strsplit(item + len + 1, ",,", -1);
                JsonValue *element = json_object();

                value = g_strjoinv(",", parts);
                json_object_set_string(element, "str", value);
                if (!lists[i]) {
                    lists[i] = json_array();
                }
                json_array_add_take(lists[i], element);
                break;
            }
        }
        if (i == ARRAY_SIZE(list_keys)) {
            g_string_append_printf(rest, "%s%s", rest->len ? "," : "", item);
        }
        g_free(item);
    }
    options = keyval_parse(rest->str, implied, help, errp);
    for (unsigned i = 0; i < ARRAY_SIZE(list_keys); i++) {
        if (lists[i] && options) {
            json_object_set_take(options, list_keys[i], lists[i]);
        } else {
            json_unref(lists[i]);
        }
    }
    return options;
}

static void print_backends(void)
{
    printf("Available netdev backend types:\n");
    for (int i = 0; i < NET_CLIENT_DRIVER__MAX; i++) {
        if (backend_open[i]) {
            printf("%s\n", NetClientDriver_str(i));
        }
    }
}

static bool add_from_json(const JsonValue *options, Error **errp)
{
    g_autoptr(Netdev) netdev = qapi_decode(&qapi_type_Netdev, options, errp);

    return netdev && net_backend_add(netdev, errp);
}

bool net_option_netdev(const char *text, bool *help, Error **errp)
{
    g_autoptr(JsonValue) options = NULL;

    *help = false;
    options = parse_netdev_text(text, "type", help, errp);
    if (!options) {
        return false;
    }
    if (*help) {
        print_backends();
        return true;
    }
    return add_from_json(options, errp);
}

/* Move @key from @from to @to (as @to_key); returns whether it was there. */
static bool move_member(JsonValue *from, const char *key, JsonValue *to, const char *to_key)
{
    JsonValue *v = json_object_get(from, key);

    if (!v) {
        return false;
    }
    json_object_set_take(to, to_key, json_ref(v));
    json_object_remove(from, key);
    return true;
}

bool net_option_nic(const char *text, JsonValue *devices, bool *help, Error **errp)
{
    static unsigned next_id;
    g_autoptr(JsonValue) options = NULL;
    JsonValue *device;
    g_autofree char *id = NULL;
    const char *type;

    *help = false;
    options = parse_netdev_text(text, "type", help, errp);
    if (!options) {
        return false;
    }
    if (*help) {
        print_backends();
        return true;
    }
    type = json_object_get_string(options, "type");
    if (type && !strcmp(type, "none")) {
        return true;
    }
    device = json_object();
    json_object_set_take(device, "driver", json_keyval_string(DEFAULT_NIC_MODEL));
    move_member(options, "model", device, "driver");
    move_member(options, "macaddr", device, "mac");
    move_member(options, "mac", device, "mac");
    move_member(options, "addr", device, "addr");
    move_member(options, "vectors", device, "vectors");
    move_member(options, "id", device, "id");
    if (!strcmp(json_object_get_string(device, "driver") ?: "", "virtio")) {
        json_object_set_take(device, "driver", json_keyval_string(DEFAULT_NIC_MODEL));
    }
    id = g_strdup_printf("nemu-nic%u", next_id++);
    json_object_set_take(options, "id", json_keyval_string(id));
    json_object_set_take(device, "netdev", json_keyval_string(id));
    if (!add_from_json(options, errp)) {
        json_unref(device);
        return false;
    }
    json_array_add_take(devices, device);
    return true;
}
