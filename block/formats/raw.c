/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The raw format: the file is the disk, or a window of it (offset, size).
 *
 * When the format was only guessed, the guest must not be able to write
 * another format's signature into the first block, for then the next open would
 * take the disk for an image and, say, follow a backing file name of the
 * guest's choice. Such writes fail with EPERM.
 *
 * Runs on the node's loop. Trusts nothing in the image.
 */
#include "util/osdep.h"
#include "block/block-int.h"
#include "block/image.h"
#include "block/options.h"

typedef struct RawState {
    uint64_t offset, size;
    bool has_size;
} RawState;

static bool take_window(RawState *s, JsonValue *options, Error **errp)
{
    bool has_offset = false;

    return block_option_take_size(options, "offset", &s->offset, &has_offset, errp) &&
           block_option_take_size(options, "size", &s->size, &s->has_size, errp);
}

static bool check_window(const RawState *s, uint64_t file_len, Error **errp)
{
    if (s->offset > file_len) {
        error_setg(errp,
                   "Offset (%" PRIu64
                   ") cannot be greater than size of the containing file (%" PRIu64 ")",
                   s->offset, file_len);
        return false;
    }
    if (s->has_size && s->size > file_len - s->offset) {
        error_setg(errp,
                   "The sum of offset (%" PRIu64 ") and size (%" PRIu64
                   ") has to be smaller or equal to the "
                   " actual size of the containing file (%" PRIu64 ")",
                   s->offset, s->size, file_len);
        return false;
    }
    if (s->has_size && s->size % 512) {
        error_setg(errp, "Specified size is not multiple of 512");
        return false;
    }
    return true;
}

/* What follows from the window and the file. */
static void configure(BlockNode *bn)
{
    RawState *s = bn->opaque;
    bool window = s->offset || s->has_size;

    bn->file->role = (window ? BLOCK_ROLE_DATA : BLOCK_ROLE_FILTERED) | BLOCK_ROLE_PRIMARY;
    bn->supported_write_flags = BLOCK_REQ_FUA & bn->file->node->supported_write_flags;
    bn->supported_zero_flags = (BLOCK_REQ_FUA | BLOCK_REQ_MAY_UNMAP | BLOCK_REQ_NO_FALLBACK) &
                               bn->file->node->supported_zero_flags;
    bn->passthrough = !window && !(bn->open_flags & BLOCK_OPEN_PROBED);
}

static bool raw_open(BlockNode *bn, JsonValue *options, Error **errp)
{
    RawState *s = bn->opaque;
    unsigned role;

    if (!take_window(s, options, errp)) {
        return false;
    }
    role = s->offset || s->has_size ? BLOCK_ROLE_DATA : BLOCK_ROLE_FILTERED;
    if (!block_child_open(bn, NULL, options, "file", role | BLOCK_ROLE_PRIMARY, false, errp) ||
        !check_window(s, bn->file->node->total_bytes, errp)) {
        return false;
    }
    configure(bn);
    return true;
}

static bool raw_reopen_prepare(BlockNode *bn, BlockReopen *r, Error **errp)
{
    g_autofree RawState *s = g_new0(RawState, 1);

    if (!r->complete) {
        *s = *(RawState *)bn->opaque;
    }
    if (!take_window(s, r->options, errp) ||
        !check_window(s, bn->file->node->total_bytes, errp)) {
        return false;
    }
    r->driver_state = g_steal_pointer(&s);
    return true;
}

static void raw_reopen_commit(BlockNode *bn, BlockReopen *r)
{
    *(RawState *)bn->opaque = *(RawState *)r->driver_state;
    g_free(r->driver_state);
    configure(bn);
}

static void raw_reopen_abort(BlockNode *bn, BlockReopen *r)
{
    g_free(r->driver_state);
}

