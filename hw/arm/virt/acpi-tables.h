/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ACPI tables that only Arm machines have, and the Arm form of others. */
#ifndef HW_ARM_VIRT_ACPI_TABLES_H
#define HW_ARM_VIRT_ACPI_TABLES_H

#include "acpi.h"

void arm_acpi_build_madt(AcpiTables *t, const ArmVirtAcpiConfig *c);
void arm_acpi_build_pptt(AcpiTables *t, const ArmVirtAcpiConfig *c);
void arm_acpi_build_srat(AcpiTables *t, const ArmVirtAcpiConfig *c);
void arm_acpi_build_gtdt(AcpiTables *t);
void arm_acpi_build_spcr(AcpiTables *t);
void arm_acpi_build_dbg2(AcpiTables *t);
/* Every PCI function's messages go to the one ITS, by requester id. */
void arm_acpi_build_iort(AcpiTables *t);

#endif
