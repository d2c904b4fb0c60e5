/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unit tests of system/memory: flattening against a model that looks each
 * address up by walking the tree, edges of the address space, dispatch of odd
 * accesses, listeners, mapping and its accounting, readers during changes.
 */
#include "util/osdep.h"
#include "system/machine-lock.h"
#include "system/memory-internal.h"
#include "util/event-loop.h"
#include "util/rcu.h"
#include "util/thread.h"

/* Everything that only waits for readers is freed. */
static void drain(void)
{
    machine_lock();
    rcu_drain();
    flat_view_destroy_dead();
    machine_unlock();
    rcu_drain();
}

/* ---- a region that remembers ---- */

typedef struct Recorder {
    MemoryRegion mr;
    unsigned reads, writes;
    uint64_t last_addr, last_value, reply;
    unsigned last_size;
} Recorder;

static uint64_t recorder_read(void *opaque, GuestAddr addr, unsigned size)
{
    Recorder *r = opaque;

    r->reads++;
    r->last_addr = addr;
    r->last_size = size;
    return r->reply >> (8 * (addr & 7));
}

static void recorder_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    Recorder *r = opaque;

    r->writes++;
    r->last_addr = addr;
    r->last_value = value;
    r->last_size = size;
}

static const MemoryRegionOps any_ops = { .read = recorder_read, .write = recorder_write };

static void recorder_init(Recorder *r, const MemoryRegionOps *ops, const char *name, uint64_t size)
{
    *r = (Recorder){ .reply = 0x8877665544332211 };
    memory_region_init_io(&r->mr, NULL, ops, r, name, size);
}

/* ---- flattening against a model ---- */

#define MODEL_SPAN 512
#define MODEL_REGIONS 24

typedef struct Hit {
    MemoryRegion *mr;
    int64_t offset;
} Hit;

static bool resolve(MemoryRegion *mr, int64_t offset, Hit *hit)
{
    int64_t size = mr->size ? (int64_t)mr->size : INT64_MAX;

    if (!mr->enabled || offset < 0 || offset >= size) {
        return false;
    }
    if (mr->kind == MEMORY_REGION_ALIAS) {
        return resolve(mr->alias, offset + (int64_t)mr->alias_offset, hit);
    }
    for (MemoryRegion *sub = mr->subregions; sub; sub = sub->next_sibling) {
        if (resolve(sub, offset - (int64_t)sub->addr, hit)) {
            return true;
        }
    }
    if (mr->kind == MEMORY_REGION_CONTAINER) {
        return false;
    }
    *hit = (Hit){ mr, offset };
    return true;
}

static void check_against_model(AddressSpace *as)
{
    for (int64_t a = 0; a < MODEL_SPAN + 16; a++) {
        Hit hit = { NULL, 0 };
        GuestAddr gap_last;
        const FlatRange *r = flat_view_find(as->view, a, &gap_last);

        resolve(as->root, a, &hit);
        if (hit.mr) {
            g_assert_nonnull(r);
            g_assert_true(r->mr == hit.mr);
            g_assert_cmpint(r->offset + (a - r->first), ==, hit.offset);
        } else {
            g_assert_null(r);
            g_assert_cmpuint(gap_last, >=, a);
        }
    }
    for (unsigned i = 1; i < as->view->count; i++) {
        g_assert_cmpuint(as->view->ranges[i - 1].last, <, as->view->ranges[i].first);
    }
}

