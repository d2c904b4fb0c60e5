/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PCI transport of virtio devices (virtio 1.2, 4.1): modern interface only,
 * no I/O ports.
 *
 * BAR 1: MSI-X table and pending bits. BAR 4 (64-bit): common configuration at
 * 0, ISR status at 0x1000, device configuration at 0x2000, notifications at
 * 0x3000.
 *
 * Thread: registers with the machine lock, but for the notification area, which
 * needs none. Used buffer notifications leave from the queue's thread: as MSI-X
 * message, through an eventfd when the queue has a loop of its own, or, with
 * INTx, by way of the main loop. Trust: every register value is the driver's.
 */
#include "util/osdep.h"
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include "qapi-types.h"
#include "system/machine-lock.h"
#include "trace-hw-virtio.h"
#include "util/bswap.h"
#include "virtio-pci.h"

#define VENDOR_ID 0x1af4
#define DEVICE_ID_BASE 0x1040
#define SUBSYSTEM_ID 0x1100

#define BAR_MSIX 1
#define BAR_REGS 4
#define WINDOW_SIZE 0x1000
#define COMMON_AT 0x0000
#define ISR_AT 0x1000
#define DEVICE_AT 0x2000
#define NOTIFY_AT 0x3000
#define BAR_SIZE_MIN 0x4000

#define VECTORS_MAX 2048

#define ISR_QUEUE 1
#define ISR_CONFIG 2

typedef struct VirtioPciIrq {
    VirtioPci *proxy;
    EventNotifier notifier;
    bool external;              /* someone else sets @notifier */
    bool watched;               /* by the main loop, as there is no vector */
    bool attached;              /* atomics: raise the vector by @notifier */
    uint16_t vector;
} VirtioPciIrq;

/* ---- interrupts ---- */

static void update_intx(VirtioPci *s)
{
    pci_set_intx(&s->pci, !msix_enabled(&s->pci) && atomic_load(&s->vdev->isr));
}

static void intx_bh(void *opaque)
{
    update_intx(opaque);
}

static void raise_interrupt(VirtioPci *s, uint16_t vector, uint8_t isr)
{
    trace_virtio_pci_notify(s, vector);
    if (msix_enabled(&s->pci)) {
        if (vector != VIRTIO_NO_VECTOR) {
            msix_notify(&s->pci, vector);
        }
        return;
    }
    atomic_fetch_or(&s->vdev->isr, isr);
    if (machine_lock_held()) {
        update_intx(s);
    } else {
        bh_schedule(s->intx_bh);
    }
}

static void notify_queue(DeviceState *transport, VirtQueue *vq)
{
    VirtioPci *s = (VirtioPci *)transport;
    uint16_t index = virtio_queue_index(vq);

    if (s->irqs && atomic_load_acquire(&s->irqs[index].attached)) {
        event_notifier_set(&s->irqs[index].notifier);
    } else {
        raise_interrupt(s, virtio_queue_vector(s->vdev, index), ISR_QUEUE);
    }
}

static void notify_config(DeviceState *transport)
{
    VirtioPci *s = (VirtioPci *)transport;

    raise_interrupt(s, s->vdev->config_vector, ISR_CONFIG);
}

static void irq_detach(VirtioPci *s, VirtioPciIrq *irq)
{
    if (irq->attached) {
        atomic_store_release(&irq->attached, false);
        msix_detach_notifier(&s->pci, irq->vector, &irq->notifier);
    }
}

/* A queue that is served outside has used buffers, and no vector of its own. */
static void external_notified(void *opaque)
{
    VirtioPciIrq *irq = opaque;

    if (event_notifier_test_and_clear(&irq->notifier)) {
        raise_interrupt(irq->proxy, virtio_queue_vector(irq->proxy->vdev, (uint16_t)(irq - irq->proxy->irqs)), ISR_QUEUE);
    }
}

static void irq_watch(VirtioPciIrq *irq, bool watch)
{
    if (irq->watched != watch) {
        irq->watched = watch;
        event_loop_set_notifier(event_loop_main(), &irq->notifier, watch ? external_notified : NULL, irq);
    }
}

static void irqs_make(VirtioPci *s)
{
    if (!s->irqs) {
        s->irqs = g_new0(VirtioPciIrq, s->vdev->queue_count);
        for (unsigned i = 0; i < s->vdev->queue_count; i++) {
            s->irqs[i].proxy = s;
            s->irqs[i].notifier.fd = -1;
        }
    }
}

