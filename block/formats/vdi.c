/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VirtualBox disk images (VDI 1.1), read-only, for import: a header of 512
 * bytes and a map of blocks. Images with a parent are refused. Node's loop;
 * opening on the main thread. The image is not trusted.
 */
#include "util/osdep.h"
#include "sparse.h"
#include "util/bswap.h"

#define VDI_SIGNATURE 0xbeda107f
#define VDI_VERSION_1_1 0x00010001
#define VDI_TYPE_STATIC 2
#define VDI_MAX_BLOCKS 0x3fffffff
#define VDI_NONE 0xffffffffu
#define VDI_DISCARDED 0xfffffffeu

/* Offsets in the header. */
enum {
    VDI_H_SIGNATURE = 0x40, VDI_H_VERSION = 0x44, VDI_H_TYPE = 0x4c, VDI_H_MAP = 0x154,
    VDI_H_DATA = 0x158, VDI_H_SECTOR_SIZE = 0x168, VDI_H_DISK_SIZE = 0x170,
    VDI_H_BLOCK_SIZE = 0x178, VDI_H_BLOCK_EXTRA = 0x17c, VDI_H_BLOCKS = 0x180,
    VDI_H_UUID_LINK = 0x1a8, VDI_H_UUID_PARENT = 0x1b8,
};

typedef struct VdiState {
    SparseState sparse;
    uint32_t data_offset, blocks;
    uint8_t *map;
    bool is_static;
} VdiState;

static int coroutine_fn vdi_lookup(BlockNode *bn, uint64_t index, SparseUnit *unit)
{
    VdiState *s = bn->opaque;
    uint32_t entry = index < s->blocks ? load_le32(s->map + 4 * index) : VDI_NONE;

    if (entry == VDI_NONE || entry == VDI_DISCARDED) {
        unit->kind = SPARSE_NONE;
        return 0;
    }
    unit->may_be_hole = s->is_static;
    return sparse_data(bn, s->data_offset + (int64_t)entry * s->sparse.unit_size, unit);
}

static bool check_header(const uint8_t *h, Error **errp)
{
    static const uint8_t no_uuid[16];

    if (load_le32(h + VDI_H_SIGNATURE) != VDI_SIGNATURE) {
        error_setg(errp, "Image not in VDI format (bad signature %08" PRIx32 ")",
                   load_le32(h + VDI_H_SIGNATURE));
        return false;
    }
    if (load_le32(h + VDI_H_VERSION) != VDI_VERSION_1_1) {
        error_setg(errp, "unsupported VDI image (version %" PRIu32 ".%" PRIu32 ")",
                   load_le32(h + VDI_H_VERSION) >> 16, load_le32(h + VDI_H_VERSION) & 0xffff);
        return false;
    }
    if (load_le32(h + VDI_H_SECTOR_SIZE) != 512) {
        error_setg(errp, "unsupported VDI image (sector size %" PRIu32 " is not 512)",
                   load_le32(h + VDI_H_SECTOR_SIZE));
        return false;
    }
    if (load_le32(h + VDI_H_BLOCK_EXTRA) != 0) {
        error_setg(errp, "unsupported VDI image (blocks with extra data)");
        return false;
    }
    if (memcmp(h + VDI_H_UUID_LINK, no_uuid, 16) || memcmp(h + VDI_H_UUID_PARENT, no_uuid, 16)) {
        error_setg(errp, "unsupported VDI image (it has a parent)");
        return false;
    }
    return true;
}

static bool vdi_open(BlockNode *bn, JsonValue *options, Error **errp)
{
    VdiState *s = bn->opaque;
    g_autofree uint8_t *h = NULL;
    uint64_t disk;
    uint32_t block;

    if (!sparse_open_file(bn, options, errp) ||
        !(h = sparse_read_table(bn, 0, 512, 512, "header", errp)) || !check_header(h, errp)) {
        return false;
    }
    disk = ROUND_UP(load_le64(h + VDI_H_DISK_SIZE), 512);
    block = load_le32(h + VDI_H_BLOCK_SIZE);
    s->blocks = load_le32(h + VDI_H_BLOCKS);
    s->data_offset = load_le32(h + VDI_H_DATA);
    s->sparse.lookup = vdi_lookup;
    s->sparse.none_is_zero = true;
    s->is_static = load_le32(h + VDI_H_TYPE) == VDI_TYPE_STATIC;
    if (!sparse_init(bn, block, disk, errp)) {
        return false;
    }
    if (s->blocks > VDI_MAX_BLOCKS || disk > (uint64_t)s->blocks * block) {
        error_setg(errp, "unsupported VDI image (disk size %" PRIu64 ", image bitmap has room for %"
                   PRIu64 ")", disk, (uint64_t)s->blocks * block);
        return false;
    }
    s->map = sparse_read_table(bn, load_le32(h + VDI_H_MAP), (uint64_t)s->blocks * 4,
                               512 * MIB, "block map", errp);
    return s->map != NULL;
}

static void vdi_close(BlockNode *bn)
{
    VdiState *s = bn->opaque;

    g_free(s->map);
    sparse_close(bn);
}

BLOCK_DRIVER(vdi_driver) = {
    .name = "vdi",
    .instance_size = sizeof(VdiState),
    SPARSE_DRIVER_MEMBERS,
    .open = vdi_open,
    .close = vdi_close,
    .image_info = sparse_image_info,
};
