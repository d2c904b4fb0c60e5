/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The source's side of a migration. A thread of its own sends RAM while the
 * guest runs, in passes, until what is left fits into the time that the guest
 * may stand still. Then the main thread stops the machine and saves its
 * devices, and the thread sends the rest. Whatever fails before the end of the
 * stream is written lets the machine run on here.
 *
 * Threads: status and everything about the machine on the main thread with the
 * machine lock; the channel on the migration's thread. Numbers for
 * query-migrate are atomics.
 */
#include "util/osdep.h"
#include "accel/accel.h"
#include "block/block.h"
#include "hw/core/device.h"
#include "migration/migration-internal.h"
#include "migration/ram.h"
#include "qapi-commands.h"
#include "qapi-events.h"
#include "system/machine-lock.h"
#include "system/runstate.h"
#include "trace-migration.h"
#include "util/thread.h"

#define MS 1000000

static struct {
    MigrationStatus status;
    char *failure;
    bool has_thread;
    pthread_t thread;
    bool notifiers_made;
    EventNotifier cancel, go_on;
    struct IoConnect *connect;
    IoChannel *ch;
    RecordChannel rc;
    RamSender ram;
    bool return_path;
    /* How far it is, for the way back. */
    bool cancel_wanted, tracking, stopped, images_let_go, all_sent;
    RunState state_before;
    GPtrArray *sections;
    GString *description;
    Error *error;               /* of the thread, before it ends */
    /* For query-migrate; nanoseconds, bytes per second; atomics. */
    int64_t start_ns, active_ns, stop_ns, end_ns;
    uint64_t passes, bandwidth, dirty_pages_rate, stop_bytes;
} out;

bool migration_outgoing_idle(void)
{
    switch (out.status) {
    case MIGRATION_STATUS_NONE:
    case MIGRATION_STATUS_CANCELLED:
    case MIGRATION_STATUS_COMPLETED:
    case MIGRATION_STATUS_FAILED:
        return true;
    default:
        return false;
    }
}

bool migration_outgoing_happened(void)
{
    return out.status != MIGRATION_STATUS_NONE;
}

void migration_send_status(MigrationStatus status)
{
    trace_migration_status(MigrationStatus_str(status));
    if (migration_cap(MIGRATION_CAPABILITY_EVENTS)) {
        qapi_event_send_MIGRATION(status);
    }
}

static void set_status(MigrationStatus status)
{
    if (out.status != status) {
        out.status = status;
        migration_send_status(status);
    }
}

/* ---- blockers and listeners ---- */

struct MigrationBlocker {
    char *reason;
};

static GPtrArray *blockers;
static bool only_migratable;

void migration_allow_no_blocker(void)
{
    only_migratable = true;
}

MigrationBlocker *migration_blocker_add(const char *reason, Error **errp)
{
    MigrationBlocker *b;

    if (!migration_idle()) {
        error_setg(errp, "not possible during a migration, which it would make impossible: %s", reason);
        return NULL;
    }
    if (only_migratable) {
        error_setg(errp, "disallowing migration blocker (--only-migratable) for: %s", reason);
        return NULL;
    }
    b = g_new(MigrationBlocker, 1);
    b->reason = g_strdup(reason);
    if (!blockers) {
        blockers = g_ptr_array_new();
    }
    g_ptr_array_add(blockers, b);
    return b;
}

bool migration_check_unblocked(Error **errp)
{
    if (blockers && blockers->len) {
        error_setg(errp, "%s", ((MigrationBlocker *)blockers->pdata[0])->reason);
        return false;
    }
    return true;
}

void migration_blocker_del(MigrationBlocker *b)
{
    if (b && g_ptr_array_remove(blockers, b)) {
        g_free(b->reason);
        g_free(b);
    }
}

typedef struct TurnListener {
    MigrationTurnFunc *fn;
    void *opaque;
} TurnListener;

static GArray *listeners;

void migration_notify(MigrationTurnFunc *fn, void *opaque)
{
    TurnListener l = { fn, opaque };

    if (!listeners) {
        listeners = g_array_new(false, false, sizeof(TurnListener));
    }
    g_array_append_val(listeners, l);
}

