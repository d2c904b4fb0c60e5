/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Direct boot: from image files to a plan of what lies where in guest memory
 * and how the first CPU starts. A plan is made once; applying it fills guest
 * RAM from the files (read straight into the mapping) and from small tables,
 * at start and again at every reset. Large images are never kept in memory.
 *
 * Image files are not trusted: every offset and length is checked against the
 * file and against the memory map, with an error that names the file.
 *
 * Thread: main thread.
 */
#ifndef HW_BOOT_PLAN_H
#define HW_BOOT_PLAN_H

#include "hw/boot/memmap.h"
#include "util/error.h"

struct AddressSpace;

/* ---- image files ---- */

typedef struct BootFile {
    char *path;
    const char *what;           /* "kernel image", for messages */
    int fd;
    uint64_t size;
} BootFile;

BootFile *boot_file_open(const char *path, const char *what, Error **errp);
void boot_file_close(BootFile *f);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BootFile, boot_file_close)
/* [offset, offset + len) must lie in the file; an error says that it is truncated. */
bool boot_file_read(const BootFile *f, uint64_t offset, void *buf, uint64_t len, Error **errp);

/* x86: the bytes before the protected-mode part of a bzImage; 0 when it is none. */
bool boot_bzimage_setup_size(const BootFile *f, uint32_t *size, Error **errp);
/*
 * AArch64: the contents of a gzipped file, *@size bytes; *@data NULL when it is
 * not gzipped. Caller frees.
 */
bool boot_file_unzip(const BootFile *f, uint8_t **data, size_t *size, Error **errp);

/* ---- plans ---- */

/* How the first CPU starts (contracts of the boot protocols). */
typedef enum BootProtocol {
    BOOT_PVH,                   /* 32-bit flat, RBX = hvm_start_info */
    BOOT_LINUX64,               /* 64-bit, identity map at page_table, RSI = boot_params */
    BOOT_MULTIBOOT,             /* 32-bit flat, RAX = magic, RBX = information */
    BOOT_ARM64,                 /* EL1, MMU off, X0 = device tree */
} BootProtocol;

typedef struct BootEntry {
    BootProtocol protocol;
    uint64_t rip;               /* or PC */
    uint64_t info;              /* what the register above points to */
    uint64_t gdt, page_table;   /* BOOT_LINUX64 only */
} BootEntry;

typedef struct BootPiece {
    const BootFile *file;       /* or NULL: @data, or zeros when that is NULL too */
    uint64_t file_offset;
    uint8_t *data;
    uint64_t addr, len;
} BootPiece;

typedef struct BootPlan {
    const Memmap *memmap;
    uint64_t rsdp;
    char *cmdline;              /* as the user gave it, or "" */
    BootFile *kernel;
    BootFile *initrd;           /* NULL: none */
    GPtrArray *modules;         /* Multiboot modules after the first; BootFile */
    GArray *pieces;             /* BootPiece, applied in order */
    uint64_t scratch;           /* next free byte of low memory for our tables */
    uint64_t kernel_start, kernel_end;  /* guest addresses, memory that it needs included */
    uint64_t initrd_addr;
    void *tree;                 /* arm64: the device tree, in one of the pieces */
    uint64_t setup_size;        /* bzImage: bytes before the protected-mode part; else 0 */
    BootEntry entry;
} BootPlan;

typedef struct BootSpec {
    const char *kernel;
    const char *initrd;         /* NULL: none; for Multiboot "file args,file args" */
    const char *cmdline;        /* NULL: empty */
    const Memmap *memmap;       /* must outlive the plan */
    uint64_t rsdp;              /* guest address */
} BootSpec;

BootPlan *boot_plan_new(const BootSpec *spec, Error **errp);
/*
 * AArch64: an Image (gzipped or not) or an ELF file, with RAM from @ram on. The
 * device tree, which tells where the initrd is, follows.
 */
BootPlan *boot_plan_new_arm64(const BootSpec *spec, uint64_t ram, Error **errp);
/* The address that boot_plan_set_tree() will use; the tree may have @size bytes there. */
uint64_t boot_plan_tree_addr(const BootPlan *p);
/* @tree (g_malloc'ed, of @size bytes) becomes the plan's; it may be changed in place. */
bool boot_plan_set_tree(BootPlan *p, void *tree, size_t size, Error **errp);
void boot_plan_free(BootPlan *p);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BootPlan, boot_plan_free)
/*
 * Write everything to guest memory. @fresh: RAM is known to be zero, so that
 * zeroed parts need not be touched.
 */
bool boot_plan_apply(const BootPlan *p, struct AddressSpace *as, bool fresh, Error **errp);

#endif
