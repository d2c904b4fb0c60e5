/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qemu-nbd: exports one image over NBD. Main thread. */
#include "util/osdep.h"
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "../common.h"
#include "block/nbd-protocol.h"
#include "nbd.h"

#define EXPORT_ID "qemu-nbd-export"
/* systemd.exec(5), sd_listen_fds(3) */
#define ACTIVATION_FD 3

static NbdToolOptions options;
static NbdDevice *device;
static volatile sig_atomic_t stopping;
static int exit_status;

static void client_closed(void *opaque, unsigned count, bool negotiated)
{
    if (negotiated && !count && !options.persistent) {
        stopping = 1;
    }
}

static void device_ended(int status)
{
    exit_status = exit_status ? exit_status : status;
    stopping = 1;
}

/* ---- background ---- */

static int ready_fd = -1;       /* tells the parent that clients can connect */

/* The parent stays in here until the child says so or ends. */
static bool go_to_background(void)
{
    char byte;
    int fd[2];
    pid_t pid;

    if (pipe2(fd, O_CLOEXEC) < 0) {
        error_report("Failed to create a pipe: %s", g_strerror(errno));
        return false;
    }
    pid = fork();
    if (pid < 0) {
        error_report("Failed to fork: %s", g_strerror(errno));
        return false;
    }
    if (pid > 0) {
        close(fd[1]);
        _exit(TEMP_FAILURE_RETRY(read(fd[0], &byte, 1)) == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    close(fd[0]);
    ready_fd = fd[1];
    setsid();
    return true;
}

static void tell_ready(void)
{
    int null;

    if (ready_fd < 0) {
        return;
    }
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    if (!options.verbose) {
        dup2(null, STDERR_FILENO);
    }
    close(null);
    if (chdir("/") < 0 || write(ready_fd, "", 1) != 1) {
        /* the parent is gone: nobody waits */
    }
    close(ready_fd);
}

static bool write_pid_file(void)
{
    g_autofree char *text = g_strdup_printf("%d\n", (int)getpid());
    int fd;

    if (!options.pid_file) {
        return true;
    }
    fd = open(options.pid_file, O_CREAT | O_RDWR | O_CLOEXEC, 0644);
    if (fd < 0) {
        error_report("Could not create '%s': %s", options.pid_file, g_strerror(errno));
        return false;
    }
    /* Kept open: the lock says that we live. */
    if (flock(fd, LOCK_EX | LOCK_NB) < 0 || ftruncate(fd, 0) < 0 ||
        write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
        error_report("Could not write '%s': %s", options.pid_file, g_strerror(errno));
        close(fd);
        return false;
    }
    return true;
}

/* ---- addresses ---- */

static SocketAddress *server_address(void)
{
    SocketAddress *addr = g_new0(SocketAddress, 1);

    if (options.socket) {
        addr->type = SOCKET_ADDRESS_TYPE_UNIX;
        addr->u.q_unix.path = g_strdup(options.socket);
    } else {
        addr->type = SOCKET_ADDRESS_TYPE_INET;
        addr->u.inet.host = g_strdup(options.bind ? options.bind : "0.0.0.0");
        addr->u.inet.port = g_strdup(options.port ? options.port : NBD_DEFAULT_PORT);
    }
    return addr;
}

/* Has a service manager handed us a listening socket? */
static bool is_activated(void)
{
    const char *pid = g_getenv("LISTEN_PID"), *fds = g_getenv("LISTEN_FDS");

    return pid && fds && atoi(pid) == getpid() && atoi(fds) == 1;
}

static IoListener *listen_somewhere(Error **errp)
{
    SocketAddress *addr;
    IoListener *l;

    if (is_activated()) {
        if (options.socket || options.bind || options.port) {
            error_setg(errp, "An address cannot be given together with socket activation");
            return NULL;
        }
        addr = g_new0(SocketAddress, 1);
        addr->type = SOCKET_ADDRESS_TYPE_FD;
        addr->u.fd.str = g_strdup_printf("%d", ACTIVATION_FD);
    } else {
        addr = server_address();
    }
    l = io_listener_new(addr, MAX(options.shared, 16), errp);
    qapi_free_SocketAddress(addr);
    return l;
}

/* ---- the server ---- */

static bool make_objects(void)
{
    for (guint i = 0; i < options.objects->len; i++) {
        Error *err = NULL;

        if (!tool_object_option(options.objects->pdata[i], &err)) {
            error_report_err(err);
            return false;
        }
    }
    return true;
}

static bool get_creds(QCryptoTLSCredsEndpoint endpoint, TlsCreds **creds)
{
    Error *err = NULL;

    *creds = NULL;
    if (!options.tls_creds) {
        return true;
    }
    *creds = tls_creds_get(options.tls_creds, endpoint, &err);
    if (!*creds) {
        error_prepend(&err, "Failed to get TLS creds: ");
        error_report_err(err);
    }
    return *creds != NULL;
}

static bool add_export(BlockNode *bn, Error **errp)
{
    BlockExportOptions o = {
        .type = BLOCK_EXPORT_TYPE_NBD,
        .id = (char *)EXPORT_ID,
        .node_name = bn->node_name,
        .has_writable = true,
        .writable = !options.read_only,
        .has_writethrough = true,
        .writethrough = options.writethrough,
        .u.nbd = {
            .name = (char *)(options.export_name ? options.export_name : ""),
            .description = (char *)options.description,
            .has_allocation_depth = true,
            .allocation_depth = options.allocation_depth,
        },
    };
    guint n = options.bitmaps->len;
    g_autofree BlockDirtyBitmapOrStr *refs = g_new0(BlockDirtyBitmapOrStr, n + 1);
    g_autofree BlockDirtyBitmapOrStrList *list = g_new0(BlockDirtyBitmapOrStrList, n + 1);

    for (guint i = 0; i < n; i++) {
        refs[i] = (BlockDirtyBitmapOrStr) { .type = QAPI_ALT_STR, .u.local = options.bitmaps->pdata[i] };
        list[i] = (BlockDirtyBitmapOrStrList) { i + 1 < n ? &list[i + 1] : NULL, &refs[i] };
    }
    o.u.nbd.bitmaps = n ? list : NULL;
    return block_export_add(&o, errp) != NULL;
}

static NbdServer *start_server(BlockNode *bn, TlsCreds *creds)
{
    NbdServerOptions so = {
        .creds = creds,
        .authz = options.tls_authz,
        .max_connections = options.shared,
        .closed = client_closed,
    };
    Error *err = NULL;
    IoListener *l = listen_somewhere(&err);
    NbdServer *server = l ? nbd_server_new(l, &so) : NULL;

    nbd_server_set_default(server);
    if (server && !add_export(bn, &err)) {
        nbd_server_free(server);
        server = NULL;
    }
    if (!server) {
        error_report_err(err);
    }
    return server;
}

static int serve(void)
{
    TlsCreds *creds;
    NbdServer *server = NULL;
    BlockNode *bn;

    if (!make_objects() || !get_creds(Q_CRYPTO_TLS_CREDS_ENDPOINT_SERVER, &creds)) {
        return EXIT_FAILURE;
    }
    bn = nbd_open_image(&options);
    if (bn && options.connect) {
        device = nbd_device_open(options.connect);
    }
    if (bn && (device || !options.connect)) {
        server = start_server(bn, creds);
    }
    object_unref(creds);
    if (!server || (device && !nbd_device_start(device, options.socket, options.verbose, device_ended)) ||
        !write_pid_file()) {
        exit_status = EXIT_FAILURE;
    } else {
        tell_ready();
        while (!stopping) {
            main_loop_poll(true);
        }
        if (device) {
            nbd_device_stop(device);
        }
    }
    block_export_close_all(BLOCK_EXPORT_TYPE__MAX);
    if (server) {
        nbd_server_free(server);
    }
    block_node_unref(bn);
    return exit_status;
}

static int list(void)
{
    NbdClientTls tls = { .hostname = options.tls_hostname };
    g_autoptr(SocketAddress) addr = server_address();
    int status;

    if (!make_objects() || !get_creds(Q_CRYPTO_TLS_CREDS_ENDPOINT_CLIENT, &tls.creds)) {
        return EXIT_FAILURE;
    }
    if (!tls.hostname && !options.socket) {
        tls.hostname = addr->u.inet.host;
    }
    status = nbd_list(addr, &tls);
    object_unref(tls.creds);
    return status;
}

int main(int argc, char **argv)
{
    g_autofree char *base = NULL;

    tool_init(argv);
    if (!nbd_parse_options(argc, argv, &options)) {
        return EXIT_FAILURE;
    }
    if (options.disconnect) {
        return nbd_device_disconnect(options.disconnect);
    }
    if (options.list) {
        return list();
    }
    if (options.connect) {
        base = g_path_get_basename(options.connect);
        options.socket = options.socket ? options.socket : g_strdup_printf("/var/lock/qemu-nbd-%s", base);
    }
    if ((options.fork || (options.connect && !options.verbose)) && !go_to_background()) {
        return EXIT_FAILURE;
    }
    tool_catch_signals(&stopping);
    return serve();
}
