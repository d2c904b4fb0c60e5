/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Handlers of options that make objects, character devices, devices and
 * monitors. Main thread, at start-up.
 */
#include "util/osdep.h"
#include "block/block.h"
#include "chardev/chardev.h"
#include "hw/core/device.h"
#include "monitor/monitor.h"
#include "net/net.h"
#include "qapi-commands.h"
#include "system/options-params.h"
#include "system/runstate.h"
#include "system/serial.h"
#include "system/startup.h"
#include "util/cutils.h"

/* ---- -object ---- */

/* Memory is allocated after the accelerator is known, and after -name and friends. */
static GPtrArray *late_objects;         /* of char *: the option's text */
/* What uses networks and character devices comes after them. */
static GPtrArray *last_objects;

static bool create_object(const char *arg, Error **errp)
{
    g_autoptr(JsonValue) kv = keyval_parse(arg, "qom-type", NULL, errp);
    const char *id = kv ? json_object_get_string(kv, "id") : NULL;

    if (id && object_child(object_objects_root(), id)) {
        error_setg(errp, "Duplicate ID '%s' for object", id);
        return false;
    }
    return kv && qmp_object_add(kv, errp);
}

static bool print_object_help(const char *arg, Error **errp)
{
    g_autofree char *type = g_strndup(arg, strcspn(arg, ","));

    startup.done = true;
    if (strcmp(type, "help") == 0 || strcmp(type, "?") == 0) {
        type_print_list(&user_creatable_type, "List of user creatable objects:\n");
        return true;
    }
    return type_print_properties(type, errp);
}

static bool postpone(GPtrArray **list, const char *arg)
{
    if (!*list) {
        *list = g_ptr_array_new();
    }
    g_ptr_array_add(*list, (void *)arg);
    return true;
}

bool option_object(const char *arg, Error **errp)
{
    if (option_wants_help(arg)) {
        return print_object_help(arg, errp);
    }
    if (strstr(arg, "memory-backend-")) {
        return postpone(&late_objects, arg);
    }
    if (strstr(arg, "filter-") || strstr(arg, "rng-egd")) {
        return postpone(&last_objects, arg);
    }
    return create_object(arg, errp);
}

static bool create_objects(const GPtrArray *texts)
{
    for (guint i = 0; texts && i < texts->len; i++) {
        Error *err = NULL;
        bool ok;

        report_push_location("-object %s", (char *)texts->pdata[i]);
        ok = create_object(texts->pdata[i], &err);
        if (!ok) {
            error_report_err(err);
        }
        report_pop_location();
        if (!ok) {
            return false;
        }
    }
    return true;
}

bool options_create_late_objects(void)
{
    return create_objects(late_objects);
}

bool options_create_last_objects(void)
{
    return create_objects(last_objects);
}

/* ---- -chardev, -serial ---- */

bool option_chardev(const char *arg, Error **errp)
{
    if (option_wants_help(arg)) {
        const Option *o = option_find_group("chardev");

        if (strcmp(arg, "help") == 0 || strcmp(arg, "?") == 0) {
            chardev_print_kinds();
        } else {
            option_print_params(o->group, o->params);
        }
        startup.done = true;
        return true;
    }
    return chardev_new_from_options(arg, errp) != NULL;
}

static GPtrArray *serials;      /* of Chardev *, NULL for "none" */

static void quit_from_terminal(void)
{
    system_exit_request(EXIT_SUCCESS);
}

static void flush_from_terminal(void)
{
    block_flush_all(NULL);
}

void options_connect_terminal(void)
{
    chardev_mux_set_actions(quit_from_terminal, flush_from_terminal);
}

/* "mon:DEV": a human monitor shares the device. */
static bool add_shared_monitor(const char *dev, const char *id, Error **errp)
{
    return !g_str_has_prefix(dev, "mon:") || monitor_add(&(MonitorOptions){ .chardev_id = id }, errp);
}

bool option_serial(const char *arg, Error **errp)
{
    Chardev *chr = NULL;

    if (!serials) {
        serials = g_ptr_array_new();
    }
    if (strcmp(arg, "none") != 0) {
        g_autofree char *id = g_strdup_printf("serial%u", serials->len);

        chr = chardev_new_from_shorthand(id, arg, errp);
        if (!chr) {
            error_prepend(errp, "could not connect serial device to character backend '%s': ",
                          arg);
            return false;
        }
        if (!add_shared_monitor(arg, chr->label, errp)) {
            return false;
        }
    }
    g_ptr_array_add(serials, chr);
    return true;
}

unsigned serial_count(void)
{
    return serials ? serials->len : 0;
}

Chardev *serial_chardev(unsigned index)
{
    return index < serial_count() ? serials->pdata[index] : NULL;
}

bool options_create_defaults(Error **errp)
{
    if (startup.no_defaults || !startup.nographic || serials) {
        return true;
    }
    return option_serial("mon:stdio", errp);
}

/* ---- -netdev, -nic, -net ---- */

static JsonValue *nics;         /* device options that -nic left */

bool option_netdev(const char *arg, Error **errp)
{
    bool help = false;
    bool ok = net_option_netdev(arg, &help, errp);

    startup.done |= help;
    return ok;
}

