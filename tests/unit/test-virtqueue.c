/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtqueues of both formats against a model of a driver: order, wrap-around,
 * event indices, indirect tables, buffers across RAM boundaries, random
 * operation sequences; and what a hostile driver may write.
 */
#include "util/osdep.h"
#include "virtqueue-fixture.h"

#define F_PACKED BIT(VIRTIO_F_RING_PACKED)
#define F_EVENT BIT(VIRTIO_RING_F_EVENT_IDX)
#define F_INDIRECT BIT(VIRTIO_RING_F_INDIRECT_DESC)

typedef struct Request {
    VirtQueueElement elem;
    unsigned tag;
} Request;

static uint64_t features_of(gconstpointer data)
{
    return GPOINTER_TO_SIZE(data);
}

/* ---- the plain way ---- */

static void test_basic(gconstpointer data)
{
    uint64_t features = features_of(data);
    Fixture *f = fixture_new(features, 16);
    Driver *d = driver_new(f, features);
    Seg segs[] = { { BUFFERS, 16 }, { BUFFERS + 4096, 512 }, { BUFFERS + 8192, 1 } };
    Request *r;
    uint16_t id;
    uint32_t len;
    int added;

    g_assert_true(virtqueue_empty(&f->vq));
    g_assert_null(virtqueue_pop(&f->vq, sizeof(Request)));
    memcpy(fixture_mem(BUFFERS), "a request header", 16);
    added = driver_add(d, segs, 1, 2, features & F_INDIRECT);
    g_assert_cmpint(added, >=, 0);
    g_assert_true(driver_should_kick(d));
    g_assert_false(virtqueue_empty(&f->vq));

    r = virtqueue_pop(&f->vq, sizeof(Request));
    g_assert_nonnull(r);
    g_assert_cmpuint(r->elem.index, ==, added);
    g_assert_cmpuint(r->elem.out_count, ==, 1);
    g_assert_cmpuint(r->elem.in_count, ==, 2);
    g_assert_cmpuint(r->elem.out_size, ==, 16);
    g_assert_cmpuint(r->elem.in_size, ==, 513);
    g_assert_cmpmem(r->elem.out[0].iov_base, r->elem.out[0].iov_len, "a request header", 16);
    g_assert_true(r->elem.in[0].iov_base == fixture_mem(BUFFERS + 4096));
    g_assert_cmpuint(virtqueue_in_flight(&f->vq), ==, 1);
    g_assert_null(virtqueue_pop(&f->vq, sizeof(Request)));

    fixture_take_dirty();
    virtqueue_push(&r->elem, 513);
    g_assert_cmpuint(fixture_take_dirty(), >=, 513 + 8);
    virtqueue_element_free(r);
    g_assert_cmpuint(virtqueue_in_flight(&f->vq), ==, 0);
    g_assert_true(driver_get_used(d, &id, &len));
    g_assert_cmpuint(id, ==, added);
    g_assert_cmpuint(len, ==, 513);
    g_assert_false(driver_get_used(d, &id, &len));
    virtqueue_notify(&f->vq);
    g_assert_cmpuint(fixture_notifications(), ==, 1);
    g_assert_null(fixture_broken(f));
    driver_free(d);
    fixture_free(f);
}

/* Rings of all sizes, run round many times, one buffer of changing length at a time. */
static void test_wrap(gconstpointer data)
{
    uint64_t features = features_of(data);

    for (unsigned size = features & F_PACKED ? 3 : 4; size <= 256; size *= features & F_PACKED ? 5 : 4) {
        Fixture *f = fixture_new(features, size);
        Driver *d = driver_new(f, features);

        for (unsigned i = 0; i < 70000; i++) {
            unsigned n = 1 + i % MIN(size, 7);
            Seg segs[7];
            Request *r;
            uint16_t id;
            uint32_t len;

            for (unsigned k = 0; k < n; k++) {
                segs[k] = (Seg){ BUFFERS + 64 * k, 1 + k };
            }
            g_assert_cmpint(driver_add(d, segs, 0, n, false), >=, 0);
            r = virtqueue_pop(&f->vq, sizeof(Request));
            g_assert_nonnull(r);
            g_assert_cmpuint(r->elem.in_count, ==, n);
            virtqueue_push(&r->elem, i & 0xff);
            virtqueue_element_free(r);
            g_assert_true(driver_get_used(d, &id, &len));
            g_assert_cmpuint(len, ==, i & 0xff);
        }
        g_assert_null(fixture_broken(f));
        driver_free(d);
        fixture_free(f);
    }
}

