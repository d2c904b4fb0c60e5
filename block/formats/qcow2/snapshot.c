/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Internal snapshots: a copy of the L1 table, and one more reference to
 * everything below it. VM state lies behind the end of the disk.
 *
 * Coroutines; the node is drained by whoever calls. Order on disk: references are
 * counted before a table has them, and dropped after it lost them.
 */
#include "util/osdep.h"
#include "qcow2.h"

/* ---- counting what a table refers to ---- */

/* Give the entry's flag the value that its cluster's refcount says. */
static uint64_t set_copied(uint64_t entry, uint64_t refcount)
{
    return refcount == 1 ? entry | QCOW2_OFLAG_COPIED : entry & ~QCOW2_OFLAG_COPIED;
}

static int coroutine_fn count_compressed(BlockNode *bn, uint64_t entry, int addend)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t offset;
    uint32_t bytes;

    if (!addend) {
        return 0;
    }
    qcow2_compressed_range(s, entry, &offset, &bytes);
    /* Whole sectors of clusters that they touch. */
    return qcow2_refcount_update(bn, offset, bytes, 1, addend < 0, QCOW2_DISCARD_SNAPSHOT);
}

static int coroutine_fn count_entry(BlockNode *bn, Qcow2Table *t, unsigned i, int addend,
                                    uint64_t table)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t old = qcow2_l2_entry(s, t, i), entry = old & ~QCOW2_OFLAG_COPIED, offset, refcount;
    int ret;

    switch (qcow2_cluster_type(s, entry)) {
    case QCOW2_COMPRESSED:
        ret = count_compressed(bn, entry, addend);
        if (ret < 0) {
            return ret;
        }
        break;
    case QCOW2_NORMAL:
    case QCOW2_ZERO_ALLOC:
        offset = entry & QCOW2_OFFSET_MASK;
        if (qcow2_in_cluster(s, offset)) {
            qcow2_signal_corruption(bn, true, -1, -1, "Cluster allocation offset %#" PRIx64
                                    " unaligned (L2 offset: %#" PRIx64 ", L2 index: %#x)", offset,
                                    table, i);
            return -EIO;
        }
        if (addend) {
            ret = qcow2_refcount_update(bn, offset, s->cluster_size, 1, addend < 0,
                                        QCOW2_DISCARD_SNAPSHOT);
            if (ret < 0) {
                return ret;
            }
        }
        ret = qcow2_refcount_get(bn, offset >> s->cluster_bits, &refcount);
        if (ret < 0) {
            return ret;
        }
        entry = set_copied(entry, refcount);
        break;
    default:
        break;
    }
    if (entry != old) {
        if (addend > 0) {
            /* What is no longer ours alone must be counted before that shows. */
            ret = qcow2_cache_depend(s->l2_cache, s->refcount_cache);
            if (ret < 0) {
                return ret;
            }
        }
        qcow2_l2_set(bn, t, i, entry, qcow2_l2_bitmap(s, t, i));
    }
    return 0;
}

static int coroutine_fn count_table(BlockNode *bn, uint64_t table, int addend)
{
    Qcow2State *s = qcow2_state(bn);
    uint32_t slice_bytes = s->l2_slice_entries * s->l2_entry_size, at;
    int ret = 0;

    for (at = 0; at < s->cluster_size && ret == 0; at += slice_bytes) {
        Qcow2Table *t;
        unsigned i;

        ret = qcow2_cache_get(s->l2_cache, table + at, &t);
        if (ret < 0) {
            return ret;
        }
        for (i = 0; i < s->l2_slice_entries && ret == 0; i++) {
            ret = count_entry(bn, t, i, addend, table);
        }
        qcow2_cache_put(s->l2_cache, t);
    }
    return ret;
}

