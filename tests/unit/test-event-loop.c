/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Event loops: descriptors, bottom halves, timers, notifiers, waking, glib. */
#include "util/osdep.h"
#include <pthread.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include "util/event-loop.h"

static EventLoop *loop;

/* Runs what is ready, some rounds over. */
static void settle(void)
{
    for (int i = 0; i < 8; i++) {
        event_loop_poll(loop, false);
    }
}

static void count(void *opaque)
{
    ++*(int *)opaque;
}

/* ---- bottom halves ---- */

typedef struct BhState {
    BottomHalf *bh;
    int runs;
    int again;
} BhState;

static void bh_again(void *opaque)
{
    BhState *s = opaque;

    s->runs++;
    if (s->again-- > 0) {
        bh_schedule(s->bh);
    } else if (s->again < -1) {
        bh_delete(s->bh);
    }
}

static void bh_delete_self(void *opaque)
{
    BhState *s = opaque;

    s->runs++;
    bh_schedule(s->bh);
    bh_delete(s->bh);
}

static void test_bh(void)
{
    BhState s = { .again = 2 };
    int n = 0;
    BottomHalf *bh = bh_new(loop, count, &n);

    bh_schedule(bh);
    bh_schedule(bh);
    g_assert_true(event_loop_poll(loop, true));
    g_assert_cmpint(n, ==, 1);
    g_assert_false(event_loop_poll(loop, false));

    bh_schedule(bh);
    bh_cancel(bh);
    settle();
    g_assert_cmpint(n, ==, 1);

    bh_schedule(bh);
    bh_delete(bh);
    settle();
    g_assert_cmpint(n, ==, 1);

    /* Scheduling in the callback is for the next round. */
    s.bh = bh_new(loop, bh_again, &s);
    bh_schedule(s.bh);
    event_loop_poll(loop, true);
    g_assert_cmpint(s.runs, ==, 1);
    settle();
    g_assert_cmpint(s.runs, ==, 3);
    bh_delete(s.bh);

    s = (BhState) { 0 };
    s.bh = bh_new(loop, bh_delete_self, &s);
    bh_schedule(s.bh);
    settle();
    g_assert_cmpint(s.runs, ==, 1);
}

typedef struct Order {
    GString *seen;
    char c;
} Order;

static void note(void *opaque)
{
    Order *o = opaque;

    g_string_append_c(o->seen, o->c);
}

static void nested(void *opaque)
{
    Order *o = opaque;

    g_string_append_c(o->seen, '(');
    event_loop_poll(loop, false);
    g_string_append_c(o->seen, ')');
}

static void test_bh_order(void)
{
    g_autoptr(GString) seen = g_string_new(NULL);
    Order a = { seen, 'a' }, b = { seen, 'b' }, n = { seen, 'n' };

    event_loop_run_soon(loop, note, &a);
    event_loop_run_soon(loop, nested, &n);
    event_loop_run_soon(loop, note, &b);
    event_loop_run_soon(loop, note, &a);
    event_loop_poll(loop, true);
    g_assert_cmpstr(seen->str, ==, "a(ba)");
}

/* Bottom halves left behind when the loop goes are freed, not run. */
static void test_bh_left(void)
{
    EventLoop *l = event_loop_new(&error_abort);
    int n = 0;
    BottomHalf *bh = bh_new(l, count, &n);

    event_loop_run_soon(l, count, &n);
    bh_schedule(bh);
    bh_delete(bh);
    event_loop_unref(l);
    g_assert_cmpint(n, ==, 0);
}

/* ---- threads ---- */

enum { PUSHERS = 4, PUSHES = 2000 };

typedef struct Pusher {
    pthread_t thread;
    EventLoop *loop;
    int *total;
} Pusher;

static void *push_thread(void *opaque)
{
    Pusher *p = opaque;

    for (int i = 0; i < PUSHES; i++) {
        event_loop_run_soon(p->loop, count, p->total);
        if (i % 64 == 0) {
            g_usleep(50);
        }
    }
    return NULL;
}

