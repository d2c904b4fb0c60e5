/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vCPUs: the list of them, their threads, pausing, and work queued to them.
 *
 * A request is stored first and then announced by cpu_kick(); the thread
 * clears "kicked" first and then looks at the requests. So one kick may serve
 * several requests and none is lost. Requests other than work are made with
 * the machine lock.
 */
#include "util/osdep.h"
#include "accel/accel.h"
#include "system/cpus.h"
#include "system/machine-lock.h"
#include "util/thread.h"

typedef struct CpuWorkItem {
    CpuWork *fn;
    void *opaque;
    bool *done;                 /* machine lock; NULL: nobody waits, free the item */
    struct CpuWorkItem *next;
} CpuWorkItem;

__thread CpuState *current_cpu;

static CpuState *first_cpu;     /* by index */
static pthread_cond_t paused_cond = PTHREAD_COND_INITIALIZER;
static pthread_cond_t work_done_cond = PTHREAD_COND_INITIALIZER;

/* ---- the object ---- */

static void cpu_init(Object *obj)
{
    CpuState *cpu = (CpuState *)obj;

    cpu->index = -1;
    cpu->stop_requested = true;
    cpu->stopped = true;
    cpu->work_tail = &cpu->work;
    pthread_mutex_init(&cpu->work_lock, NULL);
    pthread_cond_init(&cpu->halt_cond, NULL);
}

static void cpu_finalize(Object *obj)
{
    CpuState *cpu = (CpuState *)obj;

    pthread_mutex_destroy(&cpu->work_lock);
    pthread_cond_destroy(&cpu->halt_cond);
}

OBJECT_TYPE(cpu_type) = {
    .name = "cpu", .parent = &device_type, .abstract = true,
    .instance_size = sizeof(CpuState),
    .description = "CPU",
    .instance_init = cpu_init, .instance_finalize = cpu_finalize,
};

char *cpu_state_place(DeviceState *dev)
{
    return g_strdup_printf("cpu-%d", CPU(dev)->index);
}

CpuState *cpu_first(void)
{
    return first_cpu;
}

CpuState *cpu_by_index(int index)
{
    CPU_FOREACH(cpu) {
        if (cpu->index == index) {
            return cpu;
        }
    }
    return NULL;
}

int cpu_count(void)
{
    int n = 0;

    CPU_FOREACH(cpu) {
        n++;
    }
    return n;
}

static bool list_cpu(CpuState *cpu, Error **errp)
{
    CpuState **p;

    if (cpu->index < 0) {
        cpu->index = 0;
        CPU_FOREACH(other) {
            if (other->index == cpu->index) {
                cpu->index++;
            }
        }
    } else if (cpu_by_index(cpu->index)) {
        error_setg(errp, "CPU %d exists already", cpu->index);
        return false;
    }
    for (p = &first_cpu; *p && (*p)->index < cpu->index; p = &(*p)->next) {
    }
    cpu->next = *p;
    *p = cpu;
    return true;
}

static void unlist_cpu(CpuState *cpu)
{
    CpuState **p = &first_cpu;

    while (*p != cpu) {
        p = &(*p)->next;
    }
    *p = cpu->next;
    cpu->next = NULL;
}

/* ---- queued work ---- */

void cpu_kick(CpuState *cpu)
{
    if (atomic_xchg(&cpu->kicked, true)) {
        return;
    }
    if (atomic_load(&cpu->in_guest)) {
        accel_ops()->cpu_kick(cpu);
    } else {
        pthread_mutex_lock(&cpu->work_lock);
        pthread_cond_signal(&cpu->halt_cond);
        pthread_mutex_unlock(&cpu->work_lock);
    }
}

/* Either we see the kick here, or the kicker sees that we are in the guest. */
bool cpu_guest_enter(CpuState *cpu)
{
    (void)atomic_xchg(&cpu->in_guest, true);
    if (atomic_load(&cpu->kicked)) {
        atomic_store(&cpu->in_guest, false);
        return false;
    }
    return true;
}

void cpu_guest_leave(CpuState *cpu)
{
    atomic_store(&cpu->in_guest, false);
}

static void queue_work(CpuState *cpu, const CpuWorkItem *template)
{
    CpuWorkItem *item = g_new(CpuWorkItem, 1);

    *item = *template;
    pthread_mutex_lock(&cpu->work_lock);
    *cpu->work_tail = item;
    cpu->work_tail = &item->next;
    pthread_mutex_unlock(&cpu->work_lock);
    cpu_kick(cpu);
}

