/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Publication of immutable data (the memory map, routing tables) to readers
 * that take no lock. A reader brackets its use with rcu_read_lock() and
 * rcu_read_unlock() (cheap, nest, may not block for long); a writer publishes
 * a new version with rcu_assign() and frees the old one with rcu_free_later().
 * Threads register themselves on first use. Any thread.
 */
#ifndef UTIL_RCU_H
#define UTIL_RCU_H

#include <stdbool.h>
#include "util/compiler.h"

void rcu_read_lock(void);
void rcu_read_unlock(void);

#define rcu_dereference(p) __atomic_load_n(&(p), __ATOMIC_CONSUME)
#define rcu_assign(p, v) __atomic_store_n(&(p), (v), __ATOMIC_RELEASE)

typedef void RcuFunc(void *p);
/*
 * Call fn(@p) once every reader that could see @p has left: on the main loop
 * (with the machine lock) or on a helper thread without any lock, never in the
 * call itself.
 */
void rcu_free_later(void *p, RcuFunc *fn);
/* Wait until every reader of now has left. Not inside a read section; releases nothing. */
void rcu_synchronize(void);
/* Run all callbacks that are pending and wait for those that run (tests, shutdown). Not inside a read section or callback. */
void rcu_drain(void);

#endif
