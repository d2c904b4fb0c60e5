/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The QMP server over a socket pair: negotiation, order, out-of-band commands,
 * events, descriptors, disconnects, clients that do not read. The command
 * table is this test's own.
 */
#include "util/osdep.h"
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include "chardev/chardev.h"
#include "monitor/monitor.h"
#include "qapi-commands.h"
#include "qapi-events.h"

/* ---- commands ---- */

static JsonValue *run_capabilities(const JsonValue *json, Error **errp)
{
    g_autoptr(QmpQmpCapabilitiesArgs) args = qapi_decode(&qapi_type_QmpQmpCapabilitiesArgs, json, errp);

    return args != NULL && qmp_qmp_capabilities(args, errp) ? json_object() : NULL;
}

static JsonValue *run_getfd(const JsonValue *json, Error **errp)
{
    g_autoptr(QmpGetfdArgs) args = qapi_decode(&qapi_type_QmpGetfdArgs, json, errp);

    return args != NULL && qmp_getfd(args, errp) ? json_object() : NULL;
}

static JsonValue *run_closefd(const JsonValue *json, Error **errp)
{
    g_autoptr(QmpClosefdArgs) args = qapi_decode(&qapi_type_QmpClosefdArgs, json, errp);

    return args != NULL && qmp_closefd(args, errp) ? json_object() : NULL;
}

static JsonValue *run_version(const JsonValue *json, Error **errp)
{
    return qapi_command_result(&qapi_type_VersionInfo, qmp_query_version(errp), NULL, errp);
}

/* A command that takes its time, until an out-of-band one has run. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_cond = PTHREAD_COND_INITIALIZER;
static bool gate_open;

static JsonValue *run_slow(const JsonValue *json, Error **errp)
{
    pthread_mutex_lock(&gate);
    while (!gate_open) {
        pthread_cond_wait(&gate_cond, &gate);
    }
    gate_open = false;
    pthread_mutex_unlock(&gate);
    return json_string("slow");
}

static JsonValue *run_urgent(const JsonValue *json, Error **errp)
{
    g_assert_nonnull(monitor_current());
    pthread_mutex_lock(&gate);
    gate_open = true;
    pthread_cond_signal(&gate_cond);
    pthread_mutex_unlock(&gate);
    return json_string("urgent");
}

/* A large answer. */
static JsonValue *run_large(const JsonValue *json, Error **errp)
{
    char *text = g_malloc(300001);

    memset(text, 'x', 300000);
    text[300000] = '\0';
    return json_string_take(text);
}

/* A command that runs the main loop inside. */
static int depth, deepest;

static JsonValue *run_nested(const JsonValue *json, Error **errp)
{
    depth++;
    deepest = MAX(deepest, depth);
    for (int i = 0; i < 20; i++) {
        event_loop_poll(event_loop_main(), false);
    }
    depth--;
    return json_object();
}

const QapiCommand qapi_commands[] = {
    { "closefd", 0, run_closefd },
    { "getfd", 0, run_getfd },
    { "large", 0, run_large },
    { "nested", 0, run_nested },
    { "qmp_capabilities", 0, run_capabilities },
    { "query-version", 0, run_version },
    { "slow", 0, run_slow },
    { "urgent", QAPI_CMD_ALLOW_OOB, run_urgent },
};
const size_t qapi_commands_count = ARRAY_SIZE(qapi_commands);
const char qapi_introspection[] = "[]";

/* ---- a client ---- */

typedef struct Client {
    int fd;
    GString *in;                /* not yet taken lines */
} Client;

static void client_say(Client *c, const char *text)
{
    g_assert_cmpint(send(c->fd, text, strlen(text), MSG_NOSIGNAL), ==, strlen(text));
}

static void poll_main(void)
{
    if (!event_loop_poll(event_loop_main(), false)) {
        g_usleep(100);
    }
}

/* What has arrived, without waiting. */
static bool client_pull(Client *c)
{
    char buf[65536];
    ssize_t n = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT);

    if (n > 0) {
        g_string_append_len(c->in, buf, n);
    }
    return n > 0;
}

/* The next line, without its end. */
static char *client_line(Client *c)
{
    gint64 until = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;
    char *end, *line;

    while ((end = strstr(c->in->str, "\r\n")) == NULL) {
        g_assert_cmpint(g_get_monotonic_time(), <, until);
        poll_main();
        client_pull(c);
    }
    line = g_strndup(c->in->str, (gsize)(end - c->in->str));
    g_string_erase(c->in, 0, end + 2 - c->in->str);
    return line;
}

#define EXPECT(c, text)                                                     \
    do {                                                                    \
        g_autofree char *line_ = client_line(c);                            \
        g_assert_cmpstr(line_, ==, text);                                   \
    } while (0)

