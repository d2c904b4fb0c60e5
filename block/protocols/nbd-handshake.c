/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NBD client: the handshake (proto.md, "Newstyle negotiation"), see
 * include/block/nbd-client.h.
 *
 * Trust: nothing of what the server sends: lengths are limited, the number of
 * answers to an option too.
 */
#include "util/osdep.h"
#include "block/nbd-client.h"
#include "block/nbd-protocol.h"
#include "io/channel-tls.h"
#include "trace-block-protocols.h"
#include "util/iov.h"

#define ANSWER_MAX (64 * 1024)          /* bytes */
#define ANSWERS_MAX 65536               /* to one option */
#define OLDSTYLE_LEN 136                /* what follows the old magic: size, flags, zeroes */

typedef struct Handshake {
    IoChannel **ch;
    const NbdClientTls *tls;
    uint16_t server_flags;
    bool structured;
    Error **errp;
} Handshake;

typedef struct Answer {
    uint32_t type;
    uint8_t *data;              /* NUL-terminated */
    uint32_t len;
} Answer;

void nbd_export_info_clear(NbdExportInfo *info)
{
    g_free(info->name);
    g_free(info->description);
    g_strfreev(info->contexts);
    *info = (NbdExportInfo) { 0 };
}

static bool send_option(Handshake *h, uint32_t option, const void *data, size_t len)
{
    uint8_t head[16];
    struct iovec iov[] = { { head, sizeof(head) }, { (void *)data, len } };

    trace_nbd_client_option(option, len);
    store_be64(head, NBD_OPTION_MAGIC);
    store_be32(head + 8, option);
    store_be32(head + 12, len);
    return io_channel_writev_all(*h->ch, iov, ARRAY_SIZE(iov), h->errp);
}

/* Caller frees a->data. */
static bool receive_answer(Handshake *h, uint32_t option, Answer *a)
{
    uint8_t head[20];

    if (!io_channel_read_all(*h->ch, head, sizeof(head), h->errp)) {
        error_prepend(h->errp, "Failed to read option reply: ");
        return false;
    }
    a->type = load_be32(head + 12);
    a->len = load_be32(head + 16);
    trace_nbd_client_answer(option, a->type, a->len);
    if (load_be64(head) != NBD_OPTION_REPLY_MAGIC || load_be32(head + 8) != option || a->len > ANSWER_MAX) {
        error_setg(h->errp, "Unexpected option reply: magic 0x%" PRIx64 ", option %" PRIu32 ", length %" PRIu32,
                   load_be64(head), load_be32(head + 8), a->len);
        return false;
    }
    a->data = g_malloc(a->len + 1);
    a->data[a->len] = 0;
    if (!io_channel_read_all(*h->ch, a->data, a->len, h->errp)) {
        g_free(a->data);
        return false;
    }
    return true;
}

/* The server's words are shown, but not its control characters. */
static void refused(Handshake *h, const char *what, const Answer *a)
{
    static const struct {
        uint32_t type;
        const char *text;
    } reasons[] = {
        { NBD_REP_ERR_UNSUP, "Unsupported option" },
        { NBD_REP_ERR_POLICY, "Denied by server" },
        { NBD_REP_ERR_INVALID, "Invalid parameters" },
        { NBD_REP_ERR_PLATFORM, "Server lacks support" },
        { NBD_REP_ERR_TLS_REQD, "Server requires TLS" },
        { NBD_REP_ERR_UNKNOWN, "Requested export not available" },
        { NBD_REP_ERR_SHUTDOWN, "Server shutting down" },
        { NBD_REP_ERR_BLOCK_SIZE_REQD, "Server requires the client to ask for block sizes" },
    };
    const char *text = "Unknown error";
    g_autofree char *words = g_strndup((char *)a->data, MIN(a->len, NBD_MAX_STRING));

    for (unsigned i = 0; i < ARRAY_SIZE(reasons); i++) {
        text = reasons[i].type == a->type ? reasons[i].text : text;
    }
    if (a->type == (uint32_t)NBD_REP_ERR_UNKNOWN) {
        error_setg(h->errp, "%s", text);
    } else {
        error_setg(h->errp, "%s for %s", text, what);
    }
    if (a->type == (uint32_t)NBD_REP_ERR_TLS_REQD) {
        error_append_hint(h->errp, "Did you forget a valid tls-creds?\n");
    }
    if (*words) {
        for (char *p = words; *p; p++) {
            *p = (unsigned char)*p < ' ' || *p == 0x7f ? '?' : *p;
        }
        error_append_hint(h->errp, "server reported: %s\n", words);
    }
}

