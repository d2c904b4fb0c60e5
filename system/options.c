/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads the command line against the option table. Main thread, at start-up.
 */
#include "util/osdep.h"
#include "qapi-commands.h"
#include "system/options.h"
#include "util/cutils.h"

typedef struct GivenOption {
    const Option *option;
    const char *arg;
} GivenOption;

static GivenOption *given;
static size_t given_count;

static const Option *find_option(const char *name)
{
    for (const Option *o = option_table; o->name; o++) {
        if (o->name[0] && strcmp(o->name, name) == 0) {
            return o;
        }
    }
    return NULL;
}

bool options_parse(int argc, char **argv)
{
    g_free(given);
    given = g_new(GivenOption, argc);
    given_count = 0;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        const Option *o;

        if (word[0] != '-' || !word[1]) {
            error_report("%s: a disk image without an option is not supported; use -blockdev or "
                         "-drive", word);
            return false;
        }
        o = find_option(word + (word[1] == '-' ? 2 : 1));
        if (!o) {
            error_report("%s: invalid option", word);
            return false;
        }
        given[given_count] = (GivenOption){ .option = o };
        if (o->arg) {
            if (i + 1 >= argc) {
                error_report("%s: requires an argument", word);
                return false;
            }
            given[given_count].arg = argv[++i];
        }
        given_count++;
    }
    return true;
}

bool option_wants_help(const char *arg)
{
    g_auto(GStrv) words = arg[0] == '{' ? NULL : g_strsplit(arg, ",", -1);

    return words && (g_strv_contains((const char *const *)words, "help") ||
                     g_strv_contains((const char *const *)words, "?"));
}

static bool is_due(const GivenOption *g, OptionPhase phase)
{
    const Option *o = g->option;

    return o->phase == phase ||
           (phase == PHASE_CONFIG && o->has_help && option_wants_help(g->arg));
}

bool options_apply(OptionPhase phase)
{
    for (size_t i = 0; i < given_count; i++) {
        const Option *o = given[i].option;
        Error *err = NULL;
        bool ok;

        if (!is_due(&given[i], phase)) {
            continue;
        }
        if (o->arg) {
            report_push_location("-%s %s", o->name, given[i].arg);
        } else {
            report_push_location("-%s", o->name);
        }
        ok = o->apply(given[i].arg, &err);
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

/* ---- key=value parameters ---- */

static const OptionParam *find_param(const OptionParam *params, const char *name)
{
    for (const OptionParam *p = params; p->name; p++) {
        if (strcmp(p->name, name) == 0) {
            return p;
        }
    }
    return NULL;
}

static bool store_param(const OptionParam *p, const char *s, void *out, Error **errp)
{
    void *field = (char *)out + p->field;

    if (!s) {
        error_setg(errp, "Invalid parameter type for '%s', expected: string", p->name);
        return false;
    }
    switch (p->type) {
    case COMMAND_LINE_PARAMETER_TYPE_BOOLEAN:
        if (!parse_bool(p->name, s, field, errp)) {
            return false;
        }
        break;
    case COMMAND_LINE_PARAMETER_TYPE_NUMBER:
        if (parse_uint64(s, 0, field) != 0) {
            error_setg(errp, "Parameter '%s' expects a number", p->name);
            return false;
        }
        break;
    case COMMAND_LINE_PARAMETER_TYPE_SIZE:
        if (parse_size(s, 'B', field) != 0) {
            error_setg(errp, "Parameter '%s' expects a non-negative number below 2^64", p->name);
            error_append_hint(errp, "Optional suffix k, M, G, T, P or E means kilo-, mega-, "
                              "giga-, tera-, peta-\nand exabytes, respectively.\n");
            return false;
        }
        break;
    default:
        g_free(*(char **)field);
        *(char **)field = g_strdup(s);
        break;
    }
    if (p->has) {
        *(bool *)((char *)out + p->has - 1) = true;
    }
    return true;
}

bool option_parse_params(const char *text, const char *implied, const OptionParam *params,
                         void *out, Error **errp)
{
    g_autoptr(JsonValue) kv = keyval_parse(text, implied, NULL, errp);
    size_t n;

    if (!kv) {
        return false;
    }
    n = json_object_len(kv);
    for (size_t i = 0; i < n; i++) {
        const OptionParam *p;
        const char *key;
        JsonValue *value;

        json_object_at(kv, i, &key, &value);
        p = find_param(params, key);
        if (!p || p->no_field) {
            error_setg(errp, "Invalid parameter '%s'", key);
            goto undo;
        }
        if (!store_param(p, json_get_string(value), out, errp)) {
            goto undo;
        }
    }
    return true;

undo:
    option_free_params(params, out);
    return false;
}

void option_free_params(const OptionParam *params, void *out)
{
    for (const OptionParam *p = params; p->name; p++) {
        if (p->type == COMMAND_LINE_PARAMETER_TYPE_STRING && !p->no_field) {
            g_clear_pointer((char **)((char *)out + p->field), g_free);
        }
    }
}

/* ---- introspection ---- */

static CommandLineOptionInfo *describe_option(const Option *o)
{
    CommandLineOptionInfo *info = g_new0(CommandLineOptionInfo, 1);
    CommandLineParameterInfoList **end = &info->parameters;

    info->option = g_strdup(o->group);
    for (const OptionParam *p = o->params; p && p->name; p++) {
        *end = g_new0(CommandLineParameterInfoList, 1);
        (*end)->value = g_new0(CommandLineParameterInfo, 1);
        (*end)->value->name = g_strdup(p->name);
        (*end)->value->type = p->type;
        (*end)->value->help = g_strdup(p->help);
        end = &(*end)->next;
    }
    return info;
}

CommandLineOptionInfoList *
qmp_query_command_line_options(const QmpQueryCommandLineOptionsArgs *args, Error **errp)
{
    CommandLineOptionInfoList *list = NULL, **end = &list;

    for (const Option *o = option_table; o->name; o++) {
        if (!o->group || (args->option && strcmp(args->option, o->group) != 0)) {
            continue;
        }
        *end = g_new0(CommandLineOptionInfoList, 1);
        (*end)->value = describe_option(o);
        end = &(*end)->next;
    }
    if (!list && args->option) {
        error_setg(errp, "invalid option name: %s", args->option);
    }
    return list;
}
