/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QMP servers: connections, input, output and the queue of commands. See
 * monitor-internal.h for the way of a command.
 *
 * Thread: input on the character device's loop, the dispatcher on the main
 * loop, output from any thread.
 * Trust: the client may send anything, in any pieces, leave at any byte, and
 * never read.
 */
#include "util/osdep.h"
#include "backends/iothread.h"
#include "monitor/monitor-internal.h"
#include "qapi-commands.h"
#include "trace-monitor.h"

#define READ_SIZE 4096

GPtrArray *monitors;
static BottomHalf *dispatcher;
static IoThread *oob_thread;

/* ---- output ---- */

/* Lock held. */
static void flush_locked(Monitor *mon)
{
    while (mon->out->len > 0) {
        ssize_t n = chardev_write(&mon->fe, (const uint8_t *)mon->out->str, mon->out->len);

        if (n <= 0) {
            break;              /* "writable" goes on */
        }
        g_string_erase(mon->out, 0, n);
    }
    if (mon->out->len == 0 && mon->out->allocated_len > 256 * KIB) {
        g_string_free(mon->out, TRUE);
        mon->out = g_string_new(NULL);
    }
}

void monitor_send(Monitor *mon, unsigned session, const JsonValue *v)
{
    bool wanted;

    pthread_mutex_lock(&mon->lock);
    wanted = session == MONITOR_EVENT ? atomic_load(&mon->negotiated) : mon->session == session;
    if (mon->connected && wanted) {
        json_print_to(mon->out, v, mon->pretty ? JSON_PRETTY : JSON_COMPACT);
        g_string_append(mon->out, "\r\n");
        flush_locked(mon);
        if (mon->out->len > OUTPUT_MAX) {
            warn_report("monitor '%s': the client does not read, connection closed", mon->fe.chr->label);
            g_string_truncate(mon->out, 0);
            mon->session++;
            mon->connected = false;
            chardev_frontend_disconnect(&mon->fe);
        }
    }
    pthread_mutex_unlock(&mon->lock);
}

static void send_greeting(Monitor *mon)
{
    g_autoptr(JsonValue) greeting = json_object();
    JsonValue *qmp = json_object(), *capabilities = json_array();
    VersionInfo *version = qmp_query_version(NULL);

    json_object_set_take(qmp, "version", qapi_encode(&qapi_type_VersionInfo, version));
    for (int i = 0; i < QMP_CAPABILITY__MAX; i++) {
        json_array_add_take(capabilities, json_string(QMPCapability_str(i)));
    }
    json_object_set_take(qmp, "capabilities", capabilities);
    json_object_set_take(greeting, "QMP", qmp);
    monitor_send(mon, mon->session, greeting);
    qapi_free_VersionInfo(version);
}

/* ---- the dispatcher ---- */

/* The next request of @mon, if it may run now. Its lock is held. */
static Request *next_request(Monitor *mon)
{
    if (mon->out->len > OUTPUT_BUSY && mon->connected) {
        return NULL;
    }
    return g_queue_pop_head(&mon->requests);
}

static unsigned busy;           /* a command runs, and may poll the loop */

void monitor_hold_dispatch(bool hold)
{
    busy += hold ? 1 : -1;
    if (!busy && dispatcher) {
        bh_schedule(dispatcher);
    }
}

static void dispatch_bh(void *opaque)
{
    static unsigned turn;
    Request *r = NULL;
    Monitor *mon = NULL;

    /* A command that polls the main loop must not start another one inside itself. */
    if (busy) {
        return;
    }
    for (unsigned i = 0; i < monitors->len && r == NULL; i++) {
        mon = g_ptr_array_index(monitors, (turn + i) % monitors->len);
        pthread_mutex_lock(&mon->lock);
        r = next_request(mon);
        mon->running = r != NULL;
        pthread_mutex_unlock(&mon->lock);
        if (r != NULL) {
            turn = (turn + i + 1) % monitors->len;
        }
    }
    if (r == NULL) {
        return;
    }
    busy++;
    monitor_dispatch(mon, r);
    monitor_request_free(r);
    busy--;
    pthread_mutex_lock(&mon->lock);
    mon->running = false;
    pthread_mutex_unlock(&mon->lock);
    chardev_frontend_accept_input(&mon->fe);
    bh_schedule(dispatcher);
}

/* ---- input ---- */

static size_t on_can_receive(void *opaque)
{
    Monitor *mon = opaque;
    unsigned limit;
    bool ready, oob;

    pthread_mutex_lock(&mon->lock);
    /*
     * Without out-of-band commands nothing can overtake, so nothing is read
     * ahead, and descriptors arrive with the command they are for.
     */
    oob = atomic_load(&mon->oob);
    limit = oob ? QUEUE_MAX : 1;
    ready = mon->connected && g_queue_get_length(&mon->requests) + (oob ? 0 : mon->running) < limit &&
            mon->out->len <= OUTPUT_BUSY;
    pthread_mutex_unlock(&mon->lock);
    return ready ? READ_SIZE : 0;
}

