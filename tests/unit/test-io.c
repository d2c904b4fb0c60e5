/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Channels, listeners, descriptor passing, addresses. */
#include "util/osdep.h"
#include <sys/socket.h>
#include "io/channel.h"
#include "util/coroutine.h"
#include "util/cutils.h"

static EventLoop *loop;
static char *dir;

static SocketAddress *unix_address(const char *name)
{
    g_autofree char *text = g_strdup_printf("unix:%s/%s", dir, name);

    return socket_address_parse(text, &error_abort);
}

static void socket_pair(IoChannel **a, IoChannel **b)
{
    int fd[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), ==, 0);
    *a = io_channel_new_fd(fd[0], "a", &error_abort);
    *b = io_channel_new_fd(fd[1], "b", &error_abort);
}

/* ---- text ---- */

static void test_parse(void)
{
    static const char *const good[][2] = {
        { "unix:/a b/c", "unix:/a b/c" }, { "tcp:localhost:80", "tcp:localhost:80" },
        { "1.2.3.4:http", "tcp:1.2.3.4:http" }, { "[::1]:5", "tcp:[::1]:5" }, { ":0", "tcp::0" },
        { "fd:7", "fd:7" }, { "fd:name", "fd:name" }, { "vsock:3:1024", "vsock:3:1024" },
        { "tcp:h:1,to=9,ipv4=on,ipv6=off,keep-alive", "tcp:h:1" },
    };
    static const char *const bad[] = {
        "", "x", "unix:", "fd:", "vsock:", "vsock:3", "[::1:5", "[::1]5", "h:", "h:1,to=70000",
        "h:1,what", "h:1,ipv4=maybe", "h:1,to",
    };

    for (unsigned i = 0; i < ARRAY_SIZE(good); i++) {
        g_autoptr(SocketAddress) addr = socket_address_parse(good[i][0], &error_abort);
        g_autofree char *text = socket_address_format(addr);

        g_assert_cmpstr(text, ==, good[i][1]);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        Error *err = NULL;

        g_test_message("%s", bad[i]);
        g_assert_null(socket_address_parse(bad[i], &err));
        g_assert_nonnull(err);
        error_free(err);
    }
}

static void test_too_long(void)
{
    g_autofree char *path = g_strnfill(200, 'x'), *text = g_strconcat("unix:", path, NULL);
    g_autoptr(SocketAddress) addr = socket_address_parse(text, &error_abort);
    Error *err = NULL;

    g_assert_null(io_listener_new(addr, 1, &err));
    g_clear_pointer(&err, error_free);
    g_assert_null(io_channel_connect(addr, &err));
    error_free(err);
}

/* ---- transfers ---- */

static void test_pair(void)
{
    g_autoptr(IoChannel) a = NULL;
    g_autoptr(IoChannel) b = NULL;
    char buf[8];
    Error *err = NULL;

    socket_pair(&a, &b);
    g_assert_true(io_channel_set_blocking(b, false, &error_abort));
    g_assert_cmpint(io_channel_read(b, buf, 8, &err), ==, IO_CHANNEL_BLOCK);
    g_assert_null(err);
    g_assert_true(io_channel_write_all(a, "hello", 5, &error_abort));
    g_assert_cmpint(io_channel_read(b, buf, 8, &error_abort), ==, 5);

    g_assert_true(io_channel_write_all(a, "xy", 2, &error_abort));
    g_assert_true(io_channel_shutdown(a, false, true, &error_abort));
    g_assert_false(io_channel_read_all(b, buf, 3, &err));
    g_assert_nonnull(err);
    g_clear_pointer(&err, error_free);
    g_assert_cmpint(io_channel_read(b, buf, 8, &error_abort), ==, 0);

    g_assert_true(io_channel_close(b, &error_abort));
    g_assert_true(io_channel_close(b, &error_abort));
    g_assert_cmpint(io_channel_read(b, buf, 1, &err), ==, IO_CHANNEL_ERR);
    g_clear_pointer(&err, error_free);
    /* A peer that is gone is an error, not a signal. */
    g_assert_cmpint(io_channel_write(a, "x", 1, &err), ==, IO_CHANNEL_ERR);
    error_free(err);
    g_assert_cmpint(io_channel_seek(a, 0, SEEK_SET, NULL), ==, -1);
}

