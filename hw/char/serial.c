/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A 16550A UART (National Semiconductor PC16550D data sheet): registers, both
 * FIFOs, interrupts by priority, loopback. Line speed is not modelled: a
 * character is sent as soon as the host end takes it, and received characters
 * below the trigger level are announced at once by the time-out interrupt.
 * vCPU threads and the main loop, with the machine lock.
 */
#include "util/osdep.h"

#include "hw/char/serial.h"
#include "trace-hw-char.h"

enum { REG_DATA = 0, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR };
enum { IER_RX = 0x01, IER_THR = 0x02, IER_LINE = 0x04, IER_MODEM = 0x08, IER_MASK = 0x0f };
enum {
    IIR_MODEM = 0x00, IIR_NONE = 0x01, IIR_THR = 0x02, IIR_RX = 0x04, IIR_LINE = 0x06,
    IIR_TIMEOUT = 0x0c, IIR_FIFO = 0xc0,
};
enum { FCR_ENABLE = 0x01, FCR_CLEAR_RX = 0x02, FCR_CLEAR_TX = 0x04, FCR_KEEP = 0xc9 };
enum { LCR_DLAB = 0x80 };
enum { MCR_DTR = 0x01, MCR_RTS = 0x02, MCR_OUT1 = 0x04, MCR_OUT2 = 0x08, MCR_LOOP = 0x10,
       MCR_MASK = 0x1f };
enum {
    LSR_READY = 0x01, LSR_OVERRUN = 0x02, LSR_BREAK = 0x10, LSR_THR_EMPTY = 0x20,
    LSR_TX_EMPTY = 0x40, LSR_ERRORS = 0x1e,
};
enum { MSR_DELTAS = 0x0f, MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80 };

/* What a connected peer drives. */
#define MSR_IDLE (MSR_CTS | MSR_DSR | MSR_DCD)
#define DIVISOR_9600 12

static bool fifo_on(const Serial *s)
{
    return s->fcr & FCR_ENABLE;
}

static void fifo_push(SerialFifo *f, uint8_t c)
{
    f->data[(f->head + f->count) % SERIAL_FIFO] = c;
    f->count++;
}

static uint8_t fifo_pop(SerialFifo *f)
{
    uint8_t c = f->data[f->head];
    f->head = (f->head + 1) % SERIAL_FIFO;
    f->count--;
    return c;
}

/* ---- interrupts ---- */

static unsigned trigger_level(const Serial *s)
{
    static const uint8_t levels[] = { 1, 4, 8, 14 };
    return fifo_on(s) ? levels[s->fcr >> 6] : 1;
}

/* The pending interrupt of the highest priority. */
static uint8_t interrupt_id(const Serial *s)
{
    if ((s->ier & IER_LINE) && (s->lsr & LSR_ERRORS)) {
        return IIR_LINE;
    }
    if ((s->ier & IER_RX) && (s->lsr & LSR_READY)) {
        return s->rx.count >= trigger_level(s) ? IIR_RX : IIR_TIMEOUT;
    }
    if ((s->ier & IER_THR) && s->thr_pending) {
        return IIR_THR;
    }
    if ((s->ier & IER_MODEM) && (s->msr & MSR_DELTAS)) {
        return IIR_MODEM;
    }
    return IIR_NONE;
}

static void update_irq(Serial *s)
{
    s->set_irq(s->opaque, interrupt_id(s) != IIR_NONE);
}

/* ---- receiving ---- */

static void receive_char(Serial *s, uint8_t c)
{
    unsigned room = fifo_on(s) ? SERIAL_FIFO : 1;
    if (s->rx.count >= room) {
        s->lsr |= LSR_OVERRUN;
        return;
    }
    fifo_push(&s->rx, c);
    s->lsr |= LSR_READY;
}

static size_t can_receive(void *opaque)
{
    const Serial *s = opaque;
    if (s->mcr & MCR_LOOP) {
        return 0;               /* the line is cut off */
    }
    return (fifo_on(s) ? SERIAL_FIFO : 1) - MIN(s->rx.count, fifo_on(s) ? SERIAL_FIFO : 1);
}

static void receive(void *opaque, const uint8_t *buf, size_t len)
{
    Serial *s = opaque;
    for (size_t i = 0; i < len; i++) {
        receive_char(s, buf[i]);
    }
    update_irq(s);
}

static void chardev_event(void *opaque, ChardevEvent event)
{
    Serial *s = opaque;
    if (event == CHARDEV_BREAK) {
        receive_char(s, 0);
        s->lsr |= LSR_BREAK;
        update_irq(s);
    }
}