static void test_bh_threads(void)
{
    Pusher p[PUSHERS];
    int total = 0;

    for (int i = 0; i < PUSHERS; i++) {
        p[i] = (Pusher) { .loop = loop, .total = &total };
        pthread_create(&p[i].thread, NULL, push_thread, &p[i]);
    }
    /* Every wait must end by a push: a lost wake hangs here, and the harness stops the test. */
    while (total < PUSHERS * PUSHES) {
        event_loop_poll(loop, true);
    }
    for (int i = 0; i < PUSHERS; i++) {
        pthread_join(p[i].thread, NULL);
    }
    g_assert_cmpint(total, ==, PUSHERS * PUSHES);
}

typedef struct LoopThread {
    pthread_t thread;
    EventLoop *loop;
    bool stop;
    int ran;
} LoopThread;

static void *loop_thread(void *opaque)
{
    LoopThread *t = opaque;

    event_loop_set_current(t->loop);
    while (!atomic_load(&t->stop)) {
        event_loop_poll(t->loop, true);
    }
    return NULL;
}

static void run_on_thread(void *opaque)
{
    LoopThread *t = opaque;

    g_assert_true(event_loop_is_current(t->loop));
    g_assert_true(event_loop_current() == t->loop);
    t->ran++;
}

static void test_run_wait(void)
{
    LoopThread t = { .loop = event_loop_new(&error_abort) };
    int ticks = 0;
    Timer timer;

    pthread_create(&t.thread, NULL, loop_thread, &t);
    for (int i = 1; i <= 500; i++) {
        event_loop_run_wait(t.loop, run_on_thread, &t);
        g_assert_cmpint(t.ran, ==, i);
    }
    /* A timer armed from outside shortens a wait that is under way. */
    timer_init(&timer, t.loop, CLOCK_TYPE_REALTIME, count, &ticks);
    timer_arm_ns(&timer, clock_now_ns(CLOCK_TYPE_REALTIME) + 1000000);
    while (timer_armed(&timer)) {
        g_usleep(200);
    }
    atomic_store(&t.stop, true);
    event_loop_wake(t.loop);
    pthread_join(t.thread, NULL);
    g_assert_cmpint(ticks, ==, 1);
    event_loop_unref(t.loop);
}

/* ---- descriptors ---- */

typedef struct Pipe {
    int fd[2];
    int reads, writes;
    int forget;                 /* another descriptor to forget when read, or -1 */
} Pipe;

static void pipe_open(Pipe *p)
{
    *p = (Pipe) { .forget = -1 };
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p->fd), ==, 0);
}

static void pipe_close(Pipe *p)
{
    close(p->fd[0]);
    close(p->fd[1]);
}

static void pipe_read(void *opaque)
{
    Pipe *p = opaque;
    char c;

    p->reads++;
    if (p->forget >= 0) {
        event_loop_set_fd(loop, p->forget, NULL, NULL, NULL);
        return;
    }
    (void)!recv(p->fd[0], &c, 1, MSG_DONTWAIT);
}

static void pipe_write(void *opaque)
{
    ((Pipe *)opaque)->writes++;
}

static void test_fd(void)
{
    Pipe p;

    pipe_open(&p);
    event_loop_set_fd(loop, p.fd[0], pipe_read, NULL, &p);
    settle();
    g_assert_cmpint(p.reads, ==, 0);
    g_assert_cmpint(write(p.fd[1], "xy", 2), ==, 2);
    g_assert_true(event_loop_poll(loop, true));
    g_assert_cmpint(p.reads, ==, 1);
    settle();
    g_assert_cmpint(p.reads, ==, 2);

    event_loop_set_fd(loop, p.fd[0], pipe_read, pipe_write, &p);
    event_loop_poll(loop, true);
    g_assert_cmpint(p.reads, ==, 2);
    g_assert_cmpint(p.writes, ==, 1);
    event_loop_set_fd(loop, p.fd[0], pipe_read, NULL, &p);
    settle();
    g_assert_cmpint(p.writes, ==, 1);

    /* A hang-up is something to read. */
    close(p.fd[1]);
    event_loop_poll(loop, true);
    g_assert_cmpint(p.reads, ==, 3);
    event_loop_set_fd(loop, p.fd[0], NULL, NULL, NULL);
    settle();
    g_assert_cmpint(p.reads, ==, 3);
    close(p.fd[0]);
    event_loop_set_fd(loop, p.fd[0], NULL, NULL, NULL);
}

