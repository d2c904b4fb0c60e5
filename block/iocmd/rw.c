/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The disk exerciser's commands that move data. Main thread. */
#include "util/osdep.h"
#include <ctype.h>
#include <getopt.h>
#include "block/block-int.h"
#include "block/image.h"
#include "block/iocmd.h"
#include "util/cutils.h"

#define MAX_BYTES (INT64_C(2147483136))     /* what fits into an int, in whole sectors */
#define MISALIGNMENT 16
#define READ_FILL 0xab
#define WRITE_FILL 0xcd

static bool misaligned;

void iocmd_set_misaligned(bool on)
{
    misaligned = on;
}

static uint8_t *buffer_new(BlockBackend *blk, size_t len, int fill)
{
    uint8_t *buf = block_buffer_alloc(blk_node(blk), len + MISALIGNMENT);

    if (!buf) {
        printf("Out of memory\n");
        return NULL;
    }
    memset(buf, fill, len + MISALIGNMENT);
    return misaligned ? buf + MISALIGNMENT : buf;
}

static void buffer_free(uint8_t *buf)
{
    block_buffer_free(buf && misaligned ? buf - MISALIGNMENT : buf);
}

/* ---- results ---- */

static void print_time(int64_t ns, bool fixed, char *buf, size_t len)
{
    unsigned s = ns / 1000000000, hundredths = ns % 1000000000 / 10000000;

    if (s / 60 || fixed) {
        snprintf(buf, len, "%u:%02u:%02u.%02u", s / 3600, s / 60 % 60, s % 60, hundredths);
    } else {
        snprintf(buf, len, "%02u.%02u sec", s, hundredths);
    }
}

static void print_report(const char *op, int64_t start_ns, int64_t offset, int64_t count,
                         int64_t total, int ops, bool csv)
{
    int64_t ns = MAX(clock_now_ns(CLOCK_TYPE_REALTIME) - start_ns, 1);
    double seconds = ns / 1e9;
    char bytes[64], rate[64], time[64];

    print_time(ns, csv, time, sizeof(time));
    if (csv) {
        printf("%" PRId64 ",%d,%s,%.3f,%.3f\n", total, ops, time, total / seconds, ops / seconds);
        return;
    }
    iocmd_size_text(total, bytes, sizeof(bytes));
    iocmd_size_text(total / seconds, rate, sizeof(rate));
    printf("%s %" PRId64 "/%" PRId64 " bytes at offset %" PRId64 "\n", op, total, count, offset);
    printf("%s, %d ops; %s (%s/sec and %.4f ops/sec)\n", bytes, ops, time, rate, ops / seconds);
}

static void dump(const uint8_t *buf, int64_t offset, int64_t len)
{
    int64_t row, i;

    for (row = 0; row < len; row += 16) {
        printf("%08" PRIx64 ":  ", (uint64_t)(offset + row));
        for (i = row; i < row + 16 && i < len; i++) {
            printf("%02x ", buf[i]);
        }
        printf(" ");
        for (i = row; i < row + 16 && i < len; i++) {
            putchar(isalnum(buf[i]) ? buf[i] : '.');
        }
        printf("\n");
    }
}

static bool all_bytes(const uint8_t *buf, size_t len, int byte)
{
    return len == 0 || (buf[0] == byte && !memcmp(buf, buf + 1, len - 1));
}

/* ---- options of the transfers ---- */

typedef struct Transfer {
    const IoCommand *command;
    BlockBackend *blk;
    bool is_write, async;
    bool quiet, csv, verbose, vmstate, compressed, zero, no_fallback, invalid;
    bool has_pattern, has_verify_offset, has_verify_len;
    const char *source_file;
    unsigned flags;
    int pattern;
    int64_t verify_offset, verify_len;
    int64_t offset, bytes;
    IoVector v;
    uint8_t *buf;
    int64_t start_ns;
    int ret;
} Transfer;

static int take_pattern(Transfer *t)
{
    uint64_t n;

    if (parse_uint64(optarg, 0, &n) < 0 || n > 0xff) {
        printf("%s is not a valid pattern byte\n", optarg);
        return -EINVAL;
    }
    t->has_pattern = true;
    t->pattern = n;
    return 0;
}

