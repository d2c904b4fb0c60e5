/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Direct boot: memory maps, and plans made from generated images, good and
 * hostile. Guest memory is a flat buffer here.
 */
#include "util/osdep.h"

#include <elf.h>
#include <glib/gstdio.h>
#include <sys/mman.h>
#include "hw/boot/plan.h"
#include "system/memory.h"
#include "util/bswap.h"

#define RAM_SIZE (64 * MIB)
#define RSDP UINT64_C(0xe0000)

static uint8_t *ram;

void *guest_map(AddressSpace *as, GuestAddr addr, uint64_t *len, bool write)
{
    if (addr >= RAM_SIZE) {
        *len = 0;
        return NULL;
    }
    /* Odd pieces, as at the border of two blocks. */
    *len = MIN(*len, MIN(RAM_SIZE - addr, 100000));
    return ram + addr;
}

void guest_unmap(AddressSpace *as, void *host, uint64_t len, bool write, uint64_t written)
{
}

/* ---- images ---- */

typedef struct Fixture {
    char *dir, *kernel, *initrd;
    Memmap *map;
    GByteArray *image;
} Fixture;

static void setup(Fixture *fx, gconstpointer data)
{
    fx->dir = g_dir_make_tmp("nemu-boot-XXXXXX", NULL);
    fx->kernel = g_build_filename(fx->dir, "kernel", NULL);
    fx->initrd = g_build_filename(fx->dir, "initrd", NULL);
    fx->map = memmap_new();
    memmap_add(fx->map, 0, RAM_SIZE, MEMMAP_RAM);
    memmap_add(fx->map, 0x9fc00, MIB - 0x9fc00, MEMMAP_RESERVED);
    fx->image = g_byte_array_new();
    ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    g_assert_true(ram != MAP_FAILED);
    memset(ram, 0xee, RAM_SIZE);
}

static void teardown(Fixture *fx, gconstpointer data)
{
    g_unlink(fx->kernel);
    g_unlink(fx->initrd);
    g_rmdir(fx->dir);
    g_free(fx->dir);
    g_free(fx->kernel);
    g_free(fx->initrd);
    memmap_free(fx->map);
    g_byte_array_unref(fx->image);
    munmap(ram, RAM_SIZE);
}

static void save(const char *path, const void *data, size_t len)
{
    g_assert_true(g_file_set_contents(path, data, len, NULL));
}

static BootPlan *plan(Fixture *fx, const char *initrd, const char *cmdline, Error **errp)
{
    BootSpec spec = {
        .kernel = fx->kernel, .initrd = initrd, .cmdline = cmdline, .memmap = fx->map, .rsdp = RSDP,
    };
    save(fx->kernel, fx->image->data, fx->image->len);
    return boot_plan_new(&spec, errp);
}

static void refuse(Fixture *fx, const char *part_of_message)
{
    Error *err = NULL;
    g_autoptr(BootPlan) p = plan(fx, NULL, NULL, &err);
    g_assert_null(p);
    g_assert_nonnull(err);
    if (!strstr(error_message(err), part_of_message)) {
        g_error("'%s' is not in '%s'", part_of_message, error_message(err));
    }
    error_free(err);
}

static uint8_t *grow(Fixture *fx, size_t len)
{
    size_t at = fx->image->len;
    g_byte_array_set_size(fx->image, len);
    memset(fx->image->data + at, 0, len - at);
    return fx->image->data;
}

static Elf64_Phdr *phdr(Fixture *fx, unsigned i)
{
    return (Elf64_Phdr *)(fx->image->data + sizeof(Elf64_Ehdr)) + i;
}

