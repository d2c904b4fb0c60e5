/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Socket addresses: text forms, the kernel's forms, connecting and listening.
 *
 * Thread: any; name look-ups block.
 */
#include "util/osdep.h"

#include <arpa/inet.h>
#include <linux/vm_sockets.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "io/channel-internal.h"
#include "util/cutils.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static int (*lookup_fd_name)(const char *name, Error **errp);

void fd_param_set_lookup(int (*lookup)(const char *name, Error **errp))
{
    lookup_fd_name = lookup;
}

int fd_param(const char *text, Error **errp)
{
    uint64_t fd;

    if (!g_ascii_isdigit(*text) && lookup_fd_name) {
        return lookup_fd_name(text, errp);
    }
    if (parse_uint64(text, 10, &fd) != 0 || fd > INT_MAX) {
        error_setg(errp, "Invalid file descriptor number '%s'", text);
        return -1;
    }
    if (fcntl((int)fd, F_GETFD) < 0) {
        error_setg_errno(errp, errno, "File descriptor %d cannot be used", (int)fd);
        return -1;
    }
    return fd;
}

/* ---- text ---- */

/* One option of "HOST:PORT,to=N,ipv4=on"; false with @errp. */
static bool parse_inet_option(InetSocketAddress *inet, const char *option, Error **errp)
{
    static const struct { const char *name; size_t has, value; } flags[] = {
#define FLAG(n, f) { n, offsetof(InetSocketAddress, has_##f), offsetof(InetSocketAddress, f) }
        FLAG("ipv4", ipv4), FLAG("ipv6", ipv6), FLAG("keep-alive", keep_alive), FLAG("numeric", numeric),
        FLAG("mptcp", mptcp),
#undef FLAG
    };
    const char *eq = strchr(option, '=');
    size_t len = eq ? (size_t)(eq - option) : strlen(option);
    uint64_t to;

    for (unsigned i = 0; i < ARRAY_SIZE(flags); i++) {
        if (strlen(flags[i].name) == len && !strncmp(option, flags[i].name, len)) {
            *(bool *)((char *)inet + flags[i].has) = true;
            return parse_bool(flags[i].name, eq ? eq + 1 : "on", (bool *)((char *)inet + flags[i].value), errp);
        }
    }
    if (len == 2 && eq && !strncmp(option, "to", 2)) {
        if (parse_uint64(eq + 1, 10, &to) != 0 || to > UINT16_MAX) {
            error_setg(errp, "error parsing 'to' argument");
            return false;
        }
        inet->has_to = true;
        inet->to = to;
        return true;
    }
    error_setg(errp, "invalid option '%.*s' in socket address", (int)len, option);
    return false;
}

static bool parse_inet(InetSocketAddress *inet, const char *text, Error **errp)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);
    const char *addr = parts[0] ?: "", *colon;

    if (*addr == '[') {
        const char *end = strchr(addr, ']');

        if (!end || end[1] != ':') {
            error_setg(errp, "error parsing IPv6 address '%s'", addr);
            return false;
        }
        inet->host = g_strndup(addr + 1, end - addr - 1);
        inet->has_ipv6 = inet->ipv6 = true;
        colon = end + 1;
    } else {
        colon = strrchr(addr, ':');
        if (!colon) {
            error_setg(errp, "error parsing address '%s'", addr);
            return false;
        }
        inet->host = g_strndup(addr, colon - addr);
    }
    if (!colon[1]) {
        error_setg(errp, "error parsing port in address '%s'", addr);
        return false;
    }
    inet->port = g_strdup(colon + 1);
    for (unsigned i = 1; parts[i]; i++) {
        if (!parse_inet_option(inet, parts[i], errp)) {
            return false;
        }
    }
    return true;
}

