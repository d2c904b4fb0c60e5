/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest reads and writes, flush and block status of qcow2.
 *
 * Coroutines on the node's loop. Data moves without the driver's lock; a group
 * count (qcow2_io_begin()) keeps host clusters from being used for something else
 * meanwhile. A write and what it copies around it are one request to the file.
 */
#include "util/osdep.h"
#include "qcow2.h"
#include "qcow2-crypto.h"

/* ---- reads ---- */

/* The extent at @offset, and its I/O counted: end it with qcow2_io_end(). */
static int coroutine_fn map_for_io(BlockNode *bn, int64_t offset, int64_t bytes, Qcow2Extent *x,
                                   unsigned *group)
{
    Qcow2State *s = qcow2_state(bn);
    int ret = 0;

    if (s->dead) {
        return -ENOMEDIUM;
    }
    if (!qcow2_map_cached(bn, offset, bytes, x)) {
        co_mutex_lock(&s->lock);
        ret = qcow2_map(bn, offset, bytes, x);
        if (ret == 0) {
            qcow2_io_begin(s, group);
        }
        co_mutex_unlock(&s->lock);
        return ret;
    }
    qcow2_io_begin(s, group);
    return 0;
}

static int coroutine_fn read_backing(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                     size_t v_offset)
{
    int64_t size = qcow2_state(bn)->header.size;
    int64_t inside = offset < size && bn->backing ? MIN(bytes, size - offset) : 0;

    if (inside < bytes) {
        iov_memset(v->iov, v->cnt, v_offset + inside, 0, bytes - inside);
    }
    if (!inside) {
        return 0;
    }
    block_co_debug_event(bn->file, BLKDEBUG_EVENT_READ_BACKING_AIO);
    return block_co_preadv(bn->backing, offset, inside, v, v_offset, 0);
}

static int coroutine_fn read_extent(BlockNode *bn, const Qcow2Extent *x, int64_t offset,
                                    IoVector *v, size_t v_offset)
{
    Qcow2State *s = qcow2_state(bn);

    switch (x->type) {
    case QCOW2_ZERO_PLAIN:
    case QCOW2_ZERO_ALLOC:
        iov_memset(v->iov, v->cnt, v_offset, 0, x->bytes);
        return 0;
    case QCOW2_UNALLOCATED_PLAIN:
    case QCOW2_UNALLOCATED_ALLOC:
        return read_backing(bn, offset, x->bytes, v, v_offset);
    case QCOW2_COMPRESSED:
        return qcow2_read_compressed(bn, x->host, offset, x->bytes, v, v_offset);
    default:
        if (s->crypto) {
            return qcow2_read_encrypted(bn, x->host, offset, x->bytes, v, v_offset);
        }
        block_co_debug_event(bn->file, BLKDEBUG_EVENT_READ_AIO);
        return block_co_preadv(s->data_file, x->host, x->bytes, v, v_offset, 0);
    }
}

int coroutine_fn qcow2_co_preadv(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                 size_t v_offset, unsigned flags)
{
    Qcow2State *s = qcow2_state(bn);
    int ret = 0;

    while (bytes > 0 && ret == 0) {
        Qcow2Extent x;
        unsigned group;

        ret = map_for_io(bn, offset, bytes, &x, &group);
        if (ret < 0) {
            return ret;
        }
        ret = read_extent(bn, &x, offset, v, v_offset);
        qcow2_io_end(s, group);
        offset += x.bytes;
        v_offset += x.bytes;
        bytes -= x.bytes;
    }
    return ret;
}

/* ---- writes ---- */

/* Does [offset, offset + bytes) read as zeroes, as far as tables tell? */
static bool coroutine_fn known_zero(BlockNode *bn, uint64_t offset, int64_t bytes)
{
    while (bytes > 0) {
        int64_t pnum, map;
        BlockNode *file;
        Qcow2Extent x;
        unsigned group;
        int status;

        if (map_for_io(bn, offset, bytes, &x, &group) < 0) {
            return false;
        }
        qcow2_io_end(qcow2_state(bn), group);
        pnum = x.bytes;
        if (x.type == QCOW2_NORMAL || x.type == QCOW2_COMPRESSED) {
            return false;
        }
        if ((x.type == QCOW2_UNALLOCATED_PLAIN || x.type == QCOW2_UNALLOCATED_ALLOC) &&
            bn->backing && offset < (uint64_t)bn->backing->node->total_bytes) {
            status = block_co_block_status(bn->backing->node, true, offset, x.bytes, &pnum, &map,
                                           &file);
            if (status < 0 || !(status & BLOCK_STATUS_ZERO) || pnum == 0) {
                return false;
            }
        }
        offset += pnum;
        bytes -= pnum;
    }
    return true;
}

typedef struct Cow {
    uint64_t head, tail;        /* bytes before and after the guest's */
    uint8_t *buf;
    IoVector v;
} Cow;

