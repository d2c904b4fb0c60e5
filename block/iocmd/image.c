/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The disk exerciser's commands about the image as a whole. Main thread. */
#include "util/osdep.h"
#include <getopt.h>
#include <signal.h>
#include "block/block-int.h"
#include "block/image.h"
#include "block/iocmd.h"
#include "util/cutils.h"

/* ---- allocation ---- */

typedef struct AllocWork {
    BlockNode *bn;
    int64_t offset, bytes, pnum;
    int ret;
} AllocWork;

static void coroutine_fn alloc_entry(void *opaque)
{
    AllocWork *w = opaque;

    w->ret = block_co_block_status(w->bn, false, w->offset, w->bytes, &w->pnum, NULL, NULL);
}

/* 1, 0 or -errno; *@pnum: for how many bytes. */
static int is_allocated(BlockNode *bn, int64_t offset, int64_t bytes, int64_t *pnum)
{
    AllocWork w = { .bn = bn, .offset = offset, .bytes = bytes };

    block_run_coroutine(bn, alloc_entry, &w);
    *pnum = w.pnum;
    return w.ret < 0 ? w.ret : !!(w.ret & BLOCK_STATUS_ALLOCATED);
}

static int alloc_run(BlockBackend *blk, int argc, char **argv)
{
    int64_t start, count = 512, left, num, sum = 0, offset;
    char text[64];
    int ret;

    start = offset = iocmd_number(argv[1]);
    if (offset < 0) {
        return offset;
    }
    if (argc == 3) {
        count = iocmd_number(argv[2]);
        if (count < 0) {
            return count;
        }
    }
    count = MIN(count, MAX(blk_length(blk) - start, 0));
    for (left = count; left > 0; left -= num, offset += num) {
        ret = is_allocated(blk_node(blk), offset, left, &num);
        if (ret < 0) {
            printf("is_allocated failed: %s\n", strerror(-ret));
            return ret;
        }
        if (ret) {
            sum += num;
        }
        if (!num) {
            break;
        }
    }
    iocmd_size_text(start, text, sizeof(text));
    printf("%" PRId64 "/%" PRId64 " bytes allocated at offset %s\n", sum, count, text);
    return 0;
}

static int map_run(BlockBackend *blk, int argc, char **argv)
{
    int64_t size = blk_length(blk), at, n, run;
    int ret, next;

    for (at = 0; at < size; at += run) {
        char length[64], offset[64];

        ret = next = is_allocated(blk_node(blk), at, size - at, &run);
        while (ret >= 0 && run && next == ret && at + run < size) {
            next = is_allocated(blk_node(blk), at + run, size - at - run, &n);
            run += next == ret ? n : 0;
        }
        if (ret < 0 || !run) {
            error_report("Failed to get allocation status: %s", strerror(ret < 0 ? -ret : EIO));
            return ret < 0 ? ret : -EIO;
        }
        iocmd_size_text(run, length, sizeof(length));
        iocmd_size_text(at, offset, sizeof(offset));
        printf("%s (0x%" PRIx64 ") bytes %s allocated at offset %s (0x%" PRIx64 ")\n", length,
               (uint64_t)run, ret ? "   " : "not", offset, (uint64_t)at);
    }
    return 0;
}

/* ---- size, description ---- */

static int length_run(BlockBackend *blk, int argc, char **argv)
{
    char text[64];

    iocmd_size_text(blk_length(blk), text, sizeof(text));
    printf("%s\n", text);
    return 0;
}

static int truncate_run(BlockBackend *blk, int argc, char **argv)
{
    int prealloc = PREALLOC_MODE_OFF, c;
    Error *err = NULL;
    int64_t size;

    while ((c = getopt(argc, argv, "m:")) != -1) {
        if (c != 'm') {
            return iocmd_usage(iocmd_find("truncate"));
        }
        prealloc = qapi_enum_parse(&qapi_enum_PreallocMode, optarg, "", NULL);
        if (prealloc < 0) {
            error_report("Invalid preallocation mode '%s'", optarg);
            return -EINVAL;
        }
    }
    if (optind != argc - 1) {
        return iocmd_usage(iocmd_find("truncate"));
    }
    size = iocmd_number(argv[optind]);
    if (size < 0) {
        return size;
    }
    if (!blk_truncate(blk, size, prealloc, &err)) {
        error_report_err(err);
        return -EIO;
    }
    return 0;
}

static int info_run(BlockBackend *blk, int argc, char **argv)
{
    BlockNode *bn = blk_node(blk);
    BlockImageInfo info;
    ImageInfoSpecific *specific;
    char text[64];
    Error *err = NULL;
    int ret;

    printf("format name: %s\n", bn->drv->name);
    ret = block_image_info(bn, &info);
    if (ret < 0) {
        return ret;
    }
    iocmd_size_text(info.cluster_size, text, sizeof(text));
    printf("cluster size: %s\n", text);
    iocmd_size_text(info.vm_state_offset, text, sizeof(text));
    printf("vm state offset: %s\n", text);
    specific = bn->drv->specific_info ? bn->drv->specific_info(bn, &err) : NULL;
    if (err) {
        error_report_err(err);
        return -EIO;
    }
    if (specific) {
        g_autoptr(JsonValue) json = qapi_encode(&qapi_type_ImageInfoSpecific, specific);
        GString *words = g_string_new(NULL);

        json_print_words(words, json_object_get(json, "data"), 1);
        printf("Format specific information:\n%s", words->str);
        g_string_free(words, true);
        qapi_free_ImageInfoSpecific(specific);
    }
    return 0;
}

