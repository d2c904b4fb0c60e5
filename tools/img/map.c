/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qemu-img map. Main thread; the chain is asked in a coroutine. */
#include "util/osdep.h"
#include "img.h"

static const struct option long_options[] = {
    IMG_LONG_HELP, IMG_LONG_OBJECT, IMG_LONG_IMAGE_OPTS, IMG_LONG_OUTPUT, IMG_LONG_FORCE_SHARE,
    { "format", required_argument, NULL, 'f' },
    { "start-offset", required_argument, NULL, 's' },
    { "max-length", required_argument, NULL, 'l' },
    { NULL },
};

typedef struct Extent {
    int64_t start, length, offset;
    int depth;
    bool present, zero, data, has_offset;
    BlockNode *file;
} Extent;

typedef struct MapWork {
    BlockNode *bn;
    int64_t at, end;
    bool json, first;
    int ret;
} MapWork;

static int coroutine_fn next_extent(BlockNode *bn, int64_t at, int64_t bytes, Extent *e)
{
    int64_t map = 0;
    BlockNode *file = NULL;
    int ret;

    *e = (Extent) { .start = at };
    ret = block_co_status_above(bn, NULL, true, at, bytes, &e->length, &map, &file, &e->depth);
    if (ret < 0) {
        return ret;
    }
    e->data = ret & BLOCK_STATUS_DATA;
    e->zero = ret & BLOCK_STATUS_ZERO;
    e->present = ret & BLOCK_STATUS_ALLOCATED;
    e->has_offset = ret & BLOCK_STATUS_OFFSET_VALID;
    e->offset = e->has_offset ? map : 0;
    e->file = e->has_offset ? file : NULL;
    return 0;
}

/* Are @a and what follows it one extent? */
static bool continues(const Extent *a, const Extent *b)
{
    return a->zero == b->zero && a->data == b->data && a->present == b->present &&
           a->depth == b->depth && a->has_offset == b->has_offset && a->file == b->file &&
           (!a->has_offset || a->offset + a->length == b->offset);
}

static int print_human(const Extent *e)
{
    char offset[32] = "0", length[32] = "0", map[32] = "0";

    if (e->data && !e->has_offset) {
        error_report("File contains external, encrypted or compressed clusters.");
        return -ENOTSUP;
    }
    if (!e->data || e->zero) {
        return 0;
    }
    snprintf(offset, sizeof(offset), "%#" PRIx64, (uint64_t)e->start);
    snprintf(length, sizeof(length), "%#" PRIx64, (uint64_t)e->length);
    snprintf(map, sizeof(map), "%#" PRIx64, (uint64_t)e->offset);
    printf("%-16s%-16s%-16s%s\n", offset, length, map, e->file ? e->file->filename : "");
    return 0;
}

static int print_extent(MapWork *w, const Extent *e)
{
    if (!w->json) {
        return print_human(e);
    }
    printf("%s{ \"start\": %" PRId64 ", \"length\": %" PRId64 ", \"depth\": %d, \"present\": %s, "
           "\"zero\": %s, \"data\": %s", w->first ? "" : ",\n", e->start, e->length, e->depth,
           e->present ? "true" : "false", e->zero ? "true" : "false", e->data ? "true" : "false");
    w->first = false;
    if (e->has_offset) {
        printf(", \"offset\": %" PRId64, e->offset);
    }
    printf("}");
    return 0;
}

static void coroutine_fn map_entry(void *opaque)
{
    MapWork *w = opaque;
    Extent all = { .start = w->at }, e;

    while (w->at < w->end && w->ret >= 0) {
        w->ret = next_extent(w->bn, w->at, w->end - w->at, &e);
        if (w->ret < 0) {
            error_report("Failed to read image metadata: %s", strerror(-w->ret));
            return;
        }
        if (!e.length) {
            break;
        }
        w->at += e.length;
        if (all.length && continues(&all, &e)) {
            all.length += e.length;
            continue;
        }
        if (all.length) {
            w->ret = print_extent(w, &all);
        }
        all = e;
    }
    if (w->ret >= 0) {
        w->ret = print_extent(w, &all);
    }
}

int img_map(int argc, char **argv)
{
    MapWork w = { .first = true };
    int64_t start = -1, length = -1;
    BlockBackend *blk;
    ImgArgs a = { 0 };
    int c;

    while ((c = img_option(&a, argc, argv, "f:s:l:U", long_options)) != -1) {
        switch (c) {
        case 's':
            start = tool_parse_size("start offset", optarg);
            if (start < 0) {
                return EXIT_FAILURE;
            }
            break;
        case 'l':
            length = tool_parse_size("max length", optarg);
            if (length < 0) {
                return EXIT_FAILURE;
            }
            break;
        default:
            return EXIT_FAILURE;
        }
    }
    if (img_operands(argc, 1, 1, "Expecting one image file name") < 0) {
        return EXIT_FAILURE;
    }
    blk = img_open(&a, argv[optind], a.format, 0, false);
    if (!blk) {
        return EXIT_FAILURE;
    }
    w.bn = blk_node(blk);
    w.json = a.json;
    w.at = MAX(start, 0);
    w.end = blk_length(blk);
    if (length >= 0 && length < w.end - w.at) {
        w.end = w.at + length;
    }
    printf(a.json ? "[" : "%-16s%-16s%-16s%s\n", "Offset", "Length", "Mapped to", "File");
    tool_run(map_entry, &w);
    if (a.json) {
        puts("]");
    }
    blk_unref(blk);
    return w.ret < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
