/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two-level tables, see two-level.h. Under the sparse state's lock. */
#include "util/osdep.h"
#include "two-level.h"
#include "util/bswap.h"

#define MAX_L1 (32 * MIB)
#define MAX_L2 (64 * MIB)

static uint64_t load(const TwoLevel *t, const uint8_t *p)
{
    return t->big_endian ? load_be64(p) : load_le64(p);
}

int coroutine_fn two_level_get(BlockNode *bn, TwoLevel *t, uint64_t index, uint64_t *entry)
{
    uint64_t i = index / t->l2_entries, table;
    int ret;

    *entry = 0;
    if (i >= t->l1_entries) {
        return 0;
    }
    table = load(t, t->l1 + 8 * i);
    if (!table) {
        return 0;
    }
    if (t->l2_index != i) {
        int64_t bytes = t->l2_entries * 8;

        if (table > (uint64_t)bn->file->node->total_bytes ||
            bytes > bn->file->node->total_bytes - (int64_t)table) {
            return -EIO;
        }
        t->l2_index = UINT64_MAX;
        ret = block_co_pread(bn->file, table, bytes, t->l2, 0);
        if (ret < 0) {
            return ret;
        }
        t->l2_index = i;
    }
    *entry = load(t, t->l2 + 8 * (index % t->l2_entries));
    return 0;
}

bool two_level_init(BlockNode *bn, TwoLevel *t, uint64_t l1_offset, uint64_t l1_entries,
                    uint64_t l2_entries, Error **errp)
{
    t->l1_entries = l1_entries;
    t->l2_entries = l2_entries;
    t->l2_index = UINT64_MAX;
    if (l1_offset > INT64_MAX || l1_entries > MAX_L1 / 8) {
        error_setg(errp, "%s: Image too big", bn->drv->name);
        return false;
    }
    if (l2_entries > MAX_L2 / 8) {
        error_setg(errp, "%s: second-level tables are too large", bn->drv->name);
        return false;
    }
    t->l1 = sparse_read_table(bn, l1_offset, l1_entries * 8, MAX_L1, "first-level table", errp);
    if (!t->l1) {
        return false;
    }
    t->l2 = g_try_malloc(l2_entries * 8);
    if (!t->l2) {
        error_setg(errp, "%s: not enough memory for the tables", bn->drv->name);
    }
    return t->l2 != NULL;
}

void two_level_free(TwoLevel *t)
{
    g_free(t->l1);
    g_free(t->l2);
}
