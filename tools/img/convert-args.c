/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qemu-img convert: options, opening sources, making the target. Main thread. */
#include "util/osdep.h"
#include "convert.h"
#include "block/bitmaps.h"
#include "block/dirty-bitmap.h"
#include "util/cutils.h"

#define MAX_SPARSE ((int64_t)(16 * MIB))

enum {
    OPT_TARGET_IMAGE_OPTS = IMG_OPT_OWN, OPT_SALVAGE, OPT_TARGET_IS_ZERO, OPT_BITMAPS,
    OPT_SKIP_BROKEN_BITMAPS,
};

static const struct option long_options[] = {
    IMG_LONG_HELP, IMG_LONG_OBJECT, IMG_LONG_IMAGE_OPTS, IMG_LONG_FORCE_SHARE,
    { "source-image-opts", no_argument, NULL, IMG_OPT_IMAGE_OPTS },
    { "source-format", required_argument, NULL, 'f' },
    { "source-cache", required_argument, NULL, 'T' },
    { "snapshot", required_argument, NULL, 'l' },
    { "bitmaps", no_argument, NULL, OPT_BITMAPS },
    { "skip-broken-bitmaps", no_argument, NULL, OPT_SKIP_BROKEN_BITMAPS },
    { "salvage", no_argument, NULL, OPT_SALVAGE },
    { "target-image-opts", no_argument, NULL, OPT_TARGET_IMAGE_OPTS },
    { "target-is-zero", no_argument, NULL, OPT_TARGET_IS_ZERO },
    { NULL },
};

typedef struct ConvertArgs {
    ImgArgs common;
    const char *out_format, *out_name, *backing, *backing_format, *snapshot;
    char **sources;
    unsigned source_count;
    JsonValue *options;
    int64_t min_sparse, rate;
    int64_t coroutines;
    bool skip_create, compress, in_order, copy_range, salvage, explicit_sparse, options_given;
    bool target_image_opts, target_is_zero, bitmaps, skip_broken, help;
} ConvertArgs;

/* ---- options ---- */

static bool take_sparse(ConvertArgs *x)
{
    x->min_sparse = tool_parse_size("buffer size for sparse output", optarg);
    if (x->min_sparse < 0) {
        return false;
    }
    if (x->min_sparse % 512 || x->min_sparse > MAX_SPARSE) {
        error_report("Invalid buffer size for sparse output specified. Valid sizes are multiples of "
                     "512 up to %" PRId64 ". Select 0 to disable sparse detection (fully allocates "
                     "output).", MAX_SPARSE);
        return false;
    }
    x->explicit_sparse = true;
    return true;
}

static bool take_coroutines(ConvertArgs *x)
{
    if (parse_int64(optarg, 0, &x->coroutines) < 0 || x->coroutines < 1 ||
        x->coroutines > COPY_MAX_COROUTINES) {
        error_report("Invalid number of coroutines. Allowed number of coroutines is between 1 and "
                     "%d", COPY_MAX_COROUTINES);
        return false;
    }
    return true;
}

static bool take_options(ConvertArgs *x)
{
    Error *err = NULL;

    x->options_given = true;
    x->help = x->help || block_image_options_want_help(optarg);
    if (!x->help && !block_image_options_parse(x->options, optarg, &err)) {
        error_report_err(err);
        return false;
    }
    return true;
}

static bool take_rate(ConvertArgs *x)
{
    x->rate = tool_parse_size("rate limit", optarg);
    return x->rate >= 0;
}

static bool take(ConvertArgs *x, int c)
{
    switch (c) {
    case 'O':
        x->out_format = optarg;
        return true;
    case 'B':
        x->backing = optarg;
        return true;
    case 'F':
        x->backing_format = optarg;
        return true;
    case 'C':
        x->copy_range = true;
        return true;
    case 'c':
        x->compress = true;
        return true;
    case 'l':
        x->snapshot = optarg;
        return true;
    case 'n':
        x->skip_create = true;
        return true;
    case 'W':
        x->in_order = false;
        return true;
    case 'o':
        return take_options(x);
    case 'S':
        return take_sparse(x);
    case 'm':
        return take_coroutines(x);
    case 'r':
        return take_rate(x);
    case OPT_SALVAGE:
        x->salvage = true;
        return true;
    case OPT_TARGET_IMAGE_OPTS:
        x->target_image_opts = true;
        return true;
    case OPT_TARGET_IS_ZERO:
        x->target_is_zero = true;
        return true;
    case OPT_BITMAPS:
        x->bitmaps = true;
        return true;
    case OPT_SKIP_BROKEN_BITMAPS:
        x->skip_broken = true;
        return true;
    default:
        return false;
    }
}

