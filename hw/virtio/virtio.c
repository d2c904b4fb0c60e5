/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtio devices without their transport (virtio 1.2, chapters 2 and 3): the
 * status machine, feature negotiation, configuration space, queue set-up, start
 * and stop of the data path.
 *
 * Thread: with the machine lock, except virtio_device_broken() and
 * virtio_config_changed(). Trust: register values are the driver's and hostile;
 * what a driver may not do either has no effect or breaks the device.
 */
#include "util/osdep.h"
#include "system/runstate.h"
#include "trace-hw-virtio.h"
#include "virtqueue-internal.h"

#define DRIVER_STATUS_BITS                                                  \
    (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |                 \
     VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FEATURES_OK |              \
     VIRTIO_CONFIG_S_FAILED)

/* ---- broken, configuration changes ---- */

void virtio_device_broken(VirtioDevice *vdev, const char *why)
{
    uint8_t old;

    if (atomic_xchg(&vdev->broken, true)) {
        return;
    }
    trace_virtio_device_broken(vdev, vdev->ops->name, why);
    vdev->broken_count++;
    vdev->broken_why = why;
    old = atomic_fetch_or(&vdev->status, VIRTIO_CONFIG_S_NEEDS_RESET);
    if (old & VIRTIO_CONFIG_S_DRIVER_OK) {
        virtio_config_changed(vdev);
    }
}

void virtio_config_changed(VirtioDevice *vdev)
{
    atomic_fetch_add(&vdev->config_generation, 1);
    if (atomic_load(&vdev->status) & VIRTIO_CONFIG_S_DRIVER_OK) {
        vdev->transport_ops->notify_config(vdev->transport);
    }
}

uint8_t virtio_isr_take(VirtioDevice *vdev)
{
    return atomic_xchg(&vdev->isr, 0);
}

uint64_t virtio_config_read(VirtioDevice *vdev, uint32_t addr, unsigned len)
{
    uint64_t value = 0;

    if (vdev->ops->get_config) {
        vdev->ops->get_config(vdev, vdev->config);
    }
    for (unsigned i = 0; i < len; i++) {
        if (addr + (uint64_t)i < vdev->ops->config_size) {
            value |= (uint64_t)vdev->config[addr + i] << (8 * i);
        }
    }
    return value;
}

void virtio_config_write(VirtioDevice *vdev, uint32_t addr, uint64_t value, unsigned len)
{
    if (!vdev->ops->set_config || (uint64_t)addr + len > vdev->ops->config_size) {
        return;
    }
    if (vdev->ops->get_config) {
        vdev->ops->get_config(vdev, vdev->config);
    }
    store_le(vdev->config + addr, value, len);
    vdev->ops->set_config(vdev, vdev->config, addr, len);
}

/* ---- start and stop ---- */

static void start(VirtioDevice *vdev)
{
    if (vdev->started || !vdev->vm_running || atomic_load(&vdev->broken) ||
        !(atomic_load(&vdev->status) & VIRTIO_CONFIG_S_DRIVER_OK)) {
        return;
    }
    trace_virtio_data_path(vdev, vdev->ops->name, true);
    vdev->started = true;
    if (vdev->transport_ops->running) {
        vdev->transport_ops->running(vdev->transport, true);
    }
    if (vdev->ops->start) {
        vdev->ops->start(vdev);
    }
    for (unsigned i = 0; i < vdev->queue_count; i++) {
        virtqueue_run_start(vdev->queues[i]);
    }
}

static void stop(VirtioDevice *vdev)
{
    if (!vdev->started) {
        return;
    }
    trace_virtio_data_path(vdev, vdev->ops->name, false);
    for (unsigned i = 0; i < vdev->queue_count; i++) {
        virtqueue_run_stop(vdev->queues[i]);
    }
    if (vdev->ops->stop) {
        vdev->ops->stop(vdev);
    }
    if (vdev->transport_ops->running) {
        vdev->transport_ops->running(vdev->transport, false);
    }
    vdev->started = false;
}