/* ---- reopen ---- */

typedef struct ReopenArgs {
    unsigned flags;
    bool write_cache, read_only_given, read_write_given, cache_given;
    JsonValue *options;
} ReopenArgs;

static bool take_cache(ReopenArgs *r, const char *mode)
{
    static const struct {
        const char *name;
        unsigned flags;
        bool write_cache;
    } modes[] = {
        { "none", BLOCK_OPEN_NOCACHE, true }, { "off", BLOCK_OPEN_NOCACHE, true },
        { "writeback", 0, true }, { "unsafe", BLOCK_OPEN_NO_FLUSH, true },
        { "directsync", BLOCK_OPEN_NOCACHE, false }, { "writethrough", 0, false },
    };
    size_t i;

    for (i = 0; i < ARRAY_SIZE(modes); i++) {
        if (!strcmp(mode, modes[i].name)) {
            r->flags = (r->flags & ~(BLOCK_OPEN_NOCACHE | BLOCK_OPEN_NO_FLUSH)) | modes[i].flags;
            r->write_cache = modes[i].write_cache;
            r->cache_given = true;
            return true;
        }
    }
    error_report("Invalid cache option: %s", mode);
    return false;
}

static int parse_reopen(ReopenArgs *r, int argc, char **argv)
{
    Error *err = NULL;
    int c;

    while ((c = getopt(argc, argv, "c:o:rw")) != -1) {
        switch (c) {
        case 'c':
            if (!take_cache(r, optarg)) {
                return -EINVAL;
            }
            break;
        case 'o':
            json_unref(r->options);
            r->options = keyval_parse_flat(optarg, NULL, false, NULL, &err);
            if (!r->options) {
                error_report_err(err);
                return -EINVAL;
            }
            break;
        case 'r':
            r->read_only_given = true;
            break;
        case 'w':
            r->read_write_given = true;
            break;
        default:
            return iocmd_usage(iocmd_find("reopen"));
        }
    }
    if (r->read_only_given && r->read_write_given) {
        error_report("Only one -r/-w option may be given");
        return -EINVAL;
    }
    return optind == argc ? 0 : iocmd_usage(iocmd_find("reopen"));
}

/* The file below follows in what concerns it. */
static bool reopen(BlockBackend *blk, const ReopenArgs *r, Error **errp)
{
    BlockNode *bn = blk_node(blk), *file = bn->file ? bn->file->node : NULL;
    const unsigned shared = BLOCK_OPEN_RDWR | BLOCK_OPEN_NOCACHE | BLOCK_OPEN_NO_FLUSH;
    BlockReopen list[2] = {
        { .bn = file, .flags = file ? (file->open_flags & ~shared) | (r->flags & shared) : 0 },
        { .bn = bn, .flags = r->flags, .options = r->options },
    };
    BlockReopen swap = list[0];

    if (!file) {
        return block_reopen(list + 1, 1, errp);
    }
    /* Top first when writing ends. */
    if (!(r->flags & BLOCK_OPEN_RDWR)) {
        list[0] = list[1];
        list[1] = swap;
    }
    return block_reopen(list, 2, errp);
}

static int reopen_run(BlockBackend *blk, int argc, char **argv)
{
    BlockNode *bn = blk_node(blk);
    ReopenArgs r = { .flags = bn->open_flags, .write_cache = blk_write_cache_enabled(blk) };
    const uint64_t writer = BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE;
    uint64_t perm = blk->perm;
    Error *err = NULL;
    int ret = parse_reopen(&r, argc, argv);

    if (ret < 0) {
        goto out;
    }
    if (r.read_only_given || r.read_write_given) {
        r.flags = r.read_write_given ? r.flags | BLOCK_OPEN_RDWR : r.flags & ~BLOCK_OPEN_RDWR;
        /* Who gives up writing does so first, who begins does so last. */
        if (r.read_only_given && !blk_set_perm(blk, perm & ~writer, blk->shared_perm, &err)) {
            goto fail;
        }
    }
    if (!reopen(blk, &r, &err)) {
        blk_set_perm(blk, perm, blk->shared_perm, NULL);
        goto fail;
    }
    if (r.read_write_given && !blk_set_perm(blk, perm | writer, blk->shared_perm, &err)) {
        goto fail;
    }
    blk_set_write_cache(blk, r.write_cache);
    goto out;
fail:
    error_report_err(err);
    ret = -EINVAL;
out:
    json_unref(r.options);
    return ret;
}

/* ---- others ---- */

