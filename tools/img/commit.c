/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qemu-img commit: what an overlay (and what lies between) has allocated goes
 * to a node below; then the overlay is emptied. Nothing of the overlay is given
 * up before the base has it on disk. Main thread.
 */
#include "util/osdep.h"
#include "img.h"

#define CHUNK ((int64_t)(2 * MIB))

static const struct option long_options[] = {
    IMG_LONG_HELP, IMG_LONG_OBJECT, IMG_LONG_IMAGE_OPTS, { NULL },
};

typedef struct CommitWork {
    BlockBackend *top, *base;
    int64_t size, rate;
    int ret;
} CommitWork;

/* By the name in an image's header, or where that leads to. */
static BlockNode *find_in_chain(BlockNode *top, const char *name)
{
    BlockNode *bn, *backing;

    for (bn = block_skip_filters(top); (backing = block_backing(bn)) != NULL; bn = backing) {
        g_autofree char *relative = block_backing_path(bn->filename, name, NULL);

        if (!g_strcmp0(bn->backing_file, name) || !strcmp(backing->filename, name) ||
            !g_strcmp0(relative, backing->filename)) {
            return backing;
        }
    }
    return NULL;
}

static int coroutine_fn copy_range(CommitWork *w, int64_t offset, int64_t bytes, uint8_t *buf)
{
    IoVector v;
    int ret;

    io_vector_init_buf(&v, buf, bytes);
    ret = blk_co_preadv(w->top, offset, bytes, &v, 0);
    return ret < 0 ? ret : blk_co_pwritev(w->base, offset, bytes, &v, 0);
}

static void coroutine_fn commit_entry(void *opaque)
{
    CommitWork *w = opaque;
    BlockNode *top = blk_node(w->top), *base = blk_node(w->base);
    uint8_t *buf = block_buffer_alloc(top, CHUNK);
    int64_t offset = 0, n = 0, copied = 0, start = clock_now_ns(CLOCK_TYPE_REALTIME);

    w->ret = buf ? 0 : -ENOMEM;
    for (; offset < w->size && w->ret >= 0; offset += n) {
        int depth, status;

        tool_progress(100.0 * offset / w->size);
        status = block_co_status_above(top, base, true, offset, MIN(w->size - offset, INT64_MAX),
                                       &n, NULL, NULL, &depth);
        if (status < 0) {
            w->ret = status;
        } else if (!(status & BLOCK_STATUS_ALLOCATED)) {
            continue;
        } else if (status & BLOCK_STATUS_ZERO) {
            w->ret = blk_co_pwrite_zeroes(w->base, offset, n, BLOCK_REQ_MAY_UNMAP);
        } else {
            n = MIN(n, CHUNK);
            w->ret = copy_range(w, offset, n, buf);
            copied += n;
        }
        if (w->rate) {
            int64_t ahead = start + (int64_t)((double)copied / w->rate * 1e9) -
                            clock_now_ns(CLOCK_TYPE_REALTIME);

            if (ahead > 0) {
                coroutine_sleep_ns(CLOCK_TYPE_REALTIME, ahead);
            }
        }
    }
    if (w->ret >= 0) {
        w->ret = blk_co_flush(w->base);
    }
    block_buffer_free(buf);
}

typedef struct EmptyWork {
    BlockNode *bn;
    int ret;
} EmptyWork;

static void coroutine_fn empty_entry(void *opaque)
{
    EmptyWork *w = opaque;

    w->ret = w->bn->drv->co_make_empty(w->bn);
    if (w->ret >= 0) {
        w->ret = block_co_flush(w->bn);
    }
}

static bool make_empty(BlockNode *bn)
{
    EmptyWork w = { .bn = bn, .ret = -ENOTSUP };

    if (bn->drv->co_make_empty) {
        tool_run(empty_entry, &w);
    }
    if (w.ret < 0) {
        error_report("Could not empty %s: %s", bn->filename, strerror(-w.ret));
    }
    return w.ret >= 0;
}

/* A user of @base that may write and grow it; NULL after a message. */
static BlockBackend *open_base(BlockBackend *top, BlockNode *base)
{
    BlockBackend *blk;
    Error *err = NULL;

    /* What is below may change: we are the ones who change it. */
    if (!blk_set_perm(top, BLOCK_PERM_CONSISTENT_READ, BLOCK_PERM_ALL, &err) ||
        !block_reopen_set_read_only(base, false, &err)) {
        error_report_err(err);
        return NULL;
    }
    blk = blk_new(base->loop, BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE, BLOCK_PERM_ALL);
    if (!blk_insert(blk, base, &err)) {
        error_report_err(err);
        blk_unref(blk);
        return NULL;
    }
    return blk;
}

static bool commit(BlockBackend *top, BlockNode *base, bool drop, int64_t rate)
{
    CommitWork w = { .top = top, .size = blk_length(top), .rate = rate };
    Error *err = NULL;
    bool ok = false;

    w.base = open_base(top, base);
    if (!w.base) {
        return false;
    }
    if (base->total_bytes < w.size && !blk_truncate(w.base, w.size, PREALLOC_MODE_OFF, &err)) {
        error_report_err(err);
        goto out;
    }
    tool_progress(0);
    tool_run(commit_entry, &w);
    if (w.ret < 0) {
        error_report("Block job failed: %s", strerror(-w.ret));
        goto out;
    }
    tool_progress(100);
    ok = drop || make_empty(block_skip_filters(blk_node(top)));
out:
    blk_unref(w.base);
    return ok;
}

int img_commit(int argc, char **argv)
{
    unsigned flags = BLOCK_OPEN_RDWR | BLOCK_OPEN_UNMAP;
    bool writethrough = false, drop = false, ok;
    const char *base_name = NULL;
    int64_t rate = 0;
    BlockBackend *blk;
    BlockNode *base;
    ImgArgs a = { 0 };
    int c;

    while ((c = img_option(&a, argc, argv, "f:t:b:dpqr:", long_options)) != -1) {
        switch (c) {
        case 'b':
            base_name = optarg;
            /* What lies between would be wrong if the overlay went. */
            drop = true;
            break;
        case 'd':
            drop = true;
            break;
        case 'r':
            rate = tool_parse_size("rate limit", optarg);
            if (rate < 0) {
                return EXIT_FAILURE;
            }
            break;
        default:
            return EXIT_FAILURE;
        }
    }
    if (img_operands(argc, 1, 1, "Expecting one image file name") < 0 ||
        !img_cache(a.cache, false, &flags, &writethrough)) {
        return EXIT_FAILURE;
    }
    blk = img_open(&a, argv[optind], a.format, flags, writethrough);
    if (!blk) {
        return EXIT_FAILURE;
    }
    base = base_name ? find_in_chain(blk_node(blk), base_name) : block_backing(blk_node(blk));
    if (!base) {
        if (base_name) {
            error_report("Did not find '%s' in the backing chain of '%s'", base_name, argv[optind]);
        } else {
            error_report("Image does not have a backing file");
        }
        blk_unref(blk);
        return EXIT_FAILURE;
    }
    tool_progress_begin(a.progress, 1);
    ok = commit(blk, base, drop, rate);
    tool_progress_end();
    if (ok && !a.quiet) {
        printf("Image committed.\n");
    }
    blk_unref(blk);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
