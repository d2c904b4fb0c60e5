/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qemu-nbd: opening the image as the options say. Main thread. */
#include "util/osdep.h"
#include "../common.h"
#include "block/image.h"
#include "nbd.h"
#include "qapi/json.h"

/* The options of the image; NULL with @errp. */
static JsonValue *image_options(const NbdToolOptions *o, Error **errp)
{
    JsonValue *opts = o->image_opts ? keyval_parse_flat(o->file, NULL, false, NULL, errp) : json_object();

    if (!opts) {
        return NULL;
    }
    if (o->format) {
        json_object_set_string(opts, "driver", o->format);
    }
    if (o->detect_zeroes) {
        json_object_set_string(opts, "detect-zeroes", o->detect_zeroes);
    }
    if (o->aio && !json_object_has(opts, "file.aio") && !o->image_opts) {
        json_object_set_string(opts, "file.aio", o->aio);
    }
    return opts;
}

static BlockNode *open_base(const NbdToolOptions *o)
{
    unsigned flags = o->flags | (o->read_only || o->snapshot ? 0 : BLOCK_OPEN_RDWR);
    Error *err = NULL;
    JsonValue *opts = image_options(o, &err);
    BlockNode *bn;

    if (!opts) {
        error_report_err(err);
        return NULL;
    }
    bn = block_open(o->image_opts ? NULL : o->file, opts, flags, &err);
    if (!bn) {
        error_prepend(&err, "Failed to blk_new_open '%s': ", o->file);
        error_report_err(err);
    }
    return bn;
}

/* A node over @below that starts at an offset; takes over the reference. */
static BlockNode *add_offset(const NbdToolOptions *o, BlockNode *below)
{
    JsonValue *opts = json_object();
    Error *err = NULL;
    BlockNode *bn;

    json_object_set_string(opts, "driver", "raw");
    json_object_set_string(opts, "file", below->node_name);
    json_object_set_uint(opts, "offset", o->offset);
    bn = block_open(NULL, opts, o->flags | (o->read_only ? 0 : BLOCK_OPEN_RDWR), &err);
    block_node_unref(below);
    if (!bn) {
        error_report_err(err);
    }
    return bn;
}

/* An overlay that is gone from the file system as soon as it is open; takes over the reference. */
static BlockNode *add_overlay(const NbdToolOptions *o, BlockNode *base)
{
    g_autofree char *path = g_build_filename(g_get_tmp_dir(), "nemu-nbd-XXXXXX", NULL);
    g_autoptr(JsonValue) create = json_object();
    JsonValue *opts;
    Error *err = NULL;
    BlockNode *bn = NULL;
    int fd = g_mkstemp(path);

    if (fd < 0) {
        error_report("Could not create temporary overlay '%s': %s", path, g_strerror(errno));
        block_node_unref(base);
        return NULL;
    }
    close(fd);
    json_object_set_int(create, "size", base->total_bytes);
    if (block_image_create("qcow2", path, create, &err)) {
        opts = json_object();
        json_object_set_string(opts, "driver", "qcow2");
        json_object_set_string(opts, "backing", base->node_name);
        bn = block_open(path, opts, BLOCK_OPEN_RDWR | BLOCK_OPEN_NO_FLUSH | (o->flags & BLOCK_OPEN_UNMAP), &err);
    }
    unlink(path);
    block_node_unref(base);
    if (!bn) {
        error_report_err(err);
    }
    return bn;
}

static bool load_snapshot(const NbdToolOptions *o, BlockNode *bn)
{
    g_autofree char *id = NULL, *name = NULL;
    Error *err = NULL;

    if (!nbd_parse_snapshot(o->load_snapshot, &id, &name, &err)) {
        error_report_err(err);
        error_report("Failed in parsing snapshot param `%s'", o->load_snapshot);
        return false;
    }
    if (!block_snapshot_load_tmp(bn, id ? id : name, &err)) {
        error_prepend(&err, "Failed to load snapshot: ");
        error_report_err(err);
        return false;
    }
    return true;
}

BlockNode *nbd_open_image(const NbdToolOptions *o)
{
    BlockNode *bn = open_base(o);

    if (bn && o->snapshot) {
        bn = add_overlay(o, bn);
    }
    if (bn && o->load_snapshot && !load_snapshot(o, bn)) {
        block_node_unref(bn);
        return NULL;
    }
    if (bn && o->has_offset && o->offset) {
        bn = add_offset(o, bn);
    }
    return bn;
}