static void test_fds(void)
{
    g_autoptr(IoChannel) a = NULL;
    g_autoptr(IoChannel) b = NULL;
    int nulls[3], too_many[40], *got, next;
    char buf[8];
    struct iovec iov = { (void *)"ab", 2 }, in = { buf, sizeof(buf) };
    size_t n;
    Error *err = NULL;

    socket_pair(&a, &b);
    g_assert_true(io_channel_can_pass_fds(a));
    for (int i = 0; i < 3; i++) {
        nulls[i] = open("/dev/null", O_RDWR);
    }
    g_assert_cmpint(io_channel_writev(a, &iov, 1, nulls, 3, &error_abort), ==, 2);
    g_assert_cmpint(io_channel_readv(b, &in, 1, &got, &n, &error_abort), ==, 2);
    g_assert_cmpuint(n, ==, 3);
    for (int i = 0; i < 3; i++) {
        g_assert_cmpint(fcntl(got[i], F_GETFD), ==, FD_CLOEXEC);
        close(got[i]);
    }
    g_free(got);
    /* Not asked for: none may stay open. */
    g_assert_cmpint(io_channel_writev(a, &iov, 1, nulls, 3, &error_abort), ==, 2);
    g_assert_cmpint(io_channel_read(b, buf, 8, &error_abort), ==, 2);
    next = dup(0);
    g_assert_cmpint(next, <=, nulls[2] + 1);
    close(next);
    memset(too_many, 0, sizeof(too_many));
    g_assert_cmpint(io_channel_writev(a, &iov, 1, too_many, 40, &err), ==, IO_CHANNEL_ERR);
    error_free(err);
    for (int i = 0; i < 3; i++) {
        close(nulls[i]);
    }
}

enum { BULK = 1 << 20 };

typedef struct Bulk {
    IoChannel *ch;
    char *data;
    bool done;
} Bulk;

static void co_read_bulk(void *opaque)
{
    Bulk *b = opaque;

    b->done = io_channel_read_all(b->ch, b->data, BULK, &error_abort);
}

static void co_write_bulk(void *opaque)
{
    Bulk *b = opaque;

    b->done = io_channel_write_all(b->ch, b->data, BULK, &error_abort);
}

/* Each end reads and writes at once, far more than a socket holds. */
static void test_coroutines(void)
{
    g_autoptr(IoChannel) a = NULL;
    g_autoptr(IoChannel) b = NULL;
    Bulk bulk[4];

    socket_pair(&a, &b);
    io_channel_set_blocking(a, false, &error_abort);
    io_channel_set_blocking(b, false, &error_abort);
    for (int i = 0; i < 4; i++) {
        bulk[i] = (Bulk) { i & 1 ? b : a, g_malloc0(BULK), false };
    }
    for (int i = 0; i < BULK; i++) {
        bulk[2].data[i] = i * 7;
        bulk[3].data[i] = i * 5;
    }
    for (int i = 0; i < 4; i++) {
        coroutine_enter(coroutine_create(i < 2 ? co_read_bulk : co_write_bulk, &bulk[i]));
    }
    while (!(bulk[0].done && bulk[1].done && bulk[2].done && bulk[3].done)) {
        event_loop_poll(loop, true);
    }
    g_assert_cmpint(memcmp(bulk[0].data, bulk[3].data, BULK), ==, 0);
    g_assert_cmpint(memcmp(bulk[1].data, bulk[2].data, BULK), ==, 0);
    for (int i = 0; i < 4; i++) {
        g_free(bulk[i].data);
    }
}

static void count(void *opaque)
{
    ++*(int *)opaque;
}

/* The owner's handler stays while a coroutine writes, and is back after one has read. */
static void test_handlers(void)
{
    g_autoptr(IoChannel) a = NULL;
    g_autoptr(IoChannel) b = NULL;
    Bulk bulk = { .data = g_malloc0(BULK) };
    int reads = 0, fd;
    char *sink = g_malloc(BULK);

    socket_pair(&a, &b);
    io_channel_set_blocking(a, false, &error_abort);
    bulk.ch = a;
    io_channel_set_handlers(a, loop, count, NULL, &reads);
    coroutine_enter(coroutine_create(co_write_bulk, &bulk));
    g_assert_true(io_channel_write_all(b, "x", 1, &error_abort));
    while (!reads) {
        event_loop_poll(loop, true);
    }
    g_assert_false(bulk.done);
    g_assert_cmpint(io_channel_read(a, sink, 1, &error_abort), ==, 1);
    for (ssize_t left = BULK; left;) {
        left -= io_channel_read(b, sink, left, &error_abort);
        event_loop_poll(loop, false);
    }
    g_assert_true(bulk.done);
    reads = 0;
    g_assert_true(io_channel_write_all(b, "x", 1, &error_abort));
    event_loop_poll(loop, true);
    g_assert_cmpint(reads, ==, 1);

    /* Closed with a handler on it: the next owner of the number gets its events. */
    fd = io_channel_socket_fd(a);
    io_channel_close(a, &error_abort);
    event_loop_poll(loop, false);
    g_assert_cmpint(reads, ==, 1);
    g_assert_cmpint(io_channel_socket_fd(a), ==, -1);
    g_assert_cmpint(fcntl(fd, F_GETFD), ==, -1);
    g_free(bulk.data);
    g_free(sink);
}

