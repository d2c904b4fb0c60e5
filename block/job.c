/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The life of a job: states, pauses, cancellation, transactions. See
 * include/block/job.h.
 *
 * Threads: the coroutine runs on the job's loop, the rest on the main thread.
 * What both look at is guarded by one lock, which is never held across a yield
 * or a callback. When the work is done the main thread takes over from its top
 * level, never from within a nested wait, for ending a job changes the graph.
 */
#include "util/osdep.h"
#include "block/block-int.h"
#include "block/job.h"
#include "qapi-events.h"
#include "trace-block.h"
#include "util/cutils.h"

struct JobTxn {
    Job *jobs;
    unsigned refs;
    bool aborting;
};

static pthread_mutex_t job_lock = PTHREAD_MUTEX_INITIALIZER;
static Job *all_jobs;           /* main thread */
static Job *exit_list;          /* job_lock */

/* ---- the state tables ---- */

#define S(name) (1u << JOB_STATUS_##name)

static const uint16_t transitions[JOB_STATUS__MAX] = {
    [JOB_STATUS_UNDEFINED] = S(CREATED),
    [JOB_STATUS_CREATED] = S(RUNNING) | S(ABORTING) | S(NULL),
    [JOB_STATUS_RUNNING] = S(PAUSED) | S(READY) | S(WAITING) | S(ABORTING),
    [JOB_STATUS_PAUSED] = S(RUNNING),
    [JOB_STATUS_READY] = S(STANDBY) | S(WAITING) | S(ABORTING),
    [JOB_STATUS_STANDBY] = S(READY),
    [JOB_STATUS_WAITING] = S(PENDING) | S(ABORTING),
    [JOB_STATUS_PENDING] = S(ABORTING) | S(CONCLUDED),
    [JOB_STATUS_ABORTING] = S(CONCLUDED),
    [JOB_STATUS_CONCLUDED] = S(NULL),
};

#define AT_WORK (S(CREATED) | S(RUNNING) | S(PAUSED) | S(READY) | S(STANDBY))

static const uint16_t verb_states[JOB_VERB__MAX] = {
    [JOB_VERB_CANCEL] = AT_WORK | S(WAITING) | S(PENDING),
    [JOB_VERB_PAUSE] = AT_WORK,
    [JOB_VERB_RESUME] = AT_WORK,
    [JOB_VERB_SET_SPEED] = AT_WORK,
    [JOB_VERB_COMPLETE] = S(READY),
    [JOB_VERB_FINALIZE] = S(PENDING),
    [JOB_VERB_DISMISS] = S(CONCLUDED),
};

static void set_status(Job *job, JobStatus status)
{
    pthread_mutex_lock(&job_lock);
    assert(transitions[job->status] & (1u << status));
    trace_job_status(job, job->id ? job->id : "", JobStatus_str(job->status),
                     JobStatus_str(status));
    job->status = status;
    pthread_mutex_unlock(&job_lock);
    if (job->id) {
        qapi_event_send_JOB_STATUS_CHANGE(job->id, status);
    }
}

bool job_accepts(Job *job, JobVerb verb, Error **errp)
{
    if (verb_states[verb] & (1u << job->status)) {
        return true;
    }
    error_setg(errp, "Job '%s' in state '%s' cannot accept command verb '%s'",
               job->id ? job->id : "", JobStatus_str(job->status), JobVerb_str(verb));
    return false;
}

/* ---- transactions ---- */

JobTxn *job_txn_new(void)
{
    JobTxn *txn = g_new0(JobTxn, 1);

    txn->refs = 1;
    return txn;
}

void job_txn_unref(JobTxn *txn)
{
    if (txn && --txn->refs == 0) {
        g_free(txn);
    }
}

static void txn_add(JobTxn *txn, Job *job)
{
    Job **p;

    for (p = &txn->jobs; *p; p = &(*p)->next_in_txn) {
    }
    *p = job;
    job->txn = txn;
    txn->refs++;
}

static void txn_remove(Job *job)
{
    Job **p;

    if (!job->txn) {
        return;
    }
    for (p = &job->txn->jobs; *p != job; p = &(*p)->next_in_txn) {
    }
    *p = job->next_in_txn;
    job->next_in_txn = NULL;
    job_txn_unref(job->txn);
    job->txn = NULL;
}

/* The members of a transaction, each referenced: callbacks may end jobs. */
static GPtrArray *txn_members(JobTxn *txn)
{
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)job_unref);
    Job *job;

    for (job = txn->jobs; job; job = job->next_in_txn) {
        job_ref(job);
        g_ptr_array_add(list, job);
    }
    return list;
}