static int coroutine_fn count_l1(BlockNode *bn, uint64_t *l1, uint32_t entries, int addend)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t refcount;
    uint32_t i;
    int ret;

    for (i = 0; i < entries; i++) {
        uint64_t table = l1[i] & QCOW2_OFFSET_MASK;

        if (!table) {
            continue;
        }
        if (qcow2_in_cluster(s, table)) {
            qcow2_signal_corruption(bn, true, -1, -1, "L2 table offset %#" PRIx64
                                    " unaligned (L1 index: %#x)", table, i);
            return -EIO;
        }
        ret = count_table(bn, table, addend);
        if (ret == 0 && addend) {
            ret = qcow2_refcount_update(bn, table, s->cluster_size, 1, addend < 0,
                                        QCOW2_DISCARD_SNAPSHOT);
        }
        if (ret == 0) {
            ret = qcow2_refcount_get(bn, table >> s->cluster_bits, &refcount);
        }
        if (ret < 0) {
            return ret;
        }
        l1[i] = set_copied(l1[i], refcount);
    }
    return 0;
}

static int coroutine_fn write_l1(BlockNode *bn, uint64_t offset, const uint64_t *l1,
                                 uint32_t entries, unsigned ignore)
{
    g_autofree uint64_t *be = g_try_new(uint64_t, MAX(entries, 1));
    uint32_t i;

    if (!be) {
        return -ENOMEM;
    }
    for (i = 0; i < entries; i++) {
        be[i] = htobe64(l1[i]);
    }
    return entries ? qcow2_meta_write(bn, ignore, offset, be, (uint64_t)entries * 8) : 0;
}

/*
 * Change the count of everything that the L1 table at @l1_offset refers to (@addend 0: only
 * make the flags right). The active table is that in memory.
 */
int coroutine_fn qcow2_snapshot_refcounts(BlockNode *bn, uint64_t l1_offset, uint32_t l1_size,
                                          int addend)
{
    Qcow2State *s = qcow2_state(bn);
    bool active = l1_offset == s->header.l1_offset;
    g_autofree uint64_t *copy = NULL;
    g_autofree uint64_t *before = NULL;
    uint64_t *l1 = s->l1;
    int ret = 0;

    if (!active) {
        ret = qcow2_load_l1(bn, l1_offset, l1_size, &copy);
        if (ret < 0) {
            return ret;
        }
        l1 = copy;
    }
    before = g_memdup2(l1, (size_t)l1_size * 8);
    ret = count_l1(bn, l1, l1_size, addend);
    if (ret == 0) {
        ret = qcow2_write_caches(bn);
    }
    if (ret == 0 && addend >= 0 && l1_size && memcmp(before, l1, (size_t)l1_size * 8)) {
        ret = block_co_flush(bn->file->node);
        if (ret == 0) {
            ret = write_l1(bn, l1_offset, l1, l1_size,
                           active ? QCOW2_OL_ACTIVE_L1 : QCOW2_OL_INACTIVE_L1);
        }
    }
    qcow2_process_discards(bn, ret);
    return ret;
}

/* ---- finding ---- */

static int find(const Qcow2State *s, const char *id, const char *name)
{
    unsigned i;

    for (i = 0; i < s->snapshot_count; i++) {
        if ((id || name) && (!id || !strcmp(s->snapshots[i].id, id)) &&
            (!name || !strcmp(s->snapshots[i].name, name))) {
            return i;
        }
    }
    return -1;
}

static int find_id_or_name(const Qcow2State *s, const char *text)
{
    int i = find(s, text, NULL);

    return i >= 0 ? i : find(s, NULL, text);
}

static char *new_id(const Qcow2State *s)
{
    unsigned long max = 0;
    unsigned i;

    for (i = 0; i < s->snapshot_count; i++) {
        max = MAX(max, strtoul(s->snapshots[i].id, NULL, 10));
    }
    return g_strdup_printf("%lu", max + 1);
}

