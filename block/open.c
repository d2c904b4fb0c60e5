/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opening nodes: from blockdev-add structures, -drive options and file names
 * (plain, "protocol:...", "json:{...}") to drivers. Also the names by which
 * open nodes are shown. Main thread.
 *
 * Image content is not trusted: without a format it is only looked at for
 * signatures, and a guessed raw image stays guarded (formats/raw.c).
 */
#include "util/osdep.h"
#include <sys/stat.h>
#include "block/block-int.h"
#include "block/image.h"
#include "block/options.h"
#include "qapi-types.h"
#include "trace-block.h"

/* ---- names to options ---- */

bool block_path_has_protocol(const char *path)
{
    return path[strcspn(path, ":/")] == ':';
}

/* For a name without prefix. */
static const BlockDriver *local_protocol(const char *filename)
{
    struct stat st;
    bool device = stat(filename, &st) == 0 && (S_ISBLK(st.st_mode) || S_ISCHR(st.st_mode));

    return block_driver_find(device ? "host_device" : "file");
}

const BlockDriver *block_protocol_for(const char *filename, Error **errp)
{
    if (block_path_has_protocol(filename)) {
        g_autofree char *prefix = g_strndup(filename, strcspn(filename, ":"));
        const BlockDriver *drv = block_driver_find_protocol(prefix);

        if (!drv) {
            error_setg(errp, "Unknown protocol '%s'", prefix);
            return NULL;
        }
        return drv;
    }
    return local_protocol(filename);
}

/* Complete the protocol driver's @options with @filename. */
static bool apply_filename(JsonValue *options, const char *filename, Error **errp)
{
    const char *name = json_object_get_string(options, "driver");
    const BlockDriver *drv = name ? block_driver_find(name) : block_protocol_for(filename, errp);

    if (!drv) {
        if (name) {
            error_setg(errp, "Unknown driver '%s'", name);
        }
        return false;
    }
    json_object_set_string(options, "driver", drv->name);
    if (drv->parse_filename) {
        return drv->parse_filename(filename, options, errp);
    }
    json_object_set_string(options, "filename", filename);
    return true;
}

static bool merge_json_name(JsonValue *options, const char *text, Error **errp)
{
    g_autoptr(JsonValue) given = json_parse(text, strlen(text), errp);
    size_t i;

    if (!given) {
        error_prepend(errp, "Could not parse the JSON options: ");
        return false;
    }
    if (json_kind(given) != JSON_OBJECT) {
        error_setg(errp, "Invalid JSON object given");
        return false;
    }
    for (i = 0; i < json_object_len(given); i++) {
        const char *key;
        JsonValue *value;

        json_object_at(given, i, &key, &value);
        if (!json_object_has(options, key)) {
            json_object_set_take(options, key, json_copy(value));
        }
    }
    return block_options_nest(options, errp);
}

/* ---- options that every node has ---- */

typedef struct NodeOptions {
    char *driver, *node_name;
    unsigned flags;
    int detect_zeroes;
} NodeOptions;

static bool take_flag(JsonValue *o, const char *name, unsigned flag, bool inverted, unsigned *flags,
                      Error **errp)
{
    bool on = !!(*flags & flag) != inverted;

    if (!block_option_take_bool(o, name, &on, errp)) {
        return false;
    }
    *flags = on != inverted ? *flags | flag : *flags & ~flag;
    return true;
}

static bool take_cache(JsonValue *o, unsigned *flags, Error **errp)
{
    JsonValue *cache = json_object_get(o, "cache");
    const char *key;
    JsonValue *v;

    if (!cache) {
        return true;
    }
    if (json_kind(cache) != JSON_OBJECT) {
        error_setg(errp, "Invalid parameter type for 'cache', expected: object");
        return false;
    }
    if (!take_flag(cache, "direct", BLOCK_OPEN_NOCACHE, false, flags, errp) ||
        !take_flag(cache, "no-flush", BLOCK_OPEN_NO_FLUSH, false, flags, errp)) {
        return false;
    }
    if (json_object_len(cache) > 0) {
        json_object_at(cache, 0, &key, &v);
        error_setg(errp, "Parameter 'cache.%s' is unexpected", key);
        return false;
    }
    json_object_remove(o, "cache");
    return true;
}

