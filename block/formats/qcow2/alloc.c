/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Host clusters for guest writes. A write first gets its place (a Qcow2Alloc,
 * refcounts raised), then puts data and what must be copied around it there, then
 * the L2 entries change. Meanwhile nobody else writes to these guest clusters.
 * The tables may reach the disk only after the data and the refcounts.
 *
 * Coroutines under the driver's lock.
 */
#include "util/osdep.h"
#include "qcow2.h"
#include "trace-block-formats.h"

/* ---- requests in flight ---- */

static void add_alloc(Qcow2State *s, Qcow2Alloc *a)
{
    co_queue_init(&a->waiters);
    a->next = s->allocs;
    s->allocs = a;
}

static void remove_alloc(Qcow2State *s, Qcow2Alloc *a)
{
    Qcow2Alloc **p;

    for (p = &s->allocs; *p != a; p = &(*p)->next) {
    }
    *p = a->next;
    co_queue_wake_all(&a->waiters);
    g_free(a);
}

static Qcow2Alloc *find_overlap(const Qcow2State *s, uint64_t guest, uint64_t bytes)
{
    uint64_t start = qcow2_cluster_start(s, guest), end = guest + bytes;
    Qcow2Alloc *a, *first = NULL;

    for (a = s->allocs; a; a = a->next) {
        if (a->guest < end && start < a->guest + ((uint64_t)a->clusters << s->cluster_bits) &&
            (!first || a->guest < first->guest)) {
            first = a;
        }
    }
    return first;
}

void coroutine_fn qcow2_wait_allocs(BlockNode *bn, uint64_t guest, uint64_t bytes)
{
    Qcow2State *s = qcow2_state(bn);
    Qcow2Alloc *a;

    while ((a = find_overlap(s, guest, bytes)) != NULL) {
        co_queue_wait(&a->waiters, &s->lock);
    }
}

/* Wait for those that touch our first cluster, stop before the others. */
static void coroutine_fn avoid_allocs(BlockNode *bn, uint64_t guest, int64_t *bytes)
{
    Qcow2State *s = qcow2_state(bn);
    Qcow2Alloc *a;

    while ((a = find_overlap(s, guest, *bytes)) != NULL) {
        if (a->guest > guest) {
            *bytes = a->guest - guest;
            return;
        }
        co_queue_wait(&a->waiters, &s->lock);
    }
}

/* ---- what is there now ---- */

/* A host cluster that only we refer to. */
static bool is_own(const Qcow2State *s, uint64_t entry)
{
    Qcow2Type type = qcow2_cluster_type(s, entry);

    return entry & QCOW2_OFLAG_COPIED && (type == QCOW2_NORMAL || type == QCOW2_ZERO_ALLOC);
}

/* Are all subclusters of @t's entry @i that [from, to) touches (in the cluster) plain data? */
static bool all_normal(const Qcow2State *s, const Qcow2Table *t, unsigned i, uint64_t from,
                       uint64_t to)
{
    uint64_t entry = qcow2_l2_entry(s, t, i), bitmap = qcow2_l2_bitmap(s, t, i);
    unsigned sc;

    for (sc = from >> s->subcluster_bits; (uint64_t)sc << s->subcluster_bits < to; sc++) {
        if (qcow2_subcluster_type(s, entry, bitmap, sc) != QCOW2_NORMAL) {
            return false;
        }
    }
    return true;
}

/*
 * Where the clusters of [guest, guest + *@bytes) are ours already, in one run on the host. *@plain:
 * nothing of them but data changes.
 */
static void own_run(const Qcow2State *s, const Qcow2Table *t, uint64_t guest, int64_t *bytes,
                    bool *plain)
{
    unsigned i = qcow2_slice_index(s, guest);
    uint64_t first = qcow2_l2_entry(s, t, i) & QCOW2_OFFSET_MASK;
    uint64_t end = qcow2_in_cluster(s, guest) + *bytes, done;

    *plain = all_normal(s, t, i, qcow2_in_cluster(s, guest), MIN(end, s->cluster_size));
    for (done = s->cluster_size; done < end; done += s->cluster_size) {
        uint64_t entry = qcow2_l2_entry(s, t, ++i);

        if (!is_own(s, entry) || (entry & QCOW2_OFFSET_MASK) != first + done ||
            (*plain && !all_normal(s, t, i, 0, MIN(end - done, s->cluster_size)))) {
            break;
        }
    }
    *bytes = MIN(end, done) - qcow2_in_cluster(s, guest);
}

