/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What Arm's PrimeCell peripherals have in common: 4 KiB of 32-bit registers
 * that may be accessed in any width, and identification at the end. Narrow
 * reads give their part of a register; a write counts when it includes the
 * register's first byte.
 */
#ifndef HW_MISC_PRIMECELL_H
#define HW_MISC_PRIMECELL_H

#include "system/memory.h"
#include "util/compiler.h"

#define PRIMECELL_SIZE 0x1000u
#define PRIMECELL_ID 0xfe0u             /* eight registers of 8 bits */

/* The part of register value @value that an access of @size bytes at @addr reads. */
static inline uint64_t primecell_part(uint32_t value, GuestAddr addr, unsigned size)
{
    uint64_t part = value >> (8 * (addr & 3));

    return part & ((UINT64_C(1) << (8 * size)) - 1);
}

/* The identification register at @addr; 0 elsewhere. @id: its bytes. */
static inline uint32_t primecell_id(const uint8_t id[8], GuestAddr addr)
{
    return addr >= PRIMECELL_ID ? id[(addr - PRIMECELL_ID) / 4 % 8] : 0;
}

#define PRIMECELL_REGION_OPS(r, w) \
    { .read = (r), .write = (w), .valid_min = 1, .valid_max = 8, .impl_min = 1, .impl_max = 4 }

#endif
