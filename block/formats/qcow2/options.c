/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Run-time options of qcow2 nodes: cache sizes, discards, lazy refcounts, overlap
 * checks. Main thread; taking them into use happens under the driver's lock.
 */
#include "util/osdep.h"
#include "qcow2.h"

#define MAX_L2_CACHE_DEFAULT (32 * MIB)
#define MIN_REFCOUNT_CACHE_TABLES 4
#define CLEAN_INTERVAL_DEFAULT 600
#define L2_ENTRY_BYTES_DEFAULT (64 * KIB)

typedef struct CacheSizes {
    uint64_t all, l2, refcount, l2_entry;
    bool all_given, l2_given, refcount_given, l2_entry_given;
} CacheSizes;

static bool take_sizes(JsonValue *o, CacheSizes *c, Error **errp)
{
    if (!block_option_take_size(o, "cache-size", &c->all, &c->all_given, errp) ||
        !block_option_take_size(o, "l2-cache-size", &c->l2, &c->l2_given, errp) ||
        !block_option_take_size(o, "refcount-cache-size", &c->refcount, &c->refcount_given, errp) ||
        !block_option_take_size(o, "l2-cache-entry-size", &c->l2_entry, &c->l2_entry_given, errp)) {
        return false;
    }
    if (c->all_given && c->l2_given && c->refcount_given) {
        error_setg(errp, "cache-size, l2-cache-size and refcount-cache-size may not be set at the "
                   "same time");
        return false;
    }
    if (c->all_given && c->l2_given && c->l2 > c->all) {
        error_setg(errp, "l2-cache-size may not exceed cache-size");
        return false;
    }
    if (c->all_given && c->refcount_given && c->refcount > c->all) {
        error_setg(errp, "refcount-cache-size may not exceed cache-size");
        return false;
    }
    return true;
}

/* Bytes of L2 tables that cover the whole disk. */
static uint64_t full_l2_bytes(const Qcow2State *s)
{
    return ROUND_UP(DIV_ROUND_UP(s->header.size, (uint64_t)s->cluster_size) * s->l2_entry_size,
                    (uint64_t)s->cluster_size);
}

static bool settle_sizes(const Qcow2State *s, CacheSizes *c, Error **errp)
{
    uint64_t min_refcount = (uint64_t)MIN_REFCOUNT_CACHE_TABLES * s->cluster_size;
    uint64_t full = full_l2_bytes(s);

    if (!c->l2_entry_given) {
        c->l2_entry = MIN((uint64_t)L2_ENTRY_BYTES_DEFAULT, s->cluster_size);
    }
    if (c->l2_entry < 512 || c->l2_entry > s->cluster_size || !IS_POWER_OF_2(c->l2_entry)) {
        error_setg(errp, "L2 cache entry size must be a power of two between %d and the cluster "
                   "size (%u)", 512, s->cluster_size);
        return false;
    }
    if (!c->l2_given) {
        c->l2 = !c->all_given ? MAX_L2_CACHE_DEFAULT :
                c->refcount_given ? c->all - c->refcount :
                c->all >= full + min_refcount ? full :
                c->all > min_refcount ? c->all - min_refcount : 0;
    }
    if (!c->refcount_given) {
        c->refcount = c->all_given && c->all > c->l2 ? c->all - c->l2 : min_refcount;
    }
    c->l2 = MIN(c->l2, full);
    c->l2 = MAX(c->l2, 2 * c->l2_entry);
    c->refcount = MAX(c->refcount, min_refcount);
    if (c->l2 / c->l2_entry > INT32_MAX) {
        error_setg(errp, "L2 cache size too big");
        return false;
    }
    if (c->refcount / s->cluster_size > INT32_MAX) {
        error_setg(errp, "Refcount cache size too big");
        return false;
    }
    return true;
}

