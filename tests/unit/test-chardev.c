/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Character devices: every kind with a peer that behaves, leaves, or does not read. */
#include "util/osdep.h"
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include "chardev/chardev.h"
#include "qapi-commands.h"

static char *dir;

static char *in_dir(const char *name)
{
    return g_build_filename(dir, name, NULL);
}

/* Runs the loop until @cond holds; fails after ten seconds. */
#define WAIT_FOR(cond)                                                      \
    do {                                                                    \
        gint64 until_ = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;       \
        while (!(cond)) {                                                   \
            g_assert_cmpint(g_get_monotonic_time(), <, until_);             \
            if (!event_loop_poll(event_loop_main(), false)) {               \
                g_usleep(200);                                              \
            }                                                               \
        }                                                                   \
    } while (0)

/* ---- a front end that records ---- */

typedef struct Front {
    ChardevFrontend fe;
    GString *got;
    size_t room;
    int opened, closed, breaks, writable;
} Front;

static size_t can_receive(void *opaque)
{
    return ((Front *)opaque)->room;
}

static void receive(void *opaque, const uint8_t *buf, size_t len)
{
    Front *f = opaque;

    g_assert_cmpuint(len, <=, f->room);
    g_string_append_len(f->got, (const char *)buf, (gssize)len);
    if (f->room < 1000) {
        f->room -= len;
    }
}

static void on_event(void *opaque, ChardevEvent event)
{
    Front *f = opaque;

    f->opened += event == CHARDEV_OPENED;
    f->closed += event == CHARDEV_CLOSED;
    f->breaks += event == CHARDEV_BREAK;
}

static void on_writable(void *opaque)
{
    ((Front *)opaque)->writable++;
}

static bool on_changed(void *opaque, Error **errp)
{
    return true;
}

static void front_init(Front *f, const char *options)
{
    Chardev *chr = chardev_new_from_options(options, &error_abort);

    *f = (Front){ .got = g_string_new(NULL), .room = 1 << 20 };
    g_assert_true(chardev_frontend_attach(&f->fe, chr, &error_abort));
    f->fe.can_receive = can_receive;
    f->fe.receive = receive;
    f->fe.event = on_event;
    f->fe.writable = on_writable;
    f->fe.opaque = f;
    chardev_frontend_start(&f->fe);
}

static void front_done(Front *f)
{
    g_autofree char *id = g_strdup(f->fe.chr->label);

    g_assert_false(chardev_remove(id, NULL));
    chardev_frontend_detach(&f->fe);
    g_assert_true(chardev_remove(id, &error_abort));
    g_assert_null(chardev_find(id));
    g_string_free(f->got, TRUE);
    /* What was put off for the device must cope with its end. */
    for (int i = 0; i < 5; i++) {
        event_loop_poll(event_loop_main(), false);
    }
}

static bool say(Front *f, const char *text)
{
    return chardev_write(&f->fe, (const uint8_t *)text, strlen(text)) == (ssize_t)strlen(text);
}

static int connect_unix(const char *path)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    g_strlcpy(un.sun_path, path, sizeof(un.sun_path));
    g_assert_cmpint(connect(fd, (struct sockaddr *)&un, sizeof(un)), ==, 0);
    return fd;
}

static char *read_peer(int fd)
{
    char buf[4096];
    ssize_t n = read(fd, buf, sizeof(buf) - 1);

    g_assert_cmpint(n, >=, 0);
    buf[n] = '\0';
    return g_strdup(buf);
}

#define ASSERT_PEER_GETS(fd, text)                                          \
    do {                                                                    \
        g_autofree char *peer_ = read_peer(fd);                             \
        g_assert_cmpstr(peer_, ==, text);                                   \
    } while (0)

static void assert_file(const char *path, const char *want)
{
    g_autofree char *text = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, want);
}

/* ---- kinds ---- */

static void test_null_and_log(void)
{
    g_autofree char *log = in_dir("log");
    g_autofree char *options = g_strdup_printf("null,id=n,logfile=%s", log);
    g_autofree char *again = g_strdup_printf("%s,logappend=on", options);
    Front f;

    front_init(&f, options);
    g_assert_cmpint(f.opened, ==, 1);
    g_assert_cmpstr(f.fe.chr->filename, ==, "null");
    g_assert_true(say(&f, "one"));
    front_done(&f);
    front_init(&f, again);
    g_assert_true(say(&f, "two"));
    front_done(&f);
    assert_file(log, "onetwo");
}

