/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Run time of the schema: generated C types are described by tables
 * (QapiType), and one set of functions decodes, encodes, copies and frees any
 * of them. scripts/qapi-gen.py writes the types and tables to qapi-types.h/.c
 * from qapi/[a-z]*.json.
 *
 * Generated C for a struct type Foo:
 *     typedef struct Foo { bool has_x; int64_t x; char *s; Bar *b; StrList *l; } Foo;
 *     extern const QapiType qapi_type_Foo;
 *     void qapi_free_Foo(Foo *p);     with g_autoptr(Foo)
 * An optional scalar has a has_ member; optional pointers are NULL when absent.
 * A '-' or '.' in a name is '_' in C; a name that is a C keyword gets a "q_" prefix.
 * A list of T: typedef struct TList { struct TList *next; T value; } (scalars,
 * enums) or T *value (structs, unions, alternates); strings: StrList with char *value.
 * A list of a builtin is capitalised: StrList, IntList, Uint16List.
 * Enum Foo, value "a-b": FOO_A_B, count FOO__MAX, text by Foo_str(v), table qapi_enum_Foo.
 * Flat union: base members, the tag, then union { TypeA a; } u;
 * Alternate: struct { QapiAltKind type; union { ... } u; }.
 * Arguments of command foo-bar that have no type of their own: QmpFooBarArgs.
 * Built-in types: str (char *), int/int8..int64, uint8..uint64, size (uint64_t),
 * number (double), bool, any (JsonValue *), null.
 */
#ifndef QAPI_QAPI_H
#define QAPI_QAPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "qapi/json.h"

typedef struct QapiType QapiType;
typedef struct QapiEnum QapiEnum;

/* What an alternate holds, by the kind of its JSON value. */
typedef enum QapiAltKind {
    QAPI_ALT_NULL, QAPI_ALT_BOOL, QAPI_ALT_NUM, QAPI_ALT_STR, QAPI_ALT_DICT, QAPI_ALT_LIST,
} QapiAltKind;

/* @v (borrowed) into a newly allocated value of struct, union, alternate or list type @t. Errors name the path. */
void *qapi_decode(const QapiType *t, const JsonValue *v, Error **errp);
/* Into memory of @t's size that the caller zeroed; on failure it is cleaned again. */
bool qapi_decode_into(const QapiType *t, const JsonValue *v, void *out, Error **errp);
/* One reference for the caller. */
JsonValue *qapi_encode(const QapiType *t, const void *p);
void *qapi_clone(const QapiType *t, const void *p);
void qapi_free(const QapiType *t, void *p);
void qapi_clear(const QapiType *t, void *p);        /* what it points to, not itself */

/* Append @v to the list whose end is @tail (of type FooList **). */
#define QAPI_LIST_APPEND(tail, v)                                                \
    do {                                                                    \
        *(tail) = g_malloc0(sizeof(**(tail)));                              \
        (*(tail))->value = (v);                                             \
        (tail) = &(*(tail))->next;                                          \
    } while (0)

/* Enum tables: &qapi_enum_Foo. */
/* -1 and an error that lists nothing but names the parameter, as the wire protocol words it. */
int qapi_enum_parse(const QapiEnum *e, const char *text, const char *param, Error **errp);
/* The text of @value; NULL when there is no such value. */
const char *qapi_enum_str(const QapiEnum *e, int value);
int qapi_enum_count(const QapiEnum *e);
const char *qapi_enum_name(const QapiEnum *e);      /* "OnOffAuto" */

/* ---- commands ---- */

typedef enum QapiCommandFlags {
    QAPI_CMD_ALLOW_OOB = 1,
    QAPI_CMD_ALLOW_PRECONFIG = 2,
    QAPI_CMD_COROUTINE = 4,
    QAPI_CMD_NO_SUCCESS_RESPONSE = 8,
    QAPI_CMD_DEPRECATED = 16,
    QAPI_CMD_UNSTABLE = 32,
} QapiCommandFlags;

typedef struct QapiCommand {
    const char *name;
    unsigned flags;
    /* Decode @args, call the handler, encode. Returns NULL with @errp set on failure. */
    JsonValue *(*run)(const JsonValue *args, Error **errp);
} QapiCommand;

/* The program's commands, sorted by name (generated per program). */
extern const QapiCommand qapi_commands[];
extern const size_t qapi_commands_count;
const QapiCommand *qapi_command_find(const char *name);

/*
 * What happens with interfaces that will go or may change (-compat); the default is to accept and show
 * them. Set before the first decoding.
 */
typedef enum QapiFeature { QAPI_DEPRECATED, QAPI_UNSTABLE, QAPI_FEATURES } QapiFeature;
typedef enum QapiInputPolicy { QAPI_INPUT_ACCEPT, QAPI_INPUT_REJECT, QAPI_INPUT_CRASH } QapiInputPolicy;
typedef struct QapiPolicy {
    QapiInputPolicy input[QAPI_FEATURES];
    bool hide[QAPI_FEATURES];
} QapiPolicy;
extern QapiPolicy qapi_policy;
/* Whether the policy lets a @kind ("command") called @name be used that @has feature @f. */
bool qapi_policy_check(QapiFeature f, bool has, const char *kind, const char *name, Error **errp);

/* query-qmp-schema's answer as JSON text (generated per program). */
extern const char qapi_introspection[];

/* ---- events ---- */

/*
 * Generated qapi_event_send_NAME() functions end here: the monitor sets the
 * sink when its first client could care; without one (a tool, a program
 * without monitors) events vanish before they cost anything. Any thread.
 */
typedef void QapiEventSink(int event, JsonValue *data /* consumed, may be NULL */);
void qapi_event_set_sink(QapiEventSink *sink);
bool qapi_event_wanted(void);
void qapi_event_emit(int event, JsonValue *data /* consumed, may be NULL */);

/* ---- for generated code ---- */

/* True when @json (may be NULL) has no members. */
bool qapi_decode_no_args(const JsonValue *json, Error **errp);
/* Encode and free @ret, or hand over @err. */
JsonValue *qapi_command_result(const QapiType *t, void *ret, Error *err, Error **errp);

#endif
