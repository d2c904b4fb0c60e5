/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "info mtree": the region tree and the flat views as text.
 * Thread: main thread with the machine lock.
 */
#include "util/osdep.h"
#include "memory-internal.h"

static const char *kind_name(const MemoryRegion *mr)
{
    static const char *const names[] = {
        [MEMORY_REGION_CONTAINER] = "container", [MEMORY_REGION_RAM] = "ram",
        [MEMORY_REGION_ROM] = "rom", [MEMORY_REGION_IO] = "i/o",
        [MEMORY_REGION_ALIAS] = "alias", [MEMORY_REGION_ROM_DEVICE] = "romd",
    };

    return names[mr->kind];
}

static void print_region(GString *out, const MemoryRegion *mr, GuestAddr base, int depth)
{
    GuestAddr last = base + (mr->size ? mr->size - 1 : UINT64_MAX - base);

    g_string_append_printf(out, "%*s%016" PRIx64 "-%016" PRIx64 " (prio %d, %s): ",
                           2 + 2 * depth, "", base, last, mr->priority, kind_name(mr));
    if (mr->kind == MEMORY_REGION_ALIAS) {
        g_string_append_printf(out, "alias %s @%s %016" PRIx64, mr->name, mr->alias->name,
                               mr->alias_offset);
    } else {
        g_string_append(out, mr->name);
    }
    g_string_append(out, mr->readonly ? " [readonly]" : "");
    g_string_append(out, mr->enabled ? "\n" : " [disabled]\n");
    for (const MemoryRegion *sub = mr->subregions; sub; sub = sub->next_sibling) {
        print_region(out, sub, base + sub->addr, depth + 1);
    }
}

static void print_view(GString *out, const AddressSpace *as)
{
    const FlatView *view = as->view;

    for (unsigned i = 0; i < view->count; i++) {
        const FlatRange *r = &view->ranges[i];
        g_string_append_printf(out, "  %016" PRIx64 "-%016" PRIx64 " (prio %d, %s): %s",
                               r->first, r->last, r->mr->priority,
                               r->host && r->readonly ? "rom" : kind_name(r->mr), r->mr->name);
        if (r->offset) {
            g_string_append_printf(out, " @%016" PRIx64, r->offset);
        }
        g_string_append(out, r->dirty_clients ? " [logged]\n" : "\n");
    }
    if (!view->count) {
        g_string_append(out, "  No rendered FlatView\n");
    }
}

void memory_print_tree(GString *out, bool flat)
{
    for (AddressSpace *as = address_space_first(); as; as = as->next) {
        g_string_append_printf(out, "address-space: %s\n", as->name);
        if (flat) {
            print_view(out, as);
        } else if (as->root) {
            print_region(out, as->root, 0, 0);
        }
        g_string_append_c(out, '\n');
    }
}
