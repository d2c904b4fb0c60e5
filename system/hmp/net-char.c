/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Human monitor commands on character devices and networks. Main thread with the machine lock. */
#include "util/osdep.h"
#include "chardev/chardev.h"
#include "hmp-text.h"
#include "net/filter.h"
#include "net/slirp-module.h"
#include "qapi-commands.h"

/* ---- character devices ---- */

static bool info_chardev(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    ChardevInfoList *list = qmp_query_chardev(errp);

    for (ChardevInfoList *l = list; l; l = l->next) {
        hmp_printf(hmp, "%s: filename=%s\n", l->value->label, l->value->filename);
    }
    qapi_free_ChardevInfoList(list);
    return true;
}

static bool run_chardev_add(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    return chardev_new_from_options(hmp_string(args, "args"), errp) != NULL;
}

static bool run_chardev_change(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    return chardev_change_from_options(hmp_string(args, "id"), hmp_string(args, "args"), errp);
}

static bool run_chardev_remove(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    return chardev_remove(hmp_string(args, "id"), errp);
}

static bool run_chardev_send_break(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    return qmp_chardev_send_break(&(QmpChardevSendBreakArgs){ .id = (char *)hmp_string(args, "id") }, errp);
}

static bool run_ringbuf_write(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    const QmpRingbufWriteArgs a = { .device = (char *)hmp_string(args, "device"),
                                    .data = (char *)hmp_string(args, "data") };

    return qmp_ringbuf_write(&a, errp);
}

static bool run_ringbuf_read(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    const QmpRingbufReadArgs a = { .device = (char *)hmp_string(args, "device"),
                                   .size = hmp_number(args, "size", 0) };
    g_autofree char *data = qmp_ringbuf_read(&a, errp);

    for (const char *p = data; p && *p; p++) {
        /* Nothing that would change the terminal. */
        if (*p == '\\') {
            hmp_puts(hmp, "\\\\");
        } else if ((uint8_t)*p < 0x20 && *p != '\n' && *p != '\t') {
            hmp_printf(hmp, "\\u%04X", (uint8_t)*p);
        } else {
            hmp_printf(hmp, "%c", *p);
        }
    }
    hmp_puts(hmp, data ? "\n" : "");
    return data != NULL;
}

/* ---- networks ---- */

static void print_filters(Hmp *hmp, NetClient *nc)
{
    g_autoptr(GString) text = g_string_new(NULL);

    net_filters_describe(nc, text);
    hmp_puts(hmp, text->str);
}

static void print_client(Hmp *hmp, const NetClient *nc)
{
    hmp_printf(hmp, "%s: index=%u,type=%s,%s\n", nc->name, nc->queue_index, nc->is_nic ? "nic" : nc->ops->kind,
               nc->info ? nc->info : "");
}

static void print_pair(NetClient *nc, void *opaque)
{
    Hmp *hmp = opaque;

    /* NICs lead, with their back ends below. */
    if (!nc->is_nic && nc->peer && nc->peer->is_nic) {
        return;
    }
    print_client(hmp, nc);
    print_filters(hmp, nc);
    if (nc->peer && nc->is_nic) {
        hmp_puts(hmp, " \\ ");
        print_client(hmp, nc->peer);
        print_filters(hmp, nc->peer);
    }
}

static bool info_network(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    net_clients_foreach(print_pair, hmp);
    return true;
}

static bool run_netdev_add(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    const char *text = hmp_string(args, "netdev");
    bool help = false;

    return net_option_netdev(text ? text : "", &help, errp);
}

static bool run_netdev_del(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    return net_backend_del(hmp_string(args, "id"), errp);
}

static bool run_set_link(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    const QmpSetLinkArgs a = { .name = (char *)hmp_string(args, "name"), .up = hmp_bool(args, "up") };

    return qmp_set_link(&a, errp);
}

/* The pauses that migration uses, too. */
static bool run_announce_self(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    AnnounceParameters p = { .initial = 50, .max = 550, .rounds = 5, .step = 100,
                             .id = (char *)hmp_string(args, "id") };
    g_auto(GStrv) names = hmp_has(args, "interfaces") ? g_strsplit(hmp_string(args, "interfaces"), ",", -1) : NULL;
    StrList **end = &p.interfaces;
    bool ok;

    for (char **n = names; n && *n; n++) {
        *end = g_new0(StrList, 1);
        (*end)->value = g_strdup(*n);
        end = &(*end)->next;
    }
    ok = qmp_announce_self(&p, errp);
    qapi_free_StrList(p.interfaces);
    return ok;
}

