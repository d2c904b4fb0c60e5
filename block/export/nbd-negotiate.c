/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NBD server: the handshake, in which client and server agree on options and an
 * export (proto.md, "Newstyle negotiation").
 *
 * Thread: main, in the client's coroutine.
 * Trust: nothing of what the client sends. An option's data is read whole only
 * up to OPTION_MAX; longer ones are thrown away unread, absurd ones end the
 * connection.
 */
#include "util/osdep.h"
#include "block/export/export-internal.h"
#include "block/nbd-protocol.h"
#include "io/channel-tls.h"
#include "trace-block-export.h"

#define OPTION_MAX (64 * 1024)
#define OPTION_ABSURD NBD_MAX_REQUEST
#define OPTIONS_MAX 256                 /* options before an export must have been chosen */
#define REQUEST_INFOS_MAX 64

#define META_BASE "base:allocation"
#define META_DEPTH "qemu:allocation-depth"
#define META_BITMAP "qemu:dirty-bitmap:"

typedef enum Step {
    STEP_GONE,                  /* the connection is of no use any more */
    STEP_NEXT,                  /* another option */
    STEP_CHOSEN,                /* transmission begins */
} Step;

/* An option as it came, and how far it has been read. */
typedef struct Option {
    uint32_t type;
    const uint8_t *data;
    size_t len;
    Error **errp;
} Option;

/* ---- answers ---- */

static bool coroutine_fn reply(NbdClient *c, const Option *o, uint32_t type, const struct iovec *parts,
                               unsigned count)
{
    uint8_t head[20];
    struct iovec iov[4] = { { head, sizeof(head) } };
    size_t len = 0;

    assert(count < ARRAY_SIZE(iov));
    for (unsigned i = 0; i < count; i++) {
        iov[i + 1] = parts[i];
        len += parts[i].iov_len;
    }
    store_be64(head, NBD_OPTION_REPLY_MAGIC);
    store_be32(head + 8, o->type);
    store_be32(head + 12, type);
    store_be32(head + 16, len);
    return io_channel_writev_all(c->ch, iov, count + 1, o->errp);
}

static Step coroutine_fn ack(NbdClient *c, const Option *o)
{
    return reply(c, o, NBD_REP_ACK, NULL, 0) ? STEP_NEXT : STEP_GONE;
}

static Step coroutine_fn refuse(NbdClient *c, const Option *o, uint32_t type, const char *why)
{
    struct iovec iov = { (void *)why, MIN(strlen(why), NBD_MAX_STRING) };

    trace_nbd_option_refused(c, o->type, why);
    return reply(c, o, type, &iov, 1) ? STEP_NEXT : STEP_GONE;
}

static Step coroutine_fn no_such_export(NbdClient *c, const Option *o, const char *name)
{
    g_autofree char *why = g_strdup_printf("export '%s' not present", name);

    return refuse(c, o, NBD_REP_ERR_UNKNOWN, why);
}

/* ---- reading an option's data ---- */

static bool take_u16(Option *o, uint16_t *v)
{
    if (o->len < 2) {
        return false;
    }
    *v = load_be16(o->data);
    o->data += 2;
    o->len -= 2;
    return true;
}

static bool take_u32(Option *o, uint32_t *v)
{
    if (o->len < 4) {
        return false;
    }
    *v = load_be32(o->data);
    o->data += 4;
    o->len -= 4;
    return true;
}

/* A string with its length in front; caller frees. NULL: too long, or not all there. */
static char *take_string(Option *o)
{
    uint32_t len;
    char *s;

    if (!take_u32(o, &len) || len > NBD_MAX_STRING || len > o->len || memchr(o->data, 0, len)) {
        return NULL;
    }
    s = g_strndup((const char *)o->data, len);
    o->data += len;
    o->len -= len;
    return s;
}

/* ---- options about exports ---- */

static uint16_t export_flags(const NbdClient *c, const NbdExport *exp)
{
    return exp->flags | (c->structured ? NBD_EXPORT_DF : 0);
}

