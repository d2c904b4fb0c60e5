/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -sandbox: the process gives up system calls that it does not need. The
 * filter itself is in a module (sandbox-seccomp.c). Main thread; what is denied
 * is denied to every thread from then on.
 */
#ifndef SYSTEM_SANDBOX_H
#define SYSTEM_SANDBOX_H

#include <stdbool.h>
#include "util/error.h"

/* Groups of system calls beside those that are always denied. */
typedef enum SandboxGroup {
    SANDBOX_OBSOLETE = 1,       /* that the C library no longer uses */
    SANDBOX_PRIVILEGES = 2,     /* that change users, groups and capabilities */
    SANDBOX_SPAWN = 4,          /* new processes and programs; threads remain possible */
    SANDBOX_RESOURCES = 8,      /* priorities, CPU affinity, limits */
} SandboxGroup;

typedef struct SandboxOps {
    /* Deny what is always denied, and @groups (SandboxGroup bits). */
    bool (*enable)(unsigned groups, Error **errp);
} SandboxOps;

/* Loads the module. */
bool sandbox_enable(unsigned groups, Error **errp);

#endif
