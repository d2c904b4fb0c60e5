/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Network clients: hand-over of frames, back-pressure, links, removal with
 * frames on their way; a socket back end against a peer that misbehaves.
 */
#include "util/osdep.h"

#include <sys/socket.h>

#include "net/net.h"
#include "util/bswap.h"
#include "util/event-loop.h"
#include "util/iov.h"

typedef struct Fake Fake;
struct Fake {
    NetClient nc;
    bool full;                  /* receive() takes nothing */
    bool cannot;                /* can_receive() says no */
    unsigned received, link_changes, sent_calls;
    uint8_t last[64];
    size_t last_len;
    bool cleaned;
    Fake *echo_to;              /* send a frame back while receiving */
};

static bool fake_can_receive(NetClient *nc)
{
    return !container_of(nc, Fake, nc)->cannot;
}

static ssize_t fake_receive(NetClient *nc, const struct iovec *iov, unsigned cnt)
{
    Fake *f = container_of(nc, Fake, nc);

    if (f->full) {
        return 0;
    }
    f->received++;
    f->last_len = iov_to_buf(iov, cnt, 0, f->last, sizeof(f->last));
    if (f->echo_to) {
        net_send(nc, "echo", 4, NULL);
    }
    return iov_size(iov, cnt);
}

static void fake_link_changed(NetClient *nc)
{
    container_of(nc, Fake, nc)->link_changes++;
}

static void fake_cleanup(NetClient *nc)
{
    container_of(nc, Fake, nc)->cleaned = true;
}

static const NetClientOps fake_ops = {
    .kind = "fake",
    .can_receive = fake_can_receive,
    .receive = fake_receive,
    .link_changed = fake_link_changed,
    .cleanup = fake_cleanup,
};

static void fake_sent(NetClient *nc, ssize_t len)
{
    container_of(nc, Fake, nc)->sent_calls++;
}

static void pair_up(Fake *a, Fake *b)
{
    memset(a, 0, sizeof(*a));
    memset(b, 0, sizeof(*b));
    net_client_init(&a->nc, &fake_ops, "a", "fake", 0);
    net_client_init(&b->nc, &fake_ops, "b", "fake", 0);
    g_assert_true(net_connect(&a->nc, &b->nc, &error_abort));
}

static void take_down(Fake *a, Fake *b)
{
    net_client_del(&a->nc);
    net_client_del(&b->nc);
    g_assert_true(a->cleaned && b->cleaned);
    g_assert_null(net_client_find("a", 0));
}

static void test_hand_over(void)
{
    Fake a, b;

    pair_up(&a, &b);
    g_assert_cmpint(net_send(&a.nc, "hello", 5, NULL), ==, 5);
    g_assert_cmpint(b.received, ==, 1);
    g_assert_cmpmem(b.last, b.last_len, "hello", 5);
    take_down(&a, &b);
}

static void test_back_pressure(void)
{
    Fake a, b;

    pair_up(&a, &b);
    b.full = true;
    g_assert_cmpint(net_send(&a.nc, "one", 3, fake_sent), ==, 0);
    g_assert_false(net_can_send(&a.nc));
    /* In order behind the first, even if there were room again. */
    b.full = false;
    g_assert_cmpint(net_send(&a.nc, "two", 3, fake_sent), ==, 0);
    g_assert_cmpint(a.sent_calls, ==, 0);
    net_flush_queued(&b.nc);
    g_assert_cmpint(b.received, ==, 2);
    g_assert_cmpint(a.sent_calls, ==, 2);
    g_assert_cmpmem(b.last, b.last_len, "two", 3);

    b.cannot = true;
    g_assert_cmpint(net_send(&a.nc, "three", 5, fake_sent), ==, 0);
    net_flush_queued(&b.nc);
    g_assert_cmpint(b.received, ==, 2);
    net_purge_queued(&a.nc);
    b.cannot = false;
    net_flush_queued(&b.nc);
    g_assert_cmpint(b.received, ==, 2);
    take_down(&a, &b);
}

