/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line's view of disks: -blockdev and -drive, and the device
 * property that names one. Main thread.
 */
#include "util/osdep.h"
#include "block/block-int.h"
#include "block/options.h"
#include "util/cutils.h"

bool blockdev_option_add(const char *text, Error **errp)
{
    g_autoptr(JsonValue) options = keyval_parse(text, "driver", NULL, errp);

    return options && block_node_add(options, errp);
}

/* ---- -drive ---- */

/*
 * "a=1,b.c=2" with doubled commas, to a flat object: unlike -blockdev, -drive
 * knows "file=NAME" beside "file.driver=...".
 */
static JsonValue *parse_flat(const char *text, Error **errp)
{
    JsonValue *o = json_object();

    while (*text) {
        GString *item = g_string_new(NULL);
        char *eq;

        while (*text && (*text != ',' || text[1] == ',')) {
            text += *text == ',';
            g_string_append_c(item, *text++);
        }
        text += *text == ',';
        eq = strchr(item->str, '=');
        if (eq) {
            *eq = '\0';
            json_object_set_take(o, item->str, json_keyval_string(eq + 1));
        } else if (json_object_len(o) == 0) {
            json_object_set_take(o, "file", json_keyval_string(item->str));
        } else {
            error_setg(errp, "Expected '=' after parameter '%s'", item->str);
            json_unref(o);
            o = NULL;
        }
        g_string_free(item, true);
        if (!o) {
            return NULL;
        }
    }
    return o;
}

typedef enum DriveIf { DRIVE_IF_NONE, DRIVE_IF_VIRTIO, DRIVE_IF_PFLASH, DRIVE_IF_COUNT } DriveIf;
static const char *const drive_if_names[DRIVE_IF_COUNT] = { "none", "virtio", "pflash" };

/* What -drive says beyond the options of the node. */
typedef struct DriveSpec {
    char *file, *id, *serial;
    DriveIf iface;
    uint64_t index;
    bool has_index;
    int on_read, on_write;
    bool writethrough;
} DriveSpec;

static bool take_interface(JsonValue *o, DriveSpec *d, Error **errp)
{
    g_autofree char *name = NULL;
    int i;

    if (!block_option_take_string(o, "if", &name, errp)) {
        return false;
    }
    d->iface = DRIVE_IF_VIRTIO;
    for (i = 0; name && i <= DRIVE_IF_COUNT; i++) {
        if (i == DRIVE_IF_COUNT) {
            error_setg(errp, "unsupported bus type '%s'", name);
            return false;
        }
        if (!strcmp(name, drive_if_names[i])) {
            d->iface = i;
            break;
        }
    }
    return true;
}

static bool take_media(JsonValue *o, Error **errp)
{
    g_autofree char *media = NULL;

    if (!block_option_take_string(o, "media", &media, errp)) {
        return false;
    }
    if (media && strcmp(media, "disk")) {
        error_setg(errp,
                   strcmp(media, "cdrom") ? "'%s' invalid media" :
                                            "media=%s is not supported, only disk",
                   media);
        return false;
    }
    return true;
}

/* cache=MODE to cache.direct, cache.no-flush and the write cache. */
static bool take_cache_mode(JsonValue *o, DriveSpec *d, Error **errp)
{
    static const struct {
        const char *name;
        bool writeback, direct, no_flush;
    } modes[] = {
        { "none", true, true, false },        { "off", true, true, false },
        { "directsync", false, true, false }, { "writeback", true, false, false },
        { "unsafe", true, false, true },      { "writethrough", false, false, false },
    };
    g_autofree char *mode = NULL;
    bool writeback = true;
    size_t i;

    if (!block_option_take_string(o, "cache", &mode, errp)) {
        return false;
    }
    for (i = 0; mode && i <= ARRAY_SIZE(modes); i++) {
        if (i == ARRAY_SIZE(modes)) {
            error_setg(errp, "invalid cache option");
            return false;
        }
        if (strcmp(mode, modes[i].name)) {
            continue;
        }
        writeback = modes[i].writeback;
        if (!json_object_has(o, "cache.direct")) {
            json_object_set_bool(o, "cache.direct", modes[i].direct);
        }
        if (!json_object_has(o, "cache.no-flush")) {
            json_object_set_bool(o, "cache.no-flush", modes[i].no_flush);
        }
        break;
    }
    if (!block_option_take_bool(o, "cache.writeback", &writeback, errp)) {
        return false;
    }
    d->writethrough = !writeback;
    return true;
}

