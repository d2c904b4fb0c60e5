/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "pc-dimm": a piece of guest memory that can be plugged in and out. The
 * guest's part is ACPI (hw/acpi/memory-hotplug.c). Main thread with the machine
 * lock.
 */
#include "util/osdep.h"

#include "hw/mem/memory-device.h"

static bool get_size(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    PcDimm *dimm = PC_DIMM(obj);

    if (!dimm->memdev) {
        error_setg(errp, "'memdev' property must be set");
        return false;
    }
    *value = json_uint(dimm->dev.realized ? dimm->mem.size
                                          : memory_backend_size(MEMORY_BACKEND(dimm->memdev)));
    return true;
}

static const ObjectProperty dimm_properties[] = {
    PROP_UINT64("addr", PcDimm, addr, 0, "guest physical address; 0: anywhere"),
    PROP_UINT32("node", PcDimm, node, 0, "NUMA node"),
    PROP_INT32("slot", PcDimm, slot, -1, "its slot; -1: any"),
    PROP_LINK("memdev", PcDimm, memdev, &memory_backend_type, "the memory"),
    PROP_CUSTOM("size", "uint64", get_size, NULL, PROP_READ_ONLY, "bytes"),
    PROP_END
};

static void describe(const MemoryDevice *d, MemoryDeviceInfo *info)
{
    PcDimm *dimm = container_of(d, PcDimm, mem);
    PCDIMMDeviceInfo *i = g_new0(PCDIMMDeviceInfo, 1);
    i->id = g_strdup(dimm->dev.id);
    i->addr = d->addr;
    i->size = d->size;
    i->slot = d->slot;
    i->node = d->node;
    i->memdev = object_path(dimm->memdev);
    i->hotplugged = dimm->dev.hotplugged;
    i->hotpluggable = true;
    if (object_is_a(dimm, &nvdimm_type)) {
        info->type = MEMORY_DEVICE_INFO_KIND_NVDIMM;
        info->u.nvdimm.data = i;
    } else {
        info->type = MEMORY_DEVICE_INFO_KIND_DIMM;
        info->u.dimm.data = i;
    }
}

/* Subtypes (NVDIMM) have chosen region and size by then. */
bool pc_dimm_realize(DeviceState *dev, Error **errp)
{
    PcDimm *dimm = PC_DIMM(dev);
    MemoryDevice *d = &dimm->mem;
    MemoryBackend *backend;

    if (!memory_device_claim(dimm->memdev, errp)) {
        return false;
    }
    backend = MEMORY_BACKEND(dimm->memdev);
    d->dev = dev;
    d->describe = describe;
    d->align = MAX(MEMORY_DEVICE_ALIGN, memory_backend_region(backend)->ram->page_size);
    d->region = d->region ? d->region : memory_backend_region(backend);
    d->size = d->size ? d->size : memory_backend_size(backend);
    d->addr = dimm->addr;
    d->slot = dimm->slot;
    d->node = dimm->node;
    if (d->size % d->align) {
        error_setg(errp, "backend memory size must be multiple of 0x%" PRIx64, d->align);
        goto undo_claim;
    }
    if (!memory_device_choose_slot(&d->slot, errp) || !memory_device_plug(d, errp)) {
        goto undo_claim;
    }
    dimm->addr = d->addr;
    dimm->slot = d->slot;
    return true;

undo_claim:
    memory_backend_release(backend);
    return false;
}

void pc_dimm_unrealize(DeviceState *dev)
{
    PcDimm *dimm = PC_DIMM(dev);

    memory_device_unplug(&dimm->mem);
    memory_backend_release(MEMORY_BACKEND(dimm->memdev));
}

static const DeviceOps dimm_ops = {
    .realize = pc_dimm_realize, .unrealize = pc_dimm_unrealize, .state = &state_table_none,
    .category = DEVICE_CATEGORY_NONE,
    .user_creatable = CONFIG_MEM_HOTPLUG, .hotpluggable = CONFIG_MEM_HOTPLUG,
};

OBJECT_TYPE(pc_dimm_type) = {
    .name = "pc-dimm", .parent = &device_type, .instance_size = sizeof(PcDimm),
    .description = "DIMM memory module",
    .properties = dimm_properties,
    .impls = TYPE_IMPLS({ &device_type, &dimm_ops }),
};
