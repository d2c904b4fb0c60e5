/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the qcow2 driver share (see docs/devel/qcow2.md).
 *
 * All I/O runs in coroutines on the node's loop. Metadata changes only under
 * Qcow2State.lock; guest data is read and written without it. Nothing in the
 * image is trusted: offsets, lengths and counts are checked where they are read.
 */
#ifndef BLOCK_FORMATS_QCOW2_H
#define BLOCK_FORMATS_QCOW2_H

#include "block/block-int.h"
#include "block/dirty-bitmap.h"
#include "block/image.h"
#include "block/options.h"
#include "util/bswap.h"

/* ---- on disk ---- */

#define QCOW2_MAGIC 0x514649fb
#define QCOW2_V2_HEADER_SIZE 72
#define QCOW2_V3_HEADER_MIN 104
#define QCOW2_V3_HEADER_SIZE 112
#define QCOW2_MIN_CLUSTER_BITS 9
#define QCOW2_MAX_CLUSTER_BITS 21
#define QCOW2_MAX_L1_BYTES (32 * MIB)
#define QCOW2_MAX_REFTABLE_BYTES (8 * MIB)
#define QCOW2_MAX_SNAPSHOTS 65536
#define QCOW2_MAX_SNAPSHOT_EXTRA 1024
#define QCOW2_MAX_SNAPSHOT_TABLE_BYTES (1024 * (uint64_t)QCOW2_MAX_SNAPSHOTS)
#define QCOW2_MAX_BACKING_NAME 1023
#define QCOW2_MAX_DATA_FILE_NAME 4096

enum {
    QCOW2_INCOMPAT_DIRTY = 1,
    QCOW2_INCOMPAT_CORRUPT = 2,
    QCOW2_INCOMPAT_DATA_FILE = 4,
    QCOW2_INCOMPAT_COMPRESSION = 8,
    QCOW2_INCOMPAT_EXTL2 = 16,
    QCOW2_INCOMPAT_ALL = 31,
    QCOW2_COMPAT_LAZY_REFCOUNTS = 1,
    QCOW2_COMPAT_ALL = 1,
    QCOW2_AUTOCLEAR_BITMAPS = 1,
    QCOW2_AUTOCLEAR_DATA_FILE_RAW = 2,
    QCOW2_AUTOCLEAR_ALL = 3,
};

enum { QCOW2_CRYPT_NONE, QCOW2_CRYPT_AES, QCOW2_CRYPT_LUKS };

#define QCOW2_EXT_END 0
#define QCOW2_EXT_BACKING_FORMAT 0xe2792aca
#define QCOW2_EXT_FEATURE_TABLE 0x6803f857
#define QCOW2_EXT_CRYPTO_HEADER 0x0537be77
#define QCOW2_EXT_BITMAPS 0x23852875
#define QCOW2_EXT_DATA_FILE 0x44415441

#define QCOW2_OFLAG_COPIED (UINT64_C(1) << 63)
#define QCOW2_OFLAG_COMPRESSED (UINT64_C(1) << 62)
#define QCOW2_OFLAG_ZERO UINT64_C(1)
#define QCOW2_OFFSET_MASK UINT64_C(0x00fffffffffffe00)
#define QCOW2_L1_RESERVED UINT64_C(0x7f000000000001ff)
#define QCOW2_L2_RESERVED UINT64_C(0x3f000000000001fe)
#define QCOW2_REFTABLE_MASK UINT64_C(0xfffffffffffffe00)
#define QCOW2_REFTABLE_RESERVED UINT64_C(0x1ff)

#define QCOW2_EXTL2_SUBCLUSTERS 32
#define QCOW2_BITMAP_ALL_ALLOC UINT64_C(0x00000000ffffffff)
#define QCOW2_BITMAP_ALL_ZERO UINT64_C(0xffffffff00000000)
#define QCOW2_COMPRESSED_SECTOR 512

/* The header's fields, in host byte order; those that v2 lacks have its implied values. */
typedef struct Qcow2Header {
    uint32_t version;
    uint64_t backing_offset;
    uint32_t backing_len;
    uint32_t cluster_bits;
    uint64_t size;
    uint32_t crypt_method;
    uint32_t l1_size;
    uint64_t l1_offset;
    uint64_t reftable_offset;
    uint32_t reftable_clusters;
    uint32_t snapshots;
    uint64_t snapshots_offset;
    uint64_t incompat, compat, autoclear;
    uint32_t refcount_order;
    uint32_t header_length;
    uint8_t compression;
} Qcow2Header;

