/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The module "block-zstd": one image cluster to or from a zstd frame. A module
 * of its own, so that only images that are compressed this way load libzstd.
 *
 * Any thread. What is decoded comes from an image; the output buffer is the limit.
 */
#include "util/osdep.h"
#include <zstd.h>
#include "block/formats/zstd-module.h"
#include "util/module.h"

static int zstd_compress(void *out, size_t out_size, const void *in, size_t in_size)
{
    ZSTD_CCtx *c = ZSTD_createCCtx();
    ZSTD_outBuffer o = { .dst = out, .size = out_size };
    ZSTD_inBuffer i = { .src = in, .size = in_size };
    size_t left;

    if (!c) {
        return -EIO;
    }
    left = ZSTD_compressStream2(c, &o, &i, ZSTD_e_end);
    ZSTD_freeCCtx(c);
    if (ZSTD_isError(left)) {
        return -EIO;
    }
    return left ? -ENOMEM : (int)o.pos;
}

static int zstd_decompress(void *out, size_t out_size, const void *in, size_t in_size)
{
    ZSTD_DCtx *d = ZSTD_createDCtx();
    ZSTD_outBuffer o = { .dst = out, .size = out_size };
    ZSTD_inBuffer i = { .src = in, .size = in_size };
    int ret = d ? 0 : -EIO;

    /* The frame may end before the input does. */
    while (ret == 0 && o.pos < o.size) {
        size_t in_before = i.pos, out_before = o.pos;
        size_t left = ZSTD_decompressStream(d, &o, &i);

        if (ZSTD_isError(left) || (i.pos == in_before && o.pos == out_before)) {
            ret = -EIO;
        }
    }
    ZSTD_freeDCtx(d);
    return ret;
}

static const ZstdModuleOps ops = {
    .compress = zstd_compress,
    .decompress = zstd_decompress,
};

NEMU_MODULE("block-zstd", &ops);
