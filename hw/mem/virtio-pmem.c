/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-pmem (virtio 1.2, 5.19): persistent memory in a file. The guest reads and
 * writes it as memory; a request makes sure that what was written is in the file.
 *
 * Thread: main loop, and a vCPU thread with the machine lock; fsync(2) runs on
 * worker threads. Trust: a request is a number, of which one is known.
 */
#include "util/osdep.h"
#include <linux/virtio_ids.h>
#include <linux/virtio_pmem.h>
#include <sys/mman.h>
#include "hw/mem/memory-device.h"
#include "hw/pci/pci_regs.h"
#include "hw/virtio/virtio.h"
#include "trace-hw-mem.h"
#include "util/bswap.h"
#include "util/iov.h"
#include "util/thread.h"

#define QUEUE_SIZE 128

typedef struct VirtioPmem VirtioPmem;

typedef struct FlushRequest {
    VirtQueueElement elem;
    VirtioPmem *s;
    RamBlock *ram;
    int ret;
    struct FlushRequest *next;  /* in the list of finished ones */
} FlushRequest;

struct VirtioPmem {
    VirtioDevice vdev;
    MemoryDevice mem;
    VirtQueue *vq;
    Object *memdev;
    uint64_t memaddr;
    /* Shared with the workers. */
    pthread_mutex_t lock;
    pthread_cond_t idle;
    unsigned working;
    FlushRequest *finished;
};

/* ---- requests ---- */

/* On a worker. Memory without a file has nowhere to go. */
static int flush(void *arg)
{
    FlushRequest *req = arg;
    VirtioPmem *s = req->s;
    RamBlock *ram = req->ram;

    if (ram->fd >= 0 && ram->shared &&
        (msync(ram->host, ram->size, MS_SYNC) < 0 || fsync(ram->fd) < 0)) {
        req->ret = errno;
    }
    pthread_mutex_lock(&s->lock);
    req->next = s->finished;
    s->finished = req;
    if (--s->working == 0) {
        pthread_cond_signal(&s->idle);
    }
    pthread_mutex_unlock(&s->lock);
    return 0;
}

static void answer(FlushRequest *req)
{
    struct virtio_pmem_resp resp = { .ret = htole32(req->ret ? 1 : 0) };

    trace_virtio_pmem_flushed(req->s, req->ret);
    iov_from_buf(req->elem.in, req->elem.in_count, 0, &resp, sizeof(resp));
    virtqueue_push(&req->elem, sizeof(resp));
    virtqueue_element_free(req);
}

static void answer_finished(VirtioPmem *s)
{
    FlushRequest *list, *next;

    pthread_mutex_lock(&s->lock);
    list = s->finished;
    s->finished = NULL;
    pthread_mutex_unlock(&s->lock);
    for (FlushRequest *req = list; req; req = next) {
        next = req->next;
        answer(req);
    }
    if (list) {
        virtqueue_notify(s->vq);
    }
}

/* stop() may have answered meanwhile. */
static void flush_done(void *opaque, int ret)
{
    VirtioPmem *s = opaque;

    answer_finished(s);
    object_unref(s);
}

static void serve_queue(VirtioDevice *vdev, VirtQueue *vq)
{
    VirtioPmem *s = (VirtioPmem *)vdev;
    FlushRequest *req;

    while ((req = virtqueue_pop(vq, sizeof(*req)))) {
        struct virtio_pmem_req head;

        if (iov_to_buf(req->elem.out, req->elem.out_count, 0, &head, sizeof(head)) < sizeof(head) ||
            req->elem.in_size < sizeof(struct virtio_pmem_resp)) {
            virtio_device_broken(vdev, "virtio-pmem request or response too short");
            virtqueue_detach(&req->elem);
            virtqueue_element_free(req);
            return;
        }
        req->s = s;
        req->ram = s->mem.region->ram;
        req->ret = 0;
        if (le32toh(head.type) != VIRTIO_PMEM_REQ_TYPE_FLUSH) {
            req->ret = EINVAL;
            answer(req);
            virtqueue_notify(vq);
            continue;
        }
        pthread_mutex_lock(&s->lock);
        s->working++;
        pthread_mutex_unlock(&s->lock);
        object_ref(s);
        thread_pool_run(flush, req, flush_done, s);
    }
}

