/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VMDK ("Virtual Disk Format 5.0"), read-only, for import: one sparse file
 * with its descriptor inside, also stream-optimized (compressed), and descriptor
 * files with flat, sparse and zero extents in files of the same folder. Node's
 * loop; opening on the main thread.
 *
 * Neither descriptor nor tables are trusted. Extents may only be named by plain
 * file names: a descriptor cannot lead to files elsewhere.
 */
#include "util/osdep.h"
#include "sparse.h"
#include "util/bswap.h"
#include "util/cutils.h"

#define VMDK_HEADER 512
#define VMDK_MAX_DESCRIPTOR (1 * MIB)
#define VMDK_MAX_EXTENTS 1024
#define VMDK_MAX_GD (32 * MIB)
#define VMDK_GD_AT_END UINT64_MAX
#define VMDK_FLAG_ZERO_GRAIN (1u << 2)
#define VMDK_FLAG_COMPRESSED (1u << 16)
#define VMDK_FLAG_MARKERS (1u << 17)

typedef enum ExtentKind { EXTENT_FLAT, EXTENT_SPARSE, EXTENT_ZERO } ExtentKind;

typedef struct Extent {
    ExtentKind kind;
    BlockChild *file;
    int64_t start, bytes;           /* in the disk */
    int64_t offset;                 /* flat: in the file */
    uint32_t grain, gt_entries;
    bool compressed, zero_grains;
    uint32_t gd_entries;
    uint8_t *gd, *gt;
    uint32_t gt_index;              /* the table in @gt; UINT32_MAX: none */
} Extent;

typedef struct VmdkState {
    SparseState sparse;
    Extent *extents;
    unsigned count;
    int64_t disk;
} VmdkState;

/* ---- where a unit is ---- */

static int grain_table(Extent *e, uint32_t index, uint64_t table)
{
    int64_t bytes = (int64_t)e->gt_entries * 4;
    int ret;

    if (e->gt_index == index) {
        return 0;
    }
    if (table * 512 > (uint64_t)e->file->node->total_bytes ||
        bytes > e->file->node->total_bytes - (int64_t)table * 512) {
        return -EIO;
    }
    e->gt_index = UINT32_MAX;
    ret = block_co_pread(e->file, table * 512, bytes, e->gt, 0);
    e->gt_index = ret < 0 ? UINT32_MAX : index;
    return MIN(ret, 0);
}

static int coroutine_fn lookup_compressed(Extent *e, int64_t offset, SparseUnit *unit)
{
    uint8_t marker[12];
    int ret = block_co_pread(e->file, offset, sizeof(marker), marker, 0);

    if (ret < 0) {
        return ret;
    }
    unit->kind = SPARSE_PACKED;
    unit->offset = offset + sizeof(marker);
    unit->packed_bytes = load_le32(marker + 8);
    /* Deflate makes nothing much longer than it was. */
    return unit->packed_bytes > 2 * e->grain + 4096 ? -EIO : 0;
}

static int coroutine_fn lookup_sparse(Extent *e, int64_t offset, SparseUnit *unit)
{
    uint64_t grain = offset / e->grain;
    uint64_t index = grain / e->gt_entries;
    uint32_t table = index < e->gd_entries ? load_le32(e->gd + 4 * index) : 0, entry;
    int ret;

    if (!table) {
        return 0;
    }
    ret = grain_table(e, index, table);
    if (ret < 0) {
        return ret;
    }
    entry = load_le32(e->gt + 4 * (grain % e->gt_entries));
    if (!entry) {
        return 0;
    }
    if (entry == 1 && e->zero_grains) {
        unit->kind = SPARSE_ZERO;
        return 0;
    }
    if ((int64_t)entry * 512 >= e->file->node->total_bytes) {
        return -EIO;
    }
    if (e->compressed) {
        return lookup_compressed(e, (int64_t)entry * 512, unit);
    }
    unit->kind = SPARSE_DATA;
    unit->offset = (int64_t)entry * 512;
    return 0;
}

