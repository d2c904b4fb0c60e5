/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Flush, block status and truncation, and the synchronous forms of the I/O
 * functions for callers outside coroutines.
 */
#include "util/osdep.h"
#include "block/block-int.h"

/* ---- flush ---- */

static int coroutine_fn flush_children(BlockNode *bn)
{
    BlockChild *c;
    int ret = 0;

    for (c = bn->children; c; c = c->next_child) {
        if (c->perm & (BLOCK_PERM_WRITE | BLOCK_PERM_WRITE_UNCHANGED) ||
            c->node->write_gen != c->node->flushed_gen) {
            int r = block_co_flush(c->node);

            ret = ret < 0 ? ret : r;
        }
    }
    return ret;
}

int coroutine_fn block_co_flush(BlockNode *bn)
{
    BlockChild *primary = block_primary_child(bn);
    uint64_t gen;
    int ret = 0;

    if (bn->read_only) {
        return 0;
    }
    block_node_inc_in_flight(bn);
    gen = bn->write_gen;
    while (bn->flush_active) {
        co_queue_wait(&bn->flush_queue, NULL);
    }
    bn->flush_active = true;
    if (primary) {
        block_co_debug_event(primary, BLKDEBUG_EVENT_FLUSH_TO_OS);
    }
    if (bn->drv->co_flush_to_os) {
        ret = bn->drv->co_flush_to_os(bn);
    }
    if (ret == 0 && !(bn->open_flags & BLOCK_OPEN_NO_FLUSH)) {
        if (primary && bn->flushed_gen < gen) {
            block_co_debug_event(primary, BLKDEBUG_EVENT_FLUSH_TO_DISK);
        }
        /* Somebody else's flush since then covers the writes that completed before ours began. */
        if (bn->drv->co_flush_to_disk && bn->flushed_gen < gen) {
            gen = bn->write_gen;
            ret = bn->drv->co_flush_to_disk(bn);
        }
        if (ret == 0) {
            ret = flush_children(bn);
        }
    }
    if (ret == 0 && bn->flushed_gen < gen) {
        bn->flushed_gen = gen;
    }
    bn->flush_active = false;
    co_queue_wake_one(&bn->flush_queue);
    block_node_dec_in_flight(bn);
    return ret;
}

/* ---- block status ---- */

static int coroutine_fn driver_status(BlockNode *bn, bool want_zero, int64_t offset, int64_t bytes,
                                      int64_t *pnum, int64_t *map, BlockNode **file)
{
    int64_t align = bn->limits.request_alignment;
    int64_t start = ROUND_DOWN(offset, align);
    int64_t end = ROUND_UP(offset + bytes, align);
    int ret;

    if (!bn->drv->co_block_status && bn->drv->is_filter && block_primary_child(bn)) {
        *pnum = bytes;
        *map = offset;
        *file = block_primary_child(bn)->node;
        return BLOCK_STATUS_RAW | BLOCK_STATUS_OFFSET_VALID;
    }
    if (!bn->drv->co_block_status) {
        /* Nothing known: data, at the same place in what it passes through. */
        *pnum = bytes;
        *map = offset;
        *file = bn->drv->is_protocol ? bn : NULL;
        return BLOCK_STATUS_DATA | BLOCK_STATUS_ALLOCATED | (*file ? BLOCK_STATUS_OFFSET_VALID : 0);
    }
    ret = bn->drv->co_block_status(bn, want_zero, start, end - start, pnum, map, file);
    if (ret < 0) {
        return ret;
    }
    *pnum = MIN(*pnum - (offset - start), bytes);
    *map += offset - start;
    return ret;
}

