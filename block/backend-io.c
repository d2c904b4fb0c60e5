/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * I/O through a BlockBackend: range checks against the size (offsets may be a
 * guest's), the write cache mode, holding requests back while drained, and the
 * choice between the path without a coroutine (fast.c) and the one with.
 *
 * Thread: the loop's; blk_pread() and friends from the main thread or the
 * holder of the machine lock. The queue of held-back requests has a lock because the
 * end of a drain looks at it from the main thread.
 */
#include "util/osdep.h"
#include "block/block-int.h"
#include "trace-block.h"

typedef enum BlkOp { BLK_READ, BLK_WRITE, BLK_ZERO, BLK_DISCARD, BLK_FLUSH } BlkOp;

typedef struct BlkAio BlkAio;
struct BlkAio {
    BlockBackend *blk;
    BlkOp op;
    int64_t offset, bytes;
    IoVector *v;
    unsigned flags;
    BlockDone *done;
    void *opaque;
    BlkAio *next;
    BlockSubmit submit;
};

/* ---- counting, and waiting while drained ---- */

static void blk_leave(BlockBackend *blk)
{
    if (atomic_fetch_sub(&blk->in_flight, 1) == 1) {
        block_wait_kick();
    }
}

/* False: drained, the request must wait. */
static bool blk_enter(BlockBackend *blk)
{
    atomic_fetch_add(&blk->in_flight, 1);
    if (LIKELY(!__atomic_load_n(&blk->quiesce, __ATOMIC_SEQ_CST))) {
        return true;
    }
    blk_leave(blk);
    return false;
}

static BlkAio *aio_get(BlockBackend *blk)
{
    BlkAio *a = blk->free_aio;

    if (a) {
        blk->free_aio = a->next;
        return a;
    }
    return g_new(BlkAio, 1);
}

void blk_free_requests(BlockBackend *blk)
{
    assert(!blk->queued);
    while (blk->free_aio) {
        BlkAio *a = blk->free_aio;

        blk->free_aio = a->next;
        g_free(a);
    }
}

static void aio_complete(BlkAio *a, int ret)
{
    BlockBackend *blk = a->blk;
    BlockDone *done = a->done;
    void *opaque = a->opaque;

    trace_blk_complete(blk, a->op, a->offset, a->bytes, ret);
    a->next = blk->free_aio;
    blk->free_aio = a;
    done(opaque, ret);
    /* After the callback: drain means that the device has heard of it. */
    blk_leave(blk);
}

/* ---- the operations as coroutines; entered by the caller ---- */

static int check_request(BlockBackend *blk, int64_t offset, int64_t bytes)
{
    BlockNode *bn = blk_node(blk);

    if (!bn) {
        return -ENOMEDIUM;
    }
    if (offset < 0 || bytes < 0 || offset > bn->total_bytes || bytes > bn->total_bytes - offset) {
        return -EIO;
    }
    return 0;
}

static int check_write(BlockBackend *blk, int64_t offset, int64_t bytes)
{
    BlockNode *bn = blk_node(blk);

    /* A back end with the right to resize may also write beyond the end. */
    if (bn && (blk->perm & BLOCK_PERM_RESIZE) && !blk->fixed_size) {
        return block_check_range(offset, bytes);
    }
    return check_request(blk, offset, bytes);
}

static int coroutine_fn do_op(BlockBackend *blk, BlkOp op, int64_t offset, int64_t bytes,
                              IoVector *v, unsigned flags)
{
    int ret = op == BLK_FLUSH ? check_request(blk, 0, 0) :
              op == BLK_READ ? check_request(blk, offset, bytes) : check_write(blk, offset, bytes);

    if (ret < 0) {
        return ret;
    }
    if ((op == BLK_WRITE || op == BLK_ZERO) && !blk->write_cache) {
        flags |= BLOCK_REQ_FUA;
    }
    switch (op) {
    case BLK_READ:
        return block_co_preadv(blk->root, offset, bytes, v, 0, flags);
    case BLK_WRITE:
        return block_co_pwritev(blk->root, offset, bytes, v, 0, flags);
    case BLK_ZERO:
        return block_co_pwrite_zeroes(blk->root, offset, bytes, flags);
    case BLK_DISCARD:
        return block_co_pdiscard(blk->root, offset, bytes);
    case BLK_FLUSH:
        return block_co_flush(blk->root->node);
    }
    g_assert_not_reached();
}

static void coroutine_fn aio_co_entry(void *opaque)
{
    BlkAio *a = opaque;

    aio_complete(a, do_op(a->blk, a->op, a->offset, a->bytes, a->v, a->flags));
}

/* ---- asynchronous requests ---- */

static void fast_done(BlockSubmit *s, int ret)
{
    aio_complete(container_of(s, BlkAio, submit), ret);
}

static bool try_fast(BlkAio *a)
{
    BlockBackend *blk = a->blk;
    bool is_write = a->op == BLK_WRITE;

    if ((a->op != BLK_READ && !is_write) || a->flags || !blk->root || a->bytes == 0 ||
        check_request(blk, a->offset, a->bytes) < 0) {
        return false;
    }
    if (is_write && (!blk->write_cache || !(blk->root->perm & BLOCK_PERM_WRITE))) {
        return false;
    }
    a->submit.iov = a->v->iov;
    a->submit.iov_count = a->v->cnt;
    a->submit.offset = a->offset;
    a->submit.bytes = a->bytes;
    a->submit.is_write = is_write;
    a->submit.done = fast_done;
    return block_fast_submit(blk->root->node, &a->submit);
}

static void aio_start(BlkAio *a)
{
    if (!try_fast(a)) {
        coroutine_enter(coroutine_create(aio_co_entry, a));
    }
}

static void aio_submit(BlockBackend *blk, BlkOp op, int64_t offset, int64_t bytes, IoVector *v,
                       unsigned flags, BlockDone *done, void *opaque)
{
    BlkAio *a = aio_get(blk);

    a->blk = blk;
    a->op = op;
    a->offset = offset;
    a->bytes = bytes;
    a->v = v;
    a->flags = flags;
    a->done = done;
    a->opaque = opaque;
    a->next = NULL;
    trace_blk_submit(blk, op, offset, bytes, flags);
    if (LIKELY(blk_enter(blk))) {
        aio_start(a);
        return;
    }
    trace_blk_held_back(blk, op, offset);
    pthread_mutex_lock(&blk->queue_lock);
    *blk->queued_last = a;
    blk->queued_last = &a->next;
    pthread_mutex_unlock(&blk->queue_lock);
    /* The drain may have ended in between, without seeing it. */
    if (!__atomic_load_n(&blk->quiesce, __ATOMIC_SEQ_CST)) {
        blk_run_queued(blk);
    }
}

static void run_queued_bh(void *opaque)
{
    BlockBackend *blk = opaque;
    BlkAio *a, *next;

    pthread_mutex_lock(&blk->queue_lock);
    a = blk->queued;
    blk->queued = NULL;
    blk->queued_last = &blk->queued;
    pthread_mutex_unlock(&blk->queue_lock);
    for (; a; a = next) {
        next = a->next;
        a->next = NULL;
        if (blk_enter(blk)) {
            aio_start(a);
        } else {
            pthread_mutex_lock(&blk->queue_lock);
            *blk->queued_last = a;
            blk->queued_last = &a->next;
            pthread_mutex_unlock(&blk->queue_lock);
        }
    }
    blk_leave(blk);
}

void blk_run_queued(BlockBackend *blk)
{
    bool any;

    pthread_mutex_lock(&blk->queue_lock);
    any = blk->queued != NULL;
    pthread_mutex_unlock(&blk->queue_lock);
    if (any) {
        /* Counted until it has run, so that the back end stays. */
        atomic_fetch_add(&blk->in_flight, 1);
        event_loop_run_soon(blk->loop, run_queued_bh, blk);
    }
}

void blk_aio_preadv(BlockBackend *blk, int64_t offset, IoVector *v, unsigned flags, BlockDone *done,
                    void *opaque)
{
    aio_submit(blk, BLK_READ, offset, v->size, v, flags, done, opaque);
}

void blk_aio_pwritev(BlockBackend *blk, int64_t offset, IoVector *v, unsigned flags,
                     BlockDone *done, void *opaque)
{
    aio_submit(blk, BLK_WRITE, offset, v->size, v, flags, done, opaque);
}

void blk_aio_pwrite_zeroes(BlockBackend *blk, int64_t offset, int64_t bytes, unsigned flags,
                           BlockDone *done, void *opaque)
{
    aio_submit(blk, BLK_ZERO, offset, bytes, NULL, flags, done, opaque);
}

void blk_aio_pdiscard(BlockBackend *blk, int64_t offset, int64_t bytes, BlockDone *done,
                      void *opaque)
{
    aio_submit(blk, BLK_DISCARD, offset, bytes, NULL, 0, done, opaque);
}

void blk_aio_flush(BlockBackend *blk, BlockDone *done, void *opaque)
{
    aio_submit(blk, BLK_FLUSH, 0, 0, NULL, 0, done, opaque);
}

void blk_io_plug(BlockBackend *blk)
{
    BlockNode *bn = blk_node(blk);

    if (blk->plugged++ > 0 || !bn) {
        return;
    }
    while (bn->passthrough) {
        bn = bn->file->node;
    }
    if (bn->drv->plug) {
        bn->drv->plug(bn);
        blk->plugged_node = bn;
    }
}

void blk_io_unplug(BlockBackend *blk)
{
    if (--blk->plugged == 0 && blk->plugged_node) {
        BlockNode *bn = blk->plugged_node;

        blk->plugged_node = NULL;
        bn->drv->unplug(bn);
    }
}

/* ---- coroutines ---- */

static int coroutine_fn co_op(BlockBackend *blk, BlkOp op, int64_t offset, int64_t bytes,
                              IoVector *v, unsigned flags)
{
    int ret;

    /* Jobs and exports stop by themselves when drained; whoever does not, polls. */
    while (!blk_enter(blk)) {
        coroutine_sleep_ns(CLOCK_TYPE_REALTIME, 1000000);
    }
    ret = do_op(blk, op, offset, bytes, v, flags);
    blk_leave(blk);
    return ret;
}

int coroutine_fn blk_co_preadv(BlockBackend *blk, int64_t offset, int64_t bytes, IoVector *v,
                               unsigned flags)
{
    return co_op(blk, BLK_READ, offset, bytes, v, flags);
}

int coroutine_fn blk_co_pwritev(BlockBackend *blk, int64_t offset, int64_t bytes, IoVector *v,
                                unsigned flags)
{
    return co_op(blk, BLK_WRITE, offset, bytes, v, flags);
}

int coroutine_fn blk_co_pwrite_zeroes(BlockBackend *blk, int64_t offset, int64_t bytes,
                                      unsigned flags)
{
    return co_op(blk, BLK_ZERO, offset, bytes, NULL, flags);
}

int coroutine_fn blk_co_pdiscard(BlockBackend *blk, int64_t offset, int64_t bytes)
{
    return co_op(blk, BLK_DISCARD, offset, bytes, NULL, 0);
}

int coroutine_fn blk_co_flush(BlockBackend *blk)
{
    return co_op(blk, BLK_FLUSH, 0, 0, NULL, 0);
}

int coroutine_fn blk_co_copy_range(BlockBackend *src, int64_t src_offset, BlockBackend *dst,
                                   int64_t dst_offset, int64_t bytes, unsigned read_flags,
                                   unsigned write_flags)
{
    int ret = check_request(src, src_offset, bytes);

    ret = ret < 0 ? ret : check_write(dst, dst_offset, bytes);
    if (ret < 0) {
        return ret;
    }
    return block_co_copy_range(src->root, src_offset, dst->root, dst_offset, bytes, read_flags,
                               write_flags);
}

/* ---- synchronous ---- */

typedef struct BlkSync {
    BlockBackend *blk;
    BlkOp op;
    int64_t offset, bytes;
    IoVector *v;
    unsigned flags;
    int ret;
} BlkSync;

static void coroutine_fn sync_entry(void *opaque)
{
    BlkSync *s = opaque;

    s->ret = co_op(s->blk, s->op, s->offset, s->bytes, s->v, s->flags);
}

static int sync_op(BlockBackend *blk, BlkOp op, int64_t offset, int64_t bytes, IoVector *v,
                   unsigned flags)
{
    BlkSync s = { blk, op, offset, bytes, v, flags, 0 };

    if (!blk->root) {
        return -ENOMEDIUM;
    }
    block_run_coroutine(blk->root->node, sync_entry, &s);
    return s.ret;
}

int blk_pread(BlockBackend *blk, int64_t offset, int64_t bytes, void *buf, unsigned flags)
{
    IoVector v;

    io_vector_init_buf(&v, buf, bytes);
    return sync_op(blk, BLK_READ, offset, bytes, &v, flags);
}

int blk_pwrite(BlockBackend *blk, int64_t offset, int64_t bytes, const void *buf, unsigned flags)
{
    IoVector v;

    io_vector_init_buf(&v, (void *)buf, bytes);
    return sync_op(blk, BLK_WRITE, offset, bytes, &v, flags);
}

int blk_flush(BlockBackend *blk)
{
    return sync_op(blk, BLK_FLUSH, 0, 0, NULL, 0);
}

bool blk_truncate(BlockBackend *blk, int64_t size, PreallocMode prealloc, Error **errp)
{
    if (!blk->root) {
        error_setg(errp, "No medium inserted");
        return false;
    }
    return block_truncate(blk->root, size, prealloc, errp);
}

bool blk_make_room(BlockBackend *blk, int64_t size, PreallocMode prealloc, Error **errp)
{
    if (!blk->root) {
        error_setg(errp, "No medium inserted");
        return false;
    }
    return block_make_room(blk->root, size, prealloc, errp);
}

static bool blk_idle(void *opaque)
{
    BlockBackend *blk = opaque;

    return !atomic_load_acquire(&blk->in_flight);
}

void blk_drain(BlockBackend *blk)
{
    BlockNode *bn = blk_node(blk);

    if (bn) {
        block_node_ref(bn);
        block_drain_begin(bn);
    }
    block_wait(blk_idle, blk);
    if (bn) {
        block_drain_end(bn);
        block_node_unref(bn);
    }
}

/* ---- properties ---- */

int64_t blk_length(BlockBackend *blk)
{
    BlockNode *bn = blk_node(blk);

    return bn ? bn->total_bytes : -ENOMEDIUM;
}

bool blk_is_writable(BlockBackend *blk)
{
    return blk->perm & BLOCK_PERM_WRITE;
}

bool blk_write_cache_enabled(BlockBackend *blk)
{
    return blk->write_cache;
}

void blk_set_write_cache(BlockBackend *blk, bool on)
{
    blk->write_cache = on;
}

uint32_t blk_request_alignment(BlockBackend *blk)
{
    BlockNode *bn = blk_node(blk);

    return bn ? bn->limits.request_alignment : 512;
}

uint64_t blk_max_transfer(BlockBackend *blk)
{
    BlockNode *bn = blk_node(blk);

    return bn && bn->limits.max_transfer ? bn->limits.max_transfer : INT_MAX & ~511;
}

unsigned blk_max_iov(BlockBackend *blk)
{
    BlockNode *bn = blk_node(blk);

    return bn && bn->limits.max_iov ? bn->limits.max_iov : IOV_MAX;
}
