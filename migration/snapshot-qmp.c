/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ways to snapshots of the machine: QMP jobs, human monitor commands.
 *
 * Main thread with the machine lock. A job's coroutine only waits for the work,
 * which drains and so must not be in a coroutine.
 */
#include "util/osdep.h"
#include "block/block-backend.h"
#include "block/job.h"
#include "migration/snapshot.h"
#include "monitor/hmp.h"
#include "qapi-commands.h"
#include "util/event-loop.h"

/* ---- jobs ---- */

typedef struct SnapshotJob {
    Job job;
    char *tag, *state_node;
    StrList *devices;
    Coroutine *co;
    bool ok;
    Error **errp;
} SnapshotJob;

static void job_work(void *opaque)
{
    SnapshotJob *s = opaque;
    SnapshotArgs a = { s->tag, s->state_node, true, s->devices };

    switch (s->job.driver->type) {
    case JOB_TYPE_SNAPSHOT_SAVE:
        s->ok = snapshot_save(&a, false, s->errp);
        break;
    case JOB_TYPE_SNAPSHOT_LOAD:
        s->ok = snapshot_load(&a, s->errp);
        break;
    default:
        s->ok = snapshot_delete(&a, s->errp);
        break;
    }
    job_progress_add(&s->job, 1);
    coroutine_wake(s->co);
}

static int coroutine_fn job_run(Job *job, Error **errp)
{
    SnapshotJob *s = container_of(job, SnapshotJob, job);

    job_progress_set_remaining(job, 1);
    s->co = coroutine_self();
    s->errp = errp;
    event_loop_run_soon(event_loop_main(), job_work, s);
    coroutine_yield();
    return s->ok ? 0 : -EIO;
}

static void free_job(Job *job)
{
    SnapshotJob *s = container_of(job, SnapshotJob, job);

    g_free(s->tag);
    g_free(s->state_node);
    qapi_free_StrList(s->devices);
}

static bool start_job(const JobDriver *driver, const char *id, const char *tag, const char *state_node,
                      const StrList *devices, Error **errp)
{
    SnapshotJob *s = job_new(id, driver, NULL, event_loop_main(), JOB_MANUAL_DISMISS, errp);
    StrList **tail;

    if (!s) {
        return false;
    }
    s->tag = g_strdup(tag);
    s->state_node = g_strdup(state_node);
    tail = &s->devices;
    for (; devices; devices = devices->next) {
        *tail = g_new0(StrList, 1);
        (*tail)->value = g_strdup(devices->value);
        tail = &(*tail)->next;
    }
    job_start(&s->job);
    return true;
}

#define DRIVER(kind) { .type = (kind), .instance_size = sizeof(SnapshotJob), .run = job_run, .free = free_job }
static const JobDriver save_driver = DRIVER(JOB_TYPE_SNAPSHOT_SAVE);
static const JobDriver load_driver = DRIVER(JOB_TYPE_SNAPSHOT_LOAD);
static const JobDriver delete_driver = DRIVER(JOB_TYPE_SNAPSHOT_DELETE);

bool qmp_snapshot_save(const QmpSnapshotSaveArgs *a, Error **errp)
{
    return start_job(&save_driver, a->job_id, a->tag, a->vmstate, a->devices, errp);
}

bool qmp_snapshot_load(const QmpSnapshotLoadArgs *a, Error **errp)
{
    return start_job(&load_driver, a->job_id, a->tag, a->vmstate, a->devices, errp);
}

bool qmp_snapshot_delete(const QmpSnapshotDeleteArgs *a, Error **errp)
{
    return start_job(&delete_driver, a->job_id, a->tag, NULL, a->devices, errp);
}

/* ---- human monitor ---- */

static bool run_savevm(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    return snapshot_save(&(SnapshotArgs){ .tag = hmp_string(args, "name") }, true, errp);
}

static bool run_loadvm(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    return snapshot_load(&(SnapshotArgs){ .tag = hmp_string(args, "name") }, errp);
}

