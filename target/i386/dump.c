/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registers in dumps of guest memory: NT_PRSTATUS as Linux has it, and the note
 * "QEMU", from which crash takes what is not in it. Machine lock.
 */
#include "util/osdep.h"
#include <elf.h>
#include "cpu.h"
#include "system/dump.h"
#include "util/bswap.h"

/* struct elf_prstatus of x86_64. */
enum { PRSTATUS_SIZE = 336, PRSTATUS_PID = 32, PRSTATUS_REGS = 112 };
enum { STATE_VERSION = 1, STATE_SIZE = 440 };

static uint8_t *put(uint8_t *p, uint64_t v, unsigned size)
{
    store_le(p, v, size);
    return p + size;
}

static void put_prstatus(const X86Registers *r, int pid, GByteArray *out)
{
    const uint64_t *g = r->gpr;
    const X86Segment *s = r->segment;
    /* struct user_regs_struct. */
    const uint64_t regs[] = {
        g[15], g[14], g[13], g[12], g[X86_RBP], g[X86_RBX], g[11], g[10], g[9], g[8], g[X86_RAX], g[X86_RCX],
        g[X86_RDX], g[X86_RSI], g[X86_RDI], g[X86_RAX], r->rip, s[X86_CS].selector, r->rflags, g[X86_RSP],
        s[X86_SS].selector, s[X86_FS].base, s[X86_GS].base, s[X86_DS].selector, s[X86_ES].selector,
        s[X86_FS].selector, s[X86_GS].selector,
    };
    uint8_t b[PRSTATUS_SIZE] = { 0 }, *p = b + PRSTATUS_REGS;

    put(b + PRSTATUS_PID, pid, 4);
    for (unsigned i = 0; i < ARRAY_SIZE(regs); i++) {
        p = put(p, regs[i], 8);
    }
    dump_append_note(out, "CORE", NT_PRSTATUS, b, sizeof(b));
}

static uint8_t *put_segment(uint8_t *p, uint16_t selector, uint32_t limit, uint32_t flags, uint64_t base)
{
    p = put(p, selector, 4);
    p = put(p, limit, 4);
    p = put(p, flags, 4);
    p = put(p, 0, 4);
    return put(p, base, 8);
}

static void put_state(const X86Registers *r, GByteArray *out)
{
    static const uint8_t gprs[] = {
        X86_RAX, X86_RBX, X86_RCX, X86_RDX, X86_RSI, X86_RDI, X86_RSP, X86_RBP, 8, 9, 10, 11, 12, 13, 14, 15,
    };
    static const uint8_t segments[] = { X86_CS, X86_DS, X86_ES, X86_FS, X86_GS, X86_SS, X86_LDT, X86_TR };
    const uint64_t cr[] = { r->cr0, 0, r->cr2, r->cr3, r->cr4 };
    uint8_t b[STATE_SIZE] = { 0 }, *p = put(b, STATE_VERSION, 4);

    p = put(p, STATE_SIZE, 4);
    for (unsigned i = 0; i < ARRAY_SIZE(gprs); i++) {
        p = put(p, r->gpr[gprs[i]], 8);
    }
    p = put(p, r->rip, 8);
    p = put(p, r->rflags, 8);
    for (unsigned i = 0; i < ARRAY_SIZE(segments); i++) {
        const X86Segment *s = &r->segment[segments[i]];

        p = put_segment(p, s->selector, s->limit, s->rights << 8, s->base);
    }
    p = put_segment(p, 0, r->gdt.limit, 0, r->gdt.base);
    p = put_segment(p, 0, r->idt.limit, 0, r->idt.base);
    for (unsigned i = 0; i < ARRAY_SIZE(cr); i++) {
        p = put(p, cr[i], 8);
    }
    for (uint32_t i = 0; i < r->msr_count; i++) {
        if (r->msr[i].index == 0xc0000102) {
            put(p, r->msr[i].value, 8);         /* kernel GS base */
        }
    }
    dump_append_note(out, "QEMU", 0, b, sizeof(b));
}

void x86_cpu_dump_notes(CpuState *cs, GByteArray *out)
{
    put_prstatus(&X86_CPU(cs)->regs, cs->index + 1, out);
    put_state(&X86_CPU(cs)->regs, out);
}
