/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Human monitor commands: the tables that the linker collected, running a
 * line, help, and human-monitor-command. Main thread with the machine lock. A
 * line is the user's text.
 */
#include "util/osdep.h"
#include "monitor/hmp-internal.h"
#include "monitor/monitor.h"
#include "qapi-commands.h"

extern const HmpCommand *const __start_nemu_hmp[] __attribute__((weak));
extern const HmpCommand *const __stop_nemu_hmp[] __attribute__((weak));
extern const HmpCommand *const __start_nemu_hmp_info[] __attribute__((weak));
extern const HmpCommand *const __stop_nemu_hmp_info[] __attribute__((weak));

/* ---- tables ---- */

static gint compare_commands(gconstpointer a, gconstpointer b)
{
    return strcmp((*(const HmpCommand *const *)a)->name, (*(const HmpCommand *const *)b)->name);
}

static GPtrArray *collect(const HmpCommand *const *start, const HmpCommand *const *stop)
{
    GPtrArray *all = g_ptr_array_new();

    for (; start && start < stop; start++) {
        for (const HmpCommand *c = *start; c->name; c++) {
            g_ptr_array_add(all, (void *)c);
        }
    }
    g_ptr_array_sort(all, compare_commands);
    return all;
}

const GPtrArray *hmp_all_commands(void)
{
    static GPtrArray *all;

    if (!all) {
        all = collect(__start_nemu_hmp, __stop_nemu_hmp);
    }
    return all;
}

const GPtrArray *hmp_all_infos(void)
{
    static GPtrArray *all;

    if (!all) {
        all = collect(__start_nemu_hmp_info, __stop_nemu_hmp_info);
    }
    return all;
}

static bool has_name(const HmpCommand *c, const char *name, size_t len)
{
    const char *p = c->name;

    for (;;) {
        size_t n = strcspn(p, "|");

        if (n == len && strncmp(p, name, n) == 0) {
            return true;
        }
        if (!p[n]) {
            return false;
        }
        p += n + 1;
    }
}

const HmpCommand *hmp_find(const GPtrArray *table, const char *name, size_t len)
{
    for (guint i = 0; i < table->len; i++) {
        const HmpCommand *c = g_ptr_array_index(table, i);

        if (has_name(c, name, len)) {
            return c;
        }
    }
    return NULL;
}

/* ---- output ---- */

void hmp_puts(Hmp *hmp, const char *text)
{
    g_string_append(hmp->out, text);
}

void hmp_printf(Hmp *hmp, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    g_string_append_vprintf(hmp->out, fmt, ap);
    va_end(ap);
}

static void report_to_monitor(const char *text, void *opaque)
{
    hmp_puts(opaque, text);
}

int hmp_cpu_index(const Hmp *hmp)
{
    return hmp->cpu_index;
}

void hmp_set_cpu_index(Hmp *hmp, int index)
{
    hmp->cpu_index = index;
}

const GQueue *hmp_history(const Hmp *hmp)
{
    return hmp->history;
}

/* ---- running ---- */

static void run(Hmp *hmp, const HmpCommand *cmd, const char *prefix, const char *typed, const char *rest)
{
    HmpArgs args = { 0 };
    Error *err = NULL;

    if (!hmp_parse_args(hmp, cmd, rest, &args)) {
        hmp_printf(hmp, "Try \"help %s%s\" for more information\n", prefix, typed);
    } else if (!cmd->run(hmp, &args, &err)) {
        hmp_printf(hmp, "Error: %s\n", error_message(err));
        if (error_hint(err)) {
            hmp_puts(hmp, error_hint(err));
        }
        error_free(err);
    }
    json_unref(args.values);
}

/* The length of the first word of *@p, after blanks. */
static size_t first_word(const char **p)
{
    size_t n = 0;

    while (g_ascii_isspace(**p)) {
        (*p)++;
    }
    while ((*p)[n] && !g_ascii_isspace((*p)[n]) && (*p)[n] != '/') {
        n++;
    }
    return n;
}

/* What needs no machine: with -preconfig, all that there is before it is made. */
static const char *const early_commands[] = {
    "block_resize", "block_stream", "closefd", "exit_preconfig", "getfd", "help|?", "info", "nbd_server_add",
    "nbd_server_remove", "nbd_server_start", "nbd_server_stop", "netdev_add", "netdev_del", "object_add", "object_del",
    "qom-get", "qom-list", "qom-set", "quit|q", NULL
};
static const char *const early_infos[] = {
    "chardev", "history", "hotpluggable-cpus", "iothreads", "memdev", "qom-tree", "status", "version", NULL
};

