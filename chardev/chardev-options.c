/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -chardev text and the short forms of -serial, -qmp and the like, as the
 * schema's ChardevBackend.
 *
 * Thread: main thread.
 */
#include "util/osdep.h"
#include "chardev/chardev-internal.h"
#include "qapi-types.h"
#include "qapi-commands.h"
#include "util/cutils.h"

static const char *const known_options[] = {
    "backend", "id", "path", "input-path", "host", "port", "fd", "to", "ipv4", "ipv6", "keep-alive", "mptcp",
    "wait", "server", "delay", "nodelay", "reconnect", "telnet", "tn3270", "tls-creds", "tls-authz",
    "websocket", "cid", "signal", "size", "append", "logfile", "logappend", "abstract", "tight", "mux",
    "localaddr", "localport", "chardev",
};

static bool check_known(const JsonValue *opts, Error **errp)
{
    for (size_t i = 0; i < json_object_len(opts); i++) {
        const char *key;
        JsonValue *v;
        bool found = false;

        json_object_at(opts, i, &key, &v);
        for (size_t k = 0; k < ARRAY_SIZE(known_options) && !found; k++) {
            found = strcmp(key, known_options[k]) == 0;
        }
        if (!found) {
            error_setg(errp, "Invalid parameter '%s'", key);
            return false;
        }
    }
    return true;
}

static const char *get(const JsonValue *opts, const char *name)
{
    return json_object_get_string(opts, name);
}

static char *dup_opt(const JsonValue *opts, const char *name)
{
    return g_strdup(get(opts, name));
}

/* Sets *@has and *@value when the option is there; false when it is no boolean. */
static bool get_bool(const JsonValue *opts, const char *name, bool *has, bool *value, Error **errp)
{
    const char *s = get(opts, name);

    if (s == NULL) {
        return true;
    }
    *has = true;
    return parse_bool(name, s, value, errp);
}

static bool get_number(const JsonValue *opts, const char *name, bool *has, int64_t *value, Error **errp)
{
    const char *s = get(opts, name);

    if (s == NULL) {
        return true;
    }
    *has = true;
    if (parse_int64(s, 0, value) != 0) {
        error_setg(errp, "Parameter '%s' expects a number", name);
        return false;
    }
    return true;
}

static bool get_common(const JsonValue *opts, ChardevCommon *common, Error **errp)
{
    common->logfile = dup_opt(opts, "logfile");
    return get_bool(opts, "logappend", &common->has_logappend, &common->logappend, errp);
}

/* A mandatory path, for the kind @kind. */
static char *need_path(const JsonValue *opts, const char *kind, Error **errp)
{
    if (get(opts, "path") == NULL) {
        error_setg(errp, "chardev: %s: no %s given", kind, strcmp(kind, "pipe") == 0 ? "device path" : "filename");
        return NULL;
    }
    return dup_opt(opts, "path");
}

/* ---- sockets ---- */

static bool parse_inet(const JsonValue *opts, SocketAddressLegacy *addr, Error **errp)
{
    InetSocketAddress *inet = g_new0(InetSocketAddress, 1);
    bool has_to = false;
    int64_t to = 0;

    addr->type = SOCKET_ADDRESS_TYPE_INET;
    addr->u.inet.data = inet;
    inet->host = dup_opt(opts, "host");
    inet->port = dup_opt(opts, "port");
    if (inet->port == NULL) {
        error_setg(errp, "chardev: socket: no port given");
        return false;
    }
    if (!get_number(opts, "to", &has_to, &to, errp)) {
        return false;
    }
    if (has_to && (to < 0 || to > UINT16_MAX)) {
        error_setg(errp, "Parameter 'to' expects a port number");
        return false;
    }
    inet->has_to = has_to;
    inet->to = (uint16_t)to;
    return get_bool(opts, "ipv4", &inet->has_ipv4, &inet->ipv4, errp) &&
           get_bool(opts, "ipv6", &inet->has_ipv6, &inet->ipv6, errp) &&
           get_bool(opts, "keep-alive", &inet->has_keep_alive, &inet->keep_alive, errp) &&
           get_bool(opts, "mptcp", &inet->has_mptcp, &inet->mptcp, errp);
}

