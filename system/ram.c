/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RAM blocks: host memory that guests see, found by address through a sorted
 * table that readers use without a lock, and its dirty bitmaps.
 *
 * Threads: blocks are made by the main thread (a memory back end's helper may
 * touch the pages meanwhile); references and dirty bits from any thread. A
 * block stays mapped until its last reference goes.
 */
#include "util/osdep.h"
#include <sys/mman.h>
#include <sys/stat.h>
#include "memory-internal.h"
#include "util/rcu.h"

/* Immutable, published whole. Sorted by host address. */
typedef struct RamTable {
    unsigned count;
    RamBlock *blocks[];
} RamTable;

static RamTable *ram_table;
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;

static void publish_table(RamTable *t)
{
    RamTable *old = ram_table;

    rcu_assign(ram_table, t);
    if (old) {
        rcu_free_later(old, g_free);
    }
}

/* Fails when the name is taken. */
static bool table_add(RamBlock *rb)
{
    unsigned n, at = 0;
    bool ok = true;

    pthread_mutex_lock(&table_lock);
    n = ram_table ? ram_table->count : 0;
    RamTable *t = g_malloc(sizeof(*t) + (n + 1) * sizeof(t->blocks[0]));
    for (unsigned i = 0; i < n; i++) {
        ok = ok && strcmp(ram_table->blocks[i]->id, rb->id);
        at += ram_table->blocks[i]->host < rb->host;
    }
    if (ok) {
        t->count = n + 1;
        if (n) {
            memcpy(t->blocks, ram_table->blocks, at * sizeof(t->blocks[0]));
            memcpy(t->blocks + at + 1, ram_table->blocks + at, (n - at) * sizeof(t->blocks[0]));
        }
        t->blocks[at] = rb;
        publish_table(t);
    } else {
        g_free(t);
    }
    pthread_mutex_unlock(&table_lock);
    return ok;
}

static void table_del(const RamBlock *rb)
{
    pthread_mutex_lock(&table_lock);
    unsigned n = ram_table->count, out = 0;
    RamTable *t = g_malloc(sizeof(*t) + n * sizeof(t->blocks[0]));
    for (unsigned i = 0; i < n; i++) {
        if (ram_table->blocks[i] != rb) {
            t->blocks[out++] = ram_table->blocks[i];
        }
    }
    t->count = out;
    publish_table(t);
    pthread_mutex_unlock(&table_lock);
}

void ram_block_retire(RamBlock *rb)
{
    pthread_mutex_lock(&table_lock);
    rb->id[0] = '\0';
    pthread_mutex_unlock(&table_lock);
}

/* ---- mapping ---- */

/*
 * The start of a block (boot data, tables, small guests) is written in a few
 * places long before it is used; huge pages there would cost start-up time and
 * memory for nothing.
 */
#define SMALL_PAGES_BELOW (16 * MIB)

/*
 * Anonymous memory of at least a huge page is aligned to one. Sets errno on
 * failure. The file or the flags decide everything else.
 */
static void *map_aligned(uint64_t size, uint64_t align, int prot, int flags, int fd, uint64_t offset)
{
    size_t page = sysconf(_SC_PAGESIZE);
    uint8_t *base, *host;
    uint64_t total;

    if (align <= page) {
        return mmap(NULL, size, prot, flags, fd, offset);
    }
    if (__builtin_add_overflow(size, align, &total)) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    base = mmap(NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) {
        return base;
    }
    host = (uint8_t *)ROUND_UP((uintptr_t)base, align);
    if (mmap(host, size, prot, flags | MAP_FIXED, fd, offset) == MAP_FAILED) {
        int err = errno;
        munmap(base, total);
        errno = err;
        return MAP_FAILED;
    }
    if (host > base) {
        munmap(base, host - base);
    }
    uint8_t *end = host + ROUND_UP(size, page);
    if (end < base + total) {
        munmap(end, base + total - end);
    }
    return host;
}