/* ---- random operations ---- */

typedef struct Model {
    Fixture *f;
    Driver *d;
    uint64_t features, rng;
    uint64_t pattern[1024];     /* by id: what the buffer should hold */
    uint16_t order[1024];       /* ids in the order of adding, not yet popped */
    unsigned order_len;
    Request *held[1024];
    unsigned held_count;
    unsigned done;
} Model;

static void model_add(Model *m)
{
    Seg segs[8];
    unsigned n = 1 + prng(&m->rng) % 8, out = prng(&m->rng) % (n + 1);
    uint64_t slot = BUFFERS + (prng(&m->rng) % 1024) * 512;
    int id;

    for (unsigned i = 0; i < n; i++) {
        segs[i] = (Seg){ slot + 8 * i, 8 };
    }
    id = driver_add(m->d, segs, out, n - out, (m->features & F_INDIRECT) && prng(&m->rng) % 2);
    if (id >= 0) {
        m->pattern[id] = slot;
        m->order[m->order_len++] = id;
    }
}

static void model_pop(Model *m)
{
    Request *r = virtqueue_pop(&m->f->vq, sizeof(Request));
    struct iovec *first;

    if (!m->order_len) {
        g_assert_null(r);
        return;
    }
    g_assert_nonnull(r);
    g_assert_cmpuint(r->elem.index, ==, m->order[0]);
    first = r->elem.out_count ? r->elem.out : r->elem.in;
    g_assert_true(first->iov_base == fixture_mem(m->pattern[r->elem.index]));
    memmove(m->order, m->order + 1, --m->order_len * sizeof(m->order[0]));
    m->held[m->held_count++] = r;
}

static void model_unpop(Model *m)
{
    Request *r;

    if (!m->held_count) {
        return;
    }
    /* The newest of ours is the last popped: pushes take others' places in order. */
    r = virtqueue_pop(&m->f->vq, sizeof(Request));
    if (!r) {
        return;
    }
    virtqueue_unpop(&r->elem);
    virtqueue_element_free(r);
}

static Request *model_take(Model *m)
{
    unsigned i = prng(&m->rng) % m->held_count;
    Request *r = m->held[i];

    m->held[i] = m->held[--m->held_count];
    return r;
}

static void model_push(Model *m, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        Request *r = model_take(m);

        virtqueue_fill(&r->elem, r->elem.index * 3, i);
        virtqueue_element_free(r);
    }
    virtqueue_flush(&m->f->vq, count);
    if (prng(&m->rng) % 3) {
        virtqueue_notify(&m->f->vq);
    }
}

static void model_collect(Model *m)
{
    uint16_t id;
    uint32_t len;

    while (driver_get_used(m->d, &id, &len)) {
        g_assert_cmpuint(len, ==, id * 3);
        m->done++;
    }
}

static void test_random(gconstpointer data)
{
    uint64_t features = features_of(data);

    for (unsigned seed = 1; seed <= 20; seed++) {
        g_autofree Model *m = g_new0(Model, 1);
        unsigned size = features & F_PACKED ? 5 + 13 * seed : 8u << (seed % 6);

        m->features = features;
        m->rng = seed;
        m->f = fixture_new(features, size);
        m->d = driver_new(m->f, features);
        for (unsigned i = 0; i < 20000; i++) {
            switch (prng(&m->rng) % 6) {
            case 0:
            case 1:
                model_add(m);
                break;
            case 2:
                model_pop(m);
                break;
            case 3:
                if (m->held_count) {
                    model_push(m, 1 + prng(&m->rng) % m->held_count);
                }
                break;
            case 4:
                model_collect(m);
                break;
            case 5:
                model_unpop(m);
                virtqueue_enable_kicks(&m->f->vq, prng(&m->rng) % 2);
                break;
            }
            g_assert_cmpuint(virtqueue_in_flight(&m->f->vq), ==, m->held_count);
            g_assert_null(fixture_broken(m->f));
        }
        while (m->held_count) {
            model_push(m, 1);
        }
        model_collect(m);
        g_assert_cmpuint(m->done, >, 1000);
        driver_free(m->d);
        fixture_free(m->f);
    }
}

