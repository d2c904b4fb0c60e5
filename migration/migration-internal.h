/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of migration/ share. All of it belongs to the main thread
 * with the machine lock, except where said.
 */
#ifndef MIGRATION_INTERNAL_H
#define MIGRATION_INTERNAL_H

#include "migration/migration.h"
#include "migration/ram.h"
#include "migration/record.h"
#include "migration/state.h"
#include "qapi-types.h"

/* ---- params.c ---- */

bool migration_cap(MigrationCapability cap);
/* The current ones. */
extern MigrationParameters migration_params;

/* ---- channel.c ---- */

typedef enum MigrationUriKind {
    MIGRATION_URI_FD, MIGRATION_URI_FILE, MIGRATION_URI_EXEC, MIGRATION_URI_SOCKET,
} MigrationUriKind;

typedef struct MigrationUri {
    MigrationUriKind kind;
    const char *rest;           /* after the scheme; of the parsed text */
    SocketAddress *address;
} MigrationUri;

bool migration_uri_parse(const char *text, MigrationUri *uri, Error **errp);
void migration_uri_clear(MigrationUri *uri);
/* For the kinds that are there at once: not sockets. */
IoChannel *migration_uri_open(const MigrationUri *uri, bool incoming, Error **errp);

/* ---- config.c: the first record, and the sections ---- */

/* Whether this machine is the one that @config describes. */
bool migration_config_check(const JsonValue *config, Error **errp);

/* All state, each section a GBytes as its record; and the description's text. Main thread, machine stopped. */
GPtrArray *migration_save_sections(GString **description);
/* A record's content as it was read; kept for the load. */
typedef struct IncomingSection {
    char *id;
    uint32_t instance;
    uint8_t *data;              /* all of the record; freed with it */
    const uint8_t *state;       /* the table's part of @data */
    size_t len;
} IncomingSection;
/* Takes over @data in any case. */
IncomingSection *migration_section_parse(char *data, size_t len, Error **errp);
void migration_section_free(void *section);
/* @sections: of IncomingSection. Nothing may be missing or left over. Then the vCPUs get their registers. */
bool migration_load_machine(GPtrArray *sections, Error **errp);

/* The head of the stream and the configuration; any thread. */
bool migration_send_head(RecordChannel *rc, bool return_path, Error **errp);
/* All that comes after RAM: what migration_save_sections() gave, the run state; any thread. */
bool migration_send_machine(RecordChannel *rc, const GPtrArray *sections, const GString *description,
                            RunState state, Error **errp);

/* ---- read.c ---- */

typedef struct StreamReader {
    RecordChannel rc;
    RamReceiver ram;
    GPtrArray *sections;        /* of IncomingSection */
    bool return_path;
    RunState state;             /* the source's */
} StreamReader;

/* @cancel may be NULL. */
bool stream_reader_init(StreamReader *r, IoChannel *ch, EventNotifier *cancel, Error **errp);
bool stream_reader_run(StreamReader *r, Error **errp);
void stream_reader_cleanup(StreamReader *r);

/* ---- outgoing.c, incoming.c ---- */

/* MIGRATION, where the client asked for it. */
void migration_send_status(MigrationStatus status);
bool migration_outgoing_idle(void);
/* False with the reason of the first blocker. */
bool migration_check_unblocked(Error **errp);
bool migration_outgoing_happened(void);
void migration_outgoing_shut_down(void);
void migration_outgoing_query(MigrationInfo *info);
void migration_outgoing_params_changed(void);
bool migration_incoming_query(MigrationInfo *info);     /* false: there was none */

#endif
