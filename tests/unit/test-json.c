/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON parser and printer, key=value text: good, bad and hostile input. */
#include "util/osdep.h"
#include "qapi/json.h"

/* Everything that a stream emitted, one line each: a value's text, or "!" and the error. */
static void collect(void *opaque, JsonValue *v, const char *error)
{
    GString *out = opaque;

    g_assert((v == NULL) == (error != NULL));
    if (v != NULL) {
        json_print_to(out, v, JSON_COMPACT);
        json_unref(v);
    } else {
        g_string_append_printf(out, "!%s", error);
    }
    g_string_append_c(out, '\n');
}

/* The stream's output for @text fed in pieces of @piece bytes. */
static char *stream(const char *text, size_t len, size_t piece)
{
    GString *out = g_string_new(NULL);
    JsonStream *s = json_stream_new(collect, out);

    for (size_t i = 0; i < len; i += piece) {
        json_stream_feed(s, text + i, MIN(piece, len - i));
    }
    json_stream_free(s);
    return g_string_free(out, FALSE);
}

typedef struct Case {
    const char *in, *out;
} Case;

#define P "!JSON parse error, "

/* As the reference answers, with a newline behind each input. */
static const Case stream_cases[] = {
    { "{}", "{}\n" },
    { "  [1 , 2]\t\r\n{}", "[1, 2]\n{}\n" },
    { "{'a':'b\"c\\''}", "{\"a\": \"b\\\"c'\"}\n" },
    { "17", "17\n" }, { "-0", "0\n" }, { "\"abc\"", "\"abc\"\n" }, { "null true false", "null\ntrue\nfalse\n" },
    { "nul", P "invalid keyword 'nul'\n" },
    { "[nan]", P "invalid keyword 'nan'\n" },
    { "tRue", P "invalid keyword 't'\n" P "stray 'R'\n" },
    { "{\"a\":1", "" },
    { "{\"a\" \"x\"}", P "missing : in object pair\n" },
    { "{\"a\":1 \"x\"}[]", P "expected separator in dict\n[]\n" },
    { "]{}", P "expecting value\n{}\n" },
    { "{\"a\":1,}", P "expecting value\n" },
    { "{\"a\":}", P "expecting value\n" },
    { "[,]", P "expecting value\n" }, { "[1,]", P "expecting value\n" }, { "{,}", P "expecting value\n" },
    { "[1 2]", P "expected separator in list\n" },
    { "[1}", P "expected separator in list\n" },
    { "{]", P "expecting value\n" },
    { "{1:2}", P "key is not a string in object\n" },
    { "{[1]:2}", P "key is not a string in object\n" },
    { "{\"a\":1,\"a\":2}7", P "duplicate key\n7\n" },
    { "{\"a\":{\"b\":1,\"b\":2}}", P "duplicate key\n" },
    { "@1", P "stray '@'\n" }, { "@@ \t\"@[1]", P "stray '@'\n[1]\n" },
    { "@\001foo\n2", P "stray '@'\n" P "stray '\001'\n2\n" },
    { "{\"id\":01}", P "stray '01'\n" P "expecting value\n" },
    { "{\"id\":-}", P "stray '-}'\n" },
    { "{\"id\":+1}", P "stray '+'\n" P "expecting value\n" },
    { "[--1]", P "stray '--'\n" P "expecting value\n" },
    { "[1.]", P "stray '1.]'\n" }, { "[1e]", P "stray '1e]'\n" }, { "[1e+]", P "stray '1e+]'\n" },
    { "[.5]", P "stray '.'\n" P "expecting value\n" },
    { "[0x1]", P "expected separator in list\n" },
    { "\"a\tb", P "stray '\"a\t'\n" },
    { "[\"\\q\"]", P "invalid escape sequence in string\n" },
    { "\"\\ud800\"", P "\\ud800 is not a valid Unicode character\n" },
    { "\"\\udc00\"", P "\\udc00 is not a valid Unicode character\n" },
    { "\"\\ud800\\u0041\"", P "\\ud800 is not a valid Unicode character\n" },
    { "\"\\ud83d\\ude0\"", P "\\ud83d is not a valid Unicode character\n" },
    { "\"\\u12\"", P "\\u12\" is not a valid Unicode character\n" },
    { "\"\\ufffe\"", P "\\ufffe is not a valid Unicode character\n" },
    { "\"\\ufdd0\"", P "\\ufdd0 is not a valid Unicode character\n" },
    { "\"\xed\xa0\x80\"", P "invalid UTF-8 sequence in string\n" },
    { "\"\xf4\x90\x80\x80\"", P "invalid UTF-8 sequence in string\n" },
    { "\"\xc1\xbf\"", P "invalid UTF-8 sequence in string\n" },
    { "\"\xe2\x82\"", P "invalid UTF-8 sequence in string\n" },
    { "\"\x80\"", P "invalid UTF-8 sequence in string\n" },
    { "\"\xc0\x80\"", "\"\\u0000\"\n" },
    { "\"\\u0000\"", "\"\\u0000\"\n" },
    { "{\"a\":1}\xff{\"b\":2}", "{\"a\": 1}\n" P "stray '\xff'\n{\"b\": 2}\n" },
    { "{\"a\":[1,\xff[3]", P "stray '\xff'\n[3]\n" },
    { "\"\\u00e9\\ud83d\\ude00\xc3\xa9\\u0001\\n\\/\\\"\\\\\\b\x7f\"",
      "\"\\u00E9\\uD83D\\uDE00\\u00E9\\u0001\\n/\\\"\\\\\\b\\u007F\"\n" },
    { "[1e3,1.5,-0.0,12345678901234567890,-9223372036854775808,18446744073709551616,0.1,1E+100,5e-324]",
      "[1000, 1.5, -0, 12345678901234567890, -9223372036854775808, 1.8446744073709552e+19, "
      "0.10000000000000001, 1e+100, 4.9406564584124654e-324]\n" },
    { "[9223372036854775807,9223372036854775808,18446744073709551615]",
      "[9223372036854775807, 9223372036854775808, 18446744073709551615]\n" },
};

