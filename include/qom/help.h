/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "help" for types and their properties on standard output. Main thread. */
#ifndef QOM_HELP_H
#define QOM_HELP_H

#include "qom/object.h"

/* All types that are of kind @kind and not abstract, by name. The caller frees the array. */
GPtrArray *type_sorted(const TypeInfo *kind);
/* @title, then a line for each of them. */
void type_print_list(const TypeInfo *kind, const char *title);
/* "X options:", then a line for each property that can be set: false when there is no such type. */
bool type_print_properties(const char *type_name, Error **errp);

#endif