/* What does not go together; the text, or NULL. */
static const char *contradiction(const ConvertArgs *x)
{
    return
        x->skip_broken && !x->bitmaps ?
            "Use of --skip-broken-bitmaps requires --bitmaps" :
        x->target_image_opts && !x->skip_create ?
            "--target-image-opts requires use of -n flag" :
        x->skip_create && x->options_given ?
            "-o has no effect when skipping image creation" :
        x->target_is_zero && !x->skip_create ?
            "--target-is-zero requires use of -n flag" :
        x->copy_range && x->compress ?
            "Cannot enable copy offloading when -c is used" :
        x->copy_range && x->explicit_sparse ?
            "Cannot enable copy offloading when -S is used" :
        x->salvage && x->copy_range ?
            "Cannot use copy offloading in salvaging mode" :
        x->target_is_zero && x->backing ?
            "--target-is-zero cannot be used with a backing file" : NULL;
}

static bool parse(ConvertArgs *x, int argc, char **argv)
{
    const char *wrong;
    int c;

    x->out_format = "raw";
    x->min_sparse = 4096;
    x->coroutines = 8;
    x->in_order = true;
    while ((c = img_option(&x->common, argc, argv, "f:O:B:CcF:o:l:S:pt:T:qnm:WUr:", long_options)) !=
           -1) {
        if (!take(x, c)) {
            return false;
        }
    }
    wrong = contradiction(x);
    if (wrong) {
        error_report("%s", wrong);
        return false;
    }
    x->source_count = MAX(argc - optind - 1, 0);
    x->sources = argv + optind;
    x->out_name = argc > optind ? argv[argc - 1] : NULL;
    return true;
}

static int print_help(const ConvertArgs *x)
{
    const BlockDriver *drv = block_driver_find(x->out_format);
    Error *err = NULL;
    g_autofree char *text = NULL;

    if (!drv || !drv->create_options) {
        error_report(drv ? "Format driver '%s' does not support image creation" :
                           "Unknown file format '%s'", x->out_format);
        return EXIT_FAILURE;
    }
    text = block_image_options_help(drv, x->out_name, &err);
    if (!text) {
        error_report_err(err);
        return EXIT_FAILURE;
    }
    fputs(text, stdout);
    return EXIT_SUCCESS;
}

/* ---- sources ---- */

static bool open_sources(const ConvertArgs *x, Copy *c)
{
    unsigned flags = 0, i;
    bool writethrough = false;
    Error *err = NULL;

    if (!img_cache(x->common.src_cache, true, &flags, &writethrough)) {
        return false;
    }
    c->sources = g_new0(CopySource, x->source_count);
    for (i = 0; i < x->source_count; i++) {
        CopySource *s = &c->sources[i];

        s->blk = img_open(&x->common, x->sources[i], x->common.format, flags, writethrough);
        if (!s->blk) {
            return false;
        }
        c->source_count++;
        s->start = c->total;
        s->size = blk_length(s->blk);
        c->total += s->size;
    }
    if (x->snapshot && x->source_count > 1) {
        error_report("No support for concatenating multiple snapshot");
        return false;
    }
    if (x->snapshot && !img_load_snapshot(c->sources[0].blk, x->snapshot, &err)) {
        bool syntax = strstr(error_message(err), "Invalid parameter") != NULL;

        if (!syntax) {
            error_prepend(&err, "Failed to load snapshot: ");
        }
        error_report_err(err);
        if (syntax) {
            error_report("Failed in parsing snapshot param '%s'", x->snapshot);
        }
        return false;
    }
    if (x->bitmaps && x->source_count > 1) {
        error_report("Copying bitmaps only possible with single source");
        return false;
    }
    if (x->bitmaps && !blk_node(c->sources[0].blk)->drv->co_can_store_bitmap) {
        error_report("Source lacks bitmap support");
        return false;
    }
    return true;
}

/* ---- target ---- */

static bool option_on(JsonValue *options, const char *name)
{
    bool on = false;

    return json_get_bool(json_object_get(options, name), &on) && on;
}

