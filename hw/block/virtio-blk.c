/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-blk, the block device (virtio 1.2, 5.2): configuration space,
 * features, life cycle. The data path is virtio-blk-req.c.
 *
 * Thread: main thread with the machine lock, except where the data path is
 * said to run: on the main loop, or with property iothread on that thread's loop.
 * The loop is the device's from realize to unrealize.
 */
#include "util/osdep.h"
#include <linux/virtio_ids.h>
#include "backends/iothread.h"
#include "hw/core/machine.h"
#include "hw/pci/pci_regs.h"
#include "trace-hw-block.h"
#include "util/bswap.h"
#include "virtio-blk.h"

#define CONFIG_SIZE (offsetof(struct virtio_blk_config, unused1) + 3)
#define NUM_QUEUES_AUTO 65535
#define MAX_UNMAP_SECTORS (INT32_MAX / VIRTIO_BLK_SECTOR_SIZE)

extern const TypeInfo virtio_blk_type;

/*
 * Do something that belongs to the data path's thread. The main loop's work is the machine lock's
 * holder's.
 */
static void run_on_loop(VirtioBlk *s, EventLoopFunc *fn, void *opaque)
{
    if (event_loop_current() == s->loop) {
        fn(opaque);
    } else {
        event_loop_run_wait(s->loop, fn, opaque);
    }
}

/* ---- configuration space and features ---- */

static uint32_t seg_max(const VirtioBlk *s)
{
    /* Header and status take two places in a ring. */
    return s->seg_max_adjust ? s->queue_size - 2 : 128 - 2;
}

static void blk_get_config(VirtioDevice *vdev, uint8_t *config)
{
    VirtioBlk *s = (VirtioBlk *)vdev;
    const BlockConf *c = &s->conf;
    uint64_t block = c->logical_block_size;
    uint64_t align = c->discard_granularity == UINT32_MAX || !c->discard_granularity ?
                         block :
                         c->discard_granularity;
    struct virtio_blk_config cfg = {
        .capacity = htole64(blk_length(c->blk) / VIRTIO_BLK_SECTOR_SIZE),
        .seg_max = htole32(seg_max(s)),
        .geometry = { htole16(c->cyls), c->heads, c->secs },
        .blk_size = htole32(block),
        .physical_block_exp = __builtin_ctzll(c->physical_block_size / block),
        .min_io_size = htole16(c->min_io_size / block),
        .opt_io_size = htole32(c->opt_io_size / block),
        .wce = blk_write_cache_enabled(c->blk),
        .num_queues = htole16(s->num_queues),
        .max_discard_sectors = htole32(s->max_discard_sectors),
        .max_discard_seg = htole32(1),
        .discard_sector_alignment = htole32(align / VIRTIO_BLK_SECTOR_SIZE),
        .max_write_zeroes_sectors = htole32(s->max_write_zeroes_sectors),
        .max_write_zeroes_seg = htole32(1),
        .write_zeroes_may_unmap = 1,
    };

    if (!s->discard) {
        cfg.max_discard_sectors = cfg.max_discard_seg = cfg.discard_sector_alignment = 0;
    }
    if (!s->write_zeroes) {
        cfg.max_write_zeroes_sectors = cfg.max_write_zeroes_seg = 0;
        cfg.write_zeroes_may_unmap = 0;
    }
    memcpy(config, &cfg, CONFIG_SIZE);
}

static void set_write_cache(void *opaque)
{
    VirtioBlk *s = opaque;

    blk_set_write_cache(s->conf.blk, true);
}

static void clear_write_cache(void *opaque)
{
    VirtioBlk *s = opaque;

    blk_set_write_cache(s->conf.blk, false);
}

static void blk_set_config(VirtioDevice *vdev, const uint8_t *config, uint32_t addr, unsigned len)
{
    VirtioBlk *s = (VirtioBlk *)vdev;
    uint32_t wce = offsetof(struct virtio_blk_config, wce);

    /* The only field that a driver may write; the data path reads it. */
    if (virtio_has_feature(vdev, VIRTIO_BLK_F_CONFIG_WCE) && addr <= wce && wce < addr + len) {
        run_on_loop(s, config[wce] ? set_write_cache : clear_write_cache, s);
    }
}

static uint64_t blk_get_features(VirtioDevice *vdev, uint64_t features)
{
    VirtioBlk *s = (VirtioBlk *)vdev;

    features |= BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_GEOMETRY) |
                BIT(VIRTIO_BLK_F_TOPOLOGY) | BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_FLUSH);
    features |= s->config_wce ? BIT(VIRTIO_BLK_F_CONFIG_WCE) : 0;
    features |= s->num_queues > 1 ? BIT(VIRTIO_BLK_F_MQ) : 0;
    if (!blk_is_writable(s->conf.blk)) {
        return features | BIT(VIRTIO_BLK_F_RO);
    }
    features |= s->discard ? BIT(VIRTIO_BLK_F_DISCARD) : 0;
    features |= s->write_zeroes ? BIT(VIRTIO_BLK_F_WRITE_ZEROES) : 0;
    return features;
}

