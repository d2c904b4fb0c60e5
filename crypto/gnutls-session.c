/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The module "crypto-gnutls": TLS sessions.
 *
 * Thread: one at a time for each session. Trust: GnuTLS parses what the peer
 * sends; who it is, is checked here right after the handshake.
 */
#include "util/osdep.h"
#include <gnutls/x509.h>
#include "crypto/gnutls-internal.h"
#include "util/module.h"

/* How many warnings a peer may send in a row before it is thrown out. */
#define WARNINGS_MAX 32

struct TlsSession {
    gnutls_session_t handle;
    const TlsModuleCreds *creds;
    const TlsTransport *transport;
    void *opaque;
    char *hostname;             /* client: whom we expect; NULL: anybody */
    bool agreed;                /* the handshake is over, the check is not */
};

static ssize_t transport_result(TlsSession *s, ssize_t n)
{
    if (n < 0) {
        gnutls_transport_set_errno(s->handle, n == -EAGAIN ? EAGAIN : EIO);
        return -1;
    }
    return n;
}

static ssize_t session_pull(gnutls_transport_ptr_t opaque, void *buf, size_t len)
{
    TlsSession *s = opaque;

    return transport_result(s, s->transport->pull(s->opaque, buf, len));
}

static ssize_t session_push(gnutls_transport_ptr_t opaque, const void *buf, size_t len)
{
    TlsSession *s = opaque;

    return transport_result(s, s->transport->push(s->opaque, buf, len));
}

static void session_free(TlsSession *s)
{
    if (s->handle) {
        gnutls_deinit(s->handle);
    }
    g_free(s->hostname);
    g_free(s);
}

static int set_credentials(TlsSession *s, const TlsModuleCreds *c)
{
    int ret;

    if (c->kind == TLS_KIND_ANON) {
        return gnutls_credentials_set(s->handle, GNUTLS_CRD_ANON,
                                      c->server ? (void *)c->u.anon_server : (void *)c->u.anon_client);
    }
    if (c->kind == TLS_KIND_PSK) {
        return gnutls_credentials_set(s->handle, GNUTLS_CRD_PSK,
                                      c->server ? (void *)c->u.psk_server : (void *)c->u.psk_client);
    }
    ret = gnutls_credentials_set(s->handle, GNUTLS_CRD_CERTIFICATE, c->u.x509);
    if (ret >= 0 && c->server) {
        /* Without a certificate the client gets as far as our own check, which says why. */
        gnutls_certificate_server_set_request(s->handle, GNUTLS_CERT_REQUEST);
    }
    if (ret >= 0 && s->hostname && !c->server) {
        ret = gnutls_server_name_set(s->handle, GNUTLS_NAME_DNS, s->hostname, strlen(s->hostname));
    }
    return ret;
}

