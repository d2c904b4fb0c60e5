/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "filter-mirror" copies frames to a character device, "filter-redirector" sends
 * them there instead and takes frames from another one. On the device each frame
 * is behind its length (4 bytes, big-endian) and, with vnet_hdr_support, the
 * length of its offload header (4 bytes).
 *
 * Thread: main thread with the machine lock.
 * Trust: the peer of a character device may send anything; a length beyond the
 * largest frame ends its input.
 */
#include "util/osdep.h"

#include "chardev/chardev.h"
#include "net/filter.h"
#include "util/bswap.h"
#include "util/iov.h"

#define FRAME_MAX (65536 + 64)

typedef struct FilterMirror {
    NetFilter parent;
    char *indev, *outdev;
    bool vnet_hdr;
    ChardevFrontend in, out;
    uint8_t buffer[8 + FRAME_MAX];
    size_t filled;
    bool input_broken;          /* until the peer connects again */
} FilterMirror;

static unsigned header_size(const FilterMirror *s)
{
    return s->vnet_hdr ? 8 : 4;
}

/* ---- output ---- */

/* False when the frame could not be sent whole: nobody reads, so it is lost like on a wire. */
static bool send_out(FilterMirror *s, const struct iovec *iov, unsigned cnt)
{
    size_t len = iov_size(iov, cnt);
    g_autofree uint8_t *data = NULL;

    if (!s->out.chr || len > FRAME_MAX || !s->out.chr->be_open) {
        return false;
    }
    data = g_malloc0(8 + len);
    store_be32(data, len);
    if (s->vnet_hdr) {
        store_be32(data + 4, s->parent.netdev->vnet_hdr_len);
    }
    iov_to_buf(iov, cnt, 0, data + header_size(s), len);
    return chardev_write_all(&s->out, data, header_size(s) + len);
}

static NetFilterVerdict mirror_receive(NetFilter *f, NetClient *sender, const struct iovec *iov, unsigned cnt)
{
    send_out((FilterMirror *)f, iov, cnt);
    return NET_FILTER_PASS;
}

static NetFilterVerdict redirector_receive(NetFilter *f, NetClient *sender, const struct iovec *iov, unsigned cnt)
{
    FilterMirror *s = (FilterMirror *)f;

    if (!s->out.chr) {
        return NET_FILTER_PASS;
    }
    send_out(s, iov, cnt);
    return NET_FILTER_TAKEN;
}

/* ---- input ---- */

static void inject(FilterMirror *s, const uint8_t *data, size_t len)
{
    NetFilter *f = &s->parent;
    struct iovec iov = { (void *)(uintptr_t)data, len };

    if (!f->on || !f->netdev) {
        return;
    }
    if (f->queue != NET_FILTER_DIRECTION_RX) {
        net_filter_pass_on(f, f->netdev, &iov, 1);
    }
    if (f->queue != NET_FILTER_DIRECTION_TX && f->netdev->peer) {
        net_filter_pass_on(f, f->netdev->peer, &iov, 1);
    }
}

static size_t in_can_receive(void *opaque)
{
    FilterMirror *s = opaque;

    return s->input_broken ? 0 : sizeof(s->buffer) - s->filled;
}

static void in_receive(void *opaque, const uint8_t *buf, size_t len)
{
    FilterMirror *s = opaque;
    size_t done = 0;

    memcpy(s->buffer + s->filled, buf, len);
    s->filled += len;
    while (s->filled - done >= header_size(s)) {
        uint32_t frame = load_be32(s->buffer + done);

        if (frame > FRAME_MAX) {
            s->input_broken = true;
            chardev_frontend_disconnect(&s->in);
            break;
        }
        if (s->filled - done < header_size(s) + frame) {
            break;
        }
        inject(s, s->buffer + done + header_size(s), frame);
        done += header_size(s) + frame;
    }
    s->filled -= done;
    memmove(s->buffer, s->buffer + done, s->filled);
}

