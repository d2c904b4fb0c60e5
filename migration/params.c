/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Capabilities and parameters of migrations. Main thread. */
#include "util/osdep.h"
#include "migration/migration-internal.h"
#include "qapi-commands.h"

#define DOWNTIME_MAX_MS (2000 * 1000)
#define ANNOUNCE_MS_MAX 100000
#define ANNOUNCE_ROUNDS_MAX 1000
#define ANNOUNCE_STEP_MAX 10000

static bool capabilities[MIGRATION_CAPABILITY__MAX];

MigrationParameters migration_params = {
    .has_announce_initial = true, .announce_initial = 50,
    .has_announce_max = true, .announce_max = 550,
    .has_announce_rounds = true, .announce_rounds = 5,
    .has_announce_step = true, .announce_step = 100,
    .has_max_bandwidth = true, .max_bandwidth = 128 * MIB,
    .has_downtime_limit = true, .downtime_limit = 300,
};

bool migration_cap(MigrationCapability cap)
{
    return capabilities[cap];
}

bool qmp_migrate_set_capabilities(const QmpMigrateSetCapabilitiesArgs *args, Error **errp)
{
    if (!migration_idle()) {
        error_setg(errp, "There's a migration process in progress");
        return false;
    }
    for (MigrationCapabilityStatusList *l = args->capabilities; l; l = l->next) {
        capabilities[l->value->capability] = l->value->state;
    }
    return true;
}

MigrationCapabilityStatusList *qmp_query_migrate_capabilities(Error **errp)
{
    MigrationCapabilityStatusList *head = NULL, **tail = &head;

    for (int i = 0; i < MIGRATION_CAPABILITY__MAX; i++) {
        MigrationCapabilityStatusList *cell = g_new0(MigrationCapabilityStatusList, 1);

        cell->value = g_new0(MigrationCapabilityStatus, 1);
        cell->value->capability = i;
        cell->value->state = capabilities[i];
        *tail = cell;
        tail = &cell->next;
    }
    return head;
}

/* ---- parameters ---- */

static bool check_max(bool given, const char *name, uint64_t value, uint64_t max, Error **errp)
{
    if (given && value > max) {
        error_setg(errp, "Parameter '%s' expects a value between 0 and %" PRIu64, name, max);
        return false;
    }
    return true;
}

/* The text; null means empty. */
static const char *text_of(const StrOrNull *v)
{
    return v->type == QAPI_ALT_STR ? v->u.s : "";
}

static bool check_tls(const MigrateSetParameters *p, Error **errp)
{
    if ((p->tls_creds && *text_of(p->tls_creds)) || (p->tls_authz && *text_of(p->tls_authz))) {
        error_setg(errp, "Migration over TLS is not supported: tls-creds and tls-authz must be empty");
        return false;
    }
    return true;
}

static bool check_params(const MigrateSetParameters *p, Error **errp)
{
    if (p->has_downtime_limit && p->downtime_limit > DOWNTIME_MAX_MS) {
        error_setg(errp, "Parameter 'downtime_limit' expects an integer in the range of 0 to (2000 * 1000) ms");
        return false;
    }
    return check_max(p->has_announce_initial, "announce_initial", p->announce_initial, ANNOUNCE_MS_MAX, errp) &&
           check_max(p->has_announce_max, "announce_max", p->announce_max, ANNOUNCE_MS_MAX, errp) &&
           check_max(p->has_announce_rounds, "announce_rounds", p->announce_rounds, ANNOUNCE_ROUNDS_MAX, errp) &&
           check_max(p->has_announce_step, "announce_step", p->announce_step, ANNOUNCE_STEP_MAX, errp) &&
           check_tls(p, errp);
}

bool qmp_migrate_set_parameters(const MigrateSetParameters *p, Error **errp)
{
    MigrationParameters *m = &migration_params;

    if (!check_params(p, errp)) {
        return false;
    }
    m->announce_initial = p->has_announce_initial ? p->announce_initial : m->announce_initial;
    m->announce_max = p->has_announce_max ? p->announce_max : m->announce_max;
    m->announce_rounds = p->has_announce_rounds ? p->announce_rounds : m->announce_rounds;
    m->announce_step = p->has_announce_step ? p->announce_step : m->announce_step;
    m->max_bandwidth = p->has_max_bandwidth ? p->max_bandwidth : m->max_bandwidth;
    m->downtime_limit = p->has_downtime_limit ? p->downtime_limit : m->downtime_limit;
    if (p->tls_hostname) {
        g_free(m->tls_hostname);
        m->tls_hostname = g_strdup(text_of(p->tls_hostname));
    }
    migration_outgoing_params_changed();
    return true;
}

MigrationParameters *qmp_query_migrate_parameters(Error **errp)
{
    MigrationParameters *p = qapi_clone(&qapi_type_MigrationParameters, &migration_params);

    p->tls_creds = g_strdup("");
    p->tls_authz = g_strdup("");
    if (!p->tls_hostname) {
        p->tls_hostname = g_strdup("");
    }
    return p;
}
