/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ACPI tables (ACPI 6.4, section 5.2; MCFG: PCI Firmware 3.2, section 4.1.2)
 * and the three ways they reach a guest: placed by us, or through fw_cfg with
 * the table loader's script (128-byte commands). Reads nothing from the guest.
 */
#include "util/osdep.h"

#include "hw/acpi/tables.h"
#include "util/bswap.h"

enum { HEADER_LENGTH = 4, HEADER_CHECKSUM = 9 };
enum { RSDP_CHECKSUM = 8, RSDP_XSDT = 24, RSDP_EXT_CHECKSUM = 32, RSDP_V1_SIZE = 20 };

AcpiTables *acpi_tables_new(const char *oem_id, const char *oem_table_id)
{
    AcpiTables *t = g_new0(AcpiTables, 1);
    t->blob = g_byte_array_sized_new(8192);
    t->tables = g_array_new(false, false, sizeof(AcpiTableSpan));
    t->pointers = g_array_new(false, false, sizeof(AcpiPointer));
    memset(t->oem_id, ' ', sizeof(t->oem_id));
    memcpy(t->oem_id, oem_id, MIN(strlen(oem_id), sizeof(t->oem_id)));
    memset(t->oem_table_id, ' ', sizeof(t->oem_table_id));
    memcpy(t->oem_table_id, oem_table_id, MIN(strlen(oem_table_id), sizeof(t->oem_table_id)));
    return t;
}

void acpi_tables_free(AcpiTables *t)
{
    if (t) {
        g_byte_array_unref(t->blob);
        g_array_unref(t->tables);
        g_array_unref(t->pointers);
        g_free(t);
    }
}

/* ---- writing ---- */

void acpi_put(AcpiTables *t, uint64_t value, unsigned size)
{
    uint8_t b[8];
    g_assert(size <= 8);
    store_le64(b, value);
    g_byte_array_append(t->blob, b, size);
}

void acpi_put_zeros(AcpiTables *t, unsigned count)
{
    guint at = t->blob->len;
    g_byte_array_set_size(t->blob, at + count);
    memset(t->blob->data + at, 0, count);
}

void acpi_put_address(AcpiTables *t, const AcpiAddress *address)
{
    if (!address->address) {
        acpi_put_zeros(t, 12);
        return;
    }
    acpi_put(t, address->space, 1);
    acpi_put(t, address->bits, 1);
    acpi_put(t, 0, 1);
    acpi_put(t, address->access, 1);
    acpi_put(t, address->address, 8);
}

void acpi_put_pointer(AcpiTables *t, uint32_t target, unsigned size)
{
    AcpiPointer p = { t->blob->len, size };
    g_array_append_val(t->pointers, p);
    acpi_put(t, target, size);
}

void acpi_put_file_pointer(AcpiTables *t, const AcpiExtraFile *file, unsigned size)
{
    g_assert(!t->extra.name);
    t->extra = *file;
    t->extra_pointer = t->blob->len;
    t->extra_size = size;
    acpi_put(t, 0, size);
}

static uint8_t checksum(const uint8_t *data, size_t len)
{
    uint8_t sum = 0;
    for (size_t i = 0; i < len; i++) {
        sum += data[i];
    }
    return -sum;
}

void acpi_table_begin(AcpiTables *t, const char *signature, uint8_t revision)
{
    g_assert(!t->table_open && strlen(signature) == 4);
    acpi_put_zeros(t, ROUND_UP(t->blob->len, 16) - t->blob->len);
    AcpiTableSpan span = { t->blob->len, 0 };
    g_array_append_val(t->tables, span);
    t->table_open = true;
    if (!strcmp(signature, "DSDT")) {
        t->dsdt = span.offset;
    }
    g_byte_array_append(t->blob, (const guint8 *)signature, 4);
    acpi_put(t, 0, 4);
    acpi_put(t, revision, 1);
    acpi_put(t, 0, 1);
    g_byte_array_append(t->blob, (const guint8 *)t->oem_id, sizeof(t->oem_id));
    g_byte_array_append(t->blob, (const guint8 *)t->oem_table_id, sizeof(t->oem_table_id));
    acpi_put(t, 1, 4);                          /* OEM revision */
    g_byte_array_append(t->blob, (const guint8 *)"NEMU", 4);
    acpi_put(t, 1, 4);                          /* creator revision */
}