static void vm_state_changed(void *opaque, bool running, RunState state)
{
    VirtioDevice *vdev = opaque;

    vdev->vm_running = running;
    if (running) {
        start(vdev);
    } else {
        stop(vdev);
    }
}

void virtio_device_dma_enabled(VirtioDevice *vdev)
{
    for (unsigned i = 0; i < vdev->queue_count; i++) {
        virtio_queue_rerun(vdev->queues[i]);
    }
}

/* ---- the memory map ---- */

static void map_section_changed(MemoryListener *l, const MemorySection *s)
{
    VirtioDevice *vdev = l->opaque;

    vdev->map_changed = true;
}

static void map_commit(MemoryListener *l)
{
    VirtioDevice *vdev = l->opaque;

    if (vdev->map_changed) {
        vdev->map_changed = false;
        atomic_fetch_add(&vdev->map_generation, 1);
    }
}

static void watch_map(VirtioDevice *vdev, bool watch)
{
    if (watch == vdev->listening) {
        return;
    }
    if (watch) {
        vdev->listener = (MemoryListener) {
            .name = "virtio",
            .opaque = vdev,
            .region_add = map_section_changed,
            .region_del = map_section_changed,
            .commit = map_commit,
        };
        memory_listener_register(&vdev->listener, vdev->dma);
        vdev->map_changed = false;
    } else {
        memory_listener_unregister(&vdev->listener);
    }
    vdev->listening = watch;
}

/* ---- queues ---- */

VirtQueue *virtio_queue_add(VirtioDevice *vdev, uint16_t size, VirtQueueHandler *handler)
{
    VirtQueue *vq = g_new0(VirtQueue, 1);

    assert(vdev->queue_count < VIRTIO_QUEUE_MAX);
    assert(IS_POWER_OF_2(size) && size <= VIRTIO_QUEUE_MAX_SIZE);
    vq->vdev = vdev;
    vq->index = vdev->queue_count;
    vq->max_size = vq->size = size;
    vq->vector = VIRTIO_NO_VECTOR;
    vq->handler = handler;
    vq->loop = event_loop_main();
    vq->notifier.fd = -1;
    vdev->queues = g_renew(VirtQueue *, vdev->queues, vdev->queue_count + 1);
    vdev->queues[vdev->queue_count++] = vq;
    return vq;
}

static void queues_free(VirtioDevice *vdev)
{
    for (unsigned i = 0; i < vdev->queue_count; i++) {
        VirtQueue *vq = vdev->queues[i];

        if (vq->bh) {
            bh_delete(vq->bh);
        }
        if (vq->notifier.fd >= 0) {
            event_notifier_cleanup(&vq->notifier);
        }
        virtqueue_free(vq);
        g_free(vq);
    }
    g_clear_pointer(&vdev->queues, g_free);
    vdev->queue_count = 0;
}

VirtQueue *virtio_queue(VirtioDevice *vdev, uint16_t index)
{
    return index < vdev->queue_count ? vdev->queues[index] : NULL;
}

uint16_t virtio_queue_index(const VirtQueue *vq)
{
    return vq->index;
}

VirtioDevice *virtio_queue_device(const VirtQueue *vq)
{
    return vq->vdev;
}

bool virtio_queue_ready(const VirtQueue *vq)
{
    return atomic_load(&vq->running) && vq->live && !atomic_load(&vq->vdev->broken);
}

uint16_t virtio_queue_max_size(VirtioDevice *vdev, uint16_t index)
{
    return index < vdev->queue_count ? vdev->queues[index]->max_size : 0;
}

uint16_t virtio_queue_size(VirtioDevice *vdev, uint16_t index)
{
    return index < vdev->queue_count ? vdev->queues[index]->size : 0;
}

void virtio_queue_set_size(VirtioDevice *vdev, uint16_t index, uint16_t size)
{
    VirtQueue *vq = virtio_queue(vdev, index);

    if (vq && !vq->enabled) {
        vq->size = size;
    }
}

