/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The disk exerciser: finding and running commands, numbers, help. Main thread. */
#include "util/osdep.h"
#include <getopt.h>
#include "block/block-int.h"
#include "block/iocmd.h"
#include "util/cutils.h"

#define MAX_TABLES 4

static int help_run(BlockBackend *blk, int argc, char **argv);

static const IoCommand general_table[] = {
    { "help", "?", "[command]", "help for one or all commands", 0, 1, false, false, help_run },
    { NULL },
};

static const IoCommand *tables[MAX_TABLES] = { general_table, iocmd_rw_table, iocmd_image_table };

void iocmd_add_table(const IoCommand *table)
{
    size_t i = 0;

    while (i < MAX_TABLES && tables[i] && tables[i] != table) {
        i++;
    }
    assert(i < MAX_TABLES);
    tables[i] = table;
}

const IoCommand *iocmd_find(const char *name)
{
    size_t i;

    for (i = 0; i < MAX_TABLES && tables[i]; i++) {
        const IoCommand *c;

        for (c = tables[i]; c->name; c++) {
            if (!strcmp(c->name, name) || (c->alias && !strcmp(c->alias, name))) {
                return c;
            }
        }
    }
    return NULL;
}

static int by_name(gconstpointer a, gconstpointer b)
{
    return strcmp((*(const IoCommand *const *)a)->name, (*(const IoCommand *const *)b)->name);
}

void iocmd_foreach(void (*fn)(const IoCommand *c, void *opaque), void *opaque)
{
    g_autoptr(GPtrArray) all = g_ptr_array_new();
    guint i;

    for (i = 0; i < MAX_TABLES && tables[i]; i++) {
        const IoCommand *c;

        for (c = tables[i]; c->name; c++) {
            g_ptr_array_add(all, (gpointer)c);
        }
    }
    g_ptr_array_sort(all, by_name);
    for (i = 0; i < all->len; i++) {
        fn(all->pdata[i], opaque);
    }
}

/* ---- help ---- */

static void print_brief(const IoCommand *c, void *opaque)
{
    printf("%s ", c->name);
    if (c->args) {
        printf("%s ", c->args);
    }
    printf("-- %s\n", c->brief);
}

int iocmd_usage(const IoCommand *c)
{
    print_brief(c, NULL);
    return -EINVAL;
}

static int help_run(BlockBackend *blk, int argc, char **argv)
{
    const IoCommand *c;

    if (argc == 1) {
        iocmd_foreach(print_brief, NULL);
        printf("\nUse 'help commandname' for extended help.\n");
        return 0;
    }
    c = iocmd_find(argv[1]);
    if (!c) {
        printf("command %s not found\n", argv[1]);
        return -EINVAL;
    }
    print_brief(c, NULL);
    if (c->help) {
        printf("%s\n", c->help);
    }
    return 0;
}

/* ---- numbers ---- */

int64_t iocmd_number(const char *text)
{
    uint64_t n;
    int ret = parse_size(text, 'B', &n);

    if (ret == 0 && n > INT64_MAX) {
        ret = -ERANGE;
    }
    if (ret == -ERANGE) {
        printf("Parsing error: argument too large -- %s\n", text);
    } else if (ret < 0) {
        printf("Parsing error: non-numeric argument, or extraneous/unrecognized suffix -- %s\n",
               text);
    }
    return ret < 0 ? ret : (int64_t)n;
}

void iocmd_size_text(double bytes, char *buf, size_t len)
{
    static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    char number[64], *point;
    int unit = -1;

    while (bytes >= 1024 && unit + 1 < (int)ARRAY_SIZE(units)) {
        bytes /= 1024;
        unit++;
    }
    snprintf(number, sizeof(number), unit < 0 ? "%f" : "%.3f", bytes);
    /* Digits that say nothing go. */
    point = strchr(number, '.');
    if (point && strspn(point + 1, "0") == strlen(point + 1)) {
        *point = '\0';
    }
    snprintf(buf, len, "%s %s", number, unit < 0 ? "bytes" : units[unit]);
}

/* ---- running ---- */

static bool check_count(const IoCommand *c, int n)
{
    if (n >= c->min_args && (c->max_args < 0 || n <= c->max_args)) {
        return true;
    }
    if (c->max_args < 0) {
        fprintf(stderr, "bad argument count %d to %s, expected at least %d arguments\n", n, c->name,
                c->min_args);
    } else if (c->min_args == c->max_args) {
        fprintf(stderr, "bad argument count %d to %s, expected %d arguments\n", n, c->name,
                c->min_args);
    } else {
        fprintf(stderr, "bad argument count %d to %s, expected between %d and %d arguments\n", n,
                c->name, c->min_args, c->max_args);
    }
    return false;
}

static int run_command(BlockBackend *blk, const IoCommand *c, int argc, char **argv)
{
    if (!check_count(c, argc - 1)) {
        return -EINVAL;
    }
    if (c->needs_image && (!blk || !blk_node(blk))) {
        fprintf(stderr, "no file open, try 'help open'\n");
        return -EINVAL;
    }
    if (c->writes && !blk_is_writable(blk)) {
        error_report("Block node is read-only");
        return -EACCES;
    }
    optind = 0;
    opterr = 1;
    return c->run(blk, argc, argv);
}

int iocmd_run(BlockBackend *blk, const char *line)
{
    g_auto(GStrv) words = g_strsplit(line, " ", -1);
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    const IoCommand *c;
    size_t i;

    for (i = 0; words[i]; i++) {
        if (*words[i]) {
            g_ptr_array_add(argv, words[i]);
        }
    }
    if (!argv->len) {
        return 0;
    }
    g_ptr_array_add(argv, NULL);
    c = iocmd_find(argv->pdata[0]);
    if (!c) {
        fprintf(stderr, "command \"%s\" not found\n", (char *)argv->pdata[0]);
        return -EINVAL;
    }
    return run_command(blk, c, argv->len - 1, (char **)argv->pdata);
}
