/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qemu-img bench: so many requests, so many of them at a time. Main thread. */
#include "util/osdep.h"
#include "img.h"
#include "util/cutils.h"

enum { OPT_PATTERN = IMG_OPT_OWN, OPT_FLUSH_INTERVAL, OPT_NO_DRAIN };

static const struct option long_options[] = {
    IMG_LONG_HELP, IMG_LONG_IMAGE_OPTS, IMG_LONG_FORCE_SHARE,
    { "pattern", required_argument, NULL, OPT_PATTERN },
    { "flush-interval", required_argument, NULL, OPT_FLUSH_INTERVAL },
    { "no-drain", no_argument, NULL, OPT_NO_DRAIN },
    { NULL },
};

typedef struct Bench {
    ImgArgs common;
    BlockBackend *blk;
    const char *aio;
    int64_t count, depth, buffer, step, offset, flush_interval, pattern;
    bool write, no_drain, native;

    int64_t size, left, since_flush;
    unsigned in_flight;
    bool in_flush, submitting, done;
    uint8_t *buf;
    IoVector v;
    int ret;
} Bench;

static void submit(Bench *b);

static void check_done(Bench *b)
{
    if (!b->in_flight && !b->in_flush && (b->ret < 0 || b->left == 0)) {
        b->done = true;
    }
}

static void request_done(void *opaque, int ret)
{
    Bench *b = opaque;

    b->in_flight--;
    if (ret < 0 && b->ret >= 0) {
        error_report("Failed request: %s", strerror(-ret));
        b->ret = ret;
    }
    if (!b->submitting) {
        submit(b);
    }
}

static void flush_done(void *opaque, int ret)
{
    Bench *b = opaque;

    b->in_flush = false;
    if (ret < 0 && b->ret >= 0) {
        error_report("Failed flush request: %s", strerror(-ret));
        b->ret = ret;
    }
    if (!b->submitting) {
        submit(b);
    }
}

/* Time for a flush? Then nothing else is to be done before it unless the user says so. */
static bool flush_if_due(Bench *b)
{
    if (!b->flush_interval || b->since_flush < b->flush_interval) {
        return false;
    }
    if (b->in_flight && !b->no_drain) {
        return true;
    }
    b->since_flush = 0;
    b->in_flush = true;
    blk_aio_flush(b->blk, flush_done, b);
    return !b->no_drain && b->in_flush;
}

static void submit(Bench *b)
{
    b->submitting = true;
    blk_io_plug(b->blk);
    while (b->ret >= 0 && b->left > 0 && b->in_flight < b->depth) {
        int64_t at = b->offset;

        if ((b->in_flush && !b->no_drain) || (!b->in_flush && flush_if_due(b))) {
            break;
        }
        b->in_flight++;
        b->left--;
        b->since_flush++;
        b->offset += b->step;
        if (b->size > 0) {
            b->offset %= b->size;
        }
        if (b->write) {
            blk_aio_pwritev(b->blk, at, &b->v, 0, request_done, b);
        } else {
            blk_aio_preadv(b->blk, at, &b->v, 0, request_done, b);
        }
    }
    blk_io_unplug(b->blk);
    b->submitting = false;
    check_done(b);
}

/* ---- options ---- */

static bool take_number(const char *what, int64_t min, int64_t max, int64_t *n)
{
    if (parse_int64(optarg, 0, n) < 0 || *n < min || *n > max) {
        error_report("Invalid %s specified", what);
        return false;
    }
    return true;
}

static bool take_size(const char *what, int64_t max, int64_t *n)
{
    *n = tool_parse_size_range(what, optarg, 0, max);
    return *n >= 0;
}

static bool take(Bench *b, int c)
{
    switch (c) {
    case 'c':
        return take_number("request count", 0, INT_MAX, &b->count);
    case 'd':
        return take_number("queue depth", 1, INT_MAX, &b->depth);
    case 'n':
        b->native = true;
        return true;
    case 'i':
        b->aio = optarg;
        if (qapi_enum_parse(&qapi_enum_BlockdevAioOptions, optarg, "aio", NULL) < 0) {
            error_report("Invalid aio option: %s", optarg);
            return false;
        }
        return true;
    case 'o':
        return take_size("offset", INT64_MAX, &b->offset);
    case 's':
        return take_size("buffer size", INT_MAX, &b->buffer);
    case 'S':
        return take_size("step_size", INT_MAX, &b->step);
    case 'w':
        b->write = true;
        return true;
    case OPT_PATTERN:
        return take_number("pattern byte", 0, 255, &b->pattern);
    case OPT_FLUSH_INTERVAL:
        return take_number("flush interval", 0, INT_MAX, &b->flush_interval);
    case OPT_NO_DRAIN:
        b->no_drain = true;
        return true;
    default:
        return false;
    }
}

static bool parse(Bench *b, int argc, char **argv)
{
    int c;

    b->count = 75000;
    b->depth = 64;
    b->buffer = 4096;
    while ((c = img_option(&b->common, argc, argv, "c:d:f:i:no:qs:S:t:wU", long_options)) != -1) {
        if (!take(b, c)) {
            return false;
        }
    }
    if (img_operands(argc, 1, 1, "Expecting one image file name") < 0) {
        return false;
    }
    if (!b->write && b->flush_interval) {
        error_report("--flush-interval is only available in write tests");
        return false;
    }
    if (b->flush_interval && b->flush_interval < b->depth) {
        error_report("Flush interval can't be smaller than depth");
        return false;
    }
    b->step = b->step ? b->step : b->buffer;
    return true;
}

static BlockBackend *open_image(const Bench *b, const char *name)
{
    g_autoptr(JsonValue) extra = json_object();
    ToolImage image = {
        .name = name, .format = b->common.format, .image_opts = b->common.image_opts,
        .flags = b->write ? BLOCK_OPEN_RDWR : 0, .force_share = b->common.force_share,
        .extra = extra,
    };

    if (b->common.cache &&
        !tool_cache_mode(b->common.cache, &image.flags, &image.writethrough)) {
        error_report("Invalid cache mode");
        return NULL;
    }
    if (b->aio || b->native) {
        json_object_set_string(extra, "file.aio", b->aio ? b->aio : "native");
    }
    return tool_open(&image);
}

int img_bench(int argc, char **argv)
{
    Bench b = { 0 };
    int64_t start, ns;

    if (!parse(&b, argc, argv)) {
        return EXIT_FAILURE;
    }
    b.blk = open_image(&b, argv[optind]);
    if (!b.blk) {
        return EXIT_FAILURE;
    }
    b.size = blk_length(b.blk);
    b.left = b.count;
    b.buf = block_buffer_alloc(blk_node(b.blk), b.buffer);
    memset(b.buf, b.pattern, b.buffer);
    io_vector_init_buf(&b.v, b.buf, b.buffer);
    printf("Sending %" PRId64 " %s requests, %" PRId64 " bytes each, %" PRId64 " in parallel "
           "(starting at offset %" PRId64 ", step size %" PRId64 ")\n", b.count,
           b.write ? "write" : "read", b.buffer, b.depth, b.offset, b.step);
    if (b.flush_interval) {
        printf("Sending flush every %" PRId64 " requests\n", b.flush_interval);
    }
    start = clock_now_ns(CLOCK_TYPE_REALTIME);
    submit(&b);
    tool_wait(&b.done);
    ns = clock_now_ns(CLOCK_TYPE_REALTIME) - start;
    if (b.ret >= 0) {
        printf("Run completed in %3.3f seconds.\n", ns / 1e9);
    }
    block_buffer_free(b.buf);
    blk_unref(b.blk);
    return b.ret < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
