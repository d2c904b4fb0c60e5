/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ports of a virtio-serial device: "virtconsole", a console, and
 * "virtserialport", a named byte stream whose two ends know when the other is
 * open. Each is the front end of a chardev.
 *
 * Flow control: input is taken while the driver has room (and the port open);
 * output that the chardev does not take stays in the driver's buffer, which is
 * returned only when all of it is out. Output to nobody is dropped.
 *
 * Thread: main loop. Trust: buffers are the driver's; a run moves at most
 * DRAIN_MAX bytes.
 */
#include "util/osdep.h"
#include "qapi-events.h"
#include "trace-hw-char.h"
#include "util/iov.h"
#include "virtio-serial.h"

#define DRAIN_MAX MIB
#define INPUT_MAX (64 * KIB)
#define NR_AUTO UINT32_MAX

extern const TypeInfo virtio_serial_port_type;

static VirtioSerialPort *port_of(DeviceState *dev)
{
    return (VirtioSerialPort *)dev;
}

/* ---- driver to host ---- */

static bool port_takes_output(const VirtioSerialPort *port)
{
    return port && port->chardev.chr && port->host_open;
}

/* Write more of the slot's element; false: the chardev takes no more now. */
static bool drain_elem(SerialSlot *slot, size_t *budget)
{
    VirtioSerialPort *port = slot->port;
    VirtQueueElement *elem = slot->elem;

    while (slot->elem_done < elem->out_size && *budget && port_takes_output(port)) {
        struct iovec piece;
        ssize_t n;

        iov_slice(&piece, 1, elem->out, elem->out_count, slot->elem_done,
                  MIN(*budget, elem->out_size - slot->elem_done));
        n = chardev_write(&port->chardev, piece.iov_base, piece.iov_len);
        if (n < 0 && errno != EAGAIN) {
            break;
        }
        if (n > 0) {
            slot->elem_done += n;
            *budget -= n;
        }
        if (n < (ssize_t)piece.iov_len) {
            port->throttled = true;
            return false;
        }
    }
    return true;
}

void virtio_serial_slot_drain(VirtioSerial *s, SerialSlot *slot)
{
    size_t budget = DRAIN_MAX;
    bool done = false;

    while (!(slot->port && slot->port->throttled)) {
        if (!slot->elem) {
            slot->elem = virtqueue_pop(slot->tx, sizeof(*slot->elem));
            slot->elem_done = 0;
        }
        if (!slot->elem || !drain_elem(slot, &budget)) {
            break;
        }
        if (!budget) {
            virtio_queue_rerun(slot->tx);
            break;
        }
        virtqueue_push(slot->elem, 0);
        virtqueue_element_free(slot->elem);
        slot->elem = NULL;
        done = true;
    }
    if (done) {
        virtqueue_notify(slot->tx);
    }
}

void virtio_serial_slot_drop(SerialSlot *slot)
{
    if (slot->elem) {
        virtqueue_detach(slot->elem);
        virtqueue_element_free(slot->elem);
        slot->elem = NULL;
    }
    if (slot->port) {
        slot->port->throttled = false;
    }
}

static void chardev_has_room(void *opaque)
{
    VirtioSerialPort *port = opaque;

    port->throttled = false;
    virtio_queue_rerun(port->slot->tx);
}

void virtio_serial_port_emergency_write(VirtioSerialPort *port, uint8_t c)
{
    if (port_takes_output(port)) {
        chardev_write(&port->chardev, &c, 1);
    }
}

/* ---- host to driver ---- */

static size_t port_can_receive(void *opaque)
{
    VirtioSerialPort *port = opaque;
    VirtQueue *rx = port->slot->rx;
    VirtQueueElement *elem;
    size_t n;

    if (!port->guest_open || !virtio_queue_ready(rx)) {
        return 0;
    }
    elem = virtqueue_pop(rx, sizeof(*elem));
    if (!elem) {
        return 0;
    }
    n = elem->in_size;
    if (n) {
        virtqueue_unpop(elem);
    } else {
        /* Useless to us; the next one may be better, later. */
        virtqueue_push(elem, 0);
        virtqueue_notify(rx);
        virtio_queue_rerun(rx);
    }
    virtqueue_element_free(elem);
    return MIN(n, INPUT_MAX);
}

static void port_receive(void *opaque, const uint8_t *buf, size_t len)
{
    VirtioSerialPort *port = opaque;
    VirtQueue *rx = port->slot->rx;
    size_t done = 0;

    while (done < len) {
        VirtQueueElement *elem = virtqueue_pop(rx, sizeof(*elem));
        size_t n;

        if (!elem) {
            break;
        }
        n = iov_from_buf(elem->in, elem->in_count, 0, buf + done, len - done);
        virtqueue_push(elem, n);
        virtqueue_element_free(elem);
        done += n;
    }
    virtqueue_notify(rx);
}

void virtio_serial_port_accept_input(VirtioSerialPort *port)
{
    if (port->chardev.chr) {
        chardev_frontend_accept_input(&port->chardev);
    }
}

/* ---- open and close ---- */

static void set_host_open(VirtioSerialPort *port, bool open)
{
    if (port->host_open == open) {
        return;
    }
    port->host_open = open;
    if (port->slot->ready) {
        virtio_serial_send(port->serial, port->nr, SERIAL_SEND_OPEN);
    }
    if (!open && port->throttled) {
        chardev_has_room(port);
    }
}