static bool parse_unix(const JsonValue *opts, SocketAddressLegacy *addr, Error **errp)
{
    UnixSocketAddress *un = g_new0(UnixSocketAddress, 1);

    addr->type = SOCKET_ADDRESS_TYPE_UNIX;
    addr->u.q_unix.data = un;
    un->path = dup_opt(opts, "path");
    return get_bool(opts, "abstract", &un->has_abstract, &un->abstract, errp) &&
           get_bool(opts, "tight", &un->has_tight, &un->tight, errp);
}

static bool parse_address(const JsonValue *opts, SocketAddressLegacy *addr, Error **errp)
{
    const char *path = get(opts, "path"), *host = get(opts, "host"), *fd = get(opts, "fd"), *cid = get(opts, "cid");

    if ((path != NULL) + (host != NULL) + (fd != NULL) + (cid != NULL) != 1) {
        error_setg(errp, "None or one of 'path', 'fd' or 'host' option required.");
        return false;
    }
    if (path != NULL) {
        return parse_unix(opts, addr, errp);
    }
    if (host != NULL) {
        return parse_inet(opts, addr, errp);
    }
    if (fd != NULL) {
        addr->type = SOCKET_ADDRESS_TYPE_FD;
        addr->u.fd.data = g_new0(String, 1);
        addr->u.fd.data->str = g_strdup(fd);
        return true;
    }
    addr->type = SOCKET_ADDRESS_TYPE_VSOCK;
    addr->u.vsock.data = g_new0(VsockSocketAddress, 1);
    addr->u.vsock.data->cid = g_strdup(cid);
    addr->u.vsock.data->port = dup_opt(opts, "port");
    if (addr->u.vsock.data->port == NULL) {
        error_setg(errp, "chardev: socket: no port given");
        return false;
    }
    return true;
}

static bool parse_socket(const JsonValue *opts, ChardevBackend *b, Error **errp)
{
    ChardevSocket *s = b->u.socket.data = g_new0(ChardevSocket, 1);
    bool has_delay = false, delay = true;

    s->addr = g_new0(SocketAddressLegacy, 1);
    if (!parse_address(opts, s->addr, errp) || !get_bool(opts, "server", &s->has_server, &s->server, errp) ||
        !get_bool(opts, "wait", &s->has_wait, &s->wait, errp) ||
        !get_bool(opts, "delay", &has_delay, &delay, errp) ||
        !get_bool(opts, "nodelay", &s->has_nodelay, &s->nodelay, errp) ||
        !get_bool(opts, "telnet", &s->has_telnet, &s->telnet, errp) ||
        !get_bool(opts, "tn3270", &s->has_tn3270, &s->tn3270, errp) ||
        !get_bool(opts, "websocket", &s->has_websocket, &s->websocket, errp) ||
        !get_number(opts, "reconnect", &s->has_reconnect, &s->reconnect, errp)) {
        return false;
    }
    if (has_delay) {
        s->has_nodelay = true;
        s->nodelay = !delay;
    }
    s->tls_creds = dup_opt(opts, "tls-creds");
    s->tls_authz = dup_opt(opts, "tls-authz");
    /* Unlike in chardev-add, a client is the default, and a server waits. */
    s->has_server = true;
    if (s->server && !s->has_wait) {
        s->has_wait = s->wait = true;
    }
    return true;
}

/* ---- the other kinds ---- */

static bool parse_file(const JsonValue *opts, ChardevBackend *b, Error **errp)
{
    ChardevFile *f = b->u.file.data = g_new0(ChardevFile, 1);

    f->out = need_path(opts, "file", errp);
    f->in = dup_opt(opts, "input-path");
    return f->out != NULL && get_bool(opts, "append", &f->has_append, &f->append, errp);
}

static bool parse_ringbuf(const JsonValue *opts, ChardevBackend *b, Error **errp)
{
    ChardevRingbuf *r = b->u.ringbuf.data = g_new0(ChardevRingbuf, 1);
    const char *s = get(opts, "size");
    uint64_t size;

    if (s == NULL) {
        return true;
    }
    if (parse_size(s, 'B', &size) != 0 || size > INT64_MAX) {
        error_setg(errp, "Parameter 'size' expects a non-negative number below 2^64");
        error_append_hint(errp, "Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\n"
                          "and exabytes, respectively.\n");
        return false;
    }
    r->has_size = true;
    r->size = (int64_t)size;
    return true;
}

static SocketAddressLegacy *new_inet(const char *host, const char *port)
{
    SocketAddressLegacy *addr = g_new0(SocketAddressLegacy, 1);

    addr->type = SOCKET_ADDRESS_TYPE_INET;
    addr->u.inet.data = g_new0(InetSocketAddress, 1);
    addr->u.inet.data->host = g_strdup(host ? host : "");
    addr->u.inet.data->port = g_strdup(port ? port : "0");
    return addr;
}

