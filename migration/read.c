/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads a stream: pages go straight to guest RAM, sections of state are kept
 * until the end is there and all check sums were right.
 *
 * Thread: the caller's, one at a time. The stream is not trusted: it can break
 * the guest that it is of, never this program.
 */
#include "util/osdep.h"
#include "migration/migration-internal.h"

#define SECTIONS_MAX 65536

bool stream_reader_init(StreamReader *r, IoChannel *ch, EventNotifier *cancel, Error **errp)
{
    *r = (StreamReader){ 0 };
    if (!record_channel_init(&r->rc, ch, cancel, errp)) {
        return false;
    }
    r->sections = g_ptr_array_new_with_free_func(migration_section_free);
    return true;
}

void stream_reader_cleanup(StreamReader *r)
{
    g_clear_pointer(&r->sections, g_ptr_array_unref);
    ram_receiver_end(&r->ram);
    record_channel_cleanup(&r->rc);
}

static bool read_config(StreamReader *r, Error **errp)
{
    g_autoptr(JsonValue) config = NULL;
    g_autofree char *text = NULL;
    RecordHead head;
    size_t len;

    if (!record_read_head(&r->rc, &head, errp)) {
        return false;
    }
    if (head.type != RECORD_CONFIG) {
        error_setg(errp, "the stream does not begin with a configuration");
        return false;
    }
    text = record_read_rest(&r->rc, &len, errp);
    config = text ? json_parse(text, len, errp) : NULL;
    if (!config || !migration_config_check(config, errp) ||
        !ram_receiver_begin(&r->ram, json_object_get(config, "ram"), errp)) {
        return false;
    }
    if (json_object_has(config, "return-path")) {
        json_get_bool(json_object_get(config, "return-path"), &r->return_path);
    }
    return true;
}

static bool keep_section(StreamReader *r, Error **errp)
{
    size_t len;
    char *data = record_read_rest(&r->rc, &len, errp);
    IncomingSection *section = data ? migration_section_parse(data, len, errp) : NULL;

    if (!section) {
        return false;
    }
    if (r->sections->len >= SECTIONS_MAX) {
        error_setg(errp, "the stream has too many sections");
        migration_section_free(section);
        return false;
    }
    g_ptr_array_add(r->sections, section);
    return true;
}

static bool skip_record(StreamReader *r, Error **errp)
{
    size_t len;
    g_autofree char *text = record_read_rest(&r->rc, &len, errp);

    return text != NULL;
}

static bool read_end(StreamReader *r, Error **errp)
{
    g_autoptr(JsonValue) end = NULL;
    g_autofree char *text = NULL;
    const char *name;
    size_t len;

    text = record_read_rest(&r->rc, &len, errp);
    end = text ? json_parse(text, len, errp) : NULL;
    if (!end) {
        return false;
    }
    name = json_kind(end) == JSON_OBJECT ? json_object_get_string(end, "run-state") : NULL;
    if (!name) {
        error_setg(errp, "the end of the stream is damaged");
        return false;
    }
    int state = qapi_enum_parse(&qapi_enum_RunState, name, "run-state", errp);
    r->state = state;
    return state >= 0;
}

/* True when @head was the last one. */
static bool read_record(StreamReader *r, const RecordHead *head, bool *end, Error **errp)
{
    switch (head->type) {
    case RECORD_RAM_PAGES:
        return ram_receiver_pages(&r->ram, &r->rc, errp);
    case RECORD_RAM_ZERO:
        return ram_receiver_zero(&r->ram, &r->rc, errp);
    case RECORD_RAM_PASS:
    case RECORD_DESCRIPTION:
        return skip_record(r, errp);
    case RECORD_STATE:
        return keep_section(r, errp);
    case RECORD_END:
        *end = true;
        return read_end(r, errp);
    default:
        error_setg(errp, "the stream has a record of the unknown type %u", head->type);
        return false;
    }
}

bool stream_reader_run(StreamReader *r, Error **errp)
{
    bool end = false;

    if (!record_read_stream_head(&r->rc, errp) || !read_config(r, errp)) {
        return false;
    }
    while (!end) {
        RecordHead head;

        if (!record_read_head(&r->rc, &head, errp) || !read_record(r, &head, &end, errp)) {
            return false;
        }
    }
    return true;
}
