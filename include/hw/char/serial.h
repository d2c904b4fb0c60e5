/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The 16550A UART itself, without the bus it sits on.
 *
 * Thread: machine lock.
 */
#ifndef HW_CHAR_SERIAL_H
#define HW_CHAR_SERIAL_H

#include "chardev/chardev.h"
#include "hw/core/device.h"
#include "system/memory.h"

#define SERIAL_PORTS 8
#define SERIAL_FIFO 16

typedef struct SerialFifo {
    uint8_t data[SERIAL_FIFO];
    uint8_t head, count;
} SerialFifo;

typedef struct Serial {
    MemoryRegion io;            /* 8 registers */
    ChardevFrontend fe;
    void (*set_irq)(void *opaque, bool level);
    void *opaque;
    uint16_t divisor;
    uint8_t ier, fcr, lcr, mcr, lsr, msr, scr;
    bool thr_pending;           /* the "transmitter empty" interrupt is due */
    SerialFifo rx, tx;
} Serial;

/* The front end's chardev is attached already (a property of the owner), or absent. */
void serial_realize(Serial *s, Object *owner, void (*set_irq)(void *opaque, bool level),
                    void *opaque);
void serial_unrealize(Serial *s);
void serial_reset(Serial *s);

extern const StateTable serial_state;   /* to embed as STATE_F_STRUCT */

/* ---- on the ISA bus ---- */

typedef struct IsaSerial IsaSerial;
extern const TypeInfo isa_serial_type;  /* "isa-serial" */
/* For the machine's tables. */
void isa_serial_get(DeviceState *dev, unsigned *index, uint16_t *port, uint8_t *irq);

#endif
