/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reports to the user (include/util/error.h). Every report is one write, so
 * that those of several threads do not mix. The location stack and the sink
 * belong to the calling thread; program name, guest name and the time stamp
 * switch are set once at start-up, before other threads exist.
 */
#include "util/osdep.h"
#include <sys/time.h>
#include "util/error.h"

static const char *program = "nemu";
static bool with_timestamp;
static char *guest_name;

static __thread GSList *locations;      /* of char *, innermost first */
static __thread ReportSink *sink;
static __thread void *sink_opaque;

void report_set_program(const char *argv0)
{
    const char *slash = strrchr(argv0, '/');

    program = slash ? slash + 1 : argv0;
}

const char *report_program(void)
{
    return program;
}

void report_set_timestamp(bool on)
{
    with_timestamp = on;
}

void report_set_guest_name(const char *name)
{
    g_free(guest_name);
    guest_name = g_strdup(name);
}

void report_push_location(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    locations = g_slist_prepend(locations, g_strdup_vprintf(fmt, ap));
    va_end(ap);
}

void report_pop_location(void)
{
    g_free(locations->data);
    locations = g_slist_delete_link(locations, locations);
}

void report_set_sink(ReportSink *fn, void *opaque)
{
    sink = fn;
    sink_opaque = opaque;
}

static void append_timestamp(GString *out)
{
    struct timeval tv;
    struct tm tm;
    time_t sec;

    gettimeofday(&tv, NULL);
    sec = tv.tv_sec;
    gmtime_r(&sec, &tm);
    g_string_append_printf(out, "%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ ", tm.tm_year + 1900,
                           tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                           (long)tv.tv_usec);
}

/* @kind is "" for an error. A sink (a human monitor) gets the bare text: its user knows the rest. */
static void report(const char *kind, const char *text, const char *hint)
{
    int saved_errno = errno;
    GString *out = g_string_sized_new(128);

    if (!sink) {
        if (with_timestamp) {
            append_timestamp(out);
        }
        if (guest_name) {
            g_string_append_printf(out, "%s ", guest_name);
        }
        g_string_append_printf(out, "%s: ", program);
        if (locations && *(char *)locations->data) {
            g_string_append_printf(out, "%s: ", (char *)locations->data);
        }
    }
    g_string_append_printf(out, "%s%s\n%s", kind, text, hint ? hint : "");
    if (sink) {
        sink(out->str, sink_opaque);
    } else {
        fwrite(out->str, 1, out->len, stderr);
    }
    g_string_free(out, TRUE);
    errno = saved_errno;
}

#define REPORT(kind)                                                        \
    do {                                                                    \
        g_autofree char *text = NULL;                                       \
        va_list ap;                                                         \
        va_start(ap, fmt);                                                  \
        text = g_strdup_vprintf(fmt, ap);                                   \
        va_end(ap);                                                         \
        report(kind, text, NULL);                                           \
    } while (0)

void error_report(const char *fmt, ...)
{
    REPORT("");
}

void warn_report(const char *fmt, ...)
{
    REPORT("warning: ");
}

void info_report(const char *fmt, ...)
{
    REPORT("info: ");
}

void error_report_err(Error *err)
{
    report("", error_message(err), error_hint(err));
    error_free(err);
}

void warn_report_err(Error *err)
{
    report("warning: ", error_message(err), error_hint(err));
    error_free(err);
}
