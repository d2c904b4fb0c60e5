/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Authorisation objects, see include/authz/authz.h. The file of an
 * authz-listfile is the administrator's; identities are the peers' and only
 * compared.
 */
#include "util/osdep.h"
#include <fnmatch.h>
#include <sys/stat.h>
#include "authz/authz.h"
#include "qapi-types.h"
#include "qom/object.h"

typedef struct Authz {
    Object obj;
} Authz;

typedef struct AuthzOps {
    /* 1: yes, 0: no, -1 with @errp: cannot tell */
    int (*is_allowed)(Authz *a, const char *identity, Error **errp);
} AuthzOps;

OBJECT_TYPE_STATIC(authz_type) = {
    .name = "authz",
    .parent = &object_type,
    .instance_size = sizeof(Authz),
    .abstract = true,
    .impls = TYPE_IMPLS({ &user_creatable_type, NULL }),
};

bool authz_exists(const char *id, Error **errp)
{
    return user_creatable_find(id, &authz_type, errp) != NULL;
}

bool authz_check(const char *id, const char *identity, Error **errp)
{
    Object *obj = user_creatable_find(id, &authz_type, errp);
    const AuthzOps *ops = obj ? object_ops(obj, &authz_type) : NULL;
    int allowed = ops ? ops->is_allowed((Authz *)obj, identity, errp) : -1;

    if (allowed == 0) {
        error_setg(errp, "Authorisation '%s' denies '%s'", id, identity);
    }
    return allowed > 0;
}

/* ---- authz-simple ---- */

typedef struct AuthzSimple {
    Authz parent;
    char *identity;
} AuthzSimple;

static const ObjectProperty simple_properties[] = {
    PROP_CLASS_STRING("identity", AuthzSimple, identity, "who is allowed"),
    PROP_END
};

static int simple_is_allowed(Authz *a, const char *identity, Error **errp)
{
    AuthzSimple *s = (AuthzSimple *)a;

    return s->identity && strcmp(s->identity, identity) == 0;
}

static const AuthzOps simple_ops = { .is_allowed = simple_is_allowed };

OBJECT_TYPE_STATIC(authz_simple_type) = {
    .name = "authz-simple",
    .parent = &authz_type,
    .instance_size = sizeof(AuthzSimple),
    .description = "one identity is allowed",
    .properties = simple_properties,
    .impls = TYPE_IMPLS({ &authz_type, &simple_ops }),
};

/* ---- authz-list ---- */

typedef struct AuthzList {
    Authz parent;
    int policy;
    QAuthZListRuleList *rules;
} AuthzList;

static int decide(QAuthZListPolicy policy, const QAuthZListRuleList *rules, const char *identity)
{
    for (; rules; rules = rules->next) {
        const QAuthZListRule *r = rules->value;
        bool glob = r->has_format && r->format == Q_AUTH_Z_LIST_FORMAT_GLOB;

        if (glob ? fnmatch(r->match, identity, 0) == 0 : strcmp(r->match, identity) == 0) {
            return r->policy == Q_AUTH_Z_LIST_POLICY_ALLOW;
        }
    }
    return policy == Q_AUTH_Z_LIST_POLICY_ALLOW;
}

static int list_is_allowed(Authz *a, const char *identity, Error **errp)
{
    AuthzList *s = (AuthzList *)a;

    return decide(s->policy, s->rules, identity);
}

static bool list_get_rules(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    *value = qapi_encode(&qapi_type_QAuthZListRuleList, ((AuthzList *)obj)->rules);
    return true;
}

static bool list_set_rules(Object *obj, const ObjectProperty *p, const JsonValue *value, Error **errp)
{
    AuthzList *s = (AuthzList *)obj;
    QAuthZListRuleList *rules = NULL;

    if (json_kind(value) != JSON_ARRAY || json_array_len(value)) {
        rules = qapi_decode(&qapi_type_QAuthZListRuleList, value, errp);
        if (!rules) {
            return false;
        }
    }
    qapi_free(&qapi_type_QAuthZListRuleList, s->rules);
    s->rules = rules;
    return true;
}

