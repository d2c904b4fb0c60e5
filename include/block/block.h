/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The block node graph. A node (BlockNode) is an open image layer or filter,
 * driven by a BlockDriver; edges (BlockChild) carry a role and permissions. Devices,
 * exports and jobs use nodes through a BlockBackend (block-backend.h).
 *
 * I/O functions are coroutine_fn, run on the node's event loop, and return 0
 * or -errno. Graph changes happen on the main thread with the nodes drained.
 * Offsets and lengths are bytes.
 */
#ifndef BLOCK_BLOCK_H
#define BLOCK_BLOCK_H

#include "qapi-types.h"
#include "util/coroutine.h"
#include "util/iov.h"

typedef struct BlockNode BlockNode;
typedef struct BlockChild BlockChild;
typedef struct BlockDriver BlockDriver;
typedef struct BlockBackend BlockBackend;
/* image.h, dirty-bitmap.h */
typedef struct BlockImageOption BlockImageOption;
typedef struct BlockImageInfo BlockImageInfo;
typedef struct BlockCheckResult BlockCheckResult;
typedef struct BlockSnapshot BlockSnapshot;
typedef struct BlockReopen BlockReopen;
typedef void BlockProgress(void *opaque, int64_t done, int64_t total);

typedef enum BlockPerm {
    BLOCK_PERM_CONSISTENT_READ = 1,
    BLOCK_PERM_WRITE = 2,
    BLOCK_PERM_WRITE_UNCHANGED = 4,
    BLOCK_PERM_RESIZE = 8,
    BLOCK_PERM_ALL = 15,
} BlockPerm;
#define BLOCK_PERM_COUNT 4

typedef enum BlockChildRole {
    BLOCK_ROLE_DATA = 1,
    BLOCK_ROLE_METADATA = 2,
    BLOCK_ROLE_FILTERED = 4,
    BLOCK_ROLE_COW = 8,         /* backing */
    BLOCK_ROLE_PRIMARY = 16,
} BlockChildRole;

typedef enum BlockRequestFlags {
    BLOCK_REQ_FUA = 1,
    BLOCK_REQ_MAY_UNMAP = 2,            /* write zeroes */
    BLOCK_REQ_NO_FALLBACK = 4,          /* write zeroes: -ENOTSUP rather than writing buffers */
    BLOCK_REQ_SERIALISING = 8,
    BLOCK_REQ_WRITE_UNCHANGED = 16,
    BLOCK_REQ_WRITE_COMPRESSED = 32,
    BLOCK_REQ_COPY_ON_READ = 64,
    BLOCK_REQ_PREFETCH = 128,           /* reads: only with copy on read; no data to the caller */
} BlockRequestFlags;

/* Bits of a block status answer. */
typedef enum BlockStatus {
    BLOCK_STATUS_DATA = 1,              /* allocated here, read from here */
    BLOCK_STATUS_ZERO = 2,              /* reads as zeroes */
    BLOCK_STATUS_OFFSET_VALID = 4,      /* *map is the offset in *file */
    BLOCK_STATUS_ALLOCATED = 8,         /* content is determined by this layer */
    BLOCK_STATUS_RAW = 16,              /* ask *file at *map */
    BLOCK_STATUS_EOF = 32,
    BLOCK_STATUS_RECURSE = 64,          /* data, but *file may know that it is zero */
} BlockStatus;

typedef struct BlockLimits {
    uint32_t request_alignment;         /* power of two, >= 1 */
    uint32_t max_transfer;              /* 0: no limit */
    uint32_t opt_transfer;
    uint32_t max_iov;                   /* 0: no limit */
    size_t min_mem_alignment;           /* of buffers, >= 1 */
    int64_t max_write_zeroes;           /* 0: no limit */
    uint32_t write_zeroes_alignment;    /* 0: request_alignment */
    int64_t max_discard;
    uint32_t discard_alignment;         /* 0: request_alignment */
} BlockLimits;