/* One segment of 0x1800 bytes (0x4000 in memory) at 2 MiB, one note. */
static void make_elf(Fixture *fx)
{
    grow(fx, 0x3000);
    Elf64_Ehdr *eh = (Elf64_Ehdr *)fx->image->data;
    memcpy(eh->e_ident, ELFMAG, SELFMAG);
    eh->e_ident[EI_CLASS] = ELFCLASS64;
    eh->e_ident[EI_DATA] = ELFDATA2LSB;
    eh->e_type = ET_EXEC;
    eh->e_machine = EM_X86_64;
    eh->e_entry = 0xffffffff80000100;
    eh->e_phoff = sizeof(*eh);
    eh->e_phnum = 2;
    eh->e_phentsize = sizeof(Elf64_Phdr);
    *phdr(fx, 0) = (Elf64_Phdr){
        .p_type = PT_LOAD, .p_offset = 0x1000, .p_vaddr = 0xffffffff80000000, .p_paddr = 2 * MIB,
        .p_filesz = 0x1800, .p_memsz = 0x4000,
    };
    *phdr(fx, 1) = (Elf64_Phdr){
        .p_type = PT_NOTE, .p_offset = 0x2800, .p_filesz = 0x30, .p_memsz = 0x30, .p_align = 4,
    };
    memset(fx->image->data + 0x1000, 0x5a, 0x1800);
    uint8_t *note = fx->image->data + 0x2800;
    store_le32(note, 5);                /* another one first: "Linux", 3 bytes */
    store_le32(note + 4, 3);
    store_le32(note + 8, 1);
    memcpy(note + 12, "Linux", 5);
    note += 24;
    store_le32(note, 4);
    store_le32(note + 4, 8);
    store_le32(note + 8, 18);
    memcpy(note + 12, "Xen", 4);
    store_le64(note + 16, 0x200040);
}

static void apply(const BootPlan *p)
{
    g_assert_true(boot_plan_apply(p, NULL, false, &error_abort));
}

/* ---- memory maps ---- */

static void test_memmap(void)
{
    g_autoptr(Memmap) m = memmap_new();
    memmap_add(m, 0x1000, 0x1000, MEMMAP_RAM);
    memmap_add(m, 0x2000, 0x1000, MEMMAP_RAM);
    g_assert_cmpuint(memmap_count(m), ==, 1);
    memmap_add(m, 0x1800, 0x400, MEMMAP_RESERVED);
    g_assert_cmpuint(memmap_count(m), ==, 3);
    g_assert_cmphex(memmap_get(m, 1)->addr, ==, 0x1800);
    g_assert_cmphex(memmap_get(m, 2)->addr, ==, 0x1c00);
    g_assert_cmphex(memmap_get(m, 2)->size, ==, 0x1400);
    memmap_add(m, 0, 0x1000, MEMMAP_ACPI);
    g_assert_cmpuint(memmap_count(m), ==, 4);
    memmap_add(m, 0x10000, 0x1000, MEMMAP_RAM);
    g_assert_cmpuint(memmap_count(m), ==, 5);
    g_assert_true(memmap_is_ram(m, 0x1c00, 0x1400));
    g_assert_false(memmap_is_ram(m, 0x1c00, 0x1401));
    g_assert_false(memmap_is_ram(m, 0x1c00, UINT64_MAX));
    g_assert_false(memmap_is_ram(m, 0x1900, 1));
    g_assert_false(memmap_is_ram(m, 0x1000, 0));
    g_assert_cmphex(memmap_ram_end(m, 0x1000), ==, 0x1800);
    memmap_add(m, 0, 0x20000, MEMMAP_RAM);
    g_assert_cmpuint(memmap_count(m), ==, 1);
    g_autoptr(GByteArray) e820 = memmap_e820(m);
    g_assert_cmpuint(e820->len, ==, 20);
    g_assert_cmphex(load_le64(e820->data + 8), ==, 0x20000);
    g_assert_cmpuint(load_le32(e820->data + 16), ==, 1);
}

/* ---- PVH ---- */

