/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ACPI tables as fw_cfg files. Machine lock. */
#include "util/osdep.h"

#include "hw/acpi/fw-cfg.h"

#define FILE_ALIGN 4096
#define LOADER_FILE "etc/table-loader"

void acpi_fw_cfg_add(FwCfgState *f, FwCfgBuild *build, void *opaque)
{
    fw_cfg_set_builder(f, build, opaque);
    fw_cfg_add_lazy_file(f, ACPI_LOADER_RSDP_FILE);
    fw_cfg_add_lazy_file(f, ACPI_LOADER_TABLES_FILE);
    fw_cfg_add_lazy_file(f, LOADER_FILE);
}

void acpi_fw_cfg_set(FwCfgState *f, AcpiTables *t)
{
    uint8_t rsdp[ACPI_RSDP_SIZE];
    g_autoptr(GByteArray) script = acpi_tables_loader_script(t);

    acpi_rsdp_build_unlinked(t, rsdp);
    /* The size told in the directory leaves room for a later build. */
    acpi_put_zeros(t, ROUND_UP(t->blob->len, FILE_ALIGN) - t->blob->len);
    fw_cfg_replace_file(f, ACPI_LOADER_RSDP_FILE, rsdp, sizeof(rsdp));
    fw_cfg_replace_file(f, ACPI_LOADER_TABLES_FILE, t->blob->data, t->blob->len);
    fw_cfg_replace_file(f, LOADER_FILE, script->data, script->len);
}