static uint8_t read_data(Serial *s)
{
    if (!s->rx.count) {
        return 0;
    }
    uint8_t c = fifo_pop(&s->rx);
    if (!s->rx.count) {
        s->lsr &= ~LSR_READY;
    }
    update_irq(s);
    chardev_frontend_accept_input(&s->fe);
    return c;
}

/* ---- sending ---- */

static void sent_all(Serial *s)
{
    s->lsr |= LSR_THR_EMPTY | LSR_TX_EMPTY;
    s->thr_pending = true;
}

/* Hand over what waits. What the host end does not take stays; writable() is called later. */
static void send(Serial *s)
{
    while (s->tx.count) {
        uint8_t c = s->tx.data[s->tx.head];
        ssize_t n = chardev_write(&s->fe, &c, 1);
        if (n == 0 || (n < 0 && errno == EAGAIN)) {
            return;
        }
        fifo_pop(&s->tx);
    }
    sent_all(s);
}

static void writable(void *opaque)
{
    Serial *s = opaque;
    if (s->tx.count) {
        send(s);
        update_irq(s);
    }
}

static void write_data(Serial *s, uint8_t c)
{
    s->thr_pending = false;
    s->lsr &= ~(LSR_THR_EMPTY | LSR_TX_EMPTY);
    if (s->mcr & MCR_LOOP) {
        receive_char(s, c);
        sent_all(s);
    } else {
        /* A guest that does not wait for room loses the oldest character. */
        if (s->tx.count == SERIAL_FIFO) {
            fifo_pop(&s->tx);
        }
        fifo_push(&s->tx, c);
        send(s);
    }
    update_irq(s);
}

/* ---- control registers ---- */

/* The modem lines as the guest sees them; changes set the delta bits. */
static void update_modem_lines(Serial *s)
{
    uint8_t lines = MSR_IDLE;
    if (s->mcr & MCR_LOOP) {
        lines = (s->mcr & MCR_RTS ? MSR_CTS : 0) | (s->mcr & MCR_DTR ? MSR_DSR : 0) |
                (s->mcr & MCR_OUT1 ? MSR_RI : 0) | (s->mcr & MCR_OUT2 ? MSR_DCD : 0);
    }
    uint8_t changed = (s->msr ^ lines) >> 4;
    /* The ring indicator's delta is only set when it ends. */
    if (!(s->msr & MSR_RI) || (lines & MSR_RI)) {
        changed &= ~(MSR_RI >> 4);
    }
    s->msr = lines | (s->msr & MSR_DELTAS) | changed;
}

static void write_ier(Serial *s, uint8_t value)
{
    uint8_t old = s->ier;
    s->ier = value & IER_MASK;
    /* Enabling it while there is nothing to send makes it due, as on the chip. */
    if (!(old & IER_THR) && (s->ier & IER_THR) && (s->lsr & LSR_THR_EMPTY)) {
        s->thr_pending = true;
    }
    update_irq(s);
}

static void write_fcr(Serial *s, uint8_t value)
{
    bool toggled = (value ^ s->fcr) & FCR_ENABLE;
    if (toggled || (value & FCR_CLEAR_RX)) {
        s->rx = (SerialFifo){ 0 };
        s->lsr &= ~(LSR_READY | LSR_BREAK);
        chardev_frontend_accept_input(&s->fe);
    }
    if (toggled || (value & FCR_CLEAR_TX)) {
        s->tx = (SerialFifo){ 0 };
        sent_all(s);
    }
    s->fcr = value & FCR_ENABLE ? value & FCR_KEEP : 0;
    update_irq(s);
}

static void write_mcr(Serial *s, uint8_t value)
{
    bool was_loop = s->mcr & MCR_LOOP;
    s->mcr = value & MCR_MASK;
    update_modem_lines(s);
    if (was_loop && !(s->mcr & MCR_LOOP)) {
        s->msr &= ~MSR_DELTAS;
        chardev_frontend_accept_input(&s->fe);
    }
    update_irq(s);
}

static void serial_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    Serial *s = opaque;
    bool dlab = s->lcr & LCR_DLAB;
    trace_serial_write(addr, value);
    switch (addr) {
    case REG_DATA:
        if (dlab) {
            s->divisor = (s->divisor & 0xff00) | (value & 0xff);
        } else {
            write_data(s, value);
        }
        break;
    case REG_IER:
        if (dlab) {
            s->divisor = (s->divisor & 0x00ff) | (value & 0xff) << 8;
        } else {
            write_ier(s, value);
        }
        break;
    case REG_IIR_FCR:
        write_fcr(s, value);
        break;
    case REG_LCR:
        s->lcr = value;
        break;
    case REG_MCR:
        write_mcr(s, value);
        break;
    case REG_SCR:
        s->scr = value;
        break;
    default:                    /* LSR and MSR are read-only */
        break;
    }
}

