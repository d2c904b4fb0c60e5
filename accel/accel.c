/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Choosing the accelerator: the base type and the list of -accel. Main thread,
 * at start-up.
 */
#include "util/osdep.h"
#include "accel/accel.h"

OBJECT_TYPE(accel_type) = {
    .name = "accel",
    .parent = &object_type,
    .instance_size = sizeof(AccelState),
    .abstract = true,
};

static AccelState *current;
static const AccelOps *current_ops;
static char *current_name;
static JsonValue *lazy_choices;

AccelState *accel_current(void)
{
    return current;
}

const AccelOps *accel_ops(void)
{
    return current_ops;
}

const char *accel_name(void)
{
    return current_name;
}

static const TypeInfo *find_accel(const char *name)
{
    g_autofree char *type_name = g_strdup_printf("%s-accel", name);
    const TypeInfo *type = type_find(type_name);

    return type && type_is_a(type, &accel_type) && !type->abstract ? type : NULL;
}

static bool probe(const TypeInfo *type, Error **errp)
{
    const AccelOps *ops = type_ops(type, &accel_type);

    return !ops->probe || ops->probe(errp);
}

/* @choice, open and with its VM; false when it does not work here. */
static bool try_choice(const TypeInfo *type, const JsonValue *choice, const char *name,
                       Object *machine, Error **errp)
{
    static const char *const own[] = { "accel", NULL };
    g_autoptr(Object) accel = object_new(type);

    current = (AccelState *)accel;
    current_ops = type_ops(type, &accel_type);
    current_name = g_strdup(name);
    if (object_set_properties(accel, choice, own, errp) &&
        current_ops->init(current, machine, errp)) {
        accel->frozen = true;
        object_ref(accel);
        return true;
    }
    error_prepend(errp, "failed to initialize %s: ", name);
    current = NULL;
    current_ops = NULL;
    g_clear_pointer(&current_name, g_free);
    return false;
}

/* Remember the choices; a single one must be able to work. */
static bool init_lazily(const JsonValue *choices, Object *machine, Error **errp)
{
    const JsonValue *choice = json_array_len(choices) == 1 ? json_array_at(choices, 0) : NULL;
    const char *name = choice ? json_object_get_string(choice, "accel") : NULL;
    const TypeInfo *type = name ? find_accel(name) : NULL;
    const AccelOps *ops = type ? type_ops(type, &accel_type) : NULL;

    lazy_choices = json_copy(choices);
    if (!choice) {
        return true;
    }
    if (!type) {
        error_setg(errp, "invalid accelerator %s", name);
        return false;
    }
    if (!ops->probe) {
        return try_choice(type, choice, name, machine, errp);
    }
    if (!ops->probe(errp)) {
        error_prepend(errp, "failed to initialize %s: ", name);
        return false;
    }
    return true;
}

bool accel_init(const JsonValue *choices, bool lazy, Object *machine, Error **errp)
{
    size_t n = json_array_len(choices);
    Error *last = NULL;

    if (lazy) {
        return init_lazily(choices, machine, errp);
    }
    for (size_t i = 0; i < n; i++) {
        const JsonValue *choice = json_array_at(choices, i);
        const char *name = json_object_get_string(choice, "accel");
        const TypeInfo *type = find_accel(name);
        Error *err = NULL;

        if (type && try_choice(type, choice, name, machine, &err)) {
            if (last) {
                error_report_err(last);
                error_report("falling back to %s",
                             current_ops->title ? current_ops->title : name);
            }
            return true;
        }
        if (!type) {
            error_setg(&err, "invalid accelerator %s", name);
        }
        if (last) {
            error_report_err(last);
        }
        last = err;
    }
    error_propagate(errp, last);
    return false;
}

bool accel_is_chosen(const char *name)
{
    if (current) {
        return strcmp(current_name, name) == 0;
    }
    for (size_t i = 0; lazy_choices && i < json_array_len(lazy_choices); i++) {
        const char *choice = json_object_get_string(json_array_at(lazy_choices, i), "accel");
        const TypeInfo *type = find_accel(choice);

        if (type && probe(type, NULL)) {
            return strcmp(choice, name) == 0;
        }
    }
    return false;
}
