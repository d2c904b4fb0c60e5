/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-serial, the console device (virtio 1.2, 5.3): up to max_ports ports,
 * each with a receive and a transmit queue, and a pair of control queues.
 *
 * Queues: 0, 1 port 0; 2, 3 control; 4, 5 port 1; and so on. Control messages
 * to the driver are not queued as such: each slot remembers what has to be
 * said, so that a driver that asks without giving buffers costs nothing.
 *
 * Thread: main loop. Trust: port numbers and events in control messages are the
 * driver's; unknown ones are ignored.
 */
#include "util/osdep.h"
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include "hw/pci/pci_regs.h"
#include "trace-hw-char.h"
#include "util/bswap.h"
#include "util/iov.h"
#include "virtio-serial.h"

#define DATA_QUEUE_SIZE 128
#define CONTROL_QUEUE_SIZE 32
#define MAX_PORTS (VIRTIO_QUEUE_MAX / 2 - 1)
#define CONTROL_SIZE 8
#define NAME_MAX_SIZE 1024

bool virtio_serial_multiport(const VirtioSerial *s)
{
    return virtio_has_feature(&s->vdev, VIRTIO_CONSOLE_F_MULTIPORT);
}

/* ---- control messages to the driver ---- */

/* False: the driver has no buffer for it now. */
static bool send_message(VirtioSerial *s, uint32_t nr, uint16_t event, uint16_t value,
                         const char *name)
{
    VirtQueueElement *elem = virtqueue_pop(s->ctrl_rx, sizeof(*elem));
    uint8_t msg[CONTROL_SIZE];
    size_t n;

    if (!elem) {
        return false;
    }
    trace_virtio_serial_send(s, nr, event, value);
    store_le32(msg, nr);
    store_le16(msg + 4, event);
    store_le16(msg + 6, value);
    n = iov_from_buf(elem->in, elem->in_count, 0, msg, sizeof(msg));
    if (name && n == sizeof(msg)) {
        n += iov_from_buf(elem->in, elem->in_count, n, name, strnlen(name, NAME_MAX_SIZE));
    }
    virtqueue_push(elem, n);
    virtqueue_element_free(elem);
    return true;
}

static bool send_one(VirtioSerial *s, uint32_t nr, uint8_t message)
{
    VirtioSerialPort *port = s->slots[nr].port;

    switch (message) {
    case SERIAL_SEND_REMOVE:
        return send_message(s, nr, VIRTIO_CONSOLE_PORT_REMOVE, 1, NULL);
    case SERIAL_SEND_ADD:
        return send_message(s, nr, VIRTIO_CONSOLE_PORT_ADD, 1, NULL);
    case SERIAL_SEND_CONSOLE:
        return send_message(s, nr, VIRTIO_CONSOLE_CONSOLE_PORT, 1, NULL);
    case SERIAL_SEND_NAME:
        return send_message(s, nr, VIRTIO_CONSOLE_PORT_NAME, 1, port->name);
    default:
        return send_message(s, nr, VIRTIO_CONSOLE_PORT_OPEN, port->host_open, NULL);
    }
}

static void send_pending(VirtioSerial *s)
{
    bool sent = false, room = true;

    if (!virtio_queue_ready(s->ctrl_rx)) {
        return;
    }
    for (uint32_t nr = 0; nr < s->max_ports && room; nr++) {
        uint8_t *pending = &s->slots[nr].pending;

        for (uint8_t m = SERIAL_SEND_REMOVE; *pending && room; m <<= 1) {
            if (!(*pending & m)) {
                continue;
            }
            room = send_one(s, nr, m);
            if (room) {
                *pending &= ~m;
                sent = true;
            }
        }
    }
    if (sent) {
        virtqueue_notify(s->ctrl_rx);
    }
}

void virtio_serial_send(VirtioSerial *s, uint32_t nr, uint8_t messages)
{
    if (!s->driver_ready) {
        return;
    }
    if (messages & (SERIAL_SEND_REMOVE | SERIAL_SEND_ADD)) {
        s->slots[nr].ready = false;
    }
    if (messages & SERIAL_SEND_REMOVE) {
        s->slots[nr].pending = 0;
    }
    s->slots[nr].pending |= messages;
    send_pending(s);
}