static bool blk_set_features(VirtioDevice *vdev, uint64_t features)
{
    VirtioBlk *s = (VirtioBlk *)vdev;

    /* 5.2.5.2: without CONFIG_WCE, a driver that cannot flush gets write-through. */
    if (!(features & BIT(VIRTIO_BLK_F_CONFIG_WCE))) {
        blk_set_write_cache(s->conf.blk, (features & BIT(VIRTIO_BLK_F_FLUSH)) && s->original_wce);
    }
    return true;
}

/* ---- life cycle of the data path ---- */

static void blk_start(VirtioDevice *vdev)
{
    VirtioBlk *s = (VirtioBlk *)vdev;

    blk_io_status_reset(s->conf.blk);
    if (s->parked) {
        run_on_loop(s, virtio_blk_restart, s);
    }
}

static void blk_stop(VirtioDevice *vdev)
{
    VirtioBlk *s = (VirtioBlk *)vdev;

    /* Requests in flight end in the ring, or parked. */
    blk_drain(s->conf.blk);
    run_on_loop(s, virtio_blk_notify_all, s);
}

static void blk_reset(VirtioDevice *vdev)
{
    VirtioBlk *s = (VirtioBlk *)vdev;

    virtio_blk_drop_parked(s, -1);
    blk_set_write_cache(s->conf.blk, s->original_wce);
}

static void blk_queue_reset(VirtioDevice *vdev, uint16_t index)
{
    VirtioBlk *s = (VirtioBlk *)vdev;

    blk_drain(s->conf.blk);
    virtio_blk_drop_parked(s, index);
}

static void blk_resized(void *opaque)
{
    VirtioBlk *s = opaque;

    virtio_config_changed(&s->vdev);
}

static const BlockDevOps blk_dev_ops = {
    .resized = blk_resized,
};

/* ---- realize ---- */

static bool check_unmap_limit(const char *name, uint32_t value, Error **errp)
{
    if (value < 1 || value > MAX_UNMAP_SECTORS) {
        error_setg(errp, "invalid %s property (%" PRIu32 "), must be between 1 and %d", name, value,
                   MAX_UNMAP_SECTORS);
        return false;
    }
    return true;
}

static bool check_properties(VirtioBlk *s, Error **errp)
{
    MachineState *m = machine_current();

    if (s->num_queues == NUM_QUEUES_AUTO) {
        s->num_queues = m && m->smp.cpus ? MIN(m->smp.cpus, VIRTIO_QUEUE_MAX - 1) : 1;
    }
    if (!s->num_queues) {
        error_setg(errp, "num-queues property must be larger than 0");
        return false;
    }
    if (s->num_queues > VIRTIO_QUEUE_MAX) {
        error_setg(errp, "invalid num-queues property (%u), must be at most %d", s->num_queues,
                   VIRTIO_QUEUE_MAX);
        return false;
    }
    if (s->queue_size <= 2) {
        error_setg(errp, "invalid queue-size property (%u), must be > 2", s->queue_size);
        return false;
    }
    if (!IS_POWER_OF_2(s->queue_size) || s->queue_size > VIRTIO_QUEUE_MAX_SIZE) {
        error_setg(errp, "invalid queue-size property (%u), must be a power of 2 (max %d)",
                   s->queue_size, VIRTIO_QUEUE_MAX_SIZE);
        return false;
    }
    return (!s->discard ||
            check_unmap_limit("max-discard-sectors", s->max_discard_sectors, errp)) &&
           (!s->write_zeroes ||
            check_unmap_limit("max-write-zeroes-sectors", s->max_write_zeroes_sectors, errp));
}

static bool blk_realize(VirtioDevice *vdev, Error **errp)
{
    VirtioBlk *s = (VirtioBlk *)vdev;

    if (s->conf.blk && !check_properties(s, errp)) {
        return false;
    }
    if (!block_conf_acquire(&s->conf, OBJECT(s), &blk_dev_ops, s, errp)) {
        return false;
    }
    if (!block_conf_geometry(&s->conf, errp)) {
        goto undo_acquire;
    }
    s->loop = s->iothread ? iothread_loop((IoThread *)s->iothread) : event_loop_main();
    if (!blk_set_loop(s->conf.blk, s->loop, errp)) {
        goto undo_acquire;
    }
    s->original_wce = blk_write_cache_enabled(s->conf.blk);
    s->parked = NULL;
    s->parked_last = &s->parked;
    s->notify = g_new0(bool, s->num_queues);
    s->notify_bh = bh_new(s->loop, virtio_blk_notify_all, s);
    for (unsigned i = 0; i < s->num_queues; i++) {
        virtio_queue_set_loop(virtio_queue_add(vdev, s->queue_size, virtio_blk_handle_queue),
                              s->loop);
    }
    return true;

undo_acquire:
    block_conf_release(&s->conf);
    return false;
}

static void delete_bh(void *opaque)
{
    bh_delete(opaque);
}

