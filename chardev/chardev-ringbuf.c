/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "ringbuf": output goes to a buffer in memory, where the newest bytes win,
 * and ringbuf-read takes it out.
 *
 * Thread: write from any thread, commands on the main thread; the buffer is
 * under write_lock.
 */
#include "util/osdep.h"
#include "chardev/chardev-internal.h"
#include "qapi-commands.h"

typedef struct RingChardev {
    Chardev parent;
    uint8_t *data;
    uint64_t size;              /* a power of two */
    uint64_t prod, cons;        /* bytes ever written, read or dropped */
} RingChardev;

static ssize_t ring_write(Chardev *chr, const uint8_t *buf, size_t len)
{
    RingChardev *s = (RingChardev *)chr;

    for (size_t i = 0; i < len; i++) {
        s->data[s->prod++ & (s->size - 1)] = buf[i];
    }
    if (s->prod - s->cons > s->size) {
        s->cons = s->prod - s->size;
    }
    return (ssize_t)len;
}

static bool ring_open(Chardev *chr, const ChardevBackend *backend, Error **errp)
{
    RingChardev *s = (RingChardev *)chr;
    const ChardevRingbuf *o = backend->u.ringbuf.data;
    int64_t size = o->has_size ? o->size : 65536;

    if (size <= 0 || !IS_POWER_OF_2((uint64_t)size)) {
        error_setg(errp, "size of ringbuf chardev must be power of two");
        return false;
    }
    s->data = g_try_malloc((gsize)size);
    if (s->data == NULL) {
        error_setg(errp, "size of ringbuf chardev is too large: %" PRId64, size);
        return false;
    }
    s->size = (uint64_t)size;
    chardev_emit(chr, CHARDEV_OPENED);
    return true;
}

static void ring_finalize(Object *obj)
{
    g_free(((RingChardev *)obj)->data);
}

static const ChardevOps ring_ops = { .open = ring_open, .write = ring_write };

OBJECT_TYPE_STATIC(chardev_ringbuf_type) = {
    .name = "chardev-ringbuf", .parent = &chardev_type,
    .instance_size = sizeof(RingChardev),
    .instance_finalize = ring_finalize,
    .impls = TYPE_IMPLS({ &chardev_type, &ring_ops }),
};

/* ---- commands ---- */

static RingChardev *find_ring(const char *id, Error **errp)
{
    Chardev *chr = chardev_find(id);

    if (chr == NULL) {
        error_setg(errp, "Device '%s' not found", id);
        return NULL;
    }
    if (!object_is_a(chr, &chardev_ringbuf_type)) {
        error_setg(errp, "%s is not a ringbuf device", id);
        return NULL;
    }
    return (RingChardev *)chr;
}

/* Strict: only the alphabet, and padding at the end. */
static uint8_t *decode_base64(const char *text, size_t *len, Error **errp)
{
    size_t n = strlen(text), body = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");

    if (body + strspn(text + body, "=") != n) {
        error_setg(errp, "Base64 data contains invalid characters");
        return NULL;
    }
    return g_base64_decode(text, len);
}

bool qmp_ringbuf_write(const QmpRingbufWriteArgs *args, Error **errp)
{
    RingChardev *s = find_ring(args->device, errp);
    g_autofree uint8_t *data = NULL;
    size_t len;

    if (s == NULL) {
        return false;
    }
    if (args->has_format && args->format == DATA_FORMAT_BASE64) {
        data = decode_base64(args->data, &len, errp);
        if (data == NULL) {
            return false;
        }
    } else {
        len = strlen(args->data);
    }
    pthread_mutex_lock(&s->parent.write_lock);
    ring_write(&s->parent, data != NULL ? data : (const uint8_t *)args->data, len);
    pthread_mutex_unlock(&s->parent.write_lock);
    return true;
}

char *qmp_ringbuf_read(const QmpRingbufReadArgs *args, Error **errp)
{
    RingChardev *s = find_ring(args->device, errp);
    g_autofree char *data = NULL;
    uint64_t n;

    if (s == NULL) {
        return NULL;
    }
    if (args->size <= 0) {
        error_setg(errp, "size must be greater than zero");
        return NULL;
    }
    pthread_mutex_lock(&s->parent.write_lock);
    n = MIN((uint64_t)args->size, s->prod - s->cons);
    data = g_malloc(n + 1);
    for (uint64_t i = 0; i < n; i++) {
        data[i] = (char)s->data[s->cons++ & (s->size - 1)];
    }
    pthread_mutex_unlock(&s->parent.write_lock);
    if (args->has_format && args->format == DATA_FORMAT_BASE64) {
        return g_base64_encode((const guchar *)data, n);
    }
    /* What is no UTF-8 is replaced when it is printed; a NUL ends the text. */
    data[n] = '\0';
    return g_steal_pointer(&data);
}
