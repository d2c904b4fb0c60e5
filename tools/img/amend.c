/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qemu-img amend. Main thread. */
#include "util/osdep.h"
#include "img.h"

enum { OPT_FORCE = IMG_OPT_OWN };

static const struct option long_options[] = {
    IMG_LONG_HELP, IMG_LONG_OBJECT, IMG_LONG_IMAGE_OPTS,
    { "force", no_argument, NULL, OPT_FORCE },
    { NULL },
};

static int print_option_help(const BlockDriver *drv)
{
    Error *err = NULL;
    g_autofree char *text = block_image_amend_help(drv, &err);

    if (!text) {
        error_report_err(err);
        return EXIT_FAILURE;
    }
    fputs(text, stdout);
    return EXIT_SUCCESS;
}

static void show_progress(void *opaque, int64_t done, int64_t total)
{
    tool_progress(total ? 100.0 * done / total : 100);
}

/* Options that exist, but only for new images, are worth a word. */
static void add_creation_hint(const BlockDriver *drv, JsonValue *options, Error **errp)
{
    const BlockImageOption *o;

    for (o = drv->create_options; o && o->name; o++) {
        g_autofree char *name = g_strdup_printf("'%s'", o->name);

        if (json_object_has(options, o->name) && strstr(error_message(*errp), name)) {
            error_append_hint(errp, "This option is only supported for image creation\n");
        }
    }
}

static int amend(BlockBackend *blk, JsonValue *options, bool force)
{
    const BlockDriver *drv = blk_node(blk)->drv;
    Error *err = NULL;

    if (!drv->amend_options || !drv->co_amend) {
        error_report("Format driver '%s' does not support option amendment", drv->name);
        return EXIT_FAILURE;
    }
    if (!block_image_options_check(drv->amend_options, NULL, options, &err)) {
        add_creation_hint(drv, options, &err);
        error_report_err(err);
        return EXIT_FAILURE;
    }
    tool_progress(0);
    if (!block_amend(blk_node(blk), options, show_progress, NULL, force, &err)) {
        error_report_err(err);
        return EXIT_FAILURE;
    }
    tool_progress(100);
    return EXIT_SUCCESS;
}

int img_amend(int argc, char **argv)
{
    g_autoptr(JsonValue) options = json_object();
    unsigned flags = BLOCK_OPEN_RDWR;
    bool writethrough = false, force = false, given = false, help = false;
    const BlockDriver *drv;
    BlockBackend *blk;
    ImgArgs a = { 0 };
    Error *err = NULL;
    int c, status;

    while ((c = img_option(&a, argc, argv, "f:o:pqt:", long_options)) != -1) {
        switch (c) {
        case 'o':
            given = true;
            help = help || block_image_options_want_help(optarg);
            if (!help && !block_image_options_parse(options, optarg, &err)) {
                error_report_err(err);
                return EXIT_FAILURE;
            }
            break;
        case OPT_FORCE:
            force = true;
            break;
        default:
            return EXIT_FAILURE;
        }
    }
    if (!given) {
        tool_usage_error("Must specify options (-o)");
        return EXIT_FAILURE;
    }
    if (help && a.format) {
        drv = block_driver_find(a.format);
        if (!drv) {
            error_report("Unknown file format '%s'", a.format);
            return EXIT_FAILURE;
        }
        return print_option_help(drv);
    }
    if (argc - optind != 1) {
        error_report("Expecting one image file name");
        return EXIT_FAILURE;
    }
    if (!img_cache(a.cache, false, &flags, &writethrough)) {
        return EXIT_FAILURE;
    }
    blk = img_open(&a, argv[optind], a.format, flags, writethrough);
    if (!blk) {
        return EXIT_FAILURE;
    }
    tool_progress_begin(a.progress, 1);
    status = help ? print_option_help(blk_node(blk)->drv) : amend(blk, options, force);
    tool_progress_end();
    blk_unref(blk);
    return status;
}
