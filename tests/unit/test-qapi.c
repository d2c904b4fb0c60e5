/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Schema types by their tables, commands and events of a schema made for this test. */
#include "util/osdep.h"
#include "test-qapi-commands.h"
#include "test-qapi-events.h"

typedef struct Case {
    const char *in, *out;
} Case;

static JsonValue *parse(const char *text)
{
    if (*text == '{') {
        return json_parse(text, strlen(text), &error_abort);
    }
    return keyval_parse(text, NULL, NULL, &error_abort);
}

static char *text_of(const JsonValue *v)
{
    return g_string_free(json_print(v, JSON_COMPACT), FALSE);
}

/* Decoded, cloned, encoded again. */
static void test_round_trip(void)
{
    static const Case cases[] = {
        { "{\"name\":\"x\"}", "{\"name\": \"x\"}" },
        { "{\"name\":\"x\",\"level\":255,\"on\":false,\"i\":-1,\"i32\":-2147483648,\"u64\":-1}", NULL },
        { "{\"name\":\"\",\"size\":1,\"n\":1,\"color\":\"dark-blue\",\"inner\":{\"name\":\"y\"}}", NULL },
        { "{\"name\":\"\",\"names\":[\"a\",\"b\"],\"inners\":[{\"name\":\"1\"},{\"name\":\"2\",\"level\":0}]}", NULL },
        { "{\"name\":\"\",\"bytes\":[1,2,255],\"colors\":[\"3d\",\"red\"],\"raw\":{\"a\":[null]},\"unix\":\"u\"}", NULL },
        { "{\"name\":\"\",\"alt\":\"s\",\"alts\":[null,-5,\"t\",{\"name\":\"n\"},[\"l\"]]}", NULL },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autoptr(JsonValue) in = parse(cases[i].in);
        g_autoptr(Outer) p = qapi_decode(&qapi_type_Outer, in, &error_abort);
        g_autoptr(Outer) copy = qapi_clone(&qapi_type_Outer, p);
        g_autoptr(JsonValue) out = qapi_encode(&qapi_type_Outer, copy);

        if (p->has_u64) {
            g_assert_cmpuint(p->u64, ==, UINT64_MAX);
            json_object_set_take(in, "u64", json_uint(UINT64_MAX));
        }
        g_assert_true(json_equal(in, out));
    }
}

static void test_c_values(void)
{
    g_autoptr(JsonValue) in = parse("{\"color\":\"dark-blue\",\"depth\":7,\"deep\":{\"name\":\"n\",\"bytes\":[3,4]}}");
    g_autoptr(JsonValue) kv = parse("name=a,level=0x10,on=yes,size=64K,n=2.5,names.0=p,names.1=q,inner.name=i,"
                                    "color=3d,alt=str,u64=18446744073709551615");
    g_autoptr(Paint) paint = qapi_decode(&qapi_type_Paint, in, &error_abort);
    g_autoptr(Outer) o = qapi_decode(&qapi_type_Outer, kv, &error_abort);
    g_autoptr(JsonValue) back = qapi_encode(&qapi_type_Paint, paint);

    g_assert_cmpint(paint->color, ==, COLOR_DARK_BLUE);
    g_assert_null(paint->id);
    g_assert_cmpint(paint->u.dark_blue.depth, ==, 7);
    g_assert_cmpstr(paint->u.dark_blue.deep->name, ==, "n");
    g_assert_cmpuint(paint->u.dark_blue.deep->bytes->next->value, ==, 4);
    g_assert_true(json_equal(in, back));

    g_assert_true(o->has_level && o->level == 16 && o->has_on && o->on);
    g_assert_cmpuint(o->size, ==, 65536);
    g_assert_cmpfloat(o->n, ==, 2.5);
    g_assert_cmpstr(o->names->next->value, ==, "q");
    g_assert_cmpstr(o->inner->name, ==, "i");
    g_assert_cmpint(o->color, ==, COLOR_3D);
    g_assert_cmpint(o->alt->type, ==, QAPI_ALT_STR);
    g_assert_cmpuint(o->u64, ==, UINT64_MAX);
    g_assert_cmpstr(Color_str(COLOR_RED), ==, "red");
    g_assert_null(qapi_enum_str(&qapi_enum_Color, COLOR__MAX));
    g_assert_cmpint(qapi_enum_count(&qapi_enum_Color), ==, 3);
    g_assert_cmpstr(qapi_enum_name(&qapi_enum_Color), ==, "Color");
}