static void raw_child_perm(BlockNode *bn, BlockChild *c, unsigned role, uint64_t perm,
                           uint64_t shared, uint64_t *nperm, uint64_t *nshared)
{
    RawState *s = bn->opaque;

    *nperm = perm;
    *nshared = shared;
    if (s->offset || s->has_size) {
        /* The window must stay inside the file. */
        *nshared &= ~BLOCK_PERM_RESIZE;
    }
}

static int64_t raw_length(BlockNode *bn)
{
    RawState *s = bn->opaque;
    int64_t len = bn->file->node->total_bytes;

    if (s->has_size) {
        return s->size;
    }
    return len > (int64_t)s->offset ? len - (int64_t)s->offset : 0;
}

/* Where @offset is in the file; false for what lies outside a fixed window. */
static bool raw_map(BlockNode *bn, int64_t *offset, int64_t bytes)
{
    RawState *s = bn->opaque;

    if (s->has_size && (*offset > (int64_t)s->size || bytes > (int64_t)s->size - *offset)) {
        return false;
    }
    *offset += s->offset;
    return true;
}

static int coroutine_fn raw_co_preadv(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                      size_t v_offset, unsigned flags)
{
    return raw_map(bn, &offset, bytes) ?
               block_co_preadv(bn->file, offset, bytes, v, v_offset, flags) :
               -EINVAL;
}

static int coroutine_fn raw_co_pwritev(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                       size_t v_offset, unsigned flags)
{
    IoVector copy;
    void *buf;
    int ret;

    if (!raw_map(bn, &offset, bytes)) {
        return -ENOSPC;
    }
    if (!(bn->open_flags & BLOCK_OPEN_PROBED) || offset > 0) {
        return block_co_pwritev(bn->file, offset, bytes, v, v_offset, flags);
    }
    /* The guest can change its buffer between check and write: write what was checked. */
    buf = block_buffer_alloc(bn, bytes);
    if (!buf) {
        return -ENOMEM;
    }
    iov_to_buf(v->iov, v->cnt, v_offset, buf, bytes);
    ret = -EPERM;
    if (!block_probe_format(buf, MIN(bytes, BLOCK_PROBE_BYTES))) {
        io_vector_init_buf(&copy, buf, bytes);
        ret = block_co_pwritev(bn->file, offset, bytes, &copy, 0, flags);
    }
    block_buffer_free(buf);
    return ret;
}

static int coroutine_fn raw_co_pwrite_zeroes(BlockNode *bn, int64_t offset, int64_t bytes,
                                             unsigned flags)
{
    return raw_map(bn, &offset, bytes) ? block_co_pwrite_zeroes(bn->file, offset, bytes, flags) :
                                         -ENOSPC;
}

static int coroutine_fn raw_co_pdiscard(BlockNode *bn, int64_t offset, int64_t bytes)
{
    return raw_map(bn, &offset, bytes) ? block_co_pdiscard(bn->file, offset, bytes) : -EINVAL;
}

static int coroutine_fn raw_co_block_status(BlockNode *bn, bool want_zero, int64_t offset,
                                            int64_t bytes, int64_t *pnum, int64_t *map,
                                            BlockNode **file)
{
    RawState *s = bn->opaque;

    *pnum = bytes;
    *file = bn->file->node;
    *map = offset + s->offset;
    return BLOCK_STATUS_OFFSET_VALID | BLOCK_STATUS_RAW;
}

static int coroutine_fn raw_co_truncate(BlockNode *bn, int64_t size, bool exact,
                                        PreallocMode prealloc, unsigned flags, Error **errp)
{
    RawState *s = bn->opaque;

    if (s->has_size) {
        error_setg(errp, "Cannot resize fixed-size raw disks");
        return -ENOTSUP;
    }
    if (size > BLOCK_MAX_LENGTH - (int64_t)s->offset) {
        error_setg(errp, "Disk size too large for the chosen offset");
        return -EINVAL;
    }
    return block_co_truncate(bn->file, size + s->offset, exact, prealloc, flags, errp);
}

/* ---- creation and size ---- */

