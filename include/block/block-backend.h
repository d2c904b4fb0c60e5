/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * BlockBackend: what a device, export, job or tool holds to use a node. It
 * checks ranges, counts I/O, applies the error policy and drains.
 *
 * Thread: configuration on the main thread; I/O on the back end's loop.
 */
#ifndef BLOCK_BLOCK_BACKEND_H
#define BLOCK_BLOCK_BACKEND_H

#include "block/block.h"
#include "qom/object.h"

/* @perm and @shared as in BlockPerm; no node yet. One reference. */
BlockBackend *blk_new(EventLoop *loop, uint64_t perm, uint64_t shared);
/* blk_new + block_open + insert, for tools; only blk_truncate() makes the image longer. */
BlockBackend *blk_open(const char *filename, JsonValue *options, unsigned flags, Error **errp);
void blk_ref(BlockBackend *blk);
void blk_unref(BlockBackend *blk);
bool blk_insert(BlockBackend *blk, BlockNode *bn, Error **errp);
void blk_remove(BlockBackend *blk);
BlockNode *blk_node(BlockBackend *blk);         /* NULL: no medium */
/* "-drive id=" name, or NULL. */
const char *blk_name(const BlockBackend *blk);
bool blk_set_name(BlockBackend *blk, const char *name, Error **errp);
BlockBackend *blk_find(const char *name);
BlockBackend *blk_next(BlockBackend *blk);      /* NULL: the first; iteration over all */

bool blk_set_perm(BlockBackend *blk, uint64_t perm, uint64_t shared, Error **errp);
/* Move to @loop with the node (if any). */
bool blk_set_loop(BlockBackend *blk, EventLoop *loop, Error **errp);
EventLoop *blk_loop(BlockBackend *blk);
/* While pinned (calls count), other users of the node cannot move it. */
void blk_pin_loop(BlockBackend *blk, bool pin);

/* What a device wants to hear; each may be NULL. */
typedef struct BlockDevOps {
    void (*resized)(void *opaque);              /* main thread or the loop's */
    void (*drained_begin)(void *opaque);
    bool (*drained_poll)(void *opaque);
    void (*drained_end)(void *opaque);
} BlockDevOps;
bool blk_attach_device(BlockBackend *blk, Object *dev, const BlockDevOps *ops, void *opaque,
                       Error **errp);
/* Drains; gives up permissions and the loop. */
void blk_detach_device(BlockBackend *blk);
Object *blk_device(BlockBackend *blk);

/*
 * Asynchronous I/O for devices, on the loop's thread: @done runs there with 0
 * or -errno, possibly before the function returns. @v stays alive until then.
 */
typedef void BlockDone(void *opaque, int ret);
void blk_aio_preadv(BlockBackend *blk, int64_t offset, IoVector *v, unsigned flags, BlockDone *done,
                    void *opaque);
void blk_aio_pwritev(BlockBackend *blk, int64_t offset, IoVector *v, unsigned flags,
                     BlockDone *done, void *opaque);
void blk_aio_pwrite_zeroes(BlockBackend *blk, int64_t offset, int64_t bytes, unsigned flags,
                           BlockDone *done, void *opaque);
void blk_aio_pdiscard(BlockBackend *blk, int64_t offset, int64_t bytes, BlockDone *done,
                      void *opaque);
void blk_aio_flush(BlockBackend *blk, BlockDone *done, void *opaque);
/* Batch submissions between plug and unplug. */
void blk_io_plug(BlockBackend *blk);
void blk_io_unplug(BlockBackend *blk);
int coroutine_fn blk_co_preadv(BlockBackend *blk, int64_t offset, int64_t bytes, IoVector *v,
                               unsigned flags);
int coroutine_fn blk_co_pwritev(BlockBackend *blk, int64_t offset, int64_t bytes, IoVector *v,
                                unsigned flags);
int coroutine_fn blk_co_pwrite_zeroes(BlockBackend *blk, int64_t offset, int64_t bytes,
                                      unsigned flags);
