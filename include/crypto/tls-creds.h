/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TLS credentials: the objects "tls-creds-x509", "tls-creds-psk" and
 * "tls-creds-anon". Making one loads the module "crypto-gnutls". What they are
 * for is in io/channel-tls.h. Main thread.
 */
#ifndef CRYPTO_TLS_CREDS_H
#define CRYPTO_TLS_CREDS_H

#include "qapi-types.h"
#include "qom/object.h"

typedef struct TlsCreds TlsCreds;

/* The object @id, if it is for @endpoint. A reference, for the caller to drop with object_unref(). */
TlsCreds *tls_creds_get(const char *id, QCryptoTLSCredsEndpoint endpoint, Error **errp);
/* Do these credentials say by name who the server is, so that the client must know a host name? */
bool tls_creds_need_hostname(const TlsCreds *creds);

#endif