/* Nothing is left open: each flush that was begun is answered. */
static void pmem_stop(VirtioDevice *vdev)
{
    VirtioPmem *s = (VirtioPmem *)vdev;

    pthread_mutex_lock(&s->lock);
    while (s->working) {
        pthread_cond_wait(&s->idle, &s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    answer_finished(s);
}

static void pmem_queue_reset(VirtioDevice *vdev, uint16_t index)
{
    pmem_stop(vdev);
}

/* ---- life ---- */

static void pmem_get_config(VirtioDevice *vdev, uint8_t *config)
{
    const VirtioPmem *s = (VirtioPmem *)vdev;
    struct virtio_pmem_config c = { .start = htole64(s->mem.addr), .size = htole64(s->mem.size) };

    memcpy(config, &c, sizeof(c));
}

static void describe(const MemoryDevice *d, MemoryDeviceInfo *info)
{
    const VirtioPmem *s = container_of(d, VirtioPmem, mem);
    VirtioPMEMDeviceInfo *i = g_new0(VirtioPMEMDeviceInfo, 1);

    i->id = g_strdup(d->dev->id);
    i->memaddr = d->addr;
    i->size = d->size;
    i->memdev = object_path(s->memdev);
    info->type = MEMORY_DEVICE_INFO_KIND_VIRTIO_PMEM;
    info->u.virtio_pmem.data = i;
}

static bool pmem_realize(VirtioDevice *vdev, Error **errp)
{
    VirtioPmem *s = (VirtioPmem *)vdev;
    MemoryBackend *backend;

    if (!memory_device_claim(s->memdev, errp)) {
        return false;
    }
    backend = MEMORY_BACKEND(s->memdev);
    s->mem = (MemoryDevice){
        .dev = vdev->transport, .region = memory_backend_region(backend), .addr = s->memaddr,
        .size = memory_backend_size(backend), .slot = -1, .describe = describe,
        .align = MAX(MEMORY_DEVICE_ALIGN, memory_backend_region(backend)->ram->page_size),
    };
    if (s->mem.size % s->mem.align) {
        error_setg(errp, "backend memory size must be multiple of 0x%" PRIx64, s->mem.align);
        goto undo_claim;
    }
    if (!memory_device_plug(&s->mem, errp)) {
        goto undo_claim;
    }
    s->memaddr = s->mem.addr;
    s->vq = virtio_queue_add(vdev, QUEUE_SIZE, serve_queue);
    return true;

undo_claim:
    memory_backend_release(backend);
    return false;
}

static void pmem_unrealize(VirtioDevice *vdev)
{
    VirtioPmem *s = (VirtioPmem *)vdev;

    memory_device_unplug(&s->mem);
    memory_backend_release(MEMORY_BACKEND(s->memdev));
}

static void pmem_init(Object *obj)
{
    VirtioPmem *s = (VirtioPmem *)obj;

    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->idle, NULL);
}

static void pmem_finalize(Object *obj)
{
    VirtioPmem *s = (VirtioPmem *)obj;

    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->idle);
}

static const ObjectProperty pmem_properties[] = {
    PROP_LINK("memdev", VirtioPmem, memdev, &memory_backend_type, "the memory"),
    PROP_UINT64("memaddr", VirtioPmem, memaddr, 0, "guest physical address; 0: anywhere"),
    PROP_END
};

static const VirtioDeviceOps pmem_ops = {
    .name = "virtio-pmem", .device_id = VIRTIO_ID_PMEM, .pci_class = PCI_CLASS_OTHERS,
    .category = DEVICE_CATEGORY_STORAGE, .config_size = sizeof(struct virtio_pmem_config), .rare_kicks = true,
    .realize = pmem_realize, .unrealize = pmem_unrealize, .get_config = pmem_get_config,
    .stop = pmem_stop, .queue_reset = pmem_queue_reset,
};

OBJECT_TYPE(virtio_pmem_type) = {
    .name = "virtio-pmem", .parent = &virtio_device_type, .instance_size = sizeof(VirtioPmem),
    .description = "virtio persistent memory", .properties = pmem_properties,
    .instance_init = pmem_init, .instance_finalize = pmem_finalize,
    .impls = TYPE_IMPLS({ &virtio_device_type, &pmem_ops }),
};
