/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checking and repairing qcow2 images: references are counted by walking all
 * tables, then compared with the refcounts on disk. Findings go to stderr, a line
 * each.
 *
 * Coroutines under the driver's lock, with the node drained. The image may hold
 * anything: each table is visited once, and every offset is checked before use.
 */
#include "util/osdep.h"
#include "check.h"

/* ---- counts in memory ---- */

uint64_t qcow2_check_count(const Qcow2Check *c, uint64_t cluster)
{
    return cluster < c->clusters ? qcow2_refcount_in(c->counts, cluster, c->order) : 0;
}

void qcow2_check_set(Qcow2Check *c, uint64_t cluster, uint64_t count)
{
    qcow2_refcount_set_in(c->counts, cluster, c->order, count);
}

bool qcow2_check_resize(Qcow2Check *c, uint64_t clusters)
{
    size_t old = c->clusters << c->order >> 3, bytes = clusters << c->order >> 3;
    uint8_t *p;

    if (clusters <= c->clusters) {
        return true;
    }
    p = clusters > SIZE_MAX >> 4 ? NULL : g_try_realloc(c->counts, bytes);
    if (!p) {
        return false;
    }
    memset(p + old, 0, bytes - old);
    c->counts = p;
    c->clusters = clusters;
    return true;
}

int coroutine_fn qcow2_check_refer(void *opaque, uint64_t offset, uint64_t bytes)
{
    Qcow2Check *c = opaque;
    Qcow2State *s = qcow2_state(c->bn);
    uint64_t cluster, end, max = MIN(s->refcount_max, BIT(1u << MIN(c->order, 5u)) - 1);

    if (bytes == 0) {
        return 0;
    }
    if (offset > INT64_MAX - bytes ||
        (int64_t)(offset + bytes) - c->file_bytes >= (int64_t)s->cluster_size) {
        fprintf(stderr, "ERROR: counting reference for region exceeding the end of the file by "
                "one cluster or more: offset 0x%" PRIx64 " size 0x%" PRIx64 "\n", offset, bytes);
        c->res->corruptions++;
        return 0;
    }
    end = (offset + bytes + s->cluster_size - 1) >> s->cluster_bits;
    if (!qcow2_check_resize(c, end)) {
        c->res->check_errors++;
        return -ENOMEM;
    }
    for (cluster = offset >> s->cluster_bits; cluster < end; cluster++) {
        uint64_t count = qcow2_check_count(c, cluster);

        if (count >= max) {
            fprintf(stderr, "ERROR: overflow cluster offset=0x%" PRIx64 "\n",
                    cluster << s->cluster_bits);
            fprintf(stderr, "Use qemu-img amend to increase the refcount entry width or qemu-img "
                    "convert to create a clean copy if the image cannot be opened for writing\n");
            c->res->corruptions++;
        } else {
            qcow2_check_set(c, cluster, count + 1);
        }
    }
    return 0;
}

/* ---- refcount structures ---- */

/* A block beyond the end of the file: with FIX_ERRORS the file grows so that it has one. */
static int coroutine_fn block_outside(Qcow2Check *c, uint64_t index, uint64_t offset)
{
    Qcow2State *s = qcow2_state(c->bn);
    Error *err = NULL;
    uint64_t end = offset + s->cluster_size;

    fprintf(stderr, "%s refcount block %" PRIu64 " is outside image\n",
            c->fix & BLOCK_FIX_ERRORS ? "Repairing" : "ERROR", index);
    if (!(c->fix & BLOCK_FIX_ERRORS) || end > BLOCK_MAX_LENGTH) {
        c->res->corruptions++;
        c->rebuild = end > BLOCK_MAX_LENGTH || c->rebuild;
        return 0;
    }
    /* Only a little beyond: where a crash cut the file. Otherwise all is made anew. */
    if (end - c->file_bytes <= 64 * MIB &&
        block_co_truncate(c->bn->file, end, false, PREALLOC_MODE_OFF, 0, &err) >= 0) {
        c->file_bytes = c->bn->file->node->total_bytes;
        c->res->corruptions_fixed++;
        return qcow2_check_refer(c, offset, s->cluster_size);
    }
    error_free(err);
    c->res->corruptions++;
    c->rebuild = true;
    fprintf(stderr, "ERROR could not resize image: %s\n", strerror(EINVAL));
    return 0;
}

