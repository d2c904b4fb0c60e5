/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The boot order for firmware: devices with bootindex= as Open Firmware paths
 * in the fw_cfg file "bootorder", and what -boot says
 * (docs/system/firmware.md).
 *
 * Thread: main thread with the machine lock.
 */
#ifndef HW_BOOT_BOOTORDER_H
#define HW_BOOT_BOOTORDER_H

#include "hw/boot/fw-cfg.h"

/* -boot, before there is a machine; -1: not given. */
void boot_order_configure(bool menu, bool strict, int splash_time_ms, int reboot_timeout_ms);
/* All devices of the command line are there. False when two have the same place. */
bool boot_order_add(FwCfgState *f, Error **errp);
/* At a reset, as devices come and go. */
void boot_order_update(FwCfgState *f);

#endif
