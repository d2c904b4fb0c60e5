/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Schema types by their tables: JSON to C and back, copy and free.
 *
 * Thread: any. Trust: decoded values are a client's; depth is bounded by the
 * depth of the JSON value. A list that is empty is NULL in C, so an optional
 * list that is there but empty reads as absent.
 */
#include "util/osdep.h"
#include "util/cutils.h"
#include "qapi/qapi.h"
#include "qapi/qapi-table.h"

/* Where we are in the input, for error texts. */
typedef struct Path {
    const struct Path *up;
    const char *name;           /* NULL: a list position */
    size_t index;
} Path;

static const char *table(const QapiType *t)
{
    return (const char *)(t - t->index);
}

static const QapiType *type_at(const QapiType *t, uint16_t index)
{
    return t - t->index + index;
}

static const char *type_name(const QapiType *t)
{
    return table(t) + t->name_off;
}

static const QapiMember *members(const QapiType *t)
{
    return (const QapiMember *)(table(t) + t->member_off);
}

static const char *member_name(const QapiType *t, const QapiMember *m)
{
    return table(t) + m->name_off;
}

static const QapiEnum *type_enum(const QapiType *t)
{
    return (const QapiEnum *)(table(t) + t->member_off);
}

/* The struct that union @t at @p holds beside its base, or NULL. */
static const QapiType *variant(const QapiType *t, const void *p)
{
    const uint16_t *variants = (const uint16_t *)(table(t) + t->variant_off);
    int tag;

    if (t->tag == QAPI_NONE) {
        return NULL;
    }
    tag = *(const int *)((const char *)p + members(t)[t->tag].offset);
    if (tag < 0 || tag >= t->variant_count || variants[tag] == QAPI_NONE) {
        return NULL;
    }
    return type_at(t, variants[tag]);
}

/* ---- enums ---- */

static const char *enum_text(const QapiEnum *e, int value)
{
    const char *base = (const char *)e - e->self_off;

    return base + ((const uint32_t *)(base + e->text_off))[value];
}

const char *qapi_enum_str(const QapiEnum *e, int value)
{
    return value >= 0 && value < e->count ? enum_text(e, value) : NULL;
}

int qapi_enum_count(const QapiEnum *e)
{
    return e->count;
}

const char *qapi_enum_name(const QapiEnum *e)
{
    return (const char *)e - e->self_off + e->name_off;
}

int qapi_enum_parse(const QapiEnum *e, const char *text, const char *param, Error **errp)
{
    for (int i = 0; i < e->count; i++) {
        if (strcmp(enum_text(e, i), text) == 0) {
            return i;
        }
    }
    error_setg(errp, "Parameter '%s' does not accept value '%s'", param, text);
    return -1;
}

/* ---- errors ---- */

static void path_append(GString *out, const Path *p, bool keyval)
{
    if (p->up != NULL) {
        path_append(out, p->up, keyval);
    }
    if (p->name == NULL) {
        g_string_append_printf(out, keyval ? ".%zu" : "[%zu]", p->index);
    } else {
        g_string_append_printf(out, "%s%s", out->len > 0 ? "." : "", p->name);
    }
}

static char *path_text(const Path *p, const JsonValue *v)
{
    GString *out = g_string_new(NULL);

    if (p != NULL) {
        path_append(out, p, v != NULL && json_is_keyval(v));
    }
    if (out->len == 0) {
        g_string_append(out, "null");
    }
    return g_string_free(out, FALSE);
}

static bool type_error(const Path *p, const JsonValue *v, const char *expected, Error **errp)
{
    g_autofree char *path = path_text(p, v);

    error_setg(errp, "Invalid parameter type for '%s', expected: %s", path, expected);
    return false;
}

static bool value_error(const Path *p, const JsonValue *v, const char *expected, Error **errp)
{
    g_autofree char *path = path_text(p, v);

    error_setg(errp, "Parameter '%s' expects %s", path, expected);
    return false;
}

/* A keyval string where @v should be a scalar of another kind; NULL with an error otherwise. */
static const char *keyval_text(const Path *p, const JsonValue *v, const char *expected, Error **errp)
{
    if (json_kind(v) != JSON_STRING) {
        g_autofree char *path = path_text(p, v);

        error_setg(errp, "Parameters '%s.*' are unexpected", path);
        return NULL;
    }
    return json_get_string(v);
}

/* ---- decoding ---- */