static void list_finalize(Object *obj)
{
    qapi_free(&qapi_type_QAuthZListRuleList, ((AuthzList *)obj)->rules);
}

static const ObjectProperty list_properties[] = {
    PROP_ENUM("policy", AuthzList, policy, &qapi_enum_QAuthZListPolicy, Q_AUTH_Z_LIST_POLICY_DENY,
              "when no rule matches"),
    PROP_CUSTOM("rules", "QAuthZListRule", list_get_rules, list_set_rules, PROP_RUNTIME,
                "the first that matches decides"),
    PROP_END
};

static const AuthzOps list_ops = { .is_allowed = list_is_allowed };

OBJECT_TYPE_STATIC(authz_list_type) = {
    .name = "authz-list",
    .parent = &authz_type,
    .instance_size = sizeof(AuthzList),
    .description = "a list of rules",
    .properties = list_properties,
    .instance_finalize = list_finalize,
    .impls = TYPE_IMPLS({ &authz_type, &list_ops }),
};

/* ---- authz-listfile ---- */

typedef struct AuthzListFile {
    Authz parent;
    char *filename;
    bool refresh;
    struct stat seen;           /* when it was read */
    AuthZListProperties *list;
} AuthzListFile;

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static bool listfile_load(AuthzListFile *s, Error **errp)
{
    g_autoptr(GError) gerr = NULL;
    g_autoptr(JsonValue) json = NULL;
    g_autofree char *text = NULL;
    AuthZListProperties *list;
    struct stat st;
    size_t len;

    if (stat(s->filename, &st) < 0) {
        error_setg_errno(errp, errno, "Unable to read authorisation list '%s'", s->filename);
        return false;
    }
    if (!g_file_get_contents(s->filename, &text, &len, &gerr)) {
        error_setg(errp, "Unable to read authorisation list '%s': %s", s->filename, gerr->message);
        return false;
    }
    json = json_parse(text, len, errp);
    list = json ? qapi_decode(&qapi_type_AuthZListProperties, json, errp) : NULL;
    if (!list) {
        error_prepend(errp, "Authorisation list '%s': ", s->filename);
        return false;
    }
    qapi_free_AuthZListProperties(s->list);
    s->list = list;
    s->seen = st;
    return true;
}

static int listfile_is_allowed(Authz *a, const char *identity, Error **errp)
{
    AuthzListFile *s = (AuthzListFile *)a;
    struct stat st;

    /* What is half-written or gone allows nobody. */
    if (s->refresh && (stat(s->filename, &st) < 0 || !same_file(&st, &s->seen)) && !listfile_load(s, errp)) {
        return -1;
    }
    return decide(s->list->has_policy ? s->list->policy : Q_AUTH_Z_LIST_POLICY_DENY, s->list->rules, identity);
}

static bool listfile_complete(Object *obj, Error **errp)
{
    AuthzListFile *s = (AuthzListFile *)obj;

    if (!s->filename) {
        error_setg(errp, "Parameter 'filename' is missing");
        return false;
    }
    return listfile_load(s, errp);
}

static void listfile_finalize(Object *obj)
{
    qapi_free_AuthZListProperties(((AuthzListFile *)obj)->list);
}

static const ObjectProperty listfile_properties[] = {
    PROP_CLASS_STRING("filename", AuthzListFile, filename, "a JSON file with policy and rules"),
    PROP_BOOL("refresh", AuthzListFile, refresh, true, "read it again when it changed"),
    PROP_END
};

static const AuthzOps listfile_ops = { .is_allowed = listfile_is_allowed };
static const UserCreatableOps listfile_creatable_ops = { .complete = listfile_complete };

OBJECT_TYPE_STATIC(authz_listfile_type) = {
    .name = "authz-listfile",
    .parent = &authz_type,
    .instance_size = sizeof(AuthzListFile),
    .description = "a list of rules in a file",
    .properties = listfile_properties,
    .instance_finalize = listfile_finalize,
    .impls = TYPE_IMPLS({ &authz_type, &listfile_ops }, { &user_creatable_type, &listfile_creatable_ops }),
};