static uint8_t read_iir(Serial *s)
{
    uint8_t id = interrupt_id(s);
    if (id == IIR_THR) {
        s->thr_pending = false;
        update_irq(s);
    }
    return id | (fifo_on(s) ? IIR_FIFO : 0);
}

static uint8_t read_register(Serial *s, GuestAddr addr)
{
    bool dlab = s->lcr & LCR_DLAB;
    uint8_t value;
    switch (addr) {
    case REG_DATA:
        return dlab ? s->divisor : read_data(s);
    case REG_IER:
        return dlab ? s->divisor >> 8 : s->ier;
    case REG_IIR_FCR:
        return read_iir(s);
    case REG_LCR:
        return s->lcr;
    case REG_MCR:
        return s->mcr;
    case REG_LSR:
        value = s->lsr;
        s->lsr &= ~LSR_ERRORS;
        update_irq(s);
        return value;
    case REG_MSR:
        value = s->msr;
        s->msr &= ~MSR_DELTAS;
        update_irq(s);
        return value;
    default:
        return s->scr;
    }
}

static uint64_t serial_read(void *opaque, GuestAddr addr, unsigned size)
{
    uint8_t value = read_register(opaque, addr);
    trace_serial_read(addr, value);
    return value;
}

/* Wider accesses are split into bytes. */
static const MemoryRegionOps serial_ops = {
    .read = serial_read, .write = serial_write,
    .valid_min = 1, .valid_max = 8, .impl_min = 1, .impl_max = 1,
};

/* ---- life ---- */

void serial_reset(Serial *s)
{
    s->divisor = DIVISOR_9600;
    s->ier = s->fcr = s->lcr = s->scr = 0;
    s->mcr = MCR_OUT2;
    s->lsr = LSR_THR_EMPTY | LSR_TX_EMPTY;
    s->msr = MSR_IDLE;
    s->thr_pending = false;
    s->rx = s->tx = (SerialFifo){ 0 };
    update_irq(s);
}

void serial_realize(Serial *s, Object *owner, void (*set_irq)(void *opaque, bool level),
                    void *opaque)
{
    s->set_irq = set_irq;
    s->opaque = opaque;
    memory_region_init_io(&s->io, owner, &serial_ops, s, "serial", SERIAL_PORTS);
    s->fe.can_receive = can_receive;
    s->fe.receive = receive;
    s->fe.event = chardev_event;
    s->fe.writable = writable;
    s->fe.opaque = s;
    serial_reset(s);
    chardev_frontend_start(&s->fe);
}

void serial_unrealize(Serial *s)
{
    memory_region_cleanup(&s->io);
    chardev_frontend_detach(&s->fe);
}

/* ---- state ---- */

static const StateField fifo_fields[] = {
    STATE_F_BYTES(SerialFifo, data),
    STATE_F_UINT8(SerialFifo, head),
    STATE_F_UINT8(SerialFifo, count),
    STATE_F_END
};

static const StateTable fifo_state = {
    .name = "serial-fifo", .version = 1, .minimum_version = 1, .fields = fifo_fields,
};

static const StateField serial_fields[] = {
    STATE_F_UINT16(Serial, divisor),
    STATE_F_UINT8(Serial, ier),
    STATE_F_UINT8(Serial, fcr),
    STATE_F_UINT8(Serial, lcr),
    STATE_F_UINT8(Serial, mcr),
    STATE_F_UINT8(Serial, lsr),
    STATE_F_UINT8(Serial, msr),
    STATE_F_UINT8(Serial, scr),
    STATE_F_BOOL(Serial, thr_pending),
    STATE_F_STRUCT(Serial, rx, &fifo_state),
    STATE_F_STRUCT(Serial, tx, &fifo_state),
    STATE_F_END
};

static bool serial_post_load(void *opaque, int version)
{
    Serial *s = opaque;
    if (s->rx.head >= SERIAL_FIFO || s->rx.count > SERIAL_FIFO ||
        s->tx.head >= SERIAL_FIFO || s->tx.count > SERIAL_FIFO) {
        return false;
    }
    update_irq(s);
    return true;
}

const StateTable serial_state = {
    .name = "serial", .version = 1, .minimum_version = 1, .fields = serial_fields,
    .post_load = serial_post_load,
};
