/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ACPI: encodings against hand-made bytes, the structure of a whole set of
 * tables, its two ways to the guest, and what iasl thinks of it.
 */
#include "util/osdep.h"

#include <glib/gstdio.h>
#include <sys/wait.h>
#include "hw/acpi/ged.h"
#include "hw/i386/virt/acpi.h"
#include "hw/i386/virt.h"
#include "util/bswap.h"


#define ASSERT_CODE(a, ...)                                                 \
    do {                                                                    \
        static const uint8_t want_[] = { __VA_ARGS__ };                     \
        g_assert_cmpmem((a)->code->data, (a)->code->len, want_, sizeof(want_)); \
        g_byte_array_set_size((a)->code, 0);                                \
    } while (0)

static void test_operands(void)
{
    g_autoptr(GByteArray) code = g_byte_array_new();
    Aml aml, *a = &aml;
    aml_init(a, code);
    aml_int(a, 0);
    aml_int(a, 1);
    aml_int(a, UINT64_MAX);
    ASSERT_CODE(a, 0x00, 0x01, 0xff);
    aml_int(a, 2);
    aml_int(a, 0xff);
    aml_int(a, 0x100);
    ASSERT_CODE(a, 0x0a, 2, 0x0a, 0xff, 0x0b, 0x00, 0x01);
    aml_int(a, 0x10000);
    aml_int(a, UINT64_C(0x123456789));
    ASSERT_CODE(a, 0x0c, 0, 0, 1, 0, 0x0e, 0x89, 0x67, 0x45, 0x23, 1, 0, 0, 0);
    aml_string(a, "ab");
    aml_eisa_id(a, "PNP0A08");
    ASSERT_CODE(a, 0x0d, 'a', 'b', 0, 0x0c, 0x41, 0xd0, 0x0a, 0x08);
    aml_uuid(a, "33db4d5b-1ff7-401c-9657-7441c03dd766");
    ASSERT_CODE(a, 0x11, 0x13, 0x0a, 0x10, 0x5b, 0x4d, 0xdb, 0x33, 0xf7, 0x1f, 0x1c, 0x40,
                0x96, 0x57, 0x74, 0x41, 0xc0, 0x3d, 0xd7, 0x66);
}

static void test_names(void)
{
    g_autoptr(GByteArray) code = g_byte_array_new();
    Aml aml, *a = &aml;
    aml_init(a, code);
    aml_path(a, "AB");
    ASSERT_CODE(a, 'A', 'B', '_', '_');
    aml_path(a, "\\");
    ASSERT_CODE(a, '\\', 0);
    aml_path(a, "^^FOO0");
    ASSERT_CODE(a, '^', '^', 'F', 'O', 'O', '0');
    aml_path(a, "\\_SB.X");
    ASSERT_CODE(a, '\\', 0x2e, '_', 'S', 'B', '_', 'X', '_', '_', '_');
    aml_path(a, "A.B.C");
    ASSERT_CODE(a, 0x2f, 3, 'A', '_', '_', '_', 'B', '_', '_', '_', 'C', '_', '_', '_');
}

/* Length fields at the limits of each of their sizes. */
static void test_package_length(void)
{
    static const struct {
        unsigned content;
        uint8_t field[4];
        unsigned n;
    } cases[] = {
        { 62, { 0x3f }, 1 },
        { 63, { 0x41, 0x04 }, 2 },
        { 0xffd, { 0x4f, 0xff }, 2 },
        { 0xffe, { 0x81, 0x00, 0x01 }, 3 },
        { 0xffffc, { 0x8f, 0xff, 0xff }, 3 },
        { 0xffffd, { 0xc1, 0x00, 0x00, 0x01 }, 4 },
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autoptr(GByteArray) code = g_byte_array_new();
        g_autofree uint8_t *fill = g_malloc(cases[i].content);
        Aml a;
        memset(fill, 0xa3, cases[i].content);
        aml_init(&a, code);
        aml_begin_else(&a);
        g_byte_array_append(code, fill, cases[i].content);
        aml_end(&a);
        g_assert_cmpuint(code->len, ==, 1 + cases[i].n + cases[i].content);
        g_assert_cmpmem(code->data + 1, cases[i].n, cases[i].field, cases[i].n);
        g_assert_cmpmem(code->data + 1 + cases[i].n, cases[i].content, fill, cases[i].content);
    }
}

