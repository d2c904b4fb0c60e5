/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the disk tools share, see common.h. Main thread. */
#include "util/osdep.h"
#include <getopt.h>
#include <signal.h>
#include "common.h"
#include "qapi-types.h"
#include "qom/object.h"
#include "trace/control.h"
#include "trace/options.h"
#include "util/cutils.h"
#include "util/event-loop.h"

/* ---- the program ---- */

void tool_init(char **argv)
{
    Error *err = NULL;

    report_set_program(argv[0]);
    signal(SIGPIPE, SIG_IGN);
    if (!main_loop_init(&err)) {
        error_report_err(err);
        exit(EXIT_FAILURE);
    }
}

static volatile sig_atomic_t *stop_flag;

static void on_stop_signal(int sig)
{
    *stop_flag = 1;
    event_loop_wake(event_loop_main());
}

void tool_catch_signals(volatile sig_atomic_t *stopping)
{
    static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
    struct sigaction action = { .sa_handler = on_stop_signal };

    stop_flag = stopping;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
        sigaction(signals[i], &action, NULL);
    }
}

void tool_print_version(void)
{
    printf("%s version %s (nemu %s)\n"
           "Copyright (c) the nemu authors; GPL-2.0-or-later\n", report_program(),
           NEMU_COMPAT_VERSION, NEMU_VERSION);
}

static void add_format(const BlockDriver *drv, void *opaque)
{
    g_ptr_array_add(opaque, (gpointer)drv->name);
}

static int by_text(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void tool_print_formats(void)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    guint i;

    block_driver_foreach(add_format, names);
    g_ptr_array_sort(names, by_text);
    printf("Supported formats:");
    for (i = 0; i < names->len; i++) {
        printf(" %s", (const char *)names->pdata[i]);
    }
    printf("\n");
}

bool tool_usage_error(const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    error_report("%s", text);
    fprintf(stderr, "Try '%s --help' for more information\n", report_program());
    return false;
}

/* ---- options ---- */

int tool_getopt(int argc, char **argv, const char *shorts, const struct option *longs)
{
    /* getopt leaves optind at a word of which only some letters were read. */
    int at = optind, c;

    opterr = 0;
    c = getopt_long(argc, argv, shorts, longs, NULL);
    if (c == ':') {
        tool_usage_error("missing argument for option '%s'", argv[optind - 1]);
        return '?';
    }
    if (c == '?') {
        const char *word = argv[optind > at ? optind - 1 : at];

        tool_usage_error("unrecognized option '%s'", word);
    }
    return c;
}

bool tool_trace_option(const char *text, Error **errp)
{
    bool help = false;

    if (!trace_parse_option(text, &help, errp)) {
        return false;
    }
    if (help) {
        trace_list();
        exit(EXIT_SUCCESS);
    }
    return true;
}

bool tool_object_option(const char *text, Error **errp)
{
    g_autoptr(JsonValue) given = keyval_parse(text, "qom-type", NULL, errp);
    g_autoptr(JsonValue) checked = NULL;
    g_autoptr(ObjectOptions) options = NULL;

    if (!given) {
        return false;
    }
    options = qapi_decode(&qapi_type_ObjectOptions, given, errp);
    if (!options) {
        return false;
    }
    checked = qapi_encode(&qapi_type_ObjectOptions, options);
    return user_creatable_add(checked, errp) != NULL;
}

bool tool_cache_mode(const char *mode, unsigned *flags, bool *writethrough)
{
    static const struct {
        const char *name;
        unsigned flags;
        bool writethrough;
    } modes[] = {
        { "none", BLOCK_OPEN_NOCACHE, false },      { "off", BLOCK_OPEN_NOCACHE, false },
        { "writeback", 0, false },                  { "unsafe", BLOCK_OPEN_NO_FLUSH, false },
        { "directsync", BLOCK_OPEN_NOCACHE, true }, { "writethrough", 0, true },
    };
    size_t i;

    for (i = 0; i < ARRAY_SIZE(modes); i++) {
        if (!strcmp(mode, modes[i].name)) {
            *flags = (*flags & ~(BLOCK_OPEN_NOCACHE | BLOCK_OPEN_NO_FLUSH)) | modes[i].flags;
            *writethrough = modes[i].writethrough;
            return true;
        }
    }
    return false;
}