void migration_unnotify(MigrationTurnFunc *fn, void *opaque)
{
    for (guint i = 0; listeners && i < listeners->len; i++) {
        const TurnListener *l = &g_array_index(listeners, TurnListener, i);

        if (l->fn == fn && l->opaque == opaque) {
            g_array_remove_index(listeners, i);
            return;
        }
    }
}

static void notify(MigrationTurn turn)
{
    for (guint i = 0; listeners && i < listeners->len; i++) {
        const TurnListener *l = &g_array_index(listeners, TurnListener, i);

        l->fn(turn, l->opaque);
    }
}

/* ---- steps on the main thread ---- */

typedef struct MainStep {
    bool (*fn)(Error **errp);
    bool ok;
    Error *err;
} MainStep;

static void run_step(void *opaque)
{
    MainStep *step = opaque;

    step->ok = !out.cancel_wanted && step->fn(&step->err);
    if (!step->ok && !step->err) {
        error_setg(&step->err, "Migration was cancelled");
    }
}

static bool on_main(bool (*fn)(Error **errp), Error **errp)
{
    MainStep step = { .fn = fn };

    event_loop_run_wait(event_loop_main(), run_step, &step);
    error_propagate(errp, step.err);
    return step.ok;
}

static bool step_begin(Error **errp)
{
    device_forbid_changes("while migrating");
    out.ram.max_bandwidth = migration_params.max_bandwidth;
    ram_sender_begin(&out.ram, &out.rc);
    out.tracking = true;
    notify(MIGRATION_TRACKING_BEGINS);
    out.active_ns = clock_now_ns(CLOCK_TYPE_REALTIME);
    set_status(MIGRATION_STATUS_ACTIVE);
    return true;
}

static bool step_stop(Error **errp)
{
    out.state_before = run_state();
    out.stop_bytes = out.rc.out;
    atomic_store(&out.stop_ns, clock_now_ns(CLOCK_TYPE_REALTIME));
    if (run_state_running()) {
        vm_stop(RUN_STATE_FINISH_MIGRATE);
    } else {
        run_state_set(RUN_STATE_FINISH_MIGRATE);
    }
    out.stopped = true;
    if (migration_cap(MIGRATION_CAPABILITY_PAUSE_BEFORE_SWITCHOVER)) {
        set_status(MIGRATION_STATUS_PRE_SWITCHOVER);
    }
    return true;
}

static bool step_save(Error **errp)
{
    if (out.status == MIGRATION_STATUS_PRE_SWITCHOVER) {
        set_status(MIGRATION_STATUS_DEVICE);
    }
    out.sections = migration_save_sections(&out.description);
    /* Saving may have written to memory too. */
    notify(MIGRATION_FETCH_BEGINS);
    memory_dirty_log_sync();
    out.images_let_go = true;
    return block_inactivate_all(errp);
}

/* ---- the thread ---- */

static bool begin_pass(void)
{
    uint64_t before = ram_sender_dirty_bytes(&out.ram);
    static int64_t last_ns;
    int64_t now;

    machine_lock();
    notify(MIGRATION_FETCH_BEGINS);
    memory_dirty_log_sync();
    atomic_store(&out.passes, out.passes + 1);
    if (migration_cap(MIGRATION_CAPABILITY_EVENTS)) {
        qapi_event_send_MIGRATION_PASS(out.passes);
    }
    notify(MIGRATION_PASS_BEGINS);
    machine_unlock();
    now = clock_now_ns(CLOCK_TYPE_REALTIME);
    if (out.passes > 1 && now > last_ns) {
        uint64_t written = (ram_sender_dirty_bytes(&out.ram) - before) / DIRTY_PAGE_SIZE;

        atomic_store(&out.dirty_pages_rate, written * 1000 / MAX((now - last_ns) / MS, 1));
    }
    last_ns = now;
    return true;
}

/* Bytes that can be sent in the time that the guest may stand still. */
static uint64_t downtime_bytes(void)
{
    return atomic_load(&out.bandwidth) / 1000 * atomic_load(&migration_params.downtime_limit);
}

static bool send_while_running(Error **errp)
{
    for (;;) {
        int64_t start = clock_now_ns(CLOCK_TYPE_REALTIME);
        uint64_t start_bytes = out.rc.out, pass_bytes;
        int64_t took;

        begin_pass();
        if (out.passes > 1 && ram_sender_dirty_bytes(&out.ram) <= downtime_bytes()) {
            return true;
        }
        if (!ram_sender_pass(&out.ram, true, errp)) {
            return false;
        }
        pass_bytes = out.rc.out - start_bytes;
        took = MAX(clock_now_ns(CLOCK_TYPE_REALTIME) - start, 1);
        /* A pass of a few pages tells nothing about the channel. */
        if (out.passes == 1 || pass_bytes >= MIB) {
            atomic_store(&out.bandwidth, (uint64_t)(pass_bytes * 1e9 / took));
        }
    }
}

