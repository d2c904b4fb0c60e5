/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Addresses and port forwardings of user-mode networking: defaults are those
 * that guests of QEMU know (10.0.2.0/24 with the host at .2, the name server
 * at .3, DHCP from .15; fec0::/64 alike).
 *
 * Thread: main thread.
 */
#include "util/osdep.h"

#include <arpa/inet.h>

#include "net/slirp-config.h"
#include "util/cutils.h"
#include "util/error.h"

#define DEFAULT_NETWORK 0x0a000200
#define DEFAULT_MASK 0xffffff00
#define HOST_NUMBER 2
#define DNS_NUMBER 3
#define DHCP_NUMBER 15

static bool parse_ipv4(const char *text, const char *what, uint32_t *addr, Error **errp)
{
    struct in_addr in;

    if (inet_pton(AF_INET, text, &in) != 1) {
        error_setg(errp, "Failed to parse %s '%s': expected an IPv4 address", what, text);
        return false;
    }
    *addr = ntohl(in.s_addr);
    return true;
}

static bool parse_ipv6(const char *text, const char *what, struct in6_addr *addr, Error **errp)
{
    if (inet_pton(AF_INET6, text, addr) != 1) {
        error_setg(errp, "Failed to parse %s '%s': expected an IPv6 address", what, text);
        return false;
    }
    return true;
}

/* ADDRESS, ADDRESS/BITS or ADDRESS/MASK. */
static bool parse_network(const char *text, uint32_t *network, uint32_t *mask, Error **errp)
{
    g_auto(GStrv) parts = g_strsplit(text, "/", 2);
    uint64_t bits;

    if (!parse_ipv4(parts[0], "net", network, errp)) {
        return false;
    }
    if (!parts[1]) {
        *mask = (*network >> 31) == 0 ? 0xff000000 : (*network >> 30) == 2 ? 0xffff0000 : 0xffffff00;
    } else if (parse_uint64(parts[1], 10, &bits) == 0) {
        if (bits < 4 || bits > 30) {
            error_setg(errp, "Failed to parse net '%s': 4 to 30 bits are possible", text);
            return false;
        }
        *mask = UINT32_MAX << (32 - bits);
    } else if (!parse_ipv4(parts[1], "net", mask, errp)) {
        return false;
    }
    *network &= *mask;
    return true;
}

/* The address @text, or number @number of the network; it must be inside. */
static bool parse_host(const char *text, const char *what, uint32_t network, uint32_t mask, uint32_t number,
                       struct in_addr *out, Error **errp)
{
    uint32_t addr = network | (number & ~mask);

    if (text && !parse_ipv4(text, what, &addr, errp)) {
        return false;
    }
    if ((addr & mask) != network) {
        error_setg(errp, "'%s' must be inside the guest network", what);
        return false;
    }
    out->s_addr = htonl(addr);
    return true;
}

static bool parse_v4(SlirpConfig *c, const NetdevUserOptions *opts, Error **errp)
{
    uint32_t network = DEFAULT_NETWORK, mask = DEFAULT_MASK;
    const char *net = opts->net ?: opts->ip;

    if (net && !parse_network(net, &network, &mask, errp)) {
        return false;
    }
    if (!parse_host(opts->host, "host", network, mask, HOST_NUMBER, &c->vhost, errp) ||
        !parse_host(opts->dhcpstart, "dhcpstart", network, mask, DHCP_NUMBER, &c->vdhcp_start, errp) ||
        !parse_host(opts->dns, "dns", network, mask, DNS_NUMBER, &c->vnameserver, errp)) {
        return false;
    }
    if (c->vhost.s_addr == c->vdhcp_start.s_addr || c->vnameserver.s_addr == c->vdhcp_start.s_addr ||
        c->vhost.s_addr == c->vnameserver.s_addr) {
        error_setg(errp, "'host', 'dns' and 'dhcpstart' must be three different addresses");
        return false;
    }
    c->vnetwork.s_addr = htonl(network);
    c->vnetmask.s_addr = htonl(mask);
    return true;
}

