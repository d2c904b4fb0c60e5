/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The AML writer: ACPI 6.4, chapter 20 (encoding) and section 6.4 (resource
 * descriptors). It works on a caller's buffer, trusts its caller, and reads
 * nothing that the guest wrote.
 */
#include "util/osdep.h"

#include "hw/acpi/aml.h"
#include "util/bswap.h"

enum {
    OP_ZERO = 0x00, OP_ONE = 0x01, OP_NAME = 0x08, OP_BYTE = 0x0a, OP_WORD = 0x0b,
    OP_DWORD = 0x0c, OP_STRING = 0x0d, OP_QWORD = 0x0e, OP_SCOPE = 0x10, OP_BUFFER = 0x11,
    OP_PACKAGE = 0x12, OP_METHOD = 0x14, OP_DUAL_NAME = 0x2e, OP_MULTI_NAME = 0x2f,
    OP_EXT = 0x5b, OP_LOCAL0 = 0x60, OP_ARG0 = 0x68, OP_IF = 0xa0, OP_ELSE = 0xa1,
    OP_WHILE = 0xa2, OP_ONES = 0xff,
    /* After OP_EXT. */
    EXT_MUTEX = 0x01, EXT_ACQUIRE = 0x23, EXT_RELEASE = 0x27, EXT_REGION = 0x80,
    EXT_FIELD = 0x81, EXT_DEVICE = 0x82,
};

/* Resource descriptor tags. */
enum {
    RES_IO = 0x47, RES_END = 0x79, RES_MEMORY32_FIXED = 0x86, RES_DWORD_SPACE = 0x87,
    RES_WORD_SPACE = 0x88, RES_INTERRUPT = 0x89, RES_QWORD_SPACE = 0x8a,
};

/* Address space descriptors: types; flags "producer, positive decode, both ends fixed". */
enum { SPACE_MEMORY = 0, SPACE_IO = 1, SPACE_BUS = 2, SPACE_FIXED_PRODUCER = 0x0c };

static void put(Aml *a, const void *data, size_t len)
{
    g_byte_array_append(a->code, data, len);
}

static void put8(Aml *a, uint8_t v)
{
    put(a, &v, 1);
}

static void put_le(Aml *a, uint64_t v, unsigned size)
{
    uint8_t b[8];
    store_le64(b, v);
    put(a, b, size);
}

void aml_init(Aml *a, GByteArray *code)
{
    *a = (Aml){ .code = code };
}

/* ---- package lengths ---- */

/*
 * The length field of one to four bytes counts itself (20.2.4). One byte is
 * reserved at the start; the end moves the content when it needs more.
 */
static void begin(Aml *a)
{
    g_assert(a->depth < AML_MAX_DEPTH);
    a->open[a->depth].start = a->code->len;
    a->open[a->depth].resource_size = 0;
    a->depth++;
    put8(a, 0);
}

static unsigned pkg_length_encode(uint8_t out[4], uint32_t content)
{
    static const uint32_t limit[] = { 0x3f, 0xfff, 0xfffff, 0xfffffff };
    unsigned n = 1;
    while (content + n > limit[n - 1]) {
        n++;
        g_assert(n <= 4);
    }
    uint32_t len = content + n;
    if (n == 1) {
        out[0] = len;
        return 1;
    }
    out[0] = (n - 1) << 6 | (len & 0xf);
    for (unsigned i = 1; i < n; i++) {
        out[i] = len >> (8 * i - 4);
    }
    return n;
}

/* The end tag, and the buffer's size in place of the byte that was reserved for it. */
static void end_resources(Aml *a, uint32_t size_at)
{
    put8(a, RES_END);
    put8(a, 0);                 /* checksum: not computed */
    uint32_t size = a->code->len - size_at - 1;
    if (size <= UINT8_MAX) {
        a->code->data[size_at] = size;
        return;
    }
    put8(a, 0);
    uint8_t *p = a->code->data + size_at;
    memmove(p + 2, p + 1, size);
    p[-1] = OP_WORD;
    store_le16(p, size);
}

void aml_end(Aml *a)
{
    g_assert(a->depth > 0);
    a->depth--;
    uint32_t start = a->open[a->depth].start;
    uint32_t size_at = a->open[a->depth].resource_size;
    if (size_at) {
        end_resources(a, size_at);
    }
    uint8_t field[4];
    uint32_t content = a->code->len - start - 1;
    unsigned n = pkg_length_encode(field, content);
    if (n > 1) {
        g_byte_array_set_size(a->code, a->code->len + n - 1);
        memmove(a->code->data + start + n, a->code->data + start + 1, content);
    }
    memcpy(a->code->data + start, field, n);
}

/* ---- names ---- */

static void put_segment(Aml *a, const char *s, size_t len)
{
    char seg[4] = { '_', '_', '_', '_' };
    g_assert(len >= 1 && len <= 4);
    for (size_t i = 0; i < len; i++) {
        g_assert(g_ascii_isupper(s[i]) || s[i] == '_' || (i && g_ascii_isdigit(s[i])));
        seg[i] = s[i];
    }
    put(a, seg, 4);
}

