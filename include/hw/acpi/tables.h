/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ACPI tables: a set is built once, position independent, and can then be
 * put at any guest address (direct boot) or handed to firmware together with
 * the script that tells how to place it (fw_cfg "etc/table-loader").
 *
 * Use: acpi_tables_new(); the tables, DSDT first (acpi_table_begin() ...
 * acpi_table_end(), or the ready-made builders below); acpi_tables_finish().
 *
 * Thread: any; a set belongs to one thread at a time.
 */
#ifndef HW_ACPI_TABLES_H
#define HW_ACPI_TABLES_H

#include "hw/acpi/aml.h"

#define ACPI_RSDP_SIZE 36
#define ACPI_HEADER_SIZE 36
#define ACPI_LOADER_RSDP_FILE "etc/acpi/rsdp"
#define ACPI_LOADER_TABLES_FILE "etc/acpi/tables"

/* A file that firmware is to place too, and into which file to write where a byte of it is. */
typedef struct AcpiExtraFile {
    const char *name;
    uint32_t align;
    const char *address_file;
    uint32_t address_offset;
} AcpiExtraFile;

typedef struct AcpiTables {
    GByteArray *blob;           /* all tables; address fields hold offsets into it */
    GArray *tables;             /* struct AcpiTableSpan, in order */
    GArray *pointers;           /* struct AcpiPointer */
    AcpiExtraFile extra;        /* name NULL: none */
    uint32_t extra_pointer, extra_size;         /* the field in @blob that has its address */
    uint32_t dsdt, xsdt;        /* offsets in @blob */
    bool table_open;
    char oem_id[6], oem_table_id[8];
} AcpiTables;

typedef struct AcpiTableSpan {
    uint32_t offset, size;
} AcpiTableSpan;

typedef struct AcpiPointer {
    uint32_t offset, size;      /* of the address field in the blob */
} AcpiPointer;

/* Generic address structure (5.2.3.2). */
typedef struct AcpiAddress {
    uint8_t space;              /* 0 memory, 1 ports */
    uint8_t bits;
    uint8_t access;             /* 1 byte, 2 word, 3 dword, 4 qword */
    uint64_t address;           /* 0: absent */
} AcpiAddress;

AcpiTables *acpi_tables_new(const char *oem_id, const char *oem_table_id);
void acpi_tables_free(AcpiTables *t);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AcpiTables, acpi_tables_free)

/* Start a table with its header; the caller appends to t->blob. */
void acpi_table_begin(AcpiTables *t, const char *signature, uint8_t revision);
/* Fills in the length. Checksums wait until the addresses are known. */
void acpi_table_end(AcpiTables *t);
void acpi_put(AcpiTables *t, uint64_t value, unsigned size);
void acpi_put_zeros(AcpiTables *t, unsigned count);
void acpi_put_address(AcpiTables *t, const AcpiAddress *address);
/* A field of @size bytes that will hold the address of the blob's byte @target. */
void acpi_put_pointer(AcpiTables *t, uint32_t target, unsigned size);
/* The same for the start of @file, of which a set can have one. Only for firmware. */
void acpi_put_file_pointer(AcpiTables *t, const AcpiExtraFile *file, unsigned size);

/* What the fixed table says on a hardware-reduced machine. */
typedef struct AcpiFadt {
    uint32_t flags;             /* beside HW_REDUCED_ACPI */
    uint16_t x86_boot_arch, arm_boot_arch;
    uint8_t preferred_pm_profile;
    uint8_t reset_value;
    AcpiAddress reset, sleep_control, sleep_status, pm_timer;
} AcpiFadt;

enum {
    ACPI_FADT_WBINVD = 1 << 0, ACPI_FADT_PWR_BUTTON = 1 << 4, ACPI_FADT_SLP_BUTTON = 1 << 5,
    ACPI_FADT_RESET_REG_SUP = 1 << 10, ACPI_FADT_HW_REDUCED = 1 << 20,
    ACPI_X86_VGA_NOT_PRESENT = 1 << 2, ACPI_X86_NO_CMOS_RTC = 1 << 5,
};

/* After the DSDT. */
void acpi_build_fadt(AcpiTables *t, const AcpiFadt *f);

/* Pieces of a MADT: acpi_madt_begin(), entries, acpi_table_end(). */
void acpi_madt_begin(AcpiTables *t, uint32_t lapic_address, bool pcat_compat);
/* A local APIC or, for large ids, x2APIC; @enabled: present, else only possible. */
void acpi_madt_lapic(AcpiTables *t, uint32_t uid, uint32_t apic_id, bool enabled);
/* Such an entry alone; its size. */
#define ACPI_MADT_LAPIC_MAX 16
unsigned acpi_madt_lapic_entry(uint8_t out[ACPI_MADT_LAPIC_MAX], uint32_t uid, uint32_t apic_id,
                               bool enabled);
void acpi_madt_ioapic(AcpiTables *t, uint8_t id, uint32_t address, uint32_t gsi_base);
/* LINT1 of all local APICs is NMI; also in the x2APIC form when asked. */
void acpi_madt_lapic_nmi(AcpiTables *t, bool x2apic);

void acpi_build_mcfg(AcpiTables *t, uint64_t ecam, uint8_t first_bus, uint8_t last_bus);

/* XSDT over all tables but the DSDT. */
void acpi_tables_finish(AcpiTables *t);

/* ---- handing over ---- */

/* The tables as they are at guest address @base (16-byte aligned). Caller unrefs. */
GByteArray *acpi_tables_place(const AcpiTables *t, uint64_t base);
/* The RSDP for tables at @base. */
void acpi_rsdp_build(const AcpiTables *t, uint64_t base, uint8_t out[ACPI_RSDP_SIZE]);
/*
 * For firmware: it puts the two files anywhere, and adds addresses and
 * checksums (which must still be 0) as the script says. The tables' file is
 * @t->blob.
 */
void acpi_rsdp_build_unlinked(const AcpiTables *t, uint8_t out[ACPI_RSDP_SIZE]);
GByteArray *acpi_tables_loader_script(const AcpiTables *t);

#endif
