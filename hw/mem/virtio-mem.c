/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-mem (virtio 1.2, 5.15): a range of guest memory of which the guest uses as
 * much as it is asked to, in blocks that it takes and gives back.
 *
 * Thread: main loop. Trust: the guest names any address and number of blocks,
 * in any order. All of the range is mapped; a block that is not plugged reads as
 * zeroes until the guest writes to it, and what it holds then is given back to
 * the host with the next reset.
 */
#include "util/osdep.h"
#include <linux/virtio_ids.h>
#include <linux/virtio_mem.h>
#include <sys/mman.h>
#include "hw/mem/memory-device.h"
#include "hw/pci/pci_regs.h"
#include "hw/virtio/virtio.h"
#include "qapi-events.h"
#include "trace-hw-mem.h"
#include "util/bswap.h"
#include "util/iov.h"

#define QUEUE_SIZE 128
#define MIN_BLOCK MIB
#define DEFAULT_BLOCK (2 * MIB)
/* The guest may use so much more address space than was asked for, to find room among what it cannot give back. */
#define USABLE_EXTENT (256 * MIB)
#define CONFIG_SIZE sizeof(struct virtio_mem_config)
#define BITS_PER_WORD 64

typedef struct VirtioMem {
    VirtioDevice vdev;
    MemoryDevice mem;
    VirtQueue *vq;
    /* Properties. */
    Object *memdev;
    uint64_t memaddr, block_size, requested_size;
    uint32_t node;
    bool prealloc;
    int unplugged_inaccessible; /* OnOffAuto */
    /* State. */
    uint64_t size;              /* plugged bytes */
    uint64_t usable_size;
    uint64_t *plugged;          /* a bit per block */
    uint32_t word_count;
} VirtioMem;

/* ---- blocks ---- */

static uint64_t block_count(const VirtioMem *s)
{
    return s->mem.size / s->block_size;
}

static bool block_is_plugged(const VirtioMem *s, uint64_t n)
{
    return s->plugged[n / BITS_PER_WORD] & BIT(n % BITS_PER_WORD);
}

static void set_blocks(VirtioMem *s, uint64_t first, uint64_t count, bool plugged)
{
    for (uint64_t n = first; n < first + count; n++) {
        if (plugged) {
            s->plugged[n / BITS_PER_WORD] |= BIT(n % BITS_PER_WORD);
        } else {
            s->plugged[n / BITS_PER_WORD] &= ~BIT(n % BITS_PER_WORD);
        }
    }
}

/* How many of them are plugged. */
static uint64_t count_plugged(const VirtioMem *s, uint64_t first, uint64_t count)
{
    uint64_t found = 0;

    for (uint64_t n = first; n < first + count; n++) {
        found += block_is_plugged(s, n);
    }
    return found;
}

static void discard(VirtioMem *s, uint64_t offset, uint64_t size)
{
    ram_block_discard(s->mem.region->ram->host + offset, size);
}

/* What was asked for, and some more; it only shrinks when nothing is in the way. */
static void resize_usable(VirtioMem *s)
{
    uint64_t want = s->requested_size ? MIN(s->mem.size, s->requested_size + USABLE_EXTENT) : 0;

    if (want > s->usable_size || s->size == 0) {
        s->usable_size = want;
    }
}

static void size_changed(VirtioMem *s)
{
    g_autofree char *path = object_path(s->mem.dev);

    trace_virtio_mem_size(s, s->size, s->requested_size);
    qapi_event_send_MEMORY_DEVICE_SIZE_CHANGE(s->mem.dev->id, s->size, path);
}

static void unplug_all(VirtioMem *s)
{
    bool change = s->size != 0;

    discard(s, 0, s->mem.size);
    memset(s->plugged, 0, s->word_count * sizeof(uint64_t));
    s->size = 0;
    resize_usable(s);
    if (change) {
        size_changed(s);
    }
}

/* ---- requests ---- */

/* The blocks that a request names, as far as they are all in the usable part. */
static bool request_range(const VirtioMem *s, uint64_t addr, uint16_t count, uint64_t *first)
{
    uint64_t offset = addr - s->mem.addr;

    if (addr < s->mem.addr || addr % s->block_size || !count || offset >= s->usable_size ||
        count * s->block_size > s->usable_size - offset) {
        return false;
    }
    *first = offset / s->block_size;
    return true;
}

static bool preallocate(const VirtioMem *s, uint64_t first, uint64_t count)
{
    return !s->prealloc || madvise(s->mem.region->ram->host + first * s->block_size,
                                   count * s->block_size, MADV_POPULATE_WRITE) == 0;
}