static void choose(NbdClient *c, NbdExport *exp)
{
    block_export_ref(&exp->common);
    c->exp = exp;
    if (c->contexts.serial != exp->serial) {
        g_free(c->contexts.bitmaps);
        c->contexts = (NbdContexts) { 0 };
    }
}

/* The one option without an answer if it fails: the connection ends. */
static Step coroutine_fn option_export_name(NbdClient *c, Option *o)
{
    g_autofree char *name = o->len <= NBD_MAX_STRING ? g_strndup((const char *)o->data, o->len) : NULL;
    NbdExport *exp = name ? nbd_export_find(name) : NULL;
    uint8_t answer[10 + 124] = { 0 };

    if (!exp) {
        error_setg(o->errp, "export '%s' not found", name ? name : "(too long)");
        return STEP_GONE;
    }
    store_be64(answer, exp->size);
    store_be16(answer + 8, export_flags(c, exp));
    choose(c, exp);
    return io_channel_write_all(c->ch, answer, c->no_zeroes ? 10 : sizeof(answer), o->errp) ? STEP_CHOSEN :
                                                                                             STEP_GONE;
}

static Step coroutine_fn option_list(NbdClient *c, Option *o)
{
    NbdExport *exp = NULL;

    if (o->len) {
        return refuse(c, o, NBD_REP_ERR_INVALID, "LIST takes no data");
    }
    while ((exp = nbd_export_next(exp))) {
        uint8_t len[4];
        const char *about = exp->description ? exp->description : "";
        struct iovec iov[] = { { len, 4 }, { exp->name, strlen(exp->name) }, { (void *)about, strlen(about) } };
        bool ok;

        store_be32(len, strlen(exp->name));
        /* It may be removed while we wait to send. */
        block_export_ref(&exp->common);
        ok = reply(c, o, NBD_REP_SERVER, iov, ARRAY_SIZE(iov));
        if (!exp->common.user_owned) {
            block_export_unref(&exp->common);
            return ok ? ack(c, o) : STEP_GONE;
        }
        block_export_unref(&exp->common);
        if (!ok) {
            return STEP_GONE;
        }
    }
    return ack(c, o);
}

typedef struct InfoWanted {
    bool name, description, block_size;
} InfoWanted;

static bool coroutine_fn send_info(NbdClient *c, const Option *o, uint16_t type, const void *data, size_t len)
{
    uint8_t head[2];
    struct iovec iov[] = { { head, sizeof(head) }, { (void *)data, len } };

    store_be16(head, type);
    return reply(c, o, NBD_REP_INFO, iov, ARRAY_SIZE(iov));
}

static Step coroutine_fn describe(NbdClient *c, const Option *o, NbdExport *exp, const InfoWanted *want)
{
    /* Whoever does not ask about sizes may send requests of any. */
    bool sized = want->block_size || o->type == NBD_OPT_INFO;
    uint32_t alignment = blk_request_alignment(exp->common.blk);
    uint8_t sizes[12], head[10];

    if (want->name && !send_info(c, o, NBD_INFO_NAME, exp->name, strlen(exp->name))) {
        return STEP_GONE;
    }
    if (want->description && exp->description &&
        !send_info(c, o, NBD_INFO_DESCRIPTION, exp->description, strlen(exp->description))) {
        return STEP_GONE;
    }
    store_be32(sizes, sized ? alignment : 1);
    store_be32(sizes + 4, MAX(4096, alignment));
    store_be32(sizes + 8, NBD_MAX_REQUEST);
    if (!send_info(c, o, NBD_INFO_BLOCK_SIZE, sizes, sizeof(sizes))) {
        return STEP_GONE;
    }
    store_be64(head, exp->size);
    store_be16(head + 8, export_flags(c, exp));
    if (!send_info(c, o, NBD_INFO_EXPORT, head, sizeof(head))) {
        return STEP_GONE;
    }
    if (o->type == NBD_OPT_INFO && !want->block_size && alignment > 1) {
        return refuse(c, o, NBD_REP_ERR_BLOCK_SIZE_REQD, "request NBD_INFO_BLOCK_SIZE to use this export");
    }
    return ack(c, o);
}