/* What surrounds the guest's data, read into one buffer. */
static int coroutine_fn cow_read(BlockNode *bn, const Qcow2Alloc *a, Cow *cow)
{
    IoVector part;
    int ret = 0;

    cow->buf = block_buffer_alloc(bn, cow->head + cow->tail);
    if (!cow->buf) {
        return -ENOMEM;
    }
    block_co_debug_event(bn->file, BLKDEBUG_EVENT_COW_READ);
    if (cow->head) {
        io_vector_init_buf(&part, cow->buf, cow->head);
        ret = qcow2_co_preadv(bn, a->cow_start, cow->head, &part, 0, 0);
    }
    if (cow->tail && ret == 0) {
        io_vector_init_buf(&part, cow->buf + cow->head, cow->tail);
        ret = qcow2_co_preadv(bn, a->data_end, cow->tail, &part, 0, 0);
    }
    return ret;
}

/* Zero what is around the guest's data; -ENOTSUP: not without writing buffers. */
static int coroutine_fn zero_around(BlockNode *bn, const Qcow2Alloc *a, uint64_t host,
                                    const Cow *cow)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t bytes = a->data_end - a->data_start;
    int ret = 0;

    block_co_debug_event(bn->file, BLKDEBUG_EVENT_CLUSTER_ALLOC_SPACE);
    if (!a->keep_old) {
        return block_co_pwrite_zeroes(s->data_file, host - cow->head,
                                      cow->head + bytes + cow->tail, BLOCK_REQ_NO_FALLBACK);
    }
    /* What the guest overwrites may hold data that a power failure must not turn into zeroes. */
    if (cow->head) {
        ret = block_co_pwrite_zeroes(s->data_file, host - cow->head, cow->head,
                                     BLOCK_REQ_NO_FALLBACK);
    }
    if (cow->tail && ret == 0) {
        ret = block_co_pwrite_zeroes(s->data_file, host + bytes, cow->tail, BLOCK_REQ_NO_FALLBACK);
    }
    return ret;
}

static int coroutine_fn write_cow(BlockNode *bn, const Qcow2Alloc *a, uint64_t host, IoVector *v,
                                  size_t v_offset)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t bytes = a->data_end - a->data_start;
    Cow cow = { .head = a->data_start - a->cow_start, .tail = a->cow_end - a->data_end };
    int ret;

    if (!s->crypto && known_zero(bn, a->cow_start, cow.head) &&
        known_zero(bn, a->data_end, cow.tail)) {
        ret = zero_around(bn, a, host, &cow);
        if (ret == 0) {
            block_co_debug_event(bn->file, BLKDEBUG_EVENT_WRITE_AIO);
            return block_co_pwritev(s->data_file, host, bytes, v, v_offset, 0);
        }
        if (ret != -ENOTSUP && ret != -EAGAIN) {
            return ret;
        }
    }
    ret = cow_read(bn, a, &cow);
    if (ret == 0) {
        io_vector_init(&cow.v, v->cnt + 2);
        if (cow.head) {
            io_vector_add(&cow.v, cow.buf, cow.head);
        }
        io_vector_concat(&cow.v, v, v_offset, bytes);
        if (cow.tail) {
            io_vector_add(&cow.v, cow.buf + cow.head, cow.tail);
        }
        block_co_debug_event(bn->file, BLKDEBUG_EVENT_WRITE_AIO);
        ret = s->crypto ? qcow2_write_encrypted(bn, host - cow.head, a->cow_start, cow.v.size,
                                                &cow.v, 0) :
                          block_co_pwritev(s->data_file, host - cow.head, cow.v.size, &cow.v, 0, 0);
        io_vector_destroy(&cow.v);
    }
    block_buffer_free(cow.buf);
    return ret;
}

static int coroutine_fn write_extent(BlockNode *bn, const Qcow2Alloc *a, uint64_t host,
                                     int64_t offset, int64_t bytes, IoVector *v, size_t v_offset)
{
    Qcow2State *s = qcow2_state(bn);

    if (a && (a->cow_start < a->data_start || a->cow_end > a->data_end)) {
        return write_cow(bn, a, host, v, v_offset);
    }
    block_co_debug_event(bn->file, BLKDEBUG_EVENT_WRITE_AIO);
    if (s->crypto) {
        return qcow2_write_encrypted(bn, host, offset, bytes, v, v_offset);
    }
    return block_co_pwritev(s->data_file, host, bytes, v, v_offset, 0);
}

/* Plain data in clusters of our own, whose tables are in memory: no lock is needed. */
static bool map_own_cached(BlockNode *bn, int64_t offset, int64_t bytes, Qcow2Extent *x)
{
    Qcow2State *s = qcow2_state(bn);

    return !s->allocs && qcow2_map_cached(bn, offset, bytes, x) && x->type == QCOW2_NORMAL &&
           x->copied;
}

