/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Permissions. Each edge says what its parent does with the node (perm) and
 * what it lets others do (shared_perm). A change at one node is carried down
 * to all nodes below in topological order, first as a proposal that each node
 * may refuse (conflicting users, read-only node, a lock that another process
 * holds), then for good. Main thread.
 */
#include "util/osdep.h"
#include "block/block-int.h"
#include "trace-block.h"

typedef struct EdgeUndo {
    BlockChild *edge;
    uint64_t perm, shared_perm;
} EdgeUndo;

typedef struct NodeSum {
    BlockNode *bn;
    uint64_t perm, shared_perm;
    bool checked;
} NodeSum;

typedef struct PermWork {
    GArray *undo;       /* EdgeUndo */
    GArray *sums;       /* NodeSum */
} PermWork;

const char *block_perm_name(unsigned bit)
{
    static const char *const names[BLOCK_PERM_COUNT] = {
        "consistent read", "write", "write unchanged", "resize",
    };

    return names[bit];
}

static char *perm_list(uint64_t perm)
{
    GString *s = g_string_new(NULL);
    unsigned i;

    for (i = 0; i < BLOCK_PERM_COUNT; i++) {
        if (perm & BIT(i)) {
            g_string_append_printf(s, "%s%s", s->len ? ", " : "", block_perm_name(i));
        }
    }
    return g_string_free(s, false);
}

static char *describe_user(BlockChild *c)
{
    g_autofree char *who = c->ops->describe(c);

    return g_strdup_printf("%s (uses node '%s' as '%s' child)", who, c->node->node_name, c->name);
}

static bool check_conflicts(BlockNode *bn, Error **errp)
{
    BlockChild *a, *b;

    for (a = bn->parents; a; a = a->next_parent) {
        for (b = bn->parents; b; b = b->next_parent) {
            uint64_t conflict = a == b ? 0 : a->perm & ~b->shared_perm;

            if (conflict) {
                g_autofree char *perms = perm_list(conflict);
                g_autofree char *user_a = describe_user(a);
                g_autofree char *user_b = describe_user(b);

                error_setg(errp,
                           "Permission conflict on node '%s': permissions '%s' are both "
                           "required by %s and unshared by %s.",
                           bn->node_name, perms, user_a, user_b);
                return false;
            }
        }
    }
    return true;
}

static void node_sum(BlockNode *bn, uint64_t *perm, uint64_t *shared)
{
    BlockChild *c;

    *perm = 0;
    *shared = BLOCK_PERM_ALL;
    for (c = bn->parents; c; c = c->next_parent) {
        *perm |= c->perm;
        *shared &= c->shared_perm;
    }
}

/* Parents before children. */
static void collect_below(BlockNode *bn, GPtrArray *reverse)
{
    BlockChild *c;

    if (g_ptr_array_find(reverse, bn, NULL)) {
        return;
    }
    for (c = bn->children; c; c = c->next_child) {
        collect_below(c->node, reverse);
    }
    g_ptr_array_add(reverse, bn);
}

/* The content shows through: nobody may change it, not even its size, without our users' consent. */
static void backing_perm(const NodeSum *sum, uint64_t *perm, uint64_t *shared)
{
    *perm = sum->perm & BLOCK_PERM_CONSISTENT_READ;
    *shared = BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE_UNCHANGED;
    if (sum->shared_perm & BLOCK_PERM_WRITE) {
        *shared |= BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE;
    }
}

/* A format's file or data file. */
static void storage_perm(const BlockNode *bn, unsigned role, const NodeSum *sum, uint64_t *perm,
                         uint64_t *shared)
{
    bool writable = !bn->read_only && !bn->inactive;

    *perm = sum->perm;
    *shared = sum->shared_perm;
    if (role & BLOCK_ROLE_METADATA) {
        /* Metadata may be written at any time, also when users only read. */
        if (writable) {
            *perm |= BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE;
        }
        *perm |= bn->open_flags & BLOCK_OPEN_NO_IO ? 0 : BLOCK_PERM_CONSISTENT_READ;
        *shared &= ~(uint64_t)(BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE);
    } else {
        /* Unchanged is a statement about the disk, not about where its data lies. */
        if (*perm & BLOCK_PERM_WRITE_UNCHANGED) {
            *perm |= BLOCK_PERM_WRITE;
        }
        if (*perm & BLOCK_PERM_WRITE) {
            *perm |= BLOCK_PERM_RESIZE;
        }
        *shared &= ~(uint64_t)BLOCK_PERM_RESIZE;
    }
    if (bn->inactive) {
        *shared |= BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE;
    }
}