/* ---- creation and end ---- */

Job *job_find(const char *id)
{
    Job *job;

    for (job = all_jobs; job; job = job->next) {
        if (job->id && !strcmp(job->id, id)) {
            return job;
        }
    }
    return NULL;
}

Job *job_next(Job *job)
{
    return job ? job->next : all_jobs;
}

static bool check_id(const char *id, unsigned flags, Error **errp)
{
    if (flags & JOB_INTERNAL) {
        assert(!id);
        return true;
    }
    if (!id) {
        error_setg(errp, "An explicit job ID is required");
        return false;
    }
    if (!id_wellformed(id)) {
        error_setg(errp, "Invalid job ID '%s'", id);
        return false;
    }
    if (job_find(id)) {
        error_setg(errp, "Job ID '%s' already in use", id);
        return false;
    }
    return true;
}

static void sleep_over(void *opaque)
{
    job_kick(opaque);
}

void *job_new(const char *id, const JobDriver *driver, JobTxn *txn, EventLoop *loop,
              unsigned flags, Error **errp)
{
    Job *job, **p;

    if (!check_id(id, flags, errp)) {
        return NULL;
    }
    job = g_malloc0(driver->instance_size);
    job->driver = driver;
    job->id = g_strdup(id);
    job->flags = flags;
    job->loop = loop;
    event_loop_ref(loop);
    job->refs = 1;
    job->busy = false;
    /* Until it is started. */
    job->paused = true;
    job->pause_count = 1;
    job->progress_total = 0;
    timer_init(&job->sleep_timer, loop, CLOCK_TYPE_REALTIME, sleep_over, job);
    for (p = &all_jobs; *p; p = &(*p)->next) {
    }
    *p = job;
    if (txn) {
        txn_add(txn, job);
    } else {
        txn = job_txn_new();
        txn_add(txn, job);
        job_txn_unref(txn);
    }
    set_status(job, JOB_STATUS_CREATED);
    return job;
}

void job_ref(Job *job)
{
    job->refs++;
}

void job_unref(Job *job)
{
    if (!job || --job->refs > 0) {
        return;
    }
    assert(job->status == JOB_STATUS_NULL && !job->txn);
    if (job->driver->free) {
        job->driver->free(job);
    }
    timer_disarm(&job->sleep_timer);
    event_loop_unref(job->loop);
    error_free(job->err);
    g_free(job->id);
    g_free(job);
}

static void forget(Job *job)
{
    Job **p;

    set_status(job, JOB_STATUS_NULL);
    txn_remove(job);
    for (p = &all_jobs; *p != job; p = &(*p)->next) {
    }
    *p = job->next;
    job->next = NULL;
    job_unref(job);
}

void job_abandon(Job *job)
{
    assert(job->status == JOB_STATUS_CREATED);
    forget(job);
}

static bool is_concluded(Job *job)
{
    return job->status == JOB_STATUS_CONCLUDED || job->status == JOB_STATUS_NULL;
}

static void conclude(Job *job)
{
    if (job->driver->on_concluded) {
        job->driver->on_concluded(job);
    }
    txn_remove(job);
    set_status(job, JOB_STATUS_CONCLUDED);
    if (!(job->flags & JOB_MANUAL_DISMISS)) {
        forget(job);
    }
}

/* ---- the end of a transaction ---- */

static void note_result(Job *job)
{
    if (!job->ret && job_is_cancelled(job)) {
        job->ret = -ECANCELED;
    }
    if (job->ret) {
        if (!job->err) {
            error_setg(&job->err, "%s", strerror(-job->ret));
        }
        if (job->status != JOB_STATUS_ABORTING) {
            set_status(job, JOB_STATUS_ABORTING);
        }
    }
}

/* After commit or abort nothing of the job's work is left. */
static void end_one(Job *job)
{
    note_result(job);
    if (job->ret == 0) {
        if (job->driver->commit) {
            job->driver->commit(job);
        }
    } else if (job->driver->abort) {
        job->driver->abort(job);
    }
    if (job->driver->clean) {
        job->driver->clean(job);
    }
    conclude(job);
}

static void request_cancel(Job *job, bool force)
{
    bool gives_up = job->driver->cancel ? job->driver->cancel(job, force) : true;

    if (job->user_paused) {
        if (job->driver->user_resume) {
            job->driver->user_resume(job);
        }
        job->user_paused = false;
        job_resume(job);
    }
    pthread_mutex_lock(&job_lock);
    job->cancelled = true;
    job->force_cancel = job->force_cancel || gives_up;
    pthread_mutex_unlock(&job_lock);
}

