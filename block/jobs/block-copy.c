/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copying a frozen moment of one node to another; see block-copy.h. */
#include "util/osdep.h"
#include "block/image.h"
#include "block/jobs/block-copy.h"

#define MIN_CLUSTER (64 * 1024)
#define MAX_PIECE (1024 * 1024)
#define MAX_ZERO_PIECE (INT64_C(1) << 30)

typedef struct CopyOp CopyOp;
struct CopyOp {
    int64_t offset, bytes;
    CoQueue waiters;
    CopyOp *prev, *next;
};

struct BlockCopy {
    BlockChild *source, *target;
    DirtyBitmap *todo;
    int64_t cluster;
    bool compress;
    CopyOp *ops;
};

BlockCopy *block_copy_new(BlockChild *source, BlockChild *target, Error **errp)
{
    BlockImageInfo info = { 0 };
    BlockCopy *bc;
    int64_t cluster = MIN_CLUSTER;

    /* A cluster of the target that is written in part would need the rest from its backing. */
    if (block_image_info(target->node, &info) == 0) {
        cluster = MAX(cluster, info.cluster_size);
    }
    bc = g_new0(BlockCopy, 1);
    bc->source = source;
    bc->target = target;
    bc->cluster = cluster;
    bc->todo = dirty_bitmap_new(source->node, cluster, NULL, errp);
    if (!bc->todo) {
        g_free(bc);
        return NULL;
    }
    dirty_bitmap_set_enabled(bc->todo, false);
    dirty_bitmap_set(bc->todo, 0, source->node->total_bytes);
    return bc;
}

void block_copy_free(BlockCopy *bc)
{
    if (bc) {
        assert(!bc->ops);
        dirty_bitmap_free(bc->todo);
        g_free(bc);
    }
}

int64_t block_copy_cluster_size(const BlockCopy *bc)
{
    return bc->cluster;
}

void block_copy_set_compress(BlockCopy *bc, bool compress)
{
    bc->compress = compress;
}

DirtyBitmap *block_copy_todo(BlockCopy *bc)
{
    return bc->todo;
}

/* ---- ranges under way ---- */

static CopyOp *find_op(BlockCopy *bc, int64_t offset, int64_t bytes)
{
    CopyOp *op;

    for (op = bc->ops; op; op = op->next) {
        if (op->offset < offset + bytes && offset < op->offset + op->bytes) {
            return op;
        }
    }
    return NULL;
}

static void op_begin(BlockCopy *bc, CopyOp *op, int64_t offset, int64_t bytes)
{
    *op = (CopyOp) { .offset = offset, .bytes = bytes, .next = bc->ops };
    co_queue_init(&op->waiters);
    if (op->next) {
        op->next->prev = op;
    }
    bc->ops = op;
}

static void op_end(BlockCopy *bc, CopyOp *op)
{
    if (op->prev) {
        op->prev->next = op->next;
    } else {
        bc->ops = op->next;
    }
    if (op->next) {
        op->next->prev = op->prev;
    }
    co_queue_wake_all(&op->waiters);
}

void coroutine_fn block_copy_wait(BlockCopy *bc, int64_t offset, int64_t bytes)
{
    CopyOp *op;

    while ((op = find_op(bc, offset, bytes)) != NULL) {
        co_queue_wait(&op->waiters, NULL);
    }
}

/* ---- one piece ---- */

static int coroutine_fn copy_data(BlockCopy *bc, int64_t offset, int64_t bytes, bool *is_read)
{
    void *buf = block_buffer_alloc(bc->source->node, bytes);
    int ret;

    if (!buf) {
        return -ENOMEM;
    }
    ret = block_co_pread(bc->source, offset, bytes, buf, 0);
    *is_read = ret < 0;
    if (ret == 0) {
        ret = block_co_pwrite(bc->target, offset, bytes, buf,
                              bc->compress ? BLOCK_REQ_WRITE_COMPRESSED : 0);
    }
    block_buffer_free(buf);
    return ret;
}

/*
 * Copy the start of the range @op, in one way, and shorten @op to that. The bits are clear.
 */
static int coroutine_fn copy_piece(BlockCopy *bc, CopyOp *op, bool *is_read)
{
    int64_t n, whole;
    int status = block_co_status_above(bc->source->node, NULL, true, op->offset, op->bytes, &n,
                                       NULL, NULL, NULL);
    bool zero;

    *is_read = true;
    if (status < 0) {
        return status;
    }
    zero = !(status & BLOCK_STATUS_DATA) || (status & BLOCK_STATUS_ZERO);
    whole = n < op->bytes ? ROUND_DOWN(n, bc->cluster) : op->bytes;
    if (whole == 0) {
        zero = false;
        whole = MIN(op->bytes, bc->cluster);
    }
    whole = zero ? whole : MIN(whole, MAX(MAX_PIECE, bc->cluster));
    if (whole < op->bytes) {
        dirty_bitmap_set(bc->todo, op->offset + whole, op->bytes - whole);
        op->bytes = whole;
    }
    if (zero) {
        *is_read = false;
        return block_co_pwrite_zeroes(bc->target, op->offset, whole, BLOCK_REQ_MAY_UNMAP);
    }
    return copy_data(bc, op->offset, whole, is_read);
}

int coroutine_fn block_copy(BlockCopy *bc, int64_t offset, int64_t bytes, bool *is_read)
{
    int64_t len = bc->source->node->total_bytes;
    int64_t end = MIN(ROUND_UP(offset + bytes, bc->cluster), len);
    int64_t start = ROUND_DOWN(offset, bc->cluster), area, n;
    CopyOp op;
    int ret;

    for (;;) {
        if (dirty_bitmap_next_area(bc->todo, start, end, MAX_ZERO_PIECE, &area, &n)) {
            n = MIN(n, end - area);
            dirty_bitmap_reset(bc->todo, area, n);
            op_begin(bc, &op, area, n);
            ret = copy_piece(bc, &op, is_read);
            if (ret < 0) {
                dirty_bitmap_set(bc->todo, op.offset, op.bytes);
            }
            op_end(bc, &op);
            if (ret < 0) {
                return ret;
            }
        } else if (find_op(bc, start, end - start)) {
            /* If it fails the range is to do again. */
            block_copy_wait(bc, start, end - start);
        } else {
            return 0;
        }
    }
}