/* NBD_OPT_INFO and NBD_OPT_GO */
static Step coroutine_fn option_info(NbdClient *c, Option *o)
{
    g_autofree char *name = take_string(o);
    InfoWanted want = { 0 };
    NbdExport *exp;
    uint16_t count, type;
    Step step;

    if (!name || !take_u16(o, &count) || o->len != 2u * count || count > REQUEST_INFOS_MAX) {
        return refuse(c, o, NBD_REP_ERR_INVALID, "malformed request for information");
    }
    while (take_u16(o, &type)) {
        want.name |= type == NBD_INFO_NAME;
        want.description |= type == NBD_INFO_DESCRIPTION;
        want.block_size |= type == NBD_INFO_BLOCK_SIZE;
    }
    exp = nbd_export_find(name);
    if (!exp) {
        return no_such_export(c, o, name);
    }
    block_export_ref(&exp->common);
    step = describe(c, o, exp, &want);
    if (step == STEP_NEXT && o->type == NBD_OPT_GO) {
        if (exp->common.user_owned) {
            choose(c, exp);
            step = STEP_CHOSEN;
        } else {
            step = STEP_GONE;
        }
    }
    block_export_unref(&exp->common);
    return step;
}

/* ---- meta contexts ---- */

static bool coroutine_fn send_context(NbdClient *c, const Option *o, uint32_t id, const char *name)
{
    uint8_t head[4];
    struct iovec iov[] = { { head, sizeof(head) }, { (void *)name, strlen(name) } };

    store_be32(head, o->type == NBD_OPT_SET_META_CONTEXT ? id : 0);
    return reply(c, o, NBD_REP_META_CONTEXT, iov, ARRAY_SIZE(iov));
}

static void want_all(const NbdExport *exp, NbdContexts *ctx)
{
    ctx->base_allocation = true;
    ctx->allocation_depth = exp->allocation_depth;
    for (size_t i = 0; i < exp->bitmap_count; i++) {
        ctx->bitmaps[i] = true;
    }
}

/* Note what @query asks for; what is unknown is simply not there. @list: a name space alone means all of it. */
static void match_query(const NbdExport *exp, NbdContexts *ctx, const char *query, bool list)
{
    bool all_qemu = list && strcmp(query, "qemu:") == 0;
    const char *bitmap = g_str_has_prefix(query, META_BITMAP) ? query + strlen(META_BITMAP) : NULL;
    bool all_bitmaps = all_qemu || (list && bitmap && !*bitmap);

    ctx->base_allocation |= strcmp(query, META_BASE) == 0 || (list && strcmp(query, "base:") == 0);
    ctx->allocation_depth |= exp->allocation_depth && (all_qemu || strcmp(query, META_DEPTH) == 0);
    for (size_t i = 0; i < exp->bitmap_count; i++) {
        ctx->bitmaps[i] |= all_bitmaps || (bitmap && strcmp(bitmap, dirty_bitmap_name(exp->bitmaps[i])) == 0);
    }
}

static Step coroutine_fn send_contexts(NbdClient *c, const Option *o, const NbdExport *exp,
                                       NbdContexts *ctx)
{
    if (ctx->base_allocation) {
        ctx->count++;
        if (!send_context(c, o, NBD_BASE_ALLOCATION_ID, META_BASE)) {
            return STEP_GONE;
        }
    }
    if (ctx->allocation_depth) {
        ctx->count++;
        if (!send_context(c, o, NBD_ALLOCATION_DEPTH_ID, META_DEPTH)) {
            return STEP_GONE;
        }
    }
    for (size_t i = 0; i < exp->bitmap_count; i++) {
        g_autofree char *name = NULL;

        if (!ctx->bitmaps[i]) {
            continue;
        }
        ctx->count++;
        name = g_strconcat(META_BITMAP, dirty_bitmap_name(exp->bitmaps[i]), NULL);
        if (!send_context(c, o, NBD_BITMAP_ID + i, name)) {
            return STEP_GONE;
        }
    }
    return ack(c, o);
}

