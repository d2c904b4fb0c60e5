/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See record.h. */
#include "util/osdep.h"
#include <poll.h>
#include <zlib.h>
#include "migration/record.h"
#include "util/bswap.h"

bool record_channel_init(RecordChannel *rc, IoChannel *ch, EventNotifier *cancel, Error **errp)
{
    *rc = (RecordChannel){ .cancel = cancel };
    /* Waiting is ours, so that it can be cancelled. */
    if (!io_channel_set_blocking(ch, false, errp)) {
        return false;
    }
    rc->ch = io_channel_ref(ch);
    return true;
}

void record_channel_cleanup(RecordChannel *rc)
{
    io_channel_unref(rc->ch);
    rc->ch = NULL;
}

/* ---- bytes ---- */

static bool cancelled(Error **errp)
{
    error_setg(errp, "Migration was cancelled");
    return false;
}

/* Until the channel is ready, or it is to give up. */
static bool wait_ready(RecordChannel *rc, bool for_write, Error **errp)
{
    struct pollfd p[2] = {
        { .fd = rc->ch->ops->poll_fd(rc->ch, for_write), .events = for_write ? POLLOUT : POLLIN },
        { .fd = rc->cancel ? rc->cancel->fd : -1, .events = POLLIN },
    };

    TEMP_FAILURE_RETRY(poll(p, 2, -1));
    return p[1].revents ? cancelled(errp) : true;
}

bool record_wait_cancel(EventNotifier *cancel, int64_t ms)
{
    struct pollfd p = { .fd = cancel ? cancel->fd : -1, .events = POLLIN };

    return TEMP_FAILURE_RETRY(poll(&p, 1, MIN(ms, INT_MAX))) > 0;
}

bool record_wait_either(EventNotifier *cancel, EventNotifier *other)
{
    struct pollfd p[2] = {
        { .fd = cancel->fd, .events = POLLIN }, { .fd = other->fd, .events = POLLIN },
    };

    TEMP_FAILURE_RETRY(poll(p, 2, -1));
    return p[0].revents != 0;
}

static void skip_iov(struct iovec **iov, unsigned *count, size_t n)
{
    while (*count && n >= (*iov)->iov_len) {
        n -= (*iov)->iov_len;
        (*iov)++;
        (*count)--;
    }
    if (n) {
        (*iov)->iov_base = (char *)(*iov)->iov_base + n;
        (*iov)->iov_len -= n;
    }
}

static bool write_all(RecordChannel *rc, struct iovec *iov, unsigned count, Error **errp)
{
    while (count) {
        ssize_t n = io_channel_writev(rc->ch, iov, count, NULL, 0, errp);

        if (n == IO_CHANNEL_BLOCK) {
            if (!wait_ready(rc, true, errp)) {
                return false;
            }
            continue;
        }
        if (n < 0) {
            return false;
        }
        atomic_store(&rc->out, rc->out + n);
        skip_iov(&iov, &count, n);
    }
    return true;
}

static bool read_all(RecordChannel *rc, void *buf, size_t len, Error **errp)
{
    while (len) {
        ssize_t n = io_channel_read(rc->ch, buf, len, errp);

        if (n == IO_CHANNEL_BLOCK) {
            if (!wait_ready(rc, false, errp)) {
                return false;
            }
            continue;
        }
        if (n == 0) {
            error_setg(errp, "the stream ends early, at byte %" PRIu64, rc->in);
        }
        if (n <= 0) {
            return false;
        }
        rc->in += n;
        buf = (char *)buf + n;
        len -= n;
    }
    return true;
}

/* ---- the stream's head ---- */

bool record_write_stream_head(RecordChannel *rc, Error **errp)
{
    uint8_t head[RECORD_STREAM_HEAD] = RECORD_STREAM_MAGIC;
    struct iovec iov = { head, sizeof(head) };

    store_le32(head + 8, RECORD_STREAM_VERSION);
    return write_all(rc, &iov, 1, errp);
}

