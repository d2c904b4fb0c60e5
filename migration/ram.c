/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest RAM in a stream. See ram.h.
 *
 * The bits of a run of pages are cleared before the pages are read, so whatever
 * the guest or a device writes later is seen in the next pass. A page of zeroes
 * costs no bytes.
 */
#include "util/osdep.h"
#include <sys/mman.h>
#include "migration/ram.h"
#include "system/machine-lock.h"
#include "util/bswap.h"
#include "util/iov.h"

#define PAGE DIRTY_PAGE_SIZE
#define WINDOW_NS (100 * 1000 * 1000)   /* the limit holds for each of these */
/* Fewer zero pages than this are written, more are given back to the host. */
#define GIVE_BACK_PAGES 16

/* One without a name is gone but for its last users. */
static void add_block(RamBlock *rb, void *opaque)
{
    if (!rb->id[0]) {
        return;
    }
    ram_block_ref(rb);
    g_ptr_array_add(opaque, rb);
}

static void unref_block(gpointer rb)
{
    ram_block_unref(rb);
}

static int compare_ids(gconstpointer a, gconstpointer b)
{
    return strcmp((*(RamBlock *const *)a)->id, (*(RamBlock *const *)b)->id);
}

/* By name, so that the order does not depend on where the host put them. */
static GPtrArray *all_blocks(void)
{
    GPtrArray *blocks = g_ptr_array_new_with_free_func(unref_block);

    ram_block_foreach(add_block, blocks);
    g_ptr_array_sort(blocks, compare_ids);
    return blocks;
}

JsonValue *ram_describe(void)
{
    g_autoptr(GPtrArray) blocks = all_blocks();
    JsonValue *list = json_array();

    for (guint i = 0; i < blocks->len; i++) {
        const RamBlock *rb = blocks->pdata[i];
        JsonValue *o = json_object();

        json_object_set_string(o, "id", rb->id);
        json_object_set_uint(o, "size", rb->size);
        json_object_set_bool(o, "readonly", rb->readonly);
        json_array_add_take(list, o);
    }
    return list;
}

/* ---- sender ---- */

void ram_sender_begin(RamSender *s, RecordChannel *rc)
{
    s->rc = rc;
    s->blocks = all_blocks();
    s->copy = g_malloc(RAM_CHUNK_PAGES * PAGE);
    memory_dirty_log_start(DIRTY_MIGRATION);
    for (guint i = 0; i < s->blocks->len; i++) {
        RamBlock *rb = s->blocks->pdata[i];

        /* A block that is mapped read-only has its content from somewhere else. */
        if (!rb->readonly) {
            ram_block_set_dirty(rb, 0, rb->size);
            s->total_bytes += rb->size;
        }
    }
}

void ram_sender_end(RamSender *s)
{
    memory_dirty_log_stop(DIRTY_MIGRATION);
    g_clear_pointer(&s->blocks, g_ptr_array_unref);
    g_clear_pointer(&s->copy, g_free);
}

uint64_t ram_sender_dirty_bytes(const RamSender *s)
{
    uint64_t pages = 0;

    for (guint i = 0; i < s->blocks->len; i++) {
        pages += ram_block_dirty_pages(s->blocks->pdata[i], DIRTY_MIGRATION);
    }
    return pages * PAGE;
}

static void put_ram_head(uint8_t *head, unsigned block, uint64_t page)
{
    store_le32(head, block);
    store_le32(head + 4, PAGE);
    store_le64(head + 8, page * PAGE);
}

static bool flush_zeroes(RamSender *s, Error **errp)
{
    uint8_t record[RECORD_RAM_HEAD + 8];

    if (!s->zero_count) {
        return true;
    }
    put_ram_head(record, s->zero_block, s->zero_first);
    store_le64(record + RECORD_RAM_HEAD, s->zero_count * PAGE);
    s->zero_count = 0;
    return record_write(s->rc, RECORD_RAM_ZERO, record, sizeof(record), errp);
}

static bool add_zeroes(RamSender *s, unsigned block, uint64_t page, uint64_t count, Error **errp)
{
    atomic_store(&s->zero_pages, s->zero_pages + count);
    if (s->zero_count && s->zero_block == block && s->zero_first + s->zero_count == page) {
        s->zero_count += count;
        return true;
    }
    if (!flush_zeroes(s, errp)) {
        return false;
    }
    s->zero_block = block;
    s->zero_first = page;
    s->zero_count = count;
    return true;
}

