/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * State tables: a device's migratable state as data. One table per type,
 * walked by save, load, introspection and the compatibility checker
 * (migration/). Fields are only ever added, with a higher version or a
 * condition.
 */
#ifndef MIGRATION_STATE_H
#define MIGRATION_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <glib.h>

typedef struct StateTable StateTable;
typedef struct StateField StateField;

typedef enum StateKind {
    STATE_END,
    STATE_UINT8, STATE_UINT16, STATE_UINT32, STATE_UINT64,
    STATE_INT32, STATE_INT64, STATE_BOOL,
    STATE_BYTES,                /* @size bytes in place */
    STATE_BUFFER,               /* pointer field, length in the uint32_t field at @count_offset, at most @max; allocated on load */
    STATE_STRUCT,               /* in place, described by @table */
    STATE_CUSTOM,               /* @save and @load; the walker adds a length, so that readers can skip it */
} StateKind;

/* What a custom field reads from and writes to; errors stick until the end. */
typedef struct StateStream StateStream;
void state_put(StateStream *s, const void *buf, size_t len);
void state_put_u8(StateStream *s, uint8_t v);
void state_put_u16(StateStream *s, uint16_t v);
void state_put_u32(StateStream *s, uint32_t v);
void state_put_u64(StateStream *s, uint64_t v);
/* Past the end or after an error these give zero bytes; state_ok() tells. */
void state_get(StateStream *s, void *buf, size_t len);
uint8_t state_get_u8(StateStream *s);
uint16_t state_get_u16(StateStream *s);
uint32_t state_get_u32(StateStream *s);
uint64_t state_get_u64(StateStream *s);
bool state_ok(const StateStream *s);
/* The incoming value is not acceptable; @why names the field. */
void state_fail(StateStream *s, const char *why, ...) __attribute__((format(printf, 2, 3)));

struct StateField {
    const char *name;
    StateKind kind;
    size_t offset;
    size_t size;                /* of one element */
    uint32_t count;             /* fixed array: elements; else 1 */
    size_t count_offset;        /* of a uint32_t with the number of elements in use (<= count or max), 0: none */
    uint32_t max;
    int version;                /* first table version that has it */
    const StateTable *table;
    bool (*when)(const void *opaque, int version);
    void (*save)(StateStream *s, const void *field, const void *opaque);
    bool (*load)(StateStream *s, void *field, void *opaque);
};

struct StateTable {
    const char *name;
    int version;
    int minimum_version;
    const StateField *fields;
    /* Each may be NULL. post_load validates everything that the device later trusts. */
    void (*pre_save)(void *opaque);
    bool (*pre_load)(void *opaque);
    bool (*post_load)(void *opaque, int version);
    bool (*needed)(const void *opaque);         /* subsections only */
    const StateTable *const *subsections;       /* NULL-terminated */
    int priority;               /* higher loads earlier */
};

#define STATE_FIELD_(st, f, k, ...) \
    { .name = #f, .kind = (k), .offset = offsetof(st, f), .count = 1, \
      .size = sizeof(((st *)0)->f), __VA_ARGS__ }
#define STATE_F_UINT8(st, f) STATE_FIELD_(st, f, STATE_UINT8)
#define STATE_F_UINT16(st, f) STATE_FIELD_(st, f, STATE_UINT16)
#define STATE_F_UINT32(st, f) STATE_FIELD_(st, f, STATE_UINT32)
#define STATE_F_UINT64(st, f) STATE_FIELD_(st, f, STATE_UINT64)
#define STATE_F_INT32(st, f) STATE_FIELD_(st, f, STATE_INT32)
#define STATE_F_INT64(st, f) STATE_FIELD_(st, f, STATE_INT64)
#define STATE_F_BOOL(st, f) STATE_FIELD_(st, f, STATE_BOOL)
#define STATE_F_BYTES(st, f) STATE_FIELD_(st, f, STATE_BYTES)
#define STATE_F_STRUCT(st, f, tab) STATE_FIELD_(st, f, STATE_STRUCT, .table = (tab))
#define STATE_F_STRUCT_ARRAY(st, f, n, tab) \
    { .name = #f, .kind = STATE_STRUCT, .offset = offsetof(st, f), .count = (n), \
      .size = sizeof(((st *)0)->f[0]), .table = (tab) }
#define STATE_F_CUSTOM(st, f, s, l) STATE_FIELD_(st, f, STATE_CUSTOM, .save = (s), .load = (l))
#define STATE_F_END { .kind = STATE_END }

/* Of a device that keeps nothing between two accesses, or whose state another table holds: nothing is saved. */
extern const StateTable state_table_none;

/* State that belongs to no device (the clock, a vCPU). @instance tells same-named ones apart. */
void state_register(const StateTable *table, const char *id, uint32_t instance, void *opaque);
void state_unregister(const StateTable *table, void *opaque);
/*
 * One piece of state of the machine: a table and what it describes. The id says
 * where it is, the same on both sides: "0000:00:02.0/virtio-blk", "fw_cfg".
 */
typedef struct StateSection {
    const StateTable *table;
    char *id;
    uint32_t instance;
    void *state;
} StateSection;
/*
 * All of the registered ones and of the machine's devices (array of StateSection, owned by the caller,
 * who unrefs it), in the order in which they load. Main thread.
 */
GPtrArray *state_sections(void);

/* In order of registration; stops and returns non-zero when @fn does. */
int state_foreach(int (*fn)(const StateTable *table, const char *id, uint32_t instance,
                            void *state, void *opaque), void *opaque);

#endif