/* Give a queue that another thread serves a direct way to its vector, or take it away. */
static void irq_update(VirtioPci *s, uint16_t index)
{
    VirtioDevice *vdev = s->vdev;
    VirtQueue *vq = virtio_queue(vdev, index);
    uint16_t vector = virtio_queue_vector(vdev, index);
    bool wanted = s->running && msix_enabled(&s->pci) && vector != VIRTIO_NO_VECTOR &&
                  virtio_queue_enabled(vdev, index) &&
                  (virtio_queue_loop(vq) != event_loop_main() || (s->irqs && s->irqs[index].external));
    VirtioPciIrq *irq;

    if (!wanted && !s->irqs) {
        return;
    }
    irqs_make(s);
    irq = &s->irqs[index];
    if (irq->attached && (!wanted || irq->vector != vector)) {
        irq_detach(s, irq);
    }
    irq_watch(irq, irq->external && !wanted);
    if (!wanted || irq->attached) {
        return;
    }
    if (irq->notifier.fd < 0 && !event_notifier_init(&irq->notifier, false, NULL)) {
        return;
    }
    /* Without it the queue's thread sends messages itself. */
    if (msix_attach_notifier(&s->pci, vector, &irq->notifier, NULL)) {
        irq->vector = vector;
        atomic_store_release(&irq->attached, true);
    } else {
        irq_watch(irq, irq->external);
    }
}

static EventNotifier *queue_external(DeviceState *transport, uint16_t index, bool external)
{
    VirtioPci *s = (VirtioPci *)transport;
    VirtioPciIrq *irq;

    irqs_make(s);
    irq = &s->irqs[index];
    if (irq->notifier.fd < 0 && !event_notifier_init(&irq->notifier, false, NULL)) {
        return NULL;
    }
    irq->external = external;
    accel_irq_begin();
    irq_update(s, index);
    accel_irq_commit();
    return &irq->notifier;
}

static void irq_update_all(VirtioPci *s)
{
    accel_irq_begin();
    for (unsigned i = 0; i < s->vdev->queue_count; i++) {
        irq_update(s, i);
    }
    accel_irq_commit();
}

static void set_running(DeviceState *transport, bool running)
{
    VirtioPci *s = (VirtioPci *)transport;

    s->running = running;
    irq_update_all(s);
}

/* ---- kicks ---- */

static bool assign_host_notifier(DeviceState *transport, uint16_t index, EventNotifier *n,
                                 bool assign)
{
    VirtioPci *s = (VirtioPci *)transport;
    GuestAddr at = (GuestAddr)index * s->notify_multiplier;

    if (!s->ioeventfd) {
        return false;
    }
    if (assign) {
        memory_region_add_notifier(&s->notify, at, 0, false, 0, n);
    } else {
        memory_region_del_notifier(&s->notify, at, 0, false, 0, n);
    }
    return true;
}

static uint64_t notify_read(void *opaque, GuestAddr addr, unsigned size)
{
    return 0;
}

static void notify_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    VirtioPci *s = opaque;

    if (addr % s->notify_multiplier == 0) {
        virtio_queue_kick(s->vdev, addr / s->notify_multiplier);
    }
}

static const MemoryRegionOps notify_ops = {
    .read = notify_read,
    .write = notify_write,
    .valid_min = 1,
    .valid_max = 8,
    .lockless = true,
};

static AddressSpace *get_dma(DeviceState *transport)
{
    return ((VirtioPci *)transport)->pci.dma;
}

static const VirtioTransportOps virtio_pci_transport = {
    .notify_queue = notify_queue,
    .notify_config = notify_config,
    .dma = get_dma,
    .assign_host_notifier = assign_host_notifier,
    .running = set_running,
    .queue_external = queue_external,
};

/* ---- common configuration (4.1.4.3) ---- */