/* ---- files and commands ---- */

static void test_file(void)
{
    g_autofree char *path = g_build_filename(dir, "file", NULL);
    g_autoptr(IoChannel) ch = io_channel_open_file(path, O_RDWR | O_CREAT | O_EXCL, 0600, &error_abort);
    char buf[4];
    Error *err = NULL;

    g_assert_false(io_channel_can_pass_fds(ch));
    g_assert_true(io_channel_write_all(ch, "abcd", 4, &error_abort));
    g_assert_cmpint(io_channel_seek(ch, 1, SEEK_SET, &error_abort), ==, 1);
    g_assert_true(io_channel_read_all(ch, buf, 3, &error_abort));
    g_assert_cmpint(memcmp(buf, "bcd", 3), ==, 0);
    g_assert_false(io_channel_shutdown(ch, true, true, &err));
    g_clear_pointer(&err, error_free);
    io_channel_close(ch, &error_abort);
    io_channel_set_handlers(ch, loop, NULL, NULL, NULL);
    unlink(path);

    g_assert_null(io_channel_open_file("/nonexistent/x", O_RDONLY, 0, &err));
    g_clear_pointer(&err, error_free);
    g_assert_null(io_channel_new_fd(9999, "x", &err));
    error_free(err);
}

static void test_command(void)
{
    g_autoptr(IoChannel) ch = io_channel_new_command("head -c5 | tr a-z A-Z", true, true, &error_abort);
    g_autoptr(IoChannel) bad = NULL;
    Error *err = NULL;
    char buf[5];

    g_assert_true(io_channel_write_all(ch, "hello", 5, &error_abort));
    g_assert_true(io_channel_read_all(ch, buf, 5, &error_abort));
    g_assert_cmpint(memcmp(buf, "HELLO", 5), ==, 0);
    g_assert_true(io_channel_close(ch, &error_abort));

    bad = io_channel_new_command("echo hello; exit 3", true, false, &error_abort);
    g_assert_true(io_channel_read_all(bad, buf, 5, &error_abort));
    g_assert_cmpint(memcmp(buf, "hello", 5), ==, 0);
    g_assert_false(io_channel_close(bad, &err));
    g_assert_nonnull(strstr(error_message(err), "status 3"));
    error_free(err);
}

/* ---- listeners ---- */

typedef struct Accept {
    IoChannel *ch;
    Error *err;
    int n;
} Accept;

static void accepted(void *opaque, IoChannel *ch)
{
    Accept *a = opaque;

    a->n++;
    io_channel_unref(a->ch);
    a->ch = io_channel_ref(ch);
}

static void connected(void *opaque, IoChannel *ch, Error *err)
{
    Accept *a = opaque;

    a->n++;
    a->ch = ch;
    a->err = err;
}

static void talk(IoChannel *a, IoChannel *b)
{
    char c;

    g_assert_true(io_channel_write_all(a, "!", 1, &error_abort));
    g_assert_true(io_channel_read_all(b, &c, 1, &error_abort));
    g_assert_cmpint(c, ==, '!');
}

/* A stale socket makes room; anything else at that path stays what it is. */
static void test_listen_in_the_way(void)
{
    g_autofree char *path = g_build_filename(dir, "in-the-way", NULL);
    SocketAddress addr = { .type = SOCKET_ADDRESS_TYPE_UNIX };
    g_autofree char *content = NULL;
    IoListener *l;

    addr.u.q_unix.path = path;
    g_assert_true(g_file_set_contents(path, "mine", -1, NULL));
    g_assert_null(io_listener_new(&addr, 1, NULL));
    g_assert_true(g_file_get_contents(path, &content, NULL, NULL));
    g_assert_cmpstr(content, ==, "mine");
    g_assert_cmpint(unlink(path), ==, 0);
    l = io_listener_new(&addr, 1, &error_abort);
    io_listener_free(l);
    unlink(path);
}

