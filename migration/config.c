/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first record of a stream, which says what machine it is of, and the
 * sections of state. Main thread with the machine lock, machine stopped.
 */
#include "util/osdep.h"
#include "hw/core/machine.h"
#include "migration/migration-internal.h"
#include "migration/ram.h"
#include "migration/stream.h"
#include "system/cpus.h"
#include "system/machine-lock.h"
#include "system/runstate.h"
#include "system/target.h"
#include "trace-migration.h"
#include "util/bswap.h"

/* ---- state that belongs to no device ---- */

typedef struct ClockState {
    int64_t virtual_ns;
} ClockState;

static ClockState clock_values;

static void clock_pre_save(void *opaque)
{
    clock_values.virtual_ns = clock_now_ns(CLOCK_TYPE_VIRTUAL);
}

static bool clock_post_load(void *opaque, int version)
{
    if (clock_values.virtual_ns < 0) {
        return false;
    }
    clock_virtual_set(clock_values.virtual_ns);
    return true;
}

static const StateField clock_fields[] = {
    STATE_F_INT64(ClockState, virtual_ns),
    STATE_F_END
};

/* Before devices, whose timers count in it. */
static const StateTable clock_state = {
    .name = "clock", .version = 1, .minimum_version = 1, .fields = clock_fields,
    .pre_save = clock_pre_save, .post_load = clock_post_load, .priority = 100,
};

void migration_init(void)
{
    state_register(&clock_state, "clock", 0, &clock_values);
}

/* ---- configuration ---- */

static const char *machine_name(void)
{
    return machine_ops(machine_current())->name;
}

static GString *migration_config_text(bool return_path)
{
    g_autoptr(JsonValue) o = json_object();

    json_object_set_string(o, "program", "nemu " NEMU_VERSION);
    json_object_set_string(o, "arch", SysEmuTarget_str(system_target.arch));
    json_object_set_string(o, "machine", machine_name());
    json_object_set_bool(o, "return-path", return_path);
    json_object_set_take(o, "ram", ram_describe());
    return json_print(o, JSON_COMPACT);
}

static bool same(const JsonValue *config, const char *member, const char *here, Error **errp)
{
    const char *there = json_object_get_string(config, member);

    if (g_strcmp0(there, here) != 0) {
        error_setg(errp, "the source has the %s '%s', here it is '%s'", member, there ? there : "", here);
        return false;
    }
    return true;
}

bool migration_config_check(const JsonValue *config, Error **errp)
{
    if (json_kind(config) != JSON_OBJECT) {
        error_setg(errp, "the stream's configuration is damaged");
        return false;
    }
    return same(config, "arch", SysEmuTarget_str(system_target.arch), errp) &&
           same(config, "machine", machine_name(), errp);
}

/* ---- sections: u16 length of the id, id, u32 instance, the table ---- */

static GBytes *save_section(const StateSection *section)
{
    StateStream *s = state_writer_new();
    const uint8_t *data;
    GBytes *bytes;
    size_t len;

    state_put_u16(s, strlen(section->id));
    state_put(s, section->id, strlen(section->id));
    state_put_u32(s, section->instance);
    state_save(section->table, s, section->state);
    data = state_writer_data(s, &len);
    bytes = g_bytes_new(data, len);
    state_stream_free(s);
    return bytes;
}

static JsonValue *describe_section(const StateSection *section)
{
    JsonValue *o = json_object();

    json_object_set_string(o, "id", section->id);
    json_object_set_uint(o, "instance", section->instance);
    json_object_set_take(o, "table", state_describe(section->table, section->state));
    return o;
}

GPtrArray *migration_save_sections(GString **description)
{
    g_autoptr(GPtrArray) sections = state_sections();
    g_autoptr(JsonValue) list = json_array();
    GPtrArray *records = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);

    for (guint i = 0; i < sections->len; i++) {
        const StateSection *section = sections->pdata[i];

        g_ptr_array_add(records, save_section(section));
        json_array_add_take(list, describe_section(section));
    }
    *description = json_print(list, JSON_COMPACT);
    return records;
}

