/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events to all monitors whose client has negotiated. Some kinds, which a
 * guest can cause at any rate, are limited: the first ones go out at once, and of
 * those that follow within the interval only the last, at its end.
 *
 * Thread: any; timers on the main loop.
 */
#include "util/osdep.h"
#include "monitor/monitor-internal.h"
#include "qapi-events.h"
#include "trace-monitor.h"

#define INTERVAL_NS (1000 * 1000 * 1000LL)

/*
 * What is limited: how many within an interval go out at once, and by which members of the data, or of the
 * object in its member @inside, they are told apart. Reports that belong together come in small bursts.
 */
typedef struct Limit {
    const char *name;
    unsigned burst;
    const char *inside, *members[2];
} Limit;

static const Limit limits[] = {
    { "ACPI_DEVICE_OST", 16, "info", { "slot-type", "slot" } },
    { "BALLOON_CHANGE", 1, NULL, { NULL } },
    { "DEVICE_UNPLUG_GUEST_ERROR", 16, NULL, { "path" } },
    { "GUEST_CRASHLOADED", 16, NULL, { NULL } },
    { "MEMORY_DEVICE_SIZE_CHANGE", 1, NULL, { "qom-path" } },
    { "QUORUM_FAILURE", 1, NULL, { NULL } },
    { "QUORUM_REPORT_BAD", 1, NULL, { "node-name" } },
    { "RTC_CHANGE", 1, NULL, { NULL } },
    { "VSERPORT_CHANGE", 1, NULL, { "id" } },
    { "WATCHDOG", 1, NULL, { NULL } },
};

typedef struct Limited {
    char *key;
    unsigned sent;              /* in this interval */
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
        l->sent = 1;
        timer_arm_ns(&l->timer, clock_now_ns(CLOCK_TYPE_REALTIME) + INTERVAL_NS);
    } else {
        g_hash_table_remove(limited, l->key);
        g_free(l->key);
        g_free(l);
    }
    pthread_mutex_unlock(&lock);
}

/* The limit that applies, or NULL. */
static const Limit *find_limit(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
        if (strcmp(limits[i].name, name) == 0) {
            return &limits[i];
        }
    }
    return NULL;
}

static char *limit_key(const Limit *limit, const JsonValue *data)
{
    GString *key = g_string_new(limit->name);

    data = data && limit->inside ? json_object_get(data, limit->inside) : data;
    for (size_t i = 0; data && i < ARRAY_SIZE(limit->members) && limit->members[i]; i++) {
        g_string_append_printf(key, "/%s", json_object_get_string(data, limit->members[i]) ?: "");
    }
    return g_string_free(key, false);
}

/* Lock held; @event is consumed. */
static void send_limited(const Limit *limit, const char *key, JsonValue *event)
{
    Limited *l = limited != NULL ? g_hash_table_lookup(limited, key) : NULL;

    if (l != NULL && l->sent == limit->burst) {
        json_unref(l->pending);
        l->pending = event;
        return;
    }
    send_to_all(event);
    json_unref(event);
    if (l != NULL) {
        l->sent++;
        return;
    }
    if (limited == NULL) {
        limited = g_hash_table_new(g_str_hash, g_str_equal);
    }
    l = g_new0(Limited, 1);
    l->key = g_strdup(key);
    l->sent = 1;
    g_hash_table_insert(limited, l->key, l);
    timer_init(&l->timer, event_loop_main(), CLOCK_TYPE_REALTIME, interval_ends, l);
    timer_arm_ns(&l->timer, clock_now_ns(CLOCK_TYPE_REALTIME) + INTERVAL_NS);
}

static void on_qapi_event(int event, JsonValue *data)
{
    const char *name = qapi_event_names[event];
    JsonValue *v = json_object(), *stamp = json_object();
    const Limit *limit = find_limit(name);
    g_autofree char *key = limit ? limit_key(limit, data) : NULL;
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
        send_limited(limit, key, v);
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
