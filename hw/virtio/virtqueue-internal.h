/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the virtqueue implementation share: virtqueue.c (buffers,
 * memory, element pool), queue-run.c (kicks and handler runs), ring-split.c and
 * ring-packed.c (the two formats), virtio.c (life of the device).
 */
#ifndef HW_VIRTIO_VIRTQUEUE_INTERNAL_H
#define HW_VIRTIO_VIRTQUEUE_INTERNAL_H

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include "hw/virtio/virtio.h"
#include "util/bswap.h"

#define VQ_WINDOWS 4            /* bits of VirtQueueElement.windows */
#define VQ_POOL_IOVS 32         /* iovecs in a pooled element */
#define VQ_WINDOW_ALIGN GIB
#define RING_UNSIGNALLED_ALL 0x10000    /* how far the driver was told is not known */

/*
 * A piece of guest RAM that stays mapped between requests, so that most buffers
 * cost no look-up. @users counts elements; a window goes when the memory map
 * has changed and its last user is done.
 */
typedef struct RingWindow {
    GuestAddr addr;
    uint64_t len;               /* 0: free */
    uint8_t *host;
    RamBlock *block;
    uint64_t block_offset;      /* of @host */
    unsigned users;
    bool stale;                 /* of an older memory map: no new users */
} RingWindow;

/* One of the three memory areas of a ring, mapped while the queue is live. */
typedef struct RingPart {
    uint8_t *host;              /* NULL: not mapped */
    uint64_t len;
    RamBlock *block;            /* when the device writes to it */
    uint64_t block_offset;
    bool write;
} RingPart;

/* The buffer that is being collected from descriptors. */
typedef struct RingChain {
    unsigned out_count, in_count;
    uint64_t out_size, in_size;
    uint16_t index, ndescs;
    uint8_t windows;
    bool direct;                /* a part is not within one window */
} RingChain;

typedef struct RingScratch {
    struct iovec iov[VIRTIO_QUEUE_MAX_SIZE];
    uint64_t addr[VIRTIO_QUEUE_MAX_SIZE];
} RingScratch;

/* A descriptor, read once; the same 16 bytes in both formats. */
typedef struct RingDesc {
    uint64_t addr;
    uint32_t len;
    union {
        struct { uint16_t flags, next; } split;
        struct { uint16_t id, flags; } packed;
    };
} RingDesc;
_Static_assert(sizeof(RingDesc) == 16, "descriptor layout");

/* A used buffer that is filled and not yet flushed (packed ring). */
typedef struct RingFilled {
    uint32_t len;
    uint16_t id, ndescs;
} RingFilled;

struct VirtQueue {
    VirtioDevice *vdev;
    uint16_t index;

    /* As the driver set it up; fixed while enabled. Machine lock. */
    uint16_t max_size, size, vector;
    bool enabled;
    uint64_t addr[VIRTQUEUE_PARTS];

    /* Serving. The first group is fixed while the data path runs. */
    VirtQueueHandler *handler;
    EventLoop *loop;
    BottomHalf *bh;             /* runs the handler; made at the first start, lives as long as the queue */
    EventNotifier notifier;
    bool manual_kicks;
    bool external;              /* someone else serves the ring and takes the kicks: vhost.c */
    bool notifier_used;         /* the transport delivers kicks there */
    bool running;               /* atomics; handlers may run */
    /* The queue's thread. */
    bool in_handler, popped, rerun;
    unsigned budget;

    /* The ring while live; the queue's thread. */
    bool live, packed, event_idx, indirect;
    bool kicks_enabled;
    bool avail_wrap, used_wrap; /* packed */
    uint16_t next_avail;        /* split: free-running index; packed: slot */
    uint16_t avail_seen;        /* split: last read of the driver's index */
    uint16_t next_used;         /* likewise */
    uint32_t unsignalled;       /* steps of next_used since the driver was last told */
    unsigned in_flight;         /* buffers */
    unsigned in_flight_descs;
    uint32_t map_generation;
    RingPart part[VIRTQUEUE_PARTS];
    RingFilled *filled;         /* packed; made with the scratch lists */

