/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine lock. Any thread.
 */
#include "util/osdep.h"
#include "system/machine-lock.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static __thread bool held;

void machine_lock(void)
{
    assert(!held);
    pthread_mutex_lock(&lock);
    held = true;
}

void machine_unlock(void)
{
    assert(held);
    held = false;
    pthread_mutex_unlock(&lock);
}

bool machine_lock_held(void)
{
    return held;
}

void machine_lock_wait(pthread_cond_t *cond)
{
    assert(held);
    held = false;
    pthread_cond_wait(cond, &lock);
    held = true;
}
