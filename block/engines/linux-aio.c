/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Linux native AIO (io_submit(2) and friends, called directly: five system
 * calls are no reason to load a library). Asynchronous only with O_DIRECT.
 * Completions come through an eventfd on the loop. On the loop's thread.
 */
#include "util/osdep.h"
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include "engine.h"

#define AIO_EVENTS 128
#define AIO_DEFAULT_BATCH 32

typedef struct LinuxAio {
    Engine engine;
    aio_context_t ctx;
    EventNotifier notifier;
    EngineRequest *queue, **queue_last;
    unsigned queued, in_flight;
    bool submitting;
} LinuxAio;

static void complete(LinuxAio *a)
{
    struct io_event events[AIO_EVENTS];
    struct timespec no_wait = { 0, 0 };
    long i, n;

    do {
        n = syscall(SYS_io_getevents, a->ctx, 0L, (long)AIO_EVENTS, events, &no_wait);
        for (i = 0; i < n; i++) {
            EngineRequest *req = (EngineRequest *)(uintptr_t)events[i].data;

            a->in_flight--;
            engine_transferred(req, events[i].res == -EAGAIN ? -EIO : events[i].res);
        }
    } while (n == AIO_EVENTS);
}

static void prepare(LinuxAio *a, EngineRequest *req)
{
    unsigned count;
    const struct iovec *iov = engine_request_iov(req, &count);

    req->iocb = (struct iocb) {
        .aio_data = (uintptr_t)req,
        .aio_lio_opcode = req->is_write ? IOCB_CMD_PWRITEV : IOCB_CMD_PREADV,
        .aio_fildes = req->fd,
        .aio_buf = (uintptr_t)iov,
        .aio_nbytes = count,
        .aio_offset = engine_request_offset(req),
        .aio_flags = IOCB_FLAG_RESFD,
        .aio_resfd = a->notifier.fd,
    };
}

static EngineRequest *dequeue(LinuxAio *a)
{
    EngineRequest *req = a->queue;

    a->queue = req->next;
    if (!a->queue) {
        a->queue_last = &a->queue;
    }
    a->queued--;
    return req;
}

static void aio_kick(Engine *e)
{
    LinuxAio *a = container_of(e, LinuxAio, engine);
    struct iocb *iocbs[AIO_EVENTS];

    /* A failed request completes below, and its owner may submit the next one. */
    if (a->submitting) {
        return;
    }
    a->submitting = true;
    while (a->queue && a->in_flight < AIO_EVENTS) {
        EngineRequest *req = a->queue;
        long n = 0, i, done;

        while (req && n < AIO_EVENTS - a->in_flight) {
            prepare(a, req);
            iocbs[n++] = &req->iocb;
            req = req->next;
        }
        done = syscall(SYS_io_submit, a->ctx, n, iocbs);
        if (done < 0 && errno == EAGAIN && a->in_flight > 0) {
            break;          /* out of kernel resources; the next completion tries again */
        }
        if (done <= 0) {
            int err = done < 0 ? errno : EIO;

            engine_transferred(dequeue(a), err == EAGAIN ? -EIO : -err);
            continue;
        }
        for (i = 0; i < done; i++) {
            dequeue(a);
        }
        a->in_flight += done;
    }
    a->submitting = false;
}

static void aio_submit(Engine *e, EngineRequest *req)
{
    LinuxAio *a = container_of(e, LinuxAio, engine);
    unsigned batch = e->max_batch ? MIN(e->max_batch, AIO_EVENTS) : AIO_DEFAULT_BATCH;

    req->next = NULL;
    *a->queue_last = req;
    a->queue_last = &req->next;
    a->queued++;
    if (!e->plugged || a->queued >= batch) {
        aio_kick(e);
    }
}

static void aio_event(void *opaque)
{
    LinuxAio *a = opaque;

    event_notifier_test_and_clear(&a->notifier);
    complete(a);
    if (a->queue && !a->engine.plugged) {
        aio_kick(&a->engine);
    }
}

static bool aio_init(Engine *e, Error **errp)
{
    LinuxAio *a = container_of(e, LinuxAio, engine);

    a->queue_last = &a->queue;
    if (!event_notifier_init(&a->notifier, false, errp)) {
        return false;
    }
    if (syscall(SYS_io_setup, (unsigned)AIO_EVENTS, &a->ctx) < 0) {
        error_setg_errno(errp, errno, "failed to create linux AIO context");
        event_notifier_cleanup(&a->notifier);
        return false;
    }
    event_loop_set_notifier(e->loop, &a->notifier, aio_event, a);
    return true;
}

static void aio_cleanup(Engine *e)
{
    LinuxAio *a = container_of(e, LinuxAio, engine);

    event_loop_set_notifier(e->loop, &a->notifier, NULL, NULL);
    syscall(SYS_io_destroy, a->ctx);
    event_notifier_cleanup(&a->notifier);
}

const EngineOps engine_linux_aio_ops = {
    .kind = BLOCKDEV_AIO_OPTIONS_NATIVE,
    .size = sizeof(LinuxAio),
    .init = aio_init,
    .cleanup = aio_cleanup,
    .submit = aio_submit,
    .kick = aio_kick,
};
