/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Walks a state table: save, load, describe. The layout is in
 * docs/devel/migration.md, "State sections".
 *
 * Thread: the caller's, with the machine lock. An incoming value is not
 * trusted: counts and lengths are checked here, what they mean by the table's
 * post_load.
 */
#include "util/osdep.h"
#include "migration/stream-internal.h"
#include "util/bswap.h"

/* Bytes of one element of an integer kind; 0 for the others. */
static unsigned integer_size(StateKind kind)
{
    static const uint8_t sizes[] = {
        [STATE_UINT8] = 1, [STATE_UINT16] = 2, [STATE_UINT32] = 4, [STATE_UINT64] = 8,
        [STATE_INT32] = 4, [STATE_INT64] = 8, [STATE_BOOL] = 1,
    };

    return kind < ARRAY_SIZE(sizes) ? sizes[kind] : 0;
}

static bool field_there(const StateField *f, const void *opaque, int version)
{
    return f->version <= version && (!f->when || f->when(opaque, version));
}

static uint32_t *count_field(const StateField *f, const void *opaque)
{
    return (uint32_t *)((char *)opaque + f->count_offset);
}

static uint32_t element_count(const StateField *f, const void *opaque)
{
    return f->count_offset ? *count_field(f, opaque) : f->count;
}

/* ---- save ---- */

static void save_integer(StateStream *s, const void *p, unsigned size)
{
    uint8_t bytes[8];
    uint64_t v = 0;

    /* The host's order in memory, little-endian in the stream. */
    switch (size) {
    case 1: v = *(const uint8_t *)p; break;
    case 2: v = *(const uint16_t *)p; break;
    case 4: v = *(const uint32_t *)p; break;
    case 8: v = *(const uint64_t *)p; break;
    }
    store_le64(bytes, v);
    state_put(s, bytes, size);
}

static void save_field(const StateField *f, StateStream *s, void *opaque)
{
    char *p = (char *)opaque + f->offset;
    unsigned size = integer_size(f->kind);
    size_t mark;

    switch (f->kind) {
    case STATE_BYTES:
        state_put(s, p, f->size);
        break;
    case STATE_BUFFER:
        state_put_u32(s, *count_field(f, opaque));
        state_put(s, *(void **)p, *count_field(f, opaque));
        break;
    case STATE_STRUCT:
        for (uint32_t i = 0; i < element_count(f, opaque); i++) {
            state_save(f->table, s, p + i * f->size);
        }
        break;
    case STATE_CUSTOM:
        mark = state_length_begin(s);
        f->save(s, p, opaque);
        state_length_end(s, mark);
        break;
    default:
        for (uint32_t i = 0; i < element_count(f, opaque); i++) {
            save_integer(s, p + i * f->size, size);
        }
        break;
    }
}

static void save_subsections(const StateTable *table, StateStream *s, void *opaque)
{
    const StateTable *const *list = table->subsections;
    uint8_t count = 0;

    for (unsigned i = 0; list && list[i]; i++) {
        count += list[i]->needed(opaque);
    }
    state_put_u8(s, count);
    for (unsigned i = 0; list && list[i]; i++) {
        size_t mark;

        if (!list[i]->needed(opaque)) {
            continue;
        }
        state_put_u8(s, strlen(list[i]->name));
        state_put(s, list[i]->name, strlen(list[i]->name));
        mark = state_length_begin(s);
        state_save(list[i], s, opaque);
        state_length_end(s, mark);
    }
}

void state_save(const StateTable *table, StateStream *s, void *opaque)
{
    if (table->pre_save) {
        table->pre_save(opaque);
    }
    state_put_u16(s, table->version);
    for (const StateField *f = table->fields; f->kind != STATE_END; f++) {
        if (field_there(f, opaque, table->version)) {
            save_field(f, s, opaque);
        }
    }
    save_subsections(table, s, opaque);
}

/* ---- load ---- */

static void load_integer(StateStream *s, void *p, unsigned size)
{
    uint8_t bytes[8] = { 0 };
    uint64_t v;

    state_get(s, bytes, size);
    v = load_le64(bytes);
    switch (size) {
    case 1: *(uint8_t *)p = v; break;
    case 2: *(uint16_t *)p = v; break;
    case 4: *(uint32_t *)p = v; break;
    case 8: *(uint64_t *)p = v; break;
    }
}

static void load_integers(const StateField *f, StateStream *s, char *p, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (f->kind == STATE_BOOL) {
            uint8_t v = state_get_u8(s);

            if (v > 1) {
                state_fail(s, "%u is no truth value", v);
            }
            *(bool *)(p + i * f->size) = v == 1;
        } else {
            load_integer(s, p + i * f->size, integer_size(f->kind));
        }
    }
}

static void load_buffer(const StateField *f, StateStream *s, char *p, void *opaque)
{
    uint32_t len = state_get_u32(s);

    if (len > f->max || len > s->len - s->pos) {
        state_fail(s, "%u bytes, the limit is %u", len, f->max);
        return;
    }
    g_free(*(void **)p);
    *(void **)p = g_malloc(MAX(len, 1u));
    *count_field(f, opaque) = len;
    state_get(s, *(void **)p, len);
}

static void load_structs(const StateField *f, StateStream *s, char *p, uint32_t count)
{
    for (uint32_t i = 0; i < count && state_ok(s); i++) {
        if (!state_load(f->table, s, p + i * f->size) && f->count > 1) {
            g_autofree char *where = g_strdup_printf("[%u]", i);

            state_fail_in(s, where);
        }
    }
}

static void load_custom(const StateField *f, StateStream *s, void *p, void *opaque)
{
    size_t outer = state_limit_begin(s);

    if (state_ok(s) && !f->load(s, p, opaque)) {
        state_fail(s, "the value is not acceptable");
    }
    state_limit_end(s, outer);
}

