/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads: names, signal masks, kernel ids (include/util/thread.h). Signals
 * are for the main thread, so every other one starts with all of them
 * blocked; who wants one (a vCPU kick) unblocks it itself.
 */
#include "util/osdep.h"
#include <signal.h>
#include <sys/syscall.h>
#include "trace-util.h"
#include "util/thread.h"

typedef struct ThreadStart {
    void *(*fn)(void *);
    void *opaque;
    char name[16];
} ThreadStart;

static bool naming;

void thread_set_naming(bool on)
{
    naming = on;
}

int thread_tid(void)
{
    static __thread int tid;

    if (!tid) {
        tid = syscall(SYS_gettid);
    }
    return tid;
}

static void *thread_start(void *opaque)
{
    ThreadStart start = *(ThreadStart *)opaque;

    g_free(opaque);
    if (naming) {
        pthread_setname_np(pthread_self(), start.name);
    }
    return start.fn(start.opaque);
}

bool thread_create(pthread_t *thread, const char *name, void *(*fn)(void *), void *opaque,
                   Error **errp)
{
    ThreadStart *start = g_new0(ThreadStart, 1);
    sigset_t all, old;
    int err;

    start->fn = fn;
    start->opaque = opaque;
    g_strlcpy(start->name, name, sizeof(start->name));
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    err = pthread_create(thread, NULL, thread_start, start);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (err) {
        g_free(start);
        error_setg_errno(errp, err, "cannot start thread '%s'", name);
        return false;
    }
    trace_thread_created(name);
    return true;
}
