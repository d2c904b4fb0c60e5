/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * null-co and null-aio: a device that forgets what is written and answers
 * reads at once, or after a set time. For benchmarks and tests. Runs on the
 * node's loop.
 */
#include "util/osdep.h"
#include "block/block.h"
#include "block/options.h"

typedef struct NullState {
    uint64_t size;
    uint64_t latency_ns;
    bool read_zeroes;
} NullState;

static bool null_open(BlockNode *bn, JsonValue *options, Error **errp)
{
    NullState *s = bn->opaque;

    s->size = GIB;
    if (!block_option_take_size(options, "size", &s->size, NULL, errp) ||
        !block_option_take_size(options, "latency-ns", &s->latency_ns, NULL, errp) ||
        !block_option_take_bool(options, "read-zeroes", &s->read_zeroes, errp)) {
        return false;
    }
    if (s->size > INT64_MAX) {
        error_setg(errp, "size is too large");
        return false;
    }
    if (s->latency_ns > INT64_MAX) {
        error_setg(errp, "latency-ns is invalid");
        return false;
    }
    bn->supported_write_flags = BLOCK_REQ_FUA;
    bn->supported_zero_flags = BLOCK_REQ_FUA | BLOCK_REQ_MAY_UNMAP | BLOCK_REQ_NO_FALLBACK;
    if (s->size == GIB && !s->read_zeroes) {
        bn->exact_filename = g_strdup_printf("%s://", bn->drv->name);
    }
    return true;
}

static bool null_parse_filename(const char *filename, JsonValue *options, Error **errp)
{
    const char *colon = strchr(filename, ':');

    if (!colon || strcmp(colon, "://")) {
        error_setg(errp, "The only allowed filename for this driver is '%s://'",
                   json_object_get_string(options, "driver"));
        return false;
    }
    return true;
}

static int64_t null_length(BlockNode *bn)
{
    NullState *s = bn->opaque;

    return s->size;
}

static int64_t null_allocated_size(BlockNode *bn)
{
    return 0;
}

static int coroutine_fn null_pause(BlockNode *bn)
{
    NullState *s = bn->opaque;

    if (s->latency_ns) {
        coroutine_sleep_ns(CLOCK_TYPE_REALTIME, s->latency_ns);
    }
    return 0;
}

static int coroutine_fn null_co_preadv(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                       size_t v_offset, unsigned flags)
{
    NullState *s = bn->opaque;

    if (s->read_zeroes) {
        iov_memset(v->iov, v->cnt, v_offset, 0, bytes);
    }
    return null_pause(bn);
}

static int coroutine_fn null_co_pwritev(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                        size_t v_offset, unsigned flags)
{
    return null_pause(bn);
}

static int coroutine_fn null_co_pwrite_zeroes(BlockNode *bn, int64_t offset, int64_t bytes,
                                              unsigned flags)
{
    return null_pause(bn);
}

static int coroutine_fn null_co_pdiscard(BlockNode *bn, int64_t offset, int64_t bytes)
{
    return null_pause(bn);
}

static int coroutine_fn null_co_block_status(BlockNode *bn, bool want_zero, int64_t offset,
                                             int64_t bytes, int64_t *pnum, int64_t *map,
                                             BlockNode **file)
{
    NullState *s = bn->opaque;

    *pnum = bytes;
    *map = offset;
    *file = bn;
    return s->read_zeroes ? BLOCK_STATUS_ZERO | BLOCK_STATUS_OFFSET_VALID : 0;
}

static const char *const null_strong_options[] = { "size", "read-zeroes", NULL };

#define NULL_DRIVER(ident, drv_name)                                        \
    BLOCK_DRIVER(ident) = {                                                 \
        .name = drv_name,                                                   \
        .protocol_prefix = drv_name,                                        \
        .instance_size = sizeof(NullState),                                 \
        .is_protocol = true,                                                \
        .open = null_open,                                                  \
        .parse_filename = null_parse_filename,                              \
        .length = null_length,                                              \
        .allocated_size = null_allocated_size,                              \
        .co_preadv = null_co_preadv,                                        \
        .co_pwritev = null_co_pwritev,                                      \
        .co_pwrite_zeroes = null_co_pwrite_zeroes,                          \
        .co_pdiscard = null_co_pdiscard,                                    \
        .co_flush_to_disk = null_pause,                                     \
        .co_block_status = null_co_block_status,                            \
        .strong_options = null_strong_options,                              \
    }

NULL_DRIVER(null_co_driver, "null-co");
NULL_DRIVER(null_aio_driver, "null-aio");
