/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unit tests of files: the engines with and without O_DIRECT against a copy in
 * memory, odd sizes, errors of the host, holes, image locks, guessed formats.
 */
#include "util/osdep.h"
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include "block-fixture.h"

#define SIZE (256 * 1024)
#define READ BLOCK_PERM_CONSISTENT_READ
#define WRITE BLOCK_PERM_WRITE
#define RESIZE BLOCK_PERM_RESIZE

static char *dir;

static char *make_file(const char *name, off_t size)
{
    char *path = g_build_filename(dir, name, NULL);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(ftruncate(fd, size), ==, 0);
    close(fd);
    return path;
}

static BlockNode *open_file(const char *path, const char *more)
{
    g_autofree char *json =
        g_strdup_printf("{'driver':'raw','file':{'driver':'file','filename':'%s'%s}}", path, more);

    return block_open(NULL, test_options(json), BLOCK_OPEN_RDWR, &error_abort);
}

/* ---- engines ---- */

typedef struct Slot {
    TestWait w;
    IoVector v;
    uint8_t *buf;
    int64_t offset, bytes;
    bool is_write;
} Slot;

static void slot_finish(Slot *s, const uint8_t *shadow)
{
    if (!s->bytes) {
        return;
    }
    g_assert_cmpint(test_wait(&s->w), ==, 0);
    if (!s->is_write) {
        g_assert_cmpmem(s->buf, s->bytes, shadow + s->offset, s->bytes);
    }
    io_vector_destroy(&s->v);
    s->bytes = 0;
}

/*
 * Rounds of concurrent requests that do not overlap within a round, some in odd pieces and at odd
 * places.
 */
static void hammer(BlockBackend *blk, unsigned rounds)
{
    enum { SLOTS = 16, AREA = SIZE / SLOTS };
    g_autofree uint8_t *shadow = g_malloc0(SIZE);
    Slot slots[SLOTS] = { 0 };
    void *memory = NULL;

    g_assert_cmpint(posix_memalign(&memory, 4096, SIZE), ==, 0);
    while (rounds--) {
        bool odd = test_random() % 4 == 0;

        blk_io_plug(blk);
        for (int i = 0; i < SLOTS; i++) {
            Slot *s = &slots[i];
            int64_t unit = odd ? 1 : 4096;
            int64_t start = test_random() % AREA / unit * unit, cut;
            int64_t bytes = test_random() % (AREA - start) / unit * unit;

            s->w.done = false;
            s->buf = (uint8_t *)memory + i * AREA;
            s->offset = i * AREA + start;
            s->bytes = MAX(bytes, MIN(unit, AREA - start));
            s->is_write = test_random() % 2;
            io_vector_init(&s->v, 2);
            cut = odd ? test_random() % s->bytes : 0;
            if (cut) {
                io_vector_add(&s->v, s->buf, cut);
            }
            io_vector_add(&s->v, s->buf + cut, s->bytes - cut);
            memset(s->buf, test_random(), s->bytes);
            if (s->is_write) {
                memcpy(shadow + s->offset, s->buf, s->bytes);
                blk_aio_pwritev(blk, s->offset, &s->v, 0, test_wait_done, &s->w);
            } else {
                blk_aio_preadv(blk, s->offset, &s->v, 0, test_wait_done, &s->w);
            }
        }
        blk_io_unplug(blk);
        for (int i = 0; i < SLOTS; i++) {
            slot_finish(&slots[i], shadow);
        }
    }
    g_assert_cmpint(blk_flush(blk), ==, 0);
    g_assert_cmpint(blk_pread(blk, 0, SIZE, memory, 0), ==, 0);
    g_assert_cmpmem(memory, SIZE, shadow, SIZE);
    free(memory);
}

