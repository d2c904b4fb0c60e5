/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Transactions: several changes to block nodes that all happen or none, at one
 * moment for the guest. Each kind of change is a row with the steps that it
 * needs. Main thread, everything drained.
 */
#ifndef BLOCK_TRANSACTION_H
#define BLOCK_TRANSACTION_H

#include "block/job.h"
#include "qapi-types.h"

typedef struct BlockAction BlockAction;

typedef struct BlockActionOps {
    size_t instance_size;       /* of the structure that begins with a BlockAction */
    /* Does the change, or fails and leaves no trace. */
    bool (*prepare)(BlockAction *a, Error **errp);
    /* After all were prepared, in order; cannot fail. Each may be NULL. */
    void (*commit)(BlockAction *a);
    /* Instead of commit, in reverse order: takes the change back. */
    void (*abort)(BlockAction *a);
    /* At the end, after either. */
    void (*clean)(BlockAction *a);
} BlockActionOps;

struct BlockAction {
    const BlockActionOps *ops;
    const TransactionAction *args;
    JobTxn *txn;                /* for the jobs that it starts; NULL: each on its own */
    BlockAction *next;
};

/* One action by itself: what the QMP command of the same name does. */
bool block_action_run(const TransactionAction *args, Error **errp);

/* The rows, where they are implemented. */
extern const BlockActionOps block_action_bitmap_add, block_action_bitmap_remove,
    block_action_bitmap_clear, block_action_bitmap_enable, block_action_bitmap_disable,
    block_action_bitmap_merge;
extern const BlockActionOps block_action_snapshot, block_action_snapshot_sync,
    block_action_snapshot_internal_sync;
extern const BlockActionOps block_action_blockdev_backup, block_action_drive_backup;

#endif
