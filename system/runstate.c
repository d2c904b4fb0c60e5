/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The run state machine, and the requests (reset, shutdown, power button,
 * stop) that the main loop carries out.
 *
 * Threads: states, notifiers and actions belong to the main thread with the
 * machine lock (vCPU threads report panics with the lock held). Requests are
 * single atomic words, so any thread and signal handlers may raise them.
 */
#include "util/osdep.h"
#include <signal.h>
#include "block/block.h"
#include "hw/core/machine.h"
#include "migration/migration.h"
#include "qapi-commands.h"
#include "qapi-events.h"
#include "system/cpus.h"
#include "system/machine-lock.h"
#include "system/runstate.h"
#include "trace-system.h"
#include "util/event-loop.h"

/* ---- states ---- */

#define TO(s) BIT(RUN_STATE_##s)
/* From each stopped state a reset leads to prelaunch, and an outgoing migration to finish-migrate. */
#define TO_ANY_STOPPED (TO(PRELAUNCH) | TO(FINISH_MIGRATE))

static const uint32_t allowed[RUN_STATE__MAX] = {
    [RUN_STATE_PRELAUNCH] = TO(RUNNING) | TO(FINISH_MIGRATE) | TO(INMIGRATE),
    [RUN_STATE_DEBUG] = TO_ANY_STOPPED | TO(RUNNING) | TO(SUSPENDED),
    [RUN_STATE_INMIGRATE] = TO_ANY_STOPPED | TO(INTERNAL_ERROR) | TO(IO_ERROR) | TO(PAUSED) |
                            TO(RUNNING) | TO(SHUTDOWN) | TO(SUSPENDED) | TO(WATCHDOG) |
                            TO(GUEST_PANICKED) | TO(POSTMIGRATE),
    [RUN_STATE_INTERNAL_ERROR] = TO_ANY_STOPPED | TO(PAUSED),
    [RUN_STATE_IO_ERROR] = TO_ANY_STOPPED | TO(RUNNING),
    [RUN_STATE_PAUSED] = TO_ANY_STOPPED | TO(RUNNING) | TO(POSTMIGRATE),
    [RUN_STATE_POSTMIGRATE] = TO_ANY_STOPPED | TO(RUNNING),
    [RUN_STATE_FINISH_MIGRATE] = TO(PRELAUNCH) | TO(RUNNING) | TO(PAUSED) | TO(POSTMIGRATE) |
                                 TO(INTERNAL_ERROR) | TO(IO_ERROR) | TO(SHUTDOWN) |
                                 TO(SUSPENDED) | TO(WATCHDOG) | TO(GUEST_PANICKED),
    [RUN_STATE_RESTORE_VM] = TO(PRELAUNCH) | TO(RUNNING),
    [RUN_STATE_RUNNING] = TO(DEBUG) | TO(INTERNAL_ERROR) | TO(IO_ERROR) | TO(PAUSED) |
                          TO(FINISH_MIGRATE) | TO(RESTORE_VM) | TO(SAVE_VM) | TO(SHUTDOWN) |
                          TO(WATCHDOG) | TO(GUEST_PANICKED) | TO(SUSPENDED),
    [RUN_STATE_SAVE_VM] = TO(RUNNING),
    [RUN_STATE_SHUTDOWN] = TO_ANY_STOPPED | TO(PAUSED),
    [RUN_STATE_SUSPENDED] = TO_ANY_STOPPED | TO(RUNNING),
    [RUN_STATE_WATCHDOG] = TO_ANY_STOPPED | TO(RUNNING),
    [RUN_STATE_GUEST_PANICKED] = TO_ANY_STOPPED | TO(RUNNING),
};

static RunState current = RUN_STATE_PRELAUNCH;

RunState run_state(void)
{
    return current;
}

bool run_state_is(RunState s)
{
    return current == s;
}

bool run_state_running(void)
{
    return current == RUN_STATE_RUNNING;
}

void run_state_set(RunState s)
{
    if (s == current) {
        return;
    }
    assert(allowed[current] & BIT(s));
    trace_run_state_set(RunState_str(current), RunState_str(s));
    current = s;
}

/* ---- notifiers ---- */

struct RunStateNotifier {
    RunStateHandler *fn;
    void *opaque;
    int priority;
};

static GPtrArray *notifiers;    /* highest priority first */

