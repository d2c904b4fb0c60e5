/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dirty bitmaps, see block/dirty-bitmap.h: one bit a granule in 64-bit words,
 * and a second level with one bit for each word that is not zero, so that
 * searching an almost clean bitmap is fast.
 */
#include "util/osdep.h"
#include "block/block-int.h"
#include "block/dirty-bitmap.h"
#include "util/bswap.h"

#define BITMAP_MIN_GRANULARITY 512
#define BITMAP_MAX_GRANULARITY (2u << 30)
#define BITMAP_NAME_MAX 1023

struct DirtyBitmap {
    BlockNode *bn;
    DirtyBitmap *next;
    char *name;
    pthread_mutex_t lock;       /* of bits, summary, count, size, enabled */
    unsigned shift;
    int64_t size;
    uint64_t granules, words;
    uint64_t *bits, *summary;
    uint64_t count;             /* dirty granules */
    bool enabled, persistent, busy, readonly, inconsistent;
};

struct DirtyBitmapBackup {
    uint64_t words, count;
    uint64_t *bits, *summary;
};

/* ---- words ---- */

static uint64_t summary_words(uint64_t words)
{
    return DIV_ROUND_UP(words, 64);
}

static bool alloc_bits(DirtyBitmap *b, int64_t size)
{
    b->size = size;
    b->granules = (size >> b->shift) + !!(size & ((INT64_C(1) << b->shift) - 1));
    b->words = DIV_ROUND_UP(b->granules, 64);
    b->bits = g_try_new0(uint64_t, MAX(b->words, 1));
    b->summary = g_try_new0(uint64_t, MAX(summary_words(b->words), 1));
    return b->bits && b->summary;
}

static void update_summary(DirtyBitmap *b, uint64_t word)
{
    uint64_t mask = UINT64_C(1) << word % 64;

    if (b->bits[word]) {
        b->summary[word / 64] |= mask;
    } else {
        b->summary[word / 64] &= ~mask;
    }
}

/* The part of @word that lies in granules [first, last]. */
static uint64_t word_mask(uint64_t word, uint64_t first, uint64_t last)
{
    uint64_t mask = UINT64_MAX;

    if (word == first / 64) {
        mask &= UINT64_MAX << first % 64;
    }
    if (word == last / 64) {
        mask &= UINT64_MAX >> (63 - last % 64);
    }
    return mask;
}

static void change_granules(DirtyBitmap *b, uint64_t first, uint64_t last, bool set)
{
    uint64_t w;

    for (w = first / 64; w <= last / 64; w++) {
        uint64_t mask = word_mask(w, first, last), old = b->bits[w];

        if (!set && !old) {
            continue;
        }
        b->bits[w] = set ? old | mask : old & ~mask;
        b->count += __builtin_popcountll(b->bits[w]);
        b->count -= __builtin_popcountll(old);
        update_summary(b, w);
    }
}

/* The first dirty granule in [first, end), or @end. */
static uint64_t find_dirty(const DirtyBitmap *b, uint64_t first, uint64_t end)
{
    uint64_t w = first / 64, s, bits;

    if (first >= end) {
        return end;
    }
    bits = b->bits[w] & (UINT64_MAX << first % 64);
    if (!bits) {
        w++;
        for (s = w / 64; s < summary_words(b->words); s++) {
            uint64_t sum = b->summary[s];

            if (s == w / 64) {
                sum &= UINT64_MAX << w % 64;
            }
            if (sum) {
                w = s * 64 + __builtin_ctzll(sum);
                bits = b->bits[w];
                break;
            }
        }
    }
    return bits ? MIN(end, w * 64 + __builtin_ctzll(bits)) : end;
}

static uint64_t find_clear(const DirtyBitmap *b, uint64_t first, uint64_t end)
{
    uint64_t w;

    for (w = first / 64; w * 64 < end; w++) {
        uint64_t bits = ~b->bits[w];

        if (w == first / 64) {
            bits &= UINT64_MAX << first % 64;
        }
        if (bits) {
            return MIN(end, w * 64 + __builtin_ctzll(bits));
        }
    }
    return end;
}

