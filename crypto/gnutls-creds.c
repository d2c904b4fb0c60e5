/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The module "crypto-gnutls": credentials from the files of a folder. Main
 * thread. Trusts the folder's owner.
 */
#include "util/osdep.h"
#include "crypto/gnutls-internal.h"

/* The path of @file in @dir when it can be read; NULL with @errp, or without if it may be missing. */
static bool find_file(const char *dir, const char *file, bool required, char **path, Error **errp)
{
    g_autofree char *name = g_build_filename(dir, file, NULL);

    *path = NULL;
    if (access(name, R_OK) < 0) {
        if (errno == ENOENT && !required) {
            return true;
        }
        error_setg(errp, "Unable to access credentials %s: %s", name, g_strerror(errno));
        return false;
    }
    *path = g_steal_pointer(&name);
    return true;
}

static bool failed(Error **errp, int ret, const char *what, const char *path)
{
    error_setg(errp, "Unable to load %s '%s': %s", what, path, gnutls_strerror(ret));
    return false;
}

static bool load_dh(TlsModuleCreds *c, const char *dir, Error **errp)
{
    g_autofree char *path = NULL;
    g_autofree char *text = NULL;
    g_autoptr(GError) gerr = NULL;
    gnutls_datum_t data;
    gsize len;
    int ret;

    if (!dir || !c->server || !find_file(dir, "dh-params.pem", false, &path, errp)) {
        return !dir || !c->server;
    }
    if (!path) {
        return true;
    }
    if (!g_file_get_contents(path, &text, &len, &gerr)) {
        error_setg(errp, "Unable to read DH parameters: %s", gerr->message);
        return false;
    }
    data = (gnutls_datum_t) { (unsigned char *)text, len };
    ret = gnutls_dh_params_init(&c->dh);
    if (ret >= 0) {
        ret = gnutls_dh_params_import_pkcs3(c->dh, &data, GNUTLS_X509_FMT_PEM);
    }
    return ret < 0 ? failed(errp, ret, "DH parameters", path) : true;
}

/* ---- anonymous ---- */

static bool load_anon(TlsModuleCreds *c, const TlsConfig *config, Error **errp)
{
    int ret;

    if (!c->server) {
        ret = gnutls_anon_allocate_client_credentials(&c->u.anon_client);
    } else {
        ret = gnutls_anon_allocate_server_credentials(&c->u.anon_server);
        if (ret >= 0 && c->dh) {
            gnutls_anon_set_server_dh_params(c->u.anon_server, c->dh);
        } else if (ret >= 0) {
            ret = gnutls_anon_set_server_known_dh_params(c->u.anon_server, GNUTLS_SEC_PARAM_MEDIUM);
        }
    }
    return ret < 0 ? failed(errp, ret, "anonymous credentials", "") : true;
}

/* ---- pre-shared keys ---- */

/* The hexadecimal key of @user in lines "user:key"; caller frees. */
static char *find_psk(const char *path, const char *user, Error **errp)
{
    g_autofree char *text = NULL;
    g_autofree char *start = g_strdup_printf("%s:", user);
    g_autoptr(GError) gerr = NULL;
    g_auto(GStrv) lines = NULL;
    char *key = NULL;
    gsize len;

    if (!g_file_get_contents(path, &text, &len, &gerr)) {
        error_setg(errp, "Unable to read keys: %s", gerr->message);
        return NULL;
    }
    lines = g_strsplit(text, "\n", -1);
    for (unsigned i = 0; !key && lines[i]; i++) {
        if (g_str_has_prefix(lines[i], start)) {
            key = g_strdup(g_strchomp(lines[i] + strlen(start)));
        }
        explicit_bzero(lines[i], strlen(lines[i]));
    }
    explicit_bzero(text, len);
    if (!key) {
        error_setg(errp, "Username %s not found in file %s", user, path);
    }
    return key;
}

static bool load_psk(TlsModuleCreds *c, const TlsConfig *config, Error **errp)
{
    g_autofree char *path = NULL;
    g_autofree char *key = NULL;
    gnutls_datum_t data;
    int ret;

    if (!find_file(config->dir, "keys.psk", true, &path, errp)) {
        return false;
    }
    if (c->server) {
        ret = gnutls_psk_allocate_server_credentials(&c->u.psk_server);
        if (ret >= 0) {
            ret = gnutls_psk_set_server_credentials_file(c->u.psk_server, path);
        }
        if (ret >= 0 && c->dh) {
            gnutls_psk_set_server_dh_params(c->u.psk_server, c->dh);
        } else if (ret >= 0) {
            ret = gnutls_psk_set_server_known_dh_params(c->u.psk_server, GNUTLS_SEC_PARAM_MEDIUM);
        }
    } else {
        key = find_psk(path, config->username, errp);
        if (!key) {
            return false;
        }
        data = (gnutls_datum_t) { (unsigned char *)key, strlen(key) };
        ret = gnutls_psk_allocate_client_credentials(&c->u.psk_client);
        if (ret >= 0) {
            ret = gnutls_psk_set_client_credentials(c->u.psk_client, config->username, &data, GNUTLS_PSK_KEY_HEX);
        }
        explicit_bzero(key, strlen(key));
    }
    return ret < 0 ? failed(errp, ret, "pre-shared keys", path) : true;
}

