/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory-mapped transport of virtio devices (virtio 1.2, 4.2.2), version 2
 * only: the legacy interface of version 1 does not exist.
 *
 * Thread: registers with the machine lock; kicks may arrive by eventfd. Used
 * buffer notifications leave from the queue's thread, by way of the main loop.
 * Trust: every register value is the driver's.
 */
#include "util/osdep.h"
#include <linux/virtio_mmio.h>
#include "hw/virtio/virtio-mmio.h"
#include "system/machine-lock.h"
#include "trace-hw-virtio.h"

#define MAGIC 0x74726976u       /* "virt" */
#define VERSION 2u
#define VENDOR 0x554d4551u      /* "QEMU": what drivers and tools expect there */
#define QUEUE_RESET 0x0c0

VirtioDevice *virtio_mmio_device(VirtioMmio *s)
{
    DeviceState *dev = s->bus.devices;

    return dev && dev->realized ? VIRTIO_DEVICE(dev) : NULL;
}

/* ---- interrupts ---- */

static void update_irq(VirtioMmio *s)
{
    VirtioDevice *vdev = virtio_mmio_device(s);

    irq_set(&s->irq, vdev && atomic_load(&vdev->isr));
}

static void irq_bh(void *opaque)
{
    update_irq(opaque);
}

static void raise_interrupt(VirtioMmio *s, VirtioDevice *vdev, uint8_t isr)
{
    atomic_fetch_or(&vdev->isr, isr);
    if (machine_lock_held()) {
        update_irq(s);
    } else {
        bh_schedule(s->irq_bh);
    }
}

static void notify_queue(DeviceState *transport, VirtQueue *vq)
{
    raise_interrupt((VirtioMmio *)transport, virtio_queue_device(vq), VIRTIO_MMIO_INT_VRING);
}

static void notify_config(DeviceState *transport)
{
    VirtioMmio *s = (VirtioMmio *)transport;
    VirtioDevice *vdev = virtio_mmio_device(s);

    if (vdev) {
        raise_interrupt(s, vdev, VIRTIO_MMIO_INT_CONFIG);
    }
}

static AddressSpace *get_dma(DeviceState *transport)
{
    return &address_space_memory;
}

static bool assign_host_notifier(DeviceState *transport, uint16_t index, EventNotifier *n,
                                 bool assign)
{
    VirtioMmio *s = (VirtioMmio *)transport;

    if (!s->ioeventfd) {
        return false;
    }
    if (assign) {
        memory_region_add_notifier(&s->io, VIRTIO_MMIO_QUEUE_NOTIFY, 4, true, index, n);
    } else {
        memory_region_del_notifier(&s->io, VIRTIO_MMIO_QUEUE_NOTIFY, 4, true, index, n);
    }
    return true;
}

static const VirtioTransportOps virtio_mmio_transport = {
    .notify_queue = notify_queue,
    .notify_config = notify_config,
    .dma = get_dma,
    .assign_host_notifier = assign_host_notifier,
};

/* ---- registers ---- */

static uint32_t queue_read(VirtioMmio *s, VirtioDevice *vdev, GuestAddr reg)
{
    uint16_t q = MIN(s->queue_select, VIRTIO_QUEUE_MAX);

    switch (reg) {
    case VIRTIO_MMIO_QUEUE_NUM_MAX:
        return virtio_queue_max_size(vdev, q);
    case VIRTIO_MMIO_QUEUE_READY:
        return virtio_queue_enabled(vdev, q);
    default:
        return 0;               /* write-only, and a reset is over when the write returns */
    }
}

static uint32_t read_register(VirtioMmio *s, VirtioDevice *vdev, GuestAddr reg)
{
    switch (reg) {
    case VIRTIO_MMIO_MAGIC_VALUE:
        return MAGIC;
    case VIRTIO_MMIO_VERSION:
        return VERSION;
    case VIRTIO_MMIO_VENDOR_ID:
        return VENDOR;
    }
    if (!vdev) {
        return 0;
    }
    switch (reg) {
    case VIRTIO_MMIO_DEVICE_ID:
        return vdev->ops->device_id;
    case VIRTIO_MMIO_DEVICE_FEATURES:
        return s->device_feature_select < 2 ? vdev->host_features >> (32 * s->device_feature_select)
                                            : 0;
    case VIRTIO_MMIO_INTERRUPT_STATUS:
        return atomic_load(&vdev->isr);
    case VIRTIO_MMIO_STATUS:
        return atomic_load(&vdev->status);
    case VIRTIO_MMIO_SHM_LEN_LOW:
    case VIRTIO_MMIO_SHM_LEN_HIGH:
    case VIRTIO_MMIO_SHM_BASE_LOW:
    case VIRTIO_MMIO_SHM_BASE_HIGH:
        return UINT32_MAX;      /* no shared memory region */
    case VIRTIO_MMIO_CONFIG_GENERATION:
        return atomic_load(&vdev->config_generation);
    default:
        return queue_read(s, vdev, reg);
    }
}