/* An option with a yes or no: 1, 0 (with the reason in @errp only when @required), or -1. */
static int simple_option(Handshake *h, uint32_t option, const char *what, bool required)
{
    Answer a;
    int ret;

    if (!send_option(h, option, NULL, 0) || !receive_answer(h, option, &a)) {
        return -1;
    }
    ret = a.type == NBD_REP_ACK;
    if (!ret && (required || !(a.type & NBD_REP_ERROR(0)))) {
        refused(h, what, &a);
        ret = -1;
    }
    g_free(a.data);
    return ret;
}

/* ---- TLS ---- */

static bool start_tls(Handshake *h)
{
    IoChannel *tls;

    if (simple_option(h, NBD_OPT_STARTTLS, "STARTTLS", true) < 0) {
        return false;
    }
    tls = io_channel_new_tls_client(*h->ch, h->tls->creds, h->tls->hostname, h->errp);
    if (!tls) {
        return false;
    }
    io_channel_unref(*h->ch);
    *h->ch = tls;
    return io_channel_handshake(tls, h->errp);
}

/* ---- hello ---- */

/* *@oldstyle: a server without options; it has told everything, into @info (NULL: not acceptable). */
static bool hello(Handshake *h, NbdExportInfo *info, bool *oldstyle)
{
    uint8_t head[16], old[OLDSTYLE_LEN], flags[4];

    *oldstyle = false;
    if (!io_channel_read_all(*h->ch, head, sizeof(head), h->errp)) {
        error_prepend(h->errp, "Failed to read initial magic: ");
        return false;
    }
    if (load_be64(head) != NBD_MAGIC) {
        error_setg(h->errp, "Bad initial magic received: 0x%" PRIx64, load_be64(head));
        return false;
    }
    if (load_be64(head + 8) == NBD_OLDSTYLE_MAGIC && info && !h->tls->creds) {
        if (*info->name) {
            error_setg(h->errp, "Server does not support non-empty export names");
            return false;
        }
        if (!io_channel_read_all(*h->ch, old, sizeof(old), h->errp)) {
            return false;
        }
        info->size = load_be64(old);
        info->flags = load_be32(old + 8);
        *oldstyle = true;
        return true;
    }
    if (load_be64(head + 8) != NBD_OPTION_MAGIC) {
        error_setg(h->errp, "Bad server magic received: 0x%" PRIx64, load_be64(head + 8));
        return false;
    }
    if (!io_channel_read_all(*h->ch, head, 2, h->errp)) {
        return false;
    }
    h->server_flags = load_be16(head);
    if (!(h->server_flags & NBD_FLAG_FIXED_NEWSTYLE)) {
        error_setg(h->errp, "Server does not speak fixed newstyle, only that is supported");
        return false;
    }
    store_be32(flags, h->server_flags & (NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES));
    if (!io_channel_write_all(*h->ch, flags, sizeof(flags), h->errp)) {
        return false;
    }
    return !h->tls->creds || start_tls(h);
}

/* ---- an export's facts ---- */

static void put_string(GByteArray *b, const char *s)
{
    uint8_t len[4];

    store_be32(len, strlen(s));
    g_byte_array_append(b, len, sizeof(len));
    g_byte_array_append(b, (const uint8_t *)s, strlen(s));
}

static bool take_info(Handshake *h, const Answer *a, NbdExportInfo *info, bool *have_export)
{
    uint16_t type = a->len >= 2 ? load_be16(a->data) : UINT16_MAX;
    const uint8_t *d = a->data + 2;

    if (a->len < 2) {
        goto bad;
    }
    switch (type) {
    case NBD_INFO_EXPORT:
        if (a->len != 12) {
            goto bad;
        }
        info->size = load_be64(d);
        info->flags = load_be16(d + 8);
        *have_export = true;
        return true;
    case NBD_INFO_DESCRIPTION:
        if (a->len - 2 > NBD_MAX_STRING) {
            goto bad;
        }
        g_free(info->description);
        info->description = g_strndup((const char *)d, a->len - 2);
        return true;
    case NBD_INFO_BLOCK_SIZE:
        if (a->len != 14) {
            goto bad;
        }
        info->min_block = load_be32(d);
        info->opt_block = load_be32(d + 4);
        info->max_block = load_be32(d + 8);
        if (!IS_POWER_OF_2(info->min_block) || info->min_block > 65536 || !IS_POWER_OF_2(info->opt_block) ||
            info->opt_block < info->min_block || info->max_block < info->min_block) {
            error_setg(h->errp, "Server sent unusable block sizes %" PRIu32 ", %" PRIu32 ", %" PRIu32,
                       info->min_block, info->opt_block, info->max_block);
            return false;
        }
        return true;
    default:
        return true;            /* more than we asked for is fine */
    }
bad:
    error_setg(h->errp, "Server sent malformed information %u of %" PRIu32 " bytes", type, a->len);
    return false;
}

