/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line as data: one table of options (option-table.c), read by the
 * parser, -help and query-command-line-options. Main thread, at start-up.
 */
#ifndef SYSTEM_OPTIONS_H
#define SYSTEM_OPTIONS_H

#include "qapi-types.h"

/* When an option takes effect; start-up goes through these in order (main.c). */
typedef enum OptionPhase {
    PHASE_CONFIG,               /* only remembers a value */
    PHASE_PROCESS,              /* descriptors, log, trace: after the fork of -daemonize */
    PHASE_OBJECTS,              /* memory back ends are only remembered until the machine exists */
    PHASE_CHARDEVS,
    PHASE_BLOCK,
    PHASE_NET,
    PHASE_NUMA,
    PHASE_DEVICES,
    PHASE_MONITORS,
} OptionPhase;

/* A parameter of an option's key=value text, and where its value goes. */
typedef struct OptionParam {
    const char *name;           /* NULL ends a table */
    CommandLineParameterType type;
    char size_unit;             /* of a size without suffix; 0: bytes */
    const char *help;
    /*
     * Where in the structure given to option_parse_params(): char *, bool or
     * uint64_t. @has is 1 + the offset of a bool that says it was given (0: none).
     * Params with @no_field are for introspection only.
     */
    size_t field;
    size_t has;
    bool no_field;
    bool unlisted;              /* not in query-command-line-options */
    const char *long_name;      /* how messages name it; NULL: as @name */
} OptionParam;

typedef struct Option {
    const char *name;           /* NULL ends the table; "" begins a section of the help */
    const char *arg;            /* how help shows the argument; NULL: takes none */
    OptionPhase phase;
    /* Carry it out; @arg is NULL for options without one. */
    bool (*apply)(const char *arg, Error **errp);
    const char *help;
    const char *group;          /* name in query-command-line-options; NULL: not there */
    const OptionParam *params;  /* of the group; may be NULL */
    const char *absent;         /* why there is no such part here: giving the option is an error */
    bool is_file;               /* the argument is a file of options, read at once */
    bool has_help;              /* "help" in @arg prints and ends the program: applied with PHASE_CONFIG */
} Option;

extern const Option option_table[];
/* The option whose group in query-command-line-options is @group, or NULL. */
const Option *option_find_group(const char *group);

/* Check names and arguments, and remember them. Reports what is wrong. */
bool options_parse(int argc, char **argv);
/* "help" or "?" is an item of the key=value text @arg. */
bool option_wants_help(const char *arg);
/* Apply all options of @phase in the order in which they were given. Reports the first that fails. */
bool options_apply(OptionPhase phase);

/*
 * @text ("a=1,b=2") into @out as @params says; @implied is the key of a first
 * item without one. Strings in @out are allocated; unknown keys are errors.
 */
bool option_parse_params(const char *text, const char *implied, const OptionParam *params,
                         void *out, Error **errp);
/* "GROUP options:" and its parameters, as "-GROUP help" prints them. */
void option_print_params(const char *group, const OptionParam *params);
/* Free the strings that option_parse_params() put into @out. */
void option_free_params(const OptionParam *params, void *out);

#define PARAM(st, f, n, t, h) \
    { .name = (n), .type = COMMAND_LINE_PARAMETER_TYPE_##t, .help = (h), .field = offsetof(st, f) }
#define PARAM_HAS(st, f, n, t, h) \
    { .name = (n), PARAM_TYPE_##t, .help = (h), \
      .field = offsetof(st, f), .has = 1 + offsetof(st, has_##f) }
#define PARAM_TYPE_BOOLEAN .type = COMMAND_LINE_PARAMETER_TYPE_BOOLEAN
#define PARAM_TYPE_NUMBER .type = COMMAND_LINE_PARAMETER_TYPE_NUMBER
#define PARAM_TYPE_SIZE .type = COMMAND_LINE_PARAMETER_TYPE_SIZE
#define PARAM_TYPE_SIZE_MIB PARAM_TYPE_SIZE, .size_unit = 'M'
/* The same for parameters that are members of a structure of the schema ("smp.cpus"). */
#define PARAM_OF(st, f, prefix, n, t, h) \
    { .name = (n), .type = COMMAND_LINE_PARAMETER_TYPE_##t, .help = (h), \
      .field = offsetof(st, f), .has = 1 + offsetof(st, has_##f), .long_name = prefix "." n }
#define PARAM_SHOWN(n, t, h) \
    { .name = (n), .type = COMMAND_LINE_PARAMETER_TYPE_##t, .help = (h), .no_field = true }
#define PARAM_END { .name = NULL }

#endif
