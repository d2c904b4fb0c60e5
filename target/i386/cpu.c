/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registers of an x86_64 CPU at power-on and at a direct boot (Intel SDM volume
 * 3A, 10.1.1; Xen PVH start-up; Linux boot protocol).
 *
 * Main thread with the machine lock.
 */
#include "util/osdep.h"
#include "boot.h"
#include "features.h"

#define APIC_DEFAULT_BASE 0xfee00000u
#define APIC_BASE_BSP BIT(8)
#define APIC_BASE_ENABLE BIT(11)

#define CR0_PE BIT(0)
#define CR0_ET BIT(4)
#define CR0_PG BIT(31)
#define CR4_PAE BIT(5)
#define EFER_LME BIT(8)
#define EFER_LMA BIT(10)

bool x86_cpu_is_boot_cpu(const X86Cpu *cpu)
{
    return cpu->cpu.index == 0;
}

/* ---- power-on ---- */

static X86Segment real_mode_segment(unsigned type_and_s)
{
    return (X86Segment){ .limit = 0xffff, .rights = X86_AR_P | type_and_s };
}

static void reset_lapic(uint8_t *lapic, const X86Cpu *cpu)
{
    static const struct {
        uint16_t offset;
        uint32_t value;
    } values[] = {
        { 0x30, 0x00050014 },   /* version: 6 local vectors */
        { 0xe0, 0xffffffff },   /* destination format: flat */
        { 0xf0, 0xff },         /* spurious vector, software-disabled */
        { 0x320, 0x10000 }, { 0x330, 0x10000 }, { 0x340, 0x10000 },     /* local vectors: masked */
        { 0x350, 0x10000 }, { 0x360, 0x10000 }, { 0x370, 0x10000 },
    };
    uint32_t id = cpu->apic_id << 24;

    memset(lapic, 0, X86_LAPIC_SIZE);
    memcpy(lapic + 0x20, &id, 4);
    for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
        memcpy(lapic + values[i].offset, &values[i].value, 4);
    }
}

void x86_reset_xsave(X86Registers *r)
{
    uint16_t fcw = 0x37f;
    uint32_t mxcsr = 0x1f80;

    /* A loaded state may have less than the header, or nothing. */
    if (r->xsave_size >= 24 + sizeof(mxcsr)) {
        memset(r->xsave, 0, r->xsave_size);
        memcpy(r->xsave, &fcw, sizeof(fcw));
        memcpy(r->xsave + 24, &mxcsr, sizeof(mxcsr));
    }
}

void x86_cpu_reset(CpuState *cs)
{
    X86Cpu *cpu = X86_CPU(cs);
    X86Registers *r = &cpu->regs;
    const X86CpuidEntry *leaf = x86_cpuid_find(cpu->cpuid, cpu->cpuid_count, 1, 0);
    bool boot = x86_cpu_is_boot_cpu(cpu);
    uint8_t *xsave = r->xsave;
    uint32_t xsave_size = r->xsave_size;

    *r = (X86Registers){
        .rip = 0xfff0, .rflags = 2, .cr0 = 0x60000010,
        .dr6 = 0xffff0ff0, .dr7 = 0x400, .xcr0 = 1,
        .apic_base = APIC_DEFAULT_BASE | APIC_BASE_ENABLE | (boot ? APIC_BASE_BSP : 0),
        .gdt = { .limit = 0xffff }, .idt = { .limit = 0xffff },
        .mp_state = boot ? X86_MP_RUNNABLE : X86_MP_WAIT_FOR_INIT,
        .xsave = xsave, .xsave_size = xsave_size,
    };
    for (int i = X86_ES; i <= X86_GS; i++) {
        r->segment[i] = real_mode_segment(X86_AR_S | 3);
    }
    r->segment[X86_CS] = real_mode_segment(X86_AR_S | 0xb);
    r->segment[X86_CS].selector = 0xf000;
    r->segment[X86_CS].base = 0xffff0000;
    r->segment[X86_LDT] = real_mode_segment(2);
    r->segment[X86_TR] = real_mode_segment(0xb);
    r->gpr[X86_RDX] = leaf ? leaf->eax : 0x600;
    reset_lapic(r->lapic, cpu);
    x86_reset_xsave(r);
}

/* ---- direct boot ---- */

static X86Segment flat_segment(uint16_t selector, uint32_t rights)
{
    return (X86Segment){
        .limit = 0xffffffff, .selector = selector,
        .rights = rights | X86_AR_S | X86_AR_P | X86_AR_G,
    };
}

static void set_flat_segments(X86Registers *r, uint16_t code, uint32_t code_rights, uint16_t data)
{
    for (int i = X86_ES; i <= X86_GS; i++) {
        r->segment[i] = flat_segment(data, X86_AR_DB | 3);
    }
    r->segment[X86_CS] = flat_segment(code, code_rights | 0xb);
    r->segment[X86_LDT] = (X86Segment){ .rights = X86_AR_UNUSABLE };
    r->segment[X86_TR] = (X86Segment){
        .selector = data + 8, .limit = 0x67, .rights = X86_AR_P | 0xb,
    };
}

void x86_cpu_set_boot_state(CpuState *cs, const X86BootState *boot)
{
    X86Cpu *cpu = X86_CPU(cs);
    X86Registers *r = &cpu->regs;

    if (boot->mode == X86_BOOT_FLAT32) {
        set_flat_segments(r, 0x8, X86_AR_DB, 0x10);
        r->cr0 = CR0_PE | CR0_ET;
        r->cr4 = 0;
        r->efer = 0;
    } else {
        set_flat_segments(r, 0x10, X86_AR_L, 0x18);
        r->cr0 = CR0_PE | CR0_ET | CR0_PG;
        r->cr3 = boot->cr3;
        r->cr4 = CR4_PAE;
        r->efer = EFER_LME | EFER_LMA;
    }
    r->rip = boot->rip;
    r->rflags = 2;
    r->gpr[X86_RAX] = boot->rax;
    r->gpr[X86_RBX] = boot->rbx;
    r->gpr[X86_RSI] = boot->rsi;
    r->gpr[X86_RSP] = boot->rsp;
    r->gpr[X86_RDX] = 0;
    r->gdt = (X86Table){ boot->gdt_base, boot->gdt_limit };
    r->idt = (X86Table){ 0, 0 };
    cpu_state_changed(cs, CPU_STATE_RESET);
    /* What firmware would have done on every CPU. */
    CPU_FOREACH(other) {
        X86_CPU(other)->regs.firmware_absent = true;
    }
}