/* A value, or an error, from the stream. */
static void on_value(void *opaque, JsonValue *v, const char *error)
{
    Monitor *mon = opaque;
    Request *r = g_new0(Request, 1);

    r->input = v;
    r->error = g_strdup(error);
    r->session = mon->session;
    if (v != NULL && monitor_input_is_oob(mon, v)) {
        monitor_dispatch(mon, r);
        monitor_request_free(r);
        return;
    }
    pthread_mutex_lock(&mon->lock);
    g_queue_push_tail(&mon->requests, r);
    pthread_mutex_unlock(&mon->lock);
    bh_schedule(dispatcher);
}

static void on_receive(void *opaque, const uint8_t *buf, size_t len)
{
    Monitor *mon = opaque;
    bool idle;

    pthread_mutex_lock(&mon->lock);
    idle = g_queue_is_empty(&mon->requests) && !mon->running;
    pthread_mutex_unlock(&mon->lock);
    monitor_take_passed_fds(mon, idle);
    json_stream_feed(mon->stream, (const char *)buf, len);
}

static void on_writable(void *opaque)
{
    Monitor *mon = opaque;
    bool room;

    pthread_mutex_lock(&mon->lock);
    flush_locked(mon);
    room = mon->out->len <= OUTPUT_BUSY;
    pthread_mutex_unlock(&mon->lock);
    if (room) {
        bh_schedule(dispatcher);
        chardev_frontend_accept_input(&mon->fe);
    }
}

/* ---- connections ---- */

/* Forget everything that belongs to the client that was there. */
static void reset(Monitor *mon, bool connected)
{
    Request *r;

    pthread_mutex_lock(&mon->lock);
    mon->session++;
    mon->connected = connected;
    atomic_store(&mon->negotiated, false);
    atomic_store(&mon->oob, false);
    if (connected) {
        /* Not at the end: standard output may still be read when the input has ended. */
        g_string_truncate(mon->out, 0);
    }
    while ((r = g_queue_pop_head(&mon->requests)) != NULL) {
        monitor_request_free(r);
    }
    pthread_mutex_unlock(&mon->lock);
    monitor_close_passed_fds(mon);
    json_stream_free(mon->stream);
    mon->stream = json_stream_new(on_value, mon);
}

static void on_event(void *opaque, ChardevEvent event)
{
    Monitor *mon = opaque;

    trace_monitor_event(mon, event);
    if (event == CHARDEV_OPENED) {
        reset(mon, true);
        send_greeting(mon);
    } else if (event == CHARDEV_CLOSED) {
        reset(mon, false);
        chardev_frontend_set_loop(&mon->fe, event_loop_main());
    }
}

bool monitor_enable_oob(Monitor *mon, Error **errp)
{
    if (chardev_is_mux(mon->fe.chr)) {
        error_setg(errp, "QMP capability 'oob' is not possible on a shared character device");
        return false;
    }
    if (oob_thread == NULL) {
        oob_thread = iothread_internal("mon_iothread", errp);
        if (oob_thread == NULL) {
            return false;
        }
    }
    atomic_store(&mon->oob, true);
    chardev_frontend_set_loop(&mon->fe, iothread_loop(oob_thread));
    return true;
}

bool monitor_add(const MonitorOptions *opts, Error **errp)
{
    Chardev *chr = chardev_find(opts->chardev_id);
    Monitor *mon;

    if (chr == NULL) {
        error_setg(errp, "chardev \"%s\" not found", opts->chardev_id);
        return false;
    }
    if (!opts->qmp) {
        return human_monitor_add(chr, errp);
    }
    mon = g_new0(Monitor, 1);
    if (!chardev_frontend_attach(&mon->fe, chr, errp)) {
        g_free(mon);
        return false;
    }
    mon->pretty = opts->pretty;
    mon->out = g_string_new(NULL);
    mon->stream = json_stream_new(on_value, mon);
    mon->passed_fds = g_array_new(FALSE, FALSE, sizeof(int));
    mon->named_fds = g_array_new(FALSE, FALSE, sizeof(NamedFd));
    pthread_mutex_init(&mon->lock, NULL);
    if (monitors == NULL) {
        monitors = g_ptr_array_new();
        dispatcher = bh_new(event_loop_main(), dispatch_bh, NULL);
        monitor_fds_init();
    }
    g_ptr_array_add(monitors, mon);
    mon->fe.can_receive = on_can_receive;
    mon->fe.receive = on_receive;
    mon->fe.event = on_event;
    mon->fe.writable = on_writable;
    mon->fe.opaque = mon;
    chardev_frontend_set_open(&mon->fe, true);
    chardev_frontend_start(&mon->fe);
    return true;
}

void monitor_cleanup_all(void)
{
    gint64 until = g_get_monotonic_time() + G_USEC_PER_SEC;

    qapi_event_set_sink(NULL);
    human_monitors_flush();
    for (unsigned i = 0; monitors != NULL && i < monitors->len; i++) {
        Monitor *mon = g_ptr_array_index(monitors, i);

        pthread_mutex_lock(&mon->lock);
        flush_locked(mon);
        /* The last answer should arrive, but a client that does not read cannot keep us. */
        while (mon->connected && mon->out->len > 0 && g_get_monotonic_time() < until) {
            g_usleep(1000);
            flush_locked(mon);
        }
        mon->connected = false;
        pthread_mutex_unlock(&mon->lock);
    }
}
