/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opening files and host devices: options, kinds of file, O_DIRECT
 * alignment, and following the permissions (locks, and with auto-read-only
 * the access mode). Main thread.
 */
#include "util/osdep.h"
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include "file.h"
#include "block/options.h"
#include "trace-block-protocols.h"
#include "util/cutils.h"

static int open_flags_for(const BlockNode *bn, int mode)
{
    return mode | (bn->open_flags & BLOCK_OPEN_NOCACHE ? O_DIRECT : 0);
}

static bool take_options(BlockNode *bn, JsonValue *options, OnOffAuto *locking, Error **errp)
{
    FileState *s = bn->opaque;
    int lock = ON_OFF_AUTO_AUTO, aio = BLOCKDEV_AIO_OPTIONS_THREADS;

    if (!block_option_take_string(options, "filename", &s->filename, errp) ||
        !block_option_take_enum(options, "locking", &qapi_enum_OnOffAuto, &lock, errp) ||
        !block_option_take_enum(options, "aio", &qapi_enum_BlockdevAioOptions, &aio, errp) ||
        !block_option_take_size(options, "aio-max-batch", &s->aio_max_batch, NULL, errp)) {
        return false;
    }
    if (!s->filename) {
        error_setg(errp, "The 'file' block driver requires a file name");
        return false;
    }
    if (aio == BLOCKDEV_AIO_OPTIONS_NATIVE && !(bn->open_flags & BLOCK_OPEN_NOCACHE)) {
        error_setg(
            errp,
            "aio=native was specified, but it requires cache.direct=on, which was not specified.");
        return false;
    }
    s->aio = aio;
    *locking = lock;
    return true;
}

static bool check_kind(BlockNode *bn, Error **errp)
{
    FileState *s = bn->opaque;
    bool want_device = !strcmp(bn->drv->name, "host_device");
    struct stat st;

    if (fstat(s->fd, &st) < 0) {
        error_setg_errno(errp, errno, "Could not stat file");
        return false;
    }
    s->is_device = S_ISBLK(st.st_mode);
    s->is_char = S_ISCHR(st.st_mode);
    if (want_device && !s->is_device && !s->is_char) {
        error_setg(errp, "'%s' driver requires '%s' to be either a character or block device",
                   bn->drv->name, s->filename);
        return false;
    }
    if (!want_device && !S_ISREG(st.st_mode)) {
        error_setg(errp, "'%s' driver requires '%s' to be a regular file", bn->drv->name,
                   s->filename);
        return false;
    }
    return true;
}

static bool decide_locking(FileState *s, OnOffAuto locking, Error **errp)
{
    bool supported;

    if (locking == ON_OFF_AUTO_OFF) {
        return true;
    }
    supported = file_lock_supported(s->fd);
    if (!supported && locking == ON_OFF_AUTO_ON) {
        error_setg(
            errp,
            "File locking requested but the kernel has no open file description locks for '%s'",
            s->filename);
        return false;
    }
    s->use_lock = supported;
    return true;
}

bool file_open(BlockNode *bn, JsonValue *options, Error **errp)
{
    FileState *s = bn->opaque;
    OnOffAuto locking;

    s->fd = s->new_fd = -1;
    if (!take_options(bn, options, &locking, errp)) {
        goto undo_options;
    }
    /* With auto-read-only, writing begins when somebody wants to write. */
    s->open_mode = bn->read_only || (bn->open_flags & BLOCK_OPEN_AUTO_RDONLY) ? O_RDONLY : O_RDWR;
    s->fd = open_cloexec(s->filename, open_flags_for(bn, s->open_mode));
    if (s->fd < 0) {
        int err = errno;

        error_setg_errno(errp, err, "Could not open '%s'", s->filename);
        if (err == EINVAL && (bn->open_flags & BLOCK_OPEN_NOCACHE)) {
            error_append_hint(errp,
                              "The file system may not support O_DIRECT (cache.direct=on).\n");
        }
        goto undo_options;
    }
    if (!check_kind(bn, errp) || !decide_locking(s, locking, errp)) {
        goto undo_fd;
    }
    /* Find out now whether the kernel has what was asked for. */
    if (s->aio != BLOCKDEV_AIO_OPTIONS_THREADS) {
        s->engine = engine_get(s->aio, errp);
        if (!s->engine) {
            goto undo_fd;
        }
    }
    bn->supported_zero_flags = BLOCK_REQ_MAY_UNMAP | BLOCK_REQ_NO_FALLBACK;
    bn->exact_filename = g_strdup(s->filename);
    return true;

undo_fd:
    close(s->fd);
undo_options:
    g_free(s->filename);
    return false;
}

