/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of the request path: alignment, limits, serialising, zeroes, flush, drain, loops. */
#include "util/osdep.h"
#include "block-fixture.h"
#include "qapi-events.h"

#define SIZE (64 * 1024)
#define PERM (BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE)

static BlockBackend *open_mem(const char *json, BlockNode **bn)
{
    *bn = test_node(json);
    return test_backend(*bn, PERM, BLOCK_PERM_ALL);
}

static void close_mem(BlockBackend *blk, BlockNode *bn)
{
    blk_unref(blk);
    block_node_unref(bn);
}

/* Random requests of any alignment against a copy in memory. */
static void random_io(BlockBackend *blk, unsigned count)
{
    g_autofree uint8_t *shadow = g_malloc0(SIZE), *buf = g_malloc(SIZE);

    while (count--) {
        int64_t offset = test_random() % SIZE;
        int64_t bytes = test_random() % MIN(SIZE - offset, 9000);

        switch (test_random() % 3) {
        case 0:
            memset(buf, test_random() | 1, bytes);
            g_assert_cmpint(blk_pwrite(blk, offset, bytes, buf, 0), ==, 0);
            memcpy(shadow + offset, buf, bytes);
            break;
        case 1: {
            TestWait w = { 0 };

            blk_aio_pwrite_zeroes(blk, offset, bytes, 0, test_wait_done, &w);
            g_assert_cmpint(test_wait(&w), ==, 0);
            memset(shadow + offset, 0, bytes);
            break;
        }
        default:
            memset(buf, 0xee, bytes);
            g_assert_cmpint(blk_pread(blk, offset, bytes, buf, 0), ==, 0);
            g_assert_cmpmem(buf, bytes, shadow + offset, bytes);
        }
    }
    g_assert_cmpint(blk_pread(blk, 0, SIZE, buf, 0), ==, 0);
    g_assert_cmpmem(buf, SIZE, shadow, SIZE);
}

static void test_alignment(void)
{
    static const char *const forms[] = {
        "{'driver':'test-mem'}",
        "{'driver':'test-mem','align':512}",
        "{'driver':'test-mem','align':4096}",
        "{'driver':'test-mem','align':512,'max-transfer':1024}",
        "{'driver':'test-mem','align':512,'zero-support':false,'max-transfer':2048}",
        "{'driver':'test-mem','align':4096,'detect-zeroes':'on'}",
        "{'driver':'raw','file':{'driver':'test-mem','align':4096}}",
    };

    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        BlockNode *bn;
        BlockBackend *blk = open_mem(forms[i], &bn);

        random_io(blk, 1500);
        close_mem(blk, bn);
    }
}

static void test_ranges(void)
{
    BlockNode *bn;
    BlockBackend *blk = open_mem("{'driver':'test-mem'}", &bn);
    char buf[1024];

    g_assert_cmpint(blk_pread(blk, SIZE - 512, 1024, buf, 0), ==, -EIO);
    g_assert_cmpint(blk_pread(blk, -1, 1, buf, 0), ==, -EIO);
    g_assert_cmpint(blk_pwrite(blk, SIZE, 1, buf, 0), ==, -EIO);
    g_assert_cmpint(blk_pwrite(blk, INT64_MAX - 10, 100, buf, 0), ==, -EIO);
    g_assert_cmpint(blk_pread(blk, SIZE, 0, buf, 0), ==, 0);
    test_mem(bn)->fail = ENOSPC;
    g_assert_cmpint(blk_pwrite(blk, 0, 512, buf, 0), ==, -ENOSPC);
    close_mem(blk, bn);
}

/* Small writes into one big block, all at once: each read-modify-write must see the others. */
static void test_serialising(void)
{
    BlockNode *bn;
    BlockBackend *blk = open_mem("{'driver':'test-mem','align':4096,'latency-us':200}", &bn);
    uint8_t bytes[16];
    IoVector v[16];
    TestWait w[16];

    for (int i = 0; i < 16; i++) {
        bytes[i] = i + 1;
        w[i] = (TestWait) { 0 };
        io_vector_init_buf(&v[i], &bytes[i], 1);
        blk_aio_pwritev(blk, i * 100, &v[i], 0, test_wait_done, &w[i]);
    }
    for (int i = 0; i < 16; i++) {
        g_assert_cmpint(test_wait(&w[i]), ==, 0);
    }
    for (int i = 0; i < 16; i++) {
        g_assert_cmpint(test_mem(bn)->data[i * 100], ==, i + 1);
    }
    g_assert_cmpint(test_mem(bn)->max_active, ==, 1);
    close_mem(blk, bn);
}