/* NBD_OPT_INFO or NBD_OPT_GO */
static bool ask_info(Handshake *h, uint32_t option, NbdExportInfo *info)
{
    g_autoptr(GByteArray) b = g_byte_array_new();
    static const uint8_t wanted[] = { 0, 2, 0, NBD_INFO_BLOCK_SIZE, 0, NBD_INFO_DESCRIPTION };
    bool have_export = false, ok = true;

    put_string(b, info->name);
    /* A description only matters to who lists. */
    g_byte_array_append(b, option == NBD_OPT_INFO ? wanted : (const uint8_t *)"\0\1\0\3",
                        option == NBD_OPT_INFO ? sizeof(wanted) : 4);
    if (!send_option(h, option, b->data, b->len)) {
        return false;
    }
    for (unsigned i = 0; ok; i++) {
        Answer a;
        uint32_t type;

        if (i == ANSWERS_MAX) {
            error_setg(h->errp, "Server sends information without end");
            return false;
        }
        if (!receive_answer(h, option, &a)) {
            return false;
        }
        type = a.type;
        if (type == NBD_REP_INFO) {
            ok = take_info(h, &a, info, &have_export);
        } else if (type == NBD_REP_ACK) {
            if (!have_export) {
                error_setg(h->errp, "Server has not told the size of the export");
            }
            ok = have_export;
        } else {
            refused(h, option == NBD_OPT_GO ? "GO" : "INFO", &a);
            ok = false;
        }
        g_free(a.data);
        if (type != NBD_REP_INFO) {
            break;
        }
    }
    return ok;
}

/* For servers that know no GO. */
static bool ask_export_name(Handshake *h, NbdExportInfo *info)
{
    uint8_t answer[10 + 124];
    size_t len = h->server_flags & NBD_FLAG_NO_ZEROES ? 10 : sizeof(answer);

    if (!send_option(h, NBD_OPT_EXPORT_NAME, info->name, strlen(info->name)) ||
        !io_channel_read_all(*h->ch, answer, len, h->errp)) {
        error_prepend(h->errp, "Server does not know export '%s', or went away: ", info->name);
        return false;
    }
    info->size = load_be64(answer);
    info->flags = load_be16(answer + 8);
    return true;
}

/* ---- meta contexts ---- */

/* Ask about @query (NULL: list all) of @info->name; answers go to @names and *@id. */
static bool ask_contexts(Handshake *h, uint32_t option, NbdExportInfo *info, const char *query, GPtrArray *names,
                         uint32_t *id)
{
    g_autoptr(GByteArray) b = g_byte_array_new();
    uint8_t count[4];

    put_string(b, info->name);
    store_be32(count, query ? 1 : 0);
    g_byte_array_append(b, count, sizeof(count));
    if (query) {
        put_string(b, query);
    }
    if (!send_option(h, option, b->data, b->len)) {
        return false;
    }
    for (unsigned i = 0; i < ANSWERS_MAX; i++) {
        Answer a;
        bool is_context, done;

        if (!receive_answer(h, option, &a)) {
            return false;
        }
        is_context = a.type == NBD_REP_META_CONTEXT && a.len > 4;
        done = a.type == NBD_REP_ACK || (a.type & NBD_REP_ERROR(0));
        if (is_context) {
            *id = load_be32(a.data);
            g_ptr_array_add(names, g_strndup((char *)a.data + 4, a.len - 4));
        }
        g_free(a.data);
        if (done) {
            return true;        /* a server that knows no contexts has none */
        }
        if (!is_context) {
            break;
        }
    }
    error_setg(h->errp, "Server sent a malformed answer about meta contexts");
    return false;
}

static bool choose_context(Handshake *h, NbdExportInfo *info, const char *query)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);

    if (!ask_contexts(h, NBD_OPT_SET_META_CONTEXT, info, query, names, &info->context_id)) {
        return false;
    }
    if (names->len > 1 || (names->len == 1 && strcmp(names->pdata[0], query) != 0)) {
        error_setg(h->errp, "Server answered with other meta contexts than '%s'", query);
        return false;
    }
    info->has_context = names->len == 1;
    return true;
}

/* ---- the whole ---- */

