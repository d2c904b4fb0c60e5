/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host ends that -serial gave, for machines with serial ports. Main thread.
 */
#ifndef SYSTEM_SERIAL_H
#define SYSTEM_SERIAL_H

#include "chardev/chardev.h"

/* How many -serial there were, "none" included. */
unsigned serial_count(void);
/* Of serial port @index; NULL for "none" and past the end. */
Chardev *serial_chardev(unsigned index);

#endif
