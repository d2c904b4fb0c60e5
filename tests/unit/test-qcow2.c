/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qcow2 on a disk in memory: content under random requests, errors of the disk
 * at every place, and power loss: every prefix of the changes, and random
 * choices among those since the last flush, must leave an image that opens, can be
 * repaired, and has all that was flushed.
 */
#include "util/osdep.h"
#include "qcow2-fixture.h"
#include "block/block-int.h"

#define SECTOR 512
#define RW (BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE)

typedef struct Model {
    BlockNode *file, *bn;
    BlockBackend *blk;
    unsigned sectors;
    uint32_t *tags;             /* what each sector holds: 0 is zero */
    uint32_t next_tag;
} Model;

static void fill(uint8_t *buf, uint32_t tag)
{
    unsigned i;

    for (i = 0; i < SECTOR / 4; i++) {
        ((uint32_t *)buf)[i] = tag;
    }
}

/* The tag of a sector; -1 when it is a mixture. */
static int64_t tag_of(const uint8_t *buf)
{
    const uint32_t *w = (const uint32_t *)buf;
    unsigned i;

    for (i = 1; i < SECTOR / 4; i++) {
        if (w[i] != w[0]) {
            return -1;
        }
    }
    return w[0];
}

static void model_open(Model *m, const char *json)
{
    m->bn = test_qcow2_open(m->file, json, BLOCK_OPEN_RDWR | BLOCK_OPEN_UNMAP, &error_abort);
    m->blk = test_backend(m->bn, RW, BLOCK_PERM_ALL);
}

static void model_close(Model *m)
{
    blk_unref(m->blk);
    block_node_unref(m->bn);
    m->bn = NULL;
}

static void model_start(Model *m, const char *create, const char *open)
{
    memset(m, 0, sizeof(*m));
    m->file = test_qcow2_create(create);
    model_open(m, open);
    m->sectors = block_length(m->bn) / SECTOR;
    m->tags = g_new0(uint32_t, m->sectors);
    m->next_tag = 1;
}

static void model_end(Model *m)
{
    if (m->bn) {
        model_close(m);
    }
    block_node_unref(m->file);
    g_free(m->tags);
}

typedef enum OpKind { OP_WRITE, OP_ZERO, OP_UNMAP, OP_DISCARD, OP_FLUSH } OpKind;

typedef struct Op {
    OpKind kind;
    unsigned sector, count;
    uint32_t tag;
    int ret;
    guint log_start, log_end;
} Op;

static void run_op(Model *m, Op *op)
{
    g_autofree uint8_t *buf = NULL;
    int64_t offset = (int64_t)op->sector * SECTOR, bytes = (int64_t)op->count * SECTOR;
    TestWait w = { 0 };
    unsigned i;

    switch (op->kind) {
    case OP_WRITE:
        buf = g_malloc(bytes);
        for (i = 0; i < op->count; i++) {
            fill(buf + i * SECTOR, op->tag);
        }
        op->ret = blk_pwrite(m->blk, offset, bytes, buf, 0);
        break;
    case OP_ZERO:
    case OP_UNMAP:
        blk_aio_pwrite_zeroes(m->blk, offset, bytes,
                              op->kind == OP_UNMAP ? BLOCK_REQ_MAY_UNMAP : 0, test_wait_done, &w);
        op->ret = test_wait(&w);
        break;
    case OP_DISCARD:
        blk_aio_pdiscard(m->blk, offset, bytes, test_wait_done, &w);
        op->ret = test_wait(&w);
        break;
    default:
        op->ret = blk_flush(m->blk);
    }
}

static Op random_op(Model *m, unsigned max_sectors)
{
    unsigned r = test_random() % 20;
    Op op = {
        .kind = r < 11 ? OP_WRITE : r < 13 ? OP_ZERO : r < 15 ? OP_UNMAP : r < 17 ? OP_DISCARD :
                                                                                    OP_FLUSH,
    };

    op.sector = test_random() % m->sectors;
    op.count = 1 + test_random() % MIN(max_sectors, m->sectors - op.sector);
    op.tag = op.kind == OP_WRITE ? m->next_tag++ : 0;
    return op;
}

