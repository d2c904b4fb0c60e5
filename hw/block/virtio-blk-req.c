/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-blk requests (virtio 1.2, 5.2.6): from a queue to the block layer and
 * back.
 *
 * Thread: the loop that serves the queues (main loop or an iothread), without
 * the machine lock. Trust: header and payload are the guest's. The header is
 * copied once; a request whose framing is wrong (no header, no status byte)
 * breaks the device, one that asks for the impossible gets IOERR or UNSUPP.
 */
#include "util/osdep.h"
#include "system/runstate.h"
#include "trace-hw-block.h"
#include "util/bswap.h"
#include "virtio-blk.h"

#define MAX_MERGE 32

/* Reads or writes of one round that follow each other on the disk. */
typedef struct MergeGroup {
    VirtioBlkReq *first, *last;
    unsigned count, pieces;
    int64_t bytes;
} MergeGroup;

/* ---- completion ---- */

void virtio_blk_notify_all(void *opaque)
{
    VirtioBlk *s = opaque;

    for (unsigned i = 0; i < s->num_queues; i++) {
        if (s->notify[i]) {
            s->notify[i] = false;
            virtqueue_notify(virtio_queue(&s->vdev, i));
        }
    }
}

static void req_free(VirtioBlkReq *req)
{
    if (req->own_vector) {
        io_vector_destroy(&req->v);
    }
    virtqueue_element_free(&req->elem);
}

static void req_complete(VirtioBlkReq *req, uint8_t status)
{
    VirtioBlk *s = req->s;
    VirtQueue *vq = req->elem.vq;

    trace_virtio_blk_complete(s, req, status);
    WRITE_ONCE(*req->status, status);
    virtqueue_push(&req->elem, req->elem.in_size);
    s->notify[virtio_queue_index(vq)] = true;
    bh_schedule(s->notify_bh);
    req_free(req);
}

static void req_park(VirtioBlkReq *req)
{
    VirtioBlk *s = req->s;

    req->next = NULL;
    *s->parked_last = req;
    s->parked_last = &req->next;
}

static bool req_is_read(const VirtioBlkReq *req)
{
    return req->type == VIRTIO_BLK_T_IN;
}

/* @ret from the block layer, for one request of a group. */
static void req_finish(VirtioBlkReq *req, int ret)
{
    VirtioBlk *s = req->s;
    BlockErrorAction action;

    if (ret == 0) {
        blk_acct_done(s->conf.blk, &req->acct);
        req_complete(req, VIRTIO_BLK_S_OK);
        return;
    }
    trace_virtio_blk_error(s, req, req->type, req->offset, ret);
    action = block_conf_error(&s->conf, req_is_read(req), -ret);
    switch (action) {
    case BLOCK_ERROR_ACTION_STOP:
        req_park(req);
        break;
    case BLOCK_ERROR_ACTION_IGNORE:
        blk_acct_done(s->conf.blk, &req->acct);
        req_complete(req, VIRTIO_BLK_S_OK);
        break;
    default:
        blk_acct_failed(s->conf.blk, &req->acct);
        req_complete(req, VIRTIO_BLK_S_IOERR);
        break;
    }
}

static void group_done(void *opaque, int ret)
{
    VirtioBlkReq *req = opaque, *next;

    if (req->group_next) {
        io_vector_destroy(&req->merged_v);
    }
    for (; req; req = next) {
        next = req->group_next;
        req->group_next = NULL;
        req_finish(req, ret);
    }
}

static void single_done(void *opaque, int ret)
{
    req_finish(opaque, ret);
}

/* ---- reads and writes, merged ---- */

static void group_submit(VirtioBlk *s, MergeGroup *g)
{
    VirtioBlkReq *req = g->first;
    IoVector *v;

    if (!req) {
        return;
    }
    v = &req->v;
    if (g->count > 1) {
        v = &req->merged_v;
        io_vector_init(v, g->pieces);
        for (VirtioBlkReq *r = req; r; r = r->group_next) {
            io_vector_concat(v, &r->v, 0, r->bytes);
        }
        blk_acct_merged(s->conf.blk, req_is_read(req) ? BLOCK_ACCT_READ : BLOCK_ACCT_WRITE,
                        g->count - 1);
    }
    g->first = NULL;
    if (req_is_read(req)) {
        blk_aio_preadv(s->conf.blk, req->offset, v, 0, group_done, req);
    } else {
        blk_aio_pwritev(s->conf.blk, req->offset, v, 0, group_done, req);
    }
}

static bool group_takes(VirtioBlk *s, const MergeGroup *g, const VirtioBlkReq *req)
{
    return g->first && s->request_merging && g->count < MAX_MERGE && g->first->type == req->type &&
           g->last->offset + g->last->bytes == req->offset &&
           g->pieces + req->v.cnt <= blk_max_iov(s->conf.blk) &&
           g->bytes + req->bytes <= blk_max_transfer(s->conf.blk);
}