static void check_errors(const QapiType *t, const Case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        g_autoptr(JsonValue) in = parse(cases[i].in);
        g_autoptr(Error) err = NULL;

        g_assert_null(qapi_decode(t, in, &err));
        g_assert_cmpstr(error_message(err), ==, cases[i].out);
    }
}

static void test_errors(void)
{
    static const Case outer[] = {
        { "{}", "Parameter 'name' is missing" },
        { "{\"name\":1}", "Invalid parameter type for 'name', expected: string" },
        { "{\"name\":\"\",\"zz\":1}", "Parameter 'zz' is unexpected" },
        { "{\"name\":\"\",\"level\":256}", "Parameter 'level' expects uint8_t" },
        { "{\"name\":\"\",\"level\":-1}", "Parameter 'level' expects uint8_t" },
        { "{\"name\":\"\",\"level\":1.5}", "Parameter 'level' expects uint64" },
        { "{\"name\":\"\",\"i32\":2147483648}", "Parameter 'i32' expects int32_t" },
        { "{\"name\":\"\",\"i\":1e3}", "Invalid parameter type for 'i', expected: integer" },
        { "{\"name\":\"\",\"i\":9223372036854775808}", "Invalid parameter type for 'i', expected: integer" },
        { "{\"name\":\"\",\"u64\":18446744073709551616}", "Parameter 'u64' expects uint64" },
        { "{\"name\":\"\",\"size\":\"1k\"}", "Parameter 'size' expects uint64" },
        { "{\"name\":\"\",\"on\":\"on\"}", "Invalid parameter type for 'on', expected: boolean" },
        { "{\"name\":\"\",\"n\":\"1\"}", "Invalid parameter type for 'n', expected: number" },
        { "{\"name\":\"\",\"color\":\"pink\"}", "Parameter 'color' does not accept value 'pink'" },
        { "{\"name\":\"\",\"color\":1}", "Invalid parameter type for 'color', expected: string" },
        { "{\"name\":\"\",\"inner\":[]}", "Invalid parameter type for 'inner', expected: object" },
        { "{\"name\":\"\",\"inner\":{\"name\":\"\",\"q\":1}}", "Parameter 'inner.q' is unexpected" },
        { "{\"name\":\"\",\"names\":\"a\"}", "Invalid parameter type for 'names', expected: array" },
        { "{\"name\":\"\",\"names\":[\"a\",1]}", "Invalid parameter type for 'names[1]', expected: string" },
        { "{\"name\":\"\",\"inners\":[{\"name\":\"\"},{}]}", "Parameter 'inners[1].name' is missing" },
        { "{\"name\":\"\",\"alt\":true}", "Invalid parameter type for 'alt', expected: TestAlt" },
        { "{\"name\":\"\",\"alts\":[{\"name\":1}]}", "Invalid parameter type for 'alts[0].name', expected: string" },
        { "name=a,size=x", "Parameter 'size' expects a size value representible as a 64-bit integer" },
        { "name=a,i=x", "Parameter 'i' expects integer" },
        { "name=a,i.b=x", "Parameters 'i.*' are unexpected" },
        { "name.b=x", "Parameters 'name.*' are unexpected" },
        { "name=a,on=maybe", "Parameter 'on' expects 'on' or 'off'" },
        { "name=a,inner=x", "Invalid parameter type for 'inner', expected: object" },
        { "name=a,inner.name=a,inner.level=x", "Parameter 'inner.level' expects integer" },
        { "name=a,level=256", "Parameter 'level' expects uint8_t" },
        { "name=a,foo.bar=1", "Parameter 'foo' is unexpected" },
    };
    static const Case paint[] = {
        { "{}", "Parameter 'color' is missing" },
        { "{\"color\":\"x\"}", "Parameter 'color' does not accept value 'x'" },
        { "{\"color\":\"red\",\"depth\":1}", "Parameter 'depth' is unexpected" },
        { "{\"color\":\"dark-blue\"}", "Parameter 'depth' is missing" },
        { "{\"color\":\"dark-blue\",\"depth\":1,\"deep\":{\"name\":\"\",\"inner\":{\"name\":1}}}",
          "Invalid parameter type for 'deep.inner.name', expected: string" },
        { "{\"color\":\"dark-blue\",\"depth\":1,\"deep\":{\"name\":\"\"},\"x\":1}", "Parameter 'x' is unexpected" },
    };

    check_errors(&qapi_type_Outer, outer, ARRAY_SIZE(outer));
    check_errors(&qapi_type_Paint, paint, ARRAY_SIZE(paint));
}