/* A header extension that we do not know: it is kept. */
typedef struct Qcow2UnknownExt {
    uint32_t magic, len;
    uint8_t *data;
    struct Qcow2UnknownExt *next;
} Qcow2UnknownExt;

/* ---- in memory ---- */

typedef enum Qcow2Type {
    QCOW2_UNALLOCATED_PLAIN,    /* no host cluster */
    QCOW2_UNALLOCATED_ALLOC,    /* a host cluster, but this subcluster shows the backing file */
    QCOW2_ZERO_PLAIN,
    QCOW2_ZERO_ALLOC,
    QCOW2_NORMAL,
    QCOW2_COMPRESSED,
    QCOW2_INVALID,
} Qcow2Type;

/* A run of guest bytes of one kind, contiguous on the host where it has a place there. */
typedef struct Qcow2Extent {
    Qcow2Type type;
    bool copied;                /* all its clusters have refcount 1 */
    int64_t bytes;
    uint64_t host;              /* of the first byte; compressed: the whole L2 entry */
} Qcow2Extent;

typedef struct Qcow2Cache Qcow2Cache;
typedef struct Qcow2Table Qcow2Table;

/* A table (or slice of one) in a cache. */
struct Qcow2Table {
    uint64_t offset;            /* 0: free */
    uint8_t *data;
    unsigned ref;
    bool dirty;
    bool used;                  /* since the last clean-up */
    uint32_t dirty_from, dirty_to;
    Qcow2Table *hash_next;
    Qcow2Table *prev, *next;    /* by last use, newest first */
};

/* A write that has host clusters and is not yet visible in the L2 table. */
typedef struct Qcow2Alloc Qcow2Alloc;
struct Qcow2Alloc {
    uint64_t guest;             /* cluster aligned */
    uint64_t host;
    uint32_t clusters;
    bool keep_old;              /* the host clusters are those that the entries have already */
    uint32_t compressed_bytes;  /* 0: not compressed */
    bool prealloc;              /* a place only: subclusters stay what they are */
    uint64_t data_start, data_end;      /* guest bytes that the request writes */
    uint64_t cow_start, cow_end;        /* around them: what becomes allocated */
    CoQueue waiters;
    Qcow2Alloc *next;
};

typedef struct Qcow2Snapshot {
    uint64_t l1_offset;
    uint32_t l1_size;
    char *id, *name;
    uint64_t disk_size, vm_state_size;
    uint32_t date_sec, date_nsec;
    uint64_t vm_clock_nsec, icount;
    uint32_t extra_size;        /* as read from the image */
    uint8_t *unknown_extra;     /* beyond what we know */
    uint32_t unknown_extra_size;
} Qcow2Snapshot;

typedef struct Qcow2BitmapEntry {
    uint64_t table_offset;
    uint32_t table_size;        /* entries */
    uint32_t flags;
    uint8_t granularity_bits;
    char *name;
} Qcow2BitmapEntry;
enum { QCOW2_BITMAP_IN_USE = 1, QCOW2_BITMAP_AUTO = 2 };

typedef enum Qcow2Overlap {
    QCOW2_OL_MAIN_HEADER = 1,
    QCOW2_OL_ACTIVE_L1 = 2,
    QCOW2_OL_ACTIVE_L2 = 4,
    QCOW2_OL_REFCOUNT_TABLE = 8,
    QCOW2_OL_REFCOUNT_BLOCK = 16,
    QCOW2_OL_SNAPSHOT_TABLE = 32,
    QCOW2_OL_INACTIVE_L1 = 64,
    QCOW2_OL_INACTIVE_L2 = 128,
    QCOW2_OL_BITMAP_DIRECTORY = 256,
    QCOW2_OL_COUNT = 9,
    QCOW2_OL_CONSTANT = QCOW2_OL_MAIN_HEADER | QCOW2_OL_ACTIVE_L1 | QCOW2_OL_REFCOUNT_TABLE |
                        QCOW2_OL_SNAPSHOT_TABLE | QCOW2_OL_BITMAP_DIRECTORY,
    QCOW2_OL_CACHED = QCOW2_OL_CONSTANT | QCOW2_OL_ACTIVE_L2 | QCOW2_OL_REFCOUNT_BLOCK |
                      QCOW2_OL_INACTIVE_L1,
    QCOW2_OL_ALL = QCOW2_OL_CACHED | QCOW2_OL_INACTIVE_L2,
} Qcow2Overlap;