/* Width of the field that starts at @addr; 0: none does. */
static unsigned common_width(unsigned addr)
{
    switch (addr) {
    case VIRTIO_PCI_COMMON_STATUS:
    case VIRTIO_PCI_COMMON_CFGGENERATION:
        return 1;
    case VIRTIO_PCI_COMMON_MSIX:
    case VIRTIO_PCI_COMMON_NUMQ:
    case VIRTIO_PCI_COMMON_Q_SELECT:
    case VIRTIO_PCI_COMMON_Q_SIZE:
    case VIRTIO_PCI_COMMON_Q_MSIX:
    case VIRTIO_PCI_COMMON_Q_ENABLE:
    case VIRTIO_PCI_COMMON_Q_NOFF:
    case VIRTIO_PCI_COMMON_Q_NDATA:
    case VIRTIO_PCI_COMMON_Q_RESET:
        return 2;
    case VIRTIO_PCI_COMMON_DFSELECT:
    case VIRTIO_PCI_COMMON_DF:
    case VIRTIO_PCI_COMMON_GFSELECT:
    case VIRTIO_PCI_COMMON_GF:
    case VIRTIO_PCI_COMMON_Q_DESCLO:
    case VIRTIO_PCI_COMMON_Q_DESCHI:
    case VIRTIO_PCI_COMMON_Q_AVAILLO:
    case VIRTIO_PCI_COMMON_Q_AVAILHI:
    case VIRTIO_PCI_COMMON_Q_USEDLO:
    case VIRTIO_PCI_COMMON_Q_USEDHI:
        return 4;
    default:
        return 0;
    }
}

static uint32_t feature_half(uint64_t features, uint32_t select)
{
    return select < 2 ? features >> (32 * select) : 0;
}

static uint32_t queue_field_read(VirtioPci *s, unsigned addr)
{
    VirtioDevice *vdev = s->vdev;
    uint16_t q = s->queue_select;
    unsigned part;

    switch (addr) {
    case VIRTIO_PCI_COMMON_Q_SIZE:
        return virtio_queue_size(vdev, q);
    case VIRTIO_PCI_COMMON_Q_MSIX:
        return virtio_queue_vector(vdev, q);
    case VIRTIO_PCI_COMMON_Q_ENABLE:
        return virtio_queue_enabled(vdev, q);
    case VIRTIO_PCI_COMMON_Q_NOFF:
    case VIRTIO_PCI_COMMON_Q_NDATA:
        return q < vdev->queue_count ? q : 0;
    case VIRTIO_PCI_COMMON_Q_RESET:
        return 0;               /* a reset is over when the write returns */
    default:
        part = (addr - VIRTIO_PCI_COMMON_Q_DESCLO) / 8;
        return virtio_queue_addr(vdev, q, part) >> (addr % 8 ? 32 : 0);
    }
}

static uint32_t common_field_read(VirtioPci *s, unsigned addr)
{
    VirtioDevice *vdev = s->vdev;

    switch (addr) {
    case VIRTIO_PCI_COMMON_DFSELECT:
        return s->device_feature_select;
    case VIRTIO_PCI_COMMON_DF:
        return feature_half(vdev->host_features, s->device_feature_select);
    case VIRTIO_PCI_COMMON_GFSELECT:
        return s->driver_feature_select;
    case VIRTIO_PCI_COMMON_GF:
        return feature_half(vdev->guest_features, s->driver_feature_select);
    case VIRTIO_PCI_COMMON_MSIX:
        return vdev->config_vector;
    case VIRTIO_PCI_COMMON_NUMQ:
        return vdev->queue_count;
    case VIRTIO_PCI_COMMON_STATUS:
        return atomic_load(&vdev->status);
    case VIRTIO_PCI_COMMON_CFGGENERATION:
        return atomic_load(&vdev->config_generation);
    case VIRTIO_PCI_COMMON_Q_SELECT:
        return s->queue_select;
    default:
        return queue_field_read(s, addr);
    }
}

/* Any width at any place: parts of fields, and several fields, read as their bytes. */
static uint32_t common_read(VirtioPci *s, unsigned addr, unsigned size)
{
    uint32_t value = 0;

    if (common_width(addr) == size) {
        return common_field_read(s, addr);
    }
    for (unsigned i = 0; i < size; i++) {
        unsigned at = addr + i, start = at;

        while (start && start > at - MIN(at, 3) && !common_width(start)) {
            start--;
        }
        if (at - start < common_width(start)) {
            value |= ((common_field_read(s, start) >> (8 * (at - start))) & 0xff) << (8 * i);
        }
    }
    return value;
}

/* A vector that does not exist reads back as none. */
static uint16_t checked_vector(VirtioPci *s, uint32_t value)
{
    return value < msix_vectors(&s->pci) ? value : VIRTIO_NO_VECTOR;
}

