/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Switches and destinations of trace events (include/trace/control.h).
 *
 * Every folder's generated table puts a pointer to itself into the linker
 * section trace_folders, so nothing has to register at start-up. The switches
 * are bytes that the event functions load without ordering: a thread sees a
 * change soon, which is all that tracing needs.
 */
#include "util/osdep.h"
#include <sys/time.h>
#include "trace/control.h"
#include "util/cutils.h"

/* Weak: a program without any event has no such section. */
extern const TraceFolder *const __start_trace_folders[] __attribute__((weak));
extern const TraceFolder *const __stop_trace_folders[] __attribute__((weak));

static FILE *log_file;          /* NULL: stderr */
static bool to_log = true;
static bool with_stamp;
static int marker_fd = -1;

void trace_for_each(const char *pattern, TraceVisit *fn, void *opaque)
{
    for (const TraceFolder *const *f = __start_trace_folders; f < __stop_trace_folders; f++) {
        const char *name = (*f)->names;

        for (unsigned i = 0; i < (*f)->count; i++, name += strlen(name) + 1) {
            if (g_pattern_match_simple(pattern, name)) {
                fn(name, atomic_load(&(*f)->on[i]), opaque);
            }
        }
    }
}

unsigned trace_set_matching(const char *pattern, bool on)
{
    unsigned found = 0;

    for (const TraceFolder *const *f = __start_trace_folders; f < __stop_trace_folders; f++) {
        const char *name = (*f)->names;

        for (unsigned i = 0; i < (*f)->count; i++, name += strlen(name) + 1) {
            if (g_pattern_match_simple(pattern, name)) {
                atomic_store(&(*f)->on[i], on);
                found++;
            }
        }
    }
    return found;
}

void trace_enable(const char *pattern)
{
    bool on = *pattern != '-';

    pattern += !on;
    if (!trace_set_matching(pattern, on) && !strpbrk(pattern, "*?")) {
        warn_report("trace event '%s' does not exist", pattern);
    }
}

bool trace_enable_file(const char *path, Error **errp)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) gerr = NULL;
    g_auto(GStrv) lines = NULL;

    if (!g_file_get_contents(path, &text, NULL, &gerr)) {
        error_setg(errp, "cannot read trace events: %s", gerr->message);
        return false;
    }
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        g_strstrip(*line);
        if (**line && **line != '#') {
            trace_enable(*line);
        }
    }
    return true;
}

static void list_one(const char *name, bool on, void *opaque)
{
    puts(name);
}

void trace_list(void)
{
    trace_for_each("*", list_one, NULL);
}

bool trace_set_log_file(const char *path, Error **errp)
{
    FILE *f = NULL;

    if (path) {
        g_autofree char *pid = g_strdup_printf("%d", (int)getpid());
        g_auto(GStrv) parts = g_strsplit(path, "%d", 2);
        g_autofree char *name = g_strjoinv(pid, parts);

        f = fopen(name, "we");
        if (!f) {
            error_setg_errno(errp, errno, "cannot open log file '%s'", name);
            return false;
        }
        setvbuf(f, NULL, _IOLBF, 0);
    }
    if (log_file) {
        fclose(log_file);
    }
    log_file = f;
    return true;
}

void trace_set_stamp(bool on)
{
    with_stamp = on;
}

void trace_set_log(bool on)
{
    to_log = on;
}

bool trace_set_ftrace(bool on, Error **errp)
{
    static const char *const paths[] = { "/sys/kernel/tracing/trace_marker",
                                         "/sys/kernel/debug/tracing/trace_marker" };

    if (!on) {
        if (marker_fd >= 0) {
            close(marker_fd);
        }
        marker_fd = -1;
        return true;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(paths) && marker_fd < 0; i++) {
        marker_fd = open_cloexec(paths[i], O_WRONLY);
    }
    if (marker_fd < 0) {
        error_setg_errno(errp, errno, "cannot open '%s' for the ftrace back end", paths[0]);
        return false;
    }
    return true;
}

void trace_print(const char *name, const char *fmt, ...)
{
    int saved_errno = errno;
    char line[1024];
    size_t len = 0, start;
    int n;
    va_list ap;

    if (with_stamp) {
        struct timeval tv;

        gettimeofday(&tv, NULL);
        len = snprintf(line, sizeof(line), "%d@%ld.%06ld:", (int)getpid(), (long)tv.tv_sec,
                       (long)tv.tv_usec);
    }
    start = len;
    len += snprintf(line + len, sizeof(line) - len, "%s ", name);
    va_start(ap, fmt);
    n = vsnprintf(line + len, sizeof(line) - len - 1, fmt, ap);
    va_end(ap);
    len += MIN((size_t)MAX(n, 0), sizeof(line) - len - 2);
    line[len++] = '\n';
    if (to_log) {
        fwrite(line, 1, len, log_file ? log_file : stderr);
    }
    if (marker_fd >= 0) {
        /* The kernel stamps its buffer itself; a full or absent one is not our problem. */
        (void)!write(marker_fd, line + start, len - start);
    }
    errno = saved_errno;
}