static void expect(Model *m, const Op *op)
{
    unsigned i;

    for (i = 0; op->kind != OP_FLUSH && op->kind != OP_DISCARD && i < op->count; i++) {
        m->tags[op->sector + i] = op->tag;
    }
}

/* Discarding leaves what was there or zeroes: read which. */
static void settle_discard(Model *m, const Op *op)
{
    g_autofree uint8_t *buf = g_malloc((size_t)op->count * SECTOR);
    unsigned i;

    g_assert_cmpint(blk_pread(m->blk, (int64_t)op->sector * SECTOR, (int64_t)op->count * SECTOR,
                              buf, 0), ==, 0);
    for (i = 0; i < op->count; i++) {
        int64_t tag = tag_of(buf + i * SECTOR);

        g_assert_true(tag == 0 || tag == m->tags[op->sector + i]);
        m->tags[op->sector + i] = tag;
    }
}

static void verify(Model *m)
{
    g_autofree uint8_t *buf = g_malloc((size_t)m->sectors * SECTOR);
    unsigned i;

    g_assert_cmpint(blk_pread(m->blk, 0, (int64_t)m->sectors * SECTOR, buf, 0), ==, 0);
    for (i = 0; i < m->sectors; i++) {
        g_assert_cmpint(tag_of(buf + (size_t)i * SECTOR), ==, m->tags[i]);
    }
}

static void expect_clean(BlockNode *bn)
{
    BlockCheckResult r;

    g_assert_cmpint(test_qcow2_check(bn, &r, 0), ==, 0);
    g_assert_cmpint(r.corruptions, ==, 0);
    g_assert_cmpint(r.leaks, ==, 0);
    g_assert_cmpint(r.check_errors, ==, 0);
}

static const struct {
    const char *create, *open;
} kinds[] = {
    { "{'size':4194304}", "{}" },
    { "{'size':1048576,'cluster-size':512}", "{}" },
    { "{'size':1049088,'cluster-size':1024,'refcount-bits':1}", "{'pass-discard-other':true}" },
    { "{'size':4194304,'cluster-size':4096,'refcount-bits':64}", "{'l2-cache-entry-size':512}" },
    { "{'size':4194304,'cluster-size':2048,'version':'v2'}", "{'overlap-check':'all'}" },
    { "{'size':4194304,'cluster-size':16384,'extended-l2':true}", "{}" },
    { "{'size':4194304,'cluster-size':65536,'extended-l2':true}", "{'overlap-check':'none'}" },
    { "{'size':4194304,'cluster-size':8192,'lazy-refcounts':true}", "{}" },
    { "{'size':2097152,'cluster-size':512,'refcount-bits':2}",
      "{'l2-cache-size':1024,'l2-cache-entry-size':512}" },
    { "{'size':4194304,'cluster-size':4096,'preallocation':'metadata'}", "{}" },
    { "{'size':4194304,'cluster-size':32768,'extended-l2':true,'preallocation':'metadata'}", "{}" },
};

static void test_content(void)
{
    for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
        Model m;

        g_test_message("%s", kinds[k].create);
        model_start(&m, kinds[k].create, kinds[k].open);
        for (unsigned i = 0; i < 400; i++) {
            Op op = random_op(&m, 300);

            run_op(&m, &op);
            g_assert_cmpint(op.ret, ==, 0);
            expect(&m, &op);
            if (op.kind == OP_DISCARD) {
                settle_discard(&m, &op);
            }
            if (i % 100 == 99) {
                verify(&m);
                expect_clean(m.bn);
                model_close(&m);
                model_open(&m, kinds[k].open);
            }
        }
        verify(&m);
        model_end(&m);
    }
}

/* Many at once, on ranges that do not overlap each other. */
#define PARALLEL 16

