/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * GICv2m frame (Arm Server Base System Architecture, appendix E): a store of an
 * interrupt's number is an edge of that SPI. This is how message-signalled
 * interrupts reach a GICv2. vCPU threads and the main loop, with the machine
 * lock.
 */
#include "util/osdep.h"

#include "accel/kvm.h"
#include "hw/arm/virt.h"
#include "hw/intc/arm-gic.h"
#ifdef CONFIG_KVM
#include "target/arm/kvm/kvm-arm.h"
#endif

enum { REG_TYPER = 0x008, REG_SETSPI = 0x040, REG_IIDR = 0xfcc };
#define FRAME_SIZE 0x1000u
#define IIDR 0x51240000u        /* product 'Q', revision and implementer as the drivers know it */

struct ArmGicV2m {
    DeviceState dev;
    MemoryRegion io;
    ArmGic *gic;
    uint64_t base;
    unsigned first_spi, count;
};

static const TypeInfo gicv2m_type;
#define GICV2M(p) ((ArmGicV2m *)object_cast(p, &gicv2m_type))

/* The line that message data @id stands for. */
static bool find_spi(const ArmGicV2m *s, uint32_t id, unsigned *spi)
{
    *spi = id - ARM_GIC_SPI_FIRST;
    return id >= ARM_GIC_SPI_FIRST + s->first_spi &&
           id < ARM_GIC_SPI_FIRST + s->first_spi + s->count;
}

static uint64_t frame_read(void *opaque, GuestAddr addr, unsigned size)
{
    const ArmGicV2m *s = opaque;

    switch (addr) {
    case REG_TYPER:
        return (s->first_spi + ARM_GIC_SPI_FIRST) << 16 | s->count;
    case REG_IIDR:
        return IIDR;
    default:
        return 0;
    }
}

static void frame_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    ArmGicV2m *s = opaque;
    unsigned spi;

    /* 16 or 32 bits; of the data only the interrupt's number counts. */
    if (addr == REG_SETSPI && find_spi(s, value & 0x3ff, &spi)) {
        IrqLine *line = device_gpio_in(&s->gic->dev, NULL, spi);

        irq_raise(line);
        irq_lower(line);
    }
}

static const MemoryRegionOps frame_ops = {
    .read = frame_read, .write = frame_write, .valid_min = 2, .valid_max = 4,
    .impl_min = 2, .impl_max = 4,
};

#ifdef CONFIG_KVM
static ArmGicV2m *frame;

static bool translate_msi(MsiMessage msg, unsigned *spi)
{
    return msg.address == frame->base + REG_SETSPI && find_spi(frame, msg.data & 0x3ff, spi);
}
#endif

static bool gicv2m_realize(DeviceState *dev, Error **errp)
{
    ArmGicV2m *s = GICV2M(dev);

    memory_region_init_io(&s->io, OBJECT(s), &frame_ops, s, "gicv2m", FRAME_SIZE);
    memory_region_add(system_memory(), s->base, &s->io);
#ifdef CONFIG_KVM
    if (kvm_enabled()) {
        frame = s;
        kvm_arm_set_msi_frame(translate_msi);
    }
#endif
    return true;
}

static void gicv2m_unrealize(DeviceState *dev)
{
    memory_region_cleanup(&GICV2M(dev)->io);
}

static const DeviceOps gicv2m_ops = {
    .realize = gicv2m_realize, .unrealize = gicv2m_unrealize, .state = &state_table_none,
};

OBJECT_TYPE_STATIC(gicv2m_type) = {
    .name = "arm-gicv2m",
    .parent = &device_type,
    .description = "Message-signalled interrupts for a GICv2",
    .instance_size = sizeof(ArmGicV2m),
    .impls = TYPE_IMPLS({ &device_type, &gicv2m_ops }),
};

ArmGicV2m *arm_gicv2m_create(Object *parent, ArmGic *gic, uint64_t base, unsigned first_spi,
                             unsigned count, Error **errp)
{
    DeviceState *dev = device_new(&gicv2m_type);
    ArmGicV2m *s = GICV2M(dev);

    s->gic = gic;
    s->base = base;
    s->first_spi = first_spi;
    s->count = count;
    object_add_child(parent, "gicv2m", dev, &error_abort);
    return device_realize_and_unref(dev, NULL, errp) ? s : NULL;
}