static void test_engine(const void *opaque)
{
    g_autofree char *path = make_file("engine.img", SIZE);
    g_autofree char *json =
        g_strdup_printf("{'driver':'raw',%s,'file':{'driver':'file','filename':'%s'%s}}",
                        strstr(opaque, "direct") ? "'cache':{'direct':true}" : "'discard':'ignore'",
                        path, strchr(opaque, ','));
    BlockNode *bn;
    BlockBackend *blk;
    TestThread t;
    Error *err = NULL;

    bn = block_open(NULL, test_options(json), BLOCK_OPEN_RDWR, &err);
    if (!bn) {
        g_test_skip(error_message(err));
        error_free(err);
        return;
    }
    blk = test_backend(bn, READ | WRITE, BLOCK_PERM_ALL);
    hammer(blk, 60);
    /* There and back: engines belong to loops. */
    test_thread_start(&t);
    g_assert_true(blk_set_loop(blk, t.loop, &error_abort));
    g_assert_cmpint(blk_pwrite(blk, 0, 5, "hello", 0), ==, 0);
    g_assert_true(blk_set_loop(blk, event_loop_main(), &error_abort));
    test_thread_stop(&t);
    {
        char buf[5];

        g_assert_cmpint(blk_pread(blk, 0, 5, buf, 0), ==, 0);
        g_assert_cmpmem(buf, 5, "hello", 5);
    }
    blk_unref(blk);
    block_node_unref(bn);
}

/* Plain requests of a raw file need no coroutine; those that need thought take one. */
static void test_fast_path(void)
{
    g_autofree char *path = make_file("fast.img", SIZE);
    BlockNode *bn = open_file(path, "");
    BlockBackend *blk = test_backend(bn, READ | WRITE, BLOCK_PERM_ALL);
    uint8_t buf[4096] = "x";
    TestWait w = { 0 };
    IoVector v;

    io_vector_init_buf(&v, buf, sizeof(buf));
    blk_aio_pwritev(blk, 0, &v, 0, test_wait_done, &w);
    g_assert_cmpint(bn->fast_in_flight, ==, 1);
    g_assert_cmpint(bn->file->node->fast_in_flight, ==, 1);
    g_assert_null(bn->tracked);
    g_assert_cmpint(test_wait(&w), ==, 0);
    g_assert_cmpint(bn->fast_in_flight, ==, 0);
    g_assert_cmpint(bn->file->node->wr_highest_offset, ==, 4096);
    g_assert_cmpint(bn->write_gen, ==, 1);

    block_set_write_threshold(bn->file->node, SIZE);
    w.done = false;
    blk_aio_pwritev(blk, 0, &v, 0, test_wait_done, &w);
    g_assert_cmpint(bn->fast_in_flight, ==, 0);
    g_assert_nonnull(bn->tracked);
    g_assert_cmpint(test_wait(&w), ==, 0);
    blk_unref(blk);
    block_node_unref(bn);
}

/* A read-modify-write of part of a sector beside a plain write of all of it. */
static void test_fast_and_serialising(void)
{
    g_autofree char *path = make_file("mixed.img", SIZE);
    g_autofree char *json = g_strdup_printf(
        "{'driver':'raw','cache':{'direct':true},'file':{'driver':'file','filename':'%s'}}", path);
    BlockNode *bn;
    BlockBackend *blk;
    Error *err = NULL;
    void *whole = NULL;
    uint8_t part[100], got[4096];

    bn = block_open(NULL, test_options(json), BLOCK_OPEN_RDWR, &err);
    if (!bn) {
        g_test_skip(error_message(err));
        error_free(err);
        return;
    }
    blk = test_backend(bn, READ | WRITE, BLOCK_PERM_ALL);
    g_assert_cmpint(posix_memalign(&whole, 4096, 4096), ==, 0);
    memset(part, 'B', sizeof(part));
    for (int i = 0; i < 100; i++) {
        TestWait w[2] = { 0 };
        IoVector v[2];
        bool part_first = i % 2;

        memset(whole, i, 4096);
        io_vector_init_buf(&v[0], whole, 4096);
        io_vector_init_buf(&v[1], part, sizeof(part));
        for (int n = 0; n < 2; n++) {
            int which = n ^ part_first;

            blk_aio_pwritev(blk, which ? 100 : 0, &v[which], 0, test_wait_done, &w[which]);
        }
        g_assert_cmpint(test_wait(&w[0]), ==, 0);
        g_assert_cmpint(test_wait(&w[1]), ==, 0);
        g_assert_cmpint(blk_pread(blk, 0, 4096, got, 0), ==, 0);
        g_assert_cmpmem(got, 100, whole, 100);
        g_assert_cmpmem(got + 200, 3896, (uint8_t *)whole + 200, 3896);
        g_assert_cmpint(got[150], ==, part_first ? i : 'B');
    }
    free(whole);
    blk_unref(blk);
    block_node_unref(bn);
}