/*
 * A read or write that takes no coroutine: see block/fast.c. The memory is the
 * caller's and lives until @done, which runs on the node's loop, possibly
 * before the submission returns.
 */
typedef struct BlockSubmit BlockSubmit;
struct BlockSubmit {
    const struct iovec *iov;
    unsigned iov_count;
    int64_t offset;
    int64_t bytes;
    bool is_write;
    void (*done)(BlockSubmit *s, int ret);
    BlockNode *top;             /* private to block/fast.c */
    char driver[192] __attribute__((aligned(8)));       /* for the protocol driver's own request */
};

struct BlockDriver {
    const char *name;                   /* "raw", "file", "qcow2" */
    const char *protocol_prefix;        /* "nbd" for "nbd:..." file names; NULL for formats */
    const char *const *protocol_aliases;        /* further ones, NULL at the end; or NULL */
    size_t instance_size;
    bool is_filter;                     /* the content is that of the filtered child */
    bool is_protocol;                   /* has a file name, no child "file" */
    bool own_children;                  /* no child "file" in its options either: it knows them itself */
    bool has_image;                     /* there is an image on disk, about which more can be said */
    bool supports_backing;              /* may have a child "backing" */
    bool internal;                      /* only made by jobs, unknown to users' options */

    /*
     * @options: the driver's members of BlockdevOptions as JSON (keyval or
     * not); what the driver knows it takes out (block/options.h), the rest is
     * an error. Children are attached with block_child_open().
     */
    bool (*open)(BlockNode *bn, JsonValue *options, Error **errp);
    void (*close)(BlockNode *bn);
    /*
     * A plain name to show, or NULL; allocated. Without it formats show that of their file, and
     * filters none.
     */
    char *(*exact_name)(BlockNode *bn);
    /* Fill options from "prefix:..." file names. */
    bool (*parse_filename)(const char *filename, JsonValue *options, Error **errp);

    int coroutine_fn (*co_preadv)(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                  size_t v_offset, unsigned flags);
    int coroutine_fn (*co_pwritev)(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                   size_t v_offset, unsigned flags);
    int coroutine_fn (*co_pwrite_zeroes)(BlockNode *bn, int64_t offset, int64_t bytes,
                                         unsigned flags);
    int coroutine_fn (*co_pdiscard)(BlockNode *bn, int64_t offset, int64_t bytes);
    int coroutine_fn (*co_flush_to_os)(BlockNode *bn); /* metadata caches to the children */
    int coroutine_fn (*co_flush_to_disk)(BlockNode *bn);
    int coroutine_fn (*co_block_status)(BlockNode *bn, bool want_zero, int64_t offset,
                                        int64_t bytes, int64_t *pnum, int64_t *map,
                                        BlockNode **file);
    int coroutine_fn (*co_truncate)(BlockNode *bn, int64_t size, bool exact, PreallocMode prealloc,
                                    unsigned flags, Error **errp);
    /* One compressed write; offset and bytes are multiples of the cluster size, or end the image. */
    int coroutine_fn (*co_pwritev_compressed)(BlockNode *bn, int64_t offset, int64_t bytes,
                                              IoVector *v, size_t v_offset);

    /* ---- images: see image.h ---- */
    const BlockImageOption *create_options; /* NULL: cannot be created */
    const BlockImageOption *amend_options;
    int coroutine_fn (*co_create)(const BlockdevCreateOptions *options, Error **errp);
    /*
     * From "-o" options, flat keyval names; takes out what it knows. Formats make the file by
     * block_co_create_file().
     */
    int coroutine_fn (*co_create_opts)(const BlockDriver *drv, const char *filename,
                                       JsonValue *options, Error **errp);
    int coroutine_fn (*co_amend)(BlockNode *bn, JsonValue *options, BlockProgress *progress,
                                 void *opaque, bool force, Error **errp);
    int coroutine_fn (*co_check)(BlockNode *bn, BlockCheckResult *result, unsigned fix);
    int (*image_info)(BlockNode *bn, BlockImageInfo *info);
    ImageInfoSpecific *(*specific_info)(BlockNode *bn, Error **errp);
    BlockMeasureInfo *(*measure)(JsonValue *options, BlockNode *in, Error **errp);
    int coroutine_fn (*co_change_backing_file)(BlockNode *bn, const char *backing,
                                               const char *backing_format);
    int coroutine_fn (*co_make_empty)(BlockNode *bn); /* show the backing file everywhere */

