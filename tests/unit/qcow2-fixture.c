/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See qcow2-fixture.h. */
#include "util/osdep.h"
#include "qcow2-fixture.h"

/* ---- test-disk ---- */

TestDisk *test_disk(BlockNode *bn)
{
    return bn->opaque;
}

static void set_size(TestDisk *d, int64_t size)
{
    if (size > d->alloc) {
        int64_t alloc = MAX(size, d->alloc * 2);

        d->data = g_realloc(d->data, alloc);
        memset(d->data + d->alloc, 0, alloc - d->alloc);
        d->alloc = alloc;
    }
    if (size < d->size) {
        memset(d->data + size, 0, d->size - size);
    }
    d->size = size;
}

void test_disk_load(TestDisk *d, const void *data, int64_t size)
{
    set_size(d, 0);
    set_size(d, size);
    if (size) {
        memcpy(d->data, data, size);
    }
}

void test_disk_apply(TestDisk *d, const DiskChange *c)
{
    if (c->kind == DISK_TRUNCATE) {
        set_size(d, c->bytes);
    } else if (c->kind != DISK_FLUSH) {
        set_size(d, MAX(d->size, c->offset + c->bytes));
        if (c->kind == DISK_WRITE) {
            memcpy(d->data + c->offset, c->data, c->bytes);
        } else {
            memset(d->data + c->offset, 0, c->bytes);
        }
    }
}

void test_disk_start_log(TestDisk *d)
{
    test_disk_free_log(d);
    d->log = g_array_new(false, false, sizeof(DiskChange));
}

void test_disk_free_log(TestDisk *d)
{
    guint i;

    for (i = 0; d->log && i < d->log->len; i++) {
        g_free(g_array_index(d->log, DiskChange, i).data);
    }
    if (d->log) {
        g_array_free(d->log, true);
        d->log = NULL;
    }
}

/* What happens, or the error that was asked for. */
static int change(TestDisk *d, DiskChangeKind kind, int64_t offset, int64_t bytes, IoVector *v,
                  size_t v_offset)
{
    DiskChange c = { .kind = kind, .offset = offset, .bytes = bytes };

    d->changes++;
    if (d->fail_after >= 0 && d->fail_after-- == 0) {
        d->fail_after = d->fail_again ? 0 : -1;
        return -d->fail_errno;
    }
    if (d->limit && (offset > d->limit || bytes > d->limit - offset)) {
        return -EFBIG;
    }
    if (kind == DISK_WRITE) {
        c.data = g_malloc(bytes);
        iov_to_buf(v->iov, v->cnt, v_offset, c.data, bytes);
    }
    test_disk_apply(d, &c);
    if (d->log) {
        g_array_append_val(d->log, c);
    } else {
        g_free(c.data);
    }
    return 0;
}

static bool disk_open(BlockNode *bn, JsonValue *options, Error **errp)
{
    test_disk(bn)->fail_after = -1;
    bn->supported_zero_flags = BLOCK_REQ_MAY_UNMAP | BLOCK_REQ_NO_FALLBACK;
    return true;
}

static void disk_close(BlockNode *bn)
{
    test_disk_free_log(test_disk(bn));
    g_free(test_disk(bn)->data);
}

static int64_t disk_length(BlockNode *bn)
{
    return test_disk(bn)->size;
}

static int coroutine_fn disk_preadv(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                    size_t v_offset, unsigned flags)
{
    TestDisk *d = test_disk(bn);
    int64_t inside = offset < d->size ? MIN(bytes, d->size - offset) : 0;

    iov_memset(v->iov, v->cnt, v_offset + inside, 0, bytes - inside);
    iov_from_buf(v->iov, v->cnt, v_offset, d->data + offset, inside);
    return 0;
}

static int coroutine_fn disk_pwritev(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                     size_t v_offset, unsigned flags)
{
    return change(test_disk(bn), DISK_WRITE, offset, bytes, v, v_offset);
}

static int coroutine_fn disk_zeroes(BlockNode *bn, int64_t offset, int64_t bytes, unsigned flags)
{
    return change(test_disk(bn), DISK_ZERO, offset, bytes, NULL, 0);
}

/* A discarded range may hold anything; here it is zero. */
static int coroutine_fn disk_discard(BlockNode *bn, int64_t offset, int64_t bytes)
{
    TestDisk *d = test_disk(bn);

    bytes = offset < d->size ? MIN(bytes, d->size - offset) : 0;
    return bytes ? change(d, DISK_ZERO, offset, bytes, NULL, 0) : 0;
}

static int coroutine_fn disk_flush(BlockNode *bn)
{
    return change(test_disk(bn), DISK_FLUSH, 0, 0, NULL, 0);
}

static int coroutine_fn disk_truncate(BlockNode *bn, int64_t size, bool exact, PreallocMode prealloc,
                                      unsigned flags, Error **errp)
{
    int ret = change(test_disk(bn), DISK_TRUNCATE, 0, size, NULL, 0);

    if (ret < 0) {
        error_setg_errno(errp, -ret, "Cannot resize");
    }
    return ret;
}

static int64_t disk_allocated(BlockNode *bn)
{
    return test_disk(bn)->size;
}

BLOCK_DRIVER(test_disk_driver) = {
    .name = "test-disk",
    .instance_size = sizeof(TestDisk),
    .is_protocol = true,
    .open = disk_open,
    .close = disk_close,
    .length = disk_length,
    .allocated_size = disk_allocated,
    .co_preadv = disk_preadv,
    .co_pwritev = disk_pwritev,
    .co_pwrite_zeroes = disk_zeroes,
    .co_pdiscard = disk_discard,
    .co_flush_to_disk = disk_flush,
    .co_truncate = disk_truncate,
};

/* ---- images ---- */

typedef struct CreateWork {
    BlockdevCreateOptions *options;
    Error *err;
} CreateWork;

static void coroutine_fn create_entry(void *opaque)
{
    CreateWork *w = opaque;

    block_co_create(w->options, &w->err);
}

BlockNode *test_qcow2_create(const char *create_json)
{
    BlockNode *file = block_open(NULL, test_options("{'driver':'test-disk'}"),
                                 BLOCK_OPEN_RDWR | BLOCK_OPEN_UNMAP | BLOCK_OPEN_PROTOCOL,
                                 &error_abort);
    g_autoptr(JsonValue) o = test_options(create_json);
    CreateWork w = { 0 };

    json_object_set_string(o, "driver", "qcow2");
    json_object_set_string(o, "file", file->node_name);
    w.options = qapi_decode(&qapi_type_BlockdevCreateOptions, o, &error_abort);
    block_run_coroutine(file, create_entry, &w);
    if (w.err) {
        g_error("%s: %s", create_json, error_message(w.err));
    }
    qapi_free_BlockdevCreateOptions(w.options);
    return file;
}

BlockNode *test_qcow2_open(BlockNode *file, const char *json, unsigned flags, Error **errp)
{
    JsonValue *o = test_options(json ? json : "{}");

    json_object_set_string(o, "driver", "qcow2");
    json_object_set_string(o, "file", file->node_name);
    return block_open(NULL, o, flags, errp);
}

int test_qcow2_check(BlockNode *bn, BlockCheckResult *result, unsigned fix)
{
    /* Its findings go to stderr. */
    int saved = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY), ret;

    if (!g_test_verbose()) {
        dup2(null, STDERR_FILENO);
    }
    ret = block_check(bn, result, fix);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(null);
    return ret;
}
