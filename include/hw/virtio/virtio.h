/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtio 1.2 core (OASIS virtio-v1.2-cs01): device status, feature
 * negotiation, split (2.7) and packed (2.8) virtqueues. A device never knows
 * its transport; a transport never knows its device.
 *
 * Trust: everything in rings and buffers is the guest's and hostile. Ring
 * addresses and sizes are latched when the driver enables a queue. On any
 * violation the device is marked broken (virtio_device_broken()): it stops,
 * sets DEVICE_NEEDS_RESET and sends a configuration interrupt; only a reset
 * brings it back.
 *
 * Thread: status, features, configuration space and set-up with the machine
 * lock; a queue's pop/push/notify on the one thread that serves the queue (main
 * loop or an iothread), without that lock.
 *
 * Life of a data path: start() is called when the driver has set DRIVER_OK and
 * the VM runs; then each enabled queue's handler runs once, and again after
 * each kick. When either ends, or before a reset, handlers stop first, then
 * stop() is called.
 */
#ifndef HW_VIRTIO_VIRTIO_H
#define HW_VIRTIO_VIRTIO_H

#include "hw/core/device.h"
#include "system/memory.h"
#include "util/event-loop.h"

typedef struct VirtioDevice VirtioDevice;
typedef struct VirtQueue VirtQueue;
typedef struct VirtQueueElement VirtQueueElement;

#define VIRTIO_QUEUE_MAX_SIZE 1024      /* of a ring, and of an indirect table */
#define VIRTIO_QUEUE_MAX 1024
#define VIRTIO_NO_VECTOR 0xffff

extern const TypeInfo virtio_device_type;       /* "virtio-device", abstract */
extern const TypeInfo virtio_bus_type;          /* "virtio-bus" */

/*
 * What a device type gives: TYPE_IMPLS({ &virtio_device_type, &foo_ops }) on a
 * type whose parent is virtio_device_type and whose state starts with a
 * VirtioDevice. Reset, realize and state of the DeviceState part are the core's.
 * Its PCI form is one line in hw/virtio/virtio-pci-types.c.
 */
typedef struct VirtioDeviceOps {
    const char *name;           /* "virtio-blk" */
    uint16_t device_id;         /* virtio device type, e.g. 2 */
    uint16_t pci_class;
    DeviceCategory category;    /* of the device itself; a transport's types have their own */
    uint16_t default_vectors;   /* interrupt vectors when the user does not say; 0: one a queue and one more */
    bool rare_kicks;            /* not worth an eventfd for each queue: kicks arrive as register writes */
    size_t config_size;         /* of the device configuration space */
    bool (*realize)(VirtioDevice *vdev, Error **errp);  /* adds the queues */
    /*
     * The inverse (may be NULL); the data path is stopped and in-flight
     * elements were dropped by reset(). Queues go by themselves.
     */
    void (*unrealize)(VirtioDevice *vdev);
    /*
     * The driver wrote status 0, or system reset; the data path is stopped.
     * Give up every element that is still held, by virtqueue_detach() and
     * virtqueue_element_free(). May be NULL.
     */
    void (*reset)(VirtioDevice *vdev);
    /* The features to offer, from @features (properties and ring features). NULL: those. */
    uint64_t (*get_features)(VirtioDevice *vdev, uint64_t features);
    /* FEATURES_OK: @features is the driver's subset; false refuses. May be NULL. */
    bool (*set_features)(VirtioDevice *vdev, uint64_t features);
    /*
     * Fill @config (config_size bytes, which hold what was there before) from
     * the state; and take a write: @config has the new bytes, of which those at
     * [@addr, @addr + @len) were written. May be NULL.
     */
    void (*get_config)(VirtioDevice *vdev, uint8_t *config);
    void (*set_config)(VirtioDevice *vdev, const uint8_t *config, uint32_t addr, unsigned len);
    /*
     * Start and stop the data path, see above. After stop() the device may
     * still hold elements, but must not touch rings until start() (or reset()):
     * finish or park requests. Either may be NULL.
     */
    void (*start)(VirtioDevice *vdev);
    void (*stop)(VirtioDevice *vdev);
    /*
     * RING_RESET of one queue: its handler does not run any more; give up its
     * elements as in reset(). enable: the driver set up one queue again while
     * the device runs. May be NULL.
     */
    void (*queue_reset)(VirtioDevice *vdev, uint16_t index);
    void (*queue_enable)(VirtioDevice *vdev, uint16_t index);
    const StateTable *state;    /* of the device's own fields, besides the core's; may be NULL */
} VirtioDeviceOps;