void aml_path(Aml *a, const char *path)
{
    if (*path == '\\') {
        put8(a, *path++);
    } else {
        while (*path == '^') {
            put8(a, *path++);
        }
    }
    if (!*path) {
        put8(a, 0);
        return;
    }
    unsigned n = 1;
    for (const char *p = path; *p; p++) {
        n += *p == '.';
    }
    if (n == 2) {
        put8(a, OP_DUAL_NAME);
    } else if (n > 2) {
        put8(a, OP_MULTI_NAME);
        put8(a, n);
    }
    while (n--) {
        size_t len = strcspn(path, ".");
        put_segment(a, path, len);
        path += len + 1;
    }
}

/* ---- operands ---- */

void aml_op(Aml *a, AmlOp op)
{
    put8(a, op);
}

void aml_int(Aml *a, uint64_t v)
{
    if (v <= 1) {
        put8(a, v ? OP_ONE : OP_ZERO);
    } else if (v == UINT64_MAX) {
        put8(a, OP_ONES);
    } else if (v <= UINT8_MAX) {
        put8(a, OP_BYTE);
        put_le(a, v, 1);
    } else if (v <= UINT16_MAX) {
        put8(a, OP_WORD);
        put_le(a, v, 2);
    } else if (v <= UINT32_MAX) {
        put8(a, OP_DWORD);
        put_le(a, v, 4);
    } else {
        put8(a, OP_QWORD);
        put_le(a, v, 8);
    }
}

void aml_string(Aml *a, const char *s)
{
    put8(a, OP_STRING);
    put(a, s, strlen(s) + 1);
}

void aml_local(Aml *a, unsigned n)
{
    g_assert(n < 8);
    put8(a, OP_LOCAL0 + n);
}

void aml_arg(Aml *a, unsigned n)
{
    g_assert(n < 7);
    put8(a, OP_ARG0 + n);
}

void aml_no_target(Aml *a)
{
    put8(a, 0);
}

void aml_eisa_id(Aml *a, const char *id)
{
    g_assert(strlen(id) == 7);
    uint32_t v = (id[0] - '@') << 26 | (id[1] - '@') << 21 | (id[2] - '@') << 16;
    for (unsigned i = 3; i < 7; i++) {
        v |= (uint32_t)g_ascii_xdigit_value(id[i]) << (4 * (6 - i));
    }
    put8(a, OP_DWORD);
    uint8_t b[4];
    store_be32(b, v);
    put(a, b, 4);
}

void aml_buffer(Aml *a, const void *data, size_t len)
{
    put8(a, OP_BUFFER);
    begin(a);
    aml_int(a, len);
    put(a, data, len);
    aml_end(a);
}

void aml_uuid(Aml *a, const char *uuid)
{
    /* Where byte n of the buffer stands in "aabbccdd-eeff-gghh-iijj-kkllmmnnoopp". */
    static const uint8_t at[16] = { 6, 4, 2, 0, 11, 9, 16, 14, 19, 21, 24, 26, 28, 30, 32, 34 };
    uint8_t b[16];
    g_assert(strlen(uuid) == 36);
    for (unsigned i = 0; i < 16; i++) {
        b[i] = g_ascii_xdigit_value(uuid[at[i]]) << 4 | g_ascii_xdigit_value(uuid[at[i] + 1]);
    }
    aml_buffer(a, b, sizeof(b));
}

/* ---- declarations ---- */

void aml_name(Aml *a, const char *path)
{
    put8(a, OP_NAME);
    aml_path(a, path);
}

void aml_name_int(Aml *a, const char *path, uint64_t v)
{
    aml_name(a, path);
    aml_int(a, v);
}

void aml_name_string(Aml *a, const char *path, const char *s)
{
    aml_name(a, path);
    aml_string(a, s);
}

void aml_name_eisa_id(Aml *a, const char *path, const char *id)
{
    aml_name(a, path);
    aml_eisa_id(a, id);
}

static void put_ext(Aml *a, uint8_t op)
{
    put8(a, OP_EXT);
    put8(a, op);
}

void aml_mutex(Aml *a, const char *name)
{
    put_ext(a, EXT_MUTEX);
    aml_path(a, name);
    put8(a, 0);
}

void aml_store_int(Aml *a, uint64_t value, const char *to)
{
    aml_op(a, AML_STORE);
    aml_int(a, value);
    aml_path(a, to);
}

void aml_store_arg(Aml *a, unsigned n, const char *to)
{
    aml_op(a, AML_STORE);
    aml_arg(a, n);
    aml_path(a, to);
}

void aml_acquire(Aml *a, const char *name)
{
    put_ext(a, EXT_ACQUIRE);
    aml_path(a, name);
    put_le(a, 0xffff, 2);
}

void aml_release(Aml *a, const char *name)
{
    put_ext(a, EXT_RELEASE);
    aml_path(a, name);
}

