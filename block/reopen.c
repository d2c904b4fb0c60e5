/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Changing options of open nodes, and handing images over to another process
 * (inactivation). Main thread, with the nodes drained.
 */
#include "util/osdep.h"
#include "block/block-int.h"
#include "block/image.h"
#include "block/options.h"

/* ---- reopen ---- */

typedef struct OldState {
    unsigned flags;
    bool read_only;
    int detect_zeroes;
    bool prepared;
    JsonValue *options;         /* what is left for the driver */
    BlockNode *backing;         /* referenced */
} OldState;

static bool same_child(BlockNode *bn, const char *name, JsonValue *spec)
{
    BlockChild *c;

    for (c = bn->children; c; c = c->next_child) {
        if (!strcmp(c->name, name)) {
            return !g_strcmp0(json_get_string(spec), c->node->node_name);
        }
    }
    return false;
}

/* Children that are named as they are need no change; a new backing node may be given. */
static bool take_children(BlockNode *bn, JsonValue *options, Error **errp)
{
    JsonValue *backing = json_object_get(options, "backing");
    BlockChild *c;
    BlockNode *node = NULL;

    for (c = bn->children; c; c = c->next_child) {
        JsonValue *spec = json_object_get(options, c->name);

        if (spec && same_child(bn, c->name, spec)) {
            json_object_remove(options, c->name);
        } else if (spec && c != bn->backing) {
            error_setg(errp, "Cannot change the option '%s'", c->name);
            return false;
        }
    }
    backing = json_object_get(options, "backing");
    if (!backing) {
        return true;
    }
    if (!bn->drv->supports_backing) {
        error_setg(errp, "Driver '%s' of node '%s' does not support backing files", bn->drv->name,
                   bn->node_name);
        return false;
    }
    if (json_kind(backing) != JSON_NULL) {
        node = json_get_string(backing) ? block_lookup(NULL, json_get_string(backing), errp) : NULL;
        if (!node) {
            if (!json_get_string(backing)) {
                error_setg(errp, "Invalid parameter type for 'backing', expected: node name");
            }
            return false;
        }
    }
    json_object_remove(options, "backing");
    return block_set_backing(bn, node, errp);
}

static bool prepare_one(BlockReopen *r, OldState *old, Error **errp)
{
    BlockNode *bn = r->bn;
    BlockChild *primary = block_primary_child(bn);
    const char *key;
    JsonValue *v;

    old->flags = bn->open_flags;
    old->read_only = bn->read_only;
    old->detect_zeroes = bn->detect_zeroes;
    old->backing = bn->backing ? bn->backing->node : NULL;
    if (old->backing) {
        block_node_ref(old->backing);
    }
    old->options = r->options ? json_copy(r->options) : json_object();
    if ((r->flags & BLOCK_OPEN_RDWR) && primary && primary->node->read_only &&
        !(primary->node->open_flags & BLOCK_OPEN_RDWR) && !bn->drv->is_protocol) {
        error_setg(errp, "Cannot make block node read-write, its file '%s' is read-only",
                   primary->node->node_name);
        return false;
    }
    if (!block_options_nest(old->options, errp) || !take_children(bn, old->options, errp)) {
        return false;
    }
    if (bn->drv->reopen_prepare) {
        BlockReopen driver = *r;

        driver.options = old->options;
        if (!bn->drv->reopen_prepare(bn, &driver, errp)) {
            return false;
        }
        r->driver_state = driver.driver_state;
    }
    old->prepared = true;
    for (; json_object_len(old->options) > 0; json_object_remove(old->options, key)) {
        json_object_at(old->options, 0, &key, &v);
        /* What stays the same may be repeated. */
        if (!json_object_has(bn->options, key) || !json_equal(json_object_get(bn->options, key), v)) {
            error_setg(errp, "Cannot change the option '%s'", key);
            return false;
        }
    }
    bn->open_flags = r->flags;
    bn->read_only = !(r->flags & BLOCK_OPEN_RDWR);
    return block_perm_refresh(bn, errp);
}

static void abort_one(BlockReopen *r, OldState *old)
{
    BlockNode *bn = r->bn;

    bn->open_flags = old->flags;
    bn->read_only = old->read_only;
    bn->detect_zeroes = old->detect_zeroes;
    /* It was there before, so it may be there again. */
    block_set_backing(bn, old->backing, NULL);
    if (old->prepared && bn->drv->reopen_abort) {
        bn->drv->reopen_abort(bn, r);
    }
    block_perm_relax(bn);
}

bool block_reopen(BlockReopen *list, size_t count, Error **errp)
{
    g_autofree OldState *old = g_new0(OldState, count);
    size_t i, done = 0;
    bool ok = true;

    for (i = 0; i < count; i++) {
        block_drain_begin(list[i].bn);
    }
    /* Whoever gives up writing flushes first. */
    for (i = 0; i < count && ok; i++) {
        int ret = list[i].bn->read_only ? 0 : block_flush(list[i].bn);

        if (ret < 0) {
            error_setg_errno(errp, -ret, "Error flushing drive");
            ok = false;
        }
    }
    for (i = 0; i < count && ok; i++) {
        done++;
        ok = prepare_one(&list[i], &old[i], errp);
    }
    for (i = done; i > 0; i--) {
        if (!ok) {
            abort_one(&list[i - 1], &old[i - 1]);
        } else {
            if (list[i - 1].bn->drv->reopen_commit) {
                list[i - 1].bn->drv->reopen_commit(list[i - 1].bn, &list[i - 1]);
            }
            block_node_refresh_limits(list[i - 1].bn);
        }
        json_unref(old[i - 1].options);
        block_node_unref(old[i - 1].backing);
    }
    for (i = count; i > 0; i--) {
        block_drain_end(list[i - 1].bn);
    }
    return ok;
}

