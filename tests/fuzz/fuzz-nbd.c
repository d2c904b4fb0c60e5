/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hostile NBD client for our server, and a hostile server for our client:
 * all that the peer ever says is the input, then it hangs up. Nothing may crash,
 * hang or leak. LUKS headers, which are the image maker's, are here too.
 *
 * Run as a test it uses a fixed set of generated inputs (the same in every
 * run), and any files named on the command line. The first byte chooses whom the rest
 * is for. LLVMFuzzerTestOneInput() is there for a coverage-guided engine.
 */
#include "util/osdep.h"
#include <sys/socket.h>
#include "block/block-backend.h"
#include "block/export.h"
#include "block/nbd-protocol.h"
#include "crypto/block.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX 65536

static NbdServer *server;
static unsigned served, opened, headers;        /* that got past the beginning */

static void client_closed(void *opaque, unsigned count, bool negotiated)
{
    served += negotiated;
}

static void set_up(void)
{
    BlockExportOptions o = {
        .type = BLOCK_EXPORT_TYPE_NBD, .id = (char *)"e", .node_name = (char *)"disk",
        .has_writable = true, .writable = true,
        .u.nbd = { .name = (char *)"x", .description = (char *)"about",
                   .has_allocation_depth = true, .allocation_depth = true },
    };
    NbdServerOptions so = { .closed = client_closed };
    g_autoptr(JsonValue) node = keyval_parse("driver=null-co,node-name=disk,size=1048576,read-zeroes=on", NULL, NULL,
                                             &error_abort);

    main_loop_init(&error_abort);
    block_node_add(node, &error_abort);
    server = nbd_server_new(NULL, &so);
    nbd_server_set_default(server);
    block_export_add(&o, &error_abort);
}

/* A socket at whose other end @data waits, and then the end. The peer's descriptor in *@peer. */
static int feed(const uint8_t *data, size_t size, int *peer)
{
    int fd[2], big = 2 * INPUT_MAX;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), ==, 0);
    setsockopt(fd[1], SOL_SOCKET, SO_SNDBUF, &big, sizeof(big));
    g_assert_cmpint(send(fd[1], data, size, MSG_DONTWAIT | MSG_NOSIGNAL), ==, size);
    shutdown(fd[1], SHUT_WR);
    *peer = fd[1];
    return fd[0];
}

/* What our side sends is read, so that it never waits for room. */
static void drain(int fd)
{
    char buf[65536];

    while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0) {
    }
}

static void fuzz_server(const uint8_t *data, size_t size)
{
    int peer, fd = feed(data, size, &peer);
    IoChannel *ch = io_channel_new_fd(fd, "fuzz", &error_abort);

    nbd_server_add_client(server, ch);
    io_channel_unref(ch);
    while (nbd_server_client_count(server)) {
        main_loop_poll(false);
        drain(peer);
    }
    close(peer);
}

static void fuzz_client(const uint8_t *data, size_t size)
{
    int peer, fd = feed(data, size, &peer);
    g_autofree char *text = g_strdup_printf("driver=nbd,export=x,server.type=fd,server.str=%d", fd);
    JsonValue *options = keyval_parse(text, NULL, NULL, &error_abort);
    Error *err = NULL;
    BlockNode *bn = block_open(NULL, options, BLOCK_OPEN_RDWR | BLOCK_OPEN_AUTO_RDONLY, &err);
    uint8_t buf[1024];

    if (bn) {
        BlockBackend *blk = blk_new(event_loop_main(), BLOCK_PERM_CONSISTENT_READ, BLOCK_PERM_ALL);
        int64_t n;

        opened++;
        if (blk_insert(blk, bn, NULL)) {
            blk_pread(blk, 0, sizeof(buf), buf, 0);
            block_block_status(bn, true, 0, 65536, &n);
            blk_pread(blk, 512, sizeof(buf), buf, 0);
        }
        blk_unref(blk);
        block_node_unref(bn);
    } else {
        g_assert_nonnull(err);
    }
    error_free(err);
    close(peer);
}

typedef struct Header {
    const uint8_t *data;
    size_t size;
} Header;

static bool header_read(void *opaque, uint64_t offset, void *buf, size_t len, Error **errp)
{
    const Header *h = opaque;

    memset(buf, 0, len);
    if (offset < h->size) {
        memcpy(buf, h->data + offset, MIN(len, h->size - offset));
    }
    return true;
}