static void test_model(void)
{
    GRand *rand = g_rand_new_with_seed(20);

    for (int round = 0; round < 300; round++) {
        MemoryRegion mr[MODEL_REGIONS];
        AddressSpace as = { 0 };

        memory_region_init_container(&mr[0], NULL, "root", MODEL_SPAN);
        memory_transaction_begin();
        for (int i = 1; i < MODEL_REGIONS; i++) {
            unsigned size = g_rand_int_range(rand, 1, 160);
            int kind = g_rand_int_range(rand, 0, 4);
            if (kind == 0) {
                memory_region_init_container(&mr[i], NULL, "container", size);
            } else if (kind == 1 && i > 4) {
                /* Only of an earlier one that is not above it: no cycle. */
                memory_region_init_alias(&mr[i], NULL, "alias", &mr[g_rand_int_range(rand, 1, i)],
                                         g_rand_int_range(rand, 0, 100), size);
            } else {
                memory_region_init_io(&mr[i], NULL, &any_ops, NULL, "io", size);
            }
            mr[i].enabled = g_rand_int_range(rand, 0, 8) != 0;
        }
        for (int i = MODEL_REGIONS - 1; i > 0; i--) {
            /* Parents have higher numbers or are the root; aliases point to lower ones. */
            int parent = g_rand_boolean(rand) ? 0 : g_rand_int_range(rand, i, MODEL_REGIONS);
            if (parent == i || mr[parent].kind == MEMORY_REGION_ALIAS) {
                parent = 0;
            }
            memory_region_add_overlap(&mr[parent], g_rand_int_range(rand, 0, 300), &mr[i],
                                      g_rand_int_range(rand, -2, 3));
        }
        memory_transaction_commit();
        address_space_init(&as, &mr[0], "model");
        check_against_model(&as);
        for (int change = 0; change < 10; change++) {
            MemoryRegion *m = &mr[g_rand_int_range(rand, 1, MODEL_REGIONS)];
            switch (g_rand_int_range(rand, 0, 3)) {
            case 0: memory_region_set_enabled(m, !m->enabled); break;
            case 1: memory_region_set_address(m, g_rand_int_range(rand, 0, 400)); break;
            case 2: memory_region_set_size(m, g_rand_int_range(rand, 1, 200)); break;
            }
            check_against_model(&as);
        }
        address_space_cleanup(&as);
        for (int i = MODEL_REGIONS - 1; i >= 0; i--) {
            memory_region_cleanup(&mr[i]);
        }
    }
    g_rand_free(rand);
}

/* ---- edges ---- */

static void test_edges(void)
{
    MemoryRegion root, window;
    Recorder top, whole;
    AddressSpace as = { .unassigned_ones = true }, through = { 0 };
    uint64_t v;
    uint8_t buf[16];

    memory_region_init_container(&root, NULL, "root", 0);
    recorder_init(&top, &any_ops, "top", 0x1000);
    memory_region_add(&root, UINT64_MAX - 0xfff, &top.mr);
    address_space_init(&as, &root, "edges");
    g_assert_cmpuint(as.view->count, ==, 1);
    g_assert_cmpuint(as.view->ranges[0].last, ==, UINT64_MAX);

    g_assert_cmpint(guest_access_read(&as, UINT64_MAX, 1, &v), ==, GUEST_OK);
    g_assert_cmpuint(v, ==, 0x88);
    /* Over the end of the address space: the part past it is nowhere. */
    memset(buf, 0, sizeof(buf));
    g_assert_cmpint(guest_read(&as, UINT64_MAX - 1, buf, sizeof(buf)), ==, GUEST_UNASSIGNED);
    g_assert_cmpuint(buf[0], ==, 0x77);
    g_assert_cmpuint(buf[1], ==, 0x88);
    g_assert_cmpuint(buf[2], ==, 0xff);
    g_assert_cmpuint(buf[15], ==, 0xff);
    g_assert_cmpint(guest_access_read(&as, UINT64_MAX - 1, 8, &v), ==, GUEST_UNASSIGNED);
    g_assert_cmpint(guest_write(&as, UINT64_MAX, buf, 2), ==, GUEST_UNASSIGNED);
    g_assert_cmpint(guest_memset(&as, 1, 0, UINT64_MAX), ==, GUEST_ERROR);
    g_assert_false(guest_ram_read(&as, UINT64_MAX, buf, 2));
    uint64_t len = UINT64_MAX;
    g_assert_null(guest_map(&as, 0, &len, false));
    g_assert_cmpuint(len, ==, 0);

    /* A region that fills everything but one byte, and a window onto all of it. */
    recorder_init(&whole, &any_ops, "whole", UINT64_MAX);
    memory_region_add_overlap(&root, 0, &whole.mr, -1);
    memory_region_init_alias(&window, NULL, "window", &root, 0, 0);
    address_space_init(&through, &window, "through");
    g_assert_true(through.view == as.view);
    g_assert_cmpuint(as.view->count, ==, 2);
    g_assert_cmpuint(as.view->ranges[0].last, ==, UINT64_MAX - 0x1000);
    memory_region_set_enabled(&window, false);
    g_assert_cmpuint(through.view->count, ==, 0);
    memory_region_set_enabled(&window, true);
    g_assert_true(through.view == as.view);

    address_space_cleanup(&through);
    address_space_cleanup(&as);
    memory_region_cleanup(&window);
    memory_region_cleanup(&root);
    memory_region_cleanup(&top.mr);
    memory_region_cleanup(&whole.mr);
}

