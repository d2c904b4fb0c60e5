/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all engines have in common: the list of engines per loop, plugging,
 * and going on after short transfers. Threads: see engine.h.
 */
#include "util/osdep.h"
#include <pthread.h>
#include "engine.h"
#include "trace-block-engines.h"
#include "util/iov.h"

static pthread_mutex_t engines_lock = PTHREAD_MUTEX_INITIALIZER;
static Engine *engines;

static const EngineOps *ops_for(BlockdevAioOptions kind)
{
    switch (kind) {
#ifdef CONFIG_LINUX_AIO
    case BLOCKDEV_AIO_OPTIONS_NATIVE:
        return &engine_linux_aio_ops;
#endif
#ifdef CONFIG_IO_URING
    case BLOCKDEV_AIO_OPTIONS_IO_URING:
        return &engine_io_uring_ops;
#endif
    case BLOCKDEV_AIO_OPTIONS_THREADS:
        return &engine_threads_ops;
    default:
        return NULL;
    }
}

Engine *engine_get(BlockdevAioOptions kind, Error **errp)
{
    const EngineOps *ops = ops_for(kind);
    EventLoop *loop = event_loop_current();
    Engine *e;

    if (!ops) {
        error_setg(errp, "aio=%s was specified, but is not supported in this build.",
                   BlockdevAioOptions_str(kind));
        return NULL;
    }
    pthread_mutex_lock(&engines_lock);
    for (e = engines; e && (e->ops != ops || e->loop != loop); e = e->next) {
    }
    if (e) {
        e->refs++;
        goto out;
    }
    e = g_malloc0(ops->size);
    e->ops = ops;
    e->loop = loop;
    e->refs = 1;
    if (ops->init && !ops->init(e, errp)) {
        g_free(e);
        e = NULL;
        goto out;
    }
    trace_engine_new(kind, loop);
    event_loop_ref(loop);
    e->next = engines;
    engines = e;
out:
    pthread_mutex_unlock(&engines_lock);
    return e;
}

static void engine_destroy(void *opaque)
{
    Engine *e = opaque;

    if (e->ops->cleanup) {
        e->ops->cleanup(e);
    }
}

void engine_put(Engine *e)
{
    Engine **p;
    bool last;

    pthread_mutex_lock(&engines_lock);
    last = --e->refs == 0;
    if (last) {
        for (p = &engines; *p != e; p = &(*p)->next) {
        }
        *p = e->next;
    }
    pthread_mutex_unlock(&engines_lock);
    if (last) {
        /* On its own thread, where its handlers run. */
        if (event_loop_current() == e->loop) {
            engine_destroy(e);
        } else {
            event_loop_run_wait(e->loop, engine_destroy, e);
        }
        event_loop_unref(e->loop);
        g_free(e);
    }
}

void engine_submit(Engine *e, EngineRequest *req)
{
    req->engine = e;
    req->moved = 0;
    req->rest = NULL;
    req->next = NULL;
    e->ops->submit(e, req);
}

void engine_plug(Engine *e)
{
    e->plugged++;
}

void engine_unplug(Engine *e)
{
    if (--e->plugged == 0 && e->ops->kick) {
        e->ops->kick(e);
    }
}

const struct iovec *engine_request_iov(const EngineRequest *req, unsigned *count)
{
    *count = MIN(req->rest ? req->rest_count : req->iov_count, IOV_MAX);
    return req->rest ? req->rest : req->iov;
}

static void finish(EngineRequest *req, int ret)
{
    g_clear_pointer(&req->rest, g_free);
    req->done(req, ret);
}

void engine_transferred(EngineRequest *req, int64_t ret)
{
    struct iovec *rest;

    if (ret == -EINTR || ret == -EAGAIN) {
        /* Nothing moved; once more. */
        req->engine->ops->submit(req->engine, req);
        return;
    }
    if (ret < 0) {
        finish(req, ret);
        return;
    }
    if (ret == 0 && req->is_write) {
        /* The kernel takes nothing and names no reason: a full disk, by tradition. */
        finish(req, -ENOSPC);
        return;
    }
    req->moved += ret;
    if (ret == 0) {
        iov_memset(req->iov, req->iov_count, req->moved, 0, req->bytes - req->moved);
        req->moved = req->bytes;
    }
    if (req->moved >= req->bytes) {
        finish(req, 0);
        return;
    }
    trace_engine_short_transfer(req->fd, req->is_write, req->offset, req->moved);
    rest = g_new(struct iovec, req->iov_count);
    req->rest_count = iov_slice(rest, req->iov_count, req->iov, req->iov_count, req->moved,
                                req->bytes - req->moved);
    g_free(req->rest);
    req->rest = rest;
    req->engine->ops->submit(req->engine, req);
}
