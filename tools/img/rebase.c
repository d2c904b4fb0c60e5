/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qemu-img rebase: another backing file for an image. In safe mode, what the
 * old and the new one show differently is first copied into the image. Main thread.
 */
#include "util/osdep.h"
#include "img.h"

#define CHUNK ((int64_t)(2 * MIB))

static const struct option long_options[] = {
    IMG_LONG_HELP, IMG_LONG_OBJECT, IMG_LONG_IMAGE_OPTS, IMG_LONG_FORCE_SHARE, { NULL },
};

typedef struct RebaseArgs {
    ImgArgs common;
    const char *backing, *format;
    bool unsafe;
} RebaseArgs;

typedef struct RebaseWork {
    BlockBackend *blk, *old, *new;      /* the backing ones may be NULL */
    BlockNode *bn, *shared;             /* both chains go on in the same way from here */
    uint8_t *buf_old, *buf_new;
    int64_t size;
    int ret;
} RebaseWork;

/* Zeroes beyond the end, and without an image. */
static int coroutine_fn read_backing(BlockBackend *blk, int64_t offset, int64_t bytes, uint8_t *buf)
{
    int64_t inside = blk ? MIN(bytes, MAX(blk_length(blk) - offset, 0)) : 0;
    IoVector v;
    int ret = 0;

    memset(buf + inside, 0, bytes - inside);
    if (inside) {
        io_vector_init_buf(&v, buf, inside);
        ret = blk_co_preadv(blk, offset, inside, &v, 0);
        if (ret < 0) {
            error_report("error while reading from %s backing file", "old or new");
        }
    }
    return ret;
}

static int coroutine_fn write_differences(RebaseWork *w, int64_t offset, int64_t bytes)
{
    int64_t at = 0;
    int ret = 0;

    while (at < bytes && ret >= 0) {
        int64_t n = 0;
        bool differ = memcmp(w->buf_old + at, w->buf_new + at, MIN(512, bytes - at)) != 0;
        IoVector v;

        while (at + n < bytes &&
               !!memcmp(w->buf_old + at + n, w->buf_new + at + n, MIN(512, bytes - at - n)) ==
               differ) {
            n += MIN(512, bytes - at - n);
        }
        if (differ) {
            io_vector_init_buf(&v, w->buf_old + at, n);
            ret = blk_co_pwritev(w->blk, offset + at, n, &v, 0);
            if (ret < 0) {
                error_report("Error while writing to COW image: %s", strerror(-ret));
            }
        }
        at += n;
    }
    return ret;
}

/* 1: the range is the image's own or the same in both chains; *@n: how much that is. */
static int coroutine_fn stays(RebaseWork *w, int64_t offset, int64_t *n)
{
    int64_t bytes = MIN(w->size - offset, CHUNK);
    int ret = block_co_is_allocated_above(w->bn, w->bn, true, offset, bytes, n);

    if (ret < 0) {
        error_report("error while reading image metadata: %s", strerror(-ret));
        return ret;
    }
    if (ret || !w->shared || !w->old) {
        return ret;
    }
    if (offset >= blk_length(w->old)) {
        return 0;
    }
    bytes = MIN(*n, blk_length(w->old) - offset);
    ret = block_co_is_allocated_above(blk_node(w->old), w->shared, false, offset, bytes, n);
    if (ret < 0) {
        error_report("error while reading image metadata: %s", strerror(-ret));
        return ret;
    }
    return !ret;
}

static void coroutine_fn rebase_entry(void *opaque)
{
    RebaseWork *w = opaque;
    int64_t offset, n;

    for (offset = 0; offset < w->size && w->ret >= 0; offset += n) {
        tool_progress(100.0 * offset / w->size);
        w->ret = stays(w, offset, &n);
        if (w->ret != 0) {
            continue;
        }
        w->ret = read_backing(w->old, offset, n, w->buf_old);
        if (w->ret >= 0) {
            w->ret = read_backing(w->new, offset, n, w->buf_new);
        }
        if (w->ret >= 0) {
            w->ret = write_differences(w, offset, n);
        }
    }
    /* The header may only change once the data is there. */
    if (w->ret >= 0) {
        w->ret = blk_co_flush(w->blk);
    }
}

/* An image of @new's chain that is in the old one too. */
static BlockNode *find_shared(BlockNode *bn, BlockBackend *new)
{
    BlockNode *below;

    for (below = block_backing(bn); new && below; below = block_backing(below)) {
        if (!strcmp(below->filename, blk_node(new)->filename)) {
            return below;
        }
    }
    return NULL;
}

