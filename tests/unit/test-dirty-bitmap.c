/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Dirty bitmaps against a plain model: one byte a granule. */
#include "util/osdep.h"
#include "block-fixture.h"
#include "block/dirty-bitmap.h"

#define GRANULE 512
#define SIZE (300 * GRANULE + 512)
#define GRANULES 301

static void check_model(DirtyBitmap *b, const uint8_t *model)
{
    int64_t count = 0;
    unsigned i, next = GRANULES, clear = GRANULES;

    for (i = GRANULES; i-- > 0; ) {
        g_assert_cmpint(dirty_bitmap_get(b, i * GRANULE), ==, model[i]);
        next = model[i] ? i : next;
        clear = model[i] ? clear : i;
        count += model[i];
        g_assert_cmpint(dirty_bitmap_next_dirty(b, i * GRANULE, INT64_MAX), ==,
                        next == GRANULES ? -1 : (int64_t)next * GRANULE);
        g_assert_cmpint(dirty_bitmap_next_clear(b, i * GRANULE, INT64_MAX), ==,
                        clear == GRANULES ? -1 : (int64_t)clear * GRANULE);
    }
    g_assert_cmpint(dirty_bitmap_count(b), ==, count * GRANULE);
}

static void test_random_changes(void)
{
    BlockNode *bn = test_node("{'driver':'null-co','node-name':'n','size':154112}");
    DirtyBitmap *b = dirty_bitmap_new(bn, GRANULE, "b", &error_abort);
    DirtyBitmap *other = dirty_bitmap_new(bn, 1024, NULL, &error_abort);
    uint8_t model[GRANULES] = { 0 };
    g_autofree uint8_t *serial = NULL;
    unsigned round, i;
    int64_t start, bytes;

    for (round = 0; round < 400; round++) {
        unsigned first = test_random() % GRANULES, n = 1 + test_random() % (round % 7 ? 5 : 200);
        bool set = test_random() % 2;

        n = MIN(n, GRANULES - first);
        if (set) {
            dirty_bitmap_set(b, (int64_t)first * GRANULE + 1, (int64_t)n * GRANULE - 2);
        } else {
            dirty_bitmap_reset(b, (int64_t)first * GRANULE, (int64_t)n * GRANULE);
        }
        memset(model + first, set, n);
        if (round % 10 == 0) {
            check_model(b, model);
        }
    }
    check_model(b, model);

    /* Storing and loading gives the same; so does merging into an empty one. */
    serial = g_malloc(dirty_bitmap_serial_size(b, 0, SIZE));
    g_assert_cmpuint(dirty_bitmap_serial_size(b, 0, SIZE), ==, 5 * 8);
    dirty_bitmap_serialize(b, serial, 0, SIZE);
    dirty_bitmap_clear(b, NULL);
    g_assert_cmpint(dirty_bitmap_count(b), ==, 0);
    dirty_bitmap_deserialize(b, serial, 0, SIZE);
    check_model(b, model);
    g_assert_true(dirty_bitmap_merge(other, b, &error_abort));
    for (i = 0; i < GRANULES; i++) {
        bool pair = model[i & ~1u] || (i + 1 < GRANULES && model[i | 1]);

        g_assert_cmpint(dirty_bitmap_get(other, i * GRANULE), ==, pair);
    }
    dirty_bitmap_clear(b, NULL);
    dirty_bitmap_set(b, 10 * GRANULE, 4 * GRANULE);
    g_assert_true(dirty_bitmap_next_area(b, 0, SIZE, 3 * GRANULE, &start, &bytes));
    g_assert_cmpint(start, ==, 10 * GRANULE);
    g_assert_cmpint(bytes, ==, 3 * GRANULE);
    g_assert_false(dirty_bitmap_next_area(b, 14 * GRANULE, SIZE, INT64_MAX, &start, &bytes));
    block_node_unref(bn);
}

/* Writes are seen, disabled bitmaps see none; the end of the disk cuts the last granule. */
static void test_writes(void)
{
    BlockNode *bn = test_node("{'driver':'null-co','node-name':'n','size':100352}");
    BlockBackend *blk = test_backend(bn, BLOCK_PERM_WRITE, BLOCK_PERM_ALL);
    DirtyBitmap *b = dirty_bitmap_new(bn, 65536, "b", &error_abort);
    DirtyBitmap *off = dirty_bitmap_new(bn, 65536, "off", &error_abort);
    DirtyBitmapBackup *backup;
    uint8_t buf[512] = { 1 };

    dirty_bitmap_set_enabled(off, false);
    g_assert_cmpint(blk_pwrite(blk, 99840, 512, buf, 0), ==, 0);
    g_assert_cmpint(dirty_bitmap_count(b), ==, 100352 - 65536);
    g_assert_cmpint(dirty_bitmap_count(off), ==, 0);
    dirty_bitmap_clear(b, &backup);
    g_assert_cmpint(blk_pwrite(blk, 0, 512, buf, 0), ==, 0);
    g_assert_cmpint(dirty_bitmap_count(b), ==, 65536);
    dirty_bitmap_restore(b, backup);
    g_assert_cmpint(dirty_bitmap_count(b), ==, 100352);
    dirty_bitmap_resize_node(bn, 65536);
    g_assert_cmpint(dirty_bitmap_count(b), ==, 65536);
    dirty_bitmap_resize_node(bn, 1 << 20);
    g_assert_cmpint(dirty_bitmap_count(b), ==, 65536);
    dirty_bitmap_resize_node(bn, 100352);
    blk_unref(blk);
    block_node_unref(bn);
}

static void test_errors(void)
{
    BlockNode *bn = test_node("{'driver':'null-co','node-name':'n'}");
    DirtyBitmap *b = dirty_bitmap_new(bn, 65536, "b", &error_abort);

    g_assert_null(dirty_bitmap_new(bn, 65536, "b", NULL));
    g_assert_null(dirty_bitmap_new(bn, 256, "c", NULL));
    g_assert_null(dirty_bitmap_new(bn, 65537, "c", NULL));
    g_assert_null(dirty_bitmap_new(bn, 65536, "", NULL));
    g_assert_true(dirty_bitmap_check(b, DIRTY_BITMAP_ANY_STATE, &error_abort));
    dirty_bitmap_set_busy(b, true);
    g_assert_false(dirty_bitmap_check(b, DIRTY_BITMAP_ANY_STATE, NULL));
    g_assert_true(dirty_bitmap_check(b, DIRTY_BITMAP_READONLY, &error_abort));
    g_assert_true(dirty_bitmap_find(bn, "b") == b);
    dirty_bitmap_free(b);
    g_assert_null(dirty_bitmap_find(bn, "b"));
    block_node_unref(bn);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    test_block_init();
    g_test_add_func("/block/dirty-bitmap/random", test_random_changes);
    g_test_add_func("/block/dirty-bitmap/writes", test_writes);
    g_test_add_func("/block/dirty-bitmap/errors", test_errors);
    return g_test_run();
}