/* ---- notifications, both ways ---- */

static void take_one(Fixture *f)
{
    Request *r = virtqueue_pop(&f->vq, sizeof(Request));

    g_assert_nonnull(r);
    virtqueue_push(&r->elem, 0);
    virtqueue_element_free(r);
}

static void complete(Fixture *f, Driver *d, unsigned n)
{
    Seg seg = { BUFFERS, 8 };

    for (unsigned i = 0; i < n; i++) {
        g_assert_cmpint(driver_add(d, &seg, 1, 0, false), >=, 0);
        take_one(f);
    }
}

static void collect(Driver *d)
{
    uint16_t id;
    uint32_t len;

    while (driver_get_used(d, &id, &len)) {
        /* all */
    }
}

static void test_interrupts(gconstpointer data)
{
    uint64_t features = features_of(data);
    Fixture *f = fixture_new(features, 8);
    Driver *d = driver_new(f, features);

    complete(f, d, 1);
    virtqueue_notify(&f->vq);
    fixture_notifications();
    collect(d);
    for (unsigned round = 0; round < 200; round++) {
        unsigned delay = round % 6;

        driver_want_interrupt(d, false, 0);
        complete(f, d, 1);
        virtqueue_notify(&f->vq);
        g_assert_cmpuint(fixture_notifications(), ==, 0);
        collect(d);

        driver_want_interrupt(d, true, delay);
        for (unsigned i = 0; i <= delay; i++) {
            complete(f, d, 1);
            virtqueue_notify(&f->vq);
            g_assert_cmpuint(fixture_notifications(), ==, !(features & F_EVENT) || i == delay);
        }
        collect(d);
        /* One notification for a batch that passes the point. */
        driver_want_interrupt(d, true, 1);
        complete(f, d, 4);
        virtqueue_notify(&f->vq);
        g_assert_cmpuint(fixture_notifications(), ==, 1);
        collect(d);
    }
    g_assert_null(fixture_broken(f));
    driver_free(d);
    fixture_free(f);
}

static void test_kicks(gconstpointer data)
{
    uint64_t features = features_of(data);
    Fixture *f = fixture_new(features, 8);
    Driver *d = driver_new(f, features);

    for (unsigned round = 0; round < 100; round++) {
        virtqueue_enable_kicks(&f->vq, false);
        /* With an event index the next buffer may still kick, the ones after it not. */
        complete(f, d, 1);
        driver_should_kick(d);
        complete(f, d, 1 + round % 3);
        g_assert_false(driver_should_kick(d));
        collect(d);
        virtqueue_enable_kicks(&f->vq, true);
        /* Each one, however the buffers before were taken. */
        for (unsigned i = 0; i < 3; i++) {
            Seg seg = { BUFFERS, 8 };

            g_assert_cmpint(driver_add(d, &seg, 1, 0, false), >=, 0);
            g_assert_true(driver_should_kick(d));
            take_one(f);
            collect(d);
        }
    }
    driver_free(d);
    fixture_free(f);
}

/* ---- memory ---- */

static void test_boundaries(gconstpointer data)
{
    uint64_t features = features_of(data);
    Fixture *f = fixture_new(features, 16);
    Driver *d = driver_new(f, features);
    Seg segs[] = { { ROM, 16 }, { RAM_B - 100, 300 }, { RAM_B + 512, 512 } };
    Request *r;

    driver_add(d, segs, 1, 2, false);
    memcpy(fixture_mem(ROM), "read only memory", 16);
    r = virtqueue_pop(&f->vq, sizeof(Request));
    g_assert_nonnull(r);
    g_assert_cmpuint(r->elem.out_count, ==, 1);
    g_assert_cmpuint(r->elem.in_count, ==, 3);
    g_assert_cmpmem(r->elem.out[0].iov_base, 16, "read only memory", 16);
    g_assert_true(r->elem.in[0].iov_base == fixture_mem(RAM_B - 100));
    g_assert_cmpuint(r->elem.in[0].iov_len, ==, 100);
    g_assert_true(r->elem.in[1].iov_base == fixture_mem(RAM_B));
    g_assert_cmpuint(r->elem.in[1].iov_len, ==, 200);
    fixture_take_dirty();
    virtqueue_push(&r->elem, 150);
    virtqueue_element_free(r);
    g_assert_cmpuint(fixture_take_dirty(), >=, 150);
    driver_free(d);
    fixture_free(f);
}