/* What a transport does for the core. */
typedef struct VirtioTransportOps {
    void (*notify_queue)(DeviceState *transport, VirtQueue *vq);        /* used buffer notification; the queue's thread */
    void (*notify_config)(DeviceState *transport);                      /* configuration change; any thread */
    AddressSpace *(*dma)(DeviceState *transport);
    /*
     * Kicks of queue @index arrive at @n from now on (ioeventfd), or no more.
     * False: they do not; the transport calls virtio_queue_kick() instead.
     */
    bool (*assign_host_notifier)(DeviceState *transport, uint16_t index, EventNotifier *n, bool assign);
    /* The data path is about to start or has stopped: set up direct interrupts. May be NULL. */
    void (*running)(DeviceState *transport, bool running);
    /*
     * Queue @index is served outside of this process from now on, or no more. Gives what sends its
     * used buffer notification when set (NULL: impossible). May be NULL.
     */
    EventNotifier *(*queue_external)(DeviceState *transport, uint16_t index, bool external);
} VirtioTransportOps;

struct VirtioDevice {
    DeviceState dev;
    const VirtioDeviceOps *ops;
    DeviceState *transport;
    const VirtioTransportOps *transport_ops;
    AddressSpace *dma;
    uint8_t status;             /* atomics */
    uint8_t isr;                /* atomics */
    bool broken;                /* atomics */
    const bool *dma_enabled;    /* atomics; the transport's: may it access memory now (bus mastering)? */
    bool started;               /* between start() and stop() */
    bool vm_running;
    uint64_t host_features;     /* offered; feature properties set bits here before realize */
    uint64_t legacy_features;   /* features of drivers before virtio 1, which there are none of here: kept, not offered */
    uint64_t guest_features;    /* as the driver wrote them; accepted once FEATURES_OK is set */
    uint8_t *config;            /* ops->config_size bytes */
    uint8_t config_generation;  /* atomics */
    uint16_t config_vector;
    VirtQueue **queues;         /* queue_count pointers */
    uint16_t queue_count;
    uint32_t map_generation;    /* atomics; counts changes of the memory map */
    MemoryListener listener;
    bool listening, map_changed;
    uint64_t broken_count;
    const char *broken_why;
    struct RunStateNotifier *run_notifier;
};

#define VIRTIO_DEVICE(p) ((VirtioDevice *)object_cast(p, &virtio_device_type))

/*
 * Queues, in order of index, in ops->realize (or later, before the driver is
 * there). @handler runs on the queue's loop as described above. It pops until
 * virtqueue_pop() gives NULL, or stops early and asks for another run later
 * with virtio_queue_rerun(). Kicks are suppressed while it runs, and a look
 * for new buffers follows. One run gets at most as many buffers as the ring is
 * large (then pop gives NULL and the handler runs again soon), so that a guest
 * that keeps on adding does not hold the loop.
 */
typedef void VirtQueueHandler(VirtioDevice *vdev, VirtQueue *vq);
VirtQueue *virtio_queue_add(VirtioDevice *vdev, uint16_t size, VirtQueueHandler *handler);
VirtQueue *virtio_queue(VirtioDevice *vdev, uint16_t index);
uint16_t virtio_queue_index(const VirtQueue *vq);
VirtioDevice *virtio_queue_device(const VirtQueue *vq);
/* Enabled by the driver, the data path started, the device not broken. */
bool virtio_queue_ready(const VirtQueue *vq);
/* Serve the queue's kicks on @loop (default: main). While the data path is stopped. */
void virtio_queue_set_loop(VirtQueue *vq, EventLoop *loop);
EventLoop *virtio_queue_loop(const VirtQueue *vq);
/* The core leaves kicks alone around the handler: the device calls virtqueue_enable_kicks(). In realize. */
void virtio_queue_set_manual_kicks(VirtQueue *vq);
/* Run the handler soon. Any thread, between start() and stop(); else nothing happens. */
void virtio_queue_rerun(VirtQueue *vq);

/* A buffer: the driver's readable part (out) and writable part (in), mapped. */
struct VirtQueueElement {
    VirtQueue *vq;
    struct iovec *out, *in;
    uint16_t out_count, in_count;
    uint32_t out_size, in_size; /* sums, at most 2^32 - 1 together */
    uint16_t index;             /* head descriptor (split) or buffer id (packed) */
    uint16_t ndescs;            /* ring slots used (1 in a split ring) */
    /* Private to hw/virtio. */
    uint8_t windows;            /* which of the queue's memory windows it uses */
    bool mapped, direct, pooled;
    uint64_t *addrs;            /* guest address of each iovec, out before in */
    VirtQueueElement *next_free;
};

/*
 * The next available buffer, in an allocation of at least @size bytes (the
 * device's request struct starts with a VirtQueueElement; what follows it is
 * not initialised); free with virtqueue_element_free(). NULL when there is
 * none (now), or the device broke. Give the same @size for all of a queue.
 */
