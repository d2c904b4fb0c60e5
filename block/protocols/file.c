/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Drivers "file" and "host_device": the data path. Reads and writes go to an
 * engine (block/engines); what may block in the kernel otherwise (flush,
 * fallocate, discard, truncation) to the loop's thread pool. On the node's
 * loop. What the host file system says is trusted, what is in the file is not.
 */
#include "util/osdep.h"
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include "file.h"
#include "trace-block-protocols.h"
#include "util/thread.h"

static Engine *file_engine(FileState *s)
{
    Error *err = NULL;

    if (UNLIKELY(!s->engine)) {
        s->engine = engine_get(s->aio, &err);
        if (!s->engine) {
            /*
             * On the loop that it began with there was one; the limits of the host may have changed
             * since.
             */
            warn_report("%s: %s; using threads", s->filename, error_message(err));
            error_free(err);
            s->aio = BLOCKDEV_AIO_OPTIONS_THREADS;
            s->engine = engine_get(s->aio, NULL);
        }
    }
    s->engine->max_batch = s->aio_max_batch;
    return s->engine;
}

static void file_plug(BlockNode *bn)
{
    engine_plug(file_engine(bn->opaque));
}

static void file_unplug(BlockNode *bn)
{
    FileState *s = bn->opaque;

    engine_unplug(s->engine);
}

static void file_detach_loop(BlockNode *bn)
{
    FileState *s = bn->opaque;

    if (s->engine) {
        engine_put(s->engine);
        s->engine = NULL;
    }
}

/* ---- reads and writes ---- */

typedef struct FastRequest {
    EngineRequest req;
    BlockSubmit *submit;
} FastRequest;

_Static_assert(sizeof(FastRequest) <= sizeof(((BlockSubmit *)0)->driver),
               "BlockSubmit.driver is too small");

static void fast_done(EngineRequest *req, int ret)
{
    FastRequest *f = container_of(req, FastRequest, req);

    block_fast_complete(f->submit, ret);
}

static bool file_submit(BlockNode *bn, BlockSubmit *s)
{
    FileState *f = bn->opaque;
    FastRequest *r = (FastRequest *)s->driver;

    if (!block_iov_aligned(bn, s->iov, s->iov_count)) {
        return false;
    }
    trace_file_transfer(f->fd, s->is_write, s->offset, s->bytes);
    r->submit = s;
    r->req.fd = f->fd;
    r->req.is_write = s->is_write;
    r->req.iov = s->iov;
    r->req.iov_count = s->iov_count;
    r->req.offset = s->offset;
    r->req.bytes = s->bytes;
    r->req.done = fast_done;
    engine_submit(file_engine(f), &r->req);
    return true;
}

typedef struct CoRequest {
    EngineRequest req;
    Coroutine *co;
    bool done, yielded;
    int ret;
} CoRequest;

static void co_done(EngineRequest *req, int ret)
{
    CoRequest *c = container_of(req, CoRequest, req);

    c->ret = ret;
    c->done = true;
    if (c->yielded) {
        coroutine_wake(c->co);
    }
}

static int coroutine_fn transfer(BlockNode *bn, int64_t offset, int64_t bytes,
                                 const struct iovec *iov, unsigned iov_count, bool is_write)
{
    FileState *s = bn->opaque;
    CoRequest c = {
        .req = {
            .fd = s->fd, .is_write = is_write, .iov = iov, .iov_count = iov_count,
            .offset = offset, .bytes = bytes, .done = co_done,
        },
        .co = coroutine_self(),
    };

    trace_file_transfer(s->fd, is_write, offset, bytes);
    engine_submit(file_engine(s), &c.req);
    while (!c.done) {
        c.yielded = true;
        coroutine_yield();
    }
    return c.ret;
}

