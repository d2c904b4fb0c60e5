/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hostile qcow2 images: the input changes bytes of an image with data, a snapshot
 * and compressed, zero and shared clusters; it is then opened, read, written,
 * checked and repaired. Nothing may crash, hang or grow without bound; after a
 * repair that says all is well, a check must find the same.
 *
 * Run as a test it uses a fixed set of generated inputs, and any files named on
 * the command line. LLVMFuzzerTestOneInput() is there for a coverage-guided engine.
 */
#include "util/osdep.h"
#include "qcow2-fixture.h"
#include "block/block-int.h"
#include "util/bswap.h"

#define IMAGES 4
#define DISK_LIMIT (64 * MIB)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const creates[IMAGES] = {
    "{'size':4194304,'cluster-size':4096}",
    "{'size':1048576,'cluster-size':512,'refcount-bits':8}",
    "{'size':4194304,'cluster-size':16384,'extended-l2':true}",
    "{'size':4194304,'cluster-size':4096,'version':'v2'}",
};

static struct {
    uint8_t *data;
    int64_t size;
} images[IMAGES];

static void make_image(unsigned i)
{
    BlockNode *file = test_qcow2_create(creates[i]);
    BlockNode *bn = test_qcow2_open(file, NULL, BLOCK_OPEN_RDWR | BLOCK_OPEN_UNMAP, &error_abort);
    BlockBackend *blk = test_backend(bn, BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE,
                                     BLOCK_PERM_ALL);
    g_autofree uint8_t *buf = g_malloc(65536);
    BlockSnapshot sn = { .name = "s", .icount = UINT64_MAX };
    TestWait w = { 0 };

    memset(buf, 0x5a, 65536);
    blk_pwrite(blk, 0, 65536, buf, 0);
    blk_pwrite(blk, 262144, 16384, buf, BLOCK_REQ_WRITE_COMPRESSED);
    block_snapshot_create(bn, &sn, &error_abort);
    blk_pwrite(blk, 8192, 20000, buf, 0);
    blk_aio_pwrite_zeroes(blk, 131072, 65536, 0, test_wait_done, &w);
    test_wait(&w);
    blk_unref(blk);
    block_node_unref(bn);
    images[i].size = test_disk(file)->size;
    images[i].data = g_memdup2(test_disk(file)->data, images[i].size);
    block_node_unref(file);
}

/* Places in the header and the first clusters more often than others. */
static void mutate(uint8_t *image, int64_t image_size, const uint8_t *data, size_t size)
{
    for (; size >= 6; data += 6, size -= 6) {
        uint32_t at = load_le32(data);
        int64_t offset = data[4] & 1 ? at % 128 : data[4] & 2 ? at % 4096 * 8 : at;

        image[offset % image_size] = data[5];
    }
}

static void use_image(BlockNode *file, unsigned flags)
{
    BlockNode *bn = test_qcow2_open(file, NULL, flags, NULL);
    uint8_t buf[4096];
    BlockBackend *blk;
    int64_t size, pnum, at = 0;

    if (!bn) {
        return;
    }
    blk = test_backend(bn, BLOCK_PERM_CONSISTENT_READ |
                       (flags & BLOCK_OPEN_RDWR ? BLOCK_PERM_WRITE : 0), BLOCK_PERM_ALL);
    size = block_length(bn);
    for (unsigned i = 0; i < 64 && at + 4096 <= size; i++, at += 20480) {
        blk_pread(blk, at, sizeof(buf), buf, 0);
        block_block_status(bn, true, at, size - at, &pnum);
        if (flags & BLOCK_OPEN_RDWR && i % 4 == 0) {
            blk_pwrite(blk, at, 1000, buf, 0);
        }
    }
    blk_flush(blk);
    blk_unref(blk);
    block_node_unref(bn);
}

static void check_image(BlockNode *file, unsigned fix)
{
    BlockNode *bn = test_qcow2_open(file, NULL, BLOCK_OPEN_CHECK | (fix ? BLOCK_OPEN_RDWR : 0),
                                    NULL);
    BlockCheckResult r;
    int ret;

    if (!bn) {
        return;
    }
    ret = block_check(bn, &r, fix);
    if (fix && ret == 0 && !r.check_errors && !r.corruptions && !r.leaks) {
        ret = block_check(bn, &r, 0);
        g_assert_true(ret < 0 || r.check_errors || (!r.corruptions && !r.leaks));
    }
    block_node_unref(bn);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool initialised;
    unsigned kind, order;
    g_autofree uint8_t *image = NULL;
    BlockNode *file;

    if (!initialised) {
        test_block_init();
        for (unsigned i = 0; i < IMAGES; i++) {
            make_image(i);
        }
        initialised = true;
    }
    if (size < 2) {
        return 0;
    }
    kind = data[0] % IMAGES;
    order = data[1] % 4;
    image = g_memdup2(images[kind].data, images[kind].size);
    mutate(image, images[kind].size, data + 2, size - 2);
    file = block_open(NULL, test_options("{'driver':'test-disk'}"),
                      BLOCK_OPEN_RDWR | BLOCK_OPEN_UNMAP | BLOCK_OPEN_PROTOCOL, &error_abort);
    test_disk(file)->limit = DISK_LIMIT;
    test_disk_load(test_disk(file), image, data[1] & 64 ? images[kind].size / 2 :
                                                           images[kind].size);
    block_node_refresh_length(file, true);
    use_image(file, 0);
    check_image(file, 0);
    if (order & 1) {
        use_image(file, BLOCK_OPEN_RDWR | BLOCK_OPEN_UNMAP);
    }
    check_image(file, order & 2 ? BLOCK_FIX_LEAKS : BLOCK_FIX_LEAKS | BLOCK_FIX_ERRORS);
    use_image(file, BLOCK_OPEN_RDWR | BLOCK_OPEN_UNMAP);
    block_node_unref(file);
    return 0;
}

static void run_generated(unsigned seed)
{
    uint8_t buf[2 + 6 * 24];
    size_t len = 2 + 6 * (1 + test_random() % 24);

    for (size_t i = 0; i < len; i++) {
        buf[i] = test_random() >> 5;
    }
    LLVMFuzzerTestOneInput(buf, len);
}

static bool run_file(const char *path)
{
    g_autofree char *data = NULL;
    gsize len;

    if (!g_file_get_contents(path, &data, &len, NULL)) {
        fprintf(stderr, "fuzz-qcow2: cannot read '%s'\n", path);
        return false;
    }
    LLVMFuzzerTestOneInput((uint8_t *)data, len);
    return true;
}

int main(int argc, char **argv)
{
    int null = open("/dev/null", O_WRONLY);

    for (int i = 1; i < argc; i++) {
        if (!run_file(argv[i])) {
            return 1;
        }
    }
    /* Every finding is told there, many thousands of them. */
    if (argc == 1 && null >= 0) {
        dup2(null, STDERR_FILENO);
    }
    for (unsigned seed = 0; argc == 1 && seed < 400; seed++) {
        run_generated(seed);
    }
    return 0;
}