static int take_option(Transfer *t, int c)
{
    switch (c) {
    case 'a': case 'p':         /* of older versions; nothing now */
        return 0;
    case 'b':
        t->vmstate = true;
        return 0;
    case 'c':
        t->compressed = true;
        return 0;
    case 'C':
        t->csv = true;
        return 0;
    case 'f':
        t->flags |= BLOCK_REQ_FUA;
        return 0;
    case 'i':
        t->invalid = true;
        return 0;
    case 'l':
        t->has_verify_len = true;
        t->verify_len = iocmd_number(optarg);
        return MIN(t->verify_len, 0);
    case 'n':
        t->no_fallback = true;
        t->flags |= BLOCK_REQ_NO_FALLBACK;
        return 0;
    case 'P':
        return take_pattern(t);
    case 'q':
        t->quiet = true;
        return 0;
    case 's':
        if (t->is_write) {
            t->source_file = optarg;
            return 0;
        }
        t->has_verify_offset = true;
        t->verify_offset = iocmd_number(optarg);
        return MIN(t->verify_offset, 0);
    case 'u':
        t->flags |= BLOCK_REQ_MAY_UNMAP;
        return 0;
    case 'v':
        t->verbose = true;
        return 0;
    case 'z':
        t->zero = true;
        return 0;
    default:
        return iocmd_usage(t->command);
    }
}

static int take_options(Transfer *t, int argc, char **argv, const char *shorts)
{
    int c, ret = 0;

    while (ret == 0 && (c = getopt(argc, argv, shorts)) != -1) {
        ret = take_option(t, c);
    }
    return ret;
}

static int take_offset(Transfer *t, const char *text)
{
    t->offset = iocmd_number(text);
    return MIN(t->offset, 0);
}

/* The lengths of @words make up the vector; their sum is t->bytes. */
static int build_vector(Transfer *t, int count, char **words, int fill)
{
    g_autofree int64_t *lens = g_new0(int64_t, MAX(count, 1));
    int64_t at = 0;
    int i;

    for (i = 0; i < count; i++) {
        lens[i] = iocmd_number(words[i]);
        if (lens[i] < 0) {
            return lens[i];
        }
        if (lens[i] > MAX_BYTES - t->bytes) {
            printf("Argument '%s' exceeds maximum size %" PRId64 "\n", words[i], MAX_BYTES);
            return -EINVAL;
        }
        t->bytes += lens[i];
    }
    t->buf = buffer_new(t->blk, t->bytes, fill);
    if (!t->buf) {
        return -ENOMEM;
    }
    io_vector_init(&t->v, count);
    for (i = 0; i < count; i++) {
        io_vector_add(&t->v, t->buf + at, lens[i]);
        at += lens[i];
    }
    return 0;
}

static void transfer_clear(Transfer *t)
{
    if (t->buf) {
        io_vector_destroy(&t->v);
        buffer_free(t->buf);
    }
}

/* Did the read bring what was expected? */
static int verify(const Transfer *t)
{
    int64_t offset = t->has_verify_offset ? t->verify_offset : 0;
    int64_t len = t->has_verify_len ? t->verify_len : t->bytes - offset;

    if (t->has_pattern && !all_bytes(t->buf + offset, len, t->pattern)) {
        printf("Pattern verification failed at offset %" PRId64 ", %" PRId64 " bytes\n",
               t->offset + offset, len);
        return -EINVAL;
    }
    return 0;
}

static int finish_read(Transfer *t, const char *name)
{
    int ret;

    if (t->ret < 0) {
        printf("%s failed: %s\n", name, strerror(-t->ret));
        return t->ret;
    }
    ret = verify(t);
    if (!t->quiet && t->verbose) {
        dump(t->buf, t->offset, t->bytes);
    }
    if (!t->quiet) {
        print_report("read", t->start_ns, t->offset, t->bytes, t->bytes, 1, t->csv);
    }
    return ret;
}

static int finish_write(Transfer *t, const char *name)
{
    if (t->ret < 0) {
        printf("%s failed: %s\n", name, strerror(-t->ret));
        return t->ret;
    }
    if (!t->quiet) {
        print_report("wrote", t->start_ns, t->offset, t->bytes, t->bytes, 1, t->csv);
    }
    return 0;
}

/* ---- one transfer, waited for ---- */

static void coroutine_fn transfer_entry(void *opaque)
{
    Transfer *t = opaque;
    BlockNode *bn = blk_node(t->blk);

    if (t->vmstate) {
        t->ret = t->is_write ? block_co_vmstate_write(bn, &t->v, t->offset) :
                               block_co_vmstate_read(bn, &t->v, t->offset);
    } else if (!t->is_write) {
        t->ret = blk_co_preadv(t->blk, t->offset, t->bytes, &t->v, 0);
    } else if (t->zero) {
        t->ret = blk_co_pwrite_zeroes(t->blk, t->offset, t->bytes, t->flags);
    } else {
        t->ret = blk_co_pwritev(t->blk, t->offset, t->bytes, &t->v,
                                t->flags | (t->compressed ? BLOCK_REQ_WRITE_COMPRESSED : 0));
    }
}