static void ctrl_rx_handler(VirtioDevice *vdev, VirtQueue *vq)
{
    send_pending((VirtioSerial *)vdev);
}

/* ---- control messages from the driver ---- */

static void device_ready(VirtioSerial *s, bool ready)
{
    if (!ready) {
        return;
    }
    s->driver_ready = true;
    for (uint32_t nr = 0; nr < s->max_ports; nr++) {
        if (s->slots[nr].port) {
            s->slots[nr].pending = SERIAL_SEND_ADD;
            s->slots[nr].ready = false;
        }
    }
    send_pending(s);
}

static void port_ready(VirtioSerial *s, VirtioSerialPort *port)
{
    uint8_t messages = 0;

    port->slot->ready = true;
    if (port->is_console) {
        messages |= SERIAL_SEND_CONSOLE;
    }
    if (port->name) {
        messages |= SERIAL_SEND_NAME;
    }
    if (port->host_open) {
        messages |= SERIAL_SEND_OPEN;
    }
    virtio_serial_send(s, port->nr, messages);
}

static void handle_message(VirtioSerial *s, const uint8_t *msg)
{
    uint32_t nr = load_le32(msg);
    uint16_t event = load_le16(msg + 4), value = load_le16(msg + 6);
    VirtioSerialPort *port;

    trace_virtio_serial_receive(s, nr, event, value);
    if (event == VIRTIO_CONSOLE_DEVICE_READY) {
        device_ready(s, value);
        return;
    }
    port = nr < s->max_ports ? s->slots[nr].port : NULL;
    if (!port) {
        return;
    }
    if (event == VIRTIO_CONSOLE_PORT_READY && value) {
        port_ready(s, port);
    } else if (event == VIRTIO_CONSOLE_PORT_OPEN) {
        virtio_serial_port_set_guest_open(port, value);
    }
}

static void ctrl_tx_handler(VirtioDevice *vdev, VirtQueue *vq)
{
    VirtioSerial *s = (VirtioSerial *)vdev;
    VirtQueueElement *elem;
    bool done = false;

    while ((elem = virtqueue_pop(vq, sizeof(*elem)))) {
        uint8_t msg[CONTROL_SIZE];

        if (iov_to_buf(elem->out, elem->out_count, 0, msg, sizeof(msg)) == sizeof(msg)) {
            handle_message(s, msg);
        }
        virtqueue_push(elem, 0);
        virtqueue_element_free(elem);
        done = true;
    }
    if (done) {
        virtqueue_notify(vq);
    }
}

/* ---- data ---- */

static SerialSlot *slot_of(VirtioSerial *s, uint16_t queue)
{
    return &s->slots[queue < 2 ? 0 : queue / 2 - 1];
}

static void rx_handler(VirtioDevice *vdev, VirtQueue *vq)
{
    SerialSlot *slot = slot_of((VirtioSerial *)vdev, virtio_queue_index(vq));

    if (slot->port) {
        virtio_serial_port_accept_input(slot->port);
    }
}

static void tx_handler(VirtioDevice *vdev, VirtQueue *vq)
{
    VirtioSerial *s = (VirtioSerial *)vdev;

    virtio_serial_slot_drain(s, slot_of(s, virtio_queue_index(vq)));
}

/* ---- the device ---- */

static void serial_get_config(VirtioDevice *vdev, uint8_t *config)
{
    VirtioSerial *s = (VirtioSerial *)vdev;

    memset(config, 0, sizeof(struct virtio_console_config));
    store_le32(config + offsetof(struct virtio_console_config, max_nr_ports), s->max_ports);
}

static void serial_set_config(VirtioDevice *vdev, const uint8_t *config, uint32_t addr,
                              unsigned len)
{
    const uint32_t at = offsetof(struct virtio_console_config, emerg_wr);
    VirtioSerial *s = (VirtioSerial *)vdev;

    /* The low byte carries the character; drivers use it before they negotiate anything. */
    if ((vdev->host_features & BIT(VIRTIO_CONSOLE_F_EMERG_WRITE)) && addr <= at &&
        at < addr + len && s->slots[0].port) {
        virtio_serial_port_emergency_write(s->slots[0].port, config[at]);
    }
}

