/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The common part of read-only formats with a table of units, see sparse.h.
 * Node's loop; opening on the main thread. Offsets come from the image and are
 * checked here: what lies outside the file is an error, not zeroes.
 */
#include "util/osdep.h"
#include <zlib.h>
#include "sparse.h"
#include "block/options.h"
#include "util/thread.h"

#define MAX_UNIT (64 * MIB)
#define MAX_BACKING_NAME 1023

/* ---- opening ---- */

bool sparse_init(BlockNode *bn, uint32_t unit_size, uint64_t disk_bytes, Error **errp)
{
    SparseState *s = bn->opaque;

    if (unit_size < 512 || unit_size > MAX_UNIT || !IS_POWER_OF_2(unit_size)) {
        error_setg(errp, "Unsupported %s cluster size: %" PRIu32, bn->drv->name, unit_size);
        return false;
    }
    if (disk_bytes > (uint64_t)BLOCK_MAX_LENGTH) {
        error_setg(errp, "%s image is too large: %" PRIu64 " bytes", bn->drv->name, disk_bytes);
        return false;
    }
    s->unit_size = unit_size;
    s->disk_bytes = disk_bytes;
    s->unpacked_index = UINT64_MAX;
    co_mutex_init(&s->lock);
    return true;
}

void sparse_close(BlockNode *bn)
{
    SparseState *s = bn->opaque;

    g_free(s->unpacked);
}

bool sparse_open_file(BlockNode *bn, JsonValue *options, Error **errp)
{
    if (!block_child_open(bn, NULL, options, "file",
                          BLOCK_ROLE_DATA | BLOCK_ROLE_METADATA | BLOCK_ROLE_PRIMARY, false, errp)) {
        return false;
    }
    if (!bn->read_only && (bn->open_flags & BLOCK_OPEN_AUTO_RDONLY)) {
        bn->read_only = true;
    }
    if (!bn->read_only) {
        error_setg(errp, "Writing to images of format '%s' is not supported: open it read-only, or "
                   "convert it", bn->drv->name);
        return false;
    }
    return true;
}

void *sparse_read_table(BlockNode *bn, int64_t offset, uint64_t bytes, uint64_t max,
                        const char *what, Error **errp)
{
    void *table;
    int ret;

    if (bytes > max) {
        error_setg(errp, "%s: %s is too large", bn->drv->name, what);
        return NULL;
    }
    if (offset < 0 || offset > bn->file->node->total_bytes ||
        (int64_t)bytes > bn->file->node->total_bytes - offset) {
        error_setg(errp, "%s: %s lies outside the file", bn->drv->name, what);
        return NULL;
    }
    table = g_try_malloc(MAX(bytes, 1));
    if (!table) {
        error_setg(errp, "%s: not enough memory for the %s", bn->drv->name, what);
        return NULL;
    }
    ret = block_pread(bn->file, offset, bytes, table, 0);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "%s: could not read the %s", bn->drv->name, what);
        g_free(table);
        return NULL;
    }
    return table;
}

char *sparse_read_name(BlockNode *bn, int64_t offset, uint64_t bytes, Error **errp)
{
    g_autofree char *raw =
        sparse_read_table(bn, offset, bytes, MAX_BACKING_NAME, "backing file name", errp);

    return raw ? g_strndup(raw, bytes) : NULL;
}

/* ---- mapping ---- */

int sparse_data(BlockNode *bn, int64_t offset, SparseUnit *unit)
{
    unit->kind = SPARSE_DATA;
    unit->child = bn->file;
    unit->offset = offset;
    return offset >= 0 && offset < bn->file->node->total_bytes ? 0 : -EIO;
}

static int coroutine_fn lookup(BlockNode *bn, int64_t offset, SparseUnit *unit)
{
    SparseState *s = bn->opaque;
    int ret;

    *unit = (SparseUnit) { .child = bn->file };
    co_mutex_lock(&s->lock);
    ret = s->lookup(bn, offset / s->unit_size, unit);
    co_mutex_unlock(&s->lock);
    return ret;
}

/* ---- packed units ---- */

int sparse_inflate(const uint8_t *in, size_t in_bytes, uint8_t *out, size_t out_bytes,
                   int window_bits)
{
    z_stream z = {
        .next_in = (void *)in, .avail_in = in_bytes, .next_out = out, .avail_out = out_bytes,
    };
    int ret;

    if (inflateInit2(&z, window_bits) != Z_OK) {
        return -EIO;
    }
    ret = inflate(&z, Z_FINISH);
    ret = (ret == Z_STREAM_END || ret == Z_BUF_ERROR) && z.avail_out == 0 ? 0 : -EIO;
    inflateEnd(&z);
    return ret;
}

typedef struct UnpackJob {
    SparseState *s;
    const uint8_t *in;
    size_t in_bytes;
    uint8_t *out;
    size_t out_bytes;
} UnpackJob;

static int do_unpack(void *arg)
{
    UnpackJob *j = arg;

    return j->s->unpack(j->in, j->in_bytes, j->out, j->out_bytes);
}