    int coroutine_fn (*co_snapshot_create)(BlockNode *bn, BlockSnapshot *snapshot);
    int coroutine_fn (*co_snapshot_goto)(BlockNode *bn, const char *id);
    int coroutine_fn (*co_snapshot_delete)(BlockNode *bn, const char *id, const char *name,
                                           Error **errp);
    int (*snapshot_list)(BlockNode *bn, BlockSnapshot **list);
    int coroutine_fn (*co_snapshot_load_tmp)(BlockNode *bn, const char *id, const char *name,
                                             Error **errp);
    int coroutine_fn (*co_vmstate_read)(BlockNode *bn, IoVector *v, int64_t pos);
    int coroutine_fn (*co_vmstate_write)(BlockNode *bn, IoVector *v, int64_t pos);

    /* May a bitmap of this name and granularity be stored? NULL: never. */
    bool coroutine_fn (*co_can_store_bitmap)(BlockNode *bn, const char *name, uint32_t granularity,
                                             Error **errp);
    bool coroutine_fn (*co_remove_stored_bitmap)(BlockNode *bn, const char *name, Error **errp);

    /* New options: prepare takes out what it knows and may fail; then exactly one of the others. */
    bool (*reopen_prepare)(BlockNode *bn, BlockReopen *reopen, Error **errp);
    void (*reopen_commit)(BlockNode *bn, BlockReopen *reopen);
    void (*reopen_abort)(BlockNode *bn, BlockReopen *reopen);

    /*
     * Another process owns the image (a migration's other side): inactivate writes everything
     * back and forgets it, activate reads it again.
     */
    int coroutine_fn (*co_inactivate)(BlockNode *bn);
    int coroutine_fn (*co_activate)(BlockNode *bn, Error **errp);

    /*
     * Copy between nodes without buffers. "from" of the source's driver finds the file below and
     * passes on; "to" of the destination's does the same; protocols do it (-ENOTSUP: not here).
     */
    int coroutine_fn (*co_copy_range_from)(BlockNode *bn, BlockChild *src, int64_t src_offset,
                                           BlockChild *dst, int64_t dst_offset, int64_t bytes,
                                           unsigned read_flags, unsigned write_flags);
    int coroutine_fn (*co_copy_range_to)(BlockNode *bn, BlockChild *src, int64_t src_offset,
                                         BlockChild *dst, int64_t dst_offset, int64_t bytes,
                                         unsigned read_flags, unsigned write_flags);

    /*
     * Read or write without a coroutine, ending in block_fast_complete(); false: not this one
     * (nothing happened).
     */
    bool (*submit)(BlockNode *bn, BlockSubmit *s);
    /* Collect submissions until the matching unplug. */
    void (*plug)(BlockNode *bn);
    void (*unplug)(BlockNode *bn);

