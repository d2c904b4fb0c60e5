/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Coroutines: switching, pool, waking across loops, locks and their order. */
#include "util/osdep.h"
#include <pthread.h>
#include "util/coroutine.h"

static EventLoop *loop;

static void co_step(void *opaque)
{
    int *steps = opaque;

    g_assert_true(coroutine_running());
    ++*steps;
    coroutine_yield();
    ++*steps;
}

static void test_basic(void)
{
    int steps = 0;
    Coroutine *co = coroutine_create(co_step, &steps), *again;

    g_assert_false(coroutine_running());
    g_assert_cmpint(steps, ==, 0);
    coroutine_enter(co);
    g_assert_cmpint(steps, ==, 1);
    g_assert_false(coroutine_running());
    coroutine_enter(co);
    g_assert_cmpint(steps, ==, 2);

    /* The stack comes from the pool, and starts anew. */
    again = coroutine_create(co_step, &steps);
    g_assert_true(again == co);
    coroutine_enter(again);
    g_assert_cmpint(steps, ==, 3);
    coroutine_enter(again);
    g_assert_cmpint(steps, ==, 4);
}

/* Registers, floating point included, and the stack survive switches. */
static void co_sum(void *opaque)
{
    double *sum = opaque, x = 1.5;
    int a[64];

    for (int i = 0; i < 64; i++) {
        a[i] = i;
    }
    for (int i = 0; i < 64; i++) {
        coroutine_yield();
        g_assert_cmpint(a[i], ==, i);
        *sum += x * i;
        x += 0.25;
    }
}

static void test_registers(void)
{
    double sum[3] = { 0 }, expect = 0, x = 1.5;
    Coroutine *co[3];

    for (int i = 0; i < 3; i++) {
        co[i] = coroutine_create(co_sum, &sum[i]);
    }
    for (int i = 0; i < 65; i++) {
        for (int j = 0; j < 3; j++) {
            coroutine_enter(co[j]);
        }
    }
    for (int i = 0; i < 64; i++) {
        expect += x * i;
        x += 0.25;
    }
    for (int i = 0; i < 3; i++) {
        g_assert_cmpfloat(sum[i], ==, expect);
    }
}

/* Coroutines that enter coroutines, deeper than the pool. */
static void co_nest(void *opaque)
{
    int *depth = opaque;

    if (++*depth < 200) {
        coroutine_enter(coroutine_create(co_nest, depth));
    }
    g_assert_true(coroutine_running());
}

static void test_nest(void)
{
    int depth = 0;

    coroutine_enter(coroutine_create(co_nest, &depth));
    g_assert_cmpint(depth, ==, 200);
}

/* A stack as deep as promised. */
static int __attribute__((noinline)) eat(int kib)
{
    volatile char a[1024];

    memset((char *)a, kib, sizeof(a));
    return kib ? eat(kib - 1) + a[kib] - a[kib] : 0;
}

static void co_eat(void *opaque)
{
    *(int *)opaque = eat(400);
}

static void test_deep(void)
{
    int ret = 1;

    coroutine_enter(coroutine_create(co_eat, &ret));
    g_assert_cmpint(ret, ==, 0);
}

/* ---- mutex ---- */

typedef struct Shared {
    CoMutex m;
    CoQueue q;
    CoRwLock rw;
    GString *seen;
    int inside, done;
} Shared;

typedef struct Worker {
    Shared *s;
    char c;
} Worker;

static void co_mutex_worker(void *opaque)
{
    Worker *w = opaque;

    co_mutex_lock(&w->s->m);
    g_assert_cmpint(w->s->inside++, ==, 0);
    g_string_append_c(w->s->seen, w->c);
    coroutine_sleep_ns(CLOCK_TYPE_REALTIME, 100000);
    w->s->inside--;
    co_mutex_unlock(&w->s->m);
    w->s->done++;
}

/* Who came first gets it first, and who lets go cannot overtake. */
static void co_mutex_greedy(void *opaque)
{
    Worker *w = opaque;

    for (int i = 0; i < 3; i++) {
        co_mutex_lock(&w->s->m);
        g_string_append_c(w->s->seen, w->c);
        coroutine_sleep_ns(CLOCK_TYPE_REALTIME, 1000);
        co_mutex_unlock(&w->s->m);
    }
    w->s->done++;
}