static void group_add(VirtioBlk *s, MergeGroup *g, VirtioBlkReq *req)
{
    req->group_next = NULL;
    if (!group_takes(s, g, req)) {
        group_submit(s, g);
        *g = (MergeGroup){
            .first = req, .last = req, .count = 1, .pieces = req->v.cnt, .bytes = req->bytes
        };
        return;
    }
    g->last->group_next = req;
    g->last = req;
    g->count++;
    g->pieces += req->v.cnt;
    g->bytes += req->bytes;
}

bool virtio_blk_range_ok(VirtioBlk *s, uint64_t sector, uint64_t bytes)
{
    uint64_t length = blk_length(s->conf.blk);
    uint64_t block = s->conf.logical_block_size;

    return sector <= length / VIRTIO_BLK_SECTOR_SIZE &&
           bytes <= length - sector * VIRTIO_BLK_SECTOR_SIZE &&
           sector % (block / VIRTIO_BLK_SECTOR_SIZE) == 0 && bytes % block == 0;
}

static void start_rw(VirtioBlkReq *req, MergeGroup *g)
{
    VirtioBlk *s = req->s;
    BlockAcctType type = req_is_read(req) ? BLOCK_ACCT_READ : BLOCK_ACCT_WRITE;

    if (!req_is_read(req) && !blk_is_writable(s->conf.blk)) {
        blk_acct_invalid(s->conf.blk, type);
        req_complete(req, VIRTIO_BLK_S_IOERR);
        return;
    }
    if (req->offset < 0 ||
        !virtio_blk_range_ok(s, req->offset / VIRTIO_BLK_SECTOR_SIZE, req->bytes)) {
        blk_acct_invalid(s->conf.blk, type);
        req_complete(req, VIRTIO_BLK_S_IOERR);
        return;
    }
    blk_acct_start(s->conf.blk, &req->acct, req->bytes, type);
    group_add(s, g, req);
}

/* ---- the others ---- */

static void start_flush(VirtioBlkReq *req, MergeGroup *g)
{
    VirtioBlk *s = req->s;

    blk_acct_start(s->conf.blk, &req->acct, 0, BLOCK_ACCT_FLUSH);
    /*
     * Writes of this round that are still collected do not count as done, so their order does not
     * matter.
     */
    blk_aio_flush(s->conf.blk, single_done, req);
}

static void send_id(VirtioBlkReq *req)
{
    char id[VIRTIO_BLK_ID_BYTES] = { 0 };

    if (req->s->serial) {
        memcpy(id, req->s->serial, strnlen(req->s->serial, sizeof(id)));
    }
    iov_from_buf(req->v.iov, req->v.cnt, 0, id, MIN(sizeof(id), req->v.size));
    req_complete(req, VIRTIO_BLK_S_OK);
}

/* One segment, as announced: discard and write zeroes (5.2.6.2). */
static uint8_t check_segment(VirtioBlk *s, uint32_t type, uint64_t sector, uint32_t count,
                             uint32_t flags)
{
    bool is_discard = type == VIRTIO_BLK_T_DISCARD;
    uint32_t max = is_discard ? s->max_discard_sectors : s->max_write_zeroes_sectors;

    if (flags & ~VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP || (is_discard && flags)) {
        return VIRTIO_BLK_S_UNSUPP;
    }
    if (count > max || !virtio_blk_range_ok(s, sector, (uint64_t)count * VIRTIO_BLK_SECTOR_SIZE)) {
        return VIRTIO_BLK_S_IOERR;
    }
    return VIRTIO_BLK_S_OK;
}

static void start_unmap(VirtioBlkReq *req)
{
    VirtioBlk *s = req->s;
    bool is_discard = req->type == VIRTIO_BLK_T_DISCARD;
    struct virtio_blk_discard_write_zeroes seg;
    uint64_t sector;
    uint32_t count, flags;
    uint8_t status;

    if (!virtio_has_feature(&s->vdev,
                            is_discard ? VIRTIO_BLK_F_DISCARD : VIRTIO_BLK_F_WRITE_ZEROES)) {
        req_complete(req, VIRTIO_BLK_S_UNSUPP);
        return;
    }
    if (!blk_is_writable(s->conf.blk) || req->v.size != sizeof(seg) ||
        iov_to_buf(req->v.iov, req->v.cnt, 0, &seg, sizeof(seg)) != sizeof(seg)) {
        /* Several segments are more than max_*_seg says. */
        blk_acct_invalid(s->conf.blk, is_discard ? BLOCK_ACCT_UNMAP : BLOCK_ACCT_WRITE);
        req_complete(req, VIRTIO_BLK_S_IOERR);
        return;
    }
    sector = le64toh(seg.sector);
    count = le32toh(seg.num_sectors);
    flags = le32toh(seg.flags);
    status = check_segment(s, req->type, sector, count, flags);
    if (status != VIRTIO_BLK_S_OK) {
        blk_acct_invalid(s->conf.blk, is_discard ? BLOCK_ACCT_UNMAP : BLOCK_ACCT_WRITE);
        req_complete(req, status);
        return;
    }
    req->offset = sector * VIRTIO_BLK_SECTOR_SIZE;
    req->bytes = (int64_t)count * VIRTIO_BLK_SECTOR_SIZE;
    blk_acct_start(s->conf.blk, &req->acct, req->bytes,
                   is_discard ? BLOCK_ACCT_UNMAP : BLOCK_ACCT_WRITE);
    if (is_discard) {
        blk_aio_pdiscard(s->conf.blk, req->offset, req->bytes, single_done, req);
    } else {
        blk_aio_pwrite_zeroes(s->conf.blk, req->offset, req->bytes,
                              flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP ? BLOCK_REQ_MAY_UNMAP : 0,
                              single_done, req);
    }
}