/* The clusters that need a new place. */
static void foreign_run(const Qcow2State *s, const Qcow2Table *t, uint64_t guest, int64_t *bytes)
{
    unsigned i = qcow2_slice_index(s, guest);
    uint64_t end = qcow2_in_cluster(s, guest) + *bytes, done;

    for (done = s->cluster_size; done < end && !is_own(s, qcow2_l2_entry(s, t, ++i));
         done += s->cluster_size) {
    }
    *bytes = MIN(end, done) - qcow2_in_cluster(s, guest);
}

/*
 * What of the old cluster @entry must come along besides [from, to) (in the cluster), which the
 * guest writes: grow the range to whole subclusters, and over those that have data.
 */
static void cow_bounds(const Qcow2State *s, uint64_t entry, uint64_t bitmap, bool keep_old,
                       uint64_t *from, uint64_t *to)
{
    unsigned first = *from >> s->subcluster_bits, last = (*to - 1) >> s->subcluster_bits;
    uint32_t alloc = bitmap;

    if (keep_old) {
        if (qcow2_subcluster_type(s, entry, bitmap, first) != QCOW2_NORMAL) {
            *from = (uint64_t)first << s->subcluster_bits;
        }
        if (qcow2_subcluster_type(s, entry, bitmap, last) != QCOW2_NORMAL) {
            *to = (uint64_t)(last + 1) << s->subcluster_bits;
        }
        return;
    }
    if (qcow2_cluster_type(s, entry) == QCOW2_COMPRESSED) {
        *from = 0;
        *to = s->cluster_size;
        return;
    }
    *from = (uint64_t)first << s->subcluster_bits;
    *to = (uint64_t)(last + 1) << s->subcluster_bits;
    if (qcow2_has_subclusters(s) && qcow2_cluster_type(s, entry) == QCOW2_NORMAL && alloc) {
        *from = MIN(*from, (uint64_t)__builtin_ctz(alloc) << s->subcluster_bits);
        *to = MAX(*to, (uint64_t)(32 - __builtin_clz(alloc)) << s->subcluster_bits);
    }
}

static Qcow2Alloc *new_alloc(Qcow2State *s, const Qcow2Table *t, uint64_t guest, int64_t bytes,
                             bool keep_old)
{
    Qcow2Alloc *a = g_new0(Qcow2Alloc, 1);
    uint64_t end = guest + bytes, last = qcow2_cluster_start(s, end - 1);
    unsigned i = qcow2_slice_index(s, guest), j;
    uint64_t from = qcow2_in_cluster(s, guest), to, dummy;

    a->guest = qcow2_cluster_start(s, guest);
    a->clusters = ((last - a->guest) >> s->cluster_bits) + 1;
    a->keep_old = keep_old;
    a->data_start = guest;
    a->data_end = end;
    j = i + a->clusters - 1;
    to = a->clusters > 1 ? s->cluster_size : end - a->guest;
    cow_bounds(s, qcow2_l2_entry(s, t, i), qcow2_l2_bitmap(s, t, i), keep_old, &from, &to);
    a->cow_start = a->guest + from;
    if (j != i) {
        dummy = 0;
        to = end - last;
        cow_bounds(s, qcow2_l2_entry(s, t, j), qcow2_l2_bitmap(s, t, j), keep_old, &dummy, &to);
    }
    a->cow_end = last + to;
    return a;
}

/* ---- the place ---- */

static int coroutine_fn take_clusters(BlockNode *bn, uint64_t guest, uint32_t clusters,
                                      uint64_t *host)
{
    Qcow2State *s = qcow2_state(bn);
    int64_t offset;

    if (qcow2_has_data_file(s)) {
        *host = qcow2_cluster_start(s, guest);
        return 0;
    }
    offset = qcow2_alloc_clusters(bn, (uint64_t)clusters << s->cluster_bits);
    if (offset == 0) {
        qcow2_signal_corruption(bn, true, -1, -1,
                                "Preventing invalid allocation of data cluster at offset 0");
        return -EIO;
    }
    *host = offset;
    return offset < 0 ? offset : 0;
}

