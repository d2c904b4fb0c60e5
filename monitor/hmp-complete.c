/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Completion of human monitor lines: commands, subcommands of info and help,
 * and arguments by the commands' tables. Main thread.
 */
#include "util/osdep.h"
#include <sys/stat.h>
#include "monitor/hmp-internal.h"

const char *hmp_completion_text(const HmpCompletion *c)
{
    return c->text;
}

void hmp_completion_add(HmpCompletion *c, const char *candidate)
{
    if (candidate && g_str_has_prefix(candidate, c->text)) {
        g_ptr_array_add(c->found, g_strdup(candidate));
    }
}

const char *hmp_last_word(const char *line)
{
    const char *start = line;

    for (const char *p = line; *p; p++) {
        if (g_ascii_isspace(*p)) {
            start = p + 1;
        }
    }
    return start;
}

static void add_commands(HmpCompletion *c, const GPtrArray *table)
{
    for (guint i = 0; i < table->len; i++) {
        const HmpCommand *cmd = g_ptr_array_index(table, i);
        g_auto(GStrv) names = g_strsplit(cmd->name, "|", -1);

        for (char **name = names; *name; name++) {
            hmp_completion_add(c, *name);
        }
    }
}

static void add_files(HmpCompletion *c)
{
    const char *slash = strrchr(c->text, '/');
    g_autofree char *folder = slash ? g_strndup(c->text, (gsize)(slash - c->text + 1)) : g_strdup("");
    GDir *dir = g_dir_open(*folder ? folder : ".", 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *path = g_strconcat(folder, name, NULL);
        g_autofree char *shown = g_strconcat(path, g_file_test(path, G_FILE_TEST_IS_DIR) ? "/" : "", NULL);

        hmp_completion_add(c, shown);
    }
    if (dir) {
        g_dir_close(dir);
    }
}

/* The argument that the word with number @n (from 0) after the command is. */
static const HmpArg *find_arg(const HmpCommand *cmd, unsigned n)
{
    for (const HmpArg *arg = cmd->args; arg && arg->name; arg++) {
        if (arg->kind == HMP_FLAG || arg->kind == HMP_FORMAT) {
            continue;
        }
        if (n == 0 || arg->kind == HMP_REST) {
            return arg;
        }
        n--;
    }
    return NULL;
}

static void add_argument(HmpCompletion *c, const HmpCommand *cmd, unsigned n)
{
    const HmpArg *arg = find_arg(cmd, n);

    if (arg && arg->complete) {
        arg->complete(c);
    } else if (arg && arg->kind == HMP_FILE) {
        add_files(c);
    } else if (arg && arg->kind == HMP_SWITCH) {
        hmp_completion_add(c, "on");
        hmp_completion_add(c, "off");
    }
}

static gint compare_strings(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

GPtrArray *hmp_complete(const char *line)
{
    HmpCompletion c = { .text = hmp_last_word(line), .found = g_ptr_array_new_with_free_func(g_free) };
    g_autofree char *before = g_strndup(line, (gsize)(c.text - line));
    g_auto(GStrv) split = g_strsplit_set(before, " \t", -1);
    g_autoptr(GPtrArray) words = g_ptr_array_new();
    const GPtrArray *table = hmp_all_commands();
    const HmpCommand *cmd;

    for (char **w = split; *w; w++) {
        /* Flags do not count as arguments. */
        if (**w && (**w != '-' || words->len == 0)) {
            g_ptr_array_add(words, *w);
        }
    }
    while (words->len && (strcmp(words->pdata[0], "info") == 0 || strcmp(words->pdata[0], "help") == 0)) {
        table = strcmp(words->pdata[0], "info") == 0 ? hmp_all_infos() : hmp_all_commands();
        g_ptr_array_remove_index(words, 0);
    }
    if (!words->len) {
        add_commands(&c, table);
    } else {
        cmd = hmp_find(table, words->pdata[0], strlen(words->pdata[0]));
        if (cmd) {
            add_argument(&c, cmd, words->len - 1);
        }
    }
    g_ptr_array_sort(c.found, compare_strings);
    return c.found;
}
