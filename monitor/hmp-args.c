/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Arguments of human monitor commands: from the rest of a line to values, as
 * the command's table says. Main thread. The text is the user's.
 */
#include "util/osdep.h"
#include "monitor/hmp-internal.h"
#include "util/cutils.h"

#define COUNT_MAX (1 << 20)     /* values in one dump */

static void skip_blanks(const char **p)
{
    while (g_ascii_isspace(**p)) {
        (*p)++;
    }
}

char *hmp_next_word(const char **p, Error **errp)
{
    GString *word;

    skip_blanks(p);
    if (!**p) {
        return NULL;
    }
    word = g_string_new(NULL);
    if (**p != '"') {
        while (**p && !g_ascii_isspace(**p)) {
            g_string_append_c(word, *(*p)++);
        }
        return g_string_free(word, FALSE);
    }
    for ((*p)++; **p && **p != '"'; (*p)++) {
        if (**p == '\\') {
            const char *escape = strchr("nrt", (*p)[1]) && (*p)[1] ? strchr("n\nr\rt\t", (*p)[1]) + 1
                                                                    : *p + 1;
            (*p)++;
            if (!**p || (escape == *p && !strchr("\\'\"", **p))) {
                error_setg(errp, "unsupported escape code: '\\%c'", **p);
                g_string_free(word, TRUE);
                return NULL;
            }
            g_string_append_c(word, *escape);
        } else {
            g_string_append_c(word, **p);
        }
    }
    if (**p != '"') {
        error_setg(errp, "unterminated string");
        g_string_free(word, TRUE);
        return NULL;
    }
    (*p)++;
    return g_string_free(word, FALSE);
}

/* What "/" leaves open is as it was last. */
static HmpFormat hmp_last_format = { .count = 1, .format = 'x', .size = 4 };

/* "/", a count, and letters in any order. */
static bool parse_format(const char **p, HmpFormat *format, Error **errp)
{
    *format = (HmpFormat){ .count = 1, .format = hmp_last_format.format, .size = hmp_last_format.size };
    if (**p != '/') {
        return true;
    }
    (*p)++;
    if (g_ascii_isdigit(**p)) {
        format->count = 0;
        while (g_ascii_isdigit(**p)) {
            format->count = MIN(format->count * 10 + (**p - '0'), COUNT_MAX);
            (*p)++;
        }
    }
    for (; **p && !g_ascii_isspace(**p); (*p)++) {
        const char *size = strchr("b\001h\002w\004g\010", **p);

        if (strchr("duxoci", **p)) {
            format->format = **p;
        } else if (strchr("bhwg", **p)) {
            format->size = size[1];
        } else {
            error_setg(errp, "invalid char in format: '%c'", **p);
            return false;
        }
    }
    hmp_last_format = *format;
    return true;
}

static bool parse_switch(const HmpArg *arg, const char *word, JsonValue *values, Error **errp)
{
    bool on = strcmp(word, "on") == 0;

    if (!on && strcmp(word, "off") != 0) {
        error_setg(errp, "Expected 'on' or 'off'");
        return false;
    }
    json_object_set_bool(values, arg->name, on);
    return true;
}

static bool parse_size_arg(const HmpArg *arg, const char *word, JsonValue *values, Error **errp)
{
    uint64_t bytes;

    if (parse_size(word, 'M', &bytes) != 0 || bytes > INT64_MAX) {
        error_setg(errp, "invalid size");
        return false;
    }
    json_object_set_int(values, arg->name, (int64_t)bytes);
    return true;
}

static bool parse_word(const HmpArg *arg, const char *word, JsonValue *values, Error **errp)
{
    switch (arg->kind) {
    case HMP_SWITCH:
        return parse_switch(arg, word, values, errp);
    case HMP_SIZE:
        return parse_size_arg(arg, word, values, errp);
    default:
        json_object_set_string(values, arg->name, word);
        return true;
    }
}