struct RunStateNotifier *run_state_notify(RunStateHandler *fn, void *opaque, int priority)
{
    struct RunStateNotifier *n = g_new(struct RunStateNotifier, 1);
    guint at = 0;

    *n = (struct RunStateNotifier){ fn, opaque, priority };
    if (!notifiers) {
        notifiers = g_ptr_array_new();
    }
    while (at < notifiers->len &&
           ((struct RunStateNotifier *)notifiers->pdata[at])->priority >= priority) {
        at++;
    }
    g_ptr_array_insert(notifiers, at, n);
    return n;
}

void run_state_unnotify(struct RunStateNotifier *n)
{
    if (n && g_ptr_array_remove(notifiers, n)) {
        g_free(n);
    }
}

static void notify(bool running)
{
    guint len = notifiers ? notifiers->len : 0;

    for (guint i = 0; i < len && i < notifiers->len; i++) {
        struct RunStateNotifier *n = notifiers->pdata[running ? len - 1 - i : i];

        n->fn(n->opaque, running, current);
    }
}

/* ---- start and stop ---- */

void vm_start(void)
{
    if (run_state_running()) {
        return;
    }
    qapi_event_send_RESUME();
    run_state_set(RUN_STATE_RUNNING);
    clock_virtual_enable(true);
    notify(true);
    cpus_resume_all();
}

void vm_stop(RunState s)
{
    if (current_cpu) {
        vm_stop_request(s);
        cpu_park(current_cpu);
        return;
    }
    if (!run_state_running()) {
        return;
    }
    run_state_set(s);
    cpus_pause_all();
    clock_virtual_enable(false);
    notify(false);
    qapi_event_send_STOP();
}

void vm_shut_down(void)
{
    cpus_pause_all();
    if (run_state_running()) {
        run_state_set(RUN_STATE_SHUTDOWN);
        clock_virtual_enable(false);
        notify(false);
    }
}

/* ---- requests ---- */

RunStateActions run_state_actions = {
    .reboot = REBOOT_ACTION_RESET,
    .shutdown = SHUTDOWN_ACTION_POWEROFF,
    .panic = PANIC_ACTION_SHUTDOWN,
    .watchdog = WATCHDOG_ACTION_RESET,
};

static int reset_requested;             /* ShutdownCause, none: not */
static int shutdown_requested;
static bool powerdown_requested;
static int stop_requested = RUN_STATE__MAX;     /* RunState, RUN_STATE__MAX: not */
static int shutdown_signal;
static pid_t shutdown_pid;
static int exit_requested = -1;         /* exit status, -1: not */
static bool should_exit;
static int exit_status;

static void wake_main_loop(void)
{
    event_loop_wake(event_loop_main());
}

/* A vCPU that asks for the end of the machine's run does not go on until the main loop has acted. */
static void park_caller(void)
{
    if (current_cpu && machine_lock_held()) {
        cpu_park(current_cpu);
    }
}

void system_shutdown_request(ShutdownCause cause)
{
    park_caller();
    atomic_store_release(&shutdown_requested, (int)cause);
    wake_main_loop();
}

void system_shutdown_request_from_signal(int signal, pid_t pid)
{
    shutdown_signal = signal;
    shutdown_pid = pid;
    system_shutdown_request(SHUTDOWN_CAUSE_HOST_SIGNAL);
}

void system_reset_request(ShutdownCause cause)
{
    if (run_state_actions.reboot == REBOOT_ACTION_SHUTDOWN &&
        cause != SHUTDOWN_CAUSE_SUBSYSTEM_RESET) {
        system_shutdown_request(cause);
        return;
    }
    park_caller();
    atomic_store_release(&reset_requested, (int)cause);
    wake_main_loop();
}

void system_exit_request(int status)
{
    park_caller();
    atomic_store_release(&exit_requested, status);
    wake_main_loop();
}

void system_powerdown_request(void)
{
    atomic_store_release(&powerdown_requested, true);
    wake_main_loop();
}

void vm_stop_request(RunState s)
{
    atomic_store_release(&stop_requested, (int)s);
    wake_main_loop();
}

bool system_shutdown_requested(void)
{
    return atomic_load_acquire(&shutdown_requested) != SHUTDOWN_CAUSE_NONE || should_exit ||
           atomic_load_acquire(&exit_requested) >= 0;
}

