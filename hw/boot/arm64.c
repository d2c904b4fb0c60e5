/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Linux on AArch64 (the kernel's Documentation/arm64/booting.rst): an Image,
 * also gzipped, at a multiple of 2 MiB plus its text offset; the initrd and the
 * device tree above it. ELF files are entered at their entry point with the
 * same register. Main thread; trusts no file.
 */
#include "util/osdep.h"

#include <elf.h>
#include <zlib.h>
#include "internal.h"
#include "util/bswap.h"

enum {
    HEADER_TEXT_OFFSET = 0x08, HEADER_IMAGE_SIZE = 0x10, HEADER_MAGIC = 0x38, HEADER_SIZE = 0x40,
};
#define MAGIC 0x644d5241u               /* "ARM\x64" */
#define IMAGE_ALIGN (2 * MIB)
#define OLD_TEXT_OFFSET 0x80000u        /* of kernels before 3.17, which have no image size */
/* A tree near the kernel's own start would be overwritten by loaders that put a stub there. */
#define TEXT_OFFSET_MIN 0x1000u
#define TREE_SIZE_MAX (2 * MIB)
#define UNZIPPED_MAX (256 * MIB)
#define INITRD_OFFSET_MAX (128 * MIB)

/* ---- gzip ---- */

static bool is_gzip(const uint8_t *head, size_t len)
{
    return len > 18 && head[0] == 0x1f && head[1] == 0x8b;
}

/* @z has its input; the output grows as needed. */
static uint8_t *inflate_all(z_stream *z, size_t *size)
{
    size_t room = 32 * MIB;
    g_autofree uint8_t *out = g_malloc(room);
    int ret;

    do {
        if (z->total_out == room) {
            if (room >= UNZIPPED_MAX) {
                return NULL;
            }
            room *= 2;
            out = g_realloc(out, room);
        }
        z->next_out = out + z->total_out;
        z->avail_out = room - z->total_out;
        ret = inflate(z, Z_NO_FLUSH);
    } while (ret == Z_OK && (z->avail_in || !z->avail_out));
    if (ret != Z_STREAM_END) {
        return NULL;
    }
    *size = z->total_out;
    return g_steal_pointer(&out);
}

static uint8_t *unzip(const BootFile *f, size_t *size, Error **errp)
{
    z_stream z = { 0 };
    g_autofree uint8_t *packed = NULL;
    uint8_t *out;

    if (f->size > UNZIPPED_MAX) {
        error_setg(errp, "kernel image '%s' is larger than 256 MiB", f->path);
        return NULL;
    }
    packed = g_malloc(f->size);
    if (!boot_file_read(f, 0, packed, f->size, errp)) {
        return NULL;
    }
    z.next_in = packed;
    z.avail_in = f->size;
    /* 16: the gzip format, with any window. */
    if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK) {
        error_setg(errp, "kernel image '%s': no memory to unpack it", f->path);
        return NULL;
    }
    out = inflate_all(&z, size);
    inflateEnd(&z);
    if (!out) {
        error_setg(errp, "kernel image '%s' cannot be unpacked: it is damaged, or larger than"
                   " 256 MiB", f->path);
    }
    return out;
}

bool boot_file_unzip(const BootFile *f, uint8_t **data, size_t *size, Error **errp)
{
    uint8_t head[HEADER_SIZE] = { 0 };
    size_t len = MIN(f->size, sizeof(head));

    *data = NULL;
    if (!boot_file_read(f, 0, head, len, errp)) {
        return false;
    }
    if (!is_gzip(head, len)) {
        return true;
    }
    *data = unzip(f, size, errp);
    return *data != NULL;
}

/* ---- kernels ---- */

/* *@data: the unpacked image, taken over on success; NULL: it is the file. */
static bool plan_image(BootPlan *p, const uint8_t *head, uint8_t **data, uint64_t size,
                       uint64_t ram, Error **errp)
{
    uint64_t text_offset = load_le64(head + HEADER_TEXT_OFFSET);
    uint64_t need = load_le64(head + HEADER_IMAGE_SIZE);
    uint64_t addr;

    if (!need) {
        text_offset = OLD_TEXT_OFFSET;
    }
    need = MAX(need, size);
    addr = ram + text_offset + (text_offset < TEXT_OFFSET_MIN ? IMAGE_ALIGN : 0);
    if (text_offset >= IMAGE_ALIGN || !memmap_is_ram(p->memmap, addr, need)) {
        error_setg(errp, "kernel image '%s' does not fit: it wants %" PRIu64 " bytes at 0x%" PRIx64,
                   p->kernel->path, need, addr);
        error_append_hint(errp, "Give the guest more memory (-m), or check the image.\n");
        return false;
    }
    if (*data) {
        boot_plan_take_data(p, g_steal_pointer(data), addr, size);
    } else {
        boot_plan_add_file(p, p->kernel, 0, addr, size);
    }
    boot_plan_claim(p, addr, addr + need);
    p->entry.rip = addr;
    return true;
}