static bool take_node_options(JsonValue *o, NodeOptions *n, Error **errp)
{
    int discard = n->flags & BLOCK_OPEN_UNMAP ? BLOCKDEV_DISCARD_OPTIONS_UNMAP :
                                                BLOCKDEV_DISCARD_OPTIONS_IGNORE;

    if (!block_option_take_string(o, "driver", &n->driver, errp) ||
        !block_option_take_string(o, "node-name", &n->node_name, errp) ||
        !take_flag(o, "read-only", BLOCK_OPEN_RDWR, true, &n->flags, errp) ||
        !take_flag(o, "auto-read-only", BLOCK_OPEN_AUTO_RDONLY, false, &n->flags, errp) ||
        !take_flag(o, "force-share", BLOCK_OPEN_FORCE_SHARE, false, &n->flags, errp) ||
        !take_cache(o, &n->flags, errp) ||
        !block_option_take_enum(o, "discard", &qapi_enum_BlockdevDiscardOptions, &discard, errp) ||
        !block_option_take_enum(o, "detect-zeroes", &qapi_enum_BlockdevDetectZeroesOptions,
                                &n->detect_zeroes, errp)) {
        return false;
    }
    n->flags &= ~BLOCK_OPEN_UNMAP;
    n->flags |= discard == BLOCKDEV_DISCARD_OPTIONS_UNMAP ? BLOCK_OPEN_UNMAP : 0;
    if (n->detect_zeroes == BLOCKDEV_DETECT_ZEROES_OPTIONS_UNMAP &&
        !(n->flags & BLOCK_OPEN_UNMAP)) {
        error_setg(errp, "setting detect-zeroes to unmap is not allowed without setting discard "
                         "operation to unmap");
        return false;
    }
    if ((n->flags & BLOCK_OPEN_FORCE_SHARE) && (n->flags & BLOCK_OPEN_RDWR)) {
        error_setg(errp, "force-share=on can only be used with read-only images");
        return false;
    }
    return true;
}

bool block_reopen_parse(BlockReopen *r, Error **errp)
{
    const unsigned kept = BLOCK_OPEN_PROBED | BLOCK_OPEN_NO_BACKING | BLOCK_OPEN_INACTIVE |
                          BLOCK_OPEN_NO_IO;
    NodeOptions n = { .flags = BLOCK_OPEN_RDWR };
    bool ok = take_node_options(r->options, &n, errp);

    if (ok && !n.node_name) {
        error_setg(errp, "node-name not specified");
        ok = false;
    }
    r->bn = ok ? block_node_find(n.node_name) : NULL;
    if (ok && !r->bn) {
        error_setg(errp, "Failed to find node with node-name='%s'", n.node_name);
        ok = false;
    }
    if (ok && strcmp(r->bn->drv->name, n.driver)) {
        error_setg(errp, "Cannot change the option 'driver'");
        ok = false;
    }
    if (ok) {
        r->complete = true;
        r->detect_zeroes = n.detect_zeroes;
        r->flags = n.flags | (r->bn->open_flags & kept);
    }
    g_free(n.driver);
    g_free(n.node_name);
    return ok;
}

/* Backing files are only read, whatever the image above is for. */
static unsigned backing_flags(unsigned flags)
{
    return flags & (BLOCK_OPEN_NOCACHE | BLOCK_OPEN_NO_FLUSH | BLOCK_OPEN_FORCE_SHARE |
                    BLOCK_OPEN_UNMAP | BLOCK_OPEN_NO_IO);
}

/* What a child inherits unless its own options say otherwise. */
static unsigned child_flags(unsigned flags)
{
    return (flags & (BLOCK_OPEN_RDWR | BLOCK_OPEN_NOCACHE | BLOCK_OPEN_NO_FLUSH |
                     BLOCK_OPEN_AUTO_RDONLY | BLOCK_OPEN_FORCE_SHARE | BLOCK_OPEN_INACTIVE |
                     BLOCK_OPEN_NO_IO)) |
           BLOCK_OPEN_UNMAP | BLOCK_OPEN_PROTOCOL;
}

