/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of hw/core share among themselves. */
#ifndef HW_CORE_INTERNAL_H
#define HW_CORE_INTERNAL_H

#include "hw/core/device.h"

void bus_attach(BusState *bus, DeviceState *dev);
void bus_detach(DeviceState *dev);
/* "PCIE", "virtio-serial-bus": how messages call buses of @type. */
const char *bus_kind_name(const TypeInfo *type);
bool bus_has_room(const BusState *bus);

void device_apply_globals(DeviceState *dev);
void gpio_lists_free(DeviceState *dev);

#endif
