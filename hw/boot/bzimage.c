/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Linux bzImage through its 64-bit entry (the kernel's
 * Documentation/arch/x86/boot.rst, protocol 2.12 and later): boot_params, an
 * identity map of the first 4 GiB, and the GDT that the protocol asks for.
 */
#include "util/osdep.h"

#include "internal.h"
#include "util/bswap.h"

/* Offsets in the file and, the same, in boot_params. */
enum {
    BP_ACPI_RSDP_ADDR = 0x070, BP_E820_ENTRIES = 0x1e8, BP_SETUP_SECTS = 0x1f1,
    BP_SYSSIZE = 0x1f4, BP_BOOT_FLAG = 0x1fe, BP_JUMP_LENGTH = 0x201, BP_MAGIC = 0x202,
    BP_VERSION = 0x206, BP_TYPE_OF_LOADER = 0x210, BP_LOADFLAGS = 0x211,
    BP_CODE32_START = 0x214, BP_RAMDISK_IMAGE = 0x218, BP_RAMDISK_SIZE = 0x21c,
    BP_CMD_LINE_PTR = 0x228, BP_INITRD_ADDR_MAX = 0x22c,
    BP_KERNEL_ALIGNMENT = 0x230, BP_RELOCATABLE = 0x234, BP_XLOADFLAGS = 0x236,
    BP_CMDLINE_SIZE = 0x238, BP_PREF_ADDRESS = 0x258, BP_INIT_SIZE = 0x260,
    BP_HEADER_END = 0x290, BP_E820_TABLE = 0x2d0, BP_SIZE = 4096,
};
enum { LOADED_HIGH = 1, XLF_KERNEL_64 = 1, LOADER_UNDEFINED = 0xff, E820_MAX = 128 };
enum { ENTRY_64 = 0x200, SECTOR = 512, DEFAULT_SETUP_SECTS = 4, PROTOCOL_MIN = 0x20c };

bool bzimage_recognise(const uint8_t *head, size_t len)
{
    return len >= BP_HEADER_END && load_le16(head + BP_BOOT_FLAG) == 0xaa55 &&
           !memcmp(head + BP_MAGIC, "HdrS", 4);
}

bool boot_bzimage_setup_size(const BootFile *f, uint32_t *size, Error **errp)
{
    uint8_t head[BP_HEADER_END];

    *size = 0;
    if (f->size < sizeof(head)) {
        return true;
    }
    if (!boot_file_read(f, 0, head, sizeof(head), errp)) {
        return false;
    }
    if (bzimage_recognise(head, sizeof(head))) {
        *size = MIN(((head[BP_SETUP_SECTS] ?: DEFAULT_SETUP_SECTS) + 1) * SECTOR, f->size);
    }
    return true;
}

static bool check_header(const BootPlan *p, const uint8_t *head, Error **errp)
{
    unsigned version = load_le16(head + BP_VERSION);
    if (version < PROTOCOL_MIN || !(head[BP_LOADFLAGS] & LOADED_HIGH) ||
        !(load_le16(head + BP_XLOADFLAGS) & XLF_KERNEL_64)) {
        error_setg(errp, "kernel image '%s' is a bzImage without a 64-bit entry point"
                   " (boot protocol %u.%u, 2.12 is needed)", p->kernel->path,
                   version >> 8, version & 0xff);
        return false;
    }
    size_t limit = load_le32(head + BP_CMDLINE_SIZE);
    if (strlen(p->cmdline) > limit) {
        error_setg(errp, "the kernel command line has %zu characters; kernel image '%s' takes"
                   " at most %zu", strlen(p->cmdline), p->kernel->path, limit);
        return false;
    }
    return true;
}

/* Where it prefers to be; otherwise, when it can be moved, as low as it may. */
static bool place_kernel(BootPlan *p, const uint8_t *head, uint64_t size, uint64_t *addr,
                         Error **errp)
{
    uint64_t need = MAX(size, load_le32(head + BP_INIT_SIZE));
    uint64_t align = load_le32(head + BP_KERNEL_ALIGNMENT);
    *addr = load_le64(head + BP_PREF_ADDRESS);
    if (head[BP_RELOCATABLE] && IS_POWER_OF_2(align) && !memmap_is_ram(p->memmap, *addr, need)) {
        *addr = ROUND_UP(MIB, align);
    }
    /* The identity map covers 4 GiB; RAM that begins below has its end there too. */
    if (*addr < MIB || *addr >= 4 * GIB) {
        error_setg(errp, "kernel image '%s' wants to be loaded at 0x%" PRIx64
                   "; it must lie between 1 MiB and 4 GiB", p->kernel->path, *addr);
        return false;
    }
    boot_plan_claim(p, *addr, *addr + need);
    return boot_plan_check_ram(p, p->kernel, *addr, need, errp);
}

