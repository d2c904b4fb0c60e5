/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qemu-img info, and how images are described in words. Main thread. */
#include "util/osdep.h"
#include "img.h"
#include "util/cutils.h"

enum { OPT_BACKING_CHAIN = IMG_OPT_OWN };

static const struct option long_options[] = {
    IMG_LONG_HELP, IMG_LONG_OBJECT, IMG_LONG_IMAGE_OPTS, IMG_LONG_OUTPUT, IMG_LONG_FORCE_SHARE,
    { "format", required_argument, NULL, 'f' },
    { "backing-chain", no_argument, NULL, OPT_BACKING_CHAIN },
    { NULL },
};

/* ---- snapshots ---- */

void img_print_snapshots(const SnapshotInfoList *list)
{
    g_autofree char *heading = block_snapshot_line(NULL, NULL);

    printf("Snapshot list:\n%s", heading);
    for (; list; list = list->next) {
        g_autofree char *line = block_snapshot_line(list->value, list->value->id);

        printf("%s", line);
    }
}

/* ---- one image ---- */

static void print_backing(const ImageInfo *info)
{
    printf("backing file: %s", info->backing_filename);
    if (!info->full_backing_filename) {
        printf(" (cannot determine actual path)");
    } else if (strcmp(info->backing_filename, info->full_backing_filename)) {
        printf(" (actual path: %s)", info->full_backing_filename);
    }
    printf("\n");
    if (info->backing_filename_format) {
        printf("backing file format: %s\n", info->backing_filename_format);
    }
}

static void print_specific(const ImageInfoSpecific *specific)
{
    g_autoptr(JsonValue) json = qapi_encode(&qapi_type_ImageInfoSpecific, specific);
    JsonValue *data = json_object_get(json, "data");
    GString *text = g_string_new(NULL);

    json_print_words(text, data, 1);
    if (text->len) {
        printf("Format specific information:\n%s", text->str);
    }
    g_string_free(text, true);
}

static void print_image(const ImageInfo *info)
{
    g_autofree char *size = format_size(info->virtual_size);
    g_autofree char *disk =
        info->has_actual_size ? format_size(info->actual_size) : g_strdup("unavailable");

    printf("image: %s\nfile format: %s\nvirtual size: %s (%" PRId64 " bytes)\ndisk size: %s\n",
           info->filename, info->format, size, info->virtual_size, disk);
    if (info->has_encrypted && info->encrypted) {
        printf("encrypted: yes\n");
    }
    if (info->has_cluster_size) {
        printf("cluster_size: %" PRId64 "\n", info->cluster_size);
    }
    if (info->has_dirty_flag && info->dirty_flag) {
        printf("cleanly shut down: no\n");
    }
    if (info->backing_filename) {
        print_backing(info);
    }
    if (info->snapshots) {
        img_print_snapshots(info->snapshots);
    }
    if (info->format_specific) {
        print_specific(info->format_specific);
    }
}

/* ---- the chain ---- */

/* Each image by itself: the chain may be broken, which is shown as far as it goes. */
static ImageInfoList *collect(const ImgArgs *a, const char *name, bool chain)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    ImageInfoList *list = NULL, **tail = &list;
    g_autofree char *next = g_strdup(name), *format = g_strdup(a->format);
    ImgArgs args = *a;
    Error *err = NULL;

    while (next) {
        BlockBackend *blk;

        if (!g_hash_table_add(seen, g_strdup(next))) {
            error_report("Backing file '%s' creates an infinite loop.", next);
            goto undo;
        }
        blk = img_open(&args, next, format, BLOCK_OPEN_NO_BACKING | BLOCK_OPEN_NO_IO, false);
        if (!blk) {
            goto undo;
        }
        *tail = g_new0(ImageInfoList, 1);
        (*tail)->value = block_query_image(blk_node(blk), false, &err);
        blk_unref(blk);
        if (!(*tail)->value) {
            error_report_err(err);
            goto undo;
        }
        g_clear_pointer(&next, g_free);
        g_clear_pointer(&format, g_free);
        if (chain && (*tail)->value->backing_filename) {
            if (!(*tail)->value->full_backing_filename) {
                error_report("Could not determine the backing file name.");
                goto undo;
            }
            next = g_strdup((*tail)->value->full_backing_filename);
            format = g_strdup((*tail)->value->backing_filename_format);
            args.image_opts = false;
        }
        tail = &(*tail)->next;
    }
    return list;

undo:
    qapi_free_ImageInfoList(list);
    return NULL;
}

int img_info(int argc, char **argv)
{
    g_autoptr(ImageInfoList) list = NULL;
    const ImageInfoList *i;
    ImgArgs a = { 0 };
    bool chain = false;
    int c;

    while ((c = img_option(&a, argc, argv, "f:U", long_options)) != -1) {
        if (c != OPT_BACKING_CHAIN) {
            return EXIT_FAILURE;
        }
        chain = true;
    }
    if (img_operands(argc, 1, 1, "Expecting one image file name") < 0) {
        return EXIT_FAILURE;
    }
    list = collect(&a, argv[optind], chain);
    if (!list) {
        return EXIT_FAILURE;
    }
    if (a.json) {
        g_autoptr(JsonValue) all = json_array();

        for (i = list; i; i = i->next) {
            json_array_add_take(all, qapi_encode(&qapi_type_ImageInfo, i->value));
        }
        img_print_json(chain ? all : json_array_at(all, 0));
    } else {
        for (i = list; i; i = i->next) {
            print_image(i->value);
            if (i->next) {
                printf("\n");
            }
        }
    }
    return EXIT_SUCCESS;
}