/* The memory map changes while a buffer is out. */
static void test_remap(gconstpointer data)
{
    uint64_t features = features_of(data);
    Fixture *f = fixture_new(features, 16);
    Driver *d = driver_new(f, features);
    Seg seg = { BUFFERS, 64 };
    Request *r[2];
    int before;

    driver_add(d, &seg, 0, 1, false);
    r[0] = virtqueue_pop(&f->vq, sizeof(Request));
    before = fixture_maps();
    f->vdev.map_generation++;
    driver_add(d, &seg, 0, 1, false);
    r[1] = virtqueue_pop(&f->vq, sizeof(Request));
    g_assert_nonnull(r[1]);
    g_assert_cmpint(fixture_maps(), ==, before + 1);
    virtqueue_push(&r[0]->elem, 64);
    g_assert_cmpint(fixture_maps(), ==, before);
    virtqueue_push(&r[1]->elem, 64);
    virtqueue_element_free(r[0]);
    virtqueue_element_free(r[1]);
    collect(d);
    g_assert_cmpuint(d->free_count, ==, 16);
    driver_free(d);
    fixture_free(f);
}

static void test_element_state(gconstpointer data)
{
    uint64_t features = features_of(data);
    Fixture *f = fixture_new(features, 16);
    Driver *d = driver_new(f, features);
    Seg segs[] = { { BUFFERS, 16 }, { RAM_B - 100, 300 } };
    StateStream *s = fixture_stream_new();
    Request *r;
    uint16_t id;
    uint32_t len;

    driver_add(d, segs, 1, 1, false);
    r = virtqueue_pop(&f->vq, sizeof(Request));
    virtqueue_element_save(s, &r->elem);
    virtqueue_detach(&r->elem);
    virtqueue_element_free(r);
    f->vq.in_flight = f->vq.in_flight_descs = 0;

    r = virtqueue_element_load(s, &f->vq, sizeof(Request));
    g_assert_nonnull(r);
    g_assert_cmpuint(r->elem.out_size, ==, 16);
    g_assert_cmpuint(r->elem.in_size, ==, 300);
    g_assert_cmpuint(virtqueue_in_flight(&f->vq), ==, 1);
    virtqueue_push(&r->elem, 300);
    virtqueue_element_free(r);
    g_assert_true(driver_get_used(d, &id, &len));
    g_assert_cmpuint(len, ==, 300);
    /* A stream that ends early. */
    g_assert_null(virtqueue_element_load(s, &f->vq, sizeof(Request)));
    fixture_stream_free(s);
    driver_free(d);
    fixture_free(f);
}

/* ---- hostile drivers ---- */

static void desc(unsigned i, uint64_t addr, uint32_t len, uint16_t c, uint16_t d)
{
    uint8_t *p = fixture_mem(RING_DESC + 16 * i);

    store_le64(p, addr);
    store_le32(p + 8, len);
    store_le16(p + 12, c);
    store_le16(p + 14, d);
}

/* One descriptor in the ring of the format at hand, available when it is number 0. */
static void put(const Fixture *f, unsigned i, uint64_t addr, uint32_t len, uint16_t flags,
                uint16_t next)
{
    if (f->vq.packed) {
        desc(i, addr, len, 0, flags | 1u << VRING_PACKED_DESC_F_AVAIL);
    } else {
        desc(i, addr, len, flags, next);
        store_le16(fixture_mem(RING_DRIVER + 2), 1);
    }
}

static void table_desc(unsigned i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next,
                       bool packed)
{
    uint8_t *p = fixture_mem(BUFFERS + 16 * i);

    store_le64(p, addr);
    store_le32(p + 8, len);
    store_le16(p + 12, packed ? 0 : flags);
    store_le16(p + 14, packed ? flags : next);
}

#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE
#define INDIR VRING_DESC_F_INDIRECT

typedef struct Attack {
    const char *name;
    uint64_t features;
    const char *broken;
    void (*set_up)(Fixture *f);
} Attack;

