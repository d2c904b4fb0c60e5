/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ACPI tables of NUMA nodes: SRAT, SLIT, HMAT. Thread: as tables.h. */
#ifndef HW_ACPI_NUMA_H
#define HW_ACPI_NUMA_H

#include "hw/acpi/tables.h"
#include "hw/core/numa.h"

enum { ACPI_SRAT_ENABLED = 1 << 0, ACPI_SRAT_HOTPLUGGABLE = 1 << 1, ACPI_SRAT_NONVOLATILE = 1 << 2 };

typedef struct AcpiRange {
    uint64_t base, size;
} AcpiRange;

/* Pieces of an SRAT: acpi_srat_begin(), entries, acpi_table_end(). */
void acpi_srat_begin(AcpiTables *t);
void acpi_srat_lapic(AcpiTables *t, uint32_t node, uint32_t apic_id);
void acpi_srat_gicc(AcpiTables *t, uint32_t node, uint32_t uid);
void acpi_srat_memory(AcpiTables *t, uint32_t node, uint64_t base, uint64_t size, uint32_t flags);
/* The nodes' memory as it lies in the @n ranges of RAM, one node after the other. */
void acpi_srat_ram(AcpiTables *t, const NumaState *s, const AcpiRange *ram, unsigned n);

/*
 * The largest unit of which all values of @lb are multiples, a power of ten (latency) or of two times
 * 1 MiB (bandwidth).
 */
uint64_t acpi_hmat_unit(const GArray *lb, HmatLBDataType type);
/* SLIT when distances were given, HMAT with @hmat. */
void acpi_build_numa_attributes(AcpiTables *t, const NumaState *s, bool hmat);

#endif