static void queue_field_write(VirtioPci *s, unsigned addr, uint32_t value)
{
    VirtioDevice *vdev = s->vdev;
    uint16_t q = s->queue_select;

    if (q >= vdev->queue_count) {
        return;
    }
    switch (addr) {
    case VIRTIO_PCI_COMMON_Q_SIZE:
        virtio_queue_set_size(vdev, q, value);
        break;
    case VIRTIO_PCI_COMMON_Q_MSIX:
        virtio_queue_set_vector(vdev, q, checked_vector(s, value));
        irq_update(s, q);
        break;
    case VIRTIO_PCI_COMMON_Q_ENABLE:
        if (value == 1) {
            virtio_queue_enable(vdev, q);
            irq_update(s, q);
        }
        break;
    case VIRTIO_PCI_COMMON_Q_RESET:
        if (value == 1) {
            virtio_queue_reset(vdev, q);
            irq_update(s, q);
        }
        break;
    case VIRTIO_PCI_COMMON_Q_NOFF:
    case VIRTIO_PCI_COMMON_Q_NDATA:
        break;
    default:
        virtio_queue_set_addr(vdev, q, (addr - VIRTIO_PCI_COMMON_Q_DESCLO) / 8, addr % 8, value);
        break;
    }
}

/* Fields are written as a whole (4.1.3.1); anything else has no effect. */
static void common_write(VirtioPci *s, unsigned addr, uint32_t value, unsigned size)
{
    VirtioDevice *vdev = s->vdev;

    if (common_width(addr) != size) {
        return;
    }
    switch (addr) {
    case VIRTIO_PCI_COMMON_DFSELECT:
        s->device_feature_select = value;
        break;
    case VIRTIO_PCI_COMMON_GFSELECT:
        s->driver_feature_select = value;
        break;
    case VIRTIO_PCI_COMMON_GF:
        virtio_set_guest_features(vdev, s->driver_feature_select, value);
        break;
    case VIRTIO_PCI_COMMON_MSIX:
        vdev->config_vector = checked_vector(s, value);
        break;
    case VIRTIO_PCI_COMMON_STATUS:
        virtio_set_status(vdev, value);
        update_intx(s);
        break;
    case VIRTIO_PCI_COMMON_Q_SELECT:
        s->queue_select = value;
        break;
    case VIRTIO_PCI_COMMON_DF:
    case VIRTIO_PCI_COMMON_NUMQ:
    case VIRTIO_PCI_COMMON_CFGGENERATION:
        break;
    default:
        queue_field_write(s, addr, value);
        break;
    }
}

/* ---- BAR 4 below the notification area ---- */

static uint64_t regs_read(void *opaque, GuestAddr addr, unsigned size)
{
    VirtioPci *s = opaque;
    uint64_t value = 0;

    switch (ROUND_DOWN(addr, WINDOW_SIZE)) {
    case COMMON_AT:
        value = common_read(s, addr, size);
        break;
    case ISR_AT:
        if (addr == ISR_AT) {
            value = virtio_isr_take(s->vdev);
            update_intx(s);
        }
        break;
    case DEVICE_AT:
        value = virtio_config_read(s->vdev, addr - DEVICE_AT, size);
        break;
    }
    return value;
}

static void regs_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    VirtioPci *s = opaque;

    switch (ROUND_DOWN(addr, WINDOW_SIZE)) {
    case COMMON_AT:
        common_write(s, addr, value, size);
        break;
    case DEVICE_AT:
        virtio_config_write(s->vdev, addr - DEVICE_AT, value, size);
        break;
    }
}

static const MemoryRegionOps regs_ops = {
    .read = regs_read,
    .write = regs_write,
    .valid_min = 1,
    .valid_max = 8,
    .impl_min = 1,
    .impl_max = 4,
};

/* ---- configuration space: capabilities, and the window into BAR 4 (4.1.4.9) ---- */

#define CFG_DATA (sizeof(struct virtio_pci_cap))

