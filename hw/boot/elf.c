/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ELF executables, 32 and 64 bits, little-endian (System V gABI 4.1), with the
 * Xen note that gives a kernel's PVH entry. Main thread; the file is not
 * trusted: counts are limited, every range is checked against its size.
 */
#include "util/osdep.h"

#include <elf.h>
#include "internal.h"
#include "util/bswap.h"

#define XEN_ELFNOTE_PHYS32_ENTRY 18
#define MAX_NOTES_SIZE (64 * KIB)

bool elf_recognise(const uint8_t *head, size_t len)
{
    return len >= EI_NIDENT && !memcmp(head, ELFMAG, SELFMAG);
}

static bool bad(const BootFile *f, Error **errp, const char *why)
{
    error_setg(errp, "%s '%s': %s", f->what, f->path, why);
    return false;
}

/* The fields that we use of a program header, whatever its class. */
typedef struct Phdr {
    uint32_t type;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
} Phdr;

static void phdr_read(const uint8_t *p, bool is64, Phdr *out)
{
    out->type = load_le32(p);
    if (is64) {
        out->offset = load_le64(p + offsetof(Elf64_Phdr, p_offset));
        out->vaddr = load_le64(p + offsetof(Elf64_Phdr, p_vaddr));
        out->paddr = load_le64(p + offsetof(Elf64_Phdr, p_paddr));
        out->filesz = load_le64(p + offsetof(Elf64_Phdr, p_filesz));
        out->memsz = load_le64(p + offsetof(Elf64_Phdr, p_memsz));
        out->align = load_le64(p + offsetof(Elf64_Phdr, p_align));
    } else {
        out->offset = load_le32(p + offsetof(Elf32_Phdr, p_offset));
        out->vaddr = load_le32(p + offsetof(Elf32_Phdr, p_vaddr));
        out->paddr = load_le32(p + offsetof(Elf32_Phdr, p_paddr));
        out->filesz = load_le32(p + offsetof(Elf32_Phdr, p_filesz));
        out->memsz = load_le32(p + offsetof(Elf32_Phdr, p_memsz));
        out->align = load_le32(p + offsetof(Elf32_Phdr, p_align));
    }
}

/* Notes are name and descriptor, each padded to @align; damaged ones end the search. */
static void find_pvh_note(const uint8_t *notes, uint64_t size, uint64_t align, ElfImage *out)
{
    align = align == 8 ? 8 : 4;
    for (uint64_t at = 0; size - at >= sizeof(Elf32_Nhdr) && at < size; ) {
        uint64_t name_size = load_le32(notes + at);
        uint64_t desc_size = load_le32(notes + at + 4);
        uint32_t type = load_le32(notes + at + 8);
        uint64_t name = at + sizeof(Elf32_Nhdr);
        uint64_t desc = ROUND_UP(name + name_size, align);
        uint64_t next = ROUND_UP(desc + desc_size, align);
        if (desc + desc_size > size) {
            return;
        }
        if (type == XEN_ELFNOTE_PHYS32_ENTRY && name_size == 4 &&
            !memcmp(notes + name, "Xen", 4) && (desc_size == 4 || desc_size == 8)) {
            uint64_t entry = load_le(notes + desc, desc_size);
            if (entry <= UINT32_MAX) {
                out->has_pvh = true;
                out->pvh_entry = entry;
            }
            return;
        }
        at = MIN(next, size);
    }
}

static bool parse_note(const BootFile *f, const Phdr *ph, ElfImage *out, Error **errp)
{
    if (ph->filesz > MAX_NOTES_SIZE) {
        return bad(f, errp, "its notes are larger than 64 KiB");
    }
    g_autofree uint8_t *notes = g_malloc(ph->filesz + 1);
    if (!boot_file_read(f, ph->offset, notes, ph->filesz, errp)) {
        return false;
    }
    find_pvh_note(notes, ph->filesz, ph->align, out);
    return true;
}

