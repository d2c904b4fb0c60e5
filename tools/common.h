/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the disk tools share: program start, options that several of them
 * have, opening images, progress, and waiting for coroutines. Main thread.
 */
#ifndef TOOLS_COMMON_H
#define TOOLS_COMMON_H

#include <stdbool.h>
#include <stdint.h>
#include "block/block.h"
#include "block/block-backend.h"
#include "block/image.h"

/* Name in messages, main loop, ignored SIGPIPE. Ends the program on failure. */
void tool_init(char **argv);
/* "qemu-img version X (...)" and the copyright line. */
void tool_print_version(void);
/* The last line of --help: "Supported formats: ..." */
void tool_print_formats(void);
/* One line of error and the advice to try --help. Returns false. */
bool tool_usage_error(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* ---- options ---- */

/*
 * getopt_long() with the tools' messages: the option's letter, -1 at the end, or
 * '?' after a usage error was reported. @shorts begins with ':'.
 */
struct option;
int tool_getopt(int argc, char **argv, const char *shorts, const struct option *longs);
/* SIGTERM, SIGINT and SIGHUP set *@stopping and wake the main loop. */
void tool_catch_signals(volatile sig_atomic_t *stopping);
/* -T/--trace; ends the program for "help". */
bool tool_trace_option(const char *text, Error **errp);
/* --object TYPE,id=ID,... */
bool tool_object_option(const char *text, Error **errp);
/* none, writeback, unsafe, directsync, writethrough, off: into *@flags. False: unknown. */
bool tool_cache_mode(const char *mode, unsigned *flags, bool *writethrough);
/* A size up to INT64_MAX, or -1 after a message that calls it @what. */
int64_t tool_parse_size(const char *what, const char *text);
int64_t tool_parse_size_range(const char *what, const char *text, int64_t min, int64_t max);

/* ---- images ---- */

typedef struct ToolImage {
    const char *name;           /* file name, or the text of --image-opts */
    const char *format;         /* NULL: probe */
    bool image_opts;
    unsigned flags;             /* BLOCK_OPEN_* */
    bool writethrough, force_share;
    JsonValue *extra;           /* further options, borrowed; may be NULL */
} ToolImage;
/* NULL after "Could not open 'x': ...". */
BlockBackend *tool_open(const ToolImage *image);

/* ---- waiting ---- */

/* Run @entry(@opaque) as a coroutine of the main loop until it ends. */
void tool_run(CoroutineEntry *entry, void *opaque);
/* Run the main loop until *@done. */
void tool_wait(const bool *done);

/* ---- progress ---- */

/* "    (12.34/100%)" on stdout, each time that it went on by @step percent; SIGUSR1 prints one. */
void tool_progress_begin(bool show, double step);
void tool_progress(double percent);
void tool_progress_end(void);

#endif
