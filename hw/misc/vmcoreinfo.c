/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vmcoreinfo: 16 bytes, little-endian: formats of host and guest (1: ELF note),
 * size and address of the note. All but the host's format is the guest's to
 * write; the note is read when a dump is made, and checked. Machine lock.
 */
#include "util/osdep.h"

#include <elf.h>
#include "hw/boot/fw-cfg.h"
#include "hw/core/machine.h"
#include "hw/misc/vmcoreinfo.h"
#include "util/bswap.h"

#define FILE_NAME "etc/vmcoreinfo"
#define NOTE_MAX (64 * KIB)
enum { FORMAT_ELF = 1, FILE_SIZE = 16, NAME_MAX_SIZE = 64 };

typedef struct VmCoreInfo {
    DeviceState dev;
    uint8_t bytes[FILE_SIZE];   /* as the guest wrote them */
} VmCoreInfo;

static VmCoreInfo *the_vmcoreinfo;

static void written(void *opaque, const uint8_t *data)
{
    memcpy(((VmCoreInfo *)opaque)->bytes, data, FILE_SIZE);
}

void vmcoreinfo_append_note(GByteArray *out)
{
    const uint8_t *b = the_vmcoreinfo ? the_vmcoreinfo->bytes : NULL;
    uint32_t size = b ? load_le32(b + 4) : 0;
    g_autofree uint8_t *note = NULL;
    uint64_t need;

    if (!b || load_le16(b + 2) != FORMAT_ELF || size < sizeof(Elf64_Nhdr) || size > NOTE_MAX) {
        return;
    }
    note = g_malloc0(ROUND_UP(size, 4));
    if (!guest_ram_read(&address_space_memory, load_le64(b + 8), note, size)) {
        return;
    }
    need = sizeof(Elf64_Nhdr) + ROUND_UP((uint64_t)load_le32(note), 4) + ROUND_UP((uint64_t)load_le32(note + 4), 4);
    if (load_le32(note) > NAME_MAX_SIZE || need > ROUND_UP(size, 4)) {
        warn_report("the guest's vmcoreinfo note is not well-formed and is left out of the dump");
        return;
    }
    g_byte_array_append(out, note, need);
}

static void set_initial(VmCoreInfo *s)
{
    memset(s->bytes, 0, FILE_SIZE);
    store_le16(s->bytes, FORMAT_ELF);
}

static bool vmcoreinfo_realize(DeviceState *dev, Error **errp)
{
    VmCoreInfo *s = (VmCoreInfo *)dev;
    Object *fw_cfg = object_child(machine_current(), "fw_cfg");

    if (the_vmcoreinfo) {
        error_setg(errp, "at most one vmcoreinfo device is permitted");
        return false;
    }
    if (!fw_cfg) {
        error_setg(errp, "vmcoreinfo device requires fw_cfg with DMA");
        return false;
    }
    set_initial(s);
    if (!fw_cfg_add_writable_file(FW_CFG(fw_cfg), FILE_NAME, s->bytes, FILE_SIZE, written, s, errp)) {
        return false;
    }
    the_vmcoreinfo = s;
    return true;
}

static void vmcoreinfo_reset(DeviceState *dev)
{
    set_initial((VmCoreInfo *)dev);
}

static void vmcoreinfo_finalize(Object *obj)
{
    if (the_vmcoreinfo == (VmCoreInfo *)obj) {
        the_vmcoreinfo = NULL;
    }
}

static const StateTable vmcoreinfo_state = {
    .name = "vmcoreinfo", .version = 1, .minimum_version = 1,
    .fields = (const StateField[]) { STATE_F_BYTES(VmCoreInfo, bytes), STATE_F_END },
};

static const DeviceOps vmcoreinfo_ops = {
    .realize = vmcoreinfo_realize, .reset = vmcoreinfo_reset, .state = &vmcoreinfo_state, .user_creatable = true,
};

OBJECT_TYPE_STATIC(vmcoreinfo_type) = {
    .name = "vmcoreinfo", .parent = &device_type, .instance_size = sizeof(VmCoreInfo),
    .description = "Where the guest's kernel keeps what dumps need", .instance_finalize = vmcoreinfo_finalize,
    .impls = TYPE_IMPLS({ &device_type, &vmcoreinfo_ops }),
};
