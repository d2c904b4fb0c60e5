/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PL031, Arm's real time clock: seconds since 1970 and an alarm. The owner maps
 * @io and wires the unnamed output.
 *
 * Thread: machine lock.
 */
#ifndef HW_MISC_PL031_H
#define HW_MISC_PL031_H

#include "hw/core/device.h"
#include "system/memory.h"
#include "util/event-loop.h"

typedef struct Pl031State {
    DeviceState dev;
    MemoryRegion io;
    IrqLine irq;
    Timer alarm;
    uint32_t offset;            /* added to the host's time */
    uint32_t match, load;
    bool imsc, ris;
} Pl031State;

extern const TypeInfo pl031_type;       /* "pl031" */
#define PL031(p) ((Pl031State *)object_cast(p, &pl031_type))

#endif
