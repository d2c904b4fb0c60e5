/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "thread-context" objects (sched_setaffinity(2)).
 *
 * Threads: made, changed and removed on the main thread; the object's own
 * thread sleeps until it is given something to run.
 */
#include "util/osdep.h"
#include <pthread.h>
#include <sched.h>
#include "backends/thread-context.h"
#include "util/cutils.h"
#include "util/thread.h"

#define CPUS_MAX 4096

struct ThreadContext {
    Object obj;
    pthread_t thread;
    bool started;
    int tid;
    pthread_mutex_t lock;       /* for what follows, and @tid at the start */
    pthread_cond_t cond;
    void (*fn)(void *opaque);   /* NULL: nothing to do */
    void *opaque;
    bool ready, stop;
};

static ThreadContext *THREAD_CONTEXT(void *obj)
{
    return object_cast(obj, &thread_context_type);
}

/* ---- the thread ---- */

static void *context_run(void *opaque)
{
    ThreadContext *tc = opaque;

    pthread_mutex_lock(&tc->lock);
    tc->tid = thread_tid();
    tc->ready = true;
    pthread_cond_broadcast(&tc->cond);
    while (!tc->stop) {
        if (tc->fn) {
            tc->fn(tc->opaque);
            tc->fn = NULL;
            pthread_cond_broadcast(&tc->cond);
        } else {
            pthread_cond_wait(&tc->cond, &tc->lock);
        }
    }
    pthread_mutex_unlock(&tc->lock);
    return NULL;
}

void thread_context_run(ThreadContext *tc, void (*fn)(void *opaque), void *opaque)
{
    pthread_mutex_lock(&tc->lock);
    tc->opaque = opaque;
    tc->fn = fn;
    pthread_cond_broadcast(&tc->cond);
    while (tc->fn) {
        pthread_cond_wait(&tc->cond, &tc->lock);
    }
    pthread_mutex_unlock(&tc->lock);
}

/* Properties are set on it, so it exists from the start. */
static bool start_thread(ThreadContext *tc, Error **errp)
{
    if (tc->started) {
        return true;
    }
    if (!thread_create(&tc->thread, "TC", context_run, tc, errp)) {
        return false;
    }
    tc->started = true;
    pthread_mutex_lock(&tc->lock);
    while (!tc->ready) {
        pthread_cond_wait(&tc->cond, &tc->lock);
    }
    pthread_mutex_unlock(&tc->lock);
    return true;
}

static bool context_complete(Object *obj, Error **errp)
{
    return start_thread(THREAD_CONTEXT(obj), errp);
}

/* ---- affinity ---- */

static bool apply(ThreadContext *tc, const cpu_set_t *cpus, size_t size, Error **errp)
{
    if (!start_thread(tc, errp)) {
        return false;
    }
    if (sched_setaffinity(tc->tid, size, cpus) < 0) {
        error_setg_errno(errp, errno, "Setting CPU affinity failed");
        return false;
    }
    return true;
}

/* A list of numbers below CPUS_MAX as a set. */
static bool to_set(const char *name, const JsonValue *value, cpu_set_t *set, size_t size, Error **errp)
{
    CPU_ZERO_S(size, set);
    if (json_kind(value) != JSON_ARRAY) {
        error_setg(errp, "Invalid parameter type for '%s', expected: array", name);
        return false;
    }
    for (size_t i = 0; i < json_array_len(value); i++) {
        uint64_t n;

        if (!json_get_uint(json_array_at(value, i), &n) || n >= CPUS_MAX) {
            error_setg(errp, "Parameter '%s' expects numbers below %d", name, CPUS_MAX);
            return false;
        }
        CPU_SET_S(n, size, set);
    }
    if (CPU_COUNT_S(size, set) == 0) {
        error_setg(errp, "%s list is empty", strcmp(name, "cpu-affinity") == 0 ? "CPU" : "Node");
        return false;
    }
    return true;
}

static bool set_cpus(Object *obj, const ObjectProperty *p, const JsonValue *value, Error **errp)
{
    size_t size = CPU_ALLOC_SIZE(CPUS_MAX);
    cpu_set_t *set = CPU_ALLOC(CPUS_MAX);
    bool ok = to_set(p->name, value, set, size, errp) && apply(THREAD_CONTEXT(obj), set, size, errp);

    CPU_FREE(set);
    return ok;
}