static void fuzz_luks(const uint8_t *data, size_t size)
{
    static const CryptoBlockHeaderIo io = { .read = header_read };
    Header h = { data, size };
    QCryptoBlockOpenOptions o = { .format = Q_CRYPTO_BLOCK_FORMAT_LUKS };
    Error *err = NULL;
    CryptoBlock *b = crypto_block_open(&o, "", &io, &h, CRYPTO_BLOCK_NO_IO, &err);

    g_assert((b != NULL) == (err == NULL));
    if (b) {
        headers++;
        qapi_free_QCryptoBlockInfo(crypto_block_info(b));
        crypto_block_free(b);
    }
    error_free(err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const targets[])(const uint8_t *, size_t) = { fuzz_server, fuzz_client, fuzz_luks };

    if (!server) {
        set_up();
    }
    if (size > 0 && size < INPUT_MAX) {
        targets[data[0] % ARRAY_SIZE(targets)](data + 1, size - 1);
    }
    return 0;
}

/* ---- well-formed conversations to begin with ---- */

static void put(GByteArray *b, uint64_t v, unsigned bytes)
{
    uint8_t be[8];

    store_be64(be, v);
    g_byte_array_append(b, be + 8 - bytes, bytes);
}

static void put_option(GByteArray *b, uint32_t option, const void *data, size_t len)
{
    put(b, NBD_OPTION_MAGIC, 8);
    put(b, option, 4);
    put(b, len, 4);
    g_byte_array_append(b, data, len);
}

static void put_reply(GByteArray *b, uint32_t option, uint32_t type, const void *data, size_t len)
{
    put(b, NBD_OPTION_REPLY_MAGIC, 8);
    put(b, option, 4);
    put(b, type, 4);
    put(b, len, 4);
    g_byte_array_append(b, data, len);
}

static void put_request(GByteArray *b, uint16_t type, uint16_t flags, uint64_t offset, uint32_t len)
{
    put(b, NBD_REQUEST_MAGIC, 4);
    put(b, flags, 2);
    put(b, type, 2);
    put(b, b->len, 8);
    put(b, offset, 8);
    put(b, len, 4);
}

static void put_chunk(GByteArray *b, uint16_t type, uint16_t flags, uint64_t cookie, uint32_t len)
{
    put(b, NBD_STRUCTURED_REPLY_MAGIC, 4);
    put(b, flags, 2);
    put(b, type, 2);
    put(b, cookie, 8);
    put(b, len, 4);
}

static GByteArray *client_seed(unsigned kind)
{
    GByteArray *b = g_byte_array_new();

    put(b, 0, 1);
    put(b, 3, 4);
    if (kind & 1) {
        put_option(b, NBD_OPT_STRUCTURED_REPLY, "", 0);
        put_option(b, NBD_OPT_LIST, "", 0);
        put_option(b, NBD_OPT_LIST_META_CONTEXT, "\0\0\0\1x\0\0\0\1\0\0\0\5base:", 18);
        put_option(b, NBD_OPT_SET_META_CONTEXT, "\0\0\0\1x\0\0\0\1\0\0\0\17base:allocation", 28);
        put_option(b, NBD_OPT_INFO, "\0\0\0\1x\0\2\0\1\0\2", 11);
    }
    if (kind & 2) {
        put_option(b, NBD_OPT_EXPORT_NAME, "x", 1);
    } else {
        put_option(b, NBD_OPT_GO, "\0\0\0\1x\0\1\0\3", 9);
    }
    put_request(b, NBD_CMD_READ, 0, 0, 4096);
    put_request(b, NBD_CMD_WRITE, NBD_CMD_FLAG_FUA, 512, 64);
    for (unsigned i = 0; i < 8; i++) {
        put(b, i, 8);
    }
    put_request(b, NBD_CMD_BLOCK_STATUS, 0, 0, 65536);
    put_request(b, NBD_CMD_WRITE_ZEROES, NBD_CMD_FLAG_FAST_ZERO, 0, 65536);
    put_request(b, NBD_CMD_TRIM, 0, 0, 65536);
    put_request(b, NBD_CMD_CACHE, 0, 0, 65536);
    put_request(b, NBD_CMD_FLUSH, 0, 0, 0);
    put_request(b, NBD_CMD_DISC, 0, 0, 0);
    return b;
}