static void test_file(void)
{
    g_autofree char *out = in_dir("out"), *in = in_dir("in");
    g_autofree char *options = g_strdup_printf("file,id=f,path=%s,input-path=%s", out, in);
    Front f;

    g_file_set_contents(in, "input", 5, NULL);
    g_file_set_contents(out, "old", 3, NULL);
    front_init(&f, options);
    g_assert_true(say(&f, "output"));
    WAIT_FOR(f.closed == 1);
    g_assert_cmpstr(f.got->str, ==, "input");
    front_done(&f);
    assert_file(out, "output");
}

static void test_pipe(void)
{
    g_autofree char *base = in_dir("p"), *in = in_dir("p.in"), *out = in_dir("p.out");
    g_autofree char *options = g_strdup_printf("pipe,id=p,path=%s", base);
    int to, from;
    Front f;

    g_assert_cmpint(mkfifo(in, 0600), ==, 0);
    g_assert_cmpint(mkfifo(out, 0600), ==, 0);
    front_init(&f, options);
    to = open(in, O_WRONLY);
    from = open(out, O_RDONLY);
    g_assert_cmpint(write(to, "hello", 5), ==, 5);
    WAIT_FOR(f.got->len == 5);
    g_assert_true(say(&f, "back"));
    ASSERT_PEER_GETS(from, "back");
    close(to);
    close(from);
    front_done(&f);
}

static void test_pty(void)
{
    struct termios t;
    int fd;
    Front f;

    front_init(&f, "pty,id=t");
    g_assert_cmpint(f.opened, ==, 0);
    g_assert_true(say(&f, "nobody hears this"));
    fd = open(chardev_pty_path(f.fe.chr), O_RDWR | O_NOCTTY);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(tcgetattr(fd, &t), ==, 0);
    g_assert_false(t.c_lflag & (ECHO | ICANON));
    WAIT_FOR(f.opened == 1);
    g_assert_true(say(&f, "prompt"));
    ASSERT_PEER_GETS(fd, "prompt");
    g_assert_cmpint(write(fd, "ls\n", 3), ==, 3);
    WAIT_FOR(f.got->len == 3);
    close(fd);
    WAIT_FOR(f.closed == 1);
    fd = open(chardev_pty_path(f.fe.chr), O_RDWR | O_NOCTTY);
    WAIT_FOR(f.opened == 2);
    close(fd);
    front_done(&f);
}

static void test_ringbuf(void)
{
    QmpRingbufReadArgs r = { .device = (char *)"r", .size = 100 };
    QmpRingbufWriteArgs w = { .device = (char *)"r", .data = (char *)"%%", .has_format = true,
                              .format = DATA_FORMAT_BASE64 };
    g_autofree char *text = NULL, *empty = NULL, *b64 = NULL;
    Front f;

    front_init(&f, "ringbuf,id=r,size=8");
    g_assert_true(say(&f, "0123456789ab"));
    text = qmp_ringbuf_read(&r, &error_abort);
    g_assert_cmpstr(text, ==, "456789ab");
    empty = qmp_ringbuf_read(&r, &error_abort);
    g_assert_cmpstr(empty, ==, "");
    g_assert_false(qmp_ringbuf_write(&w, NULL));
    w.data = (char *)"/wA=";
    g_assert_true(qmp_ringbuf_write(&w, &error_abort));
    r.has_format = true;
    r.format = DATA_FORMAT_BASE64;
    b64 = qmp_ringbuf_read(&r, &error_abort);
    g_assert_cmpstr(b64, ==, "/wA=");
    r.size = 0;
    g_assert_null(qmp_ringbuf_read(&r, NULL));
    front_done(&f);
    g_assert_null(chardev_new_from_options("ringbuf,id=r,size=0", NULL));
    g_assert_null(chardev_new_from_options("ringbuf,id=r,size=8E", NULL));
}

