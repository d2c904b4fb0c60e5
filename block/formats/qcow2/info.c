/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What tools and management are told about a qcow2 image. Main thread.
 */
#include "util/osdep.h"
#include "qcow2.h"
#include "qcow2-crypto.h"

int qcow2_image_info(BlockNode *bn, BlockImageInfo *info)
{
    Qcow2State *s = qcow2_state(bn);

    info->cluster_size = s->cluster_size;
    info->subcluster_size = s->subcluster_size;
    info->vm_state_offset = qcow2_vm_state_offset(s);
    info->is_dirty = s->header.incompat & QCOW2_INCOMPAT_DIRTY;
    info->unallocated_is_zero = true;
    return 0;
}

typedef struct InfoWork {
    BlockNode *bn;
    Qcow2BitmapInfoList *bitmaps;
    Error *err;
} InfoWork;

static void coroutine_fn bitmaps_entry(void *opaque)
{
    InfoWork *w = opaque;

    w->bitmaps = qcow2_bitmap_info(w->bn, &w->err);
}

ImageInfoSpecific *qcow2_specific_info(BlockNode *bn, Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    ImageInfoSpecific *info;
    ImageInfoSpecificQCow2 *q;
    InfoWork w = { .bn = bn };

    if (s->header.version >= 3) {
        block_run_coroutine(bn, bitmaps_entry, &w);
        if (w.err) {
            error_propagate(errp, w.err);
            return NULL;
        }
    }
    info = g_new0(ImageInfoSpecific, 1);
    info->type = IMAGE_INFO_SPECIFIC_KIND_QCOW2;
    q = info->u.qcow2.data = g_new0(ImageInfoSpecificQCow2, 1);
    q->refcount_bits = 1 << s->refcount_order;
    q->compression_type = s->header.compression;
    q->encrypt = qcow2_crypto_info(bn);
    if (s->header.version < 3) {
        q->compat = g_strdup("0.10");
        return info;
    }
    q->compat = g_strdup("1.1");
    q->has_lazy_refcounts = true;
    q->lazy_refcounts = s->header.compat & QCOW2_COMPAT_LAZY_REFCOUNTS;
    q->has_corrupt = true;
    q->corrupt = s->header.incompat & QCOW2_INCOMPAT_CORRUPT;
    q->has_extended_l2 = true;
    q->extended_l2 = qcow2_has_subclusters(s);
    q->bitmaps = w.bitmaps;
    if (qcow2_has_data_file(s)) {
        q->data_file = g_strdup(s->data_file_name);
        q->has_data_file_raw = true;
        q->data_file_raw = s->header.autoclear & QCOW2_AUTOCLEAR_DATA_FILE_RAW;
    }
    return info;
}