void acpi_table_end(AcpiTables *t)
{
    g_assert(t->table_open);
    t->table_open = false;
    AcpiTableSpan *span = &g_array_index(t->tables, AcpiTableSpan, t->tables->len - 1);
    span->size = t->blob->len - span->offset;
    uint8_t *table = t->blob->data + span->offset;
    store_le32(table + HEADER_LENGTH, span->size);
}

/* ---- tables ---- */

void acpi_build_fadt(AcpiTables *t, const AcpiFadt *f)
{
    acpi_table_begin(t, "FACP", 6);
    acpi_put_zeros(t, 9);                       /* FACS, DSDT (X_DSDT holds it), model */
    acpi_put(t, f->preferred_pm_profile, 1);
    acpi_put_zeros(t, 30);                      /* SCI, SMI, PM1 event and control blocks */
    acpi_put(t, f->pm_timer.address, 4);        /* 76: PM_TMR_BLK */
    acpi_put_zeros(t, 11);                      /* GPE blocks; 88: lengths of the PM1 blocks */
    acpi_put(t, f->pm_timer.address ? 4 : 0, 1);        /* 91: PM_TMR_LEN */
    acpi_put_zeros(t, 17);
    acpi_put(t, f->x86_boot_arch, 2);
    acpi_put(t, 0, 1);
    acpi_put(t, f->flags | ACPI_FADT_HW_REDUCED, 4);
    acpi_put_address(t, &f->reset);
    acpi_put(t, f->reset_value, 1);
    acpi_put(t, f->arm_boot_arch, 2);
    acpi_put(t, 4, 1);                          /* minor version: 6.4 */
    acpi_put(t, 0, 8);                          /* X_FIRMWARE_CTRL: there is no FACS */
    acpi_put_pointer(t, t->dsdt, 8);
    acpi_put_zeros(t, 4 * 12);                  /* X_PM1a, X_PM1b */
    acpi_put_zeros(t, 12);                      /* X_PM2_CNT */
    acpi_put_address(t, &f->pm_timer);
    acpi_put_zeros(t, 2 * 12);                  /* X_GPE */
    acpi_put_address(t, &f->sleep_control);
    acpi_put_address(t, &f->sleep_status);
    /* Hypervisor vendor identity. */
    g_byte_array_append(t->blob, (const guint8 *)"NEMU\0\0\0", 8);
    acpi_table_end(t);
}

void acpi_madt_begin(AcpiTables *t, uint32_t lapic_address, bool pcat_compat)
{
    acpi_table_begin(t, "APIC", 5);
    acpi_put(t, lapic_address, 4);
    acpi_put(t, pcat_compat, 4);
}

unsigned acpi_madt_lapic_entry(uint8_t out[ACPI_MADT_LAPIC_MAX], uint32_t uid, uint32_t apic_id,
                               bool enabled)
{
    /* Bit 0 enabled, bit 1 online capable; never both. */
    uint32_t flags = enabled ? 1 : 2;

    if (apic_id < 255 && uid < 256) {
        out[0] = 0;
        out[1] = 8;
        out[2] = uid;
        out[3] = apic_id;
        store_le32(out + 4, flags);
    } else {
        store_le32(out, 9 | 16 << 8);
        store_le32(out + 4, apic_id);
        store_le32(out + 8, flags);
        store_le32(out + 12, uid);
    }
    return out[1];
}

void acpi_madt_lapic(AcpiTables *t, uint32_t uid, uint32_t apic_id, bool enabled)
{
    uint8_t entry[ACPI_MADT_LAPIC_MAX];

    g_byte_array_append(t->blob, entry, acpi_madt_lapic_entry(entry, uid, apic_id, enabled));
}

