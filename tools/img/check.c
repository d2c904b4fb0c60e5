/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qemu-img check. Main thread. */
#include "util/osdep.h"
#include "img.h"

enum { CHECK_CORRUPT = 2, CHECK_LEAKS = 3, CHECK_NOT_SUPPORTED = 63 };

static const struct option long_options[] = {
    IMG_LONG_HELP, IMG_LONG_OBJECT, IMG_LONG_IMAGE_OPTS, IMG_LONG_OUTPUT, IMG_LONG_FORCE_SHARE,
    { "format", required_argument, NULL, 'f' },
    { "repair", required_argument, NULL, 'r' },
    { NULL },
};

/* ---- results ---- */

static void print_human(const BlockCheckResult *r)
{
    if (!r->corruptions && !r->leaks && !r->check_errors) {
        printf("No errors were found on the image.\n");
    } else {
        if (r->corruptions) {
            printf("\n%" PRIu64 " errors were found on the image.\n"
                   "Data may be corrupted, or further writes to the image may corrupt it.\n",
                   r->corruptions);
        }
        if (r->leaks) {
            printf("\n%" PRIu64 " leaked clusters were found on the image.\n"
                   "This means waste of disk space, but no harm to data.\n", r->leaks);
        }
        if (r->check_errors) {
            printf("\n%" PRIu64 " internal errors have occurred during the check.\n",
                   r->check_errors);
        }
    }
    if (r->total_clusters && r->allocated_clusters) {
        printf("%" PRIu64 "/%" PRIu64 " = %0.2f%% allocated, %0.2f%% fragmented, "
               "%0.2f%% compressed clusters\n", r->allocated_clusters, r->total_clusters,
               r->allocated_clusters * 100.0 / r->total_clusters,
               r->fragmented_clusters * 100.0 / r->allocated_clusters,
               r->compressed_clusters * 100.0 / r->allocated_clusters);
    }
    if (r->image_end_offset) {
        printf("Image end offset: %" PRIu64 "\n", r->image_end_offset);
    }
}

static void add_count(JsonValue *o, const char *name, uint64_t n)
{
    if (n) {
        json_object_set_uint(o, name, n);
    }
}

static void print_json(const char *filename, const char *format, const BlockCheckResult *r)
{
    g_autoptr(JsonValue) o = json_object();

    json_object_set_string(o, "filename", filename);
    json_object_set_string(o, "format", format);
    json_object_set_uint(o, "check-errors", r->check_errors);
    add_count(o, "image-end-offset", r->image_end_offset);
    add_count(o, "corruptions", r->corruptions);
    add_count(o, "leaks", r->leaks);
    add_count(o, "corruptions-fixed", r->corruptions_fixed);
    add_count(o, "leaks-fixed", r->leaks_fixed);
    add_count(o, "total-clusters", r->total_clusters);
    add_count(o, "allocated-clusters", r->allocated_clusters);
    add_count(o, "fragmented-clusters", r->fragmented_clusters);
    add_count(o, "compressed-clusters", r->compressed_clusters);
    img_print_json(o);
}

/* What was found first, or 0. */
static int repaired_status(BlockBackend *blk, const ImgArgs *a, BlockCheckResult *r, int ret)
{
    uint64_t corruptions = r->corruptions_fixed, leaks = r->leaks_fixed;

    if (!a->json && !a->quiet) {
        printf("The following inconsistencies were found and repaired:\n\n"
               "    %" PRIu64 " leaked clusters\n    %" PRIu64 " corruptions\n\n"
               "Double checking the fixed image now...\n", leaks, corruptions);
    }
    ret = block_check(blk_node(blk), r, 0);
    r->leaks_fixed = leaks;
    r->corruptions_fixed = corruptions;
    return ret;
}

static int run_check(BlockBackend *blk, const ImgArgs *a, const char *name, unsigned fix)
{
    BlockNode *bn = blk_node(blk);
    BlockCheckResult r;
    int ret = block_check(bn, &r, fix);

    if (ret == -ENOTSUP) {
        error_report("This image format does not support checks");
        return CHECK_NOT_SUPPORTED;
    }
    if (ret >= 0 && (r.corruptions_fixed || r.leaks_fixed)) {
        ret = repaired_status(blk, a, &r, ret);
    }
    if (!a->quiet && ret >= 0) {
        if (a->json) {
            print_json(name, bn->drv->name, &r);
        } else {
            print_human(&r);
        }
    }
    if (ret < 0 || r.check_errors) {
        if (ret < 0) {
            error_report("Check failed: %s", strerror(-ret));
        } else {
            error_report("Check failed");
        }
        return EXIT_FAILURE;
    }
    return r.corruptions ? CHECK_CORRUPT : r.leaks ? CHECK_LEAKS : EXIT_SUCCESS;
}

int img_check(int argc, char **argv)
{
    unsigned flags = BLOCK_OPEN_CHECK | BLOCK_OPEN_QUIET_PROBE, fix = 0;
    bool writethrough = false;
    BlockBackend *blk;
    ImgArgs a = { 0 };
    int c, status;

    while ((c = img_option(&a, argc, argv, "f:r:T:qU", long_options)) != -1) {
        if (c != 'r') {
            return EXIT_FAILURE;
        }
        flags |= BLOCK_OPEN_RDWR;
        if (!strcmp(optarg, "leaks")) {
            fix = BLOCK_FIX_LEAKS;
        } else if (!strcmp(optarg, "all")) {
            fix = BLOCK_FIX_LEAKS | BLOCK_FIX_ERRORS;
        } else {
            tool_usage_error("Unknown option value for -r (expecting 'leaks' or 'all'): %s", optarg);
            return EXIT_FAILURE;
        }
    }
    if (img_operands(argc, 1, 1, "Expecting one image file name") < 0 ||
        !img_cache(a.src_cache, true, &flags, &writethrough)) {
        return EXIT_FAILURE;
    }
    blk = img_open(&a, argv[optind], a.format, flags, writethrough);
    if (!blk) {
        return EXIT_FAILURE;
    }
    status = run_check(blk, &a, argv[optind], fix);
    blk_unref(blk);
    return status;
}
