/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the loaders of the image formats share. */
#ifndef HW_BOOT_INTERNAL_H
#define HW_BOOT_INTERNAL_H

#include "hw/boot/plan.h"

#define BOOT_PAGE 4096
/* Low memory for our tables; the first page stays zero. */
#define BOOT_SCRATCH_START 0x1000
#define BOOT_SCRATCH_END 0x9f000
/* Bytes at the start of the kernel file that formats are recognised by; files may be shorter. */
#define BOOT_PROBE_SIZE 8192

/* ---- plan.c ---- */

/* A plan with its kernel file and nothing planned. */
BootPlan *boot_plan_open(const BootSpec *spec, Error **errp);
/* @data becomes the plan's. */
void boot_plan_take_data(BootPlan *p, uint8_t *data, uint64_t addr, uint64_t len);

/* What the image brings must fit RAM; false with an error that names the file. */
bool boot_plan_check_ram(const BootPlan *p, const BootFile *f, uint64_t addr, uint64_t size,
                         Error **errp);
void boot_plan_add_file(BootPlan *p, const BootFile *f, uint64_t offset, uint64_t addr,
                        uint64_t len);
void boot_plan_add_zeros(BootPlan *p, uint64_t addr, uint64_t len);
/* A copy of @data at a place in low memory of our choice, 0 when that is full. */
uint64_t boot_plan_add_table(BootPlan *p, const void *data, size_t len, unsigned align,
                             Error **errp);
/* Let the kernel use [start, end); for placement of what follows and for the overlap check. */
void boot_plan_claim(BootPlan *p, uint64_t start, uint64_t end);
/* As high as possible below @limit, not in the kernel. */
bool boot_plan_place_initrd(BootPlan *p, uint64_t limit, Error **errp);

/* ---- elf.c ---- */

#define ELF_MAX_SEGMENTS 128

typedef struct ElfSegment {
    uint64_t offset, vaddr, paddr, filesz, memsz;
} ElfSegment;

typedef struct ElfImage {
    bool is64;
    uint16_t machine;
    uint64_t entry;             /* physical when a segment tells how to translate it */
    ElfSegment segments[ELF_MAX_SEGMENTS];
    unsigned segment_count;
    bool has_pvh;
    uint32_t pvh_entry;
} ElfImage;

bool elf_recognise(const uint8_t *head, size_t len);
/* Headers and notes; segments lie in the file. */
bool elf_parse(const BootFile *f, ElfImage *out, Error **errp);
/* Segments into the plan; they lie in RAM. */
bool elf_plan(BootPlan *p, const ElfImage *elf, Error **errp);

/* ---- one per protocol; @head is the start of the kernel file ---- */

bool pvh_plan(BootPlan *p, const ElfImage *elf, Error **errp);

bool bzimage_recognise(const uint8_t *head, size_t len);
bool bzimage_plan(BootPlan *p, const uint8_t *head, size_t len, Error **errp);

/* Offset of the Multiboot header, or -1. */
int multiboot_recognise(const uint8_t *head, size_t len);
/* @initrd is the user's list of modules, or NULL. */
bool multiboot_plan(BootPlan *p, const uint8_t *head, int header, const char *initrd,
                    Error **errp);

#endif
