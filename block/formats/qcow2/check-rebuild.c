/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When refcount blocks or their table are damaged: all of them are written anew
 * to free clusters, from the references that the check has counted. The header
 * changes last. See check.c.
 */
#include "util/osdep.h"
#include "check.h"

typedef struct Rebuild {
    Qcow2Check *c;
    GArray *table;              /* uint64_t: offsets of blocks */
    uint64_t table_offset, table_clusters;
    uint64_t first_free;
} Rebuild;

/* @n free clusters in a row, now counted. 0: out of memory (cluster 0 is never free). */
static uint64_t take_free(Rebuild *r, uint64_t n)
{
    uint64_t at = r->first_free, run = 0, i;

    while (run < n) {
        run = qcow2_check_count(r->c, at) ? 0 : run + 1;
        at++;
    }
    if (!qcow2_check_resize(r->c, at)) {
        return 0;
    }
    for (i = at - n; i < at; i++) {
        qcow2_check_set(r->c, i, 1);
    }
    if (n == 1) {
        r->first_free = at;
    }
    return at - n;
}

static bool block_empty(const Qcow2Check *c, uint64_t index)
{
    unsigned bits = qcow2_state(c->bn)->refblock_bits;
    uint64_t i, end = MIN((index + 1) << bits, c->clusters);

    for (i = index << bits; i < end; i++) {
        if (qcow2_check_count(c, i)) {
            return false;
        }
    }
    return true;
}

/* A place for each block that is needed; those count too, so again until nothing is new. */
static int place_blocks(Rebuild *r)
{
    Qcow2State *s = qcow2_state(r->c->bn);
    bool again = true;
    uint64_t i, zero = 0, place;

    while (again) {
        again = false;
        for (i = 0; i << s->refblock_bits < r->c->clusters; i++) {
            if (i >= r->table->len) {
                g_array_append_val(r->table, zero);
            }
            if (g_array_index(r->table, uint64_t, i) || block_empty(r->c, i)) {
                continue;
            }
            place = take_free(r, 1);
            if (!place) {
                return -ENOMEM;
            }
            g_array_index(r->table, uint64_t, i) = place << s->cluster_bits;
            again = true;
        }
    }
    return 0;
}

static int place_table(Rebuild *r)
{
    Qcow2State *s = qcow2_state(r->c->bn);
    uint64_t needed, i;

    for (;;) {
        int ret = place_blocks(r);

        if (ret < 0) {
            return ret;
        }
        needed = qcow2_clusters(s, (uint64_t)r->table->len * 8);
        if (needed <= r->table_clusters) {
            return 0;
        }
        if (needed << s->cluster_bits > QCOW2_MAX_REFTABLE_BYTES) {
            return -EFBIG;
        }
        for (i = 0; i < r->table_clusters; i++) {
            qcow2_check_set(r->c, (r->table_offset >> s->cluster_bits) + i, 0);
        }
        r->table_clusters = needed;
        r->table_offset = take_free(r, needed) << s->cluster_bits;
        if (!r->table_offset) {
            return -ENOMEM;
        }
    }
}

static int coroutine_fn write_block(Rebuild *r, uint64_t index, uint8_t *buf)
{
    BlockNode *bn = r->c->bn;
    Qcow2State *s = qcow2_state(bn);
    uint64_t first = index << s->refblock_bits, i;
    uint64_t count = MIN(BIT(s->refblock_bits), r->c->clusters - first);

    memset(buf, 0, s->cluster_size);
    for (i = 0; i < count; i++) {
        uint64_t refs = qcow2_check_count(r->c, first + i);

        qcow2_refcount_set_in(buf, i, s->refcount_order, MIN(refs, s->refcount_max));
    }
    return block_co_pwrite(bn->file, g_array_index(r->table, uint64_t, index), s->cluster_size, buf,
                           0);
}

static int coroutine_fn write_all(Rebuild *r)
{
    BlockNode *bn = r->c->bn;
    Qcow2State *s = qcow2_state(bn);
    size_t bytes = r->table_clusters << s->cluster_bits;
    g_autofree uint8_t *buf = g_try_malloc0(MAX(bytes, s->cluster_size));
    uint8_t header[12];
    uint64_t i;
    int ret = buf ? 0 : -ENOMEM;

    for (i = 0; i < r->table->len && ret == 0; i++) {
        if (g_array_index(r->table, uint64_t, i)) {
            ret = write_block(r, i, buf);
        }
    }
    if (ret < 0) {
        return ret;
    }
    memset(buf, 0, bytes);
    for (i = 0; i < r->table->len; i++) {
        store_be64(buf + i * 8, g_array_index(r->table, uint64_t, i));
    }
    ret = block_co_pwrite(bn->file, r->table_offset, bytes, buf, 0);
    if (ret == 0) {
        ret = block_co_flush(bn->file->node);
    }
    if (ret < 0) {
        return ret;
    }
    store_be64(header, r->table_offset);
    store_be32(header + 8, r->table_clusters);
    ret = block_co_pwrite(bn->file, 48, sizeof(header), header, 0);
    return ret < 0 ? ret : block_co_flush(bn->file->node);
}

int coroutine_fn qcow2_check_rebuild(Qcow2Check *c)
{
    BlockNode *bn = c->bn;
    Qcow2State *s = qcow2_state(bn);
    Rebuild r = { .c = c, .table = g_array_new(false, false, sizeof(uint64_t)), .first_free = 1 };
    Error *err = NULL;
    int ret;

    /* The old structures are counted too: they stay until the new ones are in force. */
    qcow2_cache_drop_all(s->refcount_cache);
    ret = place_table(&r);
    if (ret == 0) {
        ret = write_all(&r);
    }
    if (ret < 0) {
        fprintf(stderr, "ERROR writing refblock: %s\n", strerror(-ret));
        goto out;
    }
    s->header.reftable_offset = r.table_offset;
    s->header.reftable_clusters = r.table_clusters;
    ret = qcow2_refcount_load(bn, &err);
    if (ret < 0) {
        error_report_err(err);
    }
    s->dead = false;            /* if it was for these structures */
    s->free_cluster = 0;
    qcow2_note_tables(bn);
out:
    g_array_free(r.table, true);
    return ret;
}