static void test_pvh(Fixture *fx, gconstpointer data)
{
    make_elf(fx);
    g_autofree char *initrd = g_strnfill(5000, 'i');
    save(fx->initrd, initrd, 5000);
    g_autoptr(BootPlan) p = plan(fx, fx->initrd, "console=ttyS0", &error_abort);
    g_assert_cmpint(p->entry.protocol, ==, BOOT_PVH);
    g_assert_cmphex(p->entry.rip, ==, 0x200040);
    apply(p);

    g_assert_cmpint(ram[2 * MIB], ==, 0x5a);
    g_assert_cmpint(ram[2 * MIB + 0x17ff], ==, 0x5a);
    for (unsigned i = 0x1800; i < 0x4000; i++) {
        g_assert_cmpint(ram[2 * MIB + i], ==, 0);
    }
    g_assert_cmpint(ram[2 * MIB + 0x4000], ==, 0xee);

    const uint8_t *info = ram + p->entry.info;
    g_assert_cmphex(load_le32(info), ==, 0x336ec578);
    g_assert_cmpuint(load_le32(info + 4), ==, 1);
    g_assert_cmpuint(load_le32(info + 12), ==, 1);
    const uint8_t *module = ram + load_le64(info + 16);
    uint64_t addr = load_le64(module);
    g_assert_cmpuint(addr % 4096, ==, 0);
    g_assert_cmphex(addr, ==, RAM_SIZE - 8192);
    g_assert_cmpuint(load_le64(module + 8), ==, 5000);
    g_assert_cmpmem(ram + addr, 5000, initrd, 5000);
    g_assert_cmpint(ram[addr + 5000], ==, 0xee);
    g_assert_cmpstr((char *)ram + load_le64(info + 24), ==, "console=ttyS0");
    g_assert_cmphex(load_le64(info + 32), ==, RSDP);
    g_assert_cmpuint(load_le32(info + 48), ==, 3);
    const uint8_t *map = ram + load_le64(info + 40);
    g_assert_cmphex(load_le64(map + 24), ==, 0x9fc00);
    g_assert_cmpuint(load_le32(map + 24 + 16), ==, 2);
    g_assert_cmphex(load_le64(map + 48 + 8), ==, RAM_SIZE - MIB);

    /* What a reset does: the guest's changes go, nothing else is touched. */
    ram[2 * MIB + 5] = 1;
    ram[2 * MIB + 0x2000] = 1;
    ram[0x500000] = 1;
    apply(p);
    g_assert_cmpint(ram[2 * MIB + 5], ==, 0x5a);
    g_assert_cmpint(ram[2 * MIB + 0x2000], ==, 0);
    g_assert_cmpint(ram[0x500000], ==, 1);
}

/* Fresh memory: zeros are not written. */
static void test_fresh(Fixture *fx, gconstpointer data)
{
    make_elf(fx);
    g_autoptr(BootPlan) p = plan(fx, NULL, NULL, &error_abort);
    g_assert_true(boot_plan_apply(p, NULL, true, &error_abort));
    g_assert_cmpint(ram[2 * MIB + 0x17ff], ==, 0x5a);
    g_assert_cmpint(ram[2 * MIB + 0x1800], ==, 0xee);
    g_assert_cmpuint(load_le32(ram + p->entry.info + 12), ==, 0);
    g_assert_cmpstr((char *)ram + load_le64(ram + p->entry.info + 24), ==, "");
}

static void test_shrunk(Fixture *fx, gconstpointer data)
{
    Error *err = NULL;
    make_elf(fx);
    g_autoptr(BootPlan) p = plan(fx, NULL, NULL, &error_abort);
    g_assert_cmpint(truncate(fx->kernel, 0x1400), ==, 0);
    g_assert_false(boot_plan_apply(p, NULL, false, &err));
    g_assert_nonnull(strstr(error_message(err), "become shorter"));
    error_free(err);
}

