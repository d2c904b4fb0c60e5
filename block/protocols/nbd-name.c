/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of NBD servers: URIs (uri.md of the NBD project), the older
 * "nbd:HOST:PORT" and "nbd:unix:PATH", and options. Main thread.
 */
#include "util/osdep.h"
#include "block/nbd-protocol.h"
#include "block/options.h"
#include "block/protocols/nbd-name.h"
#include "io/channel.h"

/* ---- file names ---- */

static bool no_url(Error **errp)
{
    error_setg(errp, "No valid URL specified");
    return false;
}

/* "host", "host:port", "[v6]:port" */
static bool parse_authority(const char *text, JsonValue *options, Error **errp)
{
    const char *host = text, *end, *port = NULL;
    g_autofree char *name = NULL;

    if (*text == '[') {
        host++;
        end = strchr(text, ']');
        if (!end || (end[1] && end[1] != ':')) {
            return no_url(errp);
        }
        port = end[1] ? end + 2 : NULL;
    } else {
        end = text + strcspn(text, ":");
        port = *end ? end + 1 : NULL;
    }
    name = g_strndup(host, end - host);
    if (!*name) {
        return no_url(errp);
    }
    json_object_set_string(options, "host", name);
    json_object_set_string(options, "port", port && *port ? port : NBD_DEFAULT_PORT);
    return true;
}

/* The value of "socket" in @query, decoded; NULL: something else is there too. Caller frees. */
static char *socket_of_query(const char *query)
{
    static const char key[] = "socket=";

    if (!query || !g_str_has_prefix(query, key) || strchr(query, '&')) {
        return NULL;
    }
    return g_uri_unescape_string(query + strlen(key), NULL);
}

static bool parse_uri(const char *filename, JsonValue *options, Error **errp)
{
    const char *rest = strstr(filename, "://") + 3;
    g_autofree char *scheme = g_strndup(filename, strcspn(filename, ":"));
    const char *query = strchr(rest, '?');
    g_autofree char *body = query ? g_strndup(rest, query - rest) : g_strdup(rest);
    char *slash = strchr(body, '/');
    g_autofree char *export = g_uri_unescape_string(slash ? slash + 1 : "", NULL);
    g_autofree char *path = NULL;

    query = query ? query + 1 : NULL;
    if (slash) {
        *slash = 0;
    }
    if (!export) {
        return no_url(errp);
    }
    if (*export) {
        json_object_set_string(options, "export", export);
    }
    if (strcmp(scheme, "nbd+unix") == 0) {
        path = socket_of_query(query);
        if (*body || !path) {
            return no_url(errp);
        }
        json_object_set_string(options, "path", path);
        return true;
    }
    if (query) {
        return no_url(errp);
    }
    return parse_authority(body, options, errp);
}

/* "HOST:PORT" or "unix:PATH", with ":exportname=NAME" behind */
static bool parse_old(const char *filename, JsonValue *options, Error **errp)
{
    g_autofree char *text = g_strdup(filename + strlen("nbd:"));
    char *export = strstr(text, ":exportname=");
    g_autoptr(SocketAddress) addr = NULL;

    if (export) {
        *export = 0;
        json_object_set_string(options, "export", export + strlen(":exportname="));
    }
    if (!*text) {
        error_setg(errp, "NBD server address missing");
        return false;
    }
    if (g_str_has_prefix(text, "unix:")) {
        json_object_set_string(options, "path", text + strlen("unix:"));
        return true;
    }
    addr = socket_address_parse(text, NULL);
    if (!addr || addr->type != SOCKET_ADDRESS_TYPE_INET) {
        error_setg(errp, "error parsing address '%s'", text);
        return false;
    }
    json_object_set_string(options, "host", addr->u.inet.host);
    json_object_set_string(options, "port", addr->u.inet.port);
    return true;
}

bool nbd_parse_name(const char *filename, JsonValue *options, Error **errp)
{
    static const char *const addresses[] = { "host", "port", "path", "export" };
    const char *rest = filename + strcspn(filename, ":");

    for (unsigned i = 0; i < ARRAY_SIZE(addresses); i++) {
        if (json_object_has(options, addresses[i])) {
            error_setg(errp, "host/port/path/export and file names may not be used at the same time");
            return false;
        }
    }
    return g_str_has_prefix(rest, "://") ? parse_uri(filename, options, errp) : parse_old(filename, options, errp);
}

/* ---- options ---- */

static SocketAddress *flat_address(JsonValue *options, Error **errp)
{
    g_autofree char *path = NULL, *host = NULL, *port = NULL;
    SocketAddress *addr;

    if (!block_option_take_string(options, "path", &path, errp) ||
        !block_option_take_string(options, "host", &host, errp) ||
        !block_option_take_string(options, "port", &port, errp)) {
        return NULL;
    }
    if (path && host) {
        error_setg(errp, "path and host may not be used at the same time");
        return NULL;
    }
    if (path && port) {
        error_setg(errp, "port may not be used without host");
        return NULL;
    }
    if (!path && !host) {
        error_setg(errp, "NBD server address missing");
        return NULL;
    }
    addr = g_new0(SocketAddress, 1);
    if (path) {
        addr->type = SOCKET_ADDRESS_TYPE_UNIX;
        addr->u.q_unix.path = g_steal_pointer(&path);
    } else {
        addr->type = SOCKET_ADDRESS_TYPE_INET;
        addr->u.inet.host = g_steal_pointer(&host);
        addr->u.inet.port = port ? g_steal_pointer(&port) : g_strdup(NBD_DEFAULT_PORT);
    }
    return addr;
}

bool nbd_take_address(JsonValue *options, SocketAddress **addr, Error **errp)
{
    JsonValue *server = json_object_get(options, "server");

    if (!server) {
        *addr = flat_address(options, errp);
        return *addr != NULL;
    }
    if (json_object_has(options, "path") || json_object_has(options, "host") || json_object_has(options, "port")) {
        error_setg(errp, "path/host/port and server may not be used at the same time");
        return false;
    }
    *addr = qapi_decode(&qapi_type_SocketAddress, server, errp);
    if (!*addr) {
        return false;
    }
    json_object_remove(options, "server");
    return true;
}

char *nbd_format_name(const SocketAddress *addr, const char *export)
{
    g_autofree char *name = g_uri_escape_string(export, "/", false);

    if (addr->type == SOCKET_ADDRESS_TYPE_UNIX) {
        const UnixSocketAddress *u = &addr->u.q_unix;

        if (u->has_abstract && u->abstract) {
            return NULL;
        }
        return g_strdup_printf("nbd+unix://%s%s?socket=%s", *export ? "/" : "", name, u->path);
    }
    if (addr->type == SOCKET_ADDRESS_TYPE_INET) {
        const InetSocketAddress *i = &addr->u.inet;
        bool v6 = strchr(i->host, ':');

        return g_strdup_printf("nbd://%s%s%s:%s%s%s", v6 ? "[" : "", i->host, v6 ? "]" : "", i->port,
                               *export ? "/" : "", name);
    }
    return NULL;
}
