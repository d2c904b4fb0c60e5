/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of a vCPU as it is saved. What the kernel defines (LAPIC page,
 * pending events, XSAVE area) goes as the kernel's bytes.
 */
#include "util/osdep.h"
#include "cpu.h"

#define ARRAY(st, f, k, n) \
    { .name = #f, .kind = (k), .offset = offsetof(st, f), .size = sizeof(((st *)0)->f[0]), .count = (n) }

static const StateField segment_fields[] = {
    STATE_F_UINT64(X86Segment, base),
    STATE_F_UINT32(X86Segment, limit),
    STATE_F_UINT32(X86Segment, rights),
    STATE_F_UINT16(X86Segment, selector),
    STATE_F_END
};
static const StateTable segment_state = {
    .name = "segment", .version = 1, .minimum_version = 1, .fields = segment_fields,
};

static const StateField table_fields[] = {
    STATE_F_UINT64(X86Table, base),
    STATE_F_UINT16(X86Table, limit),
    STATE_F_END
};
static const StateTable table_state = {
    .name = "table", .version = 1, .minimum_version = 1, .fields = table_fields,
};

static const StateField msr_fields[] = {
    STATE_F_UINT32(X86Msr, index),
    STATE_F_UINT64(X86Msr, value),
    STATE_F_END
};
static const StateTable msr_state = {
    .name = "msr", .version = 1, .minimum_version = 1, .fields = msr_fields,
};

static const StateField register_fields[] = {
    ARRAY(X86Registers, gpr, STATE_UINT64, X86_GPR_COUNT),
    STATE_F_UINT64(X86Registers, rip),
    STATE_F_UINT64(X86Registers, rflags),
    STATE_F_STRUCT_ARRAY(X86Registers, segment, X86_SEGMENT_COUNT, &segment_state),
    STATE_F_STRUCT(X86Registers, gdt, &table_state),
    STATE_F_STRUCT(X86Registers, idt, &table_state),
    STATE_F_UINT64(X86Registers, cr0),
    STATE_F_UINT64(X86Registers, cr2),
    STATE_F_UINT64(X86Registers, cr3),
    STATE_F_UINT64(X86Registers, cr4),
    STATE_F_UINT64(X86Registers, cr8),
    STATE_F_UINT64(X86Registers, efer),
    STATE_F_UINT64(X86Registers, apic_base),
    ARRAY(X86Registers, dr, STATE_UINT64, 4),
    STATE_F_UINT64(X86Registers, dr6),
    STATE_F_UINT64(X86Registers, dr7),
    STATE_F_UINT64(X86Registers, xcr0),
    STATE_F_UINT32(X86Registers, mp_state),
    STATE_F_UINT32(X86Registers, msr_count),
    { .name = "msr", .kind = STATE_STRUCT, .offset = offsetof(X86Registers, msr),
      .size = sizeof(X86Msr), .count = X86_MSR_MAX,
      .count_offset = offsetof(X86Registers, msr_count), .table = &msr_state },
    STATE_F_BYTES(X86Registers, lapic),
    STATE_F_BYTES(X86Registers, events),
    { .name = "xsave", .kind = STATE_BUFFER, .offset = offsetof(X86Registers, xsave),
      .count = 1, .count_offset = offsetof(X86Registers, xsave_size), .max = X86_XSAVE_MAX },
    STATE_F_END
};
static const StateTable register_state = {
    .name = "registers", .version = 1, .minimum_version = 1, .fields = register_fields,
};

static void pre_save(void *opaque)
{
    cpu_state_load(&X86_CPU(opaque)->cpu);
}

static bool post_load(void *opaque, int version)
{
    X86Cpu *cpu = X86_CPU(opaque);

    if (cpu->regs.msr_count > X86_MSR_MAX || cpu->regs.mp_state > X86_MP_SIPI_RECEIVED) {
        return false;
    }
    cpu->cpu.state_loaded = true;
    cpu_state_changed(&cpu->cpu, CPU_STATE_FULL);
    return true;
}

static void save_apic_id(StateStream *s, const void *field, const void *opaque)
{
    state_put_u32(s, *(const uint32_t *)field);
}

/* Which CPU it is, is no state: it must be the same one. */
static bool check_apic_id(StateStream *s, void *field, void *opaque)
{
    uint32_t there = state_get_u32(s), here = *(uint32_t *)field;

    if (there != here) {
        state_fail(s, "%u at the source, %u here", there, here);
    }
    return state_ok(s);
}

static const StateField cpu_fields[] = {
    STATE_F_CUSTOM(X86Cpu, apic_id, save_apic_id, check_apic_id),
    STATE_F_STRUCT(X86Cpu, regs, &register_state),
    STATE_F_END
};

const StateTable x86_cpu_state = {
    .name = "cpu", .version = 1, .minimum_version = 1, .fields = cpu_fields,
    .pre_save = pre_save, .post_load = post_load,
};
