/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qemu-img: the program, its help, and what the commands share. Main thread. */
#include "util/osdep.h"
#include "img.h"

typedef struct ImgCommand {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *syntax;
} ImgCommand;

static const ImgCommand commands[] = {
    { "amend", img_amend, "[--object OBJECT] [--image-opts] [-p] [-q] [-f FMT] [-t CACHE] [--force] "
      "-o OPTIONS FILE" },
    { "bench", img_bench, "[-c COUNT] [-d DEPTH] [-f FMT] [--flush-interval=N [--no-drain]] [-i AIO] [-n] "
      "[-o OFFSET] [--pattern=N] [-q] [-s BUFFER_SIZE] [-S STEP_SIZE] [-t CACHE] [-w] [-U] FILE" },
    { "bitmap", img_bitmap, "(--merge SOURCE | --add | --remove | --clear | --enable | --disable)... "
      "[-b SOURCE_FILE [-F SOURCE_FMT]] [-g GRANULARITY] [--object OBJECT] [--image-opts | -f FMT] "
      "FILE BITMAP" },
    { "check", img_check, "[--object OBJECT] [--image-opts] [-q] [-f FMT] [--output=human|json] "
      "[-r leaks|all] [-T SRC_CACHE] [-U] FILE" },
    { "commit", img_commit, "[--object OBJECT] [--image-opts] [-q] [-f FMT] [-t CACHE] [-b BASE] "
      "[-r RATE] [-d] [-p] FILE" },
    { "compare", img_compare, "[--object OBJECT] [--image-opts] [-f FMT] [-F FMT] [-T SRC_CACHE] "
      "[-p] [-q] [-s] [-U] FILE1 FILE2" },
    { "convert", img_convert, "[--object OBJECT] [--image-opts] [--target-image-opts] "
      "[--target-is-zero] [--bitmaps [--skip-broken-bitmaps]] [-U] [-C] [-c] [-p] [-q] [-n] [-f FMT] "
      "[-t CACHE] [-T SRC_CACHE] [-O OUTPUT_FMT] [-B BACKING [-F BACKING_FMT]] [-o OPTIONS] "
      "[-l SNAPSHOT] [-S SPARSE_SIZE] [-r RATE] [-m COROUTINES] [-W] [--salvage] FILE [FILE2...] "
      "OUTPUT_FILE" },
    { "create", img_create, "[--object OBJECT] [-q] [-f FMT] [-b BACKING [-F BACKING_FMT]] [-u] "
      "[-o OPTIONS] FILE [SIZE]" },
    { "dd", img_dd, "[--image-opts] [-U] [-f FMT] [-O OUTPUT_FMT] [bs=SIZE] [count=BLOCKS] "
      "[skip=BLOCKS] if=INPUT of=OUTPUT" },
    { "info", img_info, "[--object OBJECT] [--image-opts] [-f FMT] [--output=human|json] "
      "[--backing-chain] [-U] FILE" },
    { "map", img_map, "[--object OBJECT] [--image-opts] [-f FMT] [--start-offset=OFFSET] "
      "[--max-length=LEN] [--output=human|json] [-U] FILE" },
    { "measure", img_measure, "[--output=human|json] [-O OUTPUT_FMT] [-o OPTIONS] "
      "[--size N | [--object OBJECT] [--image-opts] [-f FMT] [-l SNAPSHOT] FILE]" },
    { "rebase", img_rebase, "[--object OBJECT] [--image-opts] [-U] [-q] [-f FMT] [-t CACHE] "
      "[-T SRC_CACHE] [-p] [-u] -b BACKING [-F BACKING_FMT] FILE" },
    { "resize", img_resize, "[--object OBJECT] [--image-opts] [-f FMT] [--preallocation=MODE] [-q] "
      "[--shrink] FILE [+|-]SIZE" },
    { "snapshot", img_snapshot, "[--object OBJECT] [--image-opts] [-U] [-q] "
      "[-l | -a SNAPSHOT | -c SNAPSHOT | -d SNAPSHOT] FILE" },
};

void img_print_help(void)
{
    size_t i;

    tool_print_version();
    printf("usage: qemu-img [standard options] command [command options]\n"
           "QEMU disk image utility\n"
           "\n"
           "    '-h', '--help'       display this help and exit\n"
           "    '-V', '--version'    output version information and exit\n"
           "    '-T', '--trace'      [[enable=]<pattern>][,events=<file>][,file=<file>]\n"
           "                         specify tracing options\n"
           "\n"
           "Command syntax:\n");
    for (i = 0; i < ARRAY_SIZE(commands); i++) {
        printf("  %s %s\n", commands[i].name, commands[i].syntax);
    }
    printf("\n"
           "FILE is an image: a file name, \"protocol:...\", \"json:{...}\", or with --image-opts\n"
           "  key=value,... options. FMT is its format; without it the content is looked at.\n"
           "SIZE and other numbers of bytes may end in k, M, G, T, P or E (powers of 1024).\n"
           "CACHE is one of none, writeback, unsafe, directsync, writethrough.\n"
           "OPTIONS are key=value,...; \"-o help\" lists those of a format.\n"
           "OBJECT is an object such as secret,id=ID,file=PATH.\n"
           "The manual page qemu-img(1) says what the commands do.\n"
           "\n");
    tool_print_formats();
}

