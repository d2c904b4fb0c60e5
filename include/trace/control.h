/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Trace events at run time: which ones are on, and where their lines go. The
 * events themselves are declared in the trace-events file of each folder,
 * from which scripts/trace-gen.py makes trace-FOLDER.h with one inline
 * function per event.
 *
 * Thread: the switches may be moved by any thread at any time; destinations
 * are set by the main thread.
 */
#ifndef TRACE_CONTROL_H
#define TRACE_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include "util/error.h"

/* One per trace-events file. Names are in one string, each with its 0, as many as there are switches. */
typedef struct TraceFolder {
    const char *names;
    uint8_t *on;
    unsigned count;
} TraceFolder;

/*
 * Switch the events that match @pattern ('*' and '?'; a leading '-' switches
 * off) and return how many there were. trace_enable() takes the user's text
 * and warns of a name without '*' that matches nothing: programs and versions
 * differ in their events.
 */
unsigned trace_set_matching(const char *pattern, bool on);
void trace_enable(const char *pattern);
/* Every line of the file is such a pattern; '#' starts a comment. */
bool trace_enable_file(const char *path, Error **errp);

/* Calls @fn for every event that matches @pattern, in link order. */
typedef void TraceVisit(const char *name, bool on, void *opaque);
void trace_for_each(const char *pattern, TraceVisit *fn, void *opaque);
/* All names, one per line, on standard output (-trace help). */
void trace_list(void);

/* Lines go to this file instead of stderr ("%d" in the name becomes the pid); NULL: stderr. */
bool trace_set_log_file(const char *path, Error **errp);
/* Put "PID@SECONDS.MICROS:" before each line of the log. */
void trace_set_stamp(bool on);
/* Also write each line into the kernel's trace buffer (tracefs trace_marker). */
bool trace_set_ftrace(bool on, Error **errp);
/* Whether lines go to the log at all (on at start). */
void trace_set_log(bool on);

/* For the generated code: "NAME TEXT" to every destination. */
void trace_print(const char *name, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
