/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TLS channels over a socket pair, authorisation, credentials objects. */
#include "util/osdep.h"
#include <sys/socket.h>
#include "authz/authz.h"
#include "io/channel-tls.h"
#include "qom/object.h"
#include "util/coroutine.h"

static char *dir;

static bool add(const char *text, Error **errp)
{
    g_autoptr(JsonValue) options = keyval_parse(text, "qom-type", NULL, &error_abort);

    return user_creatable_add(options, errp) != NULL;
}

static void add_in_dir(const char *text)
{
    g_autofree char *full = g_strdup_printf("%s,dir=%s", text, dir);

    add(full, &error_abort);
}

static void write_file(const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);

    g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void assert_error(Error *err, const char *part)
{
    g_assert_nonnull(err);
    g_test_message("%s", error_message(err));
    g_assert_nonnull(strstr(error_message(err), part));
    error_free(err);
}

/* ---- two ends ---- */

typedef struct End {
    IoChannel *below, *ch;
    bool ok, done;
    Error *err;
    char *data;
    size_t len;
} End;

static void open_pair(End *server, End *client, const char *server_creds, const char *client_creds,
                      const char *authz)
{
    TlsCreds *sc = tls_creds_get(server_creds, Q_CRYPTO_TLS_CREDS_ENDPOINT_SERVER, &error_abort);
    TlsCreds *cc = tls_creds_get(client_creds, Q_CRYPTO_TLS_CREDS_ENDPOINT_CLIENT, &error_abort);
    int fd[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd), ==, 0);
    *server = (End) { .below = io_channel_new_fd(fd[0], "server", &error_abort) };
    *client = (End) { .below = io_channel_new_fd(fd[1], "client", &error_abort) };
    server->ch = io_channel_new_tls_server(server->below, sc, authz, &error_abort);
    client->ch = io_channel_new_tls_client(client->below, cc, NULL, &error_abort);
    object_unref(sc);
    object_unref(cc);
}

static void close_end(End *e)
{
    io_channel_unref(e->ch);
    io_channel_unref(e->below);
    error_free(e->err);
    g_free(e->data);
}

static void handshaken(void *opaque, Error *err)
{
    End *e = opaque;

    e->done = true;
    e->ok = !err;
    e->err = err;
}

static void handshake(End *server, End *client)
{
    io_channel_handshake_async(server->ch, handshaken, server);
    io_channel_handshake_async(client->ch, handshaken, client);
    while (!server->done || !client->done) {
        event_loop_poll(event_loop_main(), true);
        /* Who gives up, hangs up. */
        if (server->done && !server->ok && server->ch) {
            g_clear_pointer(&server->ch, io_channel_unref);
        }
        if (client->done && !client->ok && client->ch) {
            g_clear_pointer(&client->ch, io_channel_unref);
        }
    }
}

#define AMOUNT 300000

static void coroutine_fn sender(void *opaque)
{
    End *e = opaque;

    e->ok = io_channel_write_all(e->ch, e->data, e->len, &e->err);
    e->done = true;
}

static void coroutine_fn receiver(void *opaque)
{
    End *e = opaque;
    size_t piece = 7, at = 0;

    for (e->ok = true; e->ok && at < e->len; at += piece, piece = piece * 3 % 40009) {
        piece = MIN(piece, e->len - at);
        e->ok = io_channel_read_all(e->ch, e->data + at, piece, &e->err);
    }
    e->done = true;
}

static void transfer(End *from, End *to)
{
    from->data = g_malloc(AMOUNT);
    to->data = g_malloc0(AMOUNT);
    from->len = to->len = AMOUNT;
    for (unsigned i = 0; i < AMOUNT; i++) {
        from->data[i] = i * 7 + i / 251;
    }
    from->done = to->done = false;
    coroutine_enter(coroutine_create(receiver, to));
    coroutine_enter(coroutine_create(sender, from));
    while (!from->done || !to->done) {
        event_loop_poll(event_loop_main(), true);
    }
    g_assert_true(from->ok);
    g_assert_true(to->ok);
    g_assert_cmpmem(from->data, AMOUNT, to->data, AMOUNT);
    g_clear_pointer(&from->data, g_free);
    g_clear_pointer(&to->data, g_free);
}

static void test_psk(void)
{
    End s, c;

    open_pair(&s, &c, "psk-server", "psk-client", NULL);
    handshake(&s, &c);
    g_assert_true(s.ok && c.ok);
    transfer(&s, &c);
    transfer(&c, &s);
    close_end(&s);
    close_end(&c);
}