static int coroutine_fn vmdk_lookup(BlockNode *bn, uint64_t index, SparseUnit *unit)
{
    VmdkState *s = bn->opaque;
    int64_t offset = index * s->sparse.unit_size;
    unsigned i;

    for (i = 0; i < s->count; i++) {
        Extent *e = &s->extents[i];

        if (offset - e->start >= e->bytes) {
            continue;
        }
        unit->child = e->file ? e->file : bn->file;
        if (e->kind == EXTENT_SPARSE) {
            int64_t within = offset - e->start;
            int ret = lookup_sparse(e, within, unit);

            /* Units may be smaller than this extent's grains. */
            if (unit->kind == SPARSE_DATA) {
                unit->offset += within % e->grain;
            }
            return ret;
        }
        unit->kind = e->kind == EXTENT_ZERO ? SPARSE_ZERO : SPARSE_DATA;
        unit->offset = e->offset + offset - e->start;
        unit->may_be_hole = true;
        return 0;
    }
    return -EIO;
}

static int vmdk_unpack(const uint8_t *in, size_t in_bytes, uint8_t *out, size_t out_bytes)
{
    return sparse_inflate(in, in_bytes, out, out_bytes, 15);
}

/* ---- extents ---- */

static void *read_at(BlockNode *bn, BlockChild *file, uint64_t offset, uint64_t bytes, uint64_t max,
                     Error **errp)
{
    uint8_t *buf;
    int ret;

    if (bytes > max || offset > (uint64_t)file->node->total_bytes ||
        bytes > (uint64_t)file->node->total_bytes - offset) {
        error_setg(errp, "vmdk: a table lies outside the file or is too large");
        return NULL;
    }
    buf = g_try_malloc(MAX(bytes, 1));
    ret = buf ? block_pread(file, offset, bytes, buf, 0) : -ENOMEM;
    if (ret < 0) {
        error_setg_errno(errp, -ret, "vmdk: could not read a table");
        g_clear_pointer(&buf, g_free);
    }
    return buf;
}

static bool open_sparse(BlockNode *bn, Extent *e, uint64_t *descriptor, uint64_t *descriptor_bytes,
                        Error **errp)
{
    g_autofree uint8_t *h = read_at(bn, e->file, 0, VMDK_HEADER, VMDK_HEADER, errp);
    uint64_t capacity, grain, gd, span;
    uint32_t flags;

    if (!h) {
        return false;
    }
    if (memcmp(h, "KDMV", 4)) {
        error_setg(errp, "Image not in VMDK format");
        return false;
    }
    gd = load_le64(h + 56);
    if (gd == VMDK_GD_AT_END) {
        /* Stream-optimized: the header that counts is a footer, two sectors before the end. */
        g_free(h);
        h = read_at(bn, e->file, MAX(e->file->node->total_bytes - 1024, 0), VMDK_HEADER,
                    VMDK_HEADER, errp);
        if (!h || memcmp(h, "KDMV", 4)) {
            if (h) {
                error_setg(errp, "vmdk: the footer is missing");
            }
            return false;
        }
        gd = load_le64(h + 56);
    }
    if (load_le32(h + 4) > 3) {
        error_setg(errp, "Unsupported VMDK version %" PRIu32, load_le32(h + 4));
        return false;
    }
    flags = load_le32(h + 8);
    capacity = load_le64(h + 12);
    grain = load_le64(h + 20);
    *descriptor = load_le64(h + 28);
    *descriptor_bytes = load_le64(h + 36);
    e->gt_entries = load_le32(h + 44);
    e->compressed = flags & VMDK_FLAG_COMPRESSED;
    e->zero_grains = flags & VMDK_FLAG_ZERO_GRAIN;
    if (grain < 1 || grain > 128 * 1024 || !IS_POWER_OF_2(grain) || e->gt_entries < 1 ||
        e->gt_entries > 512 || capacity > (uint64_t)BLOCK_MAX_LENGTH / 512 || gd > INT64_MAX / 512 ||
        (e->compressed && load_le16(h + 77) != 1)) {
        error_setg(errp, "Invalid VMDK header: granularity, table or disk size");
        return false;
    }
    e->kind = EXTENT_SPARSE;
    e->grain = grain * 512;
    e->bytes = capacity * 512;
    e->gt_index = UINT32_MAX;
    span = (uint64_t)e->gt_entries * e->grain;
    if (DIV_ROUND_UP(e->bytes, (int64_t)span) > (int64_t)(VMDK_MAX_GD / 4)) {
        error_setg(errp, "vmdk: L1 size too big");
        return false;
    }
    e->gd_entries = DIV_ROUND_UP(e->bytes, (int64_t)span);
    e->gd = read_at(bn, e->file, gd * 512, (uint64_t)e->gd_entries * 4, VMDK_MAX_GD, errp);
    e->gt = g_malloc(512 * 4);
    return e->gd != NULL;
}