static bool load_field(const StateField *f, StateStream *s, void *opaque)
{
    char *p = (char *)opaque + f->offset;
    uint32_t count = f->kind == STATE_BUFFER ? 0 : element_count(f, opaque);

    if (count > f->count) {
        state_fail(s, "%u elements, the limit is %u", count, f->count);
    } else if (f->kind == STATE_BYTES) {
        state_get(s, p, f->size);
    } else if (f->kind == STATE_BUFFER) {
        load_buffer(f, s, p, opaque);
    } else if (f->kind == STATE_STRUCT) {
        load_structs(f, s, p, count);
    } else if (f->kind == STATE_CUSTOM) {
        load_custom(f, s, p, opaque);
    } else {
        load_integers(f, s, p, count);
    }
    if (!state_ok(s)) {
        state_fail_in(s, f->name);
    }
    return state_ok(s);
}

static const StateTable *find_subsection(const StateTable *table, const char *name)
{
    const StateTable *const *list = table->subsections;

    for (unsigned i = 0; list && list[i]; i++) {
        if (!strcmp(list[i]->name, name)) {
            return list[i];
        }
    }
    return NULL;
}

static void load_subsection(const StateTable *table, StateStream *s, void *opaque)
{
    char name[256] = { 0 };
    const StateTable *sub;
    size_t outer;

    state_get(s, name, state_get_u8(s));
    sub = find_subsection(table, name);
    if (!sub) {
        state_fail(s, "it has a part '%s' that is not known here", name);
        return;
    }
    outer = state_limit_begin(s);
    if (state_ok(s) && !state_load(sub, s, opaque)) {
        state_fail_in(s, name);
    }
    state_limit_end(s, outer);
}

bool state_load(const StateTable *table, StateStream *s, void *opaque)
{
    int version = state_get_u16(s);
    uint8_t subsections;

    if (state_ok(s) && (version > table->version || version < table->minimum_version)) {
        state_fail(s, "version %d of '%s' is not supported (%d to %d are)", version, table->name,
                   table->minimum_version, table->version);
    }
    if (state_ok(s) && table->pre_load && !table->pre_load(opaque)) {
        state_fail(s, "'%s' cannot be loaded now", table->name);
    }
    for (const StateField *f = table->fields; state_ok(s) && f->kind != STATE_END; f++) {
        if (field_there(f, opaque, version)) {
            load_field(f, s, opaque);
        }
    }
    subsections = state_get_u8(s);
    for (unsigned i = 0; i < subsections && state_ok(s); i++) {
        load_subsection(table, s, opaque);
    }
    if (state_ok(s) && table->post_load && !table->post_load(opaque, version)) {
        state_fail(s, "the values of '%s' are not acceptable", table->name);
    }
    return state_ok(s);
}

/* ---- describe ---- */

static const char *const kind_names[] = {
    [STATE_UINT8] = "uint8", [STATE_UINT16] = "uint16", [STATE_UINT32] = "uint32",
    [STATE_UINT64] = "uint64", [STATE_INT32] = "int32", [STATE_INT64] = "int64",
    [STATE_BOOL] = "bool", [STATE_BYTES] = "bytes", [STATE_BUFFER] = "buffer",
    [STATE_STRUCT] = "struct", [STATE_CUSTOM] = "custom",
};

/* The field before that holds the number of elements. */
static const char *count_name(const StateTable *table, const StateField *of)
{
    for (const StateField *f = table->fields; f->kind != STATE_END; f++) {
        if (f->offset == of->count_offset && f->kind == STATE_UINT32) {
            return f->name;
        }
    }
    return NULL;
}

static JsonValue *describe_field(const StateTable *table, const StateField *f, const void *opaque)
{
    JsonValue *o = json_object();

    json_object_set_string(o, "name", f->name);
    json_object_set_string(o, "kind", kind_names[f->kind]);
    if (f->version) {
        json_object_set_int(o, "since", f->version);
    }
    if (f->when && !opaque) {
        json_object_set_bool(o, "conditional", true);
    }
    switch (f->kind) {
    case STATE_BYTES:
        json_object_set_uint(o, "size", f->size);
        break;
    case STATE_BUFFER:
        json_object_set_uint(o, "max", f->max);
        break;
    case STATE_STRUCT:
        json_object_set_take(o, "table",
                             state_describe(f->table, opaque ? (char *)opaque + f->offset : NULL));
        /* fall through */
    default:
        if (f->count_offset) {
            json_object_set_string(o, "count", count_name(table, f));
            json_object_set_uint(o, "max", f->count);
        } else if (f->count != 1) {
            json_object_set_uint(o, "count", f->count);
        }
        break;
    case STATE_CUSTOM:
        break;
    }
    return o;
}

JsonValue *state_describe(const StateTable *table, const void *opaque)
{
    JsonValue *o = json_object(), *fields = json_array();

    json_object_set_string(o, "name", table->name);
    json_object_set_int(o, "version", table->version);
    json_object_set_int(o, "minimum-version", table->minimum_version);
    for (const StateField *f = table->fields; f->kind != STATE_END; f++) {
        if (!opaque || field_there(f, opaque, table->version)) {
            json_array_add_take(fields, describe_field(table, f, opaque));
        }
    }
    json_object_set_take(o, "fields", fields);
    if (table->subsections) {
        JsonValue *list = json_array();

        for (unsigned i = 0; table->subsections[i]; i++) {
            json_array_add_take(list, state_describe(table->subsections[i], opaque));
        }
        json_object_set_take(o, "subsections", list);
    }
    return o;
}