    RingWindow window[VQ_WINDOWS];
    unsigned window_next;       /* the next victim */
    RingScratch *scratch;
    RingDesc *table;            /* copy of an indirect table that no window covers */
    int table_window;           /* that the indirect table of the current buffer lies in, or -1 */
    VirtQueueElement *pool;
    size_t pool_elem_size;
};

/* Load 16 bytes that the guest may be changing, exactly once. */
static inline RingDesc ring_desc_read(const void *p)
{
    RingDesc d;

    memcpy(&d, p, sizeof(d));
    __asm__ volatile("" : "+m"(d) : : "memory");
    d.addr = le64toh(d.addr);
    d.len = le32toh(d.len);
    d.split.flags = le16toh(d.split.flags);
    d.split.next = le16toh(d.split.next);
    return d;
}

/* Aligned accesses to rings: single loads and stores. */
static inline uint16_t ring_load16(const RingPart *part, uint64_t offset)
{
    return le16toh(READ_ONCE(*(const uint16_t *)(part->host + offset)));
}

static inline void ring_store16(RingPart *part, uint64_t offset, uint16_t value)
{
    WRITE_ONCE(*(uint16_t *)(part->host + offset), htole16(value));
}

/* The device wrote these bytes of a part: tell dirty logging. */
static inline void ring_part_dirty(RingPart *part, uint64_t offset, uint64_t len)
{
    ram_block_set_dirty(part->block, part->block_offset + offset, len);
}

/* Broken, as a value for "return". */
static inline bool ring_bad(VirtQueue *vq, const char *why)
{
    virtio_device_broken(vq->vdev, why);
    return false;
}

/* ---- virtqueue.c ---- */

/* Add the descriptor's memory to @c; false: the device broke. */
bool ring_chain_add(VirtQueue *vq, RingChain *c, uint64_t addr, uint32_t len, bool write);
/*
 * The indirect table at @addr, of @len bytes (checked): a pointer that stays
 * good until the next call, and how many descriptors in @count. NULL: broken.
 */
const RingDesc *ring_indirect_table(VirtQueue *vq, uint64_t addr, uint32_t len, unsigned *count);
/* Map the parts (check geometry first); false: the device broke. The queue's indices are not touched. */
bool virtqueue_map(VirtQueue *vq);
void virtqueue_unmap(VirtQueue *vq);
/* Indices to the state of a freshly set up ring. */
void virtqueue_init_indices(VirtQueue *vq);
/* Everything the queue allocated. */
void virtqueue_free(VirtQueue *vq);

/* ---- virtio.c ---- */

/* After the core's state was loaded: rings go live as they stood. False: not acceptable. */
bool virtio_device_resume(VirtioDevice *vdev);

/* ---- the two formats ---- */

/* Bytes of a part for a ring of @size, and its alignment. */
uint64_t split_part_len(const VirtQueue *vq, VirtQueuePart part);
uint64_t packed_part_len(const VirtQueue *vq, VirtQueuePart part);

/* Collect the next available buffer into @c and the scratch lists and step over it; false: none, or broken. */
bool split_fetch(VirtQueue *vq, RingChain *c);
void split_fill(VirtQueue *vq, const VirtQueueElement *elem, uint32_t written, unsigned nth);
void split_flush(VirtQueue *vq, unsigned count);
bool split_empty(VirtQueue *vq);
void split_enable_kicks(VirtQueue *vq, bool enable);
bool split_should_notify(VirtQueue *vq);

bool packed_fetch(VirtQueue *vq, RingChain *c);
void packed_unfetch(VirtQueue *vq, unsigned ndescs);
void packed_fill(VirtQueue *vq, const VirtQueueElement *elem, uint32_t written, unsigned nth);
void packed_flush(VirtQueue *vq, unsigned count);
bool packed_empty(VirtQueue *vq);
void packed_enable_kicks(VirtQueue *vq, bool enable);
bool packed_should_notify(VirtQueue *vq);

/* ---- queue-run.c ---- */

/* Start serving (each handler runs soon), and stop: returns when no handler runs or will. Machine lock. */
void virtqueue_run_start(VirtQueue *vq);
void virtqueue_run_stop(VirtQueue *vq);
/* The path of kicks, from DRIVER_OK to reset. Machine lock. */
void virtqueue_notifier_assign(VirtQueue *vq);
void virtqueue_notifier_release(VirtQueue *vq);

#endif
