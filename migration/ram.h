/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest RAM in a migration stream: the sender of dirty pages and the receiver.
 *
 * Thread: begin and end on the main thread with the machine lock; the rest on
 * the migration's thread.
 */
#ifndef MIGRATION_RAM_H
#define MIGRATION_RAM_H

#include "migration/record.h"
#include "qapi/json.h"
#include "system/memory.h"

#define RAM_CHUNK_PAGES 64              /* pages in one record, at most */

typedef struct RamSender {
    GPtrArray *blocks;          /* of RamBlock, references */
    RecordChannel *rc;
    uint8_t *copy;              /* a chunk: check sum and bytes on the wire must agree while the guest writes */
    /* Zero pages that were found and not told yet. */
    unsigned zero_block;
    uint64_t zero_first, zero_count;
    /* Bytes per second, 0: no limit; atomics, may change at any time. */
    uint64_t max_bandwidth;
    int64_t window_start_ns;
    uint64_t window_bytes;      /* RecordChannel.out when the window began */
    /* Statistics; atomics. */
    uint64_t total_bytes, zero_pages, data_pages;
} RamSender;

/* What the configuration record says of RAM: [{"id", "size", "readonly"}]. Machine lock. */
JsonValue *ram_describe(void);

/* Start tracking; everything counts as dirty. */
void ram_sender_begin(RamSender *s, RecordChannel *rc);
void ram_sender_end(RamSender *s);
/* One pass over what is dirty now. False with @errp: cancelled, or the channel failed. */
bool ram_sender_pass(RamSender *s, bool limited, Error **errp);
/* Bytes that are dirty as far as known (memory_dirty_log_sync() brings more). */
uint64_t ram_sender_dirty_bytes(const RamSender *s);

typedef struct RamReceiver {
    GPtrArray *blocks;          /* by number in the stream */
} RamReceiver;

/* Match the configuration's list with the RAM here. Takes the machine lock where the caller has it not. */
bool ram_receiver_begin(RamReceiver *r, const JsonValue *list, Error **errp);
void ram_receiver_end(RamReceiver *r);
/* After the head of a RECORD_RAM_PAGES or RECORD_RAM_ZERO. */
bool ram_receiver_pages(RamReceiver *r, RecordChannel *rc, Error **errp);
bool ram_receiver_zero(RamReceiver *r, RecordChannel *rc, Error **errp);

#endif
