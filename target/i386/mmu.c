/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's page tables as the CPU's registers say (Intel SDM volume 3,
 * chapter 4): translation of linear addresses for debugging, and lists of what
 * is mapped. Nothing is changed: accessed and dirty bits stay. Main thread with
 * the machine lock, registers loaded.
 *
 * Trust: page tables are the guest's; every table is a bounded walk of 4 or 5
 * levels, and what is not RAM ends it.
 */
#include "util/osdep.h"
#include "cpu.h"
#include "system/memory.h"

#define CR0_PG (UINT64_C(1) << 31)
#define CR4_PAE (UINT64_C(1) << 5)
#define CR4_PSE (UINT64_C(1) << 4)
#define CR4_LA57 (UINT64_C(1) << 12)
#define EFER_LMA (UINT64_C(1) << 10)
#define PTE_PRESENT 1
#define PTE_LARGE (1 << 7)
#define PTE_ADDRESS UINT64_C(0x000ffffffffff000)
#define PRINTED_MAX (1 << 20)   /* pages that one list looks at */

typedef struct Paging {
    unsigned levels;            /* 2: 32-bit tables */
    unsigned entry_size;
    bool large_pages;           /* at level 2 */
} Paging;

static Paging paging_of(const X86Registers *r)
{
    if (!(r->cr4 & CR4_PAE)) {
        return (Paging){ 2, 4, r->cr4 & CR4_PSE };
    }
    if (!(r->efer & EFER_LMA)) {
        return (Paging){ 3, 8, true };
    }
    return (Paging){ r->cr4 & CR4_LA57 ? 5 : 4, 8, true };
}

static unsigned index_bits(const Paging *p)
{
    return p->entry_size == 4 ? 10 : 9;
}

static bool read_entry(const Paging *p, uint64_t table, unsigned index, uint64_t *entry)
{
    return guest_ram_load(&address_space_memory, table + (uint64_t)index * p->entry_size, p->entry_size, entry);
}

/* Of the entry at @level (1: the last one): whether it maps a page, and how large. */
static bool maps_page(const Paging *p, unsigned level, uint64_t entry, unsigned *shift)
{
    *shift = 12 + (level - 1) * index_bits(p);
    return level == 1 || (entry & PTE_LARGE && ((level == 2 && p->large_pages) || (level == 3 && p->levels >= 4)));
}

static uint64_t page_address(const Paging *p, unsigned shift, uint64_t entry)
{
    uint64_t address = entry & PTE_ADDRESS & ~((UINT64_C(1) << shift) - 1);

    /* PSE-36: bits 13 to 20 of a 4 MiB entry are bits 32 to 39. */
    return p->entry_size == 4 && shift == 22 ? address | ((entry >> 13 & 0xff) << 32) : address;
}

static uint64_t root_table(const X86Registers *r, const Paging *p)
{
    return p->levels == 3 ? r->cr3 & 0xffffffe0 : r->cr3 & PTE_ADDRESS;
}

/* Upper levels of 3-level tables have 4 entries. */
static unsigned entries_of(const Paging *p, unsigned level)
{
    return p->levels == 3 && level == 3 ? 4 : 1u << index_bits(p);
}

bool x86_cpu_translate(CpuState *cs, uint64_t address, uint64_t *physical)
{
    const X86Registers *r = &X86_CPU(cs)->regs;
    Paging p = paging_of(r);
    uint64_t table;

    if (!(r->cr0 & CR0_PG)) {
        *physical = address;
        return true;
    }
    table = root_table(r, &p);
    for (unsigned level = p.levels; level > 0; level--) {
        unsigned index = (unsigned)(address >> (12 + (level - 1) * index_bits(&p))) & (entries_of(&p, level) - 1);
        unsigned shift;
        uint64_t entry;

        if (!read_entry(&p, table, index, &entry) || !(entry & PTE_PRESENT)) {
            return false;
        }
        if (maps_page(&p, level, entry, &shift)) {
            *physical = page_address(&p, shift, entry) | (address & ((UINT64_C(1) << shift) - 1));
            return true;
        }
        table = entry & PTE_ADDRESS;
    }
    return false;
}

