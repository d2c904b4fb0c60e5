/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See block-fixture.h. */
#include "util/osdep.h"
#include "block-fixture.h"
#include "block/options.h"
#include "qapi/qapi.h"
#include "util/thread.h"

/* ---- the driver ---- */

TestMem *test_mem(BlockNode *bn)
{
    return bn->opaque;
}

static bool mem_open(BlockNode *bn, JsonValue *options, Error **errp)
{
    TestMem *m = bn->opaque;

    m->size = 64 * KIB;
    m->align = 1;
    m->zero_support = true;
    if (!block_option_take_size(options, "size", &m->size, NULL, errp) ||
        !block_option_take_size(options, "align", &m->align, NULL, errp) ||
        !block_option_take_size(options, "max-transfer", &m->max_transfer, NULL, errp) ||
        !block_option_take_size(options, "latency-us", &m->latency_us, NULL, errp) ||
        !block_option_take_bool(options, "zero-support", &m->zero_support, errp)) {
        return false;
    }
    m->data = g_malloc0(ROUND_UP(m->size, 4096));
    bn->supported_zero_flags = BLOCK_REQ_MAY_UNMAP | BLOCK_REQ_NO_FALLBACK;
    return true;
}

static void mem_close(BlockNode *bn)
{
    g_free(test_mem(bn)->data);
}

static int64_t mem_length(BlockNode *bn)
{
    return test_mem(bn)->size;
}

static void mem_limits(BlockNode *bn)
{
    bn->limits.request_alignment = test_mem(bn)->align;
    bn->limits.max_transfer = test_mem(bn)->max_transfer;
}

static int coroutine_fn mem_enter(BlockNode *bn, int64_t offset, int64_t bytes)
{
    TestMem *m = test_mem(bn);
    int fail = m->fail;

    g_assert_true(event_loop_is_current(bn->loop));
    g_assert_cmpint(offset % m->align, ==, 0);
    g_assert_cmpint(bytes % m->align, ==, 0);
    g_assert_cmpint(offset + bytes, <=, ROUND_UP(m->size, m->align));
    m->active++;
    m->max_active = MAX(m->max_active, m->active);
    m->fail = 0;
    if (m->latency_us) {
        coroutine_sleep_ns(CLOCK_TYPE_REALTIME, m->latency_us * 1000);
    }
    m->active--;
    return -fail;
}

static int coroutine_fn mem_preadv(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                   size_t v_offset, unsigned flags)
{
    TestMem *m = test_mem(bn);
    int ret = mem_enter(bn, offset, bytes);

    g_assert_true(!m->max_transfer || bytes <= m->max_transfer);
    m->reads++;
    if (ret == 0) {
        iov_from_buf(v->iov, v->cnt, v_offset, m->data + offset, bytes);
    }
    return ret;
}

static int coroutine_fn mem_pwritev(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                    size_t v_offset, unsigned flags)
{
    TestMem *m = test_mem(bn);
    int ret = mem_enter(bn, offset, bytes);

    g_assert_true(!m->max_transfer || bytes <= m->max_transfer);
    m->writes++;
    if (ret == 0) {
        iov_to_buf(v->iov, v->cnt, v_offset, m->data + offset, bytes);
    }
    return ret;
}

static int coroutine_fn mem_zeroes(BlockNode *bn, int64_t offset, int64_t bytes, unsigned flags)
{
    TestMem *m = test_mem(bn);
    int ret;

    if (!m->zero_support) {
        return -ENOTSUP;
    }
    ret = mem_enter(bn, offset, bytes);
    m->zeroes++;
    if (ret == 0) {
        memset(m->data + offset, 0, bytes);
    }
    return ret;
}

static int coroutine_fn mem_discard(BlockNode *bn, int64_t offset, int64_t bytes)
{
    test_mem(bn)->discards++;
    return mem_enter(bn, offset, bytes);
}

static int coroutine_fn mem_flush(BlockNode *bn)
{
    test_mem(bn)->flushes++;
    return mem_enter(bn, 0, 0);
}

BLOCK_DRIVER(test_mem_driver) = {
    .name = "test-mem",
    .instance_size = sizeof(TestMem),
    .is_protocol = true,
    .open = mem_open,
    .close = mem_close,
    .length = mem_length,
    .refresh_limits = mem_limits,
    .co_preadv = mem_preadv,
    .co_pwritev = mem_pwritev,
    .co_pwrite_zeroes = mem_zeroes,
    .co_pdiscard = mem_discard,
    .co_flush_to_disk = mem_flush,
};

/* ---- set-up ---- */

static unsigned event_count;
static int last_event;
static JsonValue *last_data;

static void capture(int event, JsonValue *data)
{
    event_count++;
    last_event = event;
    json_unref(last_data);
    last_data = data;
}

unsigned test_events(int *last, JsonValue **data)
{
    if (last) {
        *last = last_event;
    }
    if (data) {
        *data = last_data;
    }
    return event_count;
}

void test_block_init(void)
{
    main_loop_init(&error_abort);
    qapi_event_set_sink(capture);
}

JsonValue *test_options(const char *text)
{
    g_autofree char *json = g_strdelimit(g_strdup(text), "'", '"');

    return json_parse(json, strlen(json), &error_abort);
}

BlockNode *test_node(const char *text)
{
    return block_open(NULL, test_options(text), BLOCK_OPEN_RDWR, &error_abort);
}

BlockBackend *test_backend(BlockNode *bn, uint64_t perm, uint64_t shared)
{
    BlockBackend *blk = blk_new(bn->loop, perm, shared);

    blk_insert(blk, bn, &error_abort);
    return blk;
}

void test_wait_done(void *opaque, int ret)
{
    TestWait *w = opaque;

    w->ret = ret;
    atomic_store_release(&w->done, true);
    event_loop_wake(event_loop_main());
}

int test_wait(TestWait *w)
{
    while (!atomic_load_acquire(&w->done)) {
        event_loop_poll(event_loop_main(), true);
    }
    return w->ret;
}

static void *thread_body(void *opaque)
{
    TestThread *t = opaque;

    event_loop_set_current(t->loop);
    while (!atomic_load(&t->stop)) {
        event_loop_poll(t->loop, true);
    }
    return NULL;
}

void test_thread_start(TestThread *t)
{
    t->loop = event_loop_new(&error_abort);
    t->stop = false;
    thread_create(&t->thread, "test-loop", thread_body, t, &error_abort);
}

void test_thread_stop(TestThread *t)
{
    atomic_store(&t->stop, true);
    event_loop_wake(t->loop);
    pthread_join(t->thread, NULL);
    event_loop_unref(t->loop);
}

uint32_t test_random(void)
{
    static uint64_t state = 88172645463325252;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state >> 16;
}