static void expect_greeting(Client *c)
{
    g_autofree char *line = client_line(c);

    g_assert_true(g_str_has_prefix(line, "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": "));
    g_assert_true(g_str_has_suffix(line, "}, \"capabilities\": [\"oob\"]}}"));
}

static void settle(void)
{
    for (int i = 0; i < 100; i++) {
        poll_main();
    }
}

/* A listening monitor at @path. */
static char *path;

static void client_connect(Client *c)
{
    g_autoptr(SocketAddress) addr = g_new0(SocketAddress, 1);
    g_autoptr(IoChannel) ch = NULL;

    addr->type = SOCKET_ADDRESS_TYPE_UNIX;
    addr->u.q_unix.path = g_strdup(path);
    ch = io_channel_connect(addr, &error_abort);
    c->fd = dup(io_channel_socket_fd(ch));
    c->in = g_string_new(NULL);
    expect_greeting(c);
}

static void client_close(Client *c)
{
    close(c->fd);
    g_string_free(c->in, TRUE);
    settle();
}

static void client_negotiate(Client *c, bool oob)
{
    client_say(c, oob ? "{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":[\"oob\"]}}"
                      : "{\"execute\":\"qmp_capabilities\"}");
    EXPECT(c, "{\"return\": {}}");
}

#define NOT_FOUND(text) "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"" text "\"}}"
#define GENERIC(text) "{\"error\": {\"class\": \"GenericError\", \"desc\": \"" text "\"}}"

static void test_negotiation(void)
{
    Client c;

    client_connect(&c);
    client_say(&c, "{\"execute\":\"query-version\"}{\"execute\":\"nope\"}foo\n{\"exec-oob\":\"urgent\"}");
    EXPECT(&c, NOT_FOUND("Expecting capabilities negotiation with 'qmp_capabilities'"));
    EXPECT(&c, NOT_FOUND("Expecting capabilities negotiation with 'qmp_capabilities'"));
    EXPECT(&c, GENERIC("JSON parse error, invalid keyword 'foo'"));
    EXPECT(&c, GENERIC("QMP input member 'exec-oob' is unexpected"));
    client_say(&c, "{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":[\"x\"]}}");
    EXPECT(&c, GENERIC("Parameter 'null' does not accept value 'x'"));
    client_negotiate(&c, false);
    client_say(&c, "{\"execute\":\"qmp_capabilities\"}");
    EXPECT(&c, NOT_FOUND("Capabilities negotiation is already complete, command ignored"));
    client_say(&c, "{\"execute\":\"query-version\", \"id\": [1, null]}");
    EXPECT(&c, "{\"return\": {\"qemu\": {\"micro\": 0, \"minor\": 2, \"major\": 7}, \"package\": \"nemu "
               NEMU_VERSION "\"}, \"id\": [1, null]}");
    client_close(&c);
}

static void test_form(void)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        { "[1]", GENERIC("QMP input must be a JSON object") },
        { "{}", GENERIC("QMP input lacks member 'execute'") },
        { "{\"id\":1}", "{\"id\": 1, \"error\": {\"class\": \"GenericError\", "
          "\"desc\": \"QMP input lacks member 'execute'\"}}" },
        { "{\"execute\":1}", GENERIC("QMP input member 'execute' must be a string") },
        { "{\"execute\":\"nope\"}", NOT_FOUND("The command nope has not been found") },
        { "{\"execute\":\"nested\",\"arguments\":1}", GENERIC("QMP input member 'arguments' must be an object") },
        { "{\"execute\":\"nested\",\"foo\":1}", GENERIC("QMP input member 'foo' is unexpected") },
        { "{\"exec-oob\":\"urgent\"}", GENERIC("QMP input member 'exec-oob' is unexpected") },
        { "{\"execute\":\"closefd\"}", GENERIC("Parameter 'fdname' is missing") },
        { "]", GENERIC("JSON parse error, expecting value") },
    };
    Client c;

    client_connect(&c);
    client_negotiate(&c, false);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        client_say(&c, cases[i].in);
        EXPECT(&c, cases[i].out);
    }
    client_close(&c);
}

/* Every prefix of a session, then the client leaves; the next one finds all in order. */
static void test_disconnects(void)
{
    static const char text[] = "{\"execute\":\"qmp_capabilities\"}{\"execute\":\"large\",\"id\":\"\\u00e9\"}";

    for (size_t n = 0; n <= strlen(text); n += 3) {
        g_autofree char *part = g_strndup(text, n);
        Client c;

        client_connect(&c);
        if (n > 0) {
            client_say(&c, part);
        }
        if (n % 2) {
            settle();
        }
        client_close(&c);
    }
}

/* Answers come in order, also with many commands at once and a nested loop. */
static void test_order(void)
{
    g_autoptr(GString) many = g_string_new(NULL);
    Client c;

    client_connect(&c);
    client_negotiate(&c, false);
    for (int i = 0; i < 1000; i++) {
        g_string_append_printf(many, "{\"execute\":\"%s\",\"id\":%d}", i % 100 ? "closefd" : "nested", i);
    }
    client_say(&c, many->str);
    for (int i = 0; i < 1000; i++) {
        g_autofree char *line = client_line(&c);
        g_autoptr(JsonValue) v = json_parse(line, strlen(line), &error_abort);
        int64_t id;

        g_assert_true(json_get_int(json_object_get(v, "id"), &id));
        g_assert_cmpint(id, ==, i);
    }
    g_assert_cmpint(deepest, ==, 1);
    client_close(&c);
}

/* Two answers from two threads: in any order. */
static void expect_both(Client *c, const char *a, const char *b)
{
    g_autofree char *first = client_line(c);

    g_assert_true(strcmp(first, a) == 0 || strcmp(first, b) == 0);
    EXPECT(c, strcmp(first, a) == 0 ? b : a);
}

static void test_oob(void)
{
    Client c;

    for (int round = 0; round < 3; round++) {
        client_connect(&c);
        client_negotiate(&c, true);
        client_say(&c, "{\"exec-oob\":\"closefd\",\"id\":1}{\"exec-oob\":1}{\"exec-oob\":\"nope\"}");
        EXPECT(&c, "{\"id\": 1, \"error\": {\"class\": \"GenericError\", "
                   "\"desc\": \"The command closefd does not support OOB\"}}");
        EXPECT(&c, GENERIC("QMP input member 'exec-oob' must be a string"));
        EXPECT(&c, NOT_FOUND("The command nope has not been found"));
        /* The main thread is inside "slow" when "urgent" comes. */
        client_say(&c, "{\"execute\":\"slow\",\"id\":1}{\"exec-oob\":\"urgent\",\"id\":2}");
        expect_both(&c, "{\"return\": \"urgent\", \"id\": 2}", "{\"return\": \"slow\", \"id\": 1}");
        client_say(&c, "{\"exec-oob\":\"urgent\",\"execute\":\"slow\"}");
        EXPECT(&c, GENERIC("QMP input member 'execute' clashes with 'exec-oob'"));
        if (round == 1) {
            client_say(&c, "{\"execute\":\"large\"}{\"exec-oob\":\"ur");
        }
        client_close(&c);
        gate_open = false;
    }
    /* A new client starts without. */
    client_connect(&c);
    client_negotiate(&c, false);
    client_say(&c, "{\"exec-oob\":\"urgent\"}");
    EXPECT(&c, GENERIC("QMP input member 'exec-oob' is unexpected"));
    client_close(&c);
}

static void expect_event(Client *c, const char *name, const char *data)
{
    g_autofree char *line = client_line(c);
    g_autofree char *end = g_strdup_printf("\"event\": \"%s\"%s%s}", name, *data ? ", \"data\": " : "", data);

    g_assert_true(g_str_has_prefix(line, "{\"timestamp\": {\"seconds\": "));
    g_assert_true(g_str_has_suffix(line, end));
}

static void test_events(void)
{
    Client c;

    client_connect(&c);
    qapi_event_send_VSERPORT_CHANGE("early", true);
    client_negotiate(&c, false);
    /* The first at once, then only the last, each port for itself. */
    qapi_event_send_VSERPORT_CHANGE("a", true);
    qapi_event_send_VSERPORT_CHANGE("a", false);
    qapi_event_send_VSERPORT_CHANGE("a", true);
    qapi_event_send_VSERPORT_CHANGE("a", false);
    qapi_event_send_VSERPORT_CHANGE("b", true);
    expect_event(&c, "VSERPORT_CHANGE", "{\"open\": true, \"id\": \"a\"}");
    expect_event(&c, "VSERPORT_CHANGE", "{\"open\": true, \"id\": \"b\"}");
    client_say(&c, "{\"execute\":\"closefd\"}");
    EXPECT(&c, GENERIC("Parameter 'fdname' is missing"));
    expect_event(&c, "VSERPORT_CHANGE", "{\"open\": false, \"id\": \"a\"}");
    client_close(&c);
    qapi_event_send_VSERPORT_CHANGE("c", true);
}

static void send_with_fd(Client *c, const char *text, int fd)
{
    union { struct cmsghdr align; char space[CMSG_SPACE(sizeof(int))]; } control = { 0 };
    struct iovec iov = { .iov_base = (char *)(uintptr_t)text, .iov_len = strlen(text) };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
                          .msg_controllen = sizeof(control) };
    struct cmsghdr *h = CMSG_FIRSTHDR(&msg);

    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(h), &fd, sizeof(int));
    g_assert_cmpint(sendmsg(c->fd, &msg, 0), ==, strlen(text));
}