static void test_resources(void)
{
    g_autoptr(GByteArray) code = g_byte_array_new();
    Aml aml, *a = &aml;
    aml_init(a, code);
    aml_begin_resources(a);
    aml_res_io(a, 0x3f8, 8);
    aml_res_interrupt(a, 4, true, false);
    aml_end(a);
    ASSERT_CODE(a, 0x11, 0x16, 0x0a, 19, 0x47, 1, 0xf8, 3, 0xf8, 3, 1, 8,
                0x89, 6, 0, 3, 1, 4, 0, 0, 0, 0x79, 0);
    aml_begin_resources(a);
    aml_res_window_memory32(a, 0x90000000, 0x10000000);
    aml_end(a);
    ASSERT_CODE(a, 0x11, 0x1f, 0x0a, 28, 0x87, 0x17, 0, 0, 0x0c, 1, 0, 0, 0, 0, 0, 0, 0, 0x90,
                0xff, 0xff, 0xff, 0x9f, 0, 0, 0, 0, 0, 0, 0, 0x10, 0x79, 0);
}

static void test_nesting(void)
{
    g_autoptr(GByteArray) code = g_byte_array_new();
    Aml aml, *a = &aml;
    aml_init(a, code);
    aml_begin_device(a, "DEV");
    aml_begin_method(a, "_STA", 0, false);
    aml_op(a, AML_RETURN);
    aml_int(a, 15);
    aml_end(a);
    aml_end(a);
    ASSERT_CODE(a, 0x5b, 0x82, 0x0f, 'D', 'E', 'V', '_', 0x14, 0x09, '_', 'S', 'T', 'A', 0,
                0xa4, 0x0a, 15);
}

/* ---- a whole machine ---- */

static AcpiTables *machine_tables(unsigned cpus, bool everything)
{
    g_autofree uint32_t *ids = g_new0(uint32_t, cpus);
    g_autofree bool *present = g_new0(bool, cpus);
    VirtAcpiConfig c = {
        .max_cpus = cpus, .apic_ids = ids, .present = present,
        .ecam_base = VIRT_ECAM_BASE, .ecam_size = VIRT_ECAM_SIZE,
        .mmio32_base = VIRT_MMIO32_BASE, .mmio32_end = VIRT_MMIO32_END,
    };
    for (unsigned i = 0; i < cpus; i++) {
        ids[i] = i;
        present[i] = i < 2;
    }
    if (everything) {
        c.mmio64_base = 8 * GIB;
        c.mmio64_size = VIRT_MMIO64_SIZE;
        c.serial[0] = (VirtAcpiSerial){ 0x3f8, 4 };
        c.serial[1] = (VirtAcpiSerial){ 0x2f8, 3 };
        c.pvpanic_port = 0x505;
        c.vmgenid = true;
        c.vmgenid_page = VIRT_VMGENID_PAGE;
    }
    return virt_acpi_build(&c);
}

static uint8_t sum(const uint8_t *p, size_t n)
{
    uint8_t s = 0;
    while (n--) {
        s += *p++;
    }
    return s;
}