/* ---- certificates ---- */

static bool load_x509(TlsModuleCreds *c, const TlsConfig *config, Error **errp)
{
    g_autofree char *ca = NULL, *crl = NULL, *cert = NULL, *key = NULL;
    int ret;

    if (!find_file(config->dir, "ca-cert.pem", true, &ca, errp) ||
        !find_file(config->dir, "ca-crl.pem", false, &crl, errp) ||
        !find_file(config->dir, c->server ? "server-cert.pem" : "client-cert.pem", c->server, &cert, errp) ||
        !find_file(config->dir, c->server ? "server-key.pem" : "client-key.pem", c->server, &key, errp)) {
        return false;
    }
    if (!cert != !key) {
        error_setg(errp, "Credentials in %s need both client-cert.pem and client-key.pem, or none", config->dir);
        return false;
    }
    if (config->sanity_check && !gnutls_x509_sanity_check(ca, cert, c->server, errp)) {
        return false;
    }
    ret = gnutls_certificate_allocate_credentials(&c->u.x509);
    if (ret < 0) {
        return failed(errp, ret, "credentials", config->dir);
    }
    ret = gnutls_certificate_set_x509_trust_file(c->u.x509, ca, GNUTLS_X509_FMT_PEM);
    if (ret < 0) {
        return failed(errp, ret, "CA certificate", ca);
    }
    if (cert) {
        ret = gnutls_certificate_set_x509_key_file2(c->u.x509, cert, key, GNUTLS_X509_FMT_PEM, config->password, 0);
        if (ret < 0) {
            error_setg(errp, "Cannot load certificate '%s' & key '%s': %s", cert, key, gnutls_strerror(ret));
            return false;
        }
    }
    if (crl) {
        ret = gnutls_certificate_set_x509_crl_file(c->u.x509, crl, GNUTLS_X509_FMT_PEM);
        if (ret < 0) {
            return failed(errp, ret, "CRL", crl);
        }
    }
    if (c->server && c->dh) {
        gnutls_certificate_set_dh_params(c->u.x509, c->dh);
    } else if (c->server) {
        gnutls_certificate_set_known_dh_params(c->u.x509, GNUTLS_SEC_PARAM_MEDIUM);
    }
    return true;
}

/* ---- all ---- */

/* A priority string that GnuTLS does not understand is told now, not at the first client. */
static bool check_priority(const char *priority, Error **errp)
{
    gnutls_priority_t p;
    const char *where = NULL;
    int ret = gnutls_priority_init(&p, priority, &where);

    if (ret < 0) {
        error_setg(errp, "Unable to set TLS session priority '%s': %s at '%s'", priority, gnutls_strerror(ret),
                   where ? where : "");
        return false;
    }
    gnutls_priority_deinit(p);
    return true;
}

TlsModuleCreds *gnutls_creds_new(const TlsConfig *config, Error **errp)
{
    static const char *const additional[] = {
        [TLS_KIND_ANON] = ":+ANON-ECDH:+ANON-DH",
        [TLS_KIND_PSK] = ":+ECDHE-PSK:+DHE-PSK:+PSK",
        [TLS_KIND_X509] = "",
    };
    TlsModuleCreds *c = g_new0(TlsModuleCreds, 1);
    bool ok;

    c->kind = config->kind;
    c->server = config->server;
    c->verify_peer = config->verify_peer;
    c->priority = g_strconcat(config->priority ? config->priority : "NORMAL", additional[c->kind], NULL);
    ok = check_priority(c->priority, errp) && load_dh(c, config->dir, errp);
    if (ok) {
        ok = c->kind == TLS_KIND_ANON ? load_anon(c, config, errp) :
             c->kind == TLS_KIND_PSK ? load_psk(c, config, errp) : load_x509(c, config, errp);
    }
    if (!ok) {
        gnutls_creds_free(c);
        return NULL;
    }
    return c;
}

void gnutls_creds_free(TlsModuleCreds *c)
{
    if (c->u.x509) {    /* any of them */
        if (c->kind == TLS_KIND_X509) {
            gnutls_certificate_free_credentials(c->u.x509);
        } else if (c->kind == TLS_KIND_PSK && c->server) {
            gnutls_psk_free_server_credentials(c->u.psk_server);
        } else if (c->kind == TLS_KIND_PSK) {
            gnutls_psk_free_client_credentials(c->u.psk_client);
        } else if (c->server) {
            gnutls_anon_free_server_credentials(c->u.anon_server);
        } else {
            gnutls_anon_free_client_credentials(c->u.anon_client);
        }
    }
    if (c->dh) {
        gnutls_dh_params_deinit(c->dh);
    }
    g_free(c->priority);
    g_free(c);
}
