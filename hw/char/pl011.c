/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PL011, Arm's UART (ARM DDI 0183): registers, both FIFOs, interrupts, break,
 * loopback. Line speed is not modelled: a character is sent as soon as the host
 * end takes it, and received ones below the trigger level are announced at once
 * by the time-out interrupt. It sends and receives whether enabled or not, as
 * if firmware had set it up. vCPU threads and the main loop, with the machine
 * lock.
 */
#include "util/osdep.h"

#include "hw/char/pl011.h"
#include "hw/misc/primecell.h"
#include "trace-hw-char.h"

enum {
    REG_DR = 0x00, REG_ECR = 0x04, REG_FR = 0x18, REG_ILPR = 0x20, REG_IBRD = 0x24,
    REG_FBRD = 0x28, REG_LCR_H = 0x2c, REG_CR = 0x30, REG_IFLS = 0x34, REG_IMSC = 0x38,
    REG_RIS = 0x3c, REG_MIS = 0x40, REG_ICR = 0x44, REG_DMACR = 0x48,
};
enum { DR_BREAK = 1 << 10, DR_OVERRUN = 1 << 11, DR_ERROR_SHIFT = 8 };
enum {
    FR_CTS = 1 << 0, FR_DSR = 1 << 1, FR_DCD = 1 << 2, FR_BUSY = 1 << 3, FR_RX_EMPTY = 1 << 4,
    FR_TX_FULL = 1 << 5, FR_RX_FULL = 1 << 6, FR_TX_EMPTY = 1 << 7,
};
enum { LCR_FIFO = 1 << 4 };
enum { CR_LOOP = 1 << 7, CR_RESET = 0x300 };
enum { INT_RX = 1 << 4, INT_TX = 1 << 5, INT_TIMEOUT = 1 << 6, INT_BREAK = 1 << 9,
       INT_OVERRUN = 1 << 10, INT_MASK = 0x7ff };
#define IFLS_RESET 0x12

static const uint8_t id[8] = { 0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };

static unsigned fifo_size(const Pl011State *s)
{
    return s->lcr & LCR_FIFO ? PL011_FIFO : 1;
}

/* How full a FIFO is when it asks: eighths 1, 2, 4, 6, 7, by a field of IFLS. */
static unsigned level(const Pl011State *s, unsigned field)
{
    static const uint8_t eighths[8] = { 1, 2, 4, 6, 7, 7, 7, 7 };

    return s->lcr & LCR_FIFO ? PL011_FIFO * eighths[field & 7] / 8 : 1;
}

static void update_irq(Pl011State *s)
{
    irq_set(&s->irq, (s->ris & s->imsc) != 0);
}

/* ---- receiving ---- */

static void update_rx_status(Pl011State *s)
{
    if (s->rx_count >= level(s, s->ifls >> 3)) {
        s->ris |= INT_RX;
    }
    if (s->rx_count) {
        s->ris |= INT_TIMEOUT;
    } else {
        s->ris &= ~(INT_RX | INT_TIMEOUT);
    }
}

/* @c: the character and its error bits, as in the data register. */
static void receive_char(Pl011State *s, uint16_t c)
{
    if (s->rx_count >= fifo_size(s)) {
        s->rsr |= DR_OVERRUN >> DR_ERROR_SHIFT;
        s->ris |= INT_OVERRUN;
        return;
    }
    s->rx[(s->rx_head + s->rx_count) % PL011_FIFO] = c;
    s->rx_count++;
    if (c & DR_BREAK) {
        s->ris |= INT_BREAK;
    }
    update_rx_status(s);
}

static size_t can_receive(void *opaque)
{
    const Pl011State *s = opaque;

    return s->cr & CR_LOOP ? 0 : fifo_size(s) - MIN(s->rx_count, fifo_size(s));
}

static void receive(void *opaque, const uint8_t *buf, size_t len)
{
    Pl011State *s = opaque;

    for (size_t i = 0; i < len; i++) {
        receive_char(s, buf[i]);
    }
    update_irq(s);
}

static void chardev_event(void *opaque, ChardevEvent event)
{
    Pl011State *s = opaque;

    if (event == CHARDEV_BREAK && !(s->cr & CR_LOOP)) {
        receive_char(s, DR_BREAK);
        update_irq(s);
    }
}

