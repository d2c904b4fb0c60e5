/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The "nbd" driver: a disk behind an NBD server. Options, the I/O operations;
 * names are in nbd-name.c, the protocol in nbd-handshake.c, nbd-connect.c and
 * nbd-client.c.
 *
 * Opens on the main thread, runs on the node's loop. Does not trust the server.
 */
#include "util/osdep.h"
#include "block/nbd-protocol.h"
#include "block/options.h"
#include "block/protocols/nbd-internal.h"
#include "block/protocols/nbd-name.h"

#define NS_PER_S UINT64_C(1000000000)
#define ALLOCATION_DEPTH "qemu:allocation-depth"

/* ---- open ---- */

static bool take_seconds(JsonValue *options, const char *name, uint64_t *ns, Error **errp)
{
    uint64_t seconds = 0;

    if (!block_option_take_size(options, name, &seconds, NULL, errp)) {
        return false;
    }
    if (seconds > UINT32_MAX) {
        error_setg(errp, "%s is in seconds, at most %" PRIu32, name, UINT32_MAX);
        return false;
    }
    *ns = seconds * NS_PER_S;
    return true;
}

static bool take_options(NbdState *s, JsonValue *options, Error **errp)
{
    g_autofree char *creds = NULL;

    if (!nbd_take_address(options, &s->addr, errp) ||
        !block_option_take_string(options, "export", &s->export, errp) ||
        !block_option_take_string(options, "tls-creds", &creds, errp) ||
        !block_option_take_string(options, "tls-hostname", &s->tls_hostname, errp) ||
        !block_option_take_string(options, "x-dirty-bitmap", &s->context, errp) ||
        !take_seconds(options, "reconnect-delay", &s->reconnect_delay_ns, errp) ||
        !take_seconds(options, "open-timeout", &s->open_timeout_ns, errp)) {
        return false;
    }
    s->export = s->export ? s->export : g_strdup("");
    s->context = s->context ? s->context : g_strdup("base:allocation");
    if (strlen(s->export) > NBD_MAX_STRING) {
        error_setg(errp, "export name too long");
        return false;
    }
    if (strlen(s->context) > NBD_MAX_STRING) {
        error_setg(errp, "x-dirty-bitmap query too long to send to server");
        return false;
    }
    if (!creds) {
        if (s->tls_hostname) {
            error_setg(errp, "tls-hostname requires tls-creds");
            return false;
        }
        return true;
    }
    s->creds = tls_creds_get(creds, Q_CRYPTO_TLS_CREDS_ENDPOINT_CLIENT, errp);
    if (s->creds && !s->tls_hostname && s->addr->type == SOCKET_ADDRESS_TYPE_INET) {
        s->tls_hostname = g_strdup(s->addr->u.inet.host);
    }
    return s->creds != NULL;
}

static void free_state(NbdState *s)
{
    nbd_disconnect(s);
    object_unref(s->creds);
    qapi_free_SocketAddress(s->addr);
    nbd_export_info_clear(&s->info);
    g_free(s->export);
    g_free(s->tls_hostname);
    g_free(s->context);
}

typedef struct OpenConnect {
    NbdState *s;
    bool ok;
    Error *err;
} OpenConnect;

static void coroutine_fn open_connect(void *opaque)
{
    OpenConnect *o = opaque;

    o->ok = nbd_connect(o->s, o->s->open_timeout_ns, o->s->open_timeout_ns, &o->err);
}

static bool check_export(BlockNode *bn, NbdState *s, Error **errp)
{
    if (strcmp(s->context, "base:allocation") != 0 && !s->info.has_context) {
        error_setg(errp, "requested x-dirty-bitmap %s not found", s->context);
        return false;
    }
    if ((s->info.flags & NBD_EXPORT_READ_ONLY) && !bn->read_only) {
        if (!(bn->open_flags & BLOCK_OPEN_AUTO_RDONLY)) {
            error_setg_errno(errp, EACCES, "Request on write denied without write permission");
            return false;
        }
        bn->read_only = true;
    }
    if (!bn->read_only && (s->info.flags & NBD_EXPORT_FUA)) {
        bn->supported_write_flags = BLOCK_REQ_FUA;
        bn->supported_zero_flags = BLOCK_REQ_FUA;
    }
    if (s->info.flags & NBD_EXPORT_WRITE_ZEROES) {
        bn->supported_zero_flags |= BLOCK_REQ_MAY_UNMAP;
        bn->supported_zero_flags |= s->info.flags & NBD_EXPORT_FAST_ZERO ? BLOCK_REQ_NO_FALLBACK : 0;
    }
    return true;
}

