/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Builds the lists of properties that several commands answer with. */
#ifndef QOM_PROPERTY_INFO_H
#define QOM_PROPERTY_INFO_H

#include "qapi-types.h"
#include "qom/object.h"

/* In order; starts as { .end = &list.first }. */
typedef struct PropertyInfoList {
    ObjectPropertyInfoList *first, **end;
} PropertyInfoList;

/* @type is taken over. */
ObjectPropertyInfo *property_info_append(PropertyInfoList *list, const char *name, char *type);
/* With all that the table says. */
void property_info_append_full(PropertyInfoList *list, const ObjectProperty *p);

#endif