/* The queries of @o into @ctx. */
static bool take_queries(Option *o, const NbdExport *exp, NbdContexts *ctx, uint32_t count)
{
    bool list = o->type == NBD_OPT_LIST_META_CONTEXT;

    if (list && !count) {
        want_all(exp, ctx);
    }
    for (uint32_t i = 0; i < count; i++) {
        g_autofree char *query = take_string(o);

        if (!query) {
            return false;
        }
        match_query(exp, ctx, query, list);
    }
    return o->len == 0;
}

/* NBD_OPT_LIST_META_CONTEXT and NBD_OPT_SET_META_CONTEXT */
static Step coroutine_fn option_meta(NbdClient *c, Option *o)
{
    g_autofree char *name = NULL;
    NbdContexts ctx = { 0 };
    NbdExport *exp;
    uint32_t count;
    Step step;

    if (!c->structured) {
        return refuse(c, o, NBD_REP_ERR_INVALID, "meta contexts need structured replies");
    }
    name = take_string(o);
    if (!name || !take_u32(o, &count)) {
        return refuse(c, o, NBD_REP_ERR_INVALID, "malformed meta context request");
    }
    if (o->type == NBD_OPT_SET_META_CONTEXT) {
        g_free(c->contexts.bitmaps);
        c->contexts = (NbdContexts) { 0 };
    }
    exp = nbd_export_find(name);
    if (!exp) {
        return no_such_export(c, o, name);
    }
    ctx.serial = exp->serial;
    ctx.bitmaps = g_new0(bool, exp->bitmap_count + 1);
    if (!take_queries(o, exp, &ctx, count)) {
        g_free(ctx.bitmaps);
        return refuse(c, o, NBD_REP_ERR_INVALID, "malformed meta context query");
    }
    block_export_ref(&exp->common);
    step = send_contexts(c, o, exp, &ctx);
    if (o->type == NBD_OPT_SET_META_CONTEXT && step == STEP_NEXT && exp->common.user_owned) {
        c->contexts = ctx;
    } else {
        g_free(ctx.bitmaps);
    }
    block_export_unref(&exp->common);
    return step;
}

/* ---- the rest ---- */

static Step coroutine_fn option_starttls(NbdClient *c, Option *o)
{
    const NbdServerOptions *so = nbd_server_options(c->server);
    IoChannel *tls;

    if (o->len) {
        return refuse(c, o, NBD_REP_ERR_INVALID, "STARTTLS takes no data");
    }
    if (!so->creds) {
        return refuse(c, o, NBD_REP_ERR_POLICY, "TLS not configured");
    }
    if (c->ch != c->sock) {
        return refuse(c, o, NBD_REP_ERR_INVALID, "TLS already enabled");
    }
    if (ack(c, o) == STEP_GONE) {
        return STEP_GONE;
    }
    tls = io_channel_new_tls_server(c->sock, so->creds, so->authz, o->errp);
    if (!tls) {
        return STEP_GONE;
    }
    io_channel_unref(c->ch);
    c->ch = tls;
    return io_channel_handshake(tls, o->errp) ? STEP_NEXT : STEP_GONE;
}

static Step coroutine_fn option_structured(NbdClient *c, Option *o)
{
    if (o->len) {
        return refuse(c, o, NBD_REP_ERR_INVALID, "STRUCTURED_REPLY takes no data");
    }
    if (c->structured) {
        return refuse(c, o, NBD_REP_ERR_INVALID, "structured replies are already on");
    }
    c->structured = true;
    return ack(c, o);
}

