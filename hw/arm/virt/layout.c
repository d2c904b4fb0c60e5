/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where things are above RAM. Pure arithmetic on the machine's options. */
#include "util/osdep.h"

#include "machine.h"

static ArmVirtRange next(uint64_t *base, uint64_t size)
{
    ArmVirtRange r = { ROUND_UP(*base, size), size };

    *base = r.base + size;
    return r;
}

void arm_virt_layout(const MachineState *m, ArmVirtLayout *layout)
{
    uint64_t base = ROUND_UP(ARM_VIRT_RAM + m->ram_size, GIB);

    *layout = (ArmVirtLayout){ 0 };
    if (m->max_ram_size > m->ram_size) {
        /* Every slot can lose up to 1 GiB to alignment. */
        layout->device_memory.base = base;
        layout->device_memory.size = m->max_ram_size - m->ram_size + m->ram_slots * GIB;
        base = ROUND_UP(base + layout->device_memory.size, GIB);
    }
    base = MAX(base, ARM_VIRT_HIGH_START);
    layout->high_redist = next(&base, ARM_VIRT_HIGH_REDIST_SIZE);
    layout->high_ecam = next(&base, ARM_VIRT_HIGH_ECAM_SIZE);
    layout->high_mmio = next(&base, ARM_VIRT_HIGH_MMIO_SIZE);
    layout->end = base;
}

unsigned arm_virt_address_bits(MachineState *m)
{
    ArmVirtLayout layout;

    if (!object_is_a(m, &arm_virt_machine_type)) {
        return 40;
    }
    if (!ARM_VIRT_MACHINE(m)->highmem) {
        return 32;
    }
    arm_virt_layout(m, &layout);
    return 64 - __builtin_clzll(layout.end - 1);
}