static uint16_t plug_blocks(VirtioMem *s, uint64_t first, uint64_t count)
{
    if (s->size + count * s->block_size > s->requested_size) {
        return VIRTIO_MEM_RESP_NACK;
    }
    if (count_plugged(s, first, count)) {
        return VIRTIO_MEM_RESP_ERROR;
    }
    if (!preallocate(s, first, count)) {
        return VIRTIO_MEM_RESP_BUSY;
    }
    set_blocks(s, first, count, true);
    s->size += count * s->block_size;
    size_changed(s);
    return VIRTIO_MEM_RESP_ACK;
}

static uint16_t unplug_blocks(VirtioMem *s, uint64_t first, uint64_t count)
{
    if (count_plugged(s, first, count) != count) {
        return VIRTIO_MEM_RESP_ERROR;
    }
    discard(s, first * s->block_size, count * s->block_size);
    set_blocks(s, first, count, false);
    s->size -= count * s->block_size;
    size_changed(s);
    return VIRTIO_MEM_RESP_ACK;
}

static void serve_request(VirtioMem *s, const struct virtio_mem_req *req, struct virtio_mem_resp *resp)
{
    uint16_t type = le16toh(req->type);
    /* The three kinds with a range have it in the same place. */
    uint64_t count = le16toh(req->u.plug.nb_blocks), first, found;

    resp->type = htole16(VIRTIO_MEM_RESP_ERROR);
    if (type == VIRTIO_MEM_REQ_UNPLUG_ALL) {
        unplug_all(s);
        resp->type = htole16(VIRTIO_MEM_RESP_ACK);
        return;
    }
    if (!request_range(s, le64toh(req->u.plug.addr), count, &first)) {
        return;
    }
    switch (type) {
    case VIRTIO_MEM_REQ_PLUG:
        resp->type = htole16(plug_blocks(s, first, count));
        break;
    case VIRTIO_MEM_REQ_UNPLUG:
        resp->type = htole16(unplug_blocks(s, first, count));
        break;
    case VIRTIO_MEM_REQ_STATE:
        found = count_plugged(s, first, count);
        resp->type = htole16(VIRTIO_MEM_RESP_ACK);
        resp->u.state.state = htole16(found == count ? VIRTIO_MEM_STATE_PLUGGED
                                      : found ? VIRTIO_MEM_STATE_MIXED : VIRTIO_MEM_STATE_UNPLUGGED);
        break;
    default:
        break;
    }
}

static void serve_queue(VirtioDevice *vdev, VirtQueue *vq)
{
    VirtioMem *s = (VirtioMem *)vdev;
    VirtQueueElement *elem;
    unsigned served = 0;

    while ((elem = virtqueue_pop(vq, sizeof(*elem)))) {
        struct virtio_mem_req req;
        struct virtio_mem_resp resp = { 0 };

        if (iov_to_buf(elem->out, elem->out_count, 0, &req, sizeof(req)) < sizeof(req) ||
            elem->in_size < sizeof(resp)) {
            virtio_device_broken(vdev, "virtio-mem request or response too short");
            virtqueue_detach(elem);
            virtqueue_element_free(elem);
            return;
        }
        serve_request(s, &req, &resp);
        iov_from_buf(elem->in, elem->in_count, 0, &resp, sizeof(resp));
        virtqueue_push(elem, sizeof(resp));
        virtqueue_element_free(elem);
        served++;
    }
    if (served) {
        virtqueue_notify(vq);
    }
}

/* ---- configuration ---- */

static void mem_get_config(VirtioDevice *vdev, uint8_t *config)
{
    VirtioMem *s = (VirtioMem *)vdev;
    struct virtio_mem_config c = {
        .block_size = htole64(s->block_size), .node_id = htole16(s->node), .addr = htole64(s->mem.addr),
        .region_size = htole64(s->mem.size), .usable_region_size = htole64(s->usable_size),
        .plugged_size = htole64(s->size), .requested_size = htole64(s->requested_size),
    };

    memcpy(config, &c, sizeof(c));
}

static bool inaccessible(const VirtioMem *s)
{
    /* Reads of file-backed memory allocate it; those of anonymous private memory do not. */
    return s->unplugged_inaccessible == ON_OFF_AUTO_AUTO ? s->mem.region->ram->fd >= 0
                                                         : s->unplugged_inaccessible == ON_OFF_AUTO_ON;
}

static uint64_t mem_get_features(VirtioDevice *vdev, uint64_t features)
{
    features |= BIT(VIRTIO_MEM_F_ACPI_PXM);
    return inaccessible((VirtioMem *)vdev) ? features | BIT(VIRTIO_MEM_F_UNPLUGGED_INACCESSIBLE) : features;
}

/* A driver that would read what is not plugged cannot have it. */
static bool mem_set_features(VirtioDevice *vdev, uint64_t features)
{
    return !inaccessible((VirtioMem *)vdev) || (features & BIT(VIRTIO_MEM_F_UNPLUGGED_INACCESSIBLE));
}

