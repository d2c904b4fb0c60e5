/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads and writes without a coroutine. When every node from the top down to
 * the protocol passes requests through unchanged (raw on a file), and nothing
 * about this one needs thought (alignment, limits, zero detection, a
 * serialising request, a write threshold), it goes straight to the protocol
 * driver's engine and comes back as a callback. Everything else takes the
 * coroutine path of io.c; the two see each other through fast_in_flight and the
 * count of serialising requests.
 *
 * On the node's loop. The graph does not change while a request is in flight
 * (drain counts it), so completion walks the same nodes as submission.
 */
#include "util/osdep.h"
#include "block/block-int.h"

static bool node_allows(const BlockNode *bn, const BlockSubmit *s)
{
    if (bn->serialising || (s->offset | s->bytes) & (bn->limits.request_alignment - 1) ||
        (bn->limits.max_transfer && s->bytes > bn->limits.max_transfer) ||
        s->offset + s->bytes > bn->total_bytes) {
        return false;
    }
    return !s->is_write ||
           (!bn->read_only && bn->detect_zeroes == BLOCKDEV_DETECT_ZEROES_OPTIONS_OFF &&
            !atomic_load(&bn->write_threshold));
}

static void leave_nodes(BlockNode *top, const BlockSubmit *s, int ret, bool submitted)
{
    BlockNode *bn;

    for (bn = top; bn; bn = bn->passthrough ? bn->file->node : NULL) {
        if (submitted && s->is_write) {
            block_write_finish(bn, s->offset, s->bytes, ret);
        }
        if (--bn->fast_in_flight == 0) {
            co_queue_wake_all(&bn->fast_wait);
        }
        block_node_dec_in_flight(bn);
    }
}

void block_fast_complete(BlockSubmit *s, int ret)
{
    leave_nodes(s->top, s, ret, true);
    s->done(s, ret);
}

bool block_fast_submit(BlockNode *top, BlockSubmit *s)
{
    BlockNode *bn = top;

    while (node_allows(bn, s) && bn->passthrough) {
        bn = bn->file->node;
    }
    if (!bn->drv->submit || bn->passthrough || !node_allows(bn, s)) {
        return false;
    }
    s->top = top;
    for (bn = top; ; bn = bn->file->node) {
        block_node_inc_in_flight(bn);
        bn->fast_in_flight++;
        if (!bn->passthrough) {
            break;
        }
    }
    if (!bn->drv->submit(bn, s)) {
        leave_nodes(top, s, 0, false);
        return false;
    }
    return true;
}