int coroutine_fn qcow2_alloc_placed(BlockNode *bn, uint64_t guest, int64_t *bytes, uint64_t place,
                                    uint64_t *host, Qcow2Alloc **out)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t covered = (uint64_t)s->l2_slice_entries << s->cluster_bits, entry;
    bool plain = false;
    Qcow2Alloc *a;
    Qcow2Table *t;
    int ret;

    *out = NULL;
    avoid_allocs(bn, guest, bytes);
    *bytes = MIN(*bytes, (int64_t)(covered - (guest & (covered - 1))));
    ret = qcow2_slice_get_writable(bn, guest, &t);
    if (ret < 0) {
        return ret;
    }
    entry = qcow2_l2_entry(s, t, qcow2_slice_index(s, guest));
    if (is_own(s, entry)) {
        *host = entry & QCOW2_OFFSET_MASK;
        if (qcow2_in_cluster(s, *host)) {
            qcow2_signal_corruption(bn, true, -1, -1, "%s cluster offset %#" PRIx64
                                    " unaligned (guest offset: %#" PRIx64 ")",
                                    entry & QCOW2_OFLAG_ZERO ? "Preallocated zero" : "Data",
                                    *host, guest);
            ret = -EIO;
            goto out;
        }
        own_run(s, t, guest, bytes, &plain);
        a = plain ? NULL : new_alloc(s, t, guest, *bytes, true);
    } else {
        foreign_run(s, t, guest, bytes);
        a = new_alloc(s, t, guest, *bytes, false);
        *host = place;
        ret = place ? 0 : take_clusters(bn, guest, a->clusters, host);
    }
    if (ret < 0) {
        g_free(a);
        goto out;
    }
    if (a) {
        a->host = *host;
        add_alloc(s, a);
    }
    trace_qcow2_alloc_write(bn, guest, *bytes, *host, a != NULL);
    *host += qcow2_in_cluster(s, guest);
    *out = a;
out:
    qcow2_cache_put(s->l2_cache, t);
    return ret;
}

int coroutine_fn qcow2_alloc_write(BlockNode *bn, uint64_t guest, int64_t *bytes, uint64_t *host,
                                   Qcow2Alloc **out)
{
    return qcow2_alloc_placed(bn, guest, bytes, 0, host, out);
}

/* ---- making it visible ---- */

/* What has to be on disk before the entries. */
static int coroutine_fn order_tables(BlockNode *bn, const Qcow2Alloc *a)
{
    Qcow2State *s = qcow2_state(bn);
    int ret = 0;

    if (!a->keep_old && !qcow2_has_data_file(s)) {
        ret = s->lazy_refcounts ? qcow2_mark_dirty(bn) :
                                  qcow2_cache_depend(s->l2_cache, s->refcount_cache);
    }
    qcow2_cache_depend_flush(s->l2_cache);
    return ret;
}

static uint64_t linked_bitmap(const Qcow2State *s, const Qcow2Alloc *a, uint64_t cluster,
                              uint64_t entry, uint64_t bitmap)
{
    uint64_t from = MAX(a->cow_start, cluster) - cluster, to = MIN(a->cow_end - cluster,
                                                                   (uint64_t)s->cluster_size);
    unsigned first = from >> s->subcluster_bits;
    unsigned count = ((to + s->subcluster_size - 1) >> s->subcluster_bits) - first;
    uint64_t mask = (BIT(count) - 1) << first;

    if (qcow2_cluster_type(s, entry) == QCOW2_COMPRESSED) {
        bitmap = 0;
    }
    return (bitmap | mask) & ~(mask << 32);
}