static void advise(const RamBlock *rb, const RamOptions *opts)
{
    if (rb->fd < 0 && rb->size > SMALL_PAGES_BELOW) {
        madvise(rb->host + SMALL_PAGES_BELOW, rb->size - SMALL_PAGES_BELOW, MADV_HUGEPAGE);
    }
    /* Helpers that we start have no business with guest memory. */
    madvise(rb->host, rb->size, MADV_DONTFORK);
    if (!opts->dump) {
        madvise(rb->host, rb->size, MADV_DONTDUMP);
    }
    if (opts->merge) {
        madvise(rb->host, rb->size, MADV_MERGEABLE);
    }
}

static int new_memfd(const char *id, uint64_t size, Error **errp)
{
    int fd = memfd_create(id, MFD_CLOEXEC);

    if (fd < 0) {
        error_setg_errno(errp, errno, "cannot create shared memory for '%s'", id);
        return -1;
    }
    if (ftruncate(fd, size) < 0) {
        error_setg_errno(errp, errno, "cannot set up %" PRIu64 " bytes of shared memory for '%s'", size, id);
        close(fd);
        return -1;
    }
    return fd;
}

static bool map_block(RamBlock *rb, const RamOptions *opts, Error **errp)
{
    int prot = PROT_READ | (opts->readonly ? 0 : PROT_WRITE);
    int flags = (opts->shared ? MAP_SHARED : MAP_PRIVATE) | (opts->noreserve ? MAP_NORESERVE : 0);
    uint64_t align = opts->align;
    int fd = opts->fd;

    if (fd < 0 && opts->shared) {
        fd = new_memfd(opts->id, opts->size, errp);
        if (fd < 0) {
            return false;
        }
    }
    if (fd < 0) {
        flags |= MAP_ANONYMOUS;
        if (!align && opts->size >= 2 * MIB) {
            align = 2 * MIB;
        }
    }
    align = MAX(align, rb->page_size);
    rb->host = map_aligned(opts->size, align, prot, flags, fd, opts->fd_offset);
    if (rb->host == MAP_FAILED) {
        error_setg_errno(errp, errno, "cannot set up guest memory '%s'", opts->id);
        if (fd >= 0 && fd != opts->fd) {
            close(fd);
        }
        return false;
    }
    rb->fd = fd;
    return true;
}

static void free_block(void *p)
{
    RamBlock *rb = p;

    munmap(rb->host, rb->size);
    if (rb->fd >= 0) {
        close(rb->fd);
    }
    for (int c = 0; c < DIRTY_CLIENT_COUNT; c++) {
        g_free(rb->dirty[c]);
    }
    g_free(rb);
}

RamBlock *ram_block_new(const RamOptions *opts, Error **errp)
{
    RamBlock *rb;
    size_t host_page = sysconf(_SC_PAGESIZE);

    if (!opts->size || opts->size > INT64_MAX) {
        error_setg(errp, "guest memory '%s' cannot have a size of %" PRIu64 " bytes", opts->id, opts->size);
        return NULL;
    }
    rb = g_new0(RamBlock, 1);
    if (g_strlcpy(rb->id, opts->id, sizeof(rb->id)) >= sizeof(rb->id)) {
        error_setg(errp, "the name '%s' of guest memory is longer than %zu characters", opts->id, sizeof(rb->id) - 1);
        goto undo_alloc;
    }
    rb->refs = 1;
    rb->size = opts->size;
    rb->max_size = opts->size;
    rb->page_size = opts->page_size ? opts->page_size : host_page;
    rb->fd_offset = opts->fd_offset;
    rb->shared = opts->shared;
    rb->readonly = opts->readonly;
    if (!map_block(rb, opts, errp)) {
        goto undo_alloc;
    }
    advise(rb, opts);
    for (int c = 0; c < DIRTY_CLIENT_COUNT; c++) {
        if (memory_dirty_log_clients() & BIT(c)) {
            ram_block_dirty_start(rb, c);
        }
    }
    if (!table_add(rb)) {
        /* One of that name may have been removed, and only wait for its readers. */
        rcu_drain();
        flat_view_destroy_dead();
    } else {
        return rb;
    }
    if (!table_add(rb)) {
        error_setg(errp, "guest memory '%s' exists already", opts->id);
        goto undo_map;
    }
    return rb;

undo_map:
    if (rb->fd == opts->fd) {
        rb->fd = -1;    /* stays the caller's */
    }
    free_block(rb);
    return NULL;
undo_alloc:
    g_free(rb);
    return NULL;
}