static void test_elf_hostile(Fixture *fx, gconstpointer data)
{
    make_elf(fx);
    g_autoptr(GByteArray) good = g_byte_array_new();
    g_byte_array_append(good, fx->image->data, fx->image->len);
    Elf64_Ehdr *eh = (Elf64_Ehdr *)fx->image->data;
#define RESTORE() memcpy(fx->image->data, good->data, good->len)

    phdr(fx, 0)->p_filesz = 0x4000;
    refuse(fx, "beyond the end");
    phdr(fx, 0)->p_filesz = UINT64_MAX - 0x800;
    phdr(fx, 0)->p_memsz = UINT64_MAX;
    refuse(fx, "beyond the end");
    RESTORE();
    phdr(fx, 0)->p_offset = UINT64_MAX - 0x100;
    refuse(fx, "beyond the end");
    RESTORE();
    phdr(fx, 0)->p_memsz = 0x1000;
    refuse(fx, "larger in the file");
    RESTORE();
    phdr(fx, 0)->p_paddr = UINT64_MAX - 0x1000;
    refuse(fx, "wraps");
    RESTORE();
    phdr(fx, 0)->p_paddr = RAM_SIZE - 0x2000;
    refuse(fx, "not all RAM");
    phdr(fx, 0)->p_paddr = 0x9f000;
    refuse(fx, "not all RAM");
    phdr(fx, 0)->p_paddr = 0x1000;
    refuse(fx, "boot information lies");
    RESTORE();
    phdr(fx, 0)->p_memsz = UINT64_MAX / 2;
    refuse(fx, "not all RAM");
    RESTORE();
    phdr(fx, 1)->p_filesz = UINT32_MAX;
    refuse(fx, "notes are larger");
    phdr(fx, 1)->p_filesz = 0x8000;
    refuse(fx, "truncated");
    RESTORE();
    eh->e_phnum = UINT16_MAX;
    refuse(fx, "more than 128");
    eh->e_phnum = 0;
    refuse(fx, "no program headers");
    RESTORE();
    eh->e_phoff = UINT64_MAX - 8;
    refuse(fx, "truncated");
    RESTORE();
    eh->e_phentsize = 8;
    refuse(fx, "unknown size");
    RESTORE();
    eh->e_machine = EM_AARCH64;
    refuse(fx, "not for x86");
    RESTORE();
    eh->e_ident[EI_CLASS] = 9;
    refuse(fx, "neither");
    RESTORE();
    phdr(fx, 0)->p_type = PT_DYNAMIC;
    refuse(fx, "no segment");
    RESTORE();
    /* Notes with sizes that lead astray are as good as none. */
    static const uint32_t sizes[] = { 0, 5, 0x7fffffff, 0x80000000, UINT32_MAX - 3, UINT32_MAX };
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        RESTORE();
        store_le32(fx->image->data + 0x2800 + 24, sizes[i]);
        refuse(fx, "without a PVH entry");
        RESTORE();
        store_le32(fx->image->data + 0x2800 + 28, sizes[i]);
        refuse(fx, "without a PVH entry");
    }
    RESTORE();
    store_le64(fx->image->data + 0x2800 + 24 + 16, UINT64_C(1) << 40);
    refuse(fx, "without a PVH entry");
    RESTORE();
    store_le64(fx->image->data + 0x2800 + 24 + 16, 0x90000000);
    refuse(fx, "not all RAM");
}

/* Every length of a good image either boots or is refused. */
static void test_truncated(Fixture *fx, gconstpointer data)
{
    make_elf(fx);
    unsigned refused = 0;
    for (guint len = fx->image->len; len > 0; len -= MIN(len, len < 0x100 ? 1 : 97)) {
        g_byte_array_set_size(fx->image, len);
        Error *err = NULL;
        g_autoptr(BootPlan) p = plan(fx, NULL, NULL, &err);
        g_assert_true((p == NULL) == (err != NULL));
        refused += p == NULL;
        error_free(err);
    }
    g_assert_cmpuint(refused, >, 200);
}

static void test_unknown(Fixture *fx, gconstpointer data)
{
    grow(fx, 100);
    refuse(fx, "no known format");
    g_byte_array_set_size(fx->image, 0);
    refuse(fx, "no known format");
    Error *err = NULL;
    BootSpec spec = { .kernel = fx->dir, .memmap = fx->map };
    g_assert_null(boot_plan_new(&spec, &err));
    g_assert_nonnull(strstr(error_message(err), "not a regular file"));
    error_free(err);
    err = NULL;
    spec.kernel = "/nonexistent/kernel";
    g_assert_null(boot_plan_new(&spec, &err));
    g_assert_nonnull(strstr(error_message(err), "could not open kernel image"));
    error_free(err);
}

