/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON values: constructors, accessors, comparison.
 *
 * Thread: a value belongs to one thread at a time.
 * Trust: everything here may come from a client; depth is bounded by whoever
 * built the value (parser: 1024, keyval: 128), so recursion is safe.
 */
#include "util/osdep.h"
#include "qapi/json-internal.h"

/* From this many members on, an object has an index. */
#define INDEX_FROM 16

static JsonValue *value_new(unsigned kind)
{
    JsonValue *v = g_new0(JsonValue, 1);

    v->refs = 1;
    v->kind = (uint8_t)kind;
    return v;
}

JsonValue *json_null(void)
{
    return value_new(JSON_NULL);
}

JsonValue *json_bool(bool b)
{
    JsonValue *v = value_new(JSON_BOOL);

    v->b = b;
    return v;
}

JsonValue *json_int(int64_t i)
{
    JsonValue *v = value_new(JSON_INT);

    v->i = i;
    return v;
}

JsonValue *json_uint(uint64_t u)
{
    JsonValue *v;

    if (u <= INT64_MAX) {
        return json_int((int64_t)u);
    }
    v = value_new(JSON_UINT);
    v->u = u;
    return v;
}

JsonValue *json_double(double d)
{
    JsonValue *v = value_new(JSON_DOUBLE);

    v->d = d;
    return v;
}

JsonValue *json_string_take(char *s)
{
    JsonValue *v = value_new(JSON_STRING);

    v->s = s;
    return v;
}

JsonValue *json_string(const char *s)
{
    return json_string_take(g_strdup(s));
}

JsonValue *json_keyval_string(const char *s)
{
    JsonValue *v = json_string(s);

    v->keyval = true;
    return v;
}

JsonValue *json_array(void)
{
    return value_new(JSON_ARRAY);
}

JsonValue *json_object(void)
{
    return value_new(JSON_OBJECT);
}

JsonValue *json_text(const char *text)
{
    JsonValue *v = value_new(JSON_TEXT);

    v->text = text;
    return v;
}

JsonValue *json_ref(JsonValue *v)
{
    if (v != NULL) {
        v->refs++;
    }
    return v;
}

void json_unref(JsonValue *v)
{
    if (v == NULL || --v->refs > 0) {
        return;
    }
    switch ((JsonKind)v->kind) {
    case JSON_STRING:
        g_free(v->s);
        break;
    case JSON_ARRAY:
        for (size_t i = 0; i < v->array.len; i++) {
            json_unref(v->array.items[i]);
        }
        g_free(v->array.items);
        break;
    case JSON_OBJECT:
        for (size_t i = 0; i < v->object.len; i++) {
            g_free(v->object.members[i].key);
            json_unref(v->object.members[i].value);
        }
        g_free(v->object.members);
        g_clear_pointer(&v->object.index, g_hash_table_unref);
        break;
    default:
        break;
    }
    g_free(v);
}

JsonValue *json_copy(const JsonValue *v)
{
    JsonValue *c;

    switch ((JsonKind)v->kind) {
    case JSON_STRING:
        c = json_string(v->s);
        break;
    case JSON_ARRAY:
        c = json_array();
        for (size_t i = 0; i < v->array.len; i++) {
            json_array_add_take(c, json_copy(v->array.items[i]));
        }
        break;
    case JSON_OBJECT:
        c = json_object();
        for (size_t i = 0; i < v->object.len; i++) {
            json_object_set_take(c, v->object.members[i].key, json_copy(v->object.members[i].value));
        }
        break;
    default:
        c = value_new(v->kind);
        c->u = v->u;
        c->d = v->kind == JSON_DOUBLE ? v->d : c->d;
        break;
    }
    c->keyval = v->keyval;
    return c;
}

static bool number_equal(const JsonValue *a, const JsonValue *b)
{
    double x, y;

    if (a->kind == b->kind) {
        return a->kind == JSON_DOUBLE ? a->d == b->d : a->u == b->u;
    }
    if (a->kind != JSON_DOUBLE && b->kind != JSON_DOUBLE) {
        return false;           /* JSON_UINT is only above JSON_INT's range */
    }
    return json_get_double(a, &x) && json_get_double(b, &y) && x == y;
}

static bool is_number(const JsonValue *v)
{
    return v->kind == JSON_INT || v->kind == JSON_UINT || v->kind == JSON_DOUBLE;
}

bool json_equal(const JsonValue *a, const JsonValue *b)
{
    if (a == b) {
        return true;
    }
    if (a == NULL || b == NULL) {
        return false;
    }
    if (is_number(a) && is_number(b)) {
        return number_equal(a, b);
    }
    if (a->kind != b->kind) {
        return false;
    }
    switch ((JsonKind)a->kind) {
    case JSON_BOOL:
        return a->b == b->b;
    case JSON_STRING:
        return strcmp(a->s, b->s) == 0;
    case JSON_ARRAY:
        if (a->array.len != b->array.len) {
            return false;
        }
        for (size_t i = 0; i < a->array.len; i++) {
            if (!json_equal(a->array.items[i], b->array.items[i])) {
                return false;
            }
        }
        return true;
    case JSON_OBJECT:
        if (a->object.len != b->object.len) {
            return false;
        }
        for (size_t i = 0; i < a->object.len; i++) {
            const JsonMember *m = &a->object.members[i];

            if (!json_equal(m->value, json_object_get(b, m->key))) {
                return false;
            }
        }
        return true;
    default:
        return true;
    }
}

JsonKind json_kind(const JsonValue *v)
{
    return v->kind;
}

