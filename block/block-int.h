/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the block layer share among themselves. */
#ifndef BLOCK_BLOCK_INT_H
#define BLOCK_BLOCK_INT_H

#include "block/block.h"
#include "block/block-backend.h"

#define BLOCK_PROBE_BYTES 512
/* Requests and images end below this, so that sums with alignment never overflow. */
#define BLOCK_MAX_LENGTH (INT64_MAX & ~(INT64_C(1) << 30))

/* ---- graph.c ---- */

/* A named node (NULL: generated) of @drv, one reference, not open yet. */
BlockNode *block_node_new(const BlockDriver *drv, const char *node_name, Error **errp);
/* The child that determines the size, or NULL. */
BlockChild *block_primary_child(BlockNode *bn);
/* Re-read the length; parents hear about a change when @notify. */
int64_t block_node_refresh_length(BlockNode *bn, bool notify);
void block_node_set_length(BlockNode *bn, int64_t bytes);

/* Move the edge @c to @to, without looking at permissions. Both ends drained. */
void block_child_move(BlockChild *c, BlockNode *to);

/* ---- perm.c ---- */

/* Recompute what children must give, from the parents of @bn down; all or nothing. */
bool block_perm_refresh(BlockNode *bn, Error **errp);
bool block_perm_refresh_nodes(BlockNode *const *nodes, size_t count, Error **errp);
/* The same when an edge only gives things up; cannot fail. */
void block_perm_relax(BlockNode *bn);
const char *block_perm_name(unsigned bit);

/* ---- open.c ---- */

void block_node_refresh_filename(BlockNode *bn);
struct BlockReopen;
/* The node and the flags that @r->options (complete, of blockdev-reopen) name, taken out of them. */
bool block_reopen_parse(struct BlockReopen *r, Error **errp);
/* Does @path begin with "protocol:"? */
bool block_path_has_protocol(const char *path);

/* ---- probe.c ---- */

/* The name of the format whose signature @buf begins with; NULL: none. */
const char *block_probe_format(const uint8_t *buf, size_t len);

/* ---- request.c: on the node's loop ---- */

typedef enum BlockRequestType {
    BLOCK_TRACK_READ, BLOCK_TRACK_WRITE, BLOCK_TRACK_DISCARD, BLOCK_TRACK_TRUNCATE,
} BlockRequestType;

struct BlockRequest {
    BlockNode *bn;
    BlockRequestType type;
    int64_t offset, bytes;
    int64_t overlap_offset, overlap_bytes;      /* what nobody else may touch while it serialises */
    bool serialising;
    uint64_t seq;
    CoQueue waiters;
    BlockRequest *prev, *next;
};

void block_request_begin(BlockRequest *req, BlockNode *bn, int64_t offset, int64_t bytes,
                         BlockRequestType type);
/*
 * Nothing that overlaps, rounded to @align, runs together with @req from the next wait on. Right
 * after begin.
 */
void block_request_serialise(BlockRequest *req, uint64_t align);
/* Wait for the older requests that @req must not overlap with. */
void coroutine_fn block_request_wait(BlockRequest *req);
void block_request_end(BlockRequest *req);
void block_node_inc_in_flight(BlockNode *bn);
void block_node_dec_in_flight(BlockNode *bn);

/* ---- io.c ---- */

/* 0, or -EIO for a range that no image can have. */
int block_check_range(int64_t offset, int64_t bytes);
/* What each write does before (threshold) and after (generation, size) reaching the driver. */
void block_write_prepare(BlockNode *bn, int64_t offset, int64_t bytes);
void block_write_finish(BlockNode *bn, int64_t offset, int64_t bytes, int ret);
int coroutine_fn block_do_pwrite_zeroes(BlockNode *bn, int64_t offset, int64_t bytes,
                                        unsigned flags);

/* ---- copy-on-read.c ---- */

/* What such a request is rounded to, and serialises over. */
uint64_t block_copy_on_read_align(BlockNode *bn);
/* The read itself; with BLOCK_REQ_PREFETCH @v is not touched and may be NULL. */
int coroutine_fn block_co_copy_on_read(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                       size_t v_offset, unsigned flags);

/* ---- drain.c ---- */

/* Wake whoever waits in block_wait(); after each change of what it may wait for. Any thread. */
void block_wait_kick(void);
/*
 * Poll until @done(@opaque). Main thread or holder of the machine lock, or the thread of a loop for
 * its own requests.
 */
void block_wait(bool (*done)(void *opaque), void *opaque);
void block_child_quiesce_parent(BlockChild *c);
void block_child_unquiesce_parent(BlockChild *c);
/* The edge operations of parents that are nodes. */
extern const BlockChildOps block_node_child_ops;

/* ---- fast.c ---- */

/* Start @s at @bn without a coroutine, or refuse (false) and leave everything as it was. */
bool block_fast_submit(BlockNode *bn, BlockSubmit *s);

/* ---- backend.c ---- */

struct BlkAio;

struct BlockBackend {
    unsigned refs;
    char *name;                 /* -drive id, or NULL */
    BlockChild *root;           /* NULL: no medium */
    EventLoop *loop;
    unsigned loop_pins;
    uint64_t perm, shared_perm;
    Object *dev;
    const BlockDevOps *dev_ops;
    void *dev_opaque;
    bool drive;                 /* made by -drive */
    bool drive_claimed;
    unsigned pflash;            /* its number as flash, from 1; 0: not for a flash */
    bool write_cache;
    bool removable;
    bool fixed_size;            /* writes beyond the end fail, also with the right to resize */
    bool io_status_enabled;
    BlockDeviceIoStatus io_status;
    BlockdevOnError on_read_error, on_write_error;
    unsigned in_flight;         /* atomics */
    unsigned quiesce;           /* atomics */
    pthread_mutex_t queue_lock;
    struct BlkAio *queued, **queued_last;       /* requests that came while quiesced */
    struct BlkAio *free_aio;    /* the loop's thread */
    unsigned plugged;           /* the loop's thread */
    BlockNode *plugged_node;
    BlockAcctStats stats;
    BlockBackend *next;
};

/* Back ends claim what they want of their nodes, or nothing while block_images_inactive(). */
bool blk_update_claims(Error **errp);

/* backend-io.c */
void blk_run_queued(BlockBackend *blk);
void blk_free_requests(BlockBackend *blk);

#endif
