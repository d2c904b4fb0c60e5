/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PC's battery clock (Motorola MC146818) and the memory behind it: an index
 * port and a data port. Time, date and their formats; no interrupts.
 *
 * Thread: machine lock.
 */
#ifndef HW_MISC_MC146818_H
#define HW_MISC_MC146818_H

#include "hw/core/device.h"

#define MC146818_SIZE 128

/* As @parent/rtc, with its ports at @port and @port + 1. */
bool mc146818_create(Object *parent, uint16_t port, Error **errp);

#endif