static BlockBackend *wrap(BlockNode *bn)
{
    BlockBackend *blk = blk_new(bn->loop, BLOCK_PERM_CONSISTENT_READ, BLOCK_PERM_ALL);

    blk_insert(blk, bn, &error_abort);
    return blk;
}

static bool open_new(RebaseWork *w, const RebaseArgs *r, unsigned flags)
{
    g_autofree char *path = NULL;
    JsonValue *o;
    Error *err = NULL;

    if (!r->backing || !*r->backing) {
        return true;
    }
    path = block_backing_path(w->bn->filename, r->backing, &err);
    if (!path) {
        error_prepend(&err, "Could not resolve backing filename: ");
        error_report_err(err);
        return false;
    }
    o = json_object();
    if (r->format) {
        json_object_set_string(o, "driver", r->format);
    }
    if (r->common.force_share) {
        json_object_set_bool(o, "force-share", true);
    }
    w->new = blk_open(path, o, flags, &err);
    if (!w->new) {
        error_prepend(&err, "Could not open new backing file '%s': ", path);
        error_report_err(err);
    }
    return w->new != NULL;
}

static bool copy_differences(RebaseWork *w, const RebaseArgs *r, unsigned src_flags)
{
    BlockNode *backing = block_backing(w->bn);

    w->old = backing ? wrap(backing) : NULL;
    if (!open_new(w, r, src_flags)) {
        return false;
    }
    w->shared = find_shared(w->bn, w->new);
    w->buf_old = block_buffer_alloc(w->bn, CHUNK);
    w->buf_new = block_buffer_alloc(w->bn, CHUNK);
    w->size = blk_length(w->blk);
    tool_progress(0);
    tool_run(rebase_entry, w);
    return w->ret >= 0;
}

static bool change_header(RebaseWork *w, const RebaseArgs *r)
{
    bool any = r->backing && *r->backing;
    int ret = block_change_backing_file(w->bn, any ? r->backing : NULL, any ? r->format : NULL, true);

    /* Without the format the file would have to be probed, and the guest decides what is in it. */
    if (ret == -ENOSPC) {
        error_report("Could not change the backing file to '%s': No space left in the file header",
                     r->backing);
    } else if (ret == -EINVAL && any && !r->format) {
        error_report("Could not change the backing file to '%s': backing format must be specified",
                     r->backing);
    } else if (ret < 0) {
        error_report("Could not change the backing file to '%s': %s", any ? r->backing : "(none)",
                     strerror(-ret));
    }
    return ret >= 0;
}

static bool parse(RebaseArgs *r, int argc, char **argv)
{
    int c;

    while ((c = img_option(&r->common, argc, argv, "f:F:b:upt:T:qU", long_options)) != -1) {
        switch (c) {
        case 'F':
            r->format = optarg;
            break;
        case 'b':
            r->backing = optarg;
            break;
        case 'u':
            r->unsafe = true;
            break;
        default:
            return false;
        }
    }
    if (img_operands(argc, 1, 1, "Expecting one image file name") < 0) {
        return false;
    }
    if (!r->unsafe && !r->backing) {
        return tool_usage_error("Must specify backing file (-b) or use unsafe mode (-u)");
    }
    return true;
}

int img_rebase(int argc, char **argv)
{
    unsigned flags = BLOCK_OPEN_RDWR | BLOCK_OPEN_UNMAP, src_flags = 0;
    bool writethrough = false, src_writethrough = false, ok;
    RebaseArgs r = { 0 };
    RebaseWork w = { 0 };

    if (!parse(&r, argc, argv) || !img_cache(r.common.cache, false, &flags, &writethrough) ||
        !img_cache(r.common.src_cache, true, &src_flags, &src_writethrough)) {
        return EXIT_FAILURE;
    }
    tool_progress_begin(r.common.progress, 1);
    tool_progress(0);
    flags |= r.unsafe ? BLOCK_OPEN_NO_BACKING : 0;
    /* -U is for the backing files: the image itself is written to. */
    w.blk = img_open(&(ImgArgs) { .image_opts = r.common.image_opts }, argv[optind],
                     r.common.format, flags, writethrough);
    if (!w.blk) {
        return EXIT_FAILURE;
    }
    w.bn = block_skip_filters(blk_node(w.blk));
    ok = !r.format || block_driver_find(r.format);
    if (!ok) {
        error_report("Invalid format name: '%s'", r.format);
    }
    ok = ok && (r.unsafe || copy_differences(&w, &r, src_flags)) && change_header(&w, &r);
    if (ok) {
        tool_progress(100);
    }
    blk_unref(w.old);
    blk_unref(w.new);
    block_buffer_free(w.buf_old);
    block_buffer_free(w.buf_new);
    blk_unref(w.blk);
    tool_progress_end();
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
