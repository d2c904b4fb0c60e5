/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Backing chains, replacing nodes, creation, reopening and inactivation, with a
 * format "test-cow" that keeps its map of written sectors in memory.
 */
#include "util/osdep.h"
#include <glib/gstdio.h>
#include "block-fixture.h"
#include "block/image.h"
#include "block/options.h"

#define SECTOR 512
#define SECTORS 64
#define CLUSTER 1024
#define READ BLOCK_PERM_CONSISTENT_READ
#define WRITE BLOCK_PERM_WRITE

typedef struct CowState {
    bool allocated[SECTORS];
    unsigned compressed;        /* compressed writes so far */
} CowState;

static bool cow_open(BlockNode *bn, JsonValue *options, Error **errp)
{
    return block_option_take_string(options, "names-backing", &bn->backing_file, errp) &&
           block_child_open(bn, NULL, options, "file",
                            BLOCK_ROLE_DATA | BLOCK_ROLE_METADATA | BLOCK_ROLE_PRIMARY, false, errp);
}

static int coroutine_fn cow_preadv(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                   size_t v_offset, unsigned flags)
{
    CowState *s = bn->opaque;
    int ret = 0;

    for (; bytes > 0 && ret == 0; offset += SECTOR, bytes -= SECTOR, v_offset += SECTOR) {
        if (s->allocated[offset / SECTOR]) {
            ret = block_co_preadv(bn->file, offset, SECTOR, v, v_offset, 0);
        } else if (bn->backing && offset < bn->backing->node->total_bytes) {
            ret = block_co_preadv(bn->backing, offset, SECTOR, v, v_offset, 0);
        } else {
            iov_memset(v->iov, v->cnt, v_offset, 0, SECTOR);
        }
    }
    return ret;
}

static int coroutine_fn cow_pwritev(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                    size_t v_offset, unsigned flags)
{
    CowState *s = bn->opaque;

    memset(s->allocated + offset / SECTOR, true, bytes / SECTOR);
    return block_co_pwritev(bn->file, offset, bytes, v, v_offset, 0);
}

static int coroutine_fn cow_pwritev_compressed(BlockNode *bn, int64_t offset, int64_t bytes,
                                               IoVector *v, size_t v_offset)
{
    CowState *s = bn->opaque;

    g_assert_true(offset % CLUSTER == 0 && bytes % CLUSTER == 0);
    s->compressed++;
    return cow_pwritev(bn, offset, bytes, v, v_offset, 0);
}

static int cow_info(BlockNode *bn, BlockImageInfo *info)
{
    info->cluster_size = CLUSTER;
    return 0;
}

static int coroutine_fn cow_status(BlockNode *bn, bool want_zero, int64_t offset, int64_t bytes,
                                   int64_t *pnum, int64_t *map, BlockNode **file)
{
    CowState *s = bn->opaque;
    bool first = s->allocated[offset / SECTOR];

    for (*pnum = 0; *pnum < bytes && s->allocated[(offset + *pnum) / SECTOR] == first;
         *pnum += SECTOR) {
    }
    *map = offset;
    *file = bn->file->node;
    return first ? BLOCK_STATUS_DATA | BLOCK_STATUS_OFFSET_VALID : 0;
}

static void cow_limits(BlockNode *bn)
{
    bn->limits.request_alignment = SECTOR;
}

BLOCK_DRIVER(cow_driver) = {
    .name = "test-cow",
    .instance_size = sizeof(CowState),
    .supports_backing = true,
    .open = cow_open,
    .co_preadv = cow_preadv,
    .co_pwritev = cow_pwritev,
    .co_pwritev_compressed = cow_pwritev_compressed,
    .image_info = cow_info,
    .co_block_status = cow_status,
    .refresh_limits = cow_limits,
};

static BlockNode *cow(const char *name, const char *backing)
{
    g_autofree char *json = g_strdup_printf(
        "{'driver':'test-cow','node-name':'%s','file':{'driver':'test-mem','size':%d},'backing':%s}",
        name, SECTORS * SECTOR, backing);

    return test_node(json);
}

