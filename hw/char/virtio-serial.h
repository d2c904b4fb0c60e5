/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio console and serial ports: what virtio-serial.c (the device and its
 * control queues) and virtio-serial-port.c (ports and their data) share.
 */
#ifndef HW_CHAR_VIRTIO_SERIAL_H
#define HW_CHAR_VIRTIO_SERIAL_H

#include "chardev/chardev.h"
#include "hw/virtio/virtio.h"

typedef struct VirtioSerial VirtioSerial;
typedef struct VirtioSerialPort VirtioSerialPort;

/* Control messages that wait for room in the driver's queue, in the order in which they are sent. */
enum {
    SERIAL_SEND_REMOVE = 1 << 0,
    SERIAL_SEND_ADD = 1 << 1,
    SERIAL_SEND_CONSOLE = 1 << 2,
    SERIAL_SEND_NAME = 1 << 3,
    SERIAL_SEND_OPEN = 1 << 4,  /* host side is open, or not */
};

/* The place of a port: it has queues whether or not there is a port. */
typedef struct SerialSlot {
    VirtioSerialPort *port;
    VirtQueue *rx, *tx;         /* to and from the driver */
    VirtQueueElement *elem;     /* partly written out */
    uint32_t elem_done;
    uint8_t pending;            /* SERIAL_SEND_* */
    bool ready;                 /* the driver said PORT_READY for the present port */
} SerialSlot;

struct VirtioSerial {
    VirtioDevice vdev;
    BusState bus;
    uint32_t max_ports;
    VirtQueue *ctrl_rx, *ctrl_tx;
    SerialSlot *slots;          /* max_ports */
    bool driver_ready;          /* the driver said DEVICE_READY */
};

struct VirtioSerialPort {
    DeviceState dev;
    uint32_t nr;
    char *name;
    ChardevFrontend chardev;
    VirtioSerial *serial;       /* NULL: not realized */
    SerialSlot *slot;
    bool is_console;
    bool host_open;             /* the chardev has a peer (console: there is a chardev) */
    bool guest_open;
    bool throttled;             /* the chardev takes no more now */
};

extern const TypeInfo virtio_serial_type;       /* "virtio-serial-device" */
extern const TypeInfo virtio_serial_bus_type;   /* "virtio-serial-bus" */

/* ---- virtio-serial.c ---- */

/* Queue messages about slot @nr and send what can be sent. */
void virtio_serial_send(VirtioSerial *s, uint32_t nr, uint8_t messages);
/* Does the driver speak the control protocol? */
bool virtio_serial_multiport(const VirtioSerial *s);

/* ---- virtio-serial-port.c ---- */

/* The driver opened or closed its end. */
void virtio_serial_port_set_guest_open(VirtioSerialPort *port, bool open);
/* Move the driver's output to the chardev, or drop it where there is none. */
void virtio_serial_slot_drain(VirtioSerial *s, SerialSlot *slot);
/* The driver has room for input. */
void virtio_serial_port_accept_input(VirtioSerialPort *port);
/* One character, outside the queues. */
void virtio_serial_port_emergency_write(VirtioSerialPort *port, uint8_t c);
/* Give up the element that is partly written. */
void virtio_serial_slot_drop(SerialSlot *slot);

#endif