IncomingSection *migration_section_parse(char *data, size_t len, Error **errp)
{
    IncomingSection *s;
    size_t id_len = len >= 2 ? load_le16(data) : 0;

    if (len < 2 + id_len + 4 || memchr(data + 2, '\0', id_len)) {
        error_setg(errp, "the stream has a damaged section");
        g_free(data);
        return NULL;
    }
    s = g_new0(IncomingSection, 1);
    s->data = (uint8_t *)data;
    s->id = g_strndup(data + 2, id_len);
    s->instance = load_le32(data + 2 + id_len);
    s->state = s->data + 2 + id_len + 4;
    s->len = len - 2 - id_len - 4;
    return s;
}

void migration_section_free(void *section)
{
    IncomingSection *s = section;

    g_free(s->id);
    g_free(s->data);
    g_free(s);
}

/* Takes it out of the list; NULL: not there. */
static IncomingSection *take_section(GPtrArray *incoming, const StateSection *want)
{
    for (guint i = 0; i < incoming->len; i++) {
        IncomingSection *s = incoming->pdata[i];

        if (s->instance == want->instance && !strcmp(s->id, want->id)) {
            return g_ptr_array_steal_index(incoming, i);
        }
    }
    return NULL;
}

static bool load_section(const StateSection *section, const IncomingSection *in, Error **errp)
{
    StateStream *s = state_reader_new(in->state, in->len);
    bool ok = state_load(section->table, s, section->state);

    trace_migration_section(in->id, in->instance, in->len);
    if (!ok) {
        error_setg(errp, "section '%s' (instance %u): %s", in->id, in->instance, state_stream_failure(s));
    } else if (state_stream_left(s)) {
        error_setg(errp, "section '%s' (instance %u) is longer than expected", in->id, in->instance);
        ok = false;
    }
    state_stream_free(s);
    return ok;
}

static bool load_sections(GPtrArray *incoming, Error **errp)
{
    g_autoptr(GPtrArray) sections = state_sections();

    for (guint i = 0; i < sections->len; i++) {
        const StateSection *section = sections->pdata[i];
        IncomingSection *in = take_section(incoming, section);
        bool ok;

        if (!in) {
            error_setg(errp, "the source has no '%s' (instance %u), which this machine has",
                       section->id, section->instance);
            return false;
        }
        ok = load_section(section, in, errp);
        migration_section_free(in);
        if (!ok) {
            return false;
        }
    }
    if (incoming->len) {
        const IncomingSection *extra = incoming->pdata[0];

        error_setg(errp, "the source has '%s' (instance %u), which this machine has not", extra->id,
                   extra->instance);
        return false;
    }
    return true;
}

static bool put_registers(Error **errp)
{
    CPU_FOREACH(cpu) {
        if (!cpu_state_flush(cpu, errp)) {
            return false;
        }
    }
    return true;
}

bool migration_load_machine(GPtrArray *incoming, Error **errp)
{
    return load_sections(incoming, errp) && put_registers(errp);
}

/* ---- what a stream has beside RAM ---- */

bool migration_send_head(RecordChannel *rc, bool return_path, Error **errp)
{
    bool held = machine_lock_held();
    g_autoptr(GString) config = NULL;

    if (!held) {
        machine_lock();
    }
    config = migration_config_text(return_path);
    if (!held) {
        machine_unlock();
    }
    return record_write_stream_head(rc, errp) &&
           record_write(rc, RECORD_CONFIG, config->str, config->len, errp);
}

bool migration_send_machine(RecordChannel *rc, const GPtrArray *sections, const GString *description,
                            RunState state, Error **errp)
{
    g_autofree char *end = g_strdup_printf("{\"run-state\":\"%s\"}", RunState_str(state));

    for (guint i = 0; i < sections->len; i++) {
        gsize len;
        const void *data = g_bytes_get_data(sections->pdata[i], &len);

        if (!record_write(rc, RECORD_STATE, data, len, errp)) {
            return false;
        }
    }
    return record_write(rc, RECORD_DESCRIPTION, description->str, description->len, errp) &&
           record_write(rc, RECORD_END, end, strlen(end), errp);
}
