/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the block layer's unit tests share: a driver "test-mem" that keeps its
 * content in memory and is strict about what it is asked, event capture, waiting
 * for asynchronous requests, and a thread with a loop.
 */
#ifndef TESTS_UNIT_BLOCK_FIXTURE_H
#define TESTS_UNIT_BLOCK_FIXTURE_H

#include <pthread.h>
#include "block/block.h"
#include "block/block-backend.h"

/* Options of test-mem: size, align, max-transfer, latency-us, zero-support. */
typedef struct TestMem {
    uint8_t *data;
    uint64_t size, align, max_transfer, latency_us;
    bool zero_support;
    int fail;                   /* the next request fails with this errno */
    unsigned reads, writes, zeroes, discards, flushes;
    unsigned active, max_active;
} TestMem;

TestMem *test_mem(BlockNode *bn);

/* main_loop_init and event capture; call g_test_init before. */
void test_block_init(void);
JsonValue *test_options(const char *json_with_single_quotes);
/* block_node_add() for drivers that the schema does not know too. */
BlockNode *test_node(const char *json_with_single_quotes);
BlockBackend *test_backend(BlockNode *bn, uint64_t perm, uint64_t shared);
/* The number of events sent so far, and the data of the last one (borrowed). */
unsigned test_events(int *last, JsonValue **data);

/* An asynchronous request's result. */
typedef struct TestWait {
    bool done;                  /* atomics */
    int ret;
} TestWait;
void test_wait_done(void *opaque, int ret);
int test_wait(TestWait *w);

/* A thread that runs a loop. */
typedef struct TestThread {
    EventLoop *loop;
    pthread_t thread;
    bool stop;                  /* atomics */
} TestThread;
void test_thread_start(TestThread *t);
void test_thread_stop(TestThread *t);
/* Pseudo-random numbers, the same in every run. */
uint32_t test_random(void);

#endif
