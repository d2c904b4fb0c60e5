/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bottom halves (include/util/event-loop.h): any thread pushes onto a lock-free
 * stack, the loop's thread takes the whole stack at once and runs it oldest
 * first. A bottom half is on the stack or the run list exactly while BH_QUEUED
 * is set, and only the loop's thread clears that bit, so each is queued once.
 */
#include "util/osdep.h"
#include "event-loop-int.h"

enum {
    BH_QUEUED = 1,
    BH_SCHEDULED = 2,
    BH_DELETED = 4,
    BH_ONESHOT = 8,
};

void bh_init(BottomHalf *bh, EventLoop *loop, BottomHalfFunc *cb, void *opaque)
{
    *bh = (BottomHalf) { .loop = loop, .cb = cb, .opaque = opaque };
}

BottomHalf *bh_new(EventLoop *loop, BottomHalfFunc *cb, void *opaque)
{
    BottomHalf *bh = g_new(BottomHalf, 1);

    bh_init(bh, loop, cb, opaque);
    return bh;
}

/* Sets @flags, and queues unless that was done. @bh may be gone after this. */
static void enqueue(BottomHalf *bh, uint32_t flags)
{
    EventLoop *loop = bh->loop;
    BottomHalf *head;

    if (atomic_fetch_or(&bh->flags, flags | BH_QUEUED) & BH_QUEUED) {
        return;
    }
    head = atomic_load(&loop->bh_pushed);
    do {
        bh->next = head;
    } while (!__atomic_compare_exchange_n(&loop->bh_pushed, &head, bh, true, __ATOMIC_SEQ_CST,
                                          __ATOMIC_RELAXED));
    if (!head) {
        event_loop_wake(loop);
    }
}

void bh_schedule(BottomHalf *bh)
{
    enqueue(bh, BH_SCHEDULED);
}

void bh_cancel(BottomHalf *bh)
{
    atomic_fetch_and(&bh->flags, ~(uint32_t)BH_SCHEDULED);
}

/* The loop's thread frees it when it comes by: it may be about to look at it. */
void bh_delete(BottomHalf *bh)
{
    if (bh) {
        enqueue(bh, BH_DELETED);
    }
}

void event_loop_run_soon(EventLoop *loop, BottomHalfFunc *cb, void *opaque)
{
    enqueue(bh_new(loop, cb, opaque), BH_SCHEDULED | BH_ONESHOT);
}

bool event_loop_bh_pending(EventLoop *loop)
{
    return loop->bh_run || atomic_load_seq(&loop->bh_pushed);
}

/* Moves what was pushed to the end of the run list, in the order of pushing. */
static void take_pushed(EventLoop *loop)
{
    BottomHalf *bh = atomic_load(&loop->bh_pushed) ? atomic_xchg(&loop->bh_pushed, NULL) : NULL;
    BottomHalf *taken = NULL, **end = &loop->bh_run;

    while (bh) {
        BottomHalf *next = bh->next;

        bh->next = taken;
        taken = bh;
        bh = next;
    }
    while (*end) {
        end = &(*end)->next;
    }
    *end = taken;
}

/*
 * What is scheduled by a callback waits for the next round, unless the callback
 * polls the loop itself: then the inner round finishes this one's list too.
 */
bool event_loop_run_bhs(EventLoop *loop)
{
    bool progress = false;

    take_pushed(loop);
    while (loop->bh_run) {
        BottomHalf *bh = loop->bh_run;
        BottomHalfFunc *cb = bh->cb;
        void *opaque = bh->opaque;
        uint32_t flags;

        loop->bh_run = bh->next;
        flags = atomic_fetch_and(&bh->flags, ~(uint32_t)(BH_QUEUED | BH_SCHEDULED));
        if (flags & (BH_DELETED | BH_ONESHOT)) {
            g_free(bh);
        }
        if ((flags & BH_SCHEDULED) && !(flags & BH_DELETED)) {
            cb(opaque);
            progress = true;
        }
    }
    return progress;
}

void event_loop_free_bhs(EventLoop *loop)
{
    take_pushed(loop);
    while (loop->bh_run) {
        BottomHalf *bh = loop->bh_run;

        loop->bh_run = bh->next;
        if (atomic_load(&bh->flags) & (BH_DELETED | BH_ONESHOT)) {
            g_free(bh);
        }
    }
}
