/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Creating files for images. An existing file is emptied, but only when no
 * other process relies on it (image locks). The work runs on the thread pool.
 */
#include "util/osdep.h"
#include <linux/fs.h>
#include <sys/ioctl.h>
#include "file.h"
#include "block/options.h"
#include "util/thread.h"

/* Fewer extents for images that grow by small writes; file systems without hints ignore it. */
#define DEFAULT_EXTENT_SIZE_HINT (1 * MIB)

typedef struct CreateJob {
    const char *filename;
    int64_t size;
    PreallocMode prealloc;
    bool nocow;
    uint64_t extent_size_hint;
    bool hint_given;
    Error **errp;
} CreateJob;

const BlockImageOption file_create_options[] = {
    { "size", BLOCK_IMAGE_OPT_SIZE, "Virtual disk size" },
    { "nocow", BLOCK_IMAGE_OPT_BOOL, "Turn off copy-on-write (valid only on btrfs)" },
    { "preallocation", BLOCK_IMAGE_OPT_STRING,
      "Preallocation mode (allowed values: off, falloc, full)" },
    { "extent_size_hint", BLOCK_IMAGE_OPT_SIZE, "Extent size hint for the image file, 0 to disable" },
    { NULL },
};

static int set_nocow(int fd)
{
    int flags;

    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0) {
        return -errno;
    }
    flags |= FS_NOCOW_FL;
    return ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0 ? -errno : 0;
}

static int set_extent_size_hint(int fd, uint32_t hint)
{
    struct fsxattr attr;

    if (ioctl(fd, FS_IOC_FSGETXATTR, &attr) < 0) {
        return -errno;
    }
    attr.fsx_xflags |= FS_XFLAG_EXTSIZE;
    attr.fsx_extsize = hint;
    return ioctl(fd, FS_IOC_FSSETXATTR, &attr) < 0 ? -errno : 0;
}

static int fill(int fd, const CreateJob *j)
{
    int ret = 0;

    switch (j->prealloc) {
    case PREALLOC_MODE_FALLOC:
        if (j->size > 0) {
            ret = file_fallocate(fd, 0, 0, j->size);
        }
        if (ret < 0) {
            error_setg_errno(j->errp, -ret, "Could not preallocate data for the new file");
        }
        break;
    case PREALLOC_MODE_FULL:
        ret = file_write_zeroes(fd, 0, j->size);
        if (ret == 0 && fsync(fd) < 0) {
            ret = -errno;
        }
        if (ret < 0) {
            error_setg_errno(j->errp, -ret, "Could not write zeros for preallocation");
        }
        break;
    default:
        ret = ftruncate(fd, j->size) < 0 ? -errno : file_allocate_start(fd, j->size);
        if (ret < 0) {
            error_setg_errno(j->errp, -ret, "Could not resize file");
        }
        break;
    }
    return ret;
}

static int set_attributes(int fd, const CreateJob *j)
{
    /* Both are advice, and most file systems take neither; a hint that was asked for is missed aloud. */
    if (j->nocow) {
        set_nocow(fd);
    }
    if (j->extent_size_hint) {
        int ret = set_extent_size_hint(fd, j->extent_size_hint);

        if (ret < 0 && j->hint_given) {
            warn_report("Failed to set extent size hint: %s", strerror(-ret));
        }
    }
    return 0;
}

static int do_create(void *arg)
{
    CreateJob *j = arg;
    FileState lock = { .filename = (char *)j->filename };
    int ret;

    lock.fd = open(j->filename, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (lock.fd < 0) {
        ret = -errno;
        error_setg_errno(j->errp, -ret, "Could not create '%s'", j->filename);
        return ret;
    }
    /* Nobody may count on the content, nor on the size. */
    if (file_lock_supported(lock.fd) &&
        !file_lock_acquire(&lock, lock.fd, BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE, BLOCK_PERM_RESIZE,
                           j->errp)) {
        ret = -EBUSY;
        goto out;
    }
    if (ftruncate(lock.fd, 0) < 0) {
        ret = -errno;
        error_setg_errno(j->errp, -ret, "Could not clear file '%s'", j->filename);
        goto out;
    }
    set_attributes(lock.fd, j);
    ret = fill(lock.fd, j);
out:
    close(lock.fd);
    return ret;
}

static int coroutine_fn create(CreateJob *j, Error **errp)
{
    if (j->size < 0) {
        error_setg(errp, "Image size is too large");
        return -EFBIG;
    }
    if (j->prealloc == PREALLOC_MODE_METADATA) {
        error_setg(errp, "Unsupported preallocation mode: %s", PreallocMode_str(j->prealloc));
        return -EINVAL;
    }
    if (j->extent_size_hint > UINT32_MAX) {
        error_setg(errp, "Extent size hint is too large");
        return -EINVAL;
    }
    j->errp = errp;
    return thread_pool_co_run(do_create, j);
}

int coroutine_fn file_co_create(const BlockdevCreateOptions *options, Error **errp)
{
    const BlockdevCreateOptionsFile *o = &options->u.file;
    CreateJob j = {
        .filename = o->filename,
        .size = o->size > INT64_MAX ? -1 : (int64_t)o->size,
        .prealloc = o->has_preallocation ? o->preallocation : PREALLOC_MODE_OFF,
        .nocow = o->has_nocow && o->nocow,
        .extent_size_hint = o->has_extent_size_hint ? o->extent_size_hint : DEFAULT_EXTENT_SIZE_HINT,
        .hint_given = o->has_extent_size_hint,
    };

    return create(&j, errp);
}

int coroutine_fn file_co_create_opts(const BlockDriver *drv, const char *filename,
                                     JsonValue *options, Error **errp)
{
    CreateJob j = {
        .extent_size_hint = DEFAULT_EXTENT_SIZE_HINT, .hint_given = json_object_has(options, "extent_size_hint"),
    };
    g_autofree char *prealloc = NULL;
    uint64_t size = 0;

    if (!block_option_take_size(options, "size", &size, NULL, errp) ||
        !block_option_take_string(options, "preallocation", &prealloc, errp) ||
        !block_option_take_bool(options, "nocow", &j.nocow, errp) ||
        !block_option_take_size(options, "extent_size_hint", &j.extent_size_hint, NULL, errp)) {
        return -EINVAL;
    }
    j.filename = g_str_has_prefix(filename, "file:") ? filename + strlen("file:") : filename;
    j.size = size > (uint64_t)INT64_MAX - 511 ? -1 : (int64_t)ROUND_UP(size, 512);
    if (prealloc) {
        int mode = qapi_enum_parse(&qapi_enum_PreallocMode, prealloc, "preallocation", NULL);

        if (mode < 0) {
            error_setg(errp, "invalid parameter value: %s", prealloc);
            return -EINVAL;
        }
        j.prealloc = mode;
    }
    return create(&j, errp);
}