/* A pipe: which end is it? Closed when nobody has it. */
static bool hung_up(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP);
}

static void test_fds(void)
{
    int a[2], b[2];
    Client c;

    for (int oob = 0; oob < 2; oob++) {
        g_assert_cmpint(pipe(a), ==, 0);
        g_assert_cmpint(pipe(b), ==, 0);
        client_connect(&c);
        client_negotiate(&c, oob);
        client_say(&c, "{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"x\"}}");
        EXPECT(&c, GENERIC("No file descriptor supplied via SCM_RIGHTS"));
        /* Two at once must not be mixed up. */
        send_with_fd(&c, "{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"a\"}}", a[1]);
        send_with_fd(&c, "{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"b\"}}", b[1]);
        close(a[1]);
        close(b[1]);
        EXPECT(&c, "{\"return\": {}}");
        EXPECT(&c, "{\"return\": {}}");
        g_assert_false(hung_up(a[0]) || hung_up(b[0]));
        client_say(&c, "{\"execute\":\"closefd\",\"arguments\":{\"fdname\":\"a\"}}");
        EXPECT(&c, "{\"return\": {}}");
        g_assert_true(hung_up(a[0]));
        g_assert_false(hung_up(b[0]));
        client_say(&c, "{\"execute\":\"closefd\",\"arguments\":{\"fdname\":\"a\"}}");
        EXPECT(&c, GENERIC("File descriptor named 'a' not found"));
        client_say(&c, "{\"execute\":\"closefd\",\"arguments\":{\"fdname\":\"b\"}}");
        EXPECT(&c, "{\"return\": {}}");
        close(a[0]);
        close(b[0]);

        /* What nobody takes is closed with the connection. */
        g_assert_cmpint(pipe(a), ==, 0);
        send_with_fd(&c, "{\"execute\":\"query-version\"}", a[1]);
        close(a[1]);
        g_free(client_line(&c));
        g_assert_false(hung_up(a[0]));
        client_close(&c);
        g_assert_true(hung_up(a[0]));
        close(a[0]);
    }
}

