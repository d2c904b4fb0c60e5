/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PL061, Arm's GPIO block with eight pins: unnamed inputs and outputs 0 to 7,
 * and the interrupt as output "irq". And the key that a machine hangs on a pin.
 *
 * Thread: machine lock.
 */
#ifndef HW_MISC_PL061_H
#define HW_MISC_PL061_H

#include "hw/core/device.h"
#include "system/memory.h"
#include "util/event-loop.h"

#define PL061_PINS 8

typedef struct Pl061State {
    DeviceState dev;
    MemoryRegion io;
    IrqLine irq, out[PL061_PINS];
    uint8_t input;              /* what others drive the pins to */
    uint8_t data, dir, sense, both, event, mask, ris, afsel;
    uint8_t level;              /* of the pins, when last looked at */
} Pl061State;

extern const TypeInfo pl061_type;       /* "pl061" */
#define PL061(p) ((Pl061State *)object_cast(p, &pl061_type))

/* A key on its unnamed output: high for a moment when it is pressed. */
typedef struct GpioKeyState {
    DeviceState dev;
    IrqLine out;
    Timer release;
    bool down;
} GpioKeyState;

extern const TypeInfo gpio_key_type;    /* "gpio-key" */
#define GPIO_KEY(p) ((GpioKeyState *)object_cast(p, &gpio_key_type))

void gpio_key_press(GpioKeyState *key);

#endif
