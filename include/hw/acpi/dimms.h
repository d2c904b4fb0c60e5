/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DIMMs and NVDIMMs of a machine with ACPI: what its hot-plug hooks and its tables
 * need, the same for all machines.
 *
 * Thread: main thread with the machine lock.
 */
#ifndef HW_ACPI_DIMMS_H
#define HW_ACPI_DIMMS_H

#include "hw/acpi/hotplug.h"
#include "hw/acpi/nvdimm.h"
#include "hw/core/machine.h"

typedef struct AcpiDimms {
    /* Machine properties. */
    bool nvdimm_on;
    char *persistence;
    /* NULL: not there. */
    AcpiSlots *slots;
    AcpiNvdimm *nvdimm;
} AcpiDimms;

/* Properties of a machine's type @st with its AcpiDimms in field @f. */
#define ACPI_DIMMS_PROPERTIES(st, f)                                                    \
    PROP_BOOL("nvdimm", st, f.nvdimm_on, false, "NVDIMM devices"),                      \
    { .name = "nvdimm-persistence", .kind = &prop_kind_string, .type_name = "string",   \
      .offset = offsetof(st, f.persistence), .get = acpi_dimms_get_persistence,         \
      .set = acpi_dimms_set_persistence,                                                \
      .description = "what of NVDIMMs' writes survives: cpu (caches), mem-ctrl" }
ObjectPropertyGet acpi_dimms_get_persistence;
ObjectPropertySet acpi_dimms_set_persistence;

/* Slots and NVDIMM interface of @m as its options ask for, with regions for the caller to map. */
bool acpi_dimms_create(AcpiDimms *d, MachineState *m, GedState *ged, Error **errp);
bool acpi_dimms_pre_plug(AcpiDimms *d, DeviceState *dev, Error **errp);
void acpi_dimms_plug(AcpiDimms *d, DeviceState *dev);
void acpi_dimms_unplug_request(AcpiDimms *d, DeviceState *dev);
void acpi_dimms_unplug(AcpiDimms *d, DeviceState *dev);
/* What the NFIT has now; NULL: no NVDIMMs. Caller unrefs. */
GByteArray *acpi_dimms_nfit(const AcpiDimms *d);

typedef struct AcpiDimmsPlaces {
    AmlRegionSpace space;       /* of the registers */
    uint64_t slots, doorbell;
    uint64_t page;
} AcpiDimmsPlaces;

/* Map what there is. */
void acpi_dimms_map(AcpiDimms *d, const AcpiDimmsPlaces *p);
/* Memory and, with @nvdimm, NVDIMM devices; the events that the event device is to handle. */
uint32_t acpi_dimms_build_aml(Aml *a, const AcpiDimmsPlaces *p, unsigned slots, bool nvdimm);

#endif