void aml_region(Aml *a, const char *name, AmlRegionSpace space, uint64_t base, uint64_t len)
{
    put_ext(a, EXT_REGION);
    aml_path(a, name);
    put8(a, space);
    aml_int(a, base);
    aml_int(a, len);
}

void aml_begin_field(Aml *a, const char *region, AmlFieldAccess access)
{
    put_ext(a, EXT_FIELD);
    begin(a);
    aml_path(a, region);
    put8(a, access);
}

/* A field's bit count has the form of a package length that does not count itself. */
static void put_bit_count(Aml *a, unsigned bits)
{
    if (bits <= 0x3f) {
        put8(a, bits);
    } else {
        unsigned more = bits <= 0xfff ? 1 : 2;

        g_assert(bits <= 0xfffff);
        put8(a, more << 6 | (bits & 0xf));
        put_le(a, bits >> 4, more);
    }
}

void aml_field_unit(Aml *a, const char *name, unsigned bits)
{
    put_segment(a, name, strlen(name));
    put_bit_count(a, bits);
}

void aml_field_skip(Aml *a, unsigned bits)
{
    put8(a, 0);
    put_bit_count(a, bits);
}

void aml_begin_scope(Aml *a, const char *path)
{
    put8(a, OP_SCOPE);
    begin(a);
    aml_path(a, path);
}

void aml_begin_device(Aml *a, const char *path)
{
    put_ext(a, EXT_DEVICE);
    begin(a);
    aml_path(a, path);
}

void aml_begin_method(Aml *a, const char *path, unsigned args, bool serialized)
{
    g_assert(args < 8);
    put8(a, OP_METHOD);
    begin(a);
    aml_path(a, path);
    put8(a, args | (serialized ? 0x08 : 0));
}

void aml_begin_if(Aml *a)
{
    put8(a, OP_IF);
    begin(a);
}

void aml_begin_else(Aml *a)
{
    put8(a, OP_ELSE);
    begin(a);
}

void aml_begin_while(Aml *a)
{
    put8(a, OP_WHILE);
    begin(a);
}

void aml_begin_package(Aml *a, unsigned elements)
{
    g_assert(elements <= UINT8_MAX);
    put8(a, OP_PACKAGE);
    begin(a);
    put8(a, elements);
}

void aml_begin_resources(Aml *a)
{
    put8(a, OP_BUFFER);
    begin(a);
    put8(a, OP_BYTE);
    a->open[a->depth - 1].resource_size = a->code->len;
    put8(a, 0);
}

/* ---- resources ---- */

void aml_res_io(Aml *a, uint16_t base, uint8_t len)
{
    put8(a, RES_IO);
    put8(a, 1);
    put_le(a, base, 2);
    put_le(a, base, 2);
    put8(a, 1);
    put8(a, len);
}

void aml_res_memory32_fixed(Aml *a, uint32_t base, uint32_t len, bool writable)
{
    put8(a, RES_MEMORY32_FIXED);
    put_le(a, 9, 2);
    put8(a, writable);
    put_le(a, base, 4);
    put_le(a, len, 4);
}

void aml_res_interrupt(Aml *a, uint32_t gsi, bool edge, bool shared)
{
    put8(a, RES_INTERRUPT);
    put_le(a, 6, 2);
    put8(a, 1 | (edge ? 2 : 0) | (shared ? 8 : 0));
    put8(a, 1);
    put_le(a, gsi, 4);
}

static void put_window(Aml *a, uint8_t tag, unsigned width, uint8_t type, uint8_t flags,
                       uint64_t base, uint64_t len, uint64_t translation)
{
    g_assert(len);
    put8(a, tag);
    put_le(a, 3 + 5 * width, 2);
    put8(a, type);
    put8(a, SPACE_FIXED_PRODUCER);
    put8(a, flags);
    put_le(a, 0, width);                /* granularity */
    put_le(a, base, width);
    put_le(a, base + len - 1, width);
    put_le(a, translation, width);
    put_le(a, len, width);
}

void aml_res_window_bus(Aml *a, uint16_t base, uint16_t len)
{
    put_window(a, RES_WORD_SPACE, 2, SPACE_BUS, 0, base, len, 0);
}

void aml_res_window_io(Aml *a, uint16_t base, uint16_t len)
{
    put_window(a, RES_WORD_SPACE, 2, SPACE_IO, 3, base, len, 0);
}

void aml_res_window_io_at(Aml *a, uint32_t base, uint32_t len, uint32_t translation)
{
    put_window(a, RES_DWORD_SPACE, 4, SPACE_IO, 3, base, len, translation);
}

void aml_res_window_memory32(Aml *a, uint32_t base, uint32_t len)
{
    put_window(a, RES_DWORD_SPACE, 4, SPACE_MEMORY, 1, base, len, 0);
}

void aml_res_window_memory64(Aml *a, uint64_t base, uint64_t len, bool prefetchable)
{
    put_window(a, RES_QWORD_SPACE, 8, SPACE_MEMORY, prefetchable ? 7 : 1, base, len, 0);
}