void ram_block_ref(RamBlock *rb)
{
    atomic_fetch_add(&rb->refs, 1);
}

void ram_block_unref(RamBlock *rb)
{
    if (rb && atomic_fetch_sub(&rb->refs, 1) == 1) {
        table_del(rb);
        rcu_free_later(rb, free_block);
    }
}

void ram_block_foreach(void (*fn)(RamBlock *rb, void *opaque), void *opaque)
{
    rcu_read_lock();
    RamTable *t = rcu_dereference(ram_table);
    for (unsigned i = 0; t && i < t->count; i++) {
        fn(t->blocks[i], opaque);
    }
    rcu_read_unlock();
}

RamBlock *ram_block_find(const char *id)
{
    RamBlock *found = NULL;

    rcu_read_lock();
    RamTable *t = rcu_dereference(ram_table);
    for (unsigned i = 0; t && i < t->count && !found; i++) {
        if (!strcmp(t->blocks[i]->id, id)) {
            found = t->blocks[i];
        }
    }
    rcu_read_unlock();
    return found;
}

static __thread unsigned last_block;    /* a hint, checked on use */

bool guest_ram_block_of(const void *host, RamBlock **rb, uint64_t *offset)
{
    RamTable *t = rcu_dereference(ram_table);
    const uint8_t *p = host;
    unsigned lo = 0, hi = t ? t->count : 0;

    if (last_block < hi && p >= t->blocks[last_block]->host &&
        p < t->blocks[last_block]->host + t->blocks[last_block]->size) {
        lo = last_block;
    } else {
        while (hi - lo > 1) {
            unsigned mid = lo + (hi - lo) / 2;
            if (t->blocks[mid]->host <= p) {
                lo = mid;
            } else {
                hi = mid;
            }
        }
        if (lo >= hi || p < t->blocks[lo]->host || p >= t->blocks[lo]->host + t->blocks[lo]->size) {
            return false;
        }
        last_block = lo;
    }
    *rb = t->blocks[lo];
    *offset = p - t->blocks[lo]->host;
    return true;
}

void ram_block_discard(void *host, uint64_t len)
{
    RamBlock *rb;
    uint64_t offset, first, end;

    rcu_read_lock();
    if (guest_ram_block_of(host, &rb, &offset) && !rb->readonly && len <= rb->size - offset) {
        first = ROUND_UP(offset, rb->page_size);
        end = ROUND_DOWN(offset + len, rb->page_size);
        if (first >= end) {
            /* Less than a page. */
        } else if (rb->fd < 0) {
            madvise(rb->host + first, end - first, MADV_DONTNEED);
        } else if (rb->shared) {
            fallocate(rb->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, rb->fd_offset + first, end - first);
        }
    }
    rcu_read_unlock();
}

/* ---- dirty bitmaps ---- */

static uint64_t block_pages(const RamBlock *rb)
{
    return DIV_ROUND_UP(rb->size, DIRTY_PAGE_SIZE);
}

void ram_block_dirty_start(RamBlock *rb, DirtyClient client)
{
    if (rb->dirty_users[client]++ == 0) {
        rcu_assign(rb->dirty[client], g_new0(uint64_t, DIV_ROUND_UP(block_pages(rb), 64)));
    }
}

void ram_block_dirty_stop(RamBlock *rb, DirtyClient client)
{
    assert(rb->dirty_users[client]);
    if (--rb->dirty_users[client] == 0) {
        uint64_t *old = rb->dirty[client];
        rcu_assign(rb->dirty[client], (uint64_t *)NULL);
        rcu_free_later(old, g_free);
    }
}

/* The bits of word @w that belong to pages [first, last]. */
static uint64_t word_mask(uint64_t w, uint64_t first, uint64_t last)
{
    uint64_t mask = UINT64_MAX;

    if (w == first / 64) {
        mask &= UINT64_MAX << (first % 64);
    }
    if (w == last / 64) {
        mask &= UINT64_MAX >> (63 - last % 64);
    }
    return mask;
}

