/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qemu-io: the disk exerciser. Commands (block/iocmd) come from -c options or
 * from standard input; a failed one makes the exit status 1, and the next one
 * runs all the same. Main thread.
 */
#include "util/osdep.h"
#include <getopt.h>
#include <sys/stat.h>
#include "../common.h"
#include "block/iocmd.h"
#include "util/event-loop.h"

enum { OPT_OBJECT = 256, OPT_IMAGE_OPTS };

static const struct option long_options[] = {
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, 'V' },
    { "cmd", required_argument, NULL, 'c' },
    { "format", required_argument, NULL, 'f' },
    { "read-only", no_argument, NULL, 'r' },
    { "snapshot", no_argument, NULL, 's' },
    { "nocache", no_argument, NULL, 'n' },
    { "copy-on-read", no_argument, NULL, 'C' },
    { "misalign", no_argument, NULL, 'm' },
    { "native-aio", no_argument, NULL, 'k' },
    { "aio", required_argument, NULL, 'i' },
    { "discard", required_argument, NULL, 'd' },
    { "cache", required_argument, NULL, 't' },
    { "trace", required_argument, NULL, 'T' },
    { "force-share", no_argument, NULL, 'U' },
    { "object", required_argument, NULL, OPT_OBJECT },
    { "image-opts", no_argument, NULL, OPT_IMAGE_OPTS },
    { NULL },
};

/* How an image is to be opened: from the command line or from "open". */
typedef struct OpenArgs {
    const char *format, *aio;
    unsigned flags;
    bool writethrough, force_share, image_opts, snapshot, copy_on_read;
    JsonValue *options;         /* owned */
} OpenArgs;

static BlockBackend *image;     /* NULL: none open */
static bool quitting;

static void print_help(void)
{
    printf("Usage: %s [OPTIONS]... [-c STRING]... [file]\n"
           "QEMU Disk exerciser\n"
           "\n"
           "  --object OBJECTDEF   make an object, such as a 'secret'\n"
           "  --image-opts         the file is a string of options\n"
           "  -c, --cmd STRING     run a command; may be given several times\n"
           "  -f, --format FMT     the image's format; default: look at its content\n"
           "  -r, --read-only      open read-only\n"
           "  -s, --snapshot       write to a temporary file\n"
           "  -n, --nocache        bypass the page cache, as -t none\n"
           "  -C, --copy-on-read   copy what is read from backing files into the image\n"
           "  -m, --misalign       use buffers that are not aligned\n"
           "  -k, --native-aio     use kernel AIO, as -i native\n"
           "  -i, --aio=MODE       how I/O is done: threads, native or io_uring\n"
           "  -t, --cache=MODE     cache mode of the image\n"
           "  -d, --discard=MODE   discard mode of the image: ignore or unmap\n"
           "  -T, --trace [[enable=]<pattern>][,events=<file>][,file=<file>]\n"
           "                       specify tracing options\n"
           "  -U, --force-share    read an image that others write to\n"
           "  -h, --help           display this help and exit\n"
           "  -V, --version        output version information and exit\n"
           "\n"
           "See '%s -c help' for information on available commands.\n", report_program(),
           report_program());
}

/* ---- opening ---- */

static bool set_discard(OpenArgs *o, const char *mode)
{
    bool unmap = !strcmp(mode, "on") || !strcmp(mode, "unmap");

    if (!unmap && strcmp(mode, "off") && strcmp(mode, "ignore")) {
        error_report("Invalid discard option: %s", mode);
        return false;
    }
    o->flags = unmap ? o->flags | BLOCK_OPEN_UNMAP : o->flags & ~BLOCK_OPEN_UNMAP;
    return true;
}

static bool set_aio(OpenArgs *o, const char *mode)
{
    o->aio = mode;
    if (qapi_enum_parse(&qapi_enum_BlockdevAioOptions, mode, "aio", NULL) < 0) {
        error_report("Invalid aio option: %s", mode);
        return false;
    }
    return true;
}

static bool set_cache(OpenArgs *o, const char *mode)
{
    if (!tool_cache_mode(mode, &o->flags, &o->writethrough)) {
        error_report("Invalid cache option: %s", mode);
        return false;
    }
    return true;
}