static int coroutine_fn check_blocks(Qcow2Check *c)
{
    Qcow2State *s = qcow2_state(c->bn);
    uint32_t i;
    int ret;

    for (i = 0; i < s->reftable_size; i++) {
        uint64_t entry = s->reftable[i], offset = entry & QCOW2_REFTABLE_MASK;

        if (entry & QCOW2_REFTABLE_RESERVED) {
            fprintf(stderr, "ERROR refcount table entry %u has reserved bits set\n", i);
            c->res->corruptions++;
            c->rebuild = true;
            continue;
        }
        if (!offset) {
            continue;
        }
        if (qcow2_in_cluster(s, offset)) {
            fprintf(stderr, "ERROR refcount block %u is not cluster aligned; refcount table entry "
                    "corrupted\n", i);
            c->res->corruptions++;
            c->rebuild = true;
            continue;
        }
        if ((int64_t)offset >= c->file_bytes || offset > INT64_MAX) {
            ret = block_outside(c, i, offset);
        } else {
            ret = qcow2_check_refer(c, offset, s->cluster_size);
            if (ret == 0 && qcow2_check_count(c, offset >> s->cluster_bits) != 1) {
                fprintf(stderr, "ERROR refcount block %u refcount=%" PRIu64 "\n", i,
                        qcow2_check_count(c, offset >> s->cluster_bits));
                c->res->corruptions++;
                c->rebuild = true;
            }
        }
        if (ret < 0) {
            return ret;
        }
    }
    return 0;
}

static int coroutine_fn count_all(Qcow2Check *c)
{
    Qcow2State *s = qcow2_state(c->bn);
    int ret = qcow2_check_tables(c);

    if (ret == 0) {
        ret = qcow2_check_refer(c, s->header.reftable_offset, (uint64_t)s->reftable_size * 8);
    }
    return ret < 0 ? ret : check_blocks(c);
}

/* ---- comparing ---- */

static void coroutine_fn compare_one(Qcow2Check *c, unsigned fix, uint64_t cluster, uint64_t disk,
                                     uint64_t counted)
{
    Qcow2State *s = qcow2_state(c->bn);
    uint64_t *fixed = NULL, diff = disk > counted ? disk - counted : counted - disk;
    int ret;

    if (disk == 0) {
        /* A used cluster that may be given away at any time: nothing may be allocated. */
        c->rebuild = true;
    } else if (disk > counted && fix & BLOCK_FIX_LEAKS) {
        fixed = &c->res->leaks_fixed;
    } else if (disk < counted && fix & BLOCK_FIX_ERRORS) {
        fixed = &c->res->corruptions_fixed;
    }
    fprintf(stderr, "%s cluster %" PRIu64 " refcount=%" PRIu64 " reference=%" PRIu64 "\n",
            fixed ? "Repairing" : disk < counted ? "ERROR" : "Leaked", cluster, disk, counted);
    if (fixed) {
        ret = qcow2_refcount_update(c->bn, cluster << s->cluster_bits, 1, diff, disk > counted,
                                    QCOW2_DISCARD_ALWAYS);
        if (ret == 0) {
            (*fixed)++;
            return;
        }
    }
    if (disk < counted) {
        c->res->corruptions++;
    } else {
        c->res->leaks++;
    }
}

static void coroutine_fn compare(Qcow2Check *c, unsigned fix, uint64_t *highest)
{
    Qcow2State *s = qcow2_state(c->bn);
    uint64_t end = MAX(c->clusters, qcow2_clusters(s, c->file_bytes)), i, disk;

    *highest = 0;
    for (i = 0; i < end; i++) {
        uint64_t counted = qcow2_check_count(c, i);
        int ret = qcow2_refcount_get(c->bn, i, &disk);

        if (ret < 0) {
            fprintf(stderr, "Can't get refcount for cluster %" PRIu64 ": %s\n", i, strerror(-ret));
            c->res->check_errors++;
            continue;
        }
        if (disk || counted) {
            *highest = i;
        }
        if (disk != counted) {
            compare_one(c, fix, i, disk, counted);
        }
    }
}

/* ---- the whole ---- */