static Extent *add_extent(VmdkState *s)
{
    Extent *e;

    s->extents = g_renew(Extent, s->extents, s->count + 1);
    e = &s->extents[s->count++];
    memset(e, 0, sizeof(*e));
    e->start = s->disk;
    return e;
}

/* ---- descriptors ---- */

/* The value of "name=value" or name="value" in the text; NULL: not there. */
static char *descriptor_value(char *const *lines, const char *name)
{
    size_t len = strlen(name);

    for (; *lines; lines++) {
        const char *p = *lines;

        if (!strncmp(p, name, len) && p[len] == '=') {
            g_autofree char *value = g_strdup(p + len + 1);

            g_strstrip(value);
            len = strlen(value);
            return len >= 2 && *value == '"' ? g_strndup(value + 1, len - 2) : g_strdup(value);
        }
    }
    return NULL;
}

static BlockChild *open_extent_file(BlockNode *bn, const char *name, Error **errp)
{
    VmdkState *s = bn->opaque;
    g_autofree char *path = NULL, *child = g_strdup_printf("extents.%u", s->count);
    JsonValue *options;
    BlockNode *node;
    BlockChild *c;

    if (!*name || strchr(name, '/') || strchr(name, ':') || !strcmp(name, "..")) {
        error_setg(errp, "vmdk: the extent '%s' is not a file of the image's folder", name);
        return NULL;
    }
    path = block_backing_path(bn->file->node->filename, name, errp);
    if (!path) {
        return NULL;
    }
    options = json_object();
    json_object_set_string(options, "driver", "file");
    node = block_open(path, options,
                      (bn->open_flags & (BLOCK_OPEN_NOCACHE | BLOCK_OPEN_FORCE_SHARE)) |
                      BLOCK_OPEN_PROTOCOL, errp);
    if (!node) {
        return NULL;
    }
    c = block_child_attach(bn, node, child, BLOCK_ROLE_DATA, errp);
    block_node_unref(node);
    return c;
}

/* RW 20480 FLAT "x-flat.vmdk" 0 */
static bool add_extent_line(BlockNode *bn, const char *line, Error **errp)
{
    VmdkState *s = bn->opaque;
    char access[16], kind[16], name[512] = "";
    int64_t sectors = 0, offset = 0;
    uint64_t ignored, ignored_bytes;
    int n = sscanf(line, "%15s %" SCNd64 " %15s \"%511[^\"]\" %" SCNd64, access, &sectors, kind, name,
                   &offset);
    Extent *e;

    if (n < 3 || sectors <= 0 || sectors > BLOCK_MAX_LENGTH / 512 - s->disk / 512 || offset < 0 ||
        offset > BLOCK_MAX_LENGTH / 512) {
        error_setg(errp, "Invalid extent line: %s", line);
        return false;
    }
    if (s->count >= VMDK_MAX_EXTENTS) {
        error_setg(errp, "vmdk: too many extents");
        return false;
    }
    e = add_extent(s);
    e->kind = EXTENT_ZERO;
    e->bytes = sectors * 512;
    s->disk += e->bytes;
    if (!strcmp(kind, "ZERO")) {
        return true;
    }
    e->file = open_extent_file(bn, name, errp);
    if (!e->file) {
        return false;
    }
    if (!strcmp(kind, "FLAT") || !strcmp(kind, "VMFS")) {
        e->kind = EXTENT_FLAT;
        e->offset = offset * 512;
        if (e->offset + e->bytes > e->file->node->total_bytes) {
            error_setg(errp, "vmdk: the extent '%s' is shorter than the descriptor says", name);
            return false;
        }
        return true;
    }
    if (!strcmp(kind, "SPARSE")) {
        int64_t want = e->bytes;

        if (!open_sparse(bn, e, &ignored, &ignored_bytes, errp)) {
            return false;
        }
        e->bytes = want;
        return true;
    }
    error_setg(errp, "Unsupported extent type '%s'", kind);
    return false;
}

static bool is_extent_line(const char *line)
{
    return g_str_has_prefix(line, "RW ") || g_str_has_prefix(line, "RDONLY ") ||
           g_str_has_prefix(line, "NOACCESS ");
}

