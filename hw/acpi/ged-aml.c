/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ACPI description of the generic event device and of what it signals
 * (ACPI 6.4, sections 5.6.9 and 4.8.3.2).
 */
#include "util/osdep.h"

#include "hw/acpi/ged.h"

/* "If (Local0 & event)"; the caller adds the body and ends it. */
static void begin_if_event(Aml *a, GedEvent event)
{
    aml_begin_if(a);
    aml_op(a, AML_AND);
    aml_local(a, 0);
    aml_int(a, event);
    aml_no_target(a);
}

/* What each event calls, or notifies. */
static const struct {
    GedEvent event;
    const char *path;
    uint8_t notification;       /* 0: a method is called */
} handlers[] = {
    { GED_EVENT_CPU, "\\_SB.CPUS.CSCN", 0 },
    { GED_EVENT_MEMORY, "\\_SB.MHPC.MSCN", 0 },
    { GED_EVENT_NVDIMM, "\\_SB.NVDR", 0x80 },
    { GED_EVENT_PCI, "\\_SB.PCI0.PSCN", 0 },
    { GED_EVENT_POWER_BUTTON, "\\_SB.PWRB", 0x80 },
    { GED_EVENT_VMGENID, "\\_SB.VGEN", 0x80 },
};

static void build_handler(Aml *a, uint32_t events)
{
    aml_begin_method(a, "_EVT", 1, true);
    /* One read: it clears the register. */
    aml_op(a, AML_STORE);
    aml_path(a, "ESEL");
    aml_local(a, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(handlers); i++) {
        if (events & handlers[i].event) {
            begin_if_event(a, handlers[i].event);
            if (handlers[i].notification) {
                aml_op(a, AML_NOTIFY);
            }
            aml_path(a, handlers[i].path);
            if (handlers[i].notification) {
                aml_int(a, handlers[i].notification);
            }
            aml_end(a);
        }
    }
    aml_end(a);
}

void ged_build_aml(Aml *a, AmlRegionSpace space, uint64_t base, uint32_t gsi, uint32_t events)
{
    aml_begin_scope(a, "\\_SB");
    if (events & GED_EVENT_POWER_BUTTON) {
        aml_begin_device(a, "PWRB");
        aml_name_eisa_id(a, "_HID", "PNP0C0C");
        aml_name_int(a, "_UID", 0);
        aml_end(a);
    }
    aml_begin_device(a, "GED");
    aml_name_string(a, "_HID", "ACPI0013");
    aml_name_int(a, "_UID", 0);
    aml_name(a, "_CRS");
    aml_begin_resources(a);
    aml_res_interrupt(a, gsi, false, false);
    aml_end(a);
    aml_region(a, "EREG", space, base, GED_REGISTER_SIZE);
    aml_begin_field(a, "EREG", AML_ACCESS_DWORD);
    aml_field_unit(a, "ESEL", 32);
    aml_end(a);
    build_handler(a, events);
    aml_end(a);
    aml_end(a);
}