/* What follows from the driver's answer. */
static int coroutine_fn finish_status(BlockNode *bn, int ret, bool want_zero, int64_t offset,
                                      int64_t *pnum, int64_t map, BlockNode *file)
{
    BlockNode *backing;

    if (ret & (BLOCK_STATUS_DATA | BLOCK_STATUS_ZERO)) {
        ret |= BLOCK_STATUS_ALLOCATED;
    } else if (bn->drv->supports_backing) {
        backing = bn->backing ? bn->backing->node : NULL;
        if (!backing || offset >= backing->total_bytes) {
            ret |= BLOCK_STATUS_ZERO;
        }
    }
    if (want_zero && (ret & BLOCK_STATUS_RECURSE) && (ret & BLOCK_STATUS_DATA) &&
        !(ret & BLOCK_STATUS_ZERO) && (ret & BLOCK_STATUS_OFFSET_VALID) && file && file != bn) {
        int64_t file_pnum;
        int file_ret = block_co_block_status(file, true, map, *pnum, &file_pnum, NULL, NULL);

        /* Beyond its end the file reads as zeroes too. */
        if (file_ret >= 0 && (file_ret & BLOCK_STATUS_EOF) &&
            (!file_pnum || (file_ret & BLOCK_STATUS_ZERO))) {
            ret |= BLOCK_STATUS_ZERO;
        } else if (file_ret >= 0) {
            *pnum = file_pnum;
            ret |= file_ret & BLOCK_STATUS_ZERO;
        }
    }
    ret &= ~BLOCK_STATUS_RECURSE;
    if (offset + *pnum == bn->total_bytes) {
        ret |= BLOCK_STATUS_EOF;
    }
    return ret;
}

int coroutine_fn block_co_block_status(BlockNode *bn, bool want_zero, int64_t offset, int64_t bytes,
                                       int64_t *pnum, int64_t *map, BlockNode **file)
{
    int64_t local_map = 0;
    BlockNode *local_file = NULL;
    int ret;

    *pnum = 0;
    ret = block_check_range(offset, bytes);
    if (ret < 0) {
        return ret;
    }
    if (offset >= bn->total_bytes) {
        return BLOCK_STATUS_EOF;
    }
    bytes = MIN(bytes, bn->total_bytes - offset);
    if (bytes == 0) {
        return 0;
    }
    block_node_inc_in_flight(bn);
    ret = driver_status(bn, want_zero, offset, bytes, pnum, &local_map, &local_file);
    if (ret >= 0 && (ret & BLOCK_STATUS_RAW)) {
        ret = block_co_block_status(local_file, want_zero, local_map, *pnum, pnum, &local_map,
                                    &local_file);
    }
    if (ret >= 0) {
        ret = finish_status(bn, ret, want_zero, offset, pnum, local_map, local_file);
    }
    block_node_dec_in_flight(bn);
    if (map) {
        *map = local_map;
    }
    if (file) {
        *file = local_file;
    }
    return ret;
}

/* ---- truncate ---- */

static int coroutine_fn driver_truncate(BlockNode *bn, int64_t size, bool exact,
                                        PreallocMode prealloc, unsigned flags, Error **errp)
{
    BlockChild *c = block_primary_child(bn);

    if (bn->drv->co_truncate) {
        return bn->drv->co_truncate(bn, size, exact, prealloc, flags, errp);
    }
    if (bn->drv->is_filter && c) {
        return block_co_truncate(c, size, exact, prealloc, flags, errp);
    }
    error_setg(errp, "Image format driver does not support resize");
    return -ENOTSUP;
}

int coroutine_fn block_co_truncate(BlockChild *c, int64_t size, bool exact, PreallocMode prealloc,
                                   unsigned flags, Error **errp)
{
    BlockNode *bn = c->node;
    BlockRequest req;
    int64_t old = bn->total_bytes, len;
    int ret;

    if (block_check_range(0, size) < 0) {
        error_setg(errp, "Required size is too large: maximum size is %" PRId64 " bytes",
                   BLOCK_MAX_LENGTH);
        return -EINVAL;
    }
    if (bn->read_only || !(c->perm & BLOCK_PERM_RESIZE)) {
        error_setg(errp, "Image is read-only");
        return -EACCES;
    }
    block_node_inc_in_flight(bn);
    /* Nothing may run in the part that appears or goes. */
    block_request_begin(&req, bn, MIN(old, size), MAX(old, size) - MIN(old, size),
                        BLOCK_TRACK_TRUNCATE);
    block_request_serialise(&req, 1);
    block_request_wait(&req);
    ret = driver_truncate(bn, size, exact, prealloc, flags, errp);
    if (ret == 0) {
        bn->write_gen++;
        len = block_node_refresh_length(bn, true);
        if (len < 0) {
            error_setg_errno(errp, -len, "Could not refresh total sector count");
            ret = len;
        }
    }
    block_request_end(&req);
    block_node_dec_in_flight(bn);
    return ret;
}