static bool decode_value(const QapiType *t, const JsonValue *v, const Path *p, void *out, Error **errp);

static void int_type_text(const QapiType *t, char *buf, size_t len)
{
    snprintf(buf, len, "%sint%u_t", t->kind == QAPI_KIND_INT ? "" : "u", (unsigned)t->size * 8);
}

static bool int_store(const QapiType *t, uint64_t u, const Path *p, void *out, Error **errp)
{
    unsigned bits = t->size * 8;
    bool fits = true;
    char text[16];

    if (bits < 64 && t->kind == QAPI_KIND_INT) {
        fits = (int64_t)u >= -(INT64_C(1) << (bits - 1)) && (int64_t)u < INT64_C(1) << (bits - 1);
    } else if (bits < 64) {
        fits = u < UINT64_C(1) << bits;
    }
    if (!fits) {
        /* The protocol names only the last part of the path here. */
        int_type_text(t, text, sizeof(text));
        error_setg(errp, "Parameter '%s' expects %s", p != NULL && p->name != NULL ? p->name : "null", text);
        return false;
    }
    /* Both targets are little endian. */
    memcpy(out, &u, t->size);
    return true;
}

static bool decode_int(const QapiType *t, const JsonValue *v, const Path *p, void *out, Error **errp)
{
    uint64_t u;
    int64_t i;

    if (json_is_keyval(v)) {
        const char *s = keyval_text(p, v, "integer", errp);

        if (s == NULL) {
            return false;
        }
        if (t->kind == QAPI_KIND_SIZE) {
            if (parse_size(s, 'B', &u) < 0) {
                return value_error(p, v, "a size value representible as a 64-bit integer", errp);
            }
        } else if (parse_int64(s, 0, &i) == 0) {
            u = (uint64_t)i;
        } else if (t->kind != QAPI_KIND_UINT || parse_uint64(s, 0, &u) != 0) {
            return value_error(p, v, "integer", errp);
        }
        return int_store(t, u, p, out, errp);
    }
    if (json_get_int(v, &i)) {
        /* Also for unsigned ones: clients write UINT64_MAX as -1. */
        return int_store(t, (uint64_t)i, p, out, errp);
    }
    if (t->kind == QAPI_KIND_INT) {
        return type_error(p, v, "integer", errp);
    }
    if (!json_get_uint(v, &u)) {
        return value_error(p, v, "uint64", errp);
    }
    return int_store(t, u, p, out, errp);
}

static bool decode_bool(const JsonValue *v, const Path *p, bool *out, Error **errp)
{
    if (json_is_keyval(v)) {
        const char *s = keyval_text(p, v, "boolean", errp);

        if (s == NULL) {
            return false;
        }
        if (!parse_bool("", s, out, NULL)) {
            return value_error(p, v, "'on' or 'off'", errp);
        }
        return true;
    }
    return json_get_bool(v, out) || type_error(p, v, "boolean", errp);
}

static bool decode_number(const JsonValue *v, const Path *p, double *out, Error **errp)
{
    if (json_is_keyval(v)) {
        const char *s = keyval_text(p, v, "number", errp);
        char *end;

        if (s == NULL) {
            return false;
        }
        errno = 0;
        *out = g_ascii_strtod(s, &end);
        if (errno != 0 || end == s || *end != '\0') {
            return value_error(p, v, "number", errp);
        }
        return true;
    }
    return json_get_double(v, out) || type_error(p, v, "number", errp);
}

static bool decode_string(const JsonValue *v, const Path *p, char **out, Error **errp)
{
    if (json_get_string(v) == NULL) {
        return json_is_keyval(v) ? keyval_text(p, v, "string", errp) != NULL
                                 : type_error(p, v, "string", errp);
    }
    *out = g_strdup(json_get_string(v));
    return true;
}

static bool decode_enum(const QapiType *t, const JsonValue *v, const Path *p, int *out, Error **errp)
{
    const char *s = json_get_string(v);

    if (s == NULL) {
        return json_is_keyval(v) ? keyval_text(p, v, "string", errp) != NULL
                                 : type_error(p, v, "string", errp);
    }
    *out = qapi_enum_parse(type_enum(t), s, p != NULL && p->name != NULL ? p->name : "null", errp);
    return *out >= 0;
}

