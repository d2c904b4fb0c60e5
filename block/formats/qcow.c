/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qcow version 1, read-only, for import: two levels of tables, compressed
 * clusters, a backing file. Encrypted images are refused. Node's loop; opening on
 * the main thread. The image is not trusted.
 */
#include "util/osdep.h"
#include "two-level.h"
#include "util/bswap.h"

#define QCOW_MAGIC 0x514649fbu
#define QCOW_HEADER 48
#define QCOW_COMPRESSED (UINT64_C(1) << 63)

typedef struct QcowState {
    SparseState sparse;
    TwoLevel tables;
    unsigned cluster_bits;
} QcowState;

static int coroutine_fn qcow_lookup(BlockNode *bn, uint64_t index, SparseUnit *unit)
{
    QcowState *s = bn->opaque;
    unsigned shift = 63 - s->cluster_bits;
    uint64_t entry;
    int ret = two_level_get(bn, &s->tables, index, &entry);

    if (ret < 0 || entry == 0) {
        return ret;
    }
    if (entry & QCOW_COMPRESSED) {
        unit->packed_bytes = entry >> shift & (s->sparse.unit_size - 1);
        ret = sparse_data(bn, entry & ((UINT64_C(1) << shift) - 1), unit);
        unit->kind = SPARSE_PACKED;
        return ret;
    }
    return entry > INT64_MAX ? -EIO : sparse_data(bn, entry, unit);
}

static int qcow_unpack(const uint8_t *in, size_t in_bytes, uint8_t *out, size_t out_bytes)
{
    return sparse_inflate(in, in_bytes, out, out_bytes, -12);
}

static bool check_header(const uint8_t *h, Error **errp)
{
    if (load_be32(h) != QCOW_MAGIC) {
        error_setg(errp, "Image not in qcow format");
        return false;
    }
    if (load_be32(h + 4) != 1) {
        error_setg(errp, "qcow (v%" PRIu32 ") does not support qcow version %" PRIu32, 1,
                   load_be32(h + 4));
        if (load_be32(h + 4) == 2 || load_be32(h + 4) == 3) {
            error_append_hint(errp, "Try the 'qcow2' driver instead.\n");
        }
        return false;
    }
    if (load_be64(h + 24) <= 1) {
        error_setg(errp, "Image size is too small (must be at least 2 bytes)");
        return false;
    }
    if (h[32] < 9 || h[32] > 16) {
        error_setg(errp, "Cluster size must be between 512 and 64k");
        return false;
    }
    /* The specification's limit; it also bounds the tables. */
    if (h[33] < 9 - 3 || h[33] > 16 - 3) {
        error_setg(errp, "L2 table size must be between 512 and 64k");
        return false;
    }
    if (load_be32(h + 36)) {
        error_setg(errp, "Encrypted qcow images are not supported");
        return false;
    }
    return true;
}

static bool open_backing_name(BlockNode *bn, const uint8_t *h, Error **errp)
{
    uint64_t offset = load_be64(h + 8);
    uint32_t len = load_be32(h + 16);

    if (!offset) {
        return true;
    }
    if (len > 1023) {
        error_setg(errp, "Backing file name too long");
        return false;
    }
    bn->backing_file = offset > INT64_MAX ? NULL : sparse_read_name(bn, offset, len, errp);
    if (offset > INT64_MAX) {
        error_setg(errp, "Backing file name lies outside the file");
    }
    return bn->backing_file != NULL;
}

static bool qcow_open(BlockNode *bn, JsonValue *options, Error **errp)
{
    QcowState *s = bn->opaque;
    g_autofree uint8_t *h = NULL;
    uint64_t bytes, span;

    if (!sparse_open_file(bn, options, errp) ||
        !(h = sparse_read_table(bn, 0, QCOW_HEADER, QCOW_HEADER, "header", errp)) ||
        !check_header(h, errp)) {
        return false;
    }
    bytes = load_be64(h + 24);
    s->cluster_bits = h[32];
    s->sparse.lookup = qcow_lookup;
    s->sparse.unpack = qcow_unpack;
    s->tables.big_endian = true;
    span = UINT64_C(1) << (h[32] + h[33]);      /* bytes that one L2 table covers */
    if (sparse_init(bn, 1u << h[32], bytes, errp) &&
        two_level_init(bn, &s->tables, load_be64(h + 40), DIV_ROUND_UP(bytes, span),
                       UINT64_C(1) << h[33], errp) &&
        open_backing_name(bn, h, errp)) {
        return true;
    }
    two_level_free(&s->tables);
    return false;
}

static void qcow_close(BlockNode *bn)
{
    QcowState *s = bn->opaque;

    two_level_free(&s->tables);
    sparse_close(bn);
}

BLOCK_DRIVER(qcow_driver) = {
    .name = "qcow",
    .instance_size = sizeof(QcowState),
    SPARSE_DRIVER_MEMBERS,
    .supports_backing = true,
    .open = qcow_open,
    .close = qcow_close,
    .image_info = sparse_image_info,
};
