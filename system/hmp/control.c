/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Human monitor commands that change something: run state, devices, objects,
 * log. Front ends of QMP handlers. Main thread with the machine lock.
 */
#include "util/osdep.h"
#include "hmp-text.h"
#include "hw/core/device.h"
#include "qapi-commands.h"
#include "system/startup.h"
#include "trace/control.h"
#include "trace/options.h"

/* ---- run state ---- */

#define SIMPLE(ident, handler)                                              \
    static bool ident(Hmp *hmp, const HmpArgs *args, Error **errp)          \
    {                                                                       \
        return handler(errp);                                               \
    }

SIMPLE(run_quit, qmp_quit)
SIMPLE(run_stop, qmp_stop)
SIMPLE(run_cont, qmp_cont)
SIMPLE(run_system_reset, qmp_system_reset)
SIMPLE(run_exit_preconfig, qmp_x_exit_preconfig)
SIMPLE(run_system_powerdown, qmp_system_powerdown)
SIMPLE(run_system_wakeup, qmp_system_wakeup)
SIMPLE(run_nmi, qmp_inject_nmi)

static bool run_watchdog_action(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    const char *name = hmp_string(args, "action");
    int action = qapi_enum_parse(&qapi_enum_WatchdogAction, name, "action", NULL);

    if (action < 0) {
        error_setg(errp, "invalid parameter value: %s", name);
        return false;
    }
    return qmp_watchdog_set_action(&(QmpWatchdogSetActionArgs){ .action = (WatchdogAction)action }, errp);
}

/* ---- devices and objects ---- */

static bool run_device_add(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    const char *text = hmp_string(args, "device");
    g_autoptr(JsonValue) options = keyval_parse(text ? text : "", "driver", NULL, errp);

    return options && device_add(options, errp);
}

static bool run_device_del(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    return device_del(hmp_string(args, "id"), errp);
}

static bool run_object_add(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    const char *text = hmp_string(args, "object");
    g_autoptr(JsonValue) options = keyval_parse(text ? text : "", "qom-type", NULL, errp);

    return options && qmp_object_add(options, errp);
}

static bool run_object_del(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    return user_creatable_del(hmp_string(args, "id"), errp);
}

/* ---- descriptors ---- */

static bool run_getfd(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    return qmp_getfd(&(QmpGetfdArgs){ .fdname = (char *)hmp_string(args, "fdname") }, errp);
}

static bool run_closefd(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    return qmp_closefd(&(QmpClosefdArgs){ .fdname = (char *)hmp_string(args, "fdname") }, errp);
}

/* ---- log and trace ---- */

static bool run_log(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    const char *items = hmp_string(args, "items");
    Error *err = NULL;

    if (strcmp(items, "none") == 0) {
        trace_set_matching("*", false);
        return true;
    }
    if (strcmp(items, "help") == 0 || !log_items_apply(items, &err)) {
        error_free(err);
        hmp_puts(hmp, log_items_help());
    }
    return true;
}

static bool run_logfile(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    return trace_set_log_file(hmp_string(args, "filename"), errp);
}

static bool run_trace_event(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    const QmpTraceEventSetStateArgs a = {
        .name = (char *)hmp_string(args, "name"), .enable = hmp_bool(args, "option"),
        .has_ignore_unavailable = true, .ignore_unavailable = strpbrk(hmp_string(args, "name"), "*?") != NULL,
    };
    Error *err = NULL;

    if (!qmp_trace_event_set_state(&a, &err)) {
        hmp_printf(hmp, "%s\n", error_message(err));
        error_free(err);
    }
    return true;
}

#define ID(fn) { "id", HMP_STRING, .complete = hmp_complete_##fn }

HMP_COMMANDS(control_commands) = {
    { "quit|q", "", "quit the emulator", NULL, run_quit },
    { "stop|s", "", "stop emulation", NULL, run_stop },
    { "cont|c", "", "resume emulation", NULL, run_cont },
    { "exit_preconfig", "", "exit the preconfig state", NULL, run_exit_preconfig },
    { "system_reset", "", "reset the system", NULL, run_system_reset },
    { "system_powerdown", "", "send system power down event", NULL, run_system_powerdown },
    { "system_wakeup", "", "wakeup guest from suspend", NULL, run_system_wakeup },
    { "nmi", "", "inject an NMI", NULL, run_nmi },
    { "watchdog_action", "[reset|shutdown|poweroff|pause|debug|none]", "change watchdog action",
      HMP_ARGS({ "action", HMP_STRING, .complete = hmp_complete_watchdog_action }), run_watchdog_action },
    { "device_add", "driver[,prop=value][,...]", "add device, like -device on the command line",
      HMP_ARGS({ "device", HMP_REST, .optional = true, .complete = hmp_complete_device_type }), run_device_add },
    { "device_del", "device", "remove device", HMP_ARGS(ID(device)), run_device_del },
    { "object_add", "[qom-type=]type,id=str[,prop=value][,...]", "create QOM object",
      HMP_ARGS({ "object", HMP_REST, .complete = hmp_complete_object_type }), run_object_add },
    { "object_del", "id", "destroy QOM object", HMP_ARGS(ID(object)), run_object_del },
    { "getfd", "getfd name", "receive a file descriptor via SCM rights and assign it a name",
      HMP_ARGS({ "fdname", HMP_STRING }), run_getfd },
    { "closefd", "closefd name", "close a file descriptor previously passed via SCM rights",
      HMP_ARGS({ "fdname", HMP_STRING }), run_closefd },
    { "log", "item1[,...]", "activate logging of the specified items", HMP_ARGS({ "items", HMP_STRING }), run_log },
    { "logfile", "filename", "output logs to 'filename'", HMP_ARGS({ "filename", HMP_FILE }), run_logfile },
    { "trace-event", "name on|off", "changes status of a specific trace event",
      HMP_ARGS({ "name", HMP_STRING, .complete = hmp_complete_trace_event }, { "option", HMP_SWITCH }),
      run_trace_event },
    HMP_END
};
