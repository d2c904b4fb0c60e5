/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the qcow2 check share: references counted in memory. */
#ifndef BLOCK_FORMATS_QCOW2_CHECK_H
#define BLOCK_FORMATS_QCOW2_CHECK_H

#include "qcow2.h"

typedef struct Qcow2Check {
    BlockNode *bn;
    BlockCheckResult *res;
    unsigned fix;
    int64_t file_bytes;
    uint8_t *counts;            /* refcounts of 2^order bits */
    unsigned order;
    uint64_t clusters;          /* that @counts holds */
    bool rebuild;               /* the refcount structures are beyond repair */
    uint64_t next_contiguous;   /* for the count of fragments */
} Qcow2Check;

uint64_t qcow2_check_count(const Qcow2Check *c, uint64_t cluster);
/* Room for @clusters counts; false: out of memory. */
bool qcow2_check_resize(Qcow2Check *c, uint64_t clusters);
void qcow2_check_set(Qcow2Check *c, uint64_t cluster, uint64_t count);
/* One more reference to all clusters of a byte range. 0 or -errno. */
int coroutine_fn qcow2_check_refer(void *opaque, uint64_t offset, uint64_t bytes);
/* check-tables.c: count what everything but the refcount structures refers to. */
int coroutine_fn qcow2_check_tables(Qcow2Check *c);
/* check-tables.c: compare the "copied" flags with the refcounts, and repair. */
int coroutine_fn qcow2_check_copied(BlockNode *bn, BlockCheckResult *res, unsigned fix);
/* check-rebuild.c: new refcount blocks and table from the counts. */
int coroutine_fn qcow2_check_rebuild(Qcow2Check *c);

#endif