/* Who drops clusters: decides whether the file below hears of it. */
typedef enum Qcow2Discard {
    QCOW2_DISCARD_NEVER, QCOW2_DISCARD_ALWAYS, QCOW2_DISCARD_REQUEST, QCOW2_DISCARD_SNAPSHOT,
    QCOW2_DISCARD_OTHER, QCOW2_DISCARD_COUNT,
} Qcow2Discard;

/* What options determine; replaced as a whole at reopen. */
typedef struct Qcow2Options {
    bool lazy_refcounts;
    bool discard[QCOW2_DISCARD_COUNT];
    unsigned overlap_check;
    uint64_t l2_cache_bytes, refcount_cache_bytes, l2_entry_bytes;
    uint64_t clean_interval;    /* seconds; 0: never */
} Qcow2Options;

typedef struct Qcow2Run {
    uint64_t start, end;        /* cluster numbers */
} Qcow2Run;

typedef struct Qcow2State {
    Qcow2Header header;
    unsigned cluster_bits;
    uint32_t cluster_size;
    uint32_t subclusters;       /* per cluster: 1 or 32 */
    unsigned subcluster_bits;
    uint32_t subcluster_size;
    unsigned l2_entry_size;     /* 8 or 16 */
    unsigned l2_bits;           /* log2 of entries per L2 table */
    unsigned refcount_order;    /* log2 of the width */
    unsigned refblock_bits;     /* log2 of entries per refcount block */
    uint64_t refcount_max;
    unsigned csize_shift;
    uint64_t csize_mask, coffset_mask;

    CoMutex lock;
    BlockChild *data_file;      /* bn->file without an external one */
    char *data_file_name;
    bool data_file_raw;
    bool dead;                  /* corruption was found: nothing works any more */
    bool corruption_told;
    bool lazy_refcounts;        /* as it is used now */
    bool metadata_preallocation, metadata_preallocation_checked;
    Qcow2Options opt;

    uint64_t *l1;               /* host byte order */
    uint64_t *reftable;
    uint32_t reftable_size;     /* entries */
    uint32_t reftable_used;     /* index of the last used entry + 1 */
    bool reftable_checked;      /* no two entries name one block */
    Qcow2Cache *l2_cache, *refcount_cache;
    uint32_t l2_slice_entries;
    Timer clean_timer;

    uint64_t free_cluster;      /* there is no free cluster below this one */
    uint64_t free_byte;         /* in a cluster of compressed data; 0: none */
    /* Freed, but what is on disk may still refer to it; sorted. */
    GArray *quarantine;         /* Qcow2Run */
    /* To be told to the file below; sorted. */
    GArray *discards;           /* Qcow2Run, bytes */
    /* Guest data I/O, in two groups so that one can be waited for. */
    unsigned io_group, io_count[2];
    CoQueue io_wait;

    Qcow2Alloc *allocs;
    GHashTable *meta_clusters;  /* cluster number: QCOW2_OL_ACTIVE_L2 or QCOW2_OL_REFCOUNT_BLOCK */

    Qcow2Snapshot *snapshots;
    unsigned snapshot_count;
    uint64_t snapshot_table_bytes;

    uint32_t bitmap_count;
    uint64_t bitmap_directory_bytes, bitmap_directory_offset;

    uint64_t crypto_header_offset, crypto_header_bytes;
    struct CryptoBlock *crypto;
    bool crypt_physical_offset;

    uint8_t *extra_header;      /* header bytes beyond what we know */
    size_t extra_header_size;
    Qcow2UnknownExt *unknown_exts;
} Qcow2State;

static inline Qcow2State *qcow2_state(BlockNode *bn)
{
    return bn->opaque;
}

static inline uint64_t qcow2_in_cluster(const Qcow2State *s, uint64_t offset)
{
    return offset & (s->cluster_size - 1);
}

