/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entropy back ends: the queue of requests, and "rng-builtin" and
 * "rng-random". A request is answered later on the main loop, never from
 * within rng_backend_request().
 *
 * Thread: main thread with the machine lock. What the file delivers is not
 * trusted beyond its length.
 */
#include "util/osdep.h"
#include <sys/random.h>
#include <sys/stat.h>
#include "backends/rng-internal.h"
#include "trace-backends.h"
#include "util/cutils.h"
#include "util/event-loop.h"

static const ObjectProperty rng_backend_properties[] = {
    PROP_BOOL("opened", RngBackend, opened, false, "accepted for old scripts; no effect"),
    PROP_END
};

static void rng_backend_finalize(Object *obj)
{
    RngBackend *s = (RngBackend *)obj;

    while (s->requests) {
        RngRequest *r = s->requests;

        s->requests = r->next;
        g_free(r);
    }
}

bool rng_backend_can_be_deleted(Object *obj)
{
    return obj->refs == 1;
}

OBJECT_TYPE(rng_backend_type) = {
    .name = "rng-backend",
    .parent = &object_type,
    .instance_size = sizeof(RngBackend),
    .abstract = true,
    .properties = rng_backend_properties,
    .instance_finalize = rng_backend_finalize,
};

static void update(RngBackend *s)
{
    const RngBackendOps *ops = object_ops(s, &rng_backend_type);

    ops->update(s);
}

void rng_backend_request(RngBackend *s, size_t len, RngReceive *receive, void *opaque)
{
    RngRequest *r = g_new0(RngRequest, 1);
    RngRequest **end = &s->requests;

    *r = (RngRequest){ MIN(len, RNG_CHUNK), receive, opaque, NULL };
    while (*end) {
        end = &(*end)->next;
    }
    *end = r;
    update(s);
}

void rng_backend_cancel(RngBackend *s, void *opaque)
{
    for (RngRequest **link = &s->requests; *link;) {
        RngRequest *r = *link;

        if (r->opaque == opaque) {
            *link = r->next;
            g_free(r);
        } else {
            link = &r->next;
        }
    }
    update(s);
}

void rng_backend_deliver(RngBackend *s, const void *data, size_t len)
{
    RngRequest *r = s->requests;

    s->requests = r->next;
    trace_rng_deliver(s, len);
    r->receive(r->opaque, data, len);
    g_free(r);
}

/* ---- rng-builtin ---- */

typedef struct RngBuiltin {
    RngBackend parent;
    BottomHalf *bh;
} RngBuiltin;

static void builtin_answer(void *opaque)
{
    RngBuiltin *b = opaque;
    uint8_t buf[RNG_CHUNK];
    size_t todo = 0;

    /* Those that come while we answer wait for the next round. */
    for (RngRequest *r = b->parent.requests; r; r = r->next) {
        todo++;
    }
    object_ref(b);
    while (todo-- && b->parent.requests) {
        ssize_t n = getrandom(buf, b->parent.requests->len, GRND_NONBLOCK);

        if (n <= 0) {
            /* Only possible early in the host's boot. */
            bh_schedule(b->bh);
            break;
        }
        rng_backend_deliver(&b->parent, buf, n);
    }
    object_unref(b);
}

static void builtin_update(RngBackend *s)
{
    RngBuiltin *b = (RngBuiltin *)s;

    if (!s->requests) {
        return;
    }
    if (!b->bh) {
        b->bh = bh_new(event_loop_main(), builtin_answer, b);
    }
    bh_schedule(b->bh);
}

static void builtin_finalize(Object *obj)
{
    RngBuiltin *b = (RngBuiltin *)obj;

    if (b->bh) {
        bh_delete(b->bh);
    }
}

static const RngBackendOps builtin_ops = { .update = builtin_update };
static const UserCreatableOps builtin_creatable_ops = {
    .can_be_deleted = rng_backend_can_be_deleted,
};