static bool parse_udp(const JsonValue *opts, ChardevBackend *b, Error **errp)
{
    ChardevUdp *u = b->u.udp.data = g_new0(ChardevUdp, 1);
    InetSocketAddress *to;

    if (get(opts, "port") == NULL || !*get(opts, "port")) {
        u->remote = new_inet(NULL, NULL);
        error_setg(errp, "chardev: udp: remote port not specified");
        return false;
    }
    u->remote = new_inet(get(opts, "host") && *get(opts, "host") ? get(opts, "host") : "localhost", get(opts, "port"));
    to = u->remote->u.inet.data;
    if (get(opts, "localaddr") != NULL || get(opts, "localport") != NULL) {
        u->local = new_inet(get(opts, "localaddr"), get(opts, "localport"));
    }
    return get_bool(opts, "ipv4", &to->has_ipv4, &to->ipv4, errp) &&
           get_bool(opts, "ipv6", &to->has_ipv6, &to->ipv6, errp);
}

static bool parse_kind(const JsonValue *opts, ChardevBackend *b, Error **errp)
{
    switch (b->type) {
    case CHARDEV_BACKEND_KIND_FILE:
        return parse_file(opts, b, errp);
    case CHARDEV_BACKEND_KIND_PIPE:
        b->u.pipe.data = g_new0(ChardevHostdev, 1);
        b->u.pipe.data->device = need_path(opts, "pipe", errp);
        return b->u.pipe.data->device != NULL;
    case CHARDEV_BACKEND_KIND_SOCKET:
        return parse_socket(opts, b, errp);
    case CHARDEV_BACKEND_KIND_STDIO:
        b->u.stdio.data = g_new0(ChardevStdio, 1);
        return get_bool(opts, "signal", &b->u.stdio.data->has_signal, &b->u.stdio.data->signal, errp);
    case CHARDEV_BACKEND_KIND_UDP:
        return parse_udp(opts, b, errp);
    case CHARDEV_BACKEND_KIND_MUX:
        b->u.mux.data = g_new0(ChardevMux, 1);
        b->u.mux.data->chardev = dup_opt(opts, "chardev");
        if (b->u.mux.data->chardev == NULL) {
            error_setg(errp, "chardev: mux: no chardev given");
            return false;
        }
        return true;
    case CHARDEV_BACKEND_KIND_RINGBUF:
    case CHARDEV_BACKEND_KIND_MEMORY:
        return parse_ringbuf(opts, b, errp);
    default:
        b->u.null.data = g_new0(ChardevCommon, 1);
        return true;
    }
}

static ChardevBackend *parse_backend(const JsonValue *opts, const char *kind, bool *mux, Error **errp)
{
    g_autoptr(ChardevBackend) b = g_new0(ChardevBackend, 1);
    bool has_mux = false;
    int type = qapi_enum_parse(&qapi_enum_ChardevBackendKind, kind, "", NULL);

    if (type < 0) {
        error_setg(errp, "'%s' is not a valid char driver name", kind);
        return NULL;
    }
    b->type = (ChardevBackendKind)type;
    /* The members of ChardevCommon come first in the data of every kind. */
    if (!parse_kind(opts, b, errp) || !get_common(opts, (ChardevCommon *)b->u.null.data, errp) ||
        !get_bool(opts, "mux", &has_mux, mux, errp)) {
        return NULL;
    }
    return g_steal_pointer(&b);
}

bool chardev_parse_options(const char *text, char **id, ChardevBackend **backend, bool *mux, Error **errp)
{
    g_autoptr(JsonValue) opts = NULL;
    const char *kind;

    if (*text == '{') {
        g_autoptr(QmpChardevAddArgs) args = NULL;

        opts = json_parse(text, strlen(text), errp);
        args = opts != NULL ? qapi_decode(&qapi_type_QmpChardevAddArgs, opts, errp) : NULL;
        if (args == NULL) {
            return false;
        }
        *id = g_steal_pointer(&args->id);
        *backend = g_steal_pointer(&args->backend);
        return true;
    }
    opts = keyval_parse_flat(text, "backend", true, NULL, errp);
    if (opts == NULL || !check_known(opts, errp)) {
        return false;
    }
    kind = get(opts, "backend");
    if (get(opts, "id") == NULL) {
        error_setg(errp, "chardev: no id specified");
        return false;
    }
    if (kind == NULL) {
        error_setg(errp, "chardev: \"%s\" missing backend", get(opts, "id"));
        return false;
    }
    *backend = parse_backend(opts, kind, mux, errp);
    if (*backend == NULL) {
        return false;
    }
    *id = dup_opt(opts, "id");
    return true;
}

