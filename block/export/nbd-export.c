/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exports of type "nbd": what a client can ask for by name. Main thread.
 */
#include "util/osdep.h"
#include "block/block-int.h"
#include "block/export/export-internal.h"
#include "block/image.h"
#include "block/nbd-protocol.h"

static NbdExport *nbd_exports;          /* oldest first */

static NbdServer *default_server;
static uint64_t last_serial;

NbdExport *nbd_export_find(const char *name)
{
    NbdExport *e;

    for (e = nbd_exports; e && strcmp(e->name, name) != 0; e = e->next) {
    }
    return e;
}

NbdExport *nbd_export_next(NbdExport *exp)
{
    return exp ? exp->next : nbd_exports;
}

void nbd_server_set_default(NbdServer *server)
{
    default_server = server;
}

/* A bitmap of the node or of a layer below it. */
static DirtyBitmap *find_bitmap(BlockNode *bn, const char *name)
{
    DirtyBitmap *b = NULL;

    while (bn && !b) {
        b = dirty_bitmap_find(bn, name);
        bn = bn->file && bn->drv->is_filter ? bn->file->node : block_backing(bn);
    }
    return b;
}

static DirtyBitmap *resolve_bitmap(NbdExport *exp, const BlockDirtyBitmapOrStr *ref, Error **errp)
{
    BlockNode *bn = blk_node(exp->common.blk);
    const char *name;
    DirtyBitmap *b;

    if (ref->type == QAPI_ALT_STR) {
        name = ref->u.local;
        b = find_bitmap(bn, name);
    } else {
        name = ref->u.external->name;
        bn = block_lookup(ref->u.external->node, ref->u.external->node, errp);
        if (!bn) {
            return NULL;
        }
        b = dirty_bitmap_find(bn, name);
    }
    if (!b) {
        error_setg(errp, "Bitmap '%s' is not found", name);
        return NULL;
    }
    if (!dirty_bitmap_check(b, DIRTY_BITMAP_ALLOW_READONLY, errp)) {
        return NULL;
    }
    if ((exp->flags & NBD_EXPORT_READ_ONLY) && dirty_bitmap_node(b) == bn && dirty_bitmap_enabled(b) &&
        !bn->read_only) {
        error_setg(errp, "Enabled bitmap '%s' incompatible with readonly export", name);
        return NULL;
    }
    if (strlen(name) > 1023) {
        error_setg(errp, "Bitmap name '%s' is too long for NBD", name);
        return NULL;
    }
    return b;
}

static void release_bitmaps(NbdExport *exp)
{
    for (size_t i = 0; i < exp->bitmap_count; i++) {
        dirty_bitmap_set_busy(exp->bitmaps[i], false);
    }
    g_free(exp->bitmaps);
    exp->bitmaps = NULL;
    exp->bitmap_count = 0;
}

static bool take_bitmaps(NbdExport *exp, const BlockExportOptionsNbd *o, Error **errp)
{
    for (const BlockDirtyBitmapOrStrList *l = o->bitmaps; l; l = l->next) {
        DirtyBitmap *b = resolve_bitmap(exp, l->value, errp);

        if (!b) {
            release_bitmaps(exp);
            return false;
        }
        dirty_bitmap_set_busy(b, true);
        exp->bitmaps = g_renew(DirtyBitmap *, exp->bitmaps, exp->bitmap_count + 1);
        exp->bitmaps[exp->bitmap_count++] = b;
    }
    return true;
}

static bool nbd_create(BlockExport *common, const BlockExportOptions *options, Error **errp)
{
    NbdExport *exp = (NbdExport *)common;
    const BlockExportOptionsNbd *o = &options->u.nbd;
    const char *name = o->name ? o->name : options->node_name;
    bool read_only = !(options->has_writable && options->writable);
    int64_t size = blk_length(common->blk);
    NbdExport **end = &nbd_exports;

    if (!default_server) {
        error_setg(errp, "NBD server not running");
        return false;
    }
    if (strlen(name) > NBD_MAX_STRING) {
        error_setg(errp, "export name '%s' too long", name);
        return false;
    }
    if (o->description && strlen(o->description) > NBD_MAX_STRING) {
        error_setg(errp, "description '%s' too long", o->description);
        return false;
    }
    if (nbd_export_find(name)) {
        error_setg(errp, "NBD server already has export named '%s'", name);
        return false;
    }
    if (size < 0) {
        error_setg_errno(errp, -size, "Failed to determine the NBD export's length");
        return false;
    }
    exp->flags = NBD_EXPORT_HAS_FLAGS | NBD_EXPORT_FLUSH | NBD_EXPORT_FUA | NBD_EXPORT_CACHE;
    exp->flags |= read_only ? NBD_EXPORT_READ_ONLY :
                              NBD_EXPORT_TRIM | NBD_EXPORT_WRITE_ZEROES | NBD_EXPORT_FAST_ZERO;
    /* All connections use the one back end, so a flush on one is a flush for all. */
    if (nbd_server_options(default_server)->max_connections != 1) {
        exp->flags |= NBD_EXPORT_MULTI_CONN;
    }
    if (!take_bitmaps(exp, o, errp)) {
        return false;
    }
    exp->serial = ++last_serial;
    exp->size = size;
    exp->name = g_strdup(name);
    exp->description = g_strdup(o->description);
    exp->allocation_depth = o->has_allocation_depth && o->allocation_depth;
    while (*end) {
        end = &(*end)->next;
    }
    *end = exp;
    return true;
}

static void unlist(NbdExport *exp)
{
    for (NbdExport **link = &nbd_exports; *link; link = &(*link)->next) {
        if (*link == exp) {
            *link = exp->next;
            return;
        }
    }
}

static void nbd_request_shutdown(BlockExport *common)
{
    NbdExport *exp = (NbdExport *)common;

    /* From here on nobody finds it. */
    unlist(exp);
    for (NbdClient *c = exp->clients; c; c = c->next_of_export) {
        nbd_client_shutdown(c);
    }
}

static bool nbd_in_use(BlockExport *common)
{
    return ((NbdExport *)common)->clients != NULL;
}

static void nbd_finalize(BlockExport *common)
{
    NbdExport *exp = (NbdExport *)common;

    assert(!exp->clients);
    unlist(exp);
    release_bitmaps(exp);
    g_free(exp->name);
    g_free(exp->description);
}

const BlockExportOps nbd_export_ops = {
    .type = BLOCK_EXPORT_TYPE_NBD,
    .instance_size = sizeof(NbdExport),
    .create = nbd_create,
    .request_shutdown = nbd_request_shutdown,
    .in_use = nbd_in_use,
    .finalize = nbd_finalize,
};
