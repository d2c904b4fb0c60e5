/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtqueue without a machine, for tests/unit/test-virtqueue.c and
 * tests/fuzz/fuzz-virtqueue.c: guest memory is process memory behind a small
 * stand-in for system/memory.h, and a model of a well-behaved driver fills
 * rings of both formats.
 *
 * Guest memory: RAM A and RAM B, next to each other in guest addresses but not
 * in the process, then a hole, then a ROM.
 */
#ifndef TESTS_UNIT_VIRTQUEUE_FIXTURE_H
#define TESTS_UNIT_VIRTQUEUE_FIXTURE_H

#include "hw/virtio/virtqueue-internal.h"

#define RAM_A UINT64_C(0x10000)
#define RAM_B (RAM_A + RAM_SIZE)
#define RAM_SIZE UINT64_C(0x100000)
#define ROM UINT64_C(0x800000)
#define ROM_SIZE UINT64_C(0x10000)
/* Where rings and buffers lie. */
#define RING_DESC RAM_A
#define RING_DRIVER (RAM_A + 0x8000)
#define RING_DEVICE (RAM_A + 0xc000)
#define BUFFERS (RAM_A + 0x40000)

typedef struct Fixture {
    VirtioDevice vdev;
    VirtQueue vq;
} Fixture;

/* Features: bits VIRTIO_F_RING_PACKED, VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC. */
Fixture *fixture_new(uint64_t features, uint16_t size);
/* Also checks that every mapping was undone. */
void fixture_free(Fixture *f);
/* Map the ring afresh with zeroed memory. */
bool fixture_go_live(Fixture *f);
/* Why the device broke, or NULL. */
const char *fixture_broken(const Fixture *f);
unsigned fixture_notifications(void);
/* Bytes that were reported as dirty since the last call. */
uint64_t fixture_take_dirty(void);
/* Process memory behind a guest address of RAM A, B or ROM; NULL: none. */
uint8_t *fixture_mem(uint64_t addr);
/* A migration stream in memory. */
StateStream *fixture_stream_new(void);
void fixture_stream_free(StateStream *s);
/* Live mappings. */
int fixture_maps(void);

/* A buffer part for the driver model. */
typedef struct Seg {
    uint64_t addr;
    uint32_t len;
} Seg;

typedef struct Driver {
    Fixture *f;
    bool packed, event_idx;
    uint16_t size;
    uint16_t free_count;
    uint16_t *free_ids;         /* split: free descriptors; packed: free buffer ids */
    unsigned free_len;
    uint16_t *chain_len;        /* by head or id */
    uint16_t avail_idx, used_idx;
    bool avail_wrap, used_wrap;
    uint16_t added;             /* since the last look at kicks */
} Driver;

Driver *driver_new(Fixture *f, uint64_t features);
void driver_free(Driver *d);
/* At most 8 parts when indirect. Returns the id that will come back, or -1 when there is no room. */
int driver_add(Driver *d, const Seg *segs, unsigned out, unsigned in, bool indirect);
/* True when a used buffer was there. */
bool driver_get_used(Driver *d, uint16_t *id, uint32_t *len);
/* Would the driver kick for what it added since the last question? */
bool driver_should_kick(Driver *d);
/* Ask for a notification after @delay more used buffers (event index), or at all, or never. */
void driver_want_interrupt(Driver *d, bool enable, unsigned delay);

/* A repeatable source of numbers. */
uint32_t prng(uint64_t *state);

#endif