static bool parse_v6(SlirpConfig *c, const NetdevUserOptions *opts, Error **errp)
{
    struct in6_addr host, dns;

    if (opts->has_ipv6_prefixlen && (opts->ipv6_prefixlen < 0 || opts->ipv6_prefixlen > 126)) {
        error_setg(errp, "'ipv6-prefixlen' must be between 0 and 126");
        return false;
    }
    if (!parse_ipv6(opts->ipv6_prefix ?: "fec0::", "ipv6-prefix", &c->vprefix_addr6, errp)) {
        return false;
    }
    c->vprefix_len = opts->has_ipv6_prefixlen ? opts->ipv6_prefixlen : 64;
    host = dns = c->vprefix_addr6;
    host.s6_addr[15] |= HOST_NUMBER;
    dns.s6_addr[15] |= DNS_NUMBER;
    if ((opts->ipv6_host && !parse_ipv6(opts->ipv6_host, "ipv6-host", &host, errp)) ||
        (opts->ipv6_dns && !parse_ipv6(opts->ipv6_dns, "ipv6-dns", &dns, errp))) {
        return false;
    }
    c->vhost6 = host;
    c->vnameserver6 = dns;
    return true;
}

bool slirp_net_config_parse(SlirpNetConfig *config, const NetdevUserOptions *opts, Error **errp)
{
    SlirpConfig *c = &config->slirp;
    bool v4_configured = opts->net || opts->ip || opts->host || opts->dhcpstart || opts->dns;
    bool v6_configured = opts->ipv6_prefix || opts->ipv6_host || opts->ipv6_dns || opts->has_ipv6_prefixlen;
    unsigned n = 0;

    memset(config, 0, sizeof(*config));
    c->version = SLIRP_CONFIG_VERSION_MAX;
    c->in_enabled = opts->has_ipv4 ? opts->ipv4 : !(v6_configured && !v4_configured);
    c->in6_enabled = opts->has_ipv6 ? opts->ipv6 : !(v4_configured && !v6_configured);
    if (!c->in_enabled && !c->in6_enabled) {
        error_setg(errp, "IPv4 and IPv6 disabled");
        return false;
    }
    if ((v4_configured && !c->in_enabled) || (v6_configured && !c->in6_enabled)) {
        error_setg(errp, "%s options are given, but %s is disabled", c->in_enabled ? "IPv6" : "IPv4",
                   c->in_enabled ? "IPv6" : "IPv4");
        return false;
    }
    if (!parse_v4(c, opts, errp) || !parse_v6(c, opts, errp)) {
        return false;
    }
    c->restricted = opts->has_q_restrict && opts->q_restrict;
    c->vhostname = opts->hostname;
    c->tftp_server_name = opts->tftp_server_name;
    c->tftp_path = opts->tftp;
    c->bootfile = opts->bootfile;
    c->vdomainname = opts->domainname;
    for (const StringList *s = opts->dnssearch; s; s = s->next) {
        n++;
    }
    if (n) {
        config->dnssearch = g_new0(const char *, n + 1);
        n = 0;
        for (const StringList *s = opts->dnssearch; s; s = s->next) {
            config->dnssearch[n++] = s->value->str;
        }
        c->vdnssearch = config->dnssearch;
    }
    return true;
}

void slirp_net_config_clear(SlirpNetConfig *config)
{
    g_clear_pointer(&config->dnssearch, g_free);
}

static bool parse_port(const char *text, int lowest, int *port)
{
    uint64_t v;

    if (!text || parse_uint64(text, 10, &v) != 0 || v < (uint64_t)lowest || v > 65535) {
        return false;
    }
    *port = v;
    return true;
}

