/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TLS as a channel on top of a channel. Credentials: crypto/tls-creds.h.
 *
 * Thread: as channel.h; authorisation asks objects, so a server's handshake ends
 * on the main thread or with the machine lock held.
 */
#ifndef IO_CHANNEL_TLS_H
#define IO_CHANNEL_TLS_H

#include "crypto/tls-creds.h"
#include "io/channel.h"

/*
 * @below and @creds are referenced. Nothing is sent before io_channel_handshake(). @authz (may be NULL): the authorisation
 * object that the client's identity must satisfy. @hostname: what the server's certificate must
 * be for (NULL: not checked; required when tls_creds_need_hostname()).
 */
IoChannel *io_channel_new_tls_server(IoChannel *below, TlsCreds *creds, const char *authz, Error **errp);
IoChannel *io_channel_new_tls_client(IoChannel *below, TlsCreds *creds, const char *hostname, Error **errp);

#endif