static void zero_length(Fixture *f) { put(f, 0, BUFFERS, 0, 0, 0); }
static void hole(Fixture *f) { put(f, 0, 0x400000, 16, 0, 0); }
static void beyond_ram(Fixture *f) { put(f, 0, RAM_B + RAM_SIZE - 8, 16, 0, 0); }
static void wraps_around(Fixture *f) { put(f, 0, UINT64_MAX - 7, 16, 0, 0); }
static void writes_rom(Fixture *f) { put(f, 0, ROM, 16, WRITE, 0); }
static void huge_length(Fixture *f) { put(f, 0, BUFFERS, UINT32_MAX, 0, 0); }

static void out_after_in(Fixture *f)
{
    put(f, 0, BUFFERS, 16, NEXT | WRITE, 1);
    put(f, 1, BUFFERS, 16, 0, 0);
}

static void too_many_bytes(Fixture *f)
{
    put(f, 0, BUFFERS, 0x80000000, NEXT, 1);
    put(f, 1, BUFFERS, 0x80000000, NEXT, 2);
    put(f, 2, BUFFERS, 16, 0, 0);
}

static void loop(Fixture *f)
{
    for (unsigned i = 0; i < 8; i++) {
        put(f, i, BUFFERS, 16, NEXT, (i + 1) % 8);
    }
}

static void self_loop(Fixture *f) { put(f, 0, BUFFERS, 16, NEXT, 0); }
static void next_outside(Fixture *f) { put(f, 0, BUFFERS, 16, NEXT, 8); }

static void index_jump(Fixture *f)
{
    put(f, 0, BUFFERS, 16, 0, 0);
    store_le16(fixture_mem(RING_DRIVER + 2), 9);
}

static void index_back(Fixture *f)
{
    store_le16(fixture_mem(RING_DRIVER + 2), 0xffff);
}

static void head_outside(Fixture *f)
{
    put(f, 0, BUFFERS, 16, 0, 0);
    store_le16(fixture_mem(RING_DRIVER + 4), 8);
}

static void table_odd(Fixture *f) { put(f, 0, BUFFERS, 24, INDIR, 0); }
static void table_empty(Fixture *f) { put(f, 0, BUFFERS, 0, INDIR, 0); }
static void table_long(Fixture *f) { put(f, 0, BUFFERS, 16 * 1025, INDIR, 0); }
static void table_hole(Fixture *f) { put(f, 0, 0x400000, 32, INDIR, 0); }
static void table_and_next(Fixture *f) { put(f, 0, BUFFERS, 32, INDIR | NEXT, 1); }

static void table_nested(Fixture *f)
{
    put(f, 0, BUFFERS, 32, INDIR, 0);
    table_desc(0, BUFFERS, 16, INDIR, 0, f->vq.packed);
}

static void table_loop(Fixture *f)
{
    put(f, 0, BUFFERS, 32, INDIR, 0);
    table_desc(0, BUFFERS, 16, NEXT, 1, false);
    table_desc(1, BUFFERS, 16, NEXT, 0, false);
}

static void table_next_outside(Fixture *f)
{
    put(f, 0, BUFFERS, 32, INDIR, 0);
    table_desc(0, BUFFERS, 16, NEXT, 2, false);
}

static void table_in_chain(Fixture *f)
{
    put(f, 0, BUFFERS, 16, NEXT, 1);
    put(f, 1, BUFFERS, 16, INDIR, 0);
}

