/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "rng-egd": entropy from a daemon behind a character device, by the protocol
 * of the Entropy Gathering Daemon: command 2 and a count ask for up to 255
 * bytes, which come when there are so many.
 *
 * Thread: main thread with the machine lock.
 * Trust: what comes without being asked for is dropped.
 */
#include "util/osdep.h"
#include "backends/rng-internal.h"
#include "chardev/chardev.h"

#define EGD_READ_BLOCKING 2
#define EGD_MAX 255

typedef struct RngEgd {
    RngBackend parent;
    char *chardev_id;
    ChardevFrontend fe;
    uint8_t data[EGD_MAX];
    size_t got, wanted;         /* wanted 0: nothing was asked for */
} RngEgd;

/* Ask for what the first request needs. */
static void ask(RngEgd *s)
{
    const RngRequest *r = s->parent.requests;
    uint8_t command[2];

    if (!r || s->wanted || !s->fe.chr || !s->fe.chr->be_open) {
        return;
    }
    s->got = 0;
    s->wanted = MIN(r->len, EGD_MAX);
    command[0] = EGD_READ_BLOCKING;
    command[1] = (uint8_t)s->wanted;
    chardev_write_all(&s->fe, command, sizeof(command));
}

static size_t egd_can_receive(void *opaque)
{
    RngEgd *s = opaque;

    return s->wanted ? s->wanted - s->got : EGD_MAX;
}

static void egd_receive(void *opaque, const uint8_t *buf, size_t len)
{
    RngEgd *s = opaque;

    if (!s->wanted) {
        return;
    }
    len = MIN(len, s->wanted - s->got);
    memcpy(s->data + s->got, buf, len);
    s->got += len;
    if (s->got == s->wanted) {
        size_t n = s->wanted;

        s->wanted = 0;
        /* The request may have been cancelled, or be a smaller one now. */
        if (s->parent.requests) {
            rng_backend_deliver(&s->parent, s->data, MIN(n, s->parent.requests->len));
        }
        ask(s);
    }
}

static void egd_event(void *opaque, ChardevEvent event)
{
    RngEgd *s = opaque;

    /* A new daemon knows nothing of what the last one was asked. */
    if (event == CHARDEV_OPENED || event == CHARDEV_CLOSED) {
        s->wanted = s->got = 0;
        if (event == CHARDEV_OPENED) {
            ask(s);
        }
    }
}

static void egd_update(RngBackend *b)
{
    ask((RngEgd *)b);
}

static bool egd_complete(Object *obj, Error **errp)
{
    RngEgd *s = (RngEgd *)obj;
    Chardev *chr = s->chardev_id ? chardev_find(s->chardev_id) : NULL;

    if (!s->chardev_id) {
        error_setg(errp, "Parameter 'chardev' expects a valid character device");
        return false;
    }
    if (!chr) {
        error_set(errp, ERROR_CLASS_DEVICE_NOT_FOUND, "Device '%s' not found", s->chardev_id);
        return false;
    }
    if (!chardev_frontend_attach(&s->fe, chr, errp)) {
        return false;
    }
    s->fe.can_receive = egd_can_receive;
    s->fe.receive = egd_receive;
    s->fe.event = egd_event;
    s->fe.opaque = s;
    chardev_frontend_set_open(&s->fe, true);
    chardev_frontend_start(&s->fe);
    return true;
}

static void egd_finalize(Object *obj)
{
    chardev_frontend_detach(&((RngEgd *)obj)->fe);
}

static const ObjectProperty egd_properties[] = {
    { .name = "chardev", .kind = &prop_kind_string, .offset = offsetof(RngEgd, chardev_id), .type_name = "string",
      .description = "ID of the character device" },
    PROP_END
};

static const RngBackendOps egd_ops = { .update = egd_update };
static const UserCreatableOps egd_creatable_ops = {
    .complete = egd_complete, .can_be_deleted = rng_backend_can_be_deleted,
};

OBJECT_TYPE_STATIC(rng_egd_type) = {
    .name = "rng-egd",
    .parent = &rng_backend_type,
    .description = "entropy from a daemon",
    .instance_size = sizeof(RngEgd),
    .properties = egd_properties,
    .instance_finalize = egd_finalize,
    .impls = TYPE_IMPLS({ &rng_backend_type, &egd_ops }, { &user_creatable_type, &egd_creatable_ops }),
};
