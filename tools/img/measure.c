/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qemu-img measure. Main thread. */
#include "util/osdep.h"
#include "img.h"
#include "util/cutils.h"

enum { OPT_SIZE = IMG_OPT_OWN };

static const struct option long_options[] = {
    IMG_LONG_HELP, IMG_LONG_OBJECT, IMG_LONG_IMAGE_OPTS, IMG_LONG_OUTPUT, IMG_LONG_FORCE_SHARE,
    { "size", required_argument, NULL, OPT_SIZE },
    { NULL },
};

typedef struct MeasureArgs {
    ImgArgs common;
    const char *out_format, *snapshot;
    int64_t size;               /* -1: that of the image */
    JsonValue *options;
} MeasureArgs;

static bool parse(MeasureArgs *m, int argc, char **argv)
{
    Error *err = NULL;
    int c;

    m->out_format = "raw";
    m->size = -1;
    while ((c = img_option(&m->common, argc, argv, "f:l:o:O:U", long_options)) != -1) {
        switch (c) {
        case 'l':
            m->snapshot = optarg;
            break;
        case 'O':
            m->out_format = optarg;
            break;
        case 'o':
            if (!block_image_options_parse(m->options, optarg, &err)) {
                error_report_err(err);
                return false;
            }
            break;
        case OPT_SIZE:
            m->size = tool_parse_size("image size", optarg);
            if (m->size < 0) {
                return false;
            }
            break;
        default:
            return false;
        }
    }
    if (argc - optind > 1) {
        error_report("At most one filename argument is allowed.");
        return false;
    }
    if (optind == argc && (m->common.image_opts || m->common.format || m->snapshot)) {
        error_report("--image-opts, -f, and -l require a filename argument.");
        return false;
    }
    if (optind == argc && m->size < 0) {
        error_report("Either --size N or one filename must be specified.");
        return false;
    }
    if (optind < argc && m->size >= 0) {
        error_report("--size N cannot be used together with a filename.");
        return false;
    }
    return true;
}

static void print(const MeasureArgs *m, const BlockMeasureInfo *info)
{
    if (m->common.json) {
        g_autoptr(JsonValue) json = qapi_encode(&qapi_type_BlockMeasureInfo, info);

        img_print_json(json);
        return;
    }
    printf("required size: %" PRId64 "\nfully allocated size: %" PRId64 "\n", info->required,
           info->fully_allocated);
    if (info->has_bitmaps) {
        printf("bitmaps size: %" PRId64 "\n", info->bitmaps);
    }
}

static int measure(MeasureArgs *m, BlockBackend *blk)
{
    const BlockDriver *drv = block_driver_find(m->out_format), *file = block_driver_find("file");
    BlockMeasureInfo *info;
    Error *err = NULL;

    if (!drv) {
        error_report("Unknown file format '%s'", m->out_format);
        return EXIT_FAILURE;
    }
    if (!block_image_options_check(drv->create_options, file->create_options, m->options, &err)) {
        error_report_err(err);
        error_report("Invalid options for file format '%s'", m->out_format);
        return EXIT_FAILURE;
    }
    if (m->size >= 0) {
        json_object_set_uint(m->options, "size", m->size);
    }
    info = block_measure(drv, m->options, blk ? blk_node(blk) : NULL, &err);
    if (!info) {
        error_report_err(err);
        return EXIT_FAILURE;
    }
    print(m, info);
    qapi_free_BlockMeasureInfo(info);
    return EXIT_SUCCESS;
}

int img_measure(int argc, char **argv)
{
    g_autoptr(JsonValue) options = json_object();
    MeasureArgs m = { .options = options };
    BlockBackend *blk = NULL;
    Error *err = NULL;
    int status = EXIT_FAILURE;

    if (!parse(&m, argc, argv)) {
        return EXIT_FAILURE;
    }
    if (optind < argc) {
        blk = img_open(&m.common, argv[optind], m.common.format, 0, false);
        if (!blk) {
            return EXIT_FAILURE;
        }
        if (m.snapshot && !img_load_snapshot(blk, m.snapshot, &err)) {
            error_prepend(&err, "Failed to load snapshot: ");
            error_report_err(err);
            goto out;
        }
    }
    status = measure(&m, blk);
out:
    blk_unref(blk);
    return status;
}