/* Long mode's tables: 4 GiB in pages of 2 MiB. */
static uint64_t add_page_table(BootPlan *p, Error **errp)
{
    enum { PRESENT_WRITABLE = 3, LARGE = 0x80, DIRECTORIES = 4 };
    uint64_t base = ROUND_UP(p->scratch, BOOT_PAGE);
    size_t size = (2 + DIRECTORIES) * BOOT_PAGE;
    g_autofree uint8_t *t = g_malloc0(size);
    store_le64(t, (base + BOOT_PAGE) | PRESENT_WRITABLE);
    for (uint64_t i = 0; i < DIRECTORIES; i++) {
        uint8_t *directory = t + (2 + i) * BOOT_PAGE;
        store_le64(t + BOOT_PAGE + i * 8, (base + (2 + i) * BOOT_PAGE) | PRESENT_WRITABLE);
        for (uint64_t j = 0; j < 512; j++) {
            store_le64(directory + j * 8, (i * GIB + j * 2 * MIB) | PRESENT_WRITABLE | LARGE);
        }
    }
    return boot_plan_add_table(p, t, size, BOOT_PAGE, errp);
}

static uint64_t add_gdt(BootPlan *p, Error **errp)
{
    /* Selectors 0x10 (64-bit code) and 0x18 (data). */
    static const uint64_t gdt[4] = { 0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff };
    uint8_t bytes[sizeof(gdt)];
    for (unsigned i = 0; i < ARRAY_SIZE(gdt); i++) {
        store_le64(bytes + i * 8, gdt[i]);
    }
    return boot_plan_add_table(p, bytes, sizeof(bytes), 16, errp);
}

static void fill_params(const BootPlan *p, uint8_t *bp, const uint8_t *head, uint64_t kernel,
                        uint64_t cmdline)
{
    /* The header says how long it is; beyond its place in boot_params is ours. */
    unsigned end = MIN(BP_MAGIC + head[BP_JUMP_LENGTH], BP_HEADER_END);
    memcpy(bp + BP_SETUP_SECTS, head + BP_SETUP_SECTS, end - BP_SETUP_SECTS);
    bp[BP_TYPE_OF_LOADER] = LOADER_UNDEFINED;
    store_le32(bp + BP_CODE32_START, kernel);
    store_le32(bp + BP_CMD_LINE_PTR, cmdline);
    store_le64(bp + BP_ACPI_RSDP_ADDR, p->rsdp);
    if (p->initrd_addr) {
        store_le32(bp + BP_RAMDISK_IMAGE, p->initrd_addr);
        store_le32(bp + BP_RAMDISK_SIZE, p->initrd->size);
    }
    g_autoptr(GByteArray) e820 = memmap_e820(p->memmap);
    unsigned entries = MIN(e820->len / 20, E820_MAX);
    bp[BP_E820_ENTRIES] = entries;
    memcpy(bp + BP_E820_TABLE, e820->data, entries * 20);
}

bool bzimage_plan(BootPlan *p, const uint8_t *head, size_t len, Error **errp)
{
    if (!check_header(p, head, errp)) {
        return false;
    }
    unsigned sectors = head[BP_SETUP_SECTS] ? head[BP_SETUP_SECTS] : DEFAULT_SETUP_SECTS;
    p->setup_size = (sectors + 1) * SECTOR;
    if (p->setup_size + ENTRY_64 >= p->kernel->size) {
        error_setg(errp, "kernel image '%s' is truncated: it ends in its setup part",
                   p->kernel->path);
        return false;
    }
    /* What follows the counted part (a signature) is not loaded. */
    uint64_t counted = (uint64_t)load_le32(head + BP_SYSSIZE) * 16;
    uint64_t size = p->kernel->size - p->setup_size;
    if (counted > ROUND_UP(size, 16)) {
        error_setg(errp, "kernel image '%s' is truncated: %" PRIu64 " of %" PRIu64 " bytes",
                   p->kernel->path, size, counted);
        return false;
    }
    size = counted > ENTRY_64 ? MIN(size, counted) : size;

    uint64_t kernel;
    if (!place_kernel(p, head, size, &kernel, errp)) {
        return false;
    }
    boot_plan_add_file(p, p->kernel, p->setup_size, kernel, size);
    if (!boot_plan_place_initrd(p, load_le32(head + BP_INITRD_ADDR_MAX) + UINT64_C(1), errp)) {
        return false;
    }
    uint64_t cmdline = boot_plan_add_table(p, p->cmdline, strlen(p->cmdline) + 1, 8, errp);
    uint64_t table = cmdline ? add_page_table(p, errp) : 0;
    uint64_t gdt = table ? add_gdt(p, errp) : 0;
    if (!gdt) {
        return false;
    }
    g_autofree uint8_t *bp = g_malloc0(BP_SIZE);
    fill_params(p, bp, head, kernel, cmdline);
    p->entry = (BootEntry){
        .protocol = BOOT_LINUX64,
        .rip = kernel + ENTRY_64,
        .info = boot_plan_add_table(p, bp, BP_SIZE, BOOT_PAGE, errp),
        .gdt = gdt,
        .page_table = table,
    };
    return p->entry.info != 0;
}
