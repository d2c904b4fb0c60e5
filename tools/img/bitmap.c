/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qemu-img bitmap: one or more operations on a stored bitmap, in order. Main thread. */
#include "util/osdep.h"
#include "img.h"
#include "block/bitmaps.h"

enum {
    OPT_ADD = IMG_OPT_OWN, OPT_REMOVE, OPT_CLEAR, OPT_ENABLE, OPT_DISABLE, OPT_MERGE,
};

static const struct option long_options[] = {
    IMG_LONG_HELP, IMG_LONG_OBJECT, IMG_LONG_IMAGE_OPTS,
    { "add", no_argument, NULL, OPT_ADD },
    { "clear", no_argument, NULL, OPT_CLEAR },
    { "disable", no_argument, NULL, OPT_DISABLE },
    { "enable", no_argument, NULL, OPT_ENABLE },
    { "granularity", required_argument, NULL, 'g' },
    { "merge", required_argument, NULL, OPT_MERGE },
    { "remove", no_argument, NULL, OPT_REMOVE },
    { "source-file", required_argument, NULL, 'b' },
    { "source-format", required_argument, NULL, 'F' },
    { NULL },
};

typedef struct Action {
    int kind;
    const char *source;
} Action;

typedef struct BitmapArgs {
    ImgArgs common;
    GArray *actions;
    const char *source_file, *source_format;
    int64_t granularity;
    bool add, merge;
} BitmapArgs;

static const char *const kind_names[] = { "add", "remove", "clear", "enable", "disable", "merge" };

static bool run_action(const BitmapArgs *x, const Action *a, BlockNode *bn, BlockNode *from,
                       const char *name)
{
    Error *err = NULL;
    bool ok = false;

    switch (a->kind) {
    case OPT_ADD:
        ok = block_bitmap_add(bn, name, x->granularity, true, false, &err) != NULL;
        break;
    case OPT_REMOVE:
        ok = block_bitmap_remove(bn, name, &err);
        break;
    case OPT_CLEAR:
        ok = block_bitmap_clear(bn, name, NULL, &err);
        break;
    case OPT_ENABLE:
    case OPT_DISABLE:
        ok = block_bitmap_set_enabled(bn, name, a->kind == OPT_ENABLE, &err);
        break;
    case OPT_MERGE:
        ok = block_bitmap_merge(bn, name, from, a->source, &err);
        break;
    }
    if (!ok) {
        error_prepend(&err, "Operation %s on bitmap %s failed: ", kind_names[a->kind - OPT_ADD],
                      name);
        error_report_err(err);
    }
    return ok;
}

static bool parse(BitmapArgs *x, int argc, char **argv)
{
    int c;

    while ((c = img_option(&x->common, argc, argv, "b:f:F:g:", long_options)) != -1) {
        Action a = { .kind = c, .source = optarg };

        switch (c) {
        case 'b':
            x->source_file = optarg;
            break;
        case 'F':
            x->source_format = optarg;
            break;
        case 'g':
            x->granularity = tool_parse_size_range("granularity", optarg, 1, UINT32_MAX);
            if (x->granularity < 0) {
                return false;
            }
            break;
        case OPT_ADD: case OPT_REMOVE: case OPT_CLEAR: case OPT_ENABLE: case OPT_DISABLE:
        case OPT_MERGE:
            g_array_append_val(x->actions, a);
            x->add = x->add || c == OPT_ADD;
            x->merge = x->merge || c == OPT_MERGE;
            break;
        default:
            return false;
        }
    }
    return true;
}

static bool check(const BitmapArgs *x, int operands)
{
    const char *wrong =
        operands != 2 && x->actions->len ? "Expecting filename and bitmap name" :
        !x->actions->len ?
            "Need at least one of --add, --remove, --clear, --enable, --disable, or --merge" :
        x->granularity && !x->add ? "granularity only supported with --add" :
        x->source_format && !x->source_file ? "-F only supported with -b" :
        x->source_file && !x->merge ? "Merge bitmap source file only supported with --merge" : NULL;

    if (wrong) {
        error_report("%s", wrong);
    }
    return !wrong;
}

static int run(const BitmapArgs *x, const char *filename, const char *name)
{
    BlockBackend *blk, *source = NULL;
    int status = EXIT_FAILURE;
    guint i;

    blk = img_open(&x->common, filename, x->common.format, BLOCK_OPEN_RDWR, false);
    if (!blk) {
        return EXIT_FAILURE;
    }
    if (x->source_file) {
        source = img_open(&(ImgArgs) { 0 }, x->source_file, x->source_format,
                          BLOCK_OPEN_NO_BACKING, false);
        if (!source) {
            goto out;
        }
    }
    for (i = 0; i < x->actions->len; i++) {
        if (!run_action(x, &g_array_index(x->actions, Action, i), blk_node(blk),
                        blk_node(source ? source : blk), name)) {
            goto out;
        }
    }
    status = EXIT_SUCCESS;
out:
    blk_unref(source);
    blk_unref(blk);
    return status;
}

int img_bitmap(int argc, char **argv)
{
    BitmapArgs x = { .actions = g_array_new(false, false, sizeof(Action)) };
    int status = EXIT_FAILURE;

    if (parse(&x, argc, argv) && check(&x, argc - optind)) {
        status = run(&x, argv[optind], argv[optind + 1]);
    }
    g_array_free(x.actions, true);
    return status;
}
