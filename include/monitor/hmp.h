/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The human monitor: commands as rows of tables that each room may give, their
 * arguments, and where their output goes. Nearly all of them are front ends of
 * QMP handlers.
 *
 *     static bool run_quit(Hmp *hmp, const HmpArgs *args, Error **errp)
 *     {
 *         return qmp_quit(errp);
 *     }
 *     HMP_COMMANDS(my_commands) = {
 *         { "quit|q", "", "quit the emulator", NULL, run_quit },
 *         HMP_END
 *     };
 *
 * Thread: main thread with the machine lock.
 */
#ifndef MONITOR_HMP_H
#define MONITOR_HMP_H

#include "qapi/json.h"
#include "util/error.h"

typedef struct Hmp Hmp;
typedef struct HmpArgs HmpArgs;
typedef struct HmpCompletion HmpCompletion;

typedef enum HmpArgKind {
    HMP_ARG_END,
    HMP_STRING,                 /* a word, or text in double quotes */
    HMP_FILE,                   /* the same, completed as a file name */
    HMP_REST,                   /* everything up to the end of the line */
    HMP_NUMBER,                 /* an expression, 64 bits */
    HMP_MIB,                    /* an expression in MiB: bytes */
    HMP_SIZE,                   /* "64k"; without suffix in MiB: bytes */
    HMP_SWITCH,                 /* "on" or "off" */
    HMP_FLAG,                   /* "-x": true when given */
    HMP_FORMAT,                 /* "/4xw"; see HmpFormat */
} HmpArgKind;

typedef struct HmpArg {
    const char *name;
    HmpArgKind kind;
    bool optional;
    char flag;                  /* HMP_FLAG: the letter */
    /* Candidates for a word that the user began; may be NULL. */
    void (*complete)(HmpCompletion *c);
} HmpArg;

#define HMP_ARGS(...) ((const HmpArg[]){ __VA_ARGS__, { NULL, HMP_ARG_END } })

typedef bool HmpRun(Hmp *hmp, const HmpArgs *args, Error **errp);

typedef struct HmpCommand {
    const char *name;           /* "cont|c"; NULL ends a table */
    const char *params;         /* as help shows them; "" for none */
    const char *help;
    const HmpArg *args;         /* NULL: none */
    HmpRun *run;                /* false with an error: "Error: ..." is printed */
} HmpCommand;

#define HMP_END { NULL }

/* Tables that the linker collects: commands, and subcommands of "info". */
#define HMP_TABLE_(ident, sect)                                             \
    static const HmpCommand ident[];                                        \
    static const HmpCommand *const ident##_registration                     \
        __attribute__((used, section(sect))) = ident;                       \
    static const HmpCommand ident[]
#define HMP_COMMANDS(ident) HMP_TABLE_(ident, "nemu_hmp")
#define HMP_INFO(ident) HMP_TABLE_(ident, "nemu_hmp_info")

/* ---- for handlers ---- */

void hmp_printf(Hmp *hmp, const char *fmt, ...) PRINTF_LIKE(2, 3);
void hmp_puts(Hmp *hmp, const char *text);

bool hmp_has(const HmpArgs *args, const char *name);
/* NULL when absent; borrowed. */
const char *hmp_string(const HmpArgs *args, const char *name);
/* @absent when it was not given. */
int64_t hmp_number(const HmpArgs *args, const char *name, int64_t absent);
/* A flag or switch; false when absent. */
bool hmp_bool(const HmpArgs *args, const char *name);

typedef struct HmpFormat {
    int count;
    char format;                /* d u x o c i */
    int size;                   /* 1, 2, 4, 8 */
} HmpFormat;
HmpFormat hmp_format(const HmpArgs *args);

/* The CPU that commands are about ("cpu N"). */
int hmp_cpu_index(const Hmp *hmp);
void hmp_set_cpu_index(Hmp *hmp, int index);
/* Lines typed so far, oldest first; NULL for human-monitor-command. */
const GQueue *hmp_history(const Hmp *hmp);

/* "$name" in expressions, of the CPU @index; false when there is no such register. */
typedef bool HmpRegisterLookup(int index, const char *name, int64_t *value);
void hmp_set_register_lookup(HmpRegisterLookup *lookup);

/* ---- completion ---- */

/* The word so far. */
const char *hmp_completion_text(const HmpCompletion *c);
/* Kept when it begins with the word so far. */
void hmp_completion_add(HmpCompletion *c, const char *candidate);

/* ---- running ---- */

/* One line; its output, with CR LF at line ends. @cpu_index: of the CPU that it is about. */
char *hmp_run(const char *line, int cpu_index);

#endif
