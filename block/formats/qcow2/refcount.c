/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reference counts of host clusters, allocation and freeing (specification,
 * "Host cluster management"). New clusters come from first fit at the lowest
 * free one.
 *
 * A freed cluster is in quarantine until everything that referred to it is gone
 * from the disk: a power failure must not leave an old reference to what is
 * already used for something else. Who would take one first writes the tables
 * back (qcow2_barrier()), which also waits for guest I/O that still goes there.
 *
 * Coroutines under the driver's lock.
 */
#include "util/osdep.h"
#include "qcow2.h"
#include "trace-block-formats.h"

#define MAX_RUNS 1024

/* ---- counts in a block ---- */

uint64_t qcow2_refcount_in(const void *block, uint64_t index, unsigned order)
{
    const uint8_t *p = block;

    switch (order) {
    case 0:
    case 1:
    case 2: {
        unsigned shift = (index << order) & 7;

        return (p[index << order >> 3] >> shift) & (BIT(1u << order) - 1);
    }
    case 3:
        return p[index];
    case 4:
        return load_be16(p + index * 2);
    case 5:
        return load_be32(p + index * 4);
    default:
        return load_be64(p + index * 8);
    }
}

void qcow2_refcount_set_in(void *block, uint64_t index, unsigned order, uint64_t value)
{
    uint8_t *p = block;

    switch (order) {
    case 0:
    case 1:
    case 2: {
        unsigned shift = (index << order) & 7;
        uint8_t mask = (BIT(1u << order) - 1) << shift;

        p += index << order >> 3;
        *p = (*p & ~mask) | value << shift;
        return;
    }
    case 3:
        p[index] = value;
        return;
    case 4:
        store_be16(p + index * 2, value);
        return;
    case 5:
        store_be32(p + index * 4, value);
        return;
    default:
        store_be64(p + index * 8, value);
    }
}

/* ---- the table ---- */

static void update_used(Qcow2State *s)
{
    uint32_t i = s->reftable_size;

    while (i > 0 && !(s->reftable[i - 1] & QCOW2_REFTABLE_MASK)) {
        i--;
    }
    s->reftable_used = i;
}

int coroutine_fn qcow2_refcount_load(BlockNode *bn, Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    size_t bytes = (size_t)s->header.reftable_clusters << s->cluster_bits;
    size_t i;
    int ret;

    g_free(s->reftable);
    s->reftable_size = bytes / 8;
    s->reftable = g_try_malloc0(MAX(bytes, 8));
    if (!s->reftable) {
        error_setg(errp, "Could not allocate the refcount table");
        return -ENOMEM;
    }
    block_co_debug_event(bn->file, BLKDEBUG_EVENT_REFTABLE_LOAD);
    ret = qcow2_meta_read(bn, s->header.reftable_offset, s->reftable, bytes);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not initialize refcount handling");
        return ret;
    }
    for (i = 0; i < s->reftable_size; i++) {
        s->reftable[i] = be64toh(s->reftable[i]);
    }
    update_used(s);
    s->reftable_checked = false;
    return 0;
}

int coroutine_fn qcow2_update_reftable_entry(BlockNode *bn, uint64_t index, uint64_t value)
{
    Qcow2State *s = qcow2_state(bn);
    uint8_t buf[8];
    int ret;

    store_be64(buf, value);
    ret = qcow2_meta_write(bn, QCOW2_OL_REFCOUNT_TABLE, s->header.reftable_offset + index * 8, buf,
                           sizeof(buf));
    if (ret == 0) {
        s->reftable[index] = value;
        update_used(s);
        qcow2_note_table(s, value, QCOW2_OL_REFCOUNT_BLOCK);
    }
    return ret;
}

int coroutine_fn qcow2_refcount_get(BlockNode *bn, uint64_t cluster, uint64_t *refcount)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t index = cluster >> s->refblock_bits;
    uint64_t offset = index < s->reftable_size ? s->reftable[index] & QCOW2_REFTABLE_MASK : 0;
    Qcow2Table *t;
    int ret;

    *refcount = 0;
    if (!offset) {
        return 0;
    }
    if (qcow2_in_cluster(s, offset)) {
        qcow2_signal_corruption(bn, true, -1, -1, "Refblock offset %#" PRIx64
                                " unaligned (reftable index: %#" PRIx64 ")", offset, index);
        return -EIO;
    }
    ret = qcow2_cache_get(s->refcount_cache, offset, &t);
    if (ret < 0) {
        return ret;
    }
    *refcount = qcow2_refcount_in(t->data, cluster & (BIT(s->refblock_bits) - 1),
                                  s->refcount_order);
    qcow2_cache_put(s->refcount_cache, t);
    return 0;
}

/* ---- lists of runs ---- */