static bool wait_continue(Error **errp)
{
    if (!migration_cap(MIGRATION_CAPABILITY_PAUSE_BEFORE_SWITCHOVER)) {
        return true;
    }
    if (record_wait_either(&out.cancel, &out.go_on)) {
        error_setg(errp, "Migration was cancelled");
        return false;
    }
    return true;
}

/* What the destination says about it. */
static bool wait_result(Error **errp)
{
    g_autofree char *text = NULL;
    RecordHead head;
    size_t len;

    if (!out.return_path) {
        return true;
    }
    if (!record_read_head(&out.rc, &head, errp)) {
        return false;
    }
    text = record_read_rest(&out.rc, &len, errp);
    if (!text) {
        return false;
    }
    if (head.type != RECORD_RESULT || len < 1) {
        error_setg(errp, "the destination's answer is not understood");
        return false;
    }
    if (!text[0]) {
        error_setg(errp, "the destination could not take over: %s", text + 1);
        return false;
    }
    return true;
}

static bool transfer(Error **errp)
{
    if (!on_main(step_begin, errp) || !migration_send_head(&out.rc, out.return_path, errp) ||
        !send_while_running(errp) || !on_main(step_stop, errp) || !wait_continue(errp) ||
        !on_main(step_save, errp) || !ram_sender_pass(&out.ram, false, errp) ||
        !migration_send_machine(&out.rc, out.sections, out.description, out.state_before, errp) ||
        !wait_result(errp)) {
        return false;
    }
    /* A command may fail at the end, a file when it is closed. */
    return io_channel_close(out.ch, errp);
}

static void finish(void *opaque);

static void *outgoing_thread(void *opaque)
{
    out.all_sent = transfer(&out.error);
    if (!out.all_sent) {
        io_channel_close(out.ch, NULL);
    }
    event_loop_run_soon(event_loop_main(), finish, NULL);
    return NULL;
}

/* ---- the end ---- */

/* The machine goes on here as before. */
static void run_on(void)
{
    Error *err = NULL;

    if (out.images_let_go && !block_activate_all(&err)) {
        error_report_err(err);
        run_state_set(out.state_before == RUN_STATE_RUNNING ? RUN_STATE_PAUSED : out.state_before);
    } else if (out.state_before == RUN_STATE_RUNNING) {
        vm_start();
    } else {
        run_state_set(out.state_before);
    }
}

static void finish(void *opaque)
{
    if (!out.has_thread) {
        return;
    }
    pthread_join(out.thread, NULL);
    out.has_thread = false;
    if (out.tracking) {
        notify(MIGRATION_TRACKING_ENDS);
        ram_sender_end(&out.ram);
        out.tracking = false;
    }
    device_forbid_changes(NULL);
    record_channel_cleanup(&out.rc);
    g_clear_pointer(&out.ch, io_channel_unref);
    g_clear_pointer(&out.sections, g_ptr_array_unref);
    if (out.description) {
        g_string_free(out.description, true);
        out.description = NULL;
    }
    atomic_store(&out.end_ns, clock_now_ns(CLOCK_TYPE_REALTIME));
    if (out.all_sent) {
        /* Even if somebody wanted to cancel: the destination has all of it and may run. */
        run_state_set(RUN_STATE_POSTMIGRATE);
        set_status(MIGRATION_STATUS_COMPLETED);
        return;
    }
    if (out.stopped) {
        run_on();
    }
    if (out.cancel_wanted) {
        error_free(out.error);
        set_status(MIGRATION_STATUS_CANCELLED);
    } else {
        g_free(out.failure);
        out.failure = g_strdup(error_message(out.error));
        error_report_err(out.error);
        set_status(MIGRATION_STATUS_FAILED);
    }
    out.error = NULL;
}

static void fail(Error *err)
{
    g_free(out.failure);
    out.failure = g_strdup(error_message(err));
    error_report_err(err);
    set_status(MIGRATION_STATUS_FAILED);
}

