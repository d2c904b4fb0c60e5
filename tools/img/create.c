/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qemu-img create. Main thread. */
#include "util/osdep.h"
#include "img.h"

static const struct option long_options[] = { IMG_LONG_HELP, IMG_LONG_OBJECT, { NULL } };

static int print_option_help(const char *format, const char *filename)
{
    const BlockDriver *drv = block_driver_find(format);
    Error *err = NULL;
    g_autofree char *text = NULL;

    if (!drv) {
        error_report("Unknown file format '%s'", format);
        return EXIT_FAILURE;
    }
    if (!drv->create_options) {
        error_report("Format driver '%s' does not support image creation", format);
        return EXIT_FAILURE;
    }
    text = block_image_options_help(drv, filename, &err);
    if (!text) {
        error_report_err(err);
        return EXIT_FAILURE;
    }
    fputs(text, stdout);
    return EXIT_SUCCESS;
}

int img_create(int argc, char **argv)
{
    g_autoptr(JsonValue) options = json_object();
    BlockImageCreate create = { .format = "raw", .options = options };
    ImgArgs a = { 0 };
    bool help = false;
    Error *err = NULL;
    int c;

    while ((c = img_option(&a, argc, argv, "F:b:f:o:qu", long_options)) != -1) {
        switch (c) {
        case 'F':
            create.backing_format = optarg;
            break;
        case 'b':
            create.backing = optarg;
            break;
        case 'o':
            help = help || block_image_options_want_help(optarg);
            if (!help && !block_image_options_parse(options, optarg, &err)) {
                error_report_err(err);
                return EXIT_FAILURE;
            }
            break;
        case 'u':
            create.unsafe = true;
            break;
        default:
            return EXIT_FAILURE;
        }
    }
    create.format = a.format ? a.format : "raw";
    create.quiet = a.quiet;
    if (help) {
        return print_option_help(create.format, optind < argc ? argv[optind] : NULL);
    }
    if (optind == argc) {
        tool_usage_error("Expecting image file name");
        return EXIT_FAILURE;
    }
    create.filename = argv[optind++];
    if (optind < argc) {
        int64_t size = tool_parse_size("image size", argv[optind++]);

        if (size < 0) {
            return EXIT_FAILURE;
        }
        create.has_size = true;
        create.size = size;
    }
    if (optind < argc) {
        tool_usage_error("Unexpected argument: %s", argv[optind]);
        return EXIT_FAILURE;
    }
    if (!block_image_create_checked(&create, &err)) {
        error_prepend(&err, "%s: ", create.filename);
        error_report_err(err);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
