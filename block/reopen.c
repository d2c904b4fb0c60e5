/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Changing options of open nodes, and handing images over to another process
 * (inactivation). Main thread, with the nodes drained.
 */
#include "util/osdep.h"
#include "block/block-int.h"
#include "block/image.h"
#include "block/options.h"
#include "qapi-commands.h"

/* ---- reopen ---- */

typedef struct OldState {
    unsigned flags;
    bool read_only;
    int detect_zeroes;
    bool driver_prepared, backing_changed;
    JsonValue *options;         /* what is left for the driver */
    BlockNode *backing, *file;  /* referenced */
    BlockNode *new_file;        /* where the edge "file" leads now; referenced, NULL: unchanged */
} OldState;

static BlockChild *find_child(BlockNode *bn, const char *name)
{
    BlockChild *c;

    for (c = bn->children; c && strcmp(c->name, name); c = c->next_child) {
    }
    return c;
}

/* The node that @spec names (JSON null: none) as a new child @name of @bn. */
static bool lookup_child(BlockNode *bn, const char *name, const JsonValue *spec, BlockNode **node,
                         Error **errp)
{
    const char *ref = json_get_string(spec), *key = NULL;
    JsonValue *v;

    *node = NULL;
    if (json_kind(spec) == JSON_NULL) {
        return true;
    }
    if (!ref) {
        json_object_at(spec, 0, &key, &v);
        error_setg(errp, "Cannot change the option '%s.%s'", name, key);
        return false;
    }
    *node = block_lookup(NULL, ref, errp);
    if (*node && block_reaches(*node, bn)) {
        error_setg(errp, "Making '%s' a %s child of '%s' would create a cycle", ref, name,
                   bn->node_name);
        return false;
    }
    return *node != NULL;
}

/* Permissions follow when all nodes of the list have their new children. */
static bool change_file(BlockNode *bn, OldState *old, const JsonValue *spec, Error **errp)
{
    BlockNode *node;

    if (!lookup_child(bn, "file", spec, &node, errp) ||
        (node->loop != bn->loop && !block_node_set_loop(node, bn->loop, errp))) {
        return false;
    }
    old->file = bn->file->node;
    old->new_file = node;
    block_node_ref(old->file);
    block_node_ref(node);
    block_drain_begin(old->file);
    block_drain_begin(node);
    block_child_move(bn->file, node);
    return true;
}

static bool change_backing(BlockNode *bn, OldState *old, const JsonValue *spec, Error **errp)
{
    BlockNode *node;

    if (!bn->drv->supports_backing) {
        error_setg(errp, "Driver '%s' of node '%s' does not support backing files", bn->drv->name,
                   bn->node_name);
        return false;
    }
    if (!lookup_child(bn, "backing", spec, &node, errp)) {
        return false;
    }
    old->backing_changed = true;
    return block_set_backing(bn, node, errp);
}

/* Children that are named as they are need no change; another file or backing node may be given. */
static bool take_children(BlockReopen *r, OldState *old, Error **errp)
{
    BlockNode *bn = r->bn;
    JsonValue *spec;
    BlockChild *c;

    if (r->complete && bn->backing && !bn->backing->node->implicit &&
        !json_object_has(old->options, "backing")) {
        error_setg(errp, "backing is missing for '%s'", bn->node_name);
        return false;
    }
    for (c = bn->children; c; c = c->next_child) {
        spec = json_object_get(old->options, c->name);
        if (!spec || c == bn->backing) {
            continue;
        }
        if (g_strcmp0(json_get_string(spec), c->node->node_name)) {
            if (c != bn->file || strcmp(c->name, "file")) {
                error_setg(errp, "Cannot change the option '%s'", c->name);
                return false;
            }
            if (!change_file(bn, old, spec, errp)) {
                return false;
            }
        }
        json_object_remove(old->options, c->name);
    }
    spec = json_object_get(old->options, "backing");
    if (!spec) {
        return true;
    }
    if ((!bn->backing || g_strcmp0(json_get_string(spec), bn->backing->node->node_name)) &&
        !change_backing(bn, old, spec, errp)) {
        return false;
    }
    json_object_remove(old->options, "backing");
    return true;
}

/* What nobody took must be as it was, and nothing that cannot change may be missing. */
static bool check_rest(BlockReopen *r, OldState *old, Error **errp)
{
    BlockNode *bn = r->bn;
    bool fixed = bn->drv->is_protocol || !bn->drv->reopen_prepare;
    const char *key;
    JsonValue *v;
    size_t i;

    for (i = 0; i < json_object_len(old->options); i++) {
        json_object_at(old->options, i, &key, &v);
        if (!json_object_has(bn->options, key) || !json_equal(json_object_get(bn->options, key), v)) {
            error_setg(errp, "Cannot change the option '%s'", key);
            return false;
        }
    }
    for (i = 0; r->complete && fixed && i < json_object_len(bn->options); i++) {
        json_object_at(bn->options, i, &key, &v);
        if (!json_object_has(r->options, key) && !find_child(bn, key)) {
            error_setg(errp, "Option '%s' cannot be reset to its default value", key);
            return false;
        }
    }
    return true;
}

