/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The x86 part of a KVM VM: interrupt controllers in the kernel, the pages
 * that KVM needs for itself, the paravirtual clock.
 *
 * Main thread with the machine lock.
 */
#include "util/osdep.h"
#include "accel/kvm/kvm-int.h"
#include "hw/core/device.h"
#include "kvm-x86.h"
#include "migration/state.h"
#include "system/runstate.h"

/* Reserved in the machine's memory map: a page table page, and three pages of a TSS. */
#define IDENTITY_MAP_ADDR UINT64_C(0xfeffc000)
#define TSS_ADDR UINT64_C(0xfeffd000)

const KvmCap kvm_arch_required[] = {
    KVM_CAP_ENTRY(IRQCHIP), KVM_CAP_ENTRY(EXT_CPUID), KVM_CAP_ENTRY(ADJUST_CLOCK),
    KVM_CAP_ENTRY(VCPU_EVENTS), KVM_CAP_ENTRY(XSAVE), KVM_CAP_ENTRY(X2APIC_API),
    { 0, NULL }
};

unsigned long kvm_arch_vm_type(void)
{
    return 0;
}

/* A reset of the machine resets the IOAPIC; the kernel's is new the first time. */
static void reset_ioapic(void *opaque)
{
    static bool used;
    struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };

    if (!used || kvm_vm_ioctl(KVM_GET_IRQCHIP, &chip) < 0) {
        used = true;
        return;
    }
    chip.chip.ioapic.ioregsel = 0;
    chip.chip.ioapic.id = 0;
    chip.chip.ioapic.irr = 0;
    for (int i = 0; i < KVM_IOAPIC_NUM_PINS; i++) {
        chip.chip.ioapic.redirtbl[i].bits = 0;
        chip.chip.ioapic.redirtbl[i].fields.mask = 1;
    }
    kvm_vm_ioctl(KVM_SET_IRQCHIP, &chip);
}

/* ---- the IOAPIC's state ---- */

typedef struct IoapicState {
    uint32_t select, id, irr;
    uint64_t redirect[KVM_IOAPIC_NUM_PINS];
} IoapicState;

static IoapicState ioapic_values;

static void ioapic_pre_save(void *opaque)
{
    struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };

    if (kvm_vm_ioctl(KVM_GET_IRQCHIP, &chip) < 0) {
        return;
    }
    ioapic_values = (IoapicState){
        .select = chip.chip.ioapic.ioregsel, .id = chip.chip.ioapic.id, .irr = chip.chip.ioapic.irr,
    };
    for (int i = 0; i < KVM_IOAPIC_NUM_PINS; i++) {
        ioapic_values.redirect[i] = chip.chip.ioapic.redirtbl[i].bits;
    }
}

static bool ioapic_post_load(void *opaque, int version)
{
    struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };

    if (kvm_vm_ioctl(KVM_GET_IRQCHIP, &chip) < 0) {
        return false;
    }
    chip.chip.ioapic.ioregsel = ioapic_values.select;
    chip.chip.ioapic.id = ioapic_values.id;
    chip.chip.ioapic.irr = ioapic_values.irr;
    for (int i = 0; i < KVM_IOAPIC_NUM_PINS; i++) {
        chip.chip.ioapic.redirtbl[i].bits = ioapic_values.redirect[i];
    }
    return kvm_vm_ioctl(KVM_SET_IRQCHIP, &chip) >= 0;
}

static const StateField ioapic_fields[] = {
    STATE_F_UINT32(IoapicState, select),
    STATE_F_UINT32(IoapicState, id),
    STATE_F_UINT32(IoapicState, irr),
    { .name = "redirect", .kind = STATE_UINT64, .offset = offsetof(IoapicState, redirect),
      .size = sizeof(uint64_t), .count = KVM_IOAPIC_NUM_PINS },
    STATE_F_END
};

/* Before the devices, which set their lines when they load. */
static const StateTable ioapic_state = {
    .name = "ioapic", .version = 1, .minimum_version = 1, .fields = ioapic_fields, .priority = 50,
    .pre_save = ioapic_pre_save, .post_load = ioapic_post_load,
};

/*
 * The pair of 8259s comes along, and in the kernel's first routing table the
 * lines below 16 lead to both. Masked it stays silent, whatever a guest
 * does with its local APIC.
 */
static int mask_pic(void)
{
    struct kvm_irqchip chip = {
        .chip_id = KVM_IRQCHIP_PIC_MASTER, .chip.pic = { .imr = 0xff, .elcr_mask = 0xf8 },
    };

    return kvm_vm_ioctl(KVM_SET_IRQCHIP, &chip);
}