/* Handlers that forget themselves, or one whose event lies in the same batch. */
static void test_fd_forget(void)
{
    Pipe a, b;

    pipe_open(&a);
    pipe_open(&b);
    a.forget = a.fd[0];
    event_loop_set_fd(loop, a.fd[0], pipe_read, pipe_write, &a);
    g_assert_cmpint(write(a.fd[1], "x", 1), ==, 1);
    settle();
    g_assert_cmpint(a.reads, ==, 1);
    g_assert_cmpint(a.writes, ==, 0);

    a.forget = b.fd[0];
    b.forget = a.fd[0];
    event_loop_set_fd(loop, a.fd[0], pipe_read, NULL, &a);
    event_loop_set_fd(loop, b.fd[0], pipe_read, NULL, &b);
    g_assert_cmpint(write(b.fd[1], "x", 1), ==, 1);
    event_loop_poll(loop, true);
    /* Whichever came first silenced the other. */
    g_assert_cmpint(a.reads + b.reads, ==, 2);
    event_loop_set_fd(loop, a.fd[0], NULL, NULL, NULL);
    event_loop_set_fd(loop, b.fd[0], NULL, NULL, NULL);
    pipe_close(&a);
    pipe_close(&b);
}

/* A regular file and /dev/null are not for epoll, and always ready. */
static void test_fd_file(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), n = 0;

    event_loop_set_fd(loop, fd, count, NULL, &n);
    event_loop_poll(loop, true);
    event_loop_poll(loop, true);
    g_assert_cmpint(n, ==, 2);
    event_loop_set_fd(loop, fd, NULL, NULL, NULL);
    settle();
    g_assert_cmpint(n, ==, 2);
    close(fd);
}

static void test_external(void)
{
    Pipe p;

    pipe_open(&p);
    event_loop_set_fd(loop, p.fd[0], pipe_read, NULL, &p);
    event_loop_set_fd_external(loop, p.fd[0], true);
    event_loop_disable_external(loop);
    event_loop_disable_external(loop);
    g_assert_cmpint(write(p.fd[1], "x", 1), ==, 1);
    settle();
    event_loop_enable_external(loop);
    settle();
    g_assert_cmpint(p.reads, ==, 0);
    event_loop_enable_external(loop);
    event_loop_poll(loop, true);
    g_assert_cmpint(p.reads, ==, 1);
    event_loop_set_fd(loop, p.fd[0], NULL, NULL, NULL);
    pipe_close(&p);
}

static void test_notifier(void)
{
    EventNotifier n;
    int runs = 0;

    g_assert_true(event_notifier_init(&n, false, &error_abort));
    event_loop_set_notifier(loop, &n, count, &runs);
    settle();
    g_assert_cmpint(runs, ==, 0);
    for (int i = 1; i <= 3; i++) {
        event_notifier_set(&n);
        event_loop_poll(loop, true);
        settle();
        g_assert_cmpint(runs, ==, i);
    }
    /* Set while the handler is held back: not lost. */
    event_loop_set_fd_external(loop, n.fd, true);
    event_loop_disable_external(loop);
    event_notifier_set(&n);
    settle();
    g_assert_cmpint(runs, ==, 3);
    event_loop_enable_external(loop);
    event_loop_poll(loop, true);
    g_assert_cmpint(runs, ==, 4);
    g_assert_true(event_notifier_test_and_clear(&n));
    g_assert_false(event_notifier_test_and_clear(&n));
    event_loop_set_notifier(loop, &n, NULL, NULL);
    event_notifier_cleanup(&n);
}

