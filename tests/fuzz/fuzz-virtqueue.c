/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hostile driver for virtqueues: the input chooses features, ring size and
 * place, then a sequence of writes to ring memory and of the device's own
 * operations. Nothing may crash, hang, or leave a mapping behind.
 *
 * Run as a test it uses a fixed set of generated inputs (the same in every
 * run), and any files named on the command line. LLVMFuzzerTestOneInput() is
 * there for a coverage-guided engine.
 */
#include "util/osdep.h"
#include "virtqueue-fixture.h"

#define MAX_HELD 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Input {
    const uint8_t *data;
    size_t left;
} Input;

static unsigned take(Input *in)
{
    if (!in->left) {
        return 0;
    }
    in->left--;
    return *in->data++;
}

static unsigned take16(Input *in)
{
    unsigned lo = take(in);

    return lo | take(in) << 8;
}

/* An address near something interesting. */
static uint64_t take_addr(Input *in)
{
    static const uint64_t bases[] = {
        BUFFERS, RING_DESC, RING_DRIVER, RING_DEVICE, RAM_B - 256, RAM_B + RAM_SIZE - 256, ROM,
        0, 0x400000, UINT64_MAX - 255,
    };
    unsigned n = take(in);

    return bases[n % ARRAY_SIZE(bases)] + take(in);
}

static uint32_t take_len(Input *in)
{
    unsigned n = take(in);

    switch (n % 8) {
    case 0:
        return 0;
    case 1:
        return UINT32_MAX - take(in);
    case 2:
        return take16(in) << 8;
    case 3:
        return 16 * take(in);
    default:
        return take(in);
    }
}

static void write_desc(Input *in, uint64_t table, unsigned slots)
{
    uint8_t *p = fixture_mem(table + 16 * (take(in) % slots));

    store_le64(p, take_addr(in));
    store_le32(p + 8, take_len(in));
    store_le16(p + 12, take16(in) & 0x83ff);
    store_le16(p + 14, take16(in) & 0x8387);
}

/* A chain as a driver would write it, where the device will look next. */
static void add_good(Input *in, Fixture *f)
{
    VirtQueue *vq = &f->vq;
    unsigned n = 1 + take(in) % 3, out = take(in) % (n + 1);
    unsigned pos = vq->packed ? vq->next_avail : take(in) % MAX(vq->size, 1);
    uint16_t idx = load_le16(fixture_mem(RING_DRIVER + 2));

    if (!vq->live) {
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        unsigned at = (pos + i) % vq->size;
        bool wrap = vq->avail_wrap != (pos + i >= vq->size);
        uint8_t *p = fixture_mem(RING_DESC + 16 * at);
        uint16_t flags = (i >= out ? VRING_DESC_F_WRITE : 0) |
                         (i + 1 < n ? VRING_DESC_F_NEXT : 0);
        uint16_t marks = 1u << (wrap ? VRING_PACKED_DESC_F_AVAIL : VRING_PACKED_DESC_F_USED);

        store_le64(p, BUFFERS + 16 * take16(in));
        store_le32(p + 8, 1 + take(in));
        store_le16(p + 12, vq->packed ? at : flags);
        store_le16(p + 14, vq->packed ? flags | marks : (at + 1) % vq->size);
    }
    if (!vq->packed) {
        store_le16(fixture_mem(RING_DRIVER + 4 + 2 * (idx % vq->size)), pos);
        store_le16(fixture_mem(RING_DRIVER + 2), idx + 1);
    }
}

static void write_ring(Input *in, Fixture *f)
{
    unsigned slots = MAX(f->vq.size, 1);

    switch (take(in) % 5) {
    case 0:
        write_desc(in, RING_DESC, slots);
        break;
    case 1:
        write_desc(in, BUFFERS, 16);
        break;
    case 2:                     /* the driver's index, a little ahead */
        store_le16(fixture_mem(RING_DRIVER + 2),
                   load_le16(fixture_mem(RING_DRIVER + 2)) + take(in) % 4);
        break;
    case 3:
        store_le16(fixture_mem(RING_DRIVER + 2 * (take16(in) % (slots + 3))), take16(in) & 0x8fff);
        break;
    default:
        store_le16(fixture_mem(RING_DEVICE + 2 * (take16(in) % (slots + 3))), take16(in));
        break;
    }
}

