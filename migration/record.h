/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The frame of a migration stream: a head, then numbered records with check
 * sums (docs/devel/migration.md). Any IoChannel carries it, in both directions.
 *
 * Thread: one at a time for each direction. What is read is not trusted.
 */
#ifndef MIGRATION_RECORD_H
#define MIGRATION_RECORD_H

#include "io/channel.h"

#define RECORD_STREAM_MAGIC "nemu-vm\n"
#define RECORD_STREAM_VERSION 1
#define RECORD_STREAM_HEAD 16           /* magic, version, flags: bytes */
#define RECORD_HEAD 16                  /* type, channel, length, number, check sum of these */
#define RECORD_LENGTH_MAX (64 * MIB)

typedef enum RecordType {
    RECORD_CONFIG = 1,          /* JSON: who sends, and which RAM there is */
    RECORD_RAM_PAGES = 2,       /* RecordRam, then the pages */
    RECORD_RAM_ZERO = 3,        /* RecordRam: these pages are zero */
    RECORD_RAM_PASS = 4,        /* u32: a pass over RAM ends */
    RECORD_STATE = 5,           /* one section of state */
    RECORD_DESCRIPTION = 6,     /* JSON: what the fields of the sections are */
    RECORD_END = 7,             /* nothing follows */
    RECORD_RESULT = 16,         /* from the destination: u8 loaded or not, text */
} RecordType;

/* In front of a RAM record's pages: little-endian. */
#define RECORD_RAM_HEAD 16              /* u32 block (place in the configuration), u32 bytes of a page, u64 offset */
/* RECORD_RAM_ZERO: and a u64 with the number of bytes. */

typedef struct RecordChannel {
    IoChannel *ch;
    EventNotifier *cancel;      /* set: whatever waits gives up */
    uint32_t next_out, next_in; /* numbers of records */
    uint64_t out, in;           /* bytes so far; out: atomics */
    /* The record that is being read. */
    uint32_t left, sum;
} RecordChannel;

typedef struct RecordHead {
    RecordType type;
    uint32_t length;
} RecordHead;

/* Takes a reference to @ch; @cancel stays the caller's. */
bool record_channel_init(RecordChannel *rc, IoChannel *ch, EventNotifier *cancel, Error **errp);
void record_channel_cleanup(RecordChannel *rc);

bool record_write_stream_head(RecordChannel *rc, Error **errp);
bool record_read_stream_head(RecordChannel *rc, Error **errp);
/* At most 4 pieces. */
bool record_writev(RecordChannel *rc, RecordType type, const struct iovec *iov, unsigned count, Error **errp);
bool record_write(RecordChannel *rc, RecordType type, const void *data, size_t len, Error **errp);

/* The next record's head; then its content in pieces; then its check sum, with nothing left. */
bool record_read_head(RecordChannel *rc, RecordHead *head, Error **errp);
bool record_read_part(RecordChannel *rc, void *buf, size_t len, Error **errp);
bool record_read_end(RecordChannel *rc, Error **errp);
/* All of the content after a head, with a zero byte behind it; caller frees. NULL: error. */
char *record_read_rest(RecordChannel *rc, size_t *len, Error **errp);

/* Until one of them is set; true when it was @cancel. */
bool record_wait_either(EventNotifier *cancel, EventNotifier *other);
/* Wait @ms at most; true when @cancel was set. */
bool record_wait_cancel(EventNotifier *cancel, int64_t ms);

#endif