/* Add [start, end) to the sorted @runs, joined with its neighbours. */
static void runs_add(GArray *runs, uint64_t start, uint64_t end)
{
    Qcow2Run *r = (Qcow2Run *)runs->data;
    guint lo = 0, hi = runs->len, last;
    Qcow2Run add = { start, end };

    while (lo < hi) {
        guint mid = (lo + hi) / 2;

        if (r[mid].end < start) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    for (last = lo; last < runs->len && r[last].start <= end; last++) {
        add.start = MIN(add.start, r[last].start);
        add.end = MAX(add.end, r[last].end);
    }
    if (last > lo) {
        g_array_remove_range(runs, lo, last - lo);
    }
    g_array_insert_val(runs, lo, add);
}

static bool runs_overlap(const GArray *runs, uint64_t start, uint64_t end)
{
    const Qcow2Run *r = (const Qcow2Run *)runs->data;
    guint lo = 0, hi = runs->len;

    while (lo < hi) {
        guint mid = (lo + hi) / 2;

        if (r[mid].end <= start) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo < runs->len && r[lo].start < end;
}

/* ---- guest I/O in flight, and the barrier ---- */

void qcow2_io_begin(Qcow2State *s, unsigned *group)
{
    *group = s->io_group;
    s->io_count[s->io_group]++;
}

void qcow2_io_end(Qcow2State *s, unsigned group)
{
    if (--s->io_count[group] == 0) {
        co_queue_wake_all(&s->io_wait);
    }
}

int coroutine_fn qcow2_write_caches(BlockNode *bn)
{
    Qcow2State *s = qcow2_state(bn);
    int ret = qcow2_cache_write(s->l2_cache);

    if (ret == 0) {
        ret = qcow2_cache_write(s->refcount_cache);
    }
    return ret;
}

int coroutine_fn qcow2_barrier(BlockNode *bn)
{
    Qcow2State *s = qcow2_state(bn);
    unsigned old = s->io_group;
    int ret;

    trace_qcow2_barrier(bn);
    /* New I/O counts elsewhere; that of the barrier before this one has ended. */
    s->io_group ^= 1;
    while (s->io_count[old]) {
        co_queue_wait(&s->io_wait, NULL);
    }
    qcow2_process_discards(bn, 0);
    ret = qcow2_cache_write(s->l2_cache);
    if (ret == 0) {
        ret = block_co_flush(bn->file->node);
    }
    if (ret == 0) {
        g_array_set_size(s->quarantine, 0);
    }
    return ret;
}

void coroutine_fn qcow2_process_discards(BlockNode *bn, int ret)
{
    Qcow2State *s = qcow2_state(bn);
    guint i;

    for (i = 0; i < s->discards->len && ret >= 0; i++) {
        Qcow2Run *r = &g_array_index(s->discards, Qcow2Run, i);

        /* It is only advice. */
        block_co_pdiscard(bn->file, r->start, r->end - r->start);
    }
    g_array_set_size(s->discards, 0);
}

/* ---- changing counts ---- */

static void cluster_became_free(BlockNode *bn, uint64_t cluster, Qcow2Discard type)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t offset = cluster << s->cluster_bits;

    s->free_cluster = MIN(s->free_cluster, cluster);
    qcow2_cache_discard(s->refcount_cache, offset, s->cluster_size);
    qcow2_cache_discard(s->l2_cache, offset, s->cluster_size);
    g_hash_table_remove(s->meta_clusters, GSIZE_TO_POINTER(cluster));
    runs_add(s->quarantine, cluster, cluster + 1);
    if (s->opt.discard[type]) {
        runs_add(s->discards, offset, offset + s->cluster_size);
    }
}

static int change_one(BlockNode *bn, Qcow2Table *t, uint64_t cluster, uint64_t addend,
                      bool decrease, Qcow2Discard type)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t index = cluster & (BIT(s->refblock_bits) - 1);
    uint64_t old = qcow2_refcount_in(t->data, index, s->refcount_order);
    uint64_t at = index << s->refcount_order >> 3;

    if (decrease ? old < addend : addend > s->refcount_max - MIN(old, s->refcount_max)) {
        return -EINVAL;
    }
    old = decrease ? old - addend : old + addend;
    qcow2_refcount_set_in(t->data, index, s->refcount_order, old);
    qcow2_cache_dirty(s->refcount_cache, t, at, MAX(1u << s->refcount_order >> 3, 1u));
    if (old == 0) {
        cluster_became_free(bn, cluster, type);
    }
    return 0;
}