/* The window's target when it is acceptable; its length is 1, 2 or 4. */
static bool cfg_window(VirtioPci *s, uint32_t *offset, uint32_t *len)
{
    const uint8_t *cap = s->pci.config + s->cfg_cap;

    *offset = load_le32(cap + VIRTIO_PCI_CAP_OFFSET);
    *len = load_le32(cap + VIRTIO_PCI_CAP_LENGTH);
    return cap[VIRTIO_PCI_CAP_BAR] == BAR_REGS && (*len == 1 || *len == 2 || *len == 4) &&
           *offset % *len == 0 && *offset < s->bar.size && *len <= s->bar.size - *offset;
}

static bool hits(uint32_t addr, int len, uint32_t at, uint32_t size)
{
    return addr < at + size && at < addr + len;
}

static uint32_t config_read(PciDevice *pci, uint32_t addr, int len)
{
    VirtioPci *s = (VirtioPci *)pci;
    uint32_t data = s->cfg_cap + CFG_DATA, offset, n;

    if (s->cfg_cap && hits(addr, len, data, 4) && cfg_window(s, &offset, &n)) {
        uint64_t value = offset < NOTIFY_AT ? regs_read(s, offset, n) : 0;

        store_le(pci->config + data, value, n);
    }
    return load_le(pci->config + addr, len);
}

static void config_written(PciDevice *pci, uint32_t addr, uint32_t value, int len)
{
    VirtioPci *s = (VirtioPci *)pci;
    uint32_t data = s->cfg_cap + CFG_DATA, offset, n;

    if (hits(addr, len, PCI_COMMAND, 2) && pci->bus_master) {
        virtio_device_dma_enabled(s->vdev);
    }
    if (pci->cap_msix && hits(addr, len, pci->cap_msix + PCI_MSIX_FLAGS, 2)) {
        irq_update_all(s);
        update_intx(s);
    }
    if (s->cfg_cap && hits(addr, len, data, 4) && cfg_window(s, &offset, &n)) {
        uint64_t v = load_le(pci->config + data, n);

        if (offset < NOTIFY_AT) {
            regs_write(s, offset, v, n);
        } else {
            notify_write(s, offset - NOTIFY_AT, v, n);
        }
    }
}

static bool add_cap(VirtioPci *s, uint8_t type, uint32_t offset, uint32_t length, uint8_t size,
                    uint8_t *at, Error **errp)
{
    uint8_t *cap;

    *at = pci_add_capability(&s->pci, PCI_CAP_ID_VNDR, 0, size, errp);
    if (!*at) {
        return false;
    }
    cap = s->pci.config + *at;
    cap[VIRTIO_PCI_CAP_LEN] = size;
    cap[VIRTIO_PCI_CAP_CFG_TYPE] = type;
    cap[VIRTIO_PCI_CAP_BAR] = length ? BAR_REGS : 0;
    store_le32(cap + VIRTIO_PCI_CAP_OFFSET, offset);
    store_le32(cap + VIRTIO_PCI_CAP_LENGTH, length);
    return true;
}

static bool add_caps(VirtioPci *s, Error **errp)
{
    const uint8_t plain = sizeof(struct virtio_pci_cap);
    uint8_t at;

    if (!add_cap(s, VIRTIO_PCI_CAP_COMMON_CFG, COMMON_AT, WINDOW_SIZE, plain, &at, errp) ||
        !add_cap(s, VIRTIO_PCI_CAP_ISR_CFG, ISR_AT, WINDOW_SIZE, plain, &at, errp) ||
        !add_cap(s, VIRTIO_PCI_CAP_DEVICE_CFG, DEVICE_AT, WINDOW_SIZE, plain, &at, errp) ||
        !add_cap(s, VIRTIO_PCI_CAP_NOTIFY_CFG, NOTIFY_AT, s->notify.size, plain + 4, &at, errp)) {
        return false;
    }
    store_le32(s->pci.config + at + VIRTIO_PCI_NOTIFY_CAP_MULT, s->notify_multiplier);
    if (!add_cap(s, VIRTIO_PCI_CAP_PCI_CFG, 0, 0, plain + 4, &s->cfg_cap, errp)) {
        return false;
    }
    s->pci.wmask[s->cfg_cap + VIRTIO_PCI_CAP_BAR] = 0xff;
    memset(s->pci.wmask + s->cfg_cap + VIRTIO_PCI_CAP_OFFSET, 0xff, 12);
    return true;
}

/* ---- life ---- */