static void test_socket_server(void)
{
    g_autofree char *path = in_dir("s");
    g_autofree char *options = g_strdup_printf("socket,id=s,path=%s,server=on,wait=off", path);
    g_autofree char *gone = g_strdup_printf("disconnected:unix:%s,server=on", path);
    int fd, second;
    Front f;

    front_init(&f, options);
    g_assert_cmpstr(f.fe.chr->filename, ==, gone);
    g_assert_true(say(&f, "nobody"));
    fd = connect_unix(path);
    WAIT_FOR(f.opened == 1);
    g_assert_cmpstr(f.fe.chr->filename, ==, gone + strlen("disconnected:"));
    /* The next one has to wait for its turn. */
    second = connect_unix(path);
    g_assert_cmpint(write(second, "2", 1), ==, 1);
    g_assert_cmpint(write(fd, "1", 1), ==, 1);
    WAIT_FOR(f.got->len == 1);
    g_assert_true(say(&f, "hi"));
    ASSERT_PEER_GETS(fd, "hi");
    close(fd);
    WAIT_FOR(f.closed == 1 && f.opened == 2 && f.got->len == 2);
    g_assert_cmpstr(f.got->str, ==, "12");
    close(second);
    WAIT_FOR(f.closed == 2);
    front_done(&f);
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
}

static void test_socket_flow(void)
{
    g_autofree char *path = in_dir("w");
    g_autofree char *options = g_strdup_printf("socket,id=s,path=%s,server=on,wait=off", path);
    g_autofree uint8_t *big = g_malloc0(4 << 20);
    size_t sent = 0, read_back = 0;
    ssize_t n;
    int fd;
    Front f;

    front_init(&f, options);
    f.room = 3;
    fd = connect_unix(path);
    g_assert_cmpint(write(fd, "abcdef", 6), ==, 6);
    WAIT_FOR(f.got->len == 3);
    for (int i = 0; i < 10; i++) {
        event_loop_poll(event_loop_main(), false);
    }
    g_assert_cmpuint(f.got->len, ==, 3);
    f.room = 2000;
    chardev_frontend_accept_input(&f.fe);
    WAIT_FOR(f.got->len == 6);

    /* A peer that does not read; then it does. */
    while ((n = chardev_write(&f.fe, big + sent, (4 << 20) - sent)) > 0) {
        sent += (size_t)n;
    }
    g_assert_cmpint(errno, ==, EAGAIN);
    g_assert_cmpint(f.writable, ==, 0);
    while (read_back < sent) {
        n = read(fd, big, 4 << 20);
        g_assert_cmpint(n, >, 0);
        read_back += (size_t)n;
    }
    WAIT_FOR(f.writable > 0);
    g_assert_true(say(&f, "more"));

    /* A peer that is gone while we write. */
    f.room = 0;
    close(fd);
    for (int i = 0; i < 3; i++) {
        g_assert_true(say(&f, "x"));
    }
    WAIT_FOR(f.closed == 1);
    front_done(&f);
}

static void test_socket_client(void)
{
    g_autofree char *path = in_dir("c");
    g_autofree char *listening = g_strdup_printf("socket,id=l,path=%s,server=on,wait=off", path);
    g_autofree char *once = g_strdup_printf("socket,id=c,path=%s", path);
    g_autofree char *again = g_strdup_printf("socket,id=c,path=%s,reconnect=1", path);
    Front l, c;

    g_assert_null(chardev_new_from_options(once, NULL));
    front_init(&c, again);
    front_init(&l, listening);
    WAIT_FOR(c.opened == 1 && l.opened == 1);
    g_assert_true(say(&c, "hello"));
    WAIT_FOR(l.got->len == 5);
    chardev_frontend_disconnect(&l.fe);
    WAIT_FOR(c.closed == 1);
    WAIT_FOR(c.opened == 2);
    front_done(&l);
    WAIT_FOR(c.closed == 2);
    front_done(&c);
}

