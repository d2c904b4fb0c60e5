/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qemu-storage-daemon: the block layer without a machine: nodes, jobs and
 * exports, managed over QMP. Options act in the order in which they are given.
 * Main thread.
 */
#include "util/osdep.h"
#include <getopt.h>
#include <signal.h>
#include "../common.h"
#include "block/export.h"
#include "chardev/chardev.h"
#include "monitor/monitor.h"
#include "qapi-commands.h"
#include "qom/help.h"
#include "util/event-loop.h"
#include "util/process.h"

enum {
    OPT_BLOCKDEV = 256, OPT_CHARDEV, OPT_DAEMONIZE, OPT_EXPORT, OPT_MONITOR, OPT_NBD_SERVER, OPT_OBJECT, OPT_PIDFILE,
};

static const struct option longs[] = {
    { "blockdev", required_argument, NULL, OPT_BLOCKDEV },
    { "chardev", required_argument, NULL, OPT_CHARDEV },
    { "daemonize", no_argument, NULL, OPT_DAEMONIZE },
    { "export", required_argument, NULL, OPT_EXPORT },
    { "help", no_argument, NULL, 'h' },
    { "monitor", required_argument, NULL, OPT_MONITOR },
    { "nbd-server", required_argument, NULL, OPT_NBD_SERVER },
    { "object", required_argument, NULL, OPT_OBJECT },
    { "pidfile", required_argument, NULL, OPT_PIDFILE },
    { "trace", required_argument, NULL, 'T' },
    { "version", no_argument, NULL, 'V' },
    { NULL },
};

static volatile sig_atomic_t stopping;
static bool daemonize;
static const char *pidfile;

static void print_help(void)
{
    printf("Usage: %s [options]\n"
           "QEMU storage daemon\n"
           "\n"
           "Options act in the order in which they are given.\n"
           "\n"
           "  -h, --help             display this help and exit\n"
           "  -T, --trace [[enable=]<pattern>][,events=<file>][,file=<file>]\n"
           "                         specify tracing options\n"
           "  -V, --version          output version information and exit\n"
           "\n"
           "  --blockdev [driver=]<driver>,node-name=<name>[,discard=ignore|unmap]\n"
           "             [,cache.direct=on|off][,cache.no-flush=on|off][,read-only=on|off]\n"
           "             [,auto-read-only=on|off][,force-share=on|off]\n"
           "             [,detect-zeroes=on|off|unmap][,options of the driver...]\n"
           "                         add a block node\n"
           "  --chardev <kind>,id=<id>[,options of the kind...]\n"
           "                         add a character device\n"
           "  --daemonize            go to the background once everything can be used\n"
           "  --export [type=]nbd,id=<id>,node-name=<name>[,name=<export name>]\n"
           "           [,description=<text>][,writable=on|off][,writethrough=on|off]\n"
           "           [,bitmaps.<n>=<bitmap>][,allocation-depth=on|off]\n"
           "                         export a node through the NBD server\n"
           "  --monitor [chardev=]<id>[,mode=control][,pretty=on|off]\n"
           "                         a QMP server on a character device\n"
           "  --nbd-server addr.type=inet,addr.host=<host>,addr.port=<port>\n"
           "  --nbd-server addr.type=unix,addr.path=<path>\n"
           "               [,tls-creds=<id>][,tls-authz=<id>][,max-connections=<n>]\n"
           "                         start the NBD server\n"
           "  --object help          list the types of objects\n"
           "  --object <type>,help   list the properties of a type\n"
           "  --object <type>,id=<id>[,<property>=<value>...]\n"
           "                         make an object\n"
           "  --pidfile <path>       write the process id to a file\n", report_program());
}

/* ---- the end ---- */

bool qmp_quit(Error **errp)
{
    stopping = 1;
    return true;
}

/* ---- options ---- */

/* key=value text or JSON as a structure of @type; NULL with an error. */
static void *parse(const char *arg, const char *implied, const QapiType *type, Error **errp)
{
    bool help = false;
    g_autoptr(JsonValue) given = keyval_parse(arg, implied, &help, errp);

    if (given && help) {
        error_setg(errp, "Help is not available for this option");
        return NULL;
    }
    return given ? qapi_decode(type, given, errp) : NULL;
}

static bool add_blockdev(const char *arg, Error **errp)
{
    bool help = false;
    g_autoptr(JsonValue) given = keyval_parse(arg, "driver", &help, errp);

    if (given && help) {
        error_setg(errp, "Help is not available for this option");
        return false;
    }
    return given && qmp_blockdev_add(given, errp);
}

static bool add_chardev(const char *arg, Error **errp)
{
    if (!strcmp(arg, "help") || !strcmp(arg, "?")) {
        chardev_print_kinds();
        exit(EXIT_SUCCESS);
    }
    return chardev_new_from_options(arg, errp) != NULL;
}

