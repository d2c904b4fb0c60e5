/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SRAT, SLIT and HMAT (ACPI 6.4, 5.2.16, 5.2.17, 5.2.28). Main thread; reads
 * nothing that the guest wrote.
 */
#include "util/osdep.h"
#include "hw/acpi/numa.h"

/* ---- SRAT ---- */

enum { SRAT_LAPIC = 0, SRAT_MEMORY, SRAT_X2APIC, SRAT_GICC };
#define LAPIC_IDS 255

void acpi_srat_begin(AcpiTables *t)
{
    acpi_table_begin(t, "SRAT", 3);
    acpi_put(t, 1, 4);
    acpi_put_zeros(t, 8);
}

void acpi_srat_lapic(AcpiTables *t, uint32_t node, uint32_t apic_id)
{
    if (apic_id < LAPIC_IDS) {
        acpi_put(t, SRAT_LAPIC, 1);
        acpi_put(t, 16, 1);
        acpi_put(t, node & 0xff, 1);
        acpi_put(t, apic_id, 1);
        acpi_put(t, ACPI_SRAT_ENABLED, 4);
        acpi_put(t, 0, 1);
        acpi_put(t, node >> 8, 3);
        acpi_put(t, 0, 4);                      /* clock domain */
    } else {
        acpi_put(t, SRAT_X2APIC, 1);
        acpi_put(t, 24, 1);
        acpi_put(t, 0, 2);
        acpi_put(t, node, 4);
        acpi_put(t, apic_id, 4);
        acpi_put(t, ACPI_SRAT_ENABLED, 4);
        acpi_put(t, 0, 8);
    }
}

void acpi_srat_gicc(AcpiTables *t, uint32_t node, uint32_t uid)
{
    acpi_put(t, SRAT_GICC, 1);
    acpi_put(t, 18, 1);
    acpi_put(t, node, 4);
    acpi_put(t, uid, 4);
    acpi_put(t, ACPI_SRAT_ENABLED, 4);
    acpi_put(t, 0, 4);                          /* clock domain */
}

void acpi_srat_memory(AcpiTables *t, uint32_t node, uint64_t base, uint64_t size, uint32_t flags)
{
    acpi_put(t, SRAT_MEMORY, 1);
    acpi_put(t, 40, 1);
    acpi_put(t, node, 4);
    acpi_put(t, 0, 2);
    acpi_put(t, base, 8);
    acpi_put(t, size, 8);
    acpi_put(t, 0, 4);
    acpi_put(t, flags, 4);
    acpi_put(t, 0, 8);
}

void acpi_srat_ram(AcpiTables *t, const NumaState *s, const AcpiRange *ram, unsigned n)
{
    unsigned r = 0;
    uint64_t used = 0;          /* of ram[r] */

    for (unsigned i = 0; i < s->count; i++) {
        for (uint64_t left = s->nodes[i].size; left && r < n;) {
            uint64_t size = MIN(left, ram[r].size - used);

            if (size) {
                acpi_srat_memory(t, i, ram[r].base + used, size, ACPI_SRAT_ENABLED);
            }
            left -= size;
            used += size;
            if (used == ram[r].size) {
                r++;
                used = 0;
            }
        }
    }
}

/* ---- SLIT ---- */

static void build_slit(AcpiTables *t, const NumaState *s)
{
    acpi_table_begin(t, "SLIT", 1);
    acpi_put(t, s->count, 8);
    for (unsigned a = 0; a < s->count; a++) {
        for (unsigned b = 0; b < s->count; b++) {
            acpi_put(t, s->nodes[a].distance[b], 1);
        }
    }
    acpi_table_end(t);
}

/* ---- HMAT ---- */

uint64_t acpi_hmat_unit(const GArray *lb, HmatLBDataType type)
{
    unsigned step = numa_lb_is_latency(type) ? 10 : 2;
    uint64_t unit = step == 10 ? 1 : MIB, best = 0;

    for (guint i = 0; i < lb->len; i++) {
        uint64_t value = g_array_index(lb, NumaLbEntry, i).value, its = unit;

        while (value && its <= UINT64_MAX / step && value % (its * step) == 0) {
            its *= step;
        }
        best = value && (!best || its < best) ? its : best;
    }
    return best ? best : unit;
}