static bool run_delvm(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    return snapshot_delete(&(SnapshotArgs){ .tag = hmp_string(args, "name") }, errp);
}

static void print_heading(Hmp *hmp)
{
    g_autofree char *heading = block_snapshot_line(NULL, NULL);

    hmp_puts(hmp, heading);
}

static void print_snapshot(Hmp *hmp, const SnapshotInfo *s, const char *id)
{
    g_autofree char *line = block_snapshot_line(s, id);

    hmp_puts(hmp, line);
}

static bool is_everywhere(const GPtrArray *nodes, const char *name)
{
    BlockSnapshot found;

    for (guint i = 0; i < nodes->len; i++) {
        if (block_snapshot_find(nodes->pdata[i], NULL, name, &found) <= 0) {
            return false;
        }
    }
    return true;
}

/* Those of @bn that are on all disks; or those that are not, under a heading. */
static unsigned print_some(Hmp *hmp, const GPtrArray *nodes, BlockNode *bn, bool everywhere)
{
    g_autoptr(ImageInfo) info = block_query_image(block_skip_filters(bn), false, NULL);
    unsigned count = 0;

    for (const SnapshotInfoList *l = info ? info->snapshots : NULL; l; l = l->next) {
        if (is_everywhere(nodes, l->value->name) != everywhere) {
            continue;
        }
        if (!count++) {
            if (!everywhere) {
                hmp_printf(hmp, "\nList of partial (non-loadable) snapshots on '%s':\n",
                           snapshot_device_name(bn));
            }
            print_heading(hmp);
        }
        print_snapshot(hmp, l->value, everywhere ? "--" : l->value->id);
    }
    return count;
}

static bool info_snapshots(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    g_autoptr(GPtrArray) nodes = snapshot_default_nodes();
    g_autoptr(Error) err = NULL;
    BlockNode *bn = snapshot_state_node(nodes, NULL, &err);
    bool any = false;

    if (!bn) {
        hmp_printf(hmp, "%s\n", error_message(err));
        return true;
    }
    for (guint i = 0; i < nodes->len; i++) {
        g_autofree BlockSnapshot *list = NULL;

        any = block_snapshot_list(nodes->pdata[i], &list) > 0 || any;
    }
    if (!any) {
        hmp_puts(hmp, "There is no snapshot available.\n");
        return true;
    }
    hmp_puts(hmp, "List of snapshots present on all disks:\n");
    if (!print_some(hmp, nodes, bn, true)) {
        hmp_puts(hmp, "None\n");
    }
    for (guint i = 0; i < nodes->len; i++) {
        print_some(hmp, nodes, nodes->pdata[i], false);
    }
    return true;
}

static void complete_tag(HmpCompletion *c)
{
    g_autoptr(GPtrArray) nodes = snapshot_default_nodes();
    g_autofree BlockSnapshot *list = NULL;
    BlockNode *bn = snapshot_state_node(nodes, NULL, NULL);
    int n = bn ? block_snapshot_list(bn, &list) : 0;

    for (int i = 0; i < n; i++) {
        hmp_completion_add(c, list[i].name);
    }
}

HMP_COMMANDS(snapshot_commands) = {
    { "savevm", "tag", "save a VM snapshot. If no tag is provided, a new snapshot is created",
      HMP_ARGS({ "name", HMP_STRING, .optional = true }), run_savevm },
    { "loadvm", "tag", "restore a VM snapshot from its tag",
      HMP_ARGS({ "name", HMP_STRING, .complete = complete_tag }), run_loadvm },
    { "delvm", "tag", "delete a VM snapshot from its tag",
      HMP_ARGS({ "name", HMP_STRING, .complete = complete_tag }), run_delvm },
    HMP_END
};

HMP_INFO(snapshot_info) = {
    { "snapshots", "", "show the currently saved VM snapshots", NULL, info_snapshots },
    HMP_END
};
