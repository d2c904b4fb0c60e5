/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine for everything: preadv and pwritev on the loop's thread pool.
 */
#include "util/osdep.h"
#include "engine.h"
#include "util/thread.h"

static int transfer(void *arg)
{
    EngineRequest *req = arg;
    unsigned count;
    const struct iovec *iov = engine_request_iov(req, &count);
    int64_t offset = engine_request_offset(req);
    ssize_t n;

    do {
        n = req->is_write ? pwritev(req->fd, iov, count, offset) :
                            preadv(req->fd, iov, count, offset);
    } while (n < 0 && errno == EINTR);
    /* A transfer is at most 2 GiB. */
    return n < 0 ? -errno : (int)n;
}

static void transfer_done(void *opaque, int ret)
{
    /* A regular file never means "try again". */
    engine_transferred(opaque, ret == -EAGAIN ? -EIO : ret);
}

static void threads_submit(Engine *e, EngineRequest *req)
{
    thread_pool_run(transfer, req, transfer_done, req);
}

const EngineOps engine_threads_ops = {
    .kind = BLOCKDEV_AIO_OPTIONS_THREADS,
    .size = sizeof(Engine),
    .submit = threads_submit,
};
