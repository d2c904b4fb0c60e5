/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The generic event device (ACPI 6.4, section 5.6.9): one interrupt and one
 * selector register, whose bits say what happened. Reading the register
 * clears it.
 *
 * Thread: machine lock.
 */
#ifndef HW_ACPI_GED_H
#define HW_ACPI_GED_H

#include "hw/acpi/aml.h"
#include "hw/core/device.h"
#include "system/memory.h"

#define GED_REGISTER_SIZE 4

/* Bits of the selector; those of the hot-plug blocks keep their place when left out. */
typedef enum GedEvent {
    GED_EVENT_CPU = 1 << 0,
    GED_EVENT_MEMORY = 1 << 1,
    GED_EVENT_NVDIMM = 1 << 2,
    GED_EVENT_PCI = 1 << 3,
    GED_EVENT_POWER_BUTTON = 1 << 4,
    GED_EVENT_VMGENID = 1 << 5,
} GedEvent;

typedef struct GedState {
    DeviceState dev;
    MemoryRegion io;
    IrqLine irq;                /* unnamed output 0 */
    uint32_t selector;
} GedState;

extern const TypeInfo ged_type;         /* "acpi-ged" */
#define GED(p) ((GedState *)object_cast(p, &ged_type))

/* Tell the guest; @events are or-ed into the selector. */
void ged_raise(GedState *ged, uint32_t events);
/*
 * The device \_SB.GED with its register in ports at @port (else in memory) and
 * interrupt @gsi; it calls nothing but what @events name. Also the power button
 * \_SB.PWRB when that event is among them.
 */
void ged_build_aml(Aml *a, AmlRegionSpace space, uint64_t base, uint32_t gsi, uint32_t events);

#endif
