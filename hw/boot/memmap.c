/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Maps of guest memory; pure data, trusts its callers. */
#include "util/osdep.h"

#include "hw/boot/memmap.h"
#include "util/bswap.h"

Memmap *memmap_new(void)
{
    Memmap *m = g_new0(Memmap, 1);
    m->ranges = g_array_new(false, false, sizeof(MemmapRange));
    return m;
}

void memmap_free(Memmap *m)
{
    if (m) {
        g_array_unref(m->ranges);
        g_free(m);
    }
}

unsigned memmap_count(const Memmap *m)
{
    return m->ranges->len;
}

const MemmapRange *memmap_get(const Memmap *m, unsigned i)
{
    return &g_array_index(m->ranges, MemmapRange, i);
}

static void append(GArray *ranges, uint64_t start, uint64_t end, MemmapType type)
{
    if (start >= end) {
        return;
    }
    if (ranges->len) {
        MemmapRange *last = &g_array_index(ranges, MemmapRange, ranges->len - 1);
        if (last->type == type && last->addr + last->size == start) {
            last->size += end - start;
            return;
        }
    }
    MemmapRange r = { start, end - start, type };
    g_array_append_val(ranges, r);
}

void memmap_add(Memmap *m, uint64_t addr, uint64_t size, MemmapType type)
{
    uint64_t end = addr + size;
    g_assert(end >= addr);
    GArray *out = g_array_new(false, false, sizeof(MemmapRange));
    bool placed = false;
    for (guint i = 0; i < m->ranges->len; i++) {
        const MemmapRange *r = memmap_get(m, i);
        uint64_t r_end = r->addr + r->size;
        append(out, r->addr, MIN(r_end, addr), r->type);
        if (!placed && r_end > addr) {
            append(out, addr, end, type);
            placed = true;
        }
        append(out, MAX(r->addr, end), r_end, r->type);
    }
    if (!placed) {
        append(out, addr, end, type);
    }
    g_array_unref(m->ranges);
    m->ranges = out;
}

uint64_t memmap_ram_end(const Memmap *m, uint64_t addr)
{
    for (guint i = 0; i < m->ranges->len; i++) {
        const MemmapRange *r = memmap_get(m, i);
        if (r->type == MEMMAP_RAM && addr >= r->addr && addr - r->addr < r->size) {
            return r->addr + r->size;
        }
    }
    return 0;
}

bool memmap_is_ram(const Memmap *m, uint64_t addr, uint64_t size)
{
    uint64_t end = memmap_ram_end(m, addr);
    return size && end && size <= end - addr;
}

GByteArray *memmap_e820(const Memmap *m)
{
    GByteArray *out = g_byte_array_new();
    for (guint i = 0; i < m->ranges->len; i++) {
        const MemmapRange *r = memmap_get(m, i);
        uint8_t e[20];
        store_le64(e, r->addr);
        store_le64(e + 8, r->size);
        store_le32(e + 16, r->type);
        g_byte_array_append(out, e, sizeof(e));
    }
    return out;
}