/* The image is the file: all options are those of the protocol. */
static int coroutine_fn raw_co_create_opts(const BlockDriver *drv, const char *filename,
                                           JsonValue *options, Error **errp)
{
    return block_co_create_protocol(filename, options, errp);
}

static BlockMeasureInfo *raw_measure(JsonValue *options, BlockNode *in, Error **errp)
{
    BlockMeasureInfo *info;
    uint64_t size = 0;

    if (!block_option_take_size(options, "size", &size, NULL, errp)) {
        return NULL;
    }
    size = in ? (uint64_t)in->total_bytes : size;
    info = g_new0(BlockMeasureInfo, 1);
    info->required = info->fully_allocated = ROUND_UP(MIN(size, BLOCK_MAX_LENGTH), 512);
    return info;
}

static int coroutine_fn raw_co_copy_range_from(BlockNode *bn, BlockChild *src, int64_t src_offset,
                                               BlockChild *dst, int64_t dst_offset, int64_t bytes,
                                               unsigned read_flags, unsigned write_flags)
{
    return raw_map(bn, &src_offset, bytes) ?
               block_co_copy_range_from(bn->file, src_offset, dst, dst_offset, bytes, read_flags,
                                        write_flags) :
               -EINVAL;
}

static int coroutine_fn raw_co_copy_range_to(BlockNode *bn, BlockChild *src, int64_t src_offset,
                                             BlockChild *dst, int64_t dst_offset, int64_t bytes,
                                             unsigned read_flags, unsigned write_flags)
{
    /* What is copied is not seen, so it cannot be checked for signatures. */
    if ((bn->open_flags & BLOCK_OPEN_PROBED) && dst_offset < BLOCK_PROBE_BYTES) {
        return -ENOTSUP;
    }
    return raw_map(bn, &dst_offset, bytes) ?
               block_co_copy_range_to(src, src_offset, bn->file, dst_offset, bytes, read_flags,
                                      write_flags) :
               -ENOSPC;
}

static int raw_image_info(BlockNode *bn, BlockImageInfo *info)
{
    return block_image_info(bn->file->node, info);
}

static const BlockImageOption raw_create_options[] = {
    { "size", BLOCK_IMAGE_OPT_SIZE, "Virtual disk size" },
    { NULL },
};

static void raw_refresh_limits(BlockNode *bn)
{
    RawState *s = bn->opaque;

    /* A window that starts at an odd place shifts every boundary of the file. */
    if (s->offset) {
        bn->limits.write_zeroes_alignment = bn->limits.discard_alignment = 0;
    }
    if (bn->open_flags & BLOCK_OPEN_PROBED) {
        /* So that a write that touches the first block covers it, and none straddles its end. */
        bn->limits.request_alignment = BLOCK_PROBE_BYTES;
    }
}

static const char *const raw_strong_options[] = { "offset", "size", NULL };

BLOCK_DRIVER(raw_driver) = {
    .name = "raw",
    .instance_size = sizeof(RawState),
    .open = raw_open,
    .child_perm = raw_child_perm,
    .length = raw_length,
    .co_preadv = raw_co_preadv,
    .co_pwritev = raw_co_pwritev,
    .co_pwrite_zeroes = raw_co_pwrite_zeroes,
    .co_pdiscard = raw_co_pdiscard,
    .co_block_status = raw_co_block_status,
    .co_truncate = raw_co_truncate,
    .create_options = raw_create_options,
    .co_create_opts = raw_co_create_opts,
    .measure = raw_measure,
    .image_info = raw_image_info,
    .co_copy_range_from = raw_co_copy_range_from,
    .co_copy_range_to = raw_co_copy_range_to,
    .refresh_limits = raw_refresh_limits,
    .reopen_prepare = raw_reopen_prepare,
    .reopen_commit = raw_reopen_commit,
    .reopen_abort = raw_reopen_abort,
    .strong_options = raw_strong_options,
};