static void test_native_needs_direct(void)
{
    g_autofree char *path = make_file("native.img", SIZE);
    g_autofree char *json =
        g_strdup_printf("{'driver':'file','filename':'%s','aio':'native'}", path);
    Error *err = NULL;

    g_assert_null(block_open(NULL, test_options(json), BLOCK_OPEN_RDWR, &err));
    g_assert_cmpstr(
        error_message(err), ==,
        "aio=native was specified, but it requires cache.direct=on, which was not specified.");
    error_free(err);
}

/* ---- sizes ---- */

static void test_short_file(void)
{
    g_autofree char *path = make_file("short.img", 1000);
    BlockNode *bn = open_file(path, "");
    BlockBackend *blk = test_backend(bn, READ | WRITE | RESIZE, BLOCK_PERM_ALL);
    uint8_t buf[1024];
    struct stat st;

    g_assert_cmpint(blk_length(blk), ==, 1024);
    memset(buf, 0xaa, sizeof(buf));
    g_assert_cmpint(blk_pwrite(blk, 990, 10, buf, 0), ==, 0);
    g_assert_cmpint(blk_pread(blk, 0, 1024, buf, 0), ==, 0);
    g_assert_cmpint(buf[999], ==, 0xaa);
    g_assert_cmpint(buf[1000] | buf[1023], ==, 0);
    /* The file became shorter behind our back. */
    g_assert_cmpint(truncate(path, 100), ==, 0);
    memset(buf, 0xaa, sizeof(buf));
    g_assert_cmpint(blk_pread(blk, 0, 1024, buf, 0), ==, 0);
    g_assert_true(buffer_is_zero(buf, 1024));
    g_assert_true(blk_truncate(blk, 8192, PREALLOC_MODE_OFF, &error_abort));
    g_assert_cmpint(blk_length(blk), ==, 8192);
    g_assert_true(blk_truncate(blk, 65536, PREALLOC_MODE_FULL, &error_abort));
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_size, ==, 65536);
    g_assert_cmpint(st.st_blocks * 512, >=, 65536 - 8192);
    blk_unref(blk);
    block_node_unref(bn);
}

static void test_no_space(void)
{
    g_autofree char *path = make_file("limit.img", 4096);
    struct rlimit old, limit;
    BlockBackend *blk;
    BlockNode *bn;
    char buf[8192] = "x";

    /* The kernel's own full disk. */
    bn = block_open(NULL, test_options("{'driver':'host_device','filename':'/dev/full'}"),
                    BLOCK_OPEN_RDWR, &error_abort);
    blk = test_backend(bn, READ | WRITE | RESIZE, BLOCK_PERM_ALL);
    g_assert_cmpint(blk_pwrite(blk, 0, 512, buf, 0), ==, -ENOSPC);
    blk_unref(blk);
    block_node_unref(bn);

    /* A transfer that ends in the middle, and then fails. */
    bn = open_file(path, "");
    blk = test_backend(bn, READ | WRITE | RESIZE, BLOCK_PERM_ALL);
    signal(SIGXFSZ, SIG_IGN);
    g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &old), ==, 0);
    limit = old;
    limit.rlim_cur = 6000;
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &limit), ==, 0);
    g_assert_cmpint(blk_pwrite(blk, 0, sizeof(buf), buf, 0), ==, -EFBIG);
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &old), ==, 0);
    g_assert_cmpint(blk_pwrite(blk, 0, sizeof(buf), buf, 0), ==, 0);
    blk_unref(blk);
    block_node_unref(bn);
}

static void test_holes(void)
{
    g_autofree char *path = make_file("holes.img", SIZE);
    BlockNode *bn = block_open(path, test_options("{'driver':'raw','discard':'unmap'}"),
                               BLOCK_OPEN_RDWR, &error_abort);
    BlockBackend *blk = test_backend(bn, READ | WRITE, BLOCK_PERM_ALL);
    g_autofree uint8_t *buf = g_malloc(SIZE);
    TestWait w = { 0 };
    int64_t n;
    int ret;

    memset(buf, 1, SIZE);
    g_assert_cmpint(blk_pwrite(blk, 65536, 65536, buf, 0), ==, 0);
    ret = block_block_status(bn, true, 0, SIZE, &n);
    g_assert_true(ret & BLOCK_STATUS_ZERO);
    g_assert_cmpint(n, ==, 65536);
    ret = block_block_status(bn, true, 65536, SIZE, &n);
    g_assert_true((ret & BLOCK_STATUS_DATA) && !(ret & BLOCK_STATUS_ZERO));
    g_assert_cmpint(n, ==, 65536);
    ret = block_block_status(bn, true, 131072, SIZE, &n);
    g_assert_true((ret & BLOCK_STATUS_ZERO) && (ret & BLOCK_STATUS_EOF));
    blk_aio_pwrite_zeroes(blk, 65536 + 100, 40000, BLOCK_REQ_MAY_UNMAP, test_wait_done, &w);
    g_assert_cmpint(test_wait(&w), ==, 0);
    g_assert_cmpint(blk_pread(blk, 65536, 65536, buf, 0), ==, 0);
    g_assert_true(buf[99] == 1 && buf[40100] == 1 && buffer_is_zero(buf + 100, 40000));
    w.done = false;
    blk_aio_pdiscard(blk, 65536, 65536, test_wait_done, &w);
    g_assert_cmpint(test_wait(&w), ==, 0);
    blk_unref(blk);
    block_node_unref(bn);
}