/* ---- from outside coroutines ---- */

typedef struct RunCo {
    CoroutineEntry *entry;
    void *opaque;
    bool done;          /* atomics */
} RunCo;

static void coroutine_fn run_co_entry(void *opaque)
{
    RunCo *r = opaque;

    r->entry(r->opaque);
    atomic_store_release(&r->done, true);
    block_wait_kick();
}

static bool run_co_done(void *opaque)
{
    RunCo *r = opaque;

    return atomic_load_acquire(&r->done);
}

void block_run_coroutine(BlockNode *bn, CoroutineEntry *entry, void *opaque)
{
    RunCo r = { .entry = entry, .opaque = opaque };
    Coroutine *co = coroutine_create(run_co_entry, &r);

    assert(!coroutine_running());
    if (event_loop_current() == bn->loop) {
        coroutine_enter(co);
    } else {
        coroutine_schedule(bn->loop, co);
    }
    block_wait(run_co_done, &r);
}

typedef struct SyncIo {
    BlockChild *c;
    BlockNode *bn;
    int64_t offset, bytes;
    IoVector v;
    unsigned flags;
    bool want_zero, at_least;
    int64_t *pnum;
    PreallocMode prealloc;
    Error **errp;
    int ret;
} SyncIo;

static void coroutine_fn sync_read(void *opaque)
{
    SyncIo *s = opaque;

    s->ret = block_co_preadv(s->c, s->offset, s->bytes, &s->v, 0, s->flags);
}

static void coroutine_fn sync_write(void *opaque)
{
    SyncIo *s = opaque;

    s->ret = block_co_pwritev(s->c, s->offset, s->bytes, &s->v, 0, s->flags);
}

static void coroutine_fn sync_flush(void *opaque)
{
    SyncIo *s = opaque;

    s->ret = block_co_flush(s->bn);
}

static void coroutine_fn sync_status(void *opaque)
{
    SyncIo *s = opaque;

    s->ret = block_co_block_status(s->bn, s->want_zero, s->offset, s->bytes, s->pnum, NULL, NULL);
}

static void coroutine_fn sync_truncate(void *opaque)
{
    SyncIo *s = opaque;

    s->ret = block_co_truncate(s->c, s->bytes, !s->at_least, s->prealloc, 0, s->errp);
}

int block_pread(BlockChild *c, int64_t offset, int64_t bytes, void *buf, unsigned flags)
{
    SyncIo s = { .c = c, .offset = offset, .bytes = bytes, .flags = flags };

    io_vector_init_buf(&s.v, buf, bytes);
    block_run_coroutine(c->node, sync_read, &s);
    return s.ret;
}

int block_pwrite(BlockChild *c, int64_t offset, int64_t bytes, const void *buf, unsigned flags)
{
    SyncIo s = { .c = c, .offset = offset, .bytes = bytes, .flags = flags };

    io_vector_init_buf(&s.v, (void *)buf, bytes);
    block_run_coroutine(c->node, sync_write, &s);
    return s.ret;
}

int block_flush(BlockNode *bn)
{
    SyncIo s = { .bn = bn };

    block_run_coroutine(bn, sync_flush, &s);
    return s.ret;
}

int block_block_status(BlockNode *bn, bool want_zero, int64_t offset, int64_t bytes, int64_t *pnum)
{
    SyncIo s = { .bn = bn, .offset = offset, .bytes = bytes, .want_zero = want_zero, .pnum = pnum };

    block_run_coroutine(bn, sync_status, &s);
    return s.ret;
}

bool block_truncate(BlockChild *c, int64_t size, PreallocMode prealloc, Error **errp)
{
    SyncIo s = { .c = c, .bytes = size, .prealloc = prealloc, .errp = errp };

    block_run_coroutine(c->node, sync_truncate, &s);
    return s.ret >= 0;
}

bool block_make_room(BlockChild *c, int64_t size, PreallocMode prealloc, Error **errp)
{
    SyncIo s = { .c = c, .bytes = size, .at_least = true, .prealloc = prealloc, .errp = errp };

    block_run_coroutine(c->node, sync_truncate, &s);
    return s.ret >= 0;
}