    int64_t (*length)(BlockNode *bn); /* or -errno; NULL: that of the primary child */
    int64_t (*allocated_size)(BlockNode *bn); /* NULL: that of the primary child */
    BlockStatsSpecific *(*stats)(BlockNode *bn);
    /* A parent reached a step at which errors may be injected; may wait. */
    void coroutine_fn (*co_debug_event)(BlockNode *bn, BlkdebugEvent event);
    /*
     * Hold the next request back that reaches @event (main thread; -ENOENT: no such event or tag); let
     * it go on; forget the break point and let all go on; is one held back?
     */
    int (*debug_break)(BlockNode *bn, const char *event, const char *tag);
    int (*debug_resume)(BlockNode *bn, const char *tag);
    int (*debug_remove_break)(BlockNode *bn, const char *tag);
    bool (*debug_is_suspended)(BlockNode *bn, const char *tag);
    void (*refresh_limits)(BlockNode *bn); /* starts from the primary child's */
    /*
     * What the child needs so that parents may have @perm and share @shared; NULL: by role, see
     * block/perm.c.
     */
    void (*child_perm)(BlockNode *bn, BlockChild *c, unsigned role, uint64_t perm, uint64_t shared,
                       uint64_t *nperm, uint64_t *nshared);
    /*
     * A new sum of what parents do and share: prepare (may fail), then exactly one of set and
     * abort.
     */
    bool (*check_perm)(BlockNode *bn, uint64_t perm, uint64_t shared, Error **errp);
    void (*set_perm)(BlockNode *bn, uint64_t perm, uint64_t shared);
    void (*abort_perm)(BlockNode *bn);
    void (*drain_begin)(BlockNode *bn);
    void (*drain_end)(BlockNode *bn);
    void (*attach_loop)(BlockNode *bn, EventLoop *loop);
    void (*detach_loop)(BlockNode *bn);
    const char *const *strong_options;  /* that determine the content: for generated json: names */
};

/* For drivers: the request @s is done. */
void block_fast_complete(BlockSubmit *s, int ret);

/* Registered through a linker section, like object types. */
#define BLOCK_DRIVER(ident)                                                 \
    static const BlockDriver ident;                                         \
    static const BlockDriver *const ident##_registration                    \
        __attribute__((used, section("nemu_block_drivers"))) = &ident;      \
    static const BlockDriver ident
const BlockDriver *block_driver_find(const char *name);
/* The driver for file names that begin with @prefix and a colon. */
const BlockDriver *block_driver_find_protocol(const char *prefix);
void block_driver_foreach(void (*fn)(const BlockDriver *drv, void *opaque), void *opaque);

typedef enum BlockOpenFlags {
    BLOCK_OPEN_RDWR = 1,
    BLOCK_OPEN_NOCACHE = 2, /* cache.direct */
    BLOCK_OPEN_NO_FLUSH = 4,
    BLOCK_OPEN_UNMAP = 8,
    BLOCK_OPEN_AUTO_RDONLY = 16,
    BLOCK_OPEN_FORCE_SHARE = 32,
    BLOCK_OPEN_PROBED = 64, /* the format was guessed: raw guards block 0 */
    BLOCK_OPEN_PROTOCOL = 128, /* no format layer: the file name goes to a protocol driver */
    BLOCK_OPEN_QUIET_PROBE = 256, /* no warning for a guessed raw image */
    BLOCK_OPEN_NO_BACKING = 512, /* leave the backing file closed */
    BLOCK_OPEN_CHECK = 1024, /* for a check or repair: a damaged image is no error */
    BLOCK_OPEN_INACTIVE = 2048, /* another process owns the image, see co_inactivate */
    BLOCK_OPEN_NO_IO = 4096, /* no content will be read: keys need not be there */
} BlockOpenFlags;

typedef struct BlockRequest BlockRequest;

