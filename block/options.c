/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taking driver options out of JSON objects, see block/options.h. Main thread.
 */
#include "util/osdep.h"
#include "block/options.h"
#include "util/cutils.h"

bool block_option_take_string(JsonValue *options, const char *name, char **value, Error **errp)
{
    JsonValue *v = json_object_get(options, name);

    if (!v) {
        return true;
    }
    if (!json_get_string(v)) {
        error_setg(errp, "Invalid parameter type for '%s', expected: string", name);
        return false;
    }
    g_free(*value);
    *value = g_strdup(json_get_string(v));
    json_object_remove(options, name);
    return true;
}

bool block_option_take_bool(JsonValue *options, const char *name, bool *value, Error **errp)
{
    JsonValue *v = json_object_get(options, name);

    if (!v) {
        return true;
    }
    if (json_get_string(v)) {
        const char *text = json_get_string(v);

        if (strcmp(text, "on") && strcmp(text, "off")) {
            error_setg(errp, "Parameter '%s' expects 'on' or 'off'", name);
            return false;
        }
        *value = text[1] == 'n';
    } else if (!json_get_bool(v, value)) {
        error_setg(errp, "Invalid parameter type for '%s', expected: boolean", name);
        return false;
    }
    json_object_remove(options, name);
    return true;
}

bool block_option_take_size(JsonValue *options, const char *name, uint64_t *value, bool *given,
                            Error **errp)
{
    JsonValue *v = json_object_get(options, name);

    if (!v) {
        return true;
    }
    if (json_get_string(v)) {
        if (parse_size(json_get_string(v), 'B', value) < 0) {
            error_setg(errp, "Parameter '%s' expects a non-negative number below 2^64", name);
            error_append_hint(errp, "Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, "
                              "tera-, peta-\nand exabytes, respectively.\n");
            return false;
        }
    } else if (!json_get_uint(v, value)) {
        error_setg(errp, "Parameter '%s' expects a non-negative number below 2^64", name);
        return false;
    }
    if (given) {
        *given = true;
    }
    json_object_remove(options, name);
    return true;
}

bool block_option_take_enum(JsonValue *options, const char *name, const QapiEnum *e, int *value,
                            Error **errp)
{
    g_autofree char *text = NULL;
    int v;

    if (!block_option_take_string(options, name, &text, errp)) {
        return false;
    }
    if (!text) {
        return true;
    }
    v = qapi_enum_parse(e, text, name, errp);
    if (v < 0) {
        return false;
    }
    *value = v;
    return true;
}

/* Move the member @key = "a.b" to member "b" of object "a". */
static bool nest_member(JsonValue *options, const char *key, Error **errp)
{
    const char *dot = strchr(key, '.');
    g_autofree char *head = g_strndup(key, dot - key);
    JsonValue *sub = json_object_get(options, head);
    JsonValue *value = json_ref(json_object_get(options, key));

    if (sub && json_kind(sub) != JSON_OBJECT) {
        error_setg(errp, "Cannot mix '%s' and '%s'", head, key);
        json_unref(value);
        return false;
    }
    if (!sub) {
        sub = json_object();
        json_object_set_take(options, head, sub);
    }
    json_object_set_take(sub, dot + 1, value);
    json_object_remove(options, key);
    return true;
}

bool block_options_nest(JsonValue *options, Error **errp)
{
    size_t i = 0;

    while (i < json_object_len(options)) {
        const char *key;
        JsonValue *value;

        json_object_at(options, i, &key, &value);
        if (strchr(key, '.') && *key != '.') {
            g_autofree char *copy = g_strdup(key);

            if (!nest_member(options, copy, errp)) {
                return false;
            }
            i = 0;      /* the order changed */
        } else {
            i++;
        }
    }
    for (i = 0; i < json_object_len(options); i++) {
        const char *key;
        JsonValue *value;

        json_object_at(options, i, &key, &value);
        if (json_kind(value) == JSON_OBJECT && !block_options_nest(value, errp)) {
            return false;
        }
    }
    return true;
}