static bool take_on_error(JsonValue *o, const char *name, bool is_read, int *action, Error **errp)
{
    g_autofree char *text = NULL;
    int v = -1;

    if (!block_option_take_string(o, name, &text, errp)) {
        return false;
    }
    if (!text) {
        return true;
    }
    if (strcmp(text, "auto") && (!is_read || strcmp(text, "enospc"))) {
        v = qapi_enum_parse(&qapi_enum_BlockdevOnError, text, name, NULL);
    }
    if (v < 0) {
        error_setg(errp, "'%s' invalid %s error action", text, is_read ? "read" : "write");
        return false;
    }
    *action = v;
    return true;
}

/* Old names of node options, and those whose wrong values -drive words differently. */
static bool rename_node_options(JsonValue *o, Error **errp)
{
    static const char *const renames[][2] = {
        { "format", "driver" },
        { "readonly", "read-only" },
        { "copy-on-read", NULL },
        { "snapshot", NULL },
    };
    size_t i;
    const char *text;

    text = json_object_get_string(o, "aio");
    if (text && qapi_enum_parse(&qapi_enum_BlockdevAioOptions, text, "aio", NULL) < 0) {
        error_setg(errp, "invalid aio option");
        return false;
    }
    text = json_object_get_string(o, "discard");
    if (text && (!strcmp(text, "off") || !strcmp(text, "on"))) {
        json_object_set_string(o, "discard", text[1] == 'n' ? "unmap" : "ignore");
    } else if (text && strcmp(text, "ignore") && strcmp(text, "unmap")) {
        error_setg(errp, "Invalid discard option");
        return false;
    }
    text = json_object_get_string(o, "detect-zeroes");
    if (text &&
        qapi_enum_parse(&qapi_enum_BlockdevDetectZeroesOptions, text, "detect-zeroes", NULL) < 0) {
        error_setg(errp, "invalid parameter value: %s", text);
        return false;
    }
    for (i = 0; i < ARRAY_SIZE(renames); i++) {
        JsonValue *v = json_object_get(o, renames[i][0]);

        if (!v) {
            continue;
        }
        if (renames[i][1]) {
            json_object_set_take(o, renames[i][1], json_ref(v));
        } else if (g_strcmp0(json_get_string(v), "off")) {
            error_setg(errp, "-drive %s=%s is not supported", renames[i][0], json_get_string(v));
            return false;
        }
        json_object_remove(o, renames[i][0]);
    }
    return true;
}

/* aio= belongs to the file below a format; there is no other way to say it with -drive. */
static void move_aio(JsonValue *o)
{
    const char *driver = json_object_get_string(o, "driver");
    const BlockDriver *drv = driver ? block_driver_find(driver) : NULL;
    JsonValue *aio = json_object_get(o, "aio");

    if (aio && !(drv && drv->is_protocol)) {
        if (!json_object_has(o, "file.aio")) {
            json_object_set_take(o, "file.aio", json_ref(aio));
        }
        json_object_remove(o, "aio");
    }
}

/* "unit" is another name of "index": every drive has bus 0. */
static bool take_unit(JsonValue *o, DriveSpec *d, Error **errp)
{
    uint64_t unit = 0, bus = 0;
    bool has_unit = false, has_bus = false;

    if (!block_option_take_size(o, "unit", &unit, &has_unit, errp) ||
        !block_option_take_size(o, "bus", &bus, &has_bus, errp)) {
        return false;
    }
    if (bus) {
        error_setg(errp, "-drive bus=%" PRIu64 ": there is only bus 0", bus);
        return false;
    }
    if ((has_unit || has_bus) && d->has_index) {
        error_setg(errp, "index cannot be used with bus and unit");
        return false;
    }
    if (has_unit) {
        d->has_index = true;
        d->index = unit;
    }
    return true;
}

