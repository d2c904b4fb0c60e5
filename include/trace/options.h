/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The -trace option of emulators and tools. Main thread. */
#ifndef TRACE_OPTIONS_H
#define TRACE_OPTIONS_H

#include <stdbool.h>
#include "util/error.h"

/*
 * "[enable=]PATTERN[,events=FILE][,file=FILE][,backend=log|ftrace]", each part
 * optional; may be given several times. *@help is set for "help": then the
 * caller calls trace_list() and exits.
 */
bool trace_parse_option(const char *text, bool *help, Error **errp);

#endif