void virtio_queue_set_addr(VirtioDevice *vdev, uint16_t index, VirtQueuePart part, bool high,
                           uint32_t value)
{
    VirtQueue *vq = virtio_queue(vdev, index);

    if (!vq || vq->enabled) {
        return;
    }
    if (high) {
        vq->addr[part] = (uint32_t)vq->addr[part] | (uint64_t)value << 32;
    } else {
        vq->addr[part] = (vq->addr[part] & ~(uint64_t)UINT32_MAX) | value;
    }
}

uint64_t virtio_queue_addr(VirtioDevice *vdev, uint16_t index, VirtQueuePart part)
{
    return index < vdev->queue_count ? vdev->queues[index]->addr[part] : 0;
}

bool virtio_queue_enabled(VirtioDevice *vdev, uint16_t index)
{
    return index < vdev->queue_count && vdev->queues[index]->enabled;
}

uint16_t virtio_queue_vector(VirtioDevice *vdev, uint16_t index)
{
    return index < vdev->queue_count ? vdev->queues[index]->vector : VIRTIO_NO_VECTOR;
}

void virtio_queue_set_vector(VirtioDevice *vdev, uint16_t index, uint16_t vector)
{
    if (index < vdev->queue_count) {
        vdev->queues[index]->vector = vector;
    }
}

/* Ring format and options follow from the features, which are settled now. */
static void queue_take_features(VirtQueue *vq)
{
    vq->packed = virtio_has_feature(vq->vdev, VIRTIO_F_RING_PACKED);
    vq->event_idx = virtio_has_feature(vq->vdev, VIRTIO_RING_F_EVENT_IDX);
    vq->indirect = virtio_has_feature(vq->vdev, VIRTIO_RING_F_INDIRECT_DESC);
}

static bool queue_go_live(VirtQueue *vq)
{
    queue_take_features(vq);
    virtqueue_init_indices(vq);
    return virtqueue_map(vq);
}

bool virtio_device_resume(VirtioDevice *vdev)
{
    if (!(vdev->status & VIRTIO_CONFIG_S_DRIVER_OK)) {
        return true;
    }
    watch_map(vdev, true);
    for (unsigned i = 0; i < vdev->queue_count; i++) {
        VirtQueue *vq = vdev->queues[i];

        queue_take_features(vq);
        if (!vq->enabled) {
            continue;
        }
        if (vq->packed && (vq->next_avail >= vq->size || vq->next_used >= vq->size)) {
            return false;
        }
        if (!vdev->broken && virtqueue_map(vq)) {
            virtqueue_notifier_assign(vq);
        }
    }
    return true;
}

void virtio_queue_enable(VirtioDevice *vdev, uint16_t index)
{
    VirtQueue *vq = virtio_queue(vdev, index);

    if (!vq || vq->enabled) {
        return;
    }
    trace_virtio_queue_enable(vdev, index, vq->size);
    vq->enabled = true;
    if (!(atomic_load(&vdev->status) & VIRTIO_CONFIG_S_DRIVER_OK)) {
        return;
    }
    if (!queue_go_live(vq)) {
        return;
    }
    virtqueue_notifier_assign(vq);
    if (vdev->ops->queue_enable) {
        vdev->ops->queue_enable(vdev, index);
    }
    if (vdev->started) {
        virtqueue_run_start(vq);
    }
}

/* Its handler is stopped and the device has let go of its elements. */
static void queue_clear(VirtQueue *vq)
{
    virtqueue_notifier_release(vq);
    virtqueue_unmap(vq);
    virtqueue_init_indices(vq);
    vq->enabled = false;
    vq->size = vq->max_size;
    vq->vector = VIRTIO_NO_VECTOR;
    memset(vq->addr, 0, sizeof(vq->addr));
}

