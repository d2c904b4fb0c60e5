/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs of queue handlers: kicks by eventfd and by register, the bound of a run
 * against a driver that never stops adding, start and stop on the main loop
 * and on another thread's loop.
 */
#include "util/osdep.h"
#include <pthread.h>
#include "virtqueue-fixture.h"

#define SIZE 8

typedef struct Run {
    Fixture *f;
    Driver *d;
    VirtioDeviceOps ops;
    VirtioTransportOps transport;
    EventNotifier *kick;        /* what the device gave to the transport */
    bool refill;                /* hostile: a new buffer for each that is taken */
    unsigned runs, taken, most; /* most: in one run */
    unsigned stop_early;        /* take so many a run; 0: all */
    pthread_t thread;           /* that ran the handler last */
} Run;

static Run *run;

static void add(void)
{
    Seg seg = { BUFFERS, 8 };

    g_assert_cmpint(driver_add(run->d, &seg, 1, 0, false), >=, 0);
}

static void collect(void)
{
    uint16_t id;
    uint32_t len;

    while (driver_get_used(run->d, &id, &len)) {
        /* all */
    }
}

static void handler(VirtioDevice *vdev, VirtQueue *vq)
{
    VirtQueueElement *e;
    unsigned n = 0;

    run->runs++;
    run->thread = pthread_self();
    while ((!run->stop_early || n < run->stop_early) && (e = virtqueue_pop(vq, sizeof(*e)))) {
        n++;
        virtqueue_push(e, 0);
        virtqueue_element_free(e);
        if (run->refill) {
            collect();
            add();
        }
    }
    run->most = MAX(run->most, n);
    atomic_store_release(&run->taken, run->taken + n);
}

static bool assign(DeviceState *transport, uint16_t index, EventNotifier *n, bool assigned)
{
    run->kick = assigned ? n : NULL;
    return true;
}

static void notify_queue(DeviceState *transport, VirtQueue *vq)
{
}

static void set_up(EventLoop *loop, bool packed)
{
    uint64_t features = BIT(VIRTIO_RING_F_EVENT_IDX) | (packed ? BIT(VIRTIO_F_RING_PACKED) : 0);

    run = g_new0(Run, 1);
    run->f = fixture_new(features, SIZE);
    run->d = driver_new(run->f, features);
    run->transport.assign_host_notifier = assign;
    run->transport.notify_queue = notify_queue;
    run->f->vdev.transport_ops = &run->transport;
    run->f->vdev.ops = &run->ops;
    run->f->vq.handler = handler;
    run->f->vq.loop = loop;
    run->f->vq.notifier.fd = -1;
}

static void tear_down(void)
{
    VirtQueue *vq = &run->f->vq;

    virtqueue_run_stop(vq);
    virtqueue_notifier_release(vq);
    if (vq->bh) {
        bh_delete(vq->bh);
    }
    if (vq->notifier.fd >= 0) {
        event_notifier_cleanup(&vq->notifier);
    }
    driver_free(run->d);
    fixture_free(run->f);
    g_free(run);
}

static void poll_all(void)
{
    while (event_loop_poll(event_loop_main(), false)) {
        /* again */
    }
}

/* Nothing before the start, the backlog at the start, each kick after it, nothing after the stop. */
static void test_start_stop(void)
{
    VirtQueue *vq;

    for (int packed = 0; packed < 2; packed++) {
        set_up(event_loop_main(), packed);
        vq = &run->f->vq;
        add();
        virtqueue_notifier_assign(vq);
        g_assert_nonnull(run->kick);
        event_notifier_set(run->kick);
        poll_all();
        g_assert_cmpuint(run->taken, ==, 0);

        virtqueue_run_start(vq);
        poll_all();
        g_assert_cmpuint(run->taken, ==, 1);
        for (unsigned i = 2; i < 40; i++) {
            collect();
            add();
            g_assert_true(driver_should_kick(run->d));
            event_notifier_set(run->kick);
            poll_all();
            g_assert_cmpuint(run->taken, ==, i);
        }
        virtqueue_run_stop(vq);
        collect();
        add();
        event_notifier_set(run->kick);
        virtio_queue_rerun(vq);
        poll_all();
        g_assert_cmpuint(run->taken, ==, 39);
        virtqueue_run_start(vq);
        poll_all();
        g_assert_cmpuint(run->taken, ==, 40);
        tear_down();
    }
}