static void test_zero_detection(void)
{
    BlockNode *bn;
    BlockBackend *blk = open_mem("{'driver':'test-mem','detect-zeroes':'on'}", &bn);
    char buf[4096] = "";

    g_assert_cmpint(blk_pwrite(blk, 0, sizeof(buf), buf, 0), ==, 0);
    g_assert_cmpint(test_mem(bn)->zeroes, ==, 1);
    g_assert_cmpint(test_mem(bn)->writes, ==, 0);
    buf[4095] = 1;
    g_assert_cmpint(blk_pwrite(blk, 0, sizeof(buf), buf, 0), ==, 0);
    g_assert_cmpint(test_mem(bn)->writes, ==, 1);
    close_mem(blk, bn);
}

static void test_discard(void)
{
    BlockNode *bn;
    BlockBackend *blk = open_mem("{'driver':'test-mem','align':512}", &bn);
    TestWait w = { 0 };

    blk_aio_pdiscard(blk, 0, 4096, test_wait_done, &w);
    g_assert_cmpint(test_wait(&w), ==, 0);
    g_assert_cmpint(test_mem(bn)->discards, ==, 0);
    close_mem(blk, bn);
    blk = open_mem("{'driver':'test-mem','align':512,'discard':'unmap'}", &bn);
    w.done = false;
    /* Only the one whole block inside. */
    blk_aio_pdiscard(blk, 100, 1000, test_wait_done, &w);
    g_assert_cmpint(test_wait(&w), ==, 0);
    g_assert_cmpint(test_mem(bn)->discards, ==, 1);
    close_mem(blk, bn);
}

static void test_flush(void)
{
    BlockNode *bn;
    BlockBackend *blk =
        open_mem("{'driver':'raw','file':{'driver':'test-mem','latency-us':100}}", &bn);
    TestMem *m = test_mem(bn->file->node);
    TestWait w[8] = { 0 };
    char buf[512] = "x";

    g_assert_cmpint(blk_flush(blk), ==, 0);
    g_assert_cmpint(m->flushes, ==, 0);
    blk_pwrite(blk, 0, sizeof(buf), buf, 0);
    g_assert_cmpint(blk_flush(blk), ==, 0);
    g_assert_cmpint(blk_flush(blk), ==, 0);
    g_assert_cmpint(m->flushes, ==, 1);
    /* Many at the same time share. */
    blk_pwrite(blk, 0, sizeof(buf), buf, 0);
    for (int i = 0; i < 8; i++) {
        blk_aio_flush(blk, test_wait_done, &w[i]);
    }
    for (int i = 0; i < 8; i++) {
        g_assert_cmpint(test_wait(&w[i]), ==, 0);
    }
    g_assert_cmpint(m->flushes, ==, 2);
    /* A failed one is done again. */
    blk_pwrite(blk, 0, sizeof(buf), buf, 0);
    m->fail = EIO;
    g_assert_cmpint(blk_flush(blk), ==, -EIO);
    g_assert_cmpint(blk_flush(blk), ==, 0);
    g_assert_cmpint(m->flushes, ==, 4);
    blk_pwrite(blk, 0, sizeof(buf), buf, 0);
    g_assert_true(block_flush_all(&error_abort));
    g_assert_true(block_flush_all(&error_abort));
    g_assert_cmpint(m->flushes, ==, 5);
    /* Write-through: each write is followed by one. */
    blk_set_write_cache(blk, false);
    blk_pwrite(blk, 0, sizeof(buf), buf, 0);
    g_assert_cmpint(m->flushes, ==, 6);
    close_mem(blk, bn);
}

static void test_write_threshold(void)
{
    BlockNode *bn;
    BlockBackend *blk = open_mem("{'driver':'test-mem','node-name':'mem'}", &bn);
    char buf[1024] = "";
    unsigned before = test_events(NULL, NULL);
    JsonValue *data;
    int event;

    block_set_write_threshold(bn, 4096);
    blk_pwrite(blk, 3072, 1024, buf, 0);
    g_assert_cmpint(test_events(NULL, NULL), ==, before);
    blk_pwrite(blk, 3584, 1024, buf, 0);
    g_assert_cmpint(test_events(&event, &data), ==, before + 1);
    g_assert_cmpint(event, ==, QAPI_EVENT_BLOCK_WRITE_THRESHOLD);
    g_assert_cmpstr(json_object_get_string(data, "node-name"), ==, "mem");
    blk_pwrite(blk, 8192, 1024, buf, 0);
    g_assert_cmpint(test_events(NULL, NULL), ==, before + 1);
    close_mem(blk, bn);
}

