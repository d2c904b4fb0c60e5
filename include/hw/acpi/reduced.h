/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The registers of hardware-reduced ACPI that a guest needs to switch off,
 * reset and tell time (ACPI 6.4, sections 4.8.3.6, 4.8.3.7 and 4.8.3.3), in
 * ports.
 */
#ifndef HW_ACPI_REDUCED_H
#define HW_ACPI_REDUCED_H

#include "hw/core/device.h"
#include "system/memory.h"

#define ACPI_PM_TIMER_HZ 3579545
#define ACPI_PM_TIMER_MASK 0xffffff

typedef struct AcpiReducedPorts {
    uint16_t sleep_control, sleep_status, reset, pm_timer;
} AcpiReducedPorts;

typedef struct AcpiReducedState {
    DeviceState dev;
    AcpiReducedPorts ports;
    MemoryRegion sleep_control, sleep_status, reset, pm_timer;
} AcpiReducedState;

extern const TypeInfo acpi_reduced_type;        /* "acpi-reduced" */
#define ACPI_REDUCED(p) ((AcpiReducedState *)object_cast(p, &acpi_reduced_type))

/* Create and realize as @parent/acpi. */
bool acpi_reduced_create(Object *parent, const AcpiReducedPorts *ports, Error **errp);

#endif