static void test_into(void)
{
    g_autoptr(JsonValue) good = parse("{\"color\":\"3d\",\"name\":\"n\"}");
    g_autoptr(JsonValue) bad = parse("{\"color\":\"3d\",\"id\":\"x\",\"name\":\"n\",\"level\":\"\"}");
    Paint p = { 0 };

    g_assert_true(qapi_decode_into(&qapi_type_Paint, good, &p, &error_abort));
    g_assert_cmpstr(p.u.q_3d.name, ==, "n");
    qapi_clear(&qapi_type_Paint, &p);
    memset(&p, 0, sizeof(p));
    g_assert_false(qapi_decode_into(&qapi_type_Paint, bad, &p, NULL));
    g_assert_null(p.id);
}

/* ---- commands ---- */

Outer *qmp_test_echo(const Outer *args, Error **errp)
{
    return qapi_clone(&qapi_type_Outer, args);
}

InnerList *qmp_test_list(const QmpTestListArgs *args, Error **errp)
{
    InnerList *list = NULL;

    if (args->text != NULL) {
        error_set(errp, ERROR_CLASS_DEVICE_NOT_FOUND, "no %s", args->text);
        return NULL;
    }
    for (int i = 0; i < args->count; i++) {
        InnerList *cell = g_new0(InnerList, 1);

        cell->value = g_new0(Inner, 1);
        cell->value->name = g_strdup_printf("%d", i);
        cell->next = list;
        list = cell;
    }
    return list;
}

bool qmp_test_nothing(Error **errp)
{
    return true;
}

JsonValue *qmp_test_raw(const JsonValue *args, Error **errp)
{
    return json_copy(args);
}

bool qmp_test_number(int64_t *ret, Error **errp)
{
    *ret = -42;
    return true;
}

char *qmp_test_text(const Paint *args, Error **errp)
{
    return g_strdup(Color_str(args->color));
}

bool qmp_test_absent(Error **errp)
{
    g_assert_not_reached();
}

static void run(const char *name, const char *args, const char *want)
{
    const QapiCommand *c = qapi_command_find(name);
    g_autoptr(JsonValue) in = parse(args);
    g_autoptr(JsonValue) out = NULL;
    g_autoptr(Error) err = NULL;
    g_autofree char *text = NULL;

    g_assert_nonnull(c);
    out = c->run(in, &err);
    text = out != NULL ? text_of(out) : g_strdup(error_message(err));
    g_assert_cmpstr(text, ==, want);
}