static bool send_data(RamSender *s, unsigned block, uint64_t page, uint64_t count, Error **errp)
{
    const RamBlock *rb = s->blocks->pdata[block];
    uint8_t head[RECORD_RAM_HEAD];
    struct iovec iov[2] = { { head, sizeof(head) }, { s->copy, count * PAGE } };

    put_ram_head(head, block, page);
    memcpy(s->copy, rb->host + page * PAGE, count * PAGE);
    atomic_store(&s->data_pages, s->data_pages + count);
    return flush_zeroes(s, errp) && record_writev(s->rc, RECORD_RAM_PAGES, iov, 2, errp);
}

/* A run of pages whose bits are cleared: alternating runs of zeroes and data. */
static bool send_run(RamSender *s, unsigned block, uint64_t page, uint64_t count, Error **errp)
{
    const RamBlock *rb = s->blocks->pdata[block];
    uint64_t end = page + count;

    while (page < end) {
        bool zero = buffer_is_zero(rb->host + page * PAGE, PAGE);
        uint64_t n = 1;

        while (page + n < end && buffer_is_zero(rb->host + (page + n) * PAGE, PAGE) == zero) {
            n++;
        }
        if (!(zero ? add_zeroes : send_data)(s, block, page, n, errp)) {
            return false;
        }
        page += n;
    }
    return true;
}

/* What was sent in this window is all that it may have: wait for the next one. */
static bool keep_limit(RamSender *s, Error **errp)
{
    uint64_t limit = atomic_load(&s->max_bandwidth);

    while (limit && s->rc->out - s->window_bytes >= MAX(limit / (1000000000 / WINDOW_NS), 1u)) {
        int64_t left = s->window_start_ns + WINDOW_NS - clock_now_ns(CLOCK_TYPE_REALTIME);

        if (left > 0) {
            if (record_wait_cancel(s->rc->cancel, DIV_ROUND_UP(left, 1000000))) {
                error_setg(errp, "Migration was cancelled");
                return false;
            }
            limit = atomic_load(&s->max_bandwidth);
            continue;
        }
        /* A chunk larger than the limit takes several windows. */
        s->window_bytes += MIN(MAX(limit / (1000000000 / WINDOW_NS), 1u), s->rc->out - s->window_bytes);
        s->window_start_ns += WINDOW_NS;
    }
    if (clock_now_ns(CLOCK_TYPE_REALTIME) > s->window_start_ns + WINDOW_NS) {
        s->window_start_ns = clock_now_ns(CLOCK_TYPE_REALTIME);
        s->window_bytes = s->rc->out;
    }
    return true;
}

static bool check_cancel(const RamSender *s, Error **errp)
{
    if (record_wait_cancel(s->rc->cancel, 0)) {
        error_setg(errp, "Migration was cancelled");
        return false;
    }
    return true;
}

bool ram_sender_pass(RamSender *s, bool limited, Error **errp)
{
    for (guint block = 0; block < s->blocks->len; block++) {
        RamBlock *rb = s->blocks->pdata[block];
        uint64_t page = 0, count;

        for (;;) {
            page = ram_block_take_dirty(rb, DIRTY_MIGRATION, page, RAM_CHUNK_PAGES, &count);
            if (!count) {
                break;
            }
            if (!send_run(s, block, page, count, errp) || !check_cancel(s, errp) ||
                (limited && !keep_limit(s, errp))) {
                return false;
            }
            page += count;
        }
    }
    return flush_zeroes(s, errp);
}

/* ---- receiver ---- */

static bool match_block(RamReceiver *r, const JsonValue *o, Error **errp)
{
    const char *id = json_kind(o) == JSON_OBJECT ? json_object_get_string(o, "id") : NULL;
    RamBlock *rb = id ? ram_block_find(id) : NULL;
    uint64_t size = 0;

    if (!id || !json_object_has(o, "size") || !json_get_uint(json_object_get(o, "size"), &size)) {
        error_setg(errp, "the stream's list of RAM is damaged");
        return false;
    }
    if (!rb) {
        error_setg(errp, "the source has RAM '%s' of %" PRIu64 " bytes, which this machine has not", id, size);
        return false;
    }
    if (rb->size != size) {
        error_setg(errp, "RAM '%s' has %" PRIu64 " bytes at the source and %" PRIu64 " here", id, size, rb->size);
        return false;
    }
    add_block(rb, r->blocks);
    return true;
}

