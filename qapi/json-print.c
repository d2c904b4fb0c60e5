/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON text from values, and the UTF-8 helpers of both directions. The output
 * is plain ASCII; members come in the order that docs/devel/qapi.md describes.
 *
 * Thread: any. Trust: strings may be anything, also malformed UTF-8.
 */
#include "util/osdep.h"
#include "qapi/json-internal.h"

void json_append_utf8(GString *out, uint32_t cp)
{
    char buf[4];
    int len = 0;

    if (cp >= 1 && cp < 0x80) {
        buf[len++] = (char)cp;
    } else if (cp < 0x800) {
        buf[len++] = (char)(0xc0 | cp >> 6);
        buf[len++] = (char)(0x80 | (cp & 0x3f));
    } else if (cp < 0x10000) {
        buf[len++] = (char)(0xe0 | cp >> 12);
        buf[len++] = (char)(0x80 | (cp >> 6 & 0x3f));
        buf[len++] = (char)(0x80 | (cp & 0x3f));
    } else {
        buf[len++] = (char)(0xf0 | cp >> 18);
        buf[len++] = (char)(0x80 | (cp >> 12 & 0x3f));
        buf[len++] = (char)(0x80 | (cp >> 6 & 0x3f));
        buf[len++] = (char)(0x80 | (cp & 0x3f));
    }
    g_string_append_len(out, buf, len);
}

int32_t json_next_utf8(const char *s, const char **next)
{
    const uint8_t *p = (const uint8_t *)s;
    uint32_t cp, min;
    int more;

    *next = s + 1;
    if (p[0] < 0x80) {
        return p[0];
    } else if ((p[0] & 0xe0) == 0xc0) {
        more = 1, cp = p[0] & 0x1f, min = 0x80;
    } else if ((p[0] & 0xf0) == 0xe0) {
        more = 2, cp = p[0] & 0x0f, min = 0x800;
    } else if ((p[0] & 0xf8) == 0xf0) {
        more = 3, cp = p[0] & 0x07, min = 0x10000;
    } else {
        return -1;
    }
    for (int i = 1; i <= more; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return -1;
        }
        cp = cp << 6 | (p[i] & 0x3f);
        *next = s + i + 1;
    }
    if (cp == 0 && more == 1) {
        return 0;               /* c0 80 */
    }
    if (cp < min || cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000) ||
        (cp & 0xfffe) == 0xfffe || (cp >= 0xfdd0 && cp <= 0xfdef)) {
        return -1;
    }
    return (int32_t)cp;
}

static void append_escaped(GString *out, int32_t cp)
{
    static const char letters[] = { ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't' };

    if (cp < 0) {
        cp = 0xfffd;
    }
    if (cp == '"' || cp == '\\') {
        g_string_append_c(out, '\\');
        g_string_append_c(out, (char)cp);
    } else if (cp < (int32_t)sizeof(letters) && letters[cp] != 0) {
        g_string_append_c(out, '\\');
        g_string_append_c(out, letters[cp]);
    } else if (cp >= 0x10000) {
        g_string_append_printf(out, "\\u%04X\\u%04X", 0xd800 + ((cp - 0x10000) >> 10),
                               0xdc00 + ((cp - 0x10000) & 0x3ff));
    } else {
        g_string_append_printf(out, "\\u%04X", cp);
    }
}

static void print_string(GString *out, const char *s)
{
    g_string_append_c(out, '"');
    while (*s != '\0') {
        const char *run = s;

        while (*s >= 0x20 && *s < 0x7f && *s != '"' && *s != '\\') {
            s++;
        }
        g_string_append_len(out, run, s - run);
        if (*s != '\0') {
            append_escaped(out, json_next_utf8(s, &s));
        }
    }
    g_string_append_c(out, '"');
}

static void newline(GString *out, JsonPrintFlags flags, int depth)
{
    if (flags & JSON_PRETTY) {
        g_string_append_printf(out, "\n%*s", depth * 4, "");
    }
}

static void print_value(GString *out, const JsonValue *v, JsonPrintFlags flags, int depth);

static unsigned bucket(const char *key)
{
    size_t len = strlen(key);
    uint32_t h = 0x238f13af * (uint32_t)len;

    for (size_t i = 0; i < len; i++) {
        h += (uint32_t)(uint8_t)key[i] << (i * 5 % 24);
    }
    return (1103515243 * h + 12345) % 512;
}

