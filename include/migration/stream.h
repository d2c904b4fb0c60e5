/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Streams for state fields (migration/state.h) in memory: what saves or loads
 * a device makes one, and tests of custom fields do.
 */
#ifndef MIGRATION_STREAM_H
#define MIGRATION_STREAM_H

#include "migration/state.h"
#include "qapi/json.h"

StateStream *state_writer_new(void);
/* @data stays the caller's and must outlive the stream. */
StateStream *state_reader_new(const void *data, size_t len);
/* What was written so far; borrowed. */
const uint8_t *state_writer_data(const StateStream *s, size_t *len);
/* Why state_ok() is false; NULL when it is true. */
const char *state_stream_failure(const StateStream *s);
void state_stream_free(StateStream *s);
/* Not everything was read. */
bool state_stream_left(const StateStream *s);

/*
 * Walk @table over the state at @opaque. Loading ends at the first value that
 * does not fit, with a text that names the field; the state may be half-changed then.
 */
void state_save(const StateTable *table, StateStream *s, void *opaque);
bool state_load(const StateTable *table, StateStream *s, void *opaque);
/*
 * The layout of @table as JSON: {"name", "version", "fields": [{"name", "kind", ...}],
 * "subsections": [...]}. With the state at @opaque only the fields that it has, else all.
 */
JsonValue *state_describe(const StateTable *table, const void *opaque);

#endif
