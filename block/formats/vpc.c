/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VHD ("Virtual Hard Disk Image Format Specification", version 1.0), read-only, for
 * import: fixed and dynamic disks; differencing ones are refused. Node's loop;
 * opening on the main thread. The image is not trusted.
 */
#include "util/osdep.h"
#include "sparse.h"
#include "block/options.h"
#include "util/bswap.h"

#define VHD_FOOTER 512
#define VHD_DYNAMIC_HEADER 1024
#define VHD_NONE 0xffffffffu
#define VHD_CHS_MAX_SECTORS (UINT64_C(65535) * 16 * 255)
#define VHD_MAX_SECTORS (UINT64_C(0xff000000))

enum { VHD_FIXED = 2, VHD_DYNAMIC = 3, VHD_DIFFERENCING = 4 };
/* Offsets in the footer. */
enum {
    VHD_F_DATA_OFFSET = 16, VHD_F_CREATOR = 28, VHD_F_CURRENT_SIZE = 48, VHD_F_CYLINDERS = 56,
    VHD_F_HEADS = 58, VHD_F_SECTORS = 59, VHD_F_TYPE = 60, VHD_F_CHECKSUM = 64,
};
/* And in the header of dynamic disks. */
enum { VHD_D_TABLE_OFFSET = 16, VHD_D_ENTRIES = 28, VHD_D_BLOCK_SIZE = 32 };

typedef struct VpcState {
    SparseState sparse;
    uint32_t type, entries, bitmap_bytes;
    uint8_t *bat;
} VpcState;

static int coroutine_fn vpc_lookup(BlockNode *bn, uint64_t index, SparseUnit *unit)
{
    VpcState *s = bn->opaque;
    uint32_t entry;

    if (s->type == VHD_FIXED) {
        unit->may_be_hole = true;
        return sparse_data(bn, index * s->sparse.unit_size, unit);
    }
    entry = index < s->entries ? load_be32(s->bat + 4 * index) : VHD_NONE;
    if (entry == VHD_NONE) {
        unit->kind = SPARSE_NONE;
        return 0;
    }
    /* A bitmap of sectors lies before the data; without a parent it says nothing that matters. */
    return sparse_data(bn, (int64_t)entry * 512 + s->bitmap_bytes, unit);
}

/*
 * The size: old programs mean the geometry, those that are known to be newer the field for it, and
 * the geometry's largest value says nothing at all.
 */
static uint64_t disk_bytes(const uint8_t *f)
{
    static const char *const exact[] = { "win ", "d2v ", "qem2", "tap", "CTXS", "wa\0" };
    uint64_t sectors = (uint64_t)load_be16(f + VHD_F_CYLINDERS) * f[VHD_F_HEADS] * f[VHD_F_SECTORS];
    size_t i;

    for (i = 0; i < ARRAY_SIZE(exact); i++) {
        if (!memcmp(f + VHD_F_CREATOR, exact[i], 4)) {
            return load_be64(f + VHD_F_CURRENT_SIZE);
        }
    }
    return sectors == VHD_CHS_MAX_SECTORS ? load_be64(f + VHD_F_CURRENT_SIZE) : sectors * 512;
}

static bool open_dynamic(BlockNode *bn, const uint8_t *footer, uint64_t disk, Error **errp)
{
    VpcState *s = bn->opaque;
    uint64_t at = load_be64(footer + VHD_F_DATA_OFFSET), table;
    g_autofree uint8_t *h = at > INT64_MAX ? NULL :
        sparse_read_table(bn, at, VHD_DYNAMIC_HEADER, VHD_DYNAMIC_HEADER, "header", errp);
    uint32_t block;

    if (!h) {
        if (at > INT64_MAX) {
            error_setg(errp, "vpc: header lies outside the file");
        }
        return false;
    }
    if (memcmp(h, "cxsparse", 8)) {
        error_setg(errp, "invalid VPC image: no header of a dynamic disk");
        return false;
    }
    block = load_be32(h + VHD_D_BLOCK_SIZE);
    if (!sparse_init(bn, block, disk, errp)) {
        return false;
    }
    s->entries = load_be32(h + VHD_D_ENTRIES);
    table = load_be64(h + VHD_D_TABLE_OFFSET);
    if (disk > (uint64_t)s->entries * block || table > INT64_MAX) {
        error_setg(errp, "Page Allocation Table too small");
        return false;
    }
    s->bitmap_bytes = ROUND_UP(block / 512 / 8, 512);
    s->bat = sparse_read_table(bn, table, (uint64_t)s->entries * 4, 512 * MIB, "allocation table",
                               errp);
    return s->bat != NULL;
}