static bool match_blocks(RamReceiver *r, const JsonValue *list, Error **errp)
{
    g_autoptr(GPtrArray) here = all_blocks();

    if (!list || json_kind(list) != JSON_ARRAY) {
        error_setg(errp, "the stream has no list of RAM");
        return false;
    }
    for (size_t i = 0; i < json_array_len(list); i++) {
        if (!match_block(r, json_array_at(list, i), errp)) {
            return false;
        }
    }
    for (guint i = 0; i < here->len; i++) {
        if (!g_ptr_array_find(r->blocks, here->pdata[i], NULL)) {
            error_setg(errp, "the source has no RAM '%s'", ((RamBlock *)here->pdata[i])->id);
            return false;
        }
    }
    return true;
}

bool ram_receiver_begin(RamReceiver *r, const JsonValue *list, Error **errp)
{
    bool held = machine_lock_held(), ok;

    r->blocks = g_ptr_array_new_with_free_func(unref_block);
    if (!held) {
        machine_lock();
    }
    ok = match_blocks(r, list, errp);
    if (!held) {
        machine_unlock();
    }
    return ok;
}

void ram_receiver_end(RamReceiver *r)
{
    g_clear_pointer(&r->blocks, g_ptr_array_unref);
}

/* The block and offset of a record; @bytes of it must be there, whole pages. */
static uint8_t *find_pages(const RamReceiver *r, const uint8_t *head, uint64_t bytes, RamBlock **rb, Error **errp)
{
    uint32_t block = load_le32(head);
    uint64_t offset = load_le64(head + 8), size;

    if (!r->blocks || block >= r->blocks->len) {
        error_setg(errp, "the stream has pages of a RAM that it did not announce");
        return NULL;
    }
    *rb = r->blocks->pdata[block];
    size = ROUND_UP((*rb)->size, PAGE);
    if (load_le32(head + 4) != PAGE || (*rb)->readonly || offset % PAGE || bytes % PAGE ||
        offset > size || bytes > size - offset) {
        error_setg(errp, "the stream has pages that are not in RAM '%s'", (*rb)->id);
        return NULL;
    }
    return (*rb)->host + offset;
}

bool ram_receiver_pages(RamReceiver *r, RecordChannel *rc, Error **errp)
{
    uint8_t head[RECORD_RAM_HEAD];
    RamBlock *rb;
    uint8_t *host;

    if (!record_read_part(rc, head, sizeof(head), errp)) {
        return false;
    }
    host = find_pages(r, head, rc->left, &rb, errp);
    /* Straight to where they belong: with a wrong check sum this machine never runs. */
    return host && record_read_part(rc, host, rc->left, errp) && record_read_end(rc, errp);
}

/* Pages that are zero already are not touched, so that the host need not make them. */
static void zero_pages(const RamBlock *rb, uint8_t *host, uint64_t bytes)
{
    if (bytes >= GIVE_BACK_PAGES * PAGE && rb->fd < 0 && rb->page_size == PAGE &&
        madvise(host, bytes, MADV_DONTNEED) == 0) {
        return;
    }
    for (; bytes; host += PAGE, bytes -= PAGE) {
        if (!buffer_is_zero(host, PAGE)) {
            memset(host, 0, PAGE);
        }
    }
}

bool ram_receiver_zero(RamReceiver *r, RecordChannel *rc, Error **errp)
{
    uint8_t record[RECORD_RAM_HEAD + 8];
    uint64_t bytes;
    RamBlock *rb;
    uint8_t *host;

    if (!record_read_part(rc, record, sizeof(record), errp) || !record_read_end(rc, errp)) {
        return false;
    }
    bytes = load_le64(record + RECORD_RAM_HEAD);
    host = find_pages(r, record, bytes, &rb, errp);
    if (!host) {
        return false;
    }
    zero_pages(rb, host, bytes);
    return true;
}
