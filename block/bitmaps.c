/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Management's operations on dirty bitmaps, see block/bitmaps.h. Main thread. */
#include "util/osdep.h"
#include "block/bitmaps.h"
#include "block/block-int.h"

static DirtyBitmap *find(BlockNode *bn, const char *name, unsigned refuse, Error **errp)
{
    DirtyBitmap *b = dirty_bitmap_find(bn, name);

    if (!b) {
        error_setg(errp, "Dirty bitmap '%s' not found", name);
        return NULL;
    }
    return dirty_bitmap_check(b, refuse, errp) ? b : NULL;
}

typedef struct StoreWork {
    BlockNode *bn;
    const char *name;
    uint32_t granularity;
    Error **errp;
    bool ok;
} StoreWork;

static void coroutine_fn can_store_entry(void *opaque)
{
    StoreWork *w = opaque;

    w->ok = w->bn->drv->co_can_store_bitmap(w->bn, w->name, w->granularity, w->errp);
}

static bool can_store(BlockNode *bn, const char *name, uint32_t granularity, Error **errp)
{
    StoreWork w = { .bn = bn, .name = name, .granularity = granularity, .errp = errp };

    if (!bn->drv->co_can_store_bitmap) {
        error_setg_errno(errp, ENOTSUP, "Can't store persistent bitmaps to %s", bn->node_name);
        return false;
    }
    block_run_coroutine(bn, can_store_entry, &w);
    return w.ok;
}

DirtyBitmap *block_bitmap_add(BlockNode *bn, const char *name, uint32_t granularity,
                              bool persistent, bool disabled, Error **errp)
{
    DirtyBitmap *b;

    if (!*name) {
        error_setg(errp, "Bitmap name cannot be empty");
        return NULL;
    }
    if (granularity && (granularity < 512 || !IS_POWER_OF_2(granularity))) {
        error_setg(errp, "Granularity must be power of 2 and at least 512");
        return NULL;
    }
    granularity = granularity ? granularity : dirty_bitmap_default_granularity(bn);
    if (persistent && !dirty_bitmap_find(bn, name) && !can_store(bn, name, granularity, errp)) {
        return NULL;
    }
    b = dirty_bitmap_new(bn, granularity, name, errp);
    if (b) {
        dirty_bitmap_set_enabled(b, !disabled);
        dirty_bitmap_set_persistent(b, persistent);
    }
    return b;
}

static void coroutine_fn remove_entry(void *opaque)
{
    StoreWork *w = opaque;

    w->ok = w->bn->drv->co_remove_stored_bitmap(w->bn, w->name, w->errp);
}

bool block_bitmap_remove(BlockNode *bn, const char *name, Error **errp)
{
    DirtyBitmap *b = find(bn, name, DIRTY_BITMAP_BUSY | DIRTY_BITMAP_READONLY, errp);
    StoreWork w = { .bn = bn, .name = name, .errp = errp };

    if (!b) {
        return false;
    }
    if (dirty_bitmap_persistent(b) && bn->drv->co_remove_stored_bitmap) {
        block_run_coroutine(bn, remove_entry, &w);
        if (!w.ok) {
            return false;
        }
    }
    dirty_bitmap_free(b);
    return true;
}

bool block_bitmap_clear(BlockNode *bn, const char *name, DirtyBitmapBackup **backup, Error **errp)
{
    DirtyBitmap *b = find(bn, name, DIRTY_BITMAP_ANY_STATE, errp);

    if (b) {
        dirty_bitmap_clear(b, backup);
    }
    return b != NULL;
}

bool block_bitmap_set_enabled(BlockNode *bn, const char *name, bool on, Error **errp)
{
    DirtyBitmap *b = find(bn, name, on ? DIRTY_BITMAP_ALLOW_READONLY : DIRTY_BITMAP_ANY_STATE, errp);

    if (b) {
        dirty_bitmap_set_enabled(b, on);
    }
    return b != NULL;
}

bool block_bitmap_merge(BlockNode *bn, const char *name, BlockNode *from, const char *source,
                        Error **errp)
{
    DirtyBitmap *dst = find(bn, name, DIRTY_BITMAP_ANY_STATE, errp);
    DirtyBitmap *src = dst ? find(from, source, DIRTY_BITMAP_INCONSISTENT, errp) : NULL;

    return src && dirty_bitmap_merge(dst, src, errp);
}