static int coroutine_fn write_part(BlockNode *bn, int64_t offset, int64_t *bytes, IoVector *v,
                                   size_t v_offset)
{
    Qcow2State *s = qcow2_state(bn);
    Qcow2Alloc *a = NULL;
    Qcow2Extent x;
    uint64_t host;
    unsigned group;
    int ret = 0;

    if (map_own_cached(bn, offset, *bytes, &x)) {
        host = x.host;
        *bytes = x.bytes;
        ret = qcow2_check_overlap(bn, 0, host, *bytes, true);
        qcow2_io_begin(s, &group);
    } else {
        co_mutex_lock(&s->lock);
        ret = s->dead ? -ENOMEDIUM : qcow2_alloc_write(bn, offset, bytes, &host, &a);
        if (ret == 0) {
            ret = qcow2_check_overlap(bn, 0, host, *bytes, true);
        }
        qcow2_io_begin(s, &group);
        co_mutex_unlock(&s->lock);
    }
    if (ret == 0) {
        ret = write_extent(bn, a, host, offset, *bytes, v, v_offset);
    }
    qcow2_io_end(s, group);
    if (a) {
        co_mutex_lock(&s->lock);
        if (ret == 0) {
            ret = qcow2_alloc_link(bn, a);
        } else {
            qcow2_alloc_abort(bn, a);
        }
        qcow2_process_discards(bn, ret);
        co_mutex_unlock(&s->lock);
    }
    return ret;
}

int coroutine_fn qcow2_co_pwritev(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                  size_t v_offset, unsigned flags)
{
    Qcow2State *s = qcow2_state(bn);
    int ret = 0;

    if (s->dead) {
        return -ENOMEDIUM;
    }
    while (bytes > 0 && ret == 0) {
        int64_t n = bytes;

        ret = write_part(bn, offset, &n, v, v_offset);
        offset += n;
        v_offset += n;
        bytes -= n;
    }
    return ret;
}

int coroutine_fn qcow2_co_flush_to_os(BlockNode *bn)
{
    Qcow2State *s = qcow2_state(bn);
    int ret;

    if (s->dead || !s->l2_cache) {
        return 0;
    }
    co_mutex_lock(&s->lock);
    /* The counts of a dirty image are made right later. */
    ret = s->lazy_refcounts ? qcow2_cache_write(s->l2_cache) : qcow2_write_caches(bn);
    co_mutex_unlock(&s->lock);
    return ret;
}

/* ---- block status ---- */

#define PREALLOCATION_LOOK (UINT64_C(1) << 24)    /* clusters */

/*
 * Was the image created with all its tables filled? Then most of what they call data are holes in
 * the file, and it pays to ask the file.
 */
static void coroutine_fn detect_preallocation(BlockNode *bn)
{
    Qcow2State *s = qcow2_state(bn);
    int64_t file_bytes = bn->file->node->total_bytes;
    int64_t allocated = block_allocated_size(bn->file->node);
    uint64_t real, threshold, i, used = 0, count, last;

    s->metadata_preallocation_checked = true;
    if (allocated < 0) {
        return;
    }
    real = allocated / s->cluster_size;
    threshold = MAX(real * 10 / 9, real + 2);
    /* A hint is not worth more: a file may claim any length, with nothing in it. */
    last = MIN(qcow2_clusters(s, file_bytes), (uint64_t)s->reftable_used << s->refblock_bits);
    for (i = 0; i < MIN(last, PREALLOCATION_LOOK) && used < threshold; i++) {
        if (qcow2_refcount_get(bn, i, &count) < 0) {
            return;
        }
        used += !!count;
    }
    s->metadata_preallocation = used >= threshold;
}

int coroutine_fn qcow2_co_block_status(BlockNode *bn, bool want_zero, int64_t offset, int64_t bytes,
                                       int64_t *pnum, int64_t *map, BlockNode **file)
{
    Qcow2State *s = qcow2_state(bn);
    int ret, status = 0;
    Qcow2Extent x;

    co_mutex_lock(&s->lock);
    if (!s->metadata_preallocation_checked) {
        detect_preallocation(bn);
    }
    ret = s->dead ? -ENOMEDIUM : qcow2_map(bn, offset, bytes, &x);
    co_mutex_unlock(&s->lock);
    if (ret < 0) {
        return ret;
    }
    *pnum = x.bytes;
    if ((x.type == QCOW2_NORMAL || x.type == QCOW2_ZERO_ALLOC ||
         x.type == QCOW2_UNALLOCATED_ALLOC) && !s->crypto) {
        *map = x.host;
        *file = s->data_file->node;
        status |= BLOCK_STATUS_OFFSET_VALID;
    }
    if (x.type == QCOW2_ZERO_PLAIN || x.type == QCOW2_ZERO_ALLOC) {
        status |= BLOCK_STATUS_ZERO;
    } else if (x.type == QCOW2_NORMAL || x.type == QCOW2_COMPRESSED) {
        status |= BLOCK_STATUS_DATA;
        if (s->metadata_preallocation && status & BLOCK_STATUS_OFFSET_VALID) {
            status |= BLOCK_STATUS_RECURSE;
        }
    }
    return status;
}