OBJECT_TYPE_STATIC(rng_builtin_type) = {
    .name = "rng-builtin",
    .parent = &rng_backend_type,
    .instance_size = sizeof(RngBuiltin),
    .description = "entropy from the host kernel",
    .instance_finalize = builtin_finalize,
    .impls = TYPE_IMPLS({ &rng_backend_type, &builtin_ops },
                        { &user_creatable_type, &builtin_creatable_ops }),
};

/* ---- rng-random ---- */

typedef struct RngRandom {
    RngBackend parent;
    char *filename;
    int fd;                     /* -1 before completion */
    BottomHalf *bh;             /* for regular files, which cannot be waited for */
    bool watching;
} RngRandom;

static const ObjectProperty random_properties[] = {
    { .name = "filename", .kind = &prop_kind_string, .offset = offsetof(RngRandom, filename),
      .type_name = "string", .def.s = "/dev/urandom", .description = "file to read" },
    PROP_END
};

static void random_readable(void *opaque)
{
    RngRandom *r = opaque;
    uint8_t buf[RNG_CHUNK];
    ssize_t n;

    if (!r->parent.requests) {
        return;
    }
    n = read(r->fd, buf, r->parent.requests->len);
    if (n == 0) {
        /* End of a regular file: from the start again. */
        if (lseek(r->fd, 0, SEEK_SET) == 0) {
            n = read(r->fd, buf, r->parent.requests->len);
        }
    }
    object_ref(r);
    if (n > 0) {
        rng_backend_deliver(&r->parent, buf, n);
    }
    if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR))) {
        update(&r->parent);
    } else {
        /* Nothing to expect from this file; requests wait for ever, as with a dry device. */
        trace_rng_random_failed(r, n < 0 ? errno : 0);
        if (r->watching) {
            event_loop_set_fd(event_loop_main(), r->fd, NULL, NULL, NULL);
            r->watching = false;
        }
    }
    object_unref(r);
}

static void random_update(RngBackend *s)
{
    RngRandom *r = (RngRandom *)s;
    bool want = s->requests != NULL;

    if (r->bh) {
        if (want) {
            bh_schedule(r->bh);
        }
        return;
    }
    if (want != r->watching) {
        event_loop_set_fd(event_loop_main(), r->fd, want ? random_readable : NULL, NULL, r);
        r->watching = want;
    }
}

static bool random_complete(Object *obj, Error **errp)
{
    RngRandom *r = (RngRandom *)obj;
    struct stat st;

    if (!r->filename || !r->filename[0]) {
        error_setg(errp, "Parameter 'filename' expects a valid filename");
        return false;
    }
    r->fd = open_cloexec(r->filename, O_RDONLY | O_NONBLOCK);
    if (r->fd < 0) {
        error_setg_errno(errp, errno, "Could not open '%s'", r->filename);
        return false;
    }
    if (fstat(r->fd, &st) == 0 && S_ISREG(st.st_mode)) {
        r->bh = bh_new(event_loop_main(), random_readable, r);
    }
    return true;
}

static void random_init(Object *obj)
{
    ((RngRandom *)obj)->fd = -1;
}

static void random_finalize(Object *obj)
{
    RngRandom *r = (RngRandom *)obj;

    if (r->watching) {
        event_loop_set_fd(event_loop_main(), r->fd, NULL, NULL, NULL);
    }
    if (r->bh) {
        bh_delete(r->bh);
    }
    if (r->fd >= 0) {
        close(r->fd);
    }
}

static const RngBackendOps random_ops = { .update = random_update };
static const UserCreatableOps random_creatable_ops = {
    .complete = random_complete,
    .can_be_deleted = rng_backend_can_be_deleted,
};

OBJECT_TYPE_STATIC(rng_random_type) = {
    .name = "rng-random",
    .parent = &rng_backend_type,
    .instance_size = sizeof(RngRandom),
    .description = "entropy from a file or device",
    .properties = random_properties,
    .instance_init = random_init,
    .instance_finalize = random_finalize,
    .impls = TYPE_IMPLS({ &rng_backend_type, &random_ops },
                        { &user_creatable_type, &random_creatable_ops }),
};