/* ---- dispatch ---- */

static void test_dispatch(void)
{
    static const MemoryRegionOps narrow = {
        .read = recorder_read, .write = recorder_write, .valid_min = 2, .valid_max = 4,
    };
    static const MemoryRegionOps words = {
        .read = recorder_read, .write = recorder_write, .impl_min = 4, .impl_max = 4,
        .valid_unaligned = true,
    };
    MemoryRegion root;
    Recorder a, b;
    AddressSpace as = { 0 };
    uint64_t v;
    uint8_t buf[64];

    memory_region_init_container(&root, NULL, "root", 0x10000);
    recorder_init(&a, &narrow, "narrow", 0x100);
    recorder_init(&b, &words, "words", 0x100);
    memory_region_add(&root, 0x1000, &a.mr);
    memory_region_add(&root, 0x1100, &b.mr);
    address_space_init(&as, &root, "dispatch");

    g_assert_cmpint(guest_access_read(&as, 0x1000, 1, &v), ==, GUEST_ERROR);
    g_assert_cmpuint(v, ==, 0xff);
    g_assert_cmpint(guest_access_read(&as, 0x1001, 2, &v), ==, GUEST_ERROR);
    g_assert_cmpint(guest_access_read(&as, 0x1000, 8, &v), ==, GUEST_ERROR);
    g_assert_cmpint(guest_access_read(&as, 0x1000, 3, &v), ==, GUEST_ERROR);
    g_assert_cmpint(guest_access_read(&as, 0x1000, 0, &v), ==, GUEST_ERROR);
    g_assert_cmpuint(a.reads, ==, 0);
    g_assert_cmpint(guest_access_read(&as, 0x1004, 4, &v), ==, GUEST_OK);
    g_assert_cmpuint(v, ==, 0x88776655);
    g_assert_cmpint(guest_access_write(&as, 0x1002, 2, 0x12345678), ==, GUEST_OK);
    g_assert_cmpuint(a.last_value, ==, 0x5678);

    /* Bytes of words, words of eight bytes, and one that straddles two words. */
    g_assert_cmpint(guest_access_read(&as, 0x1103, 1, &v), ==, GUEST_OK);
    g_assert_cmpuint(v, ==, 0x44);
    g_assert_cmpuint(b.last_addr, ==, 0);
    g_assert_cmpuint(b.last_size, ==, 4);
    g_assert_cmpint(guest_access_read(&as, 0x1100, 8, &v), ==, GUEST_OK);
    g_assert_cmphex(v, ==, 0x8877665544332211);
    g_assert_cmpint(guest_access_read(&as, 0x1103, 2, &v), ==, GUEST_OK);
    g_assert_cmphex(v, ==, 0x5544);
    g_assert_cmpint(guest_access_write(&as, 0x1102, 1, 0xab), ==, GUEST_OK);
    g_assert_cmphex(b.last_value, ==, 0x44ab2211);

    /* One read over a gap, the narrow region, and into the next. */
    memset(buf, 0x5a, sizeof(buf));
    g_assert_cmpint(guest_read(&as, 0xffe, buf, 10), ==, GUEST_UNASSIGNED);
    g_assert_cmpuint(buf[0], ==, 0);
    g_assert_cmpuint(buf[2], ==, 0x11);
    g_assert_cmpuint(buf[9], ==, 0x88);
    g_assert_cmpuint(buf[10], ==, 0x5a);
    g_assert_cmpint(guest_access_read(&as, 0x10fe, 4, &v), ==, GUEST_OK);
    g_assert_cmphex(v, ==, 0x22118877);

    address_space_cleanup(&as);
    memory_region_cleanup(&root);
    memory_region_cleanup(&a.mr);
    memory_region_cleanup(&b.mr);
}