static inline uint64_t qcow2_cluster_start(const Qcow2State *s, uint64_t offset)
{
    return offset & ~(uint64_t)(s->cluster_size - 1);
}

/* Of any number below 2^63. */
static inline uint64_t qcow2_clusters(const Qcow2State *s, uint64_t bytes)
{
    return (bytes + s->cluster_size - 1) >> s->cluster_bits;
}

static inline bool qcow2_has_data_file(const Qcow2State *s)
{
    return s->header.incompat & QCOW2_INCOMPAT_DATA_FILE;
}

static inline bool qcow2_has_subclusters(const Qcow2State *s)
{
    return s->subclusters > 1;
}

/* Bytes of guest disk that one L1 entry covers: 2^this. */
static inline unsigned qcow2_l1_shift(const Qcow2State *s)
{
    return s->cluster_bits + s->l2_bits;
}

static inline uint64_t qcow2_l1_entries_for(const Qcow2State *s, uint64_t bytes)
{
    unsigned shift = qcow2_l1_shift(s);

    return (bytes >> shift) + !!(bytes & (BIT(shift) - 1));
}

/* Where VM state begins, in the numbering of guest offsets. */
static inline int64_t qcow2_vm_state_offset(const Qcow2State *s)
{
    return (int64_t)qcow2_l1_entries_for(s, s->header.size) << qcow2_l1_shift(s);
}

/* ---- header.c ---- */

/* Parse and check @buf (the file's first @len bytes, at least 72). */
bool qcow2_header_parse(Qcow2Header *h, const uint8_t *buf, size_t len, Error **errp);
/* Set what follows from the header: sizes, shifts. */
void qcow2_apply_header(Qcow2State *s);
/* The extensions in @buf[from, to); errors are those of open. */
bool coroutine_fn qcow2_read_extensions(BlockNode *bn, const uint8_t *buf, uint64_t from,
                                        uint64_t to, GString *feature_names, Error **errp);
void qcow2_free_extensions(Qcow2State *s);
/* Rewrite the whole header cluster from the state. 0 or -errno. */
int coroutine_fn qcow2_write_header(BlockNode *bn);
/* Change feature bits on disk, at once and with a flush; in memory when that worked. */
int coroutine_fn qcow2_write_features(BlockNode *bn, uint64_t incompat, uint64_t autoclear,
                                      bool flush);
int coroutine_fn qcow2_mark_dirty(BlockNode *bn);
int coroutine_fn qcow2_mark_clean(BlockNode *bn);
int coroutine_fn qcow2_mark_corrupt(BlockNode *bn);
int coroutine_fn qcow2_mark_consistent(BlockNode *bn);
bool qcow2_report_features(const GString *names, uint64_t unknown, Error **errp);

/* ---- cache.c: lock held; peek also without ---- */

Qcow2Cache *qcow2_cache_new(BlockNode *bn, uint32_t tables, uint32_t table_size, bool is_l2);
void qcow2_cache_free(Qcow2Cache *c);
/* Pins the table; put it back. */
int coroutine_fn qcow2_cache_get(Qcow2Cache *c, uint64_t offset, Qcow2Table **t);
int coroutine_fn qcow2_cache_get_empty(Qcow2Cache *c, uint64_t offset, Qcow2Table **t);
void qcow2_cache_put(Qcow2Cache *c, Qcow2Table *t);
/* Only when it is there; valid until the next yield. */
Qcow2Table *qcow2_cache_peek(Qcow2Cache *c, uint64_t offset);
void qcow2_cache_dirty(Qcow2Cache *c, Qcow2Table *t, uint32_t from, uint32_t bytes);
/* Before @c is written, @on must be on disk. May write. */
int coroutine_fn qcow2_cache_depend(Qcow2Cache *c, Qcow2Cache *on);
/* Before @c is written, everything written so far must be on disk. */
void qcow2_cache_depend_flush(Qcow2Cache *c);
int coroutine_fn qcow2_cache_write(Qcow2Cache *c);
/* The same, and then to disk. */
int coroutine_fn qcow2_cache_flush(Qcow2Cache *c);
/* Forget, dirty or not, what lies in the range. */
void qcow2_cache_discard(Qcow2Cache *c, uint64_t offset, uint64_t bytes);
/* Write, then forget all. */
int coroutine_fn qcow2_cache_empty(Qcow2Cache *c);
void qcow2_cache_drop_all(Qcow2Cache *c);
void qcow2_cache_clean_unused(Qcow2Cache *c);
bool qcow2_cache_is_dirty(const Qcow2Cache *c);

