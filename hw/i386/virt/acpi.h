/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the ACPI tables of `virt` say, as plain data: gathered from the machine
 * by its owner, so that the tables can be built and tested without one.
 */
#ifndef HW_I386_VIRT_ACPI_H
#define HW_I386_VIRT_ACPI_H

#include "hw/acpi/dimms.h"
#include "hw/acpi/numa.h"

#define VIRT_MAX_SERIAL 4

typedef struct VirtAcpiSerial {
    uint16_t port;              /* 0: none */
    uint8_t irq;
} VirtAcpiSerial;

typedef struct VirtAcpiConfig {
    unsigned max_cpus;          /* possible ones */
    const uint32_t *apic_ids;   /* of each */
    const bool *present;
    uint64_t ecam_base, ecam_size;      /* size 0: none */
    uint64_t mmio32_base, mmio32_end;   /* the configuration window may lie in it */
    uint64_t mmio64_base, mmio64_size;  /* size 0: none */
    VirtAcpiSerial serial[VIRT_MAX_SERIAL];
    uint16_t pvpanic_port;      /* 0: none */
    const NumaState *numa;      /* NULL: no nodes */
    bool hmat;
    AcpiRange ram[2], device_memory;    /* for the nodes; size 0: none */
    bool vmgenid;
    uint64_t vmgenid_page;      /* 0: firmware places it */
    bool cpu_hotplug;
    unsigned memory_slots;
    const GByteArray *nfit;     /* structures of the NFIT; NULL: no NVDIMMs */
} VirtAcpiConfig;

/* Where the parts of DIMM and NVDIMM hot-plug are. */
extern const AcpiDimmsPlaces virt_dimms_places;

/* Complete tables. Caller frees. */
AcpiTables *virt_acpi_build(const VirtAcpiConfig *c);

#endif