int qcow2_snapshot_list(BlockNode *bn, BlockSnapshot **list)
{
    Qcow2State *s = qcow2_state(bn);
    unsigned i;

    if (qcow2_has_data_file(s)) {
        return -ENOTSUP;
    }
    *list = g_new0(BlockSnapshot, MAX(s->snapshot_count, 1));
    for (i = 0; i < s->snapshot_count; i++) {
        const Qcow2Snapshot *sn = &s->snapshots[i];
        BlockSnapshot *b = &(*list)[i];

        g_strlcpy(b->id, sn->id, sizeof(b->id));
        g_strlcpy(b->name, sn->name, sizeof(b->name));
        b->vm_state_size = sn->vm_state_size;
        b->date_sec = sn->date_sec;
        b->date_nsec = sn->date_nsec;
        b->vm_clock_nsec = sn->vm_clock_nsec;
        b->icount = sn->icount;
        b->disk_size = sn->disk_size;
    }
    return s->snapshot_count;
}

/* ---- create ---- */

static void append(Qcow2State *s, const Qcow2Snapshot *sn)
{
    s->snapshots = g_renew(Qcow2Snapshot, s->snapshots, s->snapshot_count + 1);
    s->snapshots[s->snapshot_count++] = *sn;
}

static void remove_at(Qcow2State *s, unsigned i)
{
    memmove(&s->snapshots[i], &s->snapshots[i + 1],
            (s->snapshot_count - i - 1) * sizeof(*s->snapshots));
    s->snapshot_count--;
}

static void free_snapshot(Qcow2Snapshot *sn)
{
    g_free(sn->id);
    g_free(sn->name);
    g_free(sn->unknown_extra);
}

static int coroutine_fn create_locked(BlockNode *bn, BlockSnapshot *info)
{
    Qcow2State *s = qcow2_state(bn);
    Qcow2Snapshot sn = {
        .l1_size = s->header.l1_size,
        .name = g_strdup(info->name),
        .disk_size = s->header.size,
        .vm_state_size = info->vm_state_size,
        .date_sec = info->date_sec,
        .date_nsec = info->date_nsec,
        .vm_clock_nsec = info->vm_clock_nsec,
        .icount = info->icount,
        .extra_size = 24,
    };
    int64_t l1_offset;
    int ret;

    sn.id = new_id(s);
    g_strlcpy(info->id, sn.id, sizeof(info->id));
    l1_offset = qcow2_alloc_clusters(bn, MAX((uint64_t)s->header.l1_size, 1) * 8);
    if (l1_offset < 0) {
        ret = l1_offset;
        goto undo_names;
    }
    sn.l1_offset = l1_offset;
    ret = write_l1(bn, l1_offset, s->l1, s->header.l1_size, 0);
    if (ret < 0) {
        goto undo_l1;
    }
    ret = qcow2_snapshot_refcounts(bn, s->header.l1_offset, s->header.l1_size, 1);
    if (ret < 0) {
        goto undo_l1;
    }
    append(s, &sn);
    ret = qcow2_write_snapshots(bn);
    if (ret < 0) {
        /* Some references may be counted once too often: leaks, no more. */
        s->snapshot_count--;
        qcow2_snapshot_refcounts(bn, s->header.l1_offset, s->header.l1_size, -1);
        goto undo_l1;
    }
    /* VM state belongs to the snapshot alone from now on. */
    ret = qcow2_discard_clusters(bn, qcow2_vm_state_offset(s),
                                 ROUND_UP(sn.vm_state_size, (uint64_t)s->cluster_size),
                                 QCOW2_DISCARD_NEVER, true);
    return 0;

undo_l1:
    qcow2_free_clusters(bn, l1_offset, MAX((uint64_t)s->header.l1_size, 1) * 8,
                        QCOW2_DISCARD_ALWAYS);
undo_names:
    free_snapshot(&sn);
    return ret;
}