static const QapiMember *find_member(const QapiType *t, const char *name)
{
    for (unsigned i = 0; t != NULL && i < t->member_count; i++) {
        if (strcmp(member_name(t, &members(t)[i]), name) == 0) {
            return &members(t)[i];
        }
    }
    return NULL;
}

QapiPolicy qapi_policy;

bool qapi_policy_check(QapiFeature f, bool has, const char *kind, const char *name, Error **errp)
{
    if (!has || qapi_policy.input[f] == QAPI_INPUT_ACCEPT) {
        return true;
    }
    if (qapi_policy.input[f] == QAPI_INPUT_CRASH) {
        abort();
    }
    error_setg(errp, "%s %s %s disabled by policy", f == QAPI_DEPRECATED ? "Deprecated" : "Unstable", kind, name);
    return false;
}

/* The members of @t that object @v has, counted into *@used. */
static bool decode_members(const QapiType *t, const JsonValue *v, const Path *p, char *out,
                           size_t *used, Error **errp)
{
    for (unsigned i = 0; i < t->member_count; i++) {
        const QapiMember *m = &members(t)[i];
        Path here = { .up = p, .name = member_name(t, m) };
        const JsonValue *mv = json_object_get(v, here.name);

        if (mv == NULL) {
            if (!(m->flags & QAPI_MEMBER_OPTIONAL)) {
                g_autofree char *path = path_text(&here, v);

                error_setg(errp, "Parameter '%s' is missing", path);
                return false;
            }
            continue;
        }
        (*used)++;
        if (!json_is_keyval(v) &&
            (!qapi_policy_check(QAPI_DEPRECATED, m->flags & QAPI_MEMBER_DEPRECATED, "parameter", here.name, errp) ||
             !qapi_policy_check(QAPI_UNSTABLE, m->flags & QAPI_MEMBER_UNSTABLE, "parameter", here.name, errp))) {
            return false;
        }
        if (m->has_offset != QAPI_NONE) {
            *(bool *)(out + m->has_offset) = true;
        }
        if (!decode_value(type_at(t, m->type), mv, &here, out + m->offset, errp)) {
            return false;
        }
    }
    return true;
}

static bool decode_object(const QapiType *t, const JsonValue *v, const Path *p, char *out, Error **errp)
{
    const QapiType *branch;
    size_t used = 0;

    if (json_kind(v) != JSON_OBJECT) {
        return type_error(p, v, "object", errp);
    }
    if (!decode_members(t, v, p, out, &used, errp)) {
        return false;
    }
    branch = variant(t, out);
    if (branch != NULL && !decode_members(branch, v, p, out + t->value_offset, &used, errp)) {
        return false;
    }
    for (size_t i = 0; used < json_object_len(v) && i < json_object_len(v); i++) {
        Path here = { .up = p };
        JsonValue *mv;

        json_object_at(v, i, &here.name, &mv);
        if (find_member(t, here.name) == NULL && find_member(branch, here.name) == NULL) {
            g_autofree char *path = path_text(&here, v);

            error_setg(errp, "Parameter '%s' is unexpected", path);
            return false;
        }
    }
    return true;
}

static QapiAltKind alt_of_json(const JsonValue *v)
{
    switch (json_kind(v)) {
    case JSON_NULL:
        return QAPI_ALT_NULL;
    case JSON_BOOL:
        return QAPI_ALT_BOOL;
    case JSON_STRING:
        return QAPI_ALT_STR;
    case JSON_ARRAY:
        return QAPI_ALT_LIST;
    case JSON_OBJECT:
        return QAPI_ALT_DICT;
    default:
        return QAPI_ALT_NUM;
    }
}

static QapiAltKind alt_of_type(const QapiType *t)
{
    switch ((QapiKind)t->kind) {
    case QAPI_KIND_NULL:
        return QAPI_ALT_NULL;
    case QAPI_KIND_BOOL:
        return QAPI_ALT_BOOL;
    case QAPI_KIND_STR:
    case QAPI_KIND_ENUM:
        return QAPI_ALT_STR;
    case QAPI_KIND_LIST:
        return QAPI_ALT_LIST;
    case QAPI_KIND_OBJECT:
        return QAPI_ALT_DICT;
    default:
        return QAPI_ALT_NUM;
    }
}

static const QapiMember *alt_branch(const QapiType *t, QapiAltKind kind)
{
    for (unsigned i = 0; i < t->member_count; i++) {
        if (alt_of_type(type_at(t, members(t)[i].type)) == kind) {
            return &members(t)[i];
        }
    }
    return NULL;
}

