/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Compressed clusters (specification, "Compressed Clusters Descriptor"): zlib
 * (raw deflate, 4 KiB window), or zstd by a module. Work is done on the thread pool, for
 * several clusters of a request at a time.
 *
 * Coroutines on the node's loop. Compressed data comes from the image: the decoders
 * are given exact limits, and what they give is checked for length.
 */
#include "util/osdep.h"
#include <zlib.h>
#include "qcow2.h"
#include "block/formats/zstd-module.h"
#include "qcow2-crypto.h"
#include "util/module.h"
#include "util/thread.h"

#define MAX_WORKERS 8

static const ZstdModuleOps *zstd;

bool qcow2_compression_usable(uint8_t type, Error **errp)
{
    if (type == QCOW2_COMPRESSION_TYPE_ZLIB) {
        return true;
    }
    if (type != QCOW2_COMPRESSION_TYPE_ZSTD) {
        error_setg(errp, "qcow2: unknown compression type: %u", type);
        return false;
    }
    if (!zstd) {
        zstd = module_load("block-zstd", errp);
    }
    return zstd != NULL;
}

/* ---- on worker threads ---- */

typedef struct CompressJob {
    uint8_t type;
    const void *in;
    size_t in_size;
    void *out;
    size_t out_size;
} CompressJob;

static int deflate_cluster(CompressJob *j)
{
    z_stream z = {
        .next_in = (void *)j->in, .avail_in = j->in_size,
        .next_out = j->out, .avail_out = j->out_size,
    };
    int ret;

    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -12, 9, Z_DEFAULT_STRATEGY) != Z_OK) {
        return -EIO;
    }
    ret = deflate(&z, Z_FINISH);
    ret = ret == Z_STREAM_END ? (int)(j->out_size - z.avail_out) :
          ret == Z_OK ? -ENOMEM : -EIO;
    deflateEnd(&z);
    return ret;
}

static int inflate_cluster(CompressJob *j)
{
    z_stream z = {
        .next_in = (void *)j->in, .avail_in = j->in_size,
        .next_out = j->out, .avail_out = j->out_size,
    };
    int ret;

    if (inflateInit2(&z, -12) != Z_OK) {
        return -EIO;
    }
    ret = inflate(&z, Z_FINISH);
    /* Full output is what counts; there is anything behind it in the last sector. */
    ret = (ret == Z_STREAM_END || ret == Z_BUF_ERROR) && z.avail_out == 0 ? 0 : -EIO;
    inflateEnd(&z);
    return ret;
}

static int compress_job(void *opaque)
{
    CompressJob *j = opaque;

    return j->type == QCOW2_COMPRESSION_TYPE_ZSTD ?
               zstd->compress(j->out, j->out_size, j->in, j->in_size) :
               deflate_cluster(j);
}

static int decompress_job(void *opaque)
{
    CompressJob *j = opaque;

    return j->type == QCOW2_COMPRESSION_TYPE_ZSTD ?
               zstd->decompress(j->out, j->out_size, j->in, j->in_size) :
               inflate_cluster(j);
}

/* ---- reading ---- */

int coroutine_fn qcow2_read_compressed(BlockNode *bn, uint64_t entry, uint64_t guest,
                                       int64_t bytes, IoVector *v, size_t v_offset)
{
    Qcow2State *s = qcow2_state(bn);
    g_autofree uint8_t *in = NULL, *out = NULL;
    CompressJob job = { .type = s->header.compression };
    uint64_t offset;
    uint32_t in_size;
    int ret;

    qcow2_compressed_range(s, entry, &offset, &in_size);
    in = g_try_malloc(in_size);
    out = g_try_malloc(s->cluster_size);
    if (!in || !out) {
        return -ENOMEM;
    }
    block_co_debug_event(bn->file, BLKDEBUG_EVENT_READ_COMPRESSED);
    ret = block_co_pread(bn->file, offset, in_size, in, 0);
    if (ret < 0) {
        return ret;
    }
    job.in = in;
    job.in_size = in_size;
    job.out = out;
    job.out_size = s->cluster_size;
    ret = thread_pool_co_run(decompress_job, &job);
    if (ret < 0) {
        return -EIO;
    }
    iov_from_buf(v->iov, v->cnt, v_offset, out + qcow2_in_cluster(s, guest), bytes);
    return 0;
}

/* ---- writing ---- */