static uint64_t serial_get_features(VirtioDevice *vdev, uint64_t features)
{
    VirtioSerial *s = (VirtioSerial *)vdev;

    return s->max_ports > 1 ? features | BIT(VIRTIO_CONSOLE_F_MULTIPORT) : features;
}

static void serial_start(VirtioDevice *vdev)
{
    VirtioSerial *s = (VirtioSerial *)vdev;

    /* Without the control protocol nobody says that the only port is open. */
    if (!virtio_serial_multiport(s) && s->slots[0].port) {
        virtio_serial_port_set_guest_open(s->slots[0].port, true);
    }
}

static void serial_reset(VirtioDevice *vdev)
{
    VirtioSerial *s = (VirtioSerial *)vdev;

    s->driver_ready = false;
    for (uint32_t nr = 0; nr < s->max_ports; nr++) {
        SerialSlot *slot = &s->slots[nr];

        virtio_serial_slot_drop(slot);
        slot->pending = 0;
        slot->ready = false;
        if (slot->port) {
            virtio_serial_port_set_guest_open(slot->port, false);
        }
    }
}

static void serial_queue_reset(VirtioDevice *vdev, uint16_t index)
{
    VirtioSerial *s = (VirtioSerial *)vdev;
    SerialSlot *slot = slot_of(s, index);

    if (virtio_queue(vdev, index) == slot->tx) {
        virtio_serial_slot_drop(slot);
    }
}

/* Ports come and go at any time; the driver is told, not asked. */
static bool port_unplug_request(void *opaque, DeviceState *dev, Error **errp)
{
    device_unplug_finish(dev);
    return true;
}

static const HotplugOps port_hotplug = {
    .unplug_request = port_unplug_request,
};

static void add_queues(VirtioSerial *s, uint32_t nr)
{
    s->slots[nr].rx = virtio_queue_add(&s->vdev, DATA_QUEUE_SIZE, rx_handler);
    s->slots[nr].tx = virtio_queue_add(&s->vdev, DATA_QUEUE_SIZE, tx_handler);
}

static bool serial_realize(VirtioDevice *vdev, Error **errp)
{
    VirtioSerial *s = (VirtioSerial *)vdev;
    g_autofree char *bus_name = NULL;

    if (!s->max_ports || s->max_ports > MAX_PORTS) {
        error_setg(errp, "max_ports=%u is out of range: maximum ports supported: %u",
                   s->max_ports, MAX_PORTS);
        return false;
    }
    s->slots = g_new0(SerialSlot, s->max_ports);
    add_queues(s, 0);
    s->ctrl_rx = virtio_queue_add(vdev, CONTROL_QUEUE_SIZE, ctrl_rx_handler);
    s->ctrl_tx = virtio_queue_add(vdev, CONTROL_QUEUE_SIZE, ctrl_tx_handler);
    for (uint32_t nr = 1; nr < s->max_ports; nr++) {
        add_queues(s, nr);
    }
    if (vdev->transport->id) {
        bus_name = g_strdup_printf("%s.0", vdev->transport->id);
    }
    bus_init(&s->bus, &virtio_serial_bus_type, DEVICE(s), bus_name);
    s->bus.hotplug = &port_hotplug;
    return true;
}

static void serial_unrealize(VirtioDevice *vdev)
{
    VirtioSerial *s = (VirtioSerial *)vdev;

    bus_cleanup(&s->bus);
    g_clear_pointer(&s->slots, g_free);
}

static const ObjectProperty serial_properties[] = {
    PROP_UINT32("max_ports", VirtioSerial, max_ports, 31, "number of ports that there can be"),
    PROP_BIT64("emergency-write", VirtioSerial, vdev.host_features, VIRTIO_CONSOLE_F_EMERG_WRITE,
               true, "offer a register that prints without queues"),
    PROP_END
};

/* ---- state ---- */

