/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The destination's side of a migration. A thread reads the stream: pages go
 * straight to guest RAM, sections of state are kept. When the end is there, and
 * every check sum was right, the main thread loads the sections and starts the
 * machine. A failure ends the program, as the machine is in no state to run.
 *
 * Threads: the channel and RAM on the migration's thread, everything else on
 * the main thread with the machine lock. The stream is not trusted: it can
 * break the guest that it is of, never this program.
 */
#include "util/osdep.h"
#include "block/block.h"
#include "migration/migration-internal.h"
#include "net/net.h"
#include "qapi-commands.h"
#include "qapi-events.h"
#include "system/runstate.h"
#include "util/thread.h"

static struct {
    bool expected;              /* -incoming */
    bool started;               /* an address is known */
    MigrationStatus status;
    bool autostart;
    IoListener *listener;
    EventNotifier cancel;
    bool has_thread;
    pthread_t thread;
    StreamReader reader;
    Error *error;               /* of the thread, before it ends */
} in;

static void set_status(MigrationStatus status)
{
    in.status = status;
    migration_send_status(status);
}

/* ---- the thread ---- */

static void finish(void *opaque);

static void *incoming_thread(void *opaque)
{
    stream_reader_run(&in.reader, &in.error);
    event_loop_run_soon(event_loop_main(), finish, NULL);
    return NULL;
}

/* ---- the end, on the main thread ---- */

static bool take_over(Error **errp)
{
    bool late = migration_cap(MIGRATION_CAPABILITY_LATE_BLOCK_ACTIVATE) &&
                !(in.autostart && in.reader.state == RUN_STATE_RUNNING);

    return migration_load_machine(in.reader.sections, errp) && (late || block_activate_all(errp));
}

static void send_result(Error *err)
{
    const char *text = err ? error_message(err) : "";
    char ok = !err;
    struct iovec iov[2] = { { &ok, 1 }, { (char *)text, strlen(text) } };

    if (in.reader.return_path && in.reader.rc.ch) {
        record_writev(&in.reader.rc, RECORD_RESULT, iov, *text ? 2 : 1, NULL);
    }
}

static void start_machine(void)
{
    if (!in.autostart) {
        run_state_set(RUN_STATE_PAUSED);
    } else if (in.reader.state == RUN_STATE_RUNNING) {
        vm_start();
    } else {
        /* As it was there; what has no meaning here is a pause. */
        switch (in.reader.state) {
        case RUN_STATE_PRELAUNCH: case RUN_STATE_INTERNAL_ERROR: case RUN_STATE_IO_ERROR:
        case RUN_STATE_SHUTDOWN: case RUN_STATE_SUSPENDED: case RUN_STATE_WATCHDOG:
        case RUN_STATE_GUEST_PANICKED:
            run_state_set(in.reader.state);
            break;
        default:
            run_state_set(RUN_STATE_PAUSED);
            break;
        }
    }
}

static void clean_up(void)
{
    stream_reader_cleanup(&in.reader);
    if (in.listener) {
        io_listener_free(in.listener);
        in.listener = NULL;
    }
}

static void fail(Error *err)
{
    send_result(err);
    set_status(MIGRATION_STATUS_FAILED);
    clean_up();
    error_report("load of migration failed: %s", error_message(err));
    error_free(err);
    system_exit_request(EXIT_FAILURE);
}

static void announce(void)
{
    const MigrationParameters *p = &migration_params;

    net_announce(&(AnnounceParameters){
        .initial = p->announce_initial, .max = p->announce_max, .rounds = p->announce_rounds,
        .step = p->announce_step,
    });
}

static void finish(void *opaque)
{
    Error *err;

    if (!in.has_thread) {
        return;
    }
    pthread_join(in.thread, NULL);
    in.has_thread = false;
    err = in.error;
    in.error = NULL;
    if (err || !take_over(&err)) {
        fail(err);
        return;
    }
    send_result(NULL);
    clean_up();
    announce();
    start_machine();
    set_status(MIGRATION_STATUS_COMPLETED);
}

/* ---- the start ---- */

static bool start_thread(IoChannel *ch, Error **errp)
{
    if (!event_notifier_init(&in.cancel, false, errp) ||
        !stream_reader_init(&in.reader, ch, &in.cancel, errp)) {
        return false;
    }
    set_status(MIGRATION_STATUS_ACTIVE);
    if (!thread_create(&in.thread, "incoming", incoming_thread, NULL, errp)) {
        return false;
    }
    in.has_thread = true;
    return true;
}

static void accepted(void *opaque, IoChannel *ch)
{
    Error *err = NULL;

    /* One source only. */
    io_listener_set_handler(in.listener, event_loop_main(), NULL, NULL);
    if (!start_thread(ch, &err)) {
        fail(err);
    }
}

static bool start_uri(const MigrationUri *uri, Error **errp)
{
    IoChannel *ch;
    bool ok;

    if (uri->kind == MIGRATION_URI_SOCKET) {
        in.listener = io_listener_new(uri->address, 1, errp);
        if (!in.listener) {
            return false;
        }
        io_listener_set_handler(in.listener, event_loop_main(), accepted, NULL);
        set_status(MIGRATION_STATUS_SETUP);
        return true;
    }
    ch = migration_uri_open(uri, true, errp);
    if (!ch) {
        return false;
    }
    set_status(MIGRATION_STATUS_SETUP);
    ok = start_thread(ch, errp);
    io_channel_unref(ch);
    return ok;
}

static bool start(const char *text, Error **errp)
{
    MigrationUri uri;
    bool ok;

    if (!migration_uri_parse(text, &uri, errp)) {
        return false;
    }
    ok = start_uri(&uri, errp);
    migration_uri_clear(&uri);
    in.started = ok;
    return ok;
}

bool migration_incoming_start(const char *uri, bool autostart, Error **errp)
{
    in.expected = true;
    in.autostart = autostart;
    return !strcmp(uri, "defer") || start(uri, errp);
}

void migration_incoming_set_autostart(void)
{
    in.autostart = true;
}

bool qmp_migrate_incoming(const QmpMigrateIncomingArgs *args, Error **errp)
{
    if (!in.expected) {
        error_setg(errp, "'-incoming' was not specified on the command line");
        return false;
    }
    if (in.started) {
        error_setg(errp, "The incoming migration has already been started");
        return false;
    }
    return start(args->uri, errp);
}

bool migration_incoming_query(MigrationInfo *info)
{
    if (!in.started || !migration_outgoing_idle() || migration_outgoing_happened()) {
        return false;
    }
    info->has_status = true;
    info->status = in.status;
    if (in.listener) {
        SocketAddress *address = io_listener_address(in.listener, NULL);

        if (address) {
            info->socket_address = g_new0(SocketAddressList, 1);
            info->socket_address->value = address;
        }
    }
    return true;
}

void migration_shut_down(void)
{
    migration_outgoing_shut_down();
    if (in.has_thread) {
        event_notifier_set(&in.cancel);
        pthread_join(in.thread, NULL);
        in.has_thread = false;
    }
}