static uint64_t mmio_read(void *opaque, GuestAddr addr, unsigned size)
{
    VirtioMmio *s = opaque;
    VirtioDevice *vdev = virtio_mmio_device(s);

    if (addr >= VIRTIO_MMIO_CONFIG) {
        return vdev ? virtio_config_read(vdev, addr - VIRTIO_MMIO_CONFIG, size) : 0;
    }
    /* Registers are 32 bits wide and read as such (4.2.2.2). */
    return size == 4 ? read_register(s, vdev, addr) : 0;
}

static void queue_write(VirtioMmio *s, VirtioDevice *vdev, GuestAddr reg, uint32_t value)
{
    uint32_t q = s->queue_select;

    if (q >= vdev->queue_count) {
        return;
    }
    switch (reg) {
    case VIRTIO_MMIO_QUEUE_NUM:
        virtio_queue_set_size(vdev, q, MIN(value, UINT16_MAX));
        break;
    case VIRTIO_MMIO_QUEUE_READY:
        if (value == 1) {
            virtio_queue_enable(vdev, q);
        } else if (value == 0) {
            virtio_queue_reset(vdev, q);
        }
        break;
    case QUEUE_RESET:
        if (value == 1) {
            virtio_queue_reset(vdev, q);
        }
        break;
    case VIRTIO_MMIO_QUEUE_DESC_LOW:
    case VIRTIO_MMIO_QUEUE_DESC_HIGH:
    case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
    case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
    case VIRTIO_MMIO_QUEUE_USED_LOW:
    case VIRTIO_MMIO_QUEUE_USED_HIGH:
        virtio_queue_set_addr(vdev, q, (reg - VIRTIO_MMIO_QUEUE_DESC_LOW) / 0x10, reg % 8, value);
        break;
    }
}

static void reset_selectors(VirtioMmio *s)
{
    s->device_feature_select = s->driver_feature_select = s->queue_select = 0;
}

static void write_register(VirtioMmio *s, VirtioDevice *vdev, GuestAddr reg, uint32_t value)
{
    switch (reg) {
    case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
        s->device_feature_select = value;
        break;
    case VIRTIO_MMIO_DRIVER_FEATURES:
        virtio_set_guest_features(vdev, s->driver_feature_select, value);
        break;
    case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
        s->driver_feature_select = value;
        break;
    case VIRTIO_MMIO_QUEUE_SEL:
        s->queue_select = value;
        break;
    case VIRTIO_MMIO_QUEUE_NOTIFY:
        if (value < VIRTIO_QUEUE_MAX) {
            virtio_queue_kick(vdev, value);
        }
        break;
    case VIRTIO_MMIO_INTERRUPT_ACK:
        atomic_fetch_and(&vdev->isr, ~value);
        update_irq(s);
        break;
    case VIRTIO_MMIO_STATUS:
        virtio_set_status(vdev, value);
        if (!(value & 0xff)) {
            reset_selectors(s);
        }
        update_irq(s);
        break;
    default:
        queue_write(s, vdev, reg, value);
        break;
    }
}

static void mmio_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    VirtioMmio *s = opaque;
    VirtioDevice *vdev = virtio_mmio_device(s);

    if (!vdev) {
        return;
    }
    if (addr >= VIRTIO_MMIO_CONFIG) {
        virtio_config_write(vdev, addr - VIRTIO_MMIO_CONFIG, value, size);
    } else if (size == 4) {
        write_register(s, vdev, addr, value);
    }
}

static const MemoryRegionOps mmio_ops = {
    .read = mmio_read, .write = mmio_write,
    .valid_min = 1, .valid_max = 8, .impl_min = 1, .impl_max = 4,
};

