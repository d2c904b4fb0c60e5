/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hostile images of the import formats: right headers with faults in them, and
 * tables full of small, wild and special entries. Opening, reading all of the
 * disk and asking for its status may fail, but must end, and stay within memory.
 *
 * As a test it runs a fixed set of images (the same in every run), and any files
 * named on the command line. LLVMFuzzerTestOneInput() takes the format's number
 * and the image.
 */
#include "util/osdep.h"
#include "block-fixture.h"
#include "block/image.h"
#include "util/bswap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define IMAGE_BYTES (192 * 1024)
#define READ_AT_MOST (8 * MIB)
#define CHUNK (256 * KIB)

typedef struct Field {
    uint16_t offset;
    uint8_t bytes;
    bool big;
    uint64_t value;
} Field;

typedef struct Template {
    const char *format;
    const char *magic;
    uint8_t magic_len, magic_at;
    uint32_t tables_at;             /* from here on: entries of @entry_bytes */
    uint8_t entry_bytes;
    Field fields[16];
} Template;

#define MAGIC(m, at) .magic = (m), .magic_len = sizeof(m) - 1, .magic_at = (at)

static const Template templates[] = {
    { "vdi", MAGIC("\x7f\x10\xda\xbe", 0x40), .tables_at = 512, .entry_bytes = 4, .fields = {
        { 0x44, 4, false, 0x00010001 }, { 0x4c, 4, false, 1 }, { 0x154, 4, false, 512 },
        { 0x158, 4, false, 4096 }, { 0x168, 4, false, 512 }, { 0x170, 8, false, 4 * MIB },
        { 0x178, 4, false, 4096 }, { 0x180, 4, false, 1024 } } },
    { "parallels", MAGIC("WithoutFreeSpace", 0), .tables_at = 64, .entry_bytes = 4, .fields = {
        { 16, 4, false, 2 }, { 28, 4, false, 8 }, { 32, 4, false, 256 }, { 36, 8, false, 2048 } } },
    { "parallels", MAGIC("WithouFreSpacExt", 0), .tables_at = 64, .entry_bytes = 4, .fields = {
        { 16, 4, false, 2 }, { 28, 4, false, 8 }, { 32, 4, false, 256 }, { 36, 8, false, 2048 } } },
    { "qcow", MAGIC("QFI\xfb", 0), .tables_at = 512, .entry_bytes = 8, .fields = {
        { 4, 4, true, 1 }, { 24, 8, true, 2 * MIB }, { 32, 1, true, 12 }, { 33, 1, true, 9 },
        { 40, 8, true, 512 } } },
    { "qed", MAGIC("QED\0", 0), .tables_at = 4096, .entry_bytes = 8, .fields = {
        { 4, 4, false, 4096 }, { 8, 4, false, 1 }, { 12, 4, false, 1 }, { 40, 8, false, 4096 },
        { 48, 8, false, 4 * MIB } } },
    { "vpc", MAGIC("conectix", 0), .tables_at = 2048, .entry_bytes = 4, .fields = {
        { 16, 8, true, 512 }, { 28, 4, true, 0x77696e20 }, { 48, 8, true, 4 * MIB },
        { 60, 4, true, 3 }, { 512, 8, true, 0x6378737061727365 }, { 512 + 16, 8, true, 2048 },
        { 512 + 28, 4, true, 1024 }, { 512 + 32, 4, true, 4096 } } },
    { "vmdk", MAGIC("KDMV", 0), .tables_at = 512, .entry_bytes = 4, .fields = {
        { 4, 4, false, 1 }, { 8, 4, false, 3 }, { 12, 8, false, 8192 }, { 20, 8, false, 8 },
        { 44, 4, false, 512 }, { 56, 8, false, 1 } } },
    { "vmdk", MAGIC("KDMV", 0), .tables_at = 512, .entry_bytes = 4, .fields = {
        { 4, 4, false, 3 }, { 8, 4, false, 0x30001 }, { 12, 8, false, 8192 }, { 20, 8, false, 8 },
        { 44, 4, false, 512 }, { 56, 8, false, 1 }, { 77, 2, false, 1 } } },
    { "vmdk", MAGIC("# Disk DescriptorFile\nRW 20 FLAT \"a\" 0\nRW 10 ZERO\n", 0) },
};

/* ---- one image ---- */