/* ---- refcount.c: lock held ---- */

uint64_t qcow2_refcount_in(const void *block, uint64_t index, unsigned order);
void qcow2_refcount_set_in(void *block, uint64_t index, unsigned order, uint64_t value);
int coroutine_fn qcow2_refcount_load(BlockNode *bn, Error **errp);
int coroutine_fn qcow2_refcount_get(BlockNode *bn, uint64_t cluster, uint64_t *refcount);
/* Of all clusters that [offset, offset + bytes) touches. */
int coroutine_fn qcow2_refcount_update(BlockNode *bn, uint64_t offset, uint64_t bytes,
                                       uint64_t addend, bool decrease, Qcow2Discard type);
int64_t coroutine_fn qcow2_alloc_clusters(BlockNode *bn, uint64_t bytes);
/* As many as are free at @offset, up to @clusters; or -errno. */
int64_t coroutine_fn qcow2_alloc_clusters_at(BlockNode *bn, uint64_t offset, int64_t clusters);
/* For compressed data. */
int64_t coroutine_fn qcow2_alloc_bytes(BlockNode *bn, uint32_t bytes);
/* Errors leak the clusters, no more. */
void coroutine_fn qcow2_free_clusters(BlockNode *bn, uint64_t offset, uint64_t bytes,
                                      Qcow2Discard type);
/* What the L2 entry @entry refers to. */
void coroutine_fn qcow2_free_any_cluster(BlockNode *bn, uint64_t entry, Qcow2Discard type);
int coroutine_fn qcow2_update_reftable_entry(BlockNode *bn, uint64_t index, uint64_t value);
/* A free range that nothing refers to, without taking it. */
int64_t coroutine_fn qcow2_find_free(BlockNode *bn, uint64_t bytes, uint64_t max);
void coroutine_fn qcow2_process_discards(BlockNode *bn, int ret);
/* Everything that refers to freed clusters is gone from the disk after this. */
int coroutine_fn qcow2_barrier(BlockNode *bn);
void qcow2_io_begin(Qcow2State *s, unsigned *group);
void qcow2_io_end(Qcow2State *s, unsigned group);
int coroutine_fn qcow2_write_caches(BlockNode *bn);
/* grow.c */
int coroutine_fn qcow2_get_refblock(BlockNode *bn, uint64_t cluster, Qcow2Table **t);
int coroutine_fn qcow2_shrink_reftable(BlockNode *bn);
/*
 * A refcount table at @start, behind which nothing is, and blocks for @clusters more after it, so
 * that nothing grows when those are taken. Returns where these begin, or -errno.
 */
int64_t coroutine_fn qcow2_refcount_area(BlockNode *bn, uint64_t start, uint64_t clusters);
/* Shrinking of the file: the first cluster after the last used one, or -errno. */
int64_t coroutine_fn qcow2_last_cluster(BlockNode *bn, int64_t file_bytes);

/* ---- overlap.c: lock held ---- */

/* 0: [offset, offset + bytes) may be written, as far as metadata other than @ignore goes. */
int coroutine_fn qcow2_check_overlap(BlockNode *bn, unsigned ignore, uint64_t offset,
                                     uint64_t bytes, bool is_data);
void coroutine_fn qcow2_signal_corruption(BlockNode *bn, bool fatal, int64_t offset, int64_t size,
                                          const char *fmt, ...) PRINTF_LIKE(5, 6);
/* Remember where L2 tables and refcount blocks are: all of them, or a new one. */
void qcow2_note_tables(BlockNode *bn);
void qcow2_note_table(Qcow2State *s, uint64_t offset, unsigned kind);
bool qcow2_parse_overlap(JsonValue *options, unsigned *flags, Error **errp);

/* ---- map.c: lock held ---- */

static inline uint64_t qcow2_l2_entry(const Qcow2State *s, const Qcow2Table *t, unsigned i)
{
    return load_be64(t->data + (size_t)i * s->l2_entry_size);
}

