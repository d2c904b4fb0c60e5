/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A two-level table of 64-bit entries, as qcow and QED have: the first level
 * in memory, the last second-level table that was used too.
 */
#ifndef BLOCK_FORMATS_TWO_LEVEL_H
#define BLOCK_FORMATS_TWO_LEVEL_H

#include "sparse.h"

typedef struct TwoLevel {
    uint8_t *l1;
    uint64_t l1_entries;
    uint64_t l2_entries;        /* of each table; power of two */
    uint8_t *l2;                /* room for one table */
    uint64_t l2_index;          /* which one; UINT64_MAX: none */
    bool big_endian;
} TwoLevel;

/* The entry for unit @index; 0 where there is no table. */
int coroutine_fn two_level_get(BlockNode *bn, TwoLevel *t, uint64_t index, uint64_t *entry);
bool two_level_init(BlockNode *bn, TwoLevel *t, uint64_t l1_offset, uint64_t l1_entries,
                    uint64_t l2_entries, Error **errp);
void two_level_free(TwoLevel *t);

#endif