static void save_slots(StateStream *stream, const void *field, const void *opaque)
{
    const VirtioSerial *s = opaque;

    state_put_u32(stream, s->max_ports);
    for (uint32_t nr = 0; nr < s->max_ports; nr++) {
        const SerialSlot *slot = &s->slots[nr];

        state_put_u8(stream, slot->pending);
        state_put_u8(stream, slot->ready);
        state_put_u8(stream, slot->port != NULL);
        if (slot->port) {
            state_put_u8(stream, slot->port->guest_open);
            state_put_u8(stream, slot->port->host_open);
        }
        state_put_u8(stream, slot->elem != NULL);
        if (slot->elem) {
            state_put_u32(stream, slot->elem_done);
            virtqueue_element_save(stream, slot->elem);
        }
    }
}

static bool load_slot(StateStream *stream, VirtioSerial *s, uint32_t nr)
{
    SerialSlot *slot = &s->slots[nr];
    bool has_port, guest_open, host_open;

    slot->pending = state_get_u8(stream);
    slot->ready = state_get_u8(stream);
    has_port = state_get_u8(stream);
    if (has_port != (slot->port != NULL)) {
        state_fail(stream, "virtio-serial: port %u is only on one side", nr);
        return false;
    }
    if (has_port) {
        guest_open = state_get_u8(stream);
        host_open = state_get_u8(stream);
        virtio_serial_port_set_guest_open(slot->port, guest_open);
        /* The peer of our chardev is another one than at the source: tell the driver if that shows. */
        if (slot->ready && host_open != slot->port->host_open) {
            slot->pending |= SERIAL_SEND_OPEN;
        }
    } else {
        slot->pending &= SERIAL_SEND_REMOVE;
    }
    if (state_get_u8(stream)) {
        slot->elem_done = state_get_u32(stream);
        slot->elem = virtqueue_element_load(stream, slot->tx, sizeof(*slot->elem));
        return slot->elem && slot->elem_done <= slot->elem->out_size;
    }
    return state_ok(stream);
}

static bool load_slots(StateStream *stream, void *field, void *opaque)
{
    VirtioSerial *s = opaque;
    uint32_t count = state_get_u32(stream);

    if (count != s->max_ports) {
        state_fail(stream, "virtio-serial: the source has max_ports=%u, we have %u", count,
                   s->max_ports);
        return false;
    }
    for (uint32_t nr = 0; nr < count; nr++) {
        if (!load_slot(stream, s, nr)) {
            return false;
        }
    }
    return true;
}

static const StateField serial_fields[] = {
    STATE_F_BOOL(VirtioSerial, driver_ready),
    STATE_F_CUSTOM(VirtioSerial, slots, save_slots, load_slots),
    STATE_F_END
};

static const StateTable serial_state = {
    .name = "virtio-serial",
    .version = 1,
    .minimum_version = 1,
    .fields = serial_fields,
};

static const VirtioDeviceOps serial_ops = {
    .name = "virtio-serial",
    .category = DEVICE_CATEGORY_INPUT,
    .device_id = VIRTIO_ID_CONSOLE,
    .pci_class = PCI_CLASS_COMMUNICATION_OTHER,
    .default_vectors = 2,
    .rare_kicks = true,         /* and up to a thousand queues */
    .config_size = sizeof(struct virtio_console_config),
    .realize = serial_realize,
    .unrealize = serial_unrealize,
    .reset = serial_reset,
    .get_features = serial_get_features,
    .get_config = serial_get_config,
    .set_config = serial_set_config,
    .start = serial_start,
    .queue_reset = serial_queue_reset,
    .state = &serial_state,
};

OBJECT_TYPE(virtio_serial_type) = {
    .name = "virtio-serial-device",
    .parent = &virtio_device_type,
    .instance_size = sizeof(VirtioSerial),
    .description = "virtio console and serial ports",
    .properties = serial_properties,
    .impls = TYPE_IMPLS({ &virtio_device_type, &serial_ops }),
};

static const BusOps serial_bus_ops;

OBJECT_TYPE(virtio_serial_bus_type) = {
    .name = "virtio-serial-bus",
    .parent = &bus_type,
    .instance_size = sizeof(BusState),
    .impls = TYPE_IMPLS({ &bus_type, &serial_bus_ops }),
};