bool record_read_stream_head(RecordChannel *rc, Error **errp)
{
    uint8_t head[RECORD_STREAM_HEAD];

    if (!read_all(rc, head, sizeof(head), errp)) {
        return false;
    }
    if (memcmp(head, RECORD_STREAM_MAGIC, 8) != 0) {
        error_setg(errp, "this is not a nemu migration stream");
        return false;
    }
    if (load_le32(head + 8) != RECORD_STREAM_VERSION || load_le32(head + 12)) {
        error_setg(errp, "version %u of the stream (flags 0x%x) is not supported, %u is",
                   load_le32(head + 8), load_le32(head + 12), RECORD_STREAM_VERSION);
        return false;
    }
    return true;
}

/* ---- records ---- */

bool record_writev(RecordChannel *rc, RecordType type, const struct iovec *iov, unsigned count, Error **errp)
{
    uint8_t head[RECORD_HEAD] = { 0 }, sum[4];
    struct iovec all[6];
    size_t len = 0;
    uint32_t crc = 0;

    assert(count <= 4);
    for (unsigned i = 0; i < count; i++) {
        all[1 + i] = iov[i];
        len += iov[i].iov_len;
        crc = crc32(crc, iov[i].iov_base, iov[i].iov_len);
    }
    assert(len <= RECORD_LENGTH_MAX);
    store_le16(head, type);
    store_le32(head + 4, len);
    store_le32(head + 8, rc->next_out++);
    store_le32(head + 12, crc32(0, head, 12));
    store_le32(sum, crc);
    all[0] = (struct iovec){ head, sizeof(head) };
    all[1 + count] = (struct iovec){ sum, sizeof(sum) };
    return write_all(rc, all, count + 2, errp);
}

bool record_write(RecordChannel *rc, RecordType type, const void *data, size_t len, Error **errp)
{
    struct iovec iov = { (void *)data, len };

    return record_writev(rc, type, &iov, len ? 1 : 0, errp);
}

static bool damaged(const RecordChannel *rc, const char *what, Error **errp)
{
    error_setg(errp, "the stream is damaged before byte %" PRIu64 ": %s", rc->in, what);
    return false;
}

bool record_read_head(RecordChannel *rc, RecordHead *head, Error **errp)
{
    uint8_t bytes[RECORD_HEAD];

    if (!read_all(rc, bytes, sizeof(bytes), errp)) {
        return false;
    }
    if (load_le32(bytes + 12) != (uint32_t)crc32(0, bytes, 12)) {
        return damaged(rc, "wrong check sum of a record's head", errp);
    }
    if (load_le16(bytes + 2) || load_le32(bytes + 8) != rc->next_in) {
        return damaged(rc, "a record is missing, or there twice", errp);
    }
    head->type = load_le16(bytes);
    head->length = load_le32(bytes + 4);
    if (head->length > RECORD_LENGTH_MAX) {
        return damaged(rc, "a record is too long", errp);
    }
    rc->next_in++;
    rc->left = head->length;
    rc->sum = 0;
    return true;
}

bool record_read_part(RecordChannel *rc, void *buf, size_t len, Error **errp)
{
    if (len > rc->left) {
        return damaged(rc, "a record is too short", errp);
    }
    if (!read_all(rc, buf, len, errp)) {
        return false;
    }
    rc->left -= len;
    rc->sum = crc32(rc->sum, buf, len);
    return true;
}

bool record_read_end(RecordChannel *rc, Error **errp)
{
    uint8_t sum[4];

    if (rc->left) {
        return damaged(rc, "a record is too long", errp);
    }
    if (!read_all(rc, sum, sizeof(sum), errp)) {
        return false;
    }
    return load_le32(sum) == rc->sum || damaged(rc, "wrong check sum of a record", errp);
}

char *record_read_rest(RecordChannel *rc, size_t *len, Error **errp)
{
    g_autofree char *buf = g_malloc((size_t)rc->left + 1);

    *len = rc->left;
    buf[*len] = '\0';
    return record_read_part(rc, buf, *len, errp) && record_read_end(rc, errp) ? g_steal_pointer(&buf)
                                                                               : NULL;
}