static void complete_aborted(JobTxn *txn, Job *failed)
{
    g_autoptr(GPtrArray) members = NULL;
    guint i;

    if (txn->aborting) {
        /* Somebody further up is at it, and looks at this job when its turn comes. */
        return;
    }
    txn->aborting = true;
    txn->refs++;
    members = txn_members(txn);
    for (i = 0; i < members->len; i++) {
        Job *job = members->pdata[i];

        if (job != failed && !is_concluded(job)) {
            request_cancel(job, true);
        }
    }
    for (i = 0; i < members->len; i++) {
        Job *job = members->pdata[i];

        if (is_concluded(job)) {
            continue;
        }
        if (job != failed && !job->work_done) {
            job_kick(job);
            if (job->status == JOB_STATUS_CREATED) {
                job->ret = -ECANCELED;
                job->work_done = true;
            } else {
                job_finish_sync(job, NULL);
            }
        }
        if (!is_concluded(job)) {
            end_one(job);
        }
    }
    job_txn_unref(txn);
}

static void finalize_txn(Job *trigger)
{
    JobTxn *txn = trigger->txn;
    g_autoptr(GPtrArray) members = txn_members(txn);
    Job *failed = NULL;
    guint i;

    for (i = 0; i < members->len && !failed; i++) {
        Job *job = members->pdata[i];

        if (job->ret == 0 && job->driver->prepare) {
            job->ret = job->driver->prepare(job);
        }
        note_result(job);
        failed = job->ret ? job : NULL;
    }
    if (failed) {
        complete_aborted(txn, failed);
        return;
    }
    for (i = 0; i < members->len; i++) {
        end_one(members->pdata[i]);
    }
}

static void complete_success(Job *done)
{
    JobTxn *txn = done->txn;
    g_autoptr(GPtrArray) members = NULL;
    bool manual = false;
    guint i;

    set_status(done, JOB_STATUS_WAITING);
    members = txn_members(txn);
    for (i = 0; i < members->len; i++) {
        Job *job = members->pdata[i];

        if (!job->work_done) {
            return;
        }
        manual |= (job->flags & JOB_MANUAL_FINALIZE) != 0;
    }
    for (i = 0; i < members->len; i++) {
        Job *job = members->pdata[i];

        set_status(job, JOB_STATUS_PENDING);
        if ((job->flags & JOB_MANUAL_FINALIZE) && job->driver->on_pending) {
            job->driver->on_pending(job);
        }
    }
    if (!manual) {
        finalize_txn(done);
    }
}

/* run() has returned. */
static void job_exit(Job *job)
{
    JobTxn *txn = job->txn;

    job_ref(job);
    job->work_done = true;
    note_result(job);
    if (job->ret) {
        complete_aborted(txn, job);
    } else {
        complete_success(job);
    }
    job_unref(job);
}

static void process_exits(void)
{
    Job *job;

    for (;;) {
        pthread_mutex_lock(&job_lock);
        job = exit_list;
        if (job) {
            exit_list = job->next_exit;
            job->next_exit = NULL;
        }
        pthread_mutex_unlock(&job_lock);
        if (!job) {
            return;
        }
        job_exit(job);
    }
}

static gboolean process_exits_idle(gpointer opaque)
{
    process_exits();
    return G_SOURCE_REMOVE;
}

/* ---- the coroutine ---- */

static void coroutine_fn job_entry(void *opaque)
{
    Job *job = opaque;
    Job **p;

    job_pause_point(job);
    job->ret = job->driver->run(job, &job->err);
    pthread_mutex_lock(&job_lock);
    /* From here on nobody enters the coroutine again. */
    job->co = NULL;
    job->paused = true;
    for (p = &exit_list; *p; p = &(*p)->next_exit) {
    }
    *p = job;
    pthread_mutex_unlock(&job_lock);
    block_wait_kick();
    g_idle_add_full(G_PRIORITY_DEFAULT, process_exits_idle, NULL, NULL);
}

void job_start(Job *job)
{
    assert(job->status == JOB_STATUS_CREATED && !job->co);
    set_status(job, JOB_STATUS_RUNNING);
    pthread_mutex_lock(&job_lock);
    job->co = coroutine_create(job_entry, job);
    job->pause_count--;
    job->busy = true;
    job->paused = false;
    pthread_mutex_unlock(&job_lock);
    coroutine_schedule(job->loop, job->co);
}