void ram_block_set_dirty(RamBlock *rb, uint64_t offset, uint64_t len)
{
    bool locked = false;

    for (int c = 0; c < DIRTY_CLIENT_COUNT && len; c++) {
        if (LIKELY(!atomic_load(&rb->dirty[c]))) {
            continue;
        }
        if (!locked) {
            rcu_read_lock();
            locked = true;
        }
        uint64_t *map = rcu_dereference(rb->dirty[c]);
        uint64_t first = offset / DIRTY_PAGE_SIZE, last = (offset + len - 1) / DIRTY_PAGE_SIZE;
        for (uint64_t w = first / 64; map && w <= last / 64; w++) {
            atomic_fetch_or(&map[w], word_mask(w, first, last));
        }
    }
    if (locked) {
        rcu_read_unlock();
    }
}

void ram_block_merge_dirty(RamBlock *rb, uint64_t offset, const uint64_t *bitmap, uint64_t pages)
{
    uint64_t start = offset / DIRTY_PAGE_SIZE / 64;
    unsigned shift = offset / DIRTY_PAGE_SIZE % 64;

    rcu_read_lock();
    for (int c = 0; c < DIRTY_CLIENT_COUNT; c++) {
        uint64_t *map = rcu_dereference(rb->dirty[c]);
        for (uint64_t w = 0; map && w < DIV_ROUND_UP(pages, 64); w++) {
            uint64_t bits = bitmap[w];
            if (w == pages / 64) {
                bits &= BIT(pages % 64) - 1;
            }
            if (bits << shift) {
                atomic_fetch_or(&map[start + w], bits << shift);
            }
            if (shift && bits >> (64 - shift)) {
                atomic_fetch_or(&map[start + w + 1], bits >> (64 - shift));
            }
        }
    }
    rcu_read_unlock();
}

bool ram_block_test_and_clear_dirty(RamBlock *rb, DirtyClient client, uint64_t offset, uint64_t len)
{
    uint64_t seen = 0;

    rcu_read_lock();
    uint64_t *map = rcu_dereference(rb->dirty[client]);
    if (map && len) {
        uint64_t first = offset / DIRTY_PAGE_SIZE, last = (offset + len - 1) / DIRTY_PAGE_SIZE;
        for (uint64_t w = first / 64; w <= last / 64; w++) {
            uint64_t mask = word_mask(w, first, last);
            if (atomic_load(&map[w]) & mask) {
                seen |= atomic_fetch_and(&map[w], ~mask) & mask;
            }
        }
    }
    rcu_read_unlock();
    return seen != 0;
}

uint64_t ram_block_take_dirty(RamBlock *rb, DirtyClient client, uint64_t from, uint64_t max, uint64_t *count)
{
    uint64_t pages = block_pages(rb), page = from, first;

    *count = 0;
    rcu_read_lock();
    uint64_t *map = rcu_dereference(rb->dirty[client]);
    /* Whole words without a bit cost one load. */
    while (map && page < pages) {
        uint64_t bits = atomic_load(&map[page / 64]) >> (page % 64);

        if (bits) {
            page += __builtin_ctzll(bits);
            break;
        }
        page = ROUND_DOWN(page, 64) + 64;
    }
    first = page;
    while (map && page < pages && *count < max &&
           (atomic_load(&map[page / 64]) & BIT(page % 64)) &&
           (atomic_fetch_and(&map[page / 64], ~BIT(page % 64)) & BIT(page % 64))) {
        page++;
        (*count)++;
    }
    rcu_read_unlock();
    return first;
}

uint64_t ram_block_dirty_pages(RamBlock *rb, DirtyClient client)
{
    uint64_t n = 0;

    rcu_read_lock();
    uint64_t *map = rcu_dereference(rb->dirty[client]);
    for (uint64_t w = 0; map && w < DIV_ROUND_UP(block_pages(rb), 64); w++) {
        n += __builtin_popcountll(atomic_load(&map[w]));
    }
    rcu_read_unlock();
    return n;
}
