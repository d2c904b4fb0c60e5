/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the module "crypto-gnutls" share.
 */
#ifndef CRYPTO_GNUTLS_INTERNAL_H
#define CRYPTO_GNUTLS_INTERNAL_H

#include <gnutls/gnutls.h>
#include "crypto/tls-module.h"

struct TlsModuleCreds {
    TlsKind kind;
    bool server, verify_peer;
    char *priority;
    gnutls_dh_params_t dh;      /* server, from dh-params.pem; NULL: those that GnuTLS knows */
    union {
        gnutls_certificate_credentials_t x509;
        gnutls_anon_client_credentials_t anon_client;
        gnutls_anon_server_credentials_t anon_server;
        gnutls_psk_client_credentials_t psk_client;
        gnutls_psk_server_credentials_t psk_server;
    } u;
};

TlsModuleCreds *gnutls_creds_new(const TlsConfig *config, Error **errp);
void gnutls_creds_free(TlsModuleCreds *c);

/* gnutls-x509.c: would a peer accept these? @cert NULL: there is only the CA. */
bool gnutls_x509_sanity_check(const char *ca_file, const char *cert_file, bool server, Error **errp);

#endif
