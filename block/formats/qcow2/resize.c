/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Changing the size of a qcow2 disk, with or without preallocation.
 *
 * Growing: tables first, then the size in the header. Shrinking: what is cut off
 * is freed, then the size, then the file. Coroutines.
 */
#include "util/osdep.h"
#include "qcow2.h"

/* ---- preallocation ---- */

/* Clusters below @file_end may hold anything; those must be zero before they show. */
static int coroutine_fn clear_old_space(BlockNode *bn, uint64_t host, int64_t bytes,
                                        int64_t file_end)
{
    Qcow2State *s = qcow2_state(bn);

    if (qcow2_has_data_file(s) || (int64_t)host >= file_end) {
        return 0;
    }
    return block_co_pwrite_zeroes(bn->file, host, MIN(bytes, file_end - (int64_t)host), 0);
}

typedef struct Prealloc {
    uint64_t place, place_end;  /* where data goes, in one piece; 0: wherever there is room */
    int64_t old_end;            /* below it, the file may hold anything */
    uint64_t host_end;          /* out: the end of the last cluster */
} Prealloc;

/* Give all of [start, end) host clusters. */
static int coroutine_fn preallocate(BlockNode *bn, Prealloc *p, uint64_t start, uint64_t end)
{
    Qcow2State *s = qcow2_state(bn);
    int ret = 0;

    while (start < end && ret == 0) {
        int64_t n = end - start, bytes;
        uint64_t host;
        Qcow2Alloc *a;

        ret = qcow2_alloc_placed(bn, start, &n, p->place, &host, &a);
        if (ret < 0) {
            break;
        }
        if (a) {
            a->prealloc = true;
            bytes = (int64_t)a->clusters << s->cluster_bits;
            p->place += p->place && !a->keep_old ? bytes : 0;
            ret = a->keep_old ? 0 : clear_old_space(bn, a->host, bytes, p->old_end);
            if (ret < 0) {
                qcow2_alloc_abort(bn, a);
                break;
            }
            p->host_end = MAX(p->host_end, a->host + bytes);
            ret = qcow2_alloc_link(bn, a);
        }
        start += n;
    }
    if (p->place < p->place_end) {
        qcow2_free_clusters(bn, p->place, p->place_end - p->place, QCOW2_DISCARD_NEVER);
    }
    return ret;
}

/*
 * @count clusters for data behind everything, in one piece, and refcount structures that cover
 * them; L2 tables may go anywhere, but are counted as well.
 */
static int coroutine_fn reserve(BlockNode *bn, uint64_t count, PreallocMode prealloc, Prealloc *p,
                                Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    /* Neither end need lie where a table's part does. */
    uint64_t tables = (count >> s->l2_bits) + !!(count & (BIT(s->l2_bits) - 1)) + 2;
    int64_t length = bn->file->node->total_bytes, last = qcow2_last_cluster(bn, length), end, n;

    if (last < 0) {
        error_setg_errno(errp, -last, "Failed to inquire the image file length");
        return last;
    }
    end = (last + 1) << s->cluster_bits;
    if (length > end && block_co_truncate(bn->file, end, false, PREALLOC_MODE_OFF, 0, errp) < 0) {
        return -EIO;
    }
    end = qcow2_refcount_area(bn, end, count + tables);
    if (end < 0) {
        error_setg_errno(errp, -end, "Failed to resize refcount structures");
        return end;
    }
    p->old_end = bn->file->node->total_bytes;
    if (block_co_truncate(bn->file, end + (count << s->cluster_bits), false, prealloc, 0,
                          errp) < 0) {
        error_prepend(errp, "Failed to resize underlying file: ");
        return -ENOSPC;
    }
    n = qcow2_alloc_clusters_at(bn, end, count);
    p->place = end;
    p->place_end = end + (MAX(n, 0) << s->cluster_bits);
    if (n == (int64_t)count) {
        return 0;
    }
    if (n > 0) {
        qcow2_free_clusters(bn, end, n << s->cluster_bits, QCOW2_DISCARD_NEVER);
    }
    error_setg_errno(errp, n < 0 ? -n : EIO, "Failed to allocate data clusters");
    return n < 0 ? n : -EIO;
}

