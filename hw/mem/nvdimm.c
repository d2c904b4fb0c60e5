/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "nvdimm": a DIMM whose memory the guest takes for persistent. The end of the back
 * end can hold labels, with which the guest divides the rest. What the guest
 * learns of it is in hw/acpi/nvdimm.c. Main thread with the machine lock; labels
 * also on vCPU threads, with it.
 */
#include "util/osdep.h"

#include "hw/mem/memory-device.h"

#define LABEL_SIZE_MIN (128 * KIB)

typedef struct Nvdimm {
    PcDimm dimm;
    MemoryRegion region;        /* the back end without its labels */
    uint64_t label_size;
    bool unarmed;
    char *uuid;
} Nvdimm;

static Nvdimm *nvdimm_of(const MemoryDevice *d)
{
    return container_of(d, Nvdimm, dimm.mem);
}

bool nvdimm_is_armed(const MemoryDevice *d)
{
    return !nvdimm_of(d)->unarmed;
}

static RamBlock *ram_of(const Nvdimm *s)
{
    return memory_backend_region(MEMORY_BACKEND(s->dimm.memdev))->ram;
}

uint8_t *nvdimm_labels(const MemoryDevice *d, uint64_t *size)
{
    const Nvdimm *s = nvdimm_of(d);
    RamBlock *ram = ram_of(s);

    *size = s->label_size;
    return ram->host + ram->size - s->label_size;
}

void nvdimm_labels_written(MemoryDevice *d, uint64_t offset, uint64_t len)
{
    const Nvdimm *s = nvdimm_of(d);
    RamBlock *ram = ram_of(s);

    ram_block_set_dirty(ram, ram->size - s->label_size + offset, len);
}

/* ---- properties ---- */

static bool set_label_size(Object *obj, const ObjectProperty *p, const JsonValue *value, Error **errp)
{
    uint64_t *field = property_field(obj, p), old = *field;

    if (!prop_kind_size.set(obj, p, value, errp)) {
        return false;
    }
    if (*field < LABEL_SIZE_MIN) {
        error_setg(errp, "Property '%s.%s' (0x%" PRIx64 ") is required at least 0x%" PRIx64,
                   obj->type->name, p->name, *field, (uint64_t)LABEL_SIZE_MIN);
        *field = old;
        return false;
    }
    return true;
}

static bool get_uuid(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    char *const *uuid = property_field(obj, p);

    *value = json_string(*uuid ? *uuid : "00000000-0000-0000-0000-000000000000");
    return true;
}

static bool set_uuid(Object *obj, const ObjectProperty *p, const JsonValue *value, Error **errp)
{
    const char *text = json_get_string(value);

    if (!text || !g_uuid_string_is_valid(text)) {
        error_setg(errp, "Property '%s.%s' doesn't take value '%s'", obj->type->name, p->name,
                   text ? text : json_kind_name(json_kind(value)));
        return false;
    }
    return prop_kind_string.set(obj, p, value, errp);
}

static const ObjectProperty nvdimm_properties[] = {
    { .name = "label-size", .kind = &prop_kind_size, .offset = offsetof(Nvdimm, label_size), .type_name = "int",
      .set = set_label_size, .flags = PROP_NO_DEFAULT, .description = "bytes for labels, from 128 KiB on" },
    PROP_BOOL("unarmed", Nvdimm, unarmed, false, "the guest is not to write to it"),
    { .name = "uuid", .kind = &prop_kind_string, .offset = offsetof(Nvdimm, uuid), .type_name = "QemuUUID",
      .get = get_uuid, .set = set_uuid, .description = "its identity" },
    PROP_END
};

/* ---- life ---- */

static bool nvdimm_realize(DeviceState *dev, Error **errp)
{
    Nvdimm *s = (Nvdimm *)dev;
    MemoryDevice *d = &s->dimm.mem;
    MemoryBackend *backend;
    RamBlock *ram;
    uint64_t align;

    if (!s->dimm.memdev) {
        error_setg(errp, "'memdev' property must be set");
        return false;
    }
    backend = MEMORY_BACKEND(s->dimm.memdev);
    ram = memory_backend_region(backend)->ram;
    align = MAX(MEMORY_DEVICE_ALIGN, ram->page_size);
    if (ram->readonly && !s->unarmed) {
        error_setg(errp, "'unarmed' property must be 'on' since memdev is readonly");
        return false;
    }
    d->size = s->label_size < ram->size ? ROUND_DOWN(ram->size - s->label_size, align) : 0;
    if (!d->size) {
        error_setg(errp, "the size of memdev %s (0x%" PRIx64 ") is too small to contain nvdimm label (0x%"
                   PRIx64 ") and aligned PMEM (0x%" PRIx64 ")", s->dimm.memdev->name, ram->size,
                   s->label_size, align);
        return false;
    }
    memory_region_init_alias(&s->region, OBJECT(s), "nvdimm", memory_backend_region(backend), 0, d->size);
    d->region = &s->region;
    if (!pc_dimm_realize(dev, errp)) {
        memory_region_cleanup(&s->region);
        return false;
    }
    return true;
}

static void nvdimm_unrealize(DeviceState *dev)
{
    pc_dimm_unrealize(dev);
    memory_region_cleanup(&((Nvdimm *)dev)->region);
}

static const DeviceOps nvdimm_ops = {
    .realize = nvdimm_realize, .unrealize = nvdimm_unrealize, .state = &state_table_none,
    .category = DEVICE_CATEGORY_STORAGE, .user_creatable = CONFIG_NVDIMM, .hotpluggable = CONFIG_NVDIMM,
    .stays = "nvdimm device hot unplug is not supported yet.",
};

OBJECT_TYPE(nvdimm_type) = {
    .name = "nvdimm", .parent = &pc_dimm_type, .instance_size = sizeof(Nvdimm),
    .description = "DIMM memory module",
    .properties = nvdimm_properties,
    .impls = TYPE_IMPLS({ &device_type, &nvdimm_ops }),
};