static void transfer_run(Transfer *t)
{
    t->start_ns = clock_now_ns(CLOCK_TYPE_REALTIME);
    block_run_coroutine(blk_node(t->blk), transfer_entry, t);
}

static int check_sectors(const Transfer *t)
{
    if (t->offset % 512) {
        printf("%" PRId64 " is not a sector-aligned value for 'offset'\n", t->offset);
        return -EINVAL;
    }
    if (t->bytes % 512) {
        printf("%" PRId64 " is not a sector-aligned value for 'count'\n", t->bytes);
        return -EINVAL;
    }
    return 0;
}

static int take_length(Transfer *t, const char *text)
{
    t->bytes = iocmd_number(text);
    if (t->bytes < 0) {
        return t->bytes;
    }
    if (t->bytes > MAX_BYTES && !t->no_fallback) {
        printf("length cannot exceed %" PRId64 "%s, given %s\n", MAX_BYTES,
               t->is_write ? " without -n" : "", text);
        return -EINVAL;
    }
    return 0;
}

static int check_read(Transfer *t)
{
    int64_t offset = t->verify_offset, len = t->verify_len;

    if (!t->has_pattern && (t->has_verify_offset || t->has_verify_len)) {
        return iocmd_usage(t->command);
    }
    if (!t->has_verify_len) {
        len = t->bytes - offset;
    }
    if (len < 0 || offset > t->bytes || len > t->bytes - offset) {
        printf("pattern verification range exceeds end of read data\n");
        return -EINVAL;
    }
    return t->vmstate ? check_sectors(t) : 0;
}

static int read_run(BlockBackend *blk, int argc, char **argv)
{
    Transfer t = { .command = iocmd_find("read"), .blk = blk };
    int ret = take_options(&t, argc, argv, "abCl:pP:qs:v");

    if (ret < 0) {
        return ret;
    }
    if (optind != argc - 2) {
        return iocmd_usage(t.command);
    }
    if ((ret = take_offset(&t, argv[optind])) < 0 || (ret = take_length(&t, argv[optind + 1])) < 0 ||
        (ret = check_read(&t)) < 0) {
        return ret;
    }
    t.buf = buffer_new(blk, t.bytes, READ_FILL);
    if (!t.buf) {
        return -ENOMEM;
    }
    io_vector_init_buf(&t.v, t.buf, t.bytes);
    transfer_run(&t);
    ret = finish_read(&t, "read");
    buffer_free(t.buf);
    return ret;
}

static int check_write(const Transfer *t)
{
    const char *wrong =
        t->vmstate && t->zero ? "-b and -z cannot be specified at the same time" :
        (t->flags & BLOCK_REQ_FUA) && (t->vmstate || t->compressed) ?
            "-f and -b or -c cannot be specified at the same time" :
        t->no_fallback && !t->zero ? "-n requires -z to be specified" :
        (t->flags & BLOCK_REQ_MAY_UNMAP) && !t->zero ? "-u requires -z to be specified" :
        t->zero + t->has_pattern + (t->source_file != NULL) > 1 ?
            "Only one of -z, -P, and -s can be specified at the same time" : NULL;

    if (wrong) {
        printf("%s\n", wrong);
        return -EINVAL;
    }
    return 0;
}

/* Repeat the file's content. */
static int fill_from_file(Transfer *t)
{
    FILE *f = fopen(t->source_file, "r");
    size_t len = 0, n, at;

    if (!f) {
        int err = errno;

        fflush(stdout);
        fprintf(stderr, "%s: %s\n", t->source_file, strerror(err));
        return -err;
    }
    while (len < (size_t)t->bytes && (n = fread(t->buf + len, 1, t->bytes - len, f)) > 0) {
        len += n;
    }
    fclose(f);
    if (len == 0) {
        fflush(stdout);
        fprintf(stderr, "%s: file is empty\n", t->source_file);
        return -EINVAL;
    }
    for (at = len; at < (size_t)t->bytes; at++) {
        t->buf[at] = t->buf[at - len];
    }
    return 0;
}