/* By way of an aligned buffer, for O_DIRECT. */
static int coroutine_fn bounced_transfer(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                         size_t v_offset, bool is_write)
{
    void *buf = block_buffer_alloc(bn, bytes);
    struct iovec iov = { buf, bytes };
    int ret;

    if (!buf) {
        return -ENOMEM;
    }
    if (is_write) {
        iov_to_buf(v->iov, v->cnt, v_offset, buf, bytes);
    }
    ret = transfer(bn, offset, bytes, &iov, 1, is_write);
    if (ret == 0 && !is_write) {
        iov_from_buf(v->iov, v->cnt, v_offset, buf, bytes);
    }
    block_buffer_free(buf);
    return ret;
}

static int coroutine_fn file_rw(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                size_t v_offset, bool is_write)
{
    IoVector part;
    int ret;

    if (v_offset == 0 && v->size == bytes) {
        return block_iov_aligned(bn, v->iov, v->cnt) ?
                   transfer(bn, offset, bytes, v->iov, v->cnt, is_write) :
                   bounced_transfer(bn, offset, bytes, v, 0, is_write);
    }
    io_vector_init(&part, v->cnt);
    io_vector_concat(&part, v, v_offset, bytes);
    ret = block_iov_aligned(bn, part.iov, part.cnt) ?
              transfer(bn, offset, bytes, part.iov, part.cnt, is_write) :
              bounced_transfer(bn, offset, bytes, &part, 0, is_write);
    io_vector_destroy(&part);
    return ret;
}

static int coroutine_fn file_co_preadv(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                       size_t v_offset, unsigned flags)
{
    return file_rw(bn, offset, bytes, v, v_offset, false);
}

static int coroutine_fn file_co_pwritev(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                        size_t v_offset, unsigned flags)
{
    return file_rw(bn, offset, bytes, v, v_offset, true);
}

/* ---- on the thread pool ---- */

typedef struct FileJob {
    FileState *s;
    int64_t offset, bytes;
    bool may_unmap, is_shrink;
    PreallocMode prealloc;
} FileJob;

static int do_flush(void *arg)
{
    FileJob *j = arg;

    return fdatasync(j->s->fd) < 0 ? -errno : 0;
}

static int coroutine_fn file_co_flush(BlockNode *bn)
{
    FileState *s = bn->opaque;
    FileJob j = { .s = s };
    int ret;

    if (s->flush_failed) {
        return -EIO;
    }
    ret = thread_pool_co_run(do_flush, &j);
    if (ret < 0 && !(bn->open_flags & BLOCK_OPEN_NOCACHE)) {
        /*
         * The kernel drops the pages it could not write and reports that once.
         * A later success would be a lie about the data of now.
         */
        s->flush_failed = true;
    }
    return ret;
}

static int not_supported(int err)
{
    return err == EOPNOTSUPP || err == ENODEV || err == ENOSYS || err == ENOTTY ? -ENOTSUP : -err;
}

int file_fallocate(int fd, int mode, int64_t offset, int64_t bytes)
{
    int ret;

    do {
        ret = fallocate(fd, mode, offset, bytes);
    } while (ret < 0 && errno == EINTR);
    return ret < 0 ? not_supported(errno) : 0;
}

static int do_discard(void *arg)
{
    FileJob *j = arg;
    uint64_t range[2] = { j->offset, j->bytes };

    if (j->s->is_device) {
        return ioctl(j->s->fd, BLKDISCARD, range) < 0 ? not_supported(errno) : 0;
    }
    return file_fallocate(j->s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, j->offset, j->bytes);
}

static int coroutine_fn file_co_pdiscard(BlockNode *bn, int64_t offset, int64_t bytes)
{
    FileState *s = bn->opaque;
    FileJob j = { .s = s, .offset = offset, .bytes = bytes };
    int ret = -ENOTSUP;

    if (!s->no_discard) {
        ret = thread_pool_co_run(do_discard, &j);
        s->no_discard = ret == -ENOTSUP;
    }
    if (ret < 0) {
        s->discard_failed++;
    } else {
        s->discard_ok++;
        s->discard_bytes += bytes;
    }
    return ret;
}