static void test_socket_fds(void)
{
    g_autofree char *options = NULL;
    union { struct cmsghdr align; char space[CMSG_SPACE(2 * sizeof(int))]; } control = { 0 };
    char byte = 'x';
    struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
                          .msg_controllen = sizeof(control) };
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    int pair[2], fds[2] = { 0, 1 }, got[2] = { -1, -1 };
    Front f;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), ==, 0);
    options = g_strdup_printf("socket,id=s,fd=%d", pair[0]);
    front_init(&f, options);
    g_assert_cmpint(f.opened, ==, 1);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(fds));
    memcpy(CMSG_DATA(c), fds, sizeof(fds));
    for (unsigned i = 1; i <= 2; i++) {
        g_assert_cmpint(sendmsg(pair[1], &msg, 0), ==, 1);
        WAIT_FOR(f.got->len == i);
    }
    /* The first two were nobody's and are closed; of the second two one is wanted. */
    g_assert_cmpint(chardev_frontend_get_fds(&f.fe, got, 1), ==, 1);
    g_assert_cmpint(fcntl(got[0], F_GETFD), ==, FD_CLOEXEC);
    g_assert_cmpint(chardev_frontend_get_fds(&f.fe, got + 1, 1), ==, 0);
    g_assert_true(chardev_frontend_set_fds(&f.fe, got, 1));
    close(got[0]);
    g_assert_true(say(&f, "y"));
    memset(&control, 0, sizeof(control));
    msg.msg_controllen = sizeof(control);
    g_assert_cmpint(recvmsg(pair[1], &msg, 0), ==, 1);
    c = CMSG_FIRSTHDR(&msg);
    g_assert_nonnull(c);
    memcpy(got, CMSG_DATA(c), sizeof(int));
    close(got[0]);
    close(pair[1]);
    WAIT_FOR(f.closed == 1);
    front_done(&f);
}

static void test_change(void)
{
    ChardevCommon none = { 0 };
    ChardevBackend null = { .type = CHARDEV_BACKEND_KIND_NULL, .u.null.data = &none };
    ChardevRingbuf odd = { .has_size = true, .size = 3 };
    ChardevBackend bad = { .type = CHARDEV_BACKEND_KIND_RINGBUF, .u.ringbuf.data = &odd };
    QmpChardevChangeArgs args = { .id = (char *)"a", .backend = &null };
    QmpChardevSendBreakArgs brk = { .id = (char *)"a" };
    ChardevInfoList *list;
    Front f;

    front_init(&f, "ringbuf,id=a");
    chardev_frontend_set_open(&f.fe, true);
    g_assert_null(qmp_chardev_change(&args, NULL));
    f.fe.backend_changed = on_changed;
    args.backend = &bad;
    g_assert_null(qmp_chardev_change(&args, NULL));
    args.backend = &null;
    qapi_free_ChardevReturn(qmp_chardev_change(&args, &error_abort));
    g_assert_cmpstr(f.fe.chr->filename, ==, "null");
    g_assert_true(f.fe.chr == chardev_find("a"));
    g_assert_cmpint(f.opened, ==, 2);
    g_assert_true(qmp_chardev_send_break(&brk, &error_abort));
    g_assert_cmpint(f.breaks, ==, 1);
    list = qmp_query_chardev(&error_abort);
    g_assert_null(list->next);
    g_assert_true(list->value->frontend_open);
    qapi_free_ChardevInfoList(list);
    front_done(&f);
}

/* ---- texts ---- */

typedef struct Case {
    const char *in, *out;
} Case;

