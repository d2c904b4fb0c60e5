/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads the command line against the option table. Main thread, at start-up.
 */
#include "util/osdep.h"
#include "qapi-commands.h"
#include "system/options.h"
#include "system/readconfig.h"
#include "system/startup.h"
#include "util/cutils.h"

typedef struct GivenOption {
    const Option *option;
    const char *arg;
} GivenOption;

static GArray *given;           /* of GivenOption, in order */

static const Option *find_option(const char *name)
{
    for (const Option *o = option_table; o->name; o++) {
        if (o->name[0] && strcmp(o->name, name) == 0) {
            return o;
        }
    }
    return NULL;
}

const Option *option_find_group(const char *group)
{
    for (const Option *o = option_table; o->name; o++) {
        if (o->group && strcmp(o->group, group) == 0) {
            return o;
        }
    }
    return NULL;
}

static void remember(const Option *o, char *arg)
{
    GivenOption g = { .option = o, .arg = arg };

    g_array_append_val(given, g);
}

/* The options of a file stand in the place of the one that names it. */
static bool remember_file(const Option *o, const char *path)
{
    Error *err = NULL;

    if (!readconfig_parse(path, remember, &err)) {
        report_push_location("-%s %s", o->name, path);
        error_report_err(err);
        report_pop_location();
        return false;
    }
    return true;
}

bool options_parse(int argc, char **argv)
{
    given = g_array_new(false, false, sizeof(GivenOption));
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
        if (o->arg && i + 1 >= argc) {
            error_report("%s: requires an argument", word);
            return false;
        }
        if (o->absent) {
            error_report("%s: not supported: %s", word, o->absent);
            return false;
        }
        if (o->is_file) {
            if (!remember_file(o, argv[++i])) {
                return false;
            }
        } else {
            remember(o, o->arg ? argv[++i] : NULL);
        }
    }
    return true;
}

bool option_wants_help(const char *arg)
{
    g_auto(GStrv) words = arg[0] == '{' ? NULL : g_strsplit(arg, ",", -1);

    return words && (g_strv_contains((const char *const *)words, "help") ||
                     g_strv_contains((const char *const *)words, "?") ||
                     g_strv_contains((const char *const *)words, "format=help") ||
                     g_strv_contains((const char *const *)words, "format=?"));
}

static bool is_only_help(const char *arg)
{
    return strcmp(arg, "help") == 0 || strcmp(arg, "?") == 0;
}

static bool is_due(const GivenOption *g, OptionPhase phase)
{
    const Option *o = g->option;

    return o->phase == phase ||
           (phase == PHASE_CONFIG && o->has_help && option_wants_help(g->arg));
}

bool options_apply(OptionPhase phase)
{
    for (guint i = 0; i < given->len; i++) {
        const GivenOption *g = &g_array_index(given, GivenOption, i);
        const Option *o = g->option;
        Error *err = NULL;
        bool ok;

        if (!is_due(g, phase)) {
            continue;
        }
        if (o->arg) {
            report_push_location("-%s %s", o->name, g->arg);
        } else {
            report_push_location("-%s", o->name);
        }
        if (o->params && !o->has_help && is_only_help(g->arg)) {
            option_print_params(o->group, o->params);
            startup.done = ok = true;
        } else {
            ok = o->apply(g->arg, &err);
        }
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
            error_setg(errp, p->long_name ? "Parameter '%s' expects integer"
                                          : "Parameter '%s' expects a number",
                       p->long_name ? p->long_name : p->name);
            return false;
        }
        break;
    case COMMAND_LINE_PARAMETER_TYPE_SIZE:
        if (parse_size(s, p->size_unit ? p->size_unit : 'B', field) != 0) {
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

static gint compare_params(gconstpointer a, gconstpointer b)
{
    return strcmp((*(const OptionParam *const *)a)->name, (*(const OptionParam *const *)b)->name);
}

void option_print_params(const char *group, const OptionParam *params)
{
    static const char *const types[] = {
        [COMMAND_LINE_PARAMETER_TYPE_STRING] = "str",
        [COMMAND_LINE_PARAMETER_TYPE_BOOLEAN] = "bool (on/off)",
        [COMMAND_LINE_PARAMETER_TYPE_NUMBER] = "num",
        [COMMAND_LINE_PARAMETER_TYPE_SIZE] = "size",
    };
    g_autoptr(GPtrArray) list = g_ptr_array_new();

    for (const OptionParam *p = params; p->name; p++) {
        if (!p->unlisted) {
            g_ptr_array_add(list, (void *)p);
        }
    }
    g_ptr_array_sort(list, compare_params);
    printf("%s options:\n", group);
    for (guint i = 0; i < list->len; i++) {
        const OptionParam *p = list->pdata[i];

        printf("  %s=<%s>\n", p->name, types[p->type]);
    }
}

static CommandLineOptionInfo *describe_option(const Option *o)
{
    CommandLineOptionInfo *info = g_new0(CommandLineOptionInfo, 1);
    CommandLineParameterInfoList **end = &info->parameters;

    info->option = g_strdup(o->group);
    for (const OptionParam *p = o->params; p && p->name; p++) {
        if (p->unlisted) {
            continue;
        }
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