/* Walk from the RSDP as a guest does. */
static void check_placed(const uint8_t *mem, uint64_t base, size_t size, const uint8_t *rsdp)
{
    unsigned seen = 0;
    g_assert_cmpmem(rsdp, 8, "RSD PTR ", 8);
    g_assert_cmpint(sum(rsdp, 20), ==, 0);
    g_assert_cmpint(sum(rsdp, ACPI_RSDP_SIZE), ==, 0);
    g_assert_cmpint(rsdp[15], ==, 2);
    g_assert_cmpuint(load_le32(rsdp + 16), ==, 0);
    uint64_t at = load_le64(rsdp + 24) - base;
    g_assert_cmpuint(at, <, size);
    const uint8_t *xsdt = mem + at;
    uint32_t len = load_le32(xsdt + 4);
    g_assert_cmpmem(xsdt, 4, "XSDT", 4);
    g_assert_cmpint(sum(xsdt, len), ==, 0);
    for (uint32_t i = ACPI_HEADER_SIZE; i < len; i += 8) {
        at = load_le64(xsdt + i) - base;
        g_assert_cmpuint(at, <, size);
        const uint8_t *t = mem + at;
        uint32_t table_len = load_le32(t + 4);
        g_assert_cmpuint(at + table_len, <=, size);
        g_assert_cmpint(sum(t, table_len), ==, 0);
        if (!memcmp(t, "FACP", 4)) {
            seen |= 1;
            g_assert_cmpuint(table_len, ==, 276);
            g_assert_cmpint(t[8], ==, 6);
            g_assert_cmpint(t[131], ==, 4);
            g_assert_cmphex(load_le32(t + 112), ==, 0x100431);
            g_assert_cmphex(load_le16(t + 109), ==, 0x24);
            g_assert_cmphex(load_le32(t + 76), ==, 0x3e0);
            g_assert_cmpint(t[91], ==, 4);
            g_assert_cmphex(load_le64(t + 120), ==, 0x3c0);
            g_assert_cmpint(t[128], ==, 4);
            g_assert_cmphex(load_le64(t + 212), ==, 0x3e0);
            g_assert_cmphex(load_le64(t + 248), ==, 0x3b0);
            g_assert_cmphex(load_le64(t + 260), ==, 0x3d0);
            const uint8_t *dsdt = mem + (load_le64(t + 140) - base);
            g_assert_cmpmem(dsdt, 4, "DSDT", 4);
            g_assert_cmpint(sum(dsdt, load_le32(dsdt + 4)), ==, 0);
        } else if (!memcmp(t, "APIC", 4)) {
            seen |= 2;
            g_assert_cmphex(load_le32(t + 36), ==, 0xfee00000);
            g_assert_cmpuint(load_le32(t + 40), ==, 0);
        } else if (!memcmp(t, "MCFG", 4)) {
            seen |= 4;
            g_assert_cmphex(load_le64(t + 44), ==, 0x80000000);
            g_assert_cmpint(t[54], ==, 0);
            g_assert_cmpint(t[55], ==, 255);
        }
    }
    g_assert_cmpuint(seen, ==, 7);
}

static void test_placed(void)
{
    g_autoptr(AcpiTables) t = machine_tables(300, true);
    const uint64_t base = VIRT_ACPI_BASE + 0x40;
    g_autoptr(GByteArray) placed = acpi_tables_place(t, base);
    uint8_t rsdp[ACPI_RSDP_SIZE];
    acpi_rsdp_build(t, base, rsdp);
    check_placed(placed->data, base, placed->len, rsdp);
}

/* Do what firmware does with the script. */
static void test_loader_script(void)
{
    g_autoptr(AcpiTables) t = machine_tables(2, false);
    g_autoptr(GByteArray) script = acpi_tables_loader_script(t);
    uint8_t rsdp[ACPI_RSDP_SIZE];
    const uint64_t base = 0x7ff00000;
    g_autofree uint8_t *mem = g_memdup2(t->blob->data, t->blob->len);
    acpi_rsdp_build_unlinked(t, rsdp);
    g_assert_cmpuint(script->len % 128, ==, 0);
    for (guint i = 0; i < script->len; i += 128) {
        const uint8_t *e = script->data + i;
        uint8_t *file = strcmp((const char *)e + 4, ACPI_LOADER_RSDP_FILE) ? mem : rsdp;
        if (load_le32(e) == 2) {
            g_assert_cmpstr((const char *)e + 60, ==, ACPI_LOADER_TABLES_FILE);
            uint8_t *field = file + load_le32(e + 116);
            store_le64(field, load_le64(field) + base);
            g_assert_cmpint(e[120], ==, 8);
        } else if (load_le32(e) == 3) {
            uint8_t *at = file + load_le32(e + 60);
            g_assert_cmpint(*at, ==, 0);
            *at = -sum(file + load_le32(e + 64), load_le32(e + 68));
        } else {
            g_assert_cmpuint(load_le32(e), ==, 1);
        }
    }
    check_placed(mem, base, t->blob->len, rsdp);
}