static CpuWorkItem *take_work(CpuState *cpu)
{
    pthread_mutex_lock(&cpu->work_lock);
    CpuWorkItem *item = cpu->work;
    if (item) {
        cpu->work = item->next;
        if (!cpu->work) {
            cpu->work_tail = &cpu->work;
        }
    }
    pthread_mutex_unlock(&cpu->work_lock);
    return item;
}

static void do_work(CpuState *cpu)
{
    CpuWorkItem *item;

    while ((item = take_work(cpu))) {
        item->fn(cpu, item->opaque);
        if (item->done) {
            *item->done = true;
            pthread_cond_broadcast(&work_done_cond);
        }
        g_free(item);
    }
}

static bool runs_here(CpuState *cpu)
{
    return !cpu->thread_started || pthread_equal(pthread_self(), cpu->thread);
}

void cpu_run_on(CpuState *cpu, CpuWork *fn, void *opaque)
{
    bool done = false;

    assert(machine_lock_held());
    if (runs_here(cpu)) {
        fn(cpu, opaque);
        return;
    }
    queue_work(cpu, &(CpuWorkItem){ .fn = fn, .opaque = opaque, .done = &done });
    while (!done) {
        machine_lock_wait(&work_done_cond);
    }
}

void cpu_run_on_async(CpuState *cpu, CpuWork *fn, void *opaque)
{
    if (!cpu->thread_started) {
        fn(cpu, opaque);
    } else {
        queue_work(cpu, &(CpuWorkItem){ .fn = fn, .opaque = opaque });
    }
}

/* ---- pausing ---- */

bool cpu_thread_wait(CpuState *cpu)
{
    for (;;) {
        (void)atomic_xchg(&cpu->kicked, false);
        do_work(cpu);
        if (cpu->exit_requested) {
            return false;
        }
        if (!cpu->stop_requested) {
            cpu->stopped = false;
            return true;
        }
        if (!cpu->stopped) {
            cpu->stopped = true;
            pthread_cond_broadcast(&paused_cond);
        }
        machine_unlock();
        pthread_mutex_lock(&cpu->work_lock);
        while (!atomic_load(&cpu->kicked)) {
            pthread_cond_wait(&cpu->halt_cond, &cpu->work_lock);
        }
        pthread_mutex_unlock(&cpu->work_lock);
        machine_lock();
    }
}

void cpu_park(CpuState *cpu)
{
    assert(machine_lock_held() && runs_here(cpu));
    cpu->stop_requested = true;
}

void cpu_resume(CpuState *cpu)
{
    assert(machine_lock_held());
    cpu->stop_requested = false;
    if (cpu->thread_started) {
        cpu_kick(cpu);
    } else {
        cpu->stopped = false;
    }
}

void cpus_resume_all(void)
{
    CPU_FOREACH(cpu) {
        cpu_resume(cpu);
    }
}

static bool all_stopped(void)
{
    CPU_FOREACH(cpu) {
        if (!cpu->stopped) {
            return false;
        }
    }
    return true;
}

void cpus_pause_all(void)
{
    assert(machine_lock_held());
    CPU_FOREACH(cpu) {
        cpu->stop_requested = true;
        if (!cpu->thread_started || pthread_equal(pthread_self(), cpu->thread)) {
            cpu->stopped = true;
        } else if (!cpu->stopped) {
            cpu_kick(cpu);
        }
    }
    while (!all_stopped()) {
        machine_lock_wait(&paused_cond);
    }
}

/* ---- threads ---- */

static void *cpu_thread(void *opaque)
{
    CpuState *cpu = opaque;
    const AccelOps *ops = accel_ops();

    current_cpu = cpu;
    pthread_mutex_lock(&cpu->work_lock);
    cpu->thread_tid = thread_tid();
    pthread_cond_signal(&cpu->halt_cond);
    pthread_mutex_unlock(&cpu->work_lock);
    machine_lock();
    ops->cpu_thread(cpu);
    machine_unlock();
    return NULL;
}

int cpu_thread_id(CpuState *cpu)
{
    int tid;

    /* It may just have been started, and starting does not wait for it. */
    pthread_mutex_lock(&cpu->work_lock);
    while (cpu->thread_started && !cpu->thread_tid) {
        pthread_cond_wait(&cpu->halt_cond, &cpu->work_lock);
    }
    tid = cpu->thread_tid;
    pthread_mutex_unlock(&cpu->work_lock);
    return tid;
}