static void start_request(VirtioBlkReq *req, MergeGroup *g)
{
    trace_virtio_blk_request(req->s, req, req->type, req->offset, req->bytes);
    switch (req->type) {
    case VIRTIO_BLK_T_IN:
    case VIRTIO_BLK_T_OUT:
        start_rw(req, g);
        break;
    case VIRTIO_BLK_T_FLUSH:
        start_flush(req, g);
        break;
    case VIRTIO_BLK_T_GET_ID:
        send_id(req);
        break;
    case VIRTIO_BLK_T_DISCARD:
    case VIRTIO_BLK_T_WRITE_ZEROES:
        start_unmap(req);
        break;
    default:
        req_complete(req, VIRTIO_BLK_S_UNSUPP);
        break;
    }
}

/* ---- framing ---- */

/* The payload, which starts @skip bytes into @iov and leaves out @tail at its end. */
static void take_payload(VirtioBlkReq *req, struct iovec *iov, unsigned count, size_t size,
                         size_t skip, size_t tail)
{
    IoVector whole;

    req->own_vector = false;
    if (skip && count && iov[0].iov_len == skip) {
        iov++;
        count--;
        size -= skip;
        skip = 0;
    }
    if (tail && count && iov[count - 1].iov_len == tail) {
        count--;
        size -= tail;
        tail = 0;
    }
    if (!skip && !tail) {
        io_vector_init_external(&req->v, iov, count);
        return;
    }
    io_vector_init_external(&whole, iov, count);
    io_vector_init(&req->v, count);
    io_vector_concat(&req->v, &whole, skip, size - skip - tail);
    req->own_vector = true;
}

bool virtio_blk_req_parse(VirtioBlk *s, VirtioBlkReq *req)
{
    VirtQueueElement *e = &req->elem;
    struct virtio_blk_outhdr hdr;
    unsigned last = e->in_count;
    uint64_t sector;

    req->s = s;
    req->group_next = req->next = NULL;
    if (iov_to_buf(e->out, e->out_count, 0, &hdr, sizeof(hdr)) != sizeof(hdr)) {
        return false;
    }
    while (last > 0 && e->in[last - 1].iov_len == 0) {
        last--;
    }
    if (last == 0) {
        return false;
    }
    req->status = (uint8_t *)e->in[last - 1].iov_base + e->in[last - 1].iov_len - 1;
    req->type = le32toh(hdr.type);
    sector = le64toh(hdr.sector);
    /* Out of range, and an overflow, show as a negative offset. */
    req->offset = sector > INT64_MAX / VIRTIO_BLK_SECTOR_SIZE ?
                      -1 :
                      (int64_t)(sector * VIRTIO_BLK_SECTOR_SIZE);
    if (req->type == VIRTIO_BLK_T_IN || req->type == VIRTIO_BLK_T_GET_ID) {
        take_payload(req, e->in, last, e->in_size, 0, 1);
    } else {
        take_payload(req, e->out, e->out_count, e->out_size, sizeof(hdr), 0);
    }
    req->bytes = req->v.size;
    return true;
}

void virtio_blk_handle_queue(VirtioDevice *vdev, VirtQueue *vq)
{
    VirtioBlk *s = (VirtioBlk *)vdev;
    MergeGroup g = { 0 };
    VirtioBlkReq *req;

    blk_io_plug(s->conf.blk);
    while ((req = virtqueue_pop(vq, sizeof(*req))) != NULL) {
        if (!virtio_blk_req_parse(s, req)) {
            virtqueue_detach(&req->elem);
            virtqueue_element_free(req);
            virtio_device_broken(vdev, "virtio-blk request without header or status");
            break;
        }
        start_request(req, &g);
    }
    group_submit(s, &g);
    blk_io_unplug(s->conf.blk);
}

/* ---- parked requests ---- */

void virtio_blk_restart(void *opaque)
{
    VirtioBlk *s = opaque;
    VirtioBlkReq *req = s->parked, *next;
    MergeGroup g = { 0 };

    s->parked = NULL;
    s->parked_last = &s->parked;
    blk_io_plug(s->conf.blk);
    for (; req; req = next) {
        next = req->next;
        start_request(req, &g);
    }
    group_submit(s, &g);
    blk_io_unplug(s->conf.blk);
}

void virtio_blk_drop_parked(VirtioBlk *s, int index)
{
    VirtioBlkReq **p = &s->parked;

    while (*p) {
        VirtioBlkReq *req = *p;

        if (index >= 0 && virtio_queue_index(req->elem.vq) != index) {
            p = &req->next;
            continue;
        }
        *p = req->next;
        virtqueue_detach(&req->elem);
        req_free(req);
    }
    s->parked_last = p;
}