/* ---- life ---- */

uint32_t dirty_bitmap_default_granularity(BlockNode *bn)
{
    return 65536;
}

static bool check_new(BlockNode *bn, uint32_t granularity, const char *name, Error **errp)
{
    if (granularity < BITMAP_MIN_GRANULARITY || granularity > BITMAP_MAX_GRANULARITY ||
        !IS_POWER_OF_2(granularity)) {
        error_setg(errp, granularity < BITMAP_MIN_GRANULARITY ?
                   "Granularity must be at least 512" : "Granularity must be power of 2");
        return false;
    }
    if (name && !*name) {
        error_setg(errp, "Bitmap name cannot be empty");
        return false;
    }
    if (name && strlen(name) > BITMAP_NAME_MAX) {
        error_setg(errp, "Bitmap name too long: %s", name);
        return false;
    }
    if (name && dirty_bitmap_find(bn, name)) {
        error_setg(errp, "Bitmap already exists: %s", name);
        return false;
    }
    return true;
}

DirtyBitmap *dirty_bitmap_new(BlockNode *bn, uint32_t granularity, const char *name, Error **errp)
{
    DirtyBitmap *b;

    if (!check_new(bn, granularity, name, errp)) {
        return NULL;
    }
    b = g_new0(DirtyBitmap, 1);
    b->shift = __builtin_ctz(granularity);
    if (!alloc_bits(b, bn->total_bytes)) {
        error_setg(errp, "Out of memory for a bitmap of %" PRIu64 " granules", b->granules);
        g_free(b->bits);
        g_free(b->summary);
        g_free(b);
        return NULL;
    }
    b->bn = bn;
    b->name = g_strdup(name);
    b->enabled = true;
    pthread_mutex_init(&b->lock, NULL);
    b->next = bn->dirty_bitmaps;
    bn->dirty_bitmaps = b;
    return b;
}

void dirty_bitmap_free(DirtyBitmap *b)
{
    DirtyBitmap **p;

    if (!b) {
        return;
    }
    for (p = &b->bn->dirty_bitmaps; *p != b; p = &(*p)->next) {
    }
    *p = b->next;
    pthread_mutex_destroy(&b->lock);
    g_free(b->bits);
    g_free(b->summary);
    g_free(b->name);
    g_free(b);
}

void dirty_bitmap_free_node(BlockNode *bn)
{
    while (bn->dirty_bitmaps) {
        dirty_bitmap_free(bn->dirty_bitmaps);
    }
}

DirtyBitmap *dirty_bitmap_find(BlockNode *bn, const char *name)
{
    DirtyBitmap *b;

    for (b = bn->dirty_bitmaps; b; b = b->next) {
        if (b->name && !strcmp(b->name, name)) {
            return b;
        }
    }
    return NULL;
}

DirtyBitmap *dirty_bitmap_next(BlockNode *bn, DirtyBitmap *b)
{
    return b ? b->next : bn->dirty_bitmaps;
}

bool dirty_bitmap_check(DirtyBitmap *b, unsigned refuse, Error **errp)
{
    if ((refuse & DIRTY_BITMAP_BUSY) && b->busy) {
        error_setg(errp, "Bitmap '%s' is currently in use by another operation and cannot be used",
                   b->name);
        return false;
    }
    if ((refuse & DIRTY_BITMAP_READONLY) && b->readonly) {
        error_setg(errp, "Bitmap '%s' is readonly and cannot be modified", b->name);
        return false;
    }
    if ((refuse & DIRTY_BITMAP_INCONSISTENT) && b->inconsistent) {
        error_setg(errp, "Bitmap '%s' is inconsistent and cannot be used", b->name);
        error_append_hint(errp, "Try block-dirty-bitmap-remove to delete this bitmap from disk\n");
        return false;
    }
    return true;
}

/* ---- state ---- */

const char *dirty_bitmap_name(const DirtyBitmap *b)
{
    return b->name;
}

BlockNode *dirty_bitmap_node(const DirtyBitmap *b)
{
    return b->bn;
}

