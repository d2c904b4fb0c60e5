/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Moving a machine: to a file, a command, another process. See
 * docs/devel/migration.md. Main thread with the machine lock.
 */
#ifndef MIGRATION_MIGRATION_H
#define MIGRATION_MIGRATION_H

#include <stdbool.h>
#include "util/error.h"

/* Register the state that belongs to no device. Once, before the machine runs. */
void migration_init(void);
/* -incoming: @uri, or "defer". The machine is complete. @autostart: run the guest then, if it ran at the source. */
bool migration_incoming_start(const char *uri, bool autostart, Error **errp);
/* cont while the machine is awaited: it runs as soon as it is here. */
void migration_incoming_set_autostart(void);
/* The process ends: give up what is going on. */
void migration_shut_down(void);
/* No outgoing migration is going on. */
bool migration_idle(void);

/*
 * While there is a blocker, the machine cannot be moved; @reason (copied) is shown to
 * users. Returns a handle; NULL with @errp while a migration is going on.
 */
typedef struct MigrationBlocker MigrationBlocker;
MigrationBlocker *migration_blocker_add(const char *reason, Error **errp);
/* From now on nothing may prevent migration (-only-migratable). */
void migration_allow_no_blocker(void);
void migration_blocker_del(MigrationBlocker *blocker);

/*
 * Called at turns of an outgoing migration: tracking of guest memory begins or ends
 * (balloon free-page hints). @fn may be called from the migration's thread with the machine lock.
 */
typedef enum MigrationTurn {
    MIGRATION_TRACKING_BEGINS,
    MIGRATION_FETCH_BEGINS,     /* the accelerator's dirty log is about to be fetched */
    MIGRATION_PASS_BEGINS,      /* it was */
    MIGRATION_TRACKING_ENDS,
} MigrationTurn;
typedef void MigrationTurnFunc(MigrationTurn turn, void *opaque);
void migration_notify(MigrationTurnFunc *fn, void *opaque);
void migration_unnotify(MigrationTurnFunc *fn, void *opaque);

#endif
