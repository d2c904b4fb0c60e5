/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the mirror job copies: dirty pieces in up to MAX_OPS coroutines at a time.
 * A piece's dirty bits are cleared before it is read, so whatever the guest writes
 * from then on marks it again. Ranges that are under way never overlap. All on
 * the job's loop.
 */
#include "util/osdep.h"
#include "block/jobs/mirror-int.h"

#define MAX_OPS 16
#define MAX_PIECE (1024 * 1024)
/* Zeroes cost no buffer. */
#define MAX_ZERO_PIECE (INT64_C(1) << 30)

/* ---- ranges under way ---- */

static MirrorOp *find_overlap(MirrorJob *s, int64_t offset, int64_t bytes)
{
    MirrorOp *op;

    for (op = s->ops; op; op = op->next) {
        if (op->offset < offset + bytes && offset < op->offset + op->bytes) {
            return op;
        }
    }
    return NULL;
}

static void link_op(MirrorJob *s, MirrorOp *op, int64_t offset, int64_t bytes)
{
    *op = (MirrorOp) { .job = s, .offset = offset, .bytes = bytes, .next = s->ops };
    co_queue_init(&op->waiters);
    if (op->next) {
        op->next->prev = op;
    }
    s->ops = op;
}

void coroutine_fn mirror_op_begin(MirrorJob *s, MirrorOp *op, int64_t offset, int64_t bytes)
{
    MirrorOp *other;

    while ((other = find_overlap(s, offset, bytes)) != NULL) {
        co_queue_wait(&other->waiters, NULL);
    }
    link_op(s, op, offset, bytes);
}

void mirror_op_end(MirrorOp *op)
{
    if (op->prev) {
        op->prev->next = op->next;
    } else {
        op->job->ops = op->next;
    }
    if (op->next) {
        op->next->prev = op->prev;
    }
    co_queue_wake_all(&op->waiters);
}

void coroutine_fn mirror_wait_for_op(MirrorJob *s)
{
    co_queue_wait(&s->op_done, NULL);
}

void coroutine_fn mirror_wait_for_all(MirrorJob *s)
{
    while (s->background_ops > 0) {
        mirror_wait_for_op(s);
    }
}

/* ---- errors ---- */

void mirror_note_error(MirrorJob *s, int64_t offset, int64_t bytes, bool is_read, int ret)
{
    BlockErrorAction action;

    dirty_bitmap_set(s->dirty, offset, bytes);
    action = block_job_error(&s->common, is_read ? s->on_source_error : s->on_target_error,
                             is_read, -ret);
    if (action == BLOCK_ERROR_ACTION_REPORT && s->ret == 0) {
        s->ret = ret;
    }
}

/* ---- one piece ---- */

/* Copy a range whose dirty bits are clear. *@is_read tells whose error it is. */
static int coroutine_fn copy_range(MirrorJob *s, int64_t offset, int64_t bytes, bool zero,
                                   bool *is_read)
{
    void *buf;
    int ret;

    *is_read = false;
    if (zero) {
        return block_co_pwrite_zeroes(s->target_edge, offset, bytes,
                                      s->unmap ? BLOCK_REQ_MAY_UNMAP : 0);
    }
    buf = block_buffer_alloc(s->source, bytes);
    if (!buf) {
        return -ENOMEM;
    }
    ret = block_co_pread(s->source_edge, offset, bytes, buf, 0);
    *is_read = ret < 0;
    if (ret == 0) {
        ret = block_co_pwrite(s->target_edge, offset, bytes, buf, 0);
    }
    block_buffer_free(buf);
    return ret;
}

static void coroutine_fn op_entry(void *opaque)
{
    MirrorOp *op = opaque;
    MirrorJob *s = op->job;
    bool is_read;
    int ret = copy_range(s, op->offset, op->bytes, op->zero, &is_read);

    if (ret < 0) {
        mirror_note_error(s, op->offset, op->bytes, is_read, ret);
    } else {
        job_progress_add(&s->common.job, op->bytes);
    }
    s->background_ops--;
    s->bytes_in_flight -= op->bytes;
    mirror_op_end(op);
    g_free(op);
    co_queue_wake_all(&s->op_done);
}

/*
 * Shorten the piece at @offset to one method. A unit of alignment that is partly data is copied
 * as data.
 */