static bool take_drive_spec(JsonValue *o, DriveSpec *d, Error **errp)
{
    d->on_read = BLOCKDEV_ON_ERROR_REPORT;
    d->on_write = BLOCKDEV_ON_ERROR_ENOSPC;
    if (!block_option_take_string(o, "id", &d->id, errp)) {
        return false;
    }
    if (d->id && !id_wellformed(d->id)) {
        error_setg(errp, "Parameter 'id' expects an identifier");
        error_append_hint(
            errp,
            "Identifiers consist of letters, digits, '-', '.', '_', starting with a letter.\n");
        return false;
    }
    if (d->id && blk_find(d->id)) {
        error_setg(errp, "Duplicate ID '%s' for drive", d->id);
        return false;
    }
    return block_option_take_string(o, "file", &d->file, errp) &&
           block_option_take_string(o, "serial", &d->serial, errp) &&
           block_option_take_size(o, "index", &d->index, &d->has_index, errp) &&
           take_unit(o, d, errp) &&
           take_interface(o, d, errp) &&
           take_media(o, errp) &&
           take_cache_mode(o, d, errp) &&
           take_on_error(o, "werror", false, &d->on_write, errp) &&
           take_on_error(o, "rerror", true, &d->on_read, errp) &&
           rename_node_options(o, errp);
}

/* "virtio3", "none0": the first free number, or the index given. */
static char *generate_id(const DriveSpec *d, Error **errp)
{
    uint64_t n = d->has_index ? d->index : 0;
    char *id;

    for (;; n++) {
        id = g_strdup_printf("%s%" PRIu64, drive_if_names[d->iface], n);
        if (!blk_find(id)) {
            return id;
        }
        if (d->has_index) {
            error_setg(errp, "drive with bus=0, unit=0 (index=%" PRIu64 ") exists", d->index);
            g_free(id);
            return NULL;
        }
        g_free(id);
    }
}

static bool is_empty_drive(const JsonValue *o, const DriveSpec *d)
{
    static const char *const harmless[] = { "read-only", "cache.direct", "cache.no-flush",
                                            "discard" };
    size_t i, known = 0;

    for (i = 0; i < ARRAY_SIZE(harmless); i++) {
        known += json_object_has(o, harmless[i]);
    }
    return (!d->file || !*d->file) && json_object_len(o) == known;
}

/* ---- flash ---- */

static BlockBackend *find_pflash(unsigned unit)
{
    for (BlockBackend *blk = blk_next(NULL); blk; blk = blk_next(blk)) {
        if (blk->pflash == unit + 1) {
            return blk;
        }
    }
    return NULL;
}

const char *drive_find_pflash(unsigned unit)
{
    BlockBackend *blk = find_pflash(unit);

    return blk ? blk->name : NULL;
}

bool drive_check_pflash(Error **errp)
{
    for (BlockBackend *blk = blk_next(NULL); blk; blk = blk_next(blk)) {
        if (blk->pflash && !blk->dev) {
            error_setg(errp, "machine type does not support if=pflash,bus=0,unit=%u",
                       blk->pflash - 1);
            return false;
        }
    }
    return true;
}

/* The number given, or the first free one. */
static bool number_pflash(BlockBackend *blk, const DriveSpec *d, Error **errp)
{
    unsigned unit = 0;

    if (d->has_index) {
        if (d->index > UINT16_MAX || find_pflash(d->index)) {
            error_setg(errp, "drive with bus=0, unit=%" PRIu64 " (index=%" PRIu64 ") exists",
                       d->index, d->index);
            return false;
        }
        unit = d->index;
    } else {
        while (find_pflash(unit)) {
            unit++;
        }
    }
    blk->pflash = unit + 1;
    return true;
}

/* ---- -drive ---- */

static bool create_drive(DriveSpec *d, JsonValue *options, Error **errp)
{
    BlockBackend *blk = blk_new(event_loop_main(), 0, BLOCK_PERM_ALL);
    BlockNode *bn = NULL;

    blk->drive = true;
    if (!blk_set_name(blk, d->id, errp) ||
        (d->iface == DRIVE_IF_PFLASH && !number_pflash(blk, d, errp))) {
        goto undo;
    }
    if (!is_empty_drive(options, d)) {
        move_aio(options);
        bn = block_open(d->file && *d->file ? d->file : NULL, json_ref(options), BLOCK_OPEN_RDWR,
                        errp);
        if (!bn || !blk_insert(blk, bn, errp)) {
            goto undo;
        }
        block_node_unref(bn);
    }
    blk_set_on_error(blk, d->on_read, d->on_write);
    blk->io_status_enabled = false;
    blk_set_write_cache(blk, !d->writethrough);
    return true;

undo:
    block_node_unref(bn);
    blk_unref(blk);
    return false;
}

