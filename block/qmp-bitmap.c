/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dirty bitmaps by QMP: the commands, each of which is also a step that a
 * transaction can take back. Main thread; the steps run drained.
 */
#include "util/osdep.h"
#include "block/bitmaps.h"
#include "block/block-int.h"
#include "block/dirty-bitmap.h"
#include "block/transaction.h"
#include "qapi-commands.h"

static DirtyBitmap *lookup(const char *node, const char *name, BlockNode **bn, Error **errp)
{
    DirtyBitmap *b;

    *bn = block_lookup(node, node, errp);
    if (!*bn) {
        return NULL;
    }
    b = dirty_bitmap_find(*bn, name);
    if (!b) {
        error_setg(errp, "Dirty bitmap '%s' not found", name);
    }
    return b;
}

typedef struct BitmapAction {
    BlockAction common;
    BlockNode *bn;
    DirtyBitmap *bitmap;
    DirtyBitmapBackup *backup;  /* what it was before a clear */
    DirtyBitmap *before;        /* and before a merge */
    bool was_enabled, was_persistent;
} BitmapAction;

/* ---- add ---- */

static bool add_prepare(BlockAction *common, Error **errp)
{
    BitmapAction *a = container_of(common, BitmapAction, common);
    const BlockDirtyBitmapAdd *args = common->args->u.block_dirty_bitmap_add.data;
    BlockNode *bn = block_lookup(args->node, args->node, errp);

    if (!bn) {
        return false;
    }
    if (args->has_granularity && args->granularity < 512) {
        error_setg(errp, "Granularity must be power of 2 and at least 512");
        return false;
    }
    a->bitmap = block_bitmap_add(bn, args->name, args->has_granularity ? args->granularity : 0,
                                 args->has_persistent && args->persistent,
                                 args->has_disabled && args->disabled, errp);
    return a->bitmap != NULL;
}

static void add_abort(BlockAction *common)
{
    dirty_bitmap_free(container_of(common, BitmapAction, common)->bitmap);
}

const BlockActionOps block_action_bitmap_add = {
    .instance_size = sizeof(BitmapAction),
    .prepare = add_prepare,
    .abort = add_abort,
};

/* ---- remove ---- */

typedef struct RemoveStored {
    BlockNode *bn;
    const char *name;
    Error **errp;
    bool ok;
} RemoveStored;

static void coroutine_fn remove_stored_entry(void *opaque)
{
    RemoveStored *r = opaque;

    r->ok = r->bn->drv->co_remove_stored_bitmap(r->bn, r->name, r->errp);
}

/*
 * From here on it is not stored; it goes for good at the commit, so that an abort can bring it
 * back.
 */
static bool remove_prepare(BlockAction *common, Error **errp)
{
    BitmapAction *a = container_of(common, BitmapAction, common);
    const BlockDirtyBitmap *args = common->args->u.block_dirty_bitmap_remove.data;
    RemoveStored r = { .name = args->name, .errp = errp, .ok = true };

    a->bitmap = lookup(args->node, args->name, &a->bn, errp);
    if (!a->bitmap ||
        !dirty_bitmap_check(a->bitmap, DIRTY_BITMAP_BUSY | DIRTY_BITMAP_READONLY, errp)) {
        return false;
    }
    a->was_persistent = dirty_bitmap_persistent(a->bitmap);
    r.bn = a->bn;
    if (a->was_persistent && a->bn->drv->co_remove_stored_bitmap) {
        block_run_coroutine(a->bn, remove_stored_entry, &r);
    }
    if (!r.ok) {
        return false;
    }
    dirty_bitmap_set_persistent(a->bitmap, false);
    dirty_bitmap_set_busy(a->bitmap, true);
    return true;
}

static void remove_commit(BlockAction *common)
{
    dirty_bitmap_free(container_of(common, BitmapAction, common)->bitmap);
}

static void remove_abort(BlockAction *common)
{
    BitmapAction *a = container_of(common, BitmapAction, common);

    dirty_bitmap_set_busy(a->bitmap, false);
    dirty_bitmap_set_persistent(a->bitmap, a->was_persistent);
}

const BlockActionOps block_action_bitmap_remove = {
    .instance_size = sizeof(BitmapAction),
    .prepare = remove_prepare,
    .commit = remove_commit,
    .abort = remove_abort,
};

/* ---- clear, enable, disable ---- */