static bool nbd_open(BlockNode *bn, JsonValue *options, Error **errp)
{
    NbdState *s = bn->opaque;
    OpenConnect o = { .s = s };

    s->bn = bn;
    co_mutex_init(&s->send_lock);
    co_mutex_init(&s->connect_lock);
    co_queue_init(&s->free_slots);
    co_queue_init(&s->receiver_gone);
    if (!take_options(s, options, errp)) {
        free_state(s);
        return false;
    }
    block_run_coroutine(bn, open_connect, &o);
    if (!o.ok) {
        error_propagate(errp, o.err);
        free_state(s);
        return false;
    }
    if (!check_export(bn, s, errp)) {
        free_state(s);
        return false;
    }
    bn->exact_filename = s->creds ? NULL : nbd_format_name(s->addr, s->export);
    return true;
}

static void nbd_close(BlockNode *bn)
{
    NbdState *s = bn->opaque;
    uint8_t head[NBD_REQUEST_LEN] = { 0 };

    if (s->ch && !s->lost_at_ns) {
        store_be32(head, NBD_REQUEST_MAGIC);
        store_be16(head + 6, NBD_CMD_DISC);
        io_channel_write(s->ch, head, sizeof(head), NULL);      /* without waiting: it is only polite */
    }
    free_state(s);
}

static int64_t nbd_length(BlockNode *bn)
{
    NbdState *s = bn->opaque;

    return s->info.size;
}

static int64_t nbd_allocated_size(BlockNode *bn)
{
    return -ENOTSUP;
}

static void nbd_refresh_limits(BlockNode *bn)
{
    NbdState *s = bn->opaque;
    uint32_t min = MAX(s->info.min_block, 1);
    uint32_t max = s->info.max_block ? MIN(s->info.max_block, NBD_MAX_REQUEST) : NBD_MAX_REQUEST;

    /* A size that is no multiple of it would make the last bytes unreachable. */
    while (s->info.size % min) {
        min /= 2;
    }
    bn->limits.request_alignment = min;
    bn->limits.max_transfer = ROUND_DOWN(max, min);
    bn->limits.opt_transfer = s->info.opt_block > min ? s->info.opt_block : 0;
    bn->limits.max_write_zeroes = bn->limits.max_discard = ROUND_DOWN(INT32_MAX, min);
}

/* ---- I/O ---- */

static int coroutine_fn nbd_co_preadv(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v, size_t v_offset,
                                      unsigned flags)
{
    NbdState *s = bn->opaque;
    NbdRequest r = { .type = NBD_CMD_READ, .offset = offset, .len = bytes, .v = v, .v_offset = v_offset };

    /* What is beyond the end of a size that is no multiple of the alignment reads as zeroes. */
    if ((uint64_t)offset >= s->info.size) {
        iov_memset(v->iov, v->cnt, v_offset, 0, bytes);
        return 0;
    }
    if ((uint64_t)bytes > s->info.size - offset) {
        r.len = s->info.size - offset;
        iov_memset(v->iov, v->cnt, v_offset + r.len, 0, bytes - r.len);
    }
    return r.len ? nbd_request(s, &r) : 0;
}

static int coroutine_fn nbd_co_pwritev(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v, size_t v_offset,
                                       unsigned flags)
{
    NbdState *s = bn->opaque;
    NbdRequest r = {
        .type = NBD_CMD_WRITE,
        .flags = flags & BLOCK_REQ_FUA ? NBD_CMD_FLAG_FUA : 0,
        .offset = offset,
        .len = bytes,
        .v = v,
        .v_offset = v_offset,
    };

    return bytes ? nbd_request(s, &r) : 0;
}

static int coroutine_fn nbd_co_pwrite_zeroes(BlockNode *bn, int64_t offset, int64_t bytes, unsigned flags)
{
    NbdState *s = bn->opaque;
    NbdRequest r = { .type = NBD_CMD_WRITE_ZEROES, .offset = offset, .len = bytes };

    if (!(s->info.flags & NBD_EXPORT_WRITE_ZEROES)) {
        return -ENOTSUP;
    }
    r.flags |= flags & BLOCK_REQ_FUA ? NBD_CMD_FLAG_FUA : 0;
    r.flags |= flags & BLOCK_REQ_MAY_UNMAP ? 0 : NBD_CMD_FLAG_NO_HOLE;
    r.flags |= flags & BLOCK_REQ_NO_FALLBACK ? NBD_CMD_FLAG_FAST_ZERO : 0;
    return nbd_request(s, &r);
}

