/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Options of image creation as users write them: "-o" texts, the tables of
 * format and protocol drivers, their help, and "qemu-img create" itself with its
 * "Formatting" line, which block jobs print too. Main thread.
 */
#include "util/osdep.h"
#include "block/block-int.h"
#include "block/image.h"
#include "block/options.h"
#include "util/cutils.h"

/* ---- texts ---- */

bool block_image_options_want_help(const char *text)
{
    g_auto(GStrv) items = g_strsplit(text, ",", -1);
    size_t i;

    for (i = 0; items[i]; i++) {
        if (!strcmp(items[i], "help") || !strcmp(items[i], "?")) {
            return true;
        }
    }
    return false;
}

/* Lists may be joined, so a comma at the start or end would swallow a part. */
static bool wellformed_list(const char *text)
{
    size_t len = strlen(text), commas = 0;

    while (commas < len && text[len - 1 - commas] == ',') {
        commas++;
    }
    return len > 0 && (*text != ',' || text[1] == ',') && commas % 2 == 0;
}

bool block_image_options_parse(JsonValue *options, const char *text, Error **errp)
{
    g_autoptr(JsonValue) more = NULL;
    size_t i;

    if (!wellformed_list(text)) {
        error_setg(errp, "Invalid option list: %s", text);
        return false;
    }
    more = keyval_parse_flat(text, NULL, false, NULL, errp);
    if (!more) {
        return false;
    }
    for (i = 0; i < json_object_len(more); i++) {
        const char *key;
        JsonValue *v;

        json_object_at(more, i, &key, &v);
        json_object_set_take(options, key, json_ref(v));
    }
    return true;
}

/* ---- tables ---- */

static const BlockImageOption *find_option(const BlockImageOption *table, const char *name)
{
    for (; table && table->name; table++) {
        if (!strcmp(table->name, name)) {
            return table;
        }
    }
    return NULL;
}

static bool check_number(JsonValue *options, const BlockImageOption *o, Error **errp)
{
    const char *text = json_object_get_string(options, o->name);
    uint64_t n;

    if (text && parse_uint64(text, 0, &n) < 0) {
        error_setg(errp, "Parameter '%s' expects a number", o->name);
        return false;
    }
    if (text) {
        json_object_set_uint(options, o->name, n);
    }
    return true;
}

/* The value in its own type. */
static bool check_option(JsonValue *options, const BlockImageOption *o, Error **errp)
{
    JsonValue *v = json_object_get(options, o->name);
    uint64_t size = 0;
    bool on = false;

    switch (o->type) {
    case BLOCK_IMAGE_OPT_BOOL:
        if (!block_option_take_bool(options, o->name, &on, errp)) {
            return false;
        }
        json_object_set_bool(options, o->name, on);
        return true;
    case BLOCK_IMAGE_OPT_SIZE:
        if (!block_option_take_size(options, o->name, &size, NULL, errp)) {
            return false;
        }
        json_object_set_uint(options, o->name, size);
        return true;
    case BLOCK_IMAGE_OPT_NUMBER:
        return check_number(options, o, errp);
    default:
        if (!json_get_string(v)) {
            error_setg(errp, "Invalid parameter type for '%s', expected: string", o->name);
            return false;
        }
        return true;
    }
}

bool block_image_options_check(const BlockImageOption *table, const BlockImageOption *more,
                               JsonValue *options, Error **errp)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    guint i;

    for (i = 0; i < json_object_len(options); i++) {
        const char *key;
        JsonValue *v;

        json_object_at(options, i, &key, &v);
        g_ptr_array_add(names, g_strdup(key));
    }
    for (i = 0; i < names->len; i++) {
        const BlockImageOption *o = find_option(table, names->pdata[i]);

        o = o ? o : find_option(more, names->pdata[i]);
        if (!o) {
            error_setg(errp, "Invalid parameter '%s'", (char *)names->pdata[i]);
            return false;
        }
        if (!check_option(options, o, errp)) {
            return false;
        }
    }
    return true;
}

/* ---- help ---- */

static int by_name(gconstpointer a, gconstpointer b)
{
    const BlockImageOption *x = *(const BlockImageOption *const *)a;
    const BlockImageOption *y = *(const BlockImageOption *const *)b;

    return strcmp(x->name, y->name);
}