static bool check_compression(const ConvertArgs *x, const BlockDriver *drv)
{
    const char *prealloc = json_object_get_string(x->options, "preallocation");

    if (!x->compress) {
        return true;
    }
    if (drv && !drv->co_pwritev_compressed) {
        error_report("Compression not supported for this file format");
        return false;
    }
    if (option_on(x->options, "encryption") || json_object_has(x->options, "encrypt.format")) {
        error_report("Compression and encryption not supported at the same time");
        return false;
    }
    if (prealloc && strcmp(prealloc, "off")) {
        error_report("Compression and preallocation not supported at the same time");
        return false;
    }
    return true;
}

/* Options of the new image, in their types; false after a message. */
static bool check_options(ConvertArgs *x, const Copy *c)
{
    const BlockDriver *drv = block_driver_find(x->out_format), *protocol;
    Error *err = NULL;

    if (!drv) {
        error_report("Unknown file format '%s'", x->out_format);
        return false;
    }
    protocol = block_protocol_for(x->out_name, &err);
    if (!protocol) {
        error_report_err(err);
        return false;
    }
    if (!drv->create_options) {
        error_report("Format driver '%s' does not support image creation", x->out_format);
        return false;
    }
    if (x->backing) {
        json_object_set_string(x->options, "backing_file", x->backing);
    }
    if (x->backing_format) {
        json_object_set_string(x->options, "backing_fmt", x->backing_format);
    }
    if (!block_image_options_check(drv->create_options, protocol->create_options, x->options, &err)) {
        if (x->backing && strstr(error_message(err), "'backing_file'")) {
            error_report("Backing file not supported for file format '%s'", x->out_format);
            error_free(err);
        } else if (x->backing_format && strstr(error_message(err), "'backing_fmt'")) {
            error_report("Backing format not supported for file format '%s'", x->out_format);
            error_free(err);
        } else {
            error_report_err(err);
        }
        return false;
    }
    json_object_set_int(x->options, "size", c->total);
    x->backing = json_object_get_string(x->options, "backing_file");
    x->backing_format = json_object_get_string(x->options, "backing_fmt");
    if (x->backing && !x->backing_format) {
        error_report("Use of backing file requires explicit backing format");
        return false;
    }
    return check_compression(x, drv);
}

static bool create_target(ConvertArgs *x)
{
    Error *err = NULL;

    if (!block_image_create(x->out_format, x->out_name, x->options, &err)) {
        error_prepend(&err, "%s: error while converting %s: ", x->out_name, x->out_format);
        error_report_err(err);
        return false;
    }
    return true;
}

/* What a target that was made with a key needs to be opened. */
static JsonValue *key_options(const JsonValue *created)
{
    static const char *const names[] = { "key-secret", "encrypt.format", "encrypt.key-secret" };
    JsonValue *o = json_object();

    for (unsigned i = 0; created && i < ARRAY_SIZE(names); i++) {
        JsonValue *v = json_object_get(created, names[i]);

        if (v) {
            json_object_set_take(o, names[i], json_ref(v));
        }
    }
    return o;
}

static bool open_target(const ConvertArgs *x, Copy *c)
{
    g_autoptr(JsonValue) extra = key_options(x->options);
    ToolImage image = {
        .name = x->out_name, .format = x->target_image_opts ? NULL : x->out_format,
        .image_opts = x->target_image_opts,
        .flags = BLOCK_OPEN_RDWR | (x->min_sparse ? BLOCK_OPEN_UNMAP : 0),
        .extra = extra,
    };

    if (!img_cache(x->common.cache ? x->common.cache : "unsafe", false, &image.flags,
                   &image.writethrough)) {
        return false;
    }
    c->target = tool_open(&image);
    return c->target != NULL;
}

/* What a new image, before anything is written to it, reads as. */
static bool new_image_is_zero(BlockNode *bn)
{
    BlockImageInfo info;
    BlockChild *c;

    if (block_image_info(bn, &info) >= 0 && info.unallocated_is_zero) {
        return true;
    }
    while (!bn->drv->is_protocol) {
        for (c = bn->children; c && !(c->role & BLOCK_ROLE_PRIMARY); c = c->next_child) {
        }
        if (!c || bn->encrypted) {
            return false;
        }
        bn = c->node;
    }
    return !strcmp(bn->drv->name, "file");
}

