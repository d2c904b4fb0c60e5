/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The list of exports, and block-export-add, -del, query-block-exports. Main
 * thread.
 */
#include "util/osdep.h"
#include "backends/iothread.h"
#include "block/block-int.h"
#include "block/export.h"
#include "block/export/export-internal.h"
#include "qapi-commands.h"
#include "qapi-events.h"
#include "util/cutils.h"

static const BlockExportOps *const kinds[] = { &nbd_export_ops };

static BlockExport *exports;            /* newest first */

BlockExport *block_export_find(const char *id)
{
    BlockExport *e;

    for (e = exports; e && strcmp(e->id, id) != 0; e = e->next) {
    }
    return e;
}

void block_export_ref(BlockExport *exp)
{
    assert(exp->refs > 0);
    exp->refs++;
}

static void finalize(BlockExport *exp)
{
    BlockExport **link = &exports;

    while (*link != exp) {
        link = &(*link)->next;
    }
    *link = exp->next;
    exp->ops->finalize(exp);
    blk_unref(exp->blk);
    qapi_event_send_BLOCK_EXPORT_DELETED(exp->id);
    g_free(exp->id);
    g_free(exp);
    block_wait_kick();
}

void block_export_unref(BlockExport *exp)
{
    if (--exp->refs == 0) {
        finalize(exp);
    }
}

void block_export_request_shutdown(BlockExport *exp)
{
    if (exp->user_owned) {
        exp->user_owned = false;
        block_export_ref(exp);
        exp->ops->request_shutdown(exp);
        block_export_unref(exp);
        block_export_unref(exp);
    }
}

static bool of_type(const BlockExport *e, BlockExportType type)
{
    return type == BLOCK_EXPORT_TYPE__MAX || e->ops->type == type;
}

static bool none_left(void *opaque)
{
    BlockExportType *type = opaque;
    BlockExport *e;

    for (e = exports; e && !of_type(e, *type); e = e->next) {
    }
    return !e;
}

void block_export_close_all(BlockExportType type)
{
    BlockExport *e = exports;

    while (e) {
        if (e->user_owned && of_type(e, type)) {
            block_export_request_shutdown(e);
            e = exports;        /* others may have gone along */
        } else {
            e = e->next;
        }
    }
    block_wait(none_left, &type);
}

/* Move the node to where requests are wanted. Without fixed-iothread other users may keep it. */
static bool set_iothread(const BlockExportOptions *o, BlockNode *bn, Error **errp)
{
    Object *obj = o->iothread ? object_child(object_objects_root(), o->iothread) : NULL;
    bool fixed = o->has_fixed_iothread && o->fixed_iothread;

    if (!o->iothread) {
        return true;
    }
    if (!obj || !object_is_a(obj, &iothread_type)) {
        error_setg(errp, "iothread \"%s\" not found", o->iothread);
        return false;
    }
    return block_node_set_loop(bn, iothread_loop((IoThread *)obj), fixed ? errp : NULL) || !fixed;
}

/* A back end for the exported node, on the node's loop. */
static BlockBackend *open_backend(const BlockExportOptions *o, Error **errp)
{
    BlockNode *bn = block_lookup(NULL, o->node_name, errp);
    uint64_t perm = BLOCK_PERM_CONSISTENT_READ;
    BlockBackend *blk;

    if (!bn) {
        return NULL;
    }
    if (o->has_writable && o->writable) {
        if (bn->read_only && !(bn->open_flags & BLOCK_OPEN_AUTO_RDONLY)) {
            error_setg(errp, "Block node is read-only");
            return NULL;
        }
        perm |= BLOCK_PERM_WRITE;
    }
    if (!set_iothread(o, bn, errp)) {
        return NULL;
    }
    blk = blk_new(bn->loop, perm, BLOCK_PERM_ALL);
    if (!blk_insert(blk, bn, errp)) {
        blk_unref(blk);
        return NULL;
    }
    blk_set_write_cache(blk, !(o->has_writethrough && o->writethrough));
    return blk;
}

BlockExport *block_export_add(const BlockExportOptions *o, Error **errp)
{
    const BlockExportOps *ops = NULL;
    BlockBackend *blk;
    BlockExport *exp;

    if (!id_wellformed(o->id)) {
        error_setg(errp, "Invalid block export id");
        return NULL;
    }
    if (block_export_find(o->id)) {
        error_setg(errp, "Block export id '%s' is already in use", o->id);
        return NULL;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        ops = kinds[i]->type == o->type ? kinds[i] : ops;
    }
    assert(ops);
    blk = open_backend(o, errp);
    if (!blk) {
        return NULL;
    }
    exp = g_malloc0(ops->instance_size);
    exp->ops = ops;
    exp->refs = 1;
    exp->user_owned = true;
    exp->id = g_strdup(o->id);
    exp->blk = blk;
    if (o->has_fixed_iothread && o->fixed_iothread) {
        blk_pin_loop(blk, true);
    }
    if (!ops->create(exp, o, errp)) {
        blk_unref(blk);
        g_free(exp->id);
        g_free(exp);
        return NULL;
    }
    exp->next = exports;
    exports = exp;
    return exp;
}

/* ---- QMP ---- */

bool qmp_block_export_add(const BlockExportOptions *args, Error **errp)
{
    return block_export_add(args, errp) != NULL;
}

bool block_export_del(const char *id, BlockExportRemoveMode mode, Error **errp)
{
    BlockExport *exp = block_export_find(id);

    if (!exp) {
        error_setg(errp, "Export '%s' is not found", id);
        return false;
    }
    if (!exp->user_owned) {
        error_setg(errp, "Export '%s' is already shutting down", id);
        return false;
    }
    if (mode == BLOCK_EXPORT_REMOVE_MODE_SAFE && exp->ops->in_use(exp)) {
        error_setg(errp, "export '%s' still in use", id);
        error_append_hint(errp, "Use mode='hard' to force client disconnect\n");
        return false;
    }
    block_export_request_shutdown(exp);
    return true;
}

bool qmp_block_export_del(const QmpBlockExportDelArgs *args, Error **errp)
{
    return block_export_del(args->id, args->has_mode ? args->mode : BLOCK_EXPORT_REMOVE_MODE_SAFE, errp);
}

BlockExportInfoList *qmp_query_block_exports(Error **errp)
{
    BlockExportInfoList *list = NULL, **end = &list;

    for (BlockExport *e = exports; e; e = e->next) {
        BlockNode *bn = blk_node(e->blk);
        BlockExportInfo *info = g_new0(BlockExportInfo, 1);

        info->id = g_strdup(e->id);
        info->type = e->ops->type;
        info->node_name = g_strdup(bn ? bn->node_name : "");
        info->shutting_down = !e->user_owned;
        *end = g_new0(BlockExportInfoList, 1);
        (*end)->value = info;
        end = &(*end)->next;
    }
    return list;
}