static void collect_options(GPtrArray *all, const BlockImageOption *table)
{
    guint i;

    for (; table && table->name; table++) {
        for (i = 0; i < all->len; i++) {
            if (!strcmp(((const BlockImageOption *)all->pdata[i])->name, table->name)) {
                break;
            }
        }
        if (i == all->len) {
            g_ptr_array_add(all, (gpointer)table);
        }
    }
}

static void print_options(GString *s, const BlockImageOption *table, const BlockImageOption *more)
{
    static const char *const types[] = { "<str>", "<size>", "<num>", "<bool (on/off)>" };
    g_autoptr(GPtrArray) all = g_ptr_array_new();
    guint i;

    collect_options(all, table);
    collect_options(all, more);
    g_ptr_array_sort(all, by_name);
    for (i = 0; i < all->len; i++) {
        const BlockImageOption *o = all->pdata[i];
        g_autofree char *head = g_strdup_printf("%s=%s", o->name, types[o->type]);

        g_string_append_printf(s, "  %-22s - %s\n", head, o->help);
    }
}

char *block_image_options_help(const BlockDriver *drv, const char *filename, Error **errp)
{
    GString *s = g_string_new(NULL);
    const BlockDriver *protocol;

    if (!filename) {
        g_string_append_printf(s, "Supported %s options:\n", drv->name);
        print_options(s, drv->create_options, NULL);
        if (!drv->is_protocol) {
            g_string_append(s, "\nThe protocol level may support further options.\n"
                            "Specify the target filename to include those options.\n");
        }
        return g_string_free(s, false);
    }
    protocol = block_protocol_for(filename, errp);
    if (!protocol) {
        g_string_free(s, true);
        return NULL;
    }
    g_string_append(s, "Supported options:\n");
    print_options(s, drv->create_options, protocol->create_options);
    return g_string_free(s, false);
}

char *block_image_amend_help(const BlockDriver *drv, Error **errp)
{
    GString *s;

    if (!drv->amend_options) {
        error_setg(errp, "Format driver '%s' does not support option amendment", drv->name);
        return NULL;
    }
    s = g_string_new(NULL);
    g_string_append_printf(s, "Amend options for '%s':\n", drv->name);
    print_options(s, drv->amend_options, NULL);
    return g_string_free(s, false);
}

/* ---- create ---- */

static void append_escaped(GString *s, const char *text)
{
    for (; *text; text++) {
        g_string_append_c(s, *text);
        if (*text == ',') {
            g_string_append_c(s, ',');
        }
    }
}

static void append_value(GString *s, const BlockImageOption *o, const JsonValue *v)
{
    uint64_t n;
    bool on;

    if (json_get_bool(v, &on)) {
        g_string_append_printf(s, " %s=%s", o->name, on ? "on" : "off");
    } else if (json_get_uint(v, &n)) {
        g_string_append_printf(s, " %s=%" PRIu64, o->name, n);
    } else if (json_get_string(v)) {
        g_string_append_printf(s, " %s=", o->name);
        append_escaped(s, json_get_string(v));
    }
}

static void append_line_part(GString *s, const BlockImageOption *table,
                             const BlockImageOption *skip, const JsonValue *options)
{
    for (; table && table->name; table++) {
        JsonValue *v = json_object_get(options, table->name);

        if (find_option(skip, table->name)) {
            continue;
        }
        if (v) {
            append_value(s, table, v);
        } else if (table->def) {
            g_string_append_printf(s, " %s=%s", table->name, table->def);
        }
    }
}

static void print_formatting_line(const BlockImageCreate *c, const BlockDriver *drv,
                                  const BlockDriver *protocol, const JsonValue *options)
{
    GString *s = g_string_new(NULL);

    g_string_append_printf(s, "Formatting '%s', fmt=%s", c->filename, c->format);
    append_line_part(s, drv->create_options, NULL, options);
    append_line_part(s, protocol->create_options, drv->create_options, options);
    printf("%s\n", s->str);
    fflush(stdout);
    g_string_free(s, true);
}

