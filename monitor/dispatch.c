/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One QMP request: checking its form, finding and running the command, and
 * the answer; and the commands about the protocol itself.
 *
 * Thread: main thread, or the monitors' iothread for out-of-band commands.
 * Trust: the input is any JSON value.
 */
#include "util/osdep.h"
#include "monitor/monitor-internal.h"
#include "qapi-commands.h"
#include "trace-monitor.h"

static __thread Monitor *current_monitor;
static bool preconfig;          /* written by the main thread */

void monitor_set_preconfig(bool on)
{
    atomic_store(&preconfig, on);
}

bool monitor_is_preconfig(void)
{
    return atomic_load(&preconfig);
}

Monitor *monitor_current(void)
{
    return current_monitor;
}

void monitor_request_free(Request *r)
{
    json_unref(r->input);
    g_free(r->error);
    g_free(r);
}

bool monitor_input_is_oob(const Monitor *mon, const JsonValue *input)
{
    return atomic_load(&mon->oob) && json_kind(input) == JSON_OBJECT && json_object_has(input, "exec-oob") &&
           !json_object_has(input, "execute");
}

/* ---- the form ---- */

typedef struct Call {
    const char *command;
    const JsonValue *args;      /* NULL: none */
    bool oob;
} Call;

static bool check_command_member(Call *call, const char *key, const JsonValue *v, Error **errp)
{
    if (json_get_string(v) == NULL) {
        error_setg(errp, "QMP input member '%s' must be a string", key);
        return false;
    }
    if (call->command != NULL) {
        error_setg(errp, "QMP input member 'execute' clashes with 'exec-oob'");
        return false;
    }
    call->command = json_get_string(v);
    call->oob = strcmp(key, "exec-oob") == 0;
    return true;
}

static bool check_form(const JsonValue *input, bool oob, Call *call, Error **errp)
{
    if (json_kind(input) != JSON_OBJECT) {
        error_setg(errp, "QMP input must be a JSON object");
        return false;
    }
    for (size_t i = 0; i < json_object_len(input); i++) {
        const char *key;
        JsonValue *v;

        json_object_at(input, i, &key, &v);
        if (strcmp(key, "execute") == 0 || (oob && strcmp(key, "exec-oob") == 0)) {
            if (!check_command_member(call, key, v, errp)) {
                return false;
            }
        } else if (strcmp(key, "arguments") == 0) {
            if (json_kind(v) != JSON_OBJECT) {
                error_setg(errp, "QMP input member 'arguments' must be an object");
                return false;
            }
            call->args = v;
        } else if (strcmp(key, "id") != 0) {
            error_setg(errp, "QMP input member '%s' is unexpected", key);
            return false;
        }
    }
    if (call->command == NULL) {
        error_setg(errp, "QMP input lacks member 'execute'");
        return false;
    }
    return true;
}

/* ---- running ---- */

static bool policy_allows(const QapiCommand *cmd, Error **errp)
{
    Error *err = NULL;

    if (qapi_policy_check(QAPI_DEPRECATED, cmd->flags & QAPI_CMD_DEPRECATED, "command", cmd->name, &err) &&
        qapi_policy_check(QAPI_UNSTABLE, cmd->flags & QAPI_CMD_UNSTABLE, "command", cmd->name, &err)) {
        return true;
    }
    error_set(errp, ERROR_CLASS_COMMAND_NOT_FOUND, "%s", error_message(err));
    error_free(err);
    return false;
}

static const QapiCommand *find_command(Monitor *mon, const Call *call, Error **errp)
{
    const QapiCommand *cmd = qapi_command_find(call->command);
    bool negotiated = atomic_load(&mon->negotiated);
    bool is_negotiation = strcmp(call->command, "qmp_capabilities") == 0;

    if (!negotiated && !is_negotiation) {
        error_set(errp, ERROR_CLASS_COMMAND_NOT_FOUND,
                  "Expecting capabilities negotiation with 'qmp_capabilities'");
        return NULL;
    }
    if (cmd == NULL) {
        error_set(errp, ERROR_CLASS_COMMAND_NOT_FOUND, "The command %s has not been found", call->command);
        return NULL;
    }
    if (call->oob && !(cmd->flags & QAPI_CMD_ALLOW_OOB)) {
        error_setg(errp, "The command %s does not support OOB", call->command);
        return NULL;
    }
    if (negotiated && is_negotiation) {
        error_set(errp, ERROR_CLASS_COMMAND_NOT_FOUND,
                  "Capabilities negotiation is already complete, command ignored");
        return NULL;
    }
    if (!policy_allows(cmd, errp)) {
        return NULL;
    }
    if (monitor_is_preconfig() && !(cmd->flags & QAPI_CMD_ALLOW_PRECONFIG)) {
        error_setg(errp, "The command '%s' is permitted only after machine initialization has completed",
                   cmd->name);
        return NULL;
    }
    return cmd;
}

