/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Thread pool: results, limits, nested waits, end with work under way. */
#include "util/osdep.h"
#include "util/coroutine.h"
#include "util/thread.h"

enum { MANY = 300 };

static EventLoop *loop;
static int running, most;       /* atomic */

static int work(void *arg)
{
    int now = atomic_fetch_add(&running, 1) + 1;

    if (now > atomic_load(&most)) {
        atomic_store(&most, now);
    }
    g_usleep(GPOINTER_TO_INT(arg) % 5 * 20);
    atomic_fetch_sub(&running, 1);
    return -GPOINTER_TO_INT(arg);
}

static void done(void *opaque, int ret)
{
    int *sum = opaque;

    g_assert_true(event_loop_is_current(loop));
    *sum += ret;
}

static void test_callbacks(void)
{
    int sum = 0;

    thread_pool_set_limits(loop, 0, 3);
    for (int i = 1; i <= MANY; i++) {
        thread_pool_run(work, GINT_TO_POINTER(i), done, &sum);
    }
    while (sum != -MANY * (MANY + 1) / 2) {
        event_loop_poll(loop, true);
    }
    g_assert_cmpint(atomic_load(&most), <=, 3);
    thread_pool_set_limits(loop, 1, 64);
}

typedef struct Inner {
    int outer, sum;
} Inner;

/* A callback waits for one that comes after it. */
static void done_waits(void *opaque, int ret)
{
    Inner *in = opaque;

    in->outer++;
    while (in->sum != -2) {
        event_loop_poll(loop, true);
    }
}

static void test_nested(void)
{
    Inner in = { 0 };

    thread_pool_run(work, GINT_TO_POINTER(1), done_waits, &in);
    thread_pool_run(work, GINT_TO_POINTER(2), done, &in.sum);
    g_usleep(5000);
    while (!in.outer) {
        event_loop_poll(loop, true);
    }
    g_assert_cmpint(in.sum, ==, -2);
}

static void co_work(void *opaque)
{
    int *left = opaque;

    for (int i = 0; i < 20; i++) {
        g_assert_cmpint(thread_pool_co_run(work, GINT_TO_POINTER(i)), ==, -i);
    }
    --*left;
}

static void test_coroutine(void)
{
    int left = 8;

    for (int i = 0; i < 8; i++) {
        coroutine_enter(coroutine_create(co_work, &left));
    }
    while (left) {
        event_loop_poll(loop, true);
    }
}

/* The loop goes while requests wait: they are carried out, their callbacks are not called. */
static void test_end(void)
{
    EventLoop *l = event_loop_new(&error_abort);
    int sum = 0;

    event_loop_set_current(l);
    for (int i = 0; i < 50; i++) {
        thread_pool_run(work, GINT_TO_POINTER(i), done, &sum);
    }
    event_loop_set_current(loop);
    event_loop_unref(l);
    g_assert_cmpint(atomic_load(&running), ==, 0);
    g_assert_cmpint(sum, ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    main_loop_init(&error_abort);
    loop = event_loop_main();
    g_test_add_func("/thread-pool/callbacks", test_callbacks);
    g_test_add_func("/thread-pool/nested", test_nested);
    g_test_add_func("/thread-pool/coroutine", test_coroutine);
    g_test_add_func("/thread-pool/end", test_end);
    return g_test_run();
}
