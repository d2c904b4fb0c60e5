/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between coroutine.c (life, pool, waking) and coroutine-stack.c (stacks and switching). */
#ifndef UTIL_COROUTINE_INT_H
#define UTIL_COROUTINE_INT_H

#include "event-loop-int.h"
#include "util/coroutine.h"

#ifdef COROUTINE_UCONTEXT       /* the test of the fallback */
#undef CONFIG_COROUTINE_ASM
#endif
#ifndef CONFIG_COROUTINE_ASM
#include <ucontext.h>
#endif

/* A stack and where it stopped. */
typedef struct CoStack {
    void *base;                 /* of the mapping, guard page included; NULL: a thread's own stack */
    size_t size;
#ifdef CONFIG_COROUTINE_ASM
    void *sp;
#else
    ucontext_t context;
#endif
#ifdef CONFIG_ASAN
    void *fake_stack;
    const void *asan_bottom;
    size_t asan_size;
#endif
#ifdef CONFIG_TSAN
    void *fiber;
#endif
} CoStack;

struct Coroutine {
    CoStack stack;
    CoroutineEntry *entry;
    void *opaque;
    Coroutine *caller;          /* who entered it; NULL while it does not run */
    EventLoop *loop;            /* where it last ran */
    EventLoop *move_to;         /* to be scheduled there as soon as it stopped */
    bool ended;
    bool scheduled;             /* atomic; a wake is on its way */
    BottomHalf wake_bh;
    Coroutine *pool_next;
};

/* A stack that begins in coroutine_main() on the first switch to it. */
void co_stack_init(CoStack *s);
void co_stack_free(CoStack *s);
/* Stop here, continue @to; returns when somebody switches back. */
void co_stack_switch(CoStack *from, CoStack *to);

/* The first function of every stack; never returns. */
void coroutine_main(void) __attribute__((noreturn));
/* On a new stack, before anything else: tells the sanitizer that the switch is complete. */
void co_stack_entered(CoStack *s, CoStack *from);

#endif