/* Zero what is inside the file; the rest comes with the new size. */
static int zero_file(FileJob *j)
{
    FileState *s = j->s;
    int ret = -ENOTSUP;

    if (j->may_unmap && !s->no_punch_hole) {
        off_t end = j->offset + j->bytes;

        ret = file_fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, j->offset, j->bytes);
        s->no_punch_hole = ret == -ENOTSUP;
        if (ret == 0 && lseek(s->fd, 0, SEEK_END) < end && ftruncate(s->fd, end) < 0) {
            ret = -errno;
        }
    }
    if (ret == -ENOTSUP && !s->no_zero_range) {
        ret = file_fallocate(s->fd, FALLOC_FL_ZERO_RANGE, j->offset, j->bytes);
        s->no_zero_range = ret == -ENOTSUP;
    }
    if (ret == -ENOTSUP && !s->no_punch_hole && !j->may_unmap) {
        /* Zeroes that stay allocated: a hole that is filled again. */
        ret = file_fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, j->offset, j->bytes);
        s->no_punch_hole = ret == -ENOTSUP;
        if (ret == 0) {
            ret = file_fallocate(s->fd, 0, j->offset, j->bytes);
        }
    }
    return ret;
}

static int do_zero(void *arg)
{
    FileJob *j = arg;
    uint64_t range[2] = { j->offset, j->bytes };
    int ret;

    if (!j->s->is_device) {
        return zero_file(j);
    }
    if (j->may_unmap) {
        ret = file_fallocate(j->s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, j->offset, j->bytes);
        if (ret == 0) {
            return 0;
        }
    }
    return ioctl(j->s->fd, BLKZEROOUT, range) < 0 ? not_supported(errno) : 0;
}

static int coroutine_fn file_co_pwrite_zeroes(BlockNode *bn, int64_t offset, int64_t bytes,
                                              unsigned flags)
{
    FileState *s = bn->opaque;
    FileJob j = {
        .s = s, .offset = offset, .bytes = bytes, .may_unmap = flags & BLOCK_REQ_MAY_UNMAP
    };

    if (s->no_punch_hole && s->no_zero_range) {
        return -ENOTSUP;
    }
    return thread_pool_co_run(do_zero, &j);
}

/* ---- status ---- */

/* The extent that @offset lies in: where it ends, and whether it is a hole. -errno when unknown. */
static int find_extent(int fd, int64_t offset, int64_t *end, bool *hole)
{
    off_t at = lseek(fd, offset, SEEK_DATA);

    if (at < 0) {
        /* ENXIO: no data from here to the end, or beyond the end. */
        *hole = true;
        *end = INT64_MAX;
        return errno == ENXIO ? 0 : -errno;
    }
    if (at < offset) {
        return -EIO;
    }
    if (at > offset) {
        *hole = true;
        *end = at;
        return 0;
    }
    at = lseek(fd, offset, SEEK_HOLE);
    if (at < 0) {
        return -errno;
    }
    if (at <= offset) {
        return -EBUSY;          /* somebody writes right now */
    }
    *hole = false;
    *end = at;
    return 0;
}

static int coroutine_fn file_co_block_status(BlockNode *bn, bool want_zero, int64_t offset,
                                             int64_t bytes, int64_t *pnum, int64_t *map,
                                             BlockNode **file)
{
    FileState *s = bn->opaque;
    bool hole = false;
    int64_t end = offset;

    *map = offset;
    *file = bn;
    *pnum = bytes;
    if (!want_zero || s->is_device || s->is_char || find_extent(s->fd, offset, &end, &hole) < 0) {
        return BLOCK_STATUS_DATA | BLOCK_STATUS_OFFSET_VALID;
    }
    /* The end of file may lie within the last sector. */
    end = end == INT64_MAX ? end : ROUND_UP(end, (int64_t)bn->limits.request_alignment);
    *pnum = MIN(bytes, end - offset);
    return (hole ? BLOCK_STATUS_ZERO : BLOCK_STATUS_DATA) | BLOCK_STATUS_OFFSET_VALID;
}

/* ---- truncate ---- */

