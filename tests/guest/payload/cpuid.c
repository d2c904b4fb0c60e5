/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the CPUs say of themselves: CPUID leaves as text for the test that started the payload. */
#include "payload.h"

typedef struct Leaf {
    uint32_t eax, ebx, ecx, edx;
} Leaf;

static volatile uint32_t ap_leaf_1_id, ap_leaf_b_id, ap_done;

static Leaf cpuid(uint32_t function, uint32_t index)
{
    Leaf r;

    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
                     : "a"(function), "c"(index));
    return r;
}

static Leaf show(uint32_t function, uint32_t index)
{
    Leaf r = cpuid(function, index);

    print("cpuid %x %x %x %x %x %x\n", function, index, r.eax, r.ebx, r.ecx, r.edx);
    return r;
}

static unsigned subleaves(uint32_t function)
{
    switch (function) {
    case 4:
    case 0x8000001d:
        return 5;
    case 7:
        return 2;
    case 0xb:
    case 0x1f:
        return 4;
    case 0xd:
        return 20;
    default:
        return 1;
    }
}

static void show_range(uint32_t first, uint32_t most)
{
    uint32_t last = show(first, 0).eax;

    for (uint32_t f = first + 1; f <= last && f <= first + most; f++) {
        for (uint32_t i = 0; i < subleaves(f); i++) {
            show(f, i);
        }
    }
}

static void on_other_cpu(void)
{
    ap_leaf_1_id = cpuid(1, 0).ebx >> 24;
    ap_leaf_b_id = cpuid(0xb, 0).edx;
    ap_done = 1;
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}

/* Every CPU knows its own APIC id; with "dump=cpuid" the first one's leaves are shown. */
bool test_cpuid(void)
{
    char dump[16] = "";
    bool ok = cpuid(1, 0).ebx >> 24 == cpu_apic_id() && cpuid(0xb, 0).edx == cpu_apic_id();

    if (option("dump", dump, sizeof(dump))) {
        show_range(0, 0x20);
        show_range(0x40000000, 0x10);
        show_range(0x80000000, 0x21);
    }
    for (unsigned n = 0; n < acpi.cpus; n++) {
        if (acpi.apic_ids[n] == cpu_apic_id()) {
            continue;
        }
        ap_done = 0;
        if (!cpu_start(n, on_other_cpu)) {
            return false;
        }
        for (int i = 0; i < 10000 && !ap_done; i++) {
            delay_us(100);
        }
        ok &= ap_done && ap_leaf_1_id == acpi.apic_ids[n] && ap_leaf_b_id == acpi.apic_ids[n];
        print("cpu %u apic %x %x\n", n, ap_leaf_1_id, ap_leaf_b_id);
    }
    return ok;
}