/* A sender that does not wait fills a bounded queue, and the rest is lost. */
static void test_bounded(void)
{
    Fake a, b;

    pair_up(&a, &b);
    b.cannot = true;
    for (int i = 0; i < 5000; i++) {
        net_send(&a.nc, "flood", 5, NULL);
    }
    b.cannot = false;
    net_flush_queued(&b.nc);
    g_assert_cmpint(b.received, >, 0);
    g_assert_cmpint(b.received, <, 5000);
    take_down(&a, &b);
}

/* Sending from within receive() neither recurses into the receiver nor loses the frame. */
static void test_reentrant(void)
{
    Fake a, b;

    pair_up(&a, &b);
    b.echo_to = &a;
    g_assert_cmpint(net_send(&a.nc, "ping", 4, NULL), ==, 4);
    g_assert_cmpint(a.received, ==, 1);
    g_assert_cmpmem(a.last, a.last_len, "echo", 4);
    take_down(&a, &b);
}

static void test_link(void)
{
    Fake a, b;

    pair_up(&a, &b);
    a.nc.link_down = true;
    g_assert_cmpint(net_send(&a.nc, "lost", 4, NULL), ==, 4);
    g_assert_cmpint(b.received, ==, 0);
    a.nc.link_down = false;
    b.nc.link_down = true;
    g_assert_cmpint(net_send(&a.nc, "lost", 4, NULL), ==, 4);
    g_assert_cmpint(b.received, ==, 0);
    take_down(&a, &b);
}

/* A peer that goes with frames on their way. */
static void test_removal(void)
{
    Fake a, b;

    pair_up(&a, &b);
    b.full = true;
    a.full = true;
    g_assert_cmpint(net_send(&a.nc, "one", 3, fake_sent), ==, 0);
    g_assert_cmpint(net_send(&b.nc, "two", 3, fake_sent), ==, 0);
    net_client_del(&a.nc);
    g_assert_null(b.nc.peer);
    g_assert_true(b.nc.link_down);
    g_assert_cmpint(b.link_changes, ==, 1);
    b.full = false;
    net_flush_queued(&b.nc);
    g_assert_cmpint(b.received, ==, 0);
    net_client_del(&b.nc);
}

static void test_double_connect(void)
{
    g_autoptr(Error) err = NULL;
    Fake a, b, c;

    pair_up(&a, &b);
    memset(&c, 0, sizeof(c));
    net_client_init(&c.nc, &fake_ops, "c", "fake", 0);
    g_assert_false(net_connect(&c.nc, &b.nc, &err));
    g_assert_nonnull(strstr(error_message(err), "already in use"));
    net_client_del(&c.nc);
    take_down(&a, &b);
}

static void test_mac(void)
{
    uint8_t mac[6] = { 0 };
    g_autofree char *text = NULL;

    g_assert_true(net_mac_parse("52:54:00:aB:cd:0f", mac));
    text = net_mac_format(mac);
    g_assert_cmpstr(text, ==, "52:54:00:ab:cd:0f");
    g_assert_true(net_mac_parse("52-54-0-1-2-3", mac));
    g_assert_false(net_mac_parse("52:54:00:12:34", mac));
    g_assert_false(net_mac_parse("52:54:00:12:34:56:78", mac));
    g_assert_false(net_mac_parse("52:54:00:12:34:100", mac));
    g_assert_false(net_mac_parse("52:54::12:34:56", mac));
    g_assert_false(net_mac_parse("", mac));
}

/* ---- the stream form of -netdev socket ---- */

static void poll_until(unsigned *counter, unsigned wanted)
{
    for (int i = 0; i < 1000 && *counter < wanted; i++) {
        main_loop_poll(false);
        g_usleep(100);
    }
    g_assert_cmpint(*counter, ==, wanted);
}

static int open_stream(Fake *nic)
{
    g_autofree char *fd_text = NULL;
    Netdev netdev = { .id = (char *)"s", .type = NET_CLIENT_DRIVER_SOCKET };
    int pair[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), ==, 0);
    fd_text = g_strdup_printf("%d", pair[0]);
    netdev.u.socket.fd = fd_text;
    g_assert_true(net_backend_add(&netdev, &error_abort));
    memset(nic, 0, sizeof(*nic));
    net_client_init(&nic->nc, &fake_ops, "nic", "fake", 0);
    g_assert_true(net_connect(&nic->nc, net_client_find("s", 0), &error_abort));
    return pair[1];
}