static int write_run(BlockBackend *blk, int argc, char **argv)
{
    Transfer t = { .command = iocmd_find("write"), .blk = blk, .is_write = true };
    int ret = take_options(&t, argc, argv, "bcCfnpP:qs:uz");

    if (ret < 0) {
        return ret;
    }
    if (optind != argc - 2) {
        return iocmd_usage(t.command);
    }
    if ((ret = check_write(&t)) < 0 || (ret = take_offset(&t, argv[optind])) < 0 ||
        (ret = take_length(&t, argv[optind + 1])) < 0 ||
        (ret = t.vmstate || t.compressed ? check_sectors(&t) : 0) < 0) {
        return ret;
    }
    if (!t.zero) {
        t.buf = buffer_new(blk, t.bytes, t.has_pattern ? t.pattern : WRITE_FILL);
        ret = !t.buf ? -ENOMEM : t.source_file ? fill_from_file(&t) : 0;
        if (ret < 0) {
            goto out;
        }
        io_vector_init_buf(&t.v, t.buf, t.bytes);
    }
    transfer_run(&t);
    ret = finish_write(&t, "write");
out:
    buffer_free(t.buf);
    return ret;
}

/* ---- vectors ---- */

static int vector_setup(Transfer *t, int argc, char **argv, const char *shorts, int fill)
{
    int ret = take_options(t, argc, argv, shorts);

    if (ret < 0) {
        return ret;
    }
    if (optind > argc - 2) {
        return iocmd_usage(t->command);
    }
    ret = take_offset(t, argv[optind]);
    return ret < 0 ? ret :
           build_vector(t, argc - optind - 1, argv + optind + 1,
                        t->is_write && t->has_pattern ? t->pattern : fill);
}

static int readv_run(BlockBackend *blk, int argc, char **argv)
{
    Transfer t = { .command = iocmd_find("readv"), .blk = blk };
    int ret = vector_setup(&t, argc, argv, "CP:qv", READ_FILL);

    if (ret == 0) {
        transfer_run(&t);
        ret = finish_read(&t, "readv");
    }
    transfer_clear(&t);
    return ret;
}

static int writev_run(BlockBackend *blk, int argc, char **argv)
{
    Transfer t = { .command = iocmd_find("writev"), .blk = blk, .is_write = true };
    int ret = vector_setup(&t, argc, argv, "CfqP:", WRITE_FILL);

    if (ret == 0) {
        transfer_run(&t);
        ret = finish_write(&t, "writev");
    }
    transfer_clear(&t);
    return ret;
}

/* ---- asynchronous ---- */

static void aio_done(void *opaque, int ret)
{
    Transfer *t = opaque;

    t->ret = ret;
    if (t->is_write) {
        finish_write(t, "aio_write");
    } else {
        finish_read(t, "aio_read");
    }
    transfer_clear(t);
    g_free(t);
}

static int aio_invalid(Transfer *t)
{
    printf("injecting invalid %s request\n", t->is_write ? "write" : "read");
    blk_acct_invalid(t->blk, t->is_write ? BLOCK_ACCT_WRITE : BLOCK_ACCT_READ);
    g_free(t);
    return 0;
}

static int aio_read_run(BlockBackend *blk, int argc, char **argv)
{
    Transfer *t = g_new0(Transfer, 1);
    int ret;

    t->command = iocmd_find("aio_read");
    t->blk = blk;
    ret = take_options(t, argc, argv, "CiP:qv");
    if (ret == 0 && t->invalid) {
        return aio_invalid(t);
    }
    if (ret == 0 && optind > argc - 2) {
        ret = iocmd_usage(t->command);
    }
    if (ret == 0) {
        ret = take_offset(t, argv[optind]);
    }
    if (ret == 0) {
        ret = build_vector(t, argc - optind - 1, argv + optind + 1, READ_FILL);
    }
    if (ret < 0) {
        transfer_clear(t);
        g_free(t);
        return ret;
    }
    t->start_ns = clock_now_ns(CLOCK_TYPE_REALTIME);
    blk_aio_preadv(blk, t->offset, &t->v, 0, aio_done, t);
    return 0;
}

static int aio_write_setup(Transfer *t, int argc, char **argv)
{
    int ret;

    if (optind > argc - 2) {
        return iocmd_usage(t->command);
    }
    if (t->zero && optind != argc - 2) {
        printf("-z supports only a single length parameter\n");
        return -EINVAL;
    }
    if ((t->flags & BLOCK_REQ_MAY_UNMAP) && !t->zero) {
        printf("-u requires -z to be specified\n");
        return -EINVAL;
    }
    ret = take_offset(t, argv[optind]);
    if (ret == 0 && t->zero) {
        t->bytes = iocmd_number(argv[optind + 1]);
        return MIN(t->bytes, 0);
    }
    return ret < 0 ? ret : build_vector(t, argc - optind - 1, argv + optind + 1,
                                        t->has_pattern ? t->pattern : WRITE_FILL);
}