static void read_all(BlockNode *bn)
{
    BlockBackend *blk = test_backend(bn, BLOCK_PERM_CONSISTENT_READ, BLOCK_PERM_ALL);
    g_autofree uint8_t *buf = g_malloc(CHUNK);
    int64_t end = MIN(bn->total_bytes, (int64_t)READ_AT_MOST), at, n;
    unsigned steps = 0;

    for (at = 0; at < end; at += CHUNK) {
        blk_pread(blk, at, MIN((int64_t)CHUNK, end - at), buf, 0);
    }
    for (at = 0; at < bn->total_bytes && steps < 2000; at += n, steps++) {
        if (block_block_status(bn, true, at, bn->total_bytes - at, &n) < 0) {
            break;
        }
        g_assert_cmpint(n, >, 0);
        g_assert_cmpint(n, <=, bn->total_bytes - at);
    }
    blk_unref(blk);
}

static bool try_image(const char *format, const uint8_t *data, size_t size)
{
    g_autofree char *json = g_strdup_printf("{'driver':'test-mem','size':%zu}", ROUND_UP(MAX(size, 1), 512));
    BlockNode *file = test_node(json), *bn;
    JsonValue *options = json_object();
    g_autoptr(Error) err = NULL;
    BlockImageInfo info;

    memcpy(test_mem(file)->data, data, size);
    json_object_set_string(options, "driver", format);
    json_object_set_string(options, "file", file->node_name);
    json_object_set_take(options, "backing", json_null());
    if (!block_driver_find(format)->supports_backing) {
        json_object_remove(options, "backing");
    }
    bn = block_open(NULL, options, 0, &err);
    g_assert_true((bn == NULL) == (err != NULL));
    if (bn) {
        block_image_info(bn, &info);
        read_all(bn);
        block_node_unref(bn);
    }
    block_node_unref(file);
    return bn != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;

    if (!ready) {
        test_block_init();
        ready = true;
    }
    if (size > 1 && size <= MIB) {
        try_image(templates[*data % G_N_ELEMENTS(templates)].format, data + 1, size - 1);
    }
    return 0;
}

/* ---- generated images ---- */

static uint64_t any_entry(uint64_t units)
{
    switch (test_random() % 8) {
    case 0: case 1:
        return 0;
    case 2:
        return test_random() % 4;
    case 3:
        return (uint64_t)test_random() << 32 | test_random();
    case 4:
        return UINT64_MAX - test_random() % 3;
    default:
        return test_random() % units;
    }
}

static void put(uint8_t *p, unsigned bytes, bool big, uint64_t value)
{
    unsigned i;

    for (i = 0; i < bytes; i++) {
        p[big ? bytes - 1 - i : i] = value >> 8 * i;
    }
}

static void build(const Template *t, uint8_t *image)
{
    const Field *f;
    uint32_t at;
    unsigned i;

    memset(image, 0, IMAGE_BYTES);
    for (at = t->tables_at; t->entry_bytes && at + t->entry_bytes <= IMAGE_BYTES;
         at += t->entry_bytes) {
        /* Entries count bytes, sectors or clusters: all of these are in the file now and then. */
        uint64_t units = test_random() % 2 ? IMAGE_BYTES : IMAGE_BYTES / 512;

        put(image + at, t->entry_bytes, test_random() % 2, any_entry(units));
    }
    for (f = t->fields; f->bytes; f++) {
        put(image + f->offset, f->bytes, f->big, f->value);
    }
    memcpy(image + t->magic_at, t->magic, t->magic_len);
    /* Faults: mostly none or few, in the header. */
    for (i = test_random() % 4; i > 0; i--) {
        image[test_random() % 640] = test_random() % 3 ? test_random() : 0xff;
    }
}

static void run_generated(void)
{
    g_autofree uint8_t *image = g_malloc(IMAGE_BYTES);
    unsigned opened[G_N_ELEMENTS(templates)] = { 0 }, round, i;

    test_block_init();
    for (round = 0; round < 150; round++) {
        for (i = 0; i < G_N_ELEMENTS(templates); i++) {
            size_t size = round % 10 ? IMAGE_BYTES : test_random() % IMAGE_BYTES;

            build(&templates[i], image);
            opened[i] += try_image(templates[i].format, image, size);
        }
    }
    /* Some must get past the header, or nothing was tested; the last one names a file that is not there. */
    for (i = 0; i + 1 < G_N_ELEMENTS(templates); i++) {
        g_assert_cmpuint(opened[i], >, 10);
    }
}

int main(int argc, char **argv)
{
    int i;

    g_test_init(&argc, &argv, NULL);
    if (argc == 1) {
        run_generated();
    }
    for (i = 1; i < argc; i++) {
        g_autofree char *data = NULL;
        gsize len;

        if (g_file_get_contents(argv[i], &data, &len, NULL)) {
            LLVMFuzzerTestOneInput((const uint8_t *)data, len);
        }
    }
    return 0;
}
