/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Internal snapshots and VM state, through the drivers' hooks; filters pass
 * them to the image below. Main thread, except the VM state functions (node's loop).
 */
#include "util/osdep.h"
#include "block/block-int.h"
#include "block/image.h"
#include "util/cutils.h"

typedef struct SnapshotWork {
    BlockNode *bn;
    BlockSnapshot *snapshot;
    const char *id, *name;
    Error **errp;
    int ret;
} SnapshotWork;

int block_snapshot_list(BlockNode *bn, BlockSnapshot **list)
{
    *list = NULL;
    bn = block_skip_filters(bn);
    return bn->drv->snapshot_list ? bn->drv->snapshot_list(bn, list) : -ENOTSUP;
}

int block_snapshot_find(BlockNode *bn, const char *id, const char *name, BlockSnapshot *found)
{
    g_autofree BlockSnapshot *list = NULL;
    int n = block_snapshot_list(bn, &list);

    for (int i = 0; i < n; i++) {
        if ((!id || !strcmp(list[i].id, id)) && (!name || !strcmp(list[i].name, name))) {
            *found = list[i];
            return 1;
        }
    }
    return MIN(n, 0);
}

char *block_snapshot_line(const SnapshotInfo *s, const char *id)
{
    g_autofree char *size = s ? format_size(s->vm_state_size) : NULL;
    g_autofree char *icount = s && s->has_icount ? g_strdup_printf("%" PRId64, s->icount) : g_strdup("");
    char when[64], clock[64];
    struct tm tm;
    time_t date;

    if (!s) {
        return g_strdup_printf("%-9s %-16s %8s%20s%13s%11s\n", "ID", "TAG", "VM SIZE", "DATE", "VM CLOCK",
                               "ICOUNT");
    }
    date = s->date_sec;
    localtime_r(&date, &tm);
    strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
    snprintf(clock, sizeof(clock), "%02d:%02d:%02d.%03d", (int)(s->vm_clock_sec / 3600),
             (int)(s->vm_clock_sec / 60 % 60), (int)(s->vm_clock_sec % 60),
             (int)(s->vm_clock_nsec / 1000000));
    return g_strdup_printf("%-9s %-16s %8s%20s%13s%11s\n", id, s->name, size, when, clock, icount);
}

static bool find_by_text(BlockNode *bn, const char *text, BlockSnapshot *found)
{
    return block_snapshot_find(bn, text, NULL, found) > 0 ||
           block_snapshot_find(bn, NULL, text, found) > 0;
}

static bool finish(const SnapshotWork *w, const char *what, Error *err)
{
    if (w->ret >= 0) {
        assert(!err);
        return true;
    }
    if (!err) {
        error_setg_errno(&err, -w->ret, "%s", what);
    }
    error_propagate(w->errp, err);
    return false;
}

static bool unsupported(BlockNode *bn, Error **errp)
{
    error_setg(errp, "Block format '%s' used by device '%s' does not support feature '%s'",
               bn->drv->name, bn->node_name, "internal snapshots");
    return false;
}

static void coroutine_fn create_entry(void *opaque)
{
    SnapshotWork *w = opaque;

    w->ret = block_co_flush(w->bn);
    if (w->ret >= 0) {
        w->ret = w->bn->drv->co_snapshot_create(w->bn, w->snapshot);
    }
}

bool block_snapshot_create(BlockNode *bn, BlockSnapshot *snapshot, Error **errp)
{
    SnapshotWork w = { .bn = block_skip_filters(bn), .snapshot = snapshot, .errp = errp };

    if (!w.bn->drv->co_snapshot_create) {
        return unsupported(w.bn, errp);
    }
    block_drain_begin(w.bn);
    block_run_coroutine(w.bn, create_entry, &w);
    block_drain_end(w.bn);
    return finish(&w, "Could not create snapshot", NULL);
}

static void coroutine_fn goto_entry(void *opaque)
{
    SnapshotWork *w = opaque;

    w->ret = w->bn->drv->co_snapshot_goto(w->bn, w->id);
    if (w->ret >= 0) {
        int64_t len = block_node_refresh_length(w->bn, true);

        w->ret = MIN(len, 0);
    }
}

bool block_snapshot_goto(BlockNode *bn, const char *id_or_name, Error **errp)
{
    SnapshotWork w = { .bn = block_skip_filters(bn), .errp = errp };
    BlockSnapshot found;

    if (!w.bn->drv->co_snapshot_goto) {
        return unsupported(w.bn, errp);
    }
    if (!find_by_text(bn, id_or_name, &found)) {
        error_setg_errno(errp, ENOENT, "Could not open snapshot");
        return false;
    }
    w.id = found.id;
    block_drain_begin(w.bn);
    block_run_coroutine(w.bn, goto_entry, &w);
    block_drain_end(w.bn);
    return finish(&w, "Could not open snapshot", NULL);
}

static void coroutine_fn delete_entry(void *opaque)
{
    SnapshotWork *w = opaque;

    w->ret = w->bn->drv->co_snapshot_delete(w->bn, w->id, w->name, w->errp);
}

bool block_snapshot_delete(BlockNode *bn, const char *id, const char *name, Error **errp)
{
    Error *err = NULL;
    SnapshotWork w = {
        .bn = block_skip_filters(bn), .id = id, .name = name, .errp = &err
    };
    bool ok;

    if (!w.bn->drv->co_snapshot_delete) {
        return unsupported(w.bn, errp);
    }
    block_drain_begin(w.bn);
    block_run_coroutine(w.bn, delete_entry, &w);
    block_drain_end(w.bn);
    w.errp = errp;
    ok = finish(&w, "Could not delete snapshot", err);
    return ok;
}

static void coroutine_fn load_entry(void *opaque)
{
    SnapshotWork *w = opaque;

    w->ret = w->bn->drv->co_snapshot_load_tmp(w->bn, w->id, w->name, w->errp);
    if (w->ret >= 0) {
        int64_t len = block_node_refresh_length(w->bn, true);

        w->ret = MIN(len, 0);
    }
}

bool block_snapshot_load_tmp(BlockNode *bn, const char *id_or_name, Error **errp)
{
    Error *err = NULL;
    SnapshotWork w = { .bn = block_skip_filters(bn), .errp = &err };
    BlockSnapshot found;

    if (!w.bn->drv->co_snapshot_load_tmp) {
        error_setg(errp, "Block format '%s' used by device '%s' does not support temporarily loading "
                   "internal snapshots", w.bn->drv->name, "");
        return false;
    }
    if (!find_by_text(bn, id_or_name, &found)) {
        error_setg(errp, "Can't find snapshot");
        return false;
    }
    w.id = found.id;
    w.name = found.name;
    block_run_coroutine(w.bn, load_entry, &w);
    w.errp = errp;
    return finish(&w, "Failed to load snapshot", err);
}

/* ---- VM state ---- */

int coroutine_fn block_co_vmstate_read(BlockNode *bn, IoVector *v, int64_t pos)
{
    int ret;

    bn = block_skip_filters(bn);
    if (!bn->drv->co_vmstate_read) {
        return -ENOTSUP;
    }
    block_node_inc_in_flight(bn);
    ret = bn->drv->co_vmstate_read(bn, v, pos);
    block_node_dec_in_flight(bn);
    return ret;
}

int coroutine_fn block_co_vmstate_write(BlockNode *bn, IoVector *v, int64_t pos)
{
    int ret;

    bn = block_skip_filters(bn);
    if (bn->read_only || bn->inactive) {
        return -EPERM;
    }
    if (!bn->drv->co_vmstate_write) {
        return -ENOTSUP;
    }
    block_node_inc_in_flight(bn);
    ret = bn->drv->co_vmstate_write(bn, v, pos);
    bn->write_gen++;
    block_node_dec_in_flight(bn);
    return ret;
}
