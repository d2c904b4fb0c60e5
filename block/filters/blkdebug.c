/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The filter "blkdebug", for tests: when the node above (or the block layer)
 * reports a step (BlkdebugEvent), its rules make requests fail, change the
 * state that rules depend on, or hold the request back. It can also pretend to have
 * stricter limits. Node's loop; break points also from the main thread.
 */
#include "util/osdep.h"
#include "block/filters/blkdebug.h"
#include "block/options.h"

#define MAX_LIMIT ((uint64_t)INT_MAX)

/* ---- open ---- */

static bool parse_filename(const char *filename, JsonValue *options, Error **errp)
{
    const char *config = filename + strlen("blkdebug:"), *image = strchr(config, ':');

    if (!image) {
        error_setg(errp, "blkdebug requires both config file and image path");
        return false;
    }
    if (image > config) {
        json_object_set_take(options, "config", json_string_take(g_strndup(config, image - config)));
    }
    json_object_set_string(options, "x-image", image + 1);
    return true;
}

/* One limit in bytes, a multiple of @unit. */
static bool take_limit(JsonValue *o, const char *name, uint64_t unit, uint64_t *value, Error **errp)
{
    if (!block_option_take_size(o, name, value, NULL, errp)) {
        return false;
    }
    if (*value && (*value >= MAX_LIMIT || *value % unit)) {
        error_setg(errp, "Cannot meet constraints with %s %" PRIu64, name, *value);
        return false;
    }
    return true;
}

static bool take_limits(BlkdebugState *s, uint32_t below, JsonValue *o, Error **errp)
{
    uint64_t align;

    if (!take_limit(o, "align", 1, &s->align, errp)) {
        return false;
    }
    if (s->align && !IS_POWER_OF_2(s->align)) {
        error_setg(errp, "Cannot meet constraints with align %" PRIu64, s->align);
        return false;
    }
    align = MAX(s->align, below);
    return take_limit(o, "max-transfer", align, &s->max_transfer, errp) &&
           take_limit(o, "opt-write-zero", align, &s->opt_write_zero, errp) &&
           take_limit(o, "max-write-zero", MAX(s->opt_write_zero, align), &s->max_write_zero, errp) &&
           take_limit(o, "opt-discard", align, &s->opt_discard, errp) &&
           take_limit(o, "max-discard", MAX(s->opt_discard, align), &s->max_discard, errp);
}

static bool take_perms(JsonValue *options, const char *name, uint64_t *perms, Error **errp)
{
    g_autoptr(JsonValue) list = blkdebug_take_list(options, name);

    for (size_t i = 0; list && i < json_array_len(list); i++) {
        const char *text = json_get_string(json_array_at(list, i));
        int bit = qapi_enum_parse(&qapi_enum_BlockPermission, text ? text : "", name, errp);

        if (bit < 0) {
            return false;
        }
        /* The bits are in the order of the enumeration. */
        *perms |= BIT(bit);
    }
    return true;
}

static void blkdebug_close(BlockNode *bn)
{
    BlkdebugState *s = bn->opaque;

    while (s->rules) {
        blkdebug_remove_rule(s, s->rules);
    }
    g_free(s->config);
    pthread_mutex_destroy(&s->lock);
}

static void process_event(BlkdebugState *s, BlkdebugEvent event, GPtrArray *suspends);

static bool blkdebug_open(BlockNode *bn, JsonValue *options, Error **errp)
{
    BlkdebugState *s = bn->opaque;
    g_autofree char *image = NULL;

    pthread_mutex_init(&s->lock, NULL);
    s->state = 1;
    if (!blkdebug_take_rules(s, options, errp) ||
        !block_option_take_string(options, "x-image", &image, errp) ||
        !take_perms(options, "take-child-perms", &s->take_perms, errp) ||
        !take_perms(options, "unshare-child-perms", &s->unshare_perms, errp) ||
        !filter_open_child(bn, image, options, "image", errp) ||
        !take_limits(s, bn->file->node->limits.request_alignment, options, errp)) {
        blkdebug_close(bn);
        return false;
    }
    process_event(s, BLKDEBUG_EVENT_NONE, NULL);
    return true;
}

