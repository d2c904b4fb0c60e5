/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of migration/: streams in memory and the registry. */
#include "util/osdep.h"
#include "migration/stream.h"

static void test_roundtrip(void)
{
    StateStream *w = state_writer_new(), *r;
    const uint8_t *data;
    size_t len;
    char text[3];

    state_put_u8(w, 0x11);
    state_put_u16(w, 0x2233);
    state_put_u32(w, 0x44556677);
    state_put_u64(w, 0x8899aabbccddeeff);
    state_put(w, "abc", 3);
    data = state_writer_data(w, &len);
    g_assert_cmpuint(len, ==, 18);
    g_assert_cmphex(data[1], ==, 0x33);
    r = state_reader_new(data, len);
    g_assert_cmphex(state_get_u8(r), ==, 0x11);
    g_assert_cmphex(state_get_u16(r), ==, 0x2233);
    g_assert_cmphex(state_get_u32(r), ==, 0x44556677);
    g_assert_cmphex(state_get_u64(r), ==, 0x8899aabbccddeeff);
    state_get(r, text, 3);
    g_assert_cmpmem(text, 3, "abc", 3);
    g_assert_true(state_ok(r));
    state_stream_free(r);
    state_stream_free(w);
}

static void test_short(void)
{
    static const uint8_t data[] = { 1, 2, 3 };
    StateStream *r = state_reader_new(data, sizeof(data));

    g_assert_cmphex(state_get_u16(r), ==, 0x0201);
    g_assert_cmphex(state_get_u32(r), ==, 0);
    g_assert_false(state_ok(r));
    /* What is left is not handed out after a failure. */
    g_assert_cmphex(state_get_u8(r), ==, 0);
    state_fail(r, "later");
    g_assert_cmpstr(state_stream_failure(r), ==, "the data ends early");
    state_stream_free(r);
}

static const StateTable table_a = { .name = "a" }, table_b = { .name = "b" };

static int note(const StateTable *table, const char *id, uint32_t instance, void *state,
                void *opaque)
{
    g_string_append_printf(opaque, "%s/%s/%u ", table->name, id, instance);
    return 0;
}

static void test_registry(void)
{
    GString *text = g_string_new(NULL);
    int x, y;

    state_register(&table_a, "clock", 0, &x);
    state_register(&table_b, "cpu", 0, &x);
    state_register(&table_b, "cpu", 1, &y);
    state_unregister(&table_b, &x);
    state_unregister(&table_a, &y);
    state_foreach(note, text);
    g_assert_cmpstr(text->str, ==, "a/clock/0 b/cpu/1 ");
    g_string_free(text, TRUE);
    state_unregister(&table_a, &x);
    state_unregister(&table_b, &y);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/state/roundtrip", test_roundtrip);
    g_test_add_func("/state/short", test_short);
    g_test_add_func("/state/registry", test_registry);
    return g_test_run();
}
