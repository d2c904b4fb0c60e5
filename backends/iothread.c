/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "iothread" objects: an event loop on a thread of its own.
 *
 * Threads: made, changed and removed on the main thread with the machine lock;
 * the loop runs on its thread and takes no lock.
 */
#include "util/osdep.h"
#include "backends/iothread.h"
#include "qapi-commands.h"
#include "trace-backends.h"
#include "util/thread.h"

struct IoThread {
    Object obj;
    EventLoop *loop;            /* NULL before completion */
    pthread_t thread;
    int tid;                    /* written once by the thread, before @started */
    bool started;
    bool stop;
    pthread_mutex_t lock;       /* for @started */
    pthread_cond_t cond;
    int64_t poll_max_ns, poll_grow, poll_shrink;
    int64_t aio_max_batch;
    int64_t thread_pool_min, thread_pool_max;
};

static IoThread *IOTHREAD(void *obj)
{
    return object_cast(obj, &iothread_type);
}

/* ---- properties ---- */

static void apply_settings(IoThread *t)
{
    if (t->loop) {
        event_loop_set_poll(t->loop, t->poll_max_ns, t->poll_grow, t->poll_shrink);
        thread_pool_set_limits(t->loop, t->thread_pool_min, t->thread_pool_max);
    }
}

static bool set_number(Object *obj, const ObjectProperty *p, const JsonValue *value, Error **errp)
{
    IoThread *t = IOTHREAD(obj);
    int64_t *field = property_field(obj, p);
    int64_t old = *field;

    if (!p->kind->set(obj, p, value, errp)) {
        return false;
    }
    if (*field < 0) {
        *field = old;
        error_setg(errp, "%s value must be in range [0, %" PRId64 "]", p->name, INT64_MAX);
        return false;
    }
    if (t->thread_pool_max < 1 || t->thread_pool_min > t->thread_pool_max) {
        *field = old;
        error_setg(errp, "bad thread-pool-min/thread-pool-max values: at least one thread, and "
                   "not more minimum than maximum");
        return false;
    }
    apply_settings(t);
    return true;
}

#define NUMBER(n, f, d, desc)                                                       \
    { .name = (n), .kind = &prop_kind_int64, .offset = offsetof(IoThread, f),       \
      .flags = PROP_RUNTIME, .type_name = "int", .set = set_number, .def.i = (d),   \
      .description = (desc) }

static const ObjectProperty iothread_properties[] = {
    NUMBER("poll-max-ns", poll_max_ns, 32768, "longest time to poll before sleeping"),
    NUMBER("poll-grow", poll_grow, 0, "growth factor of the polling time; 0: 2"),
    NUMBER("poll-shrink", poll_shrink, 0, "divisor of the polling time; 0: no polling at once"),
    NUMBER("aio-max-batch", aio_max_batch, 0, "most requests handed to the host at a time"),
    NUMBER("thread-pool-min", thread_pool_min, 0, "worker threads to keep"),
    NUMBER("thread-pool-max", thread_pool_max, 64, "most worker threads"),
    PROP_END
};

/* ---- the thread ---- */

static void *iothread_run(void *opaque)
{
    IoThread *t = opaque;

    event_loop_set_current(t->loop);
    event_loop_claim(t->loop, NULL);
    pthread_mutex_lock(&t->lock);
    t->tid = thread_tid();
    t->started = true;
    pthread_cond_signal(&t->cond);
    pthread_mutex_unlock(&t->lock);
    while (!atomic_load_acquire(&t->stop)) {
        event_loop_poll(t->loop, true);
    }
    return NULL;
}

static bool iothread_complete(Object *obj, Error **errp)
{
    IoThread *t = IOTHREAD(obj);
    g_autofree char *name = g_strdup_printf("IO %s", obj->name ? obj->name : "internal");

    t->loop = event_loop_new(errp);
    if (!t->loop) {
        return false;
    }
    apply_settings(t);
    if (!thread_create(&t->thread, name, iothread_run, t, errp)) {
        g_clear_pointer(&t->loop, event_loop_unref);
        return false;
    }
    /* Management asks for the thread id as soon as the object exists. */
    pthread_mutex_lock(&t->lock);
    while (!t->started) {
        pthread_cond_wait(&t->cond, &t->lock);
    }
    pthread_mutex_unlock(&t->lock);
    trace_iothread_started(obj->name ? obj->name : "", t->tid);
    return true;
}

/* Who uses the loop holds a reference to the object. */
static bool iothread_can_be_deleted(Object *obj)
{
    return obj->refs == 1;
}

static void iothread_init(Object *obj)
{
    IoThread *t = (IoThread *)obj;

    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->cond, NULL);
}

static void iothread_finalize(Object *obj)
{
    IoThread *t = IOTHREAD(obj);

    if (t->loop) {
        atomic_store_release(&t->stop, true);
        event_loop_wake(t->loop);
        pthread_join(t->thread, NULL);
        event_loop_unref(t->loop);
    }
    pthread_cond_destroy(&t->cond);
    pthread_mutex_destroy(&t->lock);
}

static const UserCreatableOps iothread_creatable_ops = {
    .complete = iothread_complete,
    .can_be_deleted = iothread_can_be_deleted,
};

OBJECT_TYPE(iothread_type) = {
    .name = "iothread",
    .parent = &object_type,
    .instance_size = sizeof(IoThread),
    .description = "an event loop on a thread of its own",
    .properties = iothread_properties,
    .instance_init = iothread_init,
    .instance_finalize = iothread_finalize,
    .impls = TYPE_IMPLS({ &user_creatable_type, &iothread_creatable_ops }),
};

EventLoop *iothread_loop(IoThread *t)
{
    return t->loop;
}

int iothread_tid(IoThread *t)
{
    return t->tid;
}

char *iothread_id(IoThread *t)
{
    return g_strdup(t->obj.name);
}

IoThread *iothread_internal(const char *id, Error **errp)
{
    Object *dir = object_container(object_root(), "/internal-iothreads");
    Object *obj = object_child(dir, id);

    if (obj) {
        return IOTHREAD(obj);
    }
    obj = object_new(&iothread_type);
    object_add_child(dir, id, obj, &error_abort);
    object_unref(obj);
    if (!iothread_complete(obj, errp)) {
        object_unparent(obj);
        return NULL;
    }
    obj->frozen = true;
    return IOTHREAD(obj);
}

/* ---- query-iothreads ---- */

static int list_iothread(Object *obj, void *opaque)
{
    IOThreadInfoList ***end = opaque;
    IoThread *t = object_cast_or_null(obj, &iothread_type);
    IOThreadInfo *info;

    if (!t) {
        return 0;
    }
    info = g_new0(IOThreadInfo, 1);
    info->id = iothread_id(t);
    info->thread_id = t->tid;
    info->poll_max_ns = t->poll_max_ns;
    info->poll_grow = t->poll_grow;
    info->poll_shrink = t->poll_shrink;
    info->aio_max_batch = t->aio_max_batch;
    **end = g_new0(IOThreadInfoList, 1);
    (**end)->value = info;
    *end = &(**end)->next;
    return 0;
}

IOThreadInfoList *qmp_query_iothreads(Error **errp)
{
    IOThreadInfoList *list = NULL, **end = &list;

    object_foreach_child(object_objects_root(), list_iothread, &end);
    return list;
}