static bool add_export(const char *arg, Error **errp)
{
    g_autoptr(BlockExportOptions) o = parse(arg, "type", &qapi_type_BlockExportOptions, errp);

    return o && qmp_block_export_add(o, errp);
}

static bool add_monitor(const char *arg, Error **errp)
{
    g_autoptr(MonitorConfig) o = parse(arg, "chardev", &qapi_type_MonitorConfig, errp);

    if (o && o->has_mode && o->mode != MONITOR_MODE_CONTROL) {
        error_setg(errp, "Only QMP is supported");
        return false;
    }
    return o && monitor_add(&(MonitorOptions){ .chardev_id = o->chardev, .qmp = true,
                                               .pretty = o->has_pretty && o->pretty }, errp);
}

static bool start_nbd_server(const char *arg, Error **errp)
{
    g_autoptr(NbdServerConfig) o = parse(arg, NULL, &qapi_type_NbdServerConfig, errp);

    return o && nbd_server_start(o, errp);
}

static bool add_object(const char *arg, Error **errp)
{
    bool help = false;
    g_autoptr(JsonValue) given = keyval_parse(arg, "qom-type", &help, errp);
    const char *type = given ? json_object_get_string(given, "qom-type") : NULL;

    if (given && help) {
        if (!type || !type_find(type)) {
            type_print_list(&user_creatable_type, "List of user creatable objects:\n");
        } else {
            type_print_properties(type, errp);
        }
        exit(EXIT_SUCCESS);
    }
    return given && qmp_object_add(given, errp);
}

/* What acts in the second pass. */
static const struct {
    int option;
    bool (*apply)(const char *arg, Error **errp);
} actions[] = {
    { OPT_BLOCKDEV, add_blockdev }, { OPT_CHARDEV, add_chardev }, { OPT_EXPORT, add_export },
    { OPT_MONITOR, add_monitor }, { OPT_NBD_SERVER, start_nbd_server }, { OPT_OBJECT, add_object },
};

static bool apply(int option, const char *arg, Error **errp)
{
    for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
        if (actions[i].option == option) {
            return actions[i].apply(arg, errp);
        }
    }
    return true;
}

/* Before anything is made: what says how this process runs, or ends it. */
static bool apply_early(int option, const char *arg, Error **errp)
{
    switch (option) {
    case 'h':
        print_help();
        exit(EXIT_SUCCESS);
    case 'V':
        tool_print_version();
        exit(EXIT_SUCCESS);
    case 'T':
        return tool_trace_option(arg, errp);
    case OPT_DAEMONIZE:
        daemonize = true;
        break;
    case OPT_PIDFILE:
        pidfile = arg;
        break;
    case OPT_OBJECT:
    case OPT_CHARDEV:
        /* Help comes before other options' effects and errors. */
        if (!strcmp(arg, "help") || !strcmp(arg, "?")) {
            return apply(option, arg, errp);
        }
        break;
    default:
        break;
    }
    return true;
}

/* Call @fn for each option; false after a message. */
static bool each_option(int argc, char **argv, bool (*fn)(int option, const char *arg, Error **errp))
{
    int at = 1, option;

    optind = 0;                 /* getopt starts anew */
    while ((option = getopt_long(argc, argv, "-hT:V", longs, NULL)) != -1) {
        g_autofree char *words = NULL;
        Error *err = NULL;
        bool ok;

        if (option == '?') {
            return false;       /* getopt has said why */
        }
        for (; at < optind; at++) {
            char *more = words ? g_strconcat(words, " ", argv[at], NULL) : g_strdup(argv[at]);

            g_free(words);
            words = more;
        }
        report_push_location("%s", words ? words : "");
        if (option == 1) {
            error_setg(&err, "Unexpected argument");
            ok = false;
        } else {
            ok = fn(option, optarg, &err);
        }
        if (!ok) {
            error_report_err(err);
        }
        report_pop_location();
        if (!ok) {
            return false;
        }
    }
    if (optind < argc) {
        error_report("%s: Unexpected argument", argv[optind]);
        return false;
    }
    return true;
}

/* ---- the program ---- */

static bool start_up(int argc, char **argv)
{
    Error *err = NULL;

    if (daemonize && !process_daemonize(&err)) {
        error_report_err(err);
        return false;
    }
    tool_init(argv);
    tool_catch_signals(&stopping);
    if (!each_option(argc, argv, apply)) {
        return false;
    }
    if ((pidfile && !process_write_pidfile(pidfile, &err)) || !process_finish_daemonize(&err)) {
        error_report_err(err);
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    bool ok;

    report_set_program(argv[0]);
    if (!each_option(argc, argv, apply_early)) {
        return EXIT_FAILURE;
    }
    ok = start_up(argc, argv);
    while (ok && !stopping) {
        main_loop_poll(true);
    }
    /* Clients leave, jobs end, data is on disk; and monitors have heard of it. */
    block_close_all();
    monitor_cleanup_all();
    chardev_cleanup_all();
    process_cleanup();
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
