/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the virtual machine is doing, who asked for it, and who wants to know.
 * The states and causes are the schema's (qapi/run-state.json).
 *
 * Thread: main thread with the machine lock, except the _request functions
 * (any thread, async-signal-safe where said). The actions change under the
 * machine lock.
 */
#ifndef SYSTEM_RUNSTATE_H
#define SYSTEM_RUNSTATE_H

#include <stdbool.h>
#include <sys/types.h>
#include "qapi-types.h"

RunState run_state(void);
bool run_state_is(RunState s);
bool run_state_running(void);
/* A transition that the state table allows; asserts otherwise. */
void run_state_set(RunState s);

/* cont / stop: virtual clock, vCPUs, notifiers, RESUME / STOP events. */
void vm_start(void);
/* On a vCPU thread this is vm_stop_request(). */
void vm_stop(RunState s);
/* The process ends: vCPUs and data paths stand still. No event: SHUTDOWN was the last. */
void vm_shut_down(void);
/* Stop from any thread: takes effect in the main loop. */
void vm_stop_request(RunState s);

typedef void RunStateHandler(void *opaque, bool running, RunState s);
/* Higher @priority first on stop, last on start. Returns a handle. */
struct RunStateNotifier *run_state_notify(RunStateHandler *fn, void *opaque, int priority);
void run_state_unnotify(struct RunStateNotifier *n);

/* Requests, carried out by the main loop. Any thread; a vCPU thread with the machine lock parks its vCPU. */
void system_reset_request(ShutdownCause cause);
void system_shutdown_request(ShutdownCause cause);
void system_shutdown_request_from_signal(int signal, pid_t pid);   /* async-signal-safe */
/* End the program with @status, whatever -no-shutdown says (test devices). */
void system_exit_request(int status);
void system_powerdown_request(void);
bool system_shutdown_requested(void);
/* Carry out what is pending now, so that its events precede a command's reply. Main thread. */
void system_process_requests(void);
/* With the machine lock. */
void system_guest_panicked(GuestPanicInformation *info /* borrowed, may be NULL */);
void system_guest_crash_loaded(GuestPanicInformation *info);
/* Devices and CPUs to power-on state; RESET is sent unless @cause is none or subsystem-reset. Main thread, vCPUs stopped. */
void system_reset(ShutdownCause cause);

/* What happens on these occasions: -action, -no-reboot, -no-shutdown, set-action. */
typedef struct RunStateActions {
    RebootAction reboot;
    ShutdownAction shutdown;
    PanicAction panic;
    WatchdogAction watchdog;
} RunStateActions;
extern RunStateActions run_state_actions;

/* Runs when the power button is pressed (GED). */
void powerdown_notify(void (*fn)(void *opaque), void *opaque);
void powerdown_unnotify(void (*fn)(void *opaque), void *opaque);

/* The main loop until the process should end; its exit status. Main thread. */
int main_loop_run(void);

#endif
