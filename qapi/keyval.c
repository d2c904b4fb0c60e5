/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * key=value text to JSON values: "a=1,b.c=on,l.0=x" becomes an object of
 * strings that are marked as such, so that decoding converts them by the
 * schema's types. Keys are paths: names and list positions with dots between.
 *
 * The flat form, for the older options, gives dots no meaning and has the
 * abbreviations "flag" for flag=on and "noflag" for flag=off.
 *
 * Thread: any. Trust: the text is the user's; depth and key length are limited.
 */
#include "util/osdep.h"
#include "qapi/json-internal.h"

#define MAX_FRAGMENT 127
#define MAX_FRAGMENTS 64

/* The text up to a single comma, with ",," as one comma; *@p moves behind the comma. */
static char *take_value(const char **p)
{
    g_autoptr(GString) out = g_string_new(NULL);
    const char *s = *p;

    while (*s != '\0') {
        if (*s == ',' && *++s != ',') {
            break;
        }
        g_string_append_c(out, *s++);
    }
    *p = s;
    return g_strdup(out->str);
}

static bool is_index(const char *fragment)
{
    return *fragment != '\0' && strspn(fragment, "0123456789") == strlen(fragment);
}

static bool is_name(const char *fragment)
{
    if (!g_ascii_isalpha(fragment[0])) {
        return false;
    }
    while (g_ascii_isalnum(*fragment) || *fragment == '-' || *fragment == '_') {
        fragment++;
    }
    return *fragment == '\0';
}

/* The fragments of @key, or NULL. */
static char **split_key(const char *key, Error **errp)
{
    g_auto(GStrv) parts = NULL;

    /* "__vendor.domain_name" is one name although it has dots. */
    if (g_str_has_prefix(key, "__")) {
        parts = g_new0(char *, 2);
        parts[0] = g_strdup(key);
        return g_steal_pointer(&parts);
    }
    parts = g_strsplit(key, ".", MAX_FRAGMENTS + 1);
    for (int i = 0; parts[i] != NULL; i++) {
        if (strlen(parts[i]) > MAX_FRAGMENT || i >= MAX_FRAGMENTS) {
            error_setg(errp, "Parameter%s '%s' is too long", parts[1] != NULL ? " fragment" : "",
                       parts[i]);
            return NULL;
        }
        if (!is_name(parts[i]) && (i == 0 || !is_index(parts[i]))) {
            error_setg(errp, "Invalid parameter '%s'", key);
            return NULL;
        }
    }
    if (parts[0] == NULL) {
        error_setg(errp, "Invalid parameter ''");
        return NULL;
    }
    return g_steal_pointer(&parts);
}

static void inconsistent(char **parts, int count, Error **errp)
{
    g_autoptr(GString) path = g_string_new(NULL);

    for (int i = 0; i < count; i++) {
        g_string_append_printf(path, "%s.", parts[i]);
    }
    error_setg(errp, "Parameters '%s*' used inconsistently", path->str);
}

static bool put_path(JsonValue *root, const char *key, const char *value, Error **errp)
{
    g_auto(GStrv) parts = split_key(key, errp);
    JsonValue *o = root, *child;
    int i;

    if (parts == NULL) {
        return false;
    }
    for (i = 0; parts[i + 1] != NULL; i++) {
        child = json_object_get(o, parts[i]);
        if (child == NULL) {
            child = json_object();
            child->keyval = true;
            json_object_set_take(o, parts[i], child);
        } else if (child->kind != JSON_OBJECT) {
            inconsistent(parts, i + 1, errp);
            return false;
        }
        o = child;
    }
    child = json_object_get(o, parts[i]);
    if (child != NULL && child->kind == JSON_OBJECT) {
        inconsistent(parts, i + 1, errp);
        return false;
    }
    json_object_set_take(o, parts[i], json_keyval_string(value));
    return true;
}

/* ---- objects whose keys are numbers become arrays ---- */