int coroutine_fn blk_co_pdiscard(BlockBackend *blk, int64_t offset, int64_t bytes);
int coroutine_fn blk_co_flush(BlockBackend *blk);
/* -ENOTSUP: use buffers. */
int coroutine_fn blk_co_copy_range(BlockBackend *src, int64_t src_offset, BlockBackend *dst,
                                   int64_t dst_offset, int64_t bytes, unsigned read_flags,
                                   unsigned write_flags);
/* Outside coroutines: waits. */
int blk_pread(BlockBackend *blk, int64_t offset, int64_t bytes, void *buf, unsigned flags);
int blk_pwrite(BlockBackend *blk, int64_t offset, int64_t bytes, const void *buf, unsigned flags);
int blk_flush(BlockBackend *blk);
bool blk_truncate(BlockBackend *blk, int64_t size, PreallocMode prealloc, Error **errp);
bool blk_make_room(BlockBackend *blk, int64_t size, PreallocMode prealloc, Error **errp);

int64_t blk_length(BlockBackend *blk);          /* bytes or -errno */
bool blk_is_writable(BlockBackend *blk);
bool blk_write_cache_enabled(BlockBackend *blk);
void blk_set_write_cache(BlockBackend *blk, bool on);
uint32_t blk_request_alignment(BlockBackend *blk);
/*
 * Largest request in bytes, and pieces, that go to the driver whole; merging requests beyond it
 * does not pay.
 */
uint64_t blk_max_transfer(BlockBackend *blk);
unsigned blk_max_iov(BlockBackend *blk);
void blk_drain(BlockBackend *blk);

/* Error policy (werror, rerror); AUTO keeps what -drive said. */
void blk_set_on_error(BlockBackend *blk, BlockdevOnError on_read, BlockdevOnError on_write);
BlockdevOnError blk_on_error(const BlockBackend *blk, bool is_read);
/* @error is a positive errno. */
BlockErrorAction blk_error_action(BlockBackend *blk, bool is_read, int error);
/* Sends BLOCK_IO_ERROR and, for a stop, notes the status. The device then stops the VM. */
void blk_error_apply(BlockBackend *blk, BlockErrorAction action, bool is_read, int error);
/* The guest runs again. */
void blk_io_status_reset(BlockBackend *blk);

/* Accounting, on the loop's thread. */
typedef enum BlockAcctType {
    BLOCK_ACCT_READ,
    BLOCK_ACCT_WRITE,
    BLOCK_ACCT_FLUSH,
    BLOCK_ACCT_UNMAP,
    BLOCK_ACCT_COUNT
} BlockAcctType;
typedef struct BlockAcctStats {
    uint64_t bytes[BLOCK_ACCT_COUNT], ops[BLOCK_ACCT_COUNT], total_ns[BLOCK_ACCT_COUNT];
    uint64_t failed[BLOCK_ACCT_COUNT], invalid[BLOCK_ACCT_COUNT], merged[BLOCK_ACCT_COUNT];
    int64_t last_access_ns;     /* 0: none yet */
} BlockAcctStats;
typedef struct BlockAcctCookie {
    int64_t start_ns;
    uint64_t bytes;
    BlockAcctType type;
} BlockAcctCookie;
void blk_acct_start(BlockBackend *blk, BlockAcctCookie *c, uint64_t bytes, BlockAcctType type);
void blk_acct_done(BlockBackend *blk, BlockAcctCookie *c);
void blk_acct_failed(BlockBackend *blk, BlockAcctCookie *c);
void blk_acct_invalid(BlockBackend *blk, BlockAcctType type);
/* @count further requests went along with another one. */
void blk_acct_merged(BlockBackend *blk, BlockAcctType type, unsigned count);

/* Property kind for "drive=": a node name or a -drive id; the field is BlockBackend *. */
extern const PropertyKind prop_kind_drive;
#define PROP_DRIVE(n, st, f, desc) PROP_FIELD_(n, drive, st, f, .description = (desc))

#endif