/* Put -b and -F where -o would have them. */
static bool set_backing_options(const BlockImageCreate *c, const BlockDriver *drv,
                                JsonValue *options, Error **errp)
{
    if (c->backing) {
        if (!find_option(drv->create_options, "backing_file")) {
            error_setg(errp, "Backing file not supported for file format '%s'", c->format);
            return false;
        }
        json_object_set_string(options, "backing_file", c->backing);
    }
    if (c->backing_format) {
        if (!find_option(drv->create_options, "backing_fmt")) {
            error_setg(errp, "Backing file format not supported for file format '%s'", c->format);
            return false;
        }
        json_object_set_string(options, "backing_fmt", c->backing_format);
    }
    return true;
}

/* Look at the backing file: its size is the default, and it has to be there. */
static bool look_at_backing(const BlockImageCreate *c, const char *backing, const char *format,
                            bool need_size, uint64_t *size, Error **errp)
{
    g_autofree char *path = block_backing_path(c->filename, backing, errp);
    JsonValue *o;
    BlockNode *bn;

    if (!path) {
        return false;
    }
    o = json_object();
    if (format) {
        json_object_set_string(o, "driver", format);
    }
    json_object_set_bool(o, "force-share", true);
    bn = block_open(path, o, 0, errp);
    if (!bn) {
        error_append_hint(errp, "Could not open backing image.\n");
        return false;
    }
    if (!format) {
        error_setg(errp, "Backing file specified without backing format");
        error_append_hint(errp, "Detected format of %s.", bn->drv->name);
        block_node_unref(bn);
        return false;
    }
    if (need_size) {
        *size = bn->total_bytes;
    }
    block_node_unref(bn);
    return true;
}

static bool check_backing(const BlockImageCreate *c, JsonValue *options, bool *has_size,
                          uint64_t *size, Error **errp)
{
    const char *backing = json_object_get_string(options, "backing_file");
    const char *format = json_object_get_string(options, "backing_fmt");

    if (!backing || !*backing) {
        return true;
    }
    if (!strcmp(backing, c->filename)) {
        error_setg(errp,
                   "Error: Trying to create an image with the same filename as the backing file");
        return false;
    }
    if (!c->unsafe) {
        if (!look_at_backing(c, backing, format, !*has_size, size, errp)) {
            return false;
        }
        *has_size = true;
    } else if (!format) {
        error_setg(errp, "Backing file specified without backing format");
        return false;
    }
    return true;
}

static bool find_drivers(const BlockImageCreate *c, const BlockDriver **drv,
                         const BlockDriver **protocol, Error **errp)
{
    *drv = block_driver_find(c->format);
    if (!*drv) {
        error_setg(errp, "Unknown file format '%s'", c->format);
        return false;
    }
    *protocol = block_protocol_for(c->filename, errp);
    if (!*protocol) {
        return false;
    }
    if (!(*drv)->co_create_opts && !((*drv)->is_protocol && (*drv)->co_pwritev)) {
        error_setg(errp, "Format driver '%s' does not support image creation", c->format);
        return false;
    }
    return true;
}

bool block_image_create_checked(const BlockImageCreate *c, Error **errp)
{
    g_autoptr(JsonValue) options = c->options ? json_copy(c->options) : json_object();
    const BlockDriver *drv, *protocol;
    bool has_size = c->has_size;
    uint64_t size = c->size;

    if (!find_drivers(c, &drv, &protocol, errp) ||
        !block_image_options_check(drv->create_options, protocol->create_options, options, errp)) {
        return false;
    }
    if (json_object_has(options, "size")) {
        if (has_size) {
            error_setg(errp, "The image size must be specified only once");
            return false;
        }
        has_size = json_get_uint(json_object_get(options, "size"), &size);
    }
    if (!set_backing_options(c, drv, options, errp) ||
        !check_backing(c, options, &has_size, &size, errp)) {
        return false;
    }
    if (!has_size) {
        error_setg(errp, "Image creation needs a size parameter");
        return false;
    }
    json_object_set_uint(options, "size", size);
    if (!c->quiet) {
        print_formatting_line(c, drv, protocol, options);
    }
    return block_image_create(c->format, c->filename, options, errp);
}