bool kvm_arch_vm_init(KvmState *s, Error **errp)
{
    uint64_t identity = IDENTITY_MAP_ADDR;
    int ret;

    ret = kvm_vm_ioctl(KVM_SET_IDENTITY_MAP_ADDR, &identity);
    if (ret >= 0) {
        ret = kvm_vm_ioctl(KVM_SET_TSS_ADDR, (void *)TSS_ADDR);
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "cannot place its own pages");
        return false;
    }
    kvm_x86_clock_init();
    return true;
}

bool kvm_arch_irqchip_create(Error **errp)
{
    struct kvm_enable_cap x2apic = {
        .cap = KVM_CAP_X2APIC_API,
        .args = { KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK },
    };
    int ret;

    ret = kvm_vm_ioctl(KVM_CREATE_IRQCHIP, NULL);
    if (ret >= 0) {
        ret = mask_pic();
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "cannot create interrupt controllers");
        return false;
    }
    ret = kvm_vm_ioctl(KVM_ENABLE_CAP, &x2apic);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "cannot use 32-bit APIC ids");
        return false;
    }
    reset_register(reset_ioapic, NULL);
    state_register(&ioapic_state, "ioapic", 0, &ioapic_values);
    return true;
}

/* GSIs are the IOAPIC's pins: there is no other controller that a guest could find. */
unsigned kvm_arch_irq_pins(struct kvm_irq_routing_entry *entries, unsigned max)
{
    for (unsigned i = 0; i < KVM_IOAPIC_NUM_PINS; i++) {
        entries[i] = (struct kvm_irq_routing_entry){
            .gsi = i, .type = KVM_IRQ_ROUTING_IRQCHIP,
            .u.irqchip = { .irqchip = KVM_IRQCHIP_IOAPIC, .pin = i },
        };
    }
    return KVM_IOAPIC_NUM_PINS;
}

void kvm_arch_msi_entry(struct kvm_irq_routing_entry *entry, MsiMessage msg, uint16_t requester_id)
{
}

bool kvm_arch_send_msi(struct kvm_msi *msi, MsiMessage msg, uint16_t requester_id)
{
    return false;
}

uint32_t kvm_arch_irq_line(int gsi)
{
    return gsi;
}

/* ---- the clock stands still while the machine does ---- */

static uint64_t stopped_clock;
static bool clock_stopped;

static void excuse_pause(CpuState *cpu, void *opaque)
{
    /* A guest that does not use the clock has none to excuse: EINVAL. */
    kvm_vcpu_ioctl(cpu, KVM_KVMCLOCK_CTRL, NULL);
}

static void clock_run_state(void *opaque, bool running, RunState state)
{
    struct kvm_clock_data data = { 0 };

    if (!running) {
        if (!clock_stopped && kvm_vm_ioctl(KVM_GET_CLOCK, &data) >= 0) {
            stopped_clock = data.clock;
            clock_stopped = true;
        }
        return;
    }
    if (!clock_stopped) {
        return;
    }
    clock_stopped = false;
    data.clock = stopped_clock;
    if (kvm_vm_ioctl(KVM_SET_CLOCK, &data) < 0) {
        warn_report("KVM: the guest's clock jumps over the time that it was stopped");
    }
    CPU_FOREACH(cpu) {
        cpu_run_on(cpu, excuse_pause, NULL);
    }
}

static void clock_pre_save(void *opaque)
{
    struct kvm_clock_data data = { 0 };

    /* A machine that never ran has not stopped either. */
    if (!clock_stopped && kvm_vm_ioctl(KVM_GET_CLOCK, &data) >= 0) {
        stopped_clock = data.clock;
    }
}

static bool clock_post_load(void *opaque, int version)
{
    clock_stopped = true;
    return true;
}

typedef struct ClockValue {
    uint64_t ns;
} ClockValue;

static const StateField clock_fields[] = {
    STATE_F_UINT64(ClockValue, ns),
    STATE_F_END
};

static const StateTable clock_state = {
    .name = "kvmclock", .version = 1, .minimum_version = 1, .fields = clock_fields,
    .pre_save = clock_pre_save, .post_load = clock_post_load,
};

void kvm_x86_clock_init(void)
{
    run_state_notify(clock_run_state, NULL, 0);
    state_register(&clock_state, "kvmclock", 0, &stopped_clock);
}
