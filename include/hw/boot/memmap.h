/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The map of guest memory that every boot protocol and firmware is told:
 * ranges with E820 types (ACPI 6.4, section 15).
 *
 * Thread: any; a map belongs to one thread at a time.
 */
#ifndef HW_BOOT_MEMMAP_H
#define HW_BOOT_MEMMAP_H

#include <stdbool.h>
#include <stdint.h>
#include <glib.h>

typedef enum MemmapType {
    MEMMAP_RAM = 1,
    MEMMAP_RESERVED = 2,
    MEMMAP_ACPI = 3,
    MEMMAP_NVS = 4,
    MEMMAP_UNUSABLE = 5,
} MemmapType;

typedef struct MemmapRange {
    uint64_t addr, size;
    MemmapType type;
} MemmapRange;

/* Sorted by address, without overlap. */
typedef struct Memmap {
    GArray *ranges;
} Memmap;

Memmap *memmap_new(void);
void memmap_free(Memmap *m);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Memmap, memmap_free)
unsigned memmap_count(const Memmap *m);
const MemmapRange *memmap_get(const Memmap *m, unsigned i);
/* Replaces what was said about [addr, addr + size) before. */
void memmap_add(Memmap *m, uint64_t addr, uint64_t size, MemmapType type);
/* All of it is RAM; an empty range, or one that wraps, is not. */
bool memmap_is_ram(const Memmap *m, uint64_t addr, uint64_t size);
/* The end of the RAM range that holds @addr; 0 when none does. */
uint64_t memmap_ram_end(const Memmap *m, uint64_t addr);
/* 20-byte entries as in boot_params and fw_cfg "etc/e820". Caller frees. */
GByteArray *memmap_e820(const Memmap *m);

#endif