int coroutine_fn qcow2_alloc_link(BlockNode *bn, Qcow2Alloc *a)
{
    Qcow2State *s = qcow2_state(bn);
    g_autofree uint64_t *old = g_new0(uint64_t, a->clusters);
    Qcow2Table *t;
    uint32_t i;
    int ret;

    ret = order_tables(bn, a);
    if (ret == 0) {
        ret = qcow2_slice_get_writable(bn, a->guest, &t);
    }
    if (ret < 0) {
        qcow2_alloc_abort(bn, a);
        return ret;
    }
    for (i = 0; i < a->clusters; i++) {
        unsigned index = qcow2_slice_index(s, a->guest) + i;
        uint64_t at = (uint64_t)i << s->cluster_bits;
        uint64_t entry = qcow2_l2_entry(s, t, index), bitmap = qcow2_l2_bitmap(s, t, index);

        if (!a->keep_old) {
            old[i] = entry;
        }
        if (qcow2_has_subclusters(s) && !a->prealloc) {
            bitmap = linked_bitmap(s, a, a->guest + at, entry, bitmap);
        }
        qcow2_l2_set(bn, t, index, (a->host + at) | QCOW2_OFLAG_COPIED, bitmap);
    }
    qcow2_cache_put(s->l2_cache, t);
    for (i = 0; i < a->clusters; i++) {
        qcow2_free_any_cluster(bn, old[i], QCOW2_DISCARD_NEVER);
    }
    remove_alloc(s, a);
    return 0;
}

void coroutine_fn qcow2_alloc_abort(BlockNode *bn, Qcow2Alloc *a)
{
    Qcow2State *s = qcow2_state(bn);

    if (a->compressed_bytes) {
        qcow2_free_clusters(bn, a->host, a->compressed_bytes, QCOW2_DISCARD_NEVER);
    } else if (!a->keep_old && !qcow2_has_data_file(s)) {
        qcow2_free_clusters(bn, a->host, (uint64_t)a->clusters << s->cluster_bits,
                            QCOW2_DISCARD_NEVER);
    }
    remove_alloc(s, a);
}

/* ---- compressed clusters ---- */

int coroutine_fn qcow2_alloc_compressed(BlockNode *bn, uint64_t guest, uint32_t bytes,
                                        Qcow2Alloc **out)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t entry;
    Qcow2Alloc *a;
    Qcow2Table *t;
    int64_t host;
    int ret;

    if (qcow2_has_data_file(s)) {
        return -ENOTSUP;
    }
    qcow2_wait_allocs(bn, guest, s->cluster_size);
    ret = qcow2_slice_get_writable(bn, guest, &t);
    if (ret < 0) {
        return ret;
    }
    entry = qcow2_l2_entry(s, t, qcow2_slice_index(s, guest));
    qcow2_cache_put(s->l2_cache, t);
    if (entry & QCOW2_OFLAG_COPIED) {
        /* Compressed data overwrites nothing. */
        return -EIO;
    }
    host = qcow2_alloc_bytes(bn, bytes);
    if (host < 0) {
        return host;
    }
    a = g_new0(Qcow2Alloc, 1);
    a->guest = guest;
    a->clusters = 1;
    a->host = host;
    a->compressed_bytes = bytes;
    add_alloc(s, a);
    *out = a;
    return 0;
}

int coroutine_fn qcow2_link_compressed(BlockNode *bn, Qcow2Alloc *a)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t sectors, old;
    unsigned index = qcow2_slice_index(s, a->guest);
    Qcow2Table *t;
    int ret;

    ret = order_tables(bn, a);
    if (ret == 0) {
        ret = qcow2_slice_get_writable(bn, a->guest, &t);
    }
    if (ret < 0) {
        qcow2_alloc_abort(bn, a);
        return ret;
    }
    sectors = (a->host + a->compressed_bytes - 1) / QCOW2_COMPRESSED_SECTOR -
              a->host / QCOW2_COMPRESSED_SECTOR;
    old = qcow2_l2_entry(s, t, index);
    block_co_debug_event(bn->file, BLKDEBUG_EVENT_L2_UPDATE_COMPRESSED);
    qcow2_l2_set(bn, t, index, a->host | QCOW2_OFLAG_COMPRESSED | sectors << s->csize_shift, 0);
    qcow2_cache_put(s->l2_cache, t);
    qcow2_free_any_cluster(bn, old, QCOW2_DISCARD_NEVER);
    remove_alloc(s, a);
    return 0;
}