struct BlockNode {
    const BlockDriver *drv;
    void *opaque;                       /* drv->instance_size bytes, zeroed at open */
    char node_name[32];
    char *filename;                     /* as shown in block info */
    char *exact_filename;               /* a plain name, or NULL when there is only a json: one */
    JsonValue *options;                 /* what it was opened with, children excluded */
    unsigned open_flags;
    bool read_only;
    bool monitor_owned;                 /* made by blockdev-add */
    bool implicit;                      /* a job's filter that the user gave no name */
    bool passthrough;                   /* reads and writes go 1:1 to @file: fast path */
    BlockdevDetectZeroesOptions detect_zeroes;
    EventLoop *loop;
    BlockLimits limits;
    int64_t total_bytes;
    unsigned refs;
    unsigned supported_write_flags, supported_zero_flags;
    BlockChild *children;               /* edges to below */
    BlockChild *parents;                /* edges from above */
    BlockChild *file, *backing;         /* the usual children, or NULL */
    /* What the image itself says; set by its driver's open, NULL: nothing. */
    char *backing_file, *backing_format;
    bool encrypted;
    bool inactive;                      /* another process owns the image */
    uint32_t serialise_reads;           /* reads overlap with nothing, in units of this; 0: they may */
    struct DirtyBitmap *dirty_bitmaps;
    uint64_t perm, shared_perm;         /* the sum over the parents, as last set */
    unsigned in_flight;                 /* atomics */
    unsigned quiesce;                   /* drain nesting; atomics */
    unsigned all_drains;                /* how many of them are block_drain_all_begin()'s */

    /* The node's loop only. */
    uint64_t write_gen, flushed_gen;
    BlockRequest *tracked;              /* coroutine requests in flight */
    uint64_t next_request;
    unsigned serialising;               /* how many of them serialise */
    unsigned fast_in_flight;            /* requests without coroutine */
    CoQueue fast_wait;                  /* serialising ones that wait for those */
    CoQueue flush_queue;
    bool flush_active;
    uint64_t write_threshold;           /* 0: none; atomics */
    uint64_t wr_highest_offset;         /* atomics */

    GSList *blockers;                   /* texts, of jobs that are at work here */

    BlockNode *next;                    /* list of all */
};

/* How a parent follows its child; a parent may be a node, a BlockBackend, a job. */
typedef struct BlockChildOps {
    void (*drained_begin)(BlockChild *c);
    bool (*drained_poll)(BlockChild *c);        /* true while requests are in flight */
    void (*drained_end)(BlockChild *c);
    void (*resized)(BlockChild *c);
    /* Would moving to @loop be fine? Then it happens by set_loop. */
    bool (*can_set_loop)(BlockChild *c, EventLoop *loop, Error **errp);
    void (*set_loop)(BlockChild *c, EventLoop *loop);
    /* For permission conflicts: "block device 'x'"; caller frees. */
    char *(*describe)(BlockChild *c);
    bool parent_is_node;                        /* then opaque is a BlockNode */
    bool stays;                                 /* block_replace_node() leaves such edges alone */
} BlockChildOps;

struct BlockChild {
    BlockNode *node;                    /* below */
    char *name;                         /* "file", "backing", "root" */
    const BlockChildOps *ops;
    unsigned role;
    void *opaque;                       /* above: BlockNode or what the ops know */
    uint64_t perm, shared_perm;
    bool quiesced_parent;
    BlockChild *next_child, *next_parent;
};

/* ---- open and close (main thread) ---- */

/* The driver for a plain or "prefix:..." file name, whether or not there is such a file. */
const BlockDriver *block_protocol_for(const char *filename, Error **errp);

/*
 * A node from file name and/or options (consumed; may be NULL; {"driver":..., ...} possibly nested
 * or dotted). One reference.
 */
BlockNode *block_open(const char *filename, JsonValue *options, unsigned flags, Error **errp);
/*
 * blockdev-add: options as BlockdevOptions JSON (dotted or nested, borrowed); node-name required;
 * the monitor owns the reference.
 */
BlockNode *block_node_add(const JsonValue *options, Error **errp);
bool block_node_del(const char *node_name, Error **errp);
void block_node_ref(BlockNode *bn);
void block_node_unref(BlockNode *bn);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BlockNode, block_node_unref)
BlockNode *block_node_find(const char *node_name);
/* By node name, or by device (BlockBackend) name; each may be NULL. */
BlockNode *block_lookup(const char *device, const char *node_name, Error **errp);
/* Newest first; @fn may not change the graph. */
void block_node_foreach(void (*fn)(BlockNode *bn, void *opaque), void *opaque);
/*
 * For drivers: open (or reference) the child @name of @bn from @options, whose
 * key @name is an object or a node name and is taken out; or from @filename.
 * NULL without error only when @allow_none and nothing was given.
 */