static Step coroutine_fn option_run(NbdClient *c, Option *o)
{
    bool needs_tls = nbd_server_options(c->server)->creds && c->ch == c->sock;

    trace_nbd_option(c, o->type, o->len);
    if (o->type == NBD_OPT_ABORT) {
        ack(c, o);              /* it may have left already */
        return STEP_GONE;
    }
    if (o->type == NBD_OPT_STARTTLS) {
        return option_starttls(c, o);
    }
    if (needs_tls) {
        if (o->type == NBD_OPT_EXPORT_NAME) {
            error_setg(o->errp, "Option 0x%" PRIx32 " not permitted before TLS", o->type);
            return STEP_GONE;
        }
        return refuse(c, o, NBD_REP_ERR_TLS_REQD, "Option not permitted before TLS");
    }
    switch (o->type) {
    case NBD_OPT_EXPORT_NAME:
        return option_export_name(c, o);
    case NBD_OPT_LIST:
        return option_list(c, o);
    case NBD_OPT_INFO:
    case NBD_OPT_GO:
        return option_info(c, o);
    case NBD_OPT_STRUCTURED_REPLY:
        return option_structured(c, o);
    case NBD_OPT_LIST_META_CONTEXT:
    case NBD_OPT_SET_META_CONTEXT:
        return option_meta(c, o);
    default:
        return refuse(c, o, NBD_REP_ERR_UNSUP, "Unsupported option");
    }
}

/* Read and forget. */
static bool coroutine_fn skip(NbdClient *c, size_t len, Error **errp)
{
    uint8_t buf[4096];

    for (size_t n; len; len -= n) {
        n = MIN(len, sizeof(buf));
        if (!io_channel_read_all(c->ch, buf, n, errp)) {
            return false;
        }
    }
    return true;
}

static Step coroutine_fn next_option(NbdClient *c, Error **errp)
{
    g_autofree uint8_t *data = NULL;
    Option o = { .errp = errp };
    uint8_t head[16];

    if (!io_channel_read_all(c->ch, head, sizeof(head), errp)) {
        return STEP_GONE;
    }
    o.type = load_be32(head + 8);
    o.len = load_be32(head + 12);
    if (load_be64(head) != NBD_OPTION_MAGIC || o.len > OPTION_ABSURD) {
        error_setg(errp, "Bad magic or length of an option");
        return STEP_GONE;
    }
    if (o.len > OPTION_MAX) {
        if (o.type == NBD_OPT_EXPORT_NAME) {
            error_setg(errp, "export name too long");
            return STEP_GONE;
        }
        return skip(c, o.len, errp) ? refuse(c, &o, NBD_REP_ERR_TOO_BIG, "option too long") : STEP_GONE;
    }
    data = g_malloc(o.len + 1);
    o.data = data;
    return io_channel_read_all(c->ch, data, o.len, errp) ? option_run(c, &o) : STEP_GONE;
}

bool coroutine_fn nbd_negotiate(NbdClient *c, Error **errp)
{
    uint8_t hello[18], flags[4];
    Step step = STEP_NEXT;

    store_be64(hello, NBD_MAGIC);
    store_be64(hello + 8, NBD_OPTION_MAGIC);
    store_be16(hello + 16, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
    if (!io_channel_write_all(c->ch, hello, sizeof(hello), errp) ||
        !io_channel_read_all(c->ch, flags, sizeof(flags), errp)) {
        return false;
    }
    if (load_be32(flags) & ~(uint32_t)(NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES)) {
        error_setg(errp, "Unknown client flags 0x%" PRIx32 " received", load_be32(flags));
        return false;
    }
    c->no_zeroes = load_be32(flags) & NBD_FLAG_NO_ZEROES;
    for (unsigned i = 0; step == STEP_NEXT && i < OPTIONS_MAX; i++) {
        step = next_option(c, errp);
    }
    if (step == STEP_NEXT) {
        error_setg(errp, "The client has sent %d options and chosen no export", OPTIONS_MAX);
    }
    if (step != STEP_CHOSEN && c->exp) {
        block_export_unref(&c->exp->common);
        c->exp = NULL;
    }
    return step == STEP_CHOSEN;
}