int file_write_zeroes(int fd, int64_t offset, int64_t bytes)
{
    size_t size = MIN(bytes, (int64_t)MIB);
    void *buf;
    int ret = 0;

    if (posix_memalign(&buf, 4096, ROUND_UP(size, 4096))) {
        return -ENOMEM;
    }
    memset(buf, 0, size);
    while (bytes > 0) {
        ssize_t n = pwrite(fd, buf, MIN((int64_t)size, bytes), offset);

        if (n < 0 && errno != EINTR) {
            ret = -errno;
            break;
        }
        offset += MAX(n, 0);
        bytes -= MAX(n, 0);
    }
    free(buf);
    return ret;
}

int file_allocate_start(int fd, int64_t size)
{
    return size > 0 ? file_write_zeroes(fd, 0, MIN(size, 4096)) : 0;
}

static int do_truncate(void *arg)
{
    FileJob *j = arg;
    int fd = j->s->fd;
    off_t old = lseek(fd, 0, SEEK_END);
    int ret = 0;

    if (old < 0) {
        return -errno;
    }
    if (j->bytes > old && j->prealloc == PREALLOC_MODE_FALLOC) {
        ret = file_fallocate(fd, 0, old, j->bytes - old);
    } else if (j->bytes > old && j->prealloc == PREALLOC_MODE_FULL) {
        ret = file_write_zeroes(fd, old, j->bytes - old);
    } else if (ftruncate(fd, j->bytes) < 0) {
        return -errno;
    } else if (old == 0) {
        ret = file_allocate_start(fd, j->bytes);
    }
    if (ret < 0 && ftruncate(fd, old) < 0) {
        /* Then it stays longer; the caller sees the first error. */
        return ret;
    }
    return ret;
}

static int coroutine_fn file_co_truncate(BlockNode *bn, int64_t size, bool exact,
                                         PreallocMode prealloc, unsigned flags, Error **errp)
{
    FileState *s = bn->opaque;
    FileJob j = { .s = s, .bytes = size, .prealloc = prealloc };
    int64_t old = file_length(bn);
    int ret;

    if (s->is_device || s->is_char) {
        if (prealloc != PREALLOC_MODE_OFF) {
            error_setg(errp, "Preallocation mode '%s' unsupported for this node",
                       PreallocMode_str(prealloc));
            return -ENOTSUP;
        }
        if (exact ? size != old : size > old) {
            error_setg(errp, exact ? "Cannot resize device files" : "Cannot grow device files");
            return exact ? -ENOTSUP : -EINVAL;
        }
        return 0;
    }
    if (prealloc == PREALLOC_MODE_METADATA) {
        error_setg(errp, "Unsupported preallocation mode: %s", PreallocMode_str(prealloc));
        return -ENOTSUP;
    }
    if (prealloc != PREALLOC_MODE_OFF && size < old) {
        error_setg(errp, "Preallocation can't be used for shrinking files");
        return -EINVAL;
    }
    ret = thread_pool_co_run(do_truncate, &j);
    if (ret < 0) {
        error_setg_errno(
            errp, -ret,
            prealloc == PREALLOC_MODE_FALLOC ? "Could not preallocate data for the new file" :
            prealloc == PREALLOC_MODE_FULL   ? "Could not write zeros for preallocation" :
                                               "Failed to resize the file");
    }
    return ret;
}

/* ---- copying inside the kernel ---- */

typedef struct CopyJob {
    int from, to;
    int64_t from_offset, to_offset, bytes;
} CopyJob;

static int do_copy(void *arg)
{
    CopyJob *j = arg;
    loff_t in = j->from_offset, out = j->to_offset;
    bool any = false;

    while (j->bytes > 0) {
        ssize_t n = copy_file_range(j->from, &in, j->to, &out, j->bytes, 0);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return any ? -errno :
                   errno == ENOSYS || errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP ?
                   -ENOTSUP : -errno;
        }
        if (n == 0) {
            /* The source ends inside its last sector, or the file system cannot: by buffers. */
            return -ENOTSUP;
        }
        any = true;
        j->bytes -= n;
    }
    return 0;
}

static int coroutine_fn file_co_copy_range_from(BlockNode *bn, BlockChild *src, int64_t src_offset,
                                                BlockChild *dst, int64_t dst_offset, int64_t bytes,
                                                unsigned read_flags, unsigned write_flags)
{
    return block_co_copy_range_to(src, src_offset, dst, dst_offset, bytes, read_flags, write_flags);
}

