/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The two halves of virtio-blk: virtio-blk.c (device), virtio-blk-req.c (data path). */
#ifndef HW_BLOCK_VIRTIO_BLK_H
#define HW_BLOCK_VIRTIO_BLK_H

#include <linux/virtio_blk.h>
#include "hw/block/block.h"
#include "hw/virtio/virtio.h"
#include "util/iov.h"

#define VIRTIO_BLK_SECTOR_SIZE 512

typedef struct VirtioBlk VirtioBlk;
typedef struct VirtioBlkReq VirtioBlkReq;

struct VirtioBlk {
    VirtioDevice vdev;
    BlockConf conf;
    char *serial;
    Object *iothread;           /* property; an IoThread or NULL */
    uint16_t num_queues, queue_size;
    bool config_wce, discard, write_zeroes, request_merging, seg_max_adjust;
    uint32_t max_discard_sectors, max_write_zeroes_sectors;

    bool original_wce;          /* what a reset goes back to */
    EventLoop *loop;            /* of all queues */
    BottomHalf *notify_bh;      /* interrupts once a round */
    bool *notify;               /* which queues want one */

    /*
     * Requests that failed and wait for the VM to run again; the loop's thread, or data path
     * stopped.
     */
    VirtioBlkReq *parked, **parked_last;
};

struct VirtioBlkReq {
    VirtQueueElement elem;      /* first */
    VirtioBlk *s;
    uint32_t type;
    bool own_vector;            /* @v has memory of its own */
    uint8_t *status;
    int64_t offset, bytes;
    IoVector v;                 /* the payload */
    IoVector merged_v;          /* of the whole group, in its first request */
    BlockAcctCookie acct;
    VirtioBlkReq *group_next;   /* merged with this one */
    VirtioBlkReq *next;         /* parked */
};

/* ---- virtio-blk-req.c ---- */

void virtio_blk_handle_queue(VirtioDevice *vdev, VirtQueue *vq);
/* Start the parked requests again; on the loop's thread. */
void virtio_blk_restart(void *opaque);
/* Give up the parked requests of queue @index, or of all (-1); data path stopped. */
void virtio_blk_drop_parked(VirtioBlk *s, int index);
/* Interrupts that are due; on the loop's thread. */
void virtio_blk_notify_all(void *opaque);
/* Is [offset, offset + bytes) in whole blocks inside the disk? */
bool virtio_blk_range_ok(VirtioBlk *s, uint64_t sector, uint64_t bytes);
/* Fill in what a request that came from a state stream lacks; false when it is malformed. */
bool virtio_blk_req_parse(VirtioBlk *s, VirtioBlkReq *req);

#endif
