/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RCU: nothing is freed under a reader, everything is freed in the end, no thread without need. */
#include "util/osdep.h"
#include <dirent.h>
#include <pthread.h>
#include "util/event-loop.h"
#include "util/rcu.h"

enum { ALIVE = 0x600d, FREED = 0xdead, READERS = 3, UPDATES = 400 };

typedef struct Version {
    int state;
    int number;
} Version;

static Version *current;
static bool stop;
static int freed;

static void version_free(void *p)
{
    Version *v = p;

    g_assert_cmpint(v->state, ==, ALIVE);
    atomic_store(&v->state, FREED);
    g_free(v);
    atomic_fetch_add(&freed, 1);
}

static Version *version_new(int number)
{
    Version *v = g_new(Version, 1);

    *v = (Version) { ALIVE, number };
    return v;
}

static int threads(void)
{
    DIR *d = opendir("/proc/self/task");
    int n = -2;

    while (readdir(d)) {
        n++;
    }
    closedir(d);
    return n;
}

/* Alone, callbacks come with the main loop's next round and no thread starts. */
static void test_alone(void)
{
    int before = threads();

    rcu_read_lock();
    rcu_read_lock();
    rcu_read_unlock();
    rcu_read_unlock();
    freed = 0;
    rcu_free_later(version_new(0), version_free);
    rcu_free_later(version_new(1), version_free);
    g_assert_cmpint(freed, ==, 0);
    event_loop_poll(event_loop_main(), true);
    g_assert_cmpint(freed, ==, 2);
    rcu_synchronize();
    g_assert_cmpint(threads(), ==, before);
}

static void *reader(void *opaque)
{
    int last = 0;

    while (!atomic_load(&stop)) {
        Version *v;

        rcu_read_lock();
        v = rcu_dereference(current);
        for (int i = 0; i < 20; i++) {
            g_assert_cmpint(atomic_load(&v->state), ==, ALIVE);
        }
        g_assert_cmpint(v->number, >=, last);
        last = v->number;
        rcu_read_unlock();
    }
    return NULL;
}

static void test_readers(void)
{
    pthread_t t[READERS];

    freed = 0;
    current = version_new(0);
    for (int i = 0; i < READERS; i++) {
        pthread_create(&t[i], NULL, reader, NULL);
    }
    for (int i = 1; i <= UPDATES; i++) {
        Version *old = current;

        rcu_assign(current, version_new(i));
        if (i % 3) {
            rcu_free_later(old, version_free);
        } else {
            rcu_synchronize();
            version_free(old);
        }
        event_loop_poll(event_loop_main(), false);
    }
    rcu_drain();
    g_assert_cmpint(atomic_load(&freed), ==, UPDATES);
    atomic_store(&stop, true);
    for (int i = 0; i < READERS; i++) {
        pthread_join(t[i], NULL);
    }
    version_free(current);
}

/* A reader that stays inside holds back what it may see. */
static void *slow_reader(void *opaque)
{
    bool *inside = opaque;

    rcu_read_lock();
    atomic_store_release(inside, true);
    while (atomic_load_acquire(inside)) {
        g_usleep(100);
    }
    rcu_read_unlock();
    return NULL;
}

static void test_slow(void)
{
    bool inside = false;
    pthread_t t;

    freed = 0;
    pthread_create(&t, NULL, slow_reader, &inside);
    while (!atomic_load_acquire(&inside)) {
        g_usleep(100);
    }
    rcu_free_later(version_new(0), version_free);
    event_loop_poll(event_loop_main(), true);
    g_usleep(5000);
    g_assert_cmpint(atomic_load(&freed), ==, 0);
    atomic_store_release(&inside, false);
    rcu_drain();
    g_assert_cmpint(atomic_load(&freed), ==, 1);
    pthread_join(t, NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    main_loop_init(&error_abort);
    g_test_add_func("/rcu/alone", test_alone);
    g_test_add_func("/rcu/readers", test_readers);
    g_test_add_func("/rcu/slow", test_slow);
    return g_test_run();
}