static void test_parallel(void)
{
    for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
        Model m;
        unsigned part;

        model_start(&m, kinds[k].create, kinds[k].open);
        part = m.sectors / PARALLEL;
        for (unsigned round = 0; round < 30; round++) {
            g_autofree uint8_t *buf = g_malloc((size_t)m.sectors * SECTOR);
            IoVector v[PARALLEL];
            TestWait w[PARALLEL] = { 0 };
            Op ops[PARALLEL];

            for (unsigned i = 0; i < PARALLEL; i++) {
                Op *op = &ops[i];

                *op = random_op(&m, MIN(part / 2, 64));
                op->sector = i * part + op->sector % (part / 2);
                op->count = MIN(op->count, part / 2);
                for (unsigned j = 0; j < op->count; j++) {
                    fill(buf + (size_t)(op->sector + j) * SECTOR, op->tag);
                }
                io_vector_init_buf(&v[i], buf + (size_t)op->sector * SECTOR,
                                   (size_t)op->count * SECTOR);
                if (op->kind == OP_WRITE) {
                    blk_aio_pwritev(m.blk, (int64_t)op->sector * SECTOR, &v[i], 0, test_wait_done,
                                    &w[i]);
                } else if (op->kind == OP_FLUSH) {
                    blk_aio_flush(m.blk, test_wait_done, &w[i]);
                } else {
                    op->kind = OP_ZERO;
                    blk_aio_pwrite_zeroes(m.blk, (int64_t)op->sector * SECTOR,
                                          (int64_t)op->count * SECTOR, BLOCK_REQ_MAY_UNMAP,
                                          test_wait_done, &w[i]);
                }
            }
            for (unsigned i = 0; i < PARALLEL; i++) {
                g_assert_cmpint(test_wait(&w[i]), ==, 0);
                expect(&m, &ops[i]);
            }
            verify(&m);
        }
        expect_clean(m.bn);
        model_end(&m);
    }
}

/* ---- snapshots ---- */

static void test_snapshots(void)
{
    for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
        g_autofree uint32_t *saved[3] = { NULL };
        Model m;

        if (strstr(kinds[k].create, "'refcount-bits':1}") ||
            strstr(kinds[k].create, "'refcount-bits':2}")) {
            continue;           /* no room for so many references */
        }
        model_start(&m, kinds[k].create, kinds[k].open);
        for (unsigned round = 0; round < 3; round++) {
            BlockSnapshot sn = { .icount = UINT64_MAX };

            for (unsigned i = 0; i < 40; i++) {
                Op op = random_op(&m, 200);

                op.kind = op.kind == OP_DISCARD ? OP_UNMAP : op.kind;
                run_op(&m, &op);
                g_assert_cmpint(op.ret, ==, 0);
                expect(&m, &op);
            }
            snprintf(sn.name, sizeof(sn.name), "s%u", round);
            g_assert_true(block_snapshot_create(m.bn, &sn, &error_abort));
            saved[round] = g_memdup2(m.tags, m.sectors * sizeof(uint32_t));
            verify(&m);
            expect_clean(m.bn);
        }
        g_assert_true(block_snapshot_goto(m.bn, "s0", &error_abort));
        memcpy(m.tags, saved[0], m.sectors * sizeof(uint32_t));
        verify(&m);
        expect_clean(m.bn);
        for (unsigned i = 0; i < 20; i++) {
            Op op = { OP_WRITE, test_random() % (m.sectors - 8), 8, m.next_tag++ };

            run_op(&m, &op);
            expect(&m, &op);
        }
        g_assert_true(block_snapshot_delete(m.bn, NULL, "s0", &error_abort));
        verify(&m);
        expect_clean(m.bn);
        g_assert_true(block_snapshot_goto(m.bn, "s1", &error_abort));
        memcpy(m.tags, saved[1], m.sectors * sizeof(uint32_t));
        verify(&m);
        g_assert_true(block_snapshot_delete(m.bn, NULL, "s1", &error_abort));
        verify(&m);
        expect_clean(m.bn);
        for (unsigned i = 0; i < ARRAY_SIZE(saved); i++) {
            g_clear_pointer(&saved[i], g_free);
        }
        model_end(&m);
    }
}

/* ---- errors of the disk ---- */

