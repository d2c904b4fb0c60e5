/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qemu-img resize. Main thread. */
#include "util/osdep.h"
#include "img.h"
#include "util/cutils.h"

enum { OPT_PREALLOCATION = IMG_OPT_OWN, OPT_SHRINK };

static const struct option long_options[] = {
    IMG_LONG_HELP, IMG_LONG_OBJECT, IMG_LONG_IMAGE_OPTS,
    { "preallocation", required_argument, NULL, OPT_PREALLOCATION },
    { "shrink", no_argument, NULL, OPT_SHRINK },
    { NULL },
};

typedef struct ResizeArgs {
    ImgArgs common;
    int sign;                   /* of a relative size; 0: absolute */
    uint64_t size;
    int prealloc;
    bool shrink;
} ResizeArgs;

static bool parse_size_word(ResizeArgs *r, const char *text)
{
    if (*text == '+' || *text == '-') {
        r->sign = *text++ == '+' ? 1 : -1;
    }
    if (parse_size(text, 'B', &r->size) < 0) {
        error_report("Parameter 'size' expects a non-negative number below 2^64");
        fprintf(stderr, "Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\n"
                "and exabytes, respectively.\n");
        return false;
    }
    return true;
}

static int resize(BlockBackend *blk, const ResizeArgs *r)
{
    int64_t current = blk_length(blk);
    int64_t total = r->size;
    Error *err = NULL;

    if (r->sign) {
        if (r->size > INT64_MAX || __builtin_add_overflow(current, r->sign * total, &total)) {
            total = -1;
        }
    }
    if (total <= 0) {
        error_report("New image size must be positive");
        return EXIT_FAILURE;
    }
    if (total <= current && r->prealloc != PREALLOC_MODE_OFF) {
        error_report("Preallocation can only be used for growing images");
        return EXIT_FAILURE;
    }
    if (total < current && !r->shrink) {
        error_report("Use the --shrink option to perform a shrink operation.");
        warn_report("Shrinking an image will delete all data beyond the shrunken image's end. "
                    "Before performing such an operation, make sure there is no important data "
                    "there.");
        return EXIT_FAILURE;
    }
    if (!blk_truncate(blk, total, r->prealloc, &err)) {
        error_report_err(err);
        return EXIT_FAILURE;
    }
    if (!r->common.quiet) {
        printf("Image resized.\n");
    }
    return EXIT_SUCCESS;
}

int img_resize(int argc, char **argv)
{
    ResizeArgs r = { .prealloc = PREALLOC_MODE_OFF };
    const char *size = argc > 1 ? argv[argc - 1] : NULL;
    BlockBackend *blk;
    int c, status;

    if (argc < 3 && !(argc == 2 && (!strcmp(argv[1], "-h") || !strcmp(argv[1], "--help")))) {
        tool_usage_error("Not enough arguments");
        return EXIT_FAILURE;
    }
    /* "-1M" is no option: the last word is the size. */
    if (argc >= 3) {
        argv[--argc] = NULL;
    }
    while ((c = img_option(&r.common, argc, argv, "f:q", long_options)) != -1) {
        switch (c) {
        case OPT_PREALLOCATION:
            r.prealloc = qapi_enum_parse(&qapi_enum_PreallocMode, optarg, "", NULL);
            if (r.prealloc < 0) {
                error_report("Invalid preallocation mode '%s'", optarg);
                return EXIT_FAILURE;
            }
            break;
        case OPT_SHRINK:
            r.shrink = true;
            break;
        default:
            return EXIT_FAILURE;
        }
    }
    if (img_operands(argc, 1, 1, "Expecting image file name and size") < 0 ||
        !parse_size_word(&r, size)) {
        return EXIT_FAILURE;
    }
    blk = img_open(&r.common, argv[optind], r.common.format, BLOCK_OPEN_RDWR, false);
    if (!blk) {
        return EXIT_FAILURE;
    }
    status = resize(blk, &r);
    blk_unref(blk);
    return status;
}