static bool hook_true_once(void *opaque)
{
    Pipe *p = opaque;

    return p->reads == 0;
}

static void test_busy_poll(void)
{
    Pipe p, other;

    pipe_open(&p);
    pipe_open(&other);
    event_loop_set_poll(loop, 200000, 0, 0);
    event_loop_set_fd(loop, p.fd[0], pipe_read, NULL, &p);
    event_loop_set_fd(loop, other.fd[0], pipe_read, NULL, &other);
    event_loop_set_fd_poll(loop, p.fd[0], hook_true_once);
    /* The first wait is short, which lets polling begin; the next finds work by the hook alone. */
    g_assert_cmpint(write(other.fd[1], "x", 1), ==, 1);
    event_loop_poll(loop, true);
    g_assert_cmpint(other.reads, ==, 1);
    g_assert_cmpint(write(other.fd[1], "x", 1), ==, 1);
    while (!p.reads || other.reads < 2) {
        event_loop_poll(loop, true);
    }
    g_assert_cmpint(p.reads, ==, 1);
    event_loop_set_fd(loop, p.fd[0], NULL, NULL, NULL);
    event_loop_set_fd(loop, other.fd[0], NULL, NULL, NULL);
    event_loop_set_poll(loop, 0, 0, 0);
    pipe_close(&p);
    pipe_close(&other);
}

/* ---- timers ---- */

typedef struct TimerState {
    Timer t;
    Timer *victim;
    GString *seen;
    char c;
    int runs;
    int64_t period;             /* re-arm this much later; -1: no */
} TimerState;

static void timer_tick(void *opaque)
{
    TimerState *s = opaque;

    s->runs++;
    if (s->seen) {
        g_string_append_c(s->seen, s->c);
    }
    if (s->victim) {
        timer_disarm(s->victim);
    }
    if (s->period >= 0) {
        timer_arm_ns(&s->t, clock_now_ns(s->t.clock) + s->period);
    }
}

static void tick_init(TimerState *s, ClockType clock)
{
    *s = (TimerState) { .period = -1 };
    timer_init(&s->t, loop, clock, timer_tick, s);
}

static void test_timer(void)
{
    TimerState s;
    Timer zero = { 0 };
    int64_t start;

    timer_disarm(&zero);
    g_assert_false(timer_armed(&zero));

    tick_init(&s, CLOCK_TYPE_REALTIME);
    g_assert_false(timer_armed(&s.t));
    start = clock_now_ns(CLOCK_TYPE_REALTIME);
    timer_arm_ns(&s.t, start + 2000000);
    g_assert_true(timer_armed(&s.t));
    while (!s.runs) {
        event_loop_poll(loop, true);
    }
    g_assert_cmpint(clock_now_ns(CLOCK_TYPE_REALTIME) - start, >=, 2000000);
    g_assert_false(timer_armed(&s.t));

    timer_arm_ns(&s.t, INT64_MAX);
    timer_disarm(&s.t);
    timer_disarm(&s.t);
    timer_arm_ns(&s.t, -5);
    event_loop_poll(loop, true);
    g_assert_cmpint(s.runs, ==, 2);

    /* Always due: one run a round, and others get theirs. */
    s.period = 0;
    timer_arm_ns(&s.t, 0);
    event_loop_poll(loop, true);
    g_assert_cmpint(s.runs, ==, 3);
    event_loop_poll(loop, true);
    g_assert_cmpint(s.runs, ==, 4);
    timer_disarm(&s.t);
}

/* Deadlines that pass while the loop makes up its mind to wait. */
static void test_timer_short(void)
{
    TimerState s;

    tick_init(&s, CLOCK_TYPE_REALTIME);
    for (int i = 1; i <= 20000; i++) {
        timer_arm_ns(&s.t, clock_now_ns(CLOCK_TYPE_REALTIME) + i % 400);
        while (s.runs < i) {
            event_loop_poll(loop, true);
        }
    }
}

