/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hostile client for JSON, key=value text and the schema's types: bytes go
 * through the parsers in pieces, and every type of the schema gets values that
 * are right but for a few faults. Nothing may crash or leak; what is accepted
 * must come back the same.
 *
 * Run as a test it uses a fixed set of generated inputs (the same in every
 * run), and any files named on the command line. LLVMFuzzerTestOneInput() is
 * there for a coverage-guided engine.
 */
#include "util/osdep.h"
#include "qapi-types.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TYPE_COUNT ARRAY_SIZE(qapi_types_tab.types)

typedef struct Input {
    const uint8_t *data;
    size_t left;
} Input;

static unsigned take(Input *in)
{
    if (in->left == 0) {
        return 0;
    }
    in->left--;
    return *in->data++;
}

/* ---- text ---- */

static void emit(void *opaque, JsonValue *v, const char *error)
{
    g_assert((v == NULL) == (error != NULL));
    ++*(size_t *)opaque;
    json_unref(v);
}

static void feed_stream(const uint8_t *data, size_t size)
{
    size_t values = 0, piece = size > 0 ? data[0] % 16 + 1 : 1;
    JsonStream *s = json_stream_new(emit, &values);

    for (size_t i = 0; i < size; i += piece) {
        json_stream_feed(s, (const char *)data + i, MIN(piece, size - i));
    }
    json_stream_flush(s);
    json_stream_free(s);
    g_assert_cmpuint(values, <=, size + 1);
}

/* What is printed reads as the same value. */
static void print_again(const JsonValue *v)
{
    g_autoptr(GString) text = json_print(v, JSON_COMPACT);
    g_autoptr(JsonValue) again = json_parse(text->str, text->len, NULL);

    if (strstr(text->str, "inf") == NULL && strstr(text->str, "\\uFFFD") == NULL) {
        g_assert_true(json_equal(v, again));
    }
}

/* ---- values for types ---- */

static const QapiType *type_at(unsigned i)
{
    return &qapi_types_tab.types[i];
}

static const char *name_at(uint32_t off)
{
    return (const char *)&qapi_types_tab + off;
}

static JsonValue *any_scalar(Input *in)
{
    switch (take(in) % 8) {
    case 0:
        return json_null();
    case 1:
        return json_bool(true);
    case 2:
        return json_int(-(int64_t)take(in));
    case 3:
        return json_uint(UINT64_MAX - take(in));
    case 4:
        return json_double(take(in) / 3.0);
    case 5:
        return json_keyval_string(take(in) % 2 ? "on" : "64K");
    case 6:
        return json_array();
    default:
        return json_string("text");
    }
}

static JsonValue *make(Input *in, const QapiType *t, unsigned depth);

static void make_members(Input *in, const QapiType *t, unsigned depth, JsonValue *o)
{
    const QapiMember *m = (const QapiMember *)name_at(t->member_off);

    for (unsigned i = 0; i < t->member_count; i++) {
        if (!(m[i].flags & QAPI_MEMBER_OPTIONAL) || (depth < 6 && take(in) % 2)) {
            json_object_set_take(o, name_at(m[i].name_off), make(in, type_at(m[i].type), depth + 1));
        }
    }
}

static JsonValue *make_enum(Input *in, const QapiType *t)
{
    const QapiEnum *e = (const QapiEnum *)name_at(t->member_off);

    return json_string(qapi_enum_str(e, (int)(take(in) % (unsigned)qapi_enum_count(e))));
}

static JsonValue *make_object(Input *in, const QapiType *t, unsigned depth)
{
    JsonValue *o = json_object();

    make_members(in, t, depth, o);
    if (t->tag != QAPI_NONE) {
        const QapiMember *tag = (const QapiMember *)name_at(t->member_off) + t->tag;
        const uint16_t *variants = (const uint16_t *)name_at(t->variant_off);
        const QapiEnum *e = (const QapiEnum *)name_at(type_at(tag->type)->member_off);
        int value = qapi_enum_parse(e, json_object_get_string(o, name_at(tag->name_off)) ?: "", "", NULL);

        if (value >= 0 && variants[value] != QAPI_NONE) {
            make_members(in, type_at(variants[value]), depth, o);
        }
    }
    return o;
}