static void one_failure(size_t k, int after, int err, bool again)
{
    BlockCheckResult r;
    Model m;

    model_start(&m, kinds[k].create, kinds[k].open);
    for (unsigned i = 0; i < 30; i++) {
        Op op = random_op(&m, 100);
        g_autofree uint32_t *before = g_memdup2(m.tags, m.sectors * sizeof(uint32_t));

        if (i == 10) {
            test_disk(m.file)->fail_after = after;
            test_disk(m.file)->fail_errno = err;
            test_disk(m.file)->fail_again = again;
        }
        run_op(&m, &op);
        if (op.ret == 0) {
            expect(&m, &op);
            if (op.kind == OP_DISCARD) {
                settle_discard(&m, &op);
            }
            continue;
        }
        /* The disk is well again. Each sector has the old or the new content. */
        test_disk(m.file)->fail_after = -1;
        for (unsigned j = 0; j < op.count && op.kind != OP_FLUSH; j++) {
            uint8_t buf[SECTOR];
            int64_t tag;

            g_assert_cmpint(blk_pread(m.blk, (int64_t)(op.sector + j) * SECTOR, SECTOR, buf, 0),
                            ==, 0);
            tag = tag_of(buf);
            g_assert_true(tag == op.tag || tag == before[op.sector + j] ||
                          (op.kind == OP_DISCARD && tag == 0));
            m.tags[op.sector + j] = tag;
        }
    }
    test_disk(m.file)->fail_after = -1;
    verify(&m);
    g_assert_cmpint(blk_flush(m.blk), ==, 0);
    g_assert_cmpint(test_qcow2_check(m.bn, &r, 0), ==, 0);
    g_assert_cmpint(r.corruptions, ==, 0);
    g_assert_cmpint(r.check_errors, ==, 0);
    model_close(&m);
    model_open(&m, kinds[k].open);
    verify(&m);
    g_assert_cmpint(test_qcow2_check(m.bn, &r, BLOCK_FIX_LEAKS), ==, 0);
    expect_clean(m.bn);
    verify(&m);
    model_end(&m);
}

static void test_errors(void)
{
    unsigned step = g_test_slow() ? 1 : 5;

    for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
        g_test_message("%s", kinds[k].create);
        for (unsigned after = 0; after < 60; after += 1 + test_random() % step) {
            one_failure(k, after, after % 2 ? EIO : ENOSPC, after % 3 == 0);
        }
    }
}

/* ---- power loss ---- */

typedef struct History {
    Model m;
    uint8_t *start;             /* the disk before the first change */
    int64_t start_size;
    GArray *ops;
} History;

static void record(History *h, const char *create, const char *open, unsigned count)
{
    TestDisk *d;

    model_start(&h->m, create, open);
    for (unsigned i = 0; i < 10; i++) {
        Op op = random_op(&h->m, 60);

        op.kind = op.kind == OP_DISCARD ? OP_FLUSH : op.kind;
        run_op(&h->m, &op);
        expect(&h->m, &op);
    }
    g_assert_cmpint(blk_flush(h->m.blk), ==, 0);
    d = test_disk(h->m.file);
    h->start = g_memdup2(d->data, d->size);
    h->start_size = d->size;
    h->ops = g_array_new(false, false, sizeof(Op));
    test_disk_start_log(d);
    for (unsigned i = 0; i < count; i++) {
        Op op = random_op(&h->m, 60);

        op.log_start = d->log->len;
        run_op(&h->m, &op);
        g_assert_cmpint(op.ret, ==, 0);
        op.log_end = d->log->len;
        g_array_append_val(h->ops, op);
    }
}

