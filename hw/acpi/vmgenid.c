/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VM generation ID. With firmware the page is a fw_cfg file that the firmware
 * puts into memory; it writes the address back to us. The guest may write any
 * address there: only RAM is ever written, 16 bytes. Machine lock.
 */
#include "util/osdep.h"

#include "hw/acpi/ged.h"
#include "hw/acpi/vmgenid.h"
#include "hw/boot/fw-cfg.h"
#include "hw/boot/smbios.h"
#include "hw/core/machine.h"
#include "qapi-commands.h"
#include "util/bswap.h"

struct VmGenId {
    DeviceState dev;
    char *guid;                 /* property */
    char *text;
    uint8_t id[16];
    uint64_t address;           /* of the page's id in guest memory; 0: not known */
    uint64_t placed;            /* the same, when no firmware chooses it */
};

static const TypeInfo vmgenid_type;
#define VMGENID(p) ((VmGenId *)object_cast(p, &vmgenid_type))

static VmGenId *the_vmgenid;

VmGenId *vmgenid_find(void)
{
    return the_vmgenid;
}

static void tell_guest(VmGenId *s)
{
    Object *ged = object_child(machine_current(), "ged");

    if (s->address && guest_ram_write(&address_space_memory, s->address, s->id, sizeof(s->id)) && ged) {
        ged_raise(GED(ged), GED_EVENT_VMGENID);
    }
}

/* ---- where it is ---- */

static void address_written(void *opaque, const uint8_t *data)
{
    ((VmGenId *)opaque)->address = load_le64(data);
}

bool vmgenid_place(VmGenId *s, uint64_t page, Error **errp)
{
    uint8_t bytes[VMGENID_PAGE_SIZE] = { 0 };

    memcpy(bytes + VMGENID_OFFSET, s->id, sizeof(s->id));
    if (!guest_ram_write(&address_space_memory, page, bytes, sizeof(bytes))) {
        error_setg(errp, "no RAM for the VM generation ID at 0x%" PRIx64, page);
        return false;
    }
    s->address = s->placed = page + VMGENID_OFFSET;
    return true;
}

/* ---- life ---- */

static bool choose_id(VmGenId *s, Error **errp)
{
    if (strcmp(s->guid, "auto") != 0 && !g_uuid_string_is_valid(s->guid)) {
        error_setg(errp, "Property 'vmgenid.guid' doesn't take value '%s'", s->guid);
        return false;
    }
    s->text = strcmp(s->guid, "auto") != 0 ? g_ascii_strdown(s->guid, -1) : g_uuid_string_random();
    smbios_uuid_bytes(s->text, s->id);
    return true;
}

static bool vmgenid_realize(DeviceState *dev, Error **errp)
{
    VmGenId *s = VMGENID(dev);
    Object *fw_cfg = object_child(machine_current(), "fw_cfg");
    uint8_t page[VMGENID_PAGE_SIZE] = { 0 };

    if (the_vmgenid) {
        error_setg(errp, "at most one vmgenid device is permitted");
        return false;
    }
    if (!fw_cfg) {
        error_setg(errp, "vmgenid requires DMA write support in fw_cfg, which this machine type does not provide");
        return false;
    }
    if (!choose_id(s, errp)) {
        return false;
    }
    memcpy(page + VMGENID_OFFSET, s->id, sizeof(s->id));
    if (!fw_cfg_add_file(FW_CFG(fw_cfg), VMGENID_GUID_FILE, page, sizeof(page), errp) ||
        !fw_cfg_add_writable_file(FW_CFG(fw_cfg), VMGENID_ADDRESS_FILE, page, sizeof(uint64_t), address_written, s, errp)) {
        return false;
    }
    the_vmgenid = s;
    return true;
}

static void vmgenid_reset(DeviceState *dev)
{
    VMGENID(dev)->address = VMGENID(dev)->placed;
}

/* The machine goes on from what was saved, in whichever process: here with its id. */
static bool vmgenid_post_load(void *opaque, int version)
{
    tell_guest(opaque);
    return true;
}

static void vmgenid_finalize(Object *obj)
{
    VmGenId *s = (VmGenId *)obj;

    if (the_vmgenid == s) {
        the_vmgenid = NULL;
    }
    g_free(s->text);
}

/* After the event device, whose register it sets. */
static const StateTable vmgenid_state = {
    .name = "vmgenid", .version = 1, .minimum_version = 1, .priority = -10, .post_load = vmgenid_post_load,
    .fields = (const StateField[]) { STATE_F_UINT64(VmGenId, address), STATE_F_END },
};

static const ObjectProperty vmgenid_properties[] = {
    { .name = "guid", .kind = &prop_kind_string, .offset = offsetof(VmGenId, guid), .def.s = "auto",
      .description = "UUID (aka GUID) or \"auto\" for random value (default)" },
    PROP_END
};

static const DeviceOps vmgenid_ops = {
    .realize = vmgenid_realize, .reset = vmgenid_reset, .state = &vmgenid_state, .user_creatable = true,
};

OBJECT_TYPE_STATIC(vmgenid_type) = {
    .name = "vmgenid", .parent = &device_type, .instance_size = sizeof(VmGenId),
    .description = "VM generation ID", .properties = vmgenid_properties, .instance_finalize = vmgenid_finalize,
    .impls = TYPE_IMPLS({ &device_type, &vmgenid_ops }),
};

GuidInfo *qmp_query_vm_generation_id(Error **errp)
{
    GuidInfo *info;

    if (!the_vmgenid) {
        error_setg(errp, "VM Generation ID device not found");
        return NULL;
    }
    info = g_new0(GuidInfo, 1);
    info->guid = g_strdup(the_vmgenid->text);
    return info;
}
