/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of system/runstate.c: states, order of events and notifiers, actions. */
#include "util/osdep.h"
#include "block/block.h"
#include "hw/core/machine.h"
#include "migration/migration.h"
#include "qapi-commands.h"
#include "qapi-events.h"
#include "system/cpus.h"
#include "system/machine-lock.h"
#include "system/runstate.h"
#include "util/event-loop.h"

static GString *journal;

/* ---- what run states need of the rest ---- */

__thread CpuState *current_cpu;

void cpus_resume_all(void)
{
    g_string_append(journal, "resume ");
}

void cpus_pause_all(void)
{
    g_string_append(journal, "pause ");
}

void cpus_reset_all(void)
{
    g_string_append(journal, "cpu-reset ");
}

bool machine_lock_held(void)
{
    return true;
}

bool block_activate_all(Error **errp)
{
    return true;
}

void migration_incoming_set_autostart(void)
{
    g_string_append(journal, "autostart ");
}

void cpu_park(CpuState *cpu)
{
    g_string_append(journal, "park ");
}

static void note_event(int event, JsonValue *data)
{
    GString *text = data ? json_print(data, JSON_COMPACT) : g_string_new("");
    const char *name = "?";

    switch (event) {
    case QAPI_EVENT_STOP: name = "STOP"; break;
    case QAPI_EVENT_RESUME: name = "RESUME"; break;
    case QAPI_EVENT_RESET: name = "RESET"; break;
    case QAPI_EVENT_SHUTDOWN: name = "SHUTDOWN"; break;
    case QAPI_EVENT_POWERDOWN: name = "POWERDOWN"; break;
    case QAPI_EVENT_GUEST_PANICKED: name = "GUEST_PANICKED"; break;
    default: break;
    }
    g_string_append_printf(journal, "%s%s ", name, text->str);
    g_string_free(text, TRUE);
    json_unref(data);
}

static void expect(const char *text)
{
    g_assert_cmpstr(journal->str, ==, text);
    g_string_truncate(journal, 0);
}

static void notified(void *opaque, bool running, RunState s)
{
    g_string_append_printf(journal, "%s(%d,%s) ", (char *)opaque, running, RunState_str(s));
}

static void pressed(void *opaque)
{
    g_string_append(journal, "pressed ");
}

/* ---- tests, in order ---- */

static void test_start_stop(void)
{
    struct RunStateNotifier *a = run_state_notify(notified, (void *)"low", 0);
    struct RunStateNotifier *b = run_state_notify(notified, (void *)"high", 10);

    g_assert_true(run_state_is(RUN_STATE_PRELAUNCH));
    qmp_cont(&error_abort);
    expect("RESUME low(1,running) high(1,running) resume ");
    qmp_cont(&error_abort);
    expect("");
    qmp_stop(&error_abort);
    expect("pause high(0,paused) low(0,paused) STOP ");
    qmp_stop(&error_abort);
    expect("");
    g_assert_true(run_state_is(RUN_STATE_PAUSED));
    run_state_unnotify(a);
    run_state_unnotify(b);
}

static void test_reset(void)
{
    qmp_system_reset(&error_abort);
    expect("pause cpu-reset RESET{\"guest\": false, \"reason\": \"host-qmp-system-reset\"} ");
    g_assert_true(run_state_is(RUN_STATE_PRELAUNCH));
    vm_start();
    g_string_truncate(journal, 0);
    system_reset_request(SHUTDOWN_CAUSE_GUEST_RESET);
    expect("");
    system_process_requests();
    expect("pause cpu-reset RESET{\"guest\": true, \"reason\": \"guest-reset\"} resume ");
    g_assert_true(run_state_running());
}

static void test_powerdown(void)
{
    powerdown_notify(pressed, NULL);
    qmp_system_powerdown(&error_abort);
    expect("POWERDOWN pressed ");
    powerdown_unnotify(pressed, NULL);
    qmp_system_powerdown(&error_abort);
    expect("POWERDOWN ");
}

static void test_vcpu_stop(void)
{
    CpuState cpu = { 0 };

    current_cpu = &cpu;
    vm_stop(RUN_STATE_IO_ERROR);
    current_cpu = NULL;
    expect("park ");
    g_assert_true(run_state_running());
    system_process_requests();
    expect("pause STOP ");
    g_assert_true(run_state_is(RUN_STATE_IO_ERROR));
    vm_start();
    expect("RESUME resume ");
}

static void test_no_shutdown(void)
{
    Error *err = NULL;

    run_state_actions.shutdown = SHUTDOWN_ACTION_PAUSE;
    system_shutdown_request(SHUTDOWN_CAUSE_GUEST_SHUTDOWN);
    system_process_requests();
    expect("SHUTDOWN{\"guest\": true, \"reason\": \"guest-shutdown\"} pause STOP ");
    g_assert_true(run_state_is(RUN_STATE_SHUTDOWN));
    g_assert_false(system_shutdown_requested());
    g_assert_false(qmp_cont(&err));
    g_assert_cmpstr(error_message(err), ==, "Resetting the Virtual Machine is required");
    error_free(err);
    qmp_system_reset(&error_abort);
    qmp_cont(&error_abort);
    g_assert_true(run_state_running());
    g_string_truncate(journal, 0);
}

static void test_panic(void)
{
    system_guest_panicked(NULL);
    expect("GUEST_PANICKED{\"action\": \"pause\"} pause STOP ");
    g_assert_true(run_state_is(RUN_STATE_GUEST_PANICKED));
    vm_start();
    g_string_truncate(journal, 0);
    run_state_actions.panic = PANIC_ACTION_NONE;
    system_guest_panicked(NULL);
    expect("GUEST_PANICKED{\"action\": \"run\"} ");
}

static void test_exit(void)
{
    QmpSetActionArgs args = { .has_reboot = true, .reboot = REBOOT_ACTION_SHUTDOWN,
                              .has_shutdown = true, .shutdown = SHUTDOWN_ACTION_POWEROFF };

    qmp_set_action(&args, &error_abort);
    system_reset_request(SHUTDOWN_CAUSE_GUEST_RESET);
    g_assert_true(system_shutdown_requested());
    g_assert_cmpint(main_loop_run(), ==, 0);
    expect("SHUTDOWN{\"guest\": true, \"reason\": \"guest-reset\"} ");
    g_assert_true(system_shutdown_requested());
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    journal = g_string_new(NULL);
    qapi_event_set_sink(note_event);
    main_loop_init(&error_abort);
    machine_new(machine_find("none", &error_abort));
    g_test_add_func("/runstate/start-stop", test_start_stop);
    g_test_add_func("/runstate/reset", test_reset);
    g_test_add_func("/runstate/powerdown", test_powerdown);
    g_test_add_func("/runstate/vcpu-stop", test_vcpu_stop);
    g_test_add_func("/runstate/no-shutdown", test_no_shutdown);
    g_test_add_func("/runstate/panic", test_panic);
    g_test_add_func("/runstate/exit", test_exit);
    return g_test_run();
}