static bool parse_number(Hmp *hmp, const HmpArg *arg, const char **p, JsonValue *values, Error **errp)
{
    int64_t value;

    if (!**p && arg->optional) {
        return true;
    }
    if (!hmp_parse_expression(p, hmp->cpu_index, &value, errp)) {
        return false;
    }
    if (arg->kind == HMP_MIB) {
        if (value < 0 || value > INT64_MAX >> 20) {
            error_setg(errp, "enter a positive value");
            return false;
        }
        value <<= 20;
    }
    json_object_set_int(values, arg->name, value);
    return true;
}

/* "-f", where it stands; a word that only begins with a dash is left alone. */
static void parse_flag(const HmpArg *arg, const char **p, JsonValue *values)
{
    if ((*p)[0] == '-' && (*p)[1] == arg->flag && (!(*p)[2] || g_ascii_isspace((*p)[2]))) {
        json_object_set_bool(values, arg->name, true);
        *p += 2;
    }
}

static const char *expected(HmpArgKind kind)
{
    return kind == HMP_FILE ? "filename" : "string";
}

/* *@missing: the word that was expected. */
static bool parse_arg(Hmp *hmp, const HmpArg *arg, const char **p, HmpArgs *args, Error **errp)
{
    Error *err = NULL;
    char *word;
    bool ok;

    skip_blanks(p);
    switch (arg->kind) {
    case HMP_FLAG:
        parse_flag(arg, p, args->values);
        return true;
    case HMP_FORMAT:
        return parse_format(p, &args->format, errp);
    case HMP_NUMBER:
    case HMP_MIB:
        return parse_number(hmp, arg, p, args->values, errp);
    case HMP_REST:
        if (**p) {
            json_object_set_string(args->values, arg->name, *p);
            *p += strlen(*p);
        } else if (!arg->optional) {
            error_setg(errp, "%s expected", expected(arg->kind));
            return false;
        }
        return true;
    default:
        break;
    }
    word = hmp_next_word(p, &err);
    if (!word) {
        if (!err && arg->kind == HMP_SWITCH) {
            parse_switch(arg, "", args->values, &err);
        } else if (!err && !arg->optional) {
            error_setg(&err, "%s expected", expected(arg->kind));
        }
        error_propagate(errp, err);
        return err == NULL;
    }
    ok = parse_word(arg, word, args->values, errp);
    g_free(word);
    return ok;
}

bool hmp_parse_args(Hmp *hmp, const HmpCommand *cmd, const char *text, HmpArgs *args)
{
    Error *err = NULL;

    args->values = json_object();
    args->format = hmp_last_format;
    for (const HmpArg *arg = cmd->args; arg && arg->name && !err; arg++) {
        parse_arg(hmp, arg, &text, args, &err);
        if (err && g_str_has_suffix(error_message(err), " expected") && arg->kind != HMP_NUMBER) {
            error_prepend(&err, "%s: ", cmd->name);
        }
    }
    skip_blanks(&text);
    if (!err && *text) {
        error_setg(&err, "%s: extraneous characters at the end of line", cmd->name);
    }
    if (err) {
        hmp_printf(hmp, "%s\n", error_message(err));
        error_free(err);
        return false;
    }
    return true;
}

/* ---- for handlers ---- */

bool hmp_has(const HmpArgs *args, const char *name)
{
    return json_object_has(args->values, name);
}

const char *hmp_string(const HmpArgs *args, const char *name)
{
    return json_object_get_string(args->values, name);
}

int64_t hmp_number(const HmpArgs *args, const char *name, int64_t absent)
{
    JsonValue *v = json_object_get(args->values, name);
    int64_t value;

    return v && json_get_int(v, &value) ? value : absent;
}

bool hmp_bool(const HmpArgs *args, const char *name)
{
    JsonValue *v = json_object_get(args->values, name);
    bool value;

    return v && json_get_bool(v, &value) && value;
}

HmpFormat hmp_format(const HmpArgs *args)
{
    return args->format;
}
