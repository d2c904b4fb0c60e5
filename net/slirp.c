/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * User-mode networking on libslirp, as the module "net-slirp": a guest network
 * whose router, DHCP, DNS and TFTP servers live in this process.
 *
 * Thread: main thread with the machine lock. libslirp wants to see poll() from
 * both sides, so each stack is a source of glib's main context.
 * Trust: guest frames go to libslirp as they are; it parses them.
 */
#include "util/osdep.h"

#include <arpa/inet.h>
#include <libslirp.h>

#include "net/slirp-config.h"
#include "net/slirp-module.h"
#include "util/event-loop.h"
#include "util/iov.h"
#include "util/module.h"

#define NS_PER_MS 1000000
/* The largest frame that can carry an IP packet: 64 KiB and an Ethernet header. */
#define FRAME_MAX (65536 + 18)

typedef struct UserNet UserNet;

typedef struct UserSource {
    GSource source;
    UserNet *net;
} UserSource;

struct UserNet {
    NetClient nc;
    Slirp *slirp;
    GSource *source;
    GPtrArray *fds;             /* GPollFD *, of which the first @used are polled in this round */
    unsigned used;
    uint8_t frame[FRAME_MAX];
};

/* ---- polling ---- */

static int add_poll(int fd, int events, void *opaque)
{
    UserNet *net = opaque;
    gushort wanted = 0;
    GPollFD *p;

    wanted |= events & SLIRP_POLL_IN ? G_IO_IN : 0;
    wanted |= events & SLIRP_POLL_OUT ? G_IO_OUT : 0;
    wanted |= events & SLIRP_POLL_PRI ? G_IO_PRI : 0;
    wanted |= events & SLIRP_POLL_ERR ? G_IO_ERR : 0;
    wanted |= events & SLIRP_POLL_HUP ? G_IO_HUP : 0;

    if (net->used == net->fds->len) {
        p = g_new0(GPollFD, 1);
        p->fd = -1;
        g_ptr_array_add(net->fds, p);
    }
    p = g_ptr_array_index(net->fds, net->used);
    if (p->fd != fd || p->events != wanted) {
        if (p->fd >= 0) {
            g_source_remove_poll(net->source, p);
        }
        p->fd = fd;
        p->events = wanted;
        g_source_add_poll(net->source, p);
    }
    p->revents = 0;
    return net->used++;
}

static int get_revents(int index, void *opaque)
{
    UserNet *net = opaque;
    gushort revents = ((GPollFD *)g_ptr_array_index(net->fds, index))->revents;
    int events = 0;

    events |= revents & G_IO_IN ? SLIRP_POLL_IN : 0;
    events |= revents & G_IO_OUT ? SLIRP_POLL_OUT : 0;
    events |= revents & G_IO_PRI ? SLIRP_POLL_PRI : 0;
    events |= revents & G_IO_ERR ? SLIRP_POLL_ERR : 0;
    events |= revents & G_IO_HUP ? SLIRP_POLL_HUP : 0;
    return events;
}

static gboolean source_prepare(GSource *source, gint *timeout)
{
    UserNet *net = ((UserSource *)source)->net;
    uint32_t ms = UINT32_MAX;

    net->used = 0;
    slirp_pollfds_fill(net->slirp, &ms, add_poll, net);
    for (unsigned i = net->used; i < net->fds->len; i++) {
        GPollFD *p = g_ptr_array_index(net->fds, i);

        if (p->fd >= 0) {
            g_source_remove_poll(source, p);
            p->fd = -1;
        }
    }
    *timeout = ms > G_MAXINT ? -1 : (gint)ms;
    return FALSE;
}

/* libslirp runs its TCP timers in every round. */
static gboolean source_check(GSource *source)
{
    return TRUE;
}

static gboolean source_dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    UserNet *net = ((UserSource *)source)->net;

    slirp_pollfds_poll(net->slirp, 0, get_revents, net);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = {
    .prepare = source_prepare,
    .check = source_check,
    .dispatch = source_dispatch,
};

/* ---- what libslirp calls ---- */

static ssize_t send_packet(const void *buf, size_t len, void *opaque)
{
    UserNet *net = opaque;

    net_send(&net->nc, buf, len, NULL);
    return len;
}

