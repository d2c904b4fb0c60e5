/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the module "crypto-gnutls" offers: credentials and sessions.
 */
#ifndef CRYPTO_TLS_MODULE_H
#define CRYPTO_TLS_MODULE_H

#include "crypto/tls-creds.h"

typedef enum TlsKind { TLS_KIND_ANON, TLS_KIND_PSK, TLS_KIND_X509 } TlsKind;

typedef struct TlsConfig {
    TlsKind kind;
    bool server;
    bool verify_peer;
    bool sanity_check;          /* x509 */
    const char *dir;            /* NULL: none (anon) */
    const char *priority;       /* NULL: the default */
    const char *username;       /* psk, client */
    const char *password;       /* x509: of the private key; NULL: none */
} TlsConfig;

typedef struct TlsModuleCreds TlsModuleCreds;
typedef struct TlsSession TlsSession;

/* The bytes below: as read() and write(), or -EAGAIN or another -errno. */
typedef struct TlsTransport {
    ssize_t (*pull)(void *opaque, void *buf, size_t len);
    ssize_t (*push)(void *opaque, const void *buf, size_t len);
} TlsTransport;

#define TLS_WANT_READ (-1)
#define TLS_WANT_WRITE (-2)
#define TLS_ERROR (-3)          /* @errp is set */

typedef struct TlsOps {
    TlsModuleCreds *(*creds_new)(const TlsConfig *config, Error **errp);
    void (*creds_free)(TlsModuleCreds *creds);
    /* @hostname: whom the client expects; NULL: not checked. @creds must outlive the session. */
    TlsSession *(*session_new)(TlsModuleCreds *creds, const char *hostname, const TlsTransport *transport,
                               void *opaque, Error **errp);
    void (*session_free)(TlsSession *s);
    /* 0: done. Then the peer has proved what the credentials ask for. */
    int (*handshake)(TlsSession *s, Error **errp);
    /* The peer's distinguished name or PSK user; NULL: it has none. Caller frees. */
    char *(*peer_identity)(TlsSession *s);
    /* Bytes (0 read: the peer has finished), or one of the above. */
    ssize_t (*read)(TlsSession *s, void *buf, size_t len, Error **errp);
    /* After a TLS_WANT_... the same bytes must come again. */
    ssize_t (*write)(TlsSession *s, const void *buf, size_t len, Error **errp);
    /* Decrypted bytes that wait. */
    size_t (*pending)(TlsSession *s);
    /* Say goodbye, if that goes without waiting. */
    void (*bye)(TlsSession *s);
} TlsOps;

/* For io/channel-tls.c. */
const TlsOps *tls_ops(void);
TlsModuleCreds *tls_creds_module_creds(TlsCreds *creds);

#endif
