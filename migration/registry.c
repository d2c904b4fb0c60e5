/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * State that belongs to no device: who registered which table. Devices are
 * found by walking the machine. Main thread with the machine lock.
 */
#include "util/osdep.h"
#include "migration/state.h"

typedef struct StateEntry {
    const StateTable *table;
    char *id;
    uint32_t instance;
    void *opaque;
    struct StateEntry *next;
} StateEntry;

static StateEntry *entries;

const StateTable state_table_none = { .name = "none", .fields = (const StateField[]) { STATE_F_END } };

void state_register(const StateTable *table, const char *id, uint32_t instance, void *opaque)
{
    StateEntry **end = &entries;
    StateEntry *e = g_new0(StateEntry, 1);

    *e = (StateEntry){ table, g_strdup(id), instance, opaque, NULL };
    while (*end) {
        assert((*end)->instance != instance || strcmp((*end)->id, id) != 0);
        end = &(*end)->next;
    }
    *end = e;
}

void state_unregister(const StateTable *table, void *opaque)
{
    for (StateEntry **link = &entries; *link; link = &(*link)->next) {
        StateEntry *e = *link;

        if (e->table == table && e->opaque == opaque) {
            *link = e->next;
            g_free(e->id);
            g_free(e);
            return;
        }
    }
}

int state_foreach(int (*fn)(const StateTable *table, const char *id, uint32_t instance,
                            void *state, void *opaque), void *opaque)
{
    for (StateEntry *e = entries; e; e = e->next) {
        int ret = fn(e->table, e->id, e->instance, e->opaque, opaque);

        if (ret) {
            return ret;
        }
    }
    return 0;
}