SocketAddress *socket_address_parse(const char *text, Error **errp)
{
    g_autoptr(SocketAddress) addr = g_new0(SocketAddress, 1);

    if (g_str_has_prefix(text, "unix:")) {
        addr->type = SOCKET_ADDRESS_TYPE_UNIX;
        addr->u.q_unix.path = g_strdup(text + 5);
        if (!*addr->u.q_unix.path) {
            error_setg(errp, "invalid Unix socket address");
            return NULL;
        }
    } else if (g_str_has_prefix(text, "fd:")) {
        addr->type = SOCKET_ADDRESS_TYPE_FD;
        addr->u.fd.str = g_strdup(text + 3);
        if (!*addr->u.fd.str) {
            error_setg(errp, "invalid file descriptor address");
            return NULL;
        }
    } else if (g_str_has_prefix(text, "vsock:")) {
        g_auto(GStrv) parts = g_strsplit(text + 6, ":", 2);

        addr->type = SOCKET_ADDRESS_TYPE_VSOCK;
        if (!parts[0] || !parts[1]) {
            error_setg(errp, "error parsing vsock address '%s'", text + 6);
            return NULL;
        }
        addr->u.vsock.cid = g_strdup(parts[0]);
        addr->u.vsock.port = g_strdup(parts[1]);
    } else {
        addr->type = SOCKET_ADDRESS_TYPE_INET;
        if (!parse_inet(&addr->u.inet, g_str_has_prefix(text, "tcp:") ? text + 4 : text, errp)) {
            return NULL;
        }
    }
    return g_steal_pointer(&addr);
}

char *socket_address_format(const SocketAddress *addr)
{
    switch (addr->type) {
    case SOCKET_ADDRESS_TYPE_INET: {
        const InetSocketAddress *inet = &addr->u.inet;

        return g_strdup_printf(strchr(inet->host, ':') ? "tcp:[%s]:%s" : "tcp:%s:%s", inet->host, inet->port);
    }
    case SOCKET_ADDRESS_TYPE_UNIX:
        return g_strdup_printf("unix:%s", addr->u.q_unix.path);
    case SOCKET_ADDRESS_TYPE_VSOCK:
        return g_strdup_printf("vsock:%s:%s", addr->u.vsock.cid, addr->u.vsock.port);
    case SOCKET_ADDRESS_TYPE_FD:
        return g_strdup_printf("fd:%s", addr->u.fd.str);
    default:
        g_assert_not_reached();
    }
}

/* ---- the kernel's forms ---- */

static bool unix_sockaddr(const UnixSocketAddress *u, struct sockaddr_un *un, socklen_t *len, Error **errp)
{
    bool abstract = u->has_abstract && u->abstract;
    bool tight = !u->has_tight || u->tight;
    size_t n = strlen(u->path);

    memset(un, 0, sizeof(*un));
    un->sun_family = AF_UNIX;
    if (n + (abstract ? 1 : 0) > sizeof(un->sun_path) || n == 0) {
        error_setg(errp, "UNIX socket path '%s' is too long", u->path);
        error_append_hint(errp, "Path must be less than %zu bytes\n", sizeof(un->sun_path));
        return false;
    }
    memcpy(un->sun_path + (abstract ? 1 : 0), u->path, n);
    *len = abstract && tight ? offsetof(struct sockaddr_un, sun_path) + 1 + n : sizeof(*un);
    return true;
}

static bool vsock_sockaddr(const VsockSocketAddress *v, struct sockaddr_vm *vm, Error **errp)
{
    uint64_t cid, port;

    if (parse_uint64(v->cid, 10, &cid) != 0 || cid > UINT32_MAX || parse_uint64(v->port, 10, &port) != 0 ||
        port > UINT32_MAX) {
        error_setg(errp, "Failed to parse vsock address '%s:%s'", v->cid, v->port);
        return false;
    }
    memset(vm, 0, sizeof(*vm));
    vm->svm_family = AF_VSOCK;
    vm->svm_cid = cid;
    vm->svm_port = port;
    return true;
}

static struct addrinfo *inet_lookup(const InetSocketAddress *inet, bool passive, Error **errp)
{
    bool v4 = !inet->has_ipv4 || inet->ipv4, v6 = !inet->has_ipv6 || inet->ipv6;
    struct addrinfo hints = {
        .ai_socktype = SOCK_STREAM,
        .ai_flags = (passive ? AI_PASSIVE : 0) |
                    (inet->has_numeric && inet->numeric ? AI_NUMERICHOST | AI_NUMERICSERV : 0),
    };
    struct addrinfo *res;
    int ret;

