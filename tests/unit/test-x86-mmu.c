/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Page table walks of all kinds, over memory of our own. */
#include "util/osdep.h"
#include "system/memory.h"
#include "target/i386/cpu.h"
#include "util/bswap.h"

#define RAM_SIZE (1 << 20)
#define CR0_PG (UINT64_C(1) << 31)
#define CR4_PSE 0x10
#define CR4_PAE 0x20
#define CR4_LA57 0x1000
#define EFER_LMA 0x400

static uint8_t ram[RAM_SIZE];
AddressSpace address_space_memory;

/* In place of system/memory. */
bool guest_ram_load(AddressSpace *as, GuestAddr addr, unsigned size, uint64_t *value)
{
    *value = 0;
    if (addr > RAM_SIZE - size) {
        return false;
    }
    *value = load_le(ram + addr, size);
    return true;
}

/* In place of the real one, which needs a machine. */
OBJECT_TYPE(x86_cpu_type) = {
    .name = "x86_64-cpu", .parent = &object_type, .instance_size = sizeof(X86Cpu),
};

static X86Cpu *new_cpu(uint64_t cr4, uint64_t efer)
{
    X86Cpu *cpu = (X86Cpu *)object_new(&x86_cpu_type);

    memset(ram, 0, sizeof(ram));
    cpu->regs.cr0 = CR0_PG;
    cpu->regs.cr3 = 0x1000;
    cpu->regs.cr4 = cr4;
    cpu->regs.efer = efer;
    return cpu;
}

static void set64(uint64_t table, unsigned index, uint64_t entry)
{
    store_le64(ram + table + index * 8, entry);
}

static void maps_to(X86Cpu *cpu, uint64_t address, uint64_t physical)
{
    uint64_t got = 0;

    g_assert_true(x86_cpu_translate(&cpu->cpu, address, &got));
    g_assert_cmphex(got, ==, physical);
}

static void maps_nowhere(X86Cpu *cpu, uint64_t address)
{
    uint64_t got;

    g_assert_false(x86_cpu_translate(&cpu->cpu, address, &got));
}

static void test_off(void)
{
    X86Cpu *cpu = new_cpu(0, 0);
    g_autoptr(GString) text = g_string_new(NULL);

    cpu->regs.cr0 = 0;
    maps_to(cpu, 0x123456789, 0x123456789);
    x86_cpu_print_mappings(&cpu->cpu, true, text);
    g_assert_cmpstr(text->str, ==, "PG disabled\n");
    object_unref(cpu);
}

static void test_4_levels(void)
{
    X86Cpu *cpu = new_cpu(CR4_PAE, EFER_LMA);
    g_autoptr(GString) ranges = g_string_new(NULL), pages = g_string_new(NULL);

    set64(0x1000, 0, 0x2000 | 7);
    set64(0x1000, 511, 0x2000 | 3);             /* the upper half: supervisor only */
    set64(0x1000, 2, 0x7ffffffff000 | 3);       /* a table outside of RAM */
    set64(0x2000, 0, 0x3000 | 7);
    set64(0x2000, 1, 0x40000000 | 0x83);        /* 1 GiB */
    set64(0x3000, 0, 0x4000 | 7);
    set64(0x3000, 1, 0x600000 | 0x87);          /* 2 MiB */
    set64(0x4000, 5, 0x9000 | 7 | UINT64_C(1) << 63);
    set64(0x4000, 6, 0xb000 | 5);
    maps_to(cpu, 0x5123, 0x9123);
    maps_to(cpu, 0x6fff, 0xbfff);
    maps_to(cpu, 0x2abcde, 0x6abcde);
    maps_to(cpu, 0x7fedcba9, 0x7fedcba9);
    maps_to(cpu, UINT64_C(0xffffff8000005001), 0x9001);
    maps_nowhere(cpu, 0x7000);
    maps_nowhere(cpu, 0x400000);
    maps_nowhere(cpu, UINT64_C(1) << 39);
    maps_nowhere(cpu, UINT64_C(2) << 39);
    x86_cpu_print_mappings(&cpu->cpu, true, ranges);
    g_assert_true(g_str_has_prefix(ranges->str, "0000000000005000-0000000000006000 0000000000001000 urw\n"
                                                "0000000000006000-0000000000007000 0000000000001000 ur-\n"
                                                "0000000000200000-0000000000400000 0000000000200000 urw\n"
                                                "0000000040000000-0000000080000000 0000000040000000 -rw\n"
                                                "ffffff8000005000-ffffff8000006000 0000000000001000 -rw\n"));
    x86_cpu_print_mappings(&cpu->cpu, false, pages);
    g_assert_nonnull(strstr(pages->str, "0000000000005000: 0000000000009000 X------UW\n"));
    g_assert_nonnull(strstr(pages->str, "0000000000200000: 0000000000600000 --P----UW\n"));
    object_unref(cpu);
}