static bool prepare_one(BlockReopen *r, OldState *old, Error **errp)
{
    BlockNode *bn = r->bn;
    BlockReopen driver = *r;

    old->flags = bn->open_flags;
    old->read_only = bn->read_only;
    old->detect_zeroes = bn->detect_zeroes;
    old->backing = bn->backing ? bn->backing->node : NULL;
    if (old->backing) {
        block_node_ref(old->backing);
    }
    old->options = r->options ? json_copy(r->options) : json_object();
    if (!block_options_nest(old->options, errp) || !take_children(r, old, errp)) {
        return false;
    }
    driver.options = old->options;
    if (bn->drv->reopen_prepare && !bn->drv->reopen_prepare(bn, &driver, errp)) {
        return false;
    }
    r->driver_state = driver.driver_state;
    old->driver_prepared = true;
    return check_rest(r, old, errp);
}

/* Flags and permissions of the whole list, when each node has agreed. */
static bool change_all(BlockReopen *list, const OldState *old, size_t count, Error **errp)
{
    g_autoptr(GPtrArray) nodes = g_ptr_array_new();
    size_t i;

    for (i = 0; i < count; i++) {
        BlockNode *bn = list[i].bn;

        bn->open_flags = list[i].flags;
        bn->read_only = !(list[i].flags & BLOCK_OPEN_RDWR);
        if (list[i].complete) {
            bn->detect_zeroes = list[i].detect_zeroes;
        }
        g_ptr_array_add(nodes, bn);
        if (old[i].new_file) {
            g_ptr_array_add(nodes, old[i].file);
        }
    }
    for (i = 0; i < count; i++) {
        BlockNode *bn = list[i].bn;
        BlockChild *primary = block_primary_child(bn);

        if (!bn->read_only && primary && primary->node->read_only && !bn->drv->is_protocol &&
            !(primary->node->open_flags & BLOCK_OPEN_AUTO_RDONLY)) {
            error_setg(errp, "Block node is read-only");
            return false;
        }
    }
    return block_perm_refresh_nodes((BlockNode *const *)nodes->pdata, nodes->len, errp);
}

static void abort_one(BlockReopen *r, OldState *old)
{
    BlockNode *bn = r->bn;

    bn->open_flags = old->flags;
    bn->read_only = old->read_only;
    bn->detect_zeroes = old->detect_zeroes;
    if (old->new_file) {
        block_child_move(bn->file, old->file);
    }
    if (old->backing_changed) {
        /* It was there before, so it may be there again. */
        block_set_backing(bn, old->backing, NULL);
    }
    if (old->driver_prepared && bn->drv->reopen_abort) {
        bn->drv->reopen_abort(bn, r);
    }
    block_perm_relax(bn);
}

static void commit_one(BlockReopen *r, OldState *old)
{
    BlockNode *bn = r->bn;

    if (bn->drv->reopen_commit) {
        bn->drv->reopen_commit(bn, r);
    }
    block_node_refresh_limits(bn);
    if (r->complete) {
        json_unref(bn->options);
        bn->options = json_copy(r->options);
    }
    if (r->complete && !bn->drv->is_protocol) {
        block_node_refresh_length(bn, true);
        block_node_refresh_filename(bn);
        block_perm_relax(bn);
    }
}

static void free_old(OldState *old)
{
    if (old->new_file) {
        block_drain_end(old->new_file);
        block_drain_end(old->file);
        block_node_unref(old->new_file);
        block_node_unref(old->file);
    }
    json_unref(old->options);
    block_node_unref(old->backing);
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
    while (done < count && ok) {
        ok = prepare_one(&list[done], &old[done], errp);
        done++;
    }
    ok = ok && change_all(list, old, count, errp);
    for (i = done; i > 0; i--) {
        if (ok) {
            commit_one(&list[i - 1], &old[i - 1]);
        } else {
            abort_one(&list[i - 1], &old[i - 1]);
        }
    }
    for (i = 0; i < done; i++) {
        free_old(&old[i]);
    }
    for (i = count; i > 0; i--) {
        block_drain_end(list[i - 1].bn);
    }
    return ok;
}

bool qmp_blockdev_reopen(const QmpBlockdevReopenArgs *args, Error **errp)
{
    g_autoptr(GArray) list = g_array_new(false, true, sizeof(BlockReopen));
    bool ok = true;
    guint i;

    for (BlockdevOptionsList *l = args->options; l && ok; l = l->next) {
        BlockReopen r = { .options = qapi_encode(&qapi_type_BlockdevOptions, l->value) };

        ok = block_reopen_parse(&r, errp);
        g_array_append_val(list, r);
    }
    ok = ok && block_reopen((BlockReopen *)list->data, list->len, errp);
    for (i = 0; i < list->len; i++) {
        json_unref(g_array_index(list, BlockReopen, i).options);
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