/* ---- locks ---- */

static void test_locks(void)
{
    g_autofree char *path = make_file("lock.img", SIZE);
    BlockNode *a = open_file(path, ""), *b = open_file(path, "");
    BlockBackend *blk_a, *blk_b;
    Error *err = NULL;

    /* Two open files are two holders, in one process or in two. */
    blk_a = test_backend(a, READ | WRITE, READ);
    blk_b = blk_new(event_loop_main(), READ, BLOCK_PERM_ALL);
    blk_insert(blk_b, b, &error_abort);
    g_assert_false(blk_set_perm(blk_b, READ | WRITE, BLOCK_PERM_ALL, &err));
    g_assert_cmpstr(error_message(err), ==, "Failed to get \"write\" lock");
    g_assert_true(g_str_has_prefix(error_hint(err), "Is another process using the image ["));
    g_clear_pointer(&err, error_free);
    g_assert_false(blk_set_perm(blk_b, READ, READ, &err));
    g_assert_cmpstr(error_message(err), ==, "Failed to get shared \"write\" lock");
    g_clear_pointer(&err, error_free);
    /* The refusals left nothing behind. */
    g_assert_true(blk_set_perm(blk_a, READ | WRITE, READ | RESIZE, &error_abort));
    blk_unref(blk_a);
    g_assert_true(blk_set_perm(blk_b, READ | WRITE, READ, &error_abort));
    blk_unref(blk_b);
    block_node_unref(a);
    block_node_unref(b);

    a = open_file(path, ",'locking':'off'");
    b = open_file(path, ",'locking':'off'");
    blk_a = test_backend(a, READ | WRITE, READ);
    blk_b = test_backend(b, READ | WRITE, READ);
    blk_unref(blk_a);
    blk_unref(blk_b);
    block_node_unref(a);
    block_node_unref(b);
}

static void test_auto_read_only(void)
{
    g_autofree char *path = make_file("auto.img", SIZE);
    BlockNode *bn = open_file(path, ",'auto-read-only':true"), *other = open_file(path, "");
    BlockBackend *blk = test_backend(bn, READ, READ | WRITE), *blk_other;
    Error *err = NULL;
    char buf[6] = "";

    g_assert_cmpint(blk_pwrite(blk, 0, 5, "hello", 0), ==, -EPERM);
    g_assert_true(blk_set_perm(blk, READ | WRITE, READ, &error_abort));
    g_assert_cmpint(blk_pwrite(blk, 0, 5, "hello", 0), ==, 0);
    /* The locks came along with the new open file. */
    blk_other = blk_new(event_loop_main(), READ | WRITE, BLOCK_PERM_ALL);
    g_assert_false(blk_insert(blk_other, other, &err));
    g_clear_pointer(&err, error_free);
    g_assert_true(blk_set_perm(blk, READ, READ | WRITE, &error_abort));
    g_assert_true(blk_insert(blk_other, other, &error_abort));
    g_assert_cmpint(blk_pread(blk, 0, 5, buf, 0), ==, 0);
    g_assert_cmpstr(buf, ==, "hello");
    blk_unref(blk_other);
    blk_unref(blk);
    block_node_unref(other);
    block_node_unref(bn);
}

/* ---- formats ---- */