static void propose_child(BlockNode *bn, BlockChild *c, const NodeSum *sum, PermWork *w)
{
    EdgeUndo undo = { c, c->perm, c->shared_perm };
    uint64_t perm = sum->perm, shared = sum->shared_perm;

    if (bn->drv->child_perm) {
        bn->drv->child_perm(bn, c, c->role, sum->perm, sum->shared_perm, &perm, &shared);
    } else if (c->role & BLOCK_ROLE_COW) {
        backing_perm(sum, &perm, &shared);
    } else if (c->role & (BLOCK_ROLE_DATA | BLOCK_ROLE_METADATA)) {
        storage_perm(bn, c->role, sum, &perm, &shared);
    } else {
        /* Filters do what their users do. */
        assert(c->role & BLOCK_ROLE_FILTERED);
    }
    if (bn->inactive) {
        perm &= ~(uint64_t)(BLOCK_PERM_WRITE | BLOCK_PERM_WRITE_UNCHANGED | BLOCK_PERM_RESIZE);
        shared = BLOCK_PERM_ALL;
    }
    if (bn->open_flags & BLOCK_OPEN_FORCE_SHARE) {
        shared = BLOCK_PERM_ALL;
    }
    if (perm != c->perm || shared != c->shared_perm) {
        g_array_append_val(w->undo, undo);
        c->perm = perm;
        c->shared_perm = shared;
    }
}

static bool propose_node(BlockNode *bn, PermWork *w, Error **errp)
{
    NodeSum sum = { .bn = bn };
    BlockChild *c;

    if (!check_conflicts(bn, errp)) {
        return false;
    }
    node_sum(bn, &sum.perm, &sum.shared_perm);
    if (bn->open_flags & BLOCK_OPEN_FORCE_SHARE) {
        sum.shared_perm = BLOCK_PERM_ALL;
    }
    if ((sum.perm & (BLOCK_PERM_WRITE | BLOCK_PERM_WRITE_UNCHANGED)) && bn->read_only) {
        error_setg(errp, "Read-only block node '%s' cannot support read-write users",
                   bn->node_name);
        return false;
    }
    if (sum.perm != bn->perm || sum.shared_perm != bn->shared_perm) {
        if (bn->drv->check_perm) {
            if (!bn->drv->check_perm(bn, sum.perm, sum.shared_perm, errp)) {
                return false;
            }
            sum.checked = true;
        }
        g_array_append_val(w->sums, sum);
    }
    for (c = bn->children; c; c = c->next_child) {
        propose_child(bn, c, &sum, w);
    }
    return true;
}

static void work_abort(PermWork *w)
{
    guint i;

    for (i = w->undo->len; i > 0; i--) {
        EdgeUndo *u = &g_array_index(w->undo, EdgeUndo, i - 1);

        u->edge->perm = u->perm;
        u->edge->shared_perm = u->shared_perm;
    }
    for (i = w->sums->len; i > 0; i--) {
        NodeSum *s = &g_array_index(w->sums, NodeSum, i - 1);

        if (s->checked && s->bn->drv->abort_perm) {
            s->bn->drv->abort_perm(s->bn);
        }
    }
}

static void work_commit(PermWork *w)
{
    guint i;

    for (i = 0; i < w->sums->len; i++) {
        NodeSum *s = &g_array_index(w->sums, NodeSum, i);

        trace_block_node_set_perm(s->bn, s->bn->node_name, s->perm, s->shared_perm);
        s->bn->perm = s->perm;
        s->bn->shared_perm = s->shared_perm;
        if (s->bn->drv->set_perm) {
            s->bn->drv->set_perm(s->bn, s->perm, s->shared_perm);
        }
    }
}

bool block_perm_refresh_nodes(BlockNode *const *nodes, size_t count, Error **errp)
{
    g_autoptr(GPtrArray) reverse = g_ptr_array_new();
    PermWork w = {
        .undo = g_array_new(false, false, sizeof(EdgeUndo)),
        .sums = g_array_new(false, false, sizeof(NodeSum)),
    };
    bool ok = true;
    size_t n;
    guint i;

    for (n = 0; n < count; n++) {
        collect_below(nodes[n], reverse);
    }
    for (i = reverse->len; i > 0 && ok; i--) {
        ok = propose_node(reverse->pdata[i - 1], &w, errp);
    }
    if (ok) {
        work_commit(&w);
    } else {
        work_abort(&w);
    }
    g_array_free(w.undo, true);
    g_array_free(w.sums, true);
    return ok;
}

bool block_perm_refresh(BlockNode *bn, Error **errp)
{
    return block_perm_refresh_nodes(&bn, 1, errp);
}

void block_perm_relax(BlockNode *bn)
{
    g_autoptr(Error) err = NULL;

    /*
     * With fewer demands only a lock on the host can fail to change; then the
     * stricter state stays, which is safe.
     */
    block_perm_refresh(bn, &err);
}

bool block_child_set_perm(BlockChild *c, uint64_t perm, uint64_t shared, Error **errp)
{
    uint64_t old_perm = c->perm, old_shared = c->shared_perm;

    if (perm == old_perm && shared == old_shared) {
        return true;
    }
    c->perm = perm;
    c->shared_perm = shared;
    if (!block_perm_refresh(c->node, errp)) {
        c->perm = old_perm;
        c->shared_perm = old_shared;
        return false;
    }
    return true;
}