static int coroutine_fn file_co_copy_range_to(BlockNode *bn, BlockChild *src, int64_t src_offset,
                                              BlockChild *dst, int64_t dst_offset, int64_t bytes,
                                              unsigned read_flags, unsigned write_flags)
{
    FileState *to = bn->opaque, *from = src->node->opaque;
    CopyJob j = { .from_offset = src_offset, .to_offset = dst_offset, .bytes = bytes };

    if (src->node->drv->co_copy_range_to != file_co_copy_range_to) {
        return -ENOTSUP;
    }
    j.from = from->fd;
    j.to = to->fd;
    return thread_pool_co_run(do_copy, &j);
}

static int file_image_info(BlockNode *bn, BlockImageInfo *info)
{
    return 0;
}

static BlockStatsSpecific *file_stats(BlockNode *bn)
{
    FileState *s = bn->opaque;
    BlockStatsSpecific *st = g_new0(BlockStatsSpecific, 1);
    BlockStatsSpecificFile f = {
        .discard_nb_ok = s->discard_ok,
        .discard_nb_failed = s->discard_failed,
        .discard_bytes_ok = s->discard_bytes,
    };

    if (!strcmp(bn->drv->name, "file")) {
        st->driver = BLOCKDEV_DRIVER_FILE;
        st->u.file = f;
    } else {
        st->driver = BLOCKDEV_DRIVER_HOST_DEVICE;
        st->u.host_device = f;
    }
    return st;
}

static const char *const file_strong_options[] = { "filename", NULL };

#define FILE_DRIVER(ident, drv_name, ...)                                      \
    BLOCK_DRIVER(ident) = {                                                 \
        .name = drv_name,                                                   \
        .protocol_prefix = drv_name,                                        \
        .instance_size = sizeof(FileState),                                 \
        .is_protocol = true,                                                \
        .has_image = true,                                                  \
        .open = file_open,                                                  \
        .close = file_close,                                                \
        .parse_filename = file_parse_filename,                              \
        .co_preadv = file_co_preadv,                                        \
        .co_pwritev = file_co_pwritev,                                      \
        .co_pwrite_zeroes = file_co_pwrite_zeroes,                          \
        .co_pdiscard = file_co_pdiscard,                                    \
        .co_flush_to_disk = file_co_flush,                                  \
        .co_block_status = file_co_block_status,                            \
        .co_truncate = file_co_truncate,                                    \
        .submit = file_submit,                                              \
        .plug = file_plug,                                                  \
        .unplug = file_unplug,                                              \
        .length = file_length,                                              \
        .allocated_size = file_allocated_size,                              \
        .image_info = file_image_info,                                      \
        .stats = file_stats,                                                \
        .refresh_limits = file_refresh_limits,                              \
        .check_perm = file_check_perm,                                      \
        .set_perm = file_set_perm,                                          \
        .abort_perm = file_abort_perm,                                      \
        .detach_loop = file_detach_loop,                                    \
        .reopen_prepare = file_reopen_prepare,                              \
        .reopen_commit = file_reopen_commit,                                \
        .reopen_abort = file_reopen_abort,                                  \
        .co_copy_range_from = file_co_copy_range_from,                      \
        .co_copy_range_to = file_co_copy_range_to,                          \
        .strong_options = file_strong_options,                              \
        __VA_ARGS__                                                         \
    }

/* "file:NAME" names what "NAME" would if it had no colon. */
static bool file_parse_filename(const char *filename, JsonValue *options, Error **errp)
{
    g_autofree char *prefix = g_strdup_printf("%s:", json_object_get_string(options, "driver"));

    json_object_set_string(options, "filename",
                           filename + (g_str_has_prefix(filename, prefix) ? strlen(prefix) : 0));
    return true;
}

FILE_DRIVER(file_driver, "file", .co_create = file_co_create, .co_create_opts = file_co_create_opts,
            .create_options = file_create_options);
FILE_DRIVER(host_device_driver, "host_device", );
