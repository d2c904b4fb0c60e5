/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Secrets: the objects "secret" and "secret_keyring". Main thread.
 */
#ifndef CRYPTO_SECRET_H
#define CRYPTO_SECRET_H

#include "util/error.h"

/*
 * The bytes of the secret object @id: @len of them and a NUL byte that does
 * not count. NULL with an error; else the caller frees with secret_free().
 */
uint8_t *secret_lookup(const char *id, size_t *len, Error **errp);
/* The same for what must be text. */
char *secret_lookup_utf8(const char *id, Error **errp);
/* The same, in base64. */
char *secret_lookup_base64(const char *id, Error **errp);
/* Wipes. */
void secret_free(void *data, size_t len);

#endif