static void blk_unrealize(VirtioDevice *vdev)
{
    VirtioBlk *s = (VirtioBlk *)vdev;

    virtio_blk_drop_parked(s, -1);
    block_conf_release(&s->conf);
    run_on_loop(s, delete_bh, s->notify_bh);
    g_clear_pointer(&s->notify, g_free);
}

/* ---- tables ---- */

static const ObjectProperty blk_properties[] = {
    BLOCK_CONF_PROPERTIES(VirtioBlk, conf),
    PROP_STRING("serial", VirtioBlk, serial,
                "what the guest reads as the disk's serial number (20 bytes)"),
    PROP_UINT16("num-queues", VirtioBlk, num_queues, NUM_QUEUES_AUTO,
                "request queues; 65535: one a vCPU"),
    PROP_UINT16("queue-size", VirtioBlk, queue_size, 256, "descriptors a queue, a power of two"),
    PROP_BOOL("config-wce", VirtioBlk, config_wce, true, "the guest may switch the write cache"),
    PROP_BOOL("discard", VirtioBlk, discard, true, "offer discard"),
    PROP_BOOL("write-zeroes", VirtioBlk, write_zeroes, true, "offer write zeroes"),
    PROP_UINT32("max-discard-sectors", VirtioBlk, max_discard_sectors, MAX_UNMAP_SECTORS,
                "largest discard"),
    PROP_UINT32("max-write-zeroes-sectors", VirtioBlk, max_write_zeroes_sectors, MAX_UNMAP_SECTORS,
                "largest write-zeroes request"),
    PROP_BOOL("request-merging", VirtioBlk, request_merging, true, "join adjacent requests"),
    PROP_BOOL("seg-max-adjust", VirtioBlk, seg_max_adjust, true,
              "offer as many segments as a queue holds"),
    PROP_LINK("iothread", VirtioBlk, iothread, &iothread_type, "thread that serves the queues"),
    PROP_END
};

static void save_parked(StateStream *stream, const void *field, const void *opaque)
{
    const VirtioBlk *s = opaque;

    for (const VirtioBlkReq *req = s->parked; req; req = req->next) {
        state_put_u8(stream, 1);
        state_put_u16(stream, virtio_queue_index(req->elem.vq));
        virtqueue_element_save(stream, &req->elem);
    }
    state_put_u8(stream, 0);
}

static bool load_parked(StateStream *stream, void *field, void *opaque)
{
    VirtioBlk *s = opaque;

    while (state_get_u8(stream)) {
        VirtQueue *vq = virtio_queue(&s->vdev, state_get_u16(stream));
        VirtioBlkReq *req = vq ? virtqueue_element_load(stream, vq, sizeof(*req)) : NULL;

        if (!req) {
            state_fail(stream, "virtio-blk: request of a queue that does not exist");
            return false;
        }
        if (!virtio_blk_req_parse(s, req)) {
            virtqueue_detach(&req->elem);
            virtqueue_element_free(req);
            state_fail(stream, "virtio-blk: request without header or status");
            return false;
        }
        *s->parked_last = req;
        s->parked_last = &req->next;
    }
    return state_ok(stream);
}

static void save_wce(StateStream *stream, const void *field, const void *opaque)
{
    const VirtioBlk *s = opaque;

    state_put_u8(stream, blk_write_cache_enabled(s->conf.blk));
}

static bool load_wce(StateStream *stream, void *field, void *opaque)
{
    VirtioBlk *s = opaque;

    blk_set_write_cache(s->conf.blk, state_get_u8(stream));
    return state_ok(stream);
}

static const StateField blk_fields[] = {
    STATE_F_CUSTOM(VirtioBlk, conf, save_wce, load_wce),
    STATE_F_CUSTOM(VirtioBlk, parked, save_parked, load_parked),
    STATE_F_END
};

static const StateTable blk_state = {
    .name = "virtio-blk",
    .version = 1,
    .minimum_version = 1,
    .fields = blk_fields,
};

static const VirtioDeviceOps blk_ops = {
    .name = "virtio-blk",
    .category = DEVICE_CATEGORY_STORAGE,
    .device_id = VIRTIO_ID_BLOCK,
    .pci_class = PCI_CLASS_STORAGE_SCSI,
    .config_size = CONFIG_SIZE,
    .realize = blk_realize,
    .unrealize = blk_unrealize,
    .reset = blk_reset,
    .get_features = blk_get_features,
    .set_features = blk_set_features,
    .get_config = blk_get_config,
    .set_config = blk_set_config,
    .start = blk_start,
    .stop = blk_stop,
    .queue_reset = blk_queue_reset,
    .state = &blk_state,
};

OBJECT_TYPE(virtio_blk_type) = {
    .name = "virtio-blk-device",
    .parent = &virtio_device_type,
    .instance_size = sizeof(VirtioBlk),
    .description = "virtio block device",
    .properties = blk_properties,
    .impls = TYPE_IMPLS({ &virtio_device_type, &blk_ops }),
};