/* Bucket order; within a bucket the latest member comes first. */
static int compare_order(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

#define ORDER_FEW 16

/* The members in the order in which they are printed; @few has room for ORDER_FEW. */
static uint64_t *print_order(const JsonValue *v, uint64_t *few)
{
    size_t n = v->object.len;
    uint64_t *order = n <= ORDER_FEW ? few : g_new(uint64_t, n);

    for (size_t i = 0; i < n; i++) {
        order[i] = (uint64_t)bucket(v->object.members[i].key) << 32 | (UINT32_MAX - (uint32_t)i);
    }
    if (n > 1) {
        qsort(order, n, sizeof(*order), compare_order);
    }
    return order;
}

static const JsonMember *ordered_member(const JsonValue *v, uint64_t order)
{
    return &v->object.members[UINT32_MAX - (uint32_t)order];
}

static void print_object(GString *out, const JsonValue *v, JsonPrintFlags flags, int depth)
{
    size_t n = v->object.len;
    uint64_t few[ORDER_FEW];
    uint64_t *order = print_order(v, few);

    g_string_append_c(out, '{');
    for (size_t i = 0; i < n; i++) {
        const JsonMember *m = ordered_member(v, order[i]);

        if (i > 0) {
            g_string_append(out, flags & JSON_PRETTY ? "," : ", ");
        }
        newline(out, flags, depth + 1);
        print_string(out, m->key);
        g_string_append(out, ": ");
        print_value(out, m->value, flags, depth + 1);
    }
    newline(out, flags, depth);
    g_string_append_c(out, '}');
    if (order != few) {
        g_free(order);
    }
}

static void print_array(GString *out, const JsonValue *v, JsonPrintFlags flags, int depth)
{
    g_string_append_c(out, '[');
    for (size_t i = 0; i < v->array.len; i++) {
        if (i > 0) {
            g_string_append(out, flags & JSON_PRETTY ? "," : ", ");
        }
        newline(out, flags, depth + 1);
        print_value(out, v->array.items[i], flags, depth + 1);
    }
    newline(out, flags, depth);
    g_string_append_c(out, ']');
}

static void print_text(GString *out, const JsonValue *v, JsonPrintFlags flags, int depth)
{
    if (flags & JSON_PRETTY) {
        g_autoptr(JsonValue) parsed = json_parse(v->text, strlen(v->text), &error_abort);

        print_value(out, parsed, flags, depth);
    } else {
        g_string_append(out, v->text);
    }
}

static void print_value(GString *out, const JsonValue *v, JsonPrintFlags flags, int depth)
{
    char buf[G_ASCII_DTOSTR_BUF_SIZE];

    if (v->kind == JSON_TEXT) {
        print_text(out, v, flags, depth);
        return;
    }
    switch ((JsonKind)v->kind) {
    case JSON_NULL:
        g_string_append(out, "null");
        break;
    case JSON_BOOL:
        g_string_append(out, v->b ? "true" : "false");
        break;
    case JSON_INT:
        g_string_append_printf(out, "%" PRId64, v->i);
        break;
    case JSON_UINT:
        g_string_append_printf(out, "%" PRIu64, v->u);
        break;
    case JSON_DOUBLE:
        g_string_append(out, g_ascii_formatd(buf, sizeof(buf), "%.17g", v->d));
        break;
    case JSON_STRING:
        print_string(out, v->s);
        break;
    case JSON_ARRAY:
        print_array(out, v, flags, depth);
        break;
    case JSON_OBJECT:
        print_object(out, v, flags, depth);
        break;
    }
}

/* ---- for people ---- */

static void print_words_value(GString *out, const JsonValue *v, int depth)
{
    if (v->kind == JSON_OBJECT || v->kind == JSON_ARRAY) {
        g_string_append(out, ":\n");
        json_print_words(out, v, depth + 1);
        return;
    }
    g_string_append(out, ": ");
    if (v->kind == JSON_STRING) {
        g_string_append(out, v->s);
    } else {
        print_value(out, v, JSON_COMPACT, depth);
    }
    g_string_append_c(out, '\n');
}

void json_print_words(GString *out, const JsonValue *v, int depth)
{
    uint64_t few[ORDER_FEW];
    uint64_t *order;

    if (v->kind == JSON_ARRAY) {
        for (size_t i = 0; i < v->array.len; i++) {
            g_string_append_printf(out, "%*s[%zu]", depth * 4, "", i);
            print_words_value(out, v->array.items[i], depth);
        }
        return;
    }
    order = print_order(v, few);
    for (size_t i = 0; i < v->object.len; i++) {
        const JsonMember *m = ordered_member(v, order[i]);

        g_string_append_printf(out, "%*s", depth * 4, "");
        for (const char *c = m->key; *c; c++) {
            g_string_append_c(out, *c == '-' ? ' ' : *c);
        }
        print_words_value(out, m->value, depth);
    }
    if (order != few) {
        g_free(order);
    }
}

void json_print_to(GString *out, const JsonValue *v, JsonPrintFlags flags)
{
    print_value(out, v, flags, 0);
}

GString *json_print(const JsonValue *v, JsonPrintFlags flags)
{
    GString *out = g_string_new(NULL);

    json_print_to(out, v, flags);
    return out;
}