static void test_mutex(void)
{
    Shared s = { .seen = g_string_new(NULL) };
    Worker w[4];

    co_mutex_init(&s.m);
    for (int i = 0; i < 4; i++) {
        w[i] = (Worker) { &s, 'a' + i };
        coroutine_enter(coroutine_create(co_mutex_worker, &w[i]));
    }
    while (s.done < 4) {
        event_loop_poll(loop, true);
    }
    g_assert_cmpstr(s.seen->str, ==, "abcd");

    g_string_truncate(s.seen, 0);
    s.done = 0;
    for (int i = 0; i < 3; i++) {
        coroutine_enter(coroutine_create(co_mutex_greedy, &w[i]));
    }
    while (s.done < 3) {
        event_loop_poll(loop, true);
    }
    g_assert_cmpstr(s.seen->str, ==, "abcabcabc");
    g_string_free(s.seen, TRUE);
}

/* ---- queue ---- */

static void co_queue_worker(void *opaque)
{
    Worker *w = opaque;

    co_mutex_lock(&w->s->m);
    co_queue_wait(&w->s->q, &w->s->m);
    g_string_append_c(w->s->seen, w->c);
    co_mutex_unlock(&w->s->m);
    w->s->done++;
}

static void test_queue(void)
{
    Shared s = { .seen = g_string_new(NULL) };
    Worker w[3];

    co_mutex_init(&s.m);
    co_queue_init(&s.q);
    g_assert_true(co_queue_empty(&s.q));
    g_assert_false(co_queue_wake_one(&s.q));
    for (int i = 0; i < 3; i++) {
        w[i] = (Worker) { &s, 'a' + i };
        coroutine_enter(coroutine_create(co_queue_worker, &w[i]));
    }
    g_assert_cmpint(s.done, ==, 0);
    g_assert_true(co_queue_wake_one(&s.q));
    g_assert_cmpstr(s.seen->str, ==, "a");
    co_queue_wake_all(&s.q);
    g_assert_cmpstr(s.seen->str, ==, "abc");
    g_assert_true(co_queue_empty(&s.q));
    g_string_free(s.seen, TRUE);
}

/* ---- readers and writers ---- */

static void co_reader(void *opaque)
{
    Worker *w = opaque;

    co_rwlock_rdlock(&w->s->rw);
    g_string_append_c(w->s->seen, w->c);
    coroutine_yield();
    co_rwlock_unlock(&w->s->rw);
    w->s->done++;
}

static void co_writer(void *opaque)
{
    Worker *w = opaque;

    co_rwlock_wrlock(&w->s->rw);
    g_string_append_c(w->s->seen, w->c);
    coroutine_yield();
    co_rwlock_unlock(&w->s->rw);
    w->s->done++;
}

static void test_rwlock(void)
{
    Shared s = { .seen = g_string_new(NULL) };
    Worker w[] = { { &s, 'r' }, { &s, 's' }, { &s, 'W' }, { &s, 't' }, { &s, 'u' }, { &s, 'X' } };
    Coroutine *co[6];

    co_rwlock_init(&s.rw);
    for (int i = 0; i < 6; i++) {
        co[i] = coroutine_create(i == 2 || i == 5 ? co_writer : co_reader, &w[i]);
        coroutine_enter(co[i]);
    }
    /* Two readers are in; the third waits behind the writer. */
    g_assert_cmpstr(s.seen->str, ==, "rs");
    coroutine_enter(co[0]);
    event_loop_poll(loop, false);
    g_assert_cmpstr(s.seen->str, ==, "rs");
    coroutine_enter(co[1]);
    event_loop_poll(loop, false);
    g_assert_cmpstr(s.seen->str, ==, "rsW");
    coroutine_enter(co[2]);
    event_loop_poll(loop, false);
    g_assert_cmpstr(s.seen->str, ==, "rsWtu");
    coroutine_enter(co[4]);
    coroutine_enter(co[3]);
    event_loop_poll(loop, false);
    g_assert_cmpstr(s.seen->str, ==, "rsWtuX");
    coroutine_enter(co[5]);
    g_assert_cmpint(s.done, ==, 6);
    g_assert_cmpint(s.rw.readers, ==, 0);
    g_string_free(s.seen, TRUE);
}