/* May sector @s hold @tag when the power went before change @at? */
static bool allowed(const History *h, unsigned s, int64_t tag, guint at)
{
    bool ok = h->m.tags[s] == tag;
    guint i;

    for (i = 0; i < h->ops->len; i++) {
        const Op *op = &g_array_index(h->ops, Op, i);
        bool touches = op->kind != OP_FLUSH && s >= op->sector && s < op->sector + op->count;

        if (op->log_start > at) {
            break;
        }
        if (!touches) {
            continue;
        }
        /* After a flush, what was written last before it is the only one of the older. */
        {
            bool later_flush = false, overwritten = false;
            guint j;

            for (j = i + 1; j < h->ops->len; j++) {
                const Op *n = &g_array_index(h->ops, Op, j);

                if (n->log_end > at && n->kind == OP_FLUSH) {
                    break;
                }
                if (n->kind == OP_FLUSH) {
                    later_flush = true;
                    break;
                }
                if (n->kind != OP_FLUSH && n->kind != OP_DISCARD && s >= n->sector &&
                    s < n->sector + n->count) {
                    overwritten = true;
                }
            }
            if (later_flush) {
                if (op->kind == OP_DISCARD) {
                    ok = ok || tag == 0;
                } else if (!overwritten) {
                    ok = op->tag == tag;
                }
            } else {
                ok = ok || op->tag == tag;
            }
        }
    }
    return ok;
}

static void check_state(const History *h, const char *open, bool lazy, TestDisk *state, guint at)
{
    BlockNode *file = block_open(NULL, test_options("{'driver':'test-disk'}"),
                                 BLOCK_OPEN_RDWR | BLOCK_OPEN_UNMAP | BLOCK_OPEN_PROTOCOL,
                                 &error_abort);
    g_autofree uint8_t *buf = g_malloc((size_t)h->m.sectors * SECTOR);
    BlockCheckResult r;
    BlockBackend *blk;
    BlockNode *bn;

    test_disk_load(test_disk(file), state->data, state->size);
    block_node_refresh_length(file, true);
    bn = test_qcow2_open(file, open, BLOCK_OPEN_RDWR | BLOCK_OPEN_CHECK, &error_abort);
    g_assert_cmpint(test_qcow2_check(bn, &r, 0), ==, 0);
    if (!lazy) {
        /* Nothing but leaks, even before the repair. */
        g_assert_cmpint(r.corruptions, ==, 0);
    }
    g_assert_cmpint(test_qcow2_check(bn, &r, BLOCK_FIX_LEAKS | BLOCK_FIX_ERRORS), ==, 0);
    block_node_unref(bn);
    bn = test_qcow2_open(file, open, BLOCK_OPEN_RDWR, &error_abort);
    expect_clean(bn);
    blk = test_backend(bn, BLOCK_PERM_CONSISTENT_READ, BLOCK_PERM_ALL);
    g_assert_cmpint(blk_pread(blk, 0, (int64_t)h->m.sectors * SECTOR, buf, 0), ==, 0);
    for (unsigned s = 0; s < h->m.sectors; s++) {
        int64_t tag = tag_of(buf + (size_t)s * SECTOR);

        if (!allowed(h, s, tag, at)) {
            for (guint i = 0; i < h->ops->len; i++) {
                const Op *op = &g_array_index(h->ops, Op, i);

                if (op->log_start <= at && (op->kind == OP_FLUSH ||
                    (s >= op->sector && s < op->sector + op->count))) {
                    g_test_message("op %u kind %d sector %u count %u tag %u changes %u-%u", i,
                                   op->kind, op->sector, op->count, op->tag, op->log_start,
                                   op->log_end);
                }
            }
            g_error("power loss at change %u: sector %u holds %" PRId64, at, s, tag);
        }
    }
    blk_unref(blk);
    block_node_unref(bn);
    block_node_unref(file);
}

/* The changes before @at, of which those since the last flush only by chance. */
static void replay(const History *h, TestDisk *state, guint at, bool choose)
{
    const GArray *log = test_disk(h->m.file)->log;
    guint i, flush = 0;

    test_disk_load(state, h->start, h->start_size);
    for (i = 0; i < at; i++) {
        if (g_array_index(log, DiskChange, i).kind == DISK_FLUSH) {
            flush = i;
        }
    }
    for (i = 0; i < at; i++) {
        const DiskChange *c = &g_array_index(log, DiskChange, i);

        if (i < flush || !choose || c->kind == DISK_TRUNCATE || test_random() % 2) {
            test_disk_apply(state, c);
        }
    }
}

