/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qemu-img snapshot, and choosing a snapshot of a source image. Main thread. */
#include "util/osdep.h"
#include "img.h"

static const struct option long_options[] = {
    IMG_LONG_HELP, IMG_LONG_OBJECT, IMG_LONG_IMAGE_OPTS, IMG_LONG_FORCE_SHARE, { NULL },
};

bool img_load_snapshot(BlockBackend *blk, const char *text, Error **errp)
{
    g_autoptr(JsonValue) o = NULL;
    const char *id, *name;
    size_t i;

    if (!g_str_has_prefix(text, "snapshot.")) {
        return block_snapshot_load_tmp(blk_node(blk), text, errp);
    }
    o = keyval_parse_flat(text, NULL, false, NULL, errp);
    if (!o) {
        return false;
    }
    for (i = 0; i < json_object_len(o); i++) {
        const char *key;
        JsonValue *v;

        json_object_at(o, i, &key, &v);
        if (strcmp(key, "snapshot.id") && strcmp(key, "snapshot.name")) {
            error_setg(errp, "Invalid parameter '%s'", key);
            return false;
        }
    }
    id = json_object_get_string(o, "snapshot.id");
    name = json_object_get_string(o, "snapshot.name");
    return block_snapshot_load_tmp(blk_node(blk), id ? id : name, errp);
}

static int list(BlockBackend *blk)
{
    g_autoptr(ImageInfo) info = NULL;
    Error *err = NULL;

    info = block_query_image(blk_node(blk), false, &err);
    if (!info) {
        error_report_err(err);
        return EXIT_FAILURE;
    }
    if (info->snapshots) {
        img_print_snapshots(info->snapshots);
    }
    return EXIT_SUCCESS;
}

static int create(BlockBackend *blk, const char *name)
{
    BlockSnapshot s = { .icount = 0 };
    int64_t now = g_get_real_time();
    Error *err = NULL;

    if (!blk_node(blk)->drv->co_snapshot_create) {
        error_report("Could not create snapshot '%s': %d (%s)", name, -ENOTSUP, strerror(ENOTSUP));
        return EXIT_FAILURE;
    }
    g_strlcpy(s.name, name, sizeof(s.name));
    s.date_sec = now / G_USEC_PER_SEC;
    s.date_nsec = now % G_USEC_PER_SEC * 1000;
    if (!block_snapshot_create(blk_node(blk), &s, &err)) {
        error_prepend(&err, "Could not create snapshot '%s': ", name);
        error_report_err(err);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

static int apply(BlockBackend *blk, const char *name)
{
    Error *err = NULL;

    if (!blk_node(blk)->drv->co_snapshot_goto) {
        error_setg(&err, "Block driver does not support snapshots");
    } else if (!block_snapshot_goto(blk_node(blk), name, &err)) {
        error_free(err);
        err = NULL;
        error_setg(&err, "Failed to load snapshot: No such file or directory");
    }
    if (err) {
        error_prepend(&err, "Could not apply snapshot '%s': ", name);
        error_report_err(err);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

static int remove_snapshot(BlockBackend *blk, const char *text)
{
    g_autofree BlockSnapshot *all = NULL;
    int i, n = block_snapshot_list(blk_node(blk), &all);
    const BlockSnapshot *found = NULL;
    Error *err = NULL;

    for (i = 0; i < n && !found; i++) {
        found = strcmp(all[i].name, text) ? NULL : &all[i];
    }
    if (!found) {
        error_report("Could not delete snapshot '%s': snapshot not found", text);
        return EXIT_FAILURE;
    }
    if (!block_snapshot_delete(blk_node(blk), found->id, found->name, &err)) {
        error_prepend(&err, "Could not delete snapshot '%s': ", text);
        error_report_err(err);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

int img_snapshot(int argc, char **argv)
{
    const char *name = NULL;
    BlockBackend *blk;
    ImgArgs a = { 0 };
    int c, action = 0, status;

    while ((c = img_option(&a, argc, argv, "la:c:d:qU", long_options)) != -1) {
        if (c == '?') {
            return EXIT_FAILURE;
        }
        if (action) {
            tool_usage_error("Cannot mix '-l', '-a', '-c', '-d'");
            return EXIT_FAILURE;
        }
        action = c;
        name = optarg;
    }
    if (img_operands(argc, 1, 1, "Expecting one image file name") < 0) {
        return EXIT_FAILURE;
    }
    blk = img_open(&a, argv[optind], NULL,
                   action == 'l' ? 0 : BLOCK_OPEN_RDWR, false);
    if (!blk) {
        return EXIT_FAILURE;
    }
    status = action == 'l' ? list(blk) :
             action == 'c' ? create(blk, name) :
             action == 'a' ? apply(blk, name) :
             action == 'd' ? remove_snapshot(blk, name) : EXIT_SUCCESS;
    blk_unref(blk);
    return status;
}
