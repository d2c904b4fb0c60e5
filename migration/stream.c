/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stream that state fields are written to and read from: a buffer in
 * memory, integers little-endian. A reader that runs past the end, or meets a
 * value that a field refuses, fails once and gives zeroes from then on.
 *
 * One thread per stream. What is read is not trusted.
 */
#include "util/osdep.h"
#include "migration/state.h"
#include "migration/stream-internal.h"
#include "util/bswap.h"

StateStream *state_writer_new(void)
{
    StateStream *s = g_new0(StateStream, 1);

    s->out = g_byte_array_new();
    return s;
}

StateStream *state_reader_new(const void *data, size_t len)
{
    StateStream *s = g_new0(StateStream, 1);

    s->in = data;
    s->len = len;
    return s;
}

const uint8_t *state_writer_data(const StateStream *s, size_t *len)
{
    *len = s->out->len;
    return s->out->data;
}

const char *state_stream_failure(const StateStream *s)
{
    return s->failure;
}

void state_stream_free(StateStream *s)
{
    if (s->out) {
        g_byte_array_unref(s->out);
    }
    g_free(s->failure);
    g_free(s);
}

bool state_stream_left(const StateStream *s)
{
    return s->pos < s->len;
}

void state_put(StateStream *s, const void *buf, size_t len)
{
    g_byte_array_append(s->out, buf, len);
}

void state_get(StateStream *s, void *buf, size_t len)
{
    if (!s->failure && len > s->len - s->pos) {
        state_fail(s, "the data ends early");
    }
    if (s->failure) {
        memset(buf, 0, len);
        return;
    }
    memcpy(buf, s->in + s->pos, len);
    s->pos += len;
}

#define STREAM_INTEGER(suffix, type, bits)              \
    void state_put_##suffix(StateStream *s, type v)     \
    {                                                   \
        uint8_t buf[bits / 8];                          \
                                                        \
        store_le(buf, v, sizeof(buf));                  \
        state_put(s, buf, sizeof(buf));                 \
    }                                                   \
    type state_get_##suffix(StateStream *s)             \
    {                                                   \
        uint8_t buf[bits / 8];                          \
                                                        \
        state_get(s, buf, sizeof(buf));                 \
        return load_le(buf, sizeof(buf));               \
    }

STREAM_INTEGER(u8, uint8_t, 8)
STREAM_INTEGER(u16, uint16_t, 16)
STREAM_INTEGER(u32, uint32_t, 32)
STREAM_INTEGER(u64, uint64_t, 64)

bool state_ok(const StateStream *s)
{
    return !s->failure;
}

void state_fail(StateStream *s, const char *why, ...)
{
    va_list ap;

    if (s->failure) {
        return;
    }
    va_start(ap, why);
    s->failure = g_strdup_vprintf(why, ap);
    va_end(ap);
}

void state_fail_in(StateStream *s, const char *where)
{
    char *old = s->failure;

    s->failure = g_strdup_printf("%s: %s", where, old);
    g_free(old);
}

size_t state_length_begin(StateStream *s)
{
    state_put_u32(s, 0);
    return s->out->len;
}

void state_length_end(StateStream *s, size_t mark)
{
    store_le32(s->out->data + mark - 4, s->out->len - mark);
}

size_t state_limit_begin(StateStream *s)
{
    size_t outer = s->len;
    uint32_t len = state_get_u32(s);

    if (len > s->len - s->pos) {
        state_fail(s, "the data ends early");
        len = 0;
    }
    s->len = s->pos + len;
    return outer;
}

void state_limit_end(StateStream *s, size_t outer)
{
    if (!s->failure && s->pos != s->len) {
        state_fail(s, "%zu bytes more than expected", s->len - s->pos);
    }
    s->len = outer;
}