static void test_option_errors(void)
{
    static const Case cases[] = {
        { "socket,id=a,foo=1", "Invalid parameter 'foo'" },
        { "foo,id=a", "'foo' is not a valid char driver name" },
        { "socket", "chardev: no id specified" },
        { "id=a", "chardev: \"a\" missing backend" },
        { "null,id=a b", "Parameter 'id' expects an identifier" },
        { "socket,id=a,path=/x,server=maybe", "Parameter 'server' expects 'on' or 'off'" },
        { "socket,id=a,path=/nonexistent/zz", "Failed to connect to '/nonexistent/zz': No such file or directory" },
        { "socket,id=a,host=x", "chardev: socket: no port given" },
        { "socket,id=a,path=x,host=y,port=1", "None or one of 'path', 'fd' or 'host' option required." },
        { "socket,id=a,path=/x,wait=off", "'wait' option is incompatible with socket in client connect mode" },
        { "socket,id=a,path=/x,server=on,reconnect=1",
          "'reconnect' option is incompatible with socket in server listen mode" },
        { "socket,id=a,path=/x,reconnect=x", "Parameter 'reconnect' expects a number" },
        { "socket,id=a,fd=0", "File descriptor '0' is not a socket" },
        { "file,id=a", "chardev: file: no filename given" },
        { "file,id=a,path=/nonexistent/x", "Could not open '/nonexistent/x': No such file or directory" },
        { "pipe,id=a,path=/nonexistent/x", "Could not open '/nonexistent/x': No such file or directory" },
        { "null,id=a,logfile=/nonexistent/a", "Could not create '/nonexistent/a': No such file or directory" },
        { "ringbuf,id=a,size=3", "size of ringbuf chardev must be power of two" },
        { "ringbuf,id=a,size=x", "Parameter 'size' expects a non-negative number below 2^64" },
        { "{\"id\":\"a\"}", "Parameter 'backend' is missing" },
        { "{\"id\":\"a\",\"backend\":{\"type\":\"null\"}}", "Parameter 'backend.data' is missing" },
    };
    static const Case shorts[] = {
        { "foo", "'foo' is not a valid char driver" },
        { "tcp:foo", "'tcp:foo' is not a valid char driver" },
        { "unix:/x,bar=1", "Invalid parameter 'bar'" },
        { "chardev:nope", "chardev \"nope\" not found" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autoptr(Error) err = NULL;

        g_assert_null(chardev_new_from_options(cases[i].in, &err));
        g_assert_cmpstr(error_message(err), ==, cases[i].out);
        g_assert_null(chardev_find("a"));
    }
    for (size_t i = 0; i < ARRAY_SIZE(shorts); i++) {
        g_autoptr(Error) err = NULL;

        g_assert_null(chardev_new_from_shorthand("a", shorts[i].in, &err));
        g_assert_cmpstr(error_message(err), ==, shorts[i].out);
    }
}

static void test_shorthand(void)
{
    g_autofree char *path = in_dir("a,b");
    g_autofree char *text = g_strdup_printf("unix:%s/a,,b,server=on,wait=off", dir);
    g_autofree char *want = g_strdup_printf("disconnected:unix:%s,server=on", path);

    g_assert_nonnull(chardev_new_from_shorthand("s0", text, &error_abort));
    g_assert_cmpstr(chardev_find("s0")->filename, ==, want);
    g_assert_true(chardev_new_from_shorthand("x", "chardev:s0", &error_abort) == chardev_find("s0"));
    g_assert_nonnull(chardev_new_from_shorthand("s1", "tcp:127.0.0.1:0,server=on,wait=off", &error_abort));
    g_assert_true(g_str_has_prefix(chardev_find("s1")->filename, "disconnected:tcp:127.0.0.1:"));
    g_assert_false(g_str_has_suffix(chardev_find("s1")->filename, ":0,server=on"));
    g_assert_nonnull(chardev_new_from_shorthand("s2", "null", &error_abort));
    for (int i = 0; i < 3; i++) {
        g_autofree char *id = g_strdup_printf("s%d", i);
        g_assert_true(chardev_remove(id, &error_abort));
    }
}

int main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    dir = g_dir_make_tmp("nemu-chardev-XXXXXX", NULL);
    main_loop_init(&error_abort);
    g_test_add_func("/chardev/null", test_null_and_log);
    g_test_add_func("/chardev/file", test_file);
    g_test_add_func("/chardev/pipe", test_pipe);
    g_test_add_func("/chardev/pty", test_pty);
    g_test_add_func("/chardev/ringbuf", test_ringbuf);
    g_test_add_func("/chardev/socket-server", test_socket_server);
    g_test_add_func("/chardev/socket-flow", test_socket_flow);
    g_test_add_func("/chardev/socket-client", test_socket_client);
    g_test_add_func("/chardev/socket-fds", test_socket_fds);
    g_test_add_func("/chardev/change", test_change);
    g_test_add_func("/chardev/option-errors", test_option_errors);
    g_test_add_func("/chardev/shorthand", test_shorthand);
    ret = g_test_run();
    {
        g_autofree char *cmd = g_strdup_printf("rm -rf '%s'", dir);
        g_assert_cmpint(system(cmd), ==, 0);
    }
    return ret;
}