/* ---- several loops ---- */

enum { LOOPS = 3, HOPPERS = 6, HOPS = 300 };

typedef struct LoopThread {
    pthread_t thread;
    EventLoop *loop;
    bool stop;
} LoopThread;

static LoopThread threads[LOOPS];
static CoMutex hop_mutex;
static int hop_inside, hop_total, hop_done;

static void *loop_thread(void *opaque)
{
    LoopThread *t = opaque;

    event_loop_set_current(t->loop);
    while (!atomic_load(&t->stop)) {
        event_loop_poll(t->loop, true);
    }
    return NULL;
}

static void co_hop(void *opaque)
{
    unsigned seed = GPOINTER_TO_UINT(opaque);

    for (int i = 0; i < HOPS; i++) {
        LoopThread *t = &threads[(seed + i * 7) % LOOPS];

        coroutine_move(t->loop);
        g_assert_true(event_loop_is_current(t->loop));
        g_assert_true(coroutine_loop(coroutine_self()) == t->loop);
        co_mutex_lock(&hop_mutex);
        g_assert_true(event_loop_is_current(t->loop));
        g_assert_cmpint(hop_inside++, ==, 0);
        hop_total++;
        if (i % 16 == 0) {
            coroutine_sleep_ns(CLOCK_TYPE_REALTIME, 10000);
        }
        hop_inside--;
        co_mutex_unlock(&hop_mutex);
    }
    coroutine_move(loop);
    hop_done++;
}

static void test_threads(void)
{
    co_mutex_init(&hop_mutex);
    for (int i = 0; i < LOOPS; i++) {
        threads[i] = (LoopThread) { .loop = event_loop_new(&error_abort) };
        pthread_create(&threads[i].thread, NULL, loop_thread, &threads[i]);
    }
    for (unsigned i = 0; i < HOPPERS; i++) {
        coroutine_enter(coroutine_create(co_hop, GUINT_TO_POINTER(i)));
    }
    while (hop_done < HOPPERS) {
        event_loop_poll(loop, true);
    }
    g_assert_cmpint(hop_total, ==, HOPPERS * HOPS);
    for (int i = 0; i < LOOPS; i++) {
        atomic_store(&threads[i].stop, true);
        event_loop_wake(threads[i].loop);
        pthread_join(threads[i].thread, NULL);
        event_loop_unref(threads[i].loop);
    }
}

/* Woken in a coroutine it runs later, outside of one at once. */
static void co_wake_it(void *opaque)
{
    Worker *w = opaque;

    co_queue_wake_one(&w->s->q);
    g_string_append_c(w->s->seen, w->c);
}

static void test_wake(void)
{
    Shared s = { .seen = g_string_new(NULL) };
    Worker a = { &s, 'a' }, b = { &s, 'b' };

    co_mutex_init(&s.m);
    co_queue_init(&s.q);
    coroutine_enter(coroutine_create(co_queue_worker, &a));
    coroutine_enter(coroutine_create(co_wake_it, &b));
    g_assert_cmpstr(s.seen->str, ==, "b");
    event_loop_poll(loop, true);
    g_assert_cmpstr(s.seen->str, ==, "ba");
    g_string_free(s.seen, TRUE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    main_loop_init(&error_abort);
    loop = event_loop_main();
    g_test_add_func("/coroutine/basic", test_basic);
    g_test_add_func("/coroutine/registers", test_registers);
    g_test_add_func("/coroutine/nest", test_nest);
    g_test_add_func("/coroutine/deep", test_deep);
    g_test_add_func("/coroutine/mutex", test_mutex);
    g_test_add_func("/coroutine/queue", test_queue);
    g_test_add_func("/coroutine/rwlock", test_rwlock);
    g_test_add_func("/coroutine/wake", test_wake);
    g_test_add_func("/coroutine/threads", test_threads);
    return g_test_run();
}
