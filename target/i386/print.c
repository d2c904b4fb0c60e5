/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registers as text, for "info registers" and reports of guests that stopped.
 */
#include "util/osdep.h"
#include "cpu.h"

static void print_segment(GString *out, const char *name, const X86Segment *s)
{
    g_string_append_printf(out, "%s =%04x %016" PRIx64 " %08x %08x %s%s%s\n", name, s->selector,
                           s->base, s->limit, s->rights << 8,
                           s->rights & X86_AR_UNUSABLE ? "unusable" : "",
                           s->rights & X86_AR_L ? "64-bit " : "",
                           s->rights & X86_AR_DB ? "32-bit" : "");
}

void x86_cpu_print_state(CpuState *cs, GString *out)
{
    static const char *const gpr[] = { "RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
                                       "R8 ", "R9 ", "R10", "R11", "R12", "R13", "R14", "R15" };
    static const char *const segment[] = { "ES", "CS", "SS", "DS", "FS", "GS", "LDT", "TR" };
    const X86Registers *r = &X86_CPU(cs)->regs;

    for (int i = 0; i < X86_GPR_COUNT; i++) {
        g_string_append_printf(out, "%s=%016" PRIx64 "%c", gpr[i], r->gpr[i], i % 4 == 3 ? '\n' : ' ');
    }
    g_string_append_printf(out, "RIP=%016" PRIx64 " RFL=%08" PRIx64 " HLT=%d\n", r->rip, r->rflags,
                           r->mp_state == X86_MP_HALTED);
    for (int i = 0; i < X86_SEGMENT_COUNT; i++) {
        print_segment(out, segment[i], &r->segment[i]);
    }
    g_string_append_printf(out, "GDT=     %016" PRIx64 " %08x\nIDT=     %016" PRIx64 " %08x\n",
                           r->gdt.base, r->gdt.limit, r->idt.base, r->idt.limit);
    g_string_append_printf(out, "CR0=%08" PRIx64 " CR2=%016" PRIx64 " CR3=%016" PRIx64
                           " CR4=%08" PRIx64 "\n", r->cr0, r->cr2, r->cr3, r->cr4);
    for (int i = 0; i < 4; i++) {
        g_string_append_printf(out, "DR%d=%016" PRIx64 " ", i, r->dr[i]);
    }
    g_string_append_printf(out, "\nDR6=%016" PRIx64 " DR7=%016" PRIx64 "\nEFER=%016" PRIx64
                           " APIC=%016" PRIx64 "\n", r->dr6, r->dr7, r->efer, r->apic_base);
}

bool x86_cpu_get_register(CpuState *cs, const char *name, int64_t *value)
{
    static const char *const gpr[] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                       "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15" };
    const X86Registers *r = &X86_CPU(cs)->regs;
    const struct {
        const char *name;
        uint64_t value;
    } others[] = {
        { "rip", r->rip }, { "eip", (uint32_t)r->rip }, { "pc", r->rip },
        { "eflags", r->rflags }, { "rflags", r->rflags },
        { "cs", r->segment[X86_CS].selector }, { "ds", r->segment[X86_DS].selector },
        { "es", r->segment[X86_ES].selector }, { "ss", r->segment[X86_SS].selector },
        { "fs", r->segment[X86_FS].selector }, { "gs", r->segment[X86_GS].selector },
        { "cs.base", r->segment[X86_CS].base }, { "fs.base", r->segment[X86_FS].base },
        { "gs.base", r->segment[X86_GS].base }, { "cr0", r->cr0 }, { "cr2", r->cr2 },
        { "cr3", r->cr3 }, { "cr4", r->cr4 }, { "efer", r->efer },
    };

    for (int i = 0; i < X86_GPR_COUNT; i++) {
        if (strcmp(name, gpr[i]) == 0) {
            *value = (int64_t)r->gpr[i];
            return true;
        }
        /* "eax" is the lower half of "rax". */
        if (i < 8 && name[0] == 'e' && strcmp(name + 1, gpr[i] + 1) == 0) {
            *value = (uint32_t)r->gpr[i];
            return true;
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        if (strcmp(name, others[i].name) == 0) {
            *value = (int64_t)others[i].value;
            return true;
        }
    }
    return false;
}