/* A device whose register makes it write to its own register. */
static AddressSpace *echo_as;
static unsigned echo_calls;
static GuestResult echo_result;

static void echo_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    echo_calls++;
    echo_result = guest_access_write(echo_as, 0x40, 4, value);
}

static void test_reentry(void)
{
    static const MemoryRegionOps echo_ops = { .write = echo_write };
    MemoryRegion root, echo;
    AddressSpace as = { 0 };

    memory_region_init_container(&root, NULL, "root", 0x1000);
    memory_region_init_io(&echo, NULL, &echo_ops, NULL, "echo", 0x100);
    memory_region_add(&root, 0, &echo);
    address_space_init(&as, &root, "echo");
    echo_as = &as;
    g_assert_cmpint(guest_access_write(&as, 0, 4, 1), ==, GUEST_OK);
    g_assert_cmpuint(echo_calls, ==, 1);
    g_assert_cmpint(echo_result, ==, GUEST_ERROR);
    address_space_cleanup(&as);
    memory_region_cleanup(&root);
    memory_region_cleanup(&echo);
}

/* ---- listeners ---- */

typedef struct Log {
    MemoryListener l;
    GString *text;
} Log;

static void log_add(MemoryListener *l, const MemorySection *s)
{
    g_string_append_printf(((Log *)l)->text, "+%s@%" PRIx64 ":%" PRIx64 "/%" PRIx64 "%s ",
                           s->mr->name, s->addr, s->size, s->offset, s->readonly ? "r" : "");
}

static void log_del(MemoryListener *l, const MemorySection *s)
{
    g_string_append_printf(((Log *)l)->text, "-%s@%" PRIx64 ":%" PRIx64 " ", s->mr->name, s->addr, s->size);
}

static void log_log_start(MemoryListener *l, const MemorySection *s)
{
    g_string_append_printf(((Log *)l)->text, "log+%s ", s->mr->name);
}

static void log_log_stop(MemoryListener *l, const MemorySection *s)
{
    g_string_append_printf(((Log *)l)->text, "log-%s ", s->mr->name);
}

static void log_notifier_add(MemoryListener *l, const MemorySection *s, bool match, uint64_t value,
                             struct EventNotifier *n)
{
    g_string_append_printf(((Log *)l)->text, "n+%" PRIx64 ":%d=%" PRIu64 " ", s->addr, (int)s->size,
                           match ? value : 0);
}

static void log_notifier_del(MemoryListener *l, const MemorySection *s, bool match, uint64_t value,
                             struct EventNotifier *n)
{
    g_string_append_printf(((Log *)l)->text, "n-%" PRIx64 ":%d ", s->addr, (int)s->size);
}

static void expect(Log *log, const char *text)
{
    g_assert_cmpstr(log->text->str, ==, text);
    g_string_truncate(log->text, 0);
}

