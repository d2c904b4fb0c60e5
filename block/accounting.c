/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * I/O counters of a BlockBackend. Written on its loop's thread only; queries
 * on the main thread read each 64-bit counter as it is.
 */
#include "util/osdep.h"
#include "block/block-int.h"

static void add(uint64_t *counter, uint64_t n)
{
    atomic_store(counter, atomic_load(counter) + n);
}

void blk_acct_start(BlockBackend *blk, BlockAcctCookie *c, uint64_t bytes, BlockAcctType type)
{
    c->start_ns = clock_now_ns(CLOCK_TYPE_REALTIME);
    c->bytes = bytes;
    c->type = type;
}

static void account_end(BlockBackend *blk, const BlockAcctCookie *c)
{
    int64_t now = clock_now_ns(CLOCK_TYPE_REALTIME);

    add(&blk->stats.total_ns[c->type], now - c->start_ns);
    atomic_store(&blk->stats.last_access_ns, now);
}

void blk_acct_done(BlockBackend *blk, BlockAcctCookie *c)
{
    add(&blk->stats.bytes[c->type], c->bytes);
    add(&blk->stats.ops[c->type], 1);
    account_end(blk, c);
}

void blk_acct_failed(BlockBackend *blk, BlockAcctCookie *c)
{
    add(&blk->stats.failed[c->type], 1);
    account_end(blk, c);
}

void blk_acct_invalid(BlockBackend *blk, BlockAcctType type)
{
    add(&blk->stats.invalid[type], 1);
    atomic_store(&blk->stats.last_access_ns, clock_now_ns(CLOCK_TYPE_REALTIME));
}

void blk_acct_merged(BlockBackend *blk, BlockAcctType type, unsigned count)
{
    add(&blk->stats.merged[type], count);
}