static GByteArray *server_seed(unsigned kind)
{
    GByteArray *b = g_byte_array_new();

    put(b, 1, 1);
    put(b, NBD_MAGIC, 8);
    put(b, NBD_OPTION_MAGIC, 8);
    put(b, 3, 2);
    put_reply(b, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ACK, "", 0);
    put_reply(b, NBD_OPT_SET_META_CONTEXT, NBD_REP_META_CONTEXT, "\0\0\0\5base:allocation", 19);
    put_reply(b, NBD_OPT_SET_META_CONTEXT, NBD_REP_ACK, "", 0);
    put_reply(b, NBD_OPT_GO, NBD_REP_INFO, "\0\3\0\0\2\0\0\0\020\0\2\0\0\0", 14);
    put_reply(b, NBD_OPT_GO, NBD_REP_INFO, "\0\0\0\0\0\0\0\020\0\0\0\375", 12);
    put_reply(b, NBD_OPT_GO, NBD_REP_ACK, "", 0);
    /* The first request of a connection has cookie 0 of slot 0, the next 16 of slot 0. */
    put_chunk(b, NBD_REPLY_OFFSET_HOLE, 0, 0, 12);
    put(b, 0, 8);
    put(b, 512, 4);
    put_chunk(b, NBD_REPLY_OFFSET_DATA, NBD_REPLY_FLAG_DONE, 0, 8 + 512);
    put(b, 512, 8);
    for (unsigned i = 0; i < 64; i++) {
        put(b, i, 8);
    }
    put_chunk(b, NBD_REPLY_BLOCK_STATUS, NBD_REPLY_FLAG_DONE, 16, 12);
    put(b, 5, 4);
    put(b, 65536, 4);
    put(b, 0, 4);
    put_chunk(b, NBD_REPLY_ERROR, NBD_REPLY_FLAG_DONE, 32, 8);
    put(b, 5, 4);
    put(b, 2, 2);
    put(b, 0x6e6f, 2);
    return b;
}

static GByteArray *luks_seed(unsigned kind)
{
    GByteArray *b = g_byte_array_new();
    static const char cipher[32] = "aes", mode[32] = "xts-plain64", hash[32] = "sha256", uuid[40] = "u";

    put(b, 2, 1);
    g_byte_array_append(b, (const uint8_t *)"LUKS\xba\xbe\0\1", 8);
    g_byte_array_append(b, (const uint8_t *)cipher, 32);
    g_byte_array_append(b, (const uint8_t *)mode, 32);
    g_byte_array_append(b, (const uint8_t *)hash, 32);
    put(b, 4040, 4);
    put(b, 64, 4);
    for (unsigned i = 0; i < 52; i += 4) {
        put(b, i, 4);
    }
    put(b, 1000, 4);
    g_byte_array_append(b, (const uint8_t *)uuid, 40);
    for (unsigned i = 0; i < 8; i++) {
        put(b, i < kind ? 0x00ac71f3 : 0x0000dead, 4);
        put(b, 1000, 4);
        for (unsigned j = 0; j < 32; j += 4) {
            put(b, j, 4);
        }
        put(b, 8 + 504 * i, 4);
        put(b, 4000, 4);
    }
    return b;
}

static void run_generated(void)
{
    static GByteArray *(*const seeds[])(unsigned kind) = { client_seed, server_seed, luks_seed };
    g_autoptr(GRand) rand = g_rand_new_with_seed(20261124);

    for (unsigned round = 0; round < 6000; round++) {
        g_autoptr(GByteArray) b = seeds[round % ARRAY_SIZE(seeds)](round / 3 % 4);
        unsigned faults = round / 12 % 6;

        for (unsigned i = 0; i < faults; i++) {
            unsigned at = g_rand_int_range(rand, 1, b->len);

            switch (g_rand_int_range(rand, 0, 4)) {
            case 0:
                b->data[at] = g_rand_int(rand);
                break;
            case 1:
                b->data[at] ^= 1u << g_rand_int_range(rand, 0, 8);
                break;
            case 2:
                b->data[at] = g_rand_boolean(rand) ? 0xff : 0;
                break;
            default:
                g_byte_array_set_size(b, MAX(at, 2));
                break;
            }
        }
        LLVMFuzzerTestOneInput(b->data, b->len);
    }
    printf("%u clients served, %u servers used, %u headers accepted\n", served, opened, headers);
    g_assert(served > 300 && opened > 300 && headers > 300);
}

#ifndef FUZZ_ENGINE
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        g_autofree char *data = NULL;
        gsize len;

        if (!g_file_get_contents(argv[i], &data, &len, NULL)) {
            fprintf(stderr, "cannot read %s\n", argv[i]);
            return 1;
        }
        LLVMFuzzerTestOneInput((const uint8_t *)data, len);
    }
    if (argc == 1) {
        run_generated();
    }
    return 0;
}
#endif
