/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Error objects (the contract is in include/util/error.h). An object belongs
 * to one holder at a time and moves between threads with it; there is no
 * global state but the two marker pointers, whose addresses are all that counts.
 */
#include "util/osdep.h"
#include "util/error.h"

struct Error {
    ErrorClass class;
    char *message;
    GString *hint;              /* NULL: no advice */
};

Error *error_fatal;
Error *error_abort;

static void error_hand_over(Error **errp, Error *err)
{
    if (errp == &error_abort) {
        error_report_err(err);
        abort();
    }
    if (errp == &error_fatal) {
        error_report_err(err);
        exit(1);
    }
    if (errp && !*errp) {
        *errp = err;
    } else {
        error_free(err);
    }
}

/* errno survives, so that callers may set an error first and look at it after. */
static void PRINTF_LIKE(4, 0)
set_error(Error **errp, ErrorClass class, int err, const char *fmt, va_list ap)
{
    int saved_errno = errno;
    Error *e;

    if (!errp) {
        return;
    }
    e = g_new0(Error, 1);
    e->class = class;
    e->message = g_strdup_vprintf(fmt, ap);
    if (err) {
        g_autofree char *text = e->message;
        e->message = g_strdup_printf("%s: %s", text, g_strerror(err));
    }
    error_hand_over(errp, e);
    errno = saved_errno;
}

void error_setg(Error **errp, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    set_error(errp, ERROR_CLASS_GENERIC_ERROR, 0, fmt, ap);
    va_end(ap);
}

void error_set(Error **errp, ErrorClass class, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    set_error(errp, class, 0, fmt, ap);
    va_end(ap);
}

void error_setg_errno(Error **errp, int err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    set_error(errp, ERROR_CLASS_GENERIC_ERROR, err < 0 ? -err : err, fmt, ap);
    va_end(ap);
}

void error_propagate(Error **errp, Error *local)
{
    if (local) {
        error_hand_over(errp, local);
    }
}

void error_prepend(Error **errp, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    g_autofree char *old = NULL;
    va_list ap;

    if (!errp || !*errp) {
        return;
    }
    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    old = (*errp)->message;
    (*errp)->message = g_strconcat(text, old, NULL);
}

void error_append_hint(Error **errp, const char *fmt, ...)
{
    va_list ap;

    if (!errp || !*errp) {
        return;
    }
    if (!(*errp)->hint) {
        (*errp)->hint = g_string_new(NULL);
    }
    va_start(ap, fmt);
    g_string_append_vprintf((*errp)->hint, fmt, ap);
    va_end(ap);
}

const char *error_message(const Error *err)
{
    return err->message;
}

const char *error_hint(const Error *err)
{
    return err->hint ? err->hint->str : NULL;
}

ErrorClass error_class(const Error *err)
{
    return err->class;
}

const char *error_class_name(ErrorClass class)
{
    switch (class) {
    case ERROR_CLASS_COMMAND_NOT_FOUND:
        return "CommandNotFound";
    case ERROR_CLASS_DEVICE_NOT_ACTIVE:
        return "DeviceNotActive";
    case ERROR_CLASS_DEVICE_NOT_FOUND:
        return "DeviceNotFound";
    case ERROR_CLASS_KVM_MISSING_CAP:
        return "KVMMissingCap";
    case ERROR_CLASS_GENERIC_ERROR:
        break;
    }
    return "GenericError";
}

Error *error_copy(const Error *err)
{
    Error *e = g_new0(Error, 1);

    e->class = err->class;
    e->message = g_strdup(err->message);
    e->hint = err->hint ? g_string_new(err->hint->str) : NULL;
    return e;
}

void error_free(Error *err)
{
    if (!err) {
        return;
    }
    if (err->hint) {
        g_string_free(err->hint, TRUE);
    }
    g_free(err->message);
    g_free(err);
}
