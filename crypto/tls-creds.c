/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TLS credentials objects: their properties; what they mean is known to the
 * module "crypto-gnutls". Main thread.
 */
#include "util/osdep.h"
#include "crypto/secret.h"
#include "crypto/tls-module.h"
#include "util/module.h"

#define TLS_DEFAULT_USER "qemu"

struct TlsCreds {
    Object obj;
    int endpoint;
    bool verify_peer, loaded;
    char *dir, *priority;
    TlsModuleCreds *creds;
};

static const TlsOps *ops;

const TlsOps *tls_ops(void)
{
    return ops;
}

TlsModuleCreds *tls_creds_module_creds(TlsCreds *creds)
{
    return creds->creds;
}

static bool load(TlsCreds *s, TlsConfig *config, Error **errp)
{
    if (!s->dir && config->kind != TLS_KIND_ANON) {
        error_setg(errp, "Missing 'dir' property value");
        return false;
    }
    if (!ops) {
        ops = module_load("crypto-gnutls", errp);
        if (!ops) {
            return false;
        }
    }
    config->server = s->endpoint == Q_CRYPTO_TLS_CREDS_ENDPOINT_SERVER;
    config->verify_peer = s->verify_peer;
    config->dir = s->dir;
    config->priority = s->priority;
    s->creds = ops->creds_new(config, errp);
    return s->creds != NULL;
}

static void creds_finalize(Object *obj)
{
    TlsCreds *s = (TlsCreds *)obj;

    if (s->creds) {
        ops->creds_free(s->creds);
    }
}

static bool creds_can_be_deleted(Object *obj)
{
    return obj->refs == 1;
}

static const ObjectProperty creds_properties[] = {
    PROP_BOOL("loaded", TlsCreds, loaded, false, "accepted for old scripts; no effect"),
    PROP_BOOL("verify-peer", TlsCreds, verify_peer, true, "refuse peers without valid credentials"),
    PROP_CLASS_STRING("dir", TlsCreds, dir, "folder with the credentials' files"),
    PROP_ENUM("endpoint", TlsCreds, endpoint, &qapi_enum_QCryptoTLSCredsEndpoint,
              Q_CRYPTO_TLS_CREDS_ENDPOINT_CLIENT, "which end they are for"),
    PROP_CLASS_STRING("priority", TlsCreds, priority, "priority string for GnuTLS"),
    PROP_END
};

OBJECT_TYPE_STATIC(tls_creds_type) = {
    .name = "tls-creds",
    .parent = &object_type,
    .instance_size = sizeof(TlsCreds),
    .abstract = true,
    .properties = creds_properties,
    .instance_finalize = creds_finalize,
};

/* ---- tls-creds-anon ---- */

static bool anon_complete(Object *obj, Error **errp)
{
    TlsConfig config = { .kind = TLS_KIND_ANON };

    return load((TlsCreds *)obj, &config, errp);
}

static const UserCreatableOps anon_creatable_ops = {
    .complete = anon_complete,
    .can_be_deleted = creds_can_be_deleted,
};

OBJECT_TYPE_STATIC(tls_creds_anon_type) = {
    .name = "tls-creds-anon",
    .parent = &tls_creds_type,
    .instance_size = sizeof(TlsCreds),
    .description = "TLS without proof of who the peer is",
    .impls = TYPE_IMPLS({ &user_creatable_type, &anon_creatable_ops }),
};

/* ---- tls-creds-psk ---- */

typedef struct TlsCredsPsk {
    TlsCreds parent;
    char *username;
} TlsCredsPsk;

static bool psk_complete(Object *obj, Error **errp)
{
    TlsCredsPsk *s = (TlsCredsPsk *)obj;
    TlsConfig config = { .kind = TLS_KIND_PSK, .username = s->username ? s->username : TLS_DEFAULT_USER };

    if (s->username && s->parent.endpoint == Q_CRYPTO_TLS_CREDS_ENDPOINT_SERVER) {
        error_setg(errp, "username should not be set when endpoint is server");
        return false;
    }
    return load(&s->parent, &config, errp);
}

static const ObjectProperty psk_properties[] = {
    PROP_CLASS_STRING("username", TlsCredsPsk, username, "which key the client uses (qemu)"),
    PROP_END
};

static const UserCreatableOps psk_creatable_ops = {
    .complete = psk_complete,
    .can_be_deleted = creds_can_be_deleted,
};

OBJECT_TYPE_STATIC(tls_creds_psk_type) = {
    .name = "tls-creds-psk",
    .parent = &tls_creds_type,
    .instance_size = sizeof(TlsCredsPsk),
    .description = "TLS with a key that both ends know",
    .properties = psk_properties,
    .impls = TYPE_IMPLS({ &user_creatable_type, &psk_creatable_ops }),
};

/* ---- tls-creds-x509 ---- */

typedef struct TlsCredsX509 {
    TlsCreds parent;
    bool sanity_check;
    char *passwordid;
} TlsCredsX509;

static bool x509_complete(Object *obj, Error **errp)
{
    TlsCredsX509 *s = (TlsCredsX509 *)obj;
    TlsConfig config = { .kind = TLS_KIND_X509, .sanity_check = s->sanity_check };
    char *password = NULL;
    bool ok;

    if (s->passwordid) {
        password = secret_lookup_utf8(s->passwordid, errp);
        if (!password) {
            return false;
        }
    }
    config.password = password;
    ok = load(&s->parent, &config, errp);
    if (password) {
        secret_free(password, strlen(password));
    }
    return ok;
}

static const ObjectProperty x509_properties[] = {
    PROP_BOOL("sanity-check", TlsCredsX509, sanity_check, true, "check the certificates before use"),
    PROP_CLASS_STRING("passwordid", TlsCredsX509, passwordid, "the secret that decrypts the private key"),
    PROP_END
};

static const UserCreatableOps x509_creatable_ops = {
    .complete = x509_complete,
    .can_be_deleted = creds_can_be_deleted,
};

OBJECT_TYPE_STATIC(tls_creds_x509_type) = {
    .name = "tls-creds-x509",
    .parent = &tls_creds_type,
    .instance_size = sizeof(TlsCredsX509),
    .description = "TLS with certificates",
    .properties = x509_properties,
    .impls = TYPE_IMPLS({ &user_creatable_type, &x509_creatable_ops }),
};

/* ---- users ---- */

TlsCreds *tls_creds_get(const char *id, QCryptoTLSCredsEndpoint endpoint, Error **errp)
{
    Object *obj = object_child(object_objects_root(), id);
    TlsCreds *s = obj ? object_cast_or_null(obj, &tls_creds_type) : NULL;

    if (!obj) {
        error_setg(errp, "No TLS credentials with id '%s'", id);
        return NULL;
    }
    if (!s) {
        error_setg(errp, "Object with id '%s' is not TLS credentials", id);
        return NULL;
    }
    if (s->endpoint != (int)endpoint) {
        error_setg(errp, "Expecting TLS credentials with a %s endpoint", QCryptoTLSCredsEndpoint_str(endpoint));
        return NULL;
    }
    object_ref(s);
    return s;
}

bool tls_creds_need_hostname(const TlsCreds *creds)
{
    return object_is_a(creds, &tls_creds_x509_type) && creds->verify_peer;
}