/* One that is due in the same round is disarmed by the one before it. */
static void test_timer_victim(void)
{
    TimerState a, b, c;

    tick_init(&a, CLOCK_TYPE_HOST);
    tick_init(&b, CLOCK_TYPE_HOST);
    tick_init(&c, CLOCK_TYPE_HOST);
    a.victim = &b.t;
    timer_arm_ns(&a.t, 1);
    timer_arm_ns(&b.t, 2);
    timer_arm_ns(&c.t, 3);
    settle();
    g_assert_cmpint(a.runs, ==, 1);
    g_assert_cmpint(b.runs, ==, 0);
    g_assert_cmpint(c.runs, ==, 1);
    g_assert_false(timer_armed(&b.t));
}

static void free_self(void *opaque)
{
    g_free(opaque);
}

static void test_timer_free(void)
{
    for (int i = 0; i < 3; i++) {
        Timer *t = g_new(Timer, 1);

        timer_init(t, loop, CLOCK_TYPE_REALTIME, free_self, t);
        timer_arm_ns(t, 0);
    }
    settle();
}

/* The heap against a simple model: random arms and disarms come out sorted. */
static void test_timer_heap(void)
{
    enum { N = 300 };
    static TimerState s[N];
    int64_t last = -1;
    int armed = 0, ran = 0;

    for (int i = 0; i < N; i++) {
        tick_init(&s[i], CLOCK_TYPE_VIRTUAL);
    }
    for (int i = 0; i < 5000; i++) {
        TimerState *t = &s[g_test_rand_int_range(0, N)];

        if (g_test_rand_bit()) {
            timer_arm_ns(&t->t, clock_now_ns(CLOCK_TYPE_VIRTUAL) + g_test_rand_int_range(1, 10000));
        } else {
            timer_disarm(&t->t);
        }
    }
    for (int i = 0; i < N; i++) {
        armed += timer_armed(&s[i].t);
    }
    for (;;) {
        int64_t next = clock_virtual_next_deadline();
        int now_ran = 0;

        if (next < 0) {
            break;
        }
        g_assert_cmpint(next, >, last);
        last = next;
        clock_virtual_warp(next);
        for (int i = 0; i < N; i++) {
            now_ran += s[i].runs;
        }
        g_assert_cmpint(now_ran, >, ran);
        ran = now_ran;
    }
    g_assert_cmpint(ran, ==, armed);
}

static void test_virtual_clock(void)
{
    g_autoptr(GString) seen = g_string_new(NULL);
    TimerState a, b;
    int64_t base = clock_now_ns(CLOCK_TYPE_VIRTUAL);

    tick_init(&a, CLOCK_TYPE_VIRTUAL);
    tick_init(&b, CLOCK_TYPE_VIRTUAL);
    a.seen = b.seen = seen;
    a.c = 'a';
    b.c = 'b';
    a.period = 100;
    timer_arm_ns(&a.t, base + 100);
    timer_arm_ns(&b.t, base + 250);
    settle();
    g_assert_cmpint(clock_now_ns(CLOCK_TYPE_VIRTUAL), ==, base);
    g_assert_cmpint(clock_virtual_next_deadline(), ==, base + 100);
    clock_virtual_warp(base + 420);
    g_assert_cmpstr(seen->str, ==, "aabaa");
    g_assert_cmpint(clock_now_ns(CLOCK_TYPE_VIRTUAL), ==, base + 420);
    /* It does not go back. */
    clock_virtual_warp(base + 10);
    g_assert_cmpint(clock_now_ns(CLOCK_TYPE_VIRTUAL), ==, base + 420);
    timer_disarm(&a.t);
    g_assert_cmpint(clock_virtual_next_deadline(), ==, -1);
}

/* ---- the main loop in glib ---- */

static gboolean glib_tick(gpointer opaque)
{
    ++*(int *)opaque;
    return G_SOURCE_REMOVE;
}

static int released, acquired;

static void hook_release(void)
{
    released++;
}

static void hook_acquire(void)
{
    acquired++;
}