static inline uint64_t qcow2_l2_bitmap(const Qcow2State *s, const Qcow2Table *t, unsigned i)
{
    return qcow2_has_subclusters(s) ? load_be64(t->data + (size_t)i * s->l2_entry_size + 8) : 0;
}

void qcow2_l2_set(BlockNode *bn, Qcow2Table *t, unsigned i, uint64_t entry, uint64_t bitmap);
Qcow2Type qcow2_cluster_type(const Qcow2State *s, uint64_t entry);
Qcow2Type qcow2_subcluster_type(const Qcow2State *s, uint64_t entry, uint64_t bitmap, unsigned sc);
bool qcow2_type_is_allocated(Qcow2Type type);
unsigned qcow2_slice_index(const Qcow2State *s, uint64_t guest);
/* The slice that holds @guest's entry; *@t NULL: there is no table. */
int coroutine_fn qcow2_slice_get(BlockNode *bn, uint64_t guest, Qcow2Table **t);
/* The same for writing: a table with refcount 1 is made where there is none. */
int coroutine_fn qcow2_slice_get_writable(BlockNode *bn, uint64_t guest, Qcow2Table **t);
int coroutine_fn qcow2_map(BlockNode *bn, uint64_t guest, int64_t bytes, Qcow2Extent *x);
/* The same without the lock; false: it takes more than a look at the cache. */
bool qcow2_map_cached(BlockNode *bn, uint64_t guest, int64_t bytes, Qcow2Extent *x);
/* Byte range of a compressed cluster; false: it lies nowhere. */
void qcow2_compressed_range(const Qcow2State *s, uint64_t entry, uint64_t *offset, uint32_t *bytes);
int coroutine_fn qcow2_write_l1_entry(BlockNode *bn, uint64_t index);
int coroutine_fn qcow2_load_l1(BlockNode *bn, uint64_t offset, uint32_t entries, uint64_t **l1);
int coroutine_fn qcow2_grow_l1(BlockNode *bn, uint64_t entries, bool exact);
int coroutine_fn qcow2_shrink_l1(BlockNode *bn, uint64_t entries);

/* ---- alloc.c ---- */

/*
 * Lock held: a place for *@bytes of guest data at @guest, shortened to what one request can
 * write. *@a NULL: clusters that are ours and need no change of tables.
 */
int coroutine_fn qcow2_alloc_write(BlockNode *bn, uint64_t guest, int64_t *bytes, uint64_t *host,
                                   Qcow2Alloc **a);
/* The same; if new clusters are needed, they are those at @place, which are counted already. */
int coroutine_fn qcow2_alloc_placed(BlockNode *bn, uint64_t guest, int64_t *bytes, uint64_t place,
                                    uint64_t *host, Qcow2Alloc **a);
/* Lock held: make the written clusters visible; frees @a. */
int coroutine_fn qcow2_alloc_link(BlockNode *bn, Qcow2Alloc *a);
void coroutine_fn qcow2_alloc_abort(BlockNode *bn, Qcow2Alloc *a);
/* Lock held (released meanwhile): until no allocation touches the range. */
void coroutine_fn qcow2_wait_allocs(BlockNode *bn, uint64_t guest, uint64_t bytes);
/* Lock held: a place for @bytes of compressed data of the cluster at @guest. */
int coroutine_fn qcow2_alloc_compressed(BlockNode *bn, uint64_t guest, uint32_t bytes,
                                        Qcow2Alloc **a);
int coroutine_fn qcow2_link_compressed(BlockNode *bn, Qcow2Alloc *a);

/* ---- io.c ---- */

int coroutine_fn qcow2_co_preadv(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                 size_t v_offset, unsigned flags);
int coroutine_fn qcow2_co_pwritev(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                  size_t v_offset, unsigned flags);
int coroutine_fn qcow2_co_flush_to_os(BlockNode *bn);
int coroutine_fn qcow2_co_block_status(BlockNode *bn, bool want_zero, int64_t offset, int64_t bytes,
                                       int64_t *pnum, int64_t *map, BlockNode **file);
int coroutine_fn qcow2_co_copy_range_from(BlockNode *bn, BlockChild *src, int64_t src_offset,
                                          BlockChild *dst, int64_t dst_offset, int64_t bytes,
                                          unsigned read_flags, unsigned write_flags);
