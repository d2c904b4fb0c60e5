/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the human monitor share. Main thread. */
#ifndef MONITOR_HMP_INTERNAL_H
#define MONITOR_HMP_INTERNAL_H

#include "monitor/hmp.h"

struct Hmp {
    GString *out;               /* of the command that runs */
    int cpu_index;
    GQueue *history;            /* of char *; NULL: not interactive */
};

struct HmpArgs {
    JsonValue *values;
    HmpFormat format;
};

struct HmpCompletion {
    const char *text;
    GPtrArray *found;           /* of char *, owned */
};

/* ---- hmp.c ---- */

/* Run @line; what it prints is appended to hmp->out. */
void hmp_execute(Hmp *hmp, const char *line);
/* Sorted by name. */
const GPtrArray *hmp_all_commands(void);
const GPtrArray *hmp_all_infos(void);
/* By one of its names; NULL when there is none. */
const HmpCommand *hmp_find(const GPtrArray *table, const char *name, size_t len);

/* ---- hmp-args.c ---- */

/* The arguments in @text as @cmd wants them; false: the complaint is in hmp->out. */
bool hmp_parse_args(Hmp *hmp, const HmpCommand *cmd, const char *text, HmpArgs *args);
/* "name" or, with quotes, "text"; *@p moves behind it. NULL when there is none, or with an error. Caller frees. */
char *hmp_next_word(const char **p, Error **errp);

/* ---- hmp-expr.c ---- */

/* An expression at *@p, which moves behind it. */
bool hmp_parse_expression(const char **p, int cpu_index, int64_t *value, Error **errp);

/* ---- hmp-complete.c ---- */

/* Candidates for the last word of @line, as whole words. Owned strings. */
GPtrArray *hmp_complete(const char *line);
/* The last word of @line. */
const char *hmp_last_word(const char *line);

#endif