/* ---- opening ---- */

/* Whether backing options say where the image is, or only how to open the one that is implied. */
static bool names_image(const JsonValue *spec)
{
    return json_kind(spec) != JSON_OBJECT || json_object_has(spec, "file") ||
           json_object_has(spec, "filename");
}

/* The path of the backing file that the image names; NULL and no error: none. */
static bool implied_backing(BlockNode *bn, char **path, Error **errp)
{
    const BlockNode *below = bn;
    BlockChild *c;

    *path = NULL;
    if (!bn->backing_file || !*bn->backing_file) {
        return true;
    }
    /* The image's place is that of its file. */
    while (!below->exact_filename && (c = block_primary_child((BlockNode *)below)) != NULL) {
        below = c->node;
    }
    *path = block_backing_path(below->exact_filename ? below->exact_filename : below->filename,
                               bn->backing_file, errp);
    return *path != NULL;
}

/* Takes "backing" out of @options. */
static bool open_backing(BlockNode *bn, JsonValue *options, Error **errp)
{
    JsonValue *spec = json_object_get(options, "backing");
    g_autofree char *path = NULL;

    if (spec && (json_kind(spec) == JSON_NULL || !g_strcmp0(json_get_string(spec), ""))) {
        json_object_remove(options, "backing");
        return true;
    }
    if (bn->open_flags & BLOCK_OPEN_NO_BACKING) {
        return true;
    }
    if (!spec || !names_image(spec)) {
        if (!implied_backing(bn, &path, errp)) {
            error_prepend(errp, "Could not open backing file: ");
            return false;
        }
        if (!path && !spec) {
            return true;
        }
        if (!spec) {
            spec = json_object();
            json_object_set_take(options, "backing", spec);
        }
        if (bn->backing_format && *bn->backing_format && !json_object_has(spec, "driver")) {
            json_object_set_string(spec, "driver", bn->backing_format);
        }
    }
    if (!block_child_open(bn, path, options, "backing", BLOCK_ROLE_COW, true, errp)) {
        if (path) {
            error_prepend(errp, "Could not open backing file: ");
        }
        return false;
    }
    return true;
}

bool block_open_backing(BlockNode *bn, Error **errp)
{
    g_autoptr(JsonValue) options = json_object();

    if (bn->backing || !bn->drv->supports_backing) {
        return true;
    }
    bn->open_flags &= ~BLOCK_OPEN_NO_BACKING;
    return open_backing(bn, options, errp);
}

/* Consumes nothing. */
static BlockNode *open_driver(const BlockDriver *drv, NodeOptions *n, JsonValue *options,
                              Error **errp)
{
    BlockNode *bn = block_node_new(drv, n->node_name, errp);
    const char *key;
    JsonValue *v;
    int64_t len;

    if (!bn) {
        return NULL;
    }
    bn->open_flags = n->flags;
    bn->read_only = !(n->flags & BLOCK_OPEN_RDWR);
    bn->inactive = n->flags & BLOCK_OPEN_INACTIVE;
    bn->detect_zeroes = n->detect_zeroes;
    bn->options = json_copy(options);
    if (!drv->open(bn, options, errp)) {
        goto undo_node;
    }
    if (drv->supports_backing && !open_backing(bn, options, errp)) {
        goto undo_open;
    }
    if (json_object_len(options) > 0) {
        json_object_at(options, 0, &key, &v);
        error_setg(errp, "Block %s '%s' does not support the option '%s'",
                   drv->is_protocol || drv->protocol_prefix ? "protocol" : "format", drv->name, key);
        goto undo_open;
    }
    block_node_refresh_limits(bn);
    len = block_node_refresh_length(bn, false);
    if (len < 0) {
        error_setg_errno(errp, -len, "Could not refresh total sector count");
        goto undo_open;
    }
    block_node_refresh_filename(bn);
    trace_block_node_open(bn, bn->node_name, drv->name, n->flags);
    return bn;

undo_open:
    if (drv->close) {
        drv->close(bn);
    }
undo_node:
    /* Without its driver's help from here on. */
    {
        static const BlockDriver closed = { .name = "closed" };

        bn->drv = &closed;
    }
    bn->write_gen = bn->flushed_gen;
    block_node_unref(bn);
    return NULL;
}