int64_t tool_parse_size_range(const char *what, const char *text, int64_t min, int64_t max)
{
    uint64_t bytes;
    int ret = parse_size(text, 'B', &bytes);

    if (ret == -ERANGE || (ret == 0 && (bytes > (uint64_t)max || (int64_t)bytes < min))) {
        error_report("Invalid %s specified. Must be between %" PRId64 " and %" PRId64 ".", what,
                     min, max);
        return -1;
    }
    if (ret < 0) {
        error_report("Invalid %s specified. You may use k, M, G, T, P or E suffixes for", what);
        error_report("kilobytes, megabytes, gigabytes, terabytes, petabytes and exabytes.");
        return -1;
    }
    return bytes;
}

int64_t tool_parse_size(const char *what, const char *text)
{
    return tool_parse_size_range(what, text, 0, INT64_MAX);
}

/* ---- images ---- */

static JsonValue *image_options(const ToolImage *image, Error **errp)
{
    JsonValue *o;
    size_t i;

    if (image->image_opts) {
        /* A word without "=" is the name of a node. */
        o = strchr(image->name, '=') ? keyval_parse_flat(image->name, NULL, false, NULL, errp) : NULL;
        if (!o && !strchr(image->name, '=')) {
            error_setg(errp, "Cannot find device='%s' nor node-name='%s'", image->name, image->name);
        }
        if (!o) {
            return NULL;
        }
    } else {
        o = json_object();
        if (image->format) {
            json_object_set_string(o, "driver", image->format);
        }
    }
    if (image->force_share) {
        if (json_object_has(o, "force-share")) {
            error_setg(errp, "--force-share/-U conflicts with image options");
            json_unref(o);
            return NULL;
        }
        json_object_set_bool(o, "force-share", true);
    }
    for (i = 0; image->extra && i < json_object_len(image->extra); i++) {
        const char *key;
        JsonValue *v;

        json_object_at(image->extra, i, &key, &v);
        json_object_set_take(o, key, json_copy(v));
    }
    return o;
}

BlockBackend *tool_open(const ToolImage *image)
{
    BlockBackend *blk = NULL;
    Error *err = NULL;
    JsonValue *o = image_options(image, &err);

    if (o) {
        blk = blk_open(image->image_opts ? NULL : image->name, o, image->flags, &err);
    }
    if (!blk) {
        error_prepend(&err, "Could not open '%s': ", image->name);
        error_report_err(err);
        return NULL;
    }
    blk_set_write_cache(blk, !image->writethrough);
    return blk;
}

/* ---- waiting ---- */

void tool_wait(const bool *done)
{
    while (!*done) {
        event_loop_poll(event_loop_main(), true);
    }
}

typedef struct Run {
    CoroutineEntry *entry;
    void *opaque;
    bool done;
} Run;

static void coroutine_fn run_entry(void *opaque)
{
    Run *r = opaque;

    r->entry(r->opaque);
    r->done = true;
    event_loop_wake(event_loop_main());
}

void tool_run(CoroutineEntry *entry, void *opaque)
{
    Run r = { .entry = entry, .opaque = opaque };

    coroutine_enter(coroutine_create(run_entry, &r));
    tool_wait(&r.done);
}

/* ---- progress ---- */

static struct {
    bool show;
    double step, last;
    volatile sig_atomic_t asked;
} progress;

static void print_percent(double percent)
{
    printf("    (%3.2f/100%%)\r", percent);
    fflush(stdout);
}

static void progress_signal(int sig)
{
    progress.asked = 1;
}

void tool_progress_begin(bool show, double step)
{
    struct sigaction action = { .sa_handler = progress_signal, .sa_flags = SA_RESTART };

    progress.show = show;
    progress.step = step;
    progress.last = 0;
    sigemptyset(&action.sa_mask);
    sigaction(SIGUSR1, &action, NULL);
}

void tool_progress(double percent)
{
    percent = MIN(percent, 100.0);
    if (progress.show) {
        if (percent > progress.last + progress.step || percent == 0 || percent == 100) {
            progress.last = percent;
            print_percent(percent);
        }
    } else if (progress.asked) {
        progress.asked = 0;
        print_percent(percent);
    }
}

void tool_progress_end(void)
{
    if (progress.show) {
        printf("\n");
    }
    progress.show = false;
}