static bool decode_alternate(const QapiType *t, const JsonValue *v, const Path *p, char *out, Error **errp)
{
    QapiAltKind kind = alt_of_json(v);
    const QapiMember *m = alt_branch(t, kind);

    if (m == NULL) {
        return type_error(p, v, type_name(t), errp);
    }
    *(QapiAltKind *)out = kind;
    return decode_value(type_at(t, m->type), v, p, out + m->offset, errp);
}

/* Numbers in one range of key=value text. */
#define RANGE_MAX 65536

/* Adds the numbers of "3" or "0-3" to @list; false when it is neither. */
static bool expand_range(const char *text, JsonValue *list)
{
    const char *dash = strchr(text, '-');
    g_autofree char *first = dash != NULL ? g_strndup(text, (gsize)(dash - text)) : g_strdup(text);
    uint64_t from, to;

    if (parse_uint64(first, 0, &from) != 0 || parse_uint64(dash != NULL ? dash + 1 : text, 0, &to) != 0 ||
        from > to || to - from >= RANGE_MAX) {
        return false;
    }
    for (uint64_t i = from; i <= to; i++) {
        json_array_add_take(list, json_uint(i));
    }
    return true;
}

/* The numbers of the ranges in @v, text or a list of texts; @v itself when there are others. */
static JsonValue *expand_ranges(const JsonValue *v)
{
    g_autoptr(JsonValue) list = json_array();
    size_t n = json_kind(v) == JSON_ARRAY ? json_array_len(v) : 1;

    for (size_t i = 0; i < n; i++) {
        const JsonValue *item = json_kind(v) == JSON_ARRAY ? json_array_at(v, i) : v;

        if (!json_is_keyval(item) || json_get_string(item) == NULL ||
            !expand_range(json_get_string(item), list)) {
            return json_ref((JsonValue *)v);
        }
    }
    return g_steal_pointer(&list);
}

static bool decode_list(const QapiType *t, const JsonValue *v, const Path *p, void **out, Error **errp)
{
    const QapiType *element = type_at(t, t->element);
    g_autoptr(JsonValue) ranges = NULL;

    if (json_is_keyval(v) && (element->kind == QAPI_KIND_INT || element->kind == QAPI_KIND_UINT)) {
        v = ranges = expand_ranges(v);
        if (json_is_keyval(v) && json_kind(v) == JSON_STRING) {
            return value_error(p, v, "a uint64 value or range", errp);
        }
    }
    if (json_kind(v) != JSON_ARRAY) {
        return type_error(p, v, "array", errp);
    }
    for (size_t i = 0; i < json_array_len(v); i++) {
        Path here = { .up = p, .index = i };
        char *cell = g_malloc0(t->size);

        /* Linked in first, so that a failure frees it with the rest. */
        *out = cell;
        out = (void **)cell;
        if (!decode_value(element, json_array_at(v, i), &here, cell + t->value_offset, errp)) {
            return false;
        }
    }
    return true;
}

/*
 * @v into a member of type @t at @out (zeroed). On failure what has been made
 * stays reachable from @out and is freed with the whole.
 */
static bool decode_value(const QapiType *t, const JsonValue *v, const Path *p, void *out, Error **errp)
{
    switch ((QapiKind)t->kind) {
    case QAPI_KIND_STR:
        return decode_string(v, p, out, errp);
    case QAPI_KIND_INT:
    case QAPI_KIND_UINT:
    case QAPI_KIND_SIZE:
        return decode_int(t, v, p, out, errp);
    case QAPI_KIND_NUMBER:
        return decode_number(v, p, out, errp);
    case QAPI_KIND_BOOL:
        return decode_bool(v, p, out, errp);
    case QAPI_KIND_ANY:
        *(JsonValue **)out = json_copy(v);
        return true;
    case QAPI_KIND_NULL:
        return json_kind(v) == JSON_NULL || type_error(p, v, "null", errp);
    case QAPI_KIND_ENUM:
        return decode_enum(t, v, p, out, errp);
    case QAPI_KIND_LIST:
        return decode_list(t, v, p, out, errp);
    case QAPI_KIND_OBJECT:
        *(void **)out = g_malloc0(t->size);
        return decode_object(t, v, p, *(void **)out, errp);
    case QAPI_KIND_ALTERNATE:
        *(void **)out = g_malloc0(t->size);
        return decode_alternate(t, v, p, *(void **)out, errp);
    }
    return false;
}