void job_kick(Job *job)
{
    Coroutine *co = NULL;

    pthread_mutex_lock(&job_lock);
    if (job->co && !job->busy) {
        job->busy = true;
        timer_disarm(&job->sleep_timer);
        co = job->co;
    }
    pthread_mutex_unlock(&job_lock);
    if (co) {
        coroutine_schedule(job->loop, co);
    }
}

/* Yield until a kick; @deadline_ns >= 0: or until then. */
static void coroutine_fn wait_for_kick(Job *job, int64_t deadline_ns)
{
    pthread_mutex_lock(&job_lock);
    if (deadline_ns >= 0) {
        timer_arm_ns(&job->sleep_timer, deadline_ns);
    }
    job->busy = false;
    pthread_mutex_unlock(&job_lock);
    block_wait_kick();
    coroutine_yield();
}

static bool should_pause(Job *job)
{
    bool pause;

    pthread_mutex_lock(&job_lock);
    pause = job->pause_count > 0 && !job->force_cancel;
    pthread_mutex_unlock(&job_lock);
    return pause;
}

void coroutine_fn job_pause_point(Job *job)
{
    JobStatus status;

    if (!should_pause(job)) {
        return;
    }
    if (job->driver->pause) {
        job->driver->pause(job);
    }
    if (!should_pause(job)) {
        return;
    }
    status = job->status;
    set_status(job, status == JOB_STATUS_READY ? JOB_STATUS_STANDBY : JOB_STATUS_PAUSED);
    do {
        pthread_mutex_lock(&job_lock);
        job->paused = true;
        pthread_mutex_unlock(&job_lock);
        wait_for_kick(job, -1);
    } while (should_pause(job));
    pthread_mutex_lock(&job_lock);
    job->paused = false;
    pthread_mutex_unlock(&job_lock);
    set_status(job, status);
}

void coroutine_fn job_sleep_ns(Job *job, int64_t ns)
{
    if (job_is_cancelled(job)) {
        return;
    }
    if (!should_pause(job)) {
        wait_for_kick(job, clock_now_ns(CLOCK_TYPE_REALTIME) + ns);
    }
    job_pause_point(job);
}

void coroutine_fn job_yield(Job *job)
{
    if (job_is_cancelled(job)) {
        return;
    }
    if (!should_pause(job)) {
        wait_for_kick(job, -1);
    }
    job_pause_point(job);
}

void coroutine_fn job_ready(Job *job)
{
    set_status(job, JOB_STATUS_READY);
    if (job->driver->on_ready) {
        job->driver->on_ready(job);
    }
}

void coroutine_fn job_stop_for_error(Job *job)
{
    pthread_mutex_lock(&job_lock);
    if (!job->user_paused) {
        job->user_paused = true;
        job->pause_count++;
    }
    pthread_mutex_unlock(&job_lock);
}

/* ---- pauses ---- */

void job_pause(Job *job)
{
    pthread_mutex_lock(&job_lock);
    job->pause_count++;
    pthread_mutex_unlock(&job_lock);
    /* A sleeper comes to its pause point. */
    if (!job->paused) {
        job_kick(job);
    }
}

void job_resume(Job *job)
{
    bool run;

    pthread_mutex_lock(&job_lock);
    assert(job->pause_count > 0);
    run = --job->pause_count == 0;
    pthread_mutex_unlock(&job_lock);
    if (run) {
        job_kick(job);
    }
}

bool job_is_active(Job *job)
{
    bool active;

    pthread_mutex_lock(&job_lock);
    active = job->co && (job->busy || !job->paused);
    pthread_mutex_unlock(&job_lock);
    return active;
}

void job_set_loop(Job *job, EventLoop *loop)
{
    if (loop == job->loop) {
        return;
    }
    timer_disarm(&job->sleep_timer);
    event_loop_ref(loop);
    event_loop_unref(job->loop);
    job->loop = loop;
    timer_init(&job->sleep_timer, loop, CLOCK_TYPE_REALTIME, sleep_over, job);
}

/* ---- what management says ---- */

bool job_user_pause(Job *job, Error **errp)
{
    if (!job_accepts(job, JOB_VERB_PAUSE, errp)) {
        return false;
    }
    if (job->user_paused) {
        error_setg(errp, "Job is already paused");
        return false;
    }
    job->user_paused = true;
    job_pause(job);
    return true;
}

bool job_user_resume(Job *job, Error **errp)
{
    if (!job->user_paused) {
        error_setg(errp, "Can't resume a job that was not paused");
        return false;
    }
    if (!job_accepts(job, JOB_VERB_RESUME, errp)) {
        return false;
    }
    if (job->driver->user_resume) {
        job->driver->user_resume(job);
    }
    job->user_paused = false;
    job_resume(job);
    return true;
}