void file_close(BlockNode *bn)
{
    FileState *s = bn->opaque;

    if (s->engine) {
        engine_put(s->engine);
    }
    close(s->fd);
    g_free(s->filename);
}

/* ---- following the permissions ---- */

/* Under the same number: requests in flight go on with either, and the old locks go. */
static void take_new_fd(FileState *s)
{
    if (dup3(s->new_fd, s->fd, O_CLOEXEC) < 0) {
        abort();
    }
    close(s->new_fd);
    s->new_fd = -1;
    s->open_mode = s->new_mode;
}

static void drop_new_fd(FileState *s)
{
    if (s->new_fd >= 0 && !s->reopening) {
        close(s->new_fd);
        s->new_fd = -1;
    }
}

bool file_check_perm(BlockNode *bn, uint64_t perm, uint64_t shared, Error **errp)
{
    FileState *s = bn->opaque;
    bool writes = perm & (BLOCK_PERM_WRITE | BLOCK_PERM_WRITE_UNCHANGED | BLOCK_PERM_RESIZE);

    if (!s->reopening) {
        s->new_mode = writes ? O_RDWR : O_RDONLY;
    }
    if ((bn->open_flags & BLOCK_OPEN_AUTO_RDONLY) && s->new_fd < 0 && s->new_mode != s->open_mode) {
        trace_file_reopen(s->filename, writes);
        s->new_fd = open_cloexec(s->filename, open_flags_for(bn, s->new_mode));
        if (s->new_fd < 0 && writes) {
            error_setg_errno(errp, errno, "Could not open '%s'", s->filename);
            return false;
        }
    }
    if (s->use_lock && !file_lock_acquire(s, s->fd, perm, ~shared & BLOCK_PERM_ALL, errp)) {
        goto undo_fd;
    }
    /*
     * The locks go with the open file, so the new one needs its own before the old one is closed.
     */
    if (s->use_lock && s->new_fd >= 0 &&
        !file_lock_acquire(s, s->new_fd, perm, ~shared & BLOCK_PERM_ALL, errp)) {
        goto undo_locks;
    }
    return true;

undo_locks:
    file_lock_reduce(s, bn->perm, ~bn->shared_perm & BLOCK_PERM_ALL);
undo_fd:
    drop_new_fd(s);
    return false;
}

void file_set_perm(BlockNode *bn, uint64_t perm, uint64_t shared)
{
    FileState *s = bn->opaque;

    if (s->new_fd >= 0) {
        take_new_fd(s);
        s->locked_perm = perm;
        s->locked_unshared = ~shared & BLOCK_PERM_ALL;
    } else if (s->use_lock) {
        file_lock_reduce(s, perm, ~shared & BLOCK_PERM_ALL);
    }
}

void file_abort_perm(BlockNode *bn)
{
    FileState *s = bn->opaque;

    drop_new_fd(s);
    if (s->use_lock) {
        file_lock_reduce(s, bn->perm, ~bn->shared_perm & BLOCK_PERM_ALL);
    }
}

/* ---- reopen ---- */

bool file_reopen_prepare(BlockNode *bn, BlockReopen *r, Error **errp)
{
    FileState *s = bn->opaque;
    bool writes = bn->perm & (BLOCK_PERM_WRITE | BLOCK_PERM_WRITE_UNCHANGED | BLOCK_PERM_RESIZE);
    bool direct = r->flags & BLOCK_OPEN_NOCACHE;

    s->new_mode = !(r->flags & BLOCK_OPEN_RDWR) || ((r->flags & BLOCK_OPEN_AUTO_RDONLY) && !writes) ?
                  O_RDONLY : O_RDWR;
    if (s->aio == BLOCKDEV_AIO_OPTIONS_NATIVE && !direct) {
        error_setg(errp, "aio=native was specified, but it requires cache.direct=on, which was not "
                         "specified.");
        return false;
    }
    if (s->new_mode == s->open_mode && direct == !!(bn->open_flags & BLOCK_OPEN_NOCACHE)) {
        return true;
    }
    s->new_fd = open_cloexec(s->filename, s->new_mode | (direct ? O_DIRECT : 0));
    if (s->new_fd < 0) {
        error_setg_errno(errp, errno, "Could not open '%s'", s->filename);
        return false;
    }
    s->reopening = true;
    return true;
}