static void give_back(Input *in, Fixture *f, VirtQueueElement **held, unsigned *count)
{
    unsigned n = 1 + take(in) % *count;

    for (unsigned i = 0; i < n; i++) {
        VirtQueueElement *e = held[--*count];

        for (unsigned k = 0; k < e->out_count && k < 4; k++) {
            g_assert_cmpuint(e->out[k].iov_len, >, 0);
        }
        /* Touch both ends of what we may write. */
        for (unsigned k = 0; k < e->in_count; k++) {
            volatile uint8_t *p = e->in[k].iov_base;

            p[0] ^= 1;
            p[e->in[k].iov_len - 1] ^= 1;
        }
        virtqueue_fill(e, take(in), i);
        virtqueue_element_free(e);
    }
    virtqueue_flush(&f->vq, n);
    virtqueue_notify(&f->vq);
}

static void drop_all(VirtQueueElement **held, unsigned *count)
{
    while (*count) {
        VirtQueueElement *e = held[--*count];

        virtqueue_detach(e);
        virtqueue_element_free(e);
    }
}

static void reset(Input *in, Fixture *f)
{
    virtqueue_unmap(&f->vq);
    f->vq.size = take(in) % 8 ? 1u << (take(in) % 8) : take16(in);
    fixture_go_live(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input in = { data, size };
    unsigned bits = take(&in), count = 0;
    uint64_t features = (bits & 1 ? BIT(VIRTIO_F_RING_PACKED) : 0) |
                        (bits & 2 ? BIT(VIRTIO_RING_F_EVENT_IDX) : 0) |
                        (bits & 4 ? BIT(VIRTIO_RING_F_INDIRECT_DESC) : 0);
    Fixture *f = fixture_new(features, 1u << (take(&in) % 9));
    VirtQueueElement *held[MAX_HELD];

    while (in.left) {
        VirtQueueElement *e;

        switch (take(&in) % 16) {
        case 8:
        case 9:
        case 10:
            e = count < MAX_HELD ? virtqueue_pop(&f->vq, sizeof(*e)) : NULL;
            if (e) {
                held[count++] = e;
            }
            break;
        case 11:
            e = virtqueue_pop(&f->vq, sizeof(*e));
            if (e) {
                virtqueue_unpop(e);
                virtqueue_element_free(e);
            }
            break;
        case 12:
            if (count) {
                give_back(&in, f, held, &count);
            }
            break;
        case 13:
            virtqueue_enable_kicks(&f->vq, take(&in) & 1);
            virtqueue_empty(&f->vq);
            break;
        case 14:
            f->vdev.map_generation++;
            break;
        case 15:
            if (fixture_broken(f) || take(&in) % 8 == 0) {
                drop_all(held, &count);
                reset(&in, f);
            }
            break;
        case 0:
            write_ring(&in, f);
            break;
        default:
            add_good(&in, f);
            break;
        }
    }
    drop_all(held, &count);
    fixture_free(f);
    return 0;
}

static void run_generated(uint64_t seed)
{
    uint8_t buf[4096];
    uint64_t state = seed;

    for (size_t i = 0; i < sizeof(buf); i++) {
        buf[i] = prng(&state) >> 7;
    }
    buf[0] = seed;
    LLVMFuzzerTestOneInput(buf, sizeof(buf));
}

static bool run_file(const char *path)
{
    g_autofree char *data = NULL;
    gsize len;

    if (!g_file_get_contents(path, &data, &len, NULL)) {
        fprintf(stderr, "fuzz-virtqueue: cannot read '%s'\n", path);
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
    for (uint64_t seed = 0; argc == 1 && seed < 400; seed++) {
        run_generated(seed);
    }
    return 0;
}