void *qapi_decode(const QapiType *t, const JsonValue *v, Error **errp)
{
    g_autoptr(JsonValue) empty = NULL;
    void *result = NULL;

    assert(t->pointer);
    if (v == NULL) {
        v = empty = json_object();
    }
    if (!decode_value(t, v, NULL, &result, errp)) {
        qapi_free(t, result);
        return NULL;
    }
    return result;
}

bool qapi_decode_into(const QapiType *t, const JsonValue *v, void *out, Error **errp)
{
    assert(t->kind == QAPI_KIND_OBJECT || t->kind == QAPI_KIND_ALTERNATE);
    if (t->kind == QAPI_KIND_OBJECT ? decode_object(t, v, NULL, out, errp)
                                    : decode_alternate(t, v, NULL, out, errp)) {
        return true;
    }
    qapi_clear(t, out);
    return false;
}

bool qapi_decode_no_args(const JsonValue *json, Error **errp)
{
    const char *key;
    JsonValue *v;

    if (json == NULL || json_object_len(json) == 0) {
        return true;
    }
    json_object_at(json, 0, &key, &v);
    error_setg(errp, "Parameter '%s' is unexpected", key);
    return false;
}

/* ---- encoding ---- */

static JsonValue *encode_value(const QapiType *t, const void *p);

static JsonValue *encode_int(const QapiType *t, const void *p)
{
    switch (t->size) {
    case 1:
        return json_int(t->kind == QAPI_KIND_INT ? *(const int8_t *)p : *(const uint8_t *)p);
    case 2:
        return json_int(t->kind == QAPI_KIND_INT ? *(const int16_t *)p : *(const uint16_t *)p);
    case 4:
        return json_int(t->kind == QAPI_KIND_INT ? *(const int32_t *)p
                                                 : (int64_t)*(const uint32_t *)p);
    default:
        return t->kind == QAPI_KIND_INT ? json_int(*(const int64_t *)p) : json_uint(*(const uint64_t *)p);
    }
}

static void encode_members(const QapiType *t, const char *p, JsonValue *o)
{
    for (unsigned i = 0; i < t->member_count; i++) {
        const QapiMember *m = &members(t)[i];
        const QapiType *mt = type_at(t, m->type);

        if ((m->flags & QAPI_MEMBER_DEPRECATED && qapi_policy.hide[QAPI_DEPRECATED]) ||
            (m->flags & QAPI_MEMBER_UNSTABLE && qapi_policy.hide[QAPI_UNSTABLE])) {
            continue;
        }
        if (m->flags & QAPI_MEMBER_OPTIONAL && (mt->pointer ? *(void *const *)(p + m->offset) == NULL
                                        : !*(const bool *)(p + m->has_offset))) {
            continue;
        }
        json_object_set_take(o, member_name(t, m), encode_value(mt, p + m->offset));
    }
}

static JsonValue *encode_object(const QapiType *t, const char *p)
{
    JsonValue *o = json_object();
    const QapiType *branch;

    assert(p != NULL);
    encode_members(t, p, o);
    branch = variant(t, p);
    if (branch != NULL) {
        encode_members(branch, p + t->value_offset, o);
    }
    return o;
}

static JsonValue *encode_list(const QapiType *t, const char *cell)
{
    JsonValue *a = json_array();

    for (; cell != NULL; cell = *(char *const *)cell) {
        json_array_add_take(a, encode_value(type_at(t, t->element), cell + t->value_offset));
    }
    return a;
}

/* The member at @p; the opposite of decode_value(). */
static JsonValue *encode_value(const QapiType *t, const void *p)
{
    const char *target = t->pointer ? *(const char *const *)p : NULL;
    const QapiMember *m;

    switch ((QapiKind)t->kind) {
    case QAPI_KIND_STR:
        return json_string(target != NULL ? target : "");
    case QAPI_KIND_INT:
    case QAPI_KIND_UINT:
    case QAPI_KIND_SIZE:
        return encode_int(t, p);
    case QAPI_KIND_NUMBER:
        return json_double(*(const double *)p);
    case QAPI_KIND_BOOL:
        return json_bool(*(const bool *)p);
    case QAPI_KIND_ANY:
        return target != NULL ? json_copy((const JsonValue *)target) : json_null();
    case QAPI_KIND_NULL:
        return json_null();
    case QAPI_KIND_ENUM:
        assert(qapi_enum_str(type_enum(t), *(const int *)p) != NULL);
        return json_string(enum_text(type_enum(t), *(const int *)p));
    case QAPI_KIND_OBJECT:
        return encode_object(t, target);
    case QAPI_KIND_LIST:
        return encode_list(t, target);
    case QAPI_KIND_ALTERNATE:
        m = alt_branch(t, *(const QapiAltKind *)target);
        assert(m != NULL);
        return encode_value(type_at(t, m->type), target + m->offset);
    }
    return NULL;
}