/* ---- bzImage ---- */

static uint8_t *make_bzimage(Fixture *fx)
{
    uint8_t *h = grow(fx, 3 * 512 + 0x1000 + 7);
    h[0x1f1] = 2;
    store_le16(h + 0x1fe, 0xaa55);
    h[0x200] = 0xeb;
    h[0x201] = 0x6a;
    memcpy(h + 0x202, "HdrS", 4);
    store_le16(h + 0x206, 0x20f);
    h[0x211] = 1;
    store_le32(h + 0x22c, 0x7fffffff);
    store_le32(h + 0x230, 2 * MIB);
    h[0x234] = 1;
    store_le16(h + 0x236, 0x3f);
    store_le32(h + 0x238, 2047);
    store_le64(h + 0x258, 16 * MIB);
    store_le32(h + 0x260, 20 * MIB);
    store_le32(h + 0x1f4, 0x1000 / 16);
    memset(h + 3 * 512, 0x77, 0x1000);
    return h;
}

static void test_bzimage(Fixture *fx, gconstpointer data)
{
    make_bzimage(fx);
    save(fx->initrd, "initrd", 6);
    g_autoptr(BootPlan) p = plan(fx, fx->initrd, "quiet", &error_abort);
    apply(p);
    g_assert_cmpint(p->entry.protocol, ==, BOOT_LINUX64);
    g_assert_cmphex(p->entry.rip, ==, 16 * MIB + 0x200);
    g_assert_cmpint(ram[16 * MIB], ==, 0x77);
    g_assert_cmpint(ram[16 * MIB + 0xfff], ==, 0x77);
    g_assert_cmpint(ram[16 * MIB + 0x1000], ==, 0xee);
    const uint8_t *bp = ram + p->entry.info;
    g_assert_cmphex(load_le64(bp + 0x70), ==, RSDP);
    g_assert_cmpmem(bp + 0x202, 4, "HdrS", 4);
    g_assert_cmpint(bp[0x210], ==, 0xff);
    g_assert_cmpint(bp[0x1e8], ==, 3);
    g_assert_cmphex(load_le64(bp + 0x2d0 + 20), ==, 0x9fc00);
    g_assert_cmphex(load_le32(bp + 0x218), ==, RAM_SIZE - 4096);
    g_assert_cmpuint(load_le32(bp + 0x21c), ==, 6);
    g_assert_cmpmem(ram + RAM_SIZE - 4096, 6, "initrd", 6);
    g_assert_cmpstr((char *)ram + load_le32(bp + 0x228), ==, "quiet");
    for (unsigned i = 0x26c; i < 0x2d0; i++) {
        g_assert_cmpint(bp[i], ==, 0);
    }
    /* The identity map, at its first and last large page. */
    const uint8_t *pml4 = ram + p->entry.page_table;
    const uint8_t *pdpt = ram + (load_le64(pml4) & ~UINT64_C(0xfff));
    const uint8_t *pd = ram + (load_le64(pdpt + 24) & ~UINT64_C(0xfff));
    g_assert_cmphex(load_le64(pd + 511 * 8), ==, 4 * GIB - 2 * MIB + 0x83);
    g_assert_cmphex(load_le64(ram + p->entry.gdt + 0x10) >> 40 & 0xff, ==, 0x9b);
}

/* No room where it prefers to be, but it can move. */
static void test_bzimage_moved(Fixture *fx, gconstpointer data)
{
    uint8_t *h = make_bzimage(fx);
    store_le64(h + 0x258, 60 * MIB);
    g_autoptr(BootPlan) p = plan(fx, NULL, NULL, &error_abort);
    g_assert_cmphex(p->entry.rip, ==, 2 * MIB + 0x200);
    h[0x234] = 0;
    refuse(fx, "not all RAM");
}

