/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PL011, Arm's UART (docs/system/machines/virt-arm.md). The owner maps @io and
 * wires the unnamed output.
 *
 * Thread: machine lock.
 */
#ifndef HW_CHAR_PL011_H
#define HW_CHAR_PL011_H

#include "chardev/chardev.h"
#include "hw/core/device.h"
#include "system/memory.h"

#define PL011_FIFO 16

typedef struct Pl011State {
    DeviceState dev;
    MemoryRegion io;
    IrqLine irq;
    ChardevFrontend fe;
    uint16_t rx[PL011_FIFO];    /* with error bits, as in the data register */
    uint8_t tx[PL011_FIFO];
    uint8_t rx_head, rx_count, tx_head, tx_count;
    uint8_t rsr, ilpr, fbrd, lcr, ifls, dmacr;
    uint16_t ibrd, cr, imsc, ris;
} Pl011State;

extern const TypeInfo pl011_type;       /* "pl011" */
#define PL011(p) ((Pl011State *)object_cast(p, &pl011_type))

#endif
