/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where blkdebug's rules come from: members of its options, and a file with
 * sections [inject-error] and [set-state] of 'key = "value"' lines. Main thread.
 */
#include "util/osdep.h"
#include "block/filters/blkdebug.h"
#include "block/options.h"
#include "util/cutils.h"

#define CONFIG_MAX (1 * MIB)

static const char *const section_names[] = { "inject-error", "set-state" };
/* By action: the keys of a section. */
static const char *const section_keys[][8] = {
    { "event", "state", "iotype", "errno", "sector", "once", "immediately", NULL },
    { "event", "state", "new_state", NULL },
};

static int find_section(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(section_names); i++) {
        if (!strcmp(name, section_names[i])) {
            return i;
        }
    }
    return -1;
}

void blkdebug_add_rule(BlkdebugState *s, BlkdebugRule *r)
{
    BlkdebugRule **p;

    for (p = &s->rules; *p; p = &(*p)->next) {
    }
    *p = r;
}

void blkdebug_remove_rule(BlkdebugState *s, BlkdebugRule *r)
{
    BlkdebugRule **p;

    for (p = &s->rules; *p != r; p = &(*p)->next) {
    }
    *p = r->next;
    g_free(r->tag);
    g_free(r);
}

static bool take_number(JsonValue *o, const char *name, int64_t *value, Error **errp)
{
    JsonValue *v = json_object_get(o, name);
    const char *text = json_get_string(v);

    if (v && (text ? parse_int64(text, 0, value) < 0 : !json_get_int(v, value))) {
        error_setg(errp, "Parameter '%s' expects a number", name);
        return false;
    }
    json_object_remove(o, name);
    return true;
}

static bool take_name(JsonValue *o, const char *name, const QapiEnum *e, int *value, Error **errp)
{
    const char *text = json_object_get_string(o, name);

    if (text) {
        *value = qapi_enum_parse(e, text, name, NULL);
        if (*value < 0) {
            error_setg(errp, "invalid parameter value: %s", text);
            return false;
        }
        json_object_remove(o, name);
    }
    return true;
}

static bool take_rule(JsonValue *o, BlkdebugRule *r, Error **errp)
{
    int event = -1, iotype = -1;

    r->error = EIO;
    r->sector = -1;
    if (!json_object_has(o, "event")) {
        error_setg(errp, "Missing event name for rule");
        return false;
    }
    if (!take_name(o, "event", &qapi_enum_BlkdebugEvent, &event, errp) ||
        !take_name(o, "iotype", &qapi_enum_BlkdebugIOType, &iotype, errp) ||
        !take_number(o, "state", &r->state, errp) || !take_number(o, "errno", &r->error, errp) ||
        !take_number(o, "sector", &r->sector, errp) ||
        !take_number(o, "new_state", &r->new_state, errp) ||
        !block_option_take_bool(o, "once", &r->once, errp) ||
        !block_option_take_bool(o, "immediately", &r->immediately, errp)) {
        return false;
    }
    r->event = event;
    r->iotypes = iotype >= 0 ? BIT(iotype) : ~BIT(BLKDEBUG_IO_TYPE_BLOCK_STATUS);
    return true;
}

/* @from_file only words it differently. */
static bool add_section(BlkdebugState *s, int section, JsonValue *o, bool from_file, Error **errp)
{
    BlkdebugRule *r;
    const char *key;
    JsonValue *v;

    for (size_t i = 0; i < json_object_len(o); i++) {
        json_object_at(o, i, &key, &v);
        if (!g_strv_contains(section_keys[section], key)) {
            error_setg(errp, from_file ? "Invalid parameter '%s'" :
                       "[%2$s] section doesn't support the option '%1$s'", key, section_names[section]);
            return false;
        }
    }
    r = g_new0(BlkdebugRule, 1);
    r->action = section == 0 ? BLKDEBUG_INJECT : BLKDEBUG_SET_STATE;
    if (!take_rule(o, r, errp)) {
        g_free(r);
        return false;
    }
    blkdebug_add_rule(s, r);
    return true;
}

JsonValue *blkdebug_take_list(JsonValue *options, const char *name)
{
    JsonValue *list = json_object_get(options, name), *array;

    if (!list || json_kind(list) == JSON_ARRAY) {
        array = list ? json_ref(list) : NULL;
    } else {
        array = json_array();
        for (unsigned i = 0; ; i++) {
            char key[16];
            JsonValue *v;

            snprintf(key, sizeof(key), "%u", i);
            v = json_object_get(list, key);
            if (!v) {
                break;
            }
            json_array_add_take(array, json_ref(v));
        }
    }
    json_object_remove(options, name);
    return array;
}

/* ---- the file ---- */

typedef struct Reader {
    BlkdebugState *s;
    int section;                /* -1: none yet */
    JsonValue *values;
} Reader;

static bool finish_section(Reader *r, Error **errp)
{
    bool ok = r->section < 0 || add_section(r->s, r->section, r->values, true, errp);

    json_unref(r->values);
    r->values = json_object();
    return ok;
}

static bool read_line(Reader *r, char *line, Error **errp)
{
    g_autofree char *key = NULL, *value = NULL;
    size_t len = strcspn(line, "] \"");

    if (*line == '[') {
        if (!finish_section(r, errp)) {
            return false;
        }
        key = g_strndup(line + 1, len ? len - 1 : 0);
        r->section = find_section(key);
        if (r->section < 0) {
            error_setg(errp, "There is no option group '%s'", key);
        }
        return r->section >= 0;
    }
    if (r->section < 0) {
        error_setg(errp, "no group defined");
        return false;
    }
    if (sscanf(line, "%m[^= ] = \"%m[^\"]\"", &key, &value) != 2) {
        error_setg(errp, "parse error: '%s' is not of the form key = \"value\"", line);
        return false;
    }
    json_object_set_take(r->values, key, json_keyval_string(value));
    return true;
}

static bool read_config(BlkdebugState *s, const char *path, Error **errp)
{
    Reader r = { .s = s, .section = -1, .values = json_object() };
    g_autofree char *content = g_malloc(CONFIG_MAX + 1);
    g_auto(GStrv) lines = NULL;
    FILE *f = fopen(path, "re");
    bool ok = f != NULL;
    size_t len;

    if (!f) {
        error_setg_errno(errp, errno, "Could not read blkdebug config file");
        goto out;
    }
    len = fread(content, 1, CONFIG_MAX, f);
    fclose(f);
    content[len] = '\0';
    lines = g_strsplit(content, "\n", -1);
    for (char **l = lines; *l && ok; l++) {
        char *line = g_strstrip(*l);

        ok = !*line || *line == '#' || read_line(&r, line, errp);
    }
    ok = ok && finish_section(&r, errp);
out:
    json_unref(r.values);
    return ok;
}

bool blkdebug_take_rules(BlkdebugState *s, JsonValue *options, Error **errp)
{
    if (!block_option_take_string(options, "config", &s->config, errp) ||
        (s->config && !read_config(s, s->config, errp))) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_SIZE(section_names); i++) {
        g_autoptr(JsonValue) list = blkdebug_take_list(options, section_names[i]);

        for (size_t n = 0; list && n < json_array_len(list); n++) {
            g_autoptr(JsonValue) o = json_copy(json_array_at(list, n));

            if (!add_section(s, i, o, false, errp)) {
                return false;
            }
        }
    }
    return true;
}