static const Attack attacks[] = {
    { "zero-length", 0, "descriptor of no length", zero_length },
    { "hole", 0, "buffer outside RAM", hole },
    { "beyond-ram", 0, "buffer outside RAM", beyond_ram },
    { "wraps-around", 0, "buffer outside RAM", wraps_around },
    { "writes-rom", 0, "buffer outside RAM", writes_rom },
    { "huge-length", 0, "buffer outside RAM", huge_length },
    { "out-after-in", 0, "readable descriptor after a writable one", out_after_in },
    { "too-many-bytes", 0, "buffer of more than 4 GiB", too_many_bytes },
    { "loop", 0, "descriptor loop", loop },
    { "self-loop", 0, "descriptor loop", self_loop },
    { "next-outside", 0, "next descriptor outside the table", next_outside },
    { "index-jump", 0, "available index jumped", index_jump },
    { "index-back", 0, "available index jumped", index_back },
    { "head-outside", 0, "descriptor head outside the table", head_outside },
    { "indirect-not-negotiated", 0, "indirect descriptor not allowed", table_nested },
    { "table-odd", F_INDIRECT, "indirect table of odd length", table_odd },
    { "table-empty", F_INDIRECT, "indirect table of odd length", table_empty },
    { "table-long", F_INDIRECT, "indirect table too long", table_long },
    { "table-hole", F_INDIRECT, "indirect table outside RAM", table_hole },
    { "table-and-next", F_INDIRECT, "indirect descriptor not allowed", table_and_next },
    { "table-nested", F_INDIRECT, "nested indirect table", table_nested },
    { "table-loop", F_INDIRECT, "loop in an indirect table", table_loop },
    { "table-next-outside", F_INDIRECT, "next descriptor outside the indirect table",
      table_next_outside },
    { "table-in-chain", F_INDIRECT, "indirect descriptor in a chain", table_in_chain },
    { "packed-zero-length", F_PACKED, "descriptor of no length", zero_length },
    { "packed-hole", F_PACKED, "buffer outside RAM", hole },
    { "packed-writes-rom", F_PACKED, "buffer outside RAM", writes_rom },
    { "packed-out-after-in", F_PACKED, "readable descriptor after a writable one", out_after_in },
    { "packed-too-many-bytes", F_PACKED, "buffer of more than 4 GiB", too_many_bytes },
    { "packed-loop", F_PACKED, "chain longer than the free part of the ring", loop },
    { "packed-table-odd", F_PACKED | F_INDIRECT, "indirect table of odd length", table_odd },
    { "packed-table-long", F_PACKED | F_INDIRECT, "indirect table too long", table_long },
    { "packed-table-nested", F_PACKED | F_INDIRECT, "nested indirect table", table_nested },
    { "packed-table-in-chain", F_PACKED | F_INDIRECT, "indirect descriptor in a chain",
      table_in_chain },
    { "packed-indirect-not-negotiated", F_PACKED, "indirect descriptor not allowed",
      table_nested },
};

static void test_attack(gconstpointer data)
{
    const Attack *a = data;
    Fixture *f = fixture_new(a->features, 8);
    Seg seg = { BUFFERS, 16 };
    Driver *d;
    Request *r;

    a->set_up(f);
    g_assert_null(virtqueue_pop(&f->vq, sizeof(Request)));
    g_assert_cmpstr(fixture_broken(f), ==, a->broken);
    /* Dead until a reset, and alive after it. */
    g_assert_true(virtqueue_empty(&f->vq));
    virtqueue_notify(&f->vq);
    g_assert_cmpuint(fixture_notifications(), ==, 0);
    virtqueue_unmap(&f->vq);
    g_assert_true(fixture_go_live(f));
    d = driver_new(f, a->features);
    driver_add(d, &seg, 0, 1, false);
    r = virtqueue_pop(&f->vq, sizeof(Request));
    g_assert_nonnull(r);
    virtqueue_push(&r->elem, 16);
    virtqueue_element_free(r);
    driver_free(d);
    fixture_free(f);
}

