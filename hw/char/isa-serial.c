/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * isa-serial: a UART at one of the four usual places (or any other) of the
 * ISA bus. Main thread for set-up.
 */
#include "util/osdep.h"

#include "hw/char/serial.h"
#include "hw/misc/isa.h"

#define MAX_INDEX 4
#define UNSET UINT32_MAX

struct IsaSerial {
    DeviceState dev;
    Serial serial;
    IsaIrq irq_line;
    uint32_t index, port, irq;  /* UNSET: by the index, or the first free one */
};

#define ISA_SERIAL(p) ((IsaSerial *)object_cast(p, &isa_serial_type))

static void set_irq(void *opaque, bool level)
{
    IsaSerial *s = opaque;
    isa_irq_set(&s->irq_line, level);
}

/* The smallest index that no other UART on the bus has. */
static uint32_t free_index(const IsaSerial *s)
{
    uint32_t used = 0;
    for (DeviceState *d = s->dev.bus->devices; d; d = d->next_on_bus) {
        if (d != &s->dev && object_is_a(d, &isa_serial_type)) {
            uint32_t index = ISA_SERIAL(d)->index;
            used |= index < MAX_INDEX ? 1u << index : 0;
        }
    }
    return __builtin_ctz(~used);
}

static bool isa_serial_realize(DeviceState *dev, Error **errp)
{
    static const uint16_t ports[MAX_INDEX] = { 0x3f8, 0x2f8, 0x3e8, 0x2e8 };
    static const uint8_t irqs[MAX_INDEX] = { 4, 3, 4, 3 };
    IsaSerial *s = ISA_SERIAL(dev);

    if (s->index == UNSET) {
        s->index = free_index(s);
    }
    if (s->index >= MAX_INDEX) {
        error_setg(errp, "Max. supported number of ISA serial ports is %d.", MAX_INDEX);
        return false;
    }
    s->port = s->port == UNSET ? ports[s->index] : s->port;
    s->irq = s->irq == UNSET ? irqs[s->index] : s->irq;
    if (!isa_irq_init(&s->irq_line, dev, s->irq, errp)) {
        return false;
    }
    serial_realize(&s->serial, OBJECT(s), set_irq, s);
    if (!isa_add_ports(dev, &s->serial.io, s->port, errp)) {
        serial_unrealize(&s->serial);
        return false;
    }
    return true;
}

static void isa_serial_unrealize(DeviceState *dev)
{
    IsaSerial *s = ISA_SERIAL(dev);
    serial_unrealize(&s->serial);
    isa_irq_set(&s->irq_line, false);
}

static void isa_serial_reset(DeviceState *dev)
{
    serial_reset(&ISA_SERIAL(dev)->serial);
}

void isa_serial_get(DeviceState *dev, unsigned *index, uint16_t *port, uint8_t *irq)
{
    const IsaSerial *s = ISA_SERIAL(dev);
    *index = s->index;
    *port = s->port;
    *irq = s->irq;
}

static const ObjectProperty isa_serial_properties[] = {
    PROP_UINT32("index", IsaSerial, index, UNSET, "0 to 3: which of the usual places"),
    PROP_UINT32("iobase", IsaSerial, port, UNSET, "first port; by default as the index says"),
    PROP_UINT32("irq", IsaSerial, irq, UNSET, "interrupt line; by default as the index says"),
    PROP_CHARDEV("chardev", IsaSerial, serial.fe, "character device at the other end"),
    PROP_END
};

static const StateField isa_serial_fields[] = {
    STATE_F_STRUCT(IsaSerial, serial, &serial_state),
    STATE_F_END
};

static const StateTable isa_serial_state = {
    .name = "isa-serial", .version = 1, .minimum_version = 1, .fields = isa_serial_fields,
};

static const DeviceOps isa_serial_ops = {
    .realize = isa_serial_realize,
    .unrealize = isa_serial_unrealize,
    .reset = isa_serial_reset,
    .state = &isa_serial_state,
    .bus = &isa_bus_type,
    .category = DEVICE_CATEGORY_INPUT,
    .user_creatable = true,
};

OBJECT_TYPE(isa_serial_type) = {
    .name = "isa-serial",
    .parent = &device_type,
    .description = "16550A UART",
    .instance_size = sizeof(IsaSerial),
    .properties = isa_serial_properties,
    .impls = TYPE_IMPLS({ &device_type, &isa_serial_ops }),
};
