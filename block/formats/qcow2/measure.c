/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much space a qcow2 image takes, before it is made. Main thread.
 */
#include "util/osdep.h"
#include "create.h"
#include "qcow2-crypto.h"
#include "crypto/block.h"

uint64_t qcow2_prealloc_size(uint64_t size, uint32_t cluster_size, unsigned refcount_order,
                             bool extended_l2, bool data_inside)
{
    uint64_t entry = extended_l2 ? 16 : 8, meta, l2, clusters;
    uint64_t aligned = ROUND_UP(size, (uint64_t)cluster_size);

    /* Header, then L2 tables and the L1 table, then what counts all of it. */
    meta = cluster_size;
    l2 = ROUND_UP(aligned / cluster_size, cluster_size / entry);
    meta += l2 * entry;
    l2 = ROUND_UP(l2 * entry / cluster_size, cluster_size / 8);
    meta += l2 * 8;
    clusters = (meta + (data_inside ? aligned : 0)) / cluster_size;
    meta += qcow2_refcount_metadata_size(clusters, cluster_size, refcount_order, false, NULL);
    return meta + (data_inside ? aligned : 0);
}

/* Bytes of clusters that hold data, in the whole chain. */
typedef struct DataCount {
    BlockNode *in;
    uint64_t cluster_size;
    int64_t sum;                /* or -errno */
} DataCount;

static void coroutine_fn count_data(void *opaque)
{
    DataCount *c = opaque;
    int64_t offset = 0, size = c->in->total_bytes, pnum = 0, end;

    while (offset < size) {
        int status = block_co_status_above(c->in, NULL, true, offset, size - offset, &pnum, NULL,
                                           NULL, NULL);

        if (status < 0) {
            c->sum = status;
            return;
        }
        if (pnum == 0) {
            return;
        }
        if (status & BLOCK_STATUS_DATA && !(status & BLOCK_STATUS_ZERO)) {
            /* Whole clusters around it. */
            end = MIN((int64_t)ROUND_UP((uint64_t)(offset + pnum), c->cluster_size), size);
            c->sum += end - (offset & ~(int64_t)(c->cluster_size - 1));
            pnum = end - offset;
        }
        offset += pnum;
    }
}

static int64_t data_bytes(BlockNode *in, uint64_t cluster_size)
{
    DataCount c = { .in = in, .cluster_size = cluster_size };

    block_run_coroutine(in, count_data, &c);
    return c.sum < 0 ? c.sum : (int64_t)ROUND_UP((uint64_t)c.sum, cluster_size);
}

/* Options that change nothing here, but for whether there is a backing file. */
static bool take_others(JsonValue *o, bool *backing, Error **errp)
{
    static const char *const texts[] = { "data_file", "compression_type", "backing_fmt",
                                         "backing_file" };
    bool ignored, ok = block_option_take_bool(o, "data_file_raw", &ignored, errp) &&
                       block_option_take_bool(o, "lazy_refcounts", &ignored, errp);
    size_t i;

    for (i = 0; i < ARRAY_SIZE(texts) && ok; i++) {
        g_autofree char *text = NULL;

        ok = block_option_take_string(o, texts[i], &text, errp);
        *backing = text != NULL;
    }
    return ok;
}

static bool take(JsonValue *o, Qcow2CreateParams *p, uint64_t *luks, bool *backing,
                 Error **errp)
{
    g_autofree char *compat = NULL, *prealloc = NULL;
    QCryptoBlockCreateOptions *encrypt = NULL;
    uint64_t bits = 16;
    bool ok = true;

    if (!take_others(o, backing, errp) ||
        !block_option_take_size(o, "cluster_size", &p->cluster_size, NULL, errp) ||
        !block_option_take_bool(o, "extended_l2", &p->extended_l2, errp) ||
        !block_option_take_string(o, "compat", &compat, errp) ||
        !block_option_take_size(o, "refcount_bits", &bits, NULL, errp) ||
        !block_option_take_string(o, "preallocation", &prealloc, errp) ||
        !block_option_take_size(o, "size", &p->size, NULL, errp) ||
        !qcow2_crypto_take_create(o, &encrypt, errp)) {
        return false;
    }
    p->version = compat && !strcmp(compat, "0.10") ? 2 : 3;
    if (compat && *compat && p->version == 3 && strcmp(compat, "1.1")) {
        error_setg(errp, "Invalid compatibility level: '%s'", compat);
        ok = false;
    }
    p->refcount_bits = MIN(bits, 1u << 30);
    if (ok && prealloc) {
        int v = qapi_enum_parse(&qapi_enum_PreallocMode, prealloc, "preallocation", errp);

        ok = v >= 0;
        p->preallocation = MAX(v, 0);
    }
    if (ok && encrypt && encrypt->format == Q_CRYPTO_BLOCK_FORMAT_LUKS) {
        ok = crypto_block_header_len(encrypt, "encrypt.", luks, errp);
    }
    qapi_free_QCryptoBlockCreateOptions(encrypt);
    return ok && qcow2_valid_cluster_size(p->cluster_size, p->extended_l2, errp) &&
           qcow2_valid_refcount_bits(p->refcount_bits, p->version, errp);
}

BlockMeasureInfo *qcow2_measure(JsonValue *options, BlockNode *in, Error **errp)
{
    Qcow2CreateParams p = { .cluster_size = 65536 };
    uint64_t luks = 0, full, cluster_size, entries;
    BlockMeasureInfo *info;
    bool backing = false;
    int64_t required;

    if (!take(options, &p, &luks, &backing, errp)) {
        return NULL;
    }
    cluster_size = p.cluster_size;
    luks = ROUND_UP(luks, cluster_size);
    if (in) {
        p.size = in->total_bytes;
    }
    p.size = ROUND_UP(p.size, 512);
    entries = DIV_ROUND_UP(DIV_ROUND_UP(p.size, cluster_size),
                           cluster_size / (p.extended_l2 ? 16 : 8));
    if (entries > QCOW2_MAX_L1_BYTES / 8) {
        error_setg(errp, "The image size is too large (try using a larger cluster size)");
        return NULL;
    }
    required = ROUND_UP(p.size, cluster_size);
    /* All of it, when it is preallocated, or hides what a backing file has. */
    if (p.preallocation != PREALLOC_MODE_FULL && p.preallocation != PREALLOC_MODE_FALLOC &&
        !(in && backing)) {
        required = in ? data_bytes(in, cluster_size) : 0;
    }
    if (required < 0) {
        error_setg_errno(errp, -required, "Unable to get block status");
        return NULL;
    }
    full = qcow2_prealloc_size(ROUND_UP(p.size, cluster_size), cluster_size,
                               __builtin_ctz(p.refcount_bits), p.extended_l2, true) + luks;
    info = g_new0(BlockMeasureInfo, 1);
    info->fully_allocated = full;
    info->required = full - ROUND_UP(p.size, cluster_size) + required;
    if (in && in->drv->co_can_store_bitmap && qcow2_state(in)->header.version >= 3 &&
        p.version >= 3) {
        info->has_bitmaps = true;
        info->bitmaps = qcow2_measure_bitmaps(in, cluster_size);
    }
    return info;
}