static int coroutine_fn choose_method(MirrorJob *s, int64_t offset, int64_t *bytes, bool *zero)
{
    int64_t n, whole;
    int ret = block_co_status_above(s->source, NULL, true, offset, *bytes, &n, NULL, NULL, NULL);

    if (ret < 0) {
        return ret;
    }
    *zero = !(ret & BLOCK_STATUS_DATA) || (ret & BLOCK_STATUS_ZERO);
    whole = n < *bytes ? ROUND_DOWN(n, s->align) : *bytes;
    if (whole == 0) {
        *zero = false;
        whole = MIN(*bytes, s->align);
    }
    *bytes = *zero ? whole : MIN(whole, MAX(MAX_PIECE, s->align));
    return 0;
}

/* The next dirty range, in units of alignment; -1: none. */
static int64_t next_range(MirrorJob *s, int64_t *bytes)
{
    int64_t len = s->source->total_bytes, start, n;

    if (!dirty_bitmap_next_area(s->dirty, s->pos, len, MAX_ZERO_PIECE, &start, &n) &&
        !dirty_bitmap_next_area(s->dirty, 0, len, MAX_ZERO_PIECE, &start, &n)) {
        return -1;
    }
    *bytes = MIN(ROUND_UP(start + n, s->align), len);
    start = ROUND_DOWN(start, s->align);
    *bytes -= start;
    return start;
}

/*
 * Take a range out of the bitmap and find out how to copy it. What the method does not cover
 * goes back. False: nothing to do, or an error that has been noted.
 */
static bool coroutine_fn take_range(MirrorJob *s, MirrorOp *op)
{
    int64_t offset = op->offset, all = op->bytes;
    int ret;

    dirty_bitmap_reset(s->dirty, offset, all);
    ret = choose_method(s, offset, &op->bytes, &op->zero);
    if (ret < 0) {
        mirror_note_error(s, offset, all, true, ret);
        return false;
    }
    if (op->bytes < all) {
        dirty_bitmap_set(s->dirty, offset + op->bytes, all - op->bytes);
    }
    s->pos = offset + op->bytes;
    return true;
}

void coroutine_fn mirror_copy_next(MirrorJob *s)
{
    MirrorOp *op;
    int64_t bytes, offset = next_range(s, &bytes);

    if (offset < 0) {
        return;
    }
    while (s->background_ops >= MAX_OPS || s->bytes_in_flight >= s->buf_size) {
        mirror_wait_for_op(s);
    }
    op = g_new0(MirrorOp, 1);
    mirror_op_begin(s, op, offset, bytes);
    if (!take_range(s, op)) {
        mirror_op_end(op);
        g_free(op);
        return;
    }
    s->background_ops++;
    s->bytes_in_flight += op->bytes;
    bytes = op->bytes;
    coroutine_enter(coroutine_create(op_entry, op));
    block_job_throttle(&s->common, bytes);
}

int coroutine_fn mirror_copy_rest(MirrorJob *s)
{
    MirrorOp op = { .job = s };
    bool is_read;
    int ret = 0;

    while (ret == 0 && (op.offset = next_range(s, &op.bytes)) >= 0) {
        if (!take_range(s, &op)) {
            return s->ret ? s->ret : -EIO;
        }
        ret = copy_range(s, op.offset, op.bytes, op.zero, &is_read);
        if (ret < 0) {
            dirty_bitmap_set(s->dirty, op.offset, op.bytes);
        }
    }
    return ret;
}

/* ---- the beginning ---- */

int coroutine_fn mirror_mark_all(MirrorJob *s)
{
    Job *job = &s->common.job;
    int64_t len = s->source->total_bytes, offset, n;
    int ret;

    if (s->sync == MIRROR_SYNC_MODE_NONE) {
        return 0;
    }
    if (!s->base) {
        dirty_bitmap_set(s->dirty, 0, len);
        return 0;
    }
    for (offset = 0; offset < len && !job_is_cancelled(job); offset += n) {
        ret = block_co_is_allocated_above(s->source, s->base, false, offset,
                                          MIN(len - offset, MAX_ZERO_PIECE), &n);
        if (ret < 0) {
            return ret;
        }
        assert(n > 0);
        if (ret > 0) {
            dirty_bitmap_set(s->dirty, offset, n);
        }
        job_pause_point(job);
    }
    return 0;
}
