/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Telling the network where a guest is now: after a migration switches must
 * send its frames another way. Each NIC says so itself (NetClientOps.announce),
 * several times with growing pauses, as the first ones may come too early.
 *
 * Main thread.
 */
#include "util/osdep.h"
#include "net/net.h"
#include "qapi-commands.h"

typedef struct Announcement {
    char *id;
    AnnounceParameters *params;
    uint64_t round;
    Timer timer;
    struct Announcement *next;
} Announcement;

static Announcement *announcements;     /* going on; ids differ */

static bool is_wanted(const Announcement *a, const NetClient *nc)
{
    if (!a->params->interfaces) {
        return true;
    }
    for (StrList *l = a->params->interfaces; l; l = l->next) {
        if (!strcmp(l->value, nc->name)) {
            return true;
        }
    }
    return false;
}

static void announce_one(NetClient *nc, void *opaque)
{
    if (nc->is_nic && nc->queue_index == 0 && nc->ops->announce && is_wanted(opaque, nc)) {
        nc->ops->announce(nc);
    }
}

static void end(Announcement *a)
{
    Announcement **link = &announcements;

    while (*link != a) {
        link = &(*link)->next;
    }
    *link = a->next;
    timer_disarm(&a->timer);
    qapi_free_AnnounceParameters(a->params);
    g_free(a->id);
    g_free(a);
}

static void next_round(void *opaque)
{
    Announcement *a = opaque;
    int64_t wait;

    net_clients_foreach(announce_one, a);
    if (++a->round >= (uint64_t)a->params->rounds) {
        end(a);
        return;
    }
    wait = MIN(a->params->initial + ((int64_t)a->round - 1) * a->params->step, a->params->max);
    timer_arm_ns(&a->timer, clock_now_ns(CLOCK_TYPE_REALTIME) + MAX(wait, 0) * 1000000);
}

static Announcement *find(const char *id)
{
    Announcement *a = announcements;

    while (a && strcmp(a->id, id) != 0) {
        a = a->next;
    }
    return a;
}

void net_announce(const AnnounceParameters *params)
{
    Announcement *a = find(params->id ?: "");

    if (a) {
        end(a);
    }
    if (params->rounds <= 0) {
        return;
    }
    a = g_new0(Announcement, 1);
    a->id = g_strdup(params->id ?: "");
    a->params = qapi_clone(&qapi_type_AnnounceParameters, params);
    a->next = announcements;
    announcements = a;
    timer_init(&a->timer, event_loop_main(), CLOCK_TYPE_REALTIME, next_round, a);
    next_round(a);
}

bool qmp_announce_self(const AnnounceParameters *args, Error **errp)
{
    net_announce(args);
    return true;
}
