/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What tests of image formats share: "test-disk", a file in memory that grows,
 * notes down every change, and fails when told; creating qcow2 images on it.
 */
#ifndef TESTS_UNIT_QCOW2_FIXTURE_H
#define TESTS_UNIT_QCOW2_FIXTURE_H

#include "block-fixture.h"
#include "block/image.h"

typedef enum DiskChangeKind {
    DISK_WRITE, DISK_ZERO, DISK_TRUNCATE, DISK_FLUSH
} DiskChangeKind;

typedef struct DiskChange {
    DiskChangeKind kind;
    int64_t offset, bytes;      /* truncation: bytes is the new size */
    uint8_t *data;
} DiskChange;

typedef struct TestDisk {
    uint8_t *data;
    int64_t size, alloc;
    GArray *log;                /* DiskChange; NULL: not kept */
    int fail_after;             /* fail the change after this many; -1: never */
    int fail_errno;
    bool fail_again;            /* and all later ones */
    unsigned changes;
    int64_t limit;              /* of the size; 0: none */
} TestDisk;

TestDisk *test_disk(BlockNode *bn);
void test_disk_load(TestDisk *d, const void *data, int64_t size);
void test_disk_apply(TestDisk *d, const DiskChange *c);
void test_disk_start_log(TestDisk *d);
void test_disk_free_log(TestDisk *d);

/* A new disk with an image: options of BlockdevCreateOptions beyond driver and file. */
BlockNode *test_qcow2_create(const char *create_json);
/* Open the image on @file (which is kept); flags as for block_open(). NULL with an error. */
BlockNode *test_qcow2_open(BlockNode *file, const char *json, unsigned flags, Error **errp);
/* Check, quietly. */
int test_qcow2_check(BlockNode *bn, BlockCheckResult *result, unsigned fix);

#endif