/* The cluster as it is: compression gained nothing. */
static int coroutine_fn write_plain(BlockNode *bn, uint64_t guest, uint8_t *buf)
{
    Qcow2State *s = qcow2_state(bn);
    int64_t bytes = MIN(s->cluster_size, bn->total_bytes - (int64_t)guest);
    IoVector v;

    io_vector_init_buf(&v, buf, bytes);
    return qcow2_co_pwritev(bn, guest, bytes, &v, 0, 0);
}

static int coroutine_fn write_compressed_data(BlockNode *bn, uint64_t guest, const uint8_t *buf,
                                              uint32_t bytes)
{
    Qcow2State *s = qcow2_state(bn);
    Qcow2Alloc *a;
    unsigned group;
    int ret;

    co_mutex_lock(&s->lock);
    ret = s->dead ? -ENOMEDIUM : qcow2_alloc_compressed(bn, guest, bytes, &a);
    if (ret < 0) {
        co_mutex_unlock(&s->lock);
        return ret;
    }
    ret = qcow2_check_overlap(bn, 0, a->host, bytes, true);
    qcow2_io_begin(s, &group);
    co_mutex_unlock(&s->lock);
    if (ret == 0) {
        block_co_debug_event(bn->file, BLKDEBUG_EVENT_WRITE_COMPRESSED);
        ret = block_co_pwrite(bn->file, a->host, bytes, buf, 0);
    }
    qcow2_io_end(s, group);
    co_mutex_lock(&s->lock);
    if (ret == 0) {
        ret = qcow2_link_compressed(bn, a);
    } else {
        qcow2_alloc_abort(bn, a);
    }
    co_mutex_unlock(&s->lock);
    return ret;
}

static int coroutine_fn write_cluster(BlockNode *bn, uint64_t guest, uint64_t bytes, IoVector *v,
                                      size_t v_offset)
{
    Qcow2State *s = qcow2_state(bn);
    g_autofree uint8_t *in = g_try_malloc(s->cluster_size);
    g_autofree uint8_t *out = g_try_malloc(s->cluster_size);
    CompressJob job = {
        .type = s->header.compression, .in = in, .in_size = s->cluster_size, .out = out,
        .out_size = s->cluster_size - 1,
    };
    int ret;

    if (!in || !out) {
        return -ENOMEM;
    }
    iov_to_buf(v->iov, v->cnt, v_offset, in, bytes);
    memset(in + bytes, 0, s->cluster_size - bytes);
    ret = thread_pool_co_run(compress_job, &job);
    if (ret == -ENOMEM) {
        return write_plain(bn, guest, in);
    }
    return ret < 0 ? ret : write_compressed_data(bn, guest, out, ret);
}

typedef struct CompressRequest {
    BlockNode *bn;
    uint64_t guest, bytes;
    IoVector *v;
    size_t v_offset;
    unsigned workers;
    int ret;
    CoQueue idle;
} CompressRequest;

/* Takes clusters until none is left. */
static void coroutine_fn compress_worker(void *opaque)
{
    CompressRequest *r = opaque;
    Qcow2State *s = qcow2_state(r->bn);

    while (r->bytes && r->ret == 0) {
        uint64_t guest = r->guest, n = MIN(r->bytes, s->cluster_size);
        size_t v_offset = r->v_offset;
        int ret;

        r->guest += n;
        r->v_offset += n;
        r->bytes -= n;
        ret = write_cluster(r->bn, guest, n, r->v, v_offset);
        r->ret = r->ret < 0 ? r->ret : ret;
    }
    r->workers--;
    co_queue_wake_all(&r->idle);
}

int coroutine_fn qcow2_co_pwritev_compressed(BlockNode *bn, int64_t offset, int64_t bytes,
                                             IoVector *v, size_t v_offset)
{
    Qcow2State *s = qcow2_state(bn);
    CompressRequest r = {
        .bn = bn, .guest = offset, .bytes = bytes, .v = v, .v_offset = v_offset,
    };
    uint64_t clusters = qcow2_clusters(s, bytes);

    if (qcow2_has_data_file(s) || s->crypto) {
        return -ENOTSUP;
    }
    if (qcow2_in_cluster(s, offset) ||
        (qcow2_in_cluster(s, bytes) && offset + bytes < bn->total_bytes)) {
        return -EINVAL;
    }
    if (clusters <= 1) {
        return bytes ? write_cluster(bn, offset, bytes, v, v_offset) : 0;
    }
    co_queue_init(&r.idle);
    while (r.workers < MIN(clusters, MAX_WORKERS) && r.bytes) {
        r.workers++;
        coroutine_enter(coroutine_create(compress_worker, &r));
    }
    while (r.workers) {
        co_queue_wait(&r.idle, NULL);
    }
    return r.ret;
}
