/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Drain: bring a node and everything above it to rest. Quiescing spreads
 * upwards over the edges to the roots (BlockBackends, jobs), which then hold
 * new requests back; requests that are already below them run to their end.
 *
 * Thread: the main thread or the holder of the machine lock. Requests may be
 * in flight on iothreads meanwhile: a root first counts a request and then looks at
 * its quiesce counter, drain first raises the counter and then looks at the
 * count, so one of them sees the other.
 */
#include "util/osdep.h"
#include "block/block-int.h"
#include "trace-block.h"

static unsigned waiters;        /* atomics */

void block_wait_kick(void)
{
    /* What the caller finished must be seen by a waiter that we do not see yet. */
    smp_mb();
    if (atomic_load(&waiters)) {
        event_loop_wake(event_loop_main());
    }
}

void block_wait(bool (*done)(void *opaque), void *opaque)
{
    EventLoop *loop = event_loop_current();

    assert(!coroutine_running());
    if (done(opaque)) {
        return;
    }
    atomic_fetch_add(&waiters, 1);
    smp_mb();
    event_loop_disable_external(loop);
    while (!done(opaque)) {
        if (event_loop_is_current(loop)) {
            event_loop_poll(loop, true);
        } else if (!event_loop_poll(loop, false)) {
            /*
             * A vCPU thread with the machine lock stands in for the main
             * thread, which may take the wake-up for itself and then wait for
             * the lock: so do not sleep for long.
             */
            g_usleep(50);
        }
    }
    event_loop_enable_external(loop);
    atomic_fetch_sub(&waiters, 1);
}

void block_node_inc_in_flight(BlockNode *bn)
{
    atomic_fetch_add(&bn->in_flight, 1);
}

void block_node_dec_in_flight(BlockNode *bn)
{
    if (atomic_fetch_sub(&bn->in_flight, 1) == 1) {
        block_wait_kick();
    }
}

/* ---- spreading ---- */

void block_child_quiesce_parent(BlockChild *c)
{
    if (!c->quiesced_parent) {
        c->quiesced_parent = true;
        c->ops->drained_begin(c);
    }
}

void block_child_unquiesce_parent(BlockChild *c)
{
    if (c->quiesced_parent) {
        c->quiesced_parent = false;
        c->ops->drained_end(c);
    }
}

static void node_quiesce(BlockNode *bn)
{
    BlockChild *c;

    if (atomic_fetch_add(&bn->quiesce, 1) > 0) {
        return;
    }
    for (c = bn->parents; c; c = c->next_parent) {
        block_child_quiesce_parent(c);
    }
    if (bn->drv->drain_begin) {
        bn->drv->drain_begin(bn);
    }
}

static void node_unquiesce(BlockNode *bn)
{
    BlockChild *c, *next;

    assert(atomic_load(&bn->quiesce) > 0);
    if (atomic_fetch_sub(&bn->quiesce, 1) > 1) {
        return;
    }
    if (bn->drv->drain_end) {
        bn->drv->drain_end(bn);
    }
    for (c = bn->parents; c; c = next) {
        next = c->next_parent;
        block_child_unquiesce_parent(c);
    }
}

static bool node_busy(BlockNode *bn)
{
    BlockChild *c;

    if (atomic_load_acquire(&bn->in_flight)) {
        return true;
    }
    for (c = bn->parents; c; c = c->next_parent) {
        if (c->ops->drained_poll(c)) {
            return true;
        }
    }
    return false;
}

static bool node_idle(void *opaque)
{
    return !node_busy(opaque);
}

void block_drain_begin(BlockNode *bn)
{
    trace_block_drain_begin(bn, bn->node_name);
    node_quiesce(bn);
    block_wait(node_idle, bn);
}

void block_drain_end(BlockNode *bn)
{
    trace_block_drain_end(bn, bn->node_name);
    node_unquiesce(bn);
}

/* ---- edges whose parent is a node ---- */

static void node_edge_begin(BlockChild *c)
{
    node_quiesce(c->opaque);
}

static bool node_edge_poll(BlockChild *c)
{
    return node_busy(c->opaque);
}

static void node_edge_end(BlockChild *c)
{
    node_unquiesce(c->opaque);
}

static void node_edge_resized(BlockChild *c)
{
    if (c->role & BLOCK_ROLE_PRIMARY) {
        block_node_refresh_length(c->opaque, true);
    }
}

static char *node_edge_describe(BlockChild *c)
{
    BlockNode *bn = c->opaque;

    return g_strdup_printf("node '%s'", bn->node_name);
}

const BlockChildOps block_node_child_ops = {
    .drained_begin = node_edge_begin,
    .drained_poll = node_edge_poll,
    .drained_end = node_edge_end,
    .resized = node_edge_resized,
    .describe = node_edge_describe,
    .parent_is_node = true,
};

/* ---- everything ---- */

static void begin_one(BlockNode *bn, void *opaque)
{
    bn->all_drains++;
    node_quiesce(bn);
}

/* Nodes that came meanwhile were never drained: nobody but their maker knows them. */
static void end_one(BlockNode *bn, void *opaque)
{
    if (bn->all_drains > 0) {
        bn->all_drains--;
        node_unquiesce(bn);
    }
}

static void find_busy(BlockNode *bn, void *opaque)
{
    bool *busy = opaque;

    *busy = *busy || node_busy(bn);
}

static bool all_idle(void *opaque)
{
    bool busy = false;

    block_node_foreach(find_busy, &busy);
    return !busy;
}

void block_drain_all_begin(void)
{
    block_node_foreach(begin_one, NULL);
    block_wait(all_idle, NULL);
}

void block_drain_all_end(void)
{
    block_node_foreach(end_one, NULL);
}

void block_drain_all(void)
{
    block_drain_all_begin();
    block_drain_all_end();
}

typedef struct FlushAll {
    BlockNode *failed;
    int ret;
} FlushAll;

static void flush_one(BlockNode *bn, void *opaque)
{
    FlushAll *f = opaque;
    int ret;

    if (bn->read_only || bn->write_gen == bn->flushed_gen) {
        return;
    }
    ret = block_flush(bn);
    if (ret < 0 && !f->failed) {
        f->failed = bn;
        f->ret = ret;
    }
}

bool block_flush_all(Error **errp)
{
    FlushAll f = { NULL, 0 };

    block_node_foreach(flush_one, &f);
    if (f.failed) {
        error_setg_errno(errp, -f.ret, "Could not flush node '%s'", f.failed->node_name);
        return false;
    }
    return true;
}