bool option_nic(const char *arg, Error **errp)
{
    bool help = false, ok;

    if (!nics) {
        nics = json_array();
    }
    ok = net_option_nic(arg, nics, &help, errp);
    startup.done |= help;
    return ok;
}

bool options_create_nics(Error **errp)
{
    for (size_t i = 0; nics && i < json_array_len(nics); i++) {
        if (!device_add(json_array_at(nics, i), errp)) {
            return false;
        }
    }
    return true;
}

/* ---- -device, -set ---- */

typedef struct DeviceSetting {
    char *id, *property, *value;
    bool used;
} DeviceSetting;

static GPtrArray *settings;

bool option_set(const char *arg, Error **errp)
{
    const char *eq = strchr(arg, '=');
    g_autofree char *path = eq ? g_strndup(arg, eq - arg) : NULL;
    g_auto(GStrv) parts = path ? g_strsplit(path, ".", 3) : NULL;
    DeviceSetting *s;

    if (!parts || g_strv_length(parts) != 3) {
        error_setg(errp, "can't parse: \"%s\"", arg);
        return false;
    }
    if (strcmp(parts[0], "device") != 0) {
        error_setg(errp, "There is no option group '%s'; only 'device' can be set", parts[0]);
        return false;
    }
    s = g_new0(DeviceSetting, 1);
    s->id = g_strdup(parts[1]);
    s->property = g_strdup(parts[2]);
    s->value = g_strdup(eq + 1);
    if (!settings) {
        settings = g_ptr_array_new();
    }
    g_ptr_array_add(settings, s);
    return true;
}

static void apply_settings(JsonValue *options)
{
    const char *id = json_object_get_string(options, "id");

    for (guint i = 0; id && settings && i < settings->len; i++) {
        DeviceSetting *s = settings->pdata[i];

        if (strcmp(s->id, id) == 0) {
            json_object_set_take(options, s->property, json_keyval_string(s->value));
            s->used = true;
        }
    }
}

bool options_check_set(Error **errp)
{
    for (guint i = 0; settings && i < settings->len; i++) {
        DeviceSetting *s = settings->pdata[i];

        if (!s->used) {
            error_setg(errp, "-set: there is no device \"%s\" defined", s->id);
            return false;
        }
    }
    return true;
}

static bool print_device_help(const char *arg, Error **errp)
{
    g_autofree char *type = g_strndup(arg, strcspn(arg, ","));

    startup.done = true;
    if (strcmp(type, "help") == 0 || strcmp(type, "?") == 0) {
        help_print_devices();
        return true;
    }
    return type_print_properties(type, errp);
}

bool option_device(const char *arg, Error **errp)
{
    g_autoptr(JsonValue) kv = NULL;

    if (option_wants_help(arg)) {
        return print_device_help(arg, errp);
    }
    kv = keyval_parse(arg, "driver", NULL, errp);
    if (!kv) {
        return false;
    }
    apply_settings(kv);
    return device_add(kv, errp) != NULL;
}

/* ---- monitors ---- */

bool option_mon(const char *arg, Error **errp)
{
    MonParams p = { 0 };
    MonitorOptions m = { 0 };
    bool ok = option_parse_params(arg, "chardev", mon_params, &p, errp);

    if (ok && !p.chardev) {
        error_setg(errp, "Parameter 'chardev' is missing");
        ok = false;
    }
    if (ok && p.mode && strcmp(p.mode, "control") != 0 && strcmp(p.mode, "readline") != 0) {
        error_setg(errp, "Parameter 'mode' does not accept value '%s'", p.mode);
        ok = false;
    }
    if (ok) {
        m.chardev_id = p.chardev;
        m.qmp = g_strcmp0(p.mode, "control") == 0;
        m.pretty = p.pretty;
        ok = monitor_add(&m, errp);
    }
    option_free_params(mon_params, &p);
    return ok;
}

/* A monitor on a character device of its own. */
static bool add_monitor(const char *dev, bool qmp, bool pretty, Error **errp)
{
    static unsigned counter;
    g_autofree char *id = g_strdup_printf("compat_monitor%u", counter++);
    MonitorOptions m = { .chardev_id = id, .qmp = qmp, .pretty = pretty };

    if (g_str_has_prefix(dev, "chardev:")) {
        m.chardev_id = dev + strlen("chardev:");
    } else if (!chardev_new_from_shorthand(id, dev, errp)) {
        return false;
    }
    return monitor_add(&m, errp);
}

bool option_qmp(const char *arg, Error **errp)
{
    return add_monitor(arg, true, false, errp);
}

bool option_qmp_pretty(const char *arg, Error **errp)
{
    return add_monitor(arg, true, true, errp);
}

bool option_echr(const char *arg, Error **errp)
{
    uint64_t key;

    if (parse_uint64(arg, 0, &key) != 0 || key > 255) {
        error_setg(errp, "Bad argument to echr: a number from 0 to 255 is expected");
        return false;
    }
    chardev_mux_set_escape((uint8_t)key);
    return true;
}

bool option_monitor(const char *arg, Error **errp)
{
    return strcmp(arg, "none") == 0 || add_monitor(arg, false, false, errp);
}