/* The options that the command line and "open" share; 0: another one. */
static int take_open_option(OpenArgs *o, int c)
{
    switch (c) {
    case 's':
        o->snapshot = true;
        return 1;
    case 'C':
        o->copy_on_read = true;
        return 1;
    case 'n':
        o->flags |= BLOCK_OPEN_NOCACHE;
        o->writethrough = false;
        return 1;
    case 'r':
        o->flags &= ~BLOCK_OPEN_RDWR;
        return 1;
    case 'k':
        return set_aio(o, "native") ? 1 : -1;
    case 'i':
        return set_aio(o, optarg) ? 1 : -1;
    case 't':
        return set_cache(o, optarg) ? 1 : -1;
    case 'd':
        return set_discard(o, optarg) ? 1 : -1;
    case 'U':
        o->force_share = true;
        return 1;
    default:
        return 0;
    }
}

/* Put the filter between @image and its node. */
static bool insert_copy_on_read(void)
{
    BlockNode *bn = blk_node(image), *filter;
    JsonValue *options = json_object();
    Error *err = NULL;
    bool ok;

    json_object_set_string(options, "driver", "copy-on-read");
    json_object_set_string(options, "file", bn->node_name);
    /* Two users for a moment; who holds the filter holds the image. */
    block_node_ref(bn);
    blk_remove(image);
    filter = block_open(NULL, options, bn->open_flags, &err);
    ok = filter && blk_insert(image, filter, &err);
    block_node_unref(filter);
    block_node_unref(bn);
    if (!ok) {
        error_report_err(err);
    }
    return ok;
}

static int open_image(const OpenArgs *o, const char *name)
{
    JsonValue *options = o->options ? json_copy(o->options) : json_object();
    Error *err = NULL;

    if (image) {
        error_report("file open already, try 'help close'");
        json_unref(options);
        return -EBUSY;
    }
    if (o->snapshot) {
        error_report("-s is not supported; create an overlay with 'qemu-img create -b'");
        json_unref(options);
        return -ENOTSUP;
    }
    if (o->force_share) {
        json_object_set_bool(options, "force-share", true);
    }
    if (o->aio) {
        json_object_set_string(options, "file.aio", o->aio);
    }
    image = blk_open(name, options, o->flags, &err);
    if (!image) {
        error_prepend(&err, "can't open%s%s: ", name ? " device " : "", name ? name : "");
        error_report_err(err);
        return -EINVAL;
    }
    if (o->copy_on_read && !insert_copy_on_read()) {
        blk_unref(image);
        image = NULL;
        return -EINVAL;
    }
    blk_set_write_cache(image, !o->writethrough);
    return 0;
}

/* ---- the program's own commands ---- */

static int open_run(BlockBackend *blk, int argc, char **argv)
{
    OpenArgs o = { .flags = BLOCK_OPEN_RDWR | BLOCK_OPEN_UNMAP };
    Error *err = NULL;
    int c, ret = 0;

    while (ret == 0 && (c = getopt(argc, argv, "snCro:ki:t:d:U")) != -1) {
        if (c == 'o') {
            g_autoptr(JsonValue) more = keyval_parse_flat(optarg, NULL, false, NULL, &err);
            size_t i;

            if (!more) {
                error_report_err(err);
                ret = -EINVAL;
                break;
            }
            o.options = o.options ? o.options : json_object();
            for (i = 0; i < json_object_len(more); i++) {
                const char *key;
                JsonValue *v;

                json_object_at(more, i, &key, &v);
                json_object_set_take(o.options, key, json_ref(v));
            }
        } else {
            ret = take_open_option(&o, c);
            ret = ret > 0 ? 0 : ret < 0 ? -EINVAL : iocmd_usage(iocmd_find("open"));
        }
    }
    if (ret == 0) {
        if (optind == argc - 1) {
            ret = open_image(&o, argv[optind]);
        } else if (optind == argc) {
            ret = open_image(&o, NULL);
        } else {
            ret = iocmd_usage(iocmd_find("open"));
        }
    }
    json_unref(o.options);
    return ret;
}

static int close_run(BlockBackend *blk, int argc, char **argv)
{
    iocmd_aio_flush(image);
    blk_unref(image);
    image = NULL;
    return 0;
}

static int quit_run(BlockBackend *blk, int argc, char **argv)
{
    quitting = true;
    return 0;
}

static const IoCommand own_commands[] = {
    { "open", "o", "[-rsCnkU] [-t cache] [-d discard] [-o options] [path]",
      "open the file specified by path", 1, -1, false, false, open_run,
      "\n -r read-only, -n without the page cache, -t cache mode, -d discard mode, -U although others\n"
      " write to it, -k and -i how I/O is done, -o options of the driver.\n" },
    { "close", NULL, NULL, "close the current open file", 0, 0, true, false, close_run },
    { "quit", "q", NULL, "exit the program", 0, -1, false, false, quit_run },
    { NULL },
};

/* ---- the loop ---- */

static bool run_line(const char *line)
{
    return iocmd_run(image, line) >= 0;
}