static bool get_cpus(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    ThreadContext *tc = THREAD_CONTEXT(obj);
    size_t size = CPU_ALLOC_SIZE(CPUS_MAX);
    cpu_set_t *set = CPU_ALLOC(CPUS_MAX);

    CPU_ZERO_S(size, set);
    if (!start_thread(tc, errp) || sched_getaffinity(tc->tid, size, set) < 0) {
        if (tc->started) {
            error_setg_errno(errp, errno, "Getting CPU affinity failed");
        }
        CPU_FREE(set);
        return false;
    }
    *value = json_array();
    for (unsigned i = 0; i < CPUS_MAX; i++) {
        if (CPU_ISSET_S(i, size, set)) {
            json_array_add_take(*value, json_uint(i));
        }
    }
    CPU_FREE(set);
    return true;
}

/* The CPUs of NUMA node @node of the host: "0-3,8". A node without CPUs adds none. */
static bool add_node(unsigned node, cpu_set_t *set, size_t size, Error **errp)
{
    g_autofree char *path = g_strdup_printf("/sys/devices/system/node/node%u/cpulist", node);
    g_autofree char *text = NULL;
    g_auto(GStrv) ranges = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL)) {
        error_setg(errp, "Node %u is not available on this host", node);
        return false;
    }
    ranges = g_strsplit(g_strstrip(text), ",", -1);
    for (char **r = ranges; *r && **r; r++) {
        unsigned from, to;
        int n = sscanf(*r, "%u-%u", &from, &to);

        to = n == 1 ? from : to;
        for (unsigned cpu = from; n >= 1 && cpu <= to && cpu < CPUS_MAX; cpu++) {
            CPU_SET_S(cpu, size, set);
        }
    }
    return true;
}

static bool set_nodes(Object *obj, const ObjectProperty *p, const JsonValue *value, Error **errp)
{
    size_t size = CPU_ALLOC_SIZE(CPUS_MAX);
    cpu_set_t *nodes = CPU_ALLOC(CPUS_MAX), *cpus = CPU_ALLOC(CPUS_MAX);
    bool ok = to_set(p->name, value, nodes, size, errp);

    CPU_ZERO_S(size, cpus);
    for (unsigned i = 0; ok && i < CPUS_MAX; i++) {
        ok = !CPU_ISSET_S(i, size, nodes) || add_node(i, cpus, size, errp);
    }
    if (ok && CPU_COUNT_S(size, cpus) == 0) {
        error_setg(errp, "The nodes select no CPUs");
        ok = false;
    }
    ok = ok && apply(THREAD_CONTEXT(obj), cpus, size, errp);
    CPU_FREE(nodes);
    CPU_FREE(cpus);
    return ok;
}

static bool get_tid(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    *value = json_uint((uint64_t)THREAD_CONTEXT(obj)->tid);
    return true;
}

static const ObjectProperty context_properties[] = {
    PROP_CUSTOM("cpu-affinity", "int", get_cpus, set_cpus, PROP_RUNTIME | PROP_NO_DEFAULT, "CPUs that threads run on"),
    PROP_CUSTOM("node-affinity", "int", NULL, set_nodes, PROP_RUNTIME | PROP_NO_DEFAULT,
                "NUMA nodes of the host whose CPUs these are"),
    PROP_CUSTOM("thread-id", "int", get_tid, NULL, PROP_READ_ONLY | PROP_NO_DEFAULT, "id of the thread"),
    PROP_END
};

/* ---- life ---- */

static void context_init(Object *obj)
{
    ThreadContext *tc = (ThreadContext *)obj;

    pthread_mutex_init(&tc->lock, NULL);
    pthread_cond_init(&tc->cond, NULL);
}

static void context_finalize(Object *obj)
{
    ThreadContext *tc = THREAD_CONTEXT(obj);

    if (tc->started) {
        pthread_mutex_lock(&tc->lock);
        tc->stop = true;
        pthread_cond_broadcast(&tc->cond);
        pthread_mutex_unlock(&tc->lock);
        pthread_join(tc->thread, NULL);
    }
    pthread_cond_destroy(&tc->cond);
    pthread_mutex_destroy(&tc->lock);
}

static const UserCreatableOps context_creatable_ops = { .complete = context_complete };

OBJECT_TYPE(thread_context_type) = {
    .name = "thread-context",
    .parent = &object_type,
    .instance_size = sizeof(ThreadContext),
    .description = "CPU affinity for threads",
    .properties = context_properties,
    .instance_init = context_init,
    .instance_finalize = context_finalize,
    .impls = TYPE_IMPLS({ &user_creatable_type, &context_creatable_ops }),
};