static bool clear_prepare(BlockAction *common, Error **errp)
{
    BitmapAction *a = container_of(common, BitmapAction, common);
    const BlockDirtyBitmap *args = common->args->u.block_dirty_bitmap_clear.data;

    a->bitmap = lookup(args->node, args->name, &a->bn, errp);
    if (!a->bitmap || !dirty_bitmap_check(a->bitmap, DIRTY_BITMAP_ANY_STATE, errp)) {
        return false;
    }
    dirty_bitmap_clear(a->bitmap, &a->backup);
    return true;
}

static void clear_abort(BlockAction *common)
{
    BitmapAction *a = container_of(common, BitmapAction, common);

    dirty_bitmap_restore(a->bitmap, g_steal_pointer(&a->backup));
}

static void clear_clean(BlockAction *common)
{
    dirty_bitmap_backup_free(container_of(common, BitmapAction, common)->backup);
}

const BlockActionOps block_action_bitmap_clear = {
    .instance_size = sizeof(BitmapAction),
    .prepare = clear_prepare,
    .abort = clear_abort,
    .clean = clear_clean,
};

static bool set_enabled(BlockAction *common, const BlockDirtyBitmap *args, bool on, Error **errp)
{
    BitmapAction *a = container_of(common, BitmapAction, common);

    a->bitmap = lookup(args->node, args->name, &a->bn, errp);
    if (!a->bitmap || !dirty_bitmap_check(a->bitmap, DIRTY_BITMAP_ALLOW_READONLY, errp)) {
        return false;
    }
    a->was_enabled = dirty_bitmap_enabled(a->bitmap);
    dirty_bitmap_set_enabled(a->bitmap, on);
    return true;
}

static bool enable_prepare(BlockAction *common, Error **errp)
{
    return set_enabled(common, common->args->u.block_dirty_bitmap_enable.data, true, errp);
}

static bool disable_prepare(BlockAction *common, Error **errp)
{
    return set_enabled(common, common->args->u.block_dirty_bitmap_disable.data, false, errp);
}

static void enabled_abort(BlockAction *common)
{
    BitmapAction *a = container_of(common, BitmapAction, common);

    dirty_bitmap_set_enabled(a->bitmap, a->was_enabled);
}

const BlockActionOps block_action_bitmap_enable = {
    .instance_size = sizeof(BitmapAction),
    .prepare = enable_prepare,
    .abort = enabled_abort,
};

const BlockActionOps block_action_bitmap_disable = {
    .instance_size = sizeof(BitmapAction),
    .prepare = disable_prepare,
    .abort = enabled_abort,
};

/* ---- merge ---- */

static bool merge_all(DirtyBitmap *sum, BlockNode *bn, const BlockDirtyBitmapOrStrList *list,
                      Error **errp)
{
    for (; list; list = list->next) {
        DirtyBitmap *src;
        BlockNode *node;

        if (list->value->type == QAPI_ALT_STR) {
            src = dirty_bitmap_find(bn, list->value->u.local);
            if (!src) {
                error_setg(errp, "Dirty bitmap '%s' not found", list->value->u.local);
            }
        } else {
            const BlockDirtyBitmap *ext = list->value->u.external;

            src = lookup(ext->node, ext->name, &node, errp);
        }
        if (!src || !dirty_bitmap_check(src, DIRTY_BITMAP_INCONSISTENT, errp) ||
            !dirty_bitmap_merge(sum, src, errp)) {
            return false;
        }
    }
    return true;
}

/* A nameless bitmap of the same shape, without anything in it. */
static DirtyBitmap *empty_like(DirtyBitmap *b, Error **errp)
{
    DirtyBitmap *copy =
        dirty_bitmap_new(dirty_bitmap_node(b), dirty_bitmap_granularity(b), NULL, errp);

    if (copy) {
        dirty_bitmap_set_enabled(copy, false);
    }
    return copy;
}