/* ---- properties ---- */

static bool set_requested(Object *obj, const ObjectProperty *p, const JsonValue *value, Error **errp)
{
    VirtioMem *s = (VirtioMem *)obj;
    uint64_t old = s->requested_size;

    if (!prop_kind_size.set(obj, p, value, errp)) {
        return false;
    }
    if (!s->vdev.dev.realized) {
        return true;
    }
    if (s->requested_size > s->mem.size) {
        error_setg(errp, "'requested-size' cannot exceed the memory backend size(0x%" PRIx64 ")", s->mem.size);
    } else if (s->requested_size % s->block_size) {
        error_setg(errp, "'requested-size' has to be multiples of 'block-size' (0x%" PRIx64 ")", s->block_size);
    } else {
        if (s->requested_size != old) {
            resize_usable(s);
            virtio_config_changed(&s->vdev);
        }
        return true;
    }
    s->requested_size = old;
    return false;
}

static bool set_block_size(Object *obj, const ObjectProperty *p, const JsonValue *value, Error **errp)
{
    uint64_t *field = property_field(obj, p), old = *field;

    if (!prop_kind_size.set(obj, p, value, errp)) {
        return false;
    }
    if (*field >= MIN_BLOCK && IS_POWER_OF_2(*field)) {
        return true;
    }
    if (*field < MIN_BLOCK) {
        error_setg(errp, "'%s' property has to be at least 0x%" PRIx64, p->name, (uint64_t)MIN_BLOCK);
    } else {
        error_setg(errp, "'%s' property has to be a power of two", p->name);
    }
    *field = old;
    return false;
}

static bool get_size(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    *value = json_uint(((VirtioMem *)obj)->size);
    return true;
}

static const ObjectProperty mem_properties[] = {
    PROP_LINK("memdev", VirtioMem, memdev, &memory_backend_type, "the memory"),
    PROP_UINT64("memaddr", VirtioMem, memaddr, 0, "guest physical address; 0: anywhere"),
    PROP_UINT32("node", VirtioMem, node, 0, "NUMA node"),
    PROP_BOOL("prealloc", VirtioMem, prealloc, false, "touch all pages of a block when it is plugged"),
    PROP_ON_OFF_AUTO("unplugged-inaccessible", VirtioMem, unplugged_inaccessible, ON_OFF_AUTO_AUTO,
                     "the guest must not read what is not plugged"),
    { .name = "block-size", .kind = &prop_kind_size, .offset = offsetof(VirtioMem, block_size),
      .set = set_block_size, .description = "memory comes and goes in blocks of this size" },
    { .name = "requested-size", .kind = &prop_kind_size, .offset = offsetof(VirtioMem, requested_size),
      .set = set_requested, .flags = PROP_RUNTIME, .description = "bytes that the guest should use" },
    PROP_CUSTOM("size", "size", get_size, NULL, PROP_READ_ONLY, "bytes that the guest uses"),
    PROP_END
};

/* ---- life ---- */

static uint64_t plugged_bytes(const MemoryDevice *d)
{
    return container_of(d, VirtioMem, mem)->size;
}

static void describe(const MemoryDevice *d, MemoryDeviceInfo *info)
{
    const VirtioMem *s = container_of(d, VirtioMem, mem);
    VirtioMEMDeviceInfo *i = g_new0(VirtioMEMDeviceInfo, 1);

    i->id = g_strdup(d->dev->id);
    i->memaddr = d->addr;
    i->requested_size = s->requested_size;
    i->size = s->size;
    i->max_size = d->size;
    i->block_size = s->block_size;
    i->node = s->node;
    i->memdev = object_path(s->memdev);
    info->type = MEMORY_DEVICE_INFO_KIND_VIRTIO_MEM;
    info->u.virtio_mem.data = i;
}

/* A system reset gives everything back; a driver's reset of the device does not. */
static void system_reset(void *opaque)
{
    unplug_all(opaque);
}

static bool check_sizes(const VirtioMem *s, Error **errp)
{
    if (s->mem.size % s->block_size) {
        error_setg(errp, "'memdev' property memory size has to be multiples of 'block-size' (0x%" PRIx64 ")",
                   s->block_size);
    } else if (s->requested_size > s->mem.size) {
        error_setg(errp, "'requested-size' property value (0x%" PRIx64 ") exceeds the memory size (0x%" PRIx64 ")",
                   s->requested_size, s->mem.size);
    } else if (s->requested_size % s->block_size) {
        error_setg(errp, "'requested-size' has to be multiples of 'block-size' (0x%" PRIx64 ")", s->block_size);
    } else if (s->memaddr % s->block_size) {
        error_setg(errp, "'memaddr' property has to be multiples of 'block-size' (0x%" PRIx64 ")", s->block_size);
    } else {
        return true;
    }
    return false;
}

