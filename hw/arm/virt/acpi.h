/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the ACPI tables of the AArch64 `virt` say, as plain data: gathered from
 * the machine by its owner, so that the tables can be built and tested without
 * one.
 */
#ifndef HW_ARM_VIRT_ACPI_H
#define HW_ARM_VIRT_ACPI_H

#include "hw/acpi/dimms.h"
#include "hw/acpi/numa.h"
#include "hw/arm/virt.h"

typedef struct ArmVirtAcpiConfig {
    const char *oem_id, *oem_table_id;  /* NULL: ours */
    unsigned cpus;
    const uint64_t *mpidr;      /* of each */
    CpuTopology topology;
    bool pmu;
    unsigned gic_version;
    ArmVirtRange redist[2];     /* version 3; size 0: none */
    bool its;
    ArmVirtRange ecam, high_mmio;       /* high_mmio.size 0: none */
    const NumaState *numa;      /* NULL: no nodes */
    bool hmat;
    uint64_t ram_size;
    ArmVirtRange device_memory; /* size 0: none */
    unsigned memory_slots;
    const GByteArray *nfit;     /* structures of the NFIT; NULL: no NVDIMMs */
} ArmVirtAcpiConfig;

/* Where the parts of DIMM and NVDIMM hot-plug are. */
extern const AcpiDimmsPlaces arm_virt_dimms_places;

/* Complete tables. Caller frees. */
AcpiTables *arm_virt_acpi_build(const ArmVirtAcpiConfig *c);

#endif
