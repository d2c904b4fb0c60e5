/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kinds of entropy back ends share. Main thread with the machine lock. */
#ifndef BACKENDS_RNG_INTERNAL_H
#define BACKENDS_RNG_INTERNAL_H

#include "backends/rng.h"

/* One answer gives at most this; who needs more asks again. */
#define RNG_CHUNK 4096

typedef struct RngRequest {
    size_t len;
    RngReceive *receive;
    void *opaque;
    struct RngRequest *next;
} RngRequest;

struct RngBackend {
    Object obj;
    RngRequest *requests;       /* in order */
    bool opened;                /* property without effect */
};

typedef struct RngBackendOps {
    /* There is a first request, or none any more. */
    void (*update)(RngBackend *s);
} RngBackendOps;

/* The first request gets these bytes and is done. */
void rng_backend_deliver(RngBackend *s, const void *data, size_t len);
bool rng_backend_can_be_deleted(Object *obj);

#endif
