/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SMBIOS tables (DMTF DSP0134, version 3.0): what a guest's dmidecode and
 * cloud-init read. Defaults come from the machine, the rest from -smbios.
 * Main thread, at start-up.
 */
#ifndef HW_BOOT_SMBIOS_H
#define HW_BOOT_SMBIOS_H

#include <glib.h>
#include "hw/core/machine.h"

#define SMBIOS_ENTRY_SIZE 24

/* -smbios file=PATH or type=N,... */
bool smbios_option_add(const char *text, Error **errp);

typedef struct SmbiosRange {
    uint64_t addr, size;
} SmbiosRange;

/* Of a valid UUID or ""; its first three fields are little-endian (section 7.2.1). */
void smbios_uuid_bytes(const char *text, uint8_t out[16]);
/* The structures, without the entry point. Caller unrefs. */
GByteArray *smbios_build(const MachineState *m, const SmbiosRange *ram, unsigned ranges, Error **errp);
/* The 64-bit entry point for tables of @size bytes at @addr. */
void smbios_entry_build(uint64_t addr, uint32_t size, uint8_t out[SMBIOS_ENTRY_SIZE]);

#endif