static bool is_available(const HmpCommand *cmd, bool info)
{
    return !monitor_is_preconfig() || g_strv_contains(info ? early_infos : early_commands, cmd->name);
}

void hmp_execute(Hmp *hmp, const char *line)
{
    const GPtrArray *table = hmp_all_commands();
    const char *prefix = "";
    const HmpCommand *cmd;
    size_t n = first_word(&line);
    g_autofree char *typed = NULL;

    if (!n) {
        return;
    }
    report_set_sink(report_to_monitor, hmp);
    if (n == 4 && strncmp(line, "info", n) == 0) {
        const char *sub = line + n;
        size_t len = first_word(&sub);

        if (len) {
            table = hmp_all_infos();
            prefix = "info ";
            line = sub;
            n = len;
        }
    }
    typed = g_strndup(line, n);
    cmd = hmp_find(table, line, n);
    if (cmd && !is_available(cmd, *prefix)) {
        hmp_printf(hmp, "Command '%s%s' not available until machine initialization has completed.\n", prefix, typed);
    } else if (cmd) {
        run(hmp, cmd, prefix, typed, line + n);
    } else {
        hmp_printf(hmp, "unknown command: '%s%s'\n", prefix, typed);
    }
    report_set_sink(NULL, NULL);
}

char *hmp_run(const char *line, int cpu_index)
{
    Hmp hmp = { .out = g_string_new(NULL), .cpu_index = cpu_index };
    GString *text = g_string_new(NULL);

    hmp_execute(&hmp, line);
    /* Lines end as on a terminal: clients of this interface know them so. */
    for (const char *p = hmp.out->str; *p; p++) {
        if (*p == '\n') {
            g_string_append_c(text, '\r');
        }
        g_string_append_c(text, *p);
    }
    g_string_free(hmp.out, TRUE);
    return g_string_free(text, FALSE);
}

char *qmp_human_monitor_command(const QmpHumanMonitorCommandArgs *args, Error **errp)
{
    if (args->has_cpu_index && (args->cpu_index < 0 || args->cpu_index > INT_MAX)) {
        error_setg(errp, "Parameter 'cpu-index' expects a CPU number");
        return NULL;
    }
    return hmp_run(args->command_line, args->has_cpu_index ? (int)args->cpu_index : 0);
}

/* ---- help, info without a subcommand ---- */

static void print_help(Hmp *hmp, const HmpCommand *c, const char *prefix)
{
    hmp_printf(hmp, "%s%s %s -- %s\n", prefix, c->name, c->params, c->help);
}

static void print_all(Hmp *hmp, const GPtrArray *table, const char *prefix)
{
    for (guint i = 0; i < table->len; i++) {
        if (is_available(g_ptr_array_index(table, i), *prefix)) {
            print_help(hmp, g_ptr_array_index(table, i), prefix);
        }
    }
}

static bool run_help(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    const char *name = hmp_string(args, "name"), *sub;
    bool info = name && (strcmp(name, "info") == 0 || g_str_has_prefix(name, "info "));
    const HmpCommand *c;

    if (!name) {
        print_all(hmp, hmp_all_commands(), "");
        return true;
    }
    if (info && !name[4]) {
        print_all(hmp, hmp_all_infos(), "info ");
        return true;
    }
    sub = info ? name + 5 : name;
    first_word(&sub);
    c = hmp_find(info ? hmp_all_infos() : hmp_all_commands(), sub, strlen(sub));
    if (c) {
        print_help(hmp, c, info ? "info " : "");
    } else {
        hmp_printf(hmp, "unknown command: '%s'\n", name);
    }
    return true;
}

static bool run_info(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    print_all(hmp, hmp_all_infos(), "info ");
    return true;
}

static bool info_history(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    unsigned n = 0;

    for (GList *l = hmp->history ? hmp->history->head : NULL; l; l = l->next) {
        hmp_printf(hmp, "%u: '%s'\n", n++, (const char *)l->data);
    }
    return true;
}

HMP_COMMANDS(help_commands) = {
    { "help|?", "[cmd]", "show the help", HMP_ARGS({ "name", HMP_REST, .optional = true }), run_help },
    { "info", "[subcommand]", "show various information about the system state", NULL, run_info },
    HMP_END
};

HMP_INFO(help_infos) = {
    { "history", "", "show the command line history", NULL, info_history },
    HMP_END
};
