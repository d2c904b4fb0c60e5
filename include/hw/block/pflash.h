/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NOR flash with the Intel command set (docs/system/devices/pflash.md): one or
 * several chips side by side that answer every access together.
 *
 * Thread: machine lock; the image is written on the main thread.
 */
#ifndef HW_BLOCK_PFLASH_H
#define HW_BLOCK_PFLASH_H

#include "block/block-backend.h"
#include "hw/core/device.h"
#include "system/memory.h"

typedef struct PflashConfig {
    uint64_t size;              /* of the bank; 0: the image's, at most @max_size */
    uint64_t max_size;
    uint32_t sector;            /* of the bank: what an erase erases */
    uint8_t width;              /* of the bank, bytes: 1, 2 or 4 */
    uint8_t chip_width;         /* of each chip, bytes: 1 or 2 */
} PflashConfig;

typedef struct Pflash Pflash;

extern const TypeInfo pflash_type;      /* "cfi.pflash01" */
#define PFLASH(p) ((Pflash *)object_cast(p, &pflash_type))

/*
 * A bank as @parent/@name, realized. Its image is what the machine's property
 * said (@node: the name of a node or drive), else the -drive if=pflash with
 * number @unit; without one it is blank and forgotten at the end. Borrowed.
 */
Pflash *pflash_create(Object *parent, const char *name, const PflashConfig *cfg, const char *node,
                      unsigned unit, Error **errp);
MemoryRegion *pflash_region(Pflash *s);
/* NULL: no image. */
BlockBackend *pflash_image(Pflash *s);
/* Fill a bank without image from the file, from its start. */
bool pflash_load(Pflash *s, const char *path, Error **errp);

#endif