static void test_commands(void)
{
    run("test-echo", "{\"name\":\"x\"}", "{\"name\": \"x\"}");
    run("test-echo", "{}", "Parameter 'name' is missing");
    run("test-list", "{\"count\":0}", "[]");
    run("test-list", "{\"count\":2}", "[{\"name\": \"1\"}, {\"name\": \"0\"}]");
    run("test-list", "{\"count\":2,\"text\":\"luck\"}", "no luck");
    run("test-nothing", "{}", "{}");
    run("test-nothing", "{\"a\":1}", "Parameter 'a' is unexpected");
    run("test-raw", "{\"zz\":[]}", "{\"zz\": []}");
    run("test-number", "{}", "-42");
    run("test-text", "{\"color\":\"red\"}", "\"red\"");
    g_assert_null(qapi_command_find("test-absent"));
    g_assert_null(qapi_command_find("test"));
    g_assert_null(qapi_command_find(""));
    g_assert_cmpuint(qapi_command_find("test-list")->flags, ==, QAPI_CMD_ALLOW_OOB | QAPI_CMD_UNSTABLE);
}

/* The parts of the introspection that a client follows from a command to a member. */
static void test_introspection(void)
{
    g_autoptr(JsonValue) v = json_parse(qapi_introspection, strlen(qapi_introspection), &error_abort);
    g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);
    g_autofree char *again = text_of(v);
    unsigned commands = 0;

    /* Generated in the order in which we print. */
    g_assert_cmpstr(again, ==, qapi_introspection);
    for (size_t i = 0; i < json_array_len(v); i++) {
        const JsonValue *info = json_array_at(v, i);
        const char *name = json_object_get_string(info, "name");

        g_assert_true(g_hash_table_add(names, (char *)name));
        commands += g_str_equal(json_object_get_string(info, "meta-type"), "command");
        if (g_str_equal(name, "test-list")) {
            g_assert_cmpstr(json_get_string(json_array_at(json_object_get(info, "features"), 0)), ==, "unstable");
            g_assert_true(json_object_has(info, "allow-oob"));
        }
    }
    g_assert_cmpuint(commands, ==, qapi_commands_count);
    g_assert_false(g_hash_table_contains(names, "test-absent"));
    g_assert_false(g_hash_table_contains(names, "Outer"));
    for (size_t i = 0; i < json_array_len(v); i++) {
        static const char *const refs[] = { "arg-type", "ret-type", "element-type" };

        for (size_t k = 0; k < ARRAY_SIZE(refs); k++) {
            const char *ref = json_object_get_string(json_array_at(v, i), refs[k]);
            g_assert_true(ref == NULL || g_hash_table_contains(names, ref));
        }
    }
}

/* ---- events ---- */

static char *last_event;

static void on_event(int event, JsonValue *data)
{
    g_autofree char *text = data != NULL ? text_of(data) : g_strdup("");

    g_free(last_event);
    last_event = g_strdup_printf("%s%s", test_qapi_event_names[event], text);
    json_unref(data);
}

static void test_events(void)
{
    Inner inner = { .name = (char *)"n" };

    g_assert_false(qapi_event_wanted());
    qapi_event_send_TEST_BARE();
    qapi_event_set_sink(on_event);
    qapi_event_send_TEST_BARE();
    g_assert_cmpstr(last_event, ==, "TEST_BARE");
    qapi_event_send_TEST_EVENT(COLOR_DARK_BLUE, false, 0, NULL, NULL);
    g_assert_cmpstr(last_event, ==, "TEST_EVENT{\"color\": \"dark-blue\"}");
    qapi_event_send_TEST_EVENT(COLOR_RED, true, 5, "me", &inner);
    g_assert_cmpstr(last_event, ==,
                    "TEST_EVENT{\"inner\": {\"name\": \"n\"}, \"color\": \"red\", \"level\": 5, \"who\": \"me\"}");
    qapi_event_set_sink(NULL);
    g_clear_pointer(&last_event, g_free);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qapi/round-trip", test_round_trip);
    g_test_add_func("/qapi/c-values", test_c_values);
    g_test_add_func("/qapi/errors", test_errors);
    g_test_add_func("/qapi/into", test_into);
    g_test_add_func("/qapi/commands", test_commands);
    g_test_add_func("/qapi/introspection", test_introspection);
    g_test_add_func("/qapi/events", test_events);
    return g_test_run();
}