/* @single: the extents are in this very file. */
static bool parse_descriptor(BlockNode *bn, const char *text, bool single, Error **errp)
{
    g_auto(GStrv) lines = g_strsplit_set(text, "\r\n", -1);
    g_autofree char *parent = descriptor_value(lines, "parentCID");
    size_t i;

    if (parent && strcmp(parent, "ffffffff")) {
        bn->backing_file = descriptor_value(lines, "parentFileNameHint");
        if (!bn->backing_file) {
            error_setg(errp, "vmdk: the image has a parent, but does not name it");
            return false;
        }
    }
    for (i = 0; lines[i] && !single; i++) {
        if (is_extent_line(lines[i]) && !add_extent_line(bn, lines[i], errp)) {
            return false;
        }
    }
    return true;
}

static bool open_single(BlockNode *bn, Error **errp)
{
    VmdkState *s = bn->opaque;
    g_autofree char *raw = NULL, *text = NULL;
    Extent *e = add_extent(s);
    uint64_t at, sectors;

    e->file = bn->file;
    if (!open_sparse(bn, e, &at, &sectors, errp)) {
        return false;
    }
    s->disk = e->bytes;
    if (!at || !sectors) {
        return true;
    }
    if (at > INT64_MAX / 512 || sectors > VMDK_MAX_DESCRIPTOR / 512) {
        error_setg(errp, "vmdk: the descriptor is too large");
        return false;
    }
    raw = read_at(bn, bn->file, at * 512, sectors * 512, VMDK_MAX_DESCRIPTOR, errp);
    text = raw ? g_strndup(raw, sectors * 512) : NULL;
    return text && parse_descriptor(bn, text, true, errp);
}

static bool open_descriptor(BlockNode *bn, Error **errp)
{
    VmdkState *s = bn->opaque;
    int64_t bytes = bn->file->node->total_bytes;
    g_autofree char *raw = read_at(bn, bn->file, 0, bytes, VMDK_MAX_DESCRIPTOR, errp);
    g_autofree char *text = raw ? g_strndup(raw, bytes) : NULL;

    if (!text || !parse_descriptor(bn, text, false, errp)) {
        return false;
    }
    if (!s->count) {
        error_setg(errp, "vmdk: the descriptor names no extents");
    }
    return s->count > 0;
}

/* The smallest grain of all extents, so that each unit lies in one place. */
static uint32_t common_unit(const VmdkState *s)
{
    uint32_t unit = 64 * KIB;
    bool any = false;
    unsigned i;

    for (i = 0; i < s->count; i++) {
        const Extent *e = &s->extents[i];

        if (e->kind == EXTENT_SPARSE) {
            unit = any ? MIN(unit, e->grain) : e->grain;
            any = true;
        }
    }
    for (i = 1; i < s->count; i++) {
        while (s->extents[i].start % unit) {
            unit /= 2;
        }
    }
    return unit;
}

static void vmdk_close(BlockNode *bn)
{
    VmdkState *s = bn->opaque;
    unsigned i;

    for (i = 0; i < s->count; i++) {
        g_free(s->extents[i].gd);
        g_free(s->extents[i].gt);
    }
    g_free(s->extents);
    sparse_close(bn);
}

static bool vmdk_open(BlockNode *bn, JsonValue *options, Error **errp)
{
    VmdkState *s = bn->opaque;
    g_autofree uint8_t *magic = NULL;
    unsigned i;
    bool ok;

    if (!sparse_open_file(bn, options, errp) ||
        !(magic = sparse_read_table(bn, 0, 4, 4, "header", errp))) {
        return false;
    }
    s->sparse.lookup = vmdk_lookup;
    s->sparse.unpack = vmdk_unpack;
    ok = !memcmp(magic, "KDMV", 4) ? open_single(bn, errp) : open_descriptor(bn, errp);
    ok = ok && sparse_init(bn, common_unit(s), s->disk, errp);
    for (i = 0; i < s->count && ok; i++) {
        /* Packed grains are unpacked whole. */
        if (s->extents[i].compressed && s->extents[i].grain != s->sparse.unit_size) {
            error_setg(errp, "vmdk: compressed extents of different granularity are not supported");
            ok = false;
        }
    }
    if (!ok) {
        vmdk_close(bn);
    }
    return ok;
}

BLOCK_DRIVER(vmdk_driver) = {
    .name = "vmdk",
    .instance_size = sizeof(VmdkState),
    SPARSE_DRIVER_MEMBERS,
    .supports_backing = true,
    .open = vmdk_open,
    .close = vmdk_close,
    .image_info = sparse_image_info,
};