uint32_t dirty_bitmap_granularity(const DirtyBitmap *b)
{
    return 1u << b->shift;
}

int64_t dirty_bitmap_size(const DirtyBitmap *b)
{
    return b->size;
}

bool dirty_bitmap_enabled(const DirtyBitmap *b)
{
    return b->enabled;
}

void dirty_bitmap_set_enabled(DirtyBitmap *b, bool on)
{
    pthread_mutex_lock(&b->lock);
    b->enabled = on;
    pthread_mutex_unlock(&b->lock);
}

bool dirty_bitmap_persistent(const DirtyBitmap *b)
{
    return b->persistent;
}

void dirty_bitmap_set_persistent(DirtyBitmap *b, bool on)
{
    b->persistent = on;
}

bool dirty_bitmap_busy(const DirtyBitmap *b)
{
    return b->busy;
}

void dirty_bitmap_set_busy(DirtyBitmap *b, bool on)
{
    b->busy = on;
}

bool dirty_bitmap_readonly(const DirtyBitmap *b)
{
    return b->readonly;
}

void dirty_bitmap_set_readonly(DirtyBitmap *b, bool on)
{
    b->readonly = on;
}

bool dirty_bitmap_inconsistent(const DirtyBitmap *b)
{
    return b->inconsistent;
}

void dirty_bitmap_set_inconsistent(DirtyBitmap *b)
{
    pthread_mutex_lock(&b->lock);
    b->inconsistent = true;
    b->enabled = false;
    pthread_mutex_unlock(&b->lock);
}

/* ---- content ---- */

bool dirty_bitmap_get(DirtyBitmap *b, int64_t offset)
{
    uint64_t g = offset >> b->shift;
    bool dirty = false;

    pthread_mutex_lock(&b->lock);
    if (offset >= 0 && offset < b->size) {
        dirty = b->bits[g / 64] >> g % 64 & 1;
    }
    pthread_mutex_unlock(&b->lock);
    return dirty;
}

int64_t dirty_bitmap_count(DirtyBitmap *b)
{
    int64_t bytes;
    uint64_t last = b->granules - 1;

    pthread_mutex_lock(&b->lock);
    bytes = b->count << b->shift;
    /* The last granule may be cut off by the end of the disk. */
    if (b->granules && (b->bits[last / 64] >> last % 64 & 1)) {
        bytes -= (int64_t)(b->granules << b->shift) - b->size;
    }
    pthread_mutex_unlock(&b->lock);
    return bytes;
}

/* Under the lock. */
static void set_locked(DirtyBitmap *b, int64_t offset, int64_t bytes)
{
    int64_t end = MIN(offset + bytes, b->size);

    if (offset < end) {
        change_granules(b, offset >> b->shift, (end - 1) >> b->shift, true);
    }
}

void dirty_bitmap_set(DirtyBitmap *b, int64_t offset, int64_t bytes)
{
    pthread_mutex_lock(&b->lock);
    set_locked(b, offset, bytes);
    pthread_mutex_unlock(&b->lock);
}

void dirty_bitmap_reset(DirtyBitmap *b, int64_t offset, int64_t bytes)
{
    int64_t granule = INT64_C(1) << b->shift;
    int64_t start = ROUND_UP(offset, granule), end = offset + bytes;

    pthread_mutex_lock(&b->lock);
    /* The end of the disk ends the last granule. */
    end = end >= b->size ? b->size : ROUND_DOWN(end, granule);
    if (start < end) {
        change_granules(b, start >> b->shift, (end - 1) >> b->shift, false);
    }
    pthread_mutex_unlock(&b->lock);
}

/* Under the lock. The first byte of a state in [start, end), -1: none. */
static int64_t next_locked(const DirtyBitmap *b, int64_t start, int64_t end, bool dirty)
{
    uint64_t last, g;

    end = MIN(end, b->size);
    if (start < 0 || start >= end) {
        return -1;
    }
    last = ((end - 1) >> b->shift) + 1;
    g = dirty ? find_dirty(b, start >> b->shift, last) : find_clear(b, start >> b->shift, last);
    return g == last ? -1 : MAX(start, (int64_t)(g << b->shift));
}