static void test_anon(void)
{
    End s, c;

    open_pair(&s, &c, "anon-server", "anon-client", NULL);
    handshake(&s, &c);
    g_assert_true(s.ok && c.ok);
    transfer(&c, &s);
    close_end(&s);
    close_end(&c);
}

static void test_wrong_key(void)
{
    End s, c;

    open_pair(&s, &c, "psk-server", "psk-wrong", NULL);
    handshake(&s, &c);
    g_assert_false(s.ok);
    g_assert_false(c.ok);
    close_end(&s);
    close_end(&c);
    open_pair(&s, &c, "psk-server", "anon-client", NULL);
    handshake(&s, &c);
    g_assert_false(s.ok);
    g_assert_false(c.ok);
    assert_error(g_steal_pointer(&c.err), "TLS handshake failed: ");
    close_end(&s);
    close_end(&c);
}

static void test_authorisation(void)
{
    End s, c;

    open_pair(&s, &c, "psk-server", "psk-client", "only-alice");
    handshake(&s, &c);
    g_assert_false(s.ok);
    assert_error(g_steal_pointer(&s.err), "'only-alice' denies 'qemu'");
    close_end(&s);
    close_end(&c);
    open_pair(&s, &c, "psk-server", "psk-alice", "only-alice");
    handshake(&s, &c);
    g_assert_true(s.ok && c.ok);
    close_end(&s);
    close_end(&c);
    open_pair(&s, &c, "anon-server", "anon-client", "only-alice");
    handshake(&s, &c);
    g_assert_false(s.ok);
    assert_error(g_steal_pointer(&s.err), "has not said who it is");
    close_end(&s);
    close_end(&c);
}

/* What is no TLS at all, and a peer that says nothing and goes. */
static void test_garbage(void)
{
    End s, c;

    open_pair(&s, &c, "psk-server", "psk-client", NULL);
    io_channel_handshake_async(s.ch, handshaken, &s);
    io_channel_write_all(c.below, "GET / HTTP/1.0\r\n\r\n", 18, &error_abort);
    while (!s.done) {
        event_loop_poll(event_loop_main(), true);
    }
    g_assert_false(s.ok);
    close_end(&s);
    close_end(&c);
    open_pair(&s, &c, "psk-server", "psk-client", NULL);
    io_channel_handshake_async(s.ch, handshaken, &s);
    close_end(&c);
    while (!s.done) {
        event_loop_poll(event_loop_main(), true);
    }
    g_assert_false(s.ok);
    close_end(&s);
}

/* A stream that ends says so; one that is cut off is an error. */
static void test_end(void)
{
    Error *err = NULL;
    char buf[8];
    End s, c;

    open_pair(&s, &c, "psk-server", "psk-client", NULL);
    handshake(&s, &c);
    io_channel_close(c.ch, &error_abort);
    g_assert_cmpint(io_channel_read(s.ch, buf, sizeof(buf), &error_abort), ==, 0);
    close_end(&s);
    close_end(&c);
    open_pair(&s, &c, "psk-server", "psk-client", NULL);
    handshake(&s, &c);
    io_channel_shutdown(c.below, true, true, &error_abort);
    g_assert_cmpint(io_channel_read(s.ch, buf, sizeof(buf), &err), ==, IO_CHANNEL_ERR);
    assert_error(err, "not properly terminated");
    close_end(&s);
    close_end(&c);
}

/* A handler that takes a byte at a time hears of bytes that the socket no longer has. */
static unsigned handled;
static End *handled_end;

static void read_one(void *opaque)
{
    char byte;

    if (io_channel_read(handled_end->ch, &byte, 1, &error_abort) == 1) {
        handled++;
    }
}

static void test_handlers(void)
{
    End s, c;

    open_pair(&s, &c, "psk-server", "psk-client", NULL);
    handshake(&s, &c);
    handled_end = &s;
    io_channel_set_handlers(s.ch, event_loop_main(), read_one, NULL, NULL);
    io_channel_write_all(c.ch, "0123456789", 10, &error_abort);
    while (handled < 10) {
        event_loop_poll(event_loop_main(), true);
    }
    close_end(&s);
    close_end(&c);
}

/* ---- objects ---- */