static bool merge_prepare(BlockAction *common, Error **errp)
{
    BitmapAction *a = container_of(common, BitmapAction, common);
    const BlockDirtyBitmapMerge *args = common->args->u.block_dirty_bitmap_merge.data;
    DirtyBitmap *sum = NULL;
    bool ok;

    a->bitmap = lookup(args->node, args->target, &a->bn, errp);
    if (!a->bitmap || !dirty_bitmap_check(a->bitmap, DIRTY_BITMAP_ANY_STATE, errp)) {
        return false;
    }
    /* Added up on the side first, so that a failure changes nothing. */
    a->before = empty_like(a->bitmap, errp);
    sum = a->before ? empty_like(a->bitmap, errp) : NULL;
    ok = sum && dirty_bitmap_merge(a->before, a->bitmap, errp) &&
         merge_all(sum, a->bn, args->bitmaps, errp) && dirty_bitmap_merge(a->bitmap, sum, errp);
    dirty_bitmap_free(sum);
    if (!ok) {
        g_clear_pointer(&a->before, dirty_bitmap_free);
    }
    return ok;
}

static void merge_abort(BlockAction *common)
{
    BitmapAction *a = container_of(common, BitmapAction, common);

    dirty_bitmap_clear(a->bitmap, NULL);
    dirty_bitmap_merge(a->bitmap, a->before, NULL);
}

static void merge_clean(BlockAction *common)
{
    dirty_bitmap_free(container_of(common, BitmapAction, common)->before);
}

const BlockActionOps block_action_bitmap_merge = {
    .instance_size = sizeof(BitmapAction),
    .prepare = merge_prepare,
    .abort = merge_abort,
    .clean = merge_clean,
};

/* ---- the commands ---- */

static bool run_simple(TransactionActionKind kind, const BlockDirtyBitmap *args, Error **errp)
{
    /* The arguments of these have one type, so they lie at one place in the union. */
    TransactionAction action = {
        .type = kind,
        .u.block_dirty_bitmap_clear.data = (BlockDirtyBitmap *)args,
    };

    return block_action_run(&action, errp);
}

bool qmp_block_dirty_bitmap_add(const BlockDirtyBitmapAdd *args, Error **errp)
{
    TransactionAction action = {
        .type = TRANSACTION_ACTION_KIND_BLOCK_DIRTY_BITMAP_ADD,
        .u.block_dirty_bitmap_add.data = (BlockDirtyBitmapAdd *)args,
    };

    return block_action_run(&action, errp);
}

bool qmp_block_dirty_bitmap_remove(const BlockDirtyBitmap *args, Error **errp)
{
    return run_simple(TRANSACTION_ACTION_KIND_BLOCK_DIRTY_BITMAP_REMOVE, args, errp);
}

bool qmp_block_dirty_bitmap_clear(const BlockDirtyBitmap *args, Error **errp)
{
    return run_simple(TRANSACTION_ACTION_KIND_BLOCK_DIRTY_BITMAP_CLEAR, args, errp);
}

bool qmp_block_dirty_bitmap_enable(const BlockDirtyBitmap *args, Error **errp)
{
    return run_simple(TRANSACTION_ACTION_KIND_BLOCK_DIRTY_BITMAP_ENABLE, args, errp);
}

bool qmp_block_dirty_bitmap_disable(const BlockDirtyBitmap *args, Error **errp)
{
    return run_simple(TRANSACTION_ACTION_KIND_BLOCK_DIRTY_BITMAP_DISABLE, args, errp);
}

bool qmp_block_dirty_bitmap_merge(const BlockDirtyBitmapMerge *args, Error **errp)
{
    TransactionAction action = {
        .type = TRANSACTION_ACTION_KIND_BLOCK_DIRTY_BITMAP_MERGE,
        .u.block_dirty_bitmap_merge.data = (BlockDirtyBitmapMerge *)args,
    };

    return block_action_run(&action, errp);
}

BlockDirtyBitmapSha256 *qmp_x_debug_block_dirty_bitmap_sha256(const BlockDirtyBitmap *args,
                                                              Error **errp)
{
    BlockNode *bn;
    DirtyBitmap *b = lookup(args->node, args->name, &bn, errp);
    g_autofree uint8_t *bits = NULL;
    BlockDirtyBitmapSha256 *result;
    uint64_t size;

    if (!b) {
        return NULL;
    }
    size = dirty_bitmap_serial_size(b, 0, dirty_bitmap_size(b));
    bits = g_malloc0(MAX(size, 1));
    dirty_bitmap_serialize(b, bits, 0, dirty_bitmap_size(b));
    result = g_new0(BlockDirtyBitmapSha256, 1);
    result->sha256 = g_compute_checksum_for_data(G_CHECKSUM_SHA256, bits, size);
    return result;
}