static int coroutine_fn nbd_co_pdiscard(BlockNode *bn, int64_t offset, int64_t bytes)
{
    NbdState *s = bn->opaque;
    NbdRequest r = { .type = NBD_CMD_TRIM, .offset = offset, .len = bytes };

    return s->info.flags & NBD_EXPORT_TRIM && bytes ? nbd_request(s, &r) : 0;
}

static int coroutine_fn nbd_co_flush(BlockNode *bn)
{
    NbdState *s = bn->opaque;
    NbdRequest r = { .type = NBD_CMD_FLUSH };

    return s->info.flags & NBD_EXPORT_FLUSH ? nbd_request(s, &r) : 0;
}

static int coroutine_fn nbd_co_block_status(BlockNode *bn, bool want_zero, int64_t offset, int64_t bytes,
                                            int64_t *pnum, int64_t *map, BlockNode **file)
{
    NbdState *s = bn->opaque;
    NbdRequest r = { .type = NBD_CMD_BLOCK_STATUS, .flags = NBD_CMD_FLAG_REQ_ONE, .offset = offset };
    uint32_t flags;
    int ret;

    *map = offset;
    *file = bn;
    *pnum = bytes;
    if ((uint64_t)offset >= s->info.size) {
        return BLOCK_STATUS_ZERO;
    }
    if (!s->info.has_context) {
        return BLOCK_STATUS_DATA | BLOCK_STATUS_OFFSET_VALID;
    }
    r.len = MIN((uint64_t)bytes, s->info.size - offset);
    r.len = MIN(r.len, ROUND_DOWN(UINT32_C(0x7fffffff), bn->limits.request_alignment));
    ret = nbd_request(s, &r);
    if (ret < 0) {
        return ret;
    }
    /* The last extent may end with the export, in the middle of our alignment. */
    if (r.extent_len >= r.len && offset + r.len == s->info.size) {
        *pnum = bytes;
    } else {
        *pnum = MIN(ROUND_DOWN(MIN(r.extent_len, r.len), bn->limits.request_alignment), bytes);
    }
    if (*pnum <= 0) {
        return -EIO;
    }
    flags = r.extent_flags;
    if (strcmp(s->context, ALLOCATION_DEPTH) == 0) {
        flags = MIN(flags, 2);
    }
    return (flags & NBD_STATE_HOLE ? 0 : BLOCK_STATUS_DATA) | (flags & NBD_STATE_ZERO ? BLOCK_STATUS_ZERO : 0) |
           BLOCK_STATUS_OFFSET_VALID;
}

static int coroutine_fn nbd_co_truncate(BlockNode *bn, int64_t size, bool exact, PreallocMode prealloc,
                                        unsigned flags, Error **errp)
{
    NbdState *s = bn->opaque;

    if ((uint64_t)size != s->info.size && exact) {
        error_setg(errp, "Cannot resize NBD nodes");
        return -ENOTSUP;
    }
    if ((uint64_t)size > s->info.size) {
        error_setg(errp, "Cannot grow NBD nodes");
        return -EINVAL;
    }
    return 0;
}

static const char *const nbd_strong_options[] = {
    "path", "host", "port", "export", "tls-creds", "tls-hostname", "server", NULL
};

static const char *const nbd_protocol_aliases[] = { "nbd+tcp", "nbd+unix", NULL };

BLOCK_DRIVER(nbd_driver) = {
    .name = "nbd",
    .protocol_prefix = "nbd",
    .protocol_aliases = nbd_protocol_aliases,
    .instance_size = sizeof(NbdState),
    .is_protocol = true,
    .open = nbd_open,
    .close = nbd_close,
    .parse_filename = nbd_parse_name,
    .length = nbd_length,
    .allocated_size = nbd_allocated_size,
    .refresh_limits = nbd_refresh_limits,
    .co_preadv = nbd_co_preadv,
    .co_pwritev = nbd_co_pwritev,
    .co_pwrite_zeroes = nbd_co_pwrite_zeroes,
    .co_pdiscard = nbd_co_pdiscard,
    .co_flush_to_disk = nbd_co_flush,
    .co_block_status = nbd_co_block_status,
    .co_truncate = nbd_co_truncate,
    .strong_options = nbd_strong_options,
};