typedef struct ProbeRead {
    BlockNode *bn;
    uint8_t buf[BLOCK_PROBE_BYTES];
    int ret;
} ProbeRead;

static void coroutine_fn probe_read(void *opaque)
{
    ProbeRead *p = opaque;
    BlockChild edge = { .node = p->bn };

    p->ret = block_co_pread(&edge, 0, sizeof(p->buf), p->buf, 0);
}

/* The format driver for what is in @file. */
static const BlockDriver *probe_driver(BlockNode *file, unsigned *flags, Error **errp)
{
    ProbeRead p = { .bn = file };
    const BlockDriver *drv;
    const char *format;

    memset(p.buf, 0, sizeof(p.buf));
    block_run_coroutine(file, probe_read, &p);
    if (p.ret < 0) {
        error_setg_errno(errp, -p.ret, "Could not read image for determining its format");
        return NULL;
    }
    format = block_probe_format(p.buf, sizeof(p.buf));
    if (!format) {
        *flags |= BLOCK_OPEN_PROBED;
        format = "raw";
    }
    drv = block_driver_find(format);
    if (!drv) {
        error_setg(errp, "Image '%s' has the format '%s', which is not supported", file->filename,
                   format);
        return NULL;
    }
    if ((*flags & BLOCK_OPEN_PROBED) && (*flags & BLOCK_OPEN_RDWR) &&
        !(*flags & BLOCK_OPEN_QUIET_PROBE) && file->drv->is_protocol && file->exact_filename &&
        file->total_bytes > 0) {
        fprintf(stderr,
                "WARNING: Image format was not specified for '%s' and probing guessed raw.\n"
                "         Automatically detecting the format is dangerous for raw images, "
                "write operations on block 0 will be restricted.\n"
                "         Specify the 'raw' format explicitly to remove the restrictions.\n",
                file->exact_filename);
    }
    return drv;
}

/*
 * Open the file below a format whose name is not known, and find out. The file stays referenced in
 * *@file.
 */
static const BlockDriver *open_and_probe(JsonValue *options, NodeOptions *n, BlockNode **file,
                                         Error **errp)
{
    JsonValue *spec = json_object_get(options, "file");
    const char *ref = json_get_string(spec);
    const BlockDriver *drv;

    if (ref) {
        *file = block_lookup(ref, ref, errp);
        if (*file) {
            block_node_ref(*file);
        }
    } else {
        *file = block_open(NULL, json_ref(spec), child_flags(n->flags), errp);
    }
    if (!*file) {
        return NULL;
    }
    drv = probe_driver(*file, &n->flags, errp);
    if (drv) {
        json_object_set_string(options, "file", (*file)->node_name);
    }
    return drv;
}

/* Put @filename where the driver will look for it. */
static bool place_filename(JsonValue *options, const NodeOptions *n, const BlockDriver *drv,
                           const char *filename, Error **errp)
{
    JsonValue *file;

    if ((drv && drv->is_protocol) || (!drv && (n->flags & BLOCK_OPEN_PROTOCOL))) {
        return apply_filename(options, filename, errp);
    }
    file = json_object_get(options, "file");
    if (file && json_kind(file) != JSON_OBJECT) {
        error_setg(errp, "Cannot reference an existing block device while giving a filename");
        return false;
    }
    if (!file) {
        file = json_object();
        json_object_set_take(options, "file", file);
    }
    return apply_filename(file, filename, errp);
}