static void test_bzimage_hostile(Fixture *fx, gconstpointer data)
{
    uint8_t *h = make_bzimage(fx);
    store_le16(h + 0x206, 0x204);
    refuse(fx, "without a 64-bit entry");
    store_le16(h + 0x206, 0x20f);
    store_le16(h + 0x236, 0);
    refuse(fx, "without a 64-bit entry");
    store_le16(h + 0x236, 1);
    h[0x1f1] = 255;
    refuse(fx, "truncated");
    h[0x1f1] = 2;
    store_le32(h + 0x1f4, UINT32_MAX);
    refuse(fx, "truncated");
    store_le32(h + 0x1f4, 0x100);
    store_le32(h + 0x260, UINT32_MAX);
    refuse(fx, "not all RAM");
    h[0x234] = 0;
    store_le64(h + 0x258, UINT64_MAX - 5);
    refuse(fx, "between 1 MiB and 4 GiB");
    store_le64(h + 0x258, 0);
    refuse(fx, "between 1 MiB and 4 GiB");
    store_le32(h + 0x230, 3);
    h[0x234] = 1;
    refuse(fx, "between 1 MiB and 4 GiB");
    g_byte_array_unref(fx->image);
    fx->image = g_byte_array_new();

    h = make_bzimage(fx);
    h[0x201] = 0xff;            /* the header must not reach the memory map behind it */
    memset(h + 0x290, 0xaa, 0x100);
    g_autoptr(BootPlan) p = plan(fx, NULL, NULL, &error_abort);
    apply(p);
    g_assert_cmpint(ram[p->entry.info + 0x290], ==, 0);
    g_assert_cmphex(load_le64(ram + p->entry.info + 0x2d0), ==, 0);

    Error *err = NULL;
    g_autofree char *line = g_strnfill(2048, 'x');
    g_assert_null(plan(fx, NULL, line, &err));
    g_assert_nonnull(strstr(error_message(err), "at most 2047"));
    error_free(err);
    err = NULL;
    g_autofree char *big = g_malloc0(40 * MIB);
    save(fx->initrd, big, 40 * MIB);
    g_assert_null(plan(fx, fx->initrd, NULL, &err));
    g_assert_nonnull(strstr(error_message(err), "does not fit"));
    error_free(err);
    err = NULL;
    g_assert_null(plan(fx, "/nonexistent", NULL, &err));
    g_assert_nonnull(strstr(error_message(err), "could not open initrd"));
    error_free(err);
}

/* ---- Multiboot ---- */

static void put_multiboot_header(uint8_t *h, uint32_t flags)
{
    store_le32(h, 0x1badb002);
    store_le32(h + 4, flags);
    store_le32(h + 8, -(0x1badb002 + flags));
}

static void test_multiboot_elf(Fixture *fx, gconstpointer data)
{
    make_elf(fx);
    put_multiboot_header(fx->image->data + 0x1010, 3);
    g_autofree char *list = g_strdup_printf("%s a,,b,%s", fx->initrd, fx->initrd);
    save(fx->initrd, "module", 6);
    g_autoptr(BootPlan) p = plan(fx, list, "-v", &error_abort);
    apply(p);
    g_assert_cmpint(p->entry.protocol, ==, BOOT_MULTIBOOT);
    g_assert_cmphex(p->entry.rip, ==, 2 * MIB + 0x100);
    const uint8_t *info = ram + p->entry.info;
    g_assert_cmphex(load_le32(info), ==, 0x24d);
    g_assert_cmpuint(load_le32(info + 4), ==, 639);
    g_assert_cmpuint(load_le32(info + 8), ==, 63 * 1024);
    g_autofree char *line = g_strdup_printf("%s -v", fx->kernel);
    g_assert_cmpstr((char *)ram + load_le32(info + 16), ==, line);
    g_assert_cmpuint(load_le32(info + 20), ==, 2);
    const uint8_t *mods = ram + load_le32(info + 24);
    g_assert_cmphex(load_le32(mods), ==, 2 * MIB + 0x4000);
    g_assert_cmphex(load_le32(mods + 4), ==, 2 * MIB + 0x4006);
    g_autofree char *name = g_strdup_printf("%s a,b", fx->initrd);
    g_assert_cmpstr((char *)ram + load_le32(mods + 8), ==, name);
    g_assert_cmphex(load_le32(mods + 16), ==, 2 * MIB + 0x5000);
    g_assert_cmpmem(ram + 2 * MIB + 0x5000, 6, "module", 6);
    g_assert_cmpuint(load_le32(info + 44), ==, 3 * 24);
    const uint8_t *mmap = ram + load_le32(info + 48);
    g_assert_cmpuint(load_le32(mmap + 24), ==, 20);
    g_assert_cmphex(load_le64(mmap + 28), ==, 0x9fc00);
    g_assert_cmpstr((char *)ram + load_le32(info + 64), ==, "nemu");
}