enum { HMAT_MEMORY = 0, HMAT_LB, HMAT_CACHE };
enum { HMAT_INITIATOR_VALID = 1 << 0 };
#define PS_PER_NS 1000

static void begin_entry(AcpiTables *t, unsigned type, uint32_t size)
{
    acpi_put(t, type, 2);
    acpi_put(t, 0, 2);
    acpi_put(t, size, 4);
}

static void build_memory(AcpiTables *t, const NumaState *s, unsigned node)
{
    unsigned initiator = s->nodes[node].initiator;
    bool valid = initiator != NUMA_NO_INITIATOR;

    begin_entry(t, HMAT_MEMORY, 40);
    acpi_put(t, valid ? HMAT_INITIATOR_VALID : 0, 2);
    acpi_put(t, 0, 2);
    acpi_put(t, valid ? initiator : 0, 4);
    acpi_put(t, node, 4);
    acpi_put_zeros(t, 20);
}

static uint64_t find_value(const GArray *lb, unsigned initiator, unsigned target)
{
    for (guint i = 0; i < lb->len; i++) {
        const NumaLbEntry *e = &g_array_index(lb, NumaLbEntry, i);

        if (e->initiator == initiator && e->target == target) {
            return e->value;
        }
    }
    return 0;
}

static void build_lb(AcpiTables *t, const NumaState *s, unsigned hierarchy, unsigned type,
                     const uint32_t *initiators, unsigned n)
{
    const GArray *lb = s->lb[hierarchy][type];
    uint64_t unit = acpi_hmat_unit(lb, type);

    begin_entry(t, HMAT_LB, 32 + 4 * (n + s->count) + 2 * n * s->count);
    acpi_put(t, hierarchy, 1);
    acpi_put(t, type, 1);
    acpi_put(t, 0, 2);                          /* no minimum transfer size */
    acpi_put(t, n, 4);
    acpi_put(t, s->count, 4);
    acpi_put(t, 0, 4);
    /* In ps, or MiB per second. */
    acpi_put(t, numa_lb_is_latency(type) ? unit * PS_PER_NS : unit / MIB, 8);
    for (unsigned i = 0; i < n; i++) {
        acpi_put(t, initiators[i], 4);
    }
    for (unsigned i = 0; i < s->count; i++) {
        acpi_put(t, i, 4);
    }
    for (unsigned i = 0; i < n; i++) {
        for (unsigned k = 0; k < s->count; k++) {
            acpi_put(t, find_value(lb, initiators[i], k) / unit, 2);
        }
    }
}

static void build_cache(AcpiTables *t, const NumaHmatCacheOptions *c, unsigned levels)
{
    begin_entry(t, HMAT_CACHE, 32);
    acpi_put(t, c->node_id, 4);
    acpi_put(t, 0, 4);
    acpi_put(t, c->size, 8);
    acpi_put(t, levels | c->level << 4 | c->associativity << 8 | c->policy << 12 |
                (uint32_t)c->line << 16, 4);
    acpi_put(t, 0, 2);
    acpi_put(t, 0, 2);                          /* no SMBIOS handles */
}

static void build_hmat(AcpiTables *t, const NumaState *s)
{
    uint32_t initiators[NUMA_MAX_NODES];
    unsigned n = 0;

    acpi_table_begin(t, "HMAT", 2);
    acpi_put(t, 0, 4);
    for (unsigned i = 0; i < s->count; i++) {
        build_memory(t, s, i);
        if (s->nodes[i].has_cpu) {
            initiators[n++] = i;
        }
    }
    for (unsigned h = 0; h < HMAT_LB_MEMORY_HIERARCHY__MAX; h++) {
        for (unsigned d = 0; d < HMAT_LB_DATA_TYPE__MAX; d++) {
            if (s->lb[h][d]) {
                build_lb(t, s, h, d, initiators, n);
            }
        }
    }
    for (unsigned i = 0; i < s->count; i++) {
        unsigned levels = 0;

        while (levels < NUMA_CACHE_LEVELS && s->cache[i][levels]) {
            levels++;
        }
        for (unsigned l = 0; l < levels; l++) {
            build_cache(t, s->cache[i][l], levels);
        }
    }
    acpi_table_end(t);
}

void acpi_build_numa_attributes(AcpiTables *t, const NumaState *s, bool hmat)
{
    if (s->have_distance) {
        build_slit(t, s);
    }
    if (hmat) {
        build_hmat(t, s);
    }
}