static BlockNode *open_with(const char *filename, JsonValue *options, NodeOptions *n, Error **errp)
{
    const BlockDriver *drv = NULL;
    BlockNode *file = NULL, *bn;

    if (!take_node_options(options, n, errp)) {
        return NULL;
    }
    if (n->driver) {
        drv = block_driver_find(n->driver);
        if (!drv || drv->internal) {
            error_setg(errp, "Unknown driver '%s'", n->driver);
            return NULL;
        }
    }
    if (!filename && !drv && (n->flags & BLOCK_OPEN_PROTOCOL) &&
        json_object_get_string(options, "filename")) {
        /* "file.filename=NAME" alone: no prefix means anything in there. */
        drv = local_protocol(json_object_get_string(options, "filename"));
    }
    if (filename && !place_filename(options, n, drv, filename, errp)) {
        return NULL;
    }
    if (!drv && json_object_has(options, "driver")) {
        /* A protocol that was found by the file name. */
        drv = block_driver_find(json_object_get_string(options, "driver"));
        json_object_remove(options, "driver");
    } else if (drv && (drv->is_protocol || drv->own_children)) {
        json_object_remove(options, "driver");
    }
    if ((!drv || !(drv->is_protocol || drv->own_children)) && !json_object_has(options, "file")) {
        error_setg(errp, "A block device must be specified for \"file\"");
        return NULL;
    }
    if (!drv) {
        drv = open_and_probe(options, n, &file, errp);
    }
    bn = drv ? open_driver(drv, n, options, errp) : NULL;
    block_node_unref(file);
    return bn;
}

BlockNode *block_open(const char *filename, JsonValue *given, unsigned flags, Error **errp)
{
    g_autoptr(JsonValue) options = given ? json_copy(given) : json_object();
    NodeOptions n = { .flags = flags | (block_images_inactive() ? BLOCK_OPEN_INACTIVE : 0) };
    BlockNode *bn = NULL;

    json_unref(given);
    if (!block_options_nest(options, errp)) {
        return NULL;
    }
    if (filename && g_str_has_prefix(filename, "json:")) {
        if (!merge_json_name(options, filename + strlen("json:"), errp)) {
            return NULL;
        }
        n.flags &= ~BLOCK_OPEN_PROTOCOL;
        filename = NULL;
    }
    bn = open_with(filename, options, &n, errp);
    g_free(n.driver);
    g_free(n.node_name);
    return bn;
}

BlockChild *block_child_open(BlockNode *bn, const char *filename, JsonValue *options,
                             const char *name, unsigned role, bool allow_none, Error **errp)
{
    g_autoptr(JsonValue) spec = NULL;
    const char *ref;
    BlockNode *node;
    BlockChild *c;

    if (json_object_has(options, name)) {
        spec = json_ref(json_object_get(options, name));
        json_object_remove(options, name);
    }
    if (!spec && !filename) {
        if (!allow_none) {
            error_setg(errp, "A block device must be specified for \"%s\"", name);
        }
        return NULL;
    }
    ref = spec ? json_get_string(spec) : NULL;
    if (ref) {
        node = block_lookup(ref, ref, errp);
        if (node) {
            block_node_ref(node);
        }
    } else if (spec && json_kind(spec) != JSON_OBJECT) {
        error_setg(errp, "Invalid parameter type for '%s', expected: object or node name", name);
        return NULL;
    } else {
        node =
            block_open(filename, spec ? json_ref(spec) : NULL,
                       role & BLOCK_ROLE_COW ? backing_flags(bn->open_flags) :
                                               child_flags(bn->open_flags), errp);
    }
    if (!node) {
        return NULL;
    }
    c = block_child_attach(bn, node, name, role, errp);
    block_node_unref(node);
    if (c && !strcmp(name, "file")) {
        bn->file = c;
    } else if (c && !strcmp(name, "backing")) {
        bn->backing = c;
    }
    return c;
}

/* ---- blockdev-add, blockdev-del ---- */