static void test_stream(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(stream_cases); i++) {
        g_autofree char *in = g_strconcat(stream_cases[i].in, "\n", NULL);

        for (size_t piece = 1; piece < 8; piece += 3) {
            g_autofree char *out = stream(in, strlen(in), piece);
            g_assert_cmpstr(out, ==, stream_cases[i].out);
        }
    }
}

/* Every split point, and every prefix followed by a disconnect. */
static void test_split(void)
{
    static const char text[] = "{\"execute\": 'a\\u00e9', \"arguments\": {\"x\": [1, -2.5e3, null, {}]}}";
    g_autofree char *want = stream(text, sizeof(text), sizeof(text));

    for (size_t cut = 0; cut < sizeof(text); cut++) {
        g_autoptr(GString) out = g_string_new(NULL);
        JsonStream *s = json_stream_new(collect, out);

        json_stream_feed(s, text, cut);
        json_stream_feed(s, text + cut, sizeof(text) - cut);
        g_assert_cmpstr(out->str, ==, want);
        json_stream_free(s);

        g_string_truncate(out, 0);
        s = json_stream_new(collect, out);
        json_stream_feed(s, text, cut);
        json_stream_flush(s);
        g_assert_true(cut == 0 || cut >= sizeof(text) - 1 ? out->str[0] != '!' : out->str[0] == '!');
        json_stream_free(s);
    }
}

static void test_nul(void)
{
    g_autofree char *out = stream("\0{}", 3, 1);

    g_assert_cmpstr(out, ==, P "stray ''\n{}\n");
}

static void repeat(GString *s, const char *text, size_t n)
{
    while (n-- > 0) {
        g_string_append(s, text);
    }
}

static void test_depth(void)
{
    g_autoptr(GString) s = g_string_new(NULL);
    g_autofree char *ok = NULL, *deep = NULL;

    repeat(s, "[", 1023);
    g_string_append(s, "{}");
    repeat(s, "]", 1023);
    ok = stream(s->str, s->len, 100);
    g_assert_cmpint(ok[0], ==, '[');

    g_string_truncate(s, 0);
    repeat(s, "[", 1025);
    g_string_append(s, "{\"a\":1}");
    deep = stream(s->str, s->len, 100);
    g_assert_cmpstr(deep, ==, "!JSON nesting depth limit exceeded\n{\"a\": 1}\n");
}