#ifdef CONFIG_SLIRP
/* "[netdev_id] WHAT": the netdev and *@what; NULL: there is none, as was said. */
static NetClient *user_netdev(Hmp *hmp, const HmpArgs *args, const char **what, const NetSlirpOps **ops)
{
    const char *id = hmp_has(args, "what") ? hmp_string(args, "first") : NULL;
    NetClient *nc = net_user_find(id, ops);

    *what = hmp_string(args, id ? "what" : "first");
    if (!nc && id) {
        hmp_printf(hmp, net_client_find(id, 0) ? "'%s' is not a user mode network device\n" : "unrecognized netdev id '%s'\n", id);
    } else if (!nc) {
        hmp_puts(hmp, "user mode network stack not in use\n");
    }
    return nc;
}

static bool run_hostfwd_add(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    const NetSlirpOps *ops;
    const char *rule, *why;
    NetClient *nc = user_netdev(hmp, args, &rule, &ops);

    why = nc ? ops->hostfwd_add(nc, rule) : NULL;
    if (why) {
        hmp_printf(hmp, "Invalid host forwarding rule '%s' (%s)\n", rule, why);
    }
    return true;
}

static bool run_hostfwd_remove(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    const NetSlirpOps *ops;
    const char *place, *why;
    NetClient *nc = user_netdev(hmp, args, &place, &ops);

    why = nc ? ops->hostfwd_remove(nc, place) : NULL;
    if (why && !strcmp(why, "invalid format")) {
        hmp_puts(hmp, "invalid format\n");
    } else if (nc) {
        hmp_printf(hmp, "host forwarding rule for %s %s\n", place, why ? why : "removed");
    }
    return true;
}

static void print_connections(NetClient *nc, void *opaque)
{
    const NetSlirpOps *ops;

    if (!strcmp(nc->model, "user")) {
        g_autofree char *text = NULL;

        net_user_find(nc->name, &ops);
        text = ops->connections(nc);
        hmp_printf(opaque, "Hub -1 (%s):\n%s", nc->name, text);
    }
}

static bool info_usernet(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    net_clients_foreach(print_connections, hmp);
    return true;
}
#endif

#define CHARDEV_ID { "id", HMP_STRING, .complete = hmp_complete_chardev }

HMP_COMMANDS(net_char_commands) = {
    { "chardev-add", "args", "add chardev", HMP_ARGS({ "args", HMP_STRING }), run_chardev_add },
    { "chardev-change", "id args", "change chardev", HMP_ARGS(CHARDEV_ID, { "args", HMP_STRING }),
      run_chardev_change },
    { "chardev-remove", "id", "remove chardev", HMP_ARGS(CHARDEV_ID), run_chardev_remove },
    { "chardev-send-break", "id", "send a break on chardev", HMP_ARGS(CHARDEV_ID), run_chardev_send_break },
    { "ringbuf_write", "device data", "Write to a ring buffer character device",
      HMP_ARGS({ "device", HMP_STRING, .complete = hmp_complete_chardev }, { "data", HMP_STRING }),
      run_ringbuf_write },
    { "ringbuf_read", "device size", "Read from a ring buffer character device",
      HMP_ARGS({ "device", HMP_STRING, .complete = hmp_complete_chardev }, { "size", HMP_NUMBER }),
      run_ringbuf_read },
    { "netdev_add", "[user|tap|socket],id=str[,prop=value][,...]", "add host network device",
      HMP_ARGS({ "netdev", HMP_REST, .optional = true }), run_netdev_add },
    { "netdev_del", "id", "remove host network device",
      HMP_ARGS({ "id", HMP_STRING, .complete = hmp_complete_netdev }), run_netdev_del },
    { "announce_self", "[interfaces] [id]", "Trigger GARP/RARP announcements",
      HMP_ARGS({ "interfaces", HMP_STRING, .optional = true, .complete = hmp_complete_nic },
               { "id", HMP_STRING, .optional = true }), run_announce_self },
    { "set_link", "name on|off", "change the link status of a network adapter",
      HMP_ARGS({ "name", HMP_STRING, .complete = hmp_complete_nic }, { "up", HMP_SWITCH }), run_set_link },
#ifdef CONFIG_SLIRP
    { "hostfwd_add", "[netdev_id] [tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport",
      "redirect TCP or UDP connections from host to guest (requires -net user)",
      HMP_ARGS({ "first", HMP_STRING, .complete = hmp_complete_netdev }, { "what", HMP_STRING, .optional = true }), run_hostfwd_add },
    { "hostfwd_remove", "[netdev_id] [tcp|udp]:[hostaddr]:hostport", "remove host-to-guest TCP or UDP redirection",
      HMP_ARGS({ "first", HMP_STRING, .complete = hmp_complete_netdev }, { "what", HMP_STRING, .optional = true }),
      run_hostfwd_remove },
#endif
    HMP_END
};

HMP_INFO(net_char_infos) = {
    { "chardev", "", "show the character devices", NULL, info_chardev },
    { "network", "", "show the network state", NULL, info_network },
#ifdef CONFIG_SLIRP
    { "usernet", "", "show user network stack connection states", NULL, info_usernet },
#endif
    HMP_END
};
