/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "memory-backend-*" objects: guest memory that users describe, for the
 * machine's main memory and for memory devices. One user at a time. Main
 * thread with the machine lock.
 */
#ifndef BACKENDS_MEMORY_BACKEND_H
#define BACKENDS_MEMORY_BACKEND_H

#include "system/memory.h"

typedef struct MemoryBackend MemoryBackend;
extern const TypeInfo memory_backend_type;      /* abstract */

#define MEMORY_BACKEND(p) ((MemoryBackend *)object_cast(p, &memory_backend_type))

/* The RAM, valid as long as the object. */
MemoryRegion *memory_backend_region(MemoryBackend *s);
uint64_t memory_backend_size(MemoryBackend *s);
/* Claim it for a user; false when it has one. It cannot be deleted meanwhile. */
bool memory_backend_claim(MemoryBackend *s, Error **errp);
void memory_backend_release(MemoryBackend *s);
/* The machine's own main memory when there is no memory-backend=: an object /objects/@id. */
typedef struct DefaultMemoryOptions {
    bool merge, dump, prealloc;
    const char *path;           /* a file, or a folder for a temporary one; NULL: anonymous */
} DefaultMemoryOptions;
MemoryBackend *memory_backend_new_default(const char *id, uint64_t size,
                                          const DefaultMemoryOptions *o, Error **errp);

#endif
