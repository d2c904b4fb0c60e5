/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Error objects: how a management fault (bad option, missing file, wrong QMP
 * argument) travels from where it is found to whoever asked.
 *
 * The contract, for every function with a last parameter "Error **errp":
 *  - it returns true (or a non-NULL pointer) on success; it returns false (or
 *    NULL) exactly when it set an error;
 *  - @errp may be NULL (the caller does not want the reason), may be
 *    &error_fatal (print it and exit(1); main() and tests only) or
 *    &error_abort (a failure would be our bug); otherwise *@errp is NULL on
 *    entry;
 *  - pass errp straight on to the functions you call; use a local Error only
 *    when you look at it, and hand it over with error_propagate();
 *  - on failure nothing half-made stays behind: undo in reverse order;
 *  - the message names the option or argument, the value given and what would
 *    be accepted; one sentence, no final full stop, no newline. Advice goes in
 *    error_append_hint(), with its newline.
 * Guest faults and host I/O faults on a data path never use Error.
 */
#ifndef UTIL_ERROR_H
#define UTIL_ERROR_H

#include <stdbool.h>
#include <stdarg.h>
#include <glib.h>
#include "util/compiler.h"

typedef struct Error Error;

/* The error classes of the QMP wire protocol. */
typedef enum ErrorClass {
    ERROR_CLASS_GENERIC_ERROR,
    ERROR_CLASS_COMMAND_NOT_FOUND,
    ERROR_CLASS_DEVICE_NOT_ACTIVE,
    ERROR_CLASS_DEVICE_NOT_FOUND,
    ERROR_CLASS_KVM_MISSING_CAP,
} ErrorClass;

extern Error *error_fatal;
extern Error *error_abort;

/* Set an error of class GenericError, of @class, or with strerror(@err) appended as ": text". */
MODULE_API void error_setg(Error **errp, const char *fmt, ...) PRINTF_LIKE(2, 3);
void error_set(Error **errp, ErrorClass class, const char *fmt, ...) PRINTF_LIKE(3, 4);
MODULE_API void error_setg_errno(Error **errp, int err, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Hand @local (may be NULL, is consumed) to @errp. */
void error_propagate(Error **errp, Error *local);
/* Put text before the message, or append a line of advice, if *@errp is set and a real object. */
void error_prepend(Error **errp, const char *fmt, ...) PRINTF_LIKE(2, 3);
void error_append_hint(Error **errp, const char *fmt, ...) PRINTF_LIKE(2, 3);

const char *error_message(const Error *err);
/* The advice, or NULL. */
const char *error_hint(const Error *err);
ErrorClass error_class(const Error *err);
/* "GenericError" and so on: the text on the QMP wire. */
const char *error_class_name(ErrorClass class);
Error *error_copy(const Error *err);
void error_free(Error *err);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Error, error_free)

/*
 * Reports to the user, on stderr (or to the human monitor that runs on this
 * thread, see report_set_sink): "PROG: text", "PROG: warning: text",
 * "PROG: info: text"; with a location ("-device foo: ") if one is pushed.
 * Any thread.
 */
void error_report(const char *fmt, ...) PRINTF_LIKE(1, 2);
void warn_report(const char *fmt, ...) PRINTF_LIKE(1, 2);
void info_report(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* Report @err with its hint, and free it. */
void error_report_err(Error *err);
void warn_report_err(Error *err);

/* The program name used as prefix: the last component of argv[0]. */
void report_set_program(const char *argv0);
const char *report_program(void);
/* Prefix every report with an ISO 8601 time stamp (-msg timestamp=on). */
void report_set_timestamp(bool on);
/* The guest name as a further prefix (-msg guest-name=on), or NULL. */
void report_set_guest_name(const char *name);

/* What the main thread is working on, e.g. "-device virtio-rng-pci"; "" when nothing. */
void report_push_location(const char *fmt, ...) PRINTF_LIKE(1, 2);
void report_pop_location(void);

/* Where this thread's reports go instead of stderr; NULL for stderr. */
typedef void ReportSink(const char *text, void *opaque);
void report_set_sink(ReportSink *sink, void *opaque);

#endif
