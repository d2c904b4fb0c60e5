/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PVH boot protocol: hvm_start_info (version 1), its module list and
 * memory map, as in the Linux header xen/interface/hvm/start_info.h.
 */
#include "util/osdep.h"

#include "internal.h"
#include "util/bswap.h"

#define START_INFO_MAGIC 0x336ec578
#define START_INFO_SIZE 56
#define MODULE_SIZE 32
#define MEMMAP_ENTRY_SIZE 24

static uint64_t add_memmap(BootPlan *p, Error **errp)
{
    unsigned n = memmap_count(p->memmap);
    g_autofree uint8_t *table = g_malloc0(n * MEMMAP_ENTRY_SIZE);
    for (unsigned i = 0; i < n; i++) {
        const MemmapRange *r = memmap_get(p->memmap, i);
        uint8_t *e = table + i * MEMMAP_ENTRY_SIZE;
        store_le64(e, r->addr);
        store_le64(e + 8, r->size);
        store_le32(e + 16, r->type);
    }
    return boot_plan_add_table(p, table, n * MEMMAP_ENTRY_SIZE, 8, errp);
}

bool pvh_plan(BootPlan *p, const ElfImage *elf, Error **errp)
{
    if (!boot_plan_check_ram(p, p->kernel, elf->pvh_entry, 1, errp) ||
        !boot_plan_place_initrd(p, UINT64_MAX, errp)) {
        return false;
    }
    uint64_t cmdline = boot_plan_add_table(p, p->cmdline, strlen(p->cmdline) + 1, 8, errp);
    uint64_t map = cmdline ? add_memmap(p, errp) : 0;
    if (!map) {
        return false;
    }
    uint8_t module[MODULE_SIZE] = { 0 };
    uint64_t modules = 0;
    if (p->initrd_addr) {
        store_le64(module, p->initrd_addr);
        store_le64(module + 8, p->initrd->size);
        modules = boot_plan_add_table(p, module, sizeof(module), 8, errp);
        if (!modules) {
            return false;
        }
    }
    uint8_t info[START_INFO_SIZE] = { 0 };
    store_le32(info, START_INFO_MAGIC);
    store_le32(info + 4, 1);
    store_le32(info + 12, modules ? 1 : 0);
    store_le64(info + 16, modules);
    store_le64(info + 24, cmdline);
    store_le64(info + 32, p->rsdp);
    store_le64(info + 40, map);
    store_le32(info + 48, memmap_count(p->memmap));
    p->entry = (BootEntry){
        .protocol = BOOT_PVH,
        .rip = elf->pvh_entry,
        .info = boot_plan_add_table(p, info, sizeof(info), 8, errp),
    };
    return p->entry.info != 0;
}
