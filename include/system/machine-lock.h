/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine lock guards configuration and slow-path device registers. The
 * main thread holds it except while it waits for events; vCPU threads take it
 * for accesses to regions that are not lockless; data paths never take it.
 */
#ifndef SYSTEM_MACHINE_LOCK_H
#define SYSTEM_MACHINE_LOCK_H

#include <stdbool.h>
#include <pthread.h>

void machine_lock(void);
void machine_unlock(void);
bool machine_lock_held(void);           /* by the calling thread */
/* Wait on @cond with the machine lock as its mutex. */
void machine_lock_wait(pthread_cond_t *cond);

#endif