static void test_size(void)
{
    g_autofree char *big = g_malloc(80 << 20), *out = NULL;

    /* A string that never ends is cut off at the limit; 0xff resynchronises. */
    memset(big, 'x', 80 << 20);
    big[0] = '"';
    memcpy(big + (80 << 20) - 4, "\xff[1]", 4);
    out = stream(big, 80 << 20, 1 << 20);
    g_assert_true(g_str_has_prefix(out, "!JSON token size limit exceeded\n"));
    g_assert_true(g_str_has_suffix(out, "\n[1]\n"));
    g_assert_cmpint(strlen(out), <, 1000);
    g_free(g_steal_pointer(&out));

    /* Many small ones together count too. */
    memset(big, '1', 80 << 20);
    big[0] = '[';
    for (size_t i = 1 << 16; i < 80 << 20; i += 1 << 16) {
        big[i] = ',';
    }
    out = stream(big, 80 << 20, 1 << 20);
    g_assert_true(g_str_has_prefix(out, "!JSON token size limit exceeded\n"));
}

static void test_tokens(void)
{
    g_autoptr(GString) s = g_string_new("[");
    g_autofree char *out = NULL;

    repeat(s, "1,", 1100000);
    out = stream(s->str, s->len, 65536);
    g_assert_true(g_str_has_prefix(out, "!JSON token count limit exceeded\n"));
}

/* Many keys: no quadratic work. */
static void test_many_keys(void)
{
    g_autoptr(GString) s = g_string_new("{\"k\":0");
    g_autoptr(JsonValue) v = NULL;
    int64_t i;

    for (int k = 0; k < 200000; k++) {
        g_string_append_printf(s, ",\"k%d\":%d", k, k);
    }
    g_string_append_c(s, '}');
    v = json_parse(s->str, s->len, &error_abort);
    g_assert_cmpint(json_object_len(v), ==, 200001);
    g_assert_true(json_get_int(json_object_get(v, "k77777"), &i));
    g_assert_cmpint(i, ==, 77777);
}

/* Random bytes from the alphabet that matters: only has to stay in bounds and end. */
static void test_noise(void)
{
    static const char alphabet[] = "{}[],:\"'\\u01e-+.truefalsnx \n\xff\xc3\xa9\x80";
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);

    for (int round = 0; round < 2000; round++) {
        char buf[200];
        g_autofree char *whole = NULL, *pieces = NULL;

        for (size_t i = 0; i < sizeof(buf); i++) {
            buf[i] = alphabet[g_rand_int_range(rand, 0, sizeof(alphabet) - 1)];
        }
        whole = stream(buf, sizeof(buf), sizeof(buf));
        pieces = stream(buf, sizeof(buf), 1);
        g_assert_cmpstr(whole, ==, pieces);
    }
}

static void test_single(void)
{
    static const Case cases[] = {
        { "", "Expecting a JSON value" },
        { "{", "JSON parse error, premature EOI" },
        { "{\"driver\":", "JSON parse error, premature EOI" },
        { "{\"driver\":\"x\"} x", "Expecting at most one JSON value" },
        { "{} []", "Expecting at most one JSON value" },
        { "{\"a\":\"b}", "JSON parse error, stray '\"b}'" },
        { "{\"a\":tru}", "JSON parse error, invalid keyword 'tru'" },
    };
    g_autoptr(JsonValue) v = json_parse(" 12", 3, &error_abort);

    g_assert_cmpint(json_kind(v), ==, JSON_INT);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autoptr(Error) err = NULL;

        g_assert_null(json_parse(cases[i].in, strlen(cases[i].in), &err));
        g_assert_cmpstr(error_message(err), ==, cases[i].out);
    }
}