int coroutine_fn qcow2_co_copy_range_to(BlockNode *bn, BlockChild *src, int64_t src_offset,
                                        BlockChild *dst, int64_t dst_offset, int64_t bytes,
                                        unsigned read_flags, unsigned write_flags);

/* ---- zero.c ---- */

int coroutine_fn qcow2_co_pwrite_zeroes(BlockNode *bn, int64_t offset, int64_t bytes,
                                        unsigned flags);
int coroutine_fn qcow2_co_pdiscard(BlockNode *bn, int64_t offset, int64_t bytes);
/* Lock held. @full: as if it had never been written. */
int coroutine_fn qcow2_discard_clusters(BlockNode *bn, uint64_t guest, uint64_t bytes,
                                        Qcow2Discard type, bool full);
int coroutine_fn qcow2_zeroize(BlockNode *bn, uint64_t guest, uint64_t bytes, unsigned flags);
int coroutine_fn qcow2_co_make_empty(BlockNode *bn);
/* Give every zero cluster a host cluster with zeroes (v2 has none). */
int coroutine_fn qcow2_expand_zeroes(BlockNode *bn, BlockProgress *progress, void *opaque);

/* ---- resize.c ---- */

int coroutine_fn qcow2_co_truncate(BlockNode *bn, int64_t size, bool exact, PreallocMode prealloc,
                                   unsigned flags, Error **errp);
int coroutine_fn qcow2_truncate(BlockNode *bn, int64_t size, bool exact, PreallocMode prealloc,
                                Error **errp);

/* ---- compress.c ---- */

int coroutine_fn qcow2_co_pwritev_compressed(BlockNode *bn, int64_t offset, int64_t bytes,
                                             IoVector *v, size_t v_offset);
/* Read @bytes at @guest, all in the compressed cluster of @entry, to @v. */
int coroutine_fn qcow2_read_compressed(BlockNode *bn, uint64_t entry, uint64_t guest,
                                       int64_t bytes, IoVector *v, size_t v_offset);
bool qcow2_compression_usable(uint8_t type, Error **errp);

/* ---- snapshot.c, snapshot-table.c ---- */

bool coroutine_fn qcow2_read_snapshots(BlockNode *bn, bool repair, unsigned *dropped, Error **errp);
void qcow2_free_snapshots(Qcow2State *s);
int coroutine_fn qcow2_write_snapshots(BlockNode *bn);
int coroutine_fn qcow2_check_fix_snapshot_table(BlockNode *bn, BlockCheckResult *res, unsigned fix);
int coroutine_fn qcow2_snapshot_refcounts(BlockNode *bn, uint64_t l1_offset, uint32_t l1_size,
                                          int addend);
int coroutine_fn qcow2_co_snapshot_create(BlockNode *bn, BlockSnapshot *snapshot);
int coroutine_fn qcow2_co_snapshot_goto(BlockNode *bn, const char *id);
int coroutine_fn qcow2_co_snapshot_delete(BlockNode *bn, const char *id, const char *name,
                                          Error **errp);
int qcow2_snapshot_list(BlockNode *bn, BlockSnapshot **list);
int coroutine_fn qcow2_co_snapshot_load_tmp(BlockNode *bn, const char *id, const char *name,
                                            Error **errp);
int coroutine_fn qcow2_co_vmstate_read(BlockNode *bn, IoVector *v, int64_t pos);
int coroutine_fn qcow2_co_vmstate_write(BlockNode *bn, IoVector *v, int64_t pos);

/* ---- bitmap.c ---- */

/* Into the node's list of bitmaps; those in use before are void. */
bool coroutine_fn qcow2_load_bitmaps(BlockNode *bn, bool *header_changed, Error **errp);
bool coroutine_fn qcow2_store_bitmaps(BlockNode *bn, bool release, Error **errp);
/* The image becomes writable or read-only. */
bool coroutine_fn qcow2_reopen_bitmaps_rw(BlockNode *bn, Error **errp);
bool coroutine_fn qcow2_reopen_bitmaps_ro(BlockNode *bn, Error **errp);
bool coroutine_fn qcow2_resize_bitmaps_ok(BlockNode *bn, Error **errp);
bool coroutine_fn qcow2_co_can_store_bitmap(BlockNode *bn, const char *name, uint32_t granularity,
                                            Error **errp);