/* ---- what the commands share ---- */

static bool set_output(ImgArgs *a, const char *format)
{
    a->json = !strcmp(format, "json");
    if (!a->json && strcmp(format, "human")) {
        error_report("--output must be used with human or json as argument.");
        return false;
    }
    return true;
}

/* True: @c was one of the common ones, and is done. */
static bool common_option(ImgArgs *a, int c, bool *ok)
{
    Error *err = NULL;

    *ok = true;
    switch (c) {
    case 'h':
        img_print_help();
        exit(EXIT_SUCCESS);
    case 'f':
        a->format = optarg;
        return true;
    case 't':
        a->cache = optarg;
        return true;
    case 'T':
        a->src_cache = optarg;
        return true;
    case 'U':
        a->force_share = true;
        return true;
    case 'p':
        a->progress = true;
        return true;
    case 'q':
        a->quiet = true;
        return true;
    case IMG_OPT_IMAGE_OPTS:
        a->image_opts = true;
        return true;
    case IMG_OPT_OUTPUT:
        *ok = set_output(a, optarg);
        return true;
    case IMG_OPT_OBJECT:
        *ok = tool_object_option(optarg, &err);
        if (!*ok) {
            error_report_err(err);
        }
        return true;
    default:
        return false;
    }
}

int img_option(ImgArgs *a, int argc, char **argv, const char *shorts, const struct option *longs)
{
    g_autofree char *all = g_strdup_printf(":h%s", shorts);
    bool ok = true;
    int c;

    do {
        c = tool_getopt(argc, argv, all, longs);
    } while (c != -1 && c != '?' && common_option(a, c, &ok) && ok);
    if (c == -1 && a->quiet) {
        a->progress = false;
    }
    if (c == -1 && a->image_opts && a->format) {
        error_report("--image-opts and --format are mutually exclusive");
        return '?';
    }
    return ok ? c : '?';
}

int img_operands(int argc, int min, int max, const char *expecting)
{
    int n = argc - optind;

    if (n < min || n > max) {
        tool_usage_error("%s", expecting);
        return -1;
    }
    return n;
}

bool img_cache(const char *mode, bool is_source, unsigned *flags, bool *writethrough)
{
    if (mode && !tool_cache_mode(mode, flags, writethrough)) {
        error_report("Invalid %scache option: %s", is_source ? "source " : "", mode);
        return false;
    }
    return true;
}

BlockBackend *img_open(const ImgArgs *a, const char *name, const char *format, unsigned flags,
                       bool writethrough)
{
    ToolImage image = {
        .name = name, .format = format, .image_opts = a->image_opts, .flags = flags,
        .writethrough = writethrough, .force_share = a->force_share,
    };

    return tool_open(&image);
}

void img_print_json(const JsonValue *json)
{
    GString *s = json_print(json, JSON_PRETTY);

    printf("%s\n", s->str);
    g_string_free(s, true);
}

/* ---- the program ---- */

static const struct option main_options[] = {
    IMG_LONG_HELP,
    { "version", no_argument, NULL, 'V' },
    { "trace", required_argument, NULL, 'T' },
    { NULL },
};

int main(int argc, char **argv)
{
    Error *err = NULL;
    size_t i;
    int c;

    tool_init(argv);
    /* "+": the command ends the standard options. */
    while ((c = tool_getopt(argc, argv, "+:hVT:", main_options)) != -1) {
        switch (c) {
        case 'h':
            img_print_help();
            return EXIT_SUCCESS;
        case 'V':
            tool_print_version();
            return EXIT_SUCCESS;
        case 'T':
            if (!tool_trace_option(optarg, &err)) {
                error_report_err(err);
                return EXIT_FAILURE;
            }
            break;
        default:
            return EXIT_FAILURE;
        }
    }
    if (optind == argc) {
        tool_usage_error("Not enough arguments");
        return EXIT_FAILURE;
    }
    for (i = 0; i < ARRAY_SIZE(commands); i++) {
        if (!strcmp(argv[optind], commands[i].name)) {
            argc -= optind;
            argv += optind;
            optind = 0;         /* also makes getopt forget its state */
            return commands[i].run(argc, argv);
        }
    }
    tool_usage_error("Command not found: %s", argv[optind]);
    return EXIT_FAILURE;
}