static bool parse_load(const BootFile *f, const Phdr *ph, ElfImage *out, Error **errp)
{
    if (ph->memsz == 0) {
        return true;
    }
    if (ph->filesz > ph->memsz) {
        return bad(f, errp, "a segment is larger in the file than in memory");
    }
    if (ph->filesz && (ph->offset > f->size || ph->filesz > f->size - ph->offset)) {
        return bad(f, errp, "a segment lies beyond the end of the file (is it truncated?)");
    }
    if (ph->paddr + ph->memsz < ph->paddr) {
        return bad(f, errp, "a segment wraps around the address space");
    }
    out->segments[out->segment_count++] = (ElfSegment){
        .offset = ph->offset, .vaddr = ph->vaddr, .paddr = ph->paddr,
        .filesz = ph->filesz, .memsz = ph->memsz,
    };
    return true;
}

/* An entry that is a virtual address becomes the physical one. */
static uint64_t physical_entry(const ElfImage *elf)
{
    for (unsigned i = 0; i < elf->segment_count; i++) {
        const ElfSegment *s = &elf->segments[i];
        if (elf->entry >= s->vaddr && elf->entry - s->vaddr < s->memsz) {
            return elf->entry - s->vaddr + s->paddr;
        }
    }
    return elf->entry;
}

bool elf_parse(const BootFile *f, ElfImage *out, Error **errp)
{
    union {
        Elf64_Ehdr e64;
        Elf32_Ehdr e32;
        uint8_t bytes[sizeof(Elf64_Ehdr)];
    } eh = { 0 };
    if (!boot_file_read(f, 0, eh.bytes, sizeof(Elf32_Ehdr), errp)) {
        return false;
    }
    out->is64 = eh.bytes[EI_CLASS] == ELFCLASS64;
    if (!out->is64 && eh.bytes[EI_CLASS] != ELFCLASS32) {
        return bad(f, errp, "neither a 32-bit nor a 64-bit ELF file");
    }
    if (eh.bytes[EI_DATA] != ELFDATA2LSB) {
        return bad(f, errp, "not a little-endian ELF file");
    }
    if (out->is64 && !boot_file_read(f, 0, eh.bytes, sizeof(Elf64_Ehdr), errp)) {
        return false;
    }
    out->machine = le16toh(out->is64 ? eh.e64.e_machine : eh.e32.e_machine);
    out->entry = out->is64 ? le64toh(eh.e64.e_entry) : le32toh(eh.e32.e_entry);
    uint64_t phoff = out->is64 ? le64toh(eh.e64.e_phoff) : le32toh(eh.e32.e_phoff);
    unsigned phnum = le16toh(out->is64 ? eh.e64.e_phnum : eh.e32.e_phnum);
    unsigned phentsize = le16toh(out->is64 ? eh.e64.e_phentsize : eh.e32.e_phentsize);

    if (out->machine != EM_X86_64 && out->machine != EM_386 && out->machine != EM_AARCH64) {
        return bad(f, errp, "an ELF file, but neither for x86 nor for AArch64");
    }
    if (phnum == 0 || phnum > ELF_MAX_SEGMENTS) {
        return bad(f, errp, "no program headers, or more than 128");
    }
    if (phentsize != (out->is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr))) {
        return bad(f, errp, "program headers of an unknown size");
    }
    g_autofree uint8_t *table = g_malloc(phnum * phentsize);
    if (!boot_file_read(f, phoff, table, phnum * phentsize, errp)) {
        return false;
    }
    for (unsigned i = 0; i < phnum; i++) {
        Phdr ph;
        phdr_read(table + i * phentsize, out->is64, &ph);
        if (ph.type == PT_LOAD && !parse_load(f, &ph, out, errp)) {
            return false;
        }
        if (ph.type == PT_NOTE && !out->has_pvh && !parse_note(f, &ph, out, errp)) {
            return false;
        }
    }
    if (out->segment_count == 0) {
        return bad(f, errp, "no segment to load");
    }
    out->entry = physical_entry(out);
    return true;
}

bool elf_plan(BootPlan *p, const ElfImage *elf, Error **errp)
{
    for (unsigned i = 0; i < elf->segment_count; i++) {
        const ElfSegment *s = &elf->segments[i];
        if (!boot_plan_check_ram(p, p->kernel, s->paddr, s->memsz, errp)) {
            return false;
        }
        boot_plan_add_file(p, p->kernel, s->offset, s->paddr, s->filesz);
        boot_plan_add_zeros(p, s->paddr + s->filesz, s->memsz - s->filesz);
        boot_plan_claim(p, s->paddr, s->paddr + s->memsz);
    }
    return true;
}
