/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tables behind QapiType, shared by the generated code and the run time
 * only. One schema is one constant object (types, enums, members, texts) that
 * refers to itself by offsets, so that it needs no relocation: a process that
 * uses three types touches three cache lines and dirties no page.
 */
#ifndef QAPI_QAPI_TABLE_H
#define QAPI_QAPI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum QapiKind {
    QAPI_KIND_STR, QAPI_KIND_INT, QAPI_KIND_UINT, QAPI_KIND_SIZE, QAPI_KIND_NUMBER, QAPI_KIND_BOOL,
    QAPI_KIND_ANY, QAPI_KIND_NULL, QAPI_KIND_ENUM, QAPI_KIND_OBJECT, QAPI_KIND_ALTERNATE,
    QAPI_KIND_LIST,
} QapiKind;

#define QAPI_NONE 0xffff        /* no such type, member or offset */

/* All offsets ("_off") are from the start of the schema's object. */
struct QapiType {
    uint16_t index;             /* of this type in the table, which is at the start */
    uint8_t kind;               /* QapiKind */
    uint8_t pointer;            /* a member of this type is a pointer to it */
    uint32_t name_off;
    uint32_t size;              /* of the C type itself (list: of one element's cell) */
    uint32_t member_off;        /* objects, alternates: QapiMember[]; enums: their QapiEnum */
    uint32_t variant_off;       /* unions: uint16_t[], type by tag value or QAPI_NONE */
    uint16_t member_count;
    uint16_t variant_count;
    uint16_t tag;               /* unions: index of the tag member, else QAPI_NONE */
    uint16_t element;           /* lists */
    uint16_t value_offset;      /* unions, alternates: of "u"; lists: of "value" */
};

typedef struct QapiMember {
    uint32_t name_off;
    uint16_t type;
    uint16_t offset;
    uint16_t has_offset;        /* optional scalars */
    uint16_t flags;             /* QapiMemberFlags */
} QapiMember;

enum { QAPI_MEMBER_OPTIONAL = 1, QAPI_MEMBER_DEPRECATED = 2, QAPI_MEMBER_UNSTABLE = 4 };

struct QapiEnum {
    uint32_t self_off;
    uint32_t name_off;
    uint32_t text_off;          /* uint32_t[count] of offsets */
    int count;
};

#endif