static void write_sector(BlockNode *bn, unsigned n, uint8_t byte)
{
    BlockBackend *blk = test_backend(bn, WRITE, BLOCK_PERM_ALL);
    uint8_t buf[SECTOR];

    memset(buf, byte, sizeof(buf));
    g_assert_cmpint(blk_pwrite(blk, n * SECTOR, SECTOR, buf, 0), ==, 0);
    blk_unref(blk);
}

static uint8_t read_sector(BlockNode *bn, unsigned n)
{
    BlockBackend *blk = test_backend(bn, READ, BLOCK_PERM_ALL);
    uint8_t buf[SECTOR];

    g_assert_cmpint(blk_pread(blk, n * SECTOR, SECTOR, buf, 0), ==, 0);
    blk_unref(blk);
    return buf[17];
}

typedef struct Ask {
    BlockNode *top, *base, *file;
    int64_t offset, pnum;
    int status, allocated, depth;
} Ask;

static void coroutine_fn ask_entry(void *opaque)
{
    Ask *a = opaque;
    int64_t pnum;

    a->status = block_co_status_above(a->top, a->base, true, a->offset, SECTORS * SECTOR, &a->pnum,
                                      NULL, &a->file, &a->depth);
    a->allocated = block_co_is_allocated_above(a->top, a->base, true, a->offset, SECTORS * SECTOR,
                                               &pnum);
}

static Ask ask(BlockNode *top, BlockNode *base, unsigned sector)
{
    Ask a = { .top = top, .base = base, .offset = sector * SECTOR };

    block_run_coroutine(top, ask_entry, &a);
    return a;
}

static void test_status(void)
{
    BlockNode *base = cow("base", "null"), *mid, *top;
    Ask a;

    write_sector(base, 1, 0x11);
    write_sector(base, 2, 0x12);
    mid = cow("mid", "'base'");
    write_sector(mid, 2, 0x22);
    top = cow("top", "'mid'");
    write_sector(top, 3, 0x33);
    g_assert_true(block_backing(top) == mid);
    g_assert_true(block_chain_contains(top, base));
    g_assert_false(block_chain_contains(mid, top));
    g_assert_cmphex(read_sector(top, 0), ==, 0);
    g_assert_cmphex(read_sector(top, 1), ==, 0x11);
    g_assert_cmphex(read_sector(top, 2), ==, 0x22);
    g_assert_cmphex(read_sector(top, 3), ==, 0x33);
    a = ask(top, NULL, 1);
    g_assert_cmpint(a.depth, ==, 2);
    g_assert_cmpint(a.pnum, ==, SECTOR);
    g_assert_true(a.status & BLOCK_STATUS_DATA);
    a = ask(top, NULL, 2);
    g_assert_cmpint(a.depth, ==, 1);
    a = ask(top, NULL, 3);
    g_assert_cmpint(a.depth, ==, 0);
    a = ask(top, NULL, 4);
    g_assert_cmpint(a.pnum, ==, (SECTORS - 4) * SECTOR);
    g_assert_true((a.status & BLOCK_STATUS_ZERO) && (a.status & BLOCK_STATUS_EOF));
    g_assert_cmpint(a.allocated, ==, 0);
    /* Above base: what base has does not count, unless it is included. */
    a = ask(top, base, 1);
    g_assert_false(a.status & BLOCK_STATUS_ALLOCATED);
    g_assert_cmpint(a.allocated, ==, 1);

    /* A chain that is not one. */
    g_assert_false(block_set_backing(base, top, NULL));
    g_assert_true(block_set_backing(top, base, &error_abort));
    g_assert_cmphex(read_sector(top, 2), ==, 0x12);
    g_assert_true(block_set_backing(top, NULL, &error_abort));
    g_assert_cmphex(read_sector(top, 2), ==, 0);
    block_node_unref(top);
    block_node_unref(mid);
    block_node_unref(base);
}