int coroutine_fn qcow2_refcount_update(BlockNode *bn, uint64_t offset, uint64_t bytes,
                                       uint64_t addend, bool decrease, Qcow2Discard type)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t first = offset >> s->cluster_bits, cluster;
    uint64_t end = (offset + bytes + s->cluster_size - 1) >> s->cluster_bits;
    Qcow2Table *t = NULL;
    int ret = 0;

    if (bytes == 0) {
        return 0;
    }
    if (decrease) {
        ret = qcow2_cache_depend(s->refcount_cache, s->l2_cache);
        if (ret < 0) {
            return ret;
        }
    }
    for (cluster = first; cluster < end; cluster++) {
        if (!t || !(cluster & (BIT(s->refblock_bits) - 1))) {
            qcow2_cache_put(s->refcount_cache, t);
            t = NULL;
            ret = qcow2_get_refblock(bn, cluster, &t);
            if (ret < 0) {
                t = NULL;
                break;
            }
        }
        ret = change_one(bn, t, cluster, addend, decrease, type);
        if (ret < 0) {
            break;
        }
    }
    qcow2_cache_put(s->refcount_cache, t);
    if (ret == -EAGAIN) {
        /* Whoever tries again may find the same clusters still free. */
        s->free_cluster = MIN(s->free_cluster, first);
    }
    if (ret < 0 && cluster > first) {
        /* Undo; if that fails too, clusters leak. */
        qcow2_refcount_update(bn, first << s->cluster_bits, (cluster - first) << s->cluster_bits,
                              addend, !decrease, QCOW2_DISCARD_NEVER);
    }
    return ret;
}

/* ---- allocation ---- */

static bool in_quarantine(const Qcow2State *s, uint64_t first, uint64_t count)
{
    return s->quarantine->len && runs_overlap(s->quarantine, first, first + count);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/*
 * Each refcount block stands for its own clusters. A table that names one block again and again would make a
 * small image claim that an endless number of clusters is in use, and a search for a free one as long.
 */
static int check_reftable(BlockNode *bn)
{
    Qcow2State *s = qcow2_state(bn);
    g_autofree uint64_t *sorted = NULL;
    uint32_t count = 0;

    if (s->reftable_checked) {
        return 0;
    }
    sorted = g_new(uint64_t, s->reftable_used + 1);
    for (uint32_t i = 0; i < s->reftable_used; i++) {
        if (s->reftable[i] & QCOW2_REFTABLE_MASK) {
            sorted[count++] = s->reftable[i] & QCOW2_REFTABLE_MASK;
        }
    }
    qsort(sorted, count, sizeof(*sorted), by_value);
    for (uint32_t i = 1; i < count; i++) {
        if (sorted[i] == sorted[i - 1]) {
            qcow2_signal_corruption(bn, true, -1, -1, "Refblock offset %#" PRIx64
                                    " is in the refcount table more than once", sorted[i]);
            return -EIO;
        }
    }
    s->reftable_checked = true;
    return 0;
}

int64_t coroutine_fn qcow2_find_free(BlockNode *bn, uint64_t bytes, uint64_t max)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t wanted = qcow2_clusters(s, bytes), run = 0, refcount;
    int ret = check_reftable(bn);

    if (ret < 0) {
        return ret;
    }
    while (run < wanted) {
        uint64_t cluster = s->free_cluster;

        ret = qcow2_refcount_get(bn, cluster, &refcount);
        if (ret < 0) {
            return ret;
        }
        s->free_cluster = cluster + 1;
        run = refcount ? 0 : run + 1;
        if (s->free_cluster > max >> s->cluster_bits) {
            return -EFBIG;
        }
    }
    if (in_quarantine(s, s->free_cluster - wanted, wanted) || s->quarantine->len > MAX_RUNS) {
        ret = qcow2_barrier(bn);
        if (ret < 0) {
            s->free_cluster -= wanted;
            return ret;
        }
    }
    return (s->free_cluster - wanted) << s->cluster_bits;
}

int64_t coroutine_fn qcow2_alloc_clusters(BlockNode *bn, uint64_t bytes)
{
    Qcow2State *s = qcow2_state(bn);
    int64_t offset;
    int ret;

    block_co_debug_event(bn->file, BLKDEBUG_EVENT_CLUSTER_ALLOC);
    do {
        offset = qcow2_find_free(bn, bytes, BLOCK_MAX_LENGTH);
        if (offset < 0) {
            return offset;
        }
        ret = qcow2_refcount_update(bn, offset, bytes, 1, false, QCOW2_DISCARD_NEVER);
        /* A new refcount block may have taken the place. */
    } while (ret == -EAGAIN);
    if (ret < 0) {
        s->free_cluster = MIN(s->free_cluster, (uint64_t)offset >> s->cluster_bits);
        return ret;
    }
    trace_qcow2_alloc_clusters(bn, bytes, offset);
    return offset;
}