void virtio_queue_reset(VirtioDevice *vdev, uint16_t index)
{
    VirtQueue *vq = virtio_queue(vdev, index);

    if (!vq || !vq->enabled || !virtio_has_feature(vdev, VIRTIO_F_RING_RESET)) {
        return;
    }
    trace_virtio_queue_reset(vdev, index);
    virtqueue_run_stop(vq);
    if (vdev->ops->queue_reset) {
        vdev->ops->queue_reset(vdev, index);
    }
    queue_clear(vq);
}

/* ---- status and features ---- */

static bool features_ok(VirtioDevice *vdev)
{
    uint64_t f = vdev->guest_features;

    return !(f & ~vdev->host_features) && (f & BIT(VIRTIO_F_VERSION_1)) &&
           (!vdev->ops->set_features || vdev->ops->set_features(vdev, f));
}

static void driver_ready(VirtioDevice *vdev)
{
    watch_map(vdev, true);
    memory_transaction_begin();
    for (unsigned i = 0; i < vdev->queue_count; i++) {
        VirtQueue *vq = vdev->queues[i];

        if (vq->enabled && queue_go_live(vq)) {
            virtqueue_notifier_assign(vq);
        }
    }
    memory_transaction_commit();
    start(vdev);
}

void virtio_set_status(VirtioDevice *vdev, uint8_t status)
{
    uint8_t old = atomic_load(&vdev->status), added;

    trace_virtio_set_status(vdev, vdev->ops->name, status);
    if (!status) {
        virtio_device_reset(vdev);
        return;
    }
    added = status & DRIVER_STATUS_BITS & ~old;
    if ((added & VIRTIO_CONFIG_S_FEATURES_OK) && !features_ok(vdev)) {
        added &= ~VIRTIO_CONFIG_S_FEATURES_OK;
    }
    if ((added & VIRTIO_CONFIG_S_DRIVER_OK) &&
        !((old | added) & VIRTIO_CONFIG_S_FEATURES_OK)) {
        added &= ~VIRTIO_CONFIG_S_DRIVER_OK;
        virtio_device_broken(vdev, "DRIVER_OK without FEATURES_OK");
    }
    atomic_fetch_or(&vdev->status, added);
    if (added & VIRTIO_CONFIG_S_DRIVER_OK) {
        driver_ready(vdev);
    }
}

void virtio_set_guest_features(VirtioDevice *vdev, unsigned index, uint32_t value)
{
    if (index > 1 || (atomic_load(&vdev->status) & VIRTIO_CONFIG_S_FEATURES_OK)) {
        return;
    }
    vdev->guest_features &= (uint64_t)UINT32_MAX << (index ? 0 : 32);
    vdev->guest_features |= (uint64_t)value << (32 * index);
}

void virtio_device_reset(VirtioDevice *vdev)
{
    stop(vdev);
    if (vdev->ops->reset) {
        vdev->ops->reset(vdev);
    }
    memory_transaction_begin();
    for (unsigned i = 0; i < vdev->queue_count; i++) {
        queue_clear(vdev->queues[i]);
    }
    memory_transaction_commit();
    watch_map(vdev, false);
    vdev->guest_features = 0;
    vdev->config_vector = VIRTIO_NO_VECTOR;
    atomic_store(&vdev->isr, 0);
    atomic_store(&vdev->status, 0);
    atomic_store_release(&vdev->broken, false);
}

/* ---- the types ---- */

void virtio_device_plug(VirtioDevice *vdev, DeviceState *transport, const VirtioTransportOps *ops,
                        const bool *dma_enabled)
{
    static const bool always = true;

    vdev->dma_enabled = dma_enabled ? dma_enabled : &always;
    vdev->transport = transport;
    vdev->transport_ops = ops;
}