/* The whole unit is unpacked, and kept for the next read. */
static int coroutine_fn read_packed(BlockNode *bn, int64_t offset, int64_t bytes,
                                    const SparseUnit *unit, IoVector *v, size_t v_offset)
{
    SparseState *s = bn->opaque;
    uint64_t index = offset / s->unit_size;
    g_autofree uint8_t *in = NULL;
    UnpackJob j = { .s = s, .in_bytes = unit->packed_bytes };
    int ret = 0;

    co_mutex_lock(&s->lock);
    if (s->unpacked_index != index) {
        s->unpacked_index = UINT64_MAX;
        s->unpacked = s->unpacked ? s->unpacked : g_try_malloc(s->unit_size);
        in = g_try_malloc(unit->packed_bytes);
        ret = in && s->unpacked ? 0 : -ENOMEM;
        if (ret == 0) {
            ret = block_co_pread(unit->child, unit->offset, unit->packed_bytes, in, 0);
        }
        if (ret == 0) {
            j.in = in;
            j.out = s->unpacked;
            /* The last unit may end with the disk. */
            j.out_bytes = MIN((int64_t)s->unit_size,
                              s->disk_bytes - (int64_t)(index * s->unit_size));
            memset(s->unpacked, 0, s->unit_size);
            ret = thread_pool_co_run(do_unpack, &j);
        }
        if (ret == 0) {
            s->unpacked_index = index;
        }
    }
    if (ret == 0) {
        iov_from_buf(v->iov, v->cnt, v_offset, s->unpacked + offset % s->unit_size, bytes);
    }
    co_mutex_unlock(&s->lock);
    return ret;
}

/* ---- reads and status ---- */

static int coroutine_fn read_none(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                  size_t v_offset)
{
    int64_t inside = bn->backing ? MAX(bn->backing->node->total_bytes - offset, 0) : 0;

    inside = MIN(inside, bytes);
    iov_memset(v->iov, v->cnt, v_offset + inside, 0, bytes - inside);
    return inside ? block_co_preadv(bn->backing, offset, inside, v, v_offset, 0) : 0;
}

static int coroutine_fn read_unit(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                  size_t v_offset)
{
    SparseState *s = bn->opaque;
    SparseUnit unit;
    int64_t at;
    int ret = lookup(bn, offset, &unit);

    if (ret < 0) {
        return ret;
    }
    switch (unit.kind) {
    case SPARSE_NONE:
        return read_none(bn, offset, bytes, v, v_offset);
    case SPARSE_ZERO:
        iov_memset(v->iov, v->cnt, v_offset, 0, bytes);
        return 0;
    case SPARSE_PACKED:
        return read_packed(bn, offset, bytes, &unit, v, v_offset);
    default:
        at = unit.offset + offset % s->unit_size;
        return block_co_preadv(unit.child, at, bytes, v, v_offset, 0);
    }
}

int coroutine_fn sparse_co_preadv(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                  size_t v_offset, unsigned flags)
{
    SparseState *s = bn->opaque;
    int ret = 0;

    while (bytes > 0 && ret == 0) {
        int64_t n = MIN(bytes, s->unit_size - offset % s->unit_size);

        ret = read_unit(bn, offset, n, v, v_offset);
        offset += n;
        v_offset += n;
        bytes -= n;
    }
    return ret;
}

static int status_bits(const SparseState *s, const SparseUnit *unit)
{
    switch (unit->kind) {
    case SPARSE_NONE:
        return s->none_is_zero ? BLOCK_STATUS_ZERO : 0;
    case SPARSE_ZERO:
        return BLOCK_STATUS_ZERO;
    case SPARSE_PACKED:
        return BLOCK_STATUS_DATA;
    default:
        return BLOCK_STATUS_DATA | BLOCK_STATUS_OFFSET_VALID |
               (unit->may_be_hole ? BLOCK_STATUS_RECURSE : 0);
    }
}

int coroutine_fn sparse_co_block_status(BlockNode *bn, bool want_zero, int64_t offset,
                                        int64_t bytes, int64_t *pnum, int64_t *map,
                                        BlockNode **file)
{
    SparseState *s = bn->opaque;
    SparseUnit first, next;
    int64_t done;
    int ret = lookup(bn, offset, &first);

    if (ret < 0) {
        return ret;
    }
    done = MIN(bytes, s->unit_size - offset % s->unit_size);
    *map = first.offset + offset % s->unit_size;
    *file = first.child->node;
    /* As far as it goes on in the same way. */
    while (done < bytes) {
        if (lookup(bn, offset + done, &next) < 0 || next.kind != first.kind ||
            (first.kind == SPARSE_DATA &&
             (next.child != first.child || next.offset != *map + done))) {
            break;
        }
        done += MIN(bytes - done, s->unit_size);
    }
    *pnum = done;
    return status_bits(s, &first);
}

int64_t sparse_length(BlockNode *bn)
{
    SparseState *s = bn->opaque;

    return s->disk_bytes;
}

int sparse_image_info(BlockNode *bn, BlockImageInfo *info)
{
    SparseState *s = bn->opaque;

    info->cluster_size = s->unit_size;
    info->unallocated_is_zero = true;
    return 0;
}

void sparse_refresh_limits(BlockNode *bn)
{
    bn->limits.request_alignment = 512;
}