BlockChild *block_child_open(BlockNode *bn, const char *filename, JsonValue *options,
                             const char *name, unsigned role, bool allow_none, Error **errp);
BlockChild *block_child_attach(BlockNode *parent, BlockNode *child, const char *name, unsigned role,
                               Error **errp);
/* A root edge for a non-node parent; takes a reference to @bn. */
BlockChild *block_root_attach(BlockNode *bn, const char *name, const BlockChildOps *ops,
                              unsigned role, uint64_t perm, uint64_t shared, void *opaque,
                              Error **errp);
void block_child_detach(BlockChild *c);
bool block_child_set_perm(BlockChild *c, uint64_t perm, uint64_t shared, Error **errp);
/* Move the node and all that is connected with it; every other user must agree. */
bool block_node_set_loop(BlockNode *bn, EventLoop *loop, Error **errp);
/*
 * Write everything back and leave all images to another process (the end of an outgoing
 * migration), and take them again. A failed inactivation leaves all active, a failed
 * activation all inactive. Both do nothing when it is so already.
 */
bool block_inactivate_all(Error **errp);
bool block_activate_all(Error **errp);
/* All images are another process's, also those that are opened now. */
bool block_images_inactive(void);
/* An incoming migration is expected: before any image is opened. */
void block_images_start_inactive(void);
/*
 * A job that is at work on @bn keeps others from starting; @why ("block device is in use by ...")
 * stays the caller's.
 */
void block_node_block(BlockNode *bn, const char *why);
void block_node_unblock(BlockNode *bn, const char *why);
bool block_node_check_unblocked(BlockNode *bn, Error **errp);
/* The back end that has @bn, or a filter above it, as its medium; NULL: none. */
BlockBackend *block_node_backend(BlockNode *bn);
/* @bn without the filters that jobs put there: what users know as the medium. NULL is fine. */
BlockNode *block_skip_implicit(BlockNode *bn);
/* Re-read limits of @bn and of all above. */
void block_node_refresh_limits(BlockNode *bn);

/* ---- I/O ---- */

int coroutine_fn block_co_preadv(BlockChild *c, int64_t offset, int64_t bytes, IoVector *v,
                                 size_t v_offset, unsigned flags);
int coroutine_fn block_co_pwritev(BlockChild *c, int64_t offset, int64_t bytes, IoVector *v,
                                  size_t v_offset, unsigned flags);
int coroutine_fn block_co_pread(BlockChild *c, int64_t offset, int64_t bytes, void *buf,
                                unsigned flags);
int coroutine_fn block_co_pwrite(BlockChild *c, int64_t offset, int64_t bytes, const void *buf,
                                 unsigned flags);
int coroutine_fn block_co_pwrite_zeroes(BlockChild *c, int64_t offset, int64_t bytes,
                                        unsigned flags);
int coroutine_fn block_co_pdiscard(BlockChild *c, int64_t offset, int64_t bytes);
int coroutine_fn block_co_flush(BlockNode *bn);
/*
 * Copy without buffers, between two nodes of one loop; -ENOTSUP when that is not possible here and
 * nothing was copied.
 */
int coroutine_fn block_co_copy_range(BlockChild *src, int64_t src_offset, BlockChild *dst,
                                     int64_t dst_offset, int64_t bytes, unsigned read_flags,
                                     unsigned write_flags);
/* For drivers: go on at the child @src or @dst. */
int coroutine_fn block_co_copy_range_from(BlockChild *src, int64_t src_offset, BlockChild *dst,
                                          int64_t dst_offset, int64_t bytes, unsigned read_flags,
                                          unsigned write_flags);
int coroutine_fn block_co_copy_range_to(BlockChild *src, int64_t src_offset, BlockChild *dst,
                                        int64_t dst_offset, int64_t bytes, unsigned read_flags,
                                        unsigned write_flags);