    /* Asking for one family alone excludes the other. */
    if (inet->has_ipv4 && inet->ipv4 && !inet->has_ipv6) {
        v6 = false;
    } else if (inet->has_ipv6 && inet->ipv6 && !inet->has_ipv4) {
        v4 = false;
    }
    if (!v4 && !v6) {
        error_setg(errp, "Cannot disable IPv4 and IPv6 at same time");
        return NULL;
    }
    hints.ai_family = v4 && v6 ? AF_UNSPEC : v4 ? AF_INET : AF_INET6;
    ret = getaddrinfo(*inet->host ? inet->host : NULL, inet->port, &hints, &res);
    if (ret) {
        error_setg(errp, "address resolution failed for %s:%s: %s", inet->host, inet->port, gai_strerror(ret));
        return NULL;
    }
    return res;
}

static int inet_socket(const InetSocketAddress *inet, const struct addrinfo *ai)
{
    int protocol = inet->has_mptcp && inet->mptcp ? IPPROTO_MPTCP : ai->ai_protocol;

    return socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, protocol);
}

/* ---- connecting ---- */

static int connect_blocking(int fd, const struct sockaddr *sa, socklen_t len)
{
    /* An interrupted connect() goes on by itself; repeating it answers EALREADY until it is through. */
    int ret;

    do {
        ret = connect(fd, sa, len);
    } while (ret < 0 && (errno == EINTR || errno == EALREADY));
    return ret < 0 && errno != EISCONN ? -1 : 0;
}

static int connect_inet(const InetSocketAddress *inet, Error **errp)
{
    struct addrinfo *res = inet_lookup(inet, false, errp);
    int fd = -1, err = 0;

    if (!res) {
        return -1;
    }
    for (struct addrinfo *ai = res; ai; ai = ai->ai_next) {
        fd = inet_socket(inet, ai);
        if (fd >= 0 && connect_blocking(fd, ai->ai_addr, ai->ai_addrlen) == 0) {
            break;
        }
        err = errno;
        if (fd >= 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(res);
    if (fd < 0) {
        error_setg_errno(errp, err, "Failed to connect to '%s:%s'", inet->host, inet->port);
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    if (inet->has_keep_alive && inet->keep_alive &&
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){ 1 }, sizeof(int)) < 0) {
        error_setg_errno(errp, errno, "Unable to set keep-alive option on socket");
        close(fd);
        return -1;
    }
    return fd;
}

static int connect_sockaddr(const void *sa, socklen_t len, const char *what, Error **errp)
{
    int fd = socket(((const struct sockaddr *)sa)->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect_blocking(fd, sa, len) < 0) {
        error_setg_errno(errp, errno, "Failed to connect to '%s'", what);
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

/* An inherited or passed descriptor, which must be a socket. */
static int adopt_fd(const char *text, Error **errp)
{
    int fd = fd_param(text, errp);
    struct stat st;

    if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode))) {
        error_setg(errp, "File descriptor '%s' is not a socket", text);
        return -1;
    }
    if (fd >= 0) {
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    return fd;
}

int socket_connect(const SocketAddress *addr, Error **errp)
{
    switch (addr->type) {
    case SOCKET_ADDRESS_TYPE_INET:
        return connect_inet(&addr->u.inet, errp);
    case SOCKET_ADDRESS_TYPE_UNIX: {
        struct sockaddr_un un;
        socklen_t len;

        return unix_sockaddr(&addr->u.q_unix, &un, &len, errp)
               ? connect_sockaddr(&un, len, addr->u.q_unix.path, errp) : -1;
    }
    case SOCKET_ADDRESS_TYPE_VSOCK: {
        struct sockaddr_vm vm;

        return vsock_sockaddr(&addr->u.vsock, &vm, errp)
               ? connect_sockaddr(&vm, sizeof(vm), addr->u.vsock.cid, errp) : -1;
    }
    case SOCKET_ADDRESS_TYPE_FD:
        return adopt_fd(addr->u.fd.str, errp);
    default:
        g_assert_not_reached();
    }
}

/* ---- listening ---- */

static void set_port(struct sockaddr *sa, uint16_t port)
{
    if (sa->sa_family == AF_INET) {
        ((struct sockaddr_in *)sa)->sin_port = htons(port);
    } else {
        ((struct sockaddr_in6 *)sa)->sin6_port = htons(port);
    }
}

static uint16_t get_port(const struct sockaddr *sa)
{
    return ntohs(sa->sa_family == AF_INET ? ((const struct sockaddr_in *)sa)->sin_port
                                          : ((const struct sockaddr_in6 *)sa)->sin6_port);
}

/* On @port of @ai, or -1 with errno. */
static int listen_inet_port(const InetSocketAddress *inet, const struct addrinfo *ai, uint16_t port, int backlog)
{
    bool v4_too = !inet->has_ipv4 || inet->ipv4;
    int fd = inet_socket(inet, ai), err;

    if (fd < 0) {
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
    if (ai->ai_family == AF_INET6) {
        bool only = !v4_too || (inet->has_ipv6 && inet->ipv6 && !inet->has_ipv4);

        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){ only }, sizeof(int));
    }
    set_port(ai->ai_addr, port);
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, backlog) == 0) {
        return fd;
    }
    err = errno;
    close(fd);
    errno = err;
    return -1;
}