static TlsSession *session_new(TlsModuleCreds *creds, const char *hostname, const TlsTransport *transport,
                               void *opaque, Error **errp)
{
    TlsSession *s = g_new0(TlsSession, 1);
    int ret;

    s->creds = creds;
    s->transport = transport;
    s->opaque = opaque;
    s->hostname = g_strdup(hostname);
    ret = gnutls_init(&s->handle, (creds->server ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_NONBLOCK);
    if (ret >= 0) {
        ret = gnutls_priority_set_direct(s->handle, creds->priority, NULL);
    }
    if (ret >= 0) {
        ret = set_credentials(s, creds);
    }
    if (ret < 0) {
        error_setg(errp, "Cannot initialize TLS session: %s", gnutls_strerror(ret));
        session_free(s);
        return NULL;
    }
    gnutls_transport_set_ptr(s->handle, s);
    gnutls_transport_set_pull_function(s->handle, session_pull);
    gnutls_transport_set_push_function(s->handle, session_push);
    gnutls_handshake_set_timeout(s->handle, 0);
    return s;
}

/* ---- who is it? ---- */

static bool check_status(unsigned status, Error **errp)
{
    const char *reason = "Invalid certificate";

    if (!status) {
        return true;
    }
    if (status & GNUTLS_CERT_SIGNER_NOT_FOUND) {
        reason = "The certificate hasn't got a known issuer";
    } else if (status & GNUTLS_CERT_REVOKED) {
        reason = "The certificate has been revoked";
    } else if (status & GNUTLS_CERT_INSECURE_ALGORITHM) {
        reason = "The certificate uses an insecure algorithm";
    } else if (status & GNUTLS_CERT_NOT_ACTIVATED) {
        reason = "The certificate is not yet activated";
    } else if (status & GNUTLS_CERT_EXPIRED) {
        reason = "The certificate has expired";
    }
    error_setg(errp, "%s", reason);
    return false;
}

/* The peer's own certificate, decoded; NULL: it sent none. Caller deinits. */
static gnutls_x509_crt_t peer_certificate(TlsSession *s)
{
    unsigned count = 0;
    const gnutls_datum_t *list = gnutls_certificate_get_peers(s->handle, &count);
    gnutls_x509_crt_t cert;

    if (!list || !count || gnutls_x509_crt_init(&cert) < 0) {
        return NULL;
    }
    if (gnutls_x509_crt_import(cert, &list[0], GNUTLS_X509_FMT_DER) < 0) {
        gnutls_x509_crt_deinit(cert);
        return NULL;
    }
    return cert;
}

static bool check_peer(TlsSession *s, Error **errp)
{
    gnutls_x509_crt_t cert;
    unsigned status = 0;
    int ret;
    bool ok;

    if (s->creds->kind != TLS_KIND_X509 || !s->creds->verify_peer) {
        return true;
    }
    ret = gnutls_certificate_verify_peers2(s->handle, &status);
    if (ret == GNUTLS_E_NO_CERTIFICATE_FOUND) {
        error_setg(errp, "The peer has sent no certificate");
        return false;
    }
    if (ret < 0) {
        error_setg(errp, "Verify failed: %s", gnutls_strerror(ret));
        return false;
    }
    if (!check_status(status, errp)) {
        return false;
    }
    if (!s->hostname) {
        return true;
    }
    cert = peer_certificate(s);
    if (!cert) {
        error_setg(errp, "The peer's certificate cannot be decoded");
        return false;
    }
    ok = gnutls_x509_crt_check_hostname(cert, s->hostname);
    if (!ok) {
        error_setg(errp, "Certificate does not match the hostname %s", s->hostname);
    }
    gnutls_x509_crt_deinit(cert);
    return ok;
}

static char *peer_identity(TlsSession *s)
{
    gnutls_x509_crt_t cert;
    gnutls_datum_t dn;
    char *text = NULL;

    if (s->creds->kind == TLS_KIND_PSK) {
        return s->creds->server ? g_strdup(gnutls_psk_server_get_username(s->handle)) : NULL;
    }
    /* What nobody has verified is no identity. */
    if (s->creds->kind != TLS_KIND_X509 || !s->creds->verify_peer) {
        return NULL;
    }
    cert = peer_certificate(s);
    if (cert && gnutls_x509_crt_get_dn2(cert, &dn) >= 0) {
        text = g_strndup((char *)dn.data, dn.size);
        gnutls_free(dn.data);
    }
    if (cert) {
        gnutls_x509_crt_deinit(cert);
    }
    return text;
}

static int wanted(TlsSession *s)
{
    return gnutls_record_get_direction(s->handle) ? TLS_WANT_WRITE : TLS_WANT_READ;
}

static int handshake(TlsSession *s, Error **errp)
{
    int ret = 0;

    for (unsigned i = 0; !s->agreed; i++) {
        ret = i < WARNINGS_MAX ? gnutls_handshake(s->handle) : GNUTLS_E_TOO_MANY_HANDSHAKE_PACKETS;
        if (ret == GNUTLS_E_AGAIN) {
            return wanted(s);
        }
        if (ret == GNUTLS_E_FATAL_ALERT_RECEIVED || ret == GNUTLS_E_WARNING_ALERT_RECEIVED) {
            const char *alert = gnutls_alert_get_name(gnutls_alert_get(s->handle));

            if (ret == GNUTLS_E_FATAL_ALERT_RECEIVED) {
                error_setg(errp, "the peer refused: %s", alert ? alert : "unknown reason");
                return TLS_ERROR;
            }
        }
        if (ret < 0 && gnutls_error_is_fatal(ret)) {
            gnutls_alert_send_appropriate(s->handle, ret);
            error_setg(errp, "%s", gnutls_strerror(ret));
            return TLS_ERROR;
        }
        s->agreed = ret == GNUTLS_E_SUCCESS;
    }
    if (!check_peer(s, errp)) {
        gnutls_alert_send(s->handle, GNUTLS_AL_FATAL, GNUTLS_A_BAD_CERTIFICATE);
        return TLS_ERROR;
    }
    return 0;
}

/* ---- data ---- */

static ssize_t session_read(TlsSession *s, void *buf, size_t len, Error **errp)
{
    for (unsigned i = 0;; i++) {
        ssize_t n = i < WARNINGS_MAX ? gnutls_record_recv(s->handle, buf, len) : GNUTLS_E_TOO_MANY_EMPTY_PACKETS;

        if (n >= 0) {
            return n;
        }
        if (n == GNUTLS_E_AGAIN) {
            return wanted(s);
        }
        if (n == GNUTLS_E_PREMATURE_TERMINATION) {
            error_setg(errp, "TLS connection was not properly terminated");
            return TLS_ERROR;
        }
        if (gnutls_error_is_fatal(n)) {
            error_setg(errp, "Cannot read from TLS channel: %s", gnutls_strerror(n));
            return TLS_ERROR;
        }
        /* Renegotiation is never granted; a warning is only a warning. */
    }
}

static ssize_t session_write(TlsSession *s, const void *buf, size_t len, Error **errp)
{
    for (;;) {
        ssize_t n = gnutls_record_send(s->handle, buf, len);

        if (n >= 0) {
            return n;
        }
        if (n == GNUTLS_E_AGAIN) {
            return wanted(s);
        }
        if (n != GNUTLS_E_INTERRUPTED) {
            error_setg(errp, "Cannot write to TLS channel: %s", gnutls_strerror(n));
            return TLS_ERROR;
        }
    }
}

static size_t session_pending(TlsSession *s)
{
    return gnutls_record_check_pending(s->handle);
}

static void session_bye(TlsSession *s)
{
    gnutls_bye(s->handle, GNUTLS_SHUT_WR);
}

static const TlsOps module_ops = {
    .creds_new = gnutls_creds_new,
    .creds_free = gnutls_creds_free,
    .session_new = session_new,
    .session_free = session_free,
    .handshake = handshake,
    .peer_identity = peer_identity,
    .read = session_read,
    .write = session_write,
    .pending = session_pending,
    .bye = session_bye,
};

NEMU_MODULE("crypto-gnutls", &module_ops);
