/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The filter above a mirror's source. It passes requests on and lets the
 * target be written although it may be in the source's own chain. With
 * copy-mode=write-blocking it also writes what the guest writes to the target
 * before the guest hears of it; the dirty bitmap then only learns of failures.
 *
 * On the job's loop, except insert and stop (main thread). The guest can change
 * its buffer at any time, so both sides get the same copy of it.
 */
#include "util/osdep.h"
#include "block/jobs/mirror-int.h"

typedef struct MirrorTop {
    MirrorJob *job;             /* NULL: over */
    BlockChild *target;         /* write-blocking only */
} MirrorTop;

static void mirror_top_perm(BlockNode *bn, BlockChild *c, unsigned role, uint64_t perm,
                            uint64_t shared, uint64_t *nperm, uint64_t *nshared)
{
    *nshared = BLOCK_PERM_ALL;
    *nperm = strcmp(c->name, "target") ? perm & (BLOCK_PERM_WRITE | BLOCK_PERM_WRITE_UNCHANGED) :
                                         BLOCK_PERM_WRITE;
}

typedef enum TopOp { TOP_WRITE, TOP_ZERO, TOP_DISCARD } TopOp;

static int coroutine_fn apply(BlockChild *c, TopOp kind, int64_t offset, int64_t bytes,
                              IoVector *v, size_t v_offset, unsigned flags)
{
    switch (kind) {
    case TOP_WRITE:
        return block_co_pwritev(c, offset, bytes, v, v_offset, flags);
    case TOP_ZERO:
        return block_co_pwrite_zeroes(c, offset, bytes, flags);
    case TOP_DISCARD:
        return block_co_pdiscard(c, offset, bytes);
    }
    g_assert_not_reached();
}

/* Both sides, as one operation that no copying overlaps with. */
static int coroutine_fn apply_both(BlockNode *bn, TopOp kind, int64_t offset, int64_t bytes,
                                   IoVector *v, unsigned flags)
{
    MirrorTop *t = bn->opaque;
    MirrorJob *s = t->job;
    int64_t start = ROUND_DOWN(offset, s->align);
    int64_t end = MIN(ROUND_UP(offset + bytes, s->align), bn->total_bytes);
    MirrorOp op;
    int ret, target_ret;

    mirror_op_begin(s, &op, start, end - start);
    ret = apply(bn->file, kind, offset, bytes, v, 0, flags);
    if (ret < 0) {
        /* Part of it may be on the disk. */
        dirty_bitmap_set(s->dirty, offset, bytes);
        goto out;
    }
    target_ret = apply(t->target, kind, offset, bytes, v, 0, flags & BLOCK_REQ_MAY_UNMAP);
    if (target_ret < 0) {
        mirror_note_error(s, offset, bytes, false, target_ret);
    } else {
        dirty_bitmap_reset(s->dirty, offset, bytes);
    }
out:
    mirror_op_end(&op);
    return ret;
}

static int coroutine_fn mirror_top_write(BlockNode *bn, TopOp kind, int64_t offset, int64_t bytes,
                                         IoVector *v, size_t v_offset, unsigned flags)
{
    MirrorTop *t = bn->opaque;
    IoVector copy;
    void *buf;
    int ret;

    if (!t->job || !t->target) {
        return apply(bn->file, kind, offset, bytes, v, v_offset, flags);
    }
    if (kind != TOP_WRITE) {
        return apply_both(bn, kind, offset, bytes, NULL, flags);
    }
    buf = block_buffer_alloc(bn, bytes);
    if (!buf) {
        return -ENOMEM;
    }
    iov_to_buf(v->iov, v->cnt, v_offset, buf, bytes);
    io_vector_init_buf(&copy, buf, bytes);
    ret = apply_both(bn, TOP_WRITE, offset, bytes, &copy, flags);
    block_buffer_free(buf);
    return ret;
}

static int coroutine_fn mirror_top_pwritev(BlockNode *bn, int64_t offset, int64_t bytes,
                                           IoVector *v, size_t v_offset, unsigned flags)
{
    return mirror_top_write(bn, TOP_WRITE, offset, bytes, v, v_offset, flags);
}

static int coroutine_fn mirror_top_pwrite_zeroes(BlockNode *bn, int64_t offset, int64_t bytes,
                                                 unsigned flags)
{
    return mirror_top_write(bn, TOP_ZERO, offset, bytes, NULL, 0, flags);
}

static int coroutine_fn mirror_top_pdiscard(BlockNode *bn, int64_t offset, int64_t bytes)
{
    return mirror_top_write(bn, TOP_DISCARD, offset, bytes, NULL, 0, 0);
}

BLOCK_DRIVER(mirror_top_driver) = {
    .name = "mirror_top",
    .internal = true,
    .instance_size = sizeof(MirrorTop),
    .child_perm = mirror_top_perm,
    .co_pwritev = mirror_top_pwritev,
    .co_pwrite_zeroes = mirror_top_pwrite_zeroes,
    .co_pdiscard = mirror_top_pdiscard,
    TOP_FILTER_HOOKS,
};

BlockNode *mirror_filter_insert(MirrorJob *s, const char *name, Error **errp)
{
    BlockNode *filter = top_filter_insert(&mirror_top_driver, name, s->source, errp);
    MirrorTop *t;

    if (!filter) {
        return NULL;
    }
    t = filter->opaque;
    block_drain_begin(filter);
    t->job = s;
    if (s->copy_mode == MIRROR_COPY_MODE_WRITE_BLOCKING) {
        t->target = block_child_attach(filter, s->target, "target", BLOCK_ROLE_DATA, errp);
        dirty_bitmap_set_enabled(s->dirty, !t->target);
    }
    block_drain_end(filter);
    if (s->copy_mode == MIRROR_COPY_MODE_WRITE_BLOCKING && !t->target) {
        t->job = NULL;
        top_filter_remove(filter, NULL, NULL);
        return NULL;
    }
    return filter;
}

void mirror_filter_stop(BlockNode *filter)
{
    MirrorTop *t = filter->opaque;

    t->job = NULL;
    if (t->target) {
        block_child_detach(g_steal_pointer(&t->target));
    }
}