/* ---- iasl ---- */

static bool run(const char *dir, const char *command, char **output)
{
    int status = 0;
    g_autofree char *line = g_strdup_printf("cd %s && %s 2>&1", dir, command);
    const char *argv[] = { "/bin/sh", "-c", line, NULL };
    g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, 0, NULL, NULL, output, NULL, &status,
                               NULL));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void iasl_check(const char *dir, const uint8_t *table)
{
    char name[5] = { 0 };
    memcpy(name, table, 4);
    g_autofree char *path = g_strdup_printf("%s/%s.dat", dir, name);
    g_assert_true(g_file_set_contents(path, (const char *)table, load_le32(table + 4), NULL));

    g_autofree char *disassemble = g_strdup_printf("iasl -d %s.dat", name);
    g_autofree char *text = NULL;
    if (!run(dir, disassemble, &text) || strstr(text, "rror") || strstr(text, "arning")) {
        g_error("disassembly of %s: %s", name, text);
    }
    /* The text compiles without a warning; code, unoptimised, to what it was made from. */
    bool code = !strcmp(name, "DSDT");
    g_autofree char *compile = g_strdup_printf("iasl -oa -p out-%s -vr -we %s.dsl", name, name);
    g_autofree char *log = NULL;
    bool ok = run(dir, compile, &log);
    if (!ok || (code && !strstr(log, "0 Errors, 0 Warnings"))) {
        g_error("compilation of %s: %s", name, log);
    }
    if (!code) {
        return;
    }
    g_autofree char *out = g_strdup_printf("%s/out-%s.aml", dir, name);
    g_autofree char *again = NULL;
    gsize len = 0;
    g_assert_true(g_file_get_contents(out, &again, &len, NULL));
    g_assert_cmpuint(len, ==, load_le32(table + 4));
    g_assert_cmpmem(again + 36, len - 36, table + 36, len - 36);
}

static void test_iasl(void)
{
    g_autofree char *iasl = g_find_program_in_path("iasl");
    if (!iasl) {
        if (g_strcmp0(g_getenv("NEMU_TESTS_REQUIRE"), "all") == 0) {
            g_error("iasl is not installed (package acpica-tools)");
        }
        g_test_skip("iasl is not installed (package acpica-tools)");
        return;
    }
    g_autofree char *dir = g_dir_make_tmp("nemu-acpi-XXXXXX", NULL);
    for (int everything = 0; everything < 2; everything++) {
        g_autoptr(AcpiTables) t = machine_tables(everything ? 300 : 1, everything);
        g_autoptr(GByteArray) placed = acpi_tables_place(t, VIRT_ACPI_BASE);
        for (guint i = 0; i < t->tables->len; i++) {
            iasl_check(dir, placed->data + g_array_index(t->tables, AcpiTableSpan, i).offset);
        }
    }
    g_autofree char *text = NULL;
    run(dir, "rm -f *.dat *.dsl *.aml", &text);
    g_assert_cmpint(g_rmdir(dir), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/acpi/aml/operands", test_operands);
    g_test_add_func("/acpi/aml/names", test_names);
    g_test_add_func("/acpi/aml/package-length", test_package_length);
    g_test_add_func("/acpi/aml/resources", test_resources);
    g_test_add_func("/acpi/aml/nesting", test_nesting);
    g_test_add_func("/acpi/tables/placed", test_placed);
    g_test_add_func("/acpi/tables/loader-script", test_loader_script);
    g_test_add_func("/acpi/iasl", test_iasl);
    return g_test_run();
}