bool coroutine_fn qcow2_co_remove_stored_bitmap(BlockNode *bn, const char *name, Error **errp);
Qcow2BitmapInfoList *coroutine_fn qcow2_bitmap_info(BlockNode *bn, Error **errp);
uint64_t qcow2_bitmap_table_entries(uint32_t cluster_size, uint64_t size, unsigned gran_bits);
/* The directory as it is on disk; entries are freed with the array. */
GPtrArray *coroutine_fn qcow2_bitmap_directory(BlockNode *bn, Error **errp);
/* For the check: calls back for each cluster range that bitmaps use. */
int coroutine_fn qcow2_check_bitmaps(BlockNode *bn, BlockCheckResult *res,
                                     int coroutine_fn (*use)(void *opaque, uint64_t offset,
                                                             uint64_t bytes),
                                     void *opaque);
/* Bytes that the bitmaps of @in will take in an image of @cluster_size. */
uint64_t qcow2_measure_bitmaps(BlockNode *in, uint32_t cluster_size);

/* ---- check.c, check-repair.c ---- */

int coroutine_fn qcow2_co_check(BlockNode *bn, BlockCheckResult *res, unsigned fix);
/* Lock held. */
int coroutine_fn qcow2_check_locked(BlockNode *bn, BlockCheckResult *res, unsigned fix);

/* ---- create.c, amend.c, measure.c, info.c ---- */

extern const BlockImageOption qcow2_create_options[], qcow2_amend_options[];
int coroutine_fn qcow2_co_create(const BlockdevCreateOptions *options, Error **errp);
int coroutine_fn qcow2_co_create_opts(const BlockDriver *drv, const char *filename,
                                      JsonValue *options, Error **errp);
bool qcow2_valid_cluster_size(uint64_t bytes, bool extended_l2, Error **errp);
bool qcow2_valid_refcount_bits(int64_t bits, uint32_t version, Error **errp);
int coroutine_fn qcow2_co_amend(BlockNode *bn, JsonValue *options, BlockProgress *progress,
                                void *opaque, bool force, Error **errp);
int coroutine_fn qcow2_change_refcount_order(BlockNode *bn, unsigned order, BlockProgress *progress,
                                             void *opaque, Error **errp);
int coroutine_fn qcow2_co_change_backing_file(BlockNode *bn, const char *backing,
                                              const char *backing_format);
BlockMeasureInfo *qcow2_measure(JsonValue *options, BlockNode *in, Error **errp);
/* Bytes of an image with all metadata for @size bytes of disk, data included. */
uint64_t qcow2_prealloc_size(uint64_t size, uint32_t cluster_size, unsigned refcount_order,
                             bool extended_l2, bool data_inside);
uint64_t qcow2_refcount_metadata_size(uint64_t clusters, uint32_t cluster_size,
                                      unsigned refcount_order, bool generous, uint64_t *refblocks);
int qcow2_image_info(BlockNode *bn, BlockImageInfo *info);
ImageInfoSpecific *qcow2_specific_info(BlockNode *bn, Error **errp);

/* ---- options.c ---- */

bool qcow2_parse_options(BlockNode *bn, JsonValue *options, unsigned open_flags, Qcow2Options *opt,
                         Error **errp);
/* Take @opt into use; lock held. */
int coroutine_fn qcow2_apply_options(BlockNode *bn, const Qcow2Options *opt, Error **errp);
int coroutine_fn qcow2_make_caches(BlockNode *bn, Error **errp);
void qcow2_start_cleaning(BlockNode *bn);

/* Metadata I/O with the checks that each write of metadata gets. */
static inline int coroutine_fn qcow2_meta_read(BlockNode *bn, uint64_t offset, void *buf,
                                               uint64_t bytes)
{
    return block_co_pread(bn->file, offset, bytes, buf, 0);
}

static inline int coroutine_fn qcow2_meta_write(BlockNode *bn, unsigned ignore, uint64_t offset,
                                                const void *buf, uint64_t bytes)
{
    int ret = qcow2_check_overlap(bn, ignore, offset, bytes, false);

    return ret < 0 ? ret : block_co_pwrite(bn->file, offset, bytes, buf, 0);
}

#endif
