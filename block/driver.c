/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of block drivers, collected by the linker. Any thread.
 */
#include "util/osdep.h"
#include "block/block.h"

extern const BlockDriver *const __start_nemu_block_drivers[];
extern const BlockDriver *const __stop_nemu_block_drivers[];

const BlockDriver *block_driver_find(const char *name)
{
    const BlockDriver *const *p;

    for (p = __start_nemu_block_drivers; p < __stop_nemu_block_drivers; p++) {
        if (!strcmp((*p)->name, name)) {
            return *p;
        }
    }
    return NULL;
}

void block_driver_foreach(void (*fn)(const BlockDriver *drv, void *opaque), void *opaque)
{
    const BlockDriver *const *p;

    for (p = __start_nemu_block_drivers; p < __stop_nemu_block_drivers; p++) {
        fn(*p, opaque);
    }
}

const BlockDriver *block_driver_find_protocol(const char *prefix)
{
    for (const BlockDriver *const *d = __start_nemu_block_drivers; d < __stop_nemu_block_drivers; d++) {
        if ((*d)->protocol_prefix && !strcmp((*d)->name, prefix)) {
            return *d;
        }
        for (const char *const *a = (*d)->protocol_aliases; a && *a; a++) {
            if (!strcmp(*a, prefix)) {
                return *d;
            }
        }
    }
    return NULL;
}