/* ---- short forms ---- */

/* "HOST:PORT", with brackets around an IPv6 address, into @opts. */
static bool split_host_port(const char *text, JsonValue *opts)
{
    const char *colon = strrchr(text, ':');
    g_autofree char *host = NULL;
    size_t len;

    if (colon == NULL || colon[1] == '\0') {
        return false;
    }
    len = (size_t)(colon - text);
    if (text[0] == '[' && len >= 2 && text[len - 1] == ']') {
        host = g_strndup(text + 1, len - 2);
    } else {
        host = g_strndup(text, len);
    }
    json_object_set_string(opts, "host", host);
    json_object_set_string(opts, "port", colon + 1);
    return true;
}

/* "[HOST]:PORT[@[HOST]:PORT]": the peer's and our own address. */
static bool split_udp(const char *text, JsonValue *opts)
{
    g_auto(GStrv) sides = g_strsplit(text, "@", 2);
    g_autoptr(JsonValue) own = json_object();

    if (!split_host_port(sides[0], opts)) {
        return false;
    }
    if (sides[1] != NULL) {
        if (!split_host_port(sides[1], own)) {
            return false;
        }
        json_object_set_string(opts, "localaddr", get(own, "host"));
        json_object_set_string(opts, "localport", get(own, "port"));
    }
    return true;
}

/* The text up to the first comma that is not doubled; @rest is behind it. */
static char *first_item(const char *text, const char **rest)
{
    GString *out = g_string_new(NULL);

    while (*text != '\0') {
        if (*text == ',' && *++text != ',') {
            break;
        }
        g_string_append_c(out, *text++);
    }
    *rest = text;
    return g_string_free(out, FALSE);
}

/* The members for the kind that @text names with its prefix; the kind, or NULL. */
static const char *short_kind(const char *text, JsonValue *opts)
{
    static const struct {
        const char *prefix, *kind, *path_option;
    } forms[] = {
        { "file:", "file", "path" }, { "pipe:", "pipe", "path" }, { "unix:", "socket", "path" },
        { "fd:", "socket", "fd" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        if (g_str_has_prefix(text, forms[i].prefix)) {
            json_object_set_string(opts, forms[i].path_option, text + strlen(forms[i].prefix));
            return forms[i].kind;
        }
    }
    if (g_str_has_prefix(text, "tcp:") || g_str_has_prefix(text, "telnet:") || g_str_has_prefix(text, "websocket:")) {
        if (text[1] == 'e' || text[0] == 'w') {
            json_object_set_string(opts, text[0] == 'w' ? "websocket" : "telnet", "on");
        }
        return split_host_port(strchr(text, ':') + 1, opts) ? "socket" : NULL;
    }
    if (g_str_has_prefix(text, "udp:")) {
        return split_udp(text + strlen("udp:"), opts) ? "udp" : NULL;
    }
    if (strcmp(text, "null") == 0 || strcmp(text, "pty") == 0 || strcmp(text, "stdio") == 0 ||
        strcmp(text, "ringbuf") == 0) {
        return text;
    }
    return NULL;
}

ChardevBackend *chardev_parse_shorthand(const char *text, Error **errp)
{
    g_autoptr(JsonValue) opts = json_object();
    g_autoptr(JsonValue) more = NULL;
    bool mux = false;           /* by "mon:" only */
    const char *rest, *kind;
    g_autofree char *first = first_item(text, &rest);

    kind = short_kind(first, opts);
    if (kind == NULL) {
        error_setg(errp, "'%s' is not a valid char driver", text);
        return NULL;
    }
    more = keyval_parse_flat(rest, NULL, false, NULL, errp);
    if (more == NULL || !check_known(more, errp)) {
        return NULL;
    }
    for (size_t i = 0; i < json_object_len(more); i++) {
        const char *key;
        JsonValue *v;

        json_object_at(more, i, &key, &v);
        json_object_set_take(opts, key, json_ref(v));
    }
    return parse_backend(opts, kind, &mux, errp);
}
