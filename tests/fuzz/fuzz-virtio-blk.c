/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hostile driver for virtio-blk: the input becomes requests, in pieces of
 * memory that are exactly as large as they say, over a disk in memory that
 * sometimes fails. Each request comes back once, with a known status, or the
 * device is broken; nothing beyond the pieces is touched (the sanitizers tell).
 *
 * Run as a test it uses a fixed set of generated inputs, and any files named on
 * the command line. LLVMFuzzerTestOneInput() is there for a coverage-guided
 * engine. The queue is a stand-in below; rings have a target of their own.
 */
#include "util/osdep.h"
#include "../../hw/block/virtio-blk.h"
#include "block-fixture.h"
#include "system/runstate.h"

#define MAX_PIECES 6
#define DISK_SIZE (256 * KIB)

static char serial[] = "a serial number that is too long";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Input {
    const uint8_t *data;
    size_t left;
} Input;

/* What the device pops: first its own request. */
typedef struct FuzzElement {
    VirtioBlkReq req;
    struct iovec out[MAX_PIECES], in[MAX_PIECES];
} FuzzElement;

static Input input;
static unsigned held, to_pop;
static bool broken;
static VirtQueue *the_queue = (VirtQueue *)&the_queue;      /* only ever compared */

static unsigned take(void)
{
    if (!input.left) {
        return 0;
    }
    input.left--;
    return *input.data++;
}

static uint64_t take_sector(void)
{
    switch (take() % 8) {
    case 0:
        return UINT64_MAX - take();
    case 1:
        return (UINT64_C(1) << (take() % 64)) + take();
    default:
        return take() * 2 + take() % 2;
    }
}

static size_t take_size(void)
{
    switch (take() % 6) {
    case 0:
        return 0;
    case 1:
        return 1;
    case 2:
        return take();
    case 3:
        return 16;
    default:
        return 512 * (take() % 9);
    }
}

static uint32_t take_pieces(struct iovec *iov, uint16_t *count)
{
    uint32_t sum = 0;

    *count = take() % (MAX_PIECES + 1);
    for (unsigned i = 0; i < *count; i++) {
        iov[i].iov_len = take_size();
        iov[i].iov_base = malloc(MAX(iov[i].iov_len, 1));
        memset(iov[i].iov_base, take(), iov[i].iov_len);
        sum += iov[i].iov_len;
    }
    return sum;
}

/* A header that makes sense more often than not, and what discard wants after it. */
static void write_header(FuzzElement *e)
{
    static const uint32_t types[] = {
        VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_GET_ID,
        VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES, VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT,
    };
    struct {
        struct virtio_blk_outhdr hdr;
        struct virtio_blk_discard_write_zeroes seg;
    } bytes = {
        .hdr.type = take() % 16 ? types[take() % ARRAY_SIZE(types)] : take() << 8 | take(),
        .hdr.sector = take_sector(),
        .seg = { .sector = take_sector(), .num_sectors = take() % 32 ? take() % 40 : UINT32_MAX,
                 .flags = take() % 4 ? 0 : take() },
    };

    iov_from_buf(e->out, e->req.elem.out_count, 0, &bytes, sizeof(bytes));
}

/* ---- the queue ---- */

void *virtqueue_pop(VirtQueue *vq, size_t size)
{
    FuzzElement *e;

    g_assert_cmpint(size, ==, sizeof(VirtioBlkReq));
    if (!to_pop || broken) {
        return NULL;
    }
    to_pop--;
    held++;
    e = g_new0(FuzzElement, 1);
    /* What follows the element is not initialised for the device. */
    memset((char *)&e->req + sizeof(VirtQueueElement), 0xa5,
           sizeof(VirtioBlkReq) - sizeof(VirtQueueElement));
    e->req.elem.vq = vq;
    e->req.elem.out = e->out;
    e->req.elem.in = e->in;
    e->req.elem.out_size = take_pieces(e->out, &e->req.elem.out_count);
    e->req.elem.in_size = take_pieces(e->in, &e->req.elem.in_count);
    write_header(e);
    return e;
}

static void give_up(VirtQueueElement *elem)
{
    g_assert_cmpint(held, >, 0);
    held--;
    for (unsigned i = 0; i < elem->out_count; i++) {
        free(elem->out[i].iov_base);
    }
    for (unsigned i = 0; i < elem->in_count; i++) {
        free(elem->in[i].iov_base);
    }
    elem->out_count = elem->in_count = 0;
}