const char *slirp_net_hostfwd_add(Slirp *slirp, const char *rule)
{
    g_auto(GStrv) halves = g_strsplit(rule, "-", 2);
    g_auto(GStrv) host = NULL;
    g_auto(GStrv) guest = NULL;
    struct in_addr host_addr = { .s_addr = INADDR_ANY };
    struct in_addr guest_addr = { .s_addr = INADDR_ANY };
    int host_port, guest_port;
    bool udp;

    if (!halves[1]) {
        return "missing guest part, expected tcp|udp:[HOSTADDR]:HOSTPORT-[GUESTADDR]:GUESTPORT";
    }
    host = g_strsplit(halves[0], ":", 3);
    guest = g_strsplit(halves[1], ":", 2);
    if (!*halves[0] || !host[0] || !host[1] || !host[2] || !*halves[1] || !guest[1]) {
        return "expected tcp|udp:[HOSTADDR]:HOSTPORT-[GUESTADDR]:GUESTPORT";
    }
    udp = !strcmp(host[0], "udp");
    if (!udp && *host[0] && strcmp(host[0], "tcp")) {
        return "Bad protocol name";
    }
    if (*host[1] && inet_pton(AF_INET, host[1], &host_addr) != 1) {
        return "Bad host address";
    }
    if (!parse_port(host[2], 0, &host_port)) {
        return "Bad host port";
    }
    if (*guest[0] && inet_pton(AF_INET, guest[0], &guest_addr) != 1) {
        return "Bad guest address";
    }
    if (!parse_port(guest[1], 1, &guest_port)) {
        return "Bad guest port";
    }
    if (slirp_add_hostfwd(slirp, udp, host_addr, host_port, guest_addr, guest_port) < 0) {
        return strerror(errno);
    }
    return NULL;
}

const char *slirp_net_hostfwd_remove(Slirp *slirp, const char *place)
{
    g_auto(GStrv) host = g_strsplit(place, ":", 3);
    struct in_addr addr = { .s_addr = INADDR_ANY };
    bool udp = host[0] && !strcmp(host[0], "udp");
    int port;

    if (!host[0] || !host[1] || !host[2] || (!udp && *host[0] && strcmp(host[0], "tcp")) ||
        (*host[1] && inet_pton(AF_INET, host[1], &addr) != 1) || !parse_port(host[2], 0, &port)) {
        return "invalid format";
    }
    return slirp_remove_hostfwd(slirp, udp, addr, port) < 0 ? "not found" : NULL;
}

static const char *add_guestfwd(Slirp *slirp, const char *rule)
{
    g_auto(GStrv) halves = g_strsplit(rule, "-", 2);
    g_auto(GStrv) server = g_strsplit(halves[0] ?: "", ":", 3);
    struct in_addr addr;
    int port;

    if (!server[0] || strcmp(server[0], "tcp") || !server[1] || !server[2]) {
        return "expected tcp:SERVER:PORT-cmd:COMMAND";
    }
    if (inet_pton(AF_INET, server[1], &addr) != 1) {
        return "Bad server address";
    }
    if (!parse_port(server[2], 1, &port)) {
        return "Bad server port";
    }
    if (!halves[1] || strncmp(halves[1], "cmd:", 4)) {
        return "only cmd:COMMAND is possible as target";
    }
    if (slirp_add_exec(slirp, halves[1] + 4, &addr, port) < 0) {
        return "conflicting address or port";
    }
    return NULL;
}

bool slirp_net_config_forward(Slirp *slirp, const SlirpNetConfig *config, const NetdevUserOptions *opts,
                              Error **errp)
{
    for (const StringList *s = opts->hostfwd; s; s = s->next) {
        const char *why = slirp_net_hostfwd_add(slirp, s->value->str);

        if (why) {
            error_setg(errp, "Invalid host forwarding rule '%s' (%s)", s->value->str, why);
            return false;
        }
    }
    for (const StringList *s = opts->guestfwd; s; s = s->next) {
        const char *why = add_guestfwd(slirp, s->value->str);

        if (why) {
            error_setg(errp, "Invalid guest forwarding rule '%s' (%s)", s->value->str, why);
            return false;
        }
    }
    return true;
}