static void test_multiboot_flat(Fixture *fx, gconstpointer data)
{
    uint8_t *h = grow(fx, 0x1000);
    memset(h, 0x33, 0x1000);
    put_multiboot_header(h + 0x20, 0x10003);
    store_le32(h + 0x20 + 12, 0x300010);        /* header_addr */
    store_le32(h + 0x20 + 16, 0x300000);        /* load_addr: offset 0x10 */
    store_le32(h + 0x20 + 20, 0);
    store_le32(h + 0x20 + 24, 0x302000);
    store_le32(h + 0x20 + 28, 0x300040);
    g_autoptr(BootPlan) p = plan(fx, NULL, NULL, &error_abort);
    apply(p);
    g_assert_cmphex(p->entry.rip, ==, 0x300040);
    g_assert_cmpint(ram[0x300000], ==, 0x33);
    g_assert_cmpint(ram[0x300fef], ==, 0x33);
    g_assert_cmpint(ram[0x300ff0], ==, 0);
    g_assert_cmpint(ram[0x301fff], ==, 0);
    g_assert_cmpint(ram[0x302000], ==, 0xee);

    store_le32(h + 0x20 + 20, 0x400000);
    refuse(fx, "truncated");
    store_le32(h + 0x20 + 20, 0x100);
    refuse(fx, "truncated");
    store_le32(h + 0x20 + 20, 0);
    store_le32(h + 0x20 + 16, 0x300011);
    refuse(fx, "contradict");
    store_le32(h + 0x20 + 16, 0x100);
    refuse(fx, "contradict");
    store_le32(h + 0x20 + 16, 0x300000);
    store_le32(h + 0x20 + 24, UINT32_MAX);
    refuse(fx, "not all RAM");
    store_le32(h + 0x20 + 24, 0);
    store_le32(h + 0x20 + 28, 0xf0000000);
    refuse(fx, "not all RAM");
    put_multiboot_header(h + 0x20, 0x10010);
    refuse(fx, "unknown features");
    g_byte_array_set_size(fx->image, 0x20 + 20);
    put_multiboot_header(fx->image->data + 0x20, 0x10003);
    refuse(fx, "truncated in its Multiboot header");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/boot/memmap", test_memmap);
#define ADD(path, fn) g_test_add(path, Fixture, NULL, setup, fn, teardown)
    ADD("/boot/pvh/good", test_pvh);
    ADD("/boot/pvh/fresh", test_fresh);
    ADD("/boot/pvh/shrunk", test_shrunk);
    ADD("/boot/elf/hostile", test_elf_hostile);
    ADD("/boot/elf/truncated", test_truncated);
    ADD("/boot/unknown", test_unknown);
    ADD("/boot/bzimage/good", test_bzimage);
    ADD("/boot/bzimage/moved", test_bzimage_moved);
    ADD("/boot/bzimage/hostile", test_bzimage_hostile);
    ADD("/boot/multiboot/elf", test_multiboot_elf);
    ADD("/boot/multiboot/flat", test_multiboot_flat);
    return g_test_run();
}
