/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Transactions; see include/block/transaction.h. Main thread. */
#include "util/osdep.h"
#include "block/block-int.h"
#include "block/transaction.h"
#include "qapi-commands.h"

static bool abort_prepare(BlockAction *a, Error **errp)
{
    error_setg(errp, "Transaction aborted using Abort action");
    return false;
}

static const BlockActionOps abort_ops = {
    .instance_size = sizeof(BlockAction),
    .prepare = abort_prepare,
};

static const BlockActionOps *const action_ops[TRANSACTION_ACTION_KIND__MAX] = {
    [TRANSACTION_ACTION_KIND_ABORT] = &abort_ops,
    [TRANSACTION_ACTION_KIND_BLOCK_DIRTY_BITMAP_ADD] = &block_action_bitmap_add,
    [TRANSACTION_ACTION_KIND_BLOCK_DIRTY_BITMAP_REMOVE] = &block_action_bitmap_remove,
    [TRANSACTION_ACTION_KIND_BLOCK_DIRTY_BITMAP_CLEAR] = &block_action_bitmap_clear,
    [TRANSACTION_ACTION_KIND_BLOCK_DIRTY_BITMAP_ENABLE] = &block_action_bitmap_enable,
    [TRANSACTION_ACTION_KIND_BLOCK_DIRTY_BITMAP_DISABLE] = &block_action_bitmap_disable,
    [TRANSACTION_ACTION_KIND_BLOCK_DIRTY_BITMAP_MERGE] = &block_action_bitmap_merge,
    [TRANSACTION_ACTION_KIND_BLOCKDEV_BACKUP] = &block_action_blockdev_backup,
    [TRANSACTION_ACTION_KIND_DRIVE_BACKUP] = &block_action_drive_backup,
    [TRANSACTION_ACTION_KIND_BLOCKDEV_SNAPSHOT] = &block_action_snapshot,
    [TRANSACTION_ACTION_KIND_BLOCKDEV_SNAPSHOT_SYNC] = &block_action_snapshot_sync,
    [TRANSACTION_ACTION_KIND_BLOCKDEV_SNAPSHOT_INTERNAL_SYNC] =
        &block_action_snapshot_internal_sync,
};

/* Newest first, so that the list is in the order of undoing. */
static bool prepare_all(const TransactionActionList *list, JobTxn *txn, BlockAction **done,
                        Error **errp)
{
    for (; list; list = list->next) {
        const BlockActionOps *ops = action_ops[list->value->type];
        BlockAction *a = g_malloc0(ops->instance_size);

        a->ops = ops;
        a->args = list->value;
        a->txn = txn;
        if (!ops->prepare(a, errp)) {
            g_free(a);
            return false;
        }
        a->next = *done;
        *done = a;
    }
    return true;
}

static BlockAction *reverse(BlockAction *list)
{
    BlockAction *out = NULL;

    while (list) {
        BlockAction *a = list;

        list = a->next;
        a->next = out;
        out = a;
    }
    return out;
}

static bool run(const TransactionActionList *list, JobTxn *txn, Error **errp)
{
    BlockAction *done = NULL, *a;
    bool ok;

    /* What the guest has in flight belongs before the moment, what it holds back after. */
    block_drain_all_begin();
    ok = prepare_all(list, txn, &done, errp);
    if (ok) {
        done = reverse(done);
    }
    for (a = done; a; a = a->next) {
        void (*step)(BlockAction *) = ok ? a->ops->commit : a->ops->abort;

        if (step) {
            step(a);
        }
    }
    while (done) {
        a = done;
        done = a->next;
        if (a->ops->clean) {
            a->ops->clean(a);
        }
        g_free(a);
    }
    block_drain_all_end();
    return ok;
}

bool block_action_run(const TransactionAction *args, Error **errp)
{
    TransactionActionList one = { .value = (TransactionAction *)args };

    return run(&one, NULL, errp);
}

bool qmp_transaction(const QmpTransactionArgs *args, Error **errp)
{
    bool grouped = args->properties && args->properties->has_completion_mode &&
                   args->properties->completion_mode == ACTION_COMPLETION_MODE_GROUPED;
    TransactionActionList *l;
    JobTxn *txn;
    bool ok;

    for (l = args->actions; l && grouped; l = l->next) {
        if (l->value->type != TRANSACTION_ACTION_KIND_DRIVE_BACKUP &&
            l->value->type != TRANSACTION_ACTION_KIND_BLOCKDEV_BACKUP &&
            l->value->type != TRANSACTION_ACTION_KIND_ABORT &&
            l->value->type != TRANSACTION_ACTION_KIND_BLOCK_DIRTY_BITMAP_ADD &&
            l->value->type != TRANSACTION_ACTION_KIND_BLOCK_DIRTY_BITMAP_CLEAR &&
            l->value->type != TRANSACTION_ACTION_KIND_BLOCK_DIRTY_BITMAP_MERGE) {
            error_setg(errp, "Action '%s' does not support Transaction property completion-mode = "
                             "%s", TransactionActionKind_str(l->value->type),
                       ActionCompletionMode_str(ACTION_COMPLETION_MODE_GROUPED));
            return false;
        }
    }
    txn = grouped ? job_txn_new() : NULL;
    ok = run(args->actions, txn, errp);
    job_txn_unref(txn);
    return ok;
}