static void *wake_main_thread(void *opaque)
{
    g_usleep(3000);
    event_loop_run_soon(event_loop_main(), count, opaque);
    return NULL;
}

static void test_main_loop(void)
{
    pthread_t thread;
    TimerState s;
    Pipe p;
    int n = 0;

    main_loop_set_lock_hooks(hook_release, hook_acquire);
    event_loop_run_soon(loop, count, &n);
    main_loop_poll(true);
    g_assert_cmpint(n, ==, 1);
    g_assert_cmpint(released, ==, 1);
    g_assert_cmpint(acquired, ==, 1);

    pthread_create(&thread, NULL, wake_main_thread, &n);
    while (n < 2) {
        main_loop_poll(true);
    }
    pthread_join(thread, NULL);

    /* The same, woken in event_loop_poll(): the other way to sleep. */
    pthread_create(&thread, NULL, wake_main_thread, &n);
    while (n < 3) {
        event_loop_poll(loop, true);
    }
    pthread_join(thread, NULL);

    g_idle_add(glib_tick, &n);
    while (n < 4) {
        main_loop_poll(true);
    }

    pipe_open(&p);
    event_loop_set_fd(loop, p.fd[0], pipe_read, NULL, &p);
    g_assert_cmpint(write(p.fd[1], "x", 1), ==, 1);
    while (!p.reads) {
        main_loop_poll(true);
    }
    event_loop_set_fd(loop, p.fd[0], NULL, NULL, NULL);
    pipe_close(&p);

    tick_init(&s, CLOCK_TYPE_REALTIME);
    timer_arm_ns(&s.t, clock_now_ns(CLOCK_TYPE_REALTIME) + 1500000);
    while (!s.runs) {
        main_loop_poll(true);
    }
    main_loop_poll(false);
    main_loop_set_lock_hooks(NULL, NULL);
}

/* ---- the same, waiting with io_uring ---- */

typedef void TestFunc(void);

/* Runs a test on a loop that this thread has claimed. */
static void on_ring(gconstpointer test)
{
    EventLoop *main = loop;
    Error *err = NULL;

    loop = event_loop_new(&error_abort);
    event_loop_set_current(loop);
    if (event_loop_claim(loop, &err)) {
        ((TestFunc *)test)();
    } else {
        g_test_skip(error_message(err));
        error_free(err);
    }
    event_loop_unref(loop);
    loop = main;
    event_loop_set_current(loop);
}

/* More watches than the ring has entries, each ready; the file of a forgotten one is closed at once. */
static void test_many_fds(void)
{
    enum { COUNT = 300 };
    g_autofree Pipe *p = g_new(Pipe, COUNT);
    int reads = 0;
    char c;

    for (int i = 0; i < COUNT; i++) {
        pipe_open(&p[i]);
        event_loop_set_fd(loop, p[i].fd[0], pipe_read, NULL, &p[i]);
        g_assert_cmpint(write(p[i].fd[1], "x", 1), ==, 1);
    }
    while (reads < COUNT) {
        event_loop_poll(loop, true);
        reads = 0;
        for (int i = 0; i < COUNT; i++) {
            g_assert_cmpint(p[i].reads, <=, 1);
            reads += p[i].reads;
        }
    }
    for (int i = 0; i < COUNT; i++) {
        event_loop_set_fd(loop, p[i].fd[0], NULL, NULL, NULL);
        close(p[i].fd[0]);
        g_assert_cmpint(read(p[i].fd[1], &c, 1), ==, 0);
        close(p[i].fd[1]);
    }
}

