/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Line editing on a terminal that understands the ANSI sequences for erasing
 * and moving the cursor: arrows, Home, End, Delete, Emacs' control keys, history,
 * completion. Main thread. Input is any bytes.
 */
#ifndef MONITOR_READLINE_H
#define MONITOR_READLINE_H

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Readline Readline;

typedef struct ReadlineOps {
    void (*print)(void *opaque, const char *text);      /* to the terminal, "\n" as it is */
    void (*line)(void *opaque, const char *line);       /* a finished line */
    GPtrArray *(*complete)(void *opaque, const char *line);     /* whole last words, owned strings */
} ReadlineOps;

Readline *readline_new(const char *prompt, const ReadlineOps *ops, void *opaque);
void readline_free(Readline *r);
/* Print the prompt with an empty line. */
void readline_start(Readline *r);
/* The same, with the line typed so far (after other output). */
void readline_show(Readline *r);
void readline_input(Readline *r, uint8_t byte);
/* Lines typed, oldest first. */
GQueue *readline_history(Readline *r);

#endif
