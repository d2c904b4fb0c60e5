/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The -trace option (include/trace/options.h). Main thread; the text is the user's. */
#include "util/osdep.h"
#include "qapi/json.h"
#include "trace/control.h"
#include "trace/options.h"

static bool set_backend(const char *name, Error **errp)
{
    if (!strcmp(name, "log")) {
        trace_set_log(true);
        return trace_set_ftrace(false, errp);
    }
    if (!strcmp(name, "ftrace")) {
        trace_set_log(false);
        return trace_set_ftrace(true, errp);
    }
    error_setg(errp, "Parameter 'backend' expects 'log' or 'ftrace'");
    return false;
}

static bool apply(const char *key, const char *value, Error **errp)
{
    if (!strcmp(key, "enable")) {
        trace_enable(value);
        return true;
    }
    if (!strcmp(key, "events")) {
        return trace_enable_file(value, errp);
    }
    if (!strcmp(key, "file")) {
        return trace_set_log_file(value, errp);
    }
    if (!strcmp(key, "backend")) {
        return set_backend(value, errp);
    }
    error_setg(errp, "Invalid parameter '%s'", key);
    return false;
}

bool trace_parse_option(const char *text, bool *help, Error **errp)
{
    g_autoptr(JsonValue) options = keyval_parse_flat(text, "enable", true, help, errp);

    if (!options) {
        return false;
    }
    for (size_t i = 0; i < json_object_len(options); i++) {
        const char *key;
        JsonValue *v;

        json_object_at(options, i, &key, &v);
        if (!apply(key, json_get_string(v), errp)) {
            return false;
        }
    }
    return true;
}
