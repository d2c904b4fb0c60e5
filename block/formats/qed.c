/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QED, read-only, for import: two levels of tables, zero clusters, a backing
 * file. Node's loop; opening on the main thread. The image is not trusted.
 */
#include "util/osdep.h"
#include "two-level.h"
#include "util/bswap.h"

#define QED_HEADER 64
#define QED_F_BACKING 1
#define QED_F_NEED_CHECK 2
#define QED_F_NO_PROBE 4
#define QED_ZERO_CLUSTER 1

typedef struct QedState {
    SparseState sparse;
    TwoLevel tables;
} QedState;

static int coroutine_fn qed_lookup(BlockNode *bn, uint64_t index, SparseUnit *unit)
{
    QedState *s = bn->opaque;
    uint64_t entry;
    int ret = two_level_get(bn, &s->tables, index, &entry);

    if (ret < 0 || entry == 0) {
        return ret;
    }
    if (entry == QED_ZERO_CLUSTER) {
        unit->kind = SPARSE_ZERO;
        return 0;
    }
    return entry > INT64_MAX || entry % s->sparse.unit_size ? -EIO : sparse_data(bn, entry, unit);
}

static bool open_backing_name(BlockNode *bn, const uint8_t *h, Error **errp)
{
    uint64_t features = load_le64(h + 16);

    if (!(features & QED_F_BACKING)) {
        return true;
    }
    bn->backing_file = sparse_read_name(bn, load_le32(h + 56), load_le32(h + 60), errp);
    if (!bn->backing_file) {
        return false;
    }
    if (features & QED_F_NO_PROBE) {
        bn->backing_format = g_strdup("raw");
    }
    return true;
}

static bool qed_open(BlockNode *bn, JsonValue *options, Error **errp)
{
    QedState *s = bn->opaque;
    g_autofree uint8_t *h = NULL;
    uint64_t bytes, entries, span;
    uint32_t cluster, table;

    if (!sparse_open_file(bn, options, errp) ||
        !(h = sparse_read_table(bn, 0, QED_HEADER, QED_HEADER, "header", errp))) {
        return false;
    }
    if (memcmp(h, "QED", 4)) {
        error_setg(errp, "Image not in QED format");
        return false;
    }
    if (load_le64(h + 16) & ~(uint64_t)(QED_F_BACKING | QED_F_NEED_CHECK | QED_F_NO_PROBE)) {
        error_setg(errp, "Unsupported QED features: %" PRIx64,
                   load_le64(h + 16) & ~(uint64_t)(QED_F_BACKING | QED_F_NEED_CHECK | QED_F_NO_PROBE));
        return false;
    }
    cluster = load_le32(h + 4);
    table = load_le32(h + 8);
    bytes = load_le64(h + 48);
    if (cluster < 4096 || table < 1 || table > 16 || !IS_POWER_OF_2(table)) {
        error_setg(errp, "QED cluster size or table size is invalid");
        return false;
    }
    s->sparse.lookup = qed_lookup;
    if (!sparse_init(bn, cluster, bytes, errp)) {
        return false;
    }
    entries = (uint64_t)table * cluster / 8;
    span = entries * cluster;
    if (bytes / span > entries) {
        error_setg(errp, "QED image size is invalid");
        return false;
    }
    if (two_level_init(bn, &s->tables, load_le64(h + 40), DIV_ROUND_UP(bytes, span), entries, errp) &&
        open_backing_name(bn, h, errp)) {
        return true;
    }
    two_level_free(&s->tables);
    return false;
}

static void qed_close(BlockNode *bn)
{
    QedState *s = bn->opaque;

    two_level_free(&s->tables);
    sparse_close(bn);
}

BLOCK_DRIVER(qed_driver) = {
    .name = "qed",
    .instance_size = sizeof(QedState),
    SPARSE_DRIVER_MEMBERS,
    .supports_backing = true,
    .open = qed_open,
    .close = qed_close,
    .image_info = sparse_image_info,
};