int64_t coroutine_fn qcow2_alloc_clusters_at(BlockNode *bn, uint64_t offset, int64_t clusters)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t first = offset >> s->cluster_bits, refcount;
    int64_t n;
    int ret;

    do {
        for (n = 0; n < clusters; n++) {
            ret = qcow2_refcount_get(bn, first + n, &refcount);
            if (ret < 0) {
                return ret;
            }
            if (refcount) {
                break;
            }
        }
        if (n && in_quarantine(s, first, n)) {
            ret = qcow2_barrier(bn);
            if (ret < 0) {
                return ret;
            }
        }
        ret = qcow2_refcount_update(bn, offset, (uint64_t)n << s->cluster_bits, 1, false,
                                    QCOW2_DISCARD_NEVER);
    } while (ret == -EAGAIN);
    return ret < 0 ? ret : n;
}

int64_t coroutine_fn qcow2_alloc_bytes(BlockNode *bn, uint32_t bytes)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t offset, free_in_cluster, refcount;
    int64_t fresh;
    int ret;

    block_co_debug_event(bn->file, BLKDEBUG_EVENT_CLUSTER_ALLOC_BYTES);
    do {
        offset = s->free_byte;
        if (offset) {
            ret = qcow2_refcount_get(bn, offset >> s->cluster_bits, &refcount);
            if (ret < 0) {
                return ret;
            }
            if (refcount == s->refcount_max || refcount == 0) {
                offset = 0;
            }
        }
        free_in_cluster = s->cluster_size - qcow2_in_cluster(s, offset);
        if (!offset || free_in_cluster < bytes) {
            fresh = qcow2_find_free(bn, s->cluster_size,
                                    MIN(s->coffset_mask, (uint64_t)BLOCK_MAX_LENGTH));
            if (fresh < 0) {
                return fresh;
            }
            if (fresh == 0) {
                qcow2_signal_corruption(bn, true, -1, -1, "Preventing invalid allocation of "
                                        "compressed cluster at offset 0");
                return -EIO;
            }
            if (!offset || ROUND_UP(offset, s->cluster_size) != (uint64_t)fresh) {
                offset = fresh;
            }
        }
        ret = qcow2_refcount_update(bn, offset, bytes, 1, false, QCOW2_DISCARD_NEVER);
        if (ret < 0) {
            s->free_byte = 0;
        }
    } while (ret == -EAGAIN);
    if (ret < 0) {
        return ret;
    }
    /* The references that follow come after the counts. */
    if (!s->lazy_refcounts) {
        ret = qcow2_cache_depend(s->l2_cache, s->refcount_cache);
        if (ret < 0) {
            return ret;
        }
    }
    s->free_byte = qcow2_in_cluster(s, offset + bytes) ? offset + bytes : 0;
    return offset;
}

/* ---- freeing ---- */

void coroutine_fn qcow2_free_clusters(BlockNode *bn, uint64_t offset, uint64_t bytes,
                                      Qcow2Discard type)
{
    int ret;

    trace_qcow2_free_clusters(bn, offset, bytes);
    block_co_debug_event(bn->file, BLKDEBUG_EVENT_CLUSTER_FREE);
    ret = qcow2_refcount_update(bn, offset, bytes, 1, true, type);
    if (ret < 0) {
        fprintf(stderr, "qcow2_free_clusters failed: %s\n", strerror(-ret));
    }
}

void coroutine_fn qcow2_free_any_cluster(BlockNode *bn, uint64_t entry, Qcow2Discard type)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t offset = entry & QCOW2_OFFSET_MASK;
    uint32_t bytes;

    switch (qcow2_cluster_type(s, entry)) {
    case QCOW2_COMPRESSED:
        qcow2_compressed_range(s, entry, &offset, &bytes);
        qcow2_free_clusters(bn, offset, bytes, type);
        break;
    case QCOW2_NORMAL:
    case QCOW2_ZERO_ALLOC:
        if (qcow2_has_data_file(s)) {
            if (s->opt.discard[type]) {
                block_co_pdiscard(s->data_file, offset, s->cluster_size);
            }
        } else if (qcow2_in_cluster(s, offset)) {
            qcow2_signal_corruption(bn, false, -1, -1, "Cannot free unaligned cluster %#" PRIx64,
                                    offset);
        } else {
            qcow2_free_clusters(bn, offset, s->cluster_size, type);
        }
        break;
    default:
        break;
    }
}

int64_t coroutine_fn qcow2_last_cluster(BlockNode *bn, int64_t file_bytes)
{
    Qcow2State *s = qcow2_state(bn);
    int64_t i;

    for (i = qcow2_clusters(s, file_bytes) - 1; i >= 0; i--) {
        uint64_t refcount;
        int ret = qcow2_refcount_get(bn, i, &refcount);

        if (ret < 0) {
            fprintf(stderr, "Can't get refcount for cluster %" PRId64 ": %s\n", i, strerror(-ret));
            return ret;
        }
        if (refcount) {
            return i;
        }
    }
    qcow2_signal_corruption(bn, true, -1, -1, "There are no references in the refcount table.");
    return -EIO;
}
