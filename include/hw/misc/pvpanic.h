/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pvpanic on the ISA bus; the machine describes it in its ACPI tables. */
#ifndef HW_MISC_PVPANIC_H
#define HW_MISC_PVPANIC_H

#include "hw/core/device.h"
#include "system/memory.h"

typedef struct PvpanicState {
    DeviceState dev;
    MemoryRegion io;
    uint16_t port;
    uint8_t events;
} PvpanicState;

extern const TypeInfo pvpanic_type;     /* "pvpanic" */
#define PVPANIC(p) ((PvpanicState *)object_cast(p, &pvpanic_type))

#endif