static void test_credentials(void)
{
    static const char *const cases[][2] = {
        { "tls-creds-x509,id=x", "Missing 'dir' property value" },
        { "tls-creds-psk,id=x", "Missing 'dir' property value" },
        { "tls-creds-x509,id=x,dir=/nonexistent",
          "Unable to access credentials /nonexistent/ca-cert.pem: No such file or directory" },
        { "tls-creds-psk,id=x,dir=/nonexistent",
          "Unable to access credentials /nonexistent/keys.psk: No such file or directory" },
        { "tls-creds-psk,id=x,dir=/,endpoint=server,username=u",
          "username should not be set when endpoint is server" },
        { "tls-creds-anon,id=x,priority=NONSENSE", "Unable to set TLS session priority" },
        { "tls-creds-x509,id=x,dir=/nonexistent,passwordid=none", "No secret with id 'none'" },
    };
    Error *err = NULL;

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        g_assert_false(add(cases[i][0], &err));
        assert_error(g_steal_pointer(&err), cases[i][1]);
    }
    g_assert_null(tls_creds_get("psk-server", Q_CRYPTO_TLS_CREDS_ENDPOINT_CLIENT, &err));
    assert_error(g_steal_pointer(&err), "Expecting TLS credentials with a client endpoint");
    g_assert_null(tls_creds_get("none", Q_CRYPTO_TLS_CREDS_ENDPOINT_CLIENT, &err));
    assert_error(g_steal_pointer(&err), "No TLS credentials with id 'none'");
    g_assert_null(tls_creds_get("only-alice", Q_CRYPTO_TLS_CREDS_ENDPOINT_CLIENT, &err));
    assert_error(g_steal_pointer(&err), "Object with id 'only-alice' is not TLS credentials");
}

static void test_lists(void)
{
    g_autofree char *option = g_strdup_printf("authz-listfile,id=file,filename=%s/list.json", dir);
    Error *err = NULL;

    add("authz-list,id=list,rules.0.match=fred,rules.0.policy=allow,rules.1.match=CN=*,,O=good,rules.1.policy=allow,"
        "rules.1.format=glob,rules.2.match=bob*,rules.2.policy=allow", &error_abort);
    g_assert_true(authz_check("list", "fred", &error_abort));
    g_assert_true(authz_check("list", "CN=x,O=good", &error_abort));
    g_assert_false(authz_check("list", "CN=x,O=bad", &err));
    g_clear_pointer(&err, error_free);
    g_assert_false(authz_check("list", "bobby", &err));     /* exact, unless it says glob */
    g_clear_pointer(&err, error_free);

    write_file("list.json", "{\"policy\": \"allow\", \"rules\": [{\"match\": \"fred\", \"policy\": \"deny\"}]}");
    add(option, &error_abort);
    g_assert_true(authz_check("file", "anna", &error_abort));
    g_assert_false(authz_check("file", "fred", &err));
    g_clear_pointer(&err, error_free);
    write_file("list.json", "{\"rules\": [{\"match\": \"fred\", \"policy\": \"allow\"}]}");
    g_assert_true(authz_check("file", "fred", &error_abort));
    g_assert_false(authz_check("file", "anna", &err));
    g_clear_pointer(&err, error_free);
    write_file("list.json", "{\"rules\": [");
    g_assert_false(authz_check("file", "fred", &err));
    assert_error(g_steal_pointer(&err), "list.json");
    g_assert_false(authz_check("none", "fred", &err));
    error_free(err);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    main_loop_init(&error_abort);
    dir = g_dir_make_tmp("nemu-tls-XXXXXX", NULL);
    write_file("keys.psk", "qemu:0123456789abcdef0123456789abcdef\nalice:fedcba9876543210\n");
    add_in_dir("tls-creds-psk,id=psk-server,endpoint=server");
    add_in_dir("tls-creds-psk,id=psk-client,endpoint=client");
    add_in_dir("tls-creds-psk,id=psk-alice,endpoint=client,username=alice");
    write_file("keys.psk", "qemu:ffffffffffffffffffffffffffffffff\n");
    add_in_dir("tls-creds-psk,id=psk-wrong,endpoint=client");
    write_file("keys.psk", "qemu:0123456789abcdef0123456789abcdef\nalice:fedcba9876543210\n");
    add("tls-creds-anon,id=anon-server,endpoint=server", &error_abort);
    add("tls-creds-anon,id=anon-client,endpoint=client", &error_abort);
    add("authz-simple,id=only-alice,identity=alice", &error_abort);
    g_test_add_func("/tls/psk", test_psk);
    g_test_add_func("/tls/anon", test_anon);
    g_test_add_func("/tls/wrong-key", test_wrong_key);
    g_test_add_func("/tls/authorisation", test_authorisation);
    g_test_add_func("/tls/garbage", test_garbage);
    g_test_add_func("/tls/end", test_end);
    g_test_add_func("/tls/handlers", test_handlers);
    g_test_add_func("/tls/credentials", test_credentials);
    g_test_add_func("/authz/lists", test_lists);
    return g_test_run();
}