bool cpu_start_thread(CpuState *cpu, Error **errp)
{
    const AccelOps *ops = accel_ops();
    g_autofree char *name = NULL;

    assert(machine_lock_held());
    if (!list_cpu(cpu, errp)) {
        return false;
    }
    cpu->stop_requested = true;
    cpu->stopped = true;
    cpu->exit_requested = false;
    if (!ops || !ops->runs_code) {
        cpu->thread_tid = thread_tid();
        cpu->state_loaded = true;
        return true;
    }
    if (!ops->cpu_init(cpu, errp)) {
        goto undo_list;
    }
    name = g_strdup_printf("CPU %d/KVM", cpu->index);
    if (!thread_create(&cpu->thread, name, cpu_thread, cpu, errp)) {
        goto undo_init;
    }
    cpu->thread_started = true;
    return true;

undo_init:
    ops->cpu_destroy(cpu);
undo_list:
    unlist_cpu(cpu);
    return false;
}

void cpu_end_thread(CpuState *cpu)
{
    assert(machine_lock_held() && cpu != current_cpu);
    if (cpu->thread_started) {
        cpu->exit_requested = true;
        cpu_kick(cpu);
        machine_unlock();
        pthread_join(cpu->thread, NULL);
        machine_lock();
        cpu->thread_started = false;
        cpu->stopped = true;
        accel_ops()->cpu_destroy(cpu);
    }
    cpu->thread_tid = 0;
    unlist_cpu(cpu);
}

/* ---- registers ---- */

static void load_state(CpuState *cpu, void *opaque)
{
    const AccelOps *ops = accel_ops();

    if (!cpu->state_loaded && ops && ops->cpu_get_state) {
        ops->cpu_get_state(cpu);
    }
    cpu->state_loaded = true;
}

void cpu_state_load(CpuState *cpu)
{
    cpu_run_on(cpu, load_state, NULL);
}

void cpu_state_changed(CpuState *cpu, CpuStateLevel level)
{
    assert(cpu->state_loaded);
    cpu->dirty_level = MAX(cpu->dirty_level, level);
}

typedef struct FlushWork {
    bool ok;
    Error *err;
} FlushWork;

static void flush_state(CpuState *cpu, void *opaque)
{
    const AccelOps *ops = accel_ops();
    FlushWork *w = opaque;

    w->ok = !cpu->dirty_level || !ops || !ops->cpu_put_state ||
            ops->cpu_put_state(cpu, cpu->dirty_level, &w->err);
    if (w->ok) {
        cpu->dirty_level = CPU_STATE_CLEAN;
    }
}

bool cpu_state_flush(CpuState *cpu, Error **errp)
{
    FlushWork w = { 0 };

    cpu_run_on(cpu, flush_state, &w);
    error_propagate(errp, w.err);
    return w.ok;
}

void cpus_reset_all(void)
{
    CPU_FOREACH(cpu) {
        const CpuOps *ops = object_ops(cpu, &cpu_type);

        ops->reset(cpu);
        cpu->state_loaded = true;
        cpu_state_changed(cpu, CPU_STATE_RESET);
    }
}

/* ---- -cpu ---- */

/* One word of -cpu: "+feat", "-feat", "feat", "prop=value". @flags wins over @plain in the end. */
static bool add_cpu_word(const char *word, JsonValue *plain, JsonValue *flags, Error **errp)
{
    const char *eq = strchr(word, '=');
    g_autofree char *name = NULL;

    if (*word == '+' || *word == '-') {
        json_object_set_take(flags, word + 1, json_keyval_string(*word == '+' ? "on" : "off"));
        return true;
    }
    if (eq == word) {
        error_setg(errp, "-cpu: a property is missing before '%s'", word);
        return false;
    }
    name = eq ? g_strndup(word, eq - word) : g_strdup(word);
    json_object_set_take(plain, name, json_keyval_string(eq ? eq + 1 : "on"));
    return true;
}

bool cpu_parse_model(const char *text, const char *suffix, char **type, JsonValue **options, Error **errp)
{
    g_auto(GStrv) words = g_strsplit(text, ",", -1);
    g_autoptr(JsonValue) plain = json_object();
    g_autoptr(JsonValue) flags = json_object();

    *type = NULL;
    *options = NULL;
    if (!words[0] || !*words[0]) {
        error_setg(errp, "-cpu needs the name of a CPU model");
        return false;
    }
    /* Names have dots and begin with digits ("sse4.1", "3dnow"): no general key=value text. */
    for (char **w = words + 1; *w; w++) {
        if (**w && !add_cpu_word(*w, plain, flags, errp)) {
            return false;
        }
    }
    for (size_t i = 0; i < json_object_len(flags); i++) {
        const char *key;
        JsonValue *v;

        json_object_at(flags, i, &key, &v);
        json_object_set_take(plain, key, json_ref(v));
    }
    *type = g_strdup_printf("%s-%s", words[0], suffix);
    if (words[1]) {
        *options = g_steal_pointer(&plain);
    }
    return true;
}