static bool prepare(const ConvertArgs *x, Copy *c)
{
    BlockNode *bn = blk_node(c->target), *backing = block_backing(bn);
    BlockImageInfo info = { 0 };

    if (x->skip_create && blk_length(c->target) < c->total) {
        error_report("output file is smaller than input file");
        return false;
    }
    if (x->skip_create && !check_compression(x, bn->drv)) {
        return false;
    }
    block_image_info(bn, &info);
    c->cluster = MAX(info.cluster_size, 512);
    if (x->compress && !info.cluster_size) {
        error_report("could not get block driver info");
        return false;
    }
    c->compressed = x->compress;
    c->target_has_backing = x->backing != NULL || (x->skip_create && backing);
    c->target_backing_size = c->target_has_backing && backing ? backing->total_bytes : -1;
    c->zero_target = x->skip_create ? x->target_is_zero : new_image_is_zero(bn);
    c->min_sparse = x->min_sparse;
    c->sparse_unit = 512;
    while (c->sparse_unit * 2 <= c->min_sparse) {
        c->sparse_unit *= 2;
    }
    c->sparse_unit = MAX(c->sparse_unit, (int64_t)bn->limits.request_alignment);
    c->rate = x->rate;
    c->in_order = x->in_order;
    c->copy_range = x->copy_range;
    c->salvage = x->salvage;
    c->coroutines = x->coroutines;
    return true;
}

/* ---- bitmaps ---- */

static bool bitmap_is_copied(DirtyBitmap *b)
{
    return dirty_bitmap_name(b) && dirty_bitmap_persistent(b);
}

static bool check_bitmaps(const ConvertArgs *x, BlockNode *from, BlockNode *to)
{
    DirtyBitmap *b;

    if (!to->drv->co_can_store_bitmap) {
        error_report("Format driver '%s' does not support bitmaps", to->drv->name);
        return false;
    }
    for (b = dirty_bitmap_next(from, NULL); b; b = dirty_bitmap_next(from, b)) {
        if (bitmap_is_copied(b) && dirty_bitmap_inconsistent(b) && !x->skip_broken) {
            error_report("Cannot copy inconsistent bitmap '%s'", dirty_bitmap_name(b));
            fprintf(stderr, "Try --skip-broken-bitmaps, or use 'qemu-img bitmap --remove'\n");
            return false;
        }
    }
    return true;
}

static bool copy_bitmaps(BlockNode *from, BlockNode *to)
{
    DirtyBitmap *b, *copy;
    Error *err = NULL;

    for (b = dirty_bitmap_next(from, NULL); b; b = dirty_bitmap_next(from, b)) {
        if (!bitmap_is_copied(b)) {
            continue;
        }
        if (dirty_bitmap_inconsistent(b)) {
            warn_report("Skipping inconsistent bitmap '%s'", dirty_bitmap_name(b));
            continue;
        }
        copy = block_bitmap_add(to, dirty_bitmap_name(b), dirty_bitmap_granularity(b), true,
                                !dirty_bitmap_enabled(b), &err);
        if (!copy || !dirty_bitmap_merge(copy, b, &err)) {
            error_prepend(&err, "Failed to populate bitmap %s: ", dirty_bitmap_name(b));
            error_report_err(err);
            return false;
        }
    }
    return true;
}

/* ---- the command ---- */

static bool convert(ConvertArgs *x, Copy *c)
{
    BlockNode *from;

    if (!open_sources(x, c)) {
        return false;
    }
    if (!x->skip_create && !(check_options(x, c) && create_target(x))) {
        return false;
    }
    if (!open_target(x, c) || !prepare(x, c)) {
        return false;
    }
    from = blk_node(c->sources[0].blk);
    if (x->bitmaps && !check_bitmaps(x, from, blk_node(c->target))) {
        return false;
    }
    if (copy_run(c) < 0) {
        return false;
    }
    return !x->bitmaps || copy_bitmaps(from, blk_node(c->target));
}

int img_convert(int argc, char **argv)
{
    g_autoptr(JsonValue) options = json_object();
    ConvertArgs x = { .options = options };
    Copy c = { 0 };
    bool ok;
    unsigned i;

    if (!parse(&x, argc, argv)) {
        return EXIT_FAILURE;
    }
    if (x.help) {
        return print_help(&x);
    }
    if (!x.source_count) {
        error_report("Must specify image file name");
        return EXIT_FAILURE;
    }
    tool_progress_begin(x.common.progress, 1);
    tool_progress(0);
    ok = convert(&x, &c);
    if (ok) {
        tool_progress(100);
    }
    blk_unref(c.target);
    for (i = 0; i < c.source_count; i++) {
        blk_unref(c.sources[i].blk);
    }
    g_free(c.sources);
    tool_progress_end();
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