static void close_stream(Fake *nic, int peer)
{
    g_assert_true(net_backend_del("s", &error_abort));
    net_client_del(&nic->nc);
    close(peer);
}

static void test_stream(void)
{
    uint8_t wire[8 + 3], got[4 + 5];
    Fake nic;
    int peer = open_stream(&nic);

    /* A frame in pieces, then one and a half. */
    store_be32(wire, 3);
    memcpy(wire + 4, "abc", 3);
    for (int i = 0; i < 7; i++) {
        g_assert_cmpint(write(peer, wire + i, 1), ==, 1);
        main_loop_poll(false);
    }
    poll_until(&nic.received, 1);
    g_assert_cmpmem(nic.last, nic.last_len, "abc", 3);
    memcpy(wire + 7, wire, 4);
    g_assert_cmpint(write(peer, wire, 11), ==, 11);
    poll_until(&nic.received, 2);
    g_assert_cmpint(write(peer, "xyz", 3), ==, 3);
    poll_until(&nic.received, 3);
    g_assert_cmpmem(nic.last, nic.last_len, "xyz", 3);

    g_assert_cmpint(net_send(&nic.nc, "reply", 5, NULL), ==, 5);
    g_assert_cmpint(read(peer, got, sizeof(got)), ==, sizeof(got));
    g_assert_cmpint(load_be32(got), ==, 5);
    g_assert_cmpmem(got + 4, 5, "reply", 5);
    close_stream(&nic, peer);
}

/* A length that no frame has ends the connection; frames to nowhere vanish. */
static void test_stream_hostile(void)
{
    const uint8_t wire[] = { 0xff, 0xff, 0xff, 0xff, 1, 2, 3 };
    uint8_t byte;
    Fake nic;
    int peer = open_stream(&nic);

    g_assert_cmpint(write(peer, wire, sizeof(wire)), ==, sizeof(wire));
    for (int i = 0; i < 100 && recv(peer, &byte, 1, MSG_DONTWAIT) != 0; i++) {
        main_loop_poll(false);
        g_usleep(100);
    }
    g_assert_cmpint(nic.received, ==, 0);
    g_assert_cmpint(net_send(&nic.nc, "x", 1, NULL), ==, 1);
    close_stream(&nic, peer);
}

static void test_netdev_errors(void)
{
    static const struct { const char *text, *message; } cases[] = {
        { "socket,id=1x,udp=a:1", "expects an identifier" },
        { "socket,id=x", "exactly one of" },
        { "socket,id=x,listen=:1,connect=:2", "exactly one of" },
        { "socket,id=x,udp=127.0.0.1:9", "localaddr= is mandatory" },
        { "socket,id=x,mcast=127.0.0.1:9", "does not contain a multicast address" },
        { "socket,id=x,fd=999", "cannot be used" },
        { "tap,id=x,fd=0,fds=1", "exclude each other" },
        { "tap,id=x,vhost=off,vhostfd=0", "not valid without vhost" },
        { "tap,id=x,ifname=a-name-that-is-too-long", "longer than" },
        { "nosuch,id=x", "nosuch" },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autoptr(Error) err = NULL;
        bool help;

        g_assert_false(net_option_netdev(cases[i].text, &help, &err));
        g_test_message("%s: %s", cases[i].text, error_message(err));
        g_assert_nonnull(strstr(error_message(err), cases[i].message));
        g_assert_null(net_client_find("x", 0));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    main_loop_init(&error_abort);
    g_test_add_func("/net/hand-over", test_hand_over);
    g_test_add_func("/net/back-pressure", test_back_pressure);
    g_test_add_func("/net/bounded", test_bounded);
    g_test_add_func("/net/reentrant", test_reentrant);
    g_test_add_func("/net/link", test_link);
    g_test_add_func("/net/removal", test_removal);
    g_test_add_func("/net/double-connect", test_double_connect);
    g_test_add_func("/net/mac", test_mac);
    g_test_add_func("/net/stream", test_stream);
    g_test_add_func("/net/stream-hostile", test_stream_hostile);
    g_test_add_func("/net/netdev-errors", test_netdev_errors);
    return g_test_run();
}