static int listen_inet(const InetSocketAddress *inet, int backlog, Error **errp)
{
    struct addrinfo *res = inet_lookup(inet, true, errp);
    int fd = -1, err = 0;

    if (!res) {
        return -1;
    }
    for (struct addrinfo *ai = res; ai && fd < 0; ai = ai->ai_next) {
        unsigned first = get_port(ai->ai_addr), last = inet->has_to ? MAX(first, inet->to) : first;

        /* With both families possible, the IPv6 wildcard serves both: prefer it. */
        if (ai->ai_family == AF_INET && !*inet->host && ai->ai_next && ai->ai_next->ai_family == AF_INET6) {
            fd = listen_inet_port(inet, ai->ai_next, first, backlog);
        }
        for (unsigned port = first; port <= last && fd < 0; port++) {
            fd = listen_inet_port(inet, ai, port, backlog);
            err = errno;
            if (fd < 0 && err != EADDRINUSE) {
                break;
            }
        }
    }
    freeaddrinfo(res);
    if (fd < 0) {
        error_setg_errno(errp, err, "Failed to find an available port");
    }
    return fd;
}

static int listen_unix(const UnixSocketAddress *u, int backlog, Error **errp)
{
    struct sockaddr_un un;
    socklen_t len;
    int fd;

    if (!unix_sockaddr(u, &un, &len, errp)) {
        return -1;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        error_setg_errno(errp, errno, "Failed to create Unix socket");
        return -1;
    }
    /* A stale socket of an earlier run would be in the way. */
    if (un.sun_path[0]) {
        unlink_type(u->path, S_IFSOCK);
    }
    if (bind(fd, (struct sockaddr *)&un, len) < 0) {
        error_setg_errno(errp, errno, "Failed to bind socket to %s", u->path);
        goto undo_socket;
    }
    if (listen(fd, backlog) < 0) {
        error_setg_errno(errp, errno, "Failed to listen on socket");
        goto undo_socket;
    }
    return fd;

undo_socket:
    close(fd);
    return -1;
}