bool qcow2_parse_options(BlockNode *bn, JsonValue *options, unsigned open_flags, Qcow2Options *opt,
                         Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    CacheSizes c = { 0 };
    bool given = false;

    *opt = (Qcow2Options) {
        .lazy_refcounts = s->header.compat & QCOW2_COMPAT_LAZY_REFCOUNTS,
        .discard = {
            [QCOW2_DISCARD_ALWAYS] = true,
            [QCOW2_DISCARD_REQUEST] = open_flags & BLOCK_OPEN_UNMAP,
            [QCOW2_DISCARD_SNAPSHOT] = true,
        },
        .clean_interval = CLEAN_INTERVAL_DEFAULT,
    };
    if (!take_sizes(options, &c, errp) || !settle_sizes(s, &c, errp) ||
        !block_option_take_size(options, "cache-clean-interval", &opt->clean_interval, &given,
                                errp) ||
        !block_option_take_bool(options, "lazy-refcounts", &opt->lazy_refcounts, errp) ||
        !block_option_take_bool(options, "pass-discard-request",
                                &opt->discard[QCOW2_DISCARD_REQUEST], errp) ||
        !block_option_take_bool(options, "pass-discard-snapshot",
                                &opt->discard[QCOW2_DISCARD_SNAPSHOT], errp) ||
        !block_option_take_bool(options, "pass-discard-other",
                                &opt->discard[QCOW2_DISCARD_OTHER], errp) ||
        !qcow2_parse_overlap(options, &opt->overlap_check, errp)) {
        return false;
    }
    if (opt->clean_interval > UINT32_MAX) {
        error_setg(errp, "Cache clean interval too big");
        return false;
    }
    if (s->header.version < 3 && opt->lazy_refcounts) {
        error_setg(errp, "Lazy refcounts require a qcow2 image with at least qemu 1.1 "
                   "compatibility level");
        return false;
    }
    opt->l2_cache_bytes = c.l2_given || c.all_given ? c.l2 : 0;
    opt->l2_entry_bytes = c.l2_entry;
    opt->refcount_cache_bytes = c.refcount;
    return true;
}

static void clean_timer(void *opaque)
{
    BlockNode *bn = opaque;
    Qcow2State *s = qcow2_state(bn);

    qcow2_cache_clean_unused(s->l2_cache);
    qcow2_cache_clean_unused(s->refcount_cache);
    timer_arm_ns(&s->clean_timer, clock_now_ns(CLOCK_TYPE_REALTIME) +
                                  (int64_t)s->opt.clean_interval * 1000000000);
}

void qcow2_start_cleaning(BlockNode *bn)
{
    Qcow2State *s = qcow2_state(bn);

    timer_disarm(&s->clean_timer);
    if (s->opt.clean_interval && s->l2_cache) {
        timer_init(&s->clean_timer, bn->loop, CLOCK_TYPE_REALTIME, clean_timer, bn);
        timer_arm_ns(&s->clean_timer, clock_now_ns(CLOCK_TYPE_REALTIME) +
                                      (int64_t)s->opt.clean_interval * 1000000000);
    }
}

/* Caches for the options and size that are in force now; what old ones hold is written. */
int coroutine_fn qcow2_make_caches(BlockNode *bn, Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    uint64_t l2 = s->opt.l2_cache_bytes ? s->opt.l2_cache_bytes :
                                          MIN(MAX_L2_CACHE_DEFAULT, full_l2_bytes(s));
    int ret = 0;

    if (s->l2_cache) {
        ret = qcow2_write_caches(bn);
        if (ret == 0) {
            ret = qcow2_cache_empty(s->l2_cache);
        }
        if (ret == 0) {
            ret = qcow2_cache_empty(s->refcount_cache);
        }
        if (ret < 0) {
            error_setg_errno(errp, -ret, "Failed to flush the metadata caches");
            return ret;
        }
    }
    qcow2_cache_free(s->l2_cache);
    qcow2_cache_free(s->refcount_cache);
    s->l2_cache = qcow2_cache_new(bn, MIN(DIV_ROUND_UP(l2, s->opt.l2_entry_bytes), INT32_MAX),
                                  s->opt.l2_entry_bytes, true);
    s->refcount_cache = qcow2_cache_new(bn, MIN(s->opt.refcount_cache_bytes / s->cluster_size,
                                                INT32_MAX), s->cluster_size, false);
    s->l2_slice_entries = s->opt.l2_entry_bytes / s->l2_entry_size;
    return 0;
}

int coroutine_fn qcow2_apply_options(BlockNode *bn, const Qcow2Options *opt, Error **errp)
{
    Qcow2State *s = qcow2_state(bn);
    int ret;

    s->opt = *opt;
    ret = qcow2_make_caches(bn, errp);
    if (ret < 0) {
        return ret;
    }
    if (s->lazy_refcounts && !opt->lazy_refcounts) {
        ret = qcow2_mark_clean(bn);
        if (ret < 0) {
            error_setg_errno(errp, -ret, "Failed to disable lazy refcounts");
            return ret;
        }
    }
    s->lazy_refcounts = opt->lazy_refcounts;
    return 0;
}