/* A read through the filter brings the content up, whole clusters at most once. */
static void test_copy_on_read(void)
{
    BlockNode *base = cow("base", "null"), *top, *filter;

    write_sector(base, 1, 0x11);
    write_sector(base, 2, 0x12);
    top = cow("top", "'base'");
    write_sector(top, 2, 0x22);
    filter = test_node("{'driver':'copy-on-read','node-name':'f','file':'top'}");
    g_assert_cmphex(read_sector(filter, 1), ==, 0x11);
    g_assert_cmphex(read_sector(filter, 2), ==, 0x22);
    g_assert_cmphex(read_sector(filter, 3), ==, 0);
    g_assert_true(ask(top, base, 1).status & BLOCK_STATUS_ALLOCATED);
    g_assert_true(ask(top, base, 3).status & BLOCK_STATUS_ALLOCATED);
    g_assert_false(ask(top, base, 4).status & BLOCK_STATUS_ALLOCATED);
    /* From here on the base does not matter. */
    g_assert_true(block_set_backing(top, NULL, &error_abort));
    g_assert_cmphex(read_sector(top, 1), ==, 0x11);
    block_node_unref(filter);
    block_node_unref(top);
    block_node_unref(base);
}

/* Small writes become whole compressed clusters. */
static void test_compress(void)
{
    BlockNode *bn = cow("c", "null"), *filter;

    write_sector(bn, 0, 0x10);
    filter = test_node("{'driver':'compress','node-name':'f','file':'c'}");
    write_sector(filter, 1, 0x11);
    g_assert_cmpuint(((CowState *)bn->opaque)->compressed, ==, 1);
    g_assert_cmphex(read_sector(bn, 0), ==, 0x10);
    g_assert_cmphex(read_sector(bn, 1), ==, 0x11);
    block_node_unref(filter);
    block_node_unref(bn);
}

/* Writing to a backing file under a writer is refused; replacing a node moves its users. */
static void test_replace(void)
{
    BlockNode *base = cow("base", "null"), *top = cow("top", "'base'"), *other = cow("other", "null");
    BlockBackend *user = test_backend(top, READ | WRITE, READ | BLOCK_PERM_WRITE_UNCHANGED);
    BlockBackend *writer = blk_new(event_loop_main(), WRITE, BLOCK_PERM_ALL);
    uint8_t buf[SECTOR];

    g_assert_false(blk_insert(writer, base, NULL));
    write_sector(other, 5, 0x55);
    g_assert_true(block_replace_node(top, other, &error_abort));
    g_assert_true(blk_node(user) == other);
    g_assert_cmpint(blk_pread(user, 5 * SECTOR, SECTOR, buf, 0), ==, 0);
    g_assert_cmphex(buf[0], ==, 0x55);
    /* Nobody uses top any more, so base may be written to. */
    g_assert_true(blk_insert(writer, base, &error_abort));
    /* Now back would need what the writer does not share. */
    blk_unref(writer);
    g_assert_true(block_replace_node(other, top, &error_abort));
    g_assert_true(blk_node(user) == top);
    /* From below: base is used by top itself, which stays. */
    g_assert_true(block_replace_node(base, top, &error_abort));
    g_assert_true(block_backing(top) == base);
    blk_unref(user);
    block_node_unref(other);
    block_node_unref(top);
    block_node_unref(base);
}

static void test_inactivate(void)
{
    BlockNode *bn = cow("a", "null");
    BlockBackend *user = test_backend(bn, READ | WRITE, READ | BLOCK_PERM_WRITE_UNCHANGED);
    uint8_t buf[SECTOR] = { 1 };

    g_assert_true(block_inactivate_all(&error_abort));
    g_assert_true(bn->inactive && bn->file->node->inactive);
    g_assert_cmpuint(bn->file->perm, ==, bn->file->perm & READ);
    g_assert_cmpint(blk_pwrite(user, 0, SECTOR, buf, 0), ==, -EPERM);
    g_assert_true(block_activate_all(&error_abort));
    g_assert_cmpint(blk_pwrite(user, 0, SECTOR, buf, 0), ==, 0);
    blk_unref(user);
    block_node_unref(bn);
}