/* Orders that were seen in the reference's output. */
static void test_order(void)
{
    static const Case cases[] = {
        { "{\"QMP\":{\"capabilities\":[],\"version\":{\"package\":\"\",\"qemu\":{\"major\":7,\"minor\":2,\"micro\":0}}}}",
          "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 0, \"minor\": 2, \"major\": 7}, \"package\": \"\"}, "
          "\"capabilities\": []}}" },
        { "{\"event\":1,\"data\":{\"reason\":1,\"guest\":2},\"timestamp\":{\"microseconds\":1,\"seconds\":2}}",
          "{\"timestamp\": {\"seconds\": 2, \"microseconds\": 1}, \"event\": 1, "
          "\"data\": {\"guest\": 2, \"reason\": 1}}" },
        { "{\"name\":1,\"arg-type\":2,\"ret-type\":3,\"meta-type\":4}",
          "{\"name\": 1, \"ret-type\": 3, \"meta-type\": 4, \"arg-type\": 2}" },
        { "{\"id\":1,\"error\":{\"desc\":1,\"class\":2}}", "{\"id\": 1, \"error\": {\"class\": 2, \"desc\": 1}}" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autoptr(JsonValue) v = json_parse(cases[i].in, strlen(cases[i].in), &error_abort);
        GString *out = json_print(v, JSON_COMPACT);

        g_assert_cmpstr(out->str, ==, cases[i].out);
        g_string_free(out, TRUE);
    }
}

static void test_pretty(void)
{
    static const char in[] = "{\"a\":[1,{}],\"b\":[]}";
    g_autoptr(JsonValue) v = json_parse(in, strlen(in), &error_abort);
    g_autoptr(GString) out = json_print(v, JSON_PRETTY);

    g_assert_cmpstr(out->str, ==,
                    "{\n    \"a\": [\n        1,\n        {\n        }\n    ],\n    \"b\": [\n    ]\n}");
}

static void test_text(void)
{
    g_autoptr(JsonValue) o = json_object();
    g_autoptr(GString) compact = NULL, pretty = NULL;

    json_object_set_take(o, "return", json_text("[{\"a\": 1}]"));
    compact = json_print(o, JSON_COMPACT);
    pretty = json_print(o, JSON_PRETTY);
    g_assert_cmpstr(compact->str, ==, "{\"return\": [{\"a\": 1}]}");
    g_assert_cmpstr(pretty->str, ==,
                    "{\n    \"return\": [\n        {\n            \"a\": 1\n        }\n    ]\n}");
}

static void test_values(void)
{
    g_autoptr(JsonValue) o = json_object();
    g_autoptr(JsonValue) copy = NULL;
    const char *key;
    JsonValue *v;
    uint64_t u;

    for (int i = 0; i < 40; i++) {
        g_autofree char *k = g_strdup_printf("k%d", i);
        json_object_set_int(o, k, i);
    }
    g_assert_true(json_object_remove(o, "k3"));
    g_assert_false(json_object_remove(o, "k3"));
    json_object_set_string(o, "k5", "five");
    g_assert_cmpstr(json_object_get_string(o, "k5"), ==, "five");
    g_assert_null(json_object_get_string(o, "k6"));
    json_object_at(o, 3, &key, &v);
    g_assert_cmpstr(key, ==, "k4");
    copy = json_copy(o);
    g_assert_true(json_equal(o, copy));
    json_object_set_uint(copy, "k7", UINT64_MAX);
    g_assert_false(json_equal(o, copy));
    g_assert_true(json_get_uint(json_object_get(copy, "k7"), &u) && u == UINT64_MAX);
    while (json_object_len(o) > 0) {
        json_object_at(o, 0, &key, &v);
        g_assert_true(json_object_remove(o, key));
    }
}

static void test_keyval(void)
{
    static const Case good[] = {
        { "", "{}" }, { "a=1,", "{\"a\": \"1\"}" }, { "a=,,b,b=", "{\"a\": \",b\", \"b\": \"\"}" },
        { "null-co,x.y=on,x.z=2", "{\"x\": {\"y\": \"on\", \"z\": \"2\"}, \"driver\": \"null-co\"}" },
        { "a,,b", "{\"driver\": \"a,b\"}" },
        { "l.1.n=b,l.0.n=a", "{\"l\": [{\"n\": \"a\"}, {\"n\": \"b\"}]}" },
        { "l.0.0=x", "{\"l\": [[\"x\"]]}" }, { "a=1,a=2", "{\"a\": \"2\"}" },
        { "__org.foo_bar=1", "{\"__org.foo_bar\": \"1\"}" },
        { "{\"a\": [1]}", "{\"a\": [1]}" },
    };
    static const Case bad[] = {
        { "a=b,node", "Expected '=' after parameter 'node'" },
        { "a.=1", "Invalid parameter 'a.'" }, { ".a=1", "Invalid parameter '.a'" },
        { "1a=1", "Invalid parameter '1a'" }, { "0=1", "Invalid parameter '0'" },
        { "a.1a=1", "Invalid parameter 'a.1a'" }, { "a._=1", "Invalid parameter 'a._'" },
        { "=1", "Invalid parameter ''" }, { ",a=1", "Invalid parameter ''" },
        { "a.b=1,a=2", "Parameters 'a.*' used inconsistently" },
        { "a=2,a.b=1", "Parameters 'a.*' used inconsistently" },
        { "a.0=1,a.b=1", "Parameters 'a.*' used inconsistently" },
        { "a.0=1,a.2=1", "Parameter 'a.1' missing" }, { "a.99999999999=1", "Parameter 'a.0' missing" },
        { "x,help", "Help is not available for this option" },
        { "{\"a\":", "JSON parse error, premature EOI" },
    };
    g_autoptr(GString) deep = g_string_new("a");
    bool help;

    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        g_autoptr(JsonValue) v = keyval_parse(good[i].in, "driver", NULL, &error_abort);
        g_autoptr(GString) out = json_print(v, JSON_COMPACT);

        g_assert_cmpstr(out->str, ==, good[i].out);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        g_autoptr(Error) err = NULL;

        g_assert_null(keyval_parse(bad[i].in, "driver", NULL, &err));
        g_assert_cmpstr(error_message(err), ==, bad[i].out);
    }
    json_unref(keyval_parse("x,help", "driver", &help, &error_abort));
    g_assert_true(help);
    g_assert_null(keyval_parse("x", NULL, NULL, NULL));
    repeat(deep, ".a", 100000);
    g_string_append(deep, "=1");
    g_assert_null(keyval_parse(deep->str, NULL, NULL, NULL));
}