void file_reopen_commit(BlockNode *bn, BlockReopen *r)
{
    FileState *s = bn->opaque;

    s->reopening = false;
    /* A change of permissions on the way may have done it. */
    if (s->new_fd >= 0) {
        /* Not earlier: our own locks on two descriptors look like those of two processes. */
        if (s->use_lock) {
            file_lock_acquire(s, s->new_fd, bn->perm, ~bn->shared_perm & BLOCK_PERM_ALL, NULL);
        }
        take_new_fd(s);
    }
}

void file_reopen_abort(BlockNode *bn, BlockReopen *r)
{
    FileState *s = bn->opaque;

    s->reopening = false;
    drop_new_fd(s);
}

/* ---- sizes and limits ---- */

int64_t file_length(BlockNode *bn)
{
    FileState *s = bn->opaque;
    struct stat st;
    uint64_t bytes;

    if (s->is_device) {
        return ioctl(s->fd, BLKGETSIZE64, &bytes) < 0 ? -errno : (int64_t)MIN(bytes, INT64_MAX);
    }
    if (fstat(s->fd, &st) < 0) {
        return -errno;
    }
    return st.st_size;
}

int64_t file_allocated_size(BlockNode *bn)
{
    FileState *s = bn->opaque;
    struct stat st;

    if (fstat(s->fd, &st) < 0) {
        return -errno;
    }
    return (int64_t)st.st_blocks * 512;
}

#ifdef STATX_DIOALIGN
static bool direct_align_from_statx(int fd, uint32_t *offset_align, size_t *mem_align)
{
    struct statx stx;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) < 0 ||
        !(stx.stx_mask & STATX_DIOALIGN) || !stx.stx_dio_offset_align) {
        return false;
    }
    *offset_align = stx.stx_dio_offset_align;
    *mem_align = stx.stx_dio_mem_align;
    return true;
}
#endif

/* Try what the kernel takes: the smallest read that does not fail with EINVAL. */
static void direct_align_by_reading(int fd, uint32_t *offset_align, size_t *mem_align)
{
    uint32_t align;
    void *buf;

    *offset_align = 4096;
    if (posix_memalign(&buf, 4096, 4096)) {
        return;
    }
    /* Where anything goes (tmpfs), the caution of 4096 costs nothing, and Debian's tools have it. */
    for (align = pread(fd, buf, 1, 0) >= 0 ? 4096 : 512; align < 4096; align *= 2) {
        if (pread(fd, buf, align, 0) >= 0 || errno != EINVAL) {
            *offset_align = align;
            break;
        }
    }
    free(buf);
    *mem_align = *offset_align;
}

void file_refresh_limits(BlockNode *bn)
{
    FileState *s = bn->opaque;
    BlockLimits *l = &bn->limits;
    int sector;

    l->max_iov = IOV_MAX;
    /* The kernel moves at most this much at once (MAX_RW_COUNT, rounded). */
    l->max_transfer = 1U << 30;
    l->min_mem_alignment = 1;
    l->request_alignment = 1;
    if (s->is_char || !(bn->open_flags & BLOCK_OPEN_NOCACHE)) {
        return;
    }
    l->request_alignment = 512;
    l->min_mem_alignment = 512;
#ifdef STATX_DIOALIGN
    if (direct_align_from_statx(s->fd, &l->request_alignment, &l->min_mem_alignment)) {
        return;
    }
#endif
    if (s->is_device && ioctl(s->fd, BLKSSZGET, &sector) == 0 && sector > 0 &&
        IS_POWER_OF_2(sector)) {
        l->request_alignment = l->min_mem_alignment = sector;
        return;
    }
    direct_align_by_reading(s->fd, &l->request_alignment, &l->min_mem_alignment);
}