static uint32_t read_data(Pl011State *s)
{
    uint16_t c;

    if (!s->rx_count) {
        return 0;
    }
    c = s->rx[s->rx_head];
    s->rx_head = (s->rx_head + 1) % PL011_FIFO;
    s->rx_count--;
    s->rsr = c >> DR_ERROR_SHIFT;
    if (s->rx_count < level(s, s->ifls >> 3)) {
        s->ris &= ~INT_RX;
    }
    update_rx_status(s);
    update_irq(s);
    chardev_frontend_accept_input(&s->fe);
    return c;
}

/* ---- sending ---- */

/* Hand over what waits. What the host end does not take stays; writable() is called later. */
static void send(Pl011State *s)
{
    while (s->tx_count) {
        ssize_t n = chardev_write(&s->fe, &s->tx[s->tx_head], 1);

        if (n == 0 || (n < 0 && errno == EAGAIN)) {
            break;
        }
        s->tx_head = (s->tx_head + 1) % PL011_FIFO;
        s->tx_count--;
    }
    if (s->tx_count <= (s->lcr & LCR_FIFO ? level(s, s->ifls) : 0)) {
        s->ris |= INT_TX;
    }
}

static void writable(void *opaque)
{
    Pl011State *s = opaque;

    if (s->tx_count) {
        send(s);
        update_irq(s);
    }
}

static void write_data(Pl011State *s, uint8_t c)
{
    s->ris &= ~INT_TX;
    if (s->cr & CR_LOOP) {
        receive_char(s, c);
        s->ris |= INT_TX;
    } else {
        /* A guest that does not wait for room loses the oldest character. */
        if (s->tx_count >= fifo_size(s)) {
            s->tx_head = (s->tx_head + 1) % PL011_FIFO;
            s->tx_count--;
        }
        s->tx[(s->tx_head + s->tx_count) % PL011_FIFO] = c;
        s->tx_count++;
        send(s);
    }
    update_irq(s);
}

/* ---- registers ---- */

static uint32_t flags(const Pl011State *s)
{
    return FR_CTS | FR_DSR | FR_DCD |
           (s->tx_count ? FR_BUSY : FR_TX_EMPTY) |
           (s->tx_count >= fifo_size(s) ? FR_TX_FULL : 0) |
           (s->rx_count ? 0 : FR_RX_EMPTY) | (s->rx_count >= fifo_size(s) ? FR_RX_FULL : 0);
}

static uint32_t read_register(Pl011State *s, GuestAddr reg)
{
    switch (reg) {
    case REG_DR:
        return read_data(s);
    case REG_ECR:
        return s->rsr;
    case REG_FR:
        return flags(s);
    case REG_ILPR:
        return s->ilpr;
    case REG_IBRD:
        return s->ibrd;
    case REG_FBRD:
        return s->fbrd;
    case REG_LCR_H:
        return s->lcr;
    case REG_CR:
        return s->cr;
    case REG_IFLS:
        return s->ifls;
    case REG_IMSC:
        return s->imsc;
    case REG_RIS:
        return s->ris;
    case REG_MIS:
        return s->ris & s->imsc;
    case REG_DMACR:
        return s->dmacr;
    default:
        return primecell_id(id, reg);
    }
}

static void write_line_control(Pl011State *s, uint32_t value)
{
    /* Switching the FIFOs empties them. */
    if ((value ^ s->lcr) & LCR_FIFO) {
        s->rx_count = s->tx_count = 0;
        s->ris &= ~(INT_RX | INT_TIMEOUT);
        chardev_frontend_accept_input(&s->fe);
    }
    s->lcr = value & 0xff;
}

static void write_register(Pl011State *s, GuestAddr reg, uint32_t value)
{
    switch (reg) {
    case REG_DR:
        write_data(s, value);
        return;
    case REG_ECR:
        s->rsr = 0;
        break;
    case REG_ILPR:
        s->ilpr = value & 0xff;
        break;
    case REG_IBRD:
        s->ibrd = value & 0xffff;
        break;
    case REG_FBRD:
        s->fbrd = value & 0x3f;
        break;
    case REG_LCR_H:
        write_line_control(s, value);
        break;
    case REG_CR:
        s->cr = value & 0xffff;
        chardev_frontend_accept_input(&s->fe);
        break;
    case REG_IFLS:
        s->ifls = value & 0x3f;
        break;
    case REG_IMSC:
        s->imsc = value & INT_MASK;
        break;
    case REG_ICR:
        s->ris &= ~(value & INT_MASK);
        break;
    case REG_DMACR:
        s->dmacr = value & 0x7;
        break;
    }
    update_irq(s);
}