void virtqueue_push(VirtQueueElement *elem, uint32_t written)
{
    uint8_t status = 0xff;

    g_assert_cmpint(written, ==, elem->in_size);
    iov_to_buf(elem->in, elem->in_count, elem->in_size - 1, &status, 1);
    g_assert_cmpint(status, <=, VIRTIO_BLK_S_UNSUPP);
    give_up(elem);
}

void virtqueue_detach(VirtQueueElement *elem)
{
    give_up(elem);
}

void virtqueue_element_free(void *elem)
{
    g_free(elem);
}

void virtqueue_notify(VirtQueue *vq)
{
}

uint16_t virtio_queue_index(const VirtQueue *vq)
{
    return 0;
}

VirtQueue *virtio_queue(VirtioDevice *vdev, uint16_t index)
{
    return the_queue;
}

void virtio_device_broken(VirtioDevice *vdev, const char *why)
{
    broken = true;
}

void vm_stop_request(RunState s)
{
}

/* ---- the device ---- */

static void device_init(VirtioBlk *s, BlockNode *bn, bool *notify)
{
    memset(s, 0, sizeof(*s));
    s->conf.blk = test_backend(bn, BLOCK_PERM_CONSISTENT_READ | (take() % 8 ? BLOCK_PERM_WRITE : 0),
                               BLOCK_PERM_ALL);
    s->conf.logical_block_size = take() % 4 ? 512 : 4096;
    blk_set_on_error(s->conf.blk, take() % BLOCKDEV_ON_ERROR__MAX, take() % BLOCKDEV_ON_ERROR__MAX);
    s->serial = serial;
    s->num_queues = 1;
    s->request_merging = take() % 4;
    s->max_discard_sectors = s->max_write_zeroes_sectors = 1 << 20;
    s->vdev.guest_features = take() % 8 ? UINT64_MAX : 0;
    s->notify = notify;
    s->notify_bh = bh_new(event_loop_main(), virtio_blk_notify_all, s);
    s->parked_last = &s->parked;
}

static unsigned count_parked(const VirtioBlk *s)
{
    unsigned n = 0;

    for (VirtioBlkReq *r = s->parked; r; r = r->next) {
        n++;
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool initialised;
    g_autofree char *options = NULL;
    bool notify = false;
    BlockNode *bn;
    VirtioBlk s;

    if (!initialised) {
        test_block_init();
        initialised = true;
    }
    input = (Input) { data, size };
    options =
        g_strdup_printf("{'driver':'raw','discard':'unmap','file':{'driver':'test-mem','size':%d,"
                        "'align':%d}}",
                        (int)DISK_SIZE, take() % 2 ? 512 : 4096);
    bn = test_node(options);
    device_init(&s, bn, &notify);
    broken = false;
    while (input.left) {
        to_pop = take() % 8;
        test_mem(bn->file->node)->fail = take() % 4 ? 0 : take() % 2 ? ENOSPC : EIO;
        virtio_blk_handle_queue(&s.vdev, the_queue);
        blk_drain(s.conf.blk);
        g_assert_cmpint(held, ==, count_parked(&s));
        if (take() % 4 == 0) {
            virtio_blk_restart(&s);
            blk_drain(s.conf.blk);
        }
        if (take() % 8 == 0 || broken) {
            virtio_blk_drop_parked(&s, -1);
            g_assert_cmpint(held, ==, 0);
            broken = false;
        }
    }
    virtio_blk_drop_parked(&s, 0);
    g_assert_cmpint(held, ==, 0);
    bh_delete(s.notify_bh);
    blk_unref(s.conf.blk);
    block_node_unref(bn);
    return 0;
}

static void run_generated(unsigned seed)
{
    uint8_t buf[2048];

    for (size_t i = 0; i < sizeof(buf); i++) {
        buf[i] = test_random() >> 5;
    }
    LLVMFuzzerTestOneInput(buf, sizeof(buf));
}

static bool run_file(const char *path)
{
    g_autofree char *data = NULL;
    gsize len;

    if (!g_file_get_contents(path, &data, &len, NULL)) {
        fprintf(stderr, "fuzz-virtio-blk: cannot read '%s'\n", path);
        return false;
    }
    LLVMFuzzerTestOneInput((uint8_t *)data, len);
    return true;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (!run_file(argv[i])) {
            return 1;
        }
    }
    for (unsigned seed = 0; argc == 1 && seed < 500; seed++) {
        run_generated(seed);
    }
    return 0;
}
