/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state in which the boot CPU enters a kernel that was loaded without
 * firmware. Set after every reset, before the machine runs.
 */
#ifndef TARGET_I386_BOOT_H
#define TARGET_I386_BOOT_H

#include "system/cpus.h"

typedef enum X86BootMode {
    /*
     * Flat 32-bit protected mode, paging off, interrupts off: what PVH and
     * Multiboot want. CS is selector 0x8, data segments 0x10, TR 0x18; their
     * descriptors need not exist in memory (the GDT register points to @gdt_base).
     */
    X86_BOOT_FLAT32,
    /*
     * Long mode with paging through @cr3 (identity tables in guest memory), as
     * Linux's 64-bit entry wants: CS selector 0x10, data segments 0x18.
     */
    X86_BOOT_LONG64,
} X86BootMode;

typedef struct X86BootState {
    X86BootMode mode;
    uint64_t rip;
    uint64_t rax, rbx, rsi, rsp;
    uint64_t cr3;               /* X86_BOOT_LONG64 */
    uint64_t gdt_base;          /* a GDT in guest memory, or 0 */
    uint16_t gdt_limit;
} X86BootState;

/* Machine lock held, CPUs paused. */
void x86_cpu_set_boot_state(CpuState *cpu, const X86BootState *boot);

#endif