const char *json_kind_name(JsonKind kind)
{
    static const char *const names[] = {
        [JSON_NULL] = "null", [JSON_BOOL] = "boolean", [JSON_INT] = "integer",
        [JSON_UINT] = "integer", [JSON_DOUBLE] = "number", [JSON_STRING] = "string",
        [JSON_ARRAY] = "array", [JSON_OBJECT] = "object",
    };

    return names[kind];
}

bool json_is_keyval(const JsonValue *v)
{
    return v->keyval;
}

bool json_get_bool(const JsonValue *v, bool *b)
{
    if (v == NULL || v->kind != JSON_BOOL) {
        return false;
    }
    *b = v->b;
    return true;
}

bool json_get_int(const JsonValue *v, int64_t *i)
{
    if (v == NULL || v->kind != JSON_INT) {
        return false;
    }
    *i = v->i;
    return true;
}

bool json_get_uint(const JsonValue *v, uint64_t *u)
{
    if (v == NULL || (v->kind != JSON_UINT && (v->kind != JSON_INT || v->i < 0))) {
        return false;
    }
    *u = v->u;
    return true;
}

bool json_get_double(const JsonValue *v, double *d)
{
    if (v == NULL || !is_number(v)) {
        return false;
    }
    *d = v->kind == JSON_DOUBLE ? v->d : v->kind == JSON_INT ? (double)v->i : (double)v->u;
    return true;
}

const char *json_get_string(const JsonValue *v)
{
    return v != NULL && v->kind == JSON_STRING ? v->s : NULL;
}

/* ---- arrays ---- */

size_t json_array_len(const JsonValue *a)
{
    assert(a->kind == JSON_ARRAY);
    return a->array.len;
}

JsonValue *json_array_at(const JsonValue *a, size_t i)
{
    assert(a->kind == JSON_ARRAY && i < a->array.len);
    return a->array.items[i];
}

void json_array_add_take(JsonValue *a, JsonValue *v)
{
    assert(a->kind == JSON_ARRAY && v != NULL);
    if (a->array.len == a->array.cap) {
        a->array.cap = MAX(4, a->array.cap * 2);
        a->array.items = g_renew(JsonValue *, a->array.items, a->array.cap);
    }
    a->array.items[a->array.len++] = v;
}

/* ---- objects ---- */

static void index_build(JsonValue *o)
{
    o->object.index = g_hash_table_new(g_str_hash, g_str_equal);
    for (size_t i = 0; i < o->object.len; i++) {
        g_hash_table_insert(o->object.index, o->object.members[i].key, GSIZE_TO_POINTER(i + 1));
    }
}

/* The member's position, or -1. */
static ssize_t member_find(const JsonValue *o, const char *key)
{
    assert(o->kind == JSON_OBJECT);
    if (o->object.index != NULL) {
        return (ssize_t)GPOINTER_TO_SIZE(g_hash_table_lookup(o->object.index, key)) - 1;
    }
    for (size_t i = 0; i < o->object.len; i++) {
        if (strcmp(o->object.members[i].key, key) == 0) {
            return (ssize_t)i;
        }
    }
    return -1;
}

size_t json_object_len(const JsonValue *o)
{
    assert(o->kind == JSON_OBJECT);
    return o->object.len;
}

JsonValue *json_object_get(const JsonValue *o, const char *key)
{
    ssize_t i = member_find(o, key);

    return i < 0 ? NULL : o->object.members[i].value;
}

bool json_object_has(const JsonValue *o, const char *key)
{
    return member_find(o, key) >= 0;
}

void json_object_set_take(JsonValue *o, const char *key, JsonValue *v)
{
    ssize_t i = member_find(o, key);
    JsonMember *m;

    assert(v != NULL);
    if (i >= 0) {
        m = &o->object.members[i];
        json_unref(m->value);
        m->value = v;
        return;
    }
    if (o->object.len == o->object.cap) {
        o->object.cap = MAX(4, o->object.cap * 2);
        o->object.members = g_renew(JsonMember, o->object.members, o->object.cap);
    }
    m = &o->object.members[o->object.len++];
    m->key = g_strdup(key);
    m->value = v;
    if (o->object.index != NULL) {
        g_hash_table_insert(o->object.index, m->key, GSIZE_TO_POINTER(o->object.len));
    } else if (o->object.len >= INDEX_FROM) {
        index_build(o);
    }
}

void json_object_set_string(JsonValue *o, const char *key, const char *s)
{
    json_object_set_take(o, key, json_string(s));
}

void json_object_set_int(JsonValue *o, const char *key, int64_t i)
{
    json_object_set_take(o, key, json_int(i));
}

void json_object_set_uint(JsonValue *o, const char *key, uint64_t u)
{
    json_object_set_take(o, key, json_uint(u));
}

void json_object_set_bool(JsonValue *o, const char *key, bool b)
{
    json_object_set_take(o, key, json_bool(b));
}

bool json_object_remove(JsonValue *o, const char *key)
{
    ssize_t i = member_find(o, key);
    JsonMember *m;

    if (i < 0) {
        return false;
    }
    /* The positions behind it move, so the index is of no use any more. */
    g_clear_pointer(&o->object.index, g_hash_table_unref);
    m = &o->object.members[i];
    g_free(m->key);
    json_unref(m->value);
    o->object.len--;
    memmove(m, m + 1, (o->object.len - (size_t)i) * sizeof(*m));
    if (o->object.len >= INDEX_FROM) {
        index_build(o);
    }
    return true;
}

const char *json_object_get_string(const JsonValue *o, const char *key)
{
    return json_get_string(json_object_get(o, key));
}

void json_object_at(const JsonValue *o, size_t i, const char **key, JsonValue **v)
{
    assert(o->kind == JSON_OBJECT && i < o->object.len);
    *key = o->object.members[i].key;
    *v = o->object.members[i].value;
}