bool drive_option_add(const char *text, JsonValue **device, Error **errp)
{
    g_autoptr(JsonValue) options = parse_flat(text, errp);
    DriveSpec d = { 0 };
    bool ok = false;

    *device = NULL;
    if (!options || !take_drive_spec(options, &d, errp)) {
        goto out;
    }
    if (!d.id && !(d.id = generate_id(&d, errp))) {
        goto out;
    }
    ok = create_drive(&d, options, errp);
    if (ok && d.iface == DRIVE_IF_VIRTIO) {
        *device = json_object();
        json_object_set_string(*device, "driver", "virtio-blk-pci");
        json_object_set_string(*device, "drive", d.id);
        if (d.serial) {
            json_object_set_string(*device, "serial", d.serial);
        }
    }
out:
    g_free(d.file);
    g_free(d.id);
    g_free(d.serial);
    return ok;
}

bool drive_del(const char *id, Error **errp)
{
    BlockBackend *blk = blk_find(id);

    if (!blk || !blk->drive) {
        error_setg(errp, block_node_find(id) ? "Deleting device added with blockdev-add is not supported"
                                             : "Device '%s' not found", id);
        return false;
    }
    if (blk_node(blk)) {
        BlockNode *bn = blk_node(blk);

        block_node_ref(bn);
        block_drain_begin(bn);
        blk_remove(blk);
        block_drain_end(bn);
        block_node_unref(bn);
    }
    g_clear_pointer(&blk->name, g_free);
    blk->drive = false;
    /* The guest sees what is missing; stopping would not bring it back. */
    blk_set_on_error(blk, BLOCKDEV_ON_ERROR_REPORT, BLOCKDEV_ON_ERROR_REPORT);
    blk_unref(blk);
    return true;
}

/* ---- the "drive" property ---- */

static bool drive_get(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    BlockBackend *blk = *(BlockBackend **)property_field(obj, p);
    BlockNode *bn = blk ? blk_node(blk) : NULL;

    *value = json_string(blk && blk->name ? blk->name : bn ? bn->node_name : "");
    return true;
}

static bool drive_set(Object *obj, const ObjectProperty *p, const JsonValue *value, Error **errp)
{
    BlockBackend **field = property_field(obj, p);
    const char *name = json_get_string(value);
    BlockBackend *blk;
    BlockNode *bn;

    if (!name) {
        error_setg(errp, "Invalid parameter type for '%s', expected: string", p->name);
        return false;
    }
    if (!*name) {
        blk = NULL;
        goto assign;
    }
    blk = blk_find(name);
    if (blk) {
        if (blk->dev || blk->drive_claimed) {
            error_setg(errp, "Drive '%s' is already in use by another device", name);
            return false;
        }
        blk->drive_claimed = true;
        blk_ref(blk);
        goto assign;
    }
    bn = block_node_find(name);
    if (!bn) {
        error_setg(errp, "Property '%s.%s' can't find value '%s'", obj->type->name, p->name, name);
        return false;
    }
    /* Permissions are the device's to ask for. */
    blk = blk_new(bn->loop, 0, BLOCK_PERM_ALL);
    if (!blk_insert(blk, bn, errp)) {
        blk_unref(blk);
        return false;
    }
assign:
    if (*field) {
        (*field)->drive_claimed = false;
        blk_unref(*field);
    }
    *field = blk;
    return true;
}

static void drive_release(Object *obj, const ObjectProperty *p)
{
    BlockBackend **field = property_field(obj, p);

    if (*field) {
        (*field)->drive_claimed = false;
        blk_unref(*field);
        *field = NULL;
    }
}

const PropertyKind prop_kind_drive = {
    .type_name = "str",
    .get = drive_get,
    .set = drive_set,
    .release = drive_release,
};