void acpi_madt_ioapic(AcpiTables *t, uint8_t id, uint32_t address, uint32_t gsi_base)
{
    acpi_put(t, 1, 1);
    acpi_put(t, 12, 1);
    acpi_put(t, id, 1);
    acpi_put(t, 0, 1);
    acpi_put(t, address, 4);
    acpi_put(t, gsi_base, 4);
}

void acpi_madt_lapic_nmi(AcpiTables *t, bool x2apic)
{
    acpi_put(t, 4, 1);
    acpi_put(t, 6, 1);
    acpi_put(t, 0xff, 1);                       /* all processors */
    acpi_put(t, 0, 2);                          /* conforms to the bus */
    acpi_put(t, 1, 1);                          /* LINT1 */
    if (x2apic) {
        acpi_put(t, 10, 1);
        acpi_put(t, 12, 1);
        acpi_put(t, 0, 2);
        acpi_put(t, UINT32_MAX, 4);
        acpi_put(t, 1, 1);
        acpi_put_zeros(t, 3);
    }
}

void acpi_build_mcfg(AcpiTables *t, uint64_t ecam, uint8_t first_bus, uint8_t last_bus)
{
    acpi_table_begin(t, "MCFG", 1);
    acpi_put_zeros(t, 8);
    acpi_put(t, ecam, 8);
    acpi_put(t, 0, 2);                          /* segment */
    acpi_put(t, first_bus, 1);
    acpi_put(t, last_bus, 1);
    acpi_put_zeros(t, 4);
    acpi_table_end(t);
}

void acpi_tables_finish(AcpiTables *t)
{
    guint count = t->tables->len;
    acpi_table_begin(t, "XSDT", 1);
    t->xsdt = g_array_index(t->tables, AcpiTableSpan, count).offset;
    for (guint i = 0; i < count; i++) {
        uint32_t offset = g_array_index(t->tables, AcpiTableSpan, i).offset;
        if (offset != t->dsdt) {
            acpi_put_pointer(t, offset, 8);
        }
    }
    acpi_table_end(t);
}

/* ---- handing over ---- */

GByteArray *acpi_tables_place(const AcpiTables *t, uint64_t base)
{
    GByteArray *out = g_byte_array_sized_new(t->blob->len);
    g_byte_array_append(out, t->blob->data, t->blob->len);
    for (guint i = 0; i < t->pointers->len; i++) {
        const AcpiPointer *p = &g_array_index(t->pointers, AcpiPointer, i);
        uint8_t *field = out->data + p->offset;
        store_le(field, load_le(field, p->size) + base, p->size);
    }
    for (guint i = 0; i < t->tables->len; i++) {
        const AcpiTableSpan *s = &g_array_index(t->tables, AcpiTableSpan, i);
        uint8_t *table = out->data + s->offset;
        table[HEADER_CHECKSUM] = checksum(table, s->size);
    }
    return out;
}

void acpi_rsdp_build_unlinked(const AcpiTables *t, uint8_t out[ACPI_RSDP_SIZE])
{
    memset(out, 0, ACPI_RSDP_SIZE);
    memcpy(out, "RSD PTR ", 8);
    memcpy(out + 9, t->oem_id, sizeof(t->oem_id));
    out[15] = 2;
    store_le32(out + 20, ACPI_RSDP_SIZE);
    store_le64(out + RSDP_XSDT, t->xsdt);
}

void acpi_rsdp_build(const AcpiTables *t, uint64_t base, uint8_t out[ACPI_RSDP_SIZE])
{
    acpi_rsdp_build_unlinked(t, out);
    store_le64(out + RSDP_XSDT, base + t->xsdt);
    out[RSDP_CHECKSUM] = checksum(out, RSDP_V1_SIZE);
    out[RSDP_EXT_CHECKSUM] = checksum(out, ACPI_RSDP_SIZE);
}

