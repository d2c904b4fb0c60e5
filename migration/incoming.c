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
#include "migration/ram.h"
#include "net/net.h"
#include "qapi-commands.h"
#include "qapi-events.h"
#include "system/cpus.h"
#include "system/runstate.h"
#include "util/thread.h"

#define SECTIONS_MAX 65536

static struct {
    bool expected;              /* -incoming */
    bool started;               /* an address is known */
    MigrationStatus status;
    bool autostart;
    IoListener *listener;
    EventNotifier cancel;
    bool has_thread;
    pthread_t thread;
    RecordChannel rc;
    RamReceiver ram;
    GPtrArray *sections;        /* of IncomingSection */
    bool return_path;
    RunState state_there;
    Error *error;               /* of the thread, before it ends */
} in;

static void set_status(MigrationStatus status)
{
    in.status = status;
    migration_send_status(status);
}

/* ---- the thread ---- */

static bool read_config(Error **errp)
{
    g_autoptr(JsonValue) config = NULL;
    g_autofree char *text = NULL;
    RecordHead head;
    size_t len;

    if (!record_read_head(&in.rc, &head, errp)) {
        return false;
    }
    if (head.type != RECORD_CONFIG) {
        error_setg(errp, "the stream does not begin with a configuration");
        return false;
    }
    text = record_read_rest(&in.rc, &len, errp);
    config = text ? json_parse(text, len, errp) : NULL;
    if (!config || !migration_config_check(config, errp) ||
        !ram_receiver_begin(&in.ram, json_object_get(config, "ram"), errp)) {
        return false;
    }
    if (json_object_has(config, "return-path")) {
        json_get_bool(json_object_get(config, "return-path"), &in.return_path);
    }
    return true;
}

static bool keep_section(Error **errp)
{
    size_t len;
    char *data = record_read_rest(&in.rc, &len, errp);
    IncomingSection *section = data ? migration_section_parse(data, len, errp) : NULL;

    if (!section) {
        return false;
    }
    if (in.sections->len >= SECTIONS_MAX) {
        error_setg(errp, "the stream has too many sections");
        migration_section_free(section);
        return false;
    }
    g_ptr_array_add(in.sections, section);
    return true;
}

static bool skip_record(Error **errp)
{
    size_t len;
    g_autofree char *text = record_read_rest(&in.rc, &len, errp);

    return text != NULL;
}

static bool read_end(Error **errp)
{
    g_autoptr(JsonValue) end = NULL;
    g_autofree char *text = NULL;
    const char *name;
    size_t len;

    text = record_read_rest(&in.rc, &len, errp);
    end = text ? json_parse(text, len, errp) : NULL;
    if (!end) {
        return false;
    }
    name = json_kind(end) == JSON_OBJECT ? json_object_get_string(end, "run-state") : NULL;
    if (!name) {
        error_setg(errp, "the end of the stream is damaged");
        return false;
    }
    int state = qapi_enum_parse(&qapi_enum_RunState, name, "run-state", errp);
    in.state_there = state;
    return state >= 0;
}

/* True when @head was the last one. */
static bool read_record(const RecordHead *head, bool *end, Error **errp)
{
    switch (head->type) {
    case RECORD_RAM_PAGES:
        return ram_receiver_pages(&in.ram, &in.rc, errp);
    case RECORD_RAM_ZERO:
        return ram_receiver_zero(&in.ram, &in.rc, errp);
    case RECORD_RAM_PASS:
    case RECORD_DESCRIPTION:
        return skip_record(errp);
    case RECORD_STATE:
        return keep_section(errp);
    case RECORD_END:
        *end = true;
        return read_end(errp);
    default:
        error_setg(errp, "the stream has a record of the unknown type %u", head->type);
        return false;
    }
}

static bool read_stream(Error **errp)
{
    bool end = false;

    if (!record_read_stream_head(&in.rc, errp) || !read_config(errp)) {
        return false;
    }
    while (!end) {
        RecordHead head;

        if (!record_read_head(&in.rc, &head, errp) || !read_record(&head, &end, errp)) {
            return false;
        }
    }
    return true;
}

static void finish(void *opaque);

static void *incoming_thread(void *opaque)
{
    read_stream(&in.error);
    event_loop_run_soon(event_loop_main(), finish, NULL);
    return NULL;
}

/* ---- the end, on the main thread ---- */

static bool put_registers(Error **errp)
{
    CPU_FOREACH(cpu) {
        if (!cpu_state_flush(cpu, errp)) {
            return false;
        }
    }
    return true;
}

static bool take_over(Error **errp)
{
    bool late = migration_cap(MIGRATION_CAPABILITY_LATE_BLOCK_ACTIVATE) &&
                !(in.autostart && in.state_there == RUN_STATE_RUNNING);

    return migration_load_sections(in.sections, errp) && put_registers(errp) &&
           (late || block_activate_all(errp));
}

static void send_result(Error *err)
{
    const char *text = err ? error_message(err) : "";
    char ok = !err;
    struct iovec iov[2] = { { &ok, 1 }, { (char *)text, strlen(text) } };

    if (in.return_path && in.rc.ch) {
        record_writev(&in.rc, RECORD_RESULT, iov, *text ? 2 : 1, NULL);
    }
}

static void start_machine(void)
{
    if (!in.autostart) {
        run_state_set(RUN_STATE_PAUSED);
    } else if (in.state_there == RUN_STATE_RUNNING) {
        vm_start();
    } else {
        /* As it was there; what has no meaning here is a pause. */
        switch (in.state_there) {
        case RUN_STATE_PRELAUNCH: case RUN_STATE_INTERNAL_ERROR: case RUN_STATE_IO_ERROR:
        case RUN_STATE_SHUTDOWN: case RUN_STATE_SUSPENDED: case RUN_STATE_WATCHDOG:
        case RUN_STATE_GUEST_PANICKED:
            run_state_set(in.state_there);
            break;
        default:
            run_state_set(RUN_STATE_PAUSED);
            break;
        }
    }
}

static void clean_up(void)
{
    g_clear_pointer(&in.sections, g_ptr_array_unref);
    ram_receiver_end(&in.ram);
    record_channel_cleanup(&in.rc);
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
        !record_channel_init(&in.rc, ch, &in.cancel, errp)) {
        return false;
    }
    in.sections = g_ptr_array_new_with_free_func(migration_section_free);
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