static bool virtio_device_realize(DeviceState *dev, Error **errp)
{
    VirtioDevice *vdev = VIRTIO_DEVICE(dev);

    if (!vdev->transport_ops) {
        error_setg(errp, "%s needs a transport: use its PCI form", dev->obj.type->name);
        return false;
    }
    vdev->ops = object_ops(dev, &virtio_device_type);
    vdev->dma = vdev->transport_ops->dma(vdev->transport);
    vdev->config = g_malloc0(MAX(vdev->ops->config_size, 1));
    vdev->config_vector = VIRTIO_NO_VECTOR;
    vdev->host_features |= BIT(VIRTIO_F_VERSION_1);
    if (!vdev->ops->realize(vdev, errp)) {
        g_clear_pointer(&vdev->config, g_free);
        queues_free(vdev);
        return false;
    }
    if (vdev->ops->get_features) {
        vdev->host_features = vdev->ops->get_features(vdev, vdev->host_features);
    }
    vdev->vm_running = run_state_running();
    vdev->run_notifier = run_state_notify(vm_state_changed, vdev, 0);
    return true;
}

static void virtio_device_unrealize(DeviceState *dev)
{
    VirtioDevice *vdev = VIRTIO_DEVICE(dev);

    virtio_device_reset(vdev);
    run_state_unnotify(vdev->run_notifier);
    if (vdev->ops->unrealize) {
        vdev->ops->unrealize(vdev);
    }
    g_clear_pointer(&vdev->config, g_free);
}

static void virtio_device_dev_reset(DeviceState *dev)
{
    virtio_device_reset(VIRTIO_DEVICE(dev));
}

static void virtio_device_finalize(Object *obj)
{
    /* Only now: a vCPU may have been in a lockless kick until the object's last reference went. */
    queues_free((VirtioDevice *)obj);
}

static const ObjectProperty virtio_device_properties[] = {
    PROP_BIT64("indirect_desc", VirtioDevice, host_features, VIRTIO_RING_F_INDIRECT_DESC, true,
               "offer indirect descriptors"),
    PROP_BIT64("event_idx", VirtioDevice, host_features, VIRTIO_RING_F_EVENT_IDX, true,
               "offer event indices"),
    PROP_BIT64("packed", VirtioDevice, host_features, VIRTIO_F_RING_PACKED, false,
               "offer packed rings"),
    PROP_BIT64("iommu_platform", VirtioDevice, host_features, VIRTIO_F_ACCESS_PLATFORM, false,
               "require the driver to use platform DMA addresses"),
    PROP_BIT64("queue_reset", VirtioDevice, host_features, VIRTIO_F_RING_RESET, true,
               "offer the reset of single queues"),
    PROP_BIT64("any_layout", VirtioDevice, legacy_features, VIRTIO_F_ANY_LAYOUT, true, "for legacy drivers: no effect"),
    PROP_BIT64("notify_on_empty", VirtioDevice, legacy_features, VIRTIO_F_NOTIFY_ON_EMPTY, true,
               "for legacy drivers: no effect"),
    PROP_END
};

static const StateTable *virtio_device_member_state(DeviceState *dev)
{
    return VIRTIO_DEVICE(dev)->ops->state;
}

static const DeviceOps virtio_device_dev_ops = {
    .realize = virtio_device_realize,
    .unrealize = virtio_device_unrealize,
    .reset = virtio_device_dev_reset,
    .state = &virtio_device_state,
    .member_state = virtio_device_member_state,
    .bus = &virtio_bus_type,
    .user_creatable = true,     /* where the machine has memory-mapped transports */
};

OBJECT_TYPE(virtio_device_type) = {
    .name = "virtio-device",
    .parent = &device_type,
    .instance_size = sizeof(VirtioDevice),
    .abstract = true,
    .properties = virtio_device_properties,
    .impls = TYPE_IMPLS({ &device_type, &virtio_device_dev_ops }),
    .instance_finalize = virtio_device_finalize,
};

static const BusOps virtio_bus_ops = {
    .full_when_one = true,
};

OBJECT_TYPE(virtio_bus_type) = {
    .name = "virtio-bus",
    .parent = &bus_type,
    .instance_size = sizeof(BusState),
    .impls = TYPE_IMPLS({ &bus_type, &virtio_bus_ops }),
};