int coroutine_fn block_co_truncate(BlockChild *c, int64_t size, bool exact, PreallocMode prealloc,
                                   unsigned flags, Error **errp);
/* For drivers: tell the child that a step is reached (blkdebug listens). */
static inline void coroutine_fn block_co_debug_event(BlockChild *c, BlkdebugEvent event)
{
    if (UNLIKELY(c->node->drv->co_debug_event != NULL)) {
        c->node->drv->co_debug_event(c->node, event);
    }
}
/* The same for the block layer's own steps, at @bn itself. */
static inline void coroutine_fn block_co_own_debug_event(BlockNode *bn, BlkdebugEvent event)
{
    if (UNLIKELY(bn->drv->co_debug_event != NULL)) {
        bn->drv->co_debug_event(bn, event);
    }
}
/* BlockStatus bits of the first *@pnum bytes, or -errno. */
int coroutine_fn block_co_block_status(BlockNode *bn, bool want_zero, int64_t offset, int64_t bytes,
                                       int64_t *pnum, int64_t *map, BlockNode **file);
/* The same for callers outside coroutines: run one and poll until it is done. */
int block_pread(BlockChild *c, int64_t offset, int64_t bytes, void *buf, unsigned flags);
int block_pwrite(BlockChild *c, int64_t offset, int64_t bytes, const void *buf, unsigned flags);
int block_flush(BlockNode *bn);
int block_block_status(BlockNode *bn, bool want_zero, int64_t offset, int64_t bytes, int64_t *pnum);
bool block_truncate(BlockChild *c, int64_t size, PreallocMode prealloc, Error **errp);
/* The same, but what cannot change its length may be longer. */
bool block_make_room(BlockChild *c, int64_t size, PreallocMode prealloc, Error **errp);
/*
 * Run @entry(@opaque) as a coroutine on @bn's loop and wait until it has ended. Not in a coroutine.
 */
void block_run_coroutine(BlockNode *bn, CoroutineEntry *entry, void *opaque);
int64_t block_length(BlockNode *bn);
int64_t block_allocated_size(BlockNode *bn);

/*
 * After block_drain_begin() no request is in flight in @bn and above, and
 * none starts until the matching end. Main thread, or the holder of the
 * machine lock; not in a coroutine.
 */
void block_drain_begin(BlockNode *bn);
void block_drain_end(BlockNode *bn);
void block_drain_all_begin(void);
void block_drain_all_end(void);
void block_drain_all(void);
bool block_flush_all(Error **errp);
/* Everything that the monitor and the command line opened goes away. */
void block_close_all(void);

/* Aligned for the node's O_DIRECT needs; free with block_buffer_free(). NULL when out of memory. */
void *block_buffer_alloc(BlockNode *bn, size_t len);
void block_buffer_free(void *buf);
/* Whether every piece of @v is aligned as the node wants. */
bool block_iov_aligned(const BlockNode *bn, const struct iovec *iov, unsigned count);

/* Raise BLOCK_WRITE_THRESHOLD once a write ends beyond @bytes; 0: never. */
void block_set_write_threshold(BlockNode *bn, uint64_t bytes);

/* ---- command line ---- */

/* -blockdev: keyval text or JSON. */
bool blockdev_option_add(const char *text, Error **errp);
/*
 * -drive. With if=virtio, *@device becomes the options of a device to add
 * ({"driver":"virtio-blk-pci",...}, caller unrefs), else NULL.
 */
bool drive_option_add(const char *text, JsonValue **device, Error **errp);
/* Its name and image go; a device that has it finds no medium any more. */
bool drive_del(const char *id, Error **errp);
/* The id of the flash drive with that number (-drive if=pflash), or NULL. */
const char *drive_find_pflash(unsigned unit);
/* Every flash drive has a flash that uses it; an error names one that has none. */
bool drive_check_pflash(Error **errp);

#endif
