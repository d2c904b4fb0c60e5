/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What tools and jobs do to images beyond reading and writing: create, amend,
 * check, measure, describe, internal snapshots, walking backing chains. Formats
 * offer it through hooks of BlockDriver (block.h); this is how users call it.
 *
 * Functions marked coroutine_fn run on the node's loop; all others on the main
 * thread, outside coroutines. Lengths and offsets are bytes.
 */
#ifndef BLOCK_IMAGE_H
#define BLOCK_IMAGE_H

#include "block/block.h"

/* ---- options of create and amend, as data ---- */

typedef enum BlockImageOptionType {
    BLOCK_IMAGE_OPT_STRING, BLOCK_IMAGE_OPT_SIZE, BLOCK_IMAGE_OPT_NUMBER, BLOCK_IMAGE_OPT_BOOL,
} BlockImageOptionType;

/* A table of these ends with a NULL name; its order is that of the "Formatting" line. */
struct BlockImageOption {
    const char *name;               /* as in "-o name=", e.g. "encrypt.key-secret" */
    BlockImageOptionType type;
    const char *help;
    const char *def;                /* the default that the "Formatting" line shows; NULL: none */
};

/*
 * "-o" text (may be given several times) into @options: "a=1,b", later ones win. False: no list of
 * options; nothing is looked up yet.
 */
bool block_image_options_parse(JsonValue *options, const char *text, Error **errp);
/* Whether "-o" text asks for help. */
bool block_image_options_want_help(const char *text);
/*
 * The list for "-o help", with the protocol's options when @filename is given. Caller frees. NULL
 * with an error when @filename's protocol is unknown.
 */
char *block_image_options_help(const BlockDriver *drv, const char *filename, Error **errp);
char *block_image_amend_help(const BlockDriver *drv, Error **errp);
/* Names and values against a table; sizes and numbers become JSON numbers. */
bool block_image_options_check(const BlockImageOption *table, const BlockImageOption *more,
                               JsonValue *options, Error **errp);

/* ---- creation ---- */

/* What "qemu-img create" takes. */
typedef struct BlockImageCreate {
    const char *format, *filename;
    const char *backing, *backing_format;   /* NULL: as in @options */
    JsonValue *options;                     /* "-o", borrowed; may be NULL */
    bool has_size;
    uint64_t size;
    bool unsafe;                            /* do not look at the backing file */
    bool quiet;                             /* no "Formatting" line on stdout */
} BlockImageCreate;
bool block_image_create_checked(const BlockImageCreate *c, Error **errp);

/*
 * qemu-img create and convert: @filename (plain or "protocol:") as a new image of @format with
 * options @options ({"size": "1G", "cluster_size": ..., "encrypt.format": ...}, flat names as in
 * the driver's table, keyval strings; borrowed). The protocol's part of the options goes to the
 * protocol.
 */
bool block_image_create(const char *format, const char *filename, JsonValue *options, Error **errp);
/*
 * A new image of the size of @source. With @backing (may be NULL) it names that as its backing
 * file, by its full name. @format NULL: the source's.
 */
bool block_image_create_like(const char *format, const char *filename, BlockNode *source,
                             BlockNode *backing, Error **errp);
/*
 * Helper for format drivers' co_create_opts: creates @filename with the protocol's driver and
 * options (which it takes out of @options) and opens it as protocol node, read-write. Formats take
 * their own options out first; without "size" the file begins empty.
 */
BlockNode *coroutine_fn block_co_create_file(const char *filename, JsonValue *options,
                                             Error **errp);
/* The two steps of it: only create; only open. The latter also fits other files of an image. */
int coroutine_fn block_co_create_protocol(const char *filename, JsonValue *options, Error **errp);
BlockNode *coroutine_fn block_co_open_file(const char *filename, Error **errp);
/* The node that a creation command names or describes, with a reference. */
BlockNode *coroutine_fn block_co_open_ref(const BlockdevRef *ref, Error **errp);
/* blockdev-create, without the job. */
int coroutine_fn block_co_create(const BlockdevCreateOptions *options, Error **errp);

/* ---- amend, check, measure ---- */

struct BlockCheckResult {
    uint64_t corruptions, leaks, check_errors, corruptions_fixed, leaks_fixed;
    uint64_t image_end_offset;
    uint64_t total_clusters, allocated_clusters, fragmented_clusters, compressed_clusters;
};

enum { BLOCK_FIX_LEAKS = 1, BLOCK_FIX_ERRORS = 2 };

/* 0, -errno; -ENOTSUP: the format has no check. Findings go to stderr, a line each. */
int block_check(BlockNode *bn, BlockCheckResult *result, unsigned fix);
bool block_amend(BlockNode *bn, JsonValue *options, BlockProgress *progress, void *opaque,
                 bool force, Error **errp);
/* Space that an image of @drv with @options needs for the content of @in (may be NULL: "size"). */
BlockMeasureInfo *block_measure(const BlockDriver *drv, JsonValue *options, BlockNode *in,
                                Error **errp);