/* Ring addresses and sizes that cannot work. */
static void test_geometry(void)
{
    static const struct {
        uint64_t features;
        uint16_t size;
        uint64_t desc, driver, device;
        bool ok;
    } cases[] = {
        { 0, 8, RING_DESC, RING_DRIVER, RING_DEVICE, true },
        { 0, 1024, RING_DESC, RING_DRIVER, RING_DEVICE, true },
        { 0, 0, RING_DESC, RING_DRIVER, RING_DEVICE, false },
        { 0, 7, RING_DESC, RING_DRIVER, RING_DEVICE, false },
        { 0, 2048, RING_DESC, RING_DRIVER, RING_DEVICE, false },
        { 0, 8, RING_DESC + 8, RING_DRIVER, RING_DEVICE, false },
        { 0, 8, RING_DESC, RING_DRIVER + 1, RING_DEVICE, false },
        { 0, 8, RING_DESC, RING_DRIVER, RING_DEVICE + 2, false },
        { 0, 8, 0, RING_DRIVER, RING_DEVICE, false },
        { 0, 8, RING_DESC, RING_DRIVER, ROM, false },
        { 0, 8, ROM, ROM + 4096, RING_DEVICE, true },
        { 0, 8, RAM_B - 16, RING_DRIVER, RING_DEVICE, false },
        { 0, 8, UINT64_MAX - 15, RING_DRIVER, RING_DEVICE, false },
        { 0, 8, RING_DESC, UINT64_MAX - 1, RING_DEVICE, false },
        { F_PACKED, 7, RING_DESC, RING_DRIVER, RING_DEVICE, true },
        { F_PACKED, 0, RING_DESC, RING_DRIVER, RING_DEVICE, false },
        { F_PACKED, 1025, RING_DESC, RING_DRIVER, RING_DEVICE, false },
        { F_PACKED, 8, ROM, RING_DRIVER, RING_DEVICE, false },
        { F_PACKED, 8, RING_DESC, RING_DRIVER + 2, RING_DEVICE, false },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        Fixture *f = fixture_new(cases[i].features, 8);

        virtqueue_unmap(&f->vq);
        f->vq.size = cases[i].size;
        f->vq.addr[VIRTQUEUE_DESC] = cases[i].desc;
        f->vq.addr[VIRTQUEUE_DRIVER] = cases[i].driver;
        f->vq.addr[VIRTQUEUE_DEVICE] = cases[i].device;
        g_assert_cmpint(virtqueue_map(&f->vq), ==, cases[i].ok);
        g_assert_cmpint(!fixture_broken(f), ==, cases[i].ok);
        g_assert_cmpint(fixture_maps() > 0, ==, cases[i].ok);
        fixture_free(f);
    }
}

/* A driver that makes the same descriptors available again and again without waiting. */
static void test_flood(gconstpointer data)
{
    uint64_t features = features_of(data);
    Fixture *f = fixture_new(features, 8);
    Request *held[16];
    unsigned n = 0;

    for (unsigned i = 0; i < 8; i++) {
        put(f, i, BUFFERS, 16, WRITE, 0);
    }
    store_le16(fixture_mem(RING_DRIVER + 2), 8);
    while ((held[n] = virtqueue_pop(&f->vq, sizeof(Request)))) {
        n++;
    }
    g_assert_cmpuint(n, ==, 8);
    g_assert_null(fixture_broken(f));
    for (unsigned i = 0; i < 8; i++) {
        desc(i, BUFFERS, 16, features & F_PACKED ? 0 : WRITE,
             features & F_PACKED ? 1u << VRING_PACKED_DESC_F_USED : 0);
    }
    store_le16(fixture_mem(RING_DRIVER + 2), 16);
    g_assert_null(virtqueue_pop(&f->vq, sizeof(Request)));
    g_assert_cmpstr(fixture_broken(f), ==, "more buffers than the ring has descriptors");
    while (n--) {
        virtqueue_detach(&held[n]->elem);
        virtqueue_element_free(held[n]);
    }
    fixture_free(f);
}

static void add_for_formats(const char *name, GTestDataFunc fn)
{
    static const struct {
        const char *name;
        uint64_t features;
    } formats[] = {
        { "split", 0 },
        { "split-event", F_EVENT },
        { "split-all", F_EVENT | F_INDIRECT },
        { "packed", F_PACKED },
        { "packed-event", F_PACKED | F_EVENT },
        { "packed-all", F_PACKED | F_EVENT | F_INDIRECT },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(formats); i++) {
        g_autofree char *path = g_strdup_printf("/virtqueue/%s/%s", name, formats[i].name);

        g_test_add_data_func(path, GSIZE_TO_POINTER(formats[i].features), fn);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_for_formats("basic", test_basic);
    add_for_formats("wrap", test_wrap);
    add_for_formats("random", test_random);
    add_for_formats("interrupts", test_interrupts);
    add_for_formats("kicks", test_kicks);
    add_for_formats("boundaries", test_boundaries);
    add_for_formats("remap", test_remap);
    add_for_formats("element-state", test_element_state);
    add_for_formats("flood", test_flood);
    g_test_add_func("/virtqueue/geometry", test_geometry);
    for (unsigned i = 0; i < ARRAY_SIZE(attacks); i++) {
        g_autofree char *path = g_strdup_printf("/virtqueue/attack/%s", attacks[i].name);

        g_test_add_data_func(path, &attacks[i], test_attack);
    }
    return g_test_run();
}
