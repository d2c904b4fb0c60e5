/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DIMMs and NVDIMMs of a machine with ACPI. Main thread with the machine lock;
 * nothing here is reached by a guest.
 */
#include "util/osdep.h"

#include "hw/acpi/dimms.h"
#include "hw/mem/memory-device.h"

/* ---- properties ---- */

bool acpi_dimms_set_persistence(Object *obj, const ObjectProperty *p, const JsonValue *value, Error **errp)
{
    const char *text = json_get_string(value);

    if (!text || (strcmp(text, "cpu") != 0 && strcmp(text, "mem-ctrl") != 0)) {
        error_setg(errp, "-machine nvdimm-persistence=%s: unsupported option", text ? text : "?");
        error_append_hint(errp, "\"cpu\" and \"mem-ctrl\" are.\n");
        return false;
    }
    return prop_kind_string.set(obj, p, value, errp);
}

bool acpi_dimms_get_persistence(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    char *const *text = property_field(obj, p);

    *value = json_string(*text ? *text : "");
    return true;
}

/* ---- the machine's parts ---- */

static bool create_nvdimm(AcpiDimms *d, MachineState *m, GedState *ged, Error **errp)
{
    const char *p = d->persistence;
    uint32_t persistence = !p ? 0 : ACPI_NVDIMM_MEMORY_CONTROLLER |
                                    (strcmp(p, "cpu") == 0 ? ACPI_NVDIMM_CPU_CACHES : 0);

    if (!CONFIG_NVDIMM) {
        error_setg(errp, "nvdimm=on is not possible: NVDIMMs were left out of this build");
        return false;
    }
    d->nvdimm = acpi_nvdimm_create(OBJECT(m), ged, persistence, errp);
    return d->nvdimm != NULL;
}

bool acpi_dimms_create(AcpiDimms *d, MachineState *m, GedState *ged, Error **errp)
{
    if (CONFIG_MEM_HOTPLUG && m->ram_slots) {
        d->slots = acpi_slots_create(OBJECT(m), &acpi_memory_slots_type, m->ram_slots, ged, errp);
        if (!d->slots) {
            return false;
        }
    }
    return !d->nvdimm_on || create_nvdimm(d, m, ged, errp);
}

void acpi_dimms_map(AcpiDimms *d, const AcpiDimmsPlaces *p)
{
    MemoryRegion *registers = p->space == AML_SYSTEM_IO ? system_io() : system_memory();

    if (d->slots) {
        memory_region_add(registers, p->slots, &d->slots->io);
    }
    if (d->nvdimm) {
        memory_region_add(registers, p->doorbell, &d->nvdimm->doorbell);
        memory_region_add(system_memory(), p->page, &d->nvdimm->page);
    }
}

GByteArray *acpi_dimms_nfit(const AcpiDimms *d)
{
    return d->nvdimm ? acpi_nvdimm_table(d->nvdimm) : NULL;
}

/* ---- hot-plug ---- */

bool acpi_dimms_pre_plug(AcpiDimms *d, DeviceState *dev, Error **errp)
{
    if (object_is_a(dev, &nvdimm_type) && !d->nvdimm_on) {
        error_setg(errp, "nvdimm is not enabled: missing 'nvdimm' in '-M'");
        return false;
    }
    return true;
}

void acpi_dimms_plug(AcpiDimms *d, DeviceState *dev)
{
    if (!object_is_a(dev, &nvdimm_type)) {
        acpi_slots_plug(d->slots, PC_DIMM(dev)->mem.slot, dev);
    } else if (dev->hotplugged) {
        acpi_nvdimm_changed(d->nvdimm);
    }
}

void acpi_dimms_unplug_request(AcpiDimms *d, DeviceState *dev)
{
    acpi_slots_request(d->slots, PC_DIMM(dev)->mem.slot);
    /* The guest may refuse or forget: it can be asked again. */
    dev->unplug_pending = false;
}

void acpi_dimms_unplug(AcpiDimms *d, DeviceState *dev)
{
    if (!object_is_a(dev, &nvdimm_type)) {
        acpi_slots_unplug(d->slots, PC_DIMM(dev)->mem.slot);
    }
}