static void timer_done(void *opaque)
{
    *(bool *)opaque = true;
}

static int sleep_run(BlockBackend *blk, int argc, char **argv)
{
    bool done = false;
    int64_t ms;
    Timer t;

    if (parse_int64(argv[1], 0, &ms) < 0) {
        printf("%s is not a valid number\n", argv[1]);
        return -EINVAL;
    }
    timer_init(&t, event_loop_main(), CLOCK_TYPE_HOST, timer_done, &done);
    timer_arm_ns(&t, clock_now_ns(CLOCK_TYPE_HOST) + ms * 1000000);
    while (!done) {
        event_loop_poll(event_loop_main(), true);
    }
    return 0;
}

static int abort_run(BlockBackend *blk, int argc, char **argv)
{
    abort();
}

static int sigraise_run(BlockBackend *blk, int argc, char **argv)
{
    int64_t sig = iocmd_number(argv[1]);

    if (sig < 0) {
        return sig;
    }
    if (sig > NSIG) {
        printf("signal argument '%s' is too large to be a valid signal number\n", argv[1]);
        return -EINVAL;
    }
    /* What was printed so far is to be seen, whatever the signal does. */
    fflush(stdout);
    raise(sig);
    return 0;
}

/* ---- break points ---- */

/* The first node from the image down that has them. */
static BlockNode *debug_node(BlockBackend *blk)
{
    BlockNode *bn = blk_node(blk);
    BlockChild *c;

    while (!bn->drv->debug_break && (c = block_primary_child(bn)) != NULL) {
        bn = c->node;
    }
    return bn->drv->debug_break ? bn : NULL;
}

static int break_run(BlockBackend *blk, int argc, char **argv)
{
    BlockNode *bn = debug_node(blk);
    int ret = bn ? bn->drv->debug_break(bn, argv[1], argv[2]) : -ENOTSUP;

    if (ret < 0) {
        printf("Could not set breakpoint: %s\n", strerror(-ret));
    }
    return ret;
}

static int remove_break_run(BlockBackend *blk, int argc, char **argv)
{
    BlockNode *bn = debug_node(blk);
    int ret = bn ? bn->drv->debug_remove_break(bn, argv[1]) : -ENOTSUP;

    if (ret < 0) {
        printf("Could not remove breakpoint %s: %s\n", argv[1], strerror(-ret));
    }
    return ret;
}

static int resume_run(BlockBackend *blk, int argc, char **argv)
{
    BlockNode *bn = debug_node(blk);
    int ret = bn ? bn->drv->debug_resume(bn, argv[1]) : -ENOTSUP;

    if (ret < 0) {
        printf("Could not resume request: %s\n", strerror(-ret));
    }
    return ret;
}

typedef struct WaitBreak {
    BlockNode *bn;
    const char *tag;
} WaitBreak;

static bool is_suspended(void *opaque)
{
    WaitBreak *w = opaque;

    return w->bn->drv->debug_is_suspended(w->bn, w->tag);
}

static int wait_break_run(BlockBackend *blk, int argc, char **argv)
{
    WaitBreak w = { debug_node(blk), argv[1] };

    if (!w.bn) {
        printf("Could not wait for a request: %s\n", strerror(ENOTSUP));
        return -ENOTSUP;
    }
    block_wait(is_suspended, &w);
    return 0;
}

const IoCommand iocmd_image_table[] = {
    { "alloc", "a", "offset [count]", "checks if offset is allocated in the file", 1, 2, true, false,
      alloc_run },
    { "map", NULL, "", "prints the allocated areas of a file", 0, 0, true, false, map_run },
    { "length", "l", NULL, "gets the length of the current file", 0, 0, true, false, length_run },
    { "truncate", "t", "[-m prealloc_mode] off", "truncates the current file at the given offset", 1,
      3, true, true, truncate_run },
    { "info", "i", NULL, "prints information about the current file", 0, 0, true, false, info_run },
    { "reopen", NULL, "[(-r|-w)] [-c cache] [-o options]", "reopens an image with new options", 0, -1,
      true, false, reopen_run,
      "\n -r and -w change to read-only and read-write, -c the cache mode, -o driver options.\n" },
    { "break", NULL, "event tag", "sets a breakpoint on event and tags the stopped request as tag", 2, 2,
      true, false, break_run },
    { "remove_break", NULL, "tag", "remove a breakpoint by tag", 1, 1, true, false, remove_break_run },
    { "resume", NULL, "tag", "resumes the request tagged as tag", 1, 1, true, false, resume_run },
    { "wait_break", NULL, "tag", "waits for the suspension of a request", 1, 1, true, false,
      wait_break_run },
    { "sleep", NULL, NULL, "waits for the given value in milliseconds", 1, 1, false, false,
      sleep_run },
    { "abort", NULL, NULL, "simulate a program crash using abort(3)", 0, 0, false, false, abort_run },
    { "sigraise", NULL, "signal", "raises a signal", 1, 1, false, false, sigraise_run,
      "\n A number, as for raise(3).\n" },
    { NULL },
};