static bool check_options(VirtioPci *s, Error **errp)
{
    const char *name = s->pci.dev.obj.type->name;

    if (s->disable_legacy == ON_OFF_AUTO_OFF || s->disable_modern) {
        error_setg(errp, "%s has the modern interface only: disable-legacy=off and "
                   "disable-modern=on are not possible", name);
        return false;
    }
    if (s->ats) {
        error_setg(errp, "%s: ats=on needs an IOMMU, which this machine does not have", name);
        return false;
    }
    if (s->modern_pio_notify) {
        error_setg(errp, "%s: modern-pio-notify=on is not supported", name);
        return false;
    }
    if (s->vectors != VECTORS_UNSPECIFIED && s->vectors > VECTORS_MAX) {
        error_setg(errp, "%s: vectors=%u is out of range, expected 0 to %u", name, s->vectors,
                   VECTORS_MAX);
        return false;
    }
    return true;
}

static uint64_t power_of_2(uint64_t n)
{
    uint64_t p = 1;

    while (p < n) {
        p *= 2;
    }
    return p;
}

static void init_regions(VirtioPci *s)
{
    Object *owner = OBJECT(s);
    uint64_t notify_size;

    s->notify_multiplier = s->page_per_vq ? 4096 : 4;
    notify_size = ROUND_UP((uint64_t)MAX(s->vdev->queue_count, 1) * s->notify_multiplier, 4096);
    memory_region_init_container(&s->bar, owner, "virtio-pci",
                                 MAX(power_of_2(NOTIFY_AT + notify_size), BAR_SIZE_MIN));
    memory_region_init_io(&s->regs, owner, &regs_ops, s, "virtio-pci-regs", NOTIFY_AT);
    memory_region_init_io(&s->notify, owner, &notify_ops, s, "virtio-pci-notify", notify_size);
    memory_region_add(&s->bar, 0, &s->regs);
    memory_region_add(&s->bar, NOTIFY_AT, &s->notify);
    pci_register_bar(&s->pci, BAR_REGS,
                     PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH, &s->bar);
}

static void cleanup_regions(VirtioPci *s)
{
    memory_region_cleanup(&s->notify);
    memory_region_cleanup(&s->regs);
    memory_region_cleanup(&s->bar);
}

/* The table first, then the pending bits, in one BAR of at least a page. */
static bool init_msix(VirtioPci *s, Error **errp)
{
    uint32_t n = s->vectors, pba_at;

    if (n == VECTORS_UNSPECIFIED) {
        n = s->vdev->ops->default_vectors ? s->vdev->ops->default_vectors
                                          : s->vdev->queue_count + 1;
    }
    if (!n) {
        return true;
    }
    pba_at = MAX(ROUND_UP(n * PCI_MSIX_ENTRY_SIZE, 2048), 2048);
    memory_region_init_container(&s->msix_bar, OBJECT(s), "virtio-pci-msix",
                                 MAX(power_of_2(pba_at + DIV_ROUND_UP(n, 64) * 8), 4096));
    pci_register_bar(&s->pci, BAR_MSIX, PCI_BASE_ADDRESS_SPACE_MEMORY, &s->msix_bar);
    if (!msix_init(&s->pci, n, &s->msix_bar, BAR_MSIX, 0, pba_at, errp)) {
        memory_region_cleanup(&s->msix_bar);
        return false;
    }
    return true;
}

static void cleanup_msix(VirtioPci *s)
{
    if (s->pci.msix) {
        msix_cleanup(&s->pci);
        memory_region_cleanup(&s->msix_bar);
    }
}

static void init_ids(VirtioPci *s)
{
    const VirtioDeviceOps *ops = object_ops(s->vdev, &virtio_device_type);
    uint8_t *config = s->pci.config;

    store_le16(config + PCI_VENDOR_ID, VENDOR_ID);
    store_le16(config + PCI_DEVICE_ID, DEVICE_ID_BASE + ops->device_id);
    store_le16(config + PCI_SUBSYSTEM_VENDOR_ID, VENDOR_ID);
    store_le16(config + PCI_SUBSYSTEM_ID, SUBSYSTEM_ID);
    store_le16(config + PCI_CLASS_DEVICE, ops->pci_class);
    config[PCI_REVISION_ID] = 1;
    config[PCI_INTERRUPT_PIN] = 1;
}

