/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ACPI tables for firmware, as fw_cfg files: tables, RSDP and the loader's
 * script. They are built when firmware asks, after it has placed the devices.
 *
 * Thread: machine lock.
 */
#ifndef HW_ACPI_FW_CFG_H
#define HW_ACPI_FW_CFG_H

#include "hw/acpi/tables.h"
#include "hw/boot/fw-cfg.h"

/* The three files; @build makes the tables and gives them to acpi_fw_cfg_set(). */
void acpi_fw_cfg_add(FwCfgState *f, FwCfgBuild *build, void *opaque);
void acpi_fw_cfg_set(FwCfgState *f, AcpiTables *t);

#endif
