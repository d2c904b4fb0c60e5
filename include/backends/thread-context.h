/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "thread-context" objects: a thread whose CPU affinity is inherited by threads
 * that it starts, for work such as touching memory. Main thread.
 */
#ifndef BACKENDS_THREAD_CONTEXT_H
#define BACKENDS_THREAD_CONTEXT_H

#include "qom/object.h"

typedef struct ThreadContext ThreadContext;
extern const TypeInfo thread_context_type;

/* Run @fn on the object's thread and wait for it. */
void thread_context_run(ThreadContext *tc, void (*fn)(void *opaque), void *opaque);

#endif