static uint64_t pl011_read(void *opaque, GuestAddr addr, unsigned size)
{
    uint32_t value = read_register(opaque, ROUND_DOWN(addr, 4));

    trace_pl011_read(addr, value);
    return primecell_part(value, addr, size);
}

static void pl011_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    trace_pl011_write(addr, value);
    if (addr % 4 == 0) {
        write_register(opaque, addr, value);
    }
}

static const MemoryRegionOps pl011_region_ops = PRIMECELL_REGION_OPS(pl011_read, pl011_write);

/* ---- life ---- */

static void pl011_reset(DeviceState *dev)
{
    Pl011State *s = PL011(dev);

    s->rsr = s->ilpr = s->ibrd = s->fbrd = s->lcr = s->imsc = s->ris = s->dmacr = 0;
    s->cr = CR_RESET;
    s->ifls = IFLS_RESET;
    s->rx_head = s->rx_count = s->tx_head = s->tx_count = 0;
    update_irq(s);
}

static bool pl011_realize(DeviceState *dev, Error **errp)
{
    Pl011State *s = PL011(dev);

    memory_region_init_io(&s->io, OBJECT(s), &pl011_region_ops, s, "pl011", PRIMECELL_SIZE);
    s->fe.can_receive = can_receive;
    s->fe.receive = receive;
    s->fe.event = chardev_event;
    s->fe.writable = writable;
    s->fe.opaque = s;
    pl011_reset(dev);
    chardev_frontend_start(&s->fe);
    return true;
}

static void pl011_unrealize(DeviceState *dev)
{
    Pl011State *s = PL011(dev);

    memory_region_cleanup(&s->io);
    chardev_frontend_detach(&s->fe);
}

static void pl011_init(Object *obj)
{
    Pl011State *s = (Pl011State *)obj;

    device_init_gpio_out(&s->dev, NULL, &s->irq, 1);
}

static const ObjectProperty pl011_properties[] = {
    PROP_CHARDEV("chardev", Pl011State, fe, "character device at the other end"),
    PROP_END
};

static bool pl011_post_load(void *opaque, int version)
{
    Pl011State *s = opaque;

    if (s->rx_head >= PL011_FIFO || s->rx_count > PL011_FIFO || s->tx_head >= PL011_FIFO ||
        s->tx_count > PL011_FIFO) {
        return false;
    }
    update_irq(s);
    return true;
}

static const StateField pl011_fields[] = {
    { .name = "rx", .kind = STATE_UINT16, .offset = offsetof(Pl011State, rx),
      .size = sizeof(uint16_t), .count = PL011_FIFO },
    STATE_F_BYTES(Pl011State, tx),
    STATE_F_UINT8(Pl011State, rx_head),
    STATE_F_UINT8(Pl011State, rx_count),
    STATE_F_UINT8(Pl011State, tx_head),
    STATE_F_UINT8(Pl011State, tx_count),
    STATE_F_UINT8(Pl011State, rsr),
    STATE_F_UINT8(Pl011State, ilpr),
    STATE_F_UINT16(Pl011State, ibrd),
    STATE_F_UINT8(Pl011State, fbrd),
    STATE_F_UINT8(Pl011State, lcr),
    STATE_F_UINT16(Pl011State, cr),
    STATE_F_UINT8(Pl011State, ifls),
    STATE_F_UINT16(Pl011State, imsc),
    STATE_F_UINT16(Pl011State, ris),
    STATE_F_UINT8(Pl011State, dmacr),
    STATE_F_END
};

static const StateTable pl011_state = {
    .name = "pl011", .version = 1, .minimum_version = 1, .fields = pl011_fields,
    .post_load = pl011_post_load,
};

static const DeviceOps pl011_ops = {
    .realize = pl011_realize, .unrealize = pl011_unrealize, .reset = pl011_reset,
    .state = &pl011_state, .category = DEVICE_CATEGORY_INPUT,
};

OBJECT_TYPE(pl011_type) = {
    .name = "pl011",
    .parent = &device_type,
    .description = "Arm PrimeCell UART",
    .instance_size = sizeof(Pl011State),
    .instance_init = pl011_init,
    .properties = pl011_properties,
    .impls = TYPE_IMPLS({ &device_type, &pl011_ops }),
};
