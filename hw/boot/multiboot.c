/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Multiboot 0.6.96: ELF images, and flat ones that give their addresses in the
 * header; information structure, modules, memory map, command line.
 */
#include "util/osdep.h"

#include "internal.h"
#include "util/bswap.h"

#define HEADER_MAGIC 0x1badb002
#define HEADER_SEARCH 8192

/* Header flags. */
enum { WANT_KNOWN = 7 /* page alignment, memory, video */, HAS_ADDRESSES = 1 << 16 };
/* Information flags and offsets. */
enum {
    INFO_MEMORY = 1 << 0, INFO_CMDLINE = 1 << 2, INFO_MODULES = 1 << 3, INFO_MMAP = 1 << 6,
    INFO_LOADER_NAME = 1 << 9,
    MBI_FLAGS = 0, MBI_MEM_LOWER = 4, MBI_MEM_UPPER = 8, MBI_CMDLINE = 16, MBI_MODS_COUNT = 20,
    MBI_MODS_ADDR = 24, MBI_MMAP_LENGTH = 44, MBI_MMAP_ADDR = 48, MBI_LOADER_NAME = 64,
    MBI_SIZE = 120, MODULE_SIZE = 16, MMAP_ENTRY_SIZE = 24,
};

int multiboot_recognise(const uint8_t *head, size_t len)
{
    for (size_t at = 0; at + 12 <= MIN(len, HEADER_SEARCH); at += 4) {
        uint32_t magic = load_le32(head + at);
        if (magic == HEADER_MAGIC &&
            magic + load_le32(head + at + 4) + load_le32(head + at + 8) == 0) {
            return at;
        }
    }
    return -1;
}

/* Where the image lies according to its header. */
static bool plan_flat(BootPlan *p, const uint8_t *header, uint32_t header_at, Error **errp)
{
    const BootFile *f = p->kernel;
    uint32_t header_addr = load_le32(header + 12);
    uint32_t load = load_le32(header + 16);
    uint32_t load_end = load_le32(header + 20);
    uint32_t bss_end = load_le32(header + 24);
    if (header_addr < load || header_addr - load > header_at) {
        error_setg(errp, "%s '%s': the addresses in its Multiboot header contradict each other",
                   f->what, f->path);
        return false;
    }
    uint64_t offset = header_at - (header_addr - load);
    uint64_t size = load_end ? (uint64_t)load_end - load : f->size - offset;
    if ((load_end && load_end < load) || size > f->size - offset) {
        error_setg(errp, "%s '%s' is truncated: its Multiboot header promises more than the"
                   " file has", f->what, f->path);
        return false;
    }
    uint64_t total = bss_end > load + size ? bss_end - (uint64_t)load : size;
    if (!boot_plan_check_ram(p, f, load, total, errp)) {
        return false;
    }
    boot_plan_add_file(p, f, offset, load, size);
    boot_plan_add_zeros(p, load + size, total - size);
    boot_plan_claim(p, load, load + total);
    p->entry.rip = load_le32(header + 28);
    return true;
}

static bool plan_image(BootPlan *p, const uint8_t *head, uint32_t header_at, Error **errp)
{
    const uint8_t *header = head + header_at;
    uint32_t flags = load_le32(header + 4);
    if (flags & 0xffff & ~WANT_KNOWN) {
        error_setg(errp, "%s '%s': its Multiboot header asks for unknown features (flags 0x%x)",
                   p->kernel->what, p->kernel->path, flags);
        return false;
    }
    if (flags & HAS_ADDRESSES) {
        if (header_at + 32 > p->kernel->size || header_at + 32 > BOOT_PROBE_SIZE) {
            error_setg(errp, "%s '%s' is truncated in its Multiboot header", p->kernel->what,
                       p->kernel->path);
            return false;
        }
        return plan_flat(p, header, header_at, errp);
    }
    g_autofree ElfImage *elf = g_new0(ElfImage, 1);
    if (!elf_parse(p->kernel, elf, errp) || !elf_plan(p, elf, errp)) {
        return false;
    }
    p->entry.rip = elf->entry;
    return true;
}

