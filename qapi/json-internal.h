/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How JSON values lie in memory; for qapi/ only. */
#ifndef QAPI_JSON_INTERNAL_H
#define QAPI_JSON_INTERNAL_H

#include "qapi/json.h"

/* A value that is already text (json_text()); only the printer knows it. */
#define JSON_TEXT (JSON_OBJECT + 1)

typedef struct JsonMember {
    char *key;
    JsonValue *value;
} JsonMember;

struct JsonValue {
    unsigned refs;
    uint8_t kind;               /* JsonKind, or JSON_TEXT */
    bool keyval;
    union {
        bool b;
        int64_t i;
        uint64_t u;
        double d;
        char *s;                /* UTF-8; U+0000 is the two bytes c0 80 */
        const char *text;       /* JSON_TEXT */
        struct {
            JsonValue **items;
            size_t len, cap;
        } array;
        struct {
            JsonMember *members;
            size_t len, cap;
            GHashTable *index;  /* key -> position + 1, once there are many */
        } object;
    };
};

/* A code point as UTF-8 (U+0000 as c0 80). */
void json_append_utf8(GString *out, uint32_t cp);
/*
 * One code point from the NUL-terminated @s; *@next is behind it. -1 for an
 * invalid sequence, of which *@next skips the longest part that could have
 * begun a valid one.
 */
int32_t json_next_utf8(const char *s, const char **next);

#endif