int coroutine_fn qcow2_co_snapshot_create(BlockNode *bn, BlockSnapshot *snapshot)
{
    Qcow2State *s = qcow2_state(bn);
    int ret;

    if (s->snapshot_count >= QCOW2_MAX_SNAPSHOTS) {
        return -EFBIG;
    }
    if (qcow2_has_data_file(s)) {
        return -ENOTSUP;
    }
    co_mutex_lock(&s->lock);
    qcow2_wait_allocs(bn, 0, INT64_MAX);
    ret = s->dead ? -ENOMEDIUM : create_locked(bn, snapshot);
    co_mutex_unlock(&s->lock);
    return ret;
}

/* ---- goto ---- */

static int coroutine_fn goto_locked(BlockNode *bn, const Qcow2Snapshot *sn)
{
    Qcow2State *s = qcow2_state(bn);
    g_autofree uint64_t *l1 = NULL, *old = NULL;
    Error *err = NULL;
    int ret;

    if (sn->l1_size > QCOW2_MAX_L1_BYTES / 8 || qcow2_in_cluster(s, sn->l1_offset)) {
        return -EFBIG;
    }
    if (sn->disk_size != s->header.size) {
        ret = qcow2_truncate(bn, sn->disk_size, true, PREALLOC_MODE_OFF, &err);
        if (ret < 0) {
            error_report_err(err);
            return ret;
        }
    }
    ret = qcow2_grow_l1(bn, sn->l1_size, true);
    if (ret == 0) {
        ret = qcow2_load_l1(bn, sn->l1_offset, sn->l1_size, &l1);
    }
    if (ret == 0) {
        ret = qcow2_snapshot_refcounts(bn, sn->l1_offset, sn->l1_size, 1);
    }
    if (ret == 0) {
        ret = block_co_flush(bn->file->node);
    }
    if (ret < 0) {
        return ret;
    }
    l1 = g_realloc_n(l1, MAX(s->header.l1_size, 1), 8);
    memset(l1 + sn->l1_size, 0, (size_t)(s->header.l1_size - sn->l1_size) * 8);
    ret = write_l1(bn, s->header.l1_offset, l1, s->header.l1_size, QCOW2_OL_ACTIVE_L1);
    if (ret == 0) {
        ret = block_co_flush(bn->file->node);
    }
    if (ret < 0) {
        return ret;             /* too many references are counted: leaks */
    }
    /* What the old table referred to. */
    old = s->l1;
    s->l1 = g_steal_pointer(&l1);
    qcow2_note_tables(bn);
    ret = count_l1(bn, old, s->header.l1_size, -1);
    qcow2_process_discards(bn, ret);
    if (ret == 0) {
        ret = qcow2_write_caches(bn);
    }
    /* Make the flags of what is active now right. */
    return ret < 0 ? ret : qcow2_snapshot_refcounts(bn, s->header.l1_offset, s->header.l1_size, 0);
}

int coroutine_fn qcow2_co_snapshot_goto(BlockNode *bn, const char *id)
{
    Qcow2State *s = qcow2_state(bn);
    int i, ret;

    if (qcow2_has_data_file(s)) {
        return -ENOTSUP;
    }
    co_mutex_lock(&s->lock);
    qcow2_wait_allocs(bn, 0, INT64_MAX);
    i = find_id_or_name(s, id);
    ret = s->dead ? -ENOMEDIUM : i < 0 ? -ENOENT : goto_locked(bn, &s->snapshots[i]);
    co_mutex_unlock(&s->lock);
    if (ret == 0) {
        block_node_refresh_length(bn, true);
    }
    return ret;
}

/* ---- delete ---- */