static void test_names(void)
{
    static const struct {
        const char *image, *backing, *path;
    } cases[] = {
        { "/a/b.img", "c.img", "/a/c.img" },   { "b.img", "c.img", "c.img" },
        { "/a/b.img", "/c.img", "/c.img" },    { "/a/b.img", "nbd:unix:x", "nbd:unix:x" },
        { "file:b.img", "c.img", "file:c.img" }, { "nbd://h/x", "y", "nbd://h/y" },
        { "./x:y/b", "c", "./x:y/c" },         { "json:{}", "c", NULL },
        { "", "c", NULL },
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = block_backing_path(cases[i].image, cases[i].backing, NULL);

        g_assert_cmpstr(path, ==, cases[i].path);
    }
}

/* ---- files ---- */

static void check_size(const char *path, int64_t bytes)
{
    GStatBuf st;

    g_assert_cmpint(g_stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_size, ==, bytes);
}

static void test_create(void)
{
    g_autofree char *dir = g_dir_make_tmp("nemu-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "x.raw", NULL);
    BlockImageCreate c = {
        .format = "raw", .filename = path, .has_size = true, .size = 1000, .quiet = true
    };
    g_autoptr(Error) err = NULL;
    BlockBackend *blk;

    g_assert_true(block_image_create_checked(&c, &error_abort));
    check_size(path, 1024);
    c.options = test_options("{'preallocation':'metadata'}");
    g_assert_false(block_image_create_checked(&c, NULL));
    json_unref(c.options);
    c.options = test_options("{'preallocation':'full','nocow':'on'}");
    g_assert_true(block_image_create_checked(&c, &error_abort));
    json_unref(c.options);
    c.options = NULL;
    c.backing = "y";
    g_assert_false(block_image_create_checked(&c, NULL));
    c.backing = NULL;

    /* Somebody relies on the content: it stays as it is. */
    blk = blk_open(path, test_options("{'driver':'raw'}"), BLOCK_OPEN_RDWR, &error_abort);
    c.size = 4096;
    g_assert_false(block_image_create_checked(&c, &err));
    g_assert_cmpstr(error_message(err), ==, "Failed to get \"write\" lock");
    check_size(path, 1024);
    blk_unref(blk);
    g_unlink(path);
    g_rmdir(dir);
}

static void test_reopen(void)
{
    g_autofree char *dir = g_dir_make_tmp("nemu-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "x.raw", NULL);
    BlockImageCreate c = {
        .format = "raw", .filename = path, .has_size = true, .size = 4096, .quiet = true
    };
    BlockBackend *blk;
    uint8_t buf[512] = { 1 };

    g_assert_true(block_image_create_checked(&c, &error_abort));
    blk = blk_open(path, test_options("{'driver':'raw'}"), 0, &error_abort);
    g_assert_false(blk_set_perm(blk, WRITE, BLOCK_PERM_ALL, NULL));
    g_assert_true(block_reopen_set_read_only(blk_node(blk), false, &error_abort));
    g_assert_true(blk_set_perm(blk, WRITE, BLOCK_PERM_ALL, &error_abort));
    g_assert_cmpint(blk_pwrite(blk, 0, 512, buf, 0), ==, 0);
    /* Not while somebody writes. */
    g_assert_false(block_reopen_set_read_only(blk_node(blk), true, NULL));
    g_assert_cmpint(blk_pwrite(blk, 0, 512, buf, 0), ==, 0);
    g_assert_true(blk_set_perm(blk, READ, BLOCK_PERM_ALL, &error_abort));
    g_assert_true(block_reopen_set_read_only(blk_node(blk), true, &error_abort));
    g_assert_false(blk_set_perm(blk, WRITE, BLOCK_PERM_ALL, NULL));
    blk_unref(blk);
    g_unlink(path);
    g_rmdir(dir);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    test_block_init();
    g_test_add_func("/block/chain/status", test_status);
    g_test_add_func("/block/chain/copy-on-read", test_copy_on_read);
    g_test_add_func("/block/chain/compress", test_compress);
    g_test_add_func("/block/chain/replace", test_replace);
    g_test_add_func("/block/chain/inactivate", test_inactivate);
    g_test_add_func("/block/chain/names", test_names);
    g_test_add_func("/block/image/create", test_create);
    g_test_add_func("/block/image/reopen", test_reopen);
    return g_test_run();
}
