/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Signals that end the emulator, and its name. Main thread. */
#include "util/osdep.h"
#include <signal.h>
#include <sys/prctl.h>
#include "system/runstate.h"
#include "system/startup.h"

static void on_termination(int signal, siginfo_t *info, void *context)
{
    int saved = errno;

    system_shutdown_request_from_signal(signal, info->si_pid);
    errno = saved;
}

void process_catch_signals(void)
{
    static const int termination[] = { SIGINT, SIGHUP, SIGTERM };
    struct sigaction act = { .sa_flags = SA_SIGINFO };
    struct sigaction ignore = { .sa_handler = SIG_IGN };

    act.sa_sigaction = on_termination;
    for (size_t i = 0; i < ARRAY_SIZE(termination); i++) {
        sigaction(termination[i], &act, NULL);
    }
    /* A peer that leaves is an error of write(), not the end of the program. */
    sigaction(SIGPIPE, &ignore, NULL);
}

void process_set_name(const char *name)
{
    prctl(PR_SET_NAME, name);
}