void virtio_serial_port_set_guest_open(VirtioSerialPort *port, bool open)
{
    if (port->guest_open == open) {
        return;
    }
    trace_virtio_serial_guest_open(port->nr, open);
    port->guest_open = open;
    if (!port->is_console && port->chardev.chr) {
        chardev_frontend_set_open(&port->chardev, open);
    }
    if (port->dev.id) {
        qapi_event_send_VSERPORT_CHANGE(port->dev.id, open);
    }
    if (open) {
        virtio_serial_port_accept_input(port);
    }
}

static void port_chardev_event(void *opaque, ChardevEvent event)
{
    VirtioSerialPort *port = opaque;

    /* Consoles talk to whoever is or will be there. */
    if (port->is_console) {
        return;
    }
    if (event == CHARDEV_OPENED) {
        set_host_open(port, true);
    } else if (event == CHARDEV_CLOSED) {
        set_host_open(port, false);
    }
}

/* ---- life ---- */

static bool choose_nr(VirtioSerialPort *port, VirtioSerial *s, Error **errp)
{
    if (port->nr == NR_AUTO) {
        uint32_t nr = port->is_console ? 0 : 1;

        while (nr < s->max_ports && s->slots[nr].port) {
            nr++;
        }
        if (nr == s->max_ports) {
            error_setg(errp, "virtio-serial-bus: Maximum port limit for this device reached");
            return false;
        }
        port->nr = nr;
    } else if (port->nr == 0 && !port->is_console) {
        error_setg(errp, "virtio-serial-bus: Port number 0 on virtio-serial devices reserved "
                   "for virtconsole devices for backward compatibility.");
        return false;
    } else if (port->nr >= s->max_ports) {
        error_setg(errp, "virtio-serial-bus: Out-of-range port id specified, max. allowed: %u",
                   s->max_ports - 1);
        return false;
    } else if (s->slots[port->nr].port) {
        error_setg(errp, "virtio-serial-bus: A port already exists at id %u", port->nr);
        return false;
    }
    return true;
}

static bool check_name(const VirtioSerialPort *port, const VirtioSerial *s, Error **errp)
{
    for (uint32_t nr = 0; port->name && nr < s->max_ports; nr++) {
        const VirtioSerialPort *other = s->slots[nr].port;

        if (other && other->name && strcmp(other->name, port->name) == 0) {
            error_setg(errp, "virtio-serial-bus: A port already exists by name %s", port->name);
            return false;
        }
    }
    return true;
}

static bool port_realize(DeviceState *dev, Error **errp)
{
    VirtioSerialPort *port = port_of(dev);
    VirtioSerial *s = (VirtioSerial *)dev->bus->parent;

    if (!check_name(port, s, errp) || !choose_nr(port, s, errp)) {
        return false;
    }
    port->serial = s;
    port->slot = &s->slots[port->nr];
    port->slot->port = port;
    port->host_open = port->is_console && port->chardev.chr;
    port->chardev.can_receive = port_can_receive;
    port->chardev.receive = port_receive;
    port->chardev.event = port_chardev_event;
    port->chardev.writable = chardev_has_room;
    port->chardev.opaque = port;
    virtio_serial_send(s, port->nr, SERIAL_SEND_ADD);
    if (s->vdev.started && !virtio_serial_multiport(s) && port->nr == 0) {
        virtio_serial_port_set_guest_open(port, true);
    }
    if (port->chardev.chr) {
        chardev_frontend_start(&port->chardev);
        if (port->is_console) {
            chardev_frontend_set_open(&port->chardev, true);
        }
    }
    return true;
}

static void port_unrealize(DeviceState *dev)
{
    VirtioSerialPort *port = port_of(dev);
    SerialSlot *slot = port->slot;

    chardev_frontend_detach(&port->chardev);
    port->host_open = false;
    port->guest_open = false;
    port->throttled = false;
    slot->port = NULL;
    virtio_serial_send(port->serial, port->nr, SERIAL_SEND_REMOVE);
    /* What it held is dropped by the queue's next run. */
    virtio_queue_rerun(slot->tx);
    port->serial = NULL;
    port->slot = NULL;
}

static const ObjectProperty port_properties[] = {
    PROP_UINT32("nr", VirtioSerialPort, nr, NR_AUTO, "port number; by default the first free one"),
    PROP_STRING("name", VirtioSerialPort, name, "name that the guest sees"),
    PROP_CHARDEV("chardev", VirtioSerialPort, chardev, "ID of a chardev to use as a backend"),
    PROP_END
};

static const DeviceOps port_ops = {
    .realize = port_realize,
    .unrealize = port_unrealize,
    .state = &state_table_none,         /* the queues and flags of ports are virtio-serial's */
    .bus = &virtio_serial_bus_type,
    .category = DEVICE_CATEGORY_INPUT,
    .user_creatable = true,
    .hotpluggable = true,
};

OBJECT_TYPE(virtio_serial_port_type) = {
    .name = "virtio-serial-port",
    .parent = &device_type,
    .instance_size = sizeof(VirtioSerialPort),
    .abstract = true,
    .properties = port_properties,
    .impls = TYPE_IMPLS({ &device_type, &port_ops }),
};

OBJECT_TYPE_STATIC(virtserialport_type) = {
    .name = "virtserialport",
    .parent = &virtio_serial_port_type,
    .description = "virtio serial port",
};

static void console_init(Object *obj)
{
    ((VirtioSerialPort *)obj)->is_console = true;
}

OBJECT_TYPE_STATIC(virtconsole_type) = {
    .name = "virtconsole",
    .parent = &virtio_serial_port_type,
    .description = "virtio console",
    .instance_init = console_init,
};
