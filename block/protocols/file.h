/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of the file and host_device drivers. */
#ifndef BLOCK_PROTOCOLS_FILE_H
#define BLOCK_PROTOCOLS_FILE_H

#include "block/block.h"
#include "block/image.h"
#include "../engines/engine.h"

typedef struct FileState {
    int fd;
    char *filename;
    bool is_device;             /* block device */
    bool is_char;
    int open_mode;              /* O_RDONLY or O_RDWR, as @fd is now */
    BlockdevAioOptions aio;
    uint64_t aio_max_batch;
    Engine *engine;             /* made on first use on the node's loop */

    /* file-lock.c */
    bool use_lock;
    uint64_t locked_perm, locked_unshared;      /* byte sets held on @fd */

    /* A prepared change of permissions. */
    int new_fd;                 /* -1: @fd stays */
    int new_mode;
    bool reopening;             /* between prepare and commit or abort of a reopen */

    bool no_discard, no_zero_range, no_punch_hole;
    bool flush_failed;
    uint64_t discard_ok, discard_failed, discard_bytes;
} FileState;

/* ---- file-open.c ---- */

bool file_open(BlockNode *bn, JsonValue *options, Error **errp);
void file_close(BlockNode *bn);
bool file_check_perm(BlockNode *bn, uint64_t perm, uint64_t shared, Error **errp);
void file_set_perm(BlockNode *bn, uint64_t perm, uint64_t shared);
void file_abort_perm(BlockNode *bn);
void file_refresh_limits(BlockNode *bn);
/* -errno when it cannot be told. */
int64_t file_length(BlockNode *bn);
int64_t file_allocated_size(BlockNode *bn);

bool file_reopen_prepare(BlockNode *bn, BlockReopen *reopen, Error **errp);
void file_reopen_commit(BlockNode *bn, BlockReopen *reopen);
void file_reopen_abort(BlockNode *bn, BlockReopen *reopen);

/* ---- file.c ---- */

/* 0 or -errno; -ENOTSUP where the file system cannot. Blocks. */
int file_fallocate(int fd, int mode, int64_t offset, int64_t bytes);
int file_write_zeroes(int fd, int64_t offset, int64_t bytes);
/*
 * A file that grew from nothing gets its first block: on a hole some file systems take any O_DIRECT
 * request, and the alignment that data needs could not be found out.
 */
int file_allocate_start(int fd, int64_t size);

/* ---- file-create.c ---- */

extern const BlockImageOption file_create_options[];
int coroutine_fn file_co_create(const BlockdevCreateOptions *options, Error **errp);
int coroutine_fn file_co_create_opts(const BlockDriver *drv, const char *filename,
                                     JsonValue *options, Error **errp);

/* ---- file-lock.c: image locks, docs/devel/block.md ---- */

/* Whether the kernel has open file description locks. */
bool file_lock_supported(int fd);
/*
 * Hold on @fd the locks for what we do (@perm) and for what others must not do
 * (@unshared), in addition to those held; fails when another process is in the way.
 */
bool file_lock_acquire(FileState *s, int fd, uint64_t perm, uint64_t unshared, Error **errp);
/* Hold exactly these (which are held), and let go of all others. */
void file_lock_reduce(FileState *s, uint64_t perm, uint64_t unshared);

#endif
