/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * APIC ids: socket, die, core and thread numbers side by side, each in as many
 * bits as its count needs (Intel SDM volume 3A, 9.9.1). Any thread.
 */
#include "util/osdep.h"
#include "cpu.h"

static unsigned width(unsigned count)
{
    return count > 1 ? 32 - __builtin_clz(count - 1) : 0;
}

/* There is no level between a die and a core on x86: clusters count as cores. */
static unsigned cores_per_die(const CpuTopology *t)
{
    return MAX(t->cores, 1u) * MAX(t->clusters, 1u);
}

unsigned x86_apic_core_shift(const CpuTopology *t)
{
    return width(t->threads);
}

unsigned x86_apic_die_shift(const CpuTopology *t)
{
    return x86_apic_core_shift(t) + width(cores_per_die(t));
}

unsigned x86_apic_socket_shift(const CpuTopology *t)
{
    return x86_apic_die_shift(t) + width(t->dies);
}

X86CpuIds x86_cpu_ids(const CpuTopology *t, unsigned index)
{
    unsigned threads = MAX(t->threads, 1u), cores = cores_per_die(t), dies = MAX(t->dies, 1u);

    return (X86CpuIds){
        .thread = index % threads,
        .core = index / threads % cores,
        .die = index / (threads * cores) % dies,
        .socket = index / (threads * cores * dies),
    };
}

uint32_t x86_apic_id(const CpuTopology *t, unsigned index)
{
    X86CpuIds ids = x86_cpu_ids(t, index);

    return ids.socket << x86_apic_socket_shift(t) | ids.die << x86_apic_die_shift(t) |
           ids.core << x86_apic_core_shift(t) | ids.thread;
}

uint32_t x86_apic_id_max(const CpuTopology *t)
{
    return x86_apic_id(t, MAX(t->max_cpus, 1u) - 1);
}