/* A client that asks and asks and does not read: commands stop, nothing is lost. */
static void test_no_reading(void)
{
    Client c;

    client_connect(&c);
    client_negotiate(&c, false);
    for (int i = 0; i < 200; i++) {
        client_say(&c, "{\"execute\":\"large\"}");
    }
    settle();
    for (int i = 0; i < 200; i++) {
        g_autofree char *line = client_line(&c);

        g_assert_cmpuint(strlen(line), ==, 300000 + strlen("{\"return\": \"\"}"));
    }
    client_close(&c);
}

static void test_add_errors(void)
{
    MonitorOptions opts = { .chardev_id = "nope", .qmp = true };
    g_autoptr(Error) err = NULL, busy = NULL;

    g_assert_false(monitor_add(&opts, &err));
    g_assert_cmpstr(error_message(err), ==, "chardev \"nope\" not found");
    opts.chardev_id = "m";
    g_assert_false(monitor_add(&opts, &busy));
    g_assert_cmpstr(error_message(busy), ==, "Device 'm' is in use");
}

int main(int argc, char **argv)
{
    g_autofree char *dir = g_dir_make_tmp("nemu-monitor-XXXXXX", NULL);
    g_autofree char *options = NULL;
    MonitorOptions opts = { .chardev_id = "m", .qmp = true };
    int ret;

    g_test_init(&argc, &argv, NULL);
    main_loop_init(&error_abort);
    path = g_build_filename(dir, "m", NULL);
    options = g_strdup_printf("socket,id=m,path=%s,server=on,wait=off", path);
    chardev_new_from_options(options, &error_abort);
    g_assert_true(monitor_add(&opts, &error_abort));
    g_test_add_func("/monitor/negotiation", test_negotiation);
    g_test_add_func("/monitor/form", test_form);
    g_test_add_func("/monitor/disconnects", test_disconnects);
    g_test_add_func("/monitor/order", test_order);
    g_test_add_func("/monitor/oob", test_oob);
    g_test_add_func("/monitor/events", test_events);
    g_test_add_func("/monitor/fds", test_fds);
    g_test_add_func("/monitor/no-reading", test_no_reading);
    g_test_add_func("/monitor/add-errors", test_add_errors);
    ret = g_test_run();
    monitor_cleanup_all();
    chardev_cleanup_all();
    rmdir(dir);
    return ret;
}
