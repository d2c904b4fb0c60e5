/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hyper-V's interface for guests that know it, as far as KVM has it: which
 * parts, what they need, and their CPUID leaves (Hypervisor Top-Level
 * Functional Specification, chapter 2). Main thread, at realize.
 */
#include "util/osdep.h"
#include "hyperv.h"

/* Registers of the leaves, as far as parts of the interface are told apart there. */
typedef struct HvBits {
    uint32_t eax3, edx3;        /* leaf 0x40000003: access to MSRs; features */
    uint32_t eax4;              /* leaf 0x40000004: what a guest had better use */
} HvBits;

static const struct {
    const char *name;
    HvBits bits;
    uint64_t needs;             /* other parts */
} parts[] = {
    [X86_HV_RELAXED] = { "hv-relaxed", { .eax4 = BIT(5) }, 0 },
    [X86_HV_VAPIC] = { "hv-vapic", { .eax3 = BIT(4), .eax4 = BIT(3) }, 0 },
    [X86_HV_VPINDEX] = { "hv-vpindex", { .eax3 = BIT(6) }, 0 },
    [X86_HV_RUNTIME] = { "hv-runtime", { .eax3 = BIT(0) }, 0 },
    [X86_HV_CRASH] = { "hv-crash", { .edx3 = BIT(10) }, 0 },
    [X86_HV_TIME] = { "hv-time", { .eax3 = BIT(1) | BIT(9) }, 0 },
    [X86_HV_SYNIC] = { "hv-synic", { .eax3 = BIT(2) }, BIT(X86_HV_VPINDEX) },
    [X86_HV_STIMER] = { "hv-stimer", { .eax3 = BIT(3) }, BIT(X86_HV_SYNIC) | BIT(X86_HV_TIME) },
    [X86_HV_STIMER_DIRECT] = { "hv-stimer-direct", { .edx3 = BIT(19) }, BIT(X86_HV_STIMER) },
    [X86_HV_RESET] = { "hv-reset", { .eax3 = BIT(7) }, 0 },
    [X86_HV_FREQUENCIES] = { "hv-frequencies", { .eax3 = BIT(11), .edx3 = BIT(8) }, 0 },
    [X86_HV_REENLIGHTENMENT] = { "hv-reenlightenment", { .eax3 = BIT(13) }, 0 },
    [X86_HV_TLBFLUSH] = { "hv-tlbflush", { .eax4 = BIT(2) | BIT(11) }, BIT(X86_HV_VPINDEX) },
    [X86_HV_IPI] = { "hv-ipi", { .eax4 = BIT(10) | BIT(11) }, BIT(X86_HV_VPINDEX) },
    [X86_HV_AVIC] = { "hv-avic", { .eax4 = BIT(9) }, 0 },
    [X86_HV_XMM_INPUT] = { "hv-xmm-input", { .edx3 = BIT(4) }, 0 },
};

#define ACCESS_HYPERCALL BIT(5)

static bool has(const X86Cpu *cpu, unsigned part)
{
    return cpu->hv & BIT(part);
}

bool x86_hv_enabled(const X86Cpu *cpu)
{
    return cpu->hv || cpu->hv_spinlocks != UINT32_MAX;
}

static bool offers(const X86CpuidEntry *list, unsigned count, const HvBits *want)
{
    const X86CpuidEntry *f = x86_cpuid_find(list, count, 0x40000003, 0);
    const X86CpuidEntry *r = x86_cpuid_find(list, count, 0x40000004, 0);

    return f && r && !(want->eax3 & ~f->eax) && !(want->edx3 & ~f->edx) && !(want->eax4 & ~r->eax);
}

void x86_hv_take_all(X86Cpu *cpu, const X86CpuidEntry *list, unsigned count)
{
    for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
        if (offers(list, count, &parts[i].bits)) {
            cpu->hv |= BIT(i);
        }
    }
    for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
        if ((parts[i].needs & cpu->hv) != parts[i].needs) {
            cpu->hv &= ~BIT(i);
        }
    }
}

bool x86_hv_check(const X86Cpu *cpu, const X86CpuidEntry *list, unsigned count, Error **errp)
{
    if (x86_hv_enabled(cpu) && !count) {
        error_setg(errp, "Hyper-V features (hv-...) are not supported by this host's KVM");
        return false;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
        if (!has(cpu, i)) {
            continue;
        }
        for (unsigned n = 0; n < ARRAY_SIZE(parts); n++) {
            if ((parts[i].needs & BIT(n)) && !has(cpu, n)) {
                error_setg(errp, "%s needs %s", parts[i].name, parts[n].name);
                return false;
            }
        }
        if (!offers(list, count, &parts[i].bits)) {
            error_setg(errp, "%s is not supported by this host's KVM", parts[i].name);
            return false;
        }
    }
    return true;
}

/* ---- leaves ---- */

static void set_text(X86CpuidEntry *e, const char *text)
{
    char padded[12] = { 0 };

    memcpy(padded, text, MIN(strlen(text), sizeof(padded)));
    memcpy(&e->ebx, padded, 4);
    memcpy(&e->ecx, padded + 4, 4);
    memcpy(&e->edx, padded + 8, 4);
}

unsigned x86_hv_leaves(const X86Cpu *cpu, unsigned max_cpus, X86CpuidEntry out[X86_HV_LEAVES])
{
    HvBits bits = { .eax3 = ACCESS_HYPERCALL };

    for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
        if (has(cpu, i)) {
            bits.eax3 |= parts[i].bits.eax3;
            bits.edx3 |= parts[i].bits.edx3;
            bits.eax4 |= parts[i].bits.eax4;
        }
    }
    memset(out, 0, X86_HV_LEAVES * sizeof(out[0]));
    for (unsigned i = 0; i < X86_HV_LEAVES; i++) {
        out[i].function = 0x40000000 + i;
    }
    out[0].eax = 0x40000000 + X86_HV_LEAVES - 1;
    set_text(&out[0], cpu->hv_vendor_id ? cpu->hv_vendor_id : "Microsoft Hv");
    out[1].eax = 0x31237648;    /* "Hv#1": the interface described in the specification */
    out[2].eax = cpu->hv_version.build;
    out[2].ebx = (uint32_t)cpu->hv_version.major << 16 | cpu->hv_version.minor;
    out[2].ecx = cpu->hv_version.spack;
    out[2].edx = (uint32_t)cpu->hv_version.sbranch << 24 | (cpu->hv_version.snumber & 0xffffff);
    out[3].eax = bits.eax3;
    out[3].edx = bits.edx3;
    out[4].eax = bits.eax4;
    out[4].ebx = cpu->hv_spinlocks;
    out[5].eax = max_cpus;
    out[5].ebx = 64;            /* logical processors: of no meaning to a guest */
    return X86_HV_LEAVES;
}
