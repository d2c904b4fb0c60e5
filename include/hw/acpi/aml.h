/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A writer of ACPI Machine Language (ACPI 6.4, chapter 20).
 *
 * AML is a prefix language, so it is written front to back into one buffer:
 * an operator first, its operands after it. What has a length (scopes,
 * devices, methods, packages, ...) is opened with aml_begin_*() and closed
 * with aml_end(). Example:
 *
 *     aml_begin_method(a, "_STA", 0, false);
 *     aml_op(a, AML_RETURN);
 *     aml_int(a, 0xf);
 *     aml_end(a);
 *
 * Names are paths as in ASL: "\\_SB.PCI0", "^GED", "_CRS"; segments shorter
 * than four characters are padded. Names and nesting come from our own code:
 * a malformed one is an assertion.
 *
 * Thread: any; one builder belongs to one thread at a time.
 */
#ifndef HW_ACPI_AML_H
#define HW_ACPI_AML_H

#include <stdbool.h>
#include <stdint.h>
#include <glib.h>

#define AML_MAX_DEPTH 16

typedef struct Aml {
    GByteArray *code;
    struct {
        uint32_t start;         /* of the package length */
        uint32_t resource_size; /* offset of a resource buffer's size, or 0 */
    } open[AML_MAX_DEPTH];
    unsigned depth;
} Aml;

/* Append to @code, which stays the caller's. */
void aml_init(Aml *a, GByteArray *code);

/* Operators, followed by their operands: how many, and with T the last is a target. */
typedef enum AmlOp {
    AML_STORE = 0x70,           /* 2T */
    AML_ADD = 0x72,             /* 3T */
    AML_SUBTRACT = 0x74,        /* 3T */
    AML_INCREMENT = 0x75,       /* 1T */
    AML_CONCATENATE = 0x73,     /* 3T */
    AML_SHIFT_LEFT = 0x79,      /* 3T */
    AML_SHIFT_RIGHT = 0x7a,     /* 3T */
    AML_AND = 0x7b,             /* 3T */
    AML_OR = 0x7d,              /* 3T */
    AML_DEREF_OF = 0x83,        /* 1 */
    AML_NOTIFY = 0x86,          /* 2: object, value */
    AML_SIZE_OF = 0x87,         /* 1 */
    AML_INDEX = 0x88,           /* 3T */
    AML_CREATE_DWORD_FIELD = 0x8a,      /* buffer, byte index, then aml_path() of the new name */
    AML_CREATE_QWORD_FIELD = 0x8f,
    AML_OBJECT_TYPE = 0x8e,     /* 1 */
    AML_LAND = 0x90,            /* 2 */
    AML_LOR = 0x91,             /* 2 */
    AML_LNOT = 0x92,            /* 1 */
    AML_LEQUAL = 0x93,          /* 2 */
    AML_LGREATER = 0x94,        /* 2 */
    AML_LLESS = 0x95,           /* 2 */
    AML_MID = 0x9e,             /* 4T: source, index, length */
    AML_RETURN = 0xa4,          /* 1 */
    AML_BREAK = 0xa5,           /* 0 */
} AmlOp;

typedef enum AmlRegionSpace {
    AML_SYSTEM_MEMORY = 0,
    AML_SYSTEM_IO = 1,
} AmlRegionSpace;

typedef enum AmlFieldAccess {
    AML_ACCESS_ANY = 0, AML_ACCESS_BYTE, AML_ACCESS_WORD, AML_ACCESS_DWORD, AML_ACCESS_QWORD,
} AmlFieldAccess;

/* ---- operands ---- */

void aml_op(Aml *a, AmlOp op);
void aml_int(Aml *a, uint64_t v);
void aml_string(Aml *a, const char *s);
/* A reference to a name, or a call of a method (its arguments follow). */
void aml_path(Aml *a, const char *path);
void aml_local(Aml *a, unsigned n);             /* 0..7 */
void aml_arg(Aml *a, unsigned n);               /* 0..6 */
/* In place of a target: the result is only the operator's value. */
void aml_no_target(Aml *a);
/* "PNP0A08" in its compressed form. */
void aml_eisa_id(Aml *a, const char *id);
/* A buffer in the byte order of the ToUUID() macro. */
void aml_uuid(Aml *a, const char *uuid);
void aml_buffer(Aml *a, const void *data, size_t len);

/* ---- declarations ---- */

/* Name (path, ...): the object follows. */
void aml_name(Aml *a, const char *path);
void aml_name_int(Aml *a, const char *path, uint64_t v);
void aml_name_string(Aml *a, const char *path, const char *s);
void aml_name_eisa_id(Aml *a, const char *path, const char *id);
/* Store(@value, @to), Store(Arg@n, @to) */
void aml_store_int(Aml *a, uint64_t value, const char *to);
void aml_store_arg(Aml *a, unsigned n, const char *to);
void aml_mutex(Aml *a, const char *name);
void aml_acquire(Aml *a, const char *name);     /* waits for ever */
void aml_release(Aml *a, const char *name);
void aml_region(Aml *a, const char *name, AmlRegionSpace space, uint64_t base, uint64_t len);
/* Fields that preserve the bits around them; units follow. */
void aml_begin_field(Aml *a, const char *region, AmlFieldAccess access);
void aml_field_unit(Aml *a, const char *name, unsigned bits);
void aml_field_skip(Aml *a, unsigned bits);

void aml_begin_scope(Aml *a, const char *path);
void aml_begin_device(Aml *a, const char *path);
void aml_begin_method(Aml *a, const char *path, unsigned args, bool serialized);
/* The condition follows, then the body. */
void aml_begin_if(Aml *a);
void aml_begin_else(Aml *a);
void aml_begin_while(Aml *a);
/* @elements objects follow. */
void aml_begin_package(Aml *a, unsigned elements);
/* A resource template; aml_res_*() follow. */
void aml_begin_resources(Aml *a);
void aml_end(Aml *a);

/* ---- resources (ACPI 6.4 section 6.4) ---- */

/* Fixed ports, 16-bit decode. */
void aml_res_io(Aml *a, uint16_t base, uint8_t len);
void aml_res_memory32_fixed(Aml *a, uint32_t base, uint32_t len, bool writable);
/* An extended interrupt, active high. */
void aml_res_interrupt(Aml *a, uint32_t gsi, bool edge, bool shared);
/* Windows that a bridge passes on: [base, base + len). */
void aml_res_window_bus(Aml *a, uint16_t base, uint16_t len);
void aml_res_window_io(Aml *a, uint16_t base, uint16_t len);
/* Ports that are memory to the processor, port 0 at @translation. */
void aml_res_window_io_at(Aml *a, uint32_t base, uint32_t len, uint32_t translation);
void aml_res_window_memory32(Aml *a, uint32_t base, uint32_t len);
void aml_res_window_memory64(Aml *a, uint64_t base, uint64_t len, bool prefetchable);

#endif
