/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What NICs have in common: their "netdev" and "mac" properties, and how they
 * find the queues of their back end.
 *
 * Thread: main thread with the machine lock.
 */
#include "util/osdep.h"

#include "net/net.h"

static bool netdev_get(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    NicConf *conf = property_field(obj, p);

    *value = json_string(conf->netdev_id ?: "");
    return true;
}

static bool netdev_set(Object *obj, const ObjectProperty *p, const JsonValue *value, Error **errp)
{
    NicConf *conf = property_field(obj, p);
    const char *id = json_get_string(value);
    NetClient *found[NET_MAX_QUEUES];
    unsigned n;

    if (!id) {
        error_setg(errp, "Invalid parameter type for '%s', expected: string", p->name);
        return false;
    }
    n = net_client_find_all(id, found, NET_MAX_QUEUES);
    if (!n || found[0]->is_nic) {
        error_setg(errp, "Property '%s.%s' can't find value '%s'", obj->type->name, p->name, id);
        return false;
    }
    for (unsigned i = 0; i < n; i++) {
        if (found[i]->peer) {
            error_setg(errp, "Property '%s.%s' can't take value '%s', it's in use", obj->type->name, p->name, id);
            return false;
        }
    }
    g_free(conf->netdev_id);
    conf->netdev_id = g_strdup(id);
    return true;
}

static void netdev_release(Object *obj, const ObjectProperty *p)
{
    NicConf *conf = property_field(obj, p);

    g_clear_pointer(&conf->netdev_id, g_free);
}

const PropertyKind prop_kind_netdev = {
    .type_name = "str",
    .get = netdev_get,
    .set = netdev_set,
    .release = netdev_release,
};

static bool mac_get(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    NicConf *conf = property_field(obj, p);

    *value = json_string_take(net_mac_format(conf->mac));
    return true;
}

static bool mac_set(Object *obj, const ObjectProperty *p, const JsonValue *value, Error **errp)
{
    NicConf *conf = property_field(obj, p);
    const char *text = json_get_string(value);

    if (!text || !net_mac_parse(text, conf->mac)) {
        error_setg(errp, "Property '%s.%s' doesn't take value '%s'", obj->type->name, p->name, text ?: "");
        return false;
    }
    conf->mac_set = true;
    return true;
}

const PropertyKind prop_kind_mac = {
    .type_name = "str",
    .get = mac_get,
    .set = mac_set,
};

bool net_mac_parse(const char *text, uint8_t mac[6])
{
    uint8_t out[6];

    for (unsigned i = 0; i < 6; i++) {
        char *end;
        unsigned long v;

        if (!g_ascii_isxdigit(*text)) {
            return false;
        }
        v = strtoul(text, &end, 16);
        if (v > 0xff || end - text > 2 || (i < 5 && *end != ':' && *end != '-') || (i == 5 && *end)) {
            return false;
        }
        out[i] = v;
        text = end + 1;
    }
    memcpy(mac, out, 6);
    return true;
}

char *net_mac_format(const uint8_t mac[6])
{
    return g_strdup_printf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

void nic_conf_default_mac(NicConf *conf)
{
    static unsigned next;

    if (!conf->mac_set) {
        const uint8_t first[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };

        memcpy(conf->mac, first, 6);
        conf->mac[5] += next++;
        conf->mac_set = true;
    }
}

bool nic_conf_connect(NicConf *conf, NetClient *nc, unsigned index, Error **errp)
{
    NetClient *backend;

    if (!conf->netdev_id) {
        return true;
    }
    backend = net_client_find(conf->netdev_id, index);
    if (!backend) {
        error_setg(errp, "Network back end '%s' is gone", conf->netdev_id);
        return false;
    }
    return net_connect(nc, backend, errp);
}

unsigned nic_conf_queue_count(const NicConf *conf)
{
    NetClient *found[NET_MAX_QUEUES];

    return conf->netdev_id ? MAX(net_client_find_all(conf->netdev_id, found, NET_MAX_QUEUES), 1) : 1;
}