/* One module: "file arguments", placed after what is there already. */
static bool add_module(BootPlan *p, const char *text, uint8_t *entry, Error **errp)
{
    g_autofree char *path = g_strndup(text, strcspn(text, " "));
    BootFile *f = boot_file_open(path, "module", errp);
    if (!f) {
        return false;
    }
    g_ptr_array_add(p->modules, f);
    uint64_t addr = ROUND_UP(p->kernel_end, BOOT_PAGE);
    uint64_t string = boot_plan_add_table(p, text, strlen(text) + 1, 4, errp);
    if (!string || (f->size && !boot_plan_check_ram(p, f, addr, f->size, errp))) {
        return false;
    }
    if (addr + f->size > UINT32_MAX) {
        error_setg(errp, "module '%s' does not fit below 4 GiB", path);
        return false;
    }
    boot_plan_add_file(p, f, 0, addr, f->size);
    boot_plan_claim(p, addr, addr + f->size);
    store_le32(entry, addr);
    store_le32(entry + 4, addr + f->size);
    store_le32(entry + 8, string);
    return true;
}

/* The next item of a list separated by commas; two of them are one that belongs to the text. */
static char *next_item(const char **list)
{
    GString *s = g_string_new(NULL);
    const char *p = *list;
    while (*p && (*p != ',' || p[1] == ',')) {
        p += *p == ',';
        g_string_append_c(s, *p++);
    }
    *list = *p ? p + 1 : NULL;
    return g_string_free(s, FALSE);
}

static bool plan_modules(BootPlan *p, const char *list, uint8_t *info, Error **errp)
{
    g_autoptr(GByteArray) table = g_byte_array_new();
    while (list) {
        g_autofree char *text = next_item(&list);
        uint8_t entry[MODULE_SIZE] = { 0 };
        if (!add_module(p, text, entry, errp)) {
            return false;
        }
        g_byte_array_append(table, entry, sizeof(entry));
    }
    uint64_t addr = boot_plan_add_table(p, table->data, table->len, 4, errp);
    if (!addr) {
        return false;
    }
    store_le32(info + MBI_FLAGS, load_le32(info + MBI_FLAGS) | INFO_MODULES);
    store_le32(info + MBI_MODS_COUNT, table->len / MODULE_SIZE);
    store_le32(info + MBI_MODS_ADDR, addr);
    return true;
}

static bool plan_mmap(BootPlan *p, uint8_t *info, Error **errp)
{
    unsigned n = memmap_count(p->memmap);
    g_autofree uint8_t *table = g_malloc0(n * MMAP_ENTRY_SIZE);
    for (unsigned i = 0; i < n; i++) {
        const MemmapRange *r = memmap_get(p->memmap, i);
        uint8_t *e = table + i * MMAP_ENTRY_SIZE;
        store_le32(e, MMAP_ENTRY_SIZE - 4);
        store_le64(e + 4, r->addr);
        store_le64(e + 12, r->size);
        store_le32(e + 20, r->type);
    }
    uint64_t addr = boot_plan_add_table(p, table, n * MMAP_ENTRY_SIZE, 4, errp);
    store_le32(info + MBI_MMAP_ADDR, addr);
    store_le32(info + MBI_MMAP_LENGTH, n * MMAP_ENTRY_SIZE);
    store_le32(info + MBI_MEM_LOWER, memmap_ram_end(p->memmap, 0) / KIB);
    uint64_t upper = memmap_ram_end(p->memmap, MIB);
    store_le32(info + MBI_MEM_UPPER, upper ? (upper - MIB) / KIB : 0);
    return addr != 0;
}

bool multiboot_plan(BootPlan *p, const uint8_t *head, int header, const char *initrd, Error **errp)
{
    uint8_t info[MBI_SIZE] = { 0 };
    if (!plan_image(p, head, header, errp) ||
        !boot_plan_check_ram(p, p->kernel, p->entry.rip, 1, errp)) {
        return false;
    }
    g_autofree char *cmdline = g_strdup_printf("%s %s", p->kernel->path, p->cmdline);
    uint64_t line = boot_plan_add_table(p, g_strchomp(cmdline), strlen(cmdline) + 1, 4, errp);
    uint64_t name = line ? boot_plan_add_table(p, "nemu", 5, 4, errp) : 0;
    if (!name) {
        return false;
    }
    store_le32(info + MBI_FLAGS, INFO_MEMORY | INFO_CMDLINE | INFO_MMAP | INFO_LOADER_NAME);
    store_le32(info + MBI_CMDLINE, line);
    store_le32(info + MBI_LOADER_NAME, name);
    if (!plan_mmap(p, info, errp) || (initrd && !plan_modules(p, initrd, info, errp))) {
        return false;
    }
    p->entry.protocol = BOOT_MULTIBOOT;
    p->entry.info = boot_plan_add_table(p, info, sizeof(info), 8, errp);
    return p->entry.info != 0;
}
