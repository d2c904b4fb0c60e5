/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parallels expanding disks (docs of the ploop project: "Parallels Expandable
 * Image File Format"), read-only, for import. Node's loop; opening on the main
 * thread. The image is not trusted.
 */
#include "util/osdep.h"
#include "sparse.h"
#include "util/bswap.h"

#define PARALLELS_HEADER 64
#define PARALLELS_VERSION 2
#define PARALLELS_MAX_BAT (INT32_MAX / 4)

typedef struct ParallelsState {
    SparseState sparse;
    uint32_t entries;
    uint32_t factor;            /* sectors of one step of an entry */
    uint8_t *bat;
} ParallelsState;

static int coroutine_fn parallels_lookup(BlockNode *bn, uint64_t index, SparseUnit *unit)
{
    ParallelsState *s = bn->opaque;
    uint32_t entry = index < s->entries ? load_le32(s->bat + 4 * index) : 0;

    if (!entry) {
        unit->kind = SPARSE_NONE;
        return 0;
    }
    return sparse_data(bn, (int64_t)entry * s->factor * 512, unit);
}

static bool parallels_open(BlockNode *bn, JsonValue *options, Error **errp)
{
    ParallelsState *s = bn->opaque;
    g_autofree uint8_t *h = NULL;
    uint32_t tracks;
    uint64_t sectors;

    if (!sparse_open_file(bn, options, errp) ||
        !(h = sparse_read_table(bn, 0, PARALLELS_HEADER, PARALLELS_HEADER, "header", errp))) {
        return false;
    }
    tracks = load_le32(h + 28);
    sectors = load_le64(h + 36);
    if (!memcmp(h, "WithoutFreeSpace", 16)) {
        s->factor = 1;
        sectors &= UINT32_MAX;
    } else if (!memcmp(h, "WithouFreSpacExt", 16)) {
        s->factor = tracks;
    } else {
        error_setg(errp, "Image not in Parallels format");
        return false;
    }
    if (load_le32(h + 16) != PARALLELS_VERSION) {
        error_setg(errp, "Unsupported Parallels version %" PRIu32, load_le32(h + 16));
        return false;
    }
    if (tracks == 0 || tracks > INT32_MAX / 513 || sectors > (uint64_t)BLOCK_MAX_LENGTH / 512) {
        error_setg(errp, "Invalid image: %s", tracks && sectors ? "too big" : "Zero sectors per track");
        return false;
    }
    s->entries = load_le32(h + 32);
    if (s->entries > PARALLELS_MAX_BAT) {
        error_setg(errp, "Catalog too large");
        return false;
    }
    s->sparse.lookup = parallels_lookup;
    if (!sparse_init(bn, tracks * 512, sectors * 512, errp)) {
        return false;
    }
    s->bat = sparse_read_table(bn, PARALLELS_HEADER, (uint64_t)s->entries * 4, 512 * MIB,
                               "allocation table", errp);
    return s->bat != NULL;
}

static void parallels_close(BlockNode *bn)
{
    ParallelsState *s = bn->opaque;

    g_free(s->bat);
    sparse_close(bn);
}

static int parallels_info(BlockNode *bn, BlockImageInfo *info)
{
    return -ENOTSUP;
}

BLOCK_DRIVER(parallels_driver) = {
    .name = "parallels",
    .instance_size = sizeof(ParallelsState),
    SPARSE_DRIVER_MEMBERS,
    .open = parallels_open,
    .close = parallels_close,
    .image_info = parallels_info,
    .supports_backing = true,
};