/* Commands of the table loader; every one is 128 bytes, file names 56. */
enum { LOADER_ALLOCATE = 1, LOADER_ADD_POINTER, LOADER_ADD_CHECKSUM, LOADER_WRITE_POINTER };
enum { LOADER_ENTRY = 128, LOADER_NAME = 56, LOADER_ZONE_HIGH = 1, LOADER_ZONE_FSEG = 2 };

static uint8_t *loader_entry(GByteArray *script, uint32_t command, const char *file)
{
    guint at = script->len;
    g_byte_array_set_size(script, at + LOADER_ENTRY);
    uint8_t *e = script->data + at;
    memset(e, 0, LOADER_ENTRY);
    store_le32(e, command);
    memcpy(e + 4, file, strlen(file));
    return e;
}

static void loader_allocate(GByteArray *script, const char *file, uint32_t align, uint8_t zone)
{
    uint8_t *e = loader_entry(script, LOADER_ALLOCATE, file);
    store_le32(e + 4 + LOADER_NAME, align);
    e[8 + LOADER_NAME] = zone;
}

static void loader_pointer(GByteArray *script, const char *in, const char *to, uint32_t offset, uint8_t size)
{
    uint8_t *e = loader_entry(script, LOADER_ADD_POINTER, in);
    memcpy(e + 4 + LOADER_NAME, to, strlen(to));
    store_le32(e + 4 + 2 * LOADER_NAME, offset);
    e[8 + 2 * LOADER_NAME] = size;
}

/* The extra file: where it is goes into the tables, and where its interesting byte is back to us. */
static void loader_extra(GByteArray *script, const AcpiTables *t)
{
    const AcpiExtraFile *f = &t->extra;
    loader_allocate(script, f->name, f->align, LOADER_ZONE_HIGH);
    loader_pointer(script, ACPI_LOADER_TABLES_FILE, f->name, t->extra_pointer, t->extra_size);
    uint8_t *e = loader_entry(script, LOADER_WRITE_POINTER, f->address_file);
    memcpy(e + 4 + LOADER_NAME, f->name, strlen(f->name));
    store_le32(e + 8 + 2 * LOADER_NAME, f->address_offset);
    e[12 + 2 * LOADER_NAME] = 8;
}

static void loader_checksum(GByteArray *script, const char *file, uint32_t at,
                            uint32_t start, uint32_t len)
{
    uint8_t *e = loader_entry(script, LOADER_ADD_CHECKSUM, file);
    store_le32(e + 4 + LOADER_NAME, at);
    store_le32(e + 8 + LOADER_NAME, start);
    store_le32(e + 12 + LOADER_NAME, len);
}

GByteArray *acpi_tables_loader_script(const AcpiTables *t)
{
    GByteArray *script = g_byte_array_new();
    loader_allocate(script, ACPI_LOADER_RSDP_FILE, 16, LOADER_ZONE_FSEG);
    loader_allocate(script, ACPI_LOADER_TABLES_FILE, 64, LOADER_ZONE_HIGH);
    for (guint i = 0; i < t->pointers->len; i++) {
        const AcpiPointer *p = &g_array_index(t->pointers, AcpiPointer, i);
        loader_pointer(script, ACPI_LOADER_TABLES_FILE, ACPI_LOADER_TABLES_FILE, p->offset, p->size);
    }
    if (t->extra.name) {
        loader_extra(script, t);
    }
    for (guint i = 0; i < t->tables->len; i++) {
        const AcpiTableSpan *s = &g_array_index(t->tables, AcpiTableSpan, i);
        loader_checksum(script, ACPI_LOADER_TABLES_FILE, s->offset + HEADER_CHECKSUM,
                        s->offset, s->size);
    }
    loader_pointer(script, ACPI_LOADER_RSDP_FILE, ACPI_LOADER_TABLES_FILE, RSDP_XSDT, 8);
    loader_checksum(script, ACPI_LOADER_RSDP_FILE, RSDP_CHECKSUM, 0, RSDP_V1_SIZE);
    loader_checksum(script, ACPI_LOADER_RSDP_FILE, RSDP_EXT_CHECKSUM, 0, ACPI_RSDP_SIZE);
    return script;
}
