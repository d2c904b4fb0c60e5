/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON values (RFC 8259): what QMP, -device JSON, json: file names and key=value
 * options are before they become schema types. Reference counted, not
 * thread-safe per value.
 *
 * A value that came from key=value text is a string marked "keyval": decoding
 * then accepts "on", "64K" and the like where JSON input would need a boolean
 * or a number (json_is_keyval()).
 */
#ifndef QAPI_JSON_H
#define QAPI_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/error.h"

typedef enum JsonKind {
    JSON_NULL, JSON_BOOL, JSON_INT, JSON_UINT, JSON_DOUBLE,
    JSON_STRING, JSON_ARRAY, JSON_OBJECT,
} JsonKind;

typedef struct JsonValue JsonValue;

/* Constructors: one reference, never NULL. JSON_UINT is only used above INT64_MAX. */
JsonValue *json_null(void);
JsonValue *json_bool(bool b);
JsonValue *json_int(int64_t i);
JsonValue *json_uint(uint64_t u);
JsonValue *json_double(double d);
JsonValue *json_string(const char *s);              /* UTF-8 */
JsonValue *json_string_take(char *s);               /* g_malloc'ed, now owned */
JsonValue *json_keyval_string(const char *s);
JsonValue *json_array(void);
JsonValue *json_object(void);
/*
 * A constant text that json_print() made or could have made, for an answer
 * that is only going to be printed: no accessor may be used on it.
 */
JsonValue *json_text(const char *text);

JsonValue *json_ref(JsonValue *v);
void json_unref(JsonValue *v);                      /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JsonValue, json_unref)
/* A deep copy. */
JsonValue *json_copy(const JsonValue *v);
bool json_equal(const JsonValue *a, const JsonValue *b);

JsonKind json_kind(const JsonValue *v);
const char *json_kind_name(JsonKind kind);          /* "boolean", "integer", ... */
bool json_is_keyval(const JsonValue *v);

/* Accessors. The "get" forms return false when the kind does not fit. */
bool json_get_bool(const JsonValue *v, bool *b);
bool json_get_int(const JsonValue *v, int64_t *i);
bool json_get_uint(const JsonValue *v, uint64_t *u); /* accepts non-negative JSON_INT */
bool json_get_double(const JsonValue *v, double *d); /* accepts integers */
const char *json_get_string(const JsonValue *v);    /* NULL when not a string; borrowed */

/* Arrays. "take" consumes the caller's reference. */
size_t json_array_len(const JsonValue *a);
JsonValue *json_array_at(const JsonValue *a, size_t i);     /* borrowed */
void json_array_add_take(JsonValue *a, JsonValue *v);

/* Objects. Setting an existing key replaces it. Keys are copied. */
size_t json_object_len(const JsonValue *o);
JsonValue *json_object_get(const JsonValue *o, const char *key);    /* borrowed, or NULL */
bool json_object_has(const JsonValue *o, const char *key);
void json_object_set_take(JsonValue *o, const char *key, JsonValue *v);
void json_object_set_string(JsonValue *o, const char *key, const char *s);
void json_object_set_int(JsonValue *o, const char *key, int64_t i);
void json_object_set_uint(JsonValue *o, const char *key, uint64_t u);
void json_object_set_bool(JsonValue *o, const char *key, bool b);
bool json_object_remove(JsonValue *o, const char *key);
/* Shorthand: the string member @key, or NULL when absent or no string; borrowed. */
const char *json_object_get_string(const JsonValue *o, const char *key);
/* Insertion order. i from 0 to json_object_len() - 1; both results borrowed. */
void json_object_at(const JsonValue *o, size_t i, const char **key, JsonValue **v);

/*
 * Text. Members are printed in the order that QEMU's users know (a 512-bucket
 * hash order, see docs/devel/qapi.md). JSON_PRETTY: 4 spaces, one member a line.
 */
typedef enum JsonPrintFlags { JSON_COMPACT = 0, JSON_PRETTY = 1 } JsonPrintFlags;
GString *json_print(const JsonValue *v, JsonPrintFlags flags);
void json_print_to(GString *out, const JsonValue *v, JsonPrintFlags flags);

/*
 * An object or array for people: "key: value" lines in the same order, indented by 4 for each of
 * @depth levels, '-' in keys shown as a blank.
 */
void json_print_words(GString *out, const JsonValue *v, int depth);

/* One whole value, with blanks around it. Limits: depth 1024, text 64 MiB. */
JsonValue *json_parse(const char *text, size_t len, Error **errp);

/*
 * A stream of values in arbitrary pieces (a monitor). @emit gets each value
 * (consumed by the callee), or NULL and a message for a syntax error, after
 * which the parser is back at top level.
 */
typedef struct JsonStream JsonStream;
typedef void JsonStreamEmit(void *opaque, JsonValue *v, const char *error);
JsonStream *json_stream_new(JsonStreamEmit *emit, void *opaque);
void json_stream_feed(JsonStream *s, const char *data, size_t len);
/* End of input: an unfinished value is an error. */
void json_stream_flush(JsonStream *s);
void json_stream_free(JsonStream *s);

/*
 * "a=1,b.c=on,b.list.0=x" to an object of keyval strings; ",," is a comma.
 * The first item may lack "key=": then its key is @implied_key (NULL: error).
 * @help (may be NULL) is set when an item is "help" or "?".
 * A text that starts with '{' is parsed as JSON instead.
 */
JsonValue *keyval_parse(const char *text, const char *implied_key, bool *help, Error **errp);
/*
 * The older form: dots are part of the key, "flag" is flag=on and "noflag" is
 * flag=off (told as obsolete when @warn_flags); never JSON.
 */
JsonValue *keyval_parse_flat(const char *text, const char *implied_key, bool warn_flags, bool *help, Error **errp);

/*
 * The same where a key may come again and makes a list of its values (arrays
 * and ranges of numbers decode from that). A text that starts with '{' is JSON.
 */
JsonValue *keyval_parse_repeated(const char *text, const char *implied_key, Error **errp);

#endif
