/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The copy-before-write filter: before a write goes to the child "file", what it
 * would overwrite is copied to the child "target". So source and target together
 * hold the content of the moment when the filter was put there; the snapshot-access
 * driver reads it, the backup job copies the rest of it.
 *
 * When a copy fails, either the guest's write fails too (break-guest-write), or
 * the write goes on and the snapshot is lost from then on (break-snapshot).
 *
 * I/O as coroutines on the node's loop, the rest on the main thread.
 */
#include "util/osdep.h"
#include "block/filters/copy-before-write.h"
#include "block/image.h"
#include "block/jobs/top-filter.h"
#include "block/options.h"

typedef struct FrozenRead FrozenRead;
struct FrozenRead {
    int64_t offset, bytes;
    CoQueue waiters;
    FrozenRead *prev, *next;
};

typedef struct CbwState {
    BlockChild *target;
    BlockCopy *copy;
    DirtyBitmap *access;        /* of what the snapshot is made; NULL: all */
    OnCbwError on_error;
    bool broken;                /* the snapshot is */
    FrozenRead *reads;          /* snapshot reads from the source: no write may overtake them */
} CbwState;

/* ---- the guest's side ---- */

static FrozenRead *find_read(CbwState *s, int64_t offset, int64_t bytes)
{
    FrozenRead *r;

    for (r = s->reads; r; r = r->next) {
        if (r->offset < offset + bytes && offset < r->offset + r->bytes) {
            return r;
        }
    }
    return NULL;
}

static int coroutine_fn save_before(BlockNode *bn, int64_t offset, int64_t bytes, unsigned flags)
{
    CbwState *s = bn->opaque;
    FrozenRead *r;
    bool is_read;
    int ret;

    if (flags & BLOCK_REQ_WRITE_UNCHANGED) {
        return 0;
    }
    while (!s->broken && (r = find_read(s, offset, bytes)) != NULL) {
        co_queue_wait(&r->waiters, NULL);
    }
    if (s->broken) {
        return 0;
    }
    ret = block_copy(s->copy, offset, bytes, &is_read);
    if (ret < 0 && s->on_error == ON_CBW_ERROR_BREAK_SNAPSHOT) {
        s->broken = true;
        return 0;
    }
    /* A snapshot read that began meanwhile still wants the old data, where it was. */
    while (ret == 0 && (r = find_read(s, offset, bytes)) != NULL) {
        co_queue_wait(&r->waiters, NULL);
    }
    return ret;
}

static int coroutine_fn cbw_pwritev(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                    size_t v_offset, unsigned flags)
{
    int ret = save_before(bn, offset, bytes, flags);

    return ret < 0 ? ret : filter_pwritev(bn, offset, bytes, v, v_offset, flags);
}

static int coroutine_fn cbw_pwrite_zeroes(BlockNode *bn, int64_t offset, int64_t bytes,
                                          unsigned flags)
{
    int ret = save_before(bn, offset, bytes, flags);

    return ret < 0 ? ret : filter_pwrite_zeroes(bn, offset, bytes, flags);
}

static int coroutine_fn cbw_pdiscard(BlockNode *bn, int64_t offset, int64_t bytes)
{
    int ret = save_before(bn, offset, bytes, 0);

    return ret < 0 ? ret : filter_pdiscard(bn, offset, bytes);
}

/* ---- the snapshot's side ---- */

static int snapshot_state(CbwState *s, int64_t offset, int64_t bytes)
{
    if (s->broken) {
        return -EACCES;
    }
    if (s->access && dirty_bitmap_next_clear(s->access, offset, bytes) >= 0) {
        return -EACCES;
    }
    return 0;
}

/* Where the start of the range is now: *@n bytes of it are in the target (true) or the source. */
static bool is_saved(CbwState *s, int64_t offset, int64_t bytes, int64_t *n)
{
    DirtyBitmap *todo = block_copy_todo(s->copy);
    int64_t dirty = dirty_bitmap_next_dirty(todo, offset, bytes);

    if (dirty == offset) {
        int64_t clear = dirty_bitmap_next_clear(todo, offset, bytes);

        *n = clear < 0 ? bytes : clear - offset;
        return false;
    }
    *n = dirty < 0 ? bytes : dirty - offset;
    return true;
}

static void frozen_begin(CbwState *s, FrozenRead *r, int64_t offset, int64_t bytes)
{
    *r = (FrozenRead) { .offset = offset, .bytes = bytes, .next = s->reads };
    co_queue_init(&r->waiters);
    if (r->next) {
        r->next->prev = r;
    }
    s->reads = r;
}

static void frozen_end(CbwState *s, FrozenRead *r)
{
    if (r->prev) {
        r->prev->next = r->next;
    } else {
        s->reads = r->next;
    }
    if (r->next) {
        r->next->prev = r->prev;
    }
    co_queue_wake_all(&r->waiters);
}

int coroutine_fn cbw_snapshot_preadv(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                     size_t v_offset)
{
    CbwState *s = bn->opaque;
    int64_t n;
    int ret = 0;

    for (; ret == 0 && bytes > 0; offset += n, v_offset += n, bytes -= n) {
        FrozenRead r;
        bool saved;

        block_copy_wait(s->copy, offset, bytes);
        ret = snapshot_state(s, offset, bytes);
        if (ret < 0) {
            break;
        }
        saved = is_saved(s, offset, bytes, &n);
        if (saved) {
            ret = block_co_preadv(s->target, offset, n, v, v_offset, 0);
            continue;
        }
        frozen_begin(s, &r, offset, n);
        ret = block_co_preadv(bn->file, offset, n, v, v_offset, 0);
        frozen_end(s, &r);
    }
    return ret;
}