static void test_listener(void)
{
    MemoryRegion root, ram;
    Recorder io;
    AddressSpace as = { 0 };
    EventNotifier n;
    Log log = {
        .l = { .name = "log", .region_add = log_add, .region_del = log_del,
               .log_start = log_log_start, .log_stop = log_log_stop,
               .notifier_add = log_notifier_add, .notifier_del = log_notifier_del },
        .text = g_string_new(NULL),
    };

    memory_region_init_container(&root, NULL, "root", 0);
    g_assert_true(memory_region_init_ram(&ram, NULL, "ram", 0x10000, &error_abort));
    recorder_init(&io, &any_ops, "io", 0x1000);
    memory_region_add(&root, 0, &ram);
    address_space_init(&as, &root, "listener");
    memory_listener_register(&log.l, &as);
    expect(&log, "+ram@0:10000/0 ");

    /* An overlap cuts the RAM in three; together with its end in one commit. */
    memory_region_add_overlap(&root, 0x4000, &io.mr, 1);
    expect(&log, "-ram@0:10000 +ram@0:4000/0 +io@4000:1000/0 +ram@5000:b000/5000 ");
    memory_transaction_begin();
    memory_region_set_enabled(&io.mr, false);
    memory_region_set_enabled(&io.mr, true);
    memory_transaction_commit();
    expect(&log, "");
    memory_region_set_address(&io.mr, 0x10000);
    expect(&log, "-ram@0:4000 -io@4000:1000 -ram@5000:b000 +ram@0:10000/0 +io@10000:1000/0 ");
    memory_region_set_readonly(&ram, true);
    expect(&log, "-ram@0:10000 +ram@0:10000/0r ");
    memory_region_set_readonly(&ram, false);
    expect(&log, "-ram@0:10000 +ram@0:10000/0 ");

    memory_region_set_dirty_logging(&ram, DIRTY_DISPLAY, true);
    expect(&log, "log+ram ");
    memory_dirty_log_start(DIRTY_MIGRATION);
    expect(&log, "");
    memory_region_set_dirty_logging(&ram, DIRTY_DISPLAY, false);
    expect(&log, "");
    memory_dirty_log_stop(DIRTY_MIGRATION);
    expect(&log, "log-ram ");

    g_assert_true(event_notifier_init(&n, false, &error_abort));
    memory_region_add_notifier(&io.mr, 0x10, 2, true, 7, &n);
    memory_region_add_notifier(&io.mr, 0x20, 0, false, 0, &n);
    expect(&log, "n+10010:2=7 n+10020:0=0 ");
    machine_lock();
    g_assert_cmpint(guest_access_write(&as, 0x10010, 2, 7), ==, GUEST_OK);
    g_assert_true(event_notifier_test_and_clear(&n));
    g_assert_cmpuint(io.writes, ==, 0);
    guest_access_write(&as, 0x10010, 2, 8);
    guest_access_write(&as, 0x10010, 4, 7);
    g_assert_cmpuint(io.writes, ==, 2);
    g_assert_false(event_notifier_test_and_clear(&n));
    guest_access_write(&as, 0x10020, 4, 99);
    g_assert_true(event_notifier_test_and_clear(&n));
    machine_unlock();
    memory_region_del_notifier(&io.mr, 0x20, 0, false, 0, &n);
    expect(&log, "n-10020:0 ");
    memory_region_set_enabled(&io.mr, false);
    expect(&log, "n-10010:2 -io@10000:1000 ");
    memory_listener_unregister(&log.l);
    expect(&log, "-ram@0:10000 ");

    event_notifier_cleanup(&n);
    address_space_cleanup(&as);
    memory_region_cleanup(&root);
    memory_region_cleanup(&ram);
    memory_region_cleanup(&io.mr);
    g_string_free(log.text, true);
}

/* ---- RAM: map, unmap, dirty ---- */

static unsigned count_blocks(void)
{
    unsigned n = 0;

    for (int i = 0; i < 8; i++) {
        char id[8];
        g_snprintf(id, sizeof(id), "ram%d", i);
        n += ram_block_find(id) != NULL;
    }
    return n;
}