JsonValue *qapi_encode(const QapiType *t, const void *p)
{
    return t->pointer ? encode_value(t, &p) : encode_value(t, p);
}

JsonValue *qapi_command_result(const QapiType *t, void *ret, Error *err, Error **errp)
{
    JsonValue *v;

    if (err != NULL) {
        error_propagate(errp, err);
        return NULL;
    }
    assert(ret != NULL || t->kind == QAPI_KIND_LIST);
    if (t->kind == QAPI_KIND_ANY) {
        return ret;
    }
    v = encode_value(t, &ret);
    if (t->kind == QAPI_KIND_STR) {
        g_free(ret);
    } else {
        qapi_free(t, ret);
    }
    return v;
}

/* ---- copy and free ---- */

static void clear_value(const QapiType *t, void *p)
{
    void **target = p;

    if (!t->pointer || *target == NULL) {
        return;
    }
    if (t->kind == QAPI_KIND_STR) {
        g_free(*target);
    } else if (t->kind == QAPI_KIND_ANY) {
        json_unref(*target);
    } else {
        qapi_free(t, *target);
    }
    *target = NULL;
}

void qapi_clear(const QapiType *t, void *p)
{
    const QapiType *branch;

    if (t->kind == QAPI_KIND_ALTERNATE) {
        const QapiMember *m = alt_branch(t, *(QapiAltKind *)p);

        if (m != NULL) {
            clear_value(type_at(t, m->type), (char *)p + m->offset);
        }
        return;
    }
    branch = variant(t, p);
    if (branch != NULL) {
        qapi_clear(branch, (char *)p + t->value_offset);
    }
    for (unsigned i = 0; i < t->member_count; i++) {
        clear_value(type_at(t, members(t)[i].type), (char *)p + members(t)[i].offset);
    }
}

void qapi_free(const QapiType *t, void *p)
{
    if (t->kind == QAPI_KIND_LIST) {
        while (p != NULL) {
            void *next = *(void **)p;

            clear_value(type_at(t, t->element), (char *)p + t->value_offset);
            g_free(p);
            p = next;
        }
    } else if (p != NULL) {
        qapi_clear(t, p);
        g_free(p);
    }
}

/* Members at @p are shallow copies; make what they point to their own. */
static void own_value(const QapiType *t, void *p);

static void own_members(const QapiType *t, char *p)
{
    const QapiType *branch = variant(t, p);

    for (unsigned i = 0; i < t->member_count; i++) {
        own_value(type_at(t, members(t)[i].type), p + members(t)[i].offset);
    }
    if (branch != NULL) {
        own_members(branch, p + t->value_offset);
    }
}

static void own_value(const QapiType *t, void *p)
{
    void **target = p;
    const QapiMember *m;

    if (!t->pointer || *target == NULL) {
        return;
    }
    switch ((QapiKind)t->kind) {
    case QAPI_KIND_STR:
        *target = g_strdup(*target);
        break;
    case QAPI_KIND_ANY:
        *target = json_copy(*target);
        break;
    case QAPI_KIND_LIST:
        for (; *target != NULL; target = *target) {
            *target = g_memdup2(*target, t->size);
            own_value(type_at(t, t->element), (char *)*target + t->value_offset);
        }
        break;
    case QAPI_KIND_OBJECT:
        *target = g_memdup2(*target, t->size);
        own_members(t, *target);
        break;
    default:
        *target = g_memdup2(*target, t->size);
        m = alt_branch(t, *(QapiAltKind *)*target);
        if (m != NULL) {
            own_value(type_at(t, m->type), (char *)*target + m->offset);
        }
        break;
    }
}

void *qapi_clone(const QapiType *t, const void *p)
{
    void *copy = (void *)(uintptr_t)p;

    assert(t->pointer);
    own_value(t, &copy);
    return copy;
}
