/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all disk devices have in common: the properties that describe the disk
 * to the guest, and the error policy. Main thread with the machine lock, except
 * where said.
 */
#ifndef HW_BLOCK_BLOCK_H
#define HW_BLOCK_BLOCK_H

#include "block/block-backend.h"
#include "hw/core/device.h"

typedef struct BlockConf {
    BlockBackend *blk;
    uint64_t physical_block_size, logical_block_size;   /* 0: default */
    uint64_t min_io_size, opt_io_size;
    uint64_t discard_granularity;       /* UINT32_MAX: the device decides */
    int32_t bootindex;
    uint32_t cyls, heads, secs;         /* 0: made up from the size */
    int write_cache;                    /* OnOffAuto */
    bool share_rw;
    int rerror, werror;                 /* BlockdevOnError */
} BlockConf;

#define BLOCK_CONF_PROPERTIES(st, f)                                                               \
    PROP_DRIVE("drive", st, f.blk, "Node name or ID of a block device to use as a backend"),       \
        PROP_SIZE("logical_block_size", st, f.logical_block_size, 0,                               \
                  "A power of two between 512 B and 2 MiB"),                                       \
        PROP_SIZE("physical_block_size", st, f.physical_block_size, 0,                             \
                  "A power of two between 512 B and 2 MiB"),                                       \
        PROP_SIZE("min_io_size", st, f.min_io_size, 0, "smallest efficient request"),              \
        PROP_SIZE("opt_io_size", st, f.opt_io_size, 0, "best request size"),                       \
        PROP_SIZE("discard_granularity", st, f.discard_granularity, UINT32_MAX,                    \
                  "unit of discards"),                                                             \
        PROP_INT32("bootindex", st, f.bootindex, -1, "place in the firmware's boot order"),        \
        PROP_UINT32("cyls", st, f.cyls, 0, "cylinders"),                                           \
        PROP_UINT32("heads", st, f.heads, 0, "heads"),                                             \
        PROP_UINT32("secs", st, f.secs, 0, "sectors a track"),                                     \
        PROP_ON_OFF_AUTO("write-cache", st, f.write_cache, ON_OFF_AUTO_AUTO,                       \
                         "whether the disk has a volatile cache"),                                 \
        PROP_BOOL("share-rw", st, f.share_rw, false, "others may write to the disk too"),          \
        PROP_ENUM("rerror", st, f.rerror, &qapi_enum_BlockdevOnError, BLOCKDEV_ON_ERROR_AUTO,      \
                  "Error handling policy, report/ignore/enospc/stop/auto"),                        \
        PROP_ENUM("werror", st, f.werror, &qapi_enum_BlockdevOnError, BLOCKDEV_ON_ERROR_AUTO,      \
                  "Error handling policy, report/ignore/enospc/stop/auto")

/*
 * Check and complete @conf and take hold of the back end for @dev (the object
 * that query-block names): read-only when the medium is. block_conf_release()
 * is the inverse.
 */
bool block_conf_acquire(BlockConf *conf, Object *dev, const BlockDevOps *ops, void *opaque,
                        Error **errp);
void block_conf_release(BlockConf *conf);
/* Fill in cyls, heads and secs, or check those given. */
bool block_conf_geometry(BlockConf *conf, Error **errp);
/*
 * Decide about a failed request (@error is a positive errno), tell management, stop the VM if so.
 * The loop's thread.
 */
BlockErrorAction block_conf_error(BlockConf *conf, bool is_read, int error);

#endif