void *virtqueue_pop(VirtQueue *vq, size_t size);
/* Give it back with @written bytes in the in part. Publishes; does not notify. */
void virtqueue_push(VirtQueueElement *elem, uint32_t written);
/* The same in two steps, for several buffers that must appear at once (mergeable receive): @nth from 0. */
void virtqueue_fill(VirtQueueElement *elem, uint32_t written, unsigned nth);
void virtqueue_flush(VirtQueue *vq, unsigned count);
/* Put back the most recently popped one, unused: it will be popped again. In reverse order of pops. */
void virtqueue_unpop(VirtQueueElement *elem);
/* Unmap without giving it back (reset, broken). */
void virtqueue_detach(VirtQueueElement *elem);
void virtqueue_element_free(void *elem);
/* Interrupt the driver if it wants (event index, flags). */
void virtqueue_notify(VirtQueue *vq);
/* No buffer is available now (also when the queue is not ready). */
bool virtqueue_empty(VirtQueue *vq);
/* Ask for (or suppress) kicks; after enabling, check virtqueue_empty() again. Only with manual kicks. */
void virtqueue_enable_kicks(VirtQueue *vq, bool enable);
/* Number of popped and not yet pushed. */
unsigned virtqueue_in_flight(const VirtQueue *vq);

/* Migration of a request that the device holds while stopped. NULL: not acceptable. */
void virtqueue_element_save(StateStream *s, const VirtQueueElement *elem);
void *virtqueue_element_load(StateStream *s, VirtQueue *vq, size_t size);

static inline bool virtio_has_feature(const VirtioDevice *vdev, unsigned bit)
{
    return (vdev->guest_features >> bit) & 1;
}

/* The guest broke the rules. @why is a constant text for the trace. Any thread. */
void virtio_device_broken(VirtioDevice *vdev, const char *why);
/* The configuration space changed by itself. Any thread. */
void virtio_config_changed(VirtioDevice *vdev);

/* ---- for transports; all with the machine lock, except where said ---- */

/* Before the device is realized. *@dma_enabled says at any time whether guest memory may be accessed; NULL: always. */
void virtio_device_plug(VirtioDevice *vdev, DeviceState *transport, const VirtioTransportOps *ops,
                        const bool *dma_enabled);
/* Bits only get set; 0 resets. */
void virtio_set_status(VirtioDevice *vdev, uint8_t status);
void virtio_device_reset(VirtioDevice *vdev);
/* Half @index (0: bits 0-31, 1: bits 32-63) of the driver's features; ignored after FEATURES_OK. */
void virtio_set_guest_features(VirtioDevice *vdev, unsigned index, uint32_t value);
/* Guest memory may be accessed again: look at kicks that came meanwhile. */
void virtio_device_dma_enabled(VirtioDevice *vdev);
/* Reads beyond the end give zero; @len 1, 2, 4 or 8. */
uint64_t virtio_config_read(VirtioDevice *vdev, uint32_t addr, unsigned len);
void virtio_config_write(VirtioDevice *vdev, uint32_t addr, uint64_t value, unsigned len);
uint8_t virtio_isr_take(VirtioDevice *vdev);            /* read clears */

/* An index beyond the last queue reads 0 (vector: VIRTIO_NO_VECTOR), writes are ignored. */
uint16_t virtio_queue_max_size(VirtioDevice *vdev, uint16_t index);
uint16_t virtio_queue_size(VirtioDevice *vdev, uint16_t index);
/* Size and each half of the three ring addresses; ignored once enabled. */
void virtio_queue_set_size(VirtioDevice *vdev, uint16_t index, uint16_t size);
typedef enum VirtQueuePart { VIRTQUEUE_DESC, VIRTQUEUE_DRIVER, VIRTQUEUE_DEVICE, VIRTQUEUE_PARTS } VirtQueuePart;
void virtio_queue_set_addr(VirtioDevice *vdev, uint16_t index, VirtQueuePart part, bool high, uint32_t value);
uint64_t virtio_queue_addr(VirtioDevice *vdev, uint16_t index, VirtQueuePart part);
bool virtio_queue_enabled(VirtioDevice *vdev, uint16_t index);
/* Latches; a geometry that cannot work breaks the device, now or at DRIVER_OK. */
void virtio_queue_enable(VirtioDevice *vdev, uint16_t index);
void virtio_queue_reset(VirtioDevice *vdev, uint16_t index);
uint16_t virtio_queue_vector(VirtioDevice *vdev, uint16_t index);
void virtio_queue_set_vector(VirtioDevice *vdev, uint16_t index, uint16_t vector);
/* A kick that came as a register write. Any thread, without the machine lock too. */
void virtio_queue_kick(VirtioDevice *vdev, uint16_t index);

/* State of the core; what a transport embeds besides its own. */
extern const StateTable virtio_device_state;

#endif
