/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The emulators' main(): start-up in order, the main loop, the end. Compiled
 * once for each program; everything that differs is in system_target.
 */
#include "util/osdep.h"
#include "block/block.h"
#include "chardev/chardev.h"
#include "migration/migration.h"
#include "migration/snapshot.h"
#include "monitor/monitor.h"
#include "net/net.h"
#include "qapi-commands.h"
#include "system/cpus.h"
#include "system/hmp/hmp-text.h"
#include "system/machine-lock.h"
#include "system/options.h"
#include "system/qtest.h"
#include "system/runstate.h"
#include "system/startup.h"
#include "system/target.h"
#include "util/event-loop.h"
#include "util/process.h"

const SystemTarget system_target = {
#ifdef TARGET_X86_64
    .arch = SYS_EMU_TARGET_X86_64,
    .cpu_suffix = "x86_64-cpu",
#else
    .arch = SYS_EMU_TARGET_AARCH64,
    .cpu_suffix = "arm-cpu",
#endif
#ifdef CONFIG_KVM
    .has_kvm = true,
#endif
};

/* Everything up to the event loop. Threads and descriptors come after the fork of -daemonize. */
static bool start_process(Error **errp)
{
    if (startup.name_in_messages) {
        report_set_guest_name(startup.guest_name);
    }
    if (startup.daemonize && !process_daemonize(errp)) {
        return false;
    }
    if (startup.pidfile && !process_write_pidfile(startup.pidfile, errp)) {
        return false;
    }
    if (startup.process_name) {
        process_set_name(startup.process_name);
    }
    if (!main_loop_init(errp)) {
        return false;
    }
    machine_lock();
    main_loop_set_lock_hooks(machine_unlock, machine_lock);
    process_catch_signals();
    hmp_memory_init();
    options_connect_terminal();
    return true;
}

static bool start_qtest(Error **errp)
{
    return !startup.qtest || qtest_start(startup.qtest, startup.qtest_log, errp);
}

/* The images belong to the machine's other side until it is here. */
static bool expect_incoming(Error **errp)
{
    migration_init();
    if (startup.incoming) {
        run_state_set(RUN_STATE_INMIGRATE);
        block_images_start_inactive();
    }
    return true;
}

static bool start_incoming(Error **errp)
{
    return migration_incoming_start(startup.incoming, !startup.stopped, errp);
}

static bool step(bool (*fn)(Error **errp))
{
    Error *err = NULL;

    if (!fn(&err)) {
        error_report_err(err);
        return false;
    }
    return true;
}

static bool load_snapshot(Error **errp)
{
    return !startup.loadvm || snapshot_load(&(SnapshotArgs){ .tag = startup.loadvm }, errp);
}

static bool start_machine(void)
{
    if (!step(load_snapshot)) {
        return false;
    }
    if (!startup.stopped && !system_shutdown_requested()) {
        vm_start();
    }
    return true;
}

/* Each line needs those before it. */
static bool prepare(void)
{
    return step(start_process) &&
           options_apply(PHASE_PROCESS) &&
           step(machine_setup_create) &&
           step(expect_incoming) &&
           options_apply(PHASE_OBJECTS) &&
           step(host_confine_early) &&
           options_apply(PHASE_CHARDEVS) &&
           step(options_create_defaults) &&
           step(start_qtest) &&
           step(machine_setup_accel) &&
           options_create_late_objects() &&
           step(storage_setup) &&
           options_apply(PHASE_BLOCK) &&
           options_apply(PHASE_NET) &&
           options_create_last_objects() &&
           step(machine_setup_cpu_model) &&
           options_apply(PHASE_NUMA);
}

static bool make_machine(void)
{
    return step(machine_setup_init) &&
           options_apply(PHASE_DEVICES) &&
           step(options_create_drives) &&
           step(options_create_nics) &&
           step(machine_setup_ready) &&
           (startup.preconfig || options_apply(PHASE_MONITORS)) &&
           step(host_confine_late) &&
           (startup.preconfig || step(process_finish_daemonize)) &&
           (startup.incoming ? step(start_incoming) : start_machine());
}

/* Monitors first: management says when to go on. */
static bool wait_for_management(void)
{
    monitor_set_preconfig(true);
    return options_apply(PHASE_MONITORS) && step(process_finish_daemonize);
}

bool qmp_x_exit_preconfig(Error **errp)
{
    if (!monitor_is_preconfig()) {
        error_setg(errp, "The command is permitted only before machine initialization");
        return false;
    }
    monitor_set_preconfig(false);
    if (!make_machine()) {
        error_setg(errp, "The machine cannot be made; the program ends");
        system_exit_request(EXIT_FAILURE);
        return false;
    }
    return true;
}

/*
 * The guest stands still, what clients were told is sent, data is on disk. The
 * rest goes with the process.
 */
static void shut_down(void)
{
    migration_shut_down();
    vm_shut_down();
    monitor_cleanup_all();
    net_cleanup_all();
    block_close_all();
    chardev_cleanup_all();
    process_cleanup();
}

int main(int argc, char **argv)
{
    int status;

    report_set_program(argv[0]);
    if (!options_parse(argc, argv) || !options_apply(PHASE_CONFIG)) {
        return EXIT_FAILURE;
    }
    if (startup.done) {
        return EXIT_SUCCESS;
    }
    if (!prepare() || !(startup.preconfig ? wait_for_management() : make_machine())) {
        process_cleanup();
        return EXIT_FAILURE;
    }
    status = main_loop_run();
    shut_down();
    return status;
}