static void test_map(void)
{
    MemoryRegion root, ram, rom;
    AddressSpace as = { 0 };
    uint64_t len, v;
    uint8_t buf[32];

    memory_region_init_container(&root, NULL, "root", 0);
    g_assert_true(memory_region_init_ram(&ram, NULL, "ram0", 4 * MIB, &error_abort));
    g_assert_true(memory_region_init_rom(&rom, NULL, "ram1", 0x2000, &error_abort));
    memory_region_add(&root, 0x1000, &ram);
    memory_region_add(&root, 0x1000 + 4 * MIB, &rom);
    address_space_init(&as, &root, "map");
    g_assert_true(IS_ALIGNED((uintptr_t)ram.ram->host, 2 * MIB));

    len = UINT64_MAX;
    uint8_t *p = guest_map(&as, 0x1004, &len, true);
    g_assert_true(p == ram.ram->host + 4);
    g_assert_cmpuint(len, ==, 4 * MIB - 4);
    g_assert_cmpuint(ram.ram->refs, ==, 3);
    uint64_t rom_len = 16;
    g_assert_null(guest_map(&as, 0x1000 + 4 * MIB, &rom_len, true));
    rom_len = 16;
    void *q = guest_map(&as, 0x1000 + 4 * MIB, &rom_len, false);
    g_assert_nonnull(q);
    guest_unmap(&as, q, rom_len, false, 0);
    len = 0;
    g_assert_null(guest_map(&as, 0x1000, &len, true));

    memory_dirty_log_start(DIRTY_MIGRATION);
    guest_unmap(&as, p, 4 * MIB - 4, true, 0x1000);
    g_assert_cmpuint(ram_block_dirty_pages(ram.ram, DIRTY_MIGRATION), ==, 2);
    g_assert_true(ram_block_test_and_clear_dirty(ram.ram, DIRTY_MIGRATION, 0x1000, 1));
    g_assert_false(ram_block_test_and_clear_dirty(ram.ram, DIRTY_MIGRATION, 0x1000, 0x1000));
    g_assert_true(guest_ram_store(&as, 0x1000 + 2 * MIB, 4, 0xdeadbeef));
    g_assert_cmpint(guest_write(&as, 0x3000, "x", 1), ==, GUEST_OK);
    g_assert_cmpuint(ram_block_dirty_pages(ram.ram, DIRTY_MIGRATION), ==, 3);
    uint64_t bits[2] = { 1, 1 };
    ram_block_merge_dirty(ram.ram, 64 * 0x1000, bits, 128);
    g_assert_cmpuint(ram_block_dirty_pages(ram.ram, DIRTY_MIGRATION), ==, 5);
    bits[0] = BIT(63) | 1;
    ram_block_merge_dirty(ram.ram, 257 * 0x1000, bits, 65);
    g_assert_true(ram_block_test_and_clear_dirty(ram.ram, DIRTY_MIGRATION, 320 * 0x1000, 1));
    g_assert_true(ram_block_test_and_clear_dirty(ram.ram, DIRTY_MIGRATION, 321 * 0x1000, 1));
    g_assert_true(ram_block_test_and_clear_dirty(ram.ram, DIRTY_MIGRATION, 257 * 0x1000, 1));
    g_assert_cmpuint(ram_block_dirty_pages(ram.ram, DIRTY_MIGRATION), ==, 5);
    memory_dirty_log_stop(DIRTY_MIGRATION);

    g_assert_true(guest_ram_load(&as, 0x1000 + 2 * MIB, 4, &v));
    g_assert_cmphex(v, ==, 0xdeadbeef);
    g_assert_false(guest_ram_load(&as, 0x1001, 4, &v));
    g_assert_false(guest_ram_store(&as, 0x1000 + 4 * MIB, 4, 1));
    g_assert_false(guest_ram_load(&as, 0xffe, 4, &v));
    /* Nothing of a write that does not fit is done. */
    g_assert_false(guest_ram_write(&as, 0x1000 + 4 * MIB - 16, buf, 32));
    g_assert_true(guest_ram_read(&as, 0x1000 + 4 * MIB - 16, buf, 32));
    g_assert_cmpint(guest_write(&as, 0x1000 + 4 * MIB, "y", 1), ==, GUEST_ERROR);
    g_assert_cmpint(guest_memset(&as, 0x1000 + 4 * MIB - 16, 0xee, 32), ==, GUEST_ERROR);
    g_assert_cmpuint(ram.ram->host[4 * MIB - 1], ==, 0xee);
    g_assert_cmpuint(rom.ram->host[0], ==, 0);

    /* The map outlives the region. */
    len = 8;
    p = guest_map(&as, 0x1000, &len, true);
    RamBlock *rb = ram.ram;
    memory_region_cleanup(&ram);
    drain();
    g_assert_cmpuint(count_blocks(), ==, 1);
    g_assert_cmpuint(rb->refs, ==, 1);
    memset(p, 1, 8);
    guest_unmap(&as, p, 8, true, 8);
    drain();

    address_space_cleanup(&as);
    memory_region_cleanup(&root);
    memory_region_cleanup(&rom);
    drain();
    g_assert_cmpuint(count_blocks(), ==, 0);
}