static void guest_error(const char *message, void *opaque)
{
    /* A guest that breaks a protocol harms only its own connections. */
}

static int64_t clock_get_ns(void *opaque)
{
    return clock_now_ns(CLOCK_TYPE_VIRTUAL);
}

static void *timer_new(SlirpTimerCb cb, void *cb_opaque, void *opaque)
{
    Timer *t = g_new0(Timer, 1);

    timer_init(t, event_loop_main(), CLOCK_TYPE_VIRTUAL, cb, cb_opaque);
    return t;
}

static void timer_free(void *timer, void *opaque)
{
    timer_disarm(timer);
    g_free(timer);
}

static void timer_mod(void *timer, int64_t expire_ms, void *opaque)
{
    timer_arm_ns(timer, expire_ms * NS_PER_MS);
}

static void poll_fd_changed(int fd, void *opaque)
{
}

static void notify(void *opaque)
{
    g_main_context_wakeup(NULL);
}

static const SlirpCb callbacks = {
    .send_packet = send_packet,
    .guest_error = guest_error,
    .clock_get_ns = clock_get_ns,
    .timer_new = timer_new,
    .timer_free = timer_free,
    .timer_mod = timer_mod,
    .register_poll_fd = poll_fd_changed,
    .unregister_poll_fd = poll_fd_changed,
    .notify = notify,
};

/* ---- the client ---- */

static ssize_t user_receive(NetClient *nc, const struct iovec *iov, unsigned cnt)
{
    UserNet *net = container_of(nc, UserNet, nc);
    size_t len = iov_size(iov, cnt);

    if (len <= sizeof(net->frame)) {
        iov_to_buf(iov, cnt, 0, net->frame, len);
        slirp_input(net->slirp, net->frame, len);
    }
    return len;
}

static void user_cleanup(NetClient *nc)
{
    UserNet *net = container_of(nc, UserNet, nc);

    if (net->source) {
        g_source_destroy(net->source);
        g_source_unref(net->source);
    }
    if (net->slirp) {
        slirp_cleanup(net->slirp);
    }
    g_ptr_array_free(net->fds, TRUE);
    g_free(net);
}

static const NetClientOps user_ops = {
    .kind = "user",
    .receive = user_receive,
    .cleanup = user_cleanup,
};

static bool user_open(const char *id, const NetdevUserOptions *opts, Error **errp)
{
    SlirpNetConfig config;
    UserNet *net;
    GSource *source;

    if (!slirp_net_config_parse(&config, opts, errp)) {
        return false;
    }
    net = g_new0(UserNet, 1);
    net->fds = g_ptr_array_new_with_free_func(g_free);
    net_client_init(&net->nc, &user_ops, id, "user", 0);
    net->nc.info = g_strdup_printf("net=%s,restrict=%s", inet_ntoa(config.slirp.vnetwork),
                                   config.slirp.restricted ? "on" : "off");
    net->slirp = slirp_new(&config.slirp, &callbacks, net);
    if (!net->slirp) {
        error_setg(errp, "libslirp refused the configuration of netdev '%s'", id);
        goto undo_client;
    }
    source = g_source_new(&source_funcs, sizeof(UserSource));
    ((UserSource *)source)->net = net;
    net->source = source;
    g_source_attach(source, NULL);
    if (!slirp_net_config_forward(net->slirp, &config, opts, errp)) {
        goto undo_client;
    }
    slirp_net_config_clear(&config);
    return true;

undo_client:
    slirp_net_config_clear(&config);
    net_client_del(&net->nc);
    return false;
}

static const char *user_hostfwd_add(NetClient *nc, const char *rule)
{
    return slirp_net_hostfwd_add(container_of(nc, UserNet, nc)->slirp, rule);
}

static const char *user_hostfwd_remove(NetClient *nc, const char *place)
{
    return slirp_net_hostfwd_remove(container_of(nc, UserNet, nc)->slirp, place);
}

static char *user_connections(NetClient *nc)
{
    return slirp_connection_info(container_of(nc, UserNet, nc)->slirp);
}

static const NetSlirpOps module_ops = {
    .open = user_open,
    .hostfwd_add = user_hostfwd_add,
    .hostfwd_remove = user_hostfwd_remove,
    .connections = user_connections,
};

NEMU_MODULE("net-slirp", &module_ops);