static int coroutine_fn rebuild(Qcow2Check *c, uint64_t *highest)
{
    BlockCheckResult *res = c->res, old = *res;
    int ret;

    fprintf(stderr, "Rebuilding refcount structure\n");
    ret = qcow2_check_rebuild(c);
    if (ret < 0) {
        res->check_errors++;
        return ret;
    }
    res->corruptions = res->leaks = 0;
    res->allocated_clusters = res->fragmented_clusters = res->compressed_clusters = 0;
    c->rebuild = false;
    c->next_contiguous = 0;
    /* Without the old structures, which leaked. */
    g_clear_pointer(&c->counts, g_free);
    c->clusters = 0;
    c->file_bytes = c->bn->file->node->total_bytes;
    ret = count_all(c);
    if (ret < 0) {
        return ret;
    }
    compare(c, BLOCK_FIX_LEAKS, highest);
    /* The old structures are no finding. */
    res->corruptions_fixed += old.corruptions - MIN(res->corruptions, old.corruptions);
    res->leaks_fixed = old.leaks_fixed + old.leaks - MIN(res->leaks, old.leaks);
    return 0;
}

/* First what is wrong, then what can be done about it. */
static int coroutine_fn compare_and_fix(Qcow2Check *c, uint64_t *highest)
{
    BlockCheckResult before = *c->res;

    compare(c, 0, highest);
    if (c->rebuild && c->fix & BLOCK_FIX_ERRORS) {
        c->res->check_errors = before.check_errors;     /* the rest was about unreadable counts */
        return rebuild(c, highest);
    }
    if (c->rebuild && c->fix) {
        fprintf(stderr, "ERROR need to rebuild refcount structures\n");
        return -EIO;
    }
    if (c->fix && (c->res->leaks || c->res->corruptions)) {
        *c->res = before;
        compare(c, c->fix, highest);
    }
    return 0;
}

int coroutine_fn qcow2_check_locked(BlockNode *bn, BlockCheckResult *res, unsigned fix)
{
    Qcow2State *s = qcow2_state(bn);
    Qcow2Check c = {
        .bn = bn, .res = res, .fix = fix, .order = MAX(s->refcount_order, 4),
        .file_bytes = bn->file->node->total_bytes,
    };
    uint64_t highest = 0, snapshot_faults = 0;
    int ret, snapshots = 0;

    /* Mapping tables are read from the disk. */
    ret = qcow2_write_caches(bn);
    if (ret < 0) {
        res->check_errors++;
        return ret;
    }
    if (bn->open_flags & BLOCK_OPEN_CHECK) {
        snapshots = qcow2_check_fix_snapshot_table(bn, res, fix);
        if (snapshots < 0) {
            return snapshots;
        }
        if (snapshots > 0) {
            snapshot_faults = res->corruptions;
            res->corruptions = 0;
        }
    }
    res->total_clusters = qcow2_clusters(s, s->header.size);
    if (!qcow2_check_resize(&c, qcow2_clusters(s, c.file_bytes))) {
        res->check_errors++;
        return -ENOMEM;
    }
    ret = count_all(&c);
    if (ret < 0) {
        goto out;
    }
    ret = compare_and_fix(&c, &highest);
    if (ret < 0) {
        goto out;
    }
    if (c.rebuild && !(fix & BLOCK_FIX_ERRORS) && res->corruptions == 0) {
        res->corruptions++;
    }
    ret = qcow2_check_copied(bn, res, fix);
    if (ret == 0 && snapshots > 0) {
        ret = qcow2_write_snapshots(bn);
        *(ret == 0 ? &res->corruptions_fixed : &res->corruptions) += snapshot_faults;
    }
    res->image_end_offset = (highest + 1) << s->cluster_bits;
out:
    g_free(c.counts);
    return ret;
}

int coroutine_fn qcow2_co_check(BlockNode *bn, BlockCheckResult *res, unsigned fix)
{
    Qcow2State *s = qcow2_state(bn);
    int ret;

    co_mutex_lock(&s->lock);
    qcow2_wait_allocs(bn, 0, INT64_MAX);
    ret = s->dead ? -ENOMEDIUM : qcow2_check_locked(bn, res, fix);
    if (fix && ret == 0) {
        s->free_cluster = s->free_byte = 0;
        ret = qcow2_write_caches(bn);
    }
    if (fix && ret == 0 && res->check_errors == 0 && res->corruptions == 0) {
        ret = qcow2_mark_clean(bn);
        if (ret == 0) {
            ret = qcow2_mark_consistent(bn);
        }
    }
    co_mutex_unlock(&s->lock);
    return ret;
}