static void test_ram_options(void)
{
    Error *err = NULL;
    RamBlock *a = ram_block_new(&(RamOptions){ .id = "ram0", .size = 0x3000, .fd = -1, .shared = true,
                                               .align = 64 * KIB }, &error_abort);

    g_assert_cmpint(a->fd, >=, 0);
    g_assert_true(IS_ALIGNED((uintptr_t)a->host, 64 * KIB));
    g_assert_null(ram_block_new(&(RamOptions){ .id = "ram0", .size = 0x1000, .fd = -1 }, &err));
    g_assert_nonnull(strstr(error_message(err), "'ram0'"));
    g_clear_pointer(&err, error_free);
    g_assert_null(ram_block_new(&(RamOptions){ .id = "ram1", .size = 0, .fd = -1 }, &err));
    g_clear_pointer(&err, error_free);
    g_assert_null(ram_block_new(&(RamOptions){ .id = "ram1", .size = UINT64_MAX, .fd = -1 }, &err));
    g_clear_pointer(&err, error_free);
    g_assert_null(ram_block_new(&(RamOptions){ .id = "ram1", .size = INT64_MAX, .fd = -1 }, &err));
    g_clear_pointer(&err, error_free);
    ram_block_unref(a);
    drain();
    g_assert_cmpuint(count_blocks(), ==, 0);
}

/* ---- readers while the tree changes ---- */

typedef struct Race {
    AddressSpace as;
    bool stop;
    uint64_t reads;
} Race;

static void *race_reader(void *opaque)
{
    Race *race = opaque;
    uint64_t v, n = 0, len;

    while (!atomic_load(&race->stop)) {
        GuestResult r = guest_access_read(&race->as, 0x1000, 4, &v);
        g_assert_true(r == GUEST_OK || r == GUEST_UNASSIGNED);
        r = guest_access_write(&race->as, 0x9000, 4, n);
        g_assert_true(r == GUEST_OK || r == GUEST_UNASSIGNED);
        len = 16;
        void *p = guest_map(&race->as, 0x1ff8, &len, true);
        if (p) {
            g_assert_cmpuint(len, <=, 16);
            guest_unmap(&race->as, p, len, true, len);
        }
        n++;
    }
    atomic_fetch_add(&race->reads, n);
    return NULL;
}

static void test_readers(void)
{
    Race race = { 0 };
    MemoryRegion root, ram, small;
    Recorder io;
    pthread_t thread[2];

    memory_region_init_container(&root, NULL, "root", 0);
    g_assert_true(memory_region_init_ram(&ram, NULL, "ram0", 0x2000, &error_abort));
    recorder_init(&io, &any_ops, "io", 0x1000);
    memory_region_add(&root, 0, &ram);
    memory_region_add(&root, 0x9000, &io.mr);
    address_space_init(&race.as, &root, "race");
    for (int i = 0; i < 2; i++) {
        g_assert_true(thread_create(&thread[i], "reader", race_reader, &race, &error_abort));
    }
    for (int i = 0; i < 600; i++) {
        machine_lock();
        memory_region_set_enabled(&ram, i & 1);
        memory_region_set_address(&io.mr, i & 2 ? 0x9000 : 0xa000);
        g_assert_true(memory_region_init_ram(&small, NULL, "ram1", 0x1000, &error_abort));
        memory_region_add_overlap(&root, 0x1000, &small, 1);
        memory_dirty_log_start(DIRTY_MIGRATION);
        machine_unlock();
        sched_yield();
        machine_lock();
        memory_dirty_log_stop(DIRTY_MIGRATION);
        memory_region_cleanup(&small);
        machine_unlock();
        /* The struct is about to be used again, so its readers must be gone. */
        rcu_synchronize();
    }
    atomic_store(&race.stop, true);
    for (int i = 0; i < 2; i++) {
        pthread_join(thread[i], NULL);
    }
    g_assert_cmpuint(race.reads, >, 0);
    address_space_cleanup(&race.as);
    memory_region_cleanup(&root);
    memory_region_cleanup(&ram);
    memory_region_cleanup(&io.mr);
    drain();
    g_assert_cmpuint(count_blocks(), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/memory/model", test_model);
    g_test_add_func("/memory/edges", test_edges);
    g_test_add_func("/memory/dispatch", test_dispatch);
    g_test_add_func("/memory/reentry", test_reentry);
    g_test_add_func("/memory/listener", test_listener);
    g_test_add_func("/memory/map", test_map);
    g_test_add_func("/memory/ram-options", test_ram_options);
    g_test_add_func("/memory/readers", test_readers);
    return g_test_run();
}