static void test_5_levels(void)
{
    X86Cpu *cpu = new_cpu(CR4_PAE | CR4_LA57, EFER_LMA);

    set64(0x1000, 1, 0x2000 | 3);
    set64(0x2000, 0, 0x3000 | 3);
    set64(0x3000, 0, 0x4000 | 3);
    set64(0x4000, 0, 0x5000 | 3);
    set64(0x5000, 0, 0x6000 | 3);
    maps_to(cpu, (UINT64_C(1) << 48) | 0x42, 0x6042);
    maps_nowhere(cpu, 0x42);
    object_unref(cpu);
}

static void test_3_levels(void)
{
    X86Cpu *cpu = new_cpu(CR4_PAE, 0);

    cpu->regs.cr3 = 0x1020;                     /* 32-byte aligned */
    set64(0x1020, 3, 0x2000 | 1);
    set64(0x2000, 511, 0x800000 | 0x83);
    set64(0x2000, 510, 0x3000 | 3);
    set64(0x3000, 1, 0x7000 | 3);
    maps_to(cpu, 0xffe12345, 0x812345);
    maps_to(cpu, 0xffc01008, 0x7008);
    maps_nowhere(cpu, 0x1000);
    object_unref(cpu);
}

static void test_2_levels(void)
{
    X86Cpu *cpu = new_cpu(CR4_PSE, 0);

    store_le32(ram + 0x1000 + 4 * 1, 0x2000 | 7);
    store_le32(ram + 0x2000 + 4 * 2, 0x8000 | 7);
    store_le32(ram + 0x1000 + 4 * 3, 0x00c00000 | (1 << 13) | 0x83);    /* 4 MiB above 4 GiB */
    maps_to(cpu, 0x402010, 0x8010);
    maps_to(cpu, 0xc12345, UINT64_C(0x100c12345));
    maps_nowhere(cpu, 0x403000);
    cpu->regs.cr4 = 0;                          /* without PSE the bit means nothing: a table outside of RAM */
    maps_nowhere(cpu, 0xc12345);
    object_unref(cpu);
}

/* Tables that lead to themselves: the walk and the list end. */
static void test_loop(void)
{
    X86Cpu *cpu = new_cpu(CR4_PAE, EFER_LMA);
    g_autoptr(GString) text = g_string_new(NULL);

    for (unsigned i = 0; i < 512; i++) {
        set64(0x1000, i, 0x1000 | 3);
    }
    maps_to(cpu, 0x1234, 0x1234);
    x86_cpu_print_mappings(&cpu->cpu, false, text);
    g_assert_nonnull(strstr(text->str, "(the list ends after"));
    object_unref(cpu);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/x86-mmu/off", test_off);
    g_test_add_func("/x86-mmu/4-levels", test_4_levels);
    g_test_add_func("/x86-mmu/5-levels", test_5_levels);
    g_test_add_func("/x86-mmu/3-levels", test_3_levels);
    g_test_add_func("/x86-mmu/2-levels", test_2_levels);
    g_test_add_func("/x86-mmu/loop", test_loop);
    return g_test_run();
}