/* ---- the start ---- */

static bool start_thread(Error **errp)
{
    if (out.return_path && io_channel_socket_fd(out.ch) < 0) {
        error_setg(errp, "Unable to open return-path: the connection goes one way only");
        return false;
    }
    if (!record_channel_init(&out.rc, out.ch, &out.cancel, errp)) {
        return false;
    }
    if (!thread_create(&out.thread, "live_migration", outgoing_thread, NULL, errp)) {
        record_channel_cleanup(&out.rc);
        return false;
    }
    out.has_thread = true;
    return true;
}

static void connected(void *opaque, IoChannel *ch, Error *err)
{
    out.connect = NULL;
    out.ch = ch;
    if (err || !start_thread(&err)) {
        g_clear_pointer(&out.ch, io_channel_unref);
        fail(err);
    }
}

static bool make_notifiers(Error **errp)
{
    if (!out.notifiers_made) {
        if (!event_notifier_init(&out.cancel, false, errp)) {
            return false;
        }
        if (!event_notifier_init(&out.go_on, false, errp)) {
            event_notifier_cleanup(&out.cancel);
            return false;
        }
        out.notifiers_made = true;
    }
    event_notifier_test_and_clear(&out.cancel);
    event_notifier_test_and_clear(&out.go_on);
    return true;
}

static void forget_last(void)
{
    out.cancel_wanted = out.stopped = out.images_let_go = out.all_sent = false;
    out.return_path = migration_cap(MIGRATION_CAPABILITY_RETURN_PATH);
    out.ram = (RamSender){ 0 };
    out.rc = (RecordChannel){ 0 };
    out.start_ns = clock_now_ns(CLOCK_TYPE_REALTIME);
    out.active_ns = out.stop_ns = out.end_ns = 0;
    out.passes = out.bandwidth = out.dirty_pages_rate = out.stop_bytes = 0;
    g_clear_pointer(&out.failure, g_free);
}

static bool check_args(const QmpMigrateArgs *args, Error **errp)
{
    if (!migration_outgoing_idle()) {
        error_setg(errp, "There's a migration process in progress");
        return false;
    }
    if (args->resume) {
        error_setg(errp, "Cannot resume if there is no paused migration");
        return false;
    }
    if (run_state_is(RUN_STATE_INMIGRATE)) {
        error_setg(errp, "Guest is waiting for an incoming migration");
        return false;
    }
    if (run_state_is(RUN_STATE_POSTMIGRATE)) {
        error_setg(errp, "Can't migrate the vm that was paused due to previous migration");
        return false;
    }
    if (!migration_check_unblocked(errp)) {
        return false;
    }
    if (args->blk || args->inc) {
        error_setg(errp, "Images are not migrated (blk, inc): use blockdev-mirror to a block export");
        return false;
    }
    return true;
}

bool qmp_migrate(const QmpMigrateArgs *args, Error **errp)
{
    MigrationUri uri;
    bool ok = true;

    if (!check_args(args, errp) || !migration_uri_parse(args->uri, &uri, errp)) {
        return false;
    }
    if (!make_notifiers(errp)) {
        migration_uri_clear(&uri);
        return false;
    }
    if (uri.kind != MIGRATION_URI_SOCKET) {
        out.ch = migration_uri_open(&uri, false, errp);
        if (!out.ch) {
            return false;
        }
    }
    forget_last();
    set_status(MIGRATION_STATUS_SETUP);
    if (out.ch) {
        ok = start_thread(errp);
        if (!ok) {
            g_clear_pointer(&out.ch, io_channel_unref);
            set_status(MIGRATION_STATUS_FAILED);
        }
    } else {
        out.connect = io_channel_connect_async(uri.address, connected, NULL);
    }
    migration_uri_clear(&uri);
    return ok;
}

bool qmp_migrate_cancel(Error **errp)
{
    if (migration_outgoing_idle() || out.cancel_wanted) {
        return true;
    }
    out.cancel_wanted = true;
    set_status(MIGRATION_STATUS_CANCELLING);
    event_notifier_set(&out.cancel);
    if (out.connect) {
        io_connect_cancel(out.connect);
        out.connect = NULL;
        set_status(MIGRATION_STATUS_CANCELLED);
    }
    return true;
}