static JsonValue *run(Monitor *mon, const JsonValue *input, Error **errp)
{
    Monitor *outer = current_monitor;
    g_autoptr(JsonValue) none = json_object();
    Call call = { 0 };
    const QapiCommand *cmd;
    JsonValue *ret;

    if (!check_form(input, atomic_load(&mon->oob), &call, errp)) {
        return NULL;
    }
    cmd = find_command(mon, &call, errp);
    if (cmd == NULL) {
        return NULL;
    }
    trace_monitor_command(mon, cmd->name, call.oob);
    current_monitor = mon;
    ret = cmd->run(call.args ? call.args : none, errp);
    current_monitor = outer;
    return ret;
}

static JsonValue *error_answer(const Error *err)
{
    JsonValue *answer = json_object(), *e = json_object();

    json_object_set_string(e, "class", error_class_name(error_class(err)));
    json_object_set_string(e, "desc", error_message(err));
    json_object_set_take(answer, "error", e);
    return answer;
}

void monitor_dispatch(Monitor *mon, Request *r)
{
    g_autoptr(JsonValue) answer = NULL;
    Error *err = NULL;
    JsonValue *ret = NULL, *id = NULL;

    if (r->input == NULL) {
        error_setg(&err, "%s", r->error);
    } else {
        ret = run(mon, r->input, &err);
    }
    if (err != NULL) {
        assert(ret == NULL);
        answer = error_answer(err);
        error_free(err);
    } else {
        assert(ret != NULL);
        answer = json_object();
        json_object_set_take(answer, "return", ret);
    }
    if (r->input != NULL && json_kind(r->input) == JSON_OBJECT) {
        id = json_object_get(r->input, "id");
    }
    if (id != NULL) {
        json_object_set_take(answer, "id", json_ref(id));
    }
    monitor_send(mon, r->session, answer);
}

/* ---- commands ---- */

bool qmp_qmp_capabilities(const QmpQmpCapabilitiesArgs *args, Error **errp)
{
    Monitor *mon = monitor_current();
    bool oob = false;

    for (QMPCapabilityList *l = args->enable; l != NULL; l = l->next) {
        oob = oob || l->value == QMP_CAPABILITY_OOB;
    }
    if (oob && !monitor_enable_oob(mon, errp)) {
        return false;
    }
    atomic_store(&mon->negotiated, true);
    monitor_events_start();
    return true;
}

VersionInfo *qmp_query_version(Error **errp)
{
    VersionInfo *info = g_new0(VersionInfo, 1);
    g_auto(GStrv) parts = g_strsplit(NEMU_COMPAT_VERSION, ".", 3);

    info->qemu = g_new0(VersionTriple, 1);
    info->qemu->major = atoi(parts[0]);
    info->qemu->minor = atoi(parts[1]);
    info->qemu->micro = atoi(parts[2]);
    info->package = g_strdup("nemu " NEMU_VERSION);
    return info;
}

CommandInfoList *qmp_query_commands(Error **errp)
{
    CommandInfoList *list = NULL;

    for (size_t i = qapi_commands_count; i > 0; i--) {
        CommandInfoList *cell = g_new0(CommandInfoList, 1);

        cell->value = g_new0(CommandInfo, 1);
        cell->value->name = g_strdup(qapi_commands[i - 1].name);
        cell->next = list;
        list = cell;
    }
    return list;
}

JsonValue *qmp_query_qmp_schema(const JsonValue *args, Error **errp)
{
    return qapi_decode_no_args(args, errp) ? json_text(qapi_introspection) : NULL;
}