/* ---- lists ---- */

typedef struct MappingWalk {
    const Paging *paging;
    GString *out;
    unsigned budget;
    bool ranges;                /* "info mem": neighbours with the same rights together */
    bool open;
    uint64_t start, end;
    uint64_t rights;
} MappingWalk;

#define RIGHTS (UINT64_C(1) | 2 | 4)

static void end_range(MappingWalk *w)
{
    if (w->open) {
        g_string_append_printf(w->out, "%016" PRIx64 "-%016" PRIx64 " %016" PRIx64 " %c%c%c\n", w->start, w->end,
                               w->end - w->start, w->rights & 4 ? 'u' : '-', 'r', w->rights & 2 ? 'w' : '-');
        w->open = false;
    }
}

static void add_page(MappingWalk *w, uint64_t address, unsigned shift, uint64_t entry, uint64_t rights)
{
    static const struct {
        uint64_t bit;
        char letter;
    } bits[] = { { UINT64_C(1) << 63, 'X' }, { 1 << 8, 'G' }, { PTE_LARGE, 'P' }, { 1 << 6, 'D' }, { 1 << 5, 'A' },
                 { 1 << 4, 'C' }, { 1 << 3, 'T' }, { 4, 'U' }, { 2, 'W' } };

    if (w->ranges) {
        if (!w->open || w->end != address || w->rights != rights) {
            end_range(w);
            *w = (MappingWalk){ w->paging, w->out, w->budget, true, true, address, address, rights };
        }
        w->end = address + (UINT64_C(1) << shift);
        return;
    }
    g_string_append_printf(w->out, "%016" PRIx64 ": %016" PRIx64 " ", address, page_address(w->paging, shift, entry));
    for (size_t i = 0; i < ARRAY_SIZE(bits); i++) {
        /* In the last level the bit of large pages is that of a memory type. */
        bool shown = entry & bits[i].bit && !(bits[i].letter == 'P' && shift == 12);

        g_string_append_c(w->out, shown ? bits[i].letter : '-');
    }
    g_string_append_c(w->out, '\n');
}

static void walk(MappingWalk *w, uint64_t table, unsigned level, uint64_t base, uint64_t rights)
{
    const Paging *p = w->paging;

    for (unsigned i = 0; i < entries_of(p, level) && w->budget; i++) {
        unsigned shift;
        uint64_t entry, address = base | (uint64_t)i << (12 + (level - 1) * index_bits(p)), below;

        if (!read_entry(p, table, i, &entry) || !(entry & PTE_PRESENT)) {
            continue;
        }
        w->budget--;
        /* Canonical form: the highest bit of the address is repeated. */
        if (p->levels >= 4 && level == p->levels && i >= 256) {
            address |= UINT64_MAX << (12 + 9 * p->levels);
        }
        below = p->levels == 3 && level == 3 ? rights : rights & entry;
        if (maps_page(p, level, entry, &shift)) {
            add_page(w, address, shift, entry, below & RIGHTS);
        } else {
            walk(w, entry & PTE_ADDRESS, level - 1, address, below);
        }
    }
}

void x86_cpu_print_mappings(CpuState *cs, bool ranges, GString *out)
{
    const X86Registers *r = &X86_CPU(cs)->regs;
    Paging p = paging_of(r);
    MappingWalk w = { .paging = &p, .out = out, .budget = PRINTED_MAX, .ranges = ranges };

    if (!(r->cr0 & CR0_PG)) {
        g_string_append(out, "PG disabled\n");
        return;
    }
    walk(&w, root_table(r, &p), p.levels, 0, RIGHTS);
    end_range(&w);
    if (!w.budget) {
        g_string_append_printf(out, "(the list ends after %d entries)\n", PRINTED_MAX);
    }
}
