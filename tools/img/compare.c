/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qemu-img compare: ranges that are known to be zero on both sides are not
 * read. Main thread; the work is one coroutine that reads both sides at once.
 */
#include "util/osdep.h"
#include "img.h"

enum { COMPARE_DIFFERENT = 1, COMPARE_OPEN = 2, COMPARE_STATUS = 3, COMPARE_READ = 4 };

#define CHUNK (2 * MIB)

static const struct option long_options[] = {
    IMG_LONG_HELP, IMG_LONG_OBJECT, IMG_LONG_IMAGE_OPTS, IMG_LONG_FORCE_SHARE, { NULL },
};

typedef struct Side {
    BlockBackend *blk;
    const char *name;
    int64_t size, pnum;
    uint8_t *buf;
    int status;
    /* A read under way. */
    int64_t offset, bytes;
    int ret;
    bool busy;
    Coroutine *waiter;
} Side;

typedef struct CompareWork {
    Side side[2];
    bool strict, quiet;
    int result;
} CompareWork;

static void PRINTF_LIKE(2, 3) say(const CompareWork *w, const char *fmt, ...)
{
    va_list ap;

    if (!w->quiet) {
        va_start(ap, fmt);
        vprintf(fmt, ap);
        va_end(ap);
    }
}

static int coroutine_fn ask(Side *s, int64_t offset, int64_t end)
{
    s->status = block_co_status_above(blk_node(s->blk), NULL, true, offset,
                                      MIN(end, s->size) - offset, &s->pnum, NULL, NULL, NULL);
    if (s->status < 0) {
        error_report("Error while checking block status: %s: %s", s->name, strerror(-s->status));
        return COMPARE_STATUS;
    }
    return 0;
}

static int coroutine_fn read_side(Side *s, int64_t offset, int64_t bytes)
{
    IoVector v;
    int ret;

    io_vector_init_buf(&v, s->buf, bytes);
    ret = blk_co_preadv(s->blk, offset, bytes, &v, 0);
    if (ret < 0) {
        error_report("Error while reading offset %" PRId64 " of %s: %s", offset, s->name,
                     strerror(-ret));
    }
    return ret;
}

static void coroutine_fn read_entry(void *opaque)
{
    Side *s = opaque;

    s->ret = read_side(s, s->offset, s->bytes);
    s->busy = false;
    if (s->waiter) {
        coroutine_wake(s->waiter);
    }
}

/* Both sides at the same time. */
static int coroutine_fn read_both(CompareWork *w, int64_t offset, int64_t bytes)
{
    Side *other = &w->side[1];

    other->offset = offset;
    other->bytes = bytes;
    other->busy = true;
    other->waiter = NULL;
    coroutine_enter(coroutine_create(read_entry, other));
    if (read_side(&w->side[0], offset, bytes) < 0) {
        other->ret = -EIO;
    }
    while (other->busy) {
        other->waiter = coroutine_self();
        coroutine_yield();
    }
    return other->ret < 0 ? COMPARE_READ : 0;
}

static int64_t first_difference(const uint8_t *a, const uint8_t *b, int64_t bytes)
{
    int64_t at;

    if (!memcmp(a, b, bytes)) {
        return -1;
    }
    for (at = 0; a[at] == b[at]; at++) {
    }
    /* Told by sector. */
    return ROUND_DOWN(at, (int64_t)512);
}

static int coroutine_fn compare_data(CompareWork *w, int64_t offset, int64_t bytes)
{
    int64_t at;
    int ret = read_both(w, offset, bytes);

    if (ret) {
        return ret;
    }
    at = first_difference(w->side[0].buf, w->side[1].buf, bytes);
    if (at >= 0) {
        say(w, "Content mismatch at offset %" PRId64 "!\n", offset + at);
        return COMPARE_DIFFERENT;
    }
    return 0;
}

/* @s is to be zero from @offset on; *@bytes: how much was looked at. */
static int coroutine_fn check_zero(CompareWork *w, Side *s, int64_t offset, int64_t *bytes)
{
    int64_t at = 0;

    if (s->status & BLOCK_STATUS_ZERO) {
        return 0;
    }
    *bytes = MIN(*bytes, CHUNK);
    if (read_side(s, offset, *bytes) < 0) {
        return COMPARE_READ;
    }
    if (!buffer_is_zero(s->buf, *bytes)) {
        while (!s->buf[at]) {
            at++;
        }
        say(w, "Content mismatch at offset %" PRId64 "!\n", offset + ROUND_DOWN(at, (int64_t)512));
        return COMPARE_DIFFERENT;
    }
    return 0;
}