static bool mem_realize(VirtioDevice *vdev, Error **errp)
{
    VirtioMem *s = (VirtioMem *)vdev;
    MemoryBackend *backend;

    if (!memory_device_claim(s->memdev, errp)) {
        return false;
    }
    backend = MEMORY_BACKEND(s->memdev);
    s->mem = (MemoryDevice){
        .dev = vdev->transport, .region = memory_backend_region(backend), .addr = s->memaddr,
        .size = memory_backend_size(backend), .slot = -1, .node = s->node,
        .plugged = plugged_bytes, .describe = describe,
    };
    if (!s->block_size) {
        s->block_size = MAX(DEFAULT_BLOCK, s->mem.region->ram->page_size);
    }
    s->mem.align = MAX(s->block_size, s->mem.region->ram->page_size);
    if (!check_sizes(s, errp) || !memory_device_plug(&s->mem, errp)) {
        memory_backend_release(backend);
        return false;
    }
    s->memaddr = s->mem.addr;
    s->word_count = DIV_ROUND_UP(block_count(s), BITS_PER_WORD);
    s->plugged = g_new0(uint64_t, s->word_count);
    s->vq = virtio_queue_add(vdev, QUEUE_SIZE, serve_queue);
    resize_usable(s);
    reset_register(system_reset, s);
    return true;
}

static void mem_unrealize(VirtioDevice *vdev)
{
    VirtioMem *s = (VirtioMem *)vdev;

    reset_unregister(system_reset, s);
    memory_device_unplug(&s->mem);
    memory_backend_release(MEMORY_BACKEND(s->memdev));
    g_clear_pointer(&s->plugged, g_free);
    s->size = s->usable_size = 0;
}

/* ---- state ---- */

/* What both sides must agree on comes first. */
static void save_blocks(StateStream *stream, const void *field, const void *opaque)
{
    const VirtioMem *s = opaque;

    state_put_u64(stream, s->mem.addr);
    state_put_u64(stream, s->mem.size);
    state_put_u64(stream, s->block_size);
    for (uint32_t i = 0; i < s->word_count; i++) {
        state_put_u64(stream, s->plugged[i]);
    }
}

static bool load_blocks(StateStream *stream, void *field, void *opaque)
{
    VirtioMem *s = opaque;
    uint64_t addr = state_get_u64(stream), size = state_get_u64(stream), block = state_get_u64(stream);

    if (addr != s->mem.addr || size != s->mem.size || block != s->block_size) {
        state_fail(stream, "virtio-mem of 0x%" PRIx64 " bytes at 0x%" PRIx64 " in blocks of 0x%" PRIx64
                   ": this one has 0x%" PRIx64 " at 0x%" PRIx64 " in blocks of 0x%" PRIx64,
                   size, addr, block, s->mem.size, s->mem.addr, s->block_size);
        return false;
    }
    for (uint32_t i = 0; i < s->word_count; i++) {
        s->plugged[i] = state_get_u64(stream);
    }
    if (block_count(s) % BITS_PER_WORD) {
        s->plugged[s->word_count - 1] &= BIT(block_count(s) % BITS_PER_WORD) - 1;
    }
    return state_ok(stream);
}

static bool mem_post_load(void *opaque, int version)
{
    VirtioMem *s = opaque;

    s->size = count_plugged(s, 0, block_count(s)) * s->block_size;
    return s->requested_size <= s->mem.size && s->requested_size % s->block_size == 0 &&
           s->usable_size <= s->mem.size;
}

static const StateTable mem_state = {
    .name = "virtio-mem", .version = 1, .minimum_version = 1, .post_load = mem_post_load,
    .fields = (const StateField[]) {
        STATE_F_UINT64(VirtioMem, requested_size),
        STATE_F_UINT64(VirtioMem, usable_size),
        STATE_F_CUSTOM(VirtioMem, plugged, save_blocks, load_blocks),
        STATE_F_END
    },
};

static const VirtioDeviceOps mem_ops = {
    .name = "virtio-mem", .device_id = VIRTIO_ID_MEM, .pci_class = PCI_CLASS_OTHERS,
    .config_size = CONFIG_SIZE, .rare_kicks = true,
    .realize = mem_realize, .unrealize = mem_unrealize,
    .get_features = mem_get_features, .set_features = mem_set_features, .get_config = mem_get_config,
    .state = &mem_state,
};

OBJECT_TYPE(virtio_mem_type) = {
    .name = "virtio-mem", .parent = &virtio_device_type, .instance_size = sizeof(VirtioMem),
    .description = "virtio memory device", .properties = mem_properties,
    .impls = TYPE_IMPLS({ &virtio_device_type, &mem_ops }),
};
