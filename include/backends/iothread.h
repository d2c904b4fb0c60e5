/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "iothread" objects: an event loop on a thread of its own, for data planes.
 */
#ifndef BACKENDS_IOTHREAD_H
#define BACKENDS_IOTHREAD_H

#include "qom/object.h"
#include "util/event-loop.h"

typedef struct IoThread IoThread;
extern const TypeInfo iothread_type;
EventLoop *iothread_loop(IoThread *t);
int iothread_tid(IoThread *t);
char *iothread_id(IoThread *t);
/* All monitors that negotiated out-of-band commands share one internal iothread (created on first use). */
IoThread *iothread_internal(const char *id, Error **errp);

#endif