static void listen_on(SocketAddress *addr)
{
    IoListener *l = io_listener_new(addr, 1, &error_abort);
    g_autoptr(SocketAddress) real = io_listener_address(l, &error_abort);
    g_autoptr(IoChannel) client = io_channel_connect(real, &error_abort), server = NULL;
    Accept a = { 0 }, c = { 0 };

    server = io_listener_accept_wait(l, &error_abort);
    talk(client, server);

    io_listener_set_handler(l, loop, accepted, &a);
    io_channel_connect_async(real, connected, &c);
    while (!a.n || !c.n) {
        event_loop_poll(loop, true);
    }
    g_assert_null(c.err);
    talk(c.ch, a.ch);
    io_channel_unref(c.ch);
    io_channel_unref(a.ch);
    io_listener_free(l);

    c = (Accept) { 0 };
    io_channel_connect_async(real, connected, &c);
    while (!c.n) {
        event_loop_poll(loop, true);
    }
    g_assert_null(c.ch);
    g_assert_nonnull(c.err);
    error_free(c.err);
}

static void test_unix(void)
{
    g_autoptr(SocketAddress) addr = unix_address("sock"), gone = unix_address("sock");

    listen_on(addr);
    /* The file went with the listener. */
    g_assert_cmpint(access(gone->u.q_unix.path, F_OK), ==, -1);
    addr->u.q_unix.has_abstract = addr->u.q_unix.abstract = true;
    listen_on(addr);
    addr->u.q_unix.has_tight = true;
    addr->u.q_unix.tight = false;
    listen_on(addr);
}

static void test_tcp(void)
{
    g_autoptr(SocketAddress) v4 = socket_address_parse("127.0.0.1:0", &error_abort);

    listen_on(v4);
}

/* An inherited listening socket. */
static void test_fd_listener(void)
{
    g_autoptr(SocketAddress) addr = unix_address("fdsock"), fd_addr = NULL;
    IoListener *l = io_listener_new(addr, 1, &error_abort), *adopted;
    g_autoptr(IoChannel) client = NULL, server = NULL;
    g_autofree char *text = NULL;
    int fd = -1;
    Error *err = NULL;

    /* The listener's descriptor is the newest. */
    fd = dup(0);
    close(fd);
    text = g_strdup_printf("fd:%d", dup(fd - 1));
    fd_addr = socket_address_parse(text, &error_abort);
    adopted = io_listener_new(fd_addr, 1, &error_abort);
    client = io_channel_connect(addr, &error_abort);
    server = io_listener_accept_wait(adopted, &error_abort);
    talk(client, server);
    io_listener_free(adopted);
    io_listener_free(l);

    g_assert_cmpint(fd_param("x", &err), ==, -1);
    g_clear_pointer(&err, error_free);
    g_assert_cmpint(fd_param("9999", &err), ==, -1);
    g_clear_pointer(&err, error_free);
    g_assert_cmpint(fd_param("-1", &err), ==, -1);
    error_free(err);
}

static void test_cancel(void)
{
    g_autoptr(SocketAddress) addr = unix_address("nobody");
    Accept c = { 0 };

    for (int i = 0; i < 10; i++) {
        io_connect_cancel(io_channel_connect_async(addr, connected, &c));
    }
    for (int i = 0; i < 20; i++) {
        event_loop_poll(loop, false);
        g_usleep(500);
    }
    g_assert_cmpint(c.n, ==, 0);
}

int main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    main_loop_init(&error_abort);
    loop = event_loop_main();
    dir = g_dir_make_tmp("nemu-io-XXXXXX", NULL);
    g_test_add_func("/io/parse", test_parse);
    g_test_add_func("/io/too-long", test_too_long);
    g_test_add_func("/io/pair", test_pair);
    g_test_add_func("/io/fds", test_fds);
    g_test_add_func("/io/coroutines", test_coroutines);
    g_test_add_func("/io/handlers", test_handlers);
    g_test_add_func("/io/file", test_file);
    g_test_add_func("/io/command", test_command);
    g_test_add_func("/io/unix", test_unix);
    g_test_add_func("/io/listen-in-the-way", test_listen_in_the_way);
    g_test_add_func("/io/tcp", test_tcp);
    g_test_add_func("/io/fd-listener", test_fd_listener);
    g_test_add_func("/io/cancel", test_cancel);
    ret = g_test_run();
    rmdir(dir);
    g_free(dir);
    return ret;
}