/* The first cluster that is to be given a place, without touching what the old one at @old has. */
static int coroutine_fn first_new(BlockNode *bn, uint64_t old, uint64_t *first)
{
    Qcow2State *s = qcow2_state(bn);
    Qcow2Extent x = { .type = QCOW2_UNALLOCATED_PLAIN };
    int ret = 0;

    *first = qcow2_cluster_start(s, old);
    if (*first != old) {
        ret = qcow2_map(bn, *first, s->cluster_size, &x);
    }
    if (*first != old && (x.type != QCOW2_UNALLOCATED_PLAIN || bn->backing)) {
        *first += s->cluster_size;
    }
    return ret;
}

static int coroutine_fn grow_prealloc(BlockNode *bn, uint64_t old, uint64_t size,
                                      PreallocMode prealloc, Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    Prealloc p = { .old_end = bn->file->node->total_bytes };
    uint64_t first;
    int ret = first_new(bn, old, &first);

    if (ret == 0 && first < size && prealloc != PREALLOC_MODE_METADATA && !qcow2_has_data_file(s)) {
        ret = reserve(bn, qcow2_clusters(s, size - first), prealloc, &p, errp);
        if (ret < 0) {
            return ret;
        }
    }
    if (ret == 0) {
        ret = preallocate(bn, &p, first, size);
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not preallocate metadata");
        return ret;
    }
    if (qcow2_has_data_file(s)) {
        if (prealloc == PREALLOC_MODE_METADATA) {
            prealloc = PREALLOC_MODE_OFF;
        }
        return block_co_truncate(s->data_file, size, false, prealloc, 0, errp);
    }
    if ((int64_t)p.host_end > bn->file->node->total_bytes) {
        return block_co_truncate(bn->file, p.host_end, false, PREALLOC_MODE_OFF, 0, errp);
    }
    return 0;
}

/* ---- shrinking ---- */

static int coroutine_fn shrink(BlockNode *bn, uint64_t size, PreallocMode prealloc, Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t old = s->header.size, from = ROUND_UP(size, (uint64_t)s->cluster_size);
    int ret = 0;

    if (prealloc != PREALLOC_MODE_OFF) {
        error_setg(errp, "Preallocation can't be used for shrinking an image");
        return -EINVAL;
    }
    if (from < old) {
        ret = qcow2_discard_clusters(bn, from, old - from, QCOW2_DISCARD_ALWAYS, true);
        if (ret < 0) {
            error_setg_errno(errp, -ret, "Failed to discard cropped clusters");
            return ret;
        }
    }
    ret = qcow2_write_caches(bn);
    if (ret == 0) {
        ret = qcow2_shrink_l1(bn, qcow2_l1_entries_for(s, size));
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Failed to reduce the number of L2 tables");
        return ret;
    }
    if (!qcow2_has_data_file(s)) {
        ret = qcow2_shrink_reftable(bn);
        if (ret < 0) {
            error_setg_errno(errp, -ret, "Failed to discard unused refblocks");
        }
        return ret;
    }
    return block_co_truncate(s->data_file, size, false, PREALLOC_MODE_OFF, 0, errp);
}

static void coroutine_fn cut_file(BlockNode *bn)
{
    Qcow2State *s = qcow2_state(bn);
    int64_t length = bn->file->node->total_bytes, last = qcow2_last_cluster(bn, length);
    Error *err = NULL;

    if (last < 0 || ((last + 1) << s->cluster_bits) >= length || qcow2_barrier(bn) < 0) {
        return;
    }
    if (block_co_truncate(bn->file, (last + 1) << s->cluster_bits, false, PREALLOC_MODE_OFF, 0,
                          &err) < 0) {
        error_prepend(&err, "Failed to truncate the tail of the image: ");
        warn_report_err(err);
    }
}

/* ---- growing ---- */

