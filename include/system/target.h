/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which emulator this is. system/ and hw/ are compiled once for all of them;
 * what differs comes from this table, which main.c of each program defines.
 */
#ifndef SYSTEM_TARGET_H
#define SYSTEM_TARGET_H

#include <stdbool.h>
#include "qapi-types.h"

typedef struct SystemTarget {
    SysEmuTarget arch;
    const char *cpu_suffix;     /* "x86_64-cpu": CPU model NAME is the type NAME-x86_64-cpu */
    bool has_kvm;               /* built with it */
} SystemTarget;

extern const SystemTarget system_target;

#endif
