/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Engines: how reads and writes of a file descriptor are carried out without
 * blocking the loop. One engine of a kind per event loop, made on first use,
 * gone with its last user.
 *
 * Thread: the loop's, except engine_put(), which also the main thread calls
 * when no request is in flight.
 */
#ifndef BLOCK_ENGINES_ENGINE_H
#define BLOCK_ENGINES_ENGINE_H

#include <linux/aio_abi.h>
#include "qapi-types.h"
#include "util/event-loop.h"

typedef struct Engine Engine;
typedef struct EngineRequest EngineRequest;

/* Lives until @done; memory of @iov too. */
struct EngineRequest {
    int fd;
    bool is_write;
    const struct iovec *iov;
    unsigned iov_count;
    int64_t offset;
    size_t bytes;
    /* 0 once all bytes are moved (reads past the end of file give zeroes), or -errno. */
    void (*done)(EngineRequest *req, int ret);

    /* Private to the engines. */
    Engine *engine;
    size_t moved;
    struct iovec *rest;         /* after a short transfer: what is left of iov */
    unsigned rest_count;
    EngineRequest *next;
    struct iocb iocb;
};

typedef struct EngineOps {
    BlockdevAioOptions kind;
    size_t size;                /* of the engine's struct, which begins with Engine */
    bool (*init)(Engine *e, Error **errp);
    void (*cleanup)(Engine *e);
    /* Start the transfer of what is left of @req, or queue it while plugged. */
    void (*submit)(Engine *e, EngineRequest *req);
    /* Hand what is queued to the kernel. May be NULL. */
    void (*kick)(Engine *e);
} EngineOps;

struct Engine {
    const EngineOps *ops;
    EventLoop *loop;
    unsigned refs;              /* under the list's lock */
    unsigned plugged;
    unsigned max_batch;         /* 0: the engine's choice */
    Engine *next;
};

extern const EngineOps engine_threads_ops;
extern const EngineOps engine_linux_aio_ops;
extern const EngineOps engine_io_uring_ops;

/* The engine of @kind for the calling thread's loop. */
Engine *engine_get(BlockdevAioOptions kind, Error **errp);
void engine_put(Engine *e);
void engine_submit(Engine *e, EngineRequest *req);
void engine_plug(Engine *e);
void engine_unplug(Engine *e);

/* For engines: what the kernel said, bytes moved or -errno; goes on after a short transfer. */
void engine_transferred(EngineRequest *req, int64_t ret);
/* What the next transfer covers; at most IOV_MAX pieces. */
const struct iovec *engine_request_iov(const EngineRequest *req, unsigned *count);
static inline int64_t engine_request_offset(const EngineRequest *req)
{
    return req->offset + (int64_t)req->moved;
}

#endif
