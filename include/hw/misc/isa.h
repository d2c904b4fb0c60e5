/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A bus for the few devices with fixed ports and interrupt lines (UARTs,
 * pvpanic, test devices). There is no ISA bridge behind it that a guest could
 * see.
 *
 * Thread: machine lock.
 */
#ifndef HW_MISC_ISA_H
#define HW_MISC_ISA_H

#include "hw/core/device.h"
#include "system/memory.h"

#define ISA_IRQ_COUNT 16

typedef struct IsaBridge {
    DeviceState dev;
    BusState bus;               /* "isa.0" */
    IrqLine *lines[ISA_IRQ_COUNT];      /* into the interrupt controller */
    unsigned raised[ISA_IRQ_COUNT];     /* how many devices hold a line high */
} IsaBridge;

/* A device's end of an interrupt line; lines may be shared. */
typedef struct IsaIrq {
    IsaBridge *bridge;
    uint8_t n;
    bool level;
} IsaIrq;

extern const TypeInfo isa_bus_type;     /* "ISA" */
extern const TypeInfo isa_bridge_type;  /* "isa-host" */
#define ISA_BRIDGE(p) ((IsaBridge *)object_cast(p, &isa_bridge_type))

/* Create and realize as @parent/isa; @lines[i] is input i of the interrupt controller. Borrowed. */
IsaBridge *isa_bridge_create(Object *parent, IrqLine *const lines[ISA_IRQ_COUNT], Error **errp);
/* The one that the device sits behind. */
IsaBridge *isa_bridge_of(DeviceState *dev);
bool isa_irq_init(IsaIrq *irq, DeviceState *dev, uint32_t n, Error **errp);
void isa_irq_set(IsaIrq *irq, bool level);
/*
 * Map @mr at @port and remember it, with an error when ports would overlap
 * those of another device on the bus or lie beyond 0xffff.
 */
bool isa_add_ports(DeviceState *dev, MemoryRegion *mr, uint32_t port, Error **errp);

#endif