/* The footer, or its copy at the start of a dynamic disk. */
static uint8_t *read_footer(BlockNode *bn, Error **errp)
{
    int64_t len = bn->file->node->total_bytes;
    uint8_t *f = sparse_read_table(bn, 0, VHD_FOOTER, VHD_FOOTER, "footer", errp);

    if (f && memcmp(f, "conectix", 8)) {
        g_free(f);
        f = sparse_read_table(bn, len - VHD_FOOTER, VHD_FOOTER, VHD_FOOTER, "footer", errp);
        if (f && (memcmp(f, "conectix", 8) || load_be32(f + VHD_F_TYPE) != VHD_FIXED)) {
            error_setg(errp, "invalid VPC image");
            g_clear_pointer(&f, g_free);
        }
    }
    return f;
}

static bool vpc_open(BlockNode *bn, JsonValue *options, Error **errp)
{
    VpcState *s = bn->opaque;
    g_autofree uint8_t *f = NULL;
    g_autofree char *calc = NULL;
    uint64_t disk;

    if (!block_option_take_string(options, "force_size_calc", &calc, errp) ||
        !sparse_open_file(bn, options, errp) || !(f = read_footer(bn, errp))) {
        return false;
    }
    if (calc && strcmp(calc, "current_size") && strcmp(calc, "chs")) {
        error_setg(errp, "Invalid size calculation algorithm");
        return false;
    }
    disk = !calc ? disk_bytes(f) :
           *calc == 'c' && calc[1] == 'u' ? load_be64(f + VHD_F_CURRENT_SIZE) :
           (uint64_t)load_be16(f + VHD_F_CYLINDERS) * f[VHD_F_HEADS] * f[VHD_F_SECTORS] * 512;
    s->type = load_be32(f + VHD_F_TYPE);
    s->sparse.lookup = vpc_lookup;
    s->sparse.none_is_zero = true;
    if (disk / 512 > VHD_MAX_SECTORS) {
        error_setg(errp, "vpc: disk size %" PRIu64 " is too large", disk);
        return false;
    }
    if (s->type == VHD_DIFFERENCING) {
        error_setg(errp, "Differencing VHD images are not supported");
        return false;
    }
    if (s->type == VHD_FIXED) {
        if (disk > (uint64_t)bn->file->node->total_bytes - VHD_FOOTER) {
            error_setg(errp, "vpc: the file is shorter than the disk");
            return false;
        }
        return sparse_init(bn, MIB, disk, errp);
    }
    return open_dynamic(bn, f, disk, errp);
}

static void vpc_close(BlockNode *bn)
{
    VpcState *s = bn->opaque;

    g_free(s->bat);
    sparse_close(bn);
}

static int vpc_info(BlockNode *bn, BlockImageInfo *info)
{
    VpcState *s = bn->opaque;

    sparse_image_info(bn, info);
    if (s->type == VHD_FIXED) {
        info->cluster_size = 0;
    }
    return 0;
}

static const char *const vpc_strong_options[] = { "force_size_calc", NULL };

BLOCK_DRIVER(vpc_driver) = {
    .name = "vpc",
    .instance_size = sizeof(VpcState),
    SPARSE_DRIVER_MEMBERS,
    .open = vpc_open,
    .close = vpc_close,
    .image_info = vpc_info,
    .strong_options = vpc_strong_options,
};
