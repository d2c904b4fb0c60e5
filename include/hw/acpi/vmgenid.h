/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VM generation ID (Microsoft's specification of 2012): 16 bytes of guest memory
 * that change when the machine goes on from a saved state, and an event that says
 * so (docs/system/devices/vmgenid.md).
 *
 * Thread: machine lock.
 */
#ifndef HW_ACPI_VMGENID_H
#define HW_ACPI_VMGENID_H

#include "hw/acpi/tables.h"
#include "hw/core/device.h"

#define VMGENID_PAGE_SIZE 4096
#define VMGENID_OFFSET 40       /* of the id in its page, which firmware must not take for a table */
#define VMGENID_GUID_FILE "etc/vmgenid_guid"
#define VMGENID_ADDRESS_FILE "etc/vmgenid_addr"

typedef struct VmGenId VmGenId;

/* The machine's, or NULL. */
VmGenId *vmgenid_find(void);
/* The page with the id, where the machine itself places it (direct boot): at guest address @page. */
bool vmgenid_place(VmGenId *s, uint64_t page, Error **errp);
/* The device \_SB.VGEN in an open table, outside of all scopes; the page is the tables' extra file, or at @page. */
void vmgenid_build_aml(AcpiTables *t, Aml *a, uint64_t page);

#endif
