/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * blkdebug: rules that turn events into errors, states and suspended requests.
 * For tests; a mutex guards the state, as the monitor's thread sets break points.
 */
#ifndef BLOCK_FILTERS_BLKDEBUG_H
#define BLOCK_FILTERS_BLKDEBUG_H

#include "block/filters/filter.h"

typedef enum BlkdebugAction { BLKDEBUG_INJECT, BLKDEBUG_SET_STATE, BLKDEBUG_SUSPEND } BlkdebugAction;

typedef struct BlkdebugRule BlkdebugRule;
struct BlkdebugRule {
    BlkdebugAction action;
    int event;                  /* BlkdebugEvent */
    int64_t state;              /* 0: any */
    bool active;                /* inject: its event was the last one */
    int64_t error, sector;      /* sector -1: any */
    unsigned iotypes;           /* BIT(BlkdebugIOType) */
    bool once, immediately;
    int64_t new_state;
    char *tag;                  /* suspend */
    BlkdebugRule *next;
};

/* A request that waits at a break point; on its coroutine's stack. */
typedef struct BlkdebugSuspended BlkdebugSuspended;
struct BlkdebugSuspended {
    Coroutine *co;
    char *tag;
    BlkdebugSuspended *next;
};

typedef struct BlkdebugState {
    pthread_mutex_t lock;       /* all below */
    BlkdebugRule *rules;        /* in the order in which they came */
    BlkdebugSuspended *suspended;
    int64_t state;
    uint64_t align, max_transfer, opt_write_zero, max_write_zero, opt_discard, max_discard;
    uint64_t take_perms, unshare_perms;
    char *config;
} BlkdebugState;

/* blkdebug-rules.c: take "config", "inject-error" and "set-state" out of @options. */
bool blkdebug_take_rules(BlkdebugState *s, JsonValue *options, Error **errp);
void blkdebug_add_rule(BlkdebugState *s, BlkdebugRule *r);      /* owns it */
void blkdebug_remove_rule(BlkdebugState *s, BlkdebugRule *r);
/*
 * The members of the list @options[@name], which may be an array or, from text, an object with the
 * keys "0", "1", ...; taken out, caller unrefs; NULL: absent.
 */
JsonValue *blkdebug_take_list(JsonValue *options, const char *name);

#endif
