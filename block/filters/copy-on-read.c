/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The filter "copy-on-read": what a read finds in a backing file is written
 * to the image, so that the next read finds it there.
 *
 * A read serialises on this node for as long as it copies, by whole clusters: a
 * guest's write cannot come between reading old data and writing it, or it
 * would be lost. Node's loop.
 */
#include "util/osdep.h"
#include "block/filters/filter.h"
#include "block/image.h"
#include "block/options.h"

#define MAX_COPY ((int64_t)(1 * MIB))

typedef struct CorState {
    BlockNode *bottom;          /* copy only what comes from above this one; NULL: from anywhere */
} CorState;

static bool cor_open(BlockNode *bn, JsonValue *options, Error **errp)
{
    CorState *s = bn->opaque;
    g_autofree char *bottom = NULL;
    BlockImageInfo info;

    if (!block_option_take_string(options, "bottom", &bottom, errp) ||
        !filter_open_child(bn, NULL, options, NULL, errp)) {
        return false;
    }
    if (bottom) {
        s->bottom = block_node_find(bottom);
        if (!s->bottom) {
            error_setg(errp, "Bottom node '%s' not found", bottom);
            return false;
        }
        if (!block_chain_contains(bn->file->node, s->bottom)) {
            error_setg(errp, "Bottom node '%s' is not in the backing chain", bottom);
            return false;
        }
    }
    /* Nothing can be copied into what is only read. */
    if (!bn->file->node->read_only) {
        bn->serialise_reads = block_image_info(bn->file->node, &info) >= 0 && info.cluster_size ?
                              info.cluster_size : 512;
    }
    return true;
}

static void cor_child_perm(BlockNode *bn, BlockChild *c, unsigned role, uint64_t perm,
                           uint64_t shared, uint64_t *nperm, uint64_t *nshared)
{
    *nperm = perm | (bn->serialise_reads ? BLOCK_PERM_WRITE_UNCHANGED : 0);
    *nshared = shared;
}

/* Where a range comes from: 1 when it is to be copied, 0 when not; *@n: how much of it. */
static int coroutine_fn wants_copy(BlockNode *bn, int64_t offset, int64_t bytes, int64_t *n)
{
    CorState *s = bn->opaque;
    BlockNode *image = block_skip_filters(bn->file->node);
    BlockNode *below = s->bottom ? block_backing(s->bottom) : NULL;
    int64_t deeper;
    int ret = block_co_is_allocated_above(image, image, true, offset, bytes, n);

    if (ret != 0 || *n == 0) {
        *n = *n ? *n : bytes;
        return ret < 0 ? ret : 0;
    }
    if (!s->bottom) {
        return 1;
    }
    ret = block_co_is_allocated_above(image, below, false, offset, *n, &deeper);
    *n = deeper ? deeper : *n;
    return ret;
}

/* Reads whole clusters and writes them; what the caller wants of it goes to @v. */
static int coroutine_fn copy(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                             size_t v_offset)
{
    int64_t unit = bn->serialise_reads;
    int64_t start = ROUND_DOWN(offset, unit);
    int64_t end = MIN(ROUND_UP(offset + bytes, unit), bn->file->node->total_bytes);
    void *buf = block_buffer_alloc(bn->file->node, end - start);
    IoVector all;
    int ret;

    if (!buf) {
        return -ENOMEM;
    }
    io_vector_init_buf(&all, buf, end - start);
    ret = block_co_preadv(bn->file, start, end - start, &all, 0, 0);
    if (ret == 0) {
        ret = io_vector_is_zero(&all, 0, end - start) ?
              block_co_pwrite_zeroes(bn->file, start, end - start, BLOCK_REQ_WRITE_UNCHANGED) :
              block_co_pwritev(bn->file, start, end - start, &all, 0, BLOCK_REQ_WRITE_UNCHANGED);
    }
    if (ret == 0) {
        iov_from_buf(v->iov, v->cnt, v_offset, (uint8_t *)buf + (offset - start), bytes);
    }
    block_buffer_free(buf);
    return ret;
}

static int coroutine_fn cor_preadv(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                   size_t v_offset, unsigned flags)
{
    int ret = 0;

    if (!bn->serialise_reads) {
        return block_co_preadv(bn->file, offset, bytes, v, v_offset, flags);
    }
    while (bytes > 0 && ret == 0) {
        int64_t n = bytes;

        ret = wants_copy(bn, offset, MIN(bytes, MAX_COPY), &n);
        if (ret > 0) {
            ret = copy(bn, offset, n, v, v_offset);
        } else if (ret == 0) {
            ret = block_co_preadv(bn->file, offset, n, v, v_offset, flags);
        }
        offset += n;
        v_offset += n;
        bytes -= n;
    }
    return ret;
}

static const char *const cor_strong_options[] = { "bottom", NULL };

BLOCK_DRIVER(copy_on_read_driver) = {
    .name = "copy-on-read",
    .instance_size = sizeof(CorState),
    .is_filter = true,
    .open = cor_open,
    .child_perm = cor_child_perm,
    .co_preadv = cor_preadv,
    .co_pwritev = filter_pwritev,
    .co_pwrite_zeroes = filter_pwrite_zeroes,
    .co_pdiscard = filter_pdiscard,
    .refresh_limits = filter_refresh_limits,
    .strong_options = cor_strong_options,
};
