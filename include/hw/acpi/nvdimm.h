/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NVDIMMs for the guest's firmware interface: the table NFIT, the device
 * \_SB.NVDR, and a page of memory with a doorbell register through which its
 * methods reach labels and the current table (docs/system/devices/nvdimm.md).
 *
 * Thread: machine lock.
 */
#ifndef HW_ACPI_NVDIMM_H
#define HW_ACPI_NVDIMM_H

#include "hw/acpi/ged.h"
#include "hw/acpi/tables.h"

#define ACPI_NVDIMM_PAGE_SIZE 4096u
/* What it takes of the address space: a page of any host. */
#define ACPI_NVDIMM_REGION_SIZE (64 * 1024u)
#define ACPI_NVDIMM_DOORBELL_SIZE 4u

/* What the platform keeps over a loss of power: -machine nvdimm-persistence. */
enum { ACPI_NVDIMM_CPU_CACHES = 1 << 0, ACPI_NVDIMM_MEMORY_CONTROLLER = 1 << 1 };

/* The page: a request, which the doorbell replaces by the answer. */
enum {
    NVDIMM_REQ_HANDLE = 0, NVDIMM_REQ_REVISION = 4, NVDIMM_REQ_FUNCTION = 8, NVDIMM_REQ_ARGUMENT = 12,
    NVDIMM_RESP_LENGTH = 0, NVDIMM_RESP_DATA = 4,
};
/* Handles: that of the root, those of NVDIMMs (slot + 1), and one for the table. */
enum { NVDIMM_HANDLE_ROOT = 0, NVDIMM_HANDLE_TABLE = 0x10000 };
enum { NVDIMM_TABLE_READ = 1 };

typedef struct AcpiNvdimm {
    DeviceState dev;
    MemoryRegion page, doorbell;
    GedState *ged;
    uint32_t persistence;
    GByteArray *table;          /* what the guest is reading piece by piece */
} AcpiNvdimm;

extern const TypeInfo acpi_nvdimm_type;         /* "acpi-nvdimm" */
#define ACPI_NVDIMM(p) ((AcpiNvdimm *)object_cast(p, &acpi_nvdimm_type))

/* Realized; the caller maps page and doorbell. Borrowed, or NULL. */
AcpiNvdimm *acpi_nvdimm_create(Object *parent, GedState *ged, uint32_t persistence, Error **errp);
/* The structures of the table for the NVDIMMs that there are now. Caller unrefs. */
GByteArray *acpi_nvdimm_table(const AcpiNvdimm *s);
/* There is a new one: the guest is to read the table again. */
void acpi_nvdimm_changed(AcpiNvdimm *s);

/* ---- in the tables ---- */

typedef struct AcpiNvdimmAml {
    uint64_t page;
    AmlRegionSpace doorbell_space;
    uint64_t doorbell;
    unsigned slots;
} AcpiNvdimmAml;

void acpi_nvdimm_build_aml(Aml *a, const AcpiNvdimmAml *n);
void acpi_build_nfit(AcpiTables *t, const uint8_t *structures, size_t size);

#endif