static JsonValue *to_array(JsonValue *o, const char *path, Error **errp)
{
    size_t n = json_object_len(o);
    g_autofree JsonValue **items = g_new0(JsonValue *, n);
    JsonValue *a;

    for (size_t i = 0; i < n; i++) {
        const char *key;
        JsonValue *v;
        uint64_t at;

        json_object_at(o, i, &key, &v);
        at = strlen(key) > 9 ? UINT64_MAX : g_ascii_strtoull(key, NULL, 10);
        if (at < n) {
            items[at] = v;
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (items[i] == NULL) {
            error_setg(errp, "Parameter '%s%zu' missing", path, i);
            return NULL;
        }
    }
    a = json_array();
    a->keyval = true;
    for (size_t i = 0; i < n; i++) {
        json_array_add_take(a, json_ref(items[i]));
    }
    return a;
}

/* @path ends with a dot, or is empty for the root. */
static bool fix_arrays(JsonValue *o, const char *path, Error **errp)
{
    for (size_t i = 0; i < json_object_len(o); i++) {
        g_autofree char *sub = NULL;
        const char *key;
        JsonValue *v, *a;
        size_t indexes = 0;

        json_object_at(o, i, &key, &v);
        if (v->kind != JSON_OBJECT) {
            continue;
        }
        sub = g_strdup_printf("%s%s.", path, key);
        if (!fix_arrays(v, sub, errp)) {
            return false;
        }
        for (size_t k = 0; k < v->object.len; k++) {
            indexes += is_index(v->object.members[k].key);
        }
        if (indexes == 0) {
            continue;
        }
        if (indexes != v->object.len) {
            error_setg(errp, "Parameters '%s*' used inconsistently", sub);
            return false;
        }
        a = to_array(v, sub, errp);
        if (a == NULL) {
            return false;
        }
        json_object_set_take(o, key, a);
    }
    return true;
}

/* ---- the text ---- */

static bool is_help(const char *item, size_t len)
{
    return (len == 4 && memcmp(item, "help", 4) == 0) || (len == 1 && *item == '?');
}

static void put_flag(JsonValue *root, const char *name, bool warn)
{
    bool on = !g_str_has_prefix(name, "no") || name[2] == '\0';

    if (warn) {
        warn_report("short-form boolean option '%s' deprecated\nPlease use %s=%s instead",
                    name, on ? name : name + 2, on ? "on" : "off");
    }
    json_object_set_take(root, on ? name : name + 2, json_keyval_string(on ? "on" : "off"));
}

typedef enum Form { FORM_PATHS, FORM_FLAT, FORM_FLAT_QUIET, FORM_REPEATED } Form;

static void put_again(JsonValue *root, const char *key, const char *value)
{
    JsonValue *old = json_object_get(root, key), *list;

    if (old == NULL) {
        json_object_set_take(root, key, json_keyval_string(value));
        return;
    }
    if (old->kind != JSON_ARRAY) {
        list = json_array();
        list->keyval = true;
        json_array_add_take(list, json_ref(old));
        json_object_set_take(root, key, list);
        old = list;
    }
    json_array_add_take(old, json_keyval_string(value));
}

/* One item of the list at *@p. */
static bool parse_item(JsonValue *root, const char **p, const char *implied, Form form, bool *help,
                       Error **errp)
{
    size_t len = strcspn(*p, "=,");
    g_autofree char *key = NULL;
    g_autofree char *value = NULL;

    if ((*p)[len] == '=') {
        key = g_strndup(*p, len);
        *p += len + 1;
        value = take_value(p);
        if (form == FORM_REPEATED) {
            put_again(root, key, value);
            return true;
        }
        if (form != FORM_PATHS) {
            json_object_set_take(root, key, json_keyval_string(value));
            return true;
        }
        return put_path(root, key, value, errp);
    }
    if (form != FORM_REPEATED && is_help(*p, len)) {
        if (help == NULL) {
            error_setg(errp, "Help is not available for this option");
            return false;
        }
        *help = true;
        *p += len + ((*p)[len] == ',');
        return true;
    }
    if (implied != NULL) {
        value = take_value(p);
        if (*value == '\0') {
            error_setg(errp, "Invalid parameter ''");
            return false;
        }
        json_object_set_take(root, implied, json_keyval_string(value));
        return true;
    }
    if (form != FORM_PATHS && len > 0) {
        value = take_value(p);
        put_flag(root, value, form != FORM_FLAT_QUIET);
        return true;
    }
    key = g_strndup(*p, len);
    if (len == 0) {
        error_setg(errp, "Invalid parameter ''");
    } else {
        error_setg(errp, "Expected '=' after parameter '%s'", key);
    }
    return false;
}

static JsonValue *parse_list(const char *text, const char *implied_key, Form form, bool *help,
                             Error **errp)
{
    g_autoptr(JsonValue) root = json_object();
    const char *implied = implied_key;

    root->keyval = true;
    if (help != NULL) {
        *help = false;
    }
    while (*text != '\0') {
        if (!parse_item(root, &text, implied, form, help, errp)) {
            return NULL;
        }
        implied = NULL;
    }
    if (form == FORM_PATHS && !fix_arrays(root, "", errp)) {
        return NULL;
    }
    return g_steal_pointer(&root);
}

static JsonValue *parse_object(const char *text, Error **errp)
{
    g_autoptr(JsonValue) v = json_parse(text, strlen(text), errp);

    if (v != NULL && v->kind != JSON_OBJECT) {
        error_setg(errp, "Expecting a JSON object");
        return NULL;
    }
    return g_steal_pointer(&v);
}

JsonValue *keyval_parse(const char *text, const char *implied_key, bool *help, Error **errp)
{
    if (*text != '{') {
        return parse_list(text, implied_key, FORM_PATHS, help, errp);
    }
    if (help != NULL) {
        *help = false;
    }
    return parse_object(text, errp);
}

JsonValue *keyval_parse_repeated(const char *text, const char *implied_key, Error **errp)
{
    return *text == '{' ? parse_object(text, errp) : parse_list(text, implied_key, FORM_REPEATED, NULL, errp);
}

JsonValue *keyval_parse_flat(const char *text, const char *implied_key, bool warn_flags, bool *help, Error **errp)
{
    return parse_list(text, implied_key, warn_flags ? FORM_FLAT : FORM_FLAT_QUIET, help, errp);
}