static int64_t range_end(int64_t offset, int64_t bytes)
{
    return bytes > INT64_MAX - offset ? INT64_MAX : offset + bytes;
}

int64_t dirty_bitmap_next_dirty(DirtyBitmap *b, int64_t offset, int64_t bytes)
{
    int64_t ret;

    pthread_mutex_lock(&b->lock);
    ret = next_locked(b, offset, range_end(offset, bytes), true);
    pthread_mutex_unlock(&b->lock);
    return ret;
}

int64_t dirty_bitmap_next_clear(DirtyBitmap *b, int64_t offset, int64_t bytes)
{
    int64_t ret;

    pthread_mutex_lock(&b->lock);
    ret = next_locked(b, offset, range_end(offset, bytes), false);
    pthread_mutex_unlock(&b->lock);
    return ret;
}

bool dirty_bitmap_next_area(DirtyBitmap *b, int64_t start, int64_t end, int64_t max,
                            int64_t *area_start, int64_t *area_bytes)
{
    int64_t from, to;

    pthread_mutex_lock(&b->lock);
    from = next_locked(b, start, end, true);
    if (from >= 0) {
        end = MIN(MIN(end, b->size), range_end(from, max));
        to = next_locked(b, from, end, false);
        *area_start = from;
        *area_bytes = (to < 0 ? end : to) - from;
    }
    pthread_mutex_unlock(&b->lock);
    return from >= 0;
}

void dirty_bitmap_clear(DirtyBitmap *b, DirtyBitmapBackup **backup)
{
    pthread_mutex_lock(&b->lock);
    if (backup) {
        *backup = g_new0(DirtyBitmapBackup, 1);
        (*backup)->words = b->words;
        (*backup)->count = b->count;
        (*backup)->bits = b->bits;
        (*backup)->summary = b->summary;
        b->bits = g_new0(uint64_t, MAX(b->words, 1));
        b->summary = g_new0(uint64_t, MAX(summary_words(b->words), 1));
    } else {
        memset(b->bits, 0, b->words * sizeof(uint64_t));
        memset(b->summary, 0, summary_words(b->words) * sizeof(uint64_t));
    }
    b->count = 0;
    pthread_mutex_unlock(&b->lock);
}

/* Under the lock; the same geometry. */
static void merge_words(DirtyBitmap *b, const uint64_t *bits, uint64_t words)
{
    uint64_t w;

    for (w = 0; w < MIN(words, b->words); w++) {
        if (bits[w] & ~b->bits[w]) {
            b->count += __builtin_popcountll(bits[w] & ~b->bits[w]);
            b->bits[w] |= bits[w];
            update_summary(b, w);
        }
    }
}

void dirty_bitmap_restore(DirtyBitmap *b, DirtyBitmapBackup *backup)
{
    pthread_mutex_lock(&b->lock);
    merge_words(b, backup->bits, backup->words);
    pthread_mutex_unlock(&b->lock);
    dirty_bitmap_backup_free(backup);
}

void dirty_bitmap_backup_free(DirtyBitmapBackup *backup)
{
    if (backup) {
        g_free(backup->bits);
        g_free(backup->summary);
        g_free(backup);
    }
}

bool dirty_bitmap_merge(DirtyBitmap *dst, const DirtyBitmap *src, Error **errp)
{
    DirtyBitmap *from = (DirtyBitmap *)src;     /* for its lock */
    int64_t at = 0, bytes;

    if (dst == src) {
        return true;
    }
    if (dst->size != src->size) {
        error_setg(errp, "Bitmaps are of different sizes (destination size is %" PRId64
                   ", source size is %" PRId64 ") and can't be merged", dst->size, src->size);
        return false;
    }
    /* Each lock by itself: the source may grow meanwhile, and nothing is lost by that. */
    while (dirty_bitmap_next_area(from, at, src->size, INT64_MAX, &at, &bytes)) {
        dirty_bitmap_set(dst, at, bytes);
        at += bytes;
    }
    return true;
}

