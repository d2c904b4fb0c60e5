/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What migration/stream.c and walk.c share. */
#ifndef MIGRATION_STREAM_INTERNAL_H
#define MIGRATION_STREAM_INTERNAL_H

#include <glib.h>
#include "migration/stream.h"

struct StateStream {
    GByteArray *out;            /* writer */
    const uint8_t *in;          /* reader */
    size_t len, pos;
    char *failure;              /* the first one */
};

/* Writer: leave room for a length, and fill it in with what was written since. */
size_t state_length_begin(StateStream *s);
void state_length_end(StateStream *s, size_t mark);
/* Reader: a length, then only so many bytes can be read; the inverse gives the rest back, or fails when bytes are left. */
size_t state_limit_begin(StateStream *s);
void state_limit_end(StateStream *s, size_t outer);
/* Say where a failure happened: "where: failure". */
void state_fail_in(StateStream *s, const char *where);

#endif
