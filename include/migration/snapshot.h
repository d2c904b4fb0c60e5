/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Snapshots of the whole machine inside of its images (savevm, snapshot-save
 * and the others). Main thread with the machine lock, not in a coroutine.
 */
#ifndef MIGRATION_SNAPSHOT_H
#define MIGRATION_SNAPSHOT_H

#include "block/image.h"
#include "qapi-types.h"

typedef struct SnapshotArgs {
    const char *tag;
    const char *state_node;     /* which of them has the VM state; NULL: the first that can */
    bool has_devices;
    const StrList *devices;     /* node names; without: every writable disk */
} SnapshotArgs;

/*
 * The machine goes on as before, also after a failure. @tag NULL or empty: a name is made up. A
 * snapshot of that name is replaced (@overwrite), or an error.
 */
bool snapshot_save(const SnapshotArgs *a, bool overwrite, Error **errp);
/* Runs afterwards if it ran before. What fails on the way leaves the machine stopped (restore-vm). */
bool snapshot_load(const SnapshotArgs *a, Error **errp);
/* Where it is not there, nothing is to be deleted. */
bool snapshot_delete(const SnapshotArgs *a, Error **errp);

/* Of BlockNode, borrowed; the caller frees the array. */
GPtrArray *snapshot_default_nodes(void);
BlockNode *snapshot_state_node(const GPtrArray *nodes, const char *name, Error **errp);
/* The drive's name, else the node's; borrowed. */
const char *snapshot_device_name(BlockNode *bn);

#endif
