/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Arm part of a KVM VM: address space size, how interrupts are numbered,
 * and the virtual counter, which stands still while the machine does. The
 * interrupt controller itself is a device (hw/intc/arm-gic-kvm.c).
 *
 * Main thread with the machine lock.
 */
#include "util/osdep.h"
#include <asm/kvm.h>
#include <sys/ioctl.h>
#include "accel/kvm/kvm-int.h"
#include "hw/arm/virt.h"
#include "kvm-arm.h"
#include "system/runstate.h"

const KvmCap kvm_arch_required[] = {
    KVM_CAP_ENTRY(ONE_REG), KVM_CAP_ENTRY(ARM_PSCI_0_2), KVM_CAP_ENTRY(DEVICE_CTRL),
    KVM_CAP_ENTRY(VCPU_EVENTS),
    { 0, NULL }
};

unsigned kvm_arm_ipa_bits(void)
{
    int max = kvm_check_extension(KVM_CAP_ARM_VM_IPA_SIZE);

    return max > 0 ? (unsigned)max : 40;
}

/* No larger than the memory map needs: more bits can cost a level of page tables. */
unsigned long kvm_arch_vm_type(void)
{
    unsigned wanted = MAX(arm_virt_address_bits(machine_current()), 32);
    unsigned max = kvm_arm_ipa_bits();

    return kvm_check_extension(KVM_CAP_ARM_VM_IPA_SIZE) ? MIN(wanted, max) : 0;
}

/* ---- interrupts ---- */

static bool (*translate_msi)(MsiMessage msg, unsigned *spi);

void kvm_arm_set_msi_frame(bool (*translate)(MsiMessage msg, unsigned *spi))
{
    translate_msi = translate;
}

unsigned kvm_arch_irq_pins(struct kvm_irq_routing_entry *entries, unsigned max)
{
    for (unsigned i = 0; i < MIN(max, ARM_VIRT_SPIS); i++) {
        entries[i] = (struct kvm_irq_routing_entry){
            .gsi = i, .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip.pin = i,
        };
    }
    return MIN(max, ARM_VIRT_SPIS);
}

/* Messages go to the ITS, which tells senders apart; or to a frame that turns them into lines. */
void kvm_arch_msi_entry(struct kvm_irq_routing_entry *entry, MsiMessage msg, uint16_t requester_id)
{
    unsigned spi;

    if (translate_msi && translate_msi(msg, &spi)) {
        entry->type = KVM_IRQ_ROUTING_IRQCHIP;
        entry->u.irqchip.irqchip = 0;
        entry->u.irqchip.pin = spi;
        return;
    }
    entry->flags = KVM_MSI_VALID_DEVID;
    entry->u.msi.devid = requester_id;
}

bool kvm_arch_send_msi(struct kvm_msi *msi, MsiMessage msg, uint16_t requester_id)
{
    unsigned spi;

    if (translate_msi && translate_msi(msg, &spi)) {
        kvm_set_gsi(spi, 1);
        kvm_set_gsi(spi, 0);
        return true;
    }
    msi->flags = KVM_MSI_VALID_DEVID;
    msi->devid = requester_id;
    return false;
}

uint32_t kvm_arch_irq_line(int gsi)
{
    return (uint32_t)KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT | (gsi + ARM_GIC_SPI_FIRST);
}

static bool has_device(int vm, uint32_t type)
{
    struct kvm_create_device d = { .type = type, .flags = KVM_CREATE_DEVICE_TEST };

    return ioctl(vm, KVM_CREATE_DEVICE, &d) == 0;
}

unsigned kvm_arm_gic_versions(void)
{
    int vm = kvm_ioctl(KVM_CREATE_VM, NULL);
    unsigned mask = 0;

    if (vm >= 0) {
        mask = (has_device(vm, KVM_DEV_TYPE_ARM_VGIC_V2) ? 1u << 2 : 0) |
               (has_device(vm, KVM_DEV_TYPE_ARM_VGIC_V3) ? 1u << 3 : 0);
        close(vm);
    }
    return mask;
}

bool kvm_arch_irqchip_create(Error **errp)
{
    return true;
}

/* ---- the counter stands still while the machine does ---- */

static uint64_t stopped_count;
static bool count_stopped;

static int counter(unsigned long request, uint64_t *value)
{
    struct kvm_one_reg reg = { .id = KVM_REG_ARM_TIMER_CNT, .addr = (uintptr_t)value };

    return kvm_vcpu_ioctl(cpu_first(), request, &reg);
}

static void stop_counter(CpuState *cpu, void *opaque)
{
    count_stopped = counter(KVM_GET_ONE_REG, &stopped_count) >= 0;
}

static void continue_counter(CpuState *cpu, void *opaque)
{
    if (counter(KVM_SET_ONE_REG, &stopped_count) < 0) {
        warn_report("KVM: the guest's clock jumps over the time that it was stopped");
    }
    count_stopped = false;
}

/* The kernel has one offset for all CPUs: the first one speaks for all. */
static void clock_run_state(void *opaque, bool running, RunState state)
{
    CpuState *cpu = cpu_first();

    if (!cpu || ARM_CPU(cpu)->no_adjvtime) {
        return;
    }
    if (!running) {
        cpu_run_on(cpu, stop_counter, NULL);
    } else if (count_stopped) {
        cpu_run_on(cpu, continue_counter, NULL);
    }
}

void kvm_arm_counter_restored(void)
{
    count_stopped = false;
}

bool kvm_arch_vm_init(KvmState *s, Error **errp)
{
    run_state_notify(clock_run_state, NULL, 0);
    return true;
}
