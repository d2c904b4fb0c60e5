/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events to all monitors whose client has negotiated. Some kinds, which a
 * guest can cause at any rate, are limited: the first goes out at once, and of
 * those that follow within the interval only the last, at its end.
 *
 * Thread: any; timers on the main loop.
 */
#include "util/osdep.h"
#include "monitor/monitor-internal.h"
#include "qapi-events.h"
#include "trace-monitor.h"

#define INTERVAL_NS (1000 * 1000 * 1000LL)

/* What is limited, and by which member they are told apart (NULL: not at all). */
static const struct {
    const char *name, *member;
} limits[] = {
    { "BALLOON_CHANGE", NULL }, { "MEMORY_DEVICE_SIZE_CHANGE", "qom-path" }, { "QUORUM_FAILURE", NULL },
    { "QUORUM_REPORT_BAD", "node-name" }, { "RTC_CHANGE", NULL }, { "VSERPORT_CHANGE", "id" },
    { "WATCHDOG", NULL },
};

typedef struct Limited {
    char *key;
    Timer timer;
    JsonValue *pending;         /* the last one since; NULL: none */
} Limited;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static GHashTable *limited;     /* key -> Limited, whose timer runs */

static void send_to_all(const JsonValue *event)
{
    for (unsigned i = 0; i < monitors->len; i++) {
        monitor_send(g_ptr_array_index(monitors, i), MONITOR_EVENT, event);
    }
}

static void interval_ends(void *opaque)
{
    Limited *l = opaque;

    pthread_mutex_lock(&lock);
    if (l->pending != NULL) {
        send_to_all(l->pending);
        g_clear_pointer(&l->pending, json_unref);
        timer_arm_ns(&l->timer, clock_now_ns(CLOCK_TYPE_REALTIME) + INTERVAL_NS);
    } else {
        g_hash_table_remove(limited, l->key);
        g_free(l->key);
        g_free(l);
    }
    pthread_mutex_unlock(&lock);
}

/* The key of the limit that applies, or NULL. */
static char *limit_key(const char *name, const JsonValue *data)
{
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
        if (strcmp(limits[i].name, name) == 0) {
            const char *which = data != NULL && limits[i].member != NULL
                                ? json_object_get_string(data, limits[i].member) : NULL;

            return g_strdup_printf("%s/%s", name, which != NULL ? which : "");
        }
    }
    return NULL;
}

/* Lock held; @event is consumed. */
static void send_limited(const char *key, JsonValue *event)
{
    Limited *l = limited != NULL ? g_hash_table_lookup(limited, key) : NULL;

    if (l != NULL) {
        json_unref(l->pending);
        l->pending = event;
        return;
    }
    send_to_all(event);
    json_unref(event);
    if (limited == NULL) {
        limited = g_hash_table_new(g_str_hash, g_str_equal);
    }
    l = g_new0(Limited, 1);
    l->key = g_strdup(key);
    g_hash_table_insert(limited, l->key, l);
    timer_init(&l->timer, event_loop_main(), CLOCK_TYPE_REALTIME, interval_ends, l);
    timer_arm_ns(&l->timer, clock_now_ns(CLOCK_TYPE_REALTIME) + INTERVAL_NS);
}

static void on_qapi_event(int event, JsonValue *data)
{
    const char *name = qapi_event_names[event];
    JsonValue *v = json_object(), *stamp = json_object();
    g_autofree char *key = limit_key(name, data);
    gint64 now = g_get_real_time();

    trace_monitor_qapi_event(name);
    json_object_set_int(stamp, "seconds", now / G_USEC_PER_SEC);
    json_object_set_int(stamp, "microseconds", now % G_USEC_PER_SEC);
    json_object_set_string(v, "event", name);
    if (data != NULL) {
        json_object_set_take(v, "data", data);
    }
    json_object_set_take(v, "timestamp", stamp);
    pthread_mutex_lock(&lock);
    if (key != NULL) {
        send_limited(key, v);
    } else {
        send_to_all(v);
        json_unref(v);
    }
    pthread_mutex_unlock(&lock);
}

void monitor_events_start(void)
{
    qapi_event_set_sink(on_qapi_event);
}