/* 1: GO is not known. */
static int go(Handshake *h, NbdExportInfo *info)
{
    Error **errp = h->errp, *err = NULL;
    bool ok;

    h->errp = &err;
    ok = ask_info(h, NBD_OPT_GO, info);
    h->errp = errp;
    if (!ok && g_str_has_prefix(error_message(err), "Unsupported option")) {
        error_free(err);
        return 1;
    }
    error_propagate(errp, err);
    return ok ? 0 : -1;
}

bool nbd_client_negotiate(IoChannel **ch, const NbdClientTls *tls, const char *context, NbdExportInfo *info,
                          Error **errp)
{
    Handshake h = { .ch = ch, .tls = tls, .errp = errp };
    bool oldstyle;
    int ret;

    if (strlen(info->name) > NBD_MAX_STRING) {
        error_setg(errp, "export name too long to send to server");
        return false;
    }
    if (!hello(&h, info, &oldstyle)) {
        return false;
    }
    if (!oldstyle) {
        ret = simple_option(&h, NBD_OPT_STRUCTURED_REPLY, "structured replies", false);
        if (ret < 0) {
            return false;
        }
        info->structured = ret > 0;
        if (info->structured && !choose_context(&h, info, context)) {
            return false;
        }
        ret = go(&h, info);
        if (ret < 0 || (ret > 0 && !ask_export_name(&h, info))) {
            return false;
        }
    }
    if (info->size > INT64_MAX) {
        error_setg(errp, "Export of %" PRIu64 " bytes is too large", info->size);
        return false;
    }
    trace_nbd_client_ready(info->name, info->size, info->flags, info->structured, info->has_context);
    return true;
}

/* The names (and descriptions) of all exports. */
static bool list_names(Handshake *h, GArray *list)
{
    if (!send_option(h, NBD_OPT_LIST, NULL, 0)) {
        return false;
    }
    for (unsigned i = 0; i < ANSWERS_MAX; i++) {
        NbdExportInfo info = { 0 };
        uint32_t len;
        Answer a;

        if (!receive_answer(h, NBD_OPT_LIST, &a)) {
            return false;
        }
        if (a.type == NBD_REP_ACK) {
            g_free(a.data);
            return true;
        }
        len = a.len >= 4 ? load_be32(a.data) : UINT32_MAX;
        if (a.type != NBD_REP_SERVER) {
            refused(h, "LIST", &a);
        } else if (len > a.len - 4 || len > NBD_MAX_STRING) {
            error_setg(h->errp, "Server sent a malformed export name");
        } else {
            info.name = g_strndup((char *)a.data + 4, len);
            if (a.len - 4 > len) {
                info.description = g_strndup((char *)a.data + 4 + len, a.len - 4 - len);
            }
            g_array_append_val(list, info);
            g_free(a.data);
            continue;
        }
        g_free(a.data);
        return false;
    }
    error_setg(h->errp, "Server has too many exports");
    return false;
}

static bool list_details(Handshake *h, NbdExportInfo *info)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    uint32_t id;

    info->structured = h->structured;
    if (!ask_info(h, NBD_OPT_INFO, info)) {
        return false;
    }
    if (h->structured && !ask_contexts(h, NBD_OPT_LIST_META_CONTEXT, info, NULL, names, &id)) {
        return false;
    }
    g_ptr_array_add(names, NULL);
    info->contexts = g_strdupv((char **)names->pdata);
    return true;
}

int nbd_client_list(IoChannel **ch, const NbdClientTls *tls, NbdExportInfo **out, Error **errp)
{
    Handshake h = { .ch = ch, .tls = tls, .errp = errp };
    GArray *list = g_array_new(FALSE, FALSE, sizeof(NbdExportInfo));
    bool oldstyle, ok;
    int ret = -1;

    ok = hello(&h, NULL, &oldstyle);
    if (ok) {
        ret = simple_option(&h, NBD_OPT_STRUCTURED_REPLY, "structured replies", false);
        h.structured = ret > 0;
        ok = ret >= 0 && list_names(&h, list);
    }
    for (guint i = 0; ok && i < list->len; i++) {
        ok = list_details(&h, &g_array_index(list, NbdExportInfo, i));
    }
    if (!ok) {
        for (guint i = 0; i < list->len; i++) {
            nbd_export_info_clear(&g_array_index(list, NbdExportInfo, i));
        }
        g_array_free(list, TRUE);
        return -1;
    }
    send_option(&h, NBD_OPT_ABORT, NULL, 0);
    ret = list->len;
    *out = (NbdExportInfo *)g_array_free(list, FALSE);
    return ret;
}
