/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What CPUs and devices add to dumps of guest memory. Machine lock. */
#ifndef SYSTEM_DUMP_H
#define SYSTEM_DUMP_H

#include <elf.h>
#include <glib.h>
#include <stdint.h>
#include <string.h>
#include "util/compiler.h"

/* An ELF note: @size bytes at @desc, padded. */
static inline void dump_append_note(GByteArray *out, const char *name, uint32_t type, const void *desc, uint32_t size)
{
    static const uint8_t zeros[4];
    Elf64_Nhdr h = { .n_namesz = (uint32_t)strlen(name) + 1, .n_descsz = size, .n_type = type };

    g_byte_array_append(out, (const uint8_t *)&h, sizeof(h));
    g_byte_array_append(out, (const uint8_t *)name, h.n_namesz);
    g_byte_array_append(out, zeros, ROUND_UP(h.n_namesz, 4) - h.n_namesz);
    g_byte_array_append(out, desc, size);
    g_byte_array_append(out, zeros, ROUND_UP(size, 4) - size);
}

#endif
