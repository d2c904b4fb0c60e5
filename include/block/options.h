/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Options of block drivers: members are taken out of a JSON object one by one,
 * so that what is left over at the end is what nobody knew. Values may be typed
 * JSON (blockdev-add) or keyval strings (-blockdev, -drive, json: names).
 *
 * Each function returns false only on a wrong type or value. An absent member
 * leaves the result as it is. Main thread.
 */
#ifndef BLOCK_OPTIONS_H
#define BLOCK_OPTIONS_H

#include "qapi/json.h"
#include "qapi/qapi.h"

/* Caller frees; NULL when absent. */
bool block_option_take_string(JsonValue *options, const char *name, char **value, Error **errp);
bool block_option_take_bool(JsonValue *options, const char *name, bool *value, Error **errp);
bool block_option_take_size(JsonValue *options, const char *name, uint64_t *value, bool *given,
                            Error **errp);
bool block_option_take_enum(JsonValue *options, const char *name, const QapiEnum *e, int *value,
                            Error **errp);
/* {"a.b": x} to {"a": {"b": x}}, in place; false when a member is both a value and a prefix. */
bool block_options_nest(JsonValue *options, Error **errp);

#endif
