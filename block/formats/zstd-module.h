/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The functions of the module "block-zstd", which carries libzstd. Any thread.
 */
#ifndef BLOCK_FORMATS_ZSTD_MODULE_H
#define BLOCK_FORMATS_ZSTD_MODULE_H

#include <stddef.h>

typedef struct ZstdModuleOps {
    /* Bytes written, -ENOMEM: it takes more than @out_size, or -EIO. */
    int (*compress)(void *out, size_t out_size, const void *in, size_t in_size);
    /* 0: @out is filled by the frame at the beginning of @in; or -EIO. */
    int (*decompress)(void *out, size_t out_size, const void *in, size_t in_size);
} ZstdModuleOps;

#endif