static int listen_vsock(const VsockSocketAddress *v, int backlog, Error **errp)
{
    struct sockaddr_vm vm;
    int fd;

    if (!vsock_sockaddr(v, &vm, errp)) {
        return -1;
    }
    fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&vm, sizeof(vm)) < 0 || listen(fd, backlog) < 0) {
        error_setg_errno(errp, errno, "Failed to listen on vsock %s:%s", v->cid, v->port);
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

static int listen_fd(const char *text, int backlog, Error **errp)
{
    int fd = adopt_fd(text, errp), listening = 0;
    socklen_t len = sizeof(listening);

    if (fd < 0) {
        return -1;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 && listening) {
        return fd;
    }
    if (listen(fd, backlog) < 0) {
        error_setg_errno(errp, errno, "Failed to listen on fd socket");
        return -1;
    }
    return fd;
}

int socket_listen(const SocketAddress *addr, int backlog, Error **errp)
{
    switch (addr->type) {
    case SOCKET_ADDRESS_TYPE_INET:
        return listen_inet(&addr->u.inet, backlog, errp);
    case SOCKET_ADDRESS_TYPE_UNIX:
        return listen_unix(&addr->u.q_unix, backlog, errp);
    case SOCKET_ADDRESS_TYPE_VSOCK:
        return listen_vsock(&addr->u.vsock, backlog, errp);
    case SOCKET_ADDRESS_TYPE_FD:
        return listen_fd(addr->u.fd.str, backlog, errp);
    default:
        g_assert_not_reached();
    }
}

/* ---- addresses of open sockets ---- */

static SocketAddress *from_sockaddr(const struct sockaddr_storage *ss, socklen_t len, Error **errp)
{
    g_autoptr(SocketAddress) addr = g_new0(SocketAddress, 1);

    switch (ss->ss_family) {
    case AF_INET:
    case AF_INET6: {
        char host[NI_MAXHOST], port[NI_MAXSERV];
        int ret = getnameinfo((const struct sockaddr *)ss, len, host, sizeof(host), port, sizeof(port),
                              NI_NUMERICHOST | NI_NUMERICSERV);

        addr->type = SOCKET_ADDRESS_TYPE_INET;
        if (ret) {
            error_setg(errp, "Cannot format numeric socket address: %s", gai_strerror(ret));
            return NULL;
        }
        addr->u.inet.host = g_strdup(host);
        addr->u.inet.port = g_strdup(port);
        addr->u.inet.has_ipv4 = addr->u.inet.ipv4 = ss->ss_family == AF_INET;
        addr->u.inet.has_ipv6 = addr->u.inet.ipv6 = ss->ss_family == AF_INET6;
        break;
    }
    case AF_UNIX: {
        const struct sockaddr_un *un = (const struct sockaddr_un *)ss;
        size_t n = len > offsetof(struct sockaddr_un, sun_path) ? len - offsetof(struct sockaddr_un, sun_path) : 0;

        addr->type = SOCKET_ADDRESS_TYPE_UNIX;
        if (n && !un->sun_path[0]) {
            addr->u.q_unix.has_abstract = addr->u.q_unix.abstract = true;
            addr->u.q_unix.has_tight = true;
            addr->u.q_unix.tight = len < sizeof(*un);
            addr->u.q_unix.path = g_strndup(un->sun_path + 1, n - 1);
        } else {
            addr->u.q_unix.path = g_strndup(un->sun_path, n);
        }
        break;
    }
    case AF_VSOCK: {
        const struct sockaddr_vm *vm = (const struct sockaddr_vm *)ss;

        addr->type = SOCKET_ADDRESS_TYPE_VSOCK;
        addr->u.vsock.cid = g_strdup_printf("%u", vm->svm_cid);
        addr->u.vsock.port = g_strdup_printf("%u", vm->svm_port);
        break;
    }
    default:
        error_setg(errp, "socket family %d unsupported", ss->ss_family);
        /* The half-made address has no valid kind: free it as plain memory. */
        g_free(g_steal_pointer(&addr));
        return NULL;
    }
    return g_steal_pointer(&addr);
}

SocketAddress *socket_address_local(int fd, Error **errp)
{
    struct sockaddr_storage ss = { 0 };
    socklen_t len = sizeof(ss);

    if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0) {
        error_setg_errno(errp, errno, "Unable to query local socket address");
        return NULL;
    }
    return from_sockaddr(&ss, len, errp);
}

SocketAddress *socket_address_remote(int fd, Error **errp)
{
    struct sockaddr_storage ss = { 0 };
    socklen_t len = sizeof(ss);

    if (getpeername(fd, (struct sockaddr *)&ss, &len) < 0) {
        error_setg_errno(errp, errno, "Unable to query remote socket address");
        return NULL;
    }
    return from_sockaddr(&ss, len, errp);
}