/* A value that fits @t, most of the time. */
static JsonValue *make(Input *in, const QapiType *t, unsigned depth)
{
    const QapiMember *m = (const QapiMember *)name_at(t->member_off);
    JsonValue *v;

    if (depth > 20 || take(in) == 77) {
        return any_scalar(in);
    }
    switch ((QapiKind)t->kind) {
    case QAPI_KIND_STR:
        return json_string(take(in) % 4 ? "x" : "\xff\xc3\xa9");
    case QAPI_KIND_INT:
        return json_int((int8_t)take(in));
    case QAPI_KIND_UINT:
    case QAPI_KIND_SIZE:
        return json_int(take(in));
    case QAPI_KIND_NUMBER:
        return json_double(take(in) * 0.5 + 0.25);
    case QAPI_KIND_BOOL:
        return json_bool(take(in) % 2);
    case QAPI_KIND_ANY:
        return json_string("any");
    case QAPI_KIND_NULL:
        return json_null();
    case QAPI_KIND_ENUM:
        return make_enum(in, t);
    case QAPI_KIND_ALTERNATE:
        /* References come last: they end what definitions inside of definitions would go on with. */
        return make(in, type_at(m[depth > 6 ? t->member_count - 1u : take(in) % t->member_count].type), depth + 1);
    case QAPI_KIND_LIST:
        v = json_array();
        for (unsigned n = take(in) % 3 + 1; n > 0; n--) {
            json_array_add_take(v, make(in, type_at(t->element), depth + 1));
        }
        return v;
    default:
        return make_object(in, t, depth);
    }
}

/* Returns whether the value was accepted. */
static bool try_type(const QapiType *t, const JsonValue *v)
{
    g_autoptr(Error) err = NULL;
    void *p = qapi_decode(t, v, &err), *copy;
    JsonValue *out, *again;

    if (p == NULL) {
        /* An empty list is NULL without an error. */
        return err == NULL;
    }
    copy = qapi_clone(t, p);
    qapi_free(t, p);
    out = qapi_encode(t, copy);
    qapi_free(t, copy);
    /* What we give out we take in: encoding is a fixed point. */
    p = qapi_decode(t, out, &error_abort);
    again = qapi_encode(t, p);
    g_assert_true(json_equal(out, again));
    qapi_free(t, p);
    json_unref(again);
    json_unref(out);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input in = { data, size };
    const QapiType *t = type_at((take(&in) | take(&in) << 8) % TYPE_COUNT);
    g_autofree char *text = g_strndup((const char *)data, size);
    g_autoptr(JsonValue) parsed = json_parse((const char *)data, size, NULL);
    g_autoptr(JsonValue) keyval = keyval_parse(text, "implied", NULL, NULL);
    JsonValue *v;

    feed_stream(data, size);
    if (parsed != NULL) {
        print_again(parsed);
    }
    if (!t->pointer || t->kind == QAPI_KIND_STR || t->kind == QAPI_KIND_ANY) {
        return 0;
    }
    if (parsed != NULL) {
        try_type(t, parsed);
    }
    if (keyval != NULL) {
        try_type(t, keyval);
    }
    v = make(&in, t, 0);
    print_again(v);
    try_type(t, v);
    json_unref(v);
    return 0;
}

/* Without faults every type takes what is made for it. */
static void check_all_types(void)
{
    static const uint8_t steady[4096];
    unsigned taken = 0, tried = 0;

    for (unsigned i = 0; i < TYPE_COUNT; i++) {
        const QapiType *t = type_at(i);
        Input in = { steady, sizeof(steady) };

        if (t->pointer && t->kind != QAPI_KIND_STR && t->kind != QAPI_KIND_ANY) {
            JsonValue *v = make(&in, t, 0);

            tried++;
            taken += try_type(t, v);
            json_unref(v);
        }
    }
    g_assert_cmpuint(taken, ==, tried);
}

static void run_generated(void)
{
    static const char *const seeds[] = {
        "{\"execute\": \"x\", \"arguments\": {\"a\": [1, -2.5e3, null, true, \"\\u00e9\\ud83d\\ude00\"]}}",
        "driver=qcow2,file.driver=file,file.filename=a,,b,l.0.x=on,l.1.x=64K,help",
        "[[[[{\"a\":{}},0.1e-5]],'single \\' quote'],\"\xc3\xa9\"]",
    };
    g_autoptr(GRand) rand = g_rand_new_with_seed(20);

    for (int round = 0; round < 15000; round++) {
        uint8_t buf[256];
        size_t len = (size_t)g_rand_int_range(rand, 0, sizeof(buf));

        if (round % 3 == 0) {
            const char *seed = seeds[round / 3 % ARRAY_SIZE(seeds)];

            len = strlen(seed);
            memcpy(buf, seed, len);
            for (int n = g_rand_int_range(rand, 0, 5); n > 0; n--) {
                buf[g_rand_int_range(rand, 0, (int)len)] = (uint8_t)g_rand_int(rand);
            }
        } else {
            for (size_t i = 0; i < len; i++) {
                buf[i] = (uint8_t)g_rand_int(rand);
            }
        }
        LLVMFuzzerTestOneInput(buf, len);
    }
}

#ifndef FUZZ_ENGINE
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        g_autofree char *data = NULL;
        gsize len;

        if (!g_file_get_contents(argv[i], &data, &len, NULL)) {
            fprintf(stderr, "cannot read %s\n", argv[i]);
            return 1;
        }
        LLVMFuzzerTestOneInput((const uint8_t *)data, len);
    }
    if (argc == 1) {
        check_all_types();
        run_generated();
    }
    return 0;
}
#endif