static void add_below(BlockNode *bn, bool read_only, GArray *list)
{
    BlockReopen r = { .bn = bn, .flags = bn->open_flags };
    BlockChild *c;

    if (bn->read_only == read_only) {
        return;
    }
    r.flags = read_only ? r.flags & ~BLOCK_OPEN_RDWR : r.flags | BLOCK_OPEN_RDWR;
    /* Becoming writable starts at the bottom, becoming read-only at the top. */
    if (read_only) {
        g_array_append_val(list, r);
    }
    for (c = bn->children; c; c = c->next_child) {
        if (c != bn->backing && (read_only ? !c->node->monitor_owned : true)) {
            add_below(c->node, read_only, list);
        }
    }
    if (!read_only) {
        g_array_append_val(list, r);
    }
}

bool block_reopen_set_read_only(BlockNode *bn, bool read_only, Error **errp)
{
    GArray *list = g_array_new(false, false, sizeof(BlockReopen));
    bool ok;

    add_below(bn, read_only, list);
    ok = list->len == 0 || block_reopen((BlockReopen *)list->data, list->len, errp);
    g_array_free(list, true);
    return ok;
}

/* ---- inactivation ---- */

typedef struct HandOver {
    bool ok;
    Error **errp;
} HandOver;

typedef struct HandOverOne {
    BlockNode *bn;
    Error **errp;
    int ret;
} HandOverOne;

static void coroutine_fn inactivate_entry(void *opaque)
{
    HandOverOne *o = opaque;

    o->ret = block_co_flush(o->bn);
    if (o->ret >= 0 && o->bn->drv->co_inactivate) {
        o->ret = o->bn->drv->co_inactivate(o->bn);
    }
}

static bool all_parents_inactive(BlockNode *bn)
{
    BlockChild *c;

    for (c = bn->parents; c; c = c->next_parent) {
        if (c->ops->parent_is_node && !((BlockNode *)c->opaque)->inactive) {
            return false;
        }
    }
    return true;
}

/* Parents first: what they write back goes through their children. */
static void inactivate_one(BlockNode *bn, void *opaque)
{
    HandOver *h = opaque;
    HandOverOne o = { .bn = bn };
    BlockChild *c;

    if (!h->ok || bn->inactive || !all_parents_inactive(bn)) {
        return;
    }
    block_run_coroutine(bn, inactivate_entry, &o);
    if (o.ret < 0) {
        error_setg_errno(h->errp, -o.ret, "Could not hand over node '%s'", bn->node_name);
        h->ok = false;
        return;
    }
    bn->inactive = true;
    bn->open_flags |= BLOCK_OPEN_INACTIVE;
    block_perm_relax(bn);
    for (c = bn->children; c; c = c->next_child) {
        inactivate_one(c->node, opaque);
    }
}

static void coroutine_fn activate_entry(void *opaque)
{
    HandOverOne *o = opaque;

    o->ret = o->bn->drv->co_activate ? o->bn->drv->co_activate(o->bn, o->errp) : 0;
}

/* Children first. */
static void activate_one(BlockNode *bn, void *opaque)
{
    HandOver *h = opaque;
    HandOverOne o = { .bn = bn, .errp = h->errp };
    BlockChild *c;
    int64_t len;

    if (!h->ok || !bn->inactive) {
        return;
    }
    for (c = bn->children; c; c = c->next_child) {
        activate_one(c->node, opaque);
    }
    if (!h->ok) {
        return;
    }
    bn->inactive = false;
    bn->open_flags &= ~BLOCK_OPEN_INACTIVE;
    h->ok = block_perm_refresh(bn, h->errp);
    if (h->ok) {
        block_run_coroutine(bn, activate_entry, &o);
        h->ok = o.ret >= 0;
    }
    if (h->ok) {
        len = block_node_refresh_length(bn, true);
        h->ok = len >= 0;
        if (len < 0) {
            error_setg_errno(h->errp, -len, "Could not refresh total sector count");
        }
    }
    if (!h->ok) {
        bn->inactive = true;
        bn->open_flags |= BLOCK_OPEN_INACTIVE;
        block_perm_relax(bn);
    }
}

static bool images_inactive;

bool block_images_inactive(void)
{
    return images_inactive;
}

void block_images_start_inactive(void)
{
    images_inactive = true;
}

static bool hand_over_all(bool inactive, Error **errp)
{
    HandOver h = { .ok = true, .errp = errp };

    images_inactive = inactive;
    block_drain_all_begin();
    block_node_foreach(inactive ? inactivate_one : activate_one, &h);
    block_drain_all_end();
    return h.ok && blk_update_claims(errp);
}

static bool hand_over_or_undo(bool inactive, Error **errp)
{
    if (images_inactive == inactive || hand_over_all(inactive, errp)) {
        return true;
    }
    hand_over_all(!inactive, NULL);
    return false;
}

bool block_activate_all(Error **errp)
{
    return hand_over_or_undo(false, errp);
}

bool block_inactivate_all(Error **errp)
{
    return hand_over_or_undo(true, errp);
}
