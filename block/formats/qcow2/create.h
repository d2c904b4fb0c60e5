/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a new qcow2 image is to be like, for create.c, amend.c and measure.c. */
#ifndef BLOCK_FORMATS_QCOW2_CREATE_H
#define BLOCK_FORMATS_QCOW2_CREATE_H

#include "qcow2.h"

typedef struct Qcow2CreateParams {
    uint64_t size, cluster_size;
    uint32_t version, refcount_bits;
    bool extended_l2, lazy_refcounts, data_file_raw;
    const void *data_file;      /* there is one; only compared with NULL */
    uint8_t compression;
    PreallocMode preallocation;
    const char *backing_file, *backing_fmt, *data_file_name;
    const QCryptoBlockCreateOptions *encrypt;
} Qcow2CreateParams;

int coroutine_fn qcow2_create_image(const Qcow2CreateParams *p, BlockNode *file,
                                    BlockNode *data_file, Error **errp);
/* Run @fn on the main thread, outside coroutines, and wait for it. */
void coroutine_fn qcow2_co_on_main(void (*fn)(void *opaque), void *opaque);

#endif