/* ---- description ---- */

struct BlockImageInfo {
    uint32_t cluster_size;          /* 0: none */
    uint32_t subcluster_size;       /* 0: cluster_size */
    int64_t vm_state_offset;
    bool is_dirty;
    bool unallocated_is_zero;       /* without a backing file */
};

/* -ENOTSUP: nothing to say. */
int block_image_info(BlockNode *bn, BlockImageInfo *info);
/* Everything for query-named-block-nodes and "qemu-img info"; backing chain when @chain. */
ImageInfo *block_query_image(BlockNode *bn, bool chain, Error **errp);

/* ---- backing chains ---- */

/* The node whose content shows where @bn has none of its own; filters are skipped. NULL: none. */
BlockNode *block_backing(BlockNode *bn);
/* @bn itself, or the first node below it that is no filter. */
BlockNode *block_skip_filters(BlockNode *bn);
bool block_chain_contains(BlockNode *top, BlockNode *base);
/* Is @bn at or below @top, by any children? */
bool block_reaches(BlockNode *top, BlockNode *bn);
/*
 * The name of a backing file @backing as the image @image means it: absolute or protocol names
 * stay, others are relative to the folder of the image. Caller frees.
 */
char *block_backing_path(const char *image, const char *backing, Error **errp);
/*
 * Replace (or with NULL remove) the backing node; the image on disk keeps what it says. Drains.
 */
bool block_set_backing(BlockNode *bn, BlockNode *backing, Error **errp);
/* Open what the image says its backing file is, if it was left closed. */
bool block_open_backing(BlockNode *bn, Error **errp);
/*
 * Rewrite what the image on disk says; @backing NULL: none. @require_format: without a format (which
 * would have to be guessed at each open) it is -EINVAL.
 */
int block_change_backing_file(BlockNode *bn, const char *backing, const char *backing_format,
                              bool require_format);
/* Move every user of @from (but not @to itself, nor what is below it) to @to. Drains. */
bool block_replace_node(BlockNode *from, BlockNode *to, Error **errp);
/*
 * Where the content of a range comes from: the status of the first layer of @top down to but not
 * including @base (NULL: the whole chain) that has it allocated. *@depth (may be NULL): how many
 * layers down, 0 is @top.
 */
int coroutine_fn block_co_status_above(BlockNode *top, BlockNode *base, bool want_zero,
                                       int64_t offset, int64_t bytes, int64_t *pnum, int64_t *map,
                                       BlockNode **file, int *depth);
/* 1, 0 or -errno: is it allocated in a layer from @top to @base (included when @include_base)? */
int coroutine_fn block_co_is_allocated_above(BlockNode *top, BlockNode *base, bool include_base,
                                             int64_t offset, int64_t bytes, int64_t *pnum);

/* ---- internal snapshots ---- */

struct BlockSnapshot {
    char id[128];
    char name[256];
    uint64_t vm_state_size;
    uint32_t date_sec, date_nsec;
    uint64_t vm_clock_nsec;
    uint64_t icount;                /* UINT64_MAX: not recorded */
    uint64_t disk_size;             /* when the snapshot was taken */
};

/* Number of snapshots, *@list g_malloc'ed; or -errno. */
int block_snapshot_list(BlockNode *bn, BlockSnapshot **list);
/* Each of @id and @name may be NULL. 1: found, 0: there is none, or -errno. */
int block_snapshot_find(BlockNode *bn, const char *id, const char *name, BlockSnapshot *found);
/* A line of a list of snapshots, with @id in place of its own; NULL: the line with the names of the columns. Caller frees. */
char *block_snapshot_line(const SnapshotInfo *s, const char *id);
bool block_snapshot_create(BlockNode *bn, BlockSnapshot *snapshot, Error **errp);
bool block_snapshot_goto(BlockNode *bn, const char *id_or_name, Error **errp);
/* Each of @id and @name may be NULL. */
bool block_snapshot_delete(BlockNode *bn, const char *id, const char *name, Error **errp);
/* Read-only node: show the content of the snapshot. */
bool block_snapshot_load_tmp(BlockNode *bn, const char *id_or_name, Error **errp);
/* VM state of the current image, beside the disk content. */
int coroutine_fn block_co_vmstate_read(BlockNode *bn, IoVector *v, int64_t pos);
int coroutine_fn block_co_vmstate_write(BlockNode *bn, IoVector *v, int64_t pos);

/* ---- reopen ---- */

/*
 * Change options of open nodes: @options are the driver's own and the children's names. All of @list
 * or none.
 */
struct BlockReopen {
    BlockNode *bn;
    JsonValue *options;
    unsigned flags;
    bool complete;                  /* @options are all that the node has: what is absent, is reset */
    int detect_zeroes;              /* when complete */
    void *driver_state;             /* between the driver's prepare and commit or abort */
};
bool block_reopen(BlockReopen *list, size_t count, Error **errp);
/* Only the read-only state. */
bool block_reopen_set_read_only(BlockNode *bn, bool read_only, Error **errp);

#endif
