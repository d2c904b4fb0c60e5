/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tracked requests: which parts of a node are being read or written by
 * coroutines right now, so that serialising requests (read-modify-write,
 * truncation) overlap with nothing. A request only ever waits for older ones,
 * hence never in a circle. On the node's loop.
 */
#include "util/osdep.h"
#include "block/block-int.h"

void block_request_begin(BlockRequest *req, BlockNode *bn, int64_t offset, int64_t bytes,
                         BlockRequestType type)
{
    *req = (BlockRequest) {
        .bn = bn, .type = type,
        .offset = offset, .bytes = bytes,
        .overlap_offset = offset, .overlap_bytes = bytes,
        .seq = bn->next_request++,
        .next = bn->tracked,
    };
    co_queue_init(&req->waiters);
    if (req->next) {
        req->next->prev = req;
    }
    bn->tracked = req;
}

void block_request_end(BlockRequest *req)
{
    if (req->prev) {
        req->prev->next = req->next;
    } else {
        req->bn->tracked = req->next;
    }
    if (req->next) {
        req->next->prev = req->prev;
    }
    if (req->serialising) {
        req->bn->serialising--;
    }
    co_queue_wake_all(&req->waiters);
}

void block_request_serialise(BlockRequest *req, uint64_t align)
{
    int64_t end = ROUND_UP(req->offset + req->bytes, (int64_t)align);

    if (!req->serialising) {
        req->serialising = true;
        req->bn->serialising++;
    }
    req->overlap_offset = ROUND_DOWN(req->offset, (int64_t)align);
    req->overlap_bytes = end - req->overlap_offset;
}

static BlockRequest *find_older_conflict(const BlockRequest *req)
{
    BlockRequest *r;

    for (r = req->bn->tracked; r; r = r->next) {
        if (r->seq < req->seq && (r->serialising || req->serialising) &&
            r->overlap_offset < req->overlap_offset + req->overlap_bytes &&
            req->overlap_offset < r->overlap_offset + r->overlap_bytes) {
            return r;
        }
    }
    return NULL;
}

void coroutine_fn block_request_wait(BlockRequest *req)
{
    BlockNode *bn = req->bn;
    BlockRequest *r;

    if (!bn->serialising) {
        return;
    }
    /*
     * Requests without a coroutine are not in the list: let them all pass, no new ones start
     * meanwhile.
     */
    while (req->serialising && bn->fast_in_flight) {
        co_queue_wait(&bn->fast_wait, NULL);
    }
    while ((r = find_older_conflict(req)) != NULL) {
        co_queue_wait(&r->waiters, NULL);
    }
}