static void sink(const char *text, void *opaque)
{
    ++*(int *)opaque;
}

static void test_keyval_flat(void)
{
    g_autoptr(JsonValue) v = NULL;
    g_autoptr(GString) out = NULL;
    int warnings = 0;

    report_set_sink(sink, &warnings);
    json_unref(keyval_parse_flat("server", NULL, false, NULL, &error_abort));
    g_assert_cmpint(warnings, ==, 0);
    v = keyval_parse_flat("socket,a.b=1,server,nowait,no", "backend", true, NULL, &error_abort);
    g_assert_cmpint(warnings, ==, 3);
    report_set_sink(NULL, NULL);
    out = json_print(v, JSON_COMPACT);
    g_assert_cmpstr(json_object_get_string(v, "server"), ==, "on");
    g_assert_cmpstr(json_object_get_string(v, "wait"), ==, "off");
    g_assert_cmpstr(json_object_get_string(v, "a.b"), ==, "1");
    g_assert_cmpstr(json_object_get_string(v, "no"), ==, "on");
    g_assert_cmpstr(json_object_get_string(v, "backend"), ==, "socket");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/json/stream", test_stream);
    g_test_add_func("/json/split", test_split);
    g_test_add_func("/json/nul", test_nul);
    g_test_add_func("/json/depth", test_depth);
    g_test_add_func("/json/size", test_size);
    g_test_add_func("/json/tokens", test_tokens);
    g_test_add_func("/json/many-keys", test_many_keys);
    g_test_add_func("/json/noise", test_noise);
    g_test_add_func("/json/single", test_single);
    g_test_add_func("/json/order", test_order);
    g_test_add_func("/json/pretty", test_pretty);
    g_test_add_func("/json/text", test_text);
    g_test_add_func("/json/values", test_values);
    g_test_add_func("/keyval/paths", test_keyval);
    g_test_add_func("/keyval/flat", test_keyval_flat);
    return g_test_run();
}