/* ---- life ---- */

static bool pre_plug(void *opaque, DeviceState *dev, Error **errp)
{
    if (dev->hotplugged) {
        error_setg(errp, "Bus '%s' does not support hotplugging", dev->bus->name);
        return false;
    }
    virtio_device_plug(VIRTIO_DEVICE(dev), opaque, &virtio_mmio_transport, NULL);
    return true;
}

static const HotplugOps plug_ops = { .pre_plug = pre_plug };

static bool virtio_mmio_realize(DeviceState *dev, Error **errp)
{
    VirtioMmio *s = VIRTIO_MMIO(dev);

    if (s->force_legacy) {
        error_setg(errp, "virtio-mmio has the modern interface only: force-legacy=on is not"
                   " possible");
        return false;
    }
    memory_region_init_io(&s->io, OBJECT(s), &mmio_ops, s, "virtio-mmio", VIRTIO_MMIO_SIZE);
    s->irq_bh = bh_new(event_loop_main(), irq_bh, s);
    return true;
}

static void virtio_mmio_unrealize(DeviceState *dev)
{
    VirtioMmio *s = VIRTIO_MMIO(dev);

    bus_cleanup(&s->bus);
    bh_delete(s->irq_bh);
    memory_region_cleanup(&s->io);
}

static void virtio_mmio_reset(DeviceState *dev)
{
    VirtioMmio *s = VIRTIO_MMIO(dev);

    reset_selectors(s);
    irq_lower(&s->irq);
}

static void virtio_mmio_init(Object *obj)
{
    VirtioMmio *s = (VirtioMmio *)obj;

    device_init_gpio_out(&s->dev, NULL, &s->irq, 1);
}

/* The device's own state brings the interrupt status; it loads after this, and asks for the line then. */
static const StateField virtio_mmio_fields[] = {
    STATE_F_UINT32(VirtioMmio, device_feature_select),
    STATE_F_UINT32(VirtioMmio, driver_feature_select),
    STATE_F_UINT32(VirtioMmio, queue_select),
    STATE_F_END
};

static bool virtio_mmio_post_load(void *opaque, int version)
{
    bh_schedule(((VirtioMmio *)opaque)->irq_bh);
    return true;
}

static const StateTable virtio_mmio_state = {
    .name = "virtio-mmio", .version = 1, .minimum_version = 1, .fields = virtio_mmio_fields,
    .post_load = virtio_mmio_post_load,
};

static const ObjectProperty virtio_mmio_properties[] = {
    PROP_BOOL("force-legacy", VirtioMmio, force_legacy, false, "for compatibility: must be off"),
    PROP_BOOL("ioeventfd", VirtioMmio, ioeventfd, true, "take queue kicks through eventfds"),
    PROP_END
};

static char *firmware_node(DeviceState *dev)
{
    return g_strdup_printf("virtio-mmio@%016" PRIx64, VIRTIO_MMIO(dev)->io.addr);
}

static const DeviceOps virtio_mmio_dev_ops = {
    .firmware_node = firmware_node,
    .realize = virtio_mmio_realize, .unrealize = virtio_mmio_unrealize,
    .reset = virtio_mmio_reset, .state = &virtio_mmio_state,
};

OBJECT_TYPE(virtio_mmio_type) = {
    .name = "virtio-mmio",
    .parent = &device_type,
    .description = "Memory-mapped transport of a virtio device",
    .instance_size = sizeof(VirtioMmio),
    .instance_init = virtio_mmio_init,
    .properties = virtio_mmio_properties,
    .impls = TYPE_IMPLS({ &device_type, &virtio_mmio_dev_ops }),
};

VirtioMmio *virtio_mmio_create(Object *parent, unsigned n, Error **errp)
{
    DeviceState *dev = device_new(&virtio_mmio_type);
    VirtioMmio *s = VIRTIO_MMIO(dev);
    g_autofree char *name = g_strdup_printf("virtio-mmio-bus.%u", n);

    object_add_child(parent, "virtio-mmio[*]", dev, &error_abort);
    bus_init(&s->bus, &virtio_bus_type, dev, name);
    s->bus.hotplug = &plug_ops;
    s->bus.hotplug_opaque = s;
    return device_realize_and_unref(dev, NULL, errp) ? s : NULL;
}