#define LOAD 64

static void test_drain(void)
{
    BlockNode *bn;
    BlockBackend *blk =
        open_mem("{'driver':'raw','file':{'driver':'test-mem','latency-us':500}}", &bn);
    TestMem *m = test_mem(bn->file->node);
    TestWait w[LOAD] = { 0 }, late = { 0 };
    uint8_t buf[512] = "x";
    IoVector v;

    io_vector_init_buf(&v, buf, sizeof(buf));
    for (int i = 0; i < LOAD; i++) {
        blk_aio_pwritev(blk, i * 512, &v, 0, test_wait_done, &w[i]);
    }
    g_assert_cmpint(m->active, ==, LOAD);
    block_drain_begin(bn->file->node);
    g_assert_cmpint(m->active, ==, 0);
    for (int i = 0; i < LOAD; i++) {
        g_assert_true(w[i].done);
    }
    /* Nested, and a request that comes meanwhile. */
    block_drain_begin(bn);
    blk_aio_pwritev(blk, 0, &v, 0, test_wait_done, &late);
    event_loop_poll(event_loop_main(), false);
    g_assert_cmpint(m->writes, ==, LOAD);
    block_drain_end(bn->file->node);
    event_loop_poll(event_loop_main(), false);
    g_assert_false(late.done);
    block_drain_end(bn);
    g_assert_cmpint(test_wait(&late), ==, 0);
    g_assert_cmpint(m->writes, ==, LOAD + 1);
    block_drain_all();
    close_mem(blk, bn);
}

/* ---- on another thread ---- */

typedef struct Hammer {
    BlockBackend *blk;
    unsigned left, active;
    uint8_t buf[512];
    IoVector v;
    unsigned completed;         /* atomics */
} Hammer;

static void hammer_step(Hammer *h);

static void hammer_done(void *opaque, int ret)
{
    Hammer *h = opaque;

    g_assert_cmpint(ret, ==, 0);
    h->active--;
    atomic_fetch_add(&h->completed, 1);
    hammer_step(h);
}

static void hammer_step(Hammer *h)
{
    while (h->left && h->active < 8) {
        h->left--;
        h->active++;
        blk_aio_pwritev(h->blk, (h->left % 100) * 512, &h->v, 0, hammer_done, h);
    }
}

static void hammer_start(void *opaque)
{
    hammer_step(opaque);
}

static void test_iothread(void)
{
    BlockNode *bn;
    BlockBackend *blk =
        open_mem("{'driver':'raw','file':{'driver':'test-mem','latency-us':20}}", &bn);
    TestMem *m = test_mem(bn->file->node);
    Hammer h = { .blk = blk, .left = 2000 };
    TestThread t;

    io_vector_init_buf(&h.v, h.buf, sizeof(h.buf));
    test_thread_start(&t);
    g_assert_true(blk_set_loop(blk, t.loop, &error_abort));
    g_assert_true(bn->loop == t.loop && bn->file->node->loop == t.loop);
    event_loop_run_soon(t.loop, hammer_start, &h);
    while (atomic_load(&h.completed) < 2000) {
        unsigned writes;

        /* Under load from the other thread. */
        block_drain_begin(bn);
        g_assert_cmpint(m->active, ==, 0);
        writes = m->writes;
        g_usleep(200);
        g_assert_cmpint(m->writes, ==, writes);
        block_drain_end(bn);
        g_assert_cmpint(blk_pread(blk, 60000, 512, (char[512]) { 0 }, 0), ==, 0);
    }
    block_drain_begin(bn);
    block_drain_end(bn);
    g_assert_true(blk_set_loop(blk, event_loop_main(), &error_abort));
    g_assert_cmpint(blk_pread(blk, 0, 512, (char[512]) { 0 }, 0), ==, 0);
    close_mem(blk, bn);
    test_thread_stop(&t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    test_block_init();
    g_test_add_func("/block/io/alignment", test_alignment);
    g_test_add_func("/block/io/ranges", test_ranges);
    g_test_add_func("/block/io/serialising", test_serialising);
    g_test_add_func("/block/io/zero-detection", test_zero_detection);
    g_test_add_func("/block/io/discard", test_discard);
    g_test_add_func("/block/io/flush", test_flush);
    g_test_add_func("/block/io/write-threshold", test_write_threshold);
    g_test_add_func("/block/io/drain", test_drain);
    g_test_add_func("/block/io/iothread", test_iothread);
    return g_test_run();
}