static void test_probing(void)
{
    g_autofree char *path = make_file("probe.img", SIZE);
    BlockNode *bn = block_open(path, NULL, BLOCK_OPEN_RDWR | BLOCK_OPEN_QUIET_PROBE, &error_abort);
    BlockBackend *blk = test_backend(bn, READ | WRITE, BLOCK_PERM_ALL);
    Error *err = NULL;
    uint8_t buf[1024] = "QFI\xfb\0\0\0\3";

    g_assert_cmpstr(bn->drv->name, ==, "raw");
    /* Whole, and put together from two writes. */
    g_assert_cmpint(blk_pwrite(blk, 0, 1024, buf, 0), ==, -EPERM);
    g_assert_cmpint(blk_pwrite(blk, 4, 508, buf + 4, 0), ==, 0);
    g_assert_cmpint(blk_pwrite(blk, 0, 4, buf, 0), ==, -EPERM);
    g_assert_cmpint(blk_pwrite(blk, 512, 512, buf, 0), ==, 0);
    g_assert_cmpint(blk_pwrite(blk, 0, 4, "fine", 0), ==, 0);
    blk_unref(blk);
    block_node_unref(bn);

    /* With the format given there is no such rule; and afterwards the image is not raw any more. */
    bn = open_file(path, "");
    blk = test_backend(bn, READ | WRITE, BLOCK_PERM_ALL);
    g_assert_cmpint(blk_pwrite(blk, 0, 1024, buf, 0), ==, 0);
    blk_unref(blk);
    block_node_unref(bn);
    if (!block_driver_find("qcow2")) {
        g_assert_null(block_open(path, NULL, 0, &err));
        g_assert_nonnull(
            strstr(error_message(err), "has the format 'qcow2', which is not supported"));
        error_free(err);
    }
}

static void test_open_errors(void)
{
    Error *err = NULL;

    g_assert_null(block_open("/nonexistent/x", test_options("{'driver':'raw'}"), 0, &err));
    g_assert_cmpstr(error_message(err), ==,
                    "Could not open '/nonexistent/x': No such file or directory");
    g_clear_pointer(&err, error_free);
    g_assert_null(block_open(NULL, test_options("{'driver':'file','filename':'/'}"), 0, &err));
    g_assert_cmpstr(error_message(err), ==, "'file' driver requires '/' to be a regular file");
    g_clear_pointer(&err, error_free);
    g_assert_null(
        block_open(NULL, test_options("{'driver':'file','filename':'/dev/null'}"), 0, &err));
    g_assert_cmpstr(error_message(err), ==,
                    "'file' driver requires '/dev/null' to be a regular file");
    g_clear_pointer(&err, error_free);
    g_assert_null(block_open("bogus:x", NULL, 0, &err));
    g_assert_cmpstr(error_message(err), ==, "Unknown protocol 'bogus'");
    g_clear_pointer(&err, error_free);
}

int main(int argc, char **argv)
{
    static const char *const engines[][2] = {
        { "/block/file/threads", "buffered,'aio':'threads'" },
        { "/block/file/threads-direct", "direct,'aio':'threads'" },
        { "/block/file/native", "direct,'aio':'native'" },
        { "/block/file/io_uring", "buffered,'aio':'io_uring'" },
        { "/block/file/io_uring-direct", "direct,'aio':'io_uring'" },
    };
    int ret;

    g_test_init(&argc, &argv, NULL);
    test_block_init();
    /* Not /tmp, which may have no O_DIRECT. */
    dir = g_strdup("test-block-XXXXXX");
    g_assert_nonnull(g_mkdtemp(dir));
    for (size_t i = 0; i < ARRAY_SIZE(engines); i++) {
        g_test_add_data_func(engines[i][0], engines[i][1], test_engine);
    }
    g_test_add_func("/block/file/fast-path", test_fast_path);
    g_test_add_func("/block/file/fast-and-serialising", test_fast_and_serialising);
    g_test_add_func("/block/file/native-needs-direct", test_native_needs_direct);
    g_test_add_func("/block/file/short", test_short_file);
    g_test_add_func("/block/file/no-space", test_no_space);
    g_test_add_func("/block/file/holes", test_holes);
    g_test_add_func("/block/file/locks", test_locks);
    g_test_add_func("/block/file/auto-read-only", test_auto_read_only);
    g_test_add_func("/block/file/probing", test_probing);
    g_test_add_func("/block/file/open-errors", test_open_errors);
    ret = g_test_run();
    {
        GDir *d = g_dir_open(dir, 0, NULL);
        const char *name;

        while (d && (name = g_dir_read_name(d)) != NULL) {
            g_autofree char *path = g_build_filename(dir, name, NULL);

            unlink(path);
        }
        g_clear_pointer(&d, g_dir_close);
        rmdir(dir);
        g_free(dir);
    }
    return ret;
}