static bool caused_by_guest(ShutdownCause cause)
{
    return cause == SHUTDOWN_CAUSE_GUEST_SHUTDOWN || cause == SHUTDOWN_CAUSE_GUEST_RESET ||
           cause == SHUTDOWN_CAUSE_GUEST_PANIC;
}

/* ---- the power button ---- */

typedef struct PowerdownListener {
    void (*fn)(void *opaque);
    void *opaque;
    struct PowerdownListener *next;
} PowerdownListener;

static PowerdownListener *powerdown_listeners;

void powerdown_notify(void (*fn)(void *opaque), void *opaque)
{
    PowerdownListener *l = g_new(PowerdownListener, 1);

    *l = (PowerdownListener){ fn, opaque, powerdown_listeners };
    powerdown_listeners = l;
}

void powerdown_unnotify(void (*fn)(void *opaque), void *opaque)
{
    for (PowerdownListener **link = &powerdown_listeners; *link; link = &(*link)->next) {
        PowerdownListener *l = *link;

        if (l->fn == fn && l->opaque == opaque) {
            *link = l->next;
            g_free(l);
            return;
        }
    }
}

/* ---- carrying requests out ---- */

/* " from pid 1234 (name)" of the process that sent a signal; "" when the kernel did. */
static char *describe_sender(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/cmdline", (int)pid);
    g_autofree char *name = NULL;

    if (pid == 0) {
        return g_strdup("");
    }
    if (!g_file_get_contents(path, &name, NULL, NULL) || !*name) {
        return g_strdup_printf(" from pid %d (<unknown process>)", (int)pid);
    }
    return g_strdup_printf(" from pid %d (%s)", (int)pid, name);
}

static void do_shutdown(ShutdownCause cause)
{
    if (cause == SHUTDOWN_CAUSE_HOST_SIGNAL) {
        g_autofree char *sender = describe_sender(shutdown_pid);

        error_report("terminating on signal %d%s", shutdown_signal, sender);
        run_state_actions.shutdown = SHUTDOWN_ACTION_POWEROFF;
    }
    trace_system_shutdown(ShutdownCause_str(cause));
    qapi_event_send_SHUTDOWN(caused_by_guest(cause), cause);
    if (run_state_actions.shutdown == SHUTDOWN_ACTION_PAUSE) {
        vm_stop(RUN_STATE_SHUTDOWN);
        return;
    }
    if (cause == SHUTDOWN_CAUSE_GUEST_PANIC &&
        run_state_actions.panic == PANIC_ACTION_EXIT_FAILURE) {
        exit_status = EXIT_FAILURE;
    }
    should_exit = true;
}

void system_reset(ShutdownCause cause)
{
    MachineState *m = machine_current();
    const MachineOps *ops = machine_ops(m);

    if (ops->reset) {
        ops->reset(m);
    } else {
        reset_all();
        cpus_reset_all();
    }
    trace_system_reset(ShutdownCause_str(cause));
    if (cause != SHUTDOWN_CAUSE_NONE && cause != SHUTDOWN_CAUSE_SUBSYSTEM_RESET) {
        qapi_event_send_RESET(caused_by_guest(cause), cause);
    }
}

static void do_reset(ShutdownCause cause)
{
    bool running = run_state_running();

    cpus_pause_all();
    system_reset(cause);
    if (running) {
        cpus_resume_all();
    } else if (!run_state_is(RUN_STATE_INMIGRATE) && !run_state_is(RUN_STATE_FINISH_MIGRATE)) {
        run_state_set(RUN_STATE_PRELAUNCH);
    }
}

void system_process_requests(void)
{
    int request;

    request = atomic_xchg(&exit_requested, -1);
    if (request >= 0) {
        exit_status = request;
        should_exit = true;
        return;
    }
    request = atomic_xchg(&shutdown_requested, (int)SHUTDOWN_CAUSE_NONE);
    if (request != SHUTDOWN_CAUSE_NONE) {
        do_shutdown(request);
        if (should_exit) {
            return;
        }
    }
    /* While the machine is being saved it must not change: the reset comes after that. */
    request = run_state_is(RUN_STATE_FINISH_MIGRATE) ? SHUTDOWN_CAUSE_NONE
              : atomic_xchg(&reset_requested, (int)SHUTDOWN_CAUSE_NONE);
    if (request != SHUTDOWN_CAUSE_NONE) {
        do_reset(request);
    }
    if (atomic_xchg(&powerdown_requested, false)) {
        qapi_event_send_POWERDOWN();
        for (PowerdownListener *l = powerdown_listeners; l; l = l->next) {
            l->fn(l->opaque);
        }
    }
    request = atomic_xchg(&stop_requested, (int)RUN_STATE__MAX);
    if (request != RUN_STATE__MAX) {
        vm_stop(request);
    }
}

