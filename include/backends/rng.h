/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entropy back ends: "rng-random" (a file), "rng-builtin" (getrandom),
 * "rng-egd" (a character device).
 */
#ifndef BACKENDS_RNG_H
#define BACKENDS_RNG_H

#include "qom/object.h"

typedef struct RngBackend RngBackend;
extern const TypeInfo rng_backend_type;         /* "rng-backend", abstract */

typedef void RngReceive(void *opaque, const void *data, size_t len);
/* Ask for @len bytes; @receive runs once, later, on the main loop, with 1..@len bytes. */
void rng_backend_request(RngBackend *s, size_t len, RngReceive *receive, void *opaque);
/* Forget @opaque's requests. */
void rng_backend_cancel(RngBackend *s, void *opaque);

#endif