/* A descriptor that was closed without a word and came back under its number. */
static void test_fd_again(void)
{
    Pipe a, b;

    pipe_open(&a);
    event_loop_set_fd(loop, a.fd[0], pipe_read, NULL, &a);
    settle();
    pipe_open(&b);
    g_assert_cmpint(dup2(b.fd[0], a.fd[0]), ==, a.fd[0]);
    close(b.fd[0]);
    b.fd[0] = a.fd[0];
    event_loop_set_fd(loop, b.fd[0], pipe_read, NULL, &b);
    g_assert_cmpint(write(b.fd[1], "x", 1), ==, 1);
    event_loop_poll(loop, true);
    settle();
    g_assert_cmpint(b.reads, ==, 1);
    g_assert_cmpint(a.reads, ==, 0);
    event_loop_set_fd(loop, b.fd[0], NULL, NULL, NULL);
    close(a.fd[1]);
    pipe_close(&b);
}

static void *claiming_thread(void *opaque)
{
    LoopThread *t = opaque;

    event_loop_set_current(t->loop);
    event_loop_claim(t->loop, NULL);
    return loop_thread(t);
}

static void nothing(void *opaque)
{
}

/* Watches set before the claim, and set and forgotten by another thread while the loop sleeps. */
static void test_fd_other_thread(void)
{
    LoopThread t = { .loop = event_loop_new(&error_abort) };
    EventNotifier n;
    int kicks = 0;
    Pipe p;

    g_assert_true(event_notifier_init(&n, true, &error_abort));
    event_loop_set_notifier(t.loop, &n, count, &kicks);
    pthread_create(&t.thread, NULL, claiming_thread, &t);
    while (!atomic_load(&kicks)) {
        g_usleep(200);
    }
    for (int i = 0; i < 200; i++) {
        pipe_open(&p);
        event_loop_set_fd(t.loop, p.fd[0], pipe_read, NULL, &p);
        g_assert_cmpint(write(p.fd[1], "x", 1), ==, 1);
        while (!atomic_load(&p.reads)) {
            g_usleep(50);
        }
        event_loop_set_fd(t.loop, p.fd[0], NULL, NULL, NULL);
        event_loop_run_wait(t.loop, nothing, NULL);
        g_assert_cmpint(p.reads, ==, 1);
        pipe_close(&p);
    }
    atomic_store(&t.stop, true);
    event_loop_wake(t.loop);
    pthread_join(t.thread, NULL);
    event_loop_set_notifier(t.loop, &n, NULL, NULL);
    event_notifier_cleanup(&n);
    event_loop_unref(t.loop);
}

static const struct {
    const char *name;
    TestFunc *fn;
} both_ways[] = {
    { "bh", test_bh },
    { "fd", test_fd },
    { "fd-forget", test_fd_forget },
    { "fd-file", test_fd_file },
    { "fd-many", test_many_fds },
    { "fd-again", test_fd_again },
    { "external", test_external },
    { "notifier", test_notifier },
    { "busy-poll", test_busy_poll },
    { "timer", test_timer },
    { "timer-short", test_timer_short },
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    main_loop_init(&error_abort);
    clock_virtual_set_manual();
    loop = event_loop_main();
    g_test_add_func("/event-loop/bh-order", test_bh_order);
    g_test_add_func("/event-loop/bh-left", test_bh_left);
    g_test_add_func("/event-loop/bh-threads", test_bh_threads);
    g_test_add_func("/event-loop/run-wait", test_run_wait);
    g_test_add_func("/event-loop/timer-victim", test_timer_victim);
    g_test_add_func("/event-loop/timer-free", test_timer_free);
    g_test_add_func("/event-loop/timer-heap", test_timer_heap);
    g_test_add_func("/event-loop/virtual-clock", test_virtual_clock);
    g_test_add_func("/event-loop/main-loop", test_main_loop);
    g_test_add_func("/event-loop/fd-other-thread", test_fd_other_thread);
    for (size_t i = 0; i < G_N_ELEMENTS(both_ways); i++) {
        g_autofree char *epoll = g_strdup_printf("/event-loop/epoll/%s", both_ways[i].name);
        g_autofree char *ring = g_strdup_printf("/event-loop/io_uring/%s", both_ways[i].name);

        g_test_add_func(epoll, both_ways[i].fn);
        g_test_add_data_func(ring, both_ways[i].fn, on_ring);
    }
    return g_test_run();
}