bool qmp_migrate_continue(const QmpMigrateContinueArgs *args, Error **errp)
{
    if (out.status != args->state || out.status != MIGRATION_STATUS_PRE_SWITCHOVER) {
        error_setg(errp, "Migration not in expected state: %s", MigrationStatus_str(out.status));
        return false;
    }
    event_notifier_set(&out.go_on);
    return true;
}

void migration_outgoing_params_changed(void)
{
    atomic_store(&out.ram.max_bandwidth, migration_params.max_bandwidth);
}

void migration_outgoing_shut_down(void)
{
    qmp_migrate_cancel(NULL);
    while (out.has_thread) {
        main_loop_poll(true);
    }
}

/* ---- query ---- */

static int64_t ms_between(int64_t from, int64_t to)
{
    return from && to > from ? (to - from) / MS : 0;
}

static MigrationStats *query_ram(void)
{
    MigrationStats *r = g_new0(MigrationStats, 1);
    int64_t end = atomic_load(&out.end_ns);
    int64_t ms = MAX(ms_between(out.active_ns, end ? end : clock_now_ns(CLOCK_TYPE_REALTIME)), 1);
    uint64_t pages = atomic_load(&out.ram.data_pages) + atomic_load(&out.ram.zero_pages);

    r->transferred = atomic_load(&out.rc.out);
    r->total = out.ram.total_bytes;
    r->remaining = out.tracking ? ram_sender_dirty_bytes(&out.ram) : 0;
    r->duplicate = atomic_load(&out.ram.zero_pages);
    r->normal = atomic_load(&out.ram.data_pages);
    r->normal_bytes = r->normal * DIRTY_PAGE_SIZE;
    r->dirty_pages_rate = atomic_load(&out.dirty_pages_rate);
    r->mbps = r->transferred * 8.0 / 1000 / ms;
    r->dirty_sync_count = atomic_load(&out.passes);
    r->page_size = DIRTY_PAGE_SIZE;
    r->pages_per_second = pages * 1000 / ms;
    r->precopy_bytes = atomic_load(&out.stop_ns) ? out.stop_bytes : (uint64_t)r->transferred;
    r->downtime_bytes = r->transferred - r->precopy_bytes;
    return r;
}

static void query_blockers(MigrationInfo *info)
{
    StrList **tail = &info->blocked_reasons;

    for (guint i = 0; blockers && i < blockers->len; i++) {
        *tail = g_new0(StrList, 1);
        (*tail)->value = g_strdup(((MigrationBlocker *)blockers->pdata[i])->reason);
        tail = &(*tail)->next;
    }
}

void migration_outgoing_query(MigrationInfo *info)
{
    int64_t end = atomic_load(&out.end_ns), stop = atomic_load(&out.stop_ns);

    query_blockers(info);
    info->has_status = out.status != MIGRATION_STATUS_NONE;
    info->status = out.status;
    switch (out.status) {
    case MIGRATION_STATUS_FAILED:
        info->error_desc = g_strdup(out.failure);
        break;
    case MIGRATION_STATUS_CANCELLING:
        if (!out.tracking) {
            break;
        }
        /* fall through */
    case MIGRATION_STATUS_ACTIVE:
    case MIGRATION_STATUS_PRE_SWITCHOVER:
    case MIGRATION_STATUS_DEVICE:
    case MIGRATION_STATUS_COMPLETED:
        info->has_total_time = info->has_setup_time = true;
        info->total_time = ms_between(out.start_ns, end ? end : clock_now_ns(CLOCK_TYPE_REALTIME));
        info->setup_time = ms_between(out.start_ns, out.active_ns);
        info->ram = query_ram();
        if (end) {
            info->has_downtime = true;
            info->downtime = ms_between(stop, end);
        } else {
            uint64_t bandwidth = atomic_load(&out.bandwidth);

            info->has_expected_downtime = true;
            info->expected_downtime = bandwidth ? info->ram->remaining / MAX(bandwidth / 1000, 1u)
                                                : migration_params.downtime_limit;
        }
        break;
    default:
        break;
    }
}

MigrationInfo *qmp_query_migrate(Error **errp)
{
    MigrationInfo *info = g_new0(MigrationInfo, 1);

    if (!migration_incoming_query(info)) {
        migration_outgoing_query(info);
    }
    return info;
}

bool migration_idle(void)
{
    return migration_outgoing_idle();
}