static int coroutine_fn delete_locked(BlockNode *bn, unsigned i, Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    Qcow2Snapshot sn = s->snapshots[i];
    int ret;

    if (sn.l1_size > QCOW2_MAX_L1_BYTES / 8 || qcow2_in_cluster(s, sn.l1_offset)) {
        error_setg(errp, "Snapshot L1 table offset invalid");
        return -EINVAL;
    }
    remove_at(s, i);
    ret = qcow2_write_snapshots(bn);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Failed to remove snapshot from snapshot list");
        append(s, &sn);
        return ret;
    }
    ret = qcow2_snapshot_refcounts(bn, sn.l1_offset, sn.l1_size, -1);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Failed to free the cluster and L1 table");
        goto out;
    }
    qcow2_free_clusters(bn, sn.l1_offset, (uint64_t)sn.l1_size * 8, QCOW2_DISCARD_SNAPSHOT);
    qcow2_process_discards(bn, 0);
    ret = qcow2_snapshot_refcounts(bn, s->header.l1_offset, s->header.l1_size, 0);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Failed to update snapshot status in disk");
    }
out:
    free_snapshot(&sn);
    return ret;
}

int coroutine_fn qcow2_co_snapshot_delete(BlockNode *bn, const char *id, const char *name,
                                          Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    int i, ret;

    if (qcow2_has_data_file(s)) {
        error_setg(errp, "Snapshots are not supported with an external data file");
        return -ENOTSUP;
    }
    co_mutex_lock(&s->lock);
    qcow2_wait_allocs(bn, 0, INT64_MAX);
    i = find(s, id, name);
    if (i < 0) {
        error_setg(errp, "Can't find the snapshot");
        ret = -ENOENT;
    } else {
        ret = delete_locked(bn, i, errp);
    }
    co_mutex_unlock(&s->lock);
    return ret;
}

/* ---- showing a snapshot ---- */

int coroutine_fn qcow2_co_snapshot_load_tmp(BlockNode *bn, const char *id, const char *name,
                                            Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    int i = find(s, id, name), ret;
    const Qcow2Snapshot *sn;
    uint64_t *l1;

    if (i < 0) {
        error_setg(errp, "Can't find snapshot");
        return -ENOENT;
    }
    sn = &s->snapshots[i];
    if (sn->l1_size > QCOW2_MAX_L1_BYTES / 8 || qcow2_in_cluster(s, sn->l1_offset) ||
        qcow2_l1_entries_for(s, sn->disk_size) > sn->l1_size || sn->disk_size > BLOCK_MAX_LENGTH) {
        error_setg(errp, "Snapshot L1 table too large");
        return -EFBIG;
    }
    co_mutex_lock(&s->lock);
    ret = qcow2_load_l1(bn, sn->l1_offset, sn->l1_size, &l1);
    if (ret < 0) {
        error_setg(errp, "Failed to read l1 table for snapshot");
    } else {
        g_free(s->l1);
        s->l1 = l1;
        s->header.l1_size = sn->l1_size;
        s->header.l1_offset = sn->l1_offset;
        s->header.size = sn->disk_size;
        qcow2_note_tables(bn);
    }
    co_mutex_unlock(&s->lock);
    if (ret == 0) {
        block_node_refresh_length(bn, true);
    }
    return ret;
}

/* ---- VM state ---- */

int coroutine_fn qcow2_co_vmstate_read(BlockNode *bn, IoVector *v, int64_t pos)
{
    block_co_debug_event(bn->file, BLKDEBUG_EVENT_VMSTATE_LOAD);
    if (pos < 0 || pos > INT64_MAX / 4) {
        return -EIO;
    }
    return qcow2_co_preadv(bn, qcow2_vm_state_offset(qcow2_state(bn)) + pos, v->size, v, 0, 0);
}

int coroutine_fn qcow2_co_vmstate_write(BlockNode *bn, IoVector *v, int64_t pos)
{
    block_co_debug_event(bn->file, BLKDEBUG_EVENT_VMSTATE_SAVE);
    if (pos < 0 || pos > INT64_MAX / 4) {
        return -EFBIG;
    }
    return qcow2_co_pwritev(bn, qcow2_vm_state_offset(qcow2_state(bn)) + pos, v->size, v, 0, 0);
}