int main_loop_run(void)
{
    system_process_requests();
    while (!should_exit) {
        main_loop_poll(true);
        system_process_requests();
    }
    return exit_status;
}

/* ---- panics ---- */

void system_guest_panicked(GuestPanicInformation *info)
{
    PanicAction panic = run_state_actions.panic;

    if (panic == PANIC_ACTION_NONE) {
        qapi_event_send_GUEST_PANICKED(GUEST_PANIC_ACTION_RUN, info);
        return;
    }
    if (panic == PANIC_ACTION_PAUSE ||
        (panic == PANIC_ACTION_SHUTDOWN && run_state_actions.shutdown == SHUTDOWN_ACTION_PAUSE)) {
        qapi_event_send_GUEST_PANICKED(GUEST_PANIC_ACTION_PAUSE, info);
        vm_stop(RUN_STATE_GUEST_PANICKED);
        return;
    }
    qapi_event_send_GUEST_PANICKED(GUEST_PANIC_ACTION_POWEROFF, info);
    vm_stop(RUN_STATE_GUEST_PANICKED);
    system_shutdown_request(SHUTDOWN_CAUSE_GUEST_PANIC);
}

void system_guest_crash_loaded(GuestPanicInformation *info)
{
    qapi_event_send_GUEST_CRASHLOADED(GUEST_PANIC_ACTION_RUN, info);
}

/* ---- commands ---- */

StatusInfo *qmp_query_status(Error **errp)
{
    StatusInfo *info = g_new0(StatusInfo, 1);

    info->running = run_state_running();
    info->status = current;
    return info;
}

bool qmp_stop(Error **errp)
{
    vm_stop(RUN_STATE_PAUSED);
    return true;
}

bool qmp_cont(Error **errp)
{
    switch (current) {
    case RUN_STATE_INTERNAL_ERROR:
    case RUN_STATE_SHUTDOWN:
        error_setg(errp, "Resetting the Virtual Machine is required");
        return false;
    case RUN_STATE_FINISH_MIGRATE:
        error_setg(errp, "Migration is not finalized yet");
        return false;
    case RUN_STATE_SUSPENDED:
        return true;
    case RUN_STATE_INMIGRATE:
        migration_incoming_set_autostart();
        return true;
    default:
        /* They may have been let go for another process by a migration. */
        if (!block_activate_all(errp)) {
            return false;
        }
        vm_start();
        return true;
    }
}

bool qmp_quit(Error **errp)
{
    run_state_actions.shutdown = SHUTDOWN_ACTION_POWEROFF;
    system_shutdown_request(SHUTDOWN_CAUSE_HOST_QMP_QUIT);
    system_process_requests();
    return true;
}

bool qmp_system_reset(Error **errp)
{
    system_reset_request(SHUTDOWN_CAUSE_HOST_QMP_SYSTEM_RESET);
    system_process_requests();
    return true;
}

bool qmp_system_powerdown(Error **errp)
{
    system_powerdown_request();
    system_process_requests();
    return true;
}

bool qmp_system_wakeup(Error **errp)
{
    error_setg(errp, "wake-up from suspend is not supported by this guest");
    return false;
}

bool qmp_set_action(const QmpSetActionArgs *args, Error **errp)
{
    if (args->has_reboot) {
        run_state_actions.reboot = args->reboot;
    }
    if (args->has_shutdown) {
        run_state_actions.shutdown = args->shutdown;
    }
    if (args->has_panic) {
        run_state_actions.panic = args->panic;
    }
    if (args->has_watchdog) {
        run_state_actions.watchdog = args->watchdog;
    }
    return true;
}

bool qmp_watchdog_set_action(const QmpWatchdogSetActionArgs *args, Error **errp)
{
    run_state_actions.watchdog = args->action;
    return true;
}