/* ---- storing ---- */

uint64_t dirty_bitmap_serial_size(const DirtyBitmap *b, int64_t offset, int64_t bytes)
{
    uint64_t first = offset >> b->shift;
    uint64_t end = bytes ? ((offset + bytes - 1) >> b->shift) + 1 : first;

    /* Ranges begin at multiples of 64 granules, and end there or at the end of the disk. */
    assert(first % 64 == 0);
    return DIV_ROUND_UP(end - first, 64) * 8;
}

void dirty_bitmap_serialize(DirtyBitmap *b, uint8_t *buf, int64_t offset, int64_t bytes)
{
    uint64_t w, n = dirty_bitmap_serial_size(b, offset, bytes) / 8;
    uint64_t first = (offset >> b->shift) / 64;

    pthread_mutex_lock(&b->lock);
    for (w = 0; w < n; w++) {
        store_le64(buf + 8 * w, first + w < b->words ? b->bits[first + w] : 0);
    }
    pthread_mutex_unlock(&b->lock);
}

void dirty_bitmap_deserialize(DirtyBitmap *b, const uint8_t *buf, int64_t offset, int64_t bytes)
{
    uint64_t w, n = dirty_bitmap_serial_size(b, offset, bytes) / 8;
    uint64_t first = (offset >> b->shift) / 64;

    pthread_mutex_lock(&b->lock);
    for (w = 0; w < n && first + w < b->words; w++) {
        uint64_t i = first + w, bits = load_le64(buf + 8 * w);

        /* Bits beyond the end mean nothing. */
        if (i == b->words - 1 && b->granules % 64) {
            bits &= UINT64_MAX >> (64 - b->granules % 64);
        }
        b->count += __builtin_popcountll(bits);
        b->count -= __builtin_popcountll(b->bits[i]);
        b->bits[i] = bits;
        update_summary(b, i);
    }
    pthread_mutex_unlock(&b->lock);
}

/* ---- all bitmaps of a node ---- */

void dirty_bitmap_mark_node(BlockNode *bn, int64_t offset, int64_t bytes)
{
    DirtyBitmap *b;

    for (b = bn->dirty_bitmaps; b; b = b->next) {
        pthread_mutex_lock(&b->lock);
        if (b->enabled) {
            set_locked(b, offset, bytes);
        }
        pthread_mutex_unlock(&b->lock);
    }
}

void dirty_bitmap_resize_node(BlockNode *bn, int64_t bytes)
{
    DirtyBitmap *b;

    for (b = bn->dirty_bitmaps; b; b = b->next) {
        uint64_t *bits = b->bits, *summary = b->summary;
        uint64_t words = b->words, granules;

        pthread_mutex_lock(&b->lock);
        if (!alloc_bits(b, bytes)) {
            g_error("out of memory for a bitmap of %" PRIu64 " granules", b->granules);
        }
        granules = b->granules;
        b->count = 0;
        if (granules && granules % 64 && words >= b->words) {
            bits[b->words - 1] &= UINT64_MAX >> (64 - granules % 64);
        }
        merge_words(b, bits, words);
        pthread_mutex_unlock(&b->lock);
        g_free(bits);
        g_free(summary);
    }
}

BlockDirtyInfoList *dirty_bitmap_query(BlockNode *bn)
{
    BlockDirtyInfoList *list = NULL, **tail = &list;
    DirtyBitmap *b;

    for (b = bn->dirty_bitmaps; b; b = b->next) {
        BlockDirtyInfo *info = g_new0(BlockDirtyInfo, 1);

        info->count = dirty_bitmap_count(b);
        info->granularity = dirty_bitmap_granularity(b);
        info->name = g_strdup(b->name);
        info->recording = b->enabled;
        info->busy = b->busy;
        info->persistent = b->persistent;
        info->has_inconsistent = info->inconsistent = b->inconsistent;
        *tail = g_new0(BlockDirtyInfoList, 1);
        (*tail)->value = info;
        tail = &(*tail)->next;
    }
    return list;
}
