/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The module "crypto-gnutls": are our own certificates (RFC 5280) of a kind
 * that a peer will accept? Better told when the credentials are made than by
 * every client that fails. Main thread.
 */
#include "util/osdep.h"
#include <gnutls/x509.h>
#include "crypto/gnutls-internal.h"

typedef struct CertList {
    gnutls_x509_crt_t *certs;
    unsigned count;
} CertList;

static void cert_list_free(CertList *l)
{
    for (unsigned i = 0; i < l->count; i++) {
        gnutls_x509_crt_deinit(l->certs[i]);
    }
    gnutls_free(l->certs);
}

static bool cert_list_load(CertList *l, const char *path, Error **errp)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) gerr = NULL;
    gnutls_datum_t data;
    gsize len;
    int ret;

    if (!g_file_get_contents(path, &text, &len, &gerr)) {
        error_setg(errp, "Cannot read certificate: %s", gerr->message);
        return false;
    }
    data = (gnutls_datum_t) { (unsigned char *)text, len };
    ret = gnutls_x509_crt_list_import2(&l->certs, &l->count, &data, GNUTLS_X509_FMT_PEM, 0);
    if (ret < 0) {
        error_setg(errp, "Unable to import certificate %s: %s", path, gnutls_strerror(ret));
        return false;
    }
    return true;
}

static bool check_times(gnutls_x509_crt_t cert, const char *path, bool is_ca, Error **errp)
{
    const char *what = is_ca ? "CA certificate" : "certificate";
    time_t now = time(NULL);

    if (gnutls_x509_crt_get_expiration_time(cert) < now) {
        error_setg(errp, "The %s %s has expired", what, path);
        return false;
    }
    if (gnutls_x509_crt_get_activation_time(cert) > now) {
        error_setg(errp, "The %s %s is not yet active", what, path);
        return false;
    }
    return true;
}

static bool check_basic_constraints(gnutls_x509_crt_t cert, const char *path, bool is_ca, Error **errp)
{
    int ret = gnutls_x509_crt_get_basic_constraints(cert, NULL, NULL, NULL);

    if (ret > 0 && !is_ca) {
        error_setg(errp, "The certificate %s basic constraints show a CA, but we need one for a %s", path,
                   "client or server");
        return false;
    }
    if (ret <= 0 && is_ca) {
        error_setg(errp, "The certificate %s basic constraints do not show a CA", path);
        return false;
    }
    return true;
}

static bool check_usage(gnutls_x509_crt_t cert, const char *path, bool is_ca, Error **errp)
{
    unsigned usage = 0, critical = 0;
    int ret = gnutls_x509_crt_get_key_usage(cert, &usage, &critical);

    if (ret < 0) {
        if (ret != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) {
            error_setg(errp, "Unable to query certificate %s key usage: %s", path, gnutls_strerror(ret));
            return false;
        }
        return true;            /* without the extension everything is allowed */
    }
    if (is_ca && !(usage & GNUTLS_KEY_KEY_CERT_SIGN) && critical) {
        error_setg(errp, "Certificate %s usage does not permit certificate signing", path);
        return false;
    }
    if (!is_ca && !(usage & GNUTLS_KEY_DIGITAL_SIGNATURE) && critical) {
        error_setg(errp, "Certificate %s usage does not permit digital signature", path);
        return false;
    }
    return true;
}

static bool check_purpose(gnutls_x509_crt_t cert, const char *path, bool server, Error **errp)
{
    const char *wanted = server ? GNUTLS_KP_TLS_WWW_SERVER : GNUTLS_KP_TLS_WWW_CLIENT;
    bool any_critical = false, allowed = false;
    unsigned i;

    for (i = 0;; i++) {
        char oid[128];
        size_t len = sizeof(oid);
        unsigned critical = 0;
        int ret = gnutls_x509_crt_get_key_purpose_oid(cert, i, oid, &len, &critical);

        if (ret == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) {
            break;
        }
        if (ret < 0) {
            error_setg(errp, "Unable to query certificate %s key purpose: %s", path, gnutls_strerror(ret));
            return false;
        }
        any_critical |= critical;
        allowed |= strcmp(oid, wanted) == 0 || strcmp(oid, GNUTLS_KP_ANY) == 0;
    }
    if (i && !allowed && any_critical) {
        error_setg(errp, "Certificate %s purpose does not allow use with a TLS %s", path,
                   server ? "server" : "client");
        return false;
    }
    return true;
}

static bool check_pair(const CertList *own, const CertList *ca, const char *cert_file, const char *ca_file,
                       Error **errp)
{
    unsigned status = 0;
    int ret = gnutls_x509_crt_list_verify(own->certs, own->count, ca->certs, ca->count, NULL, 0, 0, &status);
    const char *reason = "Invalid certificate";

    if (ret < 0) {
        error_setg(errp, "Unable to verify certificate %s against CA certificate %s: %s", cert_file, ca_file,
                   gnutls_strerror(ret));
        return false;
    }
    if (!status) {
        return true;
    }
    if (status & GNUTLS_CERT_INSECURE_ALGORITHM) {
        reason = "The certificate uses an insecure algorithm";
    } else if (status & GNUTLS_CERT_REVOKED) {
        reason = "The certificate has been revoked";
    } else if (status & GNUTLS_CERT_SIGNER_NOT_FOUND) {
        reason = "The certificate hasn't got a known issuer";
    } else if (status & GNUTLS_CERT_EXPIRED) {
        reason = "The certificate has expired";
    }
    error_setg(errp, "Our own certificate %s failed validation against %s: %s", cert_file, ca_file, reason);
    return false;
}

bool gnutls_x509_sanity_check(const char *ca_file, const char *cert_file, bool server, Error **errp)
{
    CertList ca = { 0 }, own = { 0 };
    bool ok = cert_list_load(&ca, ca_file, errp) && (!cert_file || cert_list_load(&own, cert_file, errp));

    for (unsigned i = 0; ok && i < ca.count; i++) {
        ok = check_times(ca.certs[i], ca_file, true, errp) &&
             check_basic_constraints(ca.certs[i], ca_file, true, errp) &&
             check_usage(ca.certs[i], ca_file, true, errp);
    }
    if (ok && cert_file) {
        ok = own.count && check_times(own.certs[0], cert_file, false, errp) &&
             check_basic_constraints(own.certs[0], cert_file, false, errp) &&
             check_usage(own.certs[0], cert_file, false, errp) &&
             check_purpose(own.certs[0], cert_file, server, errp) &&
             check_pair(&own, &ca, cert_file, ca_file, errp);
    }
    cert_list_free(&ca);
    cert_list_free(&own);
    return ok;
}