typedef struct Input {
    GString *line;
    bool ready, eof;
} Input;

static void input_ready(void *opaque)
{
    ((Input *)opaque)->ready = true;
}

static void wait_for_input(Input *in)
{
    struct stat st;

    /* Files are always ready, and cannot be watched. */
    if (fstat(STDIN_FILENO, &st) < 0 || S_ISREG(st.st_mode) ||
        (S_ISCHR(st.st_mode) && !isatty(STDIN_FILENO))) {
        return;
    }
    in->ready = false;
    event_loop_set_fd(event_loop_main(), STDIN_FILENO, input_ready, NULL, in);
    while (!in->ready) {
        event_loop_poll(event_loop_main(), true);
    }
    event_loop_set_fd(event_loop_main(), STDIN_FILENO, NULL, NULL, NULL);
}

/* The next line without its end; false at the end. Requests in flight go on meanwhile. */
static bool read_line(Input *in)
{
    char c;

    g_string_truncate(in->line, 0);
    while (!in->eof) {
        ssize_t n;

        wait_for_input(in);
        n = read(STDIN_FILENO, &c, 1);
        if (n == 1 && c == '\n') {
            return true;
        }
        if (n == 1) {
            g_string_append_c(in->line, c);
        } else if (n == 0 || errno != EINTR) {
            in->eof = true;
        }
    }
    return in->line->len > 0;
}

static bool run_input(void)
{
    Input in = { .line = g_string_new(NULL) };
    bool ok = true;

    while (!quitting) {
        printf("qemu-io> ");
        fflush(stdout);
        if (!read_line(&in)) {
            break;
        }
        ok = run_line(in.line->str) && ok;
    }
    g_string_free(in.line, true);
    return ok;
}

static bool run_commands(GPtrArray *lines)
{
    bool ok = true;
    guint i;

    for (i = 0; i < lines->len && !quitting; i++) {
        ok = run_line(lines->pdata[i]) && ok;
    }
    return ok;
}

static bool parse(OpenArgs *o, GPtrArray *lines, int argc, char **argv)
{
    Error *err = NULL;
    int c, shared;

    opterr = 1;
    while ((c = getopt_long(argc, argv, "hVc:d:f:rsnCmki:t:T:U", long_options, NULL)) != -1) {
        shared = take_open_option(o, c);
        if (shared < 0) {
            return false;
        }
        switch (shared ? 0 : c) {
        case 0:
            break;
        case 'c':
            g_ptr_array_add(lines, optarg);
            break;
        case 'f':
            o->format = optarg;
            break;
        case 'm':
            iocmd_set_misaligned(true);
            break;
        case 'T':
            if (!tool_trace_option(optarg, &err)) {
                error_report_err(err);
                return false;
            }
            break;
        case 'V':
            tool_print_version();
            exit(EXIT_SUCCESS);
        case 'h':
            print_help();
            exit(EXIT_SUCCESS);
        case OPT_OBJECT:
            if (!tool_object_option(optarg, &err)) {
                error_report_err(err);
                return false;
            }
            break;
        case OPT_IMAGE_OPTS:
            o->image_opts = true;
            break;
        default:
            print_help();
            return false;
        }
    }
    if (argc - optind > 1) {
        print_help();
        return false;
    }
    if (o->format && o->image_opts) {
        error_report("--image-opts and -f are mutually exclusive");
        return false;
    }
    return true;
}

/* The file of the command line; its messages differ a little from those of "open". */
static bool open_first(OpenArgs *o, const char *name)
{
    Error *err = NULL;

    if (o->image_opts) {
        o->options = keyval_parse_flat(name, NULL, false, NULL, &err);
        if (!o->options) {
            error_report_err(err);
            return false;
        }
        name = NULL;
    } else if (o->format) {
        o->options = json_object();
        json_object_set_string(o->options, "driver", o->format);
    }
    return open_image(o, name) >= 0;
}

int main(int argc, char **argv)
{
    g_autoptr(GPtrArray) lines = g_ptr_array_new();
    OpenArgs o = { .flags = BLOCK_OPEN_RDWR | BLOCK_OPEN_UNMAP };
    bool ok = true;

    tool_init(argv);
    iocmd_add_table(own_commands);
    if (!parse(&o, lines, argc, argv)) {
        return EXIT_FAILURE;
    }
    ok = optind == argc || open_first(&o, argv[optind]);
    json_unref(o.options);
    if (!ok) {
        return EXIT_FAILURE;
    }
    ok = lines->len ? run_commands(lines) : run_input();
    /* What is in flight has still to be told. */
    iocmd_aio_flush(image);
    blk_unref(image);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