static void test_register_kick(void)
{
    VirtQueue *queue;

    set_up(event_loop_main(), false);
    queue = &run->f->vq;
    run->f->vdev.queues = &queue;
    run->f->vdev.queue_count = 1;
    run->ops.rare_kicks = true;
    virtqueue_notifier_assign(queue);
    g_assert_null(run->kick);
    /* Before the start, and of queues that do not exist: nothing. */
    virtio_queue_kick(&run->f->vdev, 0);
    virtio_queue_kick(&run->f->vdev, 1);
    virtqueue_run_start(queue);
    poll_all();
    add();
    virtio_queue_kick(&run->f->vdev, 0);
    poll_all();
    g_assert_cmpuint(run->taken, ==, 1);
    tear_down();
}

static void count(void *opaque)
{
    ++*(unsigned *)opaque;
}

/* A driver that adds as fast as we take: others get their turn after each ring full. */
static void test_bound(void)
{
    for (int packed = 0; packed < 2; packed++) {
        unsigned turns = 0;

        set_up(event_loop_main(), packed);
        run->refill = true;
        add();
        virtqueue_run_start(&run->f->vq);
        for (unsigned i = 0; i < 100; i++) {
            event_loop_run_soon(event_loop_main(), count, &turns);
            event_loop_poll(event_loop_main(), false);
        }
        g_assert_cmpuint(turns, ==, 100);
        g_assert_cmpuint(run->most, ==, SIZE);
        g_assert_cmpuint(run->taken, >=, 50 * SIZE);
        g_assert_cmpuint(run->taken, <=, 101 * SIZE);
        tear_down();
    }
}

/* A handler that stops early is called again when it asks, not before. */
static void test_early(void)
{
    set_up(event_loop_main(), false);
    run->stop_early = 1;
    for (unsigned i = 0; i < 5; i++) {
        add();
    }
    run->f->vq.manual_kicks = true;
    virtqueue_run_start(&run->f->vq);
    poll_all();
    g_assert_cmpuint(run->taken, ==, 1);
    virtio_queue_rerun(&run->f->vq);
    poll_all();
    g_assert_cmpuint(run->taken, ==, 2);
    /* Without manual kicks progress is followed by another look. */
    run->f->vq.manual_kicks = false;
    virtio_queue_rerun(&run->f->vq);
    poll_all();
    g_assert_cmpuint(run->taken, ==, 5);
    tear_down();
}

static void *serve(void *opaque)
{
    EventLoop *loop = opaque;

    event_loop_set_current(loop);
    while (event_loop_poll(loop, true) || !atomic_load(&run->ops.device_id)) {
        /* until told */
    }
    return NULL;
}

/* On another thread: stop waits for the handler, start hands the ring over. */
static void test_thread(void)
{
    EventLoop *loop = event_loop_new(&error_abort);
    pthread_t thread;

    set_up(loop, true);
    g_assert_cmpint(pthread_create(&thread, NULL, serve, loop), ==, 0);
    virtqueue_notifier_assign(&run->f->vq);
    for (unsigned i = 1; i <= 200; i++) {
        collect();
        add();
        virtqueue_run_start(&run->f->vq);
        event_notifier_set(run->kick);
        while (atomic_load_acquire(&run->taken) < i) {
            g_thread_yield();
        }
        virtqueue_run_stop(&run->f->vq);
        g_assert_true(pthread_equal(run->thread, thread));
    }
    atomic_store(&run->ops.device_id, 1);
    event_loop_wake(loop);
    pthread_join(thread, NULL);
    tear_down();
    event_loop_unref(loop);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    main_loop_init(&error_abort);
    g_test_add_func("/virtqueue-run/start-stop", test_start_stop);
    g_test_add_func("/virtqueue-run/register-kick", test_register_kick);
    g_test_add_func("/virtqueue-run/bound", test_bound);
    g_test_add_func("/virtqueue-run/early", test_early);
    g_test_add_func("/virtqueue-run/thread", test_thread);
    return g_test_run();
}