static bool virtio_pci_realize(PciDevice *pci, Error **errp)
{
    VirtioPci *s = VIRTIO_PCI(pci);

    if (!check_options(s, errp)) {
        return false;
    }
    init_ids(s);
    bus_init(&s->bus, &virtio_bus_type, DEVICE(s), "virtio-bus");
    virtio_device_plug(s->vdev, DEVICE(s), &virtio_pci_transport, &pci->bus_master);
    if (!device_realize(DEVICE(s->vdev), &s->bus, errp)) {
        goto undo_bus;
    }
    s->intx_bh = bh_new(event_loop_main(), intx_bh, s);
    init_regions(s);
    if (!init_msix(s, errp)) {
        goto undo_regions;
    }
    if (!add_caps(s, errp) || !pcie_cap_init(pci, PCI_EXP_TYPE_ENDPOINT, errp) ||
        !pci_pm_init(pci, errp)) {
        goto undo_msix;
    }
    return true;

undo_msix:
    cleanup_msix(s);
undo_regions:
    cleanup_regions(s);
    bh_delete(s->intx_bh);
    s->intx_bh = NULL;
    device_unrealize(DEVICE(s->vdev));
undo_bus:
    bus_cleanup(&s->bus);
    return false;
}

static void virtio_pci_unrealize(PciDevice *pci)
{
    VirtioPci *s = VIRTIO_PCI(pci);

    device_unrealize(DEVICE(s->vdev));
    if (s->irqs) {
        for (unsigned i = 0; i < s->vdev->queue_count; i++) {
            if (s->irqs[i].notifier.fd >= 0) {
                event_notifier_cleanup(&s->irqs[i].notifier);
            }
        }
        g_clear_pointer(&s->irqs, g_free);
    }
    cleanup_msix(s);
    cleanup_regions(s);
    bh_delete(s->intx_bh);
    s->intx_bh = NULL;
    bus_cleanup(&s->bus);
}

static void virtio_pci_reset(PciDevice *pci)
{
    VirtioPci *s = VIRTIO_PCI(pci);

    virtio_device_reset(s->vdev);
    s->device_feature_select = s->driver_feature_select = 0;
    s->queue_select = 0;
}

static void virtio_pci_init(Object *obj)
{
    VirtioPci *s = (VirtioPci *)obj;

    /* Types without these properties have what is their default elsewhere. */
    s->vectors = VECTORS_UNSPECIFIED;
    s->ioeventfd = true;
    /* The reference is ours: with the bus that it sits on it leaves the tree before we are done. */
    s->vdev = (VirtioDevice *)object_new(obj->type->inner);
    object_add_child(obj, "virtio-backend", s->vdev, &error_abort);
}

static void virtio_pci_finalize(Object *obj)
{
    object_unref(((VirtioPci *)obj)->vdev);
}

static const ObjectProperty virtio_pci_properties[] = {
    PROP_BOOL("page-per-vq", VirtioPci, page_per_vq, false,
              "give each queue a notification page of its own"),
    PROP_BOOL("ats", VirtioPci, ats, false, "address translation services; must be off"),
    PROP_BOOL("modern-pio-notify", VirtioPci, modern_pio_notify, false,
              "for compatibility: must be off"),
    PROP_END
};

static const StateField virtio_pci_fields[] = {
    STATE_F_STRUCT(VirtioPci, pci, &pci_device_state),
    STATE_F_UINT32(VirtioPci, device_feature_select),
    STATE_F_UINT32(VirtioPci, driver_feature_select),
    STATE_F_UINT16(VirtioPci, queue_select),
    STATE_F_END
};

const StateTable virtio_pci_state = {
    .name = "virtio-pci",
    .version = 1,
    .minimum_version = 1,
    .fields = virtio_pci_fields,
};

static const PciDeviceOps virtio_pci_ops = {
    .realize = virtio_pci_realize,
    .unrealize = virtio_pci_unrealize,
    .reset = virtio_pci_reset,
    .vendor_id = VENDOR_ID,
    .revision = 1,
    .config_written = config_written,
    .config_read = config_read,
};

OBJECT_TYPE(virtio_pci_type) = {
    .name = "virtio-pci",
    .parent = &pci_device_type,
    .instance_size = sizeof(VirtioPci),
    .abstract = true,
    .properties = virtio_pci_properties,
    .impls = TYPE_IMPLS({ &pci_device_type, &virtio_pci_ops }),
    .instance_init = virtio_pci_init,
    .instance_finalize = virtio_pci_finalize,
};