static int coroutine_fn grow(BlockNode *bn, uint64_t size, bool exact, PreallocMode prealloc,
                             Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    int ret;

    ret = qcow2_grow_l1(bn, qcow2_l1_entries_for(s, size), true);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Failed to grow the L1 table");
        return ret;
    }
    if (prealloc != PREALLOC_MODE_OFF) {
        return grow_prealloc(bn, s->header.size, size, prealloc, errp);
    }
    if (qcow2_has_data_file(s) &&
        (exact ? (int64_t)size != s->data_file->node->total_bytes :
                 (int64_t)size > s->data_file->node->total_bytes)) {
        return block_co_truncate(s->data_file, size, exact, PREALLOC_MODE_OFF, 0, errp);
    }
    return 0;
}

/* A backing file that is longer than the disk was must not show in the new part. */
static int coroutine_fn hide_backing(BlockNode *bn, uint64_t old, uint64_t size, Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t start = ROUND_UP(old, (uint64_t)s->subcluster_size);
    uint64_t end = bn->backing ? MIN(size, (uint64_t)bn->backing->node->total_bytes) : 0;
    g_autofree uint8_t *zeroes = NULL;
    IoVector v;
    int ret = 0;

    if (end <= old) {
        return 0;
    }
    if (start < end) {
        ret = qcow2_zeroize(bn, start, ROUND_UP(end, (uint64_t)s->subcluster_size) - start, 0);
    }
    if (ret == 0 && old < start) {
        uint64_t n = MIN(start, size) - old;

        zeroes = g_malloc0(n);
        io_vector_init_buf(&v, zeroes, n);
        co_mutex_unlock(&s->lock);
        ret = qcow2_co_pwritev(bn, old, n, &v, 0, 0);
        co_mutex_lock(&s->lock);
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Failed to zero out new clusters");
    }
    return ret;
}

static int coroutine_fn write_size(BlockNode *bn, uint64_t size, Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    uint8_t buf[8];
    int ret;

    store_be64(buf, size);
    ret = block_co_pwrite(bn->file, 24, sizeof(buf), buf, 0);
    if (ret == 0) {
        ret = block_co_flush(bn->file->node);
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Failed to update the image size");
        return ret;
    }
    s->header.size = size;
    return 0;
}

int coroutine_fn qcow2_truncate(BlockNode *bn, int64_t size, bool exact, PreallocMode prealloc,
                                Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    int64_t old = s->header.size;
    int ret;

    if (size % 512) {
        error_setg(errp, "The new size must be a multiple of %u", 512);
        return -EINVAL;
    }
    if (s->snapshot_count && s->header.version < 3) {
        error_setg(errp, "Can't resize a v2 image which has snapshots");
        return -ENOTSUP;
    }
    if (!qcow2_resize_bitmaps_ok(bn, errp)) {
        return -ENOTSUP;
    }
    if (s->data_file_raw && size > old && prealloc == PREALLOC_MODE_OFF) {
        /* Every cluster shows the file: also what others wrote there. */
        prealloc = PREALLOC_MODE_METADATA;
    }
    ret = size < old ? shrink(bn, size, prealloc, errp) : grow(bn, size, exact, prealloc, errp);
    if (ret == 0 && size > old) {
        ret = hide_backing(bn, old, size, errp);
    }
    if (ret < 0) {
        return ret;
    }
    if (prealloc != PREALLOC_MODE_OFF || size < old) {
        ret = qcow2_write_caches(bn);
        if (ret == 0) {
            ret = block_co_flush(bn->file->node);
        }
        if (ret < 0) {
            error_setg_errno(errp, -ret, "Could not flush cached metadata");
            return ret;
        }
    }
    ret = write_size(bn, size, errp);
    if (ret == 0 && size < old && !qcow2_has_data_file(s)) {
        cut_file(bn);
    }
    return ret < 0 ? ret : qcow2_make_caches(bn, errp);
}

int coroutine_fn qcow2_co_truncate(BlockNode *bn, int64_t size, bool exact, PreallocMode prealloc,
                                   unsigned flags, Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    int ret = -ENOMEDIUM;

    co_mutex_lock(&s->lock);
    if (s->dead) {
        error_setg(errp, "Image is corrupt");
    } else {
        qcow2_wait_allocs(bn, 0, INT64_MAX);
        ret = qcow2_truncate(bn, size, exact, prealloc, errp);
    }
    co_mutex_unlock(&s->lock);
    return ret;
}
