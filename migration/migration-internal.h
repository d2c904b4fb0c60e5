/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of migration/ share. All of it belongs to the main thread
 * with the machine lock, except where said.
 */
#ifndef MIGRATION_INTERNAL_H
#define MIGRATION_INTERNAL_H

#include "migration/migration.h"
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

/* Caller frees the text. */
GString *migration_config_text(bool return_path);
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
/* @sections: of IncomingSection. Nothing may be missing or left over. */
bool migration_load_sections(GPtrArray *sections, Error **errp);

/* ---- outgoing.c, incoming.c ---- */

/* MIGRATION, where the client asked for it. */
void migration_send_status(MigrationStatus status);
bool migration_outgoing_idle(void);
bool migration_outgoing_happened(void);
void migration_outgoing_shut_down(void);
void migration_outgoing_query(MigrationInfo *info);
void migration_outgoing_params_changed(void);
bool migration_incoming_query(MigrationInfo *info);     /* false: there was none */

#endif
