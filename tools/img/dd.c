/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qemu-img dd. Main thread; the copying is a coroutine. */
#include "util/osdep.h"
#include "img.h"

#define CHUNK ((int64_t)(2 * MIB))

static const struct option long_options[] = {
    IMG_LONG_HELP, IMG_LONG_OBJECT, IMG_LONG_IMAGE_OPTS, IMG_LONG_FORCE_SHARE, { NULL },
};

typedef struct DdArgs {
    ImgArgs common;
    const char *out_format, *in, *out;
    int64_t bs, count, skip;
    bool has_count;
} DdArgs;

static bool take_operand(DdArgs *d, char *word)
{
    char *value = strchr(word, '=');
    g_autofree char *name = value ? g_strndup(word, value - word) : g_strdup(word);

    value = value ? value + 1 : NULL;
    if (value && !strcmp(name, "bs")) {
        d->bs = tool_parse_size_range("bs", value, 1, INT_MAX);
        return d->bs > 0;
    }
    if (value && !strcmp(name, "count")) {
        d->count = tool_parse_size("count", value);
        d->has_count = true;
        return d->count >= 0;
    }
    if (value && !strcmp(name, "skip")) {
        d->skip = tool_parse_size("skip", value);
        return d->skip >= 0;
    }
    if (value && !strcmp(name, "if")) {
        d->in = value;
        return true;
    }
    if (value && !strcmp(name, "of")) {
        d->out = value;
        return true;
    }
    error_report("unrecognized operand %s", name);
    return false;
}

static bool parse(DdArgs *d, int argc, char **argv)
{
    int c;

    while ((c = img_option(&d->common, argc, argv, "f:O:U", long_options)) != -1) {
        if (c != 'O') {
            return false;
        }
        d->out_format = optarg;
    }
    for (; optind < argc; optind++) {
        if (!take_operand(d, argv[optind])) {
            return false;
        }
    }
    if (!d->in || !d->out) {
        error_report("Must specify both input and output files");
        return false;
    }
    return true;
}

typedef struct DdWork {
    BlockBackend *in, *out;
    int64_t from, bytes, bs;
    int ret;
} DdWork;

static void coroutine_fn dd_entry(void *opaque)
{
    DdWork *w = opaque;
    /* Whole blocks, but many at once: what comes out is the same. */
    int64_t chunk = w->bs < CHUNK ? CHUNK - CHUNK % w->bs : w->bs, at, n;
    uint8_t *buf = block_buffer_alloc(blk_node(w->in), MIN(chunk, MAX(w->bytes, 1)));
    IoVector v;

    w->ret = buf ? 0 : -ENOMEM;
    for (at = 0; at < w->bytes && w->ret >= 0; at += n) {
        n = MIN(chunk, w->bytes - at);
        io_vector_init_buf(&v, buf, n);
        w->ret = blk_co_preadv(w->in, w->from + at, n, &v, 0);
        if (w->ret < 0) {
            error_report("error while reading from input image file: %s", strerror(-w->ret));
            break;
        }
        w->ret = blk_co_pwritev(w->out, at, n, &v, 0);
        if (w->ret < 0) {
            error_report("error while writing to output image file: %s", strerror(-w->ret));
        }
    }
    block_buffer_free(buf);
}

static bool create_output(const DdArgs *d, int64_t size)
{
    g_autoptr(JsonValue) options = json_object();
    const BlockDriver *drv = block_driver_find(d->out_format);
    Error *err = NULL;

    if (!drv) {
        error_report("Unknown file format");
        return false;
    }
    if (!drv->create_options) {
        error_report("Format driver '%s' does not support image creation", drv->name);
        return false;
    }
    json_object_set_int(options, "size", size);
    if (!block_image_create(d->out_format, d->out, options, &err)) {
        error_prepend(&err, "%s: error while creating output image: ", d->out);
        error_report_err(err);
        return false;
    }
    return true;
}

static bool dd(const DdArgs *d, DdWork *w)
{
    int64_t size = blk_length(w->in), skip;

    if (d->has_count && d->count <= INT64_MAX / d->bs) {
        size = MIN(size, d->count * d->bs);
    }
    skip = d->skip <= INT64_MAX / d->bs ? d->skip * d->bs : INT64_MAX;
    w->bs = d->bs;
    w->from = skip;
    w->bytes = MAX(size - skip, 0);
    if (!create_output(d, w->bytes)) {
        return false;
    }
    w->out = img_open(&(ImgArgs) { 0 }, d->out, d->out_format, BLOCK_OPEN_RDWR, false);
    if (!w->out) {
        return false;
    }
    if (skip > size) {
        error_report("%s: cannot skip to specified offset", d->in);
        return true;
    }
    tool_run(dd_entry, w);
    return w->ret >= 0;
}

int img_dd(int argc, char **argv)
{
    DdArgs d = { .out_format = "raw", .bs = 512 };
    DdWork w = { 0 };
    bool ok = false;

    if (!parse(&d, argc, argv)) {
        return EXIT_FAILURE;
    }
    w.in = img_open(&d.common, d.in, d.common.format, 0, false);
    if (w.in) {
        ok = dd(&d, &w);
    }
    blk_unref(w.out);
    blk_unref(w.in);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