/* ---- events ---- */

/* With the lock held, or nobody else about. Tags to wait for are added to @suspends. */
static void process_event(BlkdebugState *s, BlkdebugEvent event, GPtrArray *suspends)
{
    int64_t state = s->state;
    bool any = false;
    BlkdebugRule *r, *next;

    for (r = s->rules; r; r = next) {
        next = r->next;
        if (r->event != (int)event || (r->state && r->state != state)) {
            continue;
        }
        switch (r->action) {
        case BLKDEBUG_INJECT:
            /* The first one takes the place of those of the events before. */
            for (BlkdebugRule *o = any ? NULL : s->rules; o; o = o->next) {
                o->active = false;
            }
            any = true;
            r->active = true;
            break;
        case BLKDEBUG_SET_STATE:
            s->state = r->new_state;
            break;
        case BLKDEBUG_SUSPEND:
            g_ptr_array_add(suspends, g_strdup(r->tag));
            blkdebug_remove_rule(s, r);
            break;
        }
    }
}

static void coroutine_fn blkdebug_event(BlockNode *bn, BlkdebugEvent event)
{
    BlkdebugState *s = bn->opaque;
    g_autoptr(GPtrArray) tags = g_ptr_array_new_with_free_func(g_free);

    pthread_mutex_lock(&s->lock);
    process_event(s, event, tags);
    for (guint i = 0; i < tags->len; i++) {
        BlkdebugSuspended self = { coroutine_self(), tags->pdata[i], s->suspended };

        s->suspended = &self;
        printf("blkdebug: Suspended request '%s'\n", self.tag);
        pthread_mutex_unlock(&s->lock);
        block_wait_kick();
        coroutine_yield();
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
}

/* ---- break points ---- */

static int blkdebug_break(BlockNode *bn, const char *event, const char *tag)
{
    BlkdebugState *s = bn->opaque;
    int e = qapi_enum_parse(&qapi_enum_BlkdebugEvent, event, "event", NULL);
    BlkdebugRule *r;

    if (e < 0) {
        return -ENOENT;
    }
    r = g_new0(BlkdebugRule, 1);
    r->action = BLKDEBUG_SUSPEND;
    r->event = e;
    r->tag = g_strdup(tag);
    pthread_mutex_lock(&s->lock);
    blkdebug_add_rule(s, r);
    pthread_mutex_unlock(&s->lock);
    return 0;
}

/* Wake a request, or all, that wait with @tag; how many. */
static unsigned wake(BlkdebugState *s, const char *tag, bool all)
{
    BlkdebugSuspended **p;
    unsigned n = 0;
    Coroutine *co;

    pthread_mutex_lock(&s->lock);
    for (p = &s->suspended; *p && (all || !n);) {
        if (strcmp((*p)->tag, tag)) {
            p = &(*p)->next;
            continue;
        }
        printf("blkdebug: Resuming request '%s'\n", tag);
        co = (*p)->co;
        *p = (*p)->next;
        n++;
        coroutine_schedule(coroutine_loop(co), co);
    }
    pthread_mutex_unlock(&s->lock);
    return n;
}

static int blkdebug_resume(BlockNode *bn, const char *tag)
{
    return wake(bn->opaque, tag, false) ? 0 : -ENOENT;
}

static int blkdebug_remove_break(BlockNode *bn, const char *tag)
{
    BlkdebugState *s = bn->opaque;
    BlkdebugRule *r, *next;
    unsigned n = 0;

    pthread_mutex_lock(&s->lock);
    for (r = s->rules; r; r = next) {
        next = r->next;
        if (r->tag && !strcmp(r->tag, tag)) {
            blkdebug_remove_rule(s, r);
            n++;
        }
    }
    pthread_mutex_unlock(&s->lock);
    wake(s, tag, true);
    return n ? 0 : -ENOENT;
}

static bool blkdebug_is_suspended(BlockNode *bn, const char *tag)
{
    BlkdebugState *s = bn->opaque;
    BlkdebugSuspended *w;

    pthread_mutex_lock(&s->lock);
    for (w = s->suspended; w && strcmp(w->tag, tag); w = w->next) {
    }
    pthread_mutex_unlock(&s->lock);
    return w != NULL;
}

/* ---- requests ---- */

static int coroutine_fn check_rules(BlockNode *bn, int64_t offset, int64_t bytes, BlkdebugIOType type)
{
    BlkdebugState *s = bn->opaque;
    bool immediately = true;
    BlkdebugRule *r;
    int error = 0;

    pthread_mutex_lock(&s->lock);
    for (r = s->rules; r; r = r->next) {
        if (r->active && (r->iotypes & BIT(type)) &&
            (r->sector < 0 ||
             (bytes && r->sector >= offset / 512 && r->sector * 512 < offset + bytes))) {
            break;
        }
    }
    if (r && r->error) {
        error = r->error;
        immediately = r->immediately;
        if (r->once) {
            blkdebug_remove_rule(s, r);
        }
    }
    pthread_mutex_unlock(&s->lock);
    if (!immediately) {
        coroutine_schedule(bn->loop, coroutine_self());
        coroutine_yield();
    }
    return -error;
}

static int coroutine_fn blkdebug_preadv(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                        size_t v_offset, unsigned flags)
{
    int ret = check_rules(bn, offset, bytes, BLKDEBUG_IO_TYPE_READ);

    return ret < 0 ? ret : filter_preadv(bn, offset, bytes, v, v_offset, flags);
}

static int coroutine_fn blkdebug_pwritev(BlockNode *bn, int64_t offset, int64_t bytes, IoVector *v,
                                         size_t v_offset, unsigned flags)
{
    int ret = check_rules(bn, offset, bytes, BLKDEBUG_IO_TYPE_WRITE);

    return ret < 0 ? ret : filter_pwritev(bn, offset, bytes, v, v_offset, flags);
}

static int coroutine_fn blkdebug_pwrite_zeroes(BlockNode *bn, int64_t offset, int64_t bytes,
                                               unsigned flags)
{
    int ret;

    /* What is less than the unit goes the way of ordinary writes. */
    if (bytes < MAX(bn->limits.request_alignment, bn->limits.write_zeroes_alignment)) {
        return -ENOTSUP;
    }
    ret = check_rules(bn, offset, bytes, BLKDEBUG_IO_TYPE_WRITE_ZEROES);
    return ret < 0 ? ret : filter_pwrite_zeroes(bn, offset, bytes, flags);
}

static int coroutine_fn blkdebug_pdiscard(BlockNode *bn, int64_t offset, int64_t bytes)
{
    int ret;

    if (bytes < bn->limits.discard_alignment) {
        return -ENOTSUP;
    }
    ret = check_rules(bn, offset, bytes, BLKDEBUG_IO_TYPE_DISCARD);
    return ret < 0 ? ret : filter_pdiscard(bn, offset, bytes);
}

static int coroutine_fn blkdebug_flush(BlockNode *bn)
{
    return check_rules(bn, 0, 0, BLKDEBUG_IO_TYPE_FLUSH);
}

static int coroutine_fn blkdebug_block_status(BlockNode *bn, bool want_zero, int64_t offset,
                                              int64_t bytes, int64_t *pnum, int64_t *map,
                                              BlockNode **file)
{
    int ret = check_rules(bn, offset, bytes, BLKDEBUG_IO_TYPE_BLOCK_STATUS);

    *pnum = bytes;
    *map = offset;
    *file = bn->file->node;
    return ret < 0 ? ret : BLOCK_STATUS_RAW | BLOCK_STATUS_OFFSET_VALID;
}

/* ---- limits, permissions, name ---- */

static void blkdebug_limits(BlockNode *bn)
{
    BlkdebugState *s = bn->opaque;
    BlockLimits *l = &bn->limits;

    filter_refresh_limits(bn);
    l->request_alignment = MAX(l->request_alignment, s->align);
    l->max_transfer = s->max_transfer ? s->max_transfer : l->max_transfer;
    l->write_zeroes_alignment = s->opt_write_zero ? s->opt_write_zero : l->write_zeroes_alignment;
    l->max_write_zeroes = s->max_write_zero ? (int64_t)s->max_write_zero : l->max_write_zeroes;
    l->discard_alignment = s->opt_discard ? s->opt_discard : l->discard_alignment;
    l->max_discard = s->max_discard ? (int64_t)s->max_discard : l->max_discard;
}

static void blkdebug_child_perm(BlockNode *bn, BlockChild *c, unsigned role, uint64_t perm,
                                uint64_t shared, uint64_t *nperm, uint64_t *nshared)
{
    BlkdebugState *s = bn->opaque;

    *nperm = perm | s->take_perms;
    *nshared = shared & ~s->unshare_perms;
}

static bool blkdebug_check_perm(BlockNode *bn, uint64_t perm, uint64_t shared, Error **errp)
{
    if ((perm & (BLOCK_PERM_WRITE | BLOCK_PERM_WRITE_UNCHANGED)) && !(perm & BLOCK_PERM_RESIZE) &&
        bn->total_bytes % bn->limits.request_alignment) {
        error_setg(errp, "Cannot get 'write' permission without 'resize': Image size is not a "
                         "multiple of request alignment");
        return false;
    }
    return true;
}

/* Only what "blkdebug:CONFIG:IMAGE" can say has such a name. */
static char *blkdebug_exact_name(BlockNode *bn)
{
    static const char *const sayable[] = { "config", "image", "x-image" };
    BlkdebugState *s = bn->opaque;
    size_t i, known = 0;

    for (i = 0; i < ARRAY_SIZE(sayable); i++) {
        known += json_object_has(bn->options, sayable[i]);
    }
    if (known < json_object_len(bn->options) || !bn->file->node->exact_filename) {
        return NULL;
    }
    return g_strdup_printf("blkdebug:%s:%s", s->config ? s->config : "",
                           bn->file->node->exact_filename);
}

static int64_t blkdebug_allocated_size(BlockNode *bn)
{
    return -ENOTSUP;
}

static const char *const blkdebug_strong_options[] = {
    "config", "inject-error", "set-state", "align", "max-transfer", "opt-write-zero",
    "max-write-zero", "opt-discard", "max-discard", "take-child-perms", "unshare-child-perms", NULL,
};

BLOCK_DRIVER(blkdebug_driver) = {
    .name = "blkdebug",
    .protocol_prefix = "blkdebug",
    .instance_size = sizeof(BlkdebugState),
    .is_filter = true,
    .own_children = true,
    .parse_filename = parse_filename,
    .open = blkdebug_open,
    .close = blkdebug_close,
    .exact_name = blkdebug_exact_name,
    .child_perm = blkdebug_child_perm,
    .check_perm = blkdebug_check_perm,
    .co_preadv = blkdebug_preadv,
    .co_pwritev = blkdebug_pwritev,
    .co_pwrite_zeroes = blkdebug_pwrite_zeroes,
    .co_pdiscard = blkdebug_pdiscard,
    .co_flush_to_disk = blkdebug_flush,
    .co_block_status = blkdebug_block_status,
    .co_debug_event = blkdebug_event,
    .debug_break = blkdebug_break,
    .debug_resume = blkdebug_resume,
    .debug_remove_break = blkdebug_remove_break,
    .debug_is_suspended = blkdebug_is_suspended,
    .allocated_size = blkdebug_allocated_size,
    .refresh_limits = blkdebug_limits,
    .strong_options = blkdebug_strong_options,
};