static int coroutine_fn compare_range(CompareWork *w, int64_t offset, int64_t *bytes)
{
    Side *a = &w->side[0], *b = &w->side[1];
    bool zero_a = a->status & BLOCK_STATUS_ZERO, zero_b = b->status & BLOCK_STATUS_ZERO;

    if (w->strict && a->status != b->status) {
        say(w, "Strict mode: Offset %" PRId64 " block status mismatch!\n", offset);
        return COMPARE_DIFFERENT;
    }
    if (zero_a && zero_b) {
        return 0;
    }
    if (zero_a || zero_b) {
        return check_zero(w, zero_a ? b : a, offset, bytes);
    }
    *bytes = MIN(*bytes, CHUNK);
    return compare_data(w, offset, *bytes);
}

/* The part that only the larger image has. */
static int coroutine_fn compare_tail(CompareWork *w, Side *s, int64_t offset)
{
    int ret = 0;

    while (offset < s->size && !ret) {
        int64_t n;

        ret = ask(s, offset, s->size);
        n = s->pnum;
        if (!ret && ((s->status & BLOCK_STATUS_ALLOCATED) || (s->status & BLOCK_STATUS_DATA))) {
            ret = check_zero(w, s, offset, &n);
        }
        offset += n;
        tool_progress(100.0 * offset / s->size);
    }
    return ret;
}

static void coroutine_fn compare_entry(void *opaque)
{
    CompareWork *w = opaque;
    Side *a = &w->side[0], *b = &w->side[1];
    int64_t common = MIN(a->size, b->size), total = MAX(a->size, b->size), offset = 0;

    tool_progress(0);
    if (w->strict && a->size != b->size) {
        say(w, "Strict mode: Image size mismatch!\n");
        w->result = COMPARE_DIFFERENT;
        return;
    }
    while (offset < common && !w->result) {
        int64_t n;

        w->result = ask(a, offset, common);
        w->result = w->result ? w->result : ask(b, offset, common);
        n = MIN(a->pnum, b->pnum);
        if (!w->result) {
            w->result = compare_range(w, offset, &n);
        }
        if (!w->result) {
            offset += n;
            tool_progress(100.0 * offset / total);
        }
    }
    if (!w->result && a->size != b->size) {
        say(w, "Warning: Image size mismatch!\n");
        w->result = compare_tail(w, a->size > b->size ? a : b, common);
    }
    if (!w->result) {
        say(w, "Images are identical.\n");
    }
}

int img_compare(int argc, char **argv)
{
    const char *second_format = NULL;
    CompareWork w = { .result = 0 };
    bool writethrough = false;
    unsigned flags = 0;
    ImgArgs a = { 0 };
    int c, i;

    while ((c = img_option(&a, argc, argv, "f:F:T:pqsU", long_options)) != -1) {
        switch (c) {
        case 'F':
            second_format = optarg;
            break;
        case 's':
            w.strict = true;
            break;
        default:
            return COMPARE_OPEN;
        }
    }
    if (a.image_opts && second_format) {
        error_report("--image-opts and -F are mutually exclusive");
        return COMPARE_OPEN;
    }
    if (img_operands(argc, 2, 2, "Expecting two image file names") < 0) {
        return COMPARE_DIFFERENT;
    }
    if (!img_cache(a.src_cache, true, &flags, &writethrough)) {
        return COMPARE_OPEN;
    }
    w.quiet = a.quiet;
    tool_progress_begin(a.progress, 2);
    for (i = 0; i < 2; i++) {
        Side *s = &w.side[i];

        s->name = argv[optind + i];
        s->blk = img_open(&a, s->name, i ? second_format : a.format, flags, writethrough);
        if (!s->blk) {
            w.result = COMPARE_OPEN;
            goto out;
        }
        s->size = blk_length(s->blk);
        s->buf = block_buffer_alloc(blk_node(s->blk), CHUNK);
    }
    tool_run(compare_entry, &w);
    tool_progress_end();
out:
    for (i = 0; i < 2; i++) {
        block_buffer_free(w.side[i].buf);
        blk_unref(w.side[i].blk);
    }
    return w.result;
}