static int aio_write_run(BlockBackend *blk, int argc, char **argv)
{
    Transfer *t = g_new0(Transfer, 1);
    int ret;

    t->command = iocmd_find("aio_write");
    t->blk = blk;
    t->is_write = true;
    ret = take_options(t, argc, argv, "CfiP:quz");
    if (ret == 0 && t->invalid) {
        return aio_invalid(t);
    }
    if (ret == 0) {
        ret = aio_write_setup(t, argc, argv);
    }
    if (ret < 0) {
        transfer_clear(t);
        g_free(t);
        return ret;
    }
    t->start_ns = clock_now_ns(CLOCK_TYPE_REALTIME);
    if (t->zero) {
        blk_aio_pwrite_zeroes(blk, t->offset, t->bytes, t->flags, aio_done, t);
    } else {
        blk_aio_pwritev(blk, t->offset, &t->v, t->flags, aio_done, t);
    }
    return 0;
}

void iocmd_aio_flush(BlockBackend *blk)
{
    block_drain_all();
}

static int aio_flush_run(BlockBackend *blk, int argc, char **argv)
{
    iocmd_aio_flush(blk);
    return 0;
}

/* ---- discard, flush ---- */

static void coroutine_fn discard_entry(void *opaque)
{
    Transfer *t = opaque;

    t->ret = blk_co_pdiscard(t->blk, t->offset, t->bytes);
}

static int discard_run(BlockBackend *blk, int argc, char **argv)
{
    Transfer t = { .command = iocmd_find("discard"), .blk = blk, .is_write = true };
    int ret = take_options(&t, argc, argv, "Cq");

    if (ret < 0) {
        return ret;
    }
    if (optind != argc - 2) {
        return iocmd_usage(t.command);
    }
    if ((ret = take_offset(&t, argv[optind])) < 0) {
        return ret;
    }
    t.bytes = iocmd_number(argv[optind + 1]);
    if (t.bytes < 0) {
        return t.bytes;
    }
    t.start_ns = clock_now_ns(CLOCK_TYPE_REALTIME);
    block_run_coroutine(blk_node(blk), discard_entry, &t);
    if (t.ret < 0) {
        printf("discard failed: %s\n", strerror(-t.ret));
        return t.ret;
    }
    if (!t.quiet) {
        print_report("discard", t.start_ns, t.offset, t.bytes, t.bytes, 1, t.csv);
    }
    return 0;
}

static int flush_run(BlockBackend *blk, int argc, char **argv)
{
    return blk_flush(blk);
}

const IoCommand iocmd_rw_table[] = {
    { "read", "r", "[-abCqv] [-P pattern [-s off] [-l len]] off len",
      "reads a number of bytes at a specified offset", 2, -1, true, false, read_run,
      "\n -b reads the VM state. -P compares with a byte; -s and -l restrict that to a part.\n"
      " -v dumps what was read, -C prints the statistics as CSV, -q not at all.\n" },
    { "write", "w", "[-bcCfnquz] [-P pattern | -s source_file] off len",
      "writes a number of bytes at a specified offset", 2, -1, true, true, write_run,
      "\n The content is 0xcd, -P another byte, -s that of a file, repeated, or -z zeroes (-u: may\n"
      " unmap, -n: no slow fallback). -b writes the VM state, -c compressed clusters, -f with FUA.\n" },
    { "readv", NULL, "[-Cqv] [-P pattern] off len [len..]",
      "reads a number of bytes at a specified offset", 2, -1, true, false, readv_run,
      "\n As read, into one buffer for each length.\n" },
    { "writev", NULL, "[-Cfq] [-P pattern] off len [len..]",
      "writes a number of bytes at a specified offset", 2, -1, true, true, writev_run,
      "\n As write, from one buffer for each length.\n" },
    { "aio_read", NULL, "[-Ciqv] [-P pattern] off len [len..]",
      "asynchronously reads a number of bytes", 2, -1, true, false, aio_read_run,
      "\n Begins a read; its result is printed when it ends, at the latest in aio_flush. -i only\n"
      " counts an invalid request.\n" },
    { "aio_write", NULL, "[-Cfiquz] [-P pattern] off len [len..]",
      "asynchronously writes a number of bytes", 2, -1, true, true, aio_write_run,
      "\n Begins a write; its result is printed when it ends, at the latest in aio_flush. -i only\n"
      " counts an invalid request.\n" },
    { "aio_flush", NULL, NULL, "completes all outstanding aio requests", 0, 0, true, false,
      aio_flush_run },
    { "discard", "d", "[-Cq] off len", "discards a number of bytes at a specified offset", 2, -1,
      true, true, discard_run },
    { "flush", "f", NULL, "flush all in-core file state to disk", 0, 0, true, false, flush_run },
    { NULL },
};