static void in_event(void *opaque, ChardevEvent event)
{
    FilterMirror *s = opaque;

    if (event == CHARDEV_OPENED || event == CHARDEV_CLOSED) {
        s->filled = 0;
        s->input_broken = false;
    }
}

/* ---- life ---- */

static bool attach(ChardevFrontend *fe, const char *id, Error **errp)
{
    Chardev *chr = chardev_find(id);

    if (!chr) {
        error_set(errp, ERROR_CLASS_DEVICE_NOT_FOUND, "Device '%s' not found", id);
        return false;
    }
    return chardev_frontend_attach(fe, chr, errp);
}

static void mirror_cleanup(NetFilter *f)
{
    FilterMirror *s = (FilterMirror *)f;

    chardev_frontend_detach(&s->in);
    chardev_frontend_detach(&s->out);
}

static bool connect_devices(FilterMirror *s, Error **errp)
{
    if (s->outdev) {
        if (!attach(&s->out, s->outdev, errp)) {
            return false;
        }
        chardev_frontend_set_open(&s->out, true);
        chardev_frontend_start(&s->out);
    }
    if (s->indev) {
        if (!attach(&s->in, s->indev, errp)) {
            chardev_frontend_detach(&s->out);
            return false;
        }
        s->in.can_receive = in_can_receive;
        s->in.receive = in_receive;
        s->in.event = in_event;
        s->in.opaque = s;
        chardev_frontend_set_open(&s->in, true);
        chardev_frontend_start(&s->in);
    }
    return true;
}

static bool mirror_setup(NetFilter *f, Error **errp)
{
    FilterMirror *s = (FilterMirror *)f;

    if (!s->outdev) {
        error_setg(errp, "Parameter 'outdev' is missing");
        return false;
    }
    return connect_devices(s, errp);
}

static bool redirector_setup(NetFilter *f, Error **errp)
{
    FilterMirror *s = (FilterMirror *)f;

    if (!s->indev && !s->outdev) {
        error_setg(errp, "filter redirector needs 'indev' or 'outdev' at least one property set");
        return false;
    }
    if (s->indev && s->outdev && strcmp(s->indev, s->outdev) == 0) {
        error_setg(errp, "'indev' and 'outdev' could not be same for filter redirector");
        return false;
    }
    return connect_devices(s, errp);
}

#define TEXT(n, f, d)                                                       \
    { .name = (n), .kind = &prop_kind_string, .offset = offsetof(FilterMirror, f), .type_name = "string",  \
      .description = (d) }
#define VNET_HDR PROP_BOOL("vnet_hdr_support", FilterMirror, vnet_hdr, false, "frames have an offload header")

static const ObjectProperty mirror_properties[] = {
    TEXT("outdev", outdev, "ID of the character device that gets copies"), VNET_HDR, PROP_END
};

static const ObjectProperty redirector_properties[] = {
    TEXT("indev", indev, "ID of the character device that gives frames"),
    TEXT("outdev", outdev, "ID of the character device that gets them"), VNET_HDR, PROP_END
};

static const NetFilterOps mirror_ops = {
    .setup = mirror_setup, .cleanup = mirror_cleanup, .receive = mirror_receive,
};

static const NetFilterOps redirector_ops = {
    .setup = redirector_setup, .cleanup = mirror_cleanup, .receive = redirector_receive,
};

OBJECT_TYPE_STATIC(filter_mirror_type) = {
    .name = "filter-mirror", .parent = &net_filter_type,
    .description = "copies frames to a character device",
    .instance_size = sizeof(FilterMirror),
    .properties = mirror_properties,
    .impls = TYPE_IMPLS({ &net_filter_type, &mirror_ops }),
};

OBJECT_TYPE_STATIC(filter_redirector_type) = {
    .name = "filter-redirector", .parent = &net_filter_type,
    .description = "sends frames to a character device, and takes them from one",
    .instance_size = sizeof(FilterMirror),
    .properties = redirector_properties,
    .impls = TYPE_IMPLS({ &net_filter_type, &redirector_ops }),
};