static bool is_image(const uint8_t *head, uint64_t len)
{
    return len >= HEADER_SIZE && load_le32(head + HEADER_MAGIC) == MAGIC;
}

static bool plan_elf(BootPlan *p, Error **errp)
{
    g_autofree ElfImage *elf = g_new0(ElfImage, 1);

    if (!elf_parse(p->kernel, elf, errp)) {
        return false;
    }
    if (elf->machine != EM_AARCH64) {
        error_setg(errp, "kernel image '%s' is an ELF file, but not for AArch64", p->kernel->path);
        return false;
    }
    p->entry.rip = elf->entry;
    return elf_plan(p, elf, errp);
}

static bool plan_kernel(BootPlan *p, uint64_t ram, Error **errp)
{
    uint8_t head[HEADER_SIZE] = { 0 };
    size_t len = MIN(p->kernel->size, sizeof(head)), size = 0;
    g_autofree uint8_t *data = NULL;

    if (!boot_file_read(p->kernel, 0, head, len, errp) ||
        !boot_file_unzip(p->kernel, &data, &size, errp)) {
        return false;
    }
    if (data) {
        if (is_image(data, size)) {
            return plan_image(p, data, &data, size, ram, errp);
        }
    } else if (is_image(head, len)) {
        return plan_image(p, head, &data, p->kernel->size, ram, errp);
    } else if (elf_recognise(head, len)) {
        return plan_elf(p, errp);
    }
    error_setg(errp, "kernel image '%s' has no known format (arm64 Image, gzipped Image, ELF)",
               p->kernel->path);
    return false;
}

/* ---- initrd and device tree ---- */

static bool place_initrd(BootPlan *p, uint64_t ram, Error **errp)
{
    uint64_t size = memmap_ram_end(p->memmap, ram) - ram;
    uint64_t addr = ram + MIN(size / 2, INITRD_OFFSET_MAX);

    addr = ROUND_UP(MAX(addr, p->kernel_end), BOOT_PAGE);
    p->initrd_addr = p->initrd ? addr : 0;
    p->scratch = addr;
    if (p->initrd && p->initrd->size) {
        if (!boot_plan_check_ram(p, p->initrd, addr, p->initrd->size, errp)) {
            return false;
        }
        boot_plan_add_file(p, p->initrd, 0, addr, p->initrd->size);
        p->scratch += p->initrd->size;
    }
    return true;
}

BootPlan *boot_plan_new_arm64(const BootSpec *spec, uint64_t ram, Error **errp)
{
    g_autoptr(BootPlan) p = boot_plan_open(spec, errp);

    if (!p) {
        return NULL;
    }
    p->entry.protocol = BOOT_ARM64;
    if (spec->initrd) {
        p->initrd = boot_file_open(spec->initrd, "initrd", errp);
        if (!p->initrd) {
            return NULL;
        }
    }
    if (!plan_kernel(p, ram, errp) || !place_initrd(p, ram, errp)) {
        return NULL;
    }
    return g_steal_pointer(&p);
}

uint64_t boot_plan_tree_addr(const BootPlan *p)
{
    return ROUND_UP(p->scratch, IMAGE_ALIGN);
}

bool boot_plan_set_tree(BootPlan *p, void *tree, size_t size, Error **errp)
{
    uint64_t addr = boot_plan_tree_addr(p);

    if (size > TREE_SIZE_MAX || !memmap_is_ram(p->memmap, addr, size)) {
        error_setg(errp, "the device tree (%zu bytes) does not fit behind kernel and initrd", size);
        error_append_hint(errp, "Give the guest more memory (-m).\n");
        g_free(tree);
        return false;
    }
    boot_plan_take_data(p, tree, addr, size);
    p->tree = tree;
    p->entry.info = addr;
    return true;
}