static void cancel(Job *job, bool force)
{
    if (job->status == JOB_STATUS_CONCLUDED) {
        forget(job);
        return;
    }
    request_cancel(job, force);
    if (job->status == JOB_STATUS_CREATED) {
        job->ret = -ECANCELED;
        job_exit(job);
    } else if (job->work_done) {
        /* Waiting or pending: only the end is missing. */
        if (job_is_cancelled(job)) {
            job->ret = -ECANCELED;
            note_result(job);
            complete_aborted(job->txn, job);
        } else {
            job_finalize(job, NULL);
        }
    } else {
        job_kick(job);
    }
}

bool job_user_cancel(Job *job, bool force, Error **errp)
{
    if (!job_accepts(job, JOB_VERB_CANCEL, errp)) {
        return false;
    }
    cancel(job, force);
    return true;
}

bool job_complete(Job *job, Error **errp)
{
    Error *err = NULL;

    if (!job_accepts(job, JOB_VERB_COMPLETE, errp)) {
        return false;
    }
    if (job_cancel_requested(job) || !job->driver->complete) {
        error_setg(errp, "The active block job '%s' cannot be completed", job->id);
        return false;
    }
    job->driver->complete(job, &err);
    error_propagate(errp, err);
    return err == NULL;
}

bool job_finalize(Job *job, Error **errp)
{
    if (!job_accepts(job, JOB_VERB_FINALIZE, errp)) {
        return false;
    }
    finalize_txn(job);
    return true;
}

bool job_dismiss(Job **job, Error **errp)
{
    if (!job_accepts(*job, JOB_VERB_DISMISS, errp)) {
        return false;
    }
    forget(*job);
    *job = NULL;
    return true;
}

static bool has_ended(void *opaque)
{
    Job *job = opaque;

    process_exits();
    return is_concluded(job) || job->work_done;
}

int job_finish_sync(Job *job, Error **errp)
{
    int ret;

    job_ref(job);
    block_wait(has_ended, job);
    ret = job_is_cancelled(job) && job->ret == 0 ? -ECANCELED : job->ret;
    if (ret && job->err) {
        error_propagate(errp, error_copy(job->err));
    } else if (ret) {
        error_setg_errno(errp, -ret, "Job failed");
    }
    job_unref(job);
    return ret;
}

int job_cancel_sync(Job *job, bool force)
{
    int ret;

    job_ref(job);
    cancel(job, force);
    ret = job_finish_sync(job, NULL);
    job_unref(job);
    return ret;
}

void job_cancel_all(void)
{
    Job *job;

    while ((job = job_next(NULL)) != NULL) {
        job_cancel_sync(job, true);
    }
}

/* ---- progress and questions ---- */

static bool read_flag(const bool *flag)
{
    bool v;

    pthread_mutex_lock(&job_lock);
    v = *flag;
    pthread_mutex_unlock(&job_lock);
    return v;
}

bool job_is_cancelled(Job *job)
{
    return read_flag(&job->force_cancel);
}

bool job_cancel_requested(Job *job)
{
    return read_flag(&job->cancelled);
}

bool job_is_ready(Job *job)
{
    bool ready;

    pthread_mutex_lock(&job_lock);
    ready = job->status == JOB_STATUS_READY || job->status == JOB_STATUS_STANDBY;
    pthread_mutex_unlock(&job_lock);
    return ready;
}

void job_progress_add(Job *job, int64_t done)
{
    pthread_mutex_lock(&job_lock);
    job->progress_current += done;
    pthread_mutex_unlock(&job_lock);
}

void job_progress_set_remaining(Job *job, int64_t remaining)
{
    pthread_mutex_lock(&job_lock);
    job->progress_total = job->progress_current + remaining;
    pthread_mutex_unlock(&job_lock);
}

void job_progress_grow(Job *job, int64_t more)
{
    pthread_mutex_lock(&job_lock);
    job->progress_total += more;
    pthread_mutex_unlock(&job_lock);
}

void job_progress_get(Job *job, int64_t *current, int64_t *total)
{
    pthread_mutex_lock(&job_lock);
    *current = job->progress_current;
    *total = job->progress_total;
    pthread_mutex_unlock(&job_lock);
}

JobInfo *job_query(Job *job)
{
    JobInfo *info = g_new0(JobInfo, 1);

    info->id = g_strdup(job->id);
    info->type = job->driver->type;
    info->status = job->status;
    job_progress_get(job, &info->current_progress, &info->total_progress);
    info->error = job->err ? g_strdup(error_message(job->err)) : NULL;
    return info;
}