static void test_power_loss(void)
{
    unsigned rounds = g_test_slow() ? 10 : 1;

    for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
        for (unsigned round = 0; round < rounds; round++) {
            bool lazy = strstr(kinds[k].create, "lazy");
            History h = { 0 };
            TestDisk state = { 0 };
            guint at;

            g_test_message("%s", kinds[k].create);
            record(&h, kinds[k].create, kinds[k].open, 120);
            for (at = 0; at <= test_disk(h.m.file)->log->len; at++) {
                replay(&h, &state, at, false);
                check_state(&h, kinds[k].open, lazy, &state, at);
                replay(&h, &state, at, true);
                check_state(&h, kinds[k].open, lazy, &state, at);
            }
            g_free(state.data);
            g_free(h.start);
            g_array_free(h.ops, true);
            model_end(&h.m);
        }
    }
}

/* Emptying, which writes the tables of a new image over what is there. */
static void coroutine_fn empty_entry(void *opaque)
{
    BlockNode *bn = opaque;

    g_assert_cmpint(bn->drv->co_make_empty(bn), ==, 0);
    g_assert_cmpint(block_co_flush(bn), ==, 0);
}

static void check_emptied(TestDisk *state, const char *open, unsigned sectors, bool done)
{
    BlockNode *file = block_open(NULL, test_options("{'driver':'test-disk'}"),
                                 BLOCK_OPEN_RDWR | BLOCK_OPEN_UNMAP | BLOCK_OPEN_PROTOCOL,
                                 &error_abort);
    g_autofree uint8_t *buf = g_malloc((size_t)sectors * SECTOR);
    BlockBackend *blk;
    BlockNode *bn;

    test_disk_load(test_disk(file), state->data, state->size);
    block_node_refresh_length(file, true);
    /* One that is marked as dirty is repaired by this. */
    bn = test_qcow2_open(file, open, BLOCK_OPEN_RDWR, &error_abort);
    blk = test_backend(bn, RW, BLOCK_PERM_ALL);
    g_assert_cmpint(blk_pread(blk, 0, (int64_t)sectors * SECTOR, buf, 0), ==, 0);
    g_assert_true(!done || buffer_is_zero(buf, (size_t)sectors * SECTOR));
    memset(buf, 7, 4096);
    g_assert_cmpint(blk_pwrite(blk, 4096, 4096, buf, 0), ==, 0);
    g_assert_cmpint(blk_flush(blk), ==, 0);
    if (done) {
        expect_clean(bn);
    } else {
        BlockCheckResult r;

        g_assert_cmpint(test_qcow2_check(bn, &r, 0), ==, 0);
        g_assert_cmpint(r.corruptions, ==, 0);
    }
    blk_unref(blk);
    block_node_unref(bn);
    block_node_unref(file);
}

static void test_empty(void)
{
    for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
        History h = { 0 };
        TestDisk state = { 0 };
        guint at;

        g_test_message("%s", kinds[k].create);
        record(&h, kinds[k].create, kinds[k].open, 0);
        block_run_coroutine(h.m.bn, empty_entry, h.m.bn);
        memset(h.m.tags, 0, h.m.sectors * sizeof(uint32_t));
        verify(&h.m);
        expect_clean(h.m.bn);
        for (at = 0; at <= test_disk(h.m.file)->log->len; at++) {
            replay(&h, &state, at, false);
            check_emptied(&state, kinds[k].open, h.m.sectors,
                          at == test_disk(h.m.file)->log->len);
            replay(&h, &state, at, true);
            check_emptied(&state, kinds[k].open, h.m.sectors, false);
        }
        g_free(state.data);
        g_free(h.start);
        g_array_free(h.ops, true);
        model_end(&h.m);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    test_block_init();
    g_test_add_func("/qcow2/content", test_content);
    g_test_add_func("/qcow2/parallel", test_parallel);
    g_test_add_func("/qcow2/snapshots", test_snapshots);
    g_test_add_func("/qcow2/errors", test_errors);
    g_test_add_func("/qcow2/power-loss", test_power_loss);
    g_test_add_func("/qcow2/empty", test_empty);
    return g_test_run();
}