int coroutine_fn cbw_snapshot_status(BlockNode *bn, bool want_zero, int64_t offset, int64_t bytes,
                                     int64_t *pnum, int64_t *map, BlockNode **file)
{
    CbwState *s = bn->opaque;
    FrozenRead r;
    int64_t n;
    bool saved;
    int ret;

    block_copy_wait(s->copy, offset, bytes);
    ret = snapshot_state(s, offset, bytes);
    if (ret < 0) {
        return ret;
    }
    saved = is_saved(s, offset, bytes, &n);
    frozen_begin(s, &r, offset, n);
    ret = block_co_status_above(saved ? s->target->node : bn->file->node, NULL, want_zero, offset,
                                n, pnum, map, file, NULL);
    frozen_end(s, &r);
    return ret;
}

bool cbw_is_filter(const BlockNode *bn)
{
    return bn->drv->instance_size == sizeof(CbwState) && bn->drv->co_pwritev == cbw_pwritev;
}

BlockCopy *cbw_block_copy(BlockNode *bn)
{
    CbwState *s = bn->opaque;

    return s->copy;
}

/* ---- open and close ---- */

static bool take_bitmap(CbwState *s, JsonValue *options, Error **errp)
{
    g_autofree char *node = NULL, *name = NULL;
    JsonValue *ref = json_object_get(options, "bitmap");
    BlockNode *bn;
    DirtyBitmap *b;

    if (!ref) {
        return true;
    }
    if (json_kind(ref) != JSON_OBJECT ||
        !block_option_take_string(ref, "node", &node, errp) ||
        !block_option_take_string(ref, "name", &name, errp)) {
        return false;
    }
    json_object_remove(options, "bitmap");
    bn = node ? block_lookup(node, node, errp) : NULL;
    if (!bn) {
        return false;
    }
    b = name ? dirty_bitmap_find(bn, name) : NULL;
    if (!b) {
        error_setg(errp, "Dirty bitmap '%s' not found", name ? name : "");
        return false;
    }
    if (!dirty_bitmap_check(b, DIRTY_BITMAP_ALLOW_READONLY, errp)) {
        return false;
    }
    s->access = b;
    return true;
}

static bool cbw_open(BlockNode *bn, JsonValue *options, Error **errp)
{
    CbwState *s = bn->opaque;
    DirtyBitmap *user = NULL;
    int on_error = ON_CBW_ERROR_BREAK_GUEST_WRITE;

    if (!block_option_take_enum(options, "on-cbw-error", &qapi_enum_OnCbwError, &on_error, errp) ||
        !block_child_open(bn, NULL, options, "file", BLOCK_ROLE_FILTERED | BLOCK_ROLE_PRIMARY,
                          false, errp)) {
        return false;
    }
    s->on_error = on_error;
    s->target = block_child_open(bn, NULL, options, "target", BLOCK_ROLE_DATA, false, errp);
    if (!s->target || !take_bitmap(s, options, errp)) {
        return false;
    }
    if (s->target->node->total_bytes < bn->file->node->total_bytes) {
        error_setg(errp, "The target of copy-before-write is smaller than its file");
        return false;
    }
    s->copy = block_copy_new(bn->file, s->target, errp);
    if (!s->copy) {
        return false;
    }
    user = g_steal_pointer(&s->access);
    if (user) {
        DirtyBitmap *todo = block_copy_todo(s->copy);

        dirty_bitmap_clear(todo, NULL);
        if (!dirty_bitmap_merge(todo, user, errp)) {
            return false;
        }
        s->access = dirty_bitmap_new(bn->file->node, dirty_bitmap_granularity(user), NULL, errp);
        if (!s->access) {
            return false;
        }
        dirty_bitmap_set_enabled(s->access, false);
        if (!dirty_bitmap_merge(s->access, user, errp)) {
            return false;
        }
    }
    bn->supported_write_flags = BLOCK_REQ_FUA & bn->file->node->supported_write_flags;
    bn->supported_zero_flags = (BLOCK_REQ_FUA | BLOCK_REQ_MAY_UNMAP | BLOCK_REQ_NO_FALLBACK) &
                               bn->file->node->supported_zero_flags;
    return true;
}

static void cbw_close(BlockNode *bn)
{
    CbwState *s = bn->opaque;

    g_clear_pointer(&s->access, dirty_bitmap_free);
    g_clear_pointer(&s->copy, block_copy_free);
}

static void cbw_perm(BlockNode *bn, BlockChild *c, unsigned role, uint64_t perm, uint64_t shared,
                     uint64_t *nperm, uint64_t *nshared)
{
    if (!(role & BLOCK_ROLE_FILTERED)) {
        /* Fleecing: the target may be read while its backing image is our own source. */
        *nperm = BLOCK_PERM_WRITE;
        *nshared = BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE_UNCHANGED;
        return;
    }
    *nperm = perm;
    *nshared = shared;
    /* A filter that nobody uses yet asks for nothing, so that it can be put above a user. */
    if (bn->parents) {
        if (perm & BLOCK_PERM_WRITE) {
            *nperm |= BLOCK_PERM_CONSISTENT_READ;
        }
        *nshared &= ~(uint64_t)(BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE);
    }
}

static char *cbw_exact_name(BlockNode *bn)
{
    return g_strdup(bn->file->node->exact_filename);
}

BLOCK_DRIVER(cbw_driver) = {
    .name = "copy-before-write",
    .instance_size = sizeof(CbwState),
    .open = cbw_open,
    .exact_name = cbw_exact_name,
    .close = cbw_close,
    .child_perm = cbw_perm,
    .co_pwritev = cbw_pwritev,
    .co_pwrite_zeroes = cbw_pwrite_zeroes,
    .co_pdiscard = cbw_pdiscard,
    TOP_FILTER_HOOKS,
};