BlockNode *block_node_add(const JsonValue *given, Error **errp)
{
    g_autoptr(JsonValue) options = json_copy(given);
    BlockdevOptions *typed;
    BlockNode *bn;

    /* The schema knows better than the drivers what is wrong. */
    if (!block_options_nest(options, errp)) {
        return NULL;
    }
    typed = qapi_decode(&qapi_type_BlockdevOptions, options, errp);
    if (!typed) {
        return NULL;
    }
    if (!typed->node_name) {
        error_setg(errp, "'node-name' must be specified for the root node");
        qapi_free_BlockdevOptions(typed);
        return NULL;
    }
    /* From here on numbers are numbers, also those that came as text. */
    json_unref(options);
    options = qapi_encode(&qapi_type_BlockdevOptions, typed);
    qapi_free_BlockdevOptions(typed);
    bn = block_open(NULL, json_ref(options), BLOCK_OPEN_RDWR, errp);
    if (bn) {
        bn->monitor_owned = true;
    }
    return bn;
}

bool block_node_del(const char *node_name, Error **errp)
{
    BlockNode *bn = block_node_find(node_name);
    BlockChild *c;

    if (!bn) {
        error_setg(errp, "Failed to find node with node-name='%s'", node_name);
        return false;
    }
    for (c = bn->parents; c; c = c->next_parent) {
        if (!c->ops->parent_is_node) {
            error_setg(errp, "Node %s is in use", bn->node_name);
            return false;
        }
    }
    if (!bn->monitor_owned) {
        error_setg(errp, "Node %s is not owned by the monitor", bn->node_name);
        return false;
    }
    if (bn->refs > 1) {
        error_setg(errp, "Block device %s is in use", bn->node_name);
        return false;
    }
    bn->monitor_owned = false;
    block_node_unref(bn);
    return true;
}

/* ---- names of open nodes ---- */

/* Adds the options that determine the content; true when there were any. */
static bool add_strong_options(const BlockNode *bn, JsonValue *to)
{
    const char *const *name;
    bool any = false;

    for (name = bn->drv->strong_options; name && *name; name++) {
        JsonValue *v = json_object_get(bn->options, *name);

        if (v) {
            json_object_set_take(to, *name, json_copy(v));
            any = true;
        }
    }
    return any;
}

/* Whether the backing node is another one than the image names. */
static bool backing_overridden(BlockNode *bn)
{
    g_autofree char *path = NULL;

    if (!bn->drv->supports_backing || (bn->open_flags & BLOCK_OPEN_NO_BACKING)) {
        return false;
    }
    if (!bn->backing) {
        return bn->backing_file && *bn->backing_file;
    }
    return !implied_backing(bn, &path, NULL) || g_strcmp0(path, bn->backing->node->filename);
}

static JsonValue *full_options(BlockNode *bn)
{
    JsonValue *o = json_object();
    bool overridden = backing_overridden(bn);
    BlockChild *c;

    json_object_set_string(o, "driver", bn->drv->name);
    add_strong_options(bn, o);
    for (c = bn->children; c; c = c->next_child) {
        if (c != bn->backing || overridden) {
            json_object_set_take(o, c->name, full_options(c->node));
        }
    }
    if (overridden && !bn->backing) {
        json_object_set_take(o, "backing", json_null());
    }
    return o;
}

void block_node_refresh_filename(BlockNode *bn)
{
    g_autoptr(JsonValue) strong = json_object();
    BlockChild *c = block_primary_child(bn);

    if (!bn->drv->is_protocol) {
        g_clear_pointer(&bn->exact_filename, g_free);
        if (bn->drv->exact_name) {
            bn->exact_filename = bn->drv->exact_name(bn);
        } else if (c && c->node->exact_filename && (!bn->drv->is_filter || bn->drv->internal) &&
                   !add_strong_options(bn, strong) && !backing_overridden(bn)) {
            bn->exact_filename = g_strdup(c->node->exact_filename);
        }
    }
    g_free(bn->filename);
    if (bn->exact_filename) {
        bn->filename = g_strdup(bn->exact_filename);
    } else {
        g_autoptr(JsonValue) full = full_options(bn);
        GString *s = g_string_new("json:");

        json_print_to(s, full, JSON_COMPACT);
        bn->filename = g_string_free(s, false);
    }
}
